"""pam_passwd_file.so on thousands of generated files: a change alters one
field of one line, and a refused one not a byte.

POPPASSD_TEST_FILES: how many. POPPASSD_TEST_SEED (1): other files.
"""

import os
import random

import harness
import passwd_file
from passwd_file import (
    AUTH_ERR,
    NEW,
    OLD,
    SUCCESS,
    Folder,
    PamChange,
    field,
    verifies,
)

N_FILES = int(
    os.environ.get(
        "POPPASSD_TEST_FILES", "500" if harness.is_sanitized() else "2000"
    )
)
SEED = int(os.environ.get("POPPASSD_TEST_SEED", "1"))
LINE_MAX = 65536  # bytes, see pam_passwd_file(8)

NAMES = (
    b"alice alice@example.org a.b+c@Example.ORG bob bobby bob. -dash x"
    b" j\xfcrgen@example.org \xe4\xbd\xa0\xe5\xa5\xbd 0 nobody@x.y"
    b" under_score o'neil a*b [x] $HOME back\\slash per%cent"
).split()
FIELDS = (
    b"|1000|root|/srv/mail/x|/bin/false|M\xfcller, J|{CRYPT}x|#|  | x |\t"
    b"|userdb_quota_rule=*:storage=1G|allow_nets=192.0.2.0/24,::1/128"
    b"|\xff\xfe|%u|\\|'|\""
).split(b"|")
FOREIGN = (
    b"|{PLAIN}x|{NO-SUCH-SCHEME}abc|{|}|{}|*|!|!!|x|{CRYPT}|{CRYPT}$y$"
    b"|{ARGON2ID}$argon2id$v=19$m=1,t=1,p=1$|{SHA512.b64}abc=="
    b"|{PLAIN-MD5}00|{CRAM-MD5.HEX}0|\x80\x81|$1$x$y"
).split(b"|")
HASHES = {name: field(OLD, name) for name in passwd_file.SCHEMES}


class Generated:
    """A file around one user's line, from a random.Random."""

    def __init__(self, rng):
        self.rng = rng
        self.name, *others = rng.sample(NAMES, rng.randrange(1, 9))
        self.end = rng.choice((b"\n", b"\n", b"\n", b"\r\n"))
        before = b"".join(map(self.other_line, others[::2]))
        after = b"".join(map(self.other_line, others[1::2]))
        self.head = before + self.name + b":"
        self.tail = self.rest() + self.end + after
        if rng.random() < 0.3:
            self.tail = self.tail[: -len(self.end)]
        hashed = rng.choice(tuple(HASHES.values()))
        self.data = self.head + hashed + self.tail

    def rest(self):
        """What follows the second field: nothing, or colons and anything.
        Extra fields, the eighth, are short; others may be long."""
        rng = self.rng
        n = rng.choice((0, 1, 5, 6, 6, 6, rng.randrange(20)))
        text = b"".join(b":" + rng.choice(FIELDS) for _ in range(n))
        if rng.random() < 0.02:
            text = b":" + b"x" * rng.randrange(4000, LINE_MAX - 2000) + text
        return text

    def other_line(self, name):
        """Another user's, and sometimes before it what is nobody's."""
        rng = self.rng
        noise = b""
        while rng.random() < 0.3:
            noise += self.noise() + self.end
        hashed = rng.choice((*FOREIGN, *HASHES.values()))
        return noise + name + b":" + hashed + self.rest() + self.end

    def noise(self):
        rng = self.rng
        comment = b"#" + rng.choice((b"", b" ", b"#")) + self.name
        return rng.choice(
            (b"", b"#", comment + b":" + HASHES["md5"], b"# :\xff::")
        )


class Property(harness.TestCase):
    def setUp(self):
        self.folder = Folder(passwd_file.memory_folder())
        self.addCleanup(self.folder.close)

    def for_each_file(self, check):
        """Each is made from a seed of its own."""
        print(f"{N_FILES} files, POPPASSD_TEST_SEED={SEED}", flush=True)
        with PamChange(self.folder.confdir) as self.pam:
            for n in range(N_FILES):
                generated = Generated(
                    random.Random(f"{self.id()} {SEED} {n}")
                )
                try:
                    check(generated)
                except AssertionError as error:
                    raise AssertionError(
                        f"POPPASSD_TEST_SEED={SEED}, file {n}, user "
                        f"{generated.name!r}:\n{generated.data[:2000]!r}"
                    ) from error

    def assert_one_field(self, generated, password):
        data = self.folder.read()
        self.assertTrue(data.startswith(generated.head))
        self.assertTrue(data.endswith(generated.tail))
        end = len(data) - len(generated.tail)
        stored = data[len(generated.head) : end]
        self.assertNotRegex(stored, rb"[:\r\n\0]")
        self.assertTrue(verifies(stored, password), stored)

    def assert_refused(self, data, name, old):
        """The very same file. Returns PAM's code."""
        self.folder.write(data)
        before = os.stat(self.folder.path)
        code, _ = self.pam.change(name, old, NEW)
        self.assertNotEqual(code, SUCCESS)
        after = os.stat(self.folder.path)
        self.assertEqual(self.folder.read(), data)
        self.assertEqual(after.st_ino, before.st_ino)
        self.assertEqual(after.st_mtime_ns, before.st_mtime_ns)
        self.assertEqual(self.folder.left_over(), set())
        return code

    def test_change(self):
        def check(generated):
            self.folder.write(generated.data)
            before = os.stat(self.folder.path)
            answer = self.pam.change(generated.name, OLD, NEW)
            self.assertEqual(answer, (SUCCESS, ""))
            after = os.stat(self.folder.path)
            self.assert_one_field(generated, NEW)
            self.assertGreater(int(after.st_mtime), int(before.st_mtime))
            self.assertEqual(after.st_mode, before.st_mode)
            self.assertEqual(self.folder.left_over(), set())

        self.for_each_file(check)

    def test_wrong_password(self):
        def check(generated):
            code = self.assert_refused(
                generated.data, generated.name, "wrong-guess-7"
            )
            self.assertEqual(code, AUTH_ERR)

        self.for_each_file(check)

    def test_file_that_cannot_be_read(self):
        """A NUL, a user twice, a line that is too long: never guessed."""
        breaks = (
            lambda g: g.data + b"\0" + g.end,
            lambda g: g.name + b":" + HASHES["md5"] + g.end + g.data,
            lambda g: g.data + g.end + g.name + b":x",
            lambda g: b"x:" + b"y" * LINE_MAX * 2 + g.end + g.data,
        )

        def check(generated):
            data = generated.rng.choice(breaks)(generated)
            code = self.assert_refused(data, generated.name, OLD)
            self.assertNotEqual(code, AUTH_ERR, "not for the user to mend")

        self.for_each_file(check)


if __name__ == "__main__":
    harness.main()
