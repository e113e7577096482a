/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a crash or a stop left between two steps is finished or taken back, once, before anything moves:
 * staged files go, interrupted receptions fail, complete ones get their name, orphans of the spool go.
 * Main thread, at the start only; it waits for the store.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/store.h"
#include "daemon/transfer/spool.h"

/* Error: the store cannot be read or written. Logs what it did. Returns the transfers that are to be sent, in the order in
 * which they were made; new. */
GPtrArray *recovery_run(const Config *config, Store *store, Spool *spool, GError **error);
