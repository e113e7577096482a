# SPDX-License-Identifier: Apache-2.0
"""Keystores and truststores of the store: imported, used by real TLS sessions, changed without a restart, and what is refused."""
import base64
import datetime
import hashlib
import itertools
import json
import random
import re
import subprocess

import pytest
from admin import FIRST_KEY, LISTENER
from keystores import Forms, Maker, openssl, shown_by
from node import BUILD, Bare

C = "/api/v1/certificates"
CA = C + "/ca"
BANK = '''partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "in/*"; mode = "receive"; existing = "replace"; } ); } );'''
FILE = random.Random(4).randbytes(300_000)


@pytest.fixture(scope="module")
def maker(tmp_path_factory):
    made = Maker(tmp_path_factory.mktemp("certificates"))
    made.make("authority").make("stranger").make("bank", "authority").make("bank2", "authority").make("company", "authority")
    made.make("thief", "stranger").make("soon", "authority", days=7)
    return made


def start(folder, name, text=""):
    node = Bare(folder, name, LISTENER % FIRST_KEY + text)
    subprocess.run([BUILD / "pesitctl/pesitctl", "seal", "--key-file", node.folder / "key"], input=b"x\n", check=True, capture_output=True)
    node.config.write_text(node.config.read_text(encoding="utf-8").replace("paths: {", 'paths: { key_file = "key";'), encoding="utf-8")
    return node.start()


@pytest.fixture
def node(tmp_path):
    started = start(tmp_path / "node", "BANK1", BANK)
    yield started
    started.stop()


@pytest.fixture
def api(node):
    return Forms(node)


@pytest.fixture
def caller(tmp_path):
    started = start(tmp_path / "caller", "COMPANY")
    yield started
    started.stop()


def keystore(api, name, **fields):
    return api.form("POST", C + "/keystores", name=name, **fields)


def truststore(api, name, **fields):
    return api.form("POST", C + "/truststores", name=name, **fields)


def test_what_is_imported_is_told_but_no_key(api, node, maker):
    made = keystore(api, "bank", file=maker.pkcs12("bank", "opens it", "authority"), storePassword="opens it", description="ours")
    assert made.status == 201 and made.headers["Location"] == C + "/bank" and made.headers["ETag"] == '"1"', made
    told = made.json
    said = openssl("x509", "-in", maker.path("bank.pem"), "-noout", "-serial", "-fingerprint", "-sha256", "-enddate").stdout
    serial, fingerprint, end = (line.partition("=")[2] for line in said.splitlines())
    assert told["subjectDn"] == "CN=bank" and told["issuerDn"] == "CN=authority" and int(told["serialNumber"], 16) == int(serial, 16)
    assert told["fingerprint"] == fingerprint.replace(":", "").lower()
    ends = datetime.datetime.strptime(end, "%b %d %H:%M:%S %Y GMT")
    assert told["expiresAt"].startswith(ends.strftime("%Y-%m-%dT")) and told["keyAlgorithm"] == "EC 256"
    assert (told["storeType"], told["format"], told["purpose"], told["keyAlias"], told["hasPrivateKey"], told["entryCount"]) == (
        "KEYSTORE", "PKCS12", "SERVER", "bank", True, 2)
    assert api.get("%s/%d" % (C, told["id"])).json == api.get(C + "/bank").json == api.get(C + "/name/bank").json == told
    assert told["id"] > 10 ** 15 and told["createdAt"] == told["updatedAt"]
    assert [entry["type"] for entry in api.get(C + "/bank/entries").json] == ["key", "authority"]
    info = api.get(C + "/bank/info").json
    assert info["certificatesPem"].count("BEGIN CERTIFICATE") == 2 and 395 < info["daysUntilExpiry"] <= 400
    trusted = truststore(api, "trusted", file=maker.pem("authority") + maker.pem("stranger"))
    assert trusted.status == 201 and trusted.json["entryCount"] == 2 and trusted.json["format"] == "PEM", trusted
    for path in ("", "/keystores", "/bank", "/bank/info", "/bank/entries", "/trusted"):
        assert b"PRIVATE" not in api.get(C + path).body and b"sealed:" not in api.get(C + path).body
    assert "PRIVATE" not in node.log() and "PRIVATE" not in str(api.get("/api/v1/audit").body)
    assert [one["name"] for one in api.get(C + "/truststores").json] == ["trusted"]
    assert api.post(C + "/bank/validate").json["valid"]
    assert api.get(C + "/stats").json == {"totalKeystores": 1, "totalTruststores": 1, "expiredCount": 0, "expiringIn30Days": 0, "expiringIn7Days": 0}


