# SPDX-License-Identifier: Apache-2.0
"""Writes what documents have from the programs: documents.py ROOT PESITD PESITCTL PESITFS GROFF"""
import pathlib
import subprocess
import sys

root, pesitd, pesitctl, pesitfs, groff = sys.argv[1:]
here = pathlib.Path(__file__).parent
for script, *arguments in (("keys.py", pesitd, root + "/docs/configuration.md"), ("sample.py", pesitd, pesitctl, root + "/deploy/pesitd.conf"),
                           ("manual.py", root + "/deploy/man", pesitd, pesitctl, pesitfs, groff)):
    subprocess.run([sys.executable, here / script, *arguments, "--write"], check=True)

guide = pathlib.Path(root, "docs/api.md")
routes = subprocess.run([pesitd, "--list-routes"], check=True, capture_output=True, text=True).stdout
guide.write_text(guide.read_text(encoding="utf-8").partition("\n## Routes\n")[0] + "\n## Routes\n\n" + routes, encoding="utf-8")
