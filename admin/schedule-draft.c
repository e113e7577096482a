/* SPDX-License-Identifier: Apache-2.0 */
/* One table says which fields go with which type of schedule, and what they are where nobody says. */
#include "admin/schedule-draft.h"

#include "admin/local-time.h"
#include "base/clock.h"
#include "base/error.h"

#include <string.h>

#define DEFAULT_ZONE "UTC"
#define DEFAULT_TIME "09:00"
#define MINUTE_S     60
#define YEAR_MINUTES (366 * 24 * 60)

/* clang-format off */
const PlanField SCHEDULE_FIELDS[] = {
    PLAN_FIELDS,
    { "favoriteId", FIELD_TEXT, 0, 0, NULL, NULL },
    { "scheduleType", FIELD_WORD, 0, 0, "ONCE INTERVAL HOURLY DAILY WEEKLY MONTHLY CRON", NULL },
    { "cronExpression", FIELD_TEXT, 0, 0, NULL, "cronExpression cron schedule" },
    { "intervalMinutes", FIELD_NUMBER, 1, YEAR_MINUTES, NULL, NULL }, { "dailyTime", FIELD_TIME, 0, 0, NULL, NULL },
    { "dayOfWeek", FIELD_NUMBER, 1, 7, NULL, NULL }, { "dayOfMonth", FIELD_NUMBER, 1, 31, NULL, NULL },
    { "scheduledAt", FIELD_TEXT, 0, 0, NULL, NULL }, { "timezone", FIELD_TEXT, 0, 0, NULL, "timezone timeZone" },
    { "workingDaysOnly", FIELD_BOOL, 0, 0, NULL, NULL }, { "nonWorkingDay", FIELD_WORD, 0, 0, "SKIP NEXT", NULL },
    { "calendarId", FIELD_TEXT, 0, 0, NULL, NULL }, { "catchUp", FIELD_BOOL, 0, 0, NULL, NULL },
    { "expectBy", FIELD_TIME, 0, 0, NULL, NULL }, { "enabled", FIELD_BOOL, 0, 0, NULL, NULL },
    /* of jobs: where from, and where to */
    { "sourcePattern", FIELD_TEXT, 0, 0, NULL, NULL }, { "destinationPath", FIELD_TEXT, 0, 0, NULL, NULL },
    { NULL, FIELD_TEXT, 0, 0, NULL, NULL },
};

/* Fields of times, and the types that have them. */
static const struct { const char *field, *types; } TIMES[] = {
    { "cronExpression", "CRON" }, { "intervalMinutes", "INTERVAL" }, { "dailyTime", "HOURLY DAILY WEEKLY MONTHLY" },
    { "dayOfWeek", "WEEKLY" }, { "dayOfMonth", "MONTHLY" }, { "scheduledAt", "ONCE INTERVAL" },
};
/* clang-format on */

static bool complain(const char *field, const char *why, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "%s: %s", field, why);
    return false;
}

/* Borrowed, fallback where it is missing. */
static const char *text_of(const Json *document, const char *field, const char *fallback)
{
    const char *text = fallback;

    (void)json_get_text(document, field, &text, NULL); /* checked */
    return text;
}

static bool flag_of(const Json *document, const char *field)
{
    bool flag = false;

    (void)json_get_bool(document, field, &flag, NULL); /* checked */
    return flag;
}

static int64_t number_of(const Json *document, const char *field, int64_t fallback)
{
    (void)json_get_number(document, field, &fallback, NULL); /* checked */
    return fallback;
}

/* bodies */

static bool goes_with(const char *types, const char *type)
{
    g_auto(GStrv) words = g_strsplit(types, " ", -1);

    return g_strv_contains((const char *const *)words, type);
}

/* What jobs say of where from and where to. */
static void take_job(Json *document, Json *body)
{
    const char *from = text_of(body, "sourcePattern", NULL);
    const char *to = text_of(body, "destinationPath", NULL);
    const char *direction = text_of(body, "direction", text_of(document, "direction", ""));
    bool sends = strcmp(direction, "SEND") == 0;

    if (from != NULL)
        json_set_text(body, sends ? "filename" : "path", from);
    if (to != NULL && sends)
        json_set_text(body, "path", to + strspn(to, "/"));
    json_remove(body, "sourcePattern");
    json_remove(body, "destinationPath");
}

