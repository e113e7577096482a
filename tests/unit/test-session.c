/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two sessions wired to each other in memory, and one session against chosen bytes: transfers in both
 * directions and all forms, one byte at a time as at once, points and windows, refusals, interruptions,
 * protocol errors and every timer. Case numbers are those of the conformance list.
 */
#include "protocol/session.h"

#include <glib.h>
#include <string.h>

#define WIRE_BYTES (1024u * 1024u)
#define SECOND     INT64_C(1000000)

typedef struct {
    PesitSession *session;
    uint8_t wire[WIRE_BYTES]; /* towards this side */
    size_t from, to;
    GByteArray *received;
    unsigned points, acked, pieces;
    bool over;
    PesitEvent last;
    PesitDiag final_diag;
    bool ack_points;
} Side;

typedef struct {
    Side requester, server;
    int64_t now_us;
    size_t step; /* bytes delivered at a time */
    uint16_t article_bytes;
    bool fixed;
    size_t file_bytes;
    GByteArray *file;
} Pair;

static PesitSessionOptions options_for(PesitRole role)
{
    return (PesitSessionOptions){
            .role = role,
            .framing = role == PESIT_ROLE_SERVER ? PESIT_FRAMING_AUTO : PESIT_FRAMING_PREFIXED,
            .own_id = role == PESIT_ROLE_SERVER ? 0x61 : 1,
            .sync_interval_kb = 32,
            .sync_window = 2,
            .segmentation = true,
            .multi_article = true,
            .concatenation = true,
            .max_entity_bytes = 4096,
            .check_slack_bytes = UINT32_MAX,
            .timers = {.accept_us = 30 * SECOND,
                       .connect_us = 60 * SECOND,
                       .protocol_us = 120 * SECOND,
                       .protocol_long_us = 600 * SECOND,
                       .idle_us = 300 * SECOND,
                       .release_us = 10 * SECOND},
    };
}

static Pair *pair_new(const PesitSessionOptions *requester, const PesitSessionOptions *server)
{
    Pair *pair = g_new0(Pair, 1);

    pair->requester.session = pesit_session_new(requester, 0);
    pair->server.session = pesit_session_new(server, 0);
    pair->requester.received = g_byte_array_new();
    pair->server.received = g_byte_array_new();
    pair->requester.ack_points = pair->server.ack_points = true;
    pair->file = g_byte_array_new();
    pair->step = WIRE_BYTES;
    pair->article_bytes = 1024;
    return pair;
}

static void pair_free(Pair *pair)
{
    pesit_session_free(pair->requester.session);
    pesit_session_free(pair->server.session);
    g_byte_array_unref(pair->requester.received);
    g_byte_array_unref(pair->server.received);
    g_byte_array_unref(pair->file);
    g_free(pair);
}

static void put_wire(Side *to, const uint8_t *bytes, size_t length)
{
    if (to->from > 0) {
        memmove(to->wire, to->wire + to->from, to->to - to->from);
        to->to -= to->from;
        to->from = 0;
    }
    g_assert_cmpuint(to->to + length, <=, WIRE_BYTES);
    memcpy(to->wire + to->to, bytes, length);
    to->to += length;
}

static void flush(Pair *pair, Side *from, Side *to)
{
    size_t length;
    const uint8_t *bytes = pesit_session_pending_output(from->session, &length);

    if (bytes == NULL)
        return;
    put_wire(to, bytes, length);
    pesit_session_output_sent(from->session, length, pair->now_us);
}

static void command(Pair *pair, Side *side, PesitFpduType type, PesitDiag diag,
                    const PesitFpdu *params)
{
    PesitCommand what = {.type = type,
                         .diag = diag,
                         .params = params,
                         .end_code = PESIT_END_CANCELLED_REQUESTER};

    g_assert_cmpint(pesit_session_command(side->session, &what, pair->now_us), ==, PESIT_OK);
    flush(pair, &pair->requester, &pair->server);
    flush(pair, &pair->server, &pair->requester);
}

