/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PeSIT connection as a sans-I/O state machine, requester or server, sending or receiving.
 * In: bytes, commands, time, loss of the transport. Out: bytes, events, the next deadline.
 * It never calls out, never reads a clock, never allocates in the data phase, and file data never
 * passes through a copy: received pieces point into the caller's buffer, and data to send is read
 * by the caller into room that the session left between headers in the caller's batch.
 * Chapters 3.2 to 3.7, 4.3 to 4.8. A session belongs to one thread at a time.
 *
 * Order of use for a loop: receive → next_event until none (command as they tell) → send
 * pending_output and batches → wait for bytes or for the deadline → tick.
 */
#pragma once

#include "protocol/fpdu.h"
#include "protocol/types.h"

/* procedures §12; microseconds, 0 = never. */
typedef struct {
    int64_t accept_us;        /* Tc: server, transport open → CONNECT complete; absolute */
    int64_t connect_us;       /* requester, CONNECT → answer */
    int64_t protocol_us;      /* Tp */
    int64_t protocol_long_us; /* Tp while waiting ACK(CREATE), ACK(SELECT), ACK(TRANS.END), ACK(CRF) */
    int64_t idle_us;          /* Td: server, connected without a file */
    int64_t release_us;       /* Tr: after ABORT, RCONNECT, RELCONF until the peer closes */
    uint32_t min_rate_bytes_per_s; /* data phase, over 2 × Tp; 0 = off */
} PesitTimers;

typedef struct {
    PesitRole role;
    PesitFraming framing; /* requester: PREFIXED or RAW; server: AUTO or fixed */
    uint8_t own_id;       /* X or Y, 1..255 */
    bool strict;
    bool abort_as_units;
    bool omit_defaults;       /* requester: no PI 7 and PI 23 in CONNECT where nothing is asked */
    bool preconnection;       /* requester sends it (procedures D3); servers always accept it */
    char preconnection_id[8]; /* blank padded ASCII; converted to EBCDIC */
    char preconnection_password[8];
    uint16_t sync_interval_kb; /* our wish or limit: 0 none, 65535 undefined */
    uint8_t sync_window;
    bool resync;                /* our wish for PI 23 */
    bool segmentation;          /* sending */
    bool multi_article;         /* sending */
    bool concatenation;         /* sending */
    uint16_t max_entity_bytes;  /* our own limit for PI 25, 128..65535 */
    uint32_t check_slack_bytes; /* 2/222: tolerated above the interval; UINT32_MAX = one article */
    PesitTimers timers;
} PesitSessionOptions;

typedef struct PesitSession PesitSession;

/* States as seen from outside, for logs and tests; the specification's code is in the name. */
const char *pesit_session_state_name(const PesitSession *self); /* "CN03", "TDE02A", … */

/* events */

/* A piece of an article inside the buffer given to receive. */
typedef struct {
    const uint8_t *bytes;
    uint32_t length; /* may be 0: an empty article of a multi-article DTF */
    bool first;      /* first piece of its article */
    bool last;       /* last piece of its article */
} PesitPiece;

typedef enum {
    /* Server: the requester asks (CONNECT, CREATE, SELECT, ORF, WRITE, READ, TRANS.END, CRF,
     * DESELECT, RELEASE); `fpdu` holds its parameters. Both: IDT received (`diag`, `end_code`).
     * Each needs one command: the matching answer. MSG* too (answer ACK(MSG)). */
    PESIT_EVENT_INDICATION,
    /* Requester: the answer to our request (`type` is the answer: ACONNECT, RCONNECT, ACK(x), RELCONF);
     * `positive` and `diag`. Both: ACK(IDT) after our IDT. */
    PESIT_EVENT_CONFIRMATION,
    PESIT_EVENT_PIECES,       /* receiver: `pieces`, `count`; valid until the next receive */
    PESIT_EVENT_POINT,        /* receiver: SYN `point` came; `bytes`, `articles` so far */
    PESIT_EVENT_POINT_ACKED,  /* sender: ACK(SYN) `point`: all points ≤ it are acknowledged */
    PESIT_EVENT_DATA_END,     /* receiver: DTF.END with `diag`; `bytes`, `articles` in all */
    PESIT_EVENT_INTERRUPTING, /* the session itself sent IDT (`diag`, `end_code`) because of what the
                               * peer did (2/220, 2/222, 2/217): wait for the CONFIRMATION of ACK(IDT) */
    PESIT_EVENT_ABORTED,      /* peer sent ABORT with `diag`; over */
    PESIT_EVENT_FAILED, /* we sent ABORT with `diag` (violation, timer); `text` says why; over */
    PESIT_EVENT_LOST,   /* transport closed before the end; over */
    PESIT_EVENT_REMARK, /* tolerated oddity of the peer: `text`, `pi`, `type`; for the log */
} PesitEventKind;

