# SPDX-License-Identifier: Apache-2.0
"""Rules of virtual files on the wire: templates, days in a partner's zone, names that go and come back, files that are there already."""
import datetime
import errno
import os
import re
import threading

import pytest
from fpdu import number
from mounted import Mounted
from node import Bare, Node
from peer import Requester
from responder import Lobby
from waiting import eventually

COMPANY = '''limits: { spool_reserve_mb = 0; }; timers: { release_ms = 500; drain_ms = 500; };
partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %(port)d;
  outgoing_connections = 1; retry_delays_s = [ 0 ]; time_zone = "%(zone)s";
  files = ( { pattern = "out/*"; mode = "send"; },
            { pattern = "flux/*"; mode = "send"; file_name = "PAIE.{date:%%y%%m%%d}.{counter:6}"; label = "{name}";
              free_text = "{partner} {stem}/{ext} no {counter} at {date} {time:%%H%%M}"; },
            { pattern = "sepa/*"; mode = "send"; file_name = "SEPA"; label = "{name}"; },
            { pattern = "libre/*"; mode = "send"; file_name = "LIBRE"; free_text = "de {name}"; },
            { pattern = "jours/*"; mode = "fetch"; file_name = "J{date:%%Y%%m%%d}"; },
            { pattern = "compte/*"; mode = "fetch"; file_name = "{name}.{date:%%d%%m}.{counter}"; },
            { pattern = "noms/*"; mode = "fetch"; file_name = "{name}"; } ); } );'''
BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "refuse/*"; mode = "receive"; file_type = 1; },
            { pattern = "replace/*"; mode = "receive"; existing = "replace"; file_type = 2; },
            { pattern = "number/*"; mode = "receive"; existing = "number"; file_type = 3; },
            { pattern = "flux/*"; mode = "receive"; file_name = "PAIE.{date}.{counter}"; label = "{name}"; },
            { pattern = "in/*"; mode = "receive"; },
            { pattern = "dispo/*"; mode = "offer"; file_type = 1; },
            { pattern = "version/*"; mode = "offer"; replace_queued = true; file_type = 2; } ); } );'''
SENDER = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  retry_attempts = 1; files = ( %s ); } );''' % (0, ", ".join((
    '{ pattern = "refuse/*"; mode = "send"; file_type = 1; }', '{ pattern = "replace/*"; mode = "send"; file_type = 2; }',
    '{ pattern = "number/*"; mode = "send"; file_type = 3; }', '{ pattern = "out/*"; mode = "send"; }',
    '{ pattern = "flux/*"; mode = "send"; file_name = "PAIE.{date}.{counter}"; label = "{name}"; }',
    '{ pattern = "get/*"; mode = "fetch"; file_type = 2; }')))
FORMAT = "%Y-%m-%d"


