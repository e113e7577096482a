/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's connection. One thread makes it, makes it again when the daemon comes back, hears signals, and
 * answers the calls that take long; callers that block wait for the connection, never for its making. The lock
 * is held only to look and to hand over.
 */
#include "daemon/local/client-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "daemon/local/handshake.h"
#include "daemon/local/interface.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define RETRY_MS   100
#define OUTAGE_MS  10000 /* who calls later than this after the loss is told soon */
#define GLANCE_MS  250   /* enough to see that it is there again */
#define USEC_IN_MS 1000

struct Client {
    char *address;
    void (*on_change)(const char *partner, const char *path, gpointer data);
    gpointer data;
    pthread_mutex_t lock; /* of what follows, down to the thread's own */
    pthread_cond_t connected;
    GDBusConnection *connection; /* NULL: the daemon is not there */
    int64_t lost_us;             /* since when; monotonic */
    GPtrArray *begun;            /* ClientPending * that the thread has not seen yet */
    GThread *thread;             /* started by the first call */
    bool refusing;               /* no call that takes long any more */
    bool stopping;
    GMainContext *context;
    /* of the thread alone */
    GPtrArray *pending; /* ClientPending * */
    GCancellable *stop;
    bool connecting;
    guint subscription;
    GSource *retry;
};

static gpointer attend(gpointer data);

Client *client_new(const char *socket_path)
{
    Client *self = g_new0(Client, 1);
    g_autofree char *escaped = g_dbus_address_escape_value(socket_path);
    pthread_condattr_t attributes;

    self->address = g_strconcat("unix:path=", escaped, NULL);
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->connected, &attributes);
    pthread_condattr_destroy(&attributes);
    self->begun = g_ptr_array_new();
    self->pending = g_ptr_array_new();
    self->stop = g_cancellable_new();
    self->context = g_main_context_new();
    return self;
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
    g_main_context_wakeup(self->context);
}

static void stop_thread(Client *self)
{
    pthread_mutex_lock(&self->lock);
    self->refusing = self->stopping = true;
    pthread_mutex_unlock(&self->lock);
    g_cancellable_cancel(self->stop);
    g_main_context_wakeup(self->context);
    if (self->thread != NULL)
        g_thread_join(self->thread);
}

void client_free(Client *self)
{
    if (self == NULL)
        return;
    stop_thread(self);
    g_main_context_unref(self->context);
    g_ptr_array_unref(self->begun);
    g_ptr_array_unref(self->pending);
    g_object_unref(self->stop);
    pthread_cond_destroy(&self->connected);
    pthread_mutex_destroy(&self->lock);
    g_free(self->address);
    g_free(self);
}

