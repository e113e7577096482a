/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the bare programs share: they end at the first failure, and print one figure, the seconds that the
 * measured part took. They do what the product does to the disk and the network, and nothing else.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Ends the program, naming what failed. */
static inline void bare_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, errno != 0 ? strerror(errno) : "failed");
    exit(EXIT_FAILURE);
}

static inline double bare_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void bare_check(int result, const char *what)
{
    if (result < 0)
        bare_fail(what);
}

static inline void bare_write(int fd, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        ssize_t count = write(fd, (const char *)bytes + done, length - done);

        if (count < 0)
            bare_fail("write");
        done += (size_t)count;
    }
}

static inline int bare_open_folder(const char *path)
{
    int fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

    bare_check(fd, path);
    return fd;
}
