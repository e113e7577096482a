/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One generic decoder for all control FPDUs, walking the catalogue. What breaks the structure or a
 * value's rules is malformed; what practice is known to do and harms nobody is remarked and goes on,
 * unless the caller is strict. What each rule tolerates is in messages §4 and procedures G4 to G6.
 * All bytes are reached through the reader, which cannot run over. Work is bounded by the length of
 * the FPDU. Chapters 4.7.1, 4.7.2.1 and 4.7.4.
 */
#include "protocol/catalogue.h"
#include "protocol/wire.h"

#define DIAG_CONTENT PESIT_DIAG(3, 318)
#define DIAG_HEADER  PESIT_DIAG(3, 311)

#define DIAGNOSTIC_BYTES   3
#define PRIORITY_MAX       2
#define DIAG_TYPE_MAX      3
#define FORMAT_VARIABLE    0x80 /* PI 31: b1, the only defined bit */
#define ATTRIBUTES_ALL     0xE0 /* PI 14: b1, b2, b3 */
#define ATTRIBUTES_ALL_LOW 0x07 /* the same, by a product that counts bits from the low end */

typedef struct {
    PesitFpdu *fpdu;
    const FpduRow *row;
    PesitRemarks *remarks;
    bool strict;
    bool failed;
    unsigned last_code;  /* on the level being read */
    uint32_t mentioned;  /* groups met, empty or not; bits as in PesitFpdu.groups */
    uint64_t misplaced;  /* bit per PI taken from outside PGI 9 */
    PesitRemark illegal; /* first illegal value: forgiven when the FPDU is a refusal */
} Decoder;

typedef struct {
    unsigned code;
    const uint8_t *bytes;
    size_t length;
} Unit;

/* remarks */

static void remark(Decoder *self, unsigned pi, const char *what)
{
    PesitRemarks *remarks = self->remarks;

    if (remarks->count < PESIT_REMARKS_MAX)
        remarks->count++;
    /* the last one stays the last one: it may be what the caller has to report */
    remarks->rows[remarks->count - 1] = (PesitRemark){pi, what};
}

static void fail(Decoder *self, unsigned pi, const char *what)
{
    remark(self, pi, what);
    self->failed = true;
}

/* Goes on in lenient mode, fails in strict mode. */
static void tolerate(Decoder *self, unsigned pi, const char *what)
{
    if (self->failed)
        return;
    remark(self, pi, what);
    self->failed = self->strict;
}

static void note_illegal(Decoder *self, unsigned pi, const char *what)
{
    if (self->illegal.what == NULL)
        self->illegal = (PesitRemark){pi, what};
}

/* header */

PesitStatus pesit_header_decode(const uint8_t *bytes, PesitFpduType *ret_type, size_t *ret_length,
                                uint8_t *ret_dst, uint8_t *ret_src, PesitDiag *ret_diag)
{
    WireReader reader = wire_reader(bytes, PESIT_HEADER_BYTES);
    size_t length = wire_read_u16(&reader);
    uint8_t phase = wire_read_u8(&reader);
    PesitFpduType type = pesit_fpdu_from_wire(phase, wire_read_u8(&reader));

    if (length < PESIT_HEADER_BYTES) {
        *ret_diag = DIAG_CONTENT;
        return PESIT_MALFORMED;
    }
    if (type == PESIT_FPDU_NONE) {
        *ret_diag = DIAG_HEADER;
        return PESIT_VIOLATION;
    }
    *ret_type = type;
    *ret_length = length;
    *ret_dst = wire_read_u8(&reader);
    *ret_src = wire_read_u8(&reader);
    return PESIT_OK;
}

/* values */

/* Leading zeros mean nothing, not even beyond the longest length. */
static Unit strip_zeros(Unit unit)
{
    while (unit.length > 1 && unit.bytes[0] == 0) {
        unit.bytes++;
        unit.length--;
    }
    return unit;
}

