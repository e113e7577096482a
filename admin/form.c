/* SPDX-License-Identifier: Apache-2.0 */
/* A table of names and bytes; what is wrong with it is told when it is read. */
#include "admin/form.h"

#include <string.h>

#define FIELDS_MAX 32
#define ENCODED    "Base64"

struct Form {
    GHashTable *fields; /* char * → GByteArray */
    size_t length;      /* of all */
    char *wrong;        /* "FIELD: why", or NULL */
};

static void free_bytes(gpointer data)
{
    GByteArray *bytes = data;

    if (bytes->len > 0)
        explicit_bzero(bytes->data, bytes->len);
    g_byte_array_unref(bytes);
}

Form *form_new(void)
{
    Form *self = g_new0(Form, 1);

    self->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_bytes);
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

/* A copy that is moved leaves what it held behind: room is made once, and the old is overwritten. */
static void append(GByteArray **field, const void *bytes, size_t length)
{
    GByteArray *grown = g_byte_array_sized_new((guint)((*field)->len + length + 1));

    g_byte_array_append(grown, (*field)->data, (*field)->len);
    g_byte_array_append(grown, bytes, (guint)length);
    grown->data[grown->len] = '\0'; /* there is room */
    free_bytes(*field);
    *field = grown;
}

bool form_add_part(Form *self, const UploadPart *part)
{
    char *key = NULL;
    GByteArray *field = NULL;

    if (self->length + part->length > FORM_BODY_MAX)
        return false;
    if (!g_hash_table_steal_extended(self->fields, part->name, (gpointer *)&key,
                                     (gpointer *)&field)) {
        if (g_hash_table_size(self->fields) >= FIELDS_MAX)
            return false;
        key = g_strdup(part->name);
        field = g_byte_array_new();
    }
    if (part->offset != field->len)
        complain(self, part->name, "it is there twice");
    append(&field, part->bytes, part->length);
    self->length += part->length;
    g_hash_table_insert(self->fields, key, field);
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

static bool is_text(const GByteArray *field)
{
    return memchr(field->data, '\0', field->len) == NULL &&
           g_utf8_validate((const char *)field->data, field->len, NULL);
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
        const GByteArray *encoded = g_hash_table_lookup(self->fields, name);
        g_autofree guchar *bytes = NULL;
        gsize length = 0;

        if (encoded == NULL)
            continue;
        bytes = encoded->len > 0 ? g_base64_decode((const char *)encoded->data, &length) : NULL;
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
    const GByteArray *field = g_hash_table_lookup(request->form->fields, name);

    if (field == NULL)
        return NULL;
    *ret_length = field->len;
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
