# SPDX-License-Identifier: Apache-2.0
"""What stat, chmod, touch and extended attributes say and keep."""
import contextlib
import errno
import os
import re
import struct
import subprocess

import pytest
from conftest import FILE, wait_for
from mounted import Mounted


ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, 4, 0xFFFFFFFF) for tag in (1, 4, 0x20))


def attributes(path):
    return {name: os.getxattr(path, name).decode() for name in os.listxattr(path)}


def test_the_story_of_a_transfer_in_attributes(mnt, source):
    assert mnt.shell("cp $S out/story", S=str(source)).returncode == 0
    found = attributes(mnt.at("out/story"))
    assert (found["user.pesit.state"], found["user.pesit.bytes"], found["user.pesit.attempts"]) == ("DONE", str(len(FILE)), "1")
    assert found["user.pesit.file_name"] == "story" and int(found["user.pesit.transfer_id"]) > 0
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT.*", found["user.pesit.finished_at"])
    assert "user.pesit.diag" not in found and "user.pesit.error" not in found
    assert mnt.shell("cp $S wrong/story", S=str(source)).returncode == 1
    found = attributes(mnt.at("wrong/story"))
    assert (found["user.pesit.state"], found["user.pesit.diag"]) == ("FAILED", "2-226") and found["user.pesit.error"]


def test_what_is_written_here_says_so_and_takes_orders(mnt, source):
    path = mnt.at("MUTE/out/ordered")
    with open(path, "wb", 0) as file:
        assert attributes(path) == {"user.pesit.state": "WRITING"}
        os.setxattr(path, "user.pesit.ack", b"spool")
        os.setxattr(path, "user.pesit.wait", b"30")
        assert attributes(path) == {"user.pesit.state": "WRITING", "user.pesit.ack": "spool", "user.pesit.wait": "30"}
        for name, value in (("ack", b"later"), ("wait", b"soon"), ("wait", b"0"), ("wait", b"-1")):
            with pytest.raises(OSError) as caught:
                os.setxattr(path, "user.pesit." + name, value)
            assert caught.value.errno == errno.EINVAL
        file.write(b"x")
    assert mnt.attribute("MUTE/out/ordered", "state") in ("QUEUED", "RUNNING")  # closed at once: spool
    path = mnt.at("MUTE/out/hasty")
    with pytest.raises(TimeoutError):
        with open(path, "wb", 0) as file:
            os.setxattr(path, "user.pesit.wait", b"1")
            file.write(b"x")


def test_actions_on_a_transfer(mnt, source):
    path = mnt.at("CLOSED/later/acted")
    assert mnt.shell("cp $S $P", S=str(source), P=str(path)).returncode == 0
    wait_for(lambda: mnt.attribute("CLOSED/later/acted", "state") == "WAITING")
    os.setxattr(path, "user.pesit.action", b"retry")
    wait_for(lambda: mnt.attribute("CLOSED/later/acted", "attempts") == "2")
    with pytest.raises(OSError) as caught:
        os.setxattr(path, "user.pesit.action", b"dance")
    assert caught.value.errno == errno.EINVAL
    os.setxattr(path, "user.pesit.action", b"cancel")
    wait_for(lambda: not path.exists())
    assert mnt.sends()["later/acted"] == ["cancelled"]


def test_attributes_of_others_are_kept_and_none_is_unknown(mnt, source):
    assert mnt.shell("cp $S out/.kept.tmp", S=str(source)).returncode == 0
    os.setxattr(mnt.at("out/.kept.tmp"), "user.origin", b"ledger 7")
    assert mnt.shell("mv out/.kept.tmp out/kept").returncode == 0
    path = mnt.at("out/kept")
    assert attributes(path)["user.origin"] == "ledger 7"
    os.setxattr(path, "user.other", b"x")
    os.removexattr(path, "user.other")
    assert "user.other" not in attributes(path)
    for call, number in ((lambda: os.setxattr(path, "user.big", bytes(5000)), errno.ENOSPC),
                         (lambda: os.getxattr(path, "user.absent"), errno.ENODATA),
                         (lambda: os.getxattr(path, "security.capability"), errno.ENODATA),
                         (lambda: os.getxattr(path, "user.pesit.absent"), errno.ENODATA),
                         (lambda: os.setxattr(path, "user.pesit.state", b"x"), errno.EOPNOTSUPP),
                         (lambda: os.setxattr(path, "trusted.x", b"x"), errno.EOPNOTSUPP),
                         (lambda: os.setxattr(path, "system.posix_acl_access", ACL), errno.EOPNOTSUPP),
                         (lambda: os.removexattr(path, "user.pesit.state"), errno.EPERM),
                         (lambda: os.setxattr(mnt.at("out"), "user.x", b"x"), errno.EOPNOTSUPP)):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == number


