/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names between the mount and the wire, and when and from where a partner may call: tables of cases.
 */
#include "base/error.h"
#include "daemon/transfer/partner.h"
#include "daemon/transfer/rule.h"

#include <string.h>

#define NOON INT64_C(1795608000) /* 2026-11-25T12:00:00Z */

static RuleContext context_of(const char *name)
{
    return (RuleContext){.name = name,
                         .partner = "BANK1",
                         .wall_s = NOON,
                         .zone = g_time_zone_new_utc(),
                         .counter = 42};
}

static void test_expand(void)
{
    static const struct {
        const char *template, *name, *value; /* value NULL: refused */
    } CASES[] = {
            {"{name}", "virement.xml", "virement.xml"},
            {"{stem}", "a.b.xml", "a.b"},
            {"{ext}", "a.b.xml", "xml"},
            {"{ext}x", "noext", "x"},
            {"{partner}.{date}", "n", "BANK1.20261125"},
            {"{date:%y%j}", "n", "26329"},
            {"{time}", "n", "120000"},
            {"F{counter:6}", "n", "F000042"},
            {"F{counter}", "n", "F42"},
            {"{name}", "paie\xC3\xA9.xml", NULL},
            {"{name}", "tab\there", NULL},
            {"{name}", "blank ", NULL},
            {"{name}",
             "0123456789012345678901234567890123456789012345678901234567890123456789012345678",
             NULL},
            {"{name}", "", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        RuleContext context = context_of(CASES[i].name);
        g_autoptr(GError) error = NULL;
        g_autofree char *value = rule_expand(CASES[i].template, &context, 76, &error);

        g_test_message("%s of %s", CASES[i].template, CASES[i].name);
        g_assert_cmpstr(value, ==, CASES[i].value);
        if (value == NULL)
            g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
        g_time_zone_unref(context.zone);
    }
}

static void test_templates(void)
{
    static const char *const GOOD[] = {"", "X", "{name}", "{date:%Y}", "{counter:18}{stem}"};
    static const char *const BAD[] = {"{",           "}",           "{nme}", "{name:3}",
                                      "{counter:0}", "{counter:x}", "a}b"};

    for (size_t i = 0; i < G_N_ELEMENTS(GOOD); i++)
        g_assert_true(rule_check_template(GOOD[i], NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_autoptr(GError) error = NULL;

        g_test_message("%s", BAD[i]);
        g_assert_false(rule_check_template(BAD[i], &error));
        g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
    }
}

static VirtualFile *file_of(const char *pattern, VirtualFileMode mode, const char *file_name,
                            const char *label, uint16_t type)
{
    VirtualFile *file = g_new0(VirtualFile, 1);

    file->pattern = g_strdup(pattern);
    file->mode = mode;
    file->file_name = g_strdup(file_name);
    file->label = g_strdup(label);
    file->file_type = type;
    return file;
}

static GPtrArray *make_files(void)
{
    GPtrArray *files = g_ptr_array_new_with_free_func((GDestroyNotify)virtual_file_free);

    g_ptr_array_add(files, file_of("out/*", VIRTUAL_FILE_SEND, "{name}", NULL, 0));
    g_ptr_array_add(files, file_of("out/paie", VIRTUAL_FILE_SEND, "PAIE", NULL, 0));
    g_ptr_array_add(files, file_of("releves/*", VIRTUAL_FILE_FETCH, "RELEVE.{date}", NULL, 0));
    g_ptr_array_add(files, file_of("in/*", VIRTUAL_FILE_RECEIVE, "IN.{name}", NULL, 0));
    g_ptr_array_add(files, file_of("flux/*.xml", VIRTUAL_FILE_RECEIVE, "FLUX", "{name}", 0));
    g_ptr_array_add(files,
                    file_of("jour/fichier", VIRTUAL_FILE_RECEIVE, "JOUR{date:%Y%m%d}", NULL, 7));
    return files;
}

static void test_paths(void)
{
    static const struct {
        const char *path;
        bool writing;
        const char *file_name;
    } CASES[] = {
            {"out/a", true, "{name}"},     {"out/paie", true, "PAIE"},
            {"out/a/b", true, NULL},       {"out/.hidden", true, NULL},
            {"releves/today", true, NULL}, {"releves/today", false, "RELEVE.{date}"},
            {"nowhere/a", true, NULL},
    };
    g_autoptr(GPtrArray) files = make_files();

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        const VirtualFile *file = rule_find_by_path(files, CASES[i].path, CASES[i].writing);

        g_test_message("%s", CASES[i].path);
        g_assert_cmpstr(file != NULL ? file->file_name : NULL, ==, CASES[i].file_name);
    }
}

static void test_wire(void)
{
    static const struct {
        unsigned type;
        const char *file_name, *label, *path; /* path NULL: nobody's */
    } CASES[] = {
            {0, "IN.virement", NULL, "in/virement"},
            {0, "IN.../../x", NULL, NULL},
            {0, "IN.a/b", NULL, NULL},
            {0, "IN..hidden", NULL, NULL},
            {0, "IN.\x1b[2J", NULL, NULL},
            {0, "IN.\xc2\x9b", NULL, NULL},  /* C1 control */
            {0, "IN.\xe9t\xe9", NULL, NULL}, /* not UTF-8 */
            {0, "IN.\xc3\xa9", NULL, "in/\xc3\xa9"},
            {0, "OTHER", NULL, NULL},
            {0, "FLUX", "a.xml", "flux/a.xml"},
            {0, "FLUX", "../a.xml", NULL},
            {0, "FLUX", "a.txt", NULL},
            {7, "JOUR20261125", NULL, "jour/fichier"},
            {0, "JOUR20261125", NULL, NULL},
            {0xFFFD, "IN.virement", NULL, NULL},
    };
    g_autoptr(GPtrArray) files = make_files();

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *path = NULL;
        RuleContext context = context_of(NULL);

        g_test_message("%s %s", CASES[i].file_name, CASES[i].label);
        (void)rule_find_by_wire(files, CASES[i].type, CASES[i].file_name, CASES[i].label, &context,
                                true, &path, NULL);
        g_assert_cmpstr(path, ==, CASES[i].path);
        g_time_zone_unref(context.zone);
    }
}

