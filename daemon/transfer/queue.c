/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gives waiting transfers to connections, in order of their priority, then of their numbers, as many
 * connections per partner as it allows; decides after each attempt whether there is another. procedures §9.10.
 * Who is disabled, or outside its hours, is waited for. Main loop only.
 */
#include "daemon/transfer/queue.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define UNFINISHED     (1u << TRANSFER_QUEUED | 1u << TRANSFER_RUNNING | 1u << TRANSFER_WAITING)
#define USEC_PER_MSEC  1000
#define PRIORITY_FIRST 0 /* PI 17 */
#define FOR_EVER_S     UINT32_MAX
#define ALARM_MAX_MS   86400000
#define LOOK_AGAIN_S   600 /* the clock may be set while we wait for an hour of the day */

/* Place of an entry among those that a connection may take. */
typedef struct {
    const char *partner; /* the entry's */
    uint8_t priority;
    int64_t id;
} Turn;

/* When it is tried again. */
typedef struct {
    int64_t at_us; /* monotonic; 0: not by the clock */
    int64_t id;
} Due;

typedef struct {
    Queue *queue;
    Transfer *transfer;
    char *key;          /* in by_path */
    Progress *progress; /* while a connection has it, else NULL */
    bool cancelling;
    bool ready; /* it has a turn */
    Turn turn;
    bool holding;     /* by order, once this attempt has ended */
    bool held;        /* until its partner may be called: its error says why */
    bool barred;      /* its virtual file is disabled */
    uint8_t priority; /* of its virtual file: 0 before 1 before 2 */
    Due due;          /* in due, unless 0 */
} Entry;

/* A connection of ours. */
typedef struct {
    Connection *connection;
    char *partner;
    int64_t id; /* of the transfer it does, 0: idle */
    bool leaving;
} Link;

struct Queue {
    const ConnectionServices *services;
    Config *config;
    QueueCallback on_change, on_step;
    gpointer data;
    GTree *entries; /* id → Entry, in order */
    GTree *ready;   /* Turn → Entry: those that a connection may take */
    GTree *due;     /* Due → Entry, in order: one alarm for all, however many wait */
    guint alarm;    /* source, 0 none */
    int64_t alarm_us;
    GHashTable *by_path; /* "PARTNER/path" → Entry, the newest */
    GPtrArray *links;
    GHashTable *tls; /* partner's name → TlsContext, of this configuration */
    guint opening;   /* source: when the next partner's hours begin; 0 none */
    int64_t opening_s;
    QueueCounter count_incoming; /* NULL: nobody calls in */
    gpointer counter_data;
    bool crowded;           /* something waits until a partner that called in leaves */
    GHashTable *recordings; /* Recording *: those that the store has not answered yet */
    bool finishing;
};

static void pump(Queue *self, const char *partner);
static void pump_for(Entry *entry);
static void set_alarm(Queue *self);

/* entries and links */

static int compare_ids(gconstpointer a, gconstpointer b, gpointer data)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

    (void)data;
    return left < right ? -1 : left > right;
}

static int compare_turns(gconstpointer a, gconstpointer b, gpointer data)
{
    const Turn *left = a, *right = b;
    int order = strcmp(left->partner, right->partner);

    if (order == 0)
        order = (int)left->priority - (int)right->priority;
    return order != 0 ? order : compare_ids(&left->id, &right->id, data);
}

static int compare_dues(gconstpointer a, gconstpointer b, gpointer data)
{
    const Due *left = a, *right = b;
    int order = compare_ids(&left->at_us, &right->at_us, data);

    return order != 0 ? order : compare_ids(&left->id, &right->id, data);
}

static void clear_due(Entry *entry)
{
    if (entry->due.at_us != 0)
        g_tree_remove(entry->queue->due, &entry->due);
    entry->due.at_us = 0;
}

static void set_due(Entry *entry, uint32_t delay_s)
{
    clear_due(entry);
    entry->due = (Due){clock_now_us() + (int64_t)delay_s * USEC_PER_SEC, entry->transfer->id};
    g_tree_insert(entry->queue->due, &entry->due, entry);
    set_alarm(entry->queue);
}

static bool is_waiting_for_turn(const Entry *entry)
{
    return entry->transfer->state == TRANSFER_QUEUED && entry->progress == NULL;
}

