# SPDX-License-Identifier: Apache-2.0
"""What a changed configuration does to a pesitd that runs: what waited starts by itself, and nothing that runs is touched."""
import datetime

import pytest
from node import Bare
from waiting import eventually, logged

BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "in/*"; mode = "receive"; } ); } );'''
COMPANY = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  retry_delays_s = [ 3600 ]; %s files = ( { pattern = "out/*"; mode = "send"; } ); } );'''
NOBODY = 1  # a port where nobody listens


@pytest.fixture
def bank(tmp_path):
    node = Bare(tmp_path / "bank", "BANK1", BANK).start()
    yield node
    node.stop()


@pytest.fixture
def company(tmp_path):
    """It cannot reach its bank, and has a transfer that waits an hour for the next attempt."""
    node = Bare(tmp_path / "company", "COMPANY", COMPANY % (NOBODY, "")).start()
    send(node, tmp_path)
    eventually(lambda: newest(node)["state"] == "waiting", told=node.log)
    yield node
    node.stop()


def send(node, tmp_path, name="out/a"):
    source = tmp_path / "source"
    source.write_bytes(b"payment")
    node.control("send", "BANK1", source, name, "--no-wait")


def newest(node):
    return node.control("transfers", "--limit", 1)[0]


def ended(node):
    """The newest transfer, once it is done or failed."""
    return eventually(lambda: newest(node)["state"] in ("done", "failed") and newest(node), told=node.log)


def test_the_right_port_is_tried_at_once(bank, company):
    company.configure("COMPANY", COMPANY % (bank.port, ""))
    transfer = ended(company)
    assert (transfer["state"], transfer["error"], transfer["next_retry_us"]) == ("done", "", 0)
    assert bank.received("in/a") == b"payment"


def test_nothing_that_matters_changed(tmp_path, bank, company):
    company.configure("COMPANY", "limits: { connections = 9; };\n" + COMPANY % (NOBODY, ""))
    logged(company, "configuration loaded")
    company.configure("COMPANY", COMPANY.replace("BANK1", "BANK2") % (bank.port, "") + "\n")
    assert ended(company)["attempts"] == 1  # the first change woke nothing


def test_a_disabled_partner_is_waited_for(bank, company):
    company.configure("COMPANY", COMPANY % (bank.port, "enabled = false;"))
    held = eventually(lambda: newest(company)["state"] == "queued" and newest(company), told=company.log)
    assert held["error"] == "partner 'BANK1' is disabled"
    company.stop()
    company.start()
    assert newest(company)["error"] == "partner 'BANK1' is disabled"
    assert company.log().count("transfer waits for its partner") == 1
    company.configure("COMPANY", COMPANY % (bank.port, ""))
    transfer = ended(company)
    assert (transfer["state"], transfer["error"]) == ("done", "")


def test_a_partner_that_is_gone(company):
    company.configure("COMPANY", COMPANY.replace("BANK1", "BANK2") % (NOBODY, ""))
    transfer = ended(company)
    assert (transfer["state"], transfer["error"]) == ("failed", "partner 'BANK1' is not configured any more")


def test_a_path_that_is_gone(company):
    company.configure("COMPANY", (COMPANY % (NOBODY, "")).replace("out/*", "sortie/*"))
    assert ended(company)["error"] == "partner 'BANK1' has no virtual file for this path any more"


def hours_that_open_in(seconds):
    """Hours of the day that begin in so many seconds, in a time zone made for it."""
    now = datetime.datetime.now(datetime.timezone.utc)
    from_noon = datetime.datetime.combine(now.date(), datetime.time(12, 0), datetime.timezone.utc) - now
    ahead = int(from_noon.total_seconds()) - seconds
    sign, ahead = ("-", -ahead) if ahead < 0 else ("+", ahead)
    return 'active_hours = "12:00-20:00"; time_zone = "%s%02d:%02d:%02d";' % (sign, ahead // 3600, ahead // 60 % 60, ahead % 60)


def test_hours_begin(tmp_path, bank, company):
    company.configure("COMPANY", COMPANY % (bank.port, hours_that_open_in(4)))
    held = eventually(lambda: newest(company)["state"] == "queued" and newest(company), told=company.log)
    assert held["error"] == "partner 'BANK1' is called from 12:00-20:00 only"
    assert held["next_retry_us"] > held["updated_us"]
    send(company, tmp_path, "out/b")
    assert newest(company)["state"] == "queued"
    transfer = ended(company)
    assert (transfer["state"], transfer["error"]) == ("done", "")
    eventually(lambda: bank.inbox() == ["COMPANY/in/a", "COMPANY/in/b"])


def test_hours_end_for_an_open_connection(tmp_path, bank, company):
    company.configure("COMPANY", COMPANY % (bank.port, "idle_s = 600;"))
    assert ended(company)["state"] == "done"
    company.configure("COMPANY", COMPANY % (bank.port, "idle_s = 600; " + hours_that_open_in(3600)))
    logged(company, "configuration loaded", 2)
    send(company, tmp_path, "out/b")
    eventually(lambda: newest(company)["error"] == "partner 'BANK1' is called from 12:00-20:00 only", told=company.log)
    eventually(lambda: company.control("status")["connections"] == 0)  # opened under other settings
