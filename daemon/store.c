/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's thread: takes all requests that wait, runs them in one transaction, syncs the folders they
 * name, commits once, and only then answers each. What comes while a commit is under way makes the next
 * group. Glances are answered before the group that they came with: they do not wait for its commit. When the database goes away the group waits for it, with what comes meanwhile, and is run again
 * unless its commit turns out to have happened. When the database's disk is full, patient writes are put off, in
 * their order, and tried again until there is room. Architecture §4 and §5.
 */
#include "daemon/store-private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/metric.h"
#include "base/secret.h"
#include "base/file.h"

#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#define GROUP_MAX       512
#define BACK_OFF_MIN_US 50000
#define BACK_OFF_MAX_US 2000000

struct Store {
    Db *db;
    char *owner;
    bool private; /* no other process writes it */
    int64_t wait_us;
    Mailbox *requests; /* StoreRequest * */
    Mailbox *answers;  /* StoreRequest * with result, for the main loop */
    guint source;
    GThread *thread;
    Mailbox *passwords; /* char *: for the next connection */
    Mailbox *failures;  /* char *: newest texts of requests nobody waits for */
    Mailbox *changes;   /* News *, for the main loop */
    guint changes_source;
    StoreWatcher on_change;
    gpointer on_change_data;
    /* the store's thread */
    GQueue held;    /* StoreRequest *: taken, to be run before anything else */
    GQueue put_off; /* StoreRequest *: patient writes for which there was no room */
    int64_t again_us, room_pause_us; /* when they are tried again, and how long it was until then */
    bool ending;
};

typedef struct {
    StoreNews kind;
    char *table, *text;
} News;

static void free_news(gpointer data)
{
    News *news = data;

    g_free(news->table);
    g_free(news->text);
    g_free(news);
}

void store_result_free(StoreResult *result)
{
    if (result == NULL)
        return;
    g_clear_error(&result->error);
    transfer_free(result->transfer);
    if (result->transfers != NULL)
        g_ptr_array_unref(result->transfers);
    if (result->names != NULL)
        g_ptr_array_unref(result->names);
    if (result->definitions != NULL)
        g_ptr_array_unref(result->definitions);
    if (result->schedules != NULL)
        g_ptr_array_unref(result->schedules);
    if (result->records != NULL)
        g_ptr_array_unref(result->records);
    if (result->audits != NULL)
        g_ptr_array_unref(result->audits);
    inquiry_free(result->inquiry);
    g_free(result->elsewhere);
    g_free(result);
}

/* One fsync per folder, however many requests of the group name it. */
static bool sync_folders(GPtrArray *group, GError **error)
{
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < group->len; i++) {
        const StoreRequest *request = g_ptr_array_index(group, i);

        for (size_t f = 0; request->result->error == NULL && f < request->folder_count; f++) {
            struct stat stat;

            if (fstat(request->folder_fds[f], &stat) == 0 &&
                !g_hash_table_add(seen, g_strdup_printf("%ju/%ju", (uintmax_t)stat.st_dev,
                                                        (uintmax_t)stat.st_ino)))
                continue;
            if (!file_sync_folder(request->folder_fds[f], error))
                return false;
        }
    }
    return true;
}

/* A group that did not commit: nobody may believe otherwise. */
static void fail_group(GPtrArray *group, const GError *error)
{
    for (guint i = 0; i < group->len; i++) {
        StoreRequest *request = g_ptr_array_index(group, i);

        store_result_free(request->result);
        request->result = g_new0(StoreResult, 1);
        request->result->error = g_error_copy(error);
    }
}

static void tell(Store *self, StoreNews kind, char *table, const char *text)
{
    News *news = g_new0(News, 1);

    *news = (News){kind, table, g_strdup(text)};
    (void)mailbox_post(self->changes, news); /* closed only when nobody listens */
}

static void answer(Store *self, StoreRequest *request)
{
    if (request->tells != NULL && request->result->error == NULL)
        tell(self, STORE_CHANGED, g_strdup(request->tells), "");
    if (request->reply != NULL) {
        reply_post(request->reply, g_steal_pointer(&request->result));
    } else if (request->on_result != NULL) {
        (void)mailbox_post(self->answers, request); /* refused only when nobody listens any more */
        return;
    } else if (request->result->error != NULL) {
        (void)mailbox_post(self->failures, g_strdup(request->result->error->message)); /* same */
    }
    store_request_free(request);
}

