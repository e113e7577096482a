/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health and metrics. Liveness: the main loop turns. Readiness: each thing a transfer needs, asked with a deadline so
 * that the answer never takes a second, and asked once for all who want to know within a moment: nobody is kept
 * from asking, and may not keep the store from its work.
 */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "base/metric.h"

#include <pthread.h>
#include <string.h>

#define STALE_US    (10 * USEC_PER_SEC)
#define DEADLINE_US 400000
#define MOMENT_US   100000
#define OLD_US      USEC_PER_SEC /* an answer that nobody could renew */
#define UNFINISHED  ((1u << TRANSFER_QUEUED) | (1u << TRANSFER_WAITING))

static bool loop_is_alive(const Admin *admin)
{
    return clock_now_us() - admin->host.heartbeat_us(admin->host.data) < STALE_US;
}

static void write_component(GString *out, const char *name, const char *trouble)
{
    json_open(out, name, '{');
    json_text(out, "status", trouble == NULL ? "UP" : "DOWN");
    if (trouble != NULL) {
        json_open(out, "details", '{');
        json_text(out, "error", trouble);
        json_close(out, '}');
    }
    json_close(out, '}');
}

void health_live(Request *request)
{
    bool alive = loop_is_alive(request->admin);
    GString *out = request_answer(request, alive ? 200 : 503);

    json_open(out, NULL, '{');
    json_text(out, "status", alive ? "UP" : "DOWN");
    json_close(out, '}');
}

bool health_live_at_once(Request *request)
{
    health_live(request);
    return true;
}

/* NULL: it answers. Else new text. */
static char *check_store(Admin *admin)
{
    g_autoptr(Reply) reply =
            store_begin(admin->host.store, store_request_record_list("health", "", 1));
    gpointer value = NULL;
    StoreResult *result;
    char *trouble;

    if (!reply_wait(reply, clock_now_us() + DEADLINE_US, &value))
        return g_strdup("no answer in time");
    result = value;
    trouble = result->error != NULL ? g_strdup(result->error->message) : NULL;
    store_result_free(result);
    return trouble;
}

static char *check_spool(Admin *admin, uint64_t *ret_available)
{
    g_autoptr(Reply) reply = reply_new((GDestroyNotify)door_answer_free);
    g_autoptr(DoorAnswer) answer = NULL;
    gpointer value = NULL;
    uint64_t total = 0;

    if (!admin->host.ask("Space", g_variant_new("()"), NULL, reply, admin->host.data) ||
        !reply_wait(reply, clock_now_us() + DEADLINE_US, &value))
        return g_strdup("no answer in time");
    answer = value;
    if (answer->error != NULL)
        return g_strdup(answer->error->message);
    g_variant_get(answer->value, "(tt)", &total, ret_available);
    return *ret_available == 0 ? g_strdup("no space above the reserve") : NULL;
}

struct Health {
    pthread_mutex_t lock;
    int64_t checked_us; /* monotonic; 0: never */
    bool checking;
    char *store, *spool; /* what was wrong then, or NULL */
};

Health *health_new(void)
{
    Health *self = g_new0(Health, 1);

    pthread_mutex_init(&self->lock, NULL);
    return self;
}

void health_free(Health *self)
{
    if (self == NULL)
        return;
    pthread_mutex_destroy(&self->lock);
    g_free(self->store);
    g_free(self->spool);
    g_free(self);
}

/* What is known, when it is not old or another is about to renew it. will_check: the
 * caller renews what is not known. */
static bool recall(Health *self, bool will_check, char **ret_store, char **ret_spool)
{
    int64_t age_us;
    bool known;

    pthread_mutex_lock(&self->lock);
    age_us = clock_now_us() - self->checked_us;
    known = self->checked_us != 0 && (age_us < MOMENT_US || (self->checking && age_us < OLD_US));
    if (known) {
        *ret_store = g_strdup(self->store);
        *ret_spool = g_strdup(self->spool);
    } else if (will_check) {
        self->checking = true;
    }
    pthread_mutex_unlock(&self->lock);
    return known;
}