static void note_event(Pair *pair, Side *side, const PesitEvent *event)
{
    switch ((int)event->kind) {
    case PESIT_EVENT_PIECES:
        for (size_t i = 0; i < event->count; i++)
            g_byte_array_append(side->received, event->pieces[i].bytes, event->pieces[i].length);
        side->pieces += (unsigned)event->count;
        return;
    case PESIT_EVENT_POINT:
        side->points++;
        if (side->ack_points) {
            PesitCommand ack = {.type = PESIT_FPDU_ACK_SYN, .point = event->point};

            g_assert_cmpint(pesit_session_command(side->session, &ack, pair->now_us), ==, PESIT_OK);
        }
        return;
    case PESIT_EVENT_POINT_ACKED:
        side->acked = event->point;
        return;
    case PESIT_EVENT_REMARK:
        return;
    case PESIT_EVENT_ABORTED:
    case PESIT_EVENT_FAILED:
    case PESIT_EVENT_LOST:
        side->over = true;
        side->final_diag = event->diag;
        return;
    default:
        side->last = *event;
        return;
    }
}

/* Delivers what is on the wire to one side, in steps. */
static void deliver(Pair *pair, Side *side)
{
    size_t visible = side->from;

    while (visible < side->to) {
        visible = MIN(visible + pair->step, side->to);
        for (;;) {
            size_t taken = 0;
            PesitEvent event;
            PesitStatus status = pesit_session_receive(side->session, side->wire + side->from,
                                                       visible - side->from, pair->now_us, &taken);
            bool any = false;

            while (pesit_session_next_event(side->session, &event)) {
                note_event(pair, side, &event);
                any = true;
            }
            side->from += taken;
            if (taken == 0 && !any && status != PESIT_LIMIT)
                break;
        }
    }
}

static void run(Pair *pair)
{
    for (int i = 0; i < 4; i++) {
        flush(pair, &pair->requester, &pair->server);
        flush(pair, &pair->server, &pair->requester);
        deliver(pair, &pair->server);
        flush(pair, &pair->server, &pair->requester);
        deliver(pair, &pair->requester);
    }
}

static void expect(Side *side, PesitEventKind kind, PesitFpduType type)
{
    g_assert_cmpint(side->last.kind, ==, kind);
    g_assert_cmpstr(pesit_fpdu_name(side->last.type), ==, pesit_fpdu_name(type));
}

static void connect_pair(Pair *pair)
{
    PesitFpdu fpdu;

    pesit_fpdu_init(&fpdu, PESIT_FPDU_CONNECT);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_REQUESTER, "COMPANY");
    pesit_fpdu_set_text(&fpdu, PESIT_PI_SERVER, "BANK1");
    command(pair, &pair->requester, PESIT_FPDU_CONNECT, PESIT_DIAG_OK, &fpdu);
    run(pair);
    expect(&pair->server, PESIT_EVENT_INDICATION, PESIT_FPDU_CONNECT);
    command(pair, &pair->server, PESIT_FPDU_ACONNECT, PESIT_DIAG_OK, NULL);
    run(pair);
    expect(&pair->requester, PESIT_EVENT_CONFIRMATION, PESIT_FPDU_ACONNECT);
    g_assert_cmpstr(pesit_session_state_name(pair->server.session), ==, "CN03");
}

static void fill_file_values(const Pair *pair, PesitFpdu *fpdu)
{
    pesit_fpdu_set_number(fpdu, PESIT_PI_FILE_TYPE, 0);
    pesit_fpdu_set_text(fpdu, PESIT_PI_FILE_NAME, "FILE");
    pesit_fpdu_set_number(fpdu, PESIT_PI_PRIORITY, 0);
    pesit_fpdu_set_number(fpdu, PESIT_PI_MAX_ENTITY, 4096);
    if (fpdu->type == PESIT_FPDU_SELECT)
        return;
    pesit_fpdu_set_number(fpdu, PESIT_PI_ARTICLE_FORMAT, pair->fixed ? 0 : 0x80);
    pesit_fpdu_set_number(fpdu, PESIT_PI_ARTICLE_LENGTH, pair->article_bytes);
    pesit_fpdu_set_number(fpdu, PESIT_PI_SPACE_MAX, 1);
    pesit_fpdu_set_text(fpdu, PESIT_PI_CREATED, "261124093000");
}

static void exchange(Pair *pair, PesitFpduType request, PesitFpduType answer,
                     const PesitFpdu *params, const PesitFpdu *reply)
{
    command(pair, &pair->requester, request, PESIT_DIAG_OK, params);
    run(pair);
    expect(&pair->server, PESIT_EVENT_INDICATION, request);
    command(pair, &pair->server, answer, PESIT_DIAG_OK, reply);
    run(pair);
    expect(&pair->requester, PESIT_EVENT_CONFIRMATION, answer);
}