/* Puts it among those that a connection may take, or takes it out; whenever what decides that has changed. */
static void place(Entry *entry)
{
    const Transfer *transfer = entry->transfer;
    bool ready = is_waiting_for_turn(entry) && !entry->barred;

    if (entry->ready)
        g_tree_remove(entry->queue->ready, &entry->turn);
    entry->ready = ready;
    if (!ready)
        return;
    entry->turn = (Turn){transfer->partner, entry->priority, transfer->id};
    g_tree_insert(entry->queue->ready, &entry->turn, entry);
}

static GTreeNode *find_first_ready(const Queue *self, const char *partner)
{
    Turn before_all = {partner, PRIORITY_FIRST, INT64_MIN};

    return g_tree_lower_bound(self->ready, &before_all);
}

/* From one of a partner's to its next: NULL behind the last. */
static Entry *get_entry_of(GTreeNode *node, const char *partner)
{
    Entry *entry = node != NULL ? g_tree_node_value(node) : NULL;

    return entry != NULL && strcmp(entry->transfer->partner, partner) == 0 ? entry : NULL;
}

static char *path_key(const char *partner, const char *path)
{
    return g_strconcat(partner, "/", path, NULL);
}

static void entry_free(gpointer data)
{
    Entry *entry = data;

    if (g_hash_table_lookup(entry->queue->by_path, entry->key) == entry)
        g_hash_table_remove(entry->queue->by_path, entry->key);
    g_free(entry->key);
    if (entry->ready)
        g_tree_remove(entry->queue->ready, &entry->turn);
    clear_due(entry);
    transfer_free(entry->transfer);
    progress_unref(entry->progress);
    g_free(entry);
}

static void link_free(gpointer data)
{
    Link *link = data;

    g_free(link->partner);
    g_free(link);
}

static void unref_tls(gpointer data)
{
    tls_context_unref(data);
}

typedef struct {
    Queue *queue;
    Transfer *transfer; /* as it was to be stored */
} Recording;

static void recording_free(gpointer data)
{
    Recording *recording = data;

    transfer_free(recording->transfer);
    g_free(recording);
}

Queue *queue_new(const ConnectionServices *services, Config *config, QueueCallback on_change,
                 gpointer data)
{
    Queue *self = g_new0(Queue, 1);

    self->services = services;
    self->config = config_ref(config);
    self->on_change = on_change;
    self->data = data;
    self->recordings = g_hash_table_new_full(NULL, NULL, recording_free, NULL);
    self->entries = g_tree_new_full(compare_ids, NULL, g_free, entry_free);
    self->by_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->ready = g_tree_new_full(compare_turns, NULL, NULL, NULL);
    self->due = g_tree_new_full(compare_dues, NULL, NULL, NULL);
    self->links = g_ptr_array_new_with_free_func(link_free);
    self->tls = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, unref_tls);
    return self;
}

void queue_free(Queue *self)
{
    if (self == NULL)
        return;
    if (self->opening != 0)
        g_source_remove(self->opening);
    if (self->alarm != 0)
        g_source_remove(self->alarm);
    g_tree_unref(self->entries);
    g_tree_unref(self->ready);
    g_tree_unref(self->due);
    g_hash_table_unref(self->by_path);
    g_hash_table_unref(self->recordings);
    g_ptr_array_unref(self->links);
    g_hash_table_unref(self->tls);
    config_unref(self->config);
    g_free(self);
}

static Link *find_link(const Queue *self, const Connection *connection)
{
    for (guint i = 0; i < self->links->len; i++) {
        Link *link = g_ptr_array_index(self->links, i);

        if (link->connection == connection)
            return link;
    }
    return NULL;
}

static Entry *find_entry(const Queue *self, int64_t id)
{
    return g_tree_lookup(self->entries, &id);
}

/* the store */

static void on_recorded(StoreResult *result, gpointer data)
{
    Recording *recording = data;
    char id[LOG_NUMBER_BYTES];

    if (result->error != NULL)
        log_event(LOG_STORE_FAILED, "TRANSFER", log_number(id, recording->transfer->id), "REASON",
                  result->error->message, NULL);
    recording->queue->on_change(recording->transfer, recording->queue->data);
    g_hash_table_remove(recording->queue->recordings, recording);
    store_result_free(result);
}

static void record(Queue *self, const Transfer *transfer)
{
    Recording *recording = g_new0(Recording, 1);

    recording->queue = self;
    recording->transfer = transfer_copy(transfer);
    g_hash_table_add(self->recordings, recording);
    store_submit(self->services->store,
                 store_request_set_patient(store_request_update(transfer, UNFINISHED, NULL, 0)),
                 on_recorded, recording);
}

