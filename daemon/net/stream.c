/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connected socket, plain or under TLS, never blocking: what must wait polls with a deadline. Programs
 * that use TLS ignore SIGPIPE: OpenSSL writes without MSG_NOSIGNAL.
 */
#include "daemon/net/stream.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_PROBES     4
#define USER_TIMEOUT_MS      120000u
#define USEC_PER_MSEC        1000
#define NSEC_PER_USEC        1000

struct Stream {
    Fd fd;
    TlsChannel *tls;
};

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof value); /* a Unix socket has no such option */
}

Stream *stream_new(int fd)
{
    Stream *self = g_new0(Stream, 1);

    self->fd = fd;
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); /* cannot fail on a socket */
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES);
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)USER_TIMEOUT_MS);
    return self;
}

void stream_free(Stream *self)
{
    if (self == NULL)
        return;
    tls_free(self->tls);
    fd_clear(&self->fd);
    g_free(self);
}

bool stream_start_tls_server(Stream *self, TlsContext *context, int64_t deadline_us, GError **error)
{
    self->tls = tls_accept(context, self->fd, deadline_us, error);
    return self->tls != NULL;
}

bool stream_start_tls_client(Stream *self, TlsContext *context, const char *host,
                             int64_t deadline_us, GError **error)
{
    self->tls = tls_connect(context, self->fd, host, deadline_us, error);
    return self->tls != NULL;
}

char *stream_dup_peer_certificate(Stream *self)
{
    return self->tls != NULL ? tls_dup_peer_certificate(self->tls) : NULL;
}

char *stream_dup_description(Stream *self)
{
    return self->tls != NULL ? tls_dup_description(self->tls) : g_strdup("plain");
}

bool stream_is_tls(const Stream *self)
{
    return self->tls != NULL;
}

static StreamResult receive_tls(Stream *self, uint8_t *buffer, size_t capacity, size_t *ret_length,
                                GError **error)
{
    switch (tls_receive(self->tls, buffer, capacity, ret_length, error)) {
    case TLS_DATA:
        return STREAM_DATA;
    case TLS_NOTHING:
        return STREAM_NOTHING;
    case TLS_END:
        return STREAM_END;
    case TLS_ERROR:
        break;
    }
    return STREAM_ERROR;
}

StreamResult stream_receive(Stream *self, uint8_t *buffer, size_t capacity, size_t *ret_length,
                            GError **error)
{
    ssize_t n;

    if (self->tls != NULL)
        return receive_tls(self, buffer, capacity, ret_length, error);
    do {
        n = recv(self->fd, buffer, capacity, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        *ret_length = (size_t)n;
        return STREAM_DATA;
    }
    if (n == 0)
        return STREAM_END;
    if (errno == EAGAIN)
        return STREAM_NOTHING;
    g_set_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE, "receive: %s", g_strerror(errno));
    return STREAM_ERROR;
}

static int left_ms(int64_t deadline_us)
{
    int64_t left_us = deadline_us - clock_now_us();

    return left_us <= 0 ? 0 : (int)MIN(left_us / USEC_PER_MSEC + 1, (int64_t)INT32_MAX);
}

static bool wait_for_room(Stream *self, int64_t deadline_us, GError **error)
{
    struct pollfd fd = {.fd = self->fd, .events = POLLOUT};
    int n = poll(&fd, 1, left_ms(deadline_us));

    if (n != 0 || clock_now_us() < deadline_us)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_TIMEOUT, "the partner takes no more bytes");
    return false;
}

bool stream_send(Stream *self, const uint8_t *bytes, size_t length, int64_t deadline_us,
                 GError **error)
{
    size_t sent = 0;

    if (self->tls != NULL)
        return tls_send(self->tls, bytes, length, deadline_us, error);
    while (sent < length) {
        ssize_t n = send(self->fd, bytes + sent, length - sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n >= 0) {
            sent += (size_t)n;
        } else if (errno == EAGAIN) {
            if (!wait_for_room(self, deadline_us, error))
                return false;
        } else if (errno != EINTR) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE, "send: %s", g_strerror(errno));
            return false;
        }
    }
    return true;
}

bool stream_wait(Stream *self, int wake_fd, int64_t deadline_us, bool *ret_wake)
{
    struct pollfd fds[] = {{.fd = self->fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    bool pending = self->tls != NULL && tls_has_pending(self->tls);
    int64_t left_us = pending ? 0 : MAX(deadline_us - clock_now_us(), 0);
    struct timespec left = {.tv_sec = (time_t)(left_us / USEC_PER_SEC),
                            .tv_nsec = (long)(left_us % USEC_PER_SEC) * NSEC_PER_USEC};
    int n;

    *ret_wake = false;
    n = ppoll(fds, 2, deadline_us == INT64_MAX && !pending ? NULL : &left, NULL);
    if (n <= 0)
        return false;
    *ret_wake = (fds[1].revents & POLLIN) != 0;
    return true;
}

void stream_shutdown(Stream *self)
{
    (void)shutdown(self->fd, SHUT_RDWR); /* it may be closed by the peer already */
}
