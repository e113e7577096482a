/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests whose answer depends on a partner. They hold no thread: the daemon's answer, its lateness, a signal to the
 * waiting process or the end of the mount answers them. Any thread.
 */
#pragma once

#include "pesitfs/mount.h"

/* Answers a close or a rename when its transfer has ended: 0 or its errno; EINTR when interrupted. req: taken. */
void waiting_for_transfer(Mount *mount, fuse_req_t req, int64_t id, uint32_t wait_s);
/* Answers an open when its file is fetched. req: taken. node: the kernel holds it while it waits. */
void waiting_for_fetch(Mount *mount, fuse_req_t req, Node *node, uint32_t wait_s,
                       const struct fuse_file_info *info);
/* Ends the waiting of all and returns when they are answered. */
void waiting_end(Mount *mount);
