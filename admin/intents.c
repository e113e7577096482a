/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is about to be changed is noted before it is, and the note goes when the audit trail has told how it went. What a
 * daemon that was killed left behind gets its row at the next start: somebody asked, and nobody knows how it ended.
 */
#include "admin/admin-private.h"

#include <string.h>

#define PAGE     500
#define LEFT_MAX 1000

static char *dup_prefix(const Admin *admin)
{
    return g_strconcat(admin->host.owner != NULL ? admin->host.owner : "", "/", NULL);
}

char *intent_note(Request *request, const char *action)
{
    g_autofree char *prefix = dup_prefix(request->admin), *number = g_uuid_string_random();
    g_autofree char *id = g_strconcat(prefix, number, NULL);
    g_autoptr(GString) document = g_string_new(NULL);
    g_autoptr(Record) record = NULL;
    g_autoptr(StoreResult) stored = NULL;

    json_open(document, NULL, '{');
    json_text(document, "actor", request->identity.name);
    json_text(document, "address", request->address);
    json_text(document, "action", action);
    json_text(document, "object", request->path);
    json_close(document, '}');
    record = record_new(RECORD_INTENT, id, id, document->str);
    stored = request_execute(request, store_request_record_insert(record));
    if (stored->error != NULL)
        return NULL; /* the store is away: then most things fail, and all are audited when they end */
    return g_steal_pointer(&id);
}

const char *intent_number(const char *id)
{
    const char *slash = strrchr(id, '/');

    return slash != NULL ? slash + 1 : id;
}

void intent_forget(Admin *admin, const char *id)
{
    store_post(admin->host.store, store_request_record_remove(RECORD_INTENT, id, 0));
}

/* Whether a row that was written since then has the number; seq: of the last row. */
static bool is_told(Store *store, const char *number, int64_t since_us, int64_t seq)
{
    bool more = true, told = false;

    while (more && !told && seq > 0) {
        int64_t after = MAX(seq - PAGE, 0);
        g_autoptr(StoreResult) page = store_execute(store, store_request_audit_list(after, PAGE));

        if (page->error != NULL || page->audits->len == 0)
            return false;
        for (guint i = 0; i < page->audits->len && !told; i++) {
            const AuditEntry *entry = g_ptr_array_index(page->audits, i);

            told = entry->seq <= seq && strstr(entry->detail, number) != NULL;
        }
        more = ((const AuditEntry *)g_ptr_array_index(page->audits, 0))->time_us >= since_us;
        seq = after;
    }
    return told;
}

/* False: the trail did not take it. */
static bool tell(Admin *admin, const Record *record, GError **error)
{
    g_autoptr(Json) noted = json_read(record->document, strlen(record->document), NULL);
    g_autoptr(GString) detail = g_string_new(NULL);
    AuditAct act = {"", "", "", "", NULL};

    if (noted == NULL)
        return true;
    (void)json_get_text(noted, "actor", &act.actor, NULL); /* ours */
    (void)json_get_text(noted, "address", &act.address, NULL);
    (void)json_get_text(noted, "action", &act.action, NULL);
    (void)json_get_text(noted, "object", &act.object, NULL);
    json_open(detail, NULL, '{');
    json_time(detail, "askedAt", record->created_us);
    json_text(detail, "error", "nobody knows how it ended: the daemon did before it was told");
    json_text(detail, "request", intent_number(record->id));
    json_close(detail, '}');
    act.detail = detail->str;
    return audit_append(admin->audit, &act, error);
}

static int64_t find_last(Store *store)
{
    g_autoptr(StoreResult) last = store_execute(store, store_request_audit_last());

    return last->error == NULL && last->audits->len > 0
                   ? ((const AuditEntry *)g_ptr_array_index(last->audits, 0))->seq
                   : 0;
}

bool intents_settle(Admin *admin, GError **error)
{
    Store *store = admin->host.store;
    g_autofree char *prefix = dup_prefix(admin);
    g_autoptr(StoreResult) left =
            store_execute(store, store_request_record_list(RECORD_INTENT, prefix, LEFT_MAX));
    int64_t last = left->error == NULL && left->records->len > 0 ? find_last(store) : 0;

    for (guint i = 0; left->error == NULL && i < left->records->len; i++) {
        const Record *record = g_ptr_array_index(left->records, i);

        if (!g_str_has_prefix(record->id, prefix))
            break; /* another daemon's, who may be about it */
        if (!is_told(store, intent_number(record->id), record->created_us, last) &&
            !tell(admin, record, error))
            return false;
        intent_forget(admin, record->id);
    }
    if (left->error == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(&left->error));
    return false;
}
