# SPDX-License-Identifier: Apache-2.0
"""Groups I to L: synchronisation points, going back, interruption, restart. Chapters 3.6.3 o and p, 3.7 f and o, 4.8."""
import random
import time

from cases import case
from fpdu import diag, number
from serving import bank, caller, expect
from server_files import close, deselect

FILE = random.Random(5).randbytes(200 * 1024)
KB = 1024


def write_with_points(world, name, plan, partner="COMPANY", sync=(32, 2), **more):
    """W3, then what the plan says: a number is that many octets of data, "SYN" a point. The caller."""
    peer = caller(world, partner, sync=sync)
    peer.writing(name, **more)
    return follow(peer, plan)


def follow(peer, plan):
    point = 0
    for step in plan:
        if step == "SYN":
            point += 1
            peer.point(point)
        else:
            for at in range(0, step, 1024):
                peer.send("DTF", data=FILE[at:min(at + 1024, step)])
    return peer


@case(215)
def point_left_out(world):
    for wrong in (3, 1, 0, 999999):
        peer = write_with_points(world, "I215", (KB, "SYN"))
        assert expect(peer.receive(), "ACK(SYN)").number(20) == 1
        peer.point(wrong)
        peer.is_aborted("3/311")
        assert bank(world).received("in/I215") is None
    peer = write_with_points(world, "I215", (KB, ))
    peer.point(2)
    peer.is_aborted("3/311")
    for piece in ("DTFDA", "DTFMA"):  # between the pieces of an article
        peer = caller(world)
        peer.writing("I215")
        peer.send("DTFDA", data=b"x")
        if piece == "DTFMA":
            peer.send("DTFMA", data=b"x")
        peer.point(1)
        peer.is_aborted("3/311")


def interrupted(world, peer, code, name, end_code=12):
    """The server's IDT, what is in flight dropped, ACK(IDT), closed; nothing is left and the connection works."""
    answer = expect(peer.receive(), "IDT", code)
    assert answer.number(19) == end_code
    for dropped in (peer.say("DTF", data=b"late"), peer.say("SYN", {20: b"\7"}), peer.say("DTF.END", {2: diag(0, 0)})):
        peer.entity(dropped)
    peer.is_silent()
    peer.send("ACK(IDT)")
    peer.send("CRF", {2: diag(2, 220)})
    expect(peer.receive(), "ACK(CRF)")
    deselect(peer)
    assert bank(world).received("in/" + name) is None
    row = bank(world).ended(name, "failed", "cancelled")
    assert row["diag"] == code.replace("/", "-"), row
    assert peer.write(name + ".after", b"works", transfer=99) == "0/000"


def nothing_kept(world, before):
    deadline = time.monotonic() + 2
    while not set(bank(world).spooled()) <= set(before):
        assert time.monotonic() < deadline, (before, bank(world).spooled())


@case(217)
def no_point_within_the_interval(world):
    before = bank(world).spooled()
    peer = write_with_points(world, "I217", (34 * KB, ))
    interrupted(world, peer, "2/222", "I217")
    nothing_kept(world, before)
    peer = write_with_points(world, "I217b", (32 * KB, "SYN"))
    assert expect(peer.receive(), "ACK(SYN)").number(20) == 1
    follow(peer, (34 * KB, ))  # counted from the point
    interrupted(world, peer, "2/222", "I217b")
    peer = write_with_points(world, "I217c", (32 * KB, "SYN"))  # exactly the interval
    assert expect(peer.receive(), "ACK(SYN)").number(20) == 1
    peer = write_with_points(world, "I217d", (32 * KB, ), "STRICT")
    peer.is_silent()
    peer.send("DTF", data=b"x")
    answer = expect(peer.receive(), "IDT", "2/222")
    assert answer.number(19) == 12
    peer = write_with_points(world, "I217e", (1024, ), "KB", (1, 2))  # lengths of many articles are not counted
    peer.is_silent()
    peer = caller(world, "STRICT", sync=(1, 2))
    peer.writing("I217f", article=512)
    peer.send("DTF", data=(b"\2\0" + FILE[:512]) * 2, src=2)
    peer.point(1)
    expect(peer.receive(), "ACK(SYN)")


