/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts and claims of incoming connections, in hash tables keyed by connection, address, partner and path.
 * Everything a connection held goes with it. Main loop only.
 */
#include "daemon/gate.h"

#include "base/clock.h"

#include <string.h>

#define PENALTY_AFTER  10
#define PENALTY_MS     500
#define PENALTY_MAX_MS 30000
#define FORGET_US      (600 * USEC_PER_SEC)
#define ADDRESSES_MAX  10000

typedef struct {
    char *address;
    char *partner; /* NULL before CONNECT */
    uint64_t turn; /* the lower, the earlier it came */
    bool leaving;  /* before CONNECT: it had to go for another */
} Visitor;

typedef struct {
    unsigned count;
    int64_t last_us;
} Failures;

struct Gate {
    GHashTable *visitors; /* Connection * → Visitor */
    GHashTable *claims;   /* "PARTNER/PATH" → Connection * */
    GHashTable *failures; /* address, or "=" and PI 3 → Failures */
    uint64_t turns;
};

static void visitor_free(gpointer data)
{
    Visitor *visitor = data;

    g_free(visitor->address);
    g_free(visitor->partner);
    g_free(visitor);
}

Gate *gate_new(void)
{
    Gate *self = g_new0(Gate, 1);

    self->visitors = g_hash_table_new_full(NULL, NULL, NULL, visitor_free);
    self->claims = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    self->failures = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    return self;
}

void gate_free(Gate *self)
{
    if (self == NULL)
        return;
    g_hash_table_unref(self->visitors);
    g_hash_table_unref(self->claims);
    g_hash_table_unref(self->failures);
    g_free(self);
}

/* Those before CONNECT, of one address or of all (NULL): that may stay, or that are leaving. */
static unsigned count_strangers(const Gate *self, const char *address, bool leaving)
{
    GHashTableIter iterator;
    gpointer value;
    unsigned count = 0;

    g_hash_table_iter_init(&iterator, self->visitors);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const Visitor *visitor = value;

        if (visitor->partner == NULL && visitor->leaving == leaving &&
            (address == NULL || strcmp(visitor->address, address) == 0))
            count++;
    }
    return count;
}

bool gate_enter(Gate *self, const Config *config, const char *address)
{
    return g_hash_table_size(self->visitors) <
                   config->max_connections + 2 * config->max_unauthenticated &&
           count_strangers(self, NULL, true) < config->max_unauthenticated &&
           count_strangers(self, address, true) < config->max_unauthenticated_per_address;
}

static Connection *take_oldest(Gate *self, const char *address)
{
    GHashTableIter iterator;
    gpointer key, value;
    Connection *oldest = NULL;
    Visitor *found = NULL;

    g_hash_table_iter_init(&iterator, self->visitors);
    while (g_hash_table_iter_next(&iterator, &key, &value)) {
        Visitor *visitor = value;

        if (visitor->partner != NULL || visitor->leaving ||
            (address != NULL && strcmp(visitor->address, address) != 0) ||
            (found != NULL && found->turn < visitor->turn))
            continue;
        found = visitor;
        oldest = key;
    }
    if (found != NULL)
        found->leaving = true;
    return oldest;
}

Connection *gate_make_room(Gate *self, const Config *config, const char *address)
{
    if (count_strangers(self, address, false) >= config->max_unauthenticated_per_address)
        return take_oldest(self, address);
    if (count_strangers(self, NULL, false) >= config->max_unauthenticated)
        return take_oldest(self, NULL);
    return NULL;
}

void gate_add(Gate *self, const Connection *connection, const char *address)
{
    Visitor *visitor = g_new0(Visitor, 1);

    visitor->address = g_strdup(address);
    visitor->turn = self->turns++;
    g_hash_table_insert(self->visitors, (gpointer)(uintptr_t)connection, visitor);
}

/* Who has proved who it is has only mistyped before. Guesses at other names stay counted by the name; partners behind
 * one address do not wait for what one of them has mistyped. */
