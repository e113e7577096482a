/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administration: HTTP API, health, metrics. It reads and writes the store, and asks the daemon for everything
 * else through the host's functions; it never touches a transfer itself. Requests are answered by worker threads,
 * so that neither the main loop nor libmicrohttpd's thread ever waits.
 */
#pragma once

#include "base/mailbox.h"
#include "daemon/fleet.h"
#include "daemon/local/answer.h"
#include "daemon/store.h"

#include <glib.h>
#include <stdbool.h>

typedef struct Admin Admin;

typedef void (*AdminVisitor)(const Transfer *transfer, uint64_t progress_bytes, gpointer data);

/* What the administration needs of the daemon. Any thread may call the functions. */
typedef struct {
    Store *store;
    /* Asks a method of the local door; reply: gets a DoorAnswer. parameters: floating. caller: for whom, NULL: for
     * ourselves. False: it is ending. */
    bool (*ask)(const char *method, GVariant *parameters, const DoorCaller *caller, Reply *reply,
                gpointer data);
    /* Monotonic time at which the main loop was last seen alive. */
    int64_t (*heartbeat_us)(gpointer data);
    /* Each transfer that moves now, whoever called. Main loop only. */
    void (*each_running)(AdminVisitor visit, gpointer visitor, gpointer data);
    gpointer data;
    const char *
            first_key; /* becomes an administrator's key when there is no key; or NULL. Borrowed for start */
    Fleet *fleet;         /* NULL: clusters are records only; borrowed, longer-lived */
    const char *database; /* what the store is in, for people; borrowed, longer-lived */
    const char
            *owner; /* our name among the daemons of the schema; or NULL. Borrowed, longer-lived */
    const char *schema; /* of our cluster, "cluster_" and its id; borrowed, longer-lived */
    uint32_t requests_per_s;
    uint32_t connections;
    uint32_t connections_per_address;
} AdminHost;

typedef enum { FAMILY_SERVER = 1, FAMILY_CLIENT = 2, FAMILY_ADMIN = 4, FAMILY_ALL = 7 } Family;

/* Main thread, while no main loop runs. INVALID: the first key is too weak. Returns new. */
Admin *admin_start(const AdminHost *host, GError **error);
/* Answers what is under way, running the default main loop meanwhile; then ends the threads. */
void admin_stop(Admin *self);

/* A connection: fd is taken. families: mask of Family that it may see. certificate: SHA-256 of the caller's
 * certificate in hex, or NULL. Any thread. */
void admin_take_connection(Admin *self, int fd, unsigned families, const char *address,
                           const char *certificate);
/* Absolute paths of the folders whose files a request may send by their path; folders: char *, copied. Any thread. */
void admin_set_send_folders(Admin *self, const GPtrArray *folders);
/* How long rows of the audit trail are kept; 0: for ever. Any thread. */
void admin_set_audit_kept(Admin *self, uint32_t kept_s);
/* A transfer changed. transfer: borrowed. ours: in this daemon, which then has its end in its audit trail; else in another on the
 * schema. Any thread. */
void admin_take_change(Admin *self, const Transfer *transfer, bool ours);
/* Rows that are gone. Transfer *, borrowed. Any thread. */
void admin_take_removal(Admin *self, const GPtrArray *transfers);
/* What a local caller did without asking the administration. error: NULL: it was done. on_done is called once, by another
 * thread, when the audit trail has it, or cannot have it for now. Any thread. */
typedef struct {
    const char *actor, *origin, *method, *what, *error;
} AdminAct;
void admin_take_act(Admin *self, const AdminAct *act, void (*on_done)(gpointer data),
                    gpointer data);
/* A request without HTTP, with an administrator's rights. actor: for the audit. on_done is called once, by another
 * thread; answer: borrowed. Any thread. */
typedef void (*AdminDone)(unsigned status, const char *answer, gpointer data);
void admin_run(Admin *self, const char *method, const char *path, const char *body,
               const char *actor, AdminDone on_done, gpointer data);
/* The same for what the console of the clusters asks: partners and virtual files only. */
void admin_run_inquiry(Admin *self, const Inquiry *inquiry, AdminDone on_done, gpointer data);
/* Looks at a schedule: runs what is due, notes what has ended, warns of what has not come. on_done is called once, by another
 * thread; moved: something was done. False: it cannot be looked at now. Any thread. */
typedef void (*AdminAttended)(bool moved, gpointer data);
bool admin_attend_schedule(Admin *self, const char *id, AdminAttended on_done, gpointer data);
/* Every route as Markdown, for docs/api.md. Returns new. */
char *admin_describe_routes(void);
