/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Migrations on both back ends: from nothing, from every earlier version, by several at once; what is newer
 * or was applied with another text is refused.
 */
#include "base/error.h"
#include "sql/db.h"
#include "tests/unit/postgres.h"

#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>

#define MIGRATIONS_MAX 64
#define PODS           4

static const char *conninfo;
static char *folder;

/* Another place for each call. */
static DbTarget new_target(gconstpointer data)
{
    static unsigned number;

    number++;
    return (DbTarget){.kind = data != NULL ? DB_POSTGRES : DB_SQLITE,
                      .path = g_strdup_printf("%s/%u.db", folder, number),
                      .conninfo = conninfo,
                      .schema = g_strdup_printf("cluster_%u", number),
                      .owner = "",
                      .migrations = SQL_CLUSTER_MIGRATIONS};
}

static void clear_target(const DbTarget *target)
{
    static const char *const ENDS[] = {"", "-wal", "-shm"};

    for (size_t i = 0; i < G_N_ELEMENTS(ENDS); i++) {
        g_autofree char *path = g_strconcat(target->path, ENDS[i], NULL);

        (void)g_unlink(path);
    }
    g_free((char *)(uintptr_t)target->path);
    g_free((char *)(uintptr_t)target->schema);
}

static unsigned count_of(const SqlMigration *all)
{
    unsigned count = 0;

    while (all[count].name != NULL)
        count++;
    return count;
}

static unsigned count_all(void)
{
    return count_of(SQL_CLUSTER_MIGRATIONS);
}

static void open_with(const DbTarget *target, const SqlMigration *migrations, unsigned expected)
{
    DbTarget changed = *target;
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) db = NULL;

    changed.migrations = migrations;
    db = db_open(&changed, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(db_version(db), ==, expected);
}

static void refuse_with(const DbTarget *target, const SqlMigration *migrations, const char *word)
{
    DbTarget changed = *target;
    g_autoptr(GError) error = NULL;

    changed.migrations = migrations;
    g_assert_null(db_open(&changed, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, word));
}

static void try_every_version(const SqlMigration *all, gconstpointer data)
{
    for (unsigned from = 0; from <= count_of(all); from++) {
        SqlMigration earlier[MIGRATIONS_MAX] = {{NULL, NULL, {NULL, NULL}}};
        DbTarget target = new_target(data);

        memcpy(earlier, all, from * sizeof earlier[0]);
        open_with(&target, earlier, from);
        open_with(&target, all, count_of(all));
        open_with(&target, all, count_of(all));
        if (from < count_of(all))
            refuse_with(&target, earlier, "newer");
        clear_target(&target);
    }
}

static void test_from_every_version(gconstpointer data)
{
    try_every_version(SQL_CLUSTER_MIGRATIONS, data);
}

static void test_fleet_from_every_version(gconstpointer data)
{
    try_every_version(SQL_FLEET_MIGRATIONS, data);
}

static const char INSERT_ROWS[] =
        "WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i < 299) "
        "INSERT INTO transfer_history (direction, state, partner, path, file_type, transfer_id, "
        "size_bytes, wire_bytes, articles, mode, mtime_us, created_us, updated_us, finished_us, "
        "attempts, next_retry_us, diag_type, diag_code, cause, offer_id, hidden, data_kept, "
        "end_sent, "
        "owner) SELECT i % 5, 1 + i % 6, 'P' || i % 3, 'out/' || i, 0, i, i * 10, 0, 0, 0, 0, "
        "1700000000000000 + i * 86400000000, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '' FROM numbers";
/* Sums that are not those of the rows. */
static const char WRONG_SUMS[] =
        "WITH counted AS (SELECT partner, created_us / 86400000000 AS day, direction, state, "
        "count(*) AS transfers, sum(size_bytes) AS bytes FROM transfer_history WHERE state >= 4 "
        "GROUP BY partner, created_us / 86400000000, direction, state), "
        "both_ways AS (SELECT * FROM counted UNION ALL SELECT '', day, direction, state, "
        "sum(transfers), sum(bytes) FROM counted GROUP BY day, direction, state), "
        "wanted AS (SELECT partner, 1 AS days, day, direction, state, transfers, bytes FROM "
        "both_ways UNION ALL SELECT partner, 32, day / 32 * 32, direction, state, sum(transfers), "
        "sum(bytes) FROM both_ways GROUP BY partner, day / 32 * 32, direction, state), "
        "kept AS (SELECT partner, days, day, direction, state, sum(transfers), sum(bytes) FROM "
        "transfer_sums GROUP BY partner, days, day, direction, state HAVING sum(transfers) <> 0) "
        "SELECT 1 FROM (SELECT * FROM (SELECT * FROM wanted EXCEPT SELECT * FROM kept) AS lacking "
        "UNION ALL SELECT * FROM (SELECT * FROM kept EXCEPT SELECT * FROM wanted) AS surplus) AS "
        "wrong";

