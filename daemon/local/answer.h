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

/* Closes descriptors that nobody took (those not set to -1). */
void door_answer_free(DoorAnswer *answer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DoorAnswer, door_answer_free)
