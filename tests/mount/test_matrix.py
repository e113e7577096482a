# SPDX-License-Identifier: Apache-2.0
"""Which tool tells its user of which failure: exit codes by the moment at which the mount says no."""
import pytest

# tool: script with D as the target folder, exit codes when close, write and open are refused
MATRIX = {
    "cp": ("cp $S D/F", 1, 1, 1), "cp -p": ("cp -p $S D/F", 1, 1, 1), "mv": ("cp $S $S.2 && mv $S.2 D/F", 1, 1, 1),
    "install": ("install $S D/F", 1, 1, 1), "dd": ("dd if=$S of=D/F bs=64k status=none", 1, 1, 1),
    "cat": ("cat $S > D/F", 1, 1, 1), "tee": ("tee D/F < $S >/dev/null", 1, 1, 1),
    "gzip": ("gzip -c $S > D/F", 1, 1, 1), "sort": ("sort -o D/F $S", 2, 2, 2),
    "tar": ("cp $S F; tar -cf $S.tar F; tar -xf $S.tar -C $W/D", 2, 2, 2),
    "rsync-inplace": ("rsync --inplace $S D/F", 11, 11, 23), "rsync": ("rsync $S D/F", 23, 23, 23),
    "busybox": ("busybox cp $S D/F", 1, 1, 1), "sed-w": ("sed -n 'w D/F' $S", 4, 4, 4),
    "python": ("python3 -c \"import shutil; shutil.copyfile('$S', 'D/F')\"", 1, 1, 1),
    "perl": ("perl -e 'open I, q(<), shift; open O, q(>), shift or exit 1; local $/; print O <I>; close O or exit 5' $S D/F", 5, 5, 1),
    "mv-inside": ("cp $S out/.F.tmp; mv out/.F.tmp D/F", 1, 1, 1),
    # these never look: what they write belongs in a folder with commit = "rename"
    "echo": ("echo x > D/F", 0, None, 1), "echo-exec": ("exec 3> D/F; echo x >&3; exec 3>&-", 0, None, 0),
}
FOLDERS = {"close": "wrong", "write": "tiny", "open": "nowhere"}
CASES = [(tool, moment, code) for tool, (_, *codes) in MATRIX.items() for moment, code in zip(FOLDERS, codes) if code is not None]


@pytest.mark.parametrize("tool, moment, code", CASES)
def test_exit_code(mnt, source, tool, moment, code):
    name = "m-%s-%s" % (tool.replace(" ", ""), moment)
    script = MATRIX[tool][0].replace("D", FOLDERS[moment]).replace("F", name)
    if moment == "open":
        script = script.replace("nowhere/" + name, "nowhere-" + name).replace("$W/nowhere", "$W")
    if tool == "tar":
        script = "cd $(dirname $S); " + script
    done = mnt.shell(script, S=str(source), W=str(mnt.at(".")))
    assert done.returncode == code, done.stderr
    if moment == "close" and tool != "sed-w":
        assert mnt.sends()["wrong/" + name] == ["failed"]
    else:
        assert not [path for path in mnt.sends() if path.endswith(name) and not path.startswith("wrong/")]
