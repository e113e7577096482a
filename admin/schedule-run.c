/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a schedule: it is due, its cut-off has come, its run has ended, or a stop came between. Each time the row is read, and
 * one thing is done with it by a change that fails when another daemon was faster. Worker threads.
 */
#include "admin/schedule-draft.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/metric.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LATE_US (60 * USEC_PER_SEC) /* what is due for longer was missed */
#define STALE_US                                                                                   \
    (3600 * USEC_PER_SEC) /* another daemon that has not ended a run since may be gone for good */
#define COUNTED_MAX 1000  /* due times that were missed together */
#define FOUND_MAX   100

/* telling */

/* A wall time as a field of the log. Returns new. */
static char *dup_time(int64_t wall_us)
{
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(wall_us / USEC_PER_SEC);

    return time != NULL ? g_date_time_format_iso8601(time) : NULL;
}

static void tell(Request *request, const Schedule *schedule, const char *change, const char *status,
                 int64_t transfer_id, const char *error)
{
    g_autoptr(GString) data = g_string_new(NULL);

    json_open(data, NULL, '{');
    json_text(data, "id", schedule->id);
    json_text(data, "name", schedule->name);
    json_text(data, "change", change);
    json_text(data, "status", status);
    if (transfer_id != 0)
        json_number(data, "transferId", transfer_id);
    json_text(data, "error", error);
    json_close(data, '}');
    events_publish(request->admin->events, NULL, "schedule", data->str);
}

/* A run that nobody asked for over HTTP has its row too. */
static void audit_run(Request *request, const Schedule *schedule, int64_t transfer_id,
                      const char *failure)
{
    g_autoptr(GString) detail = g_string_new(NULL);
    g_autofree char *object = g_strconcat("/api/v1/schedules/", schedule->id, NULL);
    AuditAct act = {request->identity.name, request->address, "RunSchedule", object, NULL};

    json_open(detail, NULL, '{');
    json_time(detail, "dueAt", schedule->next_us);
    if (transfer_id != 0)
        json_number(detail, "transferId", transfer_id);
    json_text(detail, "error", failure);
    json_close(detail, '}');
    act.detail = detail->str;
    audit_post(request->admin->audit, &act, NULL, NULL);
}

/* ends */

/* What a transfer that has ended means for its run; NULL: it has not ended. */
static const char *status_of(const Transfer *transfer)
{
    if (transfer == NULL || transfer->state == TRANSFER_FAILED)
        return SCHEDULE_FAILED;
    if (!transfer_state_is_final(transfer->state))
        return NULL;
    return transfer->state == TRANSFER_DONE ? SCHEDULE_SUCCESS : SCHEDULE_CANCELLED;
}

/* Returns new, or NULL. */
static char *dup_reason(const Transfer *transfer)
{
    if (transfer == NULL)
        return g_strdup("its transfer is not there any more");
    if (transfer->diag_code != 0)
        return g_strdup_printf("%u-%03u%s%s", transfer->diag_type, transfer->diag_code,
                               transfer->error != NULL ? ": " : "",
                               transfer->error != NULL ? transfer->error : "");
    return g_strdup(transfer->error);
}

/* False: the store did not take it. */
static bool end_run(Request *request, const Schedule *schedule, int64_t run_us, const char *status,
                    const char *error)
{
    bool good = strcmp(status, SCHEDULE_SUCCESS) == 0;
    char id[LOG_NUMBER_BYTES];
    g_autoptr(StoreResult) result =
            request_execute(request, store_request_set_patient(store_request_schedule_ended(
                                             schedule->id, run_us, status, good ? NULL : error)));

    if (result->error != NULL)
        return result->error->code == BASE_ERROR_CONFLICT; /* another said so */
    metric_add(good                                      ? METRIC_RUNS_DONE
               : strcmp(status, SCHEDULE_CANCELLED) == 0 ? METRIC_RUNS_CANCELLED
                                                         : METRIC_RUNS_FAILED,
               1);
    if (!good)
        log_event(LOG_SCHEDULE_FAILED, "SCHEDULE", schedule->name, "TRANSFER",
                  log_number(id, schedule->transfer_id), "REASON", error, NULL);
    tell(request, schedule, "ended", status, schedule->transfer_id, good ? NULL : error);
    return true;
}

