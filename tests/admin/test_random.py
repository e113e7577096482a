# SPDX-License-Identifier: Apache-2.0
"""Requests made by chance from the contract: no answer is a failure of ours, and each is of the shape that the contract says."""
import base64
import json
import random
import time
import urllib.parse

import pytest
import yaml
from admin import FIRST_KEY, LISTENER, Api
from node import Bare

PARTNER = '''partners = ( { name = "P"; identifier = "P"; address = "127.0.0.1"; port = 1; retry_delays_s = [ 1000 ];
  files = ( { pattern = "out/*"; mode = "send"; }, { pattern = "in/*"; mode = "fetch"; } ); } );
  listeners = ( { name = "L"; address = "127.0.0.1"; port = 0; } );'''
WORDS = ["P", "L", "out/*", "P/out/*", "", ".", "..", "a/b", "\u00e9\u20ac", "x" * 300, "' OR 1=1 --", "\"};@include \"/etc/passwd\"", "true", "0", "-1",
         "1e9", "127.0.0.1", "{}", "%s%n", "a\nb", "file:/etc/shadow", "sealed:!!", "null", "2027-01-01", "READ", "send", "receive", "BOTH"]
NUMBERS = [0, 1, -1, 2, 128, 1048576, 65535, 65536, 2**31, 2**63 - 1, -2**63]
APART = {"events", "createUser", "updateUser", "removeKey", "updateKey", "regenerateKey"}  # has no end, are slow by intent, take our own key
SECONDS = 6


@pytest.fixture
def node(tmp_path):
    started = Bare(tmp_path / "n", "N", LISTENER % FIRST_KEY + PARTNER).start()
    yield started
    started.stop()


