# SPDX-License-Identifier: Apache-2.0
"""Groups O to S: messages that we do not take, timers, hostile partners, several files, captured exchanges; and D, G and I with
a look at the disk."""
import random
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import time

import node
from cases import case
from fpdu import diag, encode, number, specimen
from serving import Bank, Caller, bank, caller, connect_values, expect
from server_connect import PRECONNECTION, SOURCES, answer_to, refused
from server_files import close, deselect
from strace import Strace

FILE = random.Random(8).randbytes(300 * 1024)
TIMERS = "accept_ms = 700; protocol_ms = 900; idle_ms = 800; release_ms = 600; drain_ms = 300;"


def hasty(world):
    """A bank with short timers."""
    return world.once("hasty", lambda: Bank(world.folder(), timers=TIMERS).start())


def hasty_caller(world, connected=True):
    peer = world.own(Caller(hasty(world)))
    if connected:
        expect(peer.connect(), "ACONNECT")
    return peer


class Within:
    """What is inside takes between so many seconds."""

    def __init__(self, least, most=4.0):
        self.least, self.most, self.began = least, most, 0

    def __enter__(self):
        self.began = time.monotonic()

    def __exit__(self, kind, *_):
        took = time.monotonic() - self.began
        assert kind or self.least <= took <= self.most, "took %.2f s, not %s to %s" % (took, self.least, self.most)


# O: messages

@case(349)
def message_about_transfer_0(world):
    for name in ("MSG", "MSGDM"):
        peer = caller(world)
        peer.send(name, {**specimen(name), 13: b"\0"})
        peer.is_aborted("3/318")


@case(353)
def file_within_a_message(world):
    peer = caller(world)
    peer.send("MSGDM", specimen("MSGDM"))
    peer.send("CREATE", specimen("CREATE"))
    peer.is_aborted("3/311")


def memory_kb(process):
    status = open("/proc/%d/status" % process.pid, encoding="utf-8").read()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1])


@case(354)
def message_without_an_end(world):
    peer = caller(world)
    peer.send("MSGDM", {**specimen("MSGDM"), 91: b"x" * 4000})
    before = memory_kb(bank(world).process)
    part = peer.say("MSGMM", {91: b"x" * 4000})
    part = len(part).to_bytes(2, "big") + part
    for _ in range(25):
        peer.raw(part * 100)
    answer = expect(peer.ask("MSGFM", {91: b"end"}), "ACK(MSG)", "2/209")
    assert answer.order == sorted(answer.order)
    assert memory_kb(bank(world).process) < before + 4096
    assert peer.write("O354", b"works") == "0/000"


@case(355)
def messages_not_taken(world):
    peer = caller(world)
    for text in (b"HELLO", b"x" * 4096):
        expect(peer.ask("MSG", {**specimen("MSG"), 91: text}), "ACK(MSG)", "2/209")
    assert peer.write("O355", b"works") == "0/000"


# P: timers

@case(373)
def nothing_after_connecting(world):
    peer = hasty_caller(world, False)
    with Within(0.5):
        assert peer.is_closed() == b""


@case(374)
def half_a_connect(world):
    connect = encode("CONNECT", 0, 1, connect_values())
    connect = len(connect).to_bytes(2, "big") + connect
    for part in (1, 7, 20, len(connect) - 1):
        peer = hasty_caller(world, False)
        peer.raw(connect[:part])
        with Within(0.5):
            assert peer.is_closed() == b""
    peer = hasty_caller(world, False)  # octet by octet does not help
    with Within(0.5):
        for octet in connect:
            try:
                peer.raw(bytes([octet]))
            except OSError:
                break
            peer.socket.settimeout(0.1)
            try:
                if peer.socket.recv(1) == b"":
                    break
            except socket.timeout:
                continue
            except ConnectionResetError:  # closed before it had read the last one
                break
            raise AssertionError("answered")
    peer = hasty_caller(world, False)  # nor a pre-connection
    peer.raw(b"\0\x18" + PRECONNECTION)
    peer._read(6)
    with Within(0.5):
        assert peer.is_closed() == b""


