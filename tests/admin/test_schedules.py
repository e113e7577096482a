# SPDX-License-Identifier: Apache-2.0
"""Favourites, schedules and calendars: transfers by the clock, once each time, and what is told of them."""
import datetime
import json
import time
import zoneinfo

import postgres
import pytest
from admin import FIRST_KEY, LISTENER, Api
from node import Bare
from waiting import eventually, logged

SCHEDULES, FAVORITES, CALENDARS = "/api/v1/schedules", "/api/v1/favorites", "/api/v1/calendars"


def soon(seconds=1):
    """The next second but one or so, as a schedule names it."""
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds + 1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def offer(bank, tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    bank.control("send", "COMPANY", tmp_path / name, "dispo/" + name)


def make(api, **fields):
    body = {"name": "s", "partnerId": "BANK1", "direction": "RECEIVE", "path": "releves/x", **fields}
    answer = api.post(SCHEDULES, body)
    assert answer.status == 201, answer
    return SCHEDULES + "/" + answer.json["id"]


def ended(api, where, count=1):
    """The schedule once so many of its runs have ended."""
    def look():
        told = api.get(where).json
        return told if told["successCount"] + told["failureCount"] >= count and told["lastRunStatus"] not in ("STARTING", "RUNNING") else None
    return eventually(look, told=lambda: "%r %s" % (api.get(where), api.node.log()))


def fetches(api):
    return [t for t in api.get("/api/v1/transfers?limit=1000").json["content"] if t["mode"] == "fetch"]


def test_a_schedule_fetches_a_file_and_says_how_it_ended(api, bank, company, tmp_path):
    data = b"statement\n" * 5000
    offer(bank, tmp_path, "x", data)
    stream = api.connect()
    stream.request("GET", "/api/v1/events", headers={"X-API-Key": api.key})
    events = stream.getresponse()
    where = make(api, name="statements", scheduleType="ONCE", scheduledAt=soon())
    told = ended(api, where)
    changes = []
    while "ended" not in changes:
        if events.readline() == b"event: schedule\n":
            changes.append(json.loads(events.readline()[len("data: "):])["change"])
    assert changes == ["created", "started", "ended"]
    stream.close()
    assert (told["lastRunStatus"], told["successCount"], told["failureCount"], told["missedCount"]) == ("SUCCESS", 1, 0, 0), told
    assert told["enabled"] is False and told["nextRunAt"] is None and told["lastRunDueAt"][:19] == told["scheduledAt"][:19]
    number = told["lastRunTransferId"]
    assert api.get("/api/v1/transfers/%d/download" % number).body == data
    logged(company, "schedule runs: SCHEDULE=statements TRANSFER=%d" % number)
    rows = eventually(lambda: [r for r in api.get("/api/v1/audit?limit=1000").json["content"]
                               if r["username"] == "schedule:statements" and str(number) in json.dumps(r)])
    assert {"RunSchedule"} <= {r["action"] for r in rows}, rows
    assert b'pesit_schedule_runs_total{state="done"} 1' in api.get("/metrics").body


def test_a_run_that_fails_is_a_failure_with_the_partner_s_words(api, company):
    where = make(api, name="nothing", scheduleType="ONCE", scheduledAt=soon(), path="releves/none")
    told = ended(api, where)
    assert (told["lastRunStatus"], told["successCount"], told["failureCount"]) == ("FAILED", 0, 1), told
    assert told["lastRunError"].startswith("2-205"), told
    assert api.get("/api/v1/transfers/%d" % told["lastRunTransferId"]).json["errorCode"] == "2-205"
    logged(company, "a run of a schedule failed: SCHEDULE=nothing")
    refused = make(api, name="refused", scheduleType="ONCE", scheduledAt=soon(), partnerId="NOBODY")
    told = ended(api, refused)
    assert told["lastRunStatus"] == "FAILED" and "NOBODY" in told["lastRunError"] and told["lastRunTransferId"] is None, told


def test_run_toggle_and_versions(api, bank, tmp_path):
    offer(bank, tmp_path, "x", b"now")
    where = make(api, scheduleType="DAILY", dailyTime="08:30", timezone="Europe/Paris")
    first = api.get(where)
    assert first.json["enabled"] is True and first.headers["ETag"] == '"1"'
    ran = api.post(where + "/run")
    assert ran.status == 202 and ran.json["lastRunTransferId"] > 0, ran
    told = ended(api, where)
    assert told["lastRunStatus"] == "SUCCESS" and told["nextRunAt"] == first.json["nextRunAt"] and told["version"] == 1
    assert api.get("/api/v1/transfers/%d" % told["lastRunTransferId"]).json["state"] == "done"
    again = api.post(where + "/run")  # a file that came a moment ago is asked for again
    assert again.json["lastRunTransferId"] > told["lastRunTransferId"], again
    assert ended(api, where, 2)["successCount"] == 2
    off = api.post(where + "/toggle")
    assert (off.status, off.json["enabled"], off.json["nextRunAt"], off.headers["ETag"]) == (200, False, None, '"2"'), off
    assert api.ask("PUT", where, {"dailyTime": "09:00"}, If_Match='"1"').status == 412
    moved = api.ask("PUT", where, {"dailyTime": "09:00"}, If_Match='"2"')
    assert moved.status == 200 and moved.json["enabled"] is False and moved.json["dailyTime"] == "09:00"
    on = api.post(where + "/toggle").json
    assert on["enabled"] is True
    paris = datetime.datetime.fromisoformat(on["nextRunAt"][:19] + "+00:00").astimezone(zoneinfo.ZoneInfo("Europe/Paris"))
    assert (paris.hour, paris.minute, paris.second) == (9, 0, 0), on
    weekly = api.ask("PUT", where, {"scheduleType": "WEEKLY", "dayOfWeek": 3}).json
    paris = datetime.datetime.fromisoformat(weekly["nextRunAt"][:19] + "+00:00").astimezone(zoneinfo.ZoneInfo("Europe/Paris"))
    assert (paris.isoweekday(), paris.hour) == (3, 9), weekly
    assert "dailyTime" not in api.ask("PUT", where, {"cronExpression": "0 0 6 * * *"}).json
    assert api.ask("DELETE", where, If_Match='"3"').status == 412
    assert api.ask("DELETE", where).status == 204 and api.get(where).status == 404 == api.post(where + "/run").status


WRONG = [
    ({"colour": "red"}, 400, "colour"), ({"name": ""}, 400, "name"), ({"name": None}, 400, "name"), ({"name": "a\nb"}, 400, "name"),
    ({"direction": "BOTH"}, 400, "direction"), ({"direction": None}, 400, "direction"), ({"partnerId": None}, 400, "partnerId"),
    ({"path": None}, 400, "path"), ({"password": "x"}, 400, "password"), ({"scheduleType": "YEARLY"}, 400, "scheduleType"),
    ({"scheduleType": "CRON", "cronExpression": None}, 400, "cronExpression"), ({"cronExpression": "61 * * * *"}, 400, "cronExpression"),
    ({"scheduleType": "DAILY", "cronExpression": "1 * * * *"}, 400, "cronExpression"), ({"scheduleType": "INTERVAL"}, 400, "intervalMinutes"),
    ({"scheduleType": "INTERVAL", "intervalMinutes": 0}, 400, "intervalMinutes"), ({"scheduleType": "DAILY", "dailyTime": "25:00"}, 400, "dailyTime"),
    ({"scheduleType": "WEEKLY", "dayOfWeek": 8}, 400, "dayOfWeek"), ({"scheduleType": "MONTHLY", "dayOfMonth": 32}, 400, "dayOfMonth"),
    ({"scheduleType": "ONCE"}, 400, "scheduledAt"), ({"scheduledAt": "soon"}, 400, "scheduledAt"), ({"scheduledAt": "2020-01-01T00:00:00Z"}, 422, "scheduledAt"),
    ({"cronExpression": "0 0 30 2 *"}, 422, "cronExpression"), ({"timezone": "Mars/Olympus"}, 400, "timezone"), ({"workingDaysOnly": "yes"}, 400, "workingDaysOnly"),
    ({"workingDaysOnly": True, "calendarId": "none"}, 400, "calendarId"), ({"calendarId": "none"}, 400, "calendarId"),
    ({"nonWorkingDay": "NEXT"}, 400, "nonWorkingDay"), ({"expectBy": "8"}, 400, "expectBy"), ({"enabled": 1}, 400, "enabled"),
    ({"favoriteId": "none"}, 400, "favoriteId"), ({"direction": "SEND"}, 400, "filename"), ({"direction": "SEND", "replayOf": 777}, 400, "replayOf"),
    ({"scheduleType": None, "cronExpression": None}, 400, "scheduleType")]


def test_bodies_are_strict(bank):
    api = Api(bank)
    for body, status, field in WRONG:
        whole = {"name": "s", "partnerId": "COMPANY", "direction": "RECEIVE", "path": "a", "cronExpression": "0 8 * * *", **body}
        if body.get("scheduleType", "CRON") != "CRON" and "cronExpression" not in body or "scheduledAt" in body:
            del whole["cronExpression"]
        answer = api.post(SCHEDULES, whole)
        assert (answer.status, answer.json.get("field")) == (status, field), (body, answer)
    assert api.get(SCHEDULES).json == []


def test_jobs_as_others_ask_for_them(api, bank, tmp_path):
    offer(bank, tmp_path, "x", b"job")
    made = api.post("/api/v1/jobs", {"name": "Job", "partnerId": "BANK1", "direction": "RECEIVE", "sourcePattern": "releves/x",
                                     "destinationPath": "/tmp", "schedule": "0 0 * * * *", "enabled": False})
    assert made.status == 201 and made.json["cronExpression"] == "0 0 * * * *" and made.json["enabled"] is False, made
    where = "/api/v1/jobs/" + made.json["id"]
    assert api.get("/api/v1/jobs").json[0]["id"] == made.json["id"] and api.get(where).json["path"] == "releves/x"
    assert api.post("/api/v1/jobs", {"name": "Job", "partnerId": "X", "direction": "RECEIVE", "sourcePattern": "a",
                                     "schedule": "0 0 * * * *"}).json["field"] == "name"
    assert api.post(SCHEDULES + "/" + made.json["id"] + "/run").status == 202
    assert api.ask("DELETE", where).status == 204


def test_favourites(api, bank, company, tmp_path):
    offer(bank, tmp_path, "x", b"favourite")
    made = api.post(FAVORITES, {"name": "f", "server": "BANK1", "partnerId": "US", "direction": "RECEIVE", "virtualFile": "releves/x",
                                "transferConfigId": "fast"})
    assert made.status == 201 and made.json["partnerId"] == "BANK1" and made.json["ignored"] == ["transferConfigId"], made
    where = made.headers["Location"]
    ran = api.post(where + "/execute")
    assert ran.status == 202 and ran.json["partnerId"] == "BANK1", ran
    eventually(lambda: api.get("/api/v1/transfers/%d" % ran.json["transferId"]).json["state"] == "done", told=company.log)
    assert api.get("/api/v1/transfers/%d/download" % ran.json["transferId"]).body == b"favourite"
    told = api.get(where)
    assert told.json["usageCount"] == 1 and told.json["lastUsedAt"] and told.headers["ETag"] == '"1"'  # use is no change
    assert api.ask("PUT", where, {"description": "of ours"}, If_Match='"1"').headers["ETag"] == '"2"'
    assert api.ask("PUT", where, {"description": None}, If_Match='"1"').status == 412
    assert api.post(FAVORITES, {"name": "f", "partnerId": "B", "direction": "RECEIVE", "path": "a"}).json["field"] == "name"
    # of what was fetched, and of what was sent: the same bytes again
    kept = api.post(FAVORITES + "/from-history/%d?name=again" % ran.json["transferId"])
    assert kept.status == 201 and (kept.json["direction"], kept.json["path"]) == ("RECEIVE", "releves/x"), kept
    sent = api.post("/api/v1/transfers/send?partner=BANK1&path=out/order", b"order").json["transferId"]
    eventually(lambda: api.get("/api/v1/transfers/%d" % sent).json["state"] == "done", told=company.log)
    order = api.post(FAVORITES + "/from-history/%d?name=order" % sent)
    assert order.status == 201 and order.json["replayOf"] == sent and order.json["path"] == "out/order", order
    (bank.folder / "inbox/COMPANY/in/order").unlink()
    second = api.post(order.headers["Location"] + "/execute")
    assert second.status == 202 and second.json["mode"] == "send", second
    eventually(lambda: api.get("/api/v1/transfers/%d" % second.json["transferId"]).json["state"] == "done", told=company.log)
    assert bank.received("in/order") == b"order"
    assert api.post(FAVORITES + "/from-history/%d" % sent).json["field"] == "name"
    assert api.post(FAVORITES + "/from-history/777?name=n").status == 404
    assert [f["name"] for f in api.get(FAVORITES + "?sortBy=usageCount").json][-1] == "again"
    # a schedule of it goes by what it is now, and keeps it
    schedule = api.post(SCHEDULES + "/from-favorite/" + made.json["id"], {"scheduleType": "DAILY", "dailyTime": "08:00"})
    assert schedule.status == 201 and schedule.json["name"] == "Schedule: f", schedule
    assert api.ask("DELETE", where).status == 409
    assert api.ask("PUT", where, {"path": "releves/none"}).status == 200
    run = SCHEDULES + "/" + schedule.json["id"]
    assert api.post(run + "/run").status == 202 and ended(api, run)["lastRunStatus"] == "FAILED"
    assert api.ask("DELETE", run).status == 204 == api.ask("DELETE", where).status


def test_calendars(api):
    made = api.post(CALENDARS, {"name": "T2", "preset": "TARGET2", "fromYear": 2026, "toYear": 2027, "holidays": ["2026-06-01 Ours"]})
    assert made.status == 201 and made.json["workingDays"] == [1, 2, 3, 4, 5], made
    assert made.json["holidays"] == ["2026-01-01", "2026-04-03", "2026-04-06", "2026-05-01", "2026-06-01", "2026-12-25", "2026-12-26",
                                     "2027-01-01", "2027-03-26", "2027-03-29", "2027-05-01", "2027-12-25", "2027-12-26"]
    assert made.json["holidayNames"]["2026-04-03"] == "Good Friday" and made.json["defaultCalendar"] is False
    where = made.headers["Location"]
    assert api.get(CALENDARS + "/default").status == 404
    assert api.post(where + "/default").json["defaultCalendar"] is True
    assert api.get(CALENDARS + "/default").json["id"] == made.json["id"]
    other = api.post(CALENDARS, {"name": "FR", "preset": "FR", "fromYear": 2026, "toYear": 2026, "defaultCalendar": True})
    assert [c["name"] for c in api.get(CALENDARS).json if c["defaultCalendar"]] == ["FR"] and len(other.json["holidays"]) == 11
    for body, field in (({"name": "FR"}, "name"), ({"name": "x", "preset": "MARS"}, "preset"), ({"name": "x", "fromYear": 2026}, "preset"),
                        ({"name": "x", "workingDays": [0]}, "workingDays"), ({"name": "x", "workingDays": "5"}, "workingDays"),
                        ({"name": "x", "holidays": ["2026-02-30"]}, "holidays"), ({"name": "x", "holidays": [1]}, "holidays"),
                        ({"name": "x", "preset": "FR", "fromYear": 2026, "toYear": 2025}, "toYear"), ({"name": "x", "day": 1}, "day")):
        wrong = api.post(CALENDARS, body)
        assert (wrong.status, wrong.json["field"]) == (409 if body == {"name": "FR"} else 400, field), wrong
    # a day off moves what goes by it, and moves it back
    tomorrow = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=1)
    api.ask("PUT", where, {"workingDays": [1, 2, 3, 4, 5, 6, 7], "holidays": []})
    schedule = make(api, scheduleType="DAILY", dailyTime="00:00", workingDaysOnly=True, calendarId=made.json["id"])
    assert api.get(schedule).json["nextRunAt"][:10] == str(tomorrow)
    added = api.post(where + "/holidays", {"date": str(tomorrow), "name": "Ours"})
    assert added.status == 201 and api.get(schedule).json["nextRunAt"][:10] == str(tomorrow + datetime.timedelta(days=1))
    assert api.get(where + "/holidays").json == [{"date": str(tomorrow), "name": "Ours"}]
    version = added.headers["ETag"]
    assert api.ask("DELETE", where + "/holidays/%s" % tomorrow, If_Match='"1"').status == 412
    assert api.ask("DELETE", where + "/holidays/%s" % tomorrow, If_Match=version).status == 200
    assert api.get(schedule).json["nextRunAt"][:10] == str(tomorrow)
    assert api.ask("DELETE", where + "/holidays/%s" % tomorrow).json["field"] == "date"
    assert api.post(where + "/holidays", {"date": "2026-02-30"}).json["field"] == "date"
    assert api.ask("DELETE", where).json["detail"].startswith("schedule 's' goes by it")
    assert api.ask("DELETE", schedule).status == 204 == api.ask("DELETE", where).status