class Chance:
    """One run: its numbers, and the ids that it has seen."""

    def __init__(self, contract, seed):
        self.contract, self.random, self.seen = contract, random.Random(seed), ["P", "L", "P/out/*"]

    def resolve(self, schema):
        if "$ref" in schema:
            return self.resolve(self.contract["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        if "allOf" in schema:
            parts = [self.resolve(part) for part in schema["allOf"]]
            return {"type": "object", "required": [name for part in parts for name in part.get("required", [])],
                    "properties": {name: told for part in parts for name, told in part.get("properties", {}).items()}}
        return schema

    def value(self, schema, depth=0):
        schema = self.resolve(schema)
        if self.random.random() < 0.15:  # of no kind that is wanted
            return self.random.choice([None, True, [], {}, [1, "a"], {"a": {"b": [None]}}, 0.5, *NUMBERS, *WORDS])
        if "enum" in schema and self.random.random() < 0.8:
            return self.random.choice(schema["enum"])
        kind = schema.get("type")
        if kind == "object":
            fields = {name: self.value(part, depth + 1) for name, part in schema.get("properties", {}).items()
                      if name in schema.get("required", []) or self.random.random() < 0.5}
            if self.random.random() < 0.1:
                fields[self.random.choice(WORDS)] = self.random.choice(WORDS)
            return fields
        if kind == "array":
            return [self.value(schema.get("items", {}), depth + 1) for _ in range(self.random.randrange(3))]
        if kind in ("integer", "number"):
            return self.random.choice(NUMBERS)
        return self.random.random() < 0.5 if kind == "boolean" else self.random.choice(WORDS + self.seen)

    def path(self, path):
        parts = [urllib.parse.quote(self.random.choice(WORDS + self.seen * 3), safe="") if part.startswith("{") else part
                 for part in path.split("/")]
        return "/".join(parts)

    def request(self, path, operation):
        query = [(p["name"], self.value(p["schema"])) for p in operation.get("parameters", [])
                 if p.get("in") == "query" and self.random.random() < 0.5]
        headers = {p["name"]: self.random.choice(['"1"', "*", "x", '"1", "2"']) for p in operation.get("parameters", [])
                   if p.get("in") == "header" and self.random.random() < 0.5}
        body = None
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]
            body = self.value(content["application/json"]["schema"]) if "application/json" in content else "bytes"
            if isinstance(body, dict) and "bindAddress" in body:
                body["bindAddress"] = "127.0.0.1"
            if isinstance(body, dict) and operation["operationId"].startswith("createListener"):
                body["address"] = "127.0.0.1"
            body = json.dumps(body).encode()
            if self.random.random() < 0.05:
                body = body[:-1] + b"\xff"
        return self.path(path) + ("?" + urllib.parse.urlencode(query) if query else ""), body, headers

    def note(self, answer):
        known = answer if isinstance(answer, list) else [answer]
        for thing in known[:3]:
            for name in ("id", "serverId", "transferId"):
                if isinstance(thing, dict) and thing.get(name) and str(thing[name]) not in self.seen:
                    self.seen = self.seen[-30:] + [str(thing[name])]


def check_shape(chance, schema, value, told):
    """Every field is one of the contract, and is of its kind; "ignored" may be with each."""
    schema = chance.resolve(schema)
    if value is None:
        assert schema.get("nullable"), told
        return
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
    assert isinstance(value, kinds[schema["type"]]), (schema, value, told)
    assert "enum" not in schema or value in schema["enum"], (schema, value, told)
    for item in value if schema["type"] == "array" else []:
        check_shape(chance, schema["items"], item, told)
    if schema["type"] == "object" and "properties" in schema:
        assert set(schema.get("required", [])) <= set(value) <= set(schema["properties"]) | {"ignored"}, (schema, value, told)
        for name in set(value) & set(schema["properties"]):
            check_shape(chance, schema["properties"][name], value[name], told)


def check(chance, operation, answer, told):
    assert answer.status < 500 or (answer.status == 501 and "501" in operation["responses"]), told
    kind = answer.headers["Content-Type"]
    if answer.status >= 400:
        assert kind == "application/problem+json" and answer.json["status"] == answer.status, told
        return
    declared = operation["responses"].get(str(answer.status))
    assert declared, told
    if kind == "application/json":
        check_shape(chance, next(iter(declared["content"].values()))["schema"], answer.json, told)
        chance.note(answer.json)


@pytest.mark.parametrize("seed", [1, time.time_ns()])
def test_no_request_breaks_it(node, seed):
    api = Api(node)
    chance = Chance(yaml.safe_load(api.get("/openapi.yaml").body), seed)
    rows = [(path, method, operation) for path, methods in chance.contract["paths"].items() for method, operation in methods.items()
            if method != "parameters" and operation["operationId"].rstrip("0123456789") not in APART]
    until, rounds = time.monotonic() + SECONDS / 2, 0
    while time.monotonic() < until or rounds < 2:
        for path, method, operation in rows:
            target, body, headers = chance.request(path, operation)
            answer = api.ask(method.upper(), target, body, **headers)
            check(chance, operation, answer, (seed, method, target, body, headers, answer))
        rounds += 1
    assert api.get("/health/ready").status == 200
    assert node.control("reload") == {"reloaded": True, "needs_restart": ""} and api.get("/api/v1/audit/verify").json["valid"]


@pytest.mark.parametrize("shown", [b"\xff\xfe:x", b"\xff:", b"a\0b:x", b":", b"", b"\xc3\xa9:x", b"x" * 3000 + b":y", b"a:" + b"y" * 300])
def test_no_credential_breaks_it(node, shown):
    answer = Api(node, key="").get("/api/v1/me", Authorization="Basic " + base64.b64encode(shown).decode())
    assert answer.status == 401 and answer.json["type"].endswith("unauthenticated"), answer


@pytest.mark.parametrize("shown", ["Basic", "Basic ", "Basic !!!!", "Bearer", "Bearer ", "ApiKey " + "x" * 3000, "ApiKey \xff", "\xff", "Digest x"])
def test_no_word_breaks_it(node, shown):
    assert Api(node, key="").get("/api/v1/me", Authorization=shown).status == 401


def test_what_is_allowed_is_said_once(node):
    told = {path: Api(node).ask("OPTIONS", path).headers["Allow"].split(", ") for path in ("/api/v1/partners/active", "/api/v1/transfers/send", "/api/v1/me")}
    assert all(len(set(methods)) == len(methods) for methods in told.values()), told