@case(377)
def silence(world):
    for level, code, least in (("connected", "3/313", 0.6), ("selected", "3/317", 0.7), ("opened", "3/317", 0.7), ("writing", "3/317", 0.7)):
        peer = hasty_caller(world)
        if level != "connected":
            getattr(peer, level)("P377")
        if level == "writing":
            for point in (1, 2, 3):
                peer.send("DTF", data=FILE[:1000])
                peer.point(point)
                expect(peer.receive(), "ACK(SYN)")
        with Within(least):
            expect(peer.receive(), "ABORT", code)
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.is_closed() == b""
    peer = hasty_caller(world)
    peer.writing("P377")
    peer.send("DTF", data=b"x")
    peer.end_data()
    with Within(0.7):
        expect(peer.receive(), "ABORT", "3/317")
    assert hasty(world).ended("P377", "failed")["diag"] == "3-317"
    assert hasty(world).received("in/P377") is None
    hasty_caller(world).bank_serves()


@case(382)
def messages_keep_the_connection(world):
    peer = hasty_caller(world)
    for _ in range(5):
        assert peer.ask("MSG", specimen("MSG")).name == "ACK(MSG)"
        peer.is_silent(0.4)
    assert peer.write("P382", b"works") == "0/000"


@case(383, half="server")
def slow_is_not_silent(world):
    peer = hasty_caller(world)
    peer.writing("P383")
    article = peer.say("DTF", data=FILE[:1000])
    entity = len(article).to_bytes(2, "big") + article
    for at in range(0, len(entity), 100):
        peer.raw(entity[at:at + 100])
        peer.is_silent(0.3)
    peer.end_data()
    expect(peer.finish(FILE[:1000]), "ACK(TRANS.END)")
    peer.leave()
    assert hasty(world).received("in/P383") == FILE[:1000]


@case(385, half="server")
def partner_does_not_read(world):
    content = bytes(40 << 20)
    hasty(world).offer("dispo/P385", content, "OPEN")
    peer = world.own(Caller(hasty(world)))
    expect(peer.connect("OPEN", sync=(0xFFFF, 4)), "ACONNECT")
    peer.reading("P385")
    with Within(0.5, 8):
        assert hasty(world).ended("P385", "failed", direction="serve")
    hasty_caller(world).bank_serves()


@case(386)
def partner_does_not_close_after_relconf(world):
    peer = hasty_caller(world)
    expect(peer.release(), "RELCONF")
    with Within(0.4, 2.5):
        assert peer.is_closed() == b""
    peer = world.own(Caller(hasty(world), source=next(SOURCES)))  # after RCONNECT too
    expect(peer.connect("NOBODY"), "RCONNECT", "3/304")
    with Within(0.4, 2.5):
        assert peer.is_closed() == b""


@case(387, half="server")
@case(397)
def partner_goes_on_after_our_abort(world):
    peer = hasty_caller(world)
    peer.send("CRF", {2: diag(0, 0)})
    expect(peer.receive(), "ABORT", "3/311")
    with Within(0.4, 2.5):
        for _ in range(5):
            peer.send("CREATE", specimen("CREATE"))
            peer.raw(b"garbage")
        assert peer.is_closed() == b""
    hasty_caller(world).bank_serves()


def slow_sync(own):
    data = own.folder / "spool/transfers" / own.spooled()[-1]
    return Strace(own.process.pid, own.folder / "strace", "fdatasync", "fdatasync:delay_exit=1300000:when=1", data)


