# SPDX-License-Identifier: Apache-2.0
"""A journal of systemd of our own, in a mount namespace: what is said there is read back field by field."""
import json
import os
import subprocess

from node import BUILD, Bare
from waiting import eventually

START = """mount --make-rprivate / && mkdir -p /run/systemd /run/log && mount -t tmpfs tmpfs /run/systemd &&
mount -t tmpfs tmpfs /run/log && mkdir /run/systemd/journal && exec /lib/systemd/systemd-journald"""

# what a service manager says of the socket that it gives
NAMED = 'export JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/self/fd/2); exec "$@"'


class Journal:
    def __init__(self):
        # without the kernel's messages: they are of the whole machine
        self.process = subprocess.Popen(["unshare", "--mount", "sh", "-c", START], stderr=subprocess.DEVNULL)
        eventually(lambda: os.path.exists("/proc/%d/root/run/systemd/journal/stdout" % self.process.pid) or self.process.poll())
        assert self.process.poll() is None

    def inside(self, *words):
        """A command that sees it."""
        return ["nsenter", "--mount=/proc/%d/ns/mnt" % self.process.pid, "--wd=" + os.getcwd(), "--", *map(str, words)]

    def read(self, *matches):
        """Entries, oldest first."""
        subprocess.run(self.inside("journalctl", "--sync"), check=True)
        done = subprocess.run(self.inside("journalctl", "--directory=/run/log/journal", "--output=json", "--no-pager", "--quiet", *matches),
                              check=False, capture_output=True, text=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


class Journaled(Bare):
    """A pesitd as a service has it: its standard error is the journal."""

    def __init__(self, journal, folder, name, text):
        super().__init__(folder, name, text)
        self.journal = journal

    def start(self, sockets=()):
        assert not sockets
        reader, writer = os.pipe()
        program = ["systemd-cat", "--identifier=pesitd", "sh", "-c", NAMED, "sh", BUILD / "daemon/pesitd", "--config", self.config, "--ready-fd", writer]
        self.process = subprocess.Popen(self.journal.inside(*program), pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            assert ready.readline() == b"READY\n", self.log()
        return self

    def log(self):
        return "".join(entry["MESSAGE"] + "\n" for entry in self.journal.read("SYSLOG_IDENTIFIER=pesitd"))
