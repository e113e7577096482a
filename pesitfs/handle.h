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
    bool synced;        /* O_SYNC, O_DSYNC */
    bool direct;        /* reads do not stop at the size that the kernel knows */
    bool keep_cache;    /* the pages that the kernel has are of these bytes */
    uint64_t max_bytes; /* of a declared file, 0: no limit */
    pid_t opener;       /* thread group, 0: not to be known */
    _Atomic bool owned; /* a close without new bytes came that was the opener's: owner is known */
    _Atomic uint64_t owner;
    _Atomic uint64_t last_writer;   /* lock owner of the newest write */
    _Atomic uint64_t waiting_bytes; /* written since the disk was last told to begin */
    _Atomic bool mixed_writers;
} Handle;

/* What a close or rename waits for after its commit; id 0: for nothing. */
typedef struct {
    int64_t id;
    uint32_t wait_s;
} CommitWait;

/* New file, or a new version of one: stages it. truncate false: begins with the bytes that are there. */
int handle_create(Mount *mount, Node *node, const struct fuse_ctx *context, mode_t mode, int flags,
                  Handle **ret_handle);
/* Another handle of what is being written here. */
int handle_open_staged(Mount *mount, Node *node, int flags, const struct fuse_ctx *context,
                       Handle **ret_handle);
/* A file that the daemon has. */
int handle_open_stored(Mount *mount, Node *node, Handle **ret_handle);
/* Of bytes that the daemon handed over. fd: taken. */
Handle *handle_new_reading(Mount *mount, Node *node, const ClientTransfer *transfer, int fd);
/* Answers an open, and closes what nobody takes. */
void handle_reply_open(Mount *mount, fuse_req_t req, struct fuse_file_info *info, Handle *handle);
/* Bytes written, or a negative errno value. */
ssize_t handle_write(Mount *mount, Handle *self, const void *bytes, size_t length, off_t offset,
                     uint64_t owner);
/* fallocate: mode 0 makes the file longer, FALLOC_FL_KEEP_SIZE does not. */
int handle_allocate(Mount *mount, const Handle *self, int mode, off_t offset, off_t length);
/* False: somebody writes it. The kernel tells of a last close after close() has returned: who closed a file may
 * use it again before we know, so this waits a moment. */
bool handle_wait_released(Mount *mount, const Node *node);
/* A close of one descriptor: commits when it is the opener's last. *ret_wait: untouched unless it must wait. */
int handle_flush(Mount *mount, Handle *self, uint64_t owner, pid_t pid, CommitWait *ret_wait);
/* The last close. */
void handle_release(Mount *mount, Handle *self);
/* Without a word about its bytes: what was not committed is discarded. Not in the mount's table any more. */
void handle_free(Mount *mount, Handle *self);

/* commit.c */

/* Gives staged bytes to the daemon as PARTNER/path. */
int commit_staged(Mount *mount, Node *node, Staged *staged, const char *partner, const char *path,
                  bool noreplace, CommitWait *ret_wait);
/* Whether it has bytes that a close should commit. */
bool commit_has_bytes(const Staged *staged);
/* Takes a staged file out of the mount, whoever still has it open. */
void commit_forget(Mount *mount, Node *node, Staged *staged);
