"""The acceptance cases: what clients send, over implicit TLS and STARTTLS."""

import time

import accounts
import harness
import processes
from accounts import Matrix, Unix
from client import (
    ASK_NEW,
    ASK_OLD,
    BYE,
    CHANGED,
    GREETING,
    TLS_REQUIRED,
    WRONG,
    Client,
    change,
    check,
    log_in,
)

OLD = b"old-secret-0"
NEW = b"new-secret-1"
UNKNOWN_COMMAND = b"500 Unknown command.\r\n"
CLOCK_SEC = 0.002  # the daemon's clock has whole milliseconds


class Acceptance:
    """The cases; below are the ways in which they are run."""

    mode = None
    unprivileged = False
    user = "virt.user"

    @classmethod
    def setUpClass(cls):
        cls.backend = Matrix({cls.user: OLD, "a.b+c@Example.ORG": OLD})
        cls.daemon = cls.start_daemon(
            cls.backend, listens=(cls.mode,), unprivileged=cls.unprivileged
        )

    def setUp(self):
        self.backend.set_passwords(self.backend.accounts)

    def connect(self):
        client = Client(self.daemon.port(self.mode), self.mode)
        self.addCleanup(client.close)
        self.assertRegex(client.greeting, GREETING)
        return client

    def assert_changed(self, new=NEW):
        self.assertTrue(self.backend.has_password(self.user, new))

    def commands(self, end=b"\r\n", upper=False):
        user = self.user.encode()
        verbs = [b"user", b"pass", b"newpass"]
        values = [user, OLD, NEW]
        if upper:
            verbs = [verb.upper() for verb in verbs]
        return [b"%s %s%s" % (v, a, end) for v, a in zip(verbs, values)]

    def expect_all(self, client, *replies):
        for reply in replies:
            client.expect(reply)

    def test_a1_lf_only_and_eof_without_quit(self):
        client = self.connect()
        client.send(b"".join(self.commands(b"\n")))
        client.send_eof()
        self.expect_all(client, ASK_OLD, ASK_NEW, CHANGED)
        self.assertEqual(client.drain(), b"")
        self.assert_changed()

    def test_a1_a_line_a_record_and_eof(self):
        client = self.connect()
        for line in self.commands(b"\n"):
            client.send(line)
        client.send_eof()
        self.expect_all(client, ASK_OLD, ASK_NEW, CHANGED)
        self.assert_changed()

    def test_a2_upper_case_with_lf(self):
        client = self.connect()
        for command, reply in zip(
            self.commands(b"\n", upper=True), (ASK_OLD, ASK_NEW, CHANGED)
        ):
            client.send(command)
            client.expect(reply)
        client.send(b"QUIT\n")
        client.expect(BYE)
        client.expect_close()
        self.assert_changed()

    def test_a3_one_command_ahead(self):
        client = self.connect()
        user, old, newpass = self.commands()
        client.send(user)
        client.send(old)
        client.expect(ASK_OLD)
        client.send(newpass)
        client.expect(ASK_NEW)
        client.send(b"quit\r\n")
        self.expect_all(client, CHANGED, BYE)
        client.expect_close()
        self.assert_changed()

    def test_a3_wrong_password_with_data_behind(self):
        client = self.connect()
        client.send(b"user %s\r\npass wrong-secret\r\n" % self.user.encode())
        client.send(b"newpass never-stored\r\nquit\r\n" + b"x" * 2000)
        self.expect_all(client, ASK_OLD, WRONG)
        client.expect_close()
        self.assertFalse(
            self.backend.has_password(self.user, "never-stored")
        )

    def test_a4_all_in_one_record(self):
        client = self.connect()
        client.send(b"".join(self.commands()) + b"quit\r\n")
        self.expect_all(client, ASK_OLD, ASK_NEW, CHANGED, BYE)
        client.expect_close()
        self.assert_changed()

    def test_a4_one_byte_a_record(self):
        client = self.connect()
        client.send_each_byte(b"".join(self.commands()) + b"quit\r\n")
        self.expect_all(client, ASK_OLD, ASK_NEW, CHANGED, BYE)
        client.expect_close()
        self.assert_changed()

    def test_a9_arguments_that_look_like_commands(self):
        client = self.connect()
        client.say(b"user quit", ASK_OLD[:-2])
        client.say(b"pass user root", WRONG[:-2])
        client.expect_close()
        reply, _ = change(
            self.daemon.port(self.mode),
            self.user,
            OLD,
            b"quit",
            self.mode,
        )
        self.assertEqual(reply, CHANGED)
        self.assert_changed(b"quit")

    def test_a12_name_is_passed_on_as_it_is(self):
        port = self.daemon.port(self.mode)
        self.assertTrue(check(port, "a.b+c@Example.ORG", OLD, self.mode))
        self.assertFalse(check(port, "a.b+c@example.org", OLD, self.mode))

    def assert_changes_without(self, client, last_words, leave):
        mark = self.daemon.log.mark()
        client.send(last_words)
        leave(client)
        self.daemon.log.wait_for(r"event=change_ok\b", since=mark)
        self.assert_changed()

    def test_a13_leave_right_after_newpass(self):
        for leave in (Client.close, Client.reset):
            with self.subTest(leave.__name__):
                self.setUp()
                client = self.connect()
                self.assertEqual(log_in(client, self.user, OLD), ASK_NEW)
                self.assert_changes_without(
                    client, b"NEWPASS " + NEW + b"\r\n", leave
                )

    def test_a13_close_right_after_quit(self):
        commands = b"".join(self.commands()) + b"QUIT\r\n"
        self.assert_changes_without(self.connect(), commands, Client.close)

    def test_a14_login_check(self):
        mark = self.daemon.log.mark()
        client = self.connect()
        self.assertEqual(log_in(client, self.user, OLD), ASK_NEW)
        client.close()
        self.daemon.log.wait_for(r"event=login_ok\b", since=mark)
        self.assertFalse(self.daemon.log.find("auth_failed", mark))

    def test_a15_unknown_commands(self):
        mark = self.daemon.log.mark()
        client = self.connect()
        for command in (b"getuser u", b"EHLO x"):
            client.say(command, UNKNOWN_COMMAND[:-2])
        self.assertEqual(log_in(client, self.user, OLD), ASK_NEW)
        client.say(b"QUIT", BYE[:-2])
        client.expect_close()
        self.daemon.log.wait_for(r"event=login_ok\b", since=mark)
        self.assertFalse(self.daemon.log.find("auth_failed", mark))

    def test_a21_connect_and_close(self):
        mark = self.daemon.log.mark()
        ports = []
        for leave in (Client.close, Client.close, Client.reset):
            client = Client(self.daemon.port(self.mode))
            ports.append(client.socket.getsockname()[1])
            leave(client)
        client = self.connect()
        port = client.socket.getsockname()[1]
        self.assertEqual(log_in(client, self.user, OLD), ASK_NEW)
        client.close()
        self.daemon.log.wait_for(rf"event=login_ok .*port={port} ", since=mark)
        for port in ports:
            self.assertFalse(self.daemon.log.find(rf"port={port}\b", mark))


