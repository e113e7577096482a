/* SPDX-License-Identifier: Apache-2.0 */
/* A row for each file and each store; a file is read again when it is another than before. */
#include "daemon/expiry.h"

#include "base/certificate.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#include <fcntl.h>
#include <sys/stat.h>

#define HOUR_S   3600
#define DAY_US   (INT64_C(86400) * 1000000)
#define SOON_US  (30 * DAY_US)
#define FILE_MAX (4 << 20)

typedef struct {
    char *name; /* "file:/path", "store:NAME" */
    GString *users;
    int64_t expires_us; /* 0: there is none, or it cannot be read */
    int64_t warned_us;  /* 0: never, of this date */
    struct stat read;   /* of a file, as it was read */
    bool named;         /* by the configuration in force */
} Row;

struct Expiry {
    GHashTable *rows; /* name → Row */
    guint timer;
};

static void row_free(gpointer data)
{
    Row *row = data;

    g_free(row->name);
    g_string_free(row->users, TRUE);
    g_free(row);
}

/* name: taken. */
static Row *find_row(Expiry *self, char *name)
{
    Row *row = g_hash_table_lookup(self->rows, name);

    if (row != NULL) {
        g_free(name);
        return row;
    }
    row = g_new0(Row, 1);
    row->name = name;
    row->users = g_string_new(NULL);
    g_hash_table_insert(self->rows, row->name, row);
    return row;
}

static void set_expiry(Row *row, int64_t expires_us)
{
    if (row->expires_us != expires_us)
        row->warned_us = 0;
    row->expires_us = expires_us;
}

static void read_file(Row *row, const char *path)
{
    g_autofree char *text = NULL;
    struct stat now = {0};

    if (stat(path, &now) == 0 && row->read.st_ino == now.st_ino &&
        row->read.st_size == now.st_size && row->read.st_mtim.tv_sec == now.st_mtim.tv_sec &&
        row->read.st_mtim.tv_nsec == now.st_mtim.tv_nsec)
        return;
    row->read = now;
    text = file_read_all(AT_FDCWD, path, FILE_MAX, NULL, NULL);
    set_expiry(row, text != NULL ? certificate_first_expiry_us(text) : 0);
}

static void add_user(Row *row, const char *user)
{
    row->named = true;
    g_string_append_printf(row->users, "%s%s", row->users->len > 0 ? ", " : "", user);
}

static void note_file(Expiry *self, const char *path, const char *user)
{
    Row *row;

    if (path == NULL)
        return;
    row = find_row(self, g_strconcat("file:", path, NULL));
    if (!row->named)
        read_file(row, path);
    add_user(row, user);
}

/* user: taken. */
static void note_tls(Expiry *self, const TlsSettings *tls, char *user)
{
    note_file(self, tls->certificate, user);
    note_file(self, tls->authorities, user);
    g_free(user);
}

static void note_store(Expiry *self, const Config *config, const CertificateStore *store)
{
    Row *row = find_row(self, g_strconcat("store:", store->name, NULL));
    g_autoptr(GPtrArray) users = config_list_users(config, store);

    set_expiry(row,
               store->certificates != NULL ? certificate_first_expiry_us(store->certificates) : 0);
    row->named = true;
    for (guint i = 0; i < users->len; i++)
        add_user(row, g_ptr_array_index(users, i));
}

static void forget(gpointer key, gpointer value, gpointer data)
{
    Row *row = value;

    (void)key, (void)data;
    row->named = false;
    g_string_truncate(row->users, 0);
}

static gboolean is_unnamed(gpointer key, gpointer value, gpointer data)
{
    (void)key, (void)data;
    return !((const Row *)value)->named;
}

