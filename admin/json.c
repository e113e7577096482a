/* SPDX-License-Identifier: Apache-2.0 */
/* JSON over jansson for reading; writing needs only a string. */
#include "admin/json.h"

#include "base/clock.h"
#include "base/error.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct Json {
    json_t *root;
};

/* A value that no number of ours or text can hold: the path of the first. Returns new, or NULL. */
static char *dup_unholdable(json_t *value, const char *path)
{
    const char *key;
    json_t *member;
    size_t i;
    char *found = NULL;

    if (json_is_real(value) &&
        (json_real_value(value) >= 0x1p63 || json_real_value(value) < -0x1p63))
        return g_strdup(path);
    if (json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value))
        return g_strdup(path);
    json_object_foreach(value, key, member)
    {
        g_autofree char *below = g_strdup_printf("%s%s%s", path, *path != '\0' ? "." : "", key);

        found = found != NULL ? found : dup_unholdable(member, below);
    }
    for (i = 0; found == NULL && i < json_array_size(value); i++)
        found = dup_unholdable(json_array_get(value, i), path);
    return found;
}

/* The field that keeps a text from being read, when it is one that JSON allows. Returns new, or NULL. */
static char *dup_culprit(const char *text, size_t length, const json_error_t *failure)
{
    json_t *root = NULL;
    char *culprit = NULL;

    if (json_error_code(failure) == json_error_numeric_overflow ||
        json_error_code(failure) == json_error_null_character)
        root = json_loadb(text, length,
                          JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
    if (root != NULL)
        culprit = dup_unholdable(root, "");
    json_decref(root);
    return culprit;
}

Json *json_read(const char *text, size_t length, GError **error)
{
    json_error_t failure;
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &failure);
    g_autofree char *culprit = root == NULL ? dup_culprit(text, length, &failure) : NULL;
    Json *self;

    if (root == NULL || !json_is_object(root)) {
        if (culprit != NULL && strcspn(culprit, " '\":") == strlen(culprit) && *culprit != '\0')
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: %s", culprit,
                        json_error_code(&failure) == json_error_numeric_overflow
                                ? "the number is too large"
                                : "a text has no NUL");
        else
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "body: %s",
                        root != NULL ? "it must be a JSON object" : failure.text);
        json_decref(root);
        return NULL;
    }
    self = g_new0(Json, 1);
    self->root = root;
    return self;
}

void json_free(Json *self)
{
    if (self == NULL)
        return;
    json_decref(self->root);
    g_free(self);
}

static const json_t *get(const Json *self, const char *field)
{
    const json_t *value = json_object_get(self->root, field);

    return value != NULL && !json_is_null(value) ? value : NULL;
}

static bool complain(const char *field, const char *wanted, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: it must be %s", field, wanted);
    return false;
}

bool json_get_text(const Json *self, const char *field, const char **ret_value, GError **error)
{
    const json_t *value = get(self, field);

    if (value == NULL)
        return true;
    if (!json_is_string(value))
        return complain(field, "a text", error);
    *ret_value = json_string_value(value);
    return true;
}

bool json_get_number(const Json *self, const char *field, int64_t *ret_value, GError **error)
{
    const json_t *value = get(self, field);

    if (value == NULL)
        return true;
    if (!json_is_integer(value))
        return complain(field, "a whole number", error);
    *ret_value = json_integer_value(value);
    return true;
}

bool json_get_bool(const Json *self, const char *field, bool *ret_value, GError **error)
{
    const json_t *value = get(self, field);

    if (value == NULL)
        return true;
    if (!json_is_boolean(value))
        return complain(field, "true or false", error);
    *ret_value = json_is_true(value);
    return true;
}

bool json_get_list(const Json *self, const char *field, char **ret_value, GError **error)
{
    const json_t *value = get(self, field);
    GString *list;

    if (value == NULL)
        return true;
    if (json_is_string(value)) {
        *ret_value = g_strdup(json_string_value(value));
        return true;
    }
    if (!json_is_array(value))
        return complain(field, "a list of texts", error);
    list = g_string_new(NULL);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *text = json_string_value(json_array_get(value, i));

        if (text == NULL) {
            (void)g_string_free(list, TRUE); /* nothing */
            return complain(field, "a list of texts", error);
        }
        g_string_append_printf(list, "%s%s", i > 0 ? "," : "", text);
    }
    *ret_value = g_string_free(list, FALSE);
    return true;
}

bool json_has(const Json *self, const char *field)
{
    return get(self, field) != NULL;
}

bool json_has_null(const Json *self, const char *field)
{
    const json_t *value = json_object_get(self->root, field);

    return value != NULL && json_is_null(value);
}

char *json_dup_present(const Json *self, const char *const *names)
{
    g_autoptr(GString) list = g_string_new(NULL);

    json_open(list, NULL, '[');
    for (; *names != NULL; names++) {
        if (json_has(self, *names))
            json_text(list, NULL, *names);
    }
    json_close(list, ']');
    return list->len > strlen("[]") ? g_strdup(list->str) : NULL;
}

