/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite behind db.h: write-ahead log, a sync at each commit, exclusive to this process. A statement's $1 is
 * written ?1 here: SQLite would take $1 for a name, numbered by where it first stands. PRAGMA user_version
 * repeats the schema's version for programs that knew nothing else.
 */
#include "sql/db-private.h"

#include "base/error.h"
#include "base/file.h"

#include <fcntl.h>
#include <sqlite3.h>

#define BUSY_MS    5000
#define COPY_PAGES 256 /* in a step: a megabyte */

typedef struct {
    Db base;
    sqlite3 *handle;
    sqlite3_stmt *statements[SQL_COUNT];
    sqlite3_stmt *current;
    sqlite3_stmt *other; /* of a text of the caller's */
    char *other_text;
    sqlite3 *copy_handle; /* while a copy is made */
    sqlite3_backup *copy;
} SqliteDb;

static BaseError kind_of(int code)
{
    switch (code & 0xFF) {
    case SQLITE_FULL:
        return BASE_ERROR_NO_SPACE;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return BASE_ERROR_BUSY;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return BASE_ERROR_INVALID;
    case SQLITE_CONSTRAINT:
        return code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY
                       ? BASE_ERROR_EXISTS
                       : BASE_ERROR_INVALID;
    default:
        return BASE_ERROR_IO;
    }
}

static void set_error(const SqliteDb *self, int code, const char *doing, GError **error)
{
    int extended = self->handle != NULL ? sqlite3_extended_errcode(self->handle) : code;
    BaseError kind = kind_of((extended & 0xFF) == (code & 0xFF) ? extended : code);

    g_set_error(error, BASE_ERROR, (int)kind, "%s: %s: %s%s", self->base.name, doing,
                self->handle != NULL ? sqlite3_errmsg(self->handle) : sqlite3_errstr(code),
                kind == BASE_ERROR_BUSY ? " (another process uses it)" : "");
}

static bool run_text(SqliteDb *self, const char *text, GError **error)
{
    int code = sqlite3_exec(self->handle, text, NULL, NULL, NULL);

    if (code == SQLITE_OK)
        return true;
    set_error(self, code, text, error);
    return false;
}

/* Not read to its end, it would hold up the commit. */
static void reset_current(SqliteDb *self)
{
    if (self->current != NULL)
        (void)sqlite3_reset(self->current); /* tells the last run's error again */
}

/* statements */

static char *dup_dialect(const char *text)
{
    return g_strdelimit(g_strdup(text), "$", '?');
}

static bool sqlite_start(Db *db, SqlStatement statement, GError **error)
{
    SqliteDb *self = (SqliteDb *)db;
    int code = SQLITE_OK;

    reset_current(self);
    if (self->statements[statement] == NULL) {
        g_autofree char *text = dup_dialect(SQL_STATEMENTS[statement]);

        code = sqlite3_prepare_v3(self->handle, text, -1, SQLITE_PREPARE_PERSISTENT,
                                  &self->statements[statement], NULL);
    }
    if (code != SQLITE_OK) {
        set_error(self, code, SQL_STATEMENTS[statement], error);
        return false;
    }
    self->current = self->statements[statement];
    (void)sqlite3_clear_bindings(self->current); /* cannot fail */
    return true;
}

static bool sqlite_start_text(Db *db, const char *text, GError **error)
{
    SqliteDb *self = (SqliteDb *)db;
    g_autofree char *dialect = dup_dialect(text);
    int code;

    reset_current(self);
    if (g_strcmp0(self->other_text, text) != 0) {
        self->current = NULL;
        (void)sqlite3_finalize(self->other); /* its error was seen at the step */
        g_clear_pointer(&self->other_text, g_free);
        code = sqlite3_prepare_v2(self->handle, dialect, -1, &self->other, NULL);
        if (code != SQLITE_OK) {
            set_error(self, code, text, error);
            return false;
        }
        self->other_text = g_strdup(text);
    }
    self->current = self->other;
    (void)sqlite3_clear_bindings(self->current); /* cannot fail */
    return true;
}

static unsigned sqlite_column_count(Db *db)
{
    return (unsigned)sqlite3_column_count(((SqliteDb *)db)->current);
}

static const char *sqlite_column_name_of(Db *db, unsigned column)
{
    return sqlite3_column_name(((SqliteDb *)db)->current, (int)column);
}

