/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The readiness protocol of systemd: datagrams, with descriptors that it keeps for us. Main thread.
 */
#include "base/notify.h"

#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_HANDED 3
#define PATIENCE_MS  10000

/* A message with a descriptor, -1: none. False: nobody hears it. */
static bool send_state(const char *state, int descriptor)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = path != NULL ? strlen(path) : 0;
    struct iovec text = {(char *)(uintptr_t)state, strlen(state)};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof descriptor)];
    } rights = {.head = {CMSG_LEN(sizeof descriptor), SOL_SOCKET, SCM_RIGHTS}};
    struct msghdr message = {.msg_name = &address, .msg_iov = &text, .msg_iovlen = 1};
    bool sent;
    int fd;

    if (length == 0 || length >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') /* an abstract socket */
        address.sun_path[0] = '\0';
    message.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (descriptor >= 0) {
        message.msg_control = &rights;
        message.msg_controllen = sizeof rights.bytes;
        memcpy(CMSG_DATA(&rights.head), &descriptor, sizeof descriptor);
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    sent = sendmsg(fd, &message, MSG_NOSIGNAL) >= 0;
    (void)close(fd);
    return sent;
}

void notify_manager(const char *state)
{
    /* a manager that does not hear lets its own time run out and says so */
    (void)send_state(state, -1);
}

bool notify_store_descriptor(int fd, const char *name)
{
    g_autofree char *state = g_strconcat("FDSTORE=1\nFDNAME=", name, NULL);
    struct pollfd barrier = {.events = 0};
    bool kept = false;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    barrier.fd = ends[0];
    /* it closes what comes with BARRIER=1 once it has dealt with all before it */
    kept = send_state(state, fd) && send_state("BARRIER=1", ends[1]);
    (void)close(ends[1]);
    kept = kept && poll(&barrier, 1, PATIENCE_MS) == 1;
    (void)close(ends[0]);
    return kept;
}

int notify_take_descriptor(const char *name)
{
    const char *pid = getenv("LISTEN_PID"), *names = getenv("LISTEN_FDNAMES");
    g_auto(GStrv) all = g_strsplit(names != NULL ? names : "", ":", -1);
    g_autofree char *state = g_strconcat("FDSTOREREMOVE=1\nFDNAME=", name, NULL);

    if (pid == NULL || g_ascii_strtoll(pid, NULL, 10) != getpid())
        return -1;
    for (int i = 0; all[i] != NULL; i++) {
        if (strcmp(all[i], name) != 0)
            continue;
        notify_manager(state);
        (void)fcntl(FIRST_HANDED + i, F_SETFD, FD_CLOEXEC);
        return FIRST_HANDED + i;
    }
    return -1;
}
