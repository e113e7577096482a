# SPDX-License-Identifier: Apache-2.0
"""The benchmarks: for each, how our figure and the bare program's figure are taken, once."""
import contextlib
import dataclasses
import datetime
import mmap
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import statistics
import subprocess
import time
from typing import Callable, Optional

import admin
import history
import postgres
from mounted import Mounted
from node import BUILD, Bare

MB = 1e6
GIB, MIB, KIB = 1 << 30, 1 << 20, 1 << 10
BANK = '''limits: { connections = 2000; unauthenticated = 1000; unauthenticated_per_address = 1000; };
listeners = ( { address = "127.0.0.1"; port = 0; %s } );
partners = ( { name = "COMPANY"; identifier = "COMPANY"; password_received = "secret"; max_connections = 1000; %s
  files = ( { pattern = "in/*"; mode = "receive"; existing = "replace"; } ); } );'''
COMPANY = '''limits: { connections = 2000; };
partners = ( { name = "BANK1"; identifier = "BANK1"; password_sent = "secret"; address = "127.0.0.1"; port = %d;
  outgoing_connections = %d; max_connections = 1000; retry_attempts = 1; %s
  files = ( { pattern = "out/*"; mode = "send"; ack = "sent"; } ); } );'''


class Bench:
    """Sizes, folders, and the files that are moved."""

    def __init__(self, folder, quick, pairs):
        self.folder, self.quick, self.pairs = folder, quick, pairs
        self.large = 16 * MIB if quick else GIB
        self.upload_bytes = 16 * MIB if quick else 10 * GIB
        self.small_count = 200 if quick else 10_000
        self.history_rows = 20_000 if quick else 10_000_000
        self.sources, self.notes, self.count = {}, [], 0

    def runs(self, case):
        return 1 if self.quick else case.runs or self.pairs

    def warm(self):
        """Takes and gives back memory, just before a large file: a virtual machine pays for pages that its host has to
        find, and whoever came first would pay for both."""
        if not self.quick:
            with mmap.mmap(-1, self.large * 5) as memory:
                memory[0:len(memory):4096] = bytes(len(memory) // 4096)

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def take_notes(self):
        notes, self.notes = self.notes, []
        return notes

    def source(self, size):
        """A file of random bytes, on the disk and in memory."""
        if size not in self.sources:
            self.sources[size] = self.folder / ("source-%d" % size)
            with open(self.sources[size], "wb") as file:
                for at in range(0, size, MIB):
                    file.write(os.urandom(min(MIB, size - at)))
                file.flush()
                os.fsync(file.fileno())
        return self.sources[size]

    @contextlib.contextmanager
    def fresh(self, keep=False):
        """A new folder, for one run; what was there before is on the disk and out of the way. keep: until the end, because
        a filesystem that has just lost many small files is slower with new ones."""
        self.count += 1
        folder = self.folder / ("run-%d" % self.count)
        folder.mkdir()
        os.sync()
        try:
            yield folder
        finally:
            if not keep:
                shutil.rmtree(folder)

    @contextlib.contextmanager
    def pair(self, connections=1, tls=False, habits="", keep=False, administration=""):
        """Two daemons, COMPANY and BANK1, with a connection that is open already."""
        with self.fresh(keep) as folder:
            listener, caller = tls_settings(folder) if tls else ("", "")
            bank = Bare(folder / "bank", "BANK1", BANK % (listener, habits)).start()
            company = Bare(folder / "company", "COMPANY", COMPANY % (bank.port, connections, caller + habits) + administration).start()
            try:
                company.control("send", "BANK1", self.source(KIB), "out/warm")
                yield company, bank
            finally:
                company.stop()
                bank.stop()


def tls_settings(folder):
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    make_certificate(certificate, key)
    return ('tls: { certificate = "%s"; key = "%s"; };' % (certificate, key),
            'tls: { enabled = true; authorities = "%s"; };' % certificate)


def make_certificate(certificate, key):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)


