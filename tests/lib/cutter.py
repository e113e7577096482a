# SPDX-License-Identifier: Apache-2.0
"""Between a program and a PostgreSQL server, on a Unix socket: after so many messages every connection breaks."""
import pathlib
import socket
import tempfile
import threading

from relay import Relay

NAME = ".s.PGSQL.5432"


def reach(path):
    called = socket.socket(socket.AF_UNIX)
    called.connect(path)
    return called


class Cutter(Relay):
    """messages: pieces that the program sends, over all its connections; None: never."""

    def __init__(self, server, messages=None):
        self.folder = tempfile.mkdtemp(prefix="cut-")
        self.left, self.lock = messages, threading.Lock()
        self.conninfo = server.conninfo.replace(server.folder, self.folder)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(pathlib.Path(self.folder, NAME)))
        listener.listen()
        super().__init__(listener, lambda: reach(str(pathlib.Path(server.folder, NAME))))

    def passes(self, length, from_caller):
        with self.lock:
            if from_caller and self.left is not None:
                self.left -= 1
            return self.left is None or not from_caller or self.left >= 0

    def stop(self):
        super().stop()
        pathlib.Path(self.folder, NAME).unlink()
        pathlib.Path(self.folder).rmdir()
