/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit trail: one thread numbers the rows and links each to the one before by SHA-256 over its hash and its
 * fields, each with its length before it. A row that is changed, removed or put in breaks the chain; one that is
 * cut off at the end is found by comparing with a head that was noted elsewhere. What waits goes to the store together,
 * each row only behind the one that it follows, and waits for a store that is away; who asked does not, for long.
 * Which transfers have ended and lack their row the store knows (audit_due), also after a stop. Rows go, the oldest
 * first, when they are older than they are kept and a row says so.
 */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdatomic.h>
#include <string.h>

#define BATCH         128
#define SLICE_US      (100 * 1000)
#define PATIENCE_US   (5 * USEC_PER_SEC)    /* of who asked */
#define ATTEMPTS_MAX  5                     /* when somebody else writes the same numbers */
#define LAST_WORDS_US (2 * USEC_PER_SEC)    /* for the store, when the daemon ends */
#define GATHER_US     (100 * 1000)          /* rows of transfers that end wait so long for others */
#define LOOK_US       (3600 * USEC_PER_SEC) /* for rows that are too old */
#define PRUNE_ROWS    10000                 /* that one row says of */
#define REMOVE_ROWS   500                   /* at once, with pauses: the store has other work */
#define REMOVE_US     (50 * 1000)
#define PAUSE_US      (60 * USEC_PER_SEC) /* after an error, before what is due is looked at again */

struct Audit {
    Store *store;
    Mailbox *entries;  /* Pending *; without an entry: something is due */
    atomic_bool noted; /* such a one is in it */
    _Atomic uint32_t kept_s;
    GThread *thread;
    /* the thread's */
    GQueue waiting; /* Pending *: not yet stored, the oldest first */
    int64_t seq;
    char *hash;
    int64_t due_us;     /* monotonic: when to look at what is due; INT64_MAX: nothing is */
    int64_t prune_us;   /* monotonic: when to look at what is too old */
    int64_t remove_seq; /* so far rows may go, a row says; 0: none */
    uint32_t seen_s;    /* kept_s, as prune_us has it */
    int64_t closing_us; /* monotonic; 0: not yet */
};

typedef struct {
    AuditEntry *entry;
    int64_t until_us;  /* monotonic: nobody waits any more */
    int64_t prune_seq; /* rows up to it may go when it is stored; 0: it says nothing of others */
    /* one of them, or neither; NULL once it is told */
    Reply *reply; /* GError *, NULL when it is stored */
    AuditDone on_done;
    gpointer data;
} Pending;

/* error: borrowed, NULL: it is stored. */
static void tell(Pending *pending, const GError *error)
{
    if (pending->reply != NULL)
        reply_post(pending->reply, error != NULL ? g_error_copy(error) : NULL);
    g_clear_pointer(&pending->reply, reply_unref);
    if (pending->on_done != NULL)
        pending->on_done(pending->data);
    pending->on_done = NULL;
}

static void pending_free(gpointer message)
{
    Pending *pending = message;
    g_autoptr(GError) error =
            g_error_new(BASE_ERROR, BASE_ERROR_CANCELLED, "the audit trail has ended");

    tell(pending, error);
    g_clear_pointer(&pending->entry, audit_entry_free);
    g_free(pending);
}

static void free_error(gpointer error)
{
    if (error != NULL)
        g_error_free(error);
}

char *audit_dup_hash(const AuditEntry *entry)
{
    g_autoptr(GString) text = g_string_new(NULL);
    const char *const fields[] = {entry->previous, entry->actor,  entry->address,
                                  entry->action,   entry->object, entry->detail};

    g_string_append_printf(text, "%" G_GINT64_FORMAT ";%" G_GINT64_FORMAT ";", entry->seq,
                           entry->time_us);
    for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
        g_string_append_printf(text, "%zu:%s;", strlen(fields[i]), fields[i]);
    return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text->str, (gssize)text->len);
}

static bool take_head(Audit *self, StoreResult *last, GError **error)
{
    const AuditEntry *entry;

    if (last->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&last->error));
        return false;
    }
    entry = last->audits->len > 0 ? g_ptr_array_index(last->audits, 0) : NULL;
    self->seq = entry != NULL ? entry->seq : 0;
    g_free(self->hash);
    self->hash = g_strdup(entry != NULL ? entry->hash : "");
    return true;
}

