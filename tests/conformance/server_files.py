# SPDX-License-Identifier: Apache-2.0
"""Groups E to H: a file is selected, opened, written, read. Chapters 3.6.3, 4.7.3, 4.7.4."""
import concurrent.futures
import random

from cases import NotTried, case
from fpdu import diag, number
from serving import Caller, bank, caller, expect

FILE = random.Random(4).randbytes(1 << 20)
NOTHING = "0/000"


def close(peer):
    expect(peer.ask("CRF", {2: diag(0, 0)}), "ACK(CRF)")
    expect(peer.ask("DESELECT", {2: diag(0, 0)}), "ACK(DESELECT)")


def deselect(peer):
    expect(peer.ask("DESELECT", {2: diag(0, 0)}), "ACK(DESELECT)")


def creation_refused(peer, code, name, **more):
    """The refusal's list is whole, nothing is left behind, and the connection works on."""
    answer = expect(peer.create(name, **more), "ACK(CREATE)", code)
    assert 25 in answer.values and answer.order == sorted(answer.order), answer
    assert peer.bank.row(name, direction="receive") is None
    peer.send("DESELECT", {2: diag(0, 0)})  # nothing is selected
    peer.is_aborted("3/311")


def creation_aborted(world, code, name, partner="COMPANY", **more):
    peer = caller(world, partner)
    peer.send("CREATE", {11: b"\0", 12: name.encode() if isinstance(name, str) else name, 13: b"\1", 15: b"\0", 16: b"\0", 17: b"\0",
                         25: number(4096), 31: b"\x80", 32: number(1024), 33: b"\0", 41: b"\0", 42: b"\0", 51: b"261124093000",
                         **{int(k[2:]): v for k, v in more.items()}})
    peer.is_aborted(code)


# E: selection

@case(115, half="server")
def file_created(world):
    peer = caller(world)
    before = bank(world).spooled()
    answer = expect(peer.create("E115"), "ACK(CREATE)")
    assert answer.number(25) == 4096 and (answer.dst, answer.src) == (1, 0)
    assert answer.number(13, 1) != 0
    assert bank(world).received("in/E115") is None
    assert len(bank(world).spooled()) == len(before) + 1
    assert bank(world).row("E115")["state"] == "running"


@case(117, 118)
def entity_size(world):
    for partner, proposed, agreed in (("COMPANY", 4096, 4096), ("COMPANY", 65535, 32750), ("SMALL", 65535, 16384), ("SMALL", 16383, 16383),
                                      ("BIG", 65535, 65535), ("COMPANY", 1030, 1030)):
        peer = caller(world, partner)
        assert expect(peer.create("E117", entity=proposed), "ACK(CREATE)").number(25) == agreed
        deselect(peer)
        name = "E117.%d" % proposed
        bank(world).offer("dispo/" + name, b"x", partner)
        assert expect(peer.select(name, entity=proposed), "ACK(SELECT)").number(25) == agreed


@case(121)
def entity_size_without_room(world):
    for size in (0, 1, 5, 6):
        creation_aborted(world, "3/318", "E121", pi25=number(size))
    for size in (7, 100, 127):
        creation_refused(caller(world), "2/226", "E121", entity=size)
    expect(caller(world).create("E121", entity=128), "ACK(CREATE)")


@case(122)
def entity_without_segments(world):
    creation_refused(caller(world, "SMALL"), "2/226", "E122", entity=1000)
    creation_refused(caller(world, "SMALL"), "2/226", "E122", entity=1029)
    expect(caller(world, "SMALL").create("E122", entity=1030), "ACK(CREATE)")
    creation_refused(caller(world, "SMALL"), "2/226", "E122b", entity=16384, article=16379)


