/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The codec: tables without holes, worked bytes of the specification, tolerance and strictness, round trips
 * of every FPDU with every parameter, articles and traces. Case numbers are those of the conformance list.
 */
#include "protocol/article.h"
#include "protocol/catalogue.h"
#include "protocol/profile.h"

#include <glib.h>
#include <string.h>

typedef struct {
    uint8_t bytes[PESIT_FPDU_MAX_BYTES];
    size_t length;
} Hex;

static void from_hex(const char *text, Hex *ret_hex)
{
    int high = -1;

    ret_hex->length = 0;
    for (const char *at = text; *at != '\0'; at++) {
        int digit = g_ascii_xdigit_value(*at);

        if (digit < 0)
            continue;
        if (high < 0) {
            high = digit;
            continue;
        }
        ret_hex->bytes[ret_hex->length++] = (uint8_t)(high * 16 + digit);
        high = -1;
    }
}

static PesitStatus decode(const char *hex, bool strict, PesitFpdu *fpdu, PesitRemarks *remarks)
{
    static Hex input;
    PesitDiag diag;

    from_hex(hex, &input);
    return pesit_fpdu_decode(input.bytes, input.length, strict, fpdu, remarks, &diag);
}

static void test_tables(void)
{
    for (unsigned pi = 0; pi < PESIT_PI_COUNT; pi++) {
        const PesitPiRow *row = pesit_pi_find(pi);

        if (row == NULL)
            continue;
        g_assert_nonnull(row->chapter);
        g_assert_cmpuint(row->min_bytes, >=, 1);
        g_assert_cmpuint(row->min_bytes, <=, row->max_bytes);
    }
    for (unsigned type = 1; type < PESIT_FPDU_COUNT; type++) {
        const FpduRow *row = fpdu_row((PesitFpduType)type);

        g_assert_nonnull(row->name);
        g_assert_nonnull(row->chapter);
        g_assert_cmpint(pesit_fpdu_from_wire(row->phase, row->code), ==, (int)type);
        for (const FpduItem *item = row->items; item->status != ITEM_END; item++)
            g_assert_true(item->pi == 0 ? pgi_find(item->pgi) != NULL
                                        : pesit_pi_find(item->pi) != NULL);
    }
    g_assert_cmpstr(pesit_profile_at(0)->name, ==, "standard");
    g_assert_nonnull(pesit_profile_find("pesit-wizard"));
    g_assert_null(pesit_profile_find("nobody"));
}

static uint64_t first_legal(unsigned pi)
{
    uint64_t number = 0;

    while (pi_check_number((PesitPi)pi, number) != NULL)
        number++;
    return number;
}

/* Fills one parameter with its shortest or longest legal value. */
static void fill_value(PesitFpdu *fpdu, unsigned pi, bool longest)
{
    static const char *const DATE = "261124093000";
    static uint8_t text[PESIT_FPDU_MAX_BYTES];
    const PesitPiRow *row = pesit_pi_find(pi);

    memset(text, 'x', sizeof text);
    switch (row->kind) {
    case PESIT_KIND_NUMBER:
        pesit_fpdu_set_number(fpdu, pi,
                              pi == PESIT_PI_MAX_ENTITY    ? (longest ? 65535 : 7)
                              : longest                    ? (row->max_bytes == 8
                                                                      ? UINT64_MAX
                                                                      : (UINT64_C(1) << 8 * row->max_bytes) - 1)
                              : pi == PESIT_PI_TRANSFER_ID ? 1
                                                           : 0);
        break;
    case PESIT_KIND_SYMBOL:
    case PESIT_KIND_MASK:
    case PESIT_KIND_PACKED:
        pesit_fpdu_set_number(fpdu, pi, first_legal(pi));
        break;
    case PESIT_KIND_TEXT:
    case PESIT_KIND_BYTES:
        pesit_fpdu_set_bytes(fpdu, pi, text, longest ? row->max_bytes : row->min_bytes);
        break;
    case PESIT_KIND_DATE:
        pesit_fpdu_set_text(fpdu, pi, DATE);
        break;
    }
}