static void open_file(Pair *pair, bool reading)
{
    PesitFpdu fpdu, reply;

    pesit_fpdu_init(&fpdu, reading ? PESIT_FPDU_SELECT : PESIT_FPDU_CREATE);
    fill_file_values(pair, &fpdu);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_TRANSFER_ID, reading ? 0 : 77);
    pesit_fpdu_init(&reply, PESIT_FPDU_ACK_SELECT);
    fill_file_values(pair, &reply);
    reply.present[0] &= ~(UINT64_C(1) << PESIT_PI_PRIORITY);
    pesit_fpdu_set_number(&reply, PESIT_PI_TRANSFER_ID, 501);
    exchange(pair, fpdu.type, reading ? PESIT_FPDU_ACK_SELECT : PESIT_FPDU_ACK_CREATE, &fpdu,
             reading ? &reply : NULL);
    exchange(pair, PESIT_FPDU_ORF, PESIT_FPDU_ACK_ORF, NULL, NULL);
}

static void select_file(Pair *pair, bool reading)
{
    open_file(pair, reading);
    exchange(pair, reading ? PESIT_FPDU_READ : PESIT_FPDU_WRITE,
             reading ? PESIT_FPDU_ACK_READ : PESIT_FPDU_ACK_WRITE, NULL, NULL);
}

static void make_file(Pair *pair, size_t length)
{
    pair->file_bytes = length;
    g_byte_array_set_size(pair->file, (guint)length);
    for (size_t i = 0; i < length; i++)
        pair->file->data[i] = (uint8_t)(i * 31 + i / 251);
}

/* Sends the file as the daemon does: plan, fill the slots, write the batch. */
static void send_file(Pair *pair, Side *from, Side *to)
{
    static uint8_t buffer[128 * 1024];
    PesitBatch batch = {.buffer = buffer, .capacity = sizeof buffer};
    size_t at = 0;
    unsigned stalls = 0;

    while (at < pair->file_bytes) {
        PesitStatus status;

        pesit_batch_clear(&batch);
        status =
                pesit_session_plan_data(from->session, &batch, pair->file_bytes - at, pair->now_us);
        if (status == PESIT_LIMIT) {
            g_assert_true(batch.window_full);
            g_assert_cmpuint(stalls++, <, 10000);
            run(pair);
            continue;
        }
        g_assert_cmpint(status, ==, PESIT_OK);
        for (size_t i = 0; i < batch.slot_count; i++) {
            memcpy(batch.slots[i].bytes, pair->file->data + at, batch.slots[i].length);
            at += batch.slots[i].length;
        }
        put_wire(to, batch.buffer, batch.used);
        run(pair);
    }
}

static void transfer(Pair *pair, bool reading)
{
    Side *from = reading ? &pair->server : &pair->requester;
    Side *to = reading ? &pair->requester : &pair->server;
    PesitAgreement agreement;

    select_file(pair, reading);
    send_file(pair, from, to);
    command(pair, from, PESIT_FPDU_DTF_END, PESIT_DIAG_OK, NULL);
    run(pair);
    g_assert_cmpint(to->last.kind, ==, PESIT_EVENT_DATA_END);
    pesit_session_get_agreement(to->session, &agreement);
    g_assert_cmpuint(agreement.bytes, ==, pair->file_bytes);
    exchange(pair, PESIT_FPDU_TRANS_END, PESIT_FPDU_ACK_TRANS_END, NULL, NULL);
    exchange(pair, PESIT_FPDU_CRF, PESIT_FPDU_ACK_CRF, NULL, NULL);
    exchange(pair, PESIT_FPDU_DESELECT, PESIT_FPDU_ACK_DESELECT, NULL, NULL);
    g_assert_cmpmem(to->received->data, to->received->len, pair->file->data, pair->file_bytes);
    g_byte_array_set_size(to->received, 0);
}

static void release_pair(Pair *pair)
{
    command(pair, &pair->requester, PESIT_FPDU_RELEASE, PESIT_DIAG_OK, NULL);
    run(pair);
    expect(&pair->server, PESIT_EVENT_INDICATION, PESIT_FPDU_RELEASE);
    command(pair, &pair->server, PESIT_FPDU_RELCONF, PESIT_DIAG_OK, NULL);
    run(pair);
    g_assert_true(pesit_session_is_finished(pair->requester.session));
    g_assert_false(pesit_session_is_finished(pair->server.session));
    pesit_session_transport_closed(pair->server.session, pair->now_us);
    g_assert_true(pesit_session_is_finished(pair->server.session));
}

