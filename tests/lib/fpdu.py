# SPDX-License-Identifier: Apache-2.0
"""A second codec of PeSIT E, independent of the C one: FPDU as bytes, bytes as FPDU. Chapters 4.7.1 to 4.7.4."""
from dataclasses import dataclass, field

# name: (phase, type)
CODES = {
    "CONNECT": (0x40, 0x20), "ACONNECT": (0x40, 0x21), "RCONNECT": (0x40, 0x22), "RELEASE": (0x40, 0x23),
    "RELCONF": (0x40, 0x24), "ABORT": (0x40, 0x25),
    "CREATE": (0xC0, 0x11), "ACK(CREATE)": (0xC0, 0x30), "SELECT": (0xC0, 0x12), "ACK(SELECT)": (0xC0, 0x31),
    "DESELECT": (0xC0, 0x13), "ACK(DESELECT)": (0xC0, 0x32), "ORF": (0xC0, 0x14), "ACK(ORF)": (0xC0, 0x33),
    "CRF": (0xC0, 0x15), "ACK(CRF)": (0xC0, 0x34), "READ": (0xC0, 0x01), "ACK(READ)": (0xC0, 0x35),
    "WRITE": (0xC0, 0x02), "ACK(WRITE)": (0xC0, 0x36), "TRANS.END": (0xC0, 0x08), "ACK(TRANS.END)": (0xC0, 0x37),
    "DTF": (0x00, 0x00), "DTFDA": (0x00, 0x41), "DTFMA": (0x00, 0x40), "DTFFA": (0x00, 0x42),
    "DTF.END": (0xC0, 0x04), "SYN": (0xC0, 0x03), "ACK(SYN)": (0xC0, 0x38), "RESYN": (0xC0, 0x05),
    "ACK(RESYN)": (0xC0, 0x39), "IDT": (0xC0, 0x06), "ACK(IDT)": (0xC0, 0x3A), "MSG": (0xC0, 0x16), "MSGDM": (0xC0, 0x17),
    "MSGMM": (0xC0, 0x18), "MSGFM": (0xC0, 0x19), "ACK(MSG)": (0xC0, 0x3B),
}
NAMES = {code: name for name, code in CODES.items()}
GROUPS = {9: (3, 4, 11, 12), 30: range(31, 40), 40: (41, 42), 50: (51, 52)}
GROUP_OF = {pi: pgi for pgi, members in GROUPS.items() for pi in members}
DATA = ("DTF", "DTFDA", "DTFMA", "DTFFA")
# in CONNECT PI 3 and 4 stand alone; elsewhere they are in the file's group
ALONE = ("CONNECT", "ACONNECT", "RCONNECT")
# code: (kind, longest value); kinds N number, S symbol, M mask, C text, D date, A of exactly this size, X opaque. Chapter 4.7.2.2
PARAMETERS = {
    1: "S1", 2: "A3", 3: "C24", 4: "C24", 5: "X16", 6: "S1", 7: "A3", 11: "N2", 12: "C76", 13: "N3", 14: "M1", 15: "S1", 16: "S1",
    17: "S1", 18: "N3", 19: "S1", 20: "N3", 21: "A2", 22: "S1", 23: "S1", 25: "N2", 26: "N2", 27: "N8", 28: "N4", 29: "X254",
    31: "M1", 32: "N2", 33: "S1", 37: "C80", 38: "N2", 39: "N2", 41: "S1", 42: "N4", 51: "D12", 52: "D12", 61: "C24", 62: "C24",
    63: "X16", 64: "D12", 71: "A3", 72: "X72", 73: "A4", 74: "X64", 75: "A4", 76: "X64", 77: "A4", 78: "X8", 79: "X64", 80: "X168",
    81: "X64", 82: "X64", 83: "X168", 91: "X4096", 99: "X254",
}
# what each message may hold, in the order of the wire: ? may be absent, 9{ } a group; chapter 4.7.4, with the security parameters
_FILE, _FILE_GROUPS = "9{3? 4? 11 12}", "30{31? 32 33? 37? 38? 39?} 40{41? 42} 50{51 52?}"
LISTS = {
    "CONNECT": "1? 3 4 5? 6 7? 22 23? 26? 99?", "ACONNECT": "5? 6 7? 23? 99?", "RCONNECT": "2 29? 99?", "RELEASE": "2 29? 99?",
    "RELCONF": "99?", "ABORT": "2",
    "CREATE": _FILE + " 13 15? 16? 17 25 " + _FILE_GROUPS + " 61? 62? 63? 71? 72? 73? 75? 77? 80? 99?",
    "ACK(CREATE)": "2 13? 25 29? 64? 72? 80? 83? 99?",
    "SELECT": _FILE + " 13 14? 15? 17 25 61? 62? 63? 71? 72? 73? 75? 77? 80? 99?",
    "ACK(SELECT)": "2 " + _FILE + " 13 16? 25 29? " + _FILE_GROUPS + " 64? 72? 80? 83? 99?",
    "DESELECT": "2 29? 99?", "ACK(DESELECT)": "2 29? 99?", "ORF": "21? 72? 74? 76? 80? 83?", "ACK(ORF)": "2 21? 29? 74? 76?",
    "CRF": "2 29?", "ACK(CRF)": "2 29?", "READ": "18", "ACK(READ)": "2 29?", "WRITE": "", "ACK(WRITE)": "2 18 29?",
    "TRANS.END": "27? 28? 81?", "ACK(TRANS.END)": "2 27? 28? 29? 81?", "DTF.END": "2 29? 78? 79? 82?", "SYN": "20 78?",
    "ACK(SYN)": "20", "RESYN": "2 18 29?", "ACK(RESYN)": "18", "IDT": "2 19 29?", "ACK(IDT)": "",
    "MSG": _FILE + " 13 14? 16? 17? 50{51?} 61? 62? 73? 74? 77? 78? 79? 80? 81? 91?",
    "MSGDM": _FILE + " 13 14? 16? 17? 50{51?} 61? 62? 73? 74? 77? 80? 91", "MSGMM": "91", "MSGFM": "78? 79? 91",
    "ACK(MSG)": "2 13? 16? 29? 79? 80? 81? 91?",
}
# legal values of the parameters that are not free
SAMPLES = {1: b"\0", 2: b"\0\0\0", 6: b"\2", 7: b"\0\x20\2", 14: b"\xe0", 15: b"\0", 16: b"\0", 17: b"\1", 18: b"\0", 19: b"\4", 21: b"\0\0",
           22: b"\2", 23: b"\0", 31: b"\x80", 33: b"\0", 41: b"\0", 25: b"\x10\0", 32: b"\4\0", 51: b"261124093000", 52: b"000000000000", 64: b"261124093000"}


