/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The script of a connection that we open: CONNECT, then one job after the other (CREATE … or SELECT …),
 * RELEASE when idle. Written as it is said on the wire; every step either goes on or ends the job with an
 * outcome. procedures §9.2 to §9.8. Runs on the connection's thread.
 */
#include "daemon/net/connection-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/net/attributes.h"
#include "daemon/net/dialer.h"
#include "daemon/net/receiver.h"
#include "daemon/net/sender.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRANSFER_ID_MODULUS         0xFFFFFF
#define EARLY_BYTES                 (1u << 20)
#define DIAG_IO_ERROR               PESIT_DIAG(2, 213)
#define DIAG_CANCELLED              PESIT_DIAG(2, 216)
#define DIAG_SPACE                  PESIT_DIAG(2, 219)
#define DIAG_ABNORMAL_END           PESIT_DIAG(2, 223)
#define DIAG_LARGER                 PESIT_DIAG(2, 224)
#define DIAG_REFUSED                PESIT_DIAG(2, 226)
#define DIAG_RESTART                PESIT_DIAG(2, 214)
#define DIAG_RECEIVED_NOT_DELIVERED 225
#define DIAG_ADMINISTRATION         PESIT_DIAG(3, 316)
#define DIAG_PASSWORD               PESIT_DIAG(3, 304)
#define DIAG_ARTICLE_LONG_CODE      220

/* How deep the selection is, so that it can be closed from anywhere. */
typedef enum { DEPTH_CONNECTED, DEPTH_SELECTED, DEPTH_OPEN, DEPTH_DATA } Depth;

typedef struct {
    Connection *connection;
    Channel *channel;
    Job *job;
    Transfer *transfer;
    const VirtualFile *file;
    Depth depth;
    Fd fd;
    uint64_t size_bytes;
    uint16_t article_bytes;
    bool restarting; /* PI 15 = 1 */
    bool ended;      /* the job has its outcome */
    bool delivered;  /* ACK(TRANS.END) was positive: nothing can fail any more */
    uint64_t announced_bytes;
    Context *context;
    Reply *gate; /* the row says that the partner may have it, once this is answered */
} Exchange;

static void end_with(Exchange *self, OutcomeKind outcome, PesitDiag diag, BaseError code,
                     const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(BASE_ERROR, (int)code, text);

    if (self->ended)
        return;
    self->ended = true;
    job_end(self->job, outcome, diag, error);
}

/* The partner said no. */
static void end_refused(Exchange *self, const char *step, PesitDiag diag, unsigned end_code)
{
    g_autofree char *text = g_strdup_printf("partner refused %s: %u/%03u %s", step, diag.type,
                                            diag.code, pesit_diag_text(diag));

    end_with(self, outcome_from_diag(diag, end_code), diag, BASE_ERROR_PARTNER, text);
}

/* Something of ours failed. */
static void end_local(Exchange *self, OutcomeKind outcome, PesitDiag diag, const GError *error)
{
    if (self->ended)
        return;
    self->ended = true;
    job_end(self->job, outcome, diag, error);
}

/* Before the partner was asked anything: tried again only when the store is what fails. */
static void end_unprepared(Exchange *self, const GError *error)
{
    end_local(self,
              g_error_matches(error, BASE_ERROR, BASE_ERROR_UNREACHABLE) ? OUTCOME_RETRY
                                                                         : OUTCOME_FAILED,
              PESIT_DIAG_OK, error);
}

/* The connection is gone under a job. */
static void end_broken(Exchange *self, const PesitEvent *event)
{
    g_autofree char *text = NULL;
    PesitDiag diag = event->diag;

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
        text = g_strdup_printf("connection lost%s%s", self->channel->failure != NULL ? ": " : "",
                               self->channel->failure != NULL ? self->channel->failure->message
                                                              : "");
        diag = PESIT_DIAG(3, 310);
        break;
    }
    end_with(self, outcome_from_diag(diag, 0), diag, BASE_ERROR_UNREACHABLE, text);
}

static bool is_cancelled(const Exchange *self)
{
    return atomic_load(&self->job->progress->cancelled);
}

static bool command_simple(Exchange *self, PesitFpduType type, PesitDiag diag)
{
    PesitCommand command = {.type = type, .diag = diag};

    return channel_command(self->channel, &command);
}

