"""poppasswd against the real daemon, on a terminal and on standard input, and
against servers that are broken or hostile."""

import os
import pty
import select
import socket
import ssl
import subprocess
import threading

import certificates
import harness
from accounts import Matrix

USER, OLD, NEW = "virt.user", "old secret", "new secret"
CHANGED, REFUSED, UNKNOWN = 0, 1, 2
USAGE, DATA, NO_HOST, UNAVAILABLE, TEMPORARY, PROTOCOL, NO_TLS = (
    (64, 65, 68, 69, 75, 76, 77)
)
STOP = "\x1a"  # Ctrl-Z
OK_REPLIES = [b"200 hello\r\n", b"200 pass\r\n", b"200 new\r\n"]


def poppasswd(*arguments, stdin=f"{OLD}\n{NEW}\n", **named):
    """The exit status, and what it printed on either stream."""
    done = subprocess.run(
        (harness.program("bin/poppasswd"), "-u", USER, *arguments),
        input=stdin.encode("utf-8", "surrogateescape"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
        **named,
    )
    text = done.stdout.decode("utf-8", "replace")
    if harness.SANITIZER.search(text):
        raise AssertionError(text)
    return done.returncode, text


class Scripted:
    """A TLS server that says these lines, one for each that it hears; the
    first of them at once. Serves one connection."""

    def __init__(self, replies, certificate=None, closes=False):
        self.replies = replies
        self.certificate = certificate or certificates.make()
        self.closes = closes
        self.heard = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*self.certificate[:2])
        try:
            with tls.wrap_socket(
                self.listener.accept()[0], server_side=True
            ) as peer, peer.makefile("rb") as lines:
                peer.sendall(self.replies[0])
                for reply in self.replies[1:]:
                    self.heard.append(lines.readline())
                    peer.sendall(reply)
                if not self.closes:
                    self.heard += lines.readlines()
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.thread.join(20)

    def talk(self, *arguments, **named):
        return poppasswd(
            *("--stdin", "--ca", self.certificate.path, *arguments),
            f"localhost:{self.port}",
            **named,
        )


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
        return poppasswd("--stdin", "--ca", self.ca, *arguments, **named)

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
        status, text = poppasswd("--stdin", self.host())
        self.assertEqual(status, NO_TLS)
        self.assertIn("self-signed certificate", text)
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
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvp(words[0], (*words, "--ca", self.ca, self.host()))
        shown = b""
        try:
            while select.select([terminal], [], [], 20)[0]:
                shown += os.read(terminal, 4096)
                if answers and shown.endswith(b"word: "):
                    answer = answers.pop(0)
                    end = "" if answer == STOP else "\n"
                    os.write(terminal, (answer + end).encode())
                    shown += b"|"
        except OSError:
            pass
        os.close(terminal)  # hangs up on what still waits
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status, shown.decode()

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

    def test_terminal_wants_the_same_twice(self):
        status, shown = self.on_terminal([OLD, NEW, OLD])
        self.assertEqual(status, DATA, shown)
        self.assertIn("not the same", shown)
        self.assertTrue(self.backend.has_password(USER, OLD))


class AgainstStrangers(harness.TestCase):
    def expect(self, replies, status, said, **named):
        with Scripted(replies, **named) as server:
            got, text = server.talk("--timeout", "5")
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
        self.expect([b""], PROTOCOL, "timed out")

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
            "hostname mismatch",
            "the certificate is for: mail.example.org",
            "one of the names",
        )

    def test_certificate_that_has_expired(self):
        self.assert_not_trusted(
            certificates.make(lifetime=("20200101000000Z", "20200201000000Z")),
            "certificate has expired",
            "it ends on: 2020-02-01",
        )

    def test_certificate_of_somebody_else(self):
        with Scripted(OK_REPLIES, certificates.make(1)) as server:
            status, text = poppasswd(
                *("--stdin", "--ca", certificates.make(2).path),
                f"localhost:{server.port}",
            )
        self.assertEqual(status, NO_TLS, text)

    def test_no_tls_at_all(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def serve():
                with listener.accept()[0] as peer:
                    peer.sendall(b"200 hello\r\n")
                    peer.recv(4096)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            port = listener.getsockname()[1]
            status, text = poppasswd("--stdin", f"localhost:{port}")
            thread.join(20)
        self.assertEqual(status, NO_TLS)
        self.assertIn("no TLS", text)


class CommandLine(harness.TestCase):
    def test_usage(self):
        for arguments in (
            (),
            ("a", "b"),
            ("--nonsense", "host"),
            ("--timeout", "0", "host"),
            ("--timeout", "soon", "host"),
            ("[::1", ),
            (":106",),
        ):
            status, _ = poppasswd(*arguments)
            self.assertEqual(status, USAGE, arguments)

    def test_unknown_host(self):
        status, text = poppasswd("--stdin", "host.invalid")
        self.assertEqual(status, NO_HOST)
        self.assertIn("unknown host", text)

    def test_nobody_listens(self):
        port = harness.free_port()
        for host in f"127.0.0.1:{port}", f"[::1]:{port}":
            status, text = poppasswd("--stdin", host)
            self.assertEqual(status, UNAVAILABLE)
            self.assertIn("cannot connect", text)

    def test_passwords_that_no_server_takes(self):
        for stdin, said in (
            ("", "a password is missing"),
            (f"{OLD}\n", "a password is missing"),
            ("x" * 512 + f"\n{NEW}\n", "511 bytes"),
            (f"{OLD}\na\0b\n", "NUL"),
        ):
            status, text = poppasswd("--stdin", "localhost", stdin=stdin)
            self.assertEqual(status, DATA)
            self.assertIn(said, text)

    def test_no_terminal(self):
        status, text = poppasswd("localhost", start_new_session=True)
        self.assertEqual(status, DATA)
        self.assertIn("use --stdin", text)


if __name__ == "__main__":
    harness.main()
