"""Listeners on unix: sockets: clear text, since it is no network; who may
connect, what becomes of the file, and a webmail's own way to it."""

import contextlib
import grp
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import unittest

import harness
import processes
from accounts import Matrix, needs_root
from client import (
    ASK_NEW,
    BYE,
    CHANGED,
    GREETING,
    WRONG,
    Client,
    check,
    log_in,
)
from waiting import Fifo, Log

OLD = "old-secret-0"
NEW = "new-secret-1"
USER = "virt.user"
NO_TLS = b"500 No TLS on a local socket."
EX_CONFIG = 78

#: what a webmail's driver does, with PHP's own stream code
PHP = r"""
$stream = fsockopen($argv[1], (int)$argv[2], $errno, $error, 10);
if (!$stream) { fwrite(STDERR, "$errno $error\n"); exit(2); }
foreach (["", "user $argv[3]", "pass $argv[4]", "newpass $argv[5]"] as $line) {
    if ($line !== "") { fwrite($stream, "$line\r\n"); }
    $reply = fgets($stream, 1024);
    if (!preg_match('/^2\d\d /', $reply)) { echo $reply; exit(1); }
}
fwrite($stream, "quit\r\n");
echo $reply;
"""


def other_user():
    """A user who is neither root nor in a group of root's."""
    return pwd.getpwnam("nobody")


