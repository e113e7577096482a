# SPDX-License-Identifier: Apache-2.0
"""Partners and virtual files written over HTTP are in force when they are answered, and no secret comes back."""
import concurrent.futures
import json

import postgres
import pytest
import waiting
from admin import FIRST_KEY, LISTENER, Api
from node import Bare

P, F = "/api/v1/config/partners", "/api/v1/config/files"
OUT = "/OUT1%2Fout%2F%2A"


@pytest.fixture
def sealed(tmp_path, bank):
    """Knows nobody; has a key to seal passwords with."""
    node = Bare(tmp_path / "sealed", "COMPANY", LISTENER % FIRST_KEY + 'listeners = ( { address = "127.0.0.1"; port = 0; } );')
    node.control("seal", "--key-file", node.folder / "key", check=False)
    if not (node.folder / "key").exists():
        (node.folder / "key").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", encoding="ascii")
    text = node.config.read_text(encoding="utf-8").replace("paths: {", 'paths: { key_file = "key";')
    node.config.write_text(text, encoding="utf-8")
    node.start()
    yield node
    node.stop()


def partner(bank, **more):
    return {"id": "OUT1", "identifier": "BANK1", "host": "127.0.0.1", "port": bank.port, "password_sent": "secret", **more}


def test_a_partner_made_here_is_called_at_once(sealed, bank, tmp_path):
    api = Api(sealed)
    made = api.post(P, partner(bank, name="The bank", maxConnections=3, readTimeout=60000))
    assert made.status == 201, made
    assert made.headers["Location"] == P + "/OUT1" and made.headers["ETag"] == '"1"'
    assert (made.json["description"], made.json["maxConnections"], made.json["source"]) == ("The bank", 3, "store")
    assert made.json["secrets"] == ["password_sent"] and made.json["ignored"] == ["readTimeout"]
    filed = api.post(F, {"partnerId": "OUT1", "pattern": "out/*", "mode": "send", "fileType": 0, "wait_s": 60})
    assert filed.status == 201 and filed.headers["Location"] == F + OUT, filed
    (tmp_path / "file").write_bytes(b"payment")
    sent = sealed.control("send", "OUT1", tmp_path / "file", "out/a")
    assert (sent["state"], filed.json["waitSeconds"]) == ("done", 60) and bank.received("in/a") == b"payment"
    everything = b"".join(path.read_bytes() for path in sealed.folder.glob("store.db*")) + sealed.log().encode()
    answers = made.body + api.get(P).body + api.get("/api/v1/audit").body
    assert b'"secret"' not in everything + answers and b"sealed:" not in answers
    assert postgres.WANTED or b"sealed:" in everything
    sealed.stop()
    sealed.start()  # it is there at the next start too
    assert sealed.control("send", "OUT1", tmp_path / "file", "out/b")["state"] == "done"


def test_who_is_made_here_is_let_in(sealed, bank, company, tmp_path):
    """The incumbent's fields alone; a new password counts for the next connection."""
    api = Api(sealed)
    body = {"id": "CLIENT", "password": "secret", "enabled": True, "accessType": "WRITE", "maxConnections": 10, "allowedFiles": "*"}
    assert api.post("/api/partners", body).status == 201
    assert api.post("/api/virtual-files", {"partnerId": "CLIENT", "id": "in/*", "direction": "RECEIVE", "overwrite": True,
                                           "maxFileSize": 1048576, "recordFormat": 128, "receiveDirectory": "/x"}).status == 201
    seen = api.get(F + "/CLIENT%2Fin%2F*").json
    assert (seen["mode"], seen["existing"], seen["maxFileSize"], seen["settings"]["max_mb"]) == ("receive", "replace", 1 << 20, 1)
    caller = Bare(tmp_path / "caller", "CLIENT", 'partners = ( { name = "SRV"; identifier = "COMPANY"; password_sent = "secret"; '
                  'address = "127.0.0.1"; port = %d; retry_attempts = 1; idle_s = 0; '
                  'files = ( { pattern = "in/*"; mode = "send"; } ); } );' % sealed.port).start()
    (tmp_path / "file").write_bytes(b"x")
    assert caller.control("send", "SRV", tmp_path / "file", "in/a")["state"] == "done"
    assert api.post("/api/partners/CLIENT/password", {"password": "other"}).status == 200
    refused = json.loads(caller.control("send", "SRV", tmp_path / "file", "in/b", check=False).stdout)
    assert (refused["state"], refused["diag"]) == ("failed", "3-304")
    assert api.ask("PUT", P + "/CLIENT", {"password": "secret", "enabled": False}).json["enabled"] is False
    assert caller.control("send", "SRV", tmp_path / "file", "in/c", check=False).returncode == 3
    caller.stop()


