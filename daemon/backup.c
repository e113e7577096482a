/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines: "pesitfs-backup VERSION SCHEMA PROGRAM" first; "file NAME SEALED" for each file of the configuration, the main one
 * first; "table NAME COLUMN…" and "row VALUE…"; "next ID"; "end SHA256" of all before it. Parts are behind tabs, with
 * \t, \n, \\ for what would part them, and \N for null.
 */
#include "daemon/backup.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "sql/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT_VERSION "1"
#define MAGIC          "pesitfs-backup"
#define FILE_MAX       (16 << 20)
#define COLUMNS_MAX    64
#define PARTS_MAX      (COLUMNS_MAX + 2)
#define MODE_FOLDER    0700
#define MODE_FILE      0600
#define MAIN_FILE      "pesitd.conf"

static unsigned count_migrations(void)
{
    unsigned count = 0;

    while (SQL_CLUSTER_MIGRATIONS[count].name != NULL)
        count++;
    return count;
}

/* writing */

typedef struct {
    const BackupSource *source;
    FILE *file;
    GChecksum *sum;
    GString *line;
} Output;

static void append_part(GString *line, const char *text)
{
    if (line->len > 0)
        g_string_append_c(line, '\t');
    for (const char *at = text != NULL ? text : ""; *at != '\0'; at++) {
        if (*at == '\t' || *at == '\n' || *at == '\\') {
            g_string_append_c(line, '\\');
            g_string_append_c(line, *at == '\t' ? 't' : *at == '\n' ? 'n' : '\\');
        } else {
            g_string_append_c(line, *at);
        }
    }
    if (text == NULL)
        g_string_append(line, "\\N");
}

static bool put_line(Output *out, GError **error)
{
    g_string_append_c(out->line, '\n');
    g_checksum_update(out->sum, (const guchar *)out->line->str, (gssize)out->line->len);
    if (fwrite(out->line->str, 1, out->line->len, out->file) != out->line->len) {
        error_set_errno(error, errno, "write the backup");
        return false;
    }
    g_string_truncate(out->line, 0);
    return true;
}

static bool put(Output *out, const char *const *parts, unsigned count, GError **error)
{
    for (unsigned i = 0; i < count; i++)
        append_part(out->line, parts[i]);
    return put_line(out, error);
}

static bool put_row(const char *table, bool row, const char *const *values, unsigned count,
                    gpointer data, GError **error)
{
    Output *out = data;

    if (*out->source->cancelled) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_CANCELLED, "the daemon stops");
        return false;
    }
    append_part(out->line, row ? "row" : "table");
    if (!row)
        append_part(out->line, table);
    return put(out, values, count, error);
}

static bool put_file(Output *out, const char *path, const SealKey *key, GError **error)
{
    size_t length = 0;
    g_autofree char *bytes = file_read_all(AT_FDCWD, path, FILE_MAX, &length, error);
    g_autoptr(Secret) secret = bytes != NULL ? secret_new(bytes, length) : NULL;
    g_autofree char *sealed = secret != NULL ? secret_seal(secret, key, error) : NULL;
    const char *const parts[] = {"file", path, sealed};

    if (bytes != NULL)
        explicit_bzero(bytes, length);
    return sealed != NULL && put(out, parts, G_N_ELEMENTS(parts), error);
}

static bool put_files(Output *out, GError **error)
{
    const Config *config = out->source->config;
    g_autoptr(SealKey) key = NULL;

    if (config->key_file == NULL) {
        g_set_error(
                error, BASE_ERROR, BASE_ERROR_REFUSED,
                "key_file is not in the configuration: a backup has secrets in it, and is sealed");
        return false;
    }
    key = seal_key_load(config->key_file, error);
    if (key == NULL || !put_file(out, out->source->config_path, key, error))
        return false;
    for (guint i = 0; i < config->files->len; i++) {
        const char *path = g_ptr_array_index(config->files, i);

        if (strcmp(path, config->key_file) != 0 && !put_file(out, path, key, error))
            return false;
    }
    return true;
}

static bool put_all(Output *out, Db *db, GError **error)
{
    g_autofree char *schema = g_strdup_printf("%u", count_migrations());
    const char *const head[] = {MAGIC, FORMAT_VERSION, schema, PESITFS_VERSION};
    char next[24];
    const char *end[2] = {"next", next};
    int64_t next_id = 0;

    if (!put(out, head, G_N_ELEMENTS(head), error) || !put_files(out, error) ||
        !dump_read(db, put_row, out, &next_id, error))
        return false;
    (void)snprintf(next, sizeof next, "%" G_GINT64_FORMAT, next_id); /* fits */
    if (!put(out, end, G_N_ELEMENTS(end), error))
        return false;
    end[0] = "end";
    end[1] = g_checksum_get_string(out->sum);
    for (unsigned i = 0; i < G_N_ELEMENTS(end); i++)
        append_part(out->line, end[i]);
    g_string_append_c(out->line, '\n');
    if (fwrite(out->line->str, 1, out->line->len, out->file) == out->line->len &&
        fflush(out->file) == 0 && fsync(fileno(out->file)) == 0)
        return true;
    error_set_errno(error, errno, "write the backup");
    return false;
}

