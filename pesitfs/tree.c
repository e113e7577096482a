/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes and names. What the daemon declares is read again when it says that it changed; what applications
 * write is here only until it is committed.
 */
#include "pesitfs/handle.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FNV_BASIS 0xcbf29ce484222325u /* FNV-1a, 64 bits */
#define FNV_PRIME 0x100000001b3u
#define HIGH_BIT  ((uint64_t)1 << 62)

/* life */

static void node_free(gpointer data)
{
    Node *node = data;

    g_free(node->partner);
    g_free(node->path);
    g_slist_free_full(node->former, g_free);
    g_free(node);
}

static guint hash_id(gconstpointer key)
{
    return (guint) * (const fuse_ino_t *)key;
}

static gboolean same_id(gconstpointer a, gconstpointer b)
{
    return *(const fuse_ino_t *)a == *(const fuse_ino_t *)b;
}

void mount_init(Mount *self, Client *client)
{
    Node *root = g_new0(Node, 1);
    pthread_condattr_t monotonic;

    self->client = client;
    pthread_mutex_init(&self->lock, NULL);
    self->by_id = g_hash_table_new_full(hash_id, same_id, NULL, node_free);
    self->by_path = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->next_id = FUSE_ROOT_ID + 1;
    self->folder_times = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->handles = g_hash_table_new(g_direct_hash, g_direct_equal);
    self->listings = g_hash_table_new_full(g_direct_hash, g_direct_equal, listing_free, NULL);
    pthread_cond_init(&self->nobody_waits, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&self->released, &monotonic);
    pthread_condattr_destroy(&monotonic);
    self->partners = g_ptr_array_new();
    self->folders = g_hash_table_new(g_str_hash, g_str_equal);
    self->started_us = clock_wall_us();
    atomic_init(&self->stale, true);
    root->id = FUSE_ROOT_ID;
    root->path = g_strdup("");
    root->folder = true;
    root->inode = FUSE_ROOT_ID;
    root->lookups = 1;
    g_hash_table_insert(self->by_id, &root->id, root);
}

void mount_clear(Mount *self)
{
    GHashTableIter iterator;
    gpointer value;

    g_hash_table_iter_init(&iterator, self->handles);
    while (g_hash_table_iter_next(&iterator, &value, NULL))
        handle_free(self, value); /* open when the mount ended */
    g_hash_table_iter_init(&iterator, self->by_id);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        Node *node = value;

        if (node->staged != NULL)
            staged_unref(self, g_steal_pointer(&node->staged));
    }
    g_hash_table_unref(self->folder_times);
    g_hash_table_unref(self->handles);
    g_hash_table_unref(self->listings); /* open when the mount ended */
    g_hash_table_unref(self->by_path);
    g_hash_table_unref(self->by_id);
    g_ptr_array_unref(self->partners);
    g_hash_table_unref(self->folders);
    pthread_cond_destroy(&self->nobody_waits);
    pthread_cond_destroy(&self->released);
    pthread_mutex_destroy(&self->lock);
}

/* what is declared */

static GHashTable *collect_folders(GPtrArray *partners)
{
    GHashTable *folders = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);

    for (guint i = 0; i < partners->len; i++) {
        const ClientPartner *partner = g_ptr_array_index(partners, i);

        for (guint f = 0; f < partner->files->len; f++) {
            const ClientFile *file = g_ptr_array_index(partner->files, f);
            size_t plain = strcspn(file->pattern, "*?[");

            for (size_t at = 0; at < plain; at++) {
                g_autofree char *folder = g_strndup(file->pattern, at);

                if (file->pattern[at] == '/')
                    g_hash_table_add(folders, tree_key(partner->name, folder));
            }
        }
    }
    return folders;
}

bool tree_refresh(Mount *self, int *ret_errno)
{
    g_autoptr(GError) error = NULL;
    GPtrArray *partners;
    GHashTable *folders;
    uint64_t generation;

    if (!atomic_exchange(&self->stale, false))
        return true;
    partners = client_load_tree(self->client, CALL_MS, &generation, &error);
    if (partners == NULL) {
        atomic_store(&self->stale, true);
        *ret_errno = status_errno_of_error(error);
        return false;
    }
    folders = collect_folders(partners);
    pthread_mutex_lock(&self->lock);
    g_ptr_array_unref(self->partners);
    g_hash_table_unref(self->folders);
    self->partners = partners;
    self->folders = folders;
    pthread_mutex_unlock(&self->lock);
    return true;
}