@case(218)
def more_points_than_the_window(world):
    before = bank(world).spooled()
    peer = caller(world, sync=(32, 2))
    peer.writing("I218")
    messages = [peer.say("DTF", data=b"x")]
    for point in (1, 2, 3):
        messages.append(peer.say("SYN", {20: number(point)}))
    peer.entity(*messages)
    interrupted(world, peer, "2/217", "I218")
    nothing_kept(world, before)
    peer = caller(world, sync=(32, 2))
    peer.writing("I218b")
    peer.entity(*messages[:-1])
    assert expect(peer.receive(), "ACK(SYN)").number(20) in (1, 2)


@case(219)
def window_0(world):
    peer = write_with_points(world, "I219", (KB, "SYN", KB, "SYN", KB, "SYN"), sync=(32, 0))
    peer.is_silent(0.3)
    peer.end_data()
    expect(peer.ask("TRANS.END", {27: number(3 * KB)}), "ACK(TRANS.END)")
    peer.leave()
    assert bank(world).received("in/I219") == FILE[:KB] * 3


@case(225, half="server")
def large_numbers_of_points(world):
    content = random.Random(225).randbytes(66_000 * 1024)
    bank(world).offer("dispo/I225", content, "KB")
    peer = caller(world, "KB", sync=(1, 0))
    peer.reading("I225", entity=32000)
    received, last, sizes, since = bytearray(), 0, set(), 0
    while True:
        fpdu = peer.receive()
        if fpdu.name == "SYN":
            assert fpdu.number(20) == last + 1
            last, since = last + 1, 0
            sizes.add(len(fpdu.values[20]))
        elif fpdu.name == "DTF.END":
            break
        else:
            at = 0
            while fpdu.src > 1 and at < len(fpdu.data):
                size = int.from_bytes(fpdu.data[at:at + 2], "big")
                received += fpdu.data[at + 2:at + 2 + size]
                at += 2 + size
                since += size
            if fpdu.src <= 1:
                received += fpdu.data
                since += len(fpdu.data)
            assert since <= KB
    assert bytes(received) == content and last > 65535 and sizes == {1, 2, 3}, (len(received), last, sizes)
    peer.ask("TRANS.END", {27: number(len(content))})
    peer = caller(world, "KB", sync=(1, 0))
    peer.writing("I225", entity=32000, article=16)
    for first in range(1, 66_001, 1000):
        peer.entity(*[peer.say("SYN", {20: number(point)}) for point in range(first, first + 1000)])
    peer.send("DTF", data=b"end")
    peer.end_data()
    expect(peer.finish(b"end"), "ACK(TRANS.END)")


@case(226)
def open_interval(world):
    peer = caller(world, "BIG", sync=(0xFFFF, 4))
    peer.writing("I226", entity=65535, article=60000)
    one = peer.say("DTF", data=bytes(60000))
    one = len(one).to_bytes(2, "big") + one
    for _ in range(1800):
        peer.raw(one)
    peer.end_data()
    expect(peer.ask("TRANS.END", {27: number(1800 * 60000), 28: number(1800)}), "ACK(TRANS.END)")
    peer.leave()
    assert len(bank(world).received("in/I226", "BIG")) == 1800 * 60000


@case(227)
def two_points_without_data(world):
    peer = write_with_points(world, "I227", (KB, ))
    for point in (1, 2):
        peer.point(point)
        assert expect(peer.receive(), "ACK(SYN)").number(20) == point
    peer.end_data()
    expect(peer.finish(FILE[:KB]), "ACK(TRANS.END)")
    peer.leave()
    assert bank(world).received("in/I227") == FILE[:KB]


@case(238, half="server")
def going_back_is_not_agreed(world):
    for name in ("RESYN", "ACK(RESYN)"):
        for state in ("writing", "reading"):
            if state == "reading":
                bank(world).offer("dispo/J238" + name[0], FILE)
            peer = caller(world, sync=(1, 1))
            getattr(peer, state)("J238" + name[0], **({"article": 512} if state == "writing" else {}))
            peer.send(name, {2: diag(1, 100), 18: b"\0"})
            while state == "reading":
                fpdu = peer.receive()
                if fpdu.name == "ABORT":
                    assert fpdu.diag == "3/311"
                    break
            else:
                peer.is_aborted("3/311")


