/* SPDX-License-Identifier: Apache-2.0 */
/* Warnings of certificates that expire: of files and of the store, once a day, until they are renewed. */
#include "base/authority.h"
#include "base/certificate.h"
#include "base/clock.h"
#include "daemon/expiry.h"

#include <glib/gstdio.h>
#include <string.h>

#define HOUR_US (INT64_C(3600) * 1000000)
#define DAY_US  (24 * HOUR_US)

static char *folder;

static char *make_certificate(unsigned days)
{
    const AuthoritySubject subject = {"x", NULL, NULL, NULL};
    g_autofree char *key = authority_make_key("EC", NULL);
    char *made = authority_make_root(key, &subject, days, NULL);

    g_assert_nonnull(made);
    return made;
}

/* A configuration whose one partner trusts a file, and a store of certificates. */
static Config *make_config(const char *in_store)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func((GDestroyNotify)definition_free);
    g_autofree char *path = g_build_filename(folder, "pesitd.conf", NULL);
    g_autofree char *escaped = g_strescape(in_store, NULL);
    g_autofree char *settings =
            g_strdup_printf("kind = \"truststore\"; certificates = \"%s\";", escaped);
    Config *config;

    g_ptr_array_add(list, definition_new(DEFINITION_CERTIFICATES, "trusted", settings));
    g_assert_true(g_file_set_contents(path,
                                      "node = \"N\"; partners = ( { name = \"B\"; identifier = "
                                      "\"B\"; address = \"b.example\";"
                                      " tls: { enabled = true; authorities = \"ca.pem\"; }; } );",
                                      -1, NULL));
    config = config_load_with(path, list, &error);
    g_assert_no_error(error);
    return config;
}

static void write_file(const char *text)
{
    g_autofree char *path = g_build_filename(folder, "ca.pem", NULL);

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void test_once_a_day(void)
{
    g_autofree char *soon = make_certificate(10), *later = make_certificate(400);
    int64_t now_us = clock_wall_us();
    g_autoptr(Config) config = NULL, renewed = NULL;
    g_autoptr(GVariant) told = NULL;
    Expiry *expiry;
    const char *name;
    gint64 expires_us;

    write_file(soon);
    config = make_config(later);
    expiry = expiry_new(config); /* which warns of the file */
    g_assert_cmpuint(expiry_check(expiry, now_us + HOUR_US), ==, 0);
    g_assert_cmpuint(expiry_check(expiry, now_us + DAY_US + HOUR_US), ==, 1);
    g_assert_cmpuint(expiry_check(expiry, now_us + DAY_US + 2 * HOUR_US), ==, 0);
    expiry_set_config(expiry, config); /* nothing is new */
    g_assert_cmpuint(expiry_check(expiry, now_us + DAY_US + 3 * HOUR_US), ==, 0);
    g_assert_cmpuint(expiry_check(expiry, now_us + 20 * DAY_US), ==, 1); /* it has ended */
    told = g_variant_ref_sink(expiry_describe(expiry));
    g_assert_cmpuint(g_variant_n_children(told), ==, 2);
    g_variant_get_child(told, 0, "(&sx)", &name, &expires_us);
    g_assert_true(g_str_has_prefix(name, "file:/") && g_str_has_suffix(name, "/ca.pem"));
    g_assert_cmpint(expires_us, ==, certificate_first_expiry_us(soon));
    g_variant_get_child(told, 1, "(&sx)", &name, &expires_us);
    g_assert_cmpstr(name, ==, "store:trusted");
    write_file(later);
    renewed = make_config(soon);
    expiry_set_config(expiry, renewed); /* warns of the store now */
    g_assert_cmpuint(expiry_check(expiry, now_us + HOUR_US), ==, 0);
    g_assert_cmpuint(expiry_check(expiry, now_us + 380 * DAY_US), ==, 2);
    expiry_free(expiry);
}

int main(int argc, char **argv)
{
    int result;

    g_test_init(&argc, &argv, NULL);
    folder = g_dir_make_tmp("expiry-XXXXXX", NULL);
    g_test_add_func("/expiry/once-a-day", test_once_a_day);
    result = g_test_run();
    for (const char *const *name = (const char *const[]){"pesitd.conf", "ca.pem", NULL};
         *name != NULL; name++) {
        g_autofree char *path = g_build_filename(folder, *name, NULL);

        (void)g_unlink(path);
    }
    (void)g_rmdir(folder);
    g_free(folder);
    return result;
}
