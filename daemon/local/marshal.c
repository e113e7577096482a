/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Type by type: D-Bus has a letter for each, GVariant the same but for brackets. Handles become descriptors and back.
 */
#include "daemon/local/marshal.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>

typedef union {
    guint8 y;
    gint16 n;
    guint16 q;
    gint32 i; /* also b and h */
    guint32 u;
    gint64 x;
    guint64 t;
    double d;
    const char *s; /* also o and g */
} Basic;

static int append_value(sd_bus_message *message, GVariant *value, const int *fds, size_t n);

static int append_children(sd_bus_message *message, GVariant *container, const int *fds, size_t n)
{
    gsize count = g_variant_n_children(container);
    int failure = 0;

    for (gsize i = 0; i < count && failure >= 0; i++) {
        g_autoptr(GVariant) child = g_variant_get_child_value(container, i);

        failure = append_value(message, child, fds, n);
    }
    return failure;
}

/* contents: as sd-bus wants them, without brackets. */
static int append_container(sd_bus_message *message, char kind, const char *contents,
                            GVariant *value, const int *fds, size_t n)
{
    int failure = sd_bus_message_open_container(message, kind, contents);

    if (failure >= 0)
        failure = append_children(message, value, fds, n);
    return failure >= 0 ? sd_bus_message_close_container(message) : failure;
}

/* The type between its brackets. Returns new. */
static char *inner_type(GVariant *value)
{
    const char *type = g_variant_get_type_string(value);

    return g_strndup(type + 1, strlen(type) - 2);
}

static int append_variant(sd_bus_message *message, GVariant *value, const int *fds, size_t n)
{
    g_autoptr(GVariant) child = g_variant_get_variant(value);

    return append_container(message, SD_BUS_TYPE_VARIANT, g_variant_get_type_string(child), value,
                            fds, n);
}

static int append_bracketed(sd_bus_message *message, char kind, GVariant *value, const int *fds,
                            size_t n)
{
    g_autofree char *contents = inner_type(value);

    return append_container(message, kind, contents, value, fds, n);
}

static int append_handle(sd_bus_message *message, GVariant *value, const int *fds, size_t n)
{
    gint32 index = g_variant_get_handle(value);

    if (index < 0 || (size_t)index >= n)
        return -EBADF;
    return sd_bus_message_append_basic(message, SD_BUS_TYPE_UNIX_FD, &fds[index]);
}

static int append_text(sd_bus_message *message, char kind, GVariant *value)
{
    return sd_bus_message_append_basic(message, kind, g_variant_get_string(value, NULL));
}

static int append_number(sd_bus_message *message, char kind, GVariant *value)
{
    Basic basic = {0};

    switch (kind) {
    case SD_BUS_TYPE_BYTE:
        basic.y = g_variant_get_byte(value);
        break;
    case SD_BUS_TYPE_BOOLEAN:
        basic.i = g_variant_get_boolean(value);
        break;
    case SD_BUS_TYPE_INT16:
        basic.n = g_variant_get_int16(value);
        break;
    case SD_BUS_TYPE_UINT16:
        basic.q = g_variant_get_uint16(value);
        break;
    case SD_BUS_TYPE_INT32:
        basic.i = g_variant_get_int32(value);
        break;
    case SD_BUS_TYPE_UINT32:
        basic.u = g_variant_get_uint32(value);
        break;
    case SD_BUS_TYPE_INT64:
        basic.x = g_variant_get_int64(value);
        break;
    case SD_BUS_TYPE_UINT64:
        basic.t = g_variant_get_uint64(value);
        break;
    case SD_BUS_TYPE_DOUBLE:
        basic.d = g_variant_get_double(value);
        break;
    default:
        return -EINVAL; /* a type that D-Bus has not */
    }
    return sd_bus_message_append_basic(message, kind, &basic);
}

static int append_value(sd_bus_message *message, GVariant *value, const int *fds, size_t n)
{
    char kind = (char)g_variant_classify(value);

    switch (kind) {
    case G_VARIANT_CLASS_STRING:
    case G_VARIANT_CLASS_OBJECT_PATH:
    case G_VARIANT_CLASS_SIGNATURE:
        return append_text(message, kind, value);
    case G_VARIANT_CLASS_HANDLE:
        return append_handle(message, value, fds, n);
    case G_VARIANT_CLASS_VARIANT:
        return append_variant(message, value, fds, n);
    case G_VARIANT_CLASS_ARRAY:
        return append_container(message, kind, g_variant_get_type_string(value) + 1, value, fds, n);
    case G_VARIANT_CLASS_TUPLE:
        return append_bracketed(message, SD_BUS_TYPE_STRUCT, value, fds, n);
    case G_VARIANT_CLASS_DICT_ENTRY:
        return append_bracketed(message, SD_BUS_TYPE_DICT_ENTRY, value, fds, n);
    default:
        return append_number(message, kind, value);
    }
}

