/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests kept until the daemon answers. The kernel's interrupt comes in a thread that libfuse holds locked: it only
 * asks the client to answer, and the answer is given from the client's thread, after interrupts are disarmed.
 */
#include "pesitfs/waiting.h"

#include "base/error.h"
#include "pesitfs/ops.h"

#include <errno.h>

typedef struct {
    Mount *mount;
    fuse_req_t req;
    ClientPending *pending;
    Node *node; /* of a fetch, else NULL */
    struct fuse_file_info info;
} Waiting;

static void on_interrupt(fuse_req_t req, void *data)
{
    const Waiting *waiting = data;

    (void)req;
    client_interrupt(waiting->mount->client, waiting->pending);
}

static int errno_of_answer(const ClientTransfer *transfer, const GError *error)
{
    return transfer != NULL ? status_errno(transfer) : status_errno_of_error(error);
}

static void answer_open(Waiting *waiting, const ClientTransfer *transfer, int fd,
                        const GError *error)
{
    Handle *handle = NULL;
    int failure = 0;

    if (fd < 0)
        failure = errno_of_answer(transfer, error);
    if (failure == 0 && fd < 0)
        failure = EIO; /* done, and no bytes came with it */
    if (failure == 0)
        handle = handle_new_reading(waiting->mount, waiting->node, transfer, fd);
    if (handle == NULL)
        ops_reply_error(waiting->req, failure);
    else
        handle_reply_open(waiting->mount, waiting->req, &waiting->info, handle);
}

static void on_done(ClientTransfer *taken, int fd, const GError *error, gpointer data)
{
    Waiting *waiting = data;
    Mount *mount = waiting->mount;
    g_autoptr(ClientTransfer) transfer = taken;

    fuse_req_interrupt_func(waiting->req, NULL, NULL);
    if (waiting->node != NULL)
        answer_open(waiting, transfer, fd, error);
    else
        ops_reply_error(waiting->req, errno_of_answer(transfer, error));
    g_free(waiting);
    pthread_mutex_lock(&mount->lock);
    if (--mount->waiting == 0)
        pthread_cond_broadcast(&mount->nobody_waits);
    pthread_mutex_unlock(&mount->lock);
}

static Waiting *waiting_new(Mount *mount, fuse_req_t req, Node *node)
{
    Waiting *waiting = g_new0(Waiting, 1);

    waiting->mount = mount;
    waiting->req = req;
    waiting->node = node;
    waiting->pending = client_pending_new(on_done, waiting);
    pthread_mutex_lock(&mount->lock);
    mount->waiting++;
    pthread_mutex_unlock(&mount->lock);
    fuse_req_interrupt_func(req, on_interrupt,
                            waiting); /* at once when it is interrupted already */
    return waiting;
}

void waiting_for_transfer(Mount *mount, fuse_req_t req, int64_t id, uint32_t wait_s)
{
    Waiting *waiting = waiting_new(mount, req, NULL);

    client_begin_wait(mount->client, waiting->pending, id, wait_s * 1000);
}

void waiting_for_fetch(Mount *mount, fuse_req_t req, Node *node, uint32_t wait_s,
                       const struct fuse_file_info *info)
{
    Waiting *waiting = waiting_new(mount, req, node);

    waiting->info = *info;
    client_begin_fetch(mount->client, waiting->pending, node->partner, node->path,
                       fuse_req_ctx(req)->uid, wait_s * 1000);
}

void waiting_end(Mount *mount)
{
    client_end_waiting(mount->client);
    pthread_mutex_lock(&mount->lock);
    while (mount->waiting > 0)
        pthread_cond_wait(&mount->nobody_waits, &mount->lock);
    pthread_mutex_unlock(&mount->lock);
}
