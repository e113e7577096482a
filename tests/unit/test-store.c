/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store through its header, on both back ends: what is written is read back, states are checked, groups commit, what was
 * answered is there after reopening, and files that are not ours are refused.
 */
#include "base/error.h"
#include "tests/unit/both.h"

#include <glib/gstdio.h>
#include <string.h>

typedef Both Fixture;

static Transfer *make(TransferDirection direction, TransferState state, const char *path,
                      const char *file_name)
{
    Transfer *transfer = transfer_new();

    transfer->direction = direction;
    transfer->state = state;
    transfer->partner = g_strdup("BANK1");
    transfer->path = g_strdup(path);
    transfer->file_name = g_strdup(file_name);
    return transfer;
}

static int64_t insert(Store *store, Transfer *made)
{
    g_autoptr(Transfer) transfer = made;
    g_autoptr(StoreResult) result = store_execute(store, store_request_insert(transfer, NULL, 0));

    g_assert_no_error(result->error);
    g_assert_cmpint(result->transfer->id, >, 0);
    return result->transfer->id;
}

static int64_t find(Store *store, const char *path)
{
    g_autoptr(StoreResult) result = store_execute(store, store_request_find_path("BANK1", path));

    return result->transfer != NULL ? result->transfer->id : 0;
}

static void test_every_field(Fixture *fixture, gconstpointer data)
{
    g_autoptr(StoreResult) result = NULL;
    Transfer *made = make(DIRECTION_SEND, TRANSFER_WAITING, "out/a", "A");
    int64_t id;

    (void)data;
    made->file_type = 65535;
    made->transfer_id = 0xFFFFFF;
    made->peer = g_strdup("PEER");
    made->actor = g_strdup("user:anne");
    made->origin = g_strdup("192.0.2.7");
    made->size_bytes = made->wire_bytes = made->articles = INT64_MAX;
    made->diag_type = 2;
    made->diag_code = 226;
    made->error = g_strdup("no \"way\"; --");
    made->end_sent = made->data_kept = true;
    id = insert(fixture->store, made);
    result = store_execute(fixture->store, store_request_get(id));
    g_assert_no_error(result->error);
    g_assert_cmpint(result->transfer->state, ==, TRANSFER_WAITING);
    g_assert_cmpuint(result->transfer->file_type, ==, 65535);
    g_assert_cmpuint(result->transfer->transfer_id, ==, 0xFFFFFF);
    g_assert_cmpstr(result->transfer->peer, ==, "PEER");
    g_assert_cmpstr(result->transfer->actor, ==, "user:anne");
    g_assert_cmpstr(result->transfer->origin, ==, "192.0.2.7");
    g_assert_null(result->transfer->client);
    g_assert_cmpuint(result->transfer->articles, ==, INT64_MAX);
    g_assert_cmpuint(result->transfer->diag_code, ==, 226);
    g_assert_cmpstr(result->transfer->error, ==, "no \"way\"; --");
    g_assert_true(result->transfer->end_sent);
    g_assert_false(result->transfer->hidden);
    g_assert_cmpint(result->transfer->updated_us, >, 0);
}

static void test_conflict(Fixture *fixture, gconstpointer data)
{
    g_autoptr(Transfer) transfer = make(DIRECTION_SEND, TRANSFER_DONE, "out/a", "A");
    g_autoptr(StoreResult) refused = NULL;
    g_autoptr(StoreResult) taken = NULL;
    g_autoptr(StoreResult) after = NULL;

    (void)data;
    transfer->id = insert(fixture->store, make(DIRECTION_SEND, TRANSFER_QUEUED, "out/a", "A"));
    refused = store_execute(fixture->store,
                            store_request_update(transfer, 1u << TRANSFER_RUNNING, NULL, 0));
    g_assert_error(refused->error, BASE_ERROR, BASE_ERROR_CONFLICT);
    after = store_execute(fixture->store, store_request_get(transfer->id));
    g_assert_cmpint(after->transfer->state, ==, TRANSFER_QUEUED);
    taken = store_execute(fixture->store,
                          store_request_update(transfer,
                                               1u << TRANSFER_RUNNING | 1u << TRANSFER_QUEUED, NULL,
                                               0));
    g_assert_no_error(taken->error);
}

