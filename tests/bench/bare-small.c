/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creates many small files on two sides, as many threads as asked for, each file first here, then there:
 * written under a temporary name, synced, renamed.
 * Usage: bare-small THREADS COUNT BYTES FOLDER FOLDER
 */
#include "tests/bench/bare.h"

#include <pthread.h>
#include <stdatomic.h>

#define NAME_BYTES 48

static char *bytes;
static size_t length;
static int count, folders[2];
static atomic_int next;

static void make_file(int folder, int number)
{
    char temporary[NAME_BYTES], name[NAME_BYTES];
    int fd;

    snprintf(temporary, sizeof temporary, "%d.tmp", number);
    snprintf(name, sizeof name, "%d", number);
    fd = openat(folder, temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640);
    bare_check(fd, temporary);
    bare_write(fd, bytes, length);
    bare_check(fsync(fd), "fsync");
    bare_check(close(fd), "close");
    bare_check(renameat(folder, temporary, folder, name), "rename");
}

static void *work(void *data)
{
    int number;

    while ((number = atomic_fetch_add(&next, 1)) < count) {
        make_file(folders[0], number);
        make_file(folders[1], number);
    }
    return data;
}

int main(int argc, char **argv)
{
    int threads = argc == 6 ? atoi(argv[1]) : 0;
    pthread_t *ids = calloc((size_t)threads + 1, sizeof *ids);
    double start;

    if (threads < 1 || ids == NULL)
        bare_fail("usage: bare-small THREADS COUNT BYTES FOLDER FOLDER");
    count = atoi(argv[2]);
    length = (size_t)atol(argv[3]);
    bytes = calloc(length, 1);
    if (bytes == NULL)
        bare_fail("calloc");
    folders[0] = bare_open_folder(argv[4]);
    folders[1] = bare_open_folder(argv[5]);
    start = bare_now();
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&ids[i], NULL, work, NULL) != 0)
            bare_fail("thread");
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    printf("%.6f\n", bare_now() - start);
    return EXIT_SUCCESS;
}
