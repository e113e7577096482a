/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two nodes in one process over a loopback socket: real configuration, store, spool, threads and files. What
 * COMPANY sends stands in BANK1's inbox, what BANK1 offers arrives, refusals carry their diagnostic.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "daemon/net/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
    char *folder;
    Config *config;
    Store *store;
    Spool *spool;
    Mailbox *notices;
    ConnectionServices services;
    Job *done; /* what came back */
    unsigned closed;
} Node;

typedef struct {
    char *folder;
    Node company, bank;
    int listen_fd;
    uint16_t port;
} Pair;

static void free_notice(gpointer message)
{
    notice_free(message);
}

static void open_node(Node *node, const char *folder, const char *name, const char *text)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;

    node->folder = g_build_filename(folder, name, NULL);
    g_assert_cmpint(g_mkdir(node->folder, 0700), ==, 0);
    path = g_build_filename(node->folder, "pesitd.conf", NULL);
    g_assert_true(g_file_set_contents(path, text, -1, NULL));
    node->config = config_load(path, &error);
    g_assert_no_error(error);
    node->store = store_open(&(StoreSettings){.path = node->config->store_path}, &error);
    g_assert_no_error(error);
    node->spool = spool_open(node->config->spool_path, node->config->inbox_path, 0, &error);
    g_assert_no_error(error);
    node->notices = mailbox_new(free_notice);
    node->services = (ConnectionServices){node->store, node->spool, node->notices};
}

static void close_node(Node *node)
{
    job_free(node->done);
    store_close(node->store);
    spool_close(node->spool);
    mailbox_unref(node->notices);
    config_unref(node->config);
    g_free(node->folder);
}