@case(249)
def nothing_to_go_back_in(world):
    peer = caller(world)
    peer.opened("J249")
    peer.send("RESYN", {2: diag(1, 100), 18: b"\0"})
    peer.is_aborted("3/311")


# interruption

def cancel(world, name, **more):
    row = bank(world).row(name, **more)
    assert row["state"] == "running", row
    bank(world).control("cancel", row["id"])


@case(251)
def operator_cancels(world):
    before = bank(world).spooled()
    peer = write_with_points(world, "K251", (KB, ))
    cancel(world, "K251")
    interrupted(world, peer, "2/216", "K251")
    nothing_kept(world, before)
    assert bank(world).row("K251")["state"] == "cancelled"
    bank(world).offer("dispo/K251r", FILE)
    peer = caller(world, sync=(1, 1))
    peer.reading("K251r")
    while peer.receive().name != "SYN":  # it waits for the acknowledgement now
        pass
    cancel(world, "K251r", direction="serve")
    answer = expect(peer.receive(), "IDT", "2/216")
    assert answer.number(19) == 12
    peer.send("ACK(SYN)", {20: b"\1"})
    peer.is_silent()
    peer.send("ACK(IDT)")
    close(peer)
    assert bank(world).ended("K251r", "cancelled", direction="serve")["diag"] == "2-216"
    expect(peer.select("K251r"), "ACK(SELECT)")  # the offer stays


def stopped(world, name, end_code, plan=(KB, "SYN", KB)):
    """A write that the requester interrupted: its caller, in OF02."""
    peer = write_with_points(world, name, plan)
    expect(peer.receive(), "ACK(SYN)")
    peer.interrupt(end_code)
    answer = expect(peer.receive(), "ACK(IDT)")
    assert answer.values == {}
    return peer


@case(253)
def stopped_for_an_error(world):
    peer = stopped(world, "K253", 4)
    close(peer)
    assert bank(world).received("in/K253") is None
    row = bank(world).row("K253")
    assert (row["state"], row["diag"]) == ("failed", "2-216"), row
    assert peer.write("K253b", b"works") == "0/000"
    for code in (4, 16):  # too late: the file is complete
        name = "K253c%d" % code
        peer = write_with_points(world, name, (KB, ))
        peer.end_data()
        expect(peer.finish(FILE[:KB]), "ACK(TRANS.END)")
        peer.interrupt(code)
        expect(peer.receive(), "ACK(IDT)")
        close(peer)
        assert bank(world).received("in/" + name) == FILE[:KB] and bank(world).row(name)["state"] == "done"
        peer = write_with_points(world, name + "d", (KB, ))  # at its end: not too late
        peer.end_data()
        peer.interrupt(code)
        expect(peer.receive(), "ACK(IDT)")
        close(peer)
        assert bank(world).received("in/" + name + "d") is None and bank(world).row(name + "d")["state"] in ("failed", "cancelled")


@case(254)
def suspended(world):
    peer = stopped(world, "K254", 8)
    close(peer)
    assert bank(world).received("in/K254") is None
    assert bank(world).row("K254")["state"] == "failed"
    assert peer.write("K254b", b"works") == "0/000"


@case(259)
def both_at_once(world):
    before = bank(world).spooled()
    peer = write_with_points(world, "K259", (KB, ))
    cancel(world, "K259")
    expect(peer.receive(), "IDT", "2/216")
    peer.interrupt(16)
    expect(peer.receive(), "ACK(IDT)")
    peer.is_silent()
    close(peer)
    nothing_kept(world, before)
    assert bank(world).row("K259")["state"] == "cancelled"
    assert peer.write("K259b", b"works") == "0/000"


