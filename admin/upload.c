/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upload: bytes gathered up to a megabyte, written by a worker into a staged file of the spool while the sender
 * waits, then committed as a transfer. Memory is constant, and the bytes are written once.
 */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define FULL_BYTES   (1u << 20)
#define GATHERED_MAX (FULL_BYTES + (256u << 10)) /* the server appends once more before it looks */
#define FIELD_MAX    1024
#define FIELDS_MAX   16

struct Upload {
    Request *request;
    GHashTable *fields; /* char * → GString * */
    char *wrong;        /* what is wrong with the form, or NULL */
    GByteArray *gathered;
    uint64_t written;
    GChecksum *
            digest; /* of what is written, when a repeat has to be told from something else; or NULL */
    int64_t staging_id; /* 0: not yet staged */
    Fd fd;
};

static void free_string(gpointer string)
{
    g_string_free(string, TRUE);
}

Upload *upload_new(Request *request)
{
    Upload *self = g_new0(Upload, 1);

    self->request = request;
    self->fields = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_string);
    self->gathered = g_byte_array_new();
    if (request->idempotency_key != NULL)
        self->digest = g_checksum_new(G_CHECKSUM_SHA256);
    self->fd = -1;
    return self;
}

void upload_discard(Admin *admin, int64_t staging_id)
{
    const AdminHost *host = &admin->host;
    g_autoptr(Reply) reply = reply_new((GDestroyNotify)door_answer_free);

    (void)host->ask("Discard", g_variant_new("(x)", staging_id), NULL, reply,
                    host->data); /* the daemon ends */
}

void upload_free(Upload *self)
{
    if (self == NULL)
        return;
    if (self->staging_id != 0)
        upload_discard(self->request->admin, self->staging_id);
    fd_clear(&self->fd);
    g_hash_table_unref(self->fields);
    g_free(self->wrong);
    g_byte_array_unref(self->gathered);
    if (self->digest != NULL)
        g_checksum_free(self->digest);
    g_free(self);
}

bool upload_append(Upload *self, const char *bytes, size_t length)
{
    if (self->gathered->len + length > GATHERED_MAX)
        return false;
    g_byte_array_append(self->gathered, (const guint8 *)bytes, (guint)length);
    return true;
}

/* The first thing is told. */
static void complain(Upload *self, const char *name, const char *wrong)
{
    g_autofree char *valid = g_utf8_make_valid(name, -1);

    if (self->wrong == NULL)
        self->wrong = g_strconcat(valid, ": ", wrong, NULL);
}

#define CORRELATION "correlationId"

void upload_add_part(Upload *self, const UploadPart *part)
{
    GString *value = g_hash_table_lookup(self->fields, part->name);

    if (strcmp(part->name, "password") == 0)
        complain(self, part->name, "it belongs to the partner's configuration, not to a request");
    else if (!g_strv_contains(REQUEST_PARTNER, part->name) &&
             !g_strv_contains(REQUEST_PATH, part->name) && strcmp(part->name, CORRELATION) != 0)
        complain(self, part->name, "unknown field");
    if (value == NULL) {
        if (g_hash_table_size(self->fields) >= FIELDS_MAX) {
            complain(self, part->name, "there are too many fields");
            return;
        }
        value = g_string_new(NULL);
        g_hash_table_insert(self->fields, g_strdup(part->name), value);
    }
    if (part->offset != value->len)
        complain(self, part->name, "it is there twice");
    else if (value->len + part->length > FIELD_MAX)
        complain(self, part->name, "it is too long");
    else
        g_string_append_len(value, part->bytes, (gssize)part->length);
}

bool upload_add_file(Upload *self, const UploadPart *part)
{
    if (part->offset != self->written + self->gathered->len)
        complain(self, part->name, "it is there twice: one request sends one file");
    return self->wrong != NULL || upload_append(self, part->bytes, part->length);
}

/* What goes on to the daemon is text. False: answered. */
static bool check_form(Upload *self)
{
    g_autoptr(GError) error = NULL;
    GHashTableIter iterator;
    gpointer name, value;

    g_hash_table_iter_init(&iterator, self->fields);
    while (g_hash_table_iter_next(&iterator, &name, &value)) {
        const GString *text = value;

        if (!g_utf8_validate_len(text->str, text->len, NULL))
            complain(self, name, "it is no UTF-8");
    }
    if (self->wrong == NULL)
        return true;
    g_set_error(&error, BASE_ERROR, BASE_ERROR_INVALID, "%s", self->wrong); /* names its field */
    request_fail(self->request, error);
    return false;
}

bool upload_is_full(const Upload *self)
{
    return self->gathered->len >= FULL_BYTES;
}

const char *upload_field(const Upload *self, const char *name)
{
    const GString *value = g_hash_table_lookup(self->fields, name);

    return value != NULL ? value->str : request_query(self->request, name);
}