def run_bare(name, *arguments):
    """Seconds that a bare program measured."""
    done = subprocess.run([BUILD / "tests/bench" / name, *map(str, arguments)], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[0])


def seconds_of(transfer):
    """From the commit of the file to its last answer, as the daemon's history has it."""
    assert transfer["state"] == "done", transfer
    return (transfer["finished_us"] - transfer["created_us"]) / 1e6


def check_arrived(bank, name, source, count=1):
    arrived = bank.folder / "inbox/COMPANY/in" / name
    assert arrived.stat().st_size == source.stat().st_size, arrived
    assert count == 0 or subprocess.run(["cmp", "-s", source, arrived], check=False).returncode == 0, "it differs"


# one large file

def move(bench, tls=False, habits=""):
    source = bench.source(bench.large)
    with bench.pair(tls=tls, habits=habits) as (company, bank):
        bench.warm()
        transfer = company.control("send", "BANK1", source, "out/large", timeout=600)
        check_arrived(bank, "large", source)
    return bench.large / seconds_of(transfer) / MB


def move_bare(bench, tls=False):
    source = bench.source(bench.large)
    with bench.fresh() as folder:
        files = []
        if tls:
            files = [folder / "certificate.pem", folder / "key.pem"]
            make_certificate(*files)
        copy = shutil.copy(source, folder / "staged")
        os.sync()
        bench.warm()
        return bench.large / run_bare("bare-move", copy, folder, *files) / MB


POINTS_KB, WINDOW = 32, 4


def move_with_points(bench):
    return move(bench, habits="sync_interval_kb = %d; sync_window = %d;" % (POINTS_KB, WINDOW))


def sync_bare(bench):
    with bench.fresh() as folder:
        bench.warm()
        seconds = run_bare("bare-sync", bench.source(bench.large), POINTS_KB * KIB * WINDOW, folder)
        return bench.large / seconds / MB


# many small files

SMALL_BYTES = 4096


def feed(bench, threads):
    with bench.pair(connections=threads, keep=True) as (company, bank):
        done = subprocess.run([BUILD / "tests/bench/feed", company.folder / "door", "BANK1", "out", str(threads),
                               str(bench.small_count), str(SMALL_BYTES)], check=True, capture_output=True, text=True)
        seconds, count = done.stdout.split()
        arrived = len(os.listdir(bank.folder / "inbox/COMPANY/in"))
        assert int(count) == arrived == bench.small_count + 1, (count, arrived)
    return bench.small_count / float(seconds)


def small_bare(bench, threads):
    with bench.fresh(keep=True) as folder:
        (folder / "here").mkdir()
        (folder / "there").mkdir()
        seconds = run_bare("bare-small", threads, bench.small_count, SMALL_BYTES, folder / "here", folder / "there")
    return bench.small_count / seconds


# through the mount

@contextlib.contextmanager
def mounted(company):
    mount = Mounted(company).start()
    try:
        yield mount
    finally:
        mount.stop()


def started_at(company, path):
    """When the daemon began to send, from its log; seconds of the wall clock."""
    text = [line for line in company.log().splitlines() if " transfer started: " in line and "PATH=" + path in line][-1]
    return datetime.datetime.fromisoformat(text.split()[0].replace("Z", "+00:00")).timestamp()


def copy_in(bench):
    """Seconds from the start of cp until sending starts, and until cp ends."""
    source = bench.source(bench.large)
    with bench.pair() as (company, bank), mounted(company) as mount:
        bench.warm()
        start = time.time()
        subprocess.run(["cp", source, mount.at("out/large")], check=True)
        end = time.time()
        check_arrived(bank, "large", source)
        return started_at(company, "out/large") - start, end - start


