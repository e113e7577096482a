/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to articles and back. LF and CR LF end a line; a lone CR is data. A fixed article is the line
 * padded with blanks; an empty line is one blank where an empty article may not travel. procedures §13.
 */
#include "protocol/article.h"

#include <string.h>

/* Length of the line without its end; ret_taken with it. False: no line end in sight. */
static bool find_line(const uint8_t *text, size_t length, size_t limit, size_t *ret_line,
                      size_t *ret_taken)
{
    const uint8_t *end = memchr(text, '\n', length < limit ? length : limit);
    size_t line;

    if (end == NULL)
        return false;
    line = (size_t)(end - text);
    *ret_taken = line + 1;
    *ret_line = line > 0 && text[line - 1] == '\r' ? line - 1 : line;
    return true;
}

static PesitStatus finish_article(const PesitTextRules *rules, const uint8_t *text, size_t line,
                                  uint8_t *padding, const uint8_t **ret_article,
                                  size_t *ret_article_length)
{
    if (line > rules->article_bytes) {
        if (rules->long_line == PESIT_LONG_REFUSE)
            return PESIT_LIMIT;
        line = rules->article_bytes;
    }
    *ret_article = text;
    *ret_article_length = line;
    if (rules->format == PESIT_TEXT_FIXED && line < rules->article_bytes) {
        memcpy(padding, text, line);
        memset(padding + line, ' ', rules->article_bytes - line);
        *ret_article = padding;
        *ret_article_length = rules->article_bytes;
    } else if (line == 0 && rules->empty_line == PESIT_EMPTY_SPACE) {
        padding[0] = ' ';
        *ret_article = padding;
        *ret_article_length = 1;
    }
    return PESIT_OK;
}

PesitStatus pesit_article_cut(const PesitTextRules *rules, const uint8_t *text, size_t length,
                              bool at_end, uint8_t *padding, const uint8_t **ret_article,
                              size_t *ret_article_length, size_t *ret_taken)
{
    /* a refused line needs no look at its end */
    size_t limit =
            rules->long_line == PESIT_LONG_REFUSE ? (size_t)rules->article_bytes + 2 : length;
    size_t line = 0, taken = 0;
    PesitStatus status;

    if (length == 0)
        return PESIT_NEED_MORE;
    if (!find_line(text, length, limit, &line, &taken)) {
        if (length > limit)
            return PESIT_LIMIT;
        if (!at_end)
            return PESIT_NEED_MORE;
        line = taken = length;
    }
    status = finish_article(rules, text, line, padding, ret_article, ret_article_length);
    if (status == PESIT_OK)
        *ret_taken = taken;
    return status;
}

PesitStatus pesit_article_join(const PesitTextRules *rules, const uint8_t *piece, size_t length,
                               bool last, size_t *pending_blanks, uint8_t *buffer, size_t capacity,
                               size_t *ret_written)
{
    size_t kept = length, written = 0;
    bool trim = rules->trim && rules->format == PESIT_TEXT_FIXED;

    if (capacity < length + *pending_blanks + 2)
        return PESIT_LIMIT;
    while (trim && kept > 0 && piece[kept - 1] == ' ')
        kept--;
    if (kept > 0) {
        memset(buffer, ' ', *pending_blanks);
        written = *pending_blanks;
        *pending_blanks = 0;
        memcpy(buffer + written, piece, kept);
        written += kept;
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
