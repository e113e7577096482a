# SPDX-License-Identifier: Apache-2.0
"""Requester cases of selection and opening: groups E and F."""
from cases import case
from fpdu import diag, number
from requesting import CONTENT, company, fetching, sending
from responder import OWN


@case(115, half="requester")
def create_describes_the_file(world):
    order, link = sending(world)
    create = link.selected()
    assert (create.number(13) != 0, create.number(15), create.number(25), create.number(32)) == (True, 0, 4096, 1024), create.values
    assert create.number(31) & 0x80 and create.number(41) == 0 and create.number(42) == 1024, create.values
    assert len(create.values[51]) == 12 and create.values[51].isdigit(), create.values[51]
    assert create.values[12].decode() == order.path.split("/")[1], create.values[12]
    link.take("ORF")


@case(119)
def entity_size_was_raised(world):
    for size in (8192, 4097, 65535):
        order, link = sending(world)
        link.selected(pi25=number(size))
        link.is_aborted("3/315", dst=OWN)
        order.is_("failed", "3-315")
    order, link = fetching(world)
    link.take_connect()
    link.take_select(pi25=number(8192))
    link.is_aborted("3/315", dst=OWN)
    order.is_("failed", "3-315")
    order.refused()


@case(123)
def articles_do_not_fit(world):
    order, link = sending(world, partner="WHOLE")
    link.selected(pi25=number(1000))
    assert link.take_simple("DESELECT").diag == "2/226"
    order.is_("failed", "2-226")


@case(145)
def refusals_of_create(world):
    again = (201, 202, 203, 206, 207, 213, 215, 219, 221, 299)
    never = (200, 204, 205, 209, 210, 220, 224, 226)
    order, link = sending(world, b"x")
    link.take_connect()
    for code in (*again, *never):
        link.take("CREATE")
        link.send("ACK(CREATE)", {2: diag(2, code)})
        order.is_("failed" if code in never else "waiting", "2-%d" % code)
        order.stop()
        order = world.own(company(world).send(b"x"))
    link.take_file()
    order.is_("done")


@case(146)
def more_groups_than_asked(world):
    order, link = fetching(world)
    link.take_connect()
    fpdu = link.take("SELECT")
    assert fpdu.values[13] in (b"\0", b"\0\0\0") and fpdu.number(15) == 0, fpdu.values
    link.send("ACK(SELECT)", {2: diag(0, 0), 3: b"BANK1", 4: b"COMPANY", 11: fpdu.values[11], 12: fpdu.values[12], 13: number(3),
                              16: b"\0", 25: number(2048), 31: b"\x80", 32: number(1024), 33: b"\0", 37: b"RELEVE", 38: b"\0",
                              39: b"\0", 41: b"\0", 42: number(1024), 51: b"261124093000", 52: b"261124093000"})
    link.take_simple("ORF")
    link.take_simple("READ")
    link.give_data(CONTENT)
    link.give_end(CONTENT)
    link.finish()
    assert order.received() == CONTENT


@case(147)
def select_without_an_identifier(world):
    for changes in ({"pi13": b"\0"}, {"pi13": None}):
        order, link = fetching(world)
        link.take_connect()
        link.take_select(**changes)
        link.is_aborted("3/318", dst=OWN)
        order.is_("failed", "3-318")
        order.refused()


@case(150)
def received_but_not_delivered(world):
    order, link = sending(world)
    link.writing()
    articles, _ = link.take_data()
    link.take_end(articles)
    link.take_simple("CRF")
    link.take_simple("DESELECT", code=(2, 225))
    row = order.is_("done", "2-225")
    assert row["attempts"] == 1, row
    order = world.own(company(world).send(b"said at once"))
    link.take_create()
    link.take_simple("ORF")
    link.take_simple("WRITE")
    link.take_end(link.take_data()[0], code=(2, 225))
    link.finish()
    assert order.is_("done", "2-225")["attempts"] == 1
    order = world.own(company(world).send(b"next"))
    link.take_file()
    order.is_("done")


@case(153, half="requester")
def orf_proposes_nothing(world):
    for answer in (None, b"\0\0"):
        order, link = sending(world, b"x")
        link.selected()
        orf = link.take("ORF")
        assert 21 not in orf.values or orf.values[21] == b"\0\0", orf.values
        link.send("ACK(ORF)", {2: diag(0, 0)} if answer is None else {2: diag(0, 0), 21: answer})
        link.take_simple("WRITE")
        articles, _ = link.take_data()
        link.take_end(articles)
        link.finish()
        order.is_("done")
        link.close()


@case(158)
def compression_was_not_proposed(world):
    order, link = sending(world)
    link.selected()
    link.take_simple("ORF", pi21=b"\1\1")
    link.is_aborted("3/315", dst=OWN)
    order.is_("failed", "3-315")


@case(165)
def crf_answered_badly_after_the_end(world):
    order, link = sending(world)
    link.writing()
    articles, _ = link.take_data()
    link.take_end(articles)
    link.take_simple("CRF", code=(2, 212))
    link.take_simple("DESELECT")
    assert order.is_("done")["attempts"] == 1
