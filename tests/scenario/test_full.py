# SPDX-License-Identifier: Apache-2.0
"""The store's disk is full while transfers end: no row stays behind what is true, once there is room again."""
import contextlib
import sqlite3

import pytest
from disk import Disk
from node import FILES, Bare
from peer import Requester
from responder import Lobby
from waiting import eventually, logged

CONTENT = bytes(range(256)) * 2048
DONE = 4  # as the row says it
STORE = 'store: { path = "disk/store.db"; };'
TEXT = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; address = "127.0.0.1"; port = %%d;
  retry_delays_s = [ 1 ]; files = ( %s, { pattern = "out/*"; mode = "send"; } ); } );''' % FILES


@pytest.fixture
def bank():
    lobby = Lobby()
    yield lobby
    lobby.stop()


@pytest.fixture
def disk(tmp_path):
    made = Disk(tmp_path / "node" / "disk")
    yield made
    made.remove()


@pytest.fixture
def node(tmp_path, disk, bank):
    started = Bare(tmp_path / "node", "BANK1", TEXT % bank.port, STORE).start()
    yield started
    started.stop()


def transfer(node):
    return node.control("transfers")[0]


def stored(node):
    """The newest row as a stopped daemon left it."""
    with contextlib.closing(sqlite3.connect(node.folder / "disk/store.db")) as database:
        return database.execute("SELECT state FROM transfer_history ORDER BY id DESC LIMIT 1").fetchone()


def send(node, bank, tmp_path):
    """A transfer of which the partner has all but the end."""
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    node.control("send", "COMPANY", source, "out/a", "--no-wait")
    link = bank.accept()
    link.writing()
    return link, link.take_data()[0]


def test_a_send_ends(tmp_path, node, disk, bank):
    link, articles = send(node, bank, tmp_path)
    disk.fill()
    link.take_end(articles)
    link.finish()
    logged(node, "store's disk is full")
    assert transfer(node)["state"] == "running"  # what is told is what is stored
    disk.free()
    eventually(lambda: transfer(node)["state"] == "done", told=node.log)
    logged(node, "store back")
    assert node.control("wait", transfer(node)["id"])["attempts"] == 1
    link.close()


def test_a_stop_stores_what_it_can(tmp_path, node, disk, bank):
    link, articles = send(node, bank, tmp_path)
    disk.fill()
    link.take_end(articles)
    link.finish()
    logged(node, "store's disk is full")
    link.close()
    disk.free()
    node.stop()
    assert stored(node) == (DONE,)
    node.start()
    assert transfer(node)["state"] == "done"


def fail_to_receive(node, disk):
    """A transfer whose end could not be written down; its partner."""
    requester = Requester(node.port)
    requester.connect()
    assert requester.create("a").diag == "0/000"
    assert requester.ask("ORF").diag == "0/000"
    assert requester.ask("WRITE").diag == "0/000"
    requester.data(CONTENT)
    eventually(lambda: node.control("transfers") and transfer(node)["state"] == "running")
    disk.fill()
    assert requester.finish(CONTENT).diag == "2/201"
    assert node.inbox() == []
    assert transfer(node)["state"] == "running"
    return requester


def test_a_receive_fails_and_says_so(node, disk):
    requester = fail_to_receive(node, disk)
    disk.free()
    eventually(lambda: transfer(node)["state"] == "failed", told=node.log)
    requester.leave()
    assert requester.write("b", CONTENT, transfer=2) == "0/000"
    assert node.inbox() == ["COMPANY/in/b"]
    requester.close()


def test_a_stop_that_can_store_nothing_leaves_row_and_bytes_together(node, disk):
    fail_to_receive(node, disk).close()
    node.stop()  # a leak sanitizer looks at what it forgets
    disk.free()
    node.start()
    eventually(lambda: transfer(node)["state"] == "failed", told=node.log)
    eventually(lambda: not list((node.folder / "spool/transfers").iterdir()), told=node.log)
    assert node.inbox() == []


def test_what_waits_waits_in_order(tmp_path, node, disk, bank):
    """What cannot be written down before the data end is not sent; tried again until it can."""
    link = send(node, bank, tmp_path)[0]
    disk.fill()
    link.close()
    again = bank.accept()
    again.writing()
    again.is_interrupted("2/213", 4)
    again.finish(None)
    logged(node, "store's disk is full")
    disk.free()
    articles = again.take_file()[1]
    assert b"".join(articles) == CONTENT
    eventually(lambda: transfer(node)["state"] == "done", told=node.log)
    assert transfer(node)["attempts"] == 2  # that in between was not the partner's fault
    again.close()