/* Statements of all requests in as few round trips as the database allows. */
static void run_requests(Store *self, GPtrArray *group)
{
    guint limit = db_batch_limit(self->db);

    for (guint first = 0; first < group->len; first += limit) {
        guint end = MIN(first + limit, group->len);

        for (guint i = first; i < end; i++) {
            StoreRequest *request = g_ptr_array_index(group, i);
            GError **error = &request->result->error;

            request->owner = self->owner;
            request->started = request->start(request, self->db, error) &&
                               (limit == 1 || db_defer(self->db, error));
            if (limit == 1 && request->started)
                request->finish(request, self->db, request->result);
        }
        for (guint i = first; limit > 1 && i < end; i++) {
            StoreRequest *request = g_ptr_array_index(group, i);

            if (!request->started)
                continue;
            db_resume(self->db);
            request->finish(request, self->db, request->result);
        }
    }
}

static bool clear_results(GPtrArray *group)
{
    bool writes = false;

    for (guint i = 0; i < group->len; i++) {
        StoreRequest *request = g_ptr_array_index(group, i);

        store_result_free(request->result);
        request->result = g_new0(StoreResult, 1);
        writes = writes || request->writes;
    }
    return writes;
}

/* A statement failed and took the transaction with it: each of the group gets one of its own. */
static void part_group(Store *self, GPtrArray *group)
{
    for (guint i = group->len; i > 0; i--) {
        StoreRequest *request = g_ptr_array_index(group, i - 1);

        request->alone = true;
        g_queue_push_head(&self->held, request);
    }
    g_ptr_array_set_size(group, 0);
}

/* Runs a group; each has its result then. False: the database went away. */
static bool run_group(Store *self, GPtrArray *group)
{
    g_autoptr(GError) error = NULL;
    int64_t began_us = clock_now_us();
    bool writes = clear_results(group);
    bool begun = db_begin(self->db, writes, &error);

    if (begun)
        run_requests(self, group);
    if (db_is_lost(self->db))
        return false;
    if (begun && db_is_doomed(self->db)) {
        db_rollback(self->db);
        if (group->len > 1)
            part_group(self, group);
        return !db_is_lost(self->db);
    }
    if (begun && sync_folders(group, &error) && db_commit(self->db, &error)) {
        if (writes)
            metric_observe(METRIC_COMMIT_US, clock_now_us() - began_us);
        return true;
    }
    if (db_is_lost(self->db))
        return false;
    if (begun)
        db_rollback(self->db);
    if (group->len > 1 && g_error_matches(error, BASE_ERROR, BASE_ERROR_NO_SPACE))
        part_group(self, group); /* who only reads needs no room */
    else
        fail_group(group, error);
    return true;
}

/* when its disk is full */

/* True: taken, and tried again later. */
static bool put_off(Store *self, StoreRequest *request)
{
    const GError *error = request->result->error;

    if (!request->patient || !request->writes ||
        !g_error_matches(error, BASE_ERROR, BASE_ERROR_NO_SPACE))
        return false;
    if (self->room_pause_us == 0)
        tell(self, STORE_FULL, NULL, error->message);
    self->room_pause_us = CLAMP(self->room_pause_us * 2, BACK_OFF_MIN_US, BACK_OFF_MAX_US);
    self->again_us = clock_now_us() + self->room_pause_us;
    request->alone = false;
    g_queue_push_tail(&self->put_off, request);
    return true;
}

static void try_again(Store *self)
{
    StoreRequest *request;

    while ((request = g_queue_pop_tail(&self->put_off)) != NULL)
        g_queue_push_head(&self->held, request);
}

/* A patient write was stored. */
static void note_room(Store *self)
{
    if (self->room_pause_us == 0 || !g_queue_is_empty(&self->put_off))
        return;
    self->room_pause_us = 0;
    tell(self, STORE_BACK, NULL, NULL);
}