/* The type, from what is said where it is not. */
static const char *find_type(const Json *document, const Json *body)
{
    const char *type = text_of(body, "scheduleType", NULL);

    if (type != NULL)
        return type;
    if (json_has(body, "cronExpression"))
        return "CRON";
    return text_of(document, "scheduleType",
                   json_has(body, "intervalMinutes") ? "INTERVAL"
                   : json_has(body, "scheduledAt")   ? "ONCE"
                                                     : NULL);
}

static bool fit_times(Json *document, Json *body, const char *type, GError **error)
{
    for (size_t i = 0; i < G_N_ELEMENTS(TIMES); i++) {
        if (goes_with(TIMES[i].types, type))
            continue;
        if (json_has(body, TIMES[i].field)) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                        "%s: it does not go with scheduleType %s", TIMES[i].field, type);
            return false;
        }
        json_remove(document, TIMES[i].field);
    }
    return true;
}

bool schedule_draft_merge(Json *document, Json *body, bool *enabled, GError **error)
{
    g_autofree char *type = NULL;

    take_job(document, body);
    type = g_strdup(find_type(document, body));
    if (type == NULL)
        return complain("scheduleType", "it is missing", error);
    if (!fit_times(document, body, type, error))
        return false;
    plan_merge(document, body, SCHEDULE_FIELDS);
    json_set_text(document, "scheduleType", type);
    (void)json_get_bool(document, "enabled", enabled, NULL); /* checked */
    json_remove(document, "enabled");
    if (!json_has(document, "timezone"))
        json_set_text(document, "timezone", DEFAULT_ZONE);
    if (goes_with("DAILY WEEKLY MONTHLY", type) && !json_has(document, "dailyTime"))
        json_set_text(document, "dailyTime", DEFAULT_TIME);
    if (strcmp(type, "WEEKLY") == 0 && !json_has(document, "dayOfWeek"))
        json_set_number(document, "dayOfWeek", 1);
    if (strcmp(type, "MONTHLY") == 0 && !json_has(document, "dayOfMonth"))
        json_set_number(document, "dayOfMonth", 1);
    return true;
}

/* rules */

void schedule_rule_clear(ScheduleRule *rule)
{
    json_free(rule->favourite);
    rule->favourite = NULL;
    if (rule->zone != NULL)
        g_time_zone_unref(rule->zone);
    rule->zone = NULL;
    working_days_clear(&rule->days);
}

static bool read_plan(Request *request, const Json *document, ScheduleRule *rule, GError **error)
{
    const char *id = text_of(document, "favoriteId", NULL);
    g_autoptr(StoreResult) found = NULL;
    const Record *record;

    if (id == NULL)
        return plan_read(document, &rule->plan, error);
    found = request_execute(request, store_request_record_get("favorite", id));
    if (found->error != NULL && found->error->code == BASE_ERROR_NOT_FOUND) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "favoriteId: there is no favorite '%s'",
                    id);
        return false;
    }
    if (found->error != NULL) {
        g_propagate_error(error, g_steal_pointer(&found->error));
        return false;
    }
    record = g_ptr_array_index(found->records, 0);
    rule->favourite = json_read(record->document, strlen(record->document), error);
    return rule->favourite != NULL && plan_read(rule->favourite, &rule->plan, error);
}

/* "2027-01-31T08:00:00Z", by the clock of the zone where it names none. */
static bool read_start(const Json *document, ScheduleRule *rule, GError **error)
{
    const char *text = text_of(document, "scheduledAt", NULL);
    g_autoptr(GDateTime) time =
            text != NULL ? g_date_time_new_from_iso8601(text, rule->zone) : NULL;

    if (text != NULL && time == NULL)
        return complain("scheduledAt", "it must be a time as 2027-01-31T08:00:00Z", error);
    if (time != NULL)
        rule->recurrence.start_s = g_date_time_to_unix(time);
    return true;
}

/* What is said by fields, as the sets of an expression. */
static Cron make_times(const Json *document, const char *type)
{
    Cron times = {.seconds = 1,
                  .hours = 0xFFFFFF,
                  .months = 0x1FFE,
                  .any_day = true,
                  .any_weekday = true,
                  .both = true};
    unsigned minute = 0;

    (void)local_time_parse_minute(text_of(document, "dailyTime", "00:00"), &minute); /* checked */
    times.minutes = UINT64_C(1) << (minute % 60);
    if (strcmp(type, "HOURLY") != 0)
        times.hours = 1u << (minute / 60);
    if (strcmp(type, "WEEKLY") == 0) {
        times.any_weekday = false;
        times.weekdays = (uint8_t)(1u << number_of(document, "dayOfWeek", 1));
    }
    if (strcmp(type, "MONTHLY") == 0) {
        times.any_day = false;
        times.days = 1u << number_of(document, "dayOfMonth", 1);
        times.clamp = true;
    }
    return times;
}

