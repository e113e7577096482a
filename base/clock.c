/* SPDX-License-Identifier: Apache-2.0 */
/* Time from the system's clocks; the only place that reads them for the programs. Any thread. */
#include "base/clock.h"

#include <glib.h>
#include <time.h>

#define NSEC_PER_USEC 1000

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

char *clock_format_iso(int64_t wall_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(wall_us / USEC_PER_SEC);
    g_autofree char *seconds = g_date_time_format(time, "%Y-%m-%dT%H:%M:%S");

    return g_strdup_printf("%s.%06dZ", seconds, (int)(wall_us % USEC_PER_SEC));
}
