# SPDX-License-Identifier: Apache-2.0
"""Who is trusted over TLS, both ends real daemons: each refusal by the errno of close() and a message that names its cause."""
import errno
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest
from fpdu import CODES
from mounted import Mounted
from node import Bare
from peer import Requester
from waiting import eventually

ISSUE = """[ca]
default_ca = own
[own]
new_certs_dir = {0}
database = {0}/index
serial = {0}/serial
default_md = sha256
policy = any
copy_extensions = copy
[any]
commonName = supplied
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Certificates:
    """Keys and certificates by name, in one folder."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "index").write_text("")
        (folder / "serial").write_text("01\n")
        (folder / "ca.conf").write_text(ISSUE.format(folder))

    def at(self, name):
        return self.folder / name

    def key(self, name):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.at(name + ".key"))

    def own(self, name):
        """Signed by itself."""
        self.key(name)
        openssl("req", "-x509", "-key", self.at(name + ".key"), "-days", 2, "-subj", "/CN=" + name,
                "-addext", "subjectAltName=DNS:localhost", "-out", self.at(name + ".pem"))

    def issue(self, name, authority, days=("20200101000000Z", "20480101000000Z"), host="localhost"):
        self.key(name)
        openssl("req", "-new", "-key", self.at(name + ".key"), "-subj", "/CN=" + name,
                "-addext", "subjectAltName=DNS:" + host, "-out", self.at(name + ".csr"))
        openssl("ca", "-batch", "-notext", "-config", self.at("ca.conf"), "-cert", self.at(authority + ".pem"),
                "-keyfile", self.at(authority + ".key"), "-startdate", days[0], "-enddate", days[1],
                "-in", self.at(name + ".csr"), "-out", self.at(name + ".pem"))

    def digest(self, name):
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.at(name + ".pem").read_text())).hexdigest()

    def pin(self, name):
        pem = openssl("x509", "-in", self.at(name + ".pem"), "-noout", "-pubkey")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(
            pem.replace("PUBLIC KEY", "CERTIFICATE"))).hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.own("authority")
    made.own("stranger")
    made.own("alone")
    for name in ("bank", "company", "other"):
        made.issue(name, "authority")
    made.issue("elsewhere", "authority", host="elsewhere.example")
    made.issue("late", "authority", ("20200101000000Z", "20200102000000Z"))
    made.issue("early", "authority", ("20470101000000Z", "20480101000000Z"))
    made.issue("foreign", "stranger")
    made.issue("expired-client", "authority", ("20200101000000Z", "20200102000000Z"))
    return made


# the bank's listeners: certificate, what else
LISTENERS = {"plain-trust": ("bank", ""), "alone": ("alone", ""), "elsewhere": ("elsewhere", ""), "late": ("late", ""),
             "early": ("early", ""), "foreign": ("foreign", ""), "new": ("bank", 'min_version = "1.3";'),
             "wants": ("bank", 'authorities = "@authority.pem"; client_certificate = "required";'),
             "asks": ("bank", 'authorities = "@authority.pem"; client_certificate = "optional";')}
TRUST = 'authorities = "@authority.pem";'


def client(name):
    return 'certificate = "@%s.pem"; key = "@%s.key";' % (name, name)


