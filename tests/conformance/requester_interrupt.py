# SPDX-License-Identifier: Apache-2.0
"""Requester cases of interruption, timers, hostile answers, several files, captures: groups K, P, Q, R and S."""
import itertools
import random
import signal
import time

import fpdu as codec
from cases import case
from fpdu import diag, number
from peer import Closed
from requesting import CONTENT, Company, company, fetching, sending
from responder import OWN, wait_until
from requester_transfer import until_point


@case(250, half="requester")
def cancelled_while_sending(world):
    order, link = sending(world)
    link.writing()
    until_point(link, 1)
    order.cancel()
    link.is_interrupted("2/216", 16)
    link.finish(code=(2, 216))
    order.is_("cancelled")
    again = world.own(company(world).send(b"next"))
    link.take_file()
    again.is_("done")


@case(255)
def cancelled_while_receiving(world):
    order, link = fetching(world)
    link.reading()
    link.send("DTF", data=bytes(1024))
    order.cancel()
    for _ in range(20):
        link.send("DTF", data=bytes(1024))
    link.is_interrupted("2/216", 16)
    link.finish(code=(2, 216))
    order.is_("cancelled")
    order.refused()


@case(258)
def both_interrupt(world):
    order, link = sending(world)
    link.writing()
    until_point(link, 1)
    order.cancel()
    fpdu = link.receive()
    while fpdu.name != "IDT":
        fpdu = link.receive()
    link.send("IDT", {2: diag(2, 213), 19: b"\4"})
    link.send("ACK(IDT)")
    link.finish(code=(2, 216))
    order.is_("cancelled")


@case(263)
def interrupted_instead_of_the_last_answer(world):
    for end_code, state in ((4, "waiting"), (12, "failed"), (8, "waiting")):
        order, link = sending(world)
        link.writing()
        link.take_data()
        link.take("TRANS.END")
        link.send("IDT", {2: diag(2, 219), 19: number(end_code)})
        link.take("ACK(IDT)")
        link.finish(code=(2, 219))
        order.is_(state, "2-219")
        order.stop()
        link.close()


@case(270)
def ack_of_idt_with_a_diagnostic(world):
    order, link = sending(world)
    link.writing()
    until_point(link, 1)
    order.cancel()
    fpdu = link.receive()
    while fpdu.name != "IDT":
        fpdu = link.receive()
    link.entity(bytes([0, 11, 0xC0, 0x3A, link.peer, 0, 2, 3, 0, 0, 0]))
    link.finish(code=(2, 216))
    order.is_("cancelled")


TIMERS = "release_ms = 400; connect_ms = 1000; protocol_ms = 1000; protocol_long_ms = 1500"


def impatient(world):
    """COMPANY with short timers."""
    return world.once("impatient", lambda: Company(world.folder(), TIMERS).start())


def calls(world, us, partner="BANK1", content=CONTENT):
    order = world.own(us.send(content, partner))
    return order, world.own(us.lobbies[partner].accept())


@case(375)
def connect_is_not_answered(world):
    order, link = calls(world, impatient(world))
    link.take_connect(reply=False)
    link.is_aborted("3/317", dst=0)
    order.is_("waiting", "3-317")


@case(378)
def silence_among_received_data(world):
    us = impatient(world)
    order = world.own(us.fetch())
    link = world.own(us.lobbies["BANK1"].accept())
    link.reading()
    link.send("DTF", data=bytes(1024))
    link.is_aborted("3/317", dst=OWN)
    order.is_("waiting", "3-317")
    order.stop()
    assert not order.target.exists()
    before = {"CREATE": (), "ORF": (), "WRITE": ("ORF",)}
    for step in ("CREATE", "ORF", "WRITE", "TRANS.END", "CRF", "DESELECT"):
        order, link = calls(world, us, content=b"x")
        link.take_connect()
        if step != "CREATE":
            link.take_create()
        for name in before.get(step, ("ORF", "WRITE")):
            link.take_simple(name)
        if step in ("TRANS.END", "CRF", "DESELECT"):
            articles, _ = link.take_data()
        if step in ("CRF", "DESELECT"):
            link.take_end(articles)
        if step == "DESELECT":
            link.take_simple("CRF")
        link.take(step)
        link.is_aborted("3/317", dst=OWN)
        order.is_("done" if step in ("CRF", "DESELECT") else "waiting", None if step in ("CRF", "DESELECT") else "3-317")
        order.stop()


@case(379)
def the_window_stays_full(world):
    order, link = calls(world, impatient(world))
    link.writing()
    until_point(link, 1)
    until_point(link, 2)
    link.is_aborted("3/317", dst=OWN)
    order.is_("waiting", "3-317")


