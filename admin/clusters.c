/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters that are made and dropped in the fleet's database, and partners and virtual files by cluster: those of our own
 * cluster are the ones of this daemon; another cluster has daemons of its own.
 */
#include "admin/admin-private.h"

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

static const Fleet *fleet_of(const Request *request)
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
    fleet_wipe(password);
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
    if (record == NULL || !read_loss(request, record->name, &loss))
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
    fleet_wipe(password);
}

/* partners and virtual files */

/* Takes the cluster off the path's parameters. False: answered. */
static bool enter(Request *request)
{
    g_autofree char *id = g_steal_pointer(&request->parameters[0]);
    g_autoptr(Record) record = NULL;

    for (size_t i = 0; i + 1 < REQUEST_PARAMETERS_MAX; i++)
        request->parameters[i] = g_steal_pointer(&request->parameters[i + 1]);
    if (is_own(request, id))
        return true;
    record = record_get(request, "cluster", id);
    if (record != NULL)
        request_problem(request, 421, "elsewhere", "id",
                        "cluster '%s' has daemons of its own: ask them", id);
    return false;
}

void cluster_partners_list(Request *request)
{
    if (enter(request))
        partners_list(request);
}

void cluster_partners_create(Request *request)
{
    if (enter(request))
        partners_create(request);
}

void cluster_partners_show(Request *request)
{
    if (enter(request))
        partners_show(request);
}

void cluster_partners_update(Request *request)
{
    if (enter(request))
        partners_update(request);
}

void cluster_partners_remove(Request *request)
{
    if (enter(request))
        partners_remove(request);
}

void cluster_files_list(Request *request)
{
    if (enter(request))
        files_list(request);
}

void cluster_files_create(Request *request)
{
    if (enter(request))
        files_create(request);
}

void cluster_files_show(Request *request)
{
    if (enter(request))
        files_show(request);
}

void cluster_files_update(Request *request)
{
    if (enter(request))
        files_update(request);
}

void cluster_files_remove(Request *request)
{
    if (enter(request))
        files_remove(request);
}
