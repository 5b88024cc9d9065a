"""A booted machine: a Debian root with its own systemd and no network but its
loopback, by systemd-nspawn.

The root is bootstrapped once and kept in /var/cache/poppassd-tests; what a
machine changes is in memory, and gone with it. One at a time.
POPPASSD_SYSTEM_SUITE names another release than bookworm.
"""

import contextlib
import ctypes
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile

import processes
from waiting import wait_until

SUITE = os.environ.get("POPPASSD_SYSTEM_SUITE", "bookworm")
CACHE = "/var/cache/poppassd-tests"
#: the old package and its inetd, what the new one depends on, a directory
PACKAGES = (
    "cracklib-runtime",
    "dbus",
    "iproute2",
    "ldap-utils",
    "libcap-ng0",
    "libevent-core-2.1-7",
    "libpam-ldapd",
    "libpam-modules",
    "libpam-pwquality",
    "libseccomp2",
    "libsodium23",
    "libssl3",
    "nslcd",
    "openbsd-inetd",
    "passwd",
    "poppassd",
    "procps",
    "slapd",
    "ssl-cert",
    "systemd-sysv",
)
#: LDAP is for the test that asks for it
HOOKS = (
    "pam-auth-update --package --remove ldap",
    "systemctl disable slapd nslcd",
)
BOOT_SEC = 300
COMMAND_SEC = 300
_CLONE_NEWNET = 0x40000000
_ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
}


def bootstrapped_root():
    """The path of the root; makes it if it is not there."""
    words = " ".join((SUITE, *PACKAGES, *HOOKS)).encode()
    name = f"{SUITE}-{hashlib.sha256(words).hexdigest()[:16]}"
    root = os.path.join(CACHE, name)
    os.makedirs(CACHE, exist_ok=True)
    with open(root + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(root):
            _bootstrap(root)
    return root


def _bootstrap(root):
    new = tempfile.mkdtemp(dir=CACHE)
    try:
        _checked(
            "mmdebstrap",
            "--variant=minbase",
            "--include=" + ",".join(PACKAGES),
            *(f'--customize-hook=chroot "$1" {hook}' for hook in HOOKS),
            SUITE,
            new,
        )
        os.rename(new, root)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _checked(*command):
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if done.returncode != 0:
        text = done.stdout.decode("utf-8", "replace")
        raise RuntimeError(f"{command[0]}: {done.returncode}\n{text}")


class Failed(AssertionError):
    def __init__(self, command, done):
        super().__init__(
            f"{' '.join(command)}: status {done.returncode}\n"
            f"{done.stdout}{done.stderr}"
        )


class Machine:
    """Has booted when the constructor returns."""

    def __init__(self):
        self.process = self.leader = None
        self.console = tempfile.TemporaryFile()
        try:
            self._boot()
        except BaseException:
            self.close()
            raise

    def path(self, name):
        """A path inside, as seen from outside."""
        return f"/proc/{self.leader}/root/{name.lstrip('/')}"

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    # --- life ---

    def _boot(self):
        self.process = subprocess.Popen(
            (
                "systemd-nspawn",
                "--quiet",
                "--register=no",
                "--keep-unit",
                "--private-network",
                "--link-journal=no",
                "--console=pipe",
                f"--machine=poppassd-test-{os.getpid()}",
                f"--directory={bootstrapped_root()}",
                "--volatile=overlay",
                # nspawn's own filter takes mlock() away, which no machine does.
                "--system-call-filter=@memlock",
                "--boot",
            ),
            stdin=subprocess.DEVNULL,
            stdout=self.console,
            stderr=subprocess.STDOUT,
        )
        wait_until(self._find_leader, "the machine's first process", BOOT_SEC)
        self.run("systemctl", "is-system-running", "--wait", check=False)
        state = self.run("systemctl", "is-system-running", check=False).stdout
        if state.strip() != "running":
            failed = self.run("systemctl", "--failed").stdout
            raise RuntimeError(f"the machine is {state}{failed}")

    def _find_leader(self):
        if self.process.poll() is not None:
            self.console.seek(0)
            text = self.console.read().decode("utf-8", "replace")
            raise RuntimeError(f"systemd-nspawn: {text}")
        for pid in processes.descendants(self.process.pid):
            if processes.command(pid).split()[:1] in (
                ["/sbin/init"],
                ["/usr/lib/systemd/systemd"],
                ["/lib/systemd/systemd"],
            ):
                self.leader = pid
        return self.leader is not None and self._answers()

    def _answers(self):
        done = self.run("systemctl", "show", "--property=Version", check=False)
        return done.returncode == 0

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.console.close()

    # --- inside ---

    def command(self, *arguments):
        variables = (f"{k}={v}" for k, v in _ENVIRONMENT.items())
        return (
            *("nsenter", f"--target={self.leader}", "--all", "--"),
            *("env", "-i", *variables),
            *arguments,
        )

    def start(self, *arguments, **named):
        """A process inside that the caller waits for."""
        return subprocess.Popen(
            self.command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **named,
        )

    def run(self, *arguments, check=True, text=None, timeout=COMMAND_SEC):
        """Runs a command to its end; text is its standard input."""
        done = subprocess.run(
            self.command(*arguments),
            input=text or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise Failed(arguments, done)
        return done

    def add_user(self, name, password):
        self.run("useradd", "--create-home", name)
        self.run("chpasswd", text=f"{name}:{password}\n")

    def property(self, unit, name):
        done = self.run("systemctl", "show", f"--property={name}", unit)
        return done.stdout.strip().partition("=")[2]

    def journal(self, *arguments):
        """The lines of the service."""
        done = self.run(
            *("journalctl", "--unit=poppassd.service", "--output=cat"),
            *("--no-pager", *arguments),
        )
        return done.stdout

    def cursor(self):
        """Where the journal ends now, for --after-cursor."""
        done = self.run("journalctl", "--lines=0", "--show-cursor", "--quiet")
        return done.stdout.partition("-- cursor: ")[2].strip()

    def pid(self, unit_pid):
        """A process as it is numbered outside."""
        for pid in processes.descendants(self.leader):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                numbers = processes.status(pid)["NSpid"].split()
                if numbers[-1] == str(unit_pid):
                    return pid
        raise ProcessLookupError(unit_pid)

    def processes(self, name):
        """Those whose command begins so, by their numbers outside."""
        return [
            pid
            for pid in processes.descendants(self.leader)
            if processes.command(pid).startswith(name)
        ]

    @contextlib.contextmanager
    def network(self):
        """The calling thread makes its sockets inside."""
        with open("/proc/thread-self/ns/net", "rb") as outside, open(
            f"/proc/{self.leader}/ns/net", "rb"
        ) as inside:
            _enter(inside)
            try:
                yield
            finally:
                _enter(outside)


def _enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
