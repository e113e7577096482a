/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that take requests from the kernel. They grow when all are busy, shrink when idle, and end in
 * order: no thread is cancelled.
 */
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <stdbool.h>

/* Blocks the signals that end the mount in this thread and in those that it makes later. Before any of them. */
void loop_block_signals(void);
typedef struct {
    void (*on_tick)(void *data); /* every two seconds; may take as long */
    void (*on_stop)(void *data); /* answers requests that were put aside; no more are taken */
    void *data;
} LoopHooks;

/* Serves a mounted session until it is unmounted or SIGTERM, SIGINT or SIGHUP comes; returns when the requests
 * that were taken are answered. False: no thread could be made. */
bool loop_run(struct fuse_session *session, const LoopHooks *hooks);
