/* SPDX-License-Identifier: Apache-2.0 */
/* Favourites: transfers that are wanted again and again, by a name. */
#include "admin/plan.h"

#include "base/clock.h"

#include <inttypes.h>
#include <string.h>

#define KIND "favorite"
#define PATH "/api/v1/favorites/"

/* clang-format off */
static const PlanField FIELDS[] = { PLAN_FIELDS, { NULL, FIELD_TEXT, 0, 0, NULL, NULL } };
/* clang-format on */

/* How often a favourite was used stands in its document, and is no change of it. */
static void write_favourite(GString *out, const Record *record, const Json *document)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(Json) whole = NULL, more = NULL;
    g_autofree char *own = json_dup_text(document), *merged = NULL;
    int64_t used_us = 0;

    (void)json_get_number(document, "lastUsedUs", &used_us, NULL); /* our own */
    json_open(text, NULL, '{');
    json_text(text, "id", record->id);
    json_time(text, "lastUsedAt", used_us);
    json_time(text, "createdAt", record->created_us);
    json_close(text, '}');
    whole = json_read(own, strlen(own), NULL);
    more = json_read(text->str, text->len, NULL);
    json_merge(whole, more);
    json_remove(whole, "lastUsedUs");
    merged = json_dup_text(whole);
    json_raw(out, NULL, merged);
}

static void answer(Request *request, unsigned status, const Record *record, const Json *document,
                   const char *ignored)
{
    write_favourite(request_answer(request, status), record, document);
    request_note_ignored(request, ignored);
    draft_add_etag(request, plan_document_version(document));
}

static bool check(Request *request, Json *document)
{
    g_autoptr(GError) error = NULL;
    const char *name;
    Plan plan;

    if (!plan_complete(request, document))
        return false;
    if (plan_check_name(document, &name, &error) && plan_read(document, &plan, &error))
        return true;
    request_fail(request, error);
    return false;
}

/* lists */

static int64_t number_of(const Record *record, const char *field)
{
    g_autoptr(Json) document = json_read(record->document, strlen(record->document), NULL);
    int64_t number = 0;

    if (document != NULL)
        (void)json_get_number(document, field, &number, NULL); /* our own */
    return number;
}

static gint compare(gconstpointer a, gconstpointer b, gpointer field)
{
    int64_t first = number_of(*(const Record *const *)a, field);
    int64_t second = number_of(*(const Record *const *)b, field);

    return first < second ? 1 : first > second ? -1 : 0;
}

static const char *sort_field(const char *word)
{
    if (word == NULL)
        return NULL;
    return strcmp(word, "lastUsed") == 0 ? "lastUsedUs" : "usageCount";
}

void favourites_list(Request *request)
{
    const char *after = request_query(request, "after"), *sort = request_query(request, "sortBy");
    int64_t limit = 100;
    g_autoptr(StoreResult) found = NULL;
    GString *out;

    if (!request_query_number(request, "limit", 1, PLAN_PAGE_MAX, &limit))
        return;
    if (sort != NULL && strcmp(sort, "lastUsed") != 0 && strcmp(sort, "usageCount") != 0) {
        request_problem(request, 400, "invalid", "sortBy",
                        "sortBy: it must be lastUsed or usageCount");
        return;
    }
    found = request_store(
            request, store_request_record_list(KIND, after != NULL ? after : "", (uint32_t)limit));
    if (found == NULL)
        return;
    if (sort != NULL)
        g_ptr_array_sort_with_data(found->records, compare, (gpointer)(uintptr_t)sort_field(sort));
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (guint i = 0; i < found->records->len; i++) {
        const Record *record = g_ptr_array_index(found->records, i);
        g_autoptr(Json) document = json_read(record->document, strlen(record->document), NULL);

        if (document != NULL)
            write_favourite(out, record, document);
    }
    json_close(out, ']');
}

void favourites_show(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = plan_document_get(request, KIND, request->parameters[0], &document);

    if (record != NULL)
        answer(request, 200, record, document, NULL);
}

/* changes */

static void create(Request *request, Json *document, const char *ignored)
{
    g_autofree char *id = g_uuid_string_random(), *where = g_strconcat(PATH, id, NULL);
    g_autoptr(Record) record = record_new(KIND, id, "", "");

    if (!check(request, document))
        return;
    json_set_number(document, "usageCount", 0);
    if (!plan_document_insert(request, record, document))
        return;
    request_note_change(request, NULL, record->document);
    request_add_header(request, "Location", where);
    answer(request, 201, record, document, ignored);
    plan_tell(request, KIND, id, record->name, "created");
}

