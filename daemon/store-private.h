/* SPDX-License-Identifier: Apache-2.0 */
/* What store.c, store-request.c and store-transfer.c share. Private to the store. */
#pragma once

#include "daemon/store.h"
#include "sql/db.h"

#define STORE_FOLDERS_MAX 4

struct StoreRequest {
    /* Runs on the store's thread inside the transaction. */
    void (*run)(const StoreRequest *self, Db *db, StoreResult *result);
    Transfer *transfer;
    char *texts[3];
    int64_t numbers[5];
    int folder_fds[STORE_FOLDERS_MAX];
    size_t folder_count;
    /* how the answer goes back: one of them, or none */
    Reply *reply;
    StoreCallback on_result;
    gpointer data;
    StoreResult *result;
};

void store_request_free(StoreRequest *request);

/* Binds every column, ?1 … ?TRANSFER_COLUMNS. */
#define TRANSFER_COLUMNS 32
void transfer_bind(Db *db, const Transfer *transfer);
/* Reads the current row. Returns new. */
Transfer *transfer_read(Db *db);
