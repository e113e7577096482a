/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the service manager how the daemon stands, when one listens at NOTIFY_SOCKET. Main thread. */
#pragma once

#include <stdbool.h>

/* "READY=1", "STOPPING=1", … one message; nothing when nobody listens. */
void notify_manager(const char *state);
/* Gives a descriptor to the manager to keep under a name, and waits until it has it. False: nobody keeps it. */
bool notify_store_descriptor(int fd, const char *name);
/* The descriptor that the manager kept under a name, and forgets now; -1: it has handed over none. */
int notify_take_descriptor(const char *name);
