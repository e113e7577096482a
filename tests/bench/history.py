#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fills the history of a store with made-up transfers, and asks a daemon all that can be asked of it.

    history.py sqlite FILE ROWS                 a store that pesitd has made and no daemon uses
    history.py postgres CONNINFO SCHEMA ROWS

The rows spread over 120 partners (a few have most), two years, all states and directions; the newest are not final,
and another daemon's: no daemon that looks at them sends them.
"""
import http.client
import itertools
import json
import sqlite3
import statistics
import subprocess
import sys
import time

DAY_US = 86_400_000_000
SPAN_US = 730 * DAY_US
PARTNERS = 120
OPEN_ROWS = 20_000  # not final; of few rows a tenth
AIM_MS = 50
INSERT = """INSERT INTO transfer_history (direction, state, partner, path, file_name, file_type, transfer_id, peer, client, bank,
    size_bytes, wire_bytes, articles, mode, mtime_us, created_us, updated_us, finished_us, attempts, next_retry_us, diag_type,
    diag_code, cause, error, sha256, spool_name, offer_path, offer_id, hidden, data_kept, end_sent, name_counter, owner)"""
# What both databases understand. i: 0 .. rows - 1; h: below 2^31, looks like chance.
SELECT = """
SELECT direction, state, 'PARTNER' || partner,
    CASE WHEN direction IN (0, 3, 4) THEN 'out/' ELSE 'in/' END || kind || '-' || substr(CAST(1000000000 + i AS TEXT), 2) || '.xml',
    kind || substr(CAST(1000000000 + i AS TEXT), 2), 0, 1 + i % 16777215, 'PARTNER' || partner, NULL, NULL,
    1 + h * (h % 97) % 40000000, 1 + h * (h % 97) % 40000000, 1 + h % 5000, 416, created, created, created + took,
    CASE WHEN state >= 4 THEN created + took ELSE 0 END, 1 + h % 3 / 2, 0,
    CASE WHEN state = 5 THEN 2 ELSE 0 END, CASE WHEN state = 5 THEN 200 + h % 26 ELSE 0 END, 0,
    CASE WHEN state = 5 THEN 'refused by the partner' END,
    CASE WHEN state = 4 THEN CAST(1000000000 + h AS TEXT) || CAST(1000000000 + i AS TEXT) ||
        '5f70bf18a086007016e948b04aed3b82103a36bea417' END,
    CAST(i + 1 AS TEXT), NULL, 0, CASE WHEN state >= 4 AND i < @rows@ - @rows@ / 24 THEN 1 ELSE 0 END, 0, 0, 0,
    CASE WHEN state >= 4 THEN '' ELSE 'elsewhere' END
