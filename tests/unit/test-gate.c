/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counts at the door: places before and after CONNECT, in all, per address and per partner; paths being written;
 * patience with who fails to prove who it is. The gate never looks into a connection: any address will do.
 */
#include "daemon/gate.h"

#include <glib/gstdio.h>

#define CALLERS 64

typedef struct {
    Gate *gate;
    Config *config;
    GateOutgoing outgoing;
    char callers[CALLERS];
} Scene;

static void set_up(Scene *scene, gconstpointer data)
{
    static const char TEXT[] =
            "node = \"A\"; limits: { connections = 3; unauthenticated = 4; "
            "unauthenticated_per_address = 2; };\n"
            "partners = ( { name = \"B\"; identifier = \"BB\"; max_connections = 2; },\n"
            "             { name = \"C\"; identifier = \"CC\"; max_connections = 9; } );";
    g_autofree char *folder = g_dir_make_tmp("gate-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "pesitd.conf", NULL);
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_true(g_file_set_contents(path, TEXT, -1, NULL));
    scene->config = config_load(path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    scene->gate = gate_new();
}

static void tear_down(Scene *scene, gconstpointer data)
{
    (void)data;
    gate_free(scene->gate);
    config_unref(scene->config);
}

static const Connection *caller(const Scene *scene, unsigned i)
{
    return (const Connection *)&scene->callers[i];
}

static bool enter(Scene *scene, unsigned i, const char *address)
{
    if (!gate_enter(scene->gate, scene->config, address))
        return false;
    gate_add(scene->gate, caller(scene, i), address);
    return true;
}

/* Enters in the place of another. */
static void enter_for(Scene *scene, unsigned i, const char *address, unsigned oldest)
{
    g_assert_true(gate_enter(scene->gate, scene->config, address));
    g_assert_true(gate_make_room(scene->gate, scene->config, address) == caller(scene, oldest));
    g_assert_null(gate_make_room(scene->gate, scene->config, address));
    gate_add(scene->gate, caller(scene, i), address);
}

static Verdict admit(Scene *scene, unsigned i, const char *partner)
{
    return gate_admit(scene->gate, scene->config, caller(scene, i), partner, &scene->outgoing);
}

static void leave(Scene *scene, unsigned i)
{
    gate_remove(scene->gate, caller(scene, i));
}

static void test_per_address(Scene *scene, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < 2; i++) {
        g_assert_null(gate_make_room(scene->gate, scene->config, "192.0.2.1"));
        g_assert_true(enter(scene, i, "192.0.2.1"));
    }
    g_assert_null(gate_make_room(scene->gate, scene->config, "192.0.2.2"));
    g_assert_true(enter(scene, 2, "192.0.2.2"));
    enter_for(scene, 3, "192.0.2.1", 0);
    enter_for(scene, 4, "192.0.2.1", 1);
    g_assert_cmpuint(gate_count(scene->gate), ==, 5);
    /* those that had to go are still there, as many as may be: first they leave */
    g_assert_false(enter(scene, 5, "192.0.2.1"));
    leave(scene, 0);
    enter_for(scene, 5, "192.0.2.1", 3);
    /* too late to prove who it is */
    g_assert_cmpint(admit(scene, 1, "B"), ==, VERDICT_STOPPING);
    leave(scene, 1);
    /* who has proved it leaves its place to the next, and is never the oldest */
    g_assert_cmpint(admit(scene, 4, "B"), ==, VERDICT_YES);
    g_assert_null(gate_make_room(scene->gate, scene->config, "192.0.2.1"));
    g_assert_true(enter(scene, 6, "192.0.2.1"));
    enter_for(scene, 7, "192.0.2.1", 5);
}

static void test_before_connect(Scene *scene, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < 4; i++) {
        g_autofree char *address = g_strdup_printf("192.0.2.%u", i);

        g_assert_null(gate_make_room(scene->gate, scene->config, address));
        g_assert_true(enter(scene, i, address));
    }
    for (unsigned i = 0; i < 4; i++) {
        g_autofree char *address = g_strdup_printf("192.0.2.%u", 4 + i);

        enter_for(scene, 4 + i, address, i);
    }
    g_assert_false(enter(scene, 8, "192.0.2.9"));
    leave(scene, 2);
    enter_for(scene, 8, "192.0.2.9", 4);
    g_assert_cmpint(admit(scene, 8, "B"), ==, VERDICT_YES);
    leave(scene, 0);
    g_assert_true(enter(scene, 9, "192.0.2.9"));
    g_assert_cmpuint(gate_count(scene->gate), ==, 8);
}

