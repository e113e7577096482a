# SPDX-License-Identifier: Apache-2.0
"""Checks the sample configuration: sample.py PESITD PESITCTL SAMPLE

pesitd accepts it as it stands, and with every line taken out of its comment; it has every key that
pesitd --list-keys prints, in its place and with its default, and no other.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

COMMENTED = re.compile(r"^( *)#(\S)", re.M)
# what does not go with the other kind of store
STORES = {("    conninfo ", "    schema ", "    owner "): "sqlite", ("    path ",): "postgres"}
SECRETS = ("first.key", "bank1.received", "bank1.expected")


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
        (folder / name).write_text("a-secret-of-this-test-only\n", encoding="utf-8")
        (folder / name).chmod(0o600)
    subprocess.run([pesitctl, "seal", "--key-file", folder / "seal.key"], input=b"x\n", check=True, capture_output=True)


def keys_of(text):
    """Every "key = value" with the path of its groups; lines of single entries ("{ pattern = …") are examples."""
    stack, found = [], {}
    for line in text.splitlines():
        line = line.split(" # ")[0].strip()
        opened = re.fullmatch(r"([a-z_0-9]+)(:| = \()", line)
        if opened:
            stack.append(opened[1] + ("" if opened[2] == ":" else ".[]"))
            if opened[2] != ":":
                found[".".join(stack)[:-3]] = None
        elif line.startswith("}") and line != "},":
            stack.pop()
        elif line == "{ pattern" or line.startswith("{ "):
            if line.endswith(");"):
                stack.pop()
        else:
            key = re.fullmatch(r"([a-z_0-9]+) = (.*);", line)
            if key:
                found[".".join([*stack, key[1]])] = key[2].strip('"')
    return found


def compare(listed, text):
    found, left_out = keys_of(text), {"paths.store"}
    rows = [[cell.strip().replace("`", "") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in listed.splitlines()]
    rows = {row[0]: row for row in rows[2:] if len(row) == 6}
    yield from (f"key '{name}' is not there" for name in rows if name not in found and name not in left_out)
    yield from (f"'{name}' is no key" for name in found if name not in rows)
    for name, value in found.items():
        fallback = rows.get(name, [""] * 6)[3]
        if fallback and f'#{name.split(".")[-1]} = ' in text and value != fallback:
            yield f"'{name}': default {fallback}, not {value}"


def main(pesitd, pesitctl, sample):
    text = pathlib.Path(sample).read_text(encoding="utf-8")
    listed = subprocess.run([pesitd, "--list-keys"], check=True, capture_output=True, text=True).stdout
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
