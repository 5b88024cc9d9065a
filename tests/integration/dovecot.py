"""A Dovecot of the test's own, on loopback, that reads a passwd-file.

It stats the file at a login, but not twice within one second of its clock, and
reads it anew if the size is another one or the time of change another second.
"""

import contextlib
import grp
import imaplib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

import harness
from waiting import wait_until

PROGRAM = shutil.which("dovecot", path="/usr/sbin:/usr/bin")
STOP_SEC = 60

_CONFIG = """\
base_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal.pw_name}
default_internal_group = {group.gr_name}
default_login_user = {login.pw_name}
auth_failure_delay = 0
mail_location = maildir:{folder}/mail/%n
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
  # no delays for an address that has failed
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {path}
}}
userdb {{
  driver = static
  args = uid={mail.pw_uid} gid={mail.pw_gid} home={folder}/mail/%n
}}
first_valid_uid = 1
"""


def _users():
    """Who its processes run as: the package's users if the test is root, and
    otherwise itself."""
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return me, me, me
    return tuple(map(pwd.getpwnam, ("dovecot", "dovenull", "nobody")))


def let_read(path):
    """Gives the file to its group, as pam_passwd_file(8) advises."""
    os.chown(path, -1, _users()[0].pw_gid)
    os.chmod(path, 0o640)


class Dovecot:
    """`with Dovecot(path) as dovecot:`, after let_read(path)."""

    def __init__(self, path):
        internal, login, mail = _users()
        self.folder = tempfile.mkdtemp(prefix="poppassd-dovecot.")
        os.chmod(self.folder, 0o755)
        os.mkdir(os.path.join(self.folder, "mail"))
        os.chown(os.path.join(self.folder, "mail"), mail.pw_uid, mail.pw_gid)
        self.port = harness.free_port()
        self.config = os.path.join(self.folder, "dovecot.conf")
        with open(self.config, "w", encoding="ascii") as file:
            file.write(
                _CONFIG.format(
                    folder=self.folder,
                    port=self.port,
                    path=path,
                    internal=internal,
                    group=grp.getgrgid(internal.pw_gid),
                    login=login,
                    mail=mail,
                )
            )

    def log(self):
        with contextlib.suppress(FileNotFoundError):
            with open(
                os.path.join(self.folder, "log"), encoding="latin-1"
            ) as file:
                return file.read()
        return ""

    def is_up(self):
        if self.process.poll() is not None:
            raise AssertionError(f"dovecot ended\n{self.log()}")
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            imaplib.IMAP4("127.0.0.1", self.port).shutdown()
            return True
        return False

    def accepts(self, name, password):
        """Does it let this user in with this password?"""
        client = imaplib.IMAP4("127.0.0.1", self.port, timeout=60)
        try:
            client.login(name, password)
        except imaplib.IMAP4.error as error:
            if "AUTHENTICATIONFAILED" not in str(error):
                raise AssertionError(f"{error}\n{self.log()}") from error
            return False
        finally:
            client.shutdown()
        return True

    def wait_accepts(self, name, password):
        """It does at the latest when its clock has come to the next second."""
        wait_until(lambda: self.accepts(name, password), "a login")

    def __enter__(self):
        self.process = subprocess.Popen(
            (PROGRAM, "-F", "-c", self.config),
            stdin=subprocess.DEVNULL,
        )
        try:
            wait_until(self.is_up, "dovecot's greeting")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SEC)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
