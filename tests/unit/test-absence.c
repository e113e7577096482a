/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known not to be there, against a real store: never a name that is there, or on its way there; and known soon for
 * those that are not.
 */
#include "base/clock.h"
#include "daemon/local/absence.h"

#include <glib/gstdio.h>
#include <stdlib.h>

#define MANY    2500 /* some pages */
#define WAIT_US (60 * USEC_PER_SEC)

typedef struct {
    char *folder;
    Store *store;
    Absence *absence;
    unsigned stored;
} Fixture;

static void set_up(Fixture *fixture, gconstpointer data)
{
    g_autofree char *path = NULL;
    GError *error = NULL;

    (void)data;
    fixture->folder = g_dir_make_tmp("absence-XXXXXX", NULL);
    path = g_build_filename(fixture->folder, "store.db", NULL);
    fixture->store = store_open(&(StoreSettings){.path = path, .wait_ms = 10000}, &error);
    g_assert_no_error(error);
    g_assert_true(store_is_private(fixture->store));
    fixture->absence = absence_new(fixture->store);
}

static void tear_down(Fixture *fixture, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->folder);

    (void)data;
    store_close(fixture->store);
    absence_free(fixture->absence);
    g_assert_cmpint(system(command), ==, 0);
    g_free(fixture->folder);
}

static void on_stored(StoreResult *result, gpointer data)
{
    g_assert_no_error(result->error);
    store_result_free(result);
    (*(unsigned *)data)++;
}

/* Asks the store for a row, and does not wait for it. */
static void begin_insert(Fixture *fixture, const char *partner, const char *path)
{
    g_autoptr(Transfer) transfer = transfer_new();

    transfer->direction = DIRECTION_SEND;
    transfer->state = TRANSFER_DONE;
    transfer->partner = g_strdup(partner);
    transfer->path = g_strdup(path);
    transfer->created_us = clock_wall_us();
    store_submit(fixture->store, store_request_insert(transfer, NULL, 0), on_stored,
                 &fixture->stored);
}

static void insert(Fixture *fixture, const char *partner, const char *path)
{
    unsigned before = fixture->stored;

    begin_insert(fixture, partner, path);
    while (fixture->stored == before)
        g_main_context_iteration(NULL, TRUE);
}

static bool is_sure(const Fixture *fixture, const char *path)
{
    return absence_is_sure(fixture->absence, "BANK1", path);
}

/* Asks until the answer is known without the store. */
static void become_sure(const Fixture *fixture, const char *path)
{
    gint64 until_us = clock_now_us() + WAIT_US;

    while (!is_sure(fixture, path)) {
        g_assert_cmpint(clock_now_us(), <, until_us);
        g_main_context_iteration(NULL, FALSE);
    }
}

static void test_known(Fixture *fixture, gconstpointer data)
{
    (void)data;
    insert(fixture, "BANK1", "out/there");
    insert(fixture, "BANK1", "out/deeper/there");
    insert(fixture, "BANK1", "top");
    insert(fixture, "BANK2", "out/other");
    g_assert_false(is_sure(fixture, "out/nowhere")); /* not known at once */
    become_sure(fixture, "out/nowhere");
    g_assert_false(is_sure(fixture, "out/there"));
    g_assert_true(is_sure(fixture, "out/other")); /* another partner's */
    become_sure(fixture, "nowhere");
    g_assert_false(is_sure(fixture, "top"));
    become_sure(fixture, "out/deeper/nowhere");
    g_assert_false(is_sure(fixture, "out/deeper/there"));
}

/* A row that the store has been asked for before the names are gathered is among them, whenever that is. */
static void test_on_its_way(Fixture *fixture, gconstpointer data)
{
    (void)data;
    for (int i = 0; i < 200; i++) {
        g_autofree char *path = g_strdup_printf("out/%d", i);

        absence_forget(fixture->absence);
        for (int asked = 0; asked < 8; asked++)
            g_assert_false(is_sure(fixture, "out/nowhere"));
        absence_end(fixture->absence, "BANK1", path);
        begin_insert(fixture, "BANK1", path);
        become_sure(fixture, "out/nowhere"); /* the first question of it gathers */
        g_assert_false(is_sure(fixture, path));
    }
}

/* What comes while they are gathered, page after page. */
static void test_meanwhile(Fixture *fixture, gconstpointer data)
{
    (void)data;
    for (int i = 0; i < MANY; i++) {
        g_autofree char *path = g_strdup_printf("out/%05d", i);

        begin_insert(fixture, "BANK1", path);
    }
    while (fixture->stored < MANY)
        g_main_context_iteration(NULL, TRUE);
    for (int asked = 0; asked < 9; asked++)
        g_assert_false(is_sure(fixture, "out/nowhere"));
    absence_end(fixture->absence, "BANK1", "out/00000a"); /* behind the page that is on its way */
    begin_insert(fixture, "BANK1", "out/00000a");
    become_sure(fixture, "out/nowhere");
    g_assert_false(is_sure(fixture, "out/00000a"));
    for (int i = 0; i < MANY; i++) {
        g_autofree char *path = g_strdup_printf("out/%05d", i);

        g_assert_false(is_sure(fixture, path));
    }
    while (fixture->stored < MANY + 1)
        g_main_context_iteration(NULL, TRUE);
}

/* Forgotten while a page is on its way, which is nobody's then. */
static void test_forgotten(Fixture *fixture, gconstpointer data)
{
    (void)data;
    insert(fixture, "BANK1", "out/there");
    for (int asked = 0; asked < 9; asked++)
        g_assert_false(is_sure(fixture, "out/nowhere"));
    absence_forget(fixture->absence);
    become_sure(fixture, "in/nowhere");
    become_sure(fixture, "out/nowhere");
    g_assert_false(is_sure(fixture, "out/there"));
    absence_end(fixture->absence, "BANK1", "out/nowhere");
    g_assert_false(is_sure(fixture, "out/nowhere"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add("/absence/known", Fixture, NULL, set_up, test_known, tear_down);
    g_test_add("/absence/on-its-way", Fixture, NULL, set_up, test_on_its_way, tear_down);
    g_test_add("/absence/meanwhile", Fixture, NULL, set_up, test_meanwhile, tear_down);
    g_test_add("/absence/forgotten", Fixture, NULL, set_up, test_forgotten, tear_down);
    return g_test_run();
}
