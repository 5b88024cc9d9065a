"""Too many connections, too slow ones, too few descriptors: those who know
what they want are served meanwhile."""

import collections
import contextlib
import os
import resource
import selectors
import socket
import threading
import time

import accounts
import harness
import processes
from accounts import Matrix
from client import ASK_NEW, BUSY, TIMEOUT_SEC, Client, context, log_in
from waiting import in_parallel, wait_until

OLD = "old-secret-0"
NAMES = tuple(f"virt.{n}" for n in range(8))
#: connections of the attack, and good clients beside them
N_SLOW = int(os.environ.get("POPPASSD_TEST_SLOW", "2000"))
N_GOOD = int(os.environ.get("POPPASSD_TEST_GOOD", "120"))
#: newcomers while a batch of those is served: two batches of them are fewer
#: than max-sessions
BUDGET = 400
PER_CLIENT = 20
HELLO = bytes.fromhex("16030100f8010000f40303") + bytes(16)


def source(n):
    """An address on loopback."""
    return f"127.{2 + n // 62500}.{n // 250 % 250}.{n % 250 + 1}"


def allow_many_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def is_in(port, name, address):
    with Client(port, "implicit", source=address) as client:
        return log_in(client, name, OLD) == ASK_NEW


class Slow:
    """
    Connections that are held open: silent ones, some in the middle of a
    ClientHello, some inside TLS. All but the silent ones send a byte now and
    then. One that is closed is made again, as long as there is a budget: who
    is younger than the budget is never the oldest, on any machine.
    """

    def __init__(self, port, n):
        self.port = port
        self.budget = 0
        self.n_lost = 0
        self.selector = selectors.DefaultSelector()
        self.context = context()
        self.lost = collections.deque()
        for i in range(n):
            self.add(i)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def add(self, i):
        with contextlib.suppress(OSError):
            address = source(i // PER_CLIENT)
            peer = socket.create_connection(
                ("127.0.0.1", self.port),
                TIMEOUT_SEC,
                source_address=(address, 0),
            )
            if i % 3 == 1:
                peer.send(HELLO)
            if i % 3 == 2:
                peer = self.context.wrap_socket(peer)
            peer.setblocking(False)
            self.selector.register(peer, selectors.EVENT_READ, i)

    def run(self):
        while not self.is_over.is_set():
            for key, _ in self.selector.select(0.2):
                self.look(key)
            while self.lost and self.budget > 0:
                self.budget -= 1
                self.add(self.lost.popleft())
            for key in list(self.selector.get_map().values())[:: 7]:
                if key.data % 3 != 0:
                    with contextlib.suppress(OSError):
                        key.fileobj.send(b"x")

    def look(self, key):
        with contextlib.suppress(BlockingIOError):
            try:
                if key.fileobj.recv(4096):
                    return
            except OSError as error:
                if "not complete" in str(error):
                    return
            self.selector.unregister(key.fileobj)
            key.fileobj.close()
            self.n_lost += 1
            self.lost.append(key.data)

    def stop(self):
        self.is_over.set()
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


class LowFiles(harness.Daemon):
    """Started with no more descriptors than it asks for: two a session and
    for one more, one a helper, two listeners, and a reserve of 32."""

    n_files = 2 * (20 + 1) + 4 + 2 + 32

    def command(self, *arguments):
        limit = ("prlimit", f"--nofile={self.n_files}:{self.n_files}", "--")
        return (*limit, *super().command(*arguments))


class TooLowFiles(LowFiles):
    n_files = LowFiles.n_files - 1


class Flood(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        allow_many_files()

    def serve(self, *directives, kind=harness.Daemon, options=""):
        daemon = kind(
            Matrix(dict.fromkeys(NAMES, OLD)),
            listens=("implicit", "starttls"),
            directives=directives,
            options=options,
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        return daemon.start()

    def connect(self, daemon, address, mode="implicit"):
        client = Client(daemon.port(mode), mode, source=address)
        self.addCleanup(client.close)
        return client

    def test_sessions_of_one_address(self):
        daemon = self.serve("max-sessions-per-client 3")
        held = [self.connect(daemon, "127.0.0.2") for _ in range(3)]
        refused = Client(daemon.port("starttls"), source="127.0.0.2")
        with refused:
            refused.expect(BUSY)
            refused.expect_close()
        with self.assertRaises(OSError):
            self.connect(daemon, "127.0.0.2")
        daemon.log.wait_for(r"event=session_refused peer=127.0.0.2 ")
        self.assertTrue(is_in(daemon.port(), NAMES[0], "127.0.0.3"))
        held[0].say(b"QUIT", b"200 Bye.")
        held[0].expect_close()
        held[0].close()
        wait_until(
            lambda: self.gets_greeting(daemon, "127.0.0.2"),
            "there is room again",
        )

    def gets_greeting(self, daemon, address):
        with Client(daemon.port("starttls"), source=address) as client:
            return client.line() != BUSY

    def test_sessions_behind_a_proxy(self):
        """Those of the client that it tells of are counted."""
        daemon = self.serve(
            "max-sessions-per-client 2",
            "proxy-trust 127.0.0.1",
            options="proxy=yes",
        )
        header = b"PROXY TCP4 192.0.2.%d 127.0.0.1 4313 106\r\n"
        for n, is_served in ((1, 1), (1, 1), (1, 0), (2, 1), (1, 0)):
            client = Client(daemon.port("starttls"))
            self.addCleanup(client.close)
            client.send(header % n)
            self.assertEqual(client.line() != BUSY, bool(is_served))
        daemon.log.wait_for(r"event=session_refused peer=192.0.2.1 ")

    def test_sessions_of_trusted_clients(self):
        daemon = self.serve(
            "max-sessions-per-client 2", "trusted-clients 127.0.0.9"
        )
        for _ in range(8):
            self.connect(daemon, "127.0.0.9")
        self.connect(daemon, "127.0.0.9").expect_open()

    def test_slow_connections(self):
        """More of them than there are sessions: everybody who does not
        dawdle is served."""
        daemon = self.serve(f"max-sessions-per-client {PER_CLIENT}")
        slow = Slow(daemon.port(), N_SLOW)
        self.addCleanup(slow.stop)
        took = []
        for batch in range(N_GOOD // len(NAMES)):
            slow.budget = BUDGET

            def attempt(name, batch=batch):
                start = time.monotonic()
                address = f"127.1.{batch}.{1 + NAMES.index(name)}"
                is_good = is_in(daemon.port(), name, address)
                return is_good, time.monotonic() - start

            for is_good, seconds in in_parallel(attempt, NAMES):
                self.assertTrue(is_good)
                took.append(seconds)
        took.sort()
        print(
            f"{N_SLOW} slow connections ({slow.n_lost} lost theirs):"
            f" {len(took)} good clients of {len(took)} served,"
            f" p50 {took[len(took) // 2] * 1000:.0f} ms,"
            f" p99 {took[len(took) * 99 // 100] * 1000:.0f} ms,"
            f" last {took[-1] * 1000:.0f} ms",
            flush=True,
        )
        daemon.log.wait_for(r"event=session_dropped\b")
        self.assertLess(len(daemon.log.find(r"session_dropped")), 60)

    def test_memory_of_a_session(self):
        daemon = self.serve("max-sessions 500")
        if not accounts.is_root():
            self.skipTest("takes root, to look at net's memory")
        net = daemon.net_pid()
        before = processes.own_kib(net)
        held = [self.connect(daemon, source(i)) for i in range(200)]
        each = (processes.own_kib(net) - before) / len(held)
        print(f"a session inside TLS takes {each:.0f} KiB", flush=True)
        self.assertLess(each, 1000 if harness.is_sanitized() else 100)

    def test_trickle_prolongs_nothing(self):
        """Neither the handshake nor a command nor the session."""
        daemon = self.serve("handshake-timeout 2s")
        hello = socket.create_connection(("127.0.0.1", daemon.port()))
        hello.send(HELLO)
        with hello:
            self.assert_ends(hello, b"\0")
        daemon.log.wait_for(r'event=timeout .*reason="handshake"')
        daemon = self.serve("command-timeout 3s")
        command = self.connect(daemon, "127.0.0.1")
        command.expect_open()  # who has said nothing is not in the log
        self.assert_ends(command.socket, b"U")
        daemon.log.wait_for(r'event=timeout .*reason="command"')
        daemon = self.serve("session-timeout 4s", "handshake-timeout 4s")
        session = self.connect(daemon, "127.0.0.1")
        self.assert_ends(session.socket, b"NOOP\r\n")
        daemon.log.wait_for(r'event=timeout .*reason="session"')

    def assert_ends(self, peer, piece):
        """While pieces go on coming, in a time that no piece prolongs."""
        peer.settimeout(0.1)
        end = time.monotonic() + TIMEOUT_SEC
        with contextlib.suppress(ConnectionError, BrokenPipeError):
            while time.monotonic() < end:
                peer.send(piece)
                with contextlib.suppress(TimeoutError):
                    if not peer.recv(4096):
                        return
            self.fail(f"still open after {TIMEOUT_SEC} s")

    def test_bad_clients_do_not_fill_the_log(self):
        """Fifty lines of a kind in ten seconds, then how many there were."""
        daemon = self.serve()
        start = time.monotonic()
        for _ in range(80):
            for mode, data in (
                ("implicit", b"USER nobody\r\n"),
                ("implicit", b"\x16\x03\x01" + b"x" * 100),
                ("starttls", b"WHAT\r\n" * 6),
            ):
                self.misuse(daemon.port(mode), data)
        may_be = 50 * (1 + int(time.monotonic() - start) // 10)
        for event in ("clear_refused", "tls_failed", "protocol_error"):
            daemon.log.wait_for(f"event={event} ", count=50)
            self.assertLessEqual(self.count(daemon, event), may_be, event)
        wait_until(
            lambda: self.is_told_of_more(daemon), "those left out", 30
        )

    def is_told_of_more(self, daemon):
        self.misuse(daemon.port(), b"\x16\x03\x01" + b"x" * 100)
        more = daemon.log.find(r"tls_failed .*; (\d+) more since the last line")
        n_known = sum(int(m.group(1)) for m in more)
        n_known += self.count(daemon, "tls_failed")
        return bool(more) and n_known >= 80

    def misuse(self, port, data):
        with Client(port, "clear") as client:
            client.send(data)
            client.drain()

    def count(self, daemon, event):
        return len(daemon.log.find(f"event={event} "))

    FEW = ("max-sessions 20", "max-helpers 4", "trusted-clients 127.0.0.9")

    def test_few_descriptors(self):
        """With all sessions in use there are enough for helpers. Accepting
        pauses and does not spin."""
        daemon = self.serve(*self.FEW, kind=LowFiles)
        held = [self.connect(daemon, "127.0.0.9") for _ in range(20)]
        waiting = Client(daemon.port("starttls"), source="127.0.0.9")
        self.addCleanup(waiting.close)
        self.assertFalse(self.is_greeted(waiting))
        daemon.log.wait_for(r"event=accept_paused\b")
        for client, name in zip(held, NAMES[:4]):
            self.assertEqual(log_in(client, name, OLD), ASK_NEW)
        if accounts.is_root():
            before = self.cpu_ticks(daemon)
            self.assertFalse(self.is_greeted(waiting))
            self.assertLess(self.cpu_ticks(daemon) - before, 50)
        held[-1].say(b"QUIT", b"200 Bye.")
        held[-1].expect_close()
        held[-1].close()
        waiting.socket.settimeout(TIMEOUT_SEC)
        self.assertIn(b"poppassd", waiting.line())

    def test_too_few_descriptors(self):
        with self.assertRaises(harness.StartFailure) as caught:
            self.serve(*self.FEW, kind=TooLowFiles)
        self.assertIn("open files", caught.exception.text)

    def is_greeted(self, client):
        client.socket.settimeout(2)
        with contextlib.suppress(TimeoutError):
            return b"poppassd" in client.line()
        return False

    def cpu_ticks(self, daemon):
        """Hundredths of a second that net has worked."""
        with open(f"/proc/{daemon.net_pid()}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    harness.main()
