# SPDX-License-Identifier: Apache-2.0
"""Users other than the mount's: what permission bits allow, and what they may do with their own files."""
import os
import subprocess

import doorbell
import pytest
from conftest import FILE
from mounted import Mounted
from waiting import eventually

USER, GROUP = 65534, 4242  # a user of the group to whom the mount belongs


def let_in(folder):
    """Makes a temporary folder and those above it readable by everybody."""
    for part in (folder, *folder.parents):
        if part.stat().st_mode & 0o5 != 0o5:
            part.chmod(part.stat().st_mode | 0o5)


@pytest.fixture(scope="module")
def mnt(company):
    let_in(company.folder)
    mount = Mounted(company, "--gid", str(GROUP)).start()
    yield mount
    mount.stop()


@pytest.fixture
def source(tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "open"
    folder.mkdir(exist_ok=True)
    let_in(folder)
    path = folder / "virement.xml"
    path.write_bytes(FILE)
    path.chmod(0o644)
    return path


def as_user(mnt, script, uid=USER, gid=GROUP, **environment):
    return subprocess.run(["setpriv", "--reuid", str(uid), "--regid", str(gid), "--clear-groups", "bash", "-c", script],
                          cwd=mnt.at("."), env={**os.environ, "LC_ALL": "C", "HOME": "/", **environment}, capture_output=True,
                          text=True, timeout=60, check=False)


@pytest.mark.parametrize("script", ["cp $S out/U", "cp -p $S out/U", "install -m 640 $S out/U", "rsync -a $S out/U", "cat $S > out/U",
                                    "cp $S out/.u.tmp && mv out/.u.tmp out/U"])
def test_a_member_of_the_group_sends_and_owns_the_file(mnt, bank, source, script):
    name = "user-%d" % (len(script))
    done = as_user(mnt, script.replace("out/U", "out/" + name), S=str(source))
    assert done.returncode == 0, done.stderr
    assert bank.received("in/" + name) == FILE
    assert (mnt.at("out/" + name).stat().st_uid, mnt.at("out/" + name).stat().st_gid) == (USER, GROUP)
    assert as_user(mnt, "chmod 600 out/%s && touch out/%s && cat out/%s >/dev/null" % (
        name, name, name)).returncode == 0


def test_the_owner_may_send_again_even_after_a_new_mount(mnt, source):
    assert as_user(mnt, "cp $S out/daily", S=str(source)).returncode == 0
    mnt.stop()
    mnt.start()
    assert mnt.at("out/daily").stat().st_uid == USER
    done = as_user(mnt, "cp $S out/daily", S=str(source))
    assert done.returncode == 0, done.stderr
    assert mnt.sends()["out/daily"] == ["done", "done"]


def test_a_stranger_may_neither_send_nor_remove(mnt, source):
    assert as_user(mnt, "umask 077; cat $S > out/private", S=str(source)).returncode == 0
    for script in ("echo x > out/strange", "rm -f out/private", "mv out/private out/p2", "cat out/private", "mkdir out/.~tmp~",
                   "echo x >> out/private", "touch out/private", "chmod 777 out/private"):
        done = as_user(mnt, script, uid=12345, gid=12345)
        assert done.returncode != 0 and ("denied" in done.stderr or "not permitted" in done.stderr), (script, done.stderr)
    assert as_user(mnt, "ls -l out", uid=12345, gid=12345).returncode == 0


def by_user(work):
    """What work() says when a process of the user calls it: its text, or its exception."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(GROUP, GROUP, GROUP)
            os.setresuid(USER, USER, USER)
            os.write(writer, str(work()).encode())
        except OSError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        text = told.read()
    os.waitpid(child, 0)
    return text


def trail(company, after):
    """Who did what at the local door after a row, and how transfers ended: who, from where, what, on which."""
    rows = company.control("audit", "list", after)["content"]
    return [(row["username"], row["clientIp"], row["action"], row["object"]) for row in rows]


def test_the_trail_names_who_asked_and_whose_mount_it_was(mnt, company, source):
    """A user of the mount, not the one whose process it is."""
    last = company.control("audit", "verify")["seq"]
    act = mnt.at("CLOSED/top-a")
    assert as_user(mnt, "cp $S ../CLOSED/top-a && cp $S ../CLOSED/top-b", S=str(source)).returncode == 0
    eventually(lambda: os.getxattr(mnt.at("CLOSED/top-b"), "user.pesit.state") == b"WAITING")
    assert as_user(mnt, "rm ../CLOSED/top-b").returncode == 0
    for action in (b"retry", b"cancel"):
        eventually(lambda: os.getxattr(act, "user.pesit.state") == b"WAITING")
        assert by_user(lambda: os.setxattr(act, "user.pesit.action", action)) == "None"
    assert as_user(mnt, "cat ../CLOSED/in/x").returncode == 1
    names = company.control("transfers", "--partner", "CLOSED", "--limit", 3)
    ids = {one["path"]: str(one["id"]) for one in names}
    assert set(ids) == {"top-a", "top-b", "in/x"}, names
    company.control("cancel", ids["in/x"])
    user, place = "uid:%d" % USER, "mount of uid:%d" % os.getuid()
    eventually(lambda: ("transfer cancelled", "/api/v1/transfers/" + ids["in/x"]) in [row[2:] for row in trail(company, last)])
    rows = trail(company, last)
    for action, what in (("Cancel", ids["top-a"]), ("Retry", ids["top-a"]), ("Remove", "CLOSED/top-b")):
        assert (user, place, action, what) in rows, rows
    for path in ids:  # who had it made
        assert (user, place, "transfer cancelled", "/api/v1/transfers/" + ids[path]) in rows, rows
    assert ("uid:%d" % os.getuid(), "local", "Cancel", ids["in/x"]) in rows
    told = doorbell.call(company.folder / "door", "Cancel", ("x", 1 << 40), destination=":uid.4711")
    assert "4711" not in told and ("uid:4711", place, "Cancel", str(1 << 40)) in trail(company, last)


def test_only_who_may_do_all_speaks_for_others(company):
    """A stranger at the door is himself, whatever he says."""
    last = company.control("audit", "verify")["seq"]
    let_in(company.folder)
    (company.folder / "door").chmod(0o777)
    told = by_user(lambda: doorbell.call(company.folder / "door", "Cancel", ("x", 1 << 40), destination=":uid.0"))
    assert "not found" in told, told
    assert trail(company, last) == [("uid:%d" % USER, "local", "Cancel", str(1 << 40))]