@dataclass
class Fpdu:
    name: str
    dst: int = 0
    src: int = 0
    values: dict = field(default_factory=dict)  # PI: bytes
    data: bytes = b""
    order: list = field(default_factory=list)   # codes as they came, groups included

    @property
    def diag(self):
        """PI 2 as "2/226"; "0/000" when absent."""
        raw = self.values.get(2, b"\0\0\0")
        return "%d/%03d" % (raw[0], int.from_bytes(raw[1:3], "big"))

    def number(self, pi, default=0):
        return int.from_bytes(self.values[pi], "big") if pi in self.values else default


def number(value, length=None):
    return value.to_bytes(length or max(1, (value.bit_length() + 7) // 8), "big")


def diag(kind, code):
    return bytes([kind]) + code.to_bytes(2, "big")


def unit(code, content):
    head = bytes([len(content)]) if len(content) < 255 else b"\xff" + len(content).to_bytes(2, "big")
    return bytes([code]) + head + content


def encode(name, dst=0, src=0, values=None, data=b""):
    """values: PI → bytes, in wire order; those of a group are put in it where the first one stands."""
    body, done = b"", set()
    for pi, content in (values or {}).items():
        group = None if name in ALONE else GROUP_OF.get(pi)
        if group is None:
            body += unit(pi, content)
        elif group not in done:
            done.add(group)
            body += unit(group, b"".join(unit(p, v) for p, v in values.items() if GROUP_OF.get(p) == group))
    body += data
    return (len(body) + 6).to_bytes(2, "big") + bytes(CODES[name]) + bytes([dst, src]) + body


def members(name):
    """[(PI, its group or None, whether it must be there)] of a message, in wire order; none in data messages."""
    group, rows = None, []
    for word in LISTS.get(name, "").replace("{", "{ ").replace("}", " }").split():
        if word.endswith("{"):
            group = int(word[:-1])
        elif word == "}":
            group = None
        else:
            rows.append((int(word.rstrip("?")), group, not word.endswith("?")))
    return rows


def sample(pi, longest=False):
    """A legal value of a parameter: the shortest, or the longest."""
    if pi in SAMPLES and not (longest and PARAMETERS[pi][0] == "N"):
        return SAMPLES[pi]
    kind, size = PARAMETERS[pi][0], int(PARAMETERS[pi][1:])
    if kind == "N":
        return b"\xff" * size if longest else b"\1"
    if kind == "C":
        return (b"ABCDEFGHIJ" * 8)[:size] if longest else b"A"
    return bytes([1] + [0] * (size - 1)) if kind == "A" else b"\1" * (size if longest else {5: 8, 63: 8, 78: 4, 79: 64}.get(pi, 1))


def specimen(name, optional=False, longest=False):
    """Parameters of a well-formed message: those it must have, or all."""
    return {pi: sample(pi, longest) for pi, _, needed in members(name) if needed or optional}


def units(raw):
    while raw:
        code, length, raw = raw[0], raw[1], raw[2:]
        if length == 255:
            length, raw = int.from_bytes(raw[:2], "big"), raw[2:]
        if len(raw) < length:
            raise ValueError("PI %d runs past its end" % code)
        yield code, raw[:length]
        raw = raw[length:]


def decode(raw):
    """One FPDU at the start of raw: (Fpdu, rest)."""
    length = int.from_bytes(raw[:2], "big")
    if length < 6 or length > len(raw):
        raise ValueError("length %d of %d bytes" % (length, len(raw)))
    fpdu = Fpdu(NAMES[raw[2], raw[3]], raw[4], raw[5])
    body = raw[6:length]
    if fpdu.name in DATA:
        fpdu.data = body
    elif fpdu.name == "ABORT" and len(body) == 3:
        fpdu.values[2] = body
    else:
        for code, content in units(body):
            inside = list(units(content)) if code in GROUPS else [(code, content)]
            fpdu.values.update(inside)
            fpdu.order += [code] * (code in GROUPS) + [pi for pi, _ in inside]
    return fpdu, raw[length:]