@case(125)
def file_exists(world):
    peer = caller(world)
    for kind, folder in ((0, "in"), (10, "remplace"), (11, "numero")):
        assert peer.write("E125", b"first", kind=kind) == NOTHING
        assert bank(world).received(folder + "/E125") == b"first"
    creation_refused(caller(world), "2/204", "E125x") if bank(world).received("in/E125x") else None
    assert peer.write("E125", b"second", transfer=2) == "2/204"
    assert bank(world).received("in/E125") == b"first"
    assert peer.write("E125", b"second", transfer=3, kind=10) == NOTHING
    assert bank(world).received("remplace/E125") == b"second"
    assert peer.write("E125", b"second", transfer=4, kind=11) == NOTHING
    assert bank(world).received("numero/E125") == b"first"
    assert bank(world).received("numero/E125.1") == b"second"


@case(126, 410)
def file_in_use(world):
    first, second = caller(world), caller(world)
    expect(first.create("E126"), "ACK(CREATE)")
    expect(second.create("E126"), "ACK(CREATE)", "2/207")
    expect(second.create("E126", transfer=2), "ACK(CREATE)", "2/207")
    expect(first.ask("ORF"), "ACK(ORF)")
    expect(first.ask("WRITE"), "ACK(WRITE)")
    first.data(b"once")
    expect(first.finish(b"once"), "ACK(TRANS.END)")
    first.leave()
    expect(second.create("E126"), "ACK(CREATE)", "2/204")
    assert bank(world).received("in/E126") == b"once"


@case(127, 398)
def quota(world):
    creation_refused(caller(world), "2/206", "E127", kind=5, space=5000)
    creation_refused(caller(world), "2/206", "E127", kind=5, space=0xFFFFFFFF)
    creation_refused(caller(world), "2/206", "E127", kind=5, space=0xFFFFFFFF, form=0, pi41=b"\1")
    creation_refused(caller(world), "2/206", "E127", kind=5, space=1025, form=0, pi41=b"\1", article=1024)
    expect(caller(world).create("E127", kind=5, space=1024), "ACK(CREATE)")
    expect(caller(world).create("E127b", kind=5, space=1024, form=0, pi41=b"\1", article=1024), "ACK(CREATE)")
    creation_refused(caller(world), "2/206", "E398", space=0xFFFFFFFF)  # 4 TiB: more than the disk has
    creation_refused(caller(world), "2/206", "E398", space=0xFFFFFFFF, form=0, pi41=b"\1", article=32000)


@case(129)
def create_on_a_reading_connection(world):
    creation_refused(caller(world, access=1), "2/226", "E129")
    creation_aborted_with(world, "CREATE", 1)


@case(130)
def select_on_a_writing_connection(world):
    peer = caller(world, access=0)
    answer = expect(peer.select("E130"), "ACK(SELECT)", "2/226")
    assert {11, 12, 13, 25} <= set(answer.values) and answer.number(13) != 0
    expect(peer.create("E130"), "ACK(CREATE)")
    creation_aborted_with(world, "SELECT", 0)


def creation_aborted_with(world, name, access):
    """Where the partner is taken at its word, it is a message out of place."""
    peer = world.own(Caller(bank(world)))
    expect(peer.connect("STRICT", access=access), "ACONNECT")
    peer.send(name, {11: b"\0", 12: b"E129", 13: b"\1", 17: b"\0", 25: number(4096), **({32: number(1024), 42: b"\0", 51: b"261124093000"}
                                                                                      if name == "CREATE" else {})})
    peer.is_aborted("3/311")


@case(131)
def unknown_file(world):
    peer = caller(world)
    bank(world).offer("dispo/E131", b"x", "OTHER")  # another partner's
    for name in ("NOTHING", "E131", "../x", ".x", b"a\0b", "in/E131"):
        for transfer in (0, 77):
            answer = expect(peer.select(name, transfer), "ACK(SELECT)", "2/205")
            assert {11, 12, 13, 25} <= set(answer.values), answer
            assert answer.number(13) == (transfer or answer.number(13)) != 0, answer
    expect(peer.select("E131", kind=3), "ACK(SELECT)", "2/205")
    assert peer.write("E131", b"works") == NOTHING