static bool copy_store(const BackupSource *source, const char *path, GError **error)
{
    for (;;) {
        g_autoptr(StoreResult) result = store_execute(source->store, store_request_copy(path));
        bool busy = result->error != NULL && result->error->code == BASE_ERROR_BUSY;

        if (*source->cancelled) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_CANCELLED, "the daemon stops");
            return false;
        }
        if (result->error != NULL && !busy) {
            g_propagate_error(error, g_steal_pointer(&result->error));
            return false;
        }
        if (result->number == 1)
            return true;
    }
}

static void remove_copy(const char *path)
{
    static const char *const ENDS[] = {"", "-wal", "-shm", "-journal"};

    for (size_t i = 0; i < G_N_ELEMENTS(ENDS); i++) {
        g_autofree char *name = g_strconcat(path, ENDS[i], NULL);

        (void)unlink(name); /* usually only the first is there */
    }
}

/* An SQLite file is the daemon's alone: it is copied, and the copy is read. */
static Db *open_source(const BackupSource *source, const char *copy, GError **error)
{
    const Config *config = source->config;
    g_autofree char *owner =
            g_strdup_printf("backup of %s", config->store_owner != NULL ? config->store_owner : "");
    DbTarget target = {
            .kind = DB_SQLITE, .path = copy, .owner = "", .migrations = SQL_CLUSTER_MIGRATIONS};

    if (config->store_backend == STORE_POSTGRES) {
        target.kind = DB_POSTGRES;
        target.conninfo = config->store_conninfo != NULL ? config->store_conninfo : "";
        target.schema = config->store_schema;
        target.owner = owner;
    } else if (!copy_store(source, copy, error)) {
        return NULL;
    }
    return db_open_unmigrated(&target, error);
}

static int open_nameless(const char *folder, GError **error)
{
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, MODE_FILE);

    if (fd < 0)
        error_set_errno(error, errno, "make a file in '%s'", folder);
    return fd;
}

int backup_make(const BackupSource *source, GError **error)
{
    g_autofree char *copy = g_build_filename(source->config->spool_path, "backup.db", NULL);
    g_auto(Fd) fd = open_nameless(source->config->spool_path, error);
    Output out = {.source = source};
    Db *db;
    bool made;
    int kept;

    if (fd < 0)
        return -1;
    remove_copy(copy);
    db = open_source(source, copy, error);
    out.file = fdopen(dup(fd), "w");
    out.sum = g_checksum_new(G_CHECKSUM_SHA256);
    out.line = g_string_new(NULL);
    made = db != NULL && out.file != NULL && put_all(&out, db, error);
    g_string_free(out.line, TRUE);
    g_checksum_free(out.sum);
    if (out.file != NULL)
        (void)fclose(out.file); /* synced before */
    db_close(db);
    remove_copy(copy);
    if (!made || lseek(fd, 0, SEEK_SET) != 0)
        return -1;
    kept = fd;
    fd = -1;
    return kept;
}

/* reading */

typedef struct {
    FILE *file;
    const char *name;
    char *line;
    size_t size;
    const char *parts[PARTS_MAX + 1];
    unsigned count;
} Input;

static void set_damaged(const Input *in, const char *why, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "backup '%s' is damaged: %s", in->name, why);
}

static void resolve(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\' && at[1] != '\0') {
            at++;
            *to++ = *at == 't' ? '\t' : *at == 'n' ? '\n' : '\\';
        } else {
            *to++ = *at;
        }
    }
    *to = '\0';
}

/* The next line in its parts; false at the end. */
static bool take_line(Input *in)
{
    ssize_t length = getline(&in->line, &in->size, in->file);
    char *at = in->line;

    in->count = 0;
    if (length <= 0 || in->line[length - 1] != '\n')
        return false;
    in->line[length - 1] = '\0';
    while (at != NULL && in->count < PARTS_MAX) {
        char *tab = strchr(at, '\t');

        if (tab != NULL)
            *tab++ = '\0';
        in->parts[in->count++] = strcmp(at, "\\N") == 0 ? NULL : at;
        resolve(at);
        at = tab;
    }
    return true;
}

static bool is_line(const Input *in, const char *word, unsigned min)
{
    for (unsigned i = 0; i < min; i++) {
        if (i >= in->count || in->parts[i] == NULL)
            return false;
    }
    return strcmp(in->parts[0], word) == 0;
}

