/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies by tables of fields, and transfers by the handlers of sending and receiving. */
#include "admin/plan.h"

#include "admin/local-time.h"
#include "daemon/local/description.h"

#include <inttypes.h>
#include <string.h>

#define NAME_MAX_LENGTH 128

/* What others write, or what we answer and who writes it back. */
static const char *const WITHOUT_EFFECT[] = {"transferConfigId",
                                             "transferConfig",
                                             "sourceConnectionId",
                                             "destinationConnectionId",
                                             "serverName",
                                             "correlationId",
                                             "businessHoursStart",
                                             "businessHoursEnd",
                                             "restrictToBusinessHours",
                                             "destinationPath",
                                             "id",
                                             "version",
                                             "createdAt",
                                             "updatedAt",
                                             "usageCount",
                                             "lastUsedAt",
                                             "nextRunAt",
                                             "nextExpectedAt",
                                             "lastRunAt",
                                             "lastRunDueAt",
                                             "lastRunStatus",
                                             "lastRunError",
                                             "lastRunTransferId",
                                             "lastSuccessAt",
                                             "successCount",
                                             "failureCount",
                                             "missedCount",
                                             "holidayNames",
                                             "timezone",
                                             NULL};

static bool complain(const char *field, const char *why, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: %s", field, why);
    return false;
}

/* names */

static bool has_name(const PlanField *field, const char *name)
{
    g_auto(GStrv) aliases = g_strsplit(field->aliases != NULL ? field->aliases : "", " ", -1);

    return strcmp(field->name, name) == 0 || g_strv_contains((const char *const *)aliases, name);
}

static bool is_ignored(const char *name, const PlanField *fields)
{
    for (; fields->name != NULL; fields++) {
        if (has_name(fields, name))
            return false;
    }
    return g_strv_contains(WITHOUT_EFFECT, name);
}

/* All that a body may have. Returns new; texts are owned. */
static GPtrArray *list_names(const PlanField *fields)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);

    for (const PlanField *field = fields; field->name != NULL; field++) {
        g_auto(GStrv) aliases = g_strsplit(field->aliases != NULL ? field->aliases : "", " ", -1);

        g_ptr_array_add(names, g_strdup(field->name));
        for (size_t i = 0; aliases[i] != NULL; i++)
            g_ptr_array_add(names, g_strdup(aliases[i]));
    }
    for (size_t i = 0; WITHOUT_EFFECT[i] != NULL; i++)
        g_ptr_array_add(names, g_strdup(WITHOUT_EFFECT[i]));
    g_ptr_array_add(names, NULL);
    return names;
}

/* Takes what has no effect away. Returns the names as JSON, new, or NULL. */
static char *drop_ignored(Json *body, const PlanField *fields)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    char *ignored;

    for (size_t i = 0; WITHOUT_EFFECT[i] != NULL; i++) {
        if (is_ignored(WITHOUT_EFFECT[i], fields))
            g_ptr_array_add(names, (gpointer)(uintptr_t)WITHOUT_EFFECT[i]);
    }
    g_ptr_array_add(names, NULL);
    ignored = json_dup_present(body, (const char *const *)names->pdata);
    for (guint i = 0; i + 1 < names->len; i++)
        json_remove(body, g_ptr_array_index(names, i));
    return ignored;
}

/* The first of the names of a text under the field's own. */
static bool rename_field(Request *request, Json *body, const PlanField *field)
{
    g_auto(GStrv) owned = NULL;
    const char *const *names;
    const char *name, *text = NULL;
    g_autofree char *copy = NULL, *all = NULL;

    if (field->aliases == NULL)
        return true;
    all = g_strconcat(field->aliases, " ", field->name, NULL);
    owned = g_strsplit(all, " ", -1);
    names = (const char *const *)owned;
    if (!request_read_text(request, body, names, &name, &text))
        return false;
    copy = g_strdup(text);
    for (size_t i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], field->name) != 0)
            json_remove(body, names[i]);
    }
    if (copy != NULL)
        json_set_text(body, field->name, copy);
    return true;
}

static bool check_field(const Json *json, const PlanField *field, GError **error)
{
    g_auto(GStrv) words = g_strsplit(field->words != NULL ? field->words : "", " ", -1);
    int64_t number = field->min;
    const char *text = NULL;
    unsigned minute;
    bool flag;

    switch (field->kind) {
    case FIELD_NUMBER:
        if (!json_get_number(json, field->name, &number, error))
            return false;
        if (number >= field->min && number <= field->max)
            return true;
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: it must be %" PRId64 " to %" PRId64,
                    field->name, field->min, field->max);
        return false;
    case FIELD_BOOL:
        return json_get_bool(json, field->name, &flag, error);
    case FIELD_LIST:
        return true;
    case FIELD_TEXT:
    case FIELD_WORD:
    case FIELD_TIME:
        break;
    }
    if (!json_get_text(json, field->name, &text, error) || text == NULL)
        return *error == NULL;
    if (field->kind == FIELD_WORD && !g_strv_contains((const char *const *)words, text)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: it must be one of %s", field->name,
                    field->words);
        return false;
    }
    return field->kind != FIELD_TIME || local_time_parse_minute(text, &minute) ||
           complain(field->name, "it must be a time of the day as 08:30", error);
}

