"""A real Dovecot on the file that pam_passwd_file.so changes: the old password
before, only the new one after."""

import os
import time
import unittest

import dovecot
import harness
from client import CHANGED, change
from dovecot import Dovecot
from passwd_file import NEW, OLD, SUCCESS, Folder, PamChange, Virtual, line
from waiting import wait_until

USER = "alice@example.org"
THIRD = "last-secret-2"
#: what the field is before, the options of the change, and its start after
SCHEMES = {
    "yescrypt": ("scheme=CRYPT cost=1", b"{CRYPT}$y$"),
    "bcrypt": ("scheme=BLF-CRYPT cost=4", b"{BLF-CRYPT}$2y$04$"),
    "sha512": ("scheme=SHA512-CRYPT cost=1000", b"{SHA512-CRYPT}$6$"),
}

needs_dovecot = unittest.skipUnless(dovecot.PROGRAM, "takes dovecot-imapd")


@needs_dovecot
class Schemes(harness.TestCase):
    """Changes through the daemon."""

    def check(self, scheme):
        options, start = SCHEMES[scheme]
        backend = Virtual({USER: OLD, "bob": OLD}, options, scheme=scheme)
        daemon = self.start_daemon(backend, listens=("implicit",))
        dovecot.let_read(backend.folder.path)
        before = os.stat(backend.folder.path)
        with Dovecot(backend.folder.path) as imap:
            self.assertTrue(imap.accepts(USER, OLD))
            self.assertFalse(imap.accepts(USER, NEW))
            for old, new in ((OLD, NEW), (NEW, THIRD)):
                reply, _ = change(daemon.port(), USER, old, new)
                self.assertEqual(reply, CHANGED)
                imap.wait_accepts(USER, new)
                self.assertFalse(imap.accepts(USER, old))
            self.assertTrue(imap.accepts("bob", OLD))
        self.assertTrue(backend.folder.stored(USER).startswith(start))
        after = os.stat(backend.folder.path)
        self.assertEqual(after.st_mode, before.st_mode)
        self.assertEqual(after.st_gid, before.st_gid)

    def test_yescrypt(self):
        self.check("yescrypt")

    def test_bcrypt(self):
        self.check("bcrypt")

    def test_sha512(self):
        self.check("sha512")


@needs_dovecot
class SameSecond(harness.TestCase):
    """Two changes within a second: made sure of by a time of change that lies
    ahead of the clock."""

    def setUp(self):
        self.folder = Folder()
        self.addCleanup(self.folder.close)
        self.folder.write(line(USER, OLD) + b"\n")
        dovecot.let_read(self.folder.path)
        self.ahead = int(os.stat(self.folder.path).st_mtime) + 1000
        self.set_time(self.ahead)

    def set_time(self, second):
        os.utime(self.folder.path, (second, second))

    def test_change_is_seen(self):
        with Dovecot(self.folder.path) as imap:
            self.assertTrue(imap.accepts(USER, OLD))
            with PamChange(self.folder.confdir) as pam:
                for old, new in ((OLD, NEW), (NEW, THIRD)):
                    answer = pam.change(USER, old, new)
                    self.assertEqual(answer, (SUCCESS, ""))
                    imap.wait_accepts(USER, new)
                    self.assertFalse(imap.accepts(USER, old))

    def test_without_a_later_second_it_is_not(self):
        """Why the module sees to it: Dovecot itself would not see it."""
        with Dovecot(self.folder.path) as imap:
            self.assertTrue(imap.accepts(USER, OLD))
            with PamChange(self.folder.confdir) as pam:
                answer = pam.change(USER, OLD, NEW)
                self.assertEqual(answer, (SUCCESS, ""))
            self.set_time(self.ahead)
            changed = time.time()
            wait_until(lambda: time.time() > changed + 2, "another second")
            self.assertFalse(imap.accepts(USER, NEW))
            self.assertTrue(imap.accepts(USER, OLD))
            self.set_time(self.ahead + 1)
            imap.wait_accepts(USER, NEW)


if __name__ == "__main__":
    harness.main()
