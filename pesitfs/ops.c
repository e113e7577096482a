/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of FUSE's low-level interface, each answered once. Names and attributes never wait for a
 * partner; open of a fetched file, close and rename may, and give way to a signal. docs/filesystem.md.
 */
#include "pesitfs/handle.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BLOCK_BYTES           (1 << 20) /* what cp and cat take as their unit */
#define SECTOR_BYTES          512
#define NAME_BYTES            255
#define PAGE_ROWS             500
#define MAX_IO_BYTES          (1 << 20)
#define FILE_SECONDS          1.0
#define MTIME_BYTES           64
#define RENAME_NOREPLACE_FLAG 1u

static Mount *mount_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

/* interruption of calls that wait */

static void on_interrupt(fuse_req_t req, void *data)
{
    (void)req;
    g_cancellable_cancel(data);
}

static GCancellable *begin_waiting(fuse_req_t req)
{
    GCancellable *cancellable = g_cancellable_new();

    fuse_req_interrupt_func(req, on_interrupt, cancellable);
    return cancellable;
}

static void end_waiting(fuse_req_t req, GCancellable *cancellable)
{
    fuse_req_interrupt_func(req, NULL, NULL);
    g_object_unref(cancellable);
}

/* attributes */

static struct timespec to_timespec(int64_t us)
{
    return (struct timespec){us / USEC_PER_SEC, us % USEC_PER_SEC * 1000};
}

static void set_times(struct stat *attr, int64_t us)
{
    attr->st_mtim = attr->st_ctim = attr->st_atim = to_timespec(us);
}

static void fill_common(const Mount *mount, fuse_ino_t id, mode_t mode, struct stat *attr)
{
    *attr = (struct stat){.st_ino = id,
                          .st_mode = mode,
                          .st_nlink = 1,
                          .st_uid = mount->uid,
                          .st_gid = mount->gid,
                          .st_blksize = BLOCK_BYTES};
}

static void fill_folder(const Mount *mount, const Node *node, struct stat *attr)
{
    bool writable = node->partner != NULL && node->path[0] != '\0';

    fill_common(mount, node->id, S_IFDIR | (writable ? 0775 : 0755), attr);
    attr->st_nlink = 2;
    set_times(attr, mount->started_us);
}

static int fill_staged(const Node *node, Staged *staged, struct stat *attr)
{
    struct stat spool;

    if (fstat(staged->fd, &spool) != 0)
        return errno;
    *attr = (struct stat){.st_ino = node->id,
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

static void fill_transfer(const Mount *mount, const Node *node, const ClientTransfer *transfer,
                          struct stat *attr)
{
    bool ours =
            strcmp(transfer->direction, "send") == 0 || strcmp(transfer->direction, "offer") == 0;

    fill_common(mount, node->id, S_IFREG | (ours ? transfer->mode & 0777 : 0440), attr);
    attr->st_size = (off_t)transfer->size_bytes;
    attr->st_blocks = (attr->st_size + SECTOR_BYTES - 1) / SECTOR_BYTES;
    set_times(attr, transfer->mtime_us != 0 ? transfer->mtime_us : transfer->created_us);
}

/* A file that the partner may have. */
static void fill_fetchable(const Mount *mount, const Node *node, struct stat *attr)
{
    fill_common(mount, node->id, S_IFREG | 0440, attr);
    attr->st_size = (off_t)node->fetched_bytes;
    set_times(attr, node->fetched_us != 0 ? node->fetched_us : mount->started_us);
}

/* Attributes as they are now. ret_seconds: how long they hold. */
static int fill_node(Mount *mount, Node *node, struct stat *attr, double *ret_seconds)
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
    if (tree_is_scratch(node->path))
        return ENOENT;
    transfer = client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    if (transfer != NULL) {
        fill_transfer(mount, node, transfer, attr);
        *ret_seconds = strcmp(transfer->direction, "fetch") == 0 ? 0 : FILE_SECONDS;
        return 0;
    }
    if (error->code != BASE_ERROR_NOT_FOUND)
        return status_errno_of_error(error);
    if (!tree_find_rule(mount, node->partner, node->path, false, &rule) || !rule.fetch)
        return ENOENT;
    fill_fetchable(mount, node, attr);
    return 0;
}

static void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    const Handle *handle = info != NULL ? (const Handle *)(uintptr_t)info->fh : NULL;
    struct stat attr, open_file;
    double seconds = 0;
    int failure;

    if (node == NULL) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    if (handle != NULL && handle->staged != NULL)
        failure = fill_staged(node, handle->staged, &attr);
    else
        failure = fill_node(mount, node, &attr, &seconds);
    if (handle != NULL && handle->staged == NULL) { /* what is open keeps its size */
        if (failure != 0)
            fill_fetchable(mount, node, &attr);
        failure = fstat(handle->fd, &open_file) == 0 ? 0 : errno;
        attr.st_size = failure == 0 ? open_file.st_size : 0;
        seconds = 0;
    }
    if (failure != 0)
        fuse_reply_err(req, failure);
    else
        fuse_reply_attr(req, &attr, seconds);
}

