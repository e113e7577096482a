/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something is due again: once, every so often, or at times of days that cron.h names, on working days only if wanted. Times are
 * seconds of UTC. What the wall's clock skips is due right after the gap, what it shows twice is due the first time;
 * where every hour is meant, real hours are. Pure; any thread.
 */
#pragma once

#include "admin/cron.h"
#include "admin/working-days.h"

typedef enum { RECURRENCE_ONCE, RECURRENCE_INTERVAL, RECURRENCE_TIMES } RecurrenceKind;

typedef struct {
    RecurrenceKind kind;
    int64_t start_s;         /* once: when; interval: when it is first due */
    int64_t interval_s;      /* interval */
    Cron times;              /* times */
    GTimeZone *zone;         /* borrowed */
    const WorkingDays *days; /* borrowed; NULL: every day is one */
    bool shift;              /* from a day off to the working day after it, instead of not at all */
} Recurrence;

/* The first due time after a time; 0: never again, at least not in forty years. */
int64_t recurrence_next(const Recurrence *self, int64_t after_s);

/* Until when what is due must have come. */
typedef struct {
    int64_t cut_s;   /* 0: nothing will be due */
    int64_t since_s; /* what came from then on counts */
} Expectation;

/* The first cut-off after a time, at a minute of the day, before which something is due after that time. */
Expectation recurrence_expect(const Recurrence *self, unsigned minute, int64_t after_s);
