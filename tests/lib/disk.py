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