@case(262)
def dropped_until_acknowledged(world):
    peer = write_with_points(world, "K262", (KB, ))
    cancel(world, "K262")
    expect(peer.receive(), "IDT", "2/216")
    for name, values in (("RESYN", {2: diag(1, 100), 18: b"\0"}), ("DTF", None), ("DTFDA", None), ("SYN", {20: b"\1"}), ("SYN", {20: b"\x63"}),
                         ("DTF.END", {2: diag(0, 0)}), ("TRANS.END", {27: b"\7"})):
        peer.send(name, values, b"" if values else b"x")
    peer.is_silent()
    peer.send("ACK(IDT)")
    close(peer)
    peer = write_with_points(world, "K262b", (KB, ))
    cancel(world, "K262b")
    expect(peer.receive(), "IDT", "2/216")
    peer.send("CRF", {2: diag(0, 0)})  # not of the data phase
    peer.is_aborted("3/311")


@case(265)
def written_again_after_a_cancel(world):
    for code in (16, 12):
        before = bank(world).spooled()
        peer = stopped(world, "K265", code)
        peer.send("WRITE")
        peer.is_aborted("3/311")
        nothing_kept(world, before)
        assert bank(world).row("K265")["state"] == "cancelled"


@case(266)
def opened_again_after_a_suspension(world):
    for code in (8, 12, 16):
        peer = stopped(world, "K266", code)
        expect(peer.ask("CRF", {2: diag(0, 0)}), "ACK(CRF)")
        peer.send("ORF")
        peer.is_aborted("3/311")
    peer = stopped(world, "K266", 8)
    close(peer)
    expect(peer.create("K266", transfer=9), "ACK(CREATE)")  # another selection is free of it
    expect(peer.ask("ORF"), "ACK(ORF)")


@case(267)
def written_again_after_an_error(world):
    for name, again in (("K267", ("WRITE", )), ("K267b", ("CRF", "ORF", "WRITE"))):
        peer = stopped(world, name, 4)
        for request in again:
            answer = expect(peer.ask(request, {2: diag(0, 0)} if request == "CRF" else {}), "ACK(%s)" % request)
        point = answer.number(18)
        assert point in (0, 1)
        left = FILE[point * KB:5 * KB]
        peer.send("DTFDA", data=left[:100])
        peer.send("DTFFA", data=left[100:1000])
        peer.send("DTF", data=left[1000:2000])
        peer.point(point + 1)
        assert expect(peer.receive(), "ACK(SYN)").number(20) == point + 1
        peer.send("DTF", data=left[2000:3000])
        peer.end_data()
        expect(peer.ask("TRANS.END", {27: number(point * KB + 3000)}), "ACK(TRANS.END)")
        peer.leave()
        assert bank(world).received("in/" + name) == FILE[:point * KB] + left[:3000]
        assert bank(world).row(name)["state"] == "done"


@case(269)
def unknown_end_code(world):
    peer = stopped(world, "K269", 99)
    close(peer)
    assert bank(world).received("in/K269") is None
    assert bank(world).row("K269")["state"] == "failed"
    peer = stopped(world, "K269b", 0)
    expect(peer.ask("WRITE"), "ACK(WRITE)")


@case(271)
def stopped_before_it_started(world):
    peer = caller(world)
    peer.opened("K271")
    write, stop = peer.say("WRITE"), peer.say("IDT", {2: diag(2, 216), 19: b"\4"})
    peer.raw(b"".join(len(fpdu).to_bytes(2, "big") + fpdu for fpdu in (write, stop)))
    expect(peer.receive(), "ACK(WRITE)")
    peer.is_aborted("3/311")
    assert bank(world).received("in/K271") is None


@case(277)
def nothing_known_of_it(world):
    peer = caller(world)
    expect(peer.create("L277", transfer=77, restarted=1), "ACK(CREATE)", "2/214")
    assert bank(world).row("L277") is None
    expect(peer.select("L277", transfer=77, restarted=1), "ACK(SELECT)", "2/214")
    bank(world).offer("dispo/L277", b"content")
    expect(peer.select("L277", transfer=77, restarted=1), "ACK(SELECT)", "2/214")
    assert peer.write("L277", b"works") == "0/000"


@case(287)
def restart_of_transfer_0(world):
    peer = caller(world)
    peer.send("SELECT", {11: b"\0", 12: b"L287", 13: b"\0", 15: b"\1", 17: b"\0", 25: number(4096)})
    peer.is_aborted("3/318")
