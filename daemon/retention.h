/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes the bytes of transfers that ended long ago, a few at a time, and later or when they are too many their rows.
 * What was received stays in the inbox: it belongs to whoever reads it there, and its row stays with it. Main loop only.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/store.h"
#include "daemon/transfer/spool.h"

typedef struct Retention Retention;

/* store, spool: borrowed, longer-lived. config: referenced. Runs by itself from now on. */
Retention *retention_new(Store *store, Spool *spool, Config *config);
void retention_free(Retention *self);
/* Told of rows that are gone, some hundred at a time. transfers: Transfer *, borrowed. */
typedef void (*RetentionObserver)(const GPtrArray *transfers, gpointer data);
void retention_set_observer(Retention *self, RetentionObserver observer, gpointer data);
void retention_set_config(Retention *self, Config *config);
/* What ended before a wall time goes now, whatever the configuration says of its time: bytes, then rows, but for what is still
 * needed. It goes on after this returns. */
void retention_clean(Retention *self, int64_t before_us);