static const ClientPartner *find_partner(const Mount *self, const char *name)
{
    for (guint i = 0; i < self->partners->len; i++) {
        const ClientPartner *partner = g_ptr_array_index(self->partners, i);

        if (strcmp(partner->name, name) == 0)
            return partner;
    }
    return NULL;
}

bool tree_has_partner(Mount *self, const char *partner)
{
    bool found;

    pthread_mutex_lock(&self->lock);
    found = find_partner(self, partner) != NULL;
    pthread_mutex_unlock(&self->lock);
    return found;
}

bool tree_is_enabled(Mount *self, const char *name)
{
    const ClientPartner *partner;
    bool enabled;

    pthread_mutex_lock(&self->lock);
    partner = find_partner(self, name);
    enabled = partner != NULL && partner->enabled;
    pthread_mutex_unlock(&self->lock);
    return enabled;
}

bool tree_takes_files(Mount *self, const char *name, const char *folder)
{
    const ClientPartner *partner;
    bool takes = folder[0] != '\0';

    pthread_mutex_lock(&self->lock);
    partner = find_partner(self, name);
    for (guint i = 0; partner != NULL && !takes && i < partner->files->len; i++) {
        const ClientFile *file = g_ptr_array_index(partner->files, i);

        takes = strchr(file->pattern, '/') == NULL;
    }
    pthread_mutex_unlock(&self->lock);
    return takes;
}

bool tree_is_folder(Mount *self, const char *partner, const char *path)
{
    g_autofree char *key = tree_key(partner, path);
    bool found;

    pthread_mutex_lock(&self->lock);
    found = g_hash_table_contains(self->folders, key);
    pthread_mutex_unlock(&self->lock);
    return found;
}

static bool is_for(const ClientFile *file, bool writing)
{
    bool writable = strcmp(file->mode, "send") == 0 || strcmp(file->mode, "offer") == 0;

    return writable == writing;
}

static const ClientFile *match(const ClientPartner *partner, const char *path, bool writing)
{
    for (guint i = 0; i < partner->files->len; i++) {
        const ClientFile *file = g_ptr_array_index(partner->files, i);

        if (is_for(file, writing) && strcmp(file->pattern, path) == 0)
            return file;
    }
    for (guint i = 0; i < partner->files->len; i++) {
        const ClientFile *file = g_ptr_array_index(partner->files, i);

        if (is_for(file, writing) && fnmatch(file->pattern, path, FNM_PATHNAME | FNM_PERIOD) == 0)
            return file;
    }
    return NULL;
}

bool tree_find_rule(Mount *self, const char *partner_name, const char *path, bool writing,
                    Rule *ret_rule)
{
    const ClientPartner *partner;
    const ClientFile *file;

    pthread_mutex_lock(&self->lock);
    partner = find_partner(self, partner_name);
    file = partner != NULL ? match(partner, path, writing) : NULL;
    if (file != NULL)
        *ret_rule = (Rule){.fetch = strcmp(file->mode, "fetch") == 0,
                           .offer = strcmp(file->mode, "offer") == 0,
                           .receive = strcmp(file->mode, "receive") == 0,
                           .send = strcmp(file->mode, "send") == 0,
                           .on_rename = strcmp(file->commit, "rename") == 0,
                           .sent = strcmp(file->ack, "sent") == 0,
                           .allow_empty = file->allow_empty,
                           .max_bytes = file->max_bytes,
                           .wait_s = file->wait_s};
    pthread_mutex_unlock(&self->lock);
    return file != NULL;
}

static bool is_temporary_name(const char *path)
{
    static const char *const PATTERNS[] = {
            ".*",        "*~",         "#*#",          "*.tmp",       "*.part",
            "*.partial", "*.filepart", "*.crdownload", "*.swp",       "*.swpx",
            "*.lock",    "sed??????",  "XX??????",     "tmp????????", "tmp.??????????",
            "4913"};
    g_auto(GStrv) names = g_strsplit(path, "/", -1);

    for (size_t n = 0; names[n] != NULL; n++) {
        for (size_t i = 0; i < G_N_ELEMENTS(PATTERNS); i++) {
            if (fnmatch(PATTERNS[i], names[n], 0) == 0)
                return true;
        }
    }
    return false;
}

