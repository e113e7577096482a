# SPDX-License-Identifier: Apache-2.0
"""Partners as the client sees them, and the test of a connection: a real CONNECT, bounded in time, told in words."""
import concurrent.futures
import json
import re
import socket
import subprocess
import time

import pytest
import waiting
from admin import FIRST_KEY, LISTENER, Api
from fpdu import diag
from node import BUILD, Bare
from responder import Lobby

S = "/api/v1/servers"
LOCKED = '''partners = ( { name = "GOOD"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d; },
  { name = "WRONG"; identifier = "WRONG"; password_sent = "bad"; address = "127.0.0.1"; port = %d; enabled = false; },
  { name = "OTHER"; identifier = "OTHER"; password_sent = "secret"; address = "127.0.0.1"; port = %d; },
  { name = "SILENT"; identifier = "S"; address = "127.0.0.1"; port = %d; }, { name = "NOBODY"; identifier = "N"; address = "127.0.0.1"; port = 1; },
  { name = "NAMELESS"; identifier = "H"; address = "no-such-host.invalid"; }, { name = "CALLER"; identifier = "C"; } );'''


@pytest.fixture
def silent():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def client(tmp_path, bank, silent):
    text = LOCKED % (bank.port, bank.port, bank.port, silent)
    node = Bare(tmp_path / "client", "COMPANY", LISTENER.replace("port = 0;", 'port = 0; family = "client";') % FIRST_KEY + text).start()
    yield node
    node.stop()


def run(api, name, query=""):
    answer = api.post("%s/%s/test%s" % (S, name, query))
    assert answer.status == 200, answer
    return answer.json


def test_a_partner_is_called(client, bank):
    api = Api(client)
    told = run(api, "GOOD")
    assert told["success"] and told["message"] == "connected and released" and told["serverVersion"] == "PeSIT E"
    assert 0 < told["connectMs"] < 5000 and 0 < told["answerMs"] < 5000 and told["tls"] == "plain"
    assert told["negotiated"]["framing"] == "prefixed" and told["negotiated"]["syncWindow"] > 0
    assert client.control("partner", "test", "GOOD")["success"]
    shown = subprocess.run([BUILD / "pesitctl/pesitctl", "--socket", client.folder / "door", "partner", "test", "GOOD"],
                           capture_output=True, text=True, check=True).stdout
    assert re.search(r"^connectMs +\d+(\.\d{1,3})?$", shown, re.M), shown
    assert bank.inbox() == [] and api.get("/api/v1/transfers").json["content"] == []
    waiting.eventually(lambda: bank.control("status")["connections"] == 0)


@pytest.mark.parametrize("name, step, cause, diag, hint, code", [
    ("WRONG", "connect", "partner", "3-304", "password_sent", 3), ("OTHER", "connect", "partner", "3-301", "identifier", 3),
    ("NOBODY", "call", "connection-refused", None, "listens", 5), ("NAMELESS", "call", "unknown-host", None, "name", 5)])
def test_what_failed_is_told(client, name, step, cause, diag, hint, code):
    told = run(Api(client), name, "?timeout=1")
    assert not told["success"] and (told["step"], told["cause"], told["diagnostic"]) == (step, cause, diag), told
    assert hint in told["hint"] and told["message"]
    done = client.control("partner", "test", name, check=False)
    assert done.returncode == code and json.loads(done.stdout)["message"] == told["message"]


def test_a_page_is_full_while_there_are_more(client):
    """Partners that are never called are no servers, and those without virtual files have none: neither leaves a page short."""
    api = Api(client)
    for name in ("AA", "AB", "AC"):
        assert api.post(S, {"id": name}).status == 201
    assert api.post("/api/v1/partners/AC/files", {"pattern": "in/*", "mode": "receive"}).status == 201
    assert [one["id"] for one in api.get(S + "?limit=2").json] == ["GOOD", "NAMELESS"]
    assert [one["id"] for one in api.get(S + "?limit=2&after=NAMELESS").json] == ["NOBODY", "OTHER"]
    assert [one["id"] for one in api.get(S + "?limit=1&partner=AA").json] == []
    assert [one["id"] for one in api.get(S).json] == [one["id"] for one in api.get("/api/v1/partners").json if one["host"]]