static void set_up(Pair *pair, gconstpointer data)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    g_autofree char *company = NULL;

    (void)data;
    pair->folder = g_dir_make_tmp("connection-XXXXXX", NULL);
    pair->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(bind(pair->listen_fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(listen(pair->listen_fd, 4), ==, 0);
    g_assert_cmpint(getsockname(pair->listen_fd, (struct sockaddr *)&address, &length), ==, 0);
    pair->port = ntohs(address.sin_port);
    company = g_strdup_printf(
            "node = \"COMPANY\"; paths: { spool = \"spool\"; inbox = \"inbox\"; store = "
            "\"store.db\"; };\n"
            "partners = ( { name = \"BANK1\"; identifier = \"BANK1\"; address = \"127.0.0.1\"; "
            "port = %u;\n"
            "  password_sent = \"secret\"; sync_interval_kb = 32; sync_window = 2;\n"
            "  files = ( { pattern = \"out/*\"; mode = \"send\"; },\n"
            "            { pattern = \"texte/*\"; mode = \"send\"; format = \"text\"; file_name = "
            "\"T.{name}\"; },\n"
            "            { pattern = \"inconnu/*\"; mode = \"send\"; file_name = \"NO.{name}\"; "
            "file_type = 9; },\n"
            "            { pattern = \"releves/*\"; mode = \"fetch\"; file_name = \"RELEVE\"; } ); "
            "} );\n",
            pair->port);
    open_node(&pair->company, pair->folder, "company", company);
    open_node(&pair->bank, pair->folder, "bank",
              "node = \"BANK1\"; paths: { spool = \"spool\"; inbox = \"inbox\"; store = "
              "\"store.db\"; };\n"
              "partners = ( { name = \"COMPANY\"; identifier = \"COMPANY\"; password_received = "
              "\"secret\";\n"
              "  files = ( { pattern = \"texte/*\"; mode = \"receive\"; format = \"text\"; "
              "file_name = \"T.{name}\"; },\n"
              "            { pattern = \"in/*\"; mode = \"receive\"; },\n"
              "            { pattern = \"dispo/*\"; mode = \"offer\"; } ); } );\n");
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;

    while (folder != NULL && (name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        remove_tree(child);
    }
    g_assert_cmpint(g_remove(path), ==, 0);
}

static void tear_down(Pair *pair, gconstpointer data)
{
    (void)data;
    close_node(&pair->company);
    close_node(&pair->bank);
    close(pair->listen_fd);
    remove_tree(pair->folder);
    g_free(pair->folder);
}

/* What a main loop does, until a connection has closed. */
static void serve_notices(Node *node)
{
    while (node->closed == 0) {
        Notice *notice = mailbox_wait(node->notices, clock_now_us() + 20 * USEC_PER_SEC);

        g_assert_nonnull(notice);
        if (notice->reply != NULL)
            reply_post(notice->reply, GINT_TO_POINTER(VERDICT_YES));
        if (notice->kind == NOTICE_JOB_DONE) {
            node->done = g_steal_pointer(&notice->job);
            connection_order(notice->connection, order_new(ORDER_FINISH));
        }
        if (notice->kind == NOTICE_CLOSED) {
            connection_free(notice->connection);
            node->closed++;
        }
        notice_free(notice);
    }
}

static gpointer run_bank(gpointer data)
{
    Pair *pair = data;
    int fd = accept4(pair->listen_fd, NULL, NULL, SOCK_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    (void)connection_start_incoming(&pair->bank.services, pair->bank.config, fd, "127.0.0.1", "L1",
                                    NULL);
    serve_notices(&pair->bank);
    return NULL;
}

static char *make_bytes(size_t length, bool text)
{
    char *bytes = g_malloc(length + 1);

    for (size_t i = 0; i < length; i++)
        bytes[i] =
                text ? (i % 71 == 70 ? '\n' : (char)('a' + i % 26)) : (char)(i * 2654435761u >> 13);
    bytes[length] = '\0';
    return bytes;
}

/* A committed transfer of a node, as the mount would leave it. */
static Transfer *commit(Node *node, TransferDirection direction, const char *partner,
                        const char *path, const char *file_name, const char *bytes, size_t length)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Transfer) transfer = transfer_new();
    g_autoptr(StoreResult) result = NULL;
    int64_t name = spool_next_name(node->spool);
    g_auto(Fd) fd = spool_stage(node->spool, name, &error);
    int folder_fd;

    g_assert_no_error(error);
    g_assert_true(file_write_at(fd, bytes, length, 0, NULL));
    folder_fd = spool_commit_staged(node->spool, name, &error);
    g_assert_no_error(error);
    transfer->direction = direction;
    transfer->state = TRANSFER_QUEUED;
    transfer->partner = g_strdup(partner);
    transfer->path = g_strdup(path);
    transfer->file_name = g_strdup(file_name);
    transfer->mtime_us = clock_wall_us();
    transfer->spool_name = g_strdup_printf("%" G_GINT64_FORMAT, name);
    transfer->data_kept = true;
    result = store_execute(node->store, store_request_insert(transfer, &folder_fd, 1));
    g_assert_no_error(result->error);
    return g_steal_pointer(&result->transfer);
}

/* One job through one connection. */
static void exchange(Pair *pair, Transfer *transfer, bool writing)
{
    Node *company = &pair->company;
    const Partner *partner = config_find_partner(company->config, "BANK1");
    const VirtualFile *file = rule_find_by_path(partner->files, transfer->path, writing);
    GThread *bank = g_thread_new("bank", run_bank, pair);

    g_assert_nonnull(file);
    (void)connection_start_outgoing(&company->services, company->config, partner, NULL,
                                    job_new(company->config, partner, file, transfer));
    serve_notices(company);
    g_thread_join(bank);
    g_assert_nonnull(company->done);
    if (company->done->transfer->error != NULL)
        g_test_message("%s", company->done->transfer->error);
}

static void assert_file(const char *folder, const char *path, const char *bytes, size_t length)
{
    g_autofree char *full = g_build_filename(folder, path, NULL);
    g_autofree char *got = NULL;
    gsize got_length = 0;

    g_assert_true(g_file_get_contents(full, &got, &got_length, NULL));
    g_assert_cmpmem(got, got_length, bytes, length);
}

static TransferState bank_state(Pair *pair, TransferDirection direction)
{
    g_autoptr(StoreResult) result =
            store_execute(pair->bank.store, store_request_history(NULL, 0, 1u << direction, 0, 1));

    g_assert_no_error(result->error);
    g_assert_cmpuint(result->transfers->len, ==, 1);
    return ((Transfer *)result->transfers->pdata[0])->state;
}

static void test_send(Pair *pair, gconstpointer data)
{
    size_t length = 3 * 1024 * 1024 + 17;
    g_autofree char *bytes = make_bytes(length, false);

    (void)data;
    exchange(pair,
             commit(&pair->company, DIRECTION_SEND, "BANK1", "out/virement.xml", NULL, bytes,
                    length),
             true);
    g_assert_cmpint(pair->company.done->outcome, ==, OUTCOME_DONE);
    g_assert_cmpuint(pair->company.done->transfer->wire_bytes, ==, length);
    assert_file(pair->bank.folder, "inbox/COMPANY/in/virement.xml", bytes, length);
    g_assert_cmpint(bank_state(pair, DIRECTION_RECEIVE), ==, TRANSFER_DONE);
}

static void test_send_empty(Pair *pair, gconstpointer data)
{
    (void)data;
    exchange(pair, commit(&pair->company, DIRECTION_SEND, "BANK1", "out/vide", NULL, "", 0), true);
    g_assert_cmpint(pair->company.done->outcome, ==, OUTCOME_DONE);
    assert_file(pair->bank.folder, "inbox/COMPANY/in/vide", "", 0);
}

static void test_send_text(Pair *pair, gconstpointer data)
{
    size_t length = 71 * 5000;
    g_autofree char *bytes = make_bytes(length, true);

    (void)data;
    exchange(pair,
             commit(&pair->company, DIRECTION_SEND, "BANK1", "texte/releve", NULL, bytes, length),
             true);
    g_assert_cmpint(pair->company.done->outcome, ==, OUTCOME_DONE);
    g_assert_cmpuint(pair->company.done->transfer->articles, ==, 5000);
    assert_file(pair->bank.folder, "inbox/COMPANY/texte/releve", bytes, length);
}

static void test_refused(Pair *pair, gconstpointer data)
{
    (void)data;
    exchange(pair, commit(&pair->company, DIRECTION_SEND, "BANK1", "inconnu/a", NULL, "x", 1),
             true);
    g_assert_cmpint(pair->company.done->outcome, ==, OUTCOME_FAILED);
    g_assert_cmpuint(pair->company.done->transfer->diag_type, ==, 2);
    g_assert_cmpuint(pair->company.done->transfer->diag_code, ==, 226);
}

static void test_exists(Pair *pair, gconstpointer data)
{
    g_autofree char *folder = g_build_filename(pair->bank.folder, "inbox", "COMPANY", "in", NULL);
    g_autofree char *path = g_build_filename(folder, "a", NULL);

    (void)data;
    g_assert_cmpint(g_mkdir_with_parents(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(path, "first", -1, NULL));
    exchange(pair, commit(&pair->company, DIRECTION_SEND, "BANK1", "out/a", NULL, "second", 6),
             true);
    g_assert_cmpint(pair->company.done->outcome, ==, OUTCOME_FAILED);
    g_assert_cmpuint(pair->company.done->transfer->diag_code, ==, 204);
    assert_file(folder, "a", "first", 5);
}

static Transfer *make_fetch(Pair *pair)
{
    g_autoptr(Transfer) transfer = transfer_new();
    g_autoptr(StoreResult) result = NULL;

    transfer->direction = DIRECTION_FETCH;
    transfer->state = TRANSFER_QUEUED;
    transfer->partner = g_strdup("BANK1");
    transfer->path = g_strdup("releves/today");
    result = store_execute(pair->company.store, store_request_insert(transfer, NULL, 0));
    g_assert_no_error(result->error);
    return g_steal_pointer(&result->transfer);
}

static void test_fetch(Pair *pair, gconstpointer data)
{
    size_t length = 1024 * 1024 + 1;
    g_autofree char *bytes = make_bytes(length, false);
    g_autofree char *data_path = NULL;
    Transfer *fetched;

    (void)data;
    transfer_free(commit(&pair->bank, DIRECTION_OFFER, "COMPANY", "dispo/releve", "RELEVE", bytes,
                         length));
    exchange(pair, make_fetch(pair), false);
    g_assert_cmpint(pair->company.done->outcome, ==, OUTCOME_DONE);
    fetched = pair->company.done->transfer;
    data_path = g_build_filename("spool", "transfers", fetched->spool_name, NULL);
    assert_file(pair->company.folder, data_path, bytes, length);
    g_assert_cmpint(bank_state(pair, DIRECTION_SERVE), ==, TRANSFER_DONE);
}

static void test_fetch_nothing(Pair *pair, gconstpointer data)
{
    (void)data;
    exchange(pair, make_fetch(pair), false);
    g_assert_cmpint(pair->company.done->outcome, ==, OUTCOME_FAILED);
    g_assert_cmpuint(pair->company.done->transfer->diag_code, ==, 205);
}

/* nobody answers: the job comes back to be tried again */
static void test_unreachable(Pair *pair, gconstpointer data)
{
    Node *company = &pair->company;
    const Partner *partner = config_find_partner(company->config, "BANK1");
    Transfer *transfer = commit(company, DIRECTION_SEND, "BANK1", "out/a", NULL, "x", 1);

    (void)data;
    close(pair->listen_fd);
    pair->listen_fd = -1;
    (void)connection_start_outgoing(&company->services, company->config, partner, NULL,
                                    job_new(company->config, partner,
                                            rule_find_by_path(partner->files, "out/a", true),
                                            transfer));
    serve_notices(company);
    g_assert_cmpint(company->done->outcome, ==, OUTCOME_RETRY);
    g_assert_nonnull(strstr(company->done->transfer->error, "127.0.0.1"));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *path;
        void (*run)(Pair *pair, gconstpointer data);
    } TESTS[] = {
            {"/connection/send", test_send},
            {"/connection/send-empty", test_send_empty},
            {"/connection/send-text", test_send_text},
            {"/connection/refused", test_refused},
            {"/connection/exists", test_exists},
            {"/connection/fetch", test_fetch},
            {"/connection/fetch-nothing", test_fetch_nothing},
            {"/connection/unreachable", test_unreachable},
    };

    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(TESTS); i++)
        g_test_add(TESTS[i].path, Pair, NULL, set_up, TESTS[i].run, tear_down);
    return g_test_run();
}
