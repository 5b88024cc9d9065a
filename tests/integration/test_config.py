"""Configuration: checking, dumping, what keeps the daemon from starting, and
the reload that is all or nothing."""

import contextlib
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import unittest

import accounts
import certificates
import harness
import processes
from accounts import Matrix
from client import ASK_NEW, BYE, CHANGED, Client, context, log_in
from waiting import wait_until

OLD = "old-secret-0"
NEW = "new-secret-1"
USER = "virt.user"
EX_CONFIG = 78


def has_ipv6():
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
            return True
    return False


def n_filters(pid):
    """Of system calls. Net begins with the monitor's and adds its own."""
    return int(processes.status(pid)["Seccomp_filters"])


class Configured(harness.TestCase):
    """A daemon that is not started, with a folder of its own."""

    def setUp(self):
        self.daemon = harness.Daemon(
            Matrix({USER: OLD}), listens=("implicit",)
        )
        self.addCleanup(self.daemon.remove)

    def check(self, *more, drop=None):
        """--check-config with more lines, and without those that match
        drop. Returns the status and the text."""
        lines = [
            line
            for line in self.daemon.lines()
            if drop is None or not re.match(drop, line)
        ]
        self.daemon.write_config(lines + list(more))
        done = self.daemon.run("--check-config")
        return done.returncode, (done.stdout + done.stderr).decode()

    def assert_refused(self, *words):
        """Neither --check-config nor the start accepts the configuration,
        and both say all the words."""
        for arguments in (("--check-config",), ()):
            done = self.daemon.run(*arguments)
            text = (done.stdout + done.stderr).decode()
            self.assertEqual(done.returncode, EX_CONFIG, text)
            for word in words:
                self.assertIn(word, text)


class Check(Configured):
    def test_good_configuration(self):
        status, text = self.check()
        self.assertEqual(status, 0, text)

    def test_checking_opens_no_port(self):
        """So that it can be done beside the running daemon."""
        with harness.Daemon(Matrix({}), listens=("implicit",)) as daemon:
            self.assertEqual(daemon.run("--check-config").returncode, 0)

    @accounts.needs_root
    def test_helper_that_is_not_roots_alone(self):
        """What is run as root must be."""
        self.daemon.copy_programs()
        helper = self.daemon.path("libexec/poppassd/poppassd-pam")
        self.assertEqual(self.check()[0], 0)
        for mode, owner in ((0o757, 0), (0o775, 0), (0o755, harness.NOBODY)):
            os.chmod(helper, mode)
            os.chown(helper, owner, -1)
            status, text = self.check()
            self.assertEqual(status, 78)
            self.assertIn("poppassd-pam: must belong to root", text)

    def test_all_errors_at_once(self):
        status, text = self.check(
            "min-uidd 1000",
            "fail-delay 2 parsecs",
            "max-helpers 0",
            "virtual-users perhaps",
            "user nobody",
        )
        self.assertEqual(status, EX_CONFIG)
        first = len(self.daemon.lines()) + 1
        for line in range(first, first + 5):
            self.assertIn(f"{self.daemon.config}:{line}: ", text)
        self.assertIn('did you mean "min-uid"', text)
        self.assertRegex(text, r"\b5 errors\b")

    def test_unknown_file(self):
        os.unlink(self.daemon.config)
        self.assert_refused(self.daemon.config)

    def test_conf_d_beside_a_link(self):
        """Looked for in one place, whatever the program is asked to do."""
        folder = self.daemon.path("conf.d")
        os.mkdir(folder)
        with open(folder + "/x.conf", "w", encoding="ascii") as file:
            file.write("no-such-directive\n")
        os.mkdir(self.daemon.path("elsewhere"))
        target = self.daemon.path("elsewhere/poppassd.conf")
        os.rename(self.daemon.config, target)
        os.symlink(target, self.daemon.config)
        self.assert_refused("conf.d/x.conf:1: ", "no-such-directive")

    def test_writable_by_others(self):
        os.chmod(self.daemon.config, 0o666)
        self.assert_refused(self.daemon.config, "chmod go-w")

    def test_no_certificate(self):
        status, text = self.check(drop="tls-")
        self.assertEqual(status, EX_CONFIG)
        self.assertIn("tls-certificate", text)

    def test_unknown_user(self):
        if not accounts.is_root():
            self.skipTest("takes root: else no user is changed to")
        status, text = self.check("user no-such-user", drop="user ")
        self.assertEqual(status, EX_CONFIG)
        self.assertIn("no-such-user", text)
        self.assertIn("useradd", text)

    def test_no_service_file(self):
        os.unlink(self.daemon.backend.service)
        self.assert_refused(self.daemon.backend.service, "pam-service")

    def test_other_service_file_does_not_serve(self):
        service = self.daemon.backend.service
        os.rename(service, os.path.join(os.path.dirname(service), "other"))
        self.assert_refused("pam-service")

    def test_dump_round_trip(self):
        """What is dumped, read and dumped again is the same text."""
        self.daemon.more += [
            'greeting "a \\"quoted\\" \\\\ word"',
            'pam-prompt new "(?i)^neues kennwort"',
            "command-timeout 1500ms",
        ]
        self.daemon.write_config()
        first = self.daemon.run("--dump-config")
        self.assertEqual(first.returncode, 0, first.stderr)
        self.daemon.write_config([first.stdout.decode()])
        second = self.daemon.run("--dump-config")
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertEqual(first.stdout, second.stdout)
        for word in (b"fail-delay", b"neues kennwort", b"max-sessions 1000"):
            self.assertIn(word, first.stdout)

    def test_version_and_usage(self):
        done = self.daemon.run("--version")
        self.assertRegex(done.stdout, rb"^poppassd 2\.\d+\.\d+\n$")
        done = self.daemon.run("--no-such-option")
        self.assertEqual(done.returncode, 64)
        self.assertIn(b"usage:", done.stderr)


