/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Settings of the store as text, changed key by key of the table, and what an object has of its keys, for people.
 * Clear passwords never get into a text, and none is told. Never logs. Any thread.
 */
#include "daemon/config.h"

#include "base/error.h"
#include "base/spelling.h"
#include "daemon/config-keys.h"

#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#define MIB     (1024u * 1024u)
#define TLS_1_2 0x0303

static const ConfigScope *scope_of(SettingsKind kind)
{
    static const ConfigScope *const SCOPES[] = {
            [SETTINGS_PARTNER] = &CONFIG_PARTNER,
            [SETTINGS_FILE] = &CONFIG_FILE,
            [SETTINGS_LISTENER] = &CONFIG_LISTENER,
            [SETTINGS_CERTIFICATES] = &CONFIG_CERTIFICATES,
    };

    return SCOPES[kind];
}

/* changing */

static bool complain(const char *key, const char *wanted, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: it must be %s", key, wanted);
    return false;
}

static const ConfigKey *find_key(const ConfigScope *scope, const char *path, GError **error)
{
    const ConfigKey *nearest = scope->keys;

    for (const ConfigKey *key = scope->keys; key->path != NULL; key++) {
        if (strcmp(key->path, path) == 0)
            return key;
        if (spelling_distance(path, key->path) < spelling_distance(path, nearest->path))
            nearest = key;
    }
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: unknown key, did you mean '%s'?", path,
                nearest->path);
    return NULL;
}

/* The group that a key is in, made when missing. ret_name: the last part of its path, borrowed. */
static config_setting_t *open_group(config_setting_t *root, const char *path, const char **ret_name)
{
    config_setting_t *group = root;
    const char *dot;

    for (; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
        g_autofree char *name = g_strndup(path, (gsize)(dot - path));
        config_setting_t *next = config_setting_get_member(group, name);

        group = next != NULL ? next : config_setting_add(group, name, CONFIG_TYPE_GROUP);
    }
    *ret_name = path;
    return group;
}

static bool read_number(const char *key, GVariant *value, int64_t *ret_number, GError **error)
{
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64)) {
        *ret_number = g_variant_get_int64(value);
        return true;
    }
    return (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING) &&
            g_ascii_string_to_signed(g_variant_get_string(value, NULL), 10, G_MININT64, G_MAXINT64,
                                     ret_number, NULL)) ||
           complain(key, "a whole number", error);
}

static bool put_number(config_setting_t *group, const char *name, int64_t number)
{
    bool small = number >= INT32_MIN && number <= INT32_MAX;
    config_setting_t *setting =
            config_setting_add(group, name, small ? CONFIG_TYPE_INT : CONFIG_TYPE_INT64);

    return (small ? config_setting_set_int(setting, (int)number)
                  : config_setting_set_int64(setting, number)) == CONFIG_TRUE;
}

static bool put_bool(config_setting_t *group, const char *name, const char *key, GVariant *value,
                     GError **error)
{
    const char *text = g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
                               ? g_variant_get_string(value, NULL)
                               : NULL;
    bool is_bool = g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN);

    if (!is_bool && g_strcmp0(text, "true") != 0 && g_strcmp0(text, "false") != 0)
        return complain(key, "true or false", error);
    return config_setting_set_bool(config_setting_add(group, name, CONFIG_TYPE_BOOL),
                                   is_bool ? g_variant_get_boolean(value)
                                           : strcmp(text, "true") == 0) == CONFIG_TRUE;
}

/* A list, or a text with commas. */
static bool put_list(config_setting_t *group, const char *name, const ConfigKey *key,
                     GVariant *value, GError **error)
{
    config_setting_t *list = config_setting_add(group, name, CONFIG_TYPE_ARRAY);
    g_auto(GStrv) words = NULL;

    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        words = g_strsplit(g_variant_get_string(value, NULL), ",", -1);
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING_ARRAY))
        words = g_variant_dup_strv(value, NULL);
    if (words == NULL && !g_variant_is_of_type(value, G_VARIANT_TYPE("ax")))
        return complain(key->path, "a list", error);
    for (gsize i = 0; words != NULL ? words[i] != NULL : i < g_variant_n_children(value); i++) {
        g_autoptr(GVariant) item = words != NULL
                                           ? g_variant_ref_sink(g_variant_new_string(words[i]))
                                           : g_variant_get_child_value(value, i);
        int64_t number = 0;

        if (key->kind == KEY_ADDRESSES && words == NULL)
            return complain(key->path, "a list of texts", error);
        if (key->kind == KEY_ADDRESSES) {
            (void)config_setting_set_string_elem(list, -1, g_strstrip(words[i])); /* texts alone */
            continue;
        }
        if (!read_number(key->path, item, &number, error))
            return false;
        if (number < key->min || number > key->max)
            return complain(key->path, "a list of seconds", error);
        (void)config_setting_set_int_elem(list, -1, (int)number); /* numbers alone */
    }
    return true;
}

