/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we call partners for: transfers that wait, the connections that do them, retries and their delays.
 * Rows in the store decide; the queue holds those that are not final. Main loop only; never waits.
 */
#pragma once

#include "daemon/net/connection.h"

typedef struct Queue Queue;

/* Told of every change of a transfer that the queue makes, once it is in the store. transfer: borrowed. */
typedef void (*QueueCallback)(const Transfer *transfer, gpointer data);

/* Connections of a partner that called in, of all with partner NULL. */
typedef unsigned (*QueueCounter)(const char *partner, gpointer data);

/* services: borrowed, longer-lived. config: referenced. */
Queue *queue_new(const ConnectionServices *services, Config *config, QueueCallback on_change,
                 gpointer data);
/* Only when no connection is left. */
/* on_step, with the data of queue_new, is told too of a transfer that is queued or starts to move, which the store may hear of
 * later. It must not call the queue. */
void queue_set_step(Queue *self, QueueCallback on_step);
void queue_free(Queue *self);
/* New partners and rules for the jobs that start from now on. What waits for a partner whose settings changed is
 * tried at once; what a partner that is gone was to get fails. */
void queue_set_config(Queue *self, Config *config);
/* Who says how many called in: they take places of the same limits. Without it there are none. */
void queue_set_counter(Queue *self, QueueCounter count_incoming, gpointer data);
/* A connection of ours with a partner (NULL: any) that has nothing to do ends, for one that was not let in. */
void queue_make_room(Queue *self, const char *partner);
/* One that called in has left. */
void queue_take_room(Queue *self);
/* A stored transfer, queued or waiting, of direction send or fetch. transfer: taken. */
void queue_add(Queue *self, Transfer *transfer);
/* A notice of a connection of ours: JOB_DONE or CLOSED. True when it was one; then it is dealt with, and the
 * connection is freed after CLOSED. The notice stays the caller's. */
bool queue_take_notice(Queue *self, Notice *notice);
/* The newest known values, NULL when it is not here (final, or never queued). progress: bytes so far. Borrowed. */
const Transfer *queue_find(const Queue *self, int64_t id, uint64_t *ret_progress_bytes);
/* How many of each kind are here; the work does not grow with them. */
typedef struct {
    unsigned queued, running, waiting;
} QueueCounts;
QueueCounts queue_count(const Queue *self);
/* Those that connections of ours do now. transfer: borrowed. */
typedef void (*QueueVisitor)(const Transfer *transfer, uint64_t progress_bytes, gpointer data);
void queue_each_running(const Queue *self, QueueVisitor visit, gpointer data);
/* The newest that has not ended at a partner's path, or NULL; valid until the main loop turns. */
const Transfer *queue_find_path(const Queue *self, const char *partner, const char *path);
/* Cancels; a running transfer is interrupted first. NOT_FOUND. */
bool queue_cancel(Queue *self, int64_t id, GError **error);
/* It waits until queue_retry; a running transfer is interrupted first, and goes on at its last point then.
 * NOT_FOUND. */
bool queue_hold(Queue *self, int64_t id, GError **error);
/* A waiting transfer is tried at once. NOT_FOUND. */
bool queue_retry(Queue *self, int64_t id, GError **error);
/* Permission bits and time shown in the mount, kept through what runs; nothing when it is not here. */
void queue_touch(Queue *self, int64_t id, uint32_t mode, int64_t mtime_us);
/* No new job; connections finish what they do and leave. */
void queue_finish(Queue *self);
/* Ends all connections: with ABORT, or by their sockets. */
void queue_abort(Queue *self, PesitDiag diag);
void queue_cut(Queue *self);
/* Connections of ours with a partner, with all of them for NULL. */
unsigned queue_count_connections(const Queue *self, const char *partner);
