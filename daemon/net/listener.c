/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepts what partners open and hands it on; limits are the receiver's business. When descriptors run out
 * it pauses, so that one full moment is not a busy loop. Main loop only.
 */
#include "daemon/net/listener.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <glib-unix.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BACKLOG    512
#define PAUSE_MS   200
#define PORT_BYTES 8

struct Listener {
    ListenerCallback on_accept;
    gpointer data;
    Fd fd;
    uint16_t port;
    bool is_handed;
    guint source;
};

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data);

static gboolean on_pause_over(gpointer data)
{
    Listener *self = data;

    self->source = g_unix_fd_add(self->fd, G_IO_IN, on_readable, self);
    return G_SOURCE_REMOVE;
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    Listener *self = data;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char text[NI_MAXHOST] = "";
    int accepted = accept4(fd, (struct sockaddr *)&address, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);

    (void)condition;
    if (accepted >= 0) {
        (void)getnameinfo((struct sockaddr *)&address, length, text, sizeof text, NULL, 0,
                          NI_NUMERICHOST); /* "" */
        self->on_accept(self, accepted, text, self->data);
        return G_SOURCE_CONTINUE;
    }
    if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
        return G_SOURCE_CONTINUE; /* the caller has gone again */
    log_event(LOG_LISTEN_FAILED, "REASON", g_strerror(errno), NULL);
    self->source = g_timeout_add(PAUSE_MS, on_pause_over, self);
    return G_SOURCE_REMOVE;
}

static int bind_address(const struct addrinfo *at, int *ret_errno)
{
    g_auto(Fd) fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1, bound;

    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one); /* bind tells */
    if (fd < 0 || bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        *ret_errno = errno;
        return -1;
    }
    bound = fd;
    fd = -1;
    return bound;
}

static uint16_t read_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    char text[PORT_BYTES] = "0";

    if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
        (void)getnameinfo((struct sockaddr *)&address, length, NULL, 0, text, sizeof text,
                          NI_NUMERICSERV); /* 0 */
    return (uint16_t)g_ascii_strtoull(text, NULL, 10);
}

static int find_handed(Handed *handed, const struct addrinfo *list)
{
    int fd = -1;

    for (const struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next)
        fd = handed_dup(handed, at);
    return fd;
}

Listener *listener_open(const ListenerConfig *settings, Handed *handed, ListenerCallback on_accept,
                        gpointer data, GError **error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    char port[PORT_BYTES];
    int failure = EADDRNOTAVAIL, fd = -1, status;
    bool is_handed;
    Listener *self;

    (void)snprintf(port, sizeof port, "%u", settings->port); /* fits */
    status = getaddrinfo(settings->address, port, &hints, &list);
    if (status == 0)
        fd = find_handed(handed, list);
    is_handed = fd >= 0;
    for (const struct addrinfo *at = status == 0 ? list : NULL; at != NULL && fd < 0;
         at = at->ai_next)
        fd = bind_address(at, &failure);
    if (status == 0)
        freeaddrinfo(list);
    if (fd < 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "listen on '%s' port %u: %s",
                    settings->address, settings->port,
                    status != 0 ? gai_strerror(status) : g_strerror(failure));
        return NULL;
    }
    self = g_new0(Listener, 1);
    self->on_accept = on_accept;
    self->data = data;
    self->fd = fd;
    self->port = read_port(fd);
    self->is_handed = is_handed;
    self->source = g_unix_fd_add(fd, G_IO_IN, on_readable, self);
    return self;
}

void listener_close(Listener *self)
{
    if (self == NULL)
        return;
    g_source_remove(self->source);
    fd_clear(&self->fd);
    g_free(self);
}

bool listener_is_handed(const Listener *self)
{
    return self->is_handed;
}

uint16_t listener_port(const Listener *self)
{
    return self->port;
}