FROM (SELECT i, h, 1000000 + h % 60000000 AS took,
    @began@ + i * ((@ended@ - @began@) / @rows@) + i * 7919 % 30000000 AS created,
    (h % 1000) * (h % 1000) * (h % 1000) / 1000 * @partners@ / 1000000 AS partner,
    CASE h / 1000 % 20 WHEN 0 THEN 1 WHEN 1 THEN 3 WHEN 2 THEN 4 ELSE CASE WHEN h / 1000 % 2 = 0 THEN 0 ELSE 2 END END AS direction,
    CASE WHEN i >= @rows@ - @open@ THEN CASE WHEN h / 20000 % 4 = 0 THEN 3 ELSE 1 END
        WHEN h / 20000 % 1000 < 30 THEN 5 WHEN h / 20000 % 1000 < 37 THEN 6 ELSE 4 END AS state,
    CASE h / 7 % 5 WHEN 0 THEN 'INVOICES' WHEN 1 THEN 'SALARIES' WHEN 2 THEN 'ORDERS' WHEN 3 THEN 'STATEMENT' ELSE 'VIR' END AS kind
    FROM (SELECT i, (i * 1103515245 + 12345) % 2147483648 * 16807 % 2147483647 AS h FROM numbers) AS a) AS b"""
SUMS = ("""INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes)
    SELECT partner, 1, created_us / 86400000000, direction, state, '', count(*), sum(size_bytes) FROM transfer_history
    WHERE state >= 4 GROUP BY partner, created_us / 86400000000, direction, state""",
        """INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes)
    SELECT partner, 32, day / 32 * 32, direction, state, '', sum(transfers), sum(bytes) FROM transfer_sums
    GROUP BY partner, day / 32 * 32, direction, state""",
        """INSERT INTO transfer_sums (partner, days, day, direction, state, writer, transfers, bytes)
    SELECT '', days, day, direction, state, '', sum(transfers), sum(bytes) FROM transfer_sums
    GROUP BY days, day, direction, state""")
COUNTED = "SELECT direction, state, count(*), sum(size_bytes) FROM transfer_history WHERE state >= 4 GROUP BY direction, state"


def fill_text(rows):
    text, ended = SELECT, time.time_ns() // 1000
    for name, value in {"rows": rows, "open": min(OPEN_ROWS, rows // 10), "partners": PARTNERS, "ended": ended,
                        "began": ended - SPAN_US}.items():
        text = text.replace("@%s@" % name, str(value))
    return text


def fill_sqlite(path, rows):
    """Indexes and triggers are put away meanwhile: to make an index of all rows is faster than row by row."""
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA synchronous = OFF")
    store.execute("PRAGMA cache_size = -400000")
    away = store.execute("SELECT type, name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL AND "
                         "tbl_name = 'transfer_history'").fetchall()
    store.execute("BEGIN")
    for kind, name, _ in away:
        store.execute("DROP %s %s" % (kind, name))
    store.execute("%s WITH RECURSIVE numbers(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < %d) %s"
                  % (INSERT, rows, fill_text(rows)))
    for statement in (*(sql for _, _, sql in away), *SUMS):
        store.execute(statement)
    store.execute("COMMIT")
    store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()


def psql(conninfo, *statements):
    command = ["psql", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", conninfo]
    for statement in statements:
        command += ["-c", statement]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def fill_postgres(conninfo, schema, rows):
    path = "SET search_path TO %s" % schema
    away = psql(conninfo, path, "SELECT indexname || ' ' || indexdef FROM pg_indexes WHERE tablename = 'transfer_history' AND "
                "schemaname = '%s' AND indexname NOT LIKE '%%_pkey'" % schema)
    psql(conninfo, path, "SET maintenance_work_mem = '512MB'", "SET work_mem = '256MB'",
         *("DROP INDEX " + line.split()[0] for line in away), "ALTER TABLE transfer_history DISABLE TRIGGER USER",
         "%s WITH numbers AS (SELECT generate_series(0, %d - 1)::bigint AS i) %s" % (INSERT, rows, fill_text(rows)),
         *(line.split(" ", 1)[1] for line in away), *SUMS, "ALTER TABLE transfer_history ENABLE TRIGGER USER",
         "VACUUM ANALYZE transfer_history", "VACUUM ANALYZE transfer_sums")


# questions

STATES = ("staged", "queued", "running", "waiting", "done", "failed", "cancelled", "INITIATED")
DIRECTIONS = ("send", "fetch", "receive", "offer", "serve", "SEND")
TEXTS = ("INVOICES", "-000012", "nowhere")  # in a fifth of the rows, in few or many, in none


def day(ago, clock="00:00:00"):
    return time.strftime("%Y-%m-%dT", time.gmtime(time.time() - ago * 86400)) + clock + "Z"


def pages(newest, quick):
    """All ways to filter a page, with each other."""
    partners = ("", "PARTNER0", "PARTNER119", "NOBODY")
    times = ("", "&from=" + day(2), "&to=" + day(400, "13:17:00"), "&from=%s&to=%s" % (day(300, "10:00:00"), day(299, "09:59:59")))
    starts = ("",) if quick else ("", "&before=%d" % (newest // 2), "&before=%d" % (newest // 500))
    sizes = (1000,) if quick else (50, 1000)
    for partner, state, direction, when, start, size in itertools.product(
            partners, ("", *STATES), ("", *DIRECTIONS), times, starts, sizes):
        if quick and sum(map(bool, (partner, state, direction, when))) > 2:
            continue
        yield "/api/v1/transfers?size=%d%s%s%s%s%s" % (
            size, partner and "&partner=" + partner, state and "&status=" + state, direction and "&direction=" + direction,
            when, start)


def others(newest):
    for partner, text, when in itertools.product(("", "PARTNER0", "PARTNER119"), TEXTS, ("", "&to=" + day(400))):
        yield "/api/v1/transfers?text=%s%s%s" % (text, partner and "&partner=" + partner, when)
        yield "/api/v1/transfers?size=1000&status=failed&text=%s%s%s" % (text, partner and "&partner=" + partner, when)
    for partner, when in itertools.product(("", "PARTNER0", "PARTNER119", "NOBODY"),
                                           ("", day(0, "00:00:01"), day(300), day(300, "11:11:11"), day(720, "00:00:01"))):
        yield "/api/v1/transfers/stats?" + "&".join(filter(None, (partner and "partner=" + partner, when and "from=" + when)))
    for partner, days in itertools.product(("", "PARTNER0", "PARTNER119"), (7, 366)):
        yield "/api/v1/transfers/stats/daily?days=%d%s" % (days, partner and "&partner=" + partner)
    for number in (1, newest // 3, newest):
        yield "/api/v1/transfers/%d" % number
    for list_of in ("", "/active", "/retryable", "/status/PAUSED", "/partner/PARTNER1"):
        yield "/api/v1/transfers%s?size=1000" % list_of
    yield "/metrics"


def orders():
    """Lists in another order, of what is not too much, or is: the answer is then that it is."""
    partners, states = ("", "PARTNER0", "PARTNER119"), ("", "failed", "cancelled", "done", "queued", "PAUSED")
    times = ("", "&from=" + day(0, "00:00:01"), "&from=%s&to=%s" % (day(300), day(299)))
    for field, partner, state, when, text in itertools.product(("fileSize", "filename"), partners, states, times, ("", *TEXTS)):
        yield "/api/v1/transfers?size=1000&sortBy=%s%s%s%s%s" % (
            field, partner and "&partner=" + partner, state and "&status=" + state, when, text and "&text=" + text)
    yield "/api/v1/transfers/retryable?size=1000&sortBy=attempts"
    yield "/api/v1/transfers/active?size=1000&sortDir=asc"


class Asker:
    """One connection to the administration."""

    def __init__(self, api):
        self.connection, self.key = api.connect(), api.key

    def ask(self, path, good=(200,)):
        """Its answer, and how many milliseconds it took. good: statuses that it may have."""
        start = time.perf_counter()
        self.connection.request("GET", path, headers={"X-API-Key": self.key})
        response = self.connection.getresponse()
        body = response.read()
        took_ms = (time.perf_counter() - start) * 1000
        assert response.status in good, (path, response.status, body)
        return body, took_ms


def steady_ms(ask, first_ms):
    """What took long is asked again: the machine is shared, and the disk is read once."""
    return first_ms if first_ms < AIM_MS / 2 else statistics.median([first_ms] + [ask() for _ in range(4)])


def measure(api, node, quick):
    """Milliseconds of each question, by name."""
    asker, found = Asker(api), {}
    newest = json.loads(asker.ask("/api/v1/transfers?size=1")[0])["content"][0]["transferId"]
    for path in itertools.chain(pages(newest, quick), others(newest)):
        found[path] = steady_ms(lambda path=path: asker.ask(path)[1], asker.ask(path)[1])
    for path in itertools.islice(orders(), 0, None, 10 if quick else 1):
        found[path] = steady_ms(lambda path=path: asker.ask(path, (200, 400))[1], asker.ask(path, (200, 400))[1])
    for words in (("status",), ("transfers",), ("transfers", "--partner", "PARTNER1", "--state", "failed"),
                  ("transfers", "--state", "cancelled", "--direction", "fetch", "--before", str(newest // 2))):
        found["pesitctl " + " ".join(words)] = steady_ms(lambda words=words: control_ms(node, words), control_ms(node, words))
    return found


def control_ms(node, words):
    start = time.perf_counter()
    node.control(*words)
    return (time.perf_counter() - start) * 1000


def check_counts(api, counted):
    """The kept sums are those of the rows. counted: rows of COUNTED."""
    answer = json.loads(Asker(api).ask("/api/v1/transfers/stats")[0])
    total = {state: sum(int(row[2]) for row in counted if int(row[1]) == state) for state in (4, 5, 6)}
    assert [answer[name] for name in ("completedTransfers", "failedTransfers", "cancelledTransfers")] == [
        total[state] for state in (4, 5, 6)], (answer, total)
    assert answer["totalBytesTransferred"] == sum(int(row[3]) for row in counted if int(row[1]) == 4)


def main():
    if sys.argv[1:2] == ["sqlite"]:
        fill_sqlite(sys.argv[2], int(sys.argv[3]))
    elif sys.argv[1:2] == ["postgres"]:
        fill_postgres(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
