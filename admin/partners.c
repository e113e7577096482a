/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partners and virtual files: shown as the daemon has them, written into the store by it. Bodies are read in
 * admin/draft.c.
 */
#include "admin/draft.h"

#include <stdio.h>
#include <string.h>

#define LIST_MAX 1000

/* showing */

static void write_origin(GString *out, GVariant *described)
{
    json_text(out, "source", value_text(described, "source"));
    json_text(out, "fault", value_text(described, "fault"));
    json_number(out, "version", value_number(described, "version"));
    json_time(out, "updatedAt", value_number(described, "updated_us"));
}

static const char *direction_of(const char *mode)
{
    return g_strcmp0(mode, "receive") == 0 || g_strcmp0(mode, "fetch") == 0 ? "RECEIVE" : "SEND";
}

static void write_file(GString *out, const char *partner, GVariant *file)
{
    static const char *const TEXTS[] = {"mode", "commit", "ack", "existing", NULL};
    g_autoptr(GVariant) settings = g_variant_lookup_value(file, "settings", NULL);
    const char *pattern = value_text(file, "pattern");
    g_autofree char *id = g_strconcat(partner, "/", pattern, NULL);
    guint64 max_bytes = 0;

    g_variant_lookup(file, "max_bytes", "t", &max_bytes);
    json_open(out, NULL, '{');
    json_text(out, "id", id);
    json_text(out, "partnerId", partner);
    json_text(out, "pattern", pattern);
    json_text(out, "description", value_text(settings, "description"));
    json_bool(out, "enabled", value_flag(settings, "enabled"));
    json_text(out, "direction", direction_of(value_text(settings, "mode")));
    for (size_t i = 0; TEXTS[i] != NULL; i++)
        json_text(out, TEXTS[i], value_text(settings, TEXTS[i]));
    json_bool(out, "overwrite", g_strcmp0(value_text(settings, "existing"), "replace") == 0);
    json_number(out, "maxFileSize", (gint64)max_bytes);
    json_number(out, "fileType", value_number(settings, "file_type"));
    json_number(out, "recordLength", value_number(settings, "record_length"));
    json_number(out, "waitSeconds", value_number(settings, "wait_s"));
    write_origin(out, file);
    json_settings(out, "settings", settings);
    json_close(out, '}');
}

/* pattern: of the only one, NULL for all. Returns how many. */
static unsigned write_files(GString *out, GVariant *partner, const char *pattern)
{
    g_autoptr(GVariantIter) files = NULL;
    unsigned count = 0;
    GVariant *file;

    if (!g_variant_lookup(partner, "files", "aa{sv}", &files))
        return 0;
    while ((file = g_variant_iter_next_value(files)) != NULL) {
        if (pattern == NULL || g_strcmp0(pattern, value_text(file, "pattern")) == 0) {
            write_file(out, value_text(partner, "name"), file);
            count++;
        }
        g_variant_unref(file);
    }
    return count;
}

static const char *access_of(GVariant *settings)
{
    bool writes = value_flag(settings, "may_write"), reads = value_flag(settings, "may_read");

    return writes && reads ? "BOTH" : writes ? "WRITE" : reads ? "READ" : "NONE";
}

static void write_partner(GString *out, GVariant *partner, bool with_files)
{
    g_autoptr(GVariant) settings = g_variant_lookup_value(partner, "settings", NULL);
    g_autoptr(GVariant) secrets = g_variant_lookup_value(partner, "secrets", NULL);
    const char *name = value_text(partner, "name");

    json_open(out, NULL, '{');
    json_text(out, "id", name);
    json_text(out, "partnerId", name);
    json_text(out, "name", name);
    json_text(out, "description", value_text(settings, "description"));
    json_bool(out, "enabled", value_flag(settings, "enabled"));
    json_text(out, "identifier", value_text(settings, "identifier"));
    json_text(out, "serverId", value_text(settings, "identifier"));
    json_text(out, "accessType", access_of(settings));
    json_number(out, "maxConnections", value_number(settings, "max_connections"));
    json_text(out, "host", value_text(settings, "address"));
    json_number(out, "port", value_number(settings, "port"));
    json_bool(out, "tlsEnabled", value_flag(settings, "tls.enabled"));
    json_variant(out, "secrets", secrets);
    write_origin(out, partner);
    json_settings(out, "settings", settings);
    if (with_files) {
        json_open(out, "virtualFiles", '[');
        (void)write_files(out, partner, NULL); /* none is fine */
        json_close(out, ']');
    }
    json_close(out, '}');
}

