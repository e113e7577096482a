# SPDX-License-Identifier: Apache-2.0
"""What the server cases share: a bank with partners of several habits, and a caller that can say anything."""
import datetime
import socket
import time

import node
from fpdu import decode, diag, encode, number
from peer import Closed, Requester, read_rest

FILES = ", ".join('{ %s }' % text for text in (
    'pattern = "in/*"; mode = "receive";',
    'pattern = "max/*"; mode = "receive"; file_type = 5; max_mb = 1;',
    'pattern = "texte/*"; mode = "receive"; file_type = 6; format = "text"; file_name = "T.{name}";',
    'pattern = "crlf/*"; mode = "receive"; file_type = 7; format = "text"; line_end = "crlf";',
    'pattern = "fixe/*"; mode = "receive"; file_type = 8; format = "binary-fixed"; record_length = 80;',
    'pattern = "lignes/*"; mode = "receive"; file_type = 9; format = "text-fixed"; record_length = 80; trim = true;',
    'pattern = "remplace/*"; mode = "receive"; file_type = 10; existing = "replace";',
    'pattern = "numero/*"; mode = "receive"; file_type = 11; existing = "number";',
    'pattern = "dispo/*"; mode = "offer";',
    'pattern = "dispotexte/*"; mode = "offer"; file_type = 6; format = "text"; record_length = 512;',
    'pattern = "dispofixe/*"; mode = "offer"; file_type = 8; format = "binary-fixed"; record_length = 80;',
    'pattern = "dispolignes/*"; mode = "offer"; file_type = 9; format = "text-fixed"; record_length = 80;',
    'pattern = "dispo1500/*"; mode = "offer"; file_type = 15; record_length = 1500;',
    'pattern = "dispozero/*"; mode = "offer"; file_type = 16; format = "text"; record_length = 512; empty_line = "zero";'))
PARTNERS = {
    "COMPANY": "", "STRICT": "strict = true;",
    "SMALL": "sync_interval_kb = 16; sync_window = 2; max_entity_bytes = 16384; segmentation = false;",
    "OPEN": "sync_interval_kb = 65535;", "NOSYNC": "sync_interval_kb = 0;", "KB": "sync_interval_kb = 1;",
    "BIG": "max_entity_bytes = 65535; sync_interval_kb = 65535;",
    "WRITER": "may_read = false;", "READER": "may_write = false;", "DISABLED": "enabled = false;", "NIGHT": "%(closed)s",
    "ELSEWHERE": 'addresses = [ "192.0.2.7" ];', "SINGLE": "max_connections = 1;", "CHANGER": "", "STUBBORN": "", "OTHER": "",
    "UNITS": "abort_as_units = true;", "ANSWERS": 'password_sent = "bankword";', "SINGLY": "multi_article = false; segmentation = false;",
}
DEFAULTS = "sync_interval_kb = 32; sync_window = 4;"
ANYTHING = object()


def closed_hours():
    """Hours that do not hold now nor in the next hours, UTC."""
    begin = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=6)
    return 'active_hours = "%02d:00-%02d:00";' % (begin.hour, (begin.hour + 1) % 24)


def partner(name, keys):
    taken = "" if "sync_interval_kb" in keys else DEFAULTS
    taken = taken or ("" if "sync_window" in keys else "sync_window = 4;")
    taken += "" if "max_connections" in keys else " max_connections = 500;"
    return '{ name = "%s"; identifier = "%s"; password_received = "secret"; %s %s\n files = ( %s ); }' % (name, name, taken, keys, FILES)


