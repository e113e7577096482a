/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page of expired rows per turn: the bytes go first, then the row says so; a stop between the two is made
 * good by the next turn. Rows go in a pass over the history from its oldest row, a few at a time with pauses, so that
 * transfers do not wait for it. Main loop only.
 */
#include "daemon/retention.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#define TURN_S    60
#define PAGE_ROWS 200
#define STEP_ROWS 200 /* of a pass over the history */
#define PAUSE_MS  50  /* between its steps */
#define RECENT_S  60  /* ended just now: somebody may still wait for it */

struct Retention {
    Store *store;
    Spool *spool;
    Config *config;
    guint timer;
    guint looking;       /* timer: more bytes of what was asked for */
    int64_t asked_us;    /* somebody wants all before it gone; 0: nobody does */
    int64_t clearing_us; /* asked_us when the pass began */
    /* the pass over the history */
    bool passing;
    guint pause;
    int64_t after_id;
    int64_t excess;    /* rows beyond retention.rows */
    unsigned removing; /* asked for, not yet answered */
    bool at_end;
    GHashTable *asked;  /* int64_t → Transfer: the store was asked to remove them in this step */
    GPtrArray *removed; /* Transfer *, in this step */
    RetentionObserver observer;
    gpointer data;
};

/* data: int64_t of the transfer. */
static void on_marked(StoreResult *result, gpointer data)
{
    g_autofree int64_t *marked = data;
    char id[LOG_NUMBER_BYTES];

    if (result->error != NULL && result->error->code != BASE_ERROR_CONFLICT)
        log_event(LOG_STORE_FAILED, "TRANSFER", log_number(id, *marked), "REASON",
                  result->error->message, NULL);
    store_result_free(
            result); /* a conflict: tried again meanwhile, and it fails for want of bytes */
}

static void begin_pass(Retention *self);
static gboolean on_look_again(gpointer data);

static void on_expired(StoreResult *result, gpointer data)
{
    Retention *self = data;
    bool more = result->error == NULL && result->transfers->len == PAGE_ROWS;

    for (guint i = 0; result->error == NULL && i < result->transfers->len; i++) {
        Transfer *transfer = g_ptr_array_index(result->transfers, i);

        if (transfer->spool_name != NULL)
            spool_remove(self->spool, transfer->spool_name);
        transfer->data_kept = false;
        store_submit_owned(self->store,
                           store_request_update(transfer, 1u << transfer->state, NULL, 0),
                           on_marked, g_memdup2(&transfer->id, sizeof transfer->id), g_free);
    }
    store_result_free(result);
    if (self->asked_us != 0 && more && self->looking == 0)
        self->looking = g_timeout_add(PAUSE_MS, on_look_again, self);
    else if (self->asked_us != 0 && !more)
        begin_pass(self);
}

/* A page of the bytes that have had their time, or that somebody wants gone. */
static void look_for_bytes(Retention *self)
{
    int64_t before_us = clock_wall_us() - (int64_t)self->config->history_retention_s * USEC_PER_SEC;

    store_submit(self->store, store_request_expired(MAX(before_us, self->asked_us), PAGE_ROWS),
                 on_expired, self);
}

static gboolean on_look_again(gpointer data)
{
    Retention *self = data;

    self->looking = 0;
    look_for_bytes(self);
    return G_SOURCE_REMOVE;
}

/* rows */

static bool is_free(const Retention *self, const Transfer *transfer, int64_t now_us)
{
    bool received = transfer->direction == DIRECTION_RECEIVE && transfer->state == TRANSFER_DONE;
    uint32_t kept_s = received ? MAX(RECENT_S, self->config->repeat_retention_s) : RECENT_S;

    return transfer_state_is_final(transfer->state) && !transfer->data_kept &&
           transfer->finished_us < now_us - (int64_t)kept_s * USEC_PER_SEC &&
           !(received && !transfer->hidden &&
             spool_inbox_has(self->spool, transfer->partner, transfer->path));
}

static bool is_old(const Retention *self, int64_t time_us, int64_t now_us)
{
    if (time_us < self->clearing_us)
        return true;
    return self->config->rows_retention_s != 0 &&
           time_us < now_us - (int64_t)self->config->rows_retention_s * USEC_PER_SEC;
}

static void begin_step(Retention *self);

static gboolean on_pause_over(gpointer data)
{
    Retention *self = data;

    self->pause = 0;
    begin_step(self);
    return G_SOURCE_REMOVE;
}

