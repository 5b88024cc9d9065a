"""The log where there is no standard error: syslog, facility auth."""

import os
import re
import socket
import stat
import subprocess

import accounts
import harness
from accounts import Matrix, needs_private_etc
from client import Client

AUTH = 4 << 3
PRIORITIES = {
    "start": 5,
    "not_root": 4,
    "self_signed": 4,
    "ready": 5,
    "clear_refused": 5,
}
DEVICES = {"null": (1, 3), "random": (1, 8), "urandom": (1, 9)}


@needs_private_etc
class Syslog(harness.TestCase):
    def setUp(self):
        """A /dev of our own, with us as the system's log."""
        accounts.run("mount", "-t", "tmpfs", "poppassd", "/dev")
        self.addCleanup(accounts.run, "umount", "/dev")
        for name, (major, minor) in DEVICES.items():
            os.mknod(
                f"/dev/{name}",
                stat.S_IFCHR | 0o666,
                os.makedev(major, minor),
            )
        self.log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.log.close)
        self.log.bind("/dev/log")
        self.log.settimeout(harness.START_SEC)

    def serve(self, target):
        """The daemon, with standard error on /dev/null."""
        daemon = harness.Daemon(Matrix({}), listens=("starttls",))
        self.addCleanup(daemon.remove)
        lines = (re.sub("log-target.*", target, x) for x in daemon.lines())
        daemon.write_config(list(lines))
        with open("/dev/null", "r+b") as null:
            process = subprocess.Popen(
                daemon.command(), stdin=null, stdout=null, stderr=null
            )
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        return daemon, process

    def wait_for(self, event, process):
        """Reads lines up to this event; each must look like one of ours."""
        seen = None
        while seen != event:
            line = self.log.recv(8192).decode("ascii")
            found = re.fullmatch(
                r"<(\d+)>\w{3} [ \d]\d [\d:]{8} poppassd\[(\d+)\]: "
                r"event=(\w+)( [ -~]*)?",
                line,
            )
            self.assertTrue(found, line)
            seen = found[3]
            self.assertEqual(int(found[1]), AUTH + PRIORITIES[seen], line)
            self.assertEqual(int(found[2]), process.pid)

    def test_lines(self):
        for target in ("log-target syslog", "log-target auto"):
            with self.subTest(target):
                daemon, process = self.serve(target)
                self.wait_for("ready", process)
                with Client(daemon.port("starttls")) as client:
                    client.line()
                    client.send(b"USER bob\r\n")
                    client.line()
                self.wait_for("clear_refused", process)

    def test_started_by_inetd(self):
        """A line for the administrator, and nothing for the client."""
        daemon = harness.Daemon(Matrix({}))
        self.addCleanup(daemon.remove)
        daemon.write_config()
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            self.addCleanup(client.close)
            with server.accept()[0] as end:
                done = subprocess.run(
                    daemon.command(),
                    stdin=end,
                    stdout=end,
                    stderr=end,
                    timeout=harness.START_SEC,
                    check=False,
                )
        self.assertEqual(done.returncode, os.EX_USAGE)
        self.assertEqual(client.recv(1000), b"")
        self.assertRegex(self.log.recv(8192), rb"poppassd\[.*inetd\.conf")


if __name__ == "__main__":
    harness.main(private_etc=True)
