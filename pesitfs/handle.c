/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files: opening and writing. What a close means is in commit.c.
 */
#include "pesitfs/handle.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "pesitfs/process.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define START_BYTES  (8u << 20)
#define WHOLE_FILE   (1u << 30)
#define BUDGET_BYTES (64 << 20) /* written between two looks at the space that is left */
#define RELEASE_US   300000

/* Without a node's lock: nobody knows it yet. staged: its reference is taken. */
static Handle *handle_new(Mount *mount, Node *node, Staged *staged, int fd, int flags,
                          const struct fuse_ctx *context)
{
    Handle *self = g_new0(Handle, 1);
    Rule rule = {0};
    bool writable = staged != NULL && (flags & O_ACCMODE) != O_RDONLY;

    self->node = node;
    self->staged = staged;
    self->fd = fd;
    self->writable = writable;
    self->append = (flags & O_APPEND) != 0;
    self->synced = (flags & (O_SYNC | O_DSYNC)) != 0;
    if (writable && tree_find_rule(mount, node->partner, node->path, true, &rule))
        self->max_bytes = rule.max_bytes;
    self->opener = context != NULL ? process_group(context->pid) : 0;
    pthread_mutex_lock(&mount->lock);
    node->handles++;
    if (writable)
        staged->writers++;
    g_hash_table_add(mount->handles, self);
    pthread_mutex_unlock(&mount->lock);
    return self;
}

Handle *handle_new_reading(Mount *mount, Node *node, const ClientTransfer *transfer, int fd)
{
    Handle *self = handle_new(mount, node, NULL, fd, O_RDONLY, NULL);

    pthread_mutex_lock(&mount->lock);
    self->keep_cache = node->cached_id == transfer->id;
    node->cached_id = transfer->id;
    self->direct = !g_str_equal(transfer->direction, "fetch") &&
                   node->told_bytes != (int64_t)transfer->size_bytes;
    if (g_str_equal(transfer->direction, "fetch")) { /* its size is asked for after each open */
        node->fetched_bytes = transfer->size_bytes;
        node->fetched_us = transfer->mtime_us;
    }
    pthread_mutex_unlock(&mount->lock);
    return self;
}

void handle_reply_open(Mount *mount, fuse_req_t req, struct fuse_file_info *info, Handle *handle)
{
    info->fh = (uintptr_t)handle;
    info->direct_io = handle->staged != NULL || handle->direct;
    info->keep_cache = handle->keep_cache;
    if (fuse_reply_open(req, info) == -ENOENT) /* the opener was interrupted: nobody will close */
        handle_release(mount, handle);
}

void handle_free(Mount *mount, Handle *self)
{
    if (self->staged != NULL)
        staged_unref(mount, self->staged);
    else
        (void)close(self->fd);
    g_free(self);
}

/* Copies what the daemon has of a file into its new version. */
static int copy_stored(Mount *mount, const Node *node, Staged *staged)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer =
            client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    g_auto(Fd) from =
            transfer != NULL ? client_open(mount->client, transfer->id, CALL_MS, &error) : -1;
    ssize_t count;

    if (from < 0)
        return error->code == BASE_ERROR_NOT_FOUND && transfer == NULL
                       ? 0
                       : status_errno_of_error(error);
    staged->copy_of = transfer->id;
    while ((count = copy_file_range(from, NULL, staged->fd, NULL, WHOLE_FILE, 0)) > 0)
        ;
    return count < 0 ? errno : 0;
}

/* The kernel closes the files of a process that is killed. Of one that cannot be seen from here, as in another
 * container, that is not told from a file that is complete: its close may not be a commit. */
static bool may_write(Mount *mount, const Node *node, const struct fuse_ctx *context, bool scratch)
{
    Rule rule = {0};

    if (context->pid != 0 || scratch ||
        (tree_find_rule(mount, node->partner, node->path, true, &rule) && rule.on_rename))
        return true;
    log_event(LOG_WRITER_UNSEEN, "PARTNER", node->partner, "PATH", node->path, NULL);
    return false;
}

int handle_create(Mount *mount, Node *node, const struct fuse_ctx *context, mode_t mode, int flags,
                  Handle **ret_handle)
{
    g_autoptr(GError) error = NULL;
    bool scratch = tree_is_scratch(mount, node->partner, node->path);
    Staged *staged, *before;
    int64_t id;
    int fd, failure;

    if (!tree_is_enabled(mount, node->partner) || !may_write(mount, node, context, scratch))
        return EPERM;
    fd = client_stage(mount->client, node->partner, node->path, scratch, CALL_MS, &id, &error);
    if (fd < 0)
        return status_errno_of_error(error);
    staged = staged_new(id, fd, scratch, mode, context->uid, context->gid);
    failure = (flags & (O_TRUNC | O_CREAT)) != 0 ? 0 : copy_stored(mount, node, staged);
    if (failure != 0) {
        staged_unref(mount, staged);
        return failure;
    }
    pthread_mutex_lock(&mount->lock);
    before = node->staged;
    node->staged = staged;
    staged->references++; /* the handle's */
    pthread_mutex_unlock(&mount->lock);
    if (before != NULL)
        staged_unref(mount, before);
    *ret_handle = handle_new(mount, node, staged, staged->fd, flags, context);
    return 0;
}

