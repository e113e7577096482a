/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the configuration with libconfig and lays it over the defaults of the key table. Every complaint
 * names file and line, the key, and the nearest known one. Rules between keys are checked at the end.
 */
#include "daemon/config.h"

#include "base/error.h"
#include "base/spelling.h"
#include "daemon/config-keys.h"

#include <libconfig.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB         (1024u * 1024u)
#define TLS_1_2     0x0303
#define STORE_PATH  "/var/lib/pesitfs/store.db"
#define SECRET_FILE "file:"

typedef struct {
    Config config;
    _Atomic unsigned references;
} Counted;

typedef struct {
    const char *path;
    char *folder;
    SealKey *seal_key;
    const Config *running;           /* what a reload starts from, NULL at the start */
    const GPtrArray *definitions;    /* of the store; NULL: it was not read */
    GPtrArray *files;                /* of the configuration that is read */
    GHashTable *names, *identifiers; /* → Partner, of those that are read */
    config_t file;
} Reader;

static bool complain(const Reader *self, const config_setting_t *setting, GError **error,
                     const char *format, ...) G_GNUC_PRINTF(4, 5);

static bool complain(const Reader *self, const config_setting_t *setting, GError **error,
                     const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    text = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s:%u: %s", self->path,
                setting != NULL ? (unsigned)config_setting_source_line(setting) : 0, text);
    return false;
}

/* nearest key */

static const char *nearest_key(const ConfigScope *scope, const char *path)
{
    const char *nearest = scope->keys[0].path;
    unsigned best = UINT32_MAX;

    for (const ConfigKey *key = scope->keys; key->path != NULL; key++) {
        unsigned distance = spelling_distance(path, key->path);

        if (distance < best) {
            best = distance;
            nearest = key->path;
        }
    }
    return nearest;
}

static bool is_group_of(const ConfigScope *scope, const char *path)
{
    size_t length = strlen(path);

    for (const ConfigKey *key = scope->keys; key->path != NULL; key++) {
        if (strncmp(key->path, path, length) == 0 && key->path[length] == '.')
            return true;
    }
    return false;
}

static bool is_key_of(const ConfigScope *scope, const char *path)
{
    for (const ConfigKey *key = scope->keys; key->path != NULL; key++) {
        if (strcmp(key->path, path) == 0)
            return true;
    }
    return false;
}

static void note_file(const Reader *self, const char *path)
{
    if (path != NULL && strcmp(path, self->path) != 0 &&
        !g_ptr_array_find_with_equal_func(self->files, path, g_str_equal, NULL))
        g_ptr_array_add(self->files, g_strdup(path));
}

/* libconfig tells the name that stands behind @include: it counts from the folder of the main file. */
static void note_source(const Reader *self, const char *path)
{
    g_autofree char *whole = NULL;

    if (path == NULL || strcmp(path, self->path) == 0)
        return;
    whole = g_path_is_absolute(path) ? g_strdup(path) : g_build_filename(self->folder, path, NULL);
    note_file(self, whole);
}

static bool check_known(const Reader *self, const ConfigScope *scope, const config_setting_t *group,
                        const char *prefix, GError **error)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        g_autofree char *path = g_strconcat(prefix, config_setting_name(setting), NULL);
        g_autofree char *below = g_strconcat(path, ".", NULL);

        note_source(self, config_setting_source_file(setting));
        if (is_key_of(scope, path))
            continue;
        if (!is_group_of(scope, path))
            return complain(self, setting, error, "unknown key '%s%s', did you mean '%s'?",
                            scope->name, path, nearest_key(scope, path));
        if (!config_setting_is_group(setting))
            return complain(self, setting, error, "'%s%s' must be a group { … }", scope->name,
                            path);
        if (!check_known(self, scope, setting, below, error))
            return false;
    }
    return true;
}

/* values */

static bool read_number(const Reader *self, const ConfigKey *key, const config_setting_t *setting,
                        const char *text, int64_t *ret_number, GError **error)
{
    int type = setting != NULL ? config_setting_type(setting) : CONFIG_TYPE_INT;

    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
        return complain(self, setting, error, "'%s' must be a whole number", key->path);
    *ret_number =
            setting != NULL ? config_setting_get_int64(setting) : g_ascii_strtoll(text, NULL, 10);
    if (*ret_number < key->min || *ret_number > key->max)
        return complain(self, setting, error,
                        "'%s' is %" G_GINT64_FORMAT ": it must be %" G_GINT64_FORMAT
                        " to %" G_GINT64_FORMAT " %s",
                        key->path, *ret_number, key->min, key->max, key->unit);
    return true;
}

/* Texts go to names, logs and answers, which are UTF-8. */
static bool check_encoding(const Reader *self, const char *path, const config_setting_t *setting,
                           const char *text, GError **error)
{
    const char *end;

    if (g_utf8_validate(text, -1, &end))
        return true;
    return complain(self, setting, error,
                    "'%s' is not UTF-8: its byte %td is 0x%02X, as in a file saved as ISO 8859-1",
                    path, end - text + 1, (unsigned)(unsigned char)*end);
}

