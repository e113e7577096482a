/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who failed to say who he is, too often, waits: a bounded memory of failures, one for each account or address. One
 * that is locked is never forgotten for others that come; of the rest the least guilty goes first. Any thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define LOCKOUT_ALLOWED 10 /* failures, before the next is refused unheard */

typedef struct Lockout Lockout;

/* most: keys that are remembered one by one; forgive_us: after which one failure is forgotten. Returns new. */
Lockout *lockout_new(guint most, int64_t forgive_us);
void lockout_free(Lockout *self);
/* How long a key is refused from now on; 0: it may try. now_us: monotonic. */
int64_t lockout_left_us(Lockout *self, const char *key, int64_t now_us);
/* It has failed. ret_left_us: for how long it is refused, 0: not yet. False: it was refused before, and is as it was. */
bool lockout_fail(Lockout *self, const char *key, int64_t now_us, int64_t *ret_left_us);
/* It has proved who it is. */
void lockout_forgive(Lockout *self, const char *key);
/* What stands for an address: an owner of IPv6 has a whole /64 of them. Returns new. */
char *lockout_dup_place(const char *address);
