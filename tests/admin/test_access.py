# SPDX-License-Identifier: Apache-2.0
"""Who may do what: every route with every role and with none, keys, users, certificates, lock-outs, the audit trail."""
import base64
import concurrent.futures
import datetime
import hashlib
import json
import os
import pathlib
import re
import sqlite3
import time

import pytest
import waiting
from admin import FIRST_KEY, Api
from race import one_wins
from waiting import eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = re.findall(r'\{ "(\w+)", "([^"]+)", \w+, ROLE_(\w+), BODY_\w+, \w+, "(\w+)"',
                  (ROOT / "admin/routes.c").read_text(encoding="utf-8"))
RANKS = ["PUBLIC", "PARTNER", "VIEWER", "OPERATOR", "ADMIN"]


def key_of(api, role, **more):
    body = {"name": role + str(len(more)), "role": role, **more}
    if role == "partner":
        body["partner"] = "BANK1"
    answer = api.post("/api/v1/apikeys", body)
    assert answer.status == 201, answer
    return answer.json["key"]


def try_route(api, method, path, operation):
    if operation == "events":  # its answer has no end
        connection = api.connect()
        connection.request(method, path, headers={"X-API-Key": api.key} if api.key else {})
        status = connection.getresponse().status
        connection.close()
        return status
    return api.ask(method, re.sub(r"\{\w+\}", "777", path)).status


def test_the_table_is_read_whole():
    assert len(ROWS) > 50 and {row[2] for row in ROWS} == set(RANKS)


@pytest.mark.parametrize("role", ["partner", "viewer", "operator", "admin"])
def test_every_route_for_a_role(api, role):
    other = api.as_key(key_of(api, role))
    for method, path, needed, operation in ROWS:
        status = try_route(other, method, path, operation)
        if RANKS.index(role.upper()) >= RANKS.index(needed):
            assert status not in (401, 403, 500), (method, path, role, status)
        else:
            assert status == 403, (method, path, role, status)


def test_nothing_is_anonymous_but_health(bank):
    """Who shows nothing guesses nothing: it is not counted against the address."""
    anybody = Api(bank).as_key(None)
    for method, path, _, operation in (row for row in ROWS if row[2] != "PUBLIC"):
        assert try_route(anybody, method, path, operation) == 401, (method, path)


def test_keys_are_shown_once_and_end(api, company):
    made = api.post("/api/v1/apikeys", {"name": "batch", "role": "viewer"}).json
    assert made["key"] not in str(api.get("/api/v1/apikeys").body) + company.log()
    viewer = api.as_key(made["key"])
    assert viewer.get("/api/v1/me").json == {"name": "key:batch", "role": "viewer", "partner": None}
    assert api.post("/api/v1/apikeys", {"name": "batch", "role": "viewer"}).status == 409
    assert api.ask("DELETE", "/api/v1/apikeys/" + made["id"]).status == 204
    assert viewer.get("/api/v1/me").status == 401
    assert (company.folder / "store.db").read_bytes().find(made["key"].encode()) < 0
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    brief = api.as_key(key_of(api, "viewer", expiresAt=soon))
    waiting.eventually(lambda: brief.get("/api/v1/me").status == 401)
    assert "expired" in brief.get("/api/v1/me").json["detail"]
    assert api.as_key(key_of(api, "viewer", allowedIps=["192.0.2.0/24"], description="x")).get("/api/v1/me").status == 401
    assert api.post("/api/v1/apikeys", {"name": "x", "role": "god"}).json["field"] == "role"
    assert api.post("/api/v1/apikeys", {"name": "x", "role": "viewer", "rol": "x"}).json["field"] == "rol"