def copy_out(bench, moved):
    """Seconds of cp to the disk, and of what follows: a sync, or the bare move."""
    with bench.fresh() as folder:
        source = bench.source(bench.large)
        bench.warm()
        start = time.time()
        subprocess.run(["cp", source, folder / "copy"], check=True)
        if not moved:
            subprocess.run(["sync", folder / "copy"], check=True)
        seconds = time.time() - start
        return seconds + (run_bare("bare-move", folder / "copy", folder) if moved else 0)


MOUNT_THREADS = 32


def small_mount(bench):
    with bench.pair(connections=MOUNT_THREADS, keep=True) as (company, bank), mounted(company) as mount:
        seconds = run_bare("write-small", MOUNT_THREADS, bench.small_count, SMALL_BYTES, mount.at("out"))
        assert len(os.listdir(bank.folder / "inbox/COMPANY/in")) == bench.small_count + 1
    return bench.small_count / seconds


def median_ms(count, work):
    times = []
    for number in range(count):
        start = time.monotonic()
        work(number)
        times.append(time.monotonic() - start)
    return statistics.median(times) * 1000


def latency(bench):
    source = bench.source(SMALL_BYTES)
    with bench.pair() as (company, _), mounted(company) as mount:
        return median_ms(5 if bench.quick else 100,
                         lambda n: subprocess.run(["cp", source, mount.at("out/%d" % n)], check=True))


def latency_bare(bench):
    def copy_twice(number):
        for side in ("here", "there"):
            subprocess.run(["cp", source, folder / ("%s-%d" % (side, number))], check=True)
            sync_file(folder / ("%s-%d" % (side, number)))

    source = bench.source(SMALL_BYTES)
    with bench.fresh() as folder:
        return median_ms(5 if bench.quick else 100, copy_twice)


