/* SPDX-License-Identifier: Apache-2.0 */
/* Failures that are counted, forgotten and evicted: an hour of them in a moment. */
#include "admin/lockout.h"

#include <stdbool.h>

#define MOST      100
#define FORGIVE   G_TIME_SPAN_MINUTE
#define LOCK      (30 * G_TIME_SPAN_SECOND)
#define LONGEST   (16 * G_TIME_SPAN_MINUTE)
#define MADE_UP   10000
#define BEGINNING 1000000

typedef struct {
    Lockout *lockout;
    int64_t now_us;
} Scene;

static void set_up(Scene *scene, gconstpointer data)
{
    (void)data;
    scene->lockout = lockout_new(MOST, FORGIVE);
    scene->now_us = BEGINNING;
}

static void tear_down(Scene *scene, gconstpointer data)
{
    (void)data;
    lockout_free(scene->lockout);
}

static int64_t fail(Scene *scene, const char *key, unsigned times)
{
    int64_t left_us = 0;

    for (unsigned i = 0; i < times; i++)
        (void)lockout_fail(scene->lockout, key, scene->now_us, &left_us);
    return left_us;
}

static bool is_locked(const Scene *scene, const char *key)
{
    return lockout_left_us(scene->lockout, key, scene->now_us) > 0;
}

static void test_tenth(Scene *scene, gconstpointer data)
{
    int64_t left_us = 0;

    (void)data;
    g_assert_cmpint(fail(scene, "a", LOCKOUT_ALLOWED - 1), ==, 0);
    g_assert_false(is_locked(scene, "a"));
    g_assert_cmpint(fail(scene, "a", 1), ==, LOCK);
    g_assert_cmpint(lockout_left_us(scene->lockout, "a", scene->now_us), ==, LOCK);
    g_assert_false(is_locked(scene, "b"));
    scene->now_us += LOCK;
    g_assert_false(is_locked(scene, "a"));
    g_assert_cmpint(fail(scene, "a", 1), ==, 2 * LOCK);
    g_assert_false(lockout_fail(scene->lockout, "a", scene->now_us, &left_us));
    g_assert_cmpint(left_us, ==, 2 * LOCK); /* what comes while it is locked makes it no longer */
}

static void test_longest(Scene *scene, gconstpointer data)
{
    int64_t left_us;

    (void)data;
    lockout_free(scene->lockout);
    scene->lockout = lockout_new(MOST, G_TIME_SPAN_DAY); /* faster than it is forgiven */
    for (int64_t wanted_us = LOCK; wanted_us < 100 * LONGEST; wanted_us *= 2) {
        left_us = fail(scene, "a", wanted_us == LOCK ? LOCKOUT_ALLOWED : 1);
        g_assert_cmpint(left_us, ==, MIN(wanted_us, LONGEST));
        scene->now_us += left_us;
    }
}

static void test_good_login(Scene *scene, gconstpointer data)
{
    (void)data;
    (void)fail(scene, "a", LOCKOUT_ALLOWED - 1);
    (void)fail(scene, "b", LOCKOUT_ALLOWED - 1);
    lockout_forgive(scene->lockout, "a");
    lockout_forgive(scene->lockout, "nobody");
    g_assert_cmpint(fail(scene, "a", LOCKOUT_ALLOWED - 1), ==, 0);
    g_assert_cmpint(fail(scene, "b", 1), ==, LOCK); /* another's login helps nobody */
}

static void test_forgotten_one_by_one(Scene *scene, gconstpointer data)
{
    (void)data;
    (void)fail(scene, "a", LOCKOUT_ALLOWED - 1);
    scene->now_us += 2 * FORGIVE + FORGIVE / 2;
    g_assert_cmpint(fail(scene, "a", 2), ==, 0);
    scene->now_us += FORGIVE / 2; /* the half before counts */
    g_assert_cmpint(fail(scene, "a", 1), ==, 0);
    g_assert_cmpint(fail(scene, "a", 1), ==, LOCK);
    scene->now_us += 60 * FORGIVE;
    g_assert_cmpint(fail(scene, "a", LOCKOUT_ALLOWED - 1), ==, 0);
}

static void test_made_up_names(Scene *scene, gconstpointer data)
{
    (void)data;
    (void)fail(scene, "locked", LOCKOUT_ALLOWED);
    (void)fail(scene, "near", LOCKOUT_ALLOWED - 1);
    for (unsigned i = 0; i < MADE_UP; i++) {
        g_autofree char *name = g_strdup_printf("made up %u", i);

        (void)fail(scene, name, 1 + i % 3);
        g_assert_true(is_locked(scene, "locked"));
    }
    g_assert_cmpint(fail(scene, "near", 1), ==, LOCK);
}

/* The one with the fewest failures goes, not the one that came first. */
static void test_least_guilty_goes(Scene *scene, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < MOST; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        (void)fail(scene, name, i == 7 ? 1 : 2);
    }
    (void)fail(scene, "fresh", LOCKOUT_ALLOWED - 1);
    g_assert_cmpint(fail(scene, "0", LOCKOUT_ALLOWED - 2), ==, LOCK);
    g_assert_cmpint(fail(scene, "fresh", 1), ==, LOCK);
    g_assert_cmpint(fail(scene, "7", LOCKOUT_ALLOWED - 1), ==, 0); /* it began anew */
}

static void test_all_locked(Scene *scene, gconstpointer data)
{
    (void)data;
    for (unsigned i = 0; i < MOST; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        (void)fail(scene, name, LOCKOUT_ALLOWED);
    }
    for (unsigned i = 0; i < LOCKOUT_ALLOWED; i++) {
        g_autofree char *name = g_strdup_printf("stranger %u", i);

        g_assert_false(is_locked(scene, name));
        (void)fail(scene, name, 1);
    }
    g_assert_true(is_locked(scene, "stranger 0") && is_locked(scene, "another"));
    g_assert_true(is_locked(scene, "0"));
    lockout_forgive(scene->lockout, "0"); /* a place is free again */
    g_assert_cmpint(fail(scene, "another", LOCKOUT_ALLOWED - 1), ==, 0);
}

static void test_places(void)
{
    static const char *const ROWS[][2] = {
            {"192.0.2.1", "192.0.2.1"},
            {"::ffff:192.0.2.1", "192.0.2.1"},
            {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
            {"2001:db8:1:2::", "2001:db8:1:2::/64"},
            {"::1", "::/64"},
            {"local", "local"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        g_autofree char *place = lockout_dup_place(ROWS[i][0]);

        g_assert_cmpstr(place, ==, ROWS[i][1]);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*run)(Scene *scene, gconstpointer data);
    } TESTS[] = {
            {"/lockout/tenth", test_tenth},
            {"/lockout/longest", test_longest},
            {"/lockout/good-login", test_good_login},
            {"/lockout/forgotten-one-by-one", test_forgotten_one_by_one},
            {"/lockout/made-up-names", test_made_up_names},
            {"/lockout/least-guilty-goes", test_least_guilty_goes},
            {"/lockout/all-locked", test_all_locked},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add(TESTS[i].path, Scene, NULL, set_up, TESTS[i].run, tear_down);
    g_test_add_func("/lockout/places", test_places);
    return g_test_run();
}
