/* SPDX-License-Identifier: Apache-2.0 */
/* Reads by key, a page at a time, in one transaction that sees one moment; writes row by row in one transaction. */
#include "sql/dump.h"

#include "base/error.h"
#include "sql/db-private.h"

#include <string.h>

#define PAGE_ROWS   1000
#define COLUMNS_MAX 64

typedef struct {
    const char *name, *key; /* one or two columns */
} Table;

static const Table TABLES[] = {
        {"transfer_history", "id"},
        {"counters", "name"},
        {"secrets", "partner, kind"},
        {"partners", "name"},
        {"virtual_files", "partner, pattern"},
        {"pesitwizard_server_configs", "server_id"},
        {"certificate_stores", "name"},
        {"admin_records", "kind, id"},
        {"schedules", "id"},
        {"audit_events", "writer, seq"},
        {"audit_due", "owner, transfer_id"}, /* after the rows that settle it */
};

static const Table *find_table(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(TABLES); i++) {
        if (strcmp(TABLES[i].name, name) == 0)
            return &TABLES[i];
    }
    return NULL;
}

/* reading */

typedef struct {
    char *keys[2]; /* of the last row; NULL: none yet */
    unsigned rows;
    bool named;
} Page;

static void keep_keys(Db *db, const Table *table, Page *page)
{
    g_auto(GStrv) keys = g_strsplit(table->key, ", ", 2);

    for (unsigned column = 0; column < db_column_count(db); column++) {
        for (unsigned i = 0; keys[i] != NULL; i++) {
            if (strcmp(keys[i], db_column_name(db, column)) != 0)
                continue;
            g_free(page->keys[i]);
            page->keys[i] = g_strdup(db_text(db, column));
        }
    }
}

static bool give(Db *db, const Table *table, bool row, DumpSink sink, gpointer data, GError **error)
{
    const char *values[COLUMNS_MAX];
    unsigned count = MIN(db_column_count(db), COLUMNS_MAX);

    for (unsigned i = 0; i < count; i++)
        values[i] = row ? db_text(db, i) : db_column_name(db, i);
    return sink(table->name, row, values, count, data, error);
}

static bool read_page(Db *db, const Table *table, Page *page, DumpSink sink, gpointer data,
                      GError **error)
{
    bool two = strchr(table->key, ',') != NULL;
    g_autofree char *after =
            page->keys[0] != NULL
                    ? g_strdup_printf("WHERE (%s) > (%s)", table->key, two ? "$1, $2" : "$1")
                    : g_strdup("");
    g_autofree char *text = g_strdup_printf("SELECT * FROM %s %s ORDER BY %s LIMIT %d", table->name,
                                            after, table->key, PAGE_ROWS);
    DbStep step;

    page->rows = 0;
    if (!db_start_text(db, text, error))
        return false;
    for (unsigned i = 0; page->keys[0] != NULL && i < (two ? 2u : 1u); i++)
        db_bind_text(db, i + 1, page->keys[i]);
    while ((step = db_step(db, error)) == DB_ROW) {
        if (!page->named && !give(db, table, false, sink, data, error))
            return false;
        page->named = true;
        if (!give(db, table, true, sink, data, error))
            return false;
        keep_keys(db, table, page);
        page->rows++;
    }
    return step == DB_DONE;
}

static bool read_table(Db *db, const Table *table, DumpSink sink, gpointer data, GError **error)
{
    Page page = {.rows = PAGE_ROWS};
    bool read = true;

    while (read && page.rows == PAGE_ROWS)
        read = read_page(db, table, &page, sink, data, error);
    g_free(page.keys[0]);
    g_free(page.keys[1]);
    return read;
}

static bool read_next_id(Db *db, int64_t *ret_next_id, GError **error)
{
    static const char *const TEXTS[] = {
            [DB_SQLITE] = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = "
                          "'transfer_history'",
            [DB_POSTGRES] = "SELECT nextval(pg_get_serial_sequence('transfer_history', 'id'))",
    };

    if (!db_start_text(db, TEXTS[db->kind], error) || db_step(db, error) != DB_ROW)
        return false;
    *ret_next_id = db_number(db, 0);
    return true;
}

bool dump_read(Db *db, DumpSink sink, gpointer data, int64_t *ret_next_id, GError **error)
{
    static const char *const BEGINS[] = {
            [DB_SQLITE] = "BEGIN",
            [DB_POSTGRES] = "BEGIN ISOLATION LEVEL REPEATABLE READ",
    };
    bool read = db_run_text(db, BEGINS[db->kind], error);

    for (size_t i = 0; read && i < G_N_ELEMENTS(TABLES); i++)
        read = read_table(db, &TABLES[i], sink, data, error);
    read = read && read_next_id(db, ret_next_id, error);
    (void)db_run_text(db, "ROLLBACK", NULL); /* nothing was changed */
    return read;
}

