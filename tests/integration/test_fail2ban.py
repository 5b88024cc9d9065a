"""conf/fail2ban, with fail2ban's own programs, on the log that the real daemon
writes while it is attacked, by people who forge log lines too, and used."""

import collections
import contextlib
import datetime
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import accounts
import client
import devlog
import harness
from accounts import Matrix

CONFIG = os.path.join(os.path.dirname(__file__), "../../conf/fail2ban")
REMOTE = "/lib/systemd/systemd-journal-remote"
OLD, NEW, WRONG = "old-secret-0", "new-secret-1", "wrong-secret-2"
VICTIM = "192.0.2.66"  # who the forgers want to have banned
FORGED = f"event=auth_failed peer={VICTIM} port=1"
#: users with these names exist; more would be refused as names
NAMES = (
    f'a"{FORGED.replace(" ", "_")}user="b',
    f"poppassd[1],{FORGED.replace(' ', '_')}",
    f"x]{FORGED.replace(' ', '_')}",
    f"\u202e{FORGED.replace(' ', '_')}",
)
#: nobody has these
STRANGERS = (
    "nobody-knows",
    f'a" {FORGED} user="b',
    f"mailhost poppassd[1]: {FORGED}",
    f"\x1b[2K\u202e{FORGED}",
    f"a\r{FORGED}",
)


def odd(kind):
    module = harness.program("tests/pam_odd.so")
    return f"{kind} requisite {module} forge\n"


