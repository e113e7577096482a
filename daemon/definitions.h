/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Partners, virtual files, listeners and certificates of the store: read at the start and when somebody changes them, and changed from here.
 * A change is checked together with the configuration file, stored, and in force when it is answered; changes are
 * made one after the other. Main loop only.
 */
#pragma once

#include "daemon/config.h"
#include "daemon/local/door.h"
#include "daemon/store.h"

typedef struct Definitions Definitions;

typedef struct {
    const char *path; /* of the configuration file; borrowed */
    /* The configuration in force. */
    const Config *(*config)(gpointer data);
    /* They are to be in force as they are now (definitions_load_again). False: it does not fit, and all stays as it was. */
    bool (*apply)(gpointer data, GError **error);
    gpointer data;
} DefinitionsHost;

/* Reads the store, and waits for it. Returns new. */
Definitions *definitions_open(Store *store, const DefinitionsHost *host, GError **error);
/* Changes that were not made are answered with CANCELLED. */
void definitions_close(Definitions *self);
/* The configuration with what the store has. At the start: what does not fit is left out, and logged, so that all
 * others can work; a partner stands there disabled, and what is to be sent to it waits. Error: of the file. Returns new. */
Config *definitions_load(Definitions *self, GError **error);
/* For a daemon that runs, as config_load_again. What did not fit may fit now; nothing else is left out. Returns new. */
Config *definitions_load_again(Definitions *self, const Config *running, GError **error);
bool definitions_are_none(const Definitions *self);
/* All, of Definition, with what is known of their faults. Borrowed. */
const GPtrArray *definitions_list(const Definitions *self);
/* Those that were left out, as entrances_describe has the others. */
void definitions_describe_listeners(const Definitions *self, GVariantBuilder *listeners);
/* Somebody changed them: they are read again, and applied when they differ. */
void definitions_refresh(Definitions *self);

/* Methods of the local door, see interface.xml. */

void definitions_describe(Definitions *self, DoorCall *call, GVariant *parameters);
void definitions_define(Definitions *self, DoorCall *call, GVariant *parameters);
void definitions_undefine(Definitions *self, DoorCall *call, GVariant *parameters);
