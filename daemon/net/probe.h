/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call to a partner that moves no file: CONNECT, its answer, a message if there is one to say, RELEASE, and what both agreed
 * on. Blocks until its deadline. Any thread.
 */
#pragma once

#include "daemon/config.h"

/* MSG, chapter 4.4.31. name: PI 12; text: PI 91, at most PROBE_MESSAGE_MAX bytes. Borrowed. */
#define PROBE_MESSAGE_MAX 4096
typedef struct {
    const char *name, *text;
} ProbeMessage;

/* The answer of Test, a{sv}, see interface.xml. config holds partner. message: or NULL. Floating. */
GVariant *probe_partner(Config *config, const Partner *partner, const ProbeMessage *message,
                        int64_t deadline_us);
