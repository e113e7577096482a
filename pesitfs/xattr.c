/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended attributes: user.pesit.* say how a transfer stands, and take orders. Other user.* attributes are kept
 * beside the bytes, in the spool. All else is absent, or not supported: never unknown, which would switch
 * attributes off for the whole mount.
 */
#include "pesitfs/ops.h"

#include "base/file.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>
#include <fcntl.h>

#define PREFIX        "user.pesit."
#define STATE         PREFIX "state"
#define ACK           PREFIX "ack"
#define WAIT          PREFIX "wait"
#define ACTION        PREFIX "action"
#define MAX_WAIT_S    86400
#define MAX_OWN_BYTES 4096 /* of names and values that are not ours, per file */

static bool is_ours(const char *name)
{
    return g_str_has_prefix(name, PREFIX);
}

/* Kept for the application: not ours, not the system's. */
static bool is_kept(const char *name)
{
    return g_str_has_prefix(name, "user.") && !is_ours(name);
}

/* ours */

/* Of what is only here. Under the lock. */
static char *local_value(const Staged *staged, const char *name)
{
    struct stat stat;

    if (strcmp(name, STATE) == 0) {
        if (staged->scratch)
            return g_strdup("SCRATCH");
        return g_strdup(fstat(staged->fd, &stat) == 0 && stat.st_size == 0 && staged->writers == 0
                                ? "EMPTY"
                                : "WRITING");
    }
    if (strcmp(name, ACK) == 0)
        return g_strdup(staged->ack);
    if (strcmp(name, WAIT) == 0 && staged->wait_s >= 0)
        return g_strdup_printf("%d", staged->wait_s);
    return NULL;
}

static char *find_value(Mount *mount, Node *node, const char *name)
{
    g_autoptr(ClientTransfer) transfer = NULL;
    char *value = NULL;
    bool staged;

    pthread_mutex_lock(&mount->lock);
    staged = node->staged != NULL;
    if (staged)
        value = local_value(node->staged, name);
    pthread_mutex_unlock(&mount->lock);
    if (staged || node->folder)
        return value;
    transfer = client_find_last(mount->client, node->partner, node->path, CALL_MS, NULL);
    return transfer != NULL ? status_value(transfer, name) : NULL;
}

static void add_name(GString *names, const char *name)
{
    g_string_append_len(names, name, (gssize)strlen(name) + 1);
}

/* Names with a value, each ended by NUL. Returns new. */
static GString *list_ours(Mount *mount, const Node *node)
{
    GString *names = g_string_new(NULL);
    g_autoptr(ClientTransfer) transfer = NULL;
    bool staged, ack = false, wait = false;

    if (node->folder)
        return names;
    pthread_mutex_lock(&mount->lock);
    staged = node->staged != NULL;
    if (staged) {
        ack = node->staged->ack != NULL;
        wait = node->staged->wait_s >= 0;
    }
    pthread_mutex_unlock(&mount->lock);
    if (staged) {
        add_name(names, STATE);
        if (ack)
            add_name(names, ACK);
        if (wait)
            add_name(names, WAIT);
        return names;
    }
    transfer = client_find_last(mount->client, node->partner, node->path, CALL_MS, NULL);
    for (const char *name = status_names(); transfer != NULL && name[0] != '\0';
         name += strlen(name) + 1) {
        g_autofree char *value = status_value(transfer, name);

        if (value != NULL)
            add_name(names, name);
    }
    return names;
}

/* user.pesit.ack and .wait of a file being written. Under the lock. */
static int set_local(Staged *staged, const char *name, const char *value)
{
    char *end = NULL;
    guint64 seconds;

    if (strcmp(name, ACK) == 0) {
        if (strcmp(value, "sent") != 0 && strcmp(value, "spool") != 0)
            return EINVAL;
        g_free(staged->ack);
        staged->ack = g_strdup(value);
        return 0;
    }
    if (strcmp(name, WAIT) != 0)
        return EOPNOTSUPP;
    seconds = g_ascii_strtoull(value, &end, 10);
    if (!g_ascii_isdigit(value[0]) || *end != '\0' || seconds == 0 || seconds > MAX_WAIT_S)
        return EINVAL;
    staged->wait_s = (int32_t)seconds;
    return 0;
}

static int run_action(Mount *mount, const Node *node, const char *action, uid_t for_uid)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer =
            client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    bool done;

    if (transfer == NULL)
        return status_errno_of_error(error);
    if (strcmp(action, "retry") == 0)
        done = client_retry(mount->client, transfer->id, for_uid, CALL_MS, &error);
    else if (strcmp(action, "cancel") == 0)
        done = client_cancel(mount->client, transfer->id, for_uid, CALL_MS, &error);
    else
        return EINVAL;
    return done ? 0 : status_errno_of_error(error);
}

