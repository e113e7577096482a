/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that speak of transfers share. Main thread. */
#pragma once

#include "pesitctl/verb.h"

/* INVALID: the text is no number above zero. */
bool transfer_parse_id(const char *text, int64_t *ret_id, GError **error);
