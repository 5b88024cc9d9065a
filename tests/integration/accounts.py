"""Where the accounts of a test live: pam_matrix, or a private copy of /etc.

Matrix works for everybody and takes any name, but knows no policy, and its
file cannot hold `:` in a password. Unix is the real pam_unix, as root and
only inside a mount namespace of our own.
"""

import ctypes
import glob
import os
import subprocess
import sys
import threading
import unittest

SERVICE = "poppassd"
NAMESPACE_VARIABLE = "POPPASSD_TEST_OUTER_NAMESPACE"
NET_USER = "poppassd-net"  # made inside the namespace
#: without cracklib-runtime there is none, and pam_pwquality then refuses all
DICTIONARY = "/var/cache/cracklib/cracklib_dict.pwd"


def is_root():
    return os.geteuid() == 0


needs_root = unittest.skipUnless(is_root(), "takes root")
needs_private_etc = unittest.skipUnless(
    NAMESPACE_VARIABLE in os.environ,
    "takes root, for a mount namespace with an /etc of its own",
)


class Matrix:
    """accounts: {name: password}. before: lines of the service file that
    come before pam_matrix's own."""

    def __init__(self, accounts, before=""):
        self.accounts = dict(accounts)
        self.before = before
        self.net_user = "nobody"

    def install(self, folder, owner):
        """Writes the service and its file below folder; owner, or -1, is who
        must be able to rewrite it."""
        modules = glob.glob("/usr/lib/*/pam_wrapper/pam_matrix.so")
        if not modules:
            raise FileNotFoundError("pam_matrix.so: install libpam-wrapper")
        self.file = os.path.join(folder, "matrix", "accounts")
        self.service = os.path.join(folder, "pam.d", SERVICE)
        self.owner = owner
        os.mkdir(os.path.dirname(self.file))
        os.mkdir(os.path.dirname(self.service))
        os.chown(os.path.dirname(self.file), owner, -1)
        self.set_passwords(self.accounts)
        with open(self.service, "w", encoding="ascii") as file:
            file.write(self.before)
            for kind in ("auth", "account", "password"):
                file.write(f"{kind} required {modules[0]}")
                file.write(f" passdb={self.file}\n")

    def set_passwords(self, accounts):
        """Writes the file anew, behind the daemon's back."""
        with open(self.file, "wb") as file:
            for name, password in accounts.items():
                file.write(_bytes(name) + b":" + _bytes(password))
                file.write(b":" + SERVICE.encode() + b"\n")
        os.chown(self.file, self.owner, -1)

    def directives(self):
        return [
            f'pam-confdir "{os.path.dirname(self.service)}"',
            "virtual-users yes",
        ]

    def has_password(self, name, password):
        line = _bytes(name) + b":" + _bytes(password) + b":"
        with open(self.file, "rb") as file:
            return any(text.startswith(line) for text in file)


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


# --- the private /etc ------------------------------------------------------


def _namespace():
    return os.readlink("/proc/self/ns/mnt")


def enter_private_etc():
    """Starts this program again in a mount namespace of its own, and there
    lays a copy over /etc and empty folders over what useradd writes. Not as
    root: does nothing, and what needs it is skipped."""
    if not is_root():
        return
    outer = os.environ.get(NAMESPACE_VARIABLE)
    if outer is None:
        os.environ[NAMESPACE_VARIABLE] = (
            f"{_namespace()} {os.stat('/etc').st_dev}"
        )
        command = ("unshare", "--mount", "--propagation", "private", "--")
        os.execvp(command[0], (*command, sys.executable, "-B", *sys.argv))
    if _namespace() == outer.split()[0]:
        raise RuntimeError("unshare: still in the machine's namespace")
    for folder in ("/run", "/home", "/var/mail", "/var/log"):
        options = "mode=0755,size=64m"
        _run("mount", "-t", "tmpfs", "-o", options, "poppassd", folder)
    _run("cp", "-a", "/etc", "/run/etc")
    _run("mount", "--bind", "/run/etc", "/etc")
    assert_private_etc()
    if not os.path.exists(DICTIONARY):
        with open("/etc/security/pwquality.conf", "ab") as file:
            file.write(b"dictcheck = 0\n")
    _run("useradd", "--system", "--no-log-init", "-M", NET_USER)


