# SPDX-License-Identifier: Apache-2.0
"""The packages, built once; and a fresh machine."""
import concurrent.futures
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from machine import Machine  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def machine(tmp_path_factory):
    """Not booted yet. It is made while the packages are built."""
    made = Machine(tmp_path_factory.mktemp("machine"))
    with concurrent.futures.ThreadPoolExecutor() as pool:
        made.ready = pool.submit(made.make)
        yield made
    if made.process is not None:
        made.stop()


@pytest.fixture(scope="session")
def packages(tmp_path_factory, machine):
    """Their files by name; lintian has looked at them."""
    folder = tmp_path_factory.mktemp("packages")
    built = subprocess.run([ROOT / "deploy/debian/build", "--check", folder], capture_output=True, text=True, timeout=500, check=False)
    machine.ready.result()
    assert built.returncode == 0, built.stdout + built.stderr
    return {path.name.split("_")[0]: path for path in folder.glob("*.deb") if "-dbgsym" not in path.name}
