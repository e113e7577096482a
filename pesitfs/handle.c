/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files. close() and rename() are the two commits, because they are what applications check; a process
 * that a signal ended has not closed its file, the kernel has. filesystem rules: docs/filesystem.md.
 */
#include "pesitfs/handle.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PF_SIGNALED_BIT 0x400 /* of the flags in /proc/PID/stat: killed by a signal */
#define FLAGS_FIELD     6 /* after the name's parenthesis: state ppid pgrp session tty tpgid flags */
#define WHOLE_FILE      (1u << 30)

/* who closes */

static char *read_process(pid_t pid, const char *file)
{
    char path[48], *text = NULL;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file); /* fits */
    return pid > 0 && g_file_get_contents(path, &text, NULL, NULL) ? text : NULL;
}

/* Thread group of a thread; 0 when it cannot be known (another process namespace). */
static pid_t find_group(pid_t pid)
{
    g_autofree char *status = read_process(pid, "status");
    const char *line = status != NULL ? strstr(status, "\nTgid:") : NULL;

    return line != NULL ? (pid_t)g_ascii_strtoll(line + strlen("\nTgid:"), NULL, 10) : 0;
}

static bool was_killed(pid_t pid)
{
    g_autofree char *stat = read_process(pid, "stat");
    char *at = stat != NULL ? strrchr(stat, ')') : NULL;

    for (unsigned field = 0; at != NULL && field <= FLAGS_FIELD; field++)
        at = strchr(at + 1, ' ');
    return at != NULL && (g_ascii_strtoull(at + 1, NULL, 10) & PF_SIGNALED_BIT) != 0;
}

/* opening */

static Handle *handle_new(Mount *mount, Node *node, Staged *staged, int fd, bool writable,
                          const struct fuse_ctx *context)
{
    Handle *self = g_new0(Handle, 1);

    self->node = node;
    self->staged = staged;
    self->fd = fd;
    self->writable = writable;
    self->opener = context != NULL ? find_group(context->pid) : 0;
    pthread_mutex_lock(&mount->lock);
    node->handles++;
    if (writable)
        staged->writers++;
    pthread_mutex_unlock(&mount->lock);
    return self;
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

int handle_create(Mount *mount, Node *node, const struct fuse_ctx *context, mode_t mode,
                  bool truncate, Handle **ret_handle)
{
    g_autoptr(GError) error = NULL;
    bool scratch = tree_is_scratch(node->path);
    Staged *staged, *before;
    int64_t id;
    int fd = client_stage(mount->client, node->partner, node->path, scratch, CALL_MS, &id, &error);
    int failure;

    if (fd < 0)
        return status_errno_of_error(error);
    staged = staged_new(id, fd, scratch, mode, context->uid, context->gid);
    failure = truncate ? 0 : copy_stored(mount, node, staged);
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
    *ret_handle = handle_new(mount, node, staged, staged->fd, true, context);
    return 0;
}

int handle_open_staged(Mount *mount, Node *node, int flags, const struct fuse_ctx *context,
                       Handle **ret_handle)
{
    bool writing = (flags & O_ACCMODE) != O_RDONLY;
    Staged *staged;
    int failure = 0;

    pthread_mutex_lock(&mount->lock);
    staged = node->staged;
    if (staged == NULL)
        failure = ESTALE; /* committed or removed a moment ago: the kernel looks again */
    else if (staged->writers > 0 && (writing || !staged->scratch))
        failure = EBUSY; /* never interleave, never show half of a file */
    else
        staged->references++;
    pthread_mutex_unlock(&mount->lock);
    if (failure == 0 && (flags & O_TRUNC) != 0 && ftruncate(staged->fd, 0) != 0)
        failure = errno;
    if (failure != 0)
        return failure;
    *ret_handle = handle_new(mount, node, staged, staged->fd, writing, context);
    (*ret_handle)->append = (flags & O_APPEND) != 0;
    return 0;
}

static int fetch(Mount *mount, Node *node, const Rule *rule, GCancellable *cancellable, int *ret_fd)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer =
            client_fetch(mount->client, node->partner, node->path, rule->wait_s * 1000, cancellable,
                         ret_fd, &error);

    if (transfer == NULL)
        return status_errno_of_error(error);
    if (*ret_fd >= 0) {
        pthread_mutex_lock(&mount->lock);
        node->fetched_bytes = transfer->size_bytes;
        node->fetched_us = transfer->mtime_us;
        pthread_mutex_unlock(&mount->lock);
        return 0;
    }
    return g_cancellable_is_cancelled(cancellable) ? EINTR : status_errno(transfer);
}

