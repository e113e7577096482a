# SPDX-License-Identifier: Apache-2.0
"""Each number of /metrics beside what a scenario did, as Prometheus reads it, on either store."""
import os
import re
import subprocess
import time

from admin import FIRST_KEY, LISTENER, Api
from conftest import COMPANY
from node import Bare, Node
from peer import Requester
from responder import Lobby
from waiting import eventually

FILE = b"x" * 1_000_000
LABELS = {"direction": "in|out", "state": "done|failed|cancelled|retried", "diagnostic": r"\d-\d{3}|other", "le": r"[\d.]+|\+Inf", "partner": "BANK1|COMPANY|",
          "errno": r"E\w+|other", "operation": "[a-z]+"}


def read(node):
    """As numbers by name and labels, after promtool and we have looked at each line."""
    text = Api(node, index=-1).get("/metrics").body.decode()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    told, kinds = {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP"):
            assert re.fullmatch(r"# HELP pesit_[a-z_]+ \S.{8,}", line), line
        elif line.startswith("# TYPE"):
            _, _, name, kind = line.split()
            assert name not in kinds, line
            kinds[name] = kind
        else:
            name, labels, number = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            family = re.sub("_(bucket|sum|count)$", "", name) if kinds.get(name) is None else name
            assert (kinds[family] == "counter") == name.endswith("_total"), line
            for label, value in re.findall(r'(\w+)="([^"]*)"', labels or ""):
                assert re.fullmatch(LABELS[label], value), line
            key = name + ("{%s}" % labels if labels else "")
            assert key not in told, line
            told[key] = float(number)
    return told


def test_what_is_queued_waits_runs_and_is_cancelled(bank, company, api, tmp_path):
    (tmp_path / "f").write_bytes(FILE)
    before = read(company)
    assert (before["pesit_up"], before["pesit_transfers_queued"], before["pesit_transfers_waiting"], before["pesit_queue_age_seconds"]) == (1, 0, 0, 0)
    bank.stop()
    company.configure("COMPANY", LISTENER % FIRST_KEY + (COMPANY % bank.port).replace("[ 1 ]", "[ 3600 ]"))
    company.control("reload")
    began = time.time()
    sent = [company.control("send", "BANK1", tmp_path / "f", "out/%d" % i, "--no-wait")["id"] for i in range(3)]
    eventually(lambda: {company.control("show", one)["state"] for one in sent} == {"waiting"})
    now = eventually(lambda: (told := read(company))["pesit_transfers_waiting"] == 3 and told)
    assert now["pesit_transfers_queued"] == now["pesit_transfers_running"] == 0
    assert 0 < now["pesit_queue_age_seconds"] <= time.time() - began + 0.1
    assert now["pesit_retries_total"] == now['pesit_partner_transfers_total{partner="BANK1",state="retried"}'] == 3
    company.control("cancel", sent[0])
    bank.start()
    for one in sent[1:]:
        company.configure("COMPANY", LISTENER % FIRST_KEY + COMPANY % bank.port)
        company.control("reload")
        assert company.control("wait", one)["state"] == "done"
    ended, there = read(company), read(bank)
    assert ended["pesit_transfers_waiting"] == ended["pesit_queue_age_seconds"] == 0
    for name, number in (("done", 2), ("cancelled", 1), ("failed", 0)):
        assert ended['pesit_transfers_total{state="%s"}' % name] == ended['pesit_partner_transfers_total{partner="BANK1",state="%s"}' % name] == number
    assert there['pesit_partner_bytes_total{partner="COMPANY",direction="in"}'] == 2 * len(FILE)
    assert ended['pesit_connections_total{direction="out"}'] >= there['pesit_connections_total{direction="in"}'] >= 1
    assert ended["pesit_store_commit_seconds_count"] == ended['pesit_store_commit_seconds_bucket{le="+Inf"}'] > before["pesit_store_commit_seconds_count"]
    assert ended["pesit_store_commit_seconds_sum"] > before["pesit_store_commit_seconds_sum"]


def test_what_is_refused(tmp_path):
    """By us and by the partner, by diagnostic."""
    bank = Node(tmp_path / "bank", files='{ pattern = "in/*"; mode = "receive"; file_type = 9; }', extra=LISTENER % FIRST_KEY).start()
    company = Bare(tmp_path / "company", "COMPANY", LISTENER % FIRST_KEY + COMPANY % bank.port).start()
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    refused = company.control("send", "BANK1", tmp_path / "f", "out/f", check=False)
    assert refused.returncode == 3
    diagnostic = company.control("transfers")[0]["diag"]
    for node in (bank, company):
        assert read(node)['pesit_refusals_total{diagnostic="%s"}' % diagnostic] == 1
        assert sum(number for name, number in read(node).items() if name.startswith("pesit_refusals_total")) == 1
    assert read(company)['pesit_transfers_total{state="failed"}'] == 1
    for node in (bank, company):
        node.stop()


def test_who_asks(tmp_path):
    node = Bare(tmp_path / "n", "N", LISTENER.replace("100000", "1000") % FIRST_KEY).start()
    api = Api(node)
    before = read(node)
    for _ in range(4):
        assert api.get("/health/live").status == 200
    wrong = api.from_address("127.0.0.2").as_key("pk_wrong")
    assert [wrong.get("/api/v1/me").status for _ in range(13)] == [401] * 10 + [429] * 3
    after = read(node)
    rise = {name: after[name] - before[name] for name in ("pesit_admin_requests_total", "pesit_admin_logins_failed_total", "pesit_admin_limited_total")}
    assert rise == {"pesit_admin_requests_total": 4 + 13 + 1, "pesit_admin_logins_failed_total": 10, "pesit_admin_limited_total": 3}
    node.stop()


def test_what_the_spool_has_room_for(bank):
    told, filesystem = read(bank), os.statvfs(bank.folder / "spool")
    assert 0 < told["pesit_spool_available_bytes"] <= told["pesit_spool_total_bytes"] <= filesystem.f_frsize * filesystem.f_blocks
    assert abs(told["pesit_spool_available_bytes"] - filesystem.f_frsize * filesystem.f_bavail) < 2 << 30  # the reserve, and what others write meanwhile


def test_what_goes_on_where_it_had_ended(bank, tmp_path):
    """A repeat of a file whose answer was lost, by a partner and by us; the bytes of it count for nobody twice."""
    caller = Requester(bank.port)
    caller.connect()
    for again in (0, 1):
        assert caller.write("x", b"x" * 3000, transfer=9, restarted=again) == "0/000"
        assert read(bank)['pesit_restarts_total{direction="in"}'] == again
    caller.close()
    told = read(bank)
    assert told['pesit_partner_bytes_total{partner="COMPANY",direction="in"}'] == 3000 and told['pesit_transfers_total{state="done"}'] == 1
    lobby = Lobby()
    company = Bare(tmp_path / "company", "COMPANY", LISTENER % FIRST_KEY + COMPANY % lobby.port).start()
    (tmp_path / "f").write_bytes(b"x" * 3000)
    company.control("send", "BANK1", tmp_path / "f", "out/f", "--no-wait")
    for again in (0, 1):
        link = lobby.accept()
        link.take_connect()
        assert link.take_create().values[15] == bytes([again])
        if again == 0:
            link.take_simple("ORF")
            link.take_simple("WRITE")
            while link.receive().name != "TRANS.END":
                pass
        else:
            eventually(lambda: read(company)['pesit_restarts_total{direction="out"}'] == 1)
        link.close()
    lobby.stop()
    company.stop()
