/* SPDX-License-Identifier: Apache-2.0 */
/* Schedules over HTTP. What happens to them by the clock is in schedule-run.c. */
#include "admin/schedule-draft.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

#define PATH  "/api/v1/schedules/"
#define EVENT "schedule"

/* answers */

static void write_state(GString *out, const Schedule *s)
{
    json_open(out, NULL, '{');
    json_text(out, "id", s->id);
    json_text(out, "name", s->name);
    json_bool(out, "enabled", s->next_us != 0);
    json_time(out, "nextRunAt", s->next_us);
    json_time(out, "nextExpectedAt", s->expect_us);
    json_time(out, "lastRunAt", s->run_us);
    json_time(out, "lastRunDueAt", s->due_us);
    json_text(out, "lastRunStatus", s->status[0] != '\0' ? s->status : NULL);
    json_text(out, "lastRunError", s->error);
    if (s->transfer_id != 0)
        json_number(out, "lastRunTransferId", s->transfer_id);
    else
        json_text(out, "lastRunTransferId", NULL);
    json_time(out, "lastSuccessAt", s->success_us);
    json_number(out, "successCount", s->successes);
    json_number(out, "failureCount", s->failures);
    json_number(out, "missedCount", s->missed);
    json_number(out, "version", s->version);
    json_time(out, "createdAt", s->created_us);
    json_time(out, "updatedAt", s->updated_us);
    json_close(out, '}');
}

void schedule_write(GString *out, const Schedule *schedule, const Json *document)
{
    g_autofree char *own = json_dup_text(document), *text = NULL;
    g_autoptr(GString) state = g_string_new(NULL);
    g_autoptr(Json) whole = json_read(own, strlen(own), NULL), more = NULL;

    write_state(state, schedule);
    more = json_read(state->str, state->len, NULL);
    json_merge(whole, more);
    text = json_dup_text(whole);
    json_raw(out, NULL, text);
}

static void answer(Request *request, unsigned status, const Schedule *schedule,
                   const Json *document)
{
    schedule_write(request_answer(request, status), schedule, document);
    draft_add_etag(request, schedule->version);
}

/* reading */

/* NULL: answered. Returns new. */
static Json *read_document(Request *request, const Schedule *schedule)
{
    Json *document = json_read(schedule->document, strlen(schedule->document), NULL);

    if (document == NULL)
        request_problem(request, 500, "io", NULL, "the document of schedule '%s' cannot be read",
                        schedule->id);
    return document;
}

/* NULL: answered. Both new. */
static Schedule *get(Request *request, Json **ret_document)
{
    g_autoptr(StoreResult) found =
            request_store(request, store_request_schedule_get(request->parameters[0]));

    if (found == NULL)
        return NULL;
    *ret_document = read_document(request, g_ptr_array_index(found->schedules, 0));
    return *ret_document != NULL ? schedule_copy(g_ptr_array_index(found->schedules, 0)) : NULL;
}

static Schedule *get_for_change(Request *request, Json **ret_document)
{
    g_autoptr(Schedule) schedule = get(request, ret_document);

    if (schedule == NULL || !draft_check_match(request, schedule->version))
        return NULL;
    return g_steal_pointer(&schedule);
}

bool schedules_each(Request *request, ScheduleVisitor visit, gpointer data)
{
    g_autofree char *after = g_strdup("");

    for (;;) {
        g_autoptr(StoreResult) found =
                request_store(request, store_request_schedule_list(after, PLAN_PAGE_MAX));

        if (found == NULL)
            return false;
        for (guint i = 0; i < found->schedules->len; i++) {
            const Schedule *schedule = g_ptr_array_index(found->schedules, i);
            g_autoptr(Json) document = read_document(request, schedule);

            if (document == NULL || !visit(request, schedule, document, data))
                return false;
        }
        if (found->schedules->len < PLAN_PAGE_MAX)
            return true;
        g_free(after);
        after = g_strdup(
                ((const Schedule *)g_ptr_array_index(found->schedules, PLAN_PAGE_MAX - 1))->id);
    }
}

typedef struct {
    const char *field, *id, *how;
} Use;

static bool is_unused(Request *request, const Schedule *schedule, const Json *document,
                      gpointer data)
{
    const Use *use = data;
    const char *id = NULL;

    (void)json_get_text(document, use->field, &id, NULL); /* checked */
    if (g_strcmp0(id, use->id) != 0)
        return true;
    request_problem(request, 409, "conflict", "id", "schedule '%s' %s", schedule->name, use->how);
    return false;
}

