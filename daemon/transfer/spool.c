/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where files in transit live. Everything is done relative to descriptors opened at the start, so
 * that no name from a partner or an application can lead elsewhere. It does not know rows, states
 * or partners' rights. Architecture §5. Any thread; the only shared thing is an atomic counter.
 */
#include "daemon/transfer/spool.h"

#include "base/clock.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LOCK_FILE         "lock"
#define CONTEXT_SUFFIX    ".context"
#define FOLDER_MODE       0700
#define INBOX_FOLDER_MODE 0750
#define INBOX_FILE_MODE   0640
#define NAME_BYTES        32
#define ATTRIBUTE_BYTES   256

struct Spool {
    Fd lock_fd;
    Fd staging_fd;
    Fd transfers_fd;
    Fd inbox_fd;
    uint64_t reserve_bytes;
    bool names_follow; /* a sync of a new file makes its name durable too */
    _Atomic int64_t last_name;
};

/* Opens a folder that we can write to. */
static Fd open_writable(const char *path, mode_t mode, GError **error)
{
    g_auto(Fd) fd = file_open_folder(path, true, mode, error);
    Fd opened = fd;

    if (fd < 0)
        return -1;
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        error_set_errno(error, errno, "write to folder '%s'", path);
        return -1;
    }
    fd = -1;
    return opened;
}

/* One daemon per spool: what a second one found half done it would take for the rest of a crash. */
static bool lock_spool(Spool *self, const char *spool_path, GError **error)
{
    g_autofree char *path = g_build_filename(spool_path, LOCK_FILE, NULL);

    self->lock_fd = file_lock(path, error);
    if (self->lock_fd < 0)
        g_prefix_error(error, "spool '%s': ", spool_path);
    return self->lock_fd >= 0;
}

static bool open_folders(Spool *self, const char *spool_path, const char *inbox_path,
                         GError **error)
{
    g_autofree char *staging = g_build_filename(spool_path, "staging", NULL);
    g_autofree char *transfers = g_build_filename(spool_path, "transfers", NULL);

    self->staging_fd = open_writable(staging, FOLDER_MODE, error);
    if (self->staging_fd < 0 || !lock_spool(self, spool_path, error))
        return false;
    self->transfers_fd = open_writable(transfers, FOLDER_MODE, error);
    if (self->transfers_fd < 0)
        return false;
    self->inbox_fd = open_writable(inbox_path, INBOX_FOLDER_MODE, error);
    return self->inbox_fd >= 0;
}

static bool check_same_filesystem(Spool *self, const char *inbox_path, GError **error)
{
    struct stat spool_stat, inbox_stat;

    if (fstat(self->transfers_fd, &spool_stat) != 0 || fstat(self->inbox_fd, &inbox_stat) != 0) {
        error_set_errno(error, errno, "stat spool and inbox");
        return false;
    }
    if (spool_stat.st_dev != inbox_stat.st_dev) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                    "inbox '%s' is not on the spool's filesystem: files are published by rename",
                    inbox_path);
        return false;
    }
    return true;
}

/* Where the sync of a new file brings its name too: by the one journal, and ext4 without a journal syncs the folder
 * of a new file itself. */
static bool do_names_follow(int fd)
{
    struct statfs stat;

    return fstatfs(fd, &stat) == 0 &&
           (stat.f_type == EXT4_SUPER_MAGIC || stat.f_type == XFS_SUPER_MAGIC);
}

Spool *spool_open(const char *spool_path, const char *inbox_path, uint64_t reserve_bytes,
                  GError **error)
{
    g_autoptr(Spool) self = g_new0(Spool, 1);

    self->lock_fd = self->staging_fd = self->transfers_fd = self->inbox_fd = -1;
    self->reserve_bytes = reserve_bytes;
    atomic_init(&self->last_name, clock_wall_us());
    if (!open_folders(self, spool_path, inbox_path, error) ||
        !check_same_filesystem(self, inbox_path, error))
        return NULL;
    self->names_follow = do_names_follow(self->transfers_fd);
    return g_steal_pointer(&self);
}

void spool_close(Spool *self)
{
    if (self == NULL)
        return;
    fd_clear(&self->staging_fd);
    fd_clear(&self->transfers_fd);
    fd_clear(&self->inbox_fd);
    fd_clear(&self->lock_fd);
    g_free(self);
}

int64_t spool_next_name(Spool *self)
{
    return atomic_fetch_add(&self->last_name, 1) + 1;
}

