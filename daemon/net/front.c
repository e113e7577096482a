/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administration's listeners. Under TLS a thread does the handshake and then moves bytes between the channel
 * and one end of a socket pair, whose other end is handed on. The number of such threads is bounded.
 */
#include "daemon/net/front.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "daemon/net/listener.h"
#include "daemon/net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BRIDGES_MAX  256
#define HANDSHAKE_US (10 * USEC_PER_SEC)
#define STALL_US     (30 * USEC_PER_SEC) /* a caller that does not read its answer */
#define PATIENCE_MS  600000              /* the receiver of an upload may have a slow disk */
#define BRIDGE_BYTES (64u * 1024u)

typedef struct {
    Front *front;
    const AdminListener *settings;
    Listener *listener;
    TlsContext *tls;
} Gateway;

struct Front {
    Config *config; /* the listeners' settings, also after a reload */
    Handed *handed;
    FrontCallback on_connection;
    gpointer data;
    GPtrArray *gateways; /* Gateway * */
    GPtrArray *bridges;  /* Bridge * */
    Mailbox *ended;      /* Bridge *: its thread is about to end */
    guint source;
};

typedef struct {
    Front *front;
    TlsContext *tls;
    FrontCaller caller;
    Fd fd;     /* taken by the thread */
    Fd cut_fd; /* the same socket, to cut it */
    GThread *thread;
} Bridge;

static void bridge_free(gpointer data)
{
    Bridge *bridge = data;

    (void)g_thread_join(bridge->thread); /* nothing is returned */
    fd_clear(&bridge->cut_fd);
    tls_context_unref(bridge->tls);
    g_free(bridge->caller.address);
    g_free(bridge->caller.certificate_sha256);
    g_free(bridge);
}

/* the thread */

