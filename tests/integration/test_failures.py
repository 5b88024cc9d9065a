"""What can go wrong in the middle: each client gets its reply in time and is
told the truth, nothing is left running, and the database is whole."""

import contextlib
import errno
import fcntl
import os
import signal
import threading
import time

import accounts
import harness
import processes
from accounts import Matrix, Unix, needs_private_etc, shadow
from client import (
    ASK_NEW,
    ASK_OLD,
    CHANGED,
    TEMPORARY,
    UNKNOWN,
    Client,
    change,
    check,
    log_in,
)
from waiting import PATIENCE_SEC, Fifo, wait_until

OLD = "old-secret-0"
NEW = "new-secret-1"
#: where a test waits for it to be over; long enough for a busy machine
CHANGE_TIMEOUT = "change-timeout 6s"
USER = "alice" if accounts.is_root() else "virt.user"


def backend(before, behind=""):
    """pam_unix if it can be had, else pam_matrix, with lines around it."""
    if accounts.is_root():
        return Unix({USER: OLD}, before + accounts.SERVICE_PLAIN + behind)
    return Matrix({USER: OLD}, before)


class Held(harness.TestCase):
    """A daemon whose PAM stack a test can hold with a Fifo."""

    kind = "password"  # the stack that is held
    where = "before"  # the module that does the work
    with_family = False
    directives = ()

    def setUp(self):
        self.fifo = Fifo(f"{self.kind}:*", self.with_family)
        self.addCleanup(self.fifo.remove)
        line = f"{self.kind} optional pam_exec.so quiet {self.fifo.script}\n"
        lines = (line, "") if self.where == "before" else ("", line)
        self.daemon = harness.Daemon(
            backend(*lines),
            listens=("implicit",),
            directives=self.directives,
        )
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.stop)
        self.daemon.start()

    def stop(self):
        """Also checks the exit status, and that nothing is left."""
        self.fifo.open_gate()
        self.daemon.stop_if_running()
        if accounts.is_root():
            accounts.assert_database_whole()

    def connect(self):
        client = Client(self.daemon.port(), "implicit")
        self.addCleanup(client.close)
        return client

    def logged_in(self):
        client = self.connect()
        self.assertEqual(log_in(client, USER, OLD), ASK_NEW)
        return client

    def held_in_change(self):
        """A client that waits for the answer to NEWPASS, and its helper."""
        client = self.logged_in()
        client.send(b"NEWPASS " + NEW.encode() + b"\r\n")
        self.fifo.wait_reached()
        (helper,) = self.helpers()
        return client, helper

    def helpers(self):
        return [
            pid
            for pid in self.daemon.helper_pids()
            if processes.command(pid).startswith("poppassd-pam")
        ]

    def assert_password(self, password):
        self.assertTrue(self.daemon.backend.has_password(USER, password))

    def assert_works_again(self, current=OLD):
        """Another change goes through."""
        self.fifo.open_gate()
        reply, _ = change(
            self.daemon.port(), USER, current, "next-secret-2"
        )
        self.assertEqual(reply, CHANGED)
        self.assert_password("next-secret-2")

    def assert_family_is_there(self):
        wait_until(lambda: len(self.fifo.pids()) == 3, "the script's children")

    def assert_nothing_left(self):
        wait_until(
            lambda: not self.daemon.helper_pids() and not self.fifo.pids(),
            "no helper, and nothing that it started",
        )