bool schedules_check_unused(Request *request, const char *field, const char *id, const char *how)
{
    return schedules_each(request, is_unused, &(Use){field, id, how});
}

void schedules_list(Request *request)
{
    const char *after = request_query(request, "after");
    int64_t limit = 100;
    g_autoptr(StoreResult) found = NULL;
    GString *out;

    if (!request_query_number(request, "limit", 1, PLAN_PAGE_MAX, &limit))
        return;
    found = request_store(request,
                          store_request_schedule_list(after != NULL ? after : "", (uint32_t)limit));
    if (found == NULL)
        return;
    out = request_answer(request, 200);
    json_open(out, NULL, '[');
    for (guint i = 0; i < found->schedules->len; i++) {
        const Schedule *schedule = g_ptr_array_index(found->schedules, i);
        g_autoptr(Json) document = json_read(schedule->document, strlen(schedule->document), NULL);

        if (document != NULL)
            schedule_write(out, schedule, document);
    }
    json_close(out, ']');
}

void schedules_show(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Schedule) schedule = get(request, &document);

    if (schedule != NULL)
        answer(request, 200, schedule, document);
}

/* changes */

/* Who named what: the culprit of a schedule that never comes. */
static const char *field_of_times(const Json *document)
{
    return json_has(document, "cronExpression") ? "cronExpression"
           : json_has(document, "scheduledAt")  ? "scheduledAt"
                                                : "workingDaysOnly";
}

/* Sets the times from now on. False: answered. */
static bool set_times(Request *request, const Json *document, bool enabled, Schedule *schedule)
{
    g_auto(ScheduleRule) rule = {.zone = NULL};
    g_autoptr(GError) error = NULL;

    int64_t now_us = clock_wall_us();

    if (!schedule_rule_read(request, document, schedule->created_us, &rule, &error)) {
        request_fail(request, error);
        return false;
    }
    if (enabled) {
        schedule_rule_set_next(&rule, now_us, schedule);
        schedule_rule_set_expected(&rule, now_us, schedule);
    } else {
        schedule->next_us = schedule->expect_us = schedule->expect_since_us = 0;
    }
    if (!enabled || schedule->next_us != 0)
        return true;
    request_problem(request, 422, "unprocessable", field_of_times(document),
                    "%s: that time does not come", field_of_times(document));
    return false;
}

/* Name and document as they are to be. False: answered. */
static bool settle(Request *request, Json *document, bool enabled, Schedule *schedule)
{
    g_autoptr(GError) error = NULL;
    const char *name;

    if (!plan_check_name(document, &name, &error)) {
        request_fail(request, error);
        return false;
    }
    if (!json_has(document, "favoriteId") && !plan_complete(request, document))
        return false;
    if (!set_times(request, document, enabled, schedule))
        return false;
    g_free(schedule->name);
    schedule->name = g_strdup(name);
    g_free(schedule->document);
    schedule->document = json_dup_text(document);
    return true;
}

static void create(Request *request, Json *body, const char *ignored)
{
    g_autoptr(Json) document = json_read("{}", 2, NULL);
    g_autoptr(Schedule) schedule = g_new0(Schedule, 1);
    g_autoptr(StoreResult) result = NULL;
    g_autoptr(GError) error = NULL;
    g_autofree char *where = NULL;
    bool enabled = true;

    schedule->id = g_uuid_string_random();
    schedule->status = g_strdup("");
    schedule->version = 1;
    schedule->created_us = schedule->updated_us = clock_wall_us();
    if (!schedule_draft_merge(document, body, &enabled, &error)) {
        request_fail(request, error);
        return;
    }
    if (!settle(request, document, enabled, schedule))
        return;
    result = record_change(request, store_request_schedule_insert(schedule));
    if (result == NULL)
        return;
    where = g_strconcat(PATH, schedule->id, NULL);
    request_add_header(request, "Location", where);
    request_note_change(request, NULL, schedule->document);
    answer(request, 201, schedule, document);
    request_note_ignored(request, ignored);
    plan_tell(request, EVENT, schedule->id, schedule->name, "created");
}

void schedules_create(Request *request)
{
    g_autofree char *ignored = NULL;
    g_autoptr(Json) body = plan_read_body(request, SCHEDULE_FIELDS, &ignored);

    if (body != NULL)
        create(request, body, ignored);
}

