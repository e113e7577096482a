/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One generic decoder for all control FPDUs, walking the catalogue. Strict about structure and lengths,
 * tolerant where practice demands it: each tolerated thing is a remark, and an error in strict mode.
 * Chapters 4.7.1 and 4.7.2. All bytes are reached through the reader, which cannot run over.
 */
#include "protocol/catalogue.h"
#include "protocol/wire.h"

#include <string.h>

#define DIAG_STRUCTURE PESIT_DIAG(3, 318)
#define DIAG_HEADER PESIT_DIAG(3, 311)
#define MIN_ENTITY_BYTES 7
#define DATE_BYTES 12

typedef struct {
    PesitFpdu *fpdu;
    const FpduRow *row;
    PesitRemarks *remarks;
    bool strict;
    bool failed;
    unsigned last_code;
} Decoder;

static void
remark(Decoder *self, unsigned pi, const char *what)
{
    PesitRemarks *remarks = self->remarks;

    if (remarks->count < PESIT_REMARKS_MAX)
        remarks->rows[remarks->count++] = (PesitRemark){ pi, what };
    else
        remarks->rows[PESIT_REMARKS_MAX - 1] = (PesitRemark){ pi, what };
}

static void
fail(Decoder *self, unsigned pi, const char *what)
{
    remark(self, pi, what);
    self->failed = true;
}

/* Goes on in lenient mode, fails in strict mode. */
static void
tolerate(Decoder *self, unsigned pi, const char *what)
{
    remark(self, pi, what);
    self->failed = self->failed || self->strict;
}

PesitStatus
pesit_header_decode(const uint8_t *bytes, PesitFpduType *ret_type, size_t *ret_length, uint8_t *ret_dst,
                    uint8_t *ret_src, PesitDiag *ret_diag)
{
    size_t length = (size_t)bytes[0] << 8 | bytes[1];
    PesitFpduType type = pesit_fpdu_from_wire(bytes[2], bytes[3]);

    if (length < PESIT_HEADER_BYTES) {
        *ret_diag = DIAG_STRUCTURE;
        return PESIT_MALFORMED;
    }
    if (type == PESIT_FPDU_NONE) {
        *ret_diag = DIAG_HEADER;
        return PESIT_VIOLATION;
    }
    *ret_type = type;
    *ret_length = length;
    *ret_dst = bytes[4];
    *ret_src = bytes[5];
    return PESIT_OK;
}

static bool
is_group(unsigned code)
{
    return code == PESIT_PGI_FILE || code == PESIT_PGI_LOGICAL || code == PESIT_PGI_PHYSICAL ||
           code == PESIT_PGI_HISTORICAL;
}

static const FpduItem *
find_item(const FpduRow *row, unsigned pi)
{
    for (const FpduItem *item = row->items; item->status != ITEM_END; item++) {
        if (item->pi == pi)
            return item;
    }
    return NULL;
}

static bool
is_date(const uint8_t *bytes)
{
    bool blank = true, digits = true;

    for (size_t i = 0; i < DATE_BYTES; i++) {
        blank = blank && bytes[i] == ' ';
        digits = digits && bytes[i] >= '0' && bytes[i] <= '9';
    }
    return blank || digits;
}

/* Numbers may have leading zeros, even more than their maximum length. */
static bool
decode_number(const PesitPiRow *row, const uint8_t *bytes, size_t length, uint64_t *ret_number)
{
    while (length > row->max_bytes && bytes[0] == 0) {
        bytes++;
        length--;
    }
    if (length > row->max_bytes)
        return false;
    *ret_number = wire_number(bytes, length);
    return true;
}

/* Version 2 is one binary octet; text "2" or "02" and 00 02 are met. */
static uint64_t
decode_version(const uint8_t *bytes, size_t length)
{
    uint8_t last = bytes[length - 1];

    return last >= '0' && last <= '9' && (length == 1 || bytes[0] == '0') ? (uint64_t)(last - '0')
                                                                         : wire_number(bytes, length);
}

