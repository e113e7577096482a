# SPDX-License-Identifier: Apache-2.0
"""Writes a C file with an array of texts: embed.py OUTPUT ARRAY HEADER INPUT...

The inputs keep their order; the array ends with NULL.
"""
import sys


def quote(line):
    escaped = line.replace("\\", "\\\\").replace('"', '\\"')
    return '    "%s\\n"' % escaped


def main(output, array, header, inputs):
    parts = ["/* Generated: do not edit. */", '#include "%s"' % header, "", "#include <stddef.h>", "",
             "const char *const %s[] = {" % array]
    for name in inputs:
        with open(name, encoding="utf-8") as source:
            parts += [quote(line) for line in source.read().splitlines()]
        parts.append("    ,")
    parts += ["    NULL,", "};", ""]
    with open(output, "w", encoding="utf-8") as target:
        target.write("\n".join(parts))


main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
