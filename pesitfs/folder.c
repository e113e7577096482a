/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders as applications list them: a snapshot taken when opened, sorted. Attributes that the kernel wants with the
 * names come from the daemon a page at a time, as they are then.
 */
#include "pesitfs/ops.h"

#include <errno.h>
#include <string.h>

#define PAGE_ROWS 500
#define DOTS      2 /* names of a listing that are no entries: "." and ".." */

/* folders: a snapshot at opendir */

typedef struct {
    GPtrArray *names;     /* char *, first character 'd' or 'f' */
    char *partner, *path; /* of the folder; partner NULL: the root */
    GHashTable *page; /* name → ClientTransfer, of the last page of attributes; NULL: none yet */
    guint page_end;   /* index of the first name behind it */
} Listing;

void listing_free(gpointer listing)
{
    Listing *self = listing;

    g_ptr_array_unref(self->names);
    if (self->page != NULL)
        g_hash_table_unref(self->page);
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
        ops_reply_error(req, node == NULL ? ENOENT : failure);
        return;
    }
    listing = g_new0(Listing, 1);
    listing->partner = g_strdup(node->partner);
    listing->path = g_strdup(node->path);
    failure = fill_listing(mount, node, listing);
    if (failure != 0) {
        listing_free(listing);
        ops_reply_error(req, failure);
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

/* with attributes */

static void free_transfer(gpointer transfer)
{
    client_transfer_free(transfer);
}

/* Reads the attributes of the names from an index on. What cannot be had now is asked for one by one. */
static void read_page(Mount *mount, Listing *self, guint first)
{
    const char *before = g_ptr_array_index(self->names, first - 1);
    g_autofree char *after = first > DOTS ? tree_join(self->path, before + 1) : g_strdup("");
    g_autoptr(GPtrArray) rows =
            client_list(mount->client, self->partner, self->path, after, PAGE_ROWS, CALL_MS, NULL);

    g_clear_pointer(&self->page, g_hash_table_unref);
    self->page = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_transfer);
    self->page_end = MIN(first + PAGE_ROWS, self->names->len);
    if (rows == NULL)
        return;
    g_ptr_array_set_free_func(rows, NULL);
    for (guint i = 0; i < rows->len; i++) {
        ClientTransfer *transfer = g_ptr_array_index(rows, i);

        g_hash_table_replace(self->page, g_path_get_basename(transfer->path), transfer);
    }
}

static const ClientTransfer *find_known(Mount *mount, Listing *self, guint index)
{
    const char *name = g_ptr_array_index(self->names, index);

    if (name[0] == 'd' || self->partner == NULL)
        return NULL;
    if (self->page == NULL || index >= self->page_end)
        read_page(mount, self, index);
    return g_hash_table_lookup(self->page, name + 1);
}

/* ino 0: the kernel asks when somebody wants to know. */
static void fill_plus(Mount *mount, Listing *self, guint index, struct fuse_entry_param *entry)
{
    const char *name = g_ptr_array_index(self->names, index);
    bool dot = strcmp(name, "d.") == 0 || strcmp(name, "d..") == 0;
    Node *node = dot ? NULL : enter_name(mount, self->partner, self->path, name + 1);

    if (node != NULL && fill_entry(mount, node, find_known(mount, self, index), entry) == 0) {
        entry->attr_timeout = MIN(entry->attr_timeout, FILE_SECONDS); /* a page may be old by now */
        return;
    }
    if (node != NULL)
        tree_forget(mount, node->id, 1);
    *entry = (struct fuse_entry_param){.attr.st_ino = inode_of(self, name + 1),
                                       .attr.st_mode = name[0] == 'd' ? S_IFDIR : S_IFREG};
}

void op_readdirplus(fuse_req_t req, fuse_ino_t id, size_t size, off_t offset,
                    struct fuse_file_info *info)
{
    Mount *mount = mount_of(req);
    Listing *listing = (Listing *)(uintptr_t)info->fh;
    g_autofree char *buffer = g_malloc(size);
    g_autoptr(GArray) entered = g_array_new(FALSE, FALSE, sizeof(fuse_ino_t));
    size_t used = 0;

    (void)id;
    for (guint i = (guint)offset; i < listing->names->len; i++) {
        const char *name = g_ptr_array_index(listing->names, i);
        struct fuse_entry_param entry;
        size_t needed;

        fill_plus(mount, listing, i, &entry);
        needed = fuse_add_direntry_plus(req, buffer + used, size - used, name + 1, &entry,
                                        (off_t)i + 1);
        if (needed > size - used) {
            tree_forget(mount, entry.ino, 1);
            break;
        }
        if (entry.ino != 0)
            g_array_append_val(entered, entry.ino);
        used += needed;
    }
    if (fuse_reply_buf(req, buffer, used) == 0)
        return;
    for (guint i = 0; i < entered->len; i++) /* the kernel never heard of them */
        tree_forget(mount, g_array_index(entered, fuse_ino_t, i), 1);
}

void op_releasedir(fuse_req_t req, fuse_ino_t id, struct fuse_file_info *info)
{
    Listing *listing = (Listing *)(uintptr_t)info->fh;

    (void)id;
    forget_listing(mount_of(req), listing);
    ops_reply_error(req, 0);
}
