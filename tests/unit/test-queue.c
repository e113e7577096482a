/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue with a real store and a real configuration; the test itself stands where connections are: it takes the
 * jobs and brings them back. Order, places, attempts and their delays, cancelling, and what never may be sent again.
 */
#include "base/clock.h"
#include "base/error.h"
#include "daemon/transfer/queue.h"

#include <glib/gstdio.h>
#include <string.h>

#define GOOD       PESIT_DIAG(0, 0)
#define BUSY       PESIT_DIAG(2, 207)
#define PATIENCE_S 20

struct Connection {
    char *partner;
    Job *job; /* NULL: idle */
    unsigned cancels, finishes, aborts, cuts;
};

static GPtrArray *connections; /* those that the queue has open */

/* the connections' side */

Connection *connection_start_outgoing(const ConnectionServices *services, Config *config,
                                      const Partner *partner, TlsContext *tls, Job *first)
{
    Connection *self = g_new0(Connection, 1);

    (void)services;
    (void)config;
    g_assert_null(tls);
    self->partner = g_strdup(partner->name);
    self->job = first;
    g_ptr_array_add(connections, self);
    return self;
}

Order *order_new(OrderKind kind)
{
    Order *order = g_new0(Order, 1);

    order->kind = kind;
    return order;
}

void connection_order(Connection *self, Order *order)
{
    switch (order->kind) {
    case ORDER_JOB:
        g_assert_null(self->job); /* one at a time */
        self->job = order->job;
        break;
    case ORDER_CANCEL:
        g_assert_cmpint(order->id, ==, self->job->transfer->id);
        self->cancels++;
        break;
    case ORDER_FINISH:
        self->finishes++;
        break;
    case ORDER_ABORT:
        self->aborts++;
        break;
    }
    g_free(order);
}

void connection_cut(Connection *self)
{
    self->cuts++;
}

void connection_free(Connection *self)
{
    g_assert_null(self->job);
    g_assert_true(g_ptr_array_remove(connections, self));
    g_free(self->partner);
    g_free(self);
}

TlsContext *tls_context_new_client(const TlsSettings *settings, GError **error)
{
    g_set_error(error, BASE_ERROR, BASE_ERROR_INVALID, "no certificate in '%s'",
                settings->authorities);
    return NULL;
}

void tls_context_unref(TlsContext *context)
{
    g_assert_null(context);
}

/* scene */

typedef struct {
    char *folder;
    Config *config;
    Store *store;
    ConnectionServices services;
    Queue *queue;
    GPtrArray *changes; /* Transfer *: as told */
    unsigned calling;   /* of each partner that called in */
} Scene;

static const char TEXT[] =
        "node = \"A\"; limits: { connections = 5; };\n"
        "paths: { store = \"store.db\"; };\n"
        "partners = ( { name = \"B\"; identifier = \"BB\"; address = \"b.example\"; "
        "outgoing_connections = 1; max_connections = 2;\n"
        "  retry_attempts = 3; retry_delays_s = [ 100, 2000 ];\n"
        "  files = ( { pattern = \"a/*\"; mode = \"send\"; },\n"
        "            { pattern = \"b/*\"; mode = \"send\"; priority = 1; },\n"
        "            { pattern = \"c/*\"; mode = \"send\"; priority = 2; },\n"
        "            { pattern = \"f/*\"; mode = \"fetch\"; } ); },\n"
        "  { name = \"C\"; identifier = \"CC\"; address = \"c.example\"; outgoing_connections = "
        "3;\n"
        "    files = ( { pattern = \"a/*\"; mode = \"send\"; } ); },\n"
        "  { name = \"W\"; identifier = \"WW\"; address = \"w.example\"; profile = "
        "\"pesit-wizard\";\n"
        "    files = ( { pattern = \"a/*\"; mode = \"send\"; } ); },\n"
        "  { name = \"T\"; identifier = \"TT\"; address = \"t.example\"; tls: { enabled = true; "
        "};\n"
        "    files = ( { pattern = \"a/*\"; mode = \"send\"; } ); },\n"
        "  { name = \"N\"; identifier = \"NN\";\n"
        "    files = ( { pattern = \"a/*\"; mode = \"send\"; } ); } );";

static void on_change(const Transfer *transfer, gpointer data)
{
    g_ptr_array_add(((Scene *)data)->changes, transfer_copy(transfer));
}

