/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The script of a connection that a partner opened: admits it, then answers what it asks, one selection
 * after the other. The session's tables let only legal requests through, so each request has one handler.
 * CREATE is in incoming-receive.c, SELECT in incoming-serve.c. procedures §5, §9.6. Connection's thread.
 */
#include "daemon/net/incoming.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"

#include <stdio.h>
#include <string.h>

#define DIAG_RESOURCES       PESIT_DIAG(2, 201)
#define DIAG_LENGTH          16
#define DIAG_STOPPING        PESIT_DIAG(3, 312)
#define DIAG_MESSAGE_REFUSED PESIT_DIAG(2, 209)
#define DIAG_CANCELLED       PESIT_DIAG(2, 216)
#define DIAG_ABNORMAL_END    PESIT_DIAG(2, 223)
#define DIAG_REFUSED         PESIT_DIAG(2, 226)
#define DIAG_OTHER           PESIT_DIAG(2, 299)

/* a selection */

static void log_end(const Incoming *self, TransferState state, PesitDiag diag, const char *text)
{
    const Transfer *transfer = self->transfer;
    char id[LOG_NUMBER_BYTES], bytes[24], diag_text[DIAG_LENGTH];
    LogEvent event = state == TRANSFER_DONE        ? LOG_TRANSFER_DONE
                     : state == TRANSFER_CANCELLED ? LOG_TRANSFER_CANCELLED
                                                   : LOG_TRANSFER_FAILED;

    (void)snprintf(bytes, sizeof bytes, "%" G_GUINT64_FORMAT, transfer->size_bytes); /* fits */
    (void)snprintf(diag_text, sizeof diag_text, "%u-%03u", diag.type, diag.code);    /* fits */
    log_event(self->repeated ? LOG_TRANSFER_REPEATED : event, "TRANSFER",
              log_number(id, transfer->id), "CONNECTION", self->connection->label, "PARTNER",
              transfer->partner, "DIRECTION", transfer_direction_name(transfer->direction), "PATH",
              transfer->path, "FILE", transfer->file_name, "BYTES", bytes, "DIAG",
              diag.code != 0 ? diag_text : NULL, "REASON", text, NULL);
}

void incoming_settle_name(Incoming *self)
{
    g_autoptr(GError) error = NULL;
    char id[LOG_NUMBER_BYTES];

    if (self->published_fd < 0)
        return;
    if (file_sync_folder(self->published_fd, &error))
        spool_remove(self->connection->services->spool, self->transfer->spool_name);
    else
        log_event(LOG_STORE_FAILED, "TRANSFER", log_number(id, self->transfer->id), "CONNECTION",
                  self->connection->label, "PATH", self->transfer->path, "REASON", error->message,
                  NULL);
    fd_clear(&self->published_fd);
}

PesitDiag incoming_claim(Incoming *self, const char *path, const char **ret_reason)
{
    switch (connection_ask(self->connection, NOTICE_CLAIM, path)) {
    case VERDICT_YES:
        self->claimed = g_strdup(path);
        return PESIT_DIAG_OK;
    case VERDICT_BUSY:
        *ret_reason = "another transfer has it just now";
        return DIAG_IN_USE;
    case VERDICT_FULL:
    case VERDICT_STOPPING:
        break;
    }
    *ret_reason = "no transfer can begin now";
    return DIAG_RESOURCES;
}

void incoming_unclaim(Incoming *self)
{
    Notice *notice;

    if (self->claimed == NULL)
        return;
    notice = notice_new(self->connection, NOTICE_UNCLAIM);
    notice->path = g_steal_pointer(&self->claimed);
    (void)mailbox_post(self->connection->services->notices, notice); /* closed only at the end */
}

void incoming_forget(Incoming *self)
{
    bool published =
            self->settled && self->transfer != NULL && self->transfer->state == TRANSFER_DONE;

    if (self->transfer != NULL && !self->settled)
        (void)incoming_record(self, TRANSFER_FAILED, PESIT_DIAG_OK, "ended without TRANS.END",
                              NULL);
    g_clear_pointer(&self->receiver, receiver_free);
    g_clear_pointer(&self->sender, sender_free);
    g_clear_pointer(&self->context, context_close);
    fd_clear(&self->fd);
    incoming_settle_name(self);
    if (self->transfer != NULL && !self->serving && !self->undecided &&
        (!published || self->repeated))
        spool_remove(self->connection->services->spool, self->transfer->spool_name);
    incoming_unclaim(self);
    g_clear_pointer(&self->inserting, reply_unref);
    g_clear_pointer(&self->transfer, transfer_free);
    self->channel->transfer_id = 0;
    g_clear_pointer(&self->progress, progress_unref);
    *self = (Incoming){
            .connection = self->connection, .channel = self->channel, .fd = -1, .published_fd = -1};
}

