/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of the history that are old or too many go, on both back ends: never one that is needed, in steps between which
 * others are answered, and into room that is used again.
 */
#include "base/clock.h"
#include "daemon/retention.h"
#include "tests/unit/postgres.h"

#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_US (INT64_C(86400) * USEC_PER_SEC)
#define MANY   900
#define LIMIT  300

static const char *conninfo;

typedef struct {
    char *folder, *path, *schema;
    Store *store;
    Spool *spool;
    GMainLoop *loop;
    unsigned answered; /* questions of somebody else meanwhile */
    uint64_t wanted;   /* as many rows, and it is over */
    uint64_t told;     /* rows that are gone */
    gint64 deadline_us;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    static unsigned number;
    g_autofree char *spool = NULL, *inbox = NULL;
    GError *error = NULL;

    fixture->folder = g_dir_make_tmp("retention-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->folder, "store.db", NULL);
    fixture->schema = g_strdup_printf("retention_%u", ++number);
    spool = g_build_filename(fixture->folder, "spool", NULL);
    inbox = g_build_filename(fixture->folder, "inbox", NULL);
    fixture->store = store_open(&(StoreSettings){.path = fixture->path,
                                                 .conninfo = data,
                                                 .schema = fixture->schema,
                                                 .wait_ms = 10000},
                                &error);
    g_assert_no_error(error);
    fixture->spool = spool_open(spool, inbox, 0, &error);
    g_assert_no_error(error);
    fixture->loop = g_main_loop_new(NULL, FALSE);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->folder);

    (void)data;
    store_close(fixture->store);
    spool_close(fixture->spool);
    g_main_loop_unref(fixture->loop);
    g_assert_cmpint(system(command), ==, 0);
    g_free(fixture->schema);
    g_free(fixture->path);
    g_free(fixture->folder);
}

static Config *make_config(Fixture *fixture, const char *retention)
{
    g_autofree char *path = g_build_filename(fixture->folder, "pesitd.conf", NULL);
    g_autofree char *text = g_strdup_printf("node = \"N\"; retention: { %s };", retention);
    GError *error = NULL;
    Config *config;

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    config = config_load(path, &error);
    g_assert_no_error(error);
    return config;
}

/* A row that ended so many days ago. */
static Transfer *make(TransferDirection direction, TransferState state, unsigned days)
{
    static unsigned number;
    Transfer *transfer = transfer_new();

    transfer->direction = direction;
    transfer->state = state;
    transfer->partner = g_strdup("BANK1");
    transfer->path = g_strdup_printf("in/%u", ++number);
    transfer->created_us = clock_wall_us() - days * DAY_US;
    transfer->finished_us = transfer_state_is_final(state) ? transfer->created_us : 0;
    return transfer;
}

static int64_t insert(Fixture *fixture, Transfer *made)
{
    g_autoptr(Transfer) transfer = made;
    g_autoptr(StoreResult) result =
            store_execute(fixture->store, store_request_insert(transfer, NULL, 0));

    g_assert_no_error(result->error);
    return result->transfer->id;
}

static bool is_there(Fixture *fixture, int64_t id)
{
    g_autoptr(StoreResult) result = store_execute(fixture->store, store_request_get(id));

    return result->transfer != NULL;
}

/* Others ask all the time; what they ask tells when it is over. */
static void on_counted(StoreResult *result, gpointer data)
{
    Fixture *fixture = data;
    uint64_t count = result->number;

    g_assert_no_error(result->error);
    g_assert_cmpint(g_get_monotonic_time(), <, fixture->deadline_us);
    g_assert_cmpuint(count, >=, fixture->wanted);
    store_result_free(result);
    fixture->answered++;
    if (count == fixture->wanted)
        g_main_loop_quit(fixture->loop);
    else
        store_submit(fixture->store, store_request_tally(0, 0), on_counted, fixture);
}

static gboolean on_rest(gpointer data)
{
    g_main_loop_quit(data);
    return G_SOURCE_REMOVE;
}

/* The audit trail gets what is due. */
static void write_trail(Fixture *fixture)
{
    g_autoptr(StoreResult) last = store_execute(fixture->store, store_request_audit_last());
    g_autoptr(StoreResult) due = store_execute(fixture->store, store_request_audit_due(2 * MANY));
    char none[] = "";
    AuditEntry entry = {0, 0, 0, none, none, none, none, none, none, none};

    if (last->audits->len > 0)
        entry.seq = ((AuditEntry *)last->audits->pdata[0])->seq;
    for (guint i = 0; i < due->transfers->len; i++) {
        g_autoptr(StoreResult) stored = NULL;

        entry.seq++;
        entry.transfer_id = ((Transfer *)due->transfers->pdata[i])->id;
        stored = store_execute(fixture->store, store_request_audit_append(&entry));
        g_assert_no_error(stored->error);
    }
}

static void on_told(const GPtrArray *transfers, gpointer data)
{
    Fixture *fixture = data;

    for (guint i = 0; i < transfers->len; i++)
        g_assert_cmpstr(((const Transfer *)g_ptr_array_index(transfers, i))->partner, ==, "BANK1");
    fixture->told += transfers->len;
}

/* Until so many rows are left, and a little longer: no more may go. */
static void retain(Fixture *fixture, const char *text, uint64_t wanted)
{
    Config *config = make_config(fixture, text);
    Retention *retention = retention_new(fixture->store, fixture->spool, config);
    g_autoptr(StoreResult) before = store_execute(fixture->store, store_request_tally(0, 0));
    g_autoptr(StoreResult) after = NULL;

    retention_set_observer(retention, on_told, fixture);
    fixture->told = 0;
    fixture->answered = 0;
    fixture->wanted = wanted;
    fixture->deadline_us = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    store_submit(fixture->store, store_request_tally(0, 0), on_counted, fixture);
    g_main_loop_run(fixture->loop);
    g_timeout_add(200, on_rest, fixture->loop);
    g_main_loop_run(fixture->loop);
    after = store_execute(fixture->store, store_request_tally(0, 0));
    g_assert_cmpuint(after->number, ==, wanted);
    g_assert_cmpuint(fixture->told, ==, before->number - wanted);
    retention_free(retention);
    config_unref(config);
}

