/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Knows when somebody has to look at a schedule: its time has come, its cut-off has, or the transfer of its run has ended. One
 * timer, set to the first of these times, that also goes off when the clock is set. What is then to be done, and whether another
 * daemon was faster, is for who looks at it. Main loop only, but for one function.
 */
#pragma once

#include "daemon/store.h"

typedef struct Scheduler Scheduler;

/* Somebody looks at a schedule, and calls scheduler_take_back. False: nobody can, now. */
typedef bool (*SchedulerAttend)(const char *id, gpointer data);

/* Returns new. */
Scheduler *scheduler_new(Store *store, SchedulerAttend attend, gpointer data, GError **error);
void scheduler_free(Scheduler *self);
/* From now on it looks, also at what a stop came between. */
void scheduler_start(Scheduler *self);
/* The schedules in the store may have changed, here or in another daemon. */
void scheduler_refresh(Scheduler *self);
void scheduler_take_change(Scheduler *self, const Transfer *transfer);
/* Who looked at a schedule is done. moved: something was done with it. Any thread. */
void scheduler_take_back(Scheduler *self, const char *id, bool moved);
