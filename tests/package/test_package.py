# SPDX-License-Identifier: Apache-2.0
"""The life of the packages on a fresh Debian, in the order of the tests: contents, installation, transfers, an upgrade over
running transfers, restarts under callers, removal, purge."""
import json
import random
import shutil
import stat
import subprocess
import threading

import pytest
from node import Bare
from ports import free_port
from valve import Valve
from waiting import eventually

BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; max_connections = 20;
  files = ( { pattern = "in/*"; mode = "receive"; }, { pattern = "dispo/*"; mode = "offer"; } ); } );'''
COMPANY = '''# written by the operator
node = "COMPANY"; timers: { drain_ms = 500; release_ms = 500; }; limits: { spool_reserve_mb = 0; };
partners = ( { name = "BANK1"; identifier = "BANK1"; address = "127.0.0.1"; port = %d; password_sent = "file:/etc/pesitfs/bank1.password"; retry_delays_s = [ 1 ];
    files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; }, { pattern = "releves/*"; mode = "fetch"; file_name = "{name}"; } ); },
  { name = "SLOW"; identifier = "BANK2"; address = "127.0.0.1"; port = %d; password_sent = "secret"; retry_delays_s = [ 1 ];
    files = ( { pattern = "out/*"; mode = "send"; } ); } );
