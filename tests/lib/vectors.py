# SPDX-License-Identifier: Apache-2.0
"""Reads tests/vectors: dialogues as lists of (direction, bytes), "<" to the server and ">" from it."""
import pathlib

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "vectors"


def read(path):
    lines = (line.split("#")[0].split() for line in path.read_text(encoding="utf-8").splitlines())
    return [(words[0], bytes.fromhex("".join(words[1:]))) for words in lines if words]


def all_dialogues():
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.hex"))}
