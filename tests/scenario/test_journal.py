# SPDX-License-Identifier: Apache-2.0
"""The log as a service manager's journal has it: an event and its fields, not a line to be taken apart."""
import re
import subprocess

import pytest
from journal import Journal, Journaled
from node import BUILD, Node

COMPANY = '''%s partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "canary-x"; address = "127.0.0.1"; port = %d;
  retry_delays_s = [ 3600 ]; files = ( { pattern = "out/*"; mode = "send"; }, { pattern = "offer/*"; mode = "offer"; } ); } );'''
PRIORITIES = {"error": "3", "warning": "4", "notice": "5", "info": "6", "debug": "7"}
DEBUG = 'log: { level = "debug"; };'


@pytest.fixture(scope="module")
def journal():
    started = Journal()
    yield started
    started.stop()


@pytest.fixture
def bank(tmp_path):
    node = Node(tmp_path / "bank", files='{ pattern = "in/*"; mode = "receive"; }').start()
    node.config.write_text(node.config.read_text(encoding="utf-8").replace('"secret"', '"canary-x"'), encoding="utf-8")
    node.control("reload")
    yield node
    node.stop()


def events():
    """By name: level, MESSAGE_ID and message, as pesitd tells them."""
    told = subprocess.run([BUILD / "daemon/pesitd", "--list-events"], check=True, capture_output=True, text=True).stdout
    return {name: rest for name, *rest in (line.split("\t") for line in told.splitlines())}


def test_every_entry_has_its_event_and_each_of_a_transfer_its_number(journal, bank, tmp_path):
    known = events()
    assert len({row[1] for row in known.values()}) == len(known) > 40 and all(re.fullmatch("[0-9a-f]{32}", row[1]) for row in known.values())
    company = Journaled(journal, tmp_path / "company", "COMPANY", COMPANY % ("", bank.port))
    text = company.config.read_text(encoding="utf-8")
    company.config.write_text(text.replace('log: { level = "info"; };', DEBUG), encoding="utf-8")
    company.start()
    (tmp_path / "f").write_bytes(b"x" * 100_000)
    sent = company.control("send", "BANK1", tmp_path / "f", 'out/odd "name"')["id"]
    offer = company.control("send", "BANK1", tmp_path / "f", "offer/x")["id"]
    company.control("cancel", offer)
    bank.stop()
    failed = company.control("send", "BANK1", tmp_path / "f", "out/later", "--no-wait")["id"]
    company.control("cancel", failed)
    company.stop()
    bank.start()
    entries = journal.read("_PID=%d" % company.process.pid)
    for entry in entries:
        level, message_id, message = known[entry["PESIT_EVENT"]]
        assert (entry["PRIORITY"], entry["MESSAGE_ID"], entry["SYSLOG_IDENTIFIER"]) == (PRIORITIES[level], message_id, "pesitd"), entry
        assert entry["MESSAGE"].startswith(message + ":") and entry["_TRANSPORT"] == "journal", entry
        assert "PESIT_TRANSFER" in entry or not entry["PESIT_EVENT"].startswith("transfer-"), entry
        assert "canary-x" not in str(entry)
    of_one = journal.read("_PID=%d" % company.process.pid, "PESIT_TRANSFER=%d" % sent)
    names = [entry["PESIT_EVENT"] for entry in of_one if entry["PESIT_EVENT"] != "fpdu"]
    assert names == ["transfer-queued", "transfer-started", "transfer-done"], names
    assert {entry["PESIT_PATH"] for entry in of_one if "PESIT_PATH" in entry} == {'out/odd \\"name\\"'}
    told = [entry["PESIT_FPDU"].split()[0] for entry in of_one if entry["PESIT_EVENT"] == "fpdu"]
    assert told[0] == "CREATE" and "ACK(TRANS.END)" in told, told
    assert [entry["PESIT_EVENT"] for entry in journal.read("PESIT_TRANSFER=%d" % offer)] == ["transfer-queued", "transfer-cancelled"]
    assert {"started", "stopped", "config-loaded", "connection-opened"} - {entry["PESIT_EVENT"] for entry in entries} <= {"config-loaded"}


def test_who_is_refused_has_nothing_to_release(journal, bank, tmp_path):
    """The end of a connection names the transfer that it was for, and is no fault of ours."""
    company = Journaled(journal, tmp_path / "company", "COMPANY", (COMPANY % ("", bank.port)).replace("canary-x", "wrong"))
    company.start()
    (tmp_path / "f").write_bytes(b"x")
    sent = company.control("send", "BANK1", tmp_path / "f", "out/f", check=False)
    assert sent.returncode == 3
    company.stop()
    entries = journal.read("_PID=%d" % company.process.pid)
    names = [entry["PESIT_EVENT"] for entry in entries if entry.get("PESIT_TRANSFER") == "1"]
    assert names == ["transfer-queued", "transfer-started", "connection-failed", "transfer-failed"], names
    assert "internal" not in {entry["PESIT_EVENT"] for entry in entries}


def test_lines_of_json_stay_lines(journal, tmp_path):
    """For a collector that reads standard error."""
    node = Journaled(journal, tmp_path / "n", "N", "")
    node.config.write_text(node.config.read_text(encoding="utf-8").replace('level = "info";', 'level = "info"; format = "json";'), encoding="utf-8")
    node.start()
    node.stop()
    entries = journal.read("_PID=%d" % node.process.pid)
    assert entries and all(entry["MESSAGE"].startswith('{"time":"') and entry["_TRANSPORT"] == "stdout" for entry in entries)