typedef struct {
    const char *what;
    size_t file_bytes, step;
    uint16_t article_bytes, interval_kb;
    bool multi, concatenation, raw, fixed, reading;
} Form;

/* cases 1, 2, 3, 166, 167, 206, 207, 319, 325, 405 */
static void test_forms(void)
{
    static const Form FORMS[] = {
            {"empty", 0, WIRE_BYTES, 1024, 32, true, true, false, false, false},
            {"one byte", 1, WIRE_BYTES, 1024, 32, true, true, false, false, false},
            {"1 MiB", 1048576, WIRE_BYTES, 1024, 32, true, true, false, false, false},
            {"byte by byte", 100000, 1, 1000, 32, true, true, false, false, false},
            {"raw framing", 100000, 7, 1000, 32, true, true, true, false, false},
            {"mono articles", 100000, WIRE_BYTES, 1000, 32, false, true, false, false, false},
            {"one per entity", 100000, WIRE_BYTES, 1000, 32, false, false, false, false, false},
            {"segmented", 200000, 3, 20000, 32, true, true, false, false, false},
            {"tiny articles", 20000, WIRE_BYTES, 1, 32, true, true, false, false, false},
            {"fixed", 80 * 500, WIRE_BYTES, 80, 32, true, true, false, true, false},
            {"no points", 300000, WIRE_BYTES, 4000, 0, true, true, false, false, false},
            {"undefined interval", 3000000, WIRE_BYTES, 4000, 65535, true, true, false, false,
             false},
            {"read", 500000, WIRE_BYTES, 1024, 32, true, true, false, false, true},
            {"read byte by byte", 70000, 1, 9000, 32, true, true, false, false, true},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(FORMS); i++) {
        PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER);
        PesitSessionOptions server = options_for(PESIT_ROLE_SERVER);
        Pair *pair;

        g_test_message("%s", FORMS[i].what);
        requester.multi_article = server.multi_article = FORMS[i].multi;
        requester.concatenation = server.concatenation = FORMS[i].concatenation;
        requester.framing = FORMS[i].raw ? PESIT_FRAMING_RAW : PESIT_FRAMING_PREFIXED;
        requester.sync_interval_kb = server.sync_interval_kb = FORMS[i].interval_kb;
        pair = pair_new(&requester, &server);
        pair->step = FORMS[i].step;
        pair->article_bytes = FORMS[i].article_bytes;
        pair->fixed = FORMS[i].fixed;
        make_file(pair, FORMS[i].file_bytes);
        connect_pair(pair);
        transfer(pair, FORMS[i].reading);
        transfer(pair, FORMS[i].reading); /* several files in one connection */
        release_pair(pair);
        pair_free(pair);
    }
}

/* case 206: SYN after exactly 32 articles of 1024, 31 points for 1 MiB */
static void test_point_positions(void)
{
    PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                        server = options_for(PESIT_ROLE_SERVER);
    Pair *pair = pair_new(&requester, &server);

    make_file(pair, 1048576);
    connect_pair(pair);
    transfer(pair, false);
    g_assert_cmpuint(pair->server.points, ==, 31);
    g_assert_cmpuint(pair->requester.acked, ==, 31);
    pair_free(pair);
}

/* cases 210, 379: the window stops data, the timer ends it */
static void test_window_full(void)
{
    static uint8_t buffer[128 * 1024];
    PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                        server = options_for(PESIT_ROLE_SERVER);
    PesitBatch batch = {.buffer = buffer, .capacity = sizeof buffer};
    Pair *pair = pair_new(&requester, &server);
    PesitEvent event;

    pair->server.ack_points = false;
    connect_pair(pair);
    select_file(pair, false);
    pesit_batch_clear(&batch);
    g_assert_cmpint(pesit_session_plan_data(pair->requester.session, &batch, 1048576, 0), ==,
                    PESIT_OK);
    g_assert_true(batch.window_full);
    g_assert_cmpuint(batch.point_count, ==, 2);
    g_assert_cmpuint(batch.slot_bytes, ==, 65536);
    g_assert_cmpint(pesit_session_deadline(pair->requester.session), ==, 120 * SECOND);
    pesit_session_tick(pair->requester.session, 121 * SECOND);
    g_assert_true(pesit_session_next_event(pair->requester.session, &event));
    g_assert_cmpint(event.kind, ==, PESIT_EVENT_FAILED);
    g_assert_cmpuint(event.diag.code, ==, 317);
    pair_free(pair);
}