def test_users_have_passwords(api, company):
    user = {"name": "anne", "password": "correct horse battery", "role": "operator"}
    assert api.post("/api/v1/users", {**user, "password": "short"}).json["field"] == "password"
    assert api.post("/api/v1/users", user).status == 201

    def login(password):
        token = base64.b64encode(("anne:" + password).encode()).decode()
        return api.as_key(None).get("/api/v1/me", Authorization="Basic " + token)

    assert login(user["password"]).json["role"] == "operator"
    assert login("wrong").status == 401
    store = (company.folder / "store.db").read_bytes() + (company.folder / "store.db-wal").read_bytes()
    assert user["password"].encode() not in store and b"$argon2id$" in store


def test_failures_lock_out(api):
    statuses = [api.as_key("pk_wrong%d" % i).get("/api/v1/me").status for i in range(12)]
    assert statuses[:10] == [401] * 10 and statuses[10:] == [429] * 2
    locked = api.get("/api/v1/me")
    assert locked.status == 429 and int(locked.headers["Retry-After"]) > 0
    assert api.as_key(None).get("/health/live").status == 200


def login(api, name, password):
    return api.as_key(None).get("/api/v1/me", Authorization="Basic " + base64.b64encode((name + ":" + password).encode()).decode())


def test_one_who_has_an_account_cannot_guess_at_others(api, company):
    """His good logins end no row of failures but his own account's: neither his address's nor his victim's."""
    for name in ("anne", "mallory"):
        assert api.post("/api/v1/users", {"name": name, "password": name + " has a password", "role": "viewer"}).status == 201
    crook, elsewhere = api.from_address("127.0.0.2"), api.from_address("127.0.0.3")
    crook_key = crook.as_key(key_of(api, "viewer"))
    seen = []
    for i in range(5):
        seen += [login(crook, "anne", "guess %d" % i).status, login(crook, "user%d" % i, "guess").status]
        if i < 4:
            assert login(crook, "mallory", "mallory has a password").status == crook_key.get("/api/v1/me").status == 200
    assert seen == [401] * 10
    assert login(crook, "mallory", "mallory has a password").status == login(crook, "anne", "x").status == 429  # the address
    assert crook_key.get("/api/v1/me").status == 200  # a key cannot be guessed: one that was good there goes on
    assert crook.as_key("pk_wrong").get("/api/v1/me").status == 429
    seen = [login(elsewhere, "anne", "guess").status for _ in range(5)]
    assert seen == [401] * 5
    assert login(api, "anne", "anne has a password").status == 429  # the account, from wherever
    assert login(elsewhere, "mallory", "mallory has a password").status == 200
    locked = [line for line in company.log().splitlines() if "too many failed logins" in line]
    assert ["ADDRESS=127.0.0.2 SECONDS=30" in locked[0], "ACCOUNT=anne SECONDS=30" in locked[1]] == [True] * 2, locked


def test_a_good_login_clears_its_own_account(api):
    assert api.post("/api/v1/users", {"name": "anne", "password": "anne has a password", "role": "viewer"}).status == 201
    seen = []
    for i in range(2):
        other = api.from_address("127.0.0.%d" % (2 + i))
        seen += [login(other, "anne", "guess").status for _ in range(6)] + [login(other, "anne", "anne has a password").status]
    assert seen == ([401] * 6 + [200]) * 2


def test_many_guesses_at_once_tell_no_more(api):
    """All are under way before one has failed; what comes after the tenth failure is told neither good nor bad."""
    assert api.post("/api/v1/users", {"name": "anne", "password": "anne has a password", "role": "viewer"}).status == 201
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(login, api.from_address("127.0.0.%d" % (2 + i % 5)), "anne", "guess") for i in range(24)]
        statuses = [one.result().status for one in asked]
    assert (statuses.count(401), statuses.count(429)) == (10, 14), statuses
    assert login(api.from_address("127.0.0.9"), "anne", "anne has a password").status == 429