static void tell_step(const Queue *self, const Transfer *transfer)
{
    if (self->on_step != NULL)
        self->on_step(transfer, self->data);
}

static void log_transfer(LogEvent event, const Transfer *transfer)
{
    char id[24], bytes[24], attempts[12], diag[12];

    (void)snprintf(id, sizeof id, "%" G_GINT64_FORMAT, transfer->id);                /* fits */
    (void)snprintf(bytes, sizeof bytes, "%" G_GUINT64_FORMAT, transfer->size_bytes); /* fits */
    (void)snprintf(attempts, sizeof attempts, "%u", transfer->attempts);             /* fits */
    (void)snprintf(diag, sizeof diag, "%u-%03u", transfer->diag_type,
                   transfer->diag_code); /* fits */
    log_event(event, "TRANSFER", id, "PARTNER", transfer->partner, "DIRECTION",
              transfer_direction_name(transfer->direction), "PATH", transfer->path, "BYTES", bytes,
              "ATTEMPTS", attempts, "DIAG", transfer->diag_code != 0 ? diag : NULL, "REASON",
              transfer->error, NULL);
}

/* ends of attempts */

static void finish(Queue *self, Entry *entry, TransferState state)
{
    Transfer *transfer = entry->transfer;
    LogEvent event = state == TRANSFER_DONE        ? LOG_TRANSFER_DONE
                     : state == TRANSFER_CANCELLED ? LOG_TRANSFER_CANCELLED
                                                   : LOG_TRANSFER_FAILED;

    transfer->state = state;
    transfer->finished_us = clock_wall_us();
    transfer->next_retry_us = 0;
    log_transfer(event, transfer);
    record(self, transfer);
    g_tree_remove(self->entries, &transfer->id);
}

static void try_now(Entry *entry)
{
    clear_due(entry);
    entry->transfer->state = TRANSFER_QUEUED;
    entry->transfer->next_retry_us = 0;
    place(entry);
    tell_step(entry->queue, entry->transfer);
    pump_for(entry);
}

static gboolean on_alarm(gpointer data)
{
    Queue *self = data;
    int64_t now_us = clock_now_us();
    GTreeNode *first;

    self->alarm = 0;
    while ((first = g_tree_node_first(self->due)) != NULL &&
           ((const Due *)g_tree_node_key(first))->at_us <= now_us)
        try_now(g_tree_node_value(first));
    set_alarm(self);
    return G_SOURCE_REMOVE;
}

static void set_alarm(Queue *self)
{
    GTreeNode *first = g_tree_node_first(self->due);
    int64_t at_us = first != NULL ? ((const Due *)g_tree_node_key(first))->at_us : 0;

    if (first == NULL || (self->alarm != 0 && self->alarm_us <= at_us))
        return;
    if (self->alarm != 0)
        g_source_remove(self->alarm);
    self->alarm_us = at_us;
    self->alarm = g_timeout_add(
            (guint)CLAMP((at_us - clock_now_us()) / USEC_PER_MSEC + 1, 1, ALARM_MAX_MS), on_alarm,
            self);
}

static void wait_for_retry(Queue *self, Entry *entry, uint32_t delay_s)
{
    Transfer *transfer = entry->transfer;

    transfer->state = TRANSFER_WAITING;
    place(entry);
    transfer->next_retry_us = delay_s == FOR_EVER_S
                                      ? TRANSFER_HELD_US
                                      : clock_wall_us() + (int64_t)delay_s * USEC_PER_SEC;
    log_transfer(delay_s == FOR_EVER_S ? LOG_TRANSFER_HELD : LOG_TRANSFER_WAITING, transfer);
    record(self, transfer);
    if (delay_s != FOR_EVER_S)
        set_due(entry, delay_s);
}

static uint32_t choose_delay_s(const Partner *partner, uint32_t attempts)
{
    guint last = partner->retry_delays_s->len - 1;

    return g_array_index(partner->retry_delays_s, uint32_t,
                         MIN(attempts > 0 ? attempts - 1 : 0, last));
}

/* Whether the partner may have the whole file although it did not say so: TRANS.END leaves only behind the
 * last byte. If it cannot have it, the next attempt is a new transfer and nothing can be doubled. */
static bool may_have_arrived(const Entry *entry, const Transfer *transfer)
{
    return transfer->direction == DIRECTION_SEND && transfer->end_sent && entry->progress != NULL &&
           atomic_load(&entry->progress->bytes) >= transfer->size_bytes;
}