/* PI 6 is declared text and sent as a number: 02, 00 02, "2", "2 " and "02" are all version 2. */
static uint64_t read_version(Unit unit)
{
    size_t length = wire_trim_blanks(unit.bytes, unit.length);
    uint64_t number = wire_number(unit.bytes, length);

    if (length == 1 && number >= '0' && number <= '9')
        return number - '0';
    if (length == 2 && number >> 8 == '0' && (number & 0xFF) >= '0' && (number & 0xFF) <= '9')
        return (number & 0xFF) - '0';
    return number;
}

/* Undefined bits of a mask mean nothing. */
static uint64_t read_mask(Decoder *self, Unit unit)
{
    uint64_t number = wire_number(unit.bytes, unit.length);

    if (unit.code == PESIT_PI_ARTICLE_FORMAT)
        return number & FORMAT_VARIABLE;
    if (self->fpdu->type != PESIT_FPDU_SELECT)
        return number; /* PI 14 of a message is a plain yes or no */
    if (number == ATTRIBUTES_ALL_LOW) {
        tolerate(self, unit.code, "bits counted from the low end");
        return ATTRIBUTES_ALL;
    }
    return number & ATTRIBUTES_ALL;
}

static void take_number(Decoder *self, const PesitPiRow *row, Unit unit)
{
    const char *what = NULL;
    uint64_t number = 0;

    if (row->kind == PESIT_KIND_NUMBER && unit.code != PESIT_PI_VERSION)
        unit = strip_zeros(unit);
    if (unit.length > row->max_bytes && unit.length > row->max_received)
        what = "value too long";
    else if (row->kind != PESIT_KIND_NUMBER && unit.length != row->max_bytes)
        what = "value of the wrong length";
    else if (unit.code == PESIT_PI_VERSION)
        number = read_version(unit);
    else if (row->kind == PESIT_KIND_MASK)
        number = read_mask(self, unit);
    else
        number = wire_number(unit.bytes, unit.length);
    if (what == NULL && unit.code != PESIT_PI_VERSION)
        what = pi_check_number(unit.code, number);
    if (what != NULL)
        note_illegal(self, unit.code, what);
    else
        pesit_fpdu_set_number(self->fpdu, unit.code, number);
}

static void take_bytes(Decoder *self, const PesitPiRow *row, Unit unit)
{
    size_t max = row->max_received != 0 ? row->max_received : row->max_bytes;
    const char *what = NULL;

    if (row->kind == PESIT_KIND_TEXT)
        unit.length = wire_trim_blanks(unit.bytes, unit.length);
    if (unit.length == 0)
        return; /* a text of blanks is no text */
    if (unit.length > max)
        what = "value too long";
    else if (unit.length < row->min_bytes)
        what = "value too short";
    else
        what = pi_check_bytes(unit.code, unit.bytes, unit.length);
    if (what != NULL) {
        note_illegal(self, unit.code, what);
        return;
    }
    if (unit.length > row->max_bytes)
        tolerate(self, unit.code, "longer than the specification allows");
    pesit_fpdu_set_bytes(self->fpdu, unit.code, unit.bytes, unit.length);
}

/* units */

static const FpduItem *find_item(const FpduRow *row, unsigned group, unsigned code)
{
    for (const FpduItem *item = row->items; item->status != ITEM_END; item++) {
        if (item->pi == code && item->pgi == group)
            return item;
    }
    return NULL;
}

/* The members of PGI 9 are taken from the top level too while PGI 9 has not been met. */
static bool is_misplaced(const Decoder *self, unsigned group, unsigned code)
{
    return group == 0 && (self->mentioned & pgi_bit(PESIT_PGI_FILE)) == 0 &&
           find_item(self->row, PESIT_PGI_FILE, code) != NULL;
}

