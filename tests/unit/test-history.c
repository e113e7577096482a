/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history's pages, searches and sums against the same worked out row by row from all rows, on both back ends; and
 * that the sums are right after transactions that failed and after processes that were killed.
 */
#include "base/error.h"
#include "tests/unit/both.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROWS       400
#define QUESTIONS  300
#define KILLS      4
#define DAY_US     (INT64_C(86400) * G_USEC_PER_SEC)
#define START_US   (INT64_C(20000) * DAY_US)
#define STATES     7
#define DIRECTIONS 5

static const char *const PARTNERS[] = {"BANK1", "BANK2", "SUPPLIER"};

typedef Both Fixture;

static unsigned below(Fixture *fixture, unsigned end)
{
    return (unsigned)g_rand_int_range(fixture->random, 0, (gint32)end);
}

/* A transfer of a hundred days; its number says little about when it was created. */
static Transfer *make(Fixture *fixture)
{
    Transfer *transfer = transfer_new();

    transfer->direction = below(fixture, DIRECTIONS);
    transfer->state = below(fixture, STATES);
    transfer->partner = g_strdup(PARTNERS[below(fixture, G_N_ELEMENTS(PARTNERS))]);
    transfer->path = g_strdup_printf("in/file_%u", below(fixture, 100));
    transfer->file_name = g_strdup_printf("NAME%%%u", below(fixture, 100));
    transfer->size_bytes = below(fixture, 100000);
    transfer->created_us = START_US + below(fixture, 1000) * DAY_US / 10;
    return transfer;
}

static void insert(Store *store, Transfer *made)
{
    g_autoptr(Transfer) transfer = made;
    g_autoptr(StoreResult) result = store_execute(store, store_request_insert(transfer, NULL, 0));

    g_assert_no_error(result->error);
}

/* all rows, for comparing */

static gint newest_first(gconstpointer a, gconstpointer b)
{
    const Transfer *x = *(Transfer *const *)a, *y = *(Transfer *const *)b;

    if (x->created_us != y->created_us)
        return x->created_us < y->created_us ? 1 : -1;
    return x->id < y->id ? 1 : -1;
}

static GPtrArray *read_all(Store *store)
{
    GPtrArray *all = g_ptr_array_new_with_free_func((GDestroyNotify)transfer_free);

    for (int64_t id = 1;; id++) {
        g_autoptr(StoreResult) result = store_execute(store, store_request_get(id));

        if (result->transfer == NULL && id > ROWS * 4)
            break;
        if (result->transfer != NULL)
            g_ptr_array_add(all, g_steal_pointer(&result->transfer));
    }
    g_ptr_array_sort(all, newest_first);
    return all;
}

static bool is_wanted(const Transfer *transfer, const StoreSearch *search)
{
    return (search->partner == NULL || strcmp(search->partner, transfer->partner) == 0) &&
           (search->states == 0 || (search->states & 1u << transfer->state) != 0) &&
           (search->directions == 0 || (search->directions & 1u << transfer->direction) != 0) &&
           transfer->created_us >= search->from_us &&
           (search->to_us == 0 || transfer->created_us < search->to_us) &&
           (search->text == NULL || strstr(transfer->path, search->text) != NULL ||
            strstr(transfer->file_name, search->text) != NULL);
}

/* pages */

static void choose_search(Fixture *fixture, StoreSearch *search)
{
    static const char *const TEXTS[] = {"file_1", "NAME%7", "E%", "nowhere", "file%"};

    *search = (StoreSearch){.limit = 1 + below(fixture, 60)};
    if (below(fixture, 2) == 1)
        search->partner = PARTNERS[below(fixture, G_N_ELEMENTS(PARTNERS))];
    if (below(fixture, 2) == 1)
        search->states = 1 + below(fixture, (1u << STATES) - 1);
    if (below(fixture, 2) == 1)
        search->directions = 1 + below(fixture, (1u << DIRECTIONS) - 1);
    if (below(fixture, 2) == 1)
        search->from_us = START_US + below(fixture, 1000) * DAY_US / 10;
    if (below(fixture, 2) == 1)
        search->to_us = START_US + below(fixture, 1000) * DAY_US / 10;
    if (below(fixture, 3) == 1)
        search->text = TEXTS[below(fixture, G_N_ELEMENTS(TEXTS))];
}

