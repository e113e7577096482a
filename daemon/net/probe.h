/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call to a partner that moves no file: CONNECT, its answer, RELEASE, and what both agreed on. Blocks until its
 * deadline. Any thread.
 */
#pragma once

#include "daemon/config.h"

/* The answer of Test, a{sv}, see interface.xml. config holds partner. Floating. */
GVariant *probe_partner(Config *config, const Partner *partner, int64_t deadline_us);
