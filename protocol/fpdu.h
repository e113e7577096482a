/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One FPDU as values: what the decoder produces, what the encoder takes, and the catalogues that
 * both walk. Data FPDUs (DTF, DTFDA, DTFMA, DTFFA) have no parameters: only their header is
 * described here, their bytes are handled in session.h. Chapters 4.7.1 to 4.7.4.
 * No allocation, no state; any thread.
 */
#pragma once

#include "protocol/types.h"

#define PESIT_HEADER_BYTES   6
#define PESIT_FPDU_MAX_BYTES 65535

/* A parameter's value. A number-like parameter (kinds number, symbol, mask) carries `number`;
 * all others carry `bytes`, borrowed from the input when decoded, from the caller when encoded. */
typedef struct {
    const uint8_t *bytes;
    uint32_t length;
    uint64_t number;
} PesitValue;

typedef struct {
    PesitFpduType type;
    uint8_t id_dst;
    uint8_t id_src;
    uint64_t present[2]; /* bit per PI code; see pesit_fpdu_has */
    uint32_t groups;     /* bit 0: PGI 9, 1: 30, 2: 40, 3: 50 seen or wanted */
    PesitValue values[PESIT_PI_COUNT];
} PesitFpdu;

/* catalogue */

typedef enum {
    PESIT_KIND_NUMBER, /* N: unsigned big-endian, leading zeros stripped when sent */
    PESIT_KIND_SYMBOL, /* S: one byte */
    PESIT_KIND_MASK,   /* M: bit mask, most significant bit is b1 */
    PESIT_KIND_TEXT,   /* C: 7-bit text, trailing blanks not significant */
    PESIT_KIND_DATE,   /* D: AAMMJJhhmmss */
    PESIT_KIND_PACKED, /* A: fixed zones, handled as one big-endian number of exact length */
    PESIT_KIND_BYTES,  /* A: aggregate or opaque */
} PesitKind;

typedef struct {
    PesitKind kind;
    uint16_t min_bytes;    /* as sent */
    uint16_t max_bytes;    /* as sent */
    uint16_t max_received; /* tolerated on reception (0: max_bytes) */
    bool secret;           /* masked in traces */
    uint8_t max_value;     /* of symbols; 0: any value */
    const char *name;
    const char *chapter;
} PesitPiRow;

/* Row of a PI, or NULL when the code is not a parameter of version E. */
const PesitPiRow *pesit_pi_find(unsigned code);

/* "CONNECT", "ACK(CREATE)", …; "?" for an unknown value. Never NULL. */
const char *pesit_fpdu_name(PesitFpduType type);

/* Type for a phase and type octet, PESIT_FPDU_NONE when they do not form a pair of the catalogue. */
PesitFpduType pesit_fpdu_from_wire(uint8_t phase, uint8_t code);

/* Phase and type octet of an FPDU. */
void pesit_fpdu_to_wire(PesitFpduType type, uint8_t *ret_phase, uint8_t *ret_code);

/* True for DTF, DTFDA, DTFMA and DTFFA. */
bool pesit_fpdu_is_data(PesitFpduType type);

/* True when the FPDU may share an entity with others: the data FPDUs, DTF.END and SYN (ch. 4.5). */
bool pesit_fpdu_can_concatenate(PesitFpduType type);

/* values */

/* Starts an empty FPDU of a type. */
void pesit_fpdu_init(PesitFpdu *fpdu, PesitFpduType type);
bool pesit_fpdu_has(const PesitFpdu *fpdu, PesitPi pi);
/* Number of a parameter, or `absent` when it is not there. */
uint64_t pesit_fpdu_number(const PesitFpdu *fpdu, PesitPi pi, uint64_t absent);
/* Bytes of a parameter (text: without trailing blanks); NULL and length 0 when not there. */
const uint8_t *pesit_fpdu_bytes(const PesitFpdu *fpdu, PesitPi pi, size_t *ret_length);
/* Diagnostic PI 2; 0/000 when absent. */
PesitDiag pesit_fpdu_diag(const PesitFpdu *fpdu);
void pesit_fpdu_set_number(PesitFpdu *fpdu, PesitPi pi, uint64_t number);
/* bytes: borrowed until the FPDU is encoded. A zero length removes the parameter. Blanks at the end
 * of a text are not kept: a text of blanks is no text. */