static void test_what_stands_in_the_mount(Fixture *fixture, gconstpointer data)
{
    g_autoptr(StoreResult) list = NULL;
    g_autoptr(StoreResult) rest = NULL;
    int64_t newest;

    (void)data;
    insert(fixture->store, make(DIRECTION_SEND, TRANSFER_FAILED, "out/a", "A"));
    newest = insert(fixture->store, make(DIRECTION_SEND, TRANSFER_QUEUED, "out/a", "A"));
    insert(fixture->store, make(DIRECTION_SEND, TRANSFER_CANCELLED, "out/a", "A"));
    insert(fixture->store, make(DIRECTION_SEND, TRANSFER_DONE, "out/b", "B"));
    insert(fixture->store, make(DIRECTION_SEND, TRANSFER_DONE, "out/deep/c", "C"));
    insert(fixture->store, make(DIRECTION_SEND, TRANSFER_DONE, "outside", "D"));
    insert(fixture->store, make(DIRECTION_RECEIVE, TRANSFER_RUNNING, "out/partial", "P"));
    g_assert_cmpint(find(fixture->store, "out/a"), ==, newest);
    g_assert_cmpint(find(fixture->store, "out/partial"), ==, 0);
    list = store_execute(fixture->store, store_request_list_folder("BANK1", "out", 0xFF, NULL, 10));
    g_assert_no_error(list->error);
    g_assert_cmpuint(list->transfers->len, ==, 2);
    g_assert_cmpint(((Transfer *)list->transfers->pdata[0])->id, ==, newest);
    rest = store_execute(fixture->store,
                         store_request_list_folder("BANK1", "out", 0xFF, "out/a", 10));
    g_assert_cmpuint(rest->transfers->len, ==, 1);
    g_assert_cmpstr(((Transfer *)rest->transfers->pdata[0])->path, ==, "out/b");
}

static int64_t offer(Store *store, const char *name)
{
    g_autoptr(StoreResult) result =
            store_execute(store, store_request_find_offer("BANK1", 0, name, 0));

    return result->transfer != NULL ? result->transfer->id : 0;
}

static void test_offers(Fixture *fixture, gconstpointer data)
{
    Transfer *first = make(DIRECTION_OFFER, TRANSFER_QUEUED, "dispo/1", "RELEVE_1");
    Transfer *second = make(DIRECTION_OFFER, TRANSFER_QUEUED, "dispo/2", "RELEVE.2");
    Transfer *served = make(DIRECTION_OFFER, TRANSFER_DONE, "dispo/0", "RELEVE0");
    int64_t first_id, second_id, served_id;

    (void)data;
    first->data_kept = second->data_kept = served->data_kept = true;
    served_id = insert(fixture->store, served);
    first_id = insert(fixture->store, first);
    second_id = insert(fixture->store, second);
    g_assert_cmpint(offer(fixture->store, "RELEVE.2"), ==, second_id);
    g_assert_cmpint(offer(fixture->store, "RELEVE0"), ==, served_id);
    g_assert_cmpint(offer(fixture->store, "RELEVE*"), ==, first_id);
    g_assert_cmpint(offer(fixture->store, "RELEVE.?"), ==, second_id);
    g_assert_cmpint(offer(fixture->store, "releve*"), ==, 0);
    g_assert_cmpint(offer(fixture->store, "RELEVE__"), ==, 0);
}

static void serve(Store *store, int64_t offer_id, TransferState state)
{
    Transfer *service = make(DIRECTION_SERVE, state, "dispo/1", "RELEVE");

    service->offer_id = offer_id;
    insert(store, service);
}

/* From the moment somebody reads an offer, a generic name means the next one; a service that failed gives it back. */
static void test_served_offers(Fixture *fixture, gconstpointer data)
{
    int64_t ids[3];

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(ids); i++) {
        g_autofree char *name = g_strdup_printf("RELEVE%zu", i);
        Transfer *made = make(DIRECTION_OFFER, TRANSFER_QUEUED, name, name);

        made->data_kept = true;
        ids[i] = insert(fixture->store, made);
    }
    serve(fixture->store, ids[0], TRANSFER_FAILED);
    serve(fixture->store, ids[0], TRANSFER_CANCELLED);
    g_assert_cmpint(offer(fixture->store, "RELEVE?"), ==, ids[0]);
    serve(fixture->store, ids[0], TRANSFER_DONE);
    g_assert_cmpint(offer(fixture->store, "RELEVE?"), ==, ids[1]);
    serve(fixture->store, ids[1], TRANSFER_RUNNING);
    g_assert_cmpint(offer(fixture->store, "RELEVE?"), ==, ids[2]);
    g_assert_cmpint(offer(fixture->store, "RELEVE0"), ==,
                    ids[0]); /* by its name: as often as it is asked for */
}

