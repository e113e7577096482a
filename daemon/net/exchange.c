/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps of an exchange that sending and fetching share: a request and its answer, interruption, closing, and how
 * a job ends. procedures §9.2, §9.6 to §9.8. Runs on the connection's thread.
 */
#include "daemon/net/exchange-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "daemon/net/attributes.h"

#define TRANSFER_ID_MODULUS 0xFFFFFF
#define DIAG_SILENCE        317
#define SECOND_ID_MODULUS   0x7FFFFF /* from the other end: they meet after eight million */

void exchange_end_with(Exchange *self, OutcomeKind outcome, PesitDiag diag, BaseError code,
                       const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(BASE_ERROR, (int)code, text);

    if (self->ended)
        return;
    self->ended = true;
    job_end(self->job, outcome, diag, error);
}

/* The partner said no. */
void exchange_end_refused(Exchange *self, const char *step, PesitDiag diag, unsigned end_code)
{
    g_autofree char *text = g_strdup_printf("partner refused %s: %u/%03u %s", step, diag.type,
                                            diag.code, pesit_diag_text(diag));

    exchange_end_with(self, outcome_from_diag(diag, end_code), diag, BASE_ERROR_PARTNER, text);
}

/* Something of ours failed. */
void exchange_end_local(Exchange *self, OutcomeKind outcome, PesitDiag diag, const GError *error)
{
    if (self->ended)
        return;
    self->ended = true;
    job_end(self->job, outcome, diag, error);
}

/* Before the partner was asked anything: tried again only when the store is what fails. */
void exchange_end_unprepared(Exchange *self, const GError *error)
{
    exchange_end_local(self,
                       g_error_matches(error, BASE_ERROR, BASE_ERROR_UNREACHABLE)
                               ? OUTCOME_RETRY_LATER
                               : OUTCOME_FAILED,
                       PESIT_DIAG_OK, error);
}

/* §9.10 g: only the answer to TRANS.END is missing. The file is here, and the partner may have removed it: it
 * is never asked for again. */
static void end_kept(Exchange *self)
{
    if (self->ended)
        return;
    self->ended = true;
    job_end(self->job, OUTCOME_DONE, PESIT_DIAG_OK, NULL);
}

/* The connection is gone under a job. */
void exchange_end_broken(Exchange *self, const PesitEvent *event)
{
    const char *reason = connection_reason(self->connection, event);
    g_autofree char *text = NULL;
    PesitDiag diag = event->diag;
    BaseError code = BASE_ERROR_UNREACHABLE;

    connection_note_end(self->connection, event);
    switch (event->kind) {
    case PESIT_EVENT_ABORTED:
        text = g_strdup_printf("partner aborted the connection: %u/%03u %s", diag.type, diag.code,
                               pesit_diag_text(diag));
        break;
    case PESIT_EVENT_FAILED:
        text = g_strdup_printf("connection aborted: %s (%u/%03u)", event->text, diag.type,
                               diag.code);
        break;
    case PESIT_EVENT_INDICATION:
    case PESIT_EVENT_CONFIRMATION:
    case PESIT_EVENT_PIECES:
    case PESIT_EVENT_POINT:
    case PESIT_EVENT_POINT_ACKED:
    case PESIT_EVENT_DATA_END:
    case PESIT_EVENT_INTERRUPTING:
    case PESIT_EVENT_REMARK:
    case PESIT_EVENT_LOST:
        text = g_strconcat("connection lost", reason != NULL ? ": " : NULL, reason, NULL);
        diag = PESIT_DIAG(3, 310);
        if (g_error_matches(self->connection->channel->failure, BASE_ERROR, BASE_ERROR_UNTRUSTED) ||
            g_error_matches(self->connection->channel->failure, BASE_ERROR, BASE_ERROR_EXPIRED)) {
            /* the partner did not want our certificate */
            code = (BaseError)self->connection->channel->failure->code;
            diag = PESIT_DIAG_OK;
        }
        break;
    }
    if (self->kept && (event->kind != PESIT_EVENT_FAILED || diag.code == DIAG_SILENCE))
        end_kept(self);
    exchange_end_with(self, outcome_from_diag(diag, 0), diag, code, text);
}

