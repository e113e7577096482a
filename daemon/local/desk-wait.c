/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are answered when a transfer has ended or a time is over: Wait, and Fetch, which starts the
 * transfer first. All who want the same statement wait for one transfer.
 */
#include "daemon/local/desk-private.h"

#include "base/clock.h"
#include "daemon/net/attributes.h"

#include <string.h>
#include <unistd.h>

#define FRESH_US (60 * USEC_PER_SEC) /* a statement younger than this is not asked for again */

typedef struct {
    Desk *desk;
    DoorCall *call;
    int64_t id;          /* 0: not known yet */
    char *key;           /* fetch: "PARTNER/path"; wait: NULL */
    int64_t deadline_us; /* wall */
    guint timer;         /* 0: the time is over */
} Waiter;

void desk_waiter_free(gpointer data)
{
    Waiter *waiter = data;

    if (waiter->timer != 0)
        g_source_remove(waiter->timer);
    if (waiter->call != NULL)
        desk_fail(waiter->call, BASE_ERROR_CANCELLED, "the daemon stops");
    g_free(waiter->key);
    g_free(waiter);
}

static void answer(Waiter *waiter, const Transfer *transfer)
{
    Desk *self = waiter->desk;
    DoorCall *call = g_steal_pointer(&waiter->call);
    g_autoptr(GError) error = NULL;
    GVariantBuilder files;
    int fd = -1;

    if (waiter->key == NULL) {
        door_call_return(call, desk_describe_tuple(self, transfer), NULL, 0);
        return;
    }
    if (transfer->state == TRANSFER_DONE) {
        fd = desk_open_bytes(self, transfer, &error);
        if (fd < 0) {
            door_call_fail(call, error);
            return;
        }
    }
    g_variant_builder_init(&files, G_VARIANT_TYPE("ah"));
    if (fd >= 0)
        g_variant_builder_add(&files, "h", 0);
    door_call_return(
            call, g_variant_new("(@" DESCRIPTION_TYPE "ah)", desk_describe(self, transfer), &files),
            &fd, fd >= 0 ? 1 : 0);
    if (fd >= 0)
        (void)close(fd);
}

typedef struct {
    Desk *desk;
    DoorCall *call;
} LastLook;

static void on_last_look(StoreResult *result, gpointer data)
{
    g_autofree LastLook *look = data;

    if (result->error != NULL)
        door_call_fail(look->call, result->error);
    else
        door_call_return(look->call, desk_describe_tuple(look->desk, result->transfer), NULL, 0);
    store_result_free(result);
}

/* The queue does not have it: its end is on the way to the store, where this question comes behind it, or it is
 * with another daemon. */
static void look_in_store(Waiter *waiter)
{
    LastLook *look = g_new0(LastLook, 1);

    look->desk = waiter->desk;
    look->call = g_steal_pointer(&waiter->call);
    store_submit(look->desk->store, store_request_get(waiter->id), on_last_look, look);
}

static gboolean on_time_over(gpointer data)
{
    Waiter *waiter = data;
    Desk *self = waiter->desk;
    const Transfer *transfer = queue_find(self->queue, waiter->id, NULL);

    waiter->timer = 0;
    if (transfer == NULL && waiter->key != NULL)
        return G_SOURCE_REMOVE; /* the store has its row in hand, the first or the last: it is told then */
    if (transfer != NULL)
        answer(waiter, transfer);
    else
        look_in_store(waiter);
    g_ptr_array_remove_fast(self->waiters, waiter);
    return G_SOURCE_REMOVE;
}

/* call: taken. */
static Waiter *add_waiter(Desk *self, DoorCall *call, int64_t id, const char *key,
                          unsigned timeout_ms)
{
    Waiter *waiter = g_new0(Waiter, 1);

    waiter->desk = self;
    waiter->call = call;
    waiter->id = id;
    waiter->key = g_strdup(key);
    waiter->deadline_us = clock_wall_us() + (int64_t)timeout_ms * 1000;
    waiter->timer = g_timeout_add(timeout_ms, on_time_over, waiter);
    g_ptr_array_add(self->waiters, waiter);
    return waiter;
}

/* A final state; or a retry, or the partner's hours, so late that the waiter would not see it. */
static bool is_answer(const Waiter *waiter, const Transfer *transfer)
{
    return transfer_state_is_final(transfer->state) ||
           ((transfer->state == TRANSFER_WAITING || transfer->state == TRANSFER_QUEUED) &&
            transfer->next_retry_us > waiter->deadline_us);
}

