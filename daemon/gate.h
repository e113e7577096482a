/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds what among the partners that called in: places for connections, before and after CONNECT, and
 * the paths being written. Also the patience with addresses that fail to prove who they are. Main loop only.
 */
#pragma once

#include "daemon/net/connection.h"

typedef struct Gate Gate;

/* Connections that we opened: they take places of the same limits. */
typedef struct {
    unsigned all, partner;
} GateOutgoing;

Gate *gate_new(void);
void gate_free(Gate *self);
/* A socket came. False: too many of those that had to go for others are still there, nothing is counted. */
bool gate_enter(Gate *self, const Config *config, const char *address);
/* A limit before CONNECT leaves no place for one more from an address: the oldest that has to go for it, of the address
 * or of all, to be cut by the caller; it counts as leaving until it is gone. NULL: there is a place. */
Connection *gate_make_room(Gate *self, const Config *config, const char *address);
/* The connection of an accepted socket, known from now on. */
void gate_add(Gate *self, const Connection *connection, const char *address);
/* It proved to be a partner: may it stay? */
Verdict gate_admit(Gate *self, const Config *config, const Connection *connection,
                   const char *partner, const GateOutgoing *outgoing);
/* It is gone, with all it held. */
void gate_remove(Gate *self, const Connection *connection);
Verdict gate_claim(Gate *self, const Connection *connection, const char *partner, const char *path);
void gate_unclaim(Gate *self, const char *partner, const char *path);
/* An address failed to authenticate as somebody ("" for nobody). Returns how long its answer waits, in ms: both
 * are counted, known or not alike, until one of them is admitted. procedures §14.2. */
unsigned gate_reject(Gate *self, const char *address, const char *identifier);
unsigned gate_count(const Gate *self);
/* Those that proved to be a partner, or any of them (NULL). */
unsigned gate_count_admitted(const Gate *self, const char *partner);