/* Until somebody releases it. */
static void hold_by_order(Queue *self, Entry *entry)
{
    Transfer *transfer = entry->transfer;

    entry->holding = false;
    g_free(transfer->error);
    transfer->error = g_strdup("held until it is released");
    transfer->diag_type = 0;
    transfer->diag_code = 0;
    transfer->cause = 0;
    wait_for_retry(self, entry, FOR_EVER_S);
}

static void retry(Queue *self, Entry *entry, const Job *job)
{
    Transfer *transfer = entry->transfer;
    const Partner *partner = job->partner;

    if (!job->unresolved && !may_have_arrived(entry, transfer)) {
        transfer->end_sent = false;
    } else if (!partner->profile.restart) {
        g_autofree char *text =
                g_strdup_printf("%s; the partner may have the file: ask it before sending again",
                                transfer->error != NULL ? transfer->error : "answer lost");

        g_free(transfer->error);
        transfer->error = g_steal_pointer(&text);
        finish(self, entry, TRANSFER_FAILED);
        return;
    }
    if (entry->holding) {
        hold_by_order(self, entry);
        return;
    }
    transfer->attempts = job->progressed ? 1 : transfer->attempts + 1;
    if (transfer->attempts >= partner->retry_attempts)
        finish(self, entry, TRANSFER_FAILED);
    else
        wait_for_retry(self, entry, choose_delay_s(partner, transfer->attempts));
}

static bool is_undecided(OutcomeKind outcome)
{
    return outcome == OUTCOME_RETRY || outcome == OUTCOME_RETRY_LATER ||
           outcome == OUTCOME_RETURNED;
}

static void take_outcome(Queue *self, Entry *entry, Job *job)
{
    if (entry->transfer->direction == DIRECTION_SEND) { /* touched while it ran */
        job->transfer->mode = entry->transfer->mode;
        job->transfer->mtime_us = entry->transfer->mtime_us;
    }
    transfer_free(entry->transfer);
    entry->transfer = g_steal_pointer(&job->transfer);
    /* cancelled, and this attempt did not decide: there is no other */
    switch (entry->cancelling && is_undecided(job->outcome) ? OUTCOME_CANCELLED : job->outcome) {
    case OUTCOME_DONE:
        entry->transfer->attempts++;
        finish(self, entry, TRANSFER_DONE);
        return;
    case OUTCOME_FAILED:
        entry->transfer->attempts++;
        finish(self, entry, TRANSFER_FAILED);
        return;
    case OUTCOME_CANCELLED:
        finish(self, entry, TRANSFER_CANCELLED);
        return;
    case OUTCOME_RETRY:
        retry(self, entry, job);
        break;
    case OUTCOME_RETRY_LATER:
        if (entry->holding)
            hold_by_order(self, entry);
        else
            wait_for_retry(self, entry, choose_delay_s(job->partner, entry->transfer->attempts));
        break;
    case OUTCOME_RETURNED:
        if (entry->holding)
            hold_by_order(self, entry);
        else
            entry->transfer->state = TRANSFER_QUEUED;
        break;
    }
    /* the entry is gone when it was finished */
}

/* starting */

static TlsContext *find_tls(Queue *self, const Partner *partner, GError **error)
{
    TlsContext *context = g_hash_table_lookup(self->tls, partner->name);

    if (context != NULL || !partner->tls.enabled)
        return context;
    context = tls_context_new_client(&partner->tls, error);
    if (context != NULL)
        g_hash_table_insert(self->tls, g_strdup(partner->name), context);
    return context;
}

/* Rules of a transfer in this configuration. False: it cannot be done, error says why. */
static bool find_rules(const Queue *self, const Transfer *transfer, const Partner **ret_partner,
                       const VirtualFile **ret_file, GError **error)
{
    *ret_partner = config_find_partner(self->config, transfer->partner);
    *ret_file = *ret_partner != NULL ? rule_find_by_path((*ret_partner)->files, transfer->path,
                                                         transfer->direction == DIRECTION_SEND)
                                     : NULL;
    if (*ret_file == NULL || (*ret_partner)->address == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_REFUSED, "partner '%s' %s", transfer->partner,
                    *ret_partner == NULL ? "is not configured any more"
                    : *ret_file == NULL  ? "has no virtual file for this path any more"
                                         : "has no address to call");
        return false;
    }
    if (transfer->end_sent && !(*ret_partner)->profile.restart) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_CONFLICT,
                    "interrupted: partner '%s' may have the file: ask it before sending again",
                    transfer->partner);
        return false;
    }
    return true;
}

