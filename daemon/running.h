/* SPDX-License-Identifier: Apache-2.0 */
/* What partners that called in are moving now. Main loop only. */
#pragma once

#include "daemon/transfer/queue.h"

typedef struct Running Running;

Running *running_new(void);
void running_free(Running *self);
/* As NOTICE_INCOMING says it: progress NULL: it has ended. */
void running_take(Running *self, const Notice *notice);
/* The connection is gone. */
void running_drop(Running *self, const Connection *connection);
unsigned running_count(const Running *self);
/* Bytes so far; false: it does not move. */
bool running_find(const Running *self, int64_t id, uint64_t *ret_bytes);
/* transfer: as it began. */
void running_each(const Running *self, QueueVisitor visit, gpointer data);
