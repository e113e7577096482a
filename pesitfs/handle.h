/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open files: where their bytes are, who opened them, and when a close is the commit. Errors are errno
 * values, 0 for success. Any FUSE thread; a handle's reads and writes take no lock.
 */
#pragma once

#include "pesitfs/mount.h"

typedef struct {
    Node *node;
    Staged *staged; /* what is written; NULL: a file of the daemon, read only */
    int fd;         /* to read and write; owned when staged is NULL */
    bool writable;
    bool append;
    bool closed_once;     /* a close without new bytes came: its owner opened the file */
    uint64_t owner;       /* lock owner of that close */
    uint64_t last_writer; /* lock owner of the newest write */
    bool mixed_writers;
    pid_t opener; /* thread group, 0: not to be known */
} Handle;

/* New file, or a new version of one: stages it. path_node: its node. */
int handle_create(Mount *mount, Node *node, const struct fuse_ctx *context, mode_t mode,
                  bool truncate, Handle **ret_handle);
/* Another handle of what is being written here. */
int handle_open_staged(Mount *mount, Node *node, int flags, const struct fuse_ctx *context,
                       Handle **ret_handle);
/* A file that the daemon has, or that the partner is asked for. */
int handle_open_stored(Mount *mount, Node *node, GCancellable *cancellable, Handle **ret_handle);
ssize_t handle_write(Handle *self, const void *bytes, size_t length, off_t offset, uint64_t owner);
/* A close of one descriptor: commits when it is the opener's. */
int handle_flush(Mount *mount, Handle *self, uint64_t owner, pid_t pid, GCancellable *cancellable);
/* The last close. */
void handle_release(Mount *mount, Handle *self);

/* Gives staged bytes to the daemon as PARTNER/path and waits as the rule says. */
int commit_staged(Mount *mount, Node *node, Staged *staged, const char *partner, const char *path,
                  bool noreplace, GCancellable *cancellable);