class OverImplicitTls(Acceptance, harness.TestCase):
    mode = "implicit"


class OverStartTls(Acceptance, harness.TestCase):
    mode = "starttls"


class OverStartTlsUnprivileged(Acceptance, harness.TestCase):
    mode = "starttls"
    unprivileged = True


class Refusal:
    """A17: PAM's own reason, at once, and the old password stays."""

    mode = None

    @classmethod
    def setUpClass(cls):
        cls.backend = Matrix({"virt.user": OLD}, accounts.QUALITY)
        cls.daemon = cls.start_daemon(cls.backend, listens=(cls.mode,))

    def test_a17_newpass_refused(self):
        port = self.daemon.port(self.mode)
        before = self.read_file()
        with Client(port, self.mode) as client:
            self.assertEqual(log_in(client, "virt.user", OLD), ASK_NEW)
            client.send(b"NEWPASS abc\r\n")
            client.expect_match(rb"500 BAD PASSWORD: [ -~]+\r\n")
            client.expect_close()
        self.assertEqual(self.read_file(), before)
        self.assertTrue(check(port, "virt.user", OLD, self.mode))

    def read_file(self):
        with open(self.backend.file, "rb") as file:
            return file.read()


class RefusalOverImplicitTls(Refusal, harness.TestCase):
    mode = "implicit"


class RefusalOverStartTls(Refusal, harness.TestCase):
    mode = "starttls"