static bool read_text(const Reader *self, const ConfigKey *key, const config_setting_t *setting,
                      const char **text, GError **error)
{
    size_t length;

    if (setting == NULL)
        return true;
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return complain(self, setting, error, "'%s' must be a text \"…\"", key->path);
    *text = config_setting_get_string(setting);
    if (!check_encoding(self, key->path, setting, *text, error))
        return false;
    length = strlen(*text);
    if (key->kind != KEY_SECRET && key->max > 0 &&
        (length < (size_t)key->min || length > (size_t)key->max))
        return complain(self, setting, error,
                        "'%s' has %zu characters: it must have %" G_GINT64_FORMAT
                        " to %" G_GINT64_FORMAT,
                        key->path, length, key->min, key->max);
    return true;
}

static bool read_choice(const Reader *self, const ConfigKey *key, const config_setting_t *setting,
                        const char *text, int *ret_choice, GError **error)
{
    g_autoptr(GString) names = g_string_new(NULL);

    for (int i = 0; key->choices[i] != NULL; i++) {
        if (strcmp(key->choices[i], text) == 0) {
            *ret_choice = i;
            return true;
        }
        g_string_append_printf(names, "%s\"%s\"", i > 0 ? ", " : "", key->choices[i]);
    }
    return complain(self, setting, error, "'%s' is \"%s\": it must be one of %s", key->path, text,
                    names->str);
}

/* An address, or a folder. */
static bool read_element(const Reader *self, const ConfigKey *key, const config_setting_t *element,
                         GPtrArray *texts, GError **error)
{
    const char *text = config_setting_get_string(element);
    uint8_t bytes[16];
    size_t length;
    unsigned bits;

    if (text != NULL && !check_encoding(self, key->path, element, text, error))
        return false;
    if (key->kind == KEY_FOLDERS && (text == NULL || !g_path_is_absolute(text)))
        return complain(self, element, error, "'%s': \"%s\" is no absolute path", key->path,
                        text != NULL ? text : "");
    if (key->kind == KEY_ADDRESSES &&
        (text == NULL || !partner_parse_range(text, bytes, &length, &bits)))
        return complain(self, element, error, "'%s': \"%s\" is no address or range", key->path,
                        text != NULL ? text : "");
    g_ptr_array_add(texts, g_strdup(text));
    return true;
}

static bool read_list(const Reader *self, const ConfigKey *key, const config_setting_t *setting,
                      void *target, GError **error)
{
    if (setting == NULL)
        return true;
    if (!config_setting_is_array(setting) && !config_setting_is_list(setting))
        return complain(self, setting, error, "'%s' must be a list [ … ]", key->path);
    for (int i = 0; i < config_setting_length(setting); i++) {
        config_setting_t *element = config_setting_get_elem(setting, (unsigned)i);

        if (key->kind == KEY_ADDRESSES || key->kind == KEY_FOLDERS) {
            if (!read_element(self, key, element, *(GPtrArray **)target, error))
                return false;
        } else {
            int64_t number = 0;
            uint32_t delay;

            if (!read_number(self, key, element, NULL, &number, error))
                return false;
            delay = (uint32_t)number;
            g_array_append_val(*(GArray **)target, delay);
        }
    }
    return true;
}

static bool store_number(const ConfigKey *key, int64_t number, void *target)
{
    if (key->kind == KEY_U8)
        *(uint8_t *)target = (uint8_t)number;
    else if (key->kind == KEY_U16)
        *(uint16_t *)target = (uint16_t)number;
    else if (key->kind == KEY_U32)
        *(uint32_t *)target = (uint32_t)number;
    else
        *(uint64_t *)target = (uint64_t)number * MIB;
    return true;
}

/* What is only a verifier was looked at when it was made. */
static bool check_secret(const Reader *self, const ConfigKey *key, const config_setting_t *setting,
                         const Secret *secret, GError **error)
{
    size_t length;

    (void)secret_get(secret, &length);
    return key->max == 0 || length <= (size_t)key->max ||
           complain(self, setting, error, "'%s' has %zu characters: it must have %d to %d",
                    key->path, length, (int)key->min, (int)key->max);
}

