# SPDX-License-Identifier: Apache-2.0
"""Cases 393 and 394: every message in every state of a server, well formed and mutated. Chapter 4.8."""
import concurrent.futures
import random

from cases import case
from fpdu import CODES, DATA, diag, sample, specimen
from peer import Closed
from serving import Caller, bank, connect_values, expect

ILLEGAL = "3/311"
DROPPED = None
DATA_PHASE = ("RESYN", "ACK(RESYN)")


def answers(*requests, **more):
    return {**{name: "ACK(%s)" % name for name in requests}, **more}


# state: what is legal in it and what answers it; DROPPED: nothing. All else: ABORT 3/311. Tables T2 to T10
LEGAL = {
    "CN01": {"CONNECT": "ACONNECT"},
    "CN03": answers("CREATE", "SELECT", "MSG", RELEASE="RELCONF", MSGDM=DROPPED),
    "SF03 write": answers("ORF", "DESELECT"),
    "SF03 read": answers("ORF", "DESELECT"),
    "OF02 write": answers("WRITE", "CRF", "IDT"),
    "OF02 read": answers("READ", "CRF", "IDT"),
    "OF02 stopped": answers("CRF", "IDT"),
    "SF03 stopped": answers("DESELECT"),
    "OF02 complete": {**answers("CRF", "IDT"), "WRITE": "ACK(WRITE)"},
    "TDE02": answers("IDT", "SYN", DTF=DROPPED, DTFDA=DROPPED, **{"DTF.END": DROPPED}),
    "TDE02 in an article": answers("IDT", DTFMA=DROPPED, DTFFA=DROPPED),
    "TDE05": {**answers("IDT"), **dict.fromkeys((*DATA, "SYN", "DTF.END", "TRANS.END", "ACK(IDT)", *DATA_PHASE), DROPPED)},
    "TDE07": answers("IDT", **{"TRANS.END": "ACK(TRANS.END)"}),
    "TDL02": answers("IDT", **{"ACK(SYN)": "DTF"}),
    "TDL05": {**answers("IDT"), **dict.fromkeys(("ACK(SYN)", "TRANS.END", "ACK(IDT)", *DATA_PHASE), DROPPED)},
    "TDL07": answers("IDT", **{"TRANS.END": "ACK(TRANS.END)", "ACK(SYN)": DROPPED}),
    "MG01": {"MSGMM": DROPPED, "MSGFM": "ACK(MSG)"},
}
# the tables leave these cells open
OPEN = {"TDE05": ("ACK(SYN)", ), "TDL05": ("DTF", "DTFDA", "DTFMA", "DTFFA", "SYN", "DTF.END")}
CONTENT = random.Random(393).randbytes(3000)


def cancel(peer, name, **more):
    node = peer.bank
    node.control("cancel", node.ended(name, "running", **more)["id"])
    expect(peer.receive(), "IDT", "2/216")


def enter(peer, state, name):
    """Brings a fresh caller into a state."""
    if state == "CN01":
        return
    expect(peer.connect(sync=(1, 1)), "ACONNECT")
    if state == "CN03":
        return
    if state == "MG01":
        peer.send("MSGDM", specimen("MSGDM"))
    elif state in ("SF03 read", "OF02 read", "TDL02", "TDL05", "TDL07"):
        peer.bank.offer("dispo/MATRIX", CONTENT)
        peer.reading("MATRIX", {"SF03 read": 1, "OF02 read": 2}.get(state, 3), entity=520)
        if state == "TDL07":
            peer.take_data()
        elif state in ("TDL02", "TDL05"):
            while peer.receive().name != "SYN":  # the window is full: it says no more
                pass
            if state == "TDL05":
                peer.bank.control("cancel", peer.transfer)  # PI 13 of a served file is the row's number
                expect(peer.receive(), "IDT", "2/216")
    elif state == "SF03 write":
        peer.selected(name, article=512)
    elif state == "OF02 write":
        peer.opened(name, article=512)
    else:
        peer.writing(name, article=512)
        if state in ("OF02 stopped", "SF03 stopped"):
            peer.interrupt(16)
            expect(peer.receive(), "ACK(IDT)")
            if state == "SF03 stopped":
                expect(peer.ask("CRF", {2: diag(0, 0)}), "ACK(CRF)")
        elif state == "TDE02 in an article":
            peer.send("DTFDA", data=b"piece")
        elif state == "TDE05":
            cancel(peer, name)
        elif state in ("TDE07", "OF02 complete"):
            peer.end_data()
            if state == "OF02 complete":
                expect(peer.finish(b""), "ACK(TRANS.END)")