def test_modes_times_and_owners_are_kept_and_send_nothing(mnt, bank):
    path = mnt.at("out/dated")
    assert mnt.shell("echo x > out/dated").returncode == 0
    os.chmod(path, 0o7755)
    os.utime(path, (1, 1_000_000_000))
    os.chown(path, 65534, 65534)
    now = os.stat(path)
    assert (now.st_mode & 0o7777, now.st_mtime, now.st_uid, now.st_gid) == (0o755, 1_000_000_000, 65534, 65534)
    assert mnt.shell("install -m 600 -o 65534 out/dated out/installed; stat -c '%a %u' out/installed").stdout == "600 65534\n"
    assert mnt.sends()["out/dated"] == ["done"]


def test_numbers_of_files_are_stable(mnt, company, source):
    assert mnt.shell("cp $S out/numbered", S=str(source)).returncode == 0
    before = {path: os.stat(mnt.at(path)).st_ino for path in (".", "out", "out/numbered")}
    listed = {entry.name: entry.inode() for entry in os.scandir(mnt.at("out"))}
    assert listed["numbered"] == before["out/numbered"]
    mnt.stop()
    mnt.start()
    assert {path: os.stat(mnt.at(path)).st_ino for path in before} == before
    shown = os.stat(mnt.at("out/numbered"))
    assert (shown.st_blksize, shown.st_nlink, shown.st_size) == (1 << 20, 1, len(FILE))
    assert shown.st_blocks * 512 >= len(FILE)


def test_the_space_shown_is_the_spool_s(mnt):
    shown, real = os.statvfs(mnt.at("out")), os.statvfs(mnt.node.folder / "spool")
    assert shown.f_blocks * shown.f_frsize == real.f_blocks * real.f_frsize
    assert abs(shown.f_bavail * shown.f_frsize - real.f_bavail * real.f_frsize) < 100 << 20
    assert subprocess.run(["df", mnt.path], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_the_time_of_a_folder_moves_when_something_comes_or_goes(mnt, bank):
    def moved(script, folder="out"):
        before = os.stat(mnt.at(folder)).st_mtime_ns
        assert mnt.shell(script).returncode == 0
        return wait_for(lambda: os.stat(mnt.at(folder)).st_mtime_ns > before)

    assert moved("echo x > out/comes")
    assert moved("rm out/comes")
    assert moved("mkdir out/.~tmp~")
    assert moved("rmdir out/.~tmp~")
    os.utime(mnt.at("out"), (5, 5))
    assert os.stat(mnt.at("out")).st_mtime == 5
    with pytest.raises(PermissionError):
        os.chmod(mnt.at("out"), 0o700)


def test_a_large_folder_is_listed_with_its_attributes(mnt, company, tmp_path):
    names = ["n%03d" % number for number in range(700)]  # more than one page
    for number, name in enumerate(names):
        place = mnt.at("MUTE/queue/" + name)
        place.write_bytes(b"x" * (number + 1))
        os.utime(place, (number + 1, number + 1))
        os.chown(place, number, number)
        place.chmod(0o600 + number % 8)
    mnt.at("MUTE/queue/n350.tmp").write_bytes(b"in the middle, and here only")
    other = Mounted(company, path=tmp_path / "other").start()
    try:
        for mount, expected in ((mnt, sorted([*names, "n350.tmp"])), (other, names)):
            with os.scandir(mount.at("MUTE/queue")) as entries:
                found = {entry.name: entry.stat() for entry in entries}
            assert sorted(found) == expected
            for number, name in enumerate(names):
                stat = found[name]
                assert (stat.st_size, stat.st_mtime, stat.st_uid, stat.st_gid, stat.st_mode) == (
                    number + 1, number + 1, number, number, 0o100600 + number % 8), name
                assert stat.st_ino == os.stat(mount.at("MUTE/queue/" + name)).st_ino
        mnt.at("MUTE/queue/n699").chmod(0o444)  # told to the other, which had it from the listing
        wait_for(lambda: os.stat(other.at("MUTE/queue/n699")).st_mode == 0o100444)
    finally:
        other.stop()
    for name in names:
        with contextlib.suppress(OSError):  # the one that is being sent stays
            os.unlink(mnt.at("MUTE/queue/" + name))


def test_what_a_failed_fetch_says(mnt):
    done = mnt.shell("cat releves/never")
    assert done.returncode == 1 and "No such file" in done.stderr, done
    found = attributes(mnt.at("releves/never"))
    assert (found["user.pesit.state"], found["user.pesit.diag"]) == ("FAILED", "2-205"), found
    assert "refused" in found["user.pesit.error"] and int(found["user.pesit.attempts"]) == 1


def test_another_mount_hears_of_each_of_many_changes(mnt, company, source, tmp_path):
    names = ["heard0", "heard1"]
    for name in names:
        assert mnt.shell("cp $S out/$N", S=str(source), N=name).returncode == 0
    other = Mounted(company, path=tmp_path / "other").start()
    looked = [os.open(other.at("out/" + name), os.O_PATH) for name in names]  # no name is looked up again
    try:
        for mode in range(0o400, 0o410):
            for name in names:  # the second within the moment that follows the first
                mnt.at("out/" + name).chmod(mode)
            wait_for(lambda: {os.fstat(fd).st_mode & 0o777 for fd in looked} == {mode})  # they hold for an hour
    finally:
        for fd in looked:
            os.close(fd)
        other.stop()