static void end_step(Retention *self)
{
    if (self->removed->len > 0 && self->observer != NULL)
        self->observer(self->removed, self->data);
    g_ptr_array_set_size(self->removed, 0);
    g_hash_table_remove_all(self->asked);
    self->passing = !self->at_end;
    if (self->passing)
        self->pause = g_timeout_add(PAUSE_MS, on_pause_over, self);
    else if (self->asked_us == self->clearing_us)
        self->asked_us = self->clearing_us = 0;
    else
        begin_pass(self); /* somebody asked during this one */
}

static void on_removed(StoreResult *result, gpointer data)
{
    Retention *self = data;
    int64_t id = (int64_t)result->number;
    gpointer transfer = NULL;
    char text[LOG_NUMBER_BYTES];

    if (result->error == NULL) {
        if (g_hash_table_steal_extended(self->asked, &id, NULL, &transfer))
            g_ptr_array_add(self->removed, transfer);
    } else if (result->error->code != BASE_ERROR_NOT_FOUND) {
        log_event(LOG_STORE_FAILED, "TRANSFER", log_number(text, id), "REASON",
                  result->error->message, NULL);
        self->at_end = true;
    }
    store_result_free(result); /* not found: another daemon's, or its offer is still there */
    self->removing--;
    if (self->removing == 0)
        end_step(self);
}

static void on_oldest(StoreResult *result, gpointer data)
{
    Retention *self = data;
    int64_t now_us = clock_wall_us();
    bool old = false;

    self->removing = 1; /* this step itself */
    for (guint i = 0; result->error == NULL && i < result->transfers->len; i++) {
        const Transfer *transfer = g_ptr_array_index(result->transfers, i);
        Transfer *asked;

        self->after_id = transfer->id;
        old = old || is_old(self, transfer->created_us, now_us);
        if (!is_free(self, transfer, now_us) ||
            (self->excess <= 0 && !is_old(self, transfer->finished_us, now_us)))
            continue;
        self->excess--;
        self->removing++;
        asked = transfer_copy(transfer);
        g_hash_table_insert(self->asked, &asked->id, asked);
        store_submit(self->store, store_request_remove(transfer->id), on_removed, self);
    }
    self->at_end = result->error != NULL || result->transfers->len < STEP_ROWS ||
                   (!old && self->excess <= 0);
    store_result_free(result); /* an error: the next turn begins again */
    self->removing--;
    if (self->removing == 0)
        end_step(self);
}

static void on_tally(StoreResult *result, gpointer data)
{
    Retention *self = data;

    self->excess = result->error == NULL && self->config->rows_max != 0
                           ? (int64_t)result->number - self->config->rows_max
                           : 0;
    store_result_free(result);
    store_submit(self->store, store_request_oldest(self->after_id, STEP_ROWS), on_oldest, self);
}

/* Counted again for each step: other daemons remove too. */
static void begin_step(Retention *self)
{
    store_submit(self->store, store_request_tally(0, 0), on_tally, self);
}

static void begin_pass(Retention *self)
{
    if (self->passing ||
        (self->config->rows_retention_s == 0 && self->config->rows_max == 0 && self->asked_us == 0))
        return;
    self->clearing_us = self->asked_us;
    self->passing = true;
    self->after_id = 0;
    begin_step(self);
}

static gboolean on_turn(gpointer data)
{
    Retention *self = data;
    look_for_bytes(self);
    begin_pass(self);
    return G_SOURCE_CONTINUE;
}

static void free_transfer(gpointer transfer)
{
    transfer_free(transfer);
}

void retention_set_observer(Retention *self, RetentionObserver observer, gpointer data)
{
    self->observer = observer;
    self->data = data;
}

Retention *retention_new(Store *store, Spool *spool, Config *config)
{
    Retention *self = g_new0(Retention, 1);

    self->store = store;
    self->spool = spool;
    self->config = config_ref(config);
    self->asked = g_hash_table_new_full(g_int64_hash, g_int64_equal, NULL, free_transfer);
    self->removed = g_ptr_array_new_with_free_func(free_transfer);
    self->timer = g_timeout_add_seconds(TURN_S, on_turn, self);
    begin_pass(self);
    return self;
}

void retention_free(Retention *self)
{
    if (self == NULL)
        return;
    g_source_remove(self->timer);
    if (self->pause != 0)
        g_source_remove(self->pause);
    if (self->looking != 0)
        g_source_remove(self->looking);
    config_unref(self->config);
    g_hash_table_unref(self->asked);
    g_ptr_array_unref(self->removed);
    g_free(self);
}

void retention_set_config(Retention *self, Config *config)
{
    config_unref(self->config);
    self->config = config_ref(config);
    begin_pass(self);
}

void retention_clean(Retention *self, int64_t before_us)
{
    self->asked_us = MAX(self->asked_us, before_us);
    look_for_bytes(self);
}