static void assert_same(const PesitFpdu *sent, const PesitFpdu *got)
{
    g_assert_cmpint(sent->type, ==, got->type);
    for (unsigned pi = 1; pi < PESIT_PI_COUNT; pi++) {
        g_assert_cmpint(pesit_fpdu_has(sent, (PesitPi)pi), ==, pesit_fpdu_has(got, (PesitPi)pi));
        if (!pesit_fpdu_has(sent, (PesitPi)pi))
            continue;
        g_assert_cmpuint(sent->values[pi].number, ==, got->values[pi].number);
        g_assert_cmpmem(sent->values[pi].bytes, sent->values[pi].length, got->values[pi].bytes,
                        got->values[pi].length);
    }
}

/* case 38 */
static void test_round_trip(void)
{
    static uint8_t bytes[PESIT_FPDU_MAX_BYTES], again[PESIT_FPDU_MAX_BYTES];

    for (unsigned type = 1; type < PESIT_FPDU_COUNT; type++) {
        for (int longest = 0; longest < 2; longest++) {
            PesitFpdu fpdu, decoded;
            PesitRemarks remarks;
            PesitDiag diag;
            size_t length, length_again;

            if (pesit_fpdu_is_data((PesitFpduType)type))
                continue;
            pesit_fpdu_init(&fpdu, (PesitFpduType)type);
            for (const FpduItem *item = fpdu_row((PesitFpduType)type)->items;
                 item->status != ITEM_END; item++) {
                if (item->status != ITEM_FOREIGN && item->pi != 0)
                    fill_value(&fpdu, item->pi, longest != 0);
            }
            g_assert_cmpint(pesit_fpdu_encode(&fpdu, bytes, sizeof bytes, &length), ==, PESIT_OK);
            if (pesit_fpdu_decode(bytes, length, true, &decoded, &remarks, &diag) != PESIT_OK)
                g_error("%s: PI %u %s", fpdu_row(fpdu.type)->name,
                        remarks.rows[remarks.count - 1].pi, remarks.rows[remarks.count - 1].what);
            assert_same(&fpdu, &decoded);
            g_assert_cmpint(pesit_fpdu_encode(&decoded, again, sizeof again, &length_again), ==,
                            PESIT_OK);
            g_assert_cmpmem(bytes, length, again, length_again);
        }
    }
}

/* messages §7.4: bytes as a partner really sends them */
static void test_worked_bytes(void)
{
    PesitFpdu fpdu;
    PesitRemarks remarks;
    uint8_t bytes[256];
    size_t length;
    Hex expected;
    static const char *const CREATE =
            "003D C011 6100 0909 0B0100 0C0446494C45 0D028FCC 110100 1902FFFF"
            "1E07 1F0180 20020400 2806 290100 2A0101 320E 330C323630313230313335383537";

    g_assert_cmpint(decode(CREATE, true, &fpdu, &remarks), ==, PESIT_OK);
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_TRANSFER_ID, 0), ==, 0x8FCC);
    g_assert_cmpuint(pesit_fpdu_number(&fpdu, PESIT_PI_ARTICLE_LENGTH, 0), ==, 1024);
    g_assert_cmpint(pesit_fpdu_encode(&fpdu, bytes, sizeof bytes, &length), ==, PESIT_OK);
    from_hex(CREATE, &expected);
    g_assert_cmpmem(bytes, length, expected.bytes, expected.length);

    g_assert_cmpint(decode("001A 4020 0001 03044C4F4F50 04064345544F4D31 060102 160100", true,
                           &fpdu, &remarks),
                    ==, PESIT_OK);
    g_assert_cmpint(fpdu.type, ==, PESIT_FPDU_CONNECT);
    /* case 27 */
    pesit_fpdu_init(&fpdu, PESIT_FPDU_ACK_CREATE);
    pesit_fpdu_set_diag(&fpdu, PESIT_DIAG(3, 318));
    pesit_fpdu_set_number(&fpdu, PESIT_PI_TRANSFER_ID, 1);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_MAX_ENTITY, 32750);
    g_assert_cmpint(pesit_fpdu_encode(&fpdu, bytes, sizeof bytes, &length), ==, PESIT_OK);
    from_hex("0012 C030 0000 0203 03013E 0D0101 19027FEE", &expected);
    g_assert_cmpmem(bytes, length, expected.bytes, expected.length);
}

