/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where files in transit live, and how they become visible: staging/NAME while an application writes,
 * transfers/NAME once committed or while a partner sends, with its restart journal NAME.context beside it,
 * inbox/PARTNER/PATH when complete. A file moves by rename only; folders are synced by whoever commits its
 * row. No folder of its own for each file: to make and to remove it would cost more than all the rest of a small one.
 * Never logs, never deletes what a row may need. Any thread.
 */
#pragma once

#include "base/file.h"
#include "daemon/transfer/context.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct Spool Spool;

/* Opens both trees, creating them. The inbox must be on the spool's filesystem. */
Spool *spool_open(const char *spool_path, const char *inbox_path, uint64_t reserve_bytes,
                  GError **error);
void spool_close(Spool *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Spool, spool_close)

/* A name never used before in this spool; also a number. */
int64_t spool_next_name(Spool *self);

/* staging */

/* New empty staged file, open for reading and writing. NO_SPACE below the reserve. */
int spool_stage(Spool *self, int64_t name, GError **error);
/* Another descriptor of a staged file, for reading. */
int spool_open_staged(Spool *self, int64_t name, GError **error);
void spool_discard_staged(Spool *self, int64_t name);
/* Moves a staged file, whose bytes are synced, among the transfers. Returns the descriptor of a folder to sync before
 * its row commits, the caller's; -1 on an error. */
int spool_commit_staged(Spool *self, int64_t name, GError **error);

/* transfers */

/* New empty file, open for reading and writing, for bytes from a partner. */
int spool_create(Spool *self, const char *name, GError **error);
int spool_open_data(Spool *self, const char *name, int flags, GError **error);
/* An extended attribute of the bytes, as text. Returns new; NULL when there is none. */
char *spool_dup_attribute(Spool *self, const char *name, const char *attribute);
/* The restart journal of a transfer: a new one, or what an earlier attempt left. The spool must outlive it. */
Context *spool_create_context(Spool *self, const char *name, GError **error);
Context *spool_open_context(Spool *self, const char *name, GError **error);
/* Descriptor of the folder that must be synced too for a new synced file to be found after a power cut, the
 * caller's; -1 when the filesystem does that with the file, or on an error. */
int spool_dup_unsynced(Spool *self);
/* Removes the bytes and the journal; nothing when they are not there. */
void spool_remove(Spool *self, const char *name);
/* Names of all transfers that have bytes or a journal. Returns new array of char *. */
GPtrArray *spool_list(Spool *self);
/* Removes all that is staged: at start nobody is writing. Returns how many. */
unsigned spool_clear_staging(Spool *self);

/* inbox */

/* Whether a received file may get this name: its folder is, or can be made, inside the inbox. REFUSED: it is or leads
 * over a link. */
bool spool_check_inbox(Spool *self, const char *partner, const char *path, GError **error);
/* Publishes the bytes of a transfer under inbox/PARTNER/PATH. ret_folder_fd: to sync, then to close; only then
 * what else the spool has of it may be removed. EXISTS: the target is there and replace is false. */
bool spool_publish(Spool *self, const char *name, const char *partner, const char *path,
                   bool replace, int *ret_folder_fd, GError **error);
bool spool_inbox_has(Spool *self, const char *partner, const char *path);
int spool_open_inbox(Spool *self, const char *partner, const char *path, GError **error);
bool spool_remove_inbox(Spool *self, const char *partner, const char *path, GError **error);

/* space */

/* Bytes of the filesystem in all, and what may still be used above the reserve. */
bool spool_space(Spool *self, uint64_t *ret_total, uint64_t *ret_available, GError **error);
