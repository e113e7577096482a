# SPDX-License-Identifier: Apache-2.0
"""Between a program and a PostgreSQL server, on a Unix socket: after so many messages every connection breaks."""
import pathlib
import select
import socket
import tempfile
import threading


class Cutter:
    """messages: pieces that the program sends, over all its connections; None: never."""

    def __init__(self, server, messages=None):
        self.folder = tempfile.mkdtemp(prefix="cut-")
        self.target, self.left = str(pathlib.Path(server.folder, ".s.PGSQL.5432")), messages
        self.conninfo = server.conninfo.replace(server.folder, self.folder)
        self.lock, self.pairs = threading.Lock(), []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(pathlib.Path(self.folder, ".s.PGSQL.5432")))
        self.server.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                pair = [self.server.accept()[0], socket.socket(socket.AF_UNIX)]
                pair[1].connect(self.target)
                self.pairs.append(pair)
                threading.Thread(target=self._move, args=pair, daemon=True).start()
        except OSError:
            pass  # stopped

    def _take(self):
        with self.lock:
            if self.left is not None:
                self.left -= 1
            return self.left is None or self.left >= 0

    def _move(self, caller, called):
        try:
            while True:
                for source in select.select([caller, called], [], [])[0]:
                    data = source.recv(65536)
                    if not data or (source is caller and not self._take()):
                        return
                    (called if source is caller else caller).sendall(data)
        except OSError:
            pass  # one of them has gone
        finally:
            caller.close()
            called.close()

    def stop(self):
        self.server.close()
        for one in sum(self.pairs, []):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already
        pathlib.Path(self.folder, ".s.PGSQL.5432").unlink()
        pathlib.Path(self.folder).rmdir()
