/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statements' text. Columns of a transfer always come in the order of COLUMNS, which is the order of the
 * field table in daemon/store-transfer.c; parameters of INSERT and UPDATE follow it too.
 */
#include "sql/statements.h"

#define COLUMNS                                                                                    \
    "id, direction, state, partner, path, file_name, file_type, transfer_id, peer, client, bank, " \
    "size_bytes, "                                                                                 \
    "wire_bytes, articles, mode, mtime_us, created_us, updated_us, finished_us, attempts, "        \
    "next_retry_us, "                                                                              \
    "diag_type, diag_code, cause, error, sha256, spool_name, offer_path, offer_id, hidden, "       \
    "data_kept, end_sent, name_counter, actor, origin, correlation, session, listener"
/* what stands in the mount: not removed, not cancelled, not a service, from a partner only when complete */
#define VISIBLE                                                                                    \
    "hidden = 0 AND state <> 6 AND direction <> 4 AND (direction NOT IN (1, 2) OR state = 4)"

/* clang-format off */

/*
 * A page of the history, newest first. $1 states, $2 directions (bit masks); $3: older than this transfer, whether it is
 * still there or not, or the greatest number; $4 and $5: created from and before; $6: so many are looked at, of which at
 * most $8 are given that have $7 in a name; the last one that was looked at always comes, with matches 0 if it has not.
 * edge: (created_us, id) below which the page begins. Each pair of a final state and a direction has its part of the index
 * "ended" in the right order (CAST: SQLite would see that 4 is not below 4, and then look for the range), and the rows that are not final
 * have "open" (CASE: not the index of the partner's rows): what comes out first is merged from them.
 */
#define EDGE                                                                                       \
    "WITH bound AS (SELECT CASE WHEN $3 = 9223372036854775807 THEN 9223372036854775807 ELSE "      \
    "coalesce((SELECT created_us FROM transfer_history WHERE id <= $3 ORDER BY id DESC LIMIT 1), 0) END AS us), " \
    "edge AS (SELECT CASE WHEN $5 <= us THEN $5 ELSE us END AS us, CASE WHEN $5 <= us THEN 0 ELSE $3 END AS id FROM bound), "
#define OLDER                                                                                      \
    "(created_us, id) < ((SELECT us FROM edge), (SELECT id FROM edge)) AND created_us >= $4"
#define NEWEST_FIRST " ORDER BY created_us DESC, id DESC"
#define ENDED(who, direction, state)                                                               \
    "SELECT found_id, found_us FROM (SELECT id AS found_id, created_us AS found_us FROM transfer_history WHERE " who "direction = " direction " AND state >= 4 AND state = CAST(" \
    state " AS INTEGER) AND ((1 << " state ") & $1) <> 0 AND ((1 << " direction ") & $2) <> 0 AND " OLDER NEWEST_FIRST ") AS part UNION ALL "
#define ENDED_STATES(who, direction)                                                               \
    ENDED(who, direction, "4") ENDED(who, direction, "5") ENDED(who, direction, "6")
#define PAGE(who, open)                                                                                  \
    EDGE "found AS (SELECT found_id, found_us FROM (" ENDED_STATES(who, "0") ENDED_STATES(who, "1") ENDED_STATES(who, "2")         \
    ENDED_STATES(who, "3") ENDED_STATES(who, "4")                                                  \
    "SELECT found_id, found_us FROM (SELECT id AS found_id, created_us AS found_us FROM transfer_history WHERE " open "state < 4 AND ((1 << state) & $1) <> 0 AND " \
    "((1 << direction) & $2) <> 0 AND " OLDER NEWEST_FIRST ") AS part) AS parts ORDER BY found_us DESC, found_id DESC LIMIT $6), "  \
    "last AS (SELECT count(*) AS looked, "                                     \
    "(SELECT found_id FROM found ORDER BY found_us, found_id LIMIT 1) AS id FROM found) "           \
    "SELECT " COLUMNS ", CASE WHEN " NAMED " THEN 1 ELSE 0 END AS matches, (SELECT looked FROM last) AS looked " \
    "FROM found CROSS JOIN transfer_history WHERE id = found_id AND (" NAMED " OR id = (SELECT id FROM last)) "  \
    "ORDER BY found_us DESC, found_id DESC LIMIT $8"
