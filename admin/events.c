/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-sent events: the newest are kept in a ring, each with a number, and every stream reads on from where it is.
 * How far transfers are has no number: who was away, or is slow, hears the newest only.
 * A stream that is further behind than the ring is told so and goes on with what is there. The lock is here and not a
 * mailbox because a stream may end while an event is published to it: both must agree that it is still there.
 */
#include "admin/admin-private.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define RING      4096
#define FEEDS_MAX 600

typedef struct {
    char *partner; /* whose it is */
    char *text;    /* "id: …\nevent: …\ndata: …\n\n" */
} Event;

struct Events {
    pthread_mutex_t lock;
    Event ring[RING]; /* number n at n % RING */
    uint64_t last;    /* number of the newest, from 1 */
    uint64_t first;   /* oldest that can be in the ring */
    GPtrArray *feeds;
    bool stopped;
};

struct Feed {
    Events *events;
    uint64_t next; /* number */
    char *partner;
    void (*sleep)(gpointer data);
    void (*wake)(gpointer data);
    gpointer data;
    GString *ready;   /* not yet read */
    GBytes *progress; /* newest, or NULL */
    bool ping, asleep;
};

Events *events_new(void)
{
    Events *self = g_new0(Events, 1);

    (void)pthread_mutex_init(&self->lock, NULL); /* no attributes: cannot fail */
    self->feeds = g_ptr_array_new();
    /* numbers go on after a restart: the next daemon's are larger */
    self->last = (uint64_t)g_get_real_time();
    self->first = self->last + 1;
    return self;
}

void events_free(Events *self)
{
    if (self == NULL)
        return;
    for (size_t i = 0; i < RING; i++) {
        g_free(self->ring[i].partner);
        g_free(self->ring[i].text);
    }
    g_ptr_array_unref(self->feeds);
    (void)pthread_mutex_destroy(&self->lock);
    g_free(self);
}

static void wake_all(Events *self)
{
    for (guint i = 0; i < self->feeds->len; i++) {
        Feed *feed = g_ptr_array_index(self->feeds, i);

        if (feed->asleep)
            feed->wake(feed->data);
        feed->asleep = false;
    }
}

void events_publish(Events *self, const char *partner, const char *name, const char *data)
{
    Event *event;

    (void)pthread_mutex_lock(&self->lock);
    event = &self->ring[++self->last % RING];
    if (self->last - self->first >= RING)
        self->first = self->last - RING + 1;
    g_free(event->partner);
    g_free(event->text);
    event->partner = g_strdup(partner);
    event->text = g_strdup_printf("id: %" G_GUINT64_FORMAT "\nevent: %s\ndata: %s\n\n", self->last,
                                  name, data);
    wake_all(self);
    (void)pthread_mutex_unlock(&self->lock);
}

bool events_are_read(Events *self)
{
    bool read;

    (void)pthread_mutex_lock(&self->lock);
    read = self->feeds->len > 0;
    (void)pthread_mutex_unlock(&self->lock);
    return read;
}

void events_tell_progress(Events *self, GHashTable *texts)
{
    (void)pthread_mutex_lock(&self->lock);
    for (guint i = 0; i < self->feeds->len; i++) {
        Feed *feed = g_ptr_array_index(self->feeds, i);
        GBytes *text = g_hash_table_lookup(texts, feed->partner != NULL ? feed->partner : "");

        if (text == NULL)
            continue;
        g_clear_pointer(&feed->progress, g_bytes_unref);
        feed->progress = g_bytes_ref(text);
    }
    wake_all(self);
    (void)pthread_mutex_unlock(&self->lock);
}

void events_ping(Events *self)
{
    (void)pthread_mutex_lock(&self->lock);
    for (guint i = 0; i < self->feeds->len; i++)
        ((Feed *)g_ptr_array_index(self->feeds, i))->ping = true;
    wake_all(self);
    (void)pthread_mutex_unlock(&self->lock);
}

void events_stop(Events *self)
{
    (void)pthread_mutex_lock(&self->lock);
    self->stopped = true;
    wake_all(self);
    (void)pthread_mutex_unlock(&self->lock);
}

Feed *feed_new(Events *events, uint64_t after, const char *partner, const FeedOwner *owner)
{
    Feed *self = g_new0(Feed, 1);

    self->events = events;
    self->partner = g_strdup(partner);
    self->sleep = owner->sleep;
    self->wake = owner->wake;
    self->data = owner->data;
    self->ready = g_string_new("retry: 2000\n\n");
    (void)pthread_mutex_lock(&events->lock);
    self->next = after != 0 ? MIN(after, events->last) + 1 : events->last + 1;
    if (events->feeds->len < FEEDS_MAX && !events->stopped)
        g_ptr_array_add(events->feeds, self);
    else
        self->events = NULL;
    (void)pthread_mutex_unlock(&events->lock);
    if (self->events != NULL)
        return self;
    feed_free(self);
    return NULL;
}

void feed_free(Feed *self)
{
    if (self == NULL)
        return;
    if (self->events != NULL) {
        (void)pthread_mutex_lock(&self->events->lock);
        g_ptr_array_remove_fast(self->events->feeds, self);
        (void)pthread_mutex_unlock(&self->events->lock);
    }
    g_string_free(self->ready, TRUE);
    g_clear_pointer(&self->progress, g_bytes_unref);
    g_free(self->partner);
    g_free(self);
}

/* With the lock held. */
static void gather(Feed *self, size_t wanted)
{
    const Events *events = self->events;

    if (self->ping) {
        g_string_append(self->ready, ": alive\n\n");
        self->ping = false;
    }
    if (self->next < events->first) {
        g_string_append(self->ready, "event: gap\ndata: {}\n\n");
        self->next = events->first;
    }
    while (self->next <= events->last && self->ready->len < wanted) {
        const Event *event = &events->ring[self->next++ % RING];

        if (self->partner == NULL || g_strcmp0(self->partner, event->partner) == 0)
            g_string_append(self->ready, event->text);
    }
    if (self->progress != NULL && self->ready->len < wanted) {
        gsize length = 0;
        const char *text = g_bytes_get_data(self->progress, &length);

        g_string_append_len(self->ready, text, (gssize)length);
        g_clear_pointer(&self->progress, g_bytes_unref);
    }
}

ssize_t feed_read(Feed *self, char *buffer, size_t capacity)
{
    size_t length;
    bool stopped;

    (void)pthread_mutex_lock(&self->events->lock);
    gather(self, capacity);
    stopped = self->events->stopped;
    if (self->ready->len == 0 && !stopped) {
        self->asleep = true;
        self->sleep(self->data);
    }
    (void)pthread_mutex_unlock(&self->events->lock);
    length = MIN(capacity, self->ready->len);
    if (length == 0)
        return stopped ? -1 : 0;
    memcpy(buffer, self->ready->str, length);
    g_string_erase(self->ready, 0, (gssize)length);
    return (ssize_t)length;
}

void events_open(Request *request)
{
    (void)request_answer(request, 200);
    request->type = "text/event-stream";
    request->events = true;
    request_add_header(request, "Cache-Control", "no-store");
}
