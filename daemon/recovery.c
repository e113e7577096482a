/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings rows, spool and inbox together after a stop at any step. Rows decide: a reception is complete when
 * its row says done, whatever the inbox shows. Architecture §5. Main thread, at the start.
 */
#include "daemon/recovery.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

#include <string.h>

#define INTERRUPTED "interrupted: the daemon stopped"
/* So many requests are given to the store before the first answer is waited for: it runs them together. */
#define GROUP 256

typedef struct {
    const Config *config;
    Store *store;
    Spool *spool;
    GPtrArray *sends;   /* Transfer *, owned */
    GHashTable *needed; /* names in the spool of what has not ended, owned */
    GPtrArray *replies; /* of what the store was given */
    unsigned failed, published, orphans;
} Recovery;

/* The answers to what the store was given, in its order; new. The last is waited for: it is the last to come. */
static GPtrArray *take_results(Recovery *self)
{
    guint count = self->replies->len;
    GPtrArray *results = g_ptr_array_new_with_free_func((GDestroyNotify)store_result_free);

    g_ptr_array_set_size(results, (gint)count);
    for (guint i = count; i > 0; i--)
        (void)reply_wait(g_ptr_array_index(self->replies, i - 1), INT64_MAX,
                         &results->pdata[i - 1]); /* always answered */
    g_ptr_array_set_size(self->replies, 0);
    return results;
}

/* Waits for all that was given to the store. */
static bool finish_group(Recovery *self, GError **error)
{
    g_autoptr(GPtrArray) results = take_results(self);

    for (guint i = 0; i < results->len; i++) {
        StoreResult *result = g_ptr_array_index(results, i);

        if (result->error == NULL)
            continue;
        g_propagate_error(error, g_steal_pointer(&result->error));
        return false;
    }
    return true;
}

static bool give(Recovery *self, StoreRequest *request, GError **error)
{
    g_ptr_array_add(self->replies, store_begin(self->store, request));
    return self->replies->len < GROUP || finish_group(self, error);
}

/* rows that have not ended */

/* Ends a row that the stop interrupted; a fetched file that was complete here before TRANS.END left is ours. */
static StoreRequest *end_row(const Recovery *self, Transfer *transfer)
{
    TransferState before = transfer->state;

    transfer->finished_us = clock_wall_us();
    if (transfer->direction == DIRECTION_FETCH && transfer->end_sent && transfer->data_kept) {
        transfer->state = TRANSFER_DONE;
        return store_request_update(transfer, 1u << before, NULL, 0);
    }
    if (transfer->direction == DIRECTION_RECEIVE || transfer->direction == DIRECTION_FETCH) {
        spool_remove(self->spool, transfer->spool_name);
        transfer->data_kept = false;
    }
    transfer->state = TRANSFER_FAILED;
    g_free(transfer->error);
    transfer->error = g_strdup(INTERRUPTED);
    return store_request_update(transfer, 1u << before, NULL, 0);
}

static void keep_name(Recovery *self, const Transfer *transfer)
{
    if (transfer->spool_name != NULL)
        g_hash_table_add(self->needed, g_strdup(transfer->spool_name));
}

/* Takes those that are to be sent out of the rows. */
static bool settle_unfinished(Recovery *self, GError **error)
{
    g_autoptr(StoreResult) rows = store_execute(self->store, store_request_unfinished());

    if (rows->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&rows->error));
        return false;
    }
    for (guint i = 0; i < rows->transfers->len; i++) {
        Transfer *transfer = g_ptr_array_index(rows->transfers, i);

        if (transfer->direction == DIRECTION_SEND || transfer->direction == DIRECTION_OFFER) {
            keep_name(self, transfer);
        } else {
            if (!give(self, end_row(self, transfer), error))
                return false;
            self->failed++;
        }
        if (transfer->direction == DIRECTION_SEND) {
            g_ptr_array_add(self->sends, transfer);
            rows->transfers->pdata[i] = NULL;
        }
    }
    return finish_group(self, error);
}

/* Offers whose service ended just before the stop. */
static bool settle_offers(Recovery *self, GError **error)
{
    g_autoptr(StoreResult) offers = store_execute(self->store, store_request_served());

    if (offers->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&offers->error));
        return false;
    }
    for (guint i = 0; i < offers->transfers->len; i++) {
        Transfer *offer = g_ptr_array_index(offers->transfers, i);

        offer->state = TRANSFER_DONE;
        offer->finished_us = clock_wall_us();
        if (!give(self, store_request_update(offer, 1u << TRANSFER_QUEUED, NULL, 0), error))
            return false;
    }
    return finish_group(self, error);
}

