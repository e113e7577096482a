/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application with many small files: hands them to the daemon through the local door, from as many threads
 * as asked for, and waits until all have ended. Prints the seconds from the first to the last, then how many
 * are done. Our side of bare-small.
 * Usage: feed SOCKET PARTNER FOLDER THREADS COUNT BYTES
 */
#include "base/error.h"
#include "daemon/local/client.h"
#include "tests/bench/bare.h"

#include <pthread.h>
#include <stdatomic.h>

#define CALL_MS 60000
#define WAIT_MS 600000

static Client *client;
static const char *partner, *folder;
static char *bytes;
static size_t length;
static int count;
static atomic_int next, done;
static int64_t *ids;

static void fail(const char *what, const GError *error)
{
    errno = 0;
    fprintf(stderr, "%s: ", what);
    bare_fail(error->message);
}

static int64_t hand_over(int number)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer = NULL;
    g_autofree char *path = g_strdup_printf("%s/%d", folder, number);
    int64_t staging;
    int fd = client_stage(client, partner, path, false, CALL_MS, &staging, &error);

    if (fd < 0)
        fail("stage", error);
    bare_write(fd, bytes, length);
    bare_check(fdatasync(fd), "fdatasync");
    bare_check(close(fd), "close");
    transfer = client_commit(client, staging, partner, path, 0640, 0, false, CLIENT_OURSELVES,
                             CALL_MS, &error);
    if (transfer == NULL)
        fail("commit", error);
    return transfer->id;
}

static void *work(void *data)
{
    int number;

    while ((number = atomic_fetch_add(&next, 1)) < count)
        ids[number] = hand_over(number);
    return data;
}

static int64_t find_unfinished(void)
{
    const char *const states[] = {"queued", "running", "waiting", NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) transfers =
            client_history(client, partner, states, NULL, 0, 1, CALL_MS, &error);

    if (transfers == NULL)
        fail("history", error);
    return transfers->len > 0 ? ((ClientTransfer *)g_ptr_array_index(transfers, 0))->id : 0;
}

static void await_all(void)
{
    int64_t id;

    for (id = ids[count - 1]; id != 0; id = find_unfinished()) {
        g_autoptr(GError) error = NULL;
        g_autoptr(ClientTransfer) transfer = client_wait(client, id, WAIT_MS, &error);

        if (transfer == NULL)
            fail("wait", error);
        if (strcmp(transfer->state, "done") != 0)
            bare_fail(transfer->error);
    }
}

static void count_done(void)
{
    int64_t before = 0;

    for (;;) {
        g_autoptr(GError) error = NULL;
        const char *const states[] = {"done", NULL};
        g_autoptr(GPtrArray) transfers =
                client_history(client, partner, states, NULL, before, 1000, CALL_MS, &error);

        if (transfers == NULL)
            fail("history", error);
        if (transfers->len == 0)
            return;
        done += (int)transfers->len;
        before = ((ClientTransfer *)g_ptr_array_index(transfers, transfers->len - 1))->id;
    }
}

int main(int argc, char **argv)
{
    int threads = argc == 7 ? atoi(argv[4]) : 0;
    pthread_t *workers = calloc((size_t)threads + 1, sizeof *workers);
    double start, seconds;

    if (threads < 1 || workers == NULL)
        bare_fail("usage: feed SOCKET PARTNER FOLDER THREADS COUNT BYTES");
    partner = argv[2];
    folder = argv[3];
    count = atoi(argv[5]);
    length = (size_t)atol(argv[6]);
    bytes = calloc(length, 1);
    ids = calloc((size_t)count, sizeof *ids);
    client = client_new(argv[1]);
    start = bare_now();
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&workers[i], NULL, work, NULL) != 0)
            bare_fail("thread");
    }
    for (int i = 0; i < threads; i++)
        pthread_join(workers[i], NULL);
    await_all();
    seconds = bare_now() - start;
    count_done();
    printf("%.6f %d\n", seconds, done);
    client_free(client);
    return EXIT_SUCCESS;
}