def zone_at(hour, minute):
    """A zone in which it is this time now: its name, and what Python knows of it. No whole number of hours from UTC, most often."""
    now = datetime.datetime.now(datetime.timezone.utc)
    minutes = (hour * 60 + minute - now.hour * 60 - now.minute) % 1440
    minutes -= 1440 if minutes > 720 else 0
    name = "%s%02d:%02d" % ("-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60)
    return name, datetime.timezone(datetime.timedelta(minutes=minutes))


class Scene:
    """COMPANY, whose bank is the test: it sees what is on the wire."""

    def __init__(self, folder, zone="UTC"):
        self.folder, self.lobby, self.link = folder, Lobby(), None
        self.node = Bare(folder / "company", "COMPANY", COMPANY % {"port": self.lobby.port, "zone": zone}).start()

    def stop(self):
        if self.link:
            self.link.close()
        self.lobby.stop()
        self.node.stop()

    def called(self):
        self.link = self.lobby.accept()
        self.link.take_connect()
        return self.link

    def queue(self, path, *options, content=b"x"):
        source = self.folder / "source"
        source.write_bytes(content)
        self.node.control("send", "BANK1", source, path, "--no-wait", *options)

    def create(self, path):
        """A file as the bank sees it: CREATE. The connection stays for the next one."""
        self.queue(path)
        return (self.link or self.called()).take_file()[0]

    def asked(self, path):
        """PI 12 of what is asked for when a path of a fetch folder is read; there is no such file."""
        program = ["fetch", "BANK1", path, "-o", self.folder / "none"]
        reader = threading.Thread(target=lambda: self.node.control(*program, check=False))
        reader.start()
        select = (self.link or self.called()).take_select(code=(2, 205))
        reader.join(20)
        return text(select, 12)

    def newest(self):
        return self.node.control("transfers", "--limit", 1)[0]


def text(fpdu, pi):
    return fpdu.values[pi].decode()


@pytest.fixture
def scene(tmp_path):
    made = Scene(tmp_path)
    yield made
    made.stop()


# templates


def test_templates(scene):
    started = datetime.datetime.now(datetime.timezone.utc)
    for number, name in enumerate(("salaires.nov.xml", "sans-suite"), 1):
        create = scene.create("flux/" + name)
        stem, _, ext = name.rpartition(".") if "." in name else (name, "", "")
        match = re.fullmatch(r"BANK1 %s/%s no %d at (\d{8}) (\d{4})" % (stem, ext, number), text(create, 99))
        assert match, create.values[99]
        when = datetime.datetime.strptime(" ".join(match.groups()) + " +0000", "%Y%m%d %H%M %z")
        assert -60 < (when - started).total_seconds() < 60
        assert text(create, 12) == when.strftime("PAIE.%y%m%d.") + "%06d" % number
        assert text(create, 37) == name
        assert scene.newest()["file_name"] == text(create, 12)


def test_other_attempts_say_the_same(scene):
    scene.queue("flux/a.xml")
    scene.called()
    seen = []
    for _ in range(3):
        create = scene.link.take_create(code=(2, 201))
        seen.append([text(create, pi) for pi in (12, 37, 99, 51)] + [create.number(13)])
    assert seen == seen[:1] * 3
    assert scene.link.take_file()[0].number(13) == seen[0][-1]
    assert scene.create("flux/a.xml").values[12][-6:] == b"000002"


def test_the_file_date_is_in_the_zone(tmp_path):
    name, zone = zone_at(0, 1)
    scene = Scene(tmp_path, name)
    create = scene.create("out/a")
    now = datetime.datetime.now(zone)
    told = datetime.datetime.strptime(text(create, 51), "%y%m%d%H%M%S").replace(tzinfo=zone)
    assert abs((now - told).total_seconds()) < 60 and told.hour == 0
    scene.stop()


# days


@pytest.mark.parametrize("hour, minute", [(23, 57), (0, 1), (12, 0)])
def test_days_in_the_zone(tmp_path, hour, minute):
    name, zone = zone_at(hour, minute)
    today = datetime.datetime.now(zone).date()
    yesterday = today - datetime.timedelta(days=1)
    scene = Scene(tmp_path, name)
    days = {"today": today, "latest": today, "yesterday": yesterday, "2024-02-29": datetime.date(2024, 2, 29),
            "quelconque": today}
    for word, day in days.items():
        assert scene.asked("jours/" + word) == day.strftime("J%Y%m%d"), word
        kept = day.strftime(FORMAT) if word != "quelconque" else word
        assert scene.newest()["path"] == "jours/" + kept
    assert text(scene.create("flux/a"), 12)[5:11] == today.strftime("%y%m%d")
    assert scene.node.control("fetch", "BANK1", "jours/2023-02-29", "-o", tmp_path / "none", check=False).returncode != 0
    assert datetime.datetime.now(zone).date() == today, "midnight came: the test took minutes"
    scene.stop()


def test_names_of_days(scene):
    """{name} of a day is its date, whatever it was called; where no date is said, a word is a word."""
    today = datetime.datetime.now(datetime.timezone.utc)
    assert scene.asked("compte/today") == today.strftime(FORMAT + ".%d%m.1")
    assert scene.asked("compte/" + today.strftime(FORMAT)) == today.strftime(FORMAT + ".%d%m.2")
    assert scene.asked("compte/solde") == today.strftime("solde.%d%m.3")
    for name in ("today", "yesterday", "latest", "2023-02-29"):
        assert scene.asked("noms/" + name) == name
        assert scene.newest()["path"] == "noms/" + name


# names


def refused(path):
    """errno of open() to write."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    except OSError as error:
        return error.errno
    return 0


def test_names_refused_at_open(scene):
    mount = Mounted(scene.node).start()
    invalid = ["out/" + "n" * 77, "out/caf\xe9", "out/tab\there", "out/ blank", "out/blank ", "out/line\nend",
               "sepa/" + "n" * 81, "sepa/caf\xe9", "flux/caf\xe9.xml", "libre/caf\xe9", "libre/" + "n" * 252, "out/n\x7f"]
    try:
        for name in invalid:
            assert refused(mount.at(name)) == errno.EINVAL, name
        assert refused(mount.at("jours/a")) == errno.EACCES
        for name in ("out/" + "n" * 76, "out/a b", "sepa/" + "n" * 80, "flux/" + "n" * 80, "libre/" + "n" * 100):
            assert refused(mount.at(name)) == 0, name
    finally:
        mount.stop()
    assert scene.node.control("transfers") == []  # nothing was written


def test_two_names_with_one_name_on_the_wire(scene):
    first, second = scene.create("sepa/a.xml"), scene.create("sepa/b.xml")
    assert text(first, 12) == text(second, 12) == "SEPA"
    assert [text(first, 37), text(second, 37)] == ["a.xml", "b.xml"]
    assert first.number(13) != second.number(13)
    rows = scene.node.control("transfers")
    assert {(row["path"], row["file_name"]) for row in rows} == {("sepa/a.xml", "SEPA"), ("sepa/b.xml", "SEPA")}


@pytest.fixture
def bank(tmp_path):
    node = Bare(tmp_path / "bank", "BANK1", BANK).start()
    yield node
    node.stop()


@pytest.fixture
def company(tmp_path, bank):
    node = Bare(tmp_path / "company", "COMPANY", SENDER.replace("port = 0", "port = %d" % bank.port)).start()
    yield node
    node.stop()


def send(node, tmp_path, path, content):
    """Diagnostic of the file's transfer."""
    source = tmp_path / "source"
    source.write_bytes(content)
    node.control("send", "BANK1", source, path, check=False)
    return node.control("transfers", "--limit", 1)[0]["diag"]


SIGNS = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in "/\\")