def test_what_is_wrong_with_a_file_names_the_field(api, maker):
    def refused(status, field, **fields):
        answer = keystore(api, "x", **fields)
        assert (answer.status, answer.json.get("field")) == (status, field), answer
        return answer.json["detail"]

    stored = maker.pkcs12("bank", "right")
    assert "does not open" in refused(400, "storePassword", file=stored, storePassword="wrong")
    old = maker.pkcs12("bank", "old", more=["-legacy"])  # RC2, as old Java writes it
    assert keystore(api, "old", file=old, storePassword="old").json["subjectDn"] == "CN=bank" and api.ask("DELETE", C + "/old").status == 204
    assert "keytool -importkeystore" in refused(422, "file", file=b"\xfe\xed\xfe\xed\0\0\0\2" + b"x" * 50, storePassword="x")
    refused(422, "format", file=stored, storePassword="right", format="JKS")
    assert "none of the certificates" in refused(400, "file", file=maker.pem("bank") + maker.path("company.key").read_bytes())
    assert "no private key" in refused(400, "file", file=maker.pem("bank"))
    refused(400, "file", file=b"\x30\x82garbage")
    refused(400, "file", file=stored[:-40], storePassword="right")
    refused(400, "file", storePassword="x")
    refused(400, "format", file=stored, storePassword="right", format="DER")
    refused(400, "keyAlias", file=stored, storePassword="right", keyAlias="other")
    refused(400, "colour", file=stored, colour="red")
    refused(400, "isDefault", file=stored, storePassword="right", isDefault="perhaps")
    locked = openssl("ec", "-in", maker.path("bank.key"), "-aes256", "-passout", "pass:locked").stdout.encode()
    refused(400, "storePassword", file=maker.pem("bank") + locked)
    assert keystore(api, "bank", file=maker.pem("bank") + locked, keyPassword="locked").status == 201
    assert keystore(api, "bank", file=maker.both("bank")).json["field"] == "name"
    assert keystore(api, "a b", file=maker.both("bank")).json["field"] == keystore(api, "12", file=maker.both("bank")).json["field"] == "name"
    assert api.form("POST", C + "/keystores", file=maker.both("bank")).json["field"] == "name"
    assert truststore(api, "t", file=maker.path("bank.key").read_bytes()).json["field"] == "file"
    connection = api.connect()
    connection.putrequest("POST", C + "/keystores")
    for header in (("X-API-Key", api.key), ("Content-Length", "600000")):
        connection.putheader(*header)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    assert [one["name"] for one in api.get(C).json] == ["bank"]


def test_stores_are_made_filled_and_emptied(api, maker):
    """As scripts of PeSIT Wizard do it: encoded forms, empty stores, entries."""
    made = api.encoded(C + "/keystores/create", "name=test-keystore&description=Integration+Test&format=PKCS12"
                       "&storePassword=test-password-123&purpose=SERVER&isDefault=false")
    assert made.status == 201 and made.json["description"] == "Integration Test" and made.json["entryCount"] == 0, made
    where = "%s/%d" % (C, made.json["id"])
    assert api.get(where + "/entries").json == [] and api.post(where + "/validate").status == 400
    pair = api.form("POST", where + "/keypair", certificate=maker.pem("bank"), privateKey=maker.path("bank.key").read_bytes(), alias="mine")
    assert pair.status == 200 and pair.json["keyAlias"] == "mine" and pair.json["subjectDn"] == "CN=bank", pair
    wrong = api.form("POST", where + "/keypair", certificate=maker.pem("bank"), privateKey=maker.path("company.key").read_bytes(), alias="mine")
    assert (wrong.status, wrong.json["field"]) == (400, "privateKey")
    assert "not there" in api.post(where + "/validate").json["detail"]  # nobody says who the authority is
    assert api.form("POST", where + "/certificates", file=maker.pem("authority"), alias="ca").json["entryCount"] == 2
    assert api.post(where + "/validate").json["valid"]
    assert api.ask("DELETE", where + "/entries/nobody").json["field"] == "alias"
    assert api.ask("DELETE", where + "/entries/mine").json["hasPrivateKey"] is False and api.get(where + "/entries").json == []
    assert api.post(where + "/deactivate").json["active"] is False and api.get(C + "/keystores").json == []
    assert len(api.get(C + "/keystores?activeOnly=false").json) == 1 and api.post(where + "/activate").json["active"]
    trust = api.encoded(C + "/truststores/create", "name=trust&storePassword=x").json
    assert api.form("POST", C + "/trust/certificates", file=maker.pem("authority"), alias="one").json["entryCount"] == 1
    assert api.form("POST", C + "/trust/certificates", file=maker.pem("stranger"), alias="two").json["entryCount"] == 2
    assert api.form("POST", C + "/trust/certificates", file=maker.pem("stranger"), alias="one").json["entryCount"] == 2
    assert [entry["alias"] for entry in api.get(C + "/trust/entries").json] == ["two", "one"]
    assert api.ask("DELETE", C + "/trust/entries/one").json["subjectDn"] == "CN=stranger"
    assert api.ask("DELETE", "%s/%d" % (C, trust["id"])).status == api.ask("DELETE", where).status == 204
    assert api.get(C).json == [] and api.get(where).status == 404


