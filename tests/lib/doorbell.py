# SPDX-License-Identifier: Apache-2.0
"""Calls of the local door as any program may make them: D-Bus, peer to peer, written and read here."""
import os
import socket
import struct

ALIGNED = {"s": 4, "o": 4, "g": 1, "u": 4, "b": 4, "x": 8, "v": 1, "a{sv}": 4}


def pad(data, to):
    return data + bytes(-len(data) % to)


def put(data, kind, value):
    data = pad(data, ALIGNED[kind])
    if kind in "so":
        return data + struct.pack("<I", len(value)) + value.encode() + b"\0"
    if kind == "g":
        return data + bytes([len(value)]) + value.encode() + b"\0"
    if kind == "a{sv}":
        assert value == {}
        return pad(data + struct.pack("<I", 0), 8)
    return data + struct.pack("<q" if kind == "x" else "<I", value)


def message(method, arguments, destination=None):
    """arguments: (type, value). destination: of the message; between two it means nothing to D-Bus."""
    body = b""
    for kind, value in arguments:
        body = put(body, kind, value)
    fields = b""
    for code, kind, value in ((1, "o", "/org/pesitfs/Daemon"), (2, "s", "org.pesitfs.Daemon1"), (3, "s", method),
                              (6, "s", destination), (8, "g", "".join(kind for kind, _ in arguments))):
        if value is None:
            continue
        fields = put(put(pad(fields, 8) + bytes([code]), "g", kind), kind, value)
    return pad(b"l\1\0\1" + struct.pack("<III", len(body), 1, len(fields)) + fields, 8) + body


def call(path, method, *arguments, destination=None):
    """The text of the error, or None."""
    with socket.socket(socket.AF_UNIX) as door, door.makefile("rb") as answers:
        door.settimeout(30)
        door.connect(str(path))
        door.sendall(b"\0AUTH EXTERNAL %s\r\n" % str(os.geteuid()).encode().hex().encode())
        agreed = answers.readline()
        assert agreed.startswith(b"OK "), agreed
        door.sendall(b"BEGIN\r\n" + message(method, arguments, destination))
        while True:
            head = answers.read(16)
            kind, (body, _, fields) = head[1], struct.unpack("<III", head[4:16])
            answers.read(fields + -fields % 8)
            content = answers.read(body)
            if kind == 2:
                return None
            if kind == 3:
                return content[4:4 + struct.unpack("<I", content[:4])[0]].decode()
