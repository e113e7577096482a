/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What connection.c, outgoing.c, exchange*.c, incoming.c and admission.c share about one connection. Everything in it
 * belongs to the connection's thread once that runs, except what is marked.
 */
#pragma once

#include "daemon/net/channel.h"
#include "daemon/net/connection.h"

struct Connection {
    const ConnectionServices *services;
    Config *config;
    const Partner *partner; /* outgoing: from the start; incoming: once authenticated */
    TlsContext *tls;
    bool incoming;
    char *label;              /* constant after start: any thread */
    char *address;            /* constant after start: any thread */
    char *session;            /* its name in the history; constant */
    char *listener;           /* incoming: id of that which took it; constant */
    int fd;                   /* accepted socket, until the stream owns it */
    _Atomic int cut_fd;       /* duplicate for connection_cut: main loop and thread */
    Mailbox *orders;          /* any thread */
    GThread *thread;          /* main loop */
    Channel *_Atomic channel; /* set once by the thread, read by connection_order */
    Job *job;                 /* outgoing: what is being done */
    int64_t transfer_id;      /* incoming: what ORDER_CANCEL may be about, 0 for nothing */
    bool cancelled;           /* incoming: and it came */
    bool finishing;           /* ORDER_FINISH came */
    bool over;                /* the session or the transport has ended */
    PesitDiag abort_diag;     /* what ended it, 0/000 when lost */
    bool admitted;            /* counted for its partner in the main loop */
};

/* Options of a session for a partner (NULL: not known yet). */
void connection_fill_options(const Connection *self, const Partner *partner, PesitRole role,
                             PesitSessionOptions *ret_options);
/* Makes the channel over a stream. stream: taken. */
Channel *connection_open_channel(Connection *self, Stream *stream, PesitRole role);
/* Takes all waiting orders: cancel, finish, abort. Jobs are put in self->job (only when it is NULL). */
void connection_take_orders(Connection *self);
/* Why a session was LOST or FAILED, as text; NULL when nobody knows. Borrowed from event and channel. */
const char *connection_reason(const Connection *self, const PesitEvent *event);
/* Logs the end of a session and notes it: ABORTED, FAILED, LOST. */
void connection_note_end(Connection *self, const PesitEvent *event);
void connection_log_remark(const Connection *self, const PesitEvent *event);
/* Notices; partner and path: copied. */
Notice *notice_new(const Connection *self, NoticeKind kind);
/* Asks the main loop and waits. */
Verdict connection_ask(Connection *self, NoticeKind kind, const char *path);
void connection_tell_incoming(Connection *self, const Transfer *transfer, Progress *progress);

/* The two scripts. */
void outgoing_run(Connection *self);
void incoming_run(Connection *self, Stream *stream);

/* Gives CONNECT to the session. False: it does not take it. */
bool outgoing_command_connect(Connection *self);
/* PI 5 of the answer, when the partner must prove itself too. */
bool outgoing_check_password(const Connection *self, const PesitFpdu *fpdu);

/* CONNECT: who is it and may it? Returns 0/000 and sets self->partner, or why not. procedures §14.2 */
PesitDiag admission_check(Connection *self, const PesitFpdu *connect);