@case(389)
def slow_disk(world):
    own = world.own(Bank(world.folder(), timers="protocol_ms = 1000; release_ms = 500;").start())
    peer = world.own(Caller(own))
    expect(peer.connect(sync=(32, 2)), "ACONNECT")
    peer.writing("P389")
    with slow_sync(own):
        for point in (1, 2):
            peer.send("DTF", data=FILE[:1000])
            peer.point(point)
        while expect(peer.receive(), "ACK(SYN)").number(20) != 2:
            pass
        peer.send("DTF", data=FILE[:1000])
        peer.end_data()
        expect(peer.ask("TRANS.END", {27: number(3000)}), "ACK(TRANS.END)")
    peer.leave()
    assert own.received("in/P389") == FILE[:1000] * 3
    peer = world.own(Caller(own))  # nothing of ours is said meanwhile
    expect(peer.connect(sync=(32, 0)), "ACONNECT")
    peer.writing("P389b")
    with slow_sync(own) as watch:
        peer.send("DTF", data=FILE[:1000])
        peer.point(1)
        watch.wait_for("fdatasync", "/spool/transfers/")
        peer.send("DTF", data=FILE[:1000])
        peer.end_data()
        expect(peer.ask("TRANS.END", {27: number(2000)}), "ACK(TRANS.END)")


# Q: malformed and hostile

@case(390)
def other_protocols(world):
    chance = random.Random(390)
    hello = bytes.fromhex("16030100c8010000c40303") + chance.randbytes(189)
    for garbage in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", hello, bytes(64), b"\xff" * 64, b"SSH-2.0-x\r\n      ", b"\0\6\0\6\x40\x77\0\1",
                    *(chance.randbytes(chance.randint(8, 3000)) for _ in range(60))):
        peer = world.own(Caller(bank(world)))
        peer.raw(garbage)
        peer.socket.shutdown(socket.SHUT_WR)
        assert peer.is_closed(3) == b"", garbage[:20]
        peer.close()
    caller(world).bank_serves()


@case(391)
def length_without_content(world):
    peers = [hasty_caller(world, False) for _ in range(10)]
    before = memory_kb(hasty(world).process)
    for peer in peers:
        peer.raw(b"\xff\xff" if peer is peers[1] else b"\xff\xff\xff\xff\x40\x20\0\1" + bytes(100))
    peers[0].is_silent(0.2)
    assert memory_kb(hasty(world).process) < before + 10 * 512
    for peer in peers:
        assert peer.is_closed(3) == b""
    for head in (b"\xff\xff\xff\xff\x40\x20\0\1", b"\xff\xff\xff\xfd\x40\x20\0\1"):
        peer = hasty_caller(world, False)
        peer.raw(head)
        with Within(0.5):
            assert peer.is_closed(3) == b""


@case(395)
def connection_reset_within_data(world):
    peer = caller(world)
    peer.writing("Q395")
    peer.send("DTF", data=FILE[:1000])
    peer.point(1)
    expect(peer.receive(), "ACK(SYN)")
    article = peer.say("DTF", data=FILE[:1000])
    peer.raw(len(article).to_bytes(2, "big") + article[:500])
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
    assert bank(world).ended("Q395", "failed")["diag"] == "3-310"
    assert bank(world).received("in/Q395") is None
    caller(world).bank_serves()


@case(401)
def escape_sequences(world):
    evil = b"\x1b]0;owned\x07\x1b[31mred\r\n2026-01-01 forged line\x9b2J"
    expect(answer_to(world, pi99=evil)[0], "ACONNECT")
    refused(world, "3/304", pi3=evil[:24])
    peer = caller(world)
    expect(peer.create("Q401", pi99=evil, pi37=evil, pi61=evil[:20]), "ACK(CREATE)")
    deselect(peer)
    peer.send("ABORT", data=b"\2\3\3\1\x3c" + bytes([99, len(evil)]) + evil, src=1)
    assert peer.is_closed() == b""
    expect(caller(world).ask("MSG", {**specimen("MSG"), 91: evil}), "ACK(MSG)", "2/209")
    log = (bank(world).folder / "pesitd.log").read_bytes()
    assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]", log)
    assert b"\n2026-01-01 forged" not in log
    shown = subprocess.run([node.BUILD / "pesitctl/pesitctl", "--socket", bank(world).folder / "door", "transfers"], capture_output=True,
                           check=True).stdout
    assert b"\x1b" not in shown