/* Every page of a search, to its end. */
static void check_search(Store *store, const GPtrArray *all, StoreSearch *search)
{
    guint at = 0;

    for (;;) {
        g_autoptr(StoreResult) page = store_execute(store, store_request_search(search));

        g_assert_no_error(page->error);
        g_assert_cmpuint(page->transfers->len, <=, search->limit);
        for (guint i = 0; i < page->transfers->len; i++) {
            const Transfer *found = g_ptr_array_index(page->transfers, i);

            while (at < all->len && !is_wanted(g_ptr_array_index(all, at), search))
                at++;
            g_assert_cmpuint(at, <, all->len);
            g_assert_cmpint(found->id, ==, ((Transfer *)g_ptr_array_index(all, at++))->id);
        }
        if (page->number == 0)
            break;
        search->before_id = (int64_t)page->number;
    }
    while (at < all->len && !is_wanted(g_ptr_array_index(all, at), search))
        at++;
    g_assert_cmpuint(at, ==, all->len);
}

static void test_pages(Fixture *fixture, gconstpointer data)
{
    g_autoptr(GPtrArray) all = NULL;

    (void)data;
    for (int i = 0; i < ROWS; i++)
        insert(fixture->store, make(fixture));
    all = read_all(fixture->store);
    g_assert_cmpuint(all->len, ==, ROWS);
    for (int i = 0; i < QUESTIONS; i++) {
        StoreSearch search;

        choose_search(fixture, &search);
        check_search(fixture->store, all, &search);
    }
}

/* sums */

static void check_statistics(Store *store, const GPtrArray *all, const char *partner,
                             int64_t since_us)
{
    StoreSearch search = {.partner = partner, .from_us = since_us};
    uint64_t counts[DIRECTIONS][STATES] = {{0}}, bytes[DIRECTIONS][STATES] = {{0}};
    g_autoptr(StoreResult) sums = store_execute(store, store_request_statistics(partner, since_us));

    g_assert_no_error(sums->error);
    for (guint i = 0; i < all->len; i++) {
        const Transfer *transfer = g_ptr_array_index(all, i);

        if (!is_wanted(transfer, &search))
            continue;
        counts[transfer->direction][transfer->state]++;
        if (transfer_state_is_final(transfer->state))
            bytes[transfer->direction][transfer->state] += transfer->size_bytes;
    }
    for (guint i = 0; i < sums->transfers->len; i++) {
        const Transfer *sum = g_ptr_array_index(sums->transfers, i);

        g_assert_cmpuint(sum->articles, >, 0);
        g_assert_cmpuint(sum->articles, ==, counts[sum->direction][sum->state]);
        g_assert_cmpuint(sum->size_bytes, ==, bytes[sum->direction][sum->state]);
        counts[sum->direction][sum->state] = 0;
    }
    for (unsigned i = 0; i < DIRECTIONS * STATES; i++)
        g_assert_cmpuint(counts[i / STATES][i % STATES], ==, 0);
}

static void check_tally(Store *store, const GPtrArray *all, unsigned states, unsigned directions)
{
    StoreSearch search = {.states = states, .directions = directions};
    g_autoptr(StoreResult) tally = store_execute(store, store_request_tally(states, directions));
    unsigned count = 0;

    for (guint i = 0; i < all->len; i++)
        count += is_wanted(g_ptr_array_index(all, i), &search) ? 1 : 0;
    g_assert_no_error(tally->error);
    g_assert_cmpuint(tally->number, ==, count);
}

