/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets that the service manager has opened and keeps open (LISTEN_FDS): who calls while the daemon
 * restarts waits in them. Main loop only.
 */
#pragma once

#include <glib.h>
#include <netdb.h>

typedef struct Handed Handed;

/* Takes those that are meant for this process, and forgets the variables that announce them: before any other thread.
 * Returns new. */
Handed *handed_take(void);
void handed_free(Handed *self);
/* A descriptor of the socket that is bound to this address and port: to be closed by the caller, the socket stays
 * open. -1: there is none. */
int handed_dup(Handed *self, const struct addrinfo *at);
/* Name and address of the next that nobody has asked for, NULL when there is no more. Returns new. *position: 0 at
 * first. */
char *handed_next_unused(const Handed *self, guint *position);