static bool check_body(Request *request, Json *body, const PlanField *fields)
{
    g_autoptr(GError) error = NULL;

    for (const PlanField *field = fields; field->name != NULL; field++) {
        if (!rename_field(request, body, field))
            return false;
        if (!check_field(body, field, &error)) {
            request_fail(request, error);
            return false;
        }
    }
    return true;
}

Json *plan_read_body(Request *request, const PlanField *fields, char **ret_ignored)
{
    g_autoptr(GPtrArray) names = list_names(fields);
    g_autoptr(Json) body = request_read_json(request, NULL);
    const char *unknown;

    if (body == NULL)
        return NULL;
    unknown = json_find_unknown(body, (const char *const *)names->pdata);
    if (unknown != NULL) {
        request_problem(request, 400, "invalid", unknown, "%s: %s", unknown,
                        strcmp(unknown, "password") == 0
                                ? "it belongs to the partner's configuration, not to a request"
                                : "unknown field");
        return NULL;
    }
    if (!check_body(request, body, fields))
        return NULL;
    *ret_ignored = drop_ignored(body, fields);
    return g_steal_pointer(&body);
}

void plan_merge(Json *document, Json *body, const PlanField *fields)
{
    for (const PlanField *field = fields; field->name != NULL; field++) {
        if (!json_has_null(body, field->name))
            continue;
        json_remove(document, field->name);
        json_remove(body, field->name);
    }
    json_merge(document, body);
}

bool plan_check_name(const Json *document, const char **ret_name, GError **error)
{
    const char *name = NULL;
    bool good;

    if (!json_get_text(document, "name", &name, error))
        return false;
    if (name == NULL)
        return complain("name", "it is missing", error);
    good = *name != '\0' && strlen(name) <= NAME_MAX_LENGTH && name[0] != ' ' &&
           name[strlen(name) - 1] != ' ';
    for (size_t i = 0; good && name[i] != '\0'; i++)
        good = !g_ascii_iscntrl(name[i]);
    if (!good)
        return complain("name",
                        "it must have 1 to 128 bytes, none of them a control character and "
                        "no blank at an end",
                        error);
    *ret_name = name;
    return true;
}

/* the transfer */

bool plan_complete(Request *request, Json *document)
{
    int64_t id = 0;
    g_autoptr(GError) error = NULL;
    g_autoptr(StoreResult) found = NULL;
    const Transfer *transfer;

    if (!json_get_number(document, "replayOf", &id, &error) || id == 0)
        return true; /* checked */
    found = request_execute(request, store_request_get(id));
    transfer = found->transfer;
    if (found->error != NULL && found->error->code != BASE_ERROR_NOT_FOUND) {
        request_fail(request, found->error);
        return false;
    }
    if (transfer == NULL ||
        (transfer->direction != DIRECTION_SEND && transfer->direction != DIRECTION_OFFER)) {
        request_problem(request, 400, "invalid", "replayOf",
                        "replayOf: transfer %" PRId64 " is none that was sent from here", id);
        return false;
    }
    json_set_text(document, "direction", "SEND");
    json_set_text(document, "partnerId", transfer->partner);
    json_set_text(document, "path", transfer->path);
    return true;
}

bool plan_read(const Json *document, Plan *ret_plan, GError **error)
{
    Plan plan = {NULL};
    const char *direction = NULL;

    if (!json_get_text(document, "partnerId", &plan.partner, error) ||
        !json_get_text(document, "path", &plan.path, error) ||
        !json_get_text(document, "filename", &plan.filename, error) ||
        !json_get_text(document, "direction", &direction, error) ||
        !json_get_number(document, "replayOf", &plan.replay_of, error))
        return false;
    plan.sends = g_strcmp0(direction, "SEND") == 0;
    if (direction == NULL)
        return complain("direction", "it is missing", error);
    if (plan.partner == NULL || *plan.partner == '\0')
        return complain("partnerId", "it is missing", error);
    if (!plan.sends &&
        plan.path ==
                NULL) /* of others' fields it is where the bytes go, when nothing else says what they are */
        plan.path = g_steal_pointer(&plan.filename);
    if (plan.path == NULL || *plan.path == '\0')
        return complain("path", "it is missing", error);
    if (plan.sends && plan.filename == NULL && plan.replay_of == 0)
        return complain("filename",
                        "what is sent is a file of this machine, or replayOf, the number of "
                        "a transfer whose bytes are kept",
                        error);
    *ret_plan = plan;
    return true;
}

