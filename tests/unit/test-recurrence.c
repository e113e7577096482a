/* SPDX-License-Identifier: Apache-2.0 */
/* When things are due: days, zones whose clocks are set, expressions of cron, working days, cut-offs. */
#include "admin/local-time.h"
#include "admin/recurrence.h"
#include "base/error.h"

#include <string.h>

static int64_t parse_utc(const char *text)
{
    g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, utc);

    g_assert_nonnull(time);
    return g_date_time_to_unix(time);
}

static char *format_utc(int64_t utc_s)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(utc_s);

    return utc_s == 0 ? g_strdup("never") : g_date_time_format(time, "%Y-%m-%dT%H:%M:%SZ");
}

static void assert_time(int64_t utc_s, const char *expected)
{
    g_autofree char *text = format_utc(utc_s);

    g_assert_cmpstr(text, ==, expected);
}

static Cron parse(const char *text)
{
    g_autoptr(GError) error = NULL;
    Cron cron = {0};

    (void)cron_parse(text, &cron, &error);
    g_assert_no_error(error);
    return cron;
}

/* days */

static void test_days(void)
{
    for (int64_t day = -1000; day < 160000; day++) {
        g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(day * DAY_S);
        CivilDate date = local_time_date(day);

        g_assert_cmpint(date.year, ==, g_date_time_get_year(time));
        g_assert_cmpuint(date.month, ==, g_date_time_get_month(time));
        g_assert_cmpuint(date.day, ==, g_date_time_get_day_of_month(time));
        g_assert_cmpuint(local_time_weekday(day), ==, g_date_time_get_day_of_week(time));
        g_assert_cmpint(local_time_day(date.year, date.month, date.day), ==, day);
        g_assert_cmpint(local_time_day_of(day * DAY_S), ==, day);
        g_assert_cmpint(local_time_day_of(day * DAY_S + DAY_S - 1), ==, day);
    }
}

static void test_texts(void)
{
    static const char *const WRONG[] = {
            "2026-02-29", "2026-13-01", "2026-00-10", "2026-1-1",    "26-01-01",
            "2026-01-32", "2026/01/01", "1969-12-31", "2026-01-01 ", ""};
    static const char *const WRONG_MINUTES[] = {"24:00", "08:60", "8:00",   "08:00:01",
                                                "0800",  "-1:00", "08:00 ", ""};
    int64_t day = 0;
    unsigned minute = 0;
    g_autofree char *text = NULL;

    g_assert_true(local_time_parse_day("2028-02-29", &day));
    text = local_time_format_day(day);
    g_assert_cmpstr(text, ==, "2028-02-29");
    for (size_t i = 0; i < G_N_ELEMENTS(WRONG); i++)
        g_assert_false(local_time_parse_day(WRONG[i], &day));
    g_assert_true(local_time_parse_minute("08:30", &minute));
    g_assert_cmpuint(minute, ==, 510);
    g_assert_true(local_time_parse_minute("23:59:00", &minute));
    g_assert_cmpuint(minute, ==, 1439);
    for (size_t i = 0; i < G_N_ELEMENTS(WRONG_MINUTES); i++)
        g_assert_false(local_time_parse_minute(WRONG_MINUTES[i], &minute));
}

/* zones */

/* Every quarter of an hour of the wall of some years comes once: where it is shown, the first time, or right after the gap. */
static void try_zone(const char *name, int first_year, int years)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier(name);
    int64_t local_s = local_time_day(first_year, 1, 1) * DAY_S;
    int64_t end_s = local_time_day(first_year + years, 1, 1) * DAY_S, before_s = 0;

    g_assert_nonnull(zone);
    for (; local_s < end_s; local_s += 900) {
        int64_t utc_s = local_time_to_utc(zone, local_s), shown_s = local_time_of(zone, utc_s);

        g_assert_cmpint(utc_s, >=, before_s);
        before_s = utc_s;
        if (shown_s == local_s) { /* not the second of two */
            g_assert_true(local_time_of(zone, utc_s - 3600) != local_s);
            g_assert_true(local_time_of(zone, utc_s - 1800) != local_s);
        } else { /* right after a gap that has it */
            g_assert_cmpint(shown_s, >, local_s);
            g_assert_cmpint(local_time_of(zone, utc_s - 1), <, local_s);
        }
    }
}