static void check_sums(Fixture *fixture)
{
    g_autoptr(GPtrArray) all = read_all(fixture->store);

    check_statistics(fixture->store, all, NULL, 0);
    check_tally(fixture->store, all, 0, 0);
    for (int i = 0; i < 10; i++) {
        int64_t since_us = START_US + below(fixture, 10000) * DAY_US / 100;

        check_statistics(fixture->store, all, NULL, since_us);
        check_statistics(fixture->store, all, PARTNERS[i % 3], i < 3 ? 0 : since_us);
        check_tally(fixture->store, all, 1 + below(fixture, 127), 1 + below(fixture, 31));
    }
}

/* One change, of any kind that there is; some are refused, and one in ten takes its whole group with it. */
static void change(Fixture *fixture, Store *store)
{
    g_autoptr(Transfer) transfer = make(fixture);
    StoreRequest *requests[3];
    GPtrArray *replies;

    transfer->id = 1 + below(fixture, ROWS);
    requests[0] = below(fixture, 3) == 0
                          ? store_request_update(transfer, 1 + below(fixture, 127), NULL, 0)
                          : store_request_insert(transfer, NULL, 0);
    requests[1] = store_request_hide_path(transfer->partner, transfer->path, transfer->id);
    if (below(fixture, 10) == 0)
        transfer->size_bytes = UINT64_MAX; /* less than nothing */
    if (below(fixture, 10) == 0)
        g_clear_pointer(&transfer->path, g_free); /* no path: the database refuses it */
    requests[2] = store_request_update(transfer, 127, NULL, 0);
    replies = g_ptr_array_new_with_free_func((GDestroyNotify)reply_unref);
    for (size_t i = 0; i < G_N_ELEMENTS(requests); i++)
        g_ptr_array_add(replies, store_begin(store, requests[i]));
    for (guint i = 0; i < replies->len; i++) {
        gpointer value = NULL;

        (void)reply_wait(g_ptr_array_index(replies, i), INT64_MAX, &value); /* always answered */
        store_result_free(value);
    }
    g_ptr_array_unref(replies);
}

static void test_sums(Fixture *fixture, gconstpointer data)
{
    GError *error = NULL;
    StoreSettings second = fixture->settings;
    Store *other = NULL;

    second.owner = "two";
    if (data != NULL)
        other = store_open(&second, &error);
    g_assert_no_error(error);
    for (int i = 0; i < ROWS; i++)
        change(fixture, other != NULL && i % 3 == 0 ? other : fixture->store);
    check_sums(fixture);
    store_close(other);
    store_close(fixture->store);
    both_open(fixture);
    check_sums(fixture);
}

/* A process of its own: changes one after the other, until it is killed. */
static void change_for_ever(Fixture *fixture)
{
    both_open(fixture);
    for (unsigned i = 0; i < ROWS; i++)
        change(fixture, fixture->store);
    _exit(EXIT_SUCCESS);
}

static void test_kills(Fixture *fixture, gconstpointer data)
{
    (void)data;
    for (int i = 0; i < KILLS; i++) {
        pid_t child;
        int status;

        store_close(fixture->store);
        fixture->store = NULL;
        g_rand_set_seed(fixture->random, (guint32)i);
        child = fork();
        g_assert_cmpint(child, >=, 0);
        if (child == 0)
            change_for_ever(fixture);
        g_usleep(20000 + below(fixture, 100000)); /* any moment is right */
        g_assert_cmpint(kill(child, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(child, &status, 0), ==, child);
        both_open(fixture);
        check_sums(fixture);
    }
}

int main(int argc, char **argv)
{
    static const BothTest TESTS[] = {
            {"/kills", test_kills, false},
            {"/pages", test_pages, false},
            {"/sums", test_sums, false},
            {NULL, NULL, false},
    };

    return both_run(&argc, &argv, "/history", TESTS);
}
