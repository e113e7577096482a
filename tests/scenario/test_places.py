# SPDX-License-Identifier: Apache-2.0
"""Connections in both directions share the places of a partner, and of the node."""
import pytest
from node import Bare
from peer import Requester
from responder import Lobby
from waiting import eventually

CONFIG = '''limits: { connections = %d; }; timers: { release_ms = 500; drain_ms = 500; };
listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "BANK1"; identifier = "BANK1"; password_received = "secret"; address = "127.0.0.1"; port = %d;
  max_connections = %d; files = ( { pattern = "out/*"; mode = "send"; } ); } );'''


@pytest.fixture
def lobby():
    opened = Lobby()
    yield opened
    opened.stop()


@pytest.fixture(params=[(9, 1), (1, 9)], ids=["partner", "all"])
def node(tmp_path, lobby, request):
    total, own = request.param
    started = Bare(tmp_path / "node", "COMPANY", CONFIG % (total, lobby.port, own)).start()
    started.full = "3/309" if own == 1 else "3/303"
    yield started
    started.stop()


def send(node, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"payment")
    node.control("send", "BANK1", source, "--no-wait")


def call(node):
    requester = Requester(node.port)
    return requester, requester.connect("BANK1", "COMPANY")


def test_a_call_of_ours_waits_until_the_partner_has_left(tmp_path, node, lobby):
    requester, answer = call(node)
    assert answer.name == "ACONNECT"
    send(node, tmp_path)
    lobby.is_quiet(0.5)
    assert node.control("transfers")[0]["state"] == "queued"
    requester.close()
    link = lobby.accept()
    link.take_connect()
    assert b"".join(link.take_file()[1]) == b"payment"
    link.close()


def test_a_partner_is_refused_while_we_call(tmp_path, node, lobby):
    send(node, tmp_path)
    link = lobby.accept()
    link.take_connect()
    requester, answer = call(node)
    assert (answer.name, answer.diag) == ("RCONNECT", node.full)
    requester.close()
    assert b"".join(link.take_file()[1]) == b"payment"
    link.close()


def test_a_connection_of_ours_that_waits_for_work_makes_room(tmp_path, node, lobby):
    """The first call is refused, but not every call until our connection has been idle for long."""
    send(node, tmp_path)
    link = lobby.accept()
    link.take_connect()
    link.take_file()
    eventually(lambda: node.control("transfers")[0]["state"] == "done", told=node.log)
    requester, answer = call(node)
    assert (answer.name, answer.diag) == ("RCONNECT", node.full)
    requester.close()
    link.is_released()
    link.close()

    def let_in():
        requester, answer = call(node)
        requester.close()
        return answer.name == "ACONNECT"
    eventually(let_in, told=node.log)