/* Takes orders; an abort asked for by the main loop ends the job. */
static bool take_orders(Exchange *self)
{
    connection_take_orders(self->connection);
    if (!self->connection->over)
        return true;
    end_with(self, OUTCOME_RETRY, self->connection->abort_diag, BASE_ERROR_CANCELLED,
             "connection closed by administration");
    return false;
}

/* Waits for the answer to what was commanded. False: the job has ended (IDT leaves the depth at OPEN). */
static bool await_answer(Exchange *self, PesitFpduType expected, PesitEvent *ret_event)
{
    for (;;) {
        ChannelResult result = channel_next(self->channel, INT64_MAX, ret_event);

        if (result == CHANNEL_WAKE) {
            if (!take_orders(self))
                return false;
            continue;
        }
        if (result == CHANNEL_OVER)
            ret_event->kind = PESIT_EVENT_LOST;
        if (result == CHANNEL_TIME)
            continue;
        if (ret_event->kind == PESIT_EVENT_CONFIRMATION && ret_event->type == expected)
            return true;
        if (ret_event->kind == PESIT_EVENT_REMARK) {
            connection_log_remark(self->connection, ret_event);
            continue;
        }
        if (ret_event->kind == PESIT_EVENT_INDICATION && ret_event->type == PESIT_FPDU_IDT) {
            end_refused(self, "the transfer (interrupted)", ret_event->diag, ret_event->end_code);
            (void)command_simple(self, PESIT_FPDU_ACK_IDT,
                                 PESIT_DIAG_OK); /* else the session has ended */
            self->depth = DEPTH_OPEN;
            return false;
        }
        if (ret_event->kind == PESIT_EVENT_ABORTED || ret_event->kind == PESIT_EVENT_FAILED ||
            ret_event->kind == PESIT_EVENT_LOST) {
            end_broken(self, ret_event);
            return false;
        }
    }
}

/* Stops the transfer from our side and waits until the partner has agreed. */
static void interrupt(Exchange *self, PesitDiag diag, unsigned end_code)
{
    PesitCommand command = {.type = PESIT_FPDU_IDT, .diag = diag, .end_code = (uint8_t)end_code};
    PesitEvent event;

    if (self->connection->over || !channel_command(self->channel, &command))
        return;
    if (await_answer(self, PESIT_FPDU_ACK_IDT, &event))
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
static void close_selection(Exchange *self)
{
    PesitEvent event;
    PesitDiag diag = closing_diag(self);

    if (self->depth == DEPTH_OPEN && !self->connection->over) {
        if (!command_simple(self, PESIT_FPDU_CRF, diag) ||
            !await_answer(self, PESIT_FPDU_ACK_CRF, &event))
            return;
        self->depth = DEPTH_SELECTED;
    }
    if (self->depth == DEPTH_SELECTED && !self->connection->over) {
        if (!command_simple(self, PESIT_FPDU_DESELECT, diag) ||
            !await_answer(self, PESIT_FPDU_ACK_DESELECT, &event))
            return;
        self->depth = DEPTH_CONNECTED;
        if (self->delivered && event.diag.code == DIAG_RECEIVED_NOT_DELIVERED) {
            self->transfer->diag_type = event.diag.type;
            self->transfer->diag_code = event.diag.code;
        }
    }
}

/* what the partner is told about the file */

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
    context->counter = result->number;
    return true;
}

/* PI 12, decided once: later attempts keep it. */
static bool name_file(Exchange *self, GError **error)
{
    g_autofree char *name = g_path_get_basename(self->transfer->path);
    g_autofree char *ignored = NULL;
    RuleContext context = attributes_rule_context(self->connection->partner, name, clock_wall_s());

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

static bool command_create(Exchange *self)
{
    const Partner *partner = self->connection->partner;
    g_autofree char *name = g_path_get_basename(self->transfer->path);
    g_auto(Attributes) attributes = {0};
    RuleContext context = attributes_rule_context(partner, name, clock_wall_s());
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

static uint32_t own_transfer_id(const Transfer *transfer)
{
    return (uint32_t)((transfer->id - 1) % TRANSFER_ID_MODULUS) + 1; /* never 0 */
}

static bool command_select(Exchange *self)
{
    const Partner *partner = self->connection->partner;
    PesitFpdu fpdu;
    PesitCommand command = {.type = PESIT_FPDU_SELECT, .params = &fpdu};

    pesit_fpdu_init(&fpdu, PESIT_FPDU_SELECT);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_FILE_TYPE, self->transfer->file_type);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_FILE_NAME, self->transfer->file_name);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_TRANSFER_ID,
                          partner->profile.select_names_id ? own_transfer_id(self->transfer) : 0);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_ATTRIBUTES_REQUESTED, 0xE0);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_RESTARTED, 0);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_PRIORITY, self->file->priority);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_MAX_ENTITY, partner->profile.max_entity_bytes);
    return channel_command(self->channel, &command);
}