bool incoming_answer(Incoming *self, PesitFpduType type, PesitFpdu *params, PesitDiag diag)
{
    PesitCommand command = {.type = type, .params = params, .diag = diag};

    return channel_command(self->channel, &command);
}

bool incoming_refuse(Incoming *self, PesitFpduType type, PesitDiag diag, const char *reason)
{
    PesitFpdu fpdu;
    char text[DIAG_LENGTH], id[LOG_NUMBER_BYTES];

    (void)snprintf(text, sizeof text, "%u-%03u", diag.type, diag.code); /* fits */
    metric_refusal(diag.type, diag.code);
    log_event(LOG_TRANSFER_REFUSED, "TRANSFER",
              log_number(id, self->transfer != NULL ? self->transfer->id : 0), "CONNECTION",
              self->connection->label, "PARTNER", self->connection->partner->name, "FPDU",
              pesit_fpdu_name(type), "DIAG", text, "REASON", reason, NULL);
    pesit_fpdu_init(&fpdu, type);
    if (self->connection->partner->profile.send_diagnostic_text)
        pesit_fpdu_set_text(&fpdu, PESIT_PI_DIAGNOSTIC_TEXT, reason);
    return incoming_answer(self, type, &fpdu, diag);
}

void incoming_interrupt(Incoming *self, PesitDiag diag, unsigned end_code)
{
    PesitCommand command = {.type = PESIT_FPDU_IDT, .diag = diag, .end_code = (uint8_t)end_code};

    if (!self->connection->over && !self->interrupting)
        self->interrupting = channel_command(self->channel, &command);
}

void incoming_begin_insert(Incoming *self)
{
    self->insert_us = 0;
    if (self->inserting == NULL && self->transfer->id == 0 && !self->repeated)
        self->inserting = store_begin(self->connection->services->store,
                                      store_request_insert(self->transfer, NULL, 0));
}

bool incoming_settle_insert(Incoming *self, GError **error)
{
    gpointer value = NULL;
    g_autoptr(StoreResult) result = NULL;

    if (self->inserting == NULL)
        return true;
    if (!reply_wait(self->inserting, INT64_MAX, &value))
        return false;
    result = value;
    g_clear_pointer(&self->inserting, reply_unref);
    if (result == NULL || result->error != NULL) {
        if (result != NULL)
            g_propagate_prefixed_error(error, g_steal_pointer(&result->error),
                                       "record the transfer: ");
        return false;
    }
    self->transfer->id = self->channel->transfer_id = result->transfer->id;
    return true;
}

void incoming_remember_counts(Incoming *self)
{
    PesitAgreement agreement;

    pesit_session_get_agreement(self->channel->session, &agreement);
    self->transfer->wire_bytes = agreement.bytes;
    self->transfer->articles = agreement.articles;
}

/* The row's end, with the folder whose entries must be durable before it, if any. A small file's row is written
 * only now. */
static StoreRequest *new_end(Incoming *self)
{
    int folder_fd = -1;

    if (!self->serving && self->transfer->state == TRANSFER_DONE)
        folder_fd = spool_dup_unsynced(self->connection->services->spool);
    if (self->transfer->id == 0)
        return store_request_insert(self->transfer, &folder_fd, folder_fd >= 0 ? 1 : 0);
    return store_request_update(self->transfer, 1u << TRANSFER_RUNNING, &folder_fd,
                                folder_fd >= 0 ? 1 : 0);
}

typedef struct {
    Spool *spool;
    char *name; /* NULL: nothing to remove */
    int64_t id;
} Leftover;

static void leftover_free(gpointer data)
{
    Leftover *leftover = data;

    g_free(leftover->name);
    g_free(leftover);
}

