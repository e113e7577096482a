/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When certificates expire: those in files that the configuration names, and those of the store, under one rule. A warning
 * goes to the log once a day for each that ends within thirty days or has ended; metrics are told of the soonest. A text of several
 * certificates counts as the first of them that expires. Main loop only.
 */
#pragma once

#include "daemon/config.h"

typedef struct Expiry Expiry;

/* So many are told, the soonest. */
#define EXPIRY_TOLD_MAX 256

/* Looks at once and every hour from now on. Returns new. */
Expiry *expiry_new(const Config *config);
void expiry_free(Expiry *self);
/* Files and store as they are now; looks at once. config: borrowed for the call. */
void expiry_set_config(Expiry *self, const Config *config);
/* Warns of what is to be warned of at a wall time. Returns how many. */
unsigned expiry_check(Expiry *self, int64_t now_us);
/* The soonest: "file:/path" or "store:NAME", and when it expires, a(sx). Floating. */
GVariant *expiry_describe(const Expiry *self);