static Link *find_idle(const Queue *self, const char *partner, unsigned *ret_open)
{
    Link *idle = NULL;

    *ret_open = 0;
    for (guint i = 0; i < self->links->len; i++) {
        Link *link = g_ptr_array_index(self->links, i);

        if (strcmp(link->partner, partner) != 0)
            continue;
        (*ret_open)++;
        if (link->id == 0 && !link->leaving)
            idle = link;
    }
    return idle;
}

static void give(Queue *self, Link *link, Entry *entry, const Partner *partner,
                 const VirtualFile *file, TlsContext *tls)
{
    Job *job;

    if (entry->held) {
        entry->held = false;
        g_clear_pointer(&entry->transfer->error, g_free);
        entry->transfer->next_retry_us = 0;
    }
    job = job_new(self->config, partner, file, transfer_copy(entry->transfer));
    entry->progress = progress_ref(job->progress);
    entry->transfer->state = TRANSFER_RUNNING;
    place(entry);
    log_transfer(LOG_TRANSFER_STARTED, entry->transfer);
    tell_step(self, entry->transfer);
    if (link == NULL) {
        link = g_new0(Link, 1);
        link->partner = g_strdup(partner->name);
        link->connection =
                connection_start_outgoing(self->services, self->config, partner, tls, job);
        g_ptr_array_add(self->links, link);
    } else {
        Order *order = order_new(ORDER_JOB);

        order->job = job;
        connection_order(link->connection, order);
    }
    link->id = entry->transfer->id;
}

/* Those that called in count too. open: connections of ours with this partner. */
static bool has_room(Queue *self, const Partner *partner, unsigned open)
{
    unsigned calling = 0, calling_all = 0;

    if (open >= partner->outgoing_connections)
        return false;
    if (self->count_incoming != NULL) {
        calling = self->count_incoming(partner->name, self->counter_data);
        calling_all = self->count_incoming(NULL, self->counter_data);
    }
    if (open + calling < partner->max_connections &&
        self->links->len + calling_all < self->config->max_connections)
        return true;
    self->crowded = true;
    return false;
}

typedef enum { START_DONE, START_FULL, START_FAILED } StartResult;

static StartResult start(Queue *self, Entry *entry)
{
    g_autoptr(GError) error = NULL;
    const Partner *partner = NULL;
    const VirtualFile *file = NULL;
    TlsContext *tls = NULL;
    unsigned open = 0;
    Link *link = find_idle(self, entry->transfer->partner, &open);

    if (find_rules(self, entry->transfer, &partner, &file, &error)) {
        if (link == NULL && !has_room(self, partner, open))
            return START_FULL;
        tls = find_tls(self, partner, &error);
    }
    if (error != NULL) {
        g_free(entry->transfer->error);
        entry->transfer->error = g_strdup(error->message);
        entry->transfer->cause = (uint8_t)(error->code + 1);
        finish(self, entry, TRANSFER_FAILED);
        return START_FAILED;
    }
    give(self, link, entry, partner, file, tls);
    return START_DONE;
}

/* holding */

static void pump_all(Queue *self);

static gboolean on_opening(gpointer data)
{
    Queue *self = data;

    self->opening = 0;
    pump_all(self);
    return G_SOURCE_REMOVE;
}

static void wait_for_opening(Queue *self, int64_t opening_s, int64_t now_s)
{
    if (self->opening != 0 && self->opening_s <= opening_s)
        return;
    if (self->opening != 0)
        g_source_remove(self->opening);
    self->opening_s = opening_s;
    self->opening = g_timeout_add_seconds((guint)CLAMP(opening_s - now_s, 1, LOOK_AGAIN_S),
                                          on_opening, self);
}

/* Why nothing may be started with a partner now, and until when (0: until somebody changes it). NULL: it may. */
static char *dup_obstacle(Queue *self, const Partner *partner, int64_t *ret_until_us)
{
    int64_t now_s = clock_wall_s(), opening_s = partner_next_opening(partner, now_s);

    *ret_until_us = 0;
    if (!partner->enabled)
        return g_strdup_printf("partner '%s' is disabled", partner->name);
    if (opening_s == now_s)
        return NULL;
    wait_for_opening(self, opening_s, now_s);
    *ret_until_us = opening_s * USEC_PER_SEC;
    return g_strdup_printf("partner '%s' is called from %s only", partner->name,
                           partner->active_hours);
}

