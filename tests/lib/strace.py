# SPDX-License-Identifier: Apache-2.0
"""Watches a running process's system calls, and makes some of them fail or slow."""
import pathlib
import re
import signal
import subprocess
import time


class Strace:
    """With: strace on every thread of a process. calls: names. inject: strace's rule, as "fdatasync:delay_exit=1000000".
    only: the one file whose calls count."""

    def __init__(self, pid, output, calls, inject=None, only=None):
        self.path = pathlib.Path(output)
        self.command = ["strace", "-f", "-y", "-p", str(pid), "-o", self.path, "-e", "trace=" + calls]
        self.command += ["-e", "inject=" + inject] if inject else []
        self.command += ["-P", only] if only else []
        self.process = None

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        while "Requested path" in line:
            line = self.process.stderr.readline()
        assert "attached" in line, line
        return self

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:  # it waits for a thread that was killed as it was born
                self.process.kill()
                self.process.wait(20)
            self.process.stderr.close()

    def __exit__(self, *_):
        self.stop()

    def calls(self):
        """[(name, the rest of the line)] in the order of their ends."""
        found, begun = [], {}
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)", line)
            if match is None:
                continue
            thread, resumed, name, rest = match.groups()
            if rest.endswith("<unfinished ...>"):
                begun[thread] = rest
            elif resumed:
                found.append((resumed, begun.pop(thread, "") + rest))
            else:
                found.append((name, rest))
        return found

    def wait_for(self, names, part, count=1, seconds=10):
        """Until so many calls of these names ("sendto|sendmsg") with this part have returned and are written down."""
        deadline = time.monotonic() + seconds
        while sum(n in names.split("|") and part in rest for n, rest in self.calls()) < count:
            assert time.monotonic() < deadline, "no %s with %s" % (names, part)
            time.sleep(0.01)
