/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session fed with any bytes, at once and byte by byte: both ways must tell the same events. The server
 * accepts everything it is asked, so that the data phase is reached; the first byte chooses the role.
 */
#include "protocol/session.h"

#include <stdlib.h>
#include <string.h>

#define EVENTS_MAX   4096
#define BUFFER_BYTES (1u << 17)
#define SECOND_US    1000000

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

typedef struct {
    uint32_t kinds[EVENTS_MAX];
    unsigned count;
    uint64_t data;
} Story;

static void note(Story *story, const PesitEvent *event)
{
    if (event->kind == PESIT_EVENT_PIECES) {
        for (size_t i = 0; i < event->count; i++)
            story->data += event->pieces[i].length;
        return;
    }
    if (event->kind != PESIT_EVENT_REMARK && story->count < EVENTS_MAX)
        story->kinds[story->count++] = (uint32_t)event->kind << 16 | (uint32_t)event->type;
}

/* Says yes to whatever is asked. */
static void answer(PesitSession *session, const PesitEvent *event)
{
    static const struct {
        PesitFpduType asked, answer;
    } ANSWERS[] = {
            {PESIT_FPDU_CONNECT, PESIT_FPDU_ACONNECT},
            {PESIT_FPDU_CREATE, PESIT_FPDU_ACK_CREATE},
            {PESIT_FPDU_ORF, PESIT_FPDU_ACK_ORF},
            {PESIT_FPDU_WRITE, PESIT_FPDU_ACK_WRITE},
            {PESIT_FPDU_TRANS_END, PESIT_FPDU_ACK_TRANS_END},
            {PESIT_FPDU_CRF, PESIT_FPDU_ACK_CRF},
            {PESIT_FPDU_DESELECT, PESIT_FPDU_ACK_DESELECT},
            {PESIT_FPDU_RELEASE, PESIT_FPDU_RELCONF},
            {PESIT_FPDU_IDT, PESIT_FPDU_ACK_IDT},
            {PESIT_FPDU_READ, PESIT_FPDU_ACK_READ},
    };
    PesitCommand command = {0};

    if (event->kind == PESIT_EVENT_POINT) {
        command.type = PESIT_FPDU_ACK_SYN;
        command.point = event->point;
        (void)pesit_session_command(session, &command, 0); /* any answer will do */
        return;
    }
    for (size_t i = 0;
         event->kind == PESIT_EVENT_INDICATION && i < sizeof ANSWERS / sizeof ANSWERS[0]; i++) {
        if (ANSWERS[i].asked == event->type) {
            command.type = ANSWERS[i].answer;
            (void)pesit_session_command(session, &command, 0); /* any answer will do */
        }
    }
}

static void drain(PesitSession *session, Story *story)
{
    PesitEvent event;
    size_t length;

    while (pesit_session_next_event(session, &event)) {
        note(story, &event);
        answer(session, &event);
    }
    while (pesit_session_pending_output(session, &length) != NULL && length > 0)
        pesit_session_output_sent(session, length, 0);
}

static void feed(PesitRole role, const uint8_t *bytes, size_t length, size_t step, Story *story)
{
    PesitSessionOptions options = {.role = role,
                                   .framing = PESIT_FRAMING_AUTO,
                                   .own_id = 1,
                                   .sync_interval_kb = 32,
                                   .sync_window = 2,
                                   .segmentation = true,
                                   .multi_article = true,
                                   .concatenation = true,
                                   .max_entity_bytes = 4096,
                                   .check_slack_bytes = UINT32_MAX};
    PesitSession *session;
    size_t from = 0, to = 0;

    options.framing = role == PESIT_ROLE_SERVER ? PESIT_FRAMING_AUTO : PESIT_FRAMING_PREFIXED;
    options.timers.protocol_us = SECOND_US;
    session = pesit_session_new(&options, 0);
    if (role == PESIT_ROLE_REQUESTER) {
        PesitFpdu fpdu;
        PesitCommand connect = {.type = PESIT_FPDU_CONNECT, .params = &fpdu};

        pesit_fpdu_init(&fpdu, PESIT_FPDU_CONNECT);
        pesit_fpdu_set_text(&fpdu, PESIT_PI_REQUESTER, "A");
        pesit_fpdu_set_text(&fpdu, PESIT_PI_SERVER, "B");
        if (pesit_session_command(session, &connect, 0) != PESIT_OK)
            abort();
    }
    while (to < length) {
        to = to + step < length ? to + step : length;
        for (;;) {
            size_t taken = 0;
            PesitStatus status = pesit_session_receive(session, bytes + from, to - from, 0, &taken);

            from += taken;
            drain(session, story);
            if (status == PESIT_MALFORMED || status == PESIT_VIOLATION)
                from = to = length;
            if (status != PESIT_OK && status != PESIT_LIMIT)
                break;
        }
    }
    pesit_session_tick(session, 10 * SECOND_US);
    pesit_session_transport_closed(session, 10 * SECOND_US);
    drain(session, story);
    pesit_session_free(session);
}

/* An interruption that lay behind the request for data when that was taken is refused, one that came alone is not: only
 * how the bytes arrived tells whether the partner waited. */
static bool is_haste(const Story *whole, const Story *slow, size_t at)
{
    return at < whole->count && at < slow->count &&
           whole->kinds[at] == (uint32_t)PESIT_EVENT_FAILED << 16 &&
           slow->kinds[at] == ((uint32_t)PESIT_EVENT_INDICATION << 16 | PESIT_FPDU_IDT);
}

static bool is_same(const Story *whole, const Story *slow)
{
    size_t at = 0;

    while (at < whole->count && at < slow->count && whole->kinds[at] == slow->kinds[at])
        at++;
    return is_haste(whole, slow, at) ||
           (at == whole->count && at == slow->count && whole->data == slow->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static Story whole, slow;
    PesitRole role;

    if (length < 2 || length > BUFFER_BYTES)
        return 0;
    role = bytes[0] % 2 == 0 ? PESIT_ROLE_SERVER : PESIT_ROLE_REQUESTER;
    memset(&whole, 0, sizeof whole);
    memset(&slow, 0, sizeof slow);
    feed(role, bytes + 1, length - 1, length, &whole);
    feed(role, bytes + 1, length - 1, 1, &slow);
    if (!is_same(&whole, &slow))
        abort();
    return 0;
}
