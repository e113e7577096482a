/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library says what it waits for, each time before the loop sleeps: what others have sent meanwhile may wait for
 * room in the socket.
 */
#include "daemon/local/bus-source.h"

#include "base/clock.h"

#include <stdint.h>

#define MESSAGES_AT_ONCE 16 /* of one peer, then the others and the rest of the loop */
#define USEC_IN_MS       1000

typedef struct {
    GSource source;
    sd_bus *bus;
    gpointer watched; /* its descriptor */
    int events;
    void (*on_closed)(gpointer data);
    gpointer data;
} BusSource;

/* Milliseconds until the library wants to be called, -1: not by itself. */
static int time_left_ms(sd_bus *bus)
{
    uint64_t until_us = 0;
    int64_t left_us;

    if (sd_bus_get_timeout(bus, &until_us) < 0)
        return 0; /* it has ended */
    if (until_us == UINT64_MAX)
        return -1;
    left_us = (int64_t)until_us - clock_now_us();
    return left_us <= 0 ? 0 : (int)MIN((left_us + USEC_IN_MS - 1) / USEC_IN_MS, G_MAXINT);
}

static gboolean on_prepare(GSource *source, gint *ret_timeout_ms)
{
    BusSource *self = (BusSource *)source;
    int events = sd_bus_get_events(self->bus);

    if (events >= 0 && events != self->events) {
        self->events = events;
        g_source_modify_unix_fd(source, self->watched, (GIOCondition)events);
    }
    *ret_timeout_ms = time_left_ms(self->bus);
    return *ret_timeout_ms == 0;
}

static gboolean on_check(GSource *source)
{
    BusSource *self = (BusSource *)source;

    return g_source_query_unix_fd(source, self->watched) != 0 || time_left_ms(self->bus) == 0;
}

static gboolean on_dispatch(GSource *source, GSourceFunc unused, gpointer data)
{
    BusSource *self = (BusSource *)source;
    int processed = 1;

    (void)unused, (void)data;
    for (int i = 0; i < MESSAGES_AT_ONCE && processed > 0; i++)
        processed = sd_bus_process(self->bus, NULL);
    if (processed >= 0)
        return G_SOURCE_CONTINUE;
    self->on_closed(self->data);
    return G_SOURCE_REMOVE;
}

GSource *bus_source_new(sd_bus *bus, void (*on_closed)(gpointer data), gpointer data)
{
    static GSourceFuncs functions = {on_prepare, on_check, on_dispatch, NULL, NULL, NULL};
    GSource *source = g_source_new(&functions, sizeof(BusSource));
    BusSource *self = (BusSource *)source;

    self->bus = bus;
    self->events = sd_bus_get_events(bus);
    self->watched =
            g_source_add_unix_fd(source, sd_bus_get_fd(bus), (GIOCondition)MAX(self->events, 0));
    self->on_closed = on_closed;
    self->data = data;
    g_source_set_can_recurse(source, TRUE); /* else each dispatch wakes its own loop, twice */
    g_source_attach(source, NULL);
    return source;
}
