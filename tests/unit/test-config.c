/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration: defaults, values laid over profiles, and complaints that name line, key and what would
 * be right.
 */
#include "base/error.h"
#include "daemon/config.h"

#include <glib/gstdio.h>
#include <string.h>

#define PARTNER "partners = ( { name = \"B\"; identifier = \"BANK\"; "
#define FILES   "files = ( { pattern = \"out/*\"; mode = \"send\"; "

static Config *load(const char *text, GError **error)
{
    g_autofree char *folder = g_dir_make_tmp("config-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "pesitd.conf", NULL);
    Config *config;

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    config = config_load(path, error);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    return config;
}

static Config *load_with(const char *text, GPtrArray *definitions, GError **error)
{
    g_autofree char *folder = g_dir_make_tmp("config-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "pesitd.conf", NULL);
    Config *config;

    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    config = config_load_with(path, definitions, error);
    g_assert_cmpint(g_unlink(path), ==, 0);
    g_assert_cmpint(g_rmdir(folder), ==, 0);
    return config;
}

/* A definition of the store among those of the file; NULL: it is taken, else a word of the complaint. */
static void define(const char *partner, const char *pattern, const char *settings, const char *word)
{
    g_autoptr(GPtrArray) definitions =
            g_ptr_array_new_with_free_func((GDestroyNotify)definition_free);
    g_autoptr(GError) error = NULL;
    g_autoptr(Config) config = NULL;

    g_ptr_array_add(definitions, definition_new("C", NULL, "identifier = \"C\"; port = 7;"));
    g_ptr_array_add(definitions, definition_new(partner, pattern, settings));
    config = load_with("node = \"A\";\n" PARTNER FILES "} ); } );", definitions, &error);
    if (word == NULL) {
        g_assert_no_error(error);
        g_assert_cmpuint(config_find_partner(config, "C")->port, ==, 7);
        return;
    }
    g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
    g_assert_nonnull(strstr(error->message, word));
    g_assert_nonnull(strstr(error->message, "store, "));
}

static void test_definitions(void)
{
    define("D", NULL, "identifier = \"D\";", NULL);
    define("C", "in/*", "mode = \"receive\";", NULL);
    define("B", "in/*", "mode = \"receive\";", NULL); /* to a partner of the file */
    define("B", NULL, "identifier = \"D\";", "two partners have the name 'B'");
    define("D", NULL, "identifier = \"BANK\";", "same identifier");
    define("D", NULL, "", "needs 'identifier'");
    define("D", NULL, "identifier = \"D\"; prot = 1;", "did you mean 'port'");
    define("D", NULL, "identifier = \"D\"; port = 70000;", "1 to 65535");
    define("D", NULL, "identifier = \"D\"; name = \"E\";", "not among the settings");
    define("D", NULL, "@include \"/etc/passwd\"", "for files");
    define("D", NULL, "identifier = ", "syntax error");
    define("D", NULL,
           "identifier = \"CR\xc9"
           "DIT\";",
           "'identifier' is not UTF-8: its byte 3 is 0xC9, as in a file saved as ISO 8859-1");
    define("B", "out/*", "mode = \"send\"; file_name = \"{date:\xe9}\";",
           "'file_name' is not UTF-8");
    define("D", NULL, "identifier = \"D\"; addresses = [ \"\xff\" ];", "'addresses' is not UTF-8");
    define("B", "out/*", "mode = \"send\";", "twice");
    define("B", "in/*", "", "needs 'mode'");
    define("Z", "in/*", "mode = \"send\";", "no partner");
}

static void test_defaults(void)
{
    GError *error = NULL;
    g_autoptr(Config) config = load("node = \"A\";\n" PARTNER FILES "} ); } );", &error);
    const Partner *partner;
    const VirtualFile *file;

    g_assert_no_error(error);
    g_assert_cmpstr(config->spool_path, ==, "/var/lib/pesitfs/spool");
    g_assert_cmpuint(config->socket_mode, ==, 0660);
    g_assert_cmpuint(config->protocol_ms, ==, 120000);
    g_assert_cmpuint(config->spool_reserve_bytes, ==, 256 << 20);
    g_assert_true(config->read_supported);
    g_assert_cmpint(config->log_level, ==, LOG_LEVEL_NOTICE);
    partner = config_find_partner(config, "B");
    g_assert_true(partner == config_find_partner_by_identifier(config, "BANK"));
    g_assert_null(config_find_partner(config, "BANK"));
    g_assert_cmpstr(partner->local_identifier, ==, "A");
    g_assert_cmpstr(partner->profile.name, ==, "standard");
    g_assert_cmpuint(partner->retry_delays_s->len, ==, 5);
    g_assert_true(partner->may_read);
    file = g_ptr_array_index(partner->files, 0);
    g_assert_cmpstr(file->file_name, ==, "{name}");
    g_assert_cmpuint(file->data_code, ==, 2);
    g_assert_cmpint(file->ack, ==, ACK_SENT);
    g_assert_cmpuint(file->wait_s, ==, 600);
}

static void check_label(const char *settings, const char *keys, const char *label)
{
    g_autofree char *text =
            g_strconcat("node = \"A\";\n" PARTNER, settings, FILES, keys, "} ); } );", NULL);
    GError *error = NULL;
    g_autoptr(Config) config = load(text, &error);
    const VirtualFile *file;

    g_assert_no_error(error);
    file = g_ptr_array_index(config_find_partner(config, "B")->files, 0);
    g_assert_cmpstr(file->label, ==, label);
}

static void test_labels(void)
{
    check_label("", "", NULL);
    check_label("profile = \"cft\"; ", "", "{name}");
    check_label("label_is_name = true; ", "", "{name}");
    check_label("profile = \"cft\"; ", "label = \"L\"; ", "L");
    check_label("profile = \"cft\"; label_is_name = false; ", "", NULL);
}

static void test_values(void)
{
    GError *error = NULL;
    g_autoptr(Config) config = load(
            "node = \"A\"; paths: { spool = \"s\"; socket_mode = \"0600\"; }; log: { level = "
            "\"debug\"; format = \"json\"; };\n" PARTNER
            "profile = \"pesit-wizard\"; sync_window = 3; strict = true; retry_delays_s = [1, 2];\n"
            "addresses = [\"192.0.2.0/24\"]; time_zone = \"Europe/Paris\"; tls: { enabled = true; "
            "min_version = \"1.3\"; };\n" FILES
            "format = \"text\"; max_mb = 3; existing = \"number\"; line_end = \"crlf\"; } ); } );",
            &error);
    const Partner *partner;
    const VirtualFile *file;

    g_assert_no_error(error);
    g_assert_true(g_path_is_absolute(config->spool_path));
    g_assert_true(g_str_has_suffix(config->spool_path, "/s"));
    g_assert_cmpuint(config->socket_mode, ==, 0600);
    g_assert_cmpint(config->log_format, ==, LOG_FORMAT_JSON);
    partner = config_find_partner(config, "B");
    g_assert_cmpuint(partner->profile.sync_window, ==, 3);
    g_assert_cmpuint(partner->profile.sync_interval_kb, ==,
                     pesit_profile_find("pesit-wizard")->sync_interval_kb);
    g_assert_true(partner->profile.strict);
    g_assert_cmpuint(g_array_index(partner->retry_delays_s, uint32_t, 1), ==, 2);
    g_assert_cmpuint(partner->tls.min_version, ==, 0x0304);
    file = g_ptr_array_index(partner->files, 0);
    g_assert_cmpuint(file->max_bytes, ==, 3 << 20);
    g_assert_cmpint(file->existing, ==, EXISTING_NUMBER);
    g_assert_cmpint(file->line_end, ==, PESIT_EOL_CRLF);
    g_assert_cmpuint(file->data_code, ==, 0);
}

static void test_complaints(void)
{
    static const struct {
        const char *text, *line, *what;
    } CASES[] = {
            {"nod = \"A\";", ":1:", "did you mean 'node'"},
            {"node = \"A\";\ntimers: { protocol_s = 3; };",
             ":2:", "did you mean 'timers.protocol_ms'"},
            {"timers: { protocol_ms = -1; };", ":1:", "must be 0 to"},
            {"timers: { protocol_ms = \"1\"; };", ":1:", "whole number"},
            {"store: { password = \"x\"; };", ":1:", "needs 'store.backend' \"postgres\""},
            {"store: { backend = \"postgres\"; password = \"file:/nowhere/p\"; };",
             ":1:", "/nowhere/p"},
            {"timers = 3;", ":1:", "must be a group"},
            {"server: { read_supported = 1; };", ":1:", "true or false"},
            {"log: { level = \"loud\"; };", ":1:", "\"notice\""},
            {"paths: { socket_mode = \"rw\"; };", ":1:", "permission bits"},
            {"paths: { key_file = \"/nowhere/key\"; };", ":1:", "/nowhere/key"},
            {"node = \"0123456789012345678901234\";", ":1:", "25 characters"},
            {"listeners = ( { port = 1; tls: { certificate = \"/nowhere/c\"; key = \"/nowhere/k\"; "
             "}; } );",
             ":1:", "/nowhere/c"},
            {"listeners = ( { port = 1; tls: { client_certificate = \"required\"; }; } );",
             ":1:", "authorities"},
            {"listeners = ( 3 );", ":1:", "must be a group"},
            {"partners = 3;", ":1:", "must be a list"},
            {"partners = ( { name = \"B\"; } );", ":1:", "identifier"},
            {"partners = ( { name = \"a/b\"; identifier = \"B\"; } );", ":1:", "a/b"},
            {PARTNER "} );", ":1:", "local_identifier"},
            {"node = \"A\";" PARTNER "profile = \"cfd\"; } );", ":1:", "cfd"},
            {"node = \"A\";" PARTNER "time_zone = \"Mars/Olympus\"; } );", ":1:", "Mars/Olympus"},
            {"node = \"A\";" PARTNER "addresses = [\"192.0.2.0/33\"]; } );", ":1:", "192.0.2.0/33"},
            {"node = \"A\";" PARTNER "addresses = [\"\"]; } );", ":1:", "no address"},
            {"node = \"A\";" PARTNER "active_hours = \"8:00-18:00x\"; } );", ":1:", "08:00-20:00"},
            {"node = \"A\";" PARTNER "}, { name = \"B\"; identifier = \"C\"; } );",
             ":1:", "two partners"},
            {"node = \"A\";" PARTNER "}, { name = \"C\"; identifier = \"BANK\"; } );",
             ":1:", "same identifier"},
            {"node = \"A\";" PARTNER FILES "format = \"text-fixed\"; } ); } );",
             ":1:", "record_length"},
            {"node = \"A\";" PARTNER FILES "file_name = \"{nme}\"; } ); } );", ":1:", "{nme}"},
            {"node = \"A\";" PARTNER FILES "patern = 1; } ); } );",
             ":1:", "did you mean 'pattern'"},
            {"node = \"A\";" PARTNER "files = ( { pattern = \"../x\"; mode = \"send\"; } ); } );",
             ":1:", "../x"},
            {"node = \"A\";" PARTNER "files = ( { pattern = \"x\"; } ); } );", ":1:", "mode"},
            {"node = \"A\";" PARTNER FILES "}, { pattern = \"out/*\"; mode = \"send\"; } ); } );",
             ":1:", "twice"},
            {"node = ", ":1:", "syntax error"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", CASES[i].text);
        g_assert_null(load(CASES[i].text, &error));
        g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
        g_test_message("%s", error->message);
        g_assert_nonnull(strstr(error->message, CASES[i].line));
        g_assert_nonnull(strstr(error->message, CASES[i].what));
        g_assert_nonnull(strstr(error->message, "pesitd.conf"));
    }
}

/* Which changes of the text change the partner B. */
static void test_changed_partner(void)
{
#define BEFORE                                                                                     \
    "node = \"A\"; " PARTNER "password_sent = \"x\"; time_zone = \"UTC\"; "                        \
    "addresses = [ \"192.0.2.1\" ]; retry_delays_s = [ 1, 2 ]; " FILES "} ); } );"
    static const struct {
        const char *from, *to;
        bool changed;
    } CASES[] = {
            {"node = \"A\"; ", "node = \"A\"; log: { level = \"debug\"; }; ", false},
            {"time_zone = \"UTC\"; ", "port = 5000; time_zone = \"UTC\"; ", false},
            {"time_zone = \"UTC\"; ", "port = 5001; time_zone = \"UTC\"; ", true},
            {"time_zone = \"UTC\"; ", "time_zone = \"Europe/Paris\"; ", true},
            {"time_zone = \"UTC\"; ", "time_zone = \"UTC\"; profile = \"cft\"; ", true},
            {"time_zone = \"UTC\"; ", "time_zone = \"UTC\"; sync_window = 7; ", true},
            {"time_zone = \"UTC\"; ", "time_zone = \"UTC\"; enabled = false; ", true},
            {"time_zone = \"UTC\"; ", "time_zone = \"UTC\"; tls: { enabled = true; }; ", true},
            {"\"x\"", "\"y\"", true},
            {"password_sent = \"x\"; ", "", true},
            {"192.0.2.1", "192.0.2.2", true},
            {"[ 1, 2 ]", "[ 1, 3 ]", true},
            {"[ 1, 2 ]", "[ 1 ]", true},
            {"mode = \"send\"; ", "mode = \"send\"; max_mb = 1; ", true},
            {"} ); } );", "}, { pattern = \"in/*\"; mode = \"receive\"; } ); } );", true},
            {"name = \"B\"", "name = \"C\"", true},
            {"node = \"A\"", "node = \"Z\"", true}, /* it is our name towards B */
    };
    g_autoptr(Config) before = load(BEFORE, NULL);

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_auto(GStrv) parts = g_strsplit(BEFORE, CASES[i].from, 2);
        g_autofree char *text = g_strjoinv(CASES[i].to, parts);
        g_autoptr(GError) error = NULL;
        g_autoptr(Config) after = load(text, &error);

        g_test_message("%s", text);
        g_assert_no_error(error);
        g_assert_cmpuint(g_strv_length(parts), ==, 2);
        g_assert_cmpint(config_is_partner_changed(before, after, "B"), ==, CASES[i].changed);
    }
    g_assert_false(config_is_partner_changed(before, before, "NOBODY"));
#undef BEFORE
}

static void test_no_file(void)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(config_load("/nowhere/pesitd.conf", &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/config/definitions", test_definitions);
    g_test_add_func("/config/defaults", test_defaults);
    g_test_add_func("/config/values", test_values);
    g_test_add_func("/config/labels", test_labels);
    g_test_add_func("/config/complaints", test_complaints);
    g_test_add_func("/config/changed-partner", test_changed_partner);
    g_test_add_func("/config/no-file", test_no_file);
    return g_test_run();
}