class Certificates(Configured):
    """Each message names the file, the date, and what to do."""

    def set_pair(self, certificate):
        self.daemon.pairs = [certificate]
        self.daemon.install_pairs()

    def test_missing(self):
        names = ("tls-certificate", "tls-key")
        starts = [line.split()[0] for line in self.daemon.lines()]
        for name, path in zip(names, self.daemon.pair_paths()):
            with self.subTest(path):
                self.daemon.install_pairs()
                os.unlink(path)
                place = f"{self.daemon.config}:{starts.index(name) + 1}: "
                self.assert_refused(f"{place}{name} {path}: No such file")

    def test_unreadable(self):
        """As root there are no unreadable files: as nobody."""
        daemon = harness.Daemon(Matrix({}), unprivileged=True)
        self.addCleanup(daemon.remove)
        path = daemon.pair_paths()[1]
        os.chmod(path, 0)
        done = daemon.run("--check-config")
        self.assertEqual(done.returncode, EX_CONFIG)
        self.assertIn(path, done.stderr.decode())
        self.assertIn("ermission denied", done.stderr.decode())

    def test_expired(self):
        self.set_pair(
            certificates.make(lifetime=("20200101000000Z", "20200201000000Z"))
        )
        self.assert_refused(self.daemon.pair_paths()[0], "expired", "2020")

    def test_not_yet_valid(self):
        self.set_pair(
            certificates.make(lifetime=("20900101000000Z", "20910101000000Z"))
        )
        self.assert_refused(self.daemon.pair_paths()[0], "2090")

    def test_key_of_another_certificate(self):
        other = certificates.make(serial=1)
        first = certificates.make()
        self.set_pair(first._replace(key=other.key))
        self.assert_refused(*self.daemon.pair_paths())

    def test_too_weak(self):
        self.set_pair(certificates.make(kind="short-rsa"))
        self.assert_refused(self.daemon.pair_paths()[0], "too small")

    def test_key_that_others_can_read(self):
        path = self.daemon.pair_paths()[1]
        os.chmod(path, 0o644)
        self.assert_refused(path, "chmod")

    def test_not_pem(self):
        path = self.daemon.pair_paths()[0]
        with open(path, "wb") as file:
            file.write(b"\x30\x82\x01\x00 not text")
        self.assert_refused(path, "PEM")

    def test_self_signed_is_a_warning(self):
        with self.daemon:
            path, _ = self.daemon.pair_paths()
            self.daemon.log.wait_for(f'event=self_signed reason="{path}: ')

    def test_issued_is_none(self):
        issued = certificates.issue(
            certificates.authority(), "/CN=localhost", usage="serverAuth"
        )
        self.daemon.pairs = [issued]
        self.daemon.install_pairs()
        with self.daemon:
            self.assertFalse(self.daemon.log.find("event=self_signed"))

    def test_file_that_holds_both(self):
        path, key = self.daemon.pair_paths()
        with open(path, "ab") as target, open(key, "rb") as source:
            target.write(source.read())
        status, text = self.check(drop="tls-key")
        self.assertEqual(status, 0, text)


