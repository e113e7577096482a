/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a file in pieces and makes each durable before the next: appends, syncs the data, appends a record
 * of 32 bytes to a second file, syncs that. At the end rename and sync of the folder.
 * Usage: bare-sync FILE BYTES_PER_SYNC FOLDER
 */
#include "tests/bench/bare.h"

#define RECORD_BYTES 32

int main(int argc, char **argv)
{
    size_t piece = argc == 4 ? (size_t)atol(argv[2]) : 0;
    char *bytes = malloc(piece + 1), record[RECORD_BYTES] = {0};
    int folder, source, data, journal;
    double start;
    ssize_t count;

    if (piece == 0 || bytes == NULL)
        bare_fail("usage: bare-sync FILE BYTES_PER_SYNC FOLDER");
    source = open(argv[1], O_RDONLY | O_CLOEXEC);
    bare_check(source, argv[1]);
    folder = bare_open_folder(argv[3]);
    start = bare_now();
    data = openat(folder, "data.tmp", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0640);
    journal = openat(folder, "journal", O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0640);
    bare_check(data, "create");
    bare_check(journal, "create");
    while ((count = read(source, bytes, piece)) > 0) {
        bare_write(data, bytes, (size_t)count);
        bare_check(fdatasync(data), "fdatasync");
        bare_write(journal, record, sizeof record);
        bare_check(fdatasync(journal), "fdatasync");
    }
    bare_check((int)count, "read");
    bare_check(renameat(folder, "data.tmp", folder, "data"), "rename");
    bare_check(fsync(folder), "fsync of the folder");
    printf("%.6f\n", bare_now() - start);
    return EXIT_SUCCESS;
}
