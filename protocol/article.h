/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local text files to articles and back: cutting lines, padding and trimming fixed records, empty
 * lines, line ends. Binary files need nothing of this: their bytes are laid out in place.
 * procedures §13. Pure functions over the caller's buffers; any thread.
 */
#pragma once

#include "protocol/types.h"

/* What a line or record becomes; procedures §13.1. */
typedef enum {
    PESIT_TEXT_VARIABLE, /* PI 31 = 80h: one line, one article */
    PESIT_TEXT_FIXED,    /* PI 31 = 00h: line padded with blanks to PI 32 */
} PesitTextFormat;

typedef enum { PESIT_EMPTY_SPACE, PESIT_EMPTY_ZERO } PesitEmptyLine; /* §13.2 */
typedef enum { PESIT_LONG_REFUSE, PESIT_LONG_TRUNCATE } PesitLongLine;
typedef enum { PESIT_EOL_LF, PESIT_EOL_CRLF } PesitLineEnd;

typedef struct {
    PesitTextFormat format;
    uint32_t article_bytes; /* PI 32: 1..65535 */
    PesitEmptyLine empty_line;
    PesitLongLine long_line;
    PesitLineEnd line_end; /* written on reception; both are read when sending */
    bool trim;             /* reception, fixed: remove the padding blanks */
} PesitTextRules;

/* Cuts the next article out of `text`.
 * at_end: no byte follows these.  ret_article borrows from text, or from `padding` (article_bytes
 * bytes owned by the caller) when the article had to be padded or is one blank.
 * ret_taken: bytes of text consumed, line end included.
 * OK: an article.  NEED_MORE: no complete line here (never with at_end unless text is empty).
 * LIMIT: the line is longer than article_bytes and rules say refuse. */
PesitStatus pesit_article_cut(const PesitTextRules *rules, const uint8_t *text, size_t length,
                              bool at_end, uint8_t *padding, const uint8_t **ret_article,
                              size_t *ret_article_length, size_t *ret_taken) PESIT_MUST_USE;

/* Joins a piece of a received article to local text: copies it and, after the article's last piece,
 * writes the line end. Trimming needs the whole article: for fixed format with trim, blanks at the
 * end of a piece are held back in *pending_blanks (start at 0) until a later byte shows them needed.
 * LIMIT: capacity too small (length + pending + 2 always suffices); nothing was written. */
PesitStatus pesit_article_join(const PesitTextRules *rules, const uint8_t *piece, size_t length,
                               bool last, size_t *pending_blanks, uint8_t *buffer, size_t capacity,
                               size_t *ret_written) PESIT_MUST_USE;