/* One request and its answer. False: the job has ended. */
static bool ask(Exchange *self, bool commanded, PesitFpduType answer, const char *step,
                PesitEvent *ret_event)
{
    if (!commanded) {
        end_with(self, OUTCOME_FAILED, PESIT_DIAG(2, 299), BASE_ERROR_INVALID,
                 "the session did not take a command: see the log");
        return false;
    }
    if (!await_answer(self, answer, ret_event))
        return false;
    if (ret_event->positive)
        return true;
    end_refused(self, step, ret_event->diag, 0);
    return false;
}

/* ORF, then WRITE or READ. */
static bool open_file(Exchange *self, PesitFpduType start, PesitFpduType start_answer,
                      PesitEvent *ret_event)
{
    if (!ask(self, command_simple(self, PESIT_FPDU_ORF, PESIT_DIAG_OK), PESIT_FPDU_ACK_ORF, "ORF",
             ret_event))
        return false;
    self->depth = DEPTH_OPEN;
    if (!ask(self, command_simple(self, start, PESIT_DIAG_OK), start_answer, pesit_fpdu_name(start),
             ret_event))
        return false;
    self->depth = DEPTH_DATA;
    return true;
}

/* sending */

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

static bool open_journal(Exchange *self, bool again, GError **error)
{
    g_auto(Fd) folder_fd = spool_open_transfer(self->connection->services->spool,
                                               self->transfer->spool_name, error);

    if (folder_fd < 0)
        return false;
    self->context = again ? context_open(folder_fd, NULL) : NULL;
    if (self->context == NULL)
        self->context = context_create(folder_fd, error);
    return self->context != NULL;
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
    bool cancelled = is_cancelled(self);

    if (cancelled)
        end_with(self, OUTCOME_CANCELLED, DIAG_CANCELLED, BASE_ERROR_CANCELLED, "cancelled");
    else
        end_local(self, diag.code == DIAG_ARTICLE_LONG_CODE ? OUTCOME_FAILED : OUTCOME_RETRY, diag,
                  error);
    interrupt(self, diag,
              cancelled || diag.code == DIAG_ARTICLE_LONG_CODE ? PESIT_END_CANCELLED_REQUESTER
                                                               : PESIT_END_ERROR);
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
            if (!take_orders(self))
                return false;
            if (!is_cancelled(self))
                continue;
            send_failed(self, DIAG_CANCELLED, NULL);
            return false;
        case SENDER_FAILED:
            send_failed(self, diag, error);
            return false;
        case SENDER_EVENT:
            if (event.kind == PESIT_EVENT_INDICATION && event.type == PESIT_FPDU_IDT) {
                end_refused(self, "the data (interrupted)", event.diag, event.end_code);
                (void)command_simple(self, PESIT_FPDU_ACK_IDT, PESIT_DIAG_OK); /* else it is over */
                self->depth = DEPTH_OPEN;
                return false;
            }
            end_broken(self, &event);
            return false;
        }
    }
}

static void remember_counts(Exchange *self)
{
    PesitAgreement agreement;

    pesit_session_get_agreement(self->channel->session, &agreement);
    self->transfer->wire_bytes = agreement.bytes;
    self->transfer->articles = agreement.articles;
}

