# SPDX-License-Identifier: Apache-2.0
"""Groups C and D: CONNECT, what is agreed, who is let in. Chapters 3.6.3 a, 3.7, 4.7.3."""
import signal
import socket
import time

from cases import case
from fpdu import DATA, diag, number, specimen
from serving import Bank, Caller, bank, caller, connect_values, expect

PRECONNECTION = bytes.fromhex("D7C5E2C9E3404040" "C3D6D4D7C1D5E840" "A285839985A34040")  # PESIT, COMPANY, secret
ACK0 = bytes.fromhex("C1C3D2F0")
SOURCES = iter("127.0.%d.%d" % (a, b) for a in range(7, 200) for b in range(2, 250))


def answer_to(world, requester="COMPANY", to=None, raw=False, source=None, **changes):
    """The answer to a CONNECT with changed parameters, and its bytes; the connection is closed with the case."""
    peer = world.own(Caller(to or bank(world), raw=raw, source=source))
    return peer.connect_as(requester, 1, **changes), peer


def refused(world, code, **more):
    """RCONNECT with this diagnostic; from an address of its own, so that failures do not add up. Its bytes."""
    answer, peer = answer_to(world, source=next(SOURCES), **more)
    expect(answer, "RCONNECT", code)
    assert (answer.dst, answer.src) == (1, 0)
    last = peer.last
    peer.socket.shutdown(socket.SHUT_WR)
    assert peer.is_closed(3) == b""
    return last


def sync_of(answer):
    raw = expect(answer, "ACONNECT").values.get(7, b"\0\0\0")
    return int.from_bytes(raw[:2], "big"), raw[2]


def sync(interval, window):
    return number(interval, 2) + number(window, 1)


@case(43)
def announced_check_absent(world):
    malformed_connect(world, pi1=b"\1")
    expect(answer_to(world, pi1=b"\0")[0], "ACONNECT")


@case(57)
def preconnection_with_length(world):
    peer = caller(world, None)
    peer.raw(b"\0\x18" + PRECONNECTION)
    assert peer._read(6) == b"\0\4" + ACK0
    expect(peer.connect(), "ACONNECT")
    assert peer.write("C57", b"data") == "0/000"
    peer = caller(world, None)  # both at once
    peer.raw(b"\0\x18" + PRECONNECTION)
    peer.send("CONNECT", connect_values(), dst=0, src=1)
    assert peer._read(6) == b"\0\4" + ACK0
    expect(peer.receive(), "ACONNECT")


@case(58)
def preconnection_without_length(world):
    for then_raw in (False, True):
        peer = caller(world, None, raw=then_raw)
        peer.raw(PRECONNECTION)
        assert peer._read(4) == ACK0
        expect(peer.connect(), "ACONNECT")
        assert peer.write("C58%s" % then_raw, b"data") == "0/000"
        bank(world).offer("dispo/C58", bytes(range(256)) * 400)
        peer.reading("C58")
        assert b"".join(peer.take_data()[0]) == bytes(range(256)) * 400
        expect(peer.ask("TRANS.END"), "ACK(TRANS.END)")
        peer.leave()
        expect(peer.release(), "RELCONF")


@case(59)
def preconnection_decides_nothing(world):
    for message in (PRECONNECTION[:16] + b"\xd1" * 8, b"\xd7\x85\xa2\x89\xa3\x40\x40\x40" + PRECONNECTION[8:], PRECONNECTION[:8] + b"\x40" * 16):
        peer = caller(world, None)
        peer.raw(b"\0\x18" + message)
        assert peer._read(6) == b"\0\4" + ACK0
        expect(peer.connect(), "ACONNECT")
    peer = world.own(Caller(bank(world), source=next(SOURCES)))
    peer.raw(b"\0\x18" + PRECONNECTION)  # the right one does not help a wrong CONNECT
    assert peer._read(6) == b"\0\4" + ACK0
    expect(peer.connect(password=b"wrong"), "RCONNECT", "3/304")


@case(62)
def version_above_ours(world):
    for version in (b"\3", b"\7", b"\0", b"\0\3", b"9"):
        refused(world, "3/308", pi6=version)
    refused(world, "3/308", pi6=b"\3", pi5=b"wrong")  # before the password is looked at
    for version in (b"\2", b"\0\2", b"2", b"02", b"2 "):
        answer, _ = answer_to(world, pi6=version)
        assert expect(answer, "ACONNECT").values[6] == b"\2"


@case(63)
def older_version(world):
    refused(world, "3/308", pi6=b"\1")


@case(66)
def own_points_are_lower(world):
    for proposed, agreed in (((32, 4), (16, 2)), ((32, 1), (16, 1)), ((8, 4), (8, 2)), ((0xFFFF, 255), (16, 2)), ((16, 0), (16, 0))):
        assert sync_of(answer_to(world, "SMALL", pi7=sync(*proposed))[0]) == agreed, proposed


@case(67)
def partners_points_are_lower(world):
    for proposed, agreed in (((16, 2), (16, 2)), ((1, 1), (1, 1)), ((32, 4), (32, 4)), ((0, 0), (0, 0)), ((16, 0), (16, 0))):
        assert sync_of(answer_to(world, pi7=sync(*proposed))[0]) == agreed, proposed