static void test_repeats(Fixture *fixture, gconstpointer data)
{
    Transfer *made = make(DIRECTION_RECEIVE, TRANSFER_DONE, "in/x", "X");
    g_autoptr(StoreResult) found = NULL;
    g_autoptr(StoreResult) other = NULL;

    (void)data;
    made->peer = g_strdup("BANK1");
    made->transfer_id = 7;
    insert(fixture->store, made);
    found = store_execute(fixture->store,
                          store_request_find_received("BANK1", "BANK1", 0, "X", 7, NULL, NULL));
    g_assert_no_error(found->error);
    other = store_execute(fixture->store,
                          store_request_find_received("BANK1", "BANK1", 0, "X", 7, "C", NULL));
    g_assert_error(other->error, BASE_ERROR, BASE_ERROR_NOT_FOUND);
}

static gpointer count_many(gpointer data)
{
    for (int i = 0; i < 500; i++) {
        g_autoptr(StoreResult) result = store_execute(data, store_request_count("name/BANK1"));

        g_assert_no_error(result->error);
    }
    return NULL;
}

static void test_threads(Fixture *fixture, gconstpointer data)
{
    GThread *threads[4];
    g_autoptr(StoreResult) last = NULL;

    (void)data;
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("count", count_many, fixture->store);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_thread_join(threads[i]);
    last = store_execute(fixture->store, store_request_count("name/BANK1"));
    g_assert_cmpuint(last->number, ==, 2001);
}

static void test_reopen(Fixture *fixture, gconstpointer data)
{
    int64_t id = insert(fixture->store, make(DIRECTION_SEND, TRANSFER_QUEUED, "out/a", "A"));
    g_autoptr(StoreResult) unfinished = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_null(store_open(&fixture->settings, &error)); /* it is ours alone */
    g_assert_error(error, BASE_ERROR, BASE_ERROR_BUSY);
    g_clear_error(&error);
    store_close(fixture->store);
    fixture->store = store_open(&fixture->settings, &error);
    g_assert_no_error(error);
    unfinished = store_execute(fixture->store, store_request_unfinished());
    g_assert_cmpuint(unfinished->transfers->len, ==, 1);
    g_assert_cmpint(((Transfer *)unfinished->transfers->pdata[0])->id, ==, id);
}

static void test_not_a_database(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = g_build_filename(fixture->folder, "garbage", NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_true(g_file_set_contents(
            path, "this is certainly no database, however long one looks at it", -1, NULL));
    g_assert_null(store_open(&(StoreSettings){.path = path}, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, "garbage"));
    g_assert_cmpint(g_unlink(path), ==, 0);
}

static void on_result(StoreResult *result, gpointer data)
{
    g_assert_no_error(result->error);
    g_assert_cmpuint(result->number, ==, 1);
    store_result_free(result);
    g_main_loop_quit(data);
}

static void test_main_loop(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);

    (void)data;
    store_submit(fixture->store, store_request_count("once"), on_result, loop);
    g_main_loop_run(loop);
}

static void test_secrets(Fixture *fixture, gconstpointer data)
{
    g_autoptr(StoreResult) set = store_execute(
            fixture->store, store_request_set_secret("BANK1", "password_received", "verifier:x"));
    g_autoptr(StoreResult) got =
            store_execute(fixture->store, store_request_get_secret("BANK1", "password_received"));
    g_autoptr(StoreResult) removed = store_execute(
            fixture->store, store_request_set_secret("BANK1", "password_received", NULL));
    g_autoptr(StoreResult) gone =
            store_execute(fixture->store, store_request_get_secret("BANK1", "password_received"));

    (void)data;
    g_assert_no_error(set->error);
    g_assert_cmpstr(got->transfer->error, ==, "verifier:x");
    g_assert_no_error(removed->error);
    g_assert_null(gone->transfer);
}