typedef struct {
    PesitEventKind kind;
    PesitFpduType type;
    bool positive;
    PesitDiag diag;
    uint8_t end_code;      /* PI 19 */
    const PesitFpdu *fpdu; /* borrowed, valid until the next call of receive */
    const PesitPiece *pieces;
    size_t count;
    uint32_t point;
    uint64_t bytes;    /* data octets as PI 27 counts them */
    uint64_t articles; /* as PI 28 counts them */
    unsigned pi;
    const char *text; /* constant or borrowed until the next call of receive */
} PesitEvent;

/* lifecycle */

/* options: copied. now_us: monotonic. Returns new; the transport is taken as open now. */
PesitSession *pesit_session_new(const PesitSessionOptions *options, int64_t now_us);
void pesit_session_free(PesitSession *self);

/* Replaces what depends on who the partner is, once it is known: server, between the CONNECT
 * indication and its answer. Same rules as new; role, framing and own_id are kept. */
void pesit_session_set_options(PesitSession *self, const PesitSessionOptions *options);

/* input */

/* Takes bytes received from the peer and advances the session by at most one FPDU with an event
 * worth returning; call again with the rest until taken is 0 and the status is NEED_MORE.
 * Whole entities only: bytes of an incomplete entity are not taken and must be presented again
 * with more behind them; a buffer of 65 537 bytes always suffices. bytes: borrowed while events
 * refer to it.  now_us: never decreasing.  ret_taken: bytes to drop from the front.
 * OK: something was taken, drain events, call again.  NEED_MORE: wait for bytes.
 * LIMIT: events must be drained first.  MALFORMED, VIOLATION: an ABORT is pending and FAILED was
 * queued: send it, then discard input until the transport closes or is_finished. */
PesitStatus pesit_session_receive(PesitSession *self, const uint8_t *bytes, size_t length,
                                  int64_t now_us, size_t *ret_taken) PESIT_MUST_USE;

/* A thing to send; the FPDU's type says what is asked. */
typedef struct {
    PesitFpduType type;
    const PesitFpdu
            *params;  /* values for it, or NULL; ids, PI 7 and 23 of ACONNECT, PI 25, 27, 28 are
                               * the session's business: filled in or lowered by it */
    PesitDiag diag;   /* PI 2, and positive or negative answer */
    uint8_t end_code; /* IDT */
    uint32_t point;   /* ACK(SYN): point; READ and ACK(WRITE): restart point */
    uint64_t bytes, articles; /* READ, ACK(WRITE) with a restart point: counters at that point */
} PesitCommand;

/* Requests and answers. Requester: CONNECT, CREATE, SELECT, ORF, WRITE, READ, DTF.END, TRANS.END, CRF,
 * DESELECT, RELEASE. Server: ACONNECT or RCONNECT, ACK(x), RELCONF. Either: SYN acknowledgement, IDT,
 * ACK(IDT), ABORT. Queues the FPDU as pending output.
 * CREATE: params give PI 25 proposed. ACONNECT: PI 7 and PI 23 are negotiated from the options.
 * ACK(SYN) with a point already acknowledged, or with window 0: nothing is sent, OK.
 * MISUSE: not allowed in this state, or parameters incomplete; nothing is queued. */
PesitStatus pesit_session_command(PesitSession *self, const PesitCommand *command,
                                  int64_t now_us) PESIT_MUST_USE;

/* Lets timers act: may queue ABORT 3/317 or 3/313 and FAILED. */
void pesit_session_tick(PesitSession *self, int64_t now_us);

/* The transport ended (end of file or error). */
void pesit_session_transport_closed(PesitSession *self, int64_t now_us);

/* Tells that bytes of an entity not yet complete arrived, so that a slow link is not a dead peer. */
void pesit_session_bytes_arrived(PesitSession *self, size_t count, int64_t now_us);

/* output */

/* Next event; false when there is none. What it borrows is valid until the next receive. */
bool pesit_session_next_event(PesitSession *self, PesitEvent *ret_event);
/* Bytes to send, framing included; borrowed until output_sent or the next command. NULL when none. */
const uint8_t *pesit_session_pending_output(const PesitSession *self, size_t *ret_length);
void pesit_session_output_sent(PesitSession *self, size_t count, int64_t now_us);
/* So far. */
typedef struct {
    uint64_t received, sent; /* FPDUs */
    uint64_t acknowledged;   /* synchronisation points, by the peer */
} PesitCounts;

