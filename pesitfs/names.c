/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: looked up, made, removed, renamed. None waits for a partner, except the rename that commits.
 */
#include "pesitfs/ops.h"

#include "base/clock.h"
#include "base/error.h"
#include "pesitfs/waiting.h"

#include <errno.h>
#include <string.h>

#define RENAME_NOREPLACE_FLAG 1u

/* names */

int fill_entry(Mount *mount, Node *node, const ClientTransfer *known,
               struct fuse_entry_param *entry)
{
    int failure;

    *entry = (struct fuse_entry_param){.ino = node->id};
    failure = fill_node(mount, node, known, &entry->attr, &entry->attr_timeout);
    entry->entry_timeout = node->folder ? FILE_SECONDS : MIN(entry->attr_timeout, FILE_SECONDS);
    return failure;
}

/* What is not there is not there for a moment: desktops and shells ask for the same names again and again. */
static void reply_absent(fuse_req_t req)
{
    const struct fuse_entry_param nothing = {.entry_timeout = FILE_SECONDS};

    fuse_reply_entry(req, &nothing);
}

Node *enter_name(Mount *mount, const char *partner, const char *folder, const char *name)
{
    g_autofree char *path = NULL;
    const Node *local;

    if (partner == NULL)
        return tree_has_partner(mount, name) ? tree_enter(mount, name, "", true) : NULL;
    path = tree_join(folder, name);
    local = tree_find_local(mount, partner, path);
    return tree_enter(mount, partner, path,
                      local != NULL ? local->folder : tree_is_folder(mount, partner, path));
}

void op_lookup(fuse_req_t req, fuse_ino_t parent_id, const char *name)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    struct fuse_entry_param entry;
    Node *node;
    int failure = 0;

    if (parent == NULL || !tree_refresh(mount, &failure)) {
        ops_reply_error(req, parent == NULL ? ENOENT : failure);
        return;
    }
    node = enter_name(mount, parent->partner, parent->path, name);
    failure = node != NULL ? fill_entry(mount, node, NULL, &entry) : ENOENT;
    if (failure != 0 && node != NULL)
        tree_forget(mount, node->id, 1);
    if (failure == ENOENT) {
        reply_absent(req);
    } else if (failure != 0) {
        ops_reply_error(req, failure);
    } else {
        fuse_reply_entry(req, &entry);
    }
}

void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t lookups)
{
    tree_forget(mount_of(req), id, lookups);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        tree_forget(mount_of(req), forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}
void op_mkdir(fuse_req_t req, fuse_ino_t parent_id, const char *name, mode_t mode)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    const struct fuse_ctx *context = fuse_req_ctx(req);
    struct fuse_entry_param entry;
    g_autofree char *path = NULL;
    Node *node;

    path = parent != NULL ? tree_join(parent->path, name) : NULL;
    if (parent == NULL || parent->partner == NULL ||
        !tree_is_scratch(mount, parent->partner, path) ||
        !tree_takes_files(mount, parent->partner, parent->path)) {
        ops_reply_error(req, EPERM);
        return;
    }
    node = tree_enter(mount, parent->partner, path, true);
    pthread_mutex_lock(&mount->lock);
    node->local = true;
    node->mode = mode & 0777 & ~context->umask;
    node->uid = context->uid;
    node->gid = context->gid;
    pthread_mutex_unlock(&mount->lock);
    tree_touch_folder(mount, parent->partner, parent->path, clock_wall_us());
    (void)fill_entry(mount, node, NULL, &entry); /* a folder has no failure */
    fuse_reply_entry(req, &entry);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent_id, const char *name)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    g_autofree char *path =
            parent != NULL && parent->partner != NULL ? tree_join(parent->path, name) : NULL;
    Node *node = path != NULL ? tree_find_local(mount, parent->partner, path) : NULL;
    g_autoptr(GHashTable) inside = NULL;

    if (node == NULL || !node->local) {
        ops_reply_error(req, EPERM);
        return;
    }
    inside = tree_list(mount, parent->partner, path);
    if (g_hash_table_size(inside) > 0) {
        ops_reply_error(req, ENOTEMPTY);
        return;
    }
    pthread_mutex_lock(&mount->lock);
    node->local = false;
    pthread_mutex_unlock(&mount->lock);
    tree_touch_folder(mount, parent->partner, parent->path, clock_wall_us());
    ops_reply_error(req, 0);
}

