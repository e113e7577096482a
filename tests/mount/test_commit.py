# SPDX-License-Identifier: Apache-2.0
"""Which close, and which rename, sends a file; and what never does."""
import errno
import mmap
import os
import pathlib
import signal
import subprocess

import pytest
from conftest import FILE, wait_for


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
    wait_for(lambda: "COMPANY/in/e" in bank.inbox())
    assert bank.received("in/e") == b""


def test_commit_by_rename(mnt, bank, source):
    assert mnt.shell("cp $S moved/.a.tmp && mv moved/.a.tmp moved/a", S=str(source)).returncode == 0
    assert bank.received("in/a") == FILE


KILLED = {
    "dd": "exec dd if=/dev/zero of=out/$N bs=64k",
    "cat": "exec cat /dev/zero > out/$N",
    "rsync": "exec rsync --bwlimit=2000 /dev/shm/$N out/",
    "python": "exec python3 -c \"f = open('out/$N', 'wb', 0)\nwhile True: f.write(bytes(65536))\"",
}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
@pytest.mark.parametrize("tool", KILLED)
def test_a_killed_writer_sends_nothing(mnt, tool, number):
    name, source = "killed-%s-%d" % (tool, number), pathlib.Path("/dev/shm/killed-%s-%d" % (tool, number))
    source.write_bytes(bytes(50_000_000) if tool == "rsync" else b"")
    try:
        with subprocess.Popen(["bash", "-c", KILLED[tool]], cwd=mnt.at("."), env={**os.environ, "N": name},
                              stderr=subprocess.DEVNULL) as writer:
            wait_for(lambda: any(name in p.name and p.stat().st_size > 500_000 for p in mnt.at("out").iterdir()))
            for child in children(writer.pid):
                os.kill(child, number)
            writer.send_signal(number)
            writer.wait(10)
    finally:
        source.unlink()
    wait_for(lambda: not any(name in p.name for p in mnt.at("out").iterdir()))
    assert "out/" + name not in mnt.sends()


def children(pid):
    return [int(word) for word in pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text(encoding="ascii").split()]


def test_a_killed_part_of_a_group_sends_nothing(mnt):
    done = mnt.shell("{ echo first; bash -c 'echo half; kill -9 $$'; echo last; } > out/half")
    assert "out/half" not in mnt.sends(), done.stderr
    assert not mnt.at("out/half").exists()


DESCRIPTORS = {
    "builtins": ("exec 3>out/D; echo a >&3; echo b >&3; exec 3>&-", b"a\nb\n"),
    "builtins-dash": ("exec dash -c 'exec 3>out/D; echo a >&3; echo b >&3; exec 3>&-'", b"a\nb\n"),
    "commands": ("exec 3>out/D; cat <<< a >&3; cat <<< b >&3; exec 3>&-", b"a\nb\n"),
    "nested": ("{ echo a; { echo b; echo c; } ; (echo d); } > out/D", b"a\nb\nc\nd\n"),
    "two": ("exec 3>out/D 4>out/E; echo a >&3; echo b >&4; echo c >&3; exec 3>&- 4>&-", b"a\nc\n"),
    "dup": ("python3 -c \"import os; f = os.open('out/D', os.O_WRONLY | os.O_CREAT); g = os.dup(f); os.write(f, b'a');"
            "os.close(f); os.write(g, b'b'); os.close(g)\"", b"ab"),
    "dup-renamed": ("python3 -c \"import os; f = os.open('out/.t', os.O_WRONLY | os.O_CREAT); g = os.dup(f);"
                    "os.rename('out/.t', 'out/D'); os.write(f, b'a'); os.close(f); os.write(g, b'b'); os.close(g)\"", b"ab"),
    "child-first": ("python3 -c \"import os, subprocess; f = os.open('out/D', os.O_WRONLY | os.O_CREAT); os.set_inheritable(f, True);"
                    "subprocess.run(['true'], close_fds=False); os.write(f, b'ab'); os.close(f)\"", b"ab"),
    "child-writes": ("python3 -c \"import os; f = os.open('out/D', os.O_WRONLY | os.O_CREAT); os.write(f, b'a'); p = os.fork()\n"
                     "if p == 0: os.write(f, b'b'); os._exit(0)\nos.waitpid(p, 0); os.write(f, b'c'); os.close(f)\"", b"abc"),
    "thread-closes": ("python3 -c \"import os, threading; f = os.open('out/D', os.O_WRONLY | os.O_CREAT); os.write(f, b'ab');"
                      "t = threading.Thread(target=os.close, args=(f,)); t.start(); t.join()\"", b"ab"),
    "never-closed": ("python3 -c \"import os; f = os.open('out/D', os.O_WRONLY | os.O_CREAT); os.write(f, b'ab')\"", b"ab"),
}


@pytest.mark.parametrize("name", DESCRIPTORS)
def test_one_file_whoever_holds_its_descriptors(mnt, bank, name):
    script, expected = DESCRIPTORS[name]
    done = mnt.shell(script.replace("out/D", "out/d-" + name).replace("out/E", "out/e-" + name))
    assert done.returncode == 0, done.stderr
    assert bank.received("in/d-" + name) == expected
    assert mnt.sends()["out/d-" + name] == ["done"]


def test_an_orphan_child_commits_when_it_ends(mnt, bank):
    assert mnt.shell("{ (sleep 0.3; echo late) & } > out/orphan").returncode == 0
    wait_for(lambda: mnt.sends().get("out/orphan") == ["done"])
    assert bank.received("in/orphan") == b"late\n"


