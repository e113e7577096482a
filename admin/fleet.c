/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partners and virtual files by cluster. Those of our own cluster are the ones of this daemon; another cluster has
 * daemons of its own.
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

/* Takes the cluster off the path's parameters. False: answered. */
static bool enter(Request *request)
{
    g_autofree char *id = g_steal_pointer(&request->parameters[0]);
    g_autoptr(StoreResult) record = NULL;

    for (size_t i = 0; i + 1 < REQUEST_PARAMETERS_MAX; i++)
        request->parameters[i] = g_steal_pointer(&request->parameters[i + 1]);
    if (is_own(request, id))
        return true;
    record = request_store(request, store_request_record_get("cluster", id));
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