/* What the database does not take fails alone, not with its group. */
static void test_one_bad_apple(Fixture *fixture, gconstpointer data)
{
    g_autoptr(Transfer) bad = make(DIRECTION_SEND, TRANSFER_QUEUED, "out/bad", "A");
    Reply *replies[9];
    unsigned failed = 0;

    if (data == NULL) { /* SQLite takes any bytes as text */
        g_assert_cmpint(insert(fixture->store, transfer_copy(bad)), >, 0);
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(replies); i++) {
        bad->path[4] = (char)(i == 4 ? '\xFF' : 'a' + (char)i);
        replies[i] = store_begin(fixture->store, store_request_insert(bad, NULL, 0));
    }
    for (size_t i = 0; i < G_N_ELEMENTS(replies); i++) {
        g_autoptr(Reply) reply = replies[i];
        gpointer value = NULL;
        g_autoptr(StoreResult) result = NULL;

        g_assert_true(reply_wait(reply, INT64_MAX, &value));
        result = value;
        if (result->error != NULL) {
            g_assert_cmpuint(i, ==, 4);
            g_assert_error(result->error, BASE_ERROR, BASE_ERROR_INVALID);
            failed++;
        }
    }
    g_assert_cmpuint(failed, ==, 1);
}

static uint64_t define(Store *store, const Definition *definition, int64_t version, int expected)
{
    g_autoptr(StoreResult) result = store_execute(store, store_request_define(definition, version));

    if (expected < 0)
        g_assert_no_error(result->error);
    else
        g_assert_error(result->error, BASE_ERROR, expected);
    return result->number;
}

static void test_definitions(Fixture *fixture, gconstpointer data)
{
    g_autoptr(Definition) partner = definition_new("BANK2", NULL, "identifier = \"B2\";");
    g_autoptr(Definition) file = definition_new("BANK2", "in/*", "mode = \"receive\";");
    g_autoptr(StoreResult) all = NULL;
    g_autoptr(StoreResult) removed = NULL;
    g_autoptr(StoreResult) again = NULL;
    const Definition *read;

    (void)data;
    g_assert_cmpuint(define(fixture->store, partner, 0, -1), ==, 1);
    (void)define(fixture->store, partner, 0, BASE_ERROR_EXISTS);
    g_assert_cmpuint(define(fixture->store, file, 0, -1), ==, 1);
    g_assert_cmpuint(define(fixture->store, partner, 1, -1), ==, 2);
    (void)define(fixture->store, partner, 1, BASE_ERROR_CONFLICT);
    all = store_execute(fixture->store, store_request_definitions());
    g_assert_no_error(all->error);
    g_assert_cmpuint(all->definitions->len, ==, 2);
    read = g_ptr_array_index(all->definitions, 0);
    g_assert_cmpstr(read->partner, ==, "BANK2");
    g_assert_null(read->pattern);
    g_assert_cmpint(read->version, ==, 2);
    g_assert_cmpint(read->updated_us, >=, read->created_us);
    read = g_ptr_array_index(all->definitions, 1);
    g_assert_cmpstr(read->pattern, ==, "in/*");
    g_assert_cmpstr(read->settings, ==, "mode = \"receive\";");
    removed = store_execute(fixture->store, store_request_undefine("BANK2", "in/*", 1));
    g_assert_no_error(removed->error);
    again = store_execute(fixture->store, store_request_undefine("BANK2", "in/*", 1));
    g_assert_error(again->error, BASE_ERROR, BASE_ERROR_CONFLICT);
}

typedef struct {
    GMainLoop *loop;
    char *table, *row;
} Heard;

static void on_change(StoreNews news, const char *table, const char *row, gpointer data)
{
    Heard *heard = data;

    g_assert_cmpint(news, ==, STORE_CHANGED);
    heard->table = g_strdup(table);
    heard->row = g_strdup(row);
    g_main_loop_quit(heard->loop);
}

static gboolean on_late(gpointer data)
{
    g_error("no change was heard in a second");
    g_main_loop_quit(data);
    return G_SOURCE_REMOVE;
}