bool tree_is_scratch(Mount *self, const char *partner, const char *path)
{
    Rule rule = {0};

    return is_temporary_name(path) &&
           !(tree_find_rule(self, partner, path, false, &rule) && rule.receive);
}

/* nodes */

uint64_t tree_inode(const char *partner, const char *path)
{
    const char *const PARTS[] = {partner, "/", path};
    uint64_t hash = FNV_BASIS;

    for (size_t i = 0; i < G_N_ELEMENTS(PARTS); i++) {
        for (const char *at = PARTS[i]; *at != '\0'; at++)
            hash = (hash ^ (uint8_t)*at) * FNV_PRIME;
    }
    return hash | HIGH_BIT; /* never the root's */
}

char *tree_key(const char *partner, const char *path)
{
    return g_strconcat(partner, "/", path, NULL);
}

char *tree_join(const char *folder, const char *name)
{
    return folder[0] != '\0' ? g_strconcat(folder, "/", name, NULL) : g_strdup(name);
}

char *tree_parent(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? g_strndup(path, (gsize)(slash - path)) : g_strdup("");
}

void tree_touch_folder(Mount *self, const char *partner, const char *folder, int64_t wall_us)
{
    char *key = tree_key(partner, folder);
    int64_t *when = g_new(int64_t, 1);

    *when = wall_us;
    pthread_mutex_lock(&self->lock);
    g_hash_table_replace(self->folder_times, key, when);
    pthread_mutex_unlock(&self->lock);
}

int64_t tree_folder_time(Mount *self, const char *partner, const char *folder)
{
    g_autofree char *key = tree_key(partner, folder);
    const int64_t *found;
    int64_t when;

    pthread_mutex_lock(&self->lock);
    found = g_hash_table_lookup(self->folder_times, key);
    when = found != NULL ? *found : self->started_us;
    pthread_mutex_unlock(&self->lock);
    return when;
}

Node *tree_get(Mount *self, fuse_ino_t id)
{
    Node *node;

    pthread_mutex_lock(&self->lock);
    node = g_hash_table_lookup(self->by_id, &id);
    pthread_mutex_unlock(&self->lock);
    return node;
}

Node *tree_enter(Mount *self, const char *partner, const char *path, bool folder)
{
    char *key = tree_key(partner, path);
    Node *node;

    pthread_mutex_lock(&self->lock);
    node = g_hash_table_lookup(self->by_path, key);
    if (node == NULL || node->folder != folder) {
        node = g_new0(Node, 1);
        node->id = self->next_id++;
        node->partner = g_strdup(partner);
        node->path = g_strdup(path);
        node->folder = folder;
        node->told_bytes = TOLD_NOTHING;
        node->inode = tree_inode(partner, path);
        g_hash_table_insert(self->by_id, &node->id, node);
        g_hash_table_replace(self->by_path, g_steal_pointer(&key), node);
    }
    node->lookups++;
    pthread_mutex_unlock(&self->lock);
    g_free(key);
    return node;
}

/* Under the lock. */
static void drop_if_unused(Mount *self, Node *node)
{
    g_autofree char *key = NULL;

    if (node->lookups > 0 || node->handles > 0 || node->staged != NULL || node->local)
        return;
    key = tree_key(node->partner, node->path);
    if (g_hash_table_lookup(self->by_path, key) == node)
        g_hash_table_remove(self->by_path, key);
    g_hash_table_remove(self->by_id, &node->id);
}

void tree_forget(Mount *self, fuse_ino_t id, uint64_t lookups)
{
    Node *node;

    pthread_mutex_lock(&self->lock);
    node = g_hash_table_lookup(self->by_id, &id);
    if (node != NULL && id != FUSE_ROOT_ID) {
        node->lookups -= MIN(lookups, node->lookups);
        drop_if_unused(self, node);
    }
    pthread_mutex_unlock(&self->lock);
}

Node *tree_find_local(Mount *self, const char *partner, const char *path)
{
    g_autofree char *key = tree_key(partner, path);
    Node *node;

    pthread_mutex_lock(&self->lock);
    node = g_hash_table_lookup(self->by_path, key);
    if (node != NULL && node->staged == NULL && !node->local)
        node = NULL;
    pthread_mutex_unlock(&self->lock);
    return node;
}

