/* SPDX-License-Identifier: Apache-2.0 */
/* Tests of partners, and messages to them, that were asked for, each on a thread of a few. Main loop only. */
#pragma once

#include "daemon/config.h"
#include "daemon/local/door.h"

typedef struct Probes Probes;

/* Ends a call; called by the threads. value: floating. */
typedef void (*ProbesReturn)(DoorCall *call, GVariant *value, gpointer data);

Probes *probes_new(ProbesReturn on_tested, gpointer data);
/* Waits for those that run; those that wait have no time left. */
void probes_free(Probes *self);
/* Methods Test and Say of interface.xml. */
void probes_test(Probes *self, Config *config, DoorCall *call, GVariant *parameters);