/* cases 21 to 26, 30, 33, 121, 139, 419 */
static void test_tolerance(void)
{
    static const struct {
        const char *what, *hex;
        PesitStatus lenient, strict;
    } CASES[] = {
            {"unknown PI 200", "000E C014 6100 15020000 C80100", PESIT_MALFORMED, PESIT_MALFORMED},
            {"unknown PI 200, right length", "000D C014 6100 15020000 C80100", PESIT_OK,
             PESIT_MALFORMED},
            {"out of order", "0011 C037 0100 1C0101 1B010C 0203000000", PESIT_OK, PESIT_MALFORMED},
            {"repeated", "0010 C015 6100 0203000000 0203000000", PESIT_OK, PESIT_MALFORMED},
            {"empty group", "0008 C011 6100 0900", PESIT_MALFORMED, PESIT_MALFORMED},
            {"LI past the end", "000A C001 6100 12030000", PESIT_MALFORMED, PESIT_MALFORMED},
            {"SYN without PI 20", "0006 C003 6100", PESIT_MALFORMED, PESIT_MALFORMED},
            {"negative ACK with PI 2 only", "000B C030 0100 02030200E2", PESIT_OK, PESIT_OK},
            {"positive ACK without PI 25", "000B C030 0100 0203000000", PESIT_MALFORMED,
             PESIT_MALFORMED},
            {"PI 21 of 1,4", "000A C014 6100 15020104", PESIT_MALFORMED, PESIT_MALFORMED},
            {"bare ABORT", "0009 4025 0161 03013E", PESIT_OK, PESIT_OK},
            {"empty ABORT", "0006 4025 0161", PESIT_OK, PESIT_OK},
            {"ABORT with units", "000B 4025 0161 020303013E", PESIT_OK, PESIT_OK},
            {"version on two octets",
             "001B 4020 0001 03044C4F4F50 04064345544F4D31 06020002 160100", PESIT_OK, PESIT_OK},
            {"access type 3", "001A 4020 0001 03044C4F4F50 04064345544F4D31 060102 160103",
             PESIT_MALFORMED, PESIT_MALFORMED},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        PesitFpdu fpdu;
        PesitRemarks remarks;

        g_test_message("%s", CASES[i].what);
        g_assert_cmpint(decode(CASES[i].hex, false, &fpdu, &remarks), ==, CASES[i].lenient);
        g_assert_cmpint(decode(CASES[i].hex, true, &fpdu, &remarks), ==, CASES[i].strict);
    }
}

/* case 17: 254 octets have a short length, 255 a long one */
static void test_length_forms(void)
{
    static uint8_t text[300], bytes[600];
    PesitFpdu fpdu, decoded;
    PesitRemarks remarks;
    PesitDiag diag;
    size_t length;

    memset(text, 'm', sizeof text);
    for (size_t count = 254; count <= 255; count++) {
        pesit_fpdu_init(&fpdu, PESIT_FPDU_MSGMM);
        pesit_fpdu_set_bytes(&fpdu, PESIT_PI_MESSAGE, text, count);
        g_assert_cmpint(pesit_fpdu_encode(&fpdu, bytes, sizeof bytes, &length), ==, PESIT_OK);
        g_assert_cmpuint(bytes[7], ==, count == 254 ? 0xFE : 0xFF);
        g_assert_cmpuint(length, ==, 6 + (count == 254 ? 2u : 4u) + count);
        g_assert_cmpint(pesit_fpdu_decode(bytes, length, true, &decoded, &remarks, &diag), ==,
                        PESIT_OK);
        g_assert_cmpuint(decoded.values[PESIT_PI_MESSAGE].length, ==, count);
    }
}

