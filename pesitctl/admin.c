/* SPDX-License-Identifier: Apache-2.0 */
/* A table of verbs: each is a method and a path of the API, and what its arguments are in them. */
#include "pesitctl/admin.h"

#include "base/error.h"
#include "pesitctl/output.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_MS        70000
#define ARGUMENTS_MAX  3
#define STATUS_OK_END  300
#define STATUS_MISSING 404

/* Arguments go into the fields of the body by order; without fields the first ends the path. */
typedef struct {
    const char *noun, *verb, *method, *path;
    int min, max;
    const char *fields[ARGUMENTS_MAX];
    const char *queries[ARGUMENTS_MAX];
} Verb;

/* clang-format off */
static const Verb VERBS[] = {
    { "key", "create", "POST", "/api/v1/apikeys", 2, 3, { "name", "role", "partner" }, { NULL } },
    { "key", "list", "GET", "/api/v1/apikeys", 0, 0, { NULL }, { NULL } },
    { "key", "remove", "DELETE", "/api/v1/apikeys/", 1, 1, { NULL }, { NULL } },
    { "audit", "list", "GET", "/api/v1/audit", 0, 1, { NULL }, { "after" } },
    { "audit", "verify", "GET", "/api/v1/audit/verify", 0, 2, { NULL }, { "seq", "hash" } },
    { "partner", "list", "GET", "/api/v1/config/partners", 0, 0, { NULL }, { NULL } },
    { "partner", "show", "GET", "/api/v1/config/partners/", 1, 1, { NULL }, { NULL } },
    { "file", "list", "GET", "/api/v1/config/files", 0, 0, { NULL }, { NULL } },
    { "cluster", "list", "GET", "/api/v1/clusters", 0, 0, { NULL }, { NULL } },
    { "cluster", "show", "GET", "/api/v1/clusters/", 1, 1, { NULL }, { NULL } },
    { "cluster", "create", "POST", "/api/v1/clusters", 1, 1, { "name" }, { NULL } },
    { "cluster", "remove", "DELETE", "/api/v1/clusters/", 1, 1, { NULL }, { NULL } },
};
/* clang-format on */

static const Verb *find_verb(const char *noun, char **arguments, GError **error)
{
    int count = (int)g_strv_length(arguments) - 1;

    for (size_t i = 0; i < G_N_ELEMENTS(VERBS); i++) {
        const Verb *verb = &VERBS[i];

        if (strcmp(verb->noun, noun) == 0 && strcmp(verb->verb, arguments[0]) == 0 &&
            count >= verb->min && count <= verb->max)
            return verb;
    }
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "%s: no verb '%s' with %d arguments, see pesitctl --help", noun, arguments[0],
                count);
    return NULL;
}

static char *make_path(const Verb *verb, char **values)
{
    GString *path = g_string_new(verb->path);

    for (size_t i = 0; values[i] != NULL; i++) {
        g_autofree char *escaped = g_uri_escape_string(values[i], NULL, FALSE);

        if (g_str_has_suffix(verb->path, "/"))
            g_string_append(path, escaped);
        else if (verb->queries[i] != NULL)
            g_string_append_printf(path, "%c%s=%s", i == 0 ? '?' : '&', verb->queries[i], escaped);
    }
    return g_string_free(path, FALSE);
}

static char *make_body(const Verb *verb, char **values)
{
    json_t *body;
    char *text, *copy;

    if (verb->fields[0] == NULL)
        return g_strdup("");
    body = json_object();
    for (size_t i = 0; values[i] != NULL; i++)
        (void)json_object_set_new(body, verb->fields[i],
                                  json_string(values[i])); /* checked there */
    text = json_dumps(body, JSON_COMPACT);
    copy = g_strdup(text);
    free(text);
    json_decref(body);
    return copy;
}

/* People want the key alone, to put it into a file; the rest is JSON either way. */
static void print_answer(const char *answer, bool json)
{
    json_t *root = json_loads(answer, 0, NULL);
    const char *key = json_string_value(json_object_get(root, "key"));

    if (key != NULL && !json)
        puts(key);
    else if (root != NULL)
        puts(answer);
    json_decref(root);
}

static int judge(const char *answer, unsigned status, bool json, GError **error)
{
    json_t *root = json_loads(answer, 0, NULL);
    const char *detail = json_string_value(json_object_get(root, "detail"));
    bool broken = json_is_false(json_object_get(root, "valid"));

    if (status >= STATUS_OK_END)
        g_set_error(error, BASE_ERROR,
                    status == STATUS_MISSING ? BASE_ERROR_NOT_FOUND : BASE_ERROR_REFUSED, "%s",
                    detail != NULL ? detail : "not done");
    json_decref(root);
    if (status >= STATUS_OK_END)
        return EXIT_LOCAL;
    print_answer(answer, json);
    return broken ? EXIT_LOCAL : EXIT_DONE;
}

int admin_run(Client *client, const char *noun, char **arguments, bool json, GError **error)
{
    bool free_form = strcmp(noun, "api") == 0;
    const Verb *verb = free_form ? NULL : find_verb(noun, arguments, error);
    g_autofree char *path = NULL, *body = NULL, *answer = NULL;
    const char *request[3];
    unsigned status = 0;

    if (!free_form && verb == NULL)
        return EXIT_WRONG;
    path = free_form ? g_strdup(arguments[1]) : make_path(verb, arguments + 1);
    body = free_form ? g_strdup(arguments[2] != NULL ? arguments[2] : "")
                     : make_body(verb, arguments + 1);
    request[0] = free_form ? arguments[0] : verb->method;
    request[1] = path;
    request[2] = body;
    answer = client_administer(client, request, &status, CALL_MS, error);
    return answer != NULL ? judge(answer, status, json, error) : EXIT_LOCAL;
}
