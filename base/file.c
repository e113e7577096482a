/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files as the promises need them. Names that a partner or a user gave are opened with openat2 and
 * RESOLVE_BENEATH, so that neither "..", nor a link, nor another mount leads out. Any thread.
 */
#include "base/file.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VECTORS_MAX      1024
#define TEMPORARY_SUFFIX ".new"
#define PID_BYTES        10

void fd_clear(Fd *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* synced before where it matters */
    *fd = -1;
}

int file_open_beneath(int dir_fd, const char *path, int flags, mode_t mode, GError **error)
{
    struct open_how how = {
            .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
            .mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0,
            .resolve =
                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof how);

    if (fd < 0 && (errno == ELOOP || errno == EXDEV))
        g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED,
                    "open '%s': it is or leads over a link or another mount", path);
    else if (fd < 0)
        error_set_errno(error, errno, "open '%s'", path);
    return (int)fd;
}

/* One folder in another, made when missing. Returns its descriptor or -1. */
static int enter_folder(int parent_fd, const char *name, mode_t mode, GError **error)
{
    if (mkdirat(parent_fd, name, mode) == 0) {
        if (!file_sync_folder(parent_fd, error))
            return -1;
    } else if (errno != EEXIST) {
        error_set_errno(error, errno, "create folder '%s'", name);
        return -1;
    }
    return file_open_beneath(parent_fd, name, O_DIRECTORY | O_RDONLY, 0, error);
}

bool file_make_folders(int dir_fd, const char *path, mode_t mode, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(path, "/", -1);
    g_auto(Fd) at = -1;

    for (char **part = parts; *part != NULL; part++) {
        int next;

        if (**part == '\0' || strcmp(*part, ".") == 0)
            continue;
        if (strcmp(*part, "..") == 0) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED, "path '%s' leads out of its folder",
                        path);
            return false;
        }
        next = enter_folder(at >= 0 ? at : dir_fd, *part, mode, error);
        if (next < 0) {
            g_prefix_error(error, "folders '%s': ", path);
            return false;
        }
        fd_clear(&at);
        at = next;
    }
    return true;
}

int file_open_folder(const char *path, bool create, mode_t mode, GError **error)
{
    int fd;

    if (create && g_mkdir_with_parents(path, (int)mode) != 0) {
        error_set_errno(error, errno, "create folder '%s'", path);
        return -1;
    }
    fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        error_set_errno(error, errno, "open folder '%s'", path);
    return fd;
}

static void set_locked(int fd, const char *path, GError **error)
{
    char holder[PID_BYTES + 1] = "";
    ssize_t length = pread(fd, holder, PID_BYTES, 0);

    holder[length > 0 ? strspn(holder, "0123456789") : 0] = '\0';
    g_set_error(error, BASE_ERROR, BASE_ERROR_BUSY, "'%s' is locked by process %s", path,
                holder[0] != '\0' ? holder : "(unknown)");
}

int file_lock(const char *path, GError **error)
{
    g_auto(Fd) fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    char own[PID_BYTES + 2];
    int locked, length = snprintf(own, sizeof own, "%ld\n", (long)getpid());

    if (fd < 0) {
        error_set_errno(error, errno, "open lock '%s'", path);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            set_locked(fd, path, error);
        else
            error_set_errno(error, errno, "lock '%s'", path);
        return -1;
    }
    if (ftruncate(fd, 0) != 0 || pwrite(fd, own, (size_t)length, 0) != length) {
        error_set_errno(error, errno, "write lock '%s'", path);
        return -1;
    }
    locked = fd;
    fd = -1;
    return locked;
}

bool file_sync_folder(int dir_fd, GError **error)
{
    if (fsync(dir_fd) == 0)
        return true;
    error_set_errno(error, errno, "sync folder");
    return false;
}

bool file_sync_parent(int dir_fd, const char *path, GError **error)
{
    g_autofree char *parent = g_path_get_dirname(path);
    g_auto(Fd) fd = openat(dir_fd, parent, O_DIRECTORY | O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        error_set_errno(error, errno, "open folder of '%s'", path);
        return false;
    }
    return file_sync_folder(fd, error);
}

bool file_rename_synced(int from_dir, const char *from, int to_dir, const char *to, bool replace,
                        GError **error)
{
    if (renameat2(from_dir, from, to_dir, to, replace ? 0 : RENAME_NOREPLACE) != 0) {
        error_set_errno(error, errno, "rename '%s' to '%s'", from, to);
        return false;
    }
    return file_sync_parent(to_dir, to, error) && file_sync_parent(from_dir, from, error);
}