/* unlink */

static Staged *take_staged(Mount *mount, Node *node)
{
    Staged *staged;

    pthread_mutex_lock(&mount->lock);
    staged = g_steal_pointer(&node->staged);
    pthread_mutex_unlock(&mount->lock);
    return staged;
}

static void remove_staged(Mount *mount, Node *node)
{
    Staged *staged = take_staged(mount, node);

    if (staged == NULL)
        return;                           /* committed meanwhile */
    atomic_store(&staged->removed, true); /* who has it open may go on, nothing is sent */
    staged_unref(mount, staged);
    tree_forget(mount, node->id, 0);
}

/* What is being written goes, and what the daemon has below it too. */
static int remove_path(Mount *mount, const char *partner, const char *path, uid_t for_uid)
{
    g_autoptr(GError) error = NULL;
    Node *local = tree_find_local(mount, partner, path);

    if (!tree_is_scratch(mount, partner, path) &&
        !client_remove(mount->client, partner, path, for_uid, CALL_MS, &error) &&
        (local == NULL || error->code != BASE_ERROR_NOT_FOUND))
        return status_errno_of_error(error);
    if (local != NULL)
        remove_staged(mount, local);
    return 0;
}

void op_unlink(fuse_req_t req, fuse_ino_t parent_id, const char *name)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id);
    g_autofree char *path = NULL;
    int failure;

    if (parent == NULL || parent->partner == NULL) {
        ops_reply_error(req, parent == NULL ? ENOENT : EPERM);
        return;
    }
    path = tree_join(parent->path, name);
    failure = remove_path(mount, parent->partner, path, fuse_req_ctx(req)->uid);
    if (failure == 0)
        tree_touch_folder(mount, parent->partner, parent->path, clock_wall_us());
    ops_reply_error(req, failure);
}

/* rename */

typedef struct {
    Node *node; /* what is renamed: being written here */
    Staged *staged;
    const char *partner, *path; /* its new name */
    bool noreplace;
} Rename;

/* Temporary to temporary: a name, nothing else. */
static int rename_to_scratch(Mount *mount, const Rename *rename)
{
    int failure;

    if (!rename->staged->scratch)
        return EPERM; /* a declared file cannot become a temporary one */
    failure = remove_path(mount, rename->partner, rename->path, rename->staged->writer);
    if (failure == 0)
        tree_move(mount, rename->node, rename->partner, rename->path);
    return failure;
}

/* No byte, and nothing to send: it stands there, empty. */
static int rename_empty(Mount *mount, const Rename *rename)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) there = NULL;
    Node *target = tree_find_local(mount, rename->partner, rename->path);

    if (rename->noreplace) {
        there = client_find(mount->client, rename->partner, rename->path, CALL_MS, &error);
        if (there != NULL)
            return EEXIST;
        if (error->code != BASE_ERROR_NOT_FOUND)
            return status_errno_of_error(error);
    }
    if (target != NULL)
        remove_staged(mount, target);
    pthread_mutex_lock(&mount->lock);
    rename->staged->scratch = false;
    pthread_mutex_unlock(&mount->lock);
    tree_move(mount, rename->node, rename->partner, rename->path);
    return 0;
}