@case(402, half="server")
def told_to_end(world):
    own = world.own(Bank(world.folder(), timers=TIMERS).start())
    peer = world.own(Caller(own))
    expect(peer.connect(), "ACONNECT")
    peer.writing("Q402")
    peer.send("DTF", data=FILE[:1000])
    own.process.send_signal(signal.SIGTERM)
    answer = peer.receive()
    if answer.name == "IDT":
        expect(answer, "IDT", "2/216")
        assert answer.number(19) == 4
        peer.send("ACK(IDT)")
        answer = peer.receive()
    expect(answer, "ABORT", "3/316")
    peer.close()
    assert own.process.wait(20) == 0
    assert own.received("in/Q402") is None
    own.start()
    assert own.row("Q402")["state"] == "failed"


# R: several files

@case(405, half="server")
def three_files_in_a_row(world):
    peer = caller(world)
    for i in range(3):
        assert peer.write("R405.%d" % i, FILE[:i * 1000], transfer=i + 1) == "0/000"
        assert bank(world).received("in/R405.%d" % i) == FILE[:i * 1000]
    expect(peer.release(), "RELCONF")


@case(407, half="server")
def refused_then_accepted(world):
    peer = caller(world)
    expect(peer.create("../R407"), "ACK(CREATE)", "2/226")
    expect(peer.select("R407"), "ACK(SELECT)", "2/205")
    assert peer.write("R407", b"works") == "0/000"
    expect(peer.create("R407"), "ACK(CREATE)", "2/204")
    assert peer.write("R407b", b"works") == "0/000"


@case(409)
def two_connections_with_one_number(world):
    peers = [caller(world, own=1) for _ in range(2)]
    for i, peer in enumerate(peers):
        peer.writing("R409.%d" % i)
    for _ in range(3):
        for i, peer in enumerate(peers):
            peer.send("DTF", data=bytes([65 + i]) * 1000)
    for i, peer in enumerate(peers):
        peer.end_data()
        expect(peer.ask("TRANS.END", {27: number(3000), 28: number(3)}), "ACK(TRANS.END)")
        assert bank(world).received("in/R409.%d" % i) == bytes([65 + i]) * 3000


# S: captured exchanges; the requester's messages as they were recorded, numbers patched

