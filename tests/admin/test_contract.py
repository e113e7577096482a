# SPDX-License-Identifier: Apache-2.0
"""openapi.yaml, the table of routes, the answers and docs/api.md say the same; metrics are what Prometheus reads."""
import concurrent.futures
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import postgres
import pytest
import yaml
from admin import FIRST_KEY, LISTENER, Api
from node import Bare
from peer import Requester
from waiting import eventually

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = re.findall(r'\{ "(\w+)", "([^"]+)", \w+, ROLE_(\w+), BODY_(\w+), \w+, "(\w+)"',
                  (ROOT / "admin/routes.c").read_text(encoding="utf-8"))


def read_contract(api):
    return yaml.safe_load(api.get("/openapi.yaml").body)


def test_contract_and_table_are_one(bank):
    contract = read_contract(Api(bank))
    told = {(method.upper(), path): operation for path, methods in contract["paths"].items()
            for method, operation in methods.items() if method != "parameters"}
    assert set(told) == {(method, path) for method, path, *_ in ROWS}
    for method, path, role, body, operation in ROWS:
        row = told[(method, path)]
        assert row["operationId"].rstrip("0123456789") == operation and row["x-role"] == role.lower()
        assert ("requestBody" in row) == (body != "NONE"), (method, path)
        assert (row.get("security") == []) == (role == "PUBLIC")
    names = [operation["operationId"] for operation in told.values()]
    assert len(names) == len(set(names))


def test_every_answer_has_a_schema(bank):
    contract = read_contract(Api(bank))
    for path, methods in contract["paths"].items():
        for method, told in methods.items():
            for status, answer in told["responses"].items() if method != "parameters" else ():
                content = answer.get("content", {})
                assert all(one["schema"] for one in content.values()), (method, path, status)
                assert content or "$ref" in answer or status in ("204", "304"), (method, path, status)


def test_every_route_is_in_the_guide():
    guide = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert [path for _, path, *_ in ROWS if "`%s`" % path not in guide] == []


def test_answers_have_the_contract_s_fields(api):
    schemas = read_contract(api)["components"]["schemas"]
    sent = api.post("/api/v1/transfers/send?partner=BANK1&path=out/c", b"x")
    assert set(sent.json) == set(schemas["Transfer"]["properties"])
    assert set(api.get("/api/v1/transfers/stats").json) == set(schemas["Statistics"]["properties"])
    problem = api.get("/nowhere")
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert set(schemas["Problem"]["required"]) <= set(problem.json)
    wrong = api.ask("PATCH", "/api/v1/clusters")
    assert wrong.status == 405 and wrong.headers["Allow"] == "GET, HEAD, POST, OPTIONS"


def test_a_path_takes_its_own_methods_and_no_sibling_s(api):
    """A literal segment is none of the ids beside it: what is allowed, and what is done, is of the path that is meant."""
    of_path = {}
    for method, path, *_ in ROWS:
        of_path.setdefault(path, {"OPTIONS"}).update({"GET", "HEAD"} if method == "GET" else {method})
    for path, methods in of_path.items():
        asked = re.sub(r"\{\w+\}", "777", path)
        told, wrong = api.ask("OPTIONS", asked), api.ask("PATCH", asked)
        assert (told.status, told.body, wrong.status) == (204, b"", 405), (path, told, wrong)
        for answer in (told, wrong):
            assert sorted(answer.headers["Allow"].split(", ")) == sorted(methods), (path, answer.headers["Allow"])
    assert api.post("/api/v1/config/partners", {"id": "active", "host": "127.0.0.1", "port": 1}).status == 201
    assert api.ask("DELETE", "/api/v1/partners/active").status == api.get("/api/v1/transfers/send").status == 405
    assert api.get("/api/v1/config/partners/active").status == 200
    assert api.ask("OPTIONS", "/nowhere").status == 404


@pytest.mark.parametrize("path", ["/health/live", "/api/v1/transfers", "/metrics", "/api/v1/events"])
def test_head_is_get_without_its_body(api, path):
    told = api.ask("HEAD", path)
    assert (told.status, told.body) == (200, b"")
    if not path.endswith("events"):
        assert told.headers["Content-Type"] == api.get(path).headers["Content-Type"]


