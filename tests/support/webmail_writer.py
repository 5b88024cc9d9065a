"""Changes lines of a passwd-file as Roundcube's driver does: locks the file
that it has open, reads all, writes all to what now has the name, unlocks.

usage: webmail_writer.py PATH; reads lines of a name, a tab and the new
password field, and answers each with a line when it is done.
"""

import fcntl
import sys


def change(path, name, stored):
    with open(path, "rb", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = file.read().splitlines(keepends=True)
        for n, text in enumerate(lines):
            if text.startswith(name + b":"):
                fields = text.split(b":", 2)
                lines[n] = b":".join((name, stored, fields[2]))
        with open(path, "wb", buffering=0) as out:
            out.write(b"".join(lines))


for order in sys.stdin.buffer:
    change(sys.argv[1], *order.rstrip(b"\n").split(b"\t"))
    print("changed", flush=True)
