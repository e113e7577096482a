/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of the store as the daemon has them: told without their keys, and what the keys are needed for is done here.
 * Main loop only.
 */
#pragma once

#include "daemon/definitions.h"

/* Methods of the local door, see interface.xml. config: in force. */

void certificates_describe(const Config *config, const Definitions *definitions, DoorCall *call,
                           GVariant *parameters);
void certificates_sign(const Config *config, DoorCall *call, GVariant *parameters);
