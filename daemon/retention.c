/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of expired rows per turn: the bytes go first, then the row says so; a stop between the two is made
 * good by the next turn. Main loop only.
 */
#include "daemon/retention.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#define TURN_S    60
#define PAGE_ROWS 200

struct Retention {
    Store *store;
    Spool *spool;
    Config *config;
    guint timer;
};

static void on_marked(StoreResult *result, gpointer data)
{
    (void)data;
    if (result->error != NULL && result->error->code != BASE_ERROR_CONFLICT)
        log_event(LOG_STORE_FAILED, "REASON", result->error->message, NULL);
    store_result_free(
            result); /* a conflict: tried again meanwhile, and it fails for want of bytes */
}

static void on_expired(StoreResult *result, gpointer data)
{
    const Retention *self = data;

    for (guint i = 0; result->error == NULL && i < result->transfers->len; i++) {
        Transfer *transfer = g_ptr_array_index(result->transfers, i);

        if (transfer->spool_name != NULL)
            spool_remove(self->spool, transfer->spool_name);
        transfer->data_kept = false;
        store_submit(self->store, store_request_update(transfer, 1u << transfer->state, NULL, 0),
                     on_marked, NULL);
    }
    store_result_free(result);
}

static gboolean on_turn(gpointer data)
{
    Retention *self = data;
    int64_t before_us = clock_wall_us() - (int64_t)self->config->history_retention_s * USEC_PER_SEC;

    store_submit(self->store, store_request_expired(before_us, PAGE_ROWS), on_expired, self);
    return G_SOURCE_CONTINUE;
}

Retention *retention_new(Store *store, Spool *spool, Config *config)
{
    Retention *self = g_new0(Retention, 1);

    self->store = store;
    self->spool = spool;
    self->config = config_ref(config);
    self->timer = g_timeout_add_seconds(TURN_S, on_turn, self);
    return self;
}

void retention_free(Retention *self)
{
    if (self == NULL)
        return;
    g_source_remove(self->timer);
    config_unref(self->config);
    g_free(self);
}

void retention_set_config(Retention *self, Config *config)
{
    config_unref(self->config);
    self->config = config_ref(config);
}