/* names */

static int reply_entry(fuse_req_t req, Node *node, struct fuse_entry_param *entry)
{
    int failure;

    (void)req;
    *entry = (struct fuse_entry_param){.ino = node->id};
    failure = fill_node(mount_of(req), node, &entry->attr, &entry->attr_timeout);
    entry->entry_timeout = node->folder ? FILE_SECONDS : entry->attr_timeout;
    return failure;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent_id, const char *name)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    struct fuse_entry_param entry;
    g_autofree char *path = NULL;
    Node *node;
    const Node *local;
    int failure = 0;

    if (parent == NULL || !tree_refresh(mount, &failure)) {
        fuse_reply_err(req, parent == NULL ? ENOENT : failure);
        return;
    }
    if (parent->partner == NULL) {
        node = tree_has_partner(mount, name) ? tree_enter(mount, name, "", true) : NULL;
    } else {
        path = tree_join(parent->path, name);
        local = tree_find_local(mount, parent->partner, path);
        node = tree_enter(mount, parent->partner, path,
                          local != NULL ? local->folder
                                        : tree_is_folder(mount, parent->partner, path));
    }
    if (node == NULL) {
        fuse_reply_err(req, ENOENT);
        return;
    }
    failure = reply_entry(req, node, &entry);
    if (failure != 0) {
        tree_forget(mount, node->id, 1);
        fuse_reply_err(req, failure);
    } else {
        fuse_reply_entry(req, &entry);
    }
}

static void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t lookups)
{
    tree_forget(mount_of(req), id, lookups);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        tree_forget(mount_of(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

/* folders: a snapshot at opendir */

typedef struct {
    GPtrArray *names; /* char *, first character 'd' or 'f' */
} Listing;

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a + 1, *(const char *const *)b + 1);
}

static int list_stored(Mount *mount, const Node *node, GHashTable *names)
{
    g_autofree char *after = g_strdup("");

    for (;;) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) page = client_list(mount->client, node->partner, node->path, after,
                                                PAGE_ROWS, CALL_MS, &error);

        if (page == NULL)
            return status_errno_of_error(error);
        for (guint i = 0; i < page->len; i++) {
            const ClientTransfer *transfer = g_ptr_array_index(page, i);

            g_hash_table_replace(names, g_path_get_basename(transfer->path),
                                 GINT_TO_POINTER(false));
            g_free(after);
            after = g_strdup(transfer->path);
        }
        if (page->len < PAGE_ROWS)
            return 0;
    }
}

static void list_partners(Mount *mount, GHashTable *names)
{
    pthread_mutex_lock(&mount->lock);
    for (guint i = 0; i < mount->partners->len; i++) {
        const ClientPartner *partner = g_ptr_array_index(mount->partners, i);

        g_hash_table_replace(names, g_strdup(partner->name), GINT_TO_POINTER(true));
    }
    pthread_mutex_unlock(&mount->lock);
}

