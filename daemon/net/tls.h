/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.2 and 1.3 on a non-blocking socket: contexts shared by connections, and one channel per connection.
 * The only place that knows OpenSSL's ssl. A context is immutable; a channel belongs to one thread.
 */
#pragma once

#include "daemon/transfer/partner.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* contexts */

typedef struct TlsContext TlsContext;

/* INVALID names the file that cannot be used. Return new, one reference. */
TlsContext *tls_context_new_server(const TlsSettings *settings, GError **error);
TlsContext *tls_context_new_client(const TlsSettings *settings, GError **error);
TlsContext *tls_context_ref(TlsContext *self);
void tls_context_unref(TlsContext *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TlsContext, tls_context_unref)

/* channels */

typedef struct TlsChannel TlsChannel;

/* fd: borrowed, connected, non-blocking, longer-lived. UNTRUSTED: the peer's certificate, or ours, is not
 * accepted; UNREACHABLE: the peer closed or does not speak TLS; TIMEOUT. Returns new. */
TlsChannel *tls_accept(TlsContext *context, int fd, int64_t deadline_us, GError **error);
/* host: checked against the certificate unless the settings pin a key or name another host. */
TlsChannel *tls_connect(TlsContext *context, int fd, const char *host, int64_t deadline_us,
                        GError **error);
/* Says goodbye without waiting. */
void tls_free(TlsChannel *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TlsChannel, tls_free)

typedef enum { TLS_DATA, TLS_NOTHING, TLS_END, TLS_ERROR } TlsResult;

/* Takes what is there without waiting, as much as fits. UNTRUSTED: the peer does not accept our certificate;
 * else UNREACHABLE, also of tls_send. */
TlsResult tls_receive(TlsChannel *self, uint8_t *buffer, size_t capacity, size_t *ret_length,
                      GError **error);
/* Sends all, waiting for room until the deadline. */
bool tls_send(TlsChannel *self, const uint8_t *bytes, size_t length, int64_t deadline_us,
              GError **error);
/* True when decrypted bytes wait inside: poll does not see them. */
bool tls_has_pending(const TlsChannel *self);
/* SHA-256 of the peer's certificate in hex, NULL without. Returns new. */
char *tls_dup_peer_certificate(const TlsChannel *self);
/* "TLSv1.3 TLS_AES_256_GCM_SHA384". Returns new. */
char *tls_dup_description(const TlsChannel *self);
