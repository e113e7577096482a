/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Health and metrics. Liveness: the main loop turns. Readiness: each thing a transfer needs, listeners too, asked with a deadline so
 * that the answer never takes a second, and asked once for all who want to know within a moment: nobody is kept
 * from asking, and may not keep the store from its work.
 */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "base/metric.h"

#include <pthread.h>
#include <string.h>

#define STALE_US    (10 * USEC_PER_SEC)
#define DEADLINE_US 800000
#define MOMENT_US   100000
#define OLD_US      USEC_PER_SEC /* an answer that nobody could renew */
#define UNFINISHED  ((1u << TRANSFER_QUEUED) | (1u << TRANSFER_WAITING))

static bool loop_is_alive(const Admin *admin)
{
    return clock_now_us() - admin->host.heartbeat_us(admin->host.data) < STALE_US;
}

/* details: name and text, or NULL. */
static void write_component(GString *out, const char *name, const char *trouble,
                            const char *const *detail)
{
    json_open(out, name, '{');
    json_text(out, "status", trouble == NULL ? "UP" : "DOWN");
    if (trouble != NULL || detail != NULL) {
        json_open(out, "details", '{');
        if (detail != NULL)
            json_text(out, detail[0], detail[1]);
        if (trouble != NULL)
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

/* What was found, and what was wrong then, or NULL. */
typedef struct {
    char *store, *spool, *loop;
    char *listeners; /* each with its state, JSON; NULL: not known */
    bool deaf;       /* one of them is not bound that should be */
} Findings;

static void findings_clear(Findings *findings)
{
    g_free(findings->store);
    g_free(findings->spool);
    g_free(findings->loop);
    g_free(findings->listeners);
    *findings = (Findings){NULL};
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Findings, findings_clear)

static void findings_copy(const Findings *from, Findings *to)
{
    to->store = g_strdup(from->store);
    to->spool = g_strdup(from->spool);
    to->loop = g_strdup(from->loop);
    to->listeners = g_strdup(from->listeners);
    to->deaf = from->deaf;
}

/* NULL: it answers. Else new text. */
static char *await_store(Reply *reply, int64_t deadline_us)
{
    gpointer value = NULL;
    StoreResult *result;
    char *trouble;

    if (!reply_wait(reply, deadline_us, &value))
        return g_strdup("no answer in time");
    result = value;
    trouble = result->error != NULL ? g_strdup(result->error->message) : NULL;
    store_result_free(result);
    return trouble;
}

/* Who stopped one wants it so: it takes nothing from being ready. */
static void note_listener(GString *out, GVariant *listener, bool *deaf)
{
    const char *failure = value_text(listener, "failure");
    bool running = value_flag(listener, "running"), stopped = value_flag(listener, "stopped");

    json_open(out, NULL, '{');
    json_text(out, "serverId", value_text(listener, "id"));
    json_text(out, "status", running ? "UP" : stopped ? "STOPPED" : "DOWN");
    json_number(out, "port", value_count(listener, "port"));
    if (!running && !stopped)
        json_text(out, "error", failure != NULL && failure[0] != '\0' ? failure : "not bound");
    json_close(out, '}');
    *deaf = *deaf || (!running && !stopped);
}

static void note_listeners(Findings *findings, GVariant *status)
{
    g_autoptr(GVariant) listeners =
            g_variant_lookup_value(status, "listeners", G_VARIANT_TYPE("aa{sv}"));
    g_autoptr(GString) out = g_string_new(NULL);
    GVariantIter iterator;
    GVariant *listener;

    json_open(out, NULL, '[');
    g_variant_iter_init(&iterator, listeners);
    while ((listener = g_variant_iter_next_value(&iterator)) != NULL) {
        note_listener(out, listener, &findings->deaf);
        g_variant_unref(listener);
    }
    json_close(out, ']');
    findings->listeners = g_strdup(out->str);
}

static void note_spool(Findings *findings, GVariant *status)
{
    const char *error = value_text(status, "spool_error");
    guint64 available = 0;

    g_variant_lookup(status, "spool_available_bytes", "t", &available);
    findings->spool = error != NULL    ? g_strdup(error)
                      : available == 0 ? g_strdup("no space above the reserve")
                                       : NULL;
}

/* NULL: the daemon does not answer in time. Returns new. */
static GVariant *await_status(Reply *reply, int64_t deadline_us)
{
    gpointer value = NULL;
    g_autoptr(DoorAnswer) answer = NULL;

    if (!reply_wait(reply, deadline_us, &value))
        return NULL;
    answer = value;
    return answer->error == NULL ? g_variant_get_child_value(answer->value, 0) : NULL;
}

static Reply *begin_ask(Admin *admin, const char *method)
{
    Reply *reply = reply_new((GDestroyNotify)door_answer_free);

    /* ending: nobody answers */
    (void)admin->host.ask(method, g_variant_new("()"), NULL, reply, admin->host.data);
    return reply;
}

static Reply *begin_look(Admin *admin)
{
    return begin_ask(admin, "Look");
}

/* All are asked at once, and none for longer. */
static void look(Admin *admin, Findings *findings)
{
    int64_t deadline_us = clock_now_us() + DEADLINE_US;
    g_autoptr(Reply) stored =
            store_begin(admin->host.store, store_request_record_list("health", "", 1));
    g_autoptr(Reply) looked = begin_look(admin);
    g_autoptr(GVariant) status = await_status(looked, deadline_us);

    findings->store = await_store(stored, deadline_us);
    if (status == NULL) {
        findings->loop = g_strdup("no answer in time");
        findings->spool = g_strdup("not known");
        return;
    }
    if (strcmp(value_text(status, "state"), "running") != 0)
        findings->loop = g_strdup("the daemon is stopping");
    note_spool(findings, status);
    note_listeners(findings, status);
}

struct Health {
    pthread_mutex_t lock;
    int64_t checked_us; /* monotonic; 0: never */
    bool checking;
    Findings findings;
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
    findings_clear(&self->findings);
    g_free(self);
}

/* What is known, when it is not old or another is about to renew it. will_check: the
 * caller renews what is not known. */
static bool recall(Health *self, bool will_check, Findings *ret_findings)
{
    int64_t age_us;
    bool known;

    pthread_mutex_lock(&self->lock);
    age_us = clock_now_us() - self->checked_us;
    known = self->checked_us != 0 && (age_us < MOMENT_US || (self->checking && age_us < OLD_US));
    if (known)
        findings_copy(&self->findings, ret_findings);
    else if (will_check)
        self->checking = true;
    pthread_mutex_unlock(&self->lock);
    return known;
}

static void remember(Health *self, const Findings *findings)
{
    pthread_mutex_lock(&self->lock);
    findings_clear(&self->findings);
    findings_copy(findings, &self->findings);
    self->checked_us = clock_now_us();
    self->checking = false;
    pthread_mutex_unlock(&self->lock);
}

static void write_listeners(GString *out, const Findings *findings)
{
    json_open(out, "listeners", '{');
    json_text(out, "status",
              findings->listeners == NULL ? "UNKNOWN"
              : findings->deaf            ? "DOWN"
                                          : "UP");
    json_open(out, "details", '{');
    json_raw(out, "listeners", findings->listeners != NULL ? findings->listeners : "[]");
    json_close(out, '}');
    json_close(out, '}');
}

static void answer_ready(Request *request, const Findings *findings)
{
    const char *database[] = {"database", request->admin->host.database};
    const char *loop =
            loop_is_alive(request->admin) ? findings->loop : "the main loop does not turn";
    bool up = loop == NULL && findings->store == NULL && findings->spool == NULL && !findings->deaf;
    GString *out = request_answer(request, up ? 200 : 503);

    json_open(out, NULL, '{');
    json_text(out, "status", up ? "UP" : "DOWN");
    json_open(out, "components", '{');
    write_component(out, "mainLoop", loop, NULL);
    write_component(out, "store", findings->store, database);
    write_component(out, "spool", findings->spool, NULL);
    write_listeners(out, findings);
    if (g_str_has_prefix(request->path, "/actuator/")) { /* as PeSIT Wizard's watchers call them */
        write_component(out, "db", findings->store, database);
        write_component(out, "diskSpace", findings->spool, NULL);
    }
    json_close(out, '}');
    json_close(out, '}');
}

bool health_ready_at_once(Request *request)
{
    g_auto(Findings) findings = {NULL};

    if (!recall(request->admin->health, false, &findings))
        return false;
    answer_ready(request, &findings);
    return true;
}

void health_ready(Request *request)
{
    Admin *admin = request->admin;
    g_auto(Findings) findings = {NULL};

    if (!recall(admin->health, true, &findings)) {
        look(admin, &findings);
        remember(admin->health, &findings);
    }
    answer_ready(request, &findings);
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

/* expiries: a(sx), the soonest first, or NULL. */
static void write_expiries(GString *out, GVariant *expiries)
{
    gsize count = expiries != NULL ? g_variant_n_children(expiries) : 0;
    g_autofree MetricGauge *gauges = g_new0(MetricGauge, count);
    int64_t now_us = clock_wall_us();

    for (gsize i = 0; i < count; i++) {
        gint64 expires_us;

        g_variant_get_child(expiries, i, "(&sx)", &gauges[i].label, &expires_us);
        gauges[i].value = (double)(expires_us - now_us) / 1e6;
    }
    metric_write_gauges(out, "pesit_certificate_expiry_seconds",
                        "until a certificate of a file or of the store expires; below 0: it has",
                        "certificate", gauges, count);
}

void health_metrics(Request *request)
{
    GString *out = request_answer(request, 200);
    g_autoptr(Reply) looked = begin_look(request->admin);
    g_autoptr(Reply) asked = begin_ask(request->admin, "Expiries");
    g_autoptr(GVariant) expiries = await_status(asked, clock_now_us() + DEADLINE_US);
    g_autoptr(GVariant) status = await_status(looked, clock_now_us() + DEADLINE_US);
    guint64 available = 0, total = 0;

    request->type = "text/plain; version=0.0.4; charset=utf-8";
    metric_write(out);
    if (status != NULL && value_text(status, "spool_error") == NULL &&
        g_variant_lookup(status, "spool_available_bytes", "t", &available) &&
        g_variant_lookup(status, "spool_total_bytes", "t", &total)) {
        metric_write_gauge(out, "pesit_spool_available_bytes",
                           "what may still be written into the spool", (double)available);
        metric_write_gauge(out, "pesit_spool_total_bytes", "size of the spool's filesystem",
                           (double)total);
    }
    write_expiries(out, expiries);
    write_queue(request->admin, out);
    metric_write_gauge(out, "pesit_up", "1 while the main loop turns",
                       loop_is_alive(request->admin) ? 1 : 0);
}