def read_next(peer, pattern):
    """(name, content) of the file that a generic name gives; None when there is none, busy: another is choosing."""
    answer = peer.select(pattern)
    if answer.diag == "2/205":
        return None
    if answer.diag == "2/207":
        return "busy", b""
    name = expect(answer, "ACK(SELECT)").values[12].decode()
    assert answer.number(11) == 0
    expect(peer.ask("ORF"), "ACK(ORF)")
    expect(peer.ask("READ", {18: b"\0"}), "ACK(READ)")
    articles, _ = peer.take_data()
    content = b"".join(articles)
    expect(peer.ask("TRANS.END", {27: number(len(content)), 28: number(len(articles))}), "ACK(TRANS.END)")
    close(peer)
    return name, content


def read_all(peer, pattern):
    """The names of what this caller gets until nothing is left."""
    while (found := read_next(peer, pattern)) is not None:
        if found[0] != "busy":
            assert found[1] == found[0].encode()
            yield found[0]


@case(133)
def generic_name(world):
    peer = caller(world)
    contents = {}
    for name in ("E133.A", "E133.B", "E133.C"):
        contents[name] = name.encode() * 100
        bank(world).offer("dispo/" + name, contents[name])
    for _ in range(2):
        name, content = read_next(peer, "E133.*")
        assert contents.pop(name) == content
    assert peer.select("E133%").diag == "2/205"
    # several at once: each file goes to one of them
    names = ["E133P%02d" % i for i in range(40)]
    for name in names:
        bank(world).offer("dispo/" + name, name.encode())
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        read = [name for each in pool.map(lambda peer: list(read_all(peer, "E133P*")), [caller(world) for _ in range(4)]) for name in each]
    assert sorted(read) == names


@case(134)
def transfer_number_given_by_us(world):
    bank(world).offer("dispo/E134", b"content")
    peer = caller(world)
    numbers = set()
    for attributes in (0, 0x80, 0x40, 0x20, 0xE0, 0x07):
        answer = expect(peer.select("E134", attributes=attributes), "ACK(SELECT)")
        numbers.add(answer.number(13))
        for bit, members in ((0x80, (31, 32)), (0x40, (42, )), (0x20, (51, ))):
            if attributes & bit:
                assert all(pi in answer.values for pi in members), (attributes, answer)
        assert answer.values[12] == b"E134" and answer.number(13) != 0 and answer.number(16, 9) in (0, 2)
        assert answer.order == sorted(answer.order, key=lambda code: answer.order.index(code))
        deselect(peer)
    assert len(numbers) == 6
    for code in range(0, 0x100, 37):  # undefined bits
        expect(peer.select("E134", attributes=code), "ACK(SELECT)")
        deselect(peer)


@case(135)
def foreign_transfer_number(world):
    bank(world).offer("dispo/E135", b"content")
    peer = caller(world)
    first = expect(peer.select("E135", transfer=77), "ACK(SELECT)").number(13)
    deselect(peer)
    second = expect(peer.select("E135", transfer=77), "ACK(SELECT)").number(13)
    assert 0 not in (first, second) and first != second


@case(137)
def articles_as_unit(world):
    creation_refused(caller(world), "2/200", "E137", pi41=b"\1")
    expect(caller(world).create("E137", pi41=b"\1", form=0), "ACK(CREATE)")
    creation_aborted(world, "3/318", "E137", pi41=b"\2")


@case(138)
def article_length_0(world):
    creation_refused(caller(world), "2/200", "E138", article=0)


@case(139)
def illegal_data_code(world):
    for code in (3, 255):
        creation_aborted(world, "3/318", "E139", pi16=bytes([code]))
    creation_aborted(world, "3/318", "E139", pi15=b"\2")
    for name in ("pi16", "pi15"):
        expect(caller(world).create("E139" + name, **{name: b""}), "ACK(CREATE)")  # LI 0: as if it were not there


@case(141)
def indexed_file(world):
    creation_refused(caller(world), "2/200", "E141", pi33=b"\2", pi38=b"\10", pi39=b"\0")
    creation_refused(caller(world), "2/200", "E141", pi33=b"\1")
    creation_aborted(world, "3/318", "E141", pi33=b"\3")


