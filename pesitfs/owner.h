/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose file it is once the daemon has it: who wrote it may change its mode and write its next version. Kept in an
 * extended attribute of the bytes in the spool, so that it survives the mount. Any thread.
 */
#pragma once

#include "pesitfs/mount.h"

/* Of bytes that are about to be committed. */
void owner_save(int fd, uid_t uid, gid_t gid);
/* Into the node, once; the mount's own when nothing is known. Only where other users are let in. */
void owner_load(Mount *mount, Node *node, const ClientTransfer *transfer);
/* chown of what the daemon has. (uid_t)-1 and (gid_t)-1: unchanged. */
void owner_change(Mount *mount, Node *node, uid_t uid, gid_t gid);
