/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of the local door in messages of sd-bus, which know other types for the same things. A message is
 * touched by one thread at a time: who holds its connection.
 */
#pragma once

#include "daemon/local/answer.h"

#include <systemd/sd-bus.h>

/* Appends the members of a tuple. tuple: borrowed, NULL: none. fds: what its handles name by index; duplicated.
 * Returns negative errno. */
int marshal_append(sd_bus_message *message, GVariant *tuple, const int *fds, size_t n);
/* Reads the whole body as one tuple. Returns new; its error is INVALID when it cannot be read, or has more
 * descriptors than an answer may have. */
DoorAnswer *marshal_read(sd_bus_message *message);
