# SPDX-License-Identifier: Apache-2.0
"""Whoever makes a transfer go from one state to another: the stream of events tells it, in order and once."""
import json
import re

import doorbell
import postgres
from admin import FIRST_KEY, LISTENER, Api
from conftest import COMPANY
from node import Bare, Node
from waiting import eventually

BIG = b"x" * 3_000_000


class Stream:
    """What a daemon's stream says from now on, or of all that it remembers."""

    def __init__(self, api, after=None):
        self.connection, self.text = api.connect(20), ""
        self.connection.request("GET", "/api/v1/events", headers={"X-API-Key": api.key, **({"Last-Event-ID": after} if after else {})})
        self.response = self.connection.getresponse()
        assert self.response.status == 200

    def told(self, name="transfer"):
        return [json.loads(data) for data in re.findall(r"^event: %s\ndata: (.*)\n\n" % name, self.text, re.M)]

    def until(self, *wanted):
        """What it said of each transfer, as "DIRECTION STATE STATE…", once all of these are complete."""
        while True:
            states = {}
            for event in self.told():
                states.setdefault(event["transferId"], [event["direction"]]).append(event["state"])
            lines = [" ".join(words) for _, words in sorted(states.items())]
            if sorted(lines) == sorted(wanted):
                return lines
            assert len(lines) <= len(wanted) and ": alive" not in self.text, (lines, wanted, self.text)
            self.text += self.response.read1(65536).decode()

    def until_told(self, name):
        while not self.told(name):
            assert ": alive" not in self.text, self.text
            self.text += self.response.read1(65536).decode()
        return self.told(name)

    def close(self):
        self.connection.close()


def test_what_is_sent_and_fetched(api, bank, company, tmp_path):
    here, there = Stream(api), Stream(Api(bank))
    (tmp_path / "big").write_bytes(BIG)
    (tmp_path / "small").write_bytes(b"x")
    company.control("send", "BANK1", tmp_path / "small", "out/small")
    here.until("send queued running done")
    there.until("receive done")  # its row is written once
    company.control("send", "BANK1", tmp_path / "big", "out/big")
    here.until(*["send queued running done"] * 2)
    there.until("receive done", "receive running done")
    bank.control("send", "COMPANY", tmp_path / "small", "dispo/x")
    there.until("receive done", "receive running done", "offer queued")
    company.control("fetch", "BANK1", "releves/x", "--output", tmp_path / "got")
    here.until(*["send queued running done"] * 2, "fetch queued running done")
    there.until("receive done", "receive running done", "offer queued done", "serve running done")
    here.close()
    there.close()


def audited(api, count):
    """What the trail says was cancelled, once it says so of as many."""
    rows = [row["object"] for row in api.get("/api/v1/audit?action=transfer%20cancelled").json["content"]]
    return rows if len(rows) == count else None


def test_an_offer_is_made_changed_and_cancelled(tmp_path):
    files = '{ pattern = "dispo/*"; mode = "offer"; replace_queued = true; }'
    bank = Node(tmp_path / "bank", files=files, extra=LISTENER % FIRST_KEY).start()
    api = Api(bank)
    stream = Stream(api)
    (tmp_path / "f").write_bytes(b"x")
    first = bank.control("send", "COMPANY", tmp_path / "f", "dispo/x", "--no-wait")["id"]
    stream.until("offer queued")
    bank.control("send", "COMPANY", tmp_path / "f", "dispo/x", "--no-wait")
    stream.until("offer queued cancelled", "offer queued")
    assert doorbell.call(bank.folder / "door", "Remove", ("s", "COMPANY"), ("s", "dispo/x")) is None  # rm in the mount
    stream.until(*["offer queued cancelled"] * 2)
    third = bank.control("send", "COMPANY", tmp_path / "f", "dispo/y", "--no-wait")["id"]
    assert api.post("/api/v1/transfers/%d/cancel" % third).status == 202
    stream.until(*["offer queued cancelled"] * 3)
    ends = eventually(lambda: audited(api, 3))
    assert ends[0] == "/api/v1/transfers/%d" % first
    stream.close()
    bank.stop()


def test_what_is_held_released_retried_and_cancelled(api, bank, company, tmp_path):
    (tmp_path / "f").write_bytes(b"x")
    bank.stop()
    company.configure("COMPANY", LISTENER % FIRST_KEY + (COMPANY % bank.port).replace("[ 1 ]", "[ 3600 ]"))
    company.control("reload")
    stream = Stream(api)
    sent = company.control("send", "BANK1", tmp_path / "f", "out/x", "--no-wait")["id"]
    stream.until("send queued running waiting")
    company.control("hold", sent)
    stream.until("send queued running waiting waiting")
    company.control("release", sent)
    stream.until("send queued running waiting waiting queued running waiting")
    company.control("cancel", sent)
    stream.until("send queued running waiting waiting queued running waiting cancelled")
    company.control("retry", sent)
    stream.until("send queued running waiting waiting queued running waiting cancelled queued running waiting")
    stream.close()


def test_rows_that_go_with_their_time(tmp_path):
    node = Bare(tmp_path / "n", "N", LISTENER % FIRST_KEY + COMPANY % 1 + "retention: { rows_s = 864000; };").start()
    api = Api(node)
    ids = [api.post("/api/v1/transfers/send?partner=BANK1&path=offer/%d" % i, b"x").json["transferId"] for i in range(3)]
    for one in ids:
        assert api.post("/api/v1/transfers/%d/cancel" % one).status == 202
    eventually(lambda: audited(api, 3))
    node.stop()
    node.sql("UPDATE transfer_history SET created_us = 1, finished_us = 2, data_kept = 0 WHERE id <> %d" % ids[2])
    node.start()
    stream = Stream(Api(node, index=-1), after="1")  # all since its start
    assert stream.until_told("removed") == [{"partnerId": "BANK1", "transferIds": ids[:2]}]
    stream.close()
    node.stop()


def test_another_daemon_s_changes(tmp_path):
    server = postgres.Postgres()
    nodes = [Bare(tmp_path / owner, "N", LISTENER % FIRST_KEY + COMPANY % 1, server.store("cluster_two", 'owner = "%s";' % owner)).start() for owner in "ab"]
    stream = Stream(Api(nodes[1]))
    api = Api(nodes[0])
    made = api.post("/api/v1/transfers/send?partner=BANK1&path=offer/x", b"x").json["transferId"]
    stream.until("offer queued")
    assert api.post("/api/v1/transfers/%d/cancel" % made).status == 202
    stream.until("offer queued cancelled")
    stream.close()
    assert audited(Api(nodes[1]), 0) == []  # its trail is its own
    for node in nodes:
        node.stop()
    server.remove()
