# SPDX-License-Identifier: Apache-2.0
"""Roles of PostgreSQL: each reaches the rows of its own cluster only, and its password may come from a file."""
import pathlib
import subprocess

import pytest
from node import Bare
from postgres import Postgres

CREATE = pathlib.Path(__file__).resolve().parents[2] / "deploy/postgres/create-cluster.sql"
TRIES = ("SELECT * FROM cluster_two.transfer_history", "SELECT * FROM cluster_two.secrets",
         "INSERT INTO cluster_two.counters VALUES ('x', 1)", "DROP TABLE cluster_two.partners", "SET ROLE cluster_two",
         "CREATE TABLE cluster_two.mine (a INTEGER)", "CREATE TABLE public.mine (a INTEGER)", "CREATE SCHEMA mine",
         "ALTER ROLE cluster_two PASSWORD 'x'", "COPY cluster_one.counters TO PROGRAM 'cat'")


@pytest.fixture
def server():
    started = Postgres()
    yield started
    started.remove()


def psql(conninfo, *arguments):
    return subprocess.run(["psql", "-q", "-d", conninfo, "-v", "ON_ERROR_STOP=1", *arguments], capture_output=True,
                          text=True, check=False)


def test_a_role_reaches_its_own_schema_only(tmp_path, server):
    administrator, nodes = server.conninfo, []
    for name in ("cluster_one", "cluster_two"):
        made = psql(administrator, "-v", "schema=" + name, "-v", "role=" + name, "-v", "password=p", "-f", CREATE)
        assert made.returncode == 0, made.stderr
        server.conninfo = administrator.replace("user=postgres", "user=" + name)
        nodes.append(Bare(tmp_path / name, name.upper(), "", server.store(name)).start())
    one = administrator.replace("user=postgres", "user=cluster_one")
    assert psql(one, "-c", "SELECT * FROM transfer_history").returncode == 0
    for statement in TRIES:
        tried = psql(one, "-c", statement)
        assert tried.returncode != 0 and ("permission denied" in tried.stderr or "must be" in tried.stderr), (statement, tried)
    other = Bare(tmp_path / "stranger", "STRANGER", "", server.store("cluster_one", 'owner = "s";'))  # as the role of the other
    with pytest.raises(AssertionError):
        other.start()
    assert "permission denied" in other.log() or "no schema has been selected" in other.log()
    other.process.wait(10)
    for node in nodes:
        node.stop()


def test_the_password_of_the_role_may_be_a_file(tmp_path, server):
    made = psql(server.conninfo, "-v", "schema=cluster_one", "-v", "role=cluster_one", "-v", "password=canary-42", "-f", CREATE)
    assert made.returncode == 0, made.stderr
    rules = pathlib.Path(server.folder, "data/pg_hba.conf")
    rules.write_text("local all cluster_one scram-sha-256\n" + rules.read_text(encoding="utf-8"), encoding="utf-8")
    server.execute("SELECT pg_reload_conf()")
    server.conninfo = server.conninfo.replace("user=postgres", "user=cluster_one")
    secret = tmp_path / "password"
    secret.write_text("wrong\n", encoding="utf-8")
    node = Bare(tmp_path / "node", "ONE", "", server.store("cluster_one", 'password = "file:%s";' % secret))
    with pytest.raises(AssertionError):
        node.start()
    node.process.wait(10)
    assert 'password authentication failed for user "cluster_one"' in node.log()
    secret.write_text("canary-42\n", encoding="utf-8")
    node.start()
    assert node.control("status")["store"] == "ok" and "canary-42" not in node.log()
    node.stop()
