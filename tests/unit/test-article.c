/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines to articles and back at every boundary: a line of exactly the record, one more, one less, none; CR and LF
 * in every place; text cut anywhere; blanks that are padding and blanks that are data. procedures §13.1, §13.2.
 */
#include "protocol/article.h"

#include <glib.h>
#include <string.h>

#define PADDING_BYTES 16

typedef struct {
    PesitStatus status;
    char article[PADDING_BYTES + 1];
    size_t length, taken;
    bool borrowed; /* from the text, not copied */
} Cut;

static Cut cut(const PesitTextRules *rules, const char *text, size_t length, bool at_end)
{
    /* of exactly these sizes: a byte too far is seen by the sanitizer */
    g_autofree uint8_t *bytes = g_memdup2(text, length);
    g_autofree uint8_t *padding = g_malloc(rules->article_bytes);
    const uint8_t *article = NULL;
    Cut result = {0};

    result.status = pesit_article_cut(rules, bytes, length, at_end, padding, &article,
                                      &result.length, &result.taken);
    if (result.status != PESIT_OK)
        return result;
    g_assert_cmpuint(result.length, <=, PADDING_BYTES);
    memcpy(result.article, article, result.length);
    result.borrowed = article != padding;
    return result;
}

static void check_cut(const PesitTextRules *rules, const char *text, bool at_end,
                      PesitStatus status, const char *article, size_t taken)
{
    Cut result = cut(rules, text, strlen(text), at_end);

    g_test_message("\"%s\", %s", text, at_end ? "the end" : "more may come");
    g_assert_cmpint(result.status, ==, status);
    if (status != PESIT_OK)
        return;
    g_assert_cmpstr(result.article, ==, article);
    g_assert_cmpuint(result.taken, ==, taken);
    g_assert_cmpuint(result.length, ==, strlen(article));
}

static void test_variable(void)
{
    static const PesitTextRules RULES = {.article_bytes = 4};
    static const PesitTextRules ZERO = {.article_bytes = 4, .empty_line = PESIT_EMPTY_ZERO};

    check_cut(&RULES, "abc\nx", false, PESIT_OK, "abc", 4);
    check_cut(&RULES, "abcd\nx", false, PESIT_OK, "abcd", 5);
    check_cut(&RULES, "abcd\r\nx", false, PESIT_OK, "abcd", 6);
    check_cut(&RULES, "abcde\n", false, PESIT_LIMIT, NULL, 0);
    check_cut(&RULES, "abcde\r\n", false, PESIT_LIMIT, NULL, 0);
    check_cut(&RULES, "a\rb\n", false, PESIT_OK, "a\rb", 4); /* a CR alone is data */
    check_cut(&RULES, "a\r\r\n", false, PESIT_OK, "a\r", 4);
    check_cut(&RULES, "\n", false, PESIT_OK, " ", 1);
    check_cut(&RULES, "\r\n", false, PESIT_OK, " ", 2);
    check_cut(&ZERO, "\n", false, PESIT_OK, "", 1);
    check_cut(&ZERO, "\r\n", false, PESIT_OK, "", 2);
    check_cut(&ZERO, "a  \n", false, PESIT_OK, "a  ", 4); /* blanks of the line stay */
}

static void test_the_end(void)
{
    static const PesitTextRules RULES = {.article_bytes = 4};

    check_cut(&RULES, "", true, PESIT_NEED_MORE, NULL, 0);
    check_cut(&RULES, "", false, PESIT_NEED_MORE, NULL, 0);
    check_cut(&RULES, "abc", true, PESIT_OK, "abc", 3);
    check_cut(&RULES, "abcd", true, PESIT_OK, "abcd", 4);
    check_cut(&RULES, "abcde", true, PESIT_LIMIT, NULL, 0);
    check_cut(&RULES, "abc\r", true, PESIT_OK, "abc\r", 4); /* no LF follows: data */
    check_cut(&RULES, "abcd\r", true, PESIT_LIMIT, NULL, 0);
    check_cut(&RULES, "abc", false, PESIT_NEED_MORE, NULL, 0);
    check_cut(&RULES, "abcd\r", false, PESIT_NEED_MORE, NULL, 0); /* the LF may come */
    check_cut(&RULES, "abcdef", false, PESIT_LIMIT, NULL, 0);     /* no end can make it fit */
}

