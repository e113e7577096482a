/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls a partner. Connecting is non-blocking with a deadline; the stream that comes out is ready for the
 * session. Architecture §4: runs on the connection's own thread.
 */
#include "daemon/net/dialer.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PORT_BYTES 8

static struct addrinfo *resolve(const Partner *partner, GError **error)
{
    struct addrinfo hints = {
            .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    char port[PORT_BYTES];
    int status;

    (void)snprintf(port, sizeof port, "%u", partner->port); /* always fits */
    status = getaddrinfo(partner->address, port, &hints, &list);
    if (status != 0 && partner->address[0] != '\0') {
        hints.ai_flags = 0; /* loopback only: no configured address counts */
        status = getaddrinfo(partner->address, port, &hints, &list);
    }
    if (status == 0)
        return list;
    g_set_error(error, BASE_ERROR, BASE_ERROR_UNKNOWN_HOST, "resolve '%s': %s", partner->address,
                gai_strerror(status));
    return NULL;
}

static int poll_timeout_ms(int64_t deadline_us)
{
    int64_t left_us = deadline_us - clock_now_us();

    return left_us <= 0 ? 0 : (int)MIN(left_us / 1000 + 1, G_MAXINT);
}

/* Waits for a connection in progress. 0, or the errno of its failure. */
static int wait_connected(int fd, int64_t deadline_us)
{
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    int failure = 0;
    socklen_t length = sizeof failure;
    int ready;

    do {
        ready = poll(&wait, 1, poll_timeout_ms(deadline_us));
    } while (ready < 0 && errno == EINTR);
    if (ready == 0)
        return ETIMEDOUT;
    if (ready < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length) != 0)
        return errno;
    return failure;
}

/* Connected descriptor, or -1 with ret_errno. */
static int connect_address(const struct addrinfo *address, int64_t deadline_us, int *ret_errno)
{
    g_auto(Fd) fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int connected;

    if (fd < 0) {
        *ret_errno = errno;
        return -1;
    }
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        *ret_errno = errno == EINPROGRESS ? wait_connected(fd, deadline_us) : errno;
        if (*ret_errno != 0)
            return -1;
    }
    connected = fd;
    fd = -1;
    return connected;
}

static int connect_any(const Partner *partner, int64_t deadline_us, GError **error)
{
    struct addrinfo *list = resolve(partner, error);
    int failure = EHOSTUNREACH;
    int fd = -1;

    if (list == NULL)
        return -1;
    for (const struct addrinfo *at = list; at != NULL && fd < 0; at = at->ai_next)
        fd = connect_address(at, deadline_us, &failure);
    freeaddrinfo(list);
    if (fd < 0)
        g_set_error(error, BASE_ERROR,
                    failure == ETIMEDOUT      ? BASE_ERROR_TIMEOUT
                    : failure == ECONNREFUSED ? BASE_ERROR_CONNECTION_REFUSED
                                              : BASE_ERROR_UNREACHABLE,
                    "connect to '%s' port %u: %s", partner->address, partner->port,
                    g_strerror(failure));
    return fd;
}

Stream *dialer_connect(const Partner *partner, TlsContext *tls, int64_t deadline_us, GError **error)
{
    g_autoptr(Stream) stream = NULL;
    const char *host = partner->tls.host_name != NULL ? partner->tls.host_name : partner->address;
    int fd = connect_any(partner, deadline_us, error);

    if (fd < 0)
        return NULL;
    stream = stream_new(fd);
    if (tls != NULL && !stream_start_tls_client(stream, tls, host, deadline_us, error))
        return NULL;
    return g_steal_pointer(&stream);
}