static unsigned count_calling(const char *partner, gpointer data)
{
    const Scene *scene = data;

    return partner != NULL ? scene->calling : scene->calling * 2;
}

static void free_transfer(gpointer data)
{
    transfer_free(data);
}

static void set_up(Scene *scene, gconstpointer data)
{
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;

    (void)data;
    scene->folder = g_dir_make_tmp("queue-XXXXXX", NULL);
    path = g_build_filename(scene->folder, "pesitd.conf", NULL);
    g_assert_true(g_file_set_contents(path, TEXT, -1, NULL));
    scene->config = config_load(path, &error);
    g_assert_no_error(error);
    scene->store = store_open(&(StoreSettings){.path = scene->config->store_path}, &error);
    g_assert_no_error(error);
    scene->services = (ConnectionServices){.store = scene->store};
    scene->changes = g_ptr_array_new_with_free_func(free_transfer);
    connections = g_ptr_array_new();
    scene->queue = queue_new(&scene->services, scene->config, on_change, scene);
    queue_set_counter(scene->queue, count_calling, scene);
}

static void remove_file(const char *folder, const char *name)
{
    g_autofree char *path = g_build_filename(folder, name, NULL);

    (void)g_unlink(path);
}

static void close_connection(Scene *scene, Connection *connection)
{
    Notice notice = {.kind = NOTICE_CLOSED, .connection = connection};

    g_assert_true(queue_take_notice(scene->queue, &notice));
}

/* A job comes back. text: of its error, or NULL. */
static void end(Scene *scene, Connection *connection, OutcomeKind outcome, PesitDiag diag,
                const char *text)
{
    Job *job = g_steal_pointer(&connection->job);
    Notice notice = {.kind = NOTICE_JOB_DONE, .connection = connection, .job = job};
    g_autoptr(GError) error =
            text != NULL ? g_error_new_literal(BASE_ERROR, BASE_ERROR_PARTNER, text) : NULL;

    g_assert_nonnull(job);
    job_end(job, outcome, diag, error);
    g_assert_true(queue_take_notice(scene->queue, &notice));
    job_free(job);
}

static void on_patience_over(void)
{
    g_error("the store did not answer in %d s", PATIENCE_S);
}

static gboolean on_deadline(gpointer data)
{
    (void)data;
    on_patience_over();
    return G_SOURCE_REMOVE;
}

/* The newest of so many changes told. */
static const Transfer *await_change(Scene *scene, guint count)
{
    guint deadline = g_timeout_add_seconds(PATIENCE_S, on_deadline, NULL);

    while (scene->changes->len < count)
        g_main_context_iteration(NULL, TRUE);
    g_source_remove(deadline);
    g_assert_cmpuint(scene->changes->len, ==, count);
    return g_ptr_array_index(scene->changes, count - 1);
}

static void tear_down(Scene *scene, gconstpointer data)
{
    static const char *const NAMES[] = {"pesitd.conf", "store.db", "store.db-wal", "store.db-shm"};

    (void)data;
    queue_finish(scene->queue);
    while (connections->len > 0) {
        Connection *connection = g_ptr_array_index(connections, 0);

        if (connection->job != NULL)
            end(scene, connection, OUTCOME_RETURNED, GOOD, NULL);
        close_connection(scene, connection);
    }
    /* it answers in order: behind this nothing is left to be told */
    store_result_free(store_execute(scene->store, store_request_count("end")));
    while (g_main_context_iteration(NULL, FALSE))
        continue;
    store_close(scene->store);
    queue_free(scene->queue);
    g_ptr_array_unref(connections);
    g_ptr_array_unref(scene->changes);
    config_unref(scene->config);
    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++)
        remove_file(scene->folder, NAMES[i]);
    g_assert_cmpint(g_rmdir(scene->folder), ==, 0);
    g_free(scene->folder);
}

static int64_t add_full(Scene *scene, const char *partner, const char *path,
                        TransferDirection direction, bool end_sent)
{
    g_autoptr(Transfer) transfer = transfer_new();
    g_autoptr(StoreResult) result = NULL;
    int64_t id;

    transfer->direction = direction;
    transfer->state = TRANSFER_QUEUED;
    transfer->partner = g_strdup(partner);
    transfer->path = g_strdup(path);
    transfer->size_bytes = 1000;
    transfer->end_sent = end_sent;
    result = store_execute(scene->store, store_request_insert(transfer, NULL, 0));
    g_assert_no_error(result->error);
    id = result->transfer->id;
    queue_add(scene->queue, g_steal_pointer(&result->transfer));
    return id;
}