static int set_ours(Mount *mount, Node *node, const char *name, const char *value, uid_t for_uid)
{
    bool staged;
    int failure = EOPNOTSUPP;

    if (node->folder)
        return EOPNOTSUPP;
    pthread_mutex_lock(&mount->lock);
    staged = node->staged != NULL;
    if (staged)
        failure = set_local(node->staged, name, value);
    pthread_mutex_unlock(&mount->lock);
    return !staged && strcmp(name, ACTION) == 0 ? run_action(mount, node, value, for_uid) : failure;
}

/* kept for applications */

/* A descriptor of the bytes of a file; -1 when there are none, errno value in *ret_errno. The caller closes it. */
static int open_bytes(Mount *mount, const Node *node, int *ret_errno)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(ClientTransfer) transfer = NULL;
    bool staged;
    int fd = -1;

    *ret_errno = EOPNOTSUPP;
    if (node->folder)
        return -1;
    pthread_mutex_lock(&mount->lock);
    staged = node->staged != NULL;
    if (staged)
        fd = fcntl(node->staged->fd, F_DUPFD_CLOEXEC, 0);
    pthread_mutex_unlock(&mount->lock);
    if (staged)
        return fd;
    transfer = client_find(mount->client, node->partner, node->path, CALL_MS, &error);
    return transfer != NULL ? client_open(mount->client, transfer->id, CALL_MS, &error) : -1;
}

static int set_kept(int fd, const char *name, const char *bytes, size_t size, int flags)
{
    char names[MAX_OWN_BYTES];
    ssize_t length = flistxattr(fd, names, sizeof names), used = 0;

    for (const char *at = names; length > 0 && at < names + length; at += strlen(at) + 1) {
        ssize_t value = is_kept(at) && strcmp(at, name) != 0 ? fgetxattr(fd, at, NULL, 0) : -1;

        if (value >= 0)
            used += value + (ssize_t)strlen(at);
    }
    if (size + strlen(name) + (size_t)used > MAX_OWN_BYTES)
        return ENOSPC;
    return fsetxattr(fd, name, bytes, size, flags) == 0 ? 0 : errno;
}

/* answers */

static void reply_bytes(fuse_req_t req, const char *bytes, size_t length, size_t size)
{
    if (size == 0)
        fuse_reply_xattr(req, length);
    else if (length > size)
        ops_reply_error(req, ERANGE);
    else
        fuse_reply_buf(req, bytes, length);
}

static void reply_kept(fuse_req_t req, Mount *mount, const Node *node, const char *name,
                       size_t size)
{
    char value[MAX_OWN_BYTES];
    int failure;
    g_auto(Fd) fd = open_bytes(mount, node, &failure);
    ssize_t length = fd >= 0 ? fgetxattr(fd, name, value, sizeof value) : -1;

    if (length < 0)
        ops_reply_error(req, ENODATA);
    else
        reply_bytes(req, value, (size_t)length, size);
}

void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    g_autofree char *value = node != NULL && is_ours(name) ? find_value(mount, node, name) : NULL;

    if (node != NULL && is_kept(name))
        reply_kept(req, mount, node, name, size);
    else if (value == NULL)
        ops_reply_error(req, ENODATA);
    else
        reply_bytes(req, value, strlen(value), size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size)
{
    Mount *mount = mount_of(req);
    const Node *node = tree_get(mount, id);
    GString *names = node != NULL ? list_ours(mount, node) : g_string_new(NULL);
    char kept[MAX_OWN_BYTES];
    int failure;
    g_auto(Fd) fd = node != NULL ? open_bytes(mount, node, &failure) : -1;
    ssize_t length = fd >= 0 ? flistxattr(fd, kept, sizeof kept) : 0;

    for (const char *at = kept; length > 0 && at < kept + length; at += strlen(at) + 1) {
        if (is_kept(at))
            add_name(names, at);
    }
    reply_bytes(req, names->str, names->len, size);
    g_string_free(names, TRUE);
}

void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *bytes, size_t size,
                 int flags)
{
    Mount *mount = mount_of(req);
    Node *node = tree_get(mount, id);
    g_autofree char *value = g_strndup(bytes, size);
    int failure = EOPNOTSUPP;

    if (node == NULL) {
        failure = ENOENT;
    } else if (is_ours(name)) {
        failure = set_ours(mount, node, name, value, fuse_req_ctx(req)->uid);
    } else if (is_kept(name)) {
        g_auto(Fd) fd = open_bytes(mount, node, &failure);

        if (fd >= 0)
            failure = set_kept(fd, name, bytes, size, flags);
    }
    ops_reply_error(req, failure);
}

void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name)
{
    Mount *mount = mount_of(req);
    const Node *node = tree_get(mount, id);
    int failure = is_ours(name) ? EPERM : ENODATA;

    if (node != NULL && is_kept(name)) {
        g_auto(Fd) fd = open_bytes(mount, node, &failure);

        if (fd >= 0)
            failure = fremovexattr(fd, name) == 0 ? 0 : errno;
    }
    ops_reply_error(req, failure);
}
