"""A net that was broken into: the real monitor and real helpers with a liar in
net's place (tests/hostile/broken_net.c). It asks for whom it likes, guesses,
forges, repeats, truncates, passes descriptors, hangs up, ignores orders. Then
the real monitor and net with a liar in the helper's place.

POPPASSD_LIVES: how many such nets; POPPASSD_SEED (1): what they do.
"""

import mmap
import os
import re
import shutil
import struct

import harness
import processes
from accounts import Matrix
from client import ASK_NEW, CHANGED, Client, change, log_in
from waiting import in_parallel, wait_until

OLD = "old-secret-0"
NEW = "new-secret-1"
ACCOUNTS = {"virt.user": OLD, "victim": OLD, "bystander": OLD}
#: those that the liar asks for and that the policy lets through
ADMITTED = {"virt.user", "victim"}
DEFAULT_LIVES = 40 if harness.is_sanitized() else 500
N_LIVES = int(os.environ.get("POPPASSD_LIVES", DEFAULT_LIVES))
SEED = int(os.environ.get("POPPASSD_SEED", "1"))
#: libevent's and the allocator's own growth
RSS_SLOP_KIB = 4096
WITNESS = """\
#!/bin/sh
echo "$PAM_TYPE $PAM_USER" >> {folder}/witness
"""


class Record:
    """What the liars have done, see struct record there."""

    FIELDS = ("behave", "lives", "messages", "granted", "answered")

    def __init__(self, path):
        with open(path, "wb") as file:
            file.write(bytes(8 * len(self.FIELDS)))
        os.chmod(path, 0o666)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    def __getattr__(self, name):
        offset = 8 * self.FIELDS.index(name)
        return struct.unpack_from("Q", self.map, offset)[0]

    def let_behave(self):
        struct.pack_into("Q", self.map, 0, 1)


