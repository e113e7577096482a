/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names are kept as hashes: two with the same one cost a question to the store, no more. They are gathered page by page
 * behind what was asked of the store before, so what was on its way is among them; what comes meanwhile is added.
 */
#include "daemon/local/absence.h"

#include <string.h>

#define QUESTIONS_MIN 8 /* about a folder, before its names are worth gathering */
#define FOLDERS_MAX   256
#define NAMES_MAX     500000 /* in all; 12 bytes each, twice that while the table grows */
#define PAGE          1000

typedef struct {
    char *partner, *folder;
    unsigned questions;
    GHashTable *names; /* set of hashes; NULL: not gathered */
    bool whole;        /* all are in it */
} Folder;

struct Absence {
    Store *store;
    GHashTable *folders; /* Folder, by "PARTNER/folder" */
    guint count;         /* names in all */
    bool crowded;        /* too many: given up until all is forgotten */
    bool asking;         /* a page is on its way */
    Folder *gathering;   /* whose it is; NULL: of a folder that was forgotten */
};

static void folder_free(gpointer data)
{
    Folder *folder = data;

    if (folder->names != NULL)
        g_hash_table_unref(folder->names);
    g_free(folder->partner);
    g_free(folder->folder);
    g_free(folder);
}

Absence *absence_new(Store *store)
{
    Absence *self = g_new0(Absence, 1);

    self->store = store;
    self->folders = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, folder_free);
    return self;
}

void absence_free(Absence *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->folders);
    g_free(self);
}

void absence_forget(Absence *self)
{
    self->gathering = NULL;
    g_hash_table_remove_all(self->folders);
    self->count = 0;
    self->crowded = false;
}

static void give_up(Absence *self)
{
    absence_forget(self);
    self->crowded = true;
}

/* "" for a name directly below the partner. Returns new. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return g_strndup(path, slash != NULL ? (size_t)(slash - path) : 0);
}

/* ret_key: as the table has it; new. */
static Folder *find_folder(const Absence *self, const char *partner, const char *path,
                           char **ret_key)
{
    g_autofree char *folder = folder_of(path);

    *ret_key = g_strconcat(partner, "/", folder, NULL);
    return g_hash_table_lookup(self->folders, *ret_key);
}

static void add_name(Absence *self, Folder *folder, const char *path)
{
    if (!g_hash_table_add(folder->names, GUINT_TO_POINTER(g_str_hash(path))))
        return;
    if (++self->count > NAMES_MAX)
        give_up(self);
}

/* gathering */

static void ask_page(Absence *self, const char *after);

/* The store is away: the folder's names are gathered when it is asked for often again. */
static void break_off(Absence *self)
{
    Folder *folder = g_steal_pointer(&self->gathering);

    self->count -= g_hash_table_size(folder->names);
    g_clear_pointer(&folder->names, g_hash_table_unref);
    folder->questions = 0;
}

static void on_page(StoreResult *result, gpointer data)
{
    g_autoptr(StoreResult) page = result;
    Absence *self = data;

    self->asking = false;
    if (self->gathering != NULL && page->error != NULL)
        break_off(self);
    for (guint i = 0; self->gathering != NULL && i < page->names->len; i++)
        add_name(self, self->gathering, g_ptr_array_index(page->names, i));
    if (self->gathering == NULL) /* broken off, forgotten or given up */
        return;
    if (page->names->len == PAGE) {
        ask_page(self, g_ptr_array_index(page->names, PAGE - 1));
        return;
    }
    self->gathering->whole = true;
    self->gathering = NULL;
}

static void ask_page(Absence *self, const char *after)
{
    const Folder *folder = self->gathering;

    self->asking = true;
    store_submit(self->store,
                 store_request_list_names(folder->partner, folder->folder, after, PAGE), on_page,
                 self);
}

static void gather(Absence *self, Folder *folder)
{
    folder->names = g_hash_table_new(NULL, NULL);
    self->gathering = folder;
    ask_page(self, NULL);
}

static void begin_folder(Absence *self, const char *key, const char *partner, const char *path)
{
    Folder *folder = g_new0(Folder, 1);

    folder->partner = g_strdup(partner);
    folder->folder = folder_of(path);
    g_hash_table_insert(self->folders, g_strdup(key), folder);
}

bool absence_is_sure(Absence *self, const char *partner, const char *path)
{
    g_autofree char *key = NULL;
    Folder *folder = find_folder(self, partner, path, &key);

    if (folder == NULL) {
        if (!self->crowded && g_hash_table_size(self->folders) < FOLDERS_MAX)
            begin_folder(self, key, partner, path);
        return false;
    }
    if (folder->whole)
        return !g_hash_table_contains(folder->names, GUINT_TO_POINTER(g_str_hash(path)));
    if (++folder->questions >= QUESTIONS_MIN && folder->names == NULL && !self->asking)
        gather(self, folder);
    return false;
}

void absence_end(Absence *self, const char *partner, const char *path)
{
    g_autofree char *key = NULL;
    Folder *folder = find_folder(self, partner, path, &key);

    if (folder != NULL && folder->names != NULL)
        add_name(self, folder, path);
}