static bool transfer_data_out(Exchange *self, uint32_t point)
{
    g_autoptr(Sender) sender = sender_new(self->channel, self->fd, self->size_bytes, self->file,
                                          self->context, self->job->progress);
    ContextPoint start = {0};
    PesitEvent event;
    bool sent;

    if (self->gate == NULL)
        self->gate = begin_record(self);
    self->transfer->end_sent = true;
    sender_set_gate(sender, self->gate);
    if (point != 0 && context_find(self->context, point, &start))
        sender_start_at(sender, &start);
    sent = send_data(self, sender);
    self->job->progressed = sender_has_progressed(sender);
    if (!sent)
        return false;
    if (!await_answer(self, PESIT_FPDU_ACK_TRANS_END, &event))
        return false;
    remember_counts(self);
    self->depth = DEPTH_OPEN;
    if (!event.positive) {
        self->transfer->end_sent =
                false; /* it says that it does not have it: the next is a new one */
        end_refused(self, "TRANS.END", event.diag, 0);
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
    end_with(self, OUTCOME_FAILED, DIAG_REFUSED, BASE_ERROR_PARTNER,
             "the partner's entities are too small for the articles, which may not be segmented");
    return false;
}

static void send_file(Exchange *self)
{
    g_autoptr(GError) error = NULL;
    PesitAgreement agreement;
    PesitEvent event;

    self->restarting = self->transfer->end_sent && self->connection->partner->profile.restart;
    if (self->transfer->transfer_id == 0)
        self->transfer->transfer_id = own_transfer_id(self->transfer);
    if (!name_file(self, &error) || !open_source(self, &error) ||
        !open_journal(self, self->restarting, &error)) {
        end_unprepared(self, error);
        return;
    }
    pesit_session_get_agreement(self->channel->session, &agreement);
    self->article_bytes = attributes_article_bytes(
            self->file, self->connection->partner->profile.max_entity_bytes,
            agreement.sync_interval_kb);
    if (!ask(self, command_create(self), PESIT_FPDU_ACK_CREATE, "CREATE", &event))
        return;
    self->depth = DEPTH_SELECTED;
    if (!check_fit(self))
        return;
    record_early(self);
    if (!open_file(self, PESIT_FPDU_WRITE, PESIT_FPDU_ACK_WRITE, &event))
        return;
    if (!transfer_data_out(self, event.point))
        return;
    self->delivered = true;
    self->ended = true;
    job_end(self->job, OUTCOME_DONE, PESIT_DIAG_OK, NULL);
}

/* fetching */

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
    end_with(self, OUTCOME_RETRY, PESIT_DIAG(2, 219), BASE_ERROR_NO_SPACE,
             "the partner's file is larger than what is free here");
    return false;
}

static bool receive_failed(Exchange *self, Receiver *receiver)
{
    g_autoptr(GError) error = NULL;
    PesitDiag diag;

    if (is_cancelled(self)) {
        end_with(self, OUTCOME_CANCELLED, DIAG_CANCELLED, BASE_ERROR_CANCELLED, "cancelled");
        interrupt(self, DIAG_CANCELLED, PESIT_END_CANCELLED_REQUESTER);
        return true;
    }
    if (!receiver_take_failure(receiver, &diag, &error))
        return false;
    end_local(self, OUTCOME_RETRY, diag, error);
    interrupt(self, diag, PESIT_END_ERROR);
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
        end_refused(self, "the end of data", event->diag, 0);
        interrupt(self, DIAG_ABNORMAL_END, PESIT_END_ERROR);
        return false;
    case PESIT_EVENT_INDICATION:
        end_refused(self, "the data (interrupted)", event->diag, event->end_code);
        (void)command_simple(self, PESIT_FPDU_ACK_IDT, PESIT_DIAG_OK); /* else it is over */
        self->depth = DEPTH_OPEN;
        return false;
    case PESIT_EVENT_INTERRUPTING:
        end_refused(self, "nothing, it broke the rules of data", event->diag, event->end_code);
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
        end_broken(self, event);
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
            if (!take_orders(self) || receive_failed(self, receiver))
                return false;
            continue;
        }
        if (result == CHANNEL_OVER)
            event.kind = PESIT_EVENT_LOST;
        if (!receive_event(self, receiver, &event, &complete))
            return false;
    }
    return true;
}

/* §9.11: more came than ACK(SELECT) had said. */
static bool check_announced(Exchange *self)
{
    if (self->announced_bytes == 0 || self->transfer->wire_bytes <= self->announced_bytes)
        return true;
    end_with(self, OUTCOME_FAILED, DIAG_LARGER, BASE_ERROR_PARTNER,
             "the partner's file is larger than it announced");
    interrupt(self, DIAG_LARGER, PESIT_END_CANCELLED_REQUESTER);
    return false;
}

