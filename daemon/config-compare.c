/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two configurations, key by key of the table, and how one takes a value of the other. Never logs. Any thread.
 */
#include "daemon/config-keys.h"

#include <string.h>

static bool are_texts_equal(const GPtrArray *a, const GPtrArray *b)
{
    if (a->len != b->len)
        return false;
    for (guint i = 0; i < a->len; i++) {
        if (strcmp(g_ptr_array_index(a, i), g_ptr_array_index(b, i)) != 0)
            return false;
    }
    return true;
}

static bool are_delays_equal(const GArray *a, const GArray *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len * sizeof(uint32_t)) == 0;
}

static bool are_zones_equal(GTimeZone *a, GTimeZone *b)
{
    return strcmp(g_time_zone_get_identifier(a), g_time_zone_get_identifier(b)) == 0;
}

/* Lists of groups are compared by those who know what is in them. */
bool config_key_is_equal(const ConfigKey *key, const void *left, const void *right)
{
    const void *a = (const char *)left + key->offset;
    const void *b = (const char *)right + key->offset;

    switch (key->kind) {
    case KEY_TEXT:
    case KEY_PATH:
        return g_strcmp0(*(char *const *)a, *(char *const *)b) == 0;
    case KEY_SECRET:
        return secret_is_same(*(Secret *const *)a, *(Secret *const *)b);
    case KEY_BOOL:
        return *(const bool *)a == *(const bool *)b;
    case KEY_U8:
    case KEY_CODE:
        return *(const uint8_t *)a == *(const uint8_t *)b;
    case KEY_U16:
    case KEY_VERSION:
        return *(const uint16_t *)a == *(const uint16_t *)b;
    case KEY_U32:
    case KEY_MODE:
        return *(const uint32_t *)a == *(const uint32_t *)b;
    case KEY_MB:
        return *(const uint64_t *)a == *(const uint64_t *)b;
    case KEY_CHOICE:
        return *(const int *)a == *(const int *)b;
    case KEY_ADDRESSES:
    case KEY_FOLDERS:
        return are_texts_equal(*(GPtrArray *const *)a, *(GPtrArray *const *)b);
    case KEY_DELAYS:
        return are_delays_equal(*(GArray *const *)a, *(GArray *const *)b);
    case KEY_ZONE:
        return are_zones_equal(*(GTimeZone *const *)a, *(GTimeZone *const *)b);
    case KEY_PROFILE: /* what is laid over its row has keys of its own */
        return g_strcmp0(((const PesitProfile *)a)->name, ((const PesitProfile *)b)->name) == 0;
    case KEY_GROUPS:
        return true;
    }
    return false;
}

static size_t value_bytes(KeyKind kind)
{
    switch ((int)kind) {
    case KEY_BOOL:
        return sizeof(bool);
    case KEY_U8:
    case KEY_CODE:
        return sizeof(uint8_t);
    case KEY_U16:
    case KEY_VERSION:
        return sizeof(uint16_t);
    case KEY_U32:
    case KEY_MODE:
        return sizeof(uint32_t);
    case KEY_MB:
        return sizeof(uint64_t);
    case KEY_CHOICE:
        return sizeof(int);
    default:
        return 0;
    }
}

void config_key_copy(const ConfigKey *key, const void *from, void *to)
{
    const void *source = (const char *)from + key->offset;
    void *target = (char *)to + key->offset;

    if (key->kind == KEY_TEXT || key->kind == KEY_PATH) {
        g_free(*(char **)target);
        *(char **)target = g_strdup(*(char *const *)source);
    } else if (key->kind == KEY_SECRET) {
        Secret *secret = *(Secret *const *)source;

        secret_unref(*(Secret **)target);
        *(Secret **)target = secret != NULL ? secret_ref(secret) : NULL;
    } else {
        memcpy(target, source, value_bytes(key->kind));
    }
}

static bool is_group_equal(const ConfigScope *scope, const void *a, const void *b)
{
    for (const ConfigKey *key = scope->keys; key->path != NULL; key++) {
        if (!config_key_is_equal(key, a, b))
            return false;
    }
    return true;
}

bool config_are_groups_equal(const ConfigScope *scope, const GPtrArray *a, const GPtrArray *b)
{
    if (a->len != b->len)
        return false;
    for (guint i = 0; i < a->len; i++) {
        if (!is_group_equal(scope, g_ptr_array_index(a, i), g_ptr_array_index(b, i)))
            return false;
    }
    return true;
}

bool config_is_partner_changed(const Config *before, const Config *after, const char *name)
{
    const Partner *old = config_find_partner(before, name);
    const Partner *fresh = config_find_partner(after, name);

    if (old == NULL || fresh == NULL)
        return old != fresh;
    return !is_group_equal(&CONFIG_PARTNER, old, fresh) ||
           !config_are_certificates_equal(&old->tls, &fresh->tls) ||
           !config_are_groups_equal(&CONFIG_FILE, old->files, fresh->files);
}