class Local(harness.TestCase):
    """A daemon for each test, with one socket and nothing else."""

    options = ""
    directives = ("fail-delay 0s",)

    def make(self, backend=None, *, options=None, directives=()):
        daemon = harness.Daemon(
            backend or Matrix({USER: OLD}),
            listens=(),
            directives=(*self.directives, *directives),
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        self.path = daemon.path("webmail.sock")
        self.listen(daemon, self.options if options is None else options)
        return daemon

    def listen(self, daemon, options):
        """Writes the directive with these options."""
        daemon.more = [x for x in daemon.more if not x.startswith("listen")]
        daemon.more.append(f'listen "unix:{self.path}" {options}')
        daemon.write_config()

    def start(self, *arguments, **named):
        return self.make(*arguments, **named).start()

    def connect(self, path=None):
        client = Client(path or self.path, "local")
        self.addCleanup(client.close)
        return client

    def assert_refused(self, daemon, word):
        done = daemon.run()
        text = done.stderr.decode()
        self.assertEqual(done.returncode, EX_CONFIG, text)
        self.assertIn(f"{daemon.config}:", text)
        self.assertIn(f"listen unix:{self.path}: ", text)
        self.assertIn(word, text)


class Talk(Local):
    def test_change(self):
        daemon = self.start()
        client = self.connect()
        self.assertRegex(client.greeting, GREETING)
        self.assertEqual(log_in(client, USER, OLD), ASK_NEW)
        client.say(b"NEWPASS " + NEW.encode(), CHANGED[:-2])
        client.say(b"QUIT", BYE[:-2])
        client.expect_close()
        self.assertTrue(daemon.backend.has_password(USER, NEW))
        daemon.log.wait_for(
            rf"event=change_ok peer=unix uid={os.getuid()} pid={os.getpid()} "
            rf"listener=unix:{re.escape(self.path)} user="
        )

    def test_wrong_password(self):
        self.start()
        client = self.connect()
        self.assertEqual(log_in(client, USER, "wrong-secret"), WRONG)
        client.expect_close()

    def test_no_tls(self):
        self.start()
        client = self.connect()
        for verb in (b"STARTTLS", b"stls"):
            client.say(verb, NO_TLS)
        client.say(b"USER " + USER.encode(), b"200 Your password please.")
        client.say(b"STARTTLS", NO_TLS)
        client.send(b"PASS " + OLD.encode() + b"\r\n")
        client.expect(ASK_NEW)

    def test_client_hello(self):
        self.start()
        client = self.connect()
        client.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03")
        client.expect(NO_TLS + b"\r\n")
        client.expect_close()

    def test_ahead_in_one_piece(self):
        daemon = self.start()
        client = self.connect()
        client.send(f"USER {USER}\nPASS {OLD}\nNEWPASS {NEW}\nQUIT\n".encode())
        for reply in (
            b"200 Your password please.\r\n",
            ASK_NEW,
            CHANGED,
            BYE,
        ):
            client.expect(reply)
        client.expect_close()
        self.assertTrue(daemon.backend.has_password(USER, NEW))

    def test_stop_lets_a_change_finish(self):
        fifo = Fifo("password:*")
        self.addCleanup(fifo.remove)
        backend = Matrix(
            {USER: OLD},
            before=f"password required pam_exec.so quiet {fifo.script}\n",
        )
        daemon = self.start(backend)
        idle = self.connect()
        client = self.connect()
        self.assertEqual(log_in(client, USER, OLD), ASK_NEW)
        client.send(b"NEWPASS " + NEW.encode() + b"\r\n")
        fifo.wait_reached()
        daemon.signal(signal.SIGTERM)
        idle.expect(b"500 Server is shutting down, try again later.\r\n")
        fifo.open_gate()
        client.expect(CHANGED)
        daemon.finish()

    def test_pam_has_no_remote_host(self):
        backend = Matrix({USER: OLD})
        daemon = self.make(backend)
        said = daemon.path("environment")
        backend.before = f"auth required pam_exec.so quiet seteuid log={said} /usr/bin/env\n"
        shutil.rmtree(daemon.path("matrix"))
        shutil.rmtree(daemon.path("pam.d"))
        backend.install(daemon.folder, daemon.owner)
        daemon.start()
        self.assertTrue(check(self.path, USER, OLD, "local"))
        with open(said, encoding="ascii") as file:
            text = file.read()
        self.assertIn(f"PAM_USER={USER}", text)
        self.assertNotIn("PAM_RHOST", text)

    def test_lists_of_networks(self):
        """No network has it; only the word unix."""
        daemon = self.start(directives=("allow-from 0.0.0.0/0 ::/0",))
        self.assertFalse(check(self.path, USER, OLD, "local"))
        daemon.log.wait_for('policy_refused peer=unix .*reason="allow-from"')
        daemon.more[-2] = "allow-from unix"
        daemon.write_config()
        daemon.reload()
        self.assertTrue(check(self.path, USER, OLD, "local"))
        daemon.more[-2] = "deny-from unix"
        daemon.write_config()
        daemon.reload()
        self.assertFalse(check(self.path, USER, OLD, "local"))

    @unittest.skipUnless(shutil.which("php"), "takes php-cli")
    def test_php(self):
        """As Roundcube and Horde are told to: unix:///path, and port 0."""
        daemon = self.start()

        def change(old, new):
            return subprocess.run(
                ("php", "-n", "-r", PHP, f"unix://{self.path}", "0")
                + (USER, old, new),
                capture_output=True,
                timeout=60,
                check=False,
            )

        done = change(OLD, NEW)
        self.assertEqual((done.stdout, done.stderr), (CHANGED, b""))
        self.assertTrue(daemon.backend.has_password(USER, NEW))
        done = change(OLD, NEW)
        self.assertEqual((done.returncode, done.stdout), (1, WRONG))


class Access(Local):
    """Owner, group and mode."""

    def status(self):
        status = os.stat(self.path)
        self.assertTrue(stat.S_ISSOCK(status.st_mode))
        return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)

    def test_default(self):
        """Whatever the umask of who starts it."""
        for mask in (0o077, 0):
            daemon = self.make()
            before = os.umask(mask)
            try:
                daemon.start()
            finally:
                os.umask(before)
            self.assertEqual(
                self.status(), (os.geteuid(), os.getegid(), 0o660)
            )

    @needs_root
    def test_all_three(self):
        user = other_user()
        daemon = self.start(options="mode=0640 owner=nobody group=mail")
        group = grp.getgrnam("mail").gr_gid
        self.assertEqual(self.status(), (user.pw_uid, group, 0o640))
        inode = os.stat(self.path).st_ino
        client = self.connect()
        self.listen(daemon, "mode=0600")
        daemon.reload()
        self.assertEqual(self.status(), (0, 0, 0o600))
        self.assertEqual(os.stat(self.path).st_ino, inode)
        client.expect_open()

    def test_reload_that_fails_restores_it(self):
        """The new net cannot start: it wants more descriptors than there
        may be."""
        daemon = self.start(options="mode=0600")
        resource.prlimit(
            daemon.process.pid, resource.RLIMIT_NOFILE, (256, 256)
        )
        self.listen(daemon, "mode=0666")
        self.assertIn("open files", daemon.reload("reload_failed"))
        self.assertEqual(self.status()[2], 0o600)
        self.connect().expect_open()

    @needs_root
    def test_others_cannot_connect(self):
        self.start(options="mode=0660 group=mail")
        connect = (
            "import socket, sys\n"
            "socket.socket(socket.AF_UNIX).connect(sys.argv[1])\n"
        )

        def run_as(*groups):
            return subprocess.run(
                ("setpriv", "--reuid=nobody", "--regid=nogroup", *groups)
                + ("/usr/bin/python3", "-c", connect, self.path),
                capture_output=True,
                timeout=60,
                check=False,
            )

        self.assertIn(b"PermissionError", run_as("--clear-groups").stderr)
        self.assertEqual(run_as("--groups=mail").stderr, b"")

    @needs_root
    def test_there_is_no_moment_with_another_mode(self):
        """In the order of the system calls: the mode before the name, owner
        and group before anybody can connect."""
        daemon = self.make(options="mode=0600 owner=nobody")
        trace = daemon.path("trace")
        command = (
            *("strace", "-f", "-o", trace, "-e"),
            "trace=fchmod,bind,fchownat,listen",
            *daemon.command(),
        )
        with subprocess.Popen(command, stderr=subprocess.PIPE) as strace:
            log = Log(strace.stderr)
            log.wait_for("event=ready", harness.START_SEC)
            monitor = processes.descendants(strace.pid)[0]
            os.kill(monitor, signal.SIGTERM)
            strace.wait(harness.STOP_SEC)
            log.wait_end(60)
        with open(trace, encoding="ascii", errors="replace") as file:
            text = file.read()
        calls = re.findall(r"(?m)^\d+ +(\w+)\((\d+)", text)
        names = [name for name, _ in calls]
        until = names.index("listen") + 1
        self.assertEqual(names[:2], ["fchmod", "bind"], calls)
        self.assertRegex(text, rf"^\d+ +fchmod\({calls[0][1]}, 0600\) += 0\n")
        self.assertIn("fchownat", names[2:until], calls)
        self.assertEqual(
            {fd for name, fd in calls[:until] if name != "fchownat"},
            {calls[0][1]},
        )


