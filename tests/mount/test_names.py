# SPDX-License-Identifier: Apache-2.0
"""Names and attributes: what is listed, and what is refused at once."""
import pytest
from conftest import FILE


@pytest.mark.parametrize("script, message", [
    ("cp $S nowhere", "Permission denied"), ("cp $S releves/a", "Permission denied"),
    ("cp $S out/%s" % ("n" * 100), "Invalid argument"), ("mkdir out/d", "Operation not permitted"),
    ("ln -s a out/b", "Operation not permitted"), ("echo x >> out/cp", "Operation not permitted"),
    ("mv out/cp out/other", "Operation not permitted"), ("rmdir out", "Operation not permitted"),
])
def test_what_cannot_be_is_refused_at_once(mnt, source, script, message):
    if "out/cp" in script:
        mnt.shell("cp $S out/cp", S=str(source))
    done = mnt.shell(script, S=str(source))
    assert done.returncode != 0 and message in done.stderr, done.stderr


def test_names_and_attributes(mnt, source):
    assert mnt.shell("cp -p $S out/named", S=str(source)).returncode == 0
    shown = mnt.shell("ls out; stat -c '%s %a' out/named; df . | tail -1; find . -name named").stdout
    assert "named" in shown and "./out/named" in shown
    assert "%d" % len(FILE) in shown
    assert mnt.shell("chmod 600 out/named && touch -d 2020-01-01 out/named && stat -c '%a %y' out/named").stdout.startswith(
        "600 2020-01-01")
    assert mnt.shell("cmp out/named $S", S=str(source)).returncode == 0
    assert mnt.shell("rm out/named; ls out").stdout.find("named") < 0
