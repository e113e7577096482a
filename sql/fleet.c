/* SPDX-License-Identifier: Apache-2.0 */
/* The texts. Names in DDL are the business of the functions that they call. */
#include "sql/fleet.h"

/* clang-format off */
#define DATABASE \
    "|| jsonb_build_object('database', jsonb_build_object('name', current_database(), 'state', database_state, " \
    "'schema', schema_name, 'role', schema_name, 'connections', (SELECT count(*) FROM pg_stat_activity WHERE " \
    "usename = schema_name)))"
#define RECORDS(table, more) { \
    [FLEET_RECORD_LIST] = "SELECT id, name, (document " more ")::text, created_us, updated_us FROM " table \
        " WHERE id > $1 ORDER BY id LIMIT $2::bigint", \
    [FLEET_RECORD_GET] = "SELECT id, name, (document " more ")::text, created_us, updated_us FROM " table \
        " WHERE id = $1", \
    [FLEET_RECORD_INSERT] = "INSERT INTO " table " (id, name, document, created_us, updated_us) VALUES ($1, $2, $3, " \
        "$4, $4) ON CONFLICT (name) DO NOTHING RETURNING id", \
    [FLEET_RECORD_UPDATE] = "UPDATE " table " SET name = $2, document = $3, updated_us = $4 WHERE id = $1 AND " \
        "($5::bigint = 0 OR updated_us = $5::bigint) RETURNING id", \
    [FLEET_RECORD_REMOVE] = "DELETE FROM " table " WHERE id = $1 AND ($2::bigint = 0 OR " \
        "updated_us = $2::bigint) RETURNING id" }

const char *const FLEET_RECORD_STATEMENTS[FLEET_TABLE_COUNT][FLEET_RECORD_COUNT] = {
    [FLEET_CLUSTERS] = RECORDS("pesitwizard_clusters", DATABASE),
    [FLEET_REGISTRIES] = RECORDS("container_registries", ""),
    [FLEET_ORCHESTRATORS] = RECORDS("container_orchestrators", ""),
};

#define FIND "SELECT id, schema_name, database_state, current_database() FROM pesitwizard_clusters WHERE "

const char *const FLEET_STATEMENTS[FLEET_STATEMENT_COUNT] = {
    [FLEET_LOCK] = "SELECT pg_advisory_lock(hashtextextended('fleet ' || current_database() || ' ' || $1, 0))",
    [FLEET_CHECK_RIGHTS] = "SELECT check_rights()",
    [FLEET_FIND_ID] = FIND "id = $1",
    [FLEET_FIND_NAME] = FIND "name = $1",
    [FLEET_MAKE] = "SELECT make_cluster($1)",
    [FLEET_OPEN_CONSOLE] = "SELECT open_console($1, $2)",
    [FLEET_CLOSE_CONSOLE] = "SELECT close_console($1)",
    [FLEET_GIVE_PASSWORD] = "SELECT give_password($1, $2)",
    [FLEET_SHUT] = "SELECT shut_cluster($1)",
    [FLEET_REOPEN] = "SELECT reopen_cluster($1)",
    [FLEET_DROP] = "SELECT drop_cluster($1)",
    [FLEET_COUNT_SESSIONS] = "SELECT count(*) FROM pg_stat_activity WHERE usename = $1",
    [FLEET_IS_MADE] =
        "SELECT 1 FROM pg_namespace WHERE nspname = $1 AND EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AND "
        "EXISTS (SELECT FROM pg_roles WHERE rolname = $1 || '_console')",
    [FLEET_HAS_TABLES] = "SELECT 1 WHERE to_regclass('transfer_sums') IS NOT NULL",
    [FLEET_COUNT_CONTENT] =
        "SELECT (SELECT count(*) FROM partners) + (SELECT count(*) FROM virtual_files) + "
        "(SELECT count(*) FROM pesitwizard_server_configs) + "
        "CASE WHEN coalesce(pg_relation_size(to_regclass('certificate_stores')), 0) > 0 THEN 1 ELSE 0 END, (SELECT count(*) FROM (SELECT 1 FROM audit_events LIMIT 1000) AS rows)",
    [FLEET_HAS_INQUIRIES] = "SELECT 1 WHERE to_regclass('inquiries') IS NOT NULL",
    [FLEET_INQUIRE] =
        "INSERT INTO inquiries (id, created_us, actor, method, path, body, if_match) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    [FLEET_INQUIRY_ANSWER] =
        "SELECT status, coalesce(answer, '') FROM inquiries WHERE id = $1 AND status IS NOT NULL AND length(answer) < 16000000",
    [FLEET_INQUIRY_RETRACT] = "DELETE FROM inquiries WHERE id = $1 AND taken = 0 RETURNING id",
    [FLEET_INQUIRY_FORGET] = "DELETE FROM inquiries WHERE id = $1 OR created_us < $2",
    [FLEET_END_SESSIONS] =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()",
    [FLEET_DROP_OWNED] = "DROP OWNED BY CURRENT_USER CASCADE",
};
/* clang-format on */
