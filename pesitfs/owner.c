/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose file it is. The daemon knows no users; the mount does, writes it down beside the bytes, and is told what it
 * wrote.
 */
#include "pesitfs/owner.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define TEXT_BYTES 32

void owner_save(int fd, uid_t uid, gid_t gid)
{
    char text[TEXT_BYTES];
    int length = snprintf(text, sizeof text, "%u:%u", (unsigned)uid, (unsigned)gid);

    (void)fsetxattr(fd, DESCRIPTION_OWNER, text, (size_t)length,
                    0); /* a spool that keeps none: until unmounted */
}

/* Under the lock. */
static void set_owner(Node *node, uid_t uid, gid_t gid)
{
    node->uid = uid;
    node->gid = gid;
    node->has_owner = true;
}

void owner_load(Mount *mount, Node *node, const ClientTransfer *transfer)
{
    uid_t uid = mount->uid;
    gid_t gid = mount->gid;

    if (geteuid() != 0)
        return;
    (void)sscanf(transfer->owner, "%u:%u", &uid, &gid); /* else the mount's */
    pthread_mutex_lock(&mount->lock);
    if (!node->has_owner)
        set_owner(node, uid, gid);
    pthread_mutex_unlock(&mount->lock);
}

void owner_change(Mount *mount, Node *node, uid_t uid, gid_t gid)
{
    g_autoptr(ClientTransfer) transfer =
            client_find(mount->client, node->partner, node->path, CALL_MS, NULL);
    g_auto(Fd) fd = transfer != NULL ? client_open(mount->client, transfer->id, CALL_MS, NULL) : -1;

    pthread_mutex_lock(&mount->lock);
    if (!node->has_owner)
        set_owner(node, mount->uid, mount->gid);
    set_owner(node, uid != (uid_t)-1 ? uid : node->uid, gid != (gid_t)-1 ? gid : node->gid);
    uid = node->uid;
    gid = node->gid;
    pthread_mutex_unlock(&mount->lock);
    if (fd >= 0)
        owner_save(fd, uid, gid);
}
