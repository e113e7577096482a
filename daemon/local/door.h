/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Unix socket's other end, in the daemon: accepts connections, checks the peer's credentials, and
 * hands each method call to a handler of a table. Handlers may answer later. Main loop only.
 */
#pragma once

#include "base/mailbox.h"
#include "daemon/local/answer.h"

#include <glib.h>
#include <stdbool.h>

typedef struct Door Door;
typedef struct DoorCall DoorCall;

/* One row per method of interface.xml. handler owns the call: it must end in exactly one door_call_return
 * or door_call_fail, now or later. parameters: borrowed, lives as long as the call. */
typedef struct {
    const char *method;
    void (*handler)(DoorCall *call, GVariant *parameters, gpointer data);
    bool trusted; /* root and the daemon's own user only: others are told REFUSED */
    bool audited; /* it changes something: the answer leaves when the audit trail has it */
} DoorMethod;

/* A connection of the door, to tie staged files to; on_closed is called when it goes. */
typedef struct DoorPeer DoorPeer;

/* methods: rows, ended by a NULL method; every method of the interface must be there.
 * socket_mode: permission bits of the socket. Peers: root, the daemon's own user, and whoever the socket's
 * permission bits let in. Error: IO, or BUSY when another daemon answers at the path. */
Door *door_open(const char *socket_path, unsigned socket_mode, const DoorMethod *methods,
                gpointer data, void (*on_peer_closed)(DoorPeer *peer, gpointer data),
                GError **error);
void door_close(Door *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Door, door_close)

/* The connection a call came by; borrowed, valid until on_peer_closed. */
DoorPeer *door_call_peer(DoorCall *call);
/* User id of the caller, for the audit. */
unsigned door_call_uid(DoorCall *call);
/* Who calls, "uid:N", or whom the call is made for; and from where: "local", "mount of uid:N", an address. Borrowed, valid as
 * long as the call. */
const char *door_call_actor(DoorCall *call);
const char *door_call_origin(DoorCall *call);
/* What the caller names the transfer by that it makes, or NULL. Borrowed alike. */
const char *door_call_correlation(DoorCall *call);
/* Root or the daemon's user, and not from inside: who speaks for others. */
bool door_call_is_trusted(DoorCall *call);
/* The caller has named another, and may. */
bool door_call_is_for_other(DoorCall *call);
/* Answers. value: tuple of the method's results, floating, or NULL for none; fds: n descriptors, duplicated, that the
 * value names by index as handles. */
void door_call_return(DoorCall *call, GVariant *value, const int *fds, size_t n);
/* error: borrowed; a BaseError travels with its code. */
void door_call_fail(DoorCall *call, const GError *error);
/* Sends a signal of the interface to all peers. parameters: floating or taken. */
void door_emit(Door *self, const char *signal, GVariant *parameters);
/* A call from inside the daemon, with the rights of its own user; all such calls are one peer that never goes.
 * parameters: tuple, floating or taken. caller: copied; NULL: the daemon itself. reply: its value becomes a DoorAnswer. */
void door_call_inside(Door *self, const char *method, GVariant *parameters,
                      const DoorCaller *caller, Reply *reply);
/* The same; then is called with the answer, which it takes, on the main loop, also before this returns. */
typedef void (*DoorThen)(DoorAnswer *answer, gpointer data);
void door_call_inside_then(Door *self, const char *method, GVariant *parameters,
                           const DoorCaller *caller, DoorThen then, gpointer data);

/* the audit trail */

/* What a caller of the door did. what: on which thing, from the parameters; error: NULL: it was done. */
typedef struct {
    const char *actor, *origin, *method, *what;
    const GError *error;
} DoorAct;
/* Must have door_call_complete called, now or later. act: borrowed for the call. */
typedef void (*DoorAuditor)(DoorCall *call, const DoorAct *act, gpointer data);
/* NULL: nobody writes a trail. */
void door_set_auditor(Door *self, DoorAuditor auditor, gpointer data);
/* The answer of an audited call leaves. */
void door_call_complete(DoorCall *call);
