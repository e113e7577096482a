/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a partner may be called and from where it may call: hours compared minute by minute with a count of their own,
 * over days on which the clock leaps too; ranges at every length of the prefix.
 */
#include "daemon/transfer/partner.h"

#include <string.h>

#define MINUTE      60
#define DAY_S       86400
#define DAYS        4
#define DAY_MINUTES 1440
#define WINTER      INT64_C(1795564800) /* 2026-11-25T00:00:00Z */
#define SPRING_LEAP                                                                                \
    INT64_C(1774656000) /* 2026-03-28T00:00:00Z, the day before 02:00 is 03:00 in Paris */
#define AUTUMN_LEAP                                                                                \
    INT64_C(1792800000) /* 2026-10-24T00:00:00Z, the day before 03:00 is 02:00 in Paris */
#define MINUTES (DAYS * DAY_MINUTES)

static void check_hours(const char *text, bool good, unsigned from, unsigned to)
{
    unsigned got_from = 7777, got_to = 7777;

    g_test_message("%s", text);
    g_assert_cmpint(partner_parse_hours(text, &got_from, &got_to), ==, good);
    g_assert_cmpuint(got_from, ==, good ? from : 7777); /* untouched */
    g_assert_cmpuint(got_to, ==, good ? to : 7777);
}

static void test_hours(void)
{
    check_hours("08:00-20:30", true, 480, 1230);
    check_hours("00:00-24:00", true, 0, 1440);
    check_hours("23:59-00:00", true, 1439, 0);
    check_hours("22:00-06:00", true, 1320, 360);
    check_hours("00:00-23:59", true, 0, 1439);
    check_hours("24:01-06:00", false, 0, 0);
    check_hours("08:00-24:01", false, 0, 0);
    check_hours("25:00-26:00", false, 0, 0);
    check_hours("08:60-20:00", false, 0, 0);
    check_hours("08:00", false, 0, 0);
    check_hours("08:00-20:00x", false, 0, 0);
    check_hours("08:00-20:000", false, 0, 0);
    check_hours("-8:00-20:00", false, 0, 0);
    check_hours("", false, 0, 0);
}

/* Minute of the day in Paris, from the offset alone: it leaps at 01:00 UTC. */
static unsigned paris_minute(int64_t wall_s)
{
    bool summer = wall_s >= SPRING_LEAP + DAY_S + 3600 && wall_s < AUTUMN_LEAP + DAY_S + 3600;

    return (unsigned)((wall_s + (summer ? 7200 : 3600)) / MINUTE % DAY_MINUTES);
}

static void check_days(const char *text, unsigned from, unsigned to, int64_t start_s)
{
    Partner partner = {.active_hours = g_strdup(text),
                       .zone = g_time_zone_new_identifier("Europe/Paris")};
    int64_t next_s = 0;

    /* from the end, so that the next opening is known */
    for (int64_t i = MINUTES - 1; i >= 0; i--) {
        int64_t wall_s = start_s + i * MINUTE;
        unsigned now = paris_minute(wall_s);
        bool open = from < to ? now >= from && now < to : now >= from || now < to;

        g_assert_cmpint(partner_is_open_at(&partner, wall_s), ==, open);
        g_assert_cmpint(partner_is_open_at(&partner, wall_s + MINUTE - 1), ==, open);
        if (open)
            next_s = wall_s;
        if (next_s != 0 && partner_next_opening(&partner, wall_s) != next_s)
            g_error("%s at %" G_GINT64_FORMAT ": next opening %" G_GINT64_FORMAT
                    ", must be %" G_GINT64_FORMAT,
                    text, wall_s, partner_next_opening(&partner, wall_s), next_s);
    }
    g_free(partner.active_hours);
    g_time_zone_unref(partner.zone);
}

static void test_every_minute(void)
{
    static const int64_t STARTS[] = {WINTER, SPRING_LEAP, AUTUMN_LEAP};

    for (size_t i = 0; i < G_N_ELEMENTS(STARTS); i++) {
        check_days("08:00-20:00", 480, 1200, STARTS[i]);
        check_days("22:00-06:00", 1320, 360, STARTS[i]);
        check_days("00:00-24:00", 0, 1440, STARTS[i]);
        check_days("23:59-00:00", 1439, 0, STARTS[i]);
        /* not where an hour comes twice: there they open again in the middle, which the queue sees later */
        if (STARTS[i] != AUTUMN_LEAP)
            check_days("01:30-02:30", 90, 150, STARTS[i]);
        check_days("03:00-03:01", 180, 181, STARTS[i]);
    }
}

/* The hours that the clock leaps over are missed that day, and only that day. */
static void test_hours_leapt_over(void)
{
    check_days("02:10-02:50", 130, 170, WINTER);
    check_days("02:10-02:50", 130, 170, SPRING_LEAP);
}

