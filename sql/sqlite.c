/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite behind db.h: write-ahead log, a sync at each commit, exclusive to this process. Migrations run one
 * by one, each in its transaction with the version it brings (PRAGMA user_version).
 */
#include "sql/db.h"

#include "base/error.h"
#include "sql/migrations.h"

#include <sqlite3.h>

#define BUSY_MS 5000

struct Db {
    sqlite3 *handle;
    sqlite3_stmt *statements[SQL_COUNT];
    sqlite3_stmt *current;
    unsigned version;
    char *path;
};

static void set_error(Db *self, int code, const char *doing, GError **error)
{
    int primary = code & 0xFF;
    BaseError kind = primary == SQLITE_FULL                                  ? BASE_ERROR_NO_SPACE
                     : primary == SQLITE_BUSY || primary == SQLITE_LOCKED    ? BASE_ERROR_BUSY
                     : primary == SQLITE_NOTADB || primary == SQLITE_CORRUPT ? BASE_ERROR_INVALID
                                                                             : BASE_ERROR_IO;

    g_set_error(error, BASE_ERROR, (int)kind, "database '%s': %s: %s%s", self->path, doing,
                self->handle != NULL ? sqlite3_errmsg(self->handle) : sqlite3_errstr(code),
                kind == BASE_ERROR_BUSY ? " (another process uses it)" : "");
}

static bool run_text(Db *self, const char *text, GError **error)
{
    int code = sqlite3_exec(self->handle, text, NULL, NULL, NULL);

    if (code == SQLITE_OK)
        return true;
    set_error(self, code, text, error);
    return false;
}

static bool read_version(Db *self, GError **error)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(self->handle, "PRAGMA user_version", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        self->version = (unsigned)sqlite3_column_int(statement, 0);
    else
        set_error(self, code, "read the schema's version", error);
    (void)sqlite3_finalize(statement); /* its error was seen at the step */
    return code == SQLITE_ROW;
}

static bool migrate_one(Db *self, unsigned version, GError **error)
{
    g_autofree char *mark = g_strdup_printf("PRAGMA user_version = %u", version);

    if (!run_text(self, "BEGIN IMMEDIATE", error))
        return false;
    if (run_text(self, SQL_MIGRATIONS[version - 1], error) && run_text(self, mark, error) &&
        run_text(self, "COMMIT", error))
        return true;
    (void)run_text(self, "ROLLBACK", NULL); /* the first error counts */
    return false;
}

static bool migrate(Db *self, GError **error)
{
    unsigned newest = 0;

    while (SQL_MIGRATIONS[newest] != NULL)
        newest++;
    if (!read_version(self, error))
        return false;
    if (self->version > newest) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "database '%s' has schema version %u, this program knows up to %u: install the "
                    "newer program",
                    self->path, self->version, newest);
        return false;
    }
    for (unsigned version = self->version + 1; version <= newest; version++) {
        if (!migrate_one(self, version, error))
            return false;
        self->version = version;
    }
    return true;
}

Db *db_open(const char *path, GError **error)
{
    g_autoptr(Db) self = g_new0(Db, 1);
    int code;

    self->path = g_strdup(path);
    code = sqlite3_open_v2(path, &self->handle,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        set_error(self, code, "open", error);
        return NULL;
    }
    (void)sqlite3_busy_timeout(self->handle, BUSY_MS); /* cannot fail */
    if (!run_text(self, "PRAGMA locking_mode = EXCLUSIVE", error) ||
        !run_text(self, "PRAGMA journal_mode = WAL", error) ||
        !run_text(self, "PRAGMA synchronous = FULL", error) ||
        !run_text(self, "PRAGMA case_sensitive_like = ON", error) || !migrate(self, error))
        return NULL;
    return g_steal_pointer(&self);
}

void db_close(Db *self)
{
    if (self == NULL)
        return;
    for (unsigned i = 0; i < SQL_COUNT; i++)
        (void)sqlite3_finalize(self->statements[i]); /* its error was seen at the step */
    (void)sqlite3_close(self->handle);               /* all statements are finalized */
    g_free(self->path);
    g_free(self);
}

unsigned db_version(const Db *self)
{
    return self->version;
}

bool db_start(Db *self, SqlStatement statement, GError **error)
{
    int code = SQLITE_OK;

    if (self->current != NULL)              /* not read to its end: it would hold up the commit */
        (void)sqlite3_reset(self->current); /* tells the last run's error again */
    if (self->statements[statement] == NULL)
        code = sqlite3_prepare_v3(self->handle, SQL_STATEMENTS[statement], -1,
                                  SQLITE_PREPARE_PERSISTENT, &self->statements[statement], NULL);
    if (code != SQLITE_OK) {
        set_error(self, code, SQL_STATEMENTS[statement], error);
        return false;
    }
    self->current = self->statements[statement];
    (void)sqlite3_clear_bindings(self->current); /* cannot fail */
    return true;
}

void db_bind_number(Db *self, unsigned index, int64_t number)
{
    (void)sqlite3_bind_int64(self->current, (int)index, number); /* fails only for a wrong index */
}

void db_bind_text(Db *self, unsigned index, const char *text)
{
    if (text == NULL)
        (void)sqlite3_bind_null(self->current, (int)index); /* fails only for a wrong index */
    else
        (void)sqlite3_bind_text(self->current, (int)index, text, -1, SQLITE_TRANSIENT); /* same */
}

DbStep db_step(Db *self, GError **error)
{
    int code = sqlite3_step(self->current);

    if (code == SQLITE_ROW)
        return DB_ROW;
    if (code != SQLITE_DONE)
        set_error(self, code, "run a statement", error);
    (void)sqlite3_reset(self->current); /* tells the same error again */
    return code == SQLITE_DONE ? DB_DONE : DB_FAILED;
}

int64_t db_number(Db *self, unsigned column)
{
    return sqlite3_column_int64(self->current, (int)column);
}

const char *db_text(Db *self, unsigned column)
{
    return (const char *)sqlite3_column_text(self->current, (int)column);
}

bool db_run(Db *self, SqlStatement statement, GError **error)
{
    DbStep step;

    if (!db_start(self, statement, error))
        return false;
    do {
        step = db_step(self, error);
    } while (step == DB_ROW);
    return step == DB_DONE;
}
