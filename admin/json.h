/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON: objects read field by field with errors that name the field, and text written piece by piece. Hides
 * jansson. A Json belongs to one thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* reading */

typedef struct Json Json;

/* One object, nothing else. INVALID. Returns new. */
Json *json_read(const char *text, size_t length, GError **error);
void json_free(Json *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Json, json_free)

/* A field; missing ones and null leave ret_value as it is. INVALID: "FIELD: …". text: borrowed from self. */
bool json_get_text(const Json *self, const char *field, const char **ret_value, GError **error);
bool json_get_number(const Json *self, const char *field, int64_t *ret_value, GError **error);
bool json_get_bool(const Json *self, const char *field, bool *ret_value, GError **error);
/* A list of texts, separated by commas, or one text. Returns new, NULL when missing. */
bool json_get_list(const Json *self, const char *field, char **ret_value, GError **error);
bool json_has(const Json *self, const char *field);
/* Whether a field is there, and null. */
bool json_has_null(const Json *self, const char *field);
/* Those of the names that are there, as a list of JSON; NULL: none is. Returns new. */
char *json_dup_present(const Json *self, const char *const *names);
/* First field that is not in the list, NULL when there is none. names: ended by NULL. */
const char *json_find_unknown(const Json *self, const char *const *names);
void json_set_text(Json *self, const char *field, const char *value);
void json_set_number(Json *self, const char *field, int64_t value);
void json_set_bool(Json *self, const char *field, bool value);
void json_remove(Json *self, const char *field);
/* Fields of other replace those of self. */
void json_merge(Json *self, const Json *other);
/* Calls visit for every field, objects opened up ("tls.enabled"), while it returns true. value: s, x, b, as, ax, () of
 * null, or NULL of what is none of them; borrowed. */
typedef bool (*JsonVisitor)(const char *field, GVariant *value, gpointer data, GError **error);
bool json_each(const Json *self, JsonVisitor visit, gpointer data, GError **error);
/* Returns new. */
char *json_dup_text(const Json *self);

/* Which of a list of objects, and in which order. field: a member of theirs, NULL: as they come. most: as many are all. */
typedef struct {
    const char *field;
    bool descending;
    size_t most, from, count;
} JsonOrder;
/* INVALID: "sortBy: …": none of them has the field, or there are too many. Returns new. */
char *json_sort_list(const char *text, const JsonOrder *order, GError **error);

/* writing; key NULL inside lists. Commas come by themselves. */

void json_open(GString *out, const char *key, char bracket);
void json_close(GString *out, char bracket);
void json_text(GString *out, const char *key, const char *value); /* NULL: null */
void json_number(GString *out, const char *key, int64_t value);
void json_bool(GString *out, const char *key, bool value);
void json_time(GString *out, const char *key, int64_t wall_us); /* ISO 8601; 0: null */
/* s, x, b, as, ax. */
void json_variant(GString *out, const char *key, GVariant *value);
/* An object of a{sv} with such values. */
void json_settings(GString *out, const char *key, GVariant *settings);
/* JSON that is ready. */
void json_raw(GString *out, const char *key, const char *value);
