# SPDX-License-Identifier: Apache-2.0
"""What the requester cases share: COMPANY, our requester, with a partner for each habit, and the servers it calls."""
import json
import random
import subprocess

import node
from responder import Lobby, wait_until

FILES = ", ".join('{ %s }' % text for text in (
    'pattern = "out/*"; mode = "send"; record_length = 1024;',
    'pattern = "mille/*"; mode = "send"; record_length = 1000;',
    'pattern = "fixe/*"; mode = "send"; format = "binary-fixed"; record_length = 80;',
    'pattern = "texte/*"; mode = "send"; format = "text"; record_length = 80;',
    'pattern = "zero/*"; mode = "send"; format = "text"; record_length = 80; empty_line = "zero";',
    'pattern = "coupe/*"; mode = "send"; format = "text"; record_length = 80; long_line = "truncate";',
    'pattern = "quinze/*"; mode = "send"; record_length = 1500;',
    'pattern = "octet/*"; mode = "send"; record_length = 1;',
    'pattern = "vide/*"; mode = "send"; allow_empty = true; record_length = 1024;',
    'pattern = "urgent/*"; mode = "send"; priority = 0; record_length = 1024;',
    'pattern = "lent/*"; mode = "send"; priority = 2; record_length = 1024;',
    'pattern = "releves/*"; mode = "fetch"; file_name = "{name}";',
    'pattern = "lignes/*"; mode = "fetch"; format = "text"; file_name = "{name}"; file_type = 6;',
    'pattern = "crlf/*"; mode = "fetch"; format = "text"; line_end = "crlf"; file_name = "{name}"; file_type = 7;',
    'pattern = "petit/*"; mode = "fetch"; file_name = "{name}"; file_type = 8; max_mb = 1;'))
DEFAULTS = {"sync_interval_kb": "32", "sync_window": "2", "max_entity_bytes": "4096", "retry_delays_s": "[ 3600 ]"}
PARTNERS = {
    "BANK1": {}, "STRICT": {"strict": "true"}, "PROVE": {"password_expected": '"bankword"'}, "NOSYNC": {"sync_interval_kb": "0"},
    "NOWINDOW": {"sync_window": "0", "sync_interval_kb": "1"}, "ONEKB": {"sync_interval_kb": "1", "sync_window": "8"},
    "SINGLY": {"multi_article": "false", "segmentation": "false", "concatenation": "false"},
    "WHOLE": {"segmentation": "false"}, "SMALL": {"max_entity_bytes": "512", "sync_interval_kb": "0", "multi_article": "false"},
    "BIG": {"max_entity_bytes": "65535", "sync_interval_kb": "0"}, "POOL": {"outgoing_connections": "4", "multi_article": "false"},
    "AGAIN": {"retry_delays_s": "[ 1 ]", "retry_attempts": "3"},
    "UNSURE": {"retry_delays_s": "[ 1 ]", "retry_attempts": "3", "resend_unknown": "false"}, "BRIEF": {"idle_s": "1", "outgoing_connections": "1"}, "UNITS": {"abort_as_units": "true"},
    "ONE": {"outgoing_connections": "1"}, "RAW": {"framing": '"raw"'}, "KNOCK": {"preconnection": "true"},
}
CONTENT = random.Random(166).randbytes(1 << 20)


def partner(name, port, keys):
    keys = {"address": '"127.0.0.1"', "port": str(port), "password_sent": '"secret"', **DEFAULTS, **keys}
    return '{ name = "%s"; identifier = "%s"; %s\n files = ( %s ); }' % (
        name, name, " ".join("%s = %s;" % item for item in keys.items()), FILES)


class Company(node.Bare):
    """COMPANY, and a listening socket for each partner that it calls."""

    def __init__(self, folder, timers="release_ms = 700;", extra=""):
        self.lobbies = {name: Lobby() for name in PARTNERS}
        partners = ",\n".join(partner(name, self.lobbies[name].port, keys) for name, keys in PARTNERS.items())
        super().__init__(folder, "COMPANY", "timers: { %s };\n%s\npartners = ( %s );\n" % (timers, extra, partners))
        self.count = 0

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        super().stop()
        for lobby in self.lobbies.values():
            lobby.stop()

    def send(self, content=CONTENT, partner="BANK1", folder="out", name=None):
        """Queues a file: an Order."""
        self.count += 1
        source = self.folder / "source"
        source.write_bytes(content)
        path = "%s/%s" % (folder, name or "F%d" % self.count)
        self.control("send", partner, source, path, "--no-wait")
        return Order(self, partner, path)

    def fetch(self, partner="BANK1", folder="releves", name=None):
        """Asks for a file: an Order, whose result() waits for what pesitctl says."""
        self.count += 1
        target = self.folder / ("fetched%d" % self.count)
        path = "%s/%s" % (folder, name or "R%d" % self.count)
        program = [node.BUILD / "pesitctl/pesitctl", "--socket", self.folder / "door", "--json", "fetch", partner, path, "-o", target]
        asking = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return Order(self, partner, path, asking, target)


class Order:
    """One file that COMPANY was told to move."""

    def __init__(self, company, partner, path, asking=None, target=None):
        self.company, self.partner, self.path, self.asking, self.target = company, partner, path, asking, target

    def stop(self):
        """Nothing of it is tried again after its case."""
        row = self.row()
        if row is not None and row["state"] not in ("done", "failed", "cancelled"):
            self.company.control("cancel", row["id"], check=False)
        if self.asking is not None:
            self.asking.kill()
            self.asking.communicate()

    def row(self):
        for row in self.company.control("transfers", "--partner", self.partner, "--limit", 200):
            if row["path"] == self.path:
                return row
        return None

    def show(self):
        return json.loads(json.dumps(self.row()))

    def cancel(self):
        self.company.control("cancel", wait_until(self.row, "queued")["id"])

    def is_(self, state, diag=None):
        """Waits until it is done, failed, waiting for another attempt, or cancelled."""
        row = None

        def reached():
            nonlocal row
            row = self.row()
            return row is not None and row["state"] in ("done", "failed", "waiting", "cancelled")
        wait_until(reached, "%s ends" % self.path)
        assert row["state"] == state, "%s %s %s instead of %s" % (row["state"], row["diag"], row["error"], state)
        assert diag is None or row["diag"] == diag, "diagnostic %s (%s) instead of %s" % (row["diag"], row["error"], diag)
        return row

    def received(self):
        """Bytes that pesitctl wrote, once it has ended well."""
        said = self.asking.communicate(timeout=20)
        assert self.asking.returncode == 0, said
        return self.target.read_bytes()

    def refused(self):
        """pesitctl has ended badly and has left no file behind; its exit code."""
        said = self.asking.communicate(timeout=20)
        assert self.asking.returncode != 0, said
        assert not self.target.exists(), "something was written: %d octets" % self.target.stat().st_size
        return self.asking.returncode


def company(world):
    return world.once("company", lambda: Company(world.folder()).start())


def sending(world, content=CONTENT, partner="BANK1", folder="out"):
    """(order, link): a file was queued and COMPANY has called."""
    us = company(world)
    order = world.own(us.send(content, partner, folder))
    return order, world.own(us.lobbies[partner].accept())


def fetching(world, partner="BANK1", folder="releves"):
    us = company(world)
    order = world.own(us.fetch(partner, folder))
    return order, world.own(us.lobbies[partner].accept())
