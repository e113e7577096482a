/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What session.c, receive.c, command.c and batch.c share about one session. Private to the library.
 */
#pragma once

#include "protocol/session.h"
#include "protocol/states.h"

#define EVENTS_MAX   8
#define PIECES_MAX   256
#define OUTPUT_BYTES 8192
#define PREFIX_BYTES 2

struct PesitSession {
    PesitSessionOptions options;
    State state;
    StateFacts facts;
    PesitFraming framing; /* AUTO until found */
    bool preconnected;
    bool accepted; /* server: ACONNECT was said, our number is known */
    uint8_t own_id, peer_id;
    int64_t deadline_us;
    int64_t now_us;

    PesitEvent events[EVENTS_MAX];
    unsigned event_from, event_count;
    uint8_t output[OUTPUT_BYTES];
    size_t output_from, output_to;
    size_t held_from; /* output from here on waits for the answer to what is before it; 0: nothing */
    bool closed;      /* the transport ended */
    bool close_now;   /* nothing more to wait for */

    /* input cursor */
    size_t entity_left;   /* bytes of the checked entity not taken yet */
    bool entity_shared;   /* it holds several FPDUs */
    size_t articles_left; /* bytes of a multi-article DTF not handed out yet */
    bool articles_prefixed;
    bool too_early; /* server: more lay behind a request before it was answered */
    PesitPiece pieces[PIECES_MAX];
    PesitFpdu fpdu;
    PesitRemarks remarks;

    PesitCounts counts;

    /* agreed */
    uint16_t interval_kb;
    uint8_t window;
    PesitAccess access;
    uint16_t max_entity, proposed_entity;
    uint16_t article_bytes;
    bool article_fixed;
    uint8_t pending_end_code;
    bool restarting; /* PI 15 = 1 in this selection */
    uint16_t proposed_interval_kb;
    uint8_t proposed_window;

    /* transfer */
    uint64_t bytes, articles;
    uint64_t start_bytes, start_articles; /* of these, before the restart point */
    uint64_t since;                       /* data bytes since the last point */
    uint32_t last_point, last_acked;
    uint64_t rate_bytes;     /* received since */
    int64_t rate_since_us;   /* this moment, for the least rate */
    uint64_t article_so_far; /* of a segmented article */
    bool in_article;
};

/* Queues an event; room is guaranteed by the callers. */
PesitEvent *session_add_event(PesitSession *self, PesitEventKind kind);
/* Moves by the table. False: no row. The only function that changes the state. */
bool session_advance(PesitSession *self, Move move, PesitFpduType type, TransitionKind *ret_kind);
/* Ends the session with ABORT: queues it and FAILED. text: constant. */
PesitStatus session_fail(PesitSession *self, PesitDiag diag, const char *text);
/* Encodes an FPDU with its framing into the pending output. */
PesitStatus session_send(PesitSession *self, PesitFpdu *fpdu);
/* Sends IDT because of what the sender did; INTERRUPTING is queued. */
void session_interrupt(PesitSession *self, PesitDiag diag);
/* Arms the timer of the state. */
void session_arm(PesitSession *self);
bool session_is_sender(const PesitSession *self);
bool session_is_receiver(const PesitSession *self);
void session_reset_transfer(PesitSession *self);
