/* SPDX-License-Identifier: Apache-2.0 */
/* pesitd as a whole: opens everything in one visible order, runs the main loop, closes in reverse order. */
#pragma once

#include "daemon/config.h"
#include "daemon/local/door.h"
#include "daemon/net/handed.h"
#include "daemon/store.h"
#include "daemon/transfer/queue.h"

typedef struct Service Service;

/* What the administration hears of. Called in the main loop. */
typedef struct {
    /* A transfer changed; once it has ended, the change is in the store. ours: in this daemon, else in another on the schema. */
    void (*on_change)(const Transfer *transfer, bool ours, gpointer data);
    /* Rows that are not in the store any more. Transfers, borrowed. */
    void (*on_removed)(const GPtrArray *transfers, gpointer data);
    /* pesitctl asks the administration: to be ended by service_return. */
    void (*administer)(DoorCall *call, GVariant *parameters, gpointer data);
    /* The configuration is read again: its certificates too. False: one of them is wrong, all stays as it was. */
    bool (*renew)(GError **error, gpointer data);
    /* A configuration that was read again is in force. */
    void (*reloaded)(const Config *config, gpointer data);
    /* A console asks something of the cluster: to be ended by service_answer. */
    void (*inquire)(const Inquiry *inquiry, gpointer data);
    /* What a caller of the door changed: to be ended by service_complete. */
    DoorAuditor audit;
    /* A schedule is to be looked at: to be ended by service_take_schedule_back. False: nobody can, now. */
    bool (*attend)(const char *schedule_id, gpointer data);
    gpointer data;
} ServiceHooks;

/* config: taken; path: of its file, read again by SIGHUP and when it changes; handed: borrowed. Returns new. */
Service *service_start(const char *path, Config *config, Handed *handed, GError **error);
/* Gives the queue what was on its way to a partner when the daemon stopped. Last of the start: what the queue records
 * about each of them then stands in the store's line, and nothing that the start asks the store stands behind it. */
void service_resume(Service *self);
/* Tells whoever waits that all is there. ready_fd: gets the line READY, -1: nobody waits there. */
bool service_tell_ready(Service *self, int ready_fd, GError **error);
/* Returns when the service was told to stop and has drained. */
void service_run(Service *self);
void service_stop(Service *self);

/* for the administration */

void service_set_hooks(Service *self, const ServiceHooks *hooks);
Store *service_store(Service *self);
/* As it is now; a reload replaces it. Borrowed. */
Config *service_config(const Service *self);
/* Asks a method of the local door; reply: gets a DoorAnswer. parameters: tuple, floating or taken. False: the
 * service is ending. Any thread. */
bool service_ask(Service *self, const char *method, GVariant *parameters, const DoorCaller *caller,
                 Reply *reply);
/* Ends a call that the hook got. value: floating. Any thread. */
void service_return(Service *self, DoorCall *call, GVariant *value);
/* Ends an audited call. Any thread. */
void service_complete(Service *self, DoorCall *call);
/* What moves now, whoever called. Main loop only. */
void service_each_running(const Service *self, QueueVisitor visit, gpointer data);
/* Answers what the hook was asked. Any thread. */
void service_answer(Service *self, const char *inquiry_id, unsigned status, const char *answer);
/* Who looked at a schedule is done. moved: something was done with it. Any thread. */
void service_take_schedule_back(Service *self, const char *id, bool moved);
/* Monotonic time at which the main loop was last seen alive. Any thread. */
int64_t service_heartbeat_us(const Service *self);
