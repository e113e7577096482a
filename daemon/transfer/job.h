/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels between the queue and the connections: a transfer to do, how it ended, and its progress.
 * A job moves to the connection's thread and comes back with its outcome; only Progress is shared, and it
 * is atomic.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/store.h"
#include "protocol/types.h"

#include <stdatomic.h>

/* Seen by the main loop while a connection works. */
typedef struct {
    _Atomic unsigned references;
    _Atomic uint64_t bytes;
    _Atomic bool cancelled; /* asked for; the connection sees it between two batches */
    _Atomic bool held; /* and the transfer is to go on some day: the partner keeps what it has */
} Progress;

Progress *progress_new(void);
Progress *progress_ref(Progress *progress);
void progress_unref(Progress *progress);

/* How a job ended. */
typedef enum {
    OUTCOME_DONE,
    OUTCOME_RETRY,       /* try again by the partner's delays */
    OUTCOME_RETRY_LATER, /* the partner asked for a delay: does not count as an attempt */
    OUTCOME_FAILED,
    OUTCOME_CANCELLED,
    OUTCOME_RETURNED, /* not begun: the connection went before; queue again at once */
} OutcomeKind;

typedef struct {
    Config *config; /* holds partner and file alive */
    const Partner *partner;
    const VirtualFile *file;
    Transfer *transfer; /* as stored; the connection fills in what it learns */
    Progress *progress;
    OutcomeKind outcome;
    bool unresolved; /* an earlier attempt may have brought the whole file, and nobody has said no yet */
    bool progressed; /* a point was acknowledged: the count of attempts starts again */
} Job;

/* config: borrowed, referenced. transfer: taken. */
Job *job_new(Config *config, const Partner *partner, const VirtualFile *file, Transfer *transfer);
void job_free(Job *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Job, job_free)

/* Ends a job: outcome and what is told about it. error: borrowed or NULL; diag 0/000 when none. */
void job_end(Job *job, OutcomeKind outcome, PesitDiag diag, const GError *error);

/* What a diagnostic means for another attempt; procedures §9.10. end_code: PI 19, 0 when no IDT. */
OutcomeKind outcome_from_diag(PesitDiag diag, unsigned end_code);