/* A declared name: the commit. */
static int rename_to_declared(Mount *mount, const Rename *rename, CommitWait *ret_wait)
{
    Node *target = tree_find_local(mount, rename->partner, rename->path);
    Rule rule = {0};
    struct stat stat;
    int failure;

    if (!tree_find_rule(mount, rename->partner, rename->path, true, &rule))
        return EACCES;
    if (!rename->staged->scratch && !handle_wait_released(mount, rename->node))
        return EBUSY;
    if (fstat(rename->staged->fd, &stat) == 0 && stat.st_size == 0 && !rule.allow_empty)
        return rename_empty(mount, rename);
    failure = commit_staged(mount, rename->node, rename->staged, rename->partner, rename->path,
                            rename->noreplace, ret_wait);
    if (failure == 0) {
        if (target != NULL)
            remove_staged(mount, target); /* an empty file stood there */
        tree_move(mount, rename->node, rename->partner, rename->path);
    }
    return failure;
}

/* What is being written here gets another name. */
static int rename_local(Mount *mount, Rename *rename, CommitWait *ret_wait)
{
    const Node *target = tree_find_local(mount, rename->partner, rename->path);
    int failure;

    if (target != NULL && rename->noreplace)
        return EEXIST;
    if (target != NULL && !handle_wait_released(mount, target))
        return EBUSY;
    pthread_mutex_lock(&mount->lock);
    rename->staged = rename->node->staged;
    if (rename->staged != NULL)
        rename->staged->references++;
    pthread_mutex_unlock(&mount->lock);
    if (rename->staged == NULL)
        return ENOENT;
    failure = tree_is_scratch(mount, rename->partner, rename->path)
                      ? rename_to_scratch(mount, rename)
                      : rename_to_declared(mount, rename, ret_wait);
    staged_unref(mount, rename->staged);
    return failure;
}

/* What was committed keeps its name. */
static int refuse_rename(Mount *mount, const char *partner, const char *path)
{
    g_autoptr(ClientTransfer) transfer = client_find(mount->client, partner, path, CALL_MS, NULL);

    return transfer != NULL && strcmp(transfer->state, "running") == 0 ? EBUSY : EPERM;
}

void op_rename(fuse_req_t req, fuse_ino_t parent_id, const char *name, fuse_ino_t new_parent_id,
               const char *new_name, unsigned flags)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id), *new_parent = tree_get(mount, new_parent_id);
    g_autofree char *path = NULL;
    g_autofree char *new_path = NULL;
    CommitWait wait = {0};
    Rename rename = {0};
    int failure;

    if (parent == NULL || new_parent == NULL || (flags & ~RENAME_NOREPLACE_FLAG) != 0) {
        ops_reply_error(req, parent == NULL || new_parent == NULL ? ENOENT : EINVAL);
        return;
    }
    if (parent->partner == NULL || new_parent->partner == NULL) {
        ops_reply_error(req, EPERM);
        return;
    }
    path = tree_join(parent->path, name);
    new_path = tree_join(new_parent->path, new_name);
    rename = (Rename){tree_find_local(mount, parent->partner, path), NULL, new_parent->partner,
                      new_path, (flags & RENAME_NOREPLACE_FLAG) != 0};
    if (rename.node != NULL && !rename.node->folder &&
        !tree_takes_files(mount, new_parent->partner, new_parent->path))
        failure = EACCES;
    else if (rename.node == NULL || rename.node->folder)
        failure = refuse_rename(mount, parent->partner, path);
    else
        failure = rename_local(mount, &rename, &wait);
    if (failure == 0) {
        tree_touch_folder(mount, parent->partner, parent->path, clock_wall_us());
        tree_touch_folder(mount, new_parent->partner, new_parent->path, clock_wall_us());
    }
    if (wait.id != 0)
        waiting_for_transfer(mount, req, wait.id, wait.wait_s);
    else
        ops_reply_error(req, failure);
}

/* what a partner could not be sent */

void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
    (void)id, (void)parent, (void)name;
    ops_reply_error(req, EPERM);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    ops_reply_error(req, EPERM);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    (void)parent, (void)name, (void)mode, (void)device;
    ops_reply_error(req, EPERM);
}
