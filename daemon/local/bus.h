/* SPDX-License-Identifier: Apache-2.0 */
/* What both ends of the local door begin with. Any thread. */
#pragma once

#include <systemd/sd-bus.h>

/* Connects to a Unix socket. Returns a descriptor that does not block, the caller's, or -1 with errno. */
int bus_reach(const char *path);
/* A connection over fd, not started yet, that passes descriptors and wants no proof of who the other one is: the kernel
 * is asked for that, and between two containers nobody could give one. fd: taken. ret_bus: new, the caller's also
 * after a failure, unless NULL. Returns negative errno. */
int bus_new(int fd, sd_bus **ret_bus);

/* The destination of a call that is made for another user of the machine, with his number behind it. Between two that are
 * alone a destination means nothing to the bus, so one that does not know of it does as without. */
#define BUS_FOR_USER ":uid."
