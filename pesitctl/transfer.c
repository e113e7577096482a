/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that move a file or wait for one: send, fetch, wait. Bytes go from descriptor to descriptor. */
#include "pesitctl/transfer.h"

#include "base/error.h"
#include "base/file.h"
#include "pesitctl/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CALL_MS    10000
#define POLL_MS    500
#define COPY_BYTES (1 << 20)
#define MODE       0640 /* of a fetched file */

/* waiting */

/* Until the transfer is final or the time is over, with a line of progress on a terminal. */
static int wait_for(Options *options, int64_t id, GError **error)
{
    int64_t until_us = g_get_monotonic_time() + options->wait_s * G_USEC_PER_SEC;

    for (;;) {
        int64_t left_ms = (until_us - g_get_monotonic_time()) / 1000;
        g_autoptr(ClientTransfer) transfer =
                client_wait(options->client, id, (unsigned)CLAMP(left_ms, 1, POLL_MS), error);

        if (transfer == NULL) {
            print_progress(NULL);
            return EXIT_LOCAL;
        }
        if (exit_code_of(transfer) != EXIT_PENDING || left_ms <= POLL_MS) {
            print_progress(NULL);
            print_transfer(stdout, transfer, options->json);
            return (int)exit_code_of(transfer);
        }
        if (!options->json)
            print_progress(transfer);
        if (transfer->next_retry_us != 0 && strcmp(transfer->state, "running") != 0)
            g_usleep(POLL_MS * 1000); /* the answer came at once: it is far off */
    }
}

int run_wait(const Verb *verb, Options *options, char **arguments, GError **error)
{
    int64_t id;

    (void)verb;
    return transfer_parse_id(arguments[0], &id, error) ? wait_for(options, id, error) : EXIT_WRONG;
}

/* copying */

static bool write_all(int to, const char *buffer, size_t length, const char *name, GError **error)
{
    size_t done = 0;

    while (done < length) {
        ssize_t count = write(to, buffer + done, length - done);

        if (count < 0) {
            error_set_errno(error, errno, "write '%s'", name);
            return false;
        }
        done += (size_t)count;
    }
    return true;
}

/* From one position to the other, to the end or `length` bytes: in the kernel when it can. */
static bool copy_bytes(int from, int to, int64_t length, const char *name, GError **error)
{
    g_autofree char *buffer = NULL;
    int64_t left = length;
    ssize_t count = 1;

    while (left > 0 && count > 0) {
        count = copy_file_range(from, NULL, to, NULL, (size_t)MIN(left, 1 << 30), 0);
        left -= MAX(count, 0);
    }
    if (count >= 0)
        return true;
    buffer = g_malloc(COPY_BYTES); /* another filesystem, a pipe */
    while (left > 0) {
        count = read(from, buffer, (size_t)MIN(left, COPY_BYTES));
        if (count == 0)
            return true;
        if (count < 0) {
            error_set_errno(error, errno, "read '%s'", name);
            return false;
        }
        if (!write_all(to, buffer, (size_t)count, name, error))
            return false;
        left -= count;
    }
    return true;
}

/* Leaves out the holes of a sparse file: they stay holes, and cost nothing. Where holes are not known of, reads on. */
static bool copy_sparse(int from, int to, int64_t size, const char *name, GError **error)
{
    int64_t start = lseek(from, 0, SEEK_DATA);

    if (start < 0 && errno == EINVAL)
        return copy_bytes(from, to, INT64_MAX, name, error);
    while (start >= 0 && start < size) {
        int64_t end = lseek(from, start, SEEK_HOLE);

        if (end < 0 || lseek(from, start, SEEK_SET) < 0 || lseek(to, start, SEEK_SET) < 0) {
            error_set_errno(error, errno, "seek in '%s'", name);
            return false;
        }
        if (!copy_bytes(from, to, end - start, name, error))
            return false;
        start = lseek(from, end, SEEK_DATA);
    }
    if (start < 0 && errno != ENXIO) { /* ENXIO: nothing but a hole is left */
        error_set_errno(error, errno, "seek in '%s'", name);
        return false;
    }
    if (ftruncate(to, size) == 0)
        return true;
    error_set_errno(error, errno, "make '%s' as long", name);
    return false;
}

/* sending */

/* A file that somebody writes or cuts meanwhile would be sent half old and half new. */
static bool check_unchanged(int from, const struct stat *before, const char *name, GError **error)
{
    struct stat now;

    if (fstat(from, &now) == 0 && now.st_size == before->st_size &&
        now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == before->st_mtim.tv_nsec)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT, "'%s' was changed while it was read", name);
    return false;
}

