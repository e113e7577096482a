# SPDX-License-Identifier: Apache-2.0
"""Waits for what a daemon does by itself."""
import threading
import time


def eventually(condition, seconds=20, told=lambda: ""):
    """Looks until it is so, and returns it; the deadline is the failure. told: says more then."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, "not in %d s: %s" % (seconds, told())
        pause.wait(0.02)


def logged(node, text, count=1):
    """Waits for a text in the log, so often, and returns the last line that has it."""
    eventually(lambda: node.log().count(text) >= count, told=node.log)
    return [line for line in node.log().splitlines() if text in line][-1]
