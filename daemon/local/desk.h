/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers what comes through the local door: names and preflight checks for the mount, staged files, waiting,
 * fetching, history, and what an operator orders. Reads the store, gives work to the queue. Main loop only.
 */
#pragma once

#include "daemon/local/door.h"
#include "daemon/transfer/queue.h"

typedef struct Desk Desk;

/* What the desk asks of the service. */
typedef struct {
    /* Reads the configuration again; false: refused, the old one stays. */
    bool (*reload)(gpointer data, GError **error);
    /* Adds what interface.xml says of Status, except store and spool. */
    void (*describe)(GVariantDict *status, gpointer data);
    /* Interrupts a running transfer with a partner that called in. */
    void (*cancel_incoming)(int64_t id, gpointer data);
    /* Bytes so far of what a partner that called in moves; false: it does not. */
    bool (*find_incoming)(int64_t id, uint64_t *ret_bytes, gpointer data);
    /* A transfer changed that is none of the queue's, and the change is in the store. Calls desk_take_change. */
    void (*take_change)(const Transfer *transfer, gpointer data);
    /* Answers a question to the administration, as pesitctl asks it. Must end the call, now or later. */
    void (*administer)(DoorCall *call, GVariant *parameters, gpointer data);
    /* Makes a backup. Must end the call, now or later. */
    void (*backup)(DoorCall *call, gpointer data);
    /* Where secrets are sealed; and seals those of the store again. Must end the call, now or later. */
    void (*describe_seals)(DoorCall *call, gpointer data);
    void (*reseal)(DoorCall *call, gpointer data);
    /* Partners and virtual files; see definitions.h. Must end the call, now or later. */
    void (*describe_definitions)(DoorCall *call, GVariant *parameters, gpointer data);
    void (*define)(DoorCall *call, GVariant *parameters, gpointer data);
    void (*undefine)(DoorCall *call, GVariant *parameters, gpointer data);
    /* See retention_clean. */
    void (*clean)(int64_t before_us, gpointer data);
    /* Certificates of the store, and what their keys do; see certificates.h. Must end the call. */
    void (*describe_certificates)(DoorCall *call, GVariant *parameters, gpointer data);
    void (*sign)(DoorCall *call, GVariant *parameters, gpointer data);
    /* Must end the call. */
    void (*describe_expiries)(DoorCall *call, gpointer data);
    /* Calls a partner, without a file. Must end the call later. */
    void (*test_partner)(DoorCall *call, GVariant *parameters, gpointer data);
    /* Opens or closes a listener. */
    bool (*listen)(const char *id, bool start, GError **error, gpointer data);
    gpointer data;
} DeskHost;

/* services, queue: borrowed, longer-lived. config: referenced. Opens the door at its paths.socket. */
Desk *desk_open(const ConnectionServices *services, Config *config, Queue *queue,
                const DeskHost *host, GError **error);
/* Waiting calls are answered with CANCELLED; staged files go. */
void desk_close(Desk *self);
/* New partners and virtual files. */
void desk_set_config(Desk *self, Config *config);
/* A transfer changed, and the change is in the store. transfer: borrowed. */
void desk_take_change(Desk *self, const Transfer *transfer);
/* An order that another daemon on the schema left for us about one of our transfers. False: it is none. Main loop. */
bool desk_hear(Desk *self, const Inquiry *order);
/* As door_call_inside. */
void desk_ask(Desk *self, const char *method, GVariant *parameters, const DoorCaller *caller,
              Reply *reply);
/* As door_set_auditor. */
void desk_set_auditor(Desk *self, DoorAuditor auditor, gpointer data);