/* Whether its transfer has ended, and if so, how. False: the store does not say. */
static bool settle(Request *request, const Schedule *schedule, bool *ret_ended)
{
    g_autoptr(StoreResult) found =
            request_execute(request, store_request_get(schedule->transfer_id));
    const char *status;
    g_autofree char *reason = NULL;

    if (found->error != NULL && found->error->code != BASE_ERROR_NOT_FOUND)
        return false;
    status = status_of(found->transfer);
    *ret_ended = status != NULL;
    if (status == NULL)
        return true;
    reason = dup_reason(found->transfer);
    return end_run(request, schedule, schedule->run_us, status, reason);
}

/* The transfer that a run made before a stop came between; 0: none. */
static int64_t find_made(Request *request, const Schedule *schedule, const ScheduleRule *rule)
{
    StoreSearch search = {
            .partner = rule->plan.partner, .from_us = schedule->run_us, .limit = FOUND_MAX};
    g_autoptr(StoreResult) found = request_execute(request, store_request_search(&search));

    for (guint i = 0; found->error == NULL && i < found->transfers->len; i++) {
        const Transfer *transfer = g_ptr_array_index(found->transfers, i);

        if (g_strcmp0(transfer->actor, request->identity.name) == 0 &&
            strcmp(transfer->path, rule->plan.path) == 0)
            return transfer->id;
    }
    return 0;
}

static bool note_started(Request *request, const Schedule *schedule, int64_t run_us, int64_t id)
{
    g_autoptr(StoreResult) result = request_execute(
            request,
            store_request_set_patient(store_request_schedule_started(schedule->id, run_us, id)));

    return result->error == NULL || result->error->code == BASE_ERROR_CONFLICT;
}

/* rule: NULL: what it wanted cannot be read any more. */
static bool recover(Request *request, const Schedule *schedule, const ScheduleRule *rule)
{
    int64_t made = rule != NULL ? find_made(request, schedule, rule) : 0;

    return made != 0 ? note_started(request, schedule, schedule->run_us, made)
                     : end_run(request, schedule, schedule->run_us, SCHEDULE_FAILED,
                               "the daemon stopped before its transfer was made");
}

/* runs */

/* What a problem says. Returns new. */
static char *dup_detail(const Request *request)
{
    g_autoptr(Json) problem = json_read(request->answer->str, request->answer->len, NULL);
    const char *detail = NULL;

    if (problem != NULL)
        (void)json_get_text(problem, "detail", &detail, NULL); /* our own */
    return g_strdup(detail != NULL ? detail : "the transfer could not be made");
}

/* Makes the transfer of a run that was begun. 0: answered with the problem. */
static int64_t execute(Request *request, const Schedule *schedule, const ScheduleRule *rule,
                       int64_t run_us, char **ret_failure)
{
    int64_t id = plan_execute(request, &rule->plan);
    char number[LOG_NUMBER_BYTES];

    if (id == 0) {
        *ret_failure = dup_detail(request);
        (void)end_run(request, schedule, run_us, SCHEDULE_FAILED, *ret_failure); /* patient */
        return 0;
    }
    log_event(LOG_SCHEDULE_RUN, "SCHEDULE", schedule->name, "TRANSFER", log_number(number, id),
              NULL);
    (void)note_started(request, schedule, run_us, id); /* patient */
    tell(request, schedule, "started", SCHEDULE_RUNNING, id, NULL);
    return id;
}

bool schedule_run_now(Request *request, const Schedule *schedule, const ScheduleRule *rule)
{
    int64_t now_us = clock_wall_us();
    g_autofree char *failure = NULL;
    g_autoptr(Schedule) fresh = schedule_copy(schedule);
    g_autoptr(StoreResult) begun = request_execute(
            request, store_request_schedule_begin(schedule->id, now_us, now_us - STALE_US));

    if (begun->error != NULL && begun->error->code == BASE_ERROR_CONFLICT) {
        request_problem(request, 409, "conflict", "id", "a run of schedule '%s' has not ended",
                        schedule->name);
        return false;
    }
    if (begun->error != NULL) {
        request_fail(request, begun->error);
        return false;
    }
    fresh->transfer_id = 0;
    return execute(request, fresh, rule, now_us, &failure) != 0;
}

/* due times */

static bool advance(Request *request, const Schedule *schedule, const ScheduleRule *rule,
                    unsigned missed)
{
    g_autoptr(Schedule) after = schedule_copy(schedule);
    g_autoptr(StoreResult) result = NULL;

    schedule_rule_set_next(rule, MAX(clock_wall_us(), schedule->next_us), after);
    result = request_execute(request, store_request_schedule_advance(schedule, after, missed));
    return result->error == NULL || result->error->code == BASE_ERROR_CONFLICT;
}

