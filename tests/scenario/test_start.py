# SPDX-License-Identifier: Apache-2.0
"""Starts that cannot be: each ends at once with a code that is not zero and one line that names the culprit."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import postgres
import pytest
from disk import Disk
from node import BUILD, Bare

TEXT = 'listeners = ( { address = "127.0.0.1"; port = %d; } );'
NOBODY = 65534
START, WRONG = 1, 2  # exit codes: could not start; wrong configuration


def start(node, program=BUILD / "daemon/pesitd", user=None):
    """Runs it to its end: code and what it said. It must not come up."""
    done = subprocess.run([program, "--config", node.config], capture_output=True, text=True, timeout=30, check=False, user=user)
    said = [line for line in done.stderr.splitlines() if line.startswith("pesitd: ")]
    assert len(said) == 1, done.stderr
    return done.returncode, said[0]


@pytest.fixture
def node(tmp_path):
    """Not started yet."""
    made = Bare(tmp_path / "node", "BANK1", TEXT % 0)
    yield made
    if made.process is not None:
        made.stop()


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "disk")
    yield made
    made.remove()


def edit(node, old, new):
    text = node.config.read_text()
    assert old in text
    node.config.write_text(text.replace(old, new))


# the configuration


def test_without_name_and_partners_it_starts_and_tells_its_state(node):
    edit(node, 'node = "BANK1";', "")
    node.start()
    assert node.control("status")["node"] == ""
    said = subprocess.run([BUILD / "pesitctl/pesitctl", "--socket", node.folder / "door", "status"], capture_output=True, text=True, timeout=30,
                          check=True).stdout
    assert said.startswith("a node without a name: running, version ")


def test_no_configuration(node):
    node.config.unlink()
    assert start(node) == (WRONG, "pesitd: configuration '%s' cannot be read: No such file or directory" % node.config)


def test_a_folder_as_configuration(node):
    node.config.unlink()
    node.config.mkdir()
    code, said = start(node)
    assert code == WRONG and str(node.config) in said


@pytest.fixture
def open_folder():
    """Where another user can look too."""
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    shutil.copy(BUILD / "daemon/pesitd", folder / "pesitd")
    yield folder
    shutil.rmtree(folder)


def start_as_nobody(node):
    return start(node, node.folder.parent / "pesitd", NOBODY)


def test_a_configuration_of_somebody_else(open_folder):
    node = Bare(open_folder / "node", "BANK1", TEXT % 0)
    node.config.chmod(0o600)
    code, said = start_as_nobody(node)
    assert (code, said) == (WRONG, "pesitd: configuration '%s' cannot be read: Permission denied" % node.config)


@pytest.mark.parametrize("line, culprit", [
    ('listeners = ( { port = 0; tls: { certificate = "no.crt"; key = "no.key"; }; } );', "'tls.certificate': '%s/no.crt' cannot be read"),
    ('paths: { key_file = "no.key"; };', "'paths.key_file': read '%s/no.key': No such file or directory"),
    ('partners = ( { name = "A"; identifier = "A"; password_sent = "file:/no/password"; } );', "'password_sent': read '/no/password': No such file"),
    ('partners = ( { name = "A"; identifier = "A"; password_sent = "more-than-PI-5-has"; } );', "'password_sent' has 18 characters: it must have 0 to 16"),
    ('partners = ( { name = "A"; identifier = "A"; active_hours = "08:00-08:00"; } );', "'active_hours'"),
])
def test_a_file_that_the_configuration_names(node, line, culprit):
    text = node.config.read_text().splitlines()[0]
    if line.startswith("paths:"):
        text, line = text.replace("paths: {", 'paths: { key_file = "no.key";'), ""
    node.config.write_text(text + "\n" + line)
    code, said = start(node)
    assert code == WRONG
    assert "%s:%d: " % (node.config, 1 if not line else 2) in said
    assert culprit.replace("%s", str(node.folder)) in said


def test_a_key_of_somebody_else(open_folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bank", "-keyout",
                    open_folder / "own.key", "-out", open_folder / "own.pem"], check=True, capture_output=True)
    (open_folder / "own.key").chmod(0o600)
    node = Bare(open_folder / "node", "BANK1", 'listeners = ( { port = 0; tls: { certificate = "../own.pem"; key = "../own.key"; }; } );')
    node.config.chmod(0o644)
    code, said = start_as_nobody(node)
    assert code == WRONG and "'tls.key': '%s/node/../own.key' cannot be read: Permission denied" % open_folder in said


def test_a_key_of_another_certificate(node, tmp_path):
    for name in ("one", "two"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=bank", "-keyout",
                        tmp_path / (name + ".key"), "-out", tmp_path / (name + ".pem")], check=True, capture_output=True)
    node.configure("BANK1", 'listeners = ( { port = 0; tls: { certificate = "%s/one.pem"; key = "%s/two.key"; }; } );' % (tmp_path, tmp_path))
    code, said = start(node)
    assert code == START and "%s/two.key" % tmp_path in said


# addresses


def test_a_port_in_use(node):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        node.configure("BANK1", TEXT % port)
        assert start(node) == (START, "pesitd: listen on '127.0.0.1' port %d: Address already in use" % port)


def test_a_port_of_the_administration_in_use(node):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        node.configure("BANK1", 'admin: { listeners = ( { port = %d; } ); };' % port)
        assert start(node) == (START, "pesitd: listen on '127.0.0.1' port %d: Address already in use" % port)


def test_an_address_that_is_not_ours(node):
    edit(node, "127.0.0.1", "192.0.2.1")
    assert start(node) == (START, "pesitd: listen on '192.0.2.1' port 0: Cannot assign requested address")


def test_a_file_where_the_socket_goes(node):
    (node.folder / "door").write_text("precious")
    assert start(node) == (START, "pesitd: paths.socket: '%s/door' is no socket" % node.folder)
    assert (node.folder / "door").read_text() == "precious"


# a second daemon


def other(node, **paths):
    """The configuration of a second daemon, that shares all but these paths."""
    second = Bare(node.folder.with_name("second"), "BANK1", TEXT % 0)
    for name in ("spool", "inbox", "store.db", "door"):
        edit(second, '"%s"' % name, '"%s"' % paths.get(name.partition(".")[0], node.folder / name))
    return second


def test_a_second_daemon(node):
    node.start()
    code, said = start(node)
    assert code == START
    assert said == "pesitd: spool '%s/spool': '%s/spool/lock' is locked by process %d" % (node.folder, node.folder, node.process.pid)
    assert node.control("status")["state"] == "running"


def test_a_second_daemon_on_the_store(node):
    node.start()
    code, said = start(other(node, spool="spool", inbox="inbox", door="door"))
    assert code == START
    assert said.startswith("pesitd: '%s/store.db' is locked by process %d: " % (node.folder, node.process.pid))
    assert node.control("transfers") == []


def test_a_second_daemon_on_the_socket(node):
    node.start()
    code, said = start(other(node, spool="spool", inbox="inbox", store="store.db"))
    assert (code, said) == (START, "pesitd: another daemon answers at '%s/door'" % node.folder)
    assert node.control("status")["state"] == "running"


def test_after_a_kill(node):
    """A lock is not left behind."""
    node.start()
    node.kill()
    node.start()
    assert node.control("status")["pid"] == node.process.pid == int((node.folder / "spool/lock").read_text())


# the store


def damaged(node, change):
    """A store that was one, changed; its bytes before and after a start."""
    node.start()
    node.stop()
    path = node.folder / "store.db"
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    code, said = start(node)
    assert code == START and "'%s'" % path in said, said
    assert path.read_bytes() == data
    return said


def test_a_store_that_is_none(node):
    path = node.folder / "store.db"
    path.write_bytes(b"no database" * 1000)
    code, said = start(node)
    assert code == START
    assert said.startswith("pesitd: '%s' is damaged, or no database; it is left as it is: " % path)
    assert path.read_bytes() == b"no database" * 1000
    assert [name for name in os.listdir(node.folder) if name.startswith("store.db")] == ["store.db"]


def test_a_store_without_its_head(node):
    def change(data):
        data[0:16] = bytes(16)

    assert "is damaged, or no database" in damaged(node, change)


def test_a_store_with_a_broken_page(node):
    def change(data):
        data[100:4096] = os.urandom(3996)

    assert "malformed" in damaged(node, change)


def test_a_store_cut_short(node):
    def change(data):
        del data[8192:]

    assert "malformed" in damaged(node, change)


def test_a_store_in_no_folder(node):
    edit(node, '"store.db"', '"nowhere/store.db"')
    code, said = start(node)
    assert code == START and "'%s/nowhere/store.db'" % node.folder in said


# disks


def test_a_full_disk_under_the_store(node, disk):
    edit(node, '"store.db"', '"%s/store.db"' % disk.folder)
    disk.fill()
    code, said = start(node)
    assert code == START and "'%s/store.db'" % disk.folder in said and "full" in said, said
    disk.free()
    node.start()
    assert node.control("status")["store"] == "ok"


def test_a_full_disk_under_the_spool(node, disk):
    for name in ("spool", "inbox"):
        edit(node, '"%s"' % name, '"%s/%s"' % (disk.folder, name))
    disk.fill()
    code, said = start(node)
    assert code == START and re.search("'%s/spool[^']*': No space left on device" % disk.folder, said), said
    disk.free()
    node.start()
    node.stop()
    disk.fill()
    node.start()  # what is there already is enough to start
    disk.free()


def test_a_spool_that_cannot_be_written(node, disk):
    for name in ("spool", "inbox"):
        edit(node, '"%s"' % name, '"%s/%s"' % (disk.folder, name))
    subprocess.run(["mount", "-o", "remount,ro", disk.folder], check=True)
    assert start(node) == (START, "pesitd: create folder '%s/spool/staging': Read-only file system" % disk.folder)
    subprocess.run(["mount", "-o", "remount,rw", disk.folder], check=True)
    node.start()
    node.stop()
    subprocess.run(["mount", "-o", "remount,ro", disk.folder], check=True)
    assert start(node) == (START, "pesitd: write to folder '%s/spool/staging': Read-only file system" % disk.folder)


def test_a_spool_of_somebody_else(open_folder):
    node = Bare(open_folder / "node", "BANK1", TEXT % 0)
    node.config.chmod(0o644)
    (node.folder / "spool").mkdir(mode=0o700)
    assert start_as_nobody(node) == (START, "pesitd: create folder '%s/spool/staging': Permission denied" % node.folder)


def test_a_file_instead_of_the_spool(node):
    (node.folder / "spool").write_text("a file")
    assert start(node) == (START, "pesitd: create folder '%s/spool/staging': Not a directory" % node.folder)


def test_an_inbox_on_another_filesystem(node, disk):
    edit(node, '"inbox"', '"%s/inbox"' % disk.folder)
    code, said = start(node)
    assert code == START and "inbox '%s/inbox' is not on the spool's filesystem" % disk.folder in said


# what it does not wait for

PARTNER = 'partners = ( { name = "BANK1"; identifier = "BANK1"; address = "127.0.0.1"; port = 1; enabled = %s; retry_attempts = 9; ' \
    'files = ( { pattern = "out/*"; mode = "send"; } ); } );'


def test_it_is_ready_before_the_queue_has_written_what_it_found(tmp_path):
    """What waits for a partner that is disabled now gets a new reason in its row; here somebody holds the row."""
    server, schema = postgres.shared(), postgres.next_schema()
    node = Bare(tmp_path / "node", "COMPANY", PARTNER % "true", store=server.store(schema)).start()
    (tmp_path / "file").write_bytes(b"x")
    number = node.control("send", "BANK1", tmp_path / "file", "out/file", "--no-wait")["id"]
    node.stop()
    node.configure("COMPANY", PARTNER % "false")
    with subprocess.Popen(["psql", "-q", "-A", "-t", "-d", server.conninfo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        holder.stdin.write("BEGIN; SELECT id FROM %s.transfer_history WHERE id = %d FOR UPDATE;\n" % (schema, number))
        holder.stdin.flush()
        assert holder.stdout.readline() == "%d\n" % number
        starter = threading.Thread(target=node.start)
        starter.start()
        starter.join(60)
        waits = starter.is_alive()
        holder.stdin.write("ROLLBACK;\n")
    starter.join(60)
    assert not waits, node.log()
    shown = node.control("transfers")
    assert [(t["id"], t["error"]) for t in shown] == [(number, "partner 'BANK1' is disabled")]
    node.stop()
