/* SPDX-License-Identifier: Apache-2.0 */
/* What pesitctl prints, for people and as JSON, and what its exit codes mean. Main thread. */
#pragma once

#include "daemon/local/client.h"

typedef enum {
    EXIT_DONE = 0,
    EXIT_WRONG = 1,       /* usage */
    EXIT_PENDING = 2,     /* queued, running, waiting: not ended in the time allowed */
    EXIT_REFUSED = 3,     /* the partner said no */
    EXIT_LOCAL = 4,       /* our side: disk, rights, store */
    EXIT_UNREACHABLE = 5, /* partner or daemon */
    EXIT_UNTRUSTED = 6,
    EXIT_CANCELLED = 7,
    EXIT_UNKNOWN = 8, /* no such transfer, partner or file */
} ExitCode;

ExitCode exit_code_of(const ClientTransfer *transfer);
ExitCode exit_code_of_error(const GError *error);
/* transfers: of ClientTransfer. */
void print_transfers(GPtrArray *transfers, bool json);
void print_transfer(const ClientTransfer *transfer, bool json);
/* status: a{sv} of interface.xml. */
void print_status(GVariant *status, bool json);
/* One line that is written over, on a terminal only; NULL: clears it. */
void print_progress(const ClientTransfer *transfer);