@case(142)
def sealing_asked_for(world):
    for pi, size in ((71, 3), (73, 4), (75, 4), (77, 4)):
        asked, not_asked = bytes([1] + [1] * (size - 1)), bytes(size)
        creation_refused(caller(world), "2/226", "E142", **{"pi%d" % pi: asked})
        expect(caller(world).create("E142%d" % pi, **{"pi%d" % pi: not_asked}), "ACK(CREATE)")
        bank(world).offer("dispo/E142.%d" % pi, b"x")
        peer = caller(world)
        expect(peer.select("E142.%d" % pi, **{"pi%d" % pi: asked}), "ACK(SELECT)", "2/226")
        expect(peer.select("E142.%d" % pi, **{"pi%d" % pi: not_asked}), "ACK(SELECT)")


@case(143)
def reserved_file_type(world):
    for kind in (0xFFFD, 0xFFFE, 0xFFFF, 99):
        creation_refused(caller(world), "2/226", "E143", kind=kind)


@case(149)
def given_up_before_opening(world):
    peer = caller(world)
    before = bank(world).spooled()
    peer.selected("E149")
    deselect(peer)
    assert bank(world).ended("E149", "failed", "cancelled")
    assert bank(world).spooled() == before
    peer.opened("E149")  # and again, closed without WRITE
    close(peer)
    assert bank(world).spooled() == before
    assert peer.write("E149", b"now", transfer=2) == NOTHING
    assert bank(world).received("in/E149") == b"now"


@case(151)
def names_that_are_paths(world):
    inbox = bank(world).folder / "inbox"
    outside = sorted(p for p in bank(world).folder.rglob("*") if inbox not in p.parents and "spool" not in str(p))
    for name in ("../../x", "a/b", "..", ".", ".x", b"a\0b", "/etc/x", "a/../b", b"a\nb", b"\x1b[2J", b"a\x7f", b"a\\b", "in/x", b"\x9b2J", "a\x85", " "):
        peer = caller(world)
        answer = peer.create(name)
        if answer.name == "ABORT":  # a name of blanks is no name
            assert name == " " and answer.diag == "3/318"
            continue
        assert answer.diag == "2/226", (name, answer.diag)
        assert peer.write("E151", b"works", kind=11) == NOTHING
    for name in ("x" * 77, "x" * 300):
        creation_aborted(world, "3/318", name)
    for name in ("x" * 76, "relev\u00e9 1", b"latin \xe9"):
        assert caller(world).write(name, b"works", kind=10) == NOTHING
    assert bank(world).received("remplace/latin \u00e9") == b"works"
    assert bank(world).row("latin \u00e9")["path"] == "remplace/latin \u00e9"
    assert "CRITICAL" not in bank(world).log()
    assert sorted(p for p in bank(world).folder.rglob("*") if inbox not in p.parents and "spool" not in str(p)) == outside


# F: opening

@case(153, half="server")
def opened(world):
    for values in ({}, {21: b"\0\0"}, {21: b"\0\1"}, {21: b"\0\3"}):
        peer = caller(world)
        peer.selected("F153%s" % values.get(21, b"").hex())
        answer = expect(peer.ask("ORF", values), "ACK(ORF)")
        assert answer.values.get(21, b"\0\0") == b"\0\0"


@case(155)
@case(346, half="server")
def vertical_refused(world):
    for proposed in (b"\1\2", b"\1\1", b"\1\3"):
        peer = caller(world)
        name = "F155" + proposed.hex()
        peer.selected(name)
        answer = expect(peer.ask("ORF", {21: proposed}), "ACK(ORF)")
        assert answer.values[21][0] in (0, 1)
        if answer.values[21] == b"\0\0":
            expect(peer.ask("WRITE"), "ACK(WRITE)")
            peer.data(b"\1\2\2\2\2\2\3")
            expect(peer.finish(b"\1\2\2\2\2\2\3"), "ACK(TRANS.END)")
            peer.leave()
            assert bank(world).received("in/" + name) == b"\1\2\2\2\2\2\3"


@case(159)
def illegal_compression_option(world):
    for option in (b"\1\4", b"\2\1", b"\1\0", b"\xff\xff", b"\1", b"\1\1\1"):
        peer = caller(world)
        peer.selected("F159")
        peer.send("ORF", {21: option})
        peer.is_aborted("3/318")


