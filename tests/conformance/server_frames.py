# SPDX-License-Identifier: Apache-2.0
"""Group A: entities, headers, units. Chapters 4.5 and 4.7."""
import random

from cases import case
from fpdu import diag, number, unit
from serving import bank, caller, connect_values, expect

ARTICLE = random.Random(1).randbytes(1024)


@case(1)
def connect_octet_by_octet(world):
    peer = caller(world, None)
    connect = peer.say("CONNECT", connect_values(), dst=0, src=1)
    for octet in len(connect).to_bytes(2, "big") + connect:
        peer.raw(bytes([octet]))
    expect(peer.receive(), "ACONNECT")


@case(2)
def three_entities_at_once(world):
    peer = caller(world)
    peer.writing("A2")
    entity = peer.say("DTF", data=ARTICLE)
    peer.raw((len(entity).to_bytes(2, "big") + entity) * 3)
    peer.end_data()
    expect(peer.finish(ARTICLE * 3), "ACK(TRANS.END)")
    peer.leave()
    assert bank(world).received("in/A2") == ARTICLE * 3


@case(3)
def several_messages_in_an_entity(world):
    peer = caller(world)
    peer.writing("A3")
    peer.entity(peer.say("DTF", data=b"one"), peer.say("DTFDA", data=b"tw"), peer.say("DTFMA", data=b"o, t"),
                peer.say("DTFFA", data=b"wo"), peer.say("SYN", {20: number(1)}), peer.say("DTF", data=b"three"))
    assert expect(peer.receive(), "ACK(SYN)").number(20) == 1
    peer.entity(peer.say("DTF", data=b"four"), peer.say("DTF.END", {2: diag(0, 0)}))
    expect(peer.ask("TRANS.END", {27: number(20), 28: number(4)}), "ACK(TRANS.END)")
    peer.leave()
    assert bank(world).received("in/A3") == b"onetwo, twothreefour"


@case(5)
def entity_above_the_agreed_size(world):
    peer = caller(world)
    peer.writing("A5", article=8000)
    peer.send("DTF", data=bytes(4096 - 6))
    peer.send("DTF", data=bytes(4096 - 5))
    peer.is_aborted("3/311")
    assert bank(world).received("in/A5") is None
    for name, fpdus in (("A5a", 5), ("A5b", 4)):  # the same, of several messages
        peer = caller(world)
        peer.writing(name)
        peer.entity(*[peer.say("DTF", data=bytes(1018 if fpdus == 4 else 1000))] * fpdus)
        if fpdus == 5:
            peer.is_aborted("3/311")
        else:
            peer.is_silent()


@case(6)
def message_longer_than_its_entity(world):
    for state in ("connected", "writing"):
        peer = caller(world)
        if state == "writing":
            peer.writing("A6")
        message = bytearray(peer.say("CREATE" if state == "connected" else "SYN", {20: b"\1"}))
        message[0:2] = (len(message) + 1).to_bytes(2, "big")
        peer.entity(bytes(message))
        peer.is_aborted("3/318")


@case(7)
def octets_left_over(world):
    for stray in (b"\1\2\3", b"\0", b"\0\0\0\0\0", bytes(6)):
        peer = caller(world)
        peer.entity(peer.say("CREATE", {11: b"\0", 12: b"A7", 13: b"\1", 17: b"\0", 25: number(4096), 32: b"\1", 42: b"\0",
                                        51: b"261124093000"}), stray)
        peer.is_aborted("3/318")
    assert bank(world).row("A7") is None


@case(9)
def type_without_a_meaning(world):
    for code in (0x77, 0x07, 0x09, 0x0A, 0x10, 0x1A, 0x2F, 0x3C, 0x80, 0xFF):
        peer = caller(world)
        peer.entity(b"\0\6\xc0" + bytes([code, peer.peer, 0]))
        peer.is_aborted("3/311")


@case(10)
def phase_of_another_family(world):
    for phase, code in ((0x00, 0x11), (0x40, 0x11), (0xC0, 0x25), (0xC0, 0x00), (0x80, 0x11), (0x00, 0x25), (0xC0, 0x41)):
        peer = caller(world)
        peer.entity(b"\0\6" + bytes([phase, code, peer.peer, 0]))
        peer.is_aborted("3/311")


@case(11)
def recipient_is_not_us(world):
    for wrong in (0, 255):
        peer = caller(world)
        peer.send("CREATE", {11: b"\0", 12: b"A11"}, dst=wrong)
        peer.is_aborted("3/311")
    for name, values, src in (("RELEASE", {2: diag(0, 0)}, 0), ("RELEASE", {2: diag(0, 0)}, 9)):
        peer = caller(world)
        peer.send(name, values, src=src)  # the sender of RELEASE is the connection's requester
        peer.is_aborted("3/311")
    peer = caller(world)
    peer.writing("A11")
    peer.send("DTF", data=b"x", dst=peer.peer ^ 0xFF)
    peer.is_aborted("3/311")


@case(13)
def connect_without_an_own_number(world):
    peer = caller(world, None)
    peer.send("CONNECT", connect_values(), dst=0, src=0)
    peer.is_aborted("3/311", dst=0)