static bool is_protected(const char *text)
{
    return g_str_has_prefix(text, "sealed:") || g_str_has_prefix(text, "verifier:") ||
           g_str_has_prefix(text, "file:");
}

static bool is_only_compared(const ConfigKey *key)
{
    return strcmp(key->path, "password_received") == 0 ||
           strcmp(key->path, "password_expected") == 0;
}

/* What is only compared becomes a verifier; what has to be said to the partner is sealed. Returns new. */
static char *protect(const Config *running, const ConfigKey *key, const char *text, GError **error)
{
    g_autoptr(Secret) secret = NULL;
    g_autoptr(SealKey) seal_key = NULL;

    if (is_protected(text))
        return g_strdup(text);
    if (key->max > 0 && strlen(text) > (size_t)key->max) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "%s: it has %zu characters: it must have %d to %d", key->path, strlen(text),
                    (int)key->min, (int)key->max);
        return NULL;
    }
    secret = secret_new(text, strlen(text));
    if (is_only_compared(key))
        return secret_make_verifier(secret, error);
    if (running->key_file == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "%s: without paths.key_file nothing can be sealed: set it%s", key->path,
                    g_str_has_prefix(key->path, "password")
                            ? ", or name a file that holds the password, file:/path"
                            : "");
        return NULL;
    }
    seal_key = seal_key_load(running->key_file, error);
    return seal_key != NULL ? secret_seal(secret, seal_key, error) : NULL;
}

static bool put_text(const Config *running, config_setting_t *group, const char *name,
                     const ConfigKey *key, GVariant *value, GError **error)
{
    g_autofree char *text = NULL;

    if (!g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        return complain(key->path, "a text", error);
    text = key->kind == KEY_SECRET ? protect(running, key, g_variant_get_string(value, NULL), error)
                                   : g_variant_dup_string(value, NULL);
    return text != NULL &&
           config_setting_set_string(config_setting_add(group, name, CONFIG_TYPE_STRING), text) ==
                   CONFIG_TRUE;
}

static bool put(const Config *running, config_setting_t *root, const ConfigKey *key,
                GVariant *value, GError **error)
{
    const char *name;
    config_setting_t *group = open_group(root, key->path, &name);
    int64_t number = 0;

    if (config_setting_get_member(group, name) != NULL)
        (void)config_setting_remove(group, name); /* it is there */
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_UNIT))
        return true;
    switch ((int)key->kind) {
    case KEY_BOOL:
        return put_bool(group, name, key->path, value, error);
    case KEY_U8:
    case KEY_U16:
    case KEY_U32:
    case KEY_MB:
        return read_number(key->path, value, &number, error) && put_number(group, name, number);
    case KEY_ADDRESSES:
    case KEY_DELAYS:
        return put_list(group, name, key, value, error);
    case KEY_GROUPS:
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "%s: they have requests of their own, and are not among a partner's settings",
                    key->path);
        return false;
    default:
        return put_text(running, group, name, key, value, error);
    }
}

static char *dup_text(const config_t *settings)
{
    g_autofree char *text = NULL;
    char *buffer = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&buffer, &length);

    config_write(settings, stream);
    (void)fclose(stream); /* memory */
    text = g_strndup(buffer, length);
    free(buffer);
    return g_steal_pointer(&text);
}

char *config_change_settings(const Config *running, SettingsKind kind, const char *settings,
                             GVariant *changes, GError **error)
{
    const ConfigScope *scope = scope_of(kind);
    config_t text;
    GVariantIter iterator;
    const char *path;
    GVariant *value;
    bool good = true;
    char *changed = NULL;

    config_init(&text);
    if (config_read_string(&text, settings) != CONFIG_TRUE) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "the settings are no text of ours: %s",
                    config_error_text(&text));
        config_destroy(&text);
        return NULL;
    }
    g_variant_iter_init(&iterator, changes);
    while (good && g_variant_iter_next(&iterator, "{&sv}", &path, &value)) {
        const ConfigKey *key = find_key(scope, path, error);

        good = key != NULL && put(running, config_root_setting(&text), key, value, error);
        g_variant_unref(value);
    }
    if (good)
        changed = dup_text(&text);
    config_destroy(&text);
    return changed;
}

