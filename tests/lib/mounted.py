# SPDX-License-Identifier: Apache-2.0
"""Mounts a node with the real pesitfs, runs real tools in it, and unmounts."""
import contextlib
import os
import pathlib
import signal
import subprocess

from node import BUILD


class Mounted:
    def __init__(self, node, *options, path=None):
        self.node, self.options = node, options
        self.path = path or node.folder / "mnt"
        self.log_path = self.path.parent / "pesitfs.log"
        self.process = None

    def start(self):
        with contextlib.suppress(FileExistsError):  # also when a killed mount is there
            self.path.mkdir()
        reader, writer = os.pipe()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [BUILD / "pesitfs/pesitfs", "--socket", self.node.folder / "door", "-f", "--ready-fd", str(writer),
                 *self.options, self.path], stderr=log, pass_fds=[writer])
        os.close(writer)
        with os.fdopen(reader, "rb") as ready:
            assert ready.readline() == b"READY\n", self.log_path.read_text()
        return self

    def log(self):
        return self.log_path.read_text(encoding="utf-8")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.unmount()
        assert self.process.wait(10) == 0, self.log()
        assert "ERROR: " not in self.log() and "runtime error" not in self.log(), self.log()

    def unmount(self):
        subprocess.run(["umount", "-l", self.path], stderr=subprocess.DEVNULL, check=False)

    def shell(self, script, timeout=60, **environment):
        """Runs a script of bash in the mount; returns its result."""
        return subprocess.run(["bash", "-c", script], cwd=self.path / "BANK1", timeout=timeout, capture_output=True, check=False,
                              text=True, env={**os.environ, "LC_ALL": "C", **environment})

    def sends(self):
        """Paths of all transfers, each with the states of its transfers."""
        found = {}
        for transfer in self.node.control("transfers", "--limit", 1000):
            found.setdefault(transfer["path"], []).append(transfer["state"])
        return found

    def attribute(self, path, name):
        return os.getxattr(self.at(path), "user.pesit." + name).decode()

    def at(self, path):
        """A path in the mount; of BANK1's folder unless it names the partner in capitals."""
        return pathlib.Path(self.path / path if path.split("/")[0].isupper() else self.path / "BANK1" / path)
