/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another sealing key: the daemon's part of it, which is to say where sealed secrets are, and to seal those of the store
 * again. Key file and configuration are changed by whoever may write them. Main loop only.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/local/door.h"
#include "daemon/store.h"

/* Result of the door's method Seals. Floating. */
GVariant *reseal_describe(const char *config_path, const Config *config);
/* Seals partners, virtual files and listeners of the store again and ends the call, later. config: borrowed now; store: as
 * long as there are answers. */
void reseal_begin(const Config *config, Store *store, DoorCall *call);