static void test_per_partner(Scene *scene, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(enter(scene, i, "192.0.2.1"));
        g_assert_cmpint(admit(scene, i, "B"), ==, i < 2 ? VERDICT_YES : VERDICT_BUSY);
    }
    leave(scene, 0);
    g_assert_cmpint(admit(scene, 2, "B"), ==, VERDICT_YES);
    g_assert_true(enter(scene, 3, "192.0.2.2"));
    g_assert_cmpint(admit(scene, 3, "C"), ==, VERDICT_YES); /* it has places of its own */
}

static void test_in_all(Scene *scene, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(enter(scene, i, "192.0.2.1"));
        g_assert_cmpint(admit(scene, i, "C"), ==, VERDICT_YES);
    }
    g_assert_true(enter(scene, 3, "192.0.2.1"));
    g_assert_cmpint(admit(scene, 3, "B"), ==, VERDICT_FULL);
    leave(scene, 1);
    g_assert_cmpint(admit(scene, 3, "B"), ==, VERDICT_YES);
}

/* What we opened takes places too. */
static void test_both_directions(Scene *scene, gconstpointer data)
{
    (void)data;
    g_assert_true(enter(scene, 0, "192.0.2.1"));
    scene->outgoing = (GateOutgoing){.all = 2, .partner = 2};
    g_assert_cmpint(admit(scene, 0, "B"), ==, VERDICT_BUSY);
    scene->outgoing = (GateOutgoing){.all = 3, .partner = 0};
    g_assert_cmpint(admit(scene, 0, "C"), ==, VERDICT_FULL);
    scene->outgoing = (GateOutgoing){.all = 2, .partner = 1};
    g_assert_cmpint(admit(scene, 0, "B"), ==, VERDICT_YES);
    g_assert_cmpuint(gate_count_admitted(scene->gate, "B"), ==, 1);
    g_assert_cmpuint(gate_count_admitted(scene->gate, "C"), ==, 0);
    g_assert_cmpuint(gate_count_admitted(scene->gate, NULL), ==, 1);
}

static void test_unknown(Scene *scene, gconstpointer data)
{
    (void)data;
    g_assert_cmpint(admit(scene, 0, "B"), ==, VERDICT_STOPPING); /* never entered */
    g_assert_true(enter(scene, 0, "192.0.2.1"));
    g_assert_cmpint(admit(scene, 0, "D"), ==, VERDICT_STOPPING); /* not configured any more */
    leave(scene, 0);
    leave(scene, 0);
    g_assert_cmpuint(gate_count(scene->gate), ==, 0);
}

static void test_claims(Scene *scene, gconstpointer data)
{
    Gate *gate = scene->gate;

    (void)data;
    g_assert_cmpint(gate_claim(gate, caller(scene, 0), "B", "in/a"), ==, VERDICT_YES);
    g_assert_cmpint(gate_claim(gate, caller(scene, 1), "B", "in/a"), ==, VERDICT_BUSY);
    g_assert_cmpint(gate_claim(gate, caller(scene, 0), "B", "in/a"), ==, VERDICT_BUSY);
    g_assert_cmpint(gate_claim(gate, caller(scene, 1), "C", "in/a"), ==, VERDICT_YES);
    g_assert_cmpint(gate_claim(gate, caller(scene, 0), "B", "in/b"), ==, VERDICT_YES);
    gate_unclaim(gate, "B", "in/b");
    g_assert_cmpint(gate_claim(gate, caller(scene, 1), "B", "in/b"), ==, VERDICT_YES);
    leave(scene, 0); /* with what it claimed, and only that */
    g_assert_cmpint(gate_claim(gate, caller(scene, 2), "B", "in/a"), ==, VERDICT_YES);
    g_assert_cmpint(gate_claim(gate, caller(scene, 2), "B", "in/b"), ==, VERDICT_BUSY);
    g_assert_cmpint(gate_claim(gate, caller(scene, 2), "C", "in/a"), ==, VERDICT_BUSY);
    gate_unclaim(gate, "D", "in/a");
}