@case(381)
def an_unused_connection_is_released(world):
    order, link = sending(world, b"x", "BRIEF")
    link.take_connect()
    link.take_file()
    order.is_("done")
    began = time.monotonic()
    assert link.take("RELEASE").diag == "0/000"
    assert 0.5 < time.monotonic() - began < 5
    link.send("RELCONF", src=link.own)
    assert link.left() == b""


@case(383, half="requester")
def slow_but_alive(world):
    us = impatient(world)
    order = world.own(us.fetch("NOSYNC"))
    link = world.own(us.lobbies["NOSYNC"].accept())
    link.reading()
    began = time.monotonic()
    for at in range(0, 15 * 1024, 1024):
        link.send("DTF", data=CONTENT[at:at + 1024])
        link.is_silent(0.2)
    assert time.monotonic() - began > 2.5
    link.send("DTF.END", {2: diag(0, 0)})
    link.give_end(CONTENT[:15 * 1024])
    link.finish()
    assert order.received() == CONTENT[:15 * 1024]


@case(385, half="requester")
def the_server_does_not_read(world):
    us = impatient(world)
    order, link = calls(world, us, "NOSYNC", bytes(64 << 20))
    link.writing()
    order.is_("waiting")
    link.close()


@case(387, half="requester")
def the_server_does_not_close_after_our_abort(world):
    order, link = sending(world)
    link.selected()
    link.take("ORF")
    link.send("ACK(CRF)", {2: diag(0, 0)})
    assert link.take("ABORT").diag == "3/311"
    link.send("ACK(ORF)", {2: diag(0, 0)})
    began = time.monotonic()
    assert link.left() == b""
    assert time.monotonic() - began < 3
    order.is_("failed", "3-311")


# states in which a requester waits: how to get there, and what may come
def _waits_connect(world):
    order, link = sending(world, b"x")
    link.take_connect(reply=False)
    return order, link, {"ACONNECT", "RCONNECT"}


def _after(steps, legal):
    def reach(world):
        order, link = sending(world)
        for step in steps:
            step(link)
        return order, link, legal
    return reach


_CONNECT = lambda link: link.take_connect()
_CREATE = lambda link: link.take_create()
_ORF = lambda link: link.take_simple("ORF")
_WRITE = lambda link: link.take_simple("WRITE")
_DATA = lambda link: setattr(link, "articles", link.take_data()[0])
_TRANS = lambda link: link.take_end(link.articles)
_CRF = lambda link: link.take_simple("CRF")
WAITING = {
    "CN02A": _waits_connect,
    "SF01A": _after([_CONNECT, lambda l: l.take("CREATE")], {"ACK(CREATE)"}),
    "OF01A": _after([_CONNECT, _CREATE, lambda l: l.take("ORF")], {"ACK(ORF)"}),
    "TDE01A": _after([_CONNECT, _CREATE, _ORF, lambda l: l.take("WRITE")], {"ACK(WRITE)"}),
    "TDE02A": _after([_CONNECT, _CREATE, _ORF, _WRITE], {"ACK(SYN)", "IDT"}),
    "TDE08A": _after([_CONNECT, _CREATE, _ORF, _WRITE, _DATA, lambda l: l.take("TRANS.END")], {"ACK(TRANS.END)", "ACK(SYN)", "IDT"}),
    "OF03A": _after([_CONNECT, _CREATE, _ORF, _WRITE, _DATA, _TRANS, lambda l: l.take("CRF")], {"ACK(CRF)"}),
    "SF04A": _after([_CONNECT, _CREATE, _ORF, _WRITE, _DATA, _TRANS, _CRF, lambda l: l.take("DESELECT")], {"ACK(DESELECT)"}),
}


def specimen(link, name):
    values = codec.specimen(name) if name not in codec.DATA else {}
    if name in ("ACONNECT", "CONNECT"):
        return link.say(name, values, src=OWN)
    return link.say(name, values, data=b"data" if name in codec.DATA else b"", src=OWN if name in ("RELEASE", "RELCONF") else None)


@case(393, half="requester")
def every_message_in_every_state(world):
    """All of them in a large run; else every fifth in each state, another fifth in the next."""
    for offset, (state, reach) in enumerate(WAITING.items()):
        for name in list(codec.CODES)[0 if world.large else offset % 5::1 if world.large else 5]:
            if name == "ABORT":
                continue
            order, link, legal = reach(world)
            if name in legal:
                link.close()
                order.stop()
                continue
            try:
                link.entity(specimen(link, name))
                link.is_aborted("3/311", skip_data=True)
                order.is_("failed" if state not in ("OF03A", "SF04A") else "done")
            except AssertionError as error:
                raise AssertionError("%s in %s: %s" % (name, state, error)) from error
    order, link = sending(world, b"x")
    link.take_connect()
    link.take_file()
    order.is_("done")


