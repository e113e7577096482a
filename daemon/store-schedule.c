/* SPDX-License-Identifier: Apache-2.0 */
/* Requests about schedules: changes are conditional, and who comes too late hears so. */
#include "daemon/store-schedule.h"
#include "daemon/store-private.h"

#include "base/clock.h"
#include "base/error.h"

#include <string.h>

#define TABLE "schedules"

Schedule *schedule_copy(const Schedule *schedule)
{
    Schedule *copy = g_memdup2(schedule, sizeof *schedule);

    copy->id = g_strdup(schedule->id);
    copy->name = g_strdup(schedule->name);
    copy->document = g_strdup(schedule->document);
    copy->status = g_strdup(schedule->status);
    copy->error = g_strdup(schedule->error);
    return copy;
}

void schedule_free(Schedule *schedule)
{
    if (schedule == NULL)
        return;
    g_free(schedule->id);
    g_free(schedule->name);
    g_free(schedule->document);
    g_free(schedule->status);
    g_free(schedule->error);
    g_free(schedule);
}

int64_t schedule_wake_us(const Schedule *schedule)
{
    if (schedule->next_us == 0 || schedule->expect_us == 0)
        return schedule->next_us + schedule->expect_us;
    return MIN(schedule->next_us, schedule->expect_us);
}

/* changes */

static StoreRequest *new_change(StoreStart start, StoreFinish finish, const Schedule *schedule)
{
    StoreRequest *self = store_request_new_writing(start, finish);

    self->schedule = schedule_copy(schedule);
    self->tells = TABLE;
    return self;
}

static void say_taken(const StoreRequest *self, StoreResult *result)
{
    if (result->error == NULL || result->error->code != BASE_ERROR_EXISTS)
        return;
    g_clear_error(&result->error);
    g_set_error(&result->error, BASE_ERROR, BASE_ERROR_EXISTS,
                "name: schedule '%s' is there already", self->schedule->name);
}

/* A statement that returns the version of the row that it changed. */
static void finish_change(const StoreRequest *self, Db *db, StoreResult *result)
{
    DbStep step = db_step(db, &result->error);

    if (step == DB_ROW)
        result->number = (uint64_t)db_number(db, 0);
    else if (step == DB_DONE)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "schedule '%s' was changed or removed meanwhile", self->schedule->id);
    else
        say_taken(self, result);
}

static void finish_insert(const StoreRequest *self, Db *db, StoreResult *result)
{
    if (db_step(db, &result->error) == DB_FAILED)
        say_taken(self, result);
}

/* id, name, document, now, times */
static void bind_wanted(const Schedule *schedule, Db *db)
{
    db_bind_text(db, 1, schedule->id);
    db_bind_text(db, 2, schedule->name);
    db_bind_text(db, 3, schedule->document);
    db_bind_number(db, 4, clock_wall_us());
    db_bind_number(db, 5, schedule->next_us);
    db_bind_number(db, 6, schedule->expect_us);
    db_bind_number(db, 7, schedule->expect_since_us);
    db_bind_number(db, 8, schedule_wake_us(schedule));
}

static bool start_insert(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_INSERT, error))
        return false;
    bind_wanted(self->schedule, db);
    return true;
}

StoreRequest *store_request_schedule_insert(const Schedule *schedule)
{
    return new_change(start_insert, finish_insert, schedule);
}

static bool start_update(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_UPDATE, error))
        return false;
    bind_wanted(self->schedule, db);
    db_bind_number(db, 9, self->schedule->version);
    return true;
}

StoreRequest *store_request_schedule_update(const Schedule *schedule)
{
    return new_change(start_update, finish_change, schedule);
}

static bool start_remove(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_REMOVE, error))
        return false;
    db_bind_text(db, 1, self->schedule->id);
    db_bind_number(db, 2, self->schedule->version);
    return true;
}

StoreRequest *store_request_schedule_remove(const Schedule *schedule)
{
    return new_change(start_remove, finish_change, schedule);
}

/* reading */

static void finish_schedules(const StoreRequest *self, Db *db, StoreResult *result)
{
    result->schedules = g_ptr_array_new_with_free_func((GDestroyNotify)schedule_free);
    while (db_step(db, &result->error) == DB_ROW) {
        Schedule *one = g_new0(Schedule, 1);
        int64_t *const numbers[] = {&one->version, &one->created_us, &one->updated_us,
                                    &one->next_us, &one->expect_us,  &one->expect_since_us,
                                    &one->due_us,  &one->run_us};
        int64_t *const counts[] = {&one->transfer_id, &one->success_us, &one->successes,
                                   &one->failures, &one->missed};

        one->id = g_strdup(db_text(db, 0));
        one->name = g_strdup(db_text(db, 1));
        one->document = g_strdup(db_text(db, 2));
        for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
            *numbers[i] = db_number(db, 3 + i);
        one->status = g_strdup(db_text(db, 11));
        one->error = g_strdup(db_text(db, 12));
        for (unsigned i = 0; i < G_N_ELEMENTS(counts); i++)
            *counts[i] = db_number(db, 13 + i);
        one->ours = db_number(db, 18) != 0;
        g_ptr_array_add(result->schedules, one);
    }
    if (result->error == NULL && self->what != NULL && result->schedules->len == 0)
        g_set_error(&result->error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no %s", self->what);
}

static bool start_get(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_GET, error))
        return false;
    db_bind_text(db, 1, self->owner);
    db_bind_text(db, 2, self->texts[0]);
    return true;
}