static void take(Audit *self, Pending *pending)
{
    if (pending->entry != NULL) {
        g_queue_push_tail(&self->waiting, pending);
        return;
    }
    pending_free(pending);
    self->due_us = MIN(self->due_us, clock_now_us() + GATHER_US);
}

/* Who waited too long hears so; what he did is stored all the same, later. */
static void take_more(Audit *self)
{
    g_autoptr(GError) error = g_error_new(BASE_ERROR, BASE_ERROR_TIMEOUT, "it is not stored yet");
    int64_t now_us = clock_now_us();
    Pending *pending;

    while ((pending = mailbox_take(self->entries)) != NULL)
        take(self, pending);
    for (GList *link = self->waiting.head; link != NULL; link = link->next) {
        pending = link->data;
        if (pending->until_us <= now_us)
            tell(pending, error);
    }
    if (self->closing_us == 0 && mailbox_is_closed(self->entries))
        self->closing_us = now_us;
}

static Reply *begin(Audit *self, AuditEntry *entry)
{
    entry->seq = self->seq + 1;
    g_free(entry->previous);
    g_free(entry->hash);
    entry->previous = g_strdup(self->hash);
    entry->hash = audit_dup_hash(entry);
    self->seq = entry->seq;
    g_free(self->hash);
    self->hash = g_strdup(entry->hash);
    return store_begin(self->store, store_request_set_patient(store_request_audit_append(entry)));
}

/* NULL: the daemon ends, and the store does not answer. */
static StoreResult *await(Audit *self, Reply *reply)
{
    gpointer value = NULL;

    while (!reply_wait(reply, clock_now_us() + SLICE_US, &value)) {
        take_more(self);
        if (self->closing_us != 0 && clock_now_us() - self->closing_us > LAST_WORDS_US)
            return NULL;
    }
    return value;
}

/* NULL: as await. */
static StoreResult *await_last(Audit *self)
{
    g_autoptr(Reply) reply =
            store_begin(self->store, store_request_set_patient(store_request_audit_last()));

    return await(self, reply);
}

/* The first of those that wait, in their order: none is stored behind one that is not. False: the daemon ends. */
static bool finish(Audit *self, GPtrArray *replies, guint *ret_stored, GError **error)
{
    bool failed = false;

    *ret_stored = 0;
    for (guint i = 0; i < replies->len; i++) {
        g_autoptr(StoreResult) result = await(self, g_ptr_array_index(replies, i));
        Pending *pending;

        if (result == NULL)
            return false;
        if (result->error != NULL && !failed)
            g_propagate_error(error, g_steal_pointer(&result->error));
        failed = failed || *error != NULL;
        if (failed)
            continue;
        pending = g_queue_pop_head(&self->waiting);
        if (pending->prune_seq != 0)
            self->prune_us = 0;
        self->remove_seq = MAX(self->remove_seq, pending->prune_seq);
        tell(pending, NULL);
        pending_free(pending);
        (*ret_stored)++;
    }
    return true;
}

static void give_up(Audit *self, guint count, const char *why)
{
    g_autoptr(GError) error = g_error_new(BASE_ERROR, BASE_ERROR_IO, "%s", why);

    for (guint i = 0; i < count; i++) {
        Pending *pending = g_queue_pop_head(&self->waiting);

        log_event(LOG_STORE_FAILED, "REASON", why, NULL);
        if (pending->entry->transfer_id != 0)
            self->due_us = clock_now_us() + PAUSE_US;
        tell(pending, error);
        pending_free(pending);
    }
}

static void begin_first(Audit *self, guint count, GPtrArray *replies)
{
    GList *link = self->waiting.head;

    for (guint i = 0; i < count; i++, link = link->next)
        g_ptr_array_add(replies, begin(self, ((Pending *)link->data)->entry));
}

