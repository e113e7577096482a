/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as an expression of cron: it is refused, or what is due by it comes after the time that was asked for, on a day that
 * it means, and is the same from right before it. The first bytes choose zone, time and calendar.
 */
#include "admin/local-time.h"
#include "admin/recurrence.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static void check(const Recurrence *recurrence, int64_t after_s)
{
    int64_t due_s = recurrence_next(recurrence, after_s);
    Expectation expectation = recurrence_expect(recurrence, 600, after_s);

    if (due_s == 0)
        return;
    if (due_s <= after_s || recurrence_next(recurrence, due_s - 1) != due_s)
        abort();
    if (recurrence->days != NULL &&
        !working_days_has(recurrence->days,
                          local_time_day_of(local_time_of(recurrence->zone, due_s))))
        abort();
    if (expectation.cut_s <= after_s || expectation.since_s > expectation.cut_s)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const char *const ZONES[] = {"UTC", "Europe/Paris", "America/New_York",
                                        "Australia/Lord_Howe"};
    static GTimeZone *zones[G_N_ELEMENTS(ZONES)];
    static const WorkingDays week = {WORKING_DAYS_MONDAY_TO_FRIDAY, NULL};
    g_autofree char *text = NULL;
    Recurrence recurrence = {.kind = RECURRENCE_TIMES};
    uint32_t after = 0;

    if (length < 5)
        return 0;
    for (size_t i = 0; zones[0] == NULL || (i > 0 && i < G_N_ELEMENTS(ZONES)); i++)
        zones[i] = g_time_zone_new_identifier(ZONES[i]);
    memcpy(&after, bytes + 1, sizeof after);
    text = g_strndup((const char *)bytes + 5, length - 5);
    if (!cron_parse(text, &recurrence.times, NULL))
        return 0;
    recurrence.zone = zones[bytes[0] & 3];
    recurrence.days = (bytes[0] & 4) != 0 ? &week : NULL;
    recurrence.shift = (bytes[0] & 8) != 0;
    check(&recurrence, after);
    return 0;
}