def sync_file(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


# the client's interface

OFFER = '''partners = ( { name = "BANK1"; identifier = "BANK1"; password_received = "secret";
  files = ( { pattern = "dispo/*"; mode = "offer"; } ); } );'''


def curl(source, port, *options, tls=False):
    """Seconds of the whole of curl, that sends a form with the file. tls: it does not ask whose certificate it is."""
    start = time.monotonic()
    done = subprocess.run(["curl", "-sS", "--fail-with-body", "-o", "-", "--insecure", *options, "-F", "file=@%s" % source,
                           ("https" if tls else "http") + "://127.0.0.1:%d/api/v1/transfers/send?partner=BANK1&path=dispo/large" % port],
                          check=False, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return time.monotonic() - start


def upload(bench, tls=False):
    """Until the file and its row are durable in the spool."""
    source = bench.source(bench.upload_bytes)
    with bench.fresh() as folder:
        listener = "port = 0; " + tls_settings(folder)[0] if tls else "port = 0;"
        node = Bare(folder / "node", "COMPANY", ADMIN.replace("port = 0;", listener) + OFFER).start()
        try:
            before = peak_mib(node.process)
            bench.warm()
            seconds = curl(source, admin.Api(node).port, "-H", "X-API-Key: " + admin.FIRST_KEY, tls=tls)
            bench.note("pesitd: peak %.1f MiB before, %.1f MiB after %.3g GiB" % (
                before, peak_mib(node.process), bench.upload_bytes / GIB))
            stored, = (node.folder / "spool/transfers").iterdir()
            assert subprocess.run(["cmp", "-s", source, stored], check=False).returncode == 0, "it differs"
        finally:
            node.stop()
    return bench.upload_bytes / seconds / MB


def upload_bare(bench, tls=False):
    source = bench.source(bench.upload_bytes)
    with bench.fresh() as folder:
        files = [folder / "certificate.pem", folder / "key.pem"] if tls else []
        if tls:
            make_certificate(*files)
        bench.warm()
        with subprocess.Popen([BUILD / "tests/bench/bare-upload", folder, *files], stdout=subprocess.PIPE, text=True) as server:
            seconds = curl(source, int(server.stdout.readline()), tls=tls)
        assert server.returncode == 0
    return bench.upload_bytes / seconds / MB


# the history

ADMIN = 'admin: { listeners = ( { port = 0; } ); first_key = "%s"; requests_per_s = 1000000; };' % admin.FIRST_KEY


def history_sqlite(bench):
    """Milliseconds of the slowest question."""
    with bench.fresh() as folder:
        node = Bare(folder / "node", "HISTORY", ADMIN, store="").start()
        node.stop()
        path = node.folder / "store.db"
        history.fill_sqlite(path, bench.history_rows)
        with contextlib.closing(sqlite3.connect(path)) as store:
            counted = store.execute(history.COUNTED).fetchall()
        bench.note("%d rows, %.0f MB" % (bench.history_rows, path.stat().st_size / MB))
        return ask_all(bench, node, counted)


def history_postgres(bench):
    with bench.fresh() as folder:
        server = postgres.Postgres("shared_buffers=512MB", "max_wal_size=4GB")
        try:
            node = Bare(folder / "node", "HISTORY", ADMIN, store=server.store("cluster_history")).start()
            node.stop()
            history.fill_postgres(server.conninfo, "cluster_history", bench.history_rows)
            counted = [line.split("|") for line in
                       history.psql(server.conninfo, "SET search_path TO cluster_history", history.COUNTED)]
            return ask_all(bench, node, counted)
        finally:
            server.remove()


def ask_all(bench, node, counted):
    node.start()
    try:
        api = admin.Api(node, index=-1)
        history.check_counts(api, counted)
        found = history.measure(api, node, bench.quick)
    finally:
        node.stop()
    times = sorted(found.values())
    bench.note("%d questions: median %.1f ms, 99 %% below %.1f ms, %d above %d ms" % (
        len(times), statistics.median(times), times[len(times) * 99 // 100], sum(t > history.AIM_MS for t in times),
        history.AIM_MS))
    slowest = max(found, key=found.get)
    bench.note("slowest: " + slowest)
    return found[slowest]


# the administration

STREAMS, PER_SECOND = 500, 10_000


def move_watched(bench):
    """While many ask whether it is ready and listen to its events."""
    source = bench.source(bench.large)
    with bench.pair(administration=ADMIN) as (company, bank):
        program = [BUILD / "tests/bench/load", str(admin.Api(company).port), admin.FIRST_KEY, str(PER_SECOND), str(STREAMS)]
        bench.warm()
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            assert load.stdout.readline() == "READY\n"
            transfer = company.control("send", "BANK1", source, "out/large", timeout=600)
            answered, slowest, _ = load.communicate()[0].split()
        bench.note("%d streams; %s answers a second of %d asked for, the slowest after %s ms" % (
            STREAMS, answered, PER_SECOND, slowest))
        check_arrived(bank, "large", source)
    return bench.large / seconds_of(transfer) / MB


def move_alone(bench):
    source = bench.source(bench.large)
    with bench.pair(administration=ADMIN) as (company, bank):
        bench.warm()
        transfer = company.control("send", "BANK1", source, "out/large", timeout=600)
        check_arrived(bank, "large", source)
    return bench.large / seconds_of(transfer) / MB


# what it takes

def peak_mib(process):
    text = pathlib.Path("/proc/%d/status" % process.pid).read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", text).group(1)) / 1024


def memory(bench):
    """Peak of resident memory, the largest of the three processes; a tenth of the bytes first, to see that it is flat."""
    size = bench.large * 10
    with bench.pair() as (company, bank), mounted(company) as mount:
        processes = {"pesitd that sends": company, "pesitd that receives": bank, "pesitfs": mount}
        peaks = []
        for part, name in ((size // 10, "tenth"), (size, "whole")):
            subprocess.run(["dd", "if=/dev/zero", "of=%s" % mount.at("out/" + name), "bs=1M", "count=%d" % (part // MIB)],
                           check=True, capture_output=True)
            assert (bank.folder / "inbox/COMPANY/in" / name).stat().st_size == part
            peaks.append({what: peak_mib(node.process) for what, node in processes.items()})
        for what in processes:
            bench.note("%s: %.1f MiB after %.3g GiB, %.1f MiB after %.3g GiB" % (
                what, peaks[0][what], size / 10 / GIB, peaks[1][what], size / GIB))
        return max(peaks[1].values())


def connections(bench):
    """Seconds of the slowest of many transfers that begin together: the bank is held until all have called it."""
    count, size = (20, MIB) if bench.quick else (500, MIB)
    with bench.pair(connections=count) as (company, bank):
        before = [peak_mib(node.process) for node in (company, bank)]
        bank.process.send_signal(signal.SIGSTOP)
        feeder = subprocess.Popen([BUILD / "tests/bench/feed", company.folder / "door", "BANK1", "out", "8", str(count),
                                   str(size)], stdout=subprocess.PIPE, text=True)
        wait_for(lambda: company.log().count(" transfer started: ") > count, 60)
        start = time.time()
        bank.process.send_signal(signal.SIGCONT)
        output = feeder.communicate(timeout=600)[0]
        assert int(output.split()[1]) == count + 1, output
        transfers = company.control("transfers", "--limit", "1000")
        for node, what, base in zip((company, bank), ("sends", "receives"), before):
            peak = peak_mib(node.process)
            bench.note("pesitd that %s: peak %.1f MiB, %.0f KiB for each of %d connections" % (
                what, peak, (peak - base) * 1024 / count, count))
        return max(t["finished_us"] / 1e6 for t in transfers) - start


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in %d s" % seconds
        time.sleep(0.05)


def connections_bare(bench):
    count, size = (20, MIB) if bench.quick else (500, MIB)
    with bench.fresh() as folder:
        return run_bare("bare-move", bench.source(count * size), folder)


@dataclasses.dataclass
class Case:
    name: str
    unit: str
    aim: Optional[float]
    ours: Callable
    bare: Optional[Callable] = None
    more_is_better: bool = True
    runs: Optional[int] = None

    def ratio(self, ours, bare):
        return ours / bare if self.more_is_better else bare / ours


CASES = [
    Case("file-plain", "MB/s", 0.8, move, move_bare),
    Case("file-tls", "MB/s", 0.9, lambda b: move(b, tls=True), lambda b: move_bare(b, tls=True)),
    Case("mount-write", "s", 0.8, lambda b: copy_in(b)[0], lambda b: copy_out(b, False), more_is_better=False),
    Case("mount-send", "s", 0.7, lambda b: copy_in(b)[1], lambda b: copy_out(b, True), more_is_better=False),
    Case("small-1", "/s", 0.5, lambda b: feed(b, 1), lambda b: small_bare(b, 1), runs=3),
    Case("small-32", "/s", 0.5, lambda b: feed(b, 32), lambda b: small_bare(b, 32), runs=3),
    Case("small-mount", "/s", 0.5, small_mount, lambda b: small_bare(b, MOUNT_THREADS), runs=3),
    Case("cp-latency", "ms", None, latency, latency_bare, more_is_better=False, runs=3),
    Case("sync-32k", "MB/s", 0.8, move_with_points, sync_bare, runs=3),
    Case("api-load", "MB/s", 0.9, move_watched, move_alone),
    Case("upload", "MB/s", 0.8, upload, upload_bare, runs=3),
    Case("upload-tls", "MB/s", 0.8, lambda b: upload(b, True), lambda b: upload_bare(b, True), runs=3),
    Case("memory", "MiB", None, memory, runs=1),
    Case("history-sqlite", "ms", None, history_sqlite, runs=1),
    Case("history-postgres", "ms", None, history_postgres, runs=1),
    Case("connections", "s", None, connections, connections_bare, more_is_better=False, runs=1),
]
