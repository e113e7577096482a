/* SPDX-License-Identifier: Apache-2.0 */
/* What pesitctl prints, for people and as JSON, and what its exit codes mean. Main thread. */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "daemon/local/client.h"

typedef enum {
    EXIT_DONE = 0,
    EXIT_WRONG = 1,       /* usage */
    EXIT_PENDING = 2,     /* queued, running, waiting: not ended in the time allowed */
    EXIT_REFUSED = 3,     /* the partner said no */
    EXIT_LOCAL = 4,       /* our side: disk, rights, store */
    EXIT_UNREACHABLE = 5, /* partner */
    EXIT_UNTRUSTED = 6,
    EXIT_CANCELLED = 7,
    EXIT_UNKNOWN = 8, /* no such transfer, partner or file */
    EXIT_NO_DAEMON = 9,
} ExitCode;

/* exit codes */

/* For help and documentation; NULL beyond the last. */
const char *exit_meaning(int code);
/* How a transfer stands. */
ExitCode exit_code_of(const ClientTransfer *transfer);
/* Why a transfer failed. */
ExitCode exit_code_of_error(const GError *error);
/* Why a call of the client failed: then it is the daemon that cannot be reached. */
ExitCode exit_code_of_call(const GError *error);

/* printing */

/* json: taken. */
void print_json(FILE *file, json_t *json);
/* To standard error. code: what the program will end with. */
void print_error(const GError *error, int code, bool json);
/* transfers: of ClientTransfer. */
void print_transfers(GPtrArray *transfers, bool json);
/* All that is known of one. */
void print_transfer(FILE *file, const ClientTransfer *transfer, bool json);
/* status: a{sv} of interface.xml. */
void print_status(GVariant *status, bool json);
/* One line that is written over, when both outputs are a terminal; NULL: clears it. */
void print_progress(const ClientTransfer *transfer);
