/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The line of text for an FPDU: what it says, and what it must never say. Secrets are looked for as text and as
 * hexadecimal, in every FPDU, wherever the parameter stands and however the FPDU is cut.
 */
#include "protocol/catalogue.h"

#include <glib.h>
#include <string.h>

#define SECRET     "Geheim42"
#define SECRET_HEX "47656865696d3432"
#define LINE_BYTES 4096

static const uint8_t SECRETS[] = {
        PESIT_PI_ACCESS_CONTROL, PESIT_PI_FILE_ACCESS_CONTROL, PESIT_PI_AUTHENTICATION,
        PESIT_PI_SEALING,        PESIT_PI_ENCRYPTION,
};

static GByteArray *start(PesitFpduType type)
{
    GByteArray *bytes = g_byte_array_new();
    uint8_t header[PESIT_HEADER_BYTES] = {0, 0, 0, 0, 0x61, 1};

    pesit_fpdu_to_wire(type, &header[2], &header[3]);
    return g_byte_array_append(bytes, header, sizeof header);
}

static void add(GByteArray *bytes, uint8_t pi, const void *value, uint8_t length)
{
    g_byte_array_append(bytes, &pi, 1);
    g_byte_array_append(bytes, &length, 1);
    g_byte_array_append(bytes, value, length);
}

static void finish(GByteArray *bytes)
{
    bytes->data[0] = (uint8_t)(bytes->len >> 8);
    bytes->data[1] = (uint8_t)bytes->len;
}

static void assert_silent(const uint8_t *bytes, size_t length)
{
    char line[LINE_BYTES];
    g_autofree char *lower = NULL;

    g_assert_cmpuint(pesit_fpdu_format(bytes, length, line, sizeof line), <, sizeof line);
    lower = g_ascii_strdown(line, -1);
    g_assert_null(strstr(line, SECRET));
    g_assert_null(strstr(lower, SECRET_HEX));
    for (size_t at = 0; at + 3 <= strlen(SECRET); at++) { /* no part of it either */
        g_autofree char *part = g_strndup(&SECRET[at], 3);
        g_autofree char *hex = g_strndup(&SECRET_HEX[2 * at], 6);

        g_assert_null(strstr(line, part));
        g_assert_null(strstr(lower, hex));
    }
}

static void assert_silent_when_cut(const GByteArray *bytes)
{
    for (guint length = 0; length <= bytes->len; length++) {
        g_autofree uint8_t *copy = g_memdup2(bytes->data, length);

        assert_silent(copy, length);
    }
}

static void test_secrets_are_marked(void)
{
    for (unsigned pi = 0; pi < PESIT_PI_COUNT; pi++) {
        const PesitPiRow *row = pesit_pi_find(pi);

        if (row != NULL)
            g_assert_cmpint(row->secret, ==, memchr(SECRETS, (int)pi, sizeof SECRETS) != NULL);
    }
}

static void test_secrets(void)
{
    for (unsigned type = 1; type < PESIT_FPDU_COUNT; type++) {
        for (size_t i = 0; i < sizeof SECRETS; i++) {
            g_autoptr(GByteArray) alone = start((PesitFpduType)type);
            g_autoptr(GByteArray) among = start((PesitFpduType)type);
            g_autoptr(GByteArray) twice = start((PesitFpduType)type);

            add(alone, SECRETS[i], SECRET, (uint8_t)strlen(SECRET));
            add(among, PESIT_PI_REQUESTER, "LOOP", 4);
            add(among, SECRETS[i], SECRET, (uint8_t)strlen(SECRET));
            add(among, PESIT_PI_FREE_TEXT, "hello", 5);
            add(twice, SECRETS[i], SECRET SECRET, (uint8_t)(2 * strlen(SECRET)));
            add(twice, SECRETS[i], SECRET, (uint8_t)strlen(SECRET));
            finish(alone);
            finish(among);
            finish(twice);
            assert_silent_when_cut(alone);
            assert_silent_when_cut(among);
            assert_silent_when_cut(twice);
        }
    }
}

/* Not where they belong: in a group, in a group of a group, or with the long form of the length. */
static void test_secrets_elsewhere(void)
{
    for (size_t i = 0; i < sizeof SECRETS; i++) {
        g_autoptr(GByteArray) grouped = start(PESIT_FPDU_CREATE);
        g_autoptr(GByteArray) nested = start(PESIT_FPDU_CREATE);
        g_autoptr(GByteArray) longer = start(PESIT_FPDU_CONNECT);
        uint8_t unit[] = {SECRETS[i], 0xFF, 0, (uint8_t)strlen(SECRET)};
        uint8_t inside[32] = {SECRETS[i], (uint8_t)strlen(SECRET)};

        memcpy(inside + 2, SECRET, strlen(SECRET));
        add(grouped, PESIT_PGI_FILE, inside, (uint8_t)(2 + strlen(SECRET)));
        memmove(inside + 2, inside, 2 + strlen(SECRET));
        inside[0] = PESIT_PGI_LOGICAL;
        inside[1] = (uint8_t)(2 + strlen(SECRET));
        add(nested, PESIT_PGI_FILE, inside, (uint8_t)(4 + strlen(SECRET)));
        g_byte_array_append(longer, unit, sizeof unit);
        g_byte_array_append(longer, (const uint8_t *)SECRET, (guint)strlen(SECRET));
        finish(grouped);
        finish(longer);
        finish(nested);
        assert_silent_when_cut(grouped);
        assert_silent_when_cut(nested);
        assert_silent_when_cut(longer);
    }
}

