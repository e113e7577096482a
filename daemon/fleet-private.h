/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the fleet share. Private to them. */
#pragma once

#include "daemon/fleet.h"
#include "sql/db.h"
#include "sql/fleet.h"

#include <pthread.h>

#define STATE_CREATING "CREATING"

struct Fleet {
    char *conninfo;
    pthread_mutex_t lock; /* of password, which another thread renews */
    char *password;
    _Atomic unsigned visits;
};

/* A call: its connection to the schema admin, which may be closed before it ends. */
typedef struct {
    Fleet *fleet; /* NULL: not begun */
    Db *db;
} FleetVisit;

typedef struct {
    char *id, *schema, *state;
} FleetCluster;

void fleet_cluster_clear(FleetCluster *cluster);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FleetCluster, fleet_cluster_clear)
void fleet_visit_clear(FleetVisit *visit);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FleetVisit, fleet_visit_clear)

/* Connects. There are few visits at once: a database that does not answer keeps no more of the threads that call. NULL:
 * error; else the visit has the connection. */
Db *fleet_begin(Fleet *self, FleetVisit *visit, GError **error);
/* Runs a text up to its first row. first, second: its parameters, NULL: it has no such. */
DbStep fleet_run(Db *db, FleetStatement statement, const char *first, const char *second,
                 GError **error);
/* The same for one whose row does not matter. */
bool fleet_call(Db *db, FleetStatement statement, const char *first, const char *second,
                GError **error);
/* Nobody else does anything with it while this connection is open. id: may be the cluster's own. NOT_FOUND, BUSY. */
bool fleet_take(Db *db, const char *id, FleetCluster *cluster, GError **error);
/* CONFLICT: it is not ready. */
bool fleet_check_ready(const FleetCluster *cluster, GError **error);
/* A connection inside a cluster that is taken, with the rights of its role. make: its tables too. Returns new. */
Db *fleet_enter(Fleet *self, Db *db, const char *schema, bool make, GError **error);
