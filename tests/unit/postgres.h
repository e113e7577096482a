/* SPDX-License-Identifier: Apache-2.0 */
/* A PostgreSQL server for the length of a test program, in a temporary folder, on a Unix socket there. */
#pragma once

#include <glib.h>

typedef struct Postgres Postgres;

/* Starts it; aborts the program when it cannot. Returns new. */
Postgres *postgres_start(void);
/* How to connect, as libpq takes it. Borrowed. */
const char *postgres_conninfo(const Postgres *self);
/* Starts it again after it was killed. */
void postgres_start_again(Postgres *self);
/* SIGKILL to the server and all it started, and waits until they are gone. */
void postgres_kill(Postgres *self);
/* Ends it and removes its folder. */
void postgres_stop(Postgres *self);