'''
BIG = {"big.%d" % i: random.Random(i).randbytes(3_000_000) for i in range(3)}


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    """On the host, from the build."""
    node = Bare(tmp_path_factory.mktemp("bank"), "BANK1", BANK).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def slow(tmp_path_factory):
    """Another bank, over a line that stops after a few megabytes."""
    node = Bare(tmp_path_factory.mktemp("slow"), "BANK2", BANK).start()
    node.valve = Valve(node.port, 4_000_000)
    yield node
    node.valve.stop()
    node.stop()


def listing(path):
    return [line.split()[5][1:] for line in subprocess.run(["dpkg-deb", "-c", path], check=True, capture_output=True, text=True).stdout.splitlines()]


def field(path, name):
    return subprocess.run(["dpkg-deb", "-f", path, name], check=True, capture_output=True, text=True).stdout.strip()


def put(machine, packages):
    """Copies packages into the machine; their paths there."""
    for path in packages.values():
        shutil.copy(path, machine.path("/root"))
    return ["/root/" + path.name for path in packages.values()]


def pid(machine):
    return machine.run("systemctl", "show", "--property=MainPID", "--value", "pesitd").strip()


def test_every_program_and_configuration_file_has_a_manual_page(packages):
    assert sorted(packages) == ["pesitctl", "pesitd", "pesitfs"]
    there = {name: listing(path) for name, path in packages.items()}
    assert {"/usr/sbin/pesitd", "/etc/pesitfs/pesitd.conf", "/usr/share/man/man8/pesitd.8.gz", "/usr/share/man/man5/pesitd.conf.5.gz",
            "/usr/lib/sysusers.d/pesitfs.conf", "/usr/lib/tmpfiles.d/pesitfs.conf"} <= set(there["pesitd"])
    assert {"/usr/bin/pesitfs", "/usr/share/man/man8/pesitfs.8.gz"} <= set(there["pesitfs"])
    assert {"/usr/bin/pesitctl", "/usr/share/man/man1/pesitctl.1.gz", "/usr/share/bash-completion/completions/pesitctl"} <= set(there["pesitctl"])
    programs = [path for paths in there.values() for path in paths if path.startswith(("/usr/bin/", "/usr/sbin/")) and path[-1] != "/"]
    assert len(programs) == 3
    assert "fuse3" in field(packages["pesitfs"], "Depends") and "pesitctl (= " in field(packages["pesitd"], "Depends")


def test_a_fresh_installation_runs_and_waits_for_its_configuration(machine, packages):
    machine.start()
    machine.run("apt-get", "-qq", "update")
    machine.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", *put(machine, packages))
    assert machine.run("systemctl", "is-active", "pesitd") == "active\n"
    assert machine.run("systemctl", "is-enabled", "pesitd") == "enabled\n"
    assert machine.run("pesitctl", "status").startswith("a node without a name: running, ")
    assert machine.run("systemctl", "--failed", "--quiet", "--plain") == ""
    owners = machine.run("stat", "-c", "%n %U:%G %a", "/etc/pesitfs", "/etc/pesitfs/pesitd.conf", "/var/lib/pesitfs", "/run/pesitd/pesitd.sock")
    assert owners.splitlines() == ["/etc/pesitfs root:pesitfs 750", "/etc/pesitfs/pesitd.conf root:pesitfs 640", "/var/lib/pesitfs pesitfs:pesitfs 750",
                                   "/run/pesitd/pesitd.sock pesitfs:pesitfs 660"]
    assert machine.run("stat", "-c", "%U", "/proc/" + pid(machine)) == "pesitfs\n"
    assert machine.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "pesitctl", "status", check=False).returncode == 9
    machine.run("setpriv", "--reuid=nobody", "--regid=nogroup", "--groups=pesitfs", "pesitctl", "status")


def test_a_configuration_is_written_and_files_go_by_mount_and_command(machine, bank, slow):
    machine.path("/etc/pesitfs/bank1.password").write_text("secret\n", encoding="utf-8")
    machine.path("/etc/pesitfs/pesitd.conf").write_text(COMPANY % (bank.port, slow.valve.port), encoding="utf-8")
    machine.run("systemctl", "reload", "pesitd")
    machine.run("systemctl", "enable", "--now", "pesitfs@mnt-pesit.service")
    machine.path("/root/virement").write_bytes(b"<pain/>")
    machine.run("cp", "/root/virement", "/mnt/pesit/BANK1/out/by-mount")
    machine.run("pesitctl", "send", "BANK1", "/root/virement", "out/by-command")
    assert bank.received("in/by-mount") == bank.received("in/by-command") == b"<pain/>"
    bank.control("send", "COMPANY", machine.path("/root/virement"), "dispo/RELEVE")
    assert machine.run("cat", "/mnt/pesit/BANK1/releves/RELEVE") == "<pain/>"
    for unit, match in (("pesitd", "PESIT_EVENT=transfer-done"), ("pesitfs@mnt-pesit", "PESIT_EVENT=mounted")):  # fields, not only lines
        entries = [json.loads(line) for line in machine.run("journalctl", "--unit=" + unit, "--output=json", match).splitlines()]
        assert entries and {(entry["_TRANSPORT"], entry["PRIORITY"]) for entry in entries} == {("journal", "5")}, entries
        assert unit != "pesitd" or [entry["PESIT_TRANSFER"] for entry in entries] == ["1", "2", "3"], entries


class Batch(threading.Thread):
    """Jobs that copy one small file after the other into the mount, and repeat what failed under another name."""

    def __init__(self, machine):
        super().__init__()
        self.machine, self.over, self.sent, self.failed = machine, threading.Event(), {}, {}

    def run(self):
        number = 0
        while not self.over.is_set():
            name, content = "small.%d" % number, b"%d" % number * 1000
            self.machine.path("/root/small").write_bytes(content)
            done = self.machine.run("cp", "/root/small", "/mnt/pesit/BANK1/out/" + name, check=False)
            (self.sent if done.returncode == 0 else self.failed)[name] = content
            number += 1


def raised(packages, folder):
    """The same packages with a higher version."""
    folder.mkdir()
    for name, path in packages.items():
        subprocess.run(["dpkg-deb", "-R", path, folder / name], check=True)
        control = folder / name / "DEBIAN/control"
        control.write_text(control.read_text(encoding="utf-8").replace(field(path, "Version"), "9.0"), encoding="utf-8")
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", folder / name, folder / (name + "_9.0.deb")], check=True, capture_output=True)
    return {name: folder / (name + "_9.0.deb") for name in packages}


def test_an_upgrade_over_running_transfers_loses_and_doubles_nothing(machine, packages, bank, slow, tmp_path):
    newer = put(machine, raised(packages, tmp_path / "newer"))
    before = pid(machine)
    for name, content in BIG.items():
        machine.path("/root/" + name).write_bytes(content)
        machine.run("pesitctl", "send", "SLOW", "/root/" + name, "out/" + name, "--no-wait")
    batch = Batch(machine)
    batch.start()
    assert slow.valve.held.wait(60)
    eventually(lambda: len(batch.sent) > 3)
    assert "running" in machine.run("pesitctl", "transfers", "--partner", "SLOW", "--state", "running")
    machine.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", *newer)
    slow.valve.open()
    assert pid(machine) not in (before, "0") and machine.run("dpkg-query", "-W", "-f", "${Version}", "pesitd") == "9.0"
    already = len(batch.sent)
    eventually(lambda: len(batch.sent) > already + 3, 60)
    batch.over.set()
    batch.join()
    eventually(lambda: machine.run("pesitctl", "status").count("transfers running 0, queued 0, waiting for a retry 0"), 60)
    assert all(slow.received("in/" + name) == content for name, content in BIG.items())
    assert all(bank.received("in/" + name) == content for name, content in batch.sent.items())
    assert all(bank.received("in/" + name) == content for name, content in batch.failed.items() if "COMPANY/in/" + name in bank.inbox())
    for node in (bank, slow):
        taken = [row["path"] for row in node.control("transfers", "--limit", 1000, "--state", "done", "--direction", "receive")]
        assert len(taken) == len(set(taken)) and {"COMPANY/" + path for path in taken} == set(node.inbox())
    assert machine.path("/etc/pesitfs/pesitd.conf").read_text(encoding="utf-8").startswith("# written by the operator")


def test_callers_wait_in_the_socket_unit_while_the_daemon_is_away(machine, bank, tmp_path):
    port = free_port()
    machine.path("/etc/systemd/system/pesitd.socket.d").mkdir()
    machine.path("/etc/systemd/system/pesitd.socket.d/port.conf").write_text("[Socket]\nListenStream=\nListenStream=127.0.0.1:%d\n" % port, encoding="utf-8")
    config = machine.path("/etc/pesitfs/pesitd.conf")
    config.write_text(config.read_text(encoding="utf-8").replace('identifier = "BANK1";', 'identifier = "BANK1"; password_received = "secret";').replace(
        '"{name}"; } ); }', '"{name}"; }, { pattern = "in/*"; mode = "receive"; } ); }') + 'listeners = ( { address = "127.0.0.1"; port = %d; } );' % port,
        encoding="utf-8")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", "pesitd")
    machine.run("systemctl", "enable", "--now", "pesitd.socket")
    machine.run("systemctl", "start", "pesitd")
    bank.configure("BANK1", BANK.replace("{ pattern", '{ pattern = "out/*"; mode = "send"; }, { pattern', 1).replace(
        'password_received', 'address = "127.0.0.1"; port = %d; password_sent = "secret"; retry_attempts = 1; idle_s = 0; password_received' % port).replace(
        "port = 0", "port = %d" % bank.port))
    bank.control("reload")
    processes = [pid(machine)]
    for number, ends in enumerate((["stop"], ["kill", "--signal=KILL"], ["stop"])):
        (tmp_path / str(number)).write_bytes(b"%d" % number * 5000)
        machine.run("systemctl", *ends, "pesitd")
        bank.control("send", "COMPANY", tmp_path / str(number), "out/%d" % number)
        processes.append(pid(machine))
    states = {row["path"]: row["state"] for row in bank.control("transfers", "--direction", "send")}
    assert states == {"out/%d" % number: "done" for number in range(3)} and len(set(processes)) == 4
    assert all(machine.path("/var/lib/pesitfs/inbox/BANK1/in/%d" % number).read_bytes() == b"%d" % number * 5000 for number in range(3))


def test_a_removal_unmounts_and_keeps_everything_that_was_written(machine):
    machine.run("apt-get", "-qq", "-y", "remove", "pesitd", "pesitfs")
    assert machine.run("systemctl", "is-active", "pesitd", "pesitd.socket", "pesitfs@mnt-pesit", check=False).stdout.split() == ["inactive"] * 3
    assert "/mnt/pesit" not in machine.run("cat", "/proc/mounts")
    assert stat.S_ISREG(machine.path("/etc/pesitfs/pesitd.conf").stat().st_mode) and machine.path("/var/lib/pesitfs/store.db").exists()


def test_a_purge_leaves_data_unless_asked(machine):
    said = machine.run("apt-get", "-y", "purge", "pesitd", "pesitfs")
    assert "stay in /var/lib/pesitfs" in said
    assert not machine.path("/etc/pesitfs/pesitd.conf").exists() and machine.path("/etc/pesitfs/bank1.password").exists()
    machine.run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "/root/pesitd_9.0.deb")
    assert "out/big.0" in machine.run("pesitctl", "transfers", "--limit", "1000")
    machine.run("apt-get", "-y", "purge", "pesitd", PESITFS_PURGE_DATA="yes")
    assert not any(machine.path(path).exists() for path in ("/etc/pesitfs", "/var/lib/pesitfs", "/usr/sbin/pesitd"))
    assert machine.run("systemctl", "is-system-running") == "running\n"