static bool store_text(const Reader *self, const ConfigKey *key, const config_setting_t *setting,
                       const char *text, void *target, GError **error)
{
    g_autoptr(GError) failure = NULL;
    int choice = 0;
    char *end;

    if (text == NULL)
        return true;
    switch ((int)key->kind) {
    case KEY_PATH:
        *(char **)target = g_path_is_absolute(text) ? g_strdup(text)
                                                    : g_build_filename(self->folder, text, NULL);
        return true;
    case KEY_SECRET:
        if (g_str_has_prefix(text, SECRET_FILE))
            note_file(self, text + strlen(SECRET_FILE));
        *(Secret **)target = secret_parse(text, self->seal_key, &failure);
        if (failure != NULL)
            return complain(self, setting, error, "'%s': %s", key->path, failure->message);
        return check_secret(self, key, setting, *(Secret **)target, error);
    case KEY_MODE:
        *(uint32_t *)target = (uint32_t)strtoul(text, &end, 8);
        return (*end == '\0' && *(uint32_t *)target <= 0777) ||
               complain(self, setting, error,
                        "'%s' is \"%s\": it must be permission bits as \"0660\"", key->path, text);
    case KEY_ZONE:
        *(GTimeZone **)target = g_time_zone_new_identifier(text);
        return *(GTimeZone **)target != NULL ||
               complain(self, setting, error, "'%s': unknown time zone \"%s\"", key->path, text);
    case KEY_PROFILE:
        if (pesit_profile_find(text) == NULL)
            return complain(self, setting, error, "'%s': unknown profile \"%s\"", key->path, text);
        *(PesitProfile *)target = *pesit_profile_find(text);
        return true;
    case KEY_CHOICE:
    case KEY_VERSION:
    case KEY_CODE:
        if (!read_choice(self, key, setting, text, &choice, error))
            return false;
        if (key->kind == KEY_VERSION)
            *(uint16_t *)target = (uint16_t)(TLS_1_2 + choice);
        else if (key->kind == KEY_CODE)
            *(uint8_t *)target = (uint8_t)choice;
        else
            *(int *)target = choice;
        return true;
    default:
        *(char **)target = g_strdup(text);
        return true;
    }
}

static bool read_key(const Reader *self, const ConfigKey *key, const config_setting_t *group,
                     void *object, GError **error)
{
    /* the lookup takes no const; it changes nothing */
    config_setting_t *setting =
            config_setting_lookup((config_setting_t *)(uintptr_t)group, key->path);
    void *target = (char *)object + key->offset;
    const char *text = key->fallback;
    int64_t number = 0;

    if (key->kind == KEY_ADDRESSES || key->kind == KEY_FOLDERS || key->kind == KEY_DELAYS)
        return read_list(self, key, setting, target, error);
    if (setting == NULL && (text == NULL || text[0] == '\0'))
        return true;
    switch ((int)key->kind) {
    case KEY_GROUPS:
        return true;
    case KEY_BOOL:
        if (setting != NULL && config_setting_type(setting) != CONFIG_TYPE_BOOL)
            return complain(self, setting, error, "'%s' must be true or false", key->path);
        *(bool *)target =
                setting != NULL ? config_setting_get_bool(setting) != 0 : strcmp(text, "true") == 0;
        return true;
    case KEY_U8:
    case KEY_U16:
    case KEY_U32:
    case KEY_MB:
        return read_number(self, key, setting, text, &number, error) &&
               store_number(key, number, target);
    default:
        return read_text(self, key, setting, &text, error) &&
               store_text(self, key, setting, text, target, error);
    }
}

static bool read_scope(const Reader *self, const ConfigScope *scope, const config_setting_t *group,
                       void *object, GError **error)
{
    if (!config_setting_is_group(group))
        return complain(self, group, error, "an element of '%s' must be a group { … }",
                        scope->name);
    if (!check_known(self, scope, group, "", error))
        return false;
    for (const ConfigKey *key = scope->keys; key->path != NULL; key++) {
        if (!read_key(self, key, group, object, error))
            return false;
    }
    return true;
}

/* The list of groups under a key; NULL and no error when absent. */
static bool find_list(const Reader *self, const config_setting_t *group, const char *name,
                      config_setting_t **ret_list, GError **error)
{
    *ret_list = config_setting_lookup((config_setting_t *)(uintptr_t)group, name);
    if (*ret_list == NULL || config_setting_is_list(*ret_list))
        return true;
    return complain(self, *ret_list, error, "'%s' must be a list of groups ( { … }, { … } )", name);
}

/* objects */

static void listener_free(gpointer data)
{
    ListenerConfig *listener = data;

    tls_settings_clear(&listener->tls);
    g_free(listener->name);
    g_free(listener->description);
    g_free(listener->address);
    g_free(listener);
}

static bool check_readable(const Reader *self, const config_setting_t *group, const char *key,
                           const char *path, GError **error)
{
    if (path == NULL || access(path, R_OK) == 0)
        return true;
    return complain(self, group, error, "'%s': '%s' cannot be read: %s", key, path,
                    g_strerror(errno));
}

/* What stands in files and what is in the store, each once; without the store nothing is looked up there. */
static bool check_store_tls(const Reader *self, Config *config, const config_setting_t *group,
                            TlsSettings *tls, bool server, GError **error)
{
    g_autofree char *fault = NULL;

    if (tls->keystore != NULL && tls->certificate != NULL)
        return complain(self, group, error, "'tls.keystore' stands instead of 'tls.certificate'");
    if (tls->truststore != NULL && tls->authorities != NULL)
        return complain(self, group, error, "'tls.truststore' stands instead of 'tls.authorities'");
    if (self->definitions == NULL) {
        config->needs_store =
                config->needs_store || tls->keystore != NULL || tls->truststore != NULL;
        return true;
    }
    return config_resolve_tls(config, tls, server, &fault) ||
           complain(self, group, error, "%s", fault);
}