def test_dates_and_defaults(api, maker):
    maker.make_old("past")
    keystore(api, "soon", file=maker.both("soon"))
    keystore(api, "past", file=maker.both("past"), isDefault="true")
    keystore(api, "later", file=maker.both("bank"), isDefault="true", partnerId="COMPANY")
    truststore(api, "trusted", file=maker.pem("authority"), isDefault="true")

    def names(path):
        return [one["name"] for one in api.get(C + path).json]

    assert names("/expiring") == names("/expiring?days=8") == ["soon"] and names("/expiring?days=5") == [] and names("/expired") == ["past"]
    assert api.get(C + "/expiring?days=x").json["field"] == "days" and names("/partner/COMPANY") == ["later"]
    assert "has expired" in api.post(C + "/past/validate").json["detail"] and api.post(C + "/soon/validate").json["valid"]
    assert api.get(C + "/keystores/default").json["name"] == "later" and not api.get(C + "/past").json["isDefault"]
    assert api.post(C + "/soon/set-default").json["isDefault"] and api.get(C + "/keystores/default").json["name"] == "soon"
    assert api.get(C + "/truststores/default").json["name"] == "trusted"
    assert api.get(C + "/stats").json["expiredCount"] == 1 and api.get(C + "/stats").json["expiringIn30Days"] == 1


def test_changes_name_the_version(api, node, maker):
    etag = keystore(api, "bank", file=maker.both("bank")).headers["ETag"]
    changed = api.form("PUT", C + "/bank", description="new", If_Match=etag)
    assert changed.status == 200 and changed.json["description"] == "new" and changed.headers["ETag"] == '"2"', changed
    assert changed.json["subjectDn"] == "CN=bank" and changed.json["hasPrivateKey"] and changed.json["updatedAt"] > changed.json["createdAt"]
    node.stop()
    node.start()
    port = api.port
    api.port = Forms(node, index=-1).port
    assert api.port != port and api.get("%s/%d" % (C, changed.json["id"])).json == changed.json
    for stale in (api.form("PUT", C + "/bank", description="x", If_Match=etag), api.ask("DELETE", C + "/bank", If_Match=etag),
                  api.post(C + "/bank/deactivate", If_Match=etag)):
        assert (stale.status, stale.json["field"]) == (412, "If-Match")
    told = [json.loads(row["details"]) for row in api.get("/api/v1/audit?action=updateCertificates").json["content"]]
    assert (told[0]["before"]["description"], told[0]["after"]["description"]) == (None, "new")
    assert api.ask("DELETE", C + "/bank", If_Match='"2"').status == 204


def use_tls(bank, caller, maker):
    """A TLS listener of the bank that wants certificates, and a partner that calls it; all of the store. Returns both APIs."""
    there, here = Forms(bank), Forms(caller)
    assert keystore(there, "bank", file=maker.pkcs12("bank", "p", "authority"), storePassword="p").status == 201
    assert truststore(there, "clients", file=maker.pem("authority")).status == 201
    listener = there.post("/api/servers", {"serverId": "TLS", "bindAddress": "127.0.0.1", "port": 0, "autoStart": True, "tls": {
        "keystore": "bank", "truststore": "clients", "client_certificate": "required"}})
    assert listener.status == 201 and listener.json["tls"] and listener.json["running"], listener
    port = there.get("/api/servers/TLS/status").json["port"]
    partner = here.post("/api/v1/servers", {"id": "BANK1", "host": "127.0.0.1", "port": port, "password_sent": "secret", "tlsEnabled": True,
                                            "retry_delays_s": [1], "idle_s": 0})
    assert partner.status == 201, partner
    assert here.post("/api/v1/partners/BANK1/files", {"pattern": "out/*", "mode": "send"}).status == 201
    return there, here