static int fill_listing(Mount *mount, const Node *node, Listing *listing)
{
    g_autoptr(GHashTable) names = NULL;
    GHashTableIter iterator;
    gpointer name, folder;
    int failure = 0;

    if (node->partner == NULL) {
        names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        list_partners(mount, names);
    } else {
        names = tree_list(mount, node->partner, node->path);
        failure = node->path[0] != '\0' ? list_stored(mount, node, names) : 0;
    }
    listing->names = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_iter_init(&iterator, names);
    while (g_hash_table_iter_next(&iterator, &name, &folder))
        g_ptr_array_add(listing->names,
                        g_strconcat(GPOINTER_TO_INT(folder) ? "d" : "f", name, NULL));
    g_ptr_array_sort(listing->names, compare_names);
    g_ptr_array_insert(listing->names, 0, g_strdup("d.."));
    g_ptr_array_insert(listing->names, 0, g_strdup("d."));
    return failure;
}

static void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    const Node *node = tree_get(mount, id);
    Listing *listing;
    int failure = 0;

    if (node == NULL || !tree_refresh(mount, &failure)) {
        fuse_reply_err(req, node == NULL ? ENOENT : failure);
        return;
    }
    listing = g_new0(Listing, 1);
    failure = fill_listing(mount, node, listing);
    if (failure != 0) {
        g_ptr_array_unref(listing->names);
        g_free(listing);
        fuse_reply_err(req, failure);
        return;
    }
    info->fh = (uintptr_t)listing;
    fuse_reply_open(req, info);
}

static void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                       struct fuse_file_info *info)
{
    const Listing *listing = (const Listing *)(uintptr_t)info->fh;
    g_autofree char *buffer = g_malloc(size);
    size_t used = 0;

    (void)id;
    for (guint i = (guint)offset; i < listing->names->len; i++) {
        const char *name = g_ptr_array_index(listing->names, i);
        struct stat attr = {.st_ino = ((ino_t)1 << 40) | g_str_hash(name), /* a hint only */
                            .st_mode = name[0] == 'd' ? S_IFDIR : S_IFREG};
        size_t needed =
                fuse_add_direntry(req, buffer + used, size - used, name + 1, &attr, (off_t)i + 1);

        if (needed > size - used)
            break;
        used += needed;
    }
    fuse_reply_buf(req, buffer, used);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Listing *listing = (Listing *)(uintptr_t)info->fh;

    (void)id;
    g_ptr_array_unref(listing->names);
    g_free(listing);
    fuse_reply_err(req, 0);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent_id, const char *name, mode_t mode)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    struct fuse_entry_param entry;
    g_autofree char *path = NULL;
    Node *node;

    (void)mode;
    path = parent != NULL ? tree_join(parent->path, name) : NULL;
    if (parent == NULL || parent->partner == NULL || parent->path[0] == '\0' ||
        !tree_is_scratch(path)) {
        fuse_reply_err(req, EPERM);
        return;
    }
    node = tree_enter(mount, parent->partner, path, true);
    node->local = true;
    (void)reply_entry(req, node, &entry); /* a folder has no failure */
    fuse_reply_entry(req, &entry);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent_id, const char *name)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    g_autofree char *path =
            parent != NULL && parent->partner != NULL ? tree_join(parent->path, name) : NULL;
    Node *node = path != NULL ? tree_find_local(mount, parent->partner, path) : NULL;
    g_autoptr(GHashTable) inside = NULL;

    if (node == NULL || !node->local) {
        fuse_reply_err(req, EPERM);
        return;
    }
    inside = tree_list(mount, parent->partner, path);
    if (g_hash_table_size(inside) > 0) {
        fuse_reply_err(req, ENOTEMPTY);
        return;
    }
    node->local = false;
    fuse_reply_err(req, 0);
}

/* open files */

static void reply_handle(fuse_req_t req, struct fuse_file_info *info, Handle *handle)
{
    info->fh = (uintptr_t)handle;
    info->direct_io = handle->staged != NULL;
    if (fuse_reply_open(req, info) == -ENOENT) /* the opener was interrupted: nobody will close */
        handle_release(mount_of(req), handle);
}