static bool check_tls(const Reader *self, const config_setting_t *group, const TlsSettings *tls,
                      GError **error)
{
    if ((tls->certificate == NULL) != (tls->key == NULL))
        return complain(self, group, error, "'tls.certificate' and 'tls.key' go together");
    if (tls->client_certificate != CLIENT_CERTIFICATE_NONE && tls->authorities == NULL &&
        tls->truststore == NULL)
        return complain(self, group, error,
                        "'tls.client_certificate' needs 'tls.authorities' or 'tls.truststore'");
    return check_readable(self, group, "tls.certificate", tls->certificate, error) &&
           check_readable(self, group, "tls.key", tls->key, error) &&
           check_readable(self, group, "tls.authorities", tls->authorities, error);
}

char *config_name_listener(const ListenerConfig *listener)
{
    return listener->name != NULL ? g_strdup(listener->name)
           : listener->port != 0  ? g_strdup_printf("%s:%u", listener->address, listener->port)
                                  : NULL;
}

static bool check_listener(const Reader *self, Config *config, const config_setting_t *group,
                           ListenerConfig *listener, GError **error)
{
    g_autofree char *id = config_name_listener(listener);

    if (listener->name != NULL &&
        strspn(listener->name,
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:[]-") !=
                strlen(listener->name))
        return complain(self, group, error,
                        "'name' is \"%s\": letters, digits, '.', ':', '_' and '-' only",
                        listener->name);
    for (guint i = 0; i + 1 < config->listeners->len; i++) {
        const ListenerConfig *other = g_ptr_array_index(config->listeners, i);
        g_autofree char *other_id = config_name_listener(other);

        if (listener->port != 0 && other->port == listener->port &&
            strcmp(other->address, listener->address) == 0)
            return complain(self, group, error, "'port': two listeners have %s port %u",
                            listener->address, listener->port);
        if (id != NULL && g_strcmp0(other_id, id) == 0)
            return complain(self, group, error, "'name': two listeners are \"%s\"", id);
    }
    return check_tls(self, group, &listener->tls, error) &&
           check_store_tls(self, config, group, &listener->tls, true, error);
}

static bool read_listener(const Reader *self, Config *config, const config_setting_t *group,
                          GError **error)
{
    ListenerConfig *listener = g_new0(ListenerConfig, 1);

    g_ptr_array_add(config->listeners, listener);
    if (!read_scope(self, &CONFIG_LISTENER, group, listener, error))
        return false;
    listener->tls.enabled = listener->tls.certificate != NULL || listener->tls.keystore != NULL;
    return check_listener(self, config, group, listener, error);
}

static void admin_listener_free(gpointer data)
{
    AdminListener *listener = data;

    tls_settings_clear(&listener->listener.tls);
    g_free(listener->listener.address);
    g_free(listener);
}

static bool is_loopback(const char *address)
{
    return g_str_has_prefix(address, "127.") || strcmp(address, "::1") == 0 ||
           strcmp(address, "localhost") == 0;
}

static bool read_admin_listener(const Reader *self, Config *config, const config_setting_t *group,
                                GError **error)
{
    AdminListener *admin = g_new0(AdminListener, 1);
    ListenerConfig *listener = &admin->listener;

    g_ptr_array_add(config->admin_listeners, admin);
    if (!read_scope(self, &CONFIG_ADMIN_LISTENER, group, admin, error))
        return false;
    listener->tls.enabled = listener->tls.certificate != NULL;
    if (!listener->tls.enabled && !admin->plain && !is_loopback(listener->address))
        return complain(self, group, error,
                        "the administration on '%s' needs 'tls.certificate', or 'plain' = true",
                        listener->address);
    return check_tls(self, group, &listener->tls, error);
}

/* text: NULL: there is none. */
static bool check_template(const Reader *self, const config_setting_t *group, const char *key,
                           const char *text, GError **error)
{
    g_autoptr(GError) failure = NULL;

    return text == NULL || rule_check_template(text, &failure) ||
           complain(self, group, error, "'%s': %s", key, failure->message);
}

static bool has_control_character(const char *text)
{
    while (*text != '\0' && !g_ascii_iscntrl(*text))
        text++;
    return *text != '\0';
}

/* What goes into an FPDU as it is: blanks at its end would be lost there. text: NULL: there is none. */
static bool check_name(const Reader *self, const config_setting_t *group, const char *key,
                       const char *text, GError **error)
{
    size_t length = text != NULL ? strlen(text) : 0;
    bool good = length == 0 || (text[0] != ' ' && text[length - 1] != ' ');

    for (size_t i = 0; i < length && good; i++)
        good = text[i] >= 0x20 && text[i] <= 0x7E;
    return good || complain(self, group, error,
                            "'%s' is \"%s\": plain ASCII without a blank at an end", key, text);
}

static bool check_file(const Reader *self, const config_setting_t *group, const VirtualFile *file,
                       GError **error)
{
    bool fixed = file->format == RECORD_BINARY_FIXED || file->format == RECORD_TEXT_FIXED;

    if (config_setting_get_member(group, "mode") == NULL)
        return complain(
                self, group, error,
                "a virtual file needs 'mode': \"send\", \"fetch\", \"offer\" or \"receive\"");
    if (file->pattern == NULL)
        return complain(self, group, error, "a virtual file needs 'pattern'");
    if (file->pattern[0] == '/' || strstr(file->pattern, "..") != NULL ||
        strstr(file->pattern, "//") != NULL)
        return complain(self, group, error,
                        "'pattern' is \"%s\": it is a path below the partner's folder",
                        file->pattern);
    if (has_control_character(file->pattern))
        return complain(self, group, error, "'pattern' has a control character");
    if (fixed && file->record_length == 0)
        return complain(self, group, error, "a fixed 'format' needs 'record_length'");
    return check_name(self, group, "client", file->client, error) &&
           check_name(self, group, "bank", file->bank, error) &&
           check_template(self, group, "file_name", file->file_name, error) &&
           check_template(self, group, "label", file->label, error) &&
           check_template(self, group, "free_text", file->free_text, error);
}

static bool read_file(const Reader *self, Partner *partner, const config_setting_t *group,
                      GError **error)
{
    VirtualFile *file = g_new0(VirtualFile, 1);

    g_ptr_array_add(partner->files, file);
    if (!read_scope(self, &CONFIG_FILE, group, file, error))
        return false;
    if (config_setting_get_member(group, "data_code") == NULL)
        file->data_code = file->format == RECORD_TEXT || file->format == RECORD_TEXT_FIXED ? 0 : 2;
    if (partner->profile.label_is_name && file->label == NULL)
        file->label = g_strdup("{name}");
    if (!check_file(self, group, file, error))
        return false;
    for (guint i = 0; i + 1 < partner->files->len; i++) {
        const VirtualFile *other = g_ptr_array_index(partner->files, i);

        if (strcmp(other->pattern, file->pattern) == 0)
            return complain(self, group, error, "'pattern' \"%s\" is there twice", file->pattern);
    }
    return true;
}

static bool check_partner(const Reader *self, Config *config, const config_setting_t *group,
                          Partner *partner, GError **error)
{
    const Partner *other;
    unsigned from, to;

    if (partner->name == NULL || partner->identifier == NULL)
        return complain(self, group, error, "a partner needs '%s'",
                        partner->name == NULL ? "name" : "identifier");
    if (strspn(partner->name,
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") !=
                strlen(partner->name) ||
        partner->name[0] == '.')
        return complain(self, group, error,
                        "'name' is \"%s\": letters, digits, '.', '_' and '-' only", partner->name);
    if (!check_name(self, group, "identifier", partner->identifier, error) ||
        !check_name(self, group, "local_identifier", partner->local_identifier, error))
        return false;
    if (partner->local_identifier == NULL && config->node_name == NULL)
        return complain(self, group, error,
                        "partner '%s' needs 'local_identifier', or the file 'node'", partner->name);
    if (partner->local_identifier == NULL)
        partner->local_identifier = g_strdup(config->node_name);
    if (partner->active_hours != NULL && !partner_parse_hours(partner->active_hours, &from, &to))
        return complain(self, group, error, "'active_hours' is \"%s\": write \"08:00-20:00\"",
                        partner->active_hours);
    if (g_hash_table_contains(self->names, partner->name))
        return complain(self, group, error, "two partners have the name '%s'", partner->name);
    other = g_hash_table_lookup(self->identifiers, partner->identifier);
    if (other != NULL)
        return complain(self, group, error, "partners '%s' and '%s' have the same identifier",
                        other->name, partner->name);
    g_hash_table_insert(self->names, partner->name, partner);
    g_hash_table_insert(self->identifiers, partner->identifier, partner);
    return check_tls(self, group, &partner->tls, error) &&
           check_store_tls(self, config, group, &partner->tls, false, error);
}

static void fill_delays(Partner *partner)
{
    static const uint32_t DELAYS_S[] = {60, 120, 300, 600, 1200}; /* procedures §9.10 */

    if (partner->retry_delays_s->len == 0)
        g_array_append_vals(partner->retry_delays_s, DELAYS_S, G_N_ELEMENTS(DELAYS_S));
}

static bool read_partner(const Reader *self, Config *config, const config_setting_t *group,
                         GError **error)
{
    Partner *partner = g_new0(Partner, 1);
    config_setting_t *list = NULL;

    g_ptr_array_add(config->partners, partner);
    partner->addresses = g_ptr_array_new_with_free_func(g_free);
    partner->retry_delays_s = g_array_new(FALSE, FALSE, sizeof(uint32_t));
    partner->files = g_ptr_array_new_with_free_func((GDestroyNotify)virtual_file_free);
    if (!read_scope(self, &CONFIG_PARTNER, group, partner, error) ||
        !check_partner(self, config, group, partner, error) ||
        !find_list(self, group, "files", &list, error))
        return false;
    fill_delays(partner);
    for (int i = 0; list != NULL && i < config_setting_length(list); i++) {
        if (!read_file(self, partner, config_setting_get_elem(list, (unsigned)i), error))
            return false;
    }
    return true;
}

static bool load_key(Reader *self, const config_setting_t *root, GError **error)
{
    config_setting_t *setting =
            config_setting_lookup((config_setting_t *)(uintptr_t)root, "paths.key_file");
    const char *text = setting != NULL ? config_setting_get_string(setting) : NULL;
    g_autoptr(GError) failure = NULL;
    g_autofree char *path = NULL;

    if (text == NULL)
        return true;
    if (!check_encoding(self, "paths.key_file", setting, text, error))
        return false;
    path = g_path_is_absolute(text) ? g_strdup(text) : g_build_filename(self->folder, text, NULL);
    note_file(self, path);
    self->seal_key = seal_key_load(path, &failure);
    return self->seal_key != NULL ||
           complain(self, setting, error, "'paths.key_file': %s", failure->message);
}

static config_setting_t *look_up(const config_setting_t *group, const char *path)
{
    /* the lookup takes no const; it changes nothing */
    return config_setting_lookup((config_setting_t *)(uintptr_t)group, path);
}

static bool check_store(const Reader *self, Config *config, const config_setting_t *root,
                        GError **error)
{
    const config_setting_t *older = look_up(root, "paths.store");
    const config_setting_t *path = look_up(root, "store.path");
    const config_setting_t *conninfo = look_up(root, "store.conninfo");
    const config_setting_t *password = look_up(root, "store.password");
    const config_setting_t *admin_password = look_up(root, "admin.database.password");
    const char *schema = config->store_schema;

    if (older != NULL && path != NULL)
        return complain(self, path, error, "'store.path' and 'paths.store' are the same key");
    if (config->store_backend == STORE_SQLITE && conninfo != NULL)
        return complain(self, conninfo, error,
                        "'store.conninfo' needs 'store.backend' \"postgres\"");
    if (config->store_backend == STORE_SQLITE && password != NULL)
        return complain(self, password, error,
                        "'store.password' needs 'store.backend' \"postgres\"");
    if (config->admin_password != NULL && config->admin_conninfo == NULL)
        return complain(self, admin_password, error,
                        "'admin.database.password' needs 'admin.database.conninfo'");
    if (config->admin_password != NULL && secret_is_verifier(config->admin_password))
        return complain(self, admin_password, error,
                        "'admin.database.password': a verifier cannot be presented");
    if (config->store_password != NULL && secret_is_verifier(config->store_password))
        return complain(self, password, error, "'store.password': a verifier cannot be presented");
    if (config->store_backend == STORE_POSTGRES && path != NULL)
        return complain(self, path, error, "'store.path' needs 'store.backend' \"sqlite\"");
    if (strspn(schema, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(schema) ||
        g_ascii_isdigit(schema[0]))
        return complain(self, look_up(root, "store.schema"), error,
                        "'store.schema' is \"%s\": it must be of a-z, 0-9 and '_'", schema);
    if (config->store_path == NULL)
        config->store_path = g_strdup(STORE_PATH);
    return true;
}

/* certificates of the store */

/* Returns new. */
char *config_name_definition(const char *partner, const char *pattern)
{
    return pattern == NULL ? g_strdup_printf("partner '%s'", partner)
           : strcmp(partner, DEFINITION_CERTIFICATES) == 0
                   ? g_strdup_printf("certificates '%s'", pattern)
           : partner[0] != '\0' ? g_strdup_printf("virtual file '%s' of '%s'", pattern, partner)
                                : g_strdup_printf("listener '%s'", pattern);
}

/* What stands for a partner that does not fit. */
static bool add_stub(config_t *text, const char *name)
{
    config_setting_t *root = config_root_setting(text);
    config_setting_t *identifier = config_setting_add(root, "identifier", CONFIG_TYPE_STRING);
    config_setting_t *enabled = config_setting_add(root, "enabled", CONFIG_TYPE_BOOL);

    return config_setting_set_string(identifier, name) == CONFIG_TRUE &&
           config_setting_set_bool(enabled, 0) == CONFIG_TRUE;
}

/* The settings as a group of the file would be, with the key that names it. */
static bool parse_definition(const Reader *self, config_t *text, const Definition *definition,
                             const char *key, const char *name, GError **error)
{
    config_setting_t *setting;

    const char *settings = definition->fault != NULL ? "" : definition->settings;

    if (strstr(settings, "@include") != NULL) {
        (void)complain(self, NULL, error, "@include is for files");
        return false;
    }
    if (config_read_string(text, settings) != CONFIG_TRUE) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s:%d: %s", self->path,
                    config_error_line(text), config_error_text(text));
        return false;
    }
    if (definition->fault != NULL && !add_stub(text, name))
        return false;
    setting = config_setting_add(config_root_setting(text), key, CONFIG_TYPE_STRING);
    if (setting == NULL)
        return complain(self, config_setting_get_member(config_root_setting(text), key), error,
                        "'%s' is not among the settings", key);
    return config_setting_set_string(setting, name) == CONFIG_TRUE;
}

static bool is_certificates(const Definition *definition)
{
    return strcmp(definition->partner, DEFINITION_CERTIFICATES) == 0;
}

static void free_certificates(gpointer data)
{
    certificate_store_free(data);
}

static bool read_store(const Reader *self, Config *config, const Definition *definition,
                       const config_setting_t *group, GError **error)
{
    CertificateStore *store = g_new0(CertificateStore, 1);
    g_autofree char *fault = NULL;

    g_ptr_array_add(config->certificates, store);
    store->version = definition->version;
    store->created_us = definition->created_us;
    store->updated_us = definition->updated_us;
    if (!read_scope(self, &CONFIG_CERTIFICATES, group, store, error))
        return false;
    fault = config_check_certificates(store);
    return fault == NULL || complain(self, group, error, "%s", fault);
}

/* Before those who name them. */
static bool read_certificates(Reader *self, Config *config, GError **error)
{
    const char *path = self->path;
    bool read = true;

    for (guint i = 0; read && self->definitions != NULL && i < self->definitions->len; i++) {
        const Definition *definition = g_ptr_array_index(self->definitions, i);
        g_autofree char *name = config_name_definition(definition->partner, definition->pattern);
        g_autofree char *where = g_strconcat("store, ", name, NULL);
        config_t text;

        if (!is_certificates(definition) || definition->left_out)
            continue;
        self->path = where;
        config_init(&text);
        read = parse_definition(self, &text, definition, "name", definition->pattern, error) &&
               read_store(self, config, definition, config_root_setting(&text), error);
        config_destroy(&text);
        self->path = path;
    }
    return read;
}

/* reloading */

static void name_restart_key(Config *config, const char *name)
{
    g_autofree char *names = config->restart_keys;

    config->restart_keys = names != NULL ? g_strconcat(names, ", ", name, NULL) : g_strdup(name);
}

/* Of two names for one value the later is the present one. */
static bool is_older_name(const ConfigKey *key)
{
    for (const ConfigKey *other = key + 1; other->path != NULL; other++) {
        if (other->offset == key->offset)
            return true;
    }
    return false;
}

static void keep_running(const Reader *self, Config *config)
{
    if (self->running == NULL)
        return;
    for (const ConfigKey *key = CONFIG_ROOT.keys; key->path != NULL; key++) {
        if (key->reloadable || key->kind == KEY_GROUPS || is_older_name(key) ||
            config_key_is_equal(key, self->running, config))
            continue;
        name_restart_key(config, key->path);
        config_key_copy(key, self->running, config);
    }
}

static void keep_admin_listeners(const Reader *self, Config *config)
{
    if (self->running == NULL ||
        config_are_groups_equal(&CONFIG_ADMIN_LISTENER, self->running->admin_listeners,
                                config->admin_listeners))
        return;
    name_restart_key(config, "admin.listeners");
    g_ptr_array_unref(config->admin_listeners);
    config->admin_listeners = g_ptr_array_ref(self->running->admin_listeners);
}

static bool read_all(Reader *self, Config *config, GError **error)
{
    const config_setting_t *root = config_root_setting(&self->file);
    config_setting_t *listeners = NULL, *partners = NULL, *admin = NULL;

    if (!load_key(self, root, error) || !read_scope(self, &CONFIG_ROOT, root, config, error) ||
        !check_store(self, config, root, error))
        return false;
    keep_running(self, config);
    if (!read_certificates(self, config, error) ||
        !find_list(self, root, "listeners", &listeners, error) ||
        !find_list(self, root, "admin.listeners", &admin, error) ||
        !find_list(self, root, "partners", &partners, error))
        return false;
    for (int i = 0; listeners != NULL && i < config_setting_length(listeners); i++) {
        if (!read_listener(self, config, config_setting_get_elem(listeners, (unsigned)i), error))
            return false;
    }
    for (int i = 0; admin != NULL && i < config_setting_length(admin); i++) {
        if (!read_admin_listener(self, config, config_setting_get_elem(admin, (unsigned)i), error))
            return false;
    }
    keep_admin_listeners(self, config);
    for (int i = 0; partners != NULL && i < config_setting_length(partners); i++) {
        if (!read_partner(self, config, config_setting_get_elem(partners, (unsigned)i), error))
            return false;
    }
    return true;
}

static bool parse(Reader *self, GError **error)
{
    const char *file;

    config_set_include_dir(&self->file, self->folder);
    errno = 0;
    if (config_read_file(&self->file, self->path) == CONFIG_TRUE)
        return true;
    file = config_error_file(&self->file);
    if (config_error_type(&self->file) == CONFIG_ERR_FILE_IO)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND,
                    "configuration '%s' cannot be read: %s", self->path,
                    errno != 0 ? g_strerror(errno) : "it is no file");
    else
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s:%d: %s",
                    file != NULL ? file : self->path, config_error_line(&self->file),
                    config_error_text(&self->file));
    return false;
}

