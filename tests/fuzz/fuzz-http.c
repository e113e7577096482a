/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The administration on any bytes that a stranger may send: its own server and its own store, over a socket, as one
 * connection each. Behind it stands no daemon but a door that answers with words of the right types, so that what a
 * request says is read to its end. No answer is a failure of ours, and what says that it is JSON is JSON.
 */
#include "admin/admin-private.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "daemon/local/description.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_KEY   "first-key-0123456789abcdef"
#define ANSWER_MAX  (1u << 20)
#define PATIENCE_MS 120000
#define RUNS_MAX    10000 /* then all begins anew: the audit trail is verified by some */
#define FILE_BYTES  4096

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* A password's price is not under test: each would take a tenth of a second. */
int crypto_pwhash_str(char out[crypto_pwhash_STRBYTES], const char *const password,
                      unsigned long long length, unsigned long long operations, size_t memory)
{
    (void)operations, (void)memory;
    g_snprintf(out, crypto_pwhash_STRBYTES, "%u-%llu", g_str_hash(password), length); /* fits */
    return 0;
}

int crypto_pwhash_str_verify(const char *text, const char *const password,
                             unsigned long long length)
{
    char wanted[crypto_pwhash_STRBYTES];

    (void)crypto_pwhash_str(wanted, password, length, 0, 0); /* cannot fail */
    return strcmp(wanted, text) == 0 ? 0 : -1;
}

/* the door */

static int make_file(void)
{
    int fd = memfd_create("bytes", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, FILE_BYTES) != 0)
        abort();
    return fd;
}

static GVariant *describe_transfer(void)
{
    Description d = {.id = 7,
                     .direction = "send",
                     .state = "waiting",
                     .partner = "P",
                     .path = "out/a",
                     .size_bytes = FILE_BYTES,
                     .created_us = clock_wall_us(),
                     .next_retry_us = TRANSFER_HELD_US,
                     .diag = "2-226",
                     .error = "a \"text\""};

    return description_new(&d);
}

static GVariant *describe_partners(void)
{
    return g_variant_new_parsed(
            "([{'name': <'P'>, 'version': <int64 3>, 'secrets': <['password_sent']>, "
            "'settings': <{'address': <'192.0.2.1'>, 'port': <int64 5000>, 'enabled': <true>, "
            "'profile': <'cft'>}>, 'files': <[{'pattern': <'out/*'>, 'version': <int64 2>, "
            "'settings': <{'mode': <'send'>, 'file_type': <int64 1>}>}]>}],)");
}

static GVariant *describe_daemon(void)
{
    return g_variant_new_parsed(
            "({'node': <'N'>, 'state': <'running'>, 'store': <'ok'>, "
            "'spool_total_bytes': <uint64 9>, "
            "'spool_available_bytes': <uint64 8>, 'listeners': <[{'id': <'L'>, 'address': "
            "<'127.0.0.1'>, 'port': <uint32 5000>, 'running': <true>, 'version': <int64 1>, "
            "'settings': <{'auto_start': <true>}>}]>},)");
}

static GVariant *describe_test(void)
{
    return g_variant_new_parsed("({'success': <false>, 'message': <'m'>, 'step': <'s'>, 'cause': "
                                "<''>, 'hint': <''>, 'tls': <''>, 'diag': <''>},)");
}

static GVariant *describe_certificates(void)
{
    return g_variant_new_parsed(
            "([{'name': <'W'>, 'version': <int64 1>, 'created_us': <int64 1>, 'updated_us': <int64 "
            "2>, 'has_key': <true>, 'key_fits': <true>, 'users': <['partner P']>, 'settings': "
            "<{'kind': <'keystore'>, 'active': <true>, 'certificates': <'no PEM'>}>}],)");
}

