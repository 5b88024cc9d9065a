"""Processes as /proc shows them. Only what a test itself started is ended."""

import contextlib
import ctypes
import os
import select
import signal

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper():
    """What a daemon leaves behind becomes a child of the test, so that it can
    be seen."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def parents():
    """{pid: (parent, state)} of all processes."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{name}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            found[int(name)] = (int(fields[1]), fields[0].decode())
    return found


def descendants(root):
    """The pids below root, zombies left out."""
    table = parents()
    found = {root}
    grown = True
    while grown:
        more = {p for p, (parent, _) in table.items() if parent in found}
        grown = not more <= found
        found |= more
    return sorted(p for p in found - {root} if table[p][1] not in "ZX")


def command(pid):
    """The arguments of a process as one string; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().rstrip(b"\0").split(b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return b" ".join(words).decode("utf-8", "replace")


def status(pid):
    """/proc/PID/status as a dictionary of strings."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        lines = (line.partition(":") for line in file)
        return {name: value.strip() for name, _, value in lines}


def own_kib(pid):
    """Memory that only this process has: not the pages of programs and
    libraries, which come and go as they are used."""
    return int(status(pid)["RssAnon"].split()[0])


def newest(pids):
    """The one that was started last, or None. The numbers do not tell: they
    begin anew at the largest."""
    starts = {}
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f"/proc/{pid}/stat", "rb") as file:
                fields = file.read().rpartition(b")")[2].split()
            starts[pid] = int(fields[19])
    return max(starts, key=lambda p: (starts[p], p), default=None)


def n_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def wait_gone(pid, timeout=60):
    """Waits until a process has ended (it may still be a zombie). Says
    whether it has."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout * 1000))
    finally:
        os.close(descriptor)


def kill_all(pids):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def reap(pid):
    """Takes the status of an adopted child, if it is one."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