/* the store's partners and virtual files */

static bool is_listener(const Definition *definition)
{
    return definition->partner[0] == '\0';
}

static bool read_listener_of_store(const Reader *self, Config *config, const Definition *definition,
                                   const config_setting_t *group, GError **error)
{
    ListenerConfig *listener;

    if (!read_listener(self, config, group, error))
        return false;
    listener = g_ptr_array_index(config->listeners, config->listeners->len - 1);
    listener->version = definition->version;
    return true;
}

static bool read_definition(Reader *self, Config *config, const Definition *definition,
                            GError **error)
{
    bool listens = is_listener(definition), is_file = definition->pattern != NULL && !listens;
    Partner *partner = is_file ? g_hash_table_lookup(self->names, definition->partner) : NULL;
    config_t text;
    bool read;

    if (definition->left_out || is_certificates(definition))
        return true;
    if (is_file && partner == NULL)
        return complain(self, NULL, error, "there is no partner of this name");
    config_init(&text);
    read = parse_definition(self, &text, definition, is_file ? "pattern" : "name",
                            definition->pattern != NULL ? definition->pattern : definition->partner,
                            error) &&
           (listens   ? read_listener_of_store(self, config, definition, config_root_setting(&text),
                                               error)
            : is_file ? read_file(self, partner, config_root_setting(&text), error)
                      : read_partner(self, config, config_root_setting(&text), error));
    config_destroy(&text);
    return read;
}