static unsigned fail(Scene *scene, const char *address, const char *identifier, unsigned times)
{
    unsigned wait_ms = 0;

    for (unsigned i = 0; i < times; i++)
        wait_ms = gate_reject(scene->gate, address, identifier);
    return wait_ms;
}

/* Ten are free, then it doubles up to half a minute. */
static void test_patience(Scene *scene, gconstpointer data)
{
    static const unsigned WAITS_MS[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000};

    (void)data;
    g_assert_cmpuint(fail(scene, "192.0.2.1", "X", 10), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(WAITS_MS); i++)
        g_assert_cmpuint(fail(scene, "192.0.2.1", "X", 1), ==, WAITS_MS[i]);
    g_assert_cmpuint(fail(scene, "192.0.2.1", "X", 100), ==, 30000);
    g_assert_cmpuint(fail(scene, "192.0.2.1", "Y", 1), ==, 30000); /* the same address */
    g_assert_cmpuint(fail(scene, "192.0.2.2", "X", 1), ==, 30000); /* the same name */
    g_assert_cmpuint(fail(scene, "192.0.2.3", "Z", 1), ==, 0);
    /* a name that reads like an address is not that address */
    g_assert_cmpuint(fail(scene, "192.0.2.4", "192.0.2.1", 1), ==, 0);
}

static void test_forgiven(Scene *scene, gconstpointer data)
{
    (void)data;
    g_assert_cmpuint(fail(scene, "192.0.2.1", "BB", 11), ==, 500);
    g_assert_cmpuint(fail(scene, "192.0.2.7", "BB", 1), ==, 1000);
    g_assert_true(enter(scene, 0, "192.0.2.1"));
    g_assert_cmpint(admit(scene, 0, "B"), ==, VERDICT_YES);
    g_assert_cmpuint(fail(scene, "192.0.2.1", "BB", 10), ==, 0);
    g_assert_cmpuint(fail(scene, "192.0.2.7", "CC", 9), ==, 0);
    g_assert_cmpuint(fail(scene, "192.0.2.7", "CC", 1), ==, 500); /* it did not prove itself */
}

/* Names without end fill the table, and do not shorten the wait of who makes them. */
static void test_flood(Scene *scene, gconstpointer data)
{
    (void)data;
    g_assert_cmpuint(fail(scene, "192.0.2.1", "X", 20), ==, 30000);
    for (unsigned i = 0; i < 10000; i++) {
        g_autofree char *name = g_strdup_printf("N%u", i);

        g_assert_cmpuint(fail(scene, "192.0.2.1", name, 1), ==, 30000);
    }
    g_assert_cmpuint(fail(scene, "192.0.2.9", "new", 1), ==, 500);
    g_assert_cmpuint(fail(scene, "192.0.2.9", "X", 1), ==, 30000);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*run)(Scene *scene, gconstpointer data);
    } TESTS[] = {
            {"/gate/per-address", test_per_address},
            {"/gate/before-connect", test_before_connect},
            {"/gate/per-partner", test_per_partner},
            {"/gate/in-all", test_in_all},
            {"/gate/both-directions", test_both_directions},
            {"/gate/unknown", test_unknown},
            {"/gate/claims", test_claims},
            {"/gate/patience", test_patience},
            {"/gate/forgiven", test_forgiven},
            {"/gate/flood", test_flood},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add(TESTS[i].path, Scene, NULL, set_up, TESTS[i].run, tear_down);
    return g_test_run();
}
