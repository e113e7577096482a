# SPDX-License-Identifier: Apache-2.0
"""Names: temporary ones that are never sent, renames and removals by state, listings, and what is refused at once."""
import ctypes
import errno
import os
import pathlib
import re

import pytest
from conftest import FILE, wait_for

LIBC = ctypes.CDLL(None, use_errno=True)
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4


def rename_with(flags, old, new):
    if LIBC.renameat2(-100, os.fsencode(old), -100, os.fsencode(new), flags) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


def errno_of(call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    return caught.value.errno


@pytest.mark.parametrize("script, message", [
    ("cp $S nowhere", "Permission denied"), ("cp $S releves/a", "Permission denied"),
    ("cp $S out/%s" % ("n" * 100), "Invalid argument"), ("mkdir out/d", "Operation not permitted"),
    ("ln -s a out/b", "Operation not permitted"), ("ln $S out/b", "cross-device"), ("mkfifo out/b", "Operation not permitted"),
    ("echo x >> out/cp", "Operation not permitted"), ("mv out/cp out/other", "Operation not permitted"),
    ("mv out/cp out/.other.tmp", "Operation not permitted"), ("ln out/cp out/b", "Operation not permitted"),
    ("rmdir out", "Operation not permitted"), ("mv out ex", "Operation not permitted"), ("rm out/absent", "No such file"),
    ("cp $S ../OFF/out/a", "Operation not permitted"), ("cp $S ../NOBODY", "Permission denied"), ("mkdir ../Q", "Operation not permitted"),
])
def test_what_cannot_be_is_refused_at_once(mnt, source, script, message):
    if "out/cp" in script:
        mnt.shell("cp $S out/cp", S=str(source))
    done = mnt.shell(script, S=str(source))
    assert done.returncode != 0 and message in done.stderr, done.stderr


SCRATCH = [".hidden", ".f.a1B2c3", "f~", "f.tmp", "f.part", "f.partial", "f.filepart", "f.crdownload", "f.swp", "f.swpx", "f.lock",
           "sedAbC123", "XXAbCd12", "tmpme3irw_p", "tmp.Ab12345678", "#f#", ".#f", "4913", ".~lock.f#"]


@pytest.mark.parametrize("name", SCRATCH)
def test_a_temporary_name_is_never_sent(mnt, name):
    path = mnt.at("out") / name
    path.write_bytes(b"draft")
    assert (path.read_bytes(), mnt.attribute("out/" + name, "state")) == (b"draft", "SCRATCH")
    assert name in os.listdir(mnt.at("out"))
    path.unlink()
    assert name not in os.listdir(mnt.at("out"))
    assert "out/" + name not in mnt.sends()


def test_an_old_temporary_file_goes_by_itself(mnt):
    mnt.at("out/.old.tmp").write_bytes(b"written long ago")
    mnt.at("out/.new.tmp").write_bytes(b"written now")
    (staged,) = [path for path in (mnt.node.folder / "spool/staging").iterdir() if path.read_bytes() == b"written long ago"]
    os.utime(staged, (1, 1))
    mnt.node.control("reload")
    wait_for(lambda: ".old.tmp" not in os.listdir(mnt.at("out")))
    assert mnt.at("out/.new.tmp").read_bytes() == b"written now"
    os.unlink(mnt.at("out/.new.tmp"))


def test_the_page_lists_the_temporary_names():
    root = pathlib.Path(__file__).resolve().parents[2]
    source = (root / "pesitfs/tree.c").read_text(encoding="utf-8").split("PATTERNS[] = {")[1].split("}")[0]
    page = (root / "docs/filesystem.md").read_text(encoding="utf-8").split("## Temporary names")[1].split("Editors")[0]
    assert set(re.findall(r'"([^"]+)"', source)) == set(re.findall(r"`([^` ]+)`", page))


def test_a_rename_commits_and_says_what_is_wrong(mnt, bank):
    for target, number in (("nowhere", errno.EACCES), ("releves/x", errno.EACCES), ("../CLOSED/in/x", errno.EACCES),
                           ("out/" + "n" * 100, errno.EINVAL), ("../OFF/out/x", errno.EPERM)):
        mnt.at("out/.r.tmp").write_bytes(b"x")
        assert errno_of(os.rename, mnt.at("out/.r.tmp"), mnt.at(target)) == number
        assert mnt.at("out/.r.tmp").read_bytes() == b"x"  # nothing is lost
    os.rename(mnt.at("out/.r.tmp"), mnt.at("out/renamed"))
    assert bank.received("in/renamed") == b"x"


def test_flags_of_rename(mnt, bank):
    mnt.at("out/taken").write_bytes(b"old")
    for flags, number in ((NOREPLACE, errno.EEXIST), (EXCHANGE, errno.EINVAL), (WHITEOUT, errno.EINVAL)):
        mnt.at("out/.n.tmp").write_bytes(b"new")
        assert errno_of(rename_with, flags, mnt.at("out/.n.tmp"), mnt.at("out/taken")) == number
    rename_with(NOREPLACE, mnt.at("out/.n.tmp"), mnt.at("out/free"))
    assert bank.received("in/free") == b"new"
    mnt.at("out/.n.tmp").write_bytes(b"new")
    os.rename(mnt.at("out/.n.tmp"), mnt.at("out/taken"))
    assert bank.received("in/taken") == b"new"


def test_a_temporary_file_goes_to_another_partner(mnt, bank):
    mnt.at("CLOSED/later/.x.tmp").write_bytes(b"x")
    os.rename(mnt.at("CLOSED/later/.x.tmp"), mnt.at("out/.y.tmp"))
    os.rename(mnt.at("out/.y.tmp"), mnt.at("out/crossed"))
    assert bank.received("in/crossed") == b"x"


def test_files_may_stand_in_the_partner_s_own_folder(mnt):
    mnt.at("CLOSED/top-1").write_bytes(b"x")
    assert set(os.listdir(mnt.at("CLOSED"))) >= {"out", "in", "later", "top-1"}
    wait_for(lambda: mnt.sends()["top-1"] == ["waiting"])
    assert errno_of(mnt.at("CLOSED/other").write_bytes, b"x") == errno.EACCES
    os.unlink(mnt.at("CLOSED/top-1"))


def test_an_empty_file_stays_here_whatever_it_is_called(mnt, bank):
    assert mnt.shell("touch out/.e.tmp && mv out/.e.tmp out/e1 && mv out/e1 out/e2").returncode == 0
    assert mnt.attribute("out/e2", "state") == "EMPTY"
    assert mnt.shell("mv -n out/e2 out/e3; echo x > out/e3").returncode == 0
    assert bank.received("in/e3") == b"x\n"
    assert not [path for path in mnt.sends() if path in ("out/e1", "out/e2")]


def test_removing_by_state(mnt, source, bank):
    assert mnt.shell("cp $S out/sent && rm out/sent && ! test -e out/sent", S=str(source)).returncode == 0
    assert mnt.sends()["out/sent"] == ["done"]
    assert mnt.shell("cp $S ../CLOSED/later/gone", S=str(source)).returncode == 0
    wait_for(lambda: mnt.attribute("CLOSED/later/gone", "state") == "WAITING")
    os.unlink(mnt.at("CLOSED/later/gone"))
    assert mnt.sends()["later/gone"] == ["cancelled"]
    assert mnt.shell("cp $S wrong/refused", S=str(source)).returncode == 1
    os.unlink(mnt.at("wrong/refused"))
    mnt.at("out/version").write_bytes(b"1")
    assert mnt.shell(": > out/version; rm out/version; test -e out/version").returncode == 1


def test_what_is_tried_again_stands_there_again(mnt, company, source):
    """Also when the daemon has come to know all names of the folder while it did not."""
    assert mnt.shell("cp $S wrong/again", S=str(source)).returncode != 0
    os.unlink(mnt.at("wrong/again"))
    for number in range(200):
        assert not os.path.exists(mnt.at("wrong/nothing-%d" % number))
    assert not os.path.exists(mnt.at("wrong/again"))
    transfer = [row for row in company.control("transfers") if row["path"] == "wrong/again"][0]
    company.control("retry", transfer["id"])
    wait_for(lambda: company.control("show", transfer["id"])["state"] == "failed")
    wait_for(lambda: os.path.exists(mnt.at("wrong/again")), 5)  # the kernel remembers for a moment what was not there


def test_removing_a_whole_folder_empties_it(mnt, source):
    assert mnt.shell("cp $S ../CLOSED/later/a; cp $S ../CLOSED/later/b; touch ../CLOSED/later/.c", S=str(source)).returncode == 0
    wait_for(lambda: mnt.attribute("CLOSED/later/b", "state") == "WAITING")
    done = mnt.shell("rm -r ../CLOSED/later")
    assert done.returncode == 1 and "not permitted" in done.stderr
    assert os.listdir(mnt.at("CLOSED/later")) == []


def test_folders_only_for_temporary_files(mnt, bank, source, tmp_path):
    for name in ("d1", "d2"):
        (tmp_path / name).write_bytes(FILE)
    done = mnt.shell("rsync -a --delay-updates $T/d1 $T/d2 out/", T=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert bank.received("in/d1") == bank.received("in/d2") == FILE
    assert mnt.sends()["out/d1"] == mnt.sends()["out/d2"] == ["done"]
    assert not [name for name in os.listdir(mnt.at("out")) if name.startswith(".~")]
    os.mkdir(mnt.at("out/.work"), 0o700)
    assert mnt.at("out/.work").stat().st_mode & 0o777 == 0o700
    mnt.at("out/.work/part").write_bytes(b"x")
    assert errno_of(os.rmdir, mnt.at("out/.work")) == errno.ENOTEMPTY
    assert mnt.shell("rm -r out/.work").returncode == 0


def test_listings(mnt, source):
    assert mnt.shell("for i in $(seq 40 -1 1); do echo x > queue/l$i; done").returncode == 0
    names = [entry.name for entry in os.scandir(mnt.at("queue"))]
    assert len(names) == len(set(names)) >= 40 and names == sorted(names)
    assert mnt.shell("cp -p $S out/named", S=str(source)).returncode == 0
    shown = mnt.shell("ls -l out; stat -c '%s %a' out/named; df . | tail -1; find . -name named; ls ..").stdout
    assert "named" in shown and "./out/named" in shown and "%d" % len(FILE) in shown
    for partner in ("BANK1", "CLOSED", "MUTE", "OFF"):
        assert partner in shown
    assert mnt.shell("cmp out/named $S", S=str(source)).returncode == 0
    handle = os.open(mnt.at("queue"), os.O_RDONLY)
    try:
        assert mnt.shell("echo x > queue/later").returncode == 0
        assert len(os.listdir(handle)) == len(names) + (1 if "later" in os.listdir(handle) else 0)
    finally:
        os.close(handle)