/* files in the spool */

static bool may_replace(const Config *config, const Transfer *transfer)
{
    const Partner *partner = config_find_partner(config, transfer->partner);
    const VirtualFile *file =
            partner != NULL ? rule_find_by_path(partner->files, transfer->path, false) : NULL;

    return file != NULL && file->existing == EXISTING_REPLACE;
}

/* One row whose bytes are in the spool. */
static void settle_bytes(Recovery *self, const Transfer *transfer)
{
    g_autoptr(GError) error = NULL;
    g_auto(Fd) folder_fd = -1;
    char id[LOG_NUMBER_BYTES];

    if (transfer->direction != DIRECTION_RECEIVE)
        return;
    if (transfer->state != TRANSFER_DONE) {
        spool_remove(self->spool, transfer->spool_name);
        return;
    }
    if (spool_publish(self->spool, transfer->spool_name, transfer->partner, transfer->path,
                      may_replace(self->config, transfer), &folder_fd, &error) &&
        file_sync_folder(folder_fd, &error)) {
        spool_remove(self->spool, transfer->spool_name);
        self->published++;
        return;
    }
    if (error->code == BASE_ERROR_NOT_FOUND) /* published, only its empty folder was left */
        spool_remove(self->spool, transfer->spool_name);
    else
        log_event(LOG_STORE_FAILED, "TRANSFER", log_number(id, transfer->id), "PARTNER",
                  transfer->partner, "PATH", transfer->path, "REASON", error->message, NULL);
}

static bool settle_file(Recovery *self, const char *name, StoreResult *found, GError **error)
{
    if (found->error == NULL) {
        settle_bytes(self, found->transfer);
    } else if (found->error->code == BASE_ERROR_NOT_FOUND) {
        spool_remove(self->spool, name); /* no row ever knew it */
        self->orphans++;
    } else {
        g_propagate_error(error, g_steal_pointer(&found->error));
        return false;
    }
    return true;
}

/* At most GROUP files from one on. */
static bool settle_files(Recovery *self, const GPtrArray *names, guint first, GError **error)
{
    guint count = MIN(GROUP, names->len - first);
    g_autoptr(GPtrArray) found = NULL;

    for (guint i = first; i < first + count; i++) {
        StoreRequest *request = store_request_find_spool(g_ptr_array_index(names, i));

        g_ptr_array_add(self->replies, store_begin(self->store, request));
    }
    found = take_results(self);
    for (guint i = 0; i < count; i++) {
        if (!settle_file(self, g_ptr_array_index(names, first + i), g_ptr_array_index(found, i),
                         error))
            return false;
    }
    return true;
}

static bool settle_spool(Recovery *self, GError **error)
{
    g_autoptr(GPtrArray) names = spool_list(self->spool);

    for (guint i = names->len; i > 0; i--) {
        if (g_hash_table_contains(self->needed, g_ptr_array_index(names, i - 1)))
            g_ptr_array_remove_index_fast(names, i - 1);
    }
    for (guint first = 0; first < names->len; first += GROUP) {
        if (!settle_files(self, names, first, error))
            return false;
    }
    return true;
}

/* all */

static void tell(const Recovery *self, unsigned staged)
{
    char texts[4][12];

    if (staged + self->failed + self->published + self->orphans == 0)
        return;
    g_snprintf(texts[0], sizeof texts[0], "%u", staged);
    g_snprintf(texts[1], sizeof texts[1], "%u", self->failed);
    g_snprintf(texts[2], sizeof texts[2], "%u", self->published);
    g_snprintf(texts[3], sizeof texts[3], "%u", self->orphans);
    log_event(LOG_SPOOL_RECOVERED, "STAGED", texts[0], "INTERRUPTED", texts[1], "PUBLISHED",
              texts[2], "ORPHANS", texts[3], NULL);
}

GPtrArray *recovery_run(const Config *config, Store *store, Spool *spool, GError **error)
{
    unsigned staged = spool_clear_staging(spool);
    g_autoptr(GPtrArray) sends = g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);
    g_autoptr(GPtrArray) replies = g_ptr_array_new_with_free_func((GDestroyNotify)reply_unref);
    g_autoptr(GHashTable) needed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Recovery self = {.config = config,
                     .store = store,
                     .spool = spool,
                     .sends = sends,
                     .needed = needed,
                     .replies = replies};

    if (!settle_unfinished(&self, error) || !settle_offers(&self, error) ||
        !settle_spool(&self, error))
        return NULL;
    tell(&self, staged);
    return g_steal_pointer(&sends);
}