static void assert_aborts(Pair *pair, Side *side, const char *hex, unsigned code)
{
    GByteArray *bytes = g_byte_array_new();
    size_t length;
    const uint8_t *output;

    for (const char *at = hex; at[0] != '\0'; at++) {
        if (at[0] == ' ')
            continue;
        guint8 byte = (guint8)(g_ascii_xdigit_value(at[0]) * 16 + g_ascii_xdigit_value(at[1]));

        g_byte_array_append(bytes, &byte, 1);
        at++;
    }
    put_wire(side, bytes->data, bytes->len);
    deliver(pair, side);
    g_assert_true(side->over);
    g_assert_cmpuint(side->final_diag.code, ==, code);
    output = pesit_session_pending_output(side->session, &length);
    g_assert_nonnull(output); /* case 35: nine octets */
    g_assert_cmpuint(length, ==, 11);
    g_assert_cmpuint(output[3], ==, 9);
    g_assert_cmpuint(output[5], ==, 0x25);
    g_assert_cmpuint(output[9] << 8 | output[10], ==, code);
    g_byte_array_unref(bytes);
}

typedef enum { FROM_IDLE, FROM_CONNECTED, FROM_WRITING } Start;

/* cases 5, 6, 9, 10, 11, 13, 14, 78, 79, 85, 86, 89, 173, 174, 215, 326, 327, 30, 31 */
static void test_violations(void)
{
    static const struct {
        const char *what;
        Start start;
        const char *hex;
        unsigned code;
    } CASES[] = {
            {"CONNECT with source 0", FROM_IDLE, "0012 0012 4020 0000 030141 040142 060102 160100",
             311},
            {"CREATE first", FROM_IDLE, "0006 0006 C011 0000", 311},
            {"RELEASE first", FROM_IDLE, "000B 000B 4023 6101 0203000000", 311},
            {"unknown type", FROM_CONNECTED, "0006 0006 C077 6100", 311},
            {"phase of another", FROM_CONNECTED, "0006 0006 0011 6100", 311},
            {"wrong identifier", FROM_CONNECTED, "0006 0006 C014 6200", 311},
            {"ORF without selection", FROM_CONNECTED, "0006 0006 C014 6100", 311},
            {"DTF without WRITE", FROM_CONNECTED, "0007 0007 0000 6100 41", 311},
            {"length above the entity", FROM_CONNECTED, "0006 0008 C014 6100", 318},
            {"stray octets", FROM_CONNECTED, "0009 0006 C014 6100 000000", 318},
            {"entity of 5", FROM_CONNECTED, "0005 0005 C01461", 318},
            {"RELEASE with a file", FROM_WRITING, "000B 000B 4023 6101 0203000000", 311},
            {"SYN 2 first", FROM_WRITING, "0009 0009 C003 6100 140102", 311},
            {"SYN without number", FROM_WRITING, "0006 0006 C003 6100", 318},
            {"DTFFA first", FROM_WRITING, "0007 0007 0042 6100 41", 311},
            {"DTFDA, DTF", FROM_WRITING, "000E 0007 0041 6100 41 0007 0000 6100 42", 311},
            {"lengths do not fill", FROM_WRITING, "000A 000A 0000 6102 0001 4100", 318},
            {"RESYN", FROM_WRITING, "000E 000E C005 6100 0203010064 120100", 311},
            {"TRANS.END in the data", FROM_WRITING, "0006 0006 C008 6100", 311},
            {"CRF sharing an entity", FROM_WRITING,
             "0012 0007 0000 6100 41 000B C015 6100 0203000000", 311},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                            server = options_for(PESIT_ROLE_SERVER);
        Pair *pair = pair_new(&requester, &server);

        g_test_message("%s", CASES[i].what);
        if (CASES[i].start != FROM_IDLE)
            connect_pair(pair);
        if (CASES[i].start == FROM_WRITING)
            select_file(pair, false);
        assert_aborts(pair, &pair->server, CASES[i].hex, CASES[i].code);
        pair_free(pair);
    }
}

