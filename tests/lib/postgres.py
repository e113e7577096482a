# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL server for the length of the test run, when STORE_BACKEND=postgres; ended by its process id."""
import atexit
import contextlib
import itertools
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile

from waiting import eventually

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "deploy/quickstart/postgres.sh"
WANTED = os.environ.get("STORE_BACKEND") == "postgres"
_numbers = itertools.count(1)
_shared = []


class Postgres:
    """One server in a folder below /tmp: a socket's path is short."""

    def __init__(self, *settings):
        """settings: those of the server, "NAME=VALUE"."""
        self.settings = [word for setting in settings for word in ("-c", setting)]
        self.folder = tempfile.mkdtemp(prefix="pg-")
        self.conninfo = ""
        atexit.register(self.remove)
        self.start()

    def run(self, action, *settings):
        done = subprocess.run([SCRIPT, action, self.folder, *settings], check=True, stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "POSTGRES_OWNER": str(os.getpid())})
        return done.stdout.strip()

    def start(self):
        self.conninfo = self.run("start", *self.settings)

    def kill(self):
        """SIGKILL to the server, whose children see it and leave."""
        pid = int(self.run("pid"))
        handle = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        assert select.select([handle], [], [], 30)[0], "the server does not end"
        os.close(handle)

    def remove(self):
        if os.path.isdir(self.folder):
            self.run("stop")
            shutil.rmtree(self.folder)

    def execute(self, statement):
        """One statement, as somebody else on the database."""
        subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo, "-c", statement], check=True)

    def ask(self, statement):
        """Its rows, as lines with | between the columns."""
        done = subprocess.run(["psql", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo, "-c", statement],
                              check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout.splitlines()

    @contextlib.contextmanager
    def holding(self, table):
        """Meanwhile nobody writes the table; who waited to is gone."""
        where = "FROM pg_locks WHERE relation = '%s'::regclass AND " % table
        with subprocess.Popen(["psql", "-q", "-d", self.conninfo], stdin=subprocess.PIPE, text=True) as holder:
            holder.stdin.write("BEGIN; LOCK TABLE %s IN SHARE MODE;\n" % table)
            holder.stdin.flush()
            eventually(lambda: self.ask("SELECT count(*) %s granted AND mode = 'ShareLock'" % where) == ["1"])
            yield
            self.ask("SELECT pg_terminate_backend(pid) %s NOT granted" % where)
            holder.stdin.write("COMMIT;\n")
            holder.stdin.close()

    def store(self, schema, extra=""):
        """The configuration's group for a daemon."""
        return 'store: { backend = "postgres"; conninfo = "%s"; schema = "%s"; %s };' % (self.conninfo, schema, extra)


def shared():
    """The server of all nodes."""
    if not _shared:
        _shared.append(Postgres())
    return _shared[0]


def next_schema():
    return "cluster_%d" % next(_numbers)
