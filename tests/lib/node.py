# SPDX-License-Identifier: Apache-2.0
"""Starts a real pesitd in a folder of its own, on a free port, and ends it by its process id."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import sys

import postgres

PATHS = 'paths: { spool = "spool"; inbox = "inbox"; %s socket = "door"; };'
HAND_OVER = pathlib.Path(__file__).with_name("hand_over.py")
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", "build"))
FILES = '{ pattern = "in/*"; mode = "receive"; }, { pattern = "max/*"; mode = "receive"; file_type = 5; max_mb = 1; }'


class Bare:
    """A pesitd with the configuration it is given; paths, log and store are added."""

    def __init__(self, folder, name, text, store=None):
        """store: the group as text; without it a file, or a schema of its own when the run is on PostgreSQL."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.config, self.log_path = self.folder / "pesitd.conf", self.folder / "pesitd.log"
        self.process, self.port = None, 0
        if store is None and postgres.WANTED:
            store = postgres.shared().store(postgres.next_schema())
        self.store = store or ""
        self.configure(name, text)

    def configure(self, name, text):
        """Writes the configuration, as an editor does: whole, then renamed."""
        fresh = self.folder / "pesitd.conf.new"
        paths = PATHS % ("" if self.store else 'store = "store.db";')
        fresh.write_text('node = "%s"; %s %s log: { level = "info"; };\n%s' % (name, paths, self.store, text),
                         encoding="utf-8")
        fresh.rename(self.config)

    def control(self, *arguments, check=True, timeout=60):
        """pesitctl --json on this node: what it printed, or its whole result when it may fail."""
        program = [BUILD / "pesitctl/pesitctl", "--socket", self.folder / "door", "--json"]
        done = subprocess.run([*program, *map(str, arguments)], capture_output=True, timeout=timeout, check=False)
        if not check:
            return done
        assert done.returncode == 0, (done.returncode, done.stderr, self.log())
        return json.loads(done.stdout) if done.stdout else None

    def start(self, sockets=()):
        """sockets: that a service manager would hand over, by name."""
        reader, writer = os.pipe()
        with open(self.log_path, "ab") as log:
            start = log.tell()
            program, handed = [BUILD / "daemon/pesitd", "--config", self.config, "--ready-fd", str(writer)], dict(sockets)
            if handed:
                named = ["%s=%d" % (name, one.fileno()) for name, one in handed.items()]
                program = [sys.executable, HAND_OVER, *named, "--", *program]
            self.process = subprocess.Popen(program, stderr=log, pass_fds=[writer, *(one.fileno() for one in handed.values())])
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            assert ready.readline() == b"READY\n", self.log()
        ports = re.findall(r"PORT=(\d+)", self.log_path.read_text(encoding="utf-8")[start:])
        self.port = int(ports[0]) if ports else 0
        return self

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def sql(self, statement):
        """Changes the store behind the daemon's back, while it is stopped."""
        if self.store:
            schema = re.search(r'schema = "(\w+)"', self.store).group(1)
            postgres.shared().execute("SET search_path TO %s; %s" % (schema, statement))
            return
        with sqlite3.connect(self.folder / "store.db") as store:
            store.execute(statement)
        store.close()

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
        assert "CRITICAL **" not in self.log(), self.log()[self.log().index("CRITICAL **"):][:500]


class Node(Bare):
    """BANK1, that knows one partner COMPANY."""

    def __init__(self, folder, files=FILES, partner="", extra="", tls=""):
        super().__init__(folder, "BANK1", '%s\n'
                         'listeners = ( { address = "127.0.0.1"; port = 0; %s } );\n'
                         'partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; %s\n'
                         '  files = ( %s ); } );\n' % (extra, tls, partner, files))
