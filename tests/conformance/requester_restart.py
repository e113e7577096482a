# SPDX-License-Identifier: Apache-2.0
"""Requester cases of group L: the answer to TRANS.END was lost, and the whole file is asked for again."""
from cases import case
from requesting import CONTENT, company, sending

AGAIN, UNSURE = "AGAIN", "UNSURE"  # what the partner does not know is sent anew; or is not


def lost(world, partner):
    """(order, CREATE, articles up to each point): TRANS.END has come, its answer never leaves."""
    order, link = sending(world, partner=partner)
    create = link.writing()
    articles, points = link.take_data()
    link.take("TRANS.END")
    link.close()
    return order, create, [articles[:count] for count in points]


def called_again(world, partner, first):
    """The restart: the same numbers, PI 15 = 1; not answered yet."""
    link = world.own(company(world).lobbies[partner].accept())
    link.take_connect()
    create = link.take_create(reply=False)
    assert create.number(15) == 1 and create.values[13] == first.values[13], "no restart of %r: %r" % (first, create)
    assert create.values[12] == first.values[12]
    return link, create


def answer(link, create, code):
    link.answer("ACK(CREATE)", {2: code, 13: create.values[13], 25: create.values[25]})


def sent_anew(order, link, first):
    """A new transfer on the same connection, the whole file, once."""
    create, articles, _ = link.take_file()
    assert create.number(15) == 0 and create.values[13] != first.values[13], create
    assert b"".join(articles) == CONTENT
    order.is_("done")


@case(278)
def a_restart_that_is_not_known(world):
    order, first, _ = lost(world, AGAIN)
    link, create = called_again(world, AGAIN, first)
    answer(link, create, b"\2\0\xD6")
    sent_anew(order, link, first)

    order, first, _ = lost(world, UNSURE)
    link, create = called_again(world, UNSURE, first)
    answer(link, create, b"\2\0\xD6")
    row = order.is_("failed", "2-214")
    assert "ask it before sending again" in row["error"], row["error"]
    link.is_silent()
    link.close()
    company(world).lobbies[UNSURE].is_quiet(1.5)


@case(279)
def a_restart_that_is_refused(world):
    for code in (205, 233):
        order, first, _ = lost(world, AGAIN)
        link, create = called_again(world, AGAIN, first)
        answer(link, create, bytes((2, 0, code)))
        sent_anew(order, link, first)
        link.close()
    # these say nothing about what arrived: never sent anew
    for code in (204, 226):
        order, first, _ = lost(world, UNSURE)
        link, create = called_again(world, UNSURE, first)
        answer(link, create, bytes((2, 0, code)))
        order.is_("failed", "2-%d" % code)
        link.is_silent()
        link.close()
        company(world).lobbies[UNSURE].is_quiet(1.5)


@case(281)
def the_last_answer_is_lost(world):
    for point in (0, 3):
        order, first, known = lost(world, AGAIN)
        link, create = called_again(world, AGAIN, first)
        answer(link, create, b"\0\0\0")
        link.take_simple("ORF")
        link.take_simple("WRITE", pi18=bytes((point,)))
        articles, _ = link.take_data(after=point)
        articles = (known[point - 1] if point else []) + articles
        assert b"".join(articles) == CONTENT
        link.take_end(articles)
        link.finish()
        order.is_("done")
        link.close()


@case(274, half="requester")
def goes_on_at_a_point_that_never_was(world):
    order, first, _ = lost(world, AGAIN)
    link, create = called_again(world, AGAIN, first)
    answer(link, create, b"\0\0\0")
    link.take_simple("ORF")
    link.take_simple("WRITE", pi18=b"\x7F")
    link.is_interrupted("2/214", 4)
    link.finish(code=(2, 214))
    order.is_("failed", "2-214")
    link.close()
    company(world).lobbies[AGAIN].is_quiet(1.5)
