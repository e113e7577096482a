/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon tells of changes: the kernel's copies of attributes are taken back, and the folder's time moves for
 * those who look at it now and then. Names are not taken back: that would wait for a rename that waits for us.
 */
#include "pesitfs/change.h"

#include "base/clock.h"

static void invalidate(Mount *self, fuse_ino_t id)
{
    (void)fuse_lowlevel_notify_inval_inode(self->session, id, -1, 0); /* not known: good */
}

static fuse_ino_t find_id(Mount *self, const char *partner, const char *path)
{
    g_autofree char *key = tree_key(partner, path);
    const Node *node;
    fuse_ino_t id;

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
    gpointer key;

    atomic_store(&self->stale, true);
    pthread_mutex_lock(&self->lock);
    g_hash_table_iter_init(&iterator, self->by_id);
    while (g_hash_table_iter_next(&iterator, &key, NULL))
        g_array_append_val(ids, *(const fuse_ino_t *)key);
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