/* Values read by the template that made them, and near misses. */
static void test_backwards(void)
{
    static const struct {
        const char *template, *value, *path; /* path NULL: not this template's */
    } CASES[] = {
            {"P{date}", "P20261125", "in/P20261125"},
            {"P{date}", "P2026112", NULL},
            {"P{date}", "P202611255", NULL},
            {"P{date}", "Pabcdefgh", NULL},
            {"P{date:%d.%m.%y}", "P25.11.26", "in/P25.11.26"},
            {"P{date:%d.%m.%y}", "P25-11-26", NULL},
            {"P{date:%y%j}.{name}", "P26329.a.xml", "in/a.xml"},
            {"P{date:%Y}{name}", "P20261125", "in/1125"},
            {"P{date:100%%}", "P100%", "in/P100%"},
            {"P{date:%b %e}", "PNov 25", "in/PNov 25"},
            {"P{date:%-d}x", "P5x", "in/P5x"},
            {"P{date:%F %T}", "P2026-11-25 12:00:00", "in/P2026-11-25 12:00:00"},
            {"P{time}", "P120000", "in/P120000"},
            {"P{time:%Hh%M}", "P12h00", "in/P12h00"},
            {"P{time:%Hh%M}", "P12:00", NULL},
            {"P{counter}", "P7", "in/P7"},
            {"P{counter:3}", "P007", "in/P007"},
            {"P{counter:3}", "P12345", "in/P12345"},
            {"P{counter:3}", "P07", NULL},
            {"P{counter}", "P", NULL},
            {"{name}.{counter:4}", "a.1.0002", "in/a.1"},
            {"P(.){name}", "P(.)a", "in/a"},
            {"P(.){name}", "P(x)a", NULL},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GPtrArray) files =
                g_ptr_array_new_with_free_func((GDestroyNotify)virtual_file_free);
        RuleContext context = context_of(NULL);
        g_autofree char *path = NULL;

        g_test_message("%s of %s", CASES[i].template, CASES[i].value);
        g_assert_true(rule_check_template(CASES[i].template, NULL));
        g_ptr_array_add(files, file_of("in/*", VIRTUAL_FILE_RECEIVE, CASES[i].template, NULL, 0));
        (void)rule_find_by_wire(files, 0, CASES[i].value, NULL, &context, true, &path, NULL);
        g_assert_cmpstr(path, ==, CASES[i].path);
        g_time_zone_unref(context.zone);
    }
}

