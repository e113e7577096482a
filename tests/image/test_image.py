# SPDX-License-Identifier: Apache-2.0
"""The container image: what is in it, and the main job by two containers of it, with TLS to the bank, TLS and a password to PostgreSQL, and
every secret in a file. Run by deploy/image/test."""
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
from container import Containers  # noqa: E402
from node import Bare  # noqa: E402
from ports import free_port  # noqa: E402
from postgres import Postgres  # noqa: E402
from waiting import eventually  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "localhost/pesitfs:test"
USER = 10001
MIB = 1 << 20
BANK = '''listeners = ( { address = "127.0.0.1"; port = 0;
  tls: { certificate = "%(s)s/bank.pem"; key = "%(s)s/bank.key"; authorities = "%(s)s/ca.pem"; client_certificate = "required"; }; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "canary-p";
  files = ( { pattern = "in/*"; mode = "receive"; }, { pattern = "dispo/*"; mode = "offer"; } ); } );'''
COMPANY = '''node = "COMPANY"; timers: { drain_ms = 500; release_ms = 500; }; limits: { spool_reserve_mb = 0; };
store: { backend = "postgres"; schema = "cluster_one"; password = "file:/run/secrets/pesit/database.password";
  conninfo = "host=localhost hostaddr=127.0.0.1 port=%d dbname=pesitwizard user=cluster_one sslrootcert=/run/secrets/pesit/ca.pem"; };
partners = ( { name = "BANK1"; identifier = "BANK1"; address = "127.0.0.1"; port = %d; password_sent = "file:/run/secrets/pesit/bank1.password";
  tls: { enabled = true; host_name = "localhost"; authorities = "/run/secrets/pesit/ca.pem"; certificate = "/run/secrets/pesit/company.pem";
         key = "/run/secrets/pesit/company.key"; };
  files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; }, { pattern = "releves/*"; mode = "fetch"; file_name = "{name}"; } ); } );'''


@pytest.fixture(scope="module")
def containers():
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "pesitfs/image"
    made = Containers(cache)
    made.build(ROOT / "deploy/image/build", NAME)
    return made


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    """As Kubernetes mounts them: of root, and readable by the group of the pod."""
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=authority",
                    "-keyout", folder / "ca.key", "-out", folder / "ca.pem"], check=True, capture_output=True)
    (folder / "names").write_text("subjectAltName=DNS:localhost\n", encoding="utf-8")
    for name in ("bank", "company", "database"):
        subprocess.run(["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name, "-keyout",
                        folder / (name + ".key"), "-out", folder / "request"], check=True, capture_output=True)
        subprocess.run(["openssl", "x509", "-req", "-in", folder / "request", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial",
                        "-days", "2", "-extfile", folder / "names", "-out", folder / (name + ".pem")], check=True, capture_output=True)
    (folder / "database.password").write_text("canary-database\n", encoding="utf-8")
    (folder / "bank1.password").write_text("canary-p\n", encoding="utf-8")
    for path in folder.iterdir():
        os.chown(path, 0, USER)
        path.chmod(0o440)
    os.chown(folder, 0, USER)
    folder.chmod(0o750)
    return folder


@pytest.fixture(scope="module")
def database(secrets):
    """Over TCP, with TLS, and a password for everybody who comes that way."""
    os.environ["PGPORT"] = str(free_port())  # of the server, and of everybody here
    server = Postgres("listen_addresses=127.0.0.1")
    server.port = int(os.environ["PGPORT"])
    data = pathlib.Path(server.folder, "data")
    for name in ("database.pem", "database.key"):
        shutil.copy(secrets / name, data)
        shutil.chown(data / name, "postgres", "postgres")
        (data / name).chmod(0o600)
    (data / "pg_hba.conf").write_text("local all postgres trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n", encoding="utf-8")
    for statement in ("ALTER SYSTEM SET ssl_cert_file = 'database.pem'", "ALTER SYSTEM SET ssl_key_file = 'database.key'", "ALTER SYSTEM SET ssl = on",
                      "SELECT pg_reload_conf()"):
        server.execute(statement)
    subprocess.run(["psql", "-q", "-d", server.conninfo, "-v", "ON_ERROR_STOP=1", "-v", "schema=cluster_one", "-v", "role=cluster_one", "-v",
                    "password=canary-database", "-f", ROOT / "deploy/postgres/create-cluster.sql"], check=True)
    yield server
    server.remove()
    del os.environ["PGPORT"]