/* case 390: nothing valid can be answered */
static void test_not_pesit(void)
{
    static const char *const INPUTS[] = {"GET / HTTP/1.1\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01",
                                         "\x01\x02\x03\x04\x05\x06\x07\x08"};

    for (size_t i = 0; i < G_N_ELEMENTS(INPUTS); i++) {
        PesitSessionOptions server = options_for(PESIT_ROLE_SERVER);
        PesitSession *session = pesit_session_new(&server, 0);
        size_t taken, length;

        g_assert_cmpint(pesit_session_receive(session, (const uint8_t *)INPUTS[i], 8, 0, &taken),
                        ==, PESIT_VIOLATION);
        g_assert_null(pesit_session_pending_output(session, &length));
        g_assert_true(pesit_session_is_finished(session));
        pesit_session_free(session);
    }
}

/* cases 57, 58: the pre-connection message with and without length */
static void test_preconnection(void)
{
    static const uint8_t MESSAGE[] = {0x00, 0x18, 0xD7, 0xC5, 0xE2, 0xC9, 0xE3, 0x40, 0x40,
                                      0x40, 0xC1, 0xC1, 0xC1, 0xC1, 0xC1, 0xC1, 0xC1, 0xC1,
                                      0xC1, 0xC1, 0xC1, 0xC1, 0xC1, 0xC1, 0xC1, 0xC1};

    for (size_t prefix = 0; prefix <= 2; prefix += 2) {
        PesitSessionOptions server = options_for(PESIT_ROLE_SERVER);
        PesitSession *session = pesit_session_new(&server, 0);
        size_t taken, length;
        const uint8_t *output;

        g_assert_cmpint(
                pesit_session_receive(session, MESSAGE + 2 - prefix, 24 + prefix, 0, &taken), ==,
                PESIT_OK);
        g_assert_cmpuint(taken, ==, 24 + prefix);
        output = pesit_session_pending_output(session, &length);
        g_assert_cmpuint(length, ==, 4 + prefix);
        g_assert_cmpmem(output + prefix, 4, "\xC1\xC3\xD2\xF0", 4);
        pesit_session_free(session);
    }
}

/* case 61: the requester knocks, and says CONNECT when it is let in */
static void test_knocking(void)
{
    static const uint8_t ACCEPTED[] = {0x00, 0x04, 0xC1, 0xC3, 0xD2, 0xF0};
    PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER);
    PesitSession *session;
    PesitFpdu fpdu;
    PesitCommand connect = {.type = PESIT_FPDU_CONNECT, .params = &fpdu};
    const uint8_t *output;
    size_t length, taken;

    requester.preconnection = true;
    session = pesit_session_new(&requester, 0);
    pesit_fpdu_init(&fpdu, PESIT_FPDU_CONNECT);
    pesit_fpdu_set_text(&fpdu, PESIT_PI_REQUESTER, "Aa9-");
    pesit_fpdu_set_text(&fpdu, PESIT_PI_SERVER, "BANK1");
    g_assert_cmpint(pesit_session_command(session, &connect, 0), ==, PESIT_OK);
    output = pesit_session_pending_output(session, &length);
    g_assert_cmpmem(output, length,
                    "\x00\x18\xD7\xC5\xE2\xC9\xE3\x40\x40\x40\xC1\x81\xF9\x60\x40\x40\x40\x40"
                    "\x40\x40\x40\x40\x40\x40\x40\x40",
                    26);
    pesit_session_output_sent(session, length, 0);
    g_assert_null(pesit_session_pending_output(session, &length));
    for (size_t i = 1; i < sizeof ACCEPTED; i++)
        g_assert_cmpint(pesit_session_receive(session, ACCEPTED, i, 0, &taken), ==,
                        PESIT_NEED_MORE);
    g_assert_cmpint(pesit_session_receive(session, ACCEPTED, sizeof ACCEPTED, 0, &taken), ==,
                    PESIT_OK);
    g_assert_cmpuint(taken, ==, sizeof ACCEPTED);
    output = pesit_session_pending_output(session, &length);
    g_assert_cmpmem(output + 4, 2, "\x40\x20", 2);
    pesit_session_free(session);
}

