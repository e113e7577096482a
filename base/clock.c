/* SPDX-License-Identifier: Apache-2.0 */
/* Time from the system's clocks; the only place that reads them for the programs. Any thread. */
#include "base/clock.h"

#include <glib.h>
#include <time.h>

#define NSEC_PER_USEC 1000
#define LAST_US       INT64_C(253402300799999999) /* of the year 9999 */

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now); /* cannot fail for these clocks */
    return (int64_t)now.tv_sec * USEC_PER_SEC + now.tv_nsec / NSEC_PER_USEC;
}

int64_t clock_now_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t clock_wall_s(void)
{
    return clock_wall_us() / USEC_PER_SEC;
}

/* Decimal digits, exactly so many. Returns where they end. */
static char *put_digits(char *at, int value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + width;
}

void clock_write_iso(int64_t wall_us, char text[CLOCK_ISO_SIZE])
{
    int64_t us = CLAMP(wall_us, 0, LAST_US);
    time_t seconds = (time_t)(us / USEC_PER_SEC);
    struct tm utc = {0};
    char *at = text;

    (void)gmtime_r(&seconds, &utc); /* cannot fail for these years */
    at = put_digits(at, utc.tm_year + 1900, 4);
    *at++ = '-';
    at = put_digits(at, utc.tm_mon + 1, 2);
    *at++ = '-';
    at = put_digits(at, utc.tm_mday, 2);
    *at++ = 'T';
    at = put_digits(at, utc.tm_hour, 2);
    *at++ = ':';
    at = put_digits(at, utc.tm_min, 2);
    *at++ = ':';
    at = put_digits(at, utc.tm_sec, 2);
    *at++ = '.';
    at = put_digits(at, (int)(us % USEC_PER_SEC), 6);
    *at++ = 'Z';
    *at = '\0';
}

char *clock_format_iso(int64_t wall_us)
{
    char text[CLOCK_ISO_SIZE];

    clock_write_iso(wall_us, text);
    return g_strdup(text);
}