bool exchange_is_cancelled(const Exchange *self)
{
    return atomic_load(&self->job->progress->cancelled);
}

/* Before its time, and in order. */
unsigned exchange_end_stopped(Exchange *self)
{
    bool held = atomic_load(&self->job->progress->held);

    exchange_end_with(self, held ? OUTCOME_RETRY : OUTCOME_CANCELLED, DIAG_CANCELLED,
                      BASE_ERROR_CANCELLED, held ? "held" : "cancelled");
    return held ? PESIT_END_SUSPENDED : PESIT_END_CANCELLED_REQUESTER;
}

bool exchange_command(Exchange *self, PesitFpduType type, PesitDiag diag)
{
    PesitCommand command = {.type = type, .diag = diag};

    return channel_command(self->channel, &command);
}

/* Takes orders; an abort asked for by the main loop ends the job. */
bool exchange_take_orders(Exchange *self)
{
    connection_take_orders(self->connection);
    if (!self->connection->over)
        return true;
    if (self->kept)
        end_kept(self);
    exchange_end_with(self, OUTCOME_RETRY, self->connection->abort_diag, BASE_ERROR_CANCELLED,
                      "connection closed by administration");
    return false;
}

/* Waits for the answer to what was commanded. False: the job has ended (IDT leaves the depth at OPEN). */
bool exchange_await(Exchange *self, PesitFpduType expected, PesitEvent *ret_event)
{
    for (;;) {
        ChannelResult result = channel_next(self->channel, INT64_MAX, ret_event);

        if (result == CHANNEL_WAKE) {
            if (!exchange_take_orders(self))
                return false;
            continue;
        }
        if (result == CHANNEL_TIME)
            continue;
        if (ret_event->kind == PESIT_EVENT_CONFIRMATION && ret_event->type == expected)
            return true;
        if (ret_event->kind == PESIT_EVENT_REMARK) {
            connection_log_remark(self->connection, ret_event);
            continue;
        }
        if (ret_event->kind == PESIT_EVENT_INDICATION && ret_event->type == PESIT_FPDU_IDT) {
            exchange_end_refused(self, "the transfer (interrupted)", ret_event->diag,
                                 ret_event->end_code);
            (void)exchange_command(self, PESIT_FPDU_ACK_IDT,
                                   PESIT_DIAG_OK); /* else the session has ended */
            self->depth = DEPTH_OPEN;
            return false;
        }
        if (ret_event->kind == PESIT_EVENT_ABORTED || ret_event->kind == PESIT_EVENT_FAILED ||
            ret_event->kind == PESIT_EVENT_LOST) {
            exchange_end_broken(self, ret_event);
            return false;
        }
    }
}

/* Stops the transfer from our side and waits until the partner has agreed. */
void exchange_interrupt(Exchange *self, PesitDiag diag, unsigned end_code)
{
    PesitCommand command = {.type = PESIT_FPDU_IDT, .diag = diag, .end_code = (uint8_t)end_code};
    PesitEvent event;

    if (self->connection->over || !channel_command(self->channel, &command))
        return;
    if (exchange_await(self, PESIT_FPDU_ACK_IDT, &event))
        self->depth = DEPTH_OPEN;
}

static PesitDiag closing_diag(const Exchange *self)
{
    const Transfer *transfer = self->transfer;

    if (!self->ended || self->job->outcome == OUTCOME_DONE)
        return PESIT_DIAG_OK;
    if (transfer->diag_type == 2)
        return PESIT_DIAG(2, transfer->diag_code);
    return PESIT_DIAG(2, 299);
}

/* CRF and DESELECT as far as needed; they cannot be refused. */
void exchange_close(Exchange *self)
{
    PesitEvent event;
    PesitDiag diag = closing_diag(self);

    if (self->depth == DEPTH_OPEN && !self->connection->over) {
        if (!exchange_command(self, PESIT_FPDU_CRF, diag) ||
            !exchange_await(self, PESIT_FPDU_ACK_CRF, &event))
            return;
        self->depth = DEPTH_SELECTED;
    }
    if (self->depth == DEPTH_SELECTED && !self->connection->over) {
        if (!exchange_command(self, PESIT_FPDU_DESELECT, diag) ||
            !exchange_await(self, PESIT_FPDU_ACK_DESELECT, &event))
            return;
        self->depth = DEPTH_CONNECTED;
        if (self->delivered && event.diag.code == DIAG_RECEIVED_NOT_DELIVERED) {
            self->transfer->diag_type = event.diag.type;
            self->transfer->diag_code = event.diag.code;
        }
    }
}

