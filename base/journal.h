/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of systemd, when it is what our standard error is connected to. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_FIELDS_MAX 32

/* Looks at the first call only. */
bool journal_is_there(void);
/* One entry of fields "NAME=text". False: it does not take it. */
bool journal_send(char *const *fields, size_t count);
