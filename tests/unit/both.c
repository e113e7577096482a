/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/both.h"

#include "tests/unit/postgres.h"

#include <stdlib.h>

void both_open(Both *fixture)
{
    GError *error = NULL;

    fixture->store = store_open(&fixture->settings, &error);
    g_assert_no_error(error);
}

/* data: how to connect, NULL: an SQLite file. */
static void set_up(Both *fixture, gconstpointer data)
{
    static unsigned number;

    fixture->folder = g_dir_make_tmp("store-XXXXXX", NULL);
    fixture->path = g_build_filename(fixture->folder, "store.db", NULL);
    fixture->schema = g_strdup_printf("cluster_%u", ++number);
    fixture->settings = (StoreSettings){.path = fixture->path,
                                        .conninfo = data,
                                        .schema = fixture->schema,
                                        .owner = "one",
                                        .wait_ms = 10000};
    fixture->random = g_rand_new_with_seed(number);
    both_open(fixture);
}

static void tear_down(Both *fixture, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", fixture->folder);

    (void)data;
    store_close(fixture->store);
    g_assert_cmpint(system(command), ==, 0);
    g_rand_free(fixture->random);
    g_free(fixture->schema);
    g_free(fixture->path);
    g_free(fixture->folder);
}

static void add(const char *prefix, const char *kind, const BothTest *test, gconstpointer data)
{
    g_autofree char *path = g_strconcat(prefix, kind, test->name, NULL);

    g_test_add(path, Both, data, set_up, test->run, tear_down);
}

int both_run(int *argc, char ***argv, const char *prefix, const BothTest *tests)
{
    Postgres *server;
    int failed;

    g_test_init(argc, argv, NULL);
    server = postgres_start();
    for (const BothTest *test = tests; test->name != NULL; test++) {
        add(prefix, "/sqlite", test, NULL);
        if (!test->sqlite_only)
            add(prefix, "/postgres", test, postgres_conninfo(server));
    }
    failed = g_test_run();
    postgres_stop(server);
    return failed;
}
