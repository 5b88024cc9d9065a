"""Who may change a password: users, groups, networks, the spelling of names.
All of it is decided before PAM, and looks like a wrong password."""

import os
import re
import statistics
import time

import accounts
import harness
import processes
from accounts import NET_USER, Matrix, Unix, needs_private_etc, run
from client import ASK_NEW, WRONG, Client, check, log_in
from waiting import Fifo, in_parallel

OLD = "Correct-horse-0"
SOON = "fail-delay 0s"
HOLD = "auth required pam_exec.so seteuid quiet {script}\n"


class Decides(harness.TestCase):
    """What is admitted and what is refused, and that the log says why."""

    def start(self, backend, *directives):
        return self.start_daemon(
            backend, listens=("implicit",), directives=(SOON, *directives)
        )

    def assert_admits(self, daemon, user, **named):
        self.assertTrue(check(daemon.port(), user, OLD, **named), user)

    def assert_refuses(self, daemon, user, directive, **named):
        """With the right password."""
        mark = daemon.log.mark()
        self.assertFalse(check(daemon.port(), user, OLD, **named), user)
        daemon.log.wait_for(
            rf'event=policy_refused .*reason="{directive}"', since=mark
        )


@needs_private_etc
class Accounts(Decides):
    """Users and groups that NSS knows."""

    @classmethod
    def setUpClass(cls):
        Unix(dict.fromkeys(("alice", "bob", "carol"), OLD)).install("", -1)
        run("groupadd", "--force", "writers")
        run("groupadd", "--force", "banned")
        run("usermod", "--append", "--groups", "writers", "alice")
        run("usermod", "--append", "--groups", "writers,banned", "bob")

    def policy(self, *directives, held=""):
        """A daemon for the accounts that are there. held: a script that
        runs before a password is checked."""
        service = accounts.SERVICE_PLAIN
        if held:
            service = HOLD.format(script=held) + service
        return self.start(Unix({}, service), *directives)

    def test_without_lists_all_may(self):
        daemon = self.policy()
        for user in ("alice", "bob", "carol"):
            self.assert_admits(daemon, user)

    def test_users(self):
        daemon = self.policy("allow-users a* bob", "deny-users bob")
        self.assert_admits(daemon, "alice")
        self.assert_refuses(daemon, "bob", "deny-users")
        self.assert_refuses(daemon, "carol", "allow-users")

    def test_supplementary_groups(self):
        daemon = self.policy("allow-groups writers", "deny-groups banned")
        self.assert_admits(daemon, "alice")
        self.assert_refuses(daemon, "bob", "deny-groups")
        self.assert_refuses(daemon, "carol", "allow-groups")

    def test_primary_group(self):
        daemon = self.policy("deny-groups carol")
        self.assert_refuses(daemon, "carol", "deny-groups")
        self.assert_admits(daemon, "alice")

    def test_all_lists_must_pass(self):
        daemon = self.policy("allow-users carol", "allow-groups writers")
        self.assert_refuses(daemon, "alice", "allow-users")
        self.assert_refuses(daemon, "carol", "allow-groups")

    def test_min_uid(self):
        daemon = self.policy("min-uid 60000")
        self.assert_refuses(daemon, "alice", "min-uid")

    def test_stripped_and_lowered_name_is_the_account(self):
        daemon = self.policy("username-domain strip", "username-case lower")
        self.assert_admits(daemon, "Alice@Example.org")
        self.assert_admits(daemon, "alice")
        daemon.log.wait_for(r'event=login_ok .*user="alice"', count=2)
        self.assertNotIn("Alice", daemon.log.text())

    def test_one_spelling_is_one_user(self):
        """One helper a user at a time, however the name is spelled."""
        fifo = Fifo("auth:alice")
        self.addCleanup(fifo.remove)
        daemon = self.policy("username-case lower", held=fifo.script)

        def try_name(name):
            with Client(daemon.port(), "implicit") as client:
                return log_in(client, name, OLD)

        def look_and_open(_):
            fifo.wait_reached()
            helpers = len(daemon.helper_pids())
            fifo.open_gate()
            return helpers

        results = in_parallel(
            lambda f: f[0](f[1]),
            [
                (try_name, "ALICE"),
                (try_name, "alice"),
                (try_name, "Alice"),
                (look_and_open, None),
            ],
        )
        self.assertEqual(results[:3], [ASK_NEW] * 3)
        self.assertEqual(results[3], 1)

    def test_refused_users_are_not_handed_to_pam(self):
        fifo = Fifo("auth:bob")
        self.addCleanup(fifo.remove)
        daemon = self.policy("deny-users bob", held=fifo.script)
        self.assert_refuses(daemon, "bob", "deny-users")
        self.assertFalse(fifo.is_reached())

    def test_virtual_users_run_as_their_account(self):
        """The helper's real uid, while a module holds it."""
        run("useradd", "--system", "--no-log-init", "-M", "vmail")
        self.addCleanup(run, "userdel", "--force", "vmail")
        fifo = Fifo("auth:virt@example.org")
        self.addCleanup(fifo.remove)
        backend = Matrix(
            {"virt@example.org": OLD},
            before=HOLD.format(script=fifo.script),
        )
        backend.net_user = NET_USER
        daemon = self.start_daemon(
            backend,
            listens=("implicit",),
            directives=(SOON, "virtual-user-account vmail"),
        )
        with Client(daemon.port(), "implicit") as client:
            client.say(b"USER virt@example.org", b"200 Your password please.")
            client.send(b"PASS " + OLD.encode() + b"\r\n")
            fifo.wait_reached()
            (helper,) = daemon.helper_pids()
            uids = processes.status(helper)["Uid"].split()
            fifo.open_gate()
            self.assertEqual(client.line(), ASK_NEW)
        with open("/etc/passwd", encoding="ascii") as file:
            vmail = re.search(r"(?m)^vmail:[^:]*:(\d+):", file.read())
        self.assertEqual(uids[:2], [vmail[1], "0"])

    def test_virtual_user_account_must_be_there(self):
        for name, word in (("no-such-user", "no such user"), ("root", "root")):
            daemon = harness.Daemon(
                Unix({}),
                listens=("implicit",),
                directives=(f"virtual-user-account {name}",),
            )
            self.addCleanup(daemon.remove)
            done = daemon.run("--check-config")
            self.assertEqual(done.returncode, 78)
            self.assertIn(
                f"virtual-user-account {name}: ", done.stderr.decode()
            )
            self.assertIn(word, done.stderr.decode())