StoreRequest *store_request_schedule_get(const char *id)
{
    StoreRequest *self = store_request_new(start_get, finish_schedules);

    self->texts[0] = g_strdup(id);
    self->what = g_strdup_printf("schedule '%s'", id);
    return self;
}

static bool start_list(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_LIST, error))
        return false;
    db_bind_text(db, 1, self->owner);
    db_bind_text(db, 2, self->texts[0]);
    db_bind_number(db, 3, self->limit);
    return true;
}

StoreRequest *store_request_schedule_list(const char *after, uint32_t limit)
{
    StoreRequest *self = store_request_new(start_list, finish_schedules);

    self->texts[0] = g_strdup(after);
    self->limit = limit;
    return self;
}

static bool start_wake(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_WAKE, error))
        return false;
    db_bind_text(db, 1, self->owner);
    db_bind_number(db, 2, self->limit);
    return true;
}

StoreRequest *store_request_schedule_wake(uint32_t limit)
{
    StoreRequest *self = store_request_new(start_wake, finish_schedules);

    self->limit = limit;
    return self;
}

static bool start_running(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_RUNNING, error))
        return false;
    db_bind_text(db, 1, self->owner);
    return true;
}

StoreRequest *store_request_schedule_running(void)
{
    return store_request_new(start_running, finish_schedules);
}

/* what happens to it */

/* id, version, and the times that come then */
static void bind_times(const Schedule *after, Db *db)
{
    db_bind_text(db, 1, after->id);
    db_bind_number(db, 2, after->version);
    db_bind_number(db, 3, after->next_us);
    db_bind_number(db, 4, after->expect_us);
    db_bind_number(db, 5, after->expect_since_us);
    db_bind_number(db, 6, schedule_wake_us(after));
}

/* numbers: the due time, stale */
static bool start_claim(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_CLAIM, error))
        return false;
    bind_times(self->schedule, db);
    db_bind_number(db, 7, self->schedule->run_us);
    db_bind_text(db, 8, self->owner);
    db_bind_number(db, 9, self->numbers[1]);
    db_bind_number(db, 10, self->numbers[0]);
    return true;
}

StoreRequest *store_request_schedule_claim(const Schedule *before, const Schedule *after,
                                           int64_t stale_us)
{
    StoreRequest *self = new_change(start_claim, finish_change, after);

    self->numbers[0] = before->next_us;
    self->numbers[1] = stale_us;
    return self;
}

/* numbers: next and cut-off as they were, missed */
static bool start_advance(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_ADVANCE, error))
        return false;
    bind_times(self->schedule, db);
    db_bind_number(db, 7, self->numbers[2]);
    db_bind_number(db, 8, self->numbers[0]);
    db_bind_number(db, 9, self->numbers[1]);
    return true;
}

StoreRequest *store_request_schedule_advance(const Schedule *before, const Schedule *after,
                                             unsigned missed)
{
    StoreRequest *self = new_change(start_advance, finish_change, after);

    self->numbers[0] = before->next_us;
    self->numbers[1] = before->expect_us;
    self->numbers[2] = missed;
    return self;
}

/* A change of the row of an id; a text and numbers beside it. */
static StoreRequest *new_event(StoreStart start, const char *id, int64_t run_us)
{
    const Schedule key = {.id = (char *)(uintptr_t)id}; /* copied */
    StoreRequest *self = new_change(start, finish_change, &key);

    self->numbers[0] = run_us;
    return self;
}

static bool start_begin(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_BEGIN, error))
        return false;
    db_bind_text(db, 1, self->schedule->id);
    db_bind_number(db, 2, self->numbers[0]);
    db_bind_text(db, 3, self->owner);
    db_bind_number(db, 4, self->numbers[1]);
    return true;
}

StoreRequest *store_request_schedule_begin(const char *id, int64_t run_us, int64_t stale_us)
{
    StoreRequest *self = new_event(start_begin, id, run_us);

    self->numbers[1] = stale_us;
    return self;
}

static bool start_started(const StoreRequest *self, Db *db, GError **error)
{
    if (!db_start(db, SQL_SCHEDULE_STARTED, error))
        return false;
    db_bind_text(db, 1, self->schedule->id);
    db_bind_number(db, 2, self->numbers[0]);
    db_bind_number(db, 3, self->numbers[1]);
    return true;
}

StoreRequest *store_request_schedule_started(const char *id, int64_t run_us, int64_t transfer_id)
{
    StoreRequest *self = new_event(start_started, id, run_us);

    self->numbers[1] = transfer_id;
    return self;
}

static bool start_ended(const StoreRequest *self, Db *db, GError **error)
{
    bool good = strcmp(self->texts[0], SCHEDULE_SUCCESS) == 0;

    if (!db_start(db, SQL_SCHEDULE_ENDED, error))
        return false;
    db_bind_text(db, 1, self->schedule->id);
    db_bind_number(db, 2, self->numbers[0]);
    db_bind_text(db, 3, self->texts[0]);
    db_bind_text(db, 4, self->texts[1]);
    db_bind_number(db, 5, good ? 1 : 0);
    db_bind_number(db, 6, good ? 0 : 1);
    db_bind_number(db, 7, good ? 1 : 0);
    return true;
}

StoreRequest *store_request_schedule_ended(const char *id, int64_t run_us, const char *status,
                                           const char *error)
{
    StoreRequest *self = new_event(start_ended, id, run_us);

    self->texts[0] = g_strdup(status);
    self->texts[1] = g_strdup(error);
    return self;
}
