/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reason codes in words: every code of annex D and every other one that products send, with its class and
 * its text; and that no other number has a meaning. The table is written from the documents, not from the code.
 */
#include "protocol/fpdu.h"

#include <glib.h>
#include <string.h>

#define CODES 1000

typedef struct {
    uint16_t code;
    uint8_t type; /* 0 good, 1 warning, 2 the file, 3 the connection */
    const char *text;
} Expected;

/* clang-format off */
static const Expected ANNEX_D[] = {
    { 0, 0, "success" },
    { 100, 1, "transmission error" },
    { 200, 2, "insufficient file characteristics" },
    { 201, 2, "system resources temporarily short" },
    { 202, 2, "user resources temporarily short" },
    { 203, 2, "transfer not of sufficient priority" },
    { 204, 2, "file already exists" },
    { 205, 2, "file does not exist" },
    { 206, 2, "would exceed the disk quota" },
    { 207, 2, "file busy" },
    { 208, 2, "file not old enough" },
    { 209, 2, "message type not accepted" },
    { 210, 2, "presentation context negotiation failed" },
    { 211, 2, "cannot open the file" },
    { 212, 2, "cannot close the file normally" },
    { 213, 2, "blocking input/output error" },
    { 214, 2, "restart point negotiation failed" },
    { 215, 2, "system-specific error" },
    { 216, 2, "voluntary early stop" },
    { 217, 2, "too many synchronisation points not acknowledged" },
    { 218, 2, "resynchronisation impossible" },
    { 219, 2, "file space exhausted" },
    { 220, 2, "article longer than expected" },
    { 221, 2, "end-of-transmission delay expired" },
    { 222, 2, "too much data without a synchronisation point" },
    { 223, 2, "abnormal end of transfer" },
    { 224, 2, "file larger than announced" },
    { 225, 2, "receiving application congested, the file was received" },
    { 226, 2, "transfer refused" },
    { 299, 2, "other error about the file" },
    { 300, 3, "local communication system congested" },
    { 301, 3, "called identifier unknown" },
    { 302, 3, "called party not attached" },
    { 303, 3, "remote communication system congested, too many connections" },
    { 304, 3, "requester not authorised" },
    { 305, 3, "SELECT negotiation failed" },
    { 306, 3, "RESYN negotiation failed" },
    { 307, 3, "SYNC negotiation failed" },
    { 308, 3, "version not supported" },
    { 309, 3, "too many connections for this partner" },
    { 310, 3, "network incident" },
    { 311, 3, "remote PeSIT protocol error" },
    { 312, 3, "closed by the user" },
    { 313, 3, "idle timer expired" },
    { 314, 3, "unused connection closed for another" },
    { 315, 3, "negotiation failure" },
    { 316, 3, "closed by administration" },
    { 317, 3, "timer expired" },
    { 318, 3, "mandatory parameter missing or illegal content" },
    { 319, 3, "byte or article count wrong" },
    { 320, 3, "too many resynchronisations" },
    { 321, 3, "call the rescue number" },
    { 322, 3, "call back later" },
    { 399, 3, "other error about the connection" },
};

