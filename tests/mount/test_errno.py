# SPDX-License-Identifier: Apache-2.0
"""Each row of docs/errno.md against the real mount: a partner that answers with each diagnostic, and local causes."""
import errno
import os
import pathlib
import re
import socket
import threading

import pytest
from conftest import FILE, wait_for
from fpdu import decode, diag, encode, number
from mounted import Mounted
from node import Bare

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs/errno.md"
ROWS = re.findall(r"^\| `(\d)-(\d{3})` \| (\w+) \|", DOC.read_text(encoding="utf-8"), re.M)
COMPANY = '''limits: { spool_reserve_mb = 0; }; timers: { drain_ms = 200; release_ms = 500; };
partners = ( { name = "P"; identifier = "P"; address = "127.0.0.1"; port = %d; retry_delays_s = [ 600 ]; idle_s = 0;
    files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 20; },
              { pattern = "in/*"; mode = "fetch"; wait_s = 20; } ); },
  { name = "NOHOST"; identifier = "NOHOST"; address = "nowhere.invalid"; retry_delays_s = [ 600 ];
    files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 60; } ); },
  { name = "NOPORT"; identifier = "NOPORT"; address = "127.0.0.1"; port = 1; retry_delays_s = [ 600 ];
    files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 20; }, { pattern = "in/*"; mode = "fetch"; } ); },
  { name = "OFF"; enabled = false; identifier = "OFF"; address = "127.0.0.1"; files = ( { pattern = "out/*"; mode = "send"; } ); } );'''
ANSWERS = {"CREATE": "ACK(CREATE)", "SELECT": "ACK(SELECT)", "RELEASE": "RELCONF"}


class Refuser:
    """A partner that accepts a connection and refuses what it is then asked, or refuses the connection."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port, self.diag = self.server.getsockname()[1], b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                with self.server.accept()[0] as call:
                    self.talk(call, call.makefile("rb"))
            except OSError:
                if self.server.fileno() < 0:
                    return

    def talk(self, call, file):
        def answer(name, values):
            body = encode(name, peer, 7, values)
            call.sendall(len(body).to_bytes(2, "big") + body)

        while head := file.read(2):
            fpdu, _ = decode(file.read(int.from_bytes(head, "big")))
            if fpdu.name == "ABORT":
                return
            if fpdu.name == "CONNECT":
                peer = fpdu.src
                if self.diag[0] == 3:
                    answer("RCONNECT", {2: self.diag})
                else:
                    answer("ACONNECT", {6: b"\2", 7: number(0, 2) + b"\0"})
            else:
                answer(ANSWERS[fpdu.name], {2: self.diag if fpdu.name != "RELEASE" else diag(0, 0)})


@pytest.fixture(scope="module")
def refuser():
    partner = Refuser()
    yield partner
    partner.server.close()


@pytest.fixture(scope="module")
def mnt(tmp_path_factory, refuser):
    node = Bare(tmp_path_factory.mktemp("company"), "COMPANY", COMPANY % refuser.port).start()
    mount = Mounted(node).start()
    yield mount
    mount.stop()
    node.stop()


def errno_of(call):
    try:
        call()
    except OSError as error:
        return "EOPNOTSUPP" if error.errno == errno.EOPNOTSUPP else errno.errorcode[error.errno]
    return "none"


def write(path, data=b"x", flags=0):
    def call():
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
    return call


def test_the_page_says_what_the_table_says():
    source = (DOC.parents[1] / "pesitfs/status.c").read_text(encoding="utf-8")
    table = re.findall(r"^ +\{ ?(\d{3}), (\w+) ?\},", source, re.M)
    known = set(re.findall(r"^ +\{ (\d{3}), ", (DOC.parents[1] / "protocol/diagnostic.c").read_text(encoding="utf-8"), re.M))
    assert len(table) > 90 and table == [(code, name) for _, code, name in ROWS]
    assert known - {code for code, _ in table} == {"139"}  # unspecific: EIO, as what is not known


# 1-100 is of the data phase: an answer to CREATE cannot carry it
@pytest.mark.parametrize("kind, code, expected", [row for row in ROWS if row[0] != "1"])
def test_a_diagnostic_at_close(mnt, refuser, kind, code, expected):
    refuser.diag = diag(int(kind), int(code))
    path = mnt.at("P/out/d" + code)
    assert errno_of(write(path)) == expected
    assert mnt.attribute("P/out/d" + code, "state") in ("FAILED", "WAITING")
    assert mnt.attribute("P/out/d" + code, "diag") == "%s-%s" % (kind, code)


@pytest.mark.parametrize("kind, code, expected", [row for row in ROWS if row[1] in ("205", "226", "304", "299", "207", "309")])
def test_a_diagnostic_at_open(mnt, refuser, kind, code, expected):
    refuser.diag = diag(int(kind), int(code))
    assert errno_of(lambda: open(mnt.at("P/in/f" + code), "rb")) == expected


def test_a_diagnostic_at_rename(mnt, refuser):
    refuser.diag = diag(2, 206)
    mnt.at("P/out/.r.tmp").write_bytes(FILE)
    assert errno_of(lambda: os.rename(mnt.at("P/out/.r.tmp"), mnt.at("P/out/renamed"))) == "EDQUOT"


@pytest.mark.parametrize("call, expected", [
    (lambda mnt: write(mnt.at("NOPORT/out/a")), "ECONNREFUSED"),
    (lambda mnt: lambda: open(mnt.at("NOPORT/in/a"), "rb"), "ECONNREFUSED"),
    (lambda mnt: write(mnt.at("NOHOST/out/a")), "EHOSTDOWN"),
    (lambda mnt: write(mnt.at("OFF/out/a")), "EPERM"),
    (lambda mnt: write(mnt.at("P/nowhere")), "EACCES"),
    (lambda mnt: write(mnt.at("P/in/a")), "EACCES"),
    (lambda mnt: write(mnt.at("P/out/" + "n" * 100)), "EINVAL"),
    (lambda mnt: write(mnt.at("P/out/caf\u00e9")), "EINVAL"),
    (lambda mnt: write(mnt.at("P/other/a")), "ENOENT"),
    (lambda mnt: write(mnt.at("NOBODY")), "EACCES"),
    (lambda mnt: lambda: os.unlink(mnt.at("P/out/absent")), "ENOENT"),
    (lambda mnt: lambda: os.mkdir(mnt.at("P/out/d")), "EPERM"),
    (lambda mnt: lambda: os.mkdir(mnt.at("Q")), "EPERM"),
    (lambda mnt: lambda: os.rmdir(mnt.at("P/out")), "EPERM"),
    (lambda mnt: lambda: os.rename(mnt.at("P/out"), mnt.at("P/ex")), "EPERM"),
    (lambda mnt: lambda: os.symlink("a", mnt.at("P/out/s")), "EPERM"),
    (lambda mnt: lambda: os.mkfifo(mnt.at("P/out/p")), "EPERM"),
])
def test_a_local_cause(mnt, call, expected):
    assert errno_of(call(mnt)) == expected


def test_the_daemon_went_while_a_file_was_written(mnt, refuser):
    with open(mnt.at("P/out/lost"), "wb", 0) as file:
        file.write(b"x")
        mnt.node.kill()
        mnt.node.start()
        wait_for(lambda: mnt.at("P/out").is_dir())
        fd = os.dup(file.fileno())
        file.close()
        assert errno_of(lambda: os.close(fd)) in ("EIO", "EBADF")
    assert not mnt.at("P/out/lost").exists()
    assert errno_of(lambda: write(mnt.at("P/out/lost"))()) != "none"  # taken again: the partner refuses