def test_a_virtual_file_may_rest(sealed, bank, tmp_path):
    """What is queued for it waits, in its turn and over a restart, what is new is refused on both sides, and the others go on."""
    api = Api(sealed)
    assert api.post(P, partner(bank, retry_delays_s=[1])).status == 201
    for pattern in ("out/*", "other/*"):
        assert api.post(F, {"partnerId": "OUT1", "pattern": pattern, "mode": "send"}).status == 201
    assert api.post(F, {"partnerId": "OUT1", "pattern": "day/*", "mode": "fetch", "active": False}).json["enabled"] is False
    fetched = api.post("/api/v1/transfers/receive", {"partner": "OUT1", "path": "day/x"})
    assert (fetched.status, fetched.json["field"]) == (403, "path") and "disabled" in fetched.json["detail"], fetched
    send = "/api/v1/transfers/send?partner=OUT1&path="
    api.ask("PUT", P + "/OUT1", {"port": 1})
    waits = [api.post(send + "out/%d" % i, b"x").json["transferId"] for i in range(3)]
    waiting.eventually(lambda: [api.get("/api/v1/transfers/%d" % i).json["state"] for i in waits] == ["waiting"] * 3)
    assert api.ask("PUT", F + OUT, {"enabled": False}).json["enabled"] is False
    api.ask("PUT", P + "/OUT1", {"port": bank.port})  # the partner is there again
    refused = api.post(send + "out/new", b"x")
    assert (refused.status, refused.json["field"]) == (403, "path") and "'out/*' of partner 'OUT1' is disabled" in refused.json["detail"], refused
    goes = api.post(send + "other/z", b"y").json["transferId"]
    sealed.control("wait", goes)

    def told(api):
        return [(t["state"], t["errorMessage"]) for t in (api.get("/api/v1/transfers/%d" % i).json for i in waits)]

    rest = [("queued", "the virtual file of 'out/%d' is disabled" % i) for i in range(3)]
    waiting.eventually(lambda: told(api) == rest, told=lambda: str(told(api)))
    assert bank.inbox() == ["COMPANY/in/z"]
    sealed.stop()
    api = Api(sealed.start(), index=-1)
    waiting.eventually(lambda: told(api) == rest, told=lambda: str(told(api)))
    assert api.post("/api/v1/transfers/%d/cancel" % waits[2]).status == 202
    assert api.ask("PUT", F + OUT, {"enabled": True}).status == 200
    for number in waits[:2]:
        sealed.control("wait", number)
    assert [state for state, _ in told(api)] == ["done", "done", "cancelled"] and bank.inbox() == ["COMPANY/in/0", "COMPANY/in/1", "COMPANY/in/z"]
    # the partner's side, from the next connection on
    assert api.ask("PUT", P + "/OUT1", {"retry_attempts": 2}).status == 200
    bank.config.write_text(bank.config.read_text(encoding="utf-8").replace('mode = "receive"', 'mode = "receive"; enabled = false'), encoding="utf-8")
    bank.control("reload")
    late = api.post(send + "out/late", b"x").json["transferId"]
    sealed.control("wait", late, check=False)
    ended = api.get("/api/v1/transfers/%d" % late).json
    assert (ended["state"], ended["errorCode"]) == ("failed", "2-226"), ended
    assert "the virtual file is disabled" in bank.log()


def test_a_change_leaves_the_rest(sealed, bank):
    api = Api(sealed)
    api.post(P, partner(bank, idle_s=60, description="d"))
    api.post(F, {"id": "OUT1/out/*", "mode": "send"})
    changed = api.ask("PUT", P + "/OUT1", {"maxConnections": 100})
    assert changed.status == 200 and changed.headers["ETag"] == '"2"'
    kept = api.get(P + "/OUT1").json
    assert (kept["settings"]["idle_s"], kept["host"], kept["maxConnections"], kept["description"]) == (60, "127.0.0.1", 100, "d")
    assert api.ask("PUT", P + "/OUT1", {"idleS": None, "tls": {"host_name": "b"}}).json["settings"]["idle_s"] == 30
    assert api.ask("PUT", P + "/OUT1", kept).status == 200  # what was read may be written back
    assert api.ask("DELETE", P + "/OUT1").status == 204
    assert api.get(P + "/OUT1").status == api.get(F + OUT).status == api.ask("DELETE", P + "/OUT1").status == 404
    assert api.post(P, partner(bank)).json["virtualFiles"] == []


