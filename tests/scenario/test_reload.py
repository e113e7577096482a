# SPDX-License-Identifier: Apache-2.0
"""What a changed configuration does to a pesitd that runs: what waited starts by itself, and nothing that runs is touched."""
import datetime
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest
from node import Bare, Node
from peer import Requester
from ports import free_port
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
    before = os.times()
    assert company.control("wait", newest(company)["id"], "--wait", 2, check=False).returncode == 2
    after = os.times()
    assert after.elapsed - before.elapsed > 1.5
    assert after.children_user + after.children_system - before.children_user - before.children_system < 1


# listeners and keys

LISTENER = '{ address = "%s"; port = %d; %s }'
CONTENT = bytes(range(256)) * 512


def listen(node, *listeners, extra="", name="BANK1"):
    """Changes the addresses of a node, each (address, port[, tls])."""
    loaded = node.log().count("configuration loaded") + node.log().count("configuration refused")
    texts = [LISTENER % (*one, *("",) * (3 - len(one))) for one in listeners]
    node.configure(name, BANK.replace('{ address = "127.0.0.1"; port = 0; }', ", ".join(texts)) + extra)
    eventually(lambda: node.log().count("configuration loaded") + node.log().count("configuration refused") > loaded, told=node.log)


@pytest.fixture
def running(bank):
    """An open connection of a partner; it must be as good at the end."""
    requester = Requester(bank.port)
    assert requester.connect().name == "ACONNECT"
    assert requester.create("running").diag == "0/000"
    assert requester.ask("ORF").diag == "0/000"
    assert requester.ask("WRITE").diag == "0/000"
    yield requester
    requester.data(CONTENT)
    assert requester.finish(CONTENT).diag == "0/000"
    requester.leave()
    assert requester.write("after", CONTENT, transfer=2) == "0/000"
    assert bank.received("in/running") == bank.received("in/after") == CONTENT
    requester.close()


def answers(port, tls=None):
    """Whether a partner gets in there."""
    try:
        requester = Requester(port, tls=tls)
    except ConnectionRefusedError:
        return False
    answer = requester.connect().name
    requester.close()
    return answer == "ACONNECT"


def test_an_address_comes_and_one_goes(bank, running):
    second = free_port()
    listen(bank, ("127.0.0.1", bank.port), ("127.0.0.1", second))
    assert answers(bank.port) and answers(second)
    assert [one["port"] for one in bank.control("status")["listeners"]] == [bank.port, second]
    listen(bank, ("127.0.0.1", second))
    assert answers(second) and not answers(bank.port)
    assert "no longer listening: ADDRESS=127.0.0.1 PORT=%d" % bank.port in bank.log()
    listen(bank)
    assert not answers(second)
    assert bank.control("status")["listeners"] == []


def test_a_free_port_stays_the_same(bank, running):
    listen(bank, ("127.0.0.1", 0), extra="limits: { connections = 7; };")
    assert answers(bank.port)
    assert bank.log().count(" listening: ADDRESS") == 1


def test_an_address_that_overlaps(bank, running):
    listen(bank, ("127.0.0.1", bank.port))
    listen(bank, ("0.0.0.0", bank.port))
    assert answers(bank.port)
    assert bank.control("status")["listeners"][0]["address"] == "0.0.0.0"


def test_an_address_that_is_taken(bank, running):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        listen(bank, ("127.0.0.1", free_port()), ("127.0.0.1", taken))
        line = logged(bank, "configuration refused")
        assert "listen on '127.0.0.1' port %d: Address already in use" % taken in line
    assert [one["port"] for one in bank.control("status")["listeners"]] == [bank.port]
    assert answers(bank.port)


def test_an_address_that_made_way_in_vain(bank, running):
    """It comes back when what should replace it cannot be had."""
    port = bank.port
    listen(bank, ("127.0.0.1", port))
    with socket.create_server(("127.0.0.2", port)):
        listen(bank, ("0.0.0.0", port))
        logged(bank, "configuration refused")
    assert [(one["address"], one["port"]) for one in bank.control("status")["listeners"]] == [("127.0.0.1", port)]
    assert answers(port)