static void test_no_hours(void)
{
    Partner partner = {.zone = g_time_zone_new_utc()};

    g_assert_true(partner_is_open_at(&partner, WINTER));
    g_assert_cmpint(partner_next_opening(&partner, WINTER), ==, WINTER);
    g_time_zone_unref(partner.zone);
}

static bool accepts(const char *range, const char *address)
{
    Partner partner = {.addresses = g_ptr_array_new()};
    bool accepted;

    g_ptr_array_add(partner.addresses, (gpointer)(uintptr_t) "203.0.113.9");
    g_ptr_array_add(partner.addresses, (gpointer)(uintptr_t)range);
    accepted = partner_accepts_address(&partner, address);
    g_ptr_array_unref(partner.addresses);
    return accepted;
}

/* Of each prefix: the first and last address inside, and the neighbours outside. */
static void test_prefixes(void)
{
    uint32_t base = 0xC0A8AA55; /* 192.168.170.85 */

    for (unsigned bits = 0; bits <= 32; bits++) {
        uint32_t mask = bits == 0 ? 0 : UINT32_MAX << (32 - bits);
        uint32_t first = base & mask, last = first | ~mask;
        uint32_t tried[] = {first - 1, first, base, last, last + 1};
        g_autofree char *range = g_strdup_printf("192.168.170.85/%u", bits);

        for (size_t i = 0; i < G_N_ELEMENTS(tried); i++) {
            g_autofree char *address =
                    g_strdup_printf("%u.%u.%u.%u", tried[i] >> 24, tried[i] >> 16 & 255,
                                    tried[i] >> 8 & 255, tried[i] & 255);
            g_autofree char *mapped = g_strconcat("::ffff:", address, NULL);

            g_assert_cmpint(accepts(range, address), ==, (tried[i] & mask) == first);
            g_assert_cmpint(accepts(range, mapped), ==, (tried[i] & mask) == first);
        }
    }
}

static void test_addresses(void)
{
    g_assert_true(accepts("192.0.2.7", "203.0.113.9")); /* any of the list */
    g_assert_true(accepts("192.0.2.7", "192.0.2.7"));
    g_assert_false(accepts("192.0.2.7", "192.0.2.8"));
    g_assert_true(accepts("2001:db8::/33", "2001:db8:7fff::1"));
    g_assert_false(accepts("2001:db8::/33", "2001:db8:8000::1"));
    g_assert_true(accepts("2001:db8::1/128", "2001:0db8:0::1"));
    g_assert_false(accepts("2001:db8::1", "2001:db8::2"));
    g_assert_false(accepts("::/0", "192.0.2.7")); /* the other family */
    g_assert_false(accepts("0.0.0.0/0", "2001:db8::1"));
    g_assert_true(accepts("::ffff:192.0.2.0/24", "192.0.2.200"));
    g_assert_false(accepts("0.0.0.0/0", "not an address"));
    g_assert_false(accepts("0.0.0.0/0", ""));
}

static void test_no_list(void)
{
    Partner partner = {0};

    g_assert_true(partner_accepts_address(&partner, "192.0.2.7"));
    partner.addresses = g_ptr_array_new();
    g_assert_true(partner_accepts_address(&partner, "192.0.2.7"));
    g_ptr_array_unref(partner.addresses);
}

static void test_ranges(void)
{
    static const char *const BAD[] = {"",
                                      "/",
                                      "x",
                                      "192.0.2.7/33",
                                      "192.0.2.7/",
                                      "192.0.2/24",
                                      "192.0.2.7/-1",
                                      "192.0.2.7/2x",
                                      "::/129",
                                      " 192.0.2.7",
                                      "192.0.2.7/24/1"};
    uint8_t bytes[16];
    size_t length;
    unsigned bits;

    for (size_t i = 0; i < G_N_ELEMENTS(BAD); i++) {
        g_test_message("'%s'", BAD[i]);
        g_assert_false(partner_parse_range(BAD[i], bytes, &length, &bits));
    }
    g_assert_true(partner_parse_range("192.0.2.7", bytes, &length, &bits));
    g_assert_cmpuint(length, ==, 4);
    g_assert_cmpuint(bits, ==, 32);
    g_assert_true(partner_parse_range("2001:db8::/32", bytes, &length, &bits));
    g_assert_cmpuint(length, ==, 16);
    g_assert_cmpuint(bits, ==, 32);
    g_assert_cmpmem(bytes, 4, "\x20\x01\x0d\xb8", 4);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/partner/hours", test_hours);
    g_test_add_func("/partner/every-minute", test_every_minute);
    g_test_add_func("/partner/hours-leapt-over", test_hours_leapt_over);
    g_test_add_func("/partner/no-hours", test_no_hours);
    g_test_add_func("/partner/prefixes", test_prefixes);
    g_test_add_func("/partner/addresses", test_addresses);
    g_test_add_func("/partner/no-list", test_no_list);
    g_test_add_func("/partner/ranges", test_ranges);
    return g_test_run();
}