def test_a_change_leaves_what_runs(sealed, bank, tmp_path):
    """A transfer that runs goes on with what it began with, while its partner, its virtual file and the listeners change."""
    api = Api(sealed)
    api.post(P, partner(bank, idle_s=60))
    api.post(F, {"id": "OUT1/out/*", "mode": "send"})
    with open(tmp_path / "big", "wb") as file:
        file.truncate(400_000_000)
    number = sealed.control("send", "OUT1", tmp_path / "big", "out/big", "--no-wait")["id"]
    waiting.eventually(lambda: api.get("/api/v1/transfers/%d" % number).json["bytesTransferred"] > 0)
    assert api.ask("PUT", P + "/OUT1", {"port": 1, "maxConnections": 2}).status == 200
    assert api.ask("PUT", F + OUT, {"wait_s": 5}).status == 200
    assert api.post("/api/servers", {"serverId": "L2", "bindAddress": "127.0.0.1", "port": 0, "autoStart": True}).status == 201
    assert api.get("/api/v1/transfers/%d" % number).json["state"] == "running"
    done = sealed.control("wait", number)
    assert (done["state"], done["attempts"], bank.inbox()) == ("done", 1, ["COMPANY/in/big"])
    (tmp_path / "small").write_bytes(b"x")
    later = sealed.control("send", "OUT1", tmp_path / "small", "out/small", "--no-wait")["id"]
    waiting.eventually(lambda: "refused" in (api.get("/api/v1/transfers/%d" % later).json["errorMessage"] or ""))  # the new port counts


def test_the_client_s_paths_are_the_same(api):
    made = api.post("/api/v1/partners", {"partnerId": "C", "name": "Client", "host": "127.0.0.1", "port": 1, "sslEnabled": False,
                                         "active": True, "maxConcurrentTransfers": 5})
    assert made.status == 201 and (made.json["maxConnections"], made.json["description"]) == (5, "Client"), made
    filed = api.post("/api/v1/partners/C/files", {"virtualName": "in/*", "direction": "RECEIVE", "enabled": True, "localPath": "/tmp"})
    assert filed.status == 201 and filed.json["id"] == "C/in/*" and filed.json["ignored"] == ["localPath"], filed
    assert [f["id"] for f in api.get("/api/v1/partners/C/files").json] == ["C/in/*"]
    assert api.post("/api/v1/partners/C/deactivate").json["enabled"] is False
    assert "C" not in [p["id"] for p in api.get("/api/v1/partners/active").json]
    assert api.post("/api/v1/partners/C/activate").json["enabled"] is True
    assert api.post("/api/v1/partners/C/test").json["cause"] == "connection-refused"
    assert api.get("/api/v1/partners/C/transfers").json["content"] == []
    assert api.post("/api/v1/partners/BANK1/deactivate").status == 409  # of the file