void pesit_fpdu_set_bytes(PesitFpdu *fpdu, PesitPi pi, const void *bytes, size_t length);
/* Same for a C string; NULL or "" removes the parameter. */
void pesit_fpdu_set_text(PesitFpdu *fpdu, PesitPi pi, const char *text);
/* Takes a parameter away; nothing happens when it is not there. */
void pesit_fpdu_remove(PesitFpdu *fpdu, PesitPi pi);
/* PI 2: kept inside the FPDU as a number type * 65536 + code; encoded on 3 bytes. */
void pesit_fpdu_set_diag(PesitFpdu *fpdu, PesitDiag diag);
/* PI 7 as interval in KB and window; kept as a number interval * 256 + window. Absent: 0 and 0. */
void pesit_fpdu_set_sync(PesitFpdu *fpdu, uint16_t interval_kb, uint8_t window);
void pesit_fpdu_sync(const PesitFpdu *fpdu, uint16_t *ret_interval_kb, uint8_t *ret_window);
/* PI 21 is kept as a number too: first byte * 256 + second byte. */

/* codec */

/* Something the decoder tolerated, or what made it fail: for the log and the strict mode. */
typedef struct {
    unsigned pi;      /* code concerned, 0 when none */
    const char *what; /* constant text: "unknown parameter", "repeated parameter", … */
} PesitRemark;

#define PESIT_REMARKS_MAX 8

typedef struct {
    PesitRemark rows[PESIT_REMARKS_MAX];
    unsigned count;
} PesitRemarks;

/* Reads the 6-byte header. bytes: at least 6.  ret_length: total length as announced, not checked
 * against anything. MALFORMED: length below 6 (PESIT_DIAG 3/318). VIOLATION: phase and type octet
 * do not go together or are unknown (3/311). ret_diag is written on failure only. */
PesitStatus pesit_header_decode(const uint8_t *bytes, PesitFpduType *ret_type, size_t *ret_length,
                                uint8_t *ret_dst, uint8_t *ret_src,
                                PesitDiag *ret_diag) PESIT_MUST_USE;

/* Decodes one whole control FPDU of exactly `length` bytes; it borrows from them.
 * strict: what is otherwise tolerated and remarked becomes MALFORMED.  remarks: may be NULL.
 * OK: remarks tell what was tolerated. An illegal value in a negative ACK is dropped and remarked,
 * an ABORT is never refused for its content, and SELECT and ACK(SELECT) may come with an empty
 * PGI 9: then there is no PI 11 and 12.
 * MALFORMED: ret_diag says 3/318, the last remark names the parameter and the reason.
 * VIOLATION: the header's octets do not go together, 3/311.  MISUSE: a data FPDU.
 * Lenient rules: messages §4, procedures G5 and G6. A negative ACK requires only PI 2. */
PesitStatus pesit_fpdu_decode(const uint8_t *bytes, size_t length, bool strict, PesitFpdu *ret_fpdu,
                              PesitRemarks *remarks, PesitDiag *ret_diag) PESIT_MUST_USE;

/* Encodes a control FPDU, parameters in the order of its template. ABORT takes its diagnostic as
 * three bare bytes (chapter 4.7.4, item 6).
 * LIMIT: capacity too small.  MISUSE: a mandatory parameter is missing (a negative ACK needs PI 2
 * only), a value is out of range or not in the template. ret_length: bytes written. */
PesitStatus pesit_fpdu_encode(const PesitFpdu *fpdu, uint8_t *buffer, size_t capacity,
                              size_t *ret_length) PESIT_MUST_USE;

/* Same, but PI 2 of an ABORT is a unit as in any other FPDU (11 bytes), for partners that cannot
 * read the bare form: PesitProfile.abort_as_units. */
PesitStatus pesit_fpdu_encode_units(const PesitFpdu *fpdu, uint8_t *buffer, size_t capacity,
                                    size_t *ret_length) PESIT_MUST_USE;

/* diagnostics, annex D */

/* English text of a reason code; "vendor code", with its meaning when one is known, for those
 * outside annex D. Never NULL. */
const char *pesit_diag_text(PesitDiag diag);
static inline bool pesit_diag_is_negative(PesitDiag diag)
{
    return diag.type >= 2;
}

/* trace */

/* One line of text for a control or data FPDU: name, ids, parameters; secrets masked, text escaped,
 * long values cut. Malformed bytes are shown up to where they break. Always terminated (capacity 0:
 * nothing is written); returns the length that was needed. */
size_t pesit_fpdu_format(const uint8_t *bytes, size_t length, char *text, size_t capacity);

/* The message of EBCDIC octets that may precede CONNECT, or its answer ACK0 or NAK0: how many bytes it takes when
 * one begins here, 0 when none does. ret_name: what it is, constant text. Chapter 3.8.2. */
size_t pesit_preconnection_find(const uint8_t *bytes, size_t length, const char **ret_name);
