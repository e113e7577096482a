# SPDX-License-Identifier: Apache-2.0
"""Who sends or reads drop by drop, and a disk that makes writers wait: each costs little, and others are answered meanwhile."""
import concurrent.futures
import os
import pathlib
import re
import select
import socket
import time

import pytest
from admin import FIRST_KEY, LISTENER, Api
from disk import HeldDisk
from node import Bare
from waiting import eventually

HEAD = b"Host: x\r\nX-API-Key: first-key-0123456789abcdef\r\n"
MIB = 1 << 20
SEND = b"POST /api/v1/transfers/send?partner=COMPANY&path=dispo/%s HTTP/1.1\r\n" + HEAD + b"Content-Length: %d\r\n\r\n"
OFFER = '''limits: { spool_reserve_mb = 0; };
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "dispo/*"; mode = "offer"; } ); } );'''


def memory_mib(node, name):
    text = pathlib.Path("/proc/%d/status" % node.process.pid).read_text(encoding="ascii")
    return int(re.search(name + r":\s+(\d+)", text).group(1)) / 1024


def peak_mib(node):
    return memory_mib(node, "VmHWM")


def most_mib(node):
    """How much the peak may grow. A sanitizer keeps what was freed for a while, and is known by its terabytes."""
    return 16 if memory_mib(node, "VmSize") < 1 << 20 else 512


def callers(api):
    """How many connections the administration has at its address."""
    folder = pathlib.Path("/proc/%d/fd" % api.node.process.pid)
    ours = {os.readlink(folder / name) for name in os.listdir(folder) if os.path.lexists(folder / name)}
    rows = [line.split() for line in pathlib.Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return sum(row[1].endswith(":%04X" % api.port) and row[3] != "0A" and "socket:[%s]" % row[9] in ours for row in rows)


def is_well(api):
    return api.get("/health/ready").status == api.get("/api/v1/me").status == 200


def call(api, text=b"", buffer=None):
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(60)
    connection.connect(("127.0.0.1", api.port))
    connection.sendall(text)
    return connection


def drip(api, first, drop):
    """Seconds until whoever sends a drop now and then is sent away."""
    began = time.monotonic()
    with call(api, first) as connection:
        try:
            while not select.select([connection], [], [], 0.5)[0]:
                assert time.monotonic() - began < 40, "it may go on for ever"
                connection.sendall(drop)
        except (BrokenPipeError, ConnectionResetError):
            pass
    return time.monotonic() - began


def drip_later(api):
    """The same after a request that was answered."""
    with call(api, b"GET /api/v1/me HTTP/1.1\r\n" + HEAD + b"\r\n") as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        try:
            while not select.select([connection], [], [], 0.5)[0]:
                assert time.monotonic() - began < 40, "it may go on for ever"
                connection.sendall(b"x")
        except (BrokenPipeError, ConnectionResetError):
            pass
        return time.monotonic() - began


def test_who_drips_is_sent_away(bank):
    api = Api(bank)
    head, post = b"GET /api/v1/me HTTP/1.1\r\n" + HEAD + b"A: ", b"POST /api/v1/apikeys HTTP/1.1\r\n" + HEAD
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waits = [pool.submit(drip, api, head, b"x"), pool.submit(drip, api, post + b"Content-Length: 60000\r\n\r\n", b" "),
                 pool.submit(drip, api, post + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), pool.submit(drip_later, api)]
        assert is_well(api)
        assert all(15 < wait.result() < 30 for wait in waits), [wait.result() for wait in waits]
    assert is_well(api)


def upload(api, path, size):
    answer = api.post("/api/v1/transfers/send?partner=BANK1&path=" + path, os.urandom(size))
    assert answer.status == 202, answer
    return answer.json["transferId"]


def test_who_does_not_read_costs_little(company, api):
    large = upload(api, "offer/large", 32 * MIB)
    peak = peak_mib(company)
    readers = [call(api, b"GET /api/v1/transfers/%d/download HTTP/1.1\r\n" % large + HEAD + b"\r\n", 4096) for _ in range(8)]
    streams = [call(api, b"GET /api/v1/events HTTP/1.1\r\n" + HEAD + b"\r\n", 4096) for _ in range(8)]
    for connection in readers + streams:
        assert select.select([connection], [], [], 20)[0]
    last = [upload(api, "out/small-%d" % number, 10) for number in range(50)][-1]
    assert is_well(api) and peak_mib(company) - peak < most_mib(company), (peak, peak_mib(company))
    assert callers(api) >= len(readers + streams)
    eventually(lambda: callers(api) == len(streams), 30, lambda: callers(api))
    text = b""
    while b'"transferId":%d,' % last not in text:
        text += streams[0].recv(65536)
    for connection in readers + streams:
        connection.close()
    assert is_well(api)


@pytest.fixture
def disk(tmp_path):
    made = HeldDisk(tmp_path / "disk", 128)
    yield made
    made.remove()


@pytest.fixture
def held(tmp_path, disk):
    node = Bare(disk.folder / "n", "N", LISTENER % FIRST_KEY + OFFER)
    node.log_path = tmp_path / "log"  # whoever logs does not wait
    node.start()
    yield node
    node.stop()


def send_until_it_waits(connection, data):
    """How much was taken before nothing more was for some seconds."""
    sent = 0
    while sent < len(data) and select.select([], [connection], [], 3)[1]:
        sent += connection.send(data[sent:sent + 65536], socket.MSG_DONTWAIT)
    return sent


def test_an_upload_waits_for_the_disk(held, disk):
    """Back-pressure: what the disk does not take is left with the sender."""
    api, data = Api(held), os.urandom(64 * MIB)
    peak = peak_mib(held)
    with call(api, SEND % (b"slow", len(data)) + data[:4 * MIB]) as connection:
        eventually(lambda: any(path.stat().st_size >= MIB for path in (held.folder / "spool/staging").iterdir()))
        disk.hold()
        sent = 4 * MIB + send_until_it_waits(connection, data[4 * MIB:])
        assert sent < 32 * MIB and is_well(api)
        disk.release()
        connection.sendall(data[sent:])
        answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 202"), answer
    stored, = (held.folder / "spool/transfers").iterdir()
    assert stored.read_bytes() == data
    assert peak_mib(held) - peak < most_mib(held), (peak, peak_mib(held))