class File(Local):
    """What was at the path before, and what is there afterwards."""

    def test_stale_socket_is_replaced(self):
        daemon = self.make()
        with socket.socket(socket.AF_UNIX) as old:
            old.bind(self.path)
            old.listen()
        daemon.start()
        self.connect().expect_open()

    def test_killed_monitor_leaves_what_the_next_replaces(self):
        daemon = self.start()
        family = processes.descendants(daemon.process.pid)
        daemon.signal(signal.SIGKILL)
        daemon.process.wait()
        for pid in family:
            self.assertTrue(processes.wait_gone(pid))
        self.assertTrue(os.path.exists(self.path))
        harness.Daemon.running.remove(daemon)
        daemon.start()
        self.connect().expect_open()

    def test_live_socket_is_refused(self):
        daemon = self.make()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            other.listen(0)
            self.assert_refused(daemon, "another process serves it")
            # A queue that is full does not make it a stale one.
            with socket.socket(socket.AF_UNIX) as waiting:
                waiting.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    waiting.connect(self.path)
                self.assert_refused(daemon, "another process serves it")
            inode = os.stat(self.path).st_ino
        self.assertEqual(os.stat(self.path).st_ino, inode)

    def test_second_daemon_is_refused(self):
        self.start()
        path = self.path
        second = self.make()
        second.more = [f"listen unix:{path}"]
        second.write_config()
        self.path = path
        self.assert_refused(second, "another process serves it")
        self.connect(path).expect_open()

    def test_file_is_refused(self):
        daemon = self.make()
        for make in (
            lambda: os.mknod(self.path),
            lambda: os.symlink("/dev/null", self.path),
            lambda: os.mkdir(self.path),
        ):
            make()
            self.assert_refused(daemon, "is there and is no socket")
            if os.path.isdir(self.path):
                os.rmdir(self.path)
            else:
                os.unlink(self.path)

    def test_missing_folder(self):
        daemon = self.make()
        self.path = daemon.path("nowhere/webmail.sock")
        self.listen(daemon, "")
        self.assert_refused(daemon, "the folder must be there")

    def test_folder_that_everybody_can_write_to(self):
        daemon = self.make()
        os.chmod(daemon.folder, 0o777)
        self.assert_refused(daemon, "chmod o-w the folder")
        os.chmod(daemon.folder, 0o1777)
        daemon.start()
        self.connect().expect_open()

    def test_unknown_owner_and_group(self):
        for option in ("owner", "group"):
            daemon = self.make(options=f"{option}=no-such-name")
            self.assert_refused(daemon, f"{option}=: no such ")
            done = daemon.run("--check-config")
            self.assertEqual(done.returncode, EX_CONFIG)
            self.assertIn(b"no such ", done.stderr)

    def test_owner_takes_root(self):
        daemon = harness.Daemon(
            Matrix({USER: OLD}), listens=(), unprivileged=True
        )
        self.addCleanup(daemon.remove)
        os.mkdir(daemon.path("run"))
        os.chown(daemon.path("run"), daemon.owner, -1)
        self.path = daemon.path("run/webmail.sock")
        self.listen(daemon, "owner=root")
        self.assert_refused(daemon, "only root can give it")
        self.assertEqual(os.listdir(daemon.path("run")), [])

    def test_removed_at_stop(self):
        daemon = self.start()
        self.assertTrue(os.path.exists(self.path))
        daemon.stop()
        self.assertFalse(os.path.exists(self.path))

    def test_successor_keeps_its_own(self):
        daemon = self.start()
        path = self.path
        os.rename(path, path + ".old")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            daemon.stop()
            self.assertTrue(os.path.exists(path))


