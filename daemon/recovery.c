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

/* Ends a row that the stop interrupted; a fetched file that was complete here before TRANS.END left is ours. */
static bool end_row(Store *store, Spool *spool, Transfer *transfer, GError **error)
{
    g_autoptr(StoreResult) result = NULL;
    TransferState before = transfer->state;

    if (transfer->direction == DIRECTION_FETCH && transfer->end_sent && transfer->data_kept) {
        transfer->state = TRANSFER_DONE;
        transfer->finished_us = clock_wall_us();
        result = store_execute(store, store_request_update(transfer, 1u << before, NULL, 0));
        if (result->error != NULL)
            g_propagate_error(error, g_steal_pointer(&result->error));
        return error == NULL || *error == NULL;
    }
    if (transfer->direction == DIRECTION_RECEIVE || transfer->direction == DIRECTION_FETCH) {
        spool_remove(spool, transfer->spool_name);
        transfer->data_kept = false;
    }
    transfer->state = TRANSFER_FAILED;
    transfer->finished_us = clock_wall_us();
    g_free(transfer->error);
    transfer->error = g_strdup(INTERRUPTED);
    result = store_execute(store, store_request_update(transfer, 1u << before, NULL, 0));
    if (result->error == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(&result->error));
    return false;
}

static bool settle_unfinished(Store *store, Spool *spool, unsigned *ret_failed, GError **error)
{
    g_autoptr(StoreResult) rows = store_execute(store, store_request_unfinished());

    if (rows->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&rows->error));
        return false;
    }
    for (guint i = 0; i < rows->transfers->len; i++) {
        Transfer *transfer = g_ptr_array_index(rows->transfers, i);
        bool lost = transfer->direction == DIRECTION_RECEIVE ||
                    transfer->direction == DIRECTION_SERVE ||
                    transfer->direction == DIRECTION_FETCH;

        if (!lost)
            continue;
        if (!end_row(store, spool, transfer, error))
            return false;
        (*ret_failed)++;
    }
    return true;
}

/* Offers whose service ended just before the stop. */
static bool settle_offers(Store *store, GError **error)
{
    g_autoptr(StoreResult) offers = store_execute(store, store_request_served());

    if (offers->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&offers->error));
        return false;
    }
    for (guint i = 0; i < offers->transfers->len; i++) {
        Transfer *offer = g_ptr_array_index(offers->transfers, i);
        g_autoptr(StoreResult) result = NULL;

        offer->state = TRANSFER_DONE;
        offer->finished_us = clock_wall_us();
        result = store_execute(store, store_request_update(offer, 1u << TRANSFER_QUEUED, NULL, 0));
        if (result->error != NULL) {
            g_propagate_error(error, g_steal_pointer(&result->error));
            return false;
        }
    }
    return true;
}

static bool may_replace(const Config *config, const Transfer *transfer)
{
    const Partner *partner = config_find_partner(config, transfer->partner);
    const VirtualFile *file =
            partner != NULL ? rule_find_by_path(partner->files, transfer->path, false) : NULL;

    return file != NULL && file->existing == EXISTING_REPLACE;
}

/* One row whose bytes are in the spool. */
static void settle_bytes(const Config *config, Spool *spool, const Transfer *transfer,
                         unsigned *ret_published)
{
    g_autoptr(GError) error = NULL;
    g_auto(Fd) folder_fd = -1;
    char id[LOG_NUMBER_BYTES];

    if (transfer->direction != DIRECTION_RECEIVE)
        return;
    if (transfer->state != TRANSFER_DONE) {
        spool_remove(spool, transfer->spool_name);
        return;
    }
    if (spool_publish(spool, transfer->spool_name, transfer->partner, transfer->path,
                      may_replace(config, transfer), &folder_fd, &error) &&
        file_sync_folder(folder_fd, &error)) {
        spool_remove(spool, transfer->spool_name);
        (*ret_published)++;
        return;
    }
    if (error->code == BASE_ERROR_NOT_FOUND) /* published, only its empty folder was left */
        spool_remove(spool, transfer->spool_name);
    else
        log_event(LOG_STORE_FAILED, "TRANSFER", log_number(id, transfer->id), "PARTNER",
                  transfer->partner, "PATH", transfer->path, "REASON", error->message, NULL);
}

static bool settle_spool(const Config *config, Store *store, Spool *spool, unsigned *ret_published,
                         unsigned *ret_orphans, GError **error)
{
    g_autoptr(GPtrArray) names = spool_list(spool);

    for (guint i = 0; i < names->len; i++) {
        const char *name = g_ptr_array_index(names, i);
        g_autoptr(StoreResult) found = store_execute(store, store_request_find_spool(name));

        if (found->error == NULL) {
            settle_bytes(config, spool, found->transfer, ret_published);
        } else if (found->error->code == BASE_ERROR_NOT_FOUND) {
            spool_remove(spool, name); /* no row ever knew it */
            (*ret_orphans)++;
        } else {
            g_propagate_error(error, g_steal_pointer(&found->error));
            return false;
        }
    }
    return true;
}

bool recovery_run(const Config *config, Store *store, Spool *spool, GError **error)
{
    unsigned staged = spool_clear_staging(spool);
    unsigned failed = 0, published = 0, orphans = 0;
    char texts[4][12];

    if (!settle_unfinished(store, spool, &failed, error) || !settle_offers(store, error) ||
        !settle_spool(config, store, spool, &published, &orphans, error))
        return false;
    if (staged + failed + published + orphans == 0)
        return true;
    g_snprintf(texts[0], sizeof texts[0], "%u", staged);
    g_snprintf(texts[1], sizeof texts[1], "%u", failed);
    g_snprintf(texts[2], sizeof texts[2], "%u", published);
    g_snprintf(texts[3], sizeof texts[3], "%u", orphans);
    log_event(LOG_SPOOL_RECOVERED, "STAGED", texts[0], "INTERRUPTED", texts[1], "PUBLISHED",
              texts[2], "ORPHANS", texts[3], NULL);
    return true;
}
