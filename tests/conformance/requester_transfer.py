# SPDX-License-Identifier: Apache-2.0
"""Requester cases of the data phase: groups G, H and I."""
import os
import pathlib
import subprocess
import tempfile
import time

from cases import NotTried, case
from fpdu import diag, number
from requesting import CONTENT, Company, company, fetching, sending
from responder import OWN


def resize(us, before, after):
    """The spooled bytes of a file get another size behind the daemon's back."""
    found = [data for data in (us.folder / "spool/transfers").iterdir() if data.stat().st_size == before]
    assert found, "no spooled file of %d octets" % before
    for data in found:
        os.truncate(data, after)


@case(166, half="requester")
def sends_a_file(world):
    order, link = sending(world)
    link.writing()
    articles, points = link.take_data()
    assert b"".join(articles) == CONTENT and {len(a) for a in articles} == {1024}
    assert [f.name for f in link.received if f.name not in ("DTF", "DTFDA", "DTFMA", "DTFFA", "SYN")] == [
        "CONNECT", "CREATE", "ORF", "WRITE", "DTF.END"] and points
    end = link.take_end(articles)
    assert (end.number(27), end.number(28)) == (1048576, 1024), end.values
    assert order.row()["state"] == "running"
    link.finish()
    row = order.is_("done")
    assert (row["wire_bytes"], row["articles"], row["size_bytes"]) == (1048576, 1024, 1048576), row


@case(167, half="requester")
def sends_an_empty_file(world):
    order, link = sending(world, b"", folder="vide")
    create = link.writing()
    assert create.number(42) == 0, create.values
    assert link.take_data() == ([], []) and [f.name for f in link.received][-2:] == ["WRITE", "DTF.END"]
    end = link.take_end()
    assert (end.number(27, 9), end.number(28, 9)) == (0, 0), end.values
    link.finish()
    order.is_("done")


@case(169, half="requester")
def sends_more_than_four_gib(world):
    if not world.large:
        raise NotTried("moves 4 GiB: --large")
    size = (4 << 30) + (1 << 20)
    us = company(world)
    order, link = sending(world, b"grows", "BIG")
    resize(us, 5, size)  # before CONNECT is answered nobody has looked at it
    link.take_connect()
    create = link.take_create()
    assert create.number(42) == size >> 10, create.values
    link.take_simple("ORF")
    link.take_simple("WRITE")
    # too much to look at every message: their lengths are counted
    stream, total, left = link.socket.makefile("rb", buffering=1 << 20), 0, memoryview(b"")
    while True:
        left = left or memoryview(stream.read(int.from_bytes(stream.read(2), "big")))
        length = int.from_bytes(left[:2], "big")
        message, left = left[:length], left[length:]
        if message[2:4] == b"\xc0\x08":
            break
        if message[2] == 0:
            total += length - 6 - 2 * (message[5] if message[5] > 1 else 0)
    count = bytes(message[6:13])
    assert count == b"\x1b\5" + size.to_bytes(5, "big") and total == size, (count.hex(), total)
    link.send("ACK(TRANS.END)", {2: diag(0, 0), 27: number(size)})
    link.finish()
    order.is_("done")


@case(171)
def a_point_for_a_new_transfer(world):
    for point in (3, 1):
        order, link = sending(world)
        link.selected()
        link.take_simple("ORF")
        link.take_simple("WRITE", pi18=number(point))
        link.is_aborted("3/315", dst=OWN)
        order.is_("failed", "3-315")
        assert order.row()["data_kept"], order.row()


@case(177)
def write_refused(world):
    order, link = sending(world)
    link.selected()
    link.take_simple("ORF")
    link.take_simple("WRITE", code=(2, 213), pi18=None)
    link.finish(code=(2, 213))
    order.is_("waiting", "2-213")


@case(183)
def other_count_in_the_answer(world):
    order, link = sending(world)
    link.writing()
    articles, _ = link.take_data()
    link.take_end(articles, pi27=number(len(CONTENT) - 1))
    link.is_aborted("3/319", dst=OWN)
    order.is_("failed", "3-319")


@case(189, 190)
def source_becomes_shorter(world):
    for size, partner, after in ((len(CONTENT), "BIG", 70000), (64 << 20, "BIG", 10 << 20), (5 << 20, "NOSYNC", 0)):
        order, link = sending(world, bytes(size), partner)
        link.selected()
        resize(company(world), size, after)
        link.take_simple("ORF")
        link.take_simple("WRITE")
        link.is_interrupted("2/213", 4)
        link.finish(code=(2, 213))
        order.is_("waiting", "2-213")
        order.stop()
        link.close()


