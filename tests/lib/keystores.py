# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and PKCS12 as the openssl tool makes them, and forms with files as a browser sends them."""
import pathlib
import subprocess
import uuid

from admin import Api


def openssl(*arguments, text=None, check=True):
    return subprocess.run(["openssl", *map(str, arguments)], input=text, text=True, check=check, capture_output=True)


class Maker:
    """Makes them in a folder: NAME.key, NAME.pem, NAME.p12."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def path(self, name):
        return self.folder / name

    def make(self, name, signer=None, days=400, more=()):
        """days: negative: it has expired."""
        key, pem = self.path(name + ".key"), self.path(name + ".pem")
        by = ["-CA", self.path(signer + ".pem"), "-CAkey", self.path(signer + ".key")] if signer else []
        leaf = ["-addext", "basicConstraints=critical,CA:FALSE"] if signer else []
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days, "-subj", "/CN=" + name,
                "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", pem, *by, *leaf, *more)
        return self

    def make_old(self, name):
        """One that expired years ago."""
        files = {end: self.path(name + "." + end) for end in ("key", "csr", "pem", "index", "cnf")}
        files["index"].write_text("", encoding="ascii")
        files["cnf"].write_text("[ca]\ndefault_ca = one\n[one]\ndatabase = %s\nnew_certs_dir = %s\nrand_serial = yes\ndefault_md = sha256\n"
                                "policy = any\n[any]\ncommonName = supplied\n" % (files["index"], self.folder), encoding="ascii")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout", files["key"],
                "-out", files["csr"])
        openssl("ca", "-batch", "-selfsign", "-config", files["cnf"], "-keyfile", files["key"], "-in", files["csr"], "-out", files["pem"],
                "-notext", "-startdate", "200101000000Z", "-enddate", "200201000000Z")

    def pkcs12(self, name, password, chain=None, more=()):
        with_chain = ["-certfile", self.path(chain + ".pem")] if chain else []
        openssl("pkcs12", "-export", "-inkey", self.path(name + ".key"), "-in", self.path(name + ".pem"), "-name", name,
                "-passout", "pass:" + password, "-out", self.path(name + ".p12"), *with_chain, *more)
        return self.path(name + ".p12").read_bytes()

    def both(self, name):
        """Certificate and key in one text."""
        return self.path(name + ".pem").read_bytes() + self.path(name + ".key").read_bytes()

    def pem(self, name):
        return self.path(name + ".pem").read_bytes()


def multipart(fields):
    """fields: name → text, or bytes: a file. Returns body and type."""
    mark, body = uuid.uuid4().hex, b""
    for name, value in fields.items():
        file_name = '; filename="%s"' % name if isinstance(value, bytes) else ""
        head = '--%s\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n' % (mark, name, file_name)
        body += head.encode() + (value if isinstance(value, bytes) else str(value).encode()) + b"\r\n"
    return body + ("--%s--\r\n" % mark).encode(), "multipart/form-data; boundary=" + mark


class Forms(Api):
    def form(self, method, path, **fields):
        body, kind = multipart({name: value for name, value in fields.items() if name != "If_Match"})
        headers = {"If_Match": fields["If_Match"]} if "If_Match" in fields else {}
        return self.ask(method, path, body, Content_Type=kind, **headers)

    def encoded(self, path, text):
        return self.ask("POST", path, text, Content_Type="application/x-www-form-urlencoded")


def shown_by(maker, port):
    """SHA-256 of the certificate that a listener shows to who has that of the company."""
    told = openssl("s_client", "-connect", "127.0.0.1:%d" % port, "-cert", maker.path("company.pem"), "-key", maker.path("company.key"), text="",
                   check=False).stdout
    said = openssl("x509", "-noout", "-fingerprint", "-sha256", text=told, check=False).stdout
    return said.strip().partition("=")[2].replace(":", "").lower()