/* cases 217, 307: the session interrupts by itself */
static void test_own_interruptions(void)
{
    PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                        server = options_for(PESIT_ROLE_SERVER);
    Pair *pair = pair_new(&requester, &server);
    static uint8_t dtf[2 + 6 + 1025] = {0x04, 0x07, 0x04, 0x07, 0x00, 0x00, 0x61, 0x00};

    connect_pair(pair);
    select_file(pair, false);
    put_wire(&pair->server, dtf, sizeof dtf);
    deliver(pair, &pair->server);
    g_assert_cmpint(pair->server.last.kind, ==, PESIT_EVENT_INTERRUPTING);
    g_assert_cmpuint(pair->server.last.diag.code, ==, 220);
    run(pair);
    expect(&pair->requester, PESIT_EVENT_INDICATION, PESIT_FPDU_IDT);
    g_assert_cmpuint(pair->requester.last.end_code, ==, PESIT_END_CANCELLED_SERVER);
    command(pair, &pair->requester, PESIT_FPDU_ACK_IDT, PESIT_DIAG_OK, NULL);
    run(pair);
    expect(&pair->server, PESIT_EVENT_CONFIRMATION, PESIT_FPDU_ACK_IDT);
    /* case 265: the flag forbids another WRITE */
    g_assert_cmpstr(pesit_session_state_name(pair->server.session), ==, "OF02");
    assert_aborts(pair, &pair->server, "0006 0006 C002 6100", 311);
    pair_free(pair);
}

/* case 250 */
static void test_cancel(void)
{
    PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                        server = options_for(PESIT_ROLE_SERVER);
    Pair *pair = pair_new(&requester, &server);

    connect_pair(pair);
    select_file(pair, false);
    exchange(pair, PESIT_FPDU_IDT, PESIT_FPDU_ACK_IDT, NULL, NULL);
    exchange(pair, PESIT_FPDU_CRF, PESIT_FPDU_ACK_CRF, NULL, NULL);
    exchange(pair, PESIT_FPDU_DESELECT, PESIT_FPDU_ACK_DESELECT, NULL, NULL);
    transfer(pair, false);
    pair_free(pair);
}

/* cases 66 to 71 */
static void test_negotiation(void)
{
    static const struct {
        uint16_t proposed, own, expected;
        uint8_t proposed_window, own_window, expected_window;
    } CASES[] = {
            {32, 16, 16, 4, 2, 2}, {16, 32, 16, 2, 4, 2}, {65535, 65535, 65535, 4, 4, 4},
            {32, 0, 0, 4, 4, 0},   {0, 32, 0, 2, 2, 0},   {65535, 64, 64, 3, 9, 3},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                            server = options_for(PESIT_ROLE_SERVER);
        PesitAgreement agreement;
        Pair *pair;

        requester.sync_interval_kb = CASES[i].proposed;
        requester.sync_window = CASES[i].proposed_window;
        server.sync_interval_kb = CASES[i].own;
        server.sync_window = CASES[i].own_window;
        pair = pair_new(&requester, &server);
        connect_pair(pair);
        pesit_session_get_agreement(pair->requester.session, &agreement);
        g_assert_cmpuint(agreement.sync_interval_kb, ==, CASES[i].expected);
        g_assert_cmpuint(agreement.sync_window, ==, CASES[i].expected_window);
        pair_free(pair);
    }
}

/* cases 373, 375, 377, 386, 387: every timer without waiting */
static void test_timers(void)
{
    PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                        server = options_for(PESIT_ROLE_SERVER);
    PesitSession *lonely = pesit_session_new(&server, 0);
    Pair *pair = pair_new(&requester, &server);
    PesitEvent event;
    size_t length;

    pesit_session_tick(lonely, 31 * SECOND);
    g_assert_true(pesit_session_is_finished(lonely));
    g_assert_null(pesit_session_pending_output(lonely, &length));
    pesit_session_free(lonely);

    connect_pair(pair);
    g_assert_cmpint(pesit_session_deadline(pair->server.session), ==, 300 * SECOND);
    select_file(pair, false);
    pesit_session_bytes_arrived(pair->server.session, 1, 100 * SECOND); /* case 383 */
    g_assert_cmpint(pesit_session_deadline(pair->server.session), ==, 220 * SECOND);
    pesit_session_tick(pair->server.session, 220 * SECOND);
    g_assert_true(pesit_session_next_event(pair->server.session, &event));
    g_assert_cmpuint(event.diag.code, ==, 317);
    g_assert_nonnull(pesit_session_pending_output(pair->server.session, &length));
    pesit_session_output_sent(pair->server.session, length, 220 * SECOND);
    g_assert_false(pesit_session_is_finished(pair->server.session));
    pesit_session_tick(pair->server.session, 230 * SECOND);
    g_assert_true(pesit_session_is_finished(pair->server.session));
    pair_free(pair);
}

