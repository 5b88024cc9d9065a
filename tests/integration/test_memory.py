"""After 100 changes neither the network process nor the monitor holds any
password anywhere."""

import contextlib
import ssl

import accounts
import certificates
import harness
import processes
from accounts import Matrix
from client import ASK_NEW, CHANGED, WRONG, Client, change, context, log_in
from waiting import in_parallel

N_CHANGES = 100
USER = "virt.user"
#: AddressSanitizer's shadow, terabytes of holes: it describes memory and
#: holds no copy of it
SHADOW_BYTES = 1 << 36


def regions(pid):
    """(start, end) of what a process has mapped and can read."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        for line in file:
            span, mode = line.split()[:2]
            start, end = (int(x, 16) for x in span.split("-"))
            if mode[0] == "r" and end - start < SHADOW_BYTES:
                yield start, end, line.rstrip()


def find(pid, words):
    """Where any of the words is in the memory of a process."""
    found, n_bytes = [], 0
    overlap = max(map(len, words)) - 1
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, line in regions(pid):
            tail = b""
            with contextlib.suppress(OSError, ValueError):  # [vvar]
                memory.seek(start)
                while start < end:
                    data = memory.read(min(1 << 20, end - start))
                    if not data:
                        break
                    start += len(data)
                    n_bytes += len(data)
                    block = tail + data
                    found += [(w, line) for w in words if w in block]
                    tail = block[-overlap:]
    return found, n_bytes


@accounts.needs_root
class Memory(harness.TestCase):
    def assert_no_copy(self, daemon, words):
        for pid in (daemon.net_pid(), daemon.process.pid):
            found, n_bytes = find(pid, words)
            print(f"{n_bytes >> 10} KiB searched", flush=True)
            self.assertGreater(n_bytes, 1 << 20)
            self.assertEqual(found, [], processes.command(pid))

    def test_search_finds_what_is_there(self):
        """The user's name is no secret: this is how a hit looks."""
        daemon = self.start_daemon(
            Matrix({"virt.findable-name": "old-secret-0"})
        )
        with Client(daemon.port(), "implicit") as client:
            reply = log_in(client, "virt.findable-name", "old-secret-0")
            self.assertEqual(reply, ASK_NEW)
            found, _ = find(daemon.net_pid(), [b"virt.findable-name"])
            self.assertTrue(found)

    def test_no_password_after_100_changes(self):
        old = "Zq3-first-password"
        daemon = self.start_daemon(Matrix({USER: old}))
        words = [old.encode()]
        modes = (
            ("implicit", "implicit"),
            ("starttls", "starttls"),
            ("auto", "implicit"),
        )
        for n in range(N_CHANGES):
            port, mode = modes[n % len(modes)]
            new = f"Zq3-{n:03}-password-{n * 7919:06}"
            words.append(new.encode())
            reply, _ = change(daemon.port(port), USER, old, new, mode)
            self.assertEqual(reply, CHANGED)
            old = new
        self.abandon(daemon, old, words)
        self.assert_no_copy(daemon, words)

    def test_no_password_while_sessions_go_on(self):
        """Of one who thinks about a new one, and one who has changed his and
        says no more."""
        words = [b"Zq4-thinking-password", b"Zq4-old-password"]
        users = dict(zip(("virt.a", "virt.b"), words))
        daemon = self.start_daemon(Matrix(users))
        clients = [Client(daemon.port(), "implicit") for _ in users]
        for client, (user, password) in zip(clients, users.items()):
            self.addCleanup(client.close)
            self.assertEqual(log_in(client, user, password), ASK_NEW)
        words.append(b"Zq4-new-password")
        clients[1].say(b"NEWPASS " + words[-1], CHANGED[:-2])
        self.assert_no_copy(daemon, words)
        for client in clients:
            client.expect_open()

    def test_key_is_with_its_keeper(self):
        """The numbers of the private key, in either order of bytes."""
        pairs = [certificates.make(kind=kind) for kind in ("ecdsa", "rsa")]
        daemon = self.start_daemon(Matrix({USER: "old-secret-0"}), pairs=pairs)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            tls = context(version=version)
            with Client(daemon.port(), "implicit", tls=tls) as client:
                client.say(b"QUIT", b"200 Bye.")
        words = []
        for pair in pairs:
            for number in certificates.private_numbers(pair):
                words += [number, number[::-1]]
        self.assertGreater(len(words), 4)
        found, _ = find(daemon.keeper_pid(), words)
        self.assertEqual(
            {line is not None for _, line in found}, {True}, "not even there"
        )
        found, n_bytes = find(daemon.net_pid(), words)
        print(f"{n_bytes >> 10} KiB of net searched", flush=True)
        self.assertGreater(n_bytes, 1 << 20)
        self.assertEqual(found, [])

    def abandon(self, daemon, old, words):
        """What else can happen to a password: wrong, too long, cut off,
        never asked for, behind a command that ends the session."""
        wrong = [b"Zq3-wrong-%02d-password" % n for n in range(10)]
        words += wrong

        def guess(password):
            with Client(daemon.port(), "implicit") as client:
                return log_in(client, USER, password)

        self.assertEqual(set(in_parallel(guess, wrong)), {WRONG})
        user = b"USER " + USER.encode() + b"\r\n"
        unheard = [
            user + b"PASS Zq3-half-a-line-password",
            user + b"PASS Zq3-too-long-password" + b"x" * 600 + b"\r\n",
            b"PASS Zq3-out-of-order-password\r\nQUIT\r\n",
            b"QUIT\r\nPASS Zq3-behind-quit-password\r\n",
            b"NEWPASS Zq3-unasked-password\r\nQUIT\r\n",
            b"Zq3-no-command-password\r\nQUIT\r\n",
            b"x" * 5000 + b"Zq3-endless-password",
        ]
        for data in unheard:
            with Client(daemon.port(), "implicit") as client:
                client.send(data)
                client.send_eof()
                client.drain()
        words += [
            b"Zq3-half-a-line-password",
            b"Zq3-too-long-password",
            b"Zq3-out-of-order-password",
            b"Zq3-behind-quit-password",
            b"Zq3-unasked-password",
            b"Zq3-no-command-password",
            b"Zq3-endless-password",
        ]
        with Client(daemon.port(), "implicit") as client:
            self.assertEqual(log_in(client, USER, old), ASK_NEW)
            client.reset()
        daemon.log.wait_for(r"event=login_ok\b")


if __name__ == "__main__":
    harness.main()
