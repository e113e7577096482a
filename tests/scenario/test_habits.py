# SPDX-License-Identifier: Apache-2.0
"""What a partner's profile changes in our calls, read on the wire by a server of the second codec."""
import socket
import threading

import pytest
from fpdu import decode, diag, encode
from node import Bare

CALLER = '''partners = ( { name = "BANK1"; identifier = "BANK1"; address = "127.0.0.1"; port = %d; profile = "%s";
  retry_attempts = 1; files = ( { pattern = "get/*"; mode = "fetch"; file_name = "{name}"; } ); } );'''


def read(connection):
    """One entity of one FPDU."""
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
        more = connection.recv(65536)
        assert more, "the caller closed"
        data += more
    return decode(data[2:])[0]


@pytest.mark.parametrize("profile, connect_has, own_number", [("standard", {7, 23}, False), ("pesit-wizard", set(), True)])
def test_calls(tmp_path, profile, connect_has, own_number):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        node = Bare(tmp_path, "COMPANY", CALLER % (listening.getsockname()[1], profile)).start()
        fetch = threading.Thread(target=node.control, args=("fetch", "BANK1", "get/RELEVE", "-o", tmp_path / "got"),
                                 kwargs={"check": False})
        fetch.start()
        connection = listening.accept()[0]
        connection.settimeout(20)
        connect = read(connection)
        assert {7, 23} & set(connect.values) == connect_has
        answer = encode("ACONNECT", connect.src, 9, {6: b"\2"})
        connection.sendall(len(answer).to_bytes(2, "big") + answer)
        select = read(connection)
        assert select.name == "SELECT" and (select.number(13) != 0) == own_number
        answer = encode("ACK(SELECT)", connect.src, 0, {2: diag(2, 205)})
        connection.sendall(len(answer).to_bytes(2, "big") + answer)
        connection.close()
        fetch.join(20)
        assert node.control("transfers")[0]["state"] == "failed"
        node.stop()
