/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of the local door, over a real socket: the daemon's in the main loop, callers in threads. Values of all
 * types, descriptors, errors, many callers at once, large answers, a daemon that goes and comes back, peers that hang.
 */
#include "base/clock.h"
#include "base/error.h"
#include "daemon/local/client-private.h"
#include "daemon/local/door.h"
#include "daemon/local/interface.h"

#include <glib/gstdio.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define CALL_MS  20000
#define SHORT_MS 200
#define CALLERS  8
#define CALLS    400
#define LARGE    (6 * 1024 * 1024)
#define HANGING  64

static Door *door;
static GPtrArray *kept; /* DoorCall * that nobody answers yet */
static int gone;        /* peers that went */

/* the daemon's end */

static GVariant *all_types(void)
{
    return g_variant_new_parsed("({'y': <byte 7>, 'n': <int16 -2>, 'q': <uint16 65535>, 'i': "
                                "<int32 -70000>, 'u': <uint32 4000000000>, "
                                "'x': <int64 -5000000000>, 't': <uint64 18446744073709551615>, "
                                "'d': <0.5>, 'b': <true>, 's': <'é'>, "
                                "'o': <objectpath '/a/b'>, 'g': <signature 'a{sv}'>, 'empty': "
                                "<@aa{sv} []>, 'tuple': <(1, 'two', (true, [3, 4]))>, "
                                "'nested': <[{'a': <<'deep'>>}, {}]>, 'dict': <{uint32 1: 'one', "
                                "2: 'two'}>, 'nothing': <''>},)");
}

static void on_status(DoorCall *call, GVariant *parameters, gpointer data)
{
    (void)parameters, (void)data;
    door_call_return(call, all_types(), NULL, 0);
}

static void on_administer(DoorCall *call, GVariant *parameters, gpointer data)
{
    const char *method, *path, *body;

    (void)data;
    g_variant_get(parameters, "(&s&s&s)", &method, &path, &body);
    door_call_return(call, g_variant_new("(us)", (guint32)strlen(path), body), NULL, 0);
}

static void on_stage(DoorCall *call, GVariant *parameters, gpointer data)
{
    int fd = memfd_create("staged", MFD_CLOEXEC);

    (void)parameters, (void)data;
    g_assert_cmpint(write(fd, "bytes", 5), ==, 5);
    door_call_return(call, g_variant_new("(xh)", (gint64)42, 0), &fd, 1);
    close(fd);
}

static void on_open(DoorCall *call, GVariant *parameters, gpointer data)
{
    (void)parameters, (void)data;
    door_call_return(call, g_variant_new("(h)", 3), NULL, 0); /* which it does not pass */
}

/* The code of the error that is asked for; its text names a file whose name is no UTF-8. */
static void on_get(DoorCall *call, GVariant *parameters, gpointer data)
{
    g_autoptr(GError) error = NULL;
    gint64 code;

    (void)data;
    g_variant_get(parameters, "(x)", &code);
    error = g_error_new(BASE_ERROR, (int)code, "no %d\xe9", (int)code);
    door_call_fail(call, error);
}

static void on_kept(DoorCall *call, GVariant *parameters, gpointer data)
{
    (void)parameters, (void)data;
    g_ptr_array_add(kept, call);
}

static void on_peer_closed(DoorPeer *peer, gpointer data)
{
    (void)peer, (void)data;
    gone++;
}

static const DoorMethod METHODS[] = {
        {"Status", on_status, false}, {"Administer", on_administer, false},
        {"Stage", on_stage, false},   {"Open", on_open, false},
        {"Get", on_get, false},       {"Wait", on_kept, false},
        {"Cancel", on_kept, false},   {NULL, NULL, false},
};

static char *folder, *path;

static void open_door(void)
{
    g_autoptr(GError) error = NULL;

    door = door_open(path, 0600, METHODS, NULL, on_peer_closed, &error);
    g_assert_no_error(error);
}

/* Answers with an error what is kept; so every call is freed. */
static void answer_kept(void)
{
    g_autoptr(GError) error = g_error_new_literal(BASE_ERROR, BASE_ERROR_BUSY, "late");

    for (guint i = 0; i < kept->len; i++)
        door_call_fail(g_ptr_array_index(kept, i), error);
    g_ptr_array_set_size(kept, 0);
}

