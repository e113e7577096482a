# SPDX-License-Identifier: Apache-2.0
"""Checks docs/pesitctl.md against pesitctl's own table of verbs, options and exit codes: verbs.py PESITCTL DOCUMENT"""
import re
import subprocess
import sys


def complaints(table, document):
    """Everything that the document lacks or has too much."""
    rows = [line.split("\t") for line in table.splitlines()]
    sections = dict(re.findall(r"^### ([a-z -]+)\n(.*?)(?=^##|\Z)", document, re.M | re.S))
    verbs = {row[1]: row[2:] for row in rows if row[0] == "verb"}
    options = {row[1]: row for row in rows if row[0] == "option"}
    yield from (f"section '{name}' is of no verb" for name in sections if name not in verbs)
    for name, (arguments, own, _) in verbs.items():
        section = sections.get(name, "")
        usage = f"\n    pesitctl {name} {arguments}".rstrip() + "\n"
        if usage not in section:
            yield f"no section '{name}' with the line '{usage.strip()}'"
        yield from (f"'{name}' lacks --{option}" for option in own.split() if f"--{option}" not in section)
        for said in set(re.findall(r"`--([a-z-]+)", section)) - set(own.split()):
            if said not in options or options[said][3] != "everywhere":
                yield f"'{name}' has --{said}, which it does not take"
    for row in options.values():
        if row[3] == "everywhere" and not re.search(rf"^\| `--{row[1]}[ `]", document, re.M):
            yield f"no row of --{row[1]}"
    exits = re.findall(r"^\| (\d+) \| (.*) \|$", document, re.M)
    if exits != [(row[1], row[2]) for row in rows if row[0] == "exit"]:
        yield f"the exit codes are not those of pesitctl: {exits}"


def main(program, path):
    table = subprocess.run([program, "--list-verbs"], check=True, capture_output=True, text=True).stdout
    with open(path, encoding="utf-8") as file:
        document = file.read()
    found = list(complaints(table, document))
    proof = list(complaints(table, document.replace("### show", "### shew").replace("`--no-wait`", "").replace("| 9 |", "| 19 |")))
    assert len(proof) >= len(found) + 4, proof
    print("\n".join(found) or "docs/pesitctl.md is complete")
    return 1 if found else 0


sys.exit(main(*sys.argv[1:]))
