/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as the promises need them: whole reads and writes, synced renames, folders synced, and
 * opening below a folder without ever leaving it (openat2 with RESOLVE_BENEATH). Any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Closes *fd and sets it to -1; for g_auto. */
typedef int Fd;
void fd_clear(Fd *fd);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Fd, fd_clear)

/* Opens relative to a folder; symbolic links, "..", absolute paths and other mounts cannot lead out.
 * Returns the descriptor (close-on-exec) or -1. REFUSED: the path leads out. NOT_FOUND, EXISTS. */
int file_open_beneath(int dir_fd, const char *path, int flags, mode_t mode, GError **error);
/* Creates the folders of a path below dir_fd, each synced into its parent; links are not followed. REFUSED: one of them is
 * or leads over a link. */
bool file_make_folders(int dir_fd, const char *path, mode_t mode, GError **error);
/* Opens an existing folder, creating it and its parents when asked. */
int file_open_folder(const char *path, bool create, mode_t mode, GError **error);
/* Locks a file, made when it is missing, against other processes for as long as the descriptor is open; our process number
 * stands in it. Returns the descriptor or -1. BUSY: names the file and the process that has it. */
int file_lock(const char *path, GError **error);
/* fsync of a folder given by descriptor, or of the folder that holds dir_fd/path. */
bool file_sync_folder(int dir_fd, GError **error);
bool file_sync_parent(int dir_fd, const char *path, GError **error);
/* Renames and syncs both folders. replace false: EXISTS when the target is there (atomic). */
bool file_rename_synced(int from_dir, const char *from, int to_dir, const char *to, bool replace,
                        GError **error);
/* Writes a small file under a temporary name, syncs, renames it in place. */
bool file_replace(int dir_fd, const char *path, const void *bytes, size_t length, mode_t mode,
                  GError **error);
/* The same for a file that is there and keeps its owner, group and mode. */
bool file_replace_alike(const char *path, const void *bytes, size_t length, GError **error);
/* Reads a file of at most max_bytes. INVALID when larger. Returns new, NUL-terminated. */
char *file_read_all(int dir_fd, const char *path, size_t max_bytes, size_t *ret_length,
                    GError **error);
/* pwrite/pwritev/pread until all is done. read: ret_read short only at end of file. */
bool file_write_at(int fd, const void *bytes, size_t length, int64_t offset, GError **error);
bool file_writev_at(int fd, struct iovec *vectors, int count, int64_t offset, GError **error);
bool file_readv_at(int fd, struct iovec *vectors, int count, int64_t offset, size_t *ret_read,
                   GError **error);