@pytest.fixture(scope="module")
def bank(tmp_path_factory, secrets):
    node = Bare(tmp_path_factory.mktemp("bank"), "BANK1", BANK % {"s": secrets}).start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """What a container of it gets: data and socket belong to the user."""
    folder = tmp_path_factory.mktemp("volumes")
    for name in ("data", "run", "configuration", "mount"):
        (folder / name).mkdir()
    for name in ("data", "run"):
        os.chown(folder / name, USER, USER)
    subprocess.run(["mount", "--bind", folder / "mount", folder / "mount"], check=True)
    subprocess.run(["mount", "--make-shared", folder / "mount"], check=True)
    yield folder
    subprocess.run(["umount", "--recursive", folder / "mount"], check=True)


@pytest.fixture(scope="module")
def company(containers, volumes, secrets, database, bank):
    (volumes / "configuration/pesitd.conf").write_text(COMPANY % (database.port, bank.port), encoding="utf-8")
    containers.start("pesitd", NAME, "--volume=%s:/etc/pesitfs:ro" % (volumes / "configuration"), "--volume=%s:/run/secrets/pesit:ro" % secrets,
                     "--volume=%s:/var/lib/pesitfs" % (volumes / "data"), "--volume=%s:/run/pesitd" % (volumes / "run"))
    eventually(lambda: containers.run("pesitd", "pesitctl", "status", check=False).returncode == 0, 30,
               lambda: containers.podman("logs", "pesitd", check=False).stderr)
    yield containers
    containers.remove()  # before their volumes go


def test_it_is_small_and_runs_as_nobody_special(containers):
    image, base = containers.look(NAME), containers.look("localhost/pesitfs-base")
    print("beyond the base: %.1f MiB" % ((image["Size"] - base["Size"]) / MIB))
    assert image["Size"] - base["Size"] < 60_000_000
    assert image["Config"]["User"] == "10001:10001" and image["Config"]["Cmd"] == ["/usr/sbin/pesitd"] and not image["Config"].get("Entrypoint")


def test_the_main_job_by_two_containers(company, volumes, bank, database, tmp_path):
    assert company.run("pesitd", "pesitctl", "status").startswith("COMPANY: running, version ")
    facts = dict(line.split(":\t", 1) for line in company.run("pesitd", "cat", "/proc/1/status").splitlines() if ":\t" in line)
    assert (facts["Name"], facts["Uid"].split()[0], facts["Gid"].split()[0], int(facts["CapEff"], 16)) == ("pesitd", "10001", "10001", 0)
    assert company.run("pesitd", "touch", "/etc/x", "/x", check=False).stderr.count("Read-only file system") == 2
    company.start("mount", NAME, "--user=0", "--pid=host", "--cap-add=SYS_ADMIN,SYS_PTRACE,DAC_OVERRIDE", "--device=/dev/fuse",
                  "--volume=%s:/run/pesitd" % (volumes / "run"), "--volume=%s:/mnt/pesit:rshared" % (volumes / "mount"),
                  "--", "/usr/bin/pesitfs", "--foreground", "/mnt/pesit")
    eventually(lambda: os.path.isdir(volumes / "mount/BANK1"), 30, lambda: company.podman("logs", "mount", check=False).stderr)
    source = tmp_path / "virement.xml"
    source.write_bytes(b"<pain/>" * 100_000)
    done = subprocess.run(["cp", source, volumes / "mount/BANK1/out/virement"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (done.stderr, company.run("pesitd", "pesitctl", "show", "1"), bank.log())
    assert bank.received("in/virement") == source.read_bytes()
    bank.control("send", "COMPANY", source, "dispo/RELEVE")
    assert (volumes / "mount/BANK1/releves/RELEVE").read_bytes() == source.read_bytes()
    rows = subprocess.run(["psql", "-qtA", "-d", database.conninfo, "-c", "SELECT count(*) FROM cluster_one.transfer_history"], check=True,
                          capture_output=True, text=True).stdout
    assert rows == "2\n"


def test_both_end_in_order_and_nothing_tells_a_secret(company, volumes):
    said = [company.podman("logs", name, check=False) for name in ("pesitd", "mount")]
    assert company.stop("mount") == 0 and os.listdir(volumes / "mount") == []
    assert company.stop("pesitd") == 0
    text = "".join(one.stdout + one.stderr for one in said) + company.podman("history", "--no-trunc", NAME)
    assert "notice started" in text and "canary" not in text
