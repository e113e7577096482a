/* SPDX-License-Identifier: Apache-2.0 */
/* The administration as a whole: its threads, and what comes in from the daemon. */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WORKERS      8
#define HASHERS      2
#define JOBS_MAX     1024
#define DOCTORS      4
#define STOP_TICK_MS 20
#define PING_S       15
#define SWEEP_S      2
#define EXPIRY_S     3600
#define PROGRESS_MS  500

static void run_job(gpointer message, gpointer data)
{
    Job *job = message;
    Admin *self = data;

    if (atomic_load(&job->given))
        job->work(job->data);
    g_free(job);
    (void)atomic_fetch_sub(&self->active, 1);
}

static bool push(Admin *self, GThreadPool *pool, void (*work)(gpointer data), gpointer data)
{
    unsigned most = pool == self->doctors ? 2 * JOBS_MAX : JOBS_MAX;
    Job *job;

    if (atomic_fetch_add(&self->active, 1) >= most || atomic_load(&self->stopping)) {
        (void)atomic_fetch_sub(&self->active, 1);
        return false;
    }
    job = g_new0(Job, 1);
    job->work = work;
    job->data = data;
    atomic_store(&job->given, true);
    (void)g_thread_pool_push(pool, job, NULL); /* queued at the least */
    return true;
}

bool admin_push(Admin *self, void (*work)(gpointer data), gpointer data)
{
    return push(self, self->workers, work, data);
}

bool admin_push_health(Admin *self, void (*work)(gpointer data), gpointer data)
{
    return push(self, self->doctors, work, data);
}

static void free_parts(Admin *self)
{
    server_free(self->server);
    g_thread_pool_free(self->workers, FALSE, TRUE);
    g_thread_pool_free(self->hashers, FALSE, TRUE);
    g_thread_pool_free(self->doctors, FALSE, TRUE);
    audit_free(self->audit);
    events_free(self->events);
    health_free(self->health);
    logins_free(self->logins);
    g_hash_table_unref(self->moved);
    g_ptr_array_unref(self->folders);
    g_rw_lock_clear(&self->folders_lock);
    g_free(self);
}

static void run_hash(gpointer message, gpointer data)
{
    Job *job = message;

    (void)data;
    if (atomic_load(&job->given))
        job->work(job->data);
    g_free(job);
}

static gboolean on_ping(gpointer data)
{
    events_ping(data);
    return G_SOURCE_CONTINUE;
}

/* progress */

typedef struct {
    GHashTable *texts; /* partner, "" for all → GString */
    GHashTable *moved; /* as it was told before, then as it is now */
    GHashTable *now;
} Gathering;

static void add_text(GHashTable *texts, const char *partner, const char *text)
{
    GString *whole = g_hash_table_lookup(texts, partner);

    if (whole == NULL) {
        whole = g_string_new(NULL);
        g_hash_table_insert(texts, g_strdup(partner), whole);
    }
    g_string_append(whole, text);
}

static void gather(const Transfer *transfer, uint64_t bytes, gpointer data)
{
    const Gathering *gathering = data;
    const int64_t *before = g_hash_table_lookup(gathering->moved, &transfer->id);
    g_autoptr(GString) text = g_string_new(NULL);

    g_hash_table_insert(gathering->now, g_memdup2(&transfer->id, sizeof transfer->id),
                        g_memdup2(&bytes, sizeof bytes));
    if (before != NULL && *before == (int64_t)bytes)
        return;
    json_open(text, NULL, '{');
    json_number(text, "transferId", transfer->id);
    json_text(text, "partnerId", transfer->partner);
    json_text(text, "path", transfer->path);
    json_number(text, "bytesTransferred", (int64_t)bytes);
    json_number(text, "fileSize", (int64_t)transfer->size_bytes);
    json_close(text, '}');
    g_string_prepend(text, "event: progress\ndata: ");
    g_string_append(text, "\n\n");
    add_text(gathering->texts, "", text->str);
    add_text(gathering->texts, transfer->partner, text->str);
}

static void unref_bytes(gpointer bytes)
{
    g_bytes_unref(bytes);
}

static gboolean on_progress(gpointer data)
{
    Admin *self = data;
    Gathering gathering = {.moved = self->moved};
    GHashTableIter iterator;
    gpointer key, value;

    if (!events_are_read(self->events))
        return G_SOURCE_CONTINUE;
    gathering.now = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    gathering.texts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->host.each_running(gather, &gathering, self->host.data);
    g_hash_table_unref(self->moved);
    self->moved = gathering.now;
    if (g_hash_table_size(gathering.texts) > 0) {
        g_autoptr(GHashTable) texts =
                g_hash_table_new_full(g_str_hash, g_str_equal, g_free, unref_bytes);

        g_hash_table_iter_init(&iterator, gathering.texts);
        while (g_hash_table_iter_next(&iterator, &key, &value))
            g_hash_table_insert(texts, g_strdup(key), g_string_free_to_bytes(value));
        events_tell_progress(self->events, texts);
    }
    g_hash_table_unref(gathering.texts);
    return G_SOURCE_CONTINUE;
}