static DoorAnswer *answer_of(const char *method)
{
    DoorAnswer *answer = g_new0(DoorAnswer, 1);

    if (strcmp(method, "Get") == 0 || strcmp(method, "Commit") == 0) {
        answer->value = g_variant_new("(@" DESCRIPTION_TYPE ")", describe_transfer());
    } else if (strcmp(method, "FetchAnew") == 0) {
        answer->value = g_variant_new("(@" DESCRIPTION_TYPE "ah)", describe_transfer(), NULL);
    } else if (strcmp(method, "Open") == 0 || strcmp(method, "Stage") == 0 ||
               strcmp(method, "Backup") == 0) {
        answer->value = method[0] != 'S' ? g_variant_new("(h)", 0)
                                         : g_variant_new("(xh)", G_GINT64_CONSTANT(9), 0);
        answer->fds[answer->fd_count++] = make_file();
    } else if (strcmp(method, "Describe") == 0) {
        answer->value = describe_partners();
    } else if (strcmp(method, "Status") == 0 || strcmp(method, "Look") == 0) {
        answer->value = describe_daemon();
    } else if (strcmp(method, "Test") == 0 || strcmp(method, "Say") == 0) {
        answer->value = describe_test();
    } else if (strcmp(method, "Certificates") == 0) {
        answer->value = describe_certificates();
    } else if (strcmp(method, "Expiries") == 0) {
        answer->value = g_variant_new_parsed("([('store:W', int64 1), ('file:/f', 2)],)");
    } else if (strcmp(method, "Sign") == 0) {
        answer->error = g_error_new_literal(BASE_ERROR, BASE_ERROR_CONFLICT, "no authority");
    } else if (strcmp(method, "Space") == 0) {
        answer->value = g_variant_new("(tt)", G_GUINT64_CONSTANT(9), G_GUINT64_CONSTANT(8));
    } else if (strcmp(method, "Define") == 0 || strcmp(method, "Undefine") == 0) {
        answer->value = g_variant_new("(x)", G_GINT64_CONSTANT(4));
    } else {
        answer->value = g_variant_new("()");
    }
    if (answer->value != NULL)
        (void)g_variant_ref_sink(answer->value);
    return answer;
}

void door_answer_free(DoorAnswer *answer)
{
    if (answer == NULL)
        return;
    for (size_t i = 0; i < answer->fd_count; i++)
        fd_clear(&answer->fds[i]);
    if (answer->value != NULL)
        g_variant_unref(answer->value);
    g_clear_error(&answer->error);
    g_free(answer);
}

static bool ask(const char *method, GVariant *parameters, const DoorCaller *caller, Reply *reply,
                gpointer data)
{
    g_autoptr(GVariant) taken = g_variant_ref_sink(parameters);

    (void)data, (void)taken, (void)caller;
    reply_post(reply, answer_of(method));
    return true;
}

static int64_t heartbeat_us(gpointer data)
{
    (void)data;
    return clock_now_us();
}

/* the administration */

static char folder[] = "/dev/shm/fuzz-http.XXXXXX";
static Store *store;
static Admin *admin;

static void stop(void)
{
    admin_stop(admin);
    store_close(store);
    admin = NULL;
    store = NULL;
}

static void remove_files(void)
{
    static const char *const NAMES[] = {"store.db", "store.db-wal", "store.db-shm",
                                        "store.db.lock"};

    for (size_t i = 0; i < G_N_ELEMENTS(NAMES); i++) {
        g_autofree char *path = g_build_filename(folder, NAMES[i], NULL);

        (void)unlink(path); /* it may be missing */
    }
}

static void remove_folder(void)
{
    remove_files();
    (void)rmdir(folder); /* what is left of it is not ours */
}

static void die(const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
    (void)level, (void)data;
    fprintf(stderr, "%s: %s\n", domain, text);
    abort();
}

/* Once. */
static void prepare(void)
{
    (void)g_log_set_default_handler(die, NULL);
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    if (mkdtemp(folder) == NULL || sodium_init() < 0 || atexit(remove_folder) != 0)
        abort();
}

static void start(void)
{
    static char path[sizeof folder + sizeof "/store.db"];
    g_autoptr(GError) error = NULL;
    StoreSettings settings = {.path = path};
    AdminHost host = {.ask = ask,
                      .heartbeat_us = heartbeat_us,
                      .first_key = FIRST_KEY,
                      .database = "SQLite",
                      .schema = "cluster_P",
                      .requests_per_s = 1000000,
                      .connections = 1000,
                      .connections_per_address = 1000};

    remove_files();
    g_snprintf(path, sizeof path, "%s/store.db", folder); /* fits */
    store = store_open(&settings, &error);
    host.store = store;
    admin = store != NULL ? admin_start(&host, &error) : NULL;
    if (admin == NULL) {
        fprintf(stderr, "%s\n", error->message);
        abort();
    }
}

