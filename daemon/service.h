/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's parts put together, in one visible order of start, reload and stop. Main thread only. */
#pragma once

#include "daemon/config.h"

typedef struct Service Service;

/* Opens store and spool, recovers, listens. path: of the configuration, for reloads. config: taken.
 * ready_fd: gets "READY\n" once partners can call; -1: nobody asks. Returns new. */
Service *service_start(const char *path, Config *config, int ready_fd, GError **error);
/* Runs until SIGTERM or SIGINT: then running transfers may end until drain_ms, the rest is aborted 3/312. */
void service_run(Service *self);
void service_stop(Service *self);