int marshal_append(sd_bus_message *message, GVariant *tuple, const int *fds, size_t n)
{
    return tuple != NULL ? append_children(message, tuple, fds, n) : 0;
}

/* Returns 0 at the end of what encloses it, negative errno. */
static int read_next(sd_bus_message *message, GVariantBuilder *into, DoorAnswer *answer);

static int read_all(sd_bus_message *message, GVariantBuilder *into, DoorAnswer *answer)
{
    int found;

    do
        found = read_next(message, into, answer);
    while (found > 0);
    return found;
}

/* The type of a container as GVariant writes it. Returns new. */
static char *container_type(char kind, const char *contents)
{
    switch (kind) {
    case SD_BUS_TYPE_ARRAY:
        return g_strconcat("a", contents, NULL);
    case SD_BUS_TYPE_STRUCT:
        return g_strconcat("(", contents, ")", NULL);
    case SD_BUS_TYPE_DICT_ENTRY:
        return g_strconcat("{", contents, "}", NULL);
    default:
        return g_strdup("v");
    }
}

static int read_container(sd_bus_message *message, char kind, const char *contents,
                          GVariantBuilder *into, DoorAnswer *answer)
{
    g_autofree char *type = container_type(kind, contents);
    int found = sd_bus_message_enter_container(message, kind, contents);

    if (found < 0)
        return found;
    g_variant_builder_open(into, G_VARIANT_TYPE(type));
    found = read_all(message, into, answer);
    if (found < 0)
        return found;
    g_variant_builder_close(into);
    found = sd_bus_message_exit_container(message);
    return found < 0 ? found : 1;
}

static GVariant *take_handle(DoorAnswer *answer, int fd)
{
    int copy = answer->fd_count < ANSWER_FDS_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;

    if (copy < 0)
        return NULL;
    answer->fds[answer->fd_count] = copy;
    return g_variant_new_handle((gint32)answer->fd_count++);
}

/* Returns floating, or NULL. */
static GVariant *basic_value(char kind, const Basic *basic, DoorAnswer *answer)
{
    switch (kind) {
    case SD_BUS_TYPE_BYTE:
        return g_variant_new_byte(basic->y);
    case SD_BUS_TYPE_BOOLEAN:
        return g_variant_new_boolean(basic->i);
    case SD_BUS_TYPE_INT16:
        return g_variant_new_int16(basic->n);
    case SD_BUS_TYPE_UINT16:
        return g_variant_new_uint16(basic->q);
    case SD_BUS_TYPE_INT32:
        return g_variant_new_int32(basic->i);
    case SD_BUS_TYPE_UINT32:
        return g_variant_new_uint32(basic->u);
    case SD_BUS_TYPE_INT64:
        return g_variant_new_int64(basic->x);
    case SD_BUS_TYPE_UINT64:
        return g_variant_new_uint64(basic->t);
    case SD_BUS_TYPE_DOUBLE:
        return g_variant_new_double(basic->d);
    case SD_BUS_TYPE_OBJECT_PATH:
        return g_variant_new_object_path(basic->s);
    case SD_BUS_TYPE_SIGNATURE:
        return g_variant_new_signature(basic->s);
    case SD_BUS_TYPE_UNIX_FD:
        return take_handle(answer, basic->i);
    default:
        return g_variant_new_string(basic->s);
    }
}

static int read_next(sd_bus_message *message, GVariantBuilder *into, DoorAnswer *answer)
{
    const char *contents;
    char kind;
    int found = sd_bus_message_peek_type(message, &kind, &contents);
    GVariant *value;
    Basic basic;

    if (found <= 0)
        return found;
    if (contents != NULL)
        return read_container(message, kind, contents, into, answer);
    found = sd_bus_message_read_basic(message, kind, &basic);
    if (found < 0)
        return found;
    value = basic_value(kind, &basic, answer);
    if (value == NULL)
        return -EMFILE;
    g_variant_builder_add_value(into, value);
    return 1;
}

DoorAnswer *marshal_read(sd_bus_message *message)
{
    DoorAnswer *answer = g_new0(DoorAnswer, 1);
    GVariantBuilder body;
    int found;

    g_variant_builder_init(&body, G_VARIANT_TYPE_TUPLE);
    found = read_all(message, &body, answer);
    if (found == 0)
        answer->value = g_variant_ref_sink(g_variant_builder_end(&body));
    else
        g_set_error(&answer->error, BASE_ERROR, BASE_ERROR_INVALID,
                    "a message of the local door cannot be read: %s", g_strerror(-found));
    g_variant_builder_clear(&body);
    return answer;
}