def test_a_schedule_sends_a_file_of_this_machine(api, bank, company, tmp_path):
    (tmp_path / "pay.xml").write_bytes(b"payment" * 3000)
    refused = make(api, name="refused", direction="SEND", filename=str(tmp_path / "pay.xml"), path="out/pay", cronExpression="0 8 * * *")
    told = api.post(refused + "/run")
    assert (told.status, told.json["field"]) == (403, "filename"), told
    assert ended(api, refused)["lastRunError"].startswith("filename: "), api.get(refused)
    company.stop()
    company.config.write_text(company.config.read_text(encoding="utf-8").replace("admin: {", 'admin: { send_directories = [ "%s" ];' % tmp_path), encoding="utf-8")
    company.start()
    api = Api(company, index=-1)
    where = make(api, name="payments", direction="SEND", filename=str(tmp_path / "pay.xml"), path="out/pay", scheduleType="ONCE", scheduledAt=soon())
    assert ended(api, where)["lastRunStatus"] == "SUCCESS"
    assert bank.received("in/pay") == b"payment" * 3000


def test_by_the_command(api, bank, company, tmp_path):
    offer(bank, tmp_path, "x", b"command")
    made = company.control("calendar", "create", "banks", "preset=TARGET2", "fromYear=2027", "toYear=2027", "workingDays=1,2,3", "defaultCalendar=true")
    assert made["workingDays"] == [1, 2, 3] and len(made["holidays"]) == 6 and made["defaultCalendar"] is True, made
    assert company.control("calendar", "set", "banks", "holidays=2027-01-01,2027-05-01")["holidays"] == ["2027-01-01", "2027-05-01"]
    company.control("favorite", "create", "f", "partnerId=BANK1", "direction=RECEIVE", "path=releves/x")
    number = company.control("favorite", "run", "f")["transferId"]
    assert company.control("wait", number)["state"] == "done" and company.control("favorite", "show", "f")["usageCount"] == 1
    made = company.control("schedule", "create", "daily", "partnerId=BANK1", "direction=RECEIVE", "path=releves/x", "dailyTime=08:00",
                           "scheduleType=DAILY", "workingDaysOnly=true", "timezone=Europe/Paris")
    assert made["workingDaysOnly"] is True and made["enabled"] is True
    assert company.control("schedule", "disable", "daily")["nextRunAt"] is None
    assert company.control("schedule", "set", "daily", "intervalMinutes=5", "scheduleType=INTERVAL", "workingDaysOnly=")["intervalMinutes"] == 5
    assert company.control("schedule", "enable", "daily")["enabled"] is True
    company.control("schedule", "run", "daily")
    assert ended(api, SCHEDULES + "/daily")["successCount"] == 1
    assert [one["name"] for one in company.control("schedule", "list")] == ["daily"] == [company.control("schedule", "show", made["id"])["name"]]
    assert company.control("schedule", "set", "daily", "dailyTime=8", check=False).returncode == 4
    for noun, name in (("schedule", "daily"), ("favorite", "f"), ("calendar", "banks")):
        assert company.control(noun, "remove", name) == {"done": True} and company.control(noun, "list") == []


