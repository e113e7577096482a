# SPDX-License-Identifier: Apache-2.0
"""What a service manager needs: to be told when the mount stands; and what its units leave to the programs is enough."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

import pytest
from conftest import wait_for
from node import BUILD, HAND_OVER


def test_the_manager_hears_when_the_mount_stands(company, tmp_path):
    path, mountpoint = tmp_path / "manager", tmp_path / "mnt"
    mountpoint.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        process = subprocess.Popen([BUILD / "pesitfs/pesitfs", "--foreground", "--socket", company.folder / "door", mountpoint],
                                   env={**os.environ, "NOTIFY_SOCKET": str(path)})
        assert manager.recv(100) == b"READY=1"
    assert os.path.ismount(mountpoint) and "BANK1" in os.listdir(mountpoint)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0 and not os.path.ismount(mountpoint)


def test_its_paths_may_be_relative(company, tmp_path):
    (tmp_path / "mnt").mkdir()
    os.symlink(company.folder, tmp_path / "here")
    process = subprocess.Popen([BUILD / "pesitfs/pesitfs", "--foreground", "--socket", "here/door", "mnt"], cwd=tmp_path)
    wait_for(lambda: os.path.ismount(tmp_path / "mnt"))
    assert "BANK1" in os.listdir(tmp_path / "mnt")
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0 and not os.path.ismount(tmp_path / "mnt")


ROOT = pathlib.Path(__file__).resolve().parents[2]


def setting(unit, name):
    """The values of a setting of a unit, one string of each line."""
    text = (ROOT / "deploy/systemd" / unit).read_text(encoding="utf-8")
    return re.findall(rf"^{name}=(.*)$", text, re.M)


def allowed_calls(unit):
    """What SystemCallFilter lets through, groups of systemd opened."""
    groups, name = {}, None
    for line in subprocess.run(["systemd-analyze", "syscall-filter"], check=True, capture_output=True, text=True).stdout.splitlines():
        if line.startswith("@"):
            name = line.strip()
        elif line.startswith("    ") and not line.strip().startswith("#"):
            groups.setdefault(name, []).append(line.strip())

    def opened(word):
        return {call for member in groups[word] for call in opened(member)} if word in groups else {word}

    allowed = opened("@default")
    for line in setting(unit, "SystemCallFilter"):
        calls = {call for word in line.lstrip("~").split() for call in opened(word)}
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


class Confined:
    """A program with the capabilities of its unit, no new privileges, and its system calls written down."""

    def __init__(self, unit, folder, user, *command, kept_fds=()):
        self.unit, self.trace = unit, folder / (unit + ".strace")
        kept = ["+" + word.removeprefix("CAP_").lower() for word in setting(unit, "CapabilityBoundingSet")[0].split()]
        who = ["--reuid", str(user), "--regid", str(user), "--clear-groups"] if user else []
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", "signal=none", "-o", self.trace, "setpriv", "--no-new-privs", "--bounding-set",
             ",".join(["-all", *kept]), *who, *command, "--ready-fd", str(writer)], pass_fds=[writer, *kept_fds], stderr=subprocess.PIPE)
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            assert ready.readline() == b"READY\n", self.process.communicate(timeout=30)

    def calls(self):
        """Of the program itself, after it was started."""
        text = self.trace.read_text(encoding="utf-8", errors="replace")
        text = text[text.rindex(" execve("):]
        return set(re.findall(r"^\d+ +(?:<... )?([a-z_0-9]+)(?:\(| resumed)", text, re.M))

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="utf-8").split()
        os.kill(int(children[0]), signal.SIGTERM)
        said = self.process.communicate(timeout=60)[1].decode()
        if failure[0]:
            return
        assert self.process.returncode == 0 and "CRITICAL" not in said, said
        assert self.calls() - allowed_calls(self.unit) == set() and len(self.calls()) > 20


@contextlib.contextmanager
def mounted_before(mountpoint):
    """What the unit's step before the start does, with all rights: descriptor and its name, as the manager keeps them."""
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name + "/manager")
        manager.settimeout(30)
        with subprocess.Popen([BUILD / "pesitfs/pesitfs", "--hand-over", mountpoint],
                              env={**os.environ, "NOTIFY_SOCKET": name + "/manager"}) as process:
            said, fds, _, _ = socket.recv_fds(manager, 1000, 1)
            barrier, ends, _, _ = socket.recv_fds(manager, 1000, 1)
            os.close(ends[0])
            assert barrier == b"BARRIER=1" and process.wait(30) == 0
    said = dict(line.split("=", 1) for line in said.decode().splitlines())
    try:
        assert said["FDSTORE"] == "1" and len(fds) == 1
        yield fds[0], said["FDNAME"]
    finally:
        os.close(fds[0])
        subprocess.run(["umount", "-l", mountpoint], check=True)


@pytest.fixture
def open_folder():
    """One that everybody may enter."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def test_the_units_leave_enough_to_work_with(bank, open_folder, source):
    nobody, home, mountpoint = 65534, open_folder / "home", open_folder / "mnt"
    home.mkdir()
    mountpoint.mkdir()
    shutil.copy(BUILD / "daemon/pesitd", open_folder / "pesitd")
    (home / "pesitd.conf").write_text(
        f'''node = "COMPANY"; paths: {{ spool = "spool"; inbox = "inbox"; store = "store.db"; socket = "door"; }};
        limits: {{ spool_reserve_mb = 0; }}; listeners = ( {{ address = "127.0.0.1"; port = 0; }} );
        admin: {{ listeners = ( {{ port = 0; }} ); }};
        partners = ( {{ name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = {bank.port};
          files = ( {{ pattern = "out/*"; mode = "send"; }}, {{ pattern = "releves/*"; mode = "fetch"; file_name = "{{name}}"; }} ); }} );''',
        encoding="utf-8")
    for path in (home, home / "pesitd.conf"):
        os.chown(path, nobody, nobody)
    with Confined("pesitd.service.in", open_folder, nobody, open_folder / "pesitd", "--config", home / "pesitd.conf"), \
            mounted_before(mountpoint) as (fd, name), \
            Confined("pesitfs@.service.in", open_folder, None, sys.executable, HAND_OVER, "%s=%d" % (name, fd), "--", BUILD / "pesitfs/pesitfs",
                     "--foreground", "--handed", "--socket", home / "door", mountpoint, kept_fds=[fd]):
        bank.control("send", "COMPANY", source, "dispo/UNITS")
        subprocess.run(["cp", source, mountpoint / "BANK1/out/units"], check=True, timeout=60)
        assert bank.received("in/units") == source.read_bytes() == (mountpoint / "BANK1/releves/UNITS").read_bytes()
        reloaded = subprocess.run([BUILD / "pesitctl/pesitctl", "--socket", home / "door", "reload"], check=False, timeout=60)
        assert reloaded.returncode == 0