class Ports(Configured):
    @unittest.skipUnless(has_ipv6(), "takes IPv6")
    def test_wildcard_serves_both_families(self):
        """And the log writes IPv4 as IPv4."""
        port = self.daemon.port()
        lines = [x for x in self.daemon.lines() if "listen" not in x]
        self.daemon.write_config([f"listen *:{port} tls=starttls", *lines])
        self.addCleanup(self.daemon.stop_if_running)
        self.daemon.start()
        for host in ("127.0.0.1", "::1"):
            with self.subTest(host):
                with socket.create_connection((host, port)) as client:
                    client.sendall(b"USER bob\r\n")
                    self.daemon.log.wait_for(
                        rf"event=clear_refused peer={host} port=\d+ "
                        rf"listener=\*:{port}$"
                    )

    def test_second_daemon_on_the_same_port(self):
        with self.daemon as daemon:
            again = daemon.run()
            text = again.stderr.decode()
            self.assertNotEqual(again.returncode, 0)
            self.assertIn(f"127.0.0.1:{daemon.port()}", text)
            self.assertIn("ddress already in use", text)

    def test_port_is_free_at_once_after_a_stop(self):
        with self.daemon as daemon:
            client = Client(daemon.port(), "implicit")
            self.addCleanup(client.close)
            daemon.stop()
            daemon.start()
            Client(daemon.port(), "implicit").close()

    def test_default_greeting_names_the_host(self):
        with self.daemon as daemon:
            client = Client(daemon.port(), "implicit")
            self.addCleanup(client.close)
            self.assertEqual(
                client.greeting,
                f"200 {socket.gethostname()} poppassd v2 hello, "
                "who are you?\r\n".encode(),
            )

    @accounts.needs_root
    def test_greeting_of_a_host_with_an_odd_name(self):
        """The kernel takes any bytes; a greeting is one printable line."""
        set_name = (
            "import os, socket, sys\n"
            "socket.sethostname(sys.argv[1])\n"
            "os.execv(sys.argv[2], sys.argv[2:])\n"
        )
        for name in ("m\u00fcller", "a\r\n200 b", "a b", ""):
            done = subprocess.run(
                ("unshare", "-u", sys.executable, "-c", set_name, name)
                + self.daemon.command("--dump-config"),
                capture_output=True,
                check=True,
            )
            self.assertIn(
                b'\ngreeting "localhost poppassd v2 hello, who are you?"\n',
                done.stdout,
            )

    def test_configured_greeting(self):
        self.daemon.more.append('greeting "Grüezi? no: plain \\"ASCII\\""')
        self.daemon.write_config()
        self.assert_refused("greeting")
        self.daemon.more[-1] = 'greeting "mail.example.com \\"ready\\""'
        self.daemon.write_config()
        with self.daemon as daemon:
            client = Client(daemon.port(), "implicit")
            self.addCleanup(client.close)
            self.assertEqual(
                client.greeting, b'200 mail.example.com "ready"\r\n'
            )

    def test_minimum_version(self):
        self.daemon.more.append("tls-minimum-version 1.3")
        self.daemon.write_config()
        with self.daemon as daemon:
            with self.assertRaises(ssl.SSLError):
                Client(
                    daemon.port(),
                    "implicit",
                    tls=context(version=ssl.TLSVersion.TLSv1_2),
                )
            Client(daemon.port(), "implicit").close()


