/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells of the process that closes a file. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Thread group of a thread; 0 when it cannot be known (another process namespace). */
pid_t process_group(pid_t pid);
/* Whether a signal is what ends it. */
bool process_is_killed(pid_t pid);
/* Whether it has another descriptor of a file of ours. name: its last component; inodes: its number, and the one that it had. False when it
 * cannot be known. */
bool process_has_open(pid_t group, const char *name, const uint64_t inodes[2]);
