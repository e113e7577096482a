/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes: of folders, of what is being written, of what the daemon has, and changes of them. None waits for a
 * partner.
 */
#include "pesitfs/ops.h"

#include "base/clock.h"
#include "base/error.h"
#include "pesitfs/owner.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SECTOR_BYTES 512

/* attributes */

static struct timespec to_timespec(int64_t us)
{
    return (struct timespec){us / USEC_PER_SEC, us % USEC_PER_SEC * 1000};
}

static void set_times(struct stat *attr, int64_t us)
{
    attr->st_mtim = attr->st_ctim = attr->st_atim = to_timespec(us);
}

static void fill_common(const Mount *mount, const Node *node, mode_t mode, struct stat *attr)
{
    *attr = (struct stat){.st_ino = node->inode,
                          .st_mode = mode,
                          .st_nlink = 1,
                          .st_uid = mount->uid,
                          .st_gid = mount->gid,
                          .st_blksize = BLOCK_BYTES};
}

static void fill_folder(Mount *mount, const Node *node, struct stat *attr)
{
    bool writable = node->partner != NULL && tree_takes_files(mount, node->partner, node->path);
    mode_t mode = node->local ? node->mode : writable ? 0775 : 0755;

    fill_common(mount, node, S_IFDIR | mode, attr);
    attr->st_nlink = 2;
    if (node->local) {
        attr->st_uid = node->uid;
        attr->st_gid = node->gid;
    }
    set_times(attr, node->partner != NULL ? tree_folder_time(mount, node->partner, node->path)
                                          : mount->started_us);
}

int fill_staged(const Node *node, Staged *staged, struct stat *attr)
{
    struct stat spool;

    if (fstat(staged->fd, &spool) != 0)
        return errno;
    *attr = (struct stat){.st_ino = node->inode,
                          .st_mode = S_IFREG | staged->mode,
                          .st_nlink = 1,
                          .st_uid = staged->uid,
                          .st_gid = staged->gid,
                          .st_size = spool.st_size,
                          .st_blocks = spool.st_blocks,
                          .st_blksize = BLOCK_BYTES,
                          .st_atim = spool.st_atim,
                          .st_mtim = spool.st_mtim,
                          .st_ctim = spool.st_ctim};
    if (staged->mtime_us != 0)
        attr->st_mtim = to_timespec(staged->mtime_us);
    return 0;
}

static bool is_final(const ClientTransfer *transfer)
{
    return strcmp(transfer->state, "done") == 0 || strcmp(transfer->state, "failed") == 0 ||
           strcmp(transfer->state, "cancelled") == 0;
}

static void fill_transfer(Mount *mount, Node *node, const ClientTransfer *transfer,
                          struct stat *attr)
{
    bool ours =
            strcmp(transfer->direction, "send") == 0 || strcmp(transfer->direction, "offer") == 0;

    fill_common(mount, node, S_IFREG | (ours ? transfer->mode & 0777 : 0440), attr);
    if (ours)
        owner_load(mount, node, transfer);
    if (ours && node->has_owner) {
        attr->st_uid = node->uid;
        attr->st_gid = node->gid;
    }
    attr->st_size = (off_t)transfer->size_bytes;
    pthread_mutex_lock(&mount->lock);
    node->told_bytes = strcmp(transfer->direction, "fetch") == 0 ? TOLD_NOTHING : attr->st_size;
    pthread_mutex_unlock(&mount->lock);
    attr->st_blocks = (attr->st_size + SECTOR_BYTES - 1) / SECTOR_BYTES;
    set_times(attr, transfer->mtime_us != 0 ? transfer->mtime_us : transfer->created_us);
}

/* A file that the partner may have. */
static void fill_fetchable(const Mount *mount, const Node *node, struct stat *attr)
{
    fill_common(mount, node, S_IFREG | 0440, attr);
    attr->st_size = (off_t)node->fetched_bytes;
    set_times(attr, node->fetched_us != 0 ? node->fetched_us : mount->started_us);
}

/* 0 s for a fetched file: it is asked for after each open. */
static double seconds_of(const ClientTransfer *transfer)
{
    if (strcmp(transfer->direction, "fetch") == 0)
        return 0;
    return is_final(transfer) ? FINAL_SECONDS : FILE_SECONDS;
}

int fill_node(Mount *mount, Node *node, const ClientTransfer *known, struct stat *attr,
              double *ret_seconds)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer = NULL;
    Staged *staged;
    Rule rule = {0};
    int failure;

    *ret_seconds = 0;
    if (node->folder) {
        fill_folder(mount, node, attr);
        return 0;
    }
    pthread_mutex_lock(&mount->lock);
    staged = node->staged;
    if (staged != NULL)
        staged->references++;
    pthread_mutex_unlock(&mount->lock);
    if (staged != NULL) {
        failure = fill_staged(node, staged, attr);
        staged_unref(mount, staged);
        return failure;
    }
    if (tree_is_scratch(mount, node->partner, node->path))
        return ENOENT;
    if (known == NULL)
        known = transfer = client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    if (known != NULL) {
        fill_transfer(mount, node, known, attr);
        *ret_seconds = seconds_of(known);
        return 0;
    }
    if (error->code != BASE_ERROR_NOT_FOUND)
        return status_errno_of_error(error);
    if (!tree_find_rule(mount, node->partner, node->path, false, &rule) || !rule.fetch)
        return ENOENT;
    fill_fetchable(mount, node, attr);
    return 0;
}

