/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements of the schema admin, that administers clusters in a PostgreSQL database: its tables of records, and the
 * functions of sql/fleet that make and drop clusters. For db_start_text. Constant; any thread.
 */
#pragma once

typedef enum {
    FLEET_CLUSTERS,
    FLEET_REGISTRIES,
    FLEET_ORCHESTRATORS,
    FLEET_TABLE_COUNT
} FleetTable;

/* Rows: id, name, document, created_us, updated_us. */
typedef enum {
    FLEET_RECORD_LIST, /* $1 after, $2 limit */
    FLEET_RECORD_GET,  /* $1 id */
    FLEET_RECORD_INSERT, /* $1 id, $2 name, $3 document, $4 now; gives the id, nothing: the name is taken */
    FLEET_RECORD_UPDATE, /* the same, $5 when it was changed last, 0: any; gives the id, nothing: it is not there */
    FLEET_RECORD_REMOVE, /* $1 id, $2 as $5; the same */
    FLEET_RECORD_COUNT
} FleetRecordStatement;

extern const char *const FLEET_RECORD_STATEMENTS[FLEET_TABLE_COUNT][FLEET_RECORD_COUNT];

/* $1: the cluster's schema, whose name its role has too, unless said. */
typedef enum {
    FLEET_LOCK,         /* of the cluster, until the connection ends */
    FLEET_CHECK_RIGHTS, /* no parameter */
    FLEET_FIND_ID,      /* $1 id: id, schema, state, database */
    FLEET_FIND_NAME,    /* $1 name: the same */
    FLEET_MAKE,
    FLEET_OPEN_CONSOLE, /* $2 verifier */
    FLEET_CLOSE_CONSOLE,
    FLEET_GIVE_PASSWORD, /* $2 verifier */
    FLEET_SHUT,
    FLEET_REOPEN,
    FLEET_DROP,
    FLEET_COUNT_SESSIONS, /* of the cluster's daemons */
    FLEET_IS_MADE,        /* 1: roles and schema are there */
    /* inside the cluster, as its role; no parameters unless said */
    FLEET_HAS_TABLES,
    FLEET_COUNT_CONTENT, /* definitions, rows of the audit trail up to 1000 */
    FLEET_HAS_INQUIRIES,
    FLEET_INQUIRE,         /* $1 id, $2 now, $3 actor, $4 method, $5 path, $6 body, $7 If-Match */
    FLEET_INQUIRY_ANSWER,  /* $1 id: status, answer; nothing: none yet */
    FLEET_INQUIRY_RETRACT, /* $1 id; nothing: somebody took it */
    FLEET_INQUIRY_FORGET,  /* $1 id, $2 what is older goes too */
    FLEET_END_SESSIONS,
    FLEET_DROP_OWNED, /* all that the role has made, wherever */
    FLEET_STATEMENT_COUNT
} FleetStatement;

extern const char *const FLEET_STATEMENTS[FLEET_STATEMENT_COUNT];
