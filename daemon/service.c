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
#include "base/metric.h"
#include "base/notify.h"
#include "base/secret.h"
#include "daemon/definitions.h"
#include "daemon/backup-job.h"
#include "daemon/certificates.h"
#include "daemon/entrances.h"
#include "daemon/expiry.h"
#include "daemon/gate.h"
#include "daemon/local/desk.h"
#include "daemon/probes.h"
#include "daemon/recovery.h"
#include "daemon/reseal.h"
#include "daemon/retention.h"
#include "daemon/running.h"
#include "daemon/scheduler.h"
#include "daemon/transfer/queue.h"
#include "daemon/watch.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DIAG_STOPPING PESIT_DIAG(3, 316) /* under a transfer: by administration */
#define CUT_AFTER_MS  3000

#define HEARTBEAT_MS 500
#define SETTLE_US    (2 * USEC_PER_SEC)

/* Comes from other threads: a question to the desk, the answer to a call of the door, or that an answer may leave. */
typedef struct {
    char *method;    /* NULL: no question */
    GVariant *value; /* NULL: the answer is there */
    char *actor, *origin, *correlation;
    Reply *reply;
    DoorCall *call;
} Errand;

struct Service {
    char *path;
    Config *config;
    Store *store;
    Definitions *definitions; /* partners and virtual files of the store */
    Spool *spool;
    Gate *gate;
    Mailbox *notices;
    guint notices_source;
    ConnectionServices services;
    Entrances *entrances;
    GPtrArray *connections; /* Connection *: those that called in */
    GHashTable *origins;    /* Connection * → id of the entrance by which it came */
    Running *incoming;      /* what they move */
    Queue *queue;
    GPtrArray *unsent; /* Transfer *, until the queue is given them */
    Desk *desk;
    Watch *watch;
    Retention *retention;
    Scheduler *scheduler;
    Expiry *expiry;
    BackupJob *backup; /* NULL: none is made */
    Probes *probes;
    GMainLoop *loop;
    int64_t started_us; /* wall */
    bool stopping;
    ServiceHooks hooks;
    Mailbox *errands;
    guint errands_source, heartbeat_source;
    _Atomic int64_t heartbeat_us;
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
    unsigned wait_ms = gate_reject(self->gate, connection_address(notice->connection),
                                   notice->path != NULL ? notice->path : "");

    if (wait_ms == 0)
        reply_post(notice->reply, GINT_TO_POINTER(VERDICT_YES));
    else
        g_timeout_add(wait_ms, on_penalty_over, reply_ref(notice->reply));
}

static void answer(const Notice *notice, Verdict verdict)
{
    reply_post(notice->reply, GINT_TO_POINTER(verdict));
}

static unsigned count_connections(const Service *self)
{
    return self->connections->len + queue_count_connections(self->queue, NULL);
}

static unsigned count_incoming(const char *partner, gpointer data)
{
    return gate_count_admitted(((const Service *)data)->gate, partner);
}

/* Who is refused for want of a place finds one the next time, if a connection of ours only waits for work. */
static Verdict admit(const Service *self, const Notice *notice)
{
    GateOutgoing outgoing = {queue_count_connections(self->queue, NULL),
                             queue_count_connections(self->queue, notice->partner)};
    Verdict verdict = self->stopping ? VERDICT_STOPPING
                                     : gate_admit(self->gate, self->config, notice->connection,
                                                  notice->partner, &outgoing);

    if (verdict == VERDICT_BUSY || verdict == VERDICT_FULL)
        queue_make_room(self->queue, verdict == VERDICT_BUSY ? notice->partner : NULL);
    return verdict;
}

static void close_connection(Service *self, Connection *connection)
{
    gate_remove(self->gate, connection);
    g_ptr_array_remove_fast(self->connections, connection);
    g_hash_table_remove(self->origins, connection);
    running_drop(self->incoming, connection);
    connection_free(connection);
    queue_take_room(self->queue);
}

static void count_end(const Transfer *transfer, Metric all, MetricPartner of_partner)
{
    metric_add(all, 1);
    metric_partner(transfer->partner, of_partner, 1);
}

