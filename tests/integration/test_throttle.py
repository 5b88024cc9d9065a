"""Guessing is slowed down: by user whatever the address, by address whatever
the user, and nobody is locked out."""

import contextlib
import glob
import itertools
import os
import re
import shutil
import signal
import tempfile
import threading
import time
import unittest

import harness
from accounts import Matrix
from client import ASK_NEW, ASK_OLD, WRONG, Client, log_in
from waiting import wait_until

OLD = "old-secret-0"
BAD = "bad-secret-1"
NAMES = tuple(f"virt.{n}" for n in range(8))
FAIL_DELAY_SEC = 0.5
CLOCK_SEC = 0.002  # the daemon's clock has whole milliseconds
#: longer than any delay, and than what a busy machine adds to it
PATIENCE_SEC = 120
N_GUESSERS = 150


class Throttle(harness.TestCase):
    def serve(self, *directives, options=""):
        """A daemon whose PAM stack counts its checks."""
        folder = tempfile.mkdtemp(prefix="poppassd-checks.")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o777)
        script = os.path.join(folder, "count")
        with open(script, "w", encoding="ascii") as file:
            file.write(f'#!/bin/sh\nmktemp "{folder}/check.XXXXXX"\n')
        os.chmod(script, 0o755)
        self.checks = folder
        daemon = harness.Daemon(
            Matrix(
                dict.fromkeys(NAMES, OLD),
                f"auth optional pam_exec.so quiet {script}\n",
            ),
            listens=("implicit",),
            options=options,
            directives=(f"fail-delay {FAIL_DELAY_SEC * 1000:.0f}ms",)
            + directives,
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        return daemon.start()

    def n_checks(self):
        return len(glob.glob(os.path.join(self.checks, "check.*")))

    def connect(self, daemon, source):
        """Directly, or for the source through a proxy."""
        if daemon.options != "proxy=yes":
            return Client(daemon.port(), "implicit", source=source)
        client = Client(daemon.port())
        client.send(f"PROXY TCP4 {source} 127.0.0.1 4313 106\r\n".encode())
        client.handshake()
        client.line()
        return client

    def attempt(self, daemon, name, password, source="127.0.0.1"):
        """The reply to PASS, which never comes early if it is negative."""
        with self.connect(daemon, source) as client:
            start = time.monotonic()
            reply = log_in(client, name, password)
            if reply != ASK_NEW:
                self.assertEqual(reply, WRONG)
                self.assertGreaterEqual(
                    time.monotonic() - start, FAIL_DELAY_SEC - CLOCK_SEC
                )
                client.expect_close()
            return reply == ASK_NEW

    def guess_wrong(self, daemon, name, times=1, source="127.0.0.1"):
        """Guesses, each of which is checked."""
        for _ in range(times):
            before = self.n_checks()
            self.assertFalse(self.attempt(daemon, name, BAD, source))
            self.assertEqual(self.n_checks(), before + 1)

    def guess_until_checked(self, daemon, name, source="127.0.0.1"):
        """Guesses until one is checked."""
        before = self.n_checks()

        def is_checked():
            self.attempt(daemon, name, BAD, source)
            return self.n_checks() > before

        wait_until(is_checked, "a guess is checked", PATIENCE_SEC)

    def assert_unchecked(self, daemon, name, source="127.0.0.1"):
        """Even the right password is told to be wrong. On a machine so busy
        that the delay is over by then, another failure doubles it."""
        for _ in range(5):
            before = self.n_checks()
            is_in = self.attempt(daemon, name, OLD, source)
            if self.n_checks() == before:
                self.assertFalse(is_in)
                return
            self.guess_until_checked(daemon, name, source)
        raise AssertionError("each of 5 attempts was checked")

    def assert_gets_in(self, daemon, name, source="127.0.0.1"):
        wait_until(
            lambda: self.attempt(daemon, name, OLD, source),
            "the right password works again",
            PATIENCE_SEC,
        )

    # --- by user ---

    def test_guesses_beyond_the_limit_are_not_checked(self):
        daemon = self.serve("user-failures 3 10m")
        self.guess_wrong(daemon, NAMES[0], 3)
        self.assert_unchecked(daemon, NAMES[0])
        daemon.log.wait_for(
            r"event=throttled peer=127.0.0.1 .*attempt not checked"
        )
        self.assertTrue(self.attempt(daemon, NAMES[1], OLD))
        self.assert_gets_in(daemon, NAMES[0])

    def test_limit_of_a_user_holds_across_addresses(self):
        daemon = self.serve("user-failures 3 10m")
        for n in range(3):
            self.guess_wrong(daemon, NAMES[0], source=f"127.0.0.{n + 2}")
        self.assert_unchecked(daemon, NAMES[0], source="127.0.0.9")

    def test_success_leaves_no_fresh_guesses(self):
        daemon = self.serve("user-failures 3 10m")
        self.guess_wrong(daemon, NAMES[0], 2)
        self.assertTrue(self.attempt(daemon, NAMES[0], OLD))
        self.guess_wrong(daemon, NAMES[0])
        self.assert_unchecked(daemon, NAMES[0])

    def test_unknown_and_refused_users_are_throttled_alike(self):
        """root is refused before PAM, so its checks are lines of the log. A
        name that nobody has is not in any."""
        daemon = self.serve("user-failures 3 10m")
        for name, event in (("none.such", "auth"), ("root", "policy")):
            mark = daemon.log.mark()
            for n in range(3):
                self.assertEqual(daemon.log.find(r"throttled", mark), [])
                self.assertFalse(self.attempt(daemon, name, BAD))
                daemon.log.wait_for(
                    rf"={event}_\w+ peer", since=mark, count=n + 1
                )
            daemon.log.wait_for(r"event=throttled .*delay of 2 s", since=mark)

    def test_failures_of_a_user_outlive_a_reload(self):
        daemon = self.serve("user-failures 3 10m")
        self.guess_wrong(daemon, NAMES[0], 3)
        mark = daemon.log.mark()
        daemon.signal(signal.SIGHUP)
        daemon.log.wait_for(r"event=reload_ok\b", since=mark)
        self.guess_until_checked(daemon, NAMES[0])
        daemon.log.wait_for(r"delay of 4 s for the user", since=mark)

    def test_owner_gets_in_while_others_guess(self):
        """Twenty guess as fast as they are answered; in how much time exactly
        is a question for a clock that is not the machine's: test_user_throttle.
        """
        daemon = self.serve("user-failures 2 10m")
        sources = [f"127.0.1.{n + 1}" for n in range(20)]
        has_asked = dict.fromkeys(sources, 0)
        is_over = threading.Event()

        def guess(source):
            while not is_over.is_set():
                with contextlib.suppress(OSError):
                    self.attempt(daemon, NAMES[0], BAD, source)
                    has_asked[source] += 1

        threads = [
            threading.Thread(target=guess, args=(source,))
            for source in sources
        ]
        for thread in threads:
            thread.start()
        try:
            daemon.log.wait_for(r"delay of 8 s for the user", PATIENCE_SEC)
            start = time.monotonic()
            self.assert_gets_in(daemon, NAMES[0], source="127.0.0.2")
            took = time.monotonic() - start
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        print(
            f"the owner got in after {took:.1f} s, among"
            f" {sum(has_asked.values())} guesses, {self.n_checks()} checked",
            flush=True,
        )

    # --- over all ---

    def test_made_up_names_do_not_keep_an_owner_out(self):
        """Each guess is of a new name and from a new address, so that only
        what holds over all users slows it down. Whose password was right from
        here before goes first, by the order of the log."""
        daemon = self.serve_guessers()
        self.log_in_once(daemon, NAMES[0], OLD, "192.0.2.1")
        with self.guessers(daemon):
            wait_until(
                lambda: self.n_waiting(daemon) > N_GUESSERS // 2,
                "many wait for a helper",
                PATIENCE_SEC,
            )
            with self.connect(daemon, "192.0.2.1") as owner:
                owner.socket.settimeout(PATIENCE_SEC)
                owner.say(b"USER " + NAMES[0].encode(), ASK_OLD[:-2])
                waiting = self.n_waiting(daemon)
                before = self.n_failed(daemon)
                owner.send(b"PASS " + OLD.encode() + b"\r\n")
                owner.expect(ASK_NEW)
                passed = self.n_failed(daemon) - before
        print(f"{waiting} waited, {passed} went before the owner", flush=True)
        self.assertLess(passed, waiting // 2)

    @unittest.skipIf(
        harness.is_sanitized(), "too slow to fail faster than the pace"
    )
    def test_failures_over_all_users_have_a_pace(self):
        """Six hundred, and ten a second from then on, whoever fails from
        wherever."""
        daemon = self.serve_guessers()
        start = time.monotonic()

        def n_above():
            n_failed = self.n_failed(daemon)
            return n_failed - 600 - 10 * (time.monotonic() - start)

        with self.guessers(daemon):
            try:
                wait_until(lambda: n_above() > -10, "the pace", 60)
            except AssertionError:
                self.skipTest("too slow a machine to be slowed down")
            n_failed = self.n_failed(daemon)
            wait_until(
                lambda: self.n_failed(daemon) >= n_failed + 50,
                "it goes on",
                PATIENCE_SEC,
            )
            self.assertLessEqual(n_above(), 1)
            print(
                f"{self.n_failed(daemon)} failures in"
                f" {time.monotonic() - start:.1f} s",
                flush=True,
            )

    def serve_guessers(self):
        daemon = harness.Daemon(
            Matrix(dict.fromkeys(NAMES, OLD)),
            listens=("implicit",),
            options="proxy=yes",
            directives=(
                "proxy-trust 127.0.0.1",
                "fail-delay 0s",
                "max-helpers 4",
                "change-timeout 60s",  # all have the patience to wait
            ),
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        return daemon.start()

    @contextlib.contextmanager
    def guessers(self, daemon):
        """They end with the daemon."""
        numbers = itertools.count()
        is_over = threading.Event()

        def guess():
            while not is_over.is_set():
                n = next(numbers)
                with contextlib.suppress(OSError, AssertionError):
                    self.log_in_once(
                        daemon, f"none.{n}", BAD, f"10.0.{n >> 8}.{n & 255}"
                    )

        threads = [threading.Thread(target=guess) for _ in range(N_GUESSERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            is_over.set()
            daemon.stop()
            for thread in threads:
                thread.join()

    def log_in_once(self, daemon, name, password, source):
        with self.connect(daemon, source) as client:
            client.socket.settimeout(PATIENCE_SEC)
            if log_in(client, name, password) == ASK_NEW:
                client.say(b"QUIT", b"200 Bye.")

    def n_waiting(self, daemon):
        _, text = daemon.ask("status")
        return int(re.search(r"helpers: \d+ running, (\d+) waiting", text)[1])

    def n_failed(self, daemon):
        return len(daemon.log.find(r"event=auth_failed\b"))

    # --- by address ---

    def test_limit_of_an_address_holds_across_users(self):
        daemon = self.serve("client-failures 3 10m")
        for name in NAMES[:3]:
            self.guess_wrong(daemon, name, source="127.0.0.2")
        self.assert_unchecked(daemon, NAMES[3], source="127.0.0.2")
        daemon.log.wait_for(
            r"event=throttled peer=127.0.0.2 .*attempt not checked"
        )
        self.assertTrue(self.attempt(daemon, NAMES[3], OLD, "127.0.0.3"))
        self.assert_gets_in(daemon, NAMES[3], source="127.0.0.2")

    def test_address_is_what_a_proxy_tells(self):
        daemon = self.serve(
            "client-failures 3 10m",
            "proxy-trust 127.0.0.1",
            options="proxy=yes",
        )
        for name in NAMES[:3]:
            self.guess_wrong(daemon, name, source="192.0.2.1")
        self.assert_unchecked(daemon, NAMES[3], source="192.0.2.1")
        self.assertTrue(self.attempt(daemon, NAMES[3], OLD, "192.0.2.2"))

    def test_failures_of_an_address_outlive_net(self):
        daemon = self.serve("client-failures 3 10m")
        for name in NAMES[:3]:
            self.guess_wrong(daemon, name, source="127.0.0.2")
        mark = daemon.log.mark()
        os.kill(daemon.net_pid(), signal.SIGKILL)
        daemon.log.wait_for(r"event=ready\b", since=mark)
        self.guess_until_checked(daemon, NAMES[3], source="127.0.0.2")
        daemon.log.wait_for(r"delay of 4 s for the address", since=mark)

    def test_failures_of_an_address_outlive_a_reload(self):
        daemon = self.serve("client-failures 3 10m")
        for name in NAMES[:3]:
            self.guess_wrong(daemon, name, source="127.0.0.2")
        mark = daemon.log.mark()
        daemon.signal(signal.SIGHUP)
        daemon.log.wait_for(r"event=reload_ok\b", since=mark)
        self.guess_until_checked(daemon, NAMES[3], source="127.0.0.2")
        daemon.log.wait_for(r"delay of 4 s for the address", since=mark)

    def test_guess_counts_if_its_client_does_not_wait(self):
        daemon = self.serve("client-failures 3 10m")
        for name in NAMES[:3]:
            before = self.n_checks()
            with self.connect(daemon, "127.0.0.2") as client:
                client.send(b"USER " + name.encode() + b"\r\n")
                client.line()
                client.send(b"PASS " + BAD.encode() + b"\r\n")
                wait_until(
                    lambda: self.n_checks() > before, "the guess is checked"
                )
        daemon.log.wait_for(r"delay of 2 s for the address")
        self.assert_unchecked(daemon, NAMES[3], source="127.0.0.2")

    def test_trusted_clients_have_no_limit_by_address(self):
        """But each user behind them has."""
        daemon = self.serve(
            "client-failures 2 10m",
            "user-failures 3 10m",
            "trusted-clients 127.0.0.9",
        )
        for name in NAMES[:4]:
            self.guess_wrong(daemon, name, 2, source="127.0.0.9")
        self.assertTrue(self.attempt(daemon, NAMES[4], OLD, "127.0.0.9"))
        self.guess_wrong(daemon, NAMES[0], source="127.0.0.9")
        self.assert_unchecked(daemon, NAMES[0], source="127.0.0.9")


if __name__ == "__main__":
    harness.main()
