/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses where partners call in, with their certificates, as the configuration wants them, or an
 * operator: a reload opens, keeps and closes, all or nothing. Connections that are open are not its business. Main loop only.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/net/handed.h"
#include "daemon/net/tls.h"

typedef struct Entrances Entrances;

/* By which a partner came. Borrowed for the call. */
typedef struct {
    const char *id;           /* its name, or address and port */
    uint32_t max_connections; /* 0: no limit of its own */
    TlsContext *tls;          /* NULL for plain */
} EntranceInfo;

/* A partner called. fd: taken. address: borrowed. */
typedef void (*EntranceCallback)(int fd, const char *address, const EntranceInfo *entrance,
                                 gpointer data);

/* Connections that came by an entrance and are open. */
typedef unsigned (*EntranceCounter)(const char *id, gpointer data);

/* handed: borrowed. */
Entrances *entrances_new(Handed *handed, EntranceCallback on_accept, gpointer data);
void entrances_free(Entrances *self);
/* Makes them those of a configuration: an address and port that was there before keeps its socket, certificates are
 * read again; what was started or stopped stays so. One of the store that cannot be opened says so and is no
 * failure. config: referenced. False: all is as it was; IO or INVALID names the culprit. */
bool entrances_apply(Entrances *self, Config *config, GError **error);
/* Opens one, or closes its socket: what came by it goes on. Either may be so already. NOT_FOUND; CONFLICT: it
 * cannot be opened; INVALID: its certificate. error: not NULL. */
bool entrances_start(Entrances *self, const char *id, GError **error);
bool entrances_stop(Entrances *self, const char *id, GError **error);
/* The daemon is about to end: who calls a socket of the service manager from now on waits there for the next daemon. The
 * others go on, so that callers hear why they are refused. */
void entrances_leave(Entrances *self);
/* Adds a dictionary for each, see Status in interface.xml. */
void entrances_describe(const Entrances *self, EntranceCounter count, gpointer data,
                        GVariantBuilder *list);