@case(69)
def interval_left_open(world):
    answer, peer = answer_to(world, "OPEN", pi7=sync(0xFFFF, 4))
    assert sync_of(answer) == (0xFFFF, 4)
    content = bytes(3 << 20)
    peer.writing("C69")
    for at in range(0, len(content), 1024):
        peer.send("DTF", data=content[at:at + 1024])
    peer.end_data()
    expect(peer.finish(content), "ACK(TRANS.END)")
    assert sync_of(answer_to(world, "OPEN", pi7=sync(32, 4))[0]) == (32, 4)


@case(70)
def we_want_no_points(world):
    answer, peer = answer_to(world, "NOSYNC", pi7=sync(32, 4))
    assert sync_of(answer) == (0, 0)
    assert answer.number(23) == 0
    peer.writing("C70")
    peer.send("DTF", data=b"data")
    peer.point(1)
    peer.is_aborted("3/311")


@case(71)
def no_points_proposed(world):
    for nothing in (None, sync(0, 0), sync(0, 3)):
        assert sync_of(answer_to(world, pi7=nothing)[0]) == (0, 0)


def strict_bank(world):
    return world.once("required", lambda: Bank(world.folder(), "server: { sync_required = true; read_supported = false; };").start())


@case(73)
def points_are_required(world):
    for nothing in (None, sync(0, 0), sync(0, 3)):
        refused(world, "3/307", to=strict_bank(world), pi7=nothing, pi22=b"\0")
    expect(answer_to(world, to=strict_bank(world), pi22=b"\0")[0], "ACONNECT")
    refused(world, "3/304", to=strict_bank(world), pi7=None, pi5=b"wrong", pi22=b"\0")  # who it is comes first


def malformed_connect(world, **changes):
    peer = caller(world, None)
    peer.send("CONNECT", connect_values(**changes), dst=0, src=1)
    peer.is_aborted("3/318", dst=1, src=0)


@case(78)
def illegal_resynchronisation_option(world):
    malformed_connect(world, pi23=b"\2")
    malformed_connect(world, pi23=b"\0\1")
    for value in (b"\0", b"\1", None):
        assert expect(answer_to(world, pi23=value)[0], "ACONNECT").number(23) in (0, 1 if value == b"\1" else 0)
    malformed_connect(world, pi7=b"\0\x20")
    malformed_connect(world, pi7=b"\0\0\x20\2")
    malformed_connect(world, pi1=b"\2")


@case(79)
def illegal_access_type(world):
    malformed_connect(world, pi22=b"\3")
    malformed_connect(world, pi22=b"\0\1")


@case(81)
def reading_not_supported(world):
    refused(world, "3/305", to=strict_bank(world), pi22=b"\1")
    answer, peer = answer_to(world, to=strict_bank(world), pi22=b"\2")  # writing is there
    expect(answer, "ACONNECT")
    expect(peer.select("C81"), "ACK(SELECT)", "2/226")


@case(82)
def watchdog_value(world):
    expect(answer_to(world, pi26=number(10))[0], "ACONNECT")


@case(83)
def one_connection_too_many(world):
    first = caller(world, "SINGLE")
    refused(world, "3/309", requester="SINGLE")
    assert first.write("C83", b"data") == "0/000"
    expect(first.release(), "RELCONF")
    first.is_closed()
    first.close()
    own = world.own(Bank(world.folder(), "limits: { connections = 2; };").start())
    for partner in ("COMPANY", "OTHER"):
        expect(answer_to(world, partner, own)[0], "ACONNECT")
    refused(world, "3/303", to=own)  # all that the server has
    deadline = time.monotonic() + 5
    while answer_to(world, "SINGLE")[0].name != "ACONNECT":
        assert time.monotonic() < deadline


@case(85)
def connect_twice(world):
    for src, dst in ((1, 0), (7, 0)):
        peer = caller(world)
        peer.send("CONNECT", connect_values(), dst=dst, src=src)
        peer.is_aborted("3/311", src=peer.peer)


@case(86)
def no_connect(world):
    for name in ("CREATE", "SELECT", "RELEASE", "ORF", "DTF", "DTFMA", "MSG", "ACK(IDT)", "ACONNECT"):
        peer = caller(world, None)
        for raw in (False, True):
            peer = caller(world, None, raw=raw)
            peer.send(name, specimen(name), b"x" if name in DATA else b"", dst=1, src=1)
            peer.is_aborted("3/311", dst=0)


@case(89)
def release_with_a_file(world):
    for level in ("selected", "opened", "writing"):
        peer = caller(world)
        getattr(peer, level)("C89")
        peer.send("RELEASE", {2: diag(0, 0)}, src=1)
        peer.is_aborted("3/311")
        bank(world).ended("C89", "failed")
    assert bank(world).received("in/C89") is None


