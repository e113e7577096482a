/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets that partners call. Main loop only. */
#pragma once

#include "daemon/config.h"

typedef struct Listener Listener;

/* Called for each accepted socket. fd: taken. address: of the caller, borrowed. */
typedef void (*ListenerCallback)(Listener *listener, int fd, const char *address, gpointer data);

/* Binds and listens. IO names address and port. settings: borrowed for the call. Returns new. */
Listener *listener_open(const ListenerConfig *settings, ListenerCallback on_accept, gpointer data,
                        GError **error);
void listener_close(Listener *self);
/* The port really bound. */
uint16_t listener_port(const Listener *self);