static void op_create(fuse_req_t req, fuse_ino_t parent_id, const char *name, mode_t mode,
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

    if (parent == NULL || parent->partner == NULL || parent->path[0] == '\0') {
        fuse_reply_err(req, parent == NULL ? ENOENT : EACCES);
        return;
    }
    path = tree_join(parent->path, name);
    node = tree_enter(mount, parent->partner, path, false);
    failure = handle_create(mount, node, context, mode & ~context->umask, true, &handle);
    if (failure == 0)
        failure = reply_entry(req, node, &entry);
    if (failure != 0) {
        if (handle != NULL)
            handle_release(mount, handle);
        tree_forget(mount, node->id, 1);
        fuse_reply_err(req, failure);
        return;
    }
    handle->append = (info->flags & O_APPEND) != 0;
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
    int failure = fill_node(mount, node, &attr, &seconds);

    if (failure != 0)
        return failure;
    if ((flags & O_APPEND) != 0)
        return EPERM; /* would send the whole file again */
    return handle_create(mount, node, context, attr.st_mode & 0777, (flags & O_TRUNC) != 0,
                         ret_handle);
}

static void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    Handle *handle = NULL;
    bool staged;
    int failure = 0;

    if (node == NULL || !tree_refresh(mount, &failure)) {
        fuse_reply_err(req, node == NULL ? ENOENT : failure);
        return;
    }
    pthread_mutex_lock(&mount->lock);
    staged = node->staged != NULL;
    pthread_mutex_unlock(&mount->lock);
    if (staged) {
        failure = handle_open_staged(mount, node, info->flags, fuse_req_ctx(req), &handle);
    } else if ((info->flags & O_ACCMODE) != O_RDONLY) {
        failure = open_again(mount, node, info->flags, fuse_req_ctx(req), &handle);
    } else {
        GCancellable *cancellable = begin_waiting(req);

        failure = handle_open_stored(mount, node, cancellable, &handle);
        end_waiting(req, cancellable);
    }
    if (failure != 0)
        fuse_reply_err(req, failure);
    else
        reply_handle(req, info, handle);
}

static void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
    const Handle *handle = (const Handle *)(uintptr_t)info->fh;
    struct fuse_bufvec buffer = FUSE_BUFVEC_INIT(size);

    (void)id;
    buffer.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
    buffer.buf[0].fd = handle->fd;
    buffer.buf[0].pos = offset;
    fuse_reply_data(req, &buffer, FUSE_BUF_SPLICE_MOVE);
}

static void op_write(fuse_req_t req, fuse_ino_t id, const char *bytes, size_t length, off_t offset,
                     struct fuse_file_info *info)
{
    Handle *handle = (Handle *)(uintptr_t)info->fh;
    ssize_t written;

    (void)id;
    if (!handle->writable) {
        fuse_reply_err(req, EPERM); /* its bytes were committed by an earlier close */
        return;
    }
    written = handle_write(handle, bytes, length, offset, info->lock_owner);
    if (written < 0)
        fuse_reply_err(req, (int)-written);
    else
        fuse_reply_write(req, (size_t)written);
}

static void op_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Handle *handle = (Handle *)(uintptr_t)info->fh;
    GCancellable *cancellable = begin_waiting(req);
    int failure = handle_flush(mount_of(req), handle, info->lock_owner, fuse_req_ctx(req)->pid,
                               cancellable);

    (void)id;
    end_waiting(req, cancellable);
    fuse_reply_err(req, failure);
}

static void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    (void)id;
    handle_release(mount_of(req), (Handle *)(uintptr_t)info->fh);
    fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t id, int data_only, struct fuse_file_info *info)
{
    const Handle *handle = (const Handle *)(uintptr_t)info->fh;

    (void)id;
    if (handle->staged == NULL)
        fuse_reply_err(req, 0);
    else
        fuse_reply_err(req,
                       (data_only ? fdatasync(handle->fd) : fsync(handle->fd)) == 0 ? 0 : errno);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length,
                         struct fuse_file_info *info)
{
    const Handle *handle = (const Handle *)(uintptr_t)info->fh;

    (void)id;
    if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0)
        fuse_reply_err(req, EOPNOTSUPP);
    else if (!handle->writable)
        fuse_reply_err(req, EPERM);
    else
        fuse_reply_err(req, fallocate(handle->fd, mode, offset, length) == 0 ? 0 : errno);
}

/* changes of attributes */

static int64_t wanted_mtime(const struct stat *attr, int to_set)
{
    if ((to_set & FUSE_SET_ATTR_MTIME_NOW) != 0)
        return clock_wall_us();
    return (int64_t)attr->st_mtim.tv_sec * USEC_PER_SEC + attr->st_mtim.tv_nsec / 1000;
}

