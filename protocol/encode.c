/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One generic encoder for all control FPDUs. It checks the values against the catalogue first and
 * then walks the template in wire order, so that nothing is written that a careful receiver would
 * refuse: ascending codes, shortest lengths, numbers without leading zeros, no empty unit.
 * Chapters 4.7.1 and 4.7.2.1; 4.7.4 (6) for ABORT.
 */
#include "protocol/catalogue.h"
#include "protocol/wire.h"

#define DIAGNOSTIC_BYTES 3

static size_t value_length(const PesitPiRow *row, const PesitValue *value)
{
    if (row->kind == PESIT_KIND_NUMBER)
        return wire_number_length(value->number);
    return pi_is_number(row) ? row->max_bytes : value->length;
}

static bool is_value_legal(PesitPi pi, const PesitValue *value)
{
    const PesitPiRow *row = pesit_pi_find(pi);
    size_t length = value_length(row, value);

    if (pi_is_number(row))
        return pi_check_number(pi, value->number) == NULL;
    return length >= row->min_bytes && length <= row->max_bytes &&
           pi_check_bytes(pi, value->bytes, length) == NULL;
}

/* Every value has a place in the template and may stand there; every place that must is filled. */
static bool is_encodable(const PesitFpdu *fpdu, const FpduRow *row)
{
    uint64_t left[2] = {fpdu->present[0], fpdu->present[1]};

    for (const FpduItem *item = row->items; item->status != ITEM_END; item++) {
        if (item->pi == 0 || !pesit_fpdu_has(fpdu, item->pi))
            continue;
        if (item->status == ITEM_FOREIGN || !is_value_legal(item->pi, &fpdu->values[item->pi]))
            return false;
        left[item->pi / 64] &= ~(UINT64_C(1) << (item->pi % 64));
    }
    return left[0] == 0 && left[1] == 0 && fpdu_find_missing(fpdu, 0) == NULL;
}

static size_t unit_length(const PesitFpdu *fpdu, PesitPi pi)
{
    size_t length = value_length(pesit_pi_find(pi), &fpdu->values[pi]);

    return 1 + wire_length_bytes(length) + length;
}

static void write_unit(WireWriter *writer, const PesitFpdu *fpdu, PesitPi pi)
{
    const PesitPiRow *row = pesit_pi_find(pi);
    const PesitValue *value = &fpdu->values[pi];
    size_t length = value_length(row, value);

    wire_write_number(writer, pi, 1);
    wire_write_length(writer, length);
    if (pi_is_number(row))
        wire_write_number(writer, value->number, length);
    else
        wire_write_bytes(writer, value->bytes, length);
}

/* Code and length of the group that begins at an item; nothing when none of it is present. */
static void write_group(WireWriter *writer, const PesitFpdu *fpdu, const FpduItem *first)
{
    size_t length = 0;

    for (const FpduItem *item = first; item->pgi == first->pgi; item++) {
        if (item->pi != 0 && pesit_fpdu_has(fpdu, item->pi))
            length += unit_length(fpdu, item->pi);
    }
    if (length == 0)
        return;
    wire_write_number(writer, first->pgi, 1);
    wire_write_length(writer, length);
}

static void write_items(WireWriter *writer, const PesitFpdu *fpdu, const FpduRow *row)
{
    unsigned group = 0;

    for (const FpduItem *item = row->items; item->status != ITEM_END; item++) {
        if (item->pgi != group && item->pgi != 0)
            write_group(writer, fpdu, item);
        group = item->pgi;
        if (item->pi != 0 && pesit_fpdu_has(fpdu, item->pi))
            write_unit(writer, fpdu, item->pi);
    }
}

static PesitStatus encode(const PesitFpdu *fpdu, bool bare_diagnostic, WireWriter *writer)
{
    const FpduRow *row = fpdu_row(fpdu->type);

    if (row->name == NULL || pesit_fpdu_is_data(fpdu->type) || !is_encodable(fpdu, row))
        return PESIT_MISUSE;
    wire_write_number(writer, 0, 2);
    wire_write_number(writer, row->phase, 1);
    wire_write_number(writer, row->code, 1);
    wire_write_number(writer, fpdu->id_dst, 1);
    wire_write_number(writer, fpdu->id_src, 1);
    if (bare_diagnostic)
        wire_write_number(writer, fpdu->values[PESIT_PI_DIAGNOSTIC].number, DIAGNOSTIC_BYTES);
    else
        write_items(writer, fpdu, row);
    if (writer->failed)
        return PESIT_LIMIT;
    wire_patch_u16(writer, 0, (uint16_t)writer->length);
    return PESIT_OK;
}

static PesitStatus encode_into(const PesitFpdu *fpdu, bool bare_diagnostic, uint8_t *buffer,
                               size_t capacity, size_t *ret_length)
{
    bool is_long = capacity > PESIT_FPDU_MAX_BYTES;
    WireWriter writer = wire_writer(buffer, is_long ? PESIT_FPDU_MAX_BYTES : capacity);
    PesitStatus status = encode(fpdu, bare_diagnostic, &writer);

    if (status == PESIT_OK)
        *ret_length = writer.length;
    return status;
}

PesitStatus pesit_fpdu_encode(const PesitFpdu *fpdu, uint8_t *buffer, size_t capacity,
                              size_t *ret_length)
{
    return encode_into(fpdu, fpdu->type == PESIT_FPDU_ABORT, buffer, capacity, ret_length);
}

PesitStatus pesit_fpdu_encode_units(const PesitFpdu *fpdu, uint8_t *buffer, size_t capacity,
                                    size_t *ret_length)
{
    return encode_into(fpdu, false, buffer, capacity, ret_length);
}