static void set_up(void)
{
    folder = g_dir_make_tmp("door-XXXXXX", NULL);
    path = g_build_filename(folder, "door", NULL);
    kept = g_ptr_array_new();
    gone = 0;
    open_door();
}

static void tear_down(void)
{
    answer_kept();
    door_close(g_steal_pointer(&door));
    g_ptr_array_unref(kept);
    g_rmdir(folder);
    g_free(folder);
    g_free(path);
}

/* the callers' end */

typedef struct {
    void (*body)(Client *client);
    Client *client;
    int ended; /* atomic */
} Caller;

static gpointer run_caller(gpointer data)
{
    Caller *self = data;

    self->body(self->client);
    g_atomic_int_set(&self->ended, 1);
    g_main_context_wakeup(NULL);
    return NULL;
}

/* Runs body in `n` threads with one client while the main loop serves. */
static void serve(void (*body)(Client *client), size_t n)
{
    g_autoptr(Client) client = client_new(path);
    Caller callers[CALLERS];
    GThread *threads[CALLERS];

    for (size_t i = 0; i < n; i++) {
        callers[i] = (Caller){.body = body, .client = client};
        threads[i] = g_thread_new("caller", run_caller, &callers[i]);
    }
    for (size_t i = 0; i < n; i++) {
        while (!g_atomic_int_get(&callers[i].ended))
            g_main_context_iteration(NULL, TRUE);
        g_thread_join(threads[i]);
    }
}

static void check_status(Client *client)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(DoorAnswer) answer =
            client_call(client, (ClientMethod){"Status", false}, NULL, CALL_MS, &error);
    g_autoptr(GVariant) expected = g_variant_ref_sink(all_types());

    g_assert_no_error(error);
    g_assert_true(g_variant_equal(answer->value, expected));
}

static void test_values(void)
{
    set_up();
    serve(check_status, 1);
    tear_down();
}

static void check_descriptor(Client *client)
{
    g_autoptr(GError) error = NULL;
    gint64 staging = 0;
    char bytes[8] = "";
    int fd = client_stage(client, "BANK1", "out/a", false, CALL_MS, &staging, &error);

    g_assert_no_error(error);
    g_assert_cmpint(staging, ==, 42);
    g_assert_cmpint(pread(fd, bytes, sizeof bytes, 0), ==, 5);
    g_assert_cmpstr(bytes, ==, "bytes");
    close(fd);
    g_assert_cmpint(client_open(client, 1, CALL_MS, &error), ==, -1);
    g_assert_error(error, BASE_ERROR, BASE_ERROR_IO);
}

static void test_descriptor(void)
{
    set_up();
    serve(check_descriptor, 1);
    tear_down();
}

static void check_errors(Client *client)
{
    for (int code = 0; code < BASE_ERROR_COUNT; code++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = g_strdup_printf("no %d\xef\xbf\xbd", code);

        g_assert_null(client_get(client, code, CALL_MS, &error));
        g_assert_error(error, BASE_ERROR, code);
        g_assert_cmpstr(error->message, ==, text);
    }
}

static void test_errors(void)
{
    set_up();
    serve(check_errors, 1);
    tear_down();
}

static void check_echo(Client *client, const char *body)
{
    g_autoptr(GError) error = NULL;
    unsigned status = 0;
    g_autofree char *answer = client_administer(client, (const char *[]){"GET", "/four", body},
                                                &status, CALL_MS, &error);

    g_assert_no_error(error);
    g_assert_cmpuint(status, ==, 5);
    g_assert_cmpstr(answer, ==, body);
}

static void check_many(Client *client)
{
    for (int i = 0; i < CALLS; i++) {
        g_autofree char *body = g_strdup_printf("%p %d", (void *)g_thread_self(), i);

        check_echo(client, body);
    }
}

static void test_many(void)
{
    set_up();
    serve(check_many, CALLERS);
    tear_down();
}

/* More than any socket takes at once, both ways, from several at once. */
static void check_large(Client *client)
{
    g_autofree char *body = g_malloc(LARGE + 1);

    memset(body, 'x', LARGE);
    body[LARGE] = '\0';
    check_echo(client, body);
}

static void test_large(void)
{
    set_up();
    serve(check_large, 3);
    tear_down();
}