def test_credentials_change(api):
    """Rights, addresses and end of a key and of a user; what is not given stays, null takes away; the secret is another matter."""
    made = api.post("/api/v1/apikeys", {"name": "k", "roles": ["USER", "OPERATOR"], "allowedIps": ["127.0.0.0/8"], "description": "d"}).json
    where, other = "/api/v1/apikeys/" + made["id"], api.as_key(made["key"])
    assert made["role"] == "operator" and other.get("/api/v1/me").json["role"] == "operator"
    shown = api.get(where)
    changed = api.ask("PUT", where, {"role": "viewer", "expiresAt": "2999-01-01T00:00:00Z", "description": None}, If_Match=shown.headers["ETag"])
    assert changed.status == 200 and changed.headers["ETag"] == api.get(where).headers["ETag"] != shown.headers["ETag"], changed
    kept = changed.json
    assert (kept["role"], kept["allowedIps"], kept["description"], kept["expiresAt"][:4]) == ("viewer", "127.0.0.0/8", None, "2999")
    assert "key" not in kept and other.get("/api/v1/me").json["role"] == "viewer"
    assert api.ask("PUT", where, {"role": "admin"}, If_Match=shown.headers["ETag"]).json["field"] == "If-Match"
    assert api.ask("PUT", where, {"allowedIps": ["10.0.0.0/8"]}).status == 200 and other.get("/api/v1/me").status == 401
    assert api.ask("PUT", where, {"allowedIps": None}).status == 200 and other.get("/api/v1/me").status == 200
    assert api.ask("PUT", where, {"certificateSha256": "0" * 64}).json["field"] == "certificateSha256"
    assert api.ask("DELETE", where, If_Match='"x"').status == 412 and api.ask("DELETE", where, If_Match="*").status == 204
    assert api.ask("PUT", where, {"role": "viewer"}).json["field"] == "id" and api.ask("DELETE", where).json["field"] == "id"
    anne = {"name": "anne", "password": "anne has a password", "role": "partner", "partnerId": "BANK1"}
    assert api.post("/api/v1/users", anne).json["partner"] == "BANK1" and api.post("/api/v1/users", anne).json["field"] == "name"
    assert api.ask("PUT", "/api/v1/users/anne", {"role": "viewer"}).json["field"] == "partner"
    told = api.ask("PUT", "/api/v1/users/anne", {"role": "viewer", "partner": None, "password": "anne has another one"})
    assert told.status == 200 and told.json == api.get("/api/v1/users/anne").json, told
    assert [login(api, "anne", word).status for word in ("anne has a password", "anne has another one")] == [401, 200]
    audit = api.get("/api/v1/audit?action=updateUser").json["content"][-1]["details"]
    assert json.loads(audit)["before"]["role"] == "partner" and "another one" not in audit


def test_of_changes_at_once_one_is_done(api):
    key = api.post("/api/v1/apikeys", {"name": "k", "role": "viewer"}).json["id"]
    one_wins(api, "/api/v1/apikeys/" + key, lambda number: {"description": "d%d" % number})
    registry = api.post("/api/v1/registries", {"name": "r"}).headers["Location"]
    one_wins(api, registry, lambda number: {"name": "r%d" % number})
    assert api.get("/api/v1/audit/verify").json["valid"]


def test_a_credential_that_could_not_be_meant_is_refused(api):
    def field(path="/api/v1/apikeys", **body):
        answer = api.post(path, {"name": "k", "role": "viewer", **body})
        assert answer.status == 400, answer
        return answer.json["field"]

    for end in ("1970-01-01T00:00:00Z", "1969-01-01T00:00:00Z", "2020-01-01T00:00:00Z", "2027-02-30T00:00:00Z", "never"):
        assert field(expiresAt=end) == "expiresAt", end
    assert field(certificateSha256="a" * 64 + "zz") == field(certificateSha256="A" * 64) == "certificateSha256"
    assert field(name=" ") == field(name="a\nb") == field(name="x" * 65) == "name"
    assert field(partner="BANK1") == "partner"  # who made it would think that it is limited
    assert field(role=None, roles=[]) == field(role=None, roles=["ADMIN", "GOD"]) == "roles"
    assert field(description="x" * 256) == "description" and field(path="/api/v1/users", password="x" * 257) == "password"


