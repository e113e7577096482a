# SPDX-License-Identifier: Apache-2.0
"""No secret leaves a daemon that uses it, nor one that it was offered: not into database, spool, log, answer or backup. Its memory is closed."""
import base64
import pathlib
import subprocess
import sys

import postgres
import pytest
import yaml
from admin import FIRST_KEY, LISTENER, Api
from node import BUILD, Bare
from peer import Requester
from waiting import eventually

BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; tls: { certificate = "../tls.pem"; key = "../tls.key"; }; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "cnrySent"; files = ( { pattern = "in/*"; mode = "receive"; } ); } );'''
COMPANY = '''listeners = ( { address = "127.0.0.1"; port = 0; }, { address = "127.0.0.1"; port = 0; tls: { certificate = "../tls.pem"; key = "../tls.key"; }; } );
partners = ( { name = "FILED"; identifier = "BANKF"; retry_attempts = 1; password_sent = "file:%s"; address = "127.0.0.1"; port = %d;
  tls: { enabled = true; authorities = "../tls.pem"; }; files = ( { pattern = "out/*"; mode = "send"; } ); } );'''


@pytest.fixture
def pair(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "tls.key", "-out", tmp_path / "tls.pem"], check=True, capture_output=True)
    bank = Bare(tmp_path / "bank", "BANK1", BANK).start()
    company = Bare(tmp_path / "company", "COMPANY", LISTENER % FIRST_KEY + COMPANY % (tmp_path / "company/password", bank.port))
    for name, content in (("key", base64.b64encode(b"cnry-seals-0123456789-0123456789")), ("password", b"cnryFile")):
        (company.folder / name).write_bytes(content + b"\n")
        (company.folder / name).chmod(0o600)
    text = company.config.read_text(encoding="utf-8").replace("paths: {", 'paths: { key_file = "key";').replace('"info"', '"debug"')
    company.config.write_text(text, encoding="utf-8")
    company.start()
    yield company, bank
    company.stop()
    bank.stop()


def use_all(company, bank, source):
    """Everything that has a secret, used well and wrongly; the secrets by what they are."""
    api, found = Api(company), {"seal key": "Y25yeS1zZWFsc", "seal key, opened": "cnry-seals", "password in a file": "cnryFile"}
    found["first key"] = FIRST_KEY
    tls = {"enabled": True, "authorities": str(company.folder.parent / "tls.pem")}
    made = api.post("/api/v1/config/partners", {"id": "STORED", "identifier": "BANK1", "host": "127.0.0.1", "port": bank.port,
                                                "password_sent": "cnrySent", "password_received": "cnryRcvd", "tls": tls})
    assert made.status == 201, made
    assert api.post("/api/v1/config/files", {"partnerId": "STORED", "pattern": "out/*", "mode": "send"}).status == 201
    assert company.control("send", "STORED", source, "out/a")["state"] == "done"
    assert company.control("send", "FILED", source, "out/a", check=False).returncode == 3, bank.log()  # that is not its name
    found.update({"password sent": "cnrySent", "password received": "cnryRcvd"})
    for password in (b"cnryRcvd", b"cnryBad1"):
        caller = Requester(company.port)
        caller.connect("BANK1", "COMPANY", password)
        caller.close()
    found["password that was tried"] = "cnryBad1"
    user = {"name": "anne", "password": "canary password of anne", "role": "admin"}
    assert api.post("/api/v1/users", user).status == 201
    found["user's password"] = user["password"]
    for password in (user["password"], "canary that was tried"):
        basic = base64.b64encode(b"anne:" + password.encode()).decode()
        anonymous = api.as_key(None)
        assert anonymous.get("/api/v1/me", Authorization="Basic " + basic).status == (200 if password == user["password"] else 401)
        found["basic " + password] = basic
    found["user's password that was tried"] = "canary that was tried"
    key = api.post("/api/v1/apikeys", {"name": "k", "role": "viewer"}).json
    found["key"] = key["key"]
    again = api.post("/api/v1/apikeys/%s/regenerate" % key["id"])
    assert again.status < 300, again
    found["key made again"] = again.json["key"]
    assert api.as_key(found["key made again"]).get("/api/v1/me").status == 200
    assert api.as_key("canary-no-key-0123456789").get("/api/v1/me?key=canary-in-a-query").status == 401
    found.update({"key that was tried": "canary-no-key-0123456789"})
    wrong = api.post("/api/v1/config/partners", {"id": "WRONG", "password_sent": "cnryWrng", "nonsense": 1, "port": "cnry"})
    assert wrong.status == 400
    found["password in what was refused"] = "cnryWrng"
    changed = api.ask("PUT", "/api/v1/users/anne", {"password": "canary fresh password"})
    assert changed.status == 200, changed
    found["fresh password"] = "canary fresh password"
    found["TLS key"] = (company.folder.parent / "tls.key").read_text(encoding="ascii").splitlines()[3]
    return found, made.body + wrong.body + changed.body


def answers(api):
    """Of everything that can be asked without knowing a number, and of the records."""
    contract = yaml.safe_load(api.get("/openapi.yaml").body)["paths"]
    paths = [path for path, methods in contract.items() if "get" in methods and "{" not in path and path != "/api/v1/events"]
    paths += ["/api/v1/config/partners/STORED", "/api/v1/partners/FILED", "/api/v1/users/anne", "/api/v1/partners/STORED/audit"]
    paths += ["/api/v1/audit?limit=1000", "/api/v1/apikeys"]
    return {path: api.get(path).body for path in paths}


def files(*folders):
    """What each file below holds, but for those that are there to hold a secret."""
    kept = {"pesitd.conf", "password", "key", "tls.key"}
    return {path: path.read_bytes() for folder in folders for path in pathlib.Path(folder).rglob("*")
            if path.is_file() and path.name not in kept and not path.is_symlink()}


def test_no_secret_leaves(pair, tmp_path):
    company, bank = pair
    (tmp_path / "source").write_bytes(b"<pain/>")
    secrets, told = use_all(company, bank, tmp_path / "source")
    api = Api(company)
    eventually(lambda: b"anne" in api.get("/api/v1/audit?limit=1000").body)
    company.control("backup", tmp_path / "backup")
    places = {"what changed": told, **answers(api), **files(company.folder, *([postgres.shared().folder] if postgres.WANTED else []))}
    places["backup"] = (tmp_path / "backup").read_bytes()
    for verb in (["status"], ["transfers"], ["partner", "show", "STORED"], ["audit"]):
        places[" ".join(verb)] = company.control(*verb, check=False).stdout
    assert sum(map(len, places.values())) > 100_000 and b"STORED" in b"".join(places.values())
    leaks = [(what, str(where)) for what, secret in secrets.items() for where, content in places.items() if secret.encode() in content]
    assert leaks == []


POWERLESS = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]  # root without its capabilities is a user like others


@pytest.mark.parametrize("what", ["maps", "environ", "auxv"])
def test_its_memory_is_closed_to_its_own_user(tmp_path, what):
    """Opening mem, or attaching, asks for the same right; and no core is dumped of such a process."""
    node = Bare(tmp_path / "n", "N", "", store="")
    with open(node.log_path, "ab") as log:
        node.process = subprocess.Popen([*POWERLESS, BUILD / "daemon/pesitd", "--config", node.config], stderr=log)
    eventually(lambda: "started: NODE=N" in node.log())

    def read(pid):
        return subprocess.run([*POWERLESS, "cat", "/proc/%d/%s" % (pid, what)], capture_output=True, check=False)

    with subprocess.Popen([*POWERLESS, sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        eventually(lambda: read(other.pid).stdout)
        refused = read(node.process.pid)
        assert refused.returncode == 1 and refused.stdout == b"" and b"Permission denied" in refused.stderr, refused
        other.communicate(b"\n")
    node.stop()