static void format_name(int64_t name, char text[NAME_BYTES])
{
    (void)snprintf(text, NAME_BYTES, "%" PRId64, name); /* always fits */
}

static int create_data(int tree_fd, const char *name, GError **error)
{
    int fd = openat(tree_fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, INBOX_FILE_MODE);

    if (fd < 0)
        error_set_errno(error, errno, "create '%s' in the spool", name);
    return fd;
}

int spool_stage(Spool *self, int64_t name, GError **error)
{
    char text[NAME_BYTES];
    uint64_t available = 0;

    if (!spool_space(self, NULL, &available, error))
        return -1;
    if (available == 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_NO_SPACE, "spool is full (reserve reached)");
        return -1;
    }
    format_name(name, text);
    return create_data(self->staging_fd, text, error);
}

int spool_open_staged(Spool *self, int64_t name, GError **error)
{
    char text[NAME_BYTES];

    format_name(name, text);
    return file_open_beneath(self->staging_fd, text, O_RDONLY, 0, error);
}

void spool_discard_staged(Spool *self, int64_t name)
{
    char text[NAME_BYTES];

    format_name(name, text);
    (void)unlinkat(self->staging_fd, text, 0); /* what cannot go now goes at the next start */
}

int spool_commit_staged(Spool *self, int64_t name, GError **error)
{
    char text[NAME_BYTES];
    int folder_fd;

    format_name(name, text);
    if (renameat(self->staging_fd, text, self->transfers_fd, text) != 0) {
        error_set_errno(error, errno, "commit staged file '%s'", text);
        return -1;
    }
    folder_fd = fcntl(self->transfers_fd, F_DUPFD_CLOEXEC, 0);
    if (folder_fd < 0)
        error_set_errno(error, errno, "duplicate descriptor of the spool");
    return folder_fd;
}

int spool_create(Spool *self, const char *name, GError **error)
{
    uint64_t available = 0;

    if (!spool_space(self, NULL, &available, error))
        return -1;
    if (available == 0) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_NO_SPACE, "spool is full (reserve reached)");
        return -1;
    }
    return create_data(self->transfers_fd, name, error);
}

int spool_dup_unsynced(Spool *self)
{
    return self->names_follow ? -1 : fcntl(self->transfers_fd, F_DUPFD_CLOEXEC, 0);
}

int spool_open_data(Spool *self, const char *name, int flags, GError **error)
{
    return file_open_beneath(self->transfers_fd, name, flags, 0, error);
}

char *spool_dup_attribute(Spool *self, const char *name, const char *attribute)
{
    g_auto(Fd) fd = spool_open_data(self, name, O_RDONLY, NULL);
    char text[ATTRIBUTE_BYTES];
    ssize_t length = fd < 0 ? -1 : fgetxattr(fd, attribute, text, sizeof text);

    return length >= 0 && g_utf8_validate(text, length, NULL) ? g_strndup(text, (size_t)length)
                                                              : NULL;
}

static Context *use_context(Spool *self, const char *name,
                            Context *(*use)(int folder_fd, const char *name, GError **error),
                            GError **error)
{
    g_autofree char *journal = g_strconcat(name, CONTEXT_SUFFIX, NULL);

    return use(self->transfers_fd, journal, error);
}

Context *spool_create_context(Spool *self, const char *name, GError **error)
{
    return use_context(self, name, context_create, error);
}

Context *spool_open_context(Spool *self, const char *name, GError **error)
{
    return use_context(self, name, context_open, error);
}

void spool_remove(Spool *self, const char *name)
{
    g_autofree char *journal = NULL;

    if (name == NULL || name[0] == '\0')
        return;
    journal = g_strconcat(name, CONTEXT_SUFFIX, NULL);
    /* what cannot go now goes at the next start; the bytes may be published, the journal never written */
    (void)unlinkat(self->transfers_fd, name, 0);
    (void)unlinkat(self->transfers_fd, journal, 0);
}