class MidCommit(Held):
    """The stack is held while pam_chauthtok runs, before anything is
    written."""

    def test_net_killed(self):
        client, _ = self.held_in_change()
        mark = self.daemon.log.mark()
        old = self.daemon.net_pid()
        os.kill(old, signal.SIGKILL)
        self.daemon.log.wait_for(r"event=net_died\b", since=mark)
        self.daemon.log.wait_for(r"event=ready\b", since=mark)
        self.assertNotEqual(self.daemon.net_pid(), old)
        with contextlib.suppress(OSError):
            self.assertEqual(client.line(), b"")
        self.fifo.open_gate()
        self.daemon.log.wait_for(r"event=change_ok\b", since=mark)
        self.assert_password(NEW)
        self.assert_works_again(NEW)

    def test_net_killed_again_and_again(self):
        """Each time that it dies young it is started later."""
        for pause_sec in (0.1, 0.2, 0.4, 0.8):
            mark = self.daemon.log.mark()
            start = time.monotonic()
            os.kill(self.daemon.net_pid(), signal.SIGKILL)
            self.daemon.log.wait_for(r"event=ready\b", since=mark)
            self.assertGreaterEqual(time.monotonic() - start, pause_sec)
        self.assert_works_again()

    def test_monitor_told_to_stop(self):
        client, _ = self.held_in_change()
        idle = self.connect()
        mark = self.daemon.log.mark()
        self.daemon.signal(signal.SIGTERM)
        self.daemon.log.wait_for(r"event=stop\b", since=mark)
        self.assertIn(idle.line()[:4], (b"", b"500 "))
        self.assertIsNone(self.daemon.process.poll())
        self.fifo.open_gate()
        client.expect(CHANGED)
        self.daemon.finish()
        self.assert_password(NEW)

    def test_helper_told_to_stop(self):
        """By whatever stops a group of processes."""
        client, helper = self.held_in_change()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(helper, number)
        self.fifo.open_gate()
        client.expect(CHANGED)
        self.assert_password(NEW)

    def test_port_is_closed_while_a_stop_waits(self):
        """Nobody queues for a service that will not come."""
        client, _ = self.held_in_change()
        self.daemon.signal(signal.SIGTERM)
        wait_until(self.refuses, "the port is closed")
        self.fifo.open_gate()
        client.expect(CHANGED)
        self.daemon.finish()

    def refuses(self):
        try:
            Client(self.daemon.port()).close()
            return False
        except ConnectionRefusedError:
            return True

    def test_monitor_killed(self):
        """Nobody is there to tell; a change that runs is finished, and then
        nothing is left."""
        client, helper = self.held_in_change()
        family = (helper, self.daemon.net_pid(), self.daemon.keeper_pid())
        self.daemon.process.kill()
        self.fifo.open_gate()
        client.expect(CHANGED)
        self.assert_password(NEW)
        for pid in family:
            self.assertTrue(processes.wait_gone(pid))
        self.daemon.kill()

    def test_client_gone(self):
        client, _ = self.held_in_change()
        mark = self.daemon.log.mark()
        client.reset()
        self.fifo.open_gate()
        self.daemon.log.wait_for(r"event=change_ok\b", since=mark)
        self.assert_password(NEW)

    def test_helper_killed(self):
        client, helper = self.held_in_change()
        mark = self.daemon.log.mark()
        os.kill(helper, signal.SIGKILL)
        client.expect(UNKNOWN)
        client.expect_close()
        self.daemon.log.wait_for(r"event=change_unknown\b", since=mark)
        self.assert_nothing_left()
        self.assert_password(OLD)
        self.assert_works_again()

    def test_reload(self):
        client, _ = self.held_in_change()
        mark = self.daemon.log.mark()
        self.daemon.signal(signal.SIGHUP)
        self.daemon.log.wait_for(r"event=reload_ok\b", since=mark)
        self.fifo.open_gate()
        client.expect(CHANGED)
        self.assert_password(NEW)


class BeforeNewpass(Held):
    def test_helper_killed(self):
        client = self.logged_in()
        (helper,) = self.helpers()
        os.kill(helper, signal.SIGKILL)
        self.daemon.log.wait_for(r"event=temporary_failure\b")
        with contextlib.suppress(OSError):  # closed already
            client.send(b"NEWPASS " + NEW.encode() + b"\r\n")
        client.expect(TEMPORARY)
        client.expect_close()
        self.assert_password(OLD)
        self.assert_works_again()

    def test_client_gone(self):
        client = self.logged_in()
        (helper,) = self.helpers()
        client.close()
        self.assertTrue(processes.wait_gone(helper))
        self.assert_works_again()

    def test_net_killed(self):
        self.logged_in()
        (helper,) = self.helpers()
        mark = self.daemon.log.mark()
        os.kill(self.daemon.net_pid(), signal.SIGKILL)
        self.assertTrue(processes.wait_gone(helper))
        self.daemon.log.wait_for(r"event=ready\b", since=mark)
        self.assert_works_again()

    def test_monitor_killed(self):
        """Nobody is there to tell, and nobody waits."""
        client = self.logged_in()
        family = processes.descendants(self.daemon.process.pid)
        self.assertEqual(len(family), 3, "net, keeper and helper")
        self.daemon.process.kill()
        self.assertIn(client.line()[:4], (b"", b"500 "))
        for pid in family:
            self.assertTrue(processes.wait_gone(pid))
        self.daemon.kill()
        self.assert_password(OLD)

    def test_monitor_told_to_stop(self):
        """Nothing has begun: nobody waits."""
        client = self.logged_in()
        self.daemon.signal(signal.SIGTERM)
        self.daemon.finish()
        self.assertIn(client.line()[:4], (b"", b"500 "))
        self.assert_password(OLD)


