/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of a client and the calls over it, without knowing what they say. Private to client*.c. Any
 * thread, unless said otherwise.
 */
#pragma once

#include "daemon/local/answer.h"
#include "daemon/local/client.h"

#define CLIENT_GRACE_MS 5000 /* beyond the time that the daemon itself was given */

typedef struct {
    const char *name;
    bool once;        /* not to be said twice: its effect cannot be known when the answer is lost */
    uint32_t for_uid; /* or CLIENT_OURSELVES */
} ClientMethod;

/* Calls and blocks; waits for the daemon when it is not there. parameters: floating, or NULL for none.
 * Returns new, without error; NULL: error says why. */
DoorAnswer *client_call(Client *self, ClientMethod method, GVariant *parameters,
                        unsigned timeout_ms, GError **error);

/* Says something that nobody waits for; when the daemon is away it is not said. parameters: floating. */
void client_tell(Client *self, const char *method, GVariant *parameters);

/* The parameters of a call that takes long, when it is said (again): remaining_ms is for the daemon. Floating.
 * Under the client's lock: it must not call. */
typedef GVariant *(*ClientParameters)(const ClientPending *pending, unsigned remaining_ms);
/* Its answer, which may be an error; borrowed, but for the descriptors that it takes. In the client's thread. */
typedef void (*ClientAnswer)(ClientPending *pending, DoorAnswer *answer);

/* A question on its way: under the client's lock. */
typedef struct ClientQuestion ClientQuestion;

struct ClientPending {
    ClientMethod method;
    ClientParameters parameters;
    ClientAnswer answer;
    int64_t id;
    char *partner, *path;
    ClientDone done;
    gpointer data;
    Client *client;
    /* under the client's lock */
    int64_t deadline_us;
    bool cancelled;
    ClientQuestion *question; /* while the daemon has it */
};

/* pending: taken. Its answer comes once. */
void client_begin(Client *self, ClientPending *pending, unsigned wait_ms);
