# SPDX-License-Identifier: Apache-2.0
"""Partners and virtual files in the store count without a restart, also when somebody else on the schema writes them."""
import threading
import time

import pytest
from node import Bare
from postgres import Postgres

BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "OTHER"; identifier = "OTHER"; } );'''
COMPANY = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  files = ( { pattern = "out/*"; mode = "send"; } ); } );'''
PARTNER = """INSERT INTO cluster_bank.partners VALUES
  ('%s', 'identifier = "COMPANY"; password_received = "secret";', 1, 0, 0)"""
FILE = """INSERT INTO cluster_bank.virtual_files VALUES ('COMPANY', 'in/*', 'mode = "receive";', 1, 0, 0)"""


@pytest.fixture
def server():
    started = Postgres()
    yield started
    started.remove()


@pytest.fixture
def bank(tmp_path, server):
    node = Bare(tmp_path / "bank", "BANK1", BANK, server.store("cluster_bank")).start()
    yield node
    node.stop()


@pytest.fixture
def company(tmp_path, bank):
    node = Bare(tmp_path / "company", "COMPANY", COMPANY % bank.port).start()
    yield node
    node.stop()


@pytest.fixture
def start(tmp_path, server):
    """Starts a company with its store in PostgreSQL, and ends it however the test ends."""
    started = []

    def start_company(text):
        started.append(Bare(tmp_path / "company", "COMPANY", text, server.store("cluster_company")).start())
        return started[-1]
    yield start_company
    for node in started:
        node.stop()


def wait_for(node, text, count=1):
    pause, deadline = threading.Event(), time.monotonic() + 20
    while node.log().count(text) < count:
        assert time.monotonic() < deadline, node.log()
        pause.wait(0.02)


def test_a_new_partner_sends(tmp_path, server, bank, company):
    source = tmp_path / "virement.xml"
    source.write_bytes(b"payment")
    server.execute(PARTNER % "COMPANY")
    server.execute(FILE)
    wait_for(bank, "configuration loaded", 2)
    assert company.control("send", "BANK1", source)["state"] == "done"
    assert bank.received("in/virement.xml") == b"payment"
    bank.stop()
    bank.start()  # it is there at the next start too
    assert bank.control("status")["state"] == "running"


def test_what_does_not_fit_is_told(server, bank):
    server.execute(PARTNER % "OTHER")
    wait_for(bank, "two partners have the name 'OTHER'")
    assert bank.control("status")["state"] == "running"
    server.execute("DELETE FROM cluster_bank.partners")
    wait_for(bank, "configuration loaded")


BANK_IN_STORE = """INSERT INTO cluster_company.partners VALUES ('BANK2',
  'identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = 1; enabled = true;', 1, 0, 0)"""
OUT_IN_STORE = """INSERT INTO cluster_company.virtual_files VALUES ('BANK2', 'out/*', 'mode = "send";', 1, 0, 0)"""
CHANGE = "UPDATE cluster_company.partners SET version = version + 1, settings = replace(settings, '%s', '%s')"


def test_the_queue_follows(tmp_path, server, bank, start):
    """What waits for a partner of the store says that it is disabled there, starts when it is enabled, fails when it is gone."""
    server.execute(PARTNER % "COMPANY")
    server.execute(FILE)
    company = start("")
    server.execute(BANK_IN_STORE)
    server.execute(OUT_IN_STORE)
    wait_for(company, "configuration loaded", 2)
    source = tmp_path / "source"
    source.write_bytes(b"payment")
    company.control("send", "BANK2", source, "out/a", "--no-wait")
    wait_for(company, "transfer waits for a retry")
    server.execute(CHANGE % ("true", "false"))
    wait_for(company, "partner 'BANK2' is disabled")
    server.execute(CHANGE % ("port = 1; enabled = false", "port = %d" % bank.port))
    wait_for(company, "transfer done")
    assert bank.inbox() == ["COMPANY/in/a"]
    bank.stop()
    company.control("send", "BANK2", source, "out/b", "--no-wait")
    wait_for(company, "transfer waits for a retry", 2)
    server.execute("DELETE FROM cluster_company.virtual_files; DELETE FROM cluster_company.partners")
    wait_for(company, "partner 'BANK2' is not configured any more")


