/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters, registries and orchestrators: records that a later step deploys. One table says what each may hold; a
 * secret may be named by its file only, so that none is kept here.
 */
#include "admin/admin-private.h"

#include <string.h>

#define PAGE_MAX        1000
#define NAME_MAX_LENGTH 64
#define SECRET_PREFIX   "file:/"

typedef enum { FIELD_TEXT, FIELD_NUMBER, FIELD_BOOL, FIELD_SECRET } FieldKind;

typedef struct {
    const char *name;
    FieldKind kind;
} Field;

/* clang-format off */
static const Field CLUSTER[] = {
    { "name", FIELD_TEXT }, { "description", FIELD_TEXT }, { "namespace", FIELD_TEXT }, { "environment", FIELD_TEXT },
    { "replicas", FIELD_NUMBER }, { "pesitPort", FIELD_NUMBER }, { "containerImage", FIELD_TEXT },
    { "orchestratorId", FIELD_TEXT }, { "registryId", FIELD_TEXT }, { NULL, FIELD_TEXT },
};
static const Field REGISTRY[] = {
    { "name", FIELD_TEXT }, { "url", FIELD_TEXT }, { "username", FIELD_TEXT }, { "password", FIELD_SECRET },
    { NULL, FIELD_TEXT },
};
static const Field ORCHESTRATOR[] = {
    { "name", FIELD_TEXT }, { "type", FIELD_TEXT }, { "description", FIELD_TEXT }, { "authType", FIELD_TEXT },
    { "apiUrl", FIELD_TEXT }, { "serviceAccountToken", FIELD_SECRET }, { "caCert", FIELD_TEXT },
    { "supportsLoadBalancer", FIELD_BOOL }, { "enabled", FIELD_BOOL }, { NULL, FIELD_TEXT },
};
static const struct { const char *kind, *path; const Field *fields; } KINDS[] = {
    { "cluster", "/api/v1/clusters", CLUSTER },
    { "registry", "/api/v1/registries", REGISTRY },
    { "orchestrator", "/api/v1/orchestrators", ORCHESTRATOR },
};
/* clang-format on */

static size_t kind_of(const Request *request)
{
    for (size_t i = 0; i + 1 < G_N_ELEMENTS(KINDS); i++) {
        if (g_str_has_prefix(request->path, KINDS[i].path))
            return i;
    }
    return G_N_ELEMENTS(KINDS) - 1;
}

static bool check_field(const Json *json, const Field *field, GError **error)
{
    const char *text = NULL;
    int64_t number = 0;
    bool flag = false;

    switch (field->kind) {
    case FIELD_NUMBER:
        if (!json_get_number(json, field->name, &number, error))
            return false;
        if (number >= 0 && number <= 65535)
            return true;
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: it must be 0 to 65535",
                    field->name);
        return false;
    case FIELD_BOOL:
        return json_get_bool(json, field->name, &flag, error);
    case FIELD_SECRET:
        if (!json_get_text(json, field->name, &text, error))
            return false;
        if (text == NULL || g_str_has_prefix(text, SECRET_PREFIX))
            return true;
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "%s: name the file that holds it, file:/path", field->name);
        return false;
    case FIELD_TEXT:
        return json_get_text(json, field->name, &text, error);
    }
    return true;
}

/* The body, checked field by field. NULL: answered. */
static Json *read_body(Request *request, size_t kind)
{
    const char *names[16] = {NULL};
    g_autoptr(GError) error = NULL;
    const char *name = NULL;
    Json *json;

    for (size_t i = 0; KINDS[kind].fields[i].name != NULL; i++)
        names[i] = KINDS[kind].fields[i].name;
    json = request_read_json(request, names);
    if (json == NULL)
        return NULL;
    for (size_t i = 0; KINDS[kind].fields[i].name != NULL && error == NULL; i++)
        (void)check_field(json, &KINDS[kind].fields[i], &error); /* the error says */
    if (error == NULL && json_get_text(json, "name", &name, &error) &&
        (name == NULL || *name == '\0' || strlen(name) > NAME_MAX_LENGTH))
        g_set_error(&error, BASE_ERROR, BASE_ERROR_INVALID, "name: it must have 1 to %d characters",
                    NAME_MAX_LENGTH);
    if (error == NULL)
        return json;
    request_fail(request, error);
    json_free(json);
    return NULL;
}

