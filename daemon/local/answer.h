/* SPDX-License-Identifier: Apache-2.0 */
/* What a method of the local door answers. Plain value; any thread. */
#pragma once

#include <glib.h>
#include <stddef.h>

#define ANSWER_FDS_MAX 4

typedef struct {
    GVariant *value; /* tuple of results, or NULL */
    GError *error;   /* or NULL */
    int fds[ANSWER_FDS_MAX];
    size_t fd_count;
} DoorAnswer;

/* Who asks from inside the daemon, and for whom. Borrowed. */
typedef struct {
    const char *actor;       /* "key:NAME", "user:NAME", … */
    const char *origin;      /* an address, "local" */
    const char *correlation; /* its name for what is made, or NULL */
} DoorCaller;

/* Closes descriptors that nobody took (those not set to -1). */
void door_answer_free(DoorAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DoorAnswer, door_answer_free)
