# SPDX-License-Identifier: Apache-2.0
"""Listeners are made, started, stopped and removed over HTTP, and each verb is seen at the socket."""
import socket

import pytest
import waiting
from admin import FIRST_KEY, LISTENER, Api
from node import Bare
from ports import free_port

L = "/api/servers"


@pytest.fixture
def node(tmp_path):
    text = '''listeners = ( { address = "127.0.0.1"; port = 0; }, { name = "SECOND"; address = "127.0.0.1"; port = 0; max_connections = 1; } );
      partners = ( { name = "C"; identifier = "C"; } );'''
    started = Bare(tmp_path / "n", "N", LISTENER % FIRST_KEY + text).start()
    yield started
    started.stop()


def is_open(port):
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def make(api, **more):
    body = {"serverId": "INTEGRATION-TEST-SERVER", "port": free_port(), "bindAddress": "127.0.0.1", "receiveDirectory": "/tmp/x",
            "maxConnections": 50, "protocolVersion": 2, "syncPointsEnabled": True, **more}
    return api.post(L, body)


def test_a_listener_lives(node):
    api = Api(node)
    made = make(api, autoStart=False)
    assert made.status == 201 and made.headers["Location"] == L + "/INTEGRATION-TEST-SERVER", made
    assert made.json["status"] == "STOPPED" and "receiveDirectory" in made.json["ignored"]
    where, port = made.headers["Location"], made.json["port"]
    assert not is_open(port)
    assert api.post(where + "/start").json["status"] == "RUNNING" and is_open(port)
    assert api.post(where + "/start").status == 200  # it runs already
    with socket.create_connection(("127.0.0.1", port)):
        waiting.eventually(lambda: api.get(where + "/status").json["activeConnections"] == 1)
        assert api.ask("PUT", where, {"maxConnections": 100}).json["maxConnections"] == 100
        assert api.post(where + "/stop").json["running"] is False and not is_open(port)
        assert api.get(where + "/status").json["activeConnections"] == 1  # who is in stays
    assert api.post("/api/v1/reload").status == 204 and not is_open(port)  # stopped stays stopped
    api.post(where + "/start")
    other = free_port()
    assert api.ask("PUT", where, {"port": other}).json["running"] and is_open(other) and not is_open(port)
    assert api.ask("DELETE", where).status == 204 and not is_open(other) and api.get(where).status == 404


def test_it_is_there_at_the_next_start(node):
    api = Api(node)
    port = make(api, autoStart=True).json["port"]
    quiet = make(api, serverId="QUIET").json["port"]
    assert is_open(port) and not is_open(quiet)
    api.post(L + "/QUIET/start")
    node.stop()
    assert not is_open(port)
    node.start()
    assert is_open(port) and not is_open(quiet)
    assert [x["serverId"] for x in Api(node, index=-1).get(L).json][1:] == ["SECOND", "INTEGRATION-TEST-SERVER", "QUIET"]


def test_those_of_the_file_are_started_and_stopped(node):
    api = Api(node)
    first = api.get(L).json[0]
    where, port = L + "/" + first["serverId"], first["port"]
    assert first["serverId"] == "127.0.0.1:%d" % port and first["source"] == "file" and is_open(port)
    assert api.post(where + "/stop").json["status"] == "STOPPED" and not is_open(port)
    node.control("reload")
    assert not is_open(port)
    assert api.ask("DELETE", where).status == api.ask("PUT", where, {"port": 1}).status == 409
    assert api.ask("DELETE", L + "/SECOND").status == 409 and make(api, serverId="SECOND").status == 409
    started = api.post(where + "/start").json
    assert started["running"] and is_open(started["port"])


def test_what_is_wrong_is_told(node):
    api = Api(node)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        made = make(api, port=busy, autoStart=True)
        assert made.status == 201 and made.json["status"] == "ERROR" and "in use" in made.json["error"]
        refused = api.post(L + "/INTEGRATION-TEST-SERVER/start")
        assert refused.status == 409 and "in use" in refused.json["detail"]
        assert node.control("reload") == {"reloaded": True, "needs_restart": ""}  # it keeps nothing else from being in force
    assert api.post(L + "/INTEGRATION-TEST-SERVER/start").json["running"]
    for body, field in (({}, "serverId"), ({"port": 70000}, "port"), ({"bindAddress": 7}, "bindAddress"), ({"colour": 1}, "colour"),
                        ({"port": busy}, "port"), ({"tls": {"certificate": "/nowhere"}}, "tls.certificate")):
        answer = api.post(L, {"serverId": "X", "bindAddress": "127.0.0.1", **body} if field != "serverId" else body)
        assert (answer.status, answer.json.get("field")) == (400, field), (body, answer)
    assert api.post(L + "/nobody/start").status == 404
    assert api.ask("PUT", L + "/INTEGRATION-TEST-SERVER", {}, If_Match='"7"').status == 412


def test_no_two_are_called_the_same(tmp_path):
    """One of the file without a name is called by its address and port."""
    place = "127.0.0.1:%d" % free_port()
    node = Bare(tmp_path / "n", "N", LISTENER % FIRST_KEY +
                'listeners = ( { address = "127.0.0.1"; port = %s; } );' % place.rpartition(":")[2]).start()
    api = Api(node)
    for name in ("serverId", "id", "name"):
        made = make(api, **{"serverId": place, name: place})
        assert made.status == 409 and "configuration file" in made.json["detail"], made
    assert made.json["field"] in ("serverId", "name") and [one["serverId"] for one in api.get(L).json] == [place]
    assert make(api, serverId="OTHER").status == 201
    assert make(api, serverId="OTHER").json["field"] == "serverId"
    assert make(api, serverId="A B").json["field"] == make(api, serverId="").json["field"] == "serverId"
    text = node.config.read_text(encoding="utf-8").replace('listeners = ( { address', 'listeners = ( { name = "OTHER"; address')
    node.config.write_text(text.replace('first_key', '/* */ first_key'), encoding="utf-8")
    answer = api.post("/api/v1/reload")
    assert answer.status == 400 and "two listeners" in answer.json["detail"], answer
    node.stop()


def test_the_limit_of_a_listener_holds(node):
    second = [x for x in Api(node).get(L).json if x["serverId"] == "SECOND"][0]["port"]
    with socket.create_connection(("127.0.0.1", second)):
        waiting.eventually(lambda: Api(node).get(L + "/SECOND/status").json["activeConnections"] == 1)
        with socket.create_connection(("127.0.0.1", second), 10) as late:
            assert late.recv(1) == b""
    waiting.eventually(lambda: Api(node).get(L + "/SECOND/status").json["activeConnections"] == 0)


def test_the_command_line_does_the_same(node):
    port = free_port()
    assert node.control("listener", "add", "DMZ", "address=127.0.0.1", "port=%d" % port, "auto_start=true")["running"]
    assert is_open(port) and node.control("listener", "stop", "DMZ")["status"] == "STOPPED" and not is_open(port)
    assert node.control("listener", "start", "DMZ")["running"] and is_open(port)
    assert node.control("listener", "set", "DMZ", "description=d")["description"] == "d"
    assert len(node.control("listener", "list")) == 3
    assert node.control("listener", "remove", "DMZ") == {"done": True} and not is_open(port)
