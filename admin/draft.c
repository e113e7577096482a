/* SPDX-License-Identifier: Apache-2.0 */
/* One table says what the fields of PeSIT Wizard are here; all others are keys of the configuration. */
#include "admin/draft.h"

#include <string.h>

#define MIB             (1024 * 1024)
#define FORMAT_VARIABLE 128 /* its recordFormat */

struct Draft {
    DraftKind kind;
    char *partner, *pattern, *title;
    GVariantDict settings;
    GVariant *whole; /* of settings, when all is read */
    GHashTable *fields;
    GPtrArray *written, *ignored; /* char * */
    GPtrArray *names; /* char *: fields that name a file, each with its text behind it */
};

typedef bool (*Reader)(Draft *self, const char *field, GVariant *value, GError **error);

typedef struct {
    const char *field;
    const char *key; /* it is this key under another name; NULL: see read */
    Reader read;     /* NULL, and no key: it has no effect here */
} Row;

static bool complain(const char *field, const char *wanted, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: %s", field, wanted);
    return false;
}

/* What the daemon calls by a name of its own: a problem of it names what was written. */
static void note_name(Draft *self, const char *name, const char *field)
{
    g_hash_table_replace(self->fields, g_strdup(name), g_strdup(field));
}

static const char *field_of(const Draft *self, const char *name, const char *otherwise)
{
    const char *field = g_hash_table_lookup(self->fields, name);

    return field != NULL ? field : otherwise;
}

/* value: of json.h, borrowed. */
static void set(Draft *self, const char *key, const char *field, GVariant *value)
{
    g_variant_dict_insert_value(&self->settings, key, value);
    note_name(self, key, field);
}

static bool take_text(char **target, const char *field, GVariant *value, GError **error)
{
    if (value == NULL || !g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        return complain(field, "it must be a text", error);
    g_free(*target);
    *target = g_variant_dup_string(value, NULL);
    return true;
}

static bool read_partner_name(Draft *self, const char *field, GVariant *value, GError **error)
{
    g_autofree char *name = NULL;

    if (!take_text(&name, field, value, error))
        return false;
    if (self->partner != NULL && strcmp(self->partner, name) != 0)
        return complain(field, "a name does not change: make a new one", error);
    note_name(self, self->kind == DRAFT_PARTNER ? "name" : "partner", field);
    g_free(self->partner);
    self->partner = g_steal_pointer(&name);
    return true;
}

static bool read_title(Draft *self, const char *field, GVariant *value, GError **error)
{
    return take_text(&self->title, field, value, error);
}

/* What it says depends on whether the partner is named too, before it or after it. */
static bool read_file_name(Draft *self, const char *field, GVariant *value, GError **error)
{
    char *name = NULL;

    if (!take_text(&name, field, value, error))
        return false;
    g_ptr_array_add(self->names, g_strdup(field));
    g_ptr_array_add(self->names, name);
    return true;
}

/* "BANK1/out/x" names both, else it is the pattern. */
static bool take_file_name(Draft *self, const char *field, const char *name, GError **error)
{
    g_autofree char *partner = NULL;
    const char *slash = strchr(name, '/');

    if (slash != NULL &&
        (self->partner == NULL || (strncmp(name, self->partner, (size_t)(slash - name)) == 0 &&
                                   self->partner[slash - name] == '\0'))) {
        partner = g_strndup(name, (gsize)(slash - name));
        if (self->partner == NULL)
            note_name(self, "partner", field);
        g_free(self->partner);
        self->partner = g_steal_pointer(&partner);
        slash++;
    } else {
        slash = name;
    }
    if (self->pattern != NULL && strcmp(self->pattern, slash) != 0)
        return complain(field, "a pattern does not change: make a new one", error);
    note_name(self, "pattern", field);
    g_free(self->pattern);
    self->pattern = g_strdup(slash);
    return true;
}

static bool read_listener_name(Draft *self, const char *field, GVariant *value, GError **error)
{
    g_autofree char *name = NULL;

    if (!take_text(&name, field, value, error))
        return false;
    if (self->pattern != NULL && strcmp(self->pattern, name) != 0)
        return complain(field, "a name does not change: make a new one", error);
    note_name(self, "name", field);
    g_free(self->pattern);
    self->pattern = g_steal_pointer(&name);
    return true;
}

static bool read_access(Draft *self, const char *field, GVariant *value, GError **error)
{
    g_auto(GStrv) words = NULL;
    bool writes = false, reads = false;

    if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        words = g_strsplit(g_variant_get_string(value, NULL), ",", 8);
    else if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING_ARRAY))
        words = g_variant_dup_strv(value, NULL);
    else
        return complain(field, "it must be READ, WRITE, BOTH or NONE", error);
    if (words[0] == NULL)
        return complain(field, "it must be READ, WRITE, BOTH or NONE", error);
    for (size_t i = 0; words[i] != NULL; i++) {
        bool both = strcmp(words[i], "BOTH") == 0;

        if (!both && strcmp(words[i], "READ") != 0 && strcmp(words[i], "WRITE") != 0 &&
            strcmp(words[i], "NONE") != 0)
            return complain(field, "it must be READ, WRITE, BOTH or NONE", error);
        writes = writes || both || words[i][0] == 'W';
        reads = reads || both || words[i][0] == 'R';
    }
    set(self, "may_write", field, g_variant_new_boolean(writes));
    set(self, "may_read", field, g_variant_new_boolean(reads));
    return true;
}

