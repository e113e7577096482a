# SPDX-License-Identifier: Apache-2.0
"""Checks who includes whom, and that each foreign library is named in one place.

Usage: includes.py ROOT        exit code 1 and one line per breach
       includes.py --self-test proves that a breach is found
"""
import pathlib
import re
import sys
import tempfile

ALLOWED = {
    "base": {"base"},
    "protocol": {"protocol"},
    "sql": {"base", "sql"},
    "daemon": {"base", "protocol", "sql", "daemon"},
    "admin": {"base", "admin", "daemon/store.h", "daemon/store-schedule.h", "daemon/fleet.h", "daemon/local/answer.h", "daemon/local/description.h", "daemon/transfer/partner.h"},
    "pesitfs": {"base", "pesitfs", "daemon/local/client.h"},
    "pesitctl": {"base", "pesitctl", "daemon/local/client.h", "protocol/fpdu.h"},
}
FOREIGN = {
    "openssl/ssl.h": {"daemon/net/tls.c"},
    "openssl/evp.h": {"base/authority.c", "base/certificate.c", "base/secret.c", "daemon/net/tls.c"},
    "openssl/x509.h": {"base/authority.c", "base/certificate.c", "daemon/net/tls.c"},
    "sqlite3.h": {"sql/sqlite.c"},
    "libpq-fe.h": {"sql/postgres.c"},
    "libconfig.h": {"daemon/config.c", "daemon/config-settings.c"},
    "jansson.h": {"admin/json.c", "pesitctl"},
    "microhttpd.h": {"admin/server.c"},
    "sodium.h": {"admin/auth.c"},
    "fuse_lowlevel.h": {"pesitfs"},
    "gio/gio.h": {"daemon/local"},
    "systemd/sd-bus.h": {"daemon/local"},
    "systemd/sd-journal.h": {"base/journal.c"},
    "systemd/sd-daemon.h": {"base/notify.c", "daemon/net/handed.c"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def breaches(root):
    for folder, allowed in ALLOWED.items():
        for path in sorted((root / folder).rglob("*.[ch]")):
            name = path.relative_to(root).as_posix()
            text = path.read_text(encoding="utf-8")
            if not text.startswith("/* SPDX-License-Identifier: Apache-2.0 */\n/*"):
                yield f"{name}: does not open with its licence and its purpose"
            if path.suffix == ".h" and "#pragma once" not in text:
                yield f"{name}: no #pragma once"
            for number, line in enumerate(text.splitlines(), 1):
                match = INCLUDE.match(line)
                if not match:
                    continue
                own, foreign = match.groups()
                if name == "daemon/main.c" and own == "admin/admin.h":
                    continue
                if own and own not in allowed and own.split("/")[0] not in allowed:
                    yield f"{name}:{number}: {folder}/ may not include {own}"
                places = FOREIGN.get(foreign)
                if places and not any(name == place or name.startswith(place + "/") for place in places):
                    yield f"{name}:{number}: {foreign} belongs to {', '.join(sorted(places))}"


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "base").mkdir()
        (root / "base/bad.c").write_text('#include "protocol/fpdu.h"\n#include <sqlite3.h>\n', encoding="utf-8")
        return len(list(breaches(root))) == 3


def main(argument):
    if argument == "--self-test":
        return 0 if self_test() else 1
    found = list(breaches(pathlib.Path(argument)))
    print("\n".join(found) or "includes are in order")
    return 1 if found else 0


sys.exit(main(sys.argv[1]))