static int64_t add(Scene *scene, const char *partner, const char *path)
{
    return add_full(scene, partner, path, DIRECTION_SEND, false);
}

static Connection *only(void)
{
    g_assert_cmpuint(connections->len, ==, 1);
    return g_ptr_array_index(connections, 0);
}

static Connection *doing(int64_t id)
{
    for (guint i = 0; i < connections->len; i++) {
        Connection *connection = g_ptr_array_index(connections, i);

        if (connection->job != NULL && connection->job->transfer->id == id)
            return connection;
    }
    return NULL;
}

static TransferState state_of(const Scene *scene, int64_t id)
{
    const Transfer *transfer = queue_find(scene->queue, id, NULL);

    return transfer != NULL ? transfer->state : TRANSFER_STAGED; /* STAGED: not here */
}

/* order */

/* One connection: first by priority, then as they came. */
static void test_order(Scene *scene, gconstpointer data)
{
    static const char *const PATHS[] = {"a/running", "c/1", "b/1", "a/1", "c/2", "a/2", "b/2"};
    static const char *const EXPECTED[] = {"a/running", "a/1", "a/2", "b/1", "b/2", "c/1", "c/2"};
    guint count = G_N_ELEMENTS(PATHS);

    (void)data;
    for (guint i = 0; i < count; i++)
        (void)add(scene, "B", PATHS[i]);
    for (guint i = 0; i < count; i++) {
        g_assert_cmpstr(only()->job->transfer->path, ==, EXPECTED[i]);
        end(scene, only(), OUTCOME_DONE, GOOD, NULL);
    }
    g_assert_null(only()->job);
    (void)await_change(scene, count);
    for (guint i = 0; i < count; i++)
        g_assert_cmpint(((Transfer *)scene->changes->pdata[i])->state, ==, TRANSFER_DONE);
}

static void test_places(Scene *scene, gconstpointer data)
{
    int64_t first = add(scene, "C", "a/1"), second, last;

    (void)data;
    second = add(scene, "C", "a/2");
    (void)add(scene, "C", "a/3");
    last = add(scene, "C", "a/4");
    g_assert_cmpuint(connections->len, ==, 3);
    g_assert_cmpuint(queue_count_connections(scene->queue, "C"), ==, 3);
    g_assert_cmpuint(queue_count_connections(scene->queue, "B"), ==, 0);
    g_assert_null(doing(last));
    g_assert_cmpint(state_of(scene, last), ==, TRANSFER_QUEUED);
    (void)add(scene, "B", "a/1"); /* has its own places */
    g_assert_cmpuint(connections->len, ==, 4);
    end(scene, doing(second), OUTCOME_DONE, GOOD, NULL);
    g_assert_nonnull(doing(last)); /* on the connection that became free */
    g_assert_cmpuint(connections->len, ==, 4);
    g_assert_nonnull(doing(first));
}

/* Who called in takes places of the partner, and of all. */
static void test_who_called_in(Scene *scene, gconstpointer data)
{
    int64_t id;

    (void)data;
    scene->calling = 2;
    id = add(scene, "B", "a/1");
    g_assert_null(doing(id));
    queue_take_room(scene->queue); /* none left */
    g_assert_null(doing(id));
    scene->calling = 1;
    queue_take_room(scene->queue);
    g_assert_nonnull(doing(id));
    scene->calling = 2; /* 4 of 5 called in, and one is ours */
    id = add(scene, "C", "a/1");
    g_assert_null(doing(id));
    end(scene, only(), OUTCOME_DONE, GOOD, NULL);
    close_connection(scene, only());
    g_assert_nonnull(doing(id)); /* another partner's place */
}

