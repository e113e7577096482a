/* SPDX-License-Identifier: Apache-2.0 */
/* A row for each connection that has one. */
#include "daemon/running.h"

typedef struct {
    Transfer *transfer;
    Progress *progress;
} Row;

struct Running {
    GHashTable *rows; /* Connection * → Row */
};

static void row_free(gpointer data)
{
    Row *row = data;

    transfer_free(row->transfer);
    progress_unref(row->progress);
    g_free(row);
}

Running *running_new(void)
{
    Running *self = g_new0(Running, 1);

    self->rows = g_hash_table_new_full(NULL, NULL, NULL, row_free);
    return self;
}

void running_free(Running *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->rows);
    g_free(self);
}

void running_take(Running *self, const Notice *notice)
{
    Row *row;

    if (notice->progress == NULL) {
        g_hash_table_remove(self->rows, notice->connection);
        return;
    }
    row = g_new0(Row, 1);
    row->transfer = transfer_copy(notice->transfer);
    row->progress = progress_ref(notice->progress);
    g_hash_table_replace(self->rows, notice->connection, row);
}

void running_drop(Running *self, const Connection *connection)
{
    g_hash_table_remove(self->rows, connection);
}

unsigned running_count(const Running *self)
{
    return g_hash_table_size(self->rows);
}

bool running_find(const Running *self, int64_t id, uint64_t *ret_bytes)
{
    GHashTableIter iterator;
    gpointer value;

    g_hash_table_iter_init(&iterator, self->rows);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const Row *row = value;

        if (row->transfer->id != id)
            continue;
        *ret_bytes = atomic_load(&row->progress->bytes);
        return true;
    }
    return false;
}

void running_each(const Running *self, QueueVisitor visit, gpointer data)
{
    GHashTableIter iterator;
    gpointer value;

    g_hash_table_iter_init(&iterator, self->rows);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const Row *row = value;

        visit(row->transfer, atomic_load(&row->progress->bytes), data);
    }
}
