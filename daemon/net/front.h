/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets of the administration: accepts, ends TLS with a thread per connection, and hands on a plain socket
 * with what is known about the caller. It knows nothing of HTTP. Main loop only, but for the callback.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/net/handed.h"

#include <glib.h>

typedef struct Front Front;

typedef struct {
    AdminFamily family;
    char *address;            /* of the caller */
    char *certificate_sha256; /* of the client's certificate, NULL without */
} FrontCaller;

/* fd: taken. caller: borrowed for the call. Any thread. */
typedef void (*FrontCallback)(int fd, const FrontCaller *caller, gpointer data);

/* Listens on every address of admin.listeners. config: referenced; handed: borrowed. IO or INVALID names the culprit. Returns new. */
Front *front_open(Config *config, Handed *handed, FrontCallback on_connection, gpointer data,
                  GError **error);
/* Certificates as they are now in their files, for the connections that come. False: all stay as they were. */
bool front_renew(Front *self, GError **error);
/* No connection is accepted any more; those under TLS are cut. Before what the callback feeds goes. */
void front_stop(Front *self);
/* Joins the threads. */
void front_close(Front *self);
