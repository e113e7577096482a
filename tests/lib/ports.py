# SPDX-License-Identifier: Apache-2.0
"""A port for who has to know it before it listens."""
import pathlib
import random
import socket


def free_port():
    """Free now, and not among those that the kernel gives to who asks for any: no test beside this one comes by it."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    while True:
        port = random.SystemRandom().randrange(10000, max(first, 11000))
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