/* writing */

bool dump_check_empty(Db *db, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(TABLES); i++) {
        g_autofree char *text = g_strdup_printf("SELECT 1 FROM %s LIMIT 1", TABLES[i].name);
        DbStep step;

        if (!db_start_text(db, text, error))
            return false;
        step = db_step(db, error);
        if (step == DB_ROW)
            g_set_error(error, BASE_ERROR, BASE_ERROR_EXISTS,
                        "%s is not empty: there is something in %s", db->name, TABLES[i].name);
        if (step != DB_DONE)
            return false;
    }
    return true;
}

/* Nobody hears of each row, and what is due is in the dump. */
bool dump_begin_write(Db *db, GError **error)
{
    static const char *const TEXTS[][2] = {
            [DB_SQLITE] = {"CREATE TEMPORARY TABLE put_away AS SELECT sql FROM sqlite_master "
                           "WHERE name = 'audit_due_inserted'",
                           "DROP TRIGGER audit_due_inserted"},
            [DB_POSTGRES] = {"ALTER TABLE transfer_history DISABLE TRIGGER transfer_inserted",
                             "ALTER TABLE transfer_history DISABLE TRIGGER audit_due_inserted"},
    };

    return db_run_text(db, "BEGIN", error) && db_run_text(db, TEXTS[db->kind][0], error) &&
           db_run_text(db, TEXTS[db->kind][1], error);
}

static bool is_name(const char *text)
{
    return text[0] != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(text);
}

bool dump_write(Db *db, const char *table, const char *const *columns, const char *const *values,
                unsigned count, GError **error)
{
    g_autoptr(GString) text = g_string_new(NULL);

    if (find_table(table) == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "there is no table '%s'", table);
        return false;
    }
    g_string_append_printf(text, "INSERT INTO %s (", table);
    for (unsigned i = 0; i < count; i++) {
        if (!is_name(columns[i])) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is no name of a column",
                        columns[i]);
            return false;
        }
        g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", columns[i]);
    }
    g_string_append_printf(text, ") %sVALUES (",
                           db->kind == DB_POSTGRES ? "OVERRIDING SYSTEM VALUE " : "");
    for (unsigned i = 0; i < count; i++)
        g_string_append_printf(text, "%s$%u", i > 0 ? ", " : "", i + 1);
    g_string_append_c(text, ')');
    if (!db_start_text(db, text->str, error))
        return false;
    for (unsigned i = 0; i < count; i++)
        db_bind_text(db, i + 1, values[i]);
    return db_step(db, error) == DB_DONE;
}

static bool set_next_id(Db *db, int64_t next_id, GError **error)
{
    static const char *const TEXTS[] = {
            [DB_SQLITE] =
                    "INSERT INTO sqlite_sequence (name, seq) VALUES ('transfer_history', $1 - 1)",
            [DB_POSTGRES] = "SELECT setval(pg_get_serial_sequence('transfer_history', 'id'), "
                            "CAST($1 AS BIGINT), false)",
    };
    DbStep step;

    if (db->kind == DB_SQLITE &&
        !db_run_text(db, "DELETE FROM sqlite_sequence WHERE name = 'transfer_history'", error))
        return false;
    if (!db_start_text(db, TEXTS[db->kind], error))
        return false;
    db_bind_number(db, 1, next_id);
    do {
        step = db_step(db, error);
    } while (step == DB_ROW);
    return step == DB_DONE;
}

static bool put_back(Db *db, GError **error)
{
    g_autofree char *text = NULL;

    if (db->kind == DB_POSTGRES)
        return db_run_text(db, "ALTER TABLE transfer_history ENABLE TRIGGER transfer_inserted",
                           error) &&
               db_run_text(db, "ALTER TABLE transfer_history ENABLE TRIGGER audit_due_inserted",
                           error);
    if (!db_start_text(db, "SELECT sql FROM put_away", error))
        return false;
    while (db_step(db, error) == DB_ROW) /* to its end: the table is dropped then */
        text = g_strdup(db_text(db, 0));
    return text != NULL && db_run_text(db, text, error) &&
           db_run_text(db, "DROP TABLE put_away", error);
}

bool dump_end_write(Db *db, int64_t next_id, GError **error)
{
    return set_next_id(db, next_id, error) && put_back(db, error) &&
           db_run_text(db, "COMMIT", error);
}
