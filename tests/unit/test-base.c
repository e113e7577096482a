/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leaf helpers: errors and their names, log lines, time as text, files that are replaced whole or not at
 * all, secrets and their text forms.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/spelling.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* error */

static void test_error_names(void)
{
    for (unsigned code = 0; code < BASE_ERROR_COUNT; code++) {
        BaseError back = BASE_ERROR_COUNT;

        g_assert_true(base_error_from_name(base_error_name((BaseError)code), &back));
        g_assert_cmpuint(back, ==, code);
    }
    g_assert_cmpstr(base_error_name(BASE_ERROR_COUNT), ==, "io");
    g_assert_false(base_error_from_name("nothing", NULL));
    g_assert_false(base_error_from_name(NULL, NULL));
}

static void test_error_errno(void)
{
    static const struct {
        int number;
        BaseError code;
    } CASES[] = {{ENOENT, BASE_ERROR_NOT_FOUND}, {EEXIST, BASE_ERROR_EXISTS},
                 {EDQUOT, BASE_ERROR_NO_SPACE},  {ELOOP, BASE_ERROR_REFUSED},
                 {EIO, BASE_ERROR_IO},           {ETIMEDOUT, BASE_ERROR_TIMEOUT}};

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strconcat("open 'a': ", g_strerror(CASES[i].number), NULL);

        error_set_errno(&error, CASES[i].number, "open '%s'", "a");
        g_assert_error(error, BASE_ERROR, (int)CASES[i].code);
        g_assert_cmpstr(error->message, ==, text);
    }
}

/* clock */

static void test_clock(void)
{
    g_autofree char *epoch = clock_format_iso(0);
    g_autofree char *later = clock_format_iso(INT64_C(1795608000123456));
    g_autofree char *leap = clock_format_iso(INT64_C(1709251199000001));
    g_autofree char *last = clock_format_iso(INT64_MAX), *before = clock_format_iso(-1);
    int64_t first = clock_now_us();

    g_assert_cmpstr(leap, ==, "2024-02-29T23:59:59.000001Z");
    g_assert_cmpstr(last, ==, "9999-12-31T23:59:59.999999Z");
    g_assert_cmpstr(before, ==, epoch);
    g_assert_cmpstr(epoch, ==, "1970-01-01T00:00:00.000000Z");
    g_assert_cmpstr(later, ==, "2026-11-25T12:00:00.123456Z");
    g_assert_cmpint(clock_now_us(), >=, first);
    g_assert_cmpint(ABS(clock_wall_us() / USEC_PER_SEC - clock_wall_s()), <=, 1);
}

/* log */

static char *log_of(LogLevel level, LogFormat format)
{
    g_autofree char *path = g_strdup("/tmp/test-base-log-XXXXXX");
    g_auto(Fd) fd = g_mkstemp(path);
    g_auto(Fd) kept = dup(STDERR_FILENO);
    char *text = NULL;

    log_configure(level, format);
    g_assert_cmpint(dup2(fd, STDERR_FILENO), >=, 0);
    log_event(LOG_CONNECTION_CLOSED, "PARTNER", "A B", "REASON", "say \"no\"\n\x1b[1m", "GONE",
              NULL, "ADDRESS", "192.0.2.7", NULL);
    g_assert_cmpint(dup2(kept, STDERR_FILENO), >=, 0);
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpint(g_unlink(path), ==, 0);
    log_configure(LOG_LEVEL_NOTICE, LOG_FORMAT_TEXT);
    return text;
}