/* when the database is away */

static void take_notices(Store *self)
{
    char *notice;

    while ((notice = db_take_notice(self->db)) != NULL) {
        g_autofree char *text = notice;
        const char *colon = strchr(text, ':');

        if (colon != NULL)
            tell(self, STORE_CHANGED, g_strndup(text, (size_t)(colon - text)), colon + 1);
    }
}

static void refuse(Store *self, StoreRequest *request, const GError *error)
{
    store_result_free(request->result);
    request->result = g_new0(StoreResult, 1);
    request->result->error = g_error_copy(error);
    answer(self, request);
}

/* Answers with an error all who do not wait for ever. An insert that may have happened is withdrawn later. */
static void expire(Store *self, GPtrArray *group, GArray *doubtful, const GError *error)
{
    for (guint i = group->len; i > 0; i--) {
        StoreRequest *request = g_ptr_array_index(group, i - 1);

        if (request->patient)
            continue;
        if (request->inserts && request->result != NULL && request->result->transfer != NULL)
            g_array_append_val(doubtful, request->result->transfer->id);
        refuse(self, request, error);
        g_ptr_array_remove_index(group, i - 1);
    }
}

static void expire_held(Store *self, const GError *error)
{
    GQueue all = self->held;
    StoreRequest *request;

    g_queue_init(&self->held);
    while ((request = g_queue_pop_head(&all)) != NULL) {
        if (request->patient)
            g_queue_push_tail(&self->held, request);
        else
            refuse(self, request, error);
    }
}

/* Keeps what comes until a time; with an error, only what is patient: all else is refused with it. False: the
 * store is being closed. */
static bool hold_until(Store *self, int64_t deadline_us, const GError *error)
{
    while (clock_now_us() < deadline_us) {
        StoreRequest *request = mailbox_wait(self->requests, deadline_us);

        if (request == NULL && mailbox_is_closed(self->requests))
            return false;
        if (request != NULL && error != NULL && !request->patient)
            refuse(self, request, error);
        else if (request != NULL)
            g_queue_push_tail(&self->held, request);
    }
    return true;
}

static void withdraw(Store *self, const GArray *doubtful)
{
    for (guint i = 0; i < doubtful->len; i++) {
        StoreRequest *request = store_request_withdraw(g_array_index(doubtful, int64_t, i));

        request->patient = true;
        g_queue_push_head(&self->held, request);
    }
}

static void free_password(gpointer password)
{
    secret_free_text(password);
}

static void take_password(Store *self)
{
    char *password;

    while ((password = mailbox_take(self->passwords)) != NULL) {
        db_set_password(self->db, password);
        free_password(password);
    }
}

/* Until the database is back; group: what was running when it went. When its commit happened all the same,
 * the results that it has are right and it is answered. False: the store is being closed. */
static bool regain(Store *self, GPtrArray *group)
{
    g_autoptr(GArray) doubtful = g_array_new(FALSE, FALSE, sizeof(int64_t));
    int64_t patience_us = clock_now_us() + self->wait_us;
    int64_t pause_us = BACK_OFF_MIN_US, until_us;
    bool committed = false, closing = false, told = false;

    for (;;) {
        g_autoptr(GError) error = NULL;

        take_password(self);
        if (db_reconnect(self->db, &committed, &error))
            break;
        if (!told)
            tell(self, STORE_LOST, NULL, error->message);
        told = true;
        until_us = clock_now_us() + pause_us;
        closing = !hold_until(self, MIN(until_us, patience_us), NULL);
        if (closing || clock_now_us() >= patience_us) {
            expire(self, group, doubtful, error);
            expire_held(self, error);
        }
        if (closing || !hold_until(self, until_us, error))
            return false;
        pause_us = MIN(pause_us * 2, BACK_OFF_MAX_US);
    }
    tell(self, STORE_BACK, NULL, NULL);
    if (!committed)
        return true;
    withdraw(self, doubtful);
    for (guint i = 0; i < group->len; i++)
        answer(self, g_ptr_array_index(group, i));
    g_ptr_array_set_size(group, 0);
    return true;
}

