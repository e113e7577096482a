/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orders about a transfer that another daemon on the schema has: left in the store for that one, and its answer is looked
 * for until it is there, or the time is over. And the other side of it.
 */
#include "daemon/local/desk-private.h"

#include "base/clock.h"

#include <string.h>

#define ANSWER_US    (10 * (int64_t)USEC_PER_SEC)
#define LOOK_MIN_MS  5
#define LOOK_MAX_MS  200
#define FORGOTTEN_US (3600 * (int64_t)USEC_PER_SEC)
#define ANSWER_DONE  200
#define ANSWER_ERROR 600 /* and the error's number: none of HTTP's */

typedef struct {
    Desk *desk;
    DoorCall *call;
    char *id, *owner;
    int64_t until_us; /* monotonic */
    unsigned pause_ms;
    guint timer;
} PassedOn;

void desk_passed_on_free(gpointer data)
{
    PassedOn *passed = data;

    if (passed->timer != 0)
        g_source_remove(passed->timer);
    if (passed->call != NULL)
        desk_fail(passed->call, BASE_ERROR_CANCELLED, "the daemon stops");
    g_free(passed->id);
    g_free(passed->owner);
    g_free(passed);
}

/* error: NULL: it is done. */
static void end(PassedOn *passed, const GError *error)
{
    DoorCall *call = g_steal_pointer(&passed->call);

    if (error != NULL)
        door_call_fail(call, error);
    else
        door_call_return(call, NULL, NULL, 0);
    g_ptr_array_remove_fast(passed->desk->passed_on, passed);
}

static void end_with(PassedOn *passed, BaseError code, const char *text)
{
    g_autoptr(GError) error =
            g_error_new(BASE_ERROR, (int)code, "daemon '%s' %s", passed->owner, text);

    end(passed, error);
}

static void on_retracted(StoreResult *result, gpointer data)
{
    if (result->error == NULL)
        end_with(data, BASE_ERROR_UNREACHABLE,
                 "has the transfer, and did not hear of it: nothing was done");
    else
        end_with(data, BASE_ERROR_TIMEOUT,
                 "has the transfer, and did not say how it went: it may have done it");
    store_result_free(result);
}

static void take_answer(PassedOn *passed, const Inquiry *answered)
{
    g_autoptr(GError) error = NULL;

    store_post(passed->desk->store,
               store_request_forget_inquiry(passed->id, clock_wall_us() - FORGOTTEN_US));
    if (answered->status == ANSWER_DONE)
        end(passed, NULL);
    else if (answered->status < ANSWER_ERROR || answered->status >= ANSWER_ERROR + BASE_ERROR_COUNT)
        end_with(passed, BASE_ERROR_CONFLICT, "is of another version: ask that one");
    else {
        error = g_error_new_literal(BASE_ERROR, (int)(answered->status - ANSWER_ERROR),
                                    answered->answer);
        end(passed, error);
    }
}

static gboolean on_look(gpointer data);

static void on_looked(StoreResult *result, gpointer data)
{
    PassedOn *passed = data;

    if (result->error == NULL) {
        take_answer(passed, result->inquiry);
    } else if (clock_now_us() >= passed->until_us) {
        store_submit(passed->desk->store, store_request_retract_inquiry(passed->id), on_retracted,
                     passed);
    } else {
        passed->timer = g_timeout_add(passed->pause_ms, on_look, passed);
        passed->pause_ms = MIN(passed->pause_ms * 2, LOOK_MAX_MS);
    }
    store_result_free(result);
}

static gboolean on_look(gpointer data)
{
    PassedOn *passed = data;

    passed->timer = 0;
    store_submit(passed->desk->store, store_request_answered_inquiry(passed->id), on_looked,
                 passed);
    return G_SOURCE_REMOVE;
}

static void on_left(StoreResult *result, gpointer data)
{
    PassedOn *passed = data;

    if (result->error != NULL)
        end(passed, result->error);
    else
        passed->timer = g_timeout_add(LOOK_MIN_MS, on_look, passed);
    store_result_free(result);
}

void desk_pass_on(Desk *self, DoorCall *call, const char *owner, const char *method, int64_t id)
{
    PassedOn *passed = g_new0(PassedOn, 1);
    g_autofree char *number = g_strdup_printf("%" G_GINT64_FORMAT, id);
    Inquiry order = {.actor = (char *)(uintptr_t)door_call_actor(call),
                     .method = (char *)(uintptr_t)method,
                     .path = number,
                     .body = (char *)(uintptr_t)door_call_origin(call),
                     .owner = (char *)(uintptr_t)owner};

    passed->desk = self;
    passed->call = call;
    passed->owner = g_strdup(owner);
    order.id = passed->id = g_uuid_string_random();
    passed->until_us = clock_now_us() + ANSWER_US;
    passed->pause_ms = LOOK_MIN_MS;
    g_ptr_array_add(self->passed_on, passed);
    store_submit(self->store, store_request_leave_inquiry(&order), on_left, passed);
}

/* the other side */

typedef struct {
    Desk *desk;
    char *id;
} Heard;

static void on_done(DoorAnswer *answer, gpointer data)
{
    Heard *heard = data;
    const GError *error = answer->error;
    unsigned code = error == NULL                                     ? 0
                    : error->domain == BASE_ERROR && error->code >= 0 ? (unsigned)error->code
                                                                      : BASE_ERROR_IO;

    store_post(heard->desk->store,
               store_request_answer_inquiry(heard->id,
                                            error == NULL ? ANSWER_DONE : ANSWER_ERROR + code,
                                            error == NULL ? "" : error->message));
    door_answer_free(answer);
    g_free(heard->id);
    g_free(heard);
}

bool desk_hear(Desk *self, const Inquiry *order)
{
    static const char *const METHODS[] = {"Cancel", "Hold", "Retry", NULL};
    const DoorCaller caller = {order->actor, order->body, NULL};
    Heard *heard;
    gint64 id;

    if (!g_strv_contains(METHODS, order->method) ||
        !g_ascii_string_to_signed(order->path, 10, 1, G_MAXINT64, &id, NULL))
        return false;
    heard = g_new0(Heard, 1);
    heard->desk = self;
    heard->id = g_strdup(order->id);
    door_call_inside_then(self->door, order->method, g_variant_new("(x)", id), &caller, on_done,
                          heard);
    return true;
}