static size_t
trim_blanks(const uint8_t *bytes, size_t length)
{
    while (length > 0 && bytes[length - 1] == ' ')
        length--;
    return length;
}

static void
decode_value(Decoder *self, unsigned pi, const PesitPiRow *row, const uint8_t *bytes, size_t length)
{
    size_t max = row->max_received != 0 ? row->max_received : row->max_bytes;
    uint64_t number = 0;

    switch (row->kind) {
    case PESIT_KIND_NUMBER:
        if (pi == PESIT_PI_VERSION && length <= 2)
            number = decode_version(bytes, length);
        else if (!decode_number(row, bytes, length, &number))
            fail(self, pi, "number too long");
        pesit_fpdu_set_number(self->fpdu, pi, number);
        return;
    case PESIT_KIND_SYMBOL:
    case PESIT_KIND_MASK:
    case PESIT_KIND_PACKED:
        if (length != row->max_bytes)
            fail(self, pi, "wrong length");
        else if (row->max_value != 0 && bytes[0] > row->max_value)
            fail(self, pi, "illegal value");
        else
            pesit_fpdu_set_number(self->fpdu, pi, wire_number(bytes, length));
        return;
    case PESIT_KIND_TEXT:
        if (length > max && trim_blanks(bytes, length) > max)
            fail(self, pi, "text too long");
        pesit_fpdu_set_bytes(self->fpdu, pi, bytes, trim_blanks(bytes, length));
        return;
    case PESIT_KIND_DATE:
        if (length != DATE_BYTES || !is_date(bytes))
            fail(self, pi, "not a date");
        pesit_fpdu_set_bytes(self->fpdu, pi, bytes, length);
        return;
    case PESIT_KIND_BYTES:
        if (length > max)
            fail(self, pi, "value too long");
        pesit_fpdu_set_bytes(self->fpdu, pi, bytes, length);
        return;
    }
}

static void
decode_unit(Decoder *self, unsigned group, unsigned code, const uint8_t *bytes, size_t length)
{
    const PesitPiRow *row = pesit_pi_find(code);
    const FpduItem *item = row != NULL ? find_item(self->row, code) : NULL;

    if (item == NULL) {
        tolerate(self, code, row == NULL ? "unknown parameter" : "parameter not of this message");
        return;
    }
    if (length == 0) {
        tolerate(self, code, "empty parameter");
        return;
    }
    if (pesit_fpdu_has(self->fpdu, code)) {
        tolerate(self, code, "repeated parameter");
        return;
    }
    if (item->pgi != group)
        tolerate(self, code, "parameter outside its group");
    decode_value(self, code, row, bytes, length);
}

/* PI and LI of one unit; false when the container is exhausted or broken. */
static bool
next_unit(Decoder *self, WireReader *reader, unsigned *ret_code, const uint8_t **ret_bytes, size_t *ret_length)
{
    size_t length;

    if (wire_reader_left(reader) == 0)
        return false;
    *ret_code = wire_read_byte(reader);
    length = wire_read_byte(reader);
    if (length == 0xFF) {
        length = (size_t)wire_read_byte(reader) << 8;
        length |= wire_read_byte(reader);
    }
    *ret_length = length;
    *ret_bytes = wire_read_bytes(reader, length);
    if (reader->failed)
        fail(self, *ret_code, "length runs past its container");
    return !reader->failed;
}

static void
check_order(Decoder *self, unsigned code)
{
    if (code < self->last_code)
        tolerate(self, code, "parameter out of order");
    self->last_code = code;
}

