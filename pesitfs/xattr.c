/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: user.pesit.* say how a transfer stands, and take orders.
 */
#include "pesitfs/ops.h"

#include <errno.h>
#include <string.h>

/* extended attributes */

/* State of what is only here. */
static char *local_value(const Staged *staged, const char *name)
{
    if (strcmp(name, "user.pesit.state") == 0) {
        struct stat stat;

        if (staged->scratch)
            return g_strdup("SCRATCH");
        return g_strdup(fstat(staged->fd, &stat) == 0 && stat.st_size == 0 && staged->writers == 0
                                ? "EMPTY"
                                : "WRITING");
    }
    if (strcmp(name, "user.pesit.ack") == 0)
        return g_strdup(staged->ack);
    if (strcmp(name, "user.pesit.wait") == 0 && staged->wait_s >= 0)
        return g_strdup_printf("%d", staged->wait_s);
    return NULL;
}

static char *find_value(Mount *mount, Node *node, const char *name)
{
    g_autoptr(ClientTransfer) transfer = NULL;
    char *value = NULL;

    if (node->folder || !g_str_has_prefix(name, "user.pesit."))
        return NULL;
    pthread_mutex_lock(&mount->lock);
    if (node->staged != NULL)
        value = local_value(node->staged, name);
    pthread_mutex_unlock(&mount->lock);
    if (value != NULL || node->staged != NULL)
        return value;
    transfer = client_find(mount->client, node->partner, node->path, CALL_MS, NULL);
    return transfer != NULL ? status_value(transfer, name) : NULL;
}

static void reply_bytes(fuse_req_t req, const char *bytes, size_t length, size_t size)
{
    if (size == 0)
        fuse_reply_xattr(req, length);
    else if (length > size)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, bytes, length);
}

void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    g_autofree char *value = node != NULL ? find_value(mount, node, name) : NULL;

    if (value == NULL)
        fuse_reply_err(req, ENODATA);
    else
        reply_bytes(req, value, strlen(value), size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
    static const char LOCAL[] = "user.pesit.state";
    Mount *mount = mount_of(req);
    const Node *node = tree_get(mount, id);
    size_t length = 0;
    const char *names = "";
    bool staged;

    if (node != NULL && !node->folder) {
        pthread_mutex_lock(&mount->lock);
        staged = node->staged != NULL;
        pthread_mutex_unlock(&mount->lock);
        length = sizeof LOCAL;
        names = staged ? LOCAL : status_names(&length);
    }
    reply_bytes(req, names, length, size);
}

/* user.pesit.ack and .wait of a file being written. */
static int set_local(Staged *staged, const char *name, const char *value)
{
    char *end = NULL;
    guint64 seconds;

    if (strcmp(name, "user.pesit.ack") == 0) {
        if (strcmp(value, "sent") != 0 && strcmp(value, "spool") != 0)
            return EINVAL;
        g_free(staged->ack);
        staged->ack = g_strdup(value);
        return 0;
    }
    if (strcmp(name, "user.pesit.wait") != 0)
        return EOPNOTSUPP;
    seconds = g_ascii_strtoull(value, &end, 10);
    if (value[0] == '\0' || *end != '\0' || seconds > 86400)
        return EINVAL;
    staged->wait_s = (int32_t)seconds;
    return 0;
}

static int run_action(Mount *mount, const Node *node, const char *action)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer =
            client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    bool done;

    if (transfer == NULL)
        return status_errno_of_error(error);
    if (strcmp(action, "retry") == 0 || strcmp(action, "resend") == 0)
        done = client_retry(mount->client, transfer->id, CALL_MS, &error);
    else if (strcmp(action, "cancel") == 0)
        done = client_cancel(mount->client, transfer->id, CALL_MS, &error);
    else
        return EINVAL;
    return done ? 0 : status_errno_of_error(error);
}

void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *bytes, size_t size,
                 int flags)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    g_autofree char *value = g_strndup(bytes, size);
    int failure = EOPNOTSUPP;

    (void)flags;
    if (node != NULL && !node->folder && g_str_has_prefix(name, "user.pesit.")) {
        pthread_mutex_lock(&mount->lock);
        if (node->staged != NULL)
            failure = set_local(node->staged, name, value);
        pthread_mutex_unlock(&mount->lock);
        if (node->staged == NULL && strcmp(name, "user.pesit.action") == 0)
            failure = run_action(mount, node, value);
    }
    fuse_reply_err(req, failure);
}

void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
    (void)id, (void)name;
    fuse_reply_err(req, EPERM);
}
