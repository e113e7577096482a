/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules in the store: transfers that are made by the clock. What is wanted is the administration's JSON, which is not read
 * here; when it is due next, and how its last run went, are columns, because daemons on one schema agree by them who
 * runs what. Requests as those of store.h; their result has schedules.
 */
#pragma once

#include "daemon/store.h"

/* Strings are owned. */
typedef struct {
    char *id, *name, *document;
    int64_t version; /* of what is wanted: 1, and one more with each change */
    int64_t created_us, updated_us;
    int64_t next_us;         /* wall; 0: it is switched off, or over */
    int64_t expect_us;       /* the cut-off; 0: none */
    int64_t expect_since_us; /* what came from then on has come in time */
    /* its last run */
    int64_t due_us, run_us; /* when it was due, and when it began; 0: never */
    char *status;           /* "", SCHEDULE_STARTING, …, or how it ended */
    char *error;            /* or NULL */
    int64_t transfer_id;    /* 0: none was made */
    bool ours;              /* this daemon began it */
    int64_t success_us;     /* when the last one that ended well began */
    int64_t successes, failures, missed;
} Schedule;

#define SCHEDULE_STARTING  "STARTING" /* claimed, its transfer is being made */
#define SCHEDULE_RUNNING   "RUNNING"
#define SCHEDULE_SUCCESS   "SUCCESS"
#define SCHEDULE_FAILED    "FAILED"
#define SCHEDULE_CANCELLED "CANCELLED"

Schedule *schedule_copy(const Schedule *schedule);
void schedule_free(Schedule *schedule);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Schedule, schedule_free)
/* When somebody has to look at it; 0: never. */
int64_t schedule_wake_us(const Schedule *schedule);

/* what is wanted; the watcher of the store hears of each change, as of those below */

/* EXISTS: the name is taken. schedule: copied. */
StoreRequest *store_request_schedule_insert(const Schedule *schedule);
/* Name, document and times, of the version that was read. CONFLICT: it was changed or removed since. EXISTS. */
StoreRequest *store_request_schedule_update(const Schedule *schedule);
/* CONFLICT. */
StoreRequest *store_request_schedule_remove(const Schedule *schedule);
/* By its id, or by its name. NOT_FOUND. */
StoreRequest *store_request_schedule_get(const char *id);
/* By id, after `after` (exclusive, "": from the start). */
StoreRequest *store_request_schedule_list(const char *after, uint32_t limit);

/* what happens to it */

/* Those that somebody has to look at first. */
StoreRequest *store_request_schedule_wake(uint32_t limit);
/* Those whose run has begun and not ended. */
StoreRequest *store_request_schedule_running(void);
/* Claims the due time of a schedule as it was read, for a run that begins now (run_us of after); after: the times that come
 * then. stale_us: a run that began before it and has not ended keeps nobody. CONFLICT: another was faster. */
StoreRequest *store_request_schedule_claim(const Schedule *before, const Schedule *after,
                                           int64_t stale_us);
/* Goes on to the times of after without a run; missed: so many due times are passed over. CONFLICT. */
StoreRequest *store_request_schedule_advance(const Schedule *before, const Schedule *after,
                                             unsigned missed);
/* Begins a run that somebody asked for. CONFLICT: one has not ended. */
StoreRequest *store_request_schedule_begin(const char *id, int64_t run_us, int64_t stale_us);
/* The transfer of a run that began then is made. CONFLICT. */
StoreRequest *store_request_schedule_started(const char *id, int64_t run_us, int64_t transfer_id);
/* How a run that began then ended. CONFLICT: another said so. */
StoreRequest *store_request_schedule_ended(const char *id, int64_t run_us, const char *status,
                                           const char *error);