class AuthHeld(Held):
    """The stack is held while pam_authenticate runs."""

    kind = "auth"

    def held_in_auth(self):
        client = self.connect()
        client.say(b"USER " + USER.encode(), ASK_OLD[:-2])
        client.send(b"PASS " + OLD.encode() + b"\r\n")
        self.fifo.wait_reached()
        (helper,) = self.helpers()
        return client, helper


class InAuth(AuthHeld):
    def test_helper_killed(self):
        client, helper = self.held_in_auth()
        os.kill(helper, signal.SIGKILL)
        client.expect(TEMPORARY)
        client.expect_close()
        self.assert_nothing_left()
        self.assert_works_again()

    def test_client_gone(self):
        """What its PAM stack waits for is no reason to stay."""
        client, helper = self.held_in_auth()
        client.reset()
        self.fifo.open_gate()
        self.assertTrue(processes.wait_gone(helper))
        self.assert_works_again()


class Queued(harness.TestCase):
    """A helper that waits for others to let go of the only run slot."""

    def test_it_waits_longer_than_a_client_may(self):
        fifo = Fifo("auth:first.user")
        self.addCleanup(fifo.remove)
        line = f"auth optional pam_exec.so quiet {fifo.script}\n"
        daemon = self.start_daemon(
            Matrix({"first.user": OLD, "second.user": OLD}, line),
            listens=("implicit",),
            directives=("run-slots 1", "command-timeout 1s"),
        )
        with Client(daemon.port(), "implicit") as first:
            first.say(b"USER first.user", ASK_OLD[:-2])
            first.send(b"PASS " + OLD.encode() + b"\r\n")
            fifo.wait_reached()
            timer = threading.Timer(2, fifo.open_gate)
            self.addCleanup(timer.join)
            timer.start()
            with Client(daemon.port(), "implicit") as second:
                self.assertEqual(log_in(second, "second.user", OLD), ASK_NEW)
            self.assertEqual(first.line(), ASK_NEW)


class HungInAuth(AuthHeld):
    """The gate stays closed, and there are children in other sessions."""

    with_family = True
    directives = (CHANGE_TIMEOUT,)

    def test_reply_in_time_and_nothing_left(self):
        client, _ = self.held_in_auth()
        self.assert_family_is_there()
        client.expect(TEMPORARY)
        client.expect_close()
        self.assert_nothing_left()
        self.assert_works_again()


@needs_private_etc
class HungUnseen(HungInAuth):
    """The same, with a /proc that shows the monitor no process of a user."""

    def setUp(self):
        accounts.run(
            *("mount", "-t", "proc", "-o", "hidepid=2,gid=12345"),
            *("proc", "/proc"),
        )
        self.addCleanup(accounts.run, "umount", "/proc")
        super().setUp()


class HungInChange(Held):
    """The same, before pam_unix has written."""

    with_family = True
    directives = (CHANGE_TIMEOUT,)
    stored = OLD

    def test_reply_in_time_and_nothing_left(self):
        client, _ = self.held_in_change()
        self.assert_family_is_there()
        client.expect(UNKNOWN)
        client.expect_close()
        self.assert_nothing_left()
        self.daemon.log.wait_for(r"event=change_unknown\b")
        self.assert_password(self.stored)
        self.assert_works_again(self.stored)


@needs_private_etc
class HungBehindChange(HungInChange):
    """The same, when pam_unix has written: the new password works, and
    nobody was told otherwise."""

    where = "behind"
    stored = NEW


