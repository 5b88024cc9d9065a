"""poppasswd against the real daemon, on a terminal and on standard input, and
against servers that are broken or hostile."""

import contextlib
import os
import socket
import ssl
import tempfile

import certificates
import harness
import poppasswd
import terminal
from accounts import Matrix
from poppasswd import (
    CHANGED,
    DATA,
    NEW,
    NO_HOST,
    NO_INPUT,
    NO_TLS,
    OK_REPLIES,
    OLD,
    PROTOCOL,
    REFUSED,
    TEMPORARY,
    UNAVAILABLE,
    UNKNOWN,
    USAGE,
    USER,
    Local,
    Scripted,
)
from terminal import INTERRUPT, STOP



class AgainstTheDaemon(harness.TestCase):
    def setUp(self):
        self.backend = Matrix({USER: OLD})
        self.daemon = harness.Daemon(self.backend)
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.daemon.stop_if_running)
        self.daemon.start()
        self.ca = self.daemon.pairs[0].path

    def host(self, mode="auto", name="localhost"):
        return f"{name}:{self.daemon.port(mode)}"

    def run_with_ca(self, *arguments, **named):
        return poppasswd.run("--stdin", "--ca", self.ca, *arguments, **named)

    def test_change(self):
        status, text = self.run_with_ca(self.host())
        self.assertEqual((status, text), (CHANGED, "Password changed.\n"))
        self.assertTrue(self.backend.has_password(USER, NEW))

    def test_change_over_starttls(self):
        for mode in "starttls", "auto":
            self.backend.set_passwords({USER: OLD})
            status, _ = self.run_with_ca("--starttls", self.host(mode))
            self.assertEqual(status, CHANGED)
            self.assertTrue(self.backend.has_password(USER, NEW))

    def test_address_is_verified_as_an_address(self):
        status, text = self.run_with_ca(self.host(name="127.0.0.1"))
        self.assertEqual(status, CHANGED, text)

    def test_wrong_password(self):
        status, text = self.run_with_ca(
            self.host(), stdin=f"wrong\n{NEW}\n"
        )
        self.assertEqual(status, REFUSED)
        self.assertEqual(text, "poppasswd: Old password is incorrect.\n")
        self.assertTrue(self.backend.has_password(USER, OLD))

    def test_verbose_shows_no_password(self):
        status, text = self.run_with_ca("--verbose", self.host())
        self.assertEqual(status, CHANGED)
        self.assertIn("C: PASS ****\n", text)
        self.assertIn("S: 200 Password changed, thank-you.\n", text)
        self.assertNotIn(OLD, text)
        self.assertNotIn(NEW, text)

    def test_unknown_authority_is_refused(self):
        status, text = poppasswd.run("--stdin", self.host())
        self.assertEqual(status, NO_TLS)
        self.assertIn("is self-signed", text)
        self.assertIn("--ca", text)
        self.assertTrue(self.backend.has_password(USER, OLD))

    def test_starttls_on_an_implicit_port_shows_the_hint(self):
        status, text = self.run_with_ca(
            "--starttls", self.host("implicit")
        )
        self.assertEqual(status, PROTOCOL)
        self.assertIn("500 This port requires TLS.", text)

    def on_terminal(self, answers, *shell):
        """Types the answers at the prompts; the exit status and all that
        the terminal showed. shell: what runs the command, if not we do."""
        words = (*shell, harness.program("bin/poppasswd"), "-u", USER)
        return terminal.run(
            (*words, "--ca", self.ca, self.host()), answers
        )

    def test_terminal_shows_no_password(self):
        status, shown = self.on_terminal([OLD, NEW, NEW])
        self.assertEqual(status, CHANGED, shown)
        for prompt in "Current", "New", "Retype new":
            self.assertIn(f"{prompt} password: |\r\n", shown)
        self.assertNotIn("secret", shown)

    def test_terminal_shows_no_password_after_a_stop(self):
        """A shell with job control; it brings what was stopped back."""
        shell = ("sh", "-mc", '"$@"; stty -a; fg; fg', "sh")
        status, shown = self.on_terminal([STOP, OLD, NEW, STOP, NEW], *shell)
        self.assertEqual(status, CHANGED, shown)
        self.assertEqual(shown.count("Current password: |"), 2)
        self.assertEqual(shown.count("Retype new password: |"), 2)
        self.assertRegex(shown, r"\becho\b")
        self.assertNotIn("-echo ", shown)
        self.assertNotIn("secret", shown)

    def test_terminal_asks_who_comes_to_the_foreground(self):
        shell = (
            "bash",
            "-mc",
            '"$@" & while [ "$(cut -d " " -f 3 /proc/$!/stat)" != T ]; do :; '
            "done; fg",
            "bash",
        )
        status, shown = self.on_terminal([OLD, NEW, NEW], *shell)
        self.assertEqual(status, CHANGED, shown)
        self.assertNotIn("secret", shown)

    def test_signals_that_the_caller_ignores(self):
        shell = ("sh", "-c", 'trap "" INT TSTP; "$@"', "sh")
        answers = [INTERRUPT + STOP + OLD, NEW, NEW]
        status, shown = self.on_terminal(answers, *shell)
        self.assertEqual(status, CHANGED, shown)
        self.assertNotIn("secret", shown)

    def test_terminal_asks_again(self):
        """For what no server need be asked about."""
        answers = [OLD, NEW, OLD, "", OLD, OLD]
        status, shown = self.on_terminal(answers)
        self.assertEqual(status, DATA, shown)
        for said in (
            "the new passwords are not the same",
            "the new password is empty",
            "the new password is the current one",
            "nothing was changed",
        ):
            self.assertIn(f"poppasswd: {said}\r\n", shown)
        self.assertEqual(shown.count("Current password"), 1)
        self.assertEqual(shown.count("\nRetype"), 2)
        self.assertTrue(self.backend.has_password(USER, OLD))

    def test_terminal_takes_the_second_try(self):
        status, shown = self.on_terminal([OLD, NEW, OLD, NEW, NEW])
        self.assertEqual(status, CHANGED, shown)
        self.assertTrue(self.backend.has_password(USER, NEW))


