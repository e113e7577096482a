/* SPDX-License-Identifier: Apache-2.0 */
/* What store.c, store-request.c and store-transfer.c share. Private to the store. */
#pragma once

#include "daemon/store-schedule.h"
#include "daemon/store.h"
#include "sql/db.h"

#define STORE_FOLDERS_MAX 4

/* Both run on the store's thread inside the transaction; other requests' statements may run between them. */
typedef bool (*StoreStart)(const StoreRequest *self, Db *db, GError **error);
typedef void (*StoreFinish)(const StoreRequest *self, Db *db, StoreResult *result);

struct StoreRequest {
    StoreStart start;
    StoreFinish finish;
    bool writes;       /* whether anything will be changed */
    bool inserts;      /* a row that must go when the caller was told that it is not there */
    const char *tells; /* our own main loop hears of a change of this table; NULL: it does not */
    bool patient;      /* waits for the database for ever */
    bool glance;       /* only reads, and need not see what was asked for before it */
    bool alone;        /* not in a group: one of its group failed */
    bool started;      /* its statement is with the database */
    const char *owner; /* set by the store: who we are; borrowed */
    char *what;        /* what is looked for, for messages */
    Transfer *transfer;
    Record *record;
    AuditEntry *audit;
    Schedule *schedule;
    char *texts[6];
    int64_t numbers[5];
    uint32_t limit;
    int folder_fds[STORE_FOLDERS_MAX];
    size_t folder_count;
    /* how the answer goes back: one of them, or none */
    Reply *reply;
    StoreCallback on_result;
    gpointer data;
    GDestroyNotify free_data; /* for data that nobody was told about; NULL: it is borrowed */
    StoreResult *result;
};

/* A row that was stored although its caller was told that it was not: cancelled, out of the mount. */
StoreRequest *store_request_withdraw(int64_t id);

/* start: makes the statement ready and binds. finish: steps it, into the result. Return new. */
StoreRequest *store_request_new(StoreStart start, StoreFinish finish);
StoreRequest *store_request_new_writing(StoreStart start, StoreFinish finish);
void store_request_free(StoreRequest *request);
/* Appends text so that LIKE … ESCAPE '\' takes it literally. */
void store_append_literal(GString *pattern, const char *text);

#define TRANSFER_COLUMNS 38
/* Binds every column, $1 … $TRANSFER_COLUMNS. */
void transfer_bind(Db *db, const Transfer *transfer);
/* Binds every column but the id, $1 … */
void transfer_bind_values(Db *db, const Transfer *transfer);
/* Reads the current row. Returns new. */
Transfer *transfer_read(Db *db);
