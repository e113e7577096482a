/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs that are requests of the administration API, over the local door. */
#pragma once

#include "daemon/local/client.h"

/* Runs "NOUN VERB …" and prints the answer. arguments: the verb and what follows, ended by NULL. Returns the exit
 * code; with an error when there is something to say. */
int admin_run(Client *client, const char *noun, char **arguments, bool json, GError **error);