void desk_tell_waiters(Desk *self, const Transfer *transfer)
{
    g_autofree char *key = transfer->direction == DIRECTION_FETCH
                                   ? g_strconcat(transfer->partner, "/", transfer->path, NULL)
                                   : NULL;

    if (key != NULL && transfer_state_is_final(transfer->state))
        g_hash_table_remove(self->fetching, key);
    for (guint i = self->waiters->len; i > 0; i--) {
        Waiter *waiter = g_ptr_array_index(self->waiters, i - 1);

        if (waiter->id != transfer->id || !is_answer(waiter, transfer))
            continue;
        answer(waiter, transfer);
        g_ptr_array_remove_index_fast(self->waiters, i - 1);
    }
}

/* Wait */

typedef struct {
    Desk *desk;
    DoorCall *call;
    unsigned timeout_ms;
} WaitCall;

static void on_wait_found(StoreResult *result, gpointer data)
{
    WaitCall *wait = data;
    const Transfer *newest;

    if (result->error != NULL) {
        door_call_fail(wait->call, result->error);
    } else {
        Waiter *waiter =
                add_waiter(wait->desk, wait->call, result->transfer->id, NULL, wait->timeout_ms);

        newest = queue_find(wait->desk->queue, result->transfer->id, NULL);
        if (newest == NULL)
            newest = result->transfer;
        if (is_answer(waiter, newest) || newest->direction == DIRECTION_OFFER) {
            answer(waiter, newest);
            g_ptr_array_remove_fast(wait->desk->waiters, waiter);
        }
    }
    store_result_free(result);
    g_free(wait);
}

void desk_wait(DoorCall *call, GVariant *parameters, gpointer data)
{
    WaitCall *wait = g_new0(WaitCall, 1);
    gint64 id;

    wait->desk = data;
    wait->call = call;
    g_variant_get(parameters, "(xu)", &id, &wait->timeout_ms);
    store_submit(wait->desk->store, store_request_get(id), on_wait_found, wait);
}

/* Fetch */

typedef struct {
    Desk *desk;
    char *key;
    Transfer *transfer; /* to insert */
} FetchCall;

static void fetch_call_free(FetchCall *fetch)
{
    g_free(fetch->key);
    transfer_free(fetch->transfer);
    g_free(fetch);
}

static void fail_fetch(FetchCall *fetch, const GError *error)
{
    Desk *self = fetch->desk;

    g_hash_table_remove(self->fetching, fetch->key);
    for (guint i = self->waiters->len; i > 0; i--) {
        Waiter *waiter = g_ptr_array_index(self->waiters, i - 1);

        if (waiter->id != 0 || g_strcmp0(waiter->key, fetch->key) != 0)
            continue;
        door_call_fail(g_steal_pointer(&waiter->call), error);
        g_ptr_array_remove_index_fast(self->waiters, i - 1);
    }
}

/* The transfer of a key is known: those who came meanwhile wait for it. */
static void settle_fetch(FetchCall *fetch, const Transfer *transfer)
{
    Desk *self = fetch->desk;
    int64_t *id = g_hash_table_lookup(self->fetching, fetch->key);

    if (id != NULL)
        *id = transfer->id;
    for (guint i = 0; i < self->waiters->len; i++) {
        Waiter *waiter = g_ptr_array_index(self->waiters, i);

        if (waiter->id == 0 && g_strcmp0(waiter->key, fetch->key) == 0)
            waiter->id = transfer->id;
    }
}

/* Those whose time was over before there was a transfer to tell of. */
static void tell_late(Desk *self, int64_t id)
{
    const Transfer *transfer = queue_find(self->queue, id, NULL);

    for (guint i = self->waiters->len; transfer != NULL && i > 0; i--) {
        Waiter *waiter = g_ptr_array_index(self->waiters, i - 1);

        if (waiter->id != id || waiter->timer != 0)
            continue;
        answer(waiter, transfer);
        g_ptr_array_remove_index_fast(self->waiters, i - 1);
    }
}

static void on_fetch_inserted(StoreResult *result, gpointer data)
{
    FetchCall *fetch = data;

    if (result->error != NULL) {
        fail_fetch(fetch, result->error);
    } else {
        int64_t id = result->transfer->id;

        settle_fetch(fetch, result->transfer);
        queue_add(fetch->desk->queue, g_steal_pointer(&result->transfer));
        tell_late(fetch->desk, id);
    }
    store_result_free(result);
    fetch_call_free(fetch);
}

