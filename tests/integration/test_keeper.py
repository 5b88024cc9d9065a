"""The process that holds the private keys: its end, its silence, its
successor."""

import os
import signal
import ssl

import harness
import processes
from accounts import Matrix, needs_root
from client import CHANGED, Client, change
from waiting import wait_until

OLD = "old-secret-0"
NEW = "new-secret-1"
USER = "virt.user"


@needs_root
class Keeper(harness.TestCase):
    def setUp(self):
        self.daemon = harness.Daemon(Matrix({USER: OLD}))
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.daemon.stop_if_running)
        self.daemon.start()

    def assert_serves(self):
        self.daemon.backend.set_passwords({USER: OLD})
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
        self.assertTrue(processes.wait_gone(keeper, 10))
        self.assertEqual(self.daemon.log.find("keys: ", since=mark), [])
        self.assert_serves()

    def test_silent(self):
        """A handshake fails in bounded time; the next ones get the answers
        to their own questions."""
        keeper = self.daemon.keeper_pid()
        os.kill(keeper, signal.SIGSTOP)
        try:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                Client(self.daemon.port(), "implicit").close()
            self.daemon.log.wait_for(r"event=tls_failed\b")
        finally:
            os.kill(keeper, signal.SIGCONT)
        for _ in range(3):
            self.assert_serves()

    def test_reload_starts_another(self):
        keeper = self.daemon.keeper_pid()
        self.daemon.signal(signal.SIGHUP)
        self.daemon.log.wait_for(r"event=reload_ok\b")
        self.assertTrue(processes.wait_gone(keeper, 10))
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
