/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session on a stream: receive, feed, take events, send, wait for the earlier of bytes and deadline.
 * Bytes of an incomplete entity stay in the buffer; whole entities are taken in place, without copy.
 * procedures §12 for the write stall and Tr. One thread.
 */
#include "daemon/net/channel.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"

#include <string.h>

#define TRACE_BYTES  1024
#define SLOW_WORK_US 100000

Channel *channel_new(Stream *stream, PesitSession *session, Mailbox *orders, const char *label,
                     int64_t stall_us)
{
    Channel *self = g_new0(Channel, 1);

    self->stream = stream;
    self->session = session;
    self->orders = orders;
    self->label = label;
    self->stall_us = stall_us > 0 ? stall_us : INT64_MAX / 4;
    self->received = g_malloc(CHANNEL_RECEIVE_BYTES);
    return self;
}

/* What the session has done since it was looked at last. */
static void count(Channel *self)
{
    PesitCounts now;

    pesit_session_get_counts(self->session, &now);
    if (now.received != self->counted.received)
        metric_add(METRIC_FPDUS_RECEIVED, now.received - self->counted.received);
    if (now.sent != self->counted.sent)
        metric_add(METRIC_FPDUS_SENT, now.sent - self->counted.sent);
    if (now.acknowledged != self->counted.acknowledged)
        metric_add(METRIC_SYNC_POINTS_ACKNOWLEDGED, now.acknowledged - self->counted.acknowledged);
    self->counted = now;
}

void channel_free(Channel *self)
{
    if (self == NULL)
        return;
    count(self);
    stream_free(self->stream);
    pesit_session_free(self->session);
    g_free(self->received);
    g_clear_error(&self->failure);
    g_free(self);
}

static void trace(Channel *self, const char *direction, const uint8_t *bytes, size_t length)
{
    char text[TRACE_BYTES], id[LOG_NUMBER_BYTES];
    PesitAgreement agreement;
    size_t prefix;

    if (!log_is_enabled(LOG_FPDU))
        return;
    pesit_session_get_agreement(self->session, &agreement);
    prefix = agreement.framing == PESIT_FRAMING_PREFIXED ? 2 : 0;
    if (length < prefix + PESIT_HEADER_BYTES)
        return;
    (void)pesit_fpdu_format(bytes + prefix, length - prefix, text, sizeof text); /* cut when long */
    log_event(LOG_FPDU, "CONNECTION", self->label, "TRANSFER", log_number(id, self->transfer_id),
              "DIRECTION", direction, "FPDU", text, NULL);
}

static void fail_transport(Channel *self, GError *error)
{
    if (self->failure == NULL)
        self->failure = error;
    else
        g_clear_error(&error);
    if (self->ended)
        return;
    self->ended = true;
    pesit_session_transport_closed(self->session, clock_now_us());
}

static bool send_bytes(Channel *self, const uint8_t *bytes, size_t length)
{
    GError *error = NULL;

    metric_add(METRIC_BYTES_SENT, length);
    count(self);
    if (stream_send(self->stream, bytes, length, clock_now_us() + self->stall_us, &error))
        return true;
    fail_transport(self, error);
    return false;
}

bool channel_flush(Channel *self)
{
    const uint8_t *bytes;
    size_t length;

    while ((bytes = pesit_session_pending_output(self->session, &length)) != NULL && length > 0) {
        if (self->ended || !send_bytes(self, bytes, length))
            return false;
        trace(self, "sent", bytes, length);
        pesit_session_output_sent(self->session, length, clock_now_us());
    }
    return !self->ended;
}

bool channel_send_batch(Channel *self, PesitBatch *batch)
{
    size_t length = 0;
    const uint8_t *pending = pesit_session_pending_output(self->session, &length);

    if (pending != NULL && length > 0 && length <= batch->capacity - batch->used) {
        memcpy(batch->buffer + batch->used, pending, length);
        batch->used += length;
        pesit_session_output_sent(self->session, length, clock_now_us());
    }
    if (self->ended)
        return false;
    return batch->used == 0 || send_bytes(self, batch->buffer, batch->used);
}

bool channel_command(Channel *self, const PesitCommand *command)
{
    PesitStatus status = pesit_session_command(self->session, command, clock_now_us());
    char id[LOG_NUMBER_BYTES];

    if (status == PESIT_OK)
        return true;
    log_event(LOG_INTERNAL, "CONNECTION", self->label, "TRANSFER",
              log_number(id, self->transfer_id), "REASON", "command not accepted by the session",
              "COMMAND", pesit_fpdu_name(command->type), "STATE",
              pesit_session_state_name(self->session), NULL);
    return false;
}