def test_what_needs_a_restart(bank, running):
    text = bank.config.read_text()
    bank.config.write_text(text.replace('"spool"', '"elsewhere"').replace('"store.db"', '"other.db"')
                           + 'limits: { spool_reserve_mb = 1; connections = 9; };')
    line = logged(bank, "needs a restart")
    assert 'KEYS="paths.spool, store.path, limits.spool_reserve_mb"' in line
    status = bank.control("status")
    assert status["needs_restart"] == "paths.spool, store.path, limits.spool_reserve_mb"
    assert answers(bank.port)
    assert not (bank.folder / "elsewhere").exists()
    bank.config.write_text(text)
    eventually(lambda: bank.control("status")["needs_restart"] == "")


def test_a_node_gets_its_name_and_another_one(bank, running, tmp_path):
    """After an installation there is none; partners without local_identifier need it."""
    empty = Bare(tmp_path / "empty", "NONE", "")
    named = empty.config.read_text()
    empty.config.write_text(named.replace('node = "NONE";', ""))
    empty.start()
    for name in ("COMPANY", "OTHER"):
        empty.config.write_text(named.replace("NONE", name) + COMPANY % (bank.port, ""))
        eventually(lambda name=name: empty.control("status")["node"] == name, told=empty.log)
        send(empty, tmp_path, "out/" + name)
        assert ended(empty)["state"] == ("done" if name == "COMPANY" else "failed")  # OTHER is nobody there
    assert empty.control("status")["needs_restart"] == ""
    empty.stop()


def test_a_wrong_file_changes_nothing(bank, running):
    text = bank.config.read_text()
    bank.config.write_text(text + "\nlimits: { connection = 9; };\n")
    number = text.count("\n") + 2
    line = logged(bank, "configuration refused, the old one stays")
    assert "pesitd.conf:%d: unknown key 'limits.connection', did you mean 'limits.connections'?" % number in line
    bank.process.send_signal(signal.SIGHUP)
    logged(bank, "configuration refused, the old one stays", 2)
    done = bank.control("reload", check=False)
    assert done.returncode == 4 and b"pesitd.conf:%d:" % number in done.stderr
    assert answers(bank.port)
    assert bank.control("status")["state"] == "running"
    bank.config.write_text(text)
    bank.process.send_signal(signal.SIGHUP)
    logged(bank, "configuration loaded")


# certificates and passwords


def make_certificate(folder, name):
    folder.mkdir(exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=" + name,
                    "-keyout", folder / "tls.key", "-out", folder / "tls.crt"], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Two pairs: of the names old and new."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("old", "new"):
        make_certificate(folder / name, name)
    return folder


def copy(certificates, name, folder):
    """As a renewal does: whole files, then renamed over the old ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("tls.key", "tls.crt"):
        fresh = folder / (file + ".new")
        fresh.write_bytes((certificates / name / file).read_bytes())
        fresh.rename(folder / file)


def shown(port):
    """The name of the certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain) as connection:
            return b"old" if b"\x03old" in connection.getpeercert(True) else b"new"


def trusting():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def secure(tmp_path, path):
    return Node(tmp_path / "bank", tls='tls: { certificate = "%s/tls.crt"; key = "%s/tls.key"; };' % (path, path)).start()


def swap(link, target):
    """A link that leads elsewhere from one moment to the next."""
    fresh = link.with_name(link.name + "_tmp")
    fresh.symlink_to(target)
    fresh.rename(link)


def as_secret(tmp_path, certificates, name):
    """A folder as Kubernetes mounts a Secret: files are links over ..data into a folder of this version."""
    folder = tmp_path / "secret"
    copy(certificates, name, folder / (".." + name))
    swap(folder / "..data", ".." + name)
    for file in ("tls.key", "tls.crt"):
        if not (folder / file).is_symlink():
            (folder / file).symlink_to("..data/" + file)


