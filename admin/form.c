/* SPDX-License-Identifier: Apache-2.0 */
/* A table of names and bytes; what is wrong with it is told when it is read. */
#include "admin/form.h"

#include <string.h>

#define FIELDS_MAX 32
#define ENCODED    "Base64"

/* Bytes with a NUL behind them. */
typedef struct {
    char *data;
    size_t length, room;
} Field;

struct Form {
    GHashTable *fields; /* char * → Field */
    size_t length;      /* of all */
    char *wrong;        /* "FIELD: why", or NULL */
};

static void field_free(gpointer data)
{
    Field *field = data;

    if (field->data != NULL)
        explicit_bzero(field->data, field->length);
    g_free(field->data);
    g_free(field);
}

Form *form_new(void)
{
    Form *self = g_new0(Form, 1);

    self->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, field_free);
    return self;
}

void form_free(Form *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->fields);
    g_free(self->wrong);
    g_free(self);
}

/* The first thing is told. */
static void complain(Form *self, const char *name, const char *why)
{
    g_autofree char *valid = g_utf8_make_valid(name, -1);

    if (self->wrong == NULL)
        self->wrong = g_strconcat(valid, ": ", why, NULL);
}

/* A copy that is moved leaves what it held behind: the old is overwritten, and room is made for twice as much. */
static void append(Field *field, const void *bytes, size_t length)
{
    if (field->length + length + 1 > field->room) {
        Field old = *field;

        field->room = 2 * (field->length + length + 1);
        field->data = g_malloc(field->room);
        if (old.data != NULL) {
            memcpy(field->data, old.data, old.length);
            explicit_bzero(old.data, old.length);
        }
        g_free(old.data);
    }
    if (length > 0)
        memcpy(field->data + field->length, bytes, length);
    field->length += length;
    field->data[field->length] = '\0';
}

bool form_add_part(Form *self, const UploadPart *part)
{
    Field *field = g_hash_table_lookup(self->fields, part->name);

    if (self->length + part->length > FORM_BODY_MAX ||
        (field == NULL && g_hash_table_size(self->fields) >= FIELDS_MAX))
        return false;
    if (field == NULL) {
        field = g_new0(Field, 1);
        g_hash_table_insert(self->fields, g_strdup(part->name), field);
    }
    if (part->offset != field->length)
        complain(self, part->name, "it is there twice");
    append(field, part->bytes, part->length);
    self->length += part->length;
    return true;
}

static void set_text(Form *self, const char *name, const char *text)
{
    const UploadPart part = {name, text, 0, strlen(text)};

    if (g_hash_table_contains(self->fields, name))
        complain(self, name, "it is there twice");
    else if (!form_add_part(self, &part))
        complain(self, name, "it is too much");
}

/* reading */

static bool take_field(const char *field, GVariant *value, gpointer data, GError **error)
{
    Form *self = data;
    g_autofree char *number = NULL;

    if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_UNIT))
        return true;
    if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
        number = g_strdup_printf("%" G_GINT64_FORMAT, g_variant_get_int64(value));
    if (number != NULL)
        set_text(self, field, number);
    else if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
        set_text(self, field, g_variant_get_string(value, NULL));
    else if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
        set_text(self, field, g_variant_get_boolean(value) ? "true" : "false");
    else
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "%s: it must be a text, a number, true or false", field);
    return error == NULL || *error == NULL;
}

/* False: answered. */
static bool take_json(Request *request)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Json) json = NULL;

    if (request->form == NULL)
        request->form = form_new();
    if (request->body->len == 0)
        return true;
    json = json_read(request->body->str, request->body->len, &error);
    if (json != NULL && json_each(json, take_field, request->form, &error))
        return true;
    request_fail(request, error);
    return false;
}

static void take_query(Request *request)
{
    GHashTableIter iterator;
    gpointer name, value;

    g_hash_table_iter_init(&iterator, request->query);
    while (g_hash_table_iter_next(&iterator, &name, &value))
        set_text(request->form, name, value);
}

static bool is_known(const char *name, const char *const *names)
{
    g_autofree char *plain = g_str_has_suffix(name, ENCODED)
                                     ? g_strndup(name, strlen(name) - strlen(ENCODED))
                                     : NULL;

    return g_strv_contains(names, name) || (plain != NULL && g_strv_contains(names, plain));
}

static bool is_text(const Field *field)
{
    return memchr(field->data, '\0', field->length) == NULL &&
           g_utf8_validate(field->data, (gssize)field->length, NULL);
}

/* What is called a file, a certificate or a key may be any bytes. */
static bool is_of_bytes(const char *name)
{
    return strcmp(name, "file") == 0 || strcmp(name, "certificate") == 0 ||
           strcmp(name, "privateKey") == 0;
}

static void check_names(Form *self, const char *const *names)
{
    g_autoptr(GList) found = g_list_sort(g_hash_table_get_keys(self->fields), (GCompareFunc)strcmp);

    for (const GList *at = found; at != NULL; at = at->next) {
        if (!is_known(at->data, names))
            complain(self, at->data, "unknown field");
        else if (!is_of_bytes(at->data) && !is_text(g_hash_table_lookup(self->fields, at->data)))
            complain(self, at->data, "it is no UTF-8");
    }
}

/* NAMEBase64 becomes NAME. */
static void decode(Form *self, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        g_autofree char *name = g_strconcat(names[i], ENCODED, NULL);
        const Field *encoded = g_hash_table_lookup(self->fields, name);
        g_autofree guchar *bytes = NULL;
        gsize length = 0;

        if (encoded == NULL)
            continue;
        bytes = encoded->length > 0 ? g_base64_decode(encoded->data, &length) : NULL;
        if (length == 0 || g_hash_table_contains(self->fields, names[i]))
            complain(self, name, length == 0 ? "it is no base64" : "it is there twice");
        else if (!form_add_part(self, &(const UploadPart){names[i], (char *)bytes, 0, length}))
            complain(self, name, "it is too much");
        if (bytes != NULL)
            explicit_bzero(bytes, length);
    }
}

bool form_read(Request *request, const char *const *names)
{
    g_autoptr(GError) error = NULL;

    if (!take_json(request))
        return false;
    take_query(request);
    check_names(request->form, names);
    decode(request->form, names);
    if (request->form->wrong == NULL)
        return true;
    g_set_error_literal(&error, BASE_ERROR, BASE_ERROR_INVALID, request->form->wrong);
    request_fail(request, error);
    return false;
}

const void *form_file(const Request *request, const char *name, size_t *ret_length)
{
    const Field *field = g_hash_table_lookup(request->form->fields, name);

    if (field == NULL)
        return NULL;
    *ret_length = field->length;
    return field->data;
}

const char *form_text(const Request *request, const char *name)
{
    size_t length;

    return form_file(request, name, &length);
}

bool form_flag(Request *request, const char *name, bool *ret_value)
{
    const char *text = form_text(request, name);

    if (text == NULL)
        return true;
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0) {
        request_problem(request, 400, "invalid", name, "%s: it must be true or false", name);
        return false;
    }
    *ret_value = text[0] == 't';
    return true;
}

bool form_number(Request *request, const char *name, int64_t min, int64_t max, int64_t *ret_value)
{
    return request_number(request, name, form_text(request, name), min, max, ret_value);
}
