/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters that are made and dropped in the fleet's database, and partners and virtual files by cluster: those of our own
 * cluster are the ones of this daemon; about those of another one a daemon of it is asked, through its schema.
 */
#include "admin/draft.h"

#include "base/secret.h"
#include "daemon/transfer/partner.h"

#include <string.h>

#define SCHEMA_PREFIX "cluster_"

/* As it stands in the name of a schema: "cluster_" and the id, '_' for what is no letter or digit. */
static bool is_own(const Request *request, const char *id)
{
    const char *schema = request->admin->host.schema;
    const char *own =
            g_str_has_prefix(schema, SCHEMA_PREFIX) ? schema + strlen(SCHEMA_PREFIX) : schema;
    g_autofree char *name = g_strdup(id);

    for (char *at = name; *at != '\0'; at++) {
        if (!g_ascii_isalnum(*at))
            *at = '_';
    }
    return g_ascii_strcasecmp(name, own) == 0;
}

/* making and dropping */

static Fleet *fleet_of(const Request *request)
{
    return request->admin->host.fleet;
}

void clusters_create(Request *request)
{
    g_autoptr(Json) body = NULL;
    g_autofree char *id = g_uuid_string_random();
    g_autoptr(Record) wanted = NULL, made = NULL;
    g_autoptr(GError) error = NULL;
    char *password = NULL;

    if (fleet_of(request) == NULL) {
        records_create(request);
        return;
    }
    body = record_read(request);
    wanted = body != NULL ? record_new_of(request, id, body) : NULL;
    made = wanted != NULL ? fleet_create(fleet_of(request), wanted, &password, &error) : NULL;
    if (made != NULL)
        record_answer_new(request, made, made->document, password);
    else if (error != NULL)
        request_fail_fleet(request, error);
    secret_free_text(password);
}

/* What may be lost: a name that is confirmed is a clear word, force a clearer one. False: answered. */
static bool read_loss(Request *request, const char *name, FleetLoss *ret_loss)
{
    const char *confirm = request_query(request, "confirm"),
               *force = request_query(request, "force");
    bool forced = g_strcmp0(force, "true") == 0;

    *ret_loss = forced ? FLEET_LOSE_ALL : confirm != NULL ? FLEET_LOSE_CONTENT : FLEET_LOSE_NOTHING;
    if (force != NULL && !forced && strcmp(force, "false") != 0)
        request_problem(request, 400, "invalid", "force", "force: it must be true or false");
    else if (forced && confirm == NULL)
        request_problem(request, 400, "invalid", "confirm", "confirm: force needs it");
    else if (confirm != NULL && strcmp(confirm, name) != 0)
        request_problem(request, 400, "invalid", "confirm",
                        "confirm: the name of this cluster is '%s'", name);
    else
        return true;
    return false;
}

static void tell_use(Request *request, const Record *record, const FleetUse *use,
                     const GError *error)
{
    bool used = use->sessions > 0 || use->unfinished > 0 || use->obscure;

    request_problem(request, 409, "cluster-in-use", NULL,
                    "cluster '%s' has %s: add ?confirm=NAME%s", record->name, error->message,
                    used ? "&force=true, and its daemons are thrown out" : "");
}

void clusters_remove(Request *request)
{
    g_autoptr(Record) record = NULL;
    g_autoptr(GError) error = NULL;
    FleetLoss loss;
    FleetUse use;

    if (fleet_of(request) == NULL) {
        records_remove(request);
        return;
    }
    record = record_get(request, "cluster", request->parameters[0]);
    if (record == NULL || !record_check_match(request, record) ||
        !read_loss(request, record->name, &loss))
        return;
    if (is_own(request, record->id)) {
        request_problem(request, 409, "cluster-in-use", "id", "this daemon is of cluster '%s'",
                        record->name);
    } else if (fleet_drop(fleet_of(request), record->id, loss, &use, &error)) {
        request_note_change(request, record->document, NULL);
        (void)request_answer(request, 204);
    } else if (error->code == BASE_ERROR_CONFLICT) {
        tell_use(request, record, &use, error);
    } else {
        request_fail_fleet(request, error);
    }
}

