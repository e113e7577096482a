/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit trail: one thread numbers the rows and links each to the one before by SHA-256 over its hash and its
 * fields, each with its length before it. A row that is changed, removed or put in breaks the chain; one that is
 * cut off at the end is found by comparing with a head that was noted elsewhere.
 */
#include "admin/admin-private.h"

#include "base/clock.h"

#include <string.h>

#define PAGE     500
#define PAGE_MAX 1000

struct Audit {
    Store *store;
    Mailbox *entries; /* Pending * */
    GThread *thread;
    int64_t seq; /* the thread's */
    char *hash;
};

typedef struct {
    AuditEntry *entry;
    Reply *reply; /* GError *, NULL when it is stored */
} Pending;

static void pending_free(gpointer message)
{
    Pending *pending = message;

    audit_entry_free(pending->entry);
    reply_unref(pending->reply);
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

static bool load_head(Audit *self, GError **error)
{
    g_autoptr(StoreResult) last = store_execute(self->store, store_request_audit_last());
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

static GError *store_entry(Audit *self, AuditEntry *entry)
{
    g_autoptr(StoreResult) result = NULL;

    entry->seq = self->seq + 1;
    g_free(entry->previous);
    g_free(entry->hash);
    entry->previous = g_strdup(self->hash);
    entry->hash = dup_hash(entry);
    result = store_execute(self->store, store_request_audit_append(entry));
    if (result->error != NULL) {
        (void)load_head(self, NULL); /* what happened may be the opposite of what was told */
        return g_steal_pointer(&result->error);
    }
    self->seq = entry->seq;
    g_free(self->hash);
    self->hash = g_strdup(entry->hash);
    return NULL;
}

static gpointer audit_main(gpointer data)
{
    Audit *self = data;

    for (;;) {
        Pending *pending = mailbox_wait(self->entries, INT64_MAX);
        GError *error;

        if (pending == NULL)
            return NULL;
        error = store_entry(self, pending->entry);
        reply_post(pending->reply, error);
        pending_free(pending);
    }
}

Audit *audit_new(Store *store, GError **error)
{
    Audit *self = g_new0(Audit, 1);

    self->store = store;
    if (!load_head(self, error)) {
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

bool audit_append(Audit *self, const char *actor, const char *address, const char *action,
                  const char *object, const char *detail, GError **error)
{
    g_autoptr(Reply) reply = reply_new(free_error);
    Pending *pending = g_new0(Pending, 1);
    AuditEntry *entry = g_new0(AuditEntry, 1);
    gpointer failure = NULL;

    entry->time_us = clock_wall_us();
    entry->actor = dup_valid(actor);
    entry->address = dup_valid(address);
    entry->action = dup_valid(action);
    entry->object = dup_valid(object);
    entry->detail = dup_valid(detail);
    pending->entry = entry;
    pending->reply = reply_ref(reply);
    if (!mailbox_post(self->entries, pending) || !reply_wait(reply, INT64_MAX, &failure)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_CANCELLED, "the audit trail has ended");
        return false;
    }
    if (failure == NULL)
        return true;
    g_propagate_prefixed_error(error, failure, "audit: ");
    return false;
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
