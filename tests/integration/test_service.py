"""What a service manager and the daemon say to each other: notifications,
the watchdog, sockets that are passed. The manager is played here; a real one
boots in tests/system."""

import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

import harness
import processes
from accounts import Matrix
from client import ASK_NEW, CHANGED, Client, change, check, context, log_in
from waiting import PATIENCE_SEC, wait_until


class Manager:
    """The manager's end of NOTIFY_SOCKET."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        if not address.startswith("\0"):
            os.chmod(address, 0o666)
        self.messages = []

    def close(self):
        self.socket.close()

    def receive(self, timeout):
        """The next message as a dictionary."""
        self.socket.settimeout(timeout)
        text = self.socket.recv(4096).decode()
        pairs = (line.partition("=") for line in text.split("\n"))
        message = {name: value for name, _, value in pairs}
        self.messages.append(message)
        return message

    def expect(self, name):
        """Waits for a message with this variable; those before it go by."""
        end = time.monotonic() + PATIENCE_SEC
        while True:
            message = self.receive(max(0.01, end - time.monotonic()))
            if name in message:
                return message

    def forget(self):
        """What has come so far."""
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while self.socket.recv(4096):
                pass
        self.messages.clear()


class Managed(harness.Daemon):
    """environment: more variables. sockets: listening, to be passed, with
    their names."""

    def __init__(self, *arguments, environment=(), sockets=(), **named):
        self.sockets = list(sockets)
        super().__init__(*arguments, **named)
        self.popen_options = {
            "env": {**os.environ, **dict(environment)},
            "pass_fds": [s.fileno() for s, _ in self.sockets],
        }

    def command(self, *arguments):
        """Through a shell that puts the sockets where the protocol has them,
        and sets what only the process itself can know."""
        command = super().command(*arguments)
        moves = [
            f"{3 + i}<&{100 + i} {100 + i}<&-"
            for i in range(len(self.sockets))
        ]
        aways = [
            f"{100 + i}<&{s.fileno()} {s.fileno()}<&-"
            for i, (s, _) in enumerate(self.sockets)
        ]
        names = ":".join(name for _, name in self.sockets)
        script = "exec " + " ".join(aways + moves) + "\n"
        script += "LISTEN_PID=$$ WATCHDOG_PID=$$ "
        script += f"LISTEN_FDS={len(self.sockets)} LISTEN_FDNAMES={names} "
        # A shell knows no redirection of two digits but bash's.
        return ("/bin/bash", "-c", script + 'exec "$@"', "sh", *command)


def listening(address="127.0.0.1", port=0):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family)
    sock.bind((address, port))
    sock.listen(64)
    return sock


class ManagedCase(harness.TestCase):
    def start_managed(self, address=None, **named):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        address = address or os.path.join(folder, "notify")
        manager = Manager(address)
        self.addCleanup(manager.close)
        environment = {"NOTIFY_SOCKET": address.replace("\0", "@")}
        environment.update(named.pop("environment", {}))
        daemon = Managed(
            Matrix({"bob": "first"}), environment=environment, **named
        )
        self.enterContext(daemon)
        return daemon, manager


class Notifications(ManagedCase):
    def test_ready_is_said_when_it_serves(self):
        daemon, manager = self.start_managed()
        message = manager.expect("READY")
        self.assertEqual(message, {"READY": "1", "STATUS": "Serving"})
        self.assertTrue(check(daemon.port(), "bob", "first"))

    def test_an_abstract_address_is_understood(self):
        _, manager = self.start_managed("\0poppassd-test-%d" % os.getpid())
        manager.expect("READY")

    def test_a_reload_is_said_with_its_time(self):
        daemon, manager = self.start_managed()
        manager.expect("READY")
        before = time.monotonic_ns() // 1000
        daemon.signal(signal.SIGHUP)
        message = manager.expect("RELOADING")
        self.assertGreaterEqual(int(message["MONOTONIC_USEC"]), before)
        self.assertLessEqual(
            int(message["MONOTONIC_USEC"]), time.monotonic_ns() // 1000
        )
        self.assertEqual(manager.expect("READY")["STATUS"], "Serving")

    def test_a_reload_that_fails_ends_too(self):
        daemon, manager = self.start_managed()
        manager.expect("READY")
        daemon.write_config(daemon.lines() + ["nonsense yes"])
        daemon.signal(signal.SIGHUP)
        manager.expect("RELOADING")
        self.assertRegex(manager.expect("READY")["STATUS"], "reload failed")
        self.assertTrue(check(daemon.port(), "bob", "first"))

    def reload_command(self, daemon, pid, **environment):
        """What ExecReload= runs."""
        return subprocess.run(
            (daemon.program, "-c", daemon.config, "--reload"),
            env={**os.environ, "MAINPID": str(pid), **environment},
            capture_output=True,
            timeout=PATIENCE_SEC,
            check=False,
        )

    def test_the_command_says_reloading_before_it_ends(self):
        daemon, manager = self.start_managed()
        manager.expect("READY")
        os.kill(daemon.process.pid, signal.SIGSTOP)
        done = self.reload_command(
            daemon,
            daemon.process.pid,
            NOTIFY_SOCKET=manager.socket.getsockname(),
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("MONOTONIC_USEC", manager.expect("RELOADING"))
        os.kill(daemon.process.pid, signal.SIGCONT)
        manager.expect("RELOADING")
        manager.expect("READY")

    def test_the_command_refuses_a_bad_configuration(self):
        daemon, manager = self.start_managed()
        manager.expect("READY")
        mark = daemon.log.mark()
        daemon.write_config(daemon.lines() + ["nonsense yes"])
        done = self.reload_command(daemon, daemon.process.pid)
        self.assertEqual(done.returncode, 78)
        self.assertIn(b"nonsense", done.stderr)
        daemon.write_config()
        daemon.signal(signal.SIGHUP)
        daemon.log.wait_for("event=reload_ok", since=mark)
        self.assertFalse(daemon.log.find("reload_failed", mark))

    def test_the_command_wants_a_service(self):
        daemon, _ = self.start_managed()
        for pid in ("", "1", "-1", "nonsense"):
            done = self.reload_command(daemon, pid)
            self.assertEqual(done.returncode, 64, pid)
            self.assertIn(b"systemctl reload", done.stderr)

    def test_stopping_says_how_long_it_may_take(self):
        daemon, manager = self.start_managed(directives=["change-timeout 20s"])
        manager.expect("READY")
        daemon.signal(signal.SIGTERM)
        message = manager.expect("STOPPING")
        self.assertEqual(int(message["EXTEND_TIMEOUT_USEC"]), 30 * 10**6)

    def test_a_dead_net_is_told(self):
        daemon, manager = self.start_managed()
        manager.expect("READY")
        os.kill(daemon.net_pid(), signal.SIGKILL)
        self.assertRegex(manager.expect("STATUS")["STATUS"], "^Not serving")
        manager.expect("READY")

    def test_a_reload_that_fails_while_none_serves(self):
        """The pause before the next net grows, until a reload is in it."""
        daemon, manager = self.start_managed()
        manager.expect("READY")
        daemon.write_config(daemon.lines() + ["nonsense yes"])
        for _ in range(8):
            manager.forget()
            os.kill(daemon.net_pid(), signal.SIGKILL)
            self.assertRegex(manager.expect("STATUS")["STATUS"], "^Not")
            daemon.signal(signal.SIGHUP)
            manager.expect("RELOADING")
            said = manager.expect("READY")["STATUS"]
            self.assertRegex(said, "reload failed")
            if not [m for m in manager.messages if m["STATUS"] == "Serving"]:
                break
        else:
            self.fail("too late 8 times")
        self.assertRegex(said, "^Not serving")
        self.assertEqual(manager.expect("READY")["STATUS"], "Serving")

    def test_no_child_finds_the_variables(self):
        daemon, manager = self.start_managed()
        manager.expect("READY")
        with open(f"/proc/{daemon.net_pid()}/environ", "rb") as file:
            names = re.findall(rb"(?:^|\0)([A-Z_]+)=", file.read())
        self.assertFalse(
            [n for n in names if re.match(rb"NOTIFY|WATCHDOG|LISTEN", n)]
        )

    def test_an_address_that_is_none_is_a_warning(self):
        daemon = Managed(
            Matrix({"bob": "first"}),
            environment={"NOTIFY_SOCKET": "vsock:2:1234"},
        )
        with daemon:
            daemon.log.wait_for("NOTIFY_SOCKET: vsock:2:1234: is no address")


def stop_before_ready(daemon, net):
    """Stops a net process that starts, unless it is too late. It is ready once
    it has a filter of its own."""
    os.kill(net, signal.SIGSTOP)
    wait_until(
        lambda: processes.status(net)["State"].startswith("T"),
        "it is stopped",
    )
    filters = [
        processes.status(pid)["Seccomp_filters"]
        for pid in (net, daemon.process.pid)
    ]
    return filters[0] == filters[1]


class BeforeReady(ManagedCase):
    """A reload that is asked for before the first net process serves, as a
    hook at boot may."""

    def held(self):
        """A daemon whose first net process is stopped before it is ready."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        manager = Manager(os.path.join(folder, "notify"))
        self.addCleanup(manager.close)
        daemon = Managed(
            Matrix({"bob": "first"}),
            environment={"NOTIFY_SOCKET": os.path.join(folder, "notify")},
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.kill)
        for _ in range(50):
            daemon.launch()
            wait_until(daemon.net_pids, "the net process")
            net = daemon.net_pid()
            if stop_before_ready(daemon, net):
                return daemon, manager, net
            daemon.kill()
        self.fail("too late 50 times")

    def test_the_start_comes_first(self):
        daemon, manager, net = self.held()
        daemon.write_config(daemon.lines() + ["nonsense yes"])
        daemon.signal(signal.SIGHUP)
        os.kill(net, signal.SIGCONT)
        self.assertEqual(manager.expect("READY")["STATUS"], "Serving")
        self.assertFalse([m for m in manager.messages if "RELOADING" in m])
        manager.expect("RELOADING")
        self.assertRegex(manager.expect("READY")["STATUS"], "reload failed")
        self.assertEqual(daemon.net_pid(), net)
        daemon.stop()

    def test_a_start_that_fails_ends_it(self):
        daemon, _, net = self.held()
        daemon.signal(signal.SIGHUP)
        os.kill(net, signal.SIGKILL)
        self.assertEqual(daemon.process.wait(10), 70)


