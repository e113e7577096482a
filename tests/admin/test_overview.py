# SPDX-License-Identifier: Apache-2.0
"""The daemon and its like as a whole, the audit trail by what it is about, keys that are renewed, the server that is meant."""
import concurrent.futures
import http.client
import json

import postgres
from admin import FIRST_KEY, LISTENER, Api
from conftest import COMPANY
from node import Bare
from waiting import eventually

KEYS, AUDIT = "/api/v1/apikeys", "/api/v1/audit"


def test_a_key_is_renewed_under_its_name(api):
    made = api.post(KEYS, {"name": "night", "role": "viewer", "allowedIps": "127.0.0.0/8", "description": "batch"}).json
    old = api.as_key(made["key"])
    assert old.get("/api/v1/me").status == 200
    etag = api.get("%s/%s" % (KEYS, made["id"])).headers["ETag"]
    assert api.ask("POST", "%s/%s/regenerate" % (KEYS, made["id"]), If_Match='"1"').status == 412
    answer = api.ask("POST", "%s/%s/regenerate" % (KEYS, made["id"]), If_Match=etag)
    assert answer.status == 200, answer
    again = answer.json
    same = {name: value for name, value in again.items() if name not in ("id", "key")}
    assert same == {name: value for name, value in made.items() if name not in ("id", "key")}
    assert again["key"] != made["key"] and again["id"] != made["id"]
    assert old.get("/api/v1/me").status == 401 and api.as_key(again["key"]).get("/api/v1/me").json["role"] == "viewer"
    assert [key["id"] for key in api.get(KEYS).json if key["name"] == "night"] == [again["id"]]
    row = api.get(AUDIT + "?action=regenerateKey").json["content"][1]
    assert again["key"] not in str(row) and made["id"] in row["details"] and again["id"] in row["details"]
    assert api.post("%s/%s/regenerate" % (KEYS, made["id"])).status == 404
    shown = api.post(KEYS, {"name": "cert", "role": "viewer", "certificateSha256": "ab" * 32}).json
    assert api.post("%s/%s/regenerate" % (KEYS, shown["id"])).status == 409


def test_keys_that_hold_still_are_listed(api, company):
    made = api.post(KEYS, {"name": "short", "role": "viewer", "expiresAt": "2099-01-01T00:00:00Z"}).json
    assert {key["name"] for key in api.get(KEYS + "/active").json} == {"first", "short"}
    company.stop()
    company.sql("UPDATE admin_records SET document = replace(document, '4070908800000000', '1000000') WHERE id = '%s'" % made["id"])
    again = Api(company.start(), index=-1)
    assert {key["name"] for key in again.get(KEYS).json} == {"first", "short"} and [key["name"] for key in again.get(KEYS + "/active").json] == ["first"]


def test_the_trail_is_read_by_what_it_is_about(api):
    number = api.post("/api/v1/transfers/send?partner=BANK1&path=out/x", b"x").json["transferId"]
    api.node.control("wait", number)
    api.post(KEYS, {"name": "k", "role": "viewer"})
    assert api.post(KEYS, {"name": "k", "role": "viewer"}).status == 409
    assert api.post("/api/v1/config/partners", {"id": "P2"}).status == 201

    def seen(path):
        return [(row["action"], row["outcome"]) for row in api.get(AUDIT + path).json["content"]]

    eventually(lambda: ("transfer done", "SUCCESS") in seen("/transfers"))
    assert sorted(seen("/transfers")) == [("POST send", "SUCCESS"), ("transfer done", "SUCCESS")] == sorted(seen("/category/transfer"))
    assert seen("/failures") == [("POST createKey", "FAILURE")] == seen("?outcome=failure")
    assert seen("/security") == [("POST createKey", "SUCCESS"), ("POST createKey", "FAILURE")] == seen("?category=SECURITY")
    assert seen("?category=CONFIGURATION") == [("POST createPartner", "SUCCESS")]
    assert ("transfer done", "SUCCESS") in seen("?partnerId=BANK1") and ("POST createPartner", "SUCCESS") not in seen("?partnerId=BANK1")
    about = [row["action"] for row in api.get("/api/v1/partners/P2/audit").json["content"]]
    assert about == ["POST createPartner"], about
    whole = api.get(AUDIT).json["content"]
    assert {row["username"] for row in whole} == {"key:first"} and api.get(AUDIT + "/user/key:first").json["content"] == whole
    assert api.get(AUDIT + "/user/key:second").json["content"] == []
    assert api.get(AUDIT + "/recent?limit=2").json["content"] == whole[-2:]
    told = api.get(AUDIT + "/stats").json
    assert (told["lastSeq"], told["counted"], told["failures"], sum(told["categories"].values())) == (len(whole), len(whole), 1, len(whole))
    for path, field in (("/category/colour", "category"), ("?category=x", "category"), ("?outcome=x", "outcome")):
        wrong = api.get(AUDIT + path)
        assert (wrong.status, wrong.json["field"]) == (400, field), wrong


