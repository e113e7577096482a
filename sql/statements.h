/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every statement the program runs, by name. Same text for each back end: parameters are numbered $1, $2 …;
 * only what SQLite and PostgreSQL both understand. Constant; any thread.
 */
#pragma once

typedef enum {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_MIGRATION_LIST,
    SQL_MIGRATION_INSERT,
    SQL_WRITER_MARK,
    SQL_TRANSFER_INSERT,
    SQL_TRANSFER_UPDATE,
    SQL_TRANSFER_WITHDRAW,
    SQL_TRANSFER_HIDE_PATH,
    SQL_TRANSFER_GET,
    SQL_TRANSFER_FIND_PATH,
    SQL_TRANSFER_LIST_FOLDER,
    SQL_TRANSFER_FIND_OFFER,
    SQL_TRANSFER_FIND_OFFER_GENERIC,
    SQL_TRANSFER_FIND_RECEIVED,
    SQL_TRANSFER_HISTORY,
    SQL_TRANSFER_UNFINISHED,
    SQL_TRANSFER_EXPIRED,
    SQL_TRANSFER_TALLY,
    SQL_COUNTER_NEXT,
    SQL_SECRET_SET,
    SQL_SECRET_REMOVE,
    SQL_SECRET_GET,
    SQL_COUNT,
} SqlStatement;

extern const char *const SQL_STATEMENTS[SQL_COUNT];