def test_partner_sees_its_own_only(bank):
    api = Api(bank)
    key = api.post("/api/v1/apikeys", {"name": "p", "role": "partner", "partner": "ELSE"}).json["key"]
    other = api.as_key(key)
    assert other.get("/api/v1/transfers").json["content"] == [] and other.get("/api/v1/transfers?partner=ELSE").status == 200
    for path in ("?partner=COMPANY", "/partner/COMPANY", "/stats/partner/COMPANY", "/stats?partner=COMPANY"):
        assert other.get("/api/v1/transfers" + path).json["field"] == "partner"
    assert other.get("/api/v1/config/partners").status == 403
    nobody = {"name": "q", "role": "partner", "partner": ""}
    assert api.post("/api/v1/apikeys", nobody).json["field"] == "partner"
    assert api.post("/api/v1/users", {**nobody, "password": "long enough it is"}).json["field"] == "partner"
    bank.stop()
    bank.sql("UPDATE admin_records SET document = replace(document, 'ELSE', '') WHERE kind = 'key'")
    bank.start()
    assert Api(bank, key, index=-1).get("/api/v1/transfers").status == 401  # whose were they


def test_audit_is_a_chain(api, company):
    for i in range(3):
        api.post("/api/v1/apikeys", {"name": "a%d" % i, "role": "viewer"})
    assert [row["seq"] for row in api.get("/api/v1/audit?action=createKey&username=key:first&from=2026-01-01&limit=2").json["content"]] == [1, 2]
    assert [api.get("/api/v1/audit?" + query).json["content"] for query in ("username=x", "object=/x", "to=2026-01-01")] == [[]] * 3
    assert api.get("/api/v1/audit?from=yesterday").json["field"] == "from"
    head = api.get("/api/v1/audit/verify").json
    assert head["valid"] and head["seq"] == 3, head
    rows = api.get("/api/v1/audit").json["content"]
    assert [row["action"] for row in rows] == ["POST createKey"] * 3 and rows[0]["username"] == "key:first"
    noted = "?seq=3&hash=" + head["hash"]
    assert api.get("/api/v1/audit/verify" + noted).json["valid"]

    def verify_after(statement, query=""):
        company.stop()  # which holds the file
        with sqlite3.connect(company.folder / "store.db") as store:
            store.execute(statement)
        store.close()
        company.start()
        return Api(company, index=-1).get("/api/v1/audit/verify" + query).json

    change = "UPDATE audit_events SET actor = '%s' WHERE seq = 2"
    assert verify_after(change % "somebody")["reason"] == "it was changed"
    assert verify_after(change % "key:first")["valid"]
    assert "missing" in verify_after("DELETE FROM audit_events WHERE seq = 2")["reason"]
    assert not verify_after("DELETE FROM audit_events", noted)["valid"]


def test_old_rows_of_the_trail_go(api, company):
    for i in range(5):
        api.post("/api/v1/apikeys", {"name": "a%d" % i, "role": "viewer"})
    head, hashes = api.get("/api/v1/audit/verify").json, [row["hash"] for row in api.get("/api/v1/audit").json["content"]]
    made = time.monotonic()
    eventually(lambda: time.monotonic() - made > 1.1)
    text = company.config.read_text(encoding="utf-8")
    company.config.write_text(text + "\nretention: { audit_s = 1; };\n", encoding="utf-8")
    company.control("reload")
    eventually(lambda: [api.get("/api/v1/audit/verify").json[name] for name in ("firstSeq", "seq")] == [6, 7], told=lambda: api.get("/api/v1/audit").body)
    rows = api.get("/api/v1/audit").json["content"]
    assert [row["seq"] for row in rows] == [6, 7] and sorted(row["action"] for row in rows) == ["Prune", "Reload"]
    told = [json.loads(row["details"]) for row in rows if row["action"] == "Prune"]
    assert (told[0]["seq"], told[0]["hash"]) == (5, hashes[4])
    verify = "/api/v1/audit/verify?seq=%d&hash=%s"
    assert api.get("/api/v1/audit/verify").json["valid"] and api.get(verify % (5, head["hash"])).json["valid"]
    assert "not kept" in api.get(verify % (4, hashes[3])).json["reason"]
    assert "cut off" in api.get(verify % (9, hashes[3])).json["reason"]
    company.stop()
    company.config.write_text(text, encoding="utf-8")
    with sqlite3.connect(company.folder / "store.db") as store:
        store.execute("DELETE FROM audit_events WHERE seq = 6")
    store.close()
    company.start()
    assert "none says" in Api(company, index=-1).get("/api/v1/audit/verify").json["reason"]