static void check_timeout(Client *client)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(client_cancel(client, 1, CLIENT_OURSELVES, SHORT_MS, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_TIMEOUT);
    check_status(client); /* the next one works */
}

/* An answer that comes when nobody waits for it any more harms nobody. */
static void test_timeout(void)
{
    set_up();
    serve(check_timeout, 1);
    g_assert_cmpuint(kept->len, ==, 1);
    answer_kept();
    serve(check_status, 1);
    tear_down();
}

static void check_lost(Client *client)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(client_cancel(client, 1, CLIENT_OURSELVES, CALL_MS, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE);
    g_assert_true(g_str_has_prefix(error->message, "lost the daemon at '"));
    check_status(client); /* the daemon is back */
}

/* Closes the door when as many calls wait, and opens it again; what was asked is not known any more. */
static gboolean reopen(gpointer data)
{
    if (kept->len < GPOINTER_TO_UINT(data))
        return G_SOURCE_CONTINUE;
    door_close(door);
    answer_kept();
    open_door();
    return G_SOURCE_REMOVE;
}

/* What may have happened is not said twice. */
static void test_lost(void)
{
    set_up();
    g_timeout_add(1, reopen, GUINT_TO_POINTER(CALLERS));
    serve(check_lost, CALLERS);
    g_assert_cmpuint(kept->len, ==, 0);
    tear_down();
}

static void check_absent(Client *client)
{
    g_autoptr(GError) error = NULL;

    g_assert_null(client_status(client, SHORT_MS, &error));
    g_assert_error(error, BASE_ERROR, BASE_ERROR_UNREACHABLE);
    g_assert_true(g_str_has_prefix(error->message, "cannot reach the daemon at '"));
}

static void test_absent(void)
{
    set_up();
    door_close(g_steal_pointer(&door));
    serve(check_absent, CALLERS);
    open_door();
    serve(check_status, 1);
    tear_down();
}

/* calls that take long */

typedef struct {
    pthread_mutex_t lock; /* those of GLib are unknown to ThreadSanitizer */
    pthread_cond_t changed;
    int answered[BASE_ERROR_COUNT]; /* how many, by code */
    int all;
} Answers;

static Answers answers = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {0}, 0};

static void on_done(ClientTransfer *transfer, int fd, const GError *error, gpointer data)
{
    g_assert_null(transfer);
    g_assert_cmpint(fd, ==, -1);
    g_assert_null(data);
    pthread_mutex_lock(&answers.lock);
    answers.answered[error->code]++;
    answers.all++;
    pthread_cond_signal(&answers.changed);
    pthread_mutex_unlock(&answers.lock);
}

static int count_answers(int code)
{
    int count;

    pthread_mutex_lock(&answers.lock);
    count = answers.answered[code];
    pthread_mutex_unlock(&answers.lock);
    return count;
}

static void await_answers(int count)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += CALL_MS / 1000;
    pthread_mutex_lock(&answers.lock);
    while (answers.all < count)
        g_assert_cmpint(pthread_cond_timedwait(&answers.changed, &answers.lock, &until), ==, 0);
    pthread_mutex_unlock(&answers.lock);
}

/* One is interrupted, the others said again to the daemon that came back, which answers all. */
static void check_pending(Client *client)
{
    ClientPending *first = NULL;

    for (int i = 0; i < CALLS; i++) {
        ClientPending *pending = client_pending_new(on_done, NULL);

        first = i == 0 ? pending : first;
        client_begin_wait(client, pending, i, CALL_MS);
    }
    client_interrupt(client, first);
    await_answers(CALLS);
    g_assert_cmpint(count_answers(BASE_ERROR_CANCELLED), ==, 1);
    g_assert_cmpint(count_answers(BASE_ERROR_BUSY), ==, CALLS - 1);
    client_begin_wait(client, client_pending_new(on_done, NULL), 1, CALL_MS);
    client_end_waiting(client);
    await_answers(CALLS + 1);
    client_begin_wait(client, client_pending_new(on_done, NULL), 1, CALL_MS);
    await_answers(CALLS + 2); /* not begun any more */
    g_assert_cmpint(count_answers(BASE_ERROR_CANCELLED), ==, 3);
}

