/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of one file coming from the partner, in either role: pieces go from the receive buffer to the
 * file with few system calls, points are made durable (data, then journal) before they are acknowledged.
 * It hooks itself into the channel. procedures §10.3, §11.2, §13. One thread.
 */
#pragma once

#include "daemon/net/channel.h"
#include "daemon/transfer/context.h"
#include "daemon/transfer/job.h"

typedef struct Receiver Receiver;

/* fd: borrowed, open for writing, empty. context: borrowed or NULL. announced_bytes: 0 when unknown.
 * max_bytes: 0 for no limit; more ends with NO_SPACE. */
Receiver *receiver_new(Channel *channel, int fd, const VirtualFile *file, Context *context,
                       Progress *progress, uint64_t announced_bytes, uint64_t max_bytes);
void receiver_free(Receiver *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Receiver, receiver_free)

/* Takes PIECES and POINT events. What fails is told by receiver_take_failure. */
void receiver_take(Receiver *self, const PesitEvent *event);
/* What went wrong since the start: the diagnostic for IDT (2/213, 2/219) and the error, once. False: nothing. */
bool receiver_take_failure(Receiver *self, PesitDiag *ret_diag, GError **error);
/* Writes what is held back, cuts what was allocated ahead, syncs. ret_size: the local file's size. */
bool receiver_finish(Receiver *self, uint64_t *ret_size, GError **error);
