"""TLS: modes of a listener, attacks on STARTTLS, versions, certificates."""

import contextlib
import re
import select
import ssl
import subprocess
import time

import certificates
import harness
from accounts import Matrix
from client import (
    ASK_NEW,
    ASK_OLD,
    CHANGED,
    GREETING,
    TLS_REQUIRED,
    Client,
    change,
    context,
    log_in,
)

OLD = "old-secret-0"
USER = "virt.user"
BEGIN = b"200 Begin TLS now.\r\n"
INSIDE = b"500 Already inside TLS."
CLOCK_SEC = 0.002  # the daemon's clock has whole milliseconds


def client_hello(server_name="localhost"):
    """A whole ClientHello, as bytes."""
    outgoing = ssl.MemoryBIO()
    tls = context().wrap_bio(
        ssl.MemoryBIO(), outgoing, server_hostname=server_name
    )
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


class Served(harness.TestCase):
    """A daemon for all tests, in all modes."""

    directives = ()

    @classmethod
    def setUpClass(cls):
        cls.backend = Matrix({USER: OLD})
        cls.daemon = cls.start_daemon(cls.backend, directives=cls.directives)

    def setUp(self):
        self.backend.set_passwords(self.backend.accounts)

    def connect(self, port_mode, mode="clear", **named):
        client = Client(self.daemon.port(port_mode), mode, **named)
        self.addCleanup(client.close)
        return client

    def greeted(self, port_mode="starttls"):
        client = self.connect(port_mode)
        self.assertRegex(client.line(), GREETING)
        return client

    def assert_serves(self):
        with self.connect("starttls", "starttls") as client:
            self.assertEqual(log_in(client, USER, OLD), ASK_NEW)


class Attacks(Served):
    def test_bytes_behind_starttls_end_it(self):
        hello = client_hello()
        behind = {
            "a command": b"USER " + USER.encode() + b"\r\n",
            "part of a line": b"U",
            "an empty line": b"\r\n",
            "STARTTLS again": b"STARTTLS\r\n",
            "one byte of a ClientHello": hello[:1],
            "part of a ClientHello": hello[:50],
            "a whole ClientHello": hello,
        }
        for command in (b"STARTTLS\r\n", b"stls\n"):
            for what, data in behind.items():
                with self.subTest(command=command, behind=what):
                    mark = self.daemon.log.mark()
                    client = self.greeted()
                    client.send(command + data)
                    self.assertEqual(client.drain(), b"")
                    self.daemon.log.wait_for(
                        r"event=starttls_injection\b", since=mark
                    )
        self.assert_serves()

    def test_command_right_after_starttls_is_never_answered(self):
        """In a segment of its own: it comes before or after the reply."""
        for _ in range(20):
            client = self.greeted()
            client.send(b"STARTTLS\r\n")
            client.send(b"USER " + USER.encode() + b"\r\n")
            answer = client.drain()
            self.assertNotIn(b"password", answer)
            self.assertIn(answer[: len(BEGIN)], (b"", BEGIN))
        self.assert_serves()

    def test_command_instead_of_a_client_hello(self):
        for data in (b"STARTTLS\r\n", b"USER x\r\n", b"QUIT\r\n"):
            with self.subTest(data):
                client = self.greeted()
                client.say(b"STARTTLS", BEGIN[:-2])
                client.send(data)
                answer = client.drain()
                self.assertNotIn(b"200", answer)

    def test_session_starts_anew_after_the_handshake(self):
        """What was said in clear does not count: five bad lines do not make
        the first one inside the sixth."""
        client = self.greeted()
        for _ in range(5):
            client.say(b"nonsense", b"500 Unknown command.")
        client.say(b"STARTTLS", BEGIN[:-2])
        client.handshake()
        client.say(b"nonsense", b"500 Unknown command.")
        client.expect_open()
        client.say(b"PASS " + OLD.encode(), b"500 Send USER first.")
        self.assertEqual(log_in(client, USER, OLD), ASK_NEW)

    def test_no_greeting_after_the_handshake(self):
        client = self.connect("starttls", "starttls")
        client.expect_open()

    def test_starttls_inside_tls(self):
        for mode in ("implicit", "starttls"):
            for verb in (b"STARTTLS", b"STLS"):
                with self.subTest(mode=mode, verb=verb):
                    client = self.connect(mode, mode)
                    client.say(verb, INSIDE)
                    self.assertEqual(log_in(client, USER, OLD), ASK_NEW)
                    client.close()

    def test_starttls_after_user(self):
        client = self.connect("starttls", "starttls")
        client.say(b"USER " + USER.encode(), ASK_OLD[:-2])
        client.say(b"STARTTLS", INSIDE)
        client.say(b"PASS " + OLD.encode(), ASK_NEW[:-2])

    def test_user_pass_newpass_in_clear(self):
        for mode in ("starttls", "auto"):
            for verb in (b"USER", b"pass", b"NewPass"):
                with self.subTest(mode=mode, verb=verb):
                    mark = self.daemon.log.mark()
                    client = self.greeted(mode)
                    client.say(verb + b" anything", TLS_REQUIRED[:-2])
                    client.expect_close()
                    self.daemon.log.wait_for(
                        r"event=clear_refused\b", since=mark
                    )

    def test_line_of_64_kib_in_clear(self):
        client = self.greeted()
        client.send(b"x" * 65536)
        client.expect_match(rb"500 [ -~]+\r\n")
        client.expect_close()
        self.assert_serves()

    def test_what_is_allowed_in_clear(self):
        client = self.greeted()
        client.say(b"NOOP", b"200 OK.")
        client.send(b"HELP\r\n")
        client.expect_match(rb"200 [ -~]*STARTTLS[ -~]*\r\n")
        client.say(b"QUIT", b"200 Bye.")
        client.expect_close()

    def test_sixth_bad_line_in_clear_closes(self):
        client = self.greeted()
        for _ in range(6):
            client.say(b"nonsense", b"500 Unknown command.")
        client.expect_close()