static bool read_any_file(Draft *self, const char *field, GVariant *value, GError **error)
{
    const char *text = value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
                               ? g_variant_get_string(value, NULL)
                               : NULL;

    (void)self;
    if ((value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_UNIT)) ||
        g_strcmp0(text, "") == 0 || g_strcmp0(text, "*") == 0)
        return true;
    return complain(field, "the partner's virtual files say what it may move", error);
}

static bool read_direction(Draft *self, const char *field, GVariant *value, GError **error)
{
    const char *text = value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
                               ? g_variant_get_string(value, NULL)
                               : "";
    const char *mode = strcmp(text, "RECEIVE") == 0 ? "receive"
                       : strcmp(text, "SEND") == 0  ? "offer"
                                                    : NULL;

    if (mode == NULL)
        return complain(field,
                        "it must be RECEIVE or SEND: for both ways, one virtual file of each",
                        error);
    set(self, "mode", field, g_variant_new_string(mode));
    return true;
}

static bool read_overwrite(Draft *self, const char *field, GVariant *value, GError **error)
{
    if (value == NULL || !g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        return complain(field, "it must be true or false", error);
    set(self, "existing", field,
        g_variant_new_string(g_variant_get_boolean(value) ? "replace" : "refuse"));
    return true;
}

static bool read_bytes(Draft *self, const char *field, GVariant *value, GError **error)
{
    int64_t bytes = value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_INT64)
                            ? g_variant_get_int64(value)
                            : -1;

    if (bytes < 0)
        return complain(field, "it must be a number of bytes", error);
    if (bytes % MIB != 0)
        return complain(field, "it is kept in whole MiB: a multiple of 1048576", error);
    set(self, "max_mb", field, g_variant_new_int64(bytes / MIB));
    return true;
}

static bool read_record_format(Draft *self, const char *field, GVariant *value, GError **error)
{
    int64_t number = value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_INT64)
                             ? g_variant_get_int64(value)
                             : -1;

    if (number != 0 && number != FORMAT_VARIABLE)
        return complain(field, "it must be 0 (fixed) or 128 (variable); see also format", error);
    set(self, "format", field, g_variant_new_string(number == 0 ? "binary-fixed" : "binary"));
    return true;
}

/* clang-format off */
static const Row PARTNER[] = {
    { "id", NULL, read_partner_name }, { "partnerId", NULL, read_partner_name }, { "name", NULL, read_title },
    { "password", "password_received", NULL }, { "active", "enabled", NULL },
    { "accessType", NULL, read_access }, { "allowedOperations", NULL, read_access }, { "allowedFiles", NULL, read_any_file },
    { "maxConcurrentTransfers", "max_connections", NULL }, { "serverId", "identifier", NULL },
    { "host", "address", NULL }, { "tlsEnabled", "tls.enabled", NULL }, { "sslEnabled", "tls.enabled", NULL },
    { "connectionTimeout" }, { "readTimeout" }, { "protocolVersion" }, { "defaultServer" },
    { "settings" }, { "secrets" }, { "source" }, { "fault" }, { "version" }, { "updatedAt" }, { "createdAt" }, { "virtualFiles" },
    { "ignored" }, { NULL },
};
static const Row FILE_ROWS[] = {
    { "partner", NULL, read_partner_name }, { "partnerId", NULL, read_partner_name },
    { "id", NULL, read_file_name }, { "fileId", NULL, read_file_name }, { "pattern", NULL, read_file_name },
    { "virtualName", NULL, read_file_name }, { "name", NULL, read_title },
    { "active", "enabled", NULL },
    { "direction", NULL, read_direction }, { "overwrite", NULL, read_overwrite }, { "maxFileSize", NULL, read_bytes },
    { "recordFormat", NULL, read_record_format }, { "waitSeconds", "wait_s", NULL },
    { "receiveDirectory" }, { "sendDirectory" }, { "receiveFilenamePattern" }, { "filenamePattern" }, { "localPath" },
    { "settings" }, { "source" }, { "fault" }, { "version" }, { "updatedAt" }, { "createdAt" }, { "ignored" }, { NULL },
};
static const Row LISTENER[] = {
    { "serverId", NULL, read_listener_name }, { "id", NULL, read_listener_name }, { "name", NULL, read_listener_name },
    { "bindAddress", "address", NULL },
    { "protocolVersion" }, { "connectionTimeout" }, { "readTimeout" }, { "receiveDirectory" }, { "sendDirectory" },
    { "maxEntitySize" }, { "syncPointsEnabled" }, { "syncIntervalKb" }, { "resyncEnabled" }, { "strictPartnerCheck" },
    { "strictFileCheck" }, { "tlsEnabled" }, { "status" }, { "running" }, { "activeConnections" }, { "error" },
    { "settings" }, { "source" }, { "version" }, { "createdAt" }, { "updatedAt" }, { "ignored" }, { NULL },
};
static const Row *const ROWS[] = { [DRAFT_PARTNER] = PARTNER, [DRAFT_FILE] = FILE_ROWS, [DRAFT_LISTENER] = LISTENER };
/* clang-format on */