/* The days of which there are sums of so many days, found one after the other in the key of the sums. */
#define SUM_DAYS(name, count, when)                                                                \
    name "(day) AS (SELECT min(day) FROM transfer_sums WHERE days = " count " AND " when " UNION ALL "      \
    "SELECT (SELECT min(day) FROM transfer_sums WHERE days = " count " AND day > " name ".day AND " when ") " \
    "FROM " name " WHERE " name ".day IS NOT NULL)"
#define SUMS_OF(name, count, who)                                                                    \
    name " CROSS JOIN transfer_sums WHERE days = " count " AND transfer_sums.day = " name ".day AND partner = " who
/* How many ended in a while, $2 to $4, and their bytes: also here each state of each direction for itself, and never row by
 * row into one heap that is sorted. */
#define ENDED_MEANWHILE(who)                                                                       \
    "FROM transfer_history WHERE " who " AND direction = way AND state = final AND state >= 4 AND " \
    "created_us >= $2 AND created_us < $4"
#define COUNT_ENDED(who)                                                                           \
    "SELECT way * 8 + final, (SELECT count(*) " ENDED_MEANWHILE(who) "), (SELECT coalesce(sum(size_bytes), 0) "           \
    ENDED_MEANWHILE(who) ") FROM (SELECT 4 AS final UNION ALL SELECT 5 UNION ALL SELECT 6) AS finals "    \
    "CROSS JOIN (SELECT 0 AS way UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4) AS ways"
/* $1: who asks */
#define SCHEDULE                                                                                   \
    "SELECT id, name, document, version, created_us, updated_us, next_us, expect_us, expect_since_us, due_us, run_us, status, error, transfer_id, " \
    "success_us, successes, failures, missed, CASE WHEN runner = $1 THEN 1 ELSE 0 END AS ours FROM schedules "
/* no run of it has begun, or none since $9 has ended: who began that one may be gone for good */
#define SCHEDULE_IS_IDLE "(status NOT IN ('STARTING', 'RUNNING') OR run_us < $9)"
#define NAMED "($7 = '' OR path LIKE $7 ESCAPE '\\' OR file_name LIKE $7 ESCAPE '\\')"