def send(caller, tmp_path, name):
    source = tmp_path / "file"
    source.write_bytes(FILE)
    return caller.control("send", "BANK1", source, "out/" + name)["state"]


def test_a_file_moves_between_stores(node, caller, maker, tmp_path):
    """Keystores and truststores on both sides; changed, they count for the next connection; used, they stay."""
    there, here = use_tls(node, caller, maker)
    tls = "/api/v1/servers/BANK1/tls"
    assert here.get(tls).json == {"tlsEnabled": True, "keystoreConfigured": False, "truststoreConfigured": False, "keystore": None, "truststore": None}
    told = here.form("POST", tls + "/keystore", file=maker.pkcs12("company", "q"), password="q")
    assert told.status == 200 and told.json["success"] and told.json["certSubject"] == "CN=company", told
    assert not here.post("/api/v1/servers/BANK1/test").json["success"]  # the system's authorities do not know the bank's
    assert here.form("POST", tls + "/truststore", file=maker.pem("authority"), password="").status == 200
    assert here.get(tls).json["keystore"] == "BANK1-keystore" and here.get(C + "/BANK1-truststore").json["usedBy"] == ["partner 'BANK1'"]
    assert send(caller, tmp_path, "one") == "done"
    assert hashlib.sha256(node.received("in/one")).digest() == hashlib.sha256(FILE).digest()
    in_use = there.ask("DELETE", C + "/bank"), there.post(C + "/bank/deactivate"), here.ask("DELETE", C + "/BANK1-keystore")
    assert [answer.status for answer in in_use] == [409] * 3 and "'bank' is used by listener 'TLS'" in in_use[0].json["detail"], in_use
    assert "partner 'BANK1'" in in_use[2].json["detail"]
    assert there.ask("DELETE", C + "/bank/entries/bank").status == 409  # it would be empty

    before = there.get(C + "/bank").json["fingerprint"]
    swapped = there.form("PUT", C + "/bank", file=maker.both("bank2"), If_Match='"1"')
    assert swapped.status == 200 and swapped.json["fingerprint"] != before, swapped
    assert here.post("/api/v1/servers/BANK1/test").json["success"] and send(caller, tmp_path, "two") == "done"
    assert shown_by(maker, there.get("/api/servers/TLS/status").json["port"]) == swapped.json["fingerprint"]
    assert here.form("POST", tls + "/keystore", file=maker.both("thief"), password="").status == 200  # replaced: nobody knows its authority
    assert "certificate" in here.post("/api/v1/servers/BANK1/test").json["message"]
    assert here.form("POST", tls + "/keystore", file=maker.both("company"), password="").status == 200
    assert here.post("/api/v1/servers/BANK1/test").json["success"]
    assert here.ask("DELETE", tls + "/keystore").json["success"] and here.get(C + "/BANK1-keystore").status == 404
    assert not here.get(tls).json["keystoreConfigured"] and not here.post("/api/v1/servers/BANK1/test").json["success"]
    default = keystore(here, "everybody", file=maker.both("company"), isDefault="true").json  # for those who name none
    assert default["usedBy"] == ["partner 'BANK1'"] and here.post("/api/v1/servers/BANK1/test").json["success"]
    assert here.ask("DELETE", C + "/everybody").status == 409
    node.stop()
    node.start()
    assert here.ask("DELETE", "/api/v1/servers/BANK1").status == here.ask("DELETE", C + "/everybody").status == 204


