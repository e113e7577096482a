/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The document of a schedule as what it means: which transfer, when, by which clock and calendar. Belongs to one thread; private to
 * admin/.
 */
#pragma once

#include "admin/plan.h"
#include "admin/recurrence.h"

/* A plain value; what it borrows is the document's that it was read from. */
typedef struct {
    Plan plan;
    Json *favourite; /* whose plan it is, or NULL. Owned */
    GTimeZone *zone; /* owned */
    WorkingDays days;
    Recurrence recurrence;
    bool catch_up;
    int expect_minute; /* of the day, by which it must have come; -1: whenever it comes */
} ScheduleRule;

void schedule_rule_clear(ScheduleRule *rule);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ScheduleRule, schedule_rule_clear)
/* created_us: what intervals count from. ret_rule: filled in place, also half on an error: cleared by the caller. INVALID, and
 * the errors of the store. */
bool schedule_rule_read(Request *request, const Json *document, int64_t created_us,
                        ScheduleRule *ret_rule, GError **error);
/* Sets when a schedule that is switched on is due after a time. */
void schedule_rule_set_next(const ScheduleRule *rule, int64_t after_us, Schedule *schedule);
/* Sets its first cut-off after a time; one that it has, and that is still ahead, stays when it is one of the rule's. */
void schedule_rule_set_expected(const ScheduleRule *rule, int64_t after_us, Schedule *schedule);

extern const PlanField SCHEDULE_FIELDS[];
/* The body over the document; enabled is taken out of it. INVALID: a field of it does not go with its type. */
bool schedule_draft_merge(Json *document, Json *body, bool *enabled, GError **error);

/* calendars.c */

/* id: NULL: the default; where there is none, Monday to Friday. INVALID, and the errors of the store. ret_days: cleared by the
 * caller. */
bool calendar_load(Request *request, const char *id, WorkingDays *ret_days, GError **error);

/* schedules.c */

/* Sets the times of all that go by a calendar anew. */
void schedules_follow(Request *request);
void schedule_write(GString *out, const Schedule *schedule, const Json *document);

/* schedule-run.c */

/* A run that somebody asked for. False: answered. */
bool schedule_run_now(Request *request, const Schedule *schedule, const ScheduleRule *rule);
