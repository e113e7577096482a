/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of cron: five fields (minute, hour, day of month, month, weekday), or six with the second before them. Lists, ranges,
 * steps, names, and for days L, L-2, LW, 15W, FRIL and FRI#2; @hourly, @daily, @weekly, @monthly, @yearly. Of five fields a
 * day is meant when either of its two fields says so, as cron has it; of six when both do, as Spring has it. Pure; any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define CRON_LENGTH_MAX 255

/* Bit n of a set stands for n. A plain value. */
typedef struct {
    uint64_t seconds, minutes;
    uint32_t hours, months;
    uint32_t days;             /* of the month */
    uint8_t weekdays;          /* 1 Monday to 7 Sunday */
    bool any_day, any_weekday; /* the field does not say which */
    bool both;                 /* days must be right by both fields */
    bool clamp;                /* a day that a month does not have is its last */
    uint32_t from_last;        /* of the month: bit n is n days before its last */
    uint32_t nearest;  /* of the month: the working day of the week next to it, in the same month */
    bool last_working; /* the last working day of the week of the month */
    uint8_t ordinals[8]; /* by weekday: bit 1 its first in the month, …, bit 7 its last */
} Cron;

/* INVALID: the text says which field is wrong. ret_cron: written only on success. */
bool cron_parse(const char *text, Cron *ret_cron, GError **error);
/* Whether a day, as local-time.h counts them, is meant. */
bool cron_has_day(const Cron *self, int64_t day);
/* Whether every hour is meant: such times go by what has passed, not by what the wall shows. */
bool cron_is_of_every_hour(const Cron *self);
