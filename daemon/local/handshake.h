/* SPDX-License-Identifier: Apache-2.0 */
/* How both ends of the local door greet each other. Any thread. */
#pragma once

#include <gio/gio.h>

/* Who lets only those mechanisms through that need nothing but the socket. Returns new. */
GDBusAuthObserver *handshake_new_observer(void);