def restart_with(company, statement):
    company.stop()
    company.sql(statement)
    company.start()
    return Api(company, index=-1)


def test_what_was_missed_is_said_or_caught_up_once(api, bank, company, tmp_path):
    offer(bank, tmp_path, "x", b"late")
    skipped = make(api, name="skipped", scheduleType="INTERVAL", intervalMinutes=5)
    caught = make(api, name="caught", scheduleType="INTERVAL", intervalMinutes=5, catchUp=True)
    behind = 20 * 60 * 1000000  # four due times, and the fifth is as it was
    api = restart_with(company, "UPDATE schedules SET created_us = created_us - %d, next_us = next_us - %d, wake_us = wake_us - %d" % ((behind,) * 3))
    told = ended(api, caught)
    assert (told["successCount"], told["missedCount"], told["enabled"]) == (1, 0, True), told
    logged(company, "schedule was due, and was not run: SCHEDULE=skipped TIMES=4 DUE=20")
    told = api.get(skipped).json
    assert (told["missedCount"], told["lastRunAt"], told["enabled"]) == (4, None, True), told
    assert len(fetches(api)) == 1


def test_a_file_that_has_not_come_is_told(api, bank, company, tmp_path):
    where = make(api, name="awaited", scheduleType="DAILY", dailyTime="08:00", expectBy="10:00")
    there = make(api, name="there", scheduleType="DAILY", dailyTime="08:00", expectBy="10:00")
    offer(bank, tmp_path, "x", b"there")
    assert api.post(there + "/run").status == 202 and ended(api, there)["successCount"] == 1
    expected = api.get(where).json["nextExpectedAt"]
    assert expected[11:16] == "10:00" and expected > api.get(where).json["nextRunAt"]
    api = restart_with(company, "UPDATE schedules SET expect_us = expect_us - 2 * 86400000000, wake_us = expect_us - 2 * 86400000000, "
                       "expect_since_us = expect_us - 3 * 86400000000")
    line = logged(company, "a file that was expected has not come")
    assert "SCHEDULE=awaited PARTNER=BANK1 PATH=releves/x EXPECTED_BY=20" in line, line
    eventually(lambda: api.get(where).json["nextExpectedAt"] >= expected and api.get(there).json["nextExpectedAt"] >= expected)
    assert company.log().count("has not come") == 1 and b"pesit_files_overdue_total 1" in api.get("/metrics").body