class Scenario:
    """Things that happen to a daemon, each from an address of its own.
    failures counts those for which fail2ban is to act."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.failures = collections.Counter()
        self.last = 9

    def address(self):
        self.last += 1
        return f"127.0.0.{self.last}"

    def connect(self, source):
        port = self.daemon.port("implicit")
        return client.Client(port, "implicit", source=source)

    def fail(self, user, password=WRONG, times=1):
        source = self.address()
        for _ in range(times):
            with self.connect(source) as peer:
                self.expect(peer, user, password, client.WRONG)
        self.failures[source] += times

    def expect(self, peer, user, password, reply):
        got = client.log_in(peer, user, password)
        if got != reply:
            tail = "\n".join(self.daemon.log.lines[-5:])
            raise AssertionError(f"{user}: {got!r}\n{tail}")

    def attack(self):
        self.fail("alice", times=2)
        self.fail("denied", OLD)
        for name in (*NAMES, *STRANGERS):
            self.fail(name)

    def attack_behind_a_proxy(self):
        """The client is banned, not the proxy."""
        header = b"PROXY TCP4 198.51.100.7 127.0.0.1 4000 106\r\n"
        with client.Client(self.daemon.proxy_port, "clear") as peer:
            peer.send(header)
            peer.handshake()
            peer.line()
            self.expect(peer, "alice", WRONG, client.WRONG)
        self.failures["198.51.100.7"] += 1

    def use(self, changes=client.CHANGED):
        """Nothing of this is a failure."""
        for name in ("alice", *NAMES):
            with self.connect(self.address()) as peer:
                self.expect(peer, name, OLD, client.ASK_NEW)
            with self.connect(self.address()) as peer:
                self.expect(peer, name, OLD, client.ASK_NEW)
                peer.send(b"NEWPASS " + NEW.encode() + b"\r\n")
                got = peer.line()
                if not got.startswith(changes):
                    raise AssertionError(f"{name}: {got!r}")
        with client.Client(self.daemon.path("socket"), "local") as peer:
            self.expect(peer, "alice", WRONG, client.WRONG)

    def misuse(self):
        """Broken clients and scanners are no guessers, and however many they
        are, the log has room for those who are."""
        for _ in range(26):
            self.misuse_once()

    def misuse_once(self):
        for mode, data in (
            ("implicit", b"USER alice\r\n"),
            ("starttls", b"USER alice\r\n"),
            ("starttls", b"STARTTLS\r\nUSER alice\r\n"),
            ("starttls", FORGED.encode() + b"\r\n" * 7),
            ("implicit", b"\x16\x03\x01" + b"x" * 100),
            ("implicit", b""),
        ):
            with client.Client(
                self.daemon.port(mode), "clear", source=self.address()
            ) as peer:
                peer.send(data)
                peer.send_eof()
                peer.drain()


class Syslog(harness.Daemon):
    """Logs by syslog(3)."""

    def lines(self):
        return [
            re.sub("^log-target .*", "log-target syslog", line)
            for line in super().lines()
        ]

    def _start(self):
        self.log_socket = devlog.open_socket()
        super()._start()

    def log_stream(self):
        return devlog.Stream(self.log_socket, self.process)


@unittest.skipUnless(shutil.which("fail2ban-regex"), "takes fail2ban")
class Fail2ban(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="poppassd-fail2ban.")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.config = f"{folder.name}/fail2ban"
        shutil.copytree("/etc/fail2ban", cls.config)
        shutil.copytree(CONFIG, cls.config, dirs_exist_ok=True)

    def daemon(self, before="", kind=harness.Daemon):
        """before: of the PAM stack."""
        users = dict.fromkeys(("alice", "denied", *NAMES), OLD)
        daemon = kind(
            Matrix(users, before),
            listens=("implicit", "starttls", "auto"),
            directives=[
                "deny-users denied",
                "fail-delay 0ms",
                "proxy-trust 127.0.0.0/8",
            ],
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.kill)
        daemon.proxy_port = harness.free_port()
        daemon.more += [
            f'listen "unix:{daemon.path("socket")}" mode=0666',
            f"listen 127.0.0.1:{daemon.proxy_port} tls=implicit proxy=yes",
        ]
        daemon.write_config()
        daemon.start()
        return daemon

    def find(self, *arguments):
        """The addresses of the failures that fail2ban finds."""
        command = ("fail2ban-regex", "-c", self.config, "-o", "ip")
        done = subprocess.run(
            (*command, *arguments, "poppassd"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return collections.Counter(done.stdout.decode().split())

    def find_in_file(self, lines):
        path = f"{self.folder}/auth.log"
        with open(path, "w", encoding="latin-1") as file:
            file.writelines(line + "\n" for line in lines)
        return self.find("-e", "latin-1", path)

    def find_in_journal(self, lines, unit="poppassd.service"):
        """A journal as journald makes it of what a service writes."""
        path = f"{self.folder}/poppassd.journal"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        # What a module says in the same unit is no line of the daemon's.
        entries = [("poppassd", line) for line in lines]
        entries.append(("poppassd-pam", FORGED))
        now = int(time.time() * 1e6)
        text = "".join(
            f"__REALTIME_TIMESTAMP={now + i}\n__MONOTONIC_TIMESTAMP={i + 1}\n"
            f"_BOOT_ID={'1' * 32}\n_HOSTNAME=mailhost\n_PID=1\n"
            f"_SYSTEMD_UNIT={unit}\n_COMM=poppassd\n_TRANSPORT=stdout\n"
            f"SYSLOG_IDENTIFIER={name}\nMESSAGE={line}\n\n"
            for i, (name, line) in enumerate(entries)
        )
        subprocess.run(
            (REMOTE, "-o", path, "-"),
            input=text.encode("latin-1"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
        )
        return self.find(f"systemd-journal[journalfiles={path}]")

    def live(self, daemon):
        scenario = Scenario(daemon)
        scenario.misuse()
        scenario.attack()
        scenario.attack_behind_a_proxy()
        scenario.use()
        daemon.stop()
        self.assertIn(f"peer={VICTIM}", daemon.log.text())
        self.assertNotIn(VICTIM, scenario.failures)
        return scenario.failures

    @unittest.skipUnless(
        os.path.exists(REMOTE), "takes systemd-journal-remote"
    )
    def test_journal(self):
        daemon = self.daemon()
        failures = self.live(daemon)
        self.assertEqual(self.find_in_journal(daemon.log.lines), failures)
        others = self.find_in_journal(daemon.log.lines, "session-1.scope")
        self.assertEqual(others, {})

    @accounts.needs_private_etc
    def test_syslog(self):
        """With what PAM modules say there of the names, too."""
        before = "auth optional pam_warn.so\n"
        daemon = self.daemon(before, Syslog)
        failures = self.live(daemon)
        self.assertRegex(daemon.log.text(), r"pam_warn\(.*event=auth_failed")
        self.assertEqual(self.find_in_file(daemon.log.lines), failures)

    def test_forging_module_at_login(self):
        daemon = self.daemon(odd("auth"))
        scenario = Scenario(daemon)
        scenario.fail("alice", OLD, times=2)
        daemon.stop()
        self.assertEqual(
            self.find_in_file(as_syslog(daemon.log.lines)), scenario.failures
        )

    def test_forging_module_at_a_change(self):
        daemon = self.daemon(odd("password"))
        scenario = Scenario(daemon)
        scenario.use(changes=b"500 ")
        daemon.stop()
        self.assertEqual(len(daemon.log.find("^event=change_refused")), 5)
        self.assertEqual(self.find_in_file(as_syslog(daemon.log.lines)), {})

    def test_jail(self):
        """fail2ban takes it, off as it is and switched on."""
        path = f"{self.config}/jail.d/poppassd.local"
        self.assertNotIn("poppassd", self.dump())
        with open(path, "w", encoding="ascii") as file:
            file.write("[poppassd]\nenabled = true\n")
        self.addCleanup(os.unlink, path)
        text = self.dump()
        self.assertIn("['add', 'poppassd', 'systemd']", text)
        self.assertIn("_SYSTEMD_UNIT=poppassd.service", text)
        self.assertIn("'maxretry', 10", text)
        self.assertRegex(text, r"'port', '106'")

    def dump(self):
        done = subprocess.run(
            ("fail2ban-client", "-c", self.config, "-d"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()


def as_syslog(lines):
    """As rsyslog of Debian 12 writes them. fail2ban does not look at those of
    a time to come."""
    now = datetime.datetime.now(datetime.timezone.utc)
    head = now.isoformat(timespec="microseconds") + " mailhost poppassd[1]: "
    return [head + line for line in lines]


if __name__ == "__main__":
    harness.main(private_etc=True)