int handle_open_stored(Mount *mount, Node *node, GCancellable *cancellable, Handle **ret_handle)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer = NULL;
    Rule rule = {0};
    int fd = -1, failure;

    if (tree_find_rule(mount, node->partner, node->path, false, &rule) && rule.fetch) {
        failure = fetch(mount, node, &rule, cancellable, &fd);
        if (failure != 0)
            return failure;
    } else {
        transfer = client_find(mount->client, node->partner, node->path, CALL_MS, &error);
        if (transfer != NULL)
            fd = client_open(mount->client, transfer->id, CALL_MS, &error);
        if (fd < 0)
            return status_errno_of_error(error);
    }
    *ret_handle = handle_new(mount, node, NULL, fd, false, NULL);
    return 0;
}

/* writing */

ssize_t handle_write(Handle *self, const void *bytes, size_t length, off_t offset, uint64_t owner)
{
    size_t done = 0;

    if (self->append) {
        struct stat stat;

        if (fstat(self->fd, &stat) != 0)
            return -errno;
        offset = stat.st_size;
    }
    while (done < length) {
        ssize_t count =
                pwrite(self->fd, (const char *)bytes + done, length - done, offset + (off_t)done);

        if (count < 0) {
            atomic_store(&self->staged->poisoned, true);
            return -errno;
        }
        done += (size_t)count;
    }
    if (atomic_load_explicit(&self->staged->dirty, memory_order_relaxed) &&
        owner != self->last_writer)
        self->mixed_writers = true;
    self->last_writer = owner;
    atomic_store(&self->staged->dirty, true);
    return (ssize_t)length;
}

/* committing */

static int64_t mtime_of(const Staged *staged)
{
    struct stat stat;

    if (staged->mtime_us != 0 || fstat(staged->fd, &stat) != 0)
        return staged->mtime_us;
    return (int64_t)stat.st_mtim.tv_sec * USEC_PER_SEC + stat.st_mtim.tv_nsec / 1000;
}

static void forget_staged(Mount *mount, Node *node, Staged *staged)
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

int commit_staged(Mount *mount, Node *node, Staged *staged, const char *partner, const char *path,
                  bool noreplace, GCancellable *cancellable)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer = NULL;
    g_autoptr(ClientTransfer) final = NULL;
    Rule rule = {0};
    uint32_t wait_s;
    bool sent;

    if (atomic_load(&staged->poisoned))
        return EIO;
    if (!tree_find_rule(mount, partner, path, true, &rule))
        return EACCES;
    sent = staged->ack != NULL ? strcmp(staged->ack, "sent") == 0 : rule.sent;
    wait_s = staged->wait_s >= 0 ? (uint32_t)staged->wait_s : rule.wait_s;
    if (fdatasync(staged->fd) != 0)
        return errno;
    transfer = client_commit(mount->client, staged->id, partner, path, staged->mode,
                             mtime_of(staged), noreplace, CALL_MS, &error);
    if (transfer == NULL)
        return error->code == BASE_ERROR_NOT_FOUND ? EIO /* the daemon restarted: staged is gone */
                                                   : status_errno_of_error(error);
    staged->committed = true;
    atomic_store(&staged->dirty, false);
    forget_staged(mount, node, staged);
    if (!sent || !rule.send)
        return 0;
    final = client_wait(mount->client, transfer->id, wait_s * 1000, cancellable, &error);
    if (final == NULL)
        return status_errno_of_error(error);
    return status_errno(final);
}

