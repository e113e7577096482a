/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partner products: each row as documented, what every row must keep, and single keys of the configuration laid over
 * a row, each of which changes its own switch and nothing else.
 */
#include "daemon/config.h"
#include "protocol/profile.h"

#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

/* clang-format off */
static const PesitProfile EXPECTED[] = {
    { .name = "standard", .framing = PESIT_FRAMING_PREFIXED, .sync_interval_kb = 4096, .sync_window = 4,
      .max_entity_bytes = 32750, .multi_article = true, .segmentation = true, .concatenation = true,
      .restart = true, .free_text_max = 254 },
    { .name = "connect-express", .framing = PESIT_FRAMING_PREFIXED, .sync_interval_kb = 32, .sync_window = 2,
      .max_entity_bytes = 32750, .multi_article = true, .segmentation = true, .concatenation = true,
      .restart = true, .free_text_max = 254 },
    { .name = "cft", .framing = PESIT_FRAMING_PREFIXED, .preconnection = true, .sync_interval_kb = 32767,
      .sync_window = 3, .max_entity_bytes = 32750, .multi_article = true, .segmentation = true,
      .concatenation = true, .send_diagnostic_text = true, .label_is_name = true, .restart = true,
      .free_text_max = 254 },
    { .name = "waarp", .framing = PESIT_FRAMING_PREFIXED, .sync_interval_kb = 1024, .sync_window = 4,
      .max_entity_bytes = 32750, .restart = true, .free_text_max = 254 },
    { .name = "pesit-wizard", .framing = PESIT_FRAMING_PREFIXED, .max_entity_bytes = 4096,
      .abort_as_units = true, .omit_defaults = true, .select_names_id = true, .size_in_bytes = true,
      .free_text_max = 254 },
    { .name = "pesit-wizard-rs", .framing = PESIT_FRAMING_PREFIXED, .sync_interval_kb = 1024, .sync_window = 4,
      .max_entity_bytes = 32750, .multi_article = true, .segmentation = true, .abort_as_units = true,
      .restart = true, .free_text_max = 254 },
};
/* clang-format on */

static void assert_same(const PesitProfile *got, const PesitProfile *expected)
{
    g_assert_cmpstr(got->name, ==, expected->name);
    g_assert_cmpint(got->framing, ==, expected->framing);
    g_assert_cmpint(got->preconnection, ==, expected->preconnection);
    g_assert_cmpuint(got->sync_interval_kb, ==, expected->sync_interval_kb);
    g_assert_cmpuint(got->sync_window, ==, expected->sync_window);
    g_assert_cmpint(got->resync, ==, expected->resync);
    g_assert_cmpuint(got->max_entity_bytes, ==, expected->max_entity_bytes);
    g_assert_cmpint(got->multi_article, ==, expected->multi_article);
    g_assert_cmpint(got->segmentation, ==, expected->segmentation);
    g_assert_cmpint(got->concatenation, ==, expected->concatenation);
    g_assert_cmpint(got->strict, ==, expected->strict);
    g_assert_cmpint(got->abort_as_units, ==, expected->abort_as_units);
    g_assert_cmpint(got->omit_defaults, ==, expected->omit_defaults);
    g_assert_cmpint(got->select_names_id, ==, expected->select_names_id);
    g_assert_cmpint(got->send_diagnostic_text, ==, expected->send_diagnostic_text);
    g_assert_cmpint(got->label_is_name, ==, expected->label_is_name);
    g_assert_cmpint(got->size_in_bytes, ==, expected->size_in_bytes);
    g_assert_cmpint(got->restart, ==, expected->restart);
    g_assert_cmpuint(got->free_text_max, ==, expected->free_text_max);
}

static void test_rows(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(EXPECTED); i++) {
        const PesitProfile *row = pesit_profile_at(i);

        g_assert_nonnull(row);
        assert_same(row, &EXPECTED[i]);
        g_assert_true(pesit_profile_find(EXPECTED[i].name) == row);
    }
    g_assert_null(pesit_profile_at(G_N_ELEMENTS(EXPECTED)));
    g_assert_null(pesit_profile_at(SIZE_MAX));
}