void favourites_create(Request *request)
{
    g_autofree char *ignored = NULL;
    g_autoptr(Json) body = plan_read_body(request, FIELDS, &ignored);
    g_autoptr(Json) document = json_read("{}", 2, NULL);

    if (body == NULL)
        return;
    plan_merge(document, body, FIELDS);
    create(request, document, ignored);
}

/* Of what we called for: what a partner brought or took is for the partner to begin. */
void favourites_create_from_history(Request *request)
{
    const char *name = request_query(request, "name");
    g_autoptr(Json) document = json_read("{}", 2, NULL);
    g_autofree char *description = NULL;
    g_autoptr(StoreResult) found = NULL;
    const Transfer *transfer;
    int64_t id;

    if (!g_ascii_string_to_signed(request->parameters[0], 10, 1, G_MAXINT64, &id, NULL)) {
        request_problem(request, 404, "not-found", "id", "no transfer '%s'",
                        request->parameters[0]);
        return;
    }
    found = request_store(request, store_request_get(id));
    if (found == NULL)
        return;
    transfer = found->transfer;
    if (transfer->direction == DIRECTION_RECEIVE || transfer->direction == DIRECTION_SERVE) {
        request_problem(request, 409, "conflict", "id",
                        "transfer %" PRId64 " is a %s: its partner began it", id,
                        transfer_direction_name(transfer->direction));
        return;
    }
    description = g_strdup_printf("Created from transfer %" PRId64, id);
    if (name != NULL)
        json_set_text(document, "name", name);
    json_set_text(document, "description", description);
    if (transfer->direction == DIRECTION_FETCH) {
        json_set_text(document, "direction", "RECEIVE");
        json_set_text(document, "partnerId", transfer->partner);
        json_set_text(document, "path", transfer->path);
    } else {
        json_set_number(document, "replayOf", id);
    }
    create(request, document, NULL);
}

void favourites_update(Request *request)
{
    g_autofree char *ignored = NULL, *before = NULL;
    g_autoptr(Json) body = plan_read_body(request, FIELDS, &ignored);
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record =
            body != NULL ? plan_document_get(request, KIND, request->parameters[0], &document)
                         : NULL;

    if (record == NULL || !draft_check_match(request, plan_document_version(document)))
        return;
    before = g_strdup(record->document);
    plan_merge(document, body, FIELDS);
    if (!check(request, document) || !plan_document_update(request, record, document))
        return;
    request_note_change(request, before, record->document);
    answer(request, 200, record, document, ignored);
    plan_tell(request, KIND, record->id, record->name, "updated");
}

void favourites_remove(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = plan_document_get(request, KIND, request->parameters[0], &document);

    if (record == NULL || !draft_check_match(request, plan_document_version(document)) ||
        !schedules_check_unused(request, "favoriteId", record->id, "uses it") ||
        !plan_document_remove(request, record))
        return;
    request_note_change(request, record->document, NULL);
    (void)request_answer(request, 204);
    plan_tell(request, KIND, record->id, record->name, "removed");
}

/* use */

/* Others may use it in the same moment: who comes second counts on. */
static void count_use(Request *request, const char *id)
{
    for (unsigned attempt = 0; attempt < 8; attempt++) {
        g_autoptr(StoreResult) found = request_execute(request, store_request_record_get(KIND, id));
        const Record *record = found->error == NULL ? g_ptr_array_index(found->records, 0) : NULL;
        g_autoptr(Json) document =
                record != NULL ? json_read(record->document, strlen(record->document), NULL) : NULL;
        g_autoptr(StoreResult) stored = NULL;
        g_autoptr(Record) changed = NULL;
        g_autofree char *text = NULL;

        if (document == NULL)
            return;
        json_set_number(document, "usageCount", number_of(record, "usageCount") + 1);
        json_set_number(document, "lastUsedUs", clock_wall_us());
        text = json_dup_text(document);
        changed = record_new(KIND, id, record->name, text);
        stored = request_execute(request, store_request_record_update(changed, record->updated_us));
        if (stored->error == NULL || stored->error->code != BASE_ERROR_CONFLICT)
            return;
    }
}

void favourites_execute(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Record) record = plan_document_get(request, KIND, request->parameters[0], &document);
    g_autoptr(GError) error = NULL;
    Plan plan;

    if (record == NULL)
        return;
    if (!plan_read(document, &plan, &error)) {
        request_fail(request, error);
        return;
    }
    if (plan_execute(request, &plan) != 0)
        count_use(request, record->id);
}