def test_a_dashboard_has_what_happened(api, company, tmp_path):
    api.node.control("wait", api.post("/api/v1/transfers/send?partner=BANK1&path=out/x", b"xyz").json["transferId"])
    told = eventually(lambda: (lambda now: now if now["completedToday"] else None)(api.get("/api/v1/dashboard").json))
    assert (told["completedToday"], told["bytesToday"], told["failedToday"], told["activeTransfers"], told["node"]) == (1, 3, 0, 0, "COMPANY")
    assert set(api.get("/api/v1/dashboard/stats").json) == set(told)
    system = api.get("/api/v1/system/info").json
    assert system["pid"] == company.process.pid and system["architecture"] and system["spoolTotalBytes"] > system["spoolAvailableBytes"] > 0
    assert api.get("/api/v1/config").json["configurationFile"] == str(company.config) and api.get("/api/v1/config").json["sendDirectories"] == []


def test_partners_are_searched_and_counted(api):
    assert api.post("/api/v1/config/partners", {"id": "P2", "description": "Société d'Été", "enabled": False}).status == 201
    assert [p["id"] for p in api.get("/api/v1/partners/search?q=SOCI%C3%89T%C3%89").json] == ["P2"]
    assert [p["id"] for p in api.get("/api/v1/partners/search?q=bank").json] == ["BANK1"]
    assert api.get("/api/v1/partners/search?q=nobody").json == [] and len(api.get("/api/v1/partners/search").json) == 2
    told = api.get("/api/v1/partners/stats").json
    assert (told["total"], told["enabled"], told["disabled"], told["withAddress"], told["virtualFiles"]) == (2, 1, 1, 1, 3), told


def test_the_server_that_is_meant_where_none_is_named(api, bank, company, tmp_path):
    where = "/api/v1/servers/default"
    assert api.get(where).status == 404
    missing = api.post("/api/v1/transfers/receive", {"path": "releves/today"})
    assert (missing.status, missing.json["field"]) == (400, "partner") and "default" in missing.json["detail"]
    assert api.post("/api/v1/servers/NOBODY/default").status == 404
    assert api.post("/api/v1/servers/BANK1/default").json["id"] == "BANK1" == api.get(where).json["id"]
    assert api.post("/api/v1/servers/BANK1/default").status == 200  # again
    made = api.post("/api/v1/transfers/receive", {"path": "releves/today"})
    assert made.status == 202 and made.json["partnerId"] == "BANK1", made
    assert api.ask("PATCH", where).headers["Allow"] == "GET, HEAD, OPTIONS"


def test_the_daemons_of_a_schema_know_each_other(tmp_path):
    server = postgres.Postgres()
    nodes = {owner: Bare(tmp_path / owner, "N" + owner, LISTENER % FIRST_KEY + COMPANY % 1, server.store("cluster_two", 'owner = "%s";' % owner)).start()
             for owner in "ab"}
    first = Api(nodes["a"])

    def told():
        status = first.get("/api/cluster/status").json
        return status, {member["nodeName"]: member["status"] for member in status["members"]}

    eventually(lambda: told()[1] == {"a": "UP", "b": "UP"}, told=lambda: str(told()))
    status = told()[0]
    assert status["memberCount"] == 2 and status["clusterName"] == "cluster_two"
    assert (status["nodeName"], status["isLeader"], status["leader"]) == ("a", False, None)
    assert [m["nodeName"] for m in first.get("/api/cluster/members").json if m["self"]] == ["a"]
    nodes["b"].kill()
    eventually(lambda: told()[1] == {"a": "UP", "b": "DOWN"}, told=lambda: str(told()))
    assert first.get("/api/cluster/leader").json == {"isLeader": True, "leader": "a", "nodeName": "a"}
    nodes["a"].stop()
    server.remove()


def test_one_on_a_file_is_alone(bank):
    status = Api(bank).get("/api/cluster/status").json
    name = status["nodeName"]
    assert (status["isLeader"], status["leader"], status["memberCount"]) == (True, name, 1)
    listener = Api(bank).get("/api/servers").json[0]["serverId"]
    assert Api(bank).get("/api/cluster/ownership").json == {listener: name}


