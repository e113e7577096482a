# SPDX-License-Identifier: Apache-2.0
"""An independent requester calls pesitd: files arrive whole or not at all. Numbers are those of the case list."""
import random

import pytest
from fpdu import diag, number
from node import Node
from peer import Closed, Requester

FILE = random.Random(7).randbytes(200_000)


@pytest.fixture
def peer(node):
    requester = Requester(node.port)
    assert requester.connect().name == "ACONNECT"
    yield requester
    requester.close()


def assert_serves(node):
    """The next connection works."""
    requester = Requester(node.port)
    assert requester.connect().name == "ACONNECT"
    assert requester.release().name == "RELCONF"
    requester.close()


def test_a_file_arrives(node, peer):
    assert peer.write("virement", FILE) == "0/000"
    assert node.received("in/virement") == FILE
    assert peer.release().name == "RELCONF"


def test_several_files_in_one_connection(node, peer):
    for i in range(5):
        assert peer.write("f%d" % i, FILE[:i * 1000], transfer=i + 1) == "0/000"
    assert node.inbox() == ["COMPANY/in/f%d" % i for i in range(5)]


@pytest.mark.parametrize("changes, code", [
    ({"requester": "NOBODY"}, "3/304"), ({"password": b"wrong"}, "3/304"),
    ({"server": "OTHER"}, "3/301"), ({"server": "OTHER", "password": b"wrong"}, "3/304"),
])
def test_refused_connections_102_103(node, changes, code):
    requester = Requester(node.port)
    answer = requester.connect(**changes)
    assert (answer.name, answer.diag, set(answer.values)) == ("RCONNECT", code, {2})
    requester.close()
    assert_serves(node)


@pytest.mark.parametrize("case, changes, code", [
    (122, {"name": "a", "kind": 1}, "2/226"), (138, {"name": "a", "article": 0}, "2/200"),
    (137, {"name": "a", "pi41": b"\x01"}, "2/200"), (143, {"name": "a", "kind": 0xFFFD}, "2/226"),
    (151, {"name": "../../x"}, "2/226"), (151, {"name": "a/b"}, "2/226"), (151, {"name": ".a"}, "2/226"),
    (151, {"name": b"a\0b"}, "2/226"), (127, {"name": "a", "kind": 5, "space": 5000}, "2/206"),
    (142, {"name": "a", "pi73": b"\x01\0\0\0"}, "2/226"), (277, {"name": "a", "restarted": 1}, "2/214"),
])
def test_refused_creations(node, peer, case, changes, code):
    assert peer.create(**changes).diag == code
    assert peer.write("after", b"works") == "0/000"
    assert node.inbox() == ["COMPANY/in/after"]


def test_existing_file_is_kept_125(node, peer):
    assert peer.write("a", b"first") == "0/000"
    assert peer.write("a", b"second", transfer=2) == "2/204"
    assert node.received("in/a") == b"first"


def test_file_in_use_126_410(node, peer):
    other = Requester(node.port)
    other.connect()
    assert peer.create("a").diag == "0/000"
    assert other.create("a").diag == "2/207"
    other.close()


def test_repeat_after_a_lost_answer(node, peer):
    assert peer.write("a", FILE, transfer=9) == "0/000"
    assert peer.write("a", FILE, transfer=9, restarted=1) == "0/000"
    assert node.inbox() == ["COMPANY/in/a"]
    assert node.received("in/a") == FILE


def test_larger_than_announced_185(node, peer):
    assert peer.write("a", bytes(20_000), space=10) == "2/224"
    assert node.inbox() == []


def test_sender_gives_up_186(node, peer):
    peer.create("a")
    peer.ask("ORF")
    peer.ask("WRITE")
    peer.send("DTF", data=b"half")
    peer.send("DTF.END", {2: diag(2, 213)})
    assert peer.finish(b"half").diag == "2/223"
    assert node.inbox() == []


def test_wrong_count_aborts_319(node, peer):
    peer.create("a")
    peer.ask("ORF")
    peer.ask("WRITE")
    peer.data(b"twelve bytes")
    answer = peer.ask("TRANS.END", {27: number(11), 28: number(1)})
    assert (answer.name, answer.diag) == ("ABORT", "3/319")
    assert_serves(node)
    assert node.inbox() == []


def test_interruption(node, peer):
    peer.create("a")
    peer.ask("ORF")
    peer.ask("WRITE")
    peer.send("DTF", data=b"half")
    assert peer.ask("IDT", {2: diag(2, 216), 19: b"\x10"}).name == "ACK(IDT)"
    peer.leave()
    assert peer.write("b", b"works", transfer=2) == "0/000"
    assert node.inbox() == ["COMPANY/in/b"]


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff", b"\0\x05\0\x05\xc0", bytes(64)])
def test_garbage_is_no_harm(node, garbage):
    requester = Requester(node.port)
    requester.raw(garbage)
    requester.close()
    assert_serves(node)


