# SPDX-License-Identifier: Apache-2.0
"""What a module of cases uses: the decorator that gives a function its number, and the world it runs in.

    @case(57)                       role S, Q or U: the function is the whole case
    @case(166, half="server")       role B: passes only when the requester's half passes too
    def pushes_a_file(world): ...

A case fails by an exception; AssertionError is the usual one."""
import contextlib
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

from catalogue import CASES  # noqa: E402

FUNCTIONS = {}  # (number, half): function


def case(*numbers, half=None):
    """Gives a function the numbers of the cases it is."""
    def register(function):
        for number in numbers:
            halves = CASES[number].halves
            if half is None and len(halves) > 1:
                raise ValueError("case %d has two halves: say which" % number)
            name = half or halves[0]
            if name not in halves or (number, name) in FUNCTIONS:
                raise ValueError("case %d: no such half, or twice: %s" % (number, name))
            FUNCTIONS[number, name] = function
        return function
    return register


class NotTried(Exception):
    """Raised by a case that this run leaves out; the text says what it would need."""


class World:
    """What cases share, and what one case owns. large: gigabytes may be moved."""

    def __init__(self, root, large=False):
        self.root, self.large = pathlib.Path(root), large
        self.shared = {}
        self.owned = contextlib.ExitStack()

    def once(self, name, start):
        """What start() made, kept for the next cases; made anew when it is no longer alive(). Has stop()."""
        thing = self.shared.get(name)
        if thing is not None and not thing.alive():
            del self.shared[name]
            thing.stop()
            thing = None
        if thing is None:
            thing = self.shared[name] = start()
        return thing

    def own(self, thing):
        """Ended by close() or stop() when the case is over, in reverse order."""
        self.owned.callback(thing.close if hasattr(thing, "close") else thing.stop)
        return thing

    def folder(self):
        """A new empty folder."""
        return pathlib.Path(tempfile.mkdtemp(dir=self.root))

    def end_case(self):
        owned, self.owned = self.owned, contextlib.ExitStack()
        owned.close()

    def end(self):
        """Stops what is shared; returns what went wrong, as texts."""
        wrong = []
        for name, thing in self.shared.items():
            try:
                thing.stop()
            except AssertionError as error:
                wrong.append("%s: %s" % (name, str(error)[-2000:]))
        self.shared = {}
        return wrong