static void write_record(GString *out, const Record *record)
{
    g_autoptr(Json) document = json_read(record->document, strlen(record->document), NULL);
    g_autofree char *text = NULL;

    if (document == NULL)
        return;
    json_set_text(document, "id", record->id);
    if (strcmp(record->kind, "cluster") == 0) {
        json_set_text(document, "status", "STOPPED");
        json_set_text(document, "deploymentState", "NOT_DEPLOYED");
    }
    text = json_dup_text(document);
    json_raw(out, NULL, text);
}

void records_list(Request *request)
{
    const char *after = request_query(request, "after");
    g_autoptr(StoreResult) result = NULL;
    int64_t limit = 100;
    GString *out;

    if (!request_query_number(request, "limit", 1, PAGE_MAX, &limit))
        return;
    result = request_store(request,
                           store_request_record_list(KINDS[kind_of(request)].kind,
                                                     after != NULL ? after : "", (uint32_t)limit));
    if (result == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (guint i = 0; i < result->records->len; i++)
        write_record(out, g_ptr_array_index(result->records, i));
    json_close(out, ']');
}

void records_create(Request *request)
{
    size_t kind = kind_of(request);
    g_autoptr(Json) json = read_body(request, kind);
    g_autofree char *id = g_uuid_string_random(), *text = NULL, *where = NULL;
    g_autoptr(Record) record = NULL;
    g_autoptr(StoreResult) result = NULL;
    const char *name = NULL;

    if (json == NULL)
        return;
    (void)json_get_text(json, "name", &name, NULL); /* checked */
    text = json_dup_text(json);
    record = record_new(KINDS[kind].kind, id, name, text);
    result = request_store(request, store_request_record_insert(record));
    if (result == NULL)
        return;
    where = g_strconcat(KINDS[kind].path, "/", id, NULL);
    request_add_header(request, "Location", where);
    request_note_change(request, NULL, record->document);
    write_record(request_answer(request, 201), record);
}

static Record *get(Request *request)
{
    g_autoptr(StoreResult) result =
            request_store(request, store_request_record_get(KINDS[kind_of(request)].kind,
                                                            request->parameters[0]));

    return result != NULL ? record_copy(g_ptr_array_index(result->records, 0)) : NULL;
}

void records_show(Request *request)
{
    g_autoptr(Record) record = get(request);

    if (record != NULL)
        write_record(request_answer(request, 200), record);
}

void records_update(Request *request)
{
    g_autoptr(Record) record = get(request), fresh = NULL;
    g_autoptr(Json) json = record != NULL ? read_body(request, kind_of(request)) : NULL;
    g_autoptr(StoreResult) result = NULL;
    g_autofree char *text = NULL;
    const char *name = NULL;

    if (json == NULL)
        return;
    (void)json_get_text(json, "name", &name, NULL); /* checked */
    text = json_dup_text(json);
    fresh = record_new(record->kind, record->id, name, text);
    result = request_store(request, store_request_record_update(fresh));
    if (result == NULL)
        return;
    request_note_change(request, record->document, fresh->document);
    write_record(request_answer(request, 200), fresh);
}

void records_remove(Request *request)
{
    g_autoptr(Record) record = get(request);
    g_autoptr(StoreResult) result =
            record != NULL
                    ? request_store(request, store_request_record_remove(record->kind, record->id))
                    : NULL;

    if (result == NULL)
        return;
    request_note_change(request, record->document, NULL);
    (void)request_answer(request, 204);
}

void records_undeployable(Request *request)
{
    g_autoptr(Record) record = get(request);

    if (record != NULL)
        request_problem(request, 501, "not-deployable", NULL,
                        "cluster '%s' is a record: this version deploys nothing", record->name);
}
