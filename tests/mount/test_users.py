# SPDX-License-Identifier: Apache-2.0
"""Users other than the mount's: what permission bits allow, and what they may do with their own files."""
import os
import subprocess

import pytest
from conftest import FILE
from mounted import Mounted

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