@case(191)
def unexpected_answer_among_data(world):
    for name in ("ACK(CRF)", "ACK(WRITE)", "ACK(CREATE)", "ACK(TRANS.END)", "DTF.END", "SYN", "ACK(IDT)", "RELCONF", "ACK(MSG)"):
        order, link = sending(world)
        link.writing()
        link.send(name, {"SYN": {20: b"\1"}, "ACK(CREATE)": {2: diag(0, 0), 25: number(4096)}, "RELCONF": {}, "ACK(IDT)": {},
                         "ACK(WRITE)": {2: diag(0, 0), 18: b"\0"}}.get(name, {2: diag(0, 0)}))
        link.is_aborted("3/311", dst=OWN, skip_data=True)
        order.is_("failed", "3-311")


@case(193)
def publishes_before_trans_end(world):
    us = company(world)
    order, link = fetching(world)
    link.reading(size=len(CONTENT))
    with tempfile.NamedTemporaryFile("r") as log:
        tracer = subprocess.Popen(["strace", "-f", "-yy", "-qq", "-p", str(us.process.pid), "-o", log.name, "-e",
                                   "trace=fsync,fdatasync,sendto,sendmsg,write,writev"], stderr=subprocess.PIPE)
        try:
            while "TracerPid:\t0\n" in pathlib.Path("/proc/%d/status" % us.process.pid).read_text(encoding="utf-8"):
                assert tracer.poll() is None, tracer.stderr.read()
                time.sleep(0.01)
            link.give_data(CONTENT)
            link.give_end(CONTENT)
        finally:
            tracer.terminate()
            tracer.wait(10)
        calls = log.read().splitlines()
    link.finish()
    assert order.received() == CONTENT
    synced = [i for i, call in enumerate(calls) if "sync(" in call and "/spool/" in call]
    stored = [i for i, call in enumerate(calls) if "sync(" in call and "store.db" in call]
    sent = [i for i, call in enumerate(calls) if "TCP:" in call and "\\300\\10" in call]
    assert synced and sent and synced[-1] < sent[-1], (synced, stored, sent)


@case(197)
def the_sender_had_not_everything(world):
    order, link = fetching(world)
    link.reading()
    link.give_data(CONTENT, end=(2, 213))
    link.is_interrupted("2/223", 4)
    link.finish(code=None)
    order.is_("waiting")
    order.stop()
    assert not order.target.exists()


@case(198)
def other_count_at_the_end_of_a_read(world):
    order, link = fetching(world)
    link.reading()
    link.give_data(CONTENT)
    link.give_end(CONTENT, pi27=number(len(CONTENT) + 1))
    link.is_aborted("3/319", dst=OWN)
    order.is_("failed", "3-319")
    order.refused()
    order, link = fetching(world)  # refused: closed in order, and the connection goes on
    link.reading()
    link.give_data(CONTENT[:1024])
    link.give_end(CONTENT[:1024], pi2=diag(2, 226))
    link.finish(code=(2, 226))
    order.is_("failed", "2-226")
    order.refused()
    # the answer is lost: the file is here, whole, and is not asked for again
    for last in ("lost", "aborted"):
        link.close()
        order, link = fetching(world)
        link.reading()
        link.give_data(CONTENT)
        link.take("TRANS.END")
        if last == "aborted":
            link.entity(bytes([0, 9, 0x40, 0x25, link.peer, 0, 3, 1, 0x3C]))
        link.close()
        assert order.received() == CONTENT
        order.is_("done")


@case(205)
def the_answer_describes_the_file(world):
    text = b"".join((b"ligne %d" % i).ljust(80) for i in range(100))
    order, link = fetching(world, folder="lignes")
    link.reading(article=80, form=0, size=8000)
    link.give_data(text, article=80)
    link.give_end(text, article=80)
    link.finish()
    assert order.received() == b"".join(text[i:i + 80] + b"\n" for i in range(0, 8000, 80))
    link.close()
    order, link = fetching(world)
    link.take_connect()
    link.take_select(pi42=number(0xFFFFFFFF))
    assert link.take_simple("DESELECT").diag == "2/219"
    order.is_("waiting", "2-219")
    order.stop()
    link.close()
    order, link = fetching(world)
    link.reading(size=10 << 10)
    link.give_data(CONTENT[:11 << 10])
    link.is_interrupted("2/224", 16)
    link.finish(code=(2, 224))
    order.is_("failed", "2-224")
    order.refused()
    link.close()
    order, link = fetching(world, "NOSYNC", "petit")
    link.reading(size=0)
    for _ in range(16 << 10):
        try:
            link.send("DTF", data=bytes(1024))
        except OSError:
            break
    link.is_interrupted("2/219", 4)
    link.finish(code=None)
    order.is_("waiting", "2-219")
    order.stop()
    link.close()
    order, link = fetching(world, "NOSYNC", "petit")  # by the last article only
    link.reading(size=0)
    link.give_data(bytes((1 << 20) + 1), interval=0)
    link.is_interrupted("2/219", 4)
    link.finish(code=None)
    assert order.is_("waiting", "2-219")["cause"] == "no-space"


