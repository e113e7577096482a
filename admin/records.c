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

typedef enum {
    FIELD_TEXT,
    FIELD_NUMBER, /* 0 to 65535 */
    FIELD_PORT,
    FIELD_BOOL,
    FIELD_SECRET,
    FIELD_CHOICE, /* of the words behind it */
    FIELD_URL,
    FIELD_RECORD, /* the id of one of the kind behind it */
} FieldKind;

typedef struct {
    const char *name;
    FieldKind kind;
    const char *words;
} Field;

/* clang-format off */
static const Field CLUSTER[] = {
    { "name", FIELD_TEXT, NULL }, { "description", FIELD_TEXT, NULL }, { "namespace", FIELD_TEXT, NULL },
    { "environment", FIELD_CHOICE, "DEVELOPMENT STAGING PRODUCTION" },
    { "replicas", FIELD_NUMBER, NULL }, { "pesitPort", FIELD_PORT, NULL }, { "containerImage", FIELD_TEXT, NULL },
    { "containerVersion", FIELD_TEXT, NULL }, { "storageHostPath", FIELD_TEXT, NULL },
    { "orchestratorId", FIELD_RECORD, "orchestrator" }, { "registryId", FIELD_RECORD, "registry" }, { NULL, FIELD_TEXT, NULL },
};
static const Field REGISTRY[] = {
    { "name", FIELD_TEXT, NULL }, { "url", FIELD_TEXT, NULL }, { "username", FIELD_TEXT, NULL }, { "password", FIELD_SECRET, NULL },
    { NULL, FIELD_TEXT, NULL },
};
static const Field ORCHESTRATOR[] = {
    { "name", FIELD_TEXT, NULL }, { "type", FIELD_CHOICE, "K3S K8S EKS GKE AKS" }, { "description", FIELD_TEXT, NULL },
    { "authType", FIELD_CHOICE, "IN_CLUSTER TOKEN CERTIFICATE" },
    { "apiUrl", FIELD_URL, NULL }, { "serviceAccountToken", FIELD_SECRET, NULL }, { "caCert", FIELD_TEXT, NULL },
    { "clientCert", FIELD_TEXT, NULL }, { "clientKey", FIELD_SECRET, NULL }, { "skipTlsVerify", FIELD_BOOL, NULL },
    { "metalLbIpRange", FIELD_TEXT, NULL },
    { "supportsLoadBalancer", FIELD_BOOL, NULL }, { "enabled", FIELD_BOOL, NULL }, { NULL, FIELD_TEXT, NULL },
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

static bool complain(const Field *field, const char *why, const char *words, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: %s%s", field->name, why, words);
    return false;
}

static bool check_number(const Json *json, const Field *field, GError **error)
{
    int64_t number = 1;

    if (!json_get_number(json, field->name, &number, error))
        return false;
    if (field->kind == FIELD_PORT)
        return (number >= 1 && number <= 65535) ||
               complain(field, "it must be 1 to 65535", "", error);
    return (number >= 0 && number <= 65535) || complain(field, "it must be 0 to 65535", "", error);
}

static bool check_text(const Json *json, const Field *field, GError **error)
{
    g_auto(GStrv) words = g_strsplit(field->words != NULL ? field->words : "", " ", -1);
    const char *text = NULL;

    if (!json_get_text(json, field->name, &text, error) || text == NULL)
        return *error == NULL;
    switch ((int)field->kind) {
    case FIELD_SECRET:
        return g_str_has_prefix(text, SECRET_PREFIX) ||
               complain(field, "name the file that holds it, file:/path", "", error);
    case FIELD_CHOICE:
        return g_strv_contains((const char *const *)words, text) ||
               complain(field, "it must be one of ", field->words, error);
    case FIELD_URL:
        return ((g_str_has_prefix(text, "https://") || g_str_has_prefix(text, "http://")) &&
                strpbrk(text, " \t\r\n") == NULL) ||
               complain(field, "it must be an address as https://host:6443", "", error);
    default:
        return true;
    }
}

static bool check_field(const Json *json, const Field *field, GError **error)
{
    bool flag = false;

    switch ((int)field->kind) {
    case FIELD_NUMBER:
    case FIELD_PORT:
        return check_number(json, field, error);
    case FIELD_BOOL:
        return json_get_bool(json, field->name, &flag, error);
    default:
        return check_text(json, field, error);
    }
}

static bool check_name(const Json *json, GError **error)
{
    const char *name = NULL;
    bool good;

    if (!json_get_text(json, "name", &name, error))
        return false;
    good = name != NULL && *name != '\0' && strlen(name) <= NAME_MAX_LENGTH && name[0] != ' ' &&
           name[strlen(name) - 1] != ' ';
    for (size_t i = 0; good && name[i] != '\0'; i++)
        good = !g_ascii_iscntrl(name[i]);
    if (!good)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "name: it must have 1 to %d characters, none of them a control character and "
                    "no blank at an end",
                    NAME_MAX_LENGTH);
    return good;
}