/* Whatever a date is made with, it is read again: every letter that strftime knows here, at several times. */
static void test_every_conversion(void)
{
    static const char LETTERS[] = "aAbBcCdDeFgGhHIjklmMnprRSstTuUVwWxXyYzZ%";
    static const int64_t TIMES[] = {0, 915148799, NOON, NOON - 25 * 3600, 4102444799};
    unsigned read = 0;

    for (size_t i = 0; i < strlen(LETTERS) * G_N_ELEMENTS(TIMES); i++) {
        g_autofree char *template =
                g_strdup_printf("P{date:%%%c.%%-d}.{name}", LETTERS[i % strlen(LETTERS)]);
        g_autoptr(GPtrArray) files =
                g_ptr_array_new_with_free_func((GDestroyNotify)virtual_file_free);
        RuleContext context = context_of("a.b");
        g_autofree char *value = NULL;
        g_autofree char *path = NULL;

        context.wall_s = TIMES[i / strlen(LETTERS)];
        if (rule_check_template(template, NULL))
            value = rule_expand(template, &context, 76, NULL);
        g_time_zone_unref(context.zone);
        if (value == NULL || strchr(value, '/') != NULL)
            continue; /* no letter of strftime, or no name: a line end, a slash */
        g_ptr_array_add(files, file_of("in/*", VIRTUAL_FILE_RECEIVE, template, NULL, 0));
        (void)rule_find_by_wire(files, 0, value, NULL, &context, true, &path, NULL);
        g_test_message("%s of %s", template, value);
        g_assert_nonnull(path);
        g_assert_true(g_str_has_suffix(path, "a.b"));
        read++;
    }
    g_assert_cmpuint(read, >, 25 * G_N_ELEMENTS(TIMES));
}

/* the day after the clock goes back in Paris: 25 hours lie between two noons */
static void test_days(void)
{
    static const struct {
        const char *path, *kept, *value;
    } CASES[] = {
            {"releves/today", "releves/2026-10-25", "RELEVE.20261025"},
            {"releves/yesterday", "releves/2026-10-24", "RELEVE.20261024"},
            {"releves/latest", "releves/2026-10-25", "RELEVE.20261025"},
            {"releves/2024-02-29", "releves/2024-02-29", "RELEVE.20240229"},
            {"releves/special", "releves/special", "RELEVE.20261025"},
            {"releves/2023-02-29", NULL, NULL},
            {"releves/2026-13-01", NULL, NULL},
            {"releves/2026-1-001", "releves/2026-1-001", "RELEVE.20261025"},
            {"releves/2026- 1-01", "releves/2026- 1-01", "RELEVE.20261025"},
            {"releves/+026-01-01", "releves/+026-01-01", "RELEVE.20261025"},
            {"releves/2026-01-01x", "releves/2026-01-01x", "RELEVE.20261025"},
    };
    VirtualFile *file = file_of("releves/*", VIRTUAL_FILE_FETCH, "RELEVE.{date}", NULL, 0);

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        RuleContext context = {.name = "x",
                               .wall_s = 1792962000 /* 2026-10-25 22:00 in Paris */,
                               .zone = g_time_zone_new_identifier("Europe/Paris")};
        g_autofree char *kept = NULL;
        g_autofree char *value = NULL;

        if (rule_resolve_fetch(file, CASES[i].path, &context, &kept, NULL))
            value = rule_expand(file->file_name, &context, 76, NULL);
        g_assert_cmpstr(kept, ==, CASES[i].kept);
        g_assert_cmpstr(value, ==, CASES[i].value);
        g_time_zone_unref(context.zone);
    }
    virtual_file_free(file);
}

