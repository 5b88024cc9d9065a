"""The daemon under test, on loopback, from a build folder.

POPPASSD_BUILD names the build; its layout is sbin/poppassd,
libexec/poppassd/poppassd-pam, bin/poppasswd. A test file ends with
`harness.main()`, or `harness.main(private_etc=True)` if it uses accounts.Unix.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import accounts
import certificates
import client
import processes
from waiting import Log

BUILD = os.environ.get("POPPASSD_BUILD", "")
SANITIZER = re.compile(
    r"ERROR: AddressSanitizer|runtime error:|LeakSanitizer"
    r"|AddressSanitizer:DEADLYSIGNAL"
)
NOBODY = 65534
#: Most tests come from one address, and many fail on purpose; unless limits
#: are what they are about. And no time runs out because the machine is slow:
#: what ends, ends for another reason.
LIMITS = {
    "handshake-timeout": "60s",
    "command-timeout": "1h",
    "session-timeout": "1h",
    "change-timeout": "60s",
    "user-failures": "10000 10m",
    "client-failures": "10000 10m",
    "max-sessions-per-client": "10000",
}
START_SEC = 60
STOP_SEC = 60


def program(name):
    path = os.path.join(BUILD, name)
    if not BUILD or not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path}: POPPASSD_BUILD names no build")
    return path


def is_sanitized():
    """Is this a build with AddressSanitizer?"""
    with open(program("sbin/poppassd"), "rb") as file:
        return b"__asan_init" in file.read()


def free_port(first=20000, end=32000):
    """A port that nobody has now, outside the range that connections get
    theirs from."""
    for _ in range(1000):
        port = random.SystemRandom().randrange(first, end)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port")


class StartFailure(AssertionError):
    """The daemon ended before it served; status and text say why."""

    def __init__(self, status, text):
        super().__init__(f"exit status {status}:\n{text}")
        self.status = status
        self.text = text


class Daemon:
    """
    A daemon with a folder of its own. `with Daemon(Matrix({...})) as d:`

    listens: TLS modes, a port each, see port(). options: of each of them.
    directives: more lines of the configuration. unprivileged: as nobody, if
    the test is root.
    """

    running = []
    #: more arguments of subprocess.Popen
    popen_options = {}

    def __init__(
        self,
        backend,
        *,
        listens=("implicit", "starttls", "auto"),
        options="",
        directives=(),
        pairs=None,
        unprivileged=False,
    ):
        self.backend = backend
        self.modes = listens
        self.options = options
        self.more = list(directives)
        self.pairs = pairs or [certificates.make()]
        self.drops = unprivileged and accounts.is_root()
        self.owner = NOBODY if self.drops else -1
        self.process = self.log = None
        self.folder = tempfile.mkdtemp(prefix="poppassd-test.")
        os.chmod(self.folder, 0o755)
        self.config = os.path.join(self.folder, "poppassd.conf")
        self.program = program("sbin/poppassd")
        try:
            self._set_up()
        except BaseException:
            self.remove()
            raise

    # --- set-up ---

    def _set_up(self):
        self.control = self.path("ctl/control")
        os.mkdir(os.path.dirname(self.control))
        os.chown(os.path.dirname(self.control), self.owner, -1)
        if self.drops:
            self.copy_programs()
        self.install_pairs()
        self.backend.install(self.folder, self.owner)
        self.choose_ports()

    def copy_programs(self):
        """Runs from the daemon's own folder."""
        for name in ("sbin/poppassd", "libexec/poppassd/poppassd-pam"):
            target = os.path.join(self.folder, name)
            os.makedirs(os.path.dirname(target))
            shutil.copy(program(name), target)
        self.program = os.path.join(self.folder, "sbin/poppassd")

    def install_pairs(self):
        """Copies the certificates to where the configuration names them."""
        for i, pair in enumerate(self.pairs):
            for source, target in zip(pair[:2], self.pair_paths(i)):
                shutil.copy(source, target)
                os.chmod(target, 0o600)
                os.chown(target, self.owner, -1)

    def pair_paths(self, i=0):
        return (
            os.path.join(self.folder, f"tls{i}.pem"),
            os.path.join(self.folder, f"tls{i}.key"),
        )

    def choose_ports(self):
        self.ports = {mode: free_port() for mode in self.modes}
        self.write_config()

    def lines(self):
        """The configuration as a list of lines."""
        lines = [
            f"listen 127.0.0.1:{port} tls={mode} {self.options}"
            for mode, port in self.ports.items()
        ]
        for i in range(len(self.pairs)):
            path, key = self.pair_paths(i)
            lines += [f'tls-certificate "{path}"', f'tls-key "{key}"']
        lines += [f"user {self.backend.net_user}", "log-target stderr"]
        lines += self.backend.directives() + self.more
        lines.append(f'control-socket "{self.control}"')
        set_already = {line.split()[0] for line in lines if line.strip()}
        return lines + [
            f"{name} {value}"
            for name, value in LIMITS.items()
            if name not in set_already
        ]

    def write_config(self, lines=None):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("\n".join(self.lines() if lines is None else lines))
            file.write("\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def port(self, mode="implicit"):
        return self.ports[mode]

    # --- life ---

    def command(self, *arguments):
        command = (self.program, "-c", self.config, *arguments)
        if not self.drops:
            return command
        drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}")
        return (*drop, "--clear-groups", "--", *command)

    def run(self, *arguments):
        """Runs the daemon's program to its end, for --check-config and the
        like."""
        return subprocess.run(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_SEC,
            check=False,
            cwd="/",
        )

    def ask(self, *command, **named):
        """poppassctl. Returns its status, and what it printed on either
        stream. named: for subprocess.run()."""
        path = named.pop("program", None) or program("sbin/poppassctl")
        done = subprocess.run(
            (path, "-s", self.control, *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
            **named,
        )
        return done.returncode, done.stdout.decode()

    def start(self):
        for _ in range(5):
            try:
                self._start()
                return self
            except StartFailure as failure:
                if "ddress already in use" not in failure.text:
                    raise
                self.choose_ports()
        raise RuntimeError("no free port in 5 tries")

    def launch(self):
        """Starts it, and does not wait until it serves."""
        self.process = subprocess.Popen(
            self.command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            **self.popen_options,
        )
        self.log = Log(self.log_stream())
        Daemon.running.append(self)

    def _start(self):
        self.launch()
        try:
            self.log.wait_for(r"event=ready\b", START_SEC)
        except AssertionError:
            self.kill()
            raise StartFailure(
                self.process.returncode, self.log.text()
            ) from None

    def log_stream(self):
        """Where the log comes from, line by line."""
        return self.process.stderr

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, event="reload_ok"):
        """SIGHUP, and until it is done. Returns what the log says."""
        mark = self.log.mark()
        self.signal(signal.SIGHUP)
        self.log.wait_for(rf"event={event}\b", since=mark)
        return "\n".join(self.log.lines[mark:])

    def kill(self):
        """Ends what is left, in a test that has failed already."""
        if self.process is None:
            return
        if self.log is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.2)
        pids = processes.descendants(self.process.pid)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        processes.kill_all(pids)
        self.log.wait_end(60)
        if self in Daemon.running:
            Daemon.running.remove(self)

    def stop(self):
        """SIGTERM; then everything that must be true at the end of any
        daemon."""
        self.signal(signal.SIGTERM)
        self.finish()

    def stop_if_running(self):
        if self in Daemon.running:
            self.stop()

    def finish(self, timeout=STOP_SEC):
        """Waits for the end, which somebody asked for."""
        family = processes.descendants(self.process.pid)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"did not stop in {timeout} s\n{self.log.text()}"
            ) from None
        family += processes.descendants(os.getpid())
        left = {
            pid: processes.command(pid)
            for pid in family
            if self._is_ours(pid) and not processes.wait_gone(pid, 30)
        }
        processes.kill_all(left)
        self.log.wait_end(60)
        Daemon.running.remove(self)
        self.assert_clean()
        if left:
            raise AssertionError(f"processes left: {left}")
        if code != 0:
            raise AssertionError(f"exit status {code}\n{self.log.text()}")

    def _is_ours(self, pid):
        """Not another daemon of the same test."""
        others = {d.process.pid for d in Daemon.running if d is not self}
        for other in tuple(others):
            others.update(processes.descendants(other))
        return pid not in others

    def assert_clean(self):
        """No sanitizer's report and no password in the log."""
        text = self.log.text()
        if SANITIZER.search(text):
            raise AssertionError(f"sanitizer report\n{text}")
        for secret in tuple(client.secrets_sent):
            if secret.decode("latin-1") in text:
                raise AssertionError(f"password {secret!r} in\n{text}")

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.stop()
            elif self.process.poll() is None:
                self.kill()
        finally:
            self.remove()

    # --- its processes ---

    def net_pids(self):
        return [
            pid
            for pid in processes.descendants(self.process.pid)
            if processes.command(pid).startswith("poppassd: net")
        ]

    def net_pid(self):
        (pid,) = self.net_pids()
        return pid

    def keeper_pid(self):
        """The process that holds the private keys."""
        (pid,) = [
            pid
            for pid in processes.descendants(self.process.pid)
            if processes.command(pid).startswith("poppassd: keys")
        ]
        return pid

    def helper_pids(self):
        return [
            pid
            for pid in processes.descendants(self.process.pid)
            if processes.command(pid).startswith("poppassd-pam")
        ]


class TestCase(unittest.TestCase):
    """Shows the log of the daemons that run when a test fails."""

    maxDiff = None

    @classmethod
    def start_daemon(cls, *arguments, **named):
        """A daemon for all tests of the class."""
        daemon = Daemon(*arguments, **named)
        cls.addClassCleanup(daemon.remove)
        cls.addClassCleanup(daemon.stop_if_running)
        daemon.start()
        return daemon

    def run(self, result=None):
        marks = [(daemon, daemon.log.mark()) for daemon in Daemon.running]
        if result is None:
            return super().run()
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for daemon, mark in marks:
                print(
                    f"--- log of the daemon during {self.id()}",
                    *daemon.log.lines[mark:],
                    sep="\n",
                    file=sys.stderr,
                )
        return result


def main(private_etc=False):
    if private_etc:
        accounts.enter_private_etc()
    processes.become_subreaper()
    unittest.main(module="__main__", verbosity=2)
