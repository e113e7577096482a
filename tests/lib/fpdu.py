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
    "IDT": (0xC0, 0x06), "ACK(IDT)": (0xC0, 0x3A), "MSG": (0xC0, 0x16), "ACK(MSG)": (0xC0, 0x3B),
}
NAMES = {code: name for name, code in CODES.items()}
GROUPS = {9: (3, 4, 11, 12), 30: range(31, 40), 40: (41, 42), 50: (51, 52)}
GROUP_OF = {pi: pgi for pgi, members in GROUPS.items() for pi in members}
DATA = ("DTF", "DTFDA", "DTFMA", "DTFFA")
# in CONNECT PI 3 and 4 stand alone; elsewhere they are in the file's group
ALONE = ("CONNECT", "ACONNECT", "RCONNECT")


@dataclass
class Fpdu:
    name: str
    dst: int = 0
    src: int = 0
    values: dict = field(default_factory=dict)  # PI: bytes
    data: bytes = b""

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
            fpdu.values.update(units(content) if code in GROUPS else [(code, content)])
    return fpdu, raw[length:]
