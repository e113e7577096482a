/* SPDX-License-Identifier: Apache-2.0 */
/* A connection of a bare program, plain or TLS. */
#pragma once

#include "tests/bench/bare.h"

#include <openssl/ssl.h>
#include <sys/socket.h>

typedef struct {
    int fd;
    SSL *tls; /* NULL: plain */
} Wire;

static inline void wire_send(const Wire *self, const void *bytes, size_t length)
{
    size_t done = 0;

    if (self->tls == NULL)
        bare_write(self->fd, bytes, length);
    else if (SSL_write_ex(self->tls, bytes, length, &done) != 1)
        bare_fail("SSL_write_ex");
}

/* What is there, at least a byte. 0: the end of the stream. */
static inline size_t wire_receive_some(const Wire *self, void *bytes, size_t most)
{
    size_t got = 0;
    ssize_t count;

    if (self->tls != NULL)
        return SSL_read_ex(self->tls, bytes, most, &got) == 1 ? got : 0;
    count = recv(self->fd, bytes, most, 0);
    bare_check((int)count, "recv");
    return (size_t)count;
}

/* False at the end of the stream. */
static inline int wire_receive(const Wire *self, void *bytes, size_t length)
{
    for (size_t done = 0, got; done < length; done += got) {
        got = wire_receive_some(self, (char *)bytes + done, length - done);
        if (got == 0)
            return 0;
    }
    return 1;
}

static inline void wire_start_tls(Wire *self, SSL_CTX *context, int server)
{
    self->tls = SSL_new(context);
    if (self->tls == NULL || SSL_set_fd(self->tls, self->fd) != 1 ||
        (server ? SSL_accept(self->tls) : SSL_connect(self->tls)) != 1)
        bare_fail("TLS handshake");
}

/* files: certificate and key, or NULL. */
static inline SSL_CTX *wire_new_context(const SSL_METHOD *method, char **files)
{
    SSL_CTX *context = SSL_CTX_new(method);

    if (context == NULL ||
        (files != NULL && (SSL_CTX_use_certificate_chain_file(context, files[0]) != 1 ||
                           SSL_CTX_use_PrivateKey_file(context, files[1], SSL_FILETYPE_PEM) != 1)))
        bare_fail("certificate");
    return context;
}