/* The bytes are safe before TRANS.END says so. */
static bool keep_file(Exchange *self, Receiver *receiver)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StoreResult) result = NULL;
    int folder_fd;

    remember_counts(self);
    if (!check_announced(self))
        return false;
    if (!receiver_finish(receiver, &self->transfer->size_bytes, &error)) {
        PesitDiag diag = g_error_matches(error, BASE_ERROR, BASE_ERROR_NO_SPACE) ? DIAG_SPACE
                                                                                 : DIAG_IO_ERROR;

        end_local(self, OUTCOME_RETRY, diag, error);
        interrupt(self, diag, PESIT_END_ERROR);
        return false;
    }
    folder_fd = spool_open_unsynced(self->connection->services->spool, self->transfer->spool_name);
    self->transfer->end_sent = true;
    self->transfer->data_kept = true;
    self->transfer->mtime_us = clock_wall_us();
    self->transfer->state = TRANSFER_RUNNING;
    result = store_execute(self->connection->services->store,
                           store_request_update(self->transfer,
                                                1u << TRANSFER_QUEUED | 1u << TRANSFER_WAITING |
                                                        1u << TRANSFER_RUNNING,
                                                &folder_fd, folder_fd >= 0 ? 1 : 0));
    if (result->error == NULL)
        return true;
    end_local(self, OUTCOME_RETRY, PESIT_DIAG(2, 299), result->error);
    interrupt(self, PESIT_DIAG(2, 299), PESIT_END_ERROR);
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
    return self->fd >= 0 && open_journal(self, false, error);
}

static bool transfer_data_in(Exchange *self)
{
    g_autoptr(Receiver) receiver =
            receiver_new(self->channel, self->fd, self->file, self->context, self->job->progress,
                         self->announced_bytes, self->file->max_bytes);

    return receive_data(self, receiver) && keep_file(self, receiver);
}

static void fetch_file(Exchange *self)
{
    g_autoptr(GError) error = NULL;
    PesitEvent event;

    if (!name_file(self, &error)) {
        end_unprepared(self, error);
        return;
    }
    if (!ask(self, command_select(self), PESIT_FPDU_ACK_SELECT, "SELECT", &event))
        return;
    self->depth = DEPTH_SELECTED;
    if (!read_answer(self, event.fpdu))
        return;
    if (!create_target(self, &error)) {
        end_local(self, OUTCOME_RETRY, PESIT_DIAG(2, 299), error);
        return;
    }
    if (!open_file(self, PESIT_FPDU_READ, PESIT_FPDU_ACK_READ, &event) || !transfer_data_in(self))
        return;
    if (!ask(self, command_simple(self, PESIT_FPDU_TRANS_END, PESIT_DIAG_OK),
             PESIT_FPDU_ACK_TRANS_END, "TRANS.END", &event))
        return;
    self->depth = DEPTH_OPEN;
    self->delivered = true;
    self->ended = true;
    job_end(self->job, OUTCOME_DONE, PESIT_DIAG_OK, NULL);
}

/* the connection */

static void run_job(Connection *self)
{
    Exchange exchange = {.connection = self,
                         .channel = self->channel,
                         .job = self->job,
                         .transfer = self->job->transfer,
                         .file = self->job->file,
                         .fd = -1};
    Notice *notice;

    if (self->job->transfer->direction == DIRECTION_SEND)
        send_file(&exchange);
    else
        fetch_file(&exchange);
    if (self->job->outcome != OUTCOME_RETURNED && !self->over)
        close_selection(&exchange);
    context_close(exchange.context);
    reply_unref(exchange.gate);
    fd_clear(&exchange.fd);
    notice = notice_new(self, NOTICE_JOB_DONE);
    notice->job = g_steal_pointer(&self->job);
    (void)mailbox_post(self->services->notices, notice); /* closed only when the daemon ends */
}

static void fail_first_job(Connection *self, OutcomeKind outcome, PesitDiag diag,
                           const GError *error)
{
    if (self->job != NULL)
        job_end(self->job, outcome, diag, error);
    log_event(LOG_CONNECTION_FAILED, "CONNECTION", self->label, "PARTNER", self->partner->name,
              "ADDRESS", self->address, "REASON", error != NULL ? error->message : NULL, NULL);
}