static void test_fixed(void)
{
    static const PesitTextRules RULES = {.format = PESIT_TEXT_FIXED, .article_bytes = 4};
    static const PesitTextRules ZERO = {
            .format = PESIT_TEXT_FIXED, .article_bytes = 4, .empty_line = PESIT_EMPTY_ZERO};

    check_cut(&RULES, "\n", false, PESIT_OK, "    ", 1);
    check_cut(&ZERO, "\n", false, PESIT_OK, "    ", 1); /* a fixed article is never empty */
    check_cut(&RULES, "abc\n", false, PESIT_OK, "abc ", 4);
    check_cut(&RULES, "abcd\n", false, PESIT_OK, "abcd", 5);
    check_cut(&RULES, "abcde\n", false, PESIT_LIMIT, NULL, 0);
    check_cut(&RULES, "a", true, PESIT_OK, "a   ", 1);
    g_assert_true(cut(&RULES, "abcd\n", 5, false).borrowed);
    g_assert_false(cut(&RULES, "abc\n", 4, false).borrowed);
}

static void test_truncated(void)
{
    static const PesitTextRules RULES = {.article_bytes = 4, .long_line = PESIT_LONG_TRUNCATE};
    static const PesitTextRules FIXED = {
            .format = PESIT_TEXT_FIXED, .article_bytes = 4, .long_line = PESIT_LONG_TRUNCATE};

    check_cut(&RULES, "abcd\n", false, PESIT_OK, "abcd", 5);
    check_cut(&RULES, "abcdefghi\nx", false, PESIT_OK, "abcd", 10);
    check_cut(&FIXED, "abcdefghi\nx", false, PESIT_OK, "abcd", 10);
    check_cut(&RULES, "abcdefghi", true, PESIT_OK, "abcd", 9);
    check_cut(&RULES, "abcdefghi", false, PESIT_NEED_MORE, NULL,
              0); /* where it ends is not known */
}

/* The longest record, and the shortest. */
static void test_record_lengths(void)
{
    PesitTextRules rules = {.format = PESIT_TEXT_FIXED, .article_bytes = 65535};
    g_autofree uint8_t *padding = g_malloc(65535);
    g_autofree uint8_t *text = g_malloc(65537);
    const uint8_t *article;
    size_t length, taken;

    memset(text, 'x', 65537);
    text[65535] = '\n';
    g_assert_cmpint(
            pesit_article_cut(&rules, text, 65536, false, padding, &article, &length, &taken), ==,
            PESIT_OK);
    g_assert_cmpuint(length, ==, 65535);
    g_assert_cmpuint(taken, ==, 65536);
    text[65535] = 'x';
    g_assert_cmpint(
            pesit_article_cut(&rules, text, 65537, true, padding, &article, &length, &taken), ==,
            PESIT_LIMIT);
    rules.article_bytes = 1;
    check_cut(&rules, "a\n", false, PESIT_OK, "a", 2);
    check_cut(&rules, "\n", false, PESIT_OK, " ", 1);
    check_cut(&rules, "ab\n", false, PESIT_LIMIT, NULL, 0);
}

/* A buffer ends anywhere: the articles are the same. */
static void test_any_portion(void)
{
    static const char TEXT[] = "ab\r\n\ncd\re\r\r\n\r\nxyz 1\nlast";
    static const PesitTextRules RULES = {.article_bytes = 8};
    static const char EXPECTED[] = "ab| |cd\re\r| |xyz 1|last|";
    size_t length = strlen(TEXT);

    for (size_t portion = 1; portion <= length; portion++) {
        g_autoptr(GString) got = g_string_new(NULL);
        size_t start = 0, end = 0;

        while (start < length) {
            Cut one = cut(&RULES, TEXT + start, end - start, end == length);

            if (one.status == PESIT_NEED_MORE) {
                g_assert_cmpuint(end, <, length);
                end = MIN(end + portion, length);
                continue;
            }
            g_assert_cmpint(one.status, ==, PESIT_OK);
            g_string_append_len(got, one.article, (gssize)one.length);
            g_string_append_c(got, '|');
            start += one.taken;
        }
        g_assert_cmpstr(got->str, ==, EXPECTED);
    }
}

