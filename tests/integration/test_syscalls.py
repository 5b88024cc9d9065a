"""Net's filter of system calls against what strace sees it use: nothing is
missing, and nothing is allowed without need."""

import os
import re
import ssl
import subprocess
import unittest

import accounts
import certificates
import harness
from accounts import Matrix
from client import CHANGED, WRONG, Client, change, context
from waiting import in_parallel

OLD = "old-secret-0"
NEW = "new-secret-1"
USERS = {f"virt.user{n}": OLD for n in range(32)}
LIMIT = 25
SOURCE = os.path.join(
    os.path.dirname(__file__), "..", "..", "daemon", "filter.c"
)
#: for the allocator's large blocks, which a short run may not see
MAYBE_UNSEEN = {"mmap"}
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)


def table(name):
    """The lines of a table of the source that name a call, for this kind of
    machine."""
    with open(SOURCE, encoding="ascii") as file:
        text = file.read()
    start = text.index(f" {name}[] = {{")
    text = text[start : text.index("\n};", start)]
    text = re.sub(r"#else.*?#endif", "", text, flags=re.S)
    return re.findall(r"SCMP_SYS\((\w+)\)(.*)", text)


def names(lines):
    return {name for name, _ in lines}


class Strace:
    """strace of one process until its end."""

    def __init__(self, pid, path):
        self.path = path
        self.process = subprocess.Popen(
            ("strace", "-f", "-o", path, "-p", str(pid)),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        line = self.process.stderr.readline()
        if b"attached" not in line:
            raise AssertionError(f"strace: {line!r}")

    def wait(self):
        try:
            self.process.communicate(timeout=30)
        finally:
            self.process.kill()
            self.process.wait()

    def calls(self):
        with open(self.path, encoding="latin-1") as file:
            return set(re.findall(r"^\d+ +(\w+)\(", file.read(), re.M))


@accounts.needs_root
@unittest.skipIf(
    harness.is_sanitized(), "the sanitizers' runtime makes calls of its own"
)
class Syscalls(harness.TestCase):
    def test_list_is_what_net_uses(self):
        daemon = harness.Daemon(
            Matrix(USERS),
            options="client-cert=optional",
            directives=["fail-delay 100ms", "command-timeout 2s"],
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        self.proxied = harness.free_port()
        daemon.more += [
            f'listen "unix:{daemon.path("socket")}"',
            f"listen 127.0.0.1:{self.proxied} proxy=yes",
            "proxy-trust 127.0.0.1",
            f'tls-client-ca "{certificates.authority().path}"',
        ]
        daemon.write_config()
        daemon.start()
        strace = Strace(daemon.net_pid(), daemon.path("strace"))
        self.addCleanup(strace.wait)
        self.use(daemon)
        daemon.signal(harness.signal.SIGHUP)
        daemon.log.wait_for(r"event=reload_ok\b")
        strace.wait()
        self.compare(strace.calls())

    def use(self, daemon):
        """Every way in, every way out, and many at once."""
        for mode, port in (
            ("implicit", "implicit"),
            ("starttls", "starttls"),
            ("implicit", "auto"),
        ):
            port = daemon.port(port)
            reply, _ = change(port, "virt.user0", OLD, NEW, mode)
            self.assertEqual(reply, CHANGED)
            reply, _ = change(port, "virt.user0", NEW, OLD, mode)
            self.assertEqual(reply, CHANGED)
            reply, _ = change(port, "virt.user0", "wrong-secret", NEW, mode)
            self.assertEqual(reply, WRONG)
        shown = certificates.issue(certificates.authority(), "/CN=webmail")
        for version in VERSIONS:
            tls = context(version=version)
            tls.load_cert_chain(shown.path, shown.key)
            with Client(daemon.port(), "implicit", tls=tls) as client:
                client.say(b"QUIT", b"200 Bye.")
                client.expect_close()
        with Client(daemon.path("socket"), "local") as client:
            client.say(b"QUIT", b"200 Bye.")
            client.expect_close()
        with Client(self.proxied) as client:
            client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 106\r\n")
            client.handshake()
            client.line()
            client.expect_open()
        self.end_badly(daemon)
        replies = in_parallel(
            lambda user: change(daemon.port(), user, OLD, NEW)[0], list(USERS)
        )
        self.assertEqual(set(replies), {CHANGED})

    def end_badly(self, daemon):
        with Client(daemon.port("starttls")) as client:
            client.line()
            client.send(b"PASS " + OLD.encode() + b"\r\n")
            client.drain()
        with Client(daemon.port("auto")) as client:
            client.send(b"\x16\x03\x01 no handshake")
            client.drain()
        with Client(daemon.port(), "implicit") as client:
            client.send(b"x" * 10000)
            client.drain()
        with Client(daemon.port(), "implicit") as client:
            client.reset()
        with Client(daemon.port(), "implicit") as client:
            client.expect_match(rb"500 Timed out\.\r\n")

    def compare(self, used):
        seen = names(table("allowed")) | names(table("checked"))
        unseen = table("allowed_unseen")
        listed = seen | names(unseen)
        print(
            f"{len(used)} calls used, {len(listed)} listed: "
            + " ".join(sorted(listed)),
            flush=True,
        )
        self.assertLessEqual(len(listed), LIMIT)
        self.assertEqual(used - listed, set(), "used and not listed")
        self.assertEqual(
            seen - used - MAYBE_UNSEEN,
            set(),
            "listed, and nothing uses them",
        )
        for name, rest in unseen:
            self.assertRegex(
                rest, r",\s+/\* .+ \*/", f"{name}: why is it there?"
            )


if __name__ == "__main__":
    harness.main()