/* Some of those that wait. */
static void store_some(Audit *self)
{
    guint count = MIN(g_queue_get_length(&self->waiting), BATCH);

    for (unsigned attempt = 1; count > 0; attempt++) {
        g_autoptr(GPtrArray) replies = g_ptr_array_new_with_free_func((GDestroyNotify)reply_unref);
        g_autoptr(GError) error = NULL;
        g_autoptr(StoreResult) last = NULL;
        guint stored;

        begin_first(self, count, replies);
        if (!finish(self, replies, &stored, &error)) {
            give_up(self, g_queue_get_length(&self->waiting), "the audit trail has ended");
            return;
        }
        count -= stored;
        if (count == 0)
            return;
        last = await_last(self);
        if (last != NULL && take_head(self, last, NULL) && attempt < ATTEMPTS_MAX)
            continue;
        give_up(self, 1, error->message);
        return;
    }
}

static char *dup_valid(const char *text)
{
    return g_utf8_make_valid(text != NULL ? text : "", -1);
}

static Pending *pending_new(const AuditAct *act)
{
    Pending *pending = g_new0(Pending, 1);
    AuditEntry *entry = g_new0(AuditEntry, 1);

    entry->time_us = clock_wall_us();
    entry->actor = dup_valid(act->actor);
    entry->address = dup_valid(act->address);
    entry->action = dup_valid(act->action);
    entry->object = dup_valid(act->object);
    entry->detail = dup_valid(act->detail);
    pending->entry = entry;
    pending->until_us = clock_now_us() + PATIENCE_US;
    return pending;
}

static Pending *pending_of_end(const Transfer *transfer)
{
    g_autofree char *action = g_strconcat("transfer ", transfer_state_name(transfer->state), NULL);
    g_autofree char *object = g_strdup_printf("/api/v1/transfers/%" G_GINT64_FORMAT, transfer->id);
    g_autoptr(GString) detail = g_string_new(NULL);
    AuditAct act = {transfer->actor, transfer->origin, action, object, NULL};
    Pending *pending;

    json_open(detail, NULL, '{');
    json_raw(detail, "before", "null");
    transfer_write_stored(detail, "after", transfer);
    json_close(detail, '}');
    act.detail = detail->str;
    pending = pending_new(&act);
    pending->entry->time_us = transfer->finished_us;
    pending->entry->transfer_id = transfer->id;
    return pending;
}

/* Some of what is due joins those that wait, none of which is one of them. */
static void take_due(Audit *self)
{
    g_autoptr(Reply) reply = NULL;
    g_autoptr(StoreResult) due = NULL;

    self->due_us = INT64_MAX;
    atomic_store(&self->noted, false); /* who notes one now is looked at again */
    reply = store_begin(self->store, store_request_set_patient(store_request_audit_due(BATCH)));
    due = await(self, reply);
    if (due == NULL)
        return;
    if (due->error != NULL) {
        log_event(LOG_STORE_FAILED, "REASON", due->error->message, NULL);
        self->due_us = clock_now_us() + PAUSE_US;
        return;
    }
    for (guint i = 0; i < due->transfers->len; i++)
        g_queue_push_tail(&self->waiting, pending_of_end(g_ptr_array_index(due->transfers, i)));
    if (due->transfers->len == BATCH)
        self->due_us = 0;
}

static void store_all(Audit *self)
{
    do {
        take_more(self);
        store_some(self);
    } while (!g_queue_is_empty(&self->waiting));
}

/* what is too old */

/* How long to wait before the next step. */
static int64_t remove_some(Audit *self)
{
    g_autoptr(Reply) reply = store_begin(
            self->store,
            store_request_set_patient(store_request_audit_remove(self->remove_seq, REMOVE_ROWS)));
    g_autoptr(StoreResult) removed = await(self, reply);

    if (removed == NULL)
        return LOOK_US;
    if (removed->error != NULL) {
        log_event(LOG_STORE_FAILED, "REASON", removed->error->message, NULL);
        return PAUSE_US;
    }
    if (removed->number < REMOVE_ROWS)
        self->remove_seq = 0;
    return REMOVE_US;
}

static Pending *pending_of_removal(const AuditEntry *last)
{
    g_autoptr(GString) detail = g_string_new(NULL);
    AuditAct act = {"pesitd", "local", AUDIT_PRUNE, "/api/v1/audit", NULL};
    Pending *pending;

    json_open(detail, NULL, '{');
    json_number(detail, "seq", last->seq);
    json_text(detail, "hash", last->hash);
    json_time(detail, "timestamp", last->time_us);
    json_close(detail, '}');
    act.detail = detail->str;
    pending = pending_new(&act);
    pending->prune_seq = last->seq;
    return pending;
}