static bool write_pair(int pair, const uint8_t *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        struct pollfd waiting = {.fd = pair, .events = POLLOUT};
        ssize_t n;

        if (poll(&waiting, 1, PATIENCE_MS) <= 0)
            return false;
        n = send(pair, bytes + done, length - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* From the caller into the pair. False: over. */
static bool move_in(Stream *stream, int pair, uint8_t *buffer)
{
    for (;;) {
        size_t length = 0;
        StreamResult result = stream_receive(stream, buffer, BRIDGE_BYTES, &length, NULL);

        if (result == STREAM_NOTHING)
            return true;
        if (result != STREAM_DATA || !write_pair(pair, buffer, length))
            return false;
    }
}

/* From the pair to the caller. False: over. */
static bool move_out(Stream *stream, int pair, uint8_t *buffer)
{
    ssize_t n = recv(pair, buffer, BRIDGE_BYTES, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n > 0 && stream_send(stream, buffer, (size_t)n, clock_now_us() + STALL_US, NULL);
}

static void move(Stream *stream, int pair)
{
    g_autofree uint8_t *buffer = g_malloc(BRIDGE_BYTES);
    bool wake = false;

    while (move_in(stream, pair, buffer)) {
        (void)stream_wait(stream, pair, INT64_MAX, &wake); /* then look */
        if (wake && !move_out(stream, pair, buffer))
            return;
    }
    (void)shutdown(pair, SHUT_WR); /* the caller said all; what is answered still leaves */
    while (move_out(stream, pair, buffer)) {
        struct pollfd waiting = {.fd = pair, .events = POLLIN};

        if (poll(&waiting, 1, (int)(STALL_US / 1000)) <= 0)
            return;
    }
}

static void run_bridge(Bridge *self)
{
    g_autoptr(Stream) stream = stream_new(self->fd);
    g_autoptr(GError) error = NULL;
    g_auto(Fd) pair = -1;
    int fds[2];

    self->fd = -1;
    if (!stream_start_tls_server(stream, self->tls, clock_now_us() + HANDSHAKE_US, &error)) {
        log_event(LOG_CONNECTION_REFUSED, "ADDRESS", self->caller.address, "REASON", error->message,
                  NULL);
        return;
    }
    self->caller.certificate_sha256 = stream_dup_peer_certificate(stream);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return;
    pair = fds[0];
    self->front->on_connection(fds[1], &self->caller, self->front->data);
    move(stream, pair);
}

static gpointer bridge_main(gpointer data)
{
    Bridge *self = data;

    run_bridge(self);
    (void)mailbox_post(self->front->ended, self); /* closed: front_close joins */
    return NULL;
}

/* main loop */

static void on_ended(gpointer message, gpointer data)
{
    Front *self = data;

    g_ptr_array_remove_fast(self->bridges, message);
}

static void start_bridge(Front *self, Gateway *gateway, int fd, const char *address)
{
    Bridge *bridge;

    if (self->bridges->len >= BRIDGES_MAX) {
        log_event(LOG_CONNECTION_REFUSED, "ADDRESS", address, "REASON",
                  "too many connections of the administration", NULL);
        fd_clear(&fd);
        return;
    }
    bridge = g_new0(Bridge, 1);
    bridge->front = self;
    bridge->tls = tls_context_ref(gateway->tls);
    bridge->caller =
            (FrontCaller){.family = gateway->settings->family, .address = g_strdup(address)};
    bridge->fd = fd;
    bridge->cut_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    g_ptr_array_add(self->bridges, bridge);
    bridge->thread = g_thread_new("front", bridge_main, bridge);
}

static void on_accept(Listener *listener, int fd, const char *address, gpointer data)
{
    Gateway *gateway = data;
    Front *self = gateway->front;
    FrontCaller caller = {.family = gateway->settings->family};

    (void)listener;
    if (gateway->tls != NULL) {
        start_bridge(self, gateway, fd, address);
        return;
    }
    caller.address = g_strdup(address);
    self->on_connection(fd, &caller, self->data);
    g_free(caller.address);
}

static void gateway_free(gpointer data)
{
    Gateway *gateway = data;

    listener_close(gateway->listener);
    tls_context_unref(gateway->tls);
    g_free(gateway);
}

static bool open_gateway(Front *self, const AdminListener *settings, GError **error)
{
    Gateway *gateway = g_new0(Gateway, 1);
    char port[8];

    g_ptr_array_add(self->gateways, gateway);
    gateway->front = self;
    gateway->settings = settings;
    if (settings->listener.tls.enabled) {
        gateway->tls = tls_context_new_server(&settings->listener.tls, error);
        if (gateway->tls == NULL)
            return false;
    }
    gateway->listener = listener_open(&settings->listener, self->handed, on_accept, gateway, error);
    if (gateway->listener == NULL)
        return false;
    (void)snprintf(port, sizeof port, "%u", listener_port(gateway->listener)); /* fits */
    log_event(LOG_ADMIN_LISTENING, "ADDRESS", settings->listener.address, "HTTP", port, "TLS",
              gateway->tls != NULL ? "yes" : "no", NULL);
    return true;
}

Front *front_open(Config *config, Handed *handed, FrontCallback on_connection, gpointer data,
                  GError **error)
{
    Front *self = g_new0(Front, 1);

    self->handed = handed;
    self->config = config_ref(config);
    self->on_connection = on_connection;
    self->data = data;
    self->gateways = g_ptr_array_new_with_free_func(gateway_free);
    self->bridges = g_ptr_array_new_with_free_func(bridge_free);
    self->ended = mailbox_new(NULL);
    self->source = mailbox_attach(self->ended, NULL, on_ended, self);
    for (guint i = 0; i < config->admin_listeners->len; i++) {
        if (!open_gateway(self, g_ptr_array_index(config->admin_listeners, i), error)) {
            front_stop(self);
            front_close(self);
            return NULL;
        }
    }
    return self;
}

static void unref_context(gpointer data)
{
    tls_context_unref(data);
}

bool front_renew(Front *self, GError **error)
{
    g_autoptr(GPtrArray) fresh = g_ptr_array_new_with_free_func(unref_context);

    for (guint i = 0; i < self->gateways->len; i++) {
        const Gateway *gateway = g_ptr_array_index(self->gateways, i);
        const TlsSettings *settings = &gateway->settings->listener.tls;
        TlsContext *context = settings->enabled ? tls_context_new_server(settings, error) : NULL;

        if (settings->enabled && context == NULL)
            return false;
        g_ptr_array_add(fresh, context);
    }
    for (guint i = 0; i < self->gateways->len; i++) {
        Gateway *gateway = g_ptr_array_index(self->gateways, i);

        tls_context_unref(gateway->tls);
        gateway->tls = g_ptr_array_index(fresh, i);
        fresh->pdata[i] = NULL;
    }
    return true;
}

void front_stop(Front *self)
{
    if (self == NULL)
        return;
    g_ptr_array_set_size(self->gateways, 0);
    for (guint i = 0; i < self->bridges->len; i++)
        (void)shutdown(((Bridge *)g_ptr_array_index(self->bridges, i))->cut_fd,
                       SHUT_RD); /* it may have gone; an answer still leaves */
}

void front_close(Front *self)
{
    if (self == NULL)
        return;
    for (guint i = 0; i < self->bridges->len; i++)
        (void)shutdown(((Bridge *)g_ptr_array_index(self->bridges, i))->cut_fd, SHUT_RDWR);
    g_source_remove(self->source);
    mailbox_close(self->ended);
    g_ptr_array_unref(self->bridges);
    mailbox_unref(self->ended);
    g_ptr_array_unref(self->gateways);
    config_unref(self->config);
    g_free(self);
}