class Reload(Local):
    def test_shared_over_a_reload(self):
        """No connection is lost, not even one that waits to be accepted."""
        daemon = self.start()
        inode = os.stat(self.path).st_ino
        before = self.connect()
        for _ in range(5):
            waiting = [Client(self.path) for _ in range(20)]
            daemon.reload()
            for client in waiting:
                with client:
                    self.assertRegex(client.line(), GREETING)
        self.assertEqual(os.stat(self.path).st_ino, inode)
        before.expect_open()
        self.connect().expect_open()

    def test_directive_that_goes_takes_the_file_along(self):
        daemon = self.start()
        old = self.path
        self.path = daemon.path("other.sock")
        self.listen(daemon, "")
        daemon.reload()
        self.assertFalse(os.path.exists(old))
        self.connect().expect_open()

    def test_bad_configuration_keeps_it(self):
        daemon = self.start()
        with open(daemon.config, "a", encoding="ascii") as file:
            file.write("no-such-directive\n")
        daemon.reload("reload_failed")
        self.connect().expect_open()

    def test_removed_file_is_made_anew(self):
        daemon = self.start()
        os.unlink(self.path)
        daemon.reload()
        self.connect().expect_open()

    def test_new_net_serves_it(self):
        daemon = self.start()
        mark = daemon.log.mark()
        os.kill(daemon.net_pid(), signal.SIGKILL)
        self.connect().expect_open()
        daemon.log.wait_for("event=ready", since=mark)


if __name__ == "__main__":
    harness.main()