static bool read_definitions(Reader *self, Config *config, const GPtrArray *definitions,
                             GError **error)
{
    const char *path = self->path;
    bool read = true;

    for (guint i = 0; read && definitions != NULL && i < definitions->len; i++) {
        const Definition *definition = g_ptr_array_index(definitions, i);
        g_autofree char *name = config_name_definition(definition->partner, definition->pattern);
        g_autofree char *where = g_strconcat("store, ", name, NULL);

        self->path = where;
        read = read_definition(self, config, definition, error);
        self->path = path;
    }
    return read;
}

Config *config_load(const char *path, GError **error)
{
    return config_load_with(path, NULL, error);
}

Config *config_load_with(const char *path, const GPtrArray *definitions, GError **error)
{
    return config_load_again(path, definitions, NULL, error);
}

Config *config_load_again(const char *path, const GPtrArray *definitions, const Config *running,
                          GError **error)
{
    Counted *counted = g_new0(Counted, 1);
    Config *config = &counted->config;
    Reader reader = {.path = path,
                     .folder = g_path_get_dirname(path),
                     .running = running,
                     .definitions = definitions};
    bool loaded;

    atomic_init(&counted->references, 1);
    config->listeners = g_ptr_array_new_with_free_func(listener_free);
    config->admin_listeners = g_ptr_array_new_with_free_func(admin_listener_free);
    config->admin_send_directories = g_ptr_array_new_with_free_func(g_free);
    config->partners = g_ptr_array_new_with_free_func((GDestroyNotify)partner_free);
    config->certificates = g_ptr_array_new_with_free_func(free_certificates);
    config->files = g_ptr_array_new_with_free_func(g_free);
    reader.files = config->files;
    reader.names = g_hash_table_new(g_str_hash, g_str_equal);
    reader.identifiers = g_hash_table_new(g_str_hash, g_str_equal);
    config_init(&reader.file);
    loaded = parse(&reader, error) && read_all(&reader, config, error) &&
             read_definitions(&reader, config, definitions, error);
    config_destroy(&reader.file);
    seal_key_free(reader.seal_key);
    g_hash_table_unref(reader.names);
    g_hash_table_unref(reader.identifiers);
    g_free(reader.folder);
    if (loaded)
        return config;
    config_unref(config);
    return NULL;
}