# partner: listener, settings when it calls, certificate it is bound to at the bank, errno, what the message names
CASES = {
    "good": ("plain-trust", TRUST, None, 0, ""),
    "good13": ("new", TRUST + ' min_version = "1.3";', None, 0, ""),
    "pinned": ("alone", 'pin_sha256 = "PIN:alone";', None, 0, ""),
    "pinned-late": ("late", 'pin_sha256 = "PIN:late";', None, 0, ""),
    "named": ("elsewhere", TRUST + ' host_name = "elsewhere.example";', None, 0, ""),
    "shown": ("wants", TRUST + client("company"), None, 0, ""),
    "bound": ("wants", TRUST + client("company"), "company", 0, ""),
    "bound-asked": ("asks", TRUST + client("company"), "company", 0, ""),
    "not-pinned": ("alone", TRUST, None, errno.EKEYREJECTED, "self-signed certificate"),
    "wrong-pin": ("plain-trust", TRUST + ' pin_sha256 = "PIN:other";', None, errno.EKEYREJECTED, "not the pinned one (it is PIN:bank)"),
    "wrong-host": ("elsewhere", TRUST, None, errno.EKEYREJECTED, "hostname mismatch"),
    "wrong-name": ("plain-trust", TRUST + ' host_name = "elsewhere.example";', None, errno.EKEYREJECTED, "hostname mismatch"),
    "wrong-address": ("plain-trust", TRUST + ' host_name = "127.0.0.1";', None, errno.EKEYREJECTED, "IP address mismatch"),
    "foreign-offered": ("asks", TRUST + client("foreign"), None, errno.EKEYREJECTED, "unknown ca"),
    "none-offered": ("asks", TRUST, None, 0, ""),
    "late": ("late", TRUST, None, errno.EKEYREJECTED, "certificate has expired"),
    "early": ("early", TRUST, None, errno.EKEYREJECTED, "certificate is not yet valid"),
    "foreign": ("foreign", TRUST, None, errno.EKEYREJECTED, "unable to get local issuer certificate"),
    "no-authorities": ("plain-trust", "", None, errno.EKEYREJECTED, "unable to get local issuer certificate"),
    "none-shown": ("wants", TRUST, None, errno.EKEYREJECTED, "certificate required"),
    "foreign-shown": ("wants", TRUST + client("foreign"), None, errno.EKEYREJECTED, "unknown ca"),
    "expired-shown": ("wants", TRUST + client("expired-client"), None, errno.EKEYEXPIRED, "which has expired: "),
    "other-shown": ("wants", TRUST + client("other"), "company", errno.EACCES, "3/304"),
    "none-for-bound": ("asks", TRUST, "company", errno.EACCES, "3/304"),
    "none-for-bound-plain": ("plain-trust", TRUST, "company", errno.EACCES, "3/304"),
}


@pytest.fixture(scope="module")
def bank(made, tmp_path_factory):
    listeners = ["{ address = \"127.0.0.1\"; port = 0; tls: { certificate = \"@%s.pem\"; key = \"@%s.key\"; %s }; }" % (
        certificate, certificate, more) for certificate, more in LISTENERS.values()]
    partners = ['{ name = "%s"; identifier = "C-%s"; local_identifier = "B-%s"; %s files = ( { pattern = "in/*"; mode = "receive"; } ); }' % (
        name, name, name, 'client_certificate_sha256 = "%s";' % made.digest(case[2]) if case[2] else "") for name, case in CASES.items()]
    text = "timers: { release_ms = 500; };\nlisteners = ( %s );\npartners = ( %s );" % (",\n".join(listeners), ",\n".join(partners))
    node = Bare(tmp_path_factory.mktemp("bank"), "BANK", text.replace("@", str(made.folder) + "/")).start()
    ports = map(int, re.findall(r"PORT=(\d+)", node.log()))
    node.ports = dict(zip(LISTENERS, ports))
    assert len(node.ports) == len(LISTENERS)
    yield node
    node.stop()


def partner(made, name, port, settings):
    settings = re.sub(r"PIN:(\w+)", lambda match: made.pin(match[1]), settings).replace("@", str(made.folder) + "/")
    return """{ name = "%s"; identifier = "B-%s"; local_identifier = "C-%s"; address = "localhost"; port = %d; retry_attempts = 1;
        idle_s = 0; tls: { enabled = true; %s }; files = ( { pattern = "out/*"; mode = "send"; } ); }""" % (name, name, name, port, settings)


@pytest.fixture(scope="module")
def company(made, bank, tmp_path_factory):
    partners = [partner(made, name, bank.ports[case[0]], case[1]) for name, case in CASES.items()]
    node = Bare(tmp_path_factory.mktemp("company"), "COMPANY", "timers: { release_ms = 500; };\npartners = ( %s );" % ",\n".join(partners)).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def mnt(company):
    mount = Mounted(company).start()
    yield mount
    mount.stop()


