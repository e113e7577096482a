/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Days as numbers, and what a wall clock shows in a time zone. Days are counted from 1970-01-01; times are seconds, of UTC or, as
 * if they were, of the clock on the wall. No clock is read here; any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define DAY_S 86400

typedef struct {
    int year;
    unsigned month, day; /* from 1 */
} CivilDate;

/* Of a date of the Gregorian calendar. */
int64_t local_time_day(int year, unsigned month, unsigned day);
CivilDate local_time_date(int64_t day);
/* Monday is 1, Sunday 7. */
unsigned local_time_weekday(int64_t day);
unsigned local_time_month_length(int year, unsigned month);
/* The day that a time is on. */
int64_t local_time_day_of(int64_t local_s);
/* "2027-01-31". False: it is no day. */
bool local_time_parse_day(const char *text, int64_t *ret_day);
/* Returns new. */
char *local_time_format_day(int64_t day);
/* "08:30", from midnight. False: it is none. */
bool local_time_parse_minute(const char *text, unsigned *ret_minute);

/* What the wall shows then. */
int64_t local_time_of(GTimeZone *zone, int64_t utc_s);
/* When the wall shows it: the first time of two, and what the clock skips is right after the gap. */
int64_t local_time_to_utc(GTimeZone *zone, int64_t local_s);
/* Whether the clock is not set within a day of it. */
bool local_time_is_steady(GTimeZone *zone, int64_t utc_s);