/* What is still here when the store closes without its database. */
static void give_up(Store *self, GPtrArray *group)
{
    StoreRequest *request;

    for (guint i = 0; i < group->len; i++)
        store_request_free(g_ptr_array_index(group, i));
    g_ptr_array_set_size(group, 0);
    try_again(self);
    while ((request = g_queue_pop_head(&self->held)) != NULL)
        store_request_free(request);
}

static void serve(Store *self, GPtrArray *group)
{
    while (group->len > 0 && !run_group(self, group)) {
        if (!regain(self, group))
            give_up(self, group);
    }
    for (guint i = 0; i < group->len; i++) {
        StoreRequest *request = g_ptr_array_index(group, i);
        bool stored = request->writes && request->result->error == NULL;

        if (put_off(self, request))
            continue;
        answer(self, request);
        if (stored)
            note_room(self);
    }
}

/* the thread */

/* Patient writes stay behind those that were put off. NULL: it is there now. */
static StoreRequest *pass(Store *self, StoreRequest *request)
{
    if (request == NULL || !request->patient || !request->writes || self->put_off.length == 0)
        return request;
    g_queue_push_tail(&self->put_off, request);
    return NULL;
}

static StoreRequest *take_request(Store *self)
{
    for (;;) {
        StoreRequest *request;

        if (clock_now_us() >= self->again_us)
            try_again(self);
        request = g_queue_pop_head(&self->held);
        if (request == NULL)
            request = mailbox_take(self->requests);
        if (request == NULL)
            return NULL;
        request = pass(self, request);
        if (request != NULL)
            return request;
    }
}

/* Looks at the database while nothing is asked: notices, and whether it is still there. */
static void watch_database(Store *self)
{
    g_autoptr(GPtrArray) nothing = g_ptr_array_new();

    take_notices(self);
    if (db_is_lost(self->db) && !regain(self, nothing))
        give_up(self, nothing);
}

/* Until somebody asks, the database has news, or what was put off has its turn. */
static StoreRequest *wait_for_turn(Store *self)
{
    int64_t until_us = self->put_off.length == 0 ? INT64_MAX : self->again_us;
    int64_t left_us = MAX(until_us - clock_now_us(), 0);
    struct pollfd fds[2] = {{.events = POLLIN}, {.fd = db_fd(self->db), .events = POLLIN}};

    if (fds[1].fd < 0)
        return pass(self, mailbox_wait(self->requests, until_us));
    fds[0].fd = mailbox_fd(self->requests);
    /* interrupted: looks again */
    (void)poll(fds, G_N_ELEMENTS(fds), until_us == INT64_MAX ? -1 : (int)(left_us / 1000) + 1);
    if (fds[1].revents != 0)
        watch_database(self);
    return NULL;
}

/* NULL: the store is being closed, and what was put off has had its last chance. */
static StoreRequest *wait_for_request(Store *self)
{
    StoreRequest *request = take_request(self);

    while (request == NULL && !self->ending) {
        self->ending = mailbox_is_closed(self->requests);
        if (self->ending)
            try_again(self);
        else
            request = wait_for_turn(self);
        if (request == NULL)
            request = take_request(self);
    }
    return request;
}

static gpointer store_main(gpointer data)
{
    Store *self = data;
    g_autoptr(GPtrArray) nothing = g_ptr_array_new();
    StoreRequest *request;

    while ((request = wait_for_request(self)) != NULL) {
        g_autoptr(GPtrArray) group = g_ptr_array_new();
        g_autoptr(GPtrArray) glances = g_ptr_array_new();
        bool alone = request->alone;

        do {
            g_ptr_array_add(request->glance ? glances : group, request);
        } while (!alone && group->len + glances->len < GROUP_MAX &&
                 (request = take_request(self)) != NULL);
        serve(self, glances);
        serve(self, group);
        take_notices(self);
    }
    give_up(self, nothing);
    return NULL;
}

/* main loop's side */

static void on_answer(gpointer message, gpointer data)
{
    StoreRequest *request = message;

    (void)data;
    request->free_data = NULL; /* taken */
    request->on_result(g_steal_pointer(&request->result), request->data);
    store_request_free(request);
}