/* Whether this close is that of whoever opened the file, not of a child that inherited it. */
static bool is_openers(const Handle *self, uint64_t owner, pid_t pid)
{
    pid_t group;

    if (self->closed_once)
        return owner == self->owner;
    group = find_group(pid);
    if (group != 0 && self->opener != 0)
        return group == self->opener;
    return !self->mixed_writers && owner == self->last_writer;
}

/* Removes what a killed process has left half-written. */
static void abandon(Mount *mount, Handle *self)
{
    atomic_store(&self->staged->poisoned, true);
    atomic_store(&self->staged->dirty, false);
    forget_staged(mount, self->node, self->staged);
}

int handle_flush(Mount *mount, Handle *self, uint64_t owner, pid_t pid, GCancellable *cancellable)
{
    Rule rule = {0};
    bool removed;
    int failure;

    if (!self->writable)
        return 0;
    pthread_mutex_lock(&mount->lock);
    removed = self->node->staged != self->staged; /* unlinked while open */
    pthread_mutex_unlock(&mount->lock);
    if (removed)
        return 0;
    if (!atomic_load(&self->staged->dirty)) {
        if (!self->closed_once) {
            self->closed_once = true;
            self->owner = owner;
        }
        return 0;
    }
    if (was_killed(pid)) {
        abandon(mount, self);
        return 0;
    }
    if (self->staged->scratch || !is_openers(self, owner, pid))
        return 0;
    if (!tree_find_rule(mount, self->node->partner, self->node->path, true, &rule))
        return EACCES;
    if (rule.on_rename)
        return 0;
    failure = commit_staged(mount, self->node, self->staged, self->node->partner, self->node->path,
                            false, cancellable);
    if (self->staged->committed)
        self->writable = false; /* what comes later would change bytes that were taken */
    return failure;
}

/* A commit that no close could make, or a file without a byte where that is allowed. */
static void commit_late(Mount *mount, const Handle *self)
{
    Staged *staged = self->staged;
    Rule rule = {0};
    struct stat stat;
    bool dirty = atomic_load(&staged->dirty);

    if (!self->writable || staged->scratch || staged->committed || atomic_load(&staged->poisoned) ||
        fstat(staged->fd, &stat) != 0 ||
        !tree_find_rule(mount, self->node->partner, self->node->path, true, &rule) ||
        rule.on_rename || (!dirty && !(rule.allow_empty && stat.st_size == 0)))
        return;
    g_free(staged->ack);
    staged->ack = g_strdup("spool"); /* nobody waits for this close */
    (void)commit_staged(mount, self->node, staged, self->node->partner, self->node->path, false,
                        NULL); /* nobody hears; the file stays in the mount */
}

/* Opened for writing, closed without a byte: what the daemon has stays, with the time and mode that were set. */
static void give_up_copy(Mount *mount, Handle *self)
{
    Staged *staged = self->staged;
    uint32_t mode = staged->mode;
    int64_t mtime_us = staged->mtime_us;

    if (!self->writable || staged->copy_of == 0 || staged->committed || atomic_load(&staged->dirty))
        return;
    if (staged->changed)
        (void)client_touch(mount->client, staged->copy_of, &mode, mtime_us != 0 ? &mtime_us : NULL,
                           CALL_MS, NULL); /* nobody hears */
    forget_staged(mount, self->node, staged);
}

void handle_release(Mount *mount, Handle *self)
{
    Node *node = self->node;

    if (self->staged != NULL) {
        commit_late(mount, self);
        give_up_copy(mount, self);
        pthread_mutex_lock(&mount->lock);
        if (self->writable || self->staged->committed)
            self->staged->writers -= self->staged->writers > 0 ? 1 : 0;
        pthread_mutex_unlock(&mount->lock);
        if (atomic_load(&self->staged->poisoned) && !self->staged->scratch)
            forget_staged(mount, node, self->staged); /* a file that could not be written whole */
        staged_unref(mount, self->staged);
    } else {
        fd_clear(&self->fd);
    }
    pthread_mutex_lock(&mount->lock);
    node->handles--;
    pthread_mutex_unlock(&mount->lock);
    tree_forget(mount, node->id, 0); /* frees it when nobody knows it any more */
    g_free(self);
}
