# SPDX-License-Identifier: Apache-2.0
"""Two pesitd on loopback, ordered by pesitctl: what is sent arrives, what is offered is fetched, errors are told."""
import random

import pytest
from node import Bare

BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "in/*"; mode = "receive"; }, { pattern = "dispo/*"; mode = "offer"; } ); } );'''
COMPANY = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  retry_delays_s = [ 1 ]; retry_attempts = %d;
  files = ( { pattern = "out/*"; mode = "send"; }, { pattern = "wrong/*"; mode = "send"; file_type = 9; },
            { pattern = "releves/*"; mode = "fetch"; file_name = "{name}"; } ); } );'''
FILE = random.Random(3).randbytes(3_000_000)


@pytest.fixture
def bank(tmp_path):
    node = Bare(tmp_path / "bank", "BANK1", BANK).start()
    yield node
    node.stop()


@pytest.fixture
def company(tmp_path, bank):
    node = Bare(tmp_path / "company", "COMPANY", COMPANY % (bank.port, 1000)).start()
    yield node
    node.stop()


def write(tmp_path, data=FILE):
    path = tmp_path / "virement.xml"
    path.write_bytes(data)
    return path


def test_send_arrives(tmp_path, bank, company):
    transfer = company.control("send", "BANK1", write(tmp_path))
    assert (transfer["state"], transfer["size_bytes"], transfer["attempts"]) == ("done", len(FILE), 1)
    assert bank.received("in/virement.xml") == FILE
    there = bank.control("transfers")[0]
    assert (there["direction"], there["state"], there["path"]) == ("receive", "done", "in/virement.xml")
    assert company.control("status")["running"] == 0


def test_many_sends_keep_their_order_and_number(tmp_path, bank, company):
    for i in range(30):
        company.control("send", "BANK1", write(tmp_path, b"%d" % i), "out/f%02d" % i, "--no-wait")
    last = company.control("transfers", "--limit", 1)[0]["id"]
    company.control("wait", last)
    for transfer in company.control("transfers", "--limit", 100):
        company.control("wait", transfer["id"])
    assert bank.inbox() == ["COMPANY/in/f%02d" % i for i in range(30)]
    assert all(bank.received("in/f%02d" % i) == b"%d" % i for i in range(30))


def test_refusal_is_told(tmp_path, bank, company):
    done = company.control("send", "BANK1", write(tmp_path), "wrong/a", check=False)
    assert done.returncode == 3, done.stderr
    transfer = company.control("transfers")[0]
    assert (transfer["state"], transfer["diag"], transfer["attempts"]) == ("failed", "2-226", 1)
    assert bank.inbox() == []


@pytest.mark.parametrize("path, code", [("nowhere/a", 4), ("out/" + "n" * 100, 4)])
def test_undeclared_names_are_refused_at_once(tmp_path, company, path, code):
    done = company.control("send", "BANK1", write(tmp_path), path, check=False)
    assert done.returncode == code, done.stderr
    assert company.control("transfers") == []


def test_offered_and_fetched(tmp_path, bank, company):
    bank.control("send", "COMPANY", write(tmp_path), "dispo/RELEVE")
    target = tmp_path / "fetched"
    company.control("fetch", "BANK1", "releves/RELEVE", "-o", target)
    assert target.read_bytes() == FILE
    assert company.control("fetch", "BANK1", "releves/NOTHING", check=False).returncode == 3
    assert bank.control("transfers", "--direction", "offer")[0]["state"] == "done"


def test_waits_for_a_partner_that_is_down(tmp_path, bank, company):
    bank.stop()
    company.control("send", "BANK1", write(tmp_path), "--no-wait")
    number = company.control("transfers")[0]["id"]
    port = bank.port
    bank.configure("BANK1", BANK.replace("port = 0", "port = %d" % port))
    bank.start()
    assert company.control("wait", number)["state"] == "done"
    assert bank.inbox() == ["COMPANY/in/virement.xml"]


def test_killed_sender_goes_on(tmp_path, bank, company):
    bank.stop()
    for i in range(5):
        company.control("send", "BANK1", write(tmp_path, FILE[i:]), "out/f%d" % i, "--no-wait")
    company.kill()
    bank.configure("BANK1", BANK.replace("port = 0", "port = %d" % bank.port))
    bank.start()
    company.start()
    for transfer in company.control("transfers"):
        assert company.control("wait", transfer["id"])["state"] == "done"
    assert all(bank.received("in/f%d" % i) == FILE[i:] for i in range(5))


def test_cancel_and_retry(tmp_path, bank, company):
    bank.stop()
    company.control("send", "BANK1", write(tmp_path), "--no-wait")
    number = company.control("transfers")[0]["id"]
    company.control("cancel", number)
    assert company.control("wait", number, check=False).returncode == 7
    bank.configure("BANK1", BANK.replace("port = 0", "port = %d" % bank.port))
    bank.start()
    company.control("retry", number)
    assert company.control("wait", number)["state"] == "done"
    assert bank.received("in/virement.xml") == FILE


def test_a_changed_configuration_is_applied(tmp_path, bank, company):
    company.configure("COMPANY", COMPANY.replace('"out/*"', '"sortie/*"') % (bank.port, 1000))
    deadline = 100
    while "configuration loaded" not in company.log().lower() and deadline:
        company.control("status")
        deadline -= 1
    assert company.control("send", "BANK1", write(tmp_path), "sortie/a")["state"] == "done"
    company.config.write_text("nonsense", encoding="utf-8")
    assert company.control("reload", check=False).returncode == 4
    assert company.control("send", "BANK1", write(tmp_path), "sortie/b")["state"] == "done"