def test_what_is_wrong_is_named(api, bank):
    def field(answer):
        return answer.status, answer.json.get("field")

    assert field(api.post(P, {})) == (400, "id")
    assert field(api.post(P, {"id": "X", "maxConnections": 0})) == (400, "maxConnections")
    assert field(api.post(P, {"id": "X", "port": "high"})) == (400, "port")
    assert field(api.post(P, {"id": "X", "colour": "red"})) == (400, "colour")
    assert field(api.post(P, {"id": "X/Y"})) == field(api.post(P, {"id": ""})) == (400, "id")
    assert field(api.post(P, {"partnerId": "X" * 65})) == (400, "partnerId")
    for key, wrong in (("identifier", " "), ("serverId", "B "), ("localIdentifier", "\u00e9"), ("local_identifier", "a\t")):
        assert field(api.post(P, {"id": "X", key: wrong})) == (400, key)
    assert field(api.post(F, {"partnerId": "BANK1", "pattern": "x", "mode": "send", "client": "\u00e9"})) == (400, "client")
    for key in ("password", "password_expected", "password_sent"):
        assert field(api.post(P, {"id": "X", key: "p" * 17})) == (400, key)  # PI 5 has 16
    assert field(api.post(P, {"id": "X", "accessType": ""})) == field(api.post(P, {"id": "X", "accessType": []})) == (400, "accessType")
    assert field(api.post(F, {"partnerId": "NOBODY", "pattern": "x", "mode": "send"})) == (400, "partnerId")
    assert field(api.post(F, {"id": "NOBODY/x", "mode": "send"})) == (400, "id")
    assert field(api.post(F, {"partnerId": "", "pattern": "x", "mode": "send"})) == (400, "partnerId")
    assert field(api.post(F, {"partnerId": "NEW", "pattern": "", "identifier": "NEW"})) == (400, "pattern")
    assert field(api.post("/api/v1/partners/NOBODY/files", {"pattern": "x", "mode": "send"})) == (404, "id")
    assert field(api.get("/api/v1/partners/NOBODY/files")) == (404, "id") and api.get(F + "/%2Fout%2F%2A").status == 404
    for key, wrong in (("file_name", "{nobody}"), ("label", "{"), ("fileName", "\u00e9"), ("freeText", "}"), ("pattern", "a\n")):
        assert field(api.post(F, {"partnerId": "BANK1", "pattern": "x", "mode": "send", key: wrong})) == (400, key)
    assert field(api.post(P, {"id": "X", "accessType": "ALL"})) == (400, "accessType")
    assert field(api.post(P, {"id": "X", "allowedFiles": "A*,B"})) == (400, "allowedFiles")
    assert field(api.post(P, {"id": "X", "password_sent": "p"})) == (400, "password_sent")  # no key to seal it with
    assert field(api.post(F, {"id": "X"})) == (400, "partnerId")
    assert field(api.post(F, {"partnerId": "BANK1", "pattern": "x/*"})) == (400, "mode")
    assert field(api.post(F, {"partnerId": "BANK1", "pattern": "/x", "mode": "send"})) == (400, "pattern")
    assert field(api.post(F, {"partnerId": "BANK1", "pattern": "x", "direction": "BOTH"})) == (400, "direction")
    assert api.post(P, b'{"id": "X", "id": "Y"}').status == 400 and api.post(P, b"[]").status == 400
    assert field(api.post(P, {"id": "BANK1"})) == (409, "id")  # of the file
    assert field(api.post(F, {"partnerId": "BANK1", "virtualName": "out/*", "mode": "send"})) == (409, "virtualName")
    assert api.ask("PUT", P + "/BANK1", {"enabled": False}, If_Match='""').status == 412  # it has no version, and this is none
    assert field(api.post(P, {"id": "BANK2", "serverId": "BANK1"})) == (409, "serverId")
    of_file = api.ask("PUT", P + "/BANK1", {"enabled": False})
    assert of_file.status == 409 and "configuration file" in of_file.json["detail"]
    assert api.ask("DELETE", P + "/BANK1").status == 409 and api.ask("DELETE", F + "/BANK1%2Fout%2F*").status == 409
    assert api.post(F, {"partnerId": "BANK1", "pattern": "extra/*", "mode": "send"}).status == 201  # beside those of the file
    assert api.post(F, {"partnerId": "BANK1", "pattern": "extra/*", "mode": "send"}).status == 409
    assert [f["source"] for f in api.get(F + "?partner=BANK1").json] == ["file"] * 3 + ["store"]


ODD = ['a"b', "back\\slash\\", "line\nline\ttab\r", "\u00e9\u20ac\U0001f600", '"; may_read = true; x = "', "# // /* */ {};", "\x01\x7f", "$"]


def test_texts_come_back_as_they_went(api):
    for i, text in enumerate(ODD):
        assert api.post(P, {"id": "T%d" % i, "description": text, "accessType": "WRITE"}).json["description"] == text
        assert api.ask("PUT", P + "/T%d" % i, {"port": 6000}).json["description"] == text
        seen = api.get(P + "/T%d" % i).json
        assert (seen["description"], seen["accessType"], seen["port"]) == (text, "WRITE", 6000)


def test_names_are_read_in_any_order(api):
    api.post(P, {"id": "X"})
    for file in ({"pattern": "out/a", "mode": "send", "partnerId": "X"}, {"partnerId": "X", "mode": "send", "pattern": "out/b"},
                 {"id": "X/out/c", "mode": "send"}, {"mode": "send", "id": "X/out/d", "partner": "X", "pattern": "out/d"}):
        answer = api.post("/api/v1/config/files", file)
        assert answer.status == 201 and answer.json["partnerId"] == "X", answer
    assert api.post("/api/v1/config/files", {"pattern": "out/e", "id": "X/out/f", "partner": "X", "mode": "send"}).json["field"] == "id"
    assert [f["pattern"] for f in api.get(P + "/X").json["virtualFiles"]] == ["out/a", "out/b", "out/c", "out/d"]


