/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of a client and the calls over it, without knowing what they say. Private to client*.c. Any
 * thread, unless said otherwise.
 */
#pragma once

#include "daemon/local/client.h"

#include <gio/gunixfdlist.h>

#define CLIENT_GRACE_MS 5000 /* beyond the time that the daemon itself was given */

typedef struct {
    const char *name;
    bool once; /* not to be said twice: its effect cannot be known when the answer is lost */
} ClientMethod;

/* Calls and blocks; waits for the daemon when it is not there. parameters: floating. ret_fds: NULL when none can
 * come. Returns new. */
GVariant *client_call(Client *self, ClientMethod method, GVariant *parameters, unsigned timeout_ms,
                      GCancellable *cancellable, GUnixFDList **ret_fds, GError **error);

/* The parameters of a call that takes long, when it is said (again): remaining_ms is for the daemon. Floating. */
typedef GVariant *(*ClientParameters)(const ClientPending *pending, unsigned remaining_ms);
/* Its answer, or an error; both borrowed. In the client's thread. */
typedef void (*ClientAnswer)(ClientPending *pending, GVariant *result, GUnixFDList *fds,
                             const GError *error);

struct ClientPending {
    ClientMethod method;
    ClientParameters parameters;
    ClientAnswer answer;
    int64_t id;
    char *partner, *path;
    ClientDone done;
    gpointer data;
    bool cancelled; /* under the client's lock */
    Client *client;
    /* of the client's thread alone */
    int64_t deadline_us;
    GCancellable *call; /* while the daemon has it */
    GSource *timer;
    bool late; /* its deadline has passed */
};

/* pending: taken. Its answer comes once. */
void client_begin(Client *self, ClientPending *pending, unsigned wait_ms);