static int change_staged(Mount *mount, Staged *staged, const struct stat *attr, int to_set)
{
    if ((to_set & FUSE_SET_ATTR_SIZE) != 0) {
        if (staged->committed)
            return EPERM;
        if (ftruncate(staged->fd, attr->st_size) != 0)
            return errno;
        if (attr->st_size > 0)
            atomic_store(&staged->dirty, true);
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
static int change_stored(Mount *mount, const Node *node, const struct stat *attr, int to_set)
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
    if ((to_set & FUSE_SET_ATTR_MODE) == 0 && !mtime)
        return 0;
    if (!client_touch(mount->client, transfer->id,
                      (to_set & FUSE_SET_ATTR_MODE) != 0 ? &mode : NULL, mtime ? &mtime_us : NULL,
                      CALL_MS, &error))
        return status_errno_of_error(error);
    return 0;
}

static void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set,
                       struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    Handle *handle = info != NULL ? (Handle *)(uintptr_t)info->fh : NULL;
    Staged *staged = NULL;
    double seconds;
    int failure;

    if (node == NULL || node->folder) {
        fuse_reply_err(req, node == NULL ? ENOENT : EPERM);
        return;
    }
    pthread_mutex_lock(&mount->lock);
    staged = handle != NULL && handle->staged != NULL && !handle->staged->committed ? handle->staged
                                                                                    : node->staged;
    if (staged != NULL)
        staged->references++;
    pthread_mutex_unlock(&mount->lock);
    failure = staged != NULL ? change_staged(mount, staged, attr, to_set)
                             : change_stored(mount, node, attr, to_set);
    if (failure == 0)
        failure = staged != NULL ? fill_staged(node, staged, attr)
                                 : fill_node(mount, node, attr, &seconds);
    if (staged != NULL)
        staged_unref(mount, staged);
    if (failure != 0)
        fuse_reply_err(req, failure);
    else
        fuse_reply_attr(req, attr, 0);
}

/* rename and unlink */

static Staged *take_staged(Mount *mount, Node *node)
{
    Staged *staged;

    pthread_mutex_lock(&mount->lock);
    staged = g_steal_pointer(&node->staged);
    pthread_mutex_unlock(&mount->lock);
    return staged;
}

static int remove_path(Mount *mount, const char *partner, const char *path)
{
    g_autoptr(GError) error = NULL;
    Node *local = tree_find_local(mount, partner, path);
    Staged *staged = local != NULL ? take_staged(mount, local) : NULL;

    if (staged != NULL) {
        atomic_store(&staged->poisoned, true); /* who has it open may go on, nothing is sent */
        staged_unref(mount, staged);
        tree_forget(mount, local->id, 0);
        return 0;
    }
    return client_remove(mount->client, partner, path, CALL_MS, &error)
                   ? 0
                   : status_errno_of_error(error);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent_id, const char *name)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    g_autofree char *path = NULL;

    if (parent == NULL || parent->partner == NULL) {
        fuse_reply_err(req, parent == NULL ? ENOENT : EPERM);
        return;
    }
    path = tree_join(parent->path, name);
    fuse_reply_err(req, remove_path(mount, parent->partner, path));
}

/* What is being written here gets another name; a declared name commits it. */
static int rename_local(Mount *mount, Node *node, const char *partner, const char *path,
                        bool noreplace, GCancellable *cancellable)
{
    Node *target = tree_find_local(mount, partner, path);
    Staged *staged;
    int failure;

    if (target != NULL && noreplace)
        return EEXIST;
    pthread_mutex_lock(&mount->lock);
    staged = node->staged;
    if (staged != NULL)
        staged->references++;
    pthread_mutex_unlock(&mount->lock);
    if (staged == NULL)
        return ENOENT;
    if (tree_is_scratch(path)) {
        if (strcmp(partner, node->partner) != 0)
            failure = EACCES;
        else if (!staged->scratch)
            failure = EPERM; /* a declared file cannot become a temporary one */
        else
            failure = target != NULL ? remove_path(mount, partner, path) : 0;
        if (failure == 0)
            tree_move(mount, node, partner, path);
    } else {
        failure =
                staged->writers > 0 && !staged->scratch
                        ? EBUSY
                        : commit_staged(mount, node, staged, partner, path, noreplace, cancellable);
        if (staged->committed) {
            if (target != NULL)
                (void)remove_path(mount, partner, path); /* an empty file stood there */
            tree_move(mount, node, partner, path);
        }
    }
    staged_unref(mount, staged);
    return failure;
}

