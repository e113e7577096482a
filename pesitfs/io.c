/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files: opening, reading, writing, closing. The open that fetches and the close that commits wait for the
 * partner, and give way to a signal.
 */
#include "pesitfs/ops.h"

#include "base/clock.h"
#include "base/log.h"
#include "pesitfs/waiting.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

/* open files */

void op_create(fuse_req_t req, fuse_ino_t parent_id, const char *name, mode_t mode,
               struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    const struct fuse_ctx *context = fuse_req_ctx(req);
    g_autofree char *path = NULL;
    struct fuse_entry_param entry;
    Handle *handle = NULL;
    Node *node;
    int failure;

    if (parent == NULL || parent->partner == NULL ||
        !tree_takes_files(mount, parent->partner, parent->path)) {
        ops_reply_error(req, parent == NULL ? ENOENT : EACCES);
        return;
    }
    path = tree_join(parent->path, name);
    node = tree_enter(mount, parent->partner, path, false);
    failure = handle_create(mount, node, context, mode & ~context->umask, info->flags | O_CREAT,
                            &handle);
    if (failure == 0)
        failure = fill_entry(mount_of(req), node, NULL, &entry);
    if (failure != 0) {
        if (handle != NULL)
            handle_release(mount, handle);
        tree_forget(mount, node->id, 1);
        ops_reply_error(req, failure);
        return;
    }
    tree_touch_folder(mount, parent->partner, parent->path, clock_wall_us());
    info->fh = (uintptr_t)handle;
    info->direct_io = 1;
    if (fuse_reply_create(req, &entry, info) == -ENOENT) {
        handle_release(mount, handle);
        tree_forget(mount, node->id, 1);
    }
}

/* Writing to what the daemon has already: a new version of it. */
static int open_again(Mount *mount, Node *node, int flags, const struct fuse_ctx *context,
                      Handle **ret_handle)
{
    struct stat attr;
    double seconds;
    int failure = fill_node(mount, node, NULL, &attr, &seconds);

    if (failure != 0)
        return failure;
    if ((flags & O_APPEND) != 0)
        return EPERM; /* would send the whole file again */
    return handle_create(mount, node, context, attr.st_mode & 0777, flags, ret_handle);
}

/* Of a declared name: to the partner, unless it is ours to write or here already. */
static int open_declared(Mount *mount, Node *node, int flags, const struct fuse_ctx *context,
                         Handle **ret_handle)
{
    bool staged;

    pthread_mutex_lock(&mount->lock);
    staged = node->staged != NULL;
    pthread_mutex_unlock(&mount->lock);
    if (staged)
        return handle_open_staged(mount, node, flags, context, ret_handle);
    if ((flags & O_ACCMODE) != O_RDONLY)
        return open_again(mount, node, flags, context, ret_handle);
    return handle_open_stored(mount, node, ret_handle);
}

void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    Handle *handle = NULL;
    Rule rule = {0};
    int failure = 0;

    if (node == NULL || !tree_refresh(mount, &failure)) {
        ops_reply_error(req, node == NULL ? ENOENT : failure);
        return;
    }
    if ((info->flags & O_ACCMODE) == O_RDONLY &&
        tree_find_rule(mount, node->partner, node->path, false, &rule) && rule.fetch) {
        waiting_for_fetch(mount, req, node, rule.wait_s, info);
        return;
    }
    failure = open_declared(mount, node, info->flags, fuse_req_ctx(req), &handle);
    if (failure != 0)
        ops_reply_error(req, failure);
    else
        handle_reply_open(mount, req, info, handle);
}

void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info)
{
    const Handle *handle = (const Handle *)(uintptr_t)info->fh;
    struct fuse_bufvec buffer = FUSE_BUFVEC_INIT(size);

    (void)id;
    buffer.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    buffer.buf[0].fd = handle->fd;
    buffer.buf[0].pos = offset;
    fuse_reply_data(req, &buffer, FUSE_BUF_SPLICE_MOVE);
}

void op_write(fuse_req_t req, fuse_ino_t id, const char *bytes, size_t length, off_t offset,
              struct fuse_file_info *info)
{
    Handle *handle = (Handle *)(uintptr_t)info->fh;
    ssize_t written;

    (void)id;
    if (atomic_load(&handle->staged->committed)) { /* by an earlier close, or a rename */
        log_event(LOG_LATE_WRITE_REFUSED, "PARTNER", handle->node->partner, "PATH",
                  handle->node->path, NULL);
        ops_reply_error(req, EPERM);
        return;
    }
    written = handle_write(mount_of(req), handle, bytes, length, offset, info->lock_owner);
    if (written < 0)
        ops_reply_error(req, (int)-written);
    else
        fuse_reply_write(req, (size_t)written);
}

void op_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    CommitWait wait = {0};
    int failure = handle_flush(mount, (Handle *)(uintptr_t)info->fh, info->lock_owner,
                               fuse_req_ctx(req)->pid, &wait);

    (void)id;
    if (wait.id != 0)
        waiting_for_transfer(mount, req, wait.id, wait.wait_s);
    else
        ops_reply_error(req, failure);
}

void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    (void)id;
    handle_release(mount_of(req), (Handle *)(uintptr_t)info->fh);
    ops_reply_error(req, 0);
}

/* Success is a promise: not for bytes that no commit will take, or that the daemon has removed. */
static int sync_staged(const Handle *handle, bool data_only)
{
    struct stat stat;

    if (atomic_load(&handle->staged->poisoned))
        return EIO;
    if ((data_only ? fdatasync(handle->fd) : fsync(handle->fd)) != 0 ||
        fstat(handle->fd, &stat) != 0)
        return errno;
    return stat.st_nlink == 0 && !atomic_load(&handle->staged->removed) ? EIO : 0;
}

void op_fsync(fuse_req_t req, fuse_ino_t id, int data_only, struct fuse_file_info *info)
{
    const Handle *handle = (const Handle *)(uintptr_t)info->fh;

    (void)id;
    ops_reply_error(req, handle->staged == NULL ? 0 : sync_staged(handle, data_only != 0));
}

void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length,
                  struct fuse_file_info *info)
{
    const Handle *handle = (const Handle *)(uintptr_t)info->fh;

    (void)id;
    if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0)
        ops_reply_error(req, EOPNOTSUPP);
    else if (atomic_load(&handle->staged->committed))
        ops_reply_error(req, EPERM);
    else
        ops_reply_error(req, handle_allocate(mount_of(req), handle, mode, offset, length));
}