/* The daemon's error as ours. */
static GError *translate(GError *from)
{
    g_autofree char *name = g_dbus_error_get_remote_error(from);
    BaseError code = BASE_ERROR_IO;
    GError *error;

    if (name != NULL && g_str_has_prefix(name, DOOR_ERROR_PREFIX)) {
        g_autofree char *tail = g_strdelimit(g_strdup(name + strlen(DOOR_ERROR_PREFIX)), "_", '-');

        (void)base_error_from_name(tail, &code); /* unknown: IO */
        g_dbus_error_strip_remote_error(from);
    } else if (g_error_matches(from, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
        code = BASE_ERROR_TIMEOUT;
    } else if (g_error_matches(from, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
        code = BASE_ERROR_CANCELLED;
    } else if (name == NULL) {
        code = BASE_ERROR_UNREACHABLE;
    }
    error = g_error_new_literal(BASE_ERROR, (int)code, from->message);
    g_error_free(from);
    return error;
}

/* calls that block */

/* Under the lock. */
static bool is_connected(const Client *self)
{
    return self->connection != NULL && !g_dbus_connection_is_closed(self->connection);
}

/* Returns new; NULL when the daemon did not come back in time. */
static GDBusConnection *wait_for_connection(Client *self, int64_t deadline_us)
{
    GDBusConnection *connection = NULL;
    int timed = 0;

    pthread_mutex_lock(&self->lock);
    start_thread(self);
    if (self->connection == NULL) {
        int64_t patience_us = MAX(self->lost_us + (int64_t)OUTAGE_MS * USEC_IN_MS,
                                  clock_now_us() + (int64_t)GLANCE_MS * USEC_IN_MS);

        deadline_us = MIN(deadline_us, patience_us);
    }
    while (!is_connected(self) && timed == 0) {
        struct timespec until = {deadline_us / USEC_PER_SEC, deadline_us % USEC_PER_SEC * 1000};

        timed = pthread_cond_timedwait(&self->connected, &self->lock, &until);
    }
    if (is_connected(self))
        connection = g_object_ref(self->connection);
    pthread_mutex_unlock(&self->lock);
    return connection;
}

GVariant *client_call(Client *self, ClientMethod method, GVariant *parameters, unsigned timeout_ms,
                      GCancellable *cancellable, GUnixFDList **ret_fds, GError **error)
{
    g_autoptr(GVariant) owned = parameters != NULL ? g_variant_ref_sink(parameters) : NULL;
    int64_t deadline_us = clock_now_us() + (int64_t)timeout_ms * USEC_IN_MS;
    bool sent = false;

    for (;;) {
        GError *failure = NULL;
        g_autoptr(GDBusConnection) connection = wait_for_connection(self, deadline_us);
        int64_t left_us = deadline_us - clock_now_us();
        GVariant *result;

        if (connection == NULL) {
            g_set_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE, "%s the daemon at '%s'",
                        sent ? "lost" : "cannot reach", self->address + strlen("unix:path="));
            return NULL;
        }
        result = g_dbus_connection_call_with_unix_fd_list_sync(
                connection, NULL, DOOR_OBJECT, DOOR_INTERFACE, method.name, owned, NULL,
                G_DBUS_CALL_FLAGS_NONE, (int)MAX(left_us / USEC_IN_MS, 1), NULL, ret_fds,
                cancellable, &failure);
        if (result != NULL)
            return result;
        if (!g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CLOSED) || method.once) {
            g_propagate_error(error, translate(failure));
            return NULL;
        }
        g_error_free(failure);
        sent = true;
    }
}

/* calls that take long */

static void answer_and_free(ClientPending *pending, GVariant *result, GUnixFDList *fds,
                            const GError *error)
{
    pending->answer(pending, result, fds, error);
    g_free(pending->partner);
    g_free(pending->path);
    g_free(pending);
}

static void answer_error(ClientPending *pending, BaseError code, const char *text)
{
    g_autoptr(GError) error = g_error_new_literal(BASE_ERROR, (int)code, text);

    answer_and_free(pending, NULL, NULL, error);
}

/* Takes it out of the thread's hands. */
static void leave(Client *self, ClientPending *pending)
{
    g_ptr_array_remove_fast(self->pending, pending);
    if (pending->timer != NULL) {
        g_source_destroy(pending->timer);
        g_source_unref(pending->timer);
    }
}

static void finish_error(Client *self, ClientPending *pending, BaseError code, const char *text)
{
    leave(self, pending);
    answer_error(pending, code, text);
}

static void on_answer(GObject *connection, GAsyncResult *answer, gpointer data)
{
    ClientPending *pending = data;
    g_autoptr(GUnixFDList) fds = NULL;
    g_autoptr(GError) error = NULL;
    GError *failure = NULL;
    g_autoptr(GVariant) result = g_dbus_connection_call_with_unix_fd_list_finish(
            G_DBUS_CONNECTION(connection), &fds, answer, &failure);

    g_clear_object(&pending->call);
    if (result == NULL && !pending->late &&
        g_error_matches(failure, G_IO_ERROR, G_IO_ERROR_CLOSED)) {
        g_error_free(failure); /* said again when the daemon is back, or its time is over */
        return;
    }
    if (result == NULL)
        error = translate(failure);
    if (result == NULL && pending->late)
        error->code = BASE_ERROR_TIMEOUT;
    leave(pending->client, pending);
    answer_and_free(pending, result, fds, error);
}