/* Every byte, before any is believed. */
static bool check_sum(Input *in, GError **error)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *last = NULL;
    g_autofree char *expected = NULL;
    ssize_t length;

    while ((length = getline(&in->line, &in->size, in->file)) > 0) {
        if (last != NULL)
            g_checksum_update(sum, (const guchar *)last, -1);
        g_free(last);
        last = g_strndup(in->line, (gsize)length);
    }
    expected = g_strdup_printf("end\t%s\n", g_checksum_get_string(sum));
    if (g_strcmp0(last, expected) == 0) {
        rewind(in->file);
        return true;
    }
    set_damaged(in,
                last != NULL && g_str_has_prefix(last, "end\t") ? "its checksum differs"
                                                                : "its end is missing",
                error);
    return false;
}

static bool take_head(Input *in, unsigned *ret_schema, GError **error)
{
    if (!take_line(in) || !is_line(in, MAGIC, 4)) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is no backup", in->name);
        return false;
    }
    *ret_schema = (unsigned)g_ascii_strtoull(in->parts[2], NULL, 10);
    if (strcmp(in->parts[1], FORMAT_VERSION) == 0 && *ret_schema >= 1 &&
        *ret_schema <= count_migrations())
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "backup '%s' is of version %s with schema %s, this program (%s) knows %s with %u: "
                "install the newer program",
                in->name, in->parts[3], in->parts[2], PESITFS_VERSION, FORMAT_VERSION,
                count_migrations());
    return false;
}

/* the configuration: the main file as pesitd.conf, others by their last names, apart when two are the same */

static char *choose_name(GHashTable *names, const char *path)
{
    g_autofree char *base = g_path_get_basename(path);
    char *name = g_strdup(g_hash_table_size(names) == 0 ? MAIN_FILE : base);

    for (unsigned i = 2; g_hash_table_contains(names, name); i++) {
        g_free(name);
        name = g_strdup_printf("%u-%s", i, base);
    }
    g_hash_table_add(names, g_strdup(name));
    return name;
}

static bool save_file(int folder_fd, GHashTable *names, const Input *in, const SealKey *key,
                      GError **error)
{
    g_autoptr(Secret) secret = secret_parse(in->parts[2], key, error);
    g_autofree char *name = NULL;
    const char *bytes;
    size_t length = 0;

    if (secret == NULL) {
        g_prefix_error(error, "'%s': ", in->parts[1]);
        return false;
    }
    name = choose_name(names, in->parts[1]);
    bytes = secret_get(secret, &length);
    if (bytes == NULL) {
        set_damaged(in, "a file is not sealed", error);
        return false;
    }
    return folder_fd < 0 || file_replace(folder_fd, name, bytes, length, MODE_FILE, error);
}

/* folder_fd -1: only looks whether the key opens them. Leaves the first line behind them taken. */
static bool take_files(Input *in, int folder_fd, const SealKey *key, GError **error)
{
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    while (take_line(in) && is_line(in, "file", 3)) {
        if (!save_file(folder_fd, names, in, key, error))
            return false;
    }
    return true;
}

/* the store */

static bool take_rows(Input *in, Db *db, int64_t *ret_next_id, GError **error)
{
    char *columns[COLUMNS_MAX + 1] = {NULL};
    g_autofree char *table = NULL;
    unsigned count = 0;
    bool good = true;

    do {
        if (is_line(in, "table", 3) && in->count - 2 <= COLUMNS_MAX) {
            g_free(table);
            table = g_strdup(in->parts[1]);
            for (unsigned i = 0; i < count; i++)
                g_clear_pointer(&columns[i], g_free);
            count = in->count - 2;
            for (unsigned i = 0; i < count; i++)
                columns[i] = g_strdup(in->parts[i + 2] != NULL ? in->parts[i + 2] : "");
        } else if (table != NULL && is_line(in, "row", 1) && in->count - 1 == count) {
            good = dump_write(db, table, (const char *const *)columns, in->parts + 1, count, error);
        } else {
            break;
        }
    } while (good && take_line(in));
    if (good && !is_line(in, "next", 2)) {
        set_damaged(in, "a line is of no known kind", error);
        good = false;
    }
    if (good)
        *ret_next_id = g_ascii_strtoll(in->parts[1], NULL, 10);
    for (unsigned i = 0; i < count; i++)
        g_free(columns[i]);
    return good;
}

/* With the schema that it had; the caller brings it up to date. */
static bool restore_store(Input *in, const DbTarget *target, unsigned schema, GError **error)
{
    g_autofree SqlMigration *then = g_new0(SqlMigration, schema + 1);
    DbTarget earlier = *target;
    g_autoptr(Db) db = NULL;
    int64_t next_id = 0;

    memcpy(then, SQL_CLUSTER_MIGRATIONS, schema * sizeof *then);
    earlier.migrations = then;
    db = db_open(&earlier, error);
    return db != NULL && dump_check_empty(db, error) && dump_begin_write(db, error) &&
           take_rows(in, db, &next_id, error) && dump_end_write(db, next_id, error);
}

