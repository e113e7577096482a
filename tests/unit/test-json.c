/* SPDX-License-Identifier: Apache-2.0 */
/* JSON as the administration writes it, read again by jansson: whatever goes in comes out. */
#include "admin/json.h"

#include <glib.h>
#include <jansson.h>
#include <string.h>

#define TEXTS 2000

static GString *open_object(void)
{
    GString *out = g_string_new(NULL);

    json_open(out, NULL, '{');
    return out;
}

/* Ends it, and reads it. Returns new. */
static json_t *close_object(GString *out)
{
    json_error_t failure;
    json_t *root;

    json_close(out, '}');
    root = json_loadb(out->str, out->len, JSON_REJECT_DUPLICATES, &failure);
    g_assert_nonnull(root);
    (void)g_string_free(out, TRUE); /* nothing */
    return root;
}

static const char *text_of(const json_t *root, const char *key)
{
    return json_string_value(json_object_get(root, key));
}

static void test_numbers(void)
{
    static const int64_t NUMBERS[] = {
            0, 9, 10, -1, INT32_MAX, -1000, INT64_MAX, INT64_MIN, INT64_MIN + 1, 1795608000123456};

    for (size_t i = 0; i < G_N_ELEMENTS(NUMBERS); i++) {
        GString *out = open_object();
        json_t *root;

        json_number(out, "before", 7);
        json_number(out, "number", NUMBERS[i]);
        root = close_object(out);
        g_assert_cmpint(json_integer_value(json_object_get(root, "before")), ==, 7);
        g_assert_cmpint(json_integer_value(json_object_get(root, "number")), ==, NUMBERS[i]);
        json_decref(root);
    }
}

static void test_texts(void)
{
    g_autoptr(GRand) random = g_rand_new_with_seed(17);

    for (int i = 0; i < TEXTS; i++) {
        static const char *const PARTS[] = {"a",    "out/x", "\"", "\\", "\n", "\x01",
                                            "\x1f", "\x7f",  "/",  "é",  "€",  "𝄞",
                                            "\xff", "\xc3",  ":",  ","};
        g_autoptr(GString) text = g_string_new(NULL);
        g_autofree char *valid = NULL;
        GString *out = open_object();
        json_t *root;

        for (gint32 n = g_rand_int_range(random, 0, 9); n > 0; n--)
            g_string_append(text, PARTS[g_rand_int_range(random, 0, G_N_ELEMENTS(PARTS))]);
        valid = g_utf8_make_valid(text->str, -1);
        json_text(out, "one", text->str);
        json_text(out, "none", NULL);
        json_text(out, "two", text->str);
        root = close_object(out);
        g_assert_cmpstr(text_of(root, "one"), ==, valid);
        g_assert_cmpstr(text_of(root, "two"), ==, valid);
        g_assert_true(json_is_null(json_object_get(root, "none")));
        json_decref(root);
    }
}

static void test_times(void)
{
    GString *out = open_object();
    json_t *root;

    json_time(out, "never", 0);
    json_time(out, "then", INT64_C(1795608000123456));
    root = close_object(out);
    g_assert_true(json_is_null(json_object_get(root, "never")));
    g_assert_cmpstr(text_of(root, "then"), ==, "2026-11-25T12:00:00.123456Z");
    json_decref(root);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/numbers", test_numbers);
    g_test_add_func("/json/texts", test_texts);
    g_test_add_func("/json/times", test_times);
    return g_test_run();
}