/* {name} of a day is its date; without a date in the template every name is itself. */
static void test_day_names(void)
{
    static const struct {
        const char *template, *path, *kept, *value;
    } CASES[] = {
            {"{name}.{date}", "releves/today", "releves/2026-11-25", "2026-11-25.20261125"},
            {"{name}.{date}", "releves/2026-11-25", "releves/2026-11-25", "2026-11-25.20261125"},
            {"{name}.{time:%H}", "yesterday", "2026-11-24", "2026-11-24.12"},
            {"{name}", "releves/today", "releves/today", "today"},
            {"{name}", "releves/2023-02-29", "releves/2023-02-29", "2023-02-29"},
            {"R{counter}", "releves/latest", "releves/latest", "R42"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autofree char *base = g_path_get_basename(CASES[i].path);
        VirtualFile *file = file_of("releves/*", VIRTUAL_FILE_FETCH, CASES[i].template, NULL, 0);
        RuleContext context = context_of(base);
        g_autofree char *kept = NULL;
        g_autofree char *value = NULL;

        g_assert_true(rule_resolve_fetch(file, CASES[i].path, &context, &kept, NULL));
        value = rule_expand(file->file_name, &context, 76, NULL);
        g_assert_cmpstr(kept, ==, CASES[i].kept);
        g_assert_cmpstr(value, ==, CASES[i].value);
        g_time_zone_unref(context.zone);
        virtual_file_free(file);
    }
}

static void test_partner(void)
{
    static const struct {
        const char *range, *address;
        bool accepted;
    } CASES[] = {
            {"192.0.2.7", "192.0.2.7", true},
            {"192.0.2.7", "192.0.2.8", false},
            {"192.0.2.0/24", "192.0.2.200", true},
            {"192.0.2.0/25", "192.0.2.200", false},
            {"192.0.2.0/24", "::ffff:192.0.2.9", true},
            {"2001:db8::/33", "2001:db8:7fff::1", true},
            {"2001:db8::/33", "2001:db8:8000::1", false},
            {"0.0.0.0/0", "203.0.113.1", true},
            {"0.0.0.0/0", "::1", false},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        Partner partner = {.addresses = g_ptr_array_new_with_free_func(g_free)};

        g_ptr_array_add(partner.addresses, g_strdup(CASES[i].range));
        g_test_message("%s %s", CASES[i].range, CASES[i].address);
        g_assert_cmpint(partner_accepts_address(&partner, CASES[i].address), ==, CASES[i].accepted);
        g_ptr_array_unref(partner.addresses);
    }
    for (int night = 0; night < 2; night++) {
        Partner partner = {.active_hours =
                                   night ? g_strdup("22:00-06:00") : g_strdup("08:00-18:00"),
                           .zone = g_time_zone_new_utc()};

        g_assert_cmpint(partner_is_open_at(&partner, NOON), ==, !night);
        g_assert_cmpint(partner_is_open_at(&partner, NOON + 11 * 3600), ==, night);
        g_time_zone_unref(partner.zone);
        g_free(partner.active_hours);
    }
}

/* hours in a zone with a summer time, on the days around its changes */
static void test_openings(void)
{
    static const struct {
        const char *hours, *now, *opening;
    } CASES[] = {
            {"08:00-18:00", "2026-01-10T07:30:00+01", "2026-01-10T08:00:00+01"},
            {"08:00-18:00", "2026-01-10T08:00:00+01", "2026-01-10T08:00:00+01"},
            {"08:00-18:00", "2026-01-10T17:59:59+01", "2026-01-10T17:59:59+01"},
            {"08:00-18:00", "2026-01-10T18:00:00+01", "2026-01-11T08:00:00+01"},
            {"22:00-06:00", "2026-01-10T12:00:00+01", "2026-01-10T22:00:00+01"},
            {"24:00-06:00", "2026-01-10T12:00:00+01", "2026-01-11T00:00:00+01"},
            {"08:00-18:00", "2026-03-28T20:00:00+01", "2026-03-29T08:00:00+02"},
            {"02:30-05:00", "2026-03-29T01:00:00+01", "2026-03-29T03:00:00+02"},
            {"08:00-18:00", "2026-10-24T20:00:00+02", "2026-10-25T08:00:00+01"},
    };
    unsigned from, to;

    for (size_t i = 0; i < G_N_ELEMENTS(CASES); i++) {
        g_autoptr(GDateTime) now = g_date_time_new_from_iso8601(CASES[i].now, NULL);
        g_autoptr(GDateTime) opening = g_date_time_new_from_iso8601(CASES[i].opening, NULL);
        g_autofree char *hours = g_strdup(CASES[i].hours);
        Partner partner = {.active_hours = hours,
                           .zone = g_time_zone_new_identifier("Europe/Paris")};

        g_test_message("%s at %s", CASES[i].hours, CASES[i].now);
        g_assert_cmpint(partner_next_opening(&partner, g_date_time_to_unix(now)), ==,
                        g_date_time_to_unix(opening));
        g_time_zone_unref(partner.zone);
    }
    g_assert_false(partner_parse_hours("08:00-08:00", &from, &to));
    g_assert_false(partner_parse_hours("24:00-00:00", &from, &to));
    g_assert_true(partner_parse_hours("00:00-24:00", &from, &to));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rule/expand", test_expand);
    g_test_add_func("/rule/templates", test_templates);
    g_test_add_func("/rule/paths", test_paths);
    g_test_add_func("/rule/wire", test_wire);
    g_test_add_func("/rule/backwards", test_backwards);
    g_test_add_func("/rule/every-conversion", test_every_conversion);
    g_test_add_func("/rule/days", test_days);
    g_test_add_func("/rule/day-names", test_day_names);
    g_test_add_func("/partner/addresses-and-hours", test_partner);
    g_test_add_func("/partner/openings", test_openings);
    return g_test_run();
}
