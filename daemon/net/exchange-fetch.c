/* SPDX-License-Identifier: Apache-2.0 */
/* SELECT, ORF, READ, the data, TRANS.END. procedures §9.4. Runs on the connection's thread. */
#include "daemon/net/exchange-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "daemon/net/attributes.h"
#include "daemon/net/receiver.h"

#define DIAG_IO_ERROR     PESIT_DIAG(2, 213)
#define DIAG_SPACE        PESIT_DIAG(2, 219)
#define DIAG_ABNORMAL_END PESIT_DIAG(2, 223)
#define DIAG_LARGER       PESIT_DIAG(2, 224)

static bool command_select(Exchange *self)
{
    const Partner *partner = self->connection->partner;
    PesitFpdu fpdu;
    PesitCommand command = {.type = PESIT_FPDU_SELECT, .params = &fpdu};

    pesit_fpdu_init(&fpdu, PESIT_FPDU_SELECT);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_FILE_TYPE, self->transfer->file_type);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_FILE_NAME, self->transfer->file_name);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_TRANSFER_ID,
                          partner->profile.select_names_id ? exchange_transfer_id(self->transfer)
                                                           : 0);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_ATTRIBUTES_REQUESTED, 0xE0);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_RESTARTED, 0);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_PRIORITY, self->file->priority);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_MAX_ENTITY, partner->profile.max_entity_bytes);
    return channel_command(self->channel, &command);
}

/* What the answer says of the file's size: at most 2^32 KB or articles of 2^16 bytes. 0: nothing. */
static uint64_t announced_bytes(const Exchange *self, const PesitFpdu *fpdu)
{
    uint64_t space = pesit_fpdu_number(fpdu, PESIT_PI_SPACE_MAX, 0);

    if (pesit_fpdu_number(fpdu, PESIT_PI_SPACE_UNIT, 0) != 0)
        return space * pesit_fpdu_number(fpdu, PESIT_PI_ARTICLE_LENGTH, 0);
    return self->connection->partner->profile.size_in_bytes ? space : space * ATTRIBUTES_KB;
}

static bool read_answer(Exchange *self, const PesitFpdu *fpdu)
{
    uint64_t available = 0;

    self->transfer->transfer_id = (uint32_t)pesit_fpdu_number(fpdu, PESIT_PI_TRANSFER_ID, 0);
    self->announced_bytes = announced_bytes(self, fpdu);
    if (!spool_space(self->connection->services->spool, NULL, &available, NULL) ||
        self->announced_bytes <= available)
        return true;
    exchange_end_with(self, OUTCOME_RETRY, PESIT_DIAG(2, 219), BASE_ERROR_NO_SPACE,
                      "the partner's file is larger than what is free here");
    return false;
}

static bool receive_failed(Exchange *self, Receiver *receiver)
{
    g_autoptr(GError) error = NULL;
    PesitDiag diag;

    if (exchange_is_cancelled(self)) {
        exchange_interrupt(self, DIAG_CANCELLED, exchange_end_stopped(self));
        return true;
    }
    if (!receiver_take_failure(receiver, &diag, &error))
        return false;
    exchange_end_local(self, OUTCOME_RETRY, diag, error);
    exchange_interrupt(self, diag, PESIT_END_ERROR);
    return true;
}

/* One event of the data phase. False: the job has ended; ret_complete: DTF.END came. */
static bool receive_event(Exchange *self, Receiver *receiver, const PesitEvent *event,
                          bool *ret_complete)
{
    switch (event->kind) {
    case PESIT_EVENT_PIECES:
    case PESIT_EVENT_POINT:
        receiver_take(receiver, event);
        return !receive_failed(self, receiver);
    case PESIT_EVENT_DATA_END:
        *ret_complete = true;
        if (!pesit_diag_is_negative(event->diag))
            return true;
        exchange_end_refused(self, "the end of data", event->diag, 0);
        exchange_interrupt(self, DIAG_ABNORMAL_END, PESIT_END_ERROR);
        return false;
    case PESIT_EVENT_INDICATION:
        exchange_end_refused(self, "the data (interrupted)", event->diag, event->end_code);
        (void)exchange_command(self, PESIT_FPDU_ACK_IDT, PESIT_DIAG_OK); /* else it is over */
        self->depth = DEPTH_OPEN;
        return false;
    case PESIT_EVENT_INTERRUPTING:
        exchange_end_refused(self, "nothing, it broke the rules of data", event->diag,
                             event->end_code);
        return true;
    case PESIT_EVENT_CONFIRMATION: /* ACK(IDT) after INTERRUPTING */
        self->depth = DEPTH_OPEN;
        return false;
    case PESIT_EVENT_REMARK:
        connection_log_remark(self->connection, event);
        return true;
    case PESIT_EVENT_POINT_ACKED:
        return true;
    case PESIT_EVENT_ABORTED:
    case PESIT_EVENT_FAILED:
    case PESIT_EVENT_LOST:
        exchange_end_broken(self, event);
        return false;
    }
    return false;
}