class Verbatim:
    """A5 to A8: every byte of a password counts, up to the limits."""

    mode = None
    user = "verbatim"
    passwords = (
        b"  two before, two behind  ",
        b'tab\there "double" \'single\'',
        b"back\\slash %s%n%x $HOME `id` ;|&<>",
        "\u00e9 \u20ac \U0001f511 \u044f".encode(),
        b"latin-1 \xfc\xe9 and \xff\xfe",
        b"lone\rcarriage return",
        b"x" * 511,
    )

    @classmethod
    def setUpClass(cls):
        if accounts.is_root():
            cls.backend = Unix({cls.user: OLD})
            cls.passwords += (b"with:colons:in it",)
        else:  # pam_matrix trims its lines
            cls.backend = Matrix({cls.user: OLD})
            cls.passwords = [p for p in cls.passwords if p == p.strip()]
        cls.daemon = cls.start_daemon(cls.backend, listens=(cls.mode,))

    def test_a5_a6_a7_a8_passwords_are_kept_exactly(self):
        """As new and as old one."""
        port = self.daemon.port(self.mode)
        for new in self.passwords:
            with self.subTest(new=new):
                self.backend.set_passwords({self.user: OLD})
                reply, _ = change(port, self.user, OLD, new, self.mode)
                self.assertEqual(reply, CHANGED)
                self.assertTrue(self.backend.has_password(self.user, new))
                self.assertTrue(check(port, self.user, new, self.mode))

    def refused(self, *lines):
        """The reply to the last of the lines, after which it is over."""
        with Client(self.daemon.port(self.mode), self.mode) as client:
            for line in lines:
                client.send(line)
                reply = client.line()
            client.expect_close()
            return reply

    def test_a8_limits(self):
        user = b"USER " + self.user.encode() + b"\r\n"
        too_long = b"500 Password too long (limit 511 bytes).\r\n"
        nul = b"500 NUL bytes are not allowed.\r\n"
        cases = (
            ((user, b"PASS " + b"x" * 512 + b"\r\n"), too_long),
            (
                (b"USER " + b"u" * 256 + b"\r\n",),
                b"500 User name too long (limit 255 bytes).\r\n",
            ),
            ((b"USER a\0b\r\n",), nul),
            ((user, b"PASS \0\r\n"), nul),
            (
                (b"USER " + b"x" * 5000 + b"\r\n",),
                b"500 Line too long (limit 4096 bytes).\r\n",
            ),
        )
        for lines, reply in cases:
            with self.subTest(reply=reply):
                self.assertEqual(self.refused(*lines), reply)

    def test_a8_endless_line(self):
        before = processes.own_kib(self.daemon.net_pid())
        for _ in range(10):
            self.assertEqual(
                self.refused(b"USER " + b"x" * 65536),
                b"500 Line too long (limit 4096 bytes).\r\n",
            )
        if not harness.is_sanitized():  # its quarantine grows by itself
            after = processes.own_kib(self.daemon.net_pid())
            self.assertLess(after - before, 1024)


class VerbatimOverImplicitTls(Verbatim, harness.TestCase):
    mode = "implicit"


class VerbatimOverStartTls(Verbatim, harness.TestCase):
    mode = "starttls"


class Mistaken(harness.TestCase):
    """A18: the wrong kind of port. No timeout ends anything here."""

    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.start_daemon(Matrix({}))

    def test_a18_client_hello_where_clear_text_is_expected(self):
        for mode in ("starttls", "auto"):
            with self.subTest(mode), Client(self.daemon.port(mode)) as client:
                self.assertRegex(client.line(), GREETING)
                client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
                client.expect_match(rb"500 [ -~]+\r\n")
                client.expect_close()

    def test_a18_silence_where_tls_is_expected(self):
        start = time.monotonic()
        with Client(self.daemon.port("implicit")) as client:
            client.expect(b"500 This port requires TLS.\r\n")
            self.assertGreaterEqual(time.monotonic() - start, 2 - CLOCK_SEC)
            client.expect_close()

    def test_a18_clear_text_where_tls_is_expected(self):
        cases = {
            "implicit": b"500 This port requires TLS.\r\n",
            "auto": TLS_REQUIRED,
        }
        for mode, reply in cases.items():
            with self.subTest(mode), Client(self.daemon.port(mode)) as client:
                port = client.socket.getsockname()[1]
                client.send(b"user bob\r\n")
                client.expect(reply)
                client.expect_close()
                # What is said at once, unlike what silence is told, is logged.
                self.daemon.log.wait_for(
                    rf"event=clear_refused .*port={port}\b"
                )


class Silent(harness.TestCase):
    """A21: who says nothing after the greeting."""

    def test_a21_silence_after_the_greeting(self):
        daemon = self.start_daemon(
            Matrix({}), directives=("command-timeout 2s",)
        )
        for mode, clear in (("starttls", True), ("implicit", False)):
            with self.subTest(mode):
                start = time.monotonic()
                client = Client(daemon.port(mode), "clear" if clear else mode)
                self.addCleanup(client.close)
                if clear:
                    self.assertRegex(client.line(), GREETING)
                port = client.socket.getsockname()[1]
                client.expect(b"500 Timed out.\r\n")
                client.expect_close()
                self.assertGreaterEqual(
                    time.monotonic() - start, 2 - CLOCK_SEC
                )
                self.assertFalse(daemon.log.find(rf"port={port}\b"))


if __name__ == "__main__":
    harness.main(private_etc=True)