def test_a_removal_that_says_nothing_removes_nothing(api, company):
    """A row with a right hash, which only says that others were removed."""
    api.post("/api/v1/apikeys", {"name": "a", "role": "viewer"})
    last = api.get("/api/v1/audit/verify").json
    company.stop()
    for number, (detail, valid) in enumerate((("{}", True), ("not JSON", True), ('{"seq":9,"hash":"x"}', False))):
        texts = (last["hash"], "pesitd", "local", "Prune", "/api/v1/audit", detail)
        hashed = hashlib.sha256(("%d;%d;" % (last["seq"] + 1 + number, 7) + "".join("%d:%s;" % (len(text), text) for text in texts)).encode()).hexdigest()
        with sqlite3.connect(company.folder / "store.db") as store:
            store.execute("INSERT INTO audit_events (writer, seq, time_us, previous, actor, address, action, object, detail, hash) "
                          "VALUES ('', ?, 7, ?, ?, ?, ?, ?, ?, ?)", (last["seq"] + 1 + number, *texts, hashed))
        store.close()
        company.start()
        verified = Api(company, index=-1).get("/api/v1/audit/verify").json
        assert verified["valid"] == valid and verified["seq"] == last["seq"] + 1 + number, verified
        last = {"seq": last["seq"], "hash": hashed}
        company.stop()
    company.start()


def test_changes_are_told_as_before_and_after(api):
    made = api.post("/api/v1/apikeys", {"name": "k", "role": "viewer"}).json
    api.ask("DELETE", "/api/v1/apikeys/" + made["id"])
    cluster = api.post("/api/v1/clusters", {"name": "c"}).headers["Location"]
    api.ask("PUT", cluster, {"name": "d"})
    api.ask("DELETE", cluster)
    api.post("/api/v1/clusters", {"name": ""})
    sent = api.post("/api/v1/transfers/send?partner=BANK1&path=offer/x", b"x").json["transferId"]
    api.post("/api/v1/transfers/%d/cancel" % sent)
    rows = [row for row in api.get("/api/v1/audit").json["content"] if not row["action"].startswith("transfer ")]  # they come soon
    told = [json.loads(row["details"]) for row in rows]
    assert [row["action"] for row in rows][:2] == ["POST createKey", "DELETE removeKey"]
    assert told[0]["before"] is None and told[0]["after"] == told[1]["before"] and told[1]["after"] is None
    assert told[0]["after"]["name"] == "k" and made["key"] not in json.dumps(told)
    assert [(row["before"], row["after"]) for row in told[2:5]] == [(None, {"name": "c"}), ({"name": "c"}, {"name": "d"}), ({"name": "d"}, None)]
    assert set(told[5]) == {"status", "request"} and told[5]["status"] == 400  # nothing was changed
    cancel = told[[row["action"] for row in rows].index("POST cancel")]  # beside the row of the transfer's end
    assert cancel["after"]["state"] == "cancelled" and cancel["before"]["transferId"] == sent


def trail(api, query=""):
    return [(row["username"], row["clientIp"], row["action"], row["object"]) for row in api.get("/api/v1/audit?limit=1000" + query).json["content"]]


