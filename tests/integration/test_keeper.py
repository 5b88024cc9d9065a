"""The process that holds the private keys: its end, its silence, its
successor."""

import os
import signal
import ssl

import harness
import processes
from accounts import Matrix, needs_root
from client import ASK_NEW, CHANGED, Client, change, log_in
from waiting import in_parallel, wait_until

OLD = "old-secret-0"
NEW = "new-secret-1"
USER = "virt.user"
OTHER = "virt.other"


@needs_root
class Keeper(harness.TestCase):
    def setUp(self):
        self.daemon = harness.Daemon(Matrix({USER: OLD, OTHER: OLD}))
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.daemon.stop_if_running)
        self.daemon.start()

    def assert_serves(self):
        self.daemon.backend.set_passwords({USER: OLD, OTHER: OLD})
        reply, _ = change(self.daemon.port(), USER, OLD, NEW)
        self.assertEqual(reply, CHANGED)

    def test_killed(self):
        """Net, which can do nothing without, goes with it; both come back."""
        net, keeper = self.daemon.net_pid(), self.daemon.keeper_pid()
        mark = self.daemon.log.mark()
        os.kill(keeper, signal.SIGKILL)
        self.daemon.log.wait_for(r"keys: process \d+: ended", since=mark)
        self.daemon.log.wait_for(r"event=net_died\b", since=mark)
        self.daemon.log.wait_for(r"event=ready\b", since=mark)
        self.assertNotEqual(self.daemon.net_pid(), net)
        self.assertNotEqual(self.daemon.keeper_pid(), keeper)
        self.assert_serves()

    def test_ends_with_its_net(self):
        net, keeper = self.daemon.net_pid(), self.daemon.keeper_pid()
        mark = self.daemon.log.mark()
        os.kill(net, signal.SIGKILL)
        self.daemon.log.wait_for(r"event=ready\b", since=mark)
        self.assertTrue(processes.wait_gone(keeper))
        self.assertEqual(self.daemon.log.find("keys: ", since=mark), [])
        self.assert_serves()

    def test_silent(self):
        """It is waited for once; then another net, with another keeper, is
        there for those who connect, and the old one for those it has."""
        net, keeper = self.daemon.net_pid(), self.daemon.keeper_pid()
        mark = self.daemon.log.mark()
        with Client(self.daemon.port(), "implicit") as early:
            self.assertEqual(log_in(early, OTHER, OLD), ASK_NEW)
            os.kill(keeper, signal.SIGSTOP)
            was_refused = in_parallel(self.is_refused, range(8))
            self.daemon.log.wait_for(
                rf"keys: process {keeper}: does not answer", since=mark
            )
            self.daemon.log.wait_for(r"event=ready\b", since=mark)
            self.assertIn(True, was_refused)
            self.assert_serves()
            early.say(b"NEWPASS " + NEW.encode(), CHANGED[:-2])
            self.assertIn(net, self.daemon.net_pids())
        for pid in (net, keeper):
            self.assertTrue(processes.wait_gone(pid))
        self.assertEqual(self.daemon.log.find("net_died", since=mark), [])
        refused = self.daemon.log.find(
            'event=tls_failed .*reason="the keeper of the keys', since=mark
        )
        self.assertEqual(len(refused), was_refused.count(True))
        self.assert_serves()

    def is_refused(self, _):
        try:
            Client(self.daemon.port(), "implicit").close()
        except (ssl.SSLError, ConnectionError):
            return True
        return False

    def test_reload_starts_another(self):
        keeper = self.daemon.keeper_pid()
        self.daemon.signal(signal.SIGHUP)
        self.daemon.log.wait_for(r"event=reload_ok\b")
        self.assertTrue(processes.wait_gone(keeper))
        wait_until(
            lambda: len(self.daemon.net_pids()) == 1, "the old net is left"
        )
        self.assertNotEqual(self.daemon.keeper_pid(), keeper)
        self.assert_serves()

    def test_signals_for_all(self):
        """What a service manager sends to every process is the monitor's to
        heed."""
        keeper = self.daemon.keeper_pid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(keeper, number)
        self.assert_serves()
        self.assertEqual(self.daemon.keeper_pid(), keeper)


if __name__ == "__main__":
    harness.main()
