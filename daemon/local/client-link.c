/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's connection. sd-bus is for one thread at a time: the lock is held for each use of it. Who calls
 * sends by himself, and sleeps until his own question is answered. One thread makes the connection, makes it again when the daemon
 * comes back, reads all that comes in, and tells those who do not sleep.
 */
#include "daemon/local/client-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "daemon/local/bus.h"
#include "daemon/local/interface.h"
#include "daemon/local/marshal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define RETRY_US    100000
#define OUTAGE_US   10000000 /* who calls later than this after the loss is told soon */
#define GLANCE_US   250000   /* enough to see that it is there again */
#define USEC_IN_MS  1000
#define NOT_CARRIED "the local door cannot carry this"

struct ClientQuestion {
    Client *client;
    sd_bus_slot *slot;
    DoorAnswer *answer; /* NULL with ended: the connection was lost first */
    bool ended;
    pthread_cond_t *sleeper; /* NULL: a pending call's, told by the thread */
};

struct Client {
    char *path;
    void (*on_change)(const char *partner, const char *path, gpointer data);
    gpointer data;
    int wake_fd;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t connected;
    sd_bus *bus;          /* NULL: no connection */
    bool ready;           /* it may be used */
    int64_t lost_us;      /* since when it is not there; monotonic */
    int64_t retry_us;     /* not earlier */
    int64_t looks_us;     /* when the thread looks again by itself */
    GPtrArray *questions; /* ClientQuestion * that are not answered */
    GPtrArray *rising;    /* ClientQuestion * whose callers are to be woken when the lock is free */
    GPtrArray *pending;   /* ClientPending * that are not told */
    GPtrArray *changes;   /* GVariant * to be told, NULL: anything may have changed */
    GThread *thread;      /* started by the first call */
    bool refusing;        /* no call that takes long any more */
    bool stopping;
};

static gpointer attend(gpointer data);

static void free_change(gpointer change)
{
    if (change != NULL)
        g_variant_unref(change);
}

Client *client_new(const char *socket_path)
{
    Client *self = g_new0(Client, 1);
    pthread_condattr_t attributes;

    self->path = g_strdup(socket_path);
    self->looks_us = INT64_MAX;
    self->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->connected, &attributes);
    pthread_condattr_destroy(&attributes);
    self->questions = g_ptr_array_new();
    self->rising = g_ptr_array_new();
    self->pending = g_ptr_array_new();
    self->changes = g_ptr_array_new_with_free_func(free_change);
    return self;
}

/* Under the lock, which is left next: a caller who was woken earlier would only wait for it. */
static void wake_callers(Client *self)
{
    for (guint i = 0; i < self->rising->len; i++)
        pthread_cond_signal(((ClientQuestion *)g_ptr_array_index(self->rising, i))->sleeper);
    g_ptr_array_set_size(self->rising, 0);
}

bool client_is_answered(const char *socket_path)
{
    int fd = bus_reach(socket_path);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0 || errno == EAGAIN; /* it has no time to accept */
}

static void wake(Client *self)
{
    uint64_t one = 1;

    (void)!write(self->wake_fd, &one, sizeof one); /* full: it is awake */
}

/* Under the lock. */
static void start_thread(Client *self)
{
    if (self->thread != NULL)
        return;
    self->lost_us = clock_now_us();
    self->thread = g_thread_new("door", attend, self);
}

void client_set_on_change(Client *self,
                          void (*on_change)(const char *partner, const char *path, gpointer data),
                          gpointer data)
{
    self->on_change = on_change;
    self->data = data;
    pthread_mutex_lock(&self->lock);
    start_thread(self);
    pthread_mutex_unlock(&self->lock);
}

void client_end_waiting(Client *self)
{
    pthread_mutex_lock(&self->lock);
    self->refusing = true;
    pthread_mutex_unlock(&self->lock);
    wake(self);
}

static void stop_thread(Client *self)
{
    GThread *thread;

    pthread_mutex_lock(&self->lock);
    self->refusing = self->stopping = true;
    thread = self->thread;
    pthread_mutex_unlock(&self->lock);
    wake(self);
    if (thread != NULL)
        g_thread_join(thread);
}

void client_free(Client *self)
{
    if (self == NULL)
        return;
    stop_thread(self);
    g_ptr_array_unref(self->questions);
    g_ptr_array_unref(self->rising);
    g_ptr_array_unref(self->pending);
    g_ptr_array_unref(self->changes);
    (void)close(self->wake_fd);
    pthread_cond_destroy(&self->connected);
    pthread_mutex_destroy(&self->lock);
    g_free(self->path);
    g_free(self);
}