static bool command_connect(Connection *self)
{
    const Partner *partner = self->partner;
    PesitFpdu fpdu;
    PesitCommand command = {.type = PESIT_FPDU_CONNECT, .params = &fpdu};
    size_t length = 0;
    const char *password;

    pesit_fpdu_init(&fpdu, PESIT_FPDU_CONNECT);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_REQUESTER, partner->local_identifier);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_SERVER, partner->identifier);
    if (partner->password_sent != NULL) {
        password = secret_get(partner->password_sent, &length);
        pesit_fpdu_set_bytes(&fpdu, PESIT_PI_ACCESS_CONTROL, password, length);
    }
    pesit_fpdu_set_number(&fpdu, PESIT_PI_ACCESS_TYPE, PESIT_ACCESS_MIXED);
    return channel_command(self->channel, &command);
}

/* PI 5 of the answer, when the partner must prove itself too. */
static bool check_server_password(Connection *self, const PesitFpdu *fpdu)
{
    size_t length = 0;
    const uint8_t *bytes;

    if (self->partner->password_expected == NULL)
        return true;
    bytes = pesit_fpdu_bytes(fpdu, PESIT_PI_ACCESS_CONTROL, &length);
    return secret_equals(self->partner->password_expected,
                         bytes != NULL ? bytes : (const uint8_t *)"", length, true);
}

static bool open_session(Connection *self)
{
    Exchange exchange = {.connection = self, .channel = self->channel, .job = self->job, .fd = -1};
    PesitEvent event;

    exchange.transfer = self->job->transfer;
    if (!command_connect(self))
        return false;
    for (;;) {
        ChannelResult result = channel_next(self->channel, INT64_MAX, &event);

        if (result == CHANNEL_WAKE) {
            if (!take_orders(&exchange))
                return false;
            continue;
        }
        if (result == CHANNEL_OVER)
            event.kind = PESIT_EVENT_LOST;
        if (result == CHANNEL_EVENT && event.kind == PESIT_EVENT_REMARK) {
            connection_log_remark(self, &event);
            continue;
        }
        break;
    }
    if (event.kind != PESIT_EVENT_CONFIRMATION) {
        end_broken(&exchange, &event);
        return false;
    }
    if (!event.positive) {
        end_refused(&exchange, "the connection", event.diag, 0);
        fail_first_job(self, self->job->outcome, event.diag, NULL);
        return false;
    }
    if (check_server_password(self, event.fpdu))
        return true;
    end_with(&exchange, OUTCOME_FAILED, DIAG_PASSWORD, BASE_ERROR_UNTRUSTED,
             "the partner's answer does not carry the expected password");
    channel_abort(self->channel, DIAG_PASSWORD);
    return false;
}

/* Nothing to do: waits for a job, the idle time, an order, or the partner. False: over. */
static bool wait_for_job(Connection *self)
{
    int64_t until_us = clock_now_us() + (int64_t)self->partner->idle_s * USEC_PER_SEC;

    while (self->job == NULL) {
        PesitEvent event;
        ChannelResult result;

        if (self->finishing || self->over)
            return false;
        result = channel_next(self->channel, until_us, &event);
        if (result == CHANNEL_WAKE)
            connection_take_orders(self);
        else if (result == CHANNEL_TIME || result == CHANNEL_OVER)
            return false;
        else if (event.kind == PESIT_EVENT_REMARK)
            connection_log_remark(self, &event);
        else
            connection_note_end(self, &event);
    }
    return true;
}

static void close_session(Connection *self)
{
    PesitCommand release = {.type = PESIT_FPDU_RELEASE};

    if (!self->over && channel_command(self->channel, &release))
        channel_linger(self->channel);
    else if (self->over)
        channel_linger(self->channel);
}

void outgoing_run(Connection *self)
{
    g_autoptr(GError) error = NULL;
    int64_t deadline_us = clock_now_us() + (int64_t)self->config->connect_ms * 1000;
    Stream *stream = dialer_connect(self->partner, self->tls, deadline_us, &error);

    if (stream == NULL) {
        fail_first_job(self, OUTCOME_RETRY, PESIT_DIAG_OK, error);
        return;
    }
    connection_open_channel(self, stream, PESIT_ROLE_REQUESTER);
    log_event(LOG_CONNECTION_OPENED, "CONNECTION", self->label, "PARTNER", self->partner->name,
              "ADDRESS", self->address, NULL);
    if (open_session(self)) {
        while (wait_for_job(self))
            run_job(self);
    }
    close_session(self);
}