/* asking */

/* The partners that the daemon has, by name. only, after: NULL for all. NULL: answered. Returns new. */
static GVariant *ask_partners(Request *request, const char *only, const char *after,
                              const char *state, int64_t limit)
{
    g_autoptr(DoorAnswer) answer =
            request_ask(request, "Describe",
                        g_variant_new("(ssus)", only != NULL ? only : "",
                                      after != NULL ? after : "", (guint32)limit, state));

    return answer != NULL ? g_variant_get_child_value(answer->value, 0) : NULL;
}

/* "true", "false", or nothing: all. NULL: answered. */
static const char *query_state(Request *request)
{
    const char *enabled = request_query(request, "enabled");

    if (enabled == NULL)
        return "";
    if (strcmp(enabled, "true") == 0 || strcmp(enabled, "false") == 0)
        return enabled[0] == 't' ? "enabled" : "disabled";
    request_problem(request, 400, "invalid", "enabled", "enabled: it must be true or false");
    return NULL;
}

static bool contains(const char *text, const char *folded)
{
    g_autofree char *whole = text != NULL ? g_utf8_casefold(text, -1) : NULL;

    return whole != NULL && strstr(whole, folded) != NULL;
}

/* text: folded. */
static bool has_text(GVariant *partner, const char *text)
{
    g_autoptr(GVariant) settings = g_variant_lookup_value(partner, "settings", NULL);

    return contains(value_text(partner, "name"), text) ||
           contains(value_text(settings, "description"), text);
}

/* text: that the name or the description has, NULL: all. Partners are asked for until there are enough of what they are written as: those that are nothing here leave no page
 * short. A page ends between partners. write: how many. */
static void list(Request *request, unsigned (*write)(GString *out, GVariant *partner),
                 const char *text)
{
    const char *state = query_state(request), *only = request_query(request, "partner");
    g_autofree char *after = g_strdup(request_query(request, "after"));
    g_autoptr(GString) listed = g_string_new(NULL);
    int64_t limit = LIST_MAX, left, asked;
    bool more;

    if (state == NULL || !request_query_number(request, "limit", 1, LIST_MAX, &limit))
        return;
    left = limit;
    json_open(listed, NULL, '[');
    do {
        g_autoptr(GVariant) found = ask_partners(request, only, after, state, left);

        if (found == NULL)
            return;
        asked = left;
        more = (int64_t)g_variant_n_children(found) == asked;
        for (gsize i = 0; i < g_variant_n_children(found) && left > 0; i++) {
            g_autoptr(GVariant) partner = g_variant_get_child_value(found, i);

            if (text == NULL || has_text(partner, text))
                left -= write(listed, partner);
            g_free(after);
            after = g_strdup(value_text(partner, "name"));
        }
    } while (more && left > 0);
    json_close(listed, ']');
    g_string_append(request_answer(request, 200), listed->str);
}

static unsigned list_partner(GString *out, GVariant *partner)
{
    write_partner(out, partner, true);
    return 1;
}

static unsigned list_files(GString *out, GVariant *partner)
{
    return write_files(out, partner, NULL);
}

void partners_list(Request *request)
{
    list(request, list_partner, NULL);
}

void partners_search(Request *request)
{
    const char *text = request_query(request, "q");
    g_autofree char *folded = text != NULL ? g_utf8_casefold(text, -1) : NULL;

    list(request, list_partner, folded);
}

void partners_statistics(Request *request)
{
    int64_t counts[2] = {0}, files = 0, calling = 0;
    g_autofree char *after = g_strdup("");
    GString *out;
    gsize n;

    do {
        g_autoptr(GVariant) found = ask_partners(request, NULL, after, "", LIST_MAX);

        if (found == NULL)
            return;
        n = g_variant_n_children(found);
        for (gsize i = 0; i < n; i++) {
            g_autoptr(GVariant) partner = g_variant_get_child_value(found, i);
            g_autoptr(GVariant) settings = g_variant_lookup_value(partner, "settings", NULL);
            g_autoptr(GVariant) its = g_variant_lookup_value(partner, "files", NULL);

            counts[value_flag(settings, "enabled")]++;
            calling += value_text(settings, "address") != NULL;
            files += its != NULL ? (int64_t)g_variant_n_children(its) : 0;
            g_free(after);
            after = g_strdup(value_text(partner, "name"));
        }
    } while (n == LIST_MAX);
    out = request_answer(request, 200);
    json_open(out, NULL, '{');
    json_number(out, "total", counts[0] + counts[1]);
    json_number(out, "enabled", counts[1]);
    json_number(out, "disabled", counts[0]);
    json_number(out, "withAddress", calling);
    json_number(out, "virtualFiles", files);
    json_close(out, '}');
}

