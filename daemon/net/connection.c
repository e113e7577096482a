/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One PeSIT connection's thread: how it starts, what orders it takes, what it tells the main loop, how it
 * ends. What is said on the wire is in outgoing.c and incoming.c, how bytes move in channel.c.
 * Architecture §4.
 */
#include "daemon/net/connection-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metric.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define USEC_PER_MSEC 1000
#define DIAG_LENGTH   16

static atomic_uint last_number;

/* orders and notices */

Order *order_new(OrderKind kind)
{
    Order *order = g_new0(Order, 1);

    order->kind = kind;
    return order;
}

void order_free(Order *order)
{
    if (order == NULL)
        return;
    job_free(order->job);
    g_free(order);
}

Notice *notice_new(const Connection *self, NoticeKind kind)
{
    Notice *notice = g_new0(Notice, 1);

    notice->kind = kind;
    /* the main loop owns connections; a notice only names its own */
    notice->connection = (Connection *)(uintptr_t)self;
    notice->partner = self->partner != NULL ? g_strdup(self->partner->name) : NULL;
    return notice;
}

void notice_free(Notice *notice)
{
    if (notice == NULL)
        return;
    g_free(notice->partner);
    g_free(notice->path);
    job_free(notice->job);
    transfer_free(notice->transfer);
    progress_unref(notice->progress);
    reply_unref(notice->reply);
    g_free(notice);
}

Verdict connection_ask(Connection *self, NoticeKind kind, const char *path)
{
    g_autoptr(Reply) reply = reply_new(NULL);
    Notice *notice = notice_new(self, kind);
    gpointer value = NULL;

    notice->path = g_strdup(path);
    notice->reply = reply_ref(reply);
    if (!mailbox_post(self->services->notices, notice) || !reply_wait(reply, INT64_MAX, &value))
        return VERDICT_STOPPING;
    return (Verdict)GPOINTER_TO_INT(value);
}

void connection_tell_incoming(Connection *self, const Transfer *transfer, Progress *progress)
{
    Notice *notice = notice_new(self, NOTICE_INCOMING);

    notice->transfer = transfer_copy(transfer);
    notice->progress = progress != NULL ? progress_ref(progress) : NULL;
    (void)mailbox_post(self->services->notices, notice); /* closed only when the daemon ends */
}

static void return_job(Connection *self, Job *job)
{
    Notice *notice = notice_new(self, NOTICE_JOB_DONE);

    notice->job = job;
    (void)mailbox_post(self->services->notices, notice); /* closed only when the daemon ends */
}

static void abort_now(Connection *self, PesitDiag diag)
{
    PesitCommand command = {.type = PESIT_FPDU_ABORT, .diag = diag};

    self->finishing = true;
    if (self->channel == NULL || self->over)
        return;
    self->over = true;
    self->abort_diag = diag;
    if (pesit_session_command(self->channel->session, &command, clock_now_us()) == PESIT_OK)
        (void)channel_flush(self->channel); /* the script lingers */
}

static void take_order(Connection *self, Order *order)
{
    switch (order->kind) {
    case ORDER_JOB:
        if (self->job == NULL)
            self->job = g_steal_pointer(&order->job);
        else
            return_job(self, g_steal_pointer(&order->job));
        break;
    case ORDER_CANCEL:
        self->cancelled = self->cancelled || self->transfer_id == order->id;
        if (self->job != NULL && self->job->transfer->id == order->id)
            atomic_store(&self->job->progress->cancelled, true);
        break;
    case ORDER_FINISH:
        self->finishing = true;
        break;
    case ORDER_ABORT:
        abort_now(self, order->diag);
        break;
    }
}

void connection_take_orders(Connection *self)
{
    Order *order;

    while ((order = mailbox_take(self->orders)) != NULL) {
        take_order(self, order);
        order_free(order);
    }
}

/* sessions */

static void fill_timers(const Config *config, PesitTimers *ret_timers)
{
    *ret_timers = (PesitTimers){
            .accept_us = (int64_t)config->accept_ms * USEC_PER_MSEC,
            .connect_us = (int64_t)config->connect_ms * USEC_PER_MSEC,
            .protocol_us = (int64_t)config->protocol_ms * USEC_PER_MSEC,
            .protocol_long_us = (int64_t)config->protocol_long_ms * USEC_PER_MSEC,
            .idle_us = (int64_t)config->idle_ms * USEC_PER_MSEC,
            .release_us = (int64_t)config->release_ms * USEC_PER_MSEC,
            .min_rate_bytes_per_s = config->min_rate_bytes_per_s,
    };
}