/* "maxConnections" is max_connections. Returns new. */
static char *dup_key(const char *field)
{
    GString *key = g_string_new(NULL);

    for (const char *at = field; *at != '\0'; at++) {
        if (g_ascii_isupper(*at) && at > field)
            g_string_append_c(key, '_');
        g_string_append_c(key, g_ascii_tolower(*at));
    }
    return g_string_free(key, FALSE);
}

static bool read_field(const char *field, GVariant *value, gpointer data, GError **error)
{
    Draft *self = data;
    const Row *row = ROWS[self->kind];
    g_autofree char *key = NULL;

    while (row->field != NULL &&
           (strcmp(row->field, field) != 0 &&
            !(row->key == NULL && row->read == NULL && g_str_has_prefix(field, row->field) &&
              field[strlen(row->field)] == '.')))
        row++;
    if (row->field != NULL && row->key == NULL && row->read == NULL) {
        if (!g_ptr_array_find_with_equal_func(self->ignored, row->field, g_str_equal, NULL))
            g_ptr_array_add(self->ignored, g_strdup(row->field));
        return true;
    }
    g_ptr_array_add(self->written, g_strdup(field));
    if (row->read != NULL)
        return row->read(self, field, value, error);
    key = row->key != NULL ? g_strdup(row->key) : dup_key(field);
    if (value == NULL)
        return complain(field, "it must be a text, a number, true, false, or a list of them",
                        error);
    set(self, key, field, value);
    return true;
}

/* names */

/* A name beside an id is a title. */
static bool settle_partner(Draft *self, bool is_new, GError **error)
{
    if (self->partner == NULL)
        self->partner = g_steal_pointer(&self->title);
    if (self->partner == NULL)
        return complain("id", "it is missing", error);
    if (self->partner[0] == '\0')
        return complain(field_of(self, "name", "id"), "it is empty", error);
    if (self->title != NULL && strcmp(self->title, self->partner) != 0 &&
        !g_variant_dict_contains(&self->settings, "description"))
        set(self, "description", "name", g_variant_new_string(self->title));
    if (is_new && !g_variant_dict_contains(&self->settings, "identifier"))
        set(self, "identifier", "id", g_variant_new_string(self->partner));
    return true;
}

static bool settle_file(Draft *self, GError **error)
{
    for (guint i = 0; i < self->names->len; i += 2) {
        if (!take_file_name(self, g_ptr_array_index(self->names, i),
                            g_ptr_array_index(self->names, i + 1), error))
            return false;
    }
    if (self->partner == NULL)
        return complain("partnerId", "it is missing: a virtual file belongs to a partner", error);
    if (self->partner[0] == '\0')
        return complain(field_of(self, "partner", "partnerId"), "it is empty", error);
    if (self->pattern == NULL || self->pattern[0] == '\0')
        return complain(field_of(self, "pattern", "pattern"), "it is missing", error);
    if (self->title != NULL && !g_variant_dict_contains(&self->settings, "description"))
        set(self, "description", "name", g_variant_new_string(self->title));
    return true;
}

static bool settle_listener(Draft *self, bool is_new, GError **error)
{
    if (self->pattern == NULL || self->pattern[0] == '\0')
        return complain("serverId", "it is missing", error);
    if (is_new && !g_variant_dict_contains(&self->settings, "auto_start"))
        set(self, "auto_start", "autoStart", g_variant_new_boolean(FALSE));
    return true;
}