@case(14)
def connect_that_names_a_recipient(world):
    peer = caller(world, None)
    peer.send("CONNECT", connect_values(), dst=9, src=1)
    peer.is_aborted("3/311", dst=1, src=0)


@case(18)
def free_text_of_blanks(world):
    peer = caller(world, None)
    expect(peer.connect_as("COMPANY", 1, pi99=b" " * 254), "ACONNECT")
    peer = caller(world, None)
    expect(peer.connect_as("COMPANY", 1, pi99=b"x" * 512), "ACONNECT")  # longer than said: accepted all the same


@case(19)
def label_of_300_octets(world):
    peer = caller(world)
    expect(peer.create("A19", pi37=b"L" * 300), "ACK(CREATE)")
    peer = caller(world)
    expect(peer.create("A19b", pi37=b"L" * 80), "ACK(CREATE)")


def creation(peer, pgi9=unit(11, b"\0") + unit(12, b"A2x"), rest=None, order=False):
    """CREATE put together by hand; rest: units after PGI 9."""
    tail = rest if rest is not None else (unit(13, b"\1") + unit(17, b"\0") + unit(25, number(4096)) + unit(30, unit(32, number(1024)))
                                          + unit(40, unit(42, b"\0")) + unit(50, unit(51, b"261124093000")))
    first = unit(9, pgi9)
    peer.send("CREATE", data=unit(13, b"\1") + first + tail[3:] if order else first + tail)


@case(21)
def parameter_beyond_the_end(world):
    for tail in (b"\x63\x05abc", b"\x63\xff\x00\x05abc", b"\x63", b"\x63\xff", b"\x63\xff\x00"):
        peer = caller(world)
        creation(peer, rest=unit(13, b"\1") + unit(17, b"\0") + unit(25, number(4096)) + unit(30, unit(32, number(1024)))
                 + unit(40, unit(42, b"\0")) + unit(50, unit(51, b"261124093000")) + tail)
        peer.is_aborted("3/318")


@case(22)
def parameter_beyond_its_group(world):
    for group in (b"\x20\x03\x04\x00", b"\x20", b"\x1f\x01\x80\x20\xff\x00"):
        peer = caller(world)
        creation(peer, rest=unit(13, b"\1") + unit(17, b"\0") + unit(25, number(4096)) + unit(30, group)
                 + unit(40, unit(42, b"\0")) + unit(50, unit(51, b"261124093000")))
        peer.is_aborted("3/318")


@case(23)
def group_within_a_group(world):
    peer = caller(world)
    creation(peer, rest=unit(13, b"\1") + unit(17, b"\0") + unit(25, number(4096))
             + unit(30, unit(32, number(1024)) + unit(40, unit(42, b"\0"))) + unit(50, unit(51, b"261124093000")))
    peer.is_aborted("3/318")


@case(25)
def out_of_order(world):
    peer = caller(world)
    creation(peer, order=True)
    expect(peer.receive(), "ACK(CREATE)")
    peer = caller(world, "STRICT")
    creation(peer, order=True)
    peer.is_aborted("3/318")


def unknown_parameter(world):
    for stray in ({200: b"x"}, {35: b"x"}, {20: b"\1"}, {254: b"xyz"}):  # 20: known, but not of CREATE
        peer = caller(world)
        expect(peer.create("A26", **{"pi%d" % pi: value for pi, value in stray.items()}), "ACK(CREATE)")
        peer.close()
        peer = caller(world, "STRICT")
        peer.send("CREATE", {11: b"\0", 12: b"A26", 13: b"\1", 17: b"\0", 25: number(4096), 32: b"\1", 42: b"\0", 51: b"261124093000",
                             **stray})
        peer.is_aborted("3/318")


REST = (unit(13, b"\1"), unit(17, b"\0"), unit(25, number(4096)), unit(30, unit(32, number(1024))), unit(40, unit(42, b"\0")),
        unit(50, unit(51, b"261124093000")))


@case(26)
def tolerated_oddities(world):
    """What chapter 4.7.2.1 forbids and harms nobody: the first of two counts, nothing is as if absent."""
    unknown_parameter(world)
    first, again = unit(9, unit(11, b"\0") + unit(12, b"A26first")), unit(9, unit(11, b"\0") + unit(12, b"A26again"))
    odd = {
        "repeated group": first + again + b"".join(REST), "repeated parameter": first + unit(13, b"\1") + b"".join(REST),
        "empty parameter": first + REST[0] + unit(15, b"") + b"".join(REST[1:]),
        "long length": first + b"\x0d\xff\0\1\1" + b"".join(REST[1:]),
        "outside its group": unit(11, b"\0") + unit(12, b"A26first") + b"".join(REST),
        "empty group": first + b"".join(REST) + unit(50, b""),
    }
    for what, body in odd.items():
        peer = caller(world)
        peer.send("CREATE", data=body)
        assert peer.receive().diag == "0/000", what
        assert bank(world).row("A26first") is not None, what
        peer.close()
        bank(world).ended("A26first", "failed")
        peer = caller(world, "STRICT")
        peer.send("CREATE", data=body)
        peer.is_aborted("3/318")