def test_a_change_whose_daemon_was_killed_is_in_the_trail(tmp_path):
    """It is done, and its row is not written, when the daemon goes: the next start says who asked for what. What was told is not told again."""
    server = postgres.Postgres()
    node = Bare(tmp_path / "node", "N", LISTENER % FIRST_KEY, server.store("cluster_one", 'owner = "a";')).start()
    api = Api(node)
    assert api.post("/api/v1/config/partners", {"id": "P1"}).status == 201
    intents = "SELECT count(*) FROM cluster_one.admin_records WHERE kind = 'intent'"
    eventually(lambda: server.ask(intents) == ["0"])
    with server.holding("cluster_one.audit_events"), concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(api.post, "/api/v1/config/partners", {"id": "P2"})
        eventually(lambda: server.ask("SELECT count(*) FROM cluster_one.partners") == ["2"])
        node.kill()
        assert isinstance(asked.exception(), (http.client.HTTPException, OSError))
    api = Api(node.start(), index=-1)
    rows = [row for row in api.get(AUDIT).json["content"] if row["action"] == "POST createPartner"]
    assert [row["outcome"] for row in rows] == ["SUCCESS", "FAILURE"], rows
    assert "nobody knows how it ended" in rows[1]["details"] and (rows[1]["username"], rows[1]["object"]) == ("key:first", "/api/v1/config/partners")
    eventually(lambda: server.ask(intents) == ["0"])
    # told, and killed before the note of it went: found by its number
    number = json.loads(rows[0]["details"])["request"]
    server.execute("INSERT INTO cluster_one.admin_records VALUES ('intent', 'a/%s', 'a/%s', '{}', %d, 0), ('intent', 'b/x', 'b/x', '{}', 0, 0)" % (
        number, number, 0))
    node.kill()
    api = Api(node.start(), index=-1)
    assert len([row for row in api.get(AUDIT).json["content"] if row["action"] == "POST createPartner"]) == 2
    eventually(lambda: server.ask("SELECT id FROM cluster_one.admin_records WHERE kind = 'intent'") == ["b/x"])
    assert api.get(AUDIT + "/verify").json["valid"]
    node.stop()
    server.remove()


def test_the_command_line_asks_the_same(api, company):
    made = company.control("key", "create", "k", "viewer")
    again = company.control("key", "renew", made["id"])
    assert again["name"] == "k" and again["key"] != made["key"] and api.as_key(again["key"]).get("/api/v1/me").status == 200
    refused = company.control("say", "BANK1", "bonjour", check=False)  # a pesitd takes no messages
    assert refused.returncode == 3 and json.loads(refused.stdout)["diagnostic"] == "2-209", refused
    sent = api.post("/api/v1/transfers/send?partner=BANK1&path=out/c&correlationId=lot%201", b"x").json["transferId"]
    company.control("wait", sent)
    for words in (["list", "partner=BANK1", "text=out/c", "status=COMPLETED"], ["find", "lot 1"]):
        assert [one["transferId"] for one in company.control("history", *words)["content"]] == [sent], words
    assert company.control("history", "list", "partner=NOBODY")["content"] == [] and company.control("history", "stats", "BANK1")["completedTransfers"] == 1
    assert company.control("history", "days", "1")[0]["completedTransfers"] == 1
    assert company.control("history", "list", "colour=1", check=False).returncode == 4 and company.control("history", "list", "x", check=False).returncode == 1
    assert company.control("clean", "30")["olderThanDays"] == 30
    assert company.control("clean", "x", check=False).returncode == 4
    assert [member["self"] for member in company.control("members")] == [True]


def test_lists_come_in_the_order_that_is_asked_for(api):
    for name, port, described in (("b", 5002, "zwei"), ("A", 5003, None), ("c", 5001, "Eins")):
        assert api.post("/api/v1/config/partners", {"id": name, "host": "192.0.2.1", "port": port, "description": described}).status == 201
    where = "/api/v1/config/partners?"

    def seen(query, path=where, field="id"):
        return [one[field] for one in api.get(path + query).json]

    assert seen("") == ["A", "BANK1", "b", "c"] and seen("sortBy=id") == ["A", "b", "BANK1", "c"] and seen("sortDir=desc") == ["c", "b", "BANK1", "A"]
    assert seen("sortBy=description&limit=3") == ["A", "BANK1", "c"] and seen("sortBy=description&limit=3&page=1") == ["b"]
    assert seen("sortBy=description&sortDir=desc") == ["b", "c", "BANK1", "A"] and seen("sortBy=port", "/api/v1/servers?")[:3] == ["c", "b", "A"]
    assert seen("sortBy=enabled&page=9") == [] and seen("enabled=true&sortBy=port&limit=1") == ["c"]
    assert seen("sortBy=pattern&sortDir=desc", "/api/v1/config/files?", "pattern") == ["releves/*", "out/*", "offer/*"]
    made = [api.post(KEYS, {"name": name, "role": role}).json["name"] for name, role in (("x", "viewer"), ("y", "admin"))]
    assert seen("sortBy=role", KEYS + "?", "role") == ["admin", "admin", "viewer"] and made == ["x", "y"]
    assert seen("sortBy=name", "/api/v1/users?") == [] and seen("sortBy=port", "/api/servers?", "serverId") == []
    for query, field in (("sortBy=colour", "sortBy"), ("sortBy=settings", "sortBy"), ("sortDir=up", "sortDir"), ("page=-1", "page"), ("sortBy=id&after=x", "after"),
                         ("sortBy=id&limit=0", "limit"), ("sortBy=id&colour=1", "colour")):
        wrong = api.get(where + query)
        assert (wrong.status, wrong.json["field"]) == (400, field), (query, wrong)
