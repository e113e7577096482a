# SPDX-License-Identifier: Apache-2.0
"""Between a caller and a server: lets so many bytes through, then holds them back until it is opened."""
import socket
import threading

from relay import Relay


class Valve(Relay):
    def __init__(self, port, limit):
        self.limit, self.passed = limit, 0
        self.opened, self.held = threading.Event(), threading.Event()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        super().__init__(listener, lambda: socket.create_connection(("127.0.0.1", port)))

    def passes(self, length, from_caller):
        if from_caller:
            self.passed += length
            if self.passed > self.limit:
                self.held.set()
                self.opened.wait(300)
        return True

    def open(self):
        self.opened.set()

    def stop(self):
        self.open()
        super().stop()