const char *const SQL_STATEMENTS[SQL_COUNT] = {
    [SQL_BEGIN] = "BEGIN",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_MIGRATION_LIST] = "SELECT version, name, sha256 FROM schema_migrations ORDER BY version",
    [SQL_MIGRATION_INSERT] =
        "INSERT INTO schema_migrations (version, name, sha256, applied_us) VALUES ($1, $2, $3, $4)",
    [SQL_WRITER_MARK] =
        "INSERT INTO store_writers (writer, mark, seen_us) VALUES ($1, $2, $3) ON CONFLICT (writer) DO UPDATE SET "
        "mark = excluded.mark, seen_us = excluded.seen_us",
    [SQL_TRANSFER_INSERT] =
        "INSERT INTO transfer_history (direction, state, partner, path, file_name, file_type, transfer_id, peer, client, "
        "bank, size_bytes, wire_bytes, articles, mode, mtime_us, created_us, updated_us, finished_us, attempts, "
        "next_retry_us, diag_type, diag_code, cause, error, sha256, spool_name, offer_path, offer_id, hidden, "
        "data_kept, end_sent, name_counter, actor, origin, correlation, session, listener, owner) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
        "$17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38) RETURNING id",
    [SQL_TRANSFER_UPDATE] =
        "UPDATE transfer_history SET direction = $2, state = $3, partner = $4, path = $5, file_name = $6, file_type = $7, "
        "transfer_id = $8, peer = $9, client = $10, bank = $11, size_bytes = $12, wire_bytes = $13, "
        "articles = $14, mode = $15, mtime_us = $16, created_us = $17, updated_us = $18, finished_us = $19, "
        "attempts = $20, next_retry_us = $21, diag_type = $22, diag_code = $23, cause = $24, error = $25, "
        "sha256 = $26, spool_name = $27, offer_path = $28, offer_id = $29, hidden = $30, data_kept = $31, "
        "end_sent = $32, name_counter = $33, actor = $34, origin = $35, correlation = $36, session = $37, listener = $38 WHERE id = $1 AND ((1 << state) & $39) <> 0 RETURNING id",
    [SQL_TRANSFER_WITHDRAW] =
        "UPDATE transfer_history SET state = 6, hidden = 1, data_kept = 0, finished_us = $2, updated_us = $2, "
        "error = 'withdrawn: the database went away before it was recorded' WHERE id = $1",
    [SQL_TRANSFER_HIDE_PATH] =
        "UPDATE transfer_history SET hidden = 1, "
        "state = CASE WHEN direction = 3 AND state = 1 THEN 6 ELSE state END, "
        "finished_us = CASE WHEN direction = 3 AND state = 1 THEN $4 ELSE finished_us END WHERE partner = $1 AND path = $2 AND id < $3 AND hidden = 0 AND "
        "(state >= 4 OR direction = 3)",
    [SQL_TRANSFER_GET] = "SELECT " COLUMNS ", owner FROM transfer_history WHERE id = $1",
    /* $2: of this partner, or of any; $3: older than this transfer */
    [SQL_TRANSFER_LIST_CORRELATION] =
        "SELECT " COLUMNS " FROM transfer_history WHERE correlation = $1 AND ($2 = '' OR partner = $2) AND id < $3 "
        "ORDER BY id DESC LIMIT $4",
    [SQL_TRANSFER_LIST_SESSION] =
        "SELECT " COLUMNS " FROM transfer_history WHERE session = $1 AND ($2 = '' OR partner = $2) AND id < $3 "
        "ORDER BY id DESC LIMIT $4",
    [SQL_TRANSFER_FIND_PATH] =
        "SELECT " COLUMNS " FROM transfer_history WHERE partner = $1 AND path = $2 AND " VISIBLE
        " ORDER BY id DESC LIMIT 1",
    [SQL_TRANSFER_LAST_AT_PATH] =
        "SELECT " COLUMNS " FROM transfer_history WHERE partner = $1 AND path = $2 AND hidden = 0 AND direction <> 4 "
        "ORDER BY id DESC LIMIT 1",
    /* $2 and $3: below the folder; $4: what is before a name; $5: after this path */
    [SQL_TRANSFER_LIST_FOLDER] =
        "SELECT " COLUMNS " FROM transfer_history AS t WHERE partner = $1 AND path > $2 AND path < $3 AND path > $5 AND "
        "path NOT LIKE $4 ESCAPE '\\' AND ((1 << direction) & $6) <> 0 AND " VISIBLE
        " AND id = (SELECT max(id) FROM transfer_history WHERE partner = t.partner AND path = t.path AND " VISIBLE
        ") ORDER BY path LIMIT $7",
    [SQL_TRANSFER_LIST_NAMES] =
        "SELECT path FROM transfer_history WHERE partner = $1 AND path > $2 AND path < $3 AND " VISIBLE
        " ORDER BY path LIMIT $4",
    [SQL_TRANSFER_FIND_OFFER] =
        "SELECT " COLUMNS " FROM transfer_history WHERE direction = 3 AND data_kept = 1 AND partner = $1 AND "
        "file_name = $2 AND file_type = $3 AND owner = $4 AND hidden = 0 AND state IN (1, 4) ORDER BY id DESC LIMIT 1",
    [SQL_TRANSFER_FIND_OFFER_GENERIC] =
        "SELECT " COLUMNS " FROM transfer_history WHERE direction = 3 AND data_kept = 1 AND partner = $1 AND "
        "file_name LIKE $2 ESCAPE '\\' AND file_type = $3 AND owner = $4 AND hidden = 0 AND state = 1 AND id > $5 AND NOT EXISTS "
        "(SELECT 1 FROM transfer_history AS service WHERE service.offer_id = transfer_history.id AND service.offer_id > 0 "
        "AND service.state IN (2, 4)) ORDER BY id LIMIT 1",
    [SQL_TRANSFER_FIND_RECEIVED] =
        "SELECT " COLUMNS " FROM transfer_history WHERE direction = 2 AND state = 4 AND partner = $1 AND file_name = $2 "
        "AND transfer_id = $3 AND peer = $4 AND file_type = $5 AND coalesce(client, '') = $6 AND "
        "coalesce(bank, '') = $7 ORDER BY id DESC LIMIT 1",
    [SQL_TRANSFER_UNFINISHED] = "SELECT " COLUMNS " FROM transfer_history WHERE owner = $1 AND state < 4 ORDER BY created_us, id",
    /* offers that wait although a service of theirs was done */
    [SQL_TRANSFER_SERVED] =
        "SELECT " COLUMNS " FROM transfer_history WHERE owner = $1 AND state < 4 AND direction = 3 AND state = 1 AND EXISTS "
        "(SELECT 1 FROM transfer_history AS service WHERE service.offer_id = transfer_history.id AND service.offer_id > 0 "
        "AND service.state = 4) ORDER BY created_us, id",
    [SQL_TRANSFER_EXPIRED] =
        "SELECT " COLUMNS " FROM transfer_history WHERE data_kept = 1 AND state >= 4 AND finished_us > 0 AND "
        "finished_us < $1 AND owner = $3 ORDER BY finished_us LIMIT $2",
    [SQL_TRANSFER_FIND_SPOOL] =
        "SELECT " COLUMNS " FROM transfer_history WHERE spool_name = $1 AND owner = $2 ORDER BY id DESC LIMIT 1",
    [SQL_TRANSFER_OLDEST] = "SELECT " COLUMNS " FROM transfer_history WHERE id > $1 ORDER BY id LIMIT $2",
    /* a service tells that its offer was given out: it stays as long as the offer can be */
    [SQL_TRANSFER_REMOVE] =
        "DELETE FROM transfer_history WHERE id = $1 AND owner = $2 AND state >= 4 AND data_kept = 0 AND NOT EXISTS "
        "(SELECT 1 FROM transfer_history AS offer WHERE offer.id = transfer_history.offer_id AND "
        "(offer.state < 4 OR offer.data_kept = 1)) AND NOT EXISTS (SELECT 1 FROM audit_due WHERE audit_due.owner = $2 AND "
        "audit_due.transfer_id = $1) RETURNING id",
    /* the long sums of all partners, and the rows that are not final */
    [SQL_TRANSFER_TALLY] =
        "WITH RECURSIVE " SUM_DAYS("long", "32", "day >= 0") " SELECT coalesce(sum(transfers), 0) FROM ("
        "SELECT transfers FROM " SUMS_OF("long", "32", "''") " AND "
        "((1 << state) & $1) <> 0 AND ((1 << direction) & $2) <> 0 UNION ALL SELECT count(*) AS transfers FROM "
        "transfer_history WHERE state < 4 AND ((1 << state) & $1) <> 0 AND ((1 << direction) & $2) <> 0) AS parts",
    [SQL_TRANSFER_PAGE] = PAGE("", ""),
    [SQL_TRANSFER_PAGE_OF_PARTNER] = PAGE("partner = $9 AND ", "CASE WHEN partner = $9 THEN 1 END = 1 AND "),
    /* $1: partner, '' for all; $2: created since; $3, $4: the first whole day and its begin; $5: the first day of the first
     * whole 32. The day before $3 is counted row by row in an index. */
    [SQL_TRANSFER_STATISTICS] =
        "WITH RECURSIVE " SUM_DAYS("long", "32", "day >= $5") ", " SUM_DAYS("short", "1", "day >= $3 AND day < $5")
        " SELECT kind / 8, kind % 8, sum(transfers), sum(bytes) FROM ("
        "SELECT direction * 8 + state AS kind, transfers, bytes FROM " SUMS_OF("long", "32", "$1") " UNION ALL "
        "SELECT direction * 8 + state, transfers, bytes FROM " SUMS_OF("short", "1", "$1") " UNION ALL "
        COUNT_ENDED("$1 = ''") " UNION ALL " COUNT_ENDED("$1 <> '' AND partner = $1")
        " UNION ALL SELECT direction * 8 + state, count(*), 0 FROM transfer_history WHERE state < 4 AND created_us >= $2 AND "
        "($1 = '' OR partner = $1) GROUP BY direction * 8 + state) AS parts "
        "GROUP BY kind HAVING sum(transfers) <> 0 ORDER BY kind",
    [SQL_TRANSFER_DAYS] =
        "WITH RECURSIVE " SUM_DAYS("short", "1", "day >= $2")
        " SELECT short.day, direction * 8 + state, sum(transfers), sum(bytes) FROM " SUMS_OF("short", "1", "$1")
        " GROUP BY short.day, direction * 8 + state HAVING sum(transfers) <> 0 ORDER BY short.day, direction * 8 + state",
    [SQL_TRANSFER_QUEUE] =
        "SELECT state, count(*), min(created_us) FROM transfer_history WHERE state < 4 AND direction <> 3 GROUP BY state",
    [SQL_RECORD_INSERT] =
        "INSERT INTO admin_records (kind, id, name, document, created_us, updated_us) VALUES ($1, $2, $3, $4, $5, $6)",
    [SQL_RECORD_UPDATE] =
        "UPDATE admin_records SET name = $3, document = $4, updated_us = $5 WHERE kind = $1 AND id = $2 AND "
        "(CAST($6 AS BIGINT) = 0 OR updated_us = CAST($6 AS BIGINT)) RETURNING id",
    [SQL_RECORD_RENAME] =
        "UPDATE admin_records SET id = $3, document = $4, updated_us = $5 WHERE kind = $1 AND id = $2 AND "
        "(CAST($6 AS BIGINT) = 0 OR updated_us = CAST($6 AS BIGINT)) RETURNING id",
    [SQL_RECORD_GET] =
        "SELECT kind, id, name, document, created_us, updated_us FROM admin_records WHERE kind = $1 AND id = $2",
    [SQL_RECORD_LIST] =
        "SELECT kind, id, name, document, created_us, updated_us FROM admin_records WHERE kind = $1 AND id > $2 "
        "ORDER BY id LIMIT $3",
    [SQL_RECORD_REMOVE] =
        "DELETE FROM admin_records WHERE kind = $1 AND id = $2 AND (CAST($3 AS BIGINT) = 0 OR "
        "updated_us = CAST($3 AS BIGINT)) RETURNING id",
    [SQL_RECORD_EXPIRE] = "DELETE FROM admin_records WHERE kind = $1 AND updated_us < $2",
    [SQL_AUDIT_INSERT] =
        /* only behind the row that it was made to follow */
        "INSERT INTO audit_events (writer, seq, time_us, actor, address, action, object, detail, previous, hash, transfer_id) "
        "SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), "
        "CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT), CAST($9 AS TEXT), CAST($10 AS TEXT), CAST($11 AS BIGINT) "
        "WHERE $2 = 1 OR EXISTS (SELECT 1 FROM audit_events WHERE writer = $1 AND seq = $2 - 1 AND hash = $9) RETURNING seq",
    [SQL_AUDIT_LIST] =
        "SELECT writer, seq, time_us, actor, address, action, object, detail, previous, hash FROM audit_events WHERE "
        "writer = $1 AND seq > $2 ORDER BY seq LIMIT $3",
    [SQL_AUDIT_LAST] =
        "SELECT writer, seq, time_us, actor, address, action, object, detail, previous, hash FROM audit_events WHERE "
        "writer = $1 ORDER BY seq DESC LIMIT $2",
    /* one that was made to go on meanwhile is due when it has ended again */
    [SQL_AUDIT_DUE] =
        "WITH due AS MATERIALIZED (SELECT transfer_id AS due_id FROM audit_due WHERE owner = $1 ORDER BY transfer_id LIMIT $2) "
        "SELECT " COLUMNS " FROM due CROSS JOIN transfer_history WHERE id = due_id AND state >= 4 ORDER BY id",
    /* the last of the rows older than $2 that have none younger before them, among the first $3 */
    [SQL_AUDIT_OLD] =
        "WITH first AS (SELECT seq, time_us FROM audit_events WHERE writer = $1 ORDER BY seq LIMIT $3), "
        "young AS (SELECT min(seq) AS seq FROM first WHERE time_us >= $2), "
        "last AS (SELECT coalesce((SELECT seq FROM young), (SELECT max(seq) + 1 FROM first)) - 1 AS seq) "
        "SELECT writer, seq, time_us, actor, address, action, object, detail, previous, hash FROM audit_events WHERE "
        "writer = $1 AND seq = (SELECT seq FROM last)",
    [SQL_AUDIT_REMOVE] =
        "DELETE FROM audit_events WHERE writer = $1 AND seq <= $2 AND "
        "seq < (SELECT min(seq) FROM audit_events WHERE writer = $1) + $3 RETURNING seq",
    [SQL_COUNTER_NEXT] =
        "INSERT INTO counters (name, value) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET "
        "value = counters.value + 1 RETURNING value",
    [SQL_SECRET_SET] =
        "INSERT INTO secrets (partner, kind, value) VALUES ($1, $2, $3) ON CONFLICT (partner, kind) DO UPDATE SET "
        "value = excluded.value",
    [SQL_SECRET_REMOVE] = "DELETE FROM secrets WHERE partner = $1 AND kind = $2",
    [SQL_SECRET_GET] = "SELECT value FROM secrets WHERE partner = $1 AND kind = $2",
    /* partners, virtual files, listeners, stores of certificates; each list in its order */
    [SQL_DEFINITION_LIST] =
        "SELECT name AS partner, NULL AS pattern, settings, version, created_us, updated_us, 0 AS kind FROM partners "
        "UNION ALL SELECT partner, pattern, settings, version, created_us, updated_us, 1 AS kind FROM virtual_files "
        "UNION ALL SELECT '' AS partner, server_id AS pattern, settings, version, created_us, updated_us, 2 AS kind "
        "FROM pesitwizard_server_configs "
        "UNION ALL SELECT ':certificates' AS partner, name AS pattern, settings, version, created_us, updated_us, 3 AS kind "
        "FROM certificate_stores ORDER BY kind, partner, pattern",
    [SQL_PARTNER_INSERT] =
        "INSERT INTO partners (name, settings, version, created_us, updated_us) VALUES ($1, $2, 1, $3, $3) "
        "ON CONFLICT (name) DO NOTHING RETURNING version",
    [SQL_PARTNER_UPDATE] =
        "UPDATE partners SET settings = $2, version = version + 1, updated_us = $3 WHERE name = $1 AND version = $4 "
        "RETURNING version",
    [SQL_PARTNER_DELETE] =
        "DELETE FROM partners WHERE name = $1 AND version = $2 RETURNING version",
    [SQL_FILE_INSERT] =
        "INSERT INTO virtual_files (partner, pattern, settings, version, created_us, updated_us) "
        "VALUES ($1, $2, $3, 1, $4, $4) ON CONFLICT (partner, pattern) DO NOTHING RETURNING version",
    [SQL_FILE_UPDATE] =
        "UPDATE virtual_files SET settings = $3, version = version + 1, updated_us = $4 "
        "WHERE partner = $1 AND pattern = $2 AND version = $5 RETURNING version",
    [SQL_FILE_DELETE] =
        "DELETE FROM virtual_files WHERE partner = $1 AND pattern = $2 AND version = $3 RETURNING version",
    [SQL_LISTENER_INSERT] =
        "INSERT INTO pesitwizard_server_configs (server_id, settings, version, created_us, updated_us) "
        "VALUES ($1, $2, 1, $3, $3) ON CONFLICT (server_id) DO NOTHING RETURNING version",
    [SQL_LISTENER_UPDATE] =
        "UPDATE pesitwizard_server_configs SET settings = $2, version = version + 1, updated_us = $3 "
        "WHERE server_id = $1 AND version = $4 RETURNING version",
    [SQL_LISTENER_DELETE] =
        "DELETE FROM pesitwizard_server_configs WHERE server_id = $1 AND version = $2 RETURNING version",
    /* each change of what is wanted is one of its version; what happens to it is none */
    [SQL_SCHEDULE_INSERT] =
        "INSERT INTO schedules (id, name, document, version, created_us, updated_us, next_us, expect_us, expect_since_us, wake_us) "
        "VALUES ($1, $2, $3, 1, $4, $4, $5, $6, $7, $8)",
    [SQL_SCHEDULE_UPDATE] =
        "UPDATE schedules SET name = $2, document = $3, version = version + 1, updated_us = $4, next_us = $5, expect_us = $6, "
        "expect_since_us = $7, wake_us = $8 WHERE id = $1 AND version = $9 RETURNING version",
    [SQL_SCHEDULE_REMOVE] = "DELETE FROM schedules WHERE id = $1 AND version = $2 RETURNING version",
    [SQL_SCHEDULE_GET] = SCHEDULE "WHERE id = $2 OR name = $2 ORDER BY CASE WHEN id = $2 THEN 0 ELSE 1 END LIMIT 1",
    [SQL_SCHEDULE_LIST] = SCHEDULE "WHERE id > $2 ORDER BY id LIMIT $3",
    [SQL_SCHEDULE_WAKE] = SCHEDULE "WHERE wake_us > 0 ORDER BY wake_us LIMIT $2",
    [SQL_SCHEDULE_RUNNING] = SCHEDULE "WHERE status IN ('STARTING', 'RUNNING') ORDER BY id",
    /* a due time, as it was read, by one; never the same again, whatever is changed meanwhile */
    [SQL_SCHEDULE_CLAIM] =
        "UPDATE schedules SET next_us = $3, expect_us = $4, expect_since_us = $5, wake_us = $6, due_us = next_us, run_us = $7, "
        "status = 'STARTING', error = NULL, transfer_id = 0, runner = $8 WHERE id = $1 AND version = $2 AND next_us = $10 AND "
        "due_us < $10 AND " SCHEDULE_IS_IDLE " RETURNING version",
    [SQL_SCHEDULE_ADVANCE] =
        "UPDATE schedules SET next_us = $3, expect_us = $4, expect_since_us = $5, wake_us = $6, missed = missed + $7 "
        "WHERE id = $1 AND version = $2 AND next_us = $8 AND expect_us = $9 RETURNING version",
    [SQL_SCHEDULE_BEGIN] =
        "UPDATE schedules SET run_us = $2, status = 'STARTING', error = NULL, transfer_id = 0, runner = $3 WHERE id = $1 AND "
        "(status NOT IN ('STARTING', 'RUNNING') OR run_us < $4) RETURNING version",
    [SQL_SCHEDULE_STARTED] =
        "UPDATE schedules SET status = 'RUNNING', transfer_id = $3 WHERE id = $1 AND run_us = $2 AND status = 'STARTING' RETURNING version",
    [SQL_SCHEDULE_ENDED] =
        "UPDATE schedules SET status = $3, error = $4, successes = successes + $5, failures = failures + $6, "
        "success_us = CASE WHEN CAST($7 AS BIGINT) > 0 THEN run_us ELSE success_us END WHERE id = $1 AND run_us = $2 AND "
        "status IN ('STARTING', 'RUNNING') RETURNING version",
    [SQL_CERTIFICATES_INSERT] =
        "INSERT INTO certificate_stores (name, settings, version, created_us, updated_us) "
        "VALUES ($1, $2, 1, $3, $3) ON CONFLICT (name) DO NOTHING RETURNING version",
    [SQL_CERTIFICATES_UPDATE] =
        "UPDATE certificate_stores SET settings = $2, version = version + 1, updated_us = $3 "
        "WHERE name = $1 AND version = $4 RETURNING version",
    [SQL_CERTIFICATES_DELETE] =
        "DELETE FROM certificate_stores WHERE name = $1 AND version = $2 RETURNING version",
    /* Those that ever wrote; who runs holds the lock of its name. PostgreSQL only, as all from here on. */
    [SQL_MEMBER_LIST] =
        "SELECT 'member', writer, writer, CASE WHEN writer = $1 OR EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND "
        "granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND objsubid = 1 AND "
        "((CAST(classid AS BIGINT) << 32) | CAST(objid AS BIGINT)) = hashtextextended('own ' || current_database() || ' ' || "
        "current_schema() || ' ' || writer, 0)) THEN 'UP' ELSE 'DOWN' END, seen_us, seen_us FROM store_writers "
        "UNION SELECT 'member', $1, $1, 'UP', 0, 0 WHERE NOT EXISTS (SELECT 1 FROM store_writers WHERE writer = $1) ORDER BY 2",
    [SQL_INQUIRY_TAKE] =
        "UPDATE inquiries SET taken = 1, owner = $2 WHERE id = $1 AND taken = 0 AND (owner IS NULL OR owner = $2) RETURNING actor, method, path, body, if_match",
    [SQL_INQUIRY_ANSWER] = "UPDATE inquiries SET status = $2, answer = $3 WHERE id = $1",
    [SQL_INQUIRY_LEAVE] =
        "INSERT INTO inquiries (id, created_us, actor, method, path, body, owner) VALUES ($1, $2, $3, $4, $5, $6, $7)",
    [SQL_INQUIRY_ANSWERED] = "SELECT status, coalesce(answer, '') FROM inquiries WHERE id = $1 AND status IS NOT NULL",
    [SQL_INQUIRY_RETRACT] = "DELETE FROM inquiries WHERE id = $1 AND taken = 0 RETURNING id",
    [SQL_INQUIRY_FORGET] = "DELETE FROM inquiries WHERE id = $1 OR created_us < $2",
};
/* clang-format on */
