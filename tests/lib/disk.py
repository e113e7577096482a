# SPDX-License-Identifier: Apache-2.0
"""A small filesystem of its own in memory, that can be filled to the last byte. Needs root, as the mount's tests do."""
import errno
import os
import pathlib
import subprocess


class Disk:
    def __init__(self, folder, kilobytes=4096, options="mode=0755"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dk,%s" % (kilobytes, options), "tmpfs", self.folder], check=True)
        self.ballast = self.folder / "ballast"

    def fill(self):
        with open(self.ballast, "ab", buffering=0) as ballast:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        os.write(ballast.fileno(), bytes(size))
                except OSError as error:
                    assert error.errno == errno.ENOSPC, error

    def free(self):
        self.ballast.unlink()

    def remove(self):
        """Also under a daemon that a failed test left: it goes when that has gone."""
        subprocess.run(["umount", "--lazy", self.folder], check=True)


class HeldDisk:
    """A filesystem in a file, whose writers can be made to wait. Needs root."""

    def __init__(self, folder, megabytes):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        image = self.folder.with_suffix(".image")
        with open(image, "wb") as file:
            file.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self.folder], check=True)
        self.held = False

    def hold(self):
        subprocess.run(["fsfreeze", "--freeze", self.folder], check=True)
        self.held = True

    def release(self):
        subprocess.run(["fsfreeze", "--unfreeze", self.folder], check=True)
        self.held = False

    def remove(self):
        if self.held:
            self.release()
        subprocess.run(["umount", "--lazy", self.folder], check=True)
