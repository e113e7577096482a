/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel asked of the mount and how often it failed, told to the daemon now and then: its metrics have it. Any
 * thread.
 */
#pragma once

#include "daemon/local/client.h"

/* One request, by its opcode. */
void counts_take(uint32_t opcode);
/* One that failed with an errno. */
void counts_fail(int code);
/* What was counted since it was told last; nothing when there is nothing. What cannot be told is told next time. */
void counts_tell(Client *client, unsigned timeout_ms);
