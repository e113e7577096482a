/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to articles and back. LF and CR LF end a line, a CR alone is data. A fixed article is the
 * line padded with blanks; an empty line is one blank where an empty article may not travel. Code
 * translation and packing into FPDUs are done elsewhere. procedures §13.1 and §13.2.
 */
#include "protocol/article.h"

#include <string.h>

#define LINE_END_MAX_BYTES 2

/* Length of the line without its end, and with it. False: no line end in the first `length` bytes. */
static bool find_line(const uint8_t *text, size_t length, size_t *ret_line, size_t *ret_taken)
{
    const uint8_t *end = memchr(text, '\n', length);
    size_t line;

    if (end == NULL)
        return false;
    line = (size_t)(end - text);
    *ret_taken = line + 1;
    *ret_line = line > 0 && text[line - 1] == '\r' ? line - 1 : line;
    return true;
}

/* Makes the article of a line that is not too long; it borrows from the line or from padding. */
static void shape_article(const PesitTextRules *rules, const uint8_t *line, size_t line_length,
                          uint8_t *padding, const uint8_t **ret_article, size_t *ret_article_length)
{
    size_t wanted = line_length;

    if (rules->format == PESIT_TEXT_FIXED)
        wanted = rules->article_bytes;
    else if (line_length == 0 && rules->empty_line == PESIT_EMPTY_SPACE)
        wanted = 1;
    *ret_article = line;
    *ret_article_length = wanted;
    if (wanted == line_length)
        return;
    memcpy(padding, line, line_length);
    memset(padding + line_length, ' ', wanted - line_length);
    *ret_article = padding;
}

PesitStatus pesit_article_cut(const PesitTextRules *rules, const uint8_t *text, size_t length,
                              bool at_end, uint8_t *padding, const uint8_t **ret_article,
                              size_t *ret_article_length, size_t *ret_taken)
{
    /* the end of a line that fits lies in these bytes: a line that will be refused, however long,
     * is not searched to its end */
    size_t longest = (size_t)rules->article_bytes + LINE_END_MAX_BYTES;
    bool refuse = rules->long_line == PESIT_LONG_REFUSE;
    size_t line = length, taken = length;

    if (length == 0)
        return PESIT_NEED_MORE;
    if (!find_line(text, refuse && length > longest ? longest : length, &line, &taken)) {
        if (refuse && length >= longest)
            return PESIT_LIMIT;
        if (!at_end)
            return PESIT_NEED_MORE;
    }
    if (line > rules->article_bytes) {
        if (refuse)
            return PESIT_LIMIT;
        line = rules->article_bytes;
    }
    shape_article(rules, text, line, padding, ret_article, ret_article_length);
    *ret_taken = taken;
    return PESIT_OK;
}

PesitStatus pesit_article_join(const PesitTextRules *rules, const uint8_t *piece, size_t length,
                               bool last, size_t *pending_blanks, uint8_t *buffer, size_t capacity,
                               size_t *ret_written)
{
    bool trim = rules->trim && rules->format == PESIT_TEXT_FIXED;
    size_t kept = length, written = 0;

    if (capacity < LINE_END_MAX_BYTES || capacity - LINE_END_MAX_BYTES < length ||
        capacity - LINE_END_MAX_BYTES - length < *pending_blanks)
        return PESIT_LIMIT;
    while (trim && kept > 0 && piece[kept - 1] == ' ')
        kept--;
    if (kept > 0) {
        memset(buffer, ' ', *pending_blanks);
        memcpy(buffer + *pending_blanks, piece, kept);
        written = *pending_blanks + kept;
        *pending_blanks = 0;
    }
    *pending_blanks += length - kept;
    if (last) {
        *pending_blanks = 0;
        if (rules->line_end == PESIT_EOL_CRLF)
            buffer[written++] = '\r';
        buffer[written++] = '\n';
    }
    *ret_written = written;
    return PESIT_OK;
}
