# SPDX-License-Identifier: Apache-2.0
"""Becomes a program with sockets, as systemd starts it: hand_over.py NAME=FD… -- PROGRAM ARGUMENT…"""
import fcntl
import os
import sys

FIRST = 3
split = sys.argv.index("--")
names, fds = zip(*(word.split("=") for word in sys.argv[1:split]))
program = sys.argv[split + 1:]
room = FIRST + len(fds)
moved = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in fds]
for i, word in enumerate(program):  # --ready-fd must not be where a socket goes
    if i and program[i - 1] == "--ready-fd" and int(word) < room:
        program[i] = str(fcntl.fcntl(int(word), fcntl.F_DUPFD, 100))
        os.set_inheritable(int(program[i]), True)
for i, fd in enumerate(moved):
    os.dup2(fd, FIRST + i, inheritable=True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=":".join(names))
os.execv(program[0], program)