static bool settle(Draft *self, bool is_new, GError **error)
{
    switch (self->kind) {
    case DRAFT_PARTNER:
        return settle_partner(self, is_new, error);
    case DRAFT_FILE:
        return settle_file(self, error);
    case DRAFT_LISTENER:
        return settle_listener(self, is_new, error);
    }
    return false;
}

Draft *draft_read(Request *request, DraftKind kind, const char *name, const char *pattern)
{
    g_autoptr(Json) json = request_read_json(request, NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(Draft) self = NULL;

    if (json == NULL)
        return NULL;
    self = g_new0(Draft, 1);
    self->kind = kind;
    self->partner = g_strdup(kind == DRAFT_LISTENER ? "" : name);
    self->pattern = g_strdup(pattern);
    g_variant_dict_init(&self->settings, NULL);
    self->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->written = g_ptr_array_new_with_free_func(g_free);
    self->ignored = g_ptr_array_new_with_free_func(g_free);
    self->names = g_ptr_array_new_with_free_func(g_free);
    if (!json_each(json, read_field, self, &error) || !settle(self, name == NULL, &error)) {
        request_fail(request, error);
        return NULL;
    }
    self->whole = g_variant_ref_sink(g_variant_dict_end(&self->settings));
    return g_steal_pointer(&self);
}

void draft_free(Draft *self)
{
    if (self == NULL)
        return;
    g_variant_dict_clear(&self->settings);
    if (self->whole != NULL)
        g_variant_unref(self->whole);
    g_hash_table_unref(self->fields);
    g_ptr_array_unref(self->written);
    g_ptr_array_unref(self->ignored);
    g_ptr_array_unref(self->names);
    g_free(self->partner);
    g_free(self->pattern);
    g_free(self->title);
    g_free(self);
}

const char *draft_partner(const Draft *self)
{
    return self->partner;
}

const char *draft_pattern(const Draft *self)
{
    return self->kind != DRAFT_PARTNER ? self->pattern : NULL;
}

GVariant *draft_settings(const Draft *self)
{
    return self->whole;
}

GHashTable *draft_fields(const Draft *self)
{
    return self->fields;
}

static void write_names(const GPtrArray *names, GString *out, const char *key)
{
    json_open(out, key, '[');
    for (guint i = 0; i < names->len; i++)
        json_text(out, NULL, g_ptr_array_index(names, i));
    json_close(out, ']');
}

void draft_write_fields(const Draft *self, GString *out, const char *key)
{
    write_names(self->written, out, key);
}

void draft_write_ignored(const Draft *self, GString *out, const char *key)
{
    if (self->ignored->len > 0)
        write_names(self->ignored, out, key);
}

/* answers */

void draft_add_etag(Request *request, int64_t version)
{
    g_autofree char *etag = g_strdup_printf("\"%" G_GINT64_FORMAT "\"", version);

    if (version > 0)
        request_add_header(request, "ETag", etag);
}

bool draft_check_match(Request *request, int64_t version)
{
    g_autofree char *etag =
            version > 0 ? g_strdup_printf("\"%" G_GINT64_FORMAT "\"", version) : NULL;

    if (request->if_match == NULL || request_names_etag(request->if_match, etag))
        return true;
    request_problem(request, 412, "precondition", "If-Match",
                    "it was changed: its version is %" G_GINT64_FORMAT, version);
    return false;
}

void draft_note(Request *request, const Draft *draft, const GString *before, const GString *after)
{
    g_autoptr(GString) change = NULL;

    request_note_change(request, before != NULL ? before->str : NULL,
                        after != NULL ? after->str : NULL);
    if (draft == NULL)
        return;
    change = g_string_new(request->change);
    draft_write_fields(draft, change, "fields");
    g_free(request->change);
    request->change = g_strdup(change->str);
}

void draft_answer(Request *request, unsigned status, const Draft *draft, const char *one)
{
    GString *out = request_answer(request, status);

    g_string_append(out, one);
    g_string_truncate(out, out->len - 1);
    draft_write_ignored(draft, out, "ignored");
    json_close(out, '}');
}

bool draft_define(Request *request, const Draft *draft, int64_t version)
{
    g_autoptr(DoorAnswer) answer = NULL;

    request->fields = draft_fields(draft);
    answer = request_ask(request, "Define",
                         g_variant_new("(ss@a{sv}x)", draft->partner,
                                       draft->kind != DRAFT_PARTNER ? draft->pattern : "",
                                       draft_settings(draft), version));
    request->fields = NULL;
    return answer != NULL;
}