def test_versions_guard_changes(api):
    assert api.post(P, {"id": "X"}).status == 201
    assert api.ask("PUT", P + "/X", {"description": "a"}, If_Match='"1"').status == 200
    late = api.ask("PUT", P + "/X", {"description": "b"}, If_Match='"1"')
    assert late.status == 412 and late.json["type"] == "urn:pesitfs:problem:precondition"
    assert api.ask("DELETE", P + "/X", If_Match='"1"').status == 412
    assert api.get(P + "/X").json["description"] == "a"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda i: api.ask("PUT", P + "/X", {"description": str(i)}, If_Match='"2"').status, range(8)))
    assert statuses.count(200) == 1 and set(statuses) <= {200, 409, 412}, statuses
    assert api.ask("DELETE", P + "/X", If_Match="*").status == 204


def test_two_that_do_not_go_together(api):
    """Each is good alone; only one of them may be stored."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda i: api.post(P, {"id": "P%d" % i, "identifier": "SAME"}).status, range(8)))
    assert statuses.count(201) == 1, statuses
    assert api.node.control("reload") == {"reloaded": True, "needs_restart": ""}


def test_lists_have_pages(api):
    for name in "CAB":
        api.post(P, {"id": name, "enabled": name != "B"})
    assert [p["id"] for p in api.get(P + "?limit=2").json] == ["A", "B"]
    assert {f["partnerId"] for f in api.get(F + "?limit=1").json} == {"BANK1"}  # A and B have none
    assert [p["id"] for p in api.get(P + "?after=B").json] == ["BANK1", "C"]
    assert [p["id"] for p in api.get("/api/partners?enabled=false").json] == ["B"]
    assert api.get(P + "?limit=0").json["field"] == "limit"


def test_the_audit_has_before_and_after(api):
    api.post(P, {"id": "X", "password": "hush-hush"})
    api.ask("PUT", P + "/X", {"maxConnections": 5, "password": "new-hush"})
    api.ask("DELETE", P + "/X")
    rows = [json.loads(row["details"]) for row in api.get("/api/v1/audit").json["content"] if "Partner" in row["action"]]
    assert [row["status"] for row in rows] == [201, 200, 204]
    assert rows[0]["before"] is None and rows[0]["after"]["id"] == "X" and rows[2]["after"] is None
    assert (rows[1]["before"]["maxConnections"], rows[1]["after"]["maxConnections"]) == (8, 5)
    assert rows[1]["fields"] == ["maxConnections", "password"] and "hush" not in json.dumps(rows)
    assert api.get("/api/v1/audit/verify").json["valid"]


def test_an_escaped_slash_is_a_part_of_a_name(api):
    assert api.get("/api/v1/apikeys/a%2Fb").json["detail"].find("a/b") >= 0
    done = api.node.control("key", "remove", "a/b", check=False)
    assert done.returncode == 8 and b"a/b" in done.stderr
    assert api.get("/api/v1/transfers?text=a%2Bb+c%25").status == 200


def test_the_command_line_does_the_same(sealed, bank, tmp_path):
    (tmp_path / "password").write_text("secret\n", encoding="ascii")
    made = sealed.control("partner", "add", "OUT1", "identifier=BANK1", "address=127.0.0.1", "port=%d" % bank.port,
                          "password_sent=@%s" % (tmp_path / "password"), "retry_delays_s=1,2", "addresses=10.0.0.0/8, 192.0.2.7")
    assert made["settings"]["retry_delays_s"] == [1, 2] and made["settings"]["addresses"] == ["10.0.0.0/8", "192.0.2.7"]
    assert sealed.control("file", "add", "OUT1", "out/*", "mode=send")["id"] == "OUT1/out/*"
    (tmp_path / "file").write_bytes(b"x")
    assert sealed.control("send", "OUT1", tmp_path / "file")["state"] == "done"
    assert sealed.control("partner", "disable", "OUT1")["enabled"] is False
    assert sealed.control("send", "OUT1", tmp_path / "file", check=False).returncode == 4
    assert sealed.control("partner", "enable", "OUT1")["enabled"] is True
    assert sealed.control("partner", "set", "OUT1", "retry_delays_s=", "description=a=b")["description"] == "a=b"
    assert sealed.control("file", "set", "OUT1", "out/*", "wait_s=5")["waitSeconds"] == 5
    assert sealed.control("file", "show", "OUT1", "out/*")["version"] == 2
    assert sealed.control("file", "set", "OUT1", "out/*", "wait_s=soon", check=False).returncode == 4
    assert sealed.control("partner", "set", "OUT1", "wrong", check=False).returncode == 1
    assert sealed.control("partner", "set", "NOBODY", "port=1", check=False).returncode == 8
    assert len(sealed.control("file", "list", "OUT1")) == 1
    assert sealed.control("file", "remove", "OUT1", "out/*") == {"done": True}
    assert sealed.control("partner", "remove", "OUT1") == {"done": True} and sealed.control("partner", "list") == []
