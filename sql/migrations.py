# SPDX-License-Identifier: Apache-2.0
"""Writes a C file with the migrations of one kind of schema: migrations.py OUTPUT ARRAY INPUT...

An input NNNN-name.sql serves both back ends: its tokens become each one's words. Where that is not enough there are two
inputs, NNNN-name.sqlite.sql and NNNN-name.postgres.sql. The recorded SHA-256 is that of the inputs' bytes. A kind of schema
that one back end alone has is given no inputs for the other.
"""
import hashlib
import pathlib
import sys

TOKENS = {
    "@ID@": ("INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    "@I64@": ("INTEGER", "BIGINT"),
    "@TEXT@": ("TEXT", 'TEXT COLLATE "C"'),  # compared byte by byte, as paths are
}
BACK_ENDS = ("sqlite", "postgres")


def quote(text):
    if text is None:
        return "        NULL"
    lines = text.replace("\\", "\\\\").replace('"', '\\"').splitlines()
    return "\n".join('        "%s\\n"' % line for line in lines)


def words(text, back_end):
    for token, replacements in TOKENS.items():
        text = text.replace(token, replacements[back_end])
    if "@" in text:
        raise SystemExit("migrations.py: unknown token in: " + text[text.index("@"):][:40])
    return text


def read(paths):
    """Migrations in order: number and name -> the text of each back end, and the digest."""
    found = {}
    for path in sorted(paths):
        name, _, variant = pathlib.Path(path).name.removesuffix(".sql").partition(".")
        text = pathlib.Path(path).read_text(encoding="utf-8")
        texts, digest = found.setdefault(name, ([None, None], hashlib.sha256()))
        digest.update(text.encode())
        for i, back_end in enumerate(BACK_ENDS):
            if variant in ("", back_end):
                texts[i] = words(text, i)
    used = [any(texts[i] for texts, _ in found.values()) for i in range(len(BACK_ENDS))]
    for i, (name, (texts, _)) in enumerate(found.items()):
        if int(name[:4]) != i + 1 or [text is not None for text in texts] != used:
            raise SystemExit("migrations.py: %s is out of order, or lacks a back end" % name)
    return found


def main(output, array, paths):
    parts = ["/* Generated: do not edit. */", '#include "sql/migrations.h"', "", "#include <stddef.h>", "",
             "const SqlMigration %s[] = {" % array]
    for name, (texts, digest) in read(paths).items():
        parts += ['    {"%s", "%s", {' % (name, digest.hexdigest()),
                  quote(texts[0]) + ",", quote(texts[1]) + "}},"]
    parts += ["    {NULL, NULL, {NULL, NULL}},", "};", ""]
    pathlib.Path(output).write_text("\n".join(parts), encoding="utf-8")


main(sys.argv[1], sys.argv[2], sys.argv[3:])
