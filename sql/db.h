/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database connection: statements of the table, bound and stepped. SQLite is behind it. One thread at a
 * time. Errors: IO with the database's own words; INVALID for a schema newer than the program or a file that
 * is no database; BUSY when another process holds it.
 */
#pragma once

#include "sql/statements.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Db Db;

/* Opens (creates) and migrates. path: of the SQLite file. Returns new. */
Db *db_open(const char *path, GError **error);
void db_close(Db *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Db, db_close)
/* Version of the schema, 1.. */
unsigned db_version(const Db *self);

/* Makes a statement ready for a new run: earlier results and parameters are gone. */
bool db_start(Db *self, SqlStatement statement, GError **error);
/* Parameters of the statement started last; index: 1.. text: NULL for null, copied. */
void db_bind_number(Db *self, unsigned index, int64_t number);
void db_bind_text(Db *self, unsigned index, const char *text);

typedef enum { DB_ROW, DB_DONE, DB_FAILED } DbStep;
/* Runs the started statement up to its next row. */
DbStep db_step(Db *self, GError **error);
/* Columns of the row, 0.. text: borrowed until the next step; NULL for null. */
int64_t db_number(Db *self, unsigned column);
const char *db_text(Db *self, unsigned column);
/* Starts and runs a statement without parameters and rows. */
bool db_run(Db *self, SqlStatement statement, GError **error);