static gboolean answer_second_time(gpointer data)
{
    (void)data;
    if (kept->len < CALLS - 1)
        return G_SOURCE_CONTINUE;
    answer_kept();
    return G_SOURCE_REMOVE;
}

static gboolean reopen_for_pending(gpointer data)
{
    if (reopen(data) == G_SOURCE_CONTINUE)
        return G_SOURCE_CONTINUE;
    g_timeout_add(1, answer_second_time, NULL);
    return G_SOURCE_REMOVE;
}

static void test_pending(void)
{
    set_up();
    g_timeout_add(1, reopen_for_pending, GUINT_TO_POINTER(CALLS - 1));
    serve(check_pending, 1);
    tear_down();
}

/* what is told */

static void on_change(const char *partner, const char *changed, gpointer data)
{
    GAsyncQueue *told = data;

    g_async_queue_push(told, g_strdup_printf("%s:%s", partner != NULL ? partner : "all",
                                             changed != NULL ? changed : ""));
}

static gboolean emit_changes(gpointer data)
{
    (void)data;
    door_emit(door, "EntriesChanged",
              g_variant_new_parsed("([('BANK1', 'out/a'), ('BANK2', 'in/b')],)"));
    door_emit(door, "TreeChanged", g_variant_new("(t)", (guint64)2));
    return G_SOURCE_REMOVE;
}

static void test_changes(void)
{
    static const char *const EXPECTED[] = {"all:", "BANK1:out/a", "BANK2:in/b", "all:"};
    g_autoptr(GAsyncQueue) told = g_async_queue_new_full(g_free);

    set_up();
    {
        g_autoptr(Client) client = client_new(path);

        client_set_on_change(client, on_change, told);
        for (size_t i = 0; i < G_N_ELEMENTS(EXPECTED); i++) {
            g_autofree char *text = NULL;

            while ((text = g_async_queue_try_pop(told)) == NULL)
                g_main_context_iteration(NULL, FALSE);
            g_assert_cmpstr(text, ==, EXPECTED[i]);
            if (i == 0) /* connected */
                g_idle_add(emit_changes, NULL);
        }
    }
    tear_down();
}

/* strangers */

static int connect_raw(const char *greeting, size_t length)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_strlcpy(address.sun_path, path, sizeof address.sun_path);
    g_assert_cmpint(connect(fd, (struct sockaddr *)&address, sizeof address), ==, 0);
    g_assert_cmpint(write(fd, greeting, length), ==, (int)length);
    return fd;
}

/* Some say nothing more, some stop in the middle, some are let in and then say nonsense. */
static void test_hanging(void)
{
    static const char HALF[] = "\0AUTH EXTER";
    static const char NONSENSE[] =
            "\0AUTH ANONYMOUS\r\nBEGIN\r\nGET / HTTP/1.1\r\n\r\nxxxxxxxxxxxxxxxxxx";
    int fds[HANGING];

    set_up();
    for (int i = 0; i < HANGING; i++)
        fds[i] = i % 2 == 0 ? connect_raw(HALF, i % 4 == 0 ? 1 : sizeof HALF - 1)
                            : connect_raw(NONSENSE, sizeof NONSENSE);
    serve(check_many, CALLERS);
    for (int i = 0; i < HANGING; i++)
        close(fds[i]);
    while (gone < HANGING + 1) /* and the client */
        g_main_context_iteration(NULL, TRUE);
    tear_down();
}

static gboolean on_tick(gpointer data)
{
    (void)data;
    return G_SOURCE_CONTINUE;
}

/* A peer that is told and told and never reads is sent away; the others hear all. */
static void test_deaf(void)
{
    static const char GREETING[] = "\0AUTH ANONYMOUS 6d65\r\nBEGIN\r\n";
    g_autofree char *text = g_strnfill(1000, 'x');
    int fd;

    set_up();
    fd = connect_raw(GREETING, sizeof GREETING - 1);
    for (int told = 0; gone == 0; told++) {
        g_assert_cmpint(told, <, 1000000);
        door_emit(door, "EntriesChanged", g_variant_new_parsed("([(%s, 'out/a')],)", text));
        if (told % 1000 == 0)
            g_main_context_iteration(NULL, FALSE);
    }
    close(fd);
    serve(check_status, 1);
    tear_down();
}

