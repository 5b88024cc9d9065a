"""A program on a terminal, and somebody who types at its prompts."""

import os
import pty
import select

from waiting import PATIENCE_SEC

INTERRUPT = "\x03"  # Ctrl-C
STOP = "\x1a"  # Ctrl-Z


def run(words, answers):
    """Types the answers at the prompts; the exit status and all that the
    terminal showed, with `|` where something was typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(words[0], words)
    shown = b""
    try:
        while select.select([terminal], [], [], PATIENCE_SEC)[0]:
            shown += os.read(terminal, 4096)
            if answers and shown.endswith(b"word: "):
                answer = answers.pop(0)
                end = "" if answer == STOP else "\n"
                os.write(terminal, (answer + end).encode())
                shown += b"|"
    except OSError:
        pass
    os.close(terminal)  # hangs up on what still waits
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return status, shown.decode()
