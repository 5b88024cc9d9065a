"""poppassd --test-login: shows the dialogue as the real helper has it, with
the real stack, and changes nothing."""

import os
import subprocess

import accounts
import harness
import terminal
from accounts import Matrix, Unix
from waiting import Fifo, wait_until

OLD, BAD = "old-secret-0", "bad-secret-1"
USER = "virt.user"
RIGHT, REFUSED, USAGE, NO_INPUT, TEMPORARY, CONFIG = 0, 1, 64, 66, 75, 78
ANSWERED = "  answered with the current password"
UNPLACED = "  refused: asked again, or not to be placed"
SUCCESS = "result: the password is right, and the account may change it"


class Login(harness.TestCase):
    def prepare(self, backend, **named):
        self.daemon = harness.Daemon(backend, listens=("implicit",), **named)
        self.addCleanup(self.daemon.remove)

    def odd(self, *what):
        """A stack with a module that does odd things before it asks."""
        module = harness.program("tests/pam_odd.so")
        lines = [f"auth optional {module} {word}\n" for word in what]
        self.prepare(Matrix({USER: OLD}, "".join(lines)))

    def log_in(self, user=USER, password=OLD):
        """The exit status, and the lines behind the prompt."""
        status, shown = terminal.run(
            self.daemon.command("--test-login", user), [password]
        )
        for secret in OLD, BAD:
            self.assertNotIn(secret, shown)
        self.assertNotRegex(shown, harness.SANITIZER)
        head, mark, rest = shown.partition("Current password: |\r\n")
        self.assertEqual(mark != "", password is not None, shown)
        return status, (rest if mark else head).replace("\r", "")


class Dialogue(Login):
    def test_right_password(self):
        self.prepare(Matrix({USER: OLD}))
        status, text = self.log_in()
        self.assertEqual(status, RIGHT, text)
        self.assertIn(
            f'user: "{USER}"\nservice: poppassd\n'
            "account: none on this system\n",
            text,
        )
        self.assertRegex(text, rf'prompt: ".*[Pp]assword:?"\n{ANSWERED}\n')
        self.assertTrue(text.endswith(f"{SUCCESS}\n"), text)
        self.assertTrue(self.daemon.backend.has_password(USER, OLD))

    def test_wrong_password(self):
        self.prepare(Matrix({USER: OLD}))
        status, text = self.log_in(password=BAD)
        self.assertEqual(status, REFUSED, text)
        self.assertIn("result: wrong password, or no such user", text)

    def test_unknown_user(self):
        self.prepare(Matrix({USER: OLD}))
        status, text = self.log_in("nobody.here")
        self.assertEqual(status, REFUSED, text)

    def test_prompt_that_is_not_placed(self):
        self.odd("code")
        status, text = self.log_in()
        self.assertRegex(text, rf'prompt.*: ".*code.*"\n{UNPLACED}')
        self.assertEqual(status, RIGHT, text)

    def test_prompt_that_the_configuration_places(self):
        self.odd("code")
        self.daemon.more.append('pam-prompt password "(?i)code"')
        self.daemon.write_config()
        text = self.log_in()[1]
        self.assertRegex(text, rf'prompt.*: ".*code.*"\n{ANSWERED}')

    def test_texts_and_what_is_none(self):
        self.odd("two", "radio")
        text = self.log_in()[1]
        self.assertIn('text: "Welcome."\n', text)
        self.assertIn('question of another kind: ""\n  refused', text)

    def test_module_that_shows_the_password(self):
        self.odd("tell")
        status, text = self.log_in()
        self.assertIn('text: "(a text with the password in it)"\n', text)
        self.assertEqual(status, RIGHT, text)

    def test_module_that_exits(self):
        self.odd("exit")
        status, text = self.log_in()
        self.assertEqual(status, TEMPORARY, text)
        self.assertIn("and no verdict", text)

    def test_module_that_does_not_come_back(self):
        hold = Fifo("auth:*")
        self.addCleanup(hold.remove)
        self.prepare(
            Matrix(
                {USER: OLD},
                f"auth optional pam_exec.so quiet {hold.script}\n",
            ),
            directives=["change-timeout 1s", "fail-delay 0s"],
        )
        status, text = self.log_in()
        self.assertEqual(status, TEMPORARY, text)
        self.assertIn("killed, its time was over (change-timeout)", text)
        wait_until(lambda: hold.pids() == [], "nothing that it started")

    def test_not_started_as_root(self):
        self.prepare(Matrix({USER: OLD}), unprivileged=True)
        status, text = self.log_in()
        self.assertEqual(status, RIGHT, text)
        self.assertIn("not started as root", text)

    def test_user_that_the_policy_refuses(self):
        self.prepare(Matrix({USER: OLD}), directives=[f"deny-users {USER}"])
        status, text = self.log_in()
        self.assertEqual(status, REFUSED, text)
        self.assertIn('reason: "deny-users"\n', text)
        self.assertNotIn("prompt:", text)

    def test_networks_are_not_looked_at(self):
        self.prepare(
            Matrix({USER: OLD}), directives=["allow-from 192.0.2.0/24"]
        )
        status, text = self.log_in()
        self.assertEqual(status, RIGHT, text)

    def test_name_is_spelled_as_for_clients(self):
        self.prepare(
            Matrix({USER: OLD}),
            directives=["username-domain strip", "username-case lower"],
        )
        status, text = self.log_in(f"{USER.upper()}@example.org")
        self.assertIn(f'user: "{USER}"\n', text)
        self.assertEqual(status, RIGHT, text)