static gboolean on_deadline(gpointer data)
{
    ClientPending *pending = data;

    if (pending->call == NULL) {
        finish_error(pending->client, pending, BASE_ERROR_UNREACHABLE, "the daemon is gone");
    } else {
        pending->late = true; /* no answer even beyond its own time: the daemon hangs */
        g_cancellable_cancel(pending->call);
    }
    return G_SOURCE_REMOVE;
}

static void say(Client *self, ClientPending *pending)
{
    int64_t left_us = pending->deadline_us - (int64_t)CLIENT_GRACE_MS * USEC_IN_MS - clock_now_us();
    unsigned left_ms = (unsigned)(MAX(left_us, 0) / USEC_IN_MS);

    pending->call = g_cancellable_new();
    g_dbus_connection_call_with_unix_fd_list(
            self->connection, NULL, DOOR_OBJECT, DOOR_INTERFACE, pending->method.name,
            pending->parameters(pending, left_ms), NULL, G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL,
            pending->call, on_answer, pending);
}

/* Takes over what was begun, and what was cancelled; says what the daemon does not know yet. */
static void look_after(Client *self)
{
    g_autoptr(GPtrArray) cancelled = g_ptr_array_new();
    bool connected;

    pthread_mutex_lock(&self->lock);
    for (guint i = 0; i < self->begun->len; i++)
        g_ptr_array_add(self->pending, g_ptr_array_index(self->begun, i));
    g_ptr_array_set_size(self->begun, 0);
    for (guint i = 0; i < self->pending->len; i++) {
        ClientPending *pending = g_ptr_array_index(self->pending, i);

        if (pending->cancelled || self->refusing)
            g_ptr_array_add(cancelled, pending);
    }
    connected = is_connected(self);
    pthread_mutex_unlock(&self->lock);
    for (guint i = 0; i < cancelled->len; i++) {
        ClientPending *pending = g_ptr_array_index(cancelled, i);

        if (pending->call != NULL)
            g_cancellable_cancel(pending->call);
        else
            finish_error(self, pending, BASE_ERROR_CANCELLED, "interrupted");
    }
    for (guint i = 0; i < self->pending->len; i++) {
        ClientPending *pending = g_ptr_array_index(self->pending, i);

        if (pending->timer == NULL) {
            pending->timer = g_timeout_source_new(
                    (guint)(MAX(pending->deadline_us - clock_now_us(), 0) / USEC_IN_MS));
            g_source_set_callback(pending->timer, on_deadline, pending, NULL);
            g_source_attach(pending->timer, self->context);
        }
        if (pending->call == NULL && connected)
            say(self, pending);
    }
}

void client_begin(Client *self, ClientPending *pending, unsigned wait_ms)
{
    bool refused;

    pending->client = self;
    pending->deadline_us = clock_now_us() + ((int64_t)wait_ms + CLIENT_GRACE_MS) * USEC_IN_MS;
    pthread_mutex_lock(&self->lock);
    start_thread(self);
    refused = self->refusing;
    if (!refused)
        g_ptr_array_add(self->begun, pending);
    pthread_mutex_unlock(&self->lock);
    if (refused)
        answer_error(pending, BASE_ERROR_CANCELLED, "the client stops");
    else
        g_main_context_wakeup(self->context);
}

void client_interrupt(Client *self, ClientPending *pending)
{
    pthread_mutex_lock(&self->lock);
    pending->cancelled = true;
    pthread_mutex_unlock(&self->lock);
    g_main_context_wakeup(self->context);
}

/* the thread */

static void on_signal(GDBusConnection *connection, const char *sender, const char *path,
                      const char *interface, const char *signal, GVariant *parameters,
                      gpointer data)
{
    Client *self = data;

    (void)connection, (void)sender, (void)path, (void)interface;
    if (strcmp(signal, "EntriesChanged") == 0 &&
        g_variant_is_of_type(parameters, G_VARIANT_TYPE("(a(ss))"))) {
        g_autoptr(GVariantIter) entries = NULL;
        const char *partner, *changed;

        g_variant_get(parameters, "(a(ss))", &entries);
        while (g_variant_iter_next(entries, "(&s&s)", &partner, &changed))
            self->on_change(partner, changed, self->data);
    } else {
        self->on_change(NULL, NULL, self->data);
    }
}