/* Rows that may go are told of before they go. As remove_some. */
static int64_t find_old(Audit *self)
{
    int64_t before_us = clock_wall_us() - (int64_t)self->seen_s * USEC_PER_SEC;
    g_autoptr(Reply) reply = store_begin(
            self->store, store_request_set_patient(store_request_audit_old(before_us, PRUNE_ROWS)));
    g_autoptr(StoreResult) old = await(self, reply);

    if (old == NULL)
        return LOOK_US;
    if (old->error != NULL)
        log_event(LOG_STORE_FAILED, "REASON", old->error->message, NULL);
    if (old->error != NULL || old->audits->len == 0)
        return LOOK_US;
    g_queue_push_tail(&self->waiting, pending_of_removal(g_ptr_array_index(old->audits, 0)));
    return LOOK_US; /* at once when it is stored */
}

static void prune(Audit *self)
{
    uint32_t kept_s = atomic_load(&self->kept_s);
    int64_t pause_us;

    if (kept_s != self->seen_s)
        self->prune_us = 0;
    self->seen_s = kept_s;
    if (clock_now_us() < self->prune_us)
        return;
    pause_us = self->remove_seq != 0 ? remove_some(self) : kept_s != 0 ? find_old(self) : LOOK_US;
    self->prune_us = clock_now_us() + pause_us;
}

/* At the end what is due is looked at once more. */
static gpointer audit_main(gpointer data)
{
    Audit *self = data;
    bool open = true;

    while (open) {
        Pending *pending = mailbox_wait(self->entries, MIN(self->due_us, self->prune_us));

        if (pending != NULL)
            take(self, pending);
        open = pending != NULL || !mailbox_is_closed(self->entries);
        store_all(self);
        if (!open || clock_now_us() >= self->due_us)
            take_due(self);
        store_all(self);
        if (open)
            prune(self);
        store_all(self);
    }
    return NULL;
}

Audit *audit_new(Store *store, GError **error)
{
    Audit *self = g_new0(Audit, 1);
    g_autoptr(StoreResult) last = NULL;

    self->store = store;
    self->due_us = 0; /* what the last stop left */
    g_queue_init(&self->waiting);
    last = store_execute(store, store_request_audit_last());
    if (!take_head(self, last, error)) {
        g_free(self);
        return NULL;
    }
    self->entries = mailbox_new(pending_free);
    self->thread = g_thread_new("audit", audit_main, self);
    return self;
}

void audit_free(Audit *self)
{
    if (self == NULL)
        return;
    mailbox_close(self->entries);
    (void)g_thread_join(self->thread); /* nothing is returned */
    mailbox_unref(self->entries);
    g_free(self->hash);
    g_free(self);
}

bool audit_append(Audit *self, const AuditAct *act, GError **error)
{
    g_autoptr(Reply) reply = reply_new(free_error);
    Pending *pending = pending_new(act);
    gpointer failure = NULL;

    pending->reply = reply_ref(reply);
    (void)mailbox_post(self->entries, pending);   /* closed: told too */
    (void)reply_wait(reply, INT64_MAX, &failure); /* it is always told */
    if (failure == NULL)
        return true;
    g_propagate_prefixed_error(error, failure, "audit: ");
    return false;
}

void audit_post(Audit *self, const AuditAct *act, AuditDone on_done, gpointer data)
{
    Pending *pending = pending_new(act);

    pending->on_done = on_done;
    pending->data = data;
    (void)mailbox_post(self->entries, pending); /* closed: told too */
}

void audit_set_kept(Audit *self, uint32_t kept_s)
{
    atomic_store(&self->kept_s, kept_s);
    (void)mailbox_post(self->entries, g_new0(Pending, 1)); /* it looks */
}

void audit_note_end(Audit *self)
{
    if (!atomic_exchange(&self->noted, true))
        (void)mailbox_post(self->entries, g_new0(Pending, 1)); /* closed: the next start looks */
}
