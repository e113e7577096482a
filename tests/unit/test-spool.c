/* SPDX-License-Identifier: Apache-2.0 */
/* Where files in transit live: what is found, what is removed. */
#include "daemon/transfer/spool.h"

#include "base/error.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    char *folder, *path, *inbox;
    Spool *spool;
} Fixture;

static void open_spool(Fixture *self, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    self->folder = g_dir_make_tmp("test-spool.XXXXXX", &error);
    g_assert_no_error(error);
    self->path = g_build_filename(self->folder, "spool", NULL);
    self->inbox = g_build_filename(self->folder, "inbox", NULL);
    self->spool = spool_open(self->path, self->inbox, 0, &error);
    g_assert_no_error(error);
}

static void close_spool(Fixture *self, gconstpointer data)
{
    g_autofree char *command = g_strdup_printf("rm -r '%s'", self->folder);

    (void)data;
    spool_close(self->spool);
    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL));
    g_free(self->folder);
    g_free(self->path);
    g_free(self->inbox);
}

static void create(Fixture *self, const char *name, const char *bytes)
{
    g_autoptr(GError) error = NULL;
    g_auto(Fd) fd = spool_create(self->spool, name, &error);

    g_assert_no_error(error);
    g_assert_true(file_write_at(fd, bytes, strlen(bytes), 0, NULL));
}

static void assert_data(const Fixture *self, const char *name, const char *expected)
{
    g_autofree char *path = g_build_filename(self->path, "transfers", name, NULL);
    g_autofree char *text = NULL;

    if (expected == NULL) {
        g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
        return;
    }
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, expected);
}

/* Nothing of a removed transfer is left, for the next one or for itself. */
static void test_removed(Fixture *self, gconstpointer data)
{
    g_autofree char *journal = g_build_filename(self->path, "transfers", "1.context", NULL);
    g_autofree char *left = g_build_filename(self->path, "transfers", "2.context", NULL);
    g_autoptr(GPtrArray) names = NULL;

    (void)data;
    create(self, "1", "first");
    g_assert_true(g_file_set_contents(journal, "points", -1, NULL));
    spool_remove(self->spool, "1");
    names = spool_list(self->spool);
    g_assert_cmpuint(names->len, ==, 0);
    create(self, "2", "second");
    assert_data(self, "1", NULL);
    assert_data(self, "2", "second");
    g_assert_false(g_file_test(left, G_FILE_TEST_EXISTS));
}

/* At the start nobody writes: what is staged is removed, and nothing else. */
static void test_next_start(Fixture *self, gconstpointer data)
{
    g_autofree char *staging = g_build_filename(self->path, "staging", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) left = NULL;
    g_auto(Fd) fd = spool_stage(self->spool, 7, &error);

    (void)data;
    g_assert_no_error(error);
    g_assert_cmpint(fd, >=, 0);
    create(self, "2", "second");
    spool_close(self->spool);
    self->spool = spool_open(self->path, self->inbox, 0, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(spool_clear_staging(self->spool), ==, 1);
    assert_data(self, "2", "second");
    left = g_dir_open(staging, 0, NULL);
    g_assert_null(g_dir_read_name(left));
}

static void test_published(Fixture *self, gconstpointer data)
{
    g_autofree char *path = g_build_filename(self->inbox, "BANK1", "in", "file", NULL);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_auto(Fd) folder = -1;
    g_auto(Fd) other = -1;

    (void)data;
    create(self, "1", "bytes");
    g_assert_true(spool_publish(self->spool, "1", "BANK1", "in/file", false, &folder, &error));
    g_assert_true(file_sync_folder(folder, &error));
    spool_remove(self->spool, "1");
    create(self, "2", "more");
    g_assert_false(spool_publish(self->spool, "2", "BANK1", "in/file", false, &other, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_EXISTS);
    assert_data(self, "2", "more");
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, "bytes");
}

#define ADD(name, function)                                                                        \
    g_test_add("/spool/" name, Fixture, NULL, open_spool, function, close_spool)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("removed", test_removed);
    ADD("next-start", test_next_start);
    ADD("published", test_published);
    return g_test_run();
}
