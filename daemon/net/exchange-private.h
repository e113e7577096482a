/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection that we open knows while it does one job; shared by its script and the steps. */
#pragma once

#include "daemon/net/connection-private.h"

#include "base/error.h"
#include "daemon/transfer/context.h"

#define DIAG_RECEIVED_NOT_DELIVERED 225
#define DIAG_CANCELLED              PESIT_DIAG(2, 216)

/* How deep the selection is, so that it can be closed from anywhere. */
typedef enum { DEPTH_CONNECTED, DEPTH_SELECTED, DEPTH_OPEN, DEPTH_DATA } Depth;

typedef struct {
    Connection *connection;
    Channel *channel;
    Job *job;
    Transfer *transfer;
    const VirtualFile *file;
    Depth depth;
    Fd fd;
    uint64_t size_bytes;
    uint16_t article_bytes;
    bool restarting; /* PI 15 = 1 */
    bool ended;      /* the job has its outcome */
    bool delivered;  /* ACK(TRANS.END) was positive: nothing can fail any more */
    bool kept;       /* a fetched file is complete here, TRANS.END may have left: §9.10 g */
    uint64_t announced_bytes;
    Context *context;
    Reply *gate; /* the row says that the partner may have it, once this is answered */
} Exchange;

/* The job ends with this outcome; what is said after the first is dropped. */
void exchange_end_with(Exchange *self, OutcomeKind outcome, PesitDiag diag, BaseError code,
                       const char *text);
/* The partner said no to a step. */
void exchange_end_refused(Exchange *self, const char *step, PesitDiag diag, unsigned end_code);
/* Something of ours failed. */
void exchange_end_local(Exchange *self, OutcomeKind outcome, PesitDiag diag, const GError *error);
/* Something of ours failed before the partner was asked. */
void exchange_end_unprepared(Exchange *self, const GError *error);
/* The connection is gone under a job. */
void exchange_end_broken(Exchange *self, const PesitEvent *event);
/* Whether the job was cancelled meanwhile. */
bool exchange_is_cancelled(const Exchange *self);
/* The job was cancelled or is held: it ends. Returns PI 19 of its IDT. */
unsigned exchange_end_stopped(Exchange *self);
/* A command without parameters. False: the session did not take it. */
bool exchange_command(Exchange *self, PesitFpduType type, PesitDiag diag);
/* Takes orders; an abort asked for by the main loop ends the job. False: over. */
bool exchange_take_orders(Exchange *self);
/* Waits for the answer to what was commanded. False: the job has ended (IDT leaves the depth at OPEN). */
bool exchange_await(Exchange *self, PesitFpduType expected, PesitEvent *ret_event);
/* Stops the transfer from our side and waits until the partner has agreed. */
void exchange_interrupt(Exchange *self, PesitDiag diag, unsigned end_code);
/* CRF and DESELECT as far as needed; they cannot be refused. */
void exchange_close(Exchange *self);
/* PI 12, decided once: later attempts keep it. */
bool exchange_name_file(Exchange *self, GError **error);
/* PI 13 of a transfer of ours. */
uint32_t exchange_transfer_id(const Transfer *transfer);
/* PI 13 of the same transfer when it is sent anew although the partner may know the first. */
uint32_t exchange_second_transfer_id(const Transfer *transfer);
/* One request and its answer. False: the job has ended. */
bool exchange_ask(Exchange *self, bool commanded, PesitFpduType answer, const char *step,
                  PesitEvent *ret_event);
/* ORF, then WRITE or READ. False: the job has ended. */
bool exchange_open_file(Exchange *self, PesitFpduType start, PesitFpduType start_answer,
                        PesitEvent *ret_event);
/* The transfer's context; again: the one of an earlier attempt when it is there. */
bool exchange_open_journal(Exchange *self, bool again, GError **error);
/* Bytes and articles of the wire, into the transfer. */
void exchange_remember_counts(Exchange *self);

/* The whole of a job, up to its outcome; the selection is closed by exchange_close. */
void exchange_send(Exchange *self);
void exchange_fetch(Exchange *self);
