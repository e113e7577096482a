/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs that are requests of the administration API, over the local door: a row of VERBS says method and
 * path, and what the arguments are in them. Answers are printed as they come, or as lines for people.
 */
#include "base/error.h"
#include "pesitctl/output.h"
#include "pesitctl/verb.h"

#include <stdlib.h>
#include <string.h>

#define CALL_MS        70000
#define STATUS_OK_END  300
#define STATUS_MISSING 404
#define NAME_COLUMNS   20
#define NAME_HERE      "{}"

/* The values that name it, with slashes between, where they belong in the path. Returns how many they are. */
static size_t put_name(GString *path, const AdminRequest *request, char **values)
{
    size_t count = request->names > 0 ? request->names : g_strv_length(values);
    g_autoptr(GString) name = g_string_new(NULL);
    g_autofree char *escaped = NULL;

    if (strstr(request->path, NAME_HERE) == NULL)
        return 0;
    for (size_t i = 0; i < count && values[i] != NULL; i++)
        g_string_append_printf(name, "%s%s", i > 0 ? "/" : "", values[i]);
    escaped = g_uri_escape_string(name->str, NULL, FALSE);
    (void)g_string_replace(path, NAME_HERE, escaped, 1); /* once */
    return count;
}

static char *make_path(const AdminRequest *request, char **values)
{
    GString *path = g_string_new(request->path);

    values += put_name(path, request, values);
    for (size_t i = 0; values[i] != NULL && request->queries[i] != NULL; i++) {
        g_autofree char *escaped = g_uri_escape_string(values[i], NULL, FALSE);

        g_string_append_printf(path, "%c%s=%s", strchr(path->str, '?') == NULL ? '?' : '&',
                               request->queries[i], escaped);
    }
    return g_string_free(path, FALSE);
}

/* body: taken. */
static char *dup_body(json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    char *copy = g_strdup(text);

    free(text);
    json_decref(body);
    return copy;
}

static void put_names(json_t *body, const AdminRequest *request, char **values)
{
    for (size_t i = 0; i < VERB_FIELDS_MAX && request->fields[i] != NULL && values[i] != NULL; i++)
        (void)json_object_set_new(body, request->fields[i],
                                  json_string(values[i])); /* checked there */
}

static char *make_body(const AdminRequest *request, char **values)
{
    json_t *body;

    if (request->body != NULL || request->fields[0] == NULL)
        return g_strdup(request->body != NULL ? request->body : "");
    body = json_object();
    put_names(body, request, values);
    return dup_body(body);
}

/* keys and values */

/* "@FILE" and "-" are read, so that no password is on a command line. Returns new. */
static char *read_value(const char *key, const char *value, GError **error)
{
    bool secret = g_str_has_prefix(key, "password") || g_str_has_suffix(key, "Password");
    const char *path = strcmp(value, "-") == 0 ? "/dev/stdin" : value + 1;
    char *text = NULL;

    if (!secret || (value[0] != '@' && strcmp(value, "-") != 0))
        return g_strdup(value);
    if (!g_file_get_contents(path, &text, NULL, error))
        return NULL;
    text[strcspn(text, "\r\n")] = '\0';
    return text;
}

/* The fields that are lists: a value with commas, or one. */
static const char *const LISTS[] = {"workingDays", "holidays", NULL};

static json_t *make_scalar(const char *value)
{
    gint64 number;

    if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
        return json_boolean(value[0] == 't');
    if (g_ascii_string_to_signed(value, 10, G_MININT64, G_MAXINT64, &number, NULL))
        return json_integer(number);
    return json_string(value); /* checked there */
}

static json_t *make_value(const char *key, const char *value)
{
    g_auto(GStrv) items = NULL;
    json_t *list;

    if (!g_strv_contains(LISTS, key))
        return make_scalar(value);
    items = g_strsplit(value, ",", -1);
    list = json_array();
    for (size_t i = 0; items[i] != NULL; i++)
        (void)json_array_append_new(list, make_scalar(items[i])); /* out of memory ends us */
    return list;
}

