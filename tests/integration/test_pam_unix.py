"""The real pam_unix, pam_pwquality, pam_pwhistory and pam_faillock on a copy
of /etc: the site's policy decides, as for passwd(1)."""

import os
import re
import selectors
import statistics
import time

import accounts
import harness
from accounts import Unix, needs_private_etc, run, shadow
from client import (
    ASK_NEW,
    ASK_OLD,
    CHANGED,
    TIMEOUT_SEC,
    WRONG,
    Client,
    change,
    check,
    log_in,
)
from waiting import in_parallel

OLD = "Correct-horse-0"
NEW = "Battery-staple-1"

FULL = """\
auth required pam_unix.so
account required pam_unix.so
password requisite pam_pwquality.so retry=3
password required pam_pwhistory.so remember=5 use_authtok
password required pam_unix.so use_authtok obscure yescrypt
"""
REASON = rb"500 [ -~]+\r\n"


class Policy(harness.TestCase):
    """One account for each state that an account can be in."""

    states = {
        "normal": (),
        "must-change": ("chage", "-d", "0"),
        "expired": ("chage", "-E", "2020-01-01"),
        "inactive": ("chage", "-d", "2020-01-01", "-M", "10", "-I", "5"),
        "too-young": ("chage", "-m", "30"),
        "passwd-locked": ("passwd", "-l"),
        "usermod-locked": ("usermod", "-L"),
        "no-password": ("passwd", "-d"),
    }

    @classmethod
    def setUpClass(cls):
        cls.backend = Unix(dict.fromkeys(cls.states, OLD), FULL)
        cls.daemon = cls.start_daemon(cls.backend, listens=("implicit",))
        for user, command in cls.states.items():
            if command:
                run(*command, user)

    def setUp(self):
        self.backend.set_passwords({"normal": OLD, "must-change": OLD})
        run("chage", "-d", "0", "must-change")
        self.before = shadow()
        self.mark = self.daemon.log.mark()

    def tearDown(self):
        accounts.assert_database_whole()

    def change(self, user, old=OLD, new=NEW):
        return change(self.daemon.port(), user, old, new)[0]

    def wait_for(self, event, user):
        self.daemon.log.wait_for(
            rf'event={event}\b.* user="{user}"', since=self.mark
        )

    def assert_old_stays(self, user):
        self.assertEqual(shadow(), self.before)
        self.assertTrue(check(self.daemon.port(), user, OLD))

    def test_change(self):
        self.assertEqual(self.change("normal"), CHANGED)
        self.wait_for("change_ok", "normal")
        self.assertTrue(self.backend.has_password("normal", NEW))
        self.assertRegex(
            accounts.shadow_fields("normal")[1], rb"^\$y\$", "not yescrypt"
        )
        others = [
            line
            for line in shadow().splitlines()
            if not line.startswith(b"normal:")
        ]
        for line in others:
            self.assertIn(line, self.before.splitlines())

    def test_weak_password_is_refused_with_pams_reason(self):
        reply = self.change("normal", new="abc")
        self.assertRegex(reply, rb"^500 BAD PASSWORD: [ -~]+\r\n$")
        self.assert_old_stays("normal")
        self.wait_for("change_refused", "normal")

    def test_same_password_is_refused(self):
        self.assertRegex(self.change("normal", new=OLD), REASON)
        self.assert_old_stays("normal")

    def test_password_that_holds_the_name_is_refused(self):
        self.assertRegex(self.change("normal", new="xx-normal-77-yy"), REASON)
        self.assert_old_stays("normal")

    def test_minimum_age(self):
        self.assertRegex(self.change("too-young"), REASON)
        self.assert_old_stays("too-young")
        self.wait_for("change_refused", "too-young")

    def test_must_change_is_let_through(self):
        self.assertEqual(self.change("must-change"), CHANGED)
        self.assertTrue(self.backend.has_password("must-change", NEW))
        self.assertNotEqual(accounts.shadow_fields("must-change")[2], b"0")

    def test_expired_and_locked_accounts(self):
        cases = ("expired", "inactive", "passwd-locked", "usermod-locked")

        def attempt(user):
            return self.change(user)

        for user, reply in zip(cases, in_parallel(attempt, cases)):
            with self.subTest(user):
                self.assertEqual(reply, WRONG)
        self.assertEqual(shadow(), self.before)
        self.wait_for("account_refused", "expired")

    def test_account_without_a_password(self):
        for password in ("", "anything-at-all"):
            with self.subTest(password):
                self.assertEqual(self.change("no-password", password), WRONG)
        self.assertEqual(shadow(), self.before)

    def test_wrong_password(self):
        self.assertEqual(self.change("normal", "Wrong-guess-77"), WRONG)
        self.assertEqual(shadow(), self.before)
        self.wait_for("auth_failed", "normal")

    def test_name_that_is_not_one_is_not_logged(self):
        """People type passwords at the user prompt."""
        self.assertEqual(self.change("Typed-Pass-word9"), WRONG)
        self.daemon.log.wait_for(r"event=(auth|policy)_", since=self.mark)
        self.assertNotIn("Typed-Pass", self.daemon.log.text())

    def test_shadow_keeps_its_owner_and_mode(self):
        before = os.stat("/etc/shadow")
        self.assertEqual(self.change("normal"), CHANGED)
        after = os.stat("/etc/shadow")
        self.assertEqual(
            (before.st_mode, before.st_uid, before.st_gid),
            (after.st_mode, after.st_uid, after.st_gid),
        )


