/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit trail: one thread numbers the rows and links each to the one before by SHA-256 over its hash and its
 * fields, each with its length before it. A row that is changed, removed or put in breaks the chain; one that is
 * cut off at the end is found by comparing with a head that was noted elsewhere. What waits goes to the store together,
 * each row only behind the one that it follows, and waits for a store that is away; who asked does not, for long.
 */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

#define PAGE          500
#define PAGE_MAX      1000
#define BATCH         128
#define SLICE_US      (100 * 1000)
#define PATIENCE_US   (5 * USEC_PER_SEC) /* of who asked */
#define ATTEMPTS_MAX  5                  /* when somebody else writes the same numbers */
#define LAST_WORDS_US (2 * USEC_PER_SEC) /* for the store, when the daemon ends */

struct Audit {
    Store *store;
    Mailbox *entries; /* Pending * */
    GThread *thread;
    /* the thread's */
    GQueue waiting; /* Pending *: not yet stored, the oldest first */
    int64_t seq;
    char *hash;
    int64_t closing_us; /* monotonic; 0: not yet */
};

typedef struct {
    AuditEntry *entry;
    int64_t until_us; /* monotonic: nobody waits any more */
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
    audit_entry_free(pending->entry);
    g_free(pending);
}

static void free_error(gpointer error)
{
    if (error != NULL)
        g_error_free(error);
}

static char *dup_hash(const AuditEntry *entry)
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

/* Who waited too long hears so; what he did is stored all the same, later. */
static void take_more(Audit *self)
{
    g_autoptr(GError) error = g_error_new(BASE_ERROR, BASE_ERROR_TIMEOUT, "it is not stored yet");
    int64_t now_us = clock_now_us();
    Pending *pending;

    while ((pending = mailbox_take(self->entries)) != NULL)
        g_queue_push_tail(&self->waiting, pending);
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
    entry->hash = dup_hash(entry);
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

static gpointer audit_main(gpointer data)
{
    Audit *self = data;

    for (;;) {
        Pending *pending = mailbox_wait(self->entries, INT64_MAX);

        if (pending == NULL)
            return NULL;
        g_queue_push_tail(&self->waiting, pending);
        do {
            take_more(self);
            store_some(self);
        } while (!g_queue_is_empty(&self->waiting));
    }
}

Audit *audit_new(Store *store, GError **error)
{
    Audit *self = g_new0(Audit, 1);
    g_autoptr(StoreResult) last = NULL;

    self->store = store;
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

/* routes */

/* What the query asks for; texts: NULL for all. */
typedef struct {
    const char *actor, *address, *action, *object;
    int64_t from_us, to_us; /* 0: open */
} Filter;

static bool read_filter(Request *request, Filter *filter)
{
    filter->actor = request_query(request, "username");
    filter->address = request_query(request, "clientIp");
    filter->action = request_query(request, "action");
    if (filter->action == NULL)
        filter->action = request_query(request, "eventType");
    filter->object = request_query(request, "object");
    return request_query_time(request, "from", "startTime", &filter->from_us) &&
           request_query_time(request, "to", "endTime", &filter->to_us);
}

static bool is_wanted(const Filter *filter, const AuditEntry *entry)
{
    return (filter->actor == NULL || strcmp(entry->actor, filter->actor) == 0) &&
           (filter->address == NULL || strcmp(entry->address, filter->address) == 0) &&
           (filter->action == NULL || strstr(entry->action, filter->action) != NULL) &&
           (filter->object == NULL || strstr(entry->object, filter->object) != NULL) &&
           entry->time_us >= filter->from_us &&
           (filter->to_us == 0 || entry->time_us < filter->to_us);
}

static void write_entry(GString *out, const AuditEntry *entry)
{
    json_open(out, NULL, '{');
    json_number(out, "seq", entry->seq);
    json_time(out, "timestamp", entry->time_us);
    json_text(out, "username", entry->actor);
    json_text(out, "clientIp", entry->address);
    json_text(out, "action", entry->action);
    json_text(out, "object", entry->object);
    json_text(out, "details", entry->detail);
    json_text(out, "hash", entry->hash);
    json_close(out, '}');
}

/* A page is of so many rows of the trail: with a filter it may show fewer. */
void audit_list(Request *request)
{
    g_autoptr(StoreResult) result = NULL;
    int64_t after = 0, limit = 100;
    Filter filter = {NULL};
    GString *out;

    if (!request_query_number(request, "after", 0, INT64_MAX, &after) ||
        !request_query_number(request, "size", 1, PAGE_MAX, &limit) ||
        !request_query_number(request, "limit", 1, PAGE_MAX, &limit) ||
        !read_filter(request, &filter))
        return;
    result = request_store(request, store_request_audit_list(after, (uint32_t)limit));
    if (result == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_open(out, "content", '[');
    for (guint i = 0; i < result->audits->len; i++) {
        const AuditEntry *entry = g_ptr_array_index(result->audits, i);

        after = entry->seq;
        if (is_wanted(&filter, entry))
            write_entry(out, entry);
    }
    json_close(out, ']');
    if (result->audits->len == (guint)limit)
        json_number(out, "next", after);
    json_close(out, '}');
}

/* NULL: the row follows. Else what is wrong. */
static const char *check(const AuditEntry *entry, int64_t seq, const char *hash)
{
    g_autofree char *computed = dup_hash(entry);

    if (entry->seq != seq + 1)
        return "a row before it is missing";
    if (strcmp(entry->previous, hash) != 0)
        return "it does not follow the row before it";
    return strcmp(entry->hash, computed) != 0 ? "it was changed" : NULL;
}

void audit_verify(Request *request)
{
    g_autofree char *hash = g_strdup("");
    const char *wrong = NULL, *wanted = request_query(request, "hash");
    int64_t seq = 0, wanted_seq = 0;
    bool more = true, met = false;
    GString *out;

    if (!request_query_number(request, "seq", 1, INT64_MAX, &wanted_seq))
        return;
    if ((wanted_seq != 0) != (wanted != NULL)) {
        request_problem(request, 400, "invalid", wanted == NULL ? "hash" : "seq",
                        "seq and hash of a head that was noted go together");
        return;
    }
    while (more && wrong == NULL) {
        g_autoptr(StoreResult) page = request_store(request, store_request_audit_list(seq, PAGE));

        if (page == NULL)
            return;
        more = page->audits->len == PAGE;
        for (guint i = 0; i < page->audits->len && wrong == NULL; i++) {
            const AuditEntry *entry = g_ptr_array_index(page->audits, i);

            wrong = check(entry, seq, hash);
            seq = entry->seq;
            g_free(hash);
            hash = g_strdup(entry->hash);
            met = met || (seq == wanted_seq && g_strcmp0(wanted, hash) == 0);
        }
    }
    if (wrong == NULL && wanted_seq != 0 && !met)
        wrong = "the head that was noted is not in the trail: rows were cut off or written anew";
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_bool(out, "valid", wrong == NULL);
    json_number(out, "seq", seq);
    json_text(out, "hash", hash);
    json_text(out, "reason", wrong);
    json_close(out, '}');
}