class Reload(Configured):
    """SIGHUP: all or nothing, and no session is cut."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.daemon.stop_if_running)
        self.daemon.start()
        self.first = self.daemon.pairs[0]

    def reload(self, event):
        return self.daemon.reload(event)

    def connect(self, certificate=None):
        client = Client(
            self.daemon.port(), "implicit", tls=context(certificate)
        )
        self.addCleanup(client.close)
        return client

    def assert_changes(self, client):
        self.assertEqual(log_in(client, USER, OLD), ASK_NEW)
        client.say(b"NEWPASS " + NEW.encode(), CHANGED[:-2])
        client.say(b"QUIT", BYE[:-2])
        client.expect_close()

    def test_bad_configuration_keeps_the_old_one(self):
        net = self.daemon.net_pid()
        client = self.connect()
        self.daemon.write_config(self.daemon.lines() + ["no-such-directive"])
        text = self.reload("reload_failed")
        self.assertIn("no-such-directive", text)
        self.assertEqual(self.daemon.net_pid(), net)
        self.assert_changes(client)
        self.connect(self.first).expect_open()
        self.assertEqual(self.daemon.net_pid(), net)

    def test_bad_certificate_keeps_the_old_one(self):
        self.daemon.pairs = [
            certificates.make(lifetime=("20200101000000Z", "20200201000000Z"))
        ]
        self.daemon.install_pairs()
        text = self.reload("reload_failed")
        self.assertIn("2020", text)
        self.connect(self.first).expect_open()

    def test_new_certificate_while_a_session_is_open(self):
        waiting = self.connect()
        logged_in = self.connect()
        self.assertEqual(log_in(logged_in, USER, OLD), ASK_NEW)
        old_net = self.daemon.net_pid()
        self.daemon.pairs = [certificates.make(serial=2)]
        self.daemon.install_pairs()
        self.reload("reload_ok")
        self.connect(self.daemon.pairs[0]).expect_open()
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect(self.first)
        waiting.expect_open()
        logged_in.say(b"NEWPASS " + NEW.encode(), CHANGED[:-2])
        logged_in.say(b"QUIT", BYE[:-2])
        self.assertTrue(self.daemon.backend.has_password(USER, NEW))
        waiting.say(b"QUIT", BYE[:-2])
        self.assertTrue(processes.wait_gone(old_net))
        self.assertNotEqual(self.daemon.net_pid(), old_net)

    def test_drain_has_an_end(self):
        self.daemon.more.append("drain-timeout 1s")
        self.daemon.write_config()
        self.reload("reload_ok")
        client = self.connect()
        client.expect_open()
        net = self.daemon.net_pid()
        self.reload("reload_ok")
        self.assertTrue(processes.wait_gone(net))

    def test_new_port(self):
        old = self.daemon.port()
        self.daemon.choose_ports()
        self.reload("reload_ok")
        self.connect().expect_open()
        self.wait_until_refused(old)

    @accounts.needs_root
    def test_new_port_below_1024(self):
        """As at the start, though root has few capabilities by then."""
        old = self.daemon.port()
        self.daemon.ports["implicit"] = harness.free_port(512, 1024)
        self.daemon.write_config()
        self.reload("reload_ok")
        self.connect().expect_open()
        self.wait_until_refused(old)

    def wait_until_refused(self, port):
        """The old net process has its listeners until it hears of it."""

        def is_refused():
            try:
                Client(port).close()
                return False
            except ConnectionRefusedError:
                return True

        wait_until(is_refused, f"port {port} is closed")

    def serve_on(self, *addresses):
        """Starts anew with these; returns the configuration without the
        last."""
        port = self.daemon.port()
        self.daemon.stop()
        both = [f"listen {a}:{port} tls=implicit" for a in addresses]
        others = [x for x in self.daemon.lines() if "listen" not in x]
        self.daemon.write_config(others + both)
        self.daemon.start()
        self.connect().expect_open()
        return others + both[:-1]

    @unittest.skipUnless(has_ipv6(), "takes IPv6")
    def test_ipv4_of_a_wildcard_is_not_lost(self):
        """The socket cannot be made to serve it; nobody must believe so."""
        lines = self.serve_on("[::]", "127.0.0.1")
        self.daemon.write_config(lines)
        text = self.reload("reload_failed")
        self.assertIn("restart", text)
        self.connect().expect_open()

    @unittest.skipUnless(has_ipv6(), "takes IPv6")
    def test_ipv6_address_does_not_care_for_ipv4(self):
        lines = self.serve_on("[::1]", "127.0.0.1")
        self.daemon.write_config(lines)
        self.reload("reload_ok")
        self.wait_until_refused(self.daemon.port())

    def hold_a_reload(self):
        """Starts one, and stops the new net process before it is ready."""
        (serving,) = self.daemon.net_pids()
        n_served = n_filters(serving)
        self.daemon.signal(signal.SIGHUP)
        started = set()

        def has_started():
            started.update(set(self.daemon.net_pids()) - {serving})
            return started

        wait_until(has_started, "the new net process")
        (new,) = started
        os.kill(new, signal.SIGSTOP)
        wait_until(
            lambda: processes.status(new)["State"].startswith("T"),
            "it is stopped",
        )
        if n_filters(new) < n_served:
            return True
        os.kill(new, signal.SIGCONT)  # too late
        wait_until(lambda: self.daemon.net_pids() == [new], "it serves")
        return False

    def test_stop_ends_a_reload(self):
        """And the reload that was to follow it."""
        self.assertTrue(any(self.hold_a_reload() for _ in range(50)))
        mark = self.daemon.log.mark()
        self.daemon.signal(signal.SIGHUP)
        self.daemon.stop()
        text = "\n".join(self.daemon.log.lines[mark:])
        self.assertIn("event=stop", text)
        self.assertNotIn("event=ready", text)
        self.assertNotIn("does not end", text)

    def test_net_process_dies_during_a_reload(self):
        """The reload that is to follow waits for its turn all the same, and
        none but the last net process stays."""
        self.assertTrue(any(self.hold_a_reload() for _ in range(50)))
        states = {
            processes.status(pid)["State"][0]: pid
            for pid in self.daemon.net_pids()
        }
        held = states.pop("T")
        (serving,) = states.values()
        mark = self.daemon.log.mark()
        self.daemon.signal(signal.SIGHUP)
        os.kill(serving, signal.SIGKILL)
        self.daemon.log.wait_for("event=ready", since=mark)
        os.kill(held, signal.SIGCONT)
        self.daemon.log.wait_for("event=reload_ok", since=mark, count=2)
        wait_until(
            lambda: len(self.daemon.net_pids()) == 1, "one net process"
        )

    def test_many_reloads(self):
        mark = self.daemon.log.mark()
        for _ in range(20):
            self.daemon.signal(signal.SIGHUP)
        self.daemon.log.wait_for(r"event=reload_ok\b", since=mark)
        for _ in range(3):
            self.reload("reload_ok")
            with self.connect() as client:
                client.expect_open()
        monitor = self.daemon.process.pid
        before = processes.n_descriptors(monitor)
        for _ in range(3):
            self.reload("reload_ok")
        wait_until(
            lambda: len(self.daemon.net_pids()) == 1
            and processes.n_descriptors(monitor) <= before,
            "the old net processes are gone, and their descriptors",
        )


if __name__ == "__main__":
    harness.main()
