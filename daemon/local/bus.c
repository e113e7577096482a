/* SPDX-License-Identifier: Apache-2.0 */
/* A connection as both ends want it, whichever of them begins. */
#include "daemon/local/bus.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int bus_reach(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    int fd, failure;

    if (length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, length);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    failure = errno;
    (void)close(fd);
    errno = failure;
    return -1;
}

int bus_new(int fd, sd_bus **ret_bus)
{
    int failure = sd_bus_new(ret_bus);

    if (failure >= 0)
        failure = sd_bus_set_fd(*ret_bus, fd, fd);
    if (failure < 0) {
        (void)close(fd);
        return failure;
    }
    failure = sd_bus_set_anonymous(*ret_bus, true);
    return failure >= 0 ? sd_bus_negotiate_fds(*ret_bus, true) : failure;
}
