# SPDX-License-Identifier: Apache-2.0
"""Clients that are slow, long, odd or gone; afterwards the daemon answers as before."""
import concurrent.futures
import re
import socket
import time

import pytest
import waiting
from admin import Api
from peer import read_rest

HEAD = b"Host: x\r\nX-API-Key: first-key-0123456789abcdef\r\n"


@pytest.fixture
def bank_api(bank):
    yield Api(bank)
    assert Api(bank).get("/health/ready").json["status"] == "UP"


def say(api, *pieces, timeout=25):
    """Sends the pieces, ends its direction, returns all that comes back."""
    with socket.create_connection(("127.0.0.1", api.port), timeout) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        return read_rest(connection, timeout)


def status(text):
    return int(text.split(b" ", 2)[1]) if text else 0


@pytest.mark.parametrize("head", [
    b"Host: a\r\nHost: b\r\n", b"Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
    b"Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"])
def test_ambiguous_framing_is_refused(bank_api, head):
    assert status(say(bank_api, b"POST /api/v1/apikeys HTTP/1.1\r\n" + head + b"\r\nx")) == 400


def test_oversize(bank_api):
    post = b"POST /api/v1/apikeys HTTP/1.1\r\n" + HEAD
    assert status(say(bank_api, post + b"Content-Length: 100000000000\r\n\r\n")) == 413
    assert status(say(bank_api, post + b"Transfer-Encoding: chunked\r\n\r\n",
                      b"8000\r\n" + b"x" * 0x8000 + b"\r\n8000\r\n" + b"x" * 0x8000 + b"\r\n1\r\nx\r\n0\r\n\r\n")) == 413
    assert status(say(bank_api, b"GET / HTTP/1.1\r\n" + HEAD + b"A: " + b"x" * 200_000 + b"\r\n\r\n")) in (0, 431)
    assert status(say(bank_api, b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n")) == 414
    deep = b"[" * 60_000
    assert status(say(bank_api, post + b"Content-Length: %d\r\n\r\n" % len(deep) + deep)) == 400


def test_pipelined_requests_are_answered_in_order(bank_api):
    text = say(bank_api, b"".join(b"GET /api/v1/%s HTTP/1.1\r\n" % path + HEAD + b"\r\n"
                                  for path in (b"me", b"transfers/1", b"status", b"me")))
    assert re.findall(rb"HTTP/1.1 (\d+)", text) == [b"200", b"404", b"200", b"200"]


def be_slow(api):
    with socket.create_connection(("127.0.0.1", api.port), 25) as connection:
        connection.sendall(b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\n")
        began = time.monotonic()
        connection.recv(100)
        return time.monotonic() - began


def test_slow_half_closed_and_gone(bank_api, bank):
    """Each is waited for as long as the others: all at once."""
    assert status(say(bank_api, b"GET /api/v1/me HTTP/1.1\r\n" + HEAD + b"\r\n")) == 200
    upload = (b"POST /api/v1/transfers/send?partner=COMPANY&path=dispo/x HTTP/1.1\r\n" + HEAD +
              b"Content-Length: 9000000\r\n\r\n", b"x" * 3_000_000)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        half = pool.submit(say, bank_api, b"GET /api/v1/me HT")
        gone = pool.submit(say, bank_api, *upload)
        assert 5 < pool.submit(be_slow, bank_api).result() < 22
        assert status(half.result()) in (0, 400)
        gone.result()
    waiting.eventually(lambda: not list((bank.folder / "spool/staging").iterdir()))


@pytest.mark.parametrize("text", [b"\x01\x02\x7f\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n",
                                  b"GET /api/v1/transfers/%ff%00/download HTTP/1.1\r\n" + HEAD + b"\r\n",
                                  b"GET /api/v1/transfers/99999999999999999999 HTTP/1.1\r\n" + HEAD + b"\r\n"])
def test_garbage(bank_api, text):
    assert status(say(bank_api, text)) in (0, 400, 404, 414, 505)


def part(name, value):
    return b"--0123456789abcdef\r\n" + (b"Content-Disposition: form-data; name=\"%s\"\r\n" % name if name else b"") + b"\r\n" + value + b"\r\n"


@pytest.mark.parametrize("parts, field", [
    ([part(b"", b"x")], "body"), ([part(b"partner", b"\xff")], "partner"), ([part(b"partner", b"COMPANY\0x")], "partner"),
    ([part(b"partner", b"COMPANY"), part(b"path", b"dispo/" + b"x" * 2000)], "path"), ([part(b"path", b"dispo/x")], "partner")])
def test_odd_forms_name_the_culprit(bank_api, parts, field):
    form = b"".join(parts) + part(b"file", b"bytes") + b"--0123456789abcdef--\r\n"
    answer = bank_api.post("/api/v1/transfers/send", form, Content_Type="multipart/form-data; boundary=0123456789abcdef")
    assert (answer.status, answer.json["field"]) == (400, field), answer


def test_rate_is_limited(tmp_path):
    from node import Bare
    node = Bare(tmp_path / "n", "N", 'admin: { first_key = "first-key-0123456789abcdef"; requests_per_s = 5; '
                'listeners = ( { port = 0; } ); };').start()
    seen = [Api(node).get("/api/v1/me").status for _ in range(30)]
    node.stop()
    assert seen[:5] == [200] * 5 and 429 in seen
