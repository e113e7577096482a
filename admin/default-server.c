/* SPDX-License-Identifier: Apache-2.0 */
/* The partner that is meant where a request names none: kept as a record of the store. */
#include "admin/admin-private.h"

#include <string.h>

#define KIND "default-server"

/* NULL: there is none, or answered when the store failed. Returns new. */
char *default_server_dup(Request *request)
{
    g_autoptr(StoreResult) found = request_execute(request, store_request_record_get(KIND, KIND));

    if (found->error == NULL)
        return g_strdup(((const Record *)g_ptr_array_index(found->records, 0))->document);
    if (found->error->code != BASE_ERROR_NOT_FOUND)
        request_fail(request, found->error);
    return NULL;
}

void servers_show_default(Request *request)
{
    char *name = default_server_dup(request);

    if (name == NULL) {
        if (request->status == 0)
            request_problem(request, 404, "not-found", NULL,
                            "no server is the default: POST /api/v1/servers/{id}/default");
        return;
    }
    g_free(request->parameters[0]);
    request->parameters[0] = name;
    partners_show(request);
}

static bool keep(Request *request, const char *name, bool changes)
{
    g_autoptr(Record) record = record_new(KIND, KIND, KIND, name);
    g_autoptr(StoreResult) kept =
            request_store(request, changes ? store_request_record_update(record, 0)
                                           : store_request_record_insert(record));

    return kept != NULL;
}

static void note(Request *request, const char *before, const char *after)
{
    g_autoptr(GString) was = g_string_new(NULL), is = g_string_new(NULL);

    if (before != NULL)
        json_text(was, NULL, before);
    json_text(is, NULL, after);
    request_note_change(request, was->str, is->str);
}

/* It has to be there; its record is the answer. */
void servers_set_default(Request *request)
{
    const char *name = request->parameters[0];
    g_autofree char *before = default_server_dup(request), *shown = NULL;

    if (before == NULL && request->status != 0)
        return;
    partners_show(request);
    if (request->status != 200)
        return;
    shown = g_strdup(request->answer->str);
    if (!keep(request, name, before != NULL))
        return;
    note(request, before, name);
    g_string_append(request_answer(request, 200), shown);
}