/* Data of files, and the message before CONNECT, in which a password stands. */
static void test_contents(void)
{
    static const uint8_t BEFORE[24] = "\0\x18\xD7\xC5\xE2\xC9\xE3\x40"
                                      "COMPANY " SECRET;
    static const PesitFpduType DATA[] = {PESIT_FPDU_DTF, PESIT_FPDU_DTFDA, PESIT_FPDU_DTFMA,
                                         PESIT_FPDU_DTFFA};

    assert_silent(BEFORE, sizeof BEFORE);
    assert_silent((const uint8_t *)SECRET, strlen(SECRET));
    for (size_t i = 0; i < G_N_ELEMENTS(DATA); i++) {
        g_autoptr(GByteArray) bytes = start(DATA[i]);

        g_byte_array_append(bytes, (const uint8_t *)SECRET, (guint)strlen(SECRET));
        finish(bytes);
        assert_silent_when_cut(bytes);
    }
}

static void check_line(GByteArray *bytes, const char *expected)
{
    char line[LINE_BYTES];

    finish(bytes);
    g_assert_cmpuint(pesit_fpdu_format(bytes->data, bytes->len, line, sizeof line), ==,
                     strlen(expected));
    g_assert_cmpstr(line, ==, expected);
    for (size_t capacity = 0; capacity <= strlen(expected); capacity++) {
        g_autofree char *exact = g_malloc(MAX(capacity, 1)); /* a byte too far is seen */

        exact[0] = 'x';
        g_assert_cmpuint(pesit_fpdu_format(bytes->data, bytes->len, exact, capacity), ==,
                         strlen(expected));
        if (capacity == 0)
            g_assert_cmpint(exact[0], ==, 'x');
        else
            g_assert_cmpint(strncmp(exact, expected, capacity - 1), ==, 0);
        if (capacity > 0)
            g_assert_cmpint(exact[capacity - 1], ==, '\0');
    }
}

static void test_lines(void)
{
    g_autoptr(GByteArray) connect = start(PESIT_FPDU_CONNECT);
    g_autoptr(GByteArray) create = start(PESIT_FPDU_CREATE);
    g_autoptr(GByteArray) refused = start(PESIT_FPDU_ACK_CREATE);
    g_autoptr(GByteArray) aborted = start(PESIT_FPDU_ABORT);
    g_autoptr(GByteArray) data = start(PESIT_FPDU_DTF);
    g_autoptr(GByteArray) empty = start(PESIT_FPDU_ORF);

    add(connect, 3, "LOOP  ", 6);
    add(connect, 5, SECRET, 8);
    add(connect, 6, "\2", 1);
    add(connect, 7, "\0\x20\2", 3);
    add(connect, 200, "\1\xAB", 2);
    check_line(connect, "CONNECT dst=97 src=1 PI 3 requester=\"LOOP\" PI 5 access control=***"
                        " PI 6 version=2 PI 7 sync option=32 KB window 2 PI 200 unknown=01ab");
    add(create, 9, "\13\1\0\14\4A\"\\\n", 9);
    add(create, 31, "\x80", 1);
    check_line(create, "CREATE dst=97 src=1 PGI 9 file { PI 11 file type=0 PI 12 file "
                       "name=\"A\\x22\\x5c\\x0a\" } PI 31 article format=80");
    add(refused, 2, "\2\0\xCC", 3);
    check_line(refused, "ACK(CREATE) dst=97 src=1 PI 2 diagnostic=2/204 file already exists");
    g_byte_array_append(aborted, (const uint8_t *)"\3\1\x3E", 3);
    check_line(aborted, "ABORT dst=97 src=1 3/318 mandatory parameter missing or illegal content");
    g_byte_array_append(data, (const uint8_t *)"four", 4);
    check_line(data, "DTF dst=97 src=1 data=4");
    check_line(empty, "ORF dst=97 src=1");
}

static void test_long_and_broken(void)
{
    g_autoptr(GByteArray) text = start(PESIT_FPDU_RELCONF);
    g_autoptr(GByteArray) past = start(PESIT_FPDU_WRITE);
    g_autoptr(GByteArray) many = start(PESIT_FPDU_WRITE);
    g_autoptr(GString) expected = g_string_new("RELCONF dst=97 src=1 PI 99 free text=\"");
    char value[100], line[LINE_BYTES];

    memset(value, 'v', sizeof value);
    add(text, 99, value, 100);
    for (int i = 0; i < 64; i++)
        g_string_append_c(expected, 'v');
    g_string_append(expected, "\"... (100 bytes)");
    check_line(text, expected->str);
    add(past, 20, "\1", 1);
    past->data[past->len - 2] = 9;
    check_line(past, "WRITE dst=97 src=1 PI 20 runs past its end");
    for (int i = 0; i < 200; i++)
        add(many, 20, "\1", 1);
    finish(many);
    g_assert_cmpuint(pesit_fpdu_format(many->data, many->len, line, sizeof line), <, sizeof line);
    g_assert_true(g_str_has_suffix(line, " ..."));
    finish(text);
    (void)pesit_fpdu_format(text->data, text->len - 1, line, sizeof line);
    g_assert_nonnull(strstr(line, " cut after 107 of 108 bytes:"));
    (void)pesit_fpdu_format((const uint8_t *)"\0\5\x40\x20\0\1", 6, line, sizeof line);
    g_assert_cmpstr(line, ==, "not an FPDU (6 bytes)");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/trace/secrets-are-marked", test_secrets_are_marked);
    g_test_add_func("/trace/secrets", test_secrets);
    g_test_add_func("/trace/secrets-elsewhere", test_secrets_elsewhere);
    g_test_add_func("/trace/contents", test_contents);
    g_test_add_func("/trace/lines", test_lines);
    g_test_add_func("/trace/long-and-broken", test_long_and_broken);
    return g_test_run();
}