@case(206)
def a_point_every_32_articles(world):
    order, link = sending(world)
    link.writing()
    articles, points = link.take_data()
    assert points == [32 * n for n in range(1, 32)], points
    link.take_end(articles)
    link.finish()
    order.is_("done")


@case(207)
def a_point_before_the_article_that_is_too_much(world):
    order, link = sending(world, folder="mille")
    link.writing()
    articles, points = link.take_data()
    assert points == [32 * n for n in range(1, len(points) + 1)] and len(points) == 32, points
    assert [len(a) for a in articles] == [1000] * 1048 + [576]
    link.take_end(articles)
    link.finish()
    order.is_("done")


@case(210)
def the_window_is_full(world):
    order, link = sending(world)
    link.writing()
    until_point(link, 1)
    until_point(link, 2)
    link.is_silent(0.4)
    link.send("ACK(SYN)", {20: b"\1"})
    until_point(link, 3)
    link.is_silent(0.4)
    order.cancel()
    link.is_interrupted("2/216", 16)
    link.finish(code=(2, 216))
    order.is_("cancelled")


def until_point(link, n):
    """Takes data up to SYN n."""
    fpdu = link.receive()
    while fpdu.name != "SYN":
        assert fpdu.name in ("DTF", "DTFDA", "DTFMA", "DTFFA"), fpdu.name
        fpdu = link.receive()
    assert fpdu.number(20) == n, fpdu.values


@case(211)
def one_answer_frees_two_points(world):
    order, link = sending(world)
    link.writing()
    until_point(link, 1)
    until_point(link, 2)
    link.is_silent(0.2)
    link.send("ACK(SYN)", {20: b"\2"})
    until_point(link, 3)
    until_point(link, 4)
    link.is_silent(0.2)
    link.send("ACK(SYN)", {20: b"\1"})
    link.is_silent(0.2)
    link.send("ACK(SYN)", {20: b"\4"})
    until_point(link, 5)
    order.cancel()
    link.is_interrupted("2/216", 16)
    link.finish(code=(2, 216))


@case(213)
def a_point_that_was_never_sent(world):
    for point in (5, 3):
        order, link = sending(world)
        link.writing()
        until_point(link, 1)
        until_point(link, 2)
        link.send("ACK(SYN)", {20: number(point)})
        link.is_aborted("3/311", dst=OWN, skip_data=True)
        order.is_("failed", "3-311")


@case(214)
def without_a_window_nobody_waits(world):
    order, link = sending(world, partner="NOWINDOW")
    link.writing()
    articles, points = link.take_data(acknowledge={1, 300})
    assert len(points) > 300 and b"".join(articles) == CONTENT, len(points)
    link.take_end(articles)
    link.finish()
    order.is_("done")


@case(223)
def the_end_does_not_wait_for_points(world):
    order, link = sending(world, CONTENT[:3 * 1024], "ONEKB")
    link.writing()
    articles, points = link.take_data(acknowledge=False)
    assert len(points) == 2, points
    link.take_end(articles)
    link.finish()
    order.is_("done")


@case(225, half="requester")
def points_above_255_and_65535(world):
    content = bytes(70 << 20)
    order, link = sending(world, content, "ONEKB")
    link.writing()
    articles, points, lengths = 0, 0, set()
    while True:
        fpdu = link.receive()
        if fpdu.name == "DTF.END":
            break
        if fpdu.name == "SYN":
            points += 1
            assert fpdu.number(20) == points
            lengths.add((len(fpdu.values[20]), points > 255, points > 65535))
            if points % 4 == 0:
                link.send("ACK(SYN)", {20: number(points)})
        else:
            articles += fpdu.src if fpdu.src > 1 else 1
        link.received.clear()
    assert lengths == {(1, False, False), (2, True, False), (3, True, True)}, lengths
    assert points == (70 << 10) - 1, points
    link.take_end(pi27=number(len(content)), pi28=number(articles))
    link.finish()
    order.is_("done")
