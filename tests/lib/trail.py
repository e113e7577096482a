# SPDX-License-Identifier: Apache-2.0
"""What the audit trail tells of transfers."""
import collections

from waiting import eventually

ENDED = ("done", "failed", "cancelled")


def told_ends(node):
    """How often the trail tells of the end of each transfer, by its number."""
    counts, after = collections.Counter(), 0
    while after is not None:
        page = node.control("api", "GET", "/api/v1/audit?limit=1000&action=transfer&after=%d" % after)
        counts.update(int(row["object"].rpartition("/")[2]) for row in page["content"] if row["action"].startswith("transfer "))
        after = page.get("next")
    return counts


def history(node, *options):
    """The whole of it, page by page."""
    rows, before = [], ()
    while True:
        page = node.control("transfers", "--limit", 1000, *before, *options)
        rows += page
        if len(page) < 1000:
            return rows
        before = ("--before", page[-1]["id"])


def check_trail(*nodes):
    """Each transfer that has ended is in the trail of its side, once, wherever the daemon was killed."""
    for node in nodes:
        ended = {row["id"]: 1 for row in history(node) if row["state"] in ENDED}
        eventually(lambda node=node, ended=ended: told_ends(node) == ended, told=lambda node=node, ended=ended: (ended, told_ends(node)))
        assert node.control("audit", "verify")["valid"]
