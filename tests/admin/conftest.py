# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from admin import FIRST_KEY, LISTENER, Api  # noqa: E402
from node import Bare, Node  # noqa: E402

COMPANY = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  retry_delays_s = [ 1 ]; retry_attempts = 1000;
  files = ( { pattern = "out/*"; mode = "send"; }, { pattern = "releves/*"; mode = "fetch"; },
            { pattern = "offer/*"; mode = "offer"; } ); } );'''


@pytest.fixture
def bank(tmp_path):
    files = '{ pattern = "in/*"; mode = "receive"; }, { pattern = "dispo/*"; mode = "offer"; }'
    started = Node(tmp_path / "bank", files=files, extra=LISTENER % FIRST_KEY).start()
    yield started
    started.stop()


@pytest.fixture
def company(tmp_path, bank):
    started = Bare(tmp_path / "company", "COMPANY", LISTENER % FIRST_KEY + COMPANY % bank.port).start()
    yield started
    started.stop()


@pytest.fixture
def api(company):
    return Api(company)