static gboolean on_expiry(gpointer data)
{
    transfers_forget_answers(data);
    return G_SOURCE_CONTINUE;
}

static gboolean on_sweep(gpointer data)
{
    server_cut_slow(data);
    return G_SOURCE_CONTINUE;
}

/* What was done to the store while no daemon had it. */
static bool audit_restorations(Admin *self, GError **error)
{
    g_autoptr(StoreResult) found =
            store_execute(self->host.store, store_request_record_list(RECORD_RESTORED, "", 100));

    for (guint i = 0; found->error == NULL && i < found->records->len; i++) {
        const Record *record = g_ptr_array_index(found->records, i);
        g_autoptr(GString) detail = g_string_new(NULL);
        AuditAct act = {record->document, "local", "Restore", record->name, NULL};

        json_open(detail, NULL, '{');
        json_time(detail, "restoredAt", record->created_us);
        json_close(detail, '}');
        act.detail = detail->str;
        if (!audit_append(self->audit, &act, error))
            return false;
        store_post(self->host.store, store_request_record_remove(RECORD_RESTORED, record->id, 0));
    }
    if (found->error == NULL)
        return true;
    g_propagate_error(error, g_steal_pointer(&found->error));
    return false;
}

Admin *admin_start(const AdminHost *host, GError **error)
{
    Admin *self = g_new0(Admin, 1);

    self->host = *host;
    self->started_us = clock_wall_us();
    self->host.first_key = NULL;
    g_rw_lock_init(&self->folders_lock);
    self->folders = g_ptr_array_new_with_free_func(g_free);
    self->workers = g_thread_pool_new(run_job, self, WORKERS, FALSE, NULL);
    self->hashers = g_thread_pool_new(run_hash, self, HASHERS, FALSE, NULL);
    self->doctors = g_thread_pool_new(run_job, self, DOCTORS, FALSE, NULL);
    self->events = events_new();
    self->health = health_new();
    self->logins = logins_new();
    self->moved = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
    self->audit = audit_new(host->store, error);
    self->server = self->audit != NULL ? server_new(self, host, error) : NULL;
    self->host.first_key = host->first_key;
    if (self->server == NULL || !audit_restorations(self, error) || !intents_settle(self, error) ||
        !auth_start(self, error)) {
        free_parts(self);
        return NULL;
    }
    self->host.first_key = NULL;
    self->ping = g_timeout_add_seconds(PING_S, on_ping, self->events);
    self->sweep = g_timeout_add_seconds(SWEEP_S, on_sweep, self->server);
    self->expiry = g_timeout_add_seconds(EXPIRY_S, on_expiry, self);
    self->progress = g_timeout_add(PROGRESS_MS, on_progress, self);
    transfers_forget_answers(self);
    return self;
}

static gboolean on_tick(gpointer data)
{
    (void)data;
    return G_SOURCE_CONTINUE;
}

void admin_stop(Admin *self)
{
    guint tick;

    if (self == NULL)
        return;
    atomic_store(&self->stopping, true);
    g_source_remove(self->ping);
    g_source_remove(self->sweep);
    g_source_remove(self->expiry);
    g_source_remove(self->progress);
    events_stop(self->events);
    server_stop(self->server);
    tick = g_timeout_add(STOP_TICK_MS, on_tick, NULL);
    while (atomic_load(&self->active) > 0)
        (void)g_main_context_iteration(NULL, TRUE); /* workers may wait for the main loop */
    g_source_remove(tick);
    free_parts(self);
}

void admin_take_connection(Admin *self, int fd, unsigned families, const char *address,
                           const char *certificate)
{
    server_add(self->server, fd, families, address, certificate);
}

void admin_take_act(Admin *self, const AdminAct *done, void (*on_done)(gpointer data),
                    gpointer data)
{
    g_autoptr(GString) detail = g_string_new(NULL);
    AuditAct act = {done->actor, done->origin, done->method, done->what, NULL};

    json_open(detail, NULL, '{');
    json_text(detail, "error", done->error);
    json_close(detail, '}');
    act.detail = detail->str;
    log_event(LOG_ADMIN_CHANGE, "ACTOR", done->actor, "ADDRESS", done->origin, "ACTION",
              done->method, "OBJECT", done->what, NULL);
    audit_post(self->audit, &act, on_done, data);
}

static void tell_removal(Admin *self, const GPtrArray *transfers, guint first)
{
    const Transfer *one = g_ptr_array_index(transfers, first);
    g_autoptr(GString) data = g_string_new(NULL);

    json_open(data, NULL, '{');
    json_text(data, "partnerId", one->partner);
    json_open(data, "transferIds", '[');
    for (guint i = first; i < transfers->len; i++) {
        const Transfer *transfer = g_ptr_array_index(transfers, i);

        if (strcmp(transfer->partner, one->partner) == 0)
            json_number(data, NULL, transfer->id);
    }
    json_close(data, ']');
    json_close(data, '}');
    events_publish(self->events, one->partner, "removed", data->str);
}