static bool stage_bytes(int from, int to, const struct stat *stat, const char *name, GError **error)
{
    bool regular = S_ISREG(stat->st_mode);
    bool done = regular ? copy_sparse(from, to, stat->st_size, name, error) &&
                                  check_unchanged(from, stat, name, error)
                        : copy_bytes(from, to, INT64_MAX, name, error);

    if (!done || fdatasync(to) == 0)
        return done;
    error_set_errno(error, errno, "sync the staged file");
    return false;
}

int run_send(const Verb *verb, Options *options, char **arguments, GError **error)
{
    const char *partner = arguments[0], *name = arguments[1];
    g_autofree char *base = g_path_get_basename(name);
    g_autofree char *path =
            arguments[2] != NULL ? g_strdup(arguments[2]) : g_strconcat("out/", base, NULL);
    g_auto(Fd) from = open(name, O_RDONLY | O_CLOEXEC);
    g_auto(Fd) to = -1;
    g_autoptr(ClientTransfer) transfer = NULL;
    struct stat stat;
    int64_t id;

    (void)verb;
    if (from < 0 || fstat(from, &stat) != 0) {
        error_set_errno(error, errno, "open '%s'", name);
        return EXIT_LOCAL;
    }
    to = client_stage(options->client, partner, path, false, CALL_MS, &id, error);
    if (to < 0 || !stage_bytes(from, to, &stat, name, error))
        return EXIT_LOCAL;
    transfer = client_commit(options->client, id, partner, path, stat.st_mode & 0777,
                             (int64_t)stat.st_mtim.tv_sec * G_USEC_PER_SEC, false, CLIENT_OURSELVES,
                             CALL_MS, error);
    if (transfer == NULL)
        return EXIT_LOCAL;
    if (!options->no_wait && strcmp(transfer->direction, "send") == 0)
        return wait_for(options, transfer->id, error);
    print_transfer(stdout, transfer, options->json);
    return EXIT_DONE;
}

/* fetching */

/* A device or a pipe is written as it is; a file is made beside and renamed. ret_temporary: NULL for the first. */
static int open_output(const char *name, mode_t mode, char **ret_temporary, GError **error)
{
    struct stat existing;
    bool special = stat(name, &existing) == 0 && !S_ISREG(existing.st_mode);
    g_autofree char *temporary =
            special ? NULL : g_strdup_printf("%s.%ld.part", name, (long)getpid());
    int fd = special ? open(name, O_WRONLY | O_CLOEXEC)
                     : open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    if (fd < 0)
        error_set_errno(error, errno, "create '%s'", special ? name : temporary);
    else
        *ret_temporary = g_steal_pointer(&temporary);
    return fd;
}

bool transfer_save(int from, const char *name, mode_t mode, GError **error)
{
    g_autofree char *temporary = NULL;
    g_auto(Fd) to = open_output(name, mode, &temporary, error);
    bool saved;

    if (to < 0)
        return false;
    saved = copy_bytes(from, to, INT64_MAX, name, error);
    if (temporary == NULL)
        return saved;
    if (saved && (fsync(to) != 0 || rename(temporary, name) != 0)) {
        error_set_errno(error, errno, "put '%s' in its place", name);
        saved = false;
    }
    if (!saved)
        (void)unlink(temporary); /* best effort: the error is told either way */
    return saved && file_sync_parent(AT_FDCWD, name, error);
}

int run_fetch(const Verb *verb, Options *options, char **arguments, GError **error)
{
    g_auto(Fd) from = -1;
    g_autoptr(ClientTransfer) transfer = NULL;

    (void)verb;
    transfer = client_fetch(options->client, arguments[0], arguments[1],
                            (unsigned)options->wait_s * 1000, &from, error);
    if (transfer == NULL)
        return EXIT_LOCAL;
    if (from < 0) {
        print_transfer(options->output != NULL ? stdout : stderr, transfer, options->json);
        return (int)exit_code_of(transfer);
    }
    if (options->output == NULL) {
        if (!copy_bytes(from, STDOUT_FILENO, INT64_MAX, "standard output", error))
            return EXIT_LOCAL;
        if (options->json)
            print_transfer(stderr, transfer, true);
        return EXIT_DONE;
    }
    if (!transfer_save(from, options->output, MODE, error))
        return EXIT_LOCAL;
    print_transfer(stdout, transfer, options->json);
    return EXIT_DONE;
}
