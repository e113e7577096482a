# SPDX-License-Identifier: Apache-2.0
"""Keystores of a schema that two daemons share."""
import postgres
from admin import FIRST_KEY, LISTENER
from keystores import Forms, Maker, shown_by
from node import Bare
from waiting import eventually

C = "/api/v1/certificates"


def test_every_daemon_of_the_schema_has_them(tmp_path):
    """Imported and replaced by one, shown by the listener of the other."""
    server, nodes, maker = postgres.shared(), [], Maker(tmp_path).make("bank").make("bank2").make("company")
    for owner in "ab":
        node = Bare(tmp_path / owner, "N", LISTENER % FIRST_KEY, server.store("cluster_certificates", 'owner = "%s";' % owner))
        (node.folder / "key").write_text("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", encoding="ascii")
        node.config.write_text(node.config.read_text(encoding="utf-8").replace("paths: {", 'paths: { key_file = "key";'), encoding="utf-8")
        nodes.append(node.start())
    here, there = (Forms(node) for node in nodes)
    first = here.form("POST", C + "/keystores", name="bank", file=maker.both("bank")).json["fingerprint"]
    assert here.post("/api/servers", {"serverId": "T", "bindAddress": "127.0.0.1", "port": 0, "autoStart": True, "tls.keystore": "bank"}).status == 201

    def shown():
        listener = there.get("/api/servers/T")
        return listener.status == 200 and shown_by(maker, listener.json["port"])

    eventually(lambda: shown() == first)
    second = here.form("PUT", C + "/bank", file=maker.both("bank2")).json["fingerprint"]
    eventually(lambda: shown() == second != first)
    assert there.get(C + "/bank").json["usedBy"] == ["listener 'T'"] and there.ask("DELETE", C + "/bank").status == 409
    for node in nodes:
        node.stop()