class OtherProtocols(Served):
    def test_http_inside_tls(self):
        request = b"POST / HTTP/1.1\r\nHost: x\r\n\r\nUSER x\r\nPASS y\r\n"
        for verb in (b"GET", b"POST", b"PUT", b"OPTIONS", b"PRI"):
            with self.subTest(verb):
                client = self.connect("implicit", "implicit")
                client.send(request.replace(b"POST", verb))
                client.expect(b"500 Unknown command.\r\n")
                client.expect_close()

    def test_http_in_clear(self):
        client = self.connect("auto")
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        client.expect(TLS_REQUIRED)
        client.expect_close()

    def test_smtp_inside_tls(self):
        client = self.connect("implicit", "implicit")
        for line in (
            b"EHLO mail.example.com",
            b"MAIL FROM:<a@example.com>",
            b"RCPT TO:<b@example.com>",
            b"DATA",
            b"Subject: USER x",
            b".",
        ):
            client.say(line, b"500 Unknown command.")
        client.expect_close()

    def test_foreign_alpn_is_refused(self):
        for protocols in (["http/1.1"], ["h2", "smtp"], ["imap"]):
            tls = context()
            tls.set_alpn_protocols(protocols)
            with self.subTest(protocols):
                with self.assertRaisesRegex(ssl.SSLError, "(?i)alert"):
                    self.connect("implicit", "implicit", tls=tls)

    def test_own_alpn_is_chosen(self):
        for protocols in (["poppassd"], ["h2", "poppassd"]):
            tls = context()
            tls.set_alpn_protocols(protocols)
            with self.subTest(protocols):
                client = self.connect("implicit", "implicit", tls=tls)
                self.assertEqual(
                    client.socket.selected_alpn_protocol(), "poppassd"
                )


