/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the operations, what they share, and what concerns the mount as a whole. docs/filesystem.md says
 * what applications see.
 */
#include "pesitfs/ops.h"

#include "pesitfs/counts.h"

#include <errno.h>
#include <sys/statvfs.h>

#define NAME_BYTES   255
#define MAX_IO_BYTES (1 << 20)

Mount *mount_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

void ops_reply_error(fuse_req_t req, int code)
{
    counts_fail(code);
    fuse_reply_err(req, code);
}

/* the whole */

static void op_statfs(fuse_req_t req, fuse_ino_t id)
{
    g_autoptr(GError) error = NULL;
    struct statvfs stat = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = NAME_BYTES};
    uint64_t total, available;

    (void)id;
    if (!client_space(mount_of(req)->client, CALL_MS, &total, &available, &error)) {
        ops_reply_error(req, status_errno_of_error(error));
        return;
    }
    stat.f_blocks = total / stat.f_frsize;
    stat.f_bfree = stat.f_bavail = available / stat.f_frsize;
    fuse_reply_statfs(req, &stat);
}

static void op_init(void *data, struct fuse_conn_info *connection)
{
    (void)data;
    connection->max_write = MAX_IO_BYTES;
    connection->max_readahead = MAX_IO_BYTES;
    connection->want |= connection->capable & (FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_SPLICE_WRITE |
                                               FUSE_CAP_SPLICE_MOVE | FUSE_CAP_PARALLEL_DIROPS |
                                               FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
    connection->want &= ~(unsigned)FUSE_CAP_WRITEBACK_CACHE;
}

const struct fuse_lowlevel_ops MOUNT_OPS = {
        .init = op_init,
        .lookup = op_lookup,
        .forget = op_forget,
        .forget_multi = op_forget_multi,
        .getattr = op_getattr,
        .setattr = op_setattr,
        .mknod = op_mknod,
        .mkdir = op_mkdir,
        .unlink = op_unlink,
        .rmdir = op_rmdir,
        .symlink = op_symlink,
        .rename = op_rename,
        .link = op_link,
        .create = op_create,
        .open = op_open,
        .read = op_read,
        .write = op_write,
        .flush = op_flush,
        .release = op_release,
        .fsync = op_fsync,
        .fallocate = op_fallocate,
        .opendir = op_opendir,
        .readdir = op_readdir,
        .readdirplus = op_readdirplus,
        .releasedir = op_releasedir,
        .statfs = op_statfs,
        .setxattr = op_setxattr,
        .getxattr = op_getxattr,
        .listxattr = op_listxattr,
        .removexattr = op_removexattr,
};
