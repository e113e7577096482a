/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PeSIT connection: its state, its timers, its output and its events. What received FPDUs mean is in
 * receive.c, what commands do in command.c, sending data in batch.c. Chapters 4.6 and 4.8.
 */
#include "protocol/session-private.h"

#include <stdlib.h>
#include <string.h>

#define DIAG_TIMER      PESIT_DIAG(3, 317)
#define DIAG_IDLE       PESIT_DIAG(3, 313)
#define RATE_TIMERS     2 /* the least rate is measured over so many Tp */
#define USEC_PER_SECOND 1000000

PesitSession *pesit_session_new(const PesitSessionOptions *options, int64_t now_us)
{
    PesitSession *self = calloc(1, sizeof *self);

    if (self == NULL)
        abort(); /* out of memory ends the program, as everywhere */
    self->options = *options;
    self->framing = options->framing;
    self->own_id = options->own_id;
    self->now_us = now_us;
    self->max_entity = PESIT_FPDU_MAX_BYTES;
    session_arm(self);
    return self;
}

void pesit_session_free(PesitSession *self)
{
    free(self);
}

void pesit_session_set_options(PesitSession *self, const PesitSessionOptions *options)
{
    PesitSessionOptions kept = self->options;

    self->options = *options;
    self->options.role = kept.role;
    self->options.framing = kept.framing;
    self->options.own_id = kept.own_id;
}

const char *pesit_session_state_name(const PesitSession *self)
{
    return states_name(self->options.role, self->state);
}

PesitEvent *session_add_event(PesitSession *self, PesitEventKind kind)
{
    PesitEvent *event;

    if (self->event_count == EVENTS_MAX) /* only remarks can pile up: the oldest goes */
        self->event_from = (self->event_from + 1) % EVENTS_MAX;
    else
        self->event_count++;
    event = &self->events[(self->event_from + self->event_count - 1) % EVENTS_MAX];
    *event = (PesitEvent){.kind = kind, .bytes = self->bytes, .articles = self->articles};
    return event;
}

bool pesit_session_next_event(PesitSession *self, PesitEvent *ret_event)
{
    if (self->event_count == 0)
        return false;
    *ret_event = self->events[self->event_from];
    self->event_from = (self->event_from + 1) % EVENTS_MAX;
    self->event_count--;
    return true;
}

/* timers, chapter 4.6 */

static int64_t requester_timeout(const PesitSession *self)
{
    const PesitTimers *timers = &self->options.timers;

    switch (self->state) {
    case STATE_CONNECTING:
        return timers->connect_us;
    case STATE_CREATING:
    case STATE_SELECTING:
    case STATE_CLOSING:
    case STATE_WRITE_ENDING:
    case STATE_READ_ENDING:
        return timers->protocol_long_us;
    case STATE_IDLE:
    case STATE_CONNECTED:
    case STATE_SELECTED:
    case STATE_OPEN:
    case STATE_WRITING:
    case STATE_WRITE_IDT_RECEIVED:
    case STATE_READ_IDT_RECEIVED:
    case STATE_WRITE_ENDED:
    case STATE_READ_ENDED:
    case STATE_MESSAGE_PARTS:
        return 0;
    case STATE_RELEASING:
    case STATE_DESELECTING:
    case STATE_OPENING:
    case STATE_WRITE_STARTING:
    case STATE_WRITE_IDT_SENT:
    case STATE_READ_STARTING:
    case STATE_READING:
    case STATE_READ_IDT_SENT:
    case STATE_MESSAGE:
        return timers->protocol_us;
    case STATE_OVER:
        return timers->release_us;
    case STATE_COUNT:
        break;
    }
    return 0;
}

static int64_t server_timeout(const PesitSession *self)
{
    const PesitTimers *timers = &self->options.timers;

    switch (self->state) {
    case STATE_IDLE:
        return timers->accept_us;
    case STATE_CONNECTED:
        return timers->idle_us;
    case STATE_SELECTED:
    case STATE_OPEN:
    case STATE_WRITING:
    case STATE_WRITE_IDT_SENT:
    case STATE_READ_IDT_SENT:
    case STATE_WRITE_ENDED:
    case STATE_READ_ENDED:
    case STATE_MESSAGE_PARTS:
        return timers->protocol_us;
    case STATE_CONNECTING:
    case STATE_RELEASING:
    case STATE_CREATING:
    case STATE_SELECTING:
    case STATE_DESELECTING:
    case STATE_OPENING:
    case STATE_CLOSING:
    case STATE_WRITE_STARTING:
    case STATE_WRITE_ENDING:
    case STATE_WRITE_IDT_RECEIVED:
    case STATE_READ_STARTING:
    case STATE_READING:
    case STATE_READ_IDT_RECEIVED:
    case STATE_READ_ENDING:
    case STATE_MESSAGE:
        return 0;
    case STATE_OVER:
        return timers->release_us;
    case STATE_COUNT:
        break;
    }
    return 0;
}

