# SPDX-License-Identifier: Apache-2.0
"""Between a program and a server: moves what either sends to the other, as long as it may."""
import select
import socket
import threading


class Relay:
    def __init__(self, server, reach):
        """server: a socket that listens. reach: connects to what stands behind."""
        self.server, self.reach, self.sockets = server, reach, [server]
        threading.Thread(target=self._accept, daemon=True).start()

    def passes(self, length, from_caller):
        """Whether a piece goes on; else its connection ends. May wait."""
        raise NotImplementedError

    def _accept(self):
        try:
            while True:
                caller = self.server.accept()[0]
                called = self.reach()
                self.sockets += [caller, called]
                threading.Thread(target=self._move, args=(caller, called), daemon=True).start()
        except OSError:
            pass  # stopped

    def _move(self, caller, called):
        try:
            while True:
                for source in select.select([caller, called], [], [])[0]:
                    data = source.recv(65536)
                    if not data or not self.passes(len(data), source is caller):
                        return
                    (called if source is caller else caller).sendall(data)
        except OSError:
            pass  # one of them has gone
        finally:
            caller.close()
            called.close()

    def stop(self):
        for one in self.sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already
            one.close()