def runs_of(api, count):
    """Of as many schedules that were due at once, when all is said: each run has ended, and no path was fetched twice."""
    told = [ended(api, SCHEDULES + "/" + one["id"]) for one in api.get(SCHEDULES).json]
    assert len(told) == count and all(one["successCount"] + one["failureCount"] == 1 for one in told), told
    paths = [t["filename"] for t in fetches(api)]
    assert len(paths) == len(set(paths)), paths
    return told


@pytest.mark.parametrize("after_ms", [5, 40])
def test_killed_around_the_due_time(api, company, after_ms):
    count, when = 10, soon(2)
    for i in range(count):
        make(api, name=str(i), scheduleType="ONCE", scheduledAt=when, path="releves/%d" % i)
    due = datetime.datetime.fromisoformat(when[:19] + "+00:00").timestamp()
    eventually(lambda: time.time() >= due + after_ms / 1000)
    company.kill()
    company.start()
    runs_of(Api(company, index=-1), count)


def test_two_daemons_run_each_once(tmp_path, bank):
    schema = postgres.next_schema()
    text = ('partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d; '
            'files = ( { pattern = "releves/*"; mode = "fetch"; } ); } );')
    nodes = [Bare(tmp_path / owner, "COMPANY", LISTENER % FIRST_KEY + text % bank.port,
                  postgres.shared().store(schema, 'owner = "%s"; ' % owner)).start() for owner in "ab"]
    apis, count, when = [Api(node) for node in nodes], 20, soon(3)
    for i in range(count):
        make(apis[i % 2], name=str(i), scheduleType="ONCE", scheduledAt=when, path="releves/%d" % i)
    runs_of(apis[0], count)
    ran = [node.log().count("schedule runs:") for node in nodes]
    assert sum(ran) == count, ran
    # the next due time goes on without the one that is gone
    nodes[0].kill()
    where = make(apis[1], name="after", scheduleType="ONCE", scheduledAt=soon(), path="releves/after")
    assert ended(apis[1], where)["failureCount"] == 1
    nodes[1].stop()
