# SPDX-License-Identifier: Apache-2.0
"""Writes a file as companies and banks exchange them: generate.py pain.001|cfonb120 BYTES FILE"""
import sys

PAYMENT = """<CdtTrfTxInf><PmtId><EndToEndId>VIR-%08d</EndToEndId></PmtId><Amt><InstdAmt Ccy="EUR">%d.%02d</InstdAmt>
</Amt><CdtrAcct><Id><IBAN>FR76300060000112345678%05d</IBAN></Id></CdtrAcct></CdtTrfTxInf>
"""


def pain001(size):
    """A credit transfer initiation of at least size bytes."""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03">\n'
    parts, length, number = [head], len(head), 0
    while length < size:
        parts.append(PAYMENT % (number, number % 9000 + 1, number % 100, number % 100000))
        length += len(parts[-1])
        number += 1
    return "".join(parts + ["</Document>\n"])


def cfonb120(size):
    """An account statement: lines of 120 characters, old balance, movements, new balance."""
    lines = ["0130006    00001EUR2     00112345678  231126%74s" % "0000000100000{"]
    while len(lines) * 121 < size - 121:
        number = len(lines)
        lines.append("0430006    00001EUR2     0011234567805241126  241126VIREMENT %07d%42s" % (number, "%013d{" % number))
    lines.append("0730006    00001EUR2     00112345678  241126%74s" % "0000000200000{")
    return "".join(line.ljust(120)[:120] + "\n" for line in lines)


def main(kind, size, path):
    content = {"pain.001": pain001, "cfonb120": cfonb120}[kind](int(size))
    with open(path, "w", encoding="ascii", newline="") as target:
        target.write(content)


main(*sys.argv[1:])