/* A request of our own, for who asks. Returns new. */
static Request *new_order(const Request *request)
{
    Request *order = request_new(request->admin, "POST", request->path);

    order->route = request->route;
    order->address = g_strdup(request->address);
    order->identity.role = request->identity.role;
    order->identity.name = g_strdup(request->identity.name);
    return order;
}

static void run_order(Request *order, const Plan *plan)
{
    if (plan->replay_of != 0) {
        order->parameters[0] = g_strdup_printf("%" PRId64, plan->replay_of);
        transfers_replay(order);
        return;
    }
    json_open(order->body, NULL, '{');
    json_text(order->body, "partner", plan->partner);
    json_text(order->body, "path", plan->path);
    if (plan->sends)
        json_text(order->body, "filename", plan->filename);
    json_close(order->body, '}');
    if (plan->sends)
        transfers_send(order);
    else
        transfers_receive(order);
}

int64_t plan_execute(Request *request, const Plan *plan)
{
    g_autoptr(Request) order = new_order(request);
    g_autoptr(Json) answer = NULL;
    int64_t id = 0;

    run_order(order, plan);
    answer = json_read(order->answer->str, order->answer->len, NULL);
    if (order->status == 202 && answer != NULL)
        (void)json_get_number(answer, "transferId", &id, NULL); /* our own */
    request->doubtful = request->doubtful || order->doubtful;
    request->status = order->status;
    request->type = order->type;
    g_string_assign(request->answer, order->answer->str);
    if (id != 0)
        request_note_change(request, NULL, request->answer->str);
    return id;
}

/* documents */

/* The record of a name; NULL: there is none. Returns new. */
static Record *find_named(Request *request, const char *kind, const char *name)
{
    g_autoptr(StoreResult) all =
            request_execute(request, store_request_record_list(kind, "", PLAN_PAGE_MAX));

    for (guint i = 0; all->error == NULL && i < all->records->len; i++) {
        const Record *record = g_ptr_array_index(all->records, i);

        if (strcmp(record->name, name) == 0)
            return record_copy(record);
    }
    return NULL;
}

Record *plan_document_get(Request *request, const char *kind, const char *id, Json **ret_document)
{
    g_autoptr(StoreResult) found = request_execute(request, store_request_record_get(kind, id));
    g_autoptr(Record) record =
            found->error == NULL ? record_copy(g_ptr_array_index(found->records, 0))
            : found->error->code == BASE_ERROR_NOT_FOUND ? find_named(request, kind, id)
                                                         : NULL;

    if (record == NULL) {
        request_fail(request, found->error);
        return NULL;
    }
    *ret_document = json_read(record->document, strlen(record->document), NULL);
    if (*ret_document != NULL)
        return g_steal_pointer(&record);
    request_problem(request, 500, "io", NULL, "the document of %s '%s' cannot be read", kind, id);
    return NULL;
}

static void set_document(Record *record, Json *document)
{
    const char *name = record->name;

    json_set_number(document, "version", plan_document_version(document) + 1);
    (void)json_get_text(document, "name", &name, NULL); /* checked */
    if (name != record->name) {
        g_free(record->name);
        record->name = g_strdup(name);
    }
    g_free(record->document);
    record->document = json_dup_text(document);
}

bool plan_document_insert(Request *request, Record *record, Json *document)
{
    g_autoptr(StoreResult) result = NULL;

    set_document(record, document);
    result = record_change(request, store_request_record_insert(record));
    return result != NULL;
}

bool plan_document_update(Request *request, Record *record, Json *document)
{
    g_autoptr(StoreResult) result = NULL;

    set_document(record, document);
    result = record_change(request, store_request_record_update(record, record->updated_us));
    return result != NULL;
}

bool plan_document_remove(Request *request, const Record *record)
{
    g_autoptr(StoreResult) result = record_change(
            request, store_request_record_remove(record->kind, record->id, record->updated_us));

    return result != NULL;
}

int64_t plan_document_version(const Json *document)
{
    int64_t version = 0;

    (void)json_get_number(document, "version", &version, NULL); /* our own */
    return version;
}

void plan_tell(Request *request, const char *what, const char *id, const char *name,
               const char *change)
{
    g_autoptr(GString) data = g_string_new(NULL);

    json_open(data, NULL, '{');
    json_text(data, "id", id);
    json_text(data, "name", name);
    json_text(data, "change", change);
    json_close(data, '}');
    events_publish(request->admin->events, NULL, what, data->str);
}