/* Pieces "a|b|c" of one article, joined in buffers of exactly what is said to suffice. */
static char *join(const PesitTextRules *rules, const char *pieces)
{
    g_autofree char *list = g_strconcat(pieces, "|", NULL); /* "" would have no pieces */
    g_auto(GStrv) parts = g_strsplit(list, "|", -1);
    guint count = g_strv_length(parts) - 1;
    GString *got = g_string_new(NULL);
    size_t pending = 0;

    for (guint i = 0; i < count; i++) {
        size_t length = strlen(parts[i]), capacity = length + pending + 2, written = 0;
        size_t before = pending;
        g_autofree uint8_t *buffer = g_malloc(capacity);
        bool last = i + 1 == count;

        g_assert_cmpint(pesit_article_join(rules, (const uint8_t *)parts[i], length, last, &pending,
                                           buffer, capacity - 1, &written),
                        ==, PESIT_LIMIT);
        g_assert_cmpuint(pending, ==, before); /* nothing happened */
        g_assert_cmpint(pesit_article_join(rules, (const uint8_t *)parts[i], length, last, &pending,
                                           buffer, capacity, &written),
                        ==, PESIT_OK);
        g_assert_cmpuint(written, <=, capacity);
        g_string_append_len(got, (const char *)buffer, (gssize)written);
    }
    g_assert_cmpuint(pending, ==, 0);
    return g_string_free(got, FALSE);
}

static void test_join(void)
{
    static const PesitTextRules VARIABLE = {.article_bytes = 8};
    static const PesitTextRules VARIABLE_TRIM = {.article_bytes = 8, .trim = true};
    static const PesitTextRules FIXED = {.format = PESIT_TEXT_FIXED, .article_bytes = 8};
    static const PesitTextRules TRIM = {
            .format = PESIT_TEXT_FIXED, .article_bytes = 8, .trim = true};
    static const PesitTextRules CRLF = {.format = PESIT_TEXT_FIXED,
                                        .article_bytes = 8,
                                        .trim = true,
                                        .line_end = PESIT_EOL_CRLF};
    static const struct {
        const PesitTextRules *rules;
        const char *pieces, *expected;
    } CASES[] = {
            {&VARIABLE, "ab", "ab\n"},          {&VARIABLE, "", "\n"},
            {&VARIABLE, "a|b |c ", "ab c \n"},  {&VARIABLE_TRIM, "a ", "a \n"},
            {&FIXED, "ab      ", "ab      \n"}, {&TRIM, "ab      ", "ab\n"},
            {&TRIM, "        ", "\n"},          {&TRIM, "a  |  b |   ", "a    b\n"},
            {&TRIM, "  |  |a", "    a\n"},      {&TRIM, "  a|", "  a\n"},
            {&TRIM, "    |    ", "\n"},         {&TRIM, "abcdefgh", "abcdefgh\n"},
            {&CRLF, "ab  |  ", "ab\r\n"},       {&CRLF, "        ", "\r\n"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *got = join(CASES[i].rules, CASES[i].pieces);

        g_test_message("%s", CASES[i].pieces);
        g_assert_cmpstr(got, ==, CASES[i].expected);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/article/variable", test_variable);
    g_test_add_func("/article/the-end", test_the_end);
    g_test_add_func("/article/fixed", test_fixed);
    g_test_add_func("/article/truncated", test_truncated);
    g_test_add_func("/article/record-lengths", test_record_lengths);
    g_test_add_func("/article/any-portion", test_any_portion);
    g_test_add_func("/article/join", test_join);
    return g_test_run();
}
