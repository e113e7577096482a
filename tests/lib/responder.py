# SPDX-License-Identifier: Apache-2.0
"""A PeSIT server over a socket, for tests of our requester: answers as it should, or as it is told, also what is wrong.

A Lobby listens for one partner; accept() gives a Link, one connection. A Link takes one request after the other:
take_connect, take_create … receive the FPDU, look at it, and answer; keywords change what is answered (pi25=…)."""
import socket
import time

from fpdu import DATA, decode, diag, encode, number
from peer import read_exactly, read_rest

OWN = 7  # our number of every connection


class Lobby:
    """A listening socket; its port is the partner's."""

    def __init__(self, timeout=15):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.socket.settimeout(timeout)
        self.port = self.socket.getsockname()[1]

    def alive(self):
        return True

    def accept(self):
        return Link(self.socket.accept()[0])

    def is_quiet(self, seconds):
        """Nobody calls for a while."""
        self.socket.settimeout(seconds)
        try:
            raise AssertionError("was called again: %r" % (self.socket.accept(),))
        except socket.timeout:
            pass
        finally:
            self.socket.settimeout(15)

    def stop(self):
        self.socket.close()


class Link:
    """One connection, as its server. received: every FPDU so far, in order; last: the octets of the last one."""

    def __init__(self, connected, timeout=15):
        self.socket = connected
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        self.peer, self.own, self.pending, self.entities, self.received, self.last = 0, OWN, [], 0, [], b""

    # octets
    def close(self):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def entity(self, *fpdus):
        content = b"".join(fpdus)
        self.raw(len(content).to_bytes(2, "big") + content)

    def say(self, name, values=None, data=b"", dst=None, src=None):
        if name in DATA:
            src = 0 if src is None else src
        return encode(name, self.peer if dst is None else dst, 0 if src is None else src, values, data)

    def send(self, name, values=None, data=b"", dst=None, src=None):
        self.entity(self.say(name, values, data, dst, src))

    def _read(self, count):
        return read_exactly(self.socket, count)

    def receive(self):
        if not self.pending:
            entity = self._read(int.from_bytes(self._read(2), "big"))
            self.entities += 1
            while entity:
                fpdu, rest = decode(entity)
                self.pending.append((fpdu, entity[:len(entity) - len(rest)]))
                entity = rest
        fpdu, self.last = self.pending.pop(0)
        self.received.append(fpdu)
        return fpdu

    def take_knock(self, answer="ACK0", prefixed=True):
        """The 24 octets before CONNECT, in EBCDIC: their three fields as text. answer: ACK0, NAK0, or None."""
        length = int.from_bytes(self._read(2), "big") if prefixed else 24
        message = self._read(length).decode("cp500")
        if answer:
            said = answer.encode("cp500")
            self.raw((b"\0\4" if prefixed else b"") + said)
        return message[:8].rstrip(), message[8:16].rstrip(), message[16:].rstrip()

    # what comes
    def take(self, name):
        fpdu = self.receive()
        assert fpdu.name == name, "%s %s instead of %s" % (fpdu.name, fpdu.diag, name)
        return fpdu

    def answer(self, name, values, changes=None, **more):
        """Parameters, with pi25=… changed or, by None, taken away; in the order of the codes."""
        values = dict(values)
        for word, value in (changes or {}).items():
            values.pop(int(word[2:]), None)
            if value is not None:
                values[int(word[2:])] = value
        self.send(name, dict(sorted(values.items())) if name != "ACK(SELECT)" else values, **more)

    def take_connect(self, reply=True, **changes):
        fpdu = self.take("CONNECT")
        self.peer = fpdu.src
        assert fpdu.dst == 0 and fpdu.src != 0, "CONNECT from %d to %d" % (fpdu.src, fpdu.dst)
        if reply:
            self.answer("ACONNECT", {6: b"\2", 7: fpdu.values.get(7, b"\0\0\0"), 23: b"\0"}, changes, src=self.own)
        return fpdu

    def take_create(self, reply=True, code=(0, 0), **changes):
        fpdu = self.take("CREATE")
        if reply:
            self.answer("ACK(CREATE)", {2: diag(*code), 13: number(4711), 25: fpdu.values[25]}, changes)
        return fpdu

    def take_select(self, reply=True, code=(0, 0), size=0, article=1024, form=0x80, **changes):
        fpdu = self.take("SELECT")
        if reply:
            self.answer("ACK(SELECT)", {2: diag(*code), 11: fpdu.values[11], 12: fpdu.values[12], 13: number(815), 16: b"\0",
                                        25: fpdu.values[25], 31: number(form), 32: number(article), 33: b"\0", 41: b"\0",
                                        42: number(-(-size // 1024)), 51: b"261124093000"}, changes)
        return fpdu

    def take_simple(self, name, code=(0, 0), **changes):
        """ORF, CRF, DESELECT, WRITE, READ: the request and its plain answer."""
        fpdu = self.take(name)
        values = {2: diag(*code)}
        if name == "WRITE":
            values[18] = b"\0"
        self.answer("ACK(%s)" % name, values, changes)
        return fpdu

    def take_data(self, acknowledge=True, until=("DTF.END",), after=0):
        """Articles of a write up to DTF.END: (articles, articles before each point). acknowledge: answer each point, or those of a set.
        after: the point that it goes on at."""
        articles, points, piece = [], [], None
        while True:
            fpdu = self.receive()
            if fpdu.name in until:
                assert piece is None, "%s inside an article" % fpdu.name
                return articles, points
            if fpdu.name == "DTF":
                assert piece is None, "DTF inside an article"
                articles += list(split(fpdu)) if fpdu.src > 1 else [fpdu.data]
            elif fpdu.name == "DTFDA":
                assert piece is None, "DTFDA inside an article"
                piece = fpdu.data
            elif fpdu.name in ("DTFMA", "DTFFA"):
                assert piece is not None, "%s without DTFDA" % fpdu.name
                piece += fpdu.data
                if fpdu.name == "DTFFA":
                    articles.append(piece)
                    piece = None
            else:
                assert fpdu.name == "SYN" and piece is None, "%s %s among data" % (fpdu.name, fpdu.diag)
                points.append(len(articles))
                point = after + len(points)
                assert fpdu.number(20) == point, "SYN %d after %d" % (fpdu.number(20), point - 1)
                if acknowledge is True or (acknowledge and point in acknowledge):
                    self.send("ACK(SYN)", {20: number(point)})

    def take_end(self, articles=(), code=(0, 0), **changes):
        """TRANS.END of a write, answered with our counts."""
        fpdu = self.take("TRANS.END")
        self.answer("ACK(TRANS.END)", {2: diag(*code), 27: number(sum(map(len, articles))), 28: number(len(articles))}, changes)
        return fpdu

    # walks
    def selected(self, **changes):
        """Connected, the write selected (W1); returns CREATE."""
        self.take_connect()
        return self.take_create(**changes)

    def writing(self, **changes):
        """Up to W3; returns CREATE."""
        create = self.selected(**changes)
        self.take_simple("ORF")
        self.take_simple("WRITE")
        return create

    def reading(self, **changes):
        """Up to R3; returns SELECT."""
        self.take_connect()
        select = self.take_select(**changes)
        self.take_simple("ORF")
        self.take_simple("READ")
        return select

    def finish(self, code=(0, 0)):
        """CRF and DESELECT with the diagnostic that the requester should give."""
        for name in ("CRF", "DESELECT"):
            fpdu = self.take_simple(name)
            assert code is None or fpdu.diag == "%d/%03d" % code, "%s with %s" % (name, fpdu.diag)

    def take_file(self):
        """A whole write on an open connection: (CREATE, articles, points)."""
        create = self.take_create()
        self.take_simple("ORF")
        self.take_simple("WRITE")
        articles, points = self.take_data()
        self.take_end(articles)
        self.finish()
        return create, articles, points

    def give_data(self, content, article=1024, interval=32 * 1024, end=(0, 0)):
        """Articles of a read, one in a DTF, with points that are waited for; then DTF.END."""
        since = points = 0
        for at in range(0, len(content), article):
            piece = content[at:at + article]
            if interval and since + len(piece) > interval:
                points, since = points + 1, 0
                self.send("SYN", {20: number(points)})
                assert self.take("ACK(SYN)").number(20) == points
            self.send("DTF", data=piece)
            since += len(piece)
        self.send("DTF.END", {2: diag(*end)})

    def give_end(self, content, article=1024, **changes):
        """TRANS.END of a read, answered with our counts."""
        fpdu = self.take("TRANS.END")
        self.answer("ACK(TRANS.END)", {2: diag(0, 0), 27: number(len(content)), 28: number(-(-len(content) // article))}, changes)
        return fpdu

    # ends
    def is_released(self):
        self.take("RELEASE")
        self.send("RELCONF", src=self.own)
        assert self.left() == b""

    def left(self, within=8):
        """What still comes until the other side closes; fails when it does not."""
        return read_rest(self.socket, within)

    def is_aborted(self, code, dst=None, skip_data=False):
        """ABORT with this diagnostic comes next, in its bare form; then the requester closes. skip_data: after data in flight."""
        fpdu = self.receive()
        while skip_data and fpdu.name in (*DATA, "SYN", "DTF.END", "TRANS.END", "ACK(SYN)"):
            fpdu = self.receive()
        assert (fpdu.name, fpdu.diag) == ("ABORT", code), "%s %s instead of ABORT %s" % (fpdu.name, fpdu.diag, code)
        assert len(self.last) == 9, "ABORT of %d octets" % len(self.last)
        assert dst is None or fpdu.dst == dst, "ABORT to %d" % fpdu.dst
        assert fpdu.src == self.peer, "ABORT from %d" % fpdu.src
        self.socket.shutdown(socket.SHUT_WR)
        assert self.left() == b"", "said more after ABORT"
        self.close()

    def is_interrupted(self, code, end_code):
        """IDT comes, after data in flight; acknowledged."""
        fpdu = self.receive()
        while fpdu.name in (*DATA, "SYN", "ACK(SYN)"):
            fpdu = self.receive()
        assert (fpdu.name, fpdu.diag, fpdu.number(19)) == ("IDT", code, end_code), "%s %s PI 19 = %d" % (
            fpdu.name, fpdu.diag, fpdu.number(19))
        self.send("ACK(IDT)")

    def is_silent(self, seconds=0.3):
        """Nothing comes for a while."""
        assert not self.pending, self.pending
        self.socket.settimeout(seconds)
        try:
            raise AssertionError("did not expect %r" % self.socket.recv(65536))
        except socket.timeout:
            pass
        finally:
            self.socket.settimeout(15)


def split(fpdu):
    """Articles of a multi-article DTF: as many as ID.SRC says."""
    content, count = fpdu.data, 0
    while content:
        length = int.from_bytes(content[:2], "big")
        assert len(content) >= 2 + length, "article lengths do not fill the message"
        yield content[2:2 + length]
        content, count = content[2 + length:], count + 1
    assert count == fpdu.src, "%d articles, ID.SRC says %d" % (count, fpdu.src)


def wait_until(condition, what, seconds=15):
    """The condition's value once it is true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError("not within %s s: %s" % (seconds, what))