def test_names_come_back(tmp_path, bank, company):
    names = ["n" * 76, "a b", "A", "a", "a.A", "a.1", "{name}", "x" + SIGNS[:40], "x" + SIGNS[40:], "PAIE.1", "%41", "~"]
    for folder in ("out/", "flux/"):
        for name in names:
            assert send(company, tmp_path, folder + name, name.encode()) in ("0-000", ""), name
    assert bank.inbox() == sorted("COMPANY/%s/%s" % (folder, name) for folder in ("in", "flux") for name in names)
    for folder in ("in/", "flux/"):
        for name in names:
            assert bank.received(folder + name) == name.encode()


def test_a_name_that_the_other_side_cannot_keep(tmp_path, bank, company):
    assert send(company, tmp_path, "out/a\\b", b"x") == "2-226"
    assert bank.inbox() == []


# what is there already


def test_existing_files(tmp_path, bank, company):
    for content in (b"first", b"second", b"third"):
        answers = [send(company, tmp_path, folder + "/a", content) for folder in ("refuse", "replace", "number")]
        assert answers[1:] == ["", ""] or answers[1:] == ["0-000"] * 2
        assert (answers[0] == "2-204") == (content != b"first")
    assert bank.received("refuse/a") == b"first"
    assert bank.received("replace/a") == b"third"
    assert [bank.received("number/" + name) for name in ("a", "a.1", "a.2")] == [b"first", b"second", b"third"]
    assert len(bank.inbox()) == 5
    assert send(company, tmp_path, "number/a.1", b"fourth") in ("", "0-000")  # a name of its own that is taken
    assert bank.received("number/a.1.1") == b"fourth"


def offer(node, tmp_path, path, content):
    source = tmp_path / "offered"
    source.write_bytes(content)
    return node.control("send", "COMPANY", source, path, check=False)


