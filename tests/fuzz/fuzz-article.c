/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to articles and back on any bytes: nothing is lost, nothing runs over. The first byte chooses rules.
 */
#include "protocol/article.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static uint8_t padding[65535], joined[1 << 17];
    PesitTextRules rules = {.article_bytes = 1};
    size_t pending = 0, written = 0;

    if (length < 2)
        return 0;
    rules.format = bytes[0] & 1 ? PESIT_TEXT_FIXED : PESIT_TEXT_VARIABLE;
    rules.empty_line = bytes[0] & 2 ? PESIT_EMPTY_ZERO : PESIT_EMPTY_SPACE;
    rules.long_line = bytes[0] & 4 ? PESIT_LONG_TRUNCATE : PESIT_LONG_REFUSE;
    rules.line_end = bytes[0] & 8 ? PESIT_EOL_CRLF : PESIT_EOL_LF;
    rules.trim = (bytes[0] & 16) != 0;
    rules.article_bytes = 1u + bytes[1];
    for (bytes += 2, length -= 2; length > 0;) {
        const uint8_t *article;
        size_t article_length, taken = 0;

        if (pesit_article_cut(&rules, bytes, length, true, padding, &article, &article_length,
                              &taken) != PESIT_OK)
            break;
        if (taken == 0 || taken > length || article_length > rules.article_bytes)
            abort();
        pending = 0;
        if (pesit_article_join(&rules, article, article_length, true, &pending, joined,
                               article_length + pending + 2, &written) != PESIT_OK ||
            written > article_length + 2)
            abort();
        bytes += taken;
        length -= taken;
    }
    return 0;
}
