# SPDX-License-Identifier: Apache-2.0
"""Transfers are held and released while they wait and while they run, sent again as new ones, and listed by what they are."""
import re

import pytest
import waiting
from admin import Api

T = "/api/v1/transfers"
BIG = 400_000_000


def post(api, name, data=b"x"):
    answer = api.post(T + "/send?partner=BANK1&path=out/" + name, data)
    assert answer.status == 202, answer
    return answer.json["transferId"]


def show(api, transfer):
    return api.get("%s/%d" % (T, transfer)).json


def wait(api, transfer, *states):
    return waiting.eventually(lambda: (lambda seen: seen if seen["state"] in states else None)(show(api, transfer)),
                              told=lambda: str(show(api, transfer)))


def order(api, transfer, verb, status=202):
    answer = api.post("%s/%d/%s" % (T, transfer, verb))
    assert answer.status == status, answer
    return answer.json


def restart(bank):
    """On the port that it had."""
    text = bank.config.read_text(encoding="utf-8")
    bank.config.write_text(text.replace('listeners = ( { address = "127.0.0.1"; port = 0;',
                                        'listeners = ( { address = "127.0.0.1"; port = %d;' % bank.port), encoding="utf-8")
    bank.start()


@pytest.fixture
def away(api, bank):
    bank.stop()
    yield api
    if bank.process.poll() is not None:
        restart(bank)


def test_what_waits_is_held_until_it_is_released(away, bank, company):
    api, transfer = away, post(away, "held")
    wait(api, transfer, "waiting")
    held = order(api, transfer, "hold")
    assert (held["state"], held["status"], held["held"], held["nextRetryAt"]) == ("waiting", "PAUSED", True, None)
    restart(bank)
    later = post(api, "later")
    wait(api, later, "done")  # its partner is there, and what is held stays
    assert show(api, transfer)["held"] and bank.inbox() == ["COMPANY/in/later"]
    assert [t["transferId"] for t in api.get(T + "/status/PAUSED").json["content"]] == [transfer]
    assert [t["transferId"] for t in api.get(T + "?status=PAUSED&size=1").json["content"]] == [transfer]
    company.control("reload")
    company.stop()
    company.start()  # through a restart too
    again = Api(company, index=-1)
    assert show(again, transfer)["held"] and again.get("%s/%d/retries" % (T, transfer)).json["held"]
    order(again, transfer, "release")
    assert wait(again, transfer, "done")["errorMessage"] is None and bank.received("in/held") == b"x"
    order(again, transfer, "release", 409)
    order(again, transfer, "hold", 409)
    assert again.post(T + "/99999/hold").status == again.post(T + "/99999/release").status == 404


def test_what_runs_is_interrupted_and_goes_on_at_its_point(api, bank, company, tmp_path):
    source = tmp_path / "big"
    with open(source, "wb") as file:
        file.truncate(BIG)
    transfer = company.control("send", "BANK1", source, "out/big", "--no-wait")["id"]
    waiting.eventually(lambda: show(api, transfer)["bytesTransferred"] > 0)
    order(api, transfer, "pause")
    held = wait(api, transfer, "waiting", "done")
    assert held["held"], held
    there = Api(bank).get(T).json["content"][0]
    assert there["state"] != "done" and bank.inbox() == []
    order(api, transfer, "release")
    assert wait(api, transfer, "done")["attempts"] == 1
    assert (bank.folder / "inbox/COMPANY/in/big").stat().st_size == BIG
    wire = int(re.findall(rb'^pesit_wire_bytes_total\{direction="in"\} (\d+)', Api(bank).get("/metrics").body, re.M)[0])
    assert wire < BIG * 1.5, "it was sent anew"


def test_held_is_cancelled_too(away):
    transfer = post(away, "h")
    wait(away, transfer, "waiting")
    order(away, transfer, "hold")
    order(away, transfer, "cancel")
    assert wait(away, transfer, "cancelled")["held"] is False


def test_replay_is_a_new_transfer_and_retry_the_same(api, bank):
    first = post(api, "r", b"the same bytes")
    wait(api, first, "done")
    order(api, first, "retry", 409)
    again = api.post("%s/%d/replay" % (T, first), Idempotency_Key="k")
    assert again.status == 202 and again.json["transferId"] != first, again
    assert api.post("%s/%d/replay" % (T, first), Idempotency_Key="k").json["transferId"] == again.json["transferId"]
    # the bank refuses a file that is there: the second attempt of the new one is a retry
    wait(api, again.json["transferId"], "failed", "done")
    (bank.folder / "inbox/COMPANY/in/r").unlink(missing_ok=True)
    other = order(api, first, "replay")["transferId"]
    assert wait(api, other, "done", "failed")["state"] == "done" and bank.received("in/r") == b"the same bytes"
    assert show(api, first)["state"] == "done" and api.get("%s/%d/download" % (T, other)).body == b"the same bytes"


def test_replay_of_what_cannot_be_is_told(api, bank, company):
    bank.control("send", "COMPANY", __file__, "dispo/D")
    answer = api.post(T + "/receive", {"partner": "BANK1", "path": "releves/D"})
    assert answer.status == 202, answer
    fetched = answer.json["transferId"]
    wait(api, fetched, "done")
    assert "fetch" in order(api, fetched, "replay", 409)["detail"]
    with open(__file__, "rb") as file:
        assert api.get("%s/%d/download" % (T, fetched)).body == file.read()


def test_lists_are_of_what_they_say(away, bank):
    api = away
    late, dropped = post(api, "late"), post(api, "dropped")
    wait(api, dropped, "waiting")
    order(api, dropped, "cancel")
    restart(bank)
    done = post(api, "done")
    wait(api, done, "done")
    wait(api, late, "done", "waiting")

    def ids(path):
        answer = api.get(T + path)
        assert answer.status == 200, answer
        return {t["transferId"] for t in answer.json["content"]}

    assert ids("/partner/BANK1") == {late, dropped, done} and ids("/partner/OTHER") == set()
    assert ids("/status/CANCELLED") == {dropped} and dropped in ids("/retryable") and done not in ids("/resumable")
    assert ids("/active").isdisjoint({done, dropped}) and ids("?sortBy=startedAt&sortDir=DESC&page=0") == {late, dropped, done}
    for query, field in (("?sortBy=colour", "sortBy"), ("?sortDir=up", "sortDir"), ("?page=-1", "page"), ("?sortBy=state&before=3", "before")):
        assert api.get(T + query).json["field"] == field
    assert api.get(T + "/status/NOTHING").json["field"] == "status"
    assert api.get(T + "/stats/partner/BANK1").json["totalTransfers"] == api.get(T + "/statistics").json["totalTransfers"] == 3
    assert api.get(T + "/stats/partner/OTHER").json["totalTransfers"] == 0
    assert api.get("%s/%d/retries" % (T, done)).json["attempts"] == 1


def test_the_command_line_holds_and_releases(away, bank, company):
    transfer = post(away, "c")
    wait(away, transfer, "waiting")
    assert company.control("hold", transfer)["held"]
    restart(bank)
    assert company.control("release", transfer)["held"] is False
    assert company.control("wait", transfer)["state"] == "done"
    assert company.control("release", transfer, check=False).returncode == 4
    assert company.control("replay", transfer)["transferId"] > transfer