/* Who works is left alone, who only waits for work goes, one at a time. */
static void test_make_room(Scene *scene, gconstpointer data)
{
    int64_t busy = add(scene, "C", "a/1"), done = add(scene, "C", "a/2");
    Connection *idle = doing(done), *working = doing(busy);

    (void)data;
    g_assert_true(idle != NULL && working != NULL);
    queue_make_room(scene->queue, "C");
    g_assert_cmpuint(idle->finishes, ==, 0);
    end(scene, idle, OUTCOME_DONE, GOOD, NULL);
    queue_make_room(scene->queue, "B");
    g_assert_cmpuint(idle->finishes, ==, 0);
    queue_make_room(scene->queue, "C");
    queue_make_room(scene->queue, NULL); /* there is no other */
    g_assert_cmpuint(idle->finishes, ==, 1);
    g_assert_cmpuint(working->finishes, ==, 0);
    g_assert_null(idle->job);
    (void)add(scene, "C", "a/3"); /* not on one that leaves */
    g_assert_null(idle->job);
    close_connection(scene, idle);
}

/* attempts */

static void assert_delay(const Transfer *transfer, int64_t delay_s)
{
    int64_t left_us = transfer->next_retry_us - clock_wall_us();

    g_assert_cmpint(transfer->state, ==, TRANSFER_WAITING);
    g_assert_cmpint(left_us, <=, delay_s * USEC_PER_SEC);
    g_assert_cmpint(left_us, >, (delay_s - PATIENCE_S) * USEC_PER_SEC);
}

static void test_delays(Scene *scene, gconstpointer data)
{
    int64_t id = add(scene, "B", "a/1");
    const Transfer *told;

    (void)data;
    end(scene, only(), OUTCOME_RETRY, BUSY, "busy");
    told = await_change(scene, 1);
    assert_delay(told, 100);
    g_assert_cmpuint(told->attempts, ==, 1);
    g_assert_cmpuint(told->diag_code, ==, 207);
    g_assert_cmpstr(told->error, ==, "busy");
    g_assert_null(only()->job); /* it waits */
    g_assert_true(queue_retry(scene->queue, id, NULL));
    g_assert_nonnull(doing(id));
    end(scene, only(), OUTCOME_RETRY, BUSY, "busy");
    assert_delay(await_change(scene, 2), 2000); /* the last delay stays */
    g_assert_true(queue_retry(scene->queue, id, NULL));
    end(scene, only(), OUTCOME_RETRY, BUSY, "busy");
    told = await_change(scene, 3);
    g_assert_cmpint(told->state, ==, TRANSFER_FAILED);
    g_assert_cmpuint(told->attempts, ==, 3);
    g_assert_cmpint(told->next_retry_us, ==, 0);
    g_assert_cmpint(told->finished_us, >, 0);
    g_assert_cmpint(state_of(scene, id), ==, TRANSFER_STAGED);
    g_assert_false(queue_retry(scene->queue, id, NULL));
}

/* The count begins again when something got through, and a delay that the partner asks for does not count. */
static void test_what_counts(Scene *scene, gconstpointer data)
{
    int64_t id = add(scene, "B", "a/1");

    (void)data;
    for (guint i = 1; i <= 6; i++) {
        only()->job->progressed = true;
        end(scene, only(), OUTCOME_RETRY, BUSY, "busy");
        g_assert_cmpuint(await_change(scene, i)->attempts, ==, 1);
        g_assert_true(queue_retry(scene->queue, id, NULL));
    }
    for (guint i = 7; i <= 12; i++) {
        end(scene, only(), OUTCOME_RETRY_LATER, PESIT_DIAG(3, 322), "later");
        g_assert_cmpuint(await_change(scene, i)->attempts, ==, 1);
        g_assert_true(queue_retry(scene->queue, id, NULL));
    }
    end(scene, only(), OUTCOME_FAILED, PESIT_DIAG(2, 204), "exists");
    g_assert_cmpint(await_change(scene, 13)->state, ==, TRANSFER_FAILED);
}

/* One that waits does not stand in the way, and comes in its turn when its time is there. */
static void test_others_pass(Scene *scene, gconstpointer data)
{
    int64_t first = add(scene, "B", "a/1"), second = add(scene, "B", "a/2"), third;

    (void)data;
    end(scene, only(), OUTCOME_RETRY, BUSY, "busy");
    g_assert_nonnull(doing(second));
    third = add(scene, "B", "a/3");
    g_assert_true(queue_retry(scene->queue, first, NULL));
    g_assert_false(queue_retry(scene->queue, first, NULL)); /* it does not wait any more */
    end(scene, only(), OUTCOME_DONE, GOOD, NULL);
    g_assert_nonnull(doing(first)); /* the older before the newer */
    end(scene, only(), OUTCOME_DONE, GOOD, NULL);
    g_assert_nonnull(doing(third));
}