@needs_private_etc
class NamesHung(harness.TestCase):
    """Whoever looks up a name waits for ever: a directory that is gone."""

    def serve(self, *directives):
        """Returns the daemon's processes but the monitor."""
        self.daemon = harness.Daemon(
            Unix({"alice": OLD}), listens=("implicit",), directives=directives
        )
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.daemon.kill)
        self.daemon.start()
        os.rename("/etc/passwd", "/etc/passwd.away")
        self.addCleanup(os.rename, "/etc/passwd.away", "/etc/passwd")
        os.mkfifo("/etc/passwd")
        return self.family()

    def family(self):
        return processes.descendants(self.daemon.process.pid)

    def test_it_ends_as_one_that_hangs_in_pam(self):
        """Or it would keep a helper's place for as long as a client may think,
        and a stop waiting."""
        before = self.serve(
            "change-timeout 1s", "fail-delay 0s", "command-timeout 1h"
        )
        with Client(self.daemon.port(), "implicit") as client:
            self.assertEqual(log_in(client, "alice", OLD), TEMPORARY)
        self.daemon.log.wait_for(
            r"event=temporary_failure .*its time was over"
        )
        wait_until(lambda: self.family() == before, "nothing is left")
        self.daemon.stop()

    def test_it_holds_nothing_open(self):
        """When the monitor is killed, net sees that all the same."""
        before = self.serve()
        with Client(self.daemon.port(), "implicit") as client:
            client.say(b"USER alice", ASK_OLD[:-2])
            client.send(b"PASS " + OLD.encode() + b"\r\n")
            wait_until(lambda: set(self.family()) - set(before), "the helper")
            (hung,) = set(self.family()) - set(before)
            self.daemon.process.kill()
            gone = [processes.wait_gone(pid) for pid in before]
            os.kill(hung, signal.SIGKILL)
        self.assertEqual(gone, [True, True], "net and keeper")


@needs_private_etc
class Database(harness.TestCase):
    """Others hold the database's lock; the disk is full."""

    def serve(self, *directives):
        self.daemon = self.start_daemon(
            Unix(dict.fromkeys(("alice", "bob"), OLD)),
            listens=("implicit",),
            directives=directives,
        )
        self.before = shadow()

    def tearDown(self):
        accounts.assert_database_whole()

    @contextlib.contextmanager
    def lock(self):
        """What lckpwdf() takes."""
        with open("/etc/.pwd.lock", "wb") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            yield
        # closing has released it

    def test_lock_held_longer_than_any_client_waits(self):
        self.serve(CHANGE_TIMEOUT)
        clients = []
        with self.lock():
            for user in ("alice", "bob"):
                client = Client(self.daemon.port(), "implicit")
                self.addCleanup(client.close)
                self.assertEqual(log_in(client, user, OLD), ASK_NEW)
                client.send(b"NEWPASS " + NEW.encode() + b"\r\n")
                clients.append(client)
            for client in clients:
                client.expect_match(rb"500 [ -~]+\r\n")
                client.expect_close()
            wait_until(
                lambda: not self.daemon.helper_pids(), "no helper left"
            )
            self.assertEqual(shadow(), self.before)
        self.assertEqual(
            change(self.daemon.port(), "alice", OLD, NEW)[0], CHANGED
        )

    def test_lock_held_for_a_while(self):
        self.serve()
        release = threading.Event()
        taken = threading.Event()

        def hold():
            with self.lock():
                taken.set()
                release.wait(PATIENCE_SEC)

        thread = threading.Thread(target=hold)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(release.set)
        taken.wait(PATIENCE_SEC)
        timer = threading.Timer(2, release.set)
        timer.start()
        self.addCleanup(timer.cancel)
        reply, _ = change(self.daemon.port(), "alice", OLD, NEW)
        self.assertEqual(reply, CHANGED)

    def test_disk_full(self):
        self.serve()
        filler = "/run/filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
        try:
            reply, _ = change(self.daemon.port(), "alice", OLD, NEW)
        finally:
            os.unlink(filler)
        self.assertRegex(reply, rb"^500 [ -~]+\r\n$")
        self.assertNotEqual(reply, UNKNOWN)
        self.assertEqual(shadow(), self.before)
        self.assertTrue(check(self.daemon.port(), "alice", OLD))
        self.assertEqual(
            change(self.daemon.port(), "alice", OLD, NEW)[0], CHANGED
        )


if __name__ == "__main__":
    harness.main(private_etc=True)