static void test_misuse(void)
{
    PesitFpdu fpdu;
    uint8_t bytes[64];
    size_t length;

    pesit_fpdu_init(&fpdu, PESIT_FPDU_ACK_CREATE);
    g_assert_cmpint(pesit_fpdu_encode(&fpdu, bytes, sizeof bytes, &length), ==, PESIT_MISUSE);
    pesit_fpdu_init(&fpdu, PESIT_FPDU_WRITE);
    pesit_fpdu_set_number(&fpdu, PESIT_PI_PRIORITY, 1);
    g_assert_cmpint(pesit_fpdu_encode(&fpdu, bytes, sizeof bytes, &length), ==, PESIT_MISUSE);
    pesit_fpdu_init(&fpdu, PESIT_FPDU_WRITE);
    g_assert_cmpint(pesit_fpdu_encode(&fpdu, bytes, 5, &length), ==, PESIT_LIMIT);
}

static void test_trace_masks_secrets(void)
{
    Hex input;
    char text[512];

    from_hex("0021 4020 0001 03044C4F4F50 0401 41 0508 7365637265742121 060102 160100", &input);
    input.bytes[1] = (uint8_t)input.length;
    (void)pesit_fpdu_format(input.bytes, input.length, text, sizeof text);
    g_assert_nonnull(strstr(text, "CONNECT"));
    g_assert_nonnull(strstr(text, "LOOP"));
    g_assert_null(strstr(text, "secret"));
    g_assert_nonnull(strstr(text, "control=***"));
}

static char *through_articles(const PesitTextRules *rules, const char *text)
{
    const uint8_t *at = (const uint8_t *)text, *article;
    size_t left = strlen(text), length, taken, pending = 0, written;
    uint8_t padding[128], buffer[512];
    GString *result = g_string_new(NULL);

    while (pesit_article_cut(rules, at, left, true, padding, &article, &length, &taken) ==
           PESIT_OK) {
        at += taken;
        left -= taken;
        g_assert_cmpint(pesit_article_join(rules, article, length, true, &pending, buffer,
                                           sizeof buffer, &written),
                        ==, PESIT_OK);
        g_string_append_len(result, (const char *)buffer, (gssize)written);
    }
    return g_string_free(result, FALSE);
}

/* cases 309 to 315 */
static void test_articles(void)
{
    static const struct {
        const char *what;
        PesitTextRules rules;
        const char *text, *expected;
    } CASES[] = {
            {"LF", {.article_bytes = 20}, "a\nbb\n", "a\nbb\n"},
            {"CR LF read", {.article_bytes = 20}, "a\r\nb\rc\r\n", "a\nb\rc\n"},
            {"CR LF written", {.article_bytes = 20, .line_end = PESIT_EOL_CRLF}, "a\n", "a\r\n"},
            {"no last end", {.article_bytes = 20}, "a\nb", "a\nb\n"},
            {"empty line", {.article_bytes = 20}, "a\n\nb\n", "a\n \nb\n"},
            {"empty line, zero",
             {.article_bytes = 20, .empty_line = PESIT_EMPTY_ZERO},
             "\nb\n",
             "\nb\n"},
            {"fixed", {.format = PESIT_TEXT_FIXED, .article_bytes = 4}, "a\n", "a   \n"},
            {"fixed, trimmed",
             {.format = PESIT_TEXT_FIXED, .article_bytes = 4, .trim = true},
             "a b\n",
             "a b\n"},
            {"long, refused", {.article_bytes = 3}, "abcd\n", ""},
            {"long, cut",
             {.article_bytes = 3, .long_line = PESIT_LONG_TRUNCATE},
             "abcd\ne\n",
             "abc\ne\n"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *got = through_articles(&CASES[i].rules, CASES[i].text);

        g_test_message("%s", CASES[i].what);
        g_assert_cmpstr(got, ==, CASES[i].expected);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/codec/tables", test_tables);
    g_test_add_func("/codec/round-trip", test_round_trip);
    g_test_add_func("/codec/worked-bytes", test_worked_bytes);
    g_test_add_func("/codec/tolerance", test_tolerance);
    g_test_add_func("/codec/length-forms", test_length_forms);
    g_test_add_func("/codec/misuse", test_misuse);
    g_test_add_func("/codec/trace", test_trace_masks_secrets);
    g_test_add_func("/codec/articles", test_articles);
    return g_test_run();
}
