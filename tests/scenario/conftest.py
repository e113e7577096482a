# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from node import Node  # noqa: E402


@pytest.fixture
def node(tmp_path):
    started = Node(tmp_path).start()
    yield started
    started.stop()