static DoorAnswer *G_GNUC_PRINTF(2, 3) answer_of_error(BaseError code, const char *format, ...)
{
    DoorAnswer *answer = g_new0(DoorAnswer, 1);
    va_list values;

    va_start(values, format);
    answer->error = g_error_new_valist(BASE_ERROR, (int)code, format, values);
    va_end(values);
    return answer;
}

/* questions; all under the lock */

/* The daemon's error as ours. */
static DoorAnswer *translate(const sd_bus_error *from)
{
    BaseError code = BASE_ERROR_IO;

    if (g_str_has_prefix(from->name, DOOR_ERROR_PREFIX)) {
        g_autofree char *tail =
                g_strdelimit(g_strdup(from->name + strlen(DOOR_ERROR_PREFIX)), "_", '-');

        (void)base_error_from_name(tail, &code); /* unknown: IO */
    }
    return answer_of_error(code, "%s", from->message != NULL ? from->message : from->name);
}

static void question_leave(ClientQuestion *question)
{
    question->slot = sd_bus_slot_unref(question->slot);
    question->ended = true;
    g_ptr_array_remove_fast(question->client->questions, question);
}

/* answer: taken, or NULL. */
static void question_end(ClientQuestion *question, DoorAnswer *answer)
{
    question_leave(question);
    question->answer = answer;
    if (question->sleeper != NULL)
        g_ptr_array_add(question->client->rising, question);
}

static int on_answer(sd_bus_message *message, void *data, sd_bus_error *unused)
{
    ClientQuestion *question = data;
    const sd_bus_error *error = sd_bus_message_get_error(message);
    DoorAnswer *answer = NULL;

    (void)unused;
    if (sd_bus_is_open(question->client->bus) > 0) /* else it says itself that nobody answered */
        answer = error != NULL ? translate(error) : marshal_read(message);
    question_end(question, answer);
    return 1;
}

/* What the library did not send at once is sent by the thread, which must know. */
static void wake_to_send(Client *self)
{
    uint64_t waiting = 0;

    if (sd_bus_get_n_queued_write(self->bus, &waiting) >= 0 && waiting > 0)
        wake(self);
}

/* False: it cannot be said now; nothing is left of it. */
static bool question_ask(Client *self, ClientQuestion *question, ClientMethod method,
                         GVariant *parameters)
{
    sd_bus_message *message = NULL;
    g_autofree char *whom = method.for_uid != CLIENT_OURSELVES
                                    ? g_strdup_printf(BUS_FOR_USER "%u", method.for_uid)
                                    : NULL;
    int failure = sd_bus_message_new_method_call(self->bus, &message, whom, DOOR_OBJECT,
                                                 DOOR_INTERFACE, method.name);

    question->client = self;
    if (failure >= 0)
        failure = marshal_append(message, parameters, NULL, 0);
    if (failure >= 0)
        failure = sd_bus_call_async(self->bus, &question->slot, message, on_answer, question,
                                    UINT64_MAX);
    sd_bus_message_unref(message);
    if (failure < 0)
        return false;
    g_ptr_array_add(self->questions, question);
    wake_to_send(self);
    return true;
}

/* Its answer, should one come, is for nobody. */
static void question_drop(ClientQuestion *question)
{
    if (!question->ended)
        question_leave(question);
    door_answer_free(g_steal_pointer(&question->answer));
}

/* calls that block */

/* Under the lock. False when the daemon did not come back in time. */
static bool wait_for_connection(Client *self, int64_t deadline_us)
{
    int timed = 0;

    start_thread(self);
    if (!self->ready)
        deadline_us = MIN(deadline_us, MAX(self->lost_us + OUTAGE_US, clock_now_us() + GLANCE_US));
    while (!self->ready && timed == 0) {
        struct timespec until = {deadline_us / USEC_PER_SEC, deadline_us % USEC_PER_SEC * 1000};

        timed = pthread_cond_timedwait(&self->connected, &self->lock, &until);
    }
    return self->ready;
}

/* Under the lock. */
static void wait_for_answer(Client *self, ClientQuestion *question, int64_t deadline_us)
{
    struct timespec until = {deadline_us / USEC_PER_SEC, deadline_us % USEC_PER_SEC * 1000};
    int timed = 0;

    while (!question->ended && timed == 0)
        timed = pthread_cond_timedwait(question->sleeper, &self->lock, &until);
    g_ptr_array_remove_fast(self->rising, question); /* it woke by itself */
}

