# SPDX-License-Identifier: Apache-2.0
"""Real tools in a real mount between two daemons: what arrives, what is said, what exit code comes back."""
import errno
import os
import random
import signal
import subprocess
import time

import pytest
from mounted import Mounted
from node import Bare

BANK = '''listeners = ( { address = "127.0.0.1"; port = %d; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "in/*"; mode = "receive"; existing = "replace"; }, { pattern = "dispo/*"; mode = "offer"; },
            { pattern = "small/*"; mode = "receive"; file_type = 7; max_mb = 1; } ); } );'''
COMPANY = '''limits: { spool_reserve_mb = 0; };
partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  retry_delays_s = [ 1 ];
  files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 20; },
            { pattern = "queue/*"; mode = "send"; ack = "spool"; },
            { pattern = "empty/*"; mode = "send"; ack = "sent"; allow_empty = true; },
            { pattern = "moved/*"; mode = "send"; ack = "sent"; commit = "rename"; },
            { pattern = "wrong/*"; mode = "send"; ack = "sent"; file_type = 9; },
            { pattern = "small/*"; mode = "send"; ack = "sent"; file_type = 7; },
            { pattern = "releves/*"; mode = "fetch"; file_name = "{name}"; } ); },
  { name = "CLOSED"; identifier = "CLOSED"; address = "127.0.0.1"; port = 1; retry_delays_s = [ 600 ];
    files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; wait_s = 5; } ); } );'''
FILE = random.Random(5).randbytes(2_500_000)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    node = Bare(tmp_path_factory.mktemp("bank"), "BANK1", BANK % 0).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def company(tmp_path_factory, bank):
    node = Bare(tmp_path_factory.mktemp("company"), "COMPANY", COMPANY % bank.port).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def mnt(company):
    mount = Mounted(company).start()
    yield mount
    mount.stop()


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "virement.xml"
    path.write_bytes(FILE)
    return path


def sends(mount):
    """Names of the files that left, with their number of transfers."""
    found = {}
    for transfer in mount.node.control("transfers", "--limit", 1000):
        found.setdefault(transfer["path"], []).append(transfer["state"])
    return found