class WhileReloading(ManagedCase):
    """The new net process takes its time."""

    def held(self):
        """A daemon whose reload waits: the new net process is stopped."""
        daemon, manager = self.start_managed()
        for _ in range(50):
            old = daemon.net_pid()
            mark = daemon.log.mark()
            manager.forget()
            daemon.signal(signal.SIGHUP)
            wait_until(lambda: set(daemon.net_pids()) - {old}, "the new one")
            (new,) = set(daemon.net_pids()) - {old}
            if stop_before_ready(daemon, new):
                return daemon, manager, old, new
            os.kill(new, signal.SIGCONT)
            daemon.log.wait_for("event=reload_ok", since=mark)
            wait_until(lambda: len(daemon.net_pids()) == 1, "only the new")
        return self.fail("too late 50 times")

    def test_a_net_that_is_started_again_does_not_end_it(self):
        daemon, manager, old, new = self.held()
        manager.expect("RELOADING")
        mark = daemon.log.mark()
        os.kill(old, signal.SIGKILL)
        self.assertRegex(manager.expect("STATUS")["STATUS"], "^Not serving")
        self.assertEqual(manager.expect("STATUS"), {"STATUS": "Reloading"})
        self.assertTrue(check(daemon.port(), "bob", "first"))
        os.kill(new, signal.SIGCONT)
        self.assertEqual(manager.expect("READY")["STATUS"], "Serving")
        daemon.log.wait_for("event=reload_ok", since=mark)

    def test_a_stop_ends_it(self):
        daemon, _, _, _ = self.held()
        mark = daemon.log.mark()
        daemon.signal(signal.SIGTERM)
        daemon.log.wait_for("event=reload_failed", since=mark)
        self.assertEqual(daemon.log.find("event=net_died", mark), [])