class Modes(Served):
    def test_auto_speaks_tls_at_once(self):
        self.connect("auto", "implicit").expect_open()

    def test_auto_early_byte(self):
        client = self.connect("auto")
        client.send(b"u")
        client.expect(TLS_REQUIRED)
        client.expect_close()

    def test_auto_silence(self):
        start = time.monotonic()
        client = self.greeted("auto")
        self.assertGreaterEqual(time.monotonic() - start, 0.5 - CLOCK_SEC)
        client.say(b"STARTTLS", BEGIN[:-2])
        client.handshake()
        self.assertEqual(log_in(client, USER, OLD), ASK_NEW)

    def test_auto_changes_both_ways(self):
        passwords = [OLD, "new-secret-1", "new-secret-2"]
        for mode, old, new in zip(
            ("implicit", "starttls"), passwords, passwords[1:]
        ):
            reply, _ = change(self.daemon.port("auto"), USER, old, new, mode)
            self.assertEqual(reply, CHANGED)
            self.assertTrue(self.backend.has_password(USER, new))

    def test_starttls_greets_at_once(self):
        """Also who talks too early for `auto`."""
        client = self.connect("starttls")
        client.send(b"NOOP\r\n")
        self.assertRegex(client.line(), GREETING)
        client.expect(b"200 OK.\r\n")

    def test_implicit_silence_gets_a_hint(self):
        start = time.monotonic()
        client = self.connect("implicit")
        client.expect(b"500 This port requires TLS.\r\n")
        self.assertGreaterEqual(time.monotonic() - start, 2 - CLOCK_SEC)
        client.expect_close()


class Timed(Served):
    def setUp(self):
        super().setUp()
        self.start = time.monotonic()

    def assert_ends(self, client, seconds, why):
        """Not before its time. In the log it has a name."""
        port = client.socket.getsockname()[1]
        client.drain()
        took = time.monotonic() - self.start
        self.assertGreaterEqual(took, seconds - CLOCK_SEC)
        self.daemon.log.wait_for(
            rf'event=timeout .*port={port} .*reason="{why}"'
        )


class Handshakes(Timed):
    directives = ("handshake-timeout 2s",)

    def test_client_hello_never_comes(self):
        client = self.greeted()
        client.say(b"STARTTLS", BEGIN[:-2])
        self.assert_ends(client, 2, "handshake")

    def test_client_hello_stalls(self):
        client = self.greeted()
        client.say(b"STARTTLS", BEGIN[:-2])
        client.send(client_hello()[:50])
        self.assert_ends(client, 2, "handshake")

    def test_implicit_client_hello_stalls(self):
        for mode in ("implicit", "auto"):
            with self.subTest(mode):
                client = self.connect(mode)
                client.send(client_hello()[:50])
                self.assert_ends(client, 2, "handshake")


class Sessions(Timed):
    directives = ("handshake-timeout 5s", "session-timeout 5s")

    def test_session_has_an_end(self):
        """However busy the client looks."""
        client = self.connect("implicit", "implicit")
        line = b"200 OK.\r\n"
        with contextlib.suppress(OSError):
            while line == b"200 OK.\r\n":
                client.send(b"NOOP\r\n")
                line = client.line()
                select.select([client.socket], [], [], 0.2)
        self.assert_ends(client, 5, "session")