/* Lets go of a connection that has ended. */
static void drop_connection(Client *self)
{
    GDBusConnection *connection;

    pthread_mutex_lock(&self->lock);
    connection = g_steal_pointer(&self->connection);
    self->lost_us = clock_now_us();
    pthread_mutex_unlock(&self->lock);
    if (connection == NULL)
        return;
    g_signal_handlers_disconnect_by_data(connection, self);
    if (self->subscription != 0)
        g_dbus_connection_signal_unsubscribe(connection, self->subscription);
    self->subscription = 0;
    g_object_unref(connection);
}

static void on_closed(GDBusConnection *connection, gboolean vanished, GError *error, gpointer data)
{
    Client *self = data;

    (void)connection, (void)vanished, (void)error;
    drop_connection(self);
}

static gboolean on_retry(gpointer data)
{
    Client *self = data;

    g_clear_pointer(&self->retry, g_source_unref);
    return G_SOURCE_REMOVE; /* the loop connects */
}

static void on_connected(GObject *source, GAsyncResult *result, gpointer data)
{
    Client *self = data;
    GDBusConnection *connection = g_dbus_connection_new_for_address_finish(result, NULL);

    (void)source;
    self->connecting = false;
    if (connection == NULL) { /* not there yet */
        self->retry = g_timeout_source_new(RETRY_MS);
        g_source_set_callback(self->retry, on_retry, self, NULL);
        g_source_attach(self->retry, self->context);
        return;
    }
    g_dbus_connection_set_exit_on_close(connection, FALSE);
    g_signal_connect(connection, "closed", G_CALLBACK(on_closed), self);
    if (self->on_change != NULL)
        self->subscription = g_dbus_connection_signal_subscribe(
                connection, NULL, DOOR_INTERFACE, NULL, DOOR_OBJECT, NULL, G_DBUS_SIGNAL_FLAGS_NONE,
                on_signal, self, NULL);
    pthread_mutex_lock(&self->lock);
    self->connection = connection;
    pthread_cond_broadcast(&self->connected);
    pthread_mutex_unlock(&self->lock);
    if (self->on_change != NULL)
        self->on_change(NULL, NULL, self->data);
}

static bool is_stopping(Client *self)
{
    bool stopping;

    pthread_mutex_lock(&self->lock);
    stopping = self->stopping;
    pthread_mutex_unlock(&self->lock);
    return stopping;
}

static void connect_again(Client *self)
{
    g_autoptr(GDBusAuthObserver) observer = NULL;

    if (self->connection != NULL || self->connecting || self->retry != NULL)
        return;
    self->connecting = true;
    observer = handshake_new_observer();
    g_dbus_connection_new_for_address(self->address, G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT,
                                      observer, self->stop, on_connected, self);
}

static gpointer attend(gpointer data)
{
    Client *self = data;

    g_main_context_push_thread_default(self->context);
    while (!is_stopping(self)) {
        if (self->connection != NULL && g_dbus_connection_is_closed(self->connection))
            drop_connection(self);
        connect_again(self);
        look_after(self);
        g_main_context_iteration(self->context, TRUE);
    }
    for (look_after(self); self->connecting || self->pending->len > 0; look_after(self))
        g_main_context_iteration(self->context, TRUE);
    if (self->retry != NULL) {
        g_source_destroy(self->retry);
        g_clear_pointer(&self->retry, g_source_unref);
    }
    if (self->connection != NULL) {
        g_signal_handlers_disconnect_by_data(self->connection, self);
        (void)g_dbus_connection_close_sync(self->connection, NULL, NULL);
    }
    drop_connection(self);
    while (g_main_context_iteration(self->context, FALSE))
        ;
    g_main_context_pop_thread_default(self->context);
    return NULL;
}