void files_list(Request *request)
{
    list(request, list_files, NULL);
}

/* those that we call, as the client's servers */

static unsigned list_server(GString *out, GVariant *partner)
{
    g_autoptr(GVariant) settings = g_variant_lookup_value(partner, "settings", NULL);

    if (value_text(settings, "address") == NULL)
        return 0;
    write_partner(out, partner, false);
    return 1;
}

void servers_list(Request *request)
{
    list(request, list_server, NULL);
}

static void set_query(Request *request, const char *name, const char *value)
{
    g_hash_table_replace(request->query, g_strdup(name), g_strdup(value));
}

void servers_list_enabled(Request *request)
{
    set_query(request, "enabled", "true");
    list(request, list_server, NULL);
}

void partners_list_enabled(Request *request)
{
    set_query(request, "enabled", "true");
    list(request, list_partner, NULL);
}

/* one of them */

/* The version as it is told to callers. */
static int64_t version_of(GVariant *partner, const char *pattern)
{
    g_autoptr(GVariantIter) files = NULL;
    int64_t version = 0;
    GVariant *file;

    if (pattern == NULL)
        return value_number(partner, "version");
    if (!g_variant_lookup(partner, "files", "aa{sv}", &files))
        return 0;
    while ((file = g_variant_iter_next_value(files)) != NULL) {
        if (g_strcmp0(value_text(file, "pattern"), pattern) == 0)
            version = value_number(file, "version");
        g_variant_unref(file);
    }
    return version;
}

/* A partner, or with a pattern its virtual file, as JSON. False: it is not there. */
static bool write_one(GString *out, GVariant *partners, const char *pattern, int64_t *ret_version)
{
    g_autoptr(GVariant) partner =
            g_variant_n_children(partners) > 0 ? g_variant_get_child_value(partners, 0) : NULL;

    if (partner == NULL)
        return false;
    *ret_version = version_of(partner, pattern);
    if (pattern != NULL)
        return write_files(out, partner, pattern) > 0;
    write_partner(out, partner, true);
    return true;
}

/* False: answered. pattern: NULL for the partner itself. */
static bool get_one(Request *request, const char *name, const char *pattern, GString *out,
                    int64_t *ret_version)
{
    g_autoptr(GVariant) partners = ask_partners(request, name, NULL, "", 1);

    if (partners == NULL)
        return false;
    if (write_one(out, partners, pattern, ret_version))
        return true;
    if (pattern == NULL)
        request_problem(request, 404, "not-found", "id", "no partner '%s'", name);
    else
        request_problem(request, 404, "not-found", "id", "no virtual file '%s' of '%s'", pattern,
                        name);
    return false;
}

void files_list_of_partner(Request *request)
{
    g_autoptr(GString) partner = g_string_new(NULL);
    int64_t version;

    if (!get_one(request, request->parameters[0], NULL, partner, &version))
        return;
    set_query(request, "partner", request->parameters[0]);
    list(request, list_files, NULL);
}

/* What the path names: a partner, or "PARTNER/PATTERN". ret_pattern: NULL for a partner. False: answered. */
static bool read_target(Request *request, bool is_file, char **ret_name, char **ret_pattern)
{
    const char *id = request->parameters[0];
    const char *slash = is_file ? strchr(id, '/') : NULL;

    *ret_name = slash != NULL ? g_strndup(id, (gsize)(slash - id)) : g_strdup(id);
    *ret_pattern = slash != NULL ? g_strdup(slash + 1) : NULL;
    if (!is_file || (slash != NULL && slash > id && slash[1] != '\0'))
        return true;
    request_problem(request, 404, "not-found", "id",
                    "no virtual file '%s': write PARTNER%%2FPATTERN", id);
    return false;
}

