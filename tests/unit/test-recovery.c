/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a stop left in rows and spool, put right, on both back ends; and that the store is asked about many files
 * together, not one after the other.
 */
#include "base/clock.h"
#include "daemon/recovery.h"
#include "tests/unit/both.h"

#include <glib/gstdio.h>
#include <sys/resource.h>

#define MANY 1000

typedef Both Fixture;

typedef struct {
    Config *config;
    Spool *spool;
} Place;

static char *path_of(Fixture *fixture, const char *name)
{
    return g_build_filename(fixture->folder, "spool/transfers", name, NULL);
}

static void open_place(Fixture *fixture, Place *place)
{
    g_autofree char *path = g_build_filename(fixture->folder, "pesitd.conf", NULL);
    g_autofree char *spool = g_build_filename(fixture->folder, "spool", NULL);
    g_autofree char *inbox = g_build_filename(fixture->folder, "inbox", NULL);
    GError *error = NULL;

    g_assert_true(g_file_set_contents(path, "node = \"N\";", -1, NULL));
    place->config = config_load(path, &error);
    g_assert_no_error(error);
    place->spool = spool_open(spool, inbox, 0, &error);
    g_assert_no_error(error);
}

static void close_place(Place *place)
{
    config_unref(place->config);
    spool_close(place->spool);
}

static void make_file(Fixture *fixture, const char *name)
{
    g_autofree char *path = path_of(fixture, name);

    g_assert_true(
            g_file_set_contents_full(path, "bytes", -1, G_FILE_SET_CONTENTS_NONE, 0644, NULL));
}

static bool has_file(Fixture *fixture, const char *name)
{
    g_autofree char *path = path_of(fixture, name);

    return g_file_test(path, G_FILE_TEST_EXISTS);
}