static Db *open_at(const DbTarget *target, unsigned version)
{
    SqlMigration earlier[MIGRATIONS_MAX] = {{NULL, NULL, {NULL, NULL}}};
    DbTarget changed = *target;
    g_autoptr(GError) error = NULL;
    Db *db;

    memcpy(earlier, SQL_CLUSTER_MIGRATIONS, version * sizeof earlier[0]);
    changed.migrations = earlier;
    db = db_open(&changed, &error);
    g_assert_no_error(error);
    return db;
}

static void run_text(Db *db, const char *text)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(db_run_text(db, text, &error));
    g_assert_no_error(error);
}

static void check_sums(Db *db)
{
    g_autoptr(GError) error = NULL;

    g_assert_true(db_start_text(db, "SELECT count(*) FROM transfer_sums", &error));
    g_assert_cmpint(db_step(db, &error), ==, DB_ROW);
    g_assert_cmpint(db_number(db, 0), >, 100);
    g_assert_true(db_start_text(db, WRONG_SUMS, &error));
    g_assert_cmpint(db_step(db, &error), ==, DB_DONE);
    g_assert_no_error(error);
}

/* A history of three hundred days, and changes of it before and behind the migrations. */
static void test_sums(gconstpointer data)
{
    const unsigned first = 3; /* tables have the names of today, rows an owner */

    for (unsigned from = first; from <= count_all(); from++) {
        DbTarget target = new_target(data);
        Db *db = open_at(&target, from);

        run_text(db, INSERT_ROWS);
        run_text(db, "DELETE FROM transfer_history WHERE id % 11 = 0");
        db_close(db);
        db = open_at(&target, count_all());
        run_text(db, INSERT_ROWS);
        check_sums(db);
        run_text(db, "DELETE FROM transfer_history WHERE id % 7 = 0 OR partner = 'P1'");
        run_text(db, "UPDATE transfer_history SET state = 6 WHERE id % 5 = 0");
        run_text(db, "UPDATE transfer_history SET state = 1 WHERE id % 6 = 0");
        check_sums(db);
        db_close(db);
        clear_target(&target);
    }
}

/* A second one with the same name is refused, any number without one is not. */
static void test_guests(gconstpointer data)
{
    DbTarget target = new_target(data), guest = target;
    g_autoptr(GError) error = NULL;
    g_autoptr(Db) owner = db_open(&target, &error), one = NULL, other = NULL;
    g_autofree char *verifier = NULL;

    g_assert_no_error(error);
    g_assert_nonnull(owner);
    guest.owner = NULL;
    one = db_open(&guest, &error);
    g_assert_no_error(error);
    other = db_open(&guest, &error);
    g_assert_no_error(error);
    g_assert_null(db_open(&target, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_BUSY);
    g_clear_error(&error);
    verifier = db_make_verifier(other, "somebody", "secret", &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_prefix(verifier, "SCRAM-SHA-256$4096:"));
    clear_target(&target);
}

static void test_changed_text(gconstpointer data)
{
    SqlMigration changed[MIGRATIONS_MAX] = {{NULL, NULL, {NULL, NULL}}};
    DbTarget target = new_target(data);

    memcpy(changed, SQL_CLUSTER_MIGRATIONS, count_all() * sizeof changed[0]);
    open_with(&target, SQL_CLUSTER_MIGRATIONS, count_all());
    changed[1].sha256 = "0123";
    refuse_with(&target, changed, "another text");
    clear_target(&target);
}

/* A migration that fails leaves nothing behind. */
static void test_failing(gconstpointer data)
{
    SqlMigration bad[MIGRATIONS_MAX] = {{NULL, NULL, {NULL, NULL}}};
    DbTarget target = new_target(data);
    g_autoptr(GError) error = NULL;
    DbTarget changed = target;
    const char *text = "CREATE TABLE half (a INTEGER); INSERT INTO nowhere VALUES (1)";

    memcpy(bad, SQL_CLUSTER_MIGRATIONS, 2 * sizeof bad[0]);
    bad[2] = (SqlMigration){"0003-bad", "00", {text, text}};
    changed.migrations = bad;
    g_assert_null(db_open(&changed, &error));
    g_assert_nonnull(strstr(error->message, "0003-bad"));
    open_with(&target, SQL_CLUSTER_MIGRATIONS, count_all());
    bad[2] = (SqlMigration){NULL, NULL, {NULL, NULL}};
    refuse_with(&target, bad, "newer");
    clear_target(&target);
}

/* A file of a program that wrote its version and nothing else. */
static void test_adopted(gconstpointer data)
{
    SqlMigration earlier[3] = {SQL_CLUSTER_MIGRATIONS[0], SQL_CLUSTER_MIGRATIONS[1]};
    DbTarget target = new_target(data);
    sqlite3 *handle = NULL;

    open_with(&target, earlier, 2);
    g_assert_cmpint(sqlite3_open(target.path, &handle), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(handle, "DROP TABLE schema_migrations", NULL, NULL, NULL), ==,
                    SQLITE_OK);
    g_assert_cmpint(sqlite3_close(handle), ==, SQLITE_OK);
    open_with(&target, SQL_CLUSTER_MIGRATIONS, count_all());
    g_assert_cmpint(sqlite3_open(target.path, &handle), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(handle, "DROP TABLE schema_migrations; PRAGMA user_version = 999",
                                 NULL, NULL, NULL),
                    ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_close(handle), ==, SQLITE_OK);
    refuse_with(&target, SQL_CLUSTER_MIGRATIONS, "newer");
    clear_target(&target);
}

static gpointer open_as_pod(gpointer data)
{
    GError *error = NULL;
    Db *db = db_open(data, &error);

    g_assert_no_error(error);
    return db;
}

static void test_several_at_once(gconstpointer data)
{
    DbTarget target = new_target(data);
    DbTarget targets[PODS];
    GThread *pods[PODS];

    for (size_t i = 0; i < PODS; i++) {
        targets[i] = target;
        targets[i].owner = (const char *const[]){"a", "b", "c", "d"}[i];
        pods[i] = g_thread_new("pod", open_as_pod, &targets[i]);
    }
    for (size_t i = 0; i < PODS; i++) {
        g_autoptr(Db) db = g_thread_join(pods[i]);

        g_assert_cmpuint(db_version(db), ==, count_all());
    }
    clear_target(&target);
}

/* Whether a step of a plan reads all rows of the history: "SCAN transfer_history" or "SCAN t", in no index of few rows. */
static bool reads_history(const char *step)
{
    static const char *const NAMES[] = {"transfer_history", "t", "service", "offer"};

    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        g_autofree char *whole = g_strdup_printf("SCAN %s", NAMES[i]);
        g_autofree char *longer = g_strdup_printf("%s ", whole);
        const char *found = strstr(step, longer);

        if (strcmp(step, whole) == 0 || (found != NULL && strstr(found, " transfers_open") == NULL))
            return true;
    }
    return false;
}