static void on_end_stored(StoreResult *result, gpointer data)
{
    Leftover *leftover = data;
    char id[LOG_NUMBER_BYTES];

    if (result->error != NULL && result->error->code != BASE_ERROR_NOT_FOUND)
        log_event(LOG_STORE_FAILED, "TRANSFER", log_number(id, leftover->id), "REASON",
                  result->error->message, NULL);
    else if (leftover->name != NULL)
        spool_remove(leftover->spool, leftover->name);
    leftover_free(leftover);
    store_result_free(result);
}

/* The partner hears that it failed, and so will the row once the database is back; whether "done" had been
 * stored when it went away or not. A row without a number yet is withdrawn by the store, before it answers
 * anything else. Only then the bytes go: a stop before finds row and bytes together. */
static void record_later(Incoming *self)
{
    const ConnectionServices *services = self->connection->services;
    Leftover *leftover = g_new0(Leftover, 1);
    StoreRequest *request;

    self->undecided = true;
    self->transfer->data_kept = false;
    leftover->spool = services->spool;
    leftover->id = self->transfer->id;
    leftover->name = self->serving ? NULL : g_strdup(self->transfer->spool_name);
    request = self->transfer->id == 0
                      ? store_request_get(0)
                      : store_request_update(self->transfer,
                                             1u << TRANSFER_RUNNING | 1u << TRANSFER_DONE, NULL, 0);
    store_submit_owned(services->store, store_request_set_patient(request), on_end_stored, leftover,
                       leftover_free);
}

bool incoming_record(Incoming *self, TransferState state, PesitDiag diag, const char *text,
                     GError **error)
{
    g_autoptr(StoreResult) result = NULL;

    if (self->settled)
        return true;
    self->settled = true;
    if (self->repeated) {
        log_end(self, state, diag, text);
        return true;
    }
    if (!incoming_settle_insert(self, error))
        return false;
    self->insert_us = 0;
    self->transfer->state = state;
    self->transfer->diag_type = diag.type;
    self->transfer->diag_code = diag.code;
    self->transfer->finished_us = clock_wall_us();
    self->transfer->data_kept = state == TRANSFER_DONE && !self->serving;
    g_free(self->transfer->error);
    self->transfer->error = g_strdup(text);
    result = store_execute(self->connection->services->store, new_end(self));
    if (result->error != NULL) {
        if (state == TRANSFER_DONE) {
            self->transfer->state = TRANSFER_FAILED;
            self->transfer->error = g_strdup(result->error->message);
        }
        if (store_is_away(result->error))
            record_later(self);
        g_propagate_prefixed_error(error, g_steal_pointer(&result->error), "record the transfer: ");
        return false;
    }
    self->transfer->id = self->channel->transfer_id = result->transfer->id;
    return true;
}

/* The row's end is on disk and, when received, the file is in place: now the others may know. */
static void announce_end(Incoming *self)
{
    if (self->transfer == NULL || !self->settled || self->told)
        return;
    self->told = true;
    if (!self->repeated) {
        log_end(self, self->transfer->state,
                PESIT_DIAG(self->transfer->diag_type, self->transfer->diag_code),
                self->transfer->error);
        connection_tell_incoming(self->connection, self->transfer, NULL);
    }
}

Transfer *incoming_new_transfer(const Incoming *self, TransferDirection direction,
                                const PesitFpdu *fpdu)
{
    Transfer *transfer = transfer_new();

    transfer->direction = direction;
    transfer->state = TRANSFER_RUNNING;
    transfer->partner = g_strdup(self->connection->partner->name);
    transfer->peer = g_strdup(self->connection->partner->identifier);
    transfer->actor = g_strconcat("partner:", self->connection->partner->name, NULL);
    transfer->origin = g_strdup(connection_address(self->connection));
    transfer->session = g_strdup(self->connection->session);
    transfer->listener = g_strdup(self->connection->listener);
    transfer->file_type = (uint16_t)pesit_fpdu_number(fpdu, PESIT_PI_FILE_TYPE, 0);
    transfer->file_name = incoming_dup_text(fpdu, PESIT_PI_FILE_NAME);
    transfer->transfer_id = (uint32_t)pesit_fpdu_number(fpdu, PESIT_PI_TRANSFER_ID, 0);
    transfer->client = incoming_dup_text(fpdu, PESIT_PI_CLIENT);
    transfer->bank = incoming_dup_text(fpdu, PESIT_PI_BANK);
    transfer->created_us = transfer->mtime_us = clock_wall_us();
    transfer->attempts = 1;
    return transfer;
}

