/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of text for an FPDU, for the log and the command line. It walks the bytes themselves, not
 * the decoded values, so that a malformed FPDU shows up to where it breaks. Secrets are masked, what
 * cannot be printed is escaped, file data is only counted, long values are cut.
 * Chapter 4.7.1; annex D for the words.
 */
#include "protocol/catalogue.h"
#include "protocol/wire.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define SHOWN_BYTES      64 /* of one value */
#define SHOWN_UNITS      64 /* of one FPDU; the longest legal one has fewer */
#define DIAGNOSTIC_BYTES 3
#define SYNC_BYTES       3
#define NUMBER_BYTES     8

typedef struct {
    char *text;
    size_t capacity;
    size_t length; /* needed so far, may pass the capacity */
    unsigned units;
} Line;

__attribute__((format(printf, 2, 3))) static void append(Line *line, const char *format, ...)
{
    size_t room = line->length < line->capacity ? line->capacity - line->length : 0;
    va_list arguments;
    int needed;

    va_start(arguments, format);
    needed = vsnprintf(room > 0 ? line->text + line->length : NULL, room, format, arguments);
    va_end(arguments);
    if (needed > 0)
        line->length += (size_t)needed;
}

static void append_text(Line *line, const uint8_t *bytes, size_t length)
{
    append(line, "\"");
    for (size_t i = 0; i < length && i < SHOWN_BYTES; i++) {
        if (bytes[i] >= 0x20 && bytes[i] < 0x7F && bytes[i] != '\\' && bytes[i] != '"')
            append(line, "%c", bytes[i]);
        else
            append(line, "\\x%02x", bytes[i]);
    }
    append(line, length > SHOWN_BYTES ? "\"... (%zu bytes)" : "\"", length);
}

static void append_hex(Line *line, const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length && i < SHOWN_BYTES; i++)
        append(line, "%02x", bytes[i]);
    if (length > SHOWN_BYTES)
        append(line, "... (%zu bytes)", length);
}

static void append_diagnostic(Line *line, const uint8_t *bytes)
{
    PesitDiag diag = PESIT_DIAG(bytes[0], (uint16_t)wire_number(bytes + 1, 2));

    append(line, "%u/%03u %s", diag.type, diag.code, pesit_diag_text(diag));
}

static void append_number(Line *line, unsigned pi, const uint8_t *bytes, size_t length)
{
    if (length == 0 || length > NUMBER_BYTES)
        append_hex(line, bytes, length);
    else if (pi == PESIT_PI_DIAGNOSTIC && length == DIAGNOSTIC_BYTES)
        append_diagnostic(line, bytes);
    else if (pi == PESIT_PI_SYNC_OPTION && length == SYNC_BYTES)
        append(line, "%u KB window %u", (unsigned)wire_number(bytes, 2), bytes[2]);
    else if (pi == PESIT_PI_COMPRESSION || pesit_pi_find(pi)->kind == PESIT_KIND_MASK)
        append_hex(line, bytes, length);
    else
        append(line, "%" PRIu64, wire_number(bytes, length));
}

static void append_value(Line *line, unsigned pi, const uint8_t *bytes, size_t length)
{
    const PesitPiRow *row = pesit_pi_find(pi);

    append(line, " PI %u %s=", pi, row != NULL ? row->name : "unknown");
    if (row != NULL && row->secret)
        append(line, "***");
    else if (row != NULL && pi_is_number(row))
        append_number(line, pi, bytes, length);
    else if (row != NULL && (row->kind != PESIT_KIND_BYTES || pi == PESIT_PI_DIAGNOSTIC_TEXT ||
                             pi == PESIT_PI_MESSAGE))
        append_text(line, bytes, wire_trim_blanks(bytes, length));
    else
        append_hex(line, bytes, length);
}

/* Units up to the end or to the first that does not fit; groups are opened one level deep. */
static void append_units(Line *line, const uint8_t *bytes, size_t length, bool in_group)
{
    WireReader reader = wire_reader(bytes, length);

    while (reader.left > 0) {
        uint8_t code = wire_read_u8(&reader);
        bool is_long = false;
        size_t value_length = wire_read_length(&reader, &is_long);
        const uint8_t *value = wire_read_bytes(&reader, value_length);
        const PgiRow *group = pgi_find(code);

        if (reader.failed) {
            append(line, " PI %u runs past its end", code);
        } else if (line->units++ >= SHOWN_UNITS) {
            append(line, " ...");
            return;
        } else if (group != NULL && in_group) {
            /* not allowed, and what it holds may be a secret */
            append(line, " PGI %u %s in a group (%zu bytes)", code, group->name, value_length);
        } else if (group != NULL) {
            append(line, " PGI %u %s {", code, group->name);
            append_units(line, value, value_length, true);
            append(line, " }");
        } else {
            append_value(line, code, value, value_length);
        }
    }
}

size_t pesit_fpdu_format(const uint8_t *bytes, size_t length, char *text, size_t capacity)
{
    Line line = {.text = text, .capacity = capacity};
    PesitFpduType type = PESIT_FPDU_NONE;
    PesitDiag diag = PESIT_DIAG_OK;
    size_t announced = 0;
    uint8_t dst = 0, src = 0;
    size_t content;

    if (capacity > 0)
        text[0] = '\0';
    if (length < PESIT_HEADER_BYTES ||
        pesit_header_decode(bytes, &type, &announced, &dst, &src, &diag) != PESIT_OK) {
        append(&line, "not an FPDU (%zu bytes)", length);
        return line.length;
    }
    append(&line, "%s dst=%u src=%u", pesit_fpdu_name(type), dst, src);
    if (announced > length)
        append(&line, " cut after %zu of %zu bytes:", length, announced);
    content = (announced < length ? announced : length) - PESIT_HEADER_BYTES;
    if (pesit_fpdu_is_data(type)) {
        append(&line, " data=%zu", announced - PESIT_HEADER_BYTES);
    } else if (type == PESIT_FPDU_ABORT && content == DIAGNOSTIC_BYTES) {
        append(&line, " ");
        append_diagnostic(&line, bytes + PESIT_HEADER_BYTES);
    } else {
        append_units(&line, bytes + PESIT_HEADER_BYTES, content, false);
    }
    return line.length;
}
