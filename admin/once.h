/* SPDX-License-Identifier: Apache-2.0 */
/* What is done once although it is asked for again: Idempotency-Key. Private to admin/. */
#pragma once

#include "admin/request.h"

/* A key that a caller gave. In the store, under its id: the print of what was asked, and behind a line's end what was
 * answered. */
typedef struct {
    char *id, *print; /* NULL: he gave none */
} Once;

void once_clear(Once *once);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Once, once_clear)

/* Reserves the caller's key. what: is asked. False: answered, with what was answered under it before, or why not. Worker
 * thread. */
bool once_reserve(Request *request, const char *what, Once *ret_once);
/* The answer stays for repeats; a failure may be tried again, unless it may have been none. Worker thread. */
void once_settle(Request *request, const Once *once);