def write(path):
    """errno of close()."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.write(file, b"payment")
    try:
        os.close(file)
    except OSError as error:
        return error.errno
    return 0


@pytest.mark.parametrize("name", CASES)
def test_trust(made, bank, company, mnt, name):
    _, _, _, expected, words = CASES[name]
    words = re.sub(r"PIN:(\w+)", lambda match: made.pin(match[1]), words)
    got = write(mnt.path / name / "out/file")
    row = company.control("transfers", "--partner", name)[0]
    assert (got, words.lower() in row["error"].lower()) == (expected, True), (errno.errorcode.get(got), row["error"])
    assert row["state"] == ("failed" if expected else "done")
    assert (name + "/in/file" in bank.inbox()) == (expected == 0)
    if expected:  # as a command says it
        source = made.at("source")
        source.write_bytes(b"payment")
        done = company.control("send", name, source, "out/again", check=False)
        assert done.returncode == (6 if expected in (errno.EKEYREJECTED, errno.EKEYEXPIRED) else 3), done.stderr
        assert words.lower() in json.loads(done.stdout)["error"].lower(), done.stdout


def logged_since(node, before, words):
    """The line may come after the caller has heard."""
    eventually(lambda: words in node.log()[before:], told=lambda: node.log()[before:])


def test_the_bank_says_why(bank, company, mnt):
    """What the refused caller is not told stands in the log."""
    for name, words in (("none-shown", "peer did not return a certificate"), ("foreign-shown", "unable to get"),
                        ("expired-shown", "certificate has expired")):
        before = len(bank.log())
        write(mnt.path / name / "out/logged")
        logged_since(bank, before, words)
    before = len(bank.log())
    write(mnt.path / "other-shown" / "out/logged")
    logged_since(bank, before, "client certificate is not the partner's")


# versions


def test_an_old_caller(made, bank):
    """A listener that wants 1.3 refuses who has only 1.2, and takes the rest."""
    context = ssl.create_default_context(cafile=made.at("authority.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    before = len(bank.log())
    with pytest.raises((ssl.SSLError, ConnectionError)) as refused:
        Requester(bank.ports["new"], tls=context)
    assert "version" in str(refused.value).lower()
    logged_since(bank, before, "unsupported protocol")
    context.maximum_version = ssl.TLSVersion.TLSv1_3
    caller = Requester(bank.ports["new"], tls=context)
    assert caller.socket.version() == "TLSv1.3"
    caller.close()


@pytest.mark.parametrize("least, most, expected", [("1.3", "TLSv1_2", errno.EKEYREJECTED), ("1.2", "TLSv1_2", None)])
def test_an_old_partner(made, tmp_path, least, most, expected):
    """We call a partner that has only 1.2: refused where 1.3 is asked for. Else it hears CONNECT."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.at("bank.pem"), made.at("bank.key"))
    context.maximum_version = ssl.TLSVersion[most]
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def answer():
            try:
                with context.wrap_socket(server.accept()[0], server_side=True) as call:
                    heard.append(call.recv(8)[4:6])
            except OSError as error:
                heard.append(error)

        thread = threading.Thread(target=answer)
        thread.start()
        settings = TRUST + ' min_version = "%s";' % least
        node = Bare(tmp_path, "COMPANY", "partners = ( %s );" % partner(made, "OLD", server.getsockname()[1], settings)).start()
        mount = Mounted(node).start()
        got = write(mount.path / "OLD" / "out/a")
        thread.join(20)
        row = node.control("transfers")[0]
        mount.stop()
        node.stop()
    if expected:
        assert (got, "version" in row["error"]) == (expected, True), row
        assert isinstance(heard[0], OSError)
    else:
        assert heard == [bytes(CODES["CONNECT"])], heard