static bool read_recurrence(const Json *document, int64_t created_us, ScheduleRule *rule,
                            GError **error)
{
    const char *type = text_of(document, "scheduleType", "");
    const char *cron = text_of(document, "cronExpression", NULL);
    Recurrence *recurrence = &rule->recurrence;

    recurrence->kind = RECURRENCE_TIMES;
    if (strcmp(type, "ONCE") == 0) {
        recurrence->kind = RECURRENCE_ONCE;
        if (!json_has(document, "scheduledAt"))
            return complain("scheduledAt", "it is missing", error);
    } else if (strcmp(type, "INTERVAL") == 0) {
        recurrence->kind = RECURRENCE_INTERVAL;
        recurrence->start_s = created_us / USEC_PER_SEC;
        recurrence->interval_s = number_of(document, "intervalMinutes", 0) * MINUTE_S;
        if (recurrence->interval_s == 0)
            return complain("intervalMinutes", "it is missing", error);
    } else if (strcmp(type, "CRON") != 0) {
        recurrence->times = make_times(document, type);
    } else if (cron == NULL) {
        return complain("cronExpression", "it is missing", error);
    } else if (!cron_parse(cron, &recurrence->times, error)) {
        g_prefix_error(error, "cronExpression: ");
        return false;
    }
    return read_start(document, rule, error);
}

static bool read_zone(const Json *document, ScheduleRule *rule, GError **error)
{
    const char *name = text_of(document, "timezone", DEFAULT_ZONE);

    rule->zone = g_time_zone_new_identifier(name);
    if (rule->zone != NULL)
        return true;
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID,
                "timezone: unknown time zone '%s', as Europe/Paris is one", name);
    return false;
}

static bool read_days(Request *request, const Json *document, ScheduleRule *rule, GError **error)
{
    bool only = flag_of(document, "workingDaysOnly");
    const char *calendar = text_of(document, "calendarId", NULL);

    if (!only && calendar != NULL)
        return complain("calendarId", "it goes with workingDaysOnly", error);
    if (!only && json_has(document, "nonWorkingDay"))
        return complain("nonWorkingDay", "it goes with workingDaysOnly", error);
    if (!only)
        return true;
    rule->recurrence.days = &rule->days;
    rule->recurrence.shift = strcmp(text_of(document, "nonWorkingDay", "SKIP"), "NEXT") == 0;
    return calendar_load(request, calendar, &rule->days, error);
}

bool schedule_rule_read(Request *request, const Json *document, int64_t created_us,
                        ScheduleRule *ret_rule, GError **error)
{
    const char *expect = text_of(document, "expectBy", NULL);
    unsigned minute = 0;

    ret_rule->expect_minute = -1;
    ret_rule->catch_up = flag_of(document, "catchUp");
    if (!read_plan(request, document, ret_rule, error) || !read_zone(document, ret_rule, error) ||
        !read_recurrence(document, created_us, ret_rule, error) ||
        !read_days(request, document, ret_rule, error))
        return false;
    ret_rule->recurrence.zone = ret_rule->zone;
    if (expect != NULL && ret_rule->plan.sends)
        return complain("expectBy", "it is for what is fetched", error);
    if (expect != NULL && local_time_parse_minute(expect, &minute))
        ret_rule->expect_minute = (int)minute;
    return true;
}

void schedule_rule_set_next(const ScheduleRule *rule, int64_t after_us, Schedule *schedule)
{
    schedule->next_us = recurrence_next(&rule->recurrence, after_us / USEC_PER_SEC) * USEC_PER_SEC;
}

static Expectation expect(const ScheduleRule *rule, int64_t after_us)
{
    return rule->expect_minute < 0
                   ? (Expectation){0, 0}
                   : recurrence_expect(&rule->recurrence, (unsigned)rule->expect_minute,
                                       after_us / USEC_PER_SEC);
}

void schedule_rule_set_expected(const ScheduleRule *rule, int64_t after_us, Schedule *schedule)
{
    Expectation ahead = expect(rule, after_us);

    if (schedule->expect_us > after_us) {
        Expectation same = expect(rule, MIN(after_us, schedule->expect_since_us - 1));

        if (same.cut_s * USEC_PER_SEC == schedule->expect_us)
            ahead = same;
    }
    schedule->expect_us = ahead.cut_s * USEC_PER_SEC;
    schedule->expect_since_us = ahead.since_s * USEC_PER_SEC;
}