class BrokenNet(harness.TestCase):
    def set_up_daemon(self):
        backend = Matrix(ACCOUNTS)
        daemon = harness.Daemon(
            backend, listens=("implicit",), directives=["log-level notice"]
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        witness = daemon.path("witness.sh")
        with open(witness, "w", encoding="ascii") as file:
            file.write(WITNESS.format(folder=daemon.folder))
        os.chmod(witness, 0o755)
        with open(daemon.path("witness"), "w", encoding="ascii"):
            pass
        os.chmod(daemon.path("witness"), 0o666)
        backend.before = "".join(
            f"{kind} optional pam_exec.so quiet {witness}\n"
            for kind in ("auth", "password")
        )
        with open(backend.service, "r+", encoding="ascii") as file:
            text = backend.before + file.read()
            file.seek(0)
            file.write(text)
        daemon.more.append(f'greeting "{daemon.path("record")} {SEED}"')
        daemon.write_config()
        daemon.program = harness.program("tests/broken_net")
        self.record = Record(daemon.path("record"))
        return daemon

    def next_life(self, daemon):
        """A reload starts a new net at once, whatever became of the last."""
        mark = daemon.log.mark()
        daemon.signal(harness.signal.SIGHUP)
        daemon.log.wait_for(
            r"event=(ready|reload_failed)\b", since=mark
        )

    def state(self, daemon):
        pid = daemon.process.pid
        return processes.n_descriptors(pid), processes.own_kib(pid)

    def wait_quiet(self, daemon, n_descriptors):
        """Until all that a net has asked for has ended."""
        wait_until(
            lambda: not daemon.helper_pids()
            and self.state(daemon)[0] <= n_descriptors,
            "helpers or descriptors are left",
        )

    def test_monitor_outlives_liars(self):
        print(f"POPPASSD_SEED={SEED}", flush=True)
        daemon = self.set_up_daemon()
        daemon.start()
        n_least = self.state(daemon)[0] - 1  # but for the net's own
        for _ in range(10):
            self.next_life(daemon)
        _, rss_before = self.state(daemon)
        for _ in range(N_LIVES):
            self.next_life(daemon)
        self.record.let_behave()
        self.next_life(daemon)
        wait_until(lambda: len(daemon.net_pids()) == 1, "nets are left")
        self.wait_quiet(daemon, n_least + 1)
        n_after, rss_after = self.state(daemon)
        record = self.record
        print(
            f"{record.lives} nets, {record.messages} messages, "
            f"{record.granted} helpers, {record.answered} answers; "
            f"monitor: {n_after} descriptors, "
            f"{rss_before} -> {rss_after} KiB",
            flush=True,
        )
        self.assert_pam_was_safe(daemon)
        if not harness.is_sanitized():  # its quarantine grows
            self.assertLess(rss_after, rss_before + RSS_SLOP_KIB)
        reply, _ = change(daemon.port(), "virt.user", OLD, NEW)
        self.assertEqual(reply, CHANGED)

    def assert_pam_was_safe(self, daemon):
        """Nobody was tried who was not admitted, no helper was good for more
        than one guess, and nothing has changed."""
        with open(daemon.path("witness"), encoding="ascii") as file:
            calls = [tuple(line.split()) for line in file]
        print(f"{len(calls)} calls of PAM", flush=True)
        self.assertTrue(calls)
        self.assertEqual({kind for kind, _ in calls}, {"auth"})
        self.assertLessEqual({user for _, user in calls}, ADMITTED)
        self.assertLessEqual(len(calls), self.record.granted)
        for user in ACCOUNTS:
            self.assertTrue(daemon.backend.has_password(user, OLD), user)
        self.assertEqual(daemon.log.find(r"event=(change|login)_\w+"), [])


class BrokenHelper(harness.TestCase):
    N_ROUNDS = 10 if harness.is_sanitized() else 20

    def set_up_daemon(self):
        """The liar must lie where the daemon looks for its helper."""
        daemon = harness.Daemon(
            Matrix(ACCOUNTS),
            listens=("implicit",),
            directives=["fail-delay 100ms"],
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        for source, target in (
            ("sbin/poppassd", "sbin/poppassd"),
            ("tests/broken_helper", "libexec/poppassd/poppassd-pam"),
        ):
            os.makedirs(os.path.dirname(daemon.path(target)))
            shutil.copy(harness.program(source), daemon.path(target))
        daemon.program = daemon.path("sbin/poppassd")
        return daemon.start()

    def talk(self, daemon, number):
        """What a client hears, whatever the helper does: one good line for
        each command."""
        with Client(daemon.port(), "implicit") as client:
            replies = [log_in(client, f"u{number}", OLD)]
            if replies == [ASK_NEW]:
                client.send(b"NEWPASS " + NEW.encode() + b"\r\n")
                replies.append(client.line())
            if replies[-1] != CHANGED:
                client.expect_close()
        for reply in replies:
            if not re.fullmatch(rb"[25]00 [ -\xff]{1,505}\r\n", reply):
                raise AssertionError(f"reply {reply!r}")
        return replies[-1]

    def test_net_and_monitor_outlive_liars(self):
        print(f"POPPASSD_SEED={SEED}", flush=True)
        daemon = self.set_up_daemon()
        net = daemon.net_pid()
        pids = (daemon.process.pid, net)
        before = [processes.n_descriptors(pid) for pid in pids]
        heard = []
        for n in range(self.N_ROUNDS):
            numbers = [SEED + 16 * n + i for i in range(16)]
            heard += in_parallel(lambda i: self.talk(daemon, i), numbers)
        print(f"{len(heard)} sessions, {len(set(heard))} replies", flush=True)
        self.assertGreater(len(set(heard)), 3)
        self.assertEqual(daemon.net_pid(), net)
        wait_until(
            lambda: not daemon.helper_pids()
            and all(
                processes.n_descriptors(pid) <= n
                for pid, n in zip(pids, before)
            ),
            "helpers or descriptors are left",
        )
        self.assertEqual(daemon.log.find("event=net_died"), [])


if __name__ == "__main__":
    harness.main()