/* Under the lock. False: it is in use. */
static bool wait_for_release(Mount *mount, const Node *node, bool writing)
{
    int64_t until_us = clock_now_us() + RELEASE_US;
    struct timespec until = {until_us / USEC_PER_SEC, until_us % USEC_PER_SEC * 1000};
    int timed = 0;

    while (node->staged != NULL && node->staged->writers > 0 &&
           (writing || !node->staged->scratch) && timed == 0)
        timed = pthread_cond_timedwait(&mount->released, &mount->lock, &until);
    return timed == 0;
}

bool handle_wait_released(Mount *mount, const Node *node)
{
    bool released;

    pthread_mutex_lock(&mount->lock);
    released = wait_for_release(mount, node, true);
    pthread_mutex_unlock(&mount->lock);
    return released;
}

int handle_open_staged(Mount *mount, Node *node, int flags, const struct fuse_ctx *context,
                       Handle **ret_handle)
{
    bool writing = (flags & O_ACCMODE) != O_RDONLY;
    Staged *staged;
    bool free;
    int failure = 0;

    pthread_mutex_lock(&mount->lock);
    free = wait_for_release(mount, node, writing);
    staged = node->staged;
    if (!free)
        failure = EBUSY; /* never interleave, never show half of a file */
    else if (staged == NULL)
        failure = ESTALE; /* committed or removed a moment ago: the kernel looks again */
    else
        staged->references++;
    pthread_mutex_unlock(&mount->lock);
    if (failure == 0 && writing && !may_write(mount, node, context, staged->scratch)) {
        failure = EPERM;
        staged_unref(mount, staged);
    }
    if (failure == 0 && (flags & O_TRUNC) != 0 && ftruncate(staged->fd, 0) != 0) {
        failure = errno;
        staged_unref(mount, staged);
    }
    if (failure == 0)
        *ret_handle = handle_new(mount, node, staged, staged->fd, flags, context);
    return failure;
}

int handle_open_stored(Mount *mount, Node *node, Handle **ret_handle)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer =
            client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    int fd = transfer != NULL ? client_open(mount->client, transfer->id, CALL_MS, &error) : -1;

    if (fd < 0)
        return status_errno_of_error(error);
    *ret_handle = handle_new_reading(mount, node, transfer, fd);
    return 0;
}

/* writing */

/* Whether the spool has room for more: its reserve is not for us. Asks only now and then. */
static int take_room(Mount *mount, size_t length)
{
    uint64_t total, available;
    g_autoptr(GError) error = NULL;

    if (atomic_fetch_sub(&mount->budget, (int64_t)length) >= (int64_t)length)
        return 0;
    if (!client_space(mount->client, CALL_MS, &total, &available, &error))
        return status_errno_of_error(error);
    if (available < length)
        return ENOSPC;
    atomic_store(&mount->budget, (int64_t)MIN((available - length) / 2, BUDGET_BYTES));
    return 0;
}

static void note_writer(Handle *self, uint64_t owner)
{
    if (atomic_load_explicit(&self->staged->dirty, memory_order_relaxed) &&
        owner != atomic_load_explicit(&self->last_writer, memory_order_relaxed))
        atomic_store(&self->mixed_writers, true);
    atomic_store_explicit(&self->last_writer, owner, memory_order_relaxed);
    atomic_store(&self->staged->dirty, true);
}

static int write_all(const Handle *self, const char *bytes, size_t length, off_t offset)
{
    size_t done = 0;

    while (done < length) {
        ssize_t count = pwrite(self->fd, bytes + done, length - done, offset + (off_t)done);

        if (count < 0)
            return errno;
        done += (size_t)count;
    }
    return self->synced && fdatasync(self->fd) != 0 ? errno : 0;
}

/* The disk works while the application writes: the sync at close() finds little left to do. */
static void start_disk(Handle *self, size_t length)
{
    if (atomic_fetch_add(&self->waiting_bytes, length) + length < START_BYTES)
        return;
    atomic_store(&self->waiting_bytes, 0);
    (void)sync_file_range(self->fd, 0, 0, SYNC_FILE_RANGE_WRITE); /* a hint */
}

ssize_t handle_write(Mount *mount, Handle *self, const void *bytes, size_t length, off_t offset,
                     uint64_t owner)
{
    struct stat stat;
    int failure;

    if (self->append) {
        if (fstat(self->fd, &stat) != 0)
            return -errno;
        offset = stat.st_size;
    }
    failure = self->max_bytes != 0 && (uint64_t)offset + length > self->max_bytes
                      ? EFBIG
                      : take_room(mount, length);
    if (failure == 0)
        failure = write_all(self, bytes, length, offset);
    if (failure != 0) {
        atomic_store(&self->staged->poisoned, true);
        return -failure;
    }
    note_writer(self, owner);
    start_disk(self, length);
    return (ssize_t)length;
}

int handle_allocate(Mount *mount, const Handle *self, int mode, off_t offset, off_t length)
{
    int failure = take_room(mount, (size_t)length);

    if (failure != 0)
        return failure;
    if (fallocate(self->fd, mode, offset, length) != 0)
        return errno;
    if (mode == 0)
        atomic_store(&self->staged->dirty, true);
    return 0;
}