void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    const Handle *handle = info != NULL ? (const Handle *)(uintptr_t)info->fh : NULL;
    struct stat attr, open_file;
    double seconds = 0;
    int failure;

    if (node == NULL) {
        ops_reply_error(req, ENOENT);
        return;
    }
    if (handle != NULL && handle->staged != NULL)
        failure = fill_staged(node, handle->staged, &attr);
    else
        failure = fill_node(mount, node, NULL, &attr, &seconds);
    if (handle != NULL && handle->staged == NULL) { /* what is open keeps its size */
        if (failure != 0)
            fill_fetchable(mount, node, &attr);
        failure = fstat(handle->fd, &open_file) == 0 ? 0 : errno;
        attr.st_size = failure == 0 ? open_file.st_size : 0;
        seconds = 0;
    }
    if (failure != 0)
        ops_reply_error(req, failure);
    else
        fuse_reply_attr(req, &attr, seconds);
}
/* changes */

static int64_t wanted_mtime(const struct stat *attr, int to_set)
{
    if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0)
        return clock_wall_us();
    return (int64_t)attr->st_mtim.tv_sec * USEC_PER_SEC + attr->st_mtim.tv_nsec / 1000;
}

static int change_staged(Mount *mount, Staged *staged, const struct stat *attr, int to_set)
{
    if ((to_set & FUSE_SET_ATTR_SIZE) != 0) {
        if (atomic_load(&staged->committed))
            return EPERM;
        if (ftruncate(staged->fd, attr->st_size) != 0)
            return errno;
        atomic_store(&staged->dirty, true); /* nothing to commit while it is empty */
    }
    pthread_mutex_lock(&mount->lock);
    staged->changed = true;
    if ((to_set & FUSE_SET_ATTR_MODE) != 0)
        staged->mode = attr->st_mode & 0777;
    if ((to_set & FUSE_SET_ATTR_UID) != 0)
        staged->uid = attr->st_uid;
    if ((to_set & FUSE_SET_ATTR_GID) != 0)
        staged->gid = attr->st_gid;
    if ((to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) != 0)
        staged->mtime_us = wanted_mtime(attr, to_set);
    pthread_mutex_unlock(&mount->lock);
    return 0;
}

/* chmod, chown and touch of what the daemon has: kept, never a new transfer. */
static int change_stored(Mount *mount, Node *node, const struct stat *attr, int to_set)
{
    bool mtime = (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) != 0;
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer = NULL;
    uint32_t mode = attr->st_mode & 0777;
    int64_t mtime_us = mtime ? wanted_mtime(attr, to_set) : 0;

    if ((to_set & FUSE_SET_ATTR_SIZE) != 0)
        return EPERM; /* open it for writing: that makes a new version */
    transfer = client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    if (transfer == NULL)
        return error->code == BASE_ERROR_NOT_FOUND ? 0 : status_errno_of_error(error);
    if ((to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0)
        owner_change(mount, node, (to_set & FUSE_SET_ATTR_UID) != 0 ? attr->st_uid : (uid_t)-1,
                     (to_set & FUSE_SET_ATTR_GID) != 0 ? attr->st_gid : (gid_t)-1);
    if ((to_set & FUSE_SET_ATTR_MODE) == 0 && !mtime)
        return 0;
    if (!client_touch(mount->client, transfer->id,
                      (to_set & FUSE_SET_ATTR_MODE) != 0 ? &mode : NULL, mtime ? &mtime_us : NULL,
                      CALL_MS, &error))
        return status_errno_of_error(error);
    return 0;
}

/* Times of a folder are remembered; its owner and mode are the configuration's, unless an application made it. */
static int change_folder(Mount *mount, Node *node, const struct stat *attr, int to_set)
{
    struct stat now;

    fill_folder(mount, node, &now);
    if (node->local) {
        pthread_mutex_lock(&mount->lock);
        if ((to_set & FUSE_SET_ATTR_MODE) != 0)
            node->mode = attr->st_mode & 0777;
        pthread_mutex_unlock(&mount->lock);
    } else if (((to_set & FUSE_SET_ATTR_MODE) != 0 &&
                (attr->st_mode & 07777) != (now.st_mode & 07777)) ||
               ((to_set & FUSE_SET_ATTR_UID) != 0 && attr->st_uid != now.st_uid) ||
               ((to_set & FUSE_SET_ATTR_GID) != 0 && attr->st_gid != now.st_gid)) {
        return EPERM;
    }
    if (node->partner != NULL && (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)) != 0)
        tree_touch_folder(mount, node->partner, node->path, wanted_mtime(attr, to_set));
    return 0;
}

/* What a change is for: the bytes being written, when there are any. Its reference is the caller's. */
static Staged *ref_target(Mount *mount, const Node *node, const Handle *handle)
{
    Staged *staged;

    pthread_mutex_lock(&mount->lock);
    staged = handle != NULL && handle->staged != NULL && !atomic_load(&handle->staged->committed)
                     ? handle->staged
                     : node->staged;
    if (staged != NULL)
        staged->references++;
    pthread_mutex_unlock(&mount->lock);
    return staged;
}

void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set,
                struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    const Handle *handle = info != NULL ? (const Handle *)(uintptr_t)info->fh : NULL;
    Staged *staged = node != NULL ? ref_target(mount, node, handle) : NULL;
    double seconds;
    int failure = ENOENT;

    if (staged != NULL)
        failure = change_staged(mount, staged, attr, to_set);
    else if (node != NULL && node->folder)
        failure = change_folder(mount, node, attr, to_set);
    else if (node != NULL)
        failure = change_stored(mount, node, attr, to_set);
    if (failure == 0)
        failure = staged != NULL ? fill_staged(node, staged, attr)
                                 : fill_node(mount, node, NULL, attr, &seconds);
    if (staged != NULL)
        staged_unref(mount, staged);
    if (failure != 0)
        ops_reply_error(req, failure);
    else
        fuse_reply_attr(req, attr, 0);
}
