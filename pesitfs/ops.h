/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of FUSE's low-level interface, by what they are about, and what they share. Each answers its
 * request once. Any FUSE thread. The table is in ops.c.
 */
#pragma once

#include "pesitfs/handle.h"

#include <sys/stat.h>

#define BLOCK_BYTES (1 << 20) /* what cp and cat take as their unit */
#define FILE_SECONDS                                                                               \
    1.0 /* how long names, and what may change, hold without a word from the daemon */
#define FINAL_SECONDS 3600.0 /* the same of what has ended: the daemon tells when it changes */

/* The mount of a request. */
Mount *mount_of(fuse_req_t req);

/* Ends a request: 0, or an errno, which is counted. */
void ops_reply_error(fuse_req_t req, int code);

/* attributes.c */

/* Of a file that is being written. 0 or an errno value, as all of these. */
int fill_staged(const Node *node, Staged *staged, struct stat *attr);
/* Attributes as they are now. known: what the daemon has there; NULL: it is asked. ret_seconds: how long they hold. */
int fill_node(Mount *mount, Node *node, const ClientTransfer *known, struct stat *attr,
              double *ret_seconds);
void op_getattr(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info);
void op_setattr(fuse_req_t req, fuse_ino_t id, struct stat *attr, int to_set,
                struct fuse_file_info *info);

/* names.c */

/* What the kernel is told of a node. known: as for fill_node. */
int fill_entry(Mount *mount, Node *node, const ClientTransfer *known,
               struct fuse_entry_param *entry);
/* The node of a name in a folder, with one lookup more; NULL: a partner that is not there. */
Node *enter_name(Mount *mount, const char *partner, const char *folder, const char *name);
void op_lookup(fuse_req_t req, fuse_ino_t parent_id, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t id, uint64_t lookups);
void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_mkdir(fuse_req_t req, fuse_ino_t parent_id, const char *name, mode_t mode);
void op_rmdir(fuse_req_t req, fuse_ino_t parent_id, const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent_id, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent_id, const char *name, fuse_ino_t new_parent_id,
               const char *new_name, unsigned flags);
void op_link(fuse_req_t req, fuse_ino_t id, fuse_ino_t parent, const char *name);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);

/* folder.c */
void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info);
void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                struct fuse_file_info *info);
void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                    struct fuse_file_info *info);
void op_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info);

/* io.c */
void op_create(fuse_req_t req, fuse_ino_t parent_id, const char *name, mode_t mode,
               struct fuse_file_info *info);
void op_open(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info);
void op_read(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset, struct fuse_file_info *info);
void op_write(fuse_req_t req, fuse_ino_t id, const char *bytes, size_t length, off_t offset,
              struct fuse_file_info *info);
void op_flush(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info);
void op_release(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info);
void op_fsync(fuse_req_t req, fuse_ino_t id, int data_only, struct fuse_file_info *info);
void op_fallocate(fuse_req_t req, fuse_ino_t id, int mode, off_t offset, off_t length,
                  struct fuse_file_info *info);

/* xattr.c */
void op_getxattr(fuse_req_t req, fuse_ino_t id, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t id, size_t size);
void op_setxattr(fuse_req_t req, fuse_ino_t id, const char *name, const char *bytes, size_t size,
                 int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t id, const char *name);
