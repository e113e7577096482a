/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose file it is. The daemon knows no users; the mount does, and asks for the bytes of a file once to learn it.
 */
#include "pesitfs/owner.h"

#include "base/file.h"

#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ATTRIBUTE  "user.pesit.owner"
#define TEXT_BYTES 32

void owner_save(int fd, uid_t uid, gid_t gid)
{
    char text[TEXT_BYTES];
    int length = snprintf(text, sizeof text, "%u:%u", (unsigned)uid, (unsigned)gid);

    (void)fsetxattr(fd, ATTRIBUTE, text, (size_t)length,
                    0); /* a spool that keeps none: until unmounted */
}

static bool read_owner(int fd, uid_t *ret_uid, gid_t *ret_gid)
{
    char text[TEXT_BYTES] = "";

    return fd >= 0 && fgetxattr(fd, ATTRIBUTE, text, sizeof text - 1) > 0 &&
           sscanf(text, "%u:%u", ret_uid, ret_gid) == 2;
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
    bool known;

    pthread_mutex_lock(&mount->lock);
    known = node->has_owner;
    pthread_mutex_unlock(&mount->lock);
    if (known || geteuid() != 0)
        return;
    if (transfer->data_kept) {
        g_auto(Fd) fd = client_open(mount->client, transfer->id, CALL_MS, NULL);

        if (fd < 0)
            return;                       /* asked again next time */
        (void)read_owner(fd, &uid, &gid); /* else the mount's */
    }
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