/* One event for each partner: they hear of their own. */
void admin_take_removal(Admin *self, const GPtrArray *transfers)
{
    g_autoptr(GHashTable) told = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < transfers->len; i++) {
        const Transfer *transfer = g_ptr_array_index(transfers, i);

        if (g_hash_table_add(told, transfer->partner))
            tell_removal(self, transfers, i);
    }
}

void admin_set_send_folders(Admin *self, const GPtrArray *folders)
{
    GPtrArray *copy = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; i < folders->len; i++)
        g_ptr_array_add(copy, g_strdup(g_ptr_array_index(folders, i)));
    g_rw_lock_writer_lock(&self->folders_lock);
    g_ptr_array_unref(self->folders);
    self->folders = copy;
    g_rw_lock_writer_unlock(&self->folders_lock);
}

void admin_set_audit_kept(Admin *self, uint32_t kept_s)
{
    audit_set_kept(self->audit, kept_s);
}

void admin_take_change(Admin *self, const Transfer *transfer, bool ours)
{
    g_autoptr(GString) data = g_string_new(NULL);

    json_open(data, NULL, '{');
    json_number(data, "transferId", transfer->id);
    json_text(data, "partnerId", transfer->partner);
    json_text(data, "path", transfer->path);
    json_text(data, "direction", transfer_direction_name(transfer->direction));
    json_text(data, "state", transfer_state_name(transfer->state));
    json_number(data, "fileSize", (int64_t)transfer->size_bytes);
    json_close(data, '}');
    events_publish(self->events, transfer->partner, "transfer", data->str);
    if (ours && transfer_state_is_final(transfer->state))
        audit_note_end(self->audit);
}

/* requests without HTTP */

typedef struct {
    Request *request;
    AdminDone on_done;
    gpointer data;
} LocalRun;

static void run_local(gpointer data)
{
    LocalRun *run = data;

    if (routes_match(run->request)) {
        if (run->request->route->handler == events_open)
            request_problem(run->request, 501, "http-only", NULL,
                            "this is answered over HTTP only");
        else
            request_run(run->request);
    }
    run->on_done(run->request->status, run->request->answer->str, run->data);
    request_free(run->request);
    g_free(run);
}

static void split_query(Request *request)
{
    char *question = strchr(request->path, '?');
    g_auto(GStrv) pairs = question != NULL ? g_strsplit(question + 1, "&", 32) : NULL;

    if (question != NULL)
        *question = '\0';
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i++) {
        char *equals = strchr(pairs[i], '=');

        if (equals != NULL)
            *equals = '\0';
        if (pairs[i][0] != '\0' || equals != NULL)
            request_take_query(request, pairs[i], equals != NULL ? equals + 1 : NULL);
    }
}

static LocalRun *local_run_new(Admin *self, const char *method, const char *path, const char *actor,
                               const char *address)
{
    LocalRun *run = g_new0(LocalRun, 1);

    run->request = request_new(self, method, path);
    split_query(run->request);
    run->request->address = g_strdup(address);
    run->request->identity.role = ROLE_ADMIN;
    run->request->identity.name = g_strdup(actor);
    return run;
}

static void push_local(Admin *self, LocalRun *run, AdminDone on_done, gpointer data)
{
    run->on_done = on_done;
    run->data = data;
    if (admin_push(self, run_local, run))
        return;
    on_done(503, "{}", data);
    request_free(run->request);
    g_free(run);
}

void admin_run(Admin *self, const char *method, const char *path, const char *body,
               const char *actor, AdminDone on_done, gpointer data)
{
    LocalRun *run = local_run_new(self, method, path, actor, "local");

    g_string_append(run->request->body, body);
    push_local(self, run, on_done, data);
}

static void refuse_local(gpointer data)
{
    LocalRun *run = data;

    request_problem(run->request, 403, "refused", NULL,
                    "partners and virtual files alone are asked for from elsewhere");
    run->on_done(run->request->status, run->request->answer->str, run->data);
    request_free(run->request);
    g_free(run);
}

void admin_run_inquiry(Admin *self, const Inquiry *inquiry, AdminDone on_done, gpointer data)
{
    LocalRun *run = local_run_new(self, inquiry->method, inquiry->path, inquiry->actor, "console");

    run->request->if_match = g_strdup(inquiry->if_match);
    g_string_append(run->request->body, inquiry->body);
    if (g_str_has_prefix(inquiry->path, PARTNERS_PATH) ||
        g_str_has_prefix(inquiry->path, FILES_PATH)) {
        push_local(self, run, on_done, data);
        return;
    }
    run->on_done = on_done;
    run->data = data;
    refuse_local(run);
}
