/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the service manager how the daemon stands, when one listens at NOTIFY_SOCKET. Main thread. */
#pragma once

/* "READY=1", "STOPPING=1", … one message; nothing when nobody listens. */
void notify_manager(const char *state);
