/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs and their outcomes, with the one table that says which diagnostics are worth another attempt.
 * procedures §9.10.
 */
#include "daemon/transfer/job.h"

#include "base/error.h"

Progress *progress_new(void)
{
    Progress *progress = g_new0(Progress, 1);

    atomic_init(&progress->references, 1);
    return progress;
}

Progress *progress_ref(Progress *progress)
{
    atomic_fetch_add(&progress->references, 1);
    return progress;
}

void progress_unref(Progress *progress)
{
    if (progress != NULL && atomic_fetch_sub(&progress->references, 1) == 1)
        g_free(progress);
}

Job *job_new(Config *config, const Partner *partner, const VirtualFile *file, Transfer *transfer)
{
    Job *job = g_new0(Job, 1);

    job->config = config_ref(config);
    job->partner = partner;
    job->file = file;
    job->transfer = transfer;
    job->unresolved = transfer->direction == DIRECTION_SEND && transfer->end_sent;
    job->progress = progress_new();
    job->outcome = OUTCOME_RETURNED;
    return job;
}

void job_free(Job *job)
{
    if (job == NULL)
        return;
    config_unref(job->config);
    transfer_free(job->transfer);
    progress_unref(job->progress);
    g_free(job);
}

void job_end(Job *job, OutcomeKind outcome, PesitDiag diag, const GError *error)
{
    Transfer *transfer = job->transfer;

    job->outcome = outcome;
    transfer->diag_type = diag.type;
    transfer->diag_code = diag.code;
    transfer->cause = error != NULL && error->domain == BASE_ERROR ? (uint8_t)(error->code + 1) : 0;
    g_free(transfer->error);
    transfer->error = error != NULL ? g_strdup(error->message) : NULL;
}

/* Codes not listed are worth another attempt: a rare useless call costs less than a lost file. 225 says that
 * the file arrived. */
static const uint16_t REFUSED_FOR_GOOD[] = {
        200, 204, 205, 208, 209, 210, 211, 212, 214, 216, 217, 220, 222, 224,
        225, 226, 301, 302, 304, 305, 306, 307, 308, 311, 315, 318, 319, 321,
};

OutcomeKind outcome_from_diag(PesitDiag diag, unsigned end_code)
{
    if (end_code == PESIT_END_CANCELLED_SERVER || end_code == PESIT_END_CANCELLED_REQUESTER)
        return OUTCOME_FAILED;
    if (diag.code == 322)
        return OUTCOME_RETRY_LATER;
    for (size_t i = 0; i < G_N_ELEMENTS(REFUSED_FOR_GOOD); i++) {
        if (diag.code == REFUSED_FOR_GOOD[i])
            return OUTCOME_FAILED;
    }
    return OUTCOME_RETRY;
}