/* Not of annex D: what is behind "vendor code: ". 227 to 230 mean two things, by who sends them. */
static const Expected VENDORS[] = {
    { 139, 1, "invalid file attributes" },
    { 227, 2, "restart refused" },
    { 228, 2, "file type not supported, or restart refused" },
    { 229, 2, "file type not for this direction, or restart refused" },
    { 230, 2, "file type not for this application, or restart refused" },
    { 231, 2, "transfer identifier not unique" },
    { 232, 2, "coding does not go with the file type" },
    { 233, 2, "restart context not available" },
    { 234, 2, "entity size does not go with the record" },
    { 235, 2, "record format does not go with the type" },
    { 236, 2, "record length does not go with the type" },
    { 237, 2, "client identifier wrong" },
    { 238, 2, "client not authorised" },
    { 239, 2, "client and bank do not go together" },
    { 240, 2, "client not authorised on the server" },
    { 241, 2, "bank not authorised on the server" },
    { 242, 2, "old password invalid" },
    { 243, 2, "new password invalid" },
    { 245, 2, "incorrect file length" },
    { 246, 2, "no such file for this client" },
    { 247, 2, "no such file on the server" },
    { 248, 2, "identifier type not supported" },
    { 249, 2, "nominative reference not supported" },
    { 250, 2, "file already transferred" },
    { 251, 2, "reference type not supported" },
    { 252, 2, "start date too old" },
    { 253, 2, "bad dates" },
    { 254, 2, "file service closed" },
    { 323, 3, "CRC does not go with the connection" },
    { 324, 3, "bad requester identifier" },
    { 325, 3, "old password invalid" },
    { 326, 3, "new password invalid" },
    { 327, 3, "receive access closed" },
    { 328, 3, "receive access not supported" },
    { 329, 3, "send access closed" },
    { 330, 3, "send access not supported" },
    { 331, 3, "timer too large" },
    { 332, 3, "write not negotiated" },
    { 333, 3, "read not negotiated" },
    { 334, 3, "reverse charging refused" },
    { 335, 3, "caller number refused" },
    { 336, 3, "server date refused" },
};
/* clang-format on */

static void check_class(const Expected *row)
{
    g_assert_cmpuint(row->type, ==, row->code / 100); /* of the table above */
    g_assert_cmpint(pesit_diag_is_negative(PESIT_DIAG(row->type, row->code)), ==, row->code >= 200);
}

static void test_annex_d(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(ANNEX_D); i++) {
        check_class(&ANNEX_D[i]);
        g_assert_cmpstr(pesit_diag_text(PESIT_DIAG(ANNEX_D[i].type, ANNEX_D[i].code)), ==,
                        ANNEX_D[i].text);
    }
}

static void test_vendor_codes(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(VENDORS); i++) {
        g_autofree char *text = g_strconcat("vendor code: ", VENDORS[i].text, NULL);

        check_class(&VENDORS[i]);
        g_assert_cmpstr(pesit_diag_text(PESIT_DIAG(VENDORS[i].type, VENDORS[i].code)), ==, text);
    }
}

/* The gaps: 244 was never given out, and a partner may send any number. */
static void test_other_codes(void)
{
    bool known[CODES] = {false};

    for (size_t i = 0; i < G_N_ELEMENTS(ANNEX_D); i++)
        known[ANNEX_D[i].code] = true;
    for (size_t i = 0; i < G_N_ELEMENTS(VENDORS); i++)
        known[VENDORS[i].code] = true;
    g_assert_false(known[244]);
    for (uint16_t code = 0; code < CODES; code++) {
        if (!known[code])
            g_assert_cmpstr(pesit_diag_text(PESIT_DIAG(2, code)), ==, "vendor code");
    }
    g_assert_cmpstr(pesit_diag_text(PESIT_DIAG(3, 65535)), ==, "vendor code");
}

/* The type says yes or no, the code what to show: a partner may send a pair that does not match. */
static void test_pairs_that_do_not_match(void)
{
    g_assert_true(pesit_diag_is_negative(PESIT_DIAG(3, 0)));
    g_assert_true(pesit_diag_is_negative(PESIT_DIAG(2, 100)));
    g_assert_true(pesit_diag_is_negative(PESIT_DIAG(255, 0)));
    g_assert_false(pesit_diag_is_negative(PESIT_DIAG(1, 205)));
    g_assert_false(pesit_diag_is_negative(PESIT_DIAG(0, 318)));
    g_assert_cmpstr(pesit_diag_text(PESIT_DIAG(0, 318)), ==,
                    "mandatory parameter missing or illegal content");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/diagnostic/annex-d", test_annex_d);
    g_test_add_func("/diagnostic/vendor", test_vendor_codes);
    g_test_add_func("/diagnostic/other", test_other_codes);
    g_test_add_func("/diagnostic/pairs", test_pairs_that_do_not_match);
    return g_test_run();
}