/* The favourite gives the transfer, and a name where the body has none. */
void schedules_create_from_favourite(Request *request)
{
    g_autofree char *ignored = NULL, *name = NULL;
    g_autoptr(Json) body = plan_read_body(request, SCHEDULE_FIELDS, &ignored);
    g_autoptr(Json) favourite = NULL;
    g_autoptr(Record) record = body != NULL ? plan_document_get(request, "favorite",
                                                                request->parameters[0], &favourite)
                                            : NULL;

    if (record == NULL)
        return;
    name = g_strconcat("Schedule: ", record->name, NULL);
    if (!json_has(body, "name"))
        json_set_text(body, "name", name);
    json_set_text(body, "favoriteId", record->id);
    create(request, body, ignored);
}

/* Stores what a schedule is to be. False: answered. */
static bool store_change(Request *request, Schedule *schedule, const char *before)
{
    g_autoptr(StoreResult) result = record_change(request, store_request_schedule_update(schedule));

    if (result == NULL)
        return false;
    schedule->version = (int64_t)result->number;
    schedule->updated_us = clock_wall_us();
    request_note_change(request, before, schedule->document);
    return true;
}

void schedules_update(Request *request)
{
    g_autofree char *ignored = NULL, *before = NULL;
    g_autoptr(Json) body = plan_read_body(request, SCHEDULE_FIELDS, &ignored);
    g_autoptr(Json) document = NULL;
    g_autoptr(Schedule) schedule = body != NULL ? get_for_change(request, &document) : NULL;
    g_autoptr(GError) error = NULL;
    bool enabled;

    if (schedule == NULL)
        return;
    before = g_strdup(schedule->document);
    enabled = schedule->next_us != 0;
    if (!schedule_draft_merge(document, body, &enabled, &error)) {
        request_fail(request, error);
        return;
    }
    if (!settle(request, document, enabled, schedule) || !store_change(request, schedule, before))
        return;
    answer(request, 200, schedule, document);
    request_note_ignored(request, ignored);
    plan_tell(request, EVENT, schedule->id, schedule->name, "updated");
}

void schedules_toggle(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Schedule) schedule = get_for_change(request, &document);
    bool enabled;

    if (schedule == NULL)
        return;
    enabled = schedule->next_us == 0;
    if (!set_times(request, document, enabled, schedule) ||
        !store_change(request, schedule, schedule->document))
        return;
    request_note_change(request, enabled ? "{\"enabled\":false}" : "{\"enabled\":true}",
                        enabled ? "{\"enabled\":true}" : "{\"enabled\":false}");
    answer(request, 200, schedule, document);
    plan_tell(request, EVENT, schedule->id, schedule->name, enabled ? "enabled" : "disabled");
}

void schedules_remove(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Schedule) schedule = get_for_change(request, &document);
    g_autoptr(StoreResult) result = NULL;

    if (schedule == NULL)
        return;
    result = record_change(request, store_request_schedule_remove(schedule));
    if (result == NULL)
        return;
    request_note_change(request, schedule->document, NULL);
    (void)request_answer(request, 204);
    plan_tell(request, EVENT, schedule->id, schedule->name, "removed");
}

void schedules_run(Request *request)
{
    g_autoptr(Json) document = NULL;
    g_autoptr(Schedule) schedule = get(request, &document);
    g_auto(ScheduleRule) rule = {.zone = NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(StoreResult) found = NULL;

    if (schedule == NULL)
        return;
    if (!schedule_rule_read(request, document, schedule->created_us, &rule, &error)) {
        request_fail(request, error);
        return;
    }
    if (!schedule_run_now(request, schedule, &rule))
        return;
    found = request_store(request, store_request_schedule_get(schedule->id));
    if (found != NULL)
        answer(request, 202, g_ptr_array_index(found->schedules, 0), document);
}

/* calendars */

static bool follow(Request *request, const Schedule *schedule, const Json *document, gpointer data)
{
    g_auto(ScheduleRule) rule = {.zone = NULL};
    g_autoptr(Schedule) after = NULL;
    g_autoptr(StoreResult) result = NULL;
    int64_t now_us = clock_wall_us();

    (void)data;
    /* what is due now is seen to by who runs it */
    if (schedule->next_us <= now_us ||
        !schedule_rule_read(request, document, schedule->created_us, &rule, NULL) ||
        rule.recurrence.days == NULL)
        return true;
    after = schedule_copy(schedule);
    schedule_rule_set_next(&rule, now_us, after);
    schedule_rule_set_expected(&rule, now_us, after);
    if (after->next_us != schedule->next_us || after->expect_us != schedule->expect_us)
        result = request_execute(request, store_request_schedule_advance(schedule, after, 0));
    return true; /* changed meanwhile: by the calendar as it is now */
}

void schedules_follow(Request *request)
{
    (void)schedules_each(request, follow, NULL);
}