/* The first of the names that is there, or the first of all. */
static const char *first_name(const Upload *self, const char *const *names)
{
    for (size_t i = 0; names[i] != NULL; i++) {
        if (upload_field(self, names[i]) != NULL)
            return names[i];
    }
    return names[0];
}

static const char *first_field(const Upload *self, const char *const *names)
{
    return upload_field(self, first_name(self, names));
}

/* Asks the daemon; what it complains about is told as the field. quoted: of a complaint that begins with a quote. */
static DoorAnswer *ask(Upload *self, const char *method, GVariant *parameters, const char *quoted)
{
    const char *partner = first_name(self, REQUEST_PARTNER), *path = first_name(self, REQUEST_PATH);
    const Suspect suspects[] = {{"no partner", partner},
                                {"partner ", partner},
                                {"'", quoted != NULL ? quoted : path},
                                {"", path}};
    DoorAnswer *answer;

    self->request->suspects = suspects;
    answer = request_ask(self->request, method, parameters);
    self->request->suspects = NULL;
    return answer;
}

static bool find_target(Upload *self, const char **ret_partner, const char **ret_path)
{
    if (!check_form(self))
        return false;
    *ret_partner = first_field(self, REQUEST_PARTNER);
    *ret_path = first_field(self, REQUEST_PATH);
    if (*ret_partner != NULL && *ret_path != NULL)
        return true;
    request_problem(
            self->request, 400, "invalid", *ret_partner == NULL ? "partner" : "path",
            "%s: it is missing, or comes after the file; in front of it in a form, or in the "
            "query where the body is the file",
            *ret_partner == NULL ? "partner" : "path");
    return false;
}

static bool stage(Upload *self)
{
    const char *partner, *path;
    g_autoptr(DoorAnswer) answer = NULL;
    gint64 id = 0;

    if (self->staging_id != 0)
        return true;
    if (!find_target(self, &partner, &path))
        return false;
    answer = ask(self, "Stage", g_variant_new("(ssb)", partner, path, FALSE), NULL);
    if (answer == NULL)
        return false;
    g_variant_get(answer->value, "(xh)", &id, NULL);
    self->staging_id = id;
    self->fd = answer->fds[0];
    answer->fds[0] = -1;
    return true;
}

bool upload_flush(Upload *self)
{
    g_autoptr(GError) error = NULL;

    if (!stage(self))
        return false;
    if (!file_write_at(self->fd, self->gathered->data, self->gathered->len, (int64_t)self->written,
                       &error)) {
        request_fail(self->request, error);
        return false;
    }
    (void)sync_file_range(self->fd, (off_t)self->written, (off_t)self->gathered->len,
                          SYNC_FILE_RANGE_WRITE); /* a hint: the sync that comes finds less to do */
    if (self->digest != NULL)
        g_checksum_update(self->digest, self->gathered->data, (gssize)self->gathered->len);
    self->written += self->gathered->len;
    g_byte_array_set_size(self->gathered, 0);
    return true;
}

char *upload_describe(const Upload *self)
{
    const char *partner = first_field(self, REQUEST_PARTNER),
               *path = first_field(self, REQUEST_PATH);
    GChecksum *whole = self->digest != NULL ? g_checksum_copy(self->digest) : NULL;
    char *text;

    if (whole != NULL)
        g_checksum_update(whole, self->gathered->data, (gssize)self->gathered->len);
    text = g_strdup_printf("%s\n%s\n%" G_GUINT64_FORMAT "\n%s", partner != NULL ? partner : "",
                           path != NULL ? path : "", self->written + self->gathered->len,
                           whole != NULL ? g_checksum_get_string(whole) : "");
    if (whole != NULL)
        g_checksum_free(whole);
    return text;
}

DoorAnswer *upload_commit(Upload *self)
{
    const char *partner, *path, *correlation = upload_field(self, CORRELATION);
    g_autoptr(GError) error = NULL;
    GVariantBuilder attributes;
    DoorAnswer *answer;

    if (!upload_flush(self) || !find_target(self, &partner, &path) ||
        (correlation != NULL && !request_set_correlation(self->request, correlation)))
        return NULL;
    if (fsync(self->fd) != 0) {
        error_set_errno(&error, errno, "sync the upload");
        request_fail(self->request, error);
        return NULL;
    }
    g_variant_builder_init(&attributes, G_VARIANT_TYPE("a{sv}"));
    g_variant_builder_add(&attributes, "{sv}", "mode", g_variant_new_uint32(0640));
    g_variant_builder_add(&attributes, "{sv}", "mtime_us", g_variant_new_int64(clock_wall_us()));
    answer = ask(self, "Commit",
                 g_variant_new("(xssa{sv})", self->staging_id, partner, path, &attributes), "file");
    if (answer != NULL)
        self->staging_id = 0;
    return answer;
}