static void gather(Expiry *self, const Config *config)
{
    g_hash_table_foreach(self->rows, forget, NULL);
    for (guint i = 0; i < config->listeners->len; i++) {
        const ListenerConfig *listener = g_ptr_array_index(config->listeners, i);
        g_autofree char *id = config_name_listener(listener);

        note_tls(self, &listener->tls,
                 g_strdup_printf("listener '%s'", id != NULL ? id : listener->address));
    }
    for (guint i = 0; i < config->admin_listeners->len; i++) {
        const AdminListener *admin = g_ptr_array_index(config->admin_listeners, i);

        note_tls(self, &admin->listener.tls, g_strdup("the administration"));
    }
    for (guint i = 0; i < config->partners->len; i++) {
        const Partner *partner = g_ptr_array_index(config->partners, i);

        note_tls(self, &partner->tls, g_strdup_printf("partner '%s'", partner->name));
    }
    for (guint i = 0; i < config->certificates->len; i++) {
        const CertificateStore *store = g_ptr_array_index(config->certificates, i);

        if (store->active)
            note_store(self, config, store);
    }
    (void)g_hash_table_foreach_remove(self->rows, is_unnamed, NULL); /* however many */
}

static void warn(const Row *row, int64_t now_us)
{
    g_autoptr(GDateTime) end = g_date_time_new_from_unix_utc(row->expires_us / USEC_PER_SEC);
    g_autofree char *text = g_date_time_format_iso8601(end);
    g_autofree char *days =
            g_strdup_printf("%" G_GINT64_FORMAT, (row->expires_us - now_us) / DAY_US);

    log_event(LOG_CERTIFICATE_EXPIRES, "CERTIFICATE", row->name, "EXPIRES", text, "DAYS", days,
              "USED_BY", row->users->len > 0 ? row->users->str : NULL, NULL);
}

unsigned expiry_check(Expiry *self, int64_t now_us)
{
    GHashTableIter iterator;
    gpointer value;
    unsigned count = 0;

    g_hash_table_iter_init(&iterator, self->rows);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        Row *row = value;

        if (row->expires_us == 0 || row->expires_us - now_us > SOON_US ||
            (row->warned_us != 0 && now_us - row->warned_us < DAY_US))
            continue;
        row->warned_us = now_us;
        warn(row, now_us);
        count++;
    }
    return count;
}

static gboolean on_hour(gpointer data)
{
    (void)expiry_check(data, clock_wall_us()); /* it logs */
    return G_SOURCE_CONTINUE;
}

void expiry_set_config(Expiry *self, const Config *config)
{
    gather(self, config);
    (void)expiry_check(self, clock_wall_us()); /* same */
}

Expiry *expiry_new(const Config *config)
{
    Expiry *self = g_new0(Expiry, 1);

    self->rows = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, row_free);
    self->timer = g_timeout_add_seconds(HOUR_S, on_hour, self);
    expiry_set_config(self, config);
    return self;
}

void expiry_free(Expiry *self)
{
    if (self == NULL)
        return;
    g_source_remove(self->timer);
    g_hash_table_unref(self->rows);
    g_free(self);
}

static gint by_end(gconstpointer a, gconstpointer b)
{
    const Row *one = *(const Row *const *)a, *other = *(const Row *const *)b;

    return one->expires_us < other->expires_us ? -1 : one->expires_us > other->expires_us;
}

GVariant *expiry_describe(const Expiry *self)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new();
    GHashTableIter iterator;
    GVariantBuilder list;
    gpointer value;

    g_hash_table_iter_init(&iterator, self->rows);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        if (((const Row *)value)->expires_us != 0)
            g_ptr_array_add(rows, value);
    }
    g_ptr_array_sort(rows, by_end);
    g_variant_builder_init(&list, G_VARIANT_TYPE("a(sx)"));
    for (guint i = 0; i < MIN(rows->len, EXPIRY_TOLD_MAX); i++) {
        const Row *row = g_ptr_array_index(rows, i);

        g_variant_builder_add(&list, "(sx)", row->name, row->expires_us);
    }
    return g_variant_builder_end(&list);
}
