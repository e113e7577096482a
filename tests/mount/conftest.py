# SPDX-License-Identifier: Apache-2.0
"""Two daemons and a mount between them, one set per file of tests."""
import pathlib
import random
import socket
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from mounted import Mounted  # noqa: E402
from node import Bare  # noqa: E402

BANK = '''listeners = ( { address = "127.0.0.1"; port = %d; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "in/*"; mode = "receive"; existing = "replace"; }, { pattern = "dispo/*"; mode = "offer"; },
            { pattern = "small/*"; mode = "receive"; file_type = 7; max_mb = 1; } ); } );'''
COMPANY = '''limits: { spool_reserve_mb = 0; }; timers: { drain_ms = 200; release_ms = 500; connect_ms = 20000; };
partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  retry_delays_s = [ 1 ];
  files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 20; },
            { pattern = "queue/*"; mode = "send"; ack = "spool"; },
            { pattern = "empty/*"; mode = "send"; ack = "sent"; allow_empty = true; },
            { pattern = "moved/*"; mode = "send"; ack = "sent"; commit = "rename"; },
            { pattern = "wrong/*"; mode = "send"; ack = "sent"; file_type = 9; },
            { pattern = "tiny/*"; mode = "send"; ack = "sent"; max_mb = 1; },
            { pattern = "small/*"; mode = "send"; ack = "sent"; file_type = 7; },
            { pattern = "releves/*"; mode = "fetch"; file_name = "{name}"; },
            { pattern = "jours/*"; mode = "fetch"; file_name = "J{date:%%y%%m%%d}"; } ); },
  { name = "CLOSED"; identifier = "CLOSED"; address = "127.0.0.1"; port = 1; retry_delays_s = [ 600 ];
    files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 5; },
              { pattern = "top-*"; mode = "send"; ack = "spool"; },
              { pattern = "later/*"; mode = "send"; ack = "spool"; replace_queued = true; },
              { pattern = "in/*"; mode = "fetch"; } ); },
  { name = "MUTE"; identifier = "MUTE"; address = "127.0.0.1"; port = %d; outgoing_connections = 50; max_connections = 50;
    files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 600; },
              { pattern = "short/*"; mode = "send"; ack = "sent"; wait_s = 1; },
              { pattern = "queue/*"; mode = "send"; ack = "spool"; replace_queued = true; },
              { pattern = "in/*"; mode = "fetch"; wait_s = 600; } ); },
  { name = "OFF"; enabled = false; identifier = "OFF"; address = "127.0.0.1"; port = 1;
    files = ( { pattern = "out/*"; mode = "send"; } ); } );'''
FILE = random.Random(5).randbytes(2_500_000)


def wait_for(what, seconds=20):
    """Until what() is true; its value."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = what()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("never came true")


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    node = Bare(tmp_path_factory.mktemp("bank"), "BANK1", BANK % 0).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def mute():
    """The port of a partner that accepts calls and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def company(tmp_path_factory, bank, mute):
    node = Bare(tmp_path_factory.mktemp("company"), "COMPANY", COMPANY % (bank.port, mute)).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def mnt(company):
    mount = Mounted(company).start()
    yield mount
    mount.stop()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "virement.xml"
    path.write_bytes(FILE)
    return path
