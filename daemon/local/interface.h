/* SPDX-License-Identifier: Apache-2.0 */
/* The names that both ends of the local door use, and the text of interface.xml. Any thread. */
#pragma once

#define DOOR_OBJECT       "/org/pesitfs/Daemon"
#define DOOR_INTERFACE    "org.pesitfs.Daemon1"
#define DOOR_ERROR_PREFIX "org.pesitfs.Error."

/* interface.xml as one text, then NULL. */
extern const char *const LOCAL_INTERFACE[];