/* Under the lock. The connection has ended, the thread has not seen it yet: nobody may use it. */
static bool note_loss(Client *self)
{
    if (sd_bus_is_ready(self->bus) > 0)
        return false;
    self->ready = false;
    self->lost_us = clock_now_us();
    wake(self);
    return true;
}

/* Under the lock. Returns new, NULL: the daemon has been lost. */
static DoorAnswer *ask(Client *self, ClientMethod method, GVariant *parameters, int64_t deadline_us,
                       pthread_cond_t *sleeper)
{
    ClientQuestion question = {.sleeper = sleeper};

    if (!question_ask(self, &question, method, parameters))
        return note_loss(self) ? NULL : answer_of_error(BASE_ERROR_INVALID, NOT_CARRIED);
    wait_for_answer(self, &question, deadline_us);
    if (question.ended)
        return question.answer;
    question_drop(&question);
    return answer_of_error(BASE_ERROR_TIMEOUT, "the daemon does not answer");
}

/* Under the lock. Returns new. */
static DoorAnswer *ask_until(Client *self, ClientMethod method, GVariant *parameters,
                             int64_t deadline_us, pthread_cond_t *sleeper)
{
    bool lost = false;

    while (wait_for_connection(self, deadline_us)) {
        DoorAnswer *answer = ask(self, method, parameters, deadline_us, sleeper);

        if (answer != NULL)
            return answer;
        lost = true;
        if (method.once)
            break;
    }
    return answer_of_error(BASE_ERROR_UNREACHABLE, "%s the daemon at '%s'",
                           lost ? "lost" : "cannot reach", self->path);
}

DoorAnswer *client_call(Client *self, ClientMethod method, GVariant *parameters,
                        unsigned timeout_ms, GError **error)
{
    g_autoptr(GVariant) owned = parameters != NULL ? g_variant_ref_sink(parameters) : NULL;
    int64_t deadline_us = clock_now_us() + (int64_t)timeout_ms * USEC_IN_MS;
    g_autoptr(DoorAnswer) answer = NULL;
    pthread_condattr_t attributes;
    pthread_cond_t sleeper;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sleeper, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_lock(&self->lock);
    answer = ask_until(self, method, owned, deadline_us, &sleeper);
    pthread_mutex_unlock(&self->lock);
    pthread_cond_destroy(&sleeper);
    if (answer->error == NULL)
        return g_steal_pointer(&answer);
    g_propagate_error(error, g_steal_pointer(&answer->error));
    return NULL;
}

void client_tell(Client *self, const char *method, GVariant *parameters)
{
    g_autoptr(GVariant) owned = g_variant_ref_sink(parameters);
    sd_bus_message *message = NULL;

    pthread_mutex_lock(&self->lock);
    if (self->ready &&
        sd_bus_message_new_method_call(self->bus, &message, NULL, DOOR_OBJECT, DOOR_INTERFACE,
                                       method) >= 0 &&
        sd_bus_message_set_expect_reply(message, false) >= 0 &&
        marshal_append(message, owned, NULL, 0) >= 0 && sd_bus_send(self->bus, message, NULL) >= 0)
        wake_to_send(self);
    sd_bus_message_unref(message);
    pthread_mutex_unlock(&self->lock);
}

/* calls that take long */

static void answer_and_free(ClientPending *pending, DoorAnswer *answer)
{
    pending->answer(pending, answer);
    door_answer_free(answer);
    g_free(pending->question);
    g_free(pending->partner);
    g_free(pending->path);
    g_free(pending);
}

/* Under the lock. */
static void say(Client *self, ClientPending *pending)
{
    int64_t left_us = pending->deadline_us - (int64_t)CLIENT_GRACE_MS * USEC_IN_MS - clock_now_us();
    g_autoptr(GVariant) parameters = g_variant_ref_sink(
            pending->parameters(pending, (unsigned)(MAX(left_us, 0) / USEC_IN_MS)));

    pending->question = g_new0(ClientQuestion, 1);
    if (!question_ask(self, pending->question, pending->method, parameters))
        g_clear_pointer(&pending->question, g_free); /* said when the daemon is back */
}

