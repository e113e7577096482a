# SPDX-License-Identifier: Apache-2.0
"""Checks docs/pesitctl.md and the completion against pesitctl's own table of verbs, options and exit codes:
verbs.py PESITCTL DOCUMENT COMPLETION
"""
import pathlib
import re
import subprocess
import sys


# reads lines of a command line that ends where completion is asked for; prints the replies of each on a line
COMPLETE = r"""source "$1" && complete -p pesitctl | grep -q -- '-F _pesitctl pesitctl' || exit 1
while read -r line; do
    read -ra COMP_WORDS <<<"$line"
    [[ ${COMP_WORDS[-1]} == -- ]] || COMP_WORDS+=("")
    COMP_WORDS[0]=$2; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _pesitctl
    echo "${COMPREPLY[*]}"
done"""


def complete(program, completion, lines):
    done = subprocess.run(["bash", "-c", COMPLETE, "complete", completion, program], input="\n".join(lines) + "\n", check=True,
                          capture_output=True, text=True)
    return [set(line.split()) for line in done.stdout.splitlines()] if not done.stderr else [done.stderr]


def completed(table, program, completion):
    """Every line whose completion is not what the table says."""
    rows = [line.split("\t") for line in table.splitlines()]
    verbs = {row[1]: row[3].split() for row in rows if row[0] == "verb"}
    everywhere = {"--" + row[1] for row in rows if row[0] == "option" and row[3] == "everywhere"}
    wanted = {"pesitctl": {"help"} | {name.split()[0] for name in verbs}}
    for name, own in verbs.items():
        noun, _, second = name.partition(" ")
        wanted[f"pesitctl {name} --"] = everywhere | {"--" + option for option in own}
        if second:
            wanted[f"pesitctl help {noun}"] = {other.split()[1] for other in verbs if other.startswith(noun + " ")}
    for row in rows:
        if row[0] == "option" and row[2]:  # its value is none of the words that count
            for written in filter(None, ("--" + row[1], row[5] and "-" + row[5])):
                wanted[f"pesitctl {written} x key"] = wanted["pesitctl help key"]
    replies = complete(program, completion, wanted)
    for (line, words), reply in zip(wanted.items(), replies):
        if reply != words:
            yield f"completion of '{line}': {sorted(reply)} instead of {sorted(words)}"
    if len(replies) != len(wanted):
        yield f"completion: {replies[-1]}"


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


def main(program, path, completion):
    table = subprocess.run([program, "--list-verbs"], check=True, capture_output=True, text=True).stdout
    with open(path, encoding="utf-8") as file:
        document = file.read()
    found = list(complaints(table, document))
    proof = list(complaints(table, document.replace("### show", "### shew").replace("`--no-wait`", "").replace("| 9 |", "| 19 |")))
    assert len(proof) >= len(found) + 4, proof
    found += completed(table, str(pathlib.Path(program).resolve()), completion)
    assert list(completed(table.replace("no-wait", "now-wait"), str(pathlib.Path(program).resolve()), completion)), "sees nothing"
    print("\n".join(found) or "docs/pesitctl.md is complete")
    return 1 if found else 0


sys.exit(main(*sys.argv[1:]))
