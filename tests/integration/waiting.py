"""Waiting for things to happen, each with an end, which is far away: only a
test that fails comes to it, however slow the machine is."""

import contextlib
import os
import re
import select
import shutil
import tempfile
import threading
import time

import processes

PATIENCE_SEC = 60


class Log:
    """Lines that a process writes, as they come."""

    def __init__(self, stream):
        self.lines = []
        self._stream = stream
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        for line in self._stream:
            with self._changed:
                self.lines.append(line.decode("latin-1").rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._stream.close()

    def mark(self):
        """Where the log ends now, for since."""
        return len(self.lines)

    def find(self, pattern, since=0):
        """The matches of a pattern so far."""
        found = (re.search(pattern, line) for line in self.lines[since:])
        return [match for match in found if match]

    def wait_for(self, pattern, timeout=PATIENCE_SEC, since=0, count=1):
        """Waits for lines that match; returns the last match."""

        def is_done():
            return self._ended or len(self.find(pattern, since)) >= count

        with self._changed:
            self._changed.wait_for(is_done, timeout)
        found = self.find(pattern, since)
        if len(found) < count:
            raise AssertionError(
                f"{pattern!r} {len(found)} of {count} times in\n"
                + "\n".join(self.lines[since:])
            )
        return found[-1]

    def wait_end(self, timeout):
        """Waits until all that hold the other end are gone."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def text(self):
        return "\n".join(self.lines)


def wait_until(is_true, what, timeout=PATIENCE_SEC):
    """For what no descriptor tells: looks often, and gives up."""
    end = time.monotonic() + timeout
    while not is_true():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.01)


def in_parallel(function, items):
    """Calls function for each item in a thread of its own, all at once.
    Returns the results in order; the first exception is raised."""
    results = [None] * len(items)
    barrier = threading.Barrier(len(items))

    def work(i, item):
        try:
            barrier.wait(PATIENCE_SEC)
            results[i] = (function(item), None)
        except BaseException as error:  # handed to the caller
            results[i] = (None, error)

    threads = [
        threading.Thread(target=work, args=pair) for pair in enumerate(items)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, error in results:
        if error is not None:
            raise error
    return [result for result, _ in results]


class Fifo:
    """
    A script for pam_exec that says when it has been reached and then waits
    for the gate, both through FIFOs, so that a test can hold a PAM stack at
    a place and look around. Everybody may run it: pam_exec becomes the user.
    """

    def __init__(self, only="*", with_family=False):
        """only: a shell pattern of TYPE:USER that the script is for.
        with_family: it leaves children that wait too: one in a session of
        its own, and one forked twice."""
        self.folder = tempfile.mkdtemp(prefix="poppassd-fifo.")
        os.chmod(self.folder, 0o755)
        self.script = os.path.join(self.folder, "hold")
        names = [os.path.join(self.folder, n) for n in ("reached", "gate")]
        for name in names:
            os.mkfifo(name)
            os.chmod(name, 0o666)
        self._reached = os.open(names[0], os.O_RDWR | os.O_NONBLOCK)
        self._gate_path = names[1]
        self._gate = None
        wait = f"read line < {names[1]}"
        family = (
            f"setsid sh -c '{wait}; :' &\n"
            f"( setsid sh -c '{wait}; :' & ) &\n"
        )
        with open(self.script, "w", encoding="ascii") as file:
            file.write(
                "#!/bin/sh\n"
                f'case "$PAM_TYPE:$PAM_USER" in\n{only}) ;;\n'
                "*) exit 0 ;;\nesac\n"
                f"{family if with_family else ''}"
                f"echo $$ > {names[0]}\n"
                f"{wait}\n"
                "exit 0\n"
            )
        os.chmod(self.script, 0o755)

    def wait_reached(self, timeout=PATIENCE_SEC):
        """Waits until a script waits at the gate; returns its pid."""
        if not select.select([self._reached], [], [], timeout)[0]:
            raise AssertionError(f"not reached within {timeout} s")
        return int(os.read(self._reached, 64).split()[0])

    def is_reached(self):
        return bool(select.select([self._reached], [], [], 0)[0])

    def pids(self):
        """The script's processes and those that it left."""
        return [
            pid
            for pid, (_, state) in processes.parents().items()
            if state not in "ZX" and self.folder in processes.command(pid)
        ]

    def open_gate(self):
        """Lets through all that wait and all that come."""
        if self._gate is None:
            self._gate = os.open(self._gate_path, os.O_RDWR | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            os.write(self._gate, b"\n" * 4096)

    def close_gate(self):
        if self._gate is not None:
            os.close(self._gate)
            self._gate = None
        with contextlib.suppress(BlockingIOError):
            os.read(self._reached, 4096)

    def remove(self):
        self.open_gate()
        self.close_gate()
        os.close(self._reached)
        shutil.rmtree(self.folder, ignore_errors=True)
