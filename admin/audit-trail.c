/* SPDX-License-Identifier: Apache-2.0 */
/* The audit trail as it is read: its rows, and whether each follows the one before it. */
#include "admin/admin-private.h"

#include <string.h>

#define PAGE     500
#define PAGE_MAX 1000

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
    g_autofree char *computed = audit_dup_hash(entry);

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