static void hold(Queue *self, Entry *entry, const char *reason, int64_t until_us)
{
    Transfer *transfer = entry->transfer;

    if (entry->held && strcmp(transfer->error, reason) == 0 && transfer->next_retry_us == until_us)
        return;
    entry->held = true;
    g_free(transfer->error);
    transfer->error = g_strdup(reason);
    transfer->diag_type = 0;
    transfer->diag_code = 0;
    transfer->cause = 0;
    transfer->next_retry_us = until_us;
    log_transfer(LOG_TRANSFER_HELD, transfer);
    record(self, transfer);
}

static void hold_all(Queue *self, const char *partner, const char *reason, int64_t until_us)
{
    Entry *entry;

    for (GTreeNode *node = find_first_ready(self, partner);
         (entry = get_entry_of(node, partner)) != NULL; node = g_tree_node_next(node))
        hold(self, entry, reason, until_us);
}

static void pump(Queue *self, const char *partner)
{
    const Partner *settings = config_find_partner(self->config, partner);
    int64_t until_us = 0;
    g_autofree char *obstacle = settings != NULL ? dup_obstacle(self, settings, &until_us) : NULL;

    if (obstacle != NULL && !self->finishing)
        hold_all(self, partner, obstacle, until_us);
    while (obstacle == NULL && !self->finishing) {
        Entry *first = get_entry_of(find_first_ready(self, partner), partner);

        if (first == NULL || start(self, first) == START_FULL)
            return;
    }
}

/* Those of a virtual file that is disabled are none that a connection may take. */
static void hold_barred(Queue *self, Entry *entry)
{
    g_autofree char *reason =
            g_strdup_printf("the virtual file of '%s' is disabled", entry->transfer->path);

    if (is_waiting_for_turn(entry) && !self->finishing)
        hold(self, entry, reason, 0);
}

/* For one that may be taken now. The others of its partner have been looked at: a thousand that are held are not held again
 * for each that comes. */
static void pump_for(Entry *entry)
{
    Queue *self = entry->queue;
    const char *partner = entry->transfer->partner;
    const Partner *settings = config_find_partner(self->config, partner);
    int64_t until_us = 0;
    g_autofree char *obstacle = settings != NULL ? dup_obstacle(self, settings, &until_us) : NULL;
    g_autofree char *name = g_strdup(partner); /* the entry may be finished */

    if (entry->barred)
        hold_barred(self, entry);
    else if (obstacle == NULL)
        pump(self, name);
    else if (!self->finishing && entry->ready)
        hold(self, entry, obstacle, until_us);
}

/* Each partner that something is there for: from the last of one to the first of the next. */
static void pump_all(Queue *self)
{
    g_autoptr(GPtrArray) partners = g_ptr_array_new_with_free_func(g_free);
    GTreeNode *node = g_tree_node_first(self->ready);

    while (node != NULL) {
        char *partner = g_strdup(((const Turn *)g_tree_node_key(node))->partner);
        Turn after_all = {partner, UINT8_MAX, INT64_MAX};

        g_ptr_array_add(partners, partner);
        node = g_tree_upper_bound(self->ready, &after_all);
    }
    for (guint i = 0; i < partners->len; i++)
        pump(self, g_ptr_array_index(partners, i));
}

/* What its virtual file says of it. */
static void set_rule(const Queue *self, Entry *entry)
{
    const Transfer *transfer = entry->transfer;
    const Partner *partner = config_find_partner(self->config, transfer->partner);
    const VirtualFile *file = partner != NULL
                                      ? rule_find_by_path(partner->files, transfer->path,
                                                          transfer->direction == DIRECTION_SEND)
                                      : NULL;

    entry->priority = file != NULL ? file->priority : PRIORITY_FIRST;
    entry->barred = file != NULL && !file->enabled;
}

static gboolean set_rule_anew(gpointer key, gpointer value, gpointer data)
{
    Entry *entry = value;

    (void)key;
    set_rule(data, entry);
    place(entry);
    if (entry->barred)
        hold_barred(data, entry);
    return FALSE;
}

/* from outside */

/* Connections of ours that were opened with other settings end when they are free. */
static void leave_changed(Queue *self, const Config *before)
{
    for (guint i = 0; i < self->links->len; i++) {
        Link *link = g_ptr_array_index(self->links, i);

        if (link->leaving || !config_is_partner_changed(before, self->config, link->partner))
            continue;
        link->leaving = true;
        connection_order(link->connection, order_new(ORDER_FINISH));
    }
}

