/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The threads that take requests from the kernel. libfuse's own loop ends its threads by cancelling them,
 * wherever they are; ours wait in a read that a signal interrupts, and look whether the session has ended.
 */
#include "pesitfs/loop.h"

#include "pesitfs/counts.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 64
#define MAX_IDLE    4
#define STACK_BYTES (512 * 1024)
#define WAKE_SIGNAL SIGUSR1
#define TICK_MS     2000
#define WAKE_NS     (20 * 1000 * 1000) /* a signal that came between look and read is repeated */

typedef struct {
    struct fuse_session *session;
    pthread_mutex_t lock;
    pthread_cond_t ended; /* a worker has gone */
    pthread_t workers[MAX_WORKERS];
    unsigned count, idle;
    int done_fd; /* readable once a worker has seen the session's end */
} Loop;

static void *work(void *data);

/* Under the lock. */
static bool add_worker(Loop *self)
{
    pthread_attr_t attributes;
    bool made;

    if (self->count == MAX_WORKERS || pthread_attr_init(&attributes) != 0)
        return false;
    made = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
           pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
           pthread_create(&self->workers[self->count], &attributes, work, self) == 0;
    (void)pthread_attr_destroy(&attributes);
    if (made) {
        self->count++;
        self->idle++;
    }
    return made;
}

/* Under the lock, by the worker itself. */
static void remove_worker(Loop *self)
{
    for (unsigned i = 0; i < self->count; i++) {
        if (pthread_equal(self->workers[i], pthread_self()))
            self->workers[i] = self->workers[--self->count];
    }
    pthread_cond_signal(&self->ended);
}

static void begin_request(Loop *self)
{
    pthread_mutex_lock(&self->lock);
    if (--self->idle == 0)
        (void)add_worker(self); /* else the next request waits for one of us */
    pthread_mutex_unlock(&self->lock);
}

/* False: there are enough others. */
static bool end_request(Loop *self)
{
    bool stays;

    pthread_mutex_lock(&self->lock);
    stays = self->idle < MAX_IDLE;
    if (stays)
        self->idle++;
    pthread_mutex_unlock(&self->lock);
    return stays;
}

/* What the kernel gives in a pipe is to be written. */
static uint32_t opcode_of(const struct fuse_buf *buffer)
{
    return (buffer->flags & FUSE_BUF_IS_FD) != 0
                   ? FUSE_WRITE
                   : ((const struct fuse_in_header *)buffer->mem)->opcode;
}

static void *work(void *data)
{
    static const uint64_t ONE = 1;
    Loop *self = data;
    struct fuse_buf buffer = {0};
    bool stays = true, over = false;

    while (stays && !over) {
        int length = fuse_session_receive_buf(self->session, &buffer);

        if (length > 0) {
            begin_request(self);
            counts_take(opcode_of(&buffer));
            fuse_session_process_buf(self->session, &buffer);
            stays = end_request(self);
        }
        over = fuse_session_exited(self->session) != 0 ||
               (length <= 0 && length != -EINTR && length != -EAGAIN);
    }
    free(buffer.mem);
    pthread_mutex_lock(&self->lock);
    if (over && write(self->done_fd, &ONE, sizeof ONE) < 0)
        fuse_session_exit(self->session); /* it is readable already */
    remove_worker(self);
    pthread_mutex_unlock(&self->lock);
    return NULL;
}

static sigset_t stop_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

static void on_wake(int signal)
{
    (void)signal;
}

void loop_block_signals(void)
{
    const struct sigaction action = {.sa_handler = on_wake}; /* no SA_RESTART: the read returns */
    sigset_t set = stop_signals();

    (void)pthread_sigmask(SIG_BLOCK, &set, NULL); /* cannot fail */
    (void)sigaction(WAKE_SIGNAL, &action, NULL);  /* cannot fail */
}

/* Until a signal asks for the end or the kernel has closed the session. */
static void wait_for_end(const Loop *self, const LoopHooks *hooks)
{
    int ready;

    sigset_t set = stop_signals();
    struct pollfd fds[] = {{.fd = signalfd(-1, &set, SFD_CLOEXEC), .events = POLLIN},
                           {.fd = self->done_fd, .events = POLLIN}};

    while ((ready = poll(fds, 2, TICK_MS)) == 0 || (ready < 0 && errno == EINTR)) {
        if (ready == 0)
            hooks->on_tick(hooks->data);
    }
    (void)close(fds[0].fd);
}

static void wait_for_workers(Loop *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->count > 0) {
        struct timespec until;

        for (unsigned i = 0; i < self->count; i++)
            (void)pthread_kill(self->workers[i], WAKE_SIGNAL); /* all of them are alive */
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WAKE_NS;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&self->ended, &self->lock, &until); /* looked at above */
    }
    pthread_mutex_unlock(&self->lock);
}

bool loop_run(struct fuse_session *session, const LoopHooks *hooks)
{
    Loop self = {.session = session, .done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    bool started;

    (void)pthread_mutex_init(&self.lock, NULL); /* with defaults neither fails */
    (void)pthread_cond_init(&self.ended, NULL);
    pthread_mutex_lock(&self.lock);
    started = self.done_fd >= 0 && add_worker(&self);
    pthread_mutex_unlock(&self.lock);
    if (started)
        wait_for_end(&self, hooks);
    fuse_session_exit(session);
    hooks->on_stop(hooks->data);
    wait_for_workers(&self);
    fuse_session_reset(session);
    (void)pthread_cond_destroy(&self.ended);
    (void)pthread_mutex_destroy(&self.lock);
    (void)close(self.done_fd);
    return started;
}