static void count_change(const Transfer *transfer)
{
    bool in = transfer->direction == DIRECTION_FETCH || transfer->direction == DIRECTION_RECEIVE;

    if (transfer->state == TRANSFER_DONE) {
        count_end(transfer, METRIC_TRANSFERS_DONE, METRIC_PARTNER_DONE);
        metric_partner(transfer->partner, in ? METRIC_PARTNER_RECEIVED : METRIC_PARTNER_SENT,
                       transfer->size_bytes);
    } else if (transfer->state == TRANSFER_FAILED) {
        count_end(transfer, METRIC_TRANSFERS_FAILED, METRIC_PARTNER_FAILED);
    } else if (transfer->state == TRANSFER_CANCELLED) {
        count_end(transfer, METRIC_TRANSFERS_CANCELLED, METRIC_PARTNER_CANCELLED);
    } else if (transfer->state == TRANSFER_WAITING) {
        count_end(transfer, METRIC_TRANSFERS_RETRIED, METRIC_PARTNER_RETRIED);
    }
}

static void tell(const Transfer *transfer, gpointer data)
{
    const Service *self = data;

    if (self->hooks.on_change != NULL)
        self->hooks.on_change(transfer, true, self->hooks.data);
    scheduler_take_change(self->scheduler, transfer);
}

/* An offer: the transfer that serves it is what is counted. */
static void on_offer_change(const Transfer *transfer, gpointer data)
{
    const Service *self = data;
    char id[LOG_NUMBER_BYTES], bytes[LOG_NUMBER_BYTES];

    if (transfer->state != TRANSFER_DONE) /* which the line of the one that served it says */
        log_event(transfer->state == TRANSFER_QUEUED ? LOG_TRANSFER_QUEUED : LOG_TRANSFER_CANCELLED,
                  "TRANSFER", log_number(id, transfer->id), "PARTNER", transfer->partner,
                  "DIRECTION", transfer_direction_name(transfer->direction), "PATH", transfer->path,
                  "BYTES", log_number(bytes, (int64_t)transfer->size_bytes), NULL);
    tell(transfer, data);
    desk_take_change(self->desk, transfer);
}

static void on_offer_marked(StoreResult *result, gpointer data)
{
    if (result->error == NULL)
        on_offer_change(result->transfer, data);
    else if (result->error->code != BASE_ERROR_CONFLICT)
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
                     store_request_set_patient(store_request_update(
                             result->transfer, 1u << TRANSFER_QUEUED, NULL, 0)),
                     on_offer_marked, self);
    }
    if (result->error == NULL)
        desk_take_change(self->desk, result->transfer);
    store_result_free(result);
}

/* A small file has no row before it ends. */
static void take_incoming(Service *self, const Notice *notice)
{
    const Transfer *transfer = notice->transfer;

    running_take(self->incoming, notice);
    if (notice->progress == NULL || transfer->id != 0)
        tell(transfer, self);
    if (notice->progress != NULL)
        return;
    count_change(transfer);
    if (transfer->direction != DIRECTION_SERVE)
        desk_take_change(self->desk, transfer);
    else if (transfer->state == TRANSFER_DONE)
        store_submit(self->store, store_request_set_patient(store_request_get(transfer->offer_id)),
                     on_offer_found, self);
}

static void quit_when_empty(Service *self)
{
    if (self->stopping && count_connections(self) == 0)
        g_main_loop_quit(self->loop);
}

