# SPDX-License-Identifier: Apache-2.0
"""A fresh Debian that boots with its own systemd, in a container: what a package does there is what it does on a machine."""
import os
import pathlib
import re
import signal
import socket
import subprocess

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "HOME": "/root"}


def release():
    """Of this machine: bookworm, trixie."""
    return re.search(r"^VERSION_CODENAME=(\S+)", pathlib.Path("/etc/os-release").read_text(encoding="utf-8"), re.M)[1]


class Machine:
    """Its network is that of the host, so that it reaches the archive; /dev/fuse is there."""

    def __init__(self, folder):
        self.folder, self.root = pathlib.Path(folder), pathlib.Path(folder) / "root"
        self.process, self.leader = None, 0

    def make(self):
        """The smallest Debian that has systemd."""
        made = subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--include=systemd,systemd-sysv", release(), self.root],
                              capture_output=True, text=True, timeout=500, check=False)
        assert made.returncode == 0, made.stderr
        return self

    def start(self):
        self.folder.mkdir(exist_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, open(self.folder / "console", "ab") as console:
            manager.bind(str(self.folder / "notify"))
            manager.settimeout(120)
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--notify-ready=yes", "--console=pipe",
                 "--bind=/dev/fuse", "--directory", self.root, "--boot"],
                env={**os.environ, "NOTIFY_SOCKET": str(self.folder / "notify")}, stdin=subprocess.DEVNULL, stdout=console, stderr=console)
            told = ""
            while "\nREADY=1" not in "\n" + told:
                told += manager.recv(4096).decode() + "\n"
        self.leader = int(re.search(r"^X_NSPAWN_LEADER_PID=(\d+)", told, re.M)[1])
        return self

    def command(self, *words):
        """To be run on the host; it does its work in there."""
        return ["nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--pid", "--", *map(str, words)]

    def run(self, *words, check=True, timeout=300, **environment):
        done = subprocess.run(self.command(*words), env={**ENVIRONMENT, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, check=False)
        assert not check or done.returncode == 0, (words, done.returncode, done.stdout[-2000:], done.stderr[-2000:], self.journal())
        return done if not check else done.stdout

    def journal(self):
        """What the units of the packages have said last."""
        done = subprocess.run(self.command("journalctl", "--no-pager", "--lines=30", "--unit=pesit*"), env=ENVIRONMENT, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.stdout

    def path(self, path):
        """Where the host sees a file of it. Not what is mounted in there."""
        return self.root / str(path).lstrip("/")

    def stop(self):
        os.kill(self.leader, signal.SIGRTMIN + 4)  # poweroff
        self.process.wait(90)