static void op_rename(fuse_req_t req, fuse_ino_t parent_id, const char *name,
                      fuse_ino_t new_parent_id, const char *new_name, unsigned flags)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id), *new_parent = tree_get(mount, new_parent_id);
    g_autofree char *path = NULL;
    g_autofree char *new_path = NULL;
    GCancellable *cancellable;
    Node *node;
    int failure;

    if (parent == NULL || new_parent == NULL || (flags & ~RENAME_NOREPLACE_FLAG) != 0) {
        fuse_reply_err(req, parent == NULL || new_parent == NULL ? ENOENT : EINVAL);
        return;
    }
    if (parent->partner == NULL || new_parent->partner == NULL || new_parent->path[0] == '\0') {
        fuse_reply_err(req, EPERM);
        return;
    }
    path = tree_join(parent->path, name);
    new_path = tree_join(new_parent->path, new_name);
    node = tree_find_local(mount, parent->partner, path);
    if (node == NULL || node->folder) {
        fuse_reply_err(req, EPERM); /* what was committed keeps its name */
        return;
    }
    cancellable = begin_waiting(req);
    failure = rename_local(mount, node, new_parent->partner, new_path,
                           (flags & RENAME_NOREPLACE_FLAG) != 0, cancellable);
    end_waiting(req, cancellable);
    fuse_reply_err(req, failure);
}

static void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
    (void)id, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    (void)parent, (void)name, (void)mode, (void)device;
    fuse_reply_err(req, EPERM);
}

/* extended attributes */

/* State of what is only here. */
static char *local_value(const Staged *staged, const char *name)
{
    if (strcmp(name, "user.pesit.state") == 0) {
        struct stat stat;

        if (staged->scratch)
            return g_strdup("SCRATCH");
        return g_strdup(fstat(staged->fd, &stat) == 0 && stat.st_size == 0 && staged->writers == 0
                                ? "EMPTY"
                                : "WRITING");
    }
    if (strcmp(name, "user.pesit.ack") == 0)
        return g_strdup(staged->ack);
    if (strcmp(name, "user.pesit.wait") == 0 && staged->wait_s >= 0)
        return g_strdup_printf("%d", staged->wait_s);
    return NULL;
}

static char *find_value(Mount *mount, Node *node, const char *name)
{
    g_autoptr(ClientTransfer) transfer = NULL;
    char *value = NULL;

    if (node->folder || !g_str_has_prefix(name, "user.pesit."))
        return NULL;
    pthread_mutex_lock(&mount->lock);
    if (node->staged != NULL)
        value = local_value(node->staged, name);
    pthread_mutex_unlock(&mount->lock);
    if (value != NULL || node->staged != NULL)
        return value;
    transfer = client_find(mount->client, node->partner, node->path, CALL_MS, NULL);
    return transfer != NULL ? status_value(transfer, name) : NULL;
}

static void reply_bytes(fuse_req_t req, const char *bytes, size_t length, size_t size)
{
    if (size == 0)
        fuse_reply_xattr(req, length);
    else if (length > size)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, bytes, length);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    g_autofree char *value = node != NULL ? find_value(mount, node, name) : NULL;

    if (value == NULL)
        fuse_reply_err(req, ENODATA);
    else
        reply_bytes(req, value, strlen(value), size);
}

static void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
    static const char LOCAL[] = "user.pesit.state";
    Mount *mount = mount_of(req);
    const Node *node = tree_get(mount, id);
    size_t length = 0;
    const char *names = "";
    bool staged;

    if (node != NULL && !node->folder) {
        pthread_mutex_lock(&mount->lock);
        staged = node->staged != NULL;
        pthread_mutex_unlock(&mount->lock);
        length = sizeof LOCAL;
        names = staged ? LOCAL : status_names(&length);
    }
    reply_bytes(req, names, length, size);
}