/* No row may ask for what the engine or the specification does not allow. */
static void test_every_row(void)
{
    const PesitProfile *row;

    for (size_t i = 0; (row = pesit_profile_at(i)) != NULL; i++) {
        g_test_message("%s", row->name);
        g_assert_cmpuint(strlen(row->description), >, 20);
        g_assert_cmpint(row->framing, !=, PESIT_FRAMING_AUTO); /* a requester cannot detect */
        g_assert_false(row->resync);
        g_assert_false(row->strict);
        g_assert_cmpuint(row->max_entity_bytes, >=, 128);
        g_assert_cmpuint(row->sync_window, <=, 16);
        g_assert_cmpint(row->sync_window != 0, ==, row->sync_interval_kb != 0);
        g_assert_cmpuint(row->free_text_max, ==, 254); /* PI 99 as the specification has it */
        for (size_t other = 0; other < i; other++)
            g_assert_cmpstr(pesit_profile_at(other)->name, !=, row->name);
    }
}

static void test_names(void)
{
    g_assert_null(pesit_profile_find(""));
    g_assert_null(pesit_profile_find("CFT"));
    g_assert_null(pesit_profile_find("cft "));
    g_assert_null(pesit_profile_find("pesit-wizard-"));
    g_assert_true(pesit_profile_at(0) == pesit_profile_find("standard"));
}

static Config *load(const char *settings)
{
    g_autofree char *folder = g_dir_make_tmp("profile-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "pesitd.conf", NULL);
    g_autofree char *text = g_strconcat("node = \"A\"; partners = ( { name = \"B\"; "
                                        "identifier = \"B\"; ",
                                        settings, " } );", NULL);
    g_autoptr(GError) error = NULL;
    Config *config;

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    config = config_load(path, &error);
    g_assert_no_error(error);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    return config;
}

static void check_overlay(const char *row, const char *keys, const PesitProfile *expected)
{
    g_autofree char *settings = g_strdup_printf("%s profile = \"%s\";", keys, row);
    g_autoptr(Config) config = load(settings);

    g_test_message("%s over %s", keys, row);
    assert_same(&config_find_partner(config, "B")->profile, expected);
}

#define OVER(row, keys, field, value)                                                              \
    do {                                                                                           \
        PesitProfile changed = *pesit_profile_find(row);                                           \
        changed.field = value;                                                                     \
        check_overlay(row, keys, &changed);                                                        \
    } while (0)

/* The keys stand before the profile in the file: their order means nothing. */
static void test_overlay(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(EXPECTED); i++) {
        const char *row = EXPECTED[i].name;

        check_overlay(row, "", &EXPECTED[i]);
        OVER(row, "framing = \"raw\";", framing, PESIT_FRAMING_RAW);
        OVER(row, "preconnection = true;", preconnection, true);
        OVER(row, "preconnection = false;", preconnection, false);
        OVER(row, "sync_interval_kb = 65535;", sync_interval_kb, 65535);
        OVER(row, "sync_window = 16;", sync_window, 16);
        OVER(row, "max_entity_bytes = 128;", max_entity_bytes, 128);
        OVER(row, "multi_article = true;", multi_article, true);
        OVER(row, "multi_article = false;", multi_article, false);
        OVER(row, "segmentation = true;", segmentation, true);
        OVER(row, "segmentation = false;", segmentation, false);
        OVER(row, "concatenation = true;", concatenation, true);
        OVER(row, "concatenation = false;", concatenation, false);
        OVER(row, "strict = true;", strict, true);
        OVER(row, "abort_as_units = true;", abort_as_units, true);
        OVER(row, "abort_as_units = false;", abort_as_units, false);
        OVER(row, "omit_defaults = true;", omit_defaults, true);
        OVER(row, "omit_defaults = false;", omit_defaults, false);
        OVER(row, "select_names_id = true;", select_names_id, true);
        OVER(row, "select_names_id = false;", select_names_id, false);
        OVER(row, "label_is_name = true;", label_is_name, true);
        OVER(row, "label_is_name = false;", label_is_name, false);
        OVER(row, "size_in_bytes = true;", size_in_bytes, true);
        OVER(row, "size_in_bytes = false;", size_in_bytes, false);
        OVER(row, "restart = true;", restart, true);
        OVER(row, "restart = false;", restart, false);
    }
}

/* The rows are shared: one partner's settings must not change them. */
static void test_rows_stay(void)
{
    g_autoptr(Config) config = load("profile = \"cft\"; sync_window = 9; restart = false;");

    g_assert_cmpuint(config_find_partner(config, "B")->profile.sync_window, ==, 9);
    g_assert_cmpuint(pesit_profile_find("cft")->sync_window, ==, 3);
    g_assert_true(pesit_profile_find("cft")->restart);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/profile/rows", test_rows);
    g_test_add_func("/profile/every-row", test_every_row);
    g_test_add_func("/profile/names", test_names);
    g_test_add_func("/profile/overlay", test_overlay);
    g_test_add_func("/profile/rows-stay", test_rows_stay);
    return g_test_run();
}
