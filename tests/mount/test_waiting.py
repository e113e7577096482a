# SPDX-License-Identifier: Apache-2.0
"""Nothing hangs: partners that refuse, are away or never answer, and a daemon that goes."""
import contextlib
import os
import signal
import subprocess
import time

import pytest
from conftest import FILE, wait_for
from mounted import Mounted


def test_a_refusal_is_an_exit_code_and_a_message(mnt, source):
    done = mnt.shell("cp $S wrong/a", S=str(source))
    assert (done.returncode, "Permission denied" in done.stderr) == (1, True), done.stderr
    assert mnt.attribute("wrong/a", "state") == "FAILED"
    assert mnt.attribute("wrong/a", "diag") == "2-226"
    assert mnt.attribute("wrong/a", "error")


def test_too_large_for_the_partner(mnt, source):
    done = mnt.shell("cp $S small/a", S=str(source))
    assert (done.returncode, mnt.attribute("small/a", "state")) == (1, "FAILED"), done.stderr


def test_an_unreachable_partner_does_not_hang(mnt, source):
    start = time.monotonic()
    done = subprocess.run(["cp", source, mnt.at("CLOSED/out/a")], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "refused" in done.stderr) == (1, True), done.stderr
    assert time.monotonic() - start < 15
    assert mnt.attribute("CLOSED/out/a", "state") == "WAITING"
    done = subprocess.run(["cp", source, mnt.at("CLOSED/out/a")], capture_output=True, text=True, timeout=30, check=False)
    assert "busy" in done.stderr
    os.unlink(mnt.at("CLOSED/out/a"))
    assert not mnt.at("CLOSED/out/a").exists()


def test_the_daemon_may_restart_under_the_mount(mnt, bank, source):
    mnt.node.kill()
    mnt.node.start()
    assert mnt.shell("ls && cp $S out/again", S=str(source)).returncode == 0
    assert bank.received("in/again") == FILE


UNDER_WAY = (["running"], ["queued"])


@contextlib.contextmanager
def running(command, **options):
    """A process that is killed at the end, whatever came between."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, **options) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("path, script", [
    ("out/k", "exec cp $S MUTE/$P"), ("out/r", "cp $S MUTE/queue/.k.tmp; exec mv MUTE/queue/.k.tmp MUTE/$P"),
    ("in/f", "exec cat MUTE/$P")])
def test_a_signal_ends_what_waits_and_the_transfer_goes_on(mnt, source, path, script, number):
    path += str(number.value)
    with running(["bash", "-c", script], env={**os.environ, "S": str(source), "P": path}, cwd=mnt.path) as waiter:
        wait_for(lambda: mnt.sends().get(path) in UNDER_WAY)
        start = time.monotonic()
        waiter.send_signal(number)
        assert waiter.wait(10) != 0
        assert time.monotonic() - start < 1
    assert mnt.sends()[path] in UNDER_WAY


def test_time_over_is_an_error_and_the_transfer_goes_on(mnt, source):
    start = time.monotonic()
    done = mnt.shell("cp $S ../MUTE/short/t", S=str(source))
    assert (done.returncode, "timed out" in done.stderr) == (1, True), done.stderr
    assert 0.9 < time.monotonic() - start < 5
    assert mnt.attribute("MUTE/short/t", "state") == "RUNNING"


def test_many_may_wait_and_others_are_served(mnt, source):
    waiting = [subprocess.Popen(["cp", source, mnt.at("MUTE/out/m%d" % i)], stderr=subprocess.DEVNULL) for i in range(80)]
    try:
        wait_for(lambda: sum(path.startswith("out/m") for path in mnt.sends()) == 80, 60)
        start = time.monotonic()
        assert mnt.shell("ls out >/dev/null && cp $S out/served", S=str(source)).returncode == 0
        assert time.monotonic() - start < 10
    finally:
        for process in waiting:
            process.kill()
        for process in waiting:
            assert process.wait(10) != 0


@pytest.mark.parametrize("end", ["SIGTERM", "umount", "SIGKILL"])
def test_the_mount_ends_while_a_process_waits(company, source, tmp_path, end):
    mount = Mounted(company, path=tmp_path / "other").start()
    path = "out/" + end
    with running(["cp", source, mount.at("MUTE/" + path)]) as waiter:
        wait_for(lambda: mount.sends().get(path) in UNDER_WAY)
        start = time.monotonic()
        if end == "umount":
            subprocess.run(["umount", "-f", mount.path], check=False)
            subprocess.run(["umount", "-l", mount.path], check=False)
            waiter.kill()
        else:
            mount.process.send_signal(getattr(signal, end))
        assert waiter.wait(10) != 0
        mount.process.wait(10)
        assert time.monotonic() - start < 3
    if end == "SIGKILL":
        mount.unmount()
    else:
        mount.stop()
    assert mount.sends()[path] in (*UNDER_WAY, ["waiting"])
