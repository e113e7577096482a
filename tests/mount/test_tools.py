# SPDX-License-Identifier: Apache-2.0
"""Real tools send a file each, once and whole."""
import os

import pytest
from conftest import FILE

TOOLS = {
    "cp": "cp $S out/cp", "cp-p": "cp -p $S out/cp-p", "mv": "cp $S $S.2; mv $S.2 out/mv", "install": "install -m 640 $S out/install",
    "cat": "cat $S > out/cat", "dd": "dd if=$S of=out/dd bs=7000 2>&1", "dd-fsync": "dd if=$S of=out/dd-fsync bs=1M conv=fsync 2>&1",
    "tee": "tee out/tee < $S > /dev/null", "group": "{ head -c 1000000 $S; tail -c +1000001 $S; } > out/group",
    "subshell": "( head -c 1000000 $S; tail -c +1000001 $S ) > out/subshell",
    "exec": "exec 3>out/exec; head -c 1000000 $S >&3; tail -c +1000001 $S >&3; exec 3>&-",
    "append": "cat $S >> out/append", "rsync": "rsync $S out/rsync", "rsync-inplace": "rsync --inplace $S out/rsync-inplace",
    "rsync-a": "rsync -a $S out/rsync-a",
    "tar": "cp $S $(dirname $S)/tar; tar -C $(dirname $S) -cf - tar | tar -xf - -C out",
    "python": "python3 -c \"import shutil,sys; shutil.copy('$S','out/python')\"",
    "busybox": "busybox cp $S out/busybox",
    "rename-temp": "cp $S out/.t.tmp && mv out/.t.tmp out/rename-temp",
    "truncate-first": "truncate -s 2500000 out/truncate-first.part && dd if=$S of=out/truncate-first.part conv=notrunc 2>&1 && mv out/truncate-first.part out/truncate-first",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_sends_once(mnt, bank, source, tool):
    done = mnt.shell(TOOLS[tool], S=str(source))
    assert done.returncode == 0, done.stdout + done.stderr
    assert bank.received("in/" + tool) == FILE
    assert mnt.sends()["out/" + tool] == ["done"]
    assert mnt.attribute("out/" + tool, "state") == "DONE"


def test_sed_in_place_on_a_file_not_sent_yet(mnt, bank):
    assert mnt.shell("printf 'a\\nb\\n' > moved/.x.tmp && sed -i s/a/c/ moved/.x.tmp && mv moved/.x.tmp moved/sed").returncode == 0
    assert bank.received("in/sed") == b"c\nb\n"


VIM = "$(command -v vim || command -v vim.tiny) -es -u NONE -c"
# what an editor leaves in @: its script, what the bank has at the end, how often it was sent
EDITORS = {
    "vim-new": (VIM + " 'normal ihello' -c wq @", b"hello\n", 1),
    "vim-again": ("printf 'a\\n' > @; " + VIM + " 's/a/b/' -c wq @", b"b\n", 2),
    "vim-backup": ("printf 'a\\n' > @; " + VIM + " 'set backup' -c 's/a/b/' -c wq @", b"b\n", 2),
    "perl-i": ("printf 'a\\n' > @; perl -i -pe s/a/b/ @", b"b\n", 2),
    "sed-i": ("printf 'a\\n' > @; sed -i s/a/b/ @", b"b\n", 2),
    "ed": ("printf 'a\\n' > @; printf 's/a/b/\\nw\\nq\\n' | ed -s @", b"b\n", 2),
    "python-atomic": ("python3 -c \"import os, tempfile; t = tempfile.NamedTemporaryFile(dir='out', delete=False);"
                      "t.write(b'x'); t.flush(); os.fsync(t.fileno()); os.replace(t.name, '@'); t.close()\"", b"x", 1),
    "mktemp": ("t=$(mktemp -p out) && echo x > $t && mv $t @", b"x\n", 1),
    "touch-again": ("printf 'a\\n' > @; touch @", b"a\n", 1),
}


@pytest.mark.parametrize("editor", EDITORS)
def test_an_editor_sends_what_it_saves_and_nothing_else(mnt, bank, editor):
    script, expected, times = EDITORS[editor]
    before = mnt.sends()
    done = mnt.shell(script.replace("@", "out/e-" + editor))
    assert done.returncode == 0, done.stderr
    assert bank.received("in/e-" + editor) == expected
    assert {path: states for path, states in mnt.sends().items() if before.get(path) != states} == {"out/e-" + editor: ["done"] * times}
    assert [name for name in os.listdir(mnt.at("out")) if "e-" + editor in name] == ["e-" + editor]