static void decode_unit(Decoder *self, unsigned group, Unit unit)
{
    const PesitPiRow *row = pesit_pi_find(unit.code);

    if (row == NULL) {
        tolerate(self, unit.code, "unknown parameter");
        return;
    }
    if (find_item(self->row, group, unit.code) == NULL) {
        if (!is_misplaced(self, group, unit.code)) {
            tolerate(self, unit.code, "parameter not of this FPDU");
            return;
        }
        tolerate(self, unit.code, "parameter outside its group");
        self->misplaced |= UINT64_C(1) << unit.code;
    }
    if (unit.length == 0)
        tolerate(self, unit.code, "empty parameter");
    else if (pesit_fpdu_has(self->fpdu, unit.code))
        tolerate(self, unit.code, "repeated parameter");
    else if (pi_is_number(row))
        take_number(self, row, unit);
    else
        take_bytes(self, row, unit);
}

/* Code, length and value of the next unit; false at the end, or when it runs past the end. */
static bool next_unit(Decoder *self, WireReader *reader, Unit *ret_unit)
{
    bool is_long = false;

    if (self->failed || reader->left == 0)
        return false;
    ret_unit->code = wire_read_u8(reader);
    ret_unit->length = wire_read_length(reader, &is_long);
    ret_unit->bytes = wire_read_bytes(reader, ret_unit->length);
    if (reader->failed) {
        fail(self, ret_unit->code, "length runs past its container");
        return false;
    }
    if (is_long && wire_length_bytes(ret_unit->length) == 1)
        tolerate(self, ret_unit->code, "length not in its short form");
    if (ret_unit->code < self->last_code)
        tolerate(self, ret_unit->code, "parameter out of order");
    self->last_code = ret_unit->code;
    return true;
}

/* What stood outside PGI 9 gives way to PGI 9 itself. */
static void drop_misplaced(Decoder *self)
{
    self->fpdu->present[0] &= ~self->misplaced;
    self->misplaced = 0;
}

static bool has_group(const FpduRow *row, unsigned group)
{
    for (const FpduItem *item = row->items; item->status != ITEM_END; item++) {
        if (item->pgi == group)
            return true;
    }
    return false;
}

static void decode_group(Decoder *self, Unit group)
{
    WireReader reader = wire_reader(group.bytes, group.length);
    Unit unit;

    if (!has_group(self->row, group.code))
        tolerate(self, group.code, "group not of this FPDU");
    else if (group.length == 0)
        tolerate(self, group.code, "empty group");
    else if ((self->mentioned & pgi_bit(group.code)) != 0)
        tolerate(self, group.code, "repeated group");
    else if (group.code == PESIT_PGI_FILE)
        drop_misplaced(self);
    self->mentioned |= pgi_bit(group.code);
    self->last_code = 0;
    while (next_unit(self, &reader, &unit)) {
        if (pgi_bit(unit.code) != 0)
            fail(self, unit.code, "group inside a group");
        else
            decode_unit(self, group.code, unit);
    }
    self->last_code = group.code;
}

static void decode_content(Decoder *self, WireReader *reader)
{
    Unit unit;

    while (next_unit(self, reader, &unit)) {
        if (pgi_bit(unit.code) != 0)
            decode_group(self, unit);
        else
            decode_unit(self, 0, unit);
    }
}

/* checks of the whole */

static void check_illegal(Decoder *self)
{
    unsigned pi = self->illegal.pi;

    if (self->illegal.what == NULL)
        return;
    /* a refusal means PI 2, 29 and 99; one product sends PI 25 = 0 beside them */
    if (fpdu_is_refusal(self->fpdu) && pi != PESIT_PI_DIAGNOSTIC &&
        pi != PESIT_PI_DIAGNOSTIC_TEXT && pi != PESIT_PI_FREE_TEXT)
        tolerate(self, pi, self->illegal.what);
    else
        fail(self, pi, self->illegal.what);
}

static void check_missing(Decoder *self)
{
    const FpduItem *missing = fpdu_find_missing(self->fpdu, self->mentioned);

    if (missing != NULL)
        fail(self, missing->pi != 0 ? missing->pi : missing->pgi, "mandatory parameter missing");
}

