# SPDX-License-Identifier: Apache-2.0
"""Group M: articles as they travel and as they are kept. Chapters 4.4.20, 4.7.1 b, 3.7 x."""
import random

from cases import case
from fpdu import diag, number
from serving import bank, caller, expect
from server_files import close
from server_points import interrupted, nothing_kept

FILE = random.Random(6).randbytes(64 * 1024)


def multi(*articles):
    return b"".join(len(a).to_bytes(2, "big") + a for a in articles)


def sent(world, name, articles, partner="COMPANY", count=None, **more):
    """The articles, one by one, received and published: the file."""
    peer = caller(world, partner)
    peer.writing(name, **more)
    for article in articles:
        peer.send("DTF", data=article)
    return finished(world, peer, name, articles, count, partner, more.get("kind", 0))


def finished(world, peer, name, articles, count=None, partner="COMPANY", kind=0):
    total = sum(map(len, articles))
    peer.end_data()
    answer = expect(peer.ask("TRANS.END", {27: number(total), 28: number(len(articles) if count is None else count)}), "ACK(TRANS.END)")
    assert (answer.number(27), answer.number(28)) == (total, len(articles) if count is None else count), answer
    peer.leave()
    folder = {0: "in", 6: "texte", 7: "crlf", 8: "fixe", 9: "lignes"}[kind]
    return bank(world).received(folder + "/" + name.removeprefix("T."), partner)


def fetched(world, name, kind=0, partner="COMPANY", **more):
    """The articles of an offered file."""
    peer = caller(world, partner)
    answer = expect(peer.select(name, kind=kind, **more), "ACK(SELECT)")
    expect(peer.ask("ORF"), "ACK(ORF)")
    expect(peer.ask("READ", {18: b"\0"}), "ACK(READ)")
    articles, _ = peer.take_data()
    total = sum(map(len, articles))
    expect(peer.ask("TRANS.END", {27: number(total), 28: number(len(articles))}), "ACK(TRANS.END)")
    close(peer)
    assert all(len(a) <= answer.number(32) for a in articles)
    return articles, answer


@case(306)
def record_of_another_length(world):
    for i, length in enumerate((79, 81, 1)):
        before = bank(world).spooled()
        peer = caller(world)
        name = "M306.%d" % i
        peer.writing(name, kind=8, form=0, article=80)
        peer.send("DTF", data=FILE[:80])
        peer.send("DTF", data=FILE[:length])
        interrupted(world, peer, "2/220", name)
        nothing_kept(world, before)
    peer = caller(world)  # in pieces, and several at once
    peer.writing("M306p", form=0, article=80)
    peer.send("DTFDA", data=FILE[:40])
    peer.send("DTFFA", data=FILE[:39])
    interrupted(world, peer, "2/220", "M306p")
    peer = caller(world)
    peer.writing("M306m", form=0, article=80)
    peer.send("DTF", data=multi(FILE[:80], FILE[:79]), src=2)
    interrupted(world, peer, "2/220", "M306m")
    assert sent(world, "M306ok", [FILE[:80], FILE[80:160]], kind=8, form=0, article=80) == FILE[:160]


@case(307)
def article_too_long(world):
    before = bank(world).spooled()
    peer = caller(world)
    peer.writing("M307")
    peer.send("DTF", data=FILE[:1025])
    interrupted(world, peer, "2/220", "M307")
    nothing_kept(world, before)
    peer = caller(world)
    peer.writing("M307p")
    for name, size in (("DTFDA", 1000), ("DTFMA", 24), ("DTFMA", 1)):  # before the article is whole
        peer.send(name, data=FILE[:size])
    interrupted(world, peer, "2/220", "M307p")
    peer = caller(world)
    peer.writing("M307m")
    peer.send("DTF", data=multi(b"a", FILE[:1025], b"b"), src=3)
    interrupted(world, peer, "2/220", "M307m")
    assert sent(world, "M307ok", [FILE[:1024], b"x"]) == FILE[:1024] + b"x"


@case(309, half="server")
def lines_end_in_lf(world):
    assert sent(world, "T.M309", [b"one", b"two ", b"\ttab\r"], kind=6) == b"one\ntwo \n\ttab\r\n"
    bank(world).offer("dispotexte/M309", b"one\r\ntwo \r\n\ttab\r\r\nlast\n")
    articles, answer = fetched(world, "M309", 6)
    assert articles == [b"one", b"two ", b"\ttab\r", b"last"]
    assert answer.number(16) == 0 and answer.values[31] == b"\x80" and answer.number(32) == 512