/* name: of its file, which is made; NULL: none */
static Transfer *make(Fixture *fixture, TransferDirection direction, TransferState state,
                      const char *name)
{
    static unsigned number;
    Transfer *transfer = transfer_new();

    transfer->direction = direction;
    transfer->state = state;
    transfer->partner = g_strdup("BANK1");
    transfer->path = g_strdup_printf("in/%u", ++number);
    transfer->created_us = clock_wall_us();
    transfer->spool_name = g_strdup(name);
    transfer->data_kept = name != NULL;
    if (name != NULL)
        make_file(fixture, name);
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

static TransferState state_of(Fixture *fixture, int64_t id)
{
    g_autoptr(StoreResult) result = store_execute(fixture->store, store_request_get(id));

    g_assert_no_error(result->error);
    return result->transfer->state;
}

static GPtrArray *recover(Fixture *fixture, const Place *place)
{
    GError *error = NULL;
    GPtrArray *sends = recovery_run(place->config, fixture->store, place->spool, &error);

    g_assert_no_error(error);
    return sends;
}

static void test_every_kind(Fixture *fixture, gconstpointer data)
{
    Place place;
    g_autoptr(GPtrArray) sends = NULL;
    g_autofree char *published = NULL;
    Transfer *whole, *given, *received;
    int64_t ids[8];

    (void)data;
    open_place(fixture, &place);
    ids[0] = insert(fixture, make(fixture, DIRECTION_SEND, TRANSFER_WAITING, "11"));
    ids[1] = insert(fixture, make(fixture, DIRECTION_SEND, TRANSFER_DONE, "12"));
    ids[2] = insert(fixture, make(fixture, DIRECTION_RECEIVE, TRANSFER_RUNNING, "13"));
    whole = make(fixture, DIRECTION_FETCH, TRANSFER_RUNNING, NULL);
    whole->end_sent = whole->data_kept = true;
    ids[3] = insert(fixture, whole);
    ids[4] = insert(fixture, make(fixture, DIRECTION_FETCH, TRANSFER_RUNNING, "14"));
    ids[5] = insert(fixture, make(fixture, DIRECTION_OFFER, TRANSFER_QUEUED, "15"));
    given = make(fixture, DIRECTION_SERVE, TRANSFER_DONE, NULL);
    given->offer_id = ids[5];
    (void)insert(fixture, given);
    ids[6] = insert(fixture, make(fixture, DIRECTION_SEND, TRANSFER_RUNNING, "16"));
    received = make(fixture, DIRECTION_RECEIVE, TRANSFER_DONE, "17");
    published = g_build_filename(fixture->folder, "inbox/BANK1", received->path, NULL);
    ids[7] = insert(fixture, received);
    make_file(fixture, "18");
    sends = recover(fixture, &place);
    g_assert_cmpuint(sends->len, ==, 2);
    g_assert_cmpint(((Transfer *)sends->pdata[0])->id, ==, ids[0]);
    g_assert_cmpint(((Transfer *)sends->pdata[1])->id, ==, ids[6]);
    g_assert_cmpint(state_of(fixture, ids[0]), ==, TRANSFER_WAITING);
    g_assert_cmpint(state_of(fixture, ids[2]), ==, TRANSFER_FAILED);
    g_assert_cmpint(state_of(fixture, ids[3]), ==, TRANSFER_DONE);
    g_assert_cmpint(state_of(fixture, ids[4]), ==, TRANSFER_FAILED);
    g_assert_cmpint(state_of(fixture, ids[5]), ==, TRANSFER_DONE);
    g_assert_cmpint(state_of(fixture, ids[7]), ==, TRANSFER_DONE);
    g_assert_true(has_file(fixture, "11") && has_file(fixture, "12") && has_file(fixture, "15") &&
                  has_file(fixture, "16"));
    g_assert_false(has_file(fixture, "13") || has_file(fixture, "14") || has_file(fixture, "17") ||
                   has_file(fixture, "18"));
    g_assert_true(g_file_test(published, G_FILE_TEST_EXISTS));
    close_place(&place);
}

static void insert_many(Fixture *fixture, TransferState state)
{
    g_autoptr(GPtrArray) replies = g_ptr_array_new_with_free_func((GDestroyNotify)reply_unref);

    for (unsigned i = 0; i < MANY; i++) {
        g_autofree char *name = g_strdup_printf("%u%05u", state, i);
        g_autoptr(Transfer) transfer = make(fixture, DIRECTION_SEND, state, name);

        g_ptr_array_add(replies,
                        store_begin(fixture->store, store_request_insert(transfer, NULL, 0)));
    }
    for (unsigned i = 0; i < MANY; i++) {
        gpointer value = NULL;

        (void)reply_wait(g_ptr_array_index(replies, i), INT64_MAX, &value); /* always answered */
        g_assert_no_error(((StoreResult *)value)->error);
        store_result_free(value);
    }
}

/* How often this thread had to wait for another so far. */
static long count_waits(void)
{
    struct rusage usage;

    g_assert_cmpint(getrusage(RUSAGE_THREAD, &usage), ==, 0);
    return usage.ru_nvcsw;
}

static void test_many(Fixture *fixture, gconstpointer data)
{
    Place place;
    g_autoptr(GPtrArray) sends = NULL;
    long waits;

    (void)data;
    open_place(fixture, &place);
    insert_many(fixture, TRANSFER_QUEUED);
    insert_many(fixture, TRANSFER_DONE);
    waits = count_waits();
    sends = recover(fixture, &place);
    g_assert_cmpint(count_waits() - waits, <, MANY / 10);
    g_assert_cmpuint(sends->len, ==, MANY);
    for (unsigned i = 0; i < MANY; i += 7) {
        g_autofree char *queued = g_strdup_printf("%u%05u", TRANSFER_QUEUED, i);
        g_autofree char *done = g_strdup_printf("%u%05u", TRANSFER_DONE, i);

        g_assert_true(has_file(fixture, queued) && has_file(fixture, done));
    }
    close_place(&place);
}

int main(int argc, char **argv)
{
    static const BothTest TESTS[] = {
            {"/every-kind", test_every_kind, false},
            {"/many", test_many, false},
            {NULL, NULL, false},
    };

    return both_run(&argc, &argv, "/recovery", TESTS);
}
