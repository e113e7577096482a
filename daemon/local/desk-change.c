/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells those at the door what changed in the tree: the first change at once, those of the next moment together
 * and each path once. Thousands of small files would otherwise cost a signal for every step of each. Main loop only.
 */
#include "daemon/local/desk-private.h"

#include <string.h>

#define MOMENT_MS 10

static void tell(Desk *self)
{
    GVariantBuilder entries;
    GHashTableIter iterator;
    gpointer key;

    g_variant_builder_init(&entries, G_VARIANT_TYPE("a(ss)"));
    g_hash_table_iter_init(&iterator, self->changes);
    while (g_hash_table_iter_next(&iterator, &key, NULL)) {
        const char *path = strchr(key, '/') + 1; /* no partner has one in its name */
        g_autofree char *partner = g_strndup(key, (size_t)(path - 1 - (const char *)key));

        g_variant_builder_add(&entries, "(ss)", partner, path);
    }
    g_hash_table_remove_all(self->changes);
    door_emit(self->door, "EntriesChanged", g_variant_new("(a(ss))", &entries));
}

static gboolean on_moment_over(gpointer data)
{
    Desk *self = data;

    if (g_hash_table_size(self->changes) > 0) {
        tell(self);
        return G_SOURCE_CONTINUE;
    }
    self->moment = 0;
    return G_SOURCE_REMOVE;
}

void desk_emit_change(Desk *self, const char *partner, const char *path)
{
    desk_end_absence(self, partner, path); /* whatever made it visible */
    if (!g_hash_table_add(self->changes, g_strconcat(partner, "/", path, NULL)) ||
        self->moment != 0)
        return;
    tell(self);
    self->moment = g_timeout_add(MOMENT_MS, on_moment_over, self);
}