static void show(Request *request, bool is_file)
{
    g_autofree char *name = NULL, *pattern = NULL;
    g_autoptr(GString) one = g_string_new(NULL);
    int64_t version = 0;

    if (!read_target(request, is_file, &name, &pattern) ||
        !get_one(request, name, pattern, one, &version))
        return;
    g_string_append(request_answer(request, 200), one->str);
    draft_add_etag(request, version);
}

void partners_show(Request *request)
{
    show(request, false);
}

void files_show(Request *request)
{
    show(request, true);
}

/* writing */

/* partner: of a virtual file, NULL: the body names it. */
static void create(Request *request, DraftKind kind, const char *partner)
{
    g_autoptr(Draft) draft = draft_read(request, kind, partner, NULL);
    g_autoptr(GString) after = g_string_new(NULL);
    g_autofree char *id = NULL, *escaped = NULL, *where = NULL;
    const char *name, *pattern;
    int64_t version = 0;

    if (draft == NULL)
        return;
    name = draft_partner(draft);
    pattern = draft_pattern(draft);
    if (!draft_define(request, draft, 0) || !get_one(request, name, pattern, after, &version))
        return;
    draft_note(request, draft, NULL, after);
    id = pattern != NULL ? g_strconcat(name, "/", pattern, NULL) : g_strdup(name);
    escaped = g_uri_escape_string(id, NULL, FALSE);
    where = g_strconcat(partner != NULL ? "/api/v1/config/files" : request->path, "/", escaped,
                        NULL);
    draft_answer(request, 201, draft, after->str);
    request_add_header(request, "Location", where);
    draft_add_etag(request, version);
}

void partners_create(Request *request)
{
    create(request, DRAFT_PARTNER, NULL);
}

void files_create(Request *request)
{
    create(request, DRAFT_FILE, NULL);
}

void files_create_of_partner(Request *request)
{
    g_autoptr(GString) partner = g_string_new(NULL);
    int64_t version;

    if (get_one(request, request->parameters[0], NULL, partner, &version))
        create(request, DRAFT_FILE, request->parameters[0]);
}

static void update(Request *request, DraftKind kind)
{
    g_autofree char *name = NULL, *pattern = NULL;
    g_autoptr(GString) before = g_string_new(NULL), after = g_string_new(NULL);
    g_autoptr(Draft) draft = NULL;
    int64_t version = 0;

    if (!read_target(request, kind == DRAFT_FILE, &name, &pattern) ||
        !get_one(request, name, pattern, before, &version) || !draft_check_match(request, version))
        return;
    draft = draft_read(request, kind, name, pattern);
    if (draft == NULL || !draft_define(request, draft, request->if_match != NULL ? version : -1) ||
        !get_one(request, name, pattern, after, &version))
        return;
    draft_note(request, draft, before, after);
    draft_answer(request, 200, draft, after->str);
    draft_add_etag(request, version);
}

void partners_update(Request *request)
{
    update(request, DRAFT_PARTNER);
}

void partners_enable(Request *request)
{
    g_string_assign(request->body, "{\"enabled\":true}");
    update(request, DRAFT_PARTNER);
}

void partners_disable(Request *request)
{
    g_string_assign(request->body, "{\"enabled\":false}");
    update(request, DRAFT_PARTNER);
}

void files_update(Request *request)
{
    update(request, DRAFT_FILE);
}

static void remove_one(Request *request, bool is_file)
{
    g_autofree char *name = NULL, *pattern = NULL;
    g_autoptr(GString) before = g_string_new(NULL);
    g_autoptr(DoorAnswer) answer = NULL;
    int64_t version = 0;

    if (!read_target(request, is_file, &name, &pattern) ||
        !get_one(request, name, pattern, before, &version) || !draft_check_match(request, version))
        return;
    answer = request_ask(request, "Undefine",
                         g_variant_new("(ssx)", name, pattern != NULL ? pattern : "",
                                       request->if_match != NULL ? version : (gint64)-1));
    if (answer == NULL)
        return;
    draft_note(request, NULL, before, NULL);
    (void)request_answer(request, 204);
}

void partners_remove(Request *request)
{
    remove_one(request, false);
}

void files_remove(Request *request)
{
    remove_one(request, true);
}
