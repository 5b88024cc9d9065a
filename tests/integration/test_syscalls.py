"""The filters of system calls of net and the keeper against what strace sees
them use: nothing is missing, and nothing is allowed without need."""

import itertools
import os
import re
import ssl
import subprocess
import unittest
from typing import NamedTuple

import accounts
import certificates
import harness
from accounts import Matrix
from client import CHANGED, TIMED_OUT, WRONG, Client, change, context
from waiting import in_parallel


class Filter(NamedTuple):
    """The tables of the source that make up a filter, and how long it may
    be."""

    seen: tuple
    unseen: tuple
    maybe_unseen: frozenset
    limit: int


OLD = "old-secret-0"
NEW = "new-secret-1"
USERS = {f"virt.user{n}": OLD for n in range(32)}
SOURCE = os.path.join(
    os.path.dirname(__file__), "..", "..", "daemon", "filter.c"
)
NET = Filter(
    seen=("allowed", "checked"),
    unseen=("allowed_unseen",),
    # for the allocator's large blocks, which a short run may not see
    maybe_unseen=frozenset({"mmap"}),
    limit=25,
)
KEEPER = Filter(
    seen=("keeper_allowed", "keeper_checked"),
    unseen=("keeper_allowed_unseen", "keeper_checked_unseen"),
    maybe_unseen=frozenset(),
    limit=12,
)
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
KINDS = ("ECDSA", "RSA")


def calls_of(tables):
    """The calls that these tables of the source name, for this kind of
    machine, each with the comment behind or above it."""
    with open(SOURCE, encoding="ascii") as file:
        source = file.read()
    calls = {}
    for name in tables:
        start = source.index(f" {name}[] = {{")
        text = source[start : source.index("\n};", start)]
        text = re.sub(r"#else.*?#endif", "", text, flags=re.S)
        for above, call, behind in re.findall(
            r"(/\*.*\*/)?\n\t(?:\{ )?SCMP_SYS\((\w+)\)(.*)", text
        ):
            calls[call] = above or "".join(re.findall(r"/\*.*\*/", behind))
    return calls


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
            self.process.communicate(timeout=120)
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
    def test_lists_are_what_is_used(self):
        daemon = harness.Daemon(
            Matrix(USERS),
            options="client-cert=optional",
            directives=[
                "fail-delay 100ms",
                "handshake-timeout 10s",
                "command-timeout 10s",
            ],
            pairs=[certificates.make(kind=kind.lower()) for kind in KINDS],
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
        traces = {
            NET: Strace(daemon.net_pid(), daemon.path("net.strace")),
            KEEPER: Strace(daemon.keeper_pid(), daemon.path("keeper.strace")),
        }
        for strace in traces.values():
            self.addCleanup(strace.wait)
        self.use(daemon)
        daemon.reload()
        for which, strace in traces.items():
            strace.wait()
            with self.subTest(tables=which.seen):
                self.compare(which, strace.calls())

    def use(self, daemon):
        """Every way in, every way out, and many at once."""
        silent = Client(daemon.port(), "implicit")
        self.addCleanup(silent.close)
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
        for version, kind in itertools.product(VERSIONS, KINDS):
            tls = context(version=version)
            tls.set_ciphers(f"ECDHE-{kind}-AES128-GCM-SHA256")
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
        silent.expect(TIMED_OUT)

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

    def compare(self, which, used):
        seen, unseen = calls_of(which.seen), calls_of(which.unseen)
        listed = seen.keys() | unseen.keys()
        print(
            f"{len(used)} calls used, {len(listed)} listed: "
            + " ".join(sorted(listed)),
            flush=True,
        )
        self.assertLessEqual(len(listed), which.limit)
        self.assertEqual(used - listed, set(), "used and not listed")
        self.assertEqual(
            seen.keys() - used - which.maybe_unseen,
            set(),
            "listed, and nothing uses them",
        )
        for name, why in unseen.items():
            self.assertTrue(why, f"{name}: why is it there?")


if __name__ == "__main__":
    harness.main()
