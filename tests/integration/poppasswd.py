"""Runs poppasswd, and plays the servers that it meets: broken, hostile, or of
another kind."""

import contextlib
import re
import socket
import ssl
import subprocess
import threading

import certificates
import harness

USER, OLD, NEW = "virt.user", "old secret", "new secret"
CHANGED, REFUSED, UNKNOWN = 0, 1, 2
USAGE, DATA, NO_INPUT, NO_HOST, UNAVAILABLE, TEMPORARY, PROTOCOL, NO_TLS = (
    64,
    65,
    66,
    68,
    69,
    75,
    76,
    77,
)
#: of --probe
STATES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
PROBE_REPLIES = [b"200 hello\r\n", b"200 bye\r\n"]
OK_REPLIES = [b"200 hello\r\n", b"200 pass\r\n", b"200 new\r\n"]


def run(*arguments, stdin=f"{OLD}\n{NEW}\n", **named):
    """The exit status, and what it printed on either stream."""
    done = subprocess.run(
        (harness.program("bin/poppasswd"), "-u", USER, *arguments),
        input=stdin.encode("utf-8", "surrogateescape"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
        **named,
    )
    text = done.stdout.decode("utf-8", "replace")
    if harness.SANITIZER.search(text):
        raise AssertionError(text)
    return done.returncode, text


class Scripted:
    """A server that says these lines, one for each that it hears; the first
    of them at once. closes: it hangs up behind the last. tls: or in clear.
    Serves each connection alike, one after the other."""

    def __init__(self, replies, certificate=None, closes=False, tls=True):
        self.replies = replies
        self.certificate = certificate or certificates.make()
        self.closes = closes
        self.tls = self._context() if tls else None
        self.heard = []
        self.listener = self.listen()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def listen(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = listener.getsockname()[1]
        return listener

    def _context(self):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.set_ciphers("DEFAULT:@SECLEVEL=0")  # bad keys are served, too
        tls.load_cert_chain(*self.certificate[:2])
        return tls

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                peer = self.listener.accept()[0]
                with contextlib.suppress(OSError):
                    self._serve(peer)

    def _serve(self, peer):
        with contextlib.ExitStack() as stack:
            stack.enter_context(peer)
            if self.tls is not None:
                peer = stack.enter_context(
                    self.tls.wrap_socket(peer, server_side=True)
                )
            lines = stack.enter_context(peer.makefile("rb"))
            self.talk_to(peer, lines)

    def talk_to(self, peer, lines):
        peer.sendall(self.replies[0])
        for reply in self.replies[1:]:
            self.heard.append(lines.readline())
            peer.sendall(reply)
        if not self.closes:
            self.heard += lines.readlines()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # A thread in accept() is only woken by this.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(60)

    def talk(self, *arguments, **named):
        return run(
            *("--stdin", "--ca", self.certificate.path, *arguments),
            f"localhost:{self.port}",
            **named,
        )


class Local(Scripted):
    """The same on a socket in the file system, in clear."""

    def __init__(self, path, replies, **named):
        self.path = path
        super().__init__(replies, tls=False, **named)

    def listen(self):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen()
        return listener

    def talk(self, *arguments, **named):
        return run("--stdin", *arguments, "--unix", self.path, **named)


_LINE = re.compile(
    r"POPPASSD (OK|WARNING|CRITICAL|UNKNOWN): [ -{}-~]+"
    r"( \| connect=\d+\.\d{3}s;;;0"
    r"( handshake=\d+\.\d{3}s;;;0 days_left=(-?\d+);(\d+):;(\d+):)?)?\n"
)


class ProbeCase(harness.TestCase):
    def probe(self, *arguments):
        """The exit status, the first line, the lines behind it."""
        done = subprocess.run(
            (harness.program("bin/poppasswd"), "--probe", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=120,
            check=False,
        )
        self.errors = done.stderr.decode()
        self.assertNotRegex(self.errors, harness.SANITIZER)
        first, end, more = done.stdout.decode("ascii").partition("\n")
        match = _LINE.fullmatch(first + end)
        self.assertIsNotNone(match, first + self.errors)
        self.assertEqual(STATES[done.returncode], match[1], first)
        return done.returncode, first, more