@case(310, half="server")
def lines_end_in_cr_lf(world):
    assert sent(world, "M310", [b"one", b"two"], kind=7) == b"one\r\ntwo\r\n"
    bank(world).offer("dispotexte/M310", b"one\r\ntwo\r\n")
    assert fetched(world, "M310", 6)[0] == [b"one", b"two"]


@case(311, half="server")
def last_line_without_an_end(world):
    bank(world).offer("dispotexte/M311", b"one\nlast")
    assert fetched(world, "M311", 6)[0] == [b"one", b"last"]
    assert sent(world, "T.M311", [b"one", b"last"], kind=6) == b"one\nlast\n"


@case(314, half="server")
def empty_line_as_nothing(world):
    peer = caller(world)
    peer.writing("T.M314", kind=6)
    peer.send("DTF", data=multi(b"one", b"", b"three", b""), src=4)
    peer.send("DTF", data=multi(b"", b"six"), src=2)
    articles = [b"one", b"", b"three", b"", b"", b"six"]
    assert finished(world, peer, "T.M314", articles, kind=6) == b"one\n\nthree\n\n\nsix\n"
    bank(world).offer("dispozero/M314", b"one\n\nthree\n")
    assert fetched(world, "M314", 16)[0] == [b"one", b"", b"three"]
    bank(world).offer("dispotexte/M314", b"one\n\nthree\n")
    assert fetched(world, "M314", 6)[0] == [b"one", b" ", b"three"]


@case(318, half="server")
def all_octets_untouched(world):
    content = bytes(range(256)) * 3 + b"\r\n\n\0\x1a"
    assert sent(world, "M318", [content[:300], content[300:]], pi16=b"\2") == content
    bank(world).offer("dispo/M318", content)
    articles, answer = fetched(world, "M318")
    assert b"".join(articles) == content and answer.number(16) == 2
    content = content[:720]
    bank(world).offer("dispofixe/M318", content)
    articles, answer = fetched(world, "M318", 8)
    assert b"".join(articles) == content and {len(a) for a in articles} == {80} and answer.values[31] == b"\0"
    bank(world).offer("dispolignes/M318", b"short\n" + b"x" * 80 + b"\n")
    articles, answer = fetched(world, "M318", 9)
    assert articles == [b"short".ljust(80), b"x" * 80] and (answer.values[31], answer.number(32)) == (b"\0", 80)
    assert sent(world, "M318", articles, kind=9, form=0, article=80) == b"short\n" + b"x" * 80 + b"\n"


@case(321)
def count_differs_from_the_lengths(world):
    for count in (4, 2, 255):
        peer = caller(world)
        name = "M321.%d" % count
        peer.writing(name)
        peer.send("DTF", data=multi(b"one", b"two", b"three"), src=count)
        assert finished(world, peer, name, [b"one", b"two", b"three"]) == b"onetwothree"
        peer = caller(world, "STRICT")
        peer.writing(name)
        peer.send("DTF", data=multi(b"one", b"two", b"three"), src=count)
        peer.is_aborted("3/318")
    for content in (multi(b"one", b"two") + b"\0", multi(b"one") + b"\0\7short", b"\0\1", b"\0"):
        peer = caller(world)
        peer.writing("M321")
        peer.send("DTF", data=content, src=2)
        peer.is_aborted("3/318")
    peer = caller(world)
    peer.writing("M321p")
    peer.send("DTFDA", data=b"x")
    peer.send("DTF", data=multi(b"one", b"two"), src=2)
    peer.is_aborted("3/311")


@case(322)
def one_article_with_a_length(world):
    peer = caller(world)
    peer.writing("M322")
    peer.send("DTF", data=multi(b"content"), src=1)
    assert finished(world, peer, "M322", [b"content"]) == b"content"


@case(323)
def one_article_without_a_length(world):
    for i, content in enumerate((b"content", b"\0\1ab", b"x", b"\0\0", b"ab")):
        peer = caller(world)
        peer.writing("M323.%d" % i)
        peer.send("DTF", data=content, src=1)
        assert finished(world, peer, "M323.%d" % i, [content]) == content


