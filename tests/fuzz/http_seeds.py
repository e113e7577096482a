# SPDX-License-Identifier: Apache-2.0
"""Writes a request of each operation of the contract, odd ones beside them, and the words to mutate with:
http_seeds.py FOLDER DICTIONARY."""
import json
import pathlib
import re
import sys

import yaml

CONTRACT = yaml.safe_load((pathlib.Path(__file__).resolve().parents[2] / "admin/openapi.yaml").read_text(encoding="utf-8"))
KEY = b"X-API-Key: first-key-0123456789abcdef\r\n"
HEAD = b"Host: x\r\n" + KEY
PART = b"--bbbbbbbbbbbb\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n%s\r\n"
FORM = b"POST /api/v1/transfers/send HTTP/1.1\r\n" + HEAD + b"Content-Type: multipart/form-data; boundary=bbbbbbbbbbbb\r\n%s\r\n"
WORDS = ["Authorization: ", "ApiKey ", "Bearer ", "Basic ", "X-API-Key: first-key-0123456789abcdef", "If-Match: ", "If-None-Match: ", "Range: bytes=",
         "Last-Event-ID: ", "Idempotency-Key: ", "Content-Length: ", "Transfer-Encoding: chunked", "Expect: 100-continue", "Content-Type: ",
         "multipart/form-data; boundary=b", "application/x-www-form-urlencoded", "--b", "--b--", "filename=", "name=", "\r\n", "\r\n\r\n", " HTTP/1.1\r\n",
         "%2F", "%00", "%ff", "\"1\"", "W/\"1\"", "*", "192.0.2.0/24", "::1/128", "2027-01-31T00:00:00Z", "bytes=-5", "bytes=0-", "\\u0000", "\\ud800",
         "-9223372036854775808", "18446744073709551616", "1e400", "null", "true", "[]", "{}"]


def resolve(schema):
    if "$ref" in schema:
        return CONTRACT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def example(schema):
    schema = resolve(schema)
    kind = schema.get("type")
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object" or "properties" in schema:
        return {name: example(part) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {}))]
    return {"integer": 1, "number": 1, "boolean": True}.get(kind, "P")


def request(method, path, operation):
    query = "&".join("%s=%s" % (p["name"], example(p["schema"])) for p in operation.get("parameters", []) if p.get("in") == "query")
    heads = b"".join(b"%s: 1\r\n" % p["name"].encode() for p in operation.get("parameters", []) if p.get("in") == "header")
    content = operation.get("requestBody", {}).get("content", {})
    body = json.dumps(example(content["application/json"]["schema"])).encode() if "application/json" in content else b"x" if content else b""
    line = "%s %s%s HTTP/1.1\r\n" % (method.upper(), re.sub(r"\{[^}]*\}", "7", path), "?" + query if query else "")
    return line.encode() + HEAD + heads + (b"Content-Length: %d\r\n" % len(body) if body else b"") + b"\r\n" + body


def with_length(head, body):
    return head % (b"Content-Length: %d\r\n" % len(body)) + body


def odd():
    get = b"GET /api/v1/%s HTTP/1.1\r\n"
    fields = PART % (b"partner", b"", b"P") + PART % (b"path", b"", b"out/a")
    yield with_length(FORM, fields + PART % (b"file", b"; filename=\"a\"", b"bytes") + b"--bbbbbbbbbbbb--\r\n")
    yield with_length(FORM, PART % (b"partner", b"", b"\xff\xfe") + PART % (b"path", b"", b"a\0b") + PART % (b"file", b"", b"x") + b"--bbbbbbbbbbbb--\r\n")
    yield with_length(FORM, fields + b"--bbbbbbbbbbbb\r\n\r\nnameless\r\n--bbbbbbbbbbbb--\r\n")
    yield FORM % b"Transfer-Encoding: chunked\r\n" + b"5\r\n--b\r\n\r\n0\r\n\r\n"
    yield b"POST /api/v1/transfers/send?partner=P&path=out/a HTTP/1.1\r\n" + HEAD + b"Idempotency-Key: k\r\nContent-Length: 3\r\n\r\nabc"
    for text in (b"bytes=0-9", b"bytes=5-", b"bytes=-5", b"bytes=9999-", b"bytes=1-2,4-5"):
        yield get % b"transfers/7/download" + HEAD + b"Range: " + text + b"\r\nIf-None-Match: \"7-1000-0\"\r\n\r\n"
    for text in (b"Basic dTpw", b"Basic /////w==", b"Bearer x", b"ApiKey first-key-0123456789abcdef", b"Digest x"):
        yield get % b"me" + b"Host: x\r\nAuthorization: " + text + b"\r\n\r\n"
    yield get % b"me" + HEAD + b"\r\n" + get % b"status" + HEAD + b"\r\n"
    yield b"PUT /api/v1/config/files/P%2Fout%2F* HTTP/1.1\r\n" + HEAD + b"If-Match: \"2\", *\r\nContent-Length: 17\r\n\r\n{\"settings\":null}"


def names():
    for path in CONTRACT["paths"]:
        yield re.sub(r"\{.*", "", path)
    for schema in CONTRACT["components"]["schemas"].values():
        yield from ("\"%s\":" % name for name in schema.get("properties", {}))
    for methods in CONTRACT["paths"].values():
        for operation in methods.values():
            if isinstance(operation, dict):
                yield from ("%s=" % p["name"] for p in operation.get("parameters", []) if p.get("in") == "query")


def quote(text):
    return '"%s"' % "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else "\\x%02x" % c for c in text.encode())


def main(folder, dictionary):
    folder.mkdir(parents=True, exist_ok=True)
    requests = [request(method, path, operation) for path, methods in CONTRACT["paths"].items() for method, operation in methods.items()
                if method != "parameters"]
    for i, text in enumerate([*requests, *odd()]):
        (folder / ("request-%03d" % i)).write_bytes(text)
    dictionary.write_text("".join(quote(word) + "\n" for word in sorted({*WORDS, *names()})), encoding="ascii")


main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