void connection_fill_options(const Connection *self, const Partner *partner, PesitRole role,
                             PesitSessionOptions *ret_options)
{
    const PesitProfile *profile = partner != NULL ? &partner->profile : pesit_profile_at(0);
    PesitSessionOptions options = {
            .role = role,
            .framing = role == PESIT_ROLE_SERVER                ? PESIT_FRAMING_AUTO
                       : profile->framing == PESIT_FRAMING_AUTO ? PESIT_FRAMING_PREFIXED
                                                                : profile->framing,
            .own_id = 1,
            .strict = profile->strict,
            .abort_as_units = profile->abort_as_units,
            .omit_defaults = profile->omit_defaults,
            .preconnection = profile->preconnection,
            .sync_interval_kb = profile->sync_interval_kb,
            .sync_window = profile->sync_window,
            .resync = false,
            .segmentation = profile->segmentation,
            .multi_article = profile->multi_article,
            .concatenation = profile->concatenation,
            .max_entity_bytes = profile->max_entity_bytes,
            .check_slack_bytes = profile->strict ? 0 : UINT32_MAX,
    };

    fill_timers(self->config, &options.timers);
    *ret_options = options;
}

Channel *connection_open_channel(Connection *self, Stream *stream, PesitRole role)
{
    PesitSessionOptions options;
    PesitSession *session;
    Channel *channel;

    connection_fill_options(self, self->partner, role, &options);
    session = pesit_session_new(&options, clock_now_us());
    channel = channel_new(stream, session, self->orders, self->label, options.timers.protocol_us);
    atomic_store(&self->channel, channel);
    return channel;
}

/* What it moves now, 0: nothing. */
static int64_t connection_transfer_id(const Connection *self)
{
    const Channel *channel = self->channel;

    return channel != NULL ? channel->transfer_id : 0;
}

void connection_log_remark(const Connection *self, const PesitEvent *event)
{
    char number[LOG_NUMBER_BYTES], id[LOG_NUMBER_BYTES];

    log_event(LOG_PEER_REMARK, "CONNECTION", self->label, "TRANSFER",
              log_number(id, connection_transfer_id(self)), "PARTNER",
              self->partner != NULL ? self->partner->name : NULL, "FPDU",
              pesit_fpdu_name(event->type), "PI", log_number(number, event->pi), "REASON",
              event->text, NULL);
}

const char *connection_reason(const Connection *self, const PesitEvent *event)
{
    const Channel *channel = self->channel;

    if (event->kind == PESIT_EVENT_LOST && channel->failure != NULL)
        return channel->failure->message;
    return event->kind == PESIT_EVENT_LOST || event->kind == PESIT_EVENT_FAILED ? event->text
                                                                                : NULL;
}

void connection_note_end(Connection *self, const PesitEvent *event)
{
    char diag[DIAG_LENGTH], id[LOG_NUMBER_BYTES];

    if (self->over)
        return;
    self->over = true;
    self->abort_diag = event->kind == PESIT_EVENT_LOST ? PESIT_DIAG_OK : event->diag;
    (void)snprintf(diag, sizeof diag, "%u-%03u", event->diag.type,
                   event->diag.code); /* always fits */
    log_event(LOG_CONNECTION_FAILED, "CONNECTION", self->label, "TRANSFER",
              log_number(id, connection_transfer_id(self)), "PARTNER",
              self->partner != NULL ? self->partner->name : NULL, "ADDRESS", self->address, "END",
              event->kind == PESIT_EVENT_ABORTED  ? "aborted by the partner"
              : event->kind == PESIT_EVENT_FAILED ? "aborted by us"
                                                  : "lost",
              "DIAG", event->kind == PESIT_EVENT_LOST ? NULL : diag, "REASON",
              connection_reason(self, event), NULL);
}

/* the thread */

static void run_incoming(Connection *self)
{
    g_autoptr(Stream) stream = stream_new(self->fd);
    g_autoptr(GError) error = NULL;
    int64_t deadline_us = clock_now_us() + (int64_t)self->config->accept_ms * USEC_PER_MSEC;

    self->fd = -1;
    if (self->tls != NULL && !stream_start_tls_server(stream, self->tls, deadline_us, &error)) {
        log_event(LOG_CONNECTION_REFUSED, "CONNECTION", self->label, "ADDRESS", self->address,
                  "REASON", error->message, NULL);
        return;
    }
    incoming_run(self, g_steal_pointer(&stream));
}

