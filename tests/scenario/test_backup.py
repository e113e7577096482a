# SPDX-License-Identifier: Apache-2.0
"""pesitctl backup and restore: while transfers go on, onto either back end, and what is refused."""
import hashlib
import itertools
import json
import os
import re
import threading

import postgres
import pytest
from admin import FIRST_KEY, LISTENER, Api
from node import Bare
from trail import check_trail

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"
BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; files = ( { pattern = "in/*"; mode = "receive"; } ); } );'''
PARTNER = '''
@include "partner.conf"
'''
BANK1 = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "file:%s/secret"; address = "127.0.0.1"; port = %d;
  files = ( { pattern = "out/*"; mode = "send"; } ); } );'''
SQLITE = 'store: { backend = "sqlite"; path = "store.db"; };'
STORES = ("sqlite", "postgres")


@pytest.fixture(scope="module")
def server():
    return postgres.shared()


@pytest.fixture
def bank(tmp_path):
    node = Bare(tmp_path / "bank", "BANK1", BANK, SQLITE).start()
    yield node
    node.stop()


def start_company(folder, bank, store, key=True):
    company = Bare(folder, "COMPANY", LISTENER % FIRST_KEY + PARTNER, store)
    (folder / "partner.conf").write_text(BANK1 % (folder, bank.port), encoding="utf-8")
    (folder / "secret").write_text("secret\n", encoding="ascii")
    (folder / "key").write_text(KEY, encoding="ascii")
    if key:
        text = company.config.read_text(encoding="utf-8")
        company.config.write_text(text.replace("paths: {", 'paths: { key_file = "key";'), encoding="utf-8")
    return company.start()


def state_of(node):
    """All that can be asked of it, but for what the asking itself changes."""
    return (node.control("transfers", "--limit", "1000"), [{**one, "updatedAt": None} for one in node.control("partner", "list")], node.control("file", "list"),
            [{**key, "lastUsedAt": None} for key in Api(node, index=-1).get("/api/v1/apikeys").json],
            Api(node, index=-1).get("/api/v1/transfers/stats").json,
            [node.control(noun, "list") for noun in ("favorite", "schedule", "calendar")])


def fill(company, tmp_path, count=5):
    company.control("calendar", "create", "banks", "preset=FR", "defaultCalendar=true")
    company.control("favorite", "create", "f", "partnerId=BANK1", "direction=RECEIVE", "path=in/x")
    company.control("schedule", "create", "monthly", "partnerId=BANK1", "direction=RECEIVE", "path=in/x", "scheduleType=MONTHLY", "workingDaysOnly=true",
                    "nonWorkingDay=NEXT")
    source = tmp_path / "file"
    source.write_bytes(b"<pain/>\t\\N\n")
    for number in range(count):
        company.control("send", "BANK1", source, "out/file-%d" % number)
    assert Api(company).post("/api/v1/config/partners", {
        "id": "OTHER", "identifier": "O", "host": "192.0.2.1", "port": 5000, "password_sent": "another"}).status == 201
    assert Api(company).post("/api/v1/apikeys", {"name": "\\N", "role": "operator"}).status == 201
    return source


def restore(company, backup, folder, key="key", **options):
    words = itertools.chain(*(("--" + name, value) for name, value in options.items()))
    return company.control("restore", backup, "--to", folder, "--key-file", company.folder / key, *words, check=False)


def store_of(kind, server):
    return SQLITE if kind == "sqlite" else server.store(postgres.next_schema())


def start_restored(folder, bank, kind, server, schema):
    """The configuration as it was, but for where things are now."""
    text = (folder / "pesitd.conf").read_text(encoding="utf-8")
    place = SQLITE if kind == "sqlite" else server.store(schema)
    text = re.sub(r"store: \{.*?\};", place, text)
    node = Bare(folder, "COMPANY", "", place)
    node.config.write_text(text, encoding="utf-8")
    (folder / "key").write_text(KEY, encoding="ascii")
    (folder / "partner.conf").write_text(BANK1 % (folder, bank.port), encoding="utf-8")
    return node.start()


@pytest.mark.parametrize("source,target", list(itertools.product(STORES, STORES)))
def test_what_was_there_is_there_again(source, target, bank, server, tmp_path):
    company = start_company(tmp_path / "company", bank, store_of(source, server))
    fill(company, tmp_path)
    before, folder, schema = state_of(company), tmp_path / "restored", postgres.next_schema()
    company.control("backup", tmp_path / "backup")
    last = [row for row in company.control("audit", "list")["content"] if not row["action"].startswith("transfer ")][-1]
    assert (last["action"], last["username"], json.loads(last["details"])) == ("Backup", "uid:%d" % os.getuid(), {"error": None})
    company.stop()
    options = {} if target == "sqlite" else {"postgres": server.conninfo, "schema": schema}
    done = restore(company, tmp_path / "backup", folder, **options)
    assert done.returncode == 0, done.stderr
    assert (folder / "store.db").exists() == (target == "sqlite")
    assert (folder / "secret").read_text(encoding="ascii") == "secret\n"
    again = start_restored(folder, bank, target, server, schema)
    try:
        for now, then in zip(state_of(again), before):
            assert now == then
        check_trail(again)
        rows = [row for row in again.control("audit", "list")["content"] if row["action"] == "Restore"]
        assert [(row["object"], row["username"]) for row in rows] == [(str(tmp_path / "backup"), "uid:%d" % os.getuid())]
        newest = again.control("send", "BANK1", tmp_path / "file", "out/new")
        assert newest["state"] == "done" and newest["id"] > before[0][0]["id"], newest
    finally:
        again.stop()