class CommandLine(Login):
    def setUp(self):
        self.prepare(Matrix({USER: OLD}))

    def test_no_terminal(self):
        done = subprocess.run(
            self.daemon.command("--test-login", USER),
            input=f"{OLD}\n".encode(),
            capture_output=True,
            start_new_session=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(done.returncode, NO_INPUT, done.stderr)
        self.assertIn(b"there is no terminal", done.stderr)

    def test_names_that_are_none(self):
        for name in "", "x" * 256:
            done = self.daemon.run("--test-login", name)
            self.assertEqual(done.returncode, USAGE)
            self.assertIn(b"1 to 255 bytes", done.stderr)

    def test_configuration_with_errors(self):
        self.daemon.write_config(self.daemon.lines() + ["nonsense 1"])
        status, text = self.log_in(password=None)
        self.assertEqual(status, CONFIG, text)
        self.assertIn("nonsense", text)

    def test_service_that_is_missing(self):
        os.unlink(self.daemon.backend.service)
        status, text = self.log_in(password=None)
        self.assertEqual(status, CONFIG, text)
        self.assertIn("pam-service poppassd", text)


@accounts.needs_private_etc
class PamUnix(Login):
    """With the account database, as root."""

    def setUp(self):
        self.prepare(Unix({"alice": OLD, "expired": OLD, "locked": OLD}))
        accounts.run("chage", "-d", "0", "expired")
        accounts.run("chage", "-E", "1", "locked")
        self.before = accounts.shadow()

    def tearDown(self):
        self.assertEqual(accounts.shadow(), self.before)

    def test_outcomes(self):
        for user, password, status, said in (
            ("alice", OLD, RIGHT, SUCCESS),
            ("alice", BAD, REFUSED, "result: wrong password"),
            ("expired", OLD, RIGHT, SUCCESS),
            ("locked", OLD, REFUSED, "but the account stack refuses"),
            ("root", OLD, REFUSED, 'reason: "min-uid"'),
        ):
            got, text = self.log_in(user, password)
            self.assertEqual((user, got), (user, status), text)
            self.assertIn(said, text)
            self.assertIn("account: on this system\n", text)


if __name__ == "__main__":
    harness.main(private_etc=True)
