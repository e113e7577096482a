# SPDX-License-Identifier: Apache-2.0
"""Which close, and which rename, sends a file; and what never does."""
import errno
import signal
import subprocess
import time

import pytest
from conftest import FILE


def test_queued_mode_returns_before_the_bank_has_it(mnt, bank, source):
    assert mnt.shell("cp $S queue/q1", S=str(source)).returncode == 0
    number = mnt.attribute("queue/q1", "transfer_id")
    assert mnt.node.control("wait", number)["state"] == "done"
    assert bank.received("in/q1") == FILE


def test_touch_sends_nothing_and_empty_only_where_allowed(mnt, bank):
    before = len(mnt.node.control("transfers", "--limit", 1000))
    assert mnt.shell("touch out/t && test -f out/t && rm out/t").returncode == 0
    assert mnt.shell(": > out/t2").returncode == 0
    assert mnt.attribute("out/t2", "state") == "EMPTY"
    assert len(mnt.node.control("transfers", "--limit", 1000)) == before
    assert mnt.shell("echo late > out/t2").returncode == 0
    assert bank.received("in/t2") == b"late\n"
    assert mnt.shell("touch empty/e").returncode == 0
    for _ in range(100):
        if "COMPANY/in/e" in bank.inbox():
            break
        time.sleep(0.05)
    assert bank.received("in/e") == b""


def test_commit_by_rename(mnt, bank, source):
    assert mnt.shell("cp $S moved/.a.tmp && mv moved/.a.tmp moved/a", S=str(source)).returncode == 0
    assert bank.received("in/a") == FILE


def test_a_killed_writer_sends_nothing(mnt):
    before = len(mnt.node.control("transfers", "--limit", 1000))
    with subprocess.Popen(["dd", "if=/dev/zero", "of=%s" % mnt.at("out/killed"), "bs=64k"],
                          stderr=subprocess.DEVNULL) as writer:
        while not mnt.at("out/killed").exists() or mnt.at("out/killed").stat().st_size < 1_000_000:
            pass
        writer.send_signal(signal.SIGKILL)
        writer.wait(10)
    for _ in range(100):
        if not mnt.at("out/killed").exists():
            break
        time.sleep(0.05)
    assert not mnt.at("out/killed").exists()
    assert len(mnt.node.control("transfers", "--limit", 1000)) == before


def test_a_second_writer_is_busy(mnt):
    with open(mnt.at("out/two"), "wb") as first:
        first.write(b"one")
        first.flush()
        with pytest.raises(OSError) as caught:
            open(mnt.at("out/two"), "wb")
        assert caught.value.errno == errno.EBUSY
