/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon tells of changes, passed on to the kernel. In the client's thread. */
#pragma once

#include "pesitfs/mount.h"

/* What stands at a path has changed; partner NULL: anything may have. mount: a Mount. For client_set_on_change. */
void change_take(const char *partner, const char *path, gpointer mount);