static bool count_name(Exchange *self, RuleContext *context, GError **error)
{
    g_autofree char *counter = NULL;
    g_autoptr(StoreResult) result = NULL;

    if (!rule_uses_counter(self->file))
        return true;
    counter = g_strdup_printf("name/%s/%s", self->connection->partner->name, self->file->pattern);
    result = store_execute(self->connection->services->store, store_request_count(counter));
    if (result->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&result->error));
        return false;
    }
    context->counter = self->transfer->name_counter = result->number;
    return true;
}

/* PI 12, decided once: later attempts keep it. */
bool exchange_name_file(Exchange *self, GError **error)
{
    g_autofree char *name = g_path_get_basename(self->transfer->path);
    g_autofree char *ignored = NULL;
    RuleContext context =
            attributes_transfer_context(self->connection->partner, name, self->transfer);

    if (self->transfer->file_name != NULL && self->transfer->file_name[0] != '\0')
        return true;
    if (!count_name(self, &context, error))
        return false;
    if (self->transfer->direction == DIRECTION_FETCH &&
        !rule_resolve_fetch(self->file, self->transfer->path, &context, &ignored, error))
        return false;
    g_free(self->transfer->file_name);
    self->transfer->file_name =
            rule_expand(self->file->file_name, &context, ATTRIBUTES_FILE_NAME_BYTES, error);
    self->transfer->file_type = self->file->file_type;
    return self->transfer->file_name != NULL;
}

uint32_t exchange_transfer_id(const Transfer *transfer)
{
    return (uint32_t)((transfer->id - 1) % TRANSFER_ID_MODULUS) + 1; /* never 0 */
}

uint32_t exchange_second_transfer_id(const Transfer *transfer)
{
    return TRANSFER_ID_MODULUS - (uint32_t)((transfer->id - 1) % SECOND_ID_MODULUS);
}

/* One request and its answer. False: the job has ended. */
bool exchange_ask(Exchange *self, bool commanded, PesitFpduType answer, const char *step,
                  PesitEvent *ret_event)
{
    if (!commanded) {
        exchange_end_with(self, OUTCOME_FAILED, PESIT_DIAG(2, 299), BASE_ERROR_INVALID,
                          "the session did not take a command: see the log");
        return false;
    }
    if (!exchange_await(self, answer, ret_event))
        return false;
    if (ret_event->positive)
        return true;
    exchange_end_refused(self, step, ret_event->diag, 0);
    return false;
}

/* ORF, then WRITE or READ. */
bool exchange_open_file(Exchange *self, PesitFpduType start, PesitFpduType start_answer,
                        PesitEvent *ret_event)
{
    if (!exchange_ask(self, exchange_command(self, PESIT_FPDU_ORF, PESIT_DIAG_OK),
                      PESIT_FPDU_ACK_ORF, "ORF", ret_event))
        return false;
    self->depth = DEPTH_OPEN;
    if (!exchange_ask(self, exchange_command(self, start, PESIT_DIAG_OK), start_answer,
                      pesit_fpdu_name(start), ret_event))
        return false;
    self->depth = DEPTH_DATA;
    return true;
}

bool exchange_open_journal(Exchange *self, bool again, GError **error)
{
    Spool *spool = self->connection->services->spool;
    const char *name = self->transfer->spool_name;

    self->context = again ? spool_open_context(spool, name, NULL) : NULL;
    if (self->context == NULL)
        self->context = spool_create_context(spool, name, error);
    return self->context != NULL;
}

void exchange_remember_counts(Exchange *self)
{
    PesitAgreement agreement;

    pesit_session_get_agreement(self->channel->session, &agreement);
    self->transfer->wire_bytes = agreement.bytes;
    self->transfer->articles = agreement.articles;
}
