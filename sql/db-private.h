/* SPDX-License-Identifier: Apache-2.0 */
/* What a back end is to db.c. Private to sql/. */
#pragma once

#include "sql/db.h"

typedef struct {
    void (*close)(Db *self);
    bool (*start)(Db *self, SqlStatement statement, GError **error);
    bool (*start_text)(Db *self, const char *text, GError **error);
    unsigned (*column_count)(Db *self);
    const char *(*column_name)(Db *self, unsigned column);
    bool (*copy_step)(Db *self, const char *path, bool *ret_done, GError **error); /* NULL: none */
    void (*bind_number)(Db *self, unsigned index, int64_t number);
    void (*bind_text)(Db *self, unsigned index, const char *text);
    DbStep (*step)(Db *self, GError **error);
    int64_t (*number)(Db *self, unsigned column);
    const char *(*text)(Db *self, unsigned column);
    bool (*defer)(Db *self, GError **error);
    void (*resume)(Db *self);
    bool (*begin)(Db *self, bool writes, GError **error);
    bool (*commit)(Db *self, GError **error);
    void (*rollback)(Db *self);
    /* migrations: a transaction that no other process can enter, and a text of many statements in it */
    bool (*begin_migration)(Db *self, GError **error);
    bool (*run_script)(Db *self, const char *text, GError **error);
    /* what older programs look at, and what they wrote; NULL: nothing */
    bool (*mark_version)(Db *self, unsigned version, GError **error);
    bool (*read_marked_version)(Db *self, unsigned *ret_version, GError **error);
    char *(*make_verifier)(Db *self, const char *role, const char *password,
                           GError **error);               /* NULL: none */
    void (*set_password)(Db *self, const char *password); /* NULL: none */
    bool (*reconnect)(Db *self, bool *ret_committed, GError **error);
    int (*fd)(const Db *self);
    char *(*take_notice)(Db *self);
} DbBackend;

/* First member of each back end's own structure. */
struct Db {
    const DbBackend *backend;
    const SqlMigration *migrations;
    DbKind kind;
    char *name; /* for messages: "database '…'" */
    unsigned version;
    unsigned batch_limit;
    bool doomed;
    bool lost;
};

/* Open a connection, not yet migrated. */
Db *sqlite_open(const DbTarget *target, GError **error);
Db *postgres_open(const DbTarget *target, GError **error);
/* Brings the schema to the program's version, or says why not. */
bool db_migrate(Db *self, GError **error);
