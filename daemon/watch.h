/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices when files change: the configuration, certificates and keys, however they are written (in place, by
 * rename, by a swapped link as Kubernetes does). Main loop only.
 */
#pragma once

#include <glib.h>

typedef struct Watch Watch;

/* on_change is called a moment after the last of several changes. Error: IO. */
Watch *watch_new(void (*on_change)(gpointer data), gpointer data, GError **error);
void watch_free(Watch *self);
/* Forgets what was added, so that it can be added anew. */
void watch_clear(Watch *self);
/* Watches a file, and every folder and link on the way to it, from now on; one that is not there yet counts when it comes.
 * NULL: nothing. */
void watch_add(Watch *self, const char *path);
