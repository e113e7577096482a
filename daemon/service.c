/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start, reload, stop; and the main loop's side of every connection: notices come in by mailbox, answers and
 * orders go back. Nothing here waits. Architecture §4.
 */
#include "daemon/service.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "daemon/gate.h"
#include "daemon/net/listener.h"
#include "daemon/recovery.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIAG_STOPPING PESIT_DIAG(3, 312)
#define CUT_AFTER_MS  3000

typedef struct {
    Listener *listener;
    TlsContext *tls; /* NULL: plain */
} Entrance;

struct Service {
    char *path;
    Config *config;
    Store *store;
    Spool *spool;
    Gate *gate;
    Mailbox *notices;
    guint notices_source;
    ConnectionServices services;
    GPtrArray *entrances;   /* Entrance * */
    GPtrArray *connections; /* Connection * */
    GMainLoop *loop;
    bool stopping;
};

/* notices */

static gboolean on_penalty_over(gpointer data)
{
    reply_post(data, GINT_TO_POINTER(VERDICT_YES));
    reply_unref(data);
    return G_SOURCE_REMOVE;
}

static void take_rejected(Service *self, const Notice *notice)
{
    unsigned wait_ms = gate_reject(self->gate, connection_address(notice->connection));

    if (wait_ms == 0)
        reply_post(notice->reply, GINT_TO_POINTER(VERDICT_YES));
    else
        g_timeout_add(wait_ms, on_penalty_over, reply_ref(notice->reply));
}

static void answer(const Notice *notice, Verdict verdict)
{
    reply_post(notice->reply, GINT_TO_POINTER(verdict));
}

static void close_connection(Service *self, Connection *connection)
{
    gate_remove(self->gate, connection);
    g_ptr_array_remove_fast(self->connections, connection);
    connection_free(connection);
    if (self->stopping && self->connections->len == 0)
        g_main_loop_quit(self->loop);
}

static void on_offer_marked(StoreResult *result, gpointer data)
{
    (void)data;
    if (result->error != NULL && result->error->code != BASE_ERROR_CONFLICT)
        log_event(LOG_STORE_FAILED, "REASON", result->error->message, NULL);
    store_result_free(result); /* a conflict: marked before, or removed meanwhile */
}

static void on_offer_found(StoreResult *result, gpointer data)
{
    Service *self = data;

    if (result->error == NULL && result->transfer->state == TRANSFER_QUEUED) {
        result->transfer->state = TRANSFER_DONE;
        result->transfer->finished_us = clock_wall_us();
        store_submit(self->store,
                     store_request_update(result->transfer, 1u << TRANSFER_QUEUED, NULL, 0),
                     on_offer_marked, self);
    }
    store_result_free(result);
}

static void take_incoming(Service *self, const Notice *notice)
{
    const Transfer *transfer = notice->transfer;

    if (notice->progress == NULL && transfer->direction == DIRECTION_SERVE &&
        transfer->state == TRANSFER_DONE)
        store_submit(self->store, store_request_get(transfer->offer_id), on_offer_found, self);
}

static void on_notice(gpointer message, gpointer data)
{
    Notice *notice = message;
    Service *self = data;

    switch (notice->kind) {
    case NOTICE_ADMIT:
        answer(notice, self->stopping ? VERDICT_STOPPING
                                      : gate_admit(self->gate, self->config, notice->connection,
                                                   notice->partner));
        break;
    case NOTICE_REJECTED:
        take_rejected(self, notice);
        break;
    case NOTICE_CLAIM:
        answer(notice, self->stopping ? VERDICT_STOPPING
                                      : gate_claim(self->gate, notice->connection, notice->partner,
                                                   notice->path));
        break;
    case NOTICE_UNCLAIM:
        gate_unclaim(self->gate, notice->partner, notice->path);
        break;
    case NOTICE_INCOMING:
        take_incoming(self, notice);
        break;
    case NOTICE_JOB_DONE:
        break;
    case NOTICE_CLOSED:
        close_connection(self, notice->connection);
        break;
    }
    notice_free(notice);
}

/* calls */

static void on_accept(Listener *listener, int fd, const char *address, gpointer data)
{
    Service *self = data;
    TlsContext *tls = NULL;
    Connection *connection;

    if (self->stopping || !gate_enter(self->gate, self->config, address)) {
        log_event(LOG_CONNECTION_REFUSED, "ADDRESS", address, "REASON",
                  self->stopping ? "stopping" : "too many connections before CONNECT", NULL);
        fd_clear(&fd);
        return;
    }
    for (guint i = 0; i < self->entrances->len; i++) {
        const Entrance *entrance = g_ptr_array_index(self->entrances, i);

        if (entrance->listener == listener)
            tls = entrance->tls;
    }
    connection = connection_start_incoming(&self->services, self->config, fd, address, tls);
    gate_add(self->gate, connection, address);
    g_ptr_array_add(self->connections, connection);
}

static void entrance_free(gpointer data)
{
    Entrance *entrance = data;

    listener_close(entrance->listener);
    tls_context_unref(entrance->tls);
    g_free(entrance);
}