def test_records_of_the_fleet(api):
    made = api.post("/api/v1/clusters", {"name": "paris", "replicas": 3, "pesitPort": 5000})
    assert made.status == 201 and made.headers["Location"].endswith(made.json["id"])
    where = made.headers["Location"]
    assert api.get(where).json["deploymentState"] == "NOT_DEPLOYED"
    assert api.ask("PUT", where, {"name": "lyon"}).json["name"] == "lyon"
    assert api.post(where + "/deploy").status == 501
    assert api.post("/api/v1/clusters", {"name": "lyon"}).status == 409
    assert api.post("/api/v1/clusters", {"name": "x", "replicas": 70000}).json["field"] == "replicas"
    assert api.post("/api/v1/clusters", {"name": "x", "colour": "red"}).json["field"] == "colour"
    assert api.post("/api/v1/registries", {"name": "r", "password": "clear"}).json["field"] == "password"
    for path, body, field in (("clusters", {"name": "lyon"}, "name"), ("clusters", {"environment": "TEST"}, "environment"),
                              ("clusters", {"pesitPort": 0}, "pesitPort"), ("clusters", {"orchestratorId": "777"}, "orchestratorId"),
                              ("clusters", {"registryId": "777"}, "registryId"), ("clusters", {"replicas": 2**64}, "replicas"),
                              ("clusters", {"description": "a\0b"}, "description"), ("clusters", {"name": "a\nb"}, "name"),
                              ("registries", {"name": " "}, "name"), ("orchestrators", {"type": "K4S"}, "type"),
                              ("orchestrators", {"authType": "NONE"}, "authType"), ("orchestrators", {"apiUrl": "host"}, "apiUrl")):
        wrong = api.post("/api/v1/" + path, {"name": "x", **body})
        assert (wrong.status, wrong.json["field"]) == (409 if body == {"name": "lyon"} else 400, field), wrong
    registry = api.post("/api/v1/registries", {"name": "r"}).json["id"]
    before = api.get(where).headers["ETag"]
    assert api.ask("PUT", where, {"name": "lyon", "registryId": registry, "environment": "STAGING"}, If_Match=before).status == 200
    assert api.ask("PUT", where, {"name": "lyon"}, If_Match=before).json["field"] == "If-Match"
    assert api.ask("DELETE", where, If_Match=before).status == 412 and api.ask("DELETE", "/api/v1/registries/777").json["field"] == "id"
    assert api.ask("DELETE", where).status == 204
    assert api.get(where).status == 404


def test_partners_of_our_own_cluster(api):
    ours = "/api/v1/clusters/local"
    made = api.post(ours + "/partners", {"partnerId": "FLEET", "name": "of the fleet", "password": "secret", "enabled": True})
    assert made.status == 201 and made.headers["Location"] == ours + "/partners/FLEET", made
    filed = api.post(ours + "/virtual-files", {"partnerId": "FLEET", "fileId": "in/*", "name": "all", "direction": "RECEIVE",
                                               "sendDirectory": "/s", "receiveDirectory": "/r", "filenamePattern": "*"})
    assert filed.status == 201 and filed.json["description"] == "all", filed
    assert "FLEET" in [p["id"] for p in api.get("/api/v1/config/partners").json] == [p["id"] for p in api.get(ours + "/partners").json]
    assert api.ask("PUT", ours + "/partners/FLEET", {"enabled": False}).json["enabled"] is False
    assert api.get(ours + "/virtual-files/FLEET%2Fin%2F%2A").json["mode"] == "receive"
    assert api.ask("DELETE", ours + "/virtual-files/FLEET%2Fin%2F%2A").status == 204
    assert api.ask("DELETE", ours + "/partners/FLEET").status == 204
    other = api.post("/api/v1/clusters", {"name": "away"}).json["id"]
    told = api.get("/api/v1/clusters/%s/partners" % other)
    assert told.status == 421 and told.json["type"] == "urn:pesitfs:problem:elsewhere"
    assert api.get("/api/v1/clusters/nowhere/partners").status == 404