const char *json_find_unknown(const Json *self, const char *const *names)
{
    const char *key;
    json_t *value;

    json_object_foreach(self->root, key, value)
    {
        if (!g_strv_contains(names, key))
            return key;
    }
    return NULL;
}

void json_set_text(Json *self, const char *field, const char *value)
{
    (void)json_object_set_new(self->root, field, json_string(value)); /* UTF-8 by its source */
}

void json_set_number(Json *self, const char *field, int64_t value)
{
    (void)json_object_set_new(self->root, field, json_integer(value)); /* out of memory ends us */
}

void json_set_bool(Json *self, const char *field, bool value)
{
    (void)json_object_set_new(self->root, field, json_boolean(value)); /* same */
}

void json_remove(Json *self, const char *field)
{
    (void)json_object_del(self->root, field); /* it may be missing */
}

void json_merge(Json *self, const Json *other)
{
    (void)json_object_update(self->root, other->root); /* out of memory ends us */
}

char *json_dup_text(const Json *self)
{
    char *text = json_dumps(self->root, JSON_COMPACT | JSON_SORT_KEYS);
    char *copy = g_strdup(text);

    free(text);
    return copy;
}

static GVariant *read_list(const json_t *list)
{
    bool texts = true, numbers = true;
    GVariantBuilder items;
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        texts = texts && json_is_string(item);
        numbers = numbers && json_is_integer(item);
    }
    if (!texts && !numbers)
        return NULL;
    g_variant_builder_init(&items, texts ? G_VARIANT_TYPE_STRING_ARRAY : G_VARIANT_TYPE("ax"));
    json_array_foreach(list, i, item)
    {
        if (texts)
            g_variant_builder_add(&items, "s", json_string_value(item));
        else
            g_variant_builder_add(&items, "x", (gint64)json_integer_value(item));
    }
    return g_variant_builder_end(&items);
}

static GVariant *read_value(const json_t *value)
{
    if (json_is_string(value))
        return g_variant_new_string(json_string_value(value));
    if (json_is_integer(value))
        return g_variant_new_int64(json_integer_value(value));
    if (json_is_boolean(value))
        return g_variant_new_boolean(json_is_true(value));
    if (json_is_null(value))
        return g_variant_new_tuple(NULL, 0);
    return json_is_array(value) ? read_list(value) : NULL;
}

static bool visit_object(json_t *object, const char *prefix, JsonVisitor visit, gpointer data,
                         GError **error)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value)
    {
        g_autofree char *path = g_strconcat(prefix, key, NULL);
        g_autofree char *below = g_strconcat(path, ".", NULL);
        g_autoptr(GVariant) read = json_is_object(value) ? NULL : read_value(value);

        if (read != NULL)
            g_variant_ref_sink(read);
        if (!(json_is_object(value) ? visit_object(value, below, visit, data, error)
                                    : visit(path, read, data, error)))
            return false;
    }
    return true;
}

bool json_each(const Json *self, JsonVisitor visit, gpointer data, GError **error)
{
    return visit_object(self->root, "", visit, data, error);
}

/* sorting */

static int rank_of(const json_t *value)
{
    return value == NULL || json_is_null(value) ? 0
           : json_is_boolean(value)             ? 1
           : json_is_number(value)              ? 2
           : json_is_string(value)              ? 3
                                                : 4;
}

/* Texts of people and names: capitals beside their small ones. */
static int compare_texts(const char *a, const char *b)
{
    g_autofree char *left = g_utf8_casefold(a, -1), *right = g_utf8_casefold(b, -1);
    int order = strcmp(left, right);

    return order != 0 ? order : strcmp(a, b);
}

static int compare_values(const json_t *a, const json_t *b)
{
    int rank = rank_of(a);

    if (rank != rank_of(b))
        return rank - rank_of(b);
    if (json_is_boolean(a))
        return (int)json_is_true(a) - (int)json_is_true(b);
    if (json_is_integer(a) && json_is_integer(b))
        return json_integer_value(a) < json_integer_value(b)
                       ? -1
                       : json_integer_value(a) > json_integer_value(b);
    if (json_is_number(a))
        return json_number_value(a) < json_number_value(b)
                       ? -1
                       : json_number_value(a) > json_number_value(b);
    return json_is_string(a) ? compare_texts(json_string_value(a), json_string_value(b)) : 0;
}

typedef struct {
    json_t *thing; /* borrowed */
    size_t place;
} Placed;

static int compare_placed(gconstpointer a, gconstpointer b, gpointer data)
{
    const JsonOrder *order = data;
    const Placed *left = a, *right = b;
    int result = order->field != NULL ? compare_values(json_object_get(left->thing, order->field),
                                                       json_object_get(right->thing, order->field))
                                      : 0;

    if (result == 0)
        result = left->place < right->place ? -1 : left->place > right->place;
    return order->descending ? -result : result;
}

static bool check_list(json_t *list, const JsonOrder *order, GError **error)
{
    bool known = order->field == NULL || json_array_size(list) == 0;
    json_t *thing;
    size_t i;

    json_array_foreach(list, i, thing)
    {
        const json_t *value = order->field != NULL ? json_object_get(thing, order->field) : NULL;

        known = known || (value != NULL && !json_is_object(value) && !json_is_array(value));
    }
    if (!known)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "sortBy: no field '%s' to sort by",
                    order->field);
    else if (json_array_size(list) >= order->most)
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "sortBy: there are more than %zu: say which", order->most - 1);
    else
        return true;
    return false;
}