def test_what_names_no_certificates_is_refused(api, node, maker):
    truststore(api, "trust", file=maker.pem("authority"))
    api.encoded(C + "/keystores/create", "name=empty")

    def refused(path, body, field):
        answer = api.post(path, body)
        assert (answer.status, answer.json.get("field")) == (400, field), answer
        return answer.json["detail"]

    listener, partner = {"serverId": "L", "port": 0}, {"id": "P", "host": "127.0.0.1", "tlsEnabled": True}
    assert "there is no keystore 'nobody'" in refused("/api/servers", {**listener, "tls.keystore": "nobody"}, "tls.keystore")
    assert "other kind" in refused("/api/servers", {**listener, "tls.keystore": "trust"}, "tls.keystore")
    assert "no certificate" in refused("/api/servers", {**listener, "tls.keystore": "empty"}, "tls.keystore")
    refused("/api/v1/servers", {**partner, "tls.truststore": "empty"}, "tls.truststore")
    refused("/api/v1/servers", {**partner, "tls.truststore": "trust", "tls.authorities": str(maker.path("authority.pem"))}, "tls.truststore")
    keystore(api, "bank", file=maker.both("bank"))
    text = node.config.read_text(encoding="utf-8")
    node.config.write_text(text + 'listeners = ( { name = "F"; address = "127.0.0.1"; port = 0; tls: { keystore = "bank"; }; } );', encoding="utf-8")
    node.control("reload")
    assert api.get("/api/servers/F").json["tls"] and "listener 'F'" in api.ask("DELETE", C + "/bank").json["detail"]
    node.stop()
    assert node.start().port > 0  # what the file names is of the store at a start too
    assert subprocess.run([BUILD / "daemon/pesitd", "--config", node.config, "--check-config"], check=False, capture_output=True).returncode == 0