void client_begin(Client *self, ClientPending *pending, unsigned wait_ms)
{
    bool refused;

    pending->client = self;
    pending->deadline_us = clock_now_us() + ((int64_t)wait_ms + CLIENT_GRACE_MS) * USEC_IN_MS;
    pthread_mutex_lock(&self->lock);
    start_thread(self);
    refused = self->refusing;
    if (!refused) {
        g_ptr_array_add(self->pending, pending);
        if (self->ready)
            say(self, pending);
        if (pending->deadline_us < self->looks_us)
            wake(self);
    }
    pthread_mutex_unlock(&self->lock);
    if (refused)
        answer_and_free(pending, answer_of_error(BASE_ERROR_CANCELLED, "the client stops"));
}

void client_interrupt(Client *self, ClientPending *pending)
{
    pthread_mutex_lock(&self->lock);
    pending->cancelled = true;
    pthread_mutex_unlock(&self->lock);
    wake(self);
}

/* The answer of a pending call, if it has one now; else NULL, and it is said if it has to be. Under the lock. */
static DoorAnswer *look_at(Client *self, ClientPending *pending, int64_t now_us)
{
    ClientQuestion *question = pending->question;

    if (question != NULL && question->ended && question->answer != NULL)
        return g_steal_pointer(&question->answer);
    if (pending->cancelled || self->refusing)
        return answer_of_error(BASE_ERROR_CANCELLED, "interrupted");
    if (question != NULL && question->ended) /* lost: said again when the daemon is back */
        g_clear_pointer(&pending->question, g_free);
    if (now_us >= pending->deadline_us)
        return pending->question != NULL
                       ? answer_of_error(BASE_ERROR_TIMEOUT, "the daemon does not answer")
                       : answer_of_error(BASE_ERROR_UNREACHABLE, "the daemon is gone");
    if (pending->question == NULL && self->ready)
        say(self, pending);
    return pending->question == NULL && self->ready && !note_loss(self)
                   ? answer_of_error(BASE_ERROR_INVALID, NOT_CARRIED)
                   : NULL;
}

/* Who is to be told what. */
typedef struct {
    ClientPending *pending;
    DoorAnswer *answer;
} Telling;

/* Takes out of the pending calls those that have an answer. Under the lock. Returns new, of Telling. */
static GArray *take_answered(Client *self)
{
    GArray *tellings = g_array_new(FALSE, FALSE, sizeof(Telling));
    int64_t now_us = clock_now_us();

    for (guint i = 0; i < self->pending->len;) {
        Telling telling = {.pending = g_ptr_array_index(self->pending, i)};

        telling.answer = look_at(self, telling.pending, now_us);
        if (telling.answer == NULL) {
            i++;
            continue;
        }
        if (telling.pending->question != NULL)
            question_drop(telling.pending->question);
        g_ptr_array_remove_index_fast(self->pending, i);
        g_array_append_val(tellings, telling);
    }
    return tellings;
}

/* the thread */

static void tell_change(Client *self, GVariant *entries)
{
    g_autoptr(GVariantIter) each = NULL;
    const char *partner, *path;

    if (entries == NULL) {
        self->on_change(NULL, NULL, self->data);
        return;
    }
    g_variant_get(entries, "(a(ss))", &each);
    while (g_variant_iter_next(each, "(&s&s)", &partner, &path))
        self->on_change(partner, path, self->data);
}

/* Under the lock, which it leaves meanwhile: those who are told may call. False: nothing was to be told. */
static bool tell(Client *self)
{
    g_autoptr(GArray) tellings = take_answered(self);
    g_autoptr(GPtrArray) changes = NULL;

    if (tellings->len == 0 && self->changes->len == 0)
        return false;
    changes = self->changes;
    self->changes = g_ptr_array_new_with_free_func(free_change);
    wake_callers(self);
    pthread_mutex_unlock(&self->lock);
    for (guint i = 0; i < changes->len; i++)
        tell_change(self, g_ptr_array_index(changes, i));
    for (guint i = 0; i < tellings->len; i++) {
        Telling *telling = &g_array_index(tellings, Telling, i);

        answer_and_free(telling->pending, telling->answer);
    }
    pthread_mutex_lock(&self->lock);
    return true;
}

static void note_change(Client *self, GVariant *entries)
{
    if (self->on_change != NULL)
        g_ptr_array_add(self->changes, entries);
}

