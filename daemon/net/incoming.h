/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What incoming.c, incoming-receive.c and incoming-serve.c share: one selection of a partner that called
 * us. Everything belongs to the connection's thread.
 */
#pragma once

#include "base/file.h"
#include "daemon/net/connection-private.h"
#include "daemon/net/receiver.h"
#include "daemon/net/sender.h"

typedef struct {
    Connection *connection;
    Channel *channel;
    /* of the selection: cleared by incoming_forget */
    bool selected;
    bool serving;      /* SELECT: we send */
    bool repeated;     /* it was complete before: received again, published once */
    char *claimed;     /* what is ours among the selections, or NULL */
    bool settled;      /* the row has its final state */
    bool undecided;    /* the row's end is not stored yet: the bytes stay until it is */
    bool interrupting; /* IDT sent, ACK(IDT) awaited */
    const VirtualFile *file;
    Transfer *transfer; /* NULL before a selection was accepted */
    Reply *inserting; /* the row is being written; NULL before that and once transfer->id is known */
    int64_t insert_us; /* monotonic, when the row of a small file is written if it takes so long; 0: not waiting */
    Fd published_fd; /* folder with the published name, to be synced; -1 none */
    Progress *progress;
    Fd fd;
    Context *context;
    Receiver *receiver;
    Sender *sender;
    uint64_t announced;      /* PI 42, 0: nothing announced */
    bool announced_articles; /* PI 41: its unit */
    uint64_t size_bytes;     /* local file */
    uint64_t earlier_bytes;  /* repeated: what was counted the first time */
    uint16_t article_bytes;
    PesitDiag data_end;     /* PI 2 of DTF.END */
    bool sent;              /* serving: all data are out, their end was not answered yet */
    bool told;              /* the row's end was logged and told */
    bool stopped;           /* the partner sent IDT and may start again: no end yet */
    PesitDiag stopped_diag; /* why */
} Incoming;

/* Forgets the selection: closes, removes what is left over, gives the claim back. */
void incoming_forget(Incoming *self);
#define DIAG_IN_USE PESIT_DIAG(2, 207)

/* Makes a path ours among this partner's selections: 0/000, or 2/207 when another has it, 2/201. */
PesitDiag incoming_claim(Incoming *self, const char *path, const char **ret_reason);
/* Gives the claim back, if there is one. */
void incoming_unclaim(Incoming *self);
/* Answers with a type and a diagnostic. params: NULL for none. */
bool incoming_answer(Incoming *self, PesitFpduType type, PesitFpdu *params, PesitDiag diag);
/* Refuses a selection: the reason goes to the log, and to the partner when its profile says so. */
bool incoming_refuse(Incoming *self, PesitFpduType type, PesitDiag diag, const char *reason);
/* Stops the data from our side; the session waits for ACK(IDT). */
void incoming_interrupt(Incoming *self, PesitDiag diag, unsigned end_code);
/* Writes the row, unless that was done. */
void incoming_begin_insert(Incoming *self);
/* Waits for the id of the row that is being written. False: it could not be. */
bool incoming_settle_insert(Incoming *self, GError **error);
/* Writes the row's end, once. text: borrowed, NULL when done. diag: 0/000 when none. */
bool incoming_record(Incoming *self, TransferState state, PesitDiag diag, const char *text,
                     GError **error);
/* Makes a published name durable. Should that fail, the row and what the spool still holds publish the file
 * again at the next start. */
void incoming_settle_name(Incoming *self);
/* Session counters into the transfer. */
void incoming_remember_counts(Incoming *self);
/* New transfer of this selection; names are copied. */
Transfer *incoming_new_transfer(const Incoming *self, TransferDirection direction,
                                const PesitFpdu *fpdu);
/* Text parameter of an FPDU, as UTF-8. NULL when absent or with a NUL inside. Returns new. */
char *incoming_dup_text(const PesitFpdu *fpdu, PesitPi pi);
/* What both selections refuse: security asked for, an article without room. 0/000: nothing. §14.5 */
PesitDiag incoming_check_selection(const Incoming *self, const PesitFpdu *fpdu,
                                   const char **ret_reason);

/* CREATE and what follows. */
bool incoming_take_create(Incoming *self, const PesitFpdu *fpdu);
bool incoming_take_write(Incoming *self);
void incoming_take_data(Incoming *self, const PesitEvent *event);
void incoming_take_data_end(Incoming *self, const PesitEvent *event);
bool incoming_end_receive(Incoming *self);

/* SELECT and what follows; ORF of either selection. */
bool incoming_take_select(Incoming *self, const PesitFpdu *fpdu);
bool incoming_take_open(Incoming *self);
bool incoming_take_read(Incoming *self, const PesitFpdu *fpdu);
/* Sends until something happens. Returns what happened: true with an event to handle. */
bool incoming_send(Incoming *self, PesitEvent *ret_event, bool *ret_wake);
bool incoming_end_serve(Incoming *self);
