/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that speak of transfers share. Main thread. */
#pragma once

#include "pesitctl/verb.h"

/* INVALID: the text is no number above zero. */
bool transfer_parse_id(const char *text, int64_t *ret_id, GError **error);
/* Writes what a descriptor holds, from its position, to a file that appears whole or not at all; one that is there is
 * replaced. A device or a pipe is written as it is. */
bool transfer_save(int from, const char *name, mode_t mode, GError **error);
