/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local door seen from outside: all that pesitfs and pesitctl know of the daemon. One client may
 * be used by several threads; each call blocks until its deadline at most, except those that begin something.
 * When the daemon restarts the client reconnects by itself; calls meanwhile wait until their deadline, then
 * fail UNREACHABLE; when it has been away for long, they fail soon.
 * Errors: the BaseError code that the daemon gave; UNREACHABLE, TIMEOUT, CANCELLED by the client.
 */
#pragma once

#include "daemon/local/description.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define CLIENT_DEFAULT_SOCKET "/run/pesitd/pesitd.sock"

typedef struct Client Client;

/* One transfer, or one entry of the mount; it keeps its texts. */
typedef Description ClientTransfer;
void client_transfer_free(ClientTransfer *transfer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClientTransfer, client_transfer_free)

typedef struct {
    char *pattern;
    char *mode;   /* send fetch offer receive */
    char *commit; /* close rename */
    char *ack;    /* sent spool */
    char *existing;
    uint32_t wait_s;
    uint64_t max_bytes; /* 0: no limit */
    bool allow_empty;
} ClientFile;

typedef struct {
    char *name;
    bool enabled;
    GPtrArray *files; /* ClientFile * */
} ClientPartner;

/* lifecycle */
Client *client_new(const char *socket_path);
void client_free(Client *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)
/* Whether somebody listens at a socket; errno says why not. Starts no thread: a program may still fork. */
bool client_is_answered(const char *socket_path);
/* Called in a thread of the client's own when the tree or an entry changed, or after a reconnection
 * (partner and path NULL: anything may have changed). Set once, before the first call. */
void client_set_on_change(Client *self,
                          void (*on_change)(const char *partner, const char *path, gpointer data),
                          gpointer data);

/* All calls: timeout_ms for this call; for_uid: the user of this machine that it is made for, which counts when we are
 * root or the daemon's own user. */
#define CLIENT_OURSELVES UINT32_MAX

/* Returns new array of ClientPartner. */
GPtrArray *client_load_tree(Client *self, unsigned timeout_ms, uint64_t *ret_generation,
                            GError **error);
/* Returns a descriptor, open for reading and writing, that the caller closes; -1 on error. */
int client_stage(Client *self, const char *partner, const char *path, bool scratch,
                 unsigned timeout_ms, int64_t *ret_staging_id, GError **error);
ClientTransfer *client_commit(Client *self, int64_t staging_id, const char *partner,
                              const char *path, uint32_t mode, int64_t mtime_us, bool noreplace,
                              uint32_t for_uid, unsigned timeout_ms, GError **error);
/* Waits for nothing, so that the client's own thread may call it too: when the daemon is away, the file has gone with the
 * connection. */
void client_discard(Client *self, int64_t staging_id);
ClientTransfer *client_wait(Client *self, int64_t id, unsigned wait_ms, GError **error);
ClientTransfer *client_find(Client *self, const char *partner, const char *path,
                            unsigned timeout_ms, GError **error);
/* The newest of a path, also a fetch that failed. */
ClientTransfer *client_find_last(Client *self, const char *partner, const char *path,
                                 unsigned timeout_ms, GError **error);
/* Where secrets may be sealed. Returns new, ended by NULL: the key file, "" without one, then the files of the
 * configuration. */
char **client_seals(Client *self, unsigned timeout_ms, GError **error);
/* Seals again what is in the store and not yet sealed with the first key. ret_changed: how many. */
bool client_reseal(Client *self, unsigned timeout_ms, uint32_t *ret_changed, GError **error);
/* A backup of configuration and store; takes as long as it takes. Returns its descriptor or -1. */
int client_back_up(Client *self, unsigned timeout_ms, GError **error);
/* Returns new array of ClientTransfer. after: "" from the start. */
GPtrArray *client_list(Client *self, const char *partner, const char *folder, const char *after,
                       uint32_t limit, unsigned timeout_ms, GError **error);
int client_open(Client *self, int64_t id, unsigned timeout_ms, GError **error);
/* ret_fd: -1 unless the transfer is done. Returns the transfer, done, failed or still going. */
ClientTransfer *client_fetch(Client *self, const char *partner, const char *path, unsigned wait_ms,
                             int *ret_fd, GError **error);
bool client_remove(Client *self, const char *partner, const char *path, uint32_t for_uid,
                   unsigned timeout_ms, GError **error);
bool client_touch(Client *self, int64_t id, const uint32_t *mode, const int64_t *mtime_us,
                  unsigned timeout_ms, GError **error);
bool client_space(Client *self, unsigned timeout_ms, uint64_t *ret_total, uint64_t *ret_available,
                  GError **error);
/* What a mount did, for the daemon's metrics: a{st} each, borrowed. */
bool client_count(Client *self, GVariant *operations, GVariant *errors, unsigned timeout_ms,
                  GError **error);
/* states, directions: NULL-terminated or NULL. */
GPtrArray *client_history(Client *self, const char *partner, const char *const *states,
                          const char *const *directions, int64_t before_id, uint32_t limit,
                          unsigned timeout_ms, GError **error);
ClientTransfer *client_get(Client *self, int64_t id, unsigned timeout_ms, GError **error);
bool client_retry(Client *self, int64_t id, uint32_t for_uid, unsigned timeout_ms, GError **error);
bool client_cancel(Client *self, int64_t id, uint32_t for_uid, unsigned timeout_ms, GError **error);
/* Returns new floating-free a{sv}. */
GVariant *client_status(Client *self, unsigned timeout_ms, GError **error);
bool client_reload(Client *self, unsigned timeout_ms, GError **error);
/* A request of the administration API without HTTP. body: JSON or "". Returns its answer, new; NULL: not asked. */
char *client_administer(Client *self, const char *const request[3], unsigned *ret_status,
                        unsigned timeout_ms, GError **error);

/* Calls that take as long as a partner does, answered without holding a thread. */

typedef struct ClientPending ClientPending;
/* transfer: taken, NULL on error. fd: taken, -1 unless a fetch is done. error: borrowed. Called once, in a thread of
 * the client's own that it must not block, or by client_begin_… when the client does not wait any more. */
typedef void (*ClientDone)(ClientTransfer *transfer, int fd, const GError *error, gpointer data);
/* What a call will be known by until done returns. */
ClientPending *client_pending_new(ClientDone done, gpointer data);
/* pending: taken. As client_wait. */
void client_begin_wait(Client *self, ClientPending *pending, int64_t id, unsigned wait_ms);
/* pending: taken. As client_fetch. */
void client_begin_fetch(Client *self, ClientPending *pending, const char *partner, const char *path,
                        uint32_t for_uid, unsigned wait_ms);
/* Its answer will be CANCELLED, unless another is on its way; what the daemon does goes on. Not after done. */
void client_interrupt(Client *self, ClientPending *pending);
/* All of them are answered CANCELLED, those of the future too. */
void client_end_waiting(Client *self);