void pesit_session_get_counts(const PesitSession *self, PesitCounts *ret_counts);
/* When tick must be called at the latest (monotonic µs), INT64_MAX for never. */
int64_t pesit_session_deadline(const PesitSession *self);
/* True when the transport should be closed: after RCONNECT, RELCONF or ABORT once the output is sent and
 * the peer closed or Tr ran out; after LOST; after RELCONF received; on receipt of RCONNECT or ABORT. */
bool pesit_session_is_finished(const PesitSession *self);

/* what was agreed */

typedef struct {
    PesitFraming framing;
    uint8_t own_id, peer_id;
    uint16_t sync_interval_kb;
    uint8_t sync_window;
    bool resync;
    PesitAccess access;
    uint16_t max_entity_bytes; /* of the current selection */
    uint16_t article_bytes;    /* PI 32 of the current selection, 0 when unknown */
    bool article_fixed;        /* PI 31 */
    bool stopped_early;        /* flag ab */
    uint64_t bytes, articles;  /* counters of the current transfer */
    uint32_t last_point, last_acked;
} PesitAgreement;

void pesit_session_get_agreement(const PesitSession *self, PesitAgreement *ret_agreement);

/* Counters at the restart point of ACK(WRITE), before any data: the requester goes on from there. §9.11 */
void pesit_session_set_start(PesitSession *self, uint64_t bytes, uint64_t articles);

/* sending data: only in TDE02A or TDL02B */

/* A place in a batch that the caller fills with file bytes, in order, before the batch is sent. */
typedef struct {
    uint8_t *bytes;
    size_t length;
} PesitSlot;

/* A synchronisation point inside a batch: to be journalled before the batch leaves. */
typedef struct {
    uint32_t point;
    uint64_t bytes, articles; /* counters before the SYN */
} PesitSentPoint;

#define PESIT_BATCH_SLOTS  512
#define PESIT_BATCH_POINTS 64

/* Bytes ready to be sent in one write. The caller owns buffer; the rest is the session's between
 * clear and close. */
typedef struct {
    uint8_t *buffer;
    size_t capacity; /* ≥ 65 537 */
    size_t used;
    PesitSlot slots[PESIT_BATCH_SLOTS];
    size_t slot_count;
    uint64_t slot_bytes; /* sum of the slots' lengths */
    PesitSentPoint points[PESIT_BATCH_POINTS];
    size_t point_count;
    bool window_full;       /* stopped because points wait for ACK(SYN): send, then receive */
    size_t entity_at;       /* session's own: start of the open entity, SIZE_MAX when none */
    size_t fpdu_at;         /* session's own: start of the open multi-article DTF */
    unsigned fpdu_articles; /* session's own */
} PesitBatch;

/* Empties a batch; buffer and capacity are kept. */
void pesit_batch_clear(PesitBatch *batch);

/* Lays out as much of a binary file as fits: headers are written, slots are left for the caller.
 * Articles have the agreed length (PI 32), the last one is shorter (fixed format: remaining_bytes must
 * be a multiple). remaining_bytes: bytes of the file not yet laid out, > 0.
 * OK: something was laid out (slot_bytes of the file).  LIMIT: nothing fits now: window_full tells
 * whether an ACK(SYN) must be awaited.  MISUSE: wrong state, or an article cannot fit (segmentation
 * off). Counters and points advance as if sent: a batch laid out must be sent, or the transfer
 * interrupted. The batch is closed on return. */
PesitStatus pesit_session_plan_data(PesitSession *self, PesitBatch *batch, uint64_t remaining_bytes,
                                    int64_t now_us) PESIT_MUST_USE;

/* Copies one article into the batch (text, records): packed with others where agreed, segmented where
 * needed. LIMIT: does not fit: close, send and clear the batch, or wait when window_full; nothing was
 * written. MISUSE: wrong state, longer than PI 32, or cannot fit in an entity. length may be 0 only when
 * multi-article is agreed. */
PesitStatus pesit_session_put_article(PesitSession *self, PesitBatch *batch, const uint8_t *article,
                                      size_t length, int64_t now_us) PESIT_MUST_USE;

/* Completes the open DTF and entity, after the last put_article before sending. */
void pesit_session_close_batch(PesitSession *self, PesitBatch *batch);
