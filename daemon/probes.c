/* SPDX-License-Identifier: Apache-2.0 */
/* A thread may wait long for a partner that says nothing, so there are few, and few tests wait for them. */
#include "daemon/probes.h"

#include "base/clock.h"
#include "base/error.h"
#include "daemon/net/probe.h"

#include <stdatomic.h>

#define THREADS     4
#define TESTS_MAX   32
#define TIMEOUT_MAX 60000 /* ms */

typedef struct {
    DoorCall *call;
    Config *config; /* holds partner */
    const Partner *partner;
    char *name, *text; /* of a message, or NULL */
    uint32_t timeout_ms;
    _Atomic bool given; /* what was written before it is seen after it */
} Test;

struct Probes {
    GThreadPool *threads;
    ProbesReturn on_tested;
    gpointer data;
    _Atomic unsigned active;
    _Atomic bool ending;
};

static void run(gpointer job, gpointer data)
{
    Test *test = job;
    Probes *self = data;
    int64_t deadline_us = clock_now_us();
    ProbeMessage message;
    GVariant *told;

    if (atomic_load(&test->given) && !atomic_load(&self->ending))
        deadline_us += (int64_t)test->timeout_ms * 1000;
    message = (ProbeMessage){test->name, test->text};
    told = probe_partner(test->config, test->partner, test->text != NULL ? &message : NULL,
                         deadline_us);
    config_unref(test->config);
    self->on_tested(test->call, g_variant_new("(@a{sv})", told), self->data);
    g_free(test->name);
    g_free(test->text);
    g_free(test);
    (void)atomic_fetch_sub(&self->active, 1);
}

Probes *probes_new(ProbesReturn on_tested, gpointer data)
{
    Probes *self = g_new0(Probes, 1);

    self->on_tested = on_tested;
    self->data = data;
    self->threads = g_thread_pool_new(run, self, THREADS, FALSE, NULL);
    return self;
}

void probes_free(Probes *self)
{
    if (self == NULL)
        return;
    atomic_store(&self->ending, true);
    g_thread_pool_free(self->threads, FALSE, TRUE);
    g_free(self);
}

static const Partner *find(const Config *config, const char *name, GError **error)
{
    const Partner *partner = config_find_partner(config, name);

    if (partner == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND, "no partner '%s'", name);
    else if (partner->address == NULL)
        g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "partner '%s' has no address: it calls us", name);
    else
        return partner;
    return NULL;
}

void probes_test(Probes *self, Config *config, DoorCall *call, GVariant *parameters)
{
    g_autoptr(GError) error = NULL;
    const Partner *partner;
    guint32 timeout_ms;
    const char *name, *message_name = NULL, *text = NULL;
    Test *test;

    if (g_variant_is_of_type(parameters, G_VARIANT_TYPE("(suss)")))
        g_variant_get(parameters, "(&su&s&s)", &name, &timeout_ms, &message_name, &text);
    else
        g_variant_get(parameters, "(&su)", &name, &timeout_ms);
    partner = find(config, name, &error);
    if (partner != NULL && atomic_fetch_add(&self->active, 1) >= TESTS_MAX) {
        (void)atomic_fetch_sub(&self->active, 1);
        g_set_error(&error, BASE_ERROR, BASE_ERROR_BUSY, "too many tests at a time");
    }
    if (error != NULL) {
        door_call_fail(call, error);
        return;
    }
    test = g_new0(Test, 1);
    test->call = call;
    test->config = config_ref(config);
    test->partner = partner;
    test->name = g_strdup(message_name);
    test->text = g_strdup(text);
    test->timeout_ms = CLAMP(timeout_ms, 1, TIMEOUT_MAX);
    atomic_store(&test->given, true);
    (void)g_thread_pool_push(self->threads, test, NULL); /* queued at the least */
}
