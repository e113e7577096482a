/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names: looked up, made, removed, renamed. None waits for a partner, except the rename that commits.
 */
#include "pesitfs/ops.h"

#include "pesitfs/waiting.h"

#include <errno.h>
#include <string.h>

#define RENAME_NOREPLACE_FLAG 1u

/* names */

int reply_entry(fuse_req_t req, Node *node, struct fuse_entry_param *entry)
{
    int failure;

    (void)req;
    *entry = (struct fuse_entry_param){.ino = node->id};
    failure = fill_node(mount_of(req), node, &entry->attr, &entry->attr_timeout);
    entry->entry_timeout = node->folder ? FILE_SECONDS : entry->attr_timeout;
    return failure;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent_id, const char *name)
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

void op_rmdir(fuse_req_t req, fuse_ino_t parent_id, const char *name)
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
        atomic_store(&staged->removed, true); /* who has it open may go on, nothing is sent */
        staged_unref(mount, staged);
        tree_forget(mount, local->id, 0);
        return 0;
    }
    return client_remove(mount->client, partner, path, CALL_MS, &error)
                   ? 0
                   : status_errno_of_error(error);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent_id, const char *name)
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
                        bool noreplace, CommitWait *ret_wait)
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
        failure = staged->writers > 0 && !staged->scratch
                          ? EBUSY
                          : commit_staged(mount, node, staged, partner, path, noreplace, ret_wait);
        if (atomic_load(&staged->committed)) {
            if (target != NULL)
                (void)remove_path(mount, partner, path); /* an empty file stood there */
            tree_move(mount, node, partner, path);
        }
    }
    staged_unref(mount, staged);
    return failure;
}

void op_rename(fuse_req_t req, fuse_ino_t parent_id, const char *name, fuse_ino_t new_parent_id,
               const char *new_name, unsigned flags)
{
    Mount *mount = mount_of(req);
    const Node *parent = tree_get(mount, parent_id), *new_parent = tree_get(mount, new_parent_id);
    g_autofree char *path = NULL;
    g_autofree char *new_path = NULL;
    CommitWait wait = {0};
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
    failure = rename_local(mount, node, new_parent->partner, new_path,
                           (flags & RENAME_NOREPLACE_FLAG) != 0, &wait);
    if (wait.id != 0)
        waiting_for_transfer(mount, req, wait.id, wait.wait_s);
    else
        fuse_reply_err(req, failure);
}

void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
    (void)id, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
    (void)target, (void)parent, (void)name;
    fuse_reply_err(req, EPERM);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
    (void)parent, (void)name, (void)mode, (void)device;
    fuse_reply_err(req, EPERM);
}