/* "KEY=VALUE" into the body; "KEY=" takes the key back to its default. */
static bool put_setting(json_t *body, const char *setting, bool typed, GError **error)
{
    const char *equals = strchr(setting, '=');
    g_autofree char *key = NULL, *value = NULL;

    if (equals == NULL || equals == setting) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is no KEY=VALUE", setting);
        return false;
    }
    key = g_strndup(setting, (gsize)(equals - setting));
    value = read_value(key, equals + 1, error);
    if (value == NULL)
        return false;
    (void)json_object_set_new(body, key,
                              value[0] == '\0' ? json_null()
                              : typed          ? make_value(key, value)
                                               : json_string(value)); /* checked there */
    return true;
}

/* printing for people */

static void print_value(const char *name, json_t *value)
{
    char *text =
            json_is_string(value)
                    ? NULL
                    : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));

    if (!json_is_null(value))
        printf("%-*s %s\n", NAME_COLUMNS, name, text != NULL ? text : json_string_value(value));
    free(text);
}

/* A list of things has a line for each below its name; what else there is stands beside the name. */
static void print_field(const char *name, json_t *value)
{
    const char *key;
    json_t *item;
    size_t i;

    if (json_is_object(value)) {
        puts(name);
        json_object_foreach(value, key, item) print_value(key, item);
    } else if (json_is_object(json_array_get(value, 0))) {
        puts(name);
        json_array_foreach(value, i, item) print_value("", item);
    } else {
        print_value(name, value);
    }
}

/* Fields a line; brief: what has fields of its own is left out. */
static void print_thing(json_t *thing, bool brief)
{
    const char *name;
    json_t *value;

    json_object_foreach(thing, name, value)
    {
        if (!brief || !(json_is_object(value) || json_is_object(json_array_get(value, 0))))
            print_field(name, value);
    }
}

/* Things of a list apart by an empty line, and brief; a page of things is what it holds. */
static void print_plain(json_t *root)
{
    json_t *content = json_object_get(root, "content");
    json_t *things = json_is_array(content) ? content : root;
    json_t *thing;
    size_t i;

    if (!json_is_array(things)) {
        print_thing(things, false);
        return;
    }
    json_array_foreach(things, i, thing)
    {
        if (i > 0)
            (void)putchar('\n');
        print_thing(thing, true);
    }
}

/* People want the key alone, to put it into a file. */
static void print_answer(const char *answer, bool json)
{
    json_t *root = json_loads(answer, 0, NULL);
    const char *key = json_string_value(json_object_get(root, "key"));

    if (root == NULL && answer[0] != '\0')
        puts(answer); /* of pesitctl api: it may be any text */
    else if (json && root == NULL)
        print_json(stdout, json_pack("{sb}", "done", 1)); /* nothing is said when a thing is gone */
    else if (json)
        puts(answer);
    else if (key != NULL)
        puts(key);
    else if (root != NULL)
        print_plain(root);
    json_decref(root);
}

/* A test that failed ends as a transfer would. */
static int code_of_cause(const char *cause)
{
    g_autoptr(GError) error = NULL;
    BaseError code;

    if (cause == NULL || !base_error_from_name(cause, &code))
        return EXIT_LOCAL;
    error = g_error_new_literal(BASE_ERROR, (int)code, "");
    return code == BASE_ERROR_TIMEOUT ? EXIT_UNREACHABLE : (int)exit_code_of_error(error);
}

static int judge(const char *answer, unsigned status, bool json, GError **error)
{
    json_t *root = json_loads(answer, 0, NULL);
    const char *detail = json_string_value(json_object_get(root, "detail"));
    bool broken = json_is_false(json_object_get(root, "valid")) ||
                  json_is_false(json_object_get(root, "success"));
    const char *cause = json_string_value(json_object_get(root, "cause"));
    int code = broken ? code_of_cause(cause) : EXIT_DONE;

    if (status >= STATUS_OK_END)
        g_set_error(error, BASE_ERROR,
                    status == STATUS_MISSING ? BASE_ERROR_NOT_FOUND : BASE_ERROR_REFUSED, "%s",
                    detail != NULL ? detail : "not done");
    json_decref(root);
    if (status >= STATUS_OK_END)
        return EXIT_LOCAL;
    print_answer(answer, json);
    return code;
}

static int ask(Options *options, const char *const request[3], bool json, GError **error)
{
    unsigned status = 0;
    g_autofree char *answer = client_administer(options->client, request, &status, CALL_MS, error);

    return answer != NULL ? judge(answer, status, json, error) : EXIT_LOCAL;
}

int run_admin(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_autofree char *path = make_path(&verb->request, arguments);
    g_autofree char *body = make_body(&verb->request, arguments);
    const char *const request[] = {verb->request.method, path, body};

    return ask(options, request, options->json, error);
}

