/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session on a stream: feeds received bytes, sends what the session wants sent, keeps its deadlines, and
 * hands out its events one by one. The loop that connection, sender and receiver share. It does not
 * decide anything about files or partners. One thread.
 */
#pragma once

#include "base/mailbox.h"
#include "daemon/net/stream.h"
#include "protocol/session.h"

#include <stdatomic.h>

/* Room for several entities at a time: fewer system calls, and still in the processor's cache. */
#define CHANNEL_BATCH_BYTES   (256u * 1024u)
#define CHANNEL_RECEIVE_BYTES (CHANNEL_BATCH_BYTES + 65537u)

typedef enum {
    CHANNEL_EVENT, /* ret_event is set */
    CHANNEL_WAKE,  /* the mailbox has something */
    CHANNEL_TIME,  /* until_us is reached */
    CHANNEL_OVER,  /* the connection has ended; no more events */
} ChannelResult;

typedef struct {
    Stream *stream;
    PesitSession *session;
    Mailbox *orders;     /* borrowed */
    const char *label;   /* borrowed, for traces */
    int64_t transfer_id; /* what it moves, as far as it has a number, for the log; 0: nothing */
    uint8_t *received;   /* CHANNEL_RECEIVE_BYTES */
    size_t received_from, received_to;
    PesitCounts counted; /* for all to see */
    int64_t stall_us;    /* how long a send may block */
    bool ended;
    bool orders_ignored;    /* closing: orders no longer wake */
    _Atomic bool attention; /* set by whoever posted an order: looked at between batches */
    GError *failure;        /* why the transport failed, or NULL */
    /* Called before the receive buffer is reused: pieces pointing into it must be written now. NULL: nobody. */
    void (*on_fill)(void *data);
    /* Called when nothing is in the socket either, a good moment to sync; set with on_fill. May give commands.
     * Returns when it wants to be called again if nothing has come by then: 0 at once, INT64_MAX never. */
    int64_t (*on_idle)(void *data);
    void *on_fill_data;
} Channel;

/* stream, session: taken. orders, label: borrowed for the channel's life. */
Channel *channel_new(Stream *stream, PesitSession *session, Mailbox *orders, const char *label,
                     int64_t stall_us);
void channel_free(Channel *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Channel, channel_free)

/* Sends what is pending, then returns the next event, waiting until until_us (INT64_MAX: no limit). Without an
 * event ret_event says LOST. */
ChannelResult channel_next(Channel *self, int64_t until_us, PesitEvent *ret_event);
/* Next event that is here already or in the socket, without waiting: TIME when there is none. */
ChannelResult channel_poll(Channel *self, PesitEvent *ret_event);
/* Gives a command to the session. False: not allowed in this state (an error of ours), logged. */
bool channel_command(Channel *self, const PesitCommand *command);
/* Sends the session's pending output. False: the transport failed. */
bool channel_flush(Channel *self);
/* Sends a closed batch, and what is pending behind it in the same write. */
bool channel_send_batch(Channel *self, PesitBatch *batch);
/* Sends ABORT and waits for the peer to close, Tr at most. */
void channel_abort(Channel *self, PesitDiag diag);
/* Waits until the session is finished (after RCONNECT, RELCONF, ABORT), Tr at most, discarding input. */
void channel_linger(Channel *self);
