/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters in a PostgreSQL database, as its schema `admin` has them: each with a schema and a role of its own, made and
 * dropped here, and the records of registries and orchestrators beside them. Every call opens connections of its own,
 * waits for them, and closes them: nothing of the daemon's store is touched or held up. A call that was cut off, here or
 * there, is repeated, and then does what is missing. Calls about one cluster wait for each other, in all daemons, for some
 * seconds (BUSY), and so are those told that come while several are under way. Any thread but the main loop's. Errors beside those named: REFUSED, a right in the database is missing
 * and the text has the statement that gives it; UNREACHABLE.
 */
#pragma once

#include "daemon/store.h"

typedef struct Fleet Fleet;

/* conninfo: libpq's text or URI, may be empty. password: NULL: libpq looks where it always does. Both are copied. Connects
 * nowhere. Returns new. */
Fleet *fleet_new(const char *conninfo, const char *password);
void fleet_free(Fleet *self);
/* Of the next connections; what is under way goes on. NULL: as of fleet_new. Copied. Also the main loop's thread. */
void fleet_set_password(Fleet *self, const char *password);

/* records of kind "cluster", "registry", "orchestrator"; a cluster's document has the field "database" too */

/* By id, after one (""  from the start). Returns new, of Record; NULL: error. */
GPtrArray *fleet_list(Fleet *self, const char *kind, const char *after, uint32_t limit,
                      GError **error);
/* NOT_FOUND. Returns new. */
Record *fleet_get(Fleet *self, const char *kind, const char *id, GError **error);
/* Not for clusters. EXISTS: "name: …". */
bool fleet_insert(Fleet *self, const Record *record, GError **error);
/* before_us: when it was changed last, as it was read. CONFLICT: it was changed, or removed, since. EXISTS. */
bool fleet_update(Fleet *self, const Record *record, int64_t before_us, GError **error);
/* The same. Not for clusters. */
bool fleet_remove(Fleet *self, const Record *before, GError **error);

/* clusters */

/* Makes schema, tables and role; or goes on with what an earlier call of that name began, under its id. ret_password: of the
 * role, new, kept nowhere; wipe it with secret_free_text. EXISTS: "name: …". Returns new. */
Record *fleet_create(Fleet *self, const Record *wanted, char **ret_password, GError **error);
/* Gives the role another password; the one before holds no longer, sessions go on. CONFLICT: it is not ready. Returns
 * new, as fleet_create. */
char *fleet_renew_password(Fleet *self, const char *id, GError **error);

/* Has a daemon of a cluster answer a request of its administration API. UNREACHABLE: none of them is there, nothing was done;
 * TIMEOUT: one took it and did not answer, and may have done it; CONFLICT: the cluster is not ready, or older than this.
 * ret_answer: new. Waits some seconds. */
bool fleet_ask(Fleet *self, const char *id, const Inquiry *inquiry, unsigned *ret_status,
               char **ret_answer, GError **error);

/* Who uses a cluster, and what is in it. */
typedef struct {
    uint64_t sessions;    /* of its daemons, now */
    uint64_t unfinished;  /* transfers that have not ended */
    uint64_t ended;       /* those that are history */
    uint64_t definitions; /* partners, virtual files, listeners */
    uint64_t audits;      /* rows of the audit trail; no more than 1000 are counted */
    bool obscure;         /* it is not as it was made, and cannot be counted */
} FleetUse;
/* What may be lost with it. */
typedef enum {
    FLEET_LOSE_NOTHING,
    FLEET_LOSE_CONTENT, /* but nobody uses it, and no transfer is unfinished */
    FLEET_LOSE_ALL
} FleetLoss;

/* Drops role, schema and record. CONFLICT: more would be lost than may be, nothing was done, and ret_use says what. With
 * FLEET_LOSE_ALL its daemons are thrown out. */
bool fleet_drop(Fleet *self, const char *id, FleetLoss loss, FleetUse *ret_use, GError **error);
