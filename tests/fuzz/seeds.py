# SPDX-License-Identifier: Apache-2.0
"""Writes whole dialogues and single FPDUs as seeds: seeds.py FOLDER. Made with the second codec of tests/lib."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import vectors  # noqa: E402
from fpdu import diag, encode, number  # noqa: E402

CONNECT = encode("CONNECT", 0, 1, {3: b"A", 4: b"B", 6: b"\2", 7: b"\0\x20\2", 22: b"\2"})
CREATE = encode("CREATE", 1, 0, {11: b"\0", 12: b"F", 13: b"\1", 15: b"\0", 16: b"\0", 17: b"\0", 25: b"\x10\0",
                                 31: b"\x80", 32: b"\4\0", 33: b"\0", 41: b"\0", 42: b"\1", 51: b"261124093000"})
END = {2: diag(0, 0)}
WRITE = [CONNECT, CREATE, encode("ORF", 1), encode("WRITE", 1), encode("DTF", 1, 1, data=b"hello"),
         encode("DTF", 1, 2, data=b"\0\1a\0\2bc"), encode("SYN", 1, 0, {20: b"\1"}), encode("DTFDA", 1, 1, data=b"x"),
         encode("DTFMA", 1, 1, data=b"y"), encode("DTFFA", 1, 1, data=b"z"), encode("DTF.END", 1, 0, END),
         encode("TRANS.END", 1, 0, {27: number(11), 28: number(4)}), encode("CRF", 1, 0, END),
         encode("DESELECT", 1, 0, END), encode("RELEASE", 1, 1, END)]
IDT = WRITE[:5] + [encode("IDT", 1, 0, {2: diag(2, 216), 19: b"\x10"}), encode("CRF", 1, 0, END)]
HASTE = WRITE[:4] + [encode("IDT", 1, 0, {2: diag(2, 216), 19: b"\x10"})]  # as one piece of bytes: refused
FILE = 'pattern = "out/*"; mode = "send"; file_name = "{stem}.{date:%Y}{counter:6}"; label = "{name}"; format = "text";'
TEXTS = ['node = "A"; paths: { spool = "s"; socket_mode = "0660"; }; log: { level = "info"; };', "listeners = ( { port = 5000; } );",
         'node = "A"; partners = ( { name = "B"; identifier = "B"; password_received = "p"; addresses = [ "192.0.2.0/24" ];\n'
         'profile = "cft"; active_hours = "08:00-20:00"; retry_delays_s = [ 1, 2 ]; files = ( { %s record_length = 80; } ); } );' % FILE,
         'node = "A"; partners = ( { name = "B"; files = ( { pattern = "out/*"; mode = "send"; file_name = "\xe9{date:\xe9}"; } ); } );',
         'node = 1; nodes = "A"; limits: { connections = 99999999; };', "partners = { };", "partners = ( 1 );"]
ANSWERS = [encode("ACONNECT", 1, 1, {6: b"\2", 7: b"\0\x20\2"}), encode("ABORT", 1, 1, {}, diag(3, 311))]


def prefixed(fpdus):
    return b"".join(len(f).to_bytes(2, "big") + f for f in fpdus)
CRONS = ("0 8 * * *", "*/15 8-9 * * MON-FRI", "0 0 6 L-2 * FRIL", "0 0 15W * TUE#2", "30 2 29 2 ?", "@monthly")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for i, (role, fpdus) in enumerate(((b"\0", WRITE), (b"\0", IDT), (b"\1", ANSWERS), (b"\0", HASTE))):
        (folder / ("dialogue-%d" % i)).write_bytes(role + prefixed(fpdus))
        (folder / ("raw-%d" % i)).write_bytes(role + b"".join(fpdus))
    for i, fpdu in enumerate(WRITE + ANSWERS):
        (folder / ("fpdu-%d" % i)).write_bytes(fpdu)
    for name, dialogue in vectors.all_dialogues().items():
        for role, side in ((b"\0", "<"), (b"\1", ">")):
            (folder / ("%s-%d" % (name, role[0]))).write_bytes(role + prefixed([f for d, f in dialogue if d == side]))
        for i, (_, fpdu) in enumerate(dialogue):
            (folder / ("%s-fpdu-%d" % (name, i))).write_bytes(fpdu)
    (folder / "lines").write_bytes(b"\x03\x20first line\r\n\nsecond\n   blanks   \nlast")
    texts = folder.parent / "corpus-config"
    texts.mkdir(exist_ok=True)
    for i, text in enumerate(TEXTS):
        (texts / ("text-%d" % i)).write_text(text, encoding="latin-1")  # UTF-8 but for what is not
    crons = folder.parent / "corpus-cron"
    crons.mkdir(exist_ok=True)
    for i, text in enumerate(CRONS):
        (crons / ("cron-%d" % i)).write_bytes(bytes((i, 0, 64, i * 20, 96)) + text.encode())


main(pathlib.Path(sys.argv[1]))
