/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the store for the schedules whose times come first, and for those whose run has not ended, each time that one of them
 * changes; many changes meanwhile are one question.
 */
#include "daemon/scheduler.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "daemon/store-schedule.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define AT_ONCE  64   /* looked at together */
#define PAUSE_MS 1000 /* before one of which nothing came is looked at again */

struct Scheduler {
    Store *store;
    SchedulerAttend attend;
    gpointer data;
    int timer_fd;
    guint timer_source, pause;
    bool started, asking, again;
    bool looked;         /* at what a stop came between */
    GHashTable *given;   /* char *: those that somebody looks at */
    GHashTable *running; /* int64_t of a transfer → char * of its schedule */
    Mailbox *back;       /* Returned * */
    guint back_source;
};

typedef struct {
    bool moved;
    char id[];
} Returned;

/* False: somebody looks at it already, or nobody can. */
static bool give(Scheduler *self, const char *id)
{
    if (g_hash_table_contains(self->given, id) || !self->attend(id, self->data))
        return false;
    g_hash_table_add(self->given, g_strdup(id));
    return true;
}

static gboolean on_pause_over(gpointer data)
{
    Scheduler *self = data;

    self->pause = 0;
    scheduler_refresh(self);
    return G_SOURCE_REMOVE;
}

static void pause_for_a_moment(Scheduler *self)
{
    if (self->pause == 0)
        self->pause = g_timeout_add(PAUSE_MS, on_pause_over, self);
}

/* wall_us: 0: never. */
static void set_timer(Scheduler *self, int64_t wall_us)
{
    struct itimerspec when = {.it_value = {.tv_sec = wall_us / USEC_PER_SEC,
                                           .tv_nsec = wall_us % USEC_PER_SEC * 1000}};

    /* fails for no value that can come here */
    (void)timerfd_settime(self->timer_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

/* asking */

static void end_question(Scheduler *self, const GError *error)
{
    self->asking = false;
    if (error != NULL && !store_is_away(error)) {
        log_event(LOG_STORE_FAILED, "REASON", error->message, NULL);
        pause_for_a_moment(self);
    } else if (self->again) {
        scheduler_refresh(self);
    }
}

/* One is looked at when its transfer is known first, which may have ended before that, and when it ends. What cannot be given
 * now is known first the next time. */
static void take_running(Scheduler *self, const GPtrArray *schedules)
{
    GHashTable *running = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);

    for (guint i = 0; i < schedules->len; i++) {
        const Schedule *one = g_ptr_array_index(schedules, i);
        bool starting = strcmp(one->status, SCHEDULE_STARTING) == 0;

        if (starting && one->ours && !self->looked)
            (void)give(self, one->id); /* nobody else looks at one yet */
        else if (!starting &&
                 (g_hash_table_contains(self->running, &one->transfer_id) || give(self, one->id)))
            g_hash_table_insert(running, g_memdup2(&one->transfer_id, sizeof one->transfer_id),
                                g_strdup(one->id));
    }
    g_hash_table_unref(self->running);
    self->running = running;
    self->looked = true;
}

static void on_running(StoreResult *result, gpointer data)
{
    Scheduler *self = data;

    if (result->error == NULL)
        take_running(self, result->schedules);
    end_question(self, result->error);
    store_result_free(result);
}

static void on_wake(StoreResult *result, gpointer data)
{
    Scheduler *self = data;
    int64_t now_us = clock_wall_us(), next_us = 0;

    if (result->error != NULL) {
        end_question(self, result->error);
        store_result_free(result);
        return;
    }
    for (guint i = 0; i < result->schedules->len && next_us == 0; i++) {
        const Schedule *one = g_ptr_array_index(result->schedules, i);

        if (schedule_wake_us(one) <= now_us)
            (void)give(self, one->id); /* or asked again when it is back */
        else
            next_us = schedule_wake_us(one);
    }
    set_timer(self, next_us);
    store_submit(self->store, store_request_set_glance(store_request_schedule_running()),
                 on_running, self);
    store_result_free(result);
}

void scheduler_refresh(Scheduler *self)
{
    self->again = self->asking;
    if (!self->started || self->asking)
        return;
    self->asking = true;
    store_submit(self->store, store_request_set_glance(store_request_schedule_wake(AT_ONCE)),
                 on_wake, self);
}

void scheduler_start(Scheduler *self)
{
    self->started = true;
    scheduler_refresh(self);
}

/* what happens */

/* The time has come, or is another. */
static gboolean on_timer(gint fd, GIOCondition condition, gpointer data)
{
    uint64_t times;

    (void)condition;
    (void)!read(
            fd, &times,
            sizeof times); /* ECANCELED: the clock was set; either way it is asked what is due */
    scheduler_refresh(data);
    return G_SOURCE_CONTINUE;
}

void scheduler_take_change(Scheduler *self, const Transfer *transfer)
{
    const char *id = transfer_state_is_final(transfer->state)
                             ? g_hash_table_lookup(self->running, &transfer->id)
                             : NULL;

    if (id == NULL)
        return;
    if (!give(self, id))
        g_hash_table_remove(self->running, &transfer->id); /* seen anew when it is back */
}

void scheduler_take_back(Scheduler *self, const char *id, bool moved)
{
    Returned *returned = g_malloc0(sizeof *returned + strlen(id) + 1);

    returned->moved = moved;
    memcpy(returned->id, id, strlen(id) + 1);
    (void)mailbox_post(self->back, returned); /* closed only when nobody is given any more */
}

static void on_back(gpointer message, gpointer data)
{
    g_autofree Returned *returned = message;
    Scheduler *self = data;

    g_hash_table_remove(self->given, returned->id);
    if (returned->moved)
        scheduler_refresh(self);
    else
        pause_for_a_moment(self);
}

/* life */

Scheduler *scheduler_new(Store *store, SchedulerAttend attend, gpointer data, GError **error)
{
    int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    Scheduler *self;

    if (fd < 0) {
        error_set_errno(error, errno, "make a timer");
        return NULL;
    }
    self = g_new0(Scheduler, 1);
    self->store = store;
    self->attend = attend;
    self->data = data;
    self->timer_fd = fd;
    self->timer_source = g_unix_fd_add(fd, G_IO_IN, on_timer, self);
    self->given = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->running = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    self->back = mailbox_new(g_free);
    self->back_source = mailbox_attach(self->back, NULL, on_back, self);
    return self;
}

void scheduler_free(Scheduler *self)
{
    if (self == NULL)
        return;
    g_source_remove(self->timer_source);
    g_source_remove(self->back_source);
    if (self->pause != 0)
        g_source_remove(self->pause);
    fd_clear(&self->timer_fd);
    mailbox_close(self->back);
    mailbox_unref(self->back);
    g_hash_table_unref(self->given);
    g_hash_table_unref(self->running);
    g_free(self);
}
