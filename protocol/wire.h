/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors over bytes: a reader and a writer that fail once and stay failed, so that a codec takes
 * its fields in a straight line and looks at `failed` at the end. The codec touches bytes nowhere
 * else. They know nothing of PeSIT but its byte order (big-endian, chapter 4.7.1).
 * No allocation, no state; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *at;
    size_t left; /* bytes not read yet; 0 once failed */
    bool failed;
} WireReader;

typedef struct {
    uint8_t *start;
    size_t capacity;
    size_t length; /* bytes written */
    bool failed;
} WireWriter;

/* reading */

/* Reads from borrowed bytes; NULL is allowed with length 0. */
static inline WireReader wire_reader(const uint8_t *bytes, size_t length)
{
    return (WireReader){.at = bytes, .left = length};
}

/* The next `length` bytes, borrowed; NULL, and failed from now on, when they are not there. */
static inline const uint8_t *wire_read_bytes(WireReader *reader, size_t length)
{
    const uint8_t *bytes = reader->at;

    if (reader->failed || reader->left < length) {
        reader->failed = true;
        reader->left = 0;
        return NULL;
    }
    if (length > 0) {
        reader->at += length;
        reader->left -= length;
    }
    return bytes;
}

/* The next byte; 0 once failed. */
static inline uint8_t wire_read_u8(WireReader *reader)
{
    const uint8_t *byte = wire_read_bytes(reader, 1);

    return byte != NULL ? byte[0] : 0;
}

/* The next two bytes as a number; 0 once failed. */
static inline uint16_t wire_read_u16(WireReader *reader)
{
    const uint8_t *bytes = wire_read_bytes(reader, 2);
    unsigned number = bytes != NULL ? bytes[0] * 256u + bytes[1] : 0;

    return (uint16_t)(number & UINT16_MAX);
}

/* The length indicator of a unit (LI): one byte, or FF and two bytes; 0 once failed.
 * ret_is_long: true when the three-byte form was used, needed or not. */
size_t wire_read_length(WireReader *reader, bool *ret_is_long);

/* writing */

/* Writes into borrowed room. */
static inline WireWriter wire_writer(uint8_t *buffer, size_t capacity)
{
    return (WireWriter){.start = buffer, .capacity = capacity};
}

/* Appends bytes, all or none; NULL is allowed with length 0. */
static inline void wire_write_bytes(WireWriter *writer, const uint8_t *bytes, size_t length)
{
    if (writer->failed || writer->capacity - writer->length < length) {
        writer->failed = true;
        return;
    }
    if (length > 0)
        memcpy(writer->start + writer->length, bytes, length);
    writer->length += length;
}

/* Appends a number on exactly `length` bytes, 1..8. */
void wire_write_number(WireWriter *writer, uint64_t number, size_t length);

/* Appends the length indicator of a unit in its shortest form. length: up to 65535. */
void wire_write_length(WireWriter *writer, size_t length);

/* Replaces two bytes written before, at `offset` from the start. Does nothing once failed. */
void wire_patch_u16(WireWriter *writer, size_t offset, uint16_t number);

/* values */

/* Big-endian number of at most 8 bytes. */
uint64_t wire_number(const uint8_t *bytes, size_t length);

/* Bytes a number needs without leading zeros: 1..8. */
size_t wire_number_length(uint64_t number);

/* Bytes a length indicator takes: 1 up to 254, else 3. */
size_t wire_length_bytes(size_t length);

/* Length without the blanks at the end. */
size_t wire_trim_blanks(const uint8_t *bytes, size_t length);