/* Texts are 7-bit; who sends more means UTF-8 or, when it is not that, Latin 1. */
char *incoming_dup_text(const PesitFpdu *fpdu, PesitPi pi)
{
    size_t length = 0;
    const uint8_t *bytes = pesit_fpdu_bytes(fpdu, pi, &length);
    GString *text;

    if (bytes == NULL || memchr(bytes, 0, length) != NULL)
        return NULL;
    while (length > 0 && bytes[length - 1] == ' ')
        length--;
    if (g_utf8_validate((const char *)bytes, (gssize)length, NULL))
        return g_strndup((const char *)bytes, length);
    text = g_string_sized_new(2 * length);
    for (size_t i = 0; i < length; i++)
        g_string_append_unichar(text, bytes[i]);
    return g_string_free(text, FALSE);
}

PesitDiag incoming_check_selection(const Incoming *self, const PesitFpdu *fpdu,
                                   const char **ret_reason)
{
    static const PesitPi SECURITY[] = {PESIT_PI_AUTHENTICATION_TYPE, PESIT_PI_SEALING_TYPE,
                                       PESIT_PI_ENCRYPTION_TYPE, PESIT_PI_SIGNATURE_TYPE};
    PesitAgreement agreement;

    pesit_session_get_agreement(self->channel->session, &agreement);
    *ret_reason = "the access type of the connection does not allow it";
    if (agreement.access ==
        (fpdu->type == PESIT_FPDU_CREATE ? PESIT_ACCESS_READ : PESIT_ACCESS_WRITE))
        return DIAG_REFUSED;
    *ret_reason = "reading is not supported";
    if (fpdu->type == PESIT_FPDU_SELECT && !self->connection->config->read_supported)
        return DIAG_REFUSED;
    *ret_reason = "security elements are not supported";
    for (size_t i = 0; i < G_N_ELEMENTS(SECURITY); i++) {
        size_t length = 0;
        const uint8_t *bytes = pesit_fpdu_bytes(fpdu, SECURITY[i], &length);

        if (pesit_fpdu_has(fpdu, SECURITY[i]) && (pesit_fpdu_number(fpdu, SECURITY[i], 0) != 0 ||
                                                  (bytes != NULL && length > 0 && bytes[0] != 0)))
            return DIAG_REFUSED;
    }
    return PESIT_DIAG_OK;
}

/* requests */

static void take_connect(Incoming *self, const PesitFpdu *connect)
{
    Connection *connection = self->connection;
    PesitDiag diag = admission_check(connection, connect);
    PesitSessionOptions options;
    PesitFpdu fpdu;
    size_t length = 0;
    const char *password;

    if (pesit_diag_is_negative(diag)) {
        metric_refusal(diag.type, diag.code);
        (void)incoming_answer(self, PESIT_FPDU_RCONNECT, NULL, diag); /* then it is over */
        connection->over = true;
        return;
    }
    connection_fill_options(connection, connection->partner, PESIT_ROLE_SERVER, &options);
    pesit_session_set_options(self->channel->session, &options);
    pesit_fpdu_init(&fpdu, PESIT_FPDU_ACONNECT);
    if (connection->partner->password_sent != NULL) {
        password = secret_get(connection->partner->password_sent, &length);
        pesit_fpdu_set_bytes(&fpdu, PESIT_PI_ACCESS_CONTROL, password, length);
    }
    (void)incoming_answer(self, PESIT_FPDU_ACONNECT, &fpdu, PESIT_DIAG_OK); /* logged */
    log_event(LOG_CONNECTION_OPENED, "CONNECTION", connection->label, "PARTNER",
              connection->partner->name, "ADDRESS", connection->address, NULL);
}

static void take_trans_end(Incoming *self)
{
    bool positive = self->serving ? incoming_end_serve(self) : incoming_end_receive(self);

    (void)positive; /* each answers by itself; what it recorded is told now */
    announce_end(self);
}

