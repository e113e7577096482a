/* SPDX-License-Identifier: Apache-2.0 */
/* CREATE, ORF, WRITE, the data, TRANS.END. procedures §9.3. Runs on the connection's thread. */
#include "daemon/net/exchange-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/metric.h"
#include "daemon/net/attributes.h"
#include "daemon/net/sender.h"

#include <fcntl.h>
#include <sys/stat.h>

#define EARLY_BYTES            (1u << 20)
#define DIAG_NO_POINT          PESIT_DIAG(2, 214)
#define DIAG_REFUSED           PESIT_DIAG(2, 226)
#define DIAG_ARTICLE_LONG_CODE 220

static bool command_create(Exchange *self)
{
    const Partner *partner = self->connection->partner;
    g_autofree char *name = g_path_get_basename(self->transfer->path);
    g_auto(Attributes) attributes = {0};
    RuleContext context = attributes_transfer_context(partner, name, self->transfer);
    PesitFpdu fpdu;
    PesitCommand command = {.type = PESIT_FPDU_CREATE, .params = &fpdu};

    pesit_fpdu_init(&fpdu, PESIT_FPDU_CREATE);
    attributes_fill(&fpdu, partner, self->file, self->transfer, self->article_bytes,
                    self->size_bytes, &context, &attributes);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_RESTARTED, self->restarting ? 1 : 0);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_PRIORITY, self->file->priority);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_MAX_ENTITY, partner->profile.max_entity_bytes);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_CLIENT, self->file->client);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_BANK, self->file->bank);
    return channel_command(self->channel, &command);
}

