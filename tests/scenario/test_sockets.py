# SPDX-License-Identifier: Apache-2.0
"""Sockets of the service manager: callers find them open while the daemon restarts, stops or dies, and are served when it is back."""
import os
import pathlib
import signal
import socket
import subprocess
import threading

import pytest
from node import BUILD, Bare
from peer import Requester
from ports import free_port
from waiting import eventually, logged

TEXT = '''%s timers: { drain_ms = 20000; };
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; files = ( { pattern = "in/*"; mode = "receive"; } ); } );'''
LISTENER = 'listeners = ( { address = "127.0.0.1"; port = %d; } );'


@pytest.fixture
def handed():
    """A listening socket that is not the daemon's."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as one:
        yield one


@pytest.fixture
def port(handed):
    return handed.getsockname()[1]


@pytest.fixture
def node(tmp_path, handed, port):
    made = Bare(tmp_path / "node", "BANK1", TEXT % (LISTENER % port)).start({"pesit": handed})
    yield made
    made.stop()


def write(port, name, content=b"payment"):
    """A whole transfer as a partner sends one."""
    requester = Requester(port)
    requester.connect()
    requester.write(name, content)
    requester.release()
    requester.close()


def test_who_calls_during_a_restart_is_served_afterwards(node, handed, port):
    assert node.port == port
    write(port, "before")
    node.stop()
    failures = []

    def call(number):
        try:
            write(port, "during%d" % number)
        except (OSError, AssertionError) as failure:
            failures.append(failure)

    callers = [threading.Thread(target=call, args=(number,)) for number in range(5)]
    for one in callers:
        one.start()  # nobody is there
    node.start({"pesit": handed})
    for one in callers:
        one.join(30)
    assert failures == [] and node.inbox() == ["COMPANY/in/" + name for name in ["before", *("during%d" % number for number in range(5))]]


def test_while_it_drains_new_callers_wait_for_the_next_and_old_ones_end(node, handed, port):
    old = Requester(port)
    old.connect()
    old.create("old")
    assert old.ask("ORF").diag == old.ask("WRITE").diag == "0/000"
    node.process.send_signal(signal.SIGTERM)
    logged(node, "stopping")
    new = threading.Thread(target=write, args=(port, "new"))
    new.start()
    old.data(b"payment")
    assert old.finish(b"payment").name == "ACK(TRANS.END)"
    old.leave()
    old.close()
    assert node.process.wait(30) == 0 and node.inbox() == ["COMPANY/in/old"] and new.is_alive()
    node.start({"pesit": handed})
    new.join(30)
    assert node.inbox() == ["COMPANY/in/new", "COMPANY/in/old"]


def test_callers_of_a_daemon_that_was_killed_wait_for_the_next(node, handed, port):
    node.kill()
    caller = threading.Thread(target=write, args=(port, "file"))
    caller.start()
    node.start({"pesit": handed})
    caller.join(30)
    assert node.inbox() == ["COMPANY/in/file"]


def test_a_reload_that_stops_and_serves_the_address_again(node, port):
    node.configure("BANK1", TEXT % "")
    node.control("reload")
    assert node.control("status")["listeners"] == []
    caller = threading.Thread(target=write, args=(port, "file"))
    caller.start()
    node.configure("BANK1", TEXT % (LISTENER % port))
    node.control("reload")
    caller.join(30)
    assert node.inbox() == ["COMPANY/in/file"] and node.control("status")["listeners"][0]["port"] == port


def test_sockets_that_no_listener_has_are_named(tmp_path, handed, port):
    with socket.create_server(("127.0.0.2", 0)) as stray, socket.socket(socket.AF_UNIX) as local:
        node = Bare(tmp_path / "node", "BANK1", TEXT % (LISTENER % port)).start({"pesit": handed, "stray": stray, "local": local})
        assert node.port == port
        assert 'SOCKET="stray: no listener has \'127.0.0.2\' port %d"' % stray.getsockname()[1] in node.log()
        assert 'SOCKET="local: not a TCP socket that listens"' in node.log() and "pesit:" not in node.log()
        node.stop()


def test_sockets_for_another_process_are_left_alone(tmp_path, handed, port):
    node = Bare(tmp_path / "node", "BANK1", TEXT % (LISTENER % port))
    done = subprocess.run([BUILD / "daemon/pesitd", "--config", node.config], env={**os.environ, "LISTEN_PID": "1", "LISTEN_FDS": "1"},
                          capture_output=True, text=True, timeout=30, check=False, pass_fds=[handed.fileno()])
    assert done.returncode == 1 and "port %d: Address already in use" % port in done.stderr


def test_the_administration_takes_its_socket_too(tmp_path, handed, port):
    node = Bare(tmp_path / "node", "BANK1", TEXT % "admin: { listeners = ( { port = %d; } ); };" % port).start({"admin": handed})
    with socket.create_connection(("127.0.0.1", port), 20) as caller:
        caller.sendall(b"GET /health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert caller.recv(100).startswith(b"HTTP/1.1 200")
    node.stop()


def test_it_is_started_by_the_first_caller(tmp_path):
    """systemd's own tool opens the socket."""
    port = free_port()
    node = Bare(tmp_path / "node", "BANK1", TEXT % (LISTENER % port))
    with open(node.log_path, "ab") as log:
        node.process = subprocess.Popen(["systemd-socket-activate", "--listen=127.0.0.1:%d" % port, "--fdname=pesit", BUILD.resolve() / "daemon/pesitd",
                                         "--config", node.config], stderr=log)
    eventually(lambda: "Listening on" in node.log())
    assert pathlib.Path("/proc/%d/comm" % node.process.pid).read_text(encoding="utf-8").startswith("systemd-socket")
    write(port, "first")
    assert node.inbox() == ["COMPANY/in/first"]
    node.stop()
