/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decoder on recorded dialogues of tests/vectors: each FPDU is the one that its comment names, and what
 * our own encoder can say comes back byte for byte.
 */
#include "protocol/fpdu.h"

#include <glib.h>
#include <string.h>

static GByteArray *parse_hex(const char *text)
{
    GByteArray *bytes = g_byte_array_new();
    g_auto(GStrv) words = g_strsplit(text, " ", -1);

    for (char **word = words; *word != NULL; word++) {
        if (**word != '\0') {
            uint8_t byte = (uint8_t)g_ascii_strtoull(*word, NULL, 16);

            g_byte_array_append(bytes, &byte, 1);
        }
    }
    return bytes;
}

/* Frames whose recorder lost the bodies of groups cannot come back. */
static bool is_whole(const GByteArray *bytes)
{
    for (guint i = 6; i + 1 < bytes->len; i++) {
        guint8 code = bytes->data[i];

        if ((code == 9 || code == 30 || code == 40 || code == 50) && bytes->data[i + 1] == 0)
            return false;
    }
    return true;
}

static void check_line(char *line)
{
    char *name = strstr(line, "  # ");
    g_autoptr(GByteArray) bytes = NULL;
    uint8_t again[PESIT_FPDU_MAX_BYTES];
    PesitFpdu fpdu;
    PesitDiag diag;
    size_t length = 0;

    g_assert_nonnull(name);
    *name = '\0';
    name += strlen("  # ");
    bytes = parse_hex(line + 2);
    g_test_message("%s", name);
    if (g_str_equal(name, "DTF"))
        return; /* data: not the control decoder's */
    g_assert_cmpint(pesit_fpdu_decode(bytes->data, bytes->len, false, &fpdu, NULL, &diag), ==,
                    PESIT_OK);
    g_assert_cmpstr(pesit_fpdu_name(fpdu.type), ==, name);
    if (!is_whole(bytes))
        return;
    g_assert_cmpint(pesit_fpdu_encode(&fpdu, again, sizeof again, &length), ==, PESIT_OK);
    g_assert_cmpmem(again, length, bytes->data, bytes->len);
}

static void test_dialogue(gconstpointer data)
{
    g_autofree char *path = g_build_filename(g_getenv("SOURCE_ROOT"), "tests/vectors", data, NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    unsigned count = 0;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line != NULL; line++) {
        if (**line == '<' || **line == '>') {
            check_line(*line);
            count++;
        }
    }
    g_assert_cmpuint(count, >=, 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/vectors/connect-release", "connect-release.hex", test_dialogue);
    g_test_add_data_func("/vectors/simple-push", "simple-push.hex", test_dialogue);
    g_test_add_data_func("/vectors/simple-pull", "simple-pull.hex", test_dialogue);
    return g_test_run();
}
