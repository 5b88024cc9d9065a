"""Waiting for things to happen, each with an end."""

import re
import threading
import time


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

    def wait_for(self, pattern, timeout=10, since=0, count=1):
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


def wait_until(is_true, what, timeout=10):
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
            barrier.wait(30)
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