def test_an_offer_that_waits(tmp_path, bank, company):
    """It is not replaced unless the rule says so; then the newest one is what is fetched."""
    assert offer(bank, tmp_path, "dispo/a", b"first").returncode == 0
    assert offer(bank, tmp_path, "dispo/a", b"second").returncode != 0
    for content in (b"first", b"second"):
        assert offer(bank, tmp_path, "version/a", content).returncode == 0
    eventually(lambda: sorted(row["state"] for row in bank.control("transfers")) == ["cancelled", "queued", "queued"],
               told=lambda: bank.control("transfers"))
    company.control("fetch", "BANK1", "get/a", "-o", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == b"second"


# the flow in PI 12, the name in PI 37


def test_flow_and_name_go_out(tmp_path):
    lobby = Lobby()
    files = """{ pattern = "paie/*"; mode = "send"; file_name = "PAIE"; }, { pattern = "fixe/*"; mode = "send"; label = "F"; },
               { pattern = "out/*"; mode = "send"; }"""
    node = Bare(tmp_path / "company", "COMPANY", """timers: { release_ms = 500; drain_ms = 500; };
        partners = ( { name = "BANK1"; identifier = "BANK1"; address = "127.0.0.1"; port = %d; profile = "cft";
        outgoing_connections = 1; files = ( %s ); } );""" % (lobby.port, files)).start()
    source, link = tmp_path / "source", None
    source.write_bytes(b"x")
    for path, flow, name in (("paie/salaires.xml", "PAIE", "salaires.xml"), ("out/a", "a", "a"), ("fixe/a", "a", "F")):
        node.control("send", "BANK1", source, path, "--no-wait")
        if link is None:
            link = lobby.accept()
            link.take_knock()
            link.take_connect()
        create = link.take_file()[0]
        assert (text(create, 12), text(create, 37)) == (flow, name)
    done = node.control("send", "BANK1", source, "paie/" + "n" * 81, check=False)
    assert (done.returncode, b"81 characters" in done.stderr) == (4, True), done.stderr
    link.close()
    lobby.stop()
    node.stop()


@pytest.mark.parametrize("by_name", [True, False])
def test_flow_and_name_come_in(tmp_path, by_name):
    node = Node(tmp_path, partner='profile = "cft"; label_is_name = %s;' % str(by_name).lower(), files="""
        { pattern = "recu/*"; mode = "receive"; file_name = "COMPTES"; existing = "replace"; },
        { pattern = "dispo/*"; mode = "offer"; file_name = "RELEVE"; }""").start()
    peer = Requester(node.port)
    assert peer.connect().name == "ACONNECT"
    for label in (b"nov.txt", b"dec.txt  ", None):
        assert peer.write("COMPTES", b"x", **({"pi37": label} if label else {})) == "0/000"
    expected = ["recu/COMPTES", "recu/dec.txt", "recu/nov.txt"] if by_name else ["recu/COMPTES"]
    assert node.inbox() == ["COMPANY/" + name for name in expected]
    for label in (b"../nov.txt", b"/tmp/a", b"C:\\a", b".a", b"a\x07"):
        assert peer.write("COMPTES", b"x", pi37=label) == ("2/226" if by_name else "0/000"), label
    assert len(node.inbox()) == len(expected)
    offered = tmp_path / "solde.csv"
    offered.write_bytes(b"y")
    node.control("send", "COMPANY", offered, "dispo/solde.csv")
    answer = peer.ask("SELECT", {11: b"\0", 12: b"RELEVE", 13: b"\0", 14: b"\xe0", 15: b"\0", 17: b"\0", 25: number(4096)})
    assert (answer.diag, answer.values.get(37)) == ("0/000", b"solde.csv" if by_name else None)
    peer.close()
    node.stop()


def test_a_generic_name_passes_over_what_may_not_be_given(tmp_path):
    """An offer of a virtual file that is disabled, or gone, hides none that comes after it."""
    files = '{ pattern = "rest/*"; mode = "offer"; enabled = %s; }, { pattern = "day/*"; mode = "offer"; }, { pattern = "gone/*"; mode = "offer"; }'
    node = Node(tmp_path / "bank", files=files % "true").start()
    content = tmp_path / "content"
    content.write_bytes(b"x")
    for path in ("rest/ZR", "gone/ZG", "day/ZD"):
        node.control("send", "COMPANY", content, path)
    text = node.config.read_text(encoding="utf-8").replace("enabled = true", "enabled = false")
    node.config.write_text(text.replace(', { pattern = "gone/*"; mode = "offer"; }', ""), encoding="utf-8")
    node.control("reload")
    peer = Requester(node.port)
    peer.connect()
    values = {11: b"\0", 13: b"\0", 14: b"\xe0", 15: b"\0", 17: b"\0", 25: number(4096)}
    assert [peer.ask("SELECT", {**values, 12: name}).diag for name in (b"ZR", b"ZG")] == ["2/205", "2/205"]
    answer = peer.ask("SELECT", {**values, 12: b"Z*"})
    assert (answer.diag, answer.values[12]) == ("0/000", b"ZD")
    peer.close()
    node.stop()
