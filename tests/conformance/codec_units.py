# SPDX-License-Identifier: Apache-2.0
"""Role U: what the engine's decoder takes and its encoder gives back, against the tables of tests/lib/fpdu.py."""
import random
import subprocess

import node
from cases import case
from fpdu import CODES, DATA, LISTS, decode, diag, encode, members, number, sample, specimen, unit


class Codec:
    """The engine's codec: a message goes in, comes back encoded again, or what was wrong as "malformed 3/318"."""

    def __init__(self):
        self.process = subprocess.Popen([node.BUILD / "tests/conformance/conformance-codec"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)

    def alive(self):
        return self.process.poll() is None

    def again(self, message, strict=False):
        self.process.stdin.write("%s %s\n" % ("strict" if strict else "lenient", message.hex()))
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        return answer if " " in answer or not answer else bytes.fromhex(answer)

    def stop(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        self.process.stdout.close()


def ours(name, values):
    """Without the parameters of the secured profile and of ETEBAC 5."""
    return {pi: value for pi, value in values.items()
            if pi not in (26, 63, 64) and not 71 <= pi <= 83 and (name, pi) not in (("SELECT", 61), ("SELECT", 62))}


def codec(world):
    return world.once("codec", Codec)


def same(world, message):
    for strict in (True, False):
        answer = codec(world).again(message, strict)
        assert answer == message, "%s of %s" % (answer if isinstance(answer, str) else answer.hex(), message.hex())


@case(17)
def one_octet_and_three_octet_lengths(world):
    for size, head in ((1, b"\x5b\x01"), (254, b"\x5b\xfe"), (255, b"\x5b\xff\x00\xff"), (256, b"\x5b\xff\x01\x00"), (4096, b"\x5b\xff\x10\x00")):
        message = encode("MSGMM", 7, 0, data=head + b"x" * size)
        same(world, message)
        if size < 255:  # told in the long form: read, and said in the short one
            longer = encode("MSGMM", 7, 0, data=b"\x5b\xff" + size.to_bytes(2, "big") + b"x" * size)
            assert codec(world).again(longer) == message
            assert codec(world).again(longer, strict=True) == "malformed 3/318"


@case(27)
def numbers_in_their_shortest_form(world):
    create = {**specimen("CREATE"), 25: b"\x7f\xee", 13: b"\1"}
    message = encode("CREATE", 9, 0, create)
    assert b"\x19\x02\x7f\xee" in message and b"\x0d\x01\x01" in message
    same(world, message)
    assert codec(world).again(encode("CREATE", 9, 0, {**create, 25: b"\0\0\x7f\xee", 13: b"\0\0\1"})) == message
    assert codec(world).again(encode("READ", 9, 0, {18: b"\0\0\0"})) == b"\0\x09\xc0\1\x09\0\x12\x01\x00"
    refusal = encode("ACK(SELECT)", 9, 0, {**specimen("ACK(SELECT)"), 2: diag(3, 318)})
    assert b"\x02\x03\x03\x01\x3e" in refusal
    same(world, refusal)
    for pi, value, told in ((6, b"2", b"\2"), (6, b"\0\2", b"\2"), (7, b"\0\0\0", b"\0\0\0")):  # an aggregate keeps its zeros
        values = dict(sorted({**specimen("CONNECT"), 7: b"\0\x20\2", pi: value}.items()))
        assert codec(world).again(encode("CONNECT", 0, 1, values)) == encode("CONNECT", 0, 1, {**values, pi: told})


@case(38)
def every_message_there_and_back(world):
    for name in CODES:
        if name in DATA:
            for content in (b"x", bytes(65529)):
                same(world, encode(name, 0x61, 0, data=content))
            continue
        if name == "ABORT":
            same(world, encode(name, 0x61, 1, data=diag(3, 318)))
            continue
        for optional in (False, True):
            for longest in (False, True):
                values = specimen(name, optional, longest)
                same(world, encode(name, 0x61, 1 if CODES[name][0] == 0x40 else 0, ours(name, values)))
                for strict in (False, True):  # what other profiles add is read, and never said
                    answer = codec(world).again(encode(name, 0x61, 0, values), strict)
                    assert isinstance(answer, bytes) or answer.startswith("cannot"), (name, answer)
        for pi, group, needed in members(name):
            if needed or group is not None or pi not in ours(name, {pi: b""}):
                continue  # with each one alone that may be there
            values = {p: sample(p) for p, _, must in members(name) if must or p == pi}
            same(world, encode(name, 0x61, 0, values))
    for name in set(LISTS) - {"ABORT"}:  # what must be there is missed, and only that
        for missing, group, needed in members(name):
            values = {p: v for p, v in specimen(name).items() if p != missing}
            asked_for = name == "ACK(SELECT)" and group in (30, 40, 50)  # whole groups depend on PI 14
            expected = "malformed 3/318" if needed and not asked_for else None
            answer = codec(world).again(encode(name, 1, 0, values))
            assert (answer == expected) == (expected is not None), "%s without PI %d: %s" % (name, missing, answer)
    for name in ("ACK(CREATE)", "ACK(SELECT)", "ACK(WRITE)", "ACK(TRANS.END)", "ACK(MSG)"):  # a refusal needs PI 2 only
        assert isinstance(codec(world).again(encode(name, 1, 0, {2: diag(2, 226)})), bytes), name


@case(419)
def captured_damaged_frames(world):
    answer_to_select = "001FC03101000203000000" "0900" "0D030024E6" "100102" "19021000" "1E00" "2800" "3200"
    select = "0117C0122300" "0900" "0D030024CB" "0E01E0" "110100" "1902FFFF" "63FE" + "20" * 254
    for text in (answer_to_select, select):
        frame = bytes.fromhex(text)
        assert codec(world).again(frame, strict=True) == "malformed 3/318"
        answer = codec(world).again(frame)
        assert isinstance(answer, str) or decode(answer)[0].number(13) in (0x24E6, 0x24CB), answer
    chance = random.Random(419)
    for name in LISTS:
        for _ in range(40):  # parts lost, at any place
            raw = bytearray(encode(name, 1, 0, specimen(name, optional=True)))
            if len(raw) > 8:
                at = chance.randrange(6, len(raw))
                del raw[at:at + chance.randint(1, len(raw) - at)]
            raw[0:2] = len(raw).to_bytes(2, "big")
            assert codec(world).again(bytes(raw)), name
    assert codec(world).again(unit(0, b"")[:1] + number(5)) == "malformed 3/318"
