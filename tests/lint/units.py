# SPDX-License-Identifier: Apache-2.0
"""Checks what deploy/systemd gives to an installation: units.py UNITS SYSTEMD PESITD PESITCTL PESITFS

UNITS are the configured units. systemd-analyze verifies and measures them, systemd-sysusers and
systemd-tmpfiles make user and folders below a root of their own.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# of each unit
EXPOSURE_MAX = {"pesitd.service": 2.0, "pesitfs@mnt-pesit.service": 2.0}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False)


def place(unit, folder, programs):
    """A copy of the unit that starts the programs as they are built."""
    text = unit.read_text(encoding="utf-8")
    for program in programs:
        text = re.sub(rf"(=)\S*/{program.name}\b(?=[ $])", lambda m, program=program: m[1] + str(program), text)
    path = folder / unit.name.replace("@.", "@mnt-pesit.")
    path.write_text(text, encoding="utf-8")
    return path


def verify(path):
    done = run("systemd-analyze", "verify", "--man=no", path)
    told = [line for line in done.stderr.splitlines() if path.name in line]
    return [f"verify {path.name}: {line}" for line in told] or ([f"verify: {done.stderr}"] if done.returncode else [])


def measure(path):
    limit = EXPOSURE_MAX[path.name]
    done = run("systemd-analyze", "security", "--offline=true", f"--threshold={int(limit * 10)}", path)
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    print("exposure of", path.name, exposure[1])
    return [] if done.returncode == 0 and float(exposure[1]) <= limit else [f"{path.name}: {done.stdout}{done.stderr}"]


def make_folders(sources, root):
    (root / "etc").mkdir()
    users = run("systemd-sysusers", f"--root={root}", sources / "pesitfs.sysusers")
    passwd = (root / "etc/passwd").read_text(encoding="utf-8") if not users.returncode else ""
    if not re.search(r"^pesitfs:x:\d+:\d+:PeSIT file transfers:/var/lib/pesitfs:/usr/sbin/nologin$", passwd, re.M):
        return [f"sysusers: {users.stderr}{passwd}"]
    uid = int(passwd.split("pesitfs:x:")[1].split(":")[0])
    made = run("systemd-tmpfiles", f"--root={root}", "--create", sources / "pesitfs.tmpfiles")
    found = {path: (root / path).stat() for path in ("etc/pesitfs", "var/lib/pesitfs", "run/pesitd") if (root / path).is_dir()}
    seen = {path: (stat.st_uid, oct(stat.st_mode & 0o777)) for path, stat in found.items()}
    wanted = {"etc/pesitfs": (0, "0o750"), "var/lib/pesitfs": (uid, "0o750"), "run/pesitd": (uid, "0o755")}
    return [] if seen == wanted else [f"tmpfiles: {seen} {made.stderr}"]


def main(units, sources, *programs):
    programs = [pathlib.Path(program).resolve() for program in programs]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        placed = [place(unit, folder, programs) for unit in sorted(pathlib.Path(units).glob("*.service"))]
        assert len(placed) == 2, placed
        placed.append(place(pathlib.Path(sources) / "pesitd.socket", folder, ()))
        found = [line for path in placed for line in verify(path)]
        found += [line for name in EXPOSURE_MAX for line in measure(folder / name)]
        broken = folder / "broken.service"
        broken.write_text((folder / "pesitd.service").read_text(encoding="utf-8").replace("ExecReload=", "ExecReloadd="), encoding="utf-8")
        assert verify(broken), "systemd-analyze sees nothing"
        (folder / "root").mkdir()
        found += make_folders(pathlib.Path(sources), folder / "root")
    print("\n".join(found) or "the units are good")
    return 1 if found else 0


sys.exit(main(*sys.argv[1:]))
