"""Many writers of one file: no line is lost, and what was told is true.

POPPASSD_TEST_CHANGES: how many changes each of the writers makes.
"""

import itertools
import os
import subprocess

import harness
from passwd_file import OLD, SUCCESS, Folder, PamChange, field, line
from waiting import in_parallel

N_OURS = 8
N_WEBMAIL = 2
N_CHANGES = int(
    os.environ.get(
        "POPPASSD_TEST_CHANGES", "100" if harness.is_sanitized() else "500"
    )
)
N_USERS = 5  # of each writer
LOCK_BUSY = 22
FILE_UNAVAILABLE = 9
USER_UNKNOWN = 10
WEBMAIL = os.path.join(
    os.path.dirname(__file__), "..", "support", "webmail_writer.php"
)
OURS = [f"ours{n}" for n in range(N_OURS)]
OTHERS = [f"webmail{n}" for n in range(N_WEBMAIL)]


def users_of(writer):
    return [f"{writer}-{n}@example.org" for n in range(N_USERS)]


class Writers(harness.TestCase):
    def setUp(self):
        self.folder = Folder()
        self.addCleanup(self.folder.close)
        self.users = [n for w in OURS + OTHERS for n in users_of(w)]
        lines = [b"# the users"] + [line(name, OLD) for name in self.users]
        self.folder.write(b"\n".join(lines) + b"\n")
        self.told = dict.fromkeys(self.users, OLD)
        self.n_told = 0
        self.too_slow = {LOCK_BUSY}

    def assert_all_is_true(self):
        """Every line is there, once, with what its user was told last."""
        lines = self.folder.read().split(b"\n")
        self.assertEqual(lines[0], b"# the users")
        self.assertEqual(lines[-1], b"")
        names = [text.split(b":")[0].decode() for text in lines[1:-1]]
        self.assertEqual(names, self.users)
        self.assertEqual({text.count(b":") for text in lines[1:-1]}, {7})
        self.assertEqual(self.folder.left_over(), set())
        lost = [
            name
            for name, password in self.told.items()
            if not self.folder.has_password(name, password)
        ]
        self.assertEqual(lost, [])
        print(f"{self.n_told} of {N_OURS * N_CHANGES} changed", flush=True)
        self.assertGreater(self.n_told, 0)

    def write_ours(self, writer):
        """Changes in a row, each from what was told before. Where a machine
        was too slow for one, nothing has changed."""
        with PamChange(self.folder.confdir) as pam:
            names = itertools.cycle(users_of(writer))
            for n, name in zip(range(N_CHANGES), names):
                new = f"secret-{n}-of-{name}"
                code, text = pam.change(name, self.told[name], new)
                if code in self.too_slow:
                    continue
                self.assertEqual((code, text), (SUCCESS, ""), name)
                self.told[name] = new
                self.n_told += 1

    def write_webmail(self, writer):
        with subprocess.Popen(
            ("php", WEBMAIL, self.folder.path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as process:
            names = itertools.cycle(users_of(writer))
            for n, name in zip(range(N_CHANGES), names):
                new = f"secret-{n}-of-{name}"
                order = name.encode() + b"\t" + field(new, "sha512") + b"\n"
                process.stdin.write(order)
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), b"changed\n")
                self.told[name] = new
            process.stdin.close()

    def write(self, writer):
        if writer in OURS:
            self.write_ours(writer)
        else:
            self.write_webmail(writer)

    def test_ours(self):
        in_parallel(self.write, OURS)
        self.assert_all_is_true()

    def test_ours_beside_webmail(self):
        """It writes in place: who has waited for half a second reads what is
        there, and that may be nothing yet, or a part."""
        self.too_slow |= {FILE_UNAVAILABLE, USER_UNKNOWN}
        in_parallel(self.write, OURS + OTHERS)
        self.assert_all_is_true()


if __name__ == "__main__":
    harness.main()
