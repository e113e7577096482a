/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the cursors that are not worth inlining, and how numbers, length indicators and
 * padded text look as bytes. Chapter 4.7.1 b and 4.7.2.1.
 */
#include "protocol/wire.h"

#define LI_SHORT_MAX 254 /* longer values take FF and two bytes */
#define LI_LONG_MARK 0xFF
#define NUMBER_BYTES 8

size_t wire_read_length(WireReader *reader, bool *ret_is_long)
{
    uint8_t first = wire_read_u8(reader);

    *ret_is_long = first == LI_LONG_MARK;
    return *ret_is_long ? wire_read_u16(reader) : first;
}

void wire_write_number(WireWriter *writer, uint64_t number, size_t length)
{
    uint8_t bytes[NUMBER_BYTES];

    for (size_t i = 0; i < NUMBER_BYTES; i++)
        bytes[NUMBER_BYTES - 1 - i] = (uint8_t)(number >> (8 * i));
    wire_write_bytes(writer, bytes + NUMBER_BYTES - length, length);
}

void wire_write_length(WireWriter *writer, size_t length)
{
    if (length > LI_SHORT_MAX)
        wire_write_number(writer, (uint64_t)LI_LONG_MARK << 16 | length, 3);
    else
        wire_write_number(writer, length, 1);
}

void wire_patch_u16(WireWriter *writer, size_t offset, uint16_t number)
{
    if (writer->failed || writer->length < offset + 2)
        return;
    writer->start[offset] = (uint8_t)(number >> 8);
    writer->start[offset + 1] = (uint8_t)number;
}

uint64_t wire_number(const uint8_t *bytes, size_t length)
{
    uint64_t number = 0;

    for (size_t i = 0; i < length; i++)
        number = number << 8 | bytes[i];
    return number;
}

size_t wire_number_length(uint64_t number)
{
    size_t length = 1;

    while (number > 0xFF) {
        number >>= 8;
        length++;
    }
    return length;
}

size_t wire_length_bytes(size_t length)
{
    return length > LI_SHORT_MAX ? 3 : 1;
}

size_t wire_trim_blanks(const uint8_t *bytes, size_t length)
{
    while (length > 0 && bytes[length - 1] == ' ')
        length--;
    return length;
}
