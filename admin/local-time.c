/* SPDX-License-Identifier: Apache-2.0 */
/* Days by the arithmetic of the 400 years after which the calendar repeats; zones by GLib. */
#include "admin/local-time.h"

#include <stdio.h>
#include <string.h>

#define ERA_YEARS   400
#define ERA_DAYS    146097
#define EPOCH_SHIFT 719468 /* days from 0000-03-01 to 1970-01-01 */

static int64_t divide_down(int64_t number, int64_t by)
{
    return number / by - (number % by < 0 ? 1 : 0);
}

/* Years begin in March here, so that the day that may be missing is their last. */
int64_t local_time_day(int year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = divide_down(y, ERA_YEARS);
    int64_t of_era = y - era * ERA_YEARS;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + (int64_t)day - 1;

    return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_SHIFT;
}

CivilDate local_time_date(int64_t day)
{
    int64_t shifted = day + EPOCH_SHIFT;
    int64_t era = divide_down(shifted, ERA_DAYS);
    int64_t of_era = shifted - era * ERA_DAYS;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153; /* from March */
    CivilDate date;

    date.day = (unsigned)(of_year - (153 * month + 2) / 5 + 1);
    date.month = (unsigned)(month < 10 ? month + 3 : month - 9);
    date.year = (int)(year + era * ERA_YEARS + (date.month <= 2 ? 1 : 0));
    return date;
}

unsigned local_time_weekday(int64_t day)
{
    return (unsigned)(day + 3 - divide_down(day + 3, 7) * 7) + 1; /* 1970-01-01 was a Thursday */
}

unsigned local_time_month_length(int year, unsigned month)
{
    static const unsigned LENGTHS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return LENGTHS[month - 1] + (month == 2 && leap ? 1 : 0);
}

int64_t local_time_day_of(int64_t local_s)
{
    return divide_down(local_s, DAY_S);
}

bool local_time_parse_day(const char *text, int64_t *ret_day)
{
    int year = 0;
    unsigned month = 0, day = 0;

    if (strlen(text) != strlen("2027-01-31") || text[4] != '-' || text[7] != '-' ||
        strspn(text, "0123456789-") != strlen(text) ||
        sscanf(text, "%4d-%2u-%2u", &year, &month, &day) != 3 || year < 1970 || month < 1 ||
        month > 12 || day < 1 || day > local_time_month_length(year, month))
        return false;
    *ret_day = local_time_day(year, month, day);
    return true;
}

char *local_time_format_day(int64_t day)
{
    CivilDate date = local_time_date(day);

    return g_strdup_printf("%04d-%02u-%02u", date.year, date.month, date.day);
}

bool local_time_parse_minute(const char *text, unsigned *ret_minute)
{
    unsigned hour = 0, minute = 0;
    size_t length = strlen(text);

    /* seconds of nothing are what some write behind it */
    if ((length != strlen("08:30") &&
         !(length == strlen("08:30:00") && strcmp(text + 5, ":00") == 0)) ||
        text[2] != ':' || !g_ascii_isdigit(text[0]) || !g_ascii_isdigit(text[1]) ||
        !g_ascii_isdigit(text[3]) || !g_ascii_isdigit(text[4]) ||
        sscanf(text, "%2u:%2u", &hour, &minute) != 2 || hour > 23 || minute > 59)
        return false;
    *ret_minute = hour * 60 + minute;
    return true;
}

/* zones */

static int64_t offset_at(GTimeZone *zone, int64_t utc_s)
{
    return g_time_zone_get_offset(zone,
                                  g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, utc_s));
}

int64_t local_time_of(GTimeZone *zone, int64_t utc_s)
{
    return utc_s + offset_at(zone, utc_s);
}

/* The first second with the offset that is in force at the second of two times. */
static int64_t find_change(GTimeZone *zone, int64_t before_s, int64_t after_s)
{
    int64_t offset = offset_at(zone, after_s);

    while (after_s - before_s > 1) {
        int64_t middle = before_s + (after_s - before_s) / 2;

        if (offset_at(zone, middle) == offset)
            after_s = middle;
        else
            before_s = middle;
    }
    return after_s;
}

int64_t local_time_to_utc(GTimeZone *zone, int64_t local_s)
{
    int64_t before = offset_at(zone, local_s - DAY_S);
    int64_t after = offset_at(zone, local_s + DAY_S);
    int64_t by_before = local_s - before, by_after = local_s - after;

    if (offset_at(zone, by_before) == before)
        return by_before;
    if (offset_at(zone, by_after) == after)
        return by_after;
    return find_change(zone, MIN(by_before, by_after), MAX(by_before, by_after));
}

bool local_time_is_steady(GTimeZone *zone, int64_t utc_s)
{
    return offset_at(zone, utc_s - DAY_S) == offset_at(zone, utc_s + DAY_S);
}
