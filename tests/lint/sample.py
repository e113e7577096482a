# SPDX-License-Identifier: Apache-2.0
"""Checks the sample configuration: sample.py PESITD PESITCTL SAMPLE [--write]

pesitd accepts it as it stands, and with every line taken out of its comment; it has every key that
pesitd --list-keys prints, in its place and with its default, and no other. --write puts lines of missing keys in.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

COMMENTED = re.compile(r"^( *)#(\S)", re.M)
# what does not go with the other kind of store; and certificates are in files or in the store
STORES = {("    conninfo ", "    password ", "    schema ", "    owner ", "        keystore ", "        truststore "): "sqlite",
          ("    path ", "        certificate ", "        key ", "        authorities "): "postgres"}
LEFT_OUT = {"paths.store"}
SECRETS = ("first.key", "database.password", "console.password", "bank1.received", "bank1.expected")


def check(pesitd, path):
    done = subprocess.run([pesitd, "--check-config", "--config", path], capture_output=True, text=True, check=False)
    return [] if done.returncode == 0 else [done.stderr.strip()]


def fill_folder(folder, pesitctl):
    """What the sample names below /etc/pesitfs."""
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                    "/CN=sample", "-keyout", folder / "tls.key", "-out", folder / "tls.pem"], check=True, capture_output=True)
    for name in ("ca.pem", "bank1-ca.pem"):
        (folder / name).write_bytes((folder / "tls.pem").read_bytes())
    for name in SECRETS:
        text = "only-a-test" if name.startswith("bank1") else "a-secret-of-this-test-only"
        (folder / name).write_text(text + "\n", encoding="utf-8")
        (folder / name).chmod(0o600)
    subprocess.run([pesitctl, "seal", "--key-file", folder / "seal.key"], input=b"x\n", check=True, capture_output=True)


def keys_of(text):
    """Every "key = value" with the path of its groups: its value and the number of its line. Lines of single entries
    ("{ pattern = …") are examples."""
    stack, found = [], {}
    for number, line in enumerate(text.splitlines()):
        line = line.split(" # ")[0].strip()
        opened = re.fullmatch(r"([a-z_0-9]+)(:| = \()", line)
        key = re.fullmatch(r"([a-z_0-9]+) = (.*);", line)
        if opened:
            stack.append(opened[1] + ("" if opened[2] == ":" else ".[]"))
            if opened[2] != ":":
                found[".".join(stack)[:-3]] = (None, number)
        elif line.startswith("{ "):
            if line.endswith(");"):
                stack.pop()
        elif line.startswith("}") and line != "},":
            stack.pop()
        elif key:
            found[".".join([*stack, key[1]])] = (key[2].strip('"'), number)
    return found


def rows_of(listed):
    rows = [[cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in listed.splitlines()]
    return {row[0]: row for row in rows[2:] if len(row) == 6 and row[0] not in LEFT_OUT}


def compare(listed, text):
    found, rows = keys_of(text), rows_of(listed)
    yield from (f"key '{name}' is not there: meson compile -C build documents" for name in rows if name not in found)
    yield from (f"'{name}' is no key" for name in found if name not in rows)
    for name, (value, _) in found.items():
        fallback = rows.get(name, [""] * 6)[3]
        if fallback and value != fallback:
            yield f"'{name}': default {fallback}, not {value}"


def write(listed, path):
    """Puts each missing key behind the one that is before it in the list, commented out."""
    lines, rows, before = path.read_text(encoding="utf-8").splitlines(), rows_of(listed), ""
    for name, (_, kind, _, fallback, _, meaning) in rows.items():
        found = keys_of(COMMENTED.sub(r"\1\2", "\n".join(lines)))
        if name not in found and before.rpartition(".")[0] == name.rpartition(".")[0]:
            at = found[before][1]
            indent = re.match(" *", lines[at])[0]
            value = fallback if kind in ("number", "true or false") else f'"{fallback}"'
            lines.insert(at + 1, f"{indent}#{name.rpartition('.')[2]} = {value or 'false'};".ljust(52) + " # " + meaning)
        before = name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(pesitd, pesitctl, sample, *options):
    listed = subprocess.run([pesitd, "--list-keys"], check=True, capture_output=True, text=True).stdout
    if options == ("--write",):
        write(listed, pathlib.Path(sample))
    text = pathlib.Path(sample).read_text(encoding="utf-8")
    whole = COMMENTED.sub(r"\1\2", text)
    found = check(pesitd, sample)
    found += compare(listed, whole)
    for broken in (whole.replace("    drain_ms", "    drein_ms"), whole.replace("wait_s = 600;", "")):
        assert list(compare(listed, broken)) != list(compare(listed, whole)), "the comparison sees nothing"
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        fill_folder(folder, pesitctl)
        for store in STORES:
            lines = [line for line in whole.replace("/etc/pesitfs", name).splitlines() if not line.startswith(store)]
            (folder / "all.conf").write_text("\n".join(lines).replace('"sqlite"', f'"{STORES[store]}"'), encoding="utf-8")
            found += check(pesitd, folder / "all.conf")
    print("\n".join(found) or "the sample is complete")
    return 1 if found else 0


sys.exit(main(*sys.argv[1:]))