void clusters_renew_password(Request *request)
{
    g_autoptr(Record) record = record_get(request, "cluster", request->parameters[0]);
    g_autoptr(GError) error = NULL;
    char *password;

    if (record == NULL)
        return;
    if (fleet_of(request) == NULL) {
        request_problem(request, 409, "record-only", "id",
                        "cluster '%s' is a record: without admin.database it has no role",
                        record->name);
        return;
    }
    password = fleet_renew_password(fleet_of(request), record->id, &error);
    if (password != NULL)
        record_write(request_answer(request, 200), record, password);
    else
        request_fail_fleet(request, error);
    secret_free_text(password);
}

/* partners and virtual files */

#define CLEAR_SENT                                                                                 \
    "a clear password does not pass through the database: seal it with the key of the cluster, "   \
    "or name a file there"

static bool is_clear(GVariant *value)
{
    static const char *const FORMS[] = {"sealed:", "verifier:", "file:"};
    const char *text = value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
                               ? g_variant_get_string(value, NULL)
                               : NULL;

    for (size_t i = 0; text != NULL && i < G_N_ELEMENTS(FORMS); i++) {
        if (g_str_has_prefix(text, FORMS[i]))
            return false;
    }
    return text != NULL;
}

/* Passwords that are only compared become verifiers here. data: the fields that do, with what they become. */
static bool protect_field(const char *field, GVariant *value, gpointer data, GError **error)
{
    g_autofree char *name = g_ascii_strdown(field, -1);
    g_autoptr(Secret) secret = NULL;
    char *verifier;

    if (!g_str_has_prefix(name, "password") || !is_clear(value))
        return true;
    if (g_str_has_suffix(name, "sent")) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: " CLEAR_SENT, field);
        return false;
    }
    if (strlen(g_variant_get_string(value, NULL)) > PARTNER_PASSWORD_MAX) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: it may have %d characters", field,
                    PARTNER_PASSWORD_MAX);
        return false;
    }
    secret = secret_new(g_variant_get_string(value, NULL),
                        strlen(g_variant_get_string(value, NULL)));
    verifier = secret_make_verifier(secret, error);
    if (verifier != NULL)
        g_hash_table_insert(data, g_strdup(field), verifier);
    return verifier != NULL;
}

/* The body as it may pass through the database. NULL: answered. Returns new. */
static char *protect_body(Request *request)
{
    g_autoptr(GHashTable) verifiers =
            g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_autoptr(Json) body = NULL;
    g_autoptr(GError) error = NULL;
    GHashTableIter iter;
    gpointer field, verifier;

    if (request->route->body == BODY_NONE)
        return g_strdup("");
    body = request_read_json(request, NULL);
    if (body == NULL)
        return NULL;
    if (!json_each(body, protect_field, verifiers, &error)) {
        request_fail(request, error);
        return NULL;
    }
    g_hash_table_iter_init(&iter, verifiers);
    while (g_hash_table_iter_next(&iter, &field, &verifier))
        json_set_text(body, field, verifier);
    return json_dup_text(body);
}

/* "/api/v1/config/partners/NAME?limit=5". Returns new. */
static char *make_path(const Request *request, const char *base)
{
    GString *path = g_string_new(base);
    GHashTableIter iter;
    gpointer name, value;
    char mark = '?';

    if (request->parameters[0] != NULL) {
        g_string_append_c(path, '/');
        g_string_append_uri_escaped(path, request->parameters[0], NULL, FALSE);
    }
    g_hash_table_iter_init(&iter, request->query);
    while (g_hash_table_iter_next(&iter, &name, &value)) {
        g_string_append_c(path, mark);
        g_string_append_uri_escaped(path, name, NULL, FALSE);
        g_string_append_c(path, '=');
        g_string_append_uri_escaped(path, value, NULL, FALSE);
        mark = '&';
    }
    return g_string_free(path, FALSE);
}