static void sqlite_bind_number(Db *db, unsigned index, int64_t number)
{
    SqliteDb *self = (SqliteDb *)db;

    (void)sqlite3_bind_int64(self->current, (int)index, number); /* fails only for a wrong index */
}

static void sqlite_bind_string(Db *db, unsigned index, const char *text)
{
    SqliteDb *self = (SqliteDb *)db;

    if (text == NULL)
        (void)sqlite3_bind_null(self->current, (int)index); /* fails only for a wrong index */
    else
        (void)sqlite3_bind_text(self->current, (int)index, text, -1, SQLITE_TRANSIENT); /* same */
}

static DbStep sqlite_step(Db *db, GError **error)
{
    SqliteDb *self = (SqliteDb *)db;
    int code = sqlite3_step(self->current);

    if (code == SQLITE_ROW)
        return DB_ROW;
    if (code != SQLITE_DONE) {
        set_error(self, code, "run a statement", error);
        /* some failures, a full disk among them, take the transaction with them */
        db->doomed = sqlite3_get_autocommit(self->handle) != 0;
    }
    (void)sqlite3_reset(self->current); /* tells the same error again */
    return code == SQLITE_DONE ? DB_DONE : DB_FAILED;
}

static int64_t sqlite_number(Db *db, unsigned column)
{
    return sqlite3_column_int64(((SqliteDb *)db)->current, (int)column);
}

static const char *sqlite_string(Db *db, unsigned column)
{
    return (const char *)sqlite3_column_text(((SqliteDb *)db)->current, (int)column);
}

/* batches: never offered */

static bool sqlite_defer(Db *db, GError **error)
{
    (void)db;
    (void)error;
    return true;
}

static void sqlite_resume(Db *db)
{
    (void)db;
}

/* transactions */

static bool sqlite_begin(Db *db, bool writes, GError **error)
{
    (void)writes;
    return db_run(db, SQL_BEGIN, error);
}

static bool sqlite_commit(Db *db, GError **error)
{
    reset_current((SqliteDb *)db);
    return db_run(db, SQL_COMMIT, error);
}

static void sqlite_rollback(Db *db)
{
    (void)db_run(db, SQL_ROLLBACK, NULL); /* the first error counts */
}

/* migrations */

static bool sqlite_begin_migration(Db *db, GError **error)
{
    return run_text((SqliteDb *)db, "BEGIN IMMEDIATE", error);
}

static bool sqlite_run_script(Db *db, const char *text, GError **error)
{
    reset_current((SqliteDb *)db);
    return run_text((SqliteDb *)db, text, error);
}

static bool sqlite_mark_version(Db *db, unsigned version, GError **error)
{
    g_autofree char *mark = g_strdup_printf("PRAGMA user_version = %u", version);

    return run_text((SqliteDb *)db, mark, error);
}

static bool sqlite_read_marked_version(Db *db, unsigned *ret_version, GError **error)
{
    SqliteDb *self = (SqliteDb *)db;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(self->handle, "PRAGMA user_version", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_version = (unsigned)sqlite3_column_int(statement, 0);
    else
        set_error(self, code, "read the schema's version", error);
    (void)sqlite3_finalize(statement); /* its error was seen at the step */
    return code == SQLITE_ROW;
}

/* a copy */

static bool end_copy(SqliteDb *self, int code, const char *path, GError **error)
{
    int finished = sqlite3_backup_finish(self->copy);

    self->copy = NULL;
    if (code == SQLITE_DONE || code == SQLITE_OK)
        code = finished;
    if (code != SQLITE_OK)
        g_set_error(error, BASE_ERROR, (int)kind_of(code), "copy %s to '%s': %s", self->base.name,
                    path, sqlite3_errmsg(self->copy_handle));
    (void)sqlite3_close(self->copy_handle); /* nothing of it is in use */
    self->copy_handle = NULL;
    return code == SQLITE_OK;
}

static bool sqlite_copy_step(Db *db, const char *path, bool *ret_done, GError **error)
{
    SqliteDb *self = (SqliteDb *)db;
    int code;

    *ret_done = false;
    if (self->copy == NULL) {
        code = sqlite3_open_v2(path, &self->copy_handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                               NULL);
        if (code == SQLITE_OK)
            self->copy = sqlite3_backup_init(self->copy_handle, "main", self->handle, "main");
        if (self->copy == NULL)
            return end_copy(self, code != SQLITE_OK ? code : SQLITE_ERROR, path, error);
    }
    code = sqlite3_backup_step(self->copy, COPY_PAGES);
    if (code == SQLITE_OK)
        return true;
    if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_BUSY, "%s is being changed", self->base.name);
        return false;
    }
    *ret_done = code == SQLITE_DONE;
    return end_copy(self, code, path, error);
}