def test_one_that_does_not_fit_keeps_nobody_from_working(tmp_path, server, bank, start):
    """As after an upgrade to a version that checks more: the start goes on without it, and what is to be sent waits."""
    server.execute(PARTNER % "COMPANY")
    server.execute(FILE)
    company = start(COMPANY % bank.port)
    server.execute(BANK_IN_STORE.replace('"BANK1"', '"BANK2"'))
    server.execute(OUT_IN_STORE)
    wait_for(company, "configuration loaded", 2)
    source = tmp_path / "source"
    source.write_bytes(b"payment")
    number = company.control("send", "BANK2", source, "out/a", "--no-wait")["id"]
    wait_for(company, "transfer waits for a retry")
    company.stop()
    server.execute(CHANGE % ("port = 1;", "port = 0;"))
    server.execute(OUT_IN_STORE.replace("out/*", "bad/*").replace('"send"', '"sent"'))
    server.execute("INSERT INTO cluster_company.partners VALUES ('BANK1', 'identifier = \"BANK3\";', 1, 0, 0)")  # the file's name
    server.execute("INSERT INTO cluster_company.pesitwizard_server_configs VALUES ('door', 'port = 70000;', 1, 0, 0)")
    server.execute(OUT_IN_STORE.replace("BANK2", "BANK1").replace("out/*", "more/*"))
    server.execute("INSERT INTO cluster_company.partners VALUES ('BANK5', 'identifier = \"BANK5\"; password_sent = \"file:%s\";', 1, 0, 0)"
                   % (tmp_path / "later"))
    company.start()
    for name in ("partner 'BANK2'", "partner 'BANK1'", "virtual file 'bad/*' of 'BANK2'", "listener 'door'"):
        wait_for(company, 'not in force: REASON="store, %s' % name)
    there = {row["id"]: (row["enabled"], row["source"], row["fault"]) for row in company.control("partner", "list")}
    assert there["BANK1"][0] and not there["BANK2"][0] and "'port' is 0" in there["BANK2"][2], there
    assert company.control("send", "BANK1", source, "out/b")["state"] == "done"
    assert company.control("show", number)["state"] in ("queued", "waiting")
    # what fits comes into force beside them, and what fits again by a reload
    server.execute("INSERT INTO cluster_company.partners VALUES ('BANK4', 'identifier = \"BANK4\";', 1, 0, 0)")
    wait_for(company, "configuration loaded", 3)
    assert [row["id"] for row in company.control("partner", "list")] == ["BANK1", "BANK2", "BANK4", "BANK5"]
    assert "no such file" in company.control("partner", "list")[3]["fault"].lower()
    (tmp_path / "later").write_text("secret", encoding="ascii")
    company.control("reload")
    assert [row["fault"] is None for row in company.control("partner", "list")] == [False, False, True, True]
    company.control("api", "PUT", "/api/v1/config/partners/BANK2", '{"port": %d, "identifier": "BANK2", "enabled": false}' % bank.port)
    assert company.control("partner", "list")[1]["fault"] is None
    company.stop()
    company.start()
    assert company.log().count("store, partner 'BANK2'") == 1 and company.control("show", number)["state"] in ("queued", "waiting")
    assert company.control("api", "GET", "/api/servers/door/status")["status"] == "ERROR"
    for path in ("/api/v1/config/files/BANK2%2Fbad%2F*", "/api/servers/door", "/api/v1/config/partners/BANK1"):
        company.control("api", "DELETE", path)
    assert [(row["partnerId"], row["pattern"], row["fault"]) for row in company.control("file", "list")] == [
        ("BANK1", "out/*", None), ("BANK1", "more/*", None), ("BANK2", "out/*", None)]
    assert company.control("partner", "list")[0]["source"] == "file" and company.control("status")["listeners"] == []