static bool receive_data(Exchange *self, Receiver *receiver)
{
    bool complete = false;

    while (!complete) {
        PesitEvent event;
        ChannelResult result = channel_next(self->channel, INT64_MAX, &event);

        if (result == CHANNEL_WAKE) {
            if (!exchange_take_orders(self) || receive_failed(self, receiver))
                return false;
            continue;
        }
        if (!receive_event(self, receiver, &event, &complete))
            return false;
    }
    return true;
}

/* §9.11: more came than ACK(SELECT) had said. */
static bool check_announced(Exchange *self)
{
    /* who counts in bytes today may count in KB tomorrow */
    uint64_t limit_bytes = self->connection->partner->profile.size_in_bytes
                                   ? self->announced_bytes * ATTRIBUTES_KB
                                   : self->announced_bytes;

    if (self->announced_bytes == 0 || self->transfer->wire_bytes <= limit_bytes)
        return true;
    exchange_end_with(self, OUTCOME_FAILED, DIAG_LARGER, BASE_ERROR_PARTNER,
                      "the partner's file is larger than it announced");
    exchange_interrupt(self, DIAG_LARGER, PESIT_END_CANCELLED_REQUESTER);
    return false;
}

/* The bytes are safe before TRANS.END says so. */
static bool keep_file(Exchange *self, Receiver *receiver)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StoreResult) result = NULL;
    int folder_fd;

    exchange_remember_counts(self);
    if (!check_announced(self))
        return false;
    if (!receiver_finish(receiver, &self->transfer->size_bytes, &error)) {
        PesitDiag diag = g_error_matches(error, BASE_ERROR, BASE_ERROR_NO_SPACE) ? DIAG_SPACE
                                                                                 : DIAG_IO_ERROR;

        exchange_end_local(self, OUTCOME_RETRY, diag, error);
        exchange_interrupt(self, diag, PESIT_END_ERROR);
        return false;
    }
    folder_fd = spool_dup_unsynced(self->connection->services->spool);
    self->transfer->end_sent = true;
    self->transfer->data_kept = true;
    self->transfer->mtime_us = clock_wall_us();
    self->transfer->state = TRANSFER_RUNNING;
    result = store_execute(self->connection->services->store,
                           store_request_update(self->transfer,
                                                1u << TRANSFER_QUEUED | 1u << TRANSFER_WAITING |
                                                        1u << TRANSFER_RUNNING,
                                                &folder_fd, folder_fd >= 0 ? 1 : 0));
    self->kept = result->error == NULL;
    if (self->kept)
        return true;
    exchange_end_local(self, OUTCOME_RETRY, PESIT_DIAG(2, 299), result->error);
    exchange_interrupt(self, PESIT_DIAG(2, 299), PESIT_END_ERROR);
    return false;
}

static bool create_target(Exchange *self, GError **error)
{
    Spool *spool = self->connection->services->spool;

    if (self->transfer->spool_name != NULL)
        spool_remove(spool, self->transfer->spool_name);
    g_free(self->transfer->spool_name);
    self->transfer->spool_name = g_strdup_printf("%" G_GINT64_FORMAT, spool_next_name(spool));
    self->fd = spool_create(spool, self->transfer->spool_name, error);
    return self->fd >= 0 && exchange_open_journal(self, false, error);
}

static bool transfer_data_in(Exchange *self)
{
    g_autoptr(Receiver) receiver =
            receiver_new(self->channel, self->fd, self->file, self->context, self->job->progress,
                         self->announced_bytes, self->file->max_bytes);

    return receive_data(self, receiver) && keep_file(self, receiver);
}

void exchange_fetch(Exchange *self)
{
    g_autoptr(GError) error = NULL;
    PesitEvent event;
    bool accepted;

    if (!exchange_name_file(self, &error)) {
        exchange_end_unprepared(self, error);
        return;
    }
    if (!exchange_ask(self, command_select(self), PESIT_FPDU_ACK_SELECT, "SELECT", &event))
        return;
    self->depth = DEPTH_SELECTED;
    if (!read_answer(self, event.fpdu))
        return;
    if (!create_target(self, &error)) {
        exchange_end_local(self, OUTCOME_RETRY, PESIT_DIAG(2, 299), error);
        return;
    }
    if (!exchange_open_file(self, PESIT_FPDU_READ, PESIT_FPDU_ACK_READ, &event) ||
        !transfer_data_in(self))
        return;
    accepted = exchange_ask(self, exchange_command(self, PESIT_FPDU_TRANS_END, PESIT_DIAG_OK),
                            PESIT_FPDU_ACK_TRANS_END, "TRANS.END", &event);
    self->depth = DEPTH_OPEN; /* refused or not: CRF follows */
    if (!accepted)
        return;
    self->delivered = true;
    self->ended = true;
    job_end(self->job, OUTCOME_DONE, PESIT_DIAG_OK, NULL);
}
