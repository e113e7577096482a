/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of counters that leak. Its lock is here because the thread of HTTP asks and the workers count. When each
 * row is a locked one, all who are new share one counter: an attack from everywhere shuts out strangers, and nobody
 * gets free by it.
 */
#include "admin/lockout.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

#define LOCK_US   (30 * G_USEC_PER_SEC)
#define DOUBLINGS 5u /* to 16 minutes */
#define MOST      (LOCKOUT_ALLOWED + DOUBLINGS)
#define PREFIX    8 /* bytes of a /64 */

typedef struct {
    unsigned failures;
    int64_t counted_us; /* up to here failures are forgiven */
    int64_t locked_until_us;
} Row;

struct Lockout {
    pthread_mutex_t lock;
    GHashTable *rows; /* char * → Row */
    Row crowd;        /* of those that have no row because all are locked */
    guint most;
    int64_t forgive_us;
};

Lockout *lockout_new(guint most, int64_t forgive_us)
{
    Lockout *self = g_new0(Lockout, 1);

    (void)pthread_mutex_init(&self->lock, NULL); /* no attributes: cannot fail */
    self->rows = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    self->most = most;
    self->forgive_us = forgive_us;
    return self;
}

void lockout_free(Lockout *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->rows);
    (void)pthread_mutex_destroy(&self->lock); /* nobody has it */
    g_free(self);
}

static void leak(const Lockout *self, Row *row, int64_t now_us)
{
    int64_t forgiven = (now_us - row->counted_us) / self->forgive_us;

    if (forgiven >= row->failures) {
        row->failures = 0;
        row->counted_us = now_us;
        return;
    }
    row->failures -= (unsigned)forgiven;
    row->counted_us += forgiven * self->forgive_us;
}

/* The key of the row that is missed least: the fewest failures, of those the oldest. NULL: all are locked. */
static const char *find_least(const Lockout *self, int64_t now_us)
{
    GHashTableIter iterator;
    gpointer key, value;
    const char *least = NULL;
    const Row *found = NULL;

    g_hash_table_iter_init(&iterator, self->rows);
    while (g_hash_table_iter_next(&iterator, &key, &value)) {
        Row *row = value;

        if (row->locked_until_us > now_us)
            continue;
        leak(self, row, now_us);
        if (found == NULL || row->failures < found->failures ||
            (row->failures == found->failures && row->counted_us < found->counted_us)) {
            found = row;
            least = key;
        }
    }
    return least;
}

static Row *find(Lockout *self, const char *key, int64_t now_us)
{
    Row *row = g_hash_table_lookup(self->rows, key);
    const char *least = NULL;

    if (row != NULL)
        return row;
    if (g_hash_table_size(self->rows) >= self->most) {
        least = find_least(self, now_us);
        if (least == NULL)
            return &self->crowd;
        (void)g_hash_table_remove(self->rows, least);
    }
    row = g_new0(Row, 1);
    row->counted_us = now_us;
    (void)g_hash_table_insert(self->rows, g_strdup(key), row);
    return row;
}

int64_t lockout_left_us(Lockout *self, const char *key, int64_t now_us)
{
    const Row *row;
    int64_t left_us;

    (void)pthread_mutex_lock(&self->lock);
    row = g_hash_table_lookup(self->rows, key);
    if (row == NULL && g_hash_table_size(self->rows) >= self->most)
        row = &self->crowd;
    left_us = row != NULL ? row->locked_until_us - now_us : 0;
    (void)pthread_mutex_unlock(&self->lock);
    return MAX(left_us, 0);
}

static void count(const Lockout *self, Row *row, int64_t now_us)
{
    leak(self, row, now_us);
    row->failures = MIN(row->failures + 1, MOST);
    if (row->failures >= LOCKOUT_ALLOWED)
        row->locked_until_us = now_us + (LOCK_US << (row->failures - LOCKOUT_ALLOWED));
}

bool lockout_fail(Lockout *self, const char *key, int64_t now_us, int64_t *ret_left_us)
{
    bool counted;
    Row *row;

    (void)pthread_mutex_lock(&self->lock);
    row = find(self, key, now_us);
    counted = row->locked_until_us <= now_us;
    if (counted)
        count(self, row, now_us);
    *ret_left_us = MAX(row->locked_until_us - now_us, 0);
    (void)pthread_mutex_unlock(&self->lock);
    return counted;
}

void lockout_forgive(Lockout *self, const char *key)
{
    (void)pthread_mutex_lock(&self->lock);
    (void)g_hash_table_remove(self->rows, key); /* it may have none */
    (void)pthread_mutex_unlock(&self->lock);
}

char *lockout_dup_place(const char *address)
{
    struct in6_addr v6;
    char text[INET6_ADDRSTRLEN];

    if (inet_pton(AF_INET6, address, &v6) != 1)
        return g_strdup(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        (void)inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof text); /* fits */
        return g_strdup(text);
    }
    memset(&v6.s6_addr[PREFIX], 0, sizeof v6.s6_addr - PREFIX);
    (void)inet_ntop(AF_INET6, &v6, text, sizeof text); /* same */
    return g_strconcat(text, "/64", NULL);
}