static void free_request(gpointer message)
{
    store_request_free(message);
}

static void on_news(gpointer message, gpointer data)
{
    News *news = message;
    const Store *self = data;

    if (self->on_change != NULL)
        self->on_change(news->kind, news->table, news->text, self->on_change_data);
    free_news(news);
}

Store *store_open(const StoreSettings *settings, GError **error)
{
    const char *owner = settings->owner != NULL ? settings->owner : "";
    DbTarget target = {.kind = settings->conninfo != NULL ? DB_POSTGRES : DB_SQLITE,
                       .path = settings->path,
                       .conninfo = settings->conninfo,
                       .password = settings->password,
                       .schema = settings->schema,
                       .owner = owner,
                       .migrations = SQL_CLUSTER_MIGRATIONS};
    Db *db = db_open(&target, error);
    Store *self;

    if (db == NULL)
        return NULL;
    self = g_new0(Store, 1);
    self->db = db;
    self->owner = g_strdup(owner);
    self->private = target.kind == DB_SQLITE;
    self->wait_us = (int64_t)settings->wait_ms * 1000;
    self->requests = mailbox_new(free_request);
    self->answers = mailbox_new(free_request);
    self->passwords = mailbox_new(free_password);
    self->failures = mailbox_new(g_free);
    self->changes = mailbox_new(free_news);
    self->source = mailbox_attach(self->answers, NULL, on_answer, self);
    self->changes_source = mailbox_attach(self->changes, NULL, on_news, self);
    g_queue_init(&self->held);
    g_queue_init(&self->put_off);
    self->thread = g_thread_new("store", store_main, self);
    return self;
}

void store_set_password(Store *self, const char *password)
{
    (void)mailbox_post(self->passwords, g_strdup(password)); /* never closed */
}

void store_watch(Store *self, StoreWatcher on_change, gpointer data)
{
    self->on_change = on_change;
    self->on_change_data = data;
}

void store_close(Store *self)
{
    if (self == NULL)
        return;
    mailbox_close(self->requests);     /* what is inside is still taken */
    (void)g_thread_join(self->thread); /* nothing is returned */
    g_source_remove(self->source);
    g_source_remove(self->changes_source);
    mailbox_close(self->answers);
    mailbox_unref(self->answers);
    mailbox_unref(self->requests);
    mailbox_unref(self->passwords);
    mailbox_unref(self->failures);
    mailbox_unref(self->changes);
    db_close(self->db);
    g_free(self->owner);
    g_free(self);
}

static void submit(Store *self, StoreRequest *request)
{
    (void)mailbox_post(self->requests, request); /* closed only when nobody may ask any more */
}

Reply *store_begin(Store *self, StoreRequest *request)
{
    Reply *reply = reply_new((GDestroyNotify)store_result_free);

    request->reply = reply_ref(reply);
    submit(self, request);
    return reply;
}

StoreResult *store_execute(Store *self, StoreRequest *request)
{
    g_autoptr(Reply) reply = store_begin(self, request);
    gpointer value = NULL;

    (void)reply_wait(reply, INT64_MAX, &value); /* the store always answers */
    return value;
}

void store_submit(Store *self, StoreRequest *request, StoreCallback on_result, gpointer data)
{
    store_submit_owned(self, request, on_result, data, NULL);
}

void store_submit_owned(Store *self, StoreRequest *request, StoreCallback on_result, gpointer data,
                        GDestroyNotify free_data)
{
    request->on_result = on_result;
    request->data = data;
    request->free_data = free_data;
    submit(self, request);
}

void store_post(Store *self, StoreRequest *request)
{
    request->patient = true;
    submit(self, request);
}

bool store_is_away(const GError *error)
{
    return g_error_matches(error, BASE_ERROR, BASE_ERROR_UNREACHABLE) ||
           g_error_matches(error, BASE_ERROR, BASE_ERROR_NO_SPACE);
}

bool store_is_private(const Store *self)
{
    return self->private;
}

char *store_dup_last_failure(Store *self)
{
    char *last = NULL, *next;

    while ((next = mailbox_take(self->failures)) != NULL) {
        g_free(last);
        last = next;
    }
    return last;
}