/* A stop does not wait for who does not read his answer. */
static void test_stop(void)
{
    static const char CALL[] = "\0AUTH ANONYMOUS 6d65\r\nBEGIN\r\n";
    gint64 began;
    int fd;

    set_up();
    fd = connect_raw(CALL, sizeof CALL - 1);
    for (int i = 0; i < 20000; i++) { /* more than the socket takes */
        g_autofree char *text = g_strnfill(1000, 'x');

        door_emit(door, "EntriesChanged", g_variant_new_parsed("([(%s, 'out/a')],)", text));
        if (i == 0)
            g_main_context_iteration(NULL, FALSE);
    }
    began = g_get_monotonic_time();
    door_close(g_steal_pointer(&door));
    g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
    close(fd);
    open_door();
    tear_down();
}

/* Without descriptors the loop does not turn for nothing, and callers are let in when there are some again. */
static void test_exhausted(void)
{
    struct rlimit limit, none;
    unsigned turns = 0;
    gint64 until;
    int fd;

    set_up();
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    fd = connect_raw("", 1);
    none = (struct rlimit){(rlim_t)fd + 1, limit.rlim_max};
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
    for (until = g_get_monotonic_time() + G_USEC_PER_SEC / 2; g_get_monotonic_time() < until;
         turns++) {
        guint tick = g_timeout_add(100, on_tick, NULL);

        g_main_context_iteration(NULL, TRUE);
        g_source_remove(tick);
    }
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    g_assert_cmpuint(turns, <, 50);
    close(fd);
    serve(check_status, 1);
    tear_down();
}

/* Says one thing as any program of D-Bus may. */
static void ask_as_stranger(const char *object, const char *interface, const char *method,
                            const char *error_name, const char *text)
{
    sd_bus *bus = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *answer = NULL;
    g_autofree char *address = g_strconcat("unix:path=", path, NULL);
    const char *result = NULL;

    g_assert_cmpint(sd_bus_new(&bus), >=, 0);
    g_assert_cmpint(sd_bus_set_address(bus, address), >=, 0);
    g_assert_cmpint(sd_bus_start(bus), >=, 0);
    sd_bus_call_method(bus, NULL, object, interface, method, &error, &answer, "");
    if (error_name != NULL) {
        g_assert_cmpstr(error.name, ==, error_name);
        result = error.message;
    } else {
        g_assert_cmpint(sd_bus_message_read(answer, "s", &result), >, 0);
    }
    g_assert_nonnull(strstr(result, text));
    sd_bus_error_free(&error);
    sd_bus_message_unref(answer);
    sd_bus_close_unref(bus);
}

static void check_stranger(Client *client)
{
    ask_as_stranger(DOOR_OBJECT, "org.freedesktop.DBus.Introspectable", "Introspect", NULL,
                    "<method name=\"Stage\">");
    ask_as_stranger(DOOR_OBJECT, DOOR_INTERFACE, "Get", SD_BUS_ERROR_INVALID_ARGS,
                    "Get takes (x), not ()");
    ask_as_stranger(DOOR_OBJECT, DOOR_INTERFACE, "Nothing", SD_BUS_ERROR_UNKNOWN_METHOD,
                    "no method 'Nothing'");
    ask_as_stranger("/else", DOOR_INTERFACE, "Get", SD_BUS_ERROR_UNKNOWN_OBJECT, "/else");
    check_status(client);
}

static void test_stranger(void)
{
    set_up();
    serve(check_stranger, 1);
    tear_down();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/door/values", test_values);
    g_test_add_func("/door/descriptor", test_descriptor);
    g_test_add_func("/door/errors", test_errors);
    g_test_add_func("/door/many", test_many);
    g_test_add_func("/door/large", test_large);
    g_test_add_func("/door/timeout", test_timeout);
    g_test_add_func("/door/lost", test_lost);
    g_test_add_func("/door/absent", test_absent);
    g_test_add_func("/door/pending", test_pending);
    g_test_add_func("/door/changes", test_changes);
    g_test_add_func("/door/hanging", test_hanging);
    g_test_add_func("/door/deaf", test_deaf);
    g_test_add_func("/door/stop", test_stop);
    g_test_add_func("/door/exhausted", test_exhausted);
    g_test_add_func("/door/stranger", test_stranger);
    return g_test_run();
}