void session_arm(PesitSession *self)
{
    int64_t timeout_us = self->options.role == PESIT_ROLE_REQUESTER ? requester_timeout(self)
                                                                    : server_timeout(self);

    self->deadline_us = timeout_us > 0 ? self->now_us + timeout_us : INT64_MAX;
}

int64_t pesit_session_deadline(const PesitSession *self)
{
    return self->deadline_us;
}

void pesit_session_tick(PesitSession *self, int64_t now_us)
{
    self->now_us = now_us;
    if (now_us < self->deadline_us)
        return;
    self->deadline_us = INT64_MAX;
    if (self->state == STATE_OVER) {
        self->close_now = true;
    } else if (self->held_from != 0 ||
               (self->options.role == PESIT_ROLE_SERVER && self->state == STATE_IDLE)) {
        session_add_event(self, PESIT_EVENT_LOST)->text =
                self->held_from != 0 ? "no answer to the message before CONNECT"
                                     : "no CONNECT in time";
        self->output_to = self->held_from != 0 ? self->output_from : self->output_to;
        self->held_from = 0;
        self->state = STATE_OVER; /* nobody to abort: closed without a word */
        self->close_now = true;
    } else {
        (void)session_fail(self, self->state == STATE_CONNECTED ? DIAG_IDLE : DIAG_TIMER,
                           "the partner was silent too long"); /* FAILED tells it */
    }
}

/* A partner that keeps the timer from running out by single octets. procedures §12, rule 2. */
static bool is_too_slow(PesitSession *self, size_t count)
{
    const PesitTimers *timers = &self->options.timers;
    int64_t span_us = self->now_us - self->rate_since_us;
    bool too_slow;

    if (timers->min_rate_bytes_per_s == 0 || timers->protocol_us == 0 ||
        (self->state != STATE_WRITING && self->state != STATE_READING) ||
        !session_is_receiver(self))
        return false;
    self->rate_bytes += count;
    if (span_us < RATE_TIMERS * timers->protocol_us)
        return false;
    too_slow =
            self->rate_bytes < (uint64_t)(span_us / USEC_PER_SECOND) * timers->min_rate_bytes_per_s;
    self->rate_since_us = self->now_us;
    self->rate_bytes = 0;
    return too_slow;
}

void pesit_session_bytes_arrived(PesitSession *self, size_t count, int64_t now_us)
{
    self->now_us = now_us;
    if (is_too_slow(self, count)) {
        (void)session_fail(self, DIAG_TIMER, "the partner sends too slowly"); /* FAILED tells it */
        return;
    }
    if (count > 0 && self->state != STATE_OVER && self->state != STATE_IDLE &&
        self->deadline_us != INT64_MAX)
        session_arm(self);
}

void pesit_session_transport_closed(PesitSession *self, int64_t now_us)
{
    bool done = self->state == STATE_OVER;

    self->now_us = now_us;
    self->closed = true;
    self->close_now = true;
    self->deadline_us = INT64_MAX;
    if (done)
        return;
    if (self->options.role == PESIT_ROLE_REQUESTER && self->state == STATE_RELEASING) {
        PesitEvent *event = session_add_event(self, PESIT_EVENT_CONFIRMATION);

        event->type = PESIT_FPDU_RELCONF; /* nothing is open: released */
        event->positive = true;
    } else {
        session_add_event(self, PESIT_EVENT_LOST)->text = "transport closed";
    }
    self->state = STATE_OVER;
}

/* output */

const uint8_t *pesit_session_pending_output(const PesitSession *self, size_t *ret_length)
{
    *ret_length = (self->held_from != 0 ? self->held_from : self->output_to) - self->output_from;
    return *ret_length > 0 ? self->output + self->output_from : NULL;
}

void pesit_session_output_sent(PesitSession *self, size_t count, int64_t now_us)
{
    self->now_us = now_us;
    self->output_from += count;
    if (self->output_from >= self->output_to)
        self->output_from = self->output_to = 0;
}

void pesit_session_get_counts(const PesitSession *self, PesitCounts *ret_counts)
{
    *ret_counts = self->counts;
}

bool pesit_session_is_finished(const PesitSession *self)
{
    return self->state == STATE_OVER && self->close_now && self->output_from == self->output_to;
}