Config *config_ref(Config *config)
{
    atomic_fetch_add(&((Counted *)config)->references, 1);
    return config;
}

void config_unref(Config *config)
{
    if (config == NULL || atomic_fetch_sub(&((Counted *)config)->references, 1) != 1)
        return;
    g_free(config->node_name);
    g_free(config->spool_path);
    g_free(config->inbox_path);
    g_free(config->socket_path);
    g_free(config->store_path);
    g_free(config->store_conninfo);
    secret_unref(config->store_password);
    g_free(config->store_schema);
    g_free(config->store_owner);
    g_free(config->key_file);
    secret_unref(config->admin_first_key);
    g_free(config->admin_conninfo);
    secret_unref(config->admin_password);
    g_ptr_array_unref(config->listeners);
    g_ptr_array_unref(config->admin_listeners);
    g_ptr_array_unref(config->admin_send_directories);
    g_ptr_array_unref(config->partners);
    g_ptr_array_unref(config->certificates);
    g_ptr_array_unref(config->files);
    g_free(config->restart_keys);
    g_free(config);
}

const Partner *config_find_partner(const Config *config, const char *name)
{
    for (guint i = 0; i < config->partners->len; i++) {
        const Partner *partner = g_ptr_array_index(config->partners, i);

        if (strcmp(partner->name, name) == 0)
            return partner;
    }
    return NULL;
}

const Partner *config_find_partner_by_identifier(const Config *config, const char *identifier)
{
    for (guint i = 0; i < config->partners->len; i++) {
        const Partner *partner = g_ptr_array_index(config->partners, i);

        if (strcmp(partner->identifier, identifier) == 0)
            return partner;
    }
    return NULL;
}