def as_release(tmp_path, certificates, name):
    """A folder behind a link: current leads to the newest."""
    copy(certificates, name, tmp_path / "releases" / name)
    swap(tmp_path / "current", "releases/" + name)


def as_files(tmp_path, certificates, name):
    copy(certificates, name, tmp_path / "files")


def as_folder(tmp_path, certificates, name):
    """A folder that takes the place of another."""
    copy(certificates, name, tmp_path / "fresh" / "pair")
    if (tmp_path / "folder").exists():
        (tmp_path / "folder").rename(tmp_path / ("before-" + name))
    (tmp_path / "fresh").rename(tmp_path / "folder")


@pytest.mark.parametrize("renew, path", [(as_files, "files"), (as_folder, "folder/pair"), (as_secret, "secret"), (as_release, "current")])
def test_a_certificate_is_replaced(tmp_path, certificates, renew, path):
    renew(tmp_path, certificates, "old")
    node = secure(tmp_path, tmp_path / path)
    requester = Requester(node.port, tls=trusting())
    requester.connect()
    assert requester.create("running").diag == "0/000"
    assert requester.ask("ORF").diag == "0/000"
    assert requester.ask("WRITE").diag == "0/000"
    assert shown(node.port) == b"old"
    renew(tmp_path, certificates, "new")
    eventually(lambda: shown(node.port) == b"new", told=node.log)
    requester.data(CONTENT)
    assert requester.finish(CONTENT).diag == "0/000"
    assert node.received("in/running") == CONTENT
    renew(tmp_path, certificates, "old")
    eventually(lambda: shown(node.port) == b"old", told=node.log)
    requester.close()
    node.stop()


def test_a_certificate_of_the_administration_is_replaced(tmp_path, certificates):
    as_secret(tmp_path, certificates, "old")
    pair = 'tls: { certificate = "%s/tls.crt"; key = "%s/tls.key"; };' % (tmp_path / "secret", tmp_path / "secret")
    node = Bare(tmp_path / "bank", "BANK1", "admin: { listeners = ( { port = 0; %s } ); };" % pair).start()
    port = int(re.findall(r"HTTP=(\d+)", node.log())[0])
    assert shown(port) == b"old"
    as_secret(tmp_path, certificates, "new")
    eventually(lambda: shown(port) == b"new", told=node.log)
    (tmp_path / "secret/..new/tls.crt").write_text("nonsense")
    assert "secret/tls.crt" in logged(node, "configuration refused")
    assert shown(port) == b"new"
    assert node.control("status")["needs_restart"] == ""
    node.stop()


def test_a_wrong_certificate_changes_nothing(tmp_path, certificates):
    as_files(tmp_path, certificates, "old")
    node = secure(tmp_path, tmp_path / "files")
    (tmp_path / "files/tls.crt").write_text("nonsense")
    assert "files/tls.crt" in logged(node, "configuration refused")
    assert shown(node.port) == b"old"
    as_files(tmp_path, certificates, "new")
    eventually(lambda: shown(node.port) == b"new", told=node.log)
    node.stop()


def test_tls_on_the_same_port(certificates, bank, running):
    pair = 'tls: { certificate = "%s/tls.crt"; key = "%s/tls.key"; };' % (certificates / "old", certificates / "old")
    port = bank.port
    listen(bank, ("127.0.0.1", port))
    listen(bank, ("127.0.0.1", port, pair))
    assert shown(port) == b"old"
    assert answers(port, trusting())
    assert bank.control("status")["listeners"][0]["tls"]


def test_a_password_in_a_file(tmp_path):
    password = tmp_path / "password"
    password.write_text("secret\n")
    node = Bare(tmp_path / "bank", "BANK1", BANK.replace('"secret"', '"file:%s"' % password)).start()
    assert answers(node.port)
    fresh = tmp_path / "password.new"
    fresh.write_text("changed\n")
    fresh.rename(password)
    logged(node, "configuration loaded")
    requester = Requester(node.port)
    assert requester.connect(password=b"changed").name == "ACONNECT"
    requester.close()
    assert not answers(node.port)
    node.stop()