def test_metrics_are_prometheus(api):
    text = api.get("/metrics").body
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_families_see_their_own(tmp_path):
    node = Bare(tmp_path / "n", "N", 'admin: { first_key = "first-key-0123456789abcdef"; listeners = ( '
                '{ port = 0; family = "server"; }, { port = 0; family = "client"; }, { port = 0; family = "admin"; } ); };')
    node.start()
    seen = [[Api(node, index=i).get(path).status for path in ("/api/servers", "/api/v1/clusters", "/health/ready")]
            for i in range(3)]
    sending = [Api(node, index=i).post("/api/v1/transfers/send", b"").status for i in range(3)]
    node.stop()
    assert seen == [[200, 404, 200], [404, 404, 200], [404, 200, 200]] and sending == [405, 400, 404]


def test_readiness_names_what_is_down(tmp_path):
    node = Bare(tmp_path / "n", "N", "admin: { listeners = ( { port = 0; } ); }; limits: { spool_reserve_mb = 1073741824; };")
    node.start()
    api = Api(node, key=None)
    began = time.monotonic()
    ready = api.get("/actuator/health/readiness")
    assert time.monotonic() - began < 1
    node.stop()
    assert ready.status == 503 and ready.json["status"] == "DOWN"
    states = {name: part["status"] for name, part in ready.json["components"].items()}
    assert states == {"mainLoop": "UP", "store": "UP", "spool": "DOWN", "listeners": "UP", "db": "UP", "diskSpace": "DOWN"}


def ready(api):
    """Its status and that of its components, and what is told of each listener."""
    answer = api.get("/health/ready")
    parts = answer.json["components"]
    assert answer.status == (200 if answer.json["status"] == "UP" else 503)
    assert api.get("/actuator/health/readiness").json["components"].keys() == parts.keys() | {"db", "diskSpace"}
    listeners = {one["serverId"]: (one["status"], one.get("error")) for one in parts["listeners"]["details"]["listeners"]}
    return answer.json["status"], {name for name, part in parts.items() if part["status"] != "UP"}, listeners


def test_a_listener_that_is_not_bound_is_not_ready(bank):
    """It cannot take partners; one that an operator stopped should not."""
    api, own = Api(bank), "127.0.0.1:%d" % bank.port
    assert ready(api) == ("UP", set(), {own: ("UP", None)})
    assert api.get("/health/ready").json["components"]["store"]["details"] == {"database": "PostgreSQL" if postgres.WANTED else "SQLite"}
    with socket.create_server(("127.0.0.1", 0)) as other:
        made = api.post("/api/servers", {"serverId": "DMZ", "bindAddress": "127.0.0.1", "port": other.getsockname()[1], "autoStart": True})
        assert made.status == 201
        status, down, listeners = eventually(lambda: (told := ready(api))[0] == "DOWN" and told)
        assert down == {"listeners"} and listeners[own] == ("UP", None)
        assert listeners["DMZ"][0] == "DOWN" and "Address already in use" in listeners["DMZ"][1]
        assert api.post("/api/servers/DMZ/stop").status == 200
        assert eventually(lambda: (told := ready(api))[0] == "UP" and told) == ("UP", set(), {own: ("UP", None), "DMZ": ("STOPPED", None)})
        assert api.post("/api/servers/DMZ/start").status == 409
    assert api.post("/api/servers/DMZ/start").status == api.post("/api/servers/%s/stop" % own).status == 200
    assert eventually(lambda: (told := ready(api))[2][own][0] == "STOPPED" and told) == ("UP", set(), {own: ("STOPPED", None), "DMZ": ("UP", None)})


def test_who_stops_is_not_ready(bank):
    caller, api = Requester(bank.port), Api(bank)
    caller.connect()
    bank.process.terminate()  # and waits for the end of this one
    eventually(lambda: ready(api)[:2] == ("DOWN", {"mainLoop"}))
    assert api.get("/health/live").status == 200
    caller.close()