def message(peer, fpdu, name):
    values = specimen(fpdu)
    if fpdu == "CONNECT":
        values = connect_values()
    elif fpdu == "CREATE":
        values[12] = name.encode()
    elif fpdu == "SELECT":
        values[13] = b"\0"
    elif fpdu in ("SYN", "ACK(SYN)"):
        values[20] = b"\1"
    elif fpdu == "ABORT":
        return peer.say(fpdu, data=diag(3, 316), src=peer.own)
    src = peer.own if fpdu in ("CONNECT", "RELEASE") else peer.peer if fpdu in ("ACONNECT", "RELCONF") else 0
    return peer.say(fpdu, values, b"data" if fpdu in DATA else b"", dst=0 if fpdu == "CONNECT" else None, src=src)


def is_aborted(peer, dst):
    answer = peer.receive()
    assert (answer.name, answer.diag, answer.dst) == ("ABORT", ILLEGAL, dst), answer


def try_cell(node, state, fpdu, name):
    peer = Caller(node)
    try:
        enter(peer, state, name)
        legal = LEGAL[state]
        peer.entity(message(peer, fpdu, name))
        if fpdu == "ABORT":
            assert peer.is_closed() == b""
        elif fpdu not in legal:
            is_aborted(peer, 0 if state == "CN01" else 1)
        elif legal[fpdu] is DROPPED:
            # the connection lives on: what is never legal is answered, and by nothing else
            peer.send("READ", {18: b"\0"})
            is_aborted(peer, 1)
        else:
            answer = peer.receive()
            assert answer.name == legal[fpdu], answer
    finally:
        peer.close()


@case(393, half="server")
def every_message_in_every_state(world):
    node = bank(world)
    node.offer("dispo/MATRIX", CONTENT)

    def judge(cell):
        index, (state, fpdu) = cell
        try:
            try_cell(node, state, fpdu, "Q393.%d" % index)
        except (AssertionError, Closed, OSError) as error:
            return "%s in %s: %s" % (fpdu, state, error or type(error).__name__)
        return None

    cells = [(state, fpdu) for state in LEGAL for fpdu in CODES if fpdu not in OPEN.get(state, ())]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        wrong = list(filter(None, pool.map(judge, enumerate(cells))))
    assert not wrong, "%d of %d cells: %s" % (len(wrong), len(cells), "; ".join(wrong[:8]))
    Caller(node).bank_serves()


def mutate(chance, message_bytes):
    """One to three octets changed, cut, doubled or put in; the length at the front set right or not."""
    raw = bytearray(message_bytes)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(raw))
        how = chance.randrange(4)
        if how == 0:
            raw[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, chance.randrange(256)))
        elif how == 1 and len(raw) > 6:
            del raw[at:at + chance.randint(1, 4)]
        elif how == 2:
            raw[at:at] = raw[at:at + chance.randint(1, 8)]
        else:
            raw[at:at] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 4)))
    if chance.random() < 0.7 and len(raw) >= 6:
        raw[0:2] = len(raw).to_bytes(2, "big")
    return bytes(raw)


@case(394, half="server")
def every_message_mutated(world):
    """A taste; tests/fuzz does it by the million."""
    node, chance = bank(world), random.Random(394)
    states = ("CN01", "CN03", "SF03 write", "OF02 write", "TDE02", "TDE07", "OF02 read", "TDL07", "MG01")
    for index, fpdu in enumerate(CODES):
        for state in chance.sample(states, 3):
            peer = Caller(node, timeout=2)
            try:
                enter(peer, state, "Q394.%d.%s" % (index, state[:4]))
                whole = {pi: sample(pi) for pi in specimen(fpdu, optional=True)}
                base = message(peer, fpdu, "Q394") if chance.random() < 0.5 else peer.say(fpdu, whole, b"data" if fpdu in DATA else b"")
                for _ in range(6):
                    peer.entity(mutate(chance, base))
                peer.entity(peer.say("ACK(IDT)"))  # out of place, if it still listens
                peer.socket.shutdown(1)
                peer.is_closed()
            except (Closed, OSError):
                pass
            finally:
                peer.close()
        Caller(node).bank_serves()
    assert node.alive()
