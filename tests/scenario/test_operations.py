# SPDX-License-Identifier: Apache-2.0
"""What docs/operations.md tells operators to do: backup and restore, draining a partner, alarms on events."""
import json
import pathlib
import re
import shutil
import sqlite3
import time

import pytest
from node import Bare
from waiting import eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
BANK = '''listeners = ( { address = "127.0.0.1"; port = %d; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; files = ( { pattern = "in/*"; mode = "receive"; } ); } );'''
COMPANY = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d; enabled = %s;
  retry_delays_s = [ 300 ]; files = ( { pattern = "out/*"; mode = "send"; } ); } );'''

SQLITE = 'store: { backend = "sqlite"; path = "store.db"; };'


@pytest.fixture
def pair(tmp_path):
    bank = Bare(tmp_path / "bank", "BANK1", BANK % 0, SQLITE).start()
    company = Bare(tmp_path / "company", "COMPANY", COMPANY % (bank.port, "true"), SQLITE).start()
    yield bank, company
    company.stop()
    bank.stop()


def configure(company, bank, enabled):
    company.configure("COMPANY", COMPANY % (bank.port, enabled))


def test_a_restored_backup_sends_nothing_before_somebody_has_looked(pair, tmp_path):
    bank, company = pair
    source = tmp_path / "virement.xml"
    source.write_bytes(b"<pain/>")
    bank.stop()
    number = company.control("send", "BANK1", source, "out/once", "--no-wait")["id"]
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(company.folder / "store.db", timeout=0).execute("SELECT count(*) FROM transfer_history")
    company.stop()
    shutil.copytree(company.folder, tmp_path / "backup")
    with sqlite3.connect(tmp_path / "backup/store.db") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    bank.configure("BANK1", BANK % bank.port)
    bank.start()
    company.start()
    company.control("retry", number, check=False)
    assert company.control("wait", number)["state"] == "done" and bank.received("in/once") == b"<pain/>"
    company.stop()
    shutil.rmtree(company.folder)
    shutil.copytree(tmp_path / "backup", company.folder)
    configure(company, bank, "false")
    company.start()
    waiting = company.control("transfers", "--state", "queued", "--state", "waiting")
    assert [row["id"] for row in waiting] == [number] and len(bank.control("transfers")) == 1
    assert company.control("cancel", number)["state"] == "cancelled"
    configure(company, bank, "true")
    company.control("reload")
    assert company.control("send", "BANK1", source, "out/next")["state"] == "done"
    assert [row["path"] for row in bank.control("transfers")] == ["in/next", "in/once"]


def test_a_drained_partner_is_quiet_and_its_queue_waits(pair, tmp_path):
    bank, company = pair
    (tmp_path / "a").write_bytes(b"a")
    assert company.control("send", "BANK1", tmp_path / "a", "out/a")["state"] == "done"
    configure(company, bank, "false")
    company.control("reload")
    refused = company.control("send", "BANK1", tmp_path / "a", "out/b", check=False)
    assert refused.returncode == 4 and b"disabled" in refused.stderr
    assert company.control("transfers", "--partner", "BANK1", "--state", "running") == []


def test_how_we_are_is_told_at_once_with_a_hundred_thousand_that_wait(pair, tmp_path):
    bank, company = pair
    (tmp_path / "one").write_bytes(b"x")
    bank.stop()
    company.control("send", "BANK1", tmp_path / "one", "out/one", "--no-wait")

    def seconds():
        times = []
        for _ in range(5):
            began = time.monotonic()
            status = company.control("status")
            times.append(time.monotonic() - began)
        return sorted(times)[2], status["queued"] + status["running"] + status["waiting"]

    alone, count = seconds()
    assert count == 1
    company.stop()
    with sqlite3.connect(company.folder / "store.db") as store:
        columns = [row[1] for row in store.execute("PRAGMA table_info(transfer_history)")]
        values = [{"id": "id + n", "path": "path || n", "spool_name": "NULL"}.get(name, name) for name in columns]
        store.execute("WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000) INSERT INTO transfer_history (%s) "
                      "SELECT %s FROM transfer_history, numbers" % (", ".join(columns), ", ".join(values)))
    store.close()
    configure(company, bank, "false")
    company.start()
    eventually(lambda: company.control("status", check=False).returncode == 0, 120)  # each of them was looked at first
    times = []
    eventually(lambda: times.append(seconds()) or times[-1][0] < 5 * alone + 0.1, 60, lambda: str((alone, times)))
    assert times[-1][1] == 100001


def test_events_to_alarm_on_exist_with_their_level(pair):
    _, company = pair
    before = len(company.log())
    company.config.write_text(company.config.read_text(encoding="utf-8").replace('"info";', '"info"; format = "json";'), encoding="utf-8")
    company.control("reload")
    lines = [json.loads(line) for line in company.log()[before:].splitlines() if line.startswith("{")]
    assert "config-loaded" in [line["event"] for line in lines] and all({"time", "level", "message"} <= set(line) for line in lines)
    known = dict(re.findall(r'\{ "([a-z-]+)", +LOG_LEVEL_([A-Z]+)', (ROOT / "base/log.c").read_text(encoding="utf-8")))
    document = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| ((?:error|warning|notice)(?:, [a-z]+)*) \|", document, re.M)
    named = [(name, level) for names, levels in rows
             for name, level in zip(re.findall(r"`([a-z-]+)`", names), (levels.split(", ") * 2))]
    assert len(named) > 12 and [(name, level) for name, level in named if known.get(name) != level.upper()] == []


def test_the_night_table_is_what_the_queue_does():
    night = (ROOT / "docs/operations.md").read_text(encoding="utf-8").split("## At night")[1].split("## Reading")[0]
    known = set(re.findall(r"^ +\{ (\d+), ", (ROOT / "protocol/diagnostic.c").read_text(encoding="utf-8"), re.M))
    listed = re.search(r"REFUSED_FOR_GOOD\[\] = \{(.*?)\}", (ROOT / "daemon/transfer/job.c").read_text(encoding="utf-8"), re.S)[1]
    for_good, told = set(re.findall(r"\d+", listed)), set()
    for row in re.findall(r"^\| `\d-.*$", night, re.M):
        codes = set(re.findall(r"`\d-(\d{3})`", row))
        told |= codes
        assert codes <= known and (not codes & for_good if "it is tried again" in row else codes <= for_good), row
    assert for_good <= told and len(told - for_good) > 10
    causes = re.findall(r'\[BASE_ERROR_[A-Z_]+\] = "([a-z-]+)"', (ROOT / "base/error.c").read_text(encoding="utf-8"))
    named = [name for row in re.findall(r"^\| cause (.*?) \|", night, re.M) for name in re.findall(r"`([a-z-]+)`", row)]
    assert len(named) > 5 and set(named) <= set(causes)