/* No statement reads the whole history, however long it is. */
static void test_plans(gconstpointer data)
{
    DbTarget target = new_target(data);
    Db *db = open_at(&target, count_all());

    for (unsigned i = 0; i < SQL_MEMBER_LIST; i++) {
        g_autofree char *text = g_strconcat("EXPLAIN QUERY PLAN ", SQL_STATEMENTS[i], NULL);
        g_autoptr(GError) error = NULL;

        if (strstr(text, "transfer_history") == NULL)
            continue;
        g_assert_true(db_start_text(db, text, &error));
        while (db_step(db, &error) == DB_ROW) {
            if (reads_history(db_text(db, 3)))
                g_error("%s: %s", SQL_STATEMENTS[i], db_text(db, 3));
        }
        g_assert_no_error(error);
    }
    db_close(db);
    clear_target(&target);
}

int main(int argc, char **argv)
{
    Postgres *server;
    int failed;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("migrations-XXXXXX", NULL);
    server = postgres_start();
    conninfo = postgres_conninfo(server);
    g_test_add_data_func("/migrations/sqlite/from-every-version", NULL, test_from_every_version);
    g_test_add_data_func("/migrations/sqlite/sums", NULL, test_sums);
    g_test_add_data_func("/migrations/sqlite/plans", NULL, test_plans);
    g_test_add_data_func("/migrations/sqlite/changed-text", NULL, test_changed_text);
    g_test_add_data_func("/migrations/sqlite/failing", NULL, test_failing);
    g_test_add_data_func("/migrations/sqlite/adopted", NULL, test_adopted);
    g_test_add_data_func("/migrations/postgres/from-every-version", conninfo,
                         test_from_every_version);
    g_test_add_data_func("/migrations/postgres/sums", conninfo, test_sums);
    g_test_add_data_func("/migrations/postgres/fleet-from-every-version", conninfo,
                         test_fleet_from_every_version);
    g_test_add_data_func("/migrations/postgres/guests", conninfo, test_guests);
    g_test_add_data_func("/migrations/postgres/changed-text", conninfo, test_changed_text);
    g_test_add_data_func("/migrations/postgres/failing", conninfo, test_failing);
    g_test_add_data_func("/migrations/postgres/several-at-once", conninfo, test_several_at_once);
    failed = g_test_run();
    postgres_stop(server);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    g_free(folder);
    return failed;
}