static void remember(Health *self, const char *store, const char *spool)
{
    pthread_mutex_lock(&self->lock);
    g_free(self->store);
    g_free(self->spool);
    self->store = g_strdup(store);
    self->spool = g_strdup(spool);
    self->checked_us = clock_now_us();
    self->checking = false;
    pthread_mutex_unlock(&self->lock);
}

static void answer_ready(Request *request, const char *store, const char *spool)
{
    const char *loop = loop_is_alive(request->admin) ? NULL : "the main loop does not turn";
    bool up = loop == NULL && store == NULL && spool == NULL;
    GString *out = request_answer(request, up ? 200 : 503);

    json_open(out, NULL, '{');
    json_text(out, "status", up ? "UP" : "DOWN");
    json_open(out, "components", '{');
    write_component(out, "mainLoop", loop);
    write_component(out, "store", store);
    write_component(out, "spool", spool);
    json_close(out, '}');
    json_close(out, '}');
}

bool health_ready_at_once(Request *request)
{
    g_autofree char *store = NULL, *spool = NULL;

    if (!recall(request->admin->health, false, &store, &spool))
        return false;
    answer_ready(request, store, spool);
    return true;
}

void health_ready(Request *request)
{
    Admin *admin = request->admin;
    uint64_t available = 0;
    g_autofree char *store = NULL, *spool = NULL;

    if (!recall(admin->health, true, &store, &spool)) {
        store = check_store(admin);
        spool = check_spool(admin, &available);
        remember(admin->health, store, spool);
    }
    answer_ready(request, store, spool);
}

void health_info(Request *request)
{
    GString *out = request_answer(request, 200);

    json_open(out, NULL, '{');
    json_open(out, "app", '{');
    json_text(out, "name", "pesitfs");
    json_text(out, "version", PESITFS_VERSION);
    json_close(out, '}');
    json_close(out, '}');
}

static double oldest_age_s(const GPtrArray *sums)
{
    int64_t oldest_us = clock_wall_us(), now_us = oldest_us;

    for (guint i = 0; i < sums->len; i++) {
        const Transfer *sum = g_ptr_array_index(sums, i);

        if (((1u << sum->state) & UNFINISHED) != 0)
            oldest_us = MIN(oldest_us, sum->created_us);
    }
    return (double)(now_us - oldest_us) / 1e6;
}

/* From the store: what it cannot say is left out, what is counted in memory is always there. */
static void write_queue(Admin *admin, GString *out)
{
    g_autoptr(Reply) reply = store_begin(admin->host.store, store_request_queue());
    g_autoptr(StoreResult) result = NULL;
    double counts[TRANSFER_CANCELLED + 1] = {0};
    gpointer value = NULL;

    if (!reply_wait(reply, clock_now_us() + DEADLINE_US, &value))
        return;
    result = value;
    if (result->error != NULL)
        return;
    for (guint i = 0; i < result->transfers->len; i++) {
        const Transfer *sum = g_ptr_array_index(result->transfers, i);

        counts[sum->state] = (double)sum->articles;
    }
    metric_write_gauge(out, "pesit_transfers_queued", "transfers that wait for a connection",
                       counts[TRANSFER_QUEUED]);
    metric_write_gauge(out, "pesit_transfers_running", "transfers that move",
                       counts[TRANSFER_RUNNING]);
    metric_write_gauge(out, "pesit_transfers_waiting", "transfers that wait to be tried again",
                       counts[TRANSFER_WAITING]);
    metric_write_gauge(out, "pesit_queue_age_seconds", "age of the oldest transfer not yet begun",
                       oldest_age_s(result->transfers));
}

void health_metrics(Request *request)
{
    GString *out = request_answer(request, 200);
    uint64_t available = 0;
    g_autofree char *spool = check_spool(request->admin, &available);

    request->type = "text/plain; version=0.0.4; charset=utf-8";
    metric_write(out);
    if (spool == NULL || available == 0)
        metric_write_gauge(out, "pesit_spool_available_bytes",
                           "what may still be written into the spool", (double)available);
    write_queue(request->admin, out);
    metric_write_gauge(out, "pesit_up", "1 while the main loop turns",
                       loop_is_alive(request->admin) ? 1 : 0);
}