static void test_zones(void)
{
    try_zone("UTC", 2024, 1);
    try_zone("Europe/Paris", 2020, 8);
    try_zone("America/New_York", 2020, 4);
    try_zone("Australia/Lord_Howe", 2020, 4); /* half an hour */
    try_zone("Pacific/Apia", 2011, 1);        /* without a 30th of December */
    try_zone("America/Santiago", 2020, 4);    /* at midnight */
    try_zone("Asia/Kathmandu", 2020, 1);
}

/* expressions */

typedef struct {
    const char *zone, *cron, *after, *due;
} DueRow;

/* clang-format off */
static const DueRow DUE[] = {
    { "UTC", "0 8 * * *", "2026-01-01T07:59:59Z", "2026-01-01T08:00:00Z" },
    { "UTC", "0 8 * * *", "2026-01-01T08:00:00Z", "2026-01-02T08:00:00Z" },
    { "UTC", "*/15 8-9 * * *", "2026-01-01T09:45:00Z", "2026-01-02T08:00:00Z" },
    { "UTC", "5/20 * * * *", "2026-01-01T09:45:00Z", "2026-01-01T10:05:00Z" },
    { "UTC", "0 0 * * * *", "2026-01-01T09:45:00Z", "2026-01-01T10:00:00Z" },
    { "UTC", "30 0 12 * * ?", "2026-01-01T12:00:00Z", "2026-01-01T12:00:30Z" },
    { "UTC", "* * * * * *", "2026-01-01T12:00:00Z", "2026-01-01T12:00:01Z" },
    { "UTC", "*/10 * 8 * * *", "2026-01-01T08:59:50Z", "2026-01-02T08:00:00Z" },
    { "UTC", "@hourly", "2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z" },
    { "UTC", "@monthly", "2026-01-01T12:00:00Z", "2026-02-01T00:00:00Z" },
    { "UTC", "@weekly", "2026-01-01T12:00:00Z", "2026-01-04T00:00:00Z" },
    { "UTC", "@yearly", "2026-01-01T12:00:00Z", "2027-01-01T00:00:00Z" },
    { "UTC", "0 6 * * MON-FRI", "2026-01-02T06:00:00Z", "2026-01-05T06:00:00Z" },
    { "UTC", "0 6 * * 7", "2026-01-02T06:00:00Z", "2026-01-04T06:00:00Z" },
    { "UTC", "0 6 * * 0", "2026-01-02T06:00:00Z", "2026-01-04T06:00:00Z" },
    { "UTC", "0 6 * * sat-sun", "2026-01-03T06:00:00Z", "2026-01-04T06:00:00Z" },
    /* five fields: either; six: both */
    { "UTC", "0 6 13 * FRI", "2026-01-01T00:00:00Z", "2026-01-02T06:00:00Z" },
    { "UTC", "0 0 6 13 * FRI", "2026-01-01T00:00:00Z", "2026-02-13T06:00:00Z" },
    { "UTC", "0 0 6 */2 * MON", "2026-01-01T00:00:00Z", "2026-01-05T06:00:00Z" },
    /* ends of months, leap days */
    { "UTC", "0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z" },
    { "UTC", "0 0 29 2 *", "2026-01-31T00:00:00Z", "2028-02-29T00:00:00Z" },
    { "UTC", "0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z" },
    { "UTC", "0 0 30 2 *", "2026-01-31T00:00:00Z", "never" },
    { "UTC", "0 0 L * *", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z" },
    { "UTC", "0 0 L * *", "2028-01-31T00:00:00Z", "2028-02-29T00:00:00Z" },
    { "UTC", "0 0 L-2 * *", "2026-01-31T00:00:00Z", "2026-02-26T00:00:00Z" },
    { "UTC", "0 0 LW * *", "2026-01-31T00:00:00Z", "2026-02-27T00:00:00Z" },
    { "UTC", "0 0 15W * *", "2026-02-01T00:00:00Z", "2026-02-16T00:00:00Z" },
    { "UTC", "0 0 1W * *", "2026-07-31T12:00:00Z", "2026-08-03T00:00:00Z" },
    { "UTC", "0 0 * * FRIL", "2026-01-01T00:00:00Z", "2026-01-30T00:00:00Z" },
    { "UTC", "0 0 * * TUE#2", "2026-01-01T00:00:00Z", "2026-01-13T00:00:00Z" },
    { "UTC", "0 0 * * 5#5", "2026-02-01T00:00:00Z", "2026-05-29T00:00:00Z" },
    { "UTC", "0 0 1 JAN,jul *", "2026-02-01T00:00:00Z", "2026-07-01T00:00:00Z" },
    /* the wall's clock */
    { "Europe/Paris", "0 8 * * *", "2026-01-01T07:00:00Z", "2026-01-02T07:00:00Z" },
    { "Europe/Paris", "0 8 * * *", "2026-03-28T07:00:00Z", "2026-03-29T06:00:00Z" },
    { "Europe/Paris", "30 2 * * *", "2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z" }, /* in the gap */
    { "Europe/Paris", "30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z" },
    { "Europe/Paris", "*/15 2 * * *", "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z" }, /* four of the gap are one */
    { "Europe/Paris", "*/15 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z" },
    { "Europe/Paris", "30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z" }, /* twice: the first */
    { "Europe/Paris", "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z" },
    { "Europe/Paris", "0 3 * * *", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z" },
    { "Europe/Paris", "0 * * * *", "2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z" }, /* every hour that passes */
    { "Europe/Paris", "0 * * * *", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z" },
    { "Europe/Paris", "59 23 * * *", "2026-12-31T22:58:00Z", "2026-12-31T22:59:00Z" },
    { "America/New_York", "30 2 * * *", "2026-03-08T00:00:00Z", "2026-03-08T07:00:00Z" },
    { "America/New_York", "30 1 * * *", "2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z" },
    { "America/New_York", "30 1 * * *", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z" },
    { "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z", "2026-10-03T15:30:00Z" },
    { "America/Santiago", "15 0 * * *", "2026-09-05T12:00:00Z", "2026-09-06T04:00:00Z" }, /* no midnight */
    { "Asia/Kathmandu", "0 6 * * *", "2026-01-01T00:15:00Z", "2026-01-02T00:15:00Z" },
};
static const char *const WRONG[] = {
    "", "*", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *", "* * * 13 *", "* * * * 8",
    "*/0 * * * *", "5-1 * * * *", "1- * * * *", "a * * * *", "* * * * MON#6", "* * * * MON#0", "* * L-31 * *", "* * W * *", "* * 0W * *",
    "1,,2 * * * *", "-1 * * * *", "1.5 * * * *", "* * * FEBRUARY *", "@reboot", "99999999999999999999 * * * *", "*/999 * * * *x", "** * * * *",
};
/* clang-format on */

static void test_cron(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(DUE); i++) {
        g_autoptr(GTimeZone) zone = g_time_zone_new_identifier(DUE[i].zone);
        Recurrence recurrence = {
                .kind = RECURRENCE_TIMES, .times = parse(DUE[i].cron), .zone = zone};

        g_test_message("%s %s after %s", DUE[i].zone, DUE[i].cron, DUE[i].after);
        assert_time(recurrence_next(&recurrence, parse_utc(DUE[i].after)), DUE[i].due);
    }
}

static void test_wrong_cron(void)
{
    g_autofree char *long_one = g_strnfill(CRON_LENGTH_MAX + 1, '*');

    for (size_t i = 0; i < G_N_ELEMENTS(WRONG); i++) {
        g_autoptr(GError) error = NULL;
        Cron cron;

        g_test_message("'%s'", WRONG[i]);
        g_assert_false(cron_parse(WRONG[i], &cron, &error));
        g_assert_error(error, BASE_ERROR, BASE_ERROR_INVALID);
    }
    {
        g_autoptr(GError) error = NULL;
        Cron cron;

        g_assert_false(cron_parse("0 25 * * *", &cron, &error));
        g_assert_cmpstr(error->message, ==, "the hour '25' is wrong: it must be 0 to 23");
        g_clear_error(&error);
        g_assert_false(cron_parse(long_one, &cron, &error));
    }
}

/* Once each day of ten years, and never back, whatever is done to the clock. */
static void test_daily_is_once_a_day(void)
{
    static const char *const ZONES[] = {"Europe/Paris", "America/New_York", "Australia/Lord_Howe",
                                        "America/Santiago"};

    for (size_t i = 0; i < G_N_ELEMENTS(ZONES); i++) {
        g_autoptr(GTimeZone) zone = g_time_zone_new_identifier(ZONES[i]);

        for (unsigned hour = 0; hour < 4; hour++) {
            g_autofree char *text = g_strdup_printf("30 %u * * *", hour);
            Recurrence recurrence = {.kind = RECURRENCE_TIMES, .times = parse(text), .zone = zone};
            int64_t now_s = parse_utc("2020-01-01T12:00:00Z");
            int64_t day = local_time_day_of(local_time_of(zone, now_s));

            for (unsigned n = 0; n < 3650; n++) {
                int64_t due_s = recurrence_next(&recurrence, now_s);

                g_assert_cmpint(due_s, >, now_s);
                g_assert_cmpint(local_time_day_of(local_time_of(zone, due_s)), ==, ++day);
                now_s = due_s;
            }
        }
    }
}

/* The first due time is the same from wherever before it one looks. */
static void test_no_due_time_between(void)
{
    static const char *const CRONS[] = {"*/7 1-3 * * *", "13 * * * *", "0 */6 * * *",
                                        "30 2 * * SUN"};
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier("Europe/Paris");

    for (size_t i = 0; i < G_N_ELEMENTS(CRONS); i++) {
        Recurrence recurrence = {.kind = RECURRENCE_TIMES, .times = parse(CRONS[i]), .zone = zone};
        int64_t end_s = parse_utc("2026-10-27T00:00:00Z");

        for (int64_t now_s = parse_utc("2026-10-23T00:00:00Z"); now_s < end_s;) {
            int64_t due_s = recurrence_next(&recurrence, now_s);

            for (int64_t between_s = now_s; between_s < due_s;
                 between_s += MAX((due_s - now_s) / 17, 1))
                g_assert_cmpint(recurrence_next(&recurrence, between_s), ==, due_s);
            g_assert_cmpint(recurrence_next(&recurrence, due_s - 1), ==, due_s);
            now_s = due_s;
        }
    }
}

/* the others */

static void test_once_and_interval(void)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier("Europe/Paris");
    WorkingDays days = {.weekdays = WORKING_DAYS_MONDAY_TO_FRIDAY};
    Recurrence once = {
            .kind = RECURRENCE_ONCE, .zone = zone, .start_s = parse_utc("2026-03-28T08:00:00Z")};
    Recurrence interval = {.kind = RECURRENCE_INTERVAL,
                           .zone = zone,
                           .interval_s = 900,
                           .start_s = parse_utc("2026-03-27T21:07:00Z")};

    assert_time(recurrence_next(&once, once.start_s - 1), "2026-03-28T08:00:00Z");
    assert_time(recurrence_next(&once, once.start_s), "never");
    once.days = &days; /* a Saturday */
    assert_time(recurrence_next(&once, 0), "never");
    once.shift = true; /* and on the Sunday the clock is set */
    assert_time(recurrence_next(&once, 0), "2026-03-30T07:00:00Z");
    assert_time(recurrence_next(&interval, 0), "2026-03-27T21:07:00Z");
    assert_time(recurrence_next(&interval, interval.start_s), "2026-03-27T21:22:00Z");
    assert_time(recurrence_next(&interval, interval.start_s + 899), "2026-03-27T21:22:00Z");
    interval.days = &days; /* Friday 22:52 is the last before midnight of 23:00 UTC */
    assert_time(recurrence_next(&interval, parse_utc("2026-03-27T22:51:00Z")),
                "2026-03-27T22:52:00Z");
    assert_time(recurrence_next(&interval, parse_utc("2026-03-27T22:52:00Z")),
                "2026-03-29T22:07:00Z");
    days.weekdays = 0;
    assert_time(recurrence_next(&interval, 0), "never");
    assert_time(recurrence_next(&once, 0), "never");
}

static void add_holiday(int64_t day, const char *name, gpointer data)
{
    g_assert_cmpstr(name, !=, "");
    working_days_add_holiday(data, day);
}

static void test_working_days(void)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_identifier("Europe/Paris");
    g_auto(WorkingDays) days = {.weekdays = WORKING_DAYS_MONDAY_TO_FRIDAY};
    Recurrence daily = {
            .kind = RECURRENCE_TIMES, .times = parse("0 8 * * *"), .zone = zone, .days = &days};
    Recurrence fifth = {.kind = RECURRENCE_TIMES,
                        .times = parse("0 8 5 * *"),
                        .zone = zone,
                        .days = &days,
                        .shift = true};
    Recurrence hourly = {
            .kind = RECURRENCE_TIMES, .times = parse("0 * * * *"), .zone = zone, .days = &days};

    g_assert_true(working_days_each_holiday("TARGET2", 2026, add_holiday, &days));
    g_assert_false(working_days_each_holiday("MARS", 2026, add_holiday, &days));
    /* Good Friday the 3rd and Easter Monday the 6th of April 2026 */
    assert_time(recurrence_next(&daily, parse_utc("2026-04-02T06:00:00Z")), "2026-04-07T06:00:00Z");
    assert_time(recurrence_next(&hourly, parse_utc("2026-04-02T21:00:00Z")),
                "2026-04-06T22:00:00Z");
    /* the 5th of April is Easter Sunday: the day after Monday; those of July and September are a Sunday and a Saturday */
    assert_time(recurrence_next(&fifth, parse_utc("2026-04-01T00:00:00Z")), "2026-04-07T06:00:00Z");
    assert_time(recurrence_next(&fifth, parse_utc("2026-07-01T00:00:00Z")), "2026-07-06T06:00:00Z");
    assert_time(recurrence_next(&fifth, parse_utc("2026-07-06T06:00:00Z")), "2026-08-05T06:00:00Z");
    assert_time(recurrence_next(&fifth, parse_utc("2026-09-01T00:00:00Z")), "2026-09-07T06:00:00Z");
    daily.shift = true; /* three days off and the day itself are one */
    assert_time(recurrence_next(&daily, parse_utc("2026-04-02T06:00:00Z")), "2026-04-07T06:00:00Z");
    assert_time(recurrence_next(&daily, parse_utc("2026-04-07T06:00:00Z")), "2026-04-08T06:00:00Z");
    days.weekdays = 0;
    assert_time(recurrence_next(&daily, 0), "never");
}

static void test_short_months(void)
{
    g_autoptr(GTimeZone) zone = g_time_zone_new_utc();
    Recurrence monthly = {.kind = RECURRENCE_TIMES, .times = parse("0 8 31 * *"), .zone = zone};

    monthly.times.clamp = true;
    assert_time(recurrence_next(&monthly, parse_utc("2026-01-31T08:00:00Z")),
                "2026-02-28T08:00:00Z");
    assert_time(recurrence_next(&monthly, parse_utc("2026-02-28T08:00:00Z")),
                "2026-03-31T08:00:00Z");
    assert_time(recurrence_next(&monthly, parse_utc("2028-01-31T08:00:00Z")),
                "2028-02-29T08:00:00Z");
    monthly.times = parse("0 8 30 * *");
    monthly.times.clamp = true;
    assert_time(recurrence_next(&monthly, parse_utc("2026-03-30T08:00:00Z")),
                "2026-04-30T08:00:00Z");
    assert_time(recurrence_next(&monthly, parse_utc("2026-12-30T08:00:00Z")),
                "2027-01-30T08:00:00Z");
    assert_time(recurrence_next(&monthly, parse_utc("2027-01-30T08:00:00Z")),
                "2027-02-28T08:00:00Z");
}

/* holidays */

static void append_holiday(int64_t day, const char *name, gpointer data)
{
    g_autofree char *text = local_time_format_day(day);

    (void)name;
    g_ptr_array_add(data, g_strdup(text + 5));
}

static gint compare_texts(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static char *list_holidays(const char *preset, int year)
{
    g_autoptr(GPtrArray) days = g_ptr_array_new_with_free_func(g_free);

    g_assert_true(working_days_each_holiday(preset, year, append_holiday, days));
    g_ptr_array_sort(days, compare_texts);
    g_ptr_array_add(days, NULL);
    return g_strjoinv(" ", (char **)days->pdata);
}

static void test_holidays(void)
{
    static const char *const EASTERS[] = {
            "1818-03-22", "1943-04-25", "2000-04-23", "2008-03-23", "2011-04-24", "2019-04-21",
            "2020-04-12", "2021-04-04", "2022-04-17", "2023-04-09", "2024-03-31", "2025-04-20",
            "2026-04-05", "2027-03-28", "2028-04-16", "2029-04-01", "2030-04-21", "2031-04-13",
            "2038-04-25", "2049-04-18", "2285-03-22",
    };
    static const struct {
        const char *preset;
        int year;
        const char *days;
    } SETS[] = {
            {"TARGET2", 2019, "01-01 04-19 04-22 05-01 12-25 12-26"},
            {"TARGET2", 2024, "01-01 03-29 04-01 05-01 12-25 12-26"},
            {"TARGET2", 2025, "01-01 04-18 04-21 05-01 12-25 12-26"},
            {"TARGET2", 2026, "01-01 04-03 04-06 05-01 12-25 12-26"},
            {"TARGET2", 2027, "01-01 03-26 03-29 05-01 12-25 12-26"},
            {"FR", 2023, "01-01 04-10 05-01 05-08 05-18 05-29 07-14 08-15 11-01 11-11 12-25"},
            {"FR", 2024, "01-01 04-01 05-01 05-08 05-09 05-20 07-14 08-15 11-01 11-11 12-25"},
            {"FR", 2025, "01-01 04-21 05-01 05-08 05-29 06-09 07-14 08-15 11-01 11-11 12-25"},
            {"FR", 2026, "01-01 04-06 05-01 05-08 05-14 05-25 07-14 08-15 11-01 11-11 12-25"},
            {"FR", 2008,
             "01-01 03-24 05-01 05-01 05-08 05-12 07-14 08-15 11-01 11-11 12-25"}, /* Ascension on a 1st of May */
    };

    for (size_t i = 0; i < G_N_ELEMENTS(EASTERS); i++) {
        g_autofree char *text = local_time_format_day(working_days_easter(atoi(EASTERS[i])));

        g_assert_cmpstr(text, ==, EASTERS[i]);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(SETS); i++) {
        g_autofree char *days = list_holidays(SETS[i].preset, SETS[i].year);

        g_assert_cmpstr(days, ==, SETS[i].days);
    }
}

/* cut-offs */

typedef struct {
    const char *cron;
    unsigned minute;
    const char *after, *cut, *since;
} CutRow;

static void test_cut_offs(void)
{
    static const CutRow ROWS[] = {
            /* at 8, by 10 */
            {"0 8 * * *", 600, "2026-01-05T06:00:00Z", "2026-01-05T10:00:00Z",
             "2026-01-05T08:00:00Z"},
            {"0 8 * * *", 600, "2026-01-05T08:30:00Z", "2026-01-06T10:00:00Z",
             "2026-01-06T08:00:00Z"}, /* made after it was due */
            {"0 8 * * *", 600, "2026-01-05T10:00:00Z", "2026-01-06T10:00:00Z",
             "2026-01-06T08:00:00Z"},
            {"0 8 * * MON", 600, "2026-01-05T10:00:00Z", "2026-01-12T10:00:00Z",
             "2026-01-12T08:00:00Z"},
            {"0 8 * * *", 480, "2026-01-05T06:00:00Z", "2026-01-05T08:00:00Z",
             "2026-01-05T08:00:00Z"},
            /* in the evening, by the morning after */
            {"0 23 * * MON-FRI", 360, "2026-01-02T12:00:00Z", "2026-01-03T06:00:00Z",
             "2026-01-02T23:00:00Z"},
            {"0 23 * * MON-FRI", 360, "2026-01-03T06:00:00Z", "2026-01-06T06:00:00Z",
             "2026-01-05T23:00:00Z"},
            /* looked for all day, by 10: what came at any time of that day is there, what came after 10 is not tomorrow's */
            {"*/15 * * * *", 600, "2026-01-05T09:01:00Z", "2026-01-05T10:00:00Z",
             "2026-01-05T00:00:00Z"},
            {"*/15 * * * *", 600, "2026-01-05T10:00:00Z", "2026-01-06T10:00:00Z",
             "2026-01-06T00:00:00Z"},
            {"0 8 30 2 *", 600, "2026-01-05T10:00:00Z", "never", "never"},
    };
    g_autoptr(GTimeZone) zone = g_time_zone_new_utc();

    for (size_t i = 0; i < G_N_ELEMENTS(ROWS); i++) {
        Recurrence recurrence = {
                .kind = RECURRENCE_TIMES, .times = parse(ROWS[i].cron), .zone = zone};
        Expectation expectation =
                recurrence_expect(&recurrence, ROWS[i].minute, parse_utc(ROWS[i].after));

        g_test_message("%s by %u after %s", ROWS[i].cron, ROWS[i].minute, ROWS[i].after);
        assert_time(expectation.cut_s, ROWS[i].cut);
        assert_time(expectation.since_s, ROWS[i].since);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/recurrence/days", test_days);
    g_test_add_func("/recurrence/texts", test_texts);
    g_test_add_func("/recurrence/zones", test_zones);
    g_test_add_func("/recurrence/cron", test_cron);
    g_test_add_func("/recurrence/wrong-cron", test_wrong_cron);
    g_test_add_func("/recurrence/once-a-day", test_daily_is_once_a_day);
    g_test_add_func("/recurrence/nothing-between", test_no_due_time_between);
    g_test_add_func("/recurrence/once-and-interval", test_once_and_interval);
    g_test_add_func("/recurrence/working-days", test_working_days);
    g_test_add_func("/recurrence/short-months", test_short_months);
    g_test_add_func("/recurrence/holidays", test_holidays);
    g_test_add_func("/recurrence/cut-offs", test_cut_offs);
    return g_test_run();
}