static void test_log(void)
{
    g_autofree char *quiet = log_of(LOG_LEVEL_NOTICE, LOG_FORMAT_TEXT);
    g_autofree char *text = log_of(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    g_autofree char *json = log_of(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    LogLevel level;

    g_assert_cmpstr(quiet, ==, "");
    g_assert_cmpstr(
            strstr(text, " info"), ==,
            " info connection closed: PARTNER=\"A B\" REASON=\"say \\\"no\\\"\\u000a\\u001b[1m\""
            " ADDRESS=192.0.2.7\n");
    g_assert_true(g_str_has_prefix(json, "{\"time\":\""));
    g_assert_nonnull(strstr(json, "\"event\":\"connection-closed\""));
    g_assert_true(g_str_has_suffix(json, ",\"ADDRESS\":\"192.0.2.7\"}\n"));
    g_assert_cmpuint(strcspn(json, "\n"), ==, strlen(json) - 1);
    g_assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
    g_assert_false(log_level_parse("Debug", &level));
}

/* file */

typedef struct {
    char *path;
    Fd fd;
} Folder;

static void folder_set_up(Folder *self, gconstpointer data)
{
    (void)data;
    self->path = g_dir_make_tmp("test-base-XXXXXX", NULL);
    self->fd = file_open_folder(self->path, false, 0, NULL);
    g_assert_cmpint(self->fd, >=, 0);
}

static void folder_tear_down(Folder *self, gconstpointer data)
{
    char *arguments[] = {(char[]){"rm"}, (char[]){"-rf"}, self->path, NULL};

    (void)data;
    fd_clear(&self->fd);
    g_assert_true(g_spawn_sync(NULL, arguments, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                               NULL, NULL));
    g_free(self->path);
}

static void test_beneath(Folder *self, gconstpointer data)
{
    static const char *const BAD[] = {"../x", "/etc/passwd", "a/../../x", "link", "link/passwd"};
    g_autoptr(GError) error = NULL;
    g_auto(Fd) fd = -1;

    (void)data;
    g_assert_true(file_make_folders(self->fd, "a/./b//c", 0700, NULL));
    g_assert_cmpint(symlinkat("/etc", self->fd, "link"), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_test_message("%s", BAD[i]);
        g_assert_cmpint(file_open_beneath(self->fd, BAD[i], O_RDONLY, 0, &error), <, 0);
        g_assert_error(error, BASE_ERROR, BASE_ERROR_REFUSED);
        g_clear_error(&error);
    }
    g_assert_false(file_make_folders(self->fd, "a/../../x", 0700, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_REFUSED);
    g_clear_error(&error);
    g_assert_cmpint(symlinkat("a/b", self->fd, "inner"), ==, 0);
    g_assert_false(file_make_folders(self->fd, "inner/new/x", 0700, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_REFUSED);
    g_assert_cmpint(faccessat(self->fd, "a/b/new", F_OK, 0), !=, 0);
    fd = file_open_beneath(self->fd, "a/b/c/f", O_CREAT | O_RDWR, 0600, NULL);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(fcntl(fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
}

static void test_rename(Folder *self, gconstpointer data)
{
    g_autoptr(GError) error = NULL;

    (void)data;
    g_assert_true(file_replace(self->fd, "a", "one", 3, 0600, NULL));
    g_assert_true(file_replace(self->fd, "b", "two", 3, 0600, NULL));
    g_assert_false(file_rename_synced(self->fd, "a", self->fd, "b", false, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_EXISTS);
    g_clear_error(&error);
    g_assert_true(file_rename_synced(self->fd, "a", self->fd, "b", true, NULL));
    g_assert_null(file_read_all(self->fd, "a", 10, NULL, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND);
    g_clear_error(&error);
    g_assert_null(file_read_all(self->fd, "b", 2, NULL, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
}

#define VERSION_BYTES 200000

/* Replaces one file with ever new versions until it is killed. */
static void G_GNUC_NORETURN replace_for_ever(int dir_fd)
{
    g_autofree char *bytes = g_malloc(VERSION_BYTES);

    for (unsigned i = 0;; i++) {
        memset(bytes, 'a' + (int)(i % 26), VERSION_BYTES);
        if (!file_replace(dir_fd, "state", bytes, VERSION_BYTES, 0600, NULL))
            _exit(1);
    }
}

/* Killed at any moment, the file is one whole version; what was left over does not disturb the next. */
static void test_replace_killed(Folder *self, gconstpointer data)
{
    (void)data;
    g_assert_true(file_replace(self->fd, "state", "first", 5, 0600, NULL));
    for (int round = 0; round < 20; round++) {
        g_autofree char *text = NULL;
        size_t length = 0;
        int status;
        pid_t child = fork();

        if (child == 0)
            replace_for_ever(self->fd);
        g_usleep((gulong)(1000 + round * 700)); /* the moment of the kill is what varies */
        g_assert_cmpint(kill(child, SIGKILL), ==, 0);
        g_assert_cmpint(waitpid(child, &status, 0), ==, child);
        g_assert_true(WIFSIGNALED(status));
        text = file_read_all(self->fd, "state", VERSION_BYTES, &length, NULL);
        g_assert_nonnull(text);
        if (length == 5)
            continue; /* killed before the first was whole */
        g_assert_cmpuint(length, ==, VERSION_BYTES);
        g_assert_cmpuint(strspn(text, (char[]){text[0], '\0'}), ==, VERSION_BYTES);
    }
}

static void test_vectors(Folder *self, gconstpointer data)
{
    enum { MANY = 3000 };
    g_auto(Fd) fd = file_open_beneath(self->fd, "v", O_CREAT | O_RDWR, 0600, NULL);
    g_autofree struct iovec *vectors = g_new0(struct iovec, MANY);
    g_autofree char *bytes = g_malloc0(MANY);
    size_t got = 0;

    (void)data;
    for (size_t i = 0; i < MANY; i++) {
        bytes[i] = (char)(i % 251);
        vectors[i] = (struct iovec){bytes + i, i % 7 == 3 ? 0 : 1};
    }
    g_assert_true(file_writev_at(fd, vectors, MANY, 10, NULL));
    for (size_t i = 0; i < MANY; i++)
        vectors[i] = (struct iovec){bytes + i, 1};
    g_assert_true(file_readv_at(fd, vectors, MANY, 10, &got, NULL));
    g_assert_cmpuint(got, ==, MANY - (MANY + 3) / 7);
    g_assert_cmpint(bytes[3], ==, 4); /* the empty one was skipped */
}

/* spelling */

static void test_spelling(void)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } CASES[] = {{"", "", 0},          {"", "send", 4},      {"send", "", 4},
                 {"send", "send", 0},  {"sned", "send", 2},  {"sen", "send", 1},
                 {"sendd", "send", 1}, {"fetch", "send", 4}, {"fetch", "fitch", 1}};

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++)
        g_assert_cmpuint(spelling_distance(CASES[i].a, CASES[i].b), ==, CASES[i].distance);
    g_assert_cmpuint(spelling_distance("a", "0123456789012345678901234567890123456789"), ==, 32);
}

/* secret */

static void test_secret(Folder *self, gconstpointer data)
{
    g_autofree char *path = g_build_filename(self->path, "key", NULL);
    g_autofree char *other_path = g_build_filename(self->path, "other", NULL);
    g_autoptr(SealKey) key = NULL;
    g_autoptr(SealKey) other = NULL;
    g_autoptr(GError) error = NULL;
    static const char *const VALUES[] = {"secret", "", "with blanks  ", "sealed:no"};
    struct stat about;

    (void)data;
    g_assert_true(seal_key_create(path, NULL) && seal_key_create(other_path, NULL));
    g_assert_false(seal_key_create(path, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_EXISTS);
    g_clear_error(&error);
    g_assert_cmpint(stat(path, &about), ==, 0);
    g_assert_cmpuint(about.st_mode & 0777, ==, 0600);
    key = seal_key_load(path, NULL);
    other = seal_key_load(other_path, NULL);
    g_assert_true(key != NULL && other != NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(VALUES); i++) {
        g_autoptr(Secret) secret = secret_new(VALUES[i], strlen(VALUES[i]));
        g_autofree char *sealed = secret_seal(secret, key, NULL);
        g_autofree char *verifier = secret_make_verifier(secret, NULL);
        g_autoptr(Secret) opened = secret_parse(sealed, key, NULL);
        g_autoptr(Secret) checked = secret_parse(verifier, NULL, NULL);
        size_t length = 1;

        g_test_message("'%s'", VALUES[i]);
        g_assert_true(opened != NULL && checked != NULL);
        g_assert_cmpmem(secret_get(opened, &length), length, VALUES[i], strlen(VALUES[i]));
        g_assert_null(secret_get(checked, &length));
        g_assert_true(secret_is_verifier(checked) && !secret_is_verifier(opened));
        g_assert_true(secret_equals(checked, VALUES[i], strlen(VALUES[i]), false));
        g_assert_false(secret_equals(checked, "another", 7, false));
        g_assert_null(secret_parse(sealed, other, &error));
        g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
        g_clear_error(&error);
        g_assert_null(secret_parse(sealed, NULL, &error));
        g_clear_error(&error);
        sealed[strlen(sealed) - 6] = (char)(sealed[strlen(sealed) - 6] == 'A' ? 'B' : 'A');
        g_assert_null(secret_parse(sealed, key, NULL)); /* touched */
    }
}

static void test_secret_equals(void)
{
    g_autoptr(Secret) secret = secret_new("mot  ", 5);

    g_assert_true(secret_equals(secret, "mot", 3, true));
    g_assert_true(secret_equals(secret, "mot        ", 11, true));
    g_assert_false(secret_equals(secret, "mot", 3, false));
    g_assert_false(secret_equals(secret, "mots", 4, true));
    g_assert_false(secret_equals(NULL, "", 0, true));
}

static void test_secret_wrong(void)
{
    static const char *const WRONG[] = {"verifier:", "verifier:AAAA",
                                        "sealed:", "file:/nowhere/at/all"};

    for (size_t i = 0; i < G_N_ELEMENTS(WRONG); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", WRONG[i]);
        g_assert_null(secret_parse(WRONG[i], NULL, &error));
        g_assert_nonnull(error);
    }
}

#define ADD(path, test) g_test_add(path, Folder, NULL, folder_set_up, test, folder_tear_down)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/error/names", test_error_names);
    g_test_add_func("/error/errno", test_error_errno);
    g_test_add_func("/clock/text", test_clock);
    g_test_add_func("/log/lines", test_log);
    ADD("/file/beneath", test_beneath);
    ADD("/file/rename", test_rename);
    ADD("/file/replace-killed", test_replace_killed);
    ADD("/file/vectors", test_vectors);
    ADD("/secret/forms", test_secret);
    g_test_add_func("/spelling/distance", test_spelling);
    g_test_add_func("/secret/equals", test_secret_equals);
    g_test_add_func("/secret/wrong", test_secret_wrong);
    return g_test_run();
}
