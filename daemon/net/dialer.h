/* SPDX-License-Identifier: Apache-2.0 */
/* Calls a partner: resolves its name, connects, starts TLS. Blocks until its deadline. Any thread. */
#pragma once

#include "daemon/net/stream.h"
#include "daemon/transfer/partner.h"

/* tls: NULL for plain. Tries each address of the name in turn. UNREACHABLE, UNTRUSTED, TIMEOUT. Returns new. */
Stream *dialer_connect(const Partner *partner, TlsContext *tls, int64_t deadline_us,
                       GError **error);