static GPtrArray *list_folder(int tree_fd)
{
    GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
    int fd = openat(tree_fd, ".", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    if (folder == NULL)
        return names;
    while ((entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.')
            g_ptr_array_add(names, g_strdup(entry->d_name));
    }
    closedir(folder);
    return names;
}

GPtrArray *spool_list(Spool *self)
{
    g_autoptr(GPtrArray) files = list_folder(self->transfers_fd);
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iterator;
    gpointer name;

    for (guint i = 0; i < files->len; i++) {
        const char *file = g_ptr_array_index(files, i);
        size_t length = strlen(file);

        if (g_str_has_suffix(file, CONTEXT_SUFFIX))
            length -= sizeof CONTEXT_SUFFIX - 1;
        g_hash_table_add(names, g_strndup(file, length));
    }
    g_hash_table_iter_init(&iterator, names);
    while (g_hash_table_iter_next(&iterator, &name, NULL)) {
        g_hash_table_iter_steal(&iterator);
        g_ptr_array_add(list, name);
    }
    return list;
}

unsigned spool_clear_staging(Spool *self)
{
    g_autoptr(GPtrArray) names = list_folder(self->staging_fd);

    for (guint i = 0; i < names->len; i++)
        (void)unlinkat(self->staging_fd, g_ptr_array_index(names, i), 0); /* at the next start */
    return names->len;
}

static char *inbox_path(const char *partner, const char *path)
{
    return g_build_filename(partner, path, NULL);
}

static int open_inbox_folder(Spool *self, const char *target, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(target);

    return file_open_beneath(self->inbox_fd, folder, O_DIRECTORY | O_RDONLY, 0, error);
}

/* The folder of the target, made when missing. */
static int make_inbox_folder(Spool *self, const char *target, GError **error)
{
    g_autofree char *folder = g_path_get_dirname(target);
    g_autoptr(GError) failure = NULL;
    int fd = open_inbox_folder(self, target, &failure);

    if (fd >= 0)
        return fd;
    if (failure->code != BASE_ERROR_NOT_FOUND) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return -1;
    }
    if (!file_make_folders(self->inbox_fd, folder, INBOX_FOLDER_MODE, error))
        return -1;
    return open_inbox_folder(self, target, error);
}

bool spool_check_inbox(Spool *self, const char *partner, const char *path, GError **error)
{
    g_autofree char *target = inbox_path(partner, path);
    g_autoptr(GError) failure = NULL;
    g_auto(Fd) fd = open_inbox_folder(self, target, &failure);

    if (fd >= 0 || failure->code == BASE_ERROR_NOT_FOUND)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

bool spool_publish(Spool *self, const char *name, const char *partner, const char *path,
                   bool replace, int *ret_folder_fd, GError **error)
{
    g_autofree char *target = inbox_path(partner, path);
    g_autofree char *leaf = g_path_get_basename(target);
    g_auto(Fd) folder_fd = make_inbox_folder(self, target, error);

    if (folder_fd < 0)
        return false;
    if (renameat2(self->transfers_fd, name, folder_fd, leaf, replace ? 0 : RENAME_NOREPLACE) != 0) {
        error_set_errno(error, errno, "publish '%s'", target);
        return false;
    }
    *ret_folder_fd = folder_fd;
    folder_fd = -1;
    return true;
}

bool spool_inbox_has(Spool *self, const char *partner, const char *path)
{
    g_autofree char *target = inbox_path(partner, path);
    g_autofree char *leaf = g_path_get_basename(target);
    g_auto(Fd) folder_fd = open_inbox_folder(self, target, NULL);
    struct stat stat;

    return folder_fd >= 0 && fstatat(folder_fd, leaf, &stat, AT_SYMLINK_NOFOLLOW) == 0;
}

int spool_open_inbox(Spool *self, const char *partner, const char *path, GError **error)
{
    g_autofree char *target = inbox_path(partner, path);

    return file_open_beneath(self->inbox_fd, target, O_RDONLY, 0, error);
}

bool spool_remove_inbox(Spool *self, const char *partner, const char *path, GError **error)
{
    g_autofree char *target = inbox_path(partner, path);
    g_autofree char *leaf = g_path_get_basename(target);
    g_auto(Fd) folder_fd = open_inbox_folder(self, target, error);

    if (folder_fd < 0)
        return false;
    if (unlinkat(folder_fd, leaf, 0) != 0) {
        error_set_errno(error, errno, "remove '%s'", target);
        return false;
    }
    return file_sync_folder(folder_fd, error);
}

bool spool_space(Spool *self, uint64_t *ret_total, uint64_t *ret_available, GError **error)
{
    struct statvfs stat;
    uint64_t free_bytes;

    if (fstatvfs(self->transfers_fd, &stat) != 0) {
        error_set_errno(error, errno, "statvfs of the spool");
        return false;
    }
    free_bytes = (uint64_t)stat.f_bavail * stat.f_frsize;
    if (ret_total != NULL)
        *ret_total = (uint64_t)stat.f_blocks * stat.f_frsize;
    if (ret_available != NULL)
        *ret_available = free_bytes > self->reserve_bytes ? free_bytes - self->reserve_bytes : 0;
    return true;
}
