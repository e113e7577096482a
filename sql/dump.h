/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store holds, table by table, as text that both back ends read: for backups. Sums and marks of writers are not
 * among it: the first are kept by triggers, the others say nothing elsewhere. One thread at a time.
 */
#pragma once

#include "sql/db.h"

/* Called for each table with row false and the names of its columns, then with row true for each of its rows; values:
 * NULL for null. False: an error, passed on. */
typedef bool (*DumpSink)(const char *table, bool row, const char *const *values, unsigned count,
                         gpointer data, GError **error);

/* Gives every table of an open database, as of one moment, to a sink. ret_next_id: above every number of a transfer that
 * was ever given. */
bool dump_read(Db *db, DumpSink sink, gpointer data, int64_t *ret_next_id, GError **error);
/* Whether nobody has stored anything there. EXISTS: somebody has. */
bool dump_check_empty(Db *db, GError **error);
/* Makes an open database take rows: all that follow, to dump_end_write, happen or none. */
bool dump_begin_write(Db *db, GError **error);
/* A row of a table with these columns. INVALID: there is no such table. */
bool dump_write(Db *db, const char *table, const char *const *columns, const char *const *values,
                unsigned count, GError **error);
bool dump_end_write(Db *db, int64_t next_id, GError **error);
