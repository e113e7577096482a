/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One line of text for an FPDU, for logs and the command line. Secrets are masked, everything that is
 * not printable is escaped, data are only counted.
 */
#include "protocol/catalogue.h"

#include <stdarg.h>
#include <stdio.h>

#define SHOWN_BYTES 80

typedef struct {
    char *text;
    size_t capacity, length;
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

static void append_bytes(Line *line, const PesitValue *value, bool text)
{
    for (size_t i = 0; i < value->length && i < SHOWN_BYTES; i++) {
        uint8_t byte = value->bytes[i];

        if (text && byte >= 0x20 && byte < 0x7F && byte != '\\' && byte != '"')
            append(line, "%c", byte);
        else
            append(line, text ? "\\x%02x" : "%02x", byte);
    }
    if (value->length > SHOWN_BYTES)
        append(line, "…");
}

static void append_value(Line *line, unsigned pi, const PesitValue *value)
{
    const PesitPiRow *row = pesit_pi_find(pi);

    append(line, " %u=", pi);
    if (row->secret)
        append(line, "***");
    else if (pi == PESIT_PI_DIAGNOSTIC)
        append(line, "%u/%03u", (unsigned)(value->number >> 16),
               (unsigned)(value->number & 0xFFFF));
    else if (pi == PESIT_PI_SYNC_OPTION)
        append(line, "%uKB/%u", (unsigned)(value->number >> 8), (unsigned)(value->number & 0xFF));
    else if (value->bytes == NULL)
        append(line, "%llu", (unsigned long long)value->number);
    else
        append_bytes(line, value, row->kind != PESIT_KIND_BYTES);
}

size_t pesit_fpdu_format(const uint8_t *bytes, size_t length, char *text, size_t capacity)
{
    Line line = {text, capacity, 0};
    PesitFpduType type;
    PesitFpdu fpdu;
    PesitRemarks remarks;
    PesitDiag diag;
    size_t announced;
    uint8_t dst, src;

    if (capacity > 0)
        text[0] = '\0';
    if (length < PESIT_HEADER_BYTES ||
        pesit_header_decode(bytes, &type, &announced, &dst, &src, &diag) != PESIT_OK) {
        append(&line, "not an FPDU (%zu bytes)", length);
        return line.length;
    }
    append(&line, "%s dst=%u src=%u", pesit_fpdu_name(type), dst, src);
    if (pesit_fpdu_is_data(type)) {
        append(&line, " data=%zu", announced - PESIT_HEADER_BYTES);
        return line.length;
    }
    if (announced > length ||
        pesit_fpdu_decode(bytes, announced, false, &fpdu, &remarks, &diag) != PESIT_OK) {
        append(&line, " malformed");
        return line.length;
    }
    for (unsigned pi = 1; pi < PESIT_PI_COUNT; pi++) {
        if (pesit_fpdu_has(&fpdu, (PesitPi)pi))
            append_value(&line, pi, &fpdu.values[pi]);
    }
    return line.length;
}
