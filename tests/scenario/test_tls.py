# SPDX-License-Identifier: Apache-2.0
"""The same over TLS: who is trusted gets in, who is not gets nothing."""
import hashlib
import random
import ssl
import subprocess

import pytest
from node import FILES, Node
from peer import Requester

FILE = random.Random(8).randbytes(300_000)


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_certificate(folder, name, authority=None):
    """A key and a certificate, signed by an authority's name or by itself."""
    files = [str(folder / (name + end)) for end in (".key", ".pem")]
    signer = ["-CA", str(folder / (authority + ".pem")), "-CAkey", str(folder / (authority + ".key"))] if authority else []
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=" + name,
            "-addext", "subjectAltName=DNS:localhost", "-keyout", files[0], "-out", files[1], *signer)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("authority", "stranger"):
        make_certificate(folder, name)
    for name, authority in (("bank", "authority"), ("company", "authority"), ("thief", "stranger")):
        make_certificate(folder, name, authority)
    return folder


def client(certificates, own=None, **more):
    context = ssl.create_default_context(cafile=str(certificates / "authority.pem"))
    for name, value in more.items():
        setattr(context, name, value)
    if own:
        context.load_cert_chain(certificates / (own + ".pem"), certificates / (own + ".key"))
    return context


def start(tmp_path, certificates, required=False, partner=""):
    tls = 'tls: { certificate = "%s"; key = "%s"; %s };' % (
        certificates / "bank.pem", certificates / "bank.key",
        'authorities = "%s"; client_certificate = "required";' % (certificates / "authority.pem") if required else "")
    return Node(tmp_path, FILES, partner=partner, tls=tls).start()


def test_a_file_arrives(tmp_path, certificates):
    node = start(tmp_path, certificates)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        requester = Requester(node.port, tls=client(certificates, maximum_version=version))
        assert requester.connect().name == "ACONNECT"
        assert requester.write(version.name, FILE) == "0/000"
        assert node.received("in/" + version.name) == FILE
        requester.close()
    node.stop()


def test_plain_bytes_on_a_tls_port(tmp_path, certificates):
    node = start(tmp_path, certificates)
    requester = Requester(node.port)
    requester.raw(b"\0\x06\0\x06\x40\x20\0\x01" * 10)
    requester.close()
    assert Requester(node.port, tls=client(certificates)).connect().name == "ACONNECT"
    node.stop()


@pytest.mark.parametrize("own", [None, "thief"])
def test_untrusted_clients(tmp_path, certificates, own):
    node = start(tmp_path, certificates, required=True)
    with pytest.raises((ssl.SSLError, ConnectionError, OSError)):
        requester = Requester(node.port, tls=client(certificates, own, maximum_version=ssl.TLSVersion.TLSv1_2))
        requester.connect()
    requester = Requester(node.port, tls=client(certificates, "company"))
    assert requester.connect().name == "ACONNECT"
    requester.close()
    node.stop()


@pytest.mark.parametrize("right", [True, False])
def test_partner_bound_to_its_certificate(tmp_path, certificates, right):
    pem = (certificates / ("company.pem" if right else "bank.pem")).read_text()
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
    node = start(tmp_path, certificates, required=True, partner='client_certificate_sha256 = "%s";' % digest)
    answer = Requester(node.port, tls=client(certificates, "company")).connect()
    assert (answer.name, answer.diag) == (("ACONNECT", "0/000") if right else ("RCONNECT", "3/304"))
    node.stop()