class OnASocket(harness.TestCase):
    """unix: listeners."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="poppasswd-test.")
        self.addCleanup(folder.cleanup)
        self.path = f"{folder.name}/socket"

    def test_change(self):
        backend = Matrix({USER: OLD})
        directives = (f'listen "unix:{self.path}" mode=0666',)
        with harness.Daemon(backend, directives=directives):
            status, text = poppasswd.run("--stdin", "--unix", self.path)
            self.assertEqual(status, CHANGED, text)
            self.assertTrue(backend.has_password(USER, NEW))
            status, text = poppasswd.run("--stdin", "--unix", self.path)
            self.assertEqual(status, REFUSED)
            self.assertIn("Old password is incorrect.", text)

    def test_dialogue(self):
        replies = OK_REPLIES + [b"200 changed\r\n", b"200 bye\r\n"]
        with Local(self.path, replies) as server:
            status, text = server.talk("--verbose")
            self.assertEqual(status, CHANGED, text)
        wanted = f"USER {USER}", f"PASS {OLD}", f"NEWPASS {NEW}", "QUIT"
        self.assertEqual(server.heard, [f"{w}\r\n".encode() for w in wanted])
        self.assertNotIn("TLS", text)

    def test_silence(self):
        with Local(self.path, [b""]) as server:
            status, text = server.talk("--timeout", "1")
        self.assertEqual(status, PROTOCOL)
        self.assertIn("timed out after 1 s", text)

    def test_nobody_accepts(self):
        """connect(2) itself waits when the backlog is full."""
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.path)
            listener.listen(0)
            with socket.socket(socket.AF_UNIX) as first:
                first.connect(self.path)
                status, text = poppasswd.run(
                    *("--stdin", "--timeout", "1", "--unix", self.path)
                )
        self.assertEqual(status, UNAVAILABLE)
        self.assertIn("timed out", text)

    def test_nobody_listens(self):
        for path, why in (
            (self.path, "No such file or directory"),
            ("x" * 200, "a socket's path may have"),
        ):
            status, text = poppasswd.run("--stdin", "--unix", path)
            self.assertEqual(status, UNAVAILABLE)
            self.assertIn(why, text)


class AgainstStrangers(harness.TestCase):
    def expect(self, replies, status, said, timeout="60", **named):
        with Scripted(replies, **named) as server:
            got, text = server.talk("--timeout", timeout)
            self.assertEqual(got, status, text)
            self.assertIn(said, text)
        return server.heard

    def test_dialogue(self):
        heard = self.expect(
            OK_REPLIES + [b"200 changed\r\n", b"200 bye\r\n"],
            CHANGED,
            "Password changed.",
        )
        wanted = f"USER {USER}", f"PASS {OLD}", f"NEWPASS {NEW}", "QUIT"
        self.assertEqual(heard, [f"{w}\r\n".encode() for w in wanted])

    def test_success_is_told_before_quit_is_answered(self):
        with Scripted(OK_REPLIES + [b"200 changed\r\n"]) as server:
            status, text = server.talk("--verbose", "--timeout", "1")
        self.assertEqual(status, CHANGED)
        said = text.splitlines()
        self.assertEqual(said[-2:], ["Password changed.", "C: QUIT"])

    def test_passwords_are_sent_verbatim(self):
        odd = b"  \t\"'\\%s%n$`\xfc\r "
        with Scripted(OK_REPLIES) as server:
            server.talk(
                stdin=odd.decode("utf-8", "surrogateescape") + f"\n{NEW}\n"
            )
        self.assertEqual(server.heard[1], b"PASS " + odd + b"\r\n")

    def test_refusals(self):
        for reply, status in (
            (b"500 too short\r\n", REFUSED),
            (b"500 Server busy, try again later.\r\n", TEMPORARY),
            (b"500 The result is unknown: either works.\r\n", UNKNOWN),
        ):
            said = reply[4:-2].decode()
            self.expect(OK_REPLIES + [reply], status, said, closes=True)

    def test_close_before_newpass(self):
        self.expect(OK_REPLIES[:2], PROTOCOL, "no answer", closes=True)

    def test_close_after_newpass(self):
        self.expect(
            OK_REPLIES + [b""], UNKNOWN, "not known which", closes=True
        )

    def test_other_codes_are_no_success(self):
        for reply in b"300 more\r\n", b"200-one\r\n", b"200\r\n", b"\r\n":
            self.expect(OK_REPLIES + [reply], UNKNOWN, "not a reply")
            self.expect([b"200 hello\r\n", reply], PROTOCOL, "not a reply")

    def test_line_without_end(self):
        self.expect([b"2" * 100000], PROTOCOL, "an answer without end")

    def test_silence(self):
        self.expect([b""], PROTOCOL, "timed out after 4 s", timeout="4")

    def test_control_characters_are_not_shown(self):
        heard = [b"200 hello\r\n", b"500 \x1b[2J\x07no\r\n"]
        with Scripted(heard, closes=True) as server:
            _, text = server.talk()
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\x07", text)
        self.assertIn("[2J no", text)

    def assert_not_trusted(self, certificate, *said):
        with Scripted(OK_REPLIES, certificate) as server:
            status, text = server.talk()
        self.assertEqual(status, NO_TLS, text)
        for word in said:
            self.assertIn(word, text)
        self.assertEqual(server.heard, [])

    def test_certificate_for_another_name(self):
        self.assert_not_trusted(
            certificates.make(names=("DNS:mail.example.org",)),
            "the certificate is for mail.example.org, not for localhost",
            "use one of the names",
        )

    def test_certificate_that_has_expired(self):
        self.assert_not_trusted(
            certificates.make(lifetime=("20200101000000Z", "20200201000000Z")),
            "the certificate expired on 2020-02-01",
            "renew it",
        )

    def test_certificate_of_somebody_else(self):
        with Scripted(OK_REPLIES, certificates.make(1)) as server:
            status, text = poppasswd.run(
                *("--stdin", "--ca", certificates.make(2).path),
                f"localhost:{server.port}",
            )
        self.assertEqual(status, NO_TLS, text)

    def test_no_tls_at_all(self):
        status, said = NO_TLS, "no TLS: the server says in clear: 200 hello"
        self.expect([b"200 hello\r\n"], status, said, tls=False)

    def test_alert_behind_the_handshake(self):
        """As TLS 1.3 has it for a certificate of the client."""
        with Scripted([]) as server:
            server.tls.load_verify_locations(server.certificate.path)
            server.tls.verify_mode = ssl.CERT_REQUIRED
            status, text = server.talk()
        self.assertEqual(status, PROTOCOL)
        self.assertIn("no answer: tlsv13 alert certificate required", text)

    def test_slow_bytes(self):
        """A server that keeps the connection alive, byte by byte."""

        class Slow(Scripted):
            def talk_to(self, peer, lines):
                while True:
                    peer.sendall(b"2")
                    peer.settimeout(0.2)
                    with contextlib.suppress(TimeoutError):
                        if not peer.recv(1):
                            return

        with Slow([]) as server:
            status, text = server.talk("--timeout", "4")
        self.assertEqual(status, PROTOCOL)
        self.assertIn("timed out after 4 s", text)

    def test_endless_messages(self):
        """Of a kind that OpenSSL skips by itself: it must not skip for
        ever."""

        class Endless(Scripted):
            def _serve(self, peer):
                hello_requests = b"\x16\3\3\0\4\0\0\0\0" * 10000
                with peer:
                    peer.recv(1)
                    while True:
                        peer.sendall(hello_requests)

        with Endless([]) as server:
            status, text = server.talk("--timeout", "1")
        self.assertEqual(status, NO_TLS)
        self.assertIn("timed out after 1 s", text)

    def test_controls_of_a_terminal_above_ascii(self):
        for sent in b"\xc2\x9b2J", b" \x9b2J":
            reply = b"500 a" + sent + "b \u00fc \u00a0c\r\n".encode()
            with Scripted([b"200 hello\r\n", reply], closes=True) as server:
                _, text = server.talk()
            self.assertIn("a  2Jb \u00fc \u00a0c", text)


class CommandLine(harness.TestCase):
    def test_usage(self):
        for arguments in (
            (),
            ("a", "b"),
            ("--nonsense", "host"),
            ("--timeout", "0", "host"),
            ("--timeout", "soon", "host"),
            ("[::1",),
            ("[::1]:",),
            ("host:",),
            ("host:0",),
            ("host:65642",),
            (":106",),
            ("--unix", "/path", "host"),
            ("--unix", ""),
            ("--warning", "-1", "host"),
        ):
            status, _ = poppasswd.run(*arguments)
            self.assertEqual(status, USAGE, arguments)

    def test_unknown_host(self):
        status, text = poppasswd.run(
            "--stdin", "--timeout", "1", "host.invalid"
        )
        self.assertEqual(status, NO_HOST)
        self.assertIn("unknown host", text)

    def test_unknown_port(self):
        status, text = poppasswd.run("--stdin", "localhost:no-service")
        self.assertEqual(status, NO_HOST)
        self.assertIn("unknown port", text)

    def test_nobody_listens(self):
        port = harness.free_port()
        for host in f"127.0.0.1:{port}", f"[::1]:{port}":
            status, text = poppasswd.run("--stdin", host)
            self.assertEqual(status, UNAVAILABLE)
            self.assertIn("cannot connect", text)

    def test_passwords_that_no_server_takes(self):
        for stdin, said in (
            ("", "a password is missing"),
            (f"{OLD}\n", "a password is missing"),
            ("x" * 512 + f"\n{NEW}\n", "511 bytes"),
            (f"{OLD}\na\0b\n", "NUL"),
            (f"{OLD}\n\n", "the new password is empty"),
        ):
            status, text = poppasswd.run("--stdin", "localhost", stdin=stdin)
            self.assertEqual(status, DATA)
            self.assertIn(said, text)

    def test_trust_that_cannot_be_read(self):
        with Scripted(OK_REPLIES) as server:
            host = f"localhost:{server.port}"
            status, text = poppasswd.run("--stdin", "--ca", "/nowhere", host)
        self.assertEqual(status, NO_INPUT)
        self.assertIn("/nowhere: ", text)

    def test_closed_standard_error(self):
        """What is said there must not reach the server instead."""
        replies = OK_REPLIES + [b"200 changed\r\n", b"200 bye\r\n"]
        with Scripted(replies) as server:
            status, _ = server.talk("--verbose", preexec_fn=lambda: os.close(2))
        self.assertEqual(status, CHANGED)
        self.assertEqual(len(server.heard), 4)

    def test_no_terminal(self):
        status, text = poppasswd.run("localhost", start_new_session=True)
        self.assertEqual(status, DATA)
        self.assertIn("use --stdin", text)


if __name__ == "__main__":
    harness.main()
