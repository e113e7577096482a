# SPDX-License-Identifier: Apache-2.0
"""Starts a real pesitd in a folder of its own, on a free port, and ends it by its process id."""
import os
import pathlib
import re
import signal
import subprocess

BUILD = pathlib.Path(os.environ.get("BUILD_DIR", "build"))
FILES = '{ pattern = "in/*"; mode = "receive"; }, { pattern = "max/*"; mode = "receive"; file_type = 5; max_mb = 1; }'


class Node:
    def __init__(self, folder, files=FILES, partner="", extra="", tls=""):
        self.folder = pathlib.Path(folder)
        self.config = self.folder / "pesitd.conf"
        self.log_path = self.folder / "pesitd.log"
        self.process, self.port = None, 0
        self.config.write_text(
            'node = "BANK1"; paths: { spool = "spool"; inbox = "inbox"; store = "store.db"; };\n'
            'log: { level = "info"; };\n%s\n'
            'listeners = ( { address = "127.0.0.1"; port = 0; %s } );\n'
            'partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; %s\n'
            '  files = ( %s ); } );\n' % (extra, tls, partner, files), encoding="utf-8")

    def start(self):
        reader, writer = os.pipe()
        with open(self.log_path, "ab") as log:
            start = log.tell()
            self.process = subprocess.Popen(
                [BUILD / "daemon/pesitd", "--config", self.config, "--ready-fd", str(writer)],
                stderr=log, pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            assert ready.readline() == b"READY\n", self.log()
        self.port = int(re.findall(r"PORT=(\d+)", self.log_path.read_text(encoding="utf-8")[start:])[0])
        return self

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def received(self, path):
        return (self.folder / "inbox" / "COMPANY" / path).read_bytes()

    def inbox(self):
        return sorted(p.relative_to(self.folder / "inbox").as_posix()
                      for p in (self.folder / "inbox").rglob("*") if p.is_file())

    def kill(self):
        self.process.kill()
        self.process.wait(10)

    def stop(self):
        """Ends it in order and looks at its end: a sanitizer's complaint is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log()
        assert "ERROR: " not in self.log() and "runtime error" not in self.log(), self.log()