static json_t *cut(json_t *list, const JsonOrder *order)
{
    g_autoptr(GArray) placed = g_array_new(FALSE, FALSE, sizeof(Placed));
    json_t *page = json_array(), *thing;
    size_t i;

    json_array_foreach(list, i, thing)
    {
        Placed one = {thing, i};

        g_array_append_val(placed, one);
    }
    g_array_sort_with_data(placed, compare_placed, (gpointer)(uintptr_t)order);
    for (i = order->from; i < placed->len && i - order->from < order->count; i++)
        (void)json_array_append(page,
                                g_array_index(placed, Placed, i).thing); /* no memory: abort */
    return page;
}

char *json_sort_list(const char *text, const JsonOrder *order, GError **error)
{
    json_t *list = json_loads(text, 0, NULL), *page = NULL;
    char *dumped = NULL, *copy = NULL;

    if (!json_is_array(list))
        g_set_error(error, BASE_ERROR, BASE_ERROR_IO, "what was listed is no list");
    else if (check_list(list, order, error))
        page = cut(list, order);
    if (page != NULL)
        dumped = json_dumps(page, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
    copy = g_strdup(dumped);
    free(dumped);
    json_decref(page);
    json_decref(list);
    return copy;
}

/* writing */

/* A history's page has 20,000 values: texts go in whole runs, numbers without a format. */
static void begin(GString *out, const char *key)
{
    char last = out->len > 0 ? out->str[out->len - 1] : '{';

    if (last != '{' && last != '[' && last != ',' && last != ':')
        g_string_append_c(out, ',');
    if (key == NULL)
        return;
    g_string_append_c(out, '"');
    g_string_append(out, key);
    g_string_append_len(out, "\":", 2);
}

void json_open(GString *out, const char *key, char bracket)
{
    begin(out, key);
    g_string_append_c(out, bracket);
}

void json_close(GString *out, char bracket)
{
    g_string_append_c(out, bracket);
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c != '"' && c != '\\';
}

static void append_escaped(GString *out, const char *text)
{
    const char *run = text;

    for (;;) {
        const char *at = run;

        while (is_plain((unsigned char)*at))
            at++;
        g_string_append_len(out, run, at - run);
        if (*at == '\0')
            return;
        if ((unsigned char)*at < 0x20)
            g_string_append_printf(out, "\\u%04x", (unsigned)*at);
        else {
            g_string_append_c(out, '\\');
            g_string_append_c(out, *at);
        }
        run = at + 1;
    }
}

void json_text(GString *out, const char *key, const char *value)
{
    begin(out, key);
    if (value == NULL) {
        g_string_append_len(out, "null", 4);
        return;
    }
    g_string_append_c(out, '"');
    if (g_utf8_validate(value, -1, NULL)) {
        append_escaped(out, value);
    } else {
        g_autofree char *valid = g_utf8_make_valid(value, -1);

        append_escaped(out, valid);
    }
    g_string_append_c(out, '"');
}

void json_number(GString *out, const char *key, int64_t value)
{
    char digits[24]; /* of 64 bits, and a sign */
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) != 0);
    if (value < 0)
        digits[--at] = '-';
    begin(out, key);
    g_string_append_len(out, &digits[at], (gssize)(sizeof digits - at));
}

void json_bool(GString *out, const char *key, bool value)
{
    begin(out, key);
    g_string_append(out, value ? "true" : "false");
}

void json_time(GString *out, const char *key, int64_t wall_us)
{
    char text[CLOCK_ISO_SIZE];

    if (wall_us != 0)
        clock_write_iso(wall_us, text);
    json_text(out, key, wall_us != 0 ? text : NULL);
}

static void write_items(GString *out, const char *key, GVariant *list)
{
    json_open(out, key, '[');
    for (gsize i = 0; i < g_variant_n_children(list); i++) {
        g_autoptr(GVariant) item = g_variant_get_child_value(list, i);

        json_variant(out, NULL, item);
    }
    json_close(out, ']');
}

void json_variant(GString *out, const char *key, GVariant *value)
{
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        json_text(out, key, g_variant_get_string(value, NULL));
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        json_bool(out, key, g_variant_get_boolean(value));
    else if (g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
        json_number(out, key, g_variant_get_int64(value));
    else
        write_items(out, key, value);
}

void json_settings(GString *out, const char *key, GVariant *settings)
{
    GVariantIter iterator;
    const char *name;
    GVariant *value;

    json_open(out, key, '{');
    g_variant_iter_init(&iterator, settings);
    while (g_variant_iter_next(&iterator, "{&sv}", &name, &value)) {
        json_variant(out, name, value);
        g_variant_unref(value);
    }
    json_close(out, '}');
}

void json_raw(GString *out, const char *key, const char *value)
{
    begin(out, key);
    g_string_append(out, value);
}
