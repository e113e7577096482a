/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PeSIT connection: a thread, its socket, its session, its file. The only place where a socket meets a
 * session. The main loop gives orders and hears notices, both by mailbox.
 */
#pragma once

#include "base/mailbox.h"
#include "daemon/config.h"
#include "daemon/net/tls.h"
#include "daemon/store.h"
#include "daemon/transfer/job.h"
#include "daemon/transfer/spool.h"

typedef struct Connection Connection;

/* What every connection uses; lives longer than all of them. */
typedef struct {
    Store *store;
    Spool *spool;
    Mailbox *notices; /* to the main loop: Notice */
} ConnectionServices;

/* From the main loop to a connection. */
typedef enum {
    ORDER_JOB,    /* do this transfer (outgoing connections) */
    ORDER_CANCEL, /* interrupt the transfer with this id, if it is this connection's */
    ORDER_FINISH, /* finish what runs, then release or abort 3/316 */
    ORDER_ABORT,  /* now: ABORT with diag */
} OrderKind;

typedef struct {
    OrderKind kind;
    Job *job;               /* ORDER_JOB: owned */
    int64_t id;             /* ORDER_CANCEL */
    PesitDiag diag;         /* ORDER_ABORT */
    Connection *connection; /* set by connection_order */
} Order;

Order *order_new(OrderKind kind);
void order_free(Order *order);

/* From a connection to the main loop. */
typedef enum {
    NOTICE_ADMIT,    /* may this authenticated partner open a connection? answer: Verdict */
    NOTICE_REJECTED, /* an address failed to authenticate; path: as whom */
    NOTICE_CLAIM,    /* may this path be written? answer: Verdict */
    NOTICE_UNCLAIM,
    NOTICE_JOB_DONE, /* job comes back; the connection is idle */
    NOTICE_INCOMING, /* a transfer with an incoming partner began, moved or ended: transfer */
    NOTICE_CLOSED,   /* the thread is about to end; connection_free may join it */
} NoticeKind;

typedef enum { VERDICT_YES, VERDICT_BUSY, VERDICT_FULL, VERDICT_STOPPING } Verdict;

typedef struct {
    NoticeKind kind;
    Connection *connection;
    char *partner;
    char *path;         /* CLAIM, UNCLAIM; REJECTED: PI 3 or NULL */
    Job *job;           /* JOB_DONE: owned */
    Transfer *transfer; /* INCOMING: owned copy */
    Progress *progress; /* INCOMING: referenced, or NULL when it ended */
    Reply *reply;       /* ADMIT, CLAIM: referenced; value GINT_TO_POINTER(Verdict) */
} Notice;

void notice_free(Notice *notice);

/* Starts the thread of a connection that we open. config: referenced. tls: referenced, NULL for plain.
 * first: taken, the first job. */
Connection *connection_start_outgoing(const ConnectionServices *services, Config *config,
                                      const Partner *partner, TlsContext *tls, Job *first);
/* Starts the thread of an accepted socket. fd: taken. address, listener (id of that which took it): copied. */
Connection *connection_start_incoming(const ConnectionServices *services, Config *config, int fd,
                                      const char *address, const char *listener, TlsContext *tls);
/* Gives an order. order: taken. Main loop. */
void connection_order(Connection *self, Order *order);
/* Wakes a connection that is stuck in its socket; for stopping. Main loop. */
void connection_cut(Connection *self);
/* Joins the thread and frees; after NOTICE_CLOSED. Main loop. */
void connection_free(Connection *self);
/* "c17": for logs. Borrowed. */
const char *connection_label(const Connection *self);
const char *connection_address(const Connection *self);
bool connection_is_incoming(const Connection *self);