/* Feeds what is in the buffer. True when the session took something or has something to say. */
static bool feed(Channel *self)
{
    size_t length = self->received_to - self->received_from;
    size_t taken = 0;
    PesitStatus status;

    if (length == 0)
        return false;
    status = pesit_session_receive(self->session, self->received + self->received_from, length,
                                   clock_now_us(), &taken);
    if (taken > 0)
        trace(self, "received", self->received + self->received_from, taken);
    self->received_from += taken;
    if (status == PESIT_MALFORMED || status == PESIT_VIOLATION)
        self->received_from = self->received_to;
    return taken > 0 || status != PESIT_NEED_MORE;
}

/* Makes room behind what is left and receives once. */
static StreamResult fill(Channel *self)
{
    GError *error = NULL;
    StreamResult result;
    size_t length = 0;

    if (self->on_fill != NULL)
        self->on_fill(self->on_fill_data);
    if (self->received_from > 0) {
        memmove(self->received, self->received + self->received_from,
                self->received_to - self->received_from);
        self->received_to -= self->received_from;
        self->received_from = 0;
    }
    result = stream_receive(self->stream, self->received + self->received_to,
                            CHANNEL_RECEIVE_BYTES - self->received_to, &length, &error);
    if (result == STREAM_DATA) {
        self->received_to += length;
        metric_add(METRIC_BYTES_RECEIVED, length);
        count(self); /* of what came before */
        pesit_session_bytes_arrived(self->session, length, clock_now_us());
    } else if (result == STREAM_END || result == STREAM_ERROR) {
        fail_transport(self, error);
    }
    return result;
}

/* Nothing to receive: what can wait for that is done now, and may take long. Returns as on_idle. */
static int64_t work_while_idle(Channel *self)
{
    int64_t began_us = clock_now_us();
    int64_t again_us = self->on_fill != NULL ? self->on_idle(self->on_fill_data) : INT64_MAX;

    /* a slow disk of ours is not the partner's silence */
    if (clock_now_us() - began_us >= SLOW_WORK_US)
        pesit_session_bytes_arrived(self->session, 1, clock_now_us());
    return again_us;
}

/* Sleeps until bytes, an order or the earlier deadline. */
static ChannelResult wait_for_input(Channel *self, int64_t until_us)
{
    int64_t deadline_us = pesit_session_deadline(self->session);
    int64_t wake_us = MIN(deadline_us, until_us);
    int64_t now_us = clock_now_us();
    bool wake = false;

    count(self);
    if (now_us < wake_us)
        (void)stream_wait(self->stream, self->orders_ignored ? -1 : mailbox_fd(self->orders),
                          wake_us, &wake); /* then look */
    now_us = clock_now_us();
    if (now_us >= deadline_us)
        pesit_session_tick(self->session, now_us);
    else if (wake)
        return CHANNEL_WAKE;
    else if (now_us >= until_us)
        return CHANNEL_TIME;
    return CHANNEL_EVENT;
}

/* Set since it was looked at, by what was done before the socket turned out to be empty. */
static bool has_attention(Channel *self)
{
    return !self->orders_ignored && atomic_load(&self->attention);
}

static ChannelResult next_event(Channel *self, int64_t until_us, bool wait, PesitEvent *ret_event)
{
    *ret_event = (PesitEvent){.kind = PESIT_EVENT_LOST}; /* unless one comes */
    for (;;) {
        int64_t again_us;
        ChannelResult result;

        if (pesit_session_next_event(self->session, ret_event))
            return CHANNEL_EVENT;
        if (feed(self))
            continue;
        if (self->ended)
            return CHANNEL_OVER;
        if (!channel_flush(self))
            continue;
        if (pesit_session_is_finished(self->session))
            return CHANNEL_OVER;
        if (!self->orders_ignored && atomic_exchange(&self->attention, false))
            return CHANNEL_WAKE;
        if (fill(self) != STREAM_NOTHING)
            continue;
        again_us = work_while_idle(self);
        if (again_us == 0 || !channel_flush(self) || has_attention(self))
            continue;
        if (!wait)
            return CHANNEL_TIME;
        result = wait_for_input(self, MIN(until_us, again_us));
        if (result == CHANNEL_TIME && again_us < until_us)
            continue;
        if (result != CHANNEL_EVENT)
            return result;
    }
}

ChannelResult channel_next(Channel *self, int64_t until_us, PesitEvent *ret_event)
{
    return next_event(self, until_us, true, ret_event);
}

ChannelResult channel_poll(Channel *self, PesitEvent *ret_event)
{
    return next_event(self, 0, false, ret_event);
}

void channel_linger(Channel *self)
{
    PesitEvent event;

    self->orders_ignored = true;
    while (channel_next(self, INT64_MAX, &event) != CHANNEL_OVER)
        continue;
    (void)channel_flush(self); /* closing anyway */
}

void channel_abort(Channel *self, PesitDiag diag)
{
    PesitCommand command = {.type = PESIT_FPDU_ABORT, .diag = diag};

    if (!self->ended && !pesit_session_is_finished(self->session) &&
        pesit_session_command(self->session, &command, clock_now_us()) == PESIT_OK)
        channel_linger(self);
}