PesitStatus session_send(PesitSession *self, PesitFpdu *fpdu)
{
    size_t prefix = self->framing == PESIT_FRAMING_PREFIXED ? PREFIX_BYTES : 0;
    uint8_t *at = self->output + self->output_to;
    size_t room = OUTPUT_BYTES - self->output_to;
    size_t length = 0;
    PesitStatus status;

    if (room <= prefix)
        return PESIT_LIMIT;
    status = pesit_fpdu_encode(fpdu, at + prefix, room - prefix, &length);
    if (status != PESIT_OK)
        return status;
    if (prefix > 0) {
        at[0] = (uint8_t)(length >> 8);
        at[1] = (uint8_t)length;
    }
    self->output_to += prefix + length;
    self->counts.sent++;
    return PESIT_OK;
}

bool session_advance(PesitSession *self, Move move, PesitFpduType type, TransitionKind *ret_kind)
{
    PesitFpduType row_type = pesit_fpdu_is_data(type) ? PESIT_FPDU_DTF : type;
    State next = self->state;

    *ret_kind = states_find(self->options.role, self->state, move, row_type, &self->facts, &next);
    if (*ret_kind == TRANSITION_NONE)
        return false;
    if (next != self->state) {
        self->rate_since_us = self->now_us;
        self->rate_bytes = 0;
    }
    self->state = next;
    session_arm(self);
    return true;
}

/* ABORT in the form that the partner understands. */
static void send_abort(PesitSession *self, PesitDiag diag)
{
    PesitFpdu fpdu;

    if (self->framing == PESIT_FRAMING_AUTO)
        return;
    pesit_fpdu_init(&fpdu, PESIT_FPDU_ABORT);
    pesit_fpdu_set_diag(&fpdu, diag);
    fpdu.id_dst = self->peer_id;
    /* a server has no identifier before it accepted */
    fpdu.id_src = self->options.role == PESIT_ROLE_REQUESTER || self->accepted ? self->own_id : 0;
    (void)session_send(self, &fpdu); /* no room: the transport is stuck anyway */
    if (self->options.abort_as_units && self->output_to >= 9 &&
        self->output_to + 2 <= OUTPUT_BYTES) {
        uint8_t *value = self->output + self->output_to - 3;

        memmove(value + 2, value, 3);
        value[0] = PESIT_PI_DIAGNOSTIC;
        value[1] = 3;
        value[-5] = 11; /* length, low octet */
        if (self->framing == PESIT_FRAMING_PREFIXED)
            value[-7] = 11;
        self->output_to += 2;
    }
}

PesitStatus session_fail(PesitSession *self, PesitDiag diag, const char *text)
{
    PesitEvent *event;

    if (self->state == STATE_OVER)
        return PESIT_VIOLATION;
    if (self->held_from != 0) /* an ABORT tells more than a CONNECT that nobody waits for */
        self->output_to = self->held_from;
    self->held_from = 0;
    send_abort(self, diag);
    event = session_add_event(self, PESIT_EVENT_FAILED);
    event->diag = diag;
    event->text = text;
    self->state = STATE_OVER; /* CN01, whatever was open: chapter 4.8.2 */
    self->close_now = self->framing == PESIT_FRAMING_AUTO;
    session_arm(self);
    return PESIT_VIOLATION;
}

bool session_is_sender(const PesitSession *self)
{
    return (self->options.role == PESIT_ROLE_REQUESTER) == !self->facts.reading;
}

bool session_is_receiver(const PesitSession *self)
{
    return !session_is_sender(self);
}

void session_reset_transfer(PesitSession *self)
{
    self->bytes = self->articles = self->since = 0;
    self->start_bytes = self->start_articles = 0;
    self->last_point = self->last_acked = 0;
    self->article_so_far = 0;
    self->in_article = false;
}

void pesit_session_set_start(PesitSession *self, uint64_t bytes, uint64_t articles)
{
    self->bytes = self->start_bytes = bytes;
    self->articles = self->start_articles = articles;
}

void pesit_session_get_agreement(const PesitSession *self, PesitAgreement *ret_agreement)
{
    *ret_agreement = (PesitAgreement){
            .framing = self->framing,
            .own_id = self->own_id,
            .peer_id = self->peer_id,
            .sync_interval_kb = self->interval_kb,
            .sync_window = self->window,
            .access = self->access,
            .max_entity_bytes = self->max_entity,
            .article_bytes = self->article_bytes,
            .article_fixed = self->article_fixed,
            .stopped_early = self->facts.stopped_early,
            .bytes = self->bytes,
            .articles = self->articles,
            .last_point = self->last_point,
            .last_acked = self->last_acked,
    };
}
