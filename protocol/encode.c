/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One generic encoder for all control FPDUs: walks the template in wire order, groups by their code,
 * numbers without leading zeros. Chapters 4.7.1 and 4.7.2.
 */
#include "protocol/catalogue.h"
#include "protocol/wire.h"

#define LI_SHORT_MAX 254

static size_t
number_length(uint64_t number)
{
    size_t length = 1;

    while (number >>= 8)
        length++;
    return length;
}

static void
write_length(WireWriter *writer, size_t length)
{
    if (length > LI_SHORT_MAX) {
        wire_write_byte(writer, 0xFF);
        wire_write_number(writer, length, 2);
    } else {
        wire_write_byte(writer, (unsigned)length);
    }
}

/* False: the value is out of its range. */
static bool
write_value(WireWriter *writer, unsigned pi, const PesitValue *value)
{
    const PesitPiRow *row = pesit_pi_find(pi);
    size_t length = value->length;

    if (row->kind == PESIT_KIND_NUMBER)
        length = number_length(value->number);
    else if (row->kind == PESIT_KIND_SYMBOL || row->kind == PESIT_KIND_MASK || row->kind == PESIT_KIND_PACKED)
        length = row->max_bytes;
    if (length < row->min_bytes || length > row->max_bytes)
        return false;
    wire_write_byte(writer, pi);
    write_length(writer, length);
    if (value->bytes != NULL)
        wire_write_bytes(writer, value->bytes, length);
    else
        wire_write_number(writer, value->number, length);
    return true;
}

/* Writes the present items of one group, or the one item outside groups, starting at *item. */
static bool
write_items(WireWriter *writer, const PesitFpdu *fpdu, const FpduItem **item)
{
    const FpduItem *first = *item;
    uint8_t *length_at = NULL;

    for (; (*item)->status != ITEM_END && (*item)->pgi == first->pgi; (*item)++) {
        const FpduItem *now = *item;

        if (!pesit_fpdu_has(fpdu, now->pi)) {
            if (now->status == ITEM_MANDATORY)
                return false;
            continue;
        }
        if (now->pgi != 0 && length_at == NULL) {
            wire_write_byte(writer, now->pgi);
            length_at = writer->at;
            wire_write_byte(writer, 0);
        }
        if (now->status == ITEM_RECEIVED || !write_value(writer, now->pi, &fpdu->values[now->pi]))
            return false;
    }
    if (length_at != NULL && !writer->failed) {
        size_t length = (size_t)(writer->at - length_at) - 1;

        if (length > LI_SHORT_MAX)
            return false;
        *length_at = (uint8_t)length;
    }
    return true;
}

/* Every value that is present has its place in the template. */
static bool
is_covered(const PesitFpdu *fpdu, const FpduRow *row)
{
    uint64_t left[2] = { fpdu->present[0], fpdu->present[1] };

    for (const FpduItem *item = row->items; item->status != ITEM_END; item++)
        left[item->pi / 64] &= ~(UINT64_C(1) << (item->pi % 64));
    return left[0] == 0 && left[1] == 0;
}

PesitStatus
pesit_fpdu_encode(const PesitFpdu *fpdu, uint8_t *buffer, size_t capacity, size_t *ret_length)
{
    const FpduRow *row = &FPDU_ROWS[fpdu->type];
    const FpduItem *item = row->items;
    WireWriter writer = wire_writer(buffer, capacity < PESIT_FPDU_MAX_BYTES ? capacity : PESIT_FPDU_MAX_BYTES);
    size_t length;

    if (row->name == NULL || pesit_fpdu_is_data(fpdu->type) || !is_covered(fpdu, row))
        return PESIT_MISUSE;
    wire_write_number(&writer, 0, 2);
    wire_write_byte(&writer, row->phase);
    wire_write_byte(&writer, row->code);
    wire_write_byte(&writer, fpdu->id_dst);
    wire_write_byte(&writer, fpdu->id_src);
    if (fpdu->type == PESIT_FPDU_ABORT) {
        wire_write_number(&writer, pesit_fpdu_number(fpdu, PESIT_PI_DIAGNOSTIC, 0), 3);
    } else {
        while (item->status != ITEM_END) {
            if (!write_items(&writer, fpdu, &item))
                return PESIT_MISUSE;
        }
    }
    if (writer.failed)
        return PESIT_LIMIT;
    length = wire_writer_length(&writer);
    buffer[0] = (uint8_t)(length >> 8);
    buffer[1] = (uint8_t)length;
    *ret_length = length;
    return PESIT_OK;
}