static int on_signal(sd_bus_message *message, void *data, sd_bus_error *unused)
{
    Client *self = data;
    g_autoptr(DoorAnswer) signal = NULL;

    (void)unused;
    if (self->on_change == NULL || sd_bus_message_is_signal(message, DOOR_INTERFACE, NULL) <= 0)
        return 0;
    signal = marshal_read(message);
    if (sd_bus_message_is_signal(message, DOOR_INTERFACE, "EntriesChanged") > 0 &&
        signal->error == NULL && g_variant_is_of_type(signal->value, G_VARIANT_TYPE("(a(ss))")))
        note_change(self, g_steal_pointer(&signal->value));
    else
        note_change(self, NULL);
    return 1;
}

/* Lets go of a connection that has ended, or did not come about. */
static void drop_connection(Client *self)
{
    if (self->bus == NULL)
        return;
    if (self->ready)
        self->lost_us = clock_now_us();
    self->ready = false;
    while (self->questions->len > 0)
        question_end(g_ptr_array_index(self->questions, 0), NULL);
    self->bus = sd_bus_close_unref(self->bus);
    self->retry_us = clock_now_us() + RETRY_US;
}

/* fd: taken. Negative errno. */
static int start_bus(Client *self, int fd)
{
    int failure = bus_new(fd, &self->bus);

    if (failure >= 0)
        failure = sd_bus_add_filter(self->bus, NULL, on_signal, self);
    return failure >= 0 ? sd_bus_start(self->bus) : failure;
}

static void connect_again(Client *self)
{
    int fd;

    if (self->bus != NULL || self->stopping || clock_now_us() < self->retry_us)
        return;
    fd = bus_reach(self->path);
    self->retry_us = clock_now_us() + RETRY_US;
    if (fd >= 0 && start_bus(self, fd) < 0)
        drop_connection(self);
}

/* All that has come in. */
static void process(Client *self)
{
    int processed = 1;

    while (self->bus != NULL && processed > 0)
        processed = sd_bus_process(self->bus, NULL);
    if (self->bus == NULL)
        return;
    if (processed < 0) {
        drop_connection(self);
    } else if (!self->ready && sd_bus_is_ready(self->bus) > 0) {
        self->ready = true;
        note_change(self, NULL);
        pthread_cond_broadcast(&self->connected);
    }
}

/* When the thread must look, should nothing wake it. It is not put off once it was set: the deadline of the next call
 * is later, most of the time, and need not wake the thread then. */
static int64_t find_next_look(const Client *self)
{
    int64_t look_us = self->looks_us > clock_now_us() ? self->looks_us : INT64_MAX;
    uint64_t bus_us = UINT64_MAX;

    if (self->bus == NULL)
        look_us = MIN(look_us, self->retry_us);
    else if (sd_bus_get_timeout(self->bus, &bus_us) >= 0 && bus_us < INT64_MAX)
        look_us = MIN(look_us, (int64_t)bus_us);
    for (guint i = 0; i < self->pending->len; i++) {
        const ClientPending *pending = g_ptr_array_index(self->pending, i);

        look_us = MIN(look_us, pending->deadline_us);
    }
    return look_us;
}

/* Under the lock, which it leaves meanwhile. */
static void sleep_until_something(Client *self)
{
    struct pollfd watched[2] = {{.fd = self->wake_fd, .events = POLLIN}, {.fd = -1}};
    int64_t left_us;
    uint64_t count;

    self->looks_us = find_next_look(self);
    left_us = self->looks_us - clock_now_us();
    if (self->bus != NULL) {
        watched[1].fd = sd_bus_get_fd(self->bus);
        watched[1].events = (short)MAX(sd_bus_get_events(self->bus), 0);
    }
    wake_callers(self);
    pthread_mutex_unlock(&self->lock);
    (void)poll(watched, G_N_ELEMENTS(watched), /* interrupted: looks */
               self->looks_us == INT64_MAX
                       ? -1
                       : (int)(CLAMP(left_us, 0, (int64_t)G_MAXINT) / USEC_IN_MS) + 1);
    if (watched[0].revents != 0)
        (void)!read(self->wake_fd, &count, sizeof count);
    pthread_mutex_lock(&self->lock);
}

static gpointer attend(gpointer data)
{
    Client *self = data;

    pthread_mutex_lock(&self->lock);
    while (!self->stopping || self->pending->len > 0) {
        connect_again(self);
        process(self);
        if (!tell(self))
            sleep_until_something(self);
    }
    drop_connection(self);
    wake_callers(self);
    pthread_mutex_unlock(&self->lock);
    return NULL;
}
