"""Virtual mailboxes over the network: the daemon's `virtual-users yes` on
pam_passwd_file.so, alone and behind a policy module."""

import fcntl
import os
import resource

import accounts
import harness
from client import CHANGED, WRONG, change, check
from passwd_file import NEW, OLD, Virtual, field

USER = "alice@example.org"
REASON = rb"^500 [ -~]+\r\n$"
BUSY = rb"^500 [ -~]*try again later\.\r\n$"


class Served(harness.TestCase):
    """A daemon for all tests; each finds the file as it was."""

    options = "scheme=BLF-CRYPT cost=4 minlen=8"
    before = ""  # in front of the line that changes
    directives = ()

    @classmethod
    def setUpClass(cls):
        cls.backend = Virtual({}, cls.options, cls.before)
        cls.daemon = cls.start_daemon(
            cls.backend,
            listens=("implicit",),
            directives=("fail-delay 0s", *cls.directives),
        )

    def setUp(self):
        self.file = self.backend.folder
        self.write(b"")

    def write(self, rest):
        """USER, another, and one whose line goes on with rest."""
        stored = field(OLD)
        self.data = b"".join(
            name + b":" + stored + b":1000:1000::/srv::" + extra + b"\n"
            for name, extra in (
                (USER.encode(), b""),
                (b"bob", b"userdb_mail=maildir:~"),
                (b"carol", rest),
            )
        )
        self.file.write(self.data)
        os.chown(self.file.path, self.backend.owner, -1)

    def change(self, new=NEW, user=USER, old=OLD):
        return change(self.daemon.port(), user, old, new)[0]

    def assert_old_stays(self, user=USER):
        self.assertEqual(self.file.read(), self.data)
        self.assertEqual(self.file.left_over(), set())
        self.assertTrue(check(self.daemon.port(), user, OLD))


class Changes(Served):
    def test_change(self):
        self.assertEqual(self.change(), CHANGED)
        stored = self.file.stored(USER)
        expected = self.data.replace(
            USER.encode() + b":" + field(OLD), USER.encode() + b":" + stored
        )
        self.assertEqual(self.file.read(), expected)
        self.assertEqual(self.file.left_over(), set())
        self.assertTrue(self.file.has_password(USER, NEW))
        self.assertFalse(check(self.daemon.port(), USER, OLD))
        self.assertTrue(check(self.daemon.port(), USER, NEW))

    def test_wrong_password_and_unknown_user(self):
        self.assertEqual(self.change(old="wrong-guess-7"), WRONG)
        self.assertEqual(self.change(user="nobody@example.org"), WRONG)
        self.assertEqual(self.change(user="../../etc/passwd"), WRONG)
        self.assert_old_stays()

    def test_too_short(self):
        self.assertRegex(self.change("short-1"), REASON)
        self.assert_old_stays()

    def test_account(self):
        for extra in (b"nologin", b"x=y expires=2020-01-01 nologin=n"):
            with self.subTest(extra):
                self.write(extra)
                self.assertEqual(self.change(user="carol"), WRONG)
                self.assertEqual(self.file.read(), self.data)
        self.write(b"expires=2999-12-31")
        self.assertEqual(self.change(user="carol"), CHANGED)

    def test_empty_password(self):
        """Without nullok it lets nobody in, whatever has its hash."""
        for stored in (b"", b"{PLAIN}", field("")):
            with self.subTest(stored):
                self.data = b"dave:" + stored + b"::::::\n"
                self.file.write(self.data)
                os.chown(self.file.path, self.backend.owner, -1)
                self.assertEqual(self.change(user="dave", old=""), WRONG)
                self.assertEqual(self.file.read(), self.data)

    def test_file_that_others_may_write(self):
        os.chmod(self.file.path, 0o620)
        self.assertNotEqual(self.change(), CHANGED)
        self.assertEqual(self.file.read(), self.data)

    def test_limit_of_file_size(self):
        """What passes it gets a signal, too, which must not end a helper in
        the middle of a change."""
        pid = self.daemon.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        small = (64, before[1])
        resource.prlimit(pid, resource.RLIMIT_FSIZE, small)
        self.addCleanup(resource.prlimit, pid, resource.RLIMIT_FSIZE, before)
        self.assertRegex(self.change(), rb"^500 [ -~]+disk is full")
        self.assert_old_stays()


class Locked(Served):
    directives = ("change-timeout 9s",)  # the default

    def make_lock_file(self):
        """Its path. The first change makes it."""
        self.assertEqual(self.change(), CHANGED)
        self.write(b"")
        return os.path.join(self.file.folder, ".users.lock")

    @accounts.needs_root
    def test_lock_file_of_a_former_owner(self):
        """The folder was given to somebody else, and not all that is in it."""
        lock = self.make_lock_file()
        owner = os.stat(lock).st_uid
        os.chown(lock, 65533, -1)
        self.addCleanup(os.chown, lock, owner, -1)
        self.assertEqual(self.change(), CHANGED)

    def test_locked_for_long(self):
        """The client hears of it in time, and nothing is changed."""
        with open(self.make_lock_file(), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.assertRegex(self.change(), BUSY)
            self.assertEqual(self.file.read(), self.data)
        self.assertEqual(self.change(), CHANGED)


class Quality(Served):
    """A policy module in front: it asks for the new password."""

    options = "use_authtok scheme=BLF-CRYPT cost=4"
    before = (
        "password requisite pam_pwquality.so retry=3 minlen=10 dictcheck=0\n"
    )

    def test_reason_on_one_line(self):
        for weak in ("abc", OLD, "x-alice@example.org-x", "aaaaaaaaaaaaaa"):
            with self.subTest(weak):
                reply = self.change(weak)
                self.assertRegex(reply, rb"^500 BAD PASSWORD: [ -~]+\r\n$")
        self.assert_old_stays()

    def test_strong(self):
        self.assertEqual(self.change(), CHANGED)
        self.assertTrue(self.file.has_password(USER, NEW))


if __name__ == "__main__":
    harness.main()
