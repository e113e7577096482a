/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters, registries and orchestrators: records that a later step deploys, in the fleet's database or, where there is
 * none, in the store. One table says what each may hold; a secret may be named by its file only, so that none is kept
 * here.
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
    { "containerVersion", FIELD_TEXT }, { "storageHostPath", FIELD_TEXT }, { "orchestratorId", FIELD_TEXT }, { "registryId", FIELD_TEXT }, { NULL, FIELD_TEXT },
};
static const Field REGISTRY[] = {
    { "name", FIELD_TEXT }, { "url", FIELD_TEXT }, { "username", FIELD_TEXT }, { "password", FIELD_SECRET },
    { NULL, FIELD_TEXT },
};
static const Field ORCHESTRATOR[] = {
    { "name", FIELD_TEXT }, { "type", FIELD_TEXT }, { "description", FIELD_TEXT }, { "authType", FIELD_TEXT },
    { "apiUrl", FIELD_TEXT }, { "serviceAccountToken", FIELD_SECRET }, { "caCert", FIELD_TEXT },
    { "clientCert", FIELD_TEXT }, { "clientKey", FIELD_SECRET }, { "skipTlsVerify", FIELD_BOOL },
    { "metalLbIpRange", FIELD_TEXT },
    { "supportsLoadBalancer", FIELD_BOOL }, { "enabled", FIELD_BOOL }, { NULL, FIELD_TEXT },
};
static const struct { const char *kind, *path; const Field *fields; } KINDS[] = {
    { "cluster", "/api/v1/clusters", CLUSTER },
    { "registry", "/api/v1/registries", REGISTRY },
    { "orchestrator", "/api/v1/orchestrators", ORCHESTRATOR },
};
/* clang-format on */

/* Where the records are: the fleet's database, or the store. */

static Fleet *fleet_of(const Request *request)
{
    return request->admin->host.fleet;
}

void request_fail_fleet(Request *request, const GError *error)
{
    if (error->code == BASE_ERROR_REFUSED)
        request_problem(request, 503, "database-rights", NULL, "%s", error->message);
    else
        request_fail(request, error);
}

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

Json *record_read(Request *request)
{
    size_t kind = kind_of(request);
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

/* Daemons of a cluster hold a connection each. */
static bool find_connections(const char *field, GVariant *value, gpointer data, GError **error)
{
    (void)error;
    if (strcmp(field, "database.connections") == 0 && value != NULL &&
        g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
        *(int64_t *)data = g_variant_get_int64(value);
    return true;
}

/* What is told of a cluster beside what was written into its record. */
static void describe_cluster(GString *out, const Record *record, const Json *document)
{
    int64_t connections = 0;

    (void)json_each(document, find_connections, &connections, NULL); /* visits all */
    json_text(out, "status", connections > 0 ? "RUNNING" : "STOPPED");
    json_text(out, "deploymentState", "NOT_DEPLOYED");
    json_number(out, "readyReplicas", connections);
    json_time(out, "createdAt", record->created_us);
    if (json_has(document, "database"))
        return;
    json_open(out, "database", '{');
    json_text(out, "state", "RECORD_ONLY");
    json_close(out, '}');
}

void record_write(GString *out, const Record *record, const char *password)
{
    g_autoptr(Json) document = json_read(record->document, strlen(record->document), NULL);
    g_autoptr(GString) more = g_string_new(NULL);
    g_autoptr(Json) told = NULL;
    g_autofree char *text = NULL;

    if (document == NULL)
        return;
    json_open(more, NULL, '{');
    json_text(more, "id", record->id);
    if (strcmp(record->kind, "cluster") == 0)
        describe_cluster(more, record, document);
    if (password != NULL)
        json_text(more, "databasePassword", password);
    json_close(more, '}');
    told = json_read(more->str, more->len, NULL);
    json_merge(document, told);
    text = json_dup_text(document);
    json_raw(out, NULL, text);
}

/* in the one or the other */

/* False: answered. */
static bool end(Request *request, bool done, const GError *error)
{
    if (!done)
        request_fail_fleet(request, error);
    return done;
}

static bool ask_store(Request *request, StoreRequest *asked)
{
    g_autoptr(StoreResult) result = request_store(request, asked);

    return result != NULL;
}

static bool insert(Request *request, const Record *record)
{
    g_autoptr(GError) error = NULL;
    bool done;

    if (fleet_of(request) == NULL)
        return ask_store(request, store_request_record_insert(record));
    done = fleet_insert(fleet_of(request), record, &error);
    return end(request, done, error);
}

static bool update(Request *request, const Record *record)
{
    g_autoptr(GError) error = NULL;
    bool done;

    if (fleet_of(request) == NULL)
        return ask_store(request, store_request_record_update(record));
    done = fleet_update(fleet_of(request), record, &error);
    return end(request, done, error);
}

static bool take_away(Request *request, const Record *record)
{
    g_autoptr(GError) error = NULL;
    bool done;

    if (fleet_of(request) == NULL)
        return ask_store(request, store_request_record_remove(record->kind, record->id));
    done = fleet_remove(fleet_of(request), record->kind, record->id, &error);
    return end(request, done, error);
}

static GPtrArray *list(Request *request, const char *kind, const char *after, uint32_t limit)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StoreResult) result = NULL;
    GPtrArray *records;

    if (fleet_of(request) == NULL) {
        result = request_store(request, store_request_record_list(kind, after, limit));
        return result != NULL ? g_ptr_array_ref(result->records) : NULL;
    }
    records = fleet_list(fleet_of(request), kind, after, limit, &error);
    if (records == NULL)
        request_fail_fleet(request, error);
    return records;
}