static bool open_entrance(Service *self, const ListenerConfig *settings, GError **error)
{
    Entrance *entrance = g_new0(Entrance, 1);
    char port[8];

    g_ptr_array_add(self->entrances, entrance);
    if (settings->tls.enabled) {
        entrance->tls = tls_context_new_server(&settings->tls, error);
        if (entrance->tls == NULL)
            return false;
    }
    entrance->listener = listener_open(settings, on_accept, self, error);
    if (entrance->listener == NULL)
        return false;
    (void)snprintf(port, sizeof port, "%u", listener_port(entrance->listener)); /* fits */
    log_event(LOG_LISTENING, "ADDRESS", settings->address, "PORT", port, "TLS",
              settings->tls.enabled ? "yes" : "no", NULL);
    return true;
}

/* signals */

static gboolean on_cut(gpointer data)
{
    Service *self = data;

    for (guint i = 0; i < self->connections->len; i++)
        connection_cut(g_ptr_array_index(self->connections, i));
    return G_SOURCE_CONTINUE;
}

static gboolean on_drained(gpointer data)
{
    Service *self = data;

    for (guint i = 0; i < self->connections->len; i++) {
        Order *order = order_new(ORDER_ABORT);

        order->diag = DIAG_STOPPING;
        connection_order(g_ptr_array_index(self->connections, i), order);
    }
    g_timeout_add(CUT_AFTER_MS, on_cut, self);
    return G_SOURCE_REMOVE;
}

static gboolean on_terminate(gpointer data)
{
    Service *self = data;

    if (self->stopping)
        return G_SOURCE_CONTINUE;
    self->stopping = true;
    log_event(LOG_STOPPING, NULL);
    for (guint i = 0; i < self->connections->len; i++)
        connection_order(g_ptr_array_index(self->connections, i), order_new(ORDER_FINISH));
    if (self->connections->len == 0)
        g_main_loop_quit(self->loop);
    else
        g_timeout_add(self->config->drain_ms, on_drained, self);
    return G_SOURCE_CONTINUE;
}

/* New partners and virtual files count for the next connections; listeners and paths need a restart. */
static gboolean on_reload(gpointer data)
{
    Service *self = data;
    g_autoptr(GError) error = NULL;
    Config *loaded = config_load(self->path, &error);

    if (loaded == NULL) {
        log_event(LOG_CONFIG_REFUSED, "REASON", error->message, NULL);
        return G_SOURCE_CONTINUE;
    }
    /* a listener reads its settings for its whole life: the old listeners stay with the new partners */
    g_ptr_array_unref(loaded->listeners);
    loaded->listeners = g_ptr_array_ref(self->config->listeners);
    config_unref(self->config);
    self->config = loaded;
    log_configure(loaded->log_level, loaded->log_format);
    log_event(LOG_CONFIG_LOADED, "PATH", self->path, NULL);
    return G_SOURCE_CONTINUE;
}

/* life */

static bool open_parts(Service *self, GError **error)
{
    const Config *config = self->config;

    self->spool =
            spool_open(config->spool_path, config->inbox_path, config->spool_reserve_bytes, error);
    if (self->spool == NULL)
        return false;
    self->store = store_open(config->store_path, error);
    if (self->store == NULL || !recovery_run(config, self->store, self->spool, error))
        return false;
    self->notices_source = mailbox_attach(self->notices, NULL, on_notice, self);
    self->services = (ConnectionServices){self->store, self->spool, self->notices};
    for (guint i = 0; i < config->listeners->len; i++) {
        if (!open_entrance(self, g_ptr_array_index(config->listeners, i), error))
            return false;
    }
    return true;
}

static void free_notice(gpointer message)
{
    notice_free(message);
}

Service *service_start(const char *path, Config *config, int ready_fd, GError **error)
{
    Service *self = g_new0(Service, 1);

    self->path = g_strdup(path);
    self->config = config;
    self->gate = gate_new();
    self->notices = mailbox_new(free_notice);
    self->entrances = g_ptr_array_new_with_free_func(entrance_free);
    self->connections = g_ptr_array_new();
    self->loop = g_main_loop_new(NULL, FALSE);
    if (!open_parts(self, error)) {
        service_stop(self);
        return NULL;
    }
    g_unix_signal_add(SIGTERM, on_terminate, self);
    g_unix_signal_add(SIGINT, on_terminate, self);
    g_unix_signal_add(SIGHUP, on_reload, self);
    if (ready_fd >= 0 && write(ready_fd, "READY\n", 6) != 6) {
        error_set_errno(error, errno, "tell readiness");
        service_stop(self);
        return NULL;
    }
    log_event(LOG_STARTED, "NODE", config->node_name, "VERSION", PESITFS_VERSION, NULL);
    return self;
}

void service_run(Service *self)
{
    g_main_loop_run(self->loop);
}

void service_stop(Service *self)
{
    if (self == NULL)
        return;
    g_ptr_array_unref(self->entrances);
    if (self->notices_source != 0)
        g_source_remove(self->notices_source);
    mailbox_close(self->notices);
    mailbox_unref(self->notices);
    store_close(self->store);
    spool_close(self->spool);
    gate_free(self->gate);
    g_ptr_array_unref(self->connections);
    g_main_loop_unref(self->loop);
    config_unref(self->config);
    g_free(self->path);
    g_free(self);
    log_event(LOG_STOPPED, NULL);
}