static void take_idt(Incoming *self, const PesitEvent *event)
{
    bool cancelled = event->end_code == PESIT_END_CANCELLED_REQUESTER ||
                     event->end_code == PESIT_END_CANCELLED_SERVER;
    PesitAgreement agreement;

    (void)incoming_answer(self, PESIT_FPDU_ACK_IDT, NULL, PESIT_DIAG_OK); /* else it is over */
    if (self->transfer == NULL || self->settled)
        return;
    incoming_remember_counts(self);
    pesit_session_get_agreement(self->channel->session, &agreement);
    if (!agreement.stopped_early) {
        self->stopped = true; /* WRITE or READ may follow; else DESELECT ends it */
        self->stopped_diag = event->diag;
        return;
    }
    (void)incoming_record(self, cancelled ? TRANSFER_CANCELLED : TRANSFER_FAILED, event->diag,
                          "interrupted by the partner", NULL); /* counted by the store */
    announce_end(self);
}

static void take_deselect(Incoming *self)
{
    (void)incoming_answer(self, PESIT_FPDU_ACK_DESELECT, NULL, PESIT_DIAG_OK); /* logged */
    if (self->transfer != NULL && !self->settled) {
        (void)incoming_record(self, TRANSFER_FAILED,
                              self->stopped ? self->stopped_diag : PESIT_DIAG_OK,
                              self->stopped ? "interrupted by the partner"
                                            : "closed by the partner without an end",
                              NULL);
        announce_end(self);
    }
    incoming_forget(self);
}

static void take_request(Incoming *self, const PesitEvent *event)
{
    switch ((int)event->type) {
    case PESIT_FPDU_CONNECT:
        take_connect(self, event->fpdu);
        break;
    case PESIT_FPDU_RELEASE:
        (void)incoming_answer(self, PESIT_FPDU_RELCONF, NULL, PESIT_DIAG_OK); /* logged */
        self->connection->over = true;
        break;
    case PESIT_FPDU_CREATE:
        (void)incoming_take_create(self, event->fpdu); /* answers in any case */
        break;
    case PESIT_FPDU_SELECT:
        (void)incoming_take_select(self, event->fpdu); /* answers in any case */
        break;
    case PESIT_FPDU_ORF:
        (void)incoming_take_open(self); /* answers in any case */
        break;
    case PESIT_FPDU_WRITE:
        (void)incoming_take_write(self); /* answers in any case */
        break;
    case PESIT_FPDU_READ:
        (void)incoming_take_read(self, event->fpdu); /* answers in any case */
        break;
    case PESIT_FPDU_TRANS_END:
        take_trans_end(self);
        break;
    case PESIT_FPDU_CRF:
        (void)incoming_answer(self, PESIT_FPDU_ACK_CRF, NULL, PESIT_DIAG_OK); /* logged */
        break;
    case PESIT_FPDU_DESELECT:
        take_deselect(self);
        break;
    case PESIT_FPDU_IDT:
        take_idt(self, event);
        break;
    case PESIT_FPDU_MSG:
    case PESIT_FPDU_MSGFM:
        (void)incoming_refuse(self, PESIT_FPDU_ACK_MSG, DIAG_MESSAGE_REFUSED,
                              "messages are not supported");
        break;
    default:
        break;
    }
}

/* The connection ended under a selection. */
static void take_end(Incoming *self, const PesitEvent *event)
{
    g_autofree char *text = NULL;

    connection_note_end(self->connection, event);
    if (self->transfer == NULL || self->settled)
        return;
    text = g_strdup_printf("connection %s%s%s",
                           event->kind == PESIT_EVENT_LOST      ? "lost"
                           : event->kind == PESIT_EVENT_ABORTED ? "aborted by the partner"
                                                                : "aborted",
                           event->kind == PESIT_EVENT_FAILED ? ": " : "",
                           event->kind == PESIT_EVENT_FAILED ? event->text : "");
    incoming_remember_counts(self);
    (void)incoming_record(self, TRANSFER_FAILED,
                          event->kind == PESIT_EVENT_LOST ? PESIT_DIAG(3, 310) : event->diag, text,
                          NULL); /* counted by the store */
    announce_end(self);
}