def test_lost_connection_leaves_nothing(node, peer):
    peer.create("a")
    peer.ask("ORF")
    peer.ask("WRITE")
    peer.send("DTF", data=b"half")
    peer.close()
    assert_serves(node)
    assert node.inbox() == []


def test_killed_daemon_keeps_what_it_acknowledged(node, peer):
    assert peer.write("whole", FILE) == "0/000"
    peer.create("partial", transfer=2)
    peer.ask("ORF")
    peer.ask("WRITE")
    peer.send("DTF", data=b"half")
    node.kill()
    with pytest.raises(Closed):
        peer.receive()
    node.start()
    assert node.inbox() == ["COMPANY/in/whole"]
    assert node.received("in/whole") == FILE
    assert list((node.folder / "spool/transfers").iterdir()) == []
    again = Requester(node.port)
    again.connect()
    assert again.write("whole", FILE, restarted=1) == "0/000"
    again.close()


DEEP = '{ pattern = "in/*"; mode = "receive"; }, { pattern = "deep/er/*"; mode = "receive"; file_type = 7; }, ' \
       '{ pattern = "new/*"; mode = "receive"; file_type = 8; existing = "replace"; }, { pattern = "num/*"; mode = "receive"; file_type = 9; existing = "number"; }'


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    yield folder
    assert [path.name for path in folder.iterdir()] == ["precious"]
    assert (folder / "precious").read_text() == "precious"


def link(node, path, target):
    """A link in the inbox of the partner."""
    made = node.folder / "inbox/COMPANY" / path
    made.parent.mkdir(parents=True, exist_ok=True)
    made.symlink_to(target)


@pytest.fixture
def deep(tmp_path, outside):
    (outside / "precious").write_text("precious")
    node = Node(tmp_path / "node", files=DEEP).start()
    yield node
    node.stop()


@pytest.fixture
def caller(deep):
    requester = Requester(deep.port)
    requester.connect()
    yield requester
    requester.close()


@pytest.mark.parametrize("path, kind", [("in", 0), ("deep", 7), ("deep/er", 7)])
def test_a_folder_that_leads_out_151(deep, caller, outside, path, kind):
    """Refused before a byte is sent; no file, no folder outside."""
    link(deep, path, outside)
    assert caller.create("a", kind=kind).diag == "2/226"
    assert caller.write("a", FILE, transfer=2, kind=8) == "0/000"
    assert deep.received("new/a") == FILE


def test_a_partner_folder_that_leads_out_151(deep, caller, outside):
    (deep.folder / "inbox/COMPANY").symlink_to(outside)
    assert caller.create("a").diag == "2/226"


@pytest.mark.parametrize("path, kind", [("in", 0), ("deep", 7)])
def test_a_folder_that_leads_out_meanwhile_151(deep, caller, outside, path, kind):
    """The link comes while data flow: refused at the end, and the row says so."""
    assert caller.create("a", kind=kind).diag == "0/000"
    assert caller.ask("ORF").diag == "0/000"
    assert caller.ask("WRITE").diag == "0/000"
    caller.data(FILE)
    link(deep, path, outside)
    assert caller.finish(FILE).diag == "2/226"
    transfer = deep.control("transfers")[0]
    assert (transfer["state"], transfer["diag"]) == ("failed", "2-226")
    caller.leave()
    assert list((deep.folder / "spool/transfers").iterdir()) == []


def test_a_name_that_leads_out_151(deep, caller, outside):
    """A link is a file that is there: kept, replaced itself, or passed by."""
    for folder in ("in", "new", "num"):
        link(deep, folder + "/a", outside / "precious")
        link(deep, folder + "/b", outside / "nothing")
    assert caller.create("a").diag == "2/204"
    assert caller.create("b").diag == "2/204"
    assert caller.write("a", FILE, transfer=2, kind=8) == "0/000"
    assert caller.write("b", FILE, transfer=3, kind=8) == "0/000"
    assert caller.write("a", FILE, transfer=4, kind=9) == "0/000"
    inbox = deep.folder / "inbox/COMPANY"
    assert not (inbox / "new/a").is_symlink() and not (inbox / "new/b").is_symlink()
    assert deep.received("new/a") == deep.received("new/b") == deep.received("num/a.1") == FILE


def test_files_of_one_name_at_once_are_numbered(deep):
    callers = [Requester(deep.port) for _ in range(3)]
    contents = [FILE[:1000 * (n + 1)] for n in range(3)]
    for one in callers:
        one.connect()
    for number_, one in enumerate(callers):
        assert one.create("same", transfer=number_ + 1, kind=9).diag == "0/000"
    for one, content in reversed([*zip(callers, contents)]):
        assert one.ask("ORF").diag == one.ask("WRITE").diag == "0/000"
        one.data(content)
        assert one.finish(content).diag == "0/000"
        one.leave()
        one.close()
    assert deep.inbox() == ["COMPANY/num/same", "COMPANY/num/same.1", "COMPANY/num/same.2"]
    assert [deep.received("num/same" + end) for end in ("", ".1", ".2")] == contents
