# SPDX-License-Identifier: Apache-2.0
"""kill -9 at each step between two durable writes, on either side. What was taken arrives once, whole, and both histories say so.

The kernel ends the process at the N-th call of a kind (strace), for N = 1, 2, … until a whole transfer passes without."""
import json
import pathlib
import subprocess

import pytest
from node import BUILD, Bare
from ports import free_port
from strace import Strace
from trail import ENDED, check_trail
from waiting import eventually

BANK = '''listeners = ( { address = "127.0.0.1"; port = %d; } ); timers: { release_ms = 300; };
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; sync_interval_kb = 64;
  files = ( { pattern = "in/*"; mode = "receive"; existing = "number"; }, { pattern = "dispo/*"; mode = "offer"; } ); } );'''
COMPANY = '''timers: { release_ms = 300; };
partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  sync_interval_kb = 64; sync_window = 1; retry_delays_s = [ 1 ]; retry_attempts = 1000; idle_s = 1;
  files = ( { pattern = "out/*"; mode = "send"; }, { pattern = "releves/*"; mode = "fetch"; file_name = "{name}"; } ); } );'''
CONTENT = bytes(range(256)) * 600  # three points


@pytest.fixture
def bank(tmp_path):
    node = Bare(tmp_path / "bank", "BANK1", BANK % free_port()).start()  # it comes back at the same place
    yield node
    node.stop()


@pytest.fixture
def company(tmp_path, bank):
    node = Bare(tmp_path / "company", "COMPANY", COMPANY % bank.port).start()
    yield node
    node.stop()


def rows(node, path, *options):
    return [row for row in node.control("transfers", "--limit", 1000, *options) if row["path"] == path]


def has_ended(company, path):
    """Not when the daemon dies while it is asked: then nobody waits for the answer."""
    program = [BUILD / "pesitctl/pesitctl", "--socket", company.folder / "door", "--json", "transfers", "--limit", "1000"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as asking:
        while True:
            try:
                answer = asking.communicate(timeout=0.2)[0]
            except subprocess.TimeoutExpired:
                if not is_dead(company):
                    continue
                asking.kill()
                return False
            return asking.returncode == 0 and all(r["state"] in ENDED for r in json.loads(answer) if r["path"] == path)


def is_dead(node):
    """Its tracer may keep a killed process from being waited for."""
    if node.process.poll() is not None:
        return True
    stat = (pathlib.Path("/proc") / str(node.process.pid) / "stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] in "ZX"


def come_back(node):
    if is_dead(node):
        node.process.wait(10)
        node.start()


def push_retries(company):
    """Nobody waits for the clock."""
    for row in company.control("transfers", "--state", "waiting", "--limit", 50):
        company.control("retry", row["id"], check=False)


def kill_at(victim, call, number):
    """Dies at its number-th call of this kind."""
    return Strace(victim.process.pid, victim.folder / "strace", call, "%s:signal=SIGKILL:when=%d" % (call, number))


def send(company, source, path):
    """True when the daemon has taken it. A daemon that dies answers no more."""
    program = [BUILD / "pesitctl/pesitctl", "--socket", company.folder / "door", "send", "BANK1", source, path, "--no-wait"]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asking:
        eventually(lambda: asking.poll() is not None or is_dead(company), 30)
        try:
            return asking.wait(0.5) == 0
        except subprocess.TimeoutExpired:
            asking.kill()
            return False


def settle(company, bank, path, victim, strace):
    """Until the transfer has ended or the victim is dead; then the victim comes back, and the transfer ends. True: it was killed."""
    if not is_dead(company):
        eventually(lambda: is_dead(victim) or has_ended(company, path), 30)
    strace.stop()
    killed = is_dead(victim)
    come_back(victim)

    def ended():
        push_retries(company)
        return has_ended(company, path)
    eventually(ended, 30, lambda: "%s\n%s\n%s" % (rows(company, path), company.log()[-3000:], bank.log()[-3000:]))
    return killed


def check_sent(company, bank, path, accepted):
    name = path.split("/")[1]
    there = [p for p in bank.inbox() if p.startswith("COMPANY/in/%s" % name)]
    sent, got = rows(company, path), rows(bank, "in/" + name, "--direction", "receive")
    story = ([(r["state"], r["diag"], r["error"]) for r in sent], [(r["state"], r["path"], r["error"]) for r in got], there)
    if accepted or sent:
        assert there == ["COMPANY/in/" + name], story
        assert bank.received("in/" + name) == CONTENT, story
        assert [r["state"] for r in sent] == ["done"], story
    assert len(there) <= 1 and len([r for r in got if r["state"] == "done"]) == len(there), story
    assert all(r["state"] in ENDED for r in got), story


DURABLE = ("fdatasync", "fsync", "renameat2", "pwrite64", "pwritev", "unlinkat")


# what the partner is told, only where nobody asks the victim how it goes: its answers would be counted too
@pytest.mark.parametrize("side,call", [(s, c) for s in ("sender", "receiver") for c in DURABLE] + [("receiver", "sendto")])
def test_killed_while_a_file_is_sent(tmp_path, bank, company, side, call):
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    victim = company if side == "sender" else bank
    kills = 0
    for number in range(1, 70):
        path = "out/%s%d" % (call, number)
        with kill_at(victim, call, number) as strace:
            accepted = send(company, source, path)
            killed = settle(company, bank, path, victim, strace)
        check_sent(company, bank, path, accepted)
        if not killed:
            break
        kills += 1
    assert not killed, "killed at every try"
    check_trail(company, bank)
    assert list((company.folder / "spool/staging").iterdir()) == []


@pytest.mark.parametrize("side,call", [(s, c) for s in ("fetcher", "server") for c in ("fdatasync", "fsync")] + [("server", "sendto")])
def test_killed_while_a_file_is_fetched(tmp_path, bank, company, side, call):
    source = tmp_path / "source"
    source.write_bytes(CONTENT)
    victim = company if side == "fetcher" else bank
    killed = False
    for number in range(1, 70):
        name = "%s%d" % (call.upper(), number)
        bank.control("send", "COMPANY", source, "dispo/" + name)
        target = tmp_path / name
        program = [BUILD / "pesitctl/pesitctl", "--socket", company.folder / "door", "fetch", "BANK1", "releves/" + name, "-o", target]
        with kill_at(victim, call, number) as strace:
            with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as asking:
                eventually(lambda: is_dead(victim) or asking.poll() is not None, 30)
                strace.stop()
                killed = is_dead(victim)
                come_back(victim)
                eventually(lambda: (push_retries(company), asking.poll() is not None)[1], 30)
        assert (target.read_bytes() == CONTENT) if asking.returncode == 0 else not target.exists()
        assert not killed or victim is company or asking.returncode == 0, "the server came back: the fetch goes on"
        for row in rows(company, "releves/" + name):
            assert row["state"] in ENDED and (row["state"] == "done") == row["data_kept"], row
        there = [(row["direction"], row["state"]) for row in rows(bank, "dispo/" + name)]
        eventually(lambda: ("serve", "done") not in there or ("offer", "done") in [
            (row["direction"], row["state"]) for row in rows(bank, "dispo/" + name)])
        again = company.control("fetch", "BANK1", "releves/" + name, "-o", tmp_path / "again")
        assert again["state"] == "done" and (tmp_path / "again").read_bytes() == CONTENT
        if not killed:
            break
    assert not killed, "killed at every try"
    check_trail(company, bank)