TOOLS = {
    "cp": "cp $S out/cp", "cp-p": "cp -p $S out/cp-p", "mv": "cp $S $S.2; mv $S.2 out/mv", "install": "install -m 640 $S out/install",
    "cat": "cat $S > out/cat", "dd": "dd if=$S of=out/dd bs=7000 2>&1", "dd-fsync": "dd if=$S of=out/dd-fsync bs=1M conv=fsync 2>&1",
    "tee": "tee out/tee < $S > /dev/null", "group": "{ head -c 1000000 $S; tail -c +1000001 $S; } > out/group",
    "subshell": "( head -c 1000000 $S; tail -c +1000001 $S ) > out/subshell",
    "exec": "exec 3>out/exec; head -c 1000000 $S >&3; tail -c +1000001 $S >&3; exec 3>&-",
    "append": "cat $S >> out/append", "rsync": "rsync $S out/rsync", "rsync-inplace": "rsync --inplace $S out/rsync-inplace",
    "rsync-a": "rsync -a $S out/rsync-a",
    "tar": "cp $S $(dirname $S)/tar; tar -C $(dirname $S) -cf - tar | tar -xf - -C out",
    "python": "python3 -c \"import shutil,sys; shutil.copy('$S','out/python')\"",
    "busybox": "busybox cp $S out/busybox",
    "rename-temp": "cp $S out/.t.tmp && mv out/.t.tmp out/rename-temp",
    "truncate-first": "truncate -s 2500000 out/truncate-first.part && dd if=$S of=out/truncate-first.part conv=notrunc 2>&1 && mv out/truncate-first.part out/truncate-first",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_sends_once(mnt, bank, source, tool):
    if tool == "busybox" and subprocess.run(["which", "busybox"], stdout=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("busybox is not installed")
    done = mnt.shell(TOOLS[tool], S=str(source))
    assert done.returncode == 0, done.stdout + done.stderr
    assert bank.received("in/" + tool) == FILE
    assert sends(mnt)["out/" + tool] == ["done"]
    assert mnt.attribute("out/" + tool, "state") == "DONE"


def test_a_refusal_is_an_exit_code_and_a_message(mnt, source):
    done = mnt.shell("cp $S wrong/a", S=str(source))
    assert (done.returncode, "Permission denied" in done.stderr) == (1, True), done.stderr
    assert mnt.attribute("wrong/a", "state") == "FAILED"
    assert mnt.attribute("wrong/a", "diag") == "2-226"
    assert mnt.attribute("wrong/a", "error")


def test_too_large_for_the_partner(mnt, source):
    done = mnt.shell("cp $S small/a", S=str(source))
    assert (done.returncode, mnt.attribute("small/a", "state")) == (1, "FAILED"), done.stderr


@pytest.mark.parametrize("script, message", [
    ("cp $S nowhere", "Permission denied"), ("cp $S releves/a", "Permission denied"),
    ("cp $S out/%s" % ("n" * 100), "Invalid argument"), ("mkdir out/d", "Operation not permitted"),
    ("ln -s a out/b", "Operation not permitted"), ("echo x >> out/cp", "Operation not permitted"),
    ("mv out/cp out/other", "Operation not permitted"), ("rmdir out", "Operation not permitted"),
])
def test_what_cannot_be_is_refused_at_once(mnt, source, script, message):
    if "out/cp" in script:
        mnt.shell("cp $S out/cp", S=str(source))
    done = mnt.shell(script, S=str(source))
    assert done.returncode != 0 and message in done.stderr, done.stderr


def test_an_unreachable_partner_does_not_hang(mnt, source):
    start = time.monotonic()
    done = subprocess.run(["cp", source, mnt.at("CLOSED/out/a")], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, "timed out" in done.stderr) == (1, True), done.stderr
    assert time.monotonic() - start < 15
    assert mnt.attribute("CLOSED/out/a", "state") == "WAITING"
    done = subprocess.run(["cp", source, mnt.at("CLOSED/out/a")], capture_output=True, text=True, timeout=30, check=False)
    assert "busy" in done.stderr
    os.unlink(mnt.at("CLOSED/out/a"))
    assert not mnt.at("CLOSED/out/a").exists()


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


def test_sed_in_place_on_a_file_not_sent_yet(mnt, bank):
    assert mnt.shell("printf 'a\\nb\\n' > moved/.x.tmp && sed -i s/a/c/ moved/.x.tmp && mv moved/.x.tmp moved/sed").returncode == 0
    assert bank.received("in/sed") == b"c\nb\n"


def test_names_and_attributes(mnt, source):
    assert mnt.shell("cp -p $S out/named", S=str(source)).returncode == 0
    shown = mnt.shell("ls out; stat -c '%s %a' out/named; df . | tail -1; find . -name named").stdout
    assert "named" in shown and "./out/named" in shown
    assert "%d" % len(FILE) in shown
    assert mnt.shell("chmod 600 out/named && touch -d 2020-01-01 out/named && stat -c '%a %y' out/named").stdout.startswith(
        "600 2020-01-01")
    assert mnt.shell("cmp out/named $S", S=str(source)).returncode == 0
    assert mnt.shell("rm out/named; ls out").stdout.find("named") < 0


def test_fetch_by_cat(mnt, bank, source, tmp_path):
    bank.control("send", "COMPANY", source, "dispo/RELEVE")
    assert mnt.shell("cat releves/RELEVE | cmp - $S", S=str(source)).returncode == 0
    assert mnt.shell("cp releves/RELEVE $T && cmp $T $S", S=str(source), T=str(tmp_path / "t")).returncode == 0
    assert "RELEVE" in mnt.shell("ls releves").stdout
    done = mnt.shell("cat releves/ABSENT")
    assert (done.returncode, "No such file" in done.stderr) == (1, True), done.stderr


def test_received_files_are_read_in_the_banks_mount(mnt, bank, source):
    assert mnt.shell("cp $S out/there", S=str(source)).returncode == 0
    other = Mounted(bank).start()
    try:
        seen = subprocess.run(["cmp", other.at("COMPANY/in/there"), source], check=False)
        assert seen.returncode == 0
        os.unlink(other.at("COMPANY/in/there"))
        assert "COMPANY/in/there" not in bank.inbox()
    finally:
        other.stop()


def test_the_daemon_may_restart_under_the_mount(mnt, bank, source):
    mnt.node.kill()
    mnt.node.start()
    assert mnt.shell("ls && cp $S out/again", S=str(source)).returncode == 0
    assert bank.received("in/again") == FILE