def test_a_backup_over_http_is_the_same(bank, server, tmp_path):
    company = start_company(tmp_path / "company", bank, SQLITE)
    fill(company, tmp_path)
    before, folder, api = state_of(company), tmp_path / "restored", Api(company)
    dry = api.post("/api/v1/backup?dryRun=true").json
    made = api.post("/api/v1/backup")
    assert made.status == 200 and made.headers["Content-Type"] == "application/octet-stream" and dry["dryRun"] is True and dry["size"] > 1000
    assert api.get("/api/v1/backup").json == [] and api.post("/api/v1/backup?dryRun=x").json["field"] == "dryRun"
    (tmp_path / "backup").write_bytes(made.body)
    company.stop()
    assert restore(company, tmp_path / "backup", folder).returncode == 0
    again = start_restored(folder, bank, "sqlite", server, "")
    try:
        assert state_of(again) == before
        check_trail(again)
        assert not [row for row in again.control("audit", "list")["content"] if "nobody knows" in row["details"]]
    finally:
        again.stop()


@pytest.mark.parametrize("kind", STORES)
def test_transfers_go_on_meanwhile(kind, bank, server, tmp_path):
    """Each backup has all that had ended when it was ordered, and nothing half."""
    company = start_company(tmp_path / "company", bank, store_of(kind, server))
    source, ended, sent = fill(company, tmp_path), threading.Event(), []

    def send():
        while not ended.is_set():
            sent.append(company.control("send", "BANK1", source, "out/%d" % len(sent))["id"])

    thread = threading.Thread(target=send)
    thread.start()
    try:
        for number in range(3):
            known = len(sent)
            company.control("backup", tmp_path / ("backup-%d" % number))
            folder, schema = tmp_path / ("restored-%d" % number), postgres.next_schema()
            done = restore(company, tmp_path / ("backup-%d" % number), folder, postgres=server.conninfo, schema=schema)
            assert done.returncode == 0, done.stderr
            rows = server.ask("SELECT id, state FROM %s.transfer_history" % schema)
            assert {"%d|4" % transfer for transfer in sent[:known]} <= set(rows)
            sums = server.ask("SELECT sum(transfers) FROM %s.transfer_sums WHERE partner = '' AND days = 1" % schema)
            assert int(sums[0]) == sum(int(row.split("|")[1]) >= 4 for row in rows)
    finally:
        ended.set()
        thread.join()
    assert len(sent) > 3 and not list((company.folder / "spool").glob("backup*"))
    company.stop()


def resum(lines):
    body = b"".join(lines)
    return body + b"end\t" + hashlib.sha256(body).hexdigest().encode() + b"\n"


@pytest.mark.parametrize("kind", STORES)
def test_what_is_refused_leaves_nothing(kind, bank, server, tmp_path):
    company = start_company(tmp_path / "company", bank, SQLITE)
    fill(company, tmp_path, 2)
    company.control("backup", tmp_path / "backup")
    company.stop()
    whole = (tmp_path / "backup").read_bytes()
    lines = whole.splitlines(keepends=True)
    head = lines[0].split(b"\t")
    (company.folder / "other").write_text("QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=\n", encoding="ascii")
    schema = postgres.next_schema()
    options = {} if kind == "sqlite" else {"postgres": server.conninfo, "schema": schema}
    middle = len(whole) // 2
    for content, key, words in (
            (whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:], "key", b"checksum"),
            (whole[:middle], "key", b"damaged"),
            (b"".join(lines[:-1]), "key", b"damaged"),
            (b"no backup\n", "key", b"damaged"),
            (resum([b"\t".join([head[0], head[1], b"999", head[3]]), *lines[1:-1]]), "key", b"newer"),
            (resum([b"\t".join([head[0], b"2", *head[2:]]), *lines[1:-1]]), "key", b"newer"),
            (resum([*lines[:-2], b"row\tx\n", *lines[-2:-1]]), "key", b"damaged"),
            (resum([line for line in lines[:-1] if not line.startswith((b"table", b"row", b"next"))] + [b"row\n", b"next\t1\n"]), "key", b"damaged"),
            (whole, "other", b"does not open"), (whole, "missing", b"missing")):
        (tmp_path / "bad").write_bytes(content)
        done = restore(company, tmp_path / "bad", tmp_path / "restored", key, **options)
        assert done.returncode != 0 and words in done.stderr + done.stdout, (words, done)
        assert not (tmp_path / "restored").exists() and not list(tmp_path.glob("*.restoring")), words
    (tmp_path / "full").mkdir()
    (tmp_path / "full/thing").write_text("x", encoding="ascii")
    done = restore(company, tmp_path / "backup", tmp_path / "full", **options)
    assert done.returncode != 0 and b"not an empty folder" in done.stderr + done.stdout and os.listdir(tmp_path / "full") == ["thing"]
    assert restore(company, tmp_path / "backup", tmp_path / "restored", **options).returncode == 0  # nothing of it was left behind
    done = restore(company, tmp_path / "backup", tmp_path / "twice", **options)
    assert done.returncode == (0 if kind == "sqlite" else 4) and (kind == "sqlite" or b"not empty" in done.stderr + done.stdout), done


def test_no_secret_is_in_it(bank, tmp_path):
    company = start_company(tmp_path / "company", bank, SQLITE)
    fill(company, tmp_path, 1)
    company.control("backup", tmp_path / "backup")
    text = (tmp_path / "backup").read_bytes()
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o600
    for secret in (b"another", b"password_sent = \"file:", KEY.strip().encode(), FIRST_KEY.encode()):
        assert secret not in text, secret
    company.stop()
    bare = start_company(tmp_path / "bare", bank, SQLITE, key=False)
    done = bare.control("backup", tmp_path / "none", check=False)
    assert done.returncode != 0 and b"key_file" in done.stderr + done.stdout and not (tmp_path / "none").exists()
    bare.stop()
