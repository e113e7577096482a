# SPDX-License-Identifier: Apache-2.0
"""Clusters that the API makes and drops in a PostgreSQL database: what is there, who reaches what, and what a cut leaves."""
import concurrent.futures
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.parse

import pytest
import yaml
from admin import FIRST_KEY, Api
from cutter import Cutter
from node import Bare
from postgres import Postgres
from race import one_wins
from test_random import Chance
from waiting import eventually, logged

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONSOLE_PASSWORD = "canary-console-password"
HTTP = ('admin: { listeners = ( { port = 0; } ); first_key = "%s"; requests_per_s = 100000;\n'
        '  database: { conninfo = "%s"; password = "%s"; }; };')
CLUSTERS = "/api/v1/clusters"


class Database(Postgres):
    """One that asks for passwords, and tells its log every statement."""

    def __init__(self):
        super().__init__("log_statement=all", "fsync=off")
        rules = pathlib.Path(self.folder, "data/pg_hba.conf")
        rules.write_text("local all postgres trust\nlocal all all scram-sha-256\n", encoding="utf-8")
        self.execute("SELECT pg_reload_conf()")
        subprocess.run(["psql", "-q", "-d", self.conninfo, "-v", "role=console", "-v", "password=" + CONSOLE_PASSWORD, "-f",
                        ROOT / "deploy/postgres/create-console.sql"], check=True)
        self.console = self.conninfo.replace("user=postgres", "user=console")

    def named(self):
        """Schemas and roles of clusters, and records."""
        return (self.ask("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'cluster%' ORDER BY 1"),
                self.ask("SELECT rolname FROM pg_roles WHERE rolname LIKE 'cluster%' ORDER BY 1"),
                self.ask("SELECT schema_name, database_state FROM admin.pesitwizard_clusters ORDER BY 1"))

    def conninfo_of(self, cluster, password=None):
        """Of its role."""
        return "host=%s dbname=pesitwizard user=%s password=%s" % (self.folder, cluster["database"]["role"],
                                                                   password or cluster["databasePassword"])

    def try_as(self, cluster, statement, password=None):
        """As the role of a cluster: what psql says, and its exit code."""
        return subprocess.run(["psql", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo_of(cluster, password), "-c",
                               statement], capture_output=True, text=True, check=False)

    def try_all(self, cluster, statements):
        """Each in one session, whatever became of those before: what psql says to each."""
        script = "".join("%s;\nROLLBACK;\n\\echo @@@\n" % statement for statement in statements)
        done = subprocess.run(["psql", "-q", "-A", "-t", "-d", self.conninfo_of(cluster)], input=script, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return list(zip(statements, done.stdout.split("@@@\n"), strict=False))

    def daemon(self, folder, cluster, owner="a", text=""):
        """A pesitd of a cluster."""
        store = ('store: { backend = "postgres"; schema = "%(schema)s"; owner = "%(owner)s"; conninfo = "host=%(host)s '
                 'dbname=pesitwizard user=%(role)s"; password = "%(password)s"; wait_ms = 500; };' %
                 {**cluster["database"], "owner": owner, "host": self.folder, "password": cluster["databasePassword"]})
        return Bare(folder, "NODE", text, store)


@pytest.fixture(scope="module")
def database():
    started = Database()
    yield started
    started.remove()


@pytest.fixture
def console(tmp_path, database):
    """A daemon with SQLite, from which clusters are administered; what is left of them goes with it."""
    started = Bare(tmp_path / "console", "CONSOLE", HTTP % (FIRST_KEY, database.console, CONSOLE_PASSWORD), store="").start()
    yield started
    api = Api(started, index=-1)
    for cluster in api.get(CLUSTERS).json:
        name = urllib.parse.quote(cluster["name"], safe="")
        assert api.ask("DELETE", "%s/%s?confirm=%s&force=true" % (CLUSTERS, cluster["id"], name)).status == 204
    started.stop()
    assert database.named() == ([], [], [])


@pytest.fixture
def fleet(console):
    return Api(console)


def make(fleet, name):
    made = fleet.post(CLUSTERS, {"name": name})
    assert made.status == 201, made
    return made.json


def where(cluster, more=""):
    return "%s/%s%s" % (CLUSTERS, cluster["id"], more)


def names(answer):
    return [partner["id"] for partner in answer.json]


def test_a_cluster_is_made_whole(tmp_path, database, fleet):
    made = fleet.post(CLUSTERS, {"name": "paris", "environment": "PRODUCTION", "replicas": 3, "pesitPort": 5000})
    cluster, schema = made.json, "cluster_" + made.json["id"].replace("-", "_")
    assert made.status == 201 and made.headers["Location"] == where(cluster)
    assert cluster["database"] == {"name": "pesitwizard", "schema": schema, "role": schema, "state": "READY", "connections": 0}
    shown = fleet.get(where(cluster)).json
    assert shown == {key: value for key, value in cluster.items() if key != "databasePassword"}
    assert fleet.get(CLUSTERS).json == [shown] and shown["createdAt"] and (shown["deploymentState"], shown["status"]) == ("NOT_DEPLOYED", "STOPPED")
    assert database.ask("SELECT name, environment, replicas, pesit_port FROM admin.pesitwizard_clusters") == ["paris|PRODUCTION|3|5000"]
    owners = database.ask("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = '%s'" % schema)
    assert owners == [schema] and database.ask("SELECT nspowner::regrole FROM pg_namespace WHERE nspname = '%s'" % schema) == ["console"]
    tables = database.ask("SELECT tablename FROM pg_tables WHERE schemaname = '%s'" % schema)
    assert {"pesitwizard_server_configs", "partners", "virtual_files", "transfer_history"} <= set(tables)
    node = database.daemon(tmp_path / "node", cluster).start()
    assert node.control("status")["store"] == "ok"
    running = fleet.get(where(cluster)).json
    assert (running["status"], running["readyReplicas"], running["database"]["connections"]) == ("RUNNING", 1, 1)
    assert database.ask("SELECT owner FROM %s.transfer_history" % schema) == []
    node.stop()
    assert database.ask("SELECT count(*) FROM pg_roles WHERE rolcanlogin AND rolname LIKE '%\\_console'") == ["0"]


def test_answers_are_those_of_the_contract(fleet):
    schemas = yaml.safe_load(fleet.get("/openapi.yaml").body)["components"]["schemas"]
    told = schemas["ClusterShown"]["allOf"][1]["properties"]
    body = dict.fromkeys(("name", "description", "namespace", "environment", "containerImage", "containerVersion",
                          "storageHostPath"), "x") | {"replicas": 1, "pesitPort": 5000, "environment": "PRODUCTION"}
    others = {field: fleet.post(path, {"name": "r"}) for field, path in (("orchestratorId", "/api/v1/orchestrators"),
                                                                         ("registryId", "/api/v1/registries"))}
    body |= {field: answer.json["id"] for field, answer in others.items()}
    assert set(body) == set(schemas["Cluster"]["properties"])
    made = fleet.post(CLUSTERS, body).json
    assert set(made) == set(told) | set(body) and set(made["database"]) == set(told["database"]["properties"])
    for method, path in (("POST", "/deploy"), ("GET", "/deployment/status"), ("GET", "/pods")):
        assert fleet.ask(method, where(made, path)).status == 501
    assert [fleet.ask("DELETE", answer.headers["Location"]).status for answer in others.values()] == [204, 204]


def test_a_daemon_never_drops_its_own_cluster(tmp_path, database, fleet):
    cluster = make(fleet, "paris")
    node = database.daemon(tmp_path / "node", cluster, text=HTTP % (FIRST_KEY, database.console, CONSOLE_PASSWORD)).start()
    own = Api(node)
    refused = own.ask("DELETE", where(cluster, "?confirm=paris&force=true"))
    assert refused.status == 409 and refused.json["field"] == "id", refused
    clear = own.post(where(cluster, "/partners"), {"partnerId": "BANK1", "password_sent": "x"})
    assert clear.status == 400 and "paths.key_file" in clear.json["detail"]  # it was asked itself
    assert own.post(where(cluster, "/partners"), {"partnerId": "BANK1"}).status == 201
    assert names(fleet.get(where(cluster, "/partners"))) == ["BANK1"] and own.get(where(cluster)).json["status"] == "RUNNING"
    node.stop()


def test_the_password_is_shown_once_and_renewed(tmp_path, database, fleet, console):
    cluster = make(fleet, "paris")
    first = cluster["databasePassword"]
    assert len(first) >= 43 and database.try_as(cluster, "SELECT 1").returncode == 0
    assert "password authentication failed" in database.try_as(cluster, "SELECT 1", "wrong").stderr
    renewed = fleet.post(where(cluster, "/credentials"))
    second = renewed.json["databasePassword"]
    assert renewed.status == 200 and second != first
    assert "password authentication failed" in database.try_as(cluster, "SELECT 1", first).stderr
    assert database.try_as(cluster, "SELECT 1", second).returncode == 0
    told = [fleet.get(where(cluster)).body, fleet.get("/api/v1/audit").body, console.log().encode(),
            pathlib.Path(database.folder, "log").read_bytes(), "\n".join(database.ask("SELECT document FROM admin.pesitwizard_clusters")).encode()]
    assert [secret for secret in (first, second) for text in told if secret.encode() in text] == []
    assert b"give_password" in told[3] and CONSOLE_PASSWORD not in console.log()


def test_the_console_takes_its_new_password_while_it_runs(tmp_path, database, fleet, console):
    """That of its own user, by a reload; what another reload cannot take is named."""
    cluster, secret = make(fleet, "paris"), tmp_path / "password"
    fresh = "another-console-password"
    database.execute("ALTER ROLE console PASSWORD '%s'" % fresh)
    try:
        assert fleet.get(where(cluster)).status == 503
        secret.write_text(fresh, encoding="utf-8")
        console.configure("CONSOLE", HTTP % (FIRST_KEY, database.console, "file:%s" % secret))
        assert console.control("reload") == {"reloaded": True, "needs_restart": ""}
        assert fleet.get(where(cluster)).json["name"] == "paris" and fresh not in console.log()
    finally:
        database.execute("ALTER ROLE console PASSWORD '%s'" % CONSOLE_PASSWORD)
    console.configure("CONSOLE", HTTP % (FIRST_KEY, database.console + " connect_timeout=9", CONSOLE_PASSWORD))
    assert console.control("reload") == {"reloaded": True, "needs_restart": "admin.database.conninfo"}
    assert "needs a restart: KEYS=admin.database.conninfo" in console.log()
    assert fleet.get(where(cluster)).json["name"] == "paris"


def test_a_daemon_takes_its_new_password_while_it_runs(tmp_path, database, fleet):
    cluster, secret = make(fleet, "paris"), tmp_path / "password"
    secret.write_text(cluster["databasePassword"] + "\n", encoding="utf-8")
    node = database.daemon(tmp_path / "node", {**cluster, "databasePassword": "file:%s" % secret}).start()
    renewed = fleet.post(where(cluster, "/credentials")).json["databasePassword"]
    assert node.control("status")["store"] == "ok"  # its connection goes on
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '%(role)s'" % cluster["database"])
    logged(node, "password authentication failed")
    (tmp_path / "fresh").write_text(renewed + "\n", encoding="utf-8")
    (tmp_path / "fresh").rename(secret)  # is seen by itself
    logged(node, "store back")
    assert node.control("status")["store"] == "ok" and renewed not in node.log()
    node.stop()


TRIES = """SELECT * FROM {b}.partners | SELECT * FROM {b}.transfer_history | SELECT * FROM {b}.secrets | SELECT * FROM {b}.audit_events
INSERT INTO {b}.counters VALUES ('x', 1) | UPDATE {b}.partners SET version = 7 | DELETE FROM {b}.partners | TRUNCATE {b}.partners
COPY {b}.partners TO STDOUT | COPY (SELECT * FROM {b}.partners) TO STDOUT | TABLE {b}.virtual_files | BEGIN; LOCK TABLE {b}.partners
CREATE TABLE {b}.mine (a INTEGER) | DROP TABLE {b}.partners | ALTER TABLE {b}.partners ADD COLUMN a INTEGER | DROP SCHEMA {b} CASCADE
ALTER SCHEMA {b} RENAME TO mine | CREATE FUNCTION {b}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1' | SELECT {b}.tell_definition()
CREATE VIEW {a}.peek AS SELECT * FROM {b}.partners | GRANT USAGE ON SCHEMA {b} TO {a} | SELECT nextval('{b}.transfers_id_seq')
CREATE TRIGGER mine AFTER INSERT ON {b}.partners FOR EACH ROW EXECUTE FUNCTION {a}.tell_definition()
ALTER TABLE {a}.partners SET SCHEMA {b} | CREATE INDEX ON {b}.partners (version) | ANALYZE {b}.nothing | REFRESH MATERIALIZED VIEW {b}.x
SELECT * FROM admin.pesitwizard_clusters | SELECT * FROM admin.container_registries | SELECT * FROM admin.container_orchestrators
UPDATE admin.pesitwizard_clusters SET name = 'x' | SELECT admin.give_password('{b}', 'x') | SELECT admin.drop_cluster('{b}')
CREATE TABLE admin.mine (a INTEGER) | CREATE TABLE public.mine (a INTEGER) | SELECT * FROM public.shared | DROP TABLE public.shared
CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS 'SELECT 1' | CREATE SCHEMA mine | CREATE TEMPORARY TABLE mine (a INTEGER)
CREATE DATABASE mine | CREATE ROLE mine | CREATE EXTENSION pg_trgm | CREATE PUBLICATION mine FOR ALL TABLES | CREATE EVENT TRIGGER mine ON ddl_command_end EXECUTE FUNCTION {a}.tell_definition()
SET ROLE {b} | SET ROLE {b}_console | SET ROLE {a}_console | SET ROLE console | SET ROLE postgres | SET ROLE pg_read_all_data
SET SESSION AUTHORIZATION {b} | SET SESSION AUTHORIZATION postgres | GRANT {b} TO {a} | GRANT pg_read_all_data TO {a} | GRANT {a} TO {b}
ALTER ROLE {b} PASSWORD 'x' | ALTER ROLE {a} CREATEROLE | ALTER ROLE {a} SUPERUSER | ALTER ROLE {a}_console LOGIN | ALTER ROLE {a} BYPASSRLS
ALTER DEFAULT PRIVILEGES FOR ROLE {b} GRANT SELECT ON TABLES TO {a} | ALTER DEFAULT PRIVILEGES FOR ROLE console GRANT SELECT ON TABLES TO {a}
REASSIGN OWNED BY {b} TO {a} | DROP OWNED BY {b} | DROP ROLE {b} | ALTER TABLE {a}.partners OWNER TO {b} | ALTER SCHEMA {a} OWNER TO {a}
GRANT USAGE ON SCHEMA {a} TO {b} | GRANT CONNECT ON DATABASE pesitwizard TO PUBLIC | ALTER DATABASE pesitwizard SET search_path = {a}
CREATE FUNCTION {a}.peek() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT name FROM {b}.partners LIMIT 1'
CREATE FUNCTION {a}.c() RETURNS int LANGUAGE c AS 'x' | COPY {a}.counters TO PROGRAM 'cat' | COPY {a}.counters FROM '/etc/passwd'
SELECT pg_read_file('PG_VERSION') | SELECT pg_ls_dir('.') | SELECT lo_import('/etc/passwd')
SELECT rolpassword FROM pg_authid | SELECT passwd FROM pg_shadow | SELECT * FROM pg_statistic | SELECT * FROM pg_file_settings | SELECT * FROM pg_hba_file_rules
DO $$ BEGIN EXECUTE 'SELECT 1 FROM {b}.partners'; END $$ | SELECT query_to_xml('SELECT * FROM {b}.partners', true, false, '')
SELECT table_to_xml('{b}.partners', true, false, '') | SELECT dblink('dbname=pesitwizard', 'SELECT 1') | CREATE SERVER mine FOREIGN DATA WRAPPER x"""
REFUSALS = ("permission denied", "must be", "must have", "does not exist", "not a member", "no privileges were granted")


def test_a_role_reaches_its_own_schema_only(tmp_path, database, fleet):
    one, two = make(fleet, "one"), make(fleet, "two")
    names = {"a": one["database"]["role"], "b": two["database"]["role"]}
    database.execute("CREATE TABLE public.shared (a INTEGER)")
    assert database.try_as(two, "INSERT INTO partners VALUES ('CANARY', '', 1, 0, 0)").returncode == 0
    assert database.try_as(one, "INSERT INTO partners VALUES ('OURS', '', 1, 0, 0)").returncode == 0
    statements = [part.strip().format(**names) for part in TRIES.replace("\n", " | ").split(" | ")]
    tried = database.try_all(one, statements)
    assert len(tried) == len(statements) > 80
    assert [row for row in tried if "ERROR:" not in row[1] and "WARNING:  no privileges were granted" not in row[1]] == []
    assert [row for row in tried if not any(word in row[1] for word in REFUSALS)] == []
    assert database.try_all(one, ["SELECT name FROM partners", "SELECT current_user"])[0][1].startswith("OURS\n")
    database.execute("DROP TABLE public.shared")
    told = database.try_as(one, "SELECT schemaname, tablename FROM pg_tables WHERE has_table_privilege(current_user, "
                                "quote_ident(schemaname) || '.' || quote_ident(tablename), 'SELECT') AND schemaname NOT IN "
                                "('pg_catalog', 'information_schema', '%s')" % names["a"])
    listed = database.try_as(one, "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_schema LIKE 'cluster%'")
    stats = database.try_as(one, "SELECT count(*) FROM pg_stats WHERE schemaname NOT IN ('pg_catalog', 'information_schema', '%s')" % names["a"])
    seen = database.try_as(one, "SELECT count(*) FROM pg_stat_activity WHERE usename <> current_user AND query NOT LIKE '<ins%'")
    assert (told.stdout, listed.stdout, stats.stdout, seen.stdout) == ("", names["a"] + "\n", "0\n", "0\n")
    assert database.ask("SELECT name, version FROM %s.partners" % names["b"]) == ["CANARY|1"]
    flags = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls OR rolinherit"
    assert database.ask("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'cluster%' AND (" + flags + ")") == ["0"]
    assert database.ask("SELECT member::regrole FROM pg_auth_members WHERE roleid = '%(a)s'::regrole AND member <> 'console'::regrole" % names) == [names["a"] + "_console"]


TRAP = """CREATE FUNCTION spring() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE word TEXT;
BEGIN
    RAISE LOG 'trap: sprung by % as %', session_user, current_user;
    FOREACH word IN ARRAY ARRAY['RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET ROLE console', 'CREATE ROLE mine',
        'GRANT USAGE ON SCHEMA {other} TO {own}', 'DELETE FROM admin.pesitwizard_clusters',
        'UPDATE {other}.partners SET version = 9', 'ALTER ROLE {own} CREATEROLE'] LOOP
        BEGIN EXECUTE word; RAISE LOG 'trap: could %', word; EXCEPTION WHEN OTHERS THEN RAISE LOG 'trap: not %', word; END;
    END LOOP;
    RETURN 0;
END $$;
ALTER TABLE audit_events RENAME TO audit_kept;
CREATE VIEW audit_events AS SELECT 1 AS seq WHERE spring() = 0;"""


def test_what_a_role_leaves_in_its_schema_never_runs_with_the_console_s_rights(database, fleet):
    one, two = make(fleet, "one"), make(fleet, "two")
    names = {"own": one["database"]["role"], "other": two["database"]["role"]}
    laid = database.try_as(one, TRAP.format(**names))
    assert laid.returncode == 0, laid
    assert database.try_as(two, "INSERT INTO partners VALUES ('CANARY', '', 1, 0, 0)").returncode == 0
    assert fleet.ask("DELETE", where(one)).status == 409  # it was looked into
    told = re.findall(r"LOG:  trap: (.+)", pathlib.Path(database.folder, "log").read_text(encoding="utf-8"))
    assert told[0] == "sprung by %s_console as %s" % (names["own"], names["own"])
    assert {line for line in told if line.startswith("could")} <= {"could RESET ROLE", "could RESET SESSION AUTHORIZATION"}, told
    assert "not SET ROLE console" in told
    assert database.ask("SELECT version FROM %(other)s.partners" % names) == ["1"]
    assert database.ask("SELECT count(*) FROM pg_roles WHERE rolname = 'mine'") == ["0"]
    assert fleet.ask("DELETE", where(one, "?confirm=one&force=true")).status == 204  # it cannot hold on to itself


def test_a_drop_is_refused_until_it_is_asked_for_clearly(tmp_path, database, fleet):
    cluster = make(fleet, "paris")
    node = database.daemon(tmp_path / "node", cluster).start()
    used = fleet.ask("DELETE", where(cluster))
    assert used.status == 409 and used.json["type"] == "urn:pesitfs:problem:cluster-in-use"
    assert " 1 connections" in used.json["detail"] and "force=true" in used.json["detail"]
    assert fleet.ask("DELETE", where(cluster, "?confirm=paris")).status == 409
    assert fleet.ask("DELETE", where(cluster, "?force=true")).json["field"] == "confirm"
    assert fleet.ask("DELETE", where(cluster, "?force=true&confirm=lyon")).json["field"] == "confirm"
    assert fleet.ask("DELETE", where(cluster, "?force=yes&confirm=paris")).json["field"] == "force"
    assert node.control("status")["store"] == "ok" and fleet.get(where(cluster)).json["database"]["state"] == "READY"
    assert fleet.ask("DELETE", where(cluster, "?confirm=paris&force=true")).status == 204
    assert fleet.get(where(cluster)).status == 404 and database.named() == ([], [], [])
    logged(node, "store away")
    node.stop()


def test_a_drop_counts_what_would_be_lost(tmp_path, database, fleet):
    cluster, empty = make(fleet, "paris"), make(fleet, "empty")
    node = database.daemon(tmp_path / "node", cluster, text=(
        'partners = ( { name = "BANK1"; identifier = "BANK1"; address = "127.0.0.1"; port = 1; retry_delays_s = [ 600 ];\n'
        '  files = ( { pattern = "out/*"; mode = "send"; } ); } );')).start()
    (tmp_path / "f").write_text("x", encoding="utf-8")
    sent = node.control("send", "--no-wait", "BANK1", tmp_path / "f", "out/f")
    node.stop()
    unfinished = fleet.ask("DELETE", where(cluster, "?confirm=paris"))
    assert unfinished.status == 409 and " 0 connections" in unfinished.json["detail"] and " 1 unfinished" in unfinished.json["detail"]
    assert database.try_as(cluster, "UPDATE transfer_history SET state = 6 WHERE id = %d" % sent["id"]).returncode == 0
    history = fleet.ask("DELETE", where(cluster))
    assert history.status == 409 and " 1 ended" in history.json["detail"] and "force" not in history.json["detail"]
    assert fleet.ask("DELETE", where(cluster, "?confirm=paris")).status == 204
    assert fleet.ask("DELETE", where(empty)).status == 204
    assert database.named() == ([], [], [])


def test_missing_rights_are_named(database, fleet):
    def refused(take, give):
        database.execute(take)
        told = fleet.post(CLUSTERS, {"name": "paris"})
        database.execute(give)
        assert told.status == 503 and told.json["type"] == "urn:pesitfs:problem:database-rights", told
        assert database.named() == ([], [], [])
        return told.json["detail"]

    fleet.get(CLUSTERS)  # makes the schema admin
    assert "ALTER ROLE console CREATEROLE" in refused("ALTER ROLE console NOCREATEROLE", "ALTER ROLE console CREATEROLE")
    assert "GRANT CREATE ON DATABASE" in refused("REVOKE CREATE ON DATABASE pesitwizard FROM console",
                                                 "GRANT CREATE ON DATABASE pesitwizard TO console")
    assert "REVOKE CREATE ON SCHEMA public" in refused("GRANT CREATE ON SCHEMA public TO PUBLIC",
                                                       "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    assert "REVOKE CREATE ON DATABASE" in refused("GRANT CREATE ON DATABASE pesitwizard TO PUBLIC",
                                                  "REVOKE CREATE ON DATABASE pesitwizard FROM PUBLIC")
    assert "WITH GRANT OPTION" in refused("REVOKE GRANT OPTION FOR CONNECT ON DATABASE pesitwizard FROM console",
                                          "GRANT CONNECT ON DATABASE pesitwizard TO console WITH GRANT OPTION")
    assert fleet.post(CLUSTERS, {"name": "paris"}).status == 201


def test_a_cut_anywhere_is_mended_by_a_repeat(tmp_path, database, fleet):
    """The connection to the database breaks after each of the messages in turn: a repeat makes it whole, or drops it."""
    cutter, messages, outcome = Cutter(database), 3, {"made": 0, "dropped": 0}
    conninfo = cutter.conninfo.replace("user=postgres", "user=console")
    node = Bare(tmp_path / "cut", "CUT", HTTP % (FIRST_KEY, conninfo, CONSOLE_PASSWORD), store="").start()
    cut = Api(node)
    while not all(outcome.values()):
        cutter.left = messages
        made = cut.post(CLUSTERS, {"name": "cut"})
        outcome["made"] += made.status == 201
        assert made.status in (201, 503), made
        again = fleet.post(CLUSTERS, {"name": "cut"})
        assert again.status == 201 or (again.status == 409 and database.named()[2][0].endswith("|READY")), again
        cluster = again.json if again.status == 201 else fleet.get(CLUSTERS).json[0]
        cluster["databasePassword"] = fleet.post(where(cluster, "/credentials")).json["databasePassword"]
        assert database.try_as(cluster, "SELECT count(*) FROM virtual_files").stdout == "0\n"
        cutter.left = messages
        dropped = cut.ask("DELETE", where(cluster))
        outcome["dropped"] += dropped.status == 204
        assert dropped.status in (204, 503), dropped
        again = fleet.ask("DELETE", where(cluster))
        assert again.status in (204, 404), again
        assert database.named() == ([], [], [])
        messages += 5 if messages < 45 else 40  # those in between are migrations
    node.stop()
    cutter.stop()


def test_two_daemons_at_once(tmp_path, database, fleet):
    other = Bare(tmp_path / "other", "OTHER", HTTP % (FIRST_KEY, database.console, CONSOLE_PASSWORD), store="").start()
    apis = [fleet, Api(other), fleet, Api(other)]
    with concurrent.futures.ThreadPoolExecutor(len(apis)) as pool:
        for name in ("paris", "lyon"):
            made = list(pool.map(lambda api, name=name: api.post(CLUSTERS, {"name": name}), apis))
            assert sorted(one.status for one in made) == [201, 409, 409, 409], made
            cluster = [one.json for one in made if one.status == 201][0]
            assert database.try_as(cluster, "SELECT count(*) FROM partners").stdout == "0\n"
            gone = list(pool.map(lambda api, at=where(cluster): api.ask("DELETE", at), apis))
            assert sorted(one.status for one in gone) == [204, 404, 404, 404], gone
    assert database.named() == ([], [], [])
    other.stop()


def test_without_a_database_clusters_are_records(api):
    made = api.post(CLUSTERS, {"name": "paris"})
    assert made.status == 201 and made.json["database"] == {"state": "RECORD_ONLY"} and "databasePassword" not in made.json
    refused = api.post(where(made.json, "/credentials"))
    assert refused.status == 409 and refused.json["type"] == "urn:pesitfs:problem:record-only"
    assert api.ask("DELETE", where(made.json)).status == 204


def test_registries_and_orchestrators_are_in_its_tables(database, fleet):
    registry = fleet.post("/api/v1/registries", {"name": "r", "url": "https://r.example", "password": "file:/run/r"}).json
    fields = {"name": "o", "type": "K8S", "authType": "CERTIFICATE", "clientCert": "c", "clientKey": "file:/run/k", "enabled": True}
    engine = fleet.post("/api/v1/orchestrators", fields).json
    assert fleet.post("/api/v1/orchestrators", {"name": "p", "clientKey": "clear"}).json["field"] == "clientKey"
    assert fleet.post("/api/v1/orchestrators", {"name": "o"}).status == 409
    assert database.ask("SELECT name, url, password FROM admin.container_registries") == ["r|https://r.example|file:/run/r"]
    assert database.ask("SELECT name, type, client_key, enabled FROM admin.container_orchestrators") == ["o|K8S|file:/run/k|t"]
    assert fleet.ask("PUT", "/api/v1/registries/" + registry["id"], {"name": "s"}).json == {"id": registry["id"], "name": "s"}
    assert fleet.ask("DELETE", "/api/v1/registries/" + registry["id"]).status == 204
    assert fleet.ask("DELETE", "/api/v1/orchestrators/" + engine["id"]).status == 204
    assert fleet.get("/api/v1/registries").json == fleet.get("/api/v1/orchestrators").json == []


def test_pesitctl_has_the_verbs(tmp_path, database, console):
    made = console.control("cluster", "create", "paris")
    assert database.try_as(made, "SELECT count(*) FROM partners").stdout == "0\n"
    renewed = console.control("cluster", "renew-password", made["id"])
    assert renewed["databasePassword"] != made["databasePassword"] and console.control("cluster", "show", made["id"])["name"] == "paris"
    insert = "INSERT INTO partners VALUES ('P', '', 1, 0, 0); INSERT INTO transfer_sums VALUES ('', 32, 0, 0, 4, 'a', 1, 0)"
    assert database.try_as(renewed, insert).returncode == 0
    refused = console.control("cluster", "remove", made["id"], check=False)
    assert refused.returncode == 4 and b"1 ended ones, 1 definitions" in refused.stderr
    assert console.control("cluster", "remove", made["id"], "lyon", check=False).returncode == 4
    assert console.control("cluster", "remove", made["id"], "paris") == {"done": True}
    node = database.daemon(tmp_path / "node", console.control("cluster", "create", "lyon")).start()
    other = console.control("cluster", "list")[0]
    assert console.control("cluster", "remove", other["id"], "lyon", check=False).returncode == 4
    assert console.control("cluster", "destroy", other["id"], "lyon") == {"done": True}
    node.stop()


OWN = 'partners = ( { name = "FILED"; identifier = "FILED"; files = ( { pattern = "in/*"; mode = "receive"; } ); } );'


def test_partners_of_a_cluster_are_those_of_its_daemons(tmp_path, database, fleet):
    cluster = make(fleet, "paris")
    nodes = [database.daemon(tmp_path / owner, cluster, owner, OWN).start() for owner in "ab"]
    partners, files = where(cluster, "/partners"), where(cluster, "/virtual-files")
    assert names(fleet.get(partners)) == ["FILED"] and fleet.get(partners + "/FILED").json["source"] == "file"
    made = fleet.post(partners, {"partnerId": "BANK1", "name": "a bank", "password": "canary-received", "host": "127.0.0.1"})
    assert made.status == 201 and made.headers["Location"] == partners + "/BANK1" and made.headers["ETag"] == '"1"', made
    assert made.json["secrets"] == ["password_received"] and made.json["description"] == "a bank"
    for node in nodes:  # both have it in force
        eventually(lambda node=node: "BANK1" in [one["id"] for one in node.control("partner", "list")], told=node.log)
    filed = fleet.post(files, {"partnerId": "BANK1", "pattern": "in/*", "direction": "RECEIVE"})
    assert filed.status == 201 and filed.headers["Location"] == files + "/BANK1%2Fin%2F%2A", filed
    assert fleet.get(files + "/BANK1%2Fin%2F%2A").json["mode"] == "receive"
    assert [one["id"] for one in fleet.get(files + "?partner=BANK1").json] == ["BANK1/in/*"]
    changed = fleet.ask("PUT", partners + "/BANK1", {"enabled": False}, If_Match='"1"')
    assert changed.status == 200 and changed.headers["ETag"] == '"2"' and changed.json["enabled"] is False
    assert fleet.ask("PUT", partners + "/BANK1", {"enabled": True}, If_Match='"1"').status == 412
    wrong = fleet.ask("PUT", partners + "/BANK1", {"port": 0})
    assert wrong.status == 400 and wrong.json["field"] == "port" and wrong.headers["Content-Type"] == "application/problem+json"
    assert fleet.post(partners, {"partnerId": "FILED"}).status == 409 and fleet.ask("DELETE", partners + "/FILED").status == 409
    assert fleet.ask("DELETE", files + "/BANK1%2Fin%2F%2A").status == 204
    assert fleet.ask("DELETE", partners + "/BANK1").status == 204 and names(fleet.get(partners)) == ["FILED"]
    told = [row for node in nodes for row in node.control("audit", "list")["content"]]
    assert {row["username"] for row in told} == {"console:key:first"} and len(told) == 9
    assert database.ask("SELECT count(*) FROM %s.inquiries" % cluster["database"]["schema"]) == ["0"]
    for node in nodes:
        node.stop()


def test_no_clear_password_passes_through_the_database(tmp_path, database, fleet):
    cluster = make(fleet, "paris")
    node = database.daemon(tmp_path / "node", cluster).start()
    partners = where(cluster, "/partners")
    for field in ("password_sent", "passwordSent"):
        refused = fleet.post(partners, {"partnerId": "BANK1", field: "canary-sent"})
        assert refused.status == 400 and refused.json["field"] == field, refused
    (tmp_path / "secret").write_text("canary-filed\n", encoding="utf-8")
    made = fleet.post(partners, {"partnerId": "BANK1", "password": "canary-one", "passwordExpected": "canary-two",
                                 "password_sent": "file:%s" % (tmp_path / "secret")})
    assert made.status == 201 and made.json["secrets"] == ["password_received", "password_sent", "password_expected"], made
    log = pathlib.Path(database.folder, "log").read_text(encoding="utf-8")
    assert "INSERT INTO inquiries" in log and "canary-" not in log.replace(CONSOLE_PASSWORD, "")
    node.stop()


def test_who_is_asked_may_be_away(tmp_path, database, fleet):
    cluster = make(fleet, "paris")
    partners, schema = where(cluster, "/partners"), cluster["database"]["schema"]
    nobody = fleet.get(partners)
    assert nobody.status == 503 and "no daemon" in nobody.json["detail"]
    node = database.daemon(tmp_path / "node", cluster).start()
    assert fleet.get(partners).status == 200
    os.kill(node.process.pid, signal.SIGSTOP)
    silent = fleet.post(partners, {"partnerId": "BANK1"})
    os.kill(node.process.pid, signal.SIGCONT)
    assert silent.status == 503 and "nothing was done" in silent.json["detail"], silent
    assert fleet.get(partners).json == [] and database.ask("SELECT count(*) FROM %s.inquiries" % schema) == ["0"]
    insert = "INSERT INTO inquiries (id, created_us, actor, method, path, body) VALUES ('x', 0, 'a', 'POST', '/api/v1/apikeys', '{}')"
    assert database.try_as(cluster, insert).returncode == 0
    answer = eventually(lambda: database.ask("SELECT status FROM %s.inquiries WHERE status IS NOT NULL" % schema), told=node.log)
    assert answer == ["403"]
    node.stop()
    assert fleet.get("/api/v1/clusters/nowhere/partners").status == 404


@pytest.mark.parametrize("seed", [1, time.time_ns()])
def test_no_request_about_clusters_breaks_it(fleet, seed):
    chance = Chance(yaml.safe_load(fleet.get("/openapi.yaml").body), seed)
    rows = [(path, method, operation) for path, methods in chance.contract["paths"].items() for method, operation in methods.items()
            if method != "parameters" and path.split("/")[3:4] in (["clusters"], ["registries"], ["orchestrators"])]
    assert len(rows) > 25
    for path, method, operation in rows * 2:
        target, body, headers = chance.request(path, operation)
        answer = fleet.ask(method.upper(), target, body, **headers)
        told = (seed, method, target, body, headers, answer)
        away = answer.status == 503 and answer.json["type"] == "urn:pesitfs:problem:unreachable" and "no daemon" in answer.json["detail"]
        assert answer.status < 500 or away or (answer.status == 501 and "501" in operation["responses"]), told
        if answer.status < 300 and answer.body:
            chance.note(answer.json)


def test_a_console_killed_in_the_middle_is_mended_by_another(tmp_path, database, fleet):
    """Making stands still where the first role is made, dropping where the role is shut, and SIGKILL comes there."""
    def kill_in_the_middle(method, path, body, state):
        node = Bare(tmp_path / "killed", "KILLED", HTTP % (FIRST_KEY, database.console, CONSOLE_PASSWORD), store="").start()
        hold = subprocess.Popen(["psql", "-q", "-d", database.conninfo], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        hold.stdin.write("BEGIN; LOCK TABLE pg_authid IN SHARE MODE;\n\\echo held\n")
        hold.stdin.flush()
        assert hold.stdout.readline() == "held\n"
        connection = Api(node, index=-1).connect()
        connection.request(method, path, body, {"X-API-Key": FIRST_KEY})
        eventually(lambda: database.ask("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'pg_authid'::regclass"), told=node.log)
        made = Api(node, index=-1).post("/api/v1/config/partners", {"id": "P%s" % method})  # nothing else waits for it
        assert made.status == 201 and node.control("status")["store"] == "ok", made
        node.kill()
        connection.close()
        hold.communicate("ROLLBACK;\n")
        assert database.ask("SELECT database_state FROM admin.pesitwizard_clusters") == [state]

    kill_in_the_middle("POST", CLUSTERS, '{"name": "paris"}', "CREATING")
    cluster = make(fleet, "paris")
    assert database.try_as(cluster, "SELECT count(*) FROM partners").stdout == "0\n"
    kill_in_the_middle("DELETE", where(cluster), None, "READY")
    assert database.try_as(cluster, "SELECT count(*) FROM partners").stdout == "0\n"
    assert fleet.ask("DELETE", where(cluster)).status == 204 and database.named() == ([], [], [])


def test_daemons_of_a_cluster_make_one_first_key(tmp_path, database, fleet):
    """Two that start at the same moment, and both see that there is none: the table is held before they can write it."""
    cluster = make(fleet, "twins")
    text = 'admin: { listeners = ( { port = 0; } ); first_key = "%s"; };' % FIRST_KEY
    nodes = [database.daemon(tmp_path / owner, cluster, owner, text) for owner in ("a", "b")]
    table, waits = cluster["database"]["schema"] + ".admin_records", "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = '%s'::regclass"
    with subprocess.Popen(["psql", "-q", "-d", database.conninfo], stdin=subprocess.PIPE, text=True) as holder:
        holder.stdin.write("BEGIN; LOCK TABLE %s IN SHARE MODE;\n" % table)
        holder.stdin.flush()
        eventually(lambda: database.ask("SELECT count(*) FROM pg_locks WHERE granted AND mode = 'ShareLock' AND relation = '%s'::regclass" % table) == ["1"])
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            starting = [pool.submit(node.start) for node in nodes]
            eventually(lambda: database.ask(waits % table) == ["2"])
            holder.stdin.write("COMMIT;\n")
            holder.stdin.close()
            assert [one.result() for one in starting] == nodes
    assert [Api(node).get("/api/v1/me").status for node in nodes] == [200, 200]
    assert [key["name"] for key in Api(nodes[0]).get("/api/v1/apikeys").json] == ["first"]
    for node in nodes:
        node.stop()


def test_of_changes_at_once_one_is_done(fleet):
    registry = fleet.post("/api/v1/registries", {"name": "r"}).headers["Location"]
    one_wins(fleet, registry, lambda number: {"name": "r%d" % number})
    assert fleet.ask("DELETE", registry).status == 204


def test_a_transfer_is_with_the_daemon_that_has_its_bytes(tmp_path, database, fleet):
    """Another one of the cluster sees it, passes orders on, says whom to ask for its bytes, and what it does when that one is away."""
    cluster = make(fleet, "spools")
    text = 'admin: { listeners = ( { port = 0; } ); first_key = "%s"; };' % FIRST_KEY
    nodes = [database.daemon(tmp_path / owner, cluster, owner, text).start() for owner in ("a", "b")]
    here, there = map(Api, nodes)
    assert here.post("/api/v1/config/partners", {"id": "P", "host": "127.0.0.1", "port": 1}).status == 201
    assert here.post("/api/v1/config/files", {"partnerId": "P", "pattern": "out/*", "mode": "send"}).status == 201
    number = here.post("/api/v1/transfers/send?partner=P&path=out/x", b"x").json["transferId"]
    where = "/api/v1/transfers/%d" % number
    eventually(lambda: there.get(where).json["state"] == "waiting")

    def order(verb, check):
        answer = there.post(where + verb)
        assert answer.status == 202, answer
        return eventually(lambda: (lambda seen: seen if check(seen) else None)(here.get(where).json))

    for asked in (there.post(where + "/replay"), there.get(where + "/download")):
        assert asked.status == 409 and "daemon 'a'" in asked.json["detail"], asked
    order("/hold", lambda seen: seen["held"])
    attempts = order("/release", lambda seen: not seen["held"])["attempts"]
    order("/retry", lambda seen: seen["attempts"] > attempts)
    order("/cancel", lambda seen: seen["state"] == "cancelled")
    refused = there.post(where + "/cancel")
    assert (refused.status, here.post(where + "/cancel").json["detail"]) == (409, refused.json["detail"])
    order("/retry", lambda seen: seen["state"] != "cancelled")
    nodes[1].control("cancel", number)
    eventually(lambda: here.get(where).json["state"] == "cancelled")
    left = "SELECT count(*) FROM %s.inquiries" % cluster["database"]["schema"]
    eventually(lambda: database.ask(left) == ["0"])
    here.post(where + "/retry")
    os.kill(nodes[0].process.pid, signal.SIGSTOP)
    silent = there.post(where + "/cancel")
    os.kill(nodes[0].process.pid, signal.SIGCONT)
    assert silent.status == 503 and "daemon 'a'" in silent.json["detail"] and "nothing was done" in silent.json["detail"], silent
    assert database.ask(left) == ["0"] and here.get(where).json["state"] != "cancelled"
    assert here.get(where + "/download").body == b"x"
    for node in nodes:
        node.stop()