static void test_needed(Fixture *fixture, gconstpointer data)
{
    int64_t gone[6], kept[8];
    Transfer *made = make(DIRECTION_SEND, TRANSFER_DONE, 20);
    g_autofree char *folder = g_build_filename(fixture->folder, "inbox", "BANK1", "in", NULL);
    g_autofree char *file = NULL;

    (void)data;
    gone[0] = insert(fixture, made);
    gone[1] = insert(fixture, make(DIRECTION_FETCH, TRANSFER_FAILED, 20));
    gone[2] = insert(fixture, make(DIRECTION_RECEIVE, TRANSFER_CANCELLED, 20));
    gone[3] = insert(fixture, make(DIRECTION_RECEIVE, TRANSFER_DONE, 20)); /* not in the inbox */
    made = make(DIRECTION_SEND, TRANSFER_DONE, 20);
    made->data_kept = true;
    kept[0] = insert(fixture, made);
    kept[1] = insert(fixture, make(DIRECTION_SEND, TRANSFER_QUEUED, 20));
    kept[2] = insert(fixture, make(DIRECTION_RECEIVE, TRANSFER_DONE, 12)); /* may be repeated */
    kept[3] = insert(fixture, make(DIRECTION_SEND, TRANSFER_DONE, 2));
    made = make(DIRECTION_RECEIVE, TRANSFER_DONE, 20); /* still in the inbox */
    file = g_build_filename(fixture->folder, "inbox", "BANK1", made->path, NULL);
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, "x", 1, NULL));
    kept[4] = insert(fixture, made);
    made = make(DIRECTION_OFFER, TRANSFER_QUEUED, 20);
    made->data_kept = true;
    kept[5] = insert(fixture, made);
    made = make(DIRECTION_SERVE, TRANSFER_DONE, 20); /* tells that the offer was given out */
    made->offer_id = kept[5];
    kept[6] = insert(fixture, made);
    gone[4] = insert(fixture, make(DIRECTION_OFFER, TRANSFER_DONE, 20));
    made = make(DIRECTION_SERVE, TRANSFER_DONE, 20);
    made->offer_id = gone[4];
    gone[5] = insert(fixture, made);
    kept[7] = insert(fixture, make(DIRECTION_RECEIVE, TRANSFER_DONE, 2));
    /* nothing goes before its end is in the audit trail */
    retain(fixture, "rows_s = 864000; rows = 1; repeat_s = 1296000;",
           G_N_ELEMENTS(gone) + G_N_ELEMENTS(kept));
    write_trail(fixture);
    retain(fixture, "rows_s = 864000; repeat_s = 1296000;", G_N_ELEMENTS(kept));
    for (size_t i = 0; i < G_N_ELEMENTS(gone); i++)
        g_assert_false(is_there(fixture, gone[i]));
    for (size_t i = 0; i < G_N_ELEMENTS(kept); i++)
        g_assert_true(is_there(fixture, kept[i]));
    /* too many, however young: all but the needed ones */
    retain(fixture, "rows = 1; repeat_s = 1296000;", G_N_ELEMENTS(kept) - 1);
    g_assert_false(is_there(fixture, kept[3]));
}

static int64_t fill(Fixture *fixture)
{
    int64_t last = 0;

    for (int i = 0; i < MANY; i++)
        last = insert(fixture, make(DIRECTION_SEND, TRANSFER_DONE, 3));
    return last;
}

static goffset size_of(const char *path)
{
    GStatBuf seen;

    return g_stat(path, &seen) == 0 ? seen.st_size : 0;
}

static void test_count(Fixture *fixture, gconstpointer data)
{
    int64_t last = fill(fixture);
    g_autoptr(StoreResult) sums = NULL;
    goffset size;

    write_trail(fixture);
    retain(fixture, "rows = 300;", LIMIT);
    g_assert_cmpuint(fixture->answered, >, MANY / 200); /* more often than there were steps */
    g_assert_true(is_there(fixture, last));
    g_assert_true(is_there(fixture, last - LIMIT + 1));
    g_assert_false(is_there(fixture, last - LIMIT));
    sums = store_execute(fixture->store, store_request_statistics("BANK1", 0));
    g_assert_cmpuint(sums->transfers->len, ==, 1);
    g_assert_cmpuint(((Transfer *)sums->transfers->pdata[0])->articles, ==, LIMIT);
    if (data != NULL) /* its server makes room used again by itself */
        return;
    size = size_of(fixture->path);
    fill(fixture);
    write_trail(fixture);
    retain(fixture, "rows = 300;", LIMIT);
    g_assert_cmpint(size_of(fixture->path), <, size + size / 2);
}

int main(int argc, char **argv)
{
    Postgres *server;
    int failed;

    g_test_init(&argc, &argv, NULL);
    server = postgres_start();
    conninfo = postgres_conninfo(server);
    g_test_add("/retention/sqlite/needed", Fixture, NULL, set_up, test_needed, tear_down);
    g_test_add("/retention/sqlite/count", Fixture, NULL, set_up, test_count, tear_down);
    g_test_add("/retention/postgres/needed", Fixture, conninfo, set_up, test_needed, tear_down);
    g_test_add("/retention/postgres/count", Fixture, conninfo, set_up, test_count, tear_down);
    failed = g_test_run();
    postgres_stop(server);
    return failed;
}