@case(29)
def padded_partner_name(world):
    peer = caller(world, None)
    expect(peer.connect_as("COMPANY".ljust(24), 1, pi4=b"BANK1".ljust(24)), "ACONNECT")


@case(30)
def mandatory_parameters(world):
    whole = {11: b"\0", 12: b"A30", 13: b"\1", 17: b"\0", 25: number(4096), 32: number(1024), 42: b"\0", 51: b"261124093000"}
    for missing in (12, 11, 13, 25, 32, 51):
        peer = caller(world)
        peer.send("CREATE", {pi: value for pi, value in whole.items() if pi != missing})
        peer.is_aborted("3/318")
    for missing in (11, 12, 13, 17, 25):
        peer = caller(world)
        peer.send("SELECT", {pi: value for pi, value in {11: b"\0", 12: b"A30", 13: b"\0", 17: b"\0", 25: number(4096)}.items()
                             if pi != missing})
        peer.is_aborted("3/318")
    for missing in (3, 4, 6, 22):
        peer = caller(world, None)
        peer.send("CONNECT", connect_values(**{"pi%d" % missing: None}), dst=0, src=1)
        peer.is_aborted("3/318", dst=1, src=0)
    peer = caller(world)
    peer.send("RELEASE", src=1)
    peer.is_aborted("3/318")


@case(31)
def syn_without_a_number(world):
    for values in ({}, {20: b"\1\0\0\0"}):
        peer = caller(world)
        peer.writing("A31")
        peer.send("DTF", data=b"data")
        peer.send("SYN", values)
        peer.is_aborted("3/318")
        assert bank(world).received("in/A31") is None


@case(33)
def lengths_of_values(world):
    for name, value in (("pi51", b"26112409300"), ("pi51", b"2611240930000"), ("pi16", b"\0\0"), ("pi31", b"\x80\0"), ("pi13", b"\1\0\0\0"),
                        ("pi25", b"\1\0\0")):
        peer = caller(world)
        peer.send("CREATE", {11: b"\0", 12: b"A33", 13: b"\1", 16: b"\0", 17: b"\0", 25: number(4096), 31: b"\x80", 32: number(1024),
                             42: b"\0", 51: b"261124093000", int(name[2:]): value})
        peer.is_aborted("3/318")
    for ok in ({"pi13": b"\0\0\0\1"}, {"pi25": b"\0\0\x10\0"}, {"pi51": b" " * 12}):  # zeros in front, unknown date
        peer = caller(world)
        expect(peer.create("A33" + next(iter(ok)), **ok), "ACK(CREATE)")


@case(34, half="server")
def all_forms_of_abort(world):
    forms = (b"\3\1\x3c", unit(2, b"\3\1\x3c"), unit(2, b"\3\1\x3c") + unit(99, b"why"), b"", unit(2, b"\3\1\x3c") + unit(29, b"x"), b"\x63")
    for form in forms:
        for src, dst in ((1, None), (0, 0)):
            peer = caller(world)
            peer.writing("A34")
            peer.send("ABORT", data=form, src=src, dst=dst)
            assert peer.is_closed(2) == b""
            row = bank(world).ended("A34", "failed")
            assert row["diag"] == ("3-316" if len(form) > 2 else row["diag"]), row
            peer.bank_serves()
    assert bank(world).received("in/A34") is None


@case(35, half="server")
def own_abort(world):
    peer = caller(world)
    peer.send("CRF", {2: diag(0, 0)})
    expect(peer.receive(), "ABORT", "3/311")
    assert peer.last == bytes([0, 9, 0x40, 0x25, 1, peer.peer, 3, 1, 0x37]), peer.last.hex()
    peer = caller(world, "UNITS")
    peer.send("CRF", {2: diag(0, 0)})
    expect(peer.receive(), "ABORT", "3/311")
    assert peer.last == bytes([0, 11, 0x40, 0x25, 1, peer.peer, 2, 3, 3, 1, 0x37]), peer.last.hex()


@case(39, half="server")
def largest_data_message(world):
    content = random.Random(39).randbytes(65529)
    peer = caller(world, "BIG", sync=(0xFFFF, 2))
    peer.writing("A39", entity=65535, article=65529)
    peer.send("DTF", data=content)
    peer.end_data()
    expect(peer.finish(content, 65529), "ACK(TRANS.END)")
    peer.leave()
    assert bank(world).received("in/A39", "BIG") == content
    bank(world).offer("dispo/A39", content, "BIG")
    answer = expect(peer.select("A39", entity=65535), "ACK(SELECT)")
    assert answer.number(25) == 65535
    expect(peer.ask("ORF"), "ACK(ORF)")
    expect(peer.ask("READ", {18: b"\0"}), "ACK(READ)")
    articles, _ = peer.take_data(interval=len(content))
    assert b"".join(articles) == content
    expect(peer.ask("TRANS.END", {27: number(len(content)), 28: number(len(articles))}), "ACK(TRANS.END)")

