"""A Dovecot passwd-file of a test's own, and a PAM service that changes it.

PamChange drives the service through tests/support/pam_change.c; Virtual is
the same file and service under the daemon.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile

import accounts
import harness
import processes
from client import as_bytes

NAME = "users"
SERVICE = accounts.SERVICE
#: what may stand in the folder between changes, see pam_passwd_file(8)
AT_REST = {NAME, f".{NAME}.lock"}
HELPER_UID = 65534  # a real uid that is not root's, as the helper's

OLD = "old-secret-0"
NEW = "new-secret-1"

SUCCESS = 0
AUTH_ERR = 7
ACCT_EXPIRED = 13

#: prefix and crypt(3)'s setting, cheap: tests change passwords by thousands
SCHEMES = {
    "yescrypt": (b"{CRYPT}", b"$y$j75$" + b"abcdefghijklmnopqrstu."),
    "bcrypt": (b"{BLF-CRYPT}", b"$2y$04$" + b"abcdefghijklmnopqrstuu"),
    "sha512": (b"{SHA512-CRYPT}", b"$6$rounds=1000$abcdefgh$"),
    "sha256": (b"{SHA256-CRYPT}", b"$5$rounds=1000$abcdefgh$"),
    "md5": (b"{MD5-CRYPT}", b"$1$abcdefgh$"),
}
#: what the module writes in most tests
CHEAP = "scheme=BLF-CRYPT cost=4"


def module():
    return harness.program("lib/security/pam_passwd_file.so")


def memory_folder():
    """Where fsync costs nothing; None if there is no such place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def field(password, scheme="bcrypt"):
    """The password field of a line."""
    prefix, setting = SCHEMES[scheme]
    return prefix + accounts.crypt(password, setting)


def verifies(stored, password):
    """Is this the field of that password? For what crypt(3) knows."""
    digest = stored.rpartition(b"}")[2]
    return accounts.crypt(password, digest) == digest


def line(name, password, scheme="bcrypt", rest=b"::::::"):
    return as_bytes(name) + b":" + field(password, scheme) + rest


def service_text(path, options=CHEAP, before=""):
    """before: lines in front of the one that changes."""
    text = f"{module()} file={path}"
    return (
        f"auth required {text}\n"
        f"account required {text}\n"
        f"{before}"
        f"password required {text} {options}\n"
    )


class Folder:
    """A folder that holds the file, and beside it the PAM service. Close it.

    parent: where it is made; options: of the password line."""

    def __init__(self, parent=None, options=CHEAP, before=""):
        self.top = tempfile.mkdtemp(prefix="poppassd-file.", dir=parent)
        os.chmod(self.top, 0o755)
        self.folder = os.path.join(self.top, "mail")
        self.path = os.path.join(self.folder, NAME)
        self.confdir = os.path.join(self.top, "pam.d")
        os.mkdir(self.folder, 0o755)
        os.mkdir(self.confdir)
        self.set_service(options, before)

    def set_service(self, options=CHEAP, before="", path=None):
        text = service_text(path or self.path, options, before)
        with open(
            os.path.join(self.confdir, SERVICE), "w", encoding="ascii"
        ) as file:
            file.write(text)

    def write(self, data, mode=0o600):
        """The file anew, behind everybody's back."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        with open(self.path, "xb") as file:
            file.write(data)
        os.chmod(self.path, mode)

    def read(self):
        with open(self.path, "rb") as file:
            return file.read()

    def stored(self, name):
        """The password field of a user, who must be there once."""
        start = as_bytes(name) + b":"
        found = [x for x in self.read().split(b"\n") if x.startswith(start)]
        if len(found) != 1:
            raise AssertionError(f"{name!r}: {len(found)} lines")
        return found[0].split(b":")[1].rstrip(b"\r")

    def has_password(self, name, password):
        return verifies(self.stored(name), password)

    def left_over(self):
        """What a change should have taken away."""
        return set(os.listdir(self.folder)) - AT_REST

    def close(self):
        shutil.rmtree(self.top, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Ended(AssertionError):
    """pam_change has ended; status and text say how."""

    def __init__(self, status, text):
        super().__init__(f"pam_change: exit status {status}\n{text}")
        self.status = status
        self.text = text


class PamChange:
    """pam_change, waiting for orders. `with PamChange(confdir) as pam:`

    As root it has another real uid, as the helper: root itself need not know
    the old password. prefix: a command that it runs under."""

    def __init__(self, confdir, *, uid=HELPER_UID, prefix=()):
        real = ("-u", str(uid)) if accounts.is_root() else ()
        environment = dict(os.environ)
        # It takes a process that may be traced, and is not traced already.
        if prefix or real:
            environment["ASAN_OPTIONS"] = "detect_leaks=0"
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            (*prefix, harness.program("tests/pam_change"), *real)
            + (confdir, SERVICE),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
        )

    def send(self, *orders):
        """Orders are tuples of words."""
        with contextlib.suppress(BrokenPipeError):
            for order in orders:
                words = (as_bytes(word) for word in order)
                self.process.stdin.write(b"\t".join(words) + b"\n")
            self.process.stdin.flush()

    def answer(self):
        """PAM's code, and the text."""
        got = self.process.stdout.readline()
        if not got.endswith(b"\n"):
            self.process.wait(60)
            self.errors.seek(0)
            text = self.errors.read().decode("latin-1")
            raise Ended(self.process.returncode, text)
        code, _, text = got.rstrip(b"\n").partition(b"\t")
        return int(code), text.decode("ascii")

    def order(self, *orders):
        """The answer to the last, after successes of the others."""
        self.send(*orders)
        code, text = SUCCESS, ""
        for order in orders:
            if code != SUCCESS:
                raise AssertionError(f"before {order[0]}: {code} {text}")
            code, text = self.answer()
        return code, text

    def change(self, name, old, new):
        return self.order(("user", name), ("change", old, new))

    def login(self, name, password):
        return self.order(("user", name), ("login", password))

    def account(self, name):
        return self.order(("user", name), ("account",))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        self._close()

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        status = self.process.wait(60)
        self.errors.seek(0)
        text = self.errors.read().decode("latin-1")
        self._close()
        if status != 0:
            raise Ended(status, text)

    def _close(self):
        for stream in (self.process.stdout, self.errors):
            stream.close()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            processes.kill_all([self.process.pid])
            self.process.wait(60)
            self._close()


class Virtual:
    """A backend of harness.Daemon. accounts: {name: password}; before: lines
    of the service in front of the one that changes."""

    def __init__(self, users, options=CHEAP, before="", scheme="bcrypt"):
        self.users = dict(users)
        self.options = options
        self.before = before
        self.scheme = scheme
        self.net_user = "nobody"

    def install(self, folder, owner):
        self.owner = owner
        self.folder = Folder(folder, self.options, self.before)
        os.chown(self.folder.folder, owner, -1)
        self.set_passwords(self.users)

    def set_passwords(self, users):
        lines = (line(n, p, self.scheme) for n, p in users.items())
        self.folder.write(b"".join(text + b"\n" for text in lines))
        os.chown(self.folder.path, self.owner, -1)

    def directives(self):
        return [f'pam-confdir "{self.folder.confdir}"', "virtual-users yes"]

    def has_password(self, name, password):
        return self.folder.has_password(name, password)
