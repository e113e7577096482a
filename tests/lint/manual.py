# SPDX-License-Identifier: Apache-2.0
"""Checks the manual pages: manual.py FOLDER PESITD PESITCTL PESITFS GROFF [--write]

The parts between "generated" and "end" are what the programs print (--write puts it there), every option that a
program's help knows stands in its page and no other, and groff has nothing to warn of.
"""
import pathlib
import re
import subprocess
import sys


def ask(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\\&" + text if text[:1] in (".", "'") else text


def entry(head, *lines):
    return [".TP", ".B " + escape(head), *(escape(line) for line in lines if line)]


def keys(pesitd):
    lines = [".SH KEYS"]
    for row in ask(pesitd, "--list-keys").splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        if len(cells) != 6 or not cells[0].startswith("`"):
            continue
        name, kind, bounds, fallback, reload, meaning = (cell.replace("`", "") for cell in cells)
        facts = ", ".join(filter(None, [kind, " ".join(bounds.split()), fallback and "default " + fallback,
                                        reload == "restart" and "restart"]))
        lines += entry(name, meaning[:1].upper() + meaning[1:] + ".", "(" + facts + ")")
    return lines


def verbs(pesitctl):
    rows = [line.split("\t") for line in ask(pesitctl, "--list-verbs").splitlines()]
    lines = [".SH VERBS"]
    for _, name, arguments, own, summary in (row for row in rows if row[0] == "verb"):
        options = "".join(f" [--{option}]" for option in own.split())
        lines += entry(f"{name} {arguments}".strip() + options, summary[:1].upper() + summary[1:] + ".")
    lines.append(".SH OPTIONS")
    for _, name, value, _, summary, letter, choices in (row for row in rows if row[0] == "option"):
        lines += entry((letter and f"-{letter}, ") + f"--{name} {value}".strip(), summary[:1].upper() + summary[1:] + ".",
                       choices and f"({choices.replace(' ', ', ')})")
    lines.append(".SH EXIT STATUS")
    for _, code, meaning in (row for row in rows if row[0] == "exit"):
        lines += entry(code, meaning[:1].upper() + meaning[1:] + ".")
    return lines


def fill(page, marker, lines):
    text = "\n".join([f'.\\" generated: {marker}', *lines, '.\\" end'])
    return re.sub(rf'\.\\" generated: {marker}\n.*?\.\\" end', lambda _: text, page, flags=re.S)


def main(folder, pesitd, pesitctl, pesitfs, groff, *options):
    folder, found = pathlib.Path(folder), []
    for name, marker, lines in (("pesitd.conf.5", "keys", keys(pesitd)), ("pesitctl.1", "verbs", verbs(pesitctl))):
        page = folder / name
        text = page.read_text(encoding="utf-8")
        filled = fill(text, marker, lines)
        if options == ("--write",):
            page.write_text(filled, encoding="utf-8")
        elif filled != text or len(lines) < 60:
            found.append(f"{page}: not what the program prints: meson compile -C build documents")
    for name, program in (("pesitd.8", pesitd), ("pesitfs.8", pesitfs)):
        told = set(re.findall(r"\s--([a-z-]+)", ask(program, "--help"))) | {"help"}
        page = (folder / name).read_text(encoding="utf-8").replace("\\-", "-")
        written = set(re.findall(r"^\.(?:B|BI|BR)\s.*?--([a-z-]+)", page[page.index(".SH OPTIONS"):page.index(".SH SIGNALS")], re.M))
        found += [f"{name}: option --{option} is {'not there' if option in told else 'not known'}" for option in told ^ written]
    for page in sorted(folder.iterdir()):
        warned = subprocess.run([groff, "-k", "-man", "-Tutf8", "-ww", "-z", page], check=False, capture_output=True, text=True)
        if warned.stderr or warned.returncode:
            found.append(f"{page}: groff says {warned.stderr}")
    print("\n".join(found) or "the manual pages are complete")
    return 1 if found else 0


sys.exit(main(*sys.argv[1:]))
