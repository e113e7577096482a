# SPDX-License-Identifier: Apache-2.0
"""Requester cases of framing, connection, access control: groups A, C and D."""
from cases import case
from fpdu import diag, number
from requesting import CONTENT, Company, company, sending
from responder import OWN


@case(15)
def aconnect_for_another_number(world):
    order, link = sending(world)
    connect = link.take_connect(reply=False)
    link.send("ACONNECT", {6: b"\2", 7: b"\0\x20\2", 23: b"\0"}, dst=connect.src % 254 + 1, src=OWN)
    link.is_aborted("3/311")
    order.is_("failed", "3-311")


@case(34, half="requester")
def every_form_of_abort_is_understood(world):
    forms = {"bare": bytes([3, 1, 0x2C]), "unit": bytes([2, 3, 3, 1, 0x2C]), "text": bytes([2, 3, 3, 1, 0x2C, 99, 2, 65, 66]), "empty": b""}
    for name, body in forms.items():
        order, link = sending(world)
        link.take_connect(reply=False)
        content = bytes([0, 6 + len(body), 0x40, 0x25, link.peer, 0]) + body
        link.raw(len(content).to_bytes(2, "big") + content)
        assert link.left() == b"", name
        row = order.is_("waiting", "3-300" if body else None)
        assert "abort" in row["error"], row


@case(35, half="requester")
def own_abort_is_bare(world):
    order, link = sending(world)
    link.selected()
    link.take("ORF")
    link.send("ACK(WRITE)", {2: diag(0, 0), 18: b"\0"})
    link.is_aborted("3/311", dst=OWN)
    order.is_("failed", "3-311")
    order, link = sending(world, partner="UNITS")
    link.take_connect()
    link.take("CREATE")
    link.send("ACK(ORF)", {2: diag(0, 0)})
    abort = link.take("ABORT")
    assert (abort.diag, len(link.last)) == ("3/311", 11), link.last.hex()
    order.is_("failed")


@case(37)
def rconnect_with_a_number(world):
    order, link = sending(world)
    connect = link.take_connect(reply=False)
    link.send("RCONNECT", {2: diag(3, 304)}, dst=connect.src, src=9)
    assert link.left() == b""
    order.is_("failed", "3-304")


@case(39, half="requester")
def largest_data_message(world):
    content = bytes(range(256)) * 1024
    order, link = sending(world, content, "BIG", "out")
    link.take_connect()
    create, articles, _ = link.take_file()
    assert create.number(25) == 65535 and b"".join(articles) == content
    order.is_("done")
    order = world.own(company(world).fetch("BIG"))
    link.take_select(size=65529, article=65529)
    link.take_simple("ORF")
    link.take_simple("READ")
    link.give_data(content[:65529], article=65529, interval=0)
    link.give_end(content[:65529], article=65529)
    link.finish()
    assert order.received() == content[:65529]


@case(61)
def message_before_connect(world):
    order, link = sending(world, b"x", "KNOCK")
    assert link.take_knock() == ("PESIT", "COMPANY", "secret")
    link.take_connect()
    link.take_file()
    order.is_("done")
    link.close()
    order, link = sending(world, b"x", "KNOCK")
    link.take_knock("NAK0")
    assert link.left() == b""
    row = order.is_("waiting")
    assert "NAK0" in row["error"], row
    order.stop()
    order, link = sending(world, b"x", "KNOCK")
    link.take_knock("HTTP")
    assert link.left() == b""
    order.is_("waiting")
    order.stop()
    us = world.own(Company(world.folder(), "connect_ms = 500; release_ms = 300").start())
    order = us.send(b"x", "KNOCK")
    link = world.own(us.lobbies["KNOCK"].accept())
    link.take_knock(None)
    assert link.left() == b""
    row = order.is_("waiting")
    assert "before CONNECT" in row["error"], row


@case(65)
def version_of_the_future(world):
    for version in (5, 3, 1, 0):
        order, link = sending(world)
        link.take_connect(pi6=number(version))
        link.is_aborted("3/315", dst=OWN)
        order.is_("failed", "3-315")


@case(74)
def interval_was_raised(world):
    for interval in (64, 33, 0xFFFF):
        order, link = sending(world)
        connect = link.take_connect(reply=False)
        assert connect.values[7] == b"\0\x20\2", connect.values
        link.send("ACONNECT", {6: b"\2", 7: number(interval, 2) + b"\2", 23: b"\0"}, src=OWN)
        link.is_aborted("3/315", dst=OWN)
        order.is_("failed", "3-315")


@case(75)
def window_was_raised(world):
    for window in (4, 3, 255):
        order, link = sending(world)
        link.take_connect(pi7=b"\0\x20" + number(window))
        link.is_aborted("3/315", dst=OWN)
        order.is_("failed", "3-315")


@case(77)
def resynchronisation_was_not_proposed(world):
    order, link = sending(world)
    link.take_connect(pi23=b"\1")
    link.is_aborted("3/315", dst=OWN)
    order.is_("failed", "3-315")


@case(87)
def connect_for_a_connect(world):
    order, link = sending(world)
    link.take_connect(reply=False)
    link.send("CONNECT", {3: b"BANK1", 4: b"COMPANY", 6: b"\2", 22: b"\2"}, dst=0, src=OWN)
    link.is_aborted("3/311")
    order.is_("failed", "3-311")


@case(90)
def closed_before_relconf(world):
    order, link = sending(world, b"x", "BRIEF")
    link.take_connect()
    link.take_file()
    order.is_("done")
    link.take("RELEASE")
    link.close()
    order.is_("done")
    company(world).lobbies["BRIEF"].is_quiet(0.3)


@case(91)
def call_later(world):
    order, link = sending(world, partner="AGAIN")
    connect = link.take_connect(reply=False)
    link.send("RCONNECT", {2: diag(3, 322)}, dst=connect.src)
    link.left()
    row = order.is_("waiting", "3-322")
    assert row["attempts"] == 0, row
    link = world.own(company(world).lobbies["AGAIN"].accept())
    link.take_connect()
    _, articles, _ = link.take_file()
    assert b"".join(articles) == CONTENT
    order.is_("done")


@case(93)
def aborted_while_connecting(world):
    order, link = sending(world)
    connect = link.take_connect(reply=False)
    link.raw(b"\0\x09" + bytes([0, 9, 0x40, 0x25, connect.src, 0, 3, 1, 0x37]))
    assert link.left() == b""
    order.is_("failed", "3-311")


@case(110)
def server_with_a_wrong_password(world):
    for password in (b"wrong", b"bankwor", b"bankword1", b"BANKWORD"):
        order, link = sending(world, partner="PROVE")
        link.take_connect(pi5=password)
        link.is_aborted("3/304", dst=OWN)
        order.is_("failed", "3-304")


@case(111)
def server_without_a_password(world):
    order, link = sending(world, partner="PROVE")
    link.take_connect()
    link.is_aborted("3/304", dst=OWN)
    order.is_("failed", "3-304")
    order, link = sending(world, b"x", partner="PROVE")
    link.take_connect(pi5=b"bankword")
    link.take_file()
    order.is_("done")


@case(113, half="requester")
def no_password_is_logged(world):
    order, link = sending(world, b"x", partner="PROVE")
    connect = link.take_connect(pi5=b"bankword")
    assert connect.values[5] == b"secret", connect.values
    link.take_file()
    order.is_("done")
    log = company(world).log()
    for word in ("secret", "bankword", b"secret".hex(), b"bankword".hex(), b"secret".hex(" "), b"bankword".hex(" ")):
        assert word.lower() not in log.lower(), "the log holds " + word
