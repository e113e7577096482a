/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The script of a connection that we open: CONNECT, then one job after the other, RELEASE when idle. procedures
 * §9.2 to §9.8. Runs on the connection's thread.
 */
#include "daemon/net/exchange-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "daemon/net/dialer.h"

#define DIAG_PASSWORD PESIT_DIAG(3, 304)

static void run_job(Connection *self)
{
    Exchange exchange = {.connection = self,
                         .channel = self->channel,
                         .job = self->job,
                         .transfer = self->job->transfer,
                         .file = self->job->file,
                         .fd = -1};
    Notice *notice;

    self->channel->transfer_id = self->job->transfer->id;
    g_free(exchange.transfer->session);
    exchange.transfer->session = g_strdup(self->session);
    if (self->job->transfer->direction == DIRECTION_SEND)
        exchange_send(&exchange);
    else
        exchange_fetch(&exchange);
    if (self->job->outcome != OUTCOME_RETURNED && !self->over)
        exchange_close(&exchange);
    context_close(exchange.context);
    reply_unref(exchange.gate);
    fd_clear(&exchange.fd);
    exchange.channel->transfer_id = 0;
    notice = notice_new(self, NOTICE_JOB_DONE);
    notice->job = g_steal_pointer(&self->job);
    (void)mailbox_post(self->services->notices, notice); /* closed only when the daemon ends */
}

static void log_failure(const Connection *self, const char *reason)
{
    char id[LOG_NUMBER_BYTES];

    log_event(LOG_CONNECTION_FAILED, "CONNECTION", self->label, "TRANSFER",
              log_number(id, self->job != NULL ? self->job->transfer->id : 0), "PARTNER",
              self->partner->name, "ADDRESS", self->address, "REASON", reason, NULL);
}

bool outgoing_command_connect(Connection *self)
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

bool outgoing_check_password(const Connection *self, const PesitFpdu *fpdu)
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
    if (!outgoing_command_connect(self))
        return false;
    for (;;) {
        ChannelResult result = channel_next(self->channel, INT64_MAX, &event);

        if (result == CHANNEL_WAKE) {
            if (!exchange_take_orders(&exchange))
                return false;
            continue;
        }
        if (result == CHANNEL_EVENT && event.kind == PESIT_EVENT_REMARK) {
            connection_log_remark(self, &event);
            continue;
        }
        break;
    }
    if (event.kind != PESIT_EVENT_CONFIRMATION) {
        exchange_end_broken(&exchange, &event);
        return false;
    }
    if (!event.positive) {
        exchange_end_refused(&exchange, "the connection", event.diag, 0);
        log_failure(self, self->job->transfer->error);
        return false;
    }
    if (outgoing_check_password(self, event.fpdu))
        return true;
    exchange_end_with(&exchange, OUTCOME_FAILED, DIAG_PASSWORD, BASE_ERROR_UNTRUSTED,
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

    if (self->over || channel_command(self->channel, &release))
        channel_linger(self->channel);
}

void outgoing_run(Connection *self)
{
    g_autoptr(GError) error = NULL;
    int64_t deadline_us = clock_now_us() + (int64_t)self->config->connect_ms * 1000;
    Stream *stream = dialer_connect(self->partner, self->tls, deadline_us, &error);

    if (stream == NULL) {
        if (self->job != NULL)
            job_end(self->job, OUTCOME_RETRY, PESIT_DIAG_OK, error);
        log_failure(self, error->message);
        return;
    }
    connection_open_channel(self, stream, PESIT_ROLE_REQUESTER);
    log_event(LOG_CONNECTION_OPENED, "CONNECTION", self->label, "PARTNER", self->partner->name,
              "ADDRESS", self->address, NULL);
    if (open_session(self)) {
        while (wait_for_job(self))
            run_job(self);
        close_session(self);
    } else if (self->over) { /* who was refused has nothing to release */
        channel_linger(self->channel);
    }
}