/* Headers that the cluster's daemon would have given. */
static void add_headers(Request *request, unsigned status, const char *answer)
{
    g_autoptr(Json) thing = json_read(answer, strlen(answer), NULL);
    const char *id = NULL;
    int64_t version = 0;
    g_autofree char *escaped = NULL, *where = NULL;

    if (thing == NULL || status >= 300 || !json_get_text(thing, "id", &id, NULL) ||
        !json_get_number(thing, "version", &version, NULL))
        return;
    draft_add_etag(request, version);
    if (status != 201 || id == NULL)
        return;
    escaped = g_uri_escape_string(id, NULL, FALSE);
    where = g_strconcat(request->path, "/", escaped, NULL);
    request_add_header(request, "Location", where);
}

/* One of the cluster's own daemons does it, with its own configuration and its own key, and answers. */
static void ask_elsewhere(Request *request, const char *cluster, const char *base)
{
    g_autofree char *body = protect_body(request);
    g_autoptr(Inquiry) inquiry = NULL;
    g_autofree char *answer = NULL;
    g_autoptr(GError) error = NULL;
    unsigned status = 0;

    if (body == NULL)
        return;
    inquiry = g_new0(Inquiry, 1);
    inquiry->id = g_uuid_string_random();
    inquiry->actor = g_strconcat("console:", request->identity.name, NULL);
    inquiry->method = g_strdup(request->route->method);
    inquiry->path = make_path(request, base);
    inquiry->body = g_steal_pointer(&body);
    inquiry->if_match = g_strdup(request->if_match);
    if (!fleet_ask(fleet_of(request), cluster, inquiry, &status, &answer, &error)) {
        request_fail_fleet(request, error);
        return;
    }
    g_string_append(request_answer(request, status), answer);
    if (status >= 400)
        request->type = "application/problem+json";
    add_headers(request, status, answer);
}

/* Takes the cluster off the path's parameters. False: answered. */
static bool enter(Request *request, const char *base)
{
    g_autofree char *id = g_steal_pointer(&request->parameters[0]);
    g_autoptr(Record) record = NULL;

    for (size_t i = 0; i + 1 < REQUEST_PARAMETERS_MAX; i++)
        request->parameters[i] = g_steal_pointer(&request->parameters[i + 1]);
    if (is_own(request, id))
        return true;
    record = record_get(request, "cluster", id);
    if (record != NULL && fleet_of(request) != NULL)
        ask_elsewhere(request, id, base);
    else if (record != NULL)
        request_problem(request, 421, "elsewhere", "id",
                        "cluster '%s' has daemons of its own: ask them", id);
    return false;
}

void cluster_partners_list(Request *request)
{
    if (enter(request, PARTNERS_PATH))
        partners_list(request);
}

void cluster_partners_create(Request *request)
{
    if (enter(request, PARTNERS_PATH))
        partners_create(request);
}

void cluster_partners_show(Request *request)
{
    if (enter(request, PARTNERS_PATH))
        partners_show(request);
}

void cluster_partners_update(Request *request)
{
    if (enter(request, PARTNERS_PATH))
        partners_update(request);
}

void cluster_partners_remove(Request *request)
{
    if (enter(request, PARTNERS_PATH))
        partners_remove(request);
}

void cluster_files_list(Request *request)
{
    if (enter(request, FILES_PATH))
        files_list(request);
}

void cluster_files_create(Request *request)
{
    if (enter(request, FILES_PATH))
        files_create(request);
}

void cluster_files_show(Request *request)
{
    if (enter(request, FILES_PATH))
        files_show(request);
}

void cluster_files_update(Request *request)
{
    if (enter(request, FILES_PATH))
        files_update(request);
}

void cluster_files_remove(Request *request)
{
    if (enter(request, FILES_PATH))
        files_remove(request);
}
