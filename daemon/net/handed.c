/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only TCP sockets that listen are of use; any other, and one whose address no listener has, is kept and told as
 * unused.
 */
#include "daemon/net/handed.h"

#include "base/file.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

typedef struct {
    Fd fd;
    char *name; /* LISTEN_FDNAMES */
    bool is_used;
    socklen_t length; /* 0: no TCP socket that listens */
    struct sockaddr_storage address;
} HandedSocket;

struct Handed {
    GPtrArray *sockets; /* HandedSocket * */
};

static void socket_free(gpointer data)
{
    HandedSocket *socket = data;

    fd_clear(&socket->fd);
    g_free(socket->name);
    g_free(socket);
}

static bool is_listening(int fd)
{
    int type = 0, accepts = 0;
    socklen_t length = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &length) == 0 && accepts != 0;
}

static void take(Handed *self, int fd, const char *name)
{
    HandedSocket *socket = g_new0(HandedSocket, 1);

    socket->fd = fd;
    socket->name = g_strdup(name);
    g_ptr_array_add(self->sockets, socket);
    if (!is_listening(fd) || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return;
    socket->length = sizeof socket->address;
    if (getsockname(fd, (struct sockaddr *)&socket->address, &socket->length) != 0 ||
        (socket->address.ss_family != AF_INET && socket->address.ss_family != AF_INET6))
        socket->length = 0;
}

Handed *handed_take(void)
{
    Handed *self = g_new0(Handed, 1);
    char **names = NULL;
    int count = sd_listen_fds_with_names(
            true, &names); /* none: meant for another process, or nothing sensible */

    self->sockets = g_ptr_array_new_with_free_func(socket_free);
    for (int i = 0; i < count; i++) {
        take(self, SD_LISTEN_FDS_START + i, names[i]);
        free(names[i]);
    }
    free(names);
    return self;
}

void handed_free(Handed *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->sockets);
    g_free(self);
}

static bool is_same(const struct sockaddr *one, const struct sockaddr *other)
{
    const struct sockaddr_in *a4 = (const void *)one, *b4 = (const void *)other;
    const struct sockaddr_in6 *a6 = (const void *)one, *b6 = (const void *)other;

    if (one->sa_family != other->sa_family)
        return false;
    if (one->sa_family == AF_INET)
        return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
    return a6->sin6_port == b6->sin6_port &&
           memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
}

int handed_dup(Handed *self, const struct addrinfo *at)
{
    for (guint i = 0; i < self->sockets->len; i++) {
        HandedSocket *socket = g_ptr_array_index(self->sockets, i);

        if (socket->length == 0 || !is_same((const struct sockaddr *)&socket->address, at->ai_addr))
            continue;
        socket->is_used = true;
        return fcntl(socket->fd, F_DUPFD_CLOEXEC, 0);
    }
    return -1;
}

char *handed_next_unused(const Handed *self, guint *position)
{
    while (*position < self->sockets->len) {
        const HandedSocket *socket = g_ptr_array_index(self->sockets, (*position)++);
        char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";

        if (socket->is_used)
            continue;
        if (socket->length == 0 ||
            getnameinfo((const struct sockaddr *)&socket->address, socket->length, host,
                        sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) != 0)
            return g_strdup_printf("%s: not a TCP socket that listens", socket->name);
        return g_strdup_printf("%s: no listener has '%s' port %s", socket->name, host, port);
    }
    return NULL;
}
