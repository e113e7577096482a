# SPDX-License-Identifier: Apache-2.0
"""kill -9 and stops at each moment: of the daemon, of the mount, of the partner. What was promised stays, the rest is told."""
import errno
import os
import signal
import subprocess
import time

import pytest
from conftest import FILE, wait_for
from mounted import Mounted
from node import BUILD


@pytest.fixture
def stopped_bank(bank):
    """The bank takes calls, and answers when it is woken."""
    bank.process.send_signal(signal.SIGSTOP)
    yield bank
    bank.process.send_signal(signal.SIGCONT)


def start(*command):
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def test_a_close_that_waits_outlives_the_daemon(mnt, stopped_bank, source):
    with start("cp", source, mnt.at("out/outlives")) as writer:
        wait_for(lambda: mnt.sends().get("out/outlives") == ["running"])
        mnt.node.kill()
        mnt.node.start()
        stopped_bank.process.send_signal(signal.SIGCONT)
        assert writer.wait(20) == 0, writer.stderr.read()
    assert stopped_bank.received("in/outlives") == FILE
    assert mnt.sends()["out/outlives"] == ["done"]


def test_a_fetch_that_waits_outlives_the_daemon(mnt, bank, source):
    bank.control("send", "COMPANY", source, "dispo/OUTLIVES")
    bank.process.send_signal(signal.SIGSTOP)
    try:
        with start("cmp", mnt.at("releves/OUTLIVES"), source) as reader:
            wait_for(lambda: mnt.sends().get("releves/OUTLIVES") == ["running"])
            mnt.node.kill()
            mnt.node.start()
            bank.process.send_signal(signal.SIGCONT)
            assert reader.wait(20) == 0, reader.stderr.read()
    finally:
        bank.process.send_signal(signal.SIGCONT)


def test_what_was_queued_is_sent_after_the_daemon_was_killed(mnt, stopped_bank, source):
    assert mnt.shell("cp $S queue/kept", S=str(source)).returncode == 0
    mnt.node.kill()
    mnt.node.start()
    stopped_bank.process.send_signal(signal.SIGCONT)
    wait_for(lambda: mnt.sends()["queue/kept"] == ["done"])
    assert stopped_bank.received("in/kept") == FILE


def test_a_daemon_killed_under_a_writer_is_an_error_at_close(mnt, source):
    script = "{ head -c 1000000 $S; echo go >&2; read < $P; tail -c +1000001 $S; } | dd of=out/lost bs=64k iflag=fullblock 2>/dev/null"
    pipe = str(source) + ".pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["bash", "-c", script], env={**os.environ, "S": str(source), "P": pipe}, cwd=mnt.at("."),
                          stderr=subprocess.PIPE, text=True) as writer:
        assert writer.stderr.readline() == "go\n"
        wait_for(lambda: mnt.at("out/lost").exists() and mnt.at("out/lost").stat().st_size > 500_000)
        mnt.node.kill()
        mnt.node.start()
        with open(pipe, "w", encoding="ascii") as file:
            file.write("\n")
        assert writer.wait(20) == 1
    assert "out/lost" not in mnt.sends()
    assert not mnt.at("out/lost").exists()
    assert mnt.shell("cp $S out/lost", S=str(source)).returncode == 0


def test_fsync_does_not_promise_what_is_lost(mnt, source):
    with open(mnt.at("moved/.f.tmp"), "wb", 0) as file:
        file.write(b"x")
        os.fsync(file.fileno())
        mnt.node.kill()
        mnt.node.start()
        with pytest.raises(OSError) as caught:
            os.fsync(file.fileno())
        assert caught.value.errno == errno.EIO
    begun = time.monotonic()
    wait_for(lambda: not mnt.at("moved/.f.tmp").exists())
    assert time.monotonic() - begun < 3  # who forgets it waits for no answer
    assert mnt.shell("cp $S out/after-fsync", S=str(source)).returncode == 0


def test_what_is_lost_goes_with_its_last_close(mnt):
    """Also what was still open when the mount looked for it: another that was closed by then is gone, so it has looked."""
    mnt.at("moved/.closed.tmp").write_bytes(b"x")
    with open(mnt.at("moved/.open.tmp"), "wb", 0) as file:
        file.write(b"x")
        mnt.node.kill()
        mnt.node.start()
        wait_for(lambda: not mnt.at("moved/.closed.tmp").exists())
        assert mnt.at("moved/.open.tmp").exists()
    wait_for(lambda: not mnt.at("moved/.open.tmp").exists(), seconds=3)


