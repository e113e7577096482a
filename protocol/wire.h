/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors over bytes: a reader and a writer that fail once and stay failed, so that code reads and writes
 * in a straight line and looks at `failed` at the end. The only place that touches bytes of a peer by
 * position. Inline; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
} WireReader;

/* Reads from borrowed bytes. */
static inline WireReader
wire_reader(const uint8_t *bytes, size_t length)
{
    return (WireReader){ bytes, bytes + length, false };
}

/* Bytes not read yet. */
static inline size_t
wire_reader_left(const WireReader *reader)
{
    return reader->failed ? 0 : (size_t)(reader->end - reader->at);
}

/* `length` bytes, borrowed; NULL and failed when they are not there. */
static inline const uint8_t *
wire_read_bytes(WireReader *reader, size_t length)
{
    const uint8_t *bytes = reader->at;

    if (reader->failed || (size_t)(reader->end - reader->at) < length) {
        reader->failed = true;
        return NULL;
    }
    reader->at += length;
    return bytes;
}

/* One byte; 0 once failed. */
static inline uint8_t
wire_read_byte(WireReader *reader)
{
    const uint8_t *byte = wire_read_bytes(reader, 1);

    return byte != NULL ? *byte : 0;
}

/* Big-endian number of at most 8 bytes. */
static inline uint64_t
wire_number(const uint8_t *bytes, size_t length)
{
    uint64_t number = 0;

    for (size_t i = 0; i < length; i++)
        number = number << 8 | bytes[i];
    return number;
}

typedef struct {
    uint8_t *start;
    uint8_t *at;
    uint8_t *end;
    bool failed;
} WireWriter;

/* Writes into borrowed room. */
static inline WireWriter
wire_writer(uint8_t *buffer, size_t capacity)
{
    return (WireWriter){ buffer, buffer, buffer + capacity, false };
}

static inline size_t
wire_writer_length(const WireWriter *writer)
{
    return (size_t)(writer->at - writer->start);
}

static inline void
wire_write_bytes(WireWriter *writer, const void *bytes, size_t length)
{
    if (writer->failed || (size_t)(writer->end - writer->at) < length) {
        writer->failed = true;
        return;
    }
    memcpy(writer->at, bytes, length);
    writer->at += length;
}

static inline void
wire_write_byte(WireWriter *writer, unsigned byte)
{
    uint8_t value = (uint8_t)byte;

    wire_write_bytes(writer, &value, 1);
}

/* Big-endian, exactly `length` bytes. */
static inline void
wire_write_number(WireWriter *writer, uint64_t number, size_t length)
{
    for (size_t i = length; i > 0; i--)
        wire_write_byte(writer, (unsigned)(number >> (8 * (i - 1)) & 0xFF));
}
