/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The restart journal of one transfer: an append-only file of fixed records beside its data, one
 * record per synchronisation point. A record counts only when whole and its check is right.
 * procedures §11. Never logs. One thread at a time.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* Where a point stands. */
typedef struct {
    uint32_t point;    /* 1..999999 */
    uint64_t offset;   /* in the local file */
    uint64_t bytes;    /* PI 27 so far */
    uint64_t articles; /* PI 28 so far */
} ContextPoint;

typedef struct Context Context;

/* Starts a new journal of this name in a folder, which must stay open; its file is there from the first point on. */
Context *context_create(int folder_fd, const char *name, GError **error);
/* Opens the journal left by an earlier attempt; NOT_FOUND when there is none. */
Context *context_open(int folder_fd, const char *name, GError **error);
void context_close(Context *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Context, context_close)

/* Appends points (in order), on the disk some time later. */
bool context_append(Context *self, const ContextPoint *points, unsigned count, GError **error);
/* Appends points (in order); they are on the disk when it returns. */
bool context_append_durably(Context *self, const ContextPoint *points, unsigned count,
                            GError **error);
/* The record of a point; false when it is not there. point 0 is the start and always there. */
bool context_find(Context *self, uint32_t point, ContextPoint *ret_point);
/* The last whole record; false when there is none. */
bool context_last(Context *self, ContextPoint *ret_point);