class History(harness.TestCase):
    """pam_pwhistory remembers."""

    def test_old_passwords_are_refused(self):
        backend = Unix({"hist": "Correct-horse-0"}, FULL)
        passwords = [f"{word}-staple-9" for word in ("Alfa", "Kilo", "Zulu")]
        daemon = self.start_daemon(backend, listens=("implicit",))
        current = OLD
        for new in passwords:
            reply, _ = change(daemon.port(), "hist", current, new)
            self.assertEqual(reply, CHANGED)
            current = new
        before = shadow()
        for used in (OLD, *passwords):
            with self.subTest(used):
                reply, _ = change(daemon.port(), "hist", current, used)
                self.assertRegex(reply, REASON)
                self.assertEqual(shadow(), before)
        mode = os.stat("/etc/security/opasswd").st_mode
        self.assertEqual(mode & 0o077, 0)


class Stacks(harness.TestCase):
    """Service files other than the usual."""

    def serve(self, service, names=("carol",)):
        backend = Unix(dict.fromkeys(names, OLD), service)
        return self.start_daemon(backend, listens=("implicit",))

    def attempt(self, service, old, new=NEW):
        """The reply to one change, with the database's bytes around it."""
        daemon = self.serve(service)
        before = shadow()
        reply, _ = change(daemon.port(), "carol", old, new)
        unchanged = shadow() == before
        text = daemon.log.text()
        daemon.stop()
        return reply, unchanged, text

    def test_account_required_deny(self):
        service = accounts.SERVICE_PLAIN.replace(
            "account required pam_unix.so", "account required pam_deny.so"
        )
        reply, unchanged, _ = self.attempt(service, OLD)
        self.assertEqual(reply, WRONG)
        self.assertTrue(unchanged)

    def test_auth_sufficient_rootok(self):
        service = "auth sufficient pam_rootok.so\n" + accounts.SERVICE_PLAIN
        reply, unchanged, _ = self.attempt(service, "Wrong-guess-77")
        self.assertEqual(reply, WRONG)
        self.assertTrue(unchanged)
        reply, unchanged, _ = self.attempt(service, OLD)
        self.assertEqual(reply, CHANGED)

    def test_stack_that_asks_for_no_password(self):
        service = accounts.SERVICE_PLAIN.replace(
            "auth required pam_unix.so", "auth required pam_permit.so"
        )
        for password in ("Wrong-guess-77", OLD):
            reply, unchanged, _ = self.attempt(service, password)
            self.assertEqual(reply, WRONG)
            self.assertTrue(unchanged)

    def test_password_stack_that_stores_nothing(self):
        service = accounts.SERVICE_PLAIN.replace(
            "password required pam_unix.so yescrypt",
            "password required pam_permit.so",
        )
        reply, unchanged, _ = self.attempt(service, OLD)
        self.assertRegex(reply, REASON)
        self.assertTrue(unchanged)

    def test_password_deny_behind_unix(self):
        """It fails before any module writes: the old one works."""
        service = accounts.SERVICE_PLAIN + "password required pam_deny.so\n"
        reply, unchanged, _ = self.attempt(service, OLD)
        self.assertRegex(reply, REASON)
        self.assertNotIn(b"unknown", reply)
        self.assertTrue(unchanged)

    def test_failure_behind_unix(self):
        """The first module has written, the second fails."""
        self.assert_unknown("pam_debug.so chauthtok=authtok_err")

    def test_reason_never_holds_a_password(self):
        """A module that says what it was given, as its reason to refuse: no
        client hears it, and the log does not show it."""
        module = harness.program("tests/pam_odd.so")
        service = accounts.SERVICE_PLAIN.replace(
            "password required",
            f"password requisite {module} blame\npassword required",
        )
        reply, unchanged, text = self.attempt(service, OLD)
        self.assertRegex(reply, REASON)
        self.assertTrue(unchanged)
        for password in (OLD, NEW):
            self.assertNotIn(password.encode(), reply)
            self.assertNotIn(password, text)

    def test_busy_behind_unix(self):
        """The first module has written, the second is busy: what is tried
        again finds the old password wrong, and must not say that it works."""
        self.assert_unknown("pam_debug.so chauthtok=authtok_lock_busy")

    def assert_unknown(self, module):
        """With this one behind pam_unix."""
        service = accounts.SERVICE_PLAIN + f"password required {module}\n"
        reply, unchanged, _ = self.attempt(service, OLD)
        self.assertFalse(unchanged)
        self.assertRegex(reply, rb"^500 .*unknown")

    def test_debians_own_stack(self):
        """What the sample service file includes."""
        reply, _, _ = self.attempt(
            "@include common-auth\n"
            "@include common-account\n"
            "@include common-password\n",
            OLD,
        )
        self.assertEqual(reply, CHANGED)

    def test_faillock_counts_and_locks(self):
        service = (
            "auth required pam_faillock.so preauth deny=3 unlock_time=600\n"
            "auth sufficient pam_unix.so\n"
            "auth [default=die] pam_faillock.so authfail deny=3 "
            "unlock_time=600\n"
            "account required pam_faillock.so\n"
            "account required pam_unix.so\n"
            "password required pam_unix.so yescrypt\n"
        )
        os.makedirs("/run/faillock", exist_ok=True)
        daemon = self.serve(service)
        port = daemon.port()
        self.assertFalse(check(port, "carol", "Wrong-guess-77"))
        self.assertFalse(check(port, "carol", "Wrong-guess-78"))
        self.assertTrue(check(port, "carol", OLD))
        for n in range(3):
            self.assertFalse(check(port, "carol", f"Wrong-guess-8{n}"))
        self.assertFalse(check(port, "carol", OLD), "not locked")
        tally = os.stat("/run/faillock/carol")
        self.assertEqual(tally.st_size % 64, 0)
        self.assertGreaterEqual(tally.st_size // 64, 3)


SAME_SEC = 0.005
N_MEASUREMENTS = 5
CLOCK_SEC = 0.002  # the daemon's clock has whole milliseconds


class SameTime(harness.TestCase):
    """Root, a uid below the floor and an unknown user: the same bytes after
    the same time. The one test that decides by time: by a measurement that a
    busy machine can spoil, and that is then made again."""

    def open(self, daemon, user):
        client = Client(daemon.port(), "implicit")
        self.addCleanup(client.close)
        client.say(b"USER " + user.encode(), ASK_OLD[:-2])
        return client

    def sample(self, clients, gap_sec):
        """Sends a PASS every gap_sec; returns the seconds that each reply
        took, and the replies."""
        selector = selectors.DefaultSelector()
        sent, took, replies = {}, {}, {}
        waiting = list(enumerate(clients))
        next_time = time.monotonic()
        while len(took) < len(clients):
            if waiting and time.monotonic() >= next_time:
                i, client = waiting.pop(0)
                next_time += gap_sec
                selector.register(client.socket, selectors.EVENT_READ, i)
                sent[i] = time.monotonic()
                client.send(b"PASS Wrong-guess-%d\r\n" % i)
            pause = next_time - time.monotonic() if waiting else TIMEOUT_SEC
            ready = selector.select(max(0, pause))
            self.assertTrue(ready or waiting, "no reply")
            for key, _ in ready:
                took[key.data] = time.monotonic() - sent[key.data]
                replies[key.data] = clients[key.data].line()
                selector.unregister(key.fileobj)
        return took, replies

    def medians(self, daemon, users, n_each, gap_sec):
        """Of the seconds that n_each refusals of each user took; and whether
        they are the same, as far as one user's own samples agree."""
        clients = [self.open(daemon, user) for user in users * n_each]
        took, replies = self.sample(clients, gap_sec)
        self.assertEqual(set(replies.values()), {WRONG})
        each = [
            [took[i] for i in range(n, len(took), len(users))]
            for n in range(len(users))
        ]
        medians = [statistics.median(seconds) for seconds in each]
        noise = max(
            abs(statistics.median(x[::2]) - statistics.median(x[1::2]))
            for x in each
        )
        text = ", ".join(
            f"{user} {1000 * value:.2f} ms"
            for user, value in zip(users, medians)
        )
        print(
            f"medians of {n_each}: {text}; noise {1000 * noise:.2f} ms",
            flush=True,
        )
        return medians, max(medians) - min(medians) < max(SAME_SEC, noise)

    def assert_same_time(self, *arguments):
        for _ in range(N_MEASUREMENTS):
            medians, are_same = self.medians(*arguments)
            self.assertGreaterEqual(min(medians), 2 - CLOCK_SEC)
            if are_same:
                return
        self.fail(f"in none of {N_MEASUREMENTS} measurements the same")

    def test_medians_of_100(self):
        daemon = self.start_daemon(
            Unix({"lowuid": (OLD, 900)}, FULL),
            listens=("implicit",),
        )
        users = ["nobody-by-that-name", "root", "lowuid"]
        self.assert_same_time(daemon, users, 100, 0.12)
        self.assertNotIn("event=auth_failed", daemon.log.text())
        names = re.findall(
            r'event=policy_refused.*user="(\w+)"', daemon.log.text()
        )
        self.assertLessEqual(set(names), {"root", "lowuid"})

    def test_wrong_password_takes_as_long(self):
        """A user that exists, with a real check of a real hash."""
        daemon = self.start_daemon(
            Unix({"lowuid": (OLD, 900), "mallory": OLD}, FULL),
            listens=("implicit",),
        )
        users = ["mallory", "nobody-by-that-name"]
        self.assert_same_time(daemon, users, 10, 0.2)


class Words(harness.TestCase):
    """What a session looks like in the log."""

    def test_line_of_a_change(self):
        daemon = self.start_daemon(
            Unix({"dora": OLD}), listens=("implicit",)
        )
        with Client(daemon.port(), "implicit") as client:
            port = client.socket.getsockname()[1]
            self.assertEqual(log_in(client, "dora", OLD), ASK_NEW)
            client.say(b"NEWPASS " + NEW.encode(), CHANGED[:-2])
        daemon.log.wait_for(
            rf"event=change_ok peer=127\.0\.0\.1 port={port} "
            rf"listener=127\.0\.0\.1:{daemon.port()} tls=TLSv1\.3 "
            r'user="dora"$'
        )
        for line in daemon.log.lines:
            self.assertRegex(line, r"^(<\d>)?[ -~]*$")


for _case in (Policy, History, Stacks, SameTime, Words):
    needs_private_etc(_case)

if __name__ == "__main__":
    harness.main(private_etc=True)
