# SPDX-License-Identifier: Apache-2.0
"""Checks the format of every C file below a root: format.py CLANG_FORMAT ROOT. Another version formats differently."""
import pathlib
import subprocess
import sys

FOLDERS = ("base", "protocol", "sql", "daemon", "pesitfs", "pesitctl", "tests")


def main(program, root):
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    if " version 14." not in version:
        print("needs clang-format 14, this is:", version)
        return 77
    files = [p for folder in FOLDERS for p in sorted((pathlib.Path(root) / folder).rglob("*.[ch]"))]
    done = subprocess.run([program, "--dry-run", "-Werror", *files], cwd=root, capture_output=True, text=True)
    print(done.stderr or "%d files are in format" % len(files))
    return 1 if done.returncode else 0


sys.exit(main(*sys.argv[1:]))
