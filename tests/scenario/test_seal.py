# SPDX-License-Identifier: Apache-2.0
"""pesitctl key rotate-seal: while transfers go on, and killed at any moment."""
import os
import random
import re
import shutil
import subprocess
import threading
import time

import postgres
import pytest
from admin import FIRST_KEY, LISTENER, Api
from node import BUILD, Bare

BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; max_connections = 20;
  files = ( { pattern = "in/*"; mode = "receive"; existing = "replace"; } ); } );'''
PARTNER = '''partners = ( { name = "FILE"; identifier = "BANK1"; password_sent = "%s"; address = "127.0.0.1"; port = %d;
  # an old one was sealed:AAAA
  files = ( { pattern = "out/*"; mode = "send"; } ); } );'''
KILLS = 8


def seal(key):
    done = subprocess.run([BUILD / "pesitctl/pesitctl", "seal", "--key-file", key], input="secret\n", text=True, check=True,
                          capture_output=True)
    return done.stdout.strip()


@pytest.fixture(params=("sqlite", "postgres"))
def pair(request, tmp_path):
    """COMPANY sends to the bank as FILE, from an included file, and as STORE, from the store; both passwords are sealed."""
    bank = Bare(tmp_path / "bank", "BANK1", BANK, 'store: { path = "store.db"; };').start()
    store = 'store: { path = "store.db"; };'
    if request.param == "postgres":
        store = postgres.shared().store(postgres.next_schema())
    folder = tmp_path / "company"
    company = Bare(folder, "COMPANY", LISTENER % FIRST_KEY + '\n@include "partner.conf"\n', store)
    (folder / "partner.conf").write_text(PARTNER % (seal(folder / "key"), bank.port), encoding="utf-8")
    os.chown(folder / "key", 0, 1)
    os.chmod(folder / "partner.conf", 0o640)
    text = company.config.read_text(encoding="utf-8")
    company.config.write_text(text.replace("paths: {", 'paths: { key_file = "%s/key";' % folder), encoding="utf-8")
    company.start()
    assert Api(company).post("/api/v1/config/partners", {
        "id": "STORE", "identifier": "BANK1X", "host": "127.0.0.1", "port": bank.port, "password_sent": "secret"}).status == 201
    yield company, bank
    company.stop()
    bank.stop()


def send(company, tmp_path):
    source = tmp_path / "file"
    source.write_bytes(b"<pain/>")
    assert company.control("send", "FILE", source, "out/x")["state"] == "done"


def sealed_of(company):
    """Every sealed secret, as it is written; that of the store by way of a backup."""
    written = re.findall(r"sealed:[A-Za-z0-9+/=]{9,}", (company.folder / "partner.conf").read_text(encoding="utf-8"))
    company.control("backup", company.folder / "look")
    lines = (company.folder / "look").read_text(encoding="utf-8").splitlines()
    return written + re.findall(r"sealed:[A-Za-z0-9+/=]{9,}", "\n".join(line for line in lines if line.startswith("row\tSTORE\t")))


def opens(company, key):
    """Whether the configuration is good with another key."""
    copy = company.folder / "copy.conf"
    copy.write_text(company.config.read_text(encoding="utf-8").replace('%s/key"' % company.folder, '%s"' % key), encoding="utf-8")
    done = subprocess.run([BUILD / "daemon/pesitd", "--check-config", "--config", copy], capture_output=True, check=False)
    return done.returncode == 0


def test_a_new_key_while_transfers_go_on(pair, tmp_path):
    company, bank = pair
    key, old, ended, failed = company.folder / "key", tmp_path / "old", threading.Event(), []
    shutil.copy(key, old)

    def sending():
        while not ended.is_set():
            try:
                send(company, tmp_path)
            except AssertionError as error:
                failed.append(error)

    before = sealed_of(company)
    assert len(before) == 2
    thread = threading.Thread(target=sending)
    thread.start()
    try:
        for number in range(3):
            was = key.read_text(encoding="ascii")
            done = company.control("key", "rotate-seal")
            assert (done["store"], done["files"]) == (1, 1), (number, done)
            assert [row["action"] for row in company.control("api", "GET", "/api/v1/audit?action=Reseal&limit=1000")["content"]] == ["Reseal"] * 2 * (number + 1)
            assert key.read_text(encoding="ascii") != was and len(key.read_text(encoding="ascii").split()) == 1
    finally:
        ended.set()
        thread.join()
    assert not failed, failed
    after = sealed_of(company)
    assert len(after) == 2 and not set(before) & set(after)
    assert opens(company, key) and not opens(company, old)
    assert (key.stat().st_gid, key.stat().st_mode & 0o777) == (1, 0o600)
    assert (company.folder / "partner.conf").stat().st_mode & 0o777 == 0o640
    assert "sealed:AAAA\n" in (company.folder / "partner.conf").read_text(encoding="utf-8")
    assert "config-refused" not in company.log() and "configuration refused" not in company.log()
    company.stop()
    company.start()
    send(company, tmp_path)
    assert {row["state"] for row in company.control("transfers", "--limit", "1000")} == {"done"}


def test_killed_at_any_moment(pair, tmp_path):
    company, bank = pair
    chance, key = random.Random(4), company.folder / "key"
    program = [BUILD / "pesitctl/pesitctl", "--socket", company.folder / "door", "key", "rotate-seal"]
    keys = set()
    for number in range(KILLS):
        with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as rotating:
            time.sleep(chance.random() * 0.05)  # any moment is right
            if number % 2 == 0:
                rotating.kill()
            company.kill()
            keys.add(len(key.read_text(encoding="ascii").split()))
            company.start()
        send(company, tmp_path)
    assert keys <= {1, 2}
    company.control("key", "rotate-seal")
    assert len(key.read_text(encoding="ascii").split()) == 1 and len(sealed_of(company)) == 2 and opens(company, key)
    send(company, tmp_path)


def test_what_was_interrupted_is_finished(pair, tmp_path):
    """As a kill between the files and the store leaves it: both keys, the file sealed with the new one."""
    company, bank = pair
    key, new = company.folder / "key", tmp_path / "new"
    company.stop()
    (company.folder / "partner.conf").write_text(PARTNER % (seal(new), bank.port), encoding="utf-8")
    key.write_text(new.read_text(encoding="ascii") + key.read_text(encoding="ascii"), encoding="ascii")
    company.start()
    send(company, tmp_path)
    done = company.control("key", "rotate-seal")
    assert (done["store"], done["files"]) == (1, 0) and key.read_text(encoding="ascii") == new.read_text(encoding="ascii")
    company.stop()
    company.start()
    send(company, tmp_path)


def test_without_a_key_there_is_nothing_to_change(tmp_path):
    node = Bare(tmp_path / "bank", "BANK1", BANK, 'store: { path = "store.db"; };').start()
    done = node.control("key", "rotate-seal", check=False)
    assert done.returncode == 4 and b"paths.key_file" in done.stderr + done.stdout, done
    node.stop()