/* The session itself broke off what the partner did wrong. */
static void take_interrupting(Incoming *self, const PesitEvent *event)
{
    self->interrupting = true;
    if (self->transfer == NULL || self->settled)
        return;
    incoming_remember_counts(self);
    (void)incoming_record(self, TRANSFER_FAILED, event->diag,
                          "interrupted: the partner broke the rules of data",
                          NULL); /* counted by the store */
    announce_end(self);
}

static void take_event(Incoming *self, const PesitEvent *event)
{
    switch (event->kind) {
    case PESIT_EVENT_INDICATION:
        take_request(self, event);
        break;
    case PESIT_EVENT_PIECES:
    case PESIT_EVENT_POINT:
        incoming_take_data(self, event);
        break;
    case PESIT_EVENT_DATA_END:
        incoming_take_data_end(self, event);
        break;
    case PESIT_EVENT_CONFIRMATION: /* ACK(IDT) */
        self->interrupting = false;
        announce_end(self);
        break;
    case PESIT_EVENT_INTERRUPTING:
        take_interrupting(self, event);
        break;
    case PESIT_EVENT_REMARK:
        connection_log_remark(self->connection, event);
        break;
    case PESIT_EVENT_POINT_ACKED:
        break;
    case PESIT_EVENT_ABORTED:
    case PESIT_EVENT_FAILED:
    case PESIT_EVENT_LOST:
        take_end(self, event);
        break;
    }
}

/* orders */

/* Number of the running transfer, 0 for none; waits for it when its row is being written. */
static int64_t running_id(Incoming *self)
{
    bool running = self->transfer != NULL && !self->settled && incoming_settle_insert(self, NULL);

    return running ? self->transfer->id : 0;
}

/* Data are interrupted; before and after them the row's end makes us refuse what the partner asks next. */
static void cancel_running(Incoming *self)
{
    bool has_data = self->receiver != NULL || self->sender != NULL || self->sent;

    incoming_remember_counts(self);
    (void)incoming_record(self, TRANSFER_CANCELLED, DIAG_CANCELLED, "cancelled",
                          NULL); /* counted */
    if (has_data && !self->stopped)
        incoming_interrupt(self, DIAG_CANCELLED, PESIT_END_CANCELLED_SERVER);
    announce_end(self);
}

static void take_orders(Incoming *self)
{
    Connection *connection = self->connection;
    PesitCommand abort = {.type = PESIT_FPDU_ABORT, .diag = DIAG_STOPPING};

    connection->transfer_id = running_id(self);
    connection->cancelled = false;
    connection_take_orders(connection);
    if (connection->cancelled)
        cancel_running(self);
    if (!connection->finishing || connection->over || self->transfer != NULL)
        return;
    connection->over = true;
    if (pesit_session_command(self->channel->session, &abort, clock_now_us()) == PESIT_OK)
        (void)channel_flush(self->channel); /* lingers next */
}

/* One step. False: the connection is over. */
static bool step(Incoming *self)
{
    PesitEvent event = {0};
    bool wake = false;

    if (self->sender != NULL && !self->interrupting) {
        if (incoming_send(self, &event, &wake))
            take_event(self, &event);
        else if (wake)
            take_orders(self);
        return !self->connection->over;
    }
    switch (channel_next(self->channel, self->insert_us != 0 ? self->insert_us : INT64_MAX,
                         &event)) {
    case CHANNEL_EVENT:
        take_event(self, &event);
        break;
    case CHANNEL_WAKE:
        take_orders(self);
        if (self->receiver != NULL)
            incoming_take_data(self, NULL);
        break;
    case CHANNEL_TIME:
        incoming_begin_insert(self);
        break;
    case CHANNEL_OVER:
        take_end(self, &event);
        break;
    }
    if (self->connection->finishing)
        take_orders(self);
    return !self->connection->over;
}

void incoming_run(Connection *connection, Stream *stream)
{
    Incoming self = {.connection = connection, .fd = -1, .published_fd = -1};

    self.channel = connection_open_channel(connection, stream, PESIT_ROLE_SERVER);
    while (step(&self))
        continue;
    if (self.transfer != NULL && !self.settled) {
        (void)incoming_record(&self, TRANSFER_FAILED, connection->abort_diag,
                              "connection closed by administration",
                              NULL); /* counted by the store */
        announce_end(&self);
    }
    incoming_forget(&self);
    channel_linger(self.channel);
}