static gpointer connection_main(gpointer data)
{
    Connection *self = data;
    Order *order;

    metric_add(self->incoming ? METRIC_CONNECTIONS_IN : METRIC_CONNECTIONS_OUT, 1);
    if (self->incoming)
        run_incoming(self);
    else
        outgoing_run(self);
    mailbox_close(self->orders);
    while ((order = mailbox_take(self->orders)) != NULL) {
        if (order->job != NULL)
            return_job(self, g_steal_pointer(&order->job));
        order_free(order);
    }
    if (self->job != NULL)
        return_job(self, g_steal_pointer(&self->job));
    log_event(LOG_CONNECTION_CLOSED, "CONNECTION", self->label, "PARTNER",
              self->partner != NULL ? self->partner->name : NULL, NULL);
    (void)mailbox_post(self->services->notices,
                       notice_new(self, NOTICE_CLOSED)); /* see return_job */
    return NULL;
}

/* An order that came too late: its job goes back to the queue. */
static void discard_order(gpointer message)
{
    Order *order = message;

    if (order->job != NULL && order->connection != NULL)
        return_job(order->connection, g_steal_pointer(&order->job));
    order_free(order);
}

static Connection *connection_new(const ConnectionServices *services, Config *config,
                                  TlsContext *tls, const char *address)
{
    Connection *self = g_new0(Connection, 1);

    self->services = services;
    self->config = config_ref(config);
    self->tls = tls != NULL ? tls_context_ref(tls) : NULL;
    self->label = g_strdup_printf("c%u", atomic_fetch_add(&last_number, 1) + 1);
    self->address = g_strdup(address);
    self->session = g_strdup_printf("%013" G_GINT64_MODIFIER "x-%08x", clock_wall_us(),
                                    g_random_int()); /* in the order of time: cheap to index */
    self->fd = -1;
    atomic_init(&self->cut_fd, -1);
    self->orders = mailbox_new(discard_order);
    (void)mailbox_fd(self->orders); /* made before there are two threads */
    return self;
}

Connection *connection_start_outgoing(const ConnectionServices *services, Config *config,
                                      const Partner *partner, TlsContext *tls, Job *first)
{
    g_autofree char *address = g_strdup_printf("%s:%u", partner->address, partner->port);
    Connection *self = connection_new(services, config, tls, address);

    self->partner = partner;
    self->job = first;
    self->thread = g_thread_new(self->label, connection_main, self);
    return self;
}

Connection *connection_start_incoming(const ConnectionServices *services, Config *config, int fd,
                                      const char *address, const char *listener, TlsContext *tls)
{
    Connection *self = connection_new(services, config, tls, address);

    self->incoming = true;
    self->listener = g_strdup(listener);
    self->fd = fd;
    atomic_store(&self->cut_fd, fcntl(fd, F_DUPFD_CLOEXEC, 0));
    self->thread = g_thread_new(self->label, connection_main, self);
    return self;
}

void connection_order(Connection *self, Order *order)
{
    Channel *channel = atomic_load(&self->channel);

    order->connection = self;
    (void)mailbox_post(self->orders, order); /* closed: discard_order sends its job back */
    if (channel != NULL)
        atomic_store(&channel->attention, true);
}

void connection_cut(Connection *self)
{
    int fd = atomic_load(&self->cut_fd);

    if (fd >= 0)
        (void)shutdown(fd, SHUT_RDWR); /* it may be closed already */
}

void connection_free(Connection *self)
{
    int fd;

    if (self == NULL)
        return;
    (void)g_thread_join(self->thread); /* nothing is returned */
    channel_free(self->channel);
    fd = atomic_load(&self->cut_fd);
    fd_clear(&fd);
    mailbox_unref(self->orders);
    tls_context_unref(self->tls);
    config_unref(self->config);
    g_free(self->label);
    g_free(self->address);
    g_free(self->session);
    g_free(self->listener);
    g_free(self);
}

const char *connection_label(const Connection *self)
{
    return self->label;
}

const char *connection_address(const Connection *self)
{
    return self->address;
}

bool connection_is_incoming(const Connection *self)
{
    return self->incoming;
}