/* A connection that went before it began: at once again, on another. */
static void test_returned(Scene *scene, gconstpointer data)
{
    int64_t id = add(scene, "B", "a/1");
    Connection *gone = only();

    (void)data;
    end(scene, gone, OUTCOME_RETURNED, GOOD, NULL);
    g_assert_null(gone->job); /* it leaves */
    g_assert_cmpint(state_of(scene, id), ==, TRANSFER_QUEUED);
    close_connection(scene, gone);
    g_assert_nonnull(doing(id));
    g_assert_cmpuint(queue_find(scene->queue, id, NULL)->attempts, ==, 0);
}

/* cancelling */

static void test_cancel_waiting(Scene *scene, gconstpointer data)
{
    int64_t running = add(scene, "B", "a/1"), queued = add(scene, "B", "a/2");

    (void)data;
    g_assert_true(queue_cancel(scene->queue, queued, NULL));
    g_assert_cmpint(await_change(scene, 1)->state, ==, TRANSFER_CANCELLED);
    end(scene, only(), OUTCOME_RETRY, BUSY, "busy");
    (void)await_change(scene, 2);
    g_assert_true(queue_cancel(scene->queue, running, NULL));
    g_assert_cmpint(await_change(scene, 3)->state, ==, TRANSFER_CANCELLED);
    g_assert_null(only()->job);
}