static void on_notice(gpointer message, gpointer data)
{
    Notice *notice = message;
    Service *self = data;

    if (queue_take_notice(self->queue, notice)) {
        notice_free(notice);
        quit_when_empty(self);
        return;
    }
    switch (notice->kind) {
    case NOTICE_ADMIT:
        answer(notice, admit(self, notice));
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
    quit_when_empty(self);
}

/* calls */

/* Who says nothing may not keep out who comes: the oldest goes. */
static void make_room(Service *self, const char *address)
{
    Connection *oldest;

    while ((oldest = gate_make_room(self->gate, self->config, address)) != NULL) {
        log_event(LOG_CONNECTION_REFUSED, "CONNECTION", connection_label(oldest), "ADDRESS",
                  connection_address(oldest), "REASON",
                  "the oldest of too many connections before CONNECT", NULL);
        connection_cut(oldest);
    }
}

static unsigned count_by_entrance(const char *id, gpointer data)
{
    const Service *self = data;
    GHashTableIter iterator;
    gpointer origin;
    unsigned count = 0;

    g_hash_table_iter_init(&iterator, self->origins);
    while (g_hash_table_iter_next(&iterator, NULL, &origin))
        count += strcmp(origin, id) == 0 ? 1 : 0;
    return count;
}

/* Why nobody else is let in by an entrance, NULL: he is. */
static const char *find_refusal(Service *self, const char *address, const EntranceInfo *entrance)
{
    if (self->stopping)
        return "stopping";
    if (entrance->max_connections != 0 &&
        count_by_entrance(entrance->id, self) >= entrance->max_connections)
        return "too many connections by this listener";
    return gate_enter(self->gate, self->config, address) ? NULL
                                                         : "too many connections before CONNECT";
}

static void on_accept(int fd, const char *address, const EntranceInfo *entrance, gpointer data)
{
    Service *self = data;
    const char *refusal = find_refusal(self, address, entrance);
    Connection *connection;

    if (refusal != NULL) {
        log_event(LOG_CONNECTION_REFUSED, "ADDRESS", address, "REASON", refusal, NULL);
        fd_clear(&fd);
        return;
    }
    make_room(self, address);
    connection = connection_start_incoming(&self->services, self->config, fd, address, entrance->id,
                                           entrance->tls);
    gate_add(self->gate, connection, address);
    g_ptr_array_add(self->connections, connection);
    g_hash_table_insert(self->origins, connection, g_strdup(entrance->id));
}

/* signals */

static gboolean on_cut(gpointer data)
{
    Service *self = data;

    for (guint i = 0; i < self->connections->len; i++)
        connection_cut(g_ptr_array_index(self->connections, i));
    queue_cut(self->queue);
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
    queue_abort(self->queue, DIAG_STOPPING);
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
    notify_manager("STOPPING=1");
    entrances_leave(self->entrances);
    for (guint i = 0; i < self->connections->len; i++)
        connection_order(g_ptr_array_index(self->connections, i), order_new(ORDER_FINISH));
    queue_finish(self->queue);
    if (count_connections(self) == 0)
        g_main_loop_quit(self->loop);
    else
        g_timeout_add(self->config->drain_ms, on_drained, self);
    return G_SOURCE_CONTINUE;
}

/* reload */

static void watch_tls(Service *self, const TlsSettings *settings)
{
    watch_add(self->watch, settings->certificate);
    watch_add(self->watch, settings->key);
    watch_add(self->watch, settings->authorities);
}

static void watch_files(Service *self)
{
    watch_clear(self->watch);
    watch_add(self->watch, self->path);
    for (guint i = 0; i < self->config->listeners->len; i++)
        watch_tls(self,
                  &((const ListenerConfig *)g_ptr_array_index(self->config->listeners, i))->tls);
    for (guint i = 0; i < self->config->admin_listeners->len; i++) {
        const AdminListener *admin = g_ptr_array_index(self->config->admin_listeners, i);

        watch_tls(self, &admin->listener.tls);
    }
    for (guint i = 0; i < self->config->partners->len; i++)
        watch_tls(self, &((const Partner *)g_ptr_array_index(self->config->partners, i))->tls);
    for (guint i = 0; i < self->config->files->len; i++)
        watch_add(self->watch, g_ptr_array_index(self->config->files, i));
}

/* What is open goes on as it began; partners, virtual files, listeners and certificates count for what comes. */
/* Of the store's user; NULL: none is configured. Returns new, for secret_free_text. */
static char *dup_password(const Config *config)
{
    size_t length = 0;
    const char *secret =
            config->store_password != NULL ? secret_get(config->store_password, &length) : NULL;

    return secret != NULL ? g_strndup(secret, length) : NULL;
}

/* The connection stays; the next one shows it. */
static void renew_password(const Service *self, const Config *loaded)
{
    char *password;

    if (loaded->store_backend != STORE_POSTGRES ||
        secret_is_same(loaded->store_password, self->config->store_password))
        return;
    password = dup_password(loaded);
    store_set_password(self->store, password != NULL ? password : "");
    secret_free_text(password);
}

static bool reload(gpointer data, GError **error)
{
    Service *self = data;
    Config *loaded = definitions_load_again(self->definitions, self->config, error);

    if (loaded == NULL ||
        (self->hooks.renew != NULL && !self->hooks.renew(error, self->hooks.data)) ||
        !entrances_apply(self->entrances, loaded, error)) {
        config_unref(loaded);
        return false;
    }
    renew_password(self, loaded);
    config_unref(self->config);
    self->config = loaded;
    log_configure(loaded->log_level, loaded->log_format);
    queue_set_config(self->queue, loaded);
    desk_set_config(self->desk, loaded);
    retention_set_config(self->retention, loaded);
    expiry_set_config(self->expiry, loaded);
    watch_files(self);
    if (self->hooks.reloaded != NULL)
        self->hooks.reloaded(loaded, self->hooks.data);
    log_event(LOG_CONFIG_LOADED, "PATH", self->path, NULL);
    if (loaded->restart_keys != NULL)
        log_event(LOG_CONFIG_NEEDS_RESTART, "KEYS", loaded->restart_keys, NULL);
    return true;
}

static void reload_by_itself(gpointer data)
{
    g_autoptr(GError) error = NULL;

    if (!reload(data, &error))
        log_event(LOG_CONFIG_REFUSED, "REASON", error->message, NULL);
}

static gboolean on_hang_up(gpointer data)
{
    reload_by_itself(data);
    return G_SOURCE_CONTINUE;
}

/* status */

static void cancel_incoming(int64_t id, gpointer data)
{
    Service *self = data;

    for (guint i = 0; i < self->connections->len; i++) {
        Order *order = order_new(ORDER_CANCEL);

        order->id = id;
        connection_order(g_ptr_array_index(self->connections, i), order);
    }
}

static bool find_incoming(int64_t id, uint64_t *ret_bytes, gpointer data)
{
    return running_find(((const Service *)data)->incoming, id, ret_bytes);
}

void service_each_running(const Service *self, QueueVisitor visit, gpointer data)
{
    queue_each_running(self->queue, visit, data);
    running_each(self->incoming, visit, data);
}

static void describe(GVariantDict *status, gpointer data)
{
    const Service *self = data;
    QueueCounts counts = queue_count(self->queue);
    GVariantBuilder listeners;

    g_variant_builder_init(&listeners, G_VARIANT_TYPE("aa{sv}"));
    entrances_describe(self->entrances, count_by_entrance, (gpointer)(uintptr_t)self, &listeners);
    definitions_describe_listeners(self->definitions, &listeners);
    g_variant_dict_insert(status, "state", "s", self->stopping ? "stopping" : "running");
    g_variant_dict_insert(status, "version", "s", PESITFS_VERSION);
    g_variant_dict_insert(status, "node", "s",
                          self->config->node_name != NULL ? self->config->node_name : "");
    g_variant_dict_insert(status, "owner", "s",
                          self->config->store_owner != NULL ? self->config->store_owner : "");
    g_variant_dict_insert(status, "pid", "u", (guint32)getpid());
    g_variant_dict_insert(status, "started_us", "x", self->started_us);
    g_variant_dict_insert(status, "config", "s", self->path);
    g_variant_dict_insert(status, "needs_restart", "s",
                          self->config->restart_keys != NULL ? self->config->restart_keys : "");
    g_variant_dict_insert(status, "connections", "u", (guint32)count_connections(self));
    g_variant_dict_insert(status, "queued", "u", (guint32)counts.queued);
    g_variant_dict_insert(status, "running", "u",
                          (guint32)(counts.running + running_count(self->incoming)));
    g_variant_dict_insert(status, "waiting", "u", (guint32)counts.waiting);
    g_variant_dict_insert_value(status, "listeners", g_variant_builder_end(&listeners));
}

/* life */

static void on_queue_change(const Transfer *transfer, gpointer data)
{
    const Service *self = data;

    count_change(transfer);
    if (transfer->diag_code != 0 &&
        (transfer->state == TRANSFER_WAITING || transfer->state == TRANSFER_FAILED))
        metric_refusal(transfer->diag_type, transfer->diag_code);
    tell(transfer, data);
    desk_take_change(self->desk, transfer);
}

static void on_removed(const GPtrArray *transfers, gpointer data)
{
    const Service *self = data;

    if (self->hooks.on_removed != NULL)
        self->hooks.on_removed(transfers, self->hooks.data);
}

/* errands of other threads */

static void errand_free(gpointer message)
{
    Errand *errand = message;

    g_free(errand->method);
    g_free(errand->actor);
    g_free(errand->origin);
    g_free(errand->correlation);
    if (errand->value != NULL)
        g_variant_unref(errand->value);
    reply_unref(errand->reply);
    g_free(errand);
}

static void on_errand(gpointer message, gpointer data)
{
    Service *self = data;
    Errand *errand = message;

    const DoorCaller caller = {errand->actor, errand->origin, errand->correlation};

    if (errand->method != NULL)
        desk_ask(self->desk, errand->method, errand->value, errand->actor != NULL ? &caller : NULL,
                 errand->reply);
    else if (errand->value != NULL)
        door_call_return(errand->call, errand->value, NULL, 0);
    else
        door_call_complete(errand->call);
    errand_free(errand);
}

bool service_ask(Service *self, const char *method, GVariant *parameters, const DoorCaller *caller,
                 Reply *reply)
{
    Errand *errand = g_new0(Errand, 1);

    errand->actor = caller != NULL ? g_strdup(caller->actor) : NULL;
    errand->origin = caller != NULL ? g_strdup(caller->origin) : NULL;
    errand->correlation = caller != NULL ? g_strdup(caller->correlation) : NULL;
    errand->method = g_strdup(method);
    errand->value = g_variant_ref_sink(parameters);
    errand->reply = reply_ref(reply);
    return mailbox_post(self->errands, errand);
}

void service_return(Service *self, DoorCall *call, GVariant *value)
{
    Errand *errand = g_new0(Errand, 1);

    errand->call = call;
    errand->value = g_variant_ref_sink(value);
    (void)mailbox_post(self->errands, errand); /* closed only when the door is */
}

void service_complete(Service *self, DoorCall *call)
{
    Errand *errand = g_new0(Errand, 1);

    errand->call = call;
    (void)mailbox_post(self->errands, errand); /* same */
}

static void administer(DoorCall *call, GVariant *parameters, gpointer data)
{
    Service *self = data;
    g_autoptr(GError) error = NULL;

    if (self->hooks.administer != NULL && !self->stopping) {
        self->hooks.administer(call, parameters, self->hooks.data);
        return;
    }
    error = g_error_new(BASE_ERROR, BASE_ERROR_BUSY, "the daemon is starting or stopping");
    door_call_fail(call, error);
}

static void on_backup_end(gpointer data)
{
    ((Service *)data)->backup = NULL;
}

static void describe_seals(DoorCall *call, gpointer data)
{
    const Service *self = data;

    door_call_return(call, reseal_describe(self->path, self->config), NULL, 0);
}

static void reseal_store(DoorCall *call, gpointer data)
{
    const Service *self = data;

    reseal_begin(self->config, self->store, call);
}

static void back_up(DoorCall *call, gpointer data)
{
    Service *self = data;
    g_autoptr(GError) error = NULL;

    if (self->backup != NULL || self->stopping)
        error = g_error_new(BASE_ERROR, BASE_ERROR_BUSY, "%s",
                            self->stopping ? "the daemon stops" : "a backup is being made");
    if (error != NULL)
        door_call_fail(call, error);
    else
        self->backup =
                backup_job_new(self->path, self->config, self->store, call, on_backup_end, self);
}

static void describe_definitions(DoorCall *call, GVariant *parameters, gpointer data)
{
    definitions_describe(((Service *)data)->definitions, call, parameters);
}

static void define(DoorCall *call, GVariant *parameters, gpointer data)
{
    definitions_define(((Service *)data)->definitions, call, parameters);
}

static void undefine(DoorCall *call, GVariant *parameters, gpointer data)
{
    definitions_undefine(((Service *)data)->definitions, call, parameters);
}

static void describe_certificates(DoorCall *call, GVariant *parameters, gpointer data)
{
    const Service *self = data;

    certificates_describe(self->config, self->definitions, call, parameters);
}

static void describe_expiries(DoorCall *call, gpointer data)
{
    const Service *self = data;

    door_call_return(call, g_variant_new("(@a(sx))", expiry_describe(self->expiry)), NULL, 0);
}

static void sign_certificate(DoorCall *call, GVariant *parameters, gpointer data)
{
    certificates_sign(((const Service *)data)->config, call, parameters);
}

static void clean(int64_t before_us, gpointer data)
{
    retention_clean(((Service *)data)->retention, before_us);
}

static void test_partner(DoorCall *call, GVariant *parameters, gpointer data)
{
    Service *self = data;

    probes_test(self->probes, self->config, call, parameters);
}

static bool listen_or_not(const char *id, bool start, GError **error, gpointer data)
{
    const Service *self = data;

    return start ? entrances_start(self->entrances, id, error)
                 : entrances_stop(self->entrances, id, error);
}

static void on_tested(DoorCall *call, GVariant *value, gpointer data)
{
    service_return(data, call, value);
}

static gboolean on_heartbeat(gpointer data)
{
    Service *self = data;

    atomic_store(&self->heartbeat_us, clock_now_us());
    return G_SOURCE_CONTINUE;
}

int64_t service_heartbeat_us(const Service *self)
{
    return atomic_load(&self->heartbeat_us);
}

void service_set_hooks(Service *self, const ServiceHooks *hooks)
{
    self->hooks = *hooks;
    desk_set_auditor(self->desk, hooks->audit, hooks->data);
    if (hooks->attend != NULL)
        scheduler_start(self->scheduler);
}

static bool attend(const char *schedule_id, gpointer data)
{
    const Service *self = data;

    return self->hooks.attend != NULL && !self->stopping &&
           self->hooks.attend(schedule_id, self->hooks.data);
}

void service_take_schedule_back(Service *self, const char *id, bool moved)
{
    scheduler_take_back(self->scheduler, id, moved);
}

Store *service_store(Service *self)
{
    return self->store;
}

Config *service_config(const Service *self)
{
    return self->config;
}

static Store *open_store(const Config *config, GError **error)
{
    StoreSettings settings = {.path = config->store_path,
                              .schema = config->store_schema,
                              .owner = config->store_owner,
                              .wait_ms = config->store_wait_ms};
    char *password = dup_password(config);
    Store *store;

    if (config->store_backend == STORE_POSTGRES)
        settings.conninfo = config->store_conninfo != NULL ? config->store_conninfo : "";
    settings.password = password;
    store = store_open(&settings, error);
    secret_free_text(password);
    return store;
}

static const Config *config_now(gpointer data)
{
    return ((const Service *)data)->config;
}

/* At the start: the file has been read before there was a store. */
static bool add_definitions(Service *self, GError **error)
{
    const DefinitionsHost host = {self->path, config_now, reload, self};
    Config *loaded;

    self->definitions = definitions_open(self->store, &host, error);
    if (self->definitions == NULL)
        return false;
    if (definitions_are_none(self->definitions) && !self->config->needs_store)
        return true;
    loaded = definitions_load(self->definitions, error);
    if (loaded == NULL)
        return false;
    config_unref(self->config);
    self->config = loaded;
    return true;
}

static void on_other_transfer(StoreResult *result, gpointer data)
{
    const Service *self = data;

    if (result->error == NULL) {
        desk_take_change(self->desk, result->transfer);
        scheduler_take_change(self->scheduler, result->transfer);
        if (self->hooks.on_change != NULL)
            self->hooks.on_change(result->transfer, false, self->hooks.data);
    }
    store_result_free(result); /* not found: gone meanwhile */
}

static void on_inquiry(StoreResult *result, gpointer data)
{
    const Service *self = data;

    if (result->error == NULL && !desk_hear(self->desk, result->inquiry) &&
        self->hooks.inquire != NULL)
        self->hooks.inquire(result->inquiry, self->hooks.data);
    store_result_free(result); /* an error: another took it, or who asks will ask again */
}

/* What an earlier one changed, in whichever daemon, is in force before this one is answered. */
static void take_inquiry(Service *self, const char *id)
{
    if (self->hooks.inquire == NULL || self->stopping)
        return;
    definitions_refresh(self->definitions);
    store_submit(self->store, store_request_take_inquiry(id), on_inquiry, self);
}

void service_answer(Service *self, const char *inquiry_id, unsigned status, const char *answer)
{
    store_post(self->store, store_request_answer_inquiry(inquiry_id, status, answer));
}

/* Another daemon on the schema, or the database itself. */
static void on_store_news(StoreNews news, const char *table, const char *text, gpointer data)
{
    Service *self = data;

    switch (news) {
    case STORE_LOST:
        log_event(LOG_STORE_LOST, "REASON", text, NULL);
        break;
    case STORE_FULL:
        log_event(LOG_STORE_FULL, "REASON", text, NULL);
        break;
    case STORE_BACK:
        log_event(LOG_STORE_BACK, NULL);
        definitions_refresh(self->definitions);
        scheduler_refresh(self->scheduler);
        break;
    case STORE_CHANGED:
        if (strcmp(table, "transfer_history") == 0)
            store_submit(self->store, store_request_get(g_ascii_strtoll(text, NULL, 10)),
                         on_other_transfer, self);
        else if (strcmp(table, "partners") == 0 || strcmp(table, "virtual_files") == 0 ||
                 strcmp(table, "pesitwizard_server_configs") == 0 ||
                 strcmp(table, "certificate_stores") == 0)
            definitions_refresh(self->definitions);
        else if (strcmp(table, "schedules") == 0)
            scheduler_refresh(self->scheduler);
        else if (strcmp(table, "inquiries") == 0)
            take_inquiry(self, text);
        break;
    }
}

static bool open_parts(Service *self, GError **error)
{
    const DeskHost host = {.reload = reload,
                           .describe = describe,
                           .cancel_incoming = cancel_incoming,
                           .find_incoming = find_incoming,
                           .take_change = on_offer_change,
                           .administer = administer,
                           .backup = back_up,
                           .describe_seals = describe_seals,
                           .reseal = reseal_store,
                           .describe_definitions = describe_definitions,
                           .define = define,
                           .undefine = undefine,
                           .clean = clean,
                           .describe_certificates = describe_certificates,
                           .sign = sign_certificate,
                           .describe_expiries = describe_expiries,
                           .test_partner = test_partner,
                           .listen = listen_or_not,
                           .data = self};
    const Config *config = self->config;

    self->spool =
            spool_open(config->spool_path, config->inbox_path, config->spool_reserve_bytes, error);
    if (self->spool == NULL)
        return false;
    self->store = open_store(config, error);
    if (self->store == NULL || !add_definitions(self, error))
        return false;
    self->scheduler = scheduler_new(self->store, attend, self, error);
    if (self->scheduler == NULL)
        return false;
    config = self->config;
    self->unsent = recovery_run(config, self->store, self->spool, error);
    if (self->unsent == NULL)
        return false;
    self->probes = probes_new(on_tested, self);
    self->errands_source = mailbox_attach(self->errands, NULL, on_errand, self);
    self->heartbeat_source = g_timeout_add(HEARTBEAT_MS, on_heartbeat, self);
    self->notices_source = mailbox_attach(self->notices, NULL, on_notice, self);
    self->services = (ConnectionServices){self->store, self->spool, self->notices};
    self->queue = queue_new(&self->services, self->config, on_queue_change, self);
    queue_set_step(self->queue, tell);
    queue_set_counter(self->queue, count_incoming, self);
    self->desk = desk_open(&self->services, self->config, self->queue, &host, error);
    self->watch = self->desk != NULL ? watch_new(reload_by_itself, self, error) : NULL;
    if (self->watch == NULL)
        return false;
    watch_files(self);
    store_watch(self->store, on_store_news, self);
    self->expiry = expiry_new(self->config);
    self->retention = retention_new(self->store, self->spool, self->config);
    retention_set_observer(self->retention, on_removed, self);
    return entrances_apply(self->entrances, self->config, error);
}

static void free_notice(gpointer message)
{
    notice_free(message);
}

Service *service_start(const char *path, Config *config, Handed *handed, GError **error)
{
    Service *self = g_new0(Service, 1);

    self->path = g_strdup(path);
    self->started_us = clock_wall_us();
    self->config = config;
    self->gate = gate_new();
    self->notices = mailbox_new(free_notice);
    self->errands = mailbox_new(errand_free);
    atomic_init(&self->heartbeat_us, clock_now_us());
    self->entrances = entrances_new(handed, on_accept, self);
    self->connections = g_ptr_array_new();
    self->incoming = running_new();
    self->origins = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    self->loop = g_main_loop_new(NULL, FALSE);
    if (!open_parts(self, error)) {
        service_stop(self);
        return NULL;
    }
    g_unix_signal_add(SIGTERM, on_terminate, self);
    g_unix_signal_add(SIGINT, on_terminate, self);
    g_unix_signal_add(SIGHUP, on_hang_up, self);
    return self;
}

void service_resume(Service *self)
{
    for (guint i = 0; i < self->unsent->len; i++)
        queue_add(self->queue, g_steal_pointer(&self->unsent->pdata[i]));
    g_clear_pointer(&self->unsent, g_ptr_array_unref);
    atomic_store(&self->heartbeat_us, clock_now_us()); /* many take their time */
}

bool service_tell_ready(Service *self, int ready_fd, GError **error)
{
    if (ready_fd >= 0 && write(ready_fd, "READY\n", 6) != 6) {
        error_set_errno(error, errno, "tell readiness");
        return false;
    }
    notify_manager("READY=1");
    log_event(LOG_STARTED, "NODE", self->config->node_name, "VERSION", PESITFS_VERSION, NULL);
    return true;
}

void service_run(Service *self)
{
    g_main_loop_run(self->loop);
}

/* What was asked of the store is answered while those who asked are still there. A database that is away is not
 * waited for. */
static void settle_store(Service *self)
{
    g_autoptr(Reply) reply = store_begin(self->store, store_request_tally(1, 1));
    gpointer value = NULL;

    self->stopping = true; /* nobody is let in any more */
    if (reply_wait(reply, clock_now_us() + SETTLE_US, &value))
        store_result_free(value);
    while (g_main_context_iteration(NULL, FALSE))
        continue;
}

void service_stop(Service *self)
{
    if (self == NULL)
        return;
    probes_free(self->probes);
    backup_job_free(self->backup);
    if (self->desk != NULL)
        settle_store(self);
    entrances_free(self->entrances);
    watch_free(self->watch);
    retention_free(self->retention);
    scheduler_free(self->scheduler);
    expiry_free(self->expiry);
    definitions_close(self->definitions);
    desk_close(self->desk);
    if (self->errands_source != 0) {
        g_source_remove(self->errands_source);
        g_source_remove(self->heartbeat_source);
    }
    mailbox_close(self->errands);
    mailbox_unref(self->errands);
    if (self->notices_source != 0)
        g_source_remove(self->notices_source);
    mailbox_close(self->notices);
    mailbox_unref(self->notices);
    store_close(self->store);
    queue_free(self->queue);
    if (self->unsent != NULL)
        g_ptr_array_unref(self->unsent);
    spool_close(self->spool);
    gate_free(self->gate);
    g_ptr_array_unref(self->connections);
    running_free(self->incoming);
    g_hash_table_unref(self->origins);
    g_main_loop_unref(self->loop);
    config_unref(self->config);
    g_free(self->path);
    g_free(self);
    log_event(LOG_STOPPED, NULL);
}
