# SPDX-License-Identifier: Apache-2.0
"""A PeSIT requester over a socket, for tests: does what it is told, also what is wrong."""
import socket

from fpdu import decode, diag, encode, number


class Closed(Exception):
    """The other side closed the connection."""


def read_exactly(connection, count):
    """The next bytes of a socket; Closed when they do not come."""
    data = bytearray()
    while len(data) < count:
        try:
            more = connection.recv(count - len(data))
        except ConnectionResetError:
            more = b""
        if not more:
            raise Closed
        data += more
    return bytes(data)


def read_rest(connection, within):
    """What still comes on a socket until the other side closes; fails when it does not."""
    connection.settimeout(within)
    data = b""
    try:
        while more := connection.recv(65536):
            data += more
    except ConnectionResetError:
        pass
    except socket.timeout:
        raise AssertionError("not closed within %s s" % within) from None
    return data


class Requester:
    def __init__(self, port, timeout=20, tls=None, source=None):
        """tls: an ssl.SSLContext, or None for plain. source: an address of ours to call from."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=source and (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.peer, self.pending = 0, []

    def close(self):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, name, values=None, data=b"", dst=None, src=0):
        body = encode(name, self.peer if dst is None else dst, src, values, data)
        self.raw(len(body).to_bytes(2, "big") + body)

    def _read(self, count):
        return read_exactly(self.socket, count)

    def receive(self):
        if not self.pending:
            entity = self._read(int.from_bytes(self._read(2), "big"))
            while entity:
                fpdu, entity = decode(entity)
                self.pending.append(fpdu)
        return self.pending.pop(0)

    def ask(self, name, values=None, **more):
        self.send(name, values, **more)
        return self.receive()

    def connect(self, requester="COMPANY", server="BANK1", password=b"secret", sync=(32, 2), access=2, **more):
        values = {3: requester.encode(), 4: server.encode(), 5: password, 6: b"\x02",
                  7: number(sync[0], 2) + number(sync[1], 1), 22: number(access), 23: b"\0"}
        answer = self.ask("CONNECT", values, dst=0, src=1, **more)
        self.peer = answer.src
        return answer

    def create(self, name, transfer=1, kind=0, restarted=0, entity=4096, article=1024, space=0, form=0x80, **extra):
        values = {11: number(kind), 12: name if isinstance(name, bytes) else name.encode(), 13: number(transfer),
                  15: number(restarted), 16: b"\0", 17: b"\0", 25: number(entity), 31: number(form),
                  32: number(article), 33: b"\0", 41: b"\0", 42: number(space), 51: b"261124093000"}
        values.update({int(pi[2:]): value for pi, value in extra.items()})
        return self.ask("CREATE", values)

    def data(self, content, article=1024, interval=32 * 1024):
        """Articles one by one, with points; waits for each acknowledgement."""
        since = point = 0
        for at in range(0, len(content), article):
            piece = content[at:at + article]
            if since + len(piece) > interval:
                point, since = point + 1, 0
                self.send("SYN", {20: number(point)})
                assert self.receive().name == "ACK(SYN)"
            self.send("DTF", data=piece)
            since += len(piece)
        self.send("DTF.END", {2: diag(0, 0)})

    def finish(self, content, article=1024):
        count = (len(content) + article - 1) // article
        return self.ask("TRANS.END", {27: number(len(content)), 28: number(count)})

    def leave(self):
        assert self.ask("CRF", {2: diag(0, 0)}).name == "ACK(CRF)"
        assert self.ask("DESELECT", {2: diag(0, 0)}).name == "ACK(DESELECT)"

    def write(self, name, content, **more):
        """A whole file. Returns the diagnostic of the last answer: "0/000" when it was taken."""
        answer = self.create(name, **more)
        if answer.diag != "0/000":
            return answer.diag
        assert self.ask("ORF").diag == "0/000"
        assert self.ask("WRITE").diag == "0/000"
        self.data(content)
        answer = self.finish(content)
        if answer.name == "ACK(TRANS.END)":
            self.leave()
        return answer.diag

    def release(self):
        return self.ask("RELEASE", {2: diag(0, 0)}, src=1)