static void
decode_group(Decoder *self, unsigned group, const uint8_t *bytes, size_t length)
{
    WireReader reader = wire_reader(bytes, length);
    unsigned outer_code = self->last_code;
    const uint8_t *value;
    size_t value_length;
    unsigned code;

    if (length == 0)
        tolerate(self, group, "empty group");
    self->last_code = 0;
    while (!self->failed && next_unit(self, &reader, &code, &value, &value_length)) {
        if (is_group(code)) {
            fail(self, code, "group inside a group");
            return;
        }
        check_order(self, code);
        decode_unit(self, group, code, value, value_length);
    }
    self->last_code = outer_code;
}

static void
check_mandatory(Decoder *self)
{
    bool negative = pesit_diag_is_negative(pesit_fpdu_diag(self->fpdu));

    for (const FpduItem *item = self->row->items; item->status != ITEM_END && !self->failed; item++) {
        if (item->status != ITEM_MANDATORY || pesit_fpdu_has(self->fpdu, item->pi))
            continue;
        if (negative && item->pi != PESIT_PI_DIAGNOSTIC)
            continue;
        fail(self, item->pi, "mandatory parameter missing");
    }
}

static void
check_values(Decoder *self)
{
    uint64_t compression = pesit_fpdu_number(self->fpdu, PESIT_PI_COMPRESSION, 0);

    if (pesit_fpdu_number(self->fpdu, PESIT_PI_MAX_ENTITY, MIN_ENTITY_BYTES) < MIN_ENTITY_BYTES)
        fail(self, PESIT_PI_MAX_ENTITY, "illegal value");
    if (compression >> 8 > 1 || (compression & 0xFF) > 3 || compression == 0x100)
        fail(self, PESIT_PI_COMPRESSION, "illegal value");
}

/* Three bare bytes; also PI 2 as a unit, and nothing at all. Chapter 4.7.4, item 6. */
static bool
decode_bare_abort(Decoder *self, const uint8_t *bytes, size_t length)
{
    size_t content = length - PESIT_HEADER_BYTES;

    if (self->fpdu->type != PESIT_FPDU_ABORT || (content != 0 && content != 3))
        return false;
    if (content == 3)
        pesit_fpdu_set_number(self->fpdu, PESIT_PI_DIAGNOSTIC, wire_number(bytes + PESIT_HEADER_BYTES, 3));
    return true;
}

PesitStatus
pesit_fpdu_decode(const uint8_t *bytes, size_t length, bool strict, PesitFpdu *ret_fpdu, PesitRemarks *remarks,
                  PesitDiag *ret_diag)
{
    Decoder self = { .fpdu = ret_fpdu, .remarks = remarks, .strict = strict };
    WireReader reader;
    const uint8_t *value;
    size_t value_length, announced;
    unsigned code;
    PesitStatus status;

    remarks->count = 0;
    if (length < PESIT_HEADER_BYTES) {
        *ret_diag = DIAG_STRUCTURE;
        return PESIT_MALFORMED;
    }
    pesit_fpdu_init(ret_fpdu, PESIT_FPDU_NONE);
    status = pesit_header_decode(bytes, &ret_fpdu->type, &announced, &ret_fpdu->id_dst, &ret_fpdu->id_src,
                                 ret_diag);
    if (status != PESIT_OK)
        return status;
    self.row = &FPDU_ROWS[ret_fpdu->type];
    reader = wire_reader(bytes + PESIT_HEADER_BYTES, length - PESIT_HEADER_BYTES);
    if (announced != length)
        fail(&self, 0, "length does not match");
    if (decode_bare_abort(&self, bytes, length))
        return PESIT_OK;
    while (!self.failed && next_unit(&self, &reader, &code, &value, &value_length)) {
        check_order(&self, code);
        if (is_group(code))
            decode_group(&self, code, value, value_length);
        else
            decode_unit(&self, 0, code, value, value_length);
    }
    if (!self.failed)
        check_mandatory(&self);
    if (!self.failed)
        check_values(&self);
    if (!self.failed)
        return PESIT_OK;
    *ret_diag = DIAG_STRUCTURE;
    return PESIT_MALFORMED;
}
