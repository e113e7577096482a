# SPDX-License-Identifier: Apache-2.0
"""Many who change the same thing at once."""
import concurrent.futures
import threading

CALLERS = 5  # six may ask about clusters at once


def one_wins(api, path, body, rounds=12):
    """Of changes that name the same version one is done and the others hear 412. body: of a number, JSON."""
    for turn in range(rounds):
        etag, line = api.get(path).headers["ETag"], threading.Barrier(CALLERS)

        def change(number, etag=etag, line=line, turn=turn):
            line.wait(20)
            return api.ask("PUT", path, body(turn * CALLERS + number), If_Match=etag).status

        with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
            answers = sorted(pool.map(change, range(CALLERS)))
        assert answers == [200] + [412] * (CALLERS - 1), answers