/* Values that are legal alone and not here. */
static void check_meaning(Decoder *self)
{
    const PesitFpdu *fpdu = self->fpdu;
    uint64_t transfer_id = pesit_fpdu_number(fpdu, PESIT_PI_TRANSFER_ID, 1);

    if (pesit_fpdu_number(fpdu, PESIT_PI_PRIORITY, 0) > PRIORITY_MAX)
        tolerate(self, PESIT_PI_PRIORITY, "illegal value");
    if (pesit_fpdu_diag(fpdu).type > DIAG_TYPE_MAX)
        tolerate(self, PESIT_PI_DIAGNOSTIC, "diagnostic type out of range");
    if (transfer_id != 0)
        return;
    if (fpdu->type == PESIT_FPDU_MSG || fpdu->type == PESIT_FPDU_MSGDM)
        fail(self, PESIT_PI_TRANSFER_ID, "message about transfer 0");
    if (fpdu->type == PESIT_FPDU_CREATE)
        tolerate(self, PESIT_PI_TRANSFER_ID, "transfer identifier 0");
    if (fpdu->type == PESIT_FPDU_SELECT && pesit_fpdu_number(fpdu, PESIT_PI_RESTARTED, 0) == 1)
        fail(self, PESIT_PI_TRANSFER_ID, "restart of transfer 0");
}

/* ABORT: three bare bytes, or units, or nothing. It ends the connection whatever it holds, so it is
 * never refused: a diagnostic that cannot be read is unknown. Chapter 4.7.4 (6). */
static void decode_abort(Decoder *self, WireReader *reader)
{
    const uint8_t *bare = reader->left == DIAGNOSTIC_BYTES ? reader->at : NULL;

    self->strict = false;
    if (bare != NULL)
        pesit_fpdu_set_number(self->fpdu, PESIT_PI_DIAGNOSTIC, wire_number(bare, DIAGNOSTIC_BYTES));
    else
        decode_content(self, reader);
    if (!pesit_fpdu_has(self->fpdu, PESIT_PI_DIAGNOSTIC))
        remark(self, PESIT_PI_DIAGNOSTIC, "no diagnostic");
    self->failed = false;
}

static void decode_body(Decoder *self, WireReader *reader)
{
    if (self->fpdu->type == PESIT_FPDU_ABORT) {
        decode_abort(self, reader);
        return;
    }
    decode_content(self, reader);
    if (!self->failed)
        check_illegal(self);
    if (!self->failed)
        check_missing(self);
    if (!self->failed)
        check_meaning(self);
    self->fpdu->groups = fpdu_filled_groups(self->fpdu);
}

PesitStatus pesit_fpdu_decode(const uint8_t *bytes, size_t length, bool strict, PesitFpdu *ret_fpdu,
                              PesitRemarks *remarks, PesitDiag *ret_diag)
{
    PesitRemarks own = {.count = 0};
    Decoder self = {
            .fpdu = ret_fpdu, .remarks = remarks != NULL ? remarks : &own, .strict = strict};
    WireReader reader = wire_reader(bytes, length);
    size_t announced = 0;
    PesitStatus status;

    self.remarks->count = 0;
    pesit_fpdu_init(ret_fpdu, PESIT_FPDU_NONE);
    if (wire_read_bytes(&reader, PESIT_HEADER_BYTES) == NULL) {
        fail(&self, 0, "shorter than a header");
        *ret_diag = DIAG_CONTENT;
        return PESIT_MALFORMED;
    }
    status = pesit_header_decode(bytes, &ret_fpdu->type, &announced, &ret_fpdu->id_dst,
                                 &ret_fpdu->id_src, ret_diag);
    if (status != PESIT_OK)
        return status;
    if (pesit_fpdu_is_data(ret_fpdu->type))
        return PESIT_MISUSE;
    self.row = fpdu_row(ret_fpdu->type);
    if (announced == length)
        decode_body(&self, &reader);
    else
        fail(&self, 0, "length does not match");
    if (!self.failed)
        return PESIT_OK;
    *ret_diag = DIAG_CONTENT;
    return PESIT_MALFORMED;
}