/* connection: it is a file */

static bool sqlite_reconnect(Db *db, bool *ret_committed, GError **error)
{
    (void)db;
    (void)error;
    *ret_committed = false;
    return true;
}

static int sqlite_fd(const Db *db)
{
    (void)db;
    return -1;
}

static char *sqlite_take_notice(Db *db)
{
    (void)db;
    return NULL;
}

static void sqlite_close_db(Db *db)
{
    SqliteDb *self = (SqliteDb *)db;

    if (self->copy != NULL)
        (void)end_copy(self, SQLITE_ABORT, "", NULL); /* nobody waits for it any more */
    (void)sqlite3_finalize(self->other);              /* its error was seen at the step */
    g_free(self->other_text);
    for (unsigned i = 0; i < SQL_COUNT; i++)
        (void)sqlite3_finalize(self->statements[i]); /* its error was seen at the step */
    (void)sqlite3_close(self->handle);               /* all statements are finalized */
    g_free(self->base.name);
    g_free(self);
}

static const DbBackend BACKEND = {
        .close = sqlite_close_db,
        .start = sqlite_start,
        .start_text = sqlite_start_text,
        .column_count = sqlite_column_count,
        .column_name = sqlite_column_name_of,
        .copy_step = sqlite_copy_step,
        .bind_number = sqlite_bind_number,
        .bind_text = sqlite_bind_string,
        .step = sqlite_step,
        .number = sqlite_number,
        .text = sqlite_string,
        .defer = sqlite_defer,
        .resume = sqlite_resume,
        .begin = sqlite_begin,
        .commit = sqlite_commit,
        .rollback = sqlite_rollback,
        .begin_migration = sqlite_begin_migration,
        .run_script = sqlite_run_script,
        .mark_version = sqlite_mark_version,
        .read_marked_version = sqlite_read_marked_version,
        .reconnect = sqlite_reconnect,
        .fd = sqlite_fd,
        .take_notice = sqlite_take_notice,
};

/* Why it cannot be had, in words for who starts a daemon. Our handle is given up: opening the file again and closing it
 * drops the locks of this process. */
static void explain(const char *path, GError **error)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    g_auto(Fd) fd = -1;

    if (error == NULL || *error == NULL)
        return;
    if ((*error)->code == BASE_ERROR_INVALID)
        g_prefix_error(error, "'%s' is damaged, or no database; it is left as it is: ", path);
    if ((*error)->code != BASE_ERROR_BUSY)
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK && lock.l_pid > 0)
        g_prefix_error(error, "'%s' is locked by process %ld: ", path, (long)lock.l_pid);
}

Db *sqlite_open(const DbTarget *target, GError **error)
{
    SqliteDb *self = g_new0(SqliteDb, 1);
    g_autoptr(Db) base = &self->base;
    int code;

    *base = (Db){.backend = &BACKEND,
                 .migrations = target->migrations,
                 .kind = DB_SQLITE,
                 .batch_limit = 1,
                 .name = g_strdup_printf("database '%s'", target->path)};
    code = sqlite3_open_v2(target->path, &self->handle,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        set_error(self, code, "open", error);
        explain(target->path, error);
        return NULL;
    }
    (void)sqlite3_busy_timeout(self->handle, BUSY_MS); /* cannot fail */
    if (!run_text(self, "PRAGMA locking_mode = EXCLUSIVE", error) ||
        !run_text(self, "PRAGMA journal_mode = WAL", error) ||
        !run_text(self, "PRAGMA synchronous = FULL", error) ||
        !run_text(self, "PRAGMA foreign_keys = ON", error) ||
        !run_text(self, "PRAGMA trusted_schema = OFF", error) ||
        !run_text(self, "PRAGMA case_sensitive_like = ON", error)) {
        explain(target->path, error);
        return NULL;
    }
    return g_steal_pointer(&base);
}