@case(325, half="server")
def article_in_pieces(world):
    content = FILE[:4500]
    bank(world).offer("dispo1500/M325", content)
    peer = caller(world)
    answer = expect(peer.select("M325", kind=15, entity=512), "ACK(SELECT)")
    assert (answer.number(25), answer.number(32)) == (512, 1500)
    expect(peer.ask("ORF"), "ACK(ORF)")
    expect(peer.ask("READ", {18: b"\0"}), "ACK(READ)")
    seen = []
    while not seen or seen[-1][0] != "DTF.END":
        fpdu = peer.receive()
        seen.append((fpdu.name, fpdu.data))
    assert [(n, len(d)) for n, d in seen[:-1]] == [("DTFDA", 506), ("DTFMA", 506), ("DTFFA", 488)] * 3, [(n, len(d)) for n, d in seen]
    assert b"".join(d for _, d in seen) == content
    answer = expect(peer.ask("TRANS.END", {27: number(4500), 28: number(3)}), "ACK(TRANS.END)")
    assert answer.number(28) == 3
    close(peer)
    peer.writing("M325", entity=512, article=1500)
    for at in range(0, 4500, 1500):
        peer.send("DTFDA", data=content[at:at + 506])
        peer.send("DTFMA", data=content[at + 506:at + 1012])
        peer.send("DTFFA", data=content[at + 1012:at + 1500])
    assert finished(world, peer, "M325", [content[at:at + 1500] for at in range(0, 4500, 1500)]) == content


@case(326)
def article_within_an_article(world):
    for opening in (("DTFDA", ), ("DTFDA", "DTFMA")):
        for wrong in ("DTF", "DTFDA", "DTF.END"):
            peer = caller(world)
            peer.writing("M326")
            for name in opening:
                peer.send(name, data=b"piece")
            peer.send(wrong, {2: diag(0, 0)} if wrong == "DTF.END" else None, b"" if wrong == "DTF.END" else b"x")
            peer.is_aborted("3/311")
    assert bank(world).received("in/M326") is None


@case(327)
def end_of_an_article_that_did_not_begin(world):
    for wrong in ("DTFFA", "DTFMA"):
        for before in (False, True):
            peer = caller(world)
            peer.writing("M327")
            if before:
                peer.send("DTFDA", data=b"x")
                peer.send("DTFFA", data=b"y")
            peer.send(wrong, data=b"x")
            peer.is_aborted("3/311")


@case(329)
def article_across_entities(world):
    peer = caller(world)
    peer.writing("M329")
    peer.entity(peer.say("DTF", data=multi(b"one", b"two"), src=2), peer.say("DTFDA", data=b"th"))
    peer.entity(peer.say("DTFFA", data=b"ree"), peer.say("DTF", data=b"four"))
    assert finished(world, peer, "M329", [b"one", b"two", b"three", b"four"]) == b"onetwothreefour"


@case(330)
def data_message_without_data(world):
    for i, kinds in enumerate((("DTF", ), ("DTFDA", ), ("DTF", "DTF"))):
        peer = caller(world)
        peer.writing("M330.%d" % i)
        peer.send("DTF", data=b"one")
        for kind in kinds:
            peer.send(kind)
        peer.send("DTF", data=b"two")
        assert finished(world, peer, "M330.%d" % i, [b"one", b"two"]) == b"onetwo"
        peer = caller(world, "STRICT")
        peer.writing("M330")
        peer.send(kinds[0])
        peer.is_aborted("3/318")
    assert "without data" in bank(world).log()


@case(331)
def forms_that_we_do_not_send(world):
    peer = caller(world, "SINGLY")
    peer.writing("M331")
    peer.entity(peer.say("DTF", data=multi(b"one", b"two"), src=2), peer.say("DTFDA", data=b"th"), peer.say("DTFFA", data=b"ree"))
    assert finished(world, peer, "M331", [b"one", b"two", b"three"], partner="SINGLY") == b"onetwothree"
    bank(world).offer("dispo/M331", FILE, "SINGLY")
    peer = caller(world, "SINGLY")
    peer.reading("M331")
    received = b""
    while len(received) < len(FILE):
        fpdu = peer.receive()
        assert fpdu.name in ("DTF", "SYN") and fpdu.src == 0, fpdu.name
        received += fpdu.data
        if fpdu.name == "SYN":
            peer.send("ACK(SYN)", fpdu.values)
    assert received == FILE


@case(403)
def a_million_small_articles(world):
    peer = caller(world, "OPEN", sync=(0xFFFF, 4))
    peer.writing("Q403")
    one = peer.say("DTF", data=b"\0\1x" * 255, src=255)
    entity = len(one).to_bytes(2, "big") + one
    count = 1_000_000 // 255
    for _ in range(count // 100):
        peer.raw(entity * 100)
    peer.raw(entity * (count % 100))
    peer.end_data()
    total = count * 255
    answer = expect(peer.ask("TRANS.END", {27: number(total), 28: number(total)}), "ACK(TRANS.END)")
    assert (answer.number(27), answer.number(28)) == (total, total)
    peer.leave()
    assert bank(world).received("in/Q403", "OPEN") == b"x" * total
