# SPDX-License-Identifier: Apache-2.0
"""Reading: files that are fetched when opened, and files that came."""
import os
import subprocess

from mounted import Mounted


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
