# SPDX-License-Identifier: Apache-2.0
"""A company's requester sends a payment file to a running pesitd, then one that the bank refuses.

Usage: demo.py BUILD_DIR FOLDER
"""
import hashlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "lib"))
os.environ["BUILD_DIR"] = sys.argv[1]

from node import Node  # noqa: E402
from peer import Requester  # noqa: E402

PAYMENT = """<CdtTrfTxInf><PmtId><EndToEndId>VIR-%08d</EndToEndId></PmtId><Amt><InstdAmt Ccy="EUR">%d.%02d</InstdAmt>
</Amt><CdtrAcct><Id><IBAN>FR76300060000112345678%05d</IBAN></Id></CdtrAcct></CdtTrfTxInf>
"""


def payment_file(size):
    head = '<?xml version="1.0" encoding="UTF-8"?>\n<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.03">\n'
    parts, length, number = [head], len(head), 0
    while length < size:
        parts.append(PAYMENT % (number, number % 9000 + 1, number % 100, number % 100000))
        length += len(parts[-1])
        number += 1
    return "".join(parts + ["</Document>\n"]).encode()


def main():
    node = Node(sys.argv[2]).start()
    try:
        print("BANK1 listens on 127.0.0.1 port %d" % node.port)
        content = payment_file(10 * 1024 * 1024)
        company = Requester(node.port)
        print("COMPANY connects:       %s" % company.connect().name)
        print("COMPANY sends virement: %s" % company.write("virement.xml", content))
        for who, data in (("sent    ", content), ("received", node.received("in/virement.xml"))):
            print("  %s %d bytes  SHA-256 %s" % (who, len(data), hashlib.sha256(data).hexdigest()))
        print("once more, as new:      %s" % company.write("virement.xml", b"again", transfer=2))
        print("an unknown file type:   %s" % company.write("virement2.xml", b"x", transfer=3, kind=99))
        print("COMPANY leaves:         %s" % company.release().name)
        company.close()
        return 0 if node.received("in/virement.xml") == content else 1
    finally:
        node.stop()
        print("the log of BANK1:\n" + node.log())


sys.exit(main())
