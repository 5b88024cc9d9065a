"""What is bounded: sessions, helpers, run slots, and the time that a client
may take; and that those who wait do not stop the others."""

import contextlib
import time

import accounts
import harness
import processes
from accounts import Matrix
from client import (
    ASK_NEW,
    ASK_OLD,
    BUSY,
    CHANGED,
    TIMEOUT_SEC,
    UNKNOWN,
    Client,
    check,
    log_in,
)
from waiting import Fifo, wait_until

OLD = "old-secret-0"
NEW = "new-secret-1"
NAMES = tuple(f"virt.{n}" for n in range(6))
CHANGE_SEC = 6
#: nothing is begun in the last eighth of that
LAST_MOMENT_SEC = CHANGE_SEC / 8 - 0.1


class Limits(harness.TestCase):
    def serve(self, *directives):
        daemon = harness.Daemon(
            Matrix(dict.fromkeys(NAMES, OLD)),
            listens=("implicit", "starttls"),
            directives=directives,
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        return daemon.start()

    def connect(self, daemon):
        client = Client(daemon.port(), "implicit")
        self.addCleanup(client.close)
        return client

    def logged_in(self, daemon, name):
        """Again, if the machine is too busy for the short times of a test."""
        for _ in range(5):
            client = self.connect(daemon)
            with contextlib.suppress(AssertionError, OSError):
                if log_in(client, name, OLD) == ASK_NEW:
                    return client
            client.close()
        raise AssertionError(f"{name}: not in 5 tries")

    def test_those_who_think_hold_no_run_slot(self):
        daemon = self.serve("run-slots 1")
        thinking = [self.logged_in(daemon, name) for name in NAMES[:4]]
        for client in thinking:
            client.say(b"NEWPASS " + NEW.encode(), CHANGED[:-2])

    def test_nothing_is_begun_in_the_last_moment(self):
        """The slot of a change that hangs is free when its helper is killed;
        who has waited for it since then has no time left, and is told so
        instead of being told that nobody knows."""
        fifo = Fifo(f"password:{NAMES[0]}")
        self.addCleanup(fifo.remove)
        daemon = harness.Daemon(
            Matrix(
                dict.fromkeys(NAMES, OLD),
                before="password optional pam_exec.so quiet "
                f"{fifo.script}\n",
            ),
            listens=("implicit",),
            directives=("run-slots 1", f"change-timeout {CHANGE_SEC}s"),
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        daemon.start()
        for _ in range(5):
            hanging, waiting = (self.logged_in(daemon, n) for n in NAMES[:2])
            start = time.monotonic()
            hanging.send(b"NEWPASS " + NEW.encode() + b"\r\n")
            fifo.wait_reached()
            waiting.send(b"NEWPASS " + NEW.encode() + b"\r\n")
            is_late = time.monotonic() - start > LAST_MOMENT_SEC
            self.assertEqual(hanging.line(), UNKNOWN)
            reply = waiting.line()
            if not is_late:
                break
            daemon.backend.set_passwords(daemon.backend.accounts)
        self.assertFalse(is_late, "the machine is too busy to see it")
        self.assertEqual(reply, BUSY)
        self.assertTrue(daemon.backend.has_password(NAMES[1], OLD))

    def test_more_helpers_than_allowed(self):
        """They wait; when none has ended in time, the server is busy."""
        daemon = self.serve(
            "max-helpers 2", "change-timeout 3s", "fail-delay 1s"
        )
        for name in NAMES[:2]:
            self.logged_in(daemon, name)
        third = self.connect(daemon)
        self.assertEqual(log_in(third, NAMES[2], OLD), BUSY)
        third.expect_close()
        wait_until(
            lambda: "helpers: 2 running, 0 waiting" in daemon.ask("status")[1],
            "the monitor forgets who has waited too long",
        )
        self.assertEqual(len(daemon.helper_pids()), 2)

    def test_helper_that_ends_lets_the_next_begin(self):
        daemon = self.serve("max-helpers 2")
        first, _ = (self.logged_in(daemon, name) for name in NAMES[:2])
        fourth = self.connect(daemon)
        fourth.say(b"USER " + NAMES[3].encode(), ASK_OLD[:-2])
        fourth.send(b"PASS " + OLD.encode() + b"\r\n")
        first.say(b"QUIT", b"200 Bye.")
        self.assertEqual(fourth.line(), ASK_NEW)

    def test_more_sessions_than_allowed(self):
        """If each has shown its password, the next waits for its greeting,
        and gets it."""
        daemon = self.serve("max-sessions 2")
        first, second = (self.logged_in(daemon, name) for name in NAMES[:2])
        third = Client(daemon.port("starttls"))
        self.addCleanup(third.close)
        daemon.log.wait_for(r"event=accept_paused\b")
        first.expect_open()
        third.socket.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            third.line()
        third.socket.settimeout(TIMEOUT_SEC)
        second.close()
        self.assertIn(b"poppassd v2", third.line())

    @accounts.needs_root  # to look at net's descriptors
    def test_many_sessions_at_once(self):
        """Each is served while the others are open; all are gone in the
        end."""
        daemon = self.serve()
        net = daemon.net_pid()
        before = processes.n_descriptors(net)
        clients = [self.connect(daemon) for _ in range(200)]
        for client in clients:
            client.send(b"NOOP\r\n")
        for client in clients:
            client.expect(b"200 OK.\r\n")
        for client in clients:
            client.reset()
        wait_until(
            lambda: processes.n_descriptors(net) <= before,
            "the sessions' descriptors are closed",
        )
        self.assertTrue(check(daemon.port(), NAMES[0], OLD))

    def test_silence_after_pass_ends_the_helper(self):
        daemon = self.serve("command-timeout 2s")
        client = self.logged_in(daemon, NAMES[0])
        helpers = daemon.helper_pids()
        client.expect(b"500 Timed out.\r\n")
        client.expect_close()
        for helper in helpers:
            self.assertTrue(processes.wait_gone(helper))

    @accounts.needs_root
    def test_peer_that_reads_nothing(self):
        """It holds only itself, and that no longer than a session."""
        daemon = self.serve("session-timeout 8s", "handshake-timeout 8s")
        net = daemon.net_pid()
        before = processes.n_descriptors(net)
        deaf = self.connect(daemon)
        deaf.socket.settimeout(1)
        with self.assertRaises(OSError):
            while True:
                deaf.send(b"HELP\r\n" * 500)
        self.assertTrue(check(daemon.port(), NAMES[0], OLD))
        wait_until(
            lambda: processes.n_descriptors(net) <= before,
            "the session is over",
        )


if __name__ == "__main__":
    harness.main()