static void forgive(Gate *self, const char *address, const char *identifier)
{
    g_autofree char *key = g_strconcat("=", identifier, NULL);

    g_hash_table_remove(self->failures, address);
    g_hash_table_remove(self->failures, key);
}

Verdict gate_admit(Gate *self, const Config *config, const Connection *connection,
                   const char *partner, const GateOutgoing *outgoing)
{
    const Partner *settings = config_find_partner(config, partner);
    Visitor *visitor = g_hash_table_lookup(self->visitors, connection);

    if (visitor == NULL || visitor->leaving || settings == NULL)
        return VERDICT_STOPPING;
    if (gate_count_admitted(self, NULL) + outgoing->all >= config->max_connections)
        return VERDICT_FULL;
    if (gate_count_admitted(self, partner) + outgoing->partner >= settings->max_connections)
        return VERDICT_BUSY;
    visitor->partner = g_strdup(partner);
    forgive(self, visitor->address, settings->identifier);
    return VERDICT_YES;
}

static gboolean is_claim_of(gpointer key, gpointer value, gpointer connection)
{
    (void)key;
    return value == connection;
}

void gate_remove(Gate *self, const Connection *connection)
{
    g_hash_table_remove(self->visitors, connection);
    g_hash_table_foreach_remove(self->claims, is_claim_of, (gpointer)(uintptr_t)connection);
}

Verdict gate_claim(Gate *self, const Connection *connection, const char *partner, const char *path)
{
    char *key = g_strconcat(partner, "/", path, NULL);

    if (g_hash_table_contains(self->claims, key)) {
        g_free(key);
        return VERDICT_BUSY;
    }
    g_hash_table_insert(self->claims, key, (gpointer)(uintptr_t)connection);
    return VERDICT_YES;
}

void gate_unclaim(Gate *self, const char *partner, const char *path)
{
    g_autofree char *key = g_strconcat(partner, "/", path, NULL);

    g_hash_table_remove(self->claims, key);
}

static gboolean is_forgotten(gpointer key, gpointer value, gpointer data)
{
    const Failures *failures = value;

    (void)key;
    return *(const int64_t *)data - failures->last_us > FORGET_US;
}

static unsigned count_failure(Gate *self, const char *key, int64_t now_us)
{
    Failures *failures;
    unsigned over;

    failures = g_hash_table_lookup(self->failures, key);
    if (failures == NULL && g_hash_table_size(self->failures) >= ADDRESSES_MAX)
        return PENALTY_MS; /* an attack from everywhere: the same patience for all who are new */
    if (failures == NULL) {
        failures = g_new0(Failures, 1);
        g_hash_table_insert(self->failures, g_strdup(key), failures);
    }
    failures->last_us = now_us;
    failures->count++;
    if (failures->count <= PENALTY_AFTER)
        return 0;
    over = MIN(failures->count - PENALTY_AFTER - 1, 10);
    return MIN((unsigned)PENALTY_MS << over, PENALTY_MAX_MS);
}

unsigned gate_reject(Gate *self, const char *address, const char *identifier)
{
    g_autofree char *key = g_strconcat("=", identifier, NULL);
    int64_t now_us = clock_now_us();
    unsigned by_address, by_identifier;

    g_hash_table_foreach_remove(self->failures, is_forgotten, &now_us);
    by_address = count_failure(self, address, now_us);
    by_identifier = count_failure(self, key, now_us);
    return MAX(by_address, by_identifier);
}

unsigned gate_count(const Gate *self)
{
    return g_hash_table_size(self->visitors);
}

unsigned gate_count_admitted(const Gate *self, const char *partner)
{
    GHashTableIter iterator;
    gpointer value;
    unsigned count = 0;

    g_hash_table_iter_init(&iterator, self->visitors);
    while (g_hash_table_iter_next(&iterator, NULL, &value)) {
        const Visitor *visitor = value;

        if (visitor->partner != NULL && (partner == NULL || g_str_equal(visitor->partner, partner)))
            count++;
    }
    return count;
}