void tree_move(Mount *self, Node *node, const char *partner, const char *path)
{
    g_autofree char *key = tree_key(node->partner, node->path);

    pthread_mutex_lock(&self->lock);
    if (g_hash_table_lookup(self->by_path, key) == node)
        g_hash_table_remove(self->by_path, key);
    node->former = g_slist_prepend(node->former, node->partner);
    node->former = g_slist_prepend(node->former, node->path);
    node->partner = g_strdup(partner);
    node->path = g_strdup(path);
    node->inode_before = node->inode;
    node->inode = tree_inode(partner, path);
    g_hash_table_replace(self->by_path, tree_key(partner, path), node);
    pthread_mutex_unlock(&self->lock);
}

/* Adds what is left of a key after "PARTNER/folder/" when it is one name. */
static void add_child(GHashTable *names, const char *key, const char *prefix, bool folder)
{
    const char *rest;

    if (!g_str_has_prefix(key, prefix))
        return;
    rest = key + strlen(prefix);
    if (rest[0] != '\0' && strchr(rest, '/') == NULL)
        g_hash_table_replace(names, g_strdup(rest), GINT_TO_POINTER(folder));
}

bool tree_is_gone(const Node *node)
{
    const Staged *staged = node->staged;
    struct stat stat;

    return staged != NULL && staged->writers == 0 && !staged->committing &&
           !atomic_load(&staged->committed) && fstat(staged->fd, &stat) == 0 && stat.st_nlink == 0;
}

void tree_sweep(Mount *self)
{
    g_autoptr(GPtrArray) gone = g_ptr_array_new(); /* Staged * */
    g_autoptr(GArray) ids = g_array_new(FALSE, FALSE, sizeof(fuse_ino_t));
    GHashTableIter iterator;
    gpointer value;

    pthread_mutex_lock(&self->lock);
    g_hash_table_iter_init(&iterator, self->by_id);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        Node *node = value;

        if (tree_is_gone(node)) {
            g_ptr_array_add(gone, g_steal_pointer(&node->staged));
            g_array_append_val(ids, node->id);
        }
    }
    pthread_mutex_unlock(&self->lock);
    for (guint i = 0; i < gone->len; i++)
        staged_unref(self, g_ptr_array_index(gone, i));
    for (guint i = 0; i < ids->len; i++)
        tree_forget(self, g_array_index(ids, fuse_ino_t, i), 0);
}

GHashTable *tree_list(Mount *self, const char *partner, const char *folder)
{
    GHashTable *names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autofree char *inner = tree_join(folder, "");
    g_autofree char *prefix = tree_key(partner, inner);
    GHashTableIter iterator;
    gpointer key, value;

    pthread_mutex_lock(&self->lock);
    g_hash_table_iter_init(&iterator, self->folders);
    while (g_hash_table_iter_next(&iterator, &key, NULL))
        add_child(names, key, prefix, true);
    g_hash_table_iter_init(&iterator, self->by_path);
    while (g_hash_table_iter_next(&iterator, &key, &value)) {
        const Node *node = value;

        if (node->staged != NULL || node->local)
            add_child(names, key, prefix, node->folder);
    }
    pthread_mutex_unlock(&self->lock);
    return names;
}

/* staged files */

Staged *staged_new(int64_t id, int fd, bool scratch, mode_t mode, uid_t uid, gid_t gid)
{
    Staged *staged = g_new0(Staged, 1);

    staged->references = 1;
    staged->id = id;
    staged->fd = fd;
    staged->scratch = scratch;
    staged->mode = mode & 0777;
    staged->uid = staged->writer = uid;
    staged->gid = gid;
    staged->wait_s = -1;
    return staged;
}

Staged *staged_ref(Mount *self, Staged *staged)
{
    pthread_mutex_lock(&self->lock);
    staged->references++;
    pthread_mutex_unlock(&self->lock);
    return staged;
}

void staged_unref(Mount *self, Staged *staged)
{
    bool last;

    pthread_mutex_lock(&self->lock);
    last = --staged->references == 0;
    pthread_mutex_unlock(&self->lock);
    if (!last)
        return;
    fd_clear(&staged->fd);
    if (!atomic_load(&staged->committed) && self->client != NULL)
        client_discard(self->client, staged->id);
    g_free(staged->ack);
    g_free(staged);
}