class Inherited(harness.TestCase):
    """What a careless parent leaves to its children."""

    def daemon(self, **options):
        daemon = harness.Daemon(Matrix({"bob": "first"}))
        daemon.popen_options = options
        return daemon

    def test_signals_that_are_blocked(self):
        daemon = self.daemon(
            preexec_fn=lambda: signal.pthread_sigmask(
                signal.SIG_BLOCK,
                {signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD},
            )
        )
        with daemon:
            daemon.reload()
            mark = daemon.log.mark()
            for pid in daemon.net_pids():
                os.kill(pid, signal.SIGKILL)
            daemon.log.wait_for("event=ready", since=mark)

    def test_reload_before_the_program_runs(self):
        """It is one of the first configuration, and no end."""

        def ask_for_one():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
            os.kill(os.getpid(), signal.SIGHUP)

        with self.daemon(preexec_fn=ask_for_one) as daemon:
            daemon.log.wait_for("event=reload_ok")

    def test_descriptors_that_are_open(self):
        """Neither the one that talks to the network nor a PAM module has
        them."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        file = self.enterContext(open(os.path.join(folder, "file"), "wb"))
        # no number that the daemon puts something else at
        number = fcntl.fcntl(file.fileno(), fcntl.F_DUPFD, 50)
        self.addCleanup(os.close, number)
        daemon = self.daemon(pass_fds=[number])
        with daemon, Client(daemon.port(), "implicit") as client:
            self.assertEqual(log_in(client, "bob", "first"), ASK_NEW)
            for pid in processes.descendants(daemon.process.pid):
                links = [
                    os.readlink(entry.path)
                    for entry in os.scandir(f"/proc/{pid}/fd")
                ]
                self.assertNotIn(file.name, links, processes.command(pid))


class Watchdog(ManagedCase):
    """With a pace that a test can wait for."""

    environment = {"WATCHDOG_USEC": str(1_200_000)}

    def test_it_is_quiet_while_net_answers(self):
        daemon, manager = self.start_managed(environment=self.environment)
        manager.expect("READY")
        for _ in range(5):
            manager.expect("WATCHDOG")
        self.assertFalse(daemon.log.find("does not answer"))

    def test_a_net_that_hangs_is_replaced(self):
        daemon, manager = self.start_managed(environment=self.environment)
        manager.expect("READY")
        stuck = daemon.net_pid()
        os.kill(stuck, signal.SIGSTOP)
        daemon.log.wait_for(f"process {stuck}: does not answer, killed")
        manager.expect("READY")
        manager.expect("WATCHDOG")
        self.assertNotEqual(daemon.net_pid(), stuck)
        reply, _ = change(daemon.port(), "bob", "first", "second-one")
        self.assertEqual(reply, CHANGED)

    def test_nothing_is_said_for_a_net_that_hangs(self):
        daemon, manager = self.start_managed(environment=self.environment)
        manager.expect("READY")
        stuck = daemon.net_pid()
        os.kill(stuck, signal.SIGSTOP)
        wait_until(
            lambda: processes.status(stuck)["State"].startswith("T"),
            "it is stopped",
        )
        manager.forget()
        manager.expect("READY")
        signs = [m for m in manager.messages[:-1] if "WATCHDOG" in m]
        # of an answer that was under way
        self.assertLessEqual(len(signs), 1)

    def test_another_process_is_meant(self):
        daemon = Managed(
            Matrix({"bob": "first"}), environment=self.environment
        )
        command = daemon.command()
        script = command[2].replace("WATCHDOG_PID=$$", "WATCHDOG_PID=1")
        daemon.command = lambda *_: (*command[:2], script, *command[3:])
        folder = self.enterContext(tempfile.TemporaryDirectory())
        manager = Manager(os.path.join(folder, "notify"))
        self.addCleanup(manager.close)
        daemon.popen_options["env"]["NOTIFY_SOCKET"] = os.path.join(
            folder, "notify"
        )
        with daemon:
            manager.expect("READY")
        manager.expect("STOPPING")
        self.assertFalse([m for m in manager.messages if "WATCHDOG" in m])


class PassedSockets(harness.TestCase):
    """`listen` names the address; the socket is the manager's."""

    def daemon(self, sockets, lines=None):
        daemon = Managed(
            Matrix({"bob": "first"}), listens=(), sockets=sockets
        )
        self.addCleanup(daemon.remove)
        daemon.ports = {}
        for sock, _ in sockets:
            self.addCleanup(sock.close)
            if lines is None:
                daemon.ports["implicit"] = sock.getsockname()[1]
        daemon.write_config((lines or []) + daemon.lines())
        return daemon

    def test_a_passed_socket_serves(self):
        sock = listening()
        daemon = self.daemon([(sock, "poppassd.socket")])
        with daemon:
            self.assertTrue(check(daemon.port(), "bob", "first"))

    def test_clients_wait_for_a_restart(self):
        """The kernel keeps them: that is what the socket unit is for."""
        sock = listening()
        daemon = self.daemon([(sock, "poppassd.socket")])
        daemon.start()
        daemon.stop()
        with socket.create_connection(sock.getsockname()) as client:
            with daemon:
                daemon.log.wait_for("event=ready")
                context().wrap_socket(
                    client, server_hostname="localhost"
                ).close()

    def test_two_sockets_have_the_modes_of_their_directives(self):
        socks = [listening(), listening()]
        ports = [sock.getsockname()[1] for sock in socks]
        daemon = self.daemon(
            [(socks[0], "one"), (socks[1], "two")],
            [
                f"listen 127.0.0.1:{ports[1]} tls=starttls",
                f"listen 127.0.0.1:{ports[0]} tls=implicit",
            ],
        )
        with daemon:
            self.assertTrue(check(ports[0], "bob", "first", "implicit"))
            self.assertTrue(check(ports[1], "bob", "first", "starttls"))

    def test_an_address_that_is_not_passed_is_a_warning(self):
        """In a network of its own, the service would not be found there."""
        sock = listening()
        port = sock.getsockname()[1]
        apart = harness.free_port()
        daemon = self.daemon(
            [(sock, "one")],
            [f"listen 127.0.0.1:{port}", f"listen 127.0.0.1:{apart}"],
        )
        with daemon:
            daemon.log.wait_for(
                f'event=listens_apart reason="127.0.0.1:{apart}: '
            )
            self.assertEqual(len(daemon.log.find("listens_apart")), 1)

    def test_an_ipv6_socket_is_found(self):
        try:
            sock = listening("::1")
        except OSError as error:
            self.skipTest(f"no IPv6: {error}")
        port = sock.getsockname()[1]
        daemon = self.daemon([(sock, "six")], [f"listen [::1]:{port}"])
        with daemon, socket.create_connection(
            ("::1", port), PATIENCE_SEC
        ) as client:
            self.assertRegex(client.recv(512), b"^200 ")

    def test_without_a_directive_all_that_is_passed_serves(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "socket")
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(path)
        unix.listen(64)
        sock = listening()
        daemon = self.daemon([(sock, "tcp"), (unix, "unix")], [])
        with daemon:
            port = sock.getsockname()[1]
            for _ in range(2):
                self.assertTrue(check(port, "bob", "first", "implicit"))
                self.assertTrue(check(port, "bob", "first", "starttls"))
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(PATIENCE_SEC)
                    client.connect(path)
                    self.assertRegex(client.recv(512), b"^200 ")
                mark = daemon.log.mark()
                daemon.signal(signal.SIGHUP)
                daemon.log.wait_for("event=reload_ok", since=mark)

    def test_a_reload_keeps_it(self):
        sock = listening()
        daemon = self.daemon([(sock, "poppassd.socket")])
        with daemon:
            mark = daemon.log.mark()
            daemon.signal(signal.SIGHUP)
            daemon.log.wait_for("event=reload_ok", since=mark)
            self.assertTrue(check(daemon.port(), "bob", "first"))

    def test_a_reload_that_does_not_name_it_keeps_it(self):
        sock = listening()
        daemon = self.daemon([(sock, "poppassd.socket")])
        with daemon:
            mark = daemon.log.mark()
            other = harness.free_port()
            lines = [x for x in daemon.lines() if not x.startswith("listen")]
            daemon.write_config(
                [f"listen 127.0.0.1:{other} tls=starttls", *lines]
            )
            daemon.signal(signal.SIGHUP)
            daemon.log.wait_for("event=reload_ok", since=mark)
            self.assertTrue(check(daemon.port(), "bob", "first"))
            self.assertTrue(check(other, "bob", "first", "starttls"))

    def expect_refusal(self, daemon, pattern):
        with self.assertRaises(harness.StartFailure) as raised:
            daemon.start()
        self.assertEqual(raised.exception.status, 78)
        self.assertRegex(raised.exception.text, pattern)

    def test_a_datagram_socket_is_an_error(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        daemon = self.daemon(
            [(sock, "wrong")], [f"listen 127.0.0.1:{harness.free_port()}"]
        )
        self.expect_refusal(daemon, "socket wrong .*does not listen")


if __name__ == "__main__":
    harness.main()
