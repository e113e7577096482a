/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's thread: takes all requests that wait, runs them in one transaction, syncs the folders they
 * name, commits once, and only then answers each. What comes while a commit is under way makes the next
 * group. Architecture §4 and §5.
 */
#include "daemon/store-private.h"

#include "base/error.h"
#include "base/file.h"

#include <stdatomic.h>
#include <sys/stat.h>

#define GROUP_MAX 512

struct Store {
    Db *db;
    Mailbox *requests; /* StoreRequest * */
    Mailbox *answers;  /* StoreRequest * with result, for the main loop */
    guint source;
    GThread *thread;
    Mailbox *failures; /* char *: newest texts of requests nobody waits for */
};

void store_result_free(StoreResult *result)
{
    if (result == NULL)
        return;
    g_clear_error(&result->error);
    transfer_free(result->transfer);
    if (result->transfers != NULL)
        g_ptr_array_unref(result->transfers);
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

static void answer(Store *self, StoreRequest *request)
{
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

static void run_group(Store *self, GPtrArray *group)
{
    g_autoptr(GError) error = NULL;
    bool begun = db_run(self->db, SQL_BEGIN, &error);

    for (guint i = 0; i < group->len; i++) {
        StoreRequest *request = g_ptr_array_index(group, i);

        request->result = g_new0(StoreResult, 1);
        if (begun)
            request->run(request, self->db, request->result);
    }
    if (!begun || !sync_folders(group, &error) || !db_run(self->db, SQL_COMMIT, &error)) {
        if (begun)
            (void)db_run(self->db, SQL_ROLLBACK, NULL); /* the first error counts */
        fail_group(group, error);
    }
    for (guint i = 0; i < group->len; i++)
        answer(self, g_ptr_array_index(group, i));
}

static gpointer store_main(gpointer data)
{
    Store *self = data;
    StoreRequest *request;

    while ((request = mailbox_wait(self->requests, INT64_MAX)) != NULL) {
        g_autoptr(GPtrArray) group = g_ptr_array_new();

        do {
            g_ptr_array_add(group, request);
        } while (group->len < GROUP_MAX && (request = mailbox_take(self->requests)) != NULL);
        run_group(self, group);
    }
    return NULL;
}

/* main loop's side */

static void on_answer(gpointer message, gpointer data)
{
    StoreRequest *request = message;

    (void)data;
    request->on_result(g_steal_pointer(&request->result), request->data);
    store_request_free(request);
}

static void free_request(gpointer message)
{
    store_request_free(message);
}

Store *store_open(const char *path, GError **error)
{
    Db *db = db_open(path, error);
    Store *self;

    if (db == NULL)
        return NULL;
    self = g_new0(Store, 1);
    self->db = db;
    self->requests = mailbox_new(free_request);
    self->answers = mailbox_new(free_request);
    self->failures = mailbox_new(g_free);
    self->source = mailbox_attach(self->answers, NULL, on_answer, self);
    self->thread = g_thread_new("store", store_main, self);
    return self;
}

void store_close(Store *self)
{
    if (self == NULL)
        return;
    mailbox_close(self->requests);     /* what is inside is still taken */
    (void)g_thread_join(self->thread); /* nothing is returned */
    g_source_remove(self->source);
    mailbox_close(self->answers);
    mailbox_unref(self->answers);
    mailbox_unref(self->requests);
    mailbox_unref(self->failures);
    db_close(self->db);
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
    request->on_result = on_result;
    request->data = data;
    submit(self, request);
}

void store_post(Store *self, StoreRequest *request)
{
    submit(self, request);
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
