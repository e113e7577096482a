/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When written bytes become a transfer. close() and rename() are the two commits, because they are what
 * applications check. What a killed process leaves, or a write that failed, is never one.
 */
#include "pesitfs/handle.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "pesitfs/owner.h"
#include "pesitfs/process.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t mtime_of(Mount *mount, const Staged *staged)
{
    struct stat stat;
    int64_t mtime_us;

    pthread_mutex_lock(&mount->lock);
    mtime_us = staged->mtime_us;
    pthread_mutex_unlock(&mount->lock);
    if (mtime_us != 0 || fstat(staged->fd, &stat) != 0)
        return mtime_us;
    return (int64_t)stat.st_mtim.tv_sec * USEC_PER_SEC + stat.st_mtim.tv_nsec / 1000;
}

void commit_forget(Mount *mount, Node *node, Staged *staged)
{
    bool held;

    pthread_mutex_lock(&mount->lock);
    held = node->staged == staged;
    if (held)
        node->staged = NULL;
    pthread_mutex_unlock(&mount->lock);
    if (held)
        staged_unref(mount, staged);
}

bool commit_has_bytes(const Staged *staged)
{
    struct stat stat;

    return atomic_load(&staged->dirty) && (fstat(staged->fd, &stat) != 0 || stat.st_size > 0);
}

static bool is_empty(const Staged *staged)
{
    struct stat stat;

    return fstat(staged->fd, &stat) == 0 && stat.st_size == 0;
}

/* One at a time: two descriptors may be closed at once. */
static int begin_commit(Mount *mount, Staged *staged)
{
    int failure = 0;

    pthread_mutex_lock(&mount->lock);
    if (atomic_load(&staged->poisoned))
        failure = EIO;
    else if (staged->committing || atomic_load(&staged->committed))
        failure = EBUSY;
    else
        staged->committing = true;
    pthread_mutex_unlock(&mount->lock);
    return failure;
}

/* The daemon went before it answered: whether the transfer is there says what it did. */
static ClientTransfer *find_committed(Mount *mount, const Staged *staged, const char *partner,
                                      const char *path, int64_t since_us)
{
    g_autoptr(ClientTransfer) found = client_find(mount->client, partner, path, CALL_MS, NULL);
    struct stat stat;

    if (found == NULL || found->created_us < since_us || fstat(staged->fd, &stat) != 0 ||
        found->size_bytes != (uint64_t)stat.st_size)
        return NULL;
    return g_steal_pointer(&found);
}

static ClientTransfer *hand_over(Mount *mount, Staged *staged, const char *partner,
                                 const char *path, bool noreplace, int *ret_failure)
{
    g_autoptr(GError) error = NULL;
    ClientTransfer *transfer;
    int64_t since_us;
    mode_t mode;
    uid_t uid;
    gid_t gid;

    if (fdatasync(staged->fd) != 0) {
        *ret_failure = errno;
        return NULL;
    }
    pthread_mutex_lock(&mount->lock);
    mode = staged->mode;
    uid = staged->uid;
    gid = staged->gid;
    pthread_mutex_unlock(&mount->lock);
    owner_save(staged->fd, uid, gid);
    since_us = clock_wall_us();
    transfer = client_commit(mount->client, staged->id, partner, path, mode,
                             mtime_of(mount, staged), noreplace, staged->writer, CALL_MS, &error);
    if (transfer == NULL && error->code == BASE_ERROR_UNREACHABLE)
        transfer = find_committed(mount, staged, partner, path, since_us);
    if (transfer == NULL) /* not found: the daemon has restarted, and what was staged went */
        *ret_failure = error->code == BASE_ERROR_NOT_FOUND ? EIO : status_errno_of_error(error);
    return transfer;
}

int commit_staged(Mount *mount, Node *node, Staged *staged, const char *partner, const char *path,
                  bool noreplace, CommitWait *ret_wait)
{
    g_autoptr(ClientTransfer) transfer = NULL;
    Rule rule = {0};
    struct stat stat;
    bool sent;
    int failure;

    if (!tree_is_enabled(mount, partner))
        return EPERM;
    if (!tree_find_rule(mount, partner, path, true, &rule))
        return EACCES;
    if (rule.max_bytes != 0 && fstat(staged->fd, &stat) == 0 &&
        (uint64_t)stat.st_size > rule.max_bytes)
        return EFBIG;
    failure = begin_commit(mount, staged);
    if (failure != 0)
        return failure;
    transfer = hand_over(mount, staged, partner, path, noreplace, &failure);
    pthread_mutex_lock(&mount->lock);
    staged->committing = false;
    if (transfer != NULL) {
        atomic_store(&staged->committed, true);
        atomic_store(&staged->dirty, false);
        node->uid = staged->uid;
        node->gid = staged->gid;
        node->has_owner = true;
    }
    sent = staged->ack != NULL ? strcmp(staged->ack, "sent") == 0 : rule.sent;
    if (staged->wait_s >= 0)
        rule.wait_s = (uint32_t)staged->wait_s;
    pthread_mutex_unlock(&mount->lock);
    if (transfer == NULL)
        return failure;
    commit_forget(mount, node, staged);
    if (sent && rule.send)
        *ret_wait = (CommitWait){transfer->id, rule.wait_s};
    return 0;
}

/* Whether this close is that of whoever opened the file, not of a child that inherited it. */
static bool is_openers(const Handle *self, uint64_t owner, pid_t group)
{
    if (group != 0 && self->opener != 0)
        return group == self->opener;
    if (atomic_load(&self->owned))
        return owner == atomic_load(&self->owner);
    return !atomic_load(&self->mixed_writers) && owner == atomic_load(&self->last_writer);
}