/* describing */

static GVariant *describe_text(const char *text)
{
    return text != NULL ? g_variant_new_string(text) : NULL;
}

static GVariant *describe_texts(const GPtrArray *texts)
{
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE_STRING_ARRAY);
    for (guint i = 0; i < texts->len; i++)
        g_variant_builder_add(&list, "s", g_ptr_array_index(texts, i));
    return g_variant_builder_end(&list);
}

static GVariant *describe_delays(const GArray *delays)
{
    GVariantBuilder list;

    g_variant_builder_init(&list, G_VARIANT_TYPE("ax"));
    for (guint i = 0; i < delays->len; i++)
        g_variant_builder_add(&list, "x", (gint64)g_array_index(delays, uint32_t, i));
    return g_variant_builder_end(&list);
}

static gint64 number_at(KeyKind kind, const void *at)
{
    switch ((int)kind) {
    case KEY_U8:
        return *(const uint8_t *)at;
    case KEY_U16:
        return *(const uint16_t *)at;
    case KEY_MB:
        return (gint64)(*(const uint64_t *)at / MIB);
    default:
        return *(const uint32_t *)at;
    }
}

/* NULL: not set, or not to be told. Floating. */
static GVariant *describe_value(const ConfigKey *key, const void *object)
{
    const void *at = (const char *)object + key->offset;

    switch (key->kind) {
    case KEY_TEXT:
    case KEY_PATH:
        return describe_text(*(char *const *)at);
    case KEY_BOOL:
        return g_variant_new_boolean(*(const bool *)at);
    case KEY_U8:
    case KEY_U16:
    case KEY_U32:
    case KEY_MB:
        return g_variant_new_int64(number_at(key->kind, at));
    case KEY_ADDRESSES:
    case KEY_FOLDERS:
        return describe_texts(*(GPtrArray *const *)at);
    case KEY_DELAYS:
        return describe_delays(*(GArray *const *)at);
    case KEY_ZONE:
        return describe_text(g_time_zone_get_identifier(*(GTimeZone *const *)at));
    case KEY_PROFILE:
        return describe_text(((const PesitProfile *)at)->name);
    case KEY_CHOICE:
        return describe_text(key->choices[*(const int *)at]);
    case KEY_VERSION:
        return describe_text(key->choices[*(const uint16_t *)at - TLS_1_2]);
    case KEY_CODE:
        return describe_text(key->choices[*(const uint8_t *)at]);
    case KEY_SECRET:
    case KEY_MODE:
    case KEY_GROUPS:
        break;
    }
    return NULL;
}

GVariant *config_describe_settings(SettingsKind kind, const void *object)
{
    const ConfigScope *scope = scope_of(kind);
    GVariantBuilder settings;

    g_variant_builder_init(&settings, G_VARIANT_TYPE_VARDICT);
    for (const ConfigKey *key = scope->keys; key->path != NULL; key++) {
        GVariant *value = describe_value(key, object);

        if (value != NULL)
            g_variant_builder_add(&settings, "{sv}", key->path, value);
    }
    return g_variant_builder_end(&settings);
}

GVariant *config_list_secrets(SettingsKind kind, const void *object)
{
    const ConfigScope *scope = scope_of(kind);
    GVariantBuilder names;

    g_variant_builder_init(&names, G_VARIANT_TYPE_STRING_ARRAY);
    for (const ConfigKey *key = scope->keys; key->path != NULL; key++) {
        if (key->kind == KEY_SECRET &&
            *(Secret *const *)(const void *)((const char *)object + key->offset) != NULL)
            g_variant_builder_add(&names, "s", key->path);
    }
    return g_variant_builder_end(&names);
}

bool config_is_key(SettingsKind kind, const char *path)
{
    for (const ConfigKey *key = scope_of(kind)->keys; key->path != NULL; key++) {
        if (strcmp(key->path, path) == 0)
            return true;
    }
    return false;
}
