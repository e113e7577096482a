/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one GError domain of the programs. A caller branches only on the codes that a function's
 * comment lists; all others it passes on, with a prefix that says what it was doing. Any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
    BASE_ERROR_IO,                 /* a system call failed; the text says which and why */
    BASE_ERROR_NOT_FOUND,          /* no such thing */
    BASE_ERROR_EXISTS,             /* already there */
    BASE_ERROR_BUSY,               /* in use by someone else, try later */
    BASE_ERROR_REFUSED,            /* policy or rights say no */
    BASE_ERROR_INVALID,            /* the input is wrong; the text names the culprit */
    BASE_ERROR_NO_SPACE,           /* disk, quota or another budget is exhausted */
    BASE_ERROR_TIMEOUT,            /* the time allowed ran out */
    BASE_ERROR_CANCELLED,          /* stopped on request */
    BASE_ERROR_UNREACHABLE,        /* the partner or the daemon cannot be reached */
    BASE_ERROR_UNTRUSTED,          /* certificate or identity not accepted */
    BASE_ERROR_CONFLICT,           /* the state changed under us */
    BASE_ERROR_PARTNER,            /* the partner answered with a diagnostic */
    BASE_ERROR_CONNECTION_REFUSED, /* the partner's host is there, nobody listens */
    BASE_ERROR_UNKNOWN_HOST,       /* the partner's name has no address */
    BASE_ERROR_EXPIRED,            /* not accepted: our own certificate has expired */
    BASE_ERROR_COUNT,
} BaseError;

#define BASE_ERROR (base_error_quark())
GQuark base_error_quark(void);

/* "not-found": name of a code, for the local door and JSON. Never NULL. */
const char *base_error_name(BaseError code);
/* Code of a name; false when unknown. */
bool base_error_from_name(const char *name, BaseError *ret_code);
/* Sets an error from errno: "open '…': No such file or directory". Code: IO, or NOT_FOUND, EXISTS,
 * NO_SPACE, REFUSED where errno says so. format: what failed, subject in single quotes. */
void error_set_errno(GError **error, int errno_value, const char *format, ...) G_GNUC_PRINTF(3, 4);