@case(394, half="requester")
def damaged_answers(world):
    """Every answer of a transfer with octets changed: COMPANY goes on living, and nothing damaged is delivered."""
    chance = random.Random(394)
    us = company(world)
    for turn in range(120 if world.large else 24):
        order, link = sending(world, b"x" * 3000) if turn % 2 else fetching(world)
        damage_at = chance.randrange(7)
        sent = itertools.count()
        plain = link.entity

        def damaged(*fpdus, plain=plain, sent=sent, damage_at=damage_at):
            content = bytearray(b"".join(fpdus))
            if next(sent) == damage_at:
                for _ in range(chance.randrange(1, 4)):
                    content[chance.randrange(len(content))] = chance.randrange(256)
            plain(bytes(content))
        link.entity = damaged
        link.socket.settimeout(0.4)
        try:
            if turn % 2:
                link.take_connect()
                link.take_file()
            else:
                link.reading()
                link.give_data(CONTENT[:2048])
                link.give_end(CONTENT[:2048])
                link.finish()
        except (AssertionError, Closed, OSError, ValueError, KeyError):
            pass
        link.close()
        order.stop()
        assert us.alive(), us.log()[-2000:]
    order, link = sending(world, b"x")
    link.take_connect()
    link.take_file()
    order.is_("done")


@case(402, half="requester")
def stopped_while_sending(world):
    us = world.own(Company(world.folder(), "release_ms = 400; drain_ms = 300").start())
    order = us.send()
    link = world.own(us.lobbies["BANK1"].accept())
    link.writing()
    until_point(link, 1)
    us.process.send_signal(signal.SIGTERM)
    fpdu = link.receive()
    while fpdu.name not in ("IDT", "ABORT"):
        fpdu = link.receive()
    if fpdu.name == "IDT":
        assert (fpdu.diag, fpdu.number(19)) == ("2/216", 4), fpdu
        fpdu = link.take("ABORT")
    assert fpdu.diag in ("3/316", "3/312"), fpdu.diag
    link.close()
    assert us.process.wait(10) == 0
    us.start()
    link = world.own(us.lobbies["BANK1"].accept())
    link.take_connect()
    _, articles, _ = link.take_file()
    assert b"".join(articles) == CONTENT
    order.is_("done")


@case(405, half="requester")
def three_files_on_one_connection(world):
    us = company(world)
    orders = [world.own(us.send(b"%d" % i, "BRIEF")) for i in range(3)]
    link = world.own(us.lobbies["BRIEF"].accept())
    link.take_connect()
    assert [link.take_file()[1] for _ in orders] == [[b"0"], [b"1"], [b"2"]]
    for order in orders:
        order.is_("done")
    link.is_released()


@case(407, half="requester")
def a_refusal_between_two_files(world):
    us = company(world)
    first, second = world.own(us.send(b"1", "ONE")), world.own(us.send(b"2", "ONE"))
    link = world.own(us.lobbies["ONE"].accept())
    link.take_connect()
    link.take("CREATE")
    link.send("ACK(CREATE)", {2: diag(2, 226), 25: number(4096)})
    assert link.take_file()[1] == [b"2"]
    first.is_("failed", "2-226")
    second.is_("done")


@case(411)
def a_hundred_files_and_four_connections(world):
    us = company(world)
    low = [world.own(us.send(b"low%d" % i, "POOL", "lent")) for i in range(6)]
    links = [world.own(us.lobbies["POOL"].accept()) for _ in range(4)]
    us.lobbies["POOL"].is_quiet(0.2)
    for link in links:
        link.take_connect()
        link.take_create()
    high = [world.own(us.send(b"high%d" % i, "POOL", "urgent")) for i in range(94)]
    us.lobbies["POOL"].is_quiet(0.2)
    order = []
    for link in links:  # the four that run end; the next that each asks for tells the order
        link.take_simple("ORF")
        link.take_simple("WRITE")
        link.take_end(link.take_data()[0])
        link.finish()
    for turn in range(96):
        articles = links[turn % 4].take_file()[1]
        order.append(b"".join(articles))
    us.lobbies["POOL"].is_quiet(0.05)
    assert {name[:4] for name in order[:94]} == {b"high"} and {name[:3] for name in order[94:]} == {b"low"}, order
    assert len(low + high) == 100
    wait_until(lambda: [row["state"] for row in us.control("transfers", "--partner", "POOL", "--limit", 200)] == ["done"] * 100,
               "all are done")


@case(418)
def article_count_in_the_answer_differs(world):
    order, link = sending(world)
    link.writing()
    articles, _ = link.take_data()
    link.take_end(articles, pi28=number(342))
    link.finish()
    order.is_("done")
    link.close()
    order, link = sending(world, partner="STRICT")
    link.writing()
    articles, _ = link.take_data()
    link.take_end(articles, pi28=number(342))
    link.is_aborted("3/319", dst=OWN)
    order.is_("failed", "3-319")
