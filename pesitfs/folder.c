/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders as applications list them: a snapshot taken when opened, sorted.
 */
#include "pesitfs/ops.h"

#include <errno.h>
#include <string.h>

#define PAGE_ROWS 500

/* folders: a snapshot at opendir */

typedef struct {
    GPtrArray *names;     /* char *, first character 'd' or 'f' */
    char *partner, *path; /* of the folder; partner NULL: the root */
} Listing;

void listing_free(gpointer listing)
{
    Listing *self = listing;

    g_ptr_array_unref(self->names);
    g_free(self->partner);
    g_free(self->path);
    g_free(self);
}

static void forget_listing(Mount *mount, Listing *listing)
{
    pthread_mutex_lock(&mount->lock);
    g_hash_table_remove(mount->listings, listing);
    pthread_mutex_unlock(&mount->lock);
}

static uint64_t inode_of(const Listing *listing, const char *name)
{
    g_autofree char *path = NULL;

    if (listing->partner == NULL)
        return name[0] == '.' ? FUSE_ROOT_ID : tree_inode(name, "");
    if (strcmp(name, ".") == 0)
        return tree_inode(listing->partner, listing->path);
    if (strcmp(name, "..") != 0)
        path = tree_join(listing->path, name);
    else if (listing->path[0] == '\0')
        return FUSE_ROOT_ID;
    else
        path = tree_parent(listing->path);
    return tree_inode(listing->partner, path);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(const char *const *)a + 1, *(const char *const *)b + 1);
}

static int list_stored(Mount *mount, const Node *node, GHashTable *names)
{
    g_autofree char *after = g_strdup("");

    for (;;) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GPtrArray) page = client_list(mount->client, node->partner, node->path, after,
                                                PAGE_ROWS, CALL_MS, &error);

        if (page == NULL)
            return status_errno_of_error(error);
        for (guint i = 0; i < page->len; i++) {
            const ClientTransfer *transfer = g_ptr_array_index(page, i);

            g_hash_table_replace(names, g_path_get_basename(transfer->path),
                                 GINT_TO_POINTER(false));
            g_free(after);
            after = g_strdup(transfer->path);
        }
        if (page->len < PAGE_ROWS)
            return 0;
    }
}

static void list_partners(Mount *mount, GHashTable *names)
{
    pthread_mutex_lock(&mount->lock);
    for (guint i = 0; i < mount->partners->len; i++) {
        const ClientPartner *partner = g_ptr_array_index(mount->partners, i);

        g_hash_table_replace(names, g_strdup(partner->name), GINT_TO_POINTER(true));
    }
    pthread_mutex_unlock(&mount->lock);
}

static int fill_listing(Mount *mount, const Node *node, Listing *listing)
{
    g_autoptr(GHashTable) names = NULL;
    GHashTableIter iterator;
    gpointer name, folder;
    int failure = 0;

    if (node->partner == NULL) {
        names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        list_partners(mount, names);
    } else {
        names = tree_list(mount, node->partner, node->path);
        failure = tree_takes_files(mount, node->partner, node->path)
                          ? list_stored(mount, node, names)
                          : 0;
    }
    listing->names = g_ptr_array_new_with_free_func(g_free);
    g_hash_table_iter_init(&iterator, names);
    while (g_hash_table_iter_next(&iterator, &name, &folder))
        g_ptr_array_add(listing->names,
                        g_strconcat(GPOINTER_TO_INT(folder) ? "d" : "f", name, NULL));
    g_ptr_array_sort(listing->names, compare_names);
    g_ptr_array_insert(listing->names, 0, g_strdup("d.."));
    g_ptr_array_insert(listing->names, 0, g_strdup("d."));
    return failure;
}

void op_opendir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    const Node *node = tree_get(mount, id);
    Listing *listing;
    int failure = 0;

    if (node == NULL || !tree_refresh(mount, &failure)) {
        fuse_reply_err(req, node == NULL ? ENOENT : failure);
        return;
    }
    listing = g_new0(Listing, 1);
    listing->partner = g_strdup(node->partner);
    listing->path = g_strdup(node->path);
    failure = fill_listing(mount, node, listing);
    if (failure != 0) {
        listing_free(listing);
        fuse_reply_err(req, failure);
        return;
    }
    pthread_mutex_lock(&mount->lock);
    g_hash_table_add(mount->listings, listing);
    pthread_mutex_unlock(&mount->lock);
    info->fh = (uintptr_t)listing;
    if (fuse_reply_open(req, info) == -ENOENT) /* the opener was interrupted: nobody will close */
        forget_listing(mount, listing);
}

void op_readdir(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                struct fuse_file_info *info)
{
    const Listing *listing = (const Listing *)(uintptr_t)info->fh;
    g_autofree char *buffer = g_malloc(size);
    size_t used = 0;

    (void)id;
    for (guint i = (guint)offset; i < listing->names->len; i++) {
        const char *name = g_ptr_array_index(listing->names, i);
        struct stat attr = {.st_ino = inode_of(listing, name + 1),
                            .st_mode = name[0] == 'd' ? S_IFDIR : S_IFREG};
        size_t needed =
                fuse_add_direntry(req, buffer + used, size - used, name + 1, &attr, (off_t)i + 1);

        if (needed > size - used)
            break;
        used += needed;
    }
    fuse_reply_buf(req, buffer, used);
}

void op_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Listing *listing = (Listing *)(uintptr_t)info->fh;

    (void)id;
    forget_listing(mount_of(req), listing);
    fuse_reply_err(req, 0);
}
