# SPDX-License-Identifier: Apache-2.0
"""Requester cases of articles, text and packing: group M."""
from cases import case
from fpdu import number
from requesting import company, fetching, sending


def articles_of(world, content, folder, partner="BANK1"):
    """Articles of a file that COMPANY sends, and the messages they came in."""
    order, link = sending(world, content, partner, folder)
    create = link.writing()
    articles, _ = link.take_data()
    messages = [f for f in link.received if f.name.startswith("DTF") and f.name != "DTF.END"]
    end = link.take_end(articles)
    assert (end.number(27), end.number(28)) == (sum(map(len, articles)), len(articles)), end.values
    link.finish()
    order.is_("done")
    link.close()
    return create, articles, messages


def fetched(world, articles, folder, form=0x80, article=80):
    """What a program reads of a file that comes in these articles."""
    order, link = fetching(world, folder=folder)
    link.reading(article=article, form=form)
    for piece in articles:
        link.send("DTF", data=piece)
    link.give_data(b"")
    total = sum(map(len, articles))
    link.give_end(b"", pi27=number(total), pi28=number(len(articles)))
    link.finish()
    link.close()
    return order.received()


@case(305)
def fixed_articles(world):
    content = bytes(range(200)) * 4
    create, articles, _ = articles_of(world, content, "fixe")
    assert (create.number(31), create.number(32)) == (0, 80), create.values
    assert articles == [content[i:i + 80] for i in range(0, 800, 80)]
    us = company(world)
    (us.folder / "source").write_bytes(content + b"x")
    done = us.control("send", "BANK1", us.folder / "source", "fixe/reste", "--no-wait", check=False)
    assert done.returncode == 4 and b"801 is not a multiple of the record length 80" in done.stderr, done
    us.lobbies["BANK1"].is_quiet(0.3)


@case(309, 310, 311, half="requester")
def lines_are_articles(world):
    for content in (b"un\ndeux\ntrois\n", b"un\r\ndeux\r\ntrois\r\n", b"un\ndeux\ntrois"):
        create, articles, _ = articles_of(world, content, "texte")
        assert create.number(31) == 0x80 and create.number(16) == 0, create.values
        assert articles == [b"un", b"deux", b"trois"], articles
    assert fetched(world, [b"un", b"deux"], "lignes") == b"un\ndeux\n"
    assert fetched(world, [b"un", b"deux"], "crlf") == b"un\r\ndeux\r\n"


@case(313)
def an_empty_line_is_a_space(world):
    assert articles_of(world, b"a\n\nb\n", "texte")[1] == [b"a", b" ", b"b"]


@case(314, half="requester")
def an_empty_line_is_empty(world):
    assert articles_of(world, b"a\n\nb\n", "zero")[1] == [b"a", b"", b"b"]


@case(315)
def a_line_that_is_too_long(world):
    order, link = sending(world, b"kurz\n" + b"x" * 81 + b"\n", "BANK1", "texte")
    link.writing()
    link.is_interrupted("2/220", 16)
    link.finish(code=(2, 220))
    order.is_("failed", "2-220")
    link.close()
    assert articles_of(world, b"kurz\n" + b"x" * 81 + b"\n", "coupe")[1] == [b"kurz", b"x" * 80]


@case(318, half="requester")
def all_octets(world):
    content = bytes(range(256)) * 5
    assert b"".join(articles_of(world, content, "out")[1]) == content
    assert fetched(world, [content[:640], content[640:]], "releves", article=1024) == content


@case(319)
def at_most_255_articles_in_a_message(world):
    content = bytes(range(250)) * 12
    _, articles, messages = articles_of(world, content, "octet", "BIG")
    assert b"".join(articles) == content and {len(a) for a in articles} == {1}
    assert max(f.src for f in messages) == 255 and len(messages) < 20, [f.src for f in messages]


@case(325, half="requester")
def segments(world):
    _, articles, messages = articles_of(world, bytes(range(250)) * 12, "quinze", "SMALL")
    assert [len(a) for a in articles] == [1500, 1500]
    assert [(f.name, len(f.data)) for f in messages] == [("DTFDA", 506), ("DTFMA", 506), ("DTFFA", 488)] * 2, messages