/* False: answered. */
static bool check_record(Request *request, const Json *json, const Field *field)
{
    const char *id = NULL;
    g_autoptr(Record) record = NULL;

    if (field->kind != FIELD_RECORD || !json_get_text(json, field->name, &id, NULL) || id == NULL)
        return true;
    record = record_get(request, field->words, id);
    if (record == NULL && request->status == 404)
        request_problem(request, 400, "invalid", field->name, "%s: there is no %s '%s'",
                        field->name, field->words, id);
    return record != NULL;
}

Json *record_read(Request *request)
{
    const Field *fields = KINDS[kind_of(request)].fields;
    const char *names[16] = {NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(Json) json = NULL;

    for (size_t i = 0; fields[i].name != NULL; i++)
        names[i] = fields[i].name;
    json = request_read_json(request, names);
    if (json == NULL)
        return NULL;
    for (size_t i = 0; fields[i].name != NULL && error == NULL; i++)
        (void)check_field(json, &fields[i], &error); /* the error says */
    if (error != NULL || !check_name(json, &error)) {
        request_fail(request, error);
        return NULL;
    }
    for (size_t i = 0; fields[i].name != NULL; i++) {
        if (!check_record(request, json, &fields[i]))
            return NULL;
        if (json_has_null(json, fields[i].name))
            json_remove(json, fields[i].name);
    }
    return g_steal_pointer(&json);
}

/* versions */

/* Of what was written: how a cluster's database is now is no part of it. Returns new. */
static char *dup_etag(const Record *record)
{
    g_autoptr(Json) document = json_read(record->document, strlen(record->document), NULL);
    g_autofree char *text = NULL, *digest = NULL;

    if (document != NULL)
        json_remove(document, "database");
    text = document != NULL ? json_dup_text(document) : g_strdup(record->document);
    digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    return g_strdup_printf("\"%.16s\"", digest);
}

void record_add_etag(Request *request, const Record *record)
{
    g_autofree char *etag = dup_etag(record);

    request_add_header(request, "ETag", etag);
}

bool record_check_match(Request *request, const Record *record)
{
    g_autofree char *etag = dup_etag(record);

    if (request->if_match == NULL || request_names_etag(request->if_match, etag))
        return true;
    request_problem(request, 412, "precondition", "If-Match", "it was changed: its ETag is %s",
                    etag);
    return false;
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

/* Somebody else was faster. False: it is another error. */
static bool answer_changed(Request *request, const GError *error)
{
    if (error->code != BASE_ERROR_CONFLICT || request->if_match == NULL)
        return false;
    request_problem(request, 412, "precondition", "If-Match", "%s", error->message);
    return true;
}

/* False: answered. */
static bool end(Request *request, bool done, const GError *error)
{
    if (!done && !answer_changed(request, error))
        request_fail_fleet(request, error);
    return done;
}

StoreResult *record_change(Request *request, StoreRequest *asked)
{
    StoreResult *result = request_execute(request, asked);

    if (result->error == NULL)
        return result;
    if (!answer_changed(request, result->error))
        request_fail(request, result->error);
    store_result_free(result);
    return NULL;
}

static bool ask_store(Request *request, StoreRequest *asked)
{
    g_autoptr(StoreResult) result = record_change(request, asked);

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

static bool update(Request *request, const Record *before, const Record *record)
{
    g_autoptr(GError) error = NULL;
    bool done;

    if (fleet_of(request) == NULL)
        return ask_store(request, store_request_record_update(record, before->updated_us));
    done = fleet_update(fleet_of(request), record, before->updated_us, &error);
    return end(request, done, error);
}

static bool take_away(Request *request, const Record *record)
{
    g_autoptr(GError) error = NULL;
    bool done;

    if (fleet_of(request) == NULL)
        return ask_store(request,
                         store_request_record_remove(record->kind, record->id, record->updated_us));
    done = fleet_remove(fleet_of(request), record, &error);
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
    record_add_etag(request, record);
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

    if (record == NULL)
        return;
    record_write(request_answer(request, 200), record, NULL);
    record_add_etag(request, record);
}

void records_update(Request *request)
{
    g_autoptr(Record) record = get(request), fresh = NULL, after = NULL;
    g_autoptr(Json) body =
            record != NULL && record_check_match(request, record) ? record_read(request) : NULL;

    if (body == NULL)
        return;
    fresh = record_new_of(request, record->id, body);
    if (!update(request, record, fresh))
        return;
    after = get(request);
    if (after == NULL)
        return;
    request_note_change(request, record->document, after->document);
    record_write(request_answer(request, 200), after, NULL);
    record_add_etag(request, after);
}

void records_remove(Request *request)
{
    g_autoptr(Record) record = get(request);

    if (record == NULL || !record_check_match(request, record) || !take_away(request, record))
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