class Bank(node.Bare):
    """BANK1 with one partner for each habit that the cases need."""

    def __init__(self, folder, extra="", timers="release_ms = 700;"):
        self.offers, hours = {}, {"closed": closed_hours()}
        partners = ",\n".join(partner(name, keys % hours) for name, keys in PARTNERS.items())
        super().__init__(folder, "BANK1", 'listeners = ( { address = "127.0.0.1"; port = 0; } );\n%s\ntimers: { %s };\n'
                         'partners = ( %s );\n' % (extra, timers, partners))

    def alive(self):
        return self.process.poll() is None

    def received(self, path, partner="COMPANY"):
        """Bytes of a published file, or None."""
        place = self.folder / "inbox" / partner / path
        return place.read_bytes() if place.is_file() else None

    def spooled(self):
        """Names of what lies in the spool, half-received files among them."""
        return sorted(p.name for p in (self.folder / "spool/transfers").iterdir() if p.suffix != ".context")

    def row(self, name, **more):
        """The last transfer of a PI 12, as the store tells it; None when there is none."""
        for row in self.control("transfers", "--limit", 50):
            if row["file_name"] == name and all(row[k] == v for k, v in more.items()):
                return row
        return None

    def ended(self, name, *states, **more):
        """The same, once it has ended: waits for it."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            row = self.row(name, **more)
            if row is not None and row["state"] in states:
                return row
            time.sleep(0.01)
        raise AssertionError("%s is not %s but %s" % (name, " or ".join(states), row))

    def offer(self, path, content, partner="COMPANY"):
        """Offers a file, once."""
        if self.offers.get((partner, path)) == content:
            return
        source = self.folder / "source"
        source.write_bytes(content)
        self.control("send", partner, source, path, "--no-wait")
        self.offers[partner, path] = content


class Caller(Requester):
    """A requester that can break every rule. One entity is [length] FPDU…; raw: without the length."""

    def __init__(self, bank, timeout=15, raw=False, source=None):
        super().__init__(bank.port, timeout=timeout, source=source)
        self.bank, self.without_length, self.last, self.own, self.transfer = bank, raw, b"", 1, 0

    def entity(self, *fpdus):
        """Sends FPDUs, given as bytes, in one entity."""
        content = b"".join(fpdus)
        self.raw(content if self.without_length else len(content).to_bytes(2, "big") + content)

    def say(self, name, values=None, data=b"", dst=None, src=0):
        """The bytes of an FPDU to this peer."""
        return encode(name, self.peer if dst is None else dst, src, values, data)

    def send(self, name, values=None, data=b"", dst=None, src=0):
        self.entity(self.say(name, values, data, dst, src))

    def receive(self):
        if not self.pending:
            if self.without_length:
                head = self._read(2)
                entity = head + self._read(int.from_bytes(head, "big") - 2)
            else:
                entity = self._read(int.from_bytes(self._read(2), "big"))
            while entity:
                fpdu, rest = decode(entity)
                self.pending.append((fpdu, entity[:len(entity) - len(rest)]))
                entity = rest
        fpdu, self.last = self.pending.pop(0)
        return fpdu

    def connect(self, requester="COMPANY", own=1, **more):
        self.own = own
        return super().connect(requester, **more) if own == 1 else self.connect_as(requester, own, **more)

    def connect_as(self, requester, own, **changes):
        """CONNECT with parameters changed: pi7=…; None takes one away."""
        self.own = own
        answer = self.ask("CONNECT", connect_values(requester, **changes), dst=0, src=own)
        self.peer = answer.src
        return answer

    def is_closed(self, within=5):
        """Reads until the other side closes; what it still says is returned as bytes. Fails when it does not close."""
        return read_rest(self.socket, within)

    def is_silent(self, seconds=0.15):
        """Nothing comes for a while."""
        assert not self.pending, self.pending
        self.socket.settimeout(seconds)
        try:
            raise AssertionError("did not expect %r" % self.socket.recv(65536))
        except socket.timeout:
            pass
        finally:
            self.socket.settimeout(15)

    # states of the case list
    def selected(self, name, **more):
        """W1"""
        expect(self.create(name, **more), "ACK(CREATE)")

    def opened(self, name, **more):
        """W2"""
        self.selected(name, **more)
        expect(self.ask("ORF"), "ACK(ORF)")

    def writing(self, name, **more):
        """W3"""
        self.opened(name, **more)
        expect(self.ask("WRITE"), "ACK(WRITE)")

    def select(self, name, transfer=0, restarted=0, kind=0, entity=4096, attributes=0xE0, **changes):
        values = {11: number(kind), 12: name if isinstance(name, bytes) else name.encode(), 13: number(transfer),
                  14: number(attributes), 15: number(restarted), 17: b"\0", 25: number(entity)}
        return self.ask("SELECT", changed(values, changes))

    def reading(self, name, level=3, **more):
        """R1, R2 or R3"""
        self.transfer = expect(self.select(name, **more), "ACK(SELECT)").number(13)
        if level > 1:
            expect(self.ask("ORF"), "ACK(ORF)")
        if level > 2:
            expect(self.ask("READ", {18: b"\0"}), "ACK(READ)")

    def point(self, n):
        self.send("SYN", {20: number(n)})

    def end_data(self, kind=0, code=0):
        self.send("DTF.END", {2: diag(kind, code)})

    def interrupt(self, end_code, kind=2, code=216):
        self.send("IDT", {2: diag(kind, code), 19: number(end_code)})

    def take_data(self, interval=32 * 1024):
        """Receives the data of a read up to DTF.END, acknowledging points: (articles, points)."""
        articles, points, piece, since, before = [], 0, None, 0, 0
        while True:
            fpdu = self.receive()
            since += sum(map(len, articles[before:]))
            before = len(articles)
            assert since <= interval, "%d octets without a point" % since
            if fpdu.name == "DTF" and fpdu.src > 1:
                articles += list(split(fpdu.data))
            elif fpdu.name == "DTF":
                articles.append(fpdu.data)
            elif fpdu.name == "DTFDA":
                piece = fpdu.data
            elif fpdu.name in ("DTFMA", "DTFFA"):
                piece += fpdu.data
                articles += [piece] if fpdu.name == "DTFFA" else []
            elif fpdu.name == "SYN":
                points += 1
                since = 0
                assert fpdu.number(20) == points, "SYN %d after %d" % (fpdu.number(20), points - 1)
                self.send("ACK(SYN)", {20: number(points)})
            else:
                expect(fpdu, "DTF.END")
                return articles, points

    def is_aborted(self, code, dst=None, src=ANYTHING):
        """ABORT with this diagnostic comes next, in its bare form; the connection ends, the next one works."""
        wanted = expect(self.receive(), "ABORT", code)
        assert len(self.last) == 9, "ABORT of %d octets" % len(self.last)
        assert wanted.dst == (self.own if dst is None else dst), "ABORT to %d" % wanted.dst
        assert src is ANYTHING or wanted.src == src, "ABORT from %d" % wanted.src
        self.socket.shutdown(socket.SHUT_WR)
        assert self.is_closed() == b"", "said more after ABORT"
        self.close()
        self.bank_serves()

    def bank_serves(self):
        again = Caller(self.bank)
        expect(again.connect(), "ACONNECT")
        expect(again.release(), "RELCONF")
        again.close()


def split(content):
    """Articles of a multi-article DTF."""
    while content:
        length = int.from_bytes(content[:2], "big")
        assert len(content) >= 2 + length, "article lengths do not fill the message"
        yield content[2:2 + length]
        content = content[2 + length:]


def changed(values, changes):
    """Parameters with pi7=… put in, in the order of the codes; None takes one away."""
    values = dict(values)
    for name, value in changes.items():
        values.pop(int(name[2:]), None)
        if value is not None:
            values[int(name[2:])] = value
    return dict(sorted(values.items()))


def connect_values(requester="COMPANY", **changes):
    return changed({3: requester.encode(), 4: b"BANK1", 5: b"secret", 6: b"\2", 7: b"\0\x20\2", 22: b"\2", 23: b"\1"}, changes)


def expect(fpdu, name, code="0/000"):
    assert (fpdu.name, fpdu.diag) == (name, code), "%s %s instead of %s %s" % (fpdu.name, fpdu.diag, name, code)
    return fpdu


def bank(world):
    """The bank that most cases call."""
    return world.once("bank", lambda: Bank(world.folder()).start())


def caller(world, connected="COMPANY", **more):
    """A caller of the bank, connected (K1) as a partner; None: only the transport is open (K0)."""
    peer = world.own(Caller(bank(world), raw=more.pop("raw", False)))
    if connected:
        expect(peer.connect(connected, **more), "ACONNECT")
    return peer
