/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbered migrations, embedded at build: element i brings a schema to version i + 1. A NULL name ends
 * them. Constant; any thread.
 */
#pragma once

typedef struct {
    const char *name;     /* "0001-transfers" */
    const char *sha256;   /* of its files, in hex */
    const char *texts[2]; /* by DbKind; NULL: not for this one */
} SqlMigration;

extern const SqlMigration SQL_CLUSTER_MIGRATIONS[]; /* a cluster's schema */
extern const SqlMigration SQL_FLEET_MIGRATIONS[];   /* the schema admin: PostgreSQL only */
