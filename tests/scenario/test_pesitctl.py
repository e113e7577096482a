# SPDX-License-Identifier: Apache-2.0
"""pesitctl in an operator's hands: help of every verb, exit codes, JSON, progress, sparse files, traces, completion."""
import json
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import pytest
from doorbell import call
from node import BUILD, Bare
from shell import Shell
from strace import Strace

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = (BUILD / "pesitctl/pesitctl").resolve()
VECTORS = sorted((ROOT / "tests/vectors").glob("*.hex"))
BANK = '''listeners = ( { address = "127.0.0.1"; port = 0; },
  { address = "127.0.0.1"; port = 0; tls: { certificate = "%s/tls.pem"; key = "%s/tls.key"; }; } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret";
  files = ( { pattern = "in/*"; mode = "receive"; }, { pattern = "dispo/*"; mode = "offer"; } ); } );'''
COMPANY = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  files = ( { pattern = "out/*"; mode = "send"; }, { pattern = "wrong/*"; mode = "send"; file_type = 9; },
            { pattern = "releves/*"; mode = "fetch"; file_name = "{name}"; } ); },
  { name = "AWAY"; identifier = "AWAY"; password_sent = "secret"; address = "127.0.0.1"; port = 1;
    retry_delays_s = [ 300 ]; files = ( { pattern = "out/*"; mode = "send"; } ); },
  { name = "LOST"; identifier = "LOST"; password_sent = "secret"; address = "127.0.0.1"; port = 1;
    retry_attempts = 1; files = ( { pattern = "out/*"; mode = "send"; } ); },
  { name = "STRANGER"; identifier = "STRANGER"; password_sent = "secret"; address = "127.0.0.1"; port = %d; tls: { enabled = true; };
    retry_attempts = 1; files = ( { pattern = "out/*"; mode = "send"; } ); } );'''


def run(*arguments, **options):
    options = {"capture_output": True, "timeout": 60, "check": False, "text": True, **options}
    return subprocess.run([PROGRAM, *map(str, arguments)], **options)


def table(kind):
    rows = [line.split("\t") for line in run("--list-verbs").stdout.splitlines()]
    return [row[1:] for row in rows if row[0] == kind]


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                    "/CN=stranger", "-keyout", folder / "tls.key", "-out", folder / "tls.pem"], check=True, capture_output=True)
    bank = Bare(folder / "bank", "BANK1", BANK % (folder, folder)).start()
    ports = [int(port) for port in re.findall(r" PORT=(\d+)", bank.log())]
    node = Bare(folder / "company", "COMPANY", COMPANY % (ports[0], ports[1])).start()
    node.bank = bank
    yield node
    node.stop()
    bank.stop()


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "virement.xml"
    path.write_bytes(b"<pain/>")
    return path


def test_every_verb_has_help():
    verbs = table("verb")
    assert len(verbs) > 20
    for name, arguments, options, summary in verbs:
        asked, helped = run(*name.split(), "--help"), run("help", *name.split())
        assert (asked.returncode, asked.stderr) == (0, "") and asked.stdout == helped.stdout
        assert asked.stdout.startswith(f"usage: pesitctl {name} {arguments}".rstrip() + f"\n\n{summary}\n")
        assert all(f"--{option} " in asked.stdout for option in options.split())
        assert f"{name} {arguments}".strip() in run("--help").stdout
    assert run("help", "key").stdout.count("\n  key ") == 5 and run("help").stdout == run("--help").stdout


@pytest.mark.parametrize("line, complaint", [
    ("", "no verb"), ("sned", "did you mean 'send'?"), ("tranfers", "did you mean 'transfers'?"),
    ("key", "followed by create, list, remove, renew or rotate-seal"), ("key lst", "did you mean 'key list'?"), ("key frob", "create, list, remove, renew or rotate-seal"),
    ("status --josn", "did you mean '--json'?"), ("status --limit 3", "'status' takes no --limit"), ("help sned", "'send'"),
    ("transfers --state wating", "did you mean 'waiting'?"), ("transfers --direction to", "--direction: no 'to'"),
    ("transfers --limit 0", "from 1 to 1000"), ("transfers --limit x", "from 1 to 1000"), ("transfers --limit", "wants a value"),
    ("status --json=1", "takes no value"), ("status -x", "no option '-x'"), ("show", "usage: pesitctl show ID"),
    ("show 1 2", "usage: pesitctl show ID"), ("show twelve", "'twelve' is no number"), ("wait 0", "'0' is no number"),
    ("fetch A", "usage: pesitctl fetch PARTNER PATH"), ("seal", "seal needs --key-file")])
def test_wrong_usage_is_code_1_and_told(line, complaint):
    done = run(*line.split())
    assert (done.returncode, done.stdout) == (1, "") and complaint in done.stderr, done
    told = run("--json", *line.split())
    if "--json=" not in line:
        assert json.loads(told.stderr)["exit_code"] == 1 and told.stdout == ""


@pytest.mark.parametrize("line, code", [
    ("send BANK1 FILE out/good", 0), ("send AWAY FILE out/later --wait 0", 2), ("send BANK1 FILE wrong/a", 3),
    ("fetch BANK1 releves/NOTHING", 3), ("send BANK1 FILE no/rule", 4), ("send LOST FILE out/lost", 5), ("send STRANGER FILE out/strange", 6), ("send BANK1 /none", 8),
    ("send NOBODY FILE out/a", 8), ("show 999999", 8), ("partner show NOBODY", 8), ("api GET /api/v1/nothing", 8), ("key create a god", 4),
    ("check-config /none", 4), ("decode /none", 8)])
def test_exit_codes_tell_how_it_stands(company, small, line, code):
    for json_wanted in ([], ["--json"]):
        words = [small if word == "FILE" else word + "-".join(json_wanted) if word.startswith("out/") else word for word in line.split()]
        if line.startswith("fetch"):
            words += ["-o", small.parent / "fetched"]
        done = run("--socket", company.folder / "door", *json_wanted, *words)
        assert done.returncode == code, done
        told = json.loads(done.stdout or done.stderr) if json_wanted else None
        assert not told or told.get("exit_code", code) == code
    assert not (small.parent / "fetched").exists()


def test_an_end_that_is_just_being_stored_is_no_time_out(tmp_path, company, small):
    """Each commit takes longer than pesitctl waits before it asks again."""
    with Strace(company.process.pid, tmp_path / "strace", "fdatasync", "fdatasync:delay_enter=700000", company.folder / "store.db-wal"):
        done = run("--socket", company.folder / "door", "send", "BANK1", small, "out/slowly-stored")
    assert done.returncode == 0 and "done" in done.stdout, done


def test_cancelled_is_7_and_an_absent_daemon_9(company, small, tmp_path):
    number = company.control("send", "AWAY", small, "out/c", "--no-wait")["id"]
    assert company.control("cancel", number)["state"] == "cancelled"
    assert company.control("wait", number, check=False).returncode == 7
    assert company.control("retry", number)["state"] in ("queued", "running", "waiting")
    absent = run("--socket", tmp_path / "nowhere", "status")
    assert absent.returncode == 9 and "cannot reach the daemon" in absent.stderr
    assert [int(row[0]) for row in table("exit")] == list(range(10))


def test_json_has_the_documented_fields(company, small, tmp_path):
    sent = company.control("send", "BANK1", small, "out/json")
    company.bank.control("send", "COMPANY", small, "dispo/J")
    fetched = company.control("fetch", "BANK1", "releves/J", "-o", tmp_path / "j")
    document = (ROOT / "docs/pesitctl.md").read_text(encoding="utf-8")
    for transfer in (sent, fetched, company.control("show", sent["id"]), *company.control("transfers"), company.control("wait", sent["id"])):
        assert set(transfer) == set(sent) and all(f"| `{field}` |" in document for field in transfer)
    assert (tmp_path / "j").read_bytes() == small.read_bytes() and company.control("reload") == {"reloaded": True, "needs_restart": ""}
    status = company.control("status")
    assert status["state"] == "running" and all(f"| `{field}` |" in document for field in status)
    assert [row["name"] for row in company.control("partner", "list")] == ["AWAY", "BANK1", "LOST", "STRANGER"]
    made = company.control("cluster", "create", "c")
    assert company.control("cluster", "show", made["id"])["name"] == "c" and len(company.control("cluster", "list")) == 1
    assert company.control("cluster", "remove", made["id"]) == {"done": True}
    assert company.control("file", "list")[0]["pattern"] == "out/*" and company.control("audit", "verify")["valid"]
    checked = company.control("check-config", company.config)
    assert checked["valid"] and checked["file"] == str(company.config)
    sealed = json.loads(run("--json", "seal", "--key-file", tmp_path / "key", input="secret\n").stdout)
    verifier = json.loads(run("--json", "verifier", input="secret\n").stdout)
    assert sealed["sealed"].startswith("sealed:") and verifier["verifier"].startswith("verifier:")


def test_answers_of_the_administration_are_lines_for_people(company):
    door = ["--socket", company.folder / "door"]
    shown = run(*door, "partner", "show", "BANK1").stdout.splitlines()
    assert shown[:4] == ["id                   BANK1", "partnerId            BANK1", "name                 BANK1", "enabled              true"]
    assert [json.loads(line)["pattern"] for line in shown[shown.index("virtualFiles") + 1:]] == ["out/*", "wrong/*", "releves/*"]
    listed = run(*door, "partner", "list").stdout
    assert [part.split()[1] for part in listed.split("\n\n")] == ["AWAY", "BANK1", "LOST", "STRANGER"]
    key = run(*door, "key", "create", "people", "viewer").stdout
    assert re.fullmatch(r"pk_[0-9a-f]+\n", key) and "people" in run(*door, "key", "list").stdout


def test_fetch_to_a_pipe_or_a_file_is_whole_or_nothing(company, small, tmp_path):
    company.bank.control("send", "COMPANY", small, "dispo/P")
    door = ["--socket", company.folder / "door"]
    assert run(*door, "fetch", "BANK1", "releves/P").stdout == small.read_text(encoding="utf-8")
    assert run(*door, "fetch", "BANK1", "releves/NOTHING").stdout == ""
    kept = tmp_path / "kept"
    with open(kept, "wb") as output:
        output.write(b"head\n")
        output.flush()
        assert run(*door, "fetch", "BANK1", "releves/P", stdout=output, capture_output=False).returncode == 0
    assert kept.read_bytes() == b"head\n" + small.read_bytes()
    assert run(*door, "fetch", "BANK1", "releves/NOTHING", "-o", kept).returncode == 3
    assert kept.read_bytes().startswith(b"head\n") and list(tmp_path.glob("*.part")) == []
    assert run(*door, "fetch", "BANK1", "releves/P", "-o", "/dev/null").returncode == 0
    told = run(*door, "--json", "fetch", "BANK1", "releves/P")
    assert told.stdout == small.read_text(encoding="utf-8") and json.loads(told.stderr)["state"] == "done"


def test_send_takes_what_can_be_read_but_no_file_that_changes(company, tmp_path):
    door = ["--socket", company.folder / "door"]
    assert run(*door, "send", "BANK1", "/dev/stdin", "out/pipe", input="piped").returncode == 0
    assert company.bank.received("in/pipe") == b"piped"
    assert run(*door, "send", "BANK1", "/proc/self/stat", "out/proc").returncode == 0
    assert b"(pesitctl)" in company.bank.received("in/proc")
    changing = tmp_path / "changing"
    with open(changing, "wb") as file:
        file.truncate(1 << 20)
    history = company.control("transfers")
    held = ["strace", "-f", "-qq", "-o", tmp_path / "trace", "-e", "trace=ftruncate", "-e", "inject=ftruncate:delay_enter=600000",
            PROGRAM, *door, "send", "BANK1", changing, "out/changing"]
    traced = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}  # the leak sanitizer traces too: there can be one only
    with subprocess.Popen(held, stderr=subprocess.PIPE, env=traced) as process:
        until = time.monotonic() + 30
        while not (tmp_path / "trace").exists() or b"ftruncate" not in (tmp_path / "trace").read_bytes():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        os.truncate(changing, 1000)
        told = process.communicate(timeout=30)[1]
    assert process.returncode == 4 and b"was changed while it was read" in told
    assert company.control("transfers") == history


def on_terminal(*arguments, **options):
    """What a terminal shows until the program ends."""
    mine, its = pty.openpty()
    with subprocess.Popen([PROGRAM, *map(str, arguments)], stdin=its, **{"stdout": its, "stderr": its, **options}) as process:
        os.close(its)
        seen, until = b"", time.monotonic() + 30
        while time.monotonic() < until and select.select([mine], [], [], 30)[0]:
            try:
                seen += os.read(mine, 65536)
            except OSError:
                break
    os.close(mine)
    return seen.decode()


def test_progress_is_for_terminals(company, small):
    order = ["--socket", company.folder / "door", "send", "AWAY", small, "--wait", 2]
    assert re.search(r"\r\x1b\[Kwaiting out/virement.xml: 0 of 7 bytes", on_terminal(*order, "out/virement.xml"))
    assert "\r\x1b" not in on_terminal(*order, "out/b", stdout=subprocess.DEVNULL)
    assert "\r\x1b" not in on_terminal("--json", *order, "out/c")
    assert "\r" not in run(*order, "out/d").stderr


def peak_kib(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8"))[1])


def test_a_hole_of_a_gibibyte_costs_no_memory_and_no_disk(company, tmp_path):
    hole = tmp_path / "hole"
    with open(hole, "wb") as file:
        file.truncate(1 << 30)
        file.write(b"head")
        file.seek(512 << 20)
        file.write(b"middle")
    before = peak_kib(company.process.pid), peak_kib(company.bank.process.pid)
    process = subprocess.Popen([PROGRAM, "--json", "--socket", company.folder / "door", "send", "AWAY", hole, "out/hole", "--no-wait"],
                               stdout=subprocess.PIPE)
    transfer = json.loads(process.stdout.read())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    staged = max((company.folder / "spool/transfers").iterdir(), key=lambda path: path.stat().st_size)
    assert transfer["size_bytes"] == staged.stat().st_size == 1 << 30 and staged.stat().st_blocks * 512 < 1 << 20
    with open(staged, "rb") as file:
        assert file.read(5) == b"head\0" and file.seek(512 << 20) and file.read(7) == b"middle\0"
    assert process.returncode == 0 and usage.ru_maxrss < 64 << 10
    assert company.control("cancel", transfer["id"])["state"] == "cancelled"
    sent = company.control("send", "BANK1", hole, "out/hole")
    assert (sent["state"], sent["size_bytes"]) == ("done", 1 << 30)
    arrived = company.bank.folder / "inbox/COMPANY/in/hole"
    assert arrived.stat().st_size == 1 << 30 and subprocess.run(["cmp", hole, arrived], check=False).returncode == 0
    grown = peak_kib(company.process.pid) - before[0], peak_kib(company.bank.process.pid) - before[1]
    assert max(grown) < 32 << 10, grown
    arrived.unlink()


def parse(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line[:1] in "<>" and line]
    return [(line[0], bytes.fromhex(line[1:].split("#")[0]), line.split("#")[1].split("(was")[0].strip()) for line in lines]


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_decode_reads_every_vector_in_each_form(path):
    rows, shown = parse(path), json.loads(run("decode", "--json", path).stdout)
    assert [(row["direction"], row["fpdu"], row["length"]) for row in shown] == [(way, name, len(data)) for way, data, name in rows]
    assert all(row["valid"] and row["text"].startswith(row["fpdu"] + " ") for row in shown)
    lines = run("decode", path).stdout.splitlines()
    assert [line.split(None, 2)[2].split(" ! ")[0] for line in lines] == [row["text"] for row in shown]
    bare = b"".join(data for _, data, _ in rows)
    framed = b"".join(len(data).to_bytes(2, "big") + data for _, data, _ in rows)
    for form in (bare, framed, bare.hex().encode(), framed.hex(" ").encode()):
        done = run("decode", "-", "--json", input=form, text=False)
        assert done.returncode == 0 and [row["text"] for row in json.loads(done.stdout)] == [row["text"] for row in shown]


CONNECT = "001A 4020 0001 03044C4F4F50 0406434554 4F4D31 060102 160100"


@pytest.mark.parametrize("text, offset, what", [
    ("", None, "nothing to decode"), ("00 1x", 1, "line 1 column 4"), (CONNECT + "\n00", 26, "(line 2): 1 bytes are no FPDU"),
    (CONNECT + " 0006 C0EE 0100", 26, "00 06 c0 ee is the header of no FPDU"), ("00FF 4020 0001 0304", 0, "CONNECT of 255 bytes is cut after 8"),
    (CONNECT.replace("0304", "03FE"), 0, "CONNECT is wrong: PI 3: length runs past its container"),
    ("001A" + CONNECT + "001B" + CONNECT, 28, "an entity of 27 bytes, 26 are there"), ("001A" + CONNECT + "00", 28, "no entity"),
    ("0020" + CONNECT + "0000 0000 0000", 28, "00 00 00 00 is the header of no FPDU")])
def test_decode_names_the_offset_of_what_is_broken(text, offset, what):
    done = run("decode", input=text)
    assert done.returncode == 4 and what in done.stderr and (offset is None or f"offset {offset} " in done.stderr.replace(":", " ")), done
    told = run("decode", "--json", input=text)
    assert json.loads(told.stderr)["exit_code"] == 4 and isinstance(json.loads(told.stdout), list)
    assert done.stdout.count("CONNECT") == (1 if offset in (26, 28) or "is wrong" in what else 0)


def test_decode_masks_passwords_and_knows_what_comes_before_connect():
    message = "D7C5E2C9E3404040 C3D6D4D7C1D5E840 E2C5C3D9C5E34040"
    connect = "0022 4020 0001 03044C4F4F50 0406434554 4F4D31 0506534543524554 060102 160100"
    for text in (message + "C1C3D2F0" + connect, "0018" + message + "0004 C1C3D2F0 0022" + connect):
        lines = run("decode", input=text).stdout.splitlines()
        assert [line.split(None, 1)[1].split(" dst")[0] for line in lines] == ["message before CONNECT", "ACK0", "CONNECT"]
        shown = json.loads(run("decode", "--json", input=text).stdout)
        assert {"pi": 5, "name": "access control", "value": None} in shown[2]["parameters"]
        assert "SECRET" not in json.dumps(shown) + "".join(lines)


@pytest.fixture(scope="module")
def typed(tmp_path_factory):
    """A shell in a folder with some files, and a daemon that it reaches as `door`."""
    folder = tmp_path_factory.mktemp("typed")
    listeners = 'listeners = ( { port = 0; name = "DMZ"; }, { address = "127.0.0.1"; port = 0; } );'
    partners = ", ".join('{ name = "%s"; identifier = "%s"; files = ( { pattern = "out/*"; mode = "offer"; }, { pattern = "in/a b"; mode = "receive"; } ); }' %
                         (name, name) for name in ("BANK1", "BANK2", "CAISSE"))
    node = Bare(folder, "NODE", "%s partners = ( %s );" % (listeners, partners)).start()
    for name in ("virement.xml", "with a space.xml", "quote's.xml", "dollar$.xml"):
        (folder / name).write_bytes(b"x")
    (folder / "status").mkdir()  # named like a verb
    (folder / "sub").mkdir()
    (folder / "sub/deep file").write_bytes(b"x")
    shell = Shell(folder, ROOT / "deploy/completion", PROGRAM.parent.resolve())
    yield shell, node
    shell.stop()
    node.stop()


def test_completion_of_verbs_and_options_at_a_real_prompt(typed):
    """Verbs and options: tests/lint/verbs.py has all of them."""
    shell, _ = typed
    rows = [line.split("\t") for line in run("--list-verbs").stdout.splitlines()]
    verbs = [row[1] for row in rows if row[0] == "verb"]
    assert shell.all("pesitctl ") == sorted({"help", *(verb.split()[0] for verb in verbs)})
    for noun in {verb.split()[0] for verb in verbs if " " in verb}:
        assert shell.all("pesitctl %s " % noun) == sorted(verb.split()[1] for verb in verbs if verb.startswith(noun + " "))
    assert shell.tab("pesitctl stat") == "pesitctl status "  # and not the folder
    assert shell.tab("pesitctl --socket x --json key cr") == "pesitctl --socket x --json key create "
    assert shell.tab("pesitctl transfers --dir") == "pesitctl transfers --direction "
    assert shell.tab("pesitctl transfers --state d") == "pesitctl transfers --state done "
    assert shell.tab("pesitctl transfers --state=d") == "pesitctl transfers --state=done "
    assert shell.all("pesitctl transfers --direction s") == ["send", "serve"]
    assert shell.tab("pesitctl key create me op") == "pesitctl key create me operator "
    assert shell.all("pesitctl api P") == ["POST", "PUT"] and shell.all("pesitctl transfers --limit ") == []
    assert shell.tab("pesitctl help part") == "pesitctl help partner "


def test_completion_of_files_at_a_real_prompt(typed):
    shell, _ = typed
    assert shell.tab("pesitctl send BANK1 vir") == "pesitctl send BANK1 virement.xml "
    assert shell.tab("pesitctl send BANK1 with") == "pesitctl send BANK1 with\\ a\\ space.xml "
    assert shell.tab("pesitctl send BANK1 with\\ a\\ sp") == "pesitctl send BANK1 with\\ a\\ space.xml "
    assert shell.tab('pesitctl send BANK1 "with a') == 'pesitctl send BANK1 "with a space.xml" '
    assert shell.tab("pesitctl send BANK1 quo") == "pesitctl send BANK1 quote\\'s.xml "
    assert shell.tab("pesitctl send BANK1 dol") == "pesitctl send BANK1 dollar\\$.xml "
    assert shell.tab("pesitctl send BANK1 su") == "pesitctl send BANK1 sub/"
    assert shell.tab("pesitctl send BANK1 sub/de") == "pesitctl send BANK1 sub/deep\\ file "
    for line in ("check-config ", "decode ", "backup ", "restore ", "fetch BANK1 a -o ", "--socket ", "fetch BANK1 a --output="):
        assert shell.tab("pesitctl %svir" % line) == "pesitctl %svirement.xml " % line
    assert shell.tab("pesitctl show vir") == "pesitctl show vir" and shell.tab("pesitctl transfers --partner vir") == "pesitctl transfers --partner vir"


def test_completion_of_what_the_daemon_has_at_a_real_prompt(typed):
    """Without an administrator's rights; and when it is away nothing, soon."""
    shell, node = typed
    for line in ("send", "fetch", "partner show", "partner disable", "file list", "file set", "transfers --partner", "transfers -p"):
        assert shell.all("pesitctl -s door %s " % line) == ["BANK1", "BANK2", "CAISSE"], line
        assert shell.tab("pesitctl -s door %s CA" % line) == "pesitctl -s door %s CAISSE " % line
    assert shell.tab("pesitctl --socket=door send CA") == "pesitctl --socket=door send CAISSE "
    assert shell.all("pesitctl -s door partner add ") == shell.all("pesitctl -s door listener add ") == []
    assert shell.tab("pesitctl -s door file show BANK1 o") == "pesitctl -s door file show BANK1 out/\\* "
    assert shell.tab("pesitctl -s door file show BANK1 in") == "pesitctl -s door file show BANK1 in/a\\ b "
    assert shell.tab("pesitctl -s door listener stop D") == "pesitctl -s door listener stop DMZ "
    place = [one["id"] for one in node.control("status")["listeners"]][1]
    assert shell.tab("pesitctl -s door listener stop 127") == "pesitctl -s door listener stop %s " % place
    assert shell.tab("pesitctl -s door listener stop %s" % place[:-2]) == "pesitctl -s door listener stop %s " % place
    began = time.monotonic()
    assert shell.tab("pesitctl -s nobody send BA") == "pesitctl -s nobody send BA"
    assert time.monotonic() - began < 3


def spoil(data, chance):
    """Bytes changed, left out or put in; as bytes or as text."""
    data = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data))
        data[at:at + chance.choice((0, 1, 1, 5))] = chance.randbytes(chance.choice((0, 1, 1, 5)))
    return bytes(data) if chance.random() < 0.6 else data.hex(" ").encode()


def test_decode_ends_in_order_whatever_it_reads():
    chance = random.Random(11)
    captures = [b"".join(data for _, data, _ in parse(path)) for path in VECTORS]
    for _ in range(150):
        capture = spoil(chance.choice(captures), chance)
        done = run("decode", *chance.choice(([], ["--json"])), input=capture, text=False)
        assert done.returncode == (4 if done.stderr else 0) and b"CRITICAL" not in done.stderr, (capture.hex(), done)
        assert not done.stderr or b"offset " in done.stderr, (capture.hex(), done)


@pytest.fixture
def open_folder():
    """One that everybody may enter."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield pathlib.Path(name)


def test_callers_that_the_daemon_cannot_see_are_known_by_the_kernel(open_folder):
    """As between two containers: process numbers of one mean nothing in the other."""
    node = Bare(open_folder, "NODE", "")
    node.config.write_text(node.config.read_text(encoding="utf-8").replace('socket = "door";', 'socket = "door"; socket_mode = "0666";'))
    stranger = shutil.copy(PROGRAM, open_folder)
    reader, writer = os.pipe()
    with open(node.log_path, "ab") as log:
        node.process = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", PROGRAM.parents[1] / "daemon/pesitd", "--config", node.config,
                                         "--ready-fd", str(writer)], stderr=log, pass_fds=[writer])
    os.close(writer)
    with os.fdopen(reader, "rb") as ready:
        assert ready.readline() == b"READY\n", node.log()
    assert node.control("status")["pid"] == 1 and node.control("key", "list") == []
    refused = subprocess.run([stranger, "--socket", open_folder / "door", "key", "list"], user=65534, capture_output=True, text=True, timeout=60,
                             check=False)
    assert refused.returncode == 4 and "only root and the daemon's user may administer" in refused.stderr
    daemon = int(pathlib.Path("/proc/%d/task/%d/children" % (node.process.pid, node.process.pid)).read_text(encoding="utf-8"))
    os.kill(daemon, signal.SIGTERM)
    node.stop()


def test_who_is_let_in_may_not_administer(open_folder):
    """Whatever a program says at the door: not only what pesitctl says for its user."""
    node = Bare(open_folder, "NODE", 'listeners = ( { name = "main"; address = "127.0.0.1"; port = 0; } );')
    node.config.write_text(node.config.read_text(encoding="utf-8").replace('socket = "door";', 'socket = "door"; socket_mode = "0666";'))
    node.start()
    calls = {"Administer": [("s", "GET"), ("s", "/api/v1/me"), ("s", "")], "Backup": [], "Seals": [], "Reseal": [],
             "Describe": [("s", ""), ("s", ""), ("u", 10), ("s", "")], "Define": [("s", "P"), ("s", ""), ("a{sv}", {}), ("x", 0)],
             "Undefine": [("s", "P"), ("s", ""), ("x", 0)], "Test": [("s", "P"), ("u", 10)], "Listen": [("s", "main"), ("b", False)],
             "Hold": [("x", 1)], "Status": [], "Space": []}
    os.seteuid(65534)
    try:
        told = {method: call(node.folder / "door", method, *arguments) for method, arguments in calls.items()}
    finally:
        os.seteuid(0)
    refusal = "only root and the daemon's user may administer"
    assert told == {method: None if method in ("Status", "Space") else refusal for method in calls}
    assert node.control("status")["listeners"][0]["running"]
    node.stop()