/* Another daemon on the schema hears in under a second; what it owns is its own. */
static void test_second_daemon(Fixture *fixture, gconstpointer data)
{
    StoreSettings settings = fixture->settings;
    g_autoptr(GError) error = NULL;
    g_autoptr(Store) other = NULL;
    g_autoptr(StoreResult) unfinished = NULL;
    Heard heard = {g_main_loop_new(NULL, FALSE), NULL, NULL};
    g_autofree char *text = NULL;
    int64_t id;
    guint late;

    settings.owner = "second";
    if (data == NULL) { /* a file has one daemon */
        g_assert_null(store_open(&settings, &error));
        g_main_loop_unref(heard.loop);
        return;
    }
    other = store_open(&settings, &error);
    g_assert_no_error(error);
    store_watch(other, on_change, &heard);
    id = insert(fixture->store, make(DIRECTION_SEND, TRANSFER_QUEUED, "out/a", "A"));
    late = g_timeout_add(1000, on_late, heard.loop);
    g_main_loop_run(heard.loop);
    g_source_remove(late);
    g_assert_cmpstr(heard.table, ==, "transfer_history");
    text = g_strdup_printf("%" G_GINT64_FORMAT, id);
    g_assert_cmpstr(heard.row, ==, text);
    g_assert_cmpint(find(other, "out/a"), ==, id);
    unfinished = store_execute(other, store_request_unfinished());
    g_assert_cmpuint(unfinished->transfers->len, ==, 0);
    g_free(heard.table);
    g_free(heard.row);
    g_main_loop_unref(heard.loop);
}

static void append(Store *store, int64_t seq, int64_t time_us)
{
    char none[] = "";
    AuditEntry entry = {seq, time_us, 0, none, none, none, none, none, none, none};
    g_autoptr(StoreResult) stored = store_execute(store, store_request_audit_append(&entry));

    g_assert_no_error(stored->error);
}

/* 0: none. */
static int64_t last_old(Store *store, int64_t before_us, uint32_t limit)
{
    g_autoptr(StoreResult) old = store_execute(store, store_request_audit_old(before_us, limit));

    g_assert_no_error(old->error);
    return old->audits->len == 1 ? ((AuditEntry *)old->audits->pdata[0])->seq : 0;
}

static uint64_t remove_through(Store *store, int64_t seq, uint32_t limit)
{
    g_autoptr(StoreResult) removed = store_execute(store, store_request_audit_remove(seq, limit));

    g_assert_no_error(removed->error);
    return removed->number;
}

static void test_old_audit(Fixture *fixture, gconstpointer data)
{
    static const int64_t TIMES[] = {10, 20, 30, 90, 40, 100}; /* 40 was written late */
    Store *store = fixture->store;

    (void)data;
    g_assert_cmpint(last_old(store, INT64_MAX, 10), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(TIMES); i++)
        append(store, (int64_t)i + 1, TIMES[i]);
    g_assert_cmpint(last_old(store, 10, 10), ==, 0);
    g_assert_cmpint(last_old(store, 21, 10), ==, 2);
    g_assert_cmpint(last_old(store, 50, 10), ==, 3); /* what is younger keeps those after it */
    g_assert_cmpint(last_old(store, 50, 2), ==, 2);
    g_assert_cmpint(last_old(store, INT64_MAX, 10), ==, 6);
    g_assert_cmpuint(remove_through(store, 3, 2), ==, 2);
    g_assert_cmpuint(remove_through(store, 3, 2), ==, 1);
    g_assert_cmpuint(remove_through(store, 3, 2), ==, 0);
    g_assert_cmpint(last_old(store, 95, 10), ==, 5);
    append(store, 7, 110);
}

int main(int argc, char **argv)
{
    static const BothTest TESTS[] = {
            {"/not-a-database", test_not_a_database, true},
            {"/every-field", test_every_field, false},
            {"/conflict", test_conflict, false},
            {"/what-stands-in-the-mount", test_what_stands_in_the_mount, false},
            {"/offers", test_offers, false},
            {"/offers-served", test_served_offers, false},
            {"/repeats", test_repeats, false},
            {"/threads", test_threads, false},
            {"/reopen", test_reopen, false},
            {"/main-loop", test_main_loop, false},
            {"/secrets", test_secrets, false},
            {"/one-bad-apple", test_one_bad_apple, false},
            {"/definitions", test_definitions, false},
            {"/second-daemon", test_second_daemon, false},
            {"/old-audit", test_old_audit, false},
            {NULL, NULL, false},
    };

    return both_run(&argc, &argv, "/store", TESTS);
}