typedef struct {
    const Config *before, *after;
} Change;

/* What failed under the old settings need not wait under the new ones. */
static gboolean end_wait(gpointer key, gpointer value, gpointer data)
{
    const Change *change = data;
    Entry *entry = value;

    (void)key;
    if (entry->transfer->state != TRANSFER_WAITING ||
        entry->transfer->next_retry_us == TRANSFER_HELD_US ||
        !config_is_partner_changed(change->before, change->after, entry->transfer->partner))
        return FALSE;
    clear_due(entry);
    entry->transfer->state = TRANSFER_QUEUED;
    entry->transfer->next_retry_us = 0;
    place(entry);
    return FALSE;
}

void queue_set_config(Queue *self, Config *config)
{
    Config *before = self->config;
    Change change = {before, config};

    self->config = config_ref(config);
    g_hash_table_remove_all(self->tls);
    g_tree_foreach(self->entries, set_rule_anew, self);
    leave_changed(self, before);
    g_tree_foreach(self->entries, end_wait, &change);
    config_unref(before);
    pump_all(self);
}

void queue_set_step(Queue *self, QueueCallback on_step)
{
    self->on_step = on_step;
}

void queue_set_counter(Queue *self, QueueCounter count_incoming, gpointer data)
{
    self->count_incoming = count_incoming;
    self->counter_data = data;
}

void queue_make_room(Queue *self, const char *partner)
{
    for (guint i = 0; i < self->links->len; i++) {
        Link *link = g_ptr_array_index(self->links, i);

        if (link->id != 0 || link->leaving ||
            (partner != NULL && strcmp(link->partner, partner) != 0))
            continue;
        link->leaving = true;
        connection_order(link->connection, order_new(ORDER_FINISH));
        return;
    }
}

void queue_take_room(Queue *self)
{
    if (!self->crowded)
        return;
    self->crowded = false;
    pump_all(self);
}

void queue_add(Queue *self, Transfer *transfer)
{
    Entry *entry = g_new0(Entry, 1);
    int64_t *id = g_new(int64_t, 1);

    *id = transfer->id;
    entry->queue = self;
    entry->transfer = transfer;
    entry->held = transfer->state == TRANSFER_QUEUED && transfer->error != NULL;
    set_rule(self, entry);
    if (transfer->state != TRANSFER_WAITING || transfer->next_retry_us != TRANSFER_HELD_US)
        transfer->state = TRANSFER_QUEUED;
    g_tree_insert(self->entries, id, entry);
    entry->key = path_key(transfer->partner, transfer->path);
    g_hash_table_replace(self->by_path, g_strdup(entry->key), entry);
    place(entry);
    log_transfer(LOG_TRANSFER_QUEUED, transfer);
    tell_step(self, transfer);
    pump_for(entry);
}

bool queue_take_notice(Queue *self, Notice *notice)
{
    Link *link = find_link(self, notice->connection);
    g_autofree char *partner = NULL;
    Entry *entry;

    if (link == NULL || (notice->kind != NOTICE_JOB_DONE && notice->kind != NOTICE_CLOSED))
        return false;
    partner = g_strdup(link->partner);
    if (notice->kind == NOTICE_JOB_DONE) {
        int64_t id = notice->job->transfer->id;

        link->id = 0;
        /* a connection that could not be opened closes next */
        link->leaving = link->leaving || notice->job->outcome == OUTCOME_RETURNED;
        entry = find_entry(self, id);
        if (entry != NULL)
            take_outcome(self, entry, notice->job);
        entry = find_entry(self, id); /* gone when it was finished */
        if (entry != NULL) {
            g_clear_pointer(&entry->progress, progress_unref);
            place(entry);
        }
    } else {
        connection_free(link->connection);
        g_ptr_array_remove(self->links, link);
        queue_take_room(self);
    }
    pump(self, partner);
    return true;
}

const Transfer *queue_find(const Queue *self, int64_t id, uint64_t *ret_progress_bytes)
{
    const Entry *entry = find_entry(self, id);

    if (entry == NULL)
        return NULL;
    if (ret_progress_bytes != NULL)
        *ret_progress_bytes = entry->progress != NULL ? atomic_load(&entry->progress->bytes) : 0;
    return entry->transfer;
}

/* What a connection has now; NULL: nothing, or what has ended while it says its last words. */
static const Entry *find_moving(const Queue *self, guint link)
{
    const Link *of = g_ptr_array_index(self->links, link);

    return of->id != 0 ? find_entry(self, of->id) : NULL;
}

