/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon tells of changes: the kernel's copies of attributes are taken back, and the folder's time moves for
 * those who look at it now and then. Names are not taken back: that would wait for a rename that waits for us.
 */
#include "pesitfs/change.h"

#include "base/clock.h"

static void forget_told(Mount *self, fuse_ino_t id)
{
    Node *node;

    pthread_mutex_lock(&self->lock);
    node = g_hash_table_lookup(self->by_id, &id);
    if (node != NULL)
        node->told_bytes = TOLD_NOTHING;
    pthread_mutex_unlock(&self->lock);
}

static void invalidate(Mount *self, fuse_ino_t id)
{
    forget_told(self, id);
    (void)fuse_lowlevel_notify_inval_inode(self->session, id, -1, 0); /* not known: good */
    forget_told(self, id);
}

/* 0: the kernel keeps nothing of it. The size of a fetched file is asked for after each open, and must not be thrown
 * away then. */
static fuse_ino_t find_id(Mount *self, const char *partner, const char *path)
{
    g_autofree char *key = tree_key(partner, path);
    Rule rule = {0};
    const Node *node;
    fuse_ino_t id;

    if (tree_find_rule(self, partner, path, false, &rule) && rule.fetch)
        return 0;
    pthread_mutex_lock(&self->lock);
    node = g_hash_table_lookup(self->by_path, key);
    id = node != NULL ? node->id : 0;
    pthread_mutex_unlock(&self->lock);
    return id;
}

static void invalidate_path(Mount *self, const char *partner, const char *path)
{
    fuse_ino_t id = find_id(self, partner, path);

    if (id != 0)
        invalidate(self, id);
}

/* The daemon was away: what it would have told is not known. */
static void invalidate_all(Mount *self)
{
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(fuse_ino_t));
    GHashTableIter iterator;
    gpointer value;

    atomic_store(&self->stale, true);
    tree_sweep(self);
    pthread_mutex_lock(&self->lock);
    g_hash_table_iter_init(&iterator, self->by_id);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const Node *node = value;

        if (node->folder || node->told_bytes != TOLD_NOTHING)
            g_array_append_val(ids, node->id);
    }
    pthread_mutex_unlock(&self->lock);
    for (guint i = 0; i < ids->len; i++)
        invalidate(self, g_array_index(ids, fuse_ino_t, i));
}

void change_take(const char *partner, const char *path, gpointer mount)
{
    Mount *self = mount;
    g_autofree char *folder = NULL;

    if (partner == NULL) {
        invalidate_all(self);
        return;
    }
    folder = tree_parent(path);
    tree_touch_folder(self, partner, folder, clock_wall_us());
    invalidate_path(self, partner, path);
    invalidate_path(self, partner, folder);
}
