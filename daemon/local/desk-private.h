/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the desk share: its tables, and small answers. Private to desk*.c. Main loop only. */
#pragma once

#include "daemon/local/absence.h"
#include "daemon/local/desk.h"
#include "base/error.h"
#include "daemon/local/description.h"

struct Desk {
    Store *store;
    Spool *spool;
    Queue *queue;
    Config *config;
    DeskHost host;
    Door *door;
    uint64_t generation;
    GHashTable *staged;   /* int64_t id → Staged, desk-stage.c */
    GHashTable *writers;  /* "PARTNER/path" being written, declared names only */
    GPtrArray *waiters;   /* Waiter *, desk-wait.c */
    GPtrArray *passed_on; /* PassedOn *, desk-elsewhere.c */
    guint sweeper;        /* timer */
    GHashTable *changes;  /* set of "PARTNER/path", not told yet; desk-change.c */
    guint moment;         /* timer, while changes are gathered */
    Absence *absence;     /* NULL: other daemons write the store too */
    GHashTable *fetching; /* "PARTNER/path" → int64_t id of its transfer, 0 while it is inserted */
};

typedef void (*DeskHandler)(DoorCall *call, GVariant *parameters, gpointer data);

void desk_stage(DoorCall *call, GVariant *parameters, gpointer data);
void desk_commit(DoorCall *call, GVariant *parameters, gpointer data);
void desk_discard(DoorCall *call, GVariant *parameters, gpointer data);
void desk_remove(DoorCall *call, GVariant *parameters, gpointer data);
void desk_touch(DoorCall *call, GVariant *parameters, gpointer data);
void desk_wait(DoorCall *call, GVariant *parameters, gpointer data);
void desk_fetch(DoorCall *call, GVariant *parameters, gpointer data);
void desk_fetch_anew(DoorCall *call, GVariant *parameters, gpointer data);

void desk_stage_free(gpointer staged);
/* All that a connection of the door had staged goes. */
void desk_drop_staged(DoorPeer *peer, gpointer data);
/* Staged files that nobody has written to for retention.staging_s go; the mount sees that they have no name left. */
void desk_sweep_staged(Desk *self);
void desk_waiter_free(gpointer waiter);
/* Answers those who wait for this transfer. */
void desk_tell_waiters(Desk *self, const Transfer *transfer);

void desk_passed_on_free(gpointer passed);
/* An order about a transfer that is another daemon's. call: taken. */
void desk_pass_on(Desk *self, DoorCall *call, const char *owner, const char *method, int64_t id);

/* Tuple of interface.xml, with the newest values when the queue has it. Floating. */
GVariant *desk_describe(const Desk *self, const Transfer *transfer);
/* A tuple with it alone. Floating. */
GVariant *desk_describe_tuple(const Desk *self, const Transfer *transfer);
void desk_fail(DoorCall *call, BaseError code, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* A descriptor to read the bytes of a transfer, or -1. */
int desk_open_bytes(const Desk *self, const Transfer *transfer, GError **error);
/* Known and enabled, or NULL. */
const Partner *desk_find_partner(const Desk *self, const char *name, GError **error);
/* Whether new files are taken by a virtual file. */
bool desk_check_enabled(const Partner *partner, const VirtualFile *file, GError **error);
/* True: nothing stands at the path, and the store need not be asked. */
bool desk_is_absent(const Desk *self, const char *partner, const char *path);
/* Something is about to stand at the path: to be called before the store is asked for it. */
void desk_end_absence(const Desk *self, const char *partner, const char *path);
/* Somebody may look at what stands at this path. */
void desk_emit_change(Desk *self, const char *partner, const char *path);
