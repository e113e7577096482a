/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands in the mount: partners, folders, files that the daemon knows, and files being written here.
 * Nodes live while the kernel or an open file knows them. One lock guards the tables; it is never held
 * over a call to the daemon or to a disk. Any FUSE thread.
 */
#pragma once

#include "daemon/local/client.h"

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define CALL_MS 10000 /* the daemon's answer to what needs no partner */

/* A file being written here: a staged file of the daemon, seen through its descriptor. */
typedef struct {
    unsigned references; /* under the lock */
    int64_t id;
    int fd;
    bool scratch; /* local only, until renamed to a declared name */
    unsigned writers;
    mode_t mode;
    uid_t writer; /* who made it: whom the daemon is told it is for */
    uid_t uid;
    gid_t gid;
    int64_t mtime_us;       /* set by utimens; 0: that of the bytes */
    int32_t wait_s;         /* user.pesit.wait before close; -1: as configured */
    char *ack;              /* user.pesit.ack before close; NULL: as configured */
    _Atomic bool dirty;     /* bytes that no commit has taken */
    _Atomic bool poisoned;  /* a write failed, or its writer was killed: never commit */
    _Atomic bool removed;   /* unlinked while open */
    _Atomic bool committed; /* the spool's now */
    bool committing;        /* under the lock */
    int64_t copy_of;        /* transfer whose bytes it began with, 0: none */
    bool changed;           /* mode or time were set */
} Staged;

typedef struct {
    fuse_ino_t id;
    char *_Atomic partner; /* NULL: the root */
    char *_Atomic path;    /* below the partner; "": the partner's folder */
    GSList *former;        /* names before a rename; who reads one now may go on */
    bool folder;
    bool local;       /* a folder that an application made */
    mode_t mode;      /* of a local folder */
    uint64_t lookups; /* known to the kernel */
    unsigned handles;
    Staged *staged;               /* shown instead of what the daemon knows */
    uint64_t inode, inode_before; /* number that stat shows, and the one before a rename */
    bool has_owner;               /* uid and gid of whoever committed it, else the mount's */
    uid_t uid;
    gid_t gid;
    int64_t told_bytes;     /* size that the kernel was told last, -1: not to be relied on */
    int64_t cached_id;      /* transfer whose bytes the kernel may have in its cache */
    uint64_t fetched_bytes; /* size of the newest fetch through this name */
    int64_t fetched_us;
} Node;

/* A size that the kernel learns while we tell it that something changed is thrown away by it: TOLD_NOTHING before and
 * after. A cached read would end at the old size. */
#define TOLD_NOTHING (-1)

typedef struct Mount Mount;
struct Mount {
    Client *client;
    struct fuse_session *session;
    pthread_mutex_t lock;
    GHashTable *by_id;   /* fuse_ino_t → Node, owned */
    GHashTable *by_path; /* "PARTNER/path" → Node */
    fuse_ino_t next_id;
    GPtrArray *partners;    /* ClientPartner *, shared by reference */
    GHashTable *folders;    /* "PARTNER/path" of declared folders, shared by reference */
    _Atomic bool stale;     /* partners and folders are to be read again */
    _Atomic int64_t budget; /* bytes that may be written before the space is looked at again */
    GHashTable *
            folder_times; /* "PARTNER/path" → int64_t, when something came or went; since the mount */
    GHashTable *handles;         /* Handle *, open */
    GHashTable *listings;        /* Listing *, of open folders */
    pthread_cond_t released;     /* a writer has gone */
    unsigned waiting;            /* requests that wait for a partner */
    pthread_cond_t nobody_waits; /* waiting became 0 */
    uid_t uid;
    gid_t gid;
    mode_t umask;
    int64_t started_us;
};

/* tree.c */

void mount_init(Mount *self, Client *client);
void mount_clear(Mount *self);
/* Reads the partners again when they changed. False: the daemon is not there, errno value in *ret_errno. */
bool tree_refresh(Mount *self, int *ret_errno);
/* Borrowed while the kernel knows it. NULL: unknown. */
Node *tree_get(Mount *self, fuse_ino_t id);
/* The node of a path, made when needed; counts one lookup. */
Node *tree_enter(Mount *self, const char *partner, const char *path, bool folder);
/* Gives back lookups. */
void tree_forget(Mount *self, fuse_ino_t id, uint64_t lookups);
/* The number that stat shows for a path: the same in every mount and after every restart. */
uint64_t tree_inode(const char *partner, const char *path);
/* "PARTNER/path". Returns new. */
char *tree_key(const char *partner, const char *path);
/* Path of a name in a folder. Returns new. */
char *tree_join(const char *folder, const char *name);
bool tree_is_folder(Mount *self, const char *partner, const char *path);
/* Whether files may stand in a folder: always below the partner's own, there when a pattern has no folder. */
bool tree_takes_files(Mount *self, const char *partner, const char *folder);
bool tree_has_partner(Mount *self, const char *partner);
/* False for one that the configuration disables. */
bool tree_is_enabled(Mount *self, const char *partner);
/* Something came or went in the folder of a path, now or at a time. */
void tree_touch_folder(Mount *self, const char *partner, const char *folder, int64_t wall_us);
/* When that was last. */
int64_t tree_folder_time(Mount *self, const char *partner, const char *folder);
/* Folder of a path: "" for the partner's own. Returns new. */
char *tree_parent(const char *path);
/* The rule for reading or writing a path, copied out: mode, commit and ack as text constants. False: none. */
typedef struct {
    bool fetch, offer, receive, send;
    bool on_rename, sent, allow_empty;
    uint32_t wait_s;
    uint64_t max_bytes; /* 0: no limit */
} Rule;
bool tree_find_rule(Mount *self, const char *partner, const char *path, bool writing,
                    Rule *ret_rule);
/* Names that are local only: editors' and copiers' temporary files, and all below a scratch folder; but not
 * where a partner may have sent a file of such a name. */
bool tree_is_scratch(Mount *self, const char *partner, const char *path);
/* A file that nobody writes any more, and whose bytes the daemon has removed: too old, or it was restarted. Under the lock. */
bool tree_is_gone(const Node *node);
/* Forgets those; what is still being written then is forgotten by its last close. */
void tree_sweep(Mount *self);
/* Local nodes and declared folders directly in a folder: names → GINT_TO_POINTER(is folder). Returns new. */
GHashTable *tree_list(Mount *self, const char *partner, const char *folder);
/* A local node under a path, with staged bytes or a local folder; NULL when none. */
Node *tree_find_local(Mount *self, const char *partner, const char *path);
void tree_move(Mount *self, Node *node, const char *partner, const char *path);

/* Staged files; references under the lock. */
Staged *staged_new(int64_t id, int fd, bool scratch, mode_t mode, uid_t uid, gid_t gid);
Staged *staged_ref(Mount *self, Staged *staged);
/* The last reference closes the descriptor and, when nothing was committed, discards the file. */
void staged_unref(Mount *self, Staged *staged);

/* status.c */

/* errno of a call to the daemon that failed. */
int status_errno_of_error(const GError *error);
/* errno of a transfer as it stands: 0 done; while it goes on, the reason of the attempt that failed, or ETIMEDOUT. */
int status_errno(const ClientTransfer *transfer);
/* Value of user.pesit.* of a transfer. Returns new, NULL when there is none. */
char *status_value(const ClientTransfer *transfer, const char *name);
/* Names of all of them, each ended by NUL, then an empty one. */
const char *status_names(void);

/* folder.c */

/* What an open folder shows. */
void listing_free(gpointer listing);

/* ops.c */
extern const struct fuse_lowlevel_ops MOUNT_OPS;