def test_a_write_after_the_commit_is_refused(mnt, bank):
    with open(mnt.at("moved/.late.tmp"), "wb", 0) as file:
        file.write(b"whole")
        os.replace(mnt.at("moved/.late.tmp"), mnt.at("moved/late"))
        with pytest.raises(PermissionError):
            file.write(b"more")
    assert bank.received("in/late") == b"whole"


def test_a_close_that_failed_is_not_made_good_later(mnt, source):
    assert mnt.shell("cp $S wrong/once", S=str(source)).returncode == 1
    assert mnt.sends()["wrong/once"] == ["failed"]
    done = mnt.shell("dd if=/dev/zero of=tiny/big bs=64k count=32")
    assert (done.returncode, "File too large" in done.stderr) == (1, True), done.stderr
    wait_for(lambda: not mnt.at("tiny/big").exists())
    done = mnt.shell("truncate -s 2M tiny/.b.tmp && mv tiny/.b.tmp tiny/b")
    assert (done.returncode, "File too large" in done.stderr) == (1, True), done.stderr
    assert not [path for path in mnt.sends() if path.startswith("tiny/")]


def test_what_is_cut_to_nothing_is_not_sent(mnt):
    with open(mnt.at("out/cut"), "wb", 0) as file:
        file.write(b"something")
        file.truncate(0)
    assert mnt.attribute("out/cut", "state") == "EMPTY"
    os.unlink(mnt.at("out/cut"))
    assert "out/cut" not in mnt.sends()


def test_removed_while_open_is_not_sent(mnt):
    with open(mnt.at("out/gone"), "w+b", 0) as file:
        file.write(b"something")
        os.unlink(mnt.at("out/gone"))
        file.seek(0)
        assert file.read() == b"something"
    assert not mnt.at("out/gone").exists()
    assert "out/gone" not in mnt.sends()


def test_a_new_version_of_what_was_sent(mnt, bank):
    assert mnt.shell("printf 12345 > out/version").returncode == 0
    with open(mnt.at("out/version"), "r+b", 0) as file:
        file.seek(2)
        file.write(b"xx")
    assert bank.received("in/version") == b"12xx5"
    assert mnt.shell("touch out/version; cat out/version").stdout == "12xx5"
    assert mnt.sends()["out/version"] == ["done", "done"]
    for call in (lambda: os.truncate(mnt.at("out/version"), 1), lambda: open(mnt.at("out/version"), "ab")):
        with pytest.raises(PermissionError):
            call()


def test_what_is_queued_or_running_is_not_overwritten(mnt, source):
    assert mnt.shell("cp $S ../MUTE/queue/q", S=str(source)).returncode == 0
    wait_for(lambda: mnt.attribute("MUTE/queue/q", "state") == "RUNNING")
    for script in ("cp $S ../MUTE/queue/q", "echo x > ../MUTE/queue/q", "rm ../MUTE/queue/q",
                   "echo x > ../MUTE/queue/.q.tmp; mv ../MUTE/queue/.q.tmp ../MUTE/queue/q", "mv ../MUTE/queue/q ../MUTE/queue/z"):
        done = mnt.shell(script, S=str(source))
        assert (done.returncode, "busy" in done.stderr) == (1, True), (script, done.stderr)


def test_a_queued_file_is_replaced_where_that_is_allowed(mnt, source):
    assert mnt.shell("cp $S ../CLOSED/later/q", S=str(source)).returncode == 0
    wait_for(lambda: mnt.attribute("CLOSED/later/q", "state") == "WAITING")
    assert mnt.shell("echo new > ../CLOSED/later/q").returncode == 0
    wait_for(lambda: mnt.sends()["later/q"] == ["waiting", "cancelled"])
    assert mnt.shell("cat ../CLOSED/later/q").stdout == "new\n"
    assert mnt.shell("rm ../CLOSED/later/q").returncode == 0
    assert mnt.sends()["later/q"] == ["cancelled", "cancelled"]


def test_exclusive_creation(mnt):
    assert mnt.shell("echo x > out/exclusive").returncode == 0
    with pytest.raises(FileExistsError):
        os.open(mnt.at("out/exclusive"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def test_shared_memory_to_write_is_refused_and_space_may_be_reserved(mnt, bank):
    with open(mnt.at("out/reserved"), "w+b", 0) as file:
        os.posix_fallocate(file.fileno(), 0, 100_000)
        assert os.fstat(file.fileno()).st_size == 100_000
        with pytest.raises(OSError) as caught:
            mmap.mmap(file.fileno(), 4096)
        assert caught.value.errno == errno.ENODEV
        file.write(b"x" * 10)
        file.truncate(10)
        os.fsync(file.fileno())
    assert bank.received("in/reserved") == b"x" * 10


def test_the_opener_s_close_waits_for_rename_where_that_commits(mnt, bank):
    assert mnt.shell("echo x > moved/direct").returncode == 0
    assert "moved/direct" not in mnt.sends()
    assert mnt.attribute("moved/direct", "state") == "WRITING"
    assert mnt.shell("mv moved/direct moved/directly").returncode == 0
    assert bank.received("in/directly") == b"x\n"


def test_a_second_writer_is_busy(mnt):
    with open(mnt.at("out/two"), "wb") as first:
        first.write(b"one")
        first.flush()
        with pytest.raises(OSError) as caught:
            open(mnt.at("out/two"), "wb")
        assert caught.value.errno == errno.EBUSY