@case(161)
def opened_twice(world):
    peer = caller(world)
    peer.opened("F161")
    peer.send("ORF")
    peer.is_aborted("3/311")


@case(162)
def closed_and_opened_again(world):
    peer = caller(world)
    peer.opened("F162")
    expect(peer.ask("CRF", {2: diag(0, 0)}), "ACK(CRF)")
    expect(peer.ask("ORF"), "ACK(ORF)")
    expect(peer.ask("WRITE"), "ACK(WRITE)")
    peer.data(b"content")
    expect(peer.finish(b"content"), "ACK(TRANS.END)")
    peer.leave()
    assert bank(world).received("in/F162") == b"content"
    bank(world).offer("dispo/F162", b"content")
    peer.reading("F162", 2)
    expect(peer.ask("CRF", {2: diag(0, 0)}), "ACK(CRF)")
    expect(peer.ask("ORF"), "ACK(ORF)")
    expect(peer.ask("READ", {18: b"\0"}), "ACK(READ)")
    assert b"".join(peer.take_data()[0]) == b"content"


@case(163)
def closed_before_opening(world):
    peer = caller(world)
    peer.selected("F163")
    peer.send("CRF", {2: diag(0, 0)})
    peer.is_aborted("3/311")


# G: write

def write_dialogue(world, name, content):
    peer = caller(world)
    answer = expect(peer.create(name, space=1024), "ACK(CREATE)")
    said = [answer.name]
    for ask in ("ORF", "WRITE"):
        said.append(expect(peer.ask(ask), "ACK(%s)" % ask).name)
    peer.data(content)
    assert bank(world).received("in/" + name) is None
    answer = expect(peer.finish(content), "ACK(TRANS.END)")
    assert (answer.number(27, -1), answer.number(28, -1)) == (len(content), (len(content) + 1023) // 1024), answer
    assert bank(world).received("in/" + name) == content  # already here: the answer promises it
    close(peer)
    row = bank(world).row(name)
    assert (row["state"], row["direction"], row["size_bytes"], row["wire_bytes"]) == ("done", "receive", len(content), len(content)), row
    expect(peer.release(), "RELCONF")
    assert peer.is_closed() == b""


@case(166, half="server")
def whole_dialogue(world):
    write_dialogue(world, "G166", FILE)


@case(167, half="server")
def empty_file(world):
    write_dialogue(world, "G167", b"")


@case(169, half="server")
def count_of_5_gib(world):
    if not world.large:
        raise NotTried("needs --large: 5 GiB of disk and a minute")
    peer = caller(world, "BIG", sync=(0xFFFF, 4))
    peer.writing("G169", entity=65535, article=65529)
    one = peer.say("DTF", data=bytes(65529))
    some = (len(one).to_bytes(2, "big") + one) * 64
    times = (5 << 30) // (64 * 65529) + 1
    for _ in range(times):
        peer.raw(some)
    total = times * 64 * 65529
    assert len(number(total)) == 5
    peer.end_data()
    peer.socket.settimeout(120)
    answer = expect(peer.ask("TRANS.END", {27: number(total), 28: number(times * 64)}), "ACK(TRANS.END)")
    assert answer.values[27] == number(total)
    peer.leave()
    place = bank(world).folder / "inbox/BIG/in/G169"
    assert place.stat().st_size == total
    place.unlink()


@case(170)
def restart_point_of_a_new_file(world):
    peer = caller(world)
    peer.opened("G170")
    assert expect(peer.ask("WRITE"), "ACK(WRITE)").values == {2: diag(0, 0), 18: b"\0"}


@case(173)
def read_of_a_file_to_be_written(world):
    peer = caller(world)
    peer.opened("G173")
    peer.send("READ", {18: b"\0"})
    peer.is_aborted("3/311")
    bank(world).offer("dispo/G173", b"x")
    peer = caller(world)
    peer.reading("G173", 2)
    peer.send("WRITE")
    peer.is_aborted("3/311")


@case(174)
def data_before_write(world):
    for level in ("selected", "opened"):
        for data in ("DTF", "DTFDA", "SYN", "DTF.END"):
            peer = caller(world)
            getattr(peer, level)("G174")
            peer.send(data, {"SYN": {20: b"\1"}, "DTF.END": {2: diag(0, 0)}}.get(data), b"x" if data.startswith("DTF") and data != "DTF.END" else b"")
            peer.is_aborted("3/311")


@case(175)
def data_after_their_end(world):
    for data, values in (("DTF", None), ("SYN", {20: b"\1"}), ("DTF.END", {2: diag(0, 0)}), ("CRF", {2: diag(0, 0)})):
        peer = caller(world)
        peer.writing("G175")
        peer.send("DTF", data=b"x")
        peer.end_data()
        peer.send(data, values, b"" if values else b"x")
        peer.is_aborted("3/311")
        assert bank(world).ended("G175", "failed")["diag"] == "3-311"
    assert bank(world).received("in/G175") is None


@case(181)
def article_count_differs(world):
    peer = caller(world)
    peer.writing("G181")
    peer.data(FILE[:5000])
    answer = expect(peer.ask("TRANS.END", {27: number(5000), 28: number(77)}), "ACK(TRANS.END)")
    assert answer.number(28) == 5
    peer.leave()
    assert bank(world).received("in/G181") == FILE[:5000]
    assert "article counts differ" in bank(world).log()
    peer = caller(world, "STRICT")
    peer.writing("G181")
    peer.data(FILE[:5000])
    peer.send("TRANS.END", {27: number(5000), 28: number(77)})
    peer.is_aborted("3/319")
    assert bank(world).received("in/G181", "STRICT") is None
    assert bank(world).ended("G181", "failed", partner="STRICT")["diag"] == "3-319"


@case(182)
def no_counts_given(world):
    for i, counts in enumerate(({}, {27: number(5000)}, {28: number(5)})):
        peer = caller(world)
        peer.writing("G182.%d" % i)
        peer.data(FILE[:5000])
        answer = expect(peer.ask("TRANS.END", counts), "ACK(TRANS.END)")
        assert (answer.number(27), answer.number(28)) == (5000, 5)
        peer.leave()
        assert bank(world).received("in/G182.%d" % i) == FILE[:5000]


@case(185)
def larger_than_announced(world):
    for name, size, space, unit, code in (("G185a", 20480, 10, 0, "2/224"), ("G185b", 10241, 10, 0, "2/224"), ("G185c", 10240, 10, 0, NOTHING),
                                          ("G185d", 11 * 1024, 10, 1, "2/224"), ("G185e", 10 * 1024, 10, 1, NOTHING), ("G185f", 20480, 0, 0, NOTHING)):
        peer = caller(world)
        peer.writing(name, space=space, pi41=bytes([unit]), form=0 if unit else 0x80)
        peer.data(FILE[:size])
        answer = expect(peer.finish(FILE[:size]), "ACK(TRANS.END)", code)
        assert answer.number(27) == size
        close(peer)
        assert bank(world).received("in/" + name) == (FILE[:size] if code == NOTHING else None)
        row = bank(world).row(name)
        assert (row["state"], row["diag"]) == (("done", row["diag"]) if code == NOTHING else ("failed", "2-224")), row
        assert peer.write(name + "x", b"works") == NOTHING


@case(186)
def sender_reports_an_error(world):
    for code in (213, 215, 299):
        peer = caller(world)
        peer.writing("G186")
        peer.send("DTF", data=b"half")
        peer.end_data(2, code)
        expect(peer.finish(b"half"), "ACK(TRANS.END)", "2/223")
        close(peer)
        assert bank(world).row("G186")["state"] == "failed"
    assert bank(world).received("in/G186") is None
    peer.writing("G186w")
    peer.send("DTF", data=b"half")
    peer.end_data(1, 100)  # a warning is no error
    expect(peer.finish(b"half"), "ACK(TRANS.END)")


@case(399)
def largest_count(world):
    for values in ({27: b"\xff" * 8}, {27: b"\0"}, {27: number(999), 28: number(1)}, {27: number(1001)}, {27: b"\0" * 9 + b"\xff" * 8}):
        peer = caller(world)
        peer.writing("Q399")
        peer.data(FILE[:1000])
        peer.send("TRANS.END", values)
        peer.is_aborted("3/319")
        assert bank(world).received("in/Q399") is None
        assert bank(world).ended("Q399", "failed")["diag"] == "3-319"


# H: read

@case(194)
def restart_point_of_a_new_read(world):
    bank(world).offer("dispo/H194", FILE)
    peer = caller(world)
    peer.reading("H194", 2)
    for point in (2, 1, 999999):
        expect(peer.ask("READ", {18: number(point)}), "ACK(READ)", "2/214")
    expect(peer.ask("READ", {18: b"\0"}), "ACK(READ)")
    articles, points = peer.take_data()
    assert b"".join(articles) == FILE and points >= 31, points
    expect(peer.ask("TRANS.END", {27: number(len(FILE)), 28: number(len(articles))}), "ACK(TRANS.END)")
    close(peer)
    row = bank(world).row("H194", direction="serve")
    assert (row["state"], row["size_bytes"], row["wire_bytes"]) == ("done", len(FILE), len(FILE)), row


@case(195)
def source_vanished(world):
    bank(world).offer("dispo/H195", FILE[5:])
    peer = caller(world)
    peer.reading("H195", 1)
    place = bank(world).folder / "spool/transfers" / newest_data(bank(world), FILE[5:])
    place.unlink()
    answer = peer.ask("ORF")
    if answer.diag == "2/211":
        deselect(peer)
    else:
        expect(peer.ask("READ", {18: b"\0"}), "ACK(READ)", "2/213")
        close(peer)
    expect(peer.select("H195"), "ACK(SELECT)", "2/205")


def newest_data(node, content):
    return next(p.name for p in (node.folder / "spool/transfers").iterdir()
                if p.stat().st_size == len(content) and p.read_bytes() == content)


def served(world, name, content=b"content " * 100):
    """A caller that has taken all data (TDL07), and how many articles."""
    bank(world).offer("dispo/" + name, content)
    peer = caller(world)
    peer.reading(name)
    articles, _ = peer.take_data()
    assert b"".join(articles) == content
    return peer, len(articles)


def still_offered(world, name):
    peer = caller(world)
    expect(peer.select(name), "ACK(SELECT)")
    deselect(peer)


@case(199)
def byte_count_differs(world):
    for wrong in (799, 801, 0, 2**64 - 1):
        peer, _ = served(world, "H199.%d" % wrong)
        peer.send("TRANS.END", {27: number(wrong)})
        peer.is_aborted("3/319")
        assert bank(world).ended("H199.%d" % wrong, "failed", direction="serve")["diag"] == "3-319"
        still_offered(world, "H199.%d" % wrong)
    peer, count = served(world, "H199b")
    answer = expect(peer.ask("TRANS.END", {27: number(800), 28: number(count + 5)}), "ACK(TRANS.END)")
    assert (answer.number(27), answer.number(28)) == (800, count)


@case(201)
def link_lost_before_its_end(world):
    peer, _ = served(world, "H201")
    peer.close()
    bank(world).ended("H201", "failed", direction="serve")
    still_offered(world, "H201")


@case(202)
def late_acknowledgement(world):
    content = FILE[:100 * 1024]
    bank(world).offer("dispo/H202", content)
    peer = caller(world, sync=(32, 4))
    peer.reading("H202")
    taken = points = 0
    while True:
        fpdu = peer.receive()
        taken += len(fpdu.data) if fpdu.src < 2 else len(fpdu.data) - 2 * fpdu.src
        points += fpdu.name == "SYN"
        if fpdu.name == "DTF.END":
            break
    assert taken == len(content) and points == 3, (taken, points)
    peer.send("ACK(SYN)", {20: number(points)})
    expect(peer.ask("TRANS.END", {27: number(len(content))}), "ACK(TRANS.END)")
    close(peer)


@case(203)
def closed_without_its_end(world):
    peer, _ = served(world, "H203")
    peer.send("CRF", {2: diag(0, 0)})
    peer.is_aborted("3/311")
    still_offered(world, "H203")
