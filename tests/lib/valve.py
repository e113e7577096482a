# SPDX-License-Identifier: Apache-2.0
"""Between a caller and a server: lets so many bytes through, then holds them back until it is opened."""
import select
import socket
import threading


class Valve:
    def __init__(self, port, limit):
        self.target, self.limit, self.passed = port, limit, 0
        self.opened, self.held = threading.Event(), threading.Event()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.sockets = [self.server]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                caller = self.server.accept()[0]
                called = socket.create_connection(("127.0.0.1", self.target))
                self.sockets += [caller, called]
                threading.Thread(target=self._move, args=(caller, called), daemon=True).start()
        except OSError:
            pass  # stopped

    def _move(self, caller, called):
        try:
            while True:
                for source in select.select([caller, called], [], [])[0]:
                    data = source.recv(65536)
                    if source is caller:
                        self._count(len(data))
                    if not data:
                        return
                    (called if source is caller else caller).sendall(data)
        except OSError:
            pass  # one of them has gone
        finally:
            caller.close()
            called.close()

    def _count(self, count):
        self.passed += count
        if self.passed > self.limit:
            self.held.set()
            self.opened.wait(300)

    def open(self):
        self.opened.set()

    def stop(self):
        self.open()
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already
            one.close()
