/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database connection: statements of the table, bound and stepped, the same for SQLite and PostgreSQL. One
 * thread at a time. Errors: IO with the database's own words; INVALID for a schema newer than the program, a
 * file that is no database, or a value it does not take; BUSY when another process holds it or the
 * transaction may be tried again; EXISTS for a value that must be unique; REFUSED for a right that is
 * missing; NO_SPACE; TIMEOUT; UNREACHABLE when the connection is lost (db_is_lost).
 */
#pragma once

#include "sql/migrations.h"
#include "sql/statements.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Db Db;

typedef enum { DB_SQLITE, DB_POSTGRES } DbKind;

/* Where a database is. */
typedef struct {
    DbKind kind;
    const char *path; /* SQLite: the file */
    const char
            *conninfo; /* PostgreSQL: libpq's text or URI; what it leaves out, PG* variables say */
    const char *password; /* PostgreSQL: NULL: conninfo, PG* variables or a passfile have it */
    const char *user;     /* PostgreSQL: who logs in; NULL: conninfo says */
    const char *role;   /* PostgreSQL: whose rights the session has; NULL: those of who logged in */
    const char *schema; /* PostgreSQL: made when missing; the only one that is searched */
    /* PostgreSQL: who we are among the daemons of the schema. NULL: a guest, of whom there may be many: it hears of no
     * change, leaves no mark of its commits, and waits for nobody's lock, and for no statement, for long. */
    const char *owner;
    const SqlMigration *migrations; /* what it must have */
} DbTarget;

/* Opens (creates) and migrates. target: copied, but for its migrations. Returns new. */
Db *db_open(const DbTarget *target, GError **error);
/* Opens what is there, as it is. Returns new. */
Db *db_open_unmigrated(const DbTarget *target, GError **error);
void db_close(Db *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Db, db_close)
/* Version of the schema, 1.. */
unsigned db_version(const Db *self);

/* statements */

/* Makes a statement ready for a new run: earlier results and parameters are gone. */
bool db_start(Db *self, SqlStatement statement, GError **error);
/* Parameters of the statement started last; index: 1.. text: NULL for null, copied. */
void db_bind_number(Db *self, unsigned index, int64_t number);
void db_bind_text(Db *self, unsigned index, const char *text);

typedef enum { DB_ROW, DB_DONE, DB_FAILED } DbStep;
/* Runs the started (or resumed) statement up to its next row. */
DbStep db_step(Db *self, GError **error);
/* Columns of the row, 0.. text: borrowed until the next step; NULL for null. */
int64_t db_number(Db *self, unsigned column);
const char *db_text(Db *self, unsigned column);
/* Starts and runs a statement without parameters, its rows unread. */
bool db_run(Db *self, SqlStatement statement, GError **error);

/* Makes a text of the caller's ready, outside any batch, as db_start does with one of the table. */
bool db_start_text(Db *self, const char *text, GError **error);
/* Runs such a text, its rows unread. */
bool db_run_text(Db *self, const char *text, GError **error);
/* Columns of the statement that was stepped, and their names; borrowed. */
unsigned db_column_count(Db *self);
const char *db_column_name(Db *self, unsigned column);

/* How many started statements may be set aside and sent in one go; 1: none, step each at once. */
unsigned db_batch_limit(const Db *self);
/* Sets the started statement aside, so that the next can be started. */
bool db_defer(Db *self, GError **error);
/* Makes the oldest statement set aside the current one, for db_step. Every one must be resumed, also after a
 * failure, before anything else is run. */
void db_resume(Db *self);

/* transactions */

/* Begins; after db_defer, db_resume need not be called for it. writes: whether anything will be changed. */
bool db_begin(Db *self, bool writes, GError **error);
/* Commits. When it fails and the connection is lost, nobody knows whether it happened: db_reconnect says. */
bool db_commit(Db *self, GError **error);
void db_rollback(Db *self);
/* True after a failed statement when the transaction can only be rolled back. */
bool db_is_doomed(const Db *self);

/* a copy of an SQLite file that is in use */

/* Copies some more pages, outside any change; what is changed in between is copied again. ret_done: the copy is whole and
 * closed, as of now. PostgreSQL needs none: done at once. BUSY: not now. */
bool db_copy_step(Db *self, const char *path, bool *ret_done, GError **error);

/* passwords of roles */

/* What PostgreSQL may be given instead of a role's password, so that it never leaves this process. Not for SQLite. Returns
 * new. */
char *db_make_verifier(Db *self, const char *role, const char *password, GError **error);

/* the connection */

/* True when the server has gone; only db_reconnect and db_close help. Never for SQLite. */
bool db_is_lost(const Db *self);
/* What db_reconnect shows instead of the password before; "": libpq looks where it always does. Not for SQLite. */
void db_set_password(Db *self, const char *password);
/* One attempt to connect again. ret_committed: whether the commit whose answer was lost happened. */
bool db_reconnect(Db *self, bool *ret_committed, GError **error);
/* Readable when notices of other connections came, or the server has gone; -1: never. */
int db_fd(const Db *self);
/* The next notice of a change by another connection, "table:row"; NULL: none. Returns new. */
char *db_take_notice(Db *self);