def assert_private_etc():
    outer = os.environ.get(NAMESPACE_VARIABLE, "").split()
    if len(outer) != 2 or _namespace() == outer[0]:
        raise RuntimeError("accounts may only be touched in a namespace")
    device = os.stat("/etc").st_dev
    if str(device) == outer[1] or device != os.stat("/run").st_dev:
        raise RuntimeError("/etc: is the machine's own")


def _run(*command, stdin=b""):
    subprocess.run(
        command,
        input=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=True,
    )


def run(*command, stdin=b""):
    """Runs a program that changes accounts."""
    assert_private_etc()
    _run(*command, stdin=stdin)


_libcrypt = ctypes.CDLL("libcrypt.so.1")
_libcrypt.crypt.restype = ctypes.c_char_p
_libcrypt.crypt_gensalt.restype = ctypes.c_char_p


_libcrypt_lock = threading.Lock()  # crypt(3) has one buffer


def crypt(password, setting):
    with _libcrypt_lock:
        return _libcrypt.crypt(_bytes(password), setting)


def new_hash(password):
    return crypt(password, _libcrypt.crypt_gensalt(b"$y$", 0, None, 0))


#: a policy for pam_matrix
QUALITY = "password requisite pam_pwquality.so retry=3 minlen=8 dictcheck=0\n"

SERVICE_PLAIN = """\
auth required pam_unix.so
account required pam_unix.so
password required pam_unix.so yescrypt
"""


class Unix:
    """accounts: {name: password}, or {name: (password, uid)}. service: the
    text of /etc/pam.d/poppassd."""

    def __init__(self, accounts, service=SERVICE_PLAIN):
        self.accounts = dict(accounts)
        self.service = service
        self.net_user = NET_USER

    def install(self, _folder, _owner):
        assert_private_etc()
        with open(f"/etc/pam.d/{SERVICE}", "w", encoding="ascii") as file:
            file.write(self.service)
        for name, value in self.accounts.items():
            uid = ("-u", str(value[1])) if isinstance(value, tuple) else ()
            if _exists(name):
                run("userdel", "--force", name)  # may run elsewhere
            run("useradd", "--no-log-init", "-M", *uid, name)
        self.set_passwords(
            {
                name: value[0] if isinstance(value, tuple) else value
                for name, value in self.accounts.items()
            }
        )

    def set_passwords(self, passwords):
        """Sets them behind the daemon's back."""
        hashes = {}
        for password in set(passwords.values()):
            hashes[password] = new_hash(password)
        lines = b"".join(
            name.encode() + b":" + hashes[password] + b"\n"
            for name, password in passwords.items()
        )
        run("chpasswd", "--encrypted", stdin=lines)

    def directives(self):
        return []

    def has_password(self, name, password):
        stored = shadow_fields(name)[1]
        return crypt(password, stored) == stored


def _exists(name):
    with open("/etc/passwd", "rb") as file:
        return any(line.startswith(_bytes(name) + b":") for line in file)


def shadow():
    """The bytes of the account database's secret half."""
    with open("/etc/shadow", "rb") as file:
        return file.read()


def shadow_fields(name):
    for line in shadow().splitlines():
        fields = line.split(b":")
        if fields[0] == _bytes(name):
            return fields
    raise KeyError(name)


def assert_database_whole():
    """Both files parse, agree, and nothing half written lies beside them."""
    with open("/etc/passwd", "rb") as file:
        passwd = file.read()
    text = shadow()
    if not passwd.endswith(b"\n") or not text.endswith(b"\n"):
        raise AssertionError("a file ends within a line")
    lines = text.splitlines()
    if any(line.count(b":") != 8 for line in lines):
        raise AssertionError("/etc/shadow: a broken line")
    names = [line.split(b":")[0] for line in lines]
    if sorted(names) != sorted(set(names)):
        raise AssertionError("/etc/shadow: a name twice")
    if set(names) != {x.split(b":")[0] for x in passwd.splitlines()}:
        raise AssertionError("passwd and shadow do not agree")
    status = os.stat("/etc/shadow")
    if status.st_uid != 0 or status.st_mode & 0o137:
        raise AssertionError(f"/etc/shadow: mode {status.st_mode:o}")
