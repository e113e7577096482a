/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one local file on their way to the partner, in either role, once WRITE or READ was accepted:
 * layout by the session, bytes read straight into the batch, points journalled before they leave.
 * Can be left and taken up again. procedures §10.2, §11.2. One thread.
 */
#pragma once

#include "daemon/net/channel.h"
#include "daemon/transfer/context.h"
#include "daemon/transfer/job.h"

typedef struct Sender Sender;

typedef enum {
    SENDER_DONE,   /* all sent, DTF.END behind it (and TRANS.END when requester) */
    SENDER_EVENT,  /* the peer did something: ret_event (IDT, ABORT, loss) */
    SENDER_WAKE,   /* an order waits */
    SENDER_FAILED, /* the source cannot be read or does not fit its rules: error, diag */
} SenderResult;

/* fd: borrowed, open for reading. size_bytes: as announced. context: borrowed or NULL. */
Sender *sender_new(Channel *channel, int fd, uint64_t size_bytes, const VirtualFile *file,
                   Context *context, Progress *progress);
void sender_free(Sender *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sender, sender_free)

/* Starts at a point of an earlier attempt instead of the beginning. */
void sender_start_at(Sender *self, const ContextPoint *point);
/* Before DTF.END leaves, the request behind this reply must have committed (see Transfer.end_sent).
 * gate: referenced. */
void sender_set_gate(Sender *self, Reply *gate);
/* Goes on until something happens. ret_diag: with FAILED, what to tell the partner (2/213, 2/220 …). */
SenderResult sender_run(Sender *self, bool requester, PesitEvent *ret_event, PesitDiag *ret_diag,
                        GError **error);
/* True when the partner acknowledged a point. */
bool sender_has_progressed(const Sender *self);
