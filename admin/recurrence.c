/* SPDX-License-Identifier: Apache-2.0 */
/* Days first, then times of a day: a day that is not meant costs some comparisons. */
#include "admin/recurrence.h"

#include "admin/local-time.h"

#define HORIZON_DAYS (40 * 366)
#define DAYS_OFF_MAX 31 /* in a row, over which a due day moves */

static bool is_working(const Recurrence *self, int64_t day)
{
    return self->days == NULL || working_days_has(self->days, day);
}

static bool is_due_day(const Recurrence *self, int64_t day)
{
    if (!is_working(self, day))
        return false;
    if (cron_has_day(&self->times, day))
        return true;
    for (int64_t before = day - 1; self->shift && before >= day - DAYS_OFF_MAX; before--) {
        if (is_working(self, before))
            return false;
        if (cron_has_day(&self->times, before))
            return true;
    }
    return false;
}

/* The first member of a set from a number on; 64: none. */
static unsigned find_bit(uint64_t set, unsigned from)
{
    while (from < 64 && (set >> from & 1) == 0)
        from++;
    return from;
}

/* by the wall's clock */

typedef struct {
    const Recurrence *recurrence;
    int64_t after_s; /* UTC */
    int64_t from_s;  /* of the wall: nothing before it is looked at */
} Search;

static int64_t find_in_hour(const Search *search, int64_t hour_s)
{
    const Cron *times = &search->recurrence->times;

    for (unsigned minute = find_bit(times->minutes, 0); minute < 60;
         minute = find_bit(times->minutes, minute + 1)) {
        if (hour_s + minute * 60 + 59 < search->from_s)
            continue;
        for (unsigned second = find_bit(times->seconds, 0); second < 60;
             second = find_bit(times->seconds, second + 1)) {
            int64_t local_s = hour_s + minute * 60 + second;
            int64_t found_s = local_s < search->from_s
                                      ? search->after_s
                                      : local_time_to_utc(search->recurrence->zone, local_s);

            if (found_s > search->after_s)
                return found_s;
        }
    }
    return 0;
}

static int64_t find_in_day(const Search *search, int64_t day)
{
    uint32_t hours = search->recurrence->times.hours;
    int64_t found_s = 0;

    for (unsigned hour = find_bit(hours, 0); hour < 24 && found_s == 0;
         hour = find_bit(hours, hour + 1)) {
        int64_t hour_s = day * DAY_S + hour * 3600;

        if (hour_s + 3599 >= search->from_s)
            found_s = find_in_hour(search, hour_s);
    }
    return found_s;
}

static int64_t next_by_wall(const Recurrence *self, int64_t after_s)
{
    int64_t local_s = local_time_of(self->zone, after_s);
    int64_t first = local_time_day_of(local_s);
    /* where the clock was set, what it shows may come before what it showed */
    Search search = {self, after_s,
                     local_time_is_steady(self->zone, after_s) ? local_s + 1 : local_s - DAY_S};
    int64_t found_s = 0;

    for (int64_t day = first; day < first + HORIZON_DAYS && found_s == 0; day++) {
        if (is_due_day(self, day))
            found_s = find_in_day(&search, day);
    }
    return found_s;
}

/* by what has passed */

/* The beginning of the day after one, and never back. */
static int64_t pass_day(const Recurrence *self, int64_t day, int64_t now_s)
{
    return MAX(now_s + 1, local_time_to_utc(self->zone, (day + 1) * DAY_S));
}

static int64_t next_by_hours(const Recurrence *self, int64_t after_s)
{
    const Cron *times = &self->times;
    int64_t now_s = after_s + 1;

    while (now_s < after_s + (int64_t)HORIZON_DAYS * DAY_S) {
        int64_t local_s = local_time_of(self->zone, now_s);
        int64_t day = local_time_day_of(local_s);
        unsigned of_day = (unsigned)(local_s - day * DAY_S);

        if (!is_due_day(self, day))
            now_s = pass_day(self, day, now_s);
        else if ((times->minutes >> (of_day / 60 % 60) & 1) == 0)
            now_s += 60 - of_day % 60;
        else if ((times->seconds >> (of_day % 60) & 1) == 0)
            now_s++;
        else
            return now_s;
    }
    return 0;
}

/* the others */

static int64_t next_working_day(const Recurrence *self, int64_t day)
{
    int64_t last = day + HORIZON_DAYS;

    while (day < last && !is_working(self, day))
        day++;
    return day < last ? day : 0;
}

static int64_t next_once(const Recurrence *self, int64_t after_s)
{
    int64_t local_s = local_time_of(self->zone, self->start_s);
    int64_t day = local_time_day_of(local_s);
    int64_t due_s = self->start_s;

    if (!is_working(self, day)) {
        int64_t other = self->shift ? next_working_day(self, day) : 0;

        due_s = other != 0 ? local_time_to_utc(self->zone, local_s + (other - day) * DAY_S) : 0;
    }
    return due_s > after_s ? due_s : 0;
}

static int64_t next_step(const Recurrence *self, int64_t after_s)
{
    if (after_s < self->start_s)
        return self->start_s;
    return after_s + self->interval_s - (after_s - self->start_s) % self->interval_s;
}

static int64_t next_interval(const Recurrence *self, int64_t after_s)
{
    int64_t due_s = next_step(self, after_s);
    int64_t day = local_time_day_of(local_time_of(self->zone, due_s));
    int64_t last = day + HORIZON_DAYS;

    while (!is_working(self, day) && day < last) {
        day = next_working_day(self, day);
        if (day == 0)
            return 0;
        due_s = next_step(self, local_time_to_utc(self->zone, day * DAY_S) - 1);
        day = local_time_day_of(local_time_of(self->zone, due_s));
    }
    return day < last ? due_s : 0;
}

int64_t recurrence_next(const Recurrence *self, int64_t after_s)
{
    switch (self->kind) {
    case RECURRENCE_ONCE:
        return next_once(self, after_s);
    case RECURRENCE_INTERVAL:
        return next_interval(self, after_s);
    case RECURRENCE_TIMES:
        return cron_is_of_every_hour(&self->times) ? next_by_hours(self, after_s)
                                                   : next_by_wall(self, after_s);
    }
    return 0;
}

/* cut-offs */

static int64_t cut_of(const Recurrence *self, int64_t day, unsigned minute)
{
    return local_time_to_utc(self->zone, day * DAY_S + minute * 60);
}

Expectation recurrence_expect(const Recurrence *self, unsigned minute, int64_t after_s)
{
    int64_t day = local_time_day_of(local_time_of(self->zone, after_s)) - 1;
    int64_t due_s, first_s;

    while (cut_of(self, day, minute) <= after_s)
        day++;
    due_s = recurrence_next(self, MAX(cut_of(self, day - 1, minute), after_s));
    if (due_s == 0)
        return (Expectation){0, 0};
    if (due_s > cut_of(self, day, minute)) {
        day = local_time_day_of(local_time_of(self->zone, due_s));
        day += cut_of(self, day, minute) < due_s ? 1 : 0;
    }
    /* of a day on which several are due, what came by an earlier one is there */
    first_s = recurrence_next(self, local_time_to_utc(self->zone, day * DAY_S) - 1);
    return (Expectation){cut_of(self, day, minute),
                         first_s != 0 && first_s <= cut_of(self, day, minute) ? first_s : due_s};
}
