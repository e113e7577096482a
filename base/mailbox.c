/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand-over between threads. A queue behind a mutex, a condition for sleepers, an eventfd for poll loops
 * and main loops. The eventfd is readable exactly while the queue is not empty. The only locks of the
 * programs are here: pthread, because ThreadSanitizer does not see GLib's own.
 */
#include "base/mailbox.h"

#include "base/clock.h"

#include <glib-unix.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct Mailbox {
    _Atomic unsigned references;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    GQueue messages;
    GDestroyNotify free_message;
    int event_fd; /* -1 until asked for */
    bool closed;
};

struct Reply {
    _Atomic unsigned references;
    Mailbox *box;
};

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

Mailbox *mailbox_new(GDestroyNotify free_message)
{
    Mailbox *self = g_new0(Mailbox, 1);

    atomic_init(&self->references, 1);
    pthread_mutex_init(&self->mutex, NULL);
    init_condition(&self->changed);
    g_queue_init(&self->messages);
    self->free_message = free_message;
    self->event_fd = -1;
    return self;
}

Mailbox *mailbox_ref(Mailbox *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

static void free_message(const Mailbox *self, gpointer message)
{
    if (message != NULL && self->free_message != NULL)
        self->free_message(message);
}

void mailbox_unref(Mailbox *self)
{
    if (self == NULL || atomic_fetch_sub(&self->references, 1) != 1)
        return;
    while (!g_queue_is_empty(&self->messages))
        free_message(self, g_queue_pop_head(&self->messages));
    if (self->event_fd >= 0)
        close(self->event_fd);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->mutex);
    g_free(self);
}

static void raise_event(const Mailbox *self)
{
    uint64_t one = 1;

    if (self->event_fd >= 0 && write(self->event_fd, &one, sizeof one) < 0)
        return; /* the counter is full: readable anyway */
}

static void lower_event(const Mailbox *self)
{
    uint64_t count;

    if (self->event_fd >= 0 && read(self->event_fd, &count, sizeof count) < 0)
        return; /* it was not raised */
}

bool mailbox_post(Mailbox *self, gpointer message)
{
    bool accepted, first;

    pthread_mutex_lock(&self->mutex);
    accepted = !self->closed;
    first = g_queue_is_empty(&self->messages);
    if (accepted)
        g_queue_push_tail(&self->messages, message);
    if (accepted && first)
        raise_event(self);
    pthread_mutex_unlock(&self->mutex);
    if (accepted)
        pthread_cond_signal(
                &self->changed); /* not before: who wakes would only wait for the lock */
    else
        free_message(self, message);
    return accepted;
}

static gpointer take_locked(Mailbox *self)
{
    gpointer message;

    if (g_queue_is_empty(&self->messages))
        return NULL;
    message = g_queue_pop_head(&self->messages);
    if (g_queue_is_empty(&self->messages) && !self->closed)
        lower_event(self);
    return message;
}

gpointer mailbox_take(Mailbox *self)
{
    gpointer message;

    pthread_mutex_lock(&self->mutex);
    message = take_locked(self);
    pthread_mutex_unlock(&self->mutex);
    return message;
}

/* False when the time ran out. */
static bool sleep_locked(Mailbox *self, int64_t deadline_us)
{
    struct timespec until;

    if (deadline_us == INT64_MAX)
        return pthread_cond_wait(&self->changed, &self->mutex) == 0;
    until.tv_sec = (time_t)(deadline_us / USEC_PER_SEC);
    until.tv_nsec = (long)(deadline_us % USEC_PER_SEC) * 1000;
    return pthread_cond_timedwait(&self->changed, &self->mutex, &until) == 0;
}

gpointer mailbox_wait(Mailbox *self, int64_t deadline_us)
{
    gpointer message;

    pthread_mutex_lock(&self->mutex);
    while (g_queue_is_empty(&self->messages) && !self->closed && sleep_locked(self, deadline_us))
        continue;
    message = take_locked(self);
    pthread_mutex_unlock(&self->mutex);
    return message;
}

int mailbox_fd(Mailbox *self)
{
    int fd;

    pthread_mutex_lock(&self->mutex);
    if (self->event_fd < 0) {
        self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (!g_queue_is_empty(&self->messages) || self->closed)
            raise_event(self);
    }
    fd = self->event_fd;
    pthread_mutex_unlock(&self->mutex);
    return fd;
}

void mailbox_close(Mailbox *self)
{
    pthread_mutex_lock(&self->mutex);
    self->closed = true;
    raise_event(self);
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->mutex);
}

bool mailbox_is_closed(Mailbox *self)
{
    bool closed;

    pthread_mutex_lock(&self->mutex);
    closed = self->closed;
    pthread_mutex_unlock(&self->mutex);
    return closed;
}

typedef struct {
    Mailbox *box;
    void (*on_message)(gpointer message, gpointer data);
    gpointer data;
} Delivery;

static gboolean deliver(int fd, GIOCondition condition, gpointer data)
{
    Delivery *delivery = data;
    gpointer message;

    (void)fd;        /* the mailbox knows it */
    (void)condition; /* readable, or nothing */
    while ((message = mailbox_take(delivery->box)) != NULL)
        delivery->on_message(message, delivery->data);
    return G_SOURCE_CONTINUE;
}

static void free_delivery(gpointer data)
{
    Delivery *delivery = data;

    mailbox_unref(delivery->box);
    g_free(delivery);
}

guint mailbox_attach(Mailbox *self, GMainContext *context,
                     void (*on_message)(gpointer message, gpointer data), gpointer data)
{
    Delivery *delivery = g_new0(Delivery, 1);
    GSource *source = g_unix_fd_source_new(mailbox_fd(self), G_IO_IN);
    guint id;

    *delivery = (Delivery){mailbox_ref(self), on_message, data};
    /* the documented cast of g_source_set_callback for sources with their own signature */
    g_source_set_callback(source, (GSourceFunc)(void (*)(void))deliver, delivery, free_delivery);
    g_source_set_can_recurse(source, TRUE); /* else each dispatch wakes its own loop, twice */
    id = g_source_attach(source, context);
    g_source_unref(source);
    return id;
}

/* A value in a box: NULL answers must be told from none. */
typedef struct {
    gpointer value;
    GDestroyNotify free_value;
} Answer;

static void free_answer(gpointer data)
{
    Answer *answer = data;

    if (answer->value != NULL && answer->free_value != NULL)
        answer->free_value(answer->value);
    g_free(answer);
}

typedef struct {
    Reply public;
    GDestroyNotify free_value;
} ReplyBody;

Reply *reply_new(GDestroyNotify free_value)
{
    ReplyBody *self = g_new0(ReplyBody, 1);

    atomic_init(&self->public.references, 1);
    self->public.box = mailbox_new(free_answer);
    self->free_value = free_value;
    return &self->public;
}

Reply *reply_ref(Reply *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

void reply_unref(Reply *self)
{
    if (self == NULL || atomic_fetch_sub(&self->references, 1) != 1)
        return;
    mailbox_unref(self->box);
    g_free(self);
}

void reply_post(Reply *self, gpointer value)
{
    Answer *answer = g_new0(Answer, 1);

    answer->value = value;
    answer->free_value = ((ReplyBody *)self)->free_value;
    (void)mailbox_post(self->box, answer); /* never closed */
}

bool reply_wait(Reply *self, int64_t deadline_us, gpointer *ret_value)
{
    Answer *answer = mailbox_wait(self->box, deadline_us);

    if (answer == NULL)
        return false;
    *ret_value = answer->value;
    g_free(answer);
    return true;
}
