# SPDX-License-Identifier: Apache-2.0
"""Reading: files that are fetched when opened, and files that came."""
import datetime
import mmap
import os
import subprocess

import pytest
from conftest import FILE, wait_for
from mounted import Mounted


def test_fetch_by_cat(mnt, bank, source, tmp_path):
    bank.control("send", "COMPANY", source, "dispo/RELEVE")
    assert mnt.shell("cat releves/RELEVE | cmp - $S", S=str(source)).returncode == 0
    assert mnt.shell("cp releves/RELEVE $T && cmp $T $S", S=str(source), T=str(tmp_path / "t")).returncode == 0
    assert "RELEVE" in mnt.shell("ls releves").stdout
    done = mnt.shell("cat releves/ABSENT")
    assert (done.returncode, "No such file" in done.stderr) == (1, True), done.stderr


READERS = {
    "cat": "cat @", "cp": "cp @ $T && cat $T", "install": "install @ $T && cat $T", "dd": "dd if=@ bs=8k status=none",
    "rsync": "rsync @ $T && cat $T", "head": "head -c 100000000 @", "tail": "tail -c +1 @", "sed": "sed -n p @",
    "python-shutil": "python3 -c \"import shutil; shutil.copyfile('@', '$T')\" && cat $T",
    "python-mmap": "python3 -c \"import mmap, sys; f = open('@', 'rb')\nsys.stdout.buffer.write(mmap.mmap(f.fileno(), 0, prot=1))\"",
    "perl": "perl -e 'open H, q(<), q(@); binmode H; local $/; print <H>'",
    "redirected": "cat < @",
}


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_gets_the_whole_fetched_file(mnt, bank, source, tmp_path, reader):
    bank.control("send", "COMPANY", source, "dispo/R-" + reader)
    script = READERS[reader].replace("@", "releves/R-" + reader)
    done = subprocess.run(["bash", "-c", script], cwd=mnt.at("."), env={**os.environ, "T": str(tmp_path / "t")},
                          capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == source.read_bytes()


def test_those_who_read_at_once_share_one_transfer(mnt, bank, source):
    bank.control("send", "COMPANY", source, "dispo/SHARED")
    readers = [subprocess.Popen(["cmp", mnt.at("releves/SHARED"), source]) for _ in range(8)]
    assert [reader.wait(60) for reader in readers] == [0] * 8
    assert mnt.sends()["releves/SHARED"] == ["done"]
    assert mnt.shell("cmp releves/SHARED $S; stat -c %s releves/SHARED", S=str(source)).stdout == "%d\n" % len(FILE)
    assert mnt.sends()["releves/SHARED"] == ["done"]  # fresh: not asked for again
    assert mnt.attribute("releves/SHARED", "state") == "DONE"


def test_days_by_name(mnt, bank, source):
    now = datetime.datetime.now(datetime.timezone.utc)
    for day in (now, now - datetime.timedelta(days=1), datetime.datetime(2025, 2, 28)):
        bank.control("send", "COMPANY", source, day.strftime("dispo/J%y%m%d"))
    for name in ("today", "latest", "yesterday", "2025-02-28"):
        assert mnt.shell("cmp jours/%s $S" % name, S=str(source)).returncode == 0
    assert set(mnt.shell("ls jours").stdout.split()) == {
        now.strftime("%Y-%m-%d"), (now - datetime.timedelta(days=1)).strftime("%Y-%m-%d"), "2025-02-28"}
    assert mnt.attribute("jours/today", "file_name") == now.strftime("J%y%m%d")
    done = mnt.shell("cat jours/2025-02-30")
    assert (done.returncode, "No such file" in done.stderr) == (1, True), done.stderr


def test_listing_and_stat_never_call_the_partner(mnt):
    before = len(mnt.node.control("transfers", "--limit", 1000))
    assert mnt.shell("ls -lR .. && find .. && stat releves/NEVER ../MUTE/in/NEVER ../CLOSED/in/NEVER && du -s ..").returncode == 0
    assert len(mnt.node.control("transfers", "--limit", 1000)) == before
    assert mnt.shell("stat -c '%s %a' releves/NEVER").stdout == "0 440\n"


def test_what_is_for_reading_cannot_be_written(mnt, source):
    for script in ("echo x > releves/W", "cp $S releves/W", "mv $S releves/W", "echo x > out/.w.tmp; mv out/.w.tmp releves/W"):
        done = mnt.shell(script, S=str(source))
        assert done.returncode != 0 and ("Permission denied" in done.stderr or "File exists" in done.stderr), done.stderr
    assert source.exists()


@pytest.fixture(scope="module")
def bank_mnt(bank):
    mount = Mounted(bank).start()
    yield mount
    mount.stop()


def test_received_files_are_plain_files(mnt, bank, bank_mnt, source):
    assert mnt.shell("cp $S out/there", S=str(source)).returncode == 0
    path = bank_mnt.at("COMPANY/in/there")
    assert (path.stat().st_size, path.stat().st_mode & 0o777) == (len(FILE), 0o440)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        assert mapped[:] == FILE
    assert bank_mnt.attribute("COMPANY/in/there", "state") == "DONE"
    with open(path, "rb") as file:
        os.unlink(path)
        assert file.read() == FILE
    assert "COMPANY/in/there" not in bank.inbox()
    assert not path.exists()


@pytest.mark.parametrize("name", ["XX123456", "solde.tmp", "4913", "releve~", "tmp12345678", "#jour#"])
def test_a_received_file_may_have_the_name_of_a_temporary_one(company, bank, bank_mnt, source, name):
    """The partner chose it: it is a file like others, and nothing is made or moved over it."""
    company.control("send", "BANK1", source, "out/" + name)
    path = bank_mnt.at("COMPANY/in/" + name)
    wait_for(path.exists)
    assert path.read_bytes() == FILE
    for refused in (lambda: path.write_bytes(b"x"), path.with_name("new.tmp").touch, path.with_name("tmp.d").mkdir):
        with pytest.raises(OSError):
            refused()
    (path.parent / ".other.tmp").touch()
    with pytest.raises(PermissionError):
        (path.parent / ".other.tmp").rename(path)
    assert path.read_bytes() == FILE
    path.unlink()
    assert "COMPANY/in/" + name not in bank.inbox() and not path.exists()


def test_a_file_with_the_name_of_a_temporary_one_is_fetched_by_command(mnt, company, bank, source, tmp_path):
    bank.control("send", "COMPANY", source, "dispo/XX123456")
    assert "No such file" in mnt.shell("cat releves/XX123456").stderr
    company.control("fetch", "BANK1", "releves/XX123456", "-o", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == FILE


def test_a_received_file_that_is_replaced_is_read_anew(mnt, bank_mnt):
    for text in ("first", "other"):
        assert mnt.shell("echo %s > out/anew" % text).returncode == 0
        wait_for(lambda: bank_mnt.at("COMPANY/in/anew").exists())
        assert bank_mnt.at("COMPANY/in/anew").read_text() == text + "\n"


def test_the_bank_sees_arrivals_in_the_time_of_the_folder(mnt, bank_mnt):
    before = bank_mnt.at("COMPANY/in").stat().st_mtime_ns
    assert mnt.shell("echo x > out/arrives").returncode == 0
    wait_for(lambda: bank_mnt.at("COMPANY/in").stat().st_mtime_ns > before)
    assert "arrives" in os.listdir(bank_mnt.at("COMPANY/in"))
