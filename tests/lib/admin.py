# SPDX-License-Identifier: Apache-2.0
"""Talks to the administration of a node, over HTTP as a script does."""
import http.client
import json
import re

LISTENER = 'admin: { listeners = ( { port = 0; } ); first_key = "%s"; requests_per_s = 100000; };'
FIRST_KEY = "first-key-0123456789abcdef"


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %r" % (self.status, self.body[:300])


class Api:
    """One address of the administration of a node."""

    def __init__(self, node, key=FIRST_KEY, index=0):
        self.node, self.key, self.source = node, key, None
        self.port = int(re.findall(r"HTTP=(\d+)", node.log())[index])

    def connect(self, timeout=30):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout, source_address=self.source)

    def ask(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.key and "Authorization" not in headers:
            headers["X-API-Key"] = self.key
        if isinstance(body, dict):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        connection = self.connect()
        connection.request(method, path, body, headers)
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)

    def post(self, path, body=None, **headers):
        return self.ask("POST", path, body, **headers)

    def as_key(self, key):
        other = Api.__new__(Api)
        other.node, other.port, other.source, other.key = self.node, self.port, self.source, key
        return other

    def from_address(self, address):
        """The same, by one who calls from another address of this machine: 127.0.0.2."""
        other = self.as_key(self.key)
        other.source = (address, 0)
        return other