/* A close without new bytes: of touch, or of a shell's redirection. */
static void note_owner(Handle *self, uint64_t owner, pid_t group)
{
    if (atomic_load(&self->owned) || (group != 0 && self->opener != 0 && group != self->opener))
        return;
    atomic_store(&self->owner, owner);
    atomic_store(&self->owned, true);
}

/* The kernel closes the file of a killed process: what it, or its child, wrote of it is not whole. */
static void abandon(Mount *mount, Handle *self, uint64_t owner, pid_t group)
{
    Staged *staged = self->staged;

    if (!is_openers(self, owner, group) &&
        (owner != atomic_load(&self->last_writer) || !atomic_load(&staged->dirty)))
        return; /* it only inherited the descriptor */
    atomic_store(&staged->poisoned, true);
    if (!staged->scratch)
        commit_forget(mount, self->node, staged);
}

static bool has_other_descriptor(Mount *mount, const Node *node, pid_t group)
{
    g_autofree char *name = NULL;
    uint64_t inodes[2];

    pthread_mutex_lock(&mount->lock);
    name = g_path_get_basename(node->path);
    inodes[0] = node->inode;
    inodes[1] = node->inode_before; /* the kernel may not know yet that it was renamed */
    pthread_mutex_unlock(&mount->lock);
    return process_has_open(group, name, inodes);
}

static int commit_at_close(Mount *mount, Handle *self, CommitWait *ret_wait)
{
    Rule rule = {0};
    int failure = 0;

    if (!tree_find_rule(mount, self->node->partner, self->node->path, true, &rule))
        failure = EACCES;
    else if (rule.on_rename)
        return 0;
    else
        failure = commit_staged(mount, self->node, self->staged, self->node->partner,
                                self->node->path, false, ret_wait);
    if (failure != 0)
        atomic_store(&self->staged->poisoned,
                     true); /* the last close must not send what this one failed to */
    return failure;
}

int handle_flush(Mount *mount, Handle *self, uint64_t owner, pid_t pid, CommitWait *ret_wait)
{
    Staged *staged = self->staged;
    pid_t group;

    if (!self->writable || atomic_load(&staged->removed) || atomic_load(&staged->committed))
        return 0;
    if (atomic_load(&staged->poisoned))
        return EIO;
    group = process_group(pid);
    if (process_is_killed(pid)) {
        abandon(mount, self, owner, group);
        return 0; /* nobody hears */
    }
    if (!commit_has_bytes(staged)) {
        note_owner(self, owner, group);
        return 0;
    }
    if (staged->scratch || !is_openers(self, owner, group) ||
        has_other_descriptor(mount, self->node, group))
        return 0;
    return commit_at_close(mount, self, ret_wait);
}

/* A commit that no close could make, or a file without a byte where that is allowed. */
static void commit_late(Mount *mount, Handle *self)
{
    Staged *staged = self->staged;
    CommitWait unused;
    Rule rule = {0};
    int failure;

    if (!self->writable || staged->scratch || atomic_load(&staged->committed) ||
        atomic_load(&staged->poisoned) || atomic_load(&staged->removed) ||
        !tree_find_rule(mount, self->node->partner, self->node->path, true, &rule) ||
        rule.on_rename || (!commit_has_bytes(staged) && !(rule.allow_empty && is_empty(staged))))
        return;
    failure = commit_staged(mount, self->node, staged, self->node->partner, self->node->path, false,
                            &unused); /* nobody waits for this close */
    if (failure != 0) {
        atomic_store(&staged->poisoned, true);
        log_event(LOG_LATE_COMMIT_FAILED, "PARTNER", self->node->partner, "PATH", self->node->path,
                  "REASON", g_strerror(failure), NULL);
    }
}

/* Opened for writing, closed without a byte: what the daemon has stays, with the time and mode that were set. */
static void give_up_copy(Mount *mount, Handle *self)
{
    Staged *staged = self->staged;
    uint32_t mode;
    int64_t mtime_us;
    bool changed;

    if (!self->writable || staged->copy_of == 0 || atomic_load(&staged->committed) ||
        atomic_load(&staged->dirty))
        return;
    pthread_mutex_lock(&mount->lock);
    mode = staged->mode;
    mtime_us = staged->mtime_us;
    changed = staged->changed;
    pthread_mutex_unlock(&mount->lock);
    if (changed)
        (void)client_touch(mount->client, staged->copy_of, &mode, mtime_us != 0 ? &mtime_us : NULL,
                           CALL_MS, NULL); /* nobody hears */
    commit_forget(mount, self->node, staged);
}

void handle_release(Mount *mount, Handle *self)
{
    Node *node = self->node;
    Staged *staged = self->staged;
    bool gone;

    if (staged != NULL) {
        commit_late(mount, self);
        give_up_copy(mount, self);
        pthread_mutex_lock(&mount->lock);
        if (self->writable)
            staged->writers--;
        gone = tree_is_gone(node);
        pthread_cond_broadcast(&mount->released);
        pthread_mutex_unlock(&mount->lock);
        if (atomic_load(&staged->poisoned) || gone)
            commit_forget(mount, node, staged); /* a file that could not be written whole */
    }
    pthread_mutex_lock(&mount->lock);
    node->handles--;
    g_hash_table_remove(mount->handles, self);
    pthread_mutex_unlock(&mount->lock);
    handle_free(mount, self);
    tree_forget(mount, node->id, 0); /* frees it when nobody knows it any more */
}