def test_a_test_is_bounded(client):
    api = Api(client)
    began = time.monotonic()
    told = run(api, "SILENT", "?timeout=1")
    assert (told["success"], told["step"], told["cause"]) == (False, "connect", "timeout") and "tls.enabled" in told["hint"]
    assert 0.9 < time.monotonic() - began < 4
    assert api.post(S + "/SILENT/test?timeout=0").json["field"] == "timeout"
    assert api.post(S + "/UNKNOWN/test").status == 404 and api.post(S + "/CALLER/test").status == 409


def test_servers_are_partners_with_an_address(client, bank):
    api = Api(client)
    assert [s["name"] for s in api.get(S).json] == ["GOOD", "NAMELESS", "NOBODY", "OTHER", "SILENT", "WRONG"]
    assert "WRONG" not in [s["name"] for s in api.get(S + "/enabled").json]
    made = api.post(S, {"name": "NEW", "host": "127.0.0.1", "port": bank.port, "serverId": "NEWID", "tlsEnabled": False,
                        "connectionTimeout": 1000, "description": "d", "enabled": True})
    assert made.status == 201 and made.headers["Location"] == S + "/NEW", made
    seen = api.get(S + "/name/NEW").json
    assert (seen["host"], seen["port"], seen["serverId"], seen["description"]) == ("127.0.0.1", bank.port, "NEWID", "d")
    assert run(api, "NEW")["diagnostic"] == "3-304"
    assert api.ask("PUT", S + "/NEW", {"port": 1}).json["port"] == 1 and api.ask("DELETE", S + "/NEW").status == 204
    assert api.get(S + "/NEW").status == 404 and api.get("/api/v1/config/partners").status == 404


def test_a_message_is_said_and_its_answer_heard(tmp_path, client):
    lobby = Lobby()
    api = Api(client)
    where = "/api/v1/transfers/message"
    refused = api.post(where, {"server": "GOOD", "message": "hello"}).json  # a pesitd takes none
    assert (refused["success"], refused["step"], refused["diagnostic"]) == (False, "message", "2-209"), refused
    client.configure("COMPANY", LISTENER.replace("port = 0;", 'port = 0; family = "client";') % FIRST_KEY +
                     'partners = ( { name = "TALKER"; identifier = "TALKER"; address = "127.0.0.1"; port = %d; } );' % lobby.port)
    client.control("reload")
    text = "Virement reçu: 3 " + "é" * 2039
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(api.post, where, {"partnerId": "TALKER", "message": text, "virtualFile": "ACCUSE"})
        link = lobby.accept()
        link.take_connect()
        said = link.take("MSG")
        assert (said.values[91], said.values[12], said.values[11]) == (text.encode(), b"ACCUSE", b"\xff\xff") and int.from_bytes(said.values[13], "big") > 0
        link.answer("ACK(MSG)", {2: diag(0, 0), 13: said.values[13], 91: b"merci"})
        link.is_released()
        told = asked.result()
        assert told.status == 200 and told.json["success"] and told.json["reply"] == "merci" and told.json["message"] == "the message was taken", told
        asked = pool.submit(api.post, where, {"partnerId": "TALKER", "message": "x"})
        link = lobby.accept()
        link.take_connect()
        link.take("MSG")
        link.close()
        told = asked.result().json
        assert (told["success"], told["step"]) == (False, "message") and "reply" not in told, told
    for wrong, field in (({}, "message"), ({"message": ""}, "message"), ({"message": "x" * 4097}, "message"), ({"message": "x", "mode": "PI99"}, "mode"),
                         ({"message": "x", "virtualFile": "x" * 77}, "virtualFile"), ({"message": "x", "partnerId": "NOBODY"}, "partnerId"),
                         ({"message": "x", "partnerId": None}, "partner"), ({"message": "x", "password": "x"}, "password")):
        answer = api.post(where, {"partnerId": "TALKER", **wrong})
        assert 400 <= answer.status < 500 and answer.json["field"] == field, (wrong, answer)
    lobby.stop()