static unsigned count_missed(const Schedule *schedule, const ScheduleRule *rule, int64_t now_us)
{
    int64_t due_s = schedule->next_us / USEC_PER_SEC;
    unsigned count = 0;

    for (; due_s != 0 && due_s <= now_us / USEC_PER_SEC && count < COUNTED_MAX; count++)
        due_s = recurrence_next(&rule->recurrence, due_s);
    return count;
}

static bool pass_over(Request *request, const Schedule *schedule, const ScheduleRule *rule,
                      const char *why)
{
    unsigned missed = count_missed(schedule, rule, clock_wall_us());
    char count[LOG_NUMBER_BYTES];
    g_autofree char *due = dup_time(schedule->next_us);

    if (!advance(request, schedule, rule, missed))
        return false;
    metric_add(METRIC_RUNS_MISSED, missed);
    log_event(LOG_SCHEDULE_MISSED, "SCHEDULE", schedule->name, "TIMES", log_number(count, missed),
              "DUE", due, "REASON", why, NULL);
    tell(request, schedule, "missed", NULL, 0, why);
    return true;
}

/* Its run has not ended, as far as anybody knows. */
static bool is_under_way(const Schedule *schedule, int64_t now_us)
{
    bool running = strcmp(schedule->status, SCHEDULE_RUNNING) == 0;

    return (running || strcmp(schedule->status, SCHEDULE_STARTING) == 0) &&
           ((running && schedule->ours) || schedule->run_us > now_us - STALE_US);
}

static bool claim_and_run(Request *request, const Schedule *schedule, const ScheduleRule *rule)
{
    int64_t now_us = clock_wall_us(), id;
    g_autoptr(Schedule) after = schedule_copy(schedule);
    g_autofree char *failure = NULL;
    g_autoptr(StoreResult) claimed = NULL;

    schedule_rule_set_next(rule, MAX(now_us, schedule->next_us), after);
    after->run_us = now_us;
    claimed = request_execute(request, store_request_set_patient(store_request_schedule_claim(
                                               schedule, after, now_us - STALE_US)));
    if (claimed->error != NULL && claimed->error->code == BASE_ERROR_CONFLICT)
        return schedule->due_us < schedule->next_us || advance(request, schedule, rule, 0);
    if (claimed->error != NULL)
        return false;
    after->transfer_id = 0;
    id = execute(request, after, rule, now_us, &failure);
    audit_run(request, schedule, id, failure);
    return true;
}

static bool run_due(Request *request, const Schedule *schedule, const ScheduleRule *rule)
{
    int64_t now_us = clock_wall_us(), due_s = schedule->next_us / USEC_PER_SEC;

    if (recurrence_next(&rule->recurrence, due_s - 1) != due_s)
        return advance(request, schedule, rule, 0); /* a calendar says otherwise meanwhile */
    if (is_under_way(schedule, now_us))
        return pass_over(request, schedule, rule, "the run before it has not ended");
    if (now_us - schedule->next_us > LATE_US && !rule->catch_up)
        return pass_over(request, schedule, rule, "no daemon was there");
    return claim_and_run(request, schedule, rule);
}

/* cut-offs */

static void tell_overdue(Request *request, const Schedule *schedule, const ScheduleRule *rule)
{
    g_autoptr(GString) data = g_string_new(NULL);
    g_autofree char *by = dup_time(schedule->expect_us);

    metric_add(METRIC_FILES_OVERDUE, 1);
    log_event(LOG_FILE_OVERDUE, "SCHEDULE", schedule->name, "PARTNER", rule->plan.partner, "PATH",
              rule->plan.path, "EXPECTED_BY", by, NULL);
    json_open(data, NULL, '{');
    json_text(data, "id", schedule->id);
    json_text(data, "name", schedule->name);
    json_text(data, "partnerId", rule->plan.partner);
    json_text(data, "path", rule->plan.path);
    json_time(data, "expectedBy", schedule->expect_us);
    json_close(data, '}');
    events_publish(request->admin->events, NULL, "overdue", data->str);
}