Record *record_get(Request *request, const char *kind, const char *id)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StoreResult) result = NULL;
    Record *record;

    if (fleet_of(request) == NULL) {
        result = request_store(request, store_request_record_get(kind, id));
        return result != NULL ? record_copy(g_ptr_array_index(result->records, 0)) : NULL;
    }
    record = fleet_get(fleet_of(request), kind, id, &error);
    if (record == NULL)
        request_fail_fleet(request, error);
    return record;
}

/* handlers */

void records_list(Request *request)
{
    const char *after = request_query(request, "after");
    g_autoptr(GPtrArray) records = NULL;
    int64_t limit = 100;
    GString *out;

    if (!request_query_number(request, "limit", 1, PAGE_MAX, &limit))
        return;
    records = list(request, KINDS[kind_of(request)].kind, after != NULL ? after : "",
                   (uint32_t)limit);
    if (records == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (guint i = 0; i < records->len; i++)
        record_write(out, g_ptr_array_index(records, i), NULL);
    json_close(out, ']');
}

Record *record_new_of(const Request *request, const char *id, const Json *body)
{
    g_autofree char *text = json_dup_text(body);
    const char *name = NULL;

    (void)json_get_text(body, "name", &name, NULL); /* checked */
    return record_new(KINDS[kind_of(request)].kind, id, name, text);
}

void record_answer_new(Request *request, const Record *record, const char *document,
                       const char *password)
{
    g_autofree char *where = g_strconcat(KINDS[kind_of(request)].path, "/", record->id, NULL);

    request_add_header(request, "Location", where);
    request_note_change(request, NULL, document);
    record_write(request_answer(request, 201), record, password);
}

void records_create(Request *request)
{
    g_autoptr(Json) body = record_read(request);
    g_autofree char *id = g_uuid_string_random();
    g_autoptr(Record) record = body != NULL ? record_new_of(request, id, body) : NULL;

    if (record != NULL && insert(request, record))
        record_answer_new(request, record, record->document, NULL);
}

static Record *get(Request *request)
{
    return record_get(request, KINDS[kind_of(request)].kind, request->parameters[0]);
}

void records_show(Request *request)
{
    g_autoptr(Record) record = get(request);

    if (record != NULL)
        record_write(request_answer(request, 200), record, NULL);
}

void records_update(Request *request)
{
    g_autoptr(Record) record = get(request), fresh = NULL, after = NULL;
    g_autoptr(Json) body = record != NULL ? record_read(request) : NULL;

    if (body == NULL)
        return;
    fresh = record_new_of(request, record->id, body);
    if (!update(request, fresh))
        return;
    after = get(request);
    if (after == NULL)
        return;
    request_note_change(request, record->document, after->document);
    record_write(request_answer(request, 200), after, NULL);
}

void records_remove(Request *request)
{
    g_autoptr(Record) record = get(request);

    if (record == NULL || !take_away(request, record))
        return;
    request_note_change(request, record->document, NULL);
    (void)request_answer(request, 204);
}

void records_undeployable(Request *request)
{
    g_autoptr(Record) record = get(request);

    if (record != NULL)
        request_problem(request, 501, "not-deployable", NULL,
                        "this version deploys nothing: cluster '%s' has the daemons that you start",
                        record->name);
}
