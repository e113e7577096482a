# SPDX-License-Identifier: Apache-2.0
"""A bash that somebody types at: what his line is after he has pressed Tab."""
import os
import pty
import re
import select
import time

SET_UP = """PS1= PS2= HISTFILE= ; set +m
. /usr/share/bash-completion/bash_completion
bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; bind 'set show-all-if-ambiguous off'
told() { printf '\\n<<%s>>\\n' "$READLINE_LINE"; READLINE_LINE=; READLINE_POINT=0; }
bind -x '"\\C-t": told'
"""


class Shell:
    """In a folder, with the completions of a folder, which bash-completion loads at the first Tab."""

    def __init__(self, folder, completions, programs):
        data = os.path.join(folder, ".data")
        os.makedirs(os.path.join(data, "bash-completion"))
        os.symlink(completions, os.path.join(data, "bash-completion/completions"))
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update(XDG_DATA_HOME=data, PATH="%s:%s" % (programs, os.environ["PATH"]), TERM="dumb", HOME=str(folder), INPUTRC="/dev/null", LC_ALL="C.UTF-8")
            os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
        for line in SET_UP.splitlines():
            os.write(self.terminal, line.encode() + b"\n")
        self.type("", "")

    def read(self):
        text, deadline = "", time.monotonic() + 20
        while True:
            assert select.select([self.terminal], [], [], max(0, deadline - time.monotonic()))[0], text
            text += os.read(self.terminal, 65536).decode()
            told = re.findall(r"\n<<(.*)>>\r?\n", text)
            if told:
                return told[-1]

    def type(self, line, keys):
        os.write(self.terminal, line.encode() + keys.encode() + b"\x14")
        return self.read()

    def tab(self, line):
        """The line as Tab makes it."""
        return self.type(line, "\t")

    def all(self, line):
        """All that the last word could be."""
        return self.type(line, "\x1b*")[len(line.rsplit(" ", 1)[0]):].split()

    def stop(self):
        os.close(self.terminal)
        os.waitpid(self.pid, 0)