int run_define(const Verb *verb, Options *options, char **arguments, GError **error)
{
    const AdminRequest *row = &verb->request;
    g_auto(GStrv) names = g_strdupv(arguments);
    json_t *body = json_object();
    g_autofree char *path = NULL, *text = NULL;

    for (size_t i = row->names; names[i] != NULL; i++) {
        if (!put_setting(body, names[i], row->typed, error)) {
            json_decref(body);
            return EXIT_WRONG;
        }
    }
    put_names(body, row, names);
    text = dup_body(body);
    for (size_t i = row->names; names[i] != NULL; i++)
        g_clear_pointer(&names[i], g_free);
    path = make_path(row, names);
    return ask(options, (const char *const[]){row->method, path, text}, options->json, error);
}

/* "KEY=VALUE" as the query has it. */
int run_search(const Verb *verb, Options *options, char **arguments, GError **error)
{
    const AdminRequest *row = &verb->request;
    g_autoptr(GString) path = g_string_new(row->path);

    for (size_t i = 0; arguments[i] != NULL; i++) {
        const char *equals = strchr(arguments[i], '=');
        g_autofree char *key = NULL, *value = NULL;

        if (equals == NULL || equals == arguments[i]) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is no KEY=VALUE",
                        arguments[i]);
            return EXIT_WRONG;
        }
        key = g_strndup(arguments[i], (gsize)(equals - arguments[i]));
        value = g_uri_escape_string(equals + 1, NULL, FALSE);
        g_string_append_printf(path, "%c%s=%s", i == 0 ? '?' : '&', key, value);
    }
    return ask(options, (const char *const[]){row->method, path->str, ""}, options->json, error);
}

/* PEM as it is, other bytes in Base64. */
static bool put_file(json_t *body, const char *path, GError **error)
{
    g_autofree char *bytes = NULL, *encoded = NULL;
    gsize length = 0;

    if (!g_file_get_contents(path, &bytes, &length, error))
        return false;
    if (strlen(bytes) == length && g_utf8_validate(bytes, (gssize)length, NULL)) {
        (void)json_object_set_new(body, "file", json_string(bytes)); /* checked there */
    } else {
        encoded = g_base64_encode((const guchar *)bytes, length);
        (void)json_object_set_new(body, "fileBase64", json_string(encoded)); /* same */
        explicit_bzero(encoded, strlen(encoded));
    }
    explicit_bzero(bytes, length);
    return true;
}

/* What stands in the path comes first, then a name and a file where the row has them, then keys. */
static bool fill_certificate(json_t *body, const AdminRequest *row, char **arguments,
                             GError **error)
{
    bool has_name = row->fields[0][0] != '\0', has_file = row->fields[1] != NULL;
    char **at = arguments + 1;

    if (has_name)
        (void)json_object_set_new(body, row->fields[0], json_string(*at++)); /* checked there */
    if (has_file && !put_file(body, *at++, error))
        return false;
    for (; *at != NULL; at++) {
        if (!put_setting(body, *at, false, error))
            return false;
    }
    return true;
}

int run_certificate(const Verb *verb, Options *options, char **arguments, GError **error)
{
    const AdminRequest *row = &verb->request;
    bool is_new = row->fields[0][0] != '\0';
    g_autofree char *escaped = g_uri_escape_string(arguments[0], NULL, FALSE);
    g_autoptr(GString) path = g_string_new(row->path);
    g_autofree char *text = NULL;
    json_t *body;

    if (is_new && strcmp(arguments[0], "keystore") != 0 &&
        strcmp(arguments[0], "truststore") != 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "'%s' is no KIND: it is keystore or truststore", arguments[0]);
        return EXIT_WRONG;
    }
    (void)g_string_replace(path, "%s", escaped, 1); /* once */
    body = json_object();
    if (!fill_certificate(body, row, arguments, error)) {
        json_decref(body);
        return EXIT_WRONG;
    }
    text = dup_body(body);
    return ask(options, (const char *const[]){row->method, path->str, text}, options->json, error);
}

int run_api(const Verb *verb, Options *options, char **arguments, GError **error)
{
    const char *const request[] = {arguments[0], arguments[1],
                                   arguments[2] != NULL ? arguments[2] : ""};

    (void)verb;
    return ask(options, request, true, error);
}
