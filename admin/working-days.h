/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Days on which banks work: days of the week without holidays, and the holidays that rules give: those of TARGET2 and of France.
 * Days are those of local-time.h. Pure; any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define WORKING_DAYS_MONDAY_TO_FRIDAY 0x3E

typedef struct {
    unsigned weekdays; /* bit 1 Monday to 7 Sunday */
    GArray *holidays;  /* int64_t, in any order; NULL: none. Owned */
} WorkingDays;

void working_days_clear(WorkingDays *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(WorkingDays, working_days_clear)
void working_days_add_holiday(WorkingDays *self, int64_t day);
bool working_days_has(const WorkingDays *self, int64_t day);

/* Easter Sunday of a year of the Gregorian calendar. */
int64_t working_days_easter(int year);
/* Calls visit for each holiday of a set ("TARGET2", "FR") in a year, in no order. False: there is no such set. */
typedef void (*HolidayVisitor)(int64_t day, const char *name, gpointer data);
bool working_days_each_holiday(const char *preset, int year, HolidayVisitor visit, gpointer data);
/* Names of the sets, a blank between them. */
const char *working_days_presets(void);