static bool bring_up_to_date(const DbTarget *target, GError **error)
{
    g_autoptr(Db) db = db_open(target, error);

    return db != NULL;
}

/* What the daemon of the backup was about when it was made, another is not. */
static bool forget_intents(Db *db, GError **error)
{
    if (!db_start(db, SQL_RECORD_EXPIRE, error))
        return false;
    db_bind_text(db, 1, RECORD_INTENT);
    db_bind_number(db, 2, INT64_MAX);
    return db_step(db, error) != DB_FAILED;
}

/* The trail is the daemon's alone: it finds this when it starts, and writes the row. */
static bool note_restoration(const BackupTarget *target, const DbTarget *store, GError **error)
{
    g_autoptr(Db) db = db_open(store, error);
    g_autofree char *actor = g_strdup_printf("uid:%u", (unsigned)getuid());
    int64_t now_us = clock_wall_us();
    g_autofree char *id = g_strdup_printf("%" G_GINT64_FORMAT, now_us);
    const char *const texts[] = {RECORD_RESTORED, id, target->file, actor};

    if (db == NULL || !db_begin(db, true, error) || !forget_intents(db, error) ||
        !db_start(db, SQL_RECORD_INSERT, error))
        return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        db_bind_text(db, i + 1, texts[i]);
    db_bind_number(db, G_N_ELEMENTS(texts) + 1, now_us);
    db_bind_number(db, G_N_ELEMENTS(texts) + 2, now_us);
    return db_step(db, error) != DB_FAILED && db_commit(db, error);
}

static bool check_folder(const char *folder, GError **error)
{
    g_autoptr(GDir) dir = NULL;

    if (!g_file_test(folder, G_FILE_TEST_EXISTS))
        return true;
    dir = g_dir_open(folder, 0, NULL);
    if (dir != NULL && g_dir_read_name(dir) == NULL)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_EXISTS, "'%s' is not an empty folder", folder);
    return false;
}

/* Into a folder beside, which gets its name when all is in it. */
static bool restore_into(Input *in, const BackupTarget *target, const char *beside,
                         const SealKey *key, unsigned schema, GError **error)
{
    g_autofree char *path = g_build_filename(beside, "store.db", NULL);
    DbTarget store = {.kind = target->conninfo != NULL ? DB_POSTGRES : DB_SQLITE,
                      .path = path,
                      .conninfo = target->conninfo,
                      .schema = target->schema,
                      .owner = "restore",
                      .migrations = SQL_CLUSTER_MIGRATIONS};
    g_auto(Fd) folder_fd = file_open_folder(beside, true, MODE_FOLDER, error);

    if (folder_fd < 0 || !take_files(in, folder_fd, key, error) ||
        !restore_store(in, &store, schema, error) || !bring_up_to_date(&store, error) ||
        !note_restoration(target, &store, error) || !file_sync_folder(folder_fd, error))
        return false;
    (void)rmdir(target->folder); /* empty or missing */
    return file_rename_synced(AT_FDCWD, beside, AT_FDCWD, target->folder, false, error);
}

static void remove_beside(const char *beside)
{
    g_autoptr(GDir) dir = g_dir_open(beside, 0, NULL);
    const char *name;

    while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
        g_autofree char *path = g_build_filename(beside, name, NULL);

        (void)unlink(path); /* what is left makes rmdir fail, and the next restore */
    }
    (void)rmdir(beside);
}

static bool restore(Input *in, const BackupTarget *target, GError **error)
{
    g_autoptr(SealKey) key = seal_key_load(target->key_file, error);
    g_autofree char *beside = g_strconcat(target->folder, ".restoring", NULL);
    unsigned schema = 0;

    if (key == NULL || !check_sum(in, error) || !take_head(in, &schema, error) ||
        !take_files(in, -1, key, error) || !check_folder(target->folder, error) ||
        !check_folder(beside, error))
        return false;
    rewind(in->file);
    if (take_head(in, &schema, error) && restore_into(in, target, beside, key, schema, error))
        return true;
    remove_beside(beside);
    return false;
}

bool backup_restore(const BackupTarget *target, GError **error)
{
    Input in = {.file = fopen(target->file, "re"), .name = target->file};
    bool restored;

    if (in.file == NULL) {
        error_set_errno(error, errno, "open '%s'", target->file);
        return false;
    }
    restored = restore(&in, target, error);
    (void)fclose(in.file); /* it was only read */
    free(in.line);
    return restored;
}
