"""Many at once on pam_unix: nobody's change is lost, and each is told the
truth."""

import re
import time

import accounts
import harness
from accounts import Unix, needs_private_etc, shadow_fields
from client import ASK_NEW, BUSY, CHANGED, WRONG, Client, change, log_in
from waiting import in_parallel

OLD = "old-secret-0"
N_USERS = 64
N_CHANGES = 20


@needs_private_etc
class Load(harness.TestCase):
    def serve(self, names):
        backend = Unix(dict.fromkeys(names, OLD))
        return self.start_daemon(backend, listens=("implicit",))

    def test_64_users_at_once(self):
        names = [f"load{n:02}" for n in range(N_USERS)]
        daemon = self.serve(names)

        def attempt(name):
            start = time.monotonic()
            reply, slowest = change(
                daemon.port(), name, OLD, f"new-secret-of-{name}"
            )
            return reply, slowest, time.monotonic() - start

        results = in_parallel(attempt, names)
        slowest = max(seconds for _, seconds, _ in results)
        whole = sorted(seconds for _, _, seconds in results)
        print(
            f"{N_USERS} at once: slowest reply {slowest:.2f} s, change "
            f"p50 {whole[N_USERS // 2]:.2f} s, last {whole[-1]:.2f} s",
            flush=True,
        )
        self.assertEqual([r for r, _, _ in results], [CHANGED] * N_USERS)
        for name in names:
            self.assertTrue(
                daemon.backend.has_password(name, f"new-secret-of-{name}")
            )
        accounts.assert_database_whole()
        daemon.log.wait_for(r"event=change_ok\b", count=N_USERS)

    def test_20_changes_of_one_user_at_once(self):
        """Serialised: each that is told 200 was true when it was told, so
        the last of them is the password now."""
        daemon = self.serve(["single"])
        passwords = [f"new-secret-of-{n:02}" for n in range(N_CHANGES)]

        def attempt(new):
            reply, _ = change(daemon.port(), "single", OLD, new)
            return reply

        replies = in_parallel(attempt, passwords)
        for reply in replies:
            self.assertIn(reply, (CHANGED, WRONG, BUSY))
        told = [p for p, r in zip(passwords, replies) if r == CHANGED]
        print(f"told 200: {len(told)} of {N_CHANGES}", flush=True)
        self.assertEqual(len(told), 1, "PASS was right after a change")
        self.assertTrue(daemon.backend.has_password("single", told[0]))
        accounts.assert_database_whole()

    def test_logins_wait_for_a_change_of_the_same_user(self):
        """One helper a user: the others wait their turn for PASS."""
        daemon = self.serve(["single"])
        first = Client(daemon.port(), "implicit")
        self.addCleanup(first.close)
        self.assertEqual(log_in(first, "single", OLD), ASK_NEW)

        others = [Client(daemon.port(), "implicit") for _ in range(3)]
        for client in others:
            self.addCleanup(client.close)
            client.send(b"USER single\r\n")
            client.line()
            client.send(b"PASS " + OLD.encode() + b"\r\n")
        first.say(b"NEWPASS new-secret-1", CHANGED[:-2])
        for client in others:
            self.assertEqual(client.line(), WRONG)
        self.assertTrue(daemon.backend.has_password("single", "new-secret-1"))

    def test_changes_in_a_row(self):
        """Each is stored by the time that it is told."""
        daemon = self.serve(["chain"])
        current = OLD
        for n in range(12):
            new = f"new-secret-{n}"
            reply, _ = change(daemon.port(), "chain", current, new)
            self.assertEqual(reply, CHANGED)
            current = new
        self.assertTrue(daemon.backend.has_password("chain", current))
        self.assertTrue(re.match(rb"\$y\$", shadow_fields("chain")[1]))


if __name__ == "__main__":
    harness.main(private_etc=True)