static bool check_arrival(Request *request, const Schedule *schedule, const ScheduleRule *rule)
{
    g_autoptr(Schedule) after = schedule_copy(schedule);
    g_autoptr(StoreResult) result = NULL;

    schedule_rule_set_expected(rule, MAX(schedule->expect_us, clock_wall_us()), after);
    if (schedule->next_us == 0) /* it is over, and nothing else is expected */
        after->expect_us = after->expect_since_us = 0;
    result = request_execute(request, store_request_schedule_advance(schedule, after, 0));
    if (result->error == NULL && schedule->success_us < schedule->expect_since_us)
        tell_overdue(request, schedule, rule);
    return result->error == NULL || result->error->code == BASE_ERROR_CONFLICT;
}

/* looking at one */

/* What it wants cannot be had any more: it is switched off, and says why. */
static bool switch_off(Request *request, const Schedule *schedule, const GError *error)
{
    int64_t now_us = clock_wall_us();
    g_autoptr(Schedule) after = schedule_copy(schedule);
    g_autoptr(StoreResult) changed = NULL;

    if (error->code != BASE_ERROR_INVALID)
        return false;
    after->next_us = after->expect_us = after->expect_since_us = 0;
    after->run_us = now_us;
    after->transfer_id = 0;
    changed = request_execute(
            request, schedule->next_us != 0 ? store_request_schedule_claim(schedule, after, now_us)
                                            : store_request_schedule_advance(schedule, after, 0));
    if (changed->error != NULL || schedule->next_us == 0)
        return changed->error == NULL;
    return end_run(request, after, now_us, SCHEDULE_FAILED, error->message);
}

/* What there is to be done with a schedule whose run, if it has one, has not ended. */
typedef enum { NOTHING, LOST, OVER, DUE } Task;

static Task find_task(const Request *request, const Schedule *schedule)
{
    int64_t now_us = clock_wall_us();

    if (strcmp(schedule->status, SCHEDULE_STARTING) == 0 && schedule->ours &&
        schedule->run_us < request->admin->started_us)
        return LOST;
    if (schedule->expect_us != 0 && schedule->expect_us <= now_us)
        return OVER;
    return schedule->next_us != 0 && schedule->next_us <= now_us ? DUE : NOTHING;
}

static bool attend_to(Request *request, const Schedule *schedule)
{
    Task task = find_task(request, schedule);
    g_autoptr(GError) error = NULL;
    g_autoptr(Json) document = NULL;
    g_auto(ScheduleRule) rule = {.zone = NULL};
    bool ended = false, readable;

    if (strcmp(schedule->status, SCHEDULE_RUNNING) == 0 &&
        (!settle(request, schedule, &ended) || ended))
        return ended;
    if (task == NOTHING)
        return true;
    document = json_read(schedule->document, strlen(schedule->document), &error);
    readable = document != NULL &&
               schedule_rule_read(request, document, schedule->created_us, &rule, &error);
    if (!readable && task != LOST)
        return switch_off(request, schedule, error);
    switch (task) {
    case LOST:
        return recover(request, schedule, readable ? &rule : NULL);
    case OVER:
        return check_arrival(request, schedule, &rule);
    case DUE:
        return run_due(request, schedule, &rule);
    case NOTHING:
        break;
    }
    return true;
}

typedef struct {
    Admin *admin;
    char *id;
    AdminAttended on_done;
    gpointer data;
} Attending;

static void attend(gpointer data)
{
    Attending *self = data;
    g_autofree char *path = g_strconcat("/api/v1/schedules/", self->id, NULL);
    g_autoptr(Request) request = request_new(self->admin, "POST", path);
    g_autoptr(StoreResult) found = NULL;
    bool moved = false;

    request->address = g_strdup("local");
    request->identity.role = ROLE_OPERATOR;
    found = request_execute(request, store_request_schedule_get(self->id));
    if (found->error == NULL) {
        const Schedule *schedule = g_ptr_array_index(found->schedules, 0);

        request->identity.name = g_strconcat("schedule:", schedule->name, NULL);
        moved = attend_to(request, schedule);
    } else {
        moved = found->error->code == BASE_ERROR_NOT_FOUND;
    }
    self->on_done(moved, self->data);
    g_free(self->id);
    g_free(self);
}

bool admin_attend_schedule(Admin *self, const char *id, AdminAttended on_done, gpointer data)
{
    Attending *attending = g_new0(Attending, 1);

    *attending = (Attending){self, g_strdup(id), on_done, data};
    if (admin_push(self, attend, attending))
        return true;
    g_free(attending->id);
    g_free(attending);
    return false;
}