def test_health_is_told_within_a_second_while_the_database_hangs(tmp_path):
    server = postgres.Postgres()
    node = Bare(tmp_path / "n", "N", LISTENER % FIRST_KEY, server.store("cluster_hang")).start()
    api = Api(node)
    assert api.get("/health/ready").status == 200
    first = int(server.run("pid"))
    processes = [first, *map(int, pathlib.Path("/proc/%d/task/%d/children" % (first, first)).read_text(encoding="ascii").split())]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        for process in processes:
            os.kill(process, signal.SIGSTOP)
        try:
            asked = [pool.submit(api.get, "/api/v1/transfers") for _ in range(20)]  # more than there are workers
            eventually(lambda: sum(one.running() for one in asked) == 20)
            eventually(lambda: api.get("/health/ready").status == 503)  # what was found out before is told for a moment
            for path, status in (("/health/live", 200), ("/health/ready", 503), ("/health/ready", 503), ("/health/live", 200)) * 2:
                began = time.monotonic()
                answer = api.get(path)
                assert time.monotonic() - began < 1 and answer.status == status, (path, answer)
            assert answer.json == {"status": "UP"} and api.get("/health/ready").json["components"]["store"]["status"] == "DOWN"
            assert node.control("status")["store"] == "it does not answer"
        finally:
            for process in processes:
                os.kill(process, signal.SIGCONT)
        assert {one.result().status for one in asked} == {200}
    eventually(lambda: api.get("/health/ready").status == 200)
    node.stop()
    server.remove()


def test_the_stopping_daemon_ends_streams(api, company):
    connection = api.connect()
    connection.request("GET", "/api/v1/events", headers={"X-API-Key": api.key})
    response = connection.getresponse()
    assert response.status == 200 and response.readline() == b"retry: 2000\n"
    began = time.monotonic()
    company.stop()
    assert time.monotonic() - began < 5
    connection.close()


def read_queries():
    """The names of the query parameters of each operation, as the table of routes has them."""
    source = (ROOT / "admin/routes.c").read_text(encoding="utf-8")
    parts = dict(re.findall(r'#define ([A-Z_]+) +"([^"]*)"', source))
    rows = re.findall(r'\{ "(\w+)", ((?:"[^"]*"|[A-Z_]+| )+) \}', source[source.index("QUERIES[]"):])
    return {operation: " ".join(parts.get(word, word).strip('"') for word in re.findall(r'"[^"]*"|[A-Z_]+', names)).split()
            for operation, names in rows}


def test_what_a_list_takes_is_in_the_contract(api):
    """And nothing else is taken: a filter that is misspelt would show everything."""
    contract, table = read_contract(api), read_queries()
    shared = contract["components"]["parameters"]
    for path, methods in contract["paths"].items():
        for method, told in methods.items():
            if method == "parameters":
                continue
            named = [shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in told.get("parameters", [])]
            names = {one["name"] for one in named if one["in"] == "query"}
            operation = told["operationId"].rstrip("0123456789")
            assert names == set(table.get(operation, [])), (method, path)
            if told["x-role"] == "public":
                continue
            answer = api.ask(method.upper(), re.sub(r"\{\w+\}", "1", path) + "?colour=red")
            assert (answer.status, answer.json["field"]) == (400, "colour"), (method, path, answer)


def test_what_is_wrong_in_a_query_is_named(api):
    transfers = "/api/v1/transfers?"
    for query, field in (("text=%ff", "text"), ("text=a%00", "text"), ("status=DONE&status=FAILED", "status"), ("limit", "limit"),
                         ("size=+5", "size"), ("size=5x", "size"), ("before=99999999999999999999", "before"), ("state=X", "state"),
                         ("startDate=2027-02-30", "startDate"), ("direction=UP", "direction"), ("sortBy=", "sortBy")):
        answer = api.get(transfers + query)
        assert (answer.status, answer.json["field"]) == (400, field), (query, answer)
    assert api.get("/health/live?colour=red").status == 200
    assert api.get("/api/v1/transfers/%201").json["field"] == "id" and api.get("/api/v1/transfers/99999999999999999999").status == 404
    assert api.get("/api/v1/audit/verify?hash=00").json["field"] == "seq" and api.get("/api/v1/audit/verify?seq=1").json["field"] == "hash"
    told = api.get("/api/v1/audit?eventType=createCluster&size=5")
    assert told.status == 200 and told.json["content"] == []
