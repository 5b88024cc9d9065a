"""Good and hostile sessions, reloads and kills, all at once and at random, for
POPPASSD_SOAK_SEC seconds (20): every outcome is accounted for, and nothing
grows. POPPASSD_SOAK_SEED (1) is another run, as far as the machine lets it."""

import collections
import contextlib
import os
import random
import signal
import ssl
import threading
import time

import harness
import processes
from client import (
    ASK_NEW,
    BUSY,
    CHANGED,
    STOPPING,
    TEMPORARY,
    TIMED_OUT,
    UNKNOWN,
    WRONG,
    Client,
    log_in,
)
from passwd_file import Virtual
from waiting import wait_until

SECONDS = float(os.environ.get("POPPASSD_SOAK_SEC", "20"))
SEED = int(os.environ.get("POPPASSD_SOAK_SEED", "1"))
N_USERS = 8
N_HOSTILE = 8
CUT = b""  # the connection ended before the answer
KILL_EVERY_SEC = 1.5
DIRECTIVES = (
    "fail-delay 0s",
    "handshake-timeout 1s",
    "command-timeout 2s",
    "session-timeout 5s",
    "drain-timeout 2s",
)

#: What a change may be answered, and which password works then.
OLD_WORKS, NEW_WORKS, EITHER = "old", "new", "either"
MEANING = {
    CHANGED: NEW_WORKS,
    UNKNOWN: EITHER,
    CUT: EITHER,
    BUSY: OLD_WORKS,
    TEMPORARY: OLD_WORKS,
    WRONG: OLD_WORKS,
    # Instead of hearing it: it came too late for a slow client, or a drain.
    TIMED_OUT: OLD_WORKS,
    STOPPING: OLD_WORKS,
}


class User:
    """Changes a password again and again, and keeps what may be it now."""

    def __init__(self, port, name, rng):
        self.port = port
        self.name = name
        self.rng = rng
        self.may_be = [f"secret-of-{name}-0"]
        self.n = 0
        self.told = collections.Counter()

    def turn(self):
        """With each that it may be, until one is right."""
        for old in list(self.may_be):
            self.n += 1
            new = f"secret-of-{self.name}-{self.n}"
            asked, reply = self.attempt(old, new)
            self.told[reply if asked else b"PASS " + reply] += 1
            if asked:
                # It was right: the others are not.
                self.may_be = {
                    NEW_WORKS: [new],
                    OLD_WORKS: [old],
                    EITHER: [new, old],
                }[MEANING[reply]]
                return
            if reply == WRONG and len(self.may_be) == 1:
                raise AssertionError(f"{self.name}: {old} is wrong")
            if reply != WRONG:
                return  # nobody knows more than before

    def attempt(self, old, new):
        """Was the new password sent, and the last reply."""
        asked = False
        try:
            mode = self.rng.choice(("implicit", "starttls"))
            with Client(self.port[mode], mode) as client:
                reply = log_in(client, self.name, old)
                if reply != ASK_NEW:
                    return False, reply
                asked = True
                client.send(b"NEWPASS " + new.encode() + b"\r\n")
                return True, client.line()
        except (OSError, ssl.SSLError, AssertionError):
            return asked, CUT


def connect_and_leave(port, _rng):
    with Client(port["auto"]):
        pass


def be_silent(port, _rng):
    with Client(port["implicit"]) as client:
        client.drain()


def talk_http(port, _rng):
    with Client(port["starttls"]) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.drain()


def send_garbage(port, rng):
    with Client(port[rng.choice(sorted(port))]) as client:
        client.send(rng.randbytes(rng.randrange(1, 5000)))
        client.drain()


def break_handshake(port, rng):
    with Client(port["implicit"]) as client:
        client.send(b"\x16\x03\x01" + rng.randbytes(200))
        client.drain()


def inject(port, _rng):
    with Client(port["starttls"]) as client:
        client.line()
        client.send(b"STARTTLS\r\nUSER u0\r\n")
        client.drain()


def guess(port, rng):
    with Client(port["implicit"], "implicit") as client:
        name = rng.choice(("u0", "nobody-there", "root", "x" * 255))
        log_in(client, name, "not-the-secret")
        client.drain()


def send_long_line(port, _rng):
    with Client(port["implicit"], "implicit") as client:
        client.send(b"A" * 65536)
        client.drain()


def trickle(port, _rng):
    """Bytes that never make a line."""
    with Client(port["implicit"], "implicit") as client:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            client.send(b"A")
            time.sleep(0.05)


def vanish(port, rng):
    with Client(port["implicit"], "implicit") as client:
        client.send(b"USER u1\r\nPASS not-the-secret\r\n"[: rng.randrange(30)])
        client.reset()


