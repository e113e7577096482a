/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hand-over between real threads: order, nothing lost, waking by wait, descriptor and main loop, closing,
 * answers that come late. For ThreadSanitizer as well.
 */
#include "base/clock.h"
#include "base/mailbox.h"

#include <poll.h>
#include <pthread.h>

#define MESSAGES 20000
#define SENDERS  4
#define LONG_US  (20 * USEC_PER_SEC)

static bool is_readable(int fd)
{
    struct pollfd at = {.fd = fd, .events = POLLIN};

    return poll(&at, 1, 0) == 1;
}

typedef struct {
    Mailbox *box;
    unsigned from;
} Sender;

static void *send_all(void *data)
{
    const Sender *self = data;

    for (unsigned i = 0; i < MESSAGES; i++) {
        unsigned *message = g_new(unsigned, 2);

        message[0] = self->from;
        message[1] = i;
        g_assert_true(mailbox_post(self->box, message));
    }
    return NULL;
}

static void start(pthread_t threads[SENDERS], Sender senders[SENDERS], Mailbox *box)
{
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (Sender){box, i};
        g_assert_cmpint(pthread_create(&threads[i], NULL, send_all, &senders[i]), ==, 0);
    }
}

static void join(pthread_t threads[SENDERS])
{
    for (unsigned i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
}

/* Each sender's messages in their order. */
static void check(unsigned next[SENDERS], unsigned *message)
{
    g_assert_cmpuint(message[1], ==, next[message[0]]++);
    g_free(message);
}

static void test_order(void)
{
    g_autoptr(Mailbox) box = mailbox_new(g_free);
    pthread_t threads[SENDERS];
    Sender senders[SENDERS];
    unsigned next[SENDERS] = {0};

    start(threads, senders, box);
    for (unsigned i = 0; i < SENDERS * MESSAGES; i++) {
        unsigned *message = mailbox_wait(box, clock_now_us() + LONG_US);

        g_assert_nonnull(message);
        check(next, message);
    }
    join(threads);
    g_assert_null(mailbox_take(box));
}

typedef struct {
    unsigned next[SENDERS], count;
    GMainLoop *loop;
} Receiver;

static void on_message(gpointer message, gpointer data)
{
    Receiver *self = data;

    check(self->next, message);
    if (++self->count == SENDERS * MESSAGES)
        g_main_loop_quit(self->loop);
}

static void test_main_loop(void)
{
    g_autoptr(Mailbox) box = mailbox_new(g_free);
    g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
    Receiver receiver = {.loop = loop};
    pthread_t threads[SENDERS];
    Sender senders[SENDERS];
    guint source = mailbox_attach(box, NULL, on_message, &receiver);

    start(threads, senders, box);
    g_main_loop_run(loop);
    join(threads);
    g_assert_true(g_source_remove(source));
    g_assert_cmpuint(receiver.count, ==, SENDERS * MESSAGES);
}

static void test_descriptor(void)
{
    g_autoptr(Mailbox) box = mailbox_new(g_free);
    int fd;

    g_assert_true(mailbox_post(box, g_strdup("early")));
    fd = mailbox_fd(box);
    g_assert_true(is_readable(fd));
    g_assert_true(mailbox_post(box, g_strdup("late")));
    g_free(mailbox_take(box));
    g_assert_true(is_readable(fd));
    g_free(mailbox_take(box));
    g_assert_false(is_readable(fd));
    mailbox_close(box);
    g_assert_true(is_readable(fd));
}

static void count_free(gpointer message)
{
    ++*(unsigned *)message;
}

static void test_close(void)
{
    unsigned freed = 0;
    Mailbox *box = mailbox_new(count_free);

    g_assert_true(mailbox_post(box, &freed));
    mailbox_close(box);
    g_assert_false(mailbox_post(box, &freed));
    g_assert_cmpuint(freed, ==, 1);
    g_assert_true(mailbox_wait(box, 0) == &freed); /* what was inside can still be taken */
    g_assert_null(mailbox_wait(box, INT64_MAX));
    mailbox_unref(box);
    box = mailbox_new(count_free);
    g_assert_true(mailbox_post(box, &freed));
    mailbox_unref(box);
    g_assert_cmpuint(freed, ==, 2);
}

static void *close_it(void *box)
{
    mailbox_close(box);
    return NULL;
}

static void test_close_wakes(void)
{
    g_autoptr(Mailbox) box = mailbox_new(NULL);
    pthread_t thread;

    g_assert_cmpint(pthread_create(&thread, NULL, close_it, box), ==, 0);
    g_assert_null(mailbox_wait(box, INT64_MAX));
    pthread_join(thread, NULL);
}

static void *answer(void *data)
{
    Reply *reply = data;

    reply_post(reply, g_strdup("yes"));
    reply_unref(reply);
    return NULL;
}

static void test_reply(void)
{
    g_autoptr(Reply) reply = reply_new(g_free);
    g_autofree char *value = NULL;
    gpointer got = NULL;
    pthread_t thread;

    g_assert_false(reply_wait(reply, clock_now_us(), &got));
    g_assert_cmpint(pthread_create(&thread, NULL, answer, reply_ref(reply)), ==, 0);
    g_assert_true(reply_wait(reply, clock_now_us() + LONG_US, &got));
    value = got;
    g_assert_cmpstr(value, ==, "yes");
    pthread_join(thread, NULL);
    reply_post(reply, NULL);
    g_assert_true(reply_wait(reply, 0, &got));
    g_assert_null(got);
    reply_post(reply, g_strdup("nobody takes it")); /* freed with the reply */
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/mailbox/order", test_order);
    g_test_add_func("/mailbox/main-loop", test_main_loop);
    g_test_add_func("/mailbox/descriptor", test_descriptor);
    g_test_add_func("/mailbox/close", test_close);
    g_test_add_func("/mailbox/close-wakes", test_close_wakes);
    g_test_add_func("/mailbox/reply", test_reply);
    return g_test_run();
}