static void cancel_running(Scene *scene, OutcomeKind outcome, TransferState expected)
{
    int64_t id = add(scene, "B", "a/1"), next = add(scene, "B", "a/2");
    Connection *connection = doing(id);
    g_autoptr(GError) error = NULL;
    guint told = scene->changes->len;

    g_assert_true(queue_cancel(scene->queue, id, NULL));
    g_assert_cmpuint(connection->cancels, ==, 1);
    g_assert_true(atomic_load(&connection->job->progress->cancelled));
    connection->cancels = 0;
    end(scene, connection, outcome, GOOD, NULL);
    g_assert_cmpint(await_change(scene, told + 1)->state, ==, expected);
    g_assert_false(queue_cancel(scene->queue, id, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_NOT_FOUND);
    if (outcome == OUTCOME_RETURNED)
        close_connection(scene, connection);
    g_assert_nonnull(doing(next));
    end(scene, doing(next), OUTCOME_DONE, GOOD, NULL);
    (void)await_change(scene, told + 2);
}

/* However the attempt ends, it is not tried again; what was done stays done. */
static void test_cancel_running(Scene *scene, gconstpointer data)
{
    (void)data;
    cancel_running(scene, OUTCOME_CANCELLED, TRANSFER_CANCELLED);
    cancel_running(scene, OUTCOME_RETRY, TRANSFER_CANCELLED);
    cancel_running(scene, OUTCOME_RETRY_LATER, TRANSFER_CANCELLED);
    cancel_running(scene, OUTCOME_DONE, TRANSFER_DONE);
    cancel_running(scene, OUTCOME_FAILED, TRANSFER_FAILED);
    cancel_running(scene, OUTCOME_RETURNED, TRANSFER_CANCELLED);
}

/* never twice */

static void end_after_trans_end(Scene *scene, uint64_t bytes)
{
    Connection *connection = only();

    connection->job->transfer->end_sent = true;
    atomic_store(&connection->job->progress->bytes, bytes);
    end(scene, connection, OUTCOME_RETRY, PESIT_DIAG(3, 310), "connection lost");
}

/* The answer to TRANS.END is missing: restarted where that is possible, else left to a person. */
static void test_may_have_arrived(Scene *scene, gconstpointer data)
{
    int64_t id = add(scene, "W", "a/1");
    const Transfer *told;

    (void)data;
    end_after_trans_end(scene, 1000);
    told = await_change(scene, 1);
    g_assert_cmpint(told->state, ==, TRANSFER_FAILED);
    g_assert_true(told->end_sent);
    g_assert_nonnull(strstr(told->error, "the partner may have the file"));
    close_connection(scene, only());
    id = add(scene, "B", "a/1");
    end_after_trans_end(scene, 1000);
    told = await_change(scene, 2);
    g_assert_cmpint(told->state, ==, TRANSFER_WAITING);
    g_assert_true(told->end_sent); /* the next attempt is a restart */
    g_assert_true(queue_retry(scene->queue, id, NULL));
    end_after_trans_end(scene, 999); /* not to the last byte; but the first attempt was */
    g_assert_true(await_change(scene, 3)->end_sent);
    g_assert_true(queue_retry(scene->queue, id, NULL));
    g_assert_true(only()->job->unresolved);
    only()->job->unresolved = false; /* the partner said that it does not have it */
    end_after_trans_end(scene, 999);
    g_assert_false(await_change(scene, 4)->end_sent);
}

/* Found like that after a start. */
static void test_interrupted_before(Scene *scene, gconstpointer data)
{
    const Transfer *told;

    (void)data;
    (void)add_full(scene, "W", "a/1", DIRECTION_SEND, true);
    told = await_change(scene, 1);
    g_assert_cmpint(told->state, ==, TRANSFER_FAILED);
    g_assert_nonnull(strstr(told->error, "ask it before sending again"));
    g_assert_cmpuint(connections->len, ==, 0);
    (void)add_full(scene, "B", "a/1", DIRECTION_SEND, true);
    g_assert_nonnull(only()->job);
}

/* rules */

static void check_no_rule(Scene *scene, const char *partner, const char *path,
                          TransferDirection direction, const char *text)
{
    guint told = scene->changes->len;
    const Transfer *transfer;

    (void)add_full(scene, partner, path, direction, false);
    transfer = await_change(scene, told + 1);
    g_assert_cmpint(transfer->state, ==, TRANSFER_FAILED);
    g_assert_nonnull(strstr(transfer->error, text));
    g_assert_cmpuint(transfer->cause, >, 0);
    g_assert_cmpuint(connections->len, ==, 0);
}

static void test_no_rule(Scene *scene, gconstpointer data)
{
    (void)data;
    check_no_rule(scene, "Z", "a/1", DIRECTION_SEND, "is not configured any more");
    check_no_rule(scene, "B", "z/1", DIRECTION_SEND, "has no virtual file for this path");
    check_no_rule(scene, "B", "f/1", DIRECTION_SEND, "has no virtual file for this path");
    check_no_rule(scene, "B", "a/1", DIRECTION_FETCH, "has no virtual file for this path");
    check_no_rule(scene, "N", "a/1", DIRECTION_SEND, "has no address to call");
    check_no_rule(scene, "T", "a/1", DIRECTION_SEND, "no certificate in");
}

static void test_touch(Scene *scene, gconstpointer data)
{
    int64_t id = add(scene, "B", "a/1");
    const Transfer *told;

    (void)data;
    queue_touch(scene->queue, id, 0640, 77); /* while it runs */
    end(scene, only(), OUTCOME_DONE, GOOD, NULL);
    told = await_change(scene, 1);
    g_assert_cmpuint(told->mode, ==, 0640);
    g_assert_cmpint(told->mtime_us, ==, 77);
    queue_touch(scene->queue, id, 0600, 78); /* gone: nothing happens */
}

static void test_finish(Scene *scene, gconstpointer data)
{
    int64_t id;

    (void)data;
    (void)add(scene, "B", "a/1");
    id = add(scene, "B", "a/2");
    queue_finish(scene->queue);
    g_assert_cmpuint(only()->finishes, ==, 1);
    end(scene, only(), OUTCOME_DONE, GOOD, NULL);
    g_assert_null(only()->job);
    g_assert_cmpint(state_of(scene, id), ==, TRANSFER_QUEUED); /* for the next start */
    (void)add(scene, "C", "a/1");
    g_assert_cmpuint(connections->len, ==, 1);
    queue_abort(scene->queue, PESIT_DIAG(3, 316));
    queue_cut(scene->queue);
    g_assert_cmpuint(only()->aborts, ==, 1);
    g_assert_cmpuint(only()->cuts, ==, 1);
    close_connection(scene, only());
    g_assert_cmpuint(queue_count_connections(scene->queue, NULL), ==, 0);
}

/* diagnostics: the policy of procedures §9.10, every code of annex D */

static void test_outcomes(void)
{
    static const uint16_t AGAIN[] = {100, 201, 202, 203, 206, 207, 213, 215, 218, 219, 221, 223,
                                     299, 300, 303, 309, 310, 312, 313, 314, 316, 317, 320, 399};
    static const uint16_t NEVER[] = {200, 204, 205, 208, 209, 210, 211, 212, 214, 216,
                                     217, 220, 222, 224, 225, 226, 301, 302, 304, 305,
                                     306, 307, 308, 311, 315, 318, 319, 321};

    for (size_t i = 0; i < G_N_ELEMENTS(AGAIN); i++) {
        PesitDiag diag = PESIT_DIAG((uint8_t)(AGAIN[i] / 100), AGAIN[i]);

        g_test_message("%u", diag.code);
        g_assert_cmpint(outcome_from_diag(diag, 0), ==, OUTCOME_RETRY);
        g_assert_cmpint(outcome_from_diag(diag, PESIT_END_ERROR), ==, OUTCOME_RETRY);
        g_assert_cmpint(outcome_from_diag(diag, PESIT_END_SUSPENDED), ==, OUTCOME_RETRY);
        g_assert_cmpint(outcome_from_diag(diag, PESIT_END_CANCELLED_SERVER), ==, OUTCOME_FAILED);
        g_assert_cmpint(outcome_from_diag(diag, PESIT_END_CANCELLED_REQUESTER), ==, OUTCOME_FAILED);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(NEVER); i++) {
        PesitDiag diag = PESIT_DIAG((uint8_t)(NEVER[i] / 100), NEVER[i]);

        g_test_message("%u", diag.code);
        g_assert_cmpint(outcome_from_diag(diag, 0), ==, OUTCOME_FAILED);
    }
    g_assert_cmpint(outcome_from_diag(PESIT_DIAG(3, 322), 0), ==, OUTCOME_RETRY_LATER);
}

static void test_job_end(Scene *scene, gconstpointer data)
{
    g_autoptr(GError) ours = g_error_new_literal(BASE_ERROR, BASE_ERROR_NO_SPACE, "full");
    g_autoptr(GError) foreign = g_error_new_literal(G_FILE_ERROR, 0, "foreign");
    Job *job = job_new(scene->config, NULL, NULL, transfer_new());

    (void)data;
    g_assert_cmpint(job->outcome, ==, OUTCOME_RETURNED); /* until somebody says more */
    job_end(job, OUTCOME_RETRY, BUSY, ours);
    g_assert_cmpint(job->outcome, ==, OUTCOME_RETRY);
    g_assert_cmpuint(job->transfer->diag_type, ==, 2);
    g_assert_cmpuint(job->transfer->diag_code, ==, 207);
    g_assert_cmpuint(job->transfer->cause, ==, BASE_ERROR_NO_SPACE + 1);
    g_assert_cmpstr(job->transfer->error, ==, "full");
    job_end(job, OUTCOME_RETRY, GOOD, foreign);
    g_assert_cmpuint(job->transfer->cause, ==, 0);
    job_end(job, OUTCOME_DONE, GOOD, NULL);
    g_assert_cmpuint(job->transfer->diag_code, ==, 0);
    g_assert_null(job->transfer->error);
    job_free(job);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*run)(Scene *scene, gconstpointer data);
    } TESTS[] = {
            {"/queue/order", test_order},
            {"/queue/places", test_places},
            {"/queue/who-called-in", test_who_called_in},
            {"/queue/make-room", test_make_room},
            {"/queue/delays", test_delays},
            {"/queue/what-counts", test_what_counts},
            {"/queue/others-pass", test_others_pass},
            {"/queue/returned", test_returned},
            {"/queue/cancel-waiting", test_cancel_waiting},
            {"/queue/cancel-running", test_cancel_running},
            {"/queue/may-have-arrived", test_may_have_arrived},
            {"/queue/interrupted-before", test_interrupted_before},
            {"/queue/no-rule", test_no_rule},
            {"/queue/touch", test_touch},
            {"/queue/finish", test_finish},
            {"/job/end", test_job_end},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add(TESTS[i].path, Scene, NULL, set_up, TESTS[i].run, tear_down);
    g_test_add_func("/job/outcomes", test_outcomes);
    return g_test_run();
}