class Names(Decides):
    """Virtual users: no account, no groups, any domain."""

    def test_require(self):
        daemon = self.start(
            Matrix({"a@example.org": OLD, "a": OLD, "b@example.net": OLD}),
            "username-domain require",
            "allow-users *@example.org",
        )
        self.assert_admits(daemon, "a@example.org")
        self.assert_refuses(daemon, "a", "username-domain")
        self.assert_refuses(daemon, "b@example.net", "allow-users")
        self.assertNotIn("b@example.net", daemon.log.text())

    def test_keep(self):
        daemon = self.start(Matrix({"A@Example.ORG": OLD}))
        self.assert_admits(daemon, "A@Example.ORG")
        self.assertFalse(check(daemon.port(), "a@example.org", OLD))

    def test_virtual_users_are_in_no_group(self):
        daemon = self.start(Matrix({"a": OLD}), "allow-groups *")
        self.assert_refuses(daemon, "a", "allow-groups")


class Networks(Decides):
    def test_deny_beats_allow(self):
        daemon = self.start(
            Matrix({"a": OLD}),
            "allow-from 127.0.0.0/24",
            "deny-from 127.0.0.8/30",
        )
        self.assert_admits(daemon, "a", source="127.0.0.7")
        for source in ("127.0.0.8", "127.0.0.11"):
            self.assert_refuses(daemon, "a", "deny-from", source=source)
        self.assert_refuses(daemon, "a", "allow-from", source="127.0.1.1")

    def test_reload_changes_it(self):
        daemon = self.start(Matrix({"a": OLD}))
        self.assert_admits(daemon, "a")
        daemon.write_config(daemon.lines() + ["deny-from 127.0.0.1"])
        daemon.reload()
        self.assert_refuses(daemon, "a", "deny-from")


@needs_private_etc
class LookAlike(harness.TestCase):
    """Every refusal is a wrong password's, byte for byte; how long each took
    is printed."""

    samples = int(os.environ.get("POPPASSD_TEST_SAMPLES", "10"))
    users = {
        "wrong password": "wendy",
        "unknown user": "nobody-by-that-name",
        "deny-users": "dave",
        "deny-groups": "gina",
        "allow-groups": "olga",
        "min-uid": "lowuid",
        "root": "root",
        "username-domain": "wendy@a@b",
    }

    def test_bytes_and_medians(self):
        daemon = self.start_daemon(
            Unix(
                {
                    **dict.fromkeys(("wendy", "dave", "gina", "olga"), OLD),
                    "lowuid": (OLD, 901),
                }
            ),
            listens=("implicit",),
            directives=(
                "deny-users dave",
                "deny-groups gina",
                "allow-groups wendy dave gina lowuid root",
                "username-domain strip",
                "max-helpers 256",
            ),
        )
        took = {kind: [] for kind in self.users}

        def attempt(kind):
            with Client(daemon.port(), "implicit") as client:
                client.say(
                    b"USER " + self.users[kind].encode(),
                    b"200 Your password please.",
                )
                start = time.monotonic()
                client.send(b"PASS Wrong-guess-1\r\n")
                reply = client.line()
                took[kind].append(time.monotonic() - start)
                client.expect_close()
                return reply

        for _ in range(self.samples):
            replies = in_parallel(attempt, list(self.users))
            self.assertEqual(set(replies), {WRONG})
        print(
            f"medians of {self.samples}:",
            ", ".join(
                f"{kind} {1000 * statistics.median(seconds):.1f} ms"
                for kind, seconds in took.items()
            ),
            flush=True,
        )
        for kind in ("deny-users", "deny-groups", "allow-groups"):
            found = daemon.log.find(
                rf'policy_refused .*user="{self.users[kind]}" '
                rf'reason="{kind}"'
            )
            self.assertEqual(len(found), self.samples, kind)


if __name__ == "__main__":
    harness.main(private_etc=True)