/* one connection */

/* All of it is read before it ends: an end that comes with the last bytes is seen when the connection's time is over. */
static void say(int fd, const uint8_t *bytes, size_t length)
{
    int unread = 0;

    if (send(fd, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
        abort();
    do
        (void)sched_yield(); /* cannot fail */
    while (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0);
    if (shutdown(fd, SHUT_WR) != 0)
        abort();
}

/* False: nothing comes. */
static bool wait_for_more(int fd)
{
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    int result;

    do
        result = poll(&waiting, 1, PATIENCE_MS);
    while (result < 0 && errno == EINTR); /* libFuzzer's clock */
    return result > 0;
}

/* Until the server closes, or the answer has no end. */
static size_t read_answer(int fd, char *answer)
{
    size_t length = 0;

    while (length < ANSWER_MAX) {
        ssize_t count;

        if (!wait_for_more(fd)) {
            fprintf(stderr, "it hangs after: %.*s\n", (int)length, answer);
            abort();
        }
        count = recv(fd, answer + length, ANSWER_MAX - length, 0);
        if (count <= 0)
            break;
        length += (size_t)count;
        answer[length] = '\0';
        if (strstr(answer, "Content-Type: text/event-stream") != NULL)
            break;
    }
    answer[length] = '\0';
    return length;
}

static void check_json(const char *body, size_t length)
{
    g_autofree char *text = g_strdup_printf("{\"it\":%.*s}", (int)length, body);
    g_autoptr(GError) error = NULL;
    g_autoptr(Json) json = json_read(text, strlen(text), &error);

    if (json != NULL)
        return;
    fprintf(stderr, "no JSON: %s: %.*s\n", error->message, (int)length, body);
    abort();
}

static void check(const char *answer, size_t length, bool has_body)
{
    const char *head = strstr(answer, "\r\n\r\n"), *size, *type;
    unsigned status = 0;
    size_t bytes;

    if (length == 0 || head == NULL)
        return; /* it was no request */
    if (sscanf(answer, "HTTP/1.%*1u %3u", &status) != 1 || status < 100 || status == 500) {
        fprintf(stderr, "%.*s\n", (int)MIN(length, 2000), answer);
        abort();
    }
    if (status < 200) {
        check(head + 4, length - (size_t)(head + 4 - answer), has_body);
        return;
    }
    size = strcasestr(answer, "\r\nContent-Length:");
    type = strcasestr(answer, "\r\nContent-Type: application/");
    if (!has_body || size == NULL || size > head || type == NULL || type > head ||
        (strncmp(type + 28, "json\r", 5) != 0 && strncmp(type + 28, "problem+json\r", 13) != 0))
        return;
    bytes = strtoul(size + 17, NULL, 10);
    if (head + 4 + bytes <= answer + length)
        check_json(head + 4, bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static char answer[ANSWER_MAX + 1];
    static unsigned count;
    char address[INET_ADDRSTRLEN];
    size_t got;
    int fds[2];

    if (count == 0)
        prepare();
    if (count % RUNS_MAX == 0) {
        stop();
        start();
    }
    count++; /* an address each: nobody is locked out for long */
    g_snprintf(address, sizeof address, "10.%u.%u.%u", count >> 16 & 255, count >> 8 & 255,
               count & 255); /* fits */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
        abort();
    admin_take_connection(admin, fds[1], FAMILY_ALL, address, NULL);
    say(fds[0], bytes, length);
    got = read_answer(fds[0], answer);
    (void)close(fds[0]);
    check(answer, got, length < 4 || memcmp(bytes, "HEAD", 4) != 0);
    if (strstr(answer, "Content-Type: text/event-stream") != NULL)
        events_ping(admin->events); /* so that it is found gone */
    return 0;
}
