# SPDX-License-Identifier: Apache-2.0
"""Two clusters in one database, each with a role of its own: each daemon runs, and neither role reaches the other's rows."""
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