def s_client(port, *arguments, stdin=b""):
    """openssl s_client until the end of its input. Returns its status and
    what it wrote."""
    done = subprocess.run(
        ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", *arguments),
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


class Versions(Served):
    def test_1_2_and_1_3_work(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            with self.subTest(version):
                mark = self.daemon.log.mark()
                tls = context(version=version)
                client = self.connect("implicit", "implicit", tls=tls)
                self.assertEqual(log_in(client, USER, OLD), ASK_NEW)
                client.close()
                name = "TLSv1." + version.name[-1]
                self.daemon.log.wait_for(f"tls={name} ", since=mark)

    def test_1_1_and_1_0_are_refused(self):
        for option in ("-tls1_1", "-tls1"):
            with self.subTest(option):
                status, output = s_client(
                    self.daemon.port(),
                    option,
                    "-cipher",
                    "DEFAULT:@SECLEVEL=0",
                )
                self.assertNotEqual(status, 0)
                self.assertIn(b"alert protocol version", output)
                self.assertNotIn(b"poppassd v2", output)

    def test_cbc_and_rsa_key_exchange_are_refused(self):
        tls = context(version=ssl.TLSVersion.TLSv1_2)
        for ciphers in ("ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"):
            tls.set_ciphers(ciphers)
            with self.subTest(ciphers):
                with self.assertRaises(ssl.SSLError):
                    self.connect("implicit", "implicit", tls=tls)

    def test_renegotiation_is_refused(self):
        with subprocess.Popen(
            (
                *("openssl", "s_client", "-tls1_2"),
                *("-connect", f"127.0.0.1:{self.daemon.port()}"),
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            self.addCleanup(process.stdout.close)
            seen = b""
            while b"poppassd v2 hello" not in seen:
                line = process.stdout.readline()
                self.assertTrue(line, seen)
                seen += line
            process.stdin.write(b"R\n")
            process.stdin.flush()
            seen += process.stdout.read()
            status = process.wait(120)
        self.assertNotEqual(status, 0)
        self.assertIn(b"RENEGOTIATING", seen)
        self.assertIn(b"no renegotiation", seen)
        self.assertEqual(seen.count(b"poppassd v2 hello"), 1)
        self.assert_serves()

    def test_no_ticket_resumes_a_session(self):
        tls = context(version=ssl.TLSVersion.TLSv1_2)
        client = self.connect("implicit", "implicit", tls=tls)
        client.expect_open()
        session = client.socket.session
        self.assertFalse(session.has_ticket)
        client.close()
        status, output = s_client(
            self.daemon.port(), "-tls1_2", "-reconnect", stdin=b"QUIT\r\n"
        )
        self.assertEqual(status, 0)
        self.assertEqual(len(re.findall(rb"^New, TLS", output, re.M)), 6)
        self.assertNotIn(b"Reused, ", output)
        status, output = s_client(
            self.daemon.port(), "-tls1_3", stdin=b"QUIT\r\n"
        )
        self.assertEqual(status, 0)
        self.assertNotIn(b"Post-Handshake New Session Ticket", output)


class Certificates(harness.TestCase):
    """Several certificates at once."""

    @classmethod
    def setUpClass(cls):
        cls.first = certificates.make()
        cls.rsa = certificates.make(kind="rsa")
        cls.other = certificates.make(
            names=("DNS:mail.example.com", "DNS:*.example.net")
        )
        cls.daemon = cls.start_daemon(
            Matrix({}), pairs=[cls.first, cls.rsa, cls.other]
        )

    def served(self, name, ciphers=None, port_mode="implicit"):
        """The certificate that a client of this name is shown, as DER."""
        version = ssl.TLSVersion.TLSv1_2 if ciphers else None
        tls = context(version=version)
        if ciphers:
            tls.set_ciphers(ciphers)
        with Client(
            self.daemon.port(port_mode), port_mode, tls=tls, name=name
        ) as client:
            return client.socket.getpeercert(binary_form=True)

    def der(self, certificate):
        with open(certificate.path, encoding="ascii") as file:
            return ssl.PEM_cert_to_DER_cert(file.read())

    def test_name_chooses_the_certificate(self):
        for mode in ("implicit", "starttls"):
            cases = {
                "localhost": self.first,
                "mail.example.com": self.other,
                "MAIL.Example.COM": self.other,
                "imap.example.net": self.other,
                "unknown.example.org": self.first,
                None: self.first,
            }
            for name, expected in cases.items():
                with self.subTest(mode=mode, name=name):
                    self.assertEqual(
                        self.served(name, port_mode=mode), self.der(expected)
                    )

    def test_key_type_follows_the_client(self):
        cases = {
            "ECDHE-ECDSA-AES128-GCM-SHA256": self.first,
            "ECDHE-RSA-AES128-GCM-SHA256": self.rsa,
        }
        for ciphers, expected in cases.items():
            with self.subTest(ciphers):
                self.assertEqual(
                    self.served("localhost", ciphers), self.der(expected)
                )

    def test_names_are_verified(self):
        for name, certificate in (
            ("localhost", self.first),
            ("mail.example.com", self.other),
        ):
            with Client(
                self.daemon.port(),
                "implicit",
                tls=context(certificate),
                name=name,
            ) as client:
                client.expect_open()

    def test_server_name_may_be_an_address_literal(self):
        """Not allowed by RFC 6066, and sent by PHP."""
        for literal in ("127.0.0.1", "::1"):
            with self.subTest(literal):
                status, output = s_client(
                    self.daemon.port(),
                    *("-servername", literal, "-CAfile", self.first.path),
                    *("-verify_return_error", "-verify_ip", "127.0.0.1"),
                    stdin=b"QUIT\r\n",
                )
                self.assertEqual(status, 0, output)
                self.assertIn(b"Verification: OK", output)


if __name__ == "__main__":
    harness.main()
