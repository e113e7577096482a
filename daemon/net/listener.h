/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that partners call. Main loop only. */
#pragma once

#include "daemon/config.h"
#include "daemon/net/handed.h"

typedef struct Listener Listener;

/* Called for each accepted socket. fd: taken. address: of the caller, borrowed. */
typedef void (*ListenerCallback)(Listener *listener, int fd, const char *address, gpointer data);

/* Listens, on a socket of the service manager when it has one of that address, else on one of its own. IO names address
 * and port. settings: borrowed for the call; handed: as long as the listener is open. Returns new. */
Listener *listener_open(const ListenerConfig *settings, Handed *handed, ListenerCallback on_accept,
                        gpointer data, GError **error);
void listener_close(Listener *self);
/* Whether the socket stays open without us: who calls then waits until somebody listens again. */
bool listener_is_handed(const Listener *self);
/* The port really bound. */
uint16_t listener_port(const Listener *self);
