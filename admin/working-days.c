/* SPDX-License-Identifier: Apache-2.0 */
/* Holidays as a table: a fixed day of a month, or days after Easter Sunday. */
#include "admin/working-days.h"

#include "admin/local-time.h"

#include <string.h>

typedef struct {
    const char *preset;
    unsigned month, day; /* month 0: after Easter */
    int after_easter;
    const char *name;
} HolidayRow;

/* clang-format off */
static const HolidayRow HOLIDAYS[] = {
    /* closing days of TARGET2 and T2 since 2002 */
    { "TARGET2", 1, 1, 0, "New Year's Day" }, { "TARGET2", 0, 0, -2, "Good Friday" }, { "TARGET2", 0, 0, 1, "Easter Monday" },
    { "TARGET2", 5, 1, 0, "Labour Day" }, { "TARGET2", 12, 25, 0, "Christmas Day" }, { "TARGET2", 12, 26, 0, "26 December" },
    /* Code du travail, L3133-1 */
    { "FR", 1, 1, 0, "Jour de l'An" }, { "FR", 0, 0, 1, "Lundi de Pâques" }, { "FR", 5, 1, 0, "Fête du Travail" },
    { "FR", 5, 8, 0, "Victoire 1945" }, { "FR", 0, 0, 39, "Ascension" }, { "FR", 0, 0, 50, "Lundi de Pentecôte" },
    { "FR", 7, 14, 0, "Fête nationale" }, { "FR", 8, 15, 0, "Assomption" }, { "FR", 11, 1, 0, "Toussaint" },
    { "FR", 11, 11, 0, "Armistice 1918" }, { "FR", 12, 25, 0, "Noël" },
};
/* clang-format on */

void working_days_clear(WorkingDays *self)
{
    if (self->holidays != NULL)
        g_array_unref(self->holidays);
    self->holidays = NULL;
}

void working_days_add_holiday(WorkingDays *self, int64_t day)
{
    if (self->holidays == NULL)
        self->holidays = g_array_new(FALSE, FALSE, sizeof(int64_t));
    g_array_append_val(self->holidays, day);
}

bool working_days_has(const WorkingDays *self, int64_t day)
{
    if ((self->weekdays & 1u << local_time_weekday(day)) == 0)
        return false;
    for (guint i = 0; self->holidays != NULL && i < self->holidays->len; i++) {
        if (g_array_index(self->holidays, int64_t, i) == day)
            return false;
    }
    return true;
}

/* Of the full moon of the church's tables, the Sunday after it (Meeus, Astronomical Algorithms, chapter 8). */
int64_t working_days_easter(int year)
{
    int a = year % 19, b = year / 100, c = year % 100;
    int d = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    int e = (32 + 2 * (b % 4) + 2 * (c / 4) - d - c % 4) % 7;
    int f = d + e - 7 * ((a + 11 * d + 22 * e) / 451) + 114;

    return local_time_day(year, (unsigned)(f / 31), (unsigned)(f % 31) + 1);
}

bool working_days_each_holiday(const char *preset, int year, HolidayVisitor visit, gpointer data)
{
    int64_t easter = working_days_easter(year);
    bool found = false;

    for (size_t i = 0; i < G_N_ELEMENTS(HOLIDAYS); i++) {
        const HolidayRow *row = &HOLIDAYS[i];

        if (strcmp(row->preset, preset) != 0)
            continue;
        found = true;
        visit(row->month != 0 ? local_time_day(year, row->month, row->day)
                              : easter + row->after_easter,
              row->name, data);
    }
    return found;
}

const char *working_days_presets(void)
{
    return "TARGET2 FR";
}
