/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses where partners call in, with their certificates, as the configuration wants them: a reload opens, keeps
 * and closes, all or nothing. Connections that are open are not its business. Main loop only.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/net/tls.h"

typedef struct Entrances Entrances;

/* A partner called. fd: taken. tls: NULL for plain. address, tls: borrowed. */
typedef void (*EntranceCallback)(int fd, const char *address, TlsContext *tls, gpointer data);

Entrances *entrances_new(EntranceCallback on_accept, gpointer data);
void entrances_free(Entrances *self);
/* Makes them those of a configuration: an address and port that was there before keeps its socket, certificates are
 * read again. config: referenced. False: all is as it was; IO or INVALID names the culprit. */
bool entrances_apply(Entrances *self, Config *config, GError **error);
/* Adds a dictionary for each: address, port, tls. */
void entrances_describe(const Entrances *self, GVariantBuilder *list);
