# SPDX-License-Identifier: Apache-2.0
"""What a service manager needs: to be told when the mount stands; and what its units leave to the programs is enough."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest
from node import BUILD


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

    def __init__(self, unit, folder, user, *command):
        self.unit, self.trace = unit, folder / (unit + ".strace")
        kept = ["+" + word.removeprefix("CAP_").lower() for word in setting(unit, "CapabilityBoundingSet")[0].split()]
        who = ["--reuid", str(user), "--regid", str(user), "--clear-groups"] if user else []
        reader, writer = os.pipe()
        self.process = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", "signal=none", "-o", self.trace, "setpriv", "--no-new-privs", "--bounding-set",
             ",".join(["-all", *kept]), *who, *command, "--ready-fd", str(writer)], pass_fds=[writer], stderr=subprocess.PIPE)
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
            Confined("pesitfs@.service.in", open_folder, None, BUILD / "pesitfs/pesitfs", "--foreground", "--socket", home / "door", mountpoint):
        bank.control("send", "COMPANY", source, "dispo/UNITS")
        subprocess.run(["cp", source, mountpoint / "BANK1/out/units"], check=True, timeout=60)
        assert bank.received("in/units") == source.read_bytes() == (mountpoint / "BANK1/releves/UNITS").read_bytes()
        reloaded = subprocess.run([BUILD / "pesitctl/pesitctl", "--socket", home / "door", "reload"], check=False, timeout=60)
        assert reloaded.returncode == 0