static bool open_source(Exchange *self, GError **error)
{
    struct stat stat;

    self->fd = spool_open_data(self->connection->services->spool, self->transfer->spool_name,
                               O_RDONLY, error);
    if (self->fd < 0)
        return false;
    if (fstat(self->fd, &stat) != 0) {
        error_set_errno(error, errno, "stat the file to send");
        return false;
    }
    self->size_bytes = (uint64_t)stat.st_size;
    if (!attributes_check_size(self->file, self->size_bytes, error))
        return false;
    (void)posix_fadvise(self->fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* a hint */
    return true;
}

/* From now on the partner may have the file even if we do not hear so: recorded while data flows. */
static Reply *begin_record(Exchange *self)
{
    self->transfer->end_sent = true;
    self->transfer->state = TRANSFER_RUNNING;
    return store_begin(self->connection->services->store,
                       store_request_update(self->transfer,
                                            1u << TRANSFER_QUEUED | 1u << TRANSFER_WAITING |
                                                    1u << TRANSFER_RUNNING,
                                            NULL, 0));
}

/* A small file's row is written while ORF and WRITE are asked for; until data flow the partner cannot have it. */
static void record_early(Exchange *self)
{
    bool end_sent = self->transfer->end_sent;

    if (self->size_bytes > EARLY_BYTES)
        return;
    self->gate = begin_record(self);
    self->transfer->end_sent = end_sent;
}

/* An orderly end before TRANS.END: the partner does not have it. */
static void send_failed(Exchange *self, PesitDiag diag, const GError *error)
{
    bool refused = diag.code == DIAG_ARTICLE_LONG_CODE;
    OutcomeKind outcome = refused                                 ? OUTCOME_FAILED
                          : error != NULL && store_is_away(error) ? OUTCOME_RETRY_LATER
                                                                  : OUTCOME_RETRY;

    if (exchange_is_cancelled(self)) {
        exchange_interrupt(self, diag, exchange_end_stopped(self));
        return;
    }
    exchange_end_local(self, outcome, diag, error);
    exchange_interrupt(self, diag, refused ? PESIT_END_CANCELLED_REQUESTER : PESIT_END_ERROR);
}

static bool send_data(Exchange *self, Sender *sender)
{
    for (;;) {
        g_autoptr(GError) error = NULL;
        PesitEvent event = {0};
        PesitDiag diag = PESIT_DIAG_OK;

        switch (sender_run(sender, true, &event, &diag, &error)) {
        case SENDER_DONE:
            return true;
        case SENDER_WAKE:
            if (!exchange_take_orders(self))
                return false;
            if (!exchange_is_cancelled(self))
                continue;
            send_failed(self, DIAG_CANCELLED, NULL);
            return false;
        case SENDER_FAILED:
            send_failed(self, diag, error);
            return false;
        case SENDER_EVENT:
            if (event.kind == PESIT_EVENT_INDICATION && event.type == PESIT_FPDU_IDT) {
                exchange_end_refused(self, "the data (interrupted)", event.diag, event.end_code);
                (void)exchange_command(self, PESIT_FPDU_ACK_IDT,
                                       PESIT_DIAG_OK); /* else it is over */
                self->depth = DEPTH_OPEN;
                return false;
            }
            exchange_end_broken(self, &event);
            return false;
        }
    }
}

/* Where the partner wants to go on. False: at a point that we never set; nothing wrong is sent. §9.10 a */
static bool find_start(Exchange *self, uint32_t point, ContextPoint *ret_start)
{
    if (context_find(self->context, point, ret_start))
        return true;
    exchange_end_with(self, OUTCOME_FAILED, DIAG_NO_POINT, BASE_ERROR_PARTNER,
                      "the partner goes on at a point that was never set: ask it what it has "
                      "before sending again");
    exchange_interrupt(self, DIAG_NO_POINT, PESIT_END_ERROR);
    return false;
}

static bool transfer_data_out(Exchange *self, uint32_t point, PesitDiag *ret_diag)
{
    g_autoptr(Sender) sender = sender_new(self->channel, self->fd, self->size_bytes, self->file,
                                          self->context, self->job->progress);
    ContextPoint start = {0};
    PesitEvent event;
    bool sent;

    if (!find_start(self, point, &start))
        return false;
    if (self->gate == NULL)
        self->gate = begin_record(self);
    self->transfer->end_sent = true;
    sender_set_gate(sender, self->gate);
    if (point != 0) {
        sender_start_at(sender, &start);
        pesit_session_set_start(self->channel->session, start.bytes, start.articles);
    }
    sent = send_data(self, sender);
    self->job->progressed = sender_has_progressed(sender);
    if (!sent)
        return false;
    if (!exchange_await(self, PESIT_FPDU_ACK_TRANS_END, &event))
        return false;
    exchange_remember_counts(self);
    self->depth = DEPTH_OPEN;
    if (event.diag.code == DIAG_RECEIVED_NOT_DELIVERED) { /* never again: it has the file */
        *ret_diag = event.diag;
        return true;
    }
    if (!event.positive) {
        /* it says that it does not have it: the next is a new one */
        self->transfer->end_sent = self->job->unresolved = false;
        exchange_end_refused(self, "TRANS.END", event.diag, 0);
        return false;
    }
    return true;
}

/* §8.2 b: whole articles must fit into the entities that the partner takes. */
static bool check_fit(Exchange *self)
{
    PesitAgreement agreement;

    pesit_session_get_agreement(self->channel->session, &agreement);
    if (self->connection->partner->profile.segmentation ||
        agreement.max_entity_bytes >= agreement.article_bytes + PESIT_HEADER_BYTES)
        return true;
    exchange_end_with(
            self, OUTCOME_FAILED, DIAG_REFUSED, BASE_ERROR_PARTNER,
            "the partner's entities are too small for the articles, which may not be segmented");
    return false;
}

/* Restart refused because the partner knows nothing to restart. procedures §9.10 b */
static bool is_unknown(PesitDiag diag)
{
    return diag.type == 2 && (diag.code == 205 || diag.code == 214 || diag.code == 233);
}

/* The partner does not have it: from the start, under a number of its own. */
static bool begin_anew(Exchange *self)
{
    g_autoptr(GError) error = NULL;

    self->restarting = false;
    self->transfer->end_sent = self->job->unresolved = false;
    self->transfer->transfer_id = exchange_second_transfer_id(self->transfer);
    g_clear_pointer(&self->context, context_close);
    if (exchange_open_journal(self, false, &error))
        return true;
    exchange_end_unprepared(self, error);
    return false;
}

/* CREATE of what the partner may have already. True: it goes on, as a restart or as a new transfer. */
static bool create_again(Exchange *self, PesitEvent *ret_event)
{
    if (!command_create(self) || !exchange_await(self, PESIT_FPDU_ACK_CREATE, ret_event))
        return false;
    if (ret_event->positive) {
        metric_add(METRIC_RESTARTS_OUT, 1);
        return true;
    }
    if (!is_unknown(ret_event->diag)) {
        exchange_end_refused(self, "the restart", ret_event->diag, 0);
        return false;
    }
    if (self->connection->partner->profile.resend_unknown)
        return begin_anew(self) &&
               exchange_ask(self, command_create(self), PESIT_FPDU_ACK_CREATE, "CREATE", ret_event);
    exchange_end_with(
            self, OUTCOME_FAILED, ret_event->diag, BASE_ERROR_PARTNER,
            "the answer to the last attempt was lost and the partner cannot restart it; it "
            "may have the file: ask it before sending again");
    return false;
}

static bool create(Exchange *self, PesitEvent *ret_event)
{
    return self->restarting ? create_again(self, ret_event)
                            : exchange_ask(self, command_create(self), PESIT_FPDU_ACK_CREATE,
                                           "CREATE", ret_event);
}

void exchange_send(Exchange *self)
{
    g_autoptr(GError) error = NULL;
    PesitDiag diag = PESIT_DIAG_OK;
    PesitAgreement agreement;
    PesitEvent event;

    self->restarting = self->transfer->end_sent && self->connection->partner->profile.restart;
    if (self->transfer->transfer_id == 0)
        self->transfer->transfer_id = exchange_transfer_id(self->transfer);
    if (!exchange_name_file(self, &error) || !open_source(self, &error) ||
        !exchange_open_journal(self, self->restarting, &error)) {
        exchange_end_unprepared(self, error);
        return;
    }
    pesit_session_get_agreement(self->channel->session, &agreement);
    self->article_bytes = attributes_article_bytes(
            self->file, self->connection->partner->profile.max_entity_bytes,
            agreement.sync_interval_kb);
    if (!create(self, &event))
        return;
    self->depth = DEPTH_SELECTED;
    if (!check_fit(self))
        return;
    record_early(self);
    if (!exchange_open_file(self, PESIT_FPDU_WRITE, PESIT_FPDU_ACK_WRITE, &event))
        return;
    if (!transfer_data_out(self, event.point, &diag))
        return;
    self->delivered = true;
    self->ended = true;
    job_end(self->job, OUTCOME_DONE, diag, NULL);
}