HOSTILE = (
    connect_and_leave,
    be_silent,
    talk_http,
    send_garbage,
    break_handshake,
    inject,
    guess,
    send_long_line,
    trickle,
    vanish,
)


class Soak(harness.TestCase):
    def setUp(self):
        print(f"seed {SEED}, {SECONDS:.0f} s", flush=True)
        self.rng = random.Random(SEED)
        names = [f"u{i}" for i in range(N_USERS)]
        self.backend = Virtual({n: f"secret-of-{n}-0" for n in names})
        self.daemon = self.start_daemon(self.backend, directives=DIRECTIVES)
        self.monitor = self.daemon.process.pid
        self.n_at_rest = processes.n_descriptors(self.monitor)
        port = self.daemon.ports
        self.users = [User(port, n, self.fork_rng()) for n in names]
        self.end = time.monotonic() + SECONDS
        self.failures = []
        self.done = collections.Counter()

    def fork_rng(self):
        return random.Random(self.rng.getrandbits(64))

    def until_the_end(self, work):
        """A thread that does it again and again."""

        def run():
            try:
                while time.monotonic() < self.end and not self.failures:
                    work()
            except BaseException as error:  # raised in the test
                self.failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def be_hostile(self, rng):
        attack = rng.choice(HOSTILE)
        with contextlib.suppress(OSError, ssl.SSLError, AssertionError):
            attack(self.daemon.ports, rng)
        self.done[attack.__name__] += 1

    def disturb(self, rng):
        """Not before the one before it is over: what is served must be seen
        to be."""
        self.daemon.log.wait_for(
            r"event=ready\b", count=1 + self.done["net"] + self.done["hup"]
        )
        time.sleep(rng.uniform(0, KILL_EVERY_SEC))
        what = rng.choice(("net", "helper", "helper", "hup"))
        if what == "hup":
            self.daemon.signal(signal.SIGHUP)
            self.done[what] += 1
            return
        if what == "net":
            # The one that serves, and not one that drains beside it.
            pid = processes.newest(self.daemon.net_pids())
        else:
            pid = rng.choice(self.daemon.helper_pids() or [None])
        if pid is not None:
            processes.kill_all([pid])
            self.done[what] += 1

    def settle(self):
        """Everybody has left."""
        wait_until(
            lambda: not self.daemon.helper_pids()
            and len(self.daemon.net_pids()) == 1,
            "the daemon is at rest",
        )

    def count(self, event):
        return len(self.daemon.log.find(rf"event={event}\b"))

    def assert_accounted_for(self):
        """The log has a line for each outcome that a client was told."""
        told = sum((user.told for user in self.users), collections.Counter())
        print(f"told: {dict(told)}\ndone: {dict(self.done)}", flush=True)
        self.assertEqual(set(told) - set(MEANING) - PASS_REPLIES, set())
        self.assertGreater(told[CHANGED], 0)
        changed = self.count("change_ok")
        unknown = self.count("change_unknown")
        # A helper that is killed behind its answer has told the client more
        # than the monitor knows; a net that is killed, less.
        self.assertGreaterEqual(changed + unknown, told[CHANGED])
        self.assertLessEqual(
            changed, told[CHANGED] + told[UNKNOWN] + told[CUT]
        )
        self.assertLessEqual(unknown, self.done["helper"])

    def assert_passwords(self):
        for user in self.users:
            right = [
                p
                for p in user.may_be
                if self.backend.has_password(user.name, p)
            ]
            self.assertEqual(len(right), 1, f"{user.name}: {user.may_be}")

    def test_soak(self):
        threads = [self.until_the_end(user.turn) for user in self.users]
        for _ in range(N_HOSTILE):
            rng = self.fork_rng()
            threads.append(self.until_the_end(lambda r=rng: self.be_hostile(r)))
        rng = self.fork_rng()
        threads.append(self.until_the_end(lambda: self.disturb(rng)))
        time.sleep(SECONDS / 4)
        early = processes.own_kib(self.monitor)
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]
        self.settle()
        late = processes.own_kib(self.monitor)
        print(f"monitor: {early} KiB after a quarter, {late} at the end")
        self.assert_accounted_for()
        self.assert_passwords()
        wait_until(
            lambda: processes.n_descriptors(self.monitor) <= self.n_at_rest,
            "no more descriptors than at the start",
        )
        # A sanitizer keeps what is freed, up to a limit of its own.
        if not harness.is_sanitized():
            self.assertLess(late, early + 1024)


PASS_REPLIES = {b"PASS " + x for x in set(MEANING) - {CHANGED, UNKNOWN}}

if __name__ == "__main__":
    harness.main()