/* alike: whose owner, group and mode it gets, or NULL. */
static bool replace(int dir_fd, const char *path, const void *bytes, size_t length, mode_t mode,
                    const struct stat *alike, GError **error)
{
    g_autofree char *temporary = g_strconcat(path, TEMPORARY_SUFFIX, NULL);
    g_auto(Fd) fd =
            openat(dir_fd, temporary, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, mode);

    if (fd < 0 || (alike != NULL && (fchown(fd, alike->st_uid, alike->st_gid) != 0 ||
                                     fchmod(fd, alike->st_mode & 07777) != 0))) {
        error_set_errno(error, errno, "create '%s'", temporary);
        return false;
    }
    if (!file_write_at(fd, bytes, length, 0, error))
        return false;
    if (fsync(fd) != 0) {
        error_set_errno(error, errno, "sync '%s'", temporary);
        return false;
    }
    return file_rename_synced(dir_fd, temporary, dir_fd, path, true, error);
}

bool file_replace(int dir_fd, const char *path, const void *bytes, size_t length, mode_t mode,
                  GError **error)
{
    return replace(dir_fd, path, bytes, length, mode, NULL, error);
}

bool file_replace_alike(const char *path, const void *bytes, size_t length, GError **error)
{
    struct stat alike;

    if (stat(path, &alike) == 0)
        return replace(AT_FDCWD, path, bytes, length, 0600, &alike, error);
    error_set_errno(error, errno, "look at '%s'", path);
    return false;
}

char *file_read_all(int dir_fd, const char *path, size_t max_bytes, size_t *ret_length,
                    GError **error)
{
    g_auto(Fd) fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
    g_autofree char *bytes = NULL;
    struct stat stat;
    struct iovec vector;
    size_t got = 0;

    if (fd < 0 || fstat(fd, &stat) != 0) {
        error_set_errno(error, errno, "read '%s'", path);
        return NULL;
    }
    if ((uint64_t)stat.st_size > max_bytes) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "'%s' is larger than %zu bytes", path,
                    max_bytes);
        return NULL;
    }
    bytes = g_malloc((size_t)stat.st_size + 1);
    vector = (struct iovec){bytes, (size_t)stat.st_size};
    if (!file_readv_at(fd, &vector, 1, 0, &got, error))
        return NULL;
    bytes[got] = '\0';
    if (ret_length != NULL)
        *ret_length = got;
    return g_steal_pointer(&bytes);
}

bool file_write_at(int fd, const void *bytes, size_t length, int64_t offset, GError **error)
{
    struct iovec vector = {(void *)(uintptr_t)bytes, length}; /* written from, never changed */

    return file_writev_at(fd, &vector, 1, offset, error);
}

/* Drops what was moved from the front of the vectors. */
static void advance_vectors(struct iovec **vectors, int *count, size_t moved)
{
    while (*count > 0 && moved >= (*vectors)->iov_len) {
        moved -= (*vectors)->iov_len;
        (*vectors)++;
        (*count)--;
    }
    if (*count > 0) {
        (*vectors)->iov_base = (char *)(*vectors)->iov_base + moved;
        (*vectors)->iov_len -= moved;
    }
}

bool file_writev_at(int fd, struct iovec *vectors, int count, int64_t offset, GError **error)
{
    advance_vectors(&vectors, &count, 0);
    while (count > 0) {
        ssize_t written = pwritev(fd, vectors, MIN(count, VECTORS_MAX), (off_t)offset);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            error_set_errno(error, written == 0 ? ENOSPC : errno, "write");
            return false;
        }
        offset += written;
        advance_vectors(&vectors, &count, (size_t)written);
    }
    return true;
}

bool file_readv_at(int fd, struct iovec *vectors, int count, int64_t offset, size_t *ret_read,
                   GError **error)
{
    size_t total = 0;

    advance_vectors(&vectors, &count, 0);
    while (count > 0) {
        ssize_t got =
                preadv(fd, vectors, MIN(count, VECTORS_MAX), (off_t)(offset + (int64_t)total));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set_errno(error, errno, "read");
            return false;
        }
        if (got == 0)
            break;
        total += (size_t)got;
        advance_vectors(&vectors, &count, (size_t)got);
    }
    *ret_read = total;
    return true;
}