/* user.pesit.ack and .wait of a file being written. */
static int set_local(Staged *staged, const char *name, const char *value)
{
    char *end = NULL;
    guint64 seconds;

    if (strcmp(name, "user.pesit.ack") == 0) {
        if (strcmp(value, "sent") != 0 && strcmp(value, "spool") != 0)
            return EINVAL;
        g_free(staged->ack);
        staged->ack = g_strdup(value);
        return 0;
    }
    if (strcmp(name, "user.pesit.wait") != 0)
        return EOPNOTSUPP;
    seconds = g_ascii_strtoull(value, &end, 10);
    if (value[0] == '\0' || *end != '\0' || seconds > 86400)
        return EINVAL;
    staged->wait_s = (int32_t)seconds;
    return 0;
}

static int run_action(Mount *mount, const Node *node, const char *action)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer =
            client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    bool done;

    if (transfer == NULL)
        return status_errno_of_error(error);
    if (strcmp(action, "retry") == 0 || strcmp(action, "resend") == 0)
        done = client_retry(mount->client, transfer->id, CALL_MS, &error);
    else if (strcmp(action, "cancel") == 0)
        done = client_cancel(mount->client, transfer->id, CALL_MS, &error);
    else
        return EINVAL;
    return done ? 0 : status_errno_of_error(error);
}

static void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *bytes,
                        size_t size, int flags)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    g_autofree char *value = g_strndup(bytes, size);
    int failure = EOPNOTSUPP;

    (void)flags;
    if (node != NULL && !node->folder && g_str_has_prefix(name, "user.pesit.")) {
        pthread_mutex_lock(&mount->lock);
        if (node->staged != NULL)
            failure = set_local(node->staged, name, value);
        pthread_mutex_unlock(&mount->lock);
        if (node->staged == NULL && strcmp(name, "user.pesit.action") == 0)
            failure = run_action(mount, node, value);
    }
    fuse_reply_err(req, failure);
}

static void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
    (void)id, (void)name;
    fuse_reply_err(req, EPERM);
}

/* the whole */

static void op_statfs(fuse_req_t req, fuse_ino_t id)
{
    g_autoptr(GError) error = NULL;
    struct statvfs stat = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_BYTES};
    uint64_t total, available;

    (void)id;
    if (!client_space(mount_of(req)->client, CALL_MS, &total, &available, &error)) {
        fuse_reply_err(req, status_errno_of_error(error));
        return;
    }
    stat.f_blocks = total / stat.f_frsize;
    stat.f_bfree = stat.f_bavail = available / stat.f_frsize;
    fuse_reply_statfs(req, &stat);
}

static void op_init(void *data, struct fuse_conn_info *connection)
{
    (void)data;
    connection->max_write = MAX_IO_BYTES;
    connection->max_readahead = MAX_IO_BYTES;
    connection->want |= connection->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_SPLICE_WRITE |
                                               FUSE_CAP_SPLICE_MOVE | FUSE_CAP_PARALLEL_DIROPS);
    connection->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS | FUSE_CAP_WRITEBACK_CACHE);
}

const struct fuse_lowlevel_ops MOUNT_OPS = {
        .init = op_init,
        .lookup = op_lookup,
        .forget = op_forget,
        .forget_multi = op_forget_multi,
        .getattr = op_getattr,
        .setattr = op_setattr,
        .mknod = op_mknod,
        .mkdir = op_mkdir,
        .unlink = op_unlink,
        .rmdir = op_rmdir,
        .symlink = op_symlink,
        .rename = op_rename,
        .link = op_link,
        .create = op_create,
        .open = op_open,
        .read = op_read,
        .write = op_write,
        .flush = op_flush,
        .release = op_release,
        .fsync = op_fsync,
        .fallocate = op_fallocate,
        .opendir = op_opendir,
        .readdir = op_readdir,
        .releasedir = op_releasedir,
        .statfs = op_statfs,
        .setxattr = op_setxattr,
        .getxattr = op_getxattr,
        .listxattr = op_listxattr,
        .removexattr = op_removexattr,
};