/* single octets keep no timer alive for ever; a slow line does. procedures §12, rule 2 */
static void test_least_rate(void)
{
    static const struct {
        size_t octets;
        bool ends;
    } CASES[] = {{1, true}, {9000, false}};

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                            server = options_for(PESIT_ROLE_SERVER);
        Pair *pair;
        PesitEvent event;

        server.timers.min_rate_bytes_per_s = 100;
        pair = pair_new(&requester, &server);
        connect_pair(pair);
        select_file(pair, false);
        for (int64_t now = 60; now < 1000; now += 60)
            pesit_session_bytes_arrived(pair->server.session, CASES[i].octets, now * SECOND);
        g_assert_true(pesit_session_next_event(pair->server.session, &event) == CASES[i].ends);
        if (CASES[i].ends)
            g_assert_cmpuint(event.diag.code, ==, 317);
        pair_free(pair);
    }
}

static size_t receive_all(PesitSession *session, const uint8_t *bytes, size_t length)
{
    size_t taken = 0;

    g_assert_cmpint(pesit_session_receive(session, bytes, length, 0, &taken), !=, PESIT_NEED_MORE);
    return taken;
}

/* case 271: WRITE and IDT at once. A strict partner waits for every answer */
static void assert_too_early(Pair *pair, const uint8_t *bytes, size_t length, PesitFpduType answer,
                             bool aborts)
{
    PesitCommand command = {.type = answer};
    PesitSession *session = pair->server.session;
    PesitEvent event;
    size_t taken = receive_all(session, bytes, length);

    g_assert_true(pesit_session_next_event(session, &event));
    g_assert_cmpint(event.kind, ==, PESIT_EVENT_INDICATION);
    g_assert_cmpint(pesit_session_command(session, &command, 0), ==, PESIT_OK);
    (void)receive_all(session, bytes + taken, length - taken);
    g_assert_true(pesit_session_next_event(session, &event));
    g_assert_cmpint(event.kind, ==, aborts ? PESIT_EVENT_FAILED : PESIT_EVENT_INDICATION);
    if (aborts)
        g_assert_cmpuint(event.diag.code, ==, 311);
}

static void test_too_early(void)
{
    static const uint8_t WRITE_IDT[] = {0,    6, 0,    6, 0xC0, 2, 0x61, 0, 0,    14,   0, 14,
                                        0xC0, 6, 0x61, 0, 2,    3, 2,    0, 0xD8, 0x13, 1, 4};
    static const uint8_t ORF_WRITE[] = {0, 6, 0, 6, 0xC0, 0x14, 0x61, 0,
                                        0, 6, 0, 6, 0xC0, 2,    0x61, 0};

    for (int strict = 0; strict <= 1; strict++) {
        PesitSessionOptions requester = options_for(PESIT_ROLE_REQUESTER),
                            server = options_for(PESIT_ROLE_SERVER);
        Pair *pair;

        server.strict = strict != 0;
        pair = pair_new(&requester, &server);
        connect_pair(pair);
        open_file(pair, false);
        assert_too_early(pair, WRITE_IDT, sizeof WRITE_IDT, PESIT_FPDU_ACK_WRITE, true);
        pair_free(pair);

        pair = pair_new(&requester, &server);
        connect_pair(pair);
        open_file(pair, false);
        exchange(pair, PESIT_FPDU_CRF, PESIT_FPDU_ACK_CRF, NULL, NULL);
        assert_too_early(pair, ORF_WRITE, sizeof ORF_WRITE, PESIT_FPDU_ACK_ORF, server.strict);
        pair_free(pair);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/session/forms", test_forms);
    g_test_add_func("/session/point-positions", test_point_positions);
    g_test_add_func("/session/window-full", test_window_full);
    g_test_add_func("/session/violations", test_violations);
    g_test_add_func("/session/not-pesit", test_not_pesit);
    g_test_add_func("/session/preconnection", test_preconnection);
    g_test_add_func("/session/knocking", test_knocking);
    g_test_add_func("/session/own-interruptions", test_own_interruptions);
    g_test_add_func("/session/cancel", test_cancel);
    g_test_add_func("/session/negotiation", test_negotiation);
    g_test_add_func("/session/timers", test_timers);
    g_test_add_func("/session/least-rate", test_least_rate);
    g_test_add_func("/session/too-early", test_too_early);
    return g_test_run();
}