static bool is_fresh(const Transfer *transfer)
{
    return transfer->direction == DIRECTION_FETCH && transfer->state == TRANSFER_DONE &&
           transfer->data_kept && transfer->finished_us + FRESH_US > clock_wall_us();
}

static void on_fetch_looked_up(StoreResult *result, gpointer data)
{
    FetchCall *fetch = data;

    if (result->error == NULL && is_fresh(result->transfer)) {
        settle_fetch(fetch, result->transfer);
        desk_tell_waiters(fetch->desk, result->transfer);
        fetch_call_free(fetch);
    } else if (result->error != NULL && result->error->code != BASE_ERROR_NOT_FOUND) {
        fail_fetch(fetch, result->error);
        fetch_call_free(fetch);
    } else {
        store_submit(fetch->desk->store, store_request_insert(fetch->transfer, NULL, 0),
                     on_fetch_inserted, fetch);
    }
    store_result_free(result);
}

static Transfer *make_fetch(const Desk *self, const char *name, const char *path, GError **error)
{
    const Partner *partner = desk_find_partner(self, name, error);
    const VirtualFile *file =
            partner != NULL ? rule_find_by_path(partner->files, path, false) : NULL;
    g_autofree char *base = g_path_get_basename(path);
    g_autofree char *canonical = NULL;
    RuleContext context;
    g_autoptr(Transfer) transfer = transfer_new();

    if (partner == NULL)
        return NULL;
    if (file == NULL || file->mode != VIRTUAL_FILE_FETCH) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND,
                    "no fetch file of partner '%s' matches '%s'", name, path);
        return NULL;
    }
    if (!desk_check_enabled(partner, file, error))
        return NULL;
    transfer->created_us = clock_wall_us();
    context = attributes_transfer_context(partner, base, transfer);
    if (!rule_resolve_fetch(file, path, &context, &canonical, error))
        return NULL;
    if (!rule_uses_counter(file)) {
        transfer->file_name =
                rule_expand(file->file_name, &context, ATTRIBUTES_FILE_NAME_BYTES, error);
        if (transfer->file_name == NULL)
            return NULL;
    }
    transfer->direction = DIRECTION_FETCH;
    transfer->state = TRANSFER_QUEUED;
    transfer->partner = g_strdup(name);
    transfer->path = g_steal_pointer(&canonical);
    transfer->file_type = file->file_type;
    transfer->mode = 0440;
    return g_steal_pointer(&transfer);
}

/* anew: also what came a moment ago. */
static void begin_fetch(Desk *self, DoorCall *call, GVariant *parameters, bool anew)
{
    g_autoptr(GError) error = NULL;
    const char *partner, *path;
    guint32 timeout_ms;
    Transfer *transfer;
    FetchCall *fetch;
    char *key;
    const int64_t *id;

    g_variant_get(parameters, "(&s&su)", &partner, &path, &timeout_ms);
    transfer = make_fetch(self, partner, path, &error);
    if (transfer == NULL) {
        door_call_fail(call, error);
        return;
    }
    key = g_strconcat(partner, "/", transfer->path, NULL);
    id = g_hash_table_lookup(self->fetching, key);
    (void)add_waiter(self, call, id != NULL ? *id : 0, key, timeout_ms);
    if (id != NULL) {
        if (*id != 0)
            (void)queue_retry(self->queue, *id, NULL); /* somebody wants it now; else it runs */
        g_free(key);
        transfer_free(transfer);
        return;
    }
    transfer->actor = g_strdup(door_call_actor(call));
    transfer->origin = g_strdup(door_call_origin(call));
    transfer->correlation = g_strdup(door_call_correlation(call));
    fetch = g_new0(FetchCall, 1);
    fetch->desk = self;
    fetch->key = g_strdup(key);
    fetch->transfer = transfer;
    g_hash_table_insert(self->fetching, key, g_new0(int64_t, 1));
    if (anew)
        store_submit(self->store, store_request_insert(transfer, NULL, 0), on_fetch_inserted,
                     fetch);
    else
        store_submit(self->store, store_request_find_path(partner, transfer->path),
                     on_fetch_looked_up, fetch);
}

void desk_fetch(DoorCall *call, GVariant *parameters, gpointer data)
{
    begin_fetch(data, call, parameters, false);
}

void desk_fetch_anew(DoorCall *call, GVariant *parameters, gpointer data)
{
    begin_fetch(data, call, parameters, true);
}