def test_what_cannot_be_opened_keeps_nothing_else_out(api, node, maker):
    """The key file is another one: keystores and who uses them are out of force and say why; all others work."""
    keystore(api, "bank", file=maker.both("bank"))
    truststore(api, "trusted", file=maker.pem("authority"))
    assert api.post("/api/servers", {"serverId": "T", "bindAddress": "127.0.0.1", "port": 0, "autoStart": True, "tls.keystore": "bank"}).status == 201
    node.stop()
    key = (node.folder / "key").read_bytes()
    (node.folder / "key").write_bytes(b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n")
    node.start()
    there = Forms(node, index=-1)
    told = {one["name"]: one for one in there.get(C).json}
    assert "does not open" in told["bank"]["fault"] and told["trusted"]["fault"] is None and there.post(C + "/bank/validate").status == 400
    assert "bank" in there.get("/api/servers/T").json["error"] and there.get("/api/v1/config/partners/COMPANY").status == 200
    (node.folder / "key").write_bytes(key)
    node.control("reload")
    assert there.get(C + "/bank").json["fault"] is None and there.get("/api/servers/T").json["running"]


def test_the_authority_signs(api, node, maker, tmp_path):
    assert api.get(CA + "/certificate").status == api.post(CA + "/sign", {"csrPem": "x"}).status == 409
    made = api.post(CA + "/initialize")
    assert made.status == 200 and made.json["purpose"] == "CA" and made.json["hasPrivateKey"], made
    assert api.post(CA + "/initialize").json["id"] == made.json["id"]
    root = tmp_path / "ca.pem"
    root.write_bytes(api.get(CA + "/certificate").body)
    asked = api.post(CA + "/csr?commonName=bank.example&organization=Bank&purpose=SERVER&keyType=EC").json
    assert asked["purpose"] == "SERVER" and "PRIVATE KEY" in asked["privateKeyPem"]
    signed = api.form("POST", CA + "/sign", csrPem=asked["csrPem"], purpose="SERVER", validityDays=90, partnerId="COMPANY")
    assert signed.status == 200 and signed.json["subjectDn"] == "CN=bank.example,O=Bank" and signed.json["partnerId"] == "COMPANY", signed
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(signed.json["certificatePem"], encoding="ascii")
    assert openssl("verify", "-CAfile", root, "-purpose", "sslserver", "-verify_hostname", "bank.example", leaf).stdout.strip().endswith("OK")
    assert openssl("verify", "-CAfile", root, "-purpose", "sslclient", leaf, check=False).returncode != 0
    assert api.post(CA + "/verify", {"certificatePem": signed.json["certificatePem"]}).json["valid"]
    assert not api.post(CA + "/verify", {"certificatePem": maker.pem("bank").decode()}).json["valid"]
    own = tmp_path / "own.csr"
    openssl("req", "-new", "-key", maker.path("company.key"), "-subj", "/CN=theirs", "-addext", "basicConstraints=critical,CA:TRUE", "-out", own)
    theirs = api.form("POST", CA + "/sign", csrPem=own.read_text(encoding="ascii"), validityDays=7000).json
    leaf.write_text(theirs["certificatePem"], encoding="ascii")
    told = openssl("x509", "-in", leaf, "-noout", "-text").stdout
    assert "CA:FALSE" in told and "CA:TRUE" not in told and theirs["expiresAt"] == api.get(C + "/ca").json["expiresAt"]
    damaged = own.read_text(encoding="ascii").splitlines()
    damaged[2] = damaged[2][::-1]
    assert api.form("POST", CA + "/sign", csrPem="\n".join(damaged)).json["field"] == "csrPem"
    assert api.form("POST", CA + "/sign", csrPem=asked["csrPem"], validityDays="0").json["field"] == "validityDays"
    assert api.form("POST", CA + "/sign", csrPem=asked["csrPem"], purpose="CA").json["field"] == "purpose"
    assert "PRIVATE" not in str(api.get("/api/v1/audit").body) + node.log()
    rows = [json.loads(row["details"]).get("after") for row in api.get("/api/v1/audit?action=signRequest").json["content"]]
    assert signed.json["serialNumber"] in [row["serialNumber"] for row in rows if row]


def test_a_partner_gets_its_certificate(node, caller, maker, tmp_path):
    """Generated there, imported here, and used: nobody else's is let in."""
    there, here = use_tls(node, caller, maker)
    there.post(CA + "/initialize", {"keyType": "EC", "commonName": "bank authority", "validityDays": 100})
    made = there.post(CA + "/partner/COMPANY/generate?commonName=company.example&keyType=EC")
    assert made.status == 201 and made.json["partnerId"] == "COMPANY" and made.json["password"], made
    (tmp_path / "p12").write_bytes(base64.b64decode(made.json["pkcs12"]))
    assert "company.example" in openssl("pkcs12", "-in", tmp_path / "p12", "-passin", "pass:" + made.json["password"], "-nokeys").stdout
    assert there.post(CA + "/partner/NOBODY/generate").json["field"] == "partner"
    plain = there.post(CA + "/partner/COMPANY/generate", {"format": "PEM", "keyType": "EC"}).json
    assert "PRIVATE KEY" in plain["privateKeyPem"] and "pkcs12" not in plain and plain["subjectDn"] == "CN=COMPANY,OU=COMPANY"
    assert there.ask("PUT", "/api/servers/TLS", {"tls.truststore": "ca-truststore"}).status == 200
    assert there.form("POST", C + "/clients/certificates", file=maker.pem("stranger"), alias="x").status == 200
    tls = "/api/v1/servers/BANK1/tls"
    assert here.form("POST", tls + "/truststore", file=maker.pem("authority"), password="").status == 200
    assert here.form("POST", tls + "/keystore", file=(tmp_path / "p12").read_bytes(), password=made.json["password"]).status == 200
    assert send(caller, tmp_path, "one") == "done" and node.received("in/one") == FILE
    assert here.form("POST", tls + "/keystore", file=maker.both("company"), password="").status == 200
    assert not here.post("/api/v1/servers/BANK1/test").json["success"]


def sealed_in(backup):
    """What is sealed of certificates, as a backup has it."""
    lines = backup.read_text(encoding="utf-8").splitlines()
    table = lines.index(next(line for line in lines if line.startswith("table\tcertificate_stores\t")))
    rows = itertools.takewhile(lambda line: line.startswith("row\t"), lines[table + 1:])
    return [re.search("sealed:[A-Za-z0-9+/=]+", row).group() for row in rows]


def test_a_backup_and_another_key_have_them(api, node, maker, tmp_path):
    keystore(api, "bank", file=maker.both("bank"))
    keystore(api, "other", file=maker.both("company"))
    told = api.get(C).json
    node.control("backup", tmp_path / "first")
    node.control("key", "rotate-seal")
    again = api.get(C).json
    assert [(one["version"], one["fingerprint"], one["hasPrivateKey"]) for one in again] == [(2, one["fingerprint"], True) for one in told]
    node.control("backup", tmp_path / "second")
    first, second = sealed_in(tmp_path / "first"), sealed_in(tmp_path / "second")
    assert len(first) == len(second) == 2 and not set(first) & set(second)
    for backup in ("first", "second"):
        assert b"PRIVATE" not in (tmp_path / backup).read_bytes()
    node.stop()
    folder = tmp_path / "restored"
    done = subprocess.run([BUILD / "pesitctl/pesitctl", "restore", tmp_path / "second", "--to", folder, "--key-file", node.folder / "key"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (folder / "key").write_bytes((node.folder / "key").read_bytes())
    restored = Bare(folder, "BANK1", "", 'store: { path = "store.db"; };')
    text = re.sub(r"store: \{.*?\};", 'store: { path = "store.db"; };', node.config.read_text(encoding="utf-8").replace(' store = "store.db";', ""))
    restored.config.write_text(text if "store: {" in text else text + restored.store, encoding="utf-8")
    there = Forms(restored.start())
    assert there.get(C).json == again
    assert there.form("POST", C + "/bank/certificates", file=maker.pem("authority"), alias="ca").status == 200
    assert there.post(C + "/bank/validate").json["valid"]  # the key opens, and fits
    restored.stop()
    node.start()


def test_what_expires_is_told(api, node, maker):
    """Files and stores under one rule: a number for each, and a warning a day."""
    maker.make_old("past")
    keystore(api, "later", file=maker.both("bank"))
    keystore(api, "soon", file=maker.both("soon"))
    keystore(api, "past", file=maker.both("past"))
    files = [maker.path("soon.pem"), maker.path("soon.key")]
    text = node.config.read_text(encoding="utf-8")
    node.config.write_text(text + 'listeners = ( { name = "F"; address = "127.0.0.1"; port = 0; tls: { certificate = "%s"; key = "%s"; }; } );'
                           % tuple(files), encoding="utf-8")

    def numbers():
        told = api.get("/metrics").body.decode()
        assert subprocess.run(["promtool", "check", "metrics"], input=told, capture_output=True, text=True, check=False).returncode == 0
        return {name: float(value) for name, value in re.findall(r'^pesit_certificate_expiry_seconds\{certificate="(.*)"\} (\S+)$', told, re.M)}

    def warned(name):
        return [line for line in node.log().splitlines() if "CERTIFICATE=" + name in line]

    for _ in range(3):
        node.control("reload")
    told, day = numbers(), 86400
    assert 6.9 * day < told["store:soon"] < 7 * day and 399 * day < told["store:later"] < 400 * day and told["store:past"] < -day
    assert told["file:%s" % files[0]] == pytest.approx(told["store:soon"], abs=5) and list(told)[0] == "store:past"
    assert [len(warned(name)) for name in ("store:soon", "store:past", "store:later", "file:")] == [1, 1, 0, 1], node.log()
    assert "DAYS=6" in warned("store:soon")[0] and "listener 'F'" in warned("file:")[0] and " warning " in warned("file:")[0]
    assert api.form("PUT", C + "/soon", file=maker.both("bank2")).status == 200
    assert numbers()["store:soon"] > 399 * day and api.ask("DELETE", C + "/past").status == 204 and "store:past" not in numbers()
    node.control("reload")
    assert len(warned("store:")) == 2


def test_by_pesitctl(node, maker, tmp_path):
    maker.pkcs12("bank", "opens it", "authority")
    (tmp_path / "word").write_text("opens it\n", encoding="ascii")
    made = node.control("certificate", "import", "keystore", "bank", maker.path("bank.p12"), "storePassword=@%s" % (tmp_path / "word"), "description=ours")
    assert made["subjectDn"] == "CN=bank" and made["description"] == "ours" and made["hasPrivateKey"]
    assert node.control("certificate", "import", "truststore", "ca", maker.path("authority.pem"))["entryCount"] == 1
    assert node.control("certificate", "create", "truststore", "empty")["entryCount"] == 0
    assert [one["name"] for one in node.control("certificate", "list")] == ["bank", "ca", "empty"]
    assert node.control("certificate", "check", "bank")["valid"] and node.control("certificate", "expiring", "500") != []
    assert node.control("certificate", "expiring") == []
    assert node.control("certificate", "replace", "bank", maker.path("bank2.pem"), check=False).returncode == 4  # no key in it
    (tmp_path / "both").write_bytes(maker.both("bank2"))
    assert node.control("certificate", "replace", "bank", tmp_path / "both")["subjectDn"] == "CN=bank2"
    names = subprocess.run([BUILD / "pesitctl/pesitctl", "--socket", node.folder / "door", "--list-names"], capture_output=True, text=True, check=True).stdout
    assert "certificate\tbank\n" in names
    assert node.control("certificate", "import", "jks", "x", tmp_path / "both", check=False).returncode == 1
    assert node.control("certificate", "remove", "bank") == {"done": True}
    assert node.control("certificate", "show", "bank", check=False).returncode == 8