CAPTURED = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "LOOP"; identifier = "LOOP"; local_identifier = "CETOM1"; max_entity_bytes = 65535; sync_interval_kb = 32;
  files = ( { pattern = "in/*"; mode = "receive"; }, { pattern = "dispo/*"; mode = "offer"; } ); },
  { name = "CX"; identifier = "CXCLIENT"; local_identifier = "PESITSRV"; password_received = "test123"; max_entity_bytes = 65535;
  sync_interval_kb = 32; sync_window = 2; files = ( { pattern = "dispo/*"; mode = "offer"; record_length = 1024; } ); } );'''
CLOSING = ("000BC01561000203000000", "000BC01361000203000000", "000B402361010203000000")
PUSH = ("001A402000010304" "4C4F4F50" "0406" "4345544F4D31" "060102" "160100",
        "003DC0116100" "09090B01000C0446494C45" "0D028FCC" "110100" "1902FFFF" "1E071F018020020400" "28062901002A0101"
        "320E330C323630313230313335383537",
        "0006C0146100", "0006C0026100", "001200006100" "48656C6C6F20506553495421", "000BC00461000203000000", "0006C0086100", *CLOSING)
PULL = ("001A402000010304" "4C4F4F50" "0406" "4345544F4D31" "060102" "160101",
        "001FC0126100" "090A0B01000C05534D414C4C" "0D0100" "0E0100" "110100" "19021000", "0006C0146100", "0009C0016100120100",
        "0006C0086100", *CLOSING)
CX = ("002F402000620308" "4358434C49454E54" "0408" "5045534954535256" "0508" "7465737431323320" "060102" "0703002002" "160102",
      "0124C0122300" "090D0B01000C085445535446494C45" "0D030024CB" "0E01E0" "110100" "1902FFFF" "63FE" + "20" * 254,
      "000AC014230015020000", "0009C0012300120100")


def captured_bank(world):
    def start():
        own = Bank(world.folder())
        own.configure("BANK1", CAPTURED)
        return own.start()
    return world.once("captured", start)


def replay(peer, messages):
    """Sends each message to the number that the server gave, and gives back the answers; data and their end have none."""
    answers = []
    for text in messages:
        raw = bytearray.fromhex(text)
        if raw[3] == 0x20:
            peer.own = raw[5]
        else:
            raw[4] = peer.peer
        peer.entity(bytes(raw))
        if raw[2:4] in (b"\0\0", b"\xc0\x04"):
            continue
        answer = peer.receive()
        peer.peer = answer.src if answer.name == "ACONNECT" else peer.peer
        answers.append(answer)
    return answers


@case(414)
def captured_push(world):
    peer = world.own(Caller(captured_bank(world)))
    answers = replay(peer, PUSH)
    assert [a.name for a in answers] == ["ACONNECT", "ACK(CREATE)", "ACK(ORF)", "ACK(WRITE)", "ACK(TRANS.END)", "ACK(CRF)", "ACK(DESELECT)",
                                         "RELCONF"], answers
    assert {a.diag for a in answers} == {"0/000"}
    assert (answers[4].number(27), answers[4].number(28)) == (12, 1) and answers[0].values[6] == b"\2"
    assert answers[0].values.get(7, b"\0\0\0") == b"\0\0\0" and answers[1].number(25) == 65535 and answers[3].number(18) == 0
    assert captured_bank(world).received("in/FILE", "LOOP") == b"Hello PeSIT!"


@case(415)
def captured_pull(world):
    content = b"twenty-six octets of data\n"
    captured_bank(world).offer("dispo/SMALL", content, "LOOP")
    peer = world.own(Caller(captured_bank(world)))
    answers = replay(peer, PULL[:4])
    assert [(a.name, a.diag) for a in answers] == [(n, "0/000") for n in ("ACONNECT", "ACK(SELECT)", "ACK(ORF)", "ACK(READ)")], answers
    assert answers[1].number(13) != 0 and answers[1].values[12] == b"SMALL" and answers[1].number(25) == 4096
    assert b"".join(peer.take_data()[0]) == content
    answers = replay(peer, PULL[4:])
    assert [(a.name, a.diag) for a in answers] == [(n, "0/000") for n in ("ACK(TRANS.END)", "ACK(CRF)", "ACK(DESELECT)", "RELCONF")], answers
    assert (answers[0].number(27), answers[0].number(28)) == (26, 1)


@case(417)
def captured_select(world):
    content = FILE + bytes(1 << 20)
    content = content[:1 << 20]
    captured_bank(world).offer("dispo/TESTFILE", content, "CX")
    peer = world.own(Caller(captured_bank(world)))
    answers = replay(peer, CX)
    assert [(a.name, a.diag, a.dst) for a in answers] == [(n, "0/000", 0x62) for n in ("ACONNECT", "ACK(SELECT)", "ACK(ORF)", "ACK(READ)")]
    assert answers[0].values[7] == b"\0\x20\2"
    assert {9, 11, 12, 13, 25, 30, 31, 32, 40, 42, 50, 51} <= set(answers[1].order) and answers[1].number(13) != 0
    articles, _ = peer.take_data()
    assert b"".join(articles) == content and len(articles) == 1024
    answer = expect(peer.ask("TRANS.END", {27: number(1 << 20), 28: number(1024)}), "ACK(TRANS.END)")
    assert (answer.number(27), answer.number(28)) == (1 << 20, 1024)
    close(peer)


# D, G, I: a look at the log and at the disk

@case(109)
def password_cannot_be_changed(world):
    own = world.own(Bank(world.folder()).start())
    own.stop()
    store = sqlite3.connect(own.folder / "store.db")
    store.execute("CREATE TRIGGER readonly BEFORE INSERT ON secrets BEGIN SELECT RAISE(FAIL, 'read-only'); END")
    store.commit()
    store.close()
    own.start()
    refused(world, "3/304", requester="STUBBORN", to=own, pi5=b"secret  newword ")
    expect(answer_to(world, "STUBBORN", own, pi5=b"secret")[0], "ACONNECT")
    refused(world, "3/304", requester="STUBBORN", to=own, pi5=b"newword")


@case(113, half="server")
def no_password_in_the_trace(world):
    own = world.own(Bank(world.folder()))
    own.config.write_text(own.config.read_text(encoding="utf-8").replace('level = "info"', 'level = "debug"'), encoding="utf-8")
    own.start()
    peer = world.own(Caller(own))
    peer.raw(b"\0\x18" + PRECONNECTION)
    peer._read(6)
    expect(peer.connect("ANSWERS"), "ACONNECT")
    assert peer.write("D113", b"data", pi63=b"secretfile") == "0/000"
    peer.close()
    expect(answer_to(world, "CHANGER", own, pi5=b"secret  newword ")[0], "ACONNECT")
    refused(world, "3/304", requester="CHANGER", to=own, pi5=b"wrongone")
    world.end_case()
    log = own.log()
    assert "ACONNECT" in log and "CREATE" in log, "no trace"
    for word in ("secret", "newword", "wrongone", "bankword"):
        for form in (word, word.encode().hex(), word.encode("cp037").hex(), " ".join("%02x" % b for b in word.encode())):
            assert form.lower() not in log.lower().replace("secrets", ""), form


@case(178)
def disk_full(world):
    folder = world.folder()
    own = Bank(folder, "limits: { spool_reserve_mb = 0; };")
    text = own.config.read_text(encoding="utf-8").replace('"spool"', '"disk/spool"').replace('"inbox"', '"disk/inbox"')
    own.config.write_text(text, encoding="utf-8")
    (folder / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder / "disk"], check=True)
    try:
        own.start()
        try:
            peer = world.own(Caller(own))
            expect(peer.connect(), "ACONNECT")
            peer.writing("G178")
            point = 0
            stopped = None
            while stopped is None:
                for _ in range(32):
                    peer.send("DTF", data=FILE[:1024])
                point += 1
                peer.point(point)
                stopped = peer.receive()
                assert stopped.name in ("ACK(SYN)", "IDT") and point < 200, stopped
                stopped = None if stopped.name == "ACK(SYN)" else stopped
            expect(stopped, "IDT", "2/219")
            assert stopped.number(19) == 4
            peer.send("ACK(IDT)")
            close(peer)
            assert not list((folder / "disk/inbox").rglob("G178"))
            assert own.ended("G178", "failed")["diag"] == "2-219"
            assert peer.write("G178b", b"works") == "0/000"
            peer.close()
        finally:
            own.stop()
    finally:
        subprocess.run(["umount", "-l", folder / "disk"], check=True)


@case(179)
def write_error(world):
    own = world.own(Bank(world.folder()).start())
    for call in ("pwritev", "fdatasync"):
        peer = world.own(Caller(own))
        expect(peer.connect(), "ACONNECT")
        peer.writing("G179" + call)
        data = own.folder / "spool/transfers" / own.spooled()[-1]
        with Strace(own.process.pid, own.folder / "strace", call, "%s:error=EIO:when=1" % call, data):
            for point in range(1, 4):
                for _ in range(30):
                    peer.send("DTF", data=FILE[:1024])
                peer.point(point)
                answer = peer.receive()
                if answer.name == "IDT":
                    break
            expect(answer, "IDT", "2/213")
            assert answer.number(19) == 4
        peer.send("ACK(IDT)")
        close(peer)
        assert own.received("in/G179" + call) is None
        assert own.ended("G179" + call, "failed")["diag"] == "2-213"
        assert peer.write("G179b" + call, b"works") == "0/000"


SENDS = "sendto|sendmsg|write|writev"
WRITES = "pwritev|pwritev2|pwrite64|write|writev"
DATA = re.compile(r"/spool/transfers/\d+>")
JOURNAL = ".context>"


def position(calls, name, *parts, after=-1):
    """Index of the first call after another that has all parts, texts or expressions."""
    for index, (called, rest) in enumerate(calls):
        if index > after and called in name.split("|") and all(part.search(rest) if isinstance(part, re.Pattern) else part in rest for part in parts):
            return index
    raise AssertionError("no %s with %s in %s" % (name, parts, calls[max(after, 0):][:40]))


@case(187)
def durable_before_the_end_is_acknowledged(world):
    own = world.own(Bank(world.folder()).start())
    peer = world.own(Caller(own))
    expect(peer.connect(), "ACONNECT")
    peer.writing("G187")
    peer.data(FILE[:30000])
    watch = Strace(own.process.pid, own.folder / "strace", "fsync,fdatasync,rename,renameat,renameat2,pwritev,sendto,sendmsg,write,writev")
    with watch:
        expect(peer.finish(FILE[:30000]), "ACK(TRANS.END)")
        watch.wait_for(SENDS, "\\3007")  # the answer is here before strace has seen the call return
    calls = watch.calls()
    name = position(calls, "rename|renameat|renameat2", "G187")
    sent = position(calls, SENDS, "\\300" + "7")  # C0 37
    assert [i for i in range(name, sent) if calls[i][0] == "fsync" and "inbox" in calls[i][1]], calls
    assert name < sent
    assert own.received("in/G187") == FILE[:30000]
    with Strace(own.process.pid, own.folder / "strace", "fsync,fdatasync,rename,renameat,renameat2,sendto,sendmsg,write,writev") as again:
        assert peer.ask("CRF", {2: diag(0, 0)}).name == "ACK(CRF)"
        deselect(peer)
        peer.writing("G187b", transfer=2)
        peer.data(FILE[:30000])
        expect(peer.finish(FILE[:30000]), "ACK(TRANS.END)")
    calls = again.calls()
    name = position(calls, "rename|renameat|renameat2", "G187b")
    synced = [i for i in range(name) if calls[i][0] in ("fsync", "fdatasync") and DATA.search(calls[i][1])]
    assert synced, calls


@case(222)
def durable_before_a_point_is_acknowledged(world):
    own = world.own(Bank(world.folder()).start())
    peer = world.own(Caller(own))
    expect(peer.connect(), "ACONNECT")
    peer.writing("I222")
    with Strace(own.process.pid, own.folder / "strace", "fsync,fdatasync,pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg") as watch:
        for point in (1, 2):
            peer.send("DTF", data=FILE[:1000])
            peer.point(point)
            assert expect(peer.receive(), "ACK(SYN)").number(20) == point
        watch.wait_for(SENDS, "\\3008", 2)
    calls, at = watch.calls(), -1
    for _ in (1, 2):
        at = position(calls, WRITES, DATA, after=at)
        at = position(calls, "fdatasync|fsync", DATA, after=at)
        at = position(calls, WRITES, JOURNAL, after=at)
        if "DSYNC" not in calls[at][1]:  # durable by itself
            at = position(calls, "fdatasync|fsync", JOURNAL, after=at)
        at = position(calls, SENDS, "\\3008", after=at)  # C0 38