def test_a_daemon_killed_at_any_moment_of_a_copy_tells_the_truth(mnt, bank, source):
    outcomes = set()
    for step in range(24):
        path = "queue/step%d" % step
        with start("cp", source, mnt.at(path)) as writer:
            end = time.monotonic() + step * 0.001
            while time.monotonic() < end and writer.poll() is None:
                pass
            mnt.node.kill()
            mnt.node.start()
            code = writer.wait(20)
        wait_for(lambda: mnt.sends().get(path, ["done"]) == ["done"])
        outcomes.add(code)
        assert (path in mnt.sends()) == (code == 0), (step, code)
        if code == 0:
            assert bank.received("in/step%d" % step) == FILE
    assert outcomes == {0, 1}


def test_without_a_daemon_everything_is_told_in_time_and_comes_back(mnt, source):
    mnt.node.kill()
    try:
        begun = time.monotonic()
        calls = [start(*command) for command in (
            ("cp", source, mnt.at("out/away")), ("cat", mnt.at("releves/AWAY")), ("ls", mnt.at("out")), ("df", mnt.path),
            ("rm", mnt.at("out/lost")))]
        assert all(call.wait(30) != 0 for call in calls), [call.args for call in calls]
        assert time.monotonic() - begun < 15
        begun = time.monotonic()
        for command in (("cat", "out/lost"), ("stat", "out/never"), ("ls", "out"), ("cat", "releves/AWAY")):
            calls.append(start(command[0], mnt.at(command[1])))
            assert calls[-1].wait(10) != 0
        assert time.monotonic() - begun < 5  # it has been away for long: told soon
    finally:
        for call in calls:
            call.stderr.close()
        mnt.node.start()
    wait_for(lambda: mnt.at("out").is_dir())
    assert mnt.shell("cp $S out/away", S=str(source)).returncode == 0


def test_a_daemon_that_hangs_is_an_error_in_time(mnt, source):
    mnt.node.process.send_signal(signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(OSError) as caught:
            os.stat(mnt.at("out/hang-%d" % begun))
        assert caught.value.errno == errno.ETIMEDOUT
        assert time.monotonic() - begun < 12
    finally:
        mnt.node.process.send_signal(signal.SIGCONT)
    wait_for(lambda: mnt.shell("cp $S out/hangs-no-more", S=str(source)).returncode == 0)


def test_the_mount_is_killed_and_mounted_again(company, bank, source, tmp_path):
    mount = Mounted(company, path=tmp_path / "again").start()
    file = os.open(mount.at("out/half"), os.O_WRONLY | os.O_CREAT)
    os.write(file, b"half of it")
    assert mount.shell("cp $S queue/before", S=str(source)).returncode == 0
    mount.process.kill()
    mount.process.wait(10)
    for call in (lambda: os.write(file, b"more"), lambda: os.close(file)):
        with pytest.raises(OSError):
            call()
    mount.start()  # over what the killed one left
    try:
        assert "half" not in mount.shell("ls out").stdout
        assert mount.shell("cp $S out/half; cmp out/half $S", S=str(source)).returncode == 0
        wait_for(lambda: mount.sends()["queue/before"] == ["done"])
        assert bank.received("in/before") == FILE and mount.sends()["out/half"] == ["done"]
    finally:
        mount.stop()


@pytest.fixture
def apart(company, tmp_path):
    """A mount that cannot see the processes of this machine, as in a container of its own."""
    mountpoint = tmp_path / "apart"
    mountpoint.mkdir()
    subprocess.run(["mount", "--bind", mountpoint, mountpoint], check=True)
    subprocess.run(["mount", "--make-shared", mountpoint], check=True)
    reader, writer = os.pipe()
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(["unshare", "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child", "--mount-proc",
                                    BUILD / "pesitfs/pesitfs", "-f", "--socket", company.folder / "door", "--ready-fd", str(writer), mountpoint], stderr=log, pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        assert ready.readline() == b"READY\n", (tmp_path / "log").read_text(encoding="utf-8")
    yield mountpoint
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="utf-8") as children:
        os.kill(int(children.read()), signal.SIGTERM)
    ended = process.wait(30)
    subprocess.run(["umount", mountpoint], check=True)
    assert ended == 0, (tmp_path / "log").read_text(encoding="utf-8")


def test_who_cannot_be_seen_commits_by_rename_only(apart, bank, source, tmp_path):
    """Its death could not be told from its close."""
    refused = subprocess.run(["cp", source, apart / "BANK1/out/unseen"], capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1 and "Operation not permitted" in refused.stderr
    assert "cannot be seen: PARTNER=BANK1 PATH=out/unseen" in (tmp_path / "log").read_text(encoding="utf-8")
    subprocess.run(["cp", source, apart / "BANK1/moved/.unseen.tmp"], check=True, timeout=60)
    os.rename(apart / "BANK1/moved/.unseen.tmp", apart / "BANK1/moved/unseen")
    assert bank.received("in/unseen") == FILE
    bank.control("send", "COMPANY", source, "dispo/UNSEEN")
    assert (apart / "BANK1/releves/UNSEEN").read_bytes() == FILE
