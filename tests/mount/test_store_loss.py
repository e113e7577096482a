# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL is killed again and again under many transfers: none is lost, none is doubled, all goes on by itself."""
import concurrent.futures
import errno
import json
import os
import threading
import time

import pytest
from mounted import Mounted
from node import Bare
from postgres import Postgres
from trail import check_trail, history
from waiting import eventually

FILES = int(os.environ.get("STORE_LOSS_FILES", "200"))
KILLS = int(os.environ.get("STORE_LOSS_KILLS", "3"))
WRITERS = 4
# a file that arrives twice would get a number
BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; sync_interval_kb = 64; sync_window = 4;
  files = ( { pattern = "in/*"; mode = "receive"; existing = "number"; } ); } );'''
COMPANY = '''limits: { spool_reserve_mb = 0; };
partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  retry_delays_s = [ 1 ]; retry_attempts = 1000; sync_interval_kb = 64; sync_window = 4;
  files = ( { pattern = "out/*"; mode = "send"; ack = "spool"; } ); } );'''
# busy: what was refused is just being put away
TRY_AGAIN = (errno.EAGAIN, errno.EIO, errno.EBUSY)


@pytest.fixture
def server():
    started = Postgres()
    yield started
    started.remove()


def content(number):
    """Each tenth is so long that the database goes while it is on its way."""
    return b"%08d" % number * (1 + number % 50 if number % 10 else 1 << 20)


given_up = threading.Event()


def write(path, number):
    """As a careful application does: what was refused for a while is written again. Returns how often it was."""
    refused, deadline = 0, time.monotonic() + 40
    while not given_up.is_set():
        try:
            path.write_bytes(content(number))
            return refused
        except OSError as error:
            assert error.errno in TRY_AGAIN and time.monotonic() < deadline, (path, error)
            refused += 1


@pytest.fixture
def bank(tmp_path, server):
    node = Bare(tmp_path / "bank", "BANK1", BANK, server.store("cluster_bank", "wait_ms = 300;")).start()
    yield node
    node.stop()


@pytest.fixture
def company(tmp_path, server, bank):
    node = Bare(tmp_path / "company", "COMPANY", COMPANY % bank.port,
                server.store("cluster_company", "wait_ms = 300;")).start()
    yield node
    node.stop()


@pytest.fixture
def mount(company):
    mounted = Mounted(company).start()
    yield mounted
    mounted.stop()


def is_empty(node):
    done = node.control("status", check=False)
    return done.returncode == 0 and all(json.loads(done.stdout)[state] == 0 for state in ("queued", "running", "waiting"))


def has_store(node):
    done = node.control("status", check=False)
    return done.returncode == 0 and json.loads(done.stdout)["store"] == "ok"


def kill_and_start(server, nodes, number):
    """Every other time it is away so long that what waits for it gives up. Both must have seen that it was back."""
    eventually(lambda: all(has_store(node) for node in nodes), 120)
    for node in nodes:
        node.seen = len(node.log())
    server.kill()
    if number % 2:
        eventually(lambda: all("store away" in node.log()[node.seen:] for node in nodes), 120)
        threading.Event().wait(0.6)
    server.start()


def test_killed_under_transfers(server, bank, company, mount):
    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        writes = [pool.submit(write, mount.path / "BANK1/out" / ("f%04d" % i), i) for i in range(FILES)]
        try:
            for kill in range(1, KILLS + 1):
                eventually(lambda: sum(w.done() for w in writes) >= FILES * kill // (KILLS + 2), 120)
                kill_and_start(server, (bank, company), kill)
        except BaseException:
            given_up.set()
            raise
        refused = sum(w.result() for w in writes)
    eventually(lambda: is_empty(company), 120)
    names = ["f%04d" % i for i in range(FILES)]
    assert sorted(path.name for path in (bank.folder / "inbox/COMPANY/in").iterdir()) == names
    assert all(bank.received("in/" + name) == content(int(name[1:])) for name in names)
    for node, folder in ((company, "out/"), (bank, "in/")):
        assert sorted(row["path"] for row in history(node) if row["state"] == "done") == [folder + name for name in names]
    print("%d files, %d kills, %d writes refused for a while" % (FILES, KILLS, refused))
    check_trail(bank, company)