@case(94)
def orderly_stop(world):
    own = world.own(Bank(world.folder()).start())
    peer = world.own(Caller(own))
    expect(peer.connect(), "ACONNECT")
    own.process.send_signal(signal.SIGTERM)
    answer = peer.receive()
    assert (answer.name, answer.diag) in (("ABORT", "3/312"), ("ABORT", "3/316")), answer
    assert peer.is_closed() == b""
    peer.close()


# who is let in

@case(95, 97, 99, 105)
def refused_alike(world):
    """One answer to whoever has not proved who it is, octet by octet."""
    changes = ({"requester": "NOBODY"}, {"requester": "NOBODY", "pi5": None}, {"requester": "DISABLED"}, {"pi5": None}, {"pi5": b"wrong"},
               {"requester": "NIGHT"}, {"requester": "ELSEWHERE"}, {"pi5": b"SECRET"}, {"pi5": b"secre"}, {"pi5": b"secret12"},
               {"requester": "company"}, {"pi4": b"OTHER", "requester": "NOBODY"}, {"pi5": b"wrong".ljust(8) + b"newword"},
               {"requester": "X" * 24}, {"pi99": b"text", "pi5": b"wrong"})
    answers = {refused(world, "3/304", **change) for change in changes}
    assert answers == {bytes.fromhex("000b402201000203030130")}, [a.hex() for a in answers]
    raw, peer = answer_to(world, requester="NOBODY", raw=True, source=next(SOURCES))
    expect(raw, "RCONNECT", "3/304")
    assert peer.last in answers


def timed(world, own, source, **changes):
    began = time.monotonic()
    answer, peer = answer_to(world, to=own, source=source, **changes)
    took = time.monotonic() - began
    peer.close()
    return answer.name, took


@case(98)
def many_failures_are_slowed(world):
    """By address and by name, known or not alike; the genuine partner is not locked out and starts the count again."""
    refused_alike(world)
    for name in ("COMPANY", "NOBODY"):
        own = world.own(Bank(world.folder()).start())
        for _ in range(10):
            assert timed(world, own, next(SOURCES), requester=name, pi5=b"wrong")[0] == "RCONNECT"
        answer, took = timed(world, own, next(SOURCES), requester=name, pi5=b"wrong")
        assert answer == "RCONNECT" and 0.45 < took < 5, took
    answer, took = timed(world, own, next(SOURCES))
    assert answer == "ACONNECT" and took < 0.45, took
    own = world.own(Bank(world.folder()).start())
    home = next(SOURCES)
    for _ in range(2):
        for _ in range(9):
            assert timed(world, own, home, pi5=b"wrong")[0] == "RCONNECT"
        assert timed(world, own, home)[0] == "ACONNECT"
    answer, took = timed(world, own, home, pi5=b"wrong")
    assert answer == "RCONNECT" and took < 0.45, took


@case(101)
def padded_password(world):
    expect(answer_to(world, pi5=b"secret  ")[0], "ACONNECT")
    expect(answer_to(world, pi5=b"secret".ljust(16))[0], "ACONNECT")  # no new one


@case(102)
def called_by_another_name(world):
    refused(world, "3/301", pi4=b"BANK2")
    refused(world, "3/301", pi4=b"bank1")


@case(103)
def wrong_name_and_password(world):
    refused(world, "3/304", pi4=b"BANK2", pi5=b"wrong")


@case(106)
def may_only_write(world):
    refused(world, "3/304", requester="WRITER", pi22=b"\1")
    refused(world, "3/304", requester="READER", pi22=b"\0")
    _, peer = answer_to(world, "WRITER", pi22=b"\0")
    assert peer.write("D106", b"data") == "0/000"
    _, peer = answer_to(world, "READER", pi22=b"\1")
    expect(peer.select("D106"), "ACK(SELECT)", "2/205")
    _, peer = answer_to(world, "READER", pi22=b"\2")
    expect(peer.create("D106"), "ACK(CREATE)", "2/226")


@case(107)
def password_changed(world):
    own = world.own(Bank(world.folder()).start())
    expect(answer_to(world, "CHANGER", own, pi5=b"secret  newword ")[0], "ACONNECT")
    for _ in range(2):
        refused(world, "3/304", requester="CHANGER", to=own, pi5=b"secret")
        expect(answer_to(world, "CHANGER", own, pi5=b"newword")[0], "ACONNECT")
        expect(answer_to(world, "OTHER", own, pi5=b"secret")[0], "ACONNECT")
        world.end_case()
        own.start()
        world.own(own)
    refused(world, "3/304", requester="CHANGER", to=own, pi5=b"secret  third")  # with the old one
    expect(answer_to(world, "CHANGER", own, pi5=b"newword")[0], "ACONNECT")


@case(114)
def names_in_a_file(world):
    peer = caller(world, "WRITER", access=0)
    expect(peer.create("D114", pi3=b"COMPANY", pi4=b"BANK2"), "ACK(CREATE)")
    row = bank(world).row("D114", partner="WRITER")
    assert row["path"] == "in/D114", row
    peer.send("DESELECT", {2: diag(0, 0)})
    expect(peer.receive(), "ACK(DESELECT)")
    peer = caller(world, "READER")
    expect(peer.create("D114", pi3=b"COMPANY"), "ACK(CREATE)", "2/226")