def ended_in(api, count):
    """Rows of transfers that have ended: written together with others, soon."""
    def rows():
        return [row for row in trail(api, "&action=transfer") if row[2].startswith("transfer ")]
    eventually(lambda: len(rows()) >= count, told=rows)
    return rows()


def test_every_transfer_is_in_the_trail(api, bank, company, tmp_path):
    (tmp_path / "one").write_bytes(b"one")
    uid, number = "uid:%d" % os.getuid(), "/api/v1/transfers/%d"
    by_api = api.post("/api/v1/transfers/send?partner=BANK1&path=out/a", b"x").json["transferId"]
    assert company.control("wait", by_api)["state"] == "done"
    by_command = company.control("send", "BANK1", tmp_path / "one", "out/b")["id"]
    bank.control("send", "COMPANY", tmp_path / "one", "dispo/c")
    fetched = company.control("fetch", "BANK1", "releves/c", "--output", tmp_path / "got")["id"]
    refused = company.control("fetch", "BANK1", "releves/none", "--output", tmp_path / "got", check=False)
    assert refused.returncode == 3
    ended = ended_in(api, 4)
    assert ended == [("key:first", "127.0.0.1", "transfer done", number % by_api), (uid, "local", "transfer done", number % by_command),
                     (uid, "local", "transfer done", number % fetched), (uid, "local", "transfer failed", number % (fetched + 1))], ended
    there = ended_in(Api(bank), 4)  # the offer has ended too
    assert sorted(row[:3] for row in there) == [("partner:COMPANY", "127.0.0.1", "transfer done")] * 3 + [(uid, "local", "transfer done")], there
    told = json.loads(api.get("/api/v1/audit?object=" + number % by_command).json["content"][0]["details"])
    assert told["before"] is None and (told["after"]["filename"], told["after"]["fileSize"], told["after"]["state"]) == ("out/b", 3, "done")
    assert api.get("/api/v1/audit/verify").json["valid"] and Api(bank).get("/api/v1/audit/verify").json["valid"]


def test_what_is_done_at_the_local_door_is_in_the_trail(api, bank, company, tmp_path):
    bank.stop()
    (tmp_path / "one").write_bytes(b"one")
    sent = company.control("send", "BANK1", tmp_path / "one", "out/b", "--no-wait")["id"]
    for words in (("retry", sent), ("hold", sent), ("cancel", sent), ("reload",)):
        company.control(*words)
    assert company.control("cancel", sent, check=False).returncode == 4  # nothing is left of it
    uid, rows = "uid:%d" % os.getuid(), api.get("/api/v1/audit").json["content"]
    assert {row["username"] for row in rows} == {uid} and {row["clientIp"] for row in rows} == {"local"}
    done = [(row["action"], row["object"]) for row in rows if row["action"][0].isupper()]
    assert done == [("Retry", str(sent)), ("POST hold", "/api/v1/transfers/%d/hold" % sent), ("Cancel", str(sent)), ("Reload", ""), ("Cancel", str(sent))], done
    assert json.loads([row for row in rows if row["action"] == "Cancel"][-1]["details"])["error"].endswith("nothing to cancel")
    assert ended_in(api, 1) == [(uid, "local", "transfer cancelled", "/api/v1/transfers/%d" % sent)]


def test_the_trail_stays_whole_when_many_write_it(api):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: api.post("/api/v1/transfers/send?partner=BANK1&path=offer/%d" % i, b"x").status, range(60)))
    assert answers == [202] * 60
    verified = api.get("/api/v1/audit/verify").json
    assert verified["valid"] and verified["seq"] == 60, verified


def test_first_key_is_taken_once(api, company):
    company.stop()
    company.config.write_text(company.config.read_text(encoding="utf-8").replace(FIRST_KEY, "another-key-0123456789abc"),
                              encoding="utf-8")
    company.start()
    fresh = Api(company, index=-1)
    assert fresh.get("/api/v1/me").status == 200
    assert fresh.as_key("another-key-0123456789abc").get("/api/v1/me").status == 401
