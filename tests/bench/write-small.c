/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that writes many small files into a folder, as many threads as asked for, and looks at what
 * close() says. Our side of bare-small when the folder is in a mount.
 * Usage: write-small THREADS COUNT BYTES FOLDER
 */
#include "tests/bench/bare.h"

#include <pthread.h>
#include <stdatomic.h>

#define NAME_BYTES 16

static char *bytes;
static size_t length;
static int count, folder;
static atomic_int next;

static void *work(void *data)
{
    int number;

    while ((number = atomic_fetch_add(&next, 1)) < count) {
        char name[NAME_BYTES];
        int fd;

        /* a bare 4913 is an editor's, and never sent */
        snprintf(name, sizeof name, "f%d", number);
        fd = openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0640);
        bare_check(fd, name);
        bare_write(fd, bytes, length);
        bare_check(close(fd), "close");
    }
    return data;
}

int main(int argc, char **argv)
{
    int threads = argc == 5 ? atoi(argv[1]) : 0;
    pthread_t *ids = calloc((size_t)threads + 1, sizeof *ids);
    double start;

    if (threads < 1 || ids == NULL)
        bare_fail("usage: write-small THREADS COUNT BYTES FOLDER");
    count = atoi(argv[2]);
    length = (size_t)atol(argv[3]);
    bytes = calloc(length, 1);
    if (bytes == NULL)
        bare_fail("calloc");
    folder = bare_open_folder(argv[4]);
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