/* Who moves has a link, who may move has a turn: all others wait. */
QueueCounts queue_count(const Queue *self)
{
    QueueCounts counts = {.queued = (unsigned)g_tree_nnodes(self->ready)};

    for (guint i = 0; i < self->links->len; i++)
        counts.running += find_moving(self, i) != NULL ? 1 : 0;
    counts.waiting = (unsigned)g_tree_nnodes(self->entries) - counts.queued - counts.running;
    return counts;
}

void queue_each_running(const Queue *self, QueueVisitor visit, gpointer data)
{
    for (guint i = 0; i < self->links->len; i++) {
        const Entry *entry = find_moving(self, i);

        if (entry != NULL && entry->progress != NULL)
            visit(entry->transfer, atomic_load(&entry->progress->bytes), data);
    }
}

const Transfer *queue_find_path(const Queue *self, const char *partner, const char *path)
{
    g_autofree char *key = path_key(partner, path);
    const Entry *entry = g_hash_table_lookup(self->by_path, key);

    return entry != NULL ? entry->transfer : NULL;
}

/* The connection that has it ends it in order. */
static void interrupt(Queue *self, Entry *entry)
{
    int64_t id = entry->transfer->id;

    atomic_store(&entry->progress->cancelled, true);
    for (guint i = 0; i < self->links->len; i++) {
        const Link *link = g_ptr_array_index(self->links, i);
        Order *order;

        if (link->id != id)
            continue;
        order = order_new(ORDER_CANCEL);
        order->id = id;
        connection_order(link->connection, order);
    }
}

bool queue_cancel(Queue *self, int64_t id, GError **error)
{
    Entry *entry = find_entry(self, id);

    if (entry == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND,
                    "transfer %" G_GINT64_FORMAT " is not waiting or running", id);
        return false;
    }
    if (entry->progress == NULL) {
        finish(self, entry, TRANSFER_CANCELLED);
        return true;
    }
    entry->cancelling = true;
    interrupt(self, entry);
    return true;
}

bool queue_hold(Queue *self, int64_t id, GError **error)
{
    Entry *entry = find_entry(self, id);

    if (entry == NULL) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND,
                    "transfer %" G_GINT64_FORMAT " is not waiting or running", id);
        return false;
    }
    if (entry->progress != NULL) {
        entry->holding = true;
        atomic_store(&entry->progress->held, true);
        interrupt(self, entry);
        return true;
    }
    clear_due(entry);
    entry->held = false;
    hold_by_order(self, entry);
    return true;
}

bool queue_retry(Queue *self, int64_t id, GError **error)
{
    Entry *entry = find_entry(self, id);

    if (entry == NULL || entry->transfer->state != TRANSFER_WAITING) {
        g_set_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND,
                    "transfer %" G_GINT64_FORMAT " does not wait for a retry", id);
        return false;
    }
    if (entry->transfer->next_retry_us == TRANSFER_HELD_US)
        g_clear_pointer(&entry->transfer->error, g_free);
    try_now(entry);
    return true;
}

void queue_touch(Queue *self, int64_t id, uint32_t mode, int64_t mtime_us)
{
    Entry *entry = find_entry(self, id);

    if (entry == NULL)
        return;
    entry->transfer->mode = mode;
    entry->transfer->mtime_us = mtime_us;
}

static void order_all(Queue *self, OrderKind kind, PesitDiag diag)
{
    for (guint i = 0; i < self->links->len; i++) {
        Link *link = g_ptr_array_index(self->links, i);
        Order *order = order_new(kind);

        order->diag = diag;
        link->leaving = true;
        connection_order(link->connection, order);
    }
}

void queue_finish(Queue *self)
{
    self->finishing = true;
    order_all(self, ORDER_FINISH, PESIT_DIAG_OK);
}

void queue_abort(Queue *self, PesitDiag diag)
{
    order_all(self, ORDER_ABORT, diag);
}

void queue_cut(Queue *self)
{
    for (guint i = 0; i < self->links->len; i++)
        connection_cut(((Link *)g_ptr_array_index(self->links, i))->connection);
}

unsigned queue_count_connections(const Queue *self, const char *partner)
{
    unsigned count = 0;

    for (guint i = 0; i < self->links->len; i++) {
        const Link *link = g_ptr_array_index(self->links, i);

        count += partner == NULL || strcmp(link->partner, partner) == 0 ? 1 : 0;
    }
    return count;
}
