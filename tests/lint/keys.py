# SPDX-License-Identifier: Apache-2.0
"""Checks that docs/configuration.md is what pesitd prints: keys.py PESITD DOCUMENT [--write]"""
import pathlib
import subprocess
import sys

HEAD = """# Configuration

Every key of `pesitd.conf`, as `pesitd --list-keys` prints them. The syntax is libconfig's; relative paths are relative to the
file. A side of TLS names files (`tls.certificate`, `tls.key`, `tls.authorities`) or what is in the store (`tls.keystore`, `tls.truststore`, imported by
`pesitctl certificate import` or the [API](api.md#certificates)), not both; those of the administration name files. Secrets are clear text, `file:/path`, `sealed:…` (needs `paths.key_file`) or `verifier:…` (can only be compared).


"""


def main(program, document, *options):
    expected = HEAD + subprocess.run([program, "--list-keys"], check=True, capture_output=True, text=True).stdout
    if options == ("--write",):
        pathlib.Path(document).write_text(expected, encoding="utf-8")
        return 0
    if pathlib.Path(document).read_text(encoding="utf-8") == expected:
        return 0
    print("docs/configuration.md is not what pesitd --list-keys prints: meson compile -C build documents")
    return 1


sys.exit(main(*sys.argv[1:]))
