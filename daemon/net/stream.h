/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connected byte stream, plain TCP or TLS, with deadlines, and a mailbox that can interrupt waiting.
 * It knows nothing of PeSIT. One thread; closing from another thread only by stream_interrupt.
 */
#pragma once

#include "daemon/net/tls.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Stream Stream;

/* fd: taken, connected. Sets no-delay, keep-alive and the user time-out. */
Stream *stream_new(int fd);
void stream_free(Stream *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Stream, stream_free)

/* TLS over the stream, as server or client, before anything else. UNTRUSTED, UNREACHABLE, TIMEOUT. */
bool stream_start_tls_server(Stream *self, TlsContext *context, int64_t deadline_us,
                             GError **error);
bool stream_start_tls_client(Stream *self, TlsContext *context, const char *host,
                             int64_t deadline_us, GError **error);
/* SHA-256 of the peer's certificate in hex, NULL without. Returns new. */
char *stream_dup_peer_certificate(Stream *self);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384" or "plain". Returns new. */
char *stream_dup_description(Stream *self);
bool stream_is_tls(const Stream *self);

typedef enum { STREAM_DATA, STREAM_NOTHING, STREAM_END, STREAM_ERROR } StreamResult;

/* Takes what is there without waiting. NOTHING: nothing now. END: the peer closed. */
StreamResult stream_receive(Stream *self, uint8_t *buffer, size_t capacity, size_t *ret_length,
                            GError **error);
/* Sends all, waiting for room until the deadline. TIMEOUT: write stall. UNREACHABLE: reset. */
bool stream_send(Stream *self, const uint8_t *bytes, size_t length, int64_t deadline_us,
                 GError **error);
/* Waits until bytes can be received, wake_fd is readable (-1: none), or the deadline. ret_wake: wake_fd is. */
bool stream_wait(Stream *self, int wake_fd, int64_t deadline_us, bool *ret_wake);
/* Ends both directions of the socket: a waiting thread wakes with END. Any thread, while the owner lives. */
void stream_shutdown(Stream *self);
