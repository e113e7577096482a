# SPDX-License-Identifier: Apache-2.0
"""pesitctl's verbs of the administration; TLS and client certificates in front of the API."""
import hashlib
import http.client
import json
import re
import ssl
import subprocess

import pytest
from admin import Api
from node import Bare

SELF_SIGNED = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
               "-addext", "subjectAltName=IP:127.0.0.1"]


def test_key_of_the_command_line_opens_the_api(tmp_path):
    node = Bare(tmp_path / "n", "N", "admin: { listeners = ( { port = 0; } ); };").start()
    program = ["key", "create", "first", "admin"]
    key = node.control(*program)["key"]
    api = Api(node, key)
    assert api.get("/api/v1/me").json["name"] == "key:first"
    again = node.control(*program, check=False)
    assert again.returncode == 4 and b"is there already" in again.stderr
    assert node.control("key", "create", "x", "god", check=False).returncode == 4
    listed = node.control("key", "list")
    assert [row["name"] for row in listed] == ["first"] and key not in json.dumps(listed)
    assert node.control("key", "remove", "nobody", check=False).returncode in (4, 8)
    assert node.control("key", "remove", listed[0]["id"]) == {"done": True}
    assert api.get("/api/v1/me").status == 401
    trail = node.control("audit", "list")["content"]
    assert {row["username"] for row in trail} == {"uid:0"} and len(trail) == 5
    head = node.control("audit", "verify")
    assert head["valid"] and node.control("audit", "verify", head["seq"], head["hash"])["valid"]
    assert node.control("audit", "verify", head["seq"], "0" * 64, check=False).returncode == 4
    assert node.control("api", "GET", "/api/v1/status")["state"] == "running"
    assert node.control("partner", "list") == [] and node.control("key", "frob", check=False).returncode == 1
    node.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "batch", "thief"):
        subprocess.run(["openssl", *SELF_SIGNED, "-subj", "/CN=" + name, "-keyout", folder / (name + ".key"),
                        "-out", folder / (name + ".pem")], check=True, capture_output=True)
    return folder


def over_tls(node, certificates, method, path, own=None, body=None, **headers):
    context = ssl.create_default_context(cafile=certificates / "server.pem")
    if own:
        context.load_cert_chain(certificates / (own + ".pem"), certificates / (own + ".key"))
    port = int(re.findall(r"HTTP=(\d+)", node.log())[-1])
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    return response.status, json.loads(text) if text else None


def test_certificates_are_who_they_are(tmp_path, certificates):
    tls = 'tls: { certificate = "%s"; key = "%s"; authorities = "%s"; client_certificate = "optional"; };' % (
        certificates / "server.pem", certificates / "server.key", certificates / "batch.pem")
    node = Bare(tmp_path / "n", "N", 'admin: { listeners = ( { port = 0; %s } ); };' % tls).start()
    key = node.control("key", "create", "boss", "admin")["key"]
    der = ssl.PEM_cert_to_DER_cert((certificates / "batch.pem").read_text(encoding="utf-8"))
    body = json.dumps({"name": "batch", "role": "operator", "certificateSha256": hashlib.sha256(der).hexdigest()})
    made = over_tls(node, certificates, "POST", "/api/v1/apikeys", None, body, **{"X-API-Key": key})
    assert made[0] == 201 and "key" not in made[1]
    assert over_tls(node, certificates, "GET", "/api/v1/me", "batch") == (
        200, {"name": "certificate:batch", "role": "operator", "partner": None})
    assert over_tls(node, certificates, "GET", "/api/v1/me")[0] == 401
    with pytest.raises((ssl.SSLError, ConnectionError)):
        over_tls(node, certificates, "GET", "/api/v1/me", "thief")
    node.stop()


def test_plain_is_for_this_machine(tmp_path):
    node = Bare(tmp_path / "n", "N", 'admin: { listeners = ( { port = 0; address = "0.0.0.0"; } ); };')
    done = node.control("check-config", node.config, check=False)
    assert done.returncode != 0 and b"tls.certificate" in done.stderr + done.stdout
