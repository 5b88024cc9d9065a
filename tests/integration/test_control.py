"""The control socket and poppassctl: what they tell is true, who may ask, and
that nobody who asks holds up the daemon."""

import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import time

from prometheus_client.openmetrics import parser

import accounts
import certificates
import client
import harness
from accounts import Matrix
from client import ASK_NEW, CHANGED, WRONG, Client, change, log_in
from waiting import PATIENCE_SEC, Fifo, in_parallel, wait_until

OLD, NEW = "old-secret-0", "new-secret-1"
TOO_MANY = b"error: too many ask at once, try again\n"
USER = "virt.user"
PAGE = os.path.join(os.path.dirname(__file__), "../../man/poppassd.8")
#: tests/run puts it there.
PROMTOOL = os.path.join(os.path.dirname(__file__), "../../build/tools/promtool")
REFUSED, USAGE, UNAVAILABLE, NO_PERMISSION = 1, 64, 69, 77


def ask_raw(path, request):
    """What the socket answers, until its end."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE_SEC)
        peer.connect(path)
        return ask_through(peer, request)


def ask_through(peer, request):
    """The same, of a socket that is connected."""
    with contextlib.suppress(BrokenPipeError):
        peer.sendall(request)
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while data := peer.recv(65536):
            answer += data
    return answer


def documented_events():
    """The events that poppassd(8) lists."""
    with open(PAGE, encoding="ascii") as file:
        text = file.read().partition("The events are:")[2]
    items = re.findall(r"(?m)^\.It Li (.*)$", text.partition(".El")[0])
    return {name for item in items for name in item.split(" , ")}


def samples(text):
    """Of OpenMetrics text, by name and labels; strict about the text."""
    found = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.items()))
            assert key not in found, key
            found[key] = sample.value
    return found


class Controlled(harness.TestCase):
    unprivileged = False

    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.start_daemon(
            Matrix({USER: OLD}), unprivileged=cls.unprivileged
        )

    def succeed(self, *command):
        status, text = self.daemon.ask(*command)
        self.assertEqual(status, 0, text)
        return text

    def counts(self):
        """How often each event came."""
        text = self.succeed("stats")
        return {
            name: int(n)
            for name, n in re.findall(r"(?m)^events (\S+) (\d+)$", text)
        }


class Told(Controlled):
    def setUp(self):
        """The helper of the test before may still be ending."""
        idle = "helpers: 0 running, 0 waiting\n"
        wait_until(lambda: idle in self.succeed("status"), "no helper runs")

    def test_status(self):
        # One of another test may still be about to end.
        wait_until(
            lambda: "\nhelpers: 0 running, 0 waiting\n"
            in self.succeed("status"),
            "no helper left",
        )
        text = self.succeed("status")
        net, pid = self.daemon.net_pid(), self.daemon.process.pid
        when = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        for line in (
            r"version: \d+\.\d+\.\d+",
            rf"pid: {pid}, since {when}, \d+ s",
            rf"configuration: number \d+, since {when}",
            rf"net: pid {net}, since {when}",
            rf"certificate: {re.escape(self.daemon.pair_paths()[0])}:"
            r" \d+ days left: localhost.*",
        ):
            self.assertRegex(text, rf"(?m)^{line}$")

    def test_outcomes_are_counted(self):
        before = self.counts()
        port = self.daemon.port()
        self.assertEqual(change(port, USER, OLD, NEW)[0], CHANGED)
        self.assertEqual(change(port, USER, NEW, OLD)[0], CHANGED)
        self.assertFalse(client.check(port, USER, "wrong-secret"))
        self.assertTrue(client.check(port, USER, OLD))
        self.daemon.log.wait_for("event=login_ok")
        wait_until(
            lambda: self.counts()["login_ok"] == before["login_ok"] + 1,
            "a login that is counted",
        )
        after = self.counts()
        changed = {n: after[n] - before[n] for n in after}
        self.assertEqual(changed.pop("change_ok"), 2)
        self.assertEqual(changed.pop("auth_failed"), 1)
        self.assertEqual(changed.pop("login_ok"), 1)
        self.assertEqual(set(changed.values()), {0}, changed)

    def test_every_documented_event_is_counted(self):
        self.assertEqual(set(self.counts()), documented_events() | {"other"})
        self.assertEqual(self.counts()["other"], 0)

    def test_openmetrics(self):
        text = self.succeed("stats", "--openmetrics")
        self.assertTrue(text.endswith("# EOF\n"), text)
        found = samples(text)
        path = self.daemon.pair_paths()[0]
        expires = found[
            ("poppassd_certificate_expiry_time_seconds", ("path", path))
        ]
        self.assertGreater(expires, time.time())
        self.assertEqual(found[("poppassd_net_processes",)], 1)
        self.assertEqual(found[("poppassd_helpers_running",)], 0)
        self.assertAlmostEqual(
            found[("poppassd_start_time_seconds",)], time.time(), delta=600
        )
        for name, n in self.counts().items():
            key = ("poppassd_events_total", ("event", name))
            self.assertEqual(found[key], n, name)

    def test_openmetrics_as_prometheus_has_it(self):
        """In its own format, which a counter's family enters with its
        suffix, promtool has nothing to say of names, types and units."""
        text, n = re.subn(
            r"(?m)^(# (?:TYPE|HELP) poppassd_events) ",
            r"\1_total ",
            self.succeed("stats", "--openmetrics"),
        )
        self.assertEqual(n, 2)
        done = subprocess.run(
            (shutil.which("promtool") or PROMTOOL, "check", "metrics"),
            input=text.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self.assertEqual((done.returncode, done.stdout), (0, b""))

    def test_sessions(self):
        self.assertEqual(self.succeed("sessions"), "")
        with Client(self.daemon.port("implicit"), "implicit") as one:
            self.assertEqual(log_in(one, USER, OLD), ASK_NEW)
            with Client(self.daemon.port("starttls")) as two:
                two.line()
                lines = self.succeed("sessions").splitlines()
        self.assertEqual(len(lines), 2, lines)
        shown = "\n".join(sorted(lines, key=len))
        for mode, tls, state in (
            ("starttls", "none", "starttls"),
            ("implicit", r"TLSv1\.3", "newpass"),
        ):
            self.assertRegex(
                shown,
                r"(?m)^peer=127\.0\.0\.1 port=\d+ listener=127\.0\.0\.1:"
                rf"{self.daemon.port(mode)} tls={tls} state={state} age=\d+s$",
            )
        self.assertNotIn(USER, shown)
        wait_until(lambda: self.succeed("sessions") == "", "no session left")
        wait_until(
            lambda: "helpers: 0 running" in self.succeed("status"),
            "no helper left",
        )

    def test_more_sessions_than_a_message_holds(self):
        with contextlib.ExitStack() as stack:
            for _ in range(53):
                peer = stack.enter_context(Client(self.daemon.port("starttls")))
                peer.line()
            lines = self.succeed("sessions").splitlines()
        self.assertEqual(len(set(lines)), 53, lines)
        wait_until(lambda: self.succeed("sessions") == "", "no session left")

    def test_command_line(self):
        for words in (
            (),
            ("nonsense",),
            ("status", "more"),
            ("status", "--openmetrics"),
            ("unlock",),
            ("unlock", ""),
            ("unlock", "a\nreload"),
            ("unlock", "x" * 600),
            ("--nonsense", "status"),
        ):
            status, text = self.daemon.ask(*words)
            self.assertEqual((words, status), (words, USAGE))
            self.assertNotEqual(text, "")

    def test_name_that_is_too_long(self):
        status, text = self.daemon.ask("unlock", "x" * 300)
        self.assertEqual(status, REFUSED)
        self.assertIn("255 bytes", text)


class NotRoot(Told):
    """The same, of a daemon that root did not start."""

    unprivileged = True


class Asked(Controlled):
    """Those who ask without poppassctl."""

    def test_socket_is_for_its_owner(self):
        status = os.stat(self.daemon.control)
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o600)
        self.assertEqual(status.st_uid, os.geteuid())

    @accounts.needs_root
    def test_nobody_else_is_answered(self):
        """Neither by the mode, nor if somebody has changed that."""
        nobody = {"user": harness.NOBODY, "group": harness.NOBODY}
        nobody["extra_groups"] = ()
        nobody["program"] = self.daemon.path("poppassctl")
        shutil.copy(harness.program("sbin/poppassctl"), nobody["program"])
        status, text = self.daemon.ask("status", **nobody)
        self.assertEqual(status, NO_PERMISSION, text)
        os.chmod(self.daemon.control, 0o666)
        status, text = self.daemon.ask("status", **nobody)
        os.chmod(self.daemon.control, 0o600)
        self.assertEqual(status, REFUSED, text)
        self.assertIn("only root may ask", text)
        self.assertNotIn("version", text)

    def test_bad_requests(self):
        for request, why in (
            (b"nonsense\n", b"unknown request"),
            (b"\n", b"unknown request"),
            (b"STATUS\n", b"unknown request"),
            (b"status now\n", b"takes no argument"),
            (b"unlock\n", b"wants an argument"),
            (b"unlock \n", b"wants an argument"),
            (b"status\0\n", b"NUL"),
            (b"x" * 512, b"too long"),
            (b"x" * 70000, b"too long"),
        ):
            answer = ask_raw(self.daemon.control, request)
            self.assertRegex(answer, rb"\Aerror: [ -~]*\n\Z")
            self.assertIn(why, answer)

    def test_one_byte_at_a_time(self):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(PATIENCE_SEC)
            peer.connect(self.daemon.control)
            for byte in b"stats\n":
                peer.sendall(bytes([byte]))
            self.assertRegex(peer.makefile().read(), r"(?s)\A( .*\n)+ok\n\Z")

    def test_many_who_say_nothing(self):
        """No more than a few are kept; and who is served is served on."""
        silent = []

        def is_refused():
            """Until they have all the places that others had before."""
            for _ in range(20):
                peer = self.enterContext(socket.socket(socket.AF_UNIX))
                peer.settimeout(PATIENCE_SEC)
                peer.connect(self.daemon.control)
                silent.append(peer)
            status, text = self.daemon.ask("status")
            return status != 0 and "too many ask at once" in text

        wait_until(is_refused, "too many")
        self.assertTrue(
            client.check(self.daemon.port(), USER, OLD), "not served"
        )
        for peer in silent:  # their time ends, not only ours
            self.assertIn(peer.makefile("rb").read(), (b"", TOO_MANY))
        self.succeed("status")

    def test_client_that_does_not_wait(self):
        for _ in range(50):
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(self.daemon.control)
                with contextlib.suppress(BrokenPipeError):
                    peer.sendall(b"sessions\n")
        wait_until(
            lambda: self.daemon.ask("status")[0] == 0,
            "nobody left who does not wait",
        )


class Reloaded(Controlled):
    def test_reload_waits_until_it_is_in_force(self):
        before = self.succeed("status")
        self.assertEqual(self.succeed("reload"), "")
        after = self.succeed("status")
        number = re.compile(r"configuration: number (\d+)")
        self.assertEqual(
            int(number.search(after)[1]), int(number.search(before)[1]) + 1
        )

    def test_reload_that_fails_says_why(self):
        generation = re.search(r"number \d+", self.succeed("status"))[0]
        self.daemon.write_config(self.daemon.lines() + ["nonsense 1"])
        status, text = self.daemon.ask("reload")
        self.daemon.write_config()
        self.assertEqual(status, REFUSED)
        self.assertIn("nonsense", text)
        self.assertIn("1 error", text)
        self.assertIn("the old configuration stays in force", text)
        self.assertIn(generation, self.succeed("status"))

    def test_reloads_at_once(self):
        """Each is answered, by a reload that began after it was asked for."""
        answers = in_parallel(lambda _: self.daemon.ask("reload"), range(6))
        self.assertEqual(set(answers), {(0, "")})

    def test_new_certificate_is_told(self):
        with harness.Daemon(Matrix({USER: OLD})) as daemon:
            daemon.pairs = [certificates.make(names=("DNS:new.example.org",))]
            daemon.install_pairs()
            self.assertEqual(daemon.ask("reload"), (0, ""))
            self.assertIn(": new.example.org\n", daemon.ask("status")[1])

    def test_socket_that_moves(self):
        with harness.Daemon(Matrix({USER: OLD})) as daemon:
            old, daemon.control = daemon.control, daemon.path("ctl/second")
            daemon.write_config()
            daemon.reload()
            self.assertEqual(daemon.ask("status")[0], 0)
            self.assertFalse(os.path.exists(old))
            second, daemon.control = daemon.control, "none"
            daemon.write_config()
            daemon.reload()
            daemon.control = second
            self.assertEqual(daemon.ask("status")[0], UNAVAILABLE)
            self.assertFalse(os.path.exists(second))


    def test_certificates_with_more_names_than_fit(self):
        """Whatever is left of the room when the next one does not fit."""
        pairs = [
            certificates.make(
                names=(
                    *("DNS:" + "a" * 49,) * 4,
                    f"DNS:{'b' * n}",
                    *("DNS:" + "c" * 60,) * 2,
                )
            )
            for n in range(42, 54)
        ]
        with harness.Daemon(Matrix({USER: OLD}), pairs=pairs) as daemon:
            status, text = daemon.ask("status")
        self.assertEqual(status, 0, text)
        cut = re.findall(r"(?m)(?: a{49}){4}(?: b+)? \.\.\.$", text)
        self.assertEqual(len(cut), len(pairs), text)

    def test_certificate_with_an_address_of_no_known_length(self):
        """Four bytes or sixteen are one; of five, no more are read."""
        pair = certificates.make(names=("DER:30078705" + "01" * 5,))
        with harness.Daemon(Matrix({USER: OLD}), pairs=[pair]) as daemon:
            status, text = daemon.ask("status")
            self.assertEqual(status, 0, text)
            self.assertNotIn("101:", text)


class Drained(harness.TestCase):
    def test_sessions_of_every_net_process(self):
        with harness.Daemon(Matrix({USER: OLD})) as daemon:
            port = daemon.port()
            with Client(port, "implicit") as old:
                self.assertEqual(log_in(old, USER, OLD), ASK_NEW)
                daemon.reload()
                with Client(port, "implicit"):
                    lines = daemon.ask("sessions")[1].splitlines()
                    self.assertIn("net processes: 2\n", daemon.ask("status")[1])
            states = [re.search(r"state=(\S+)", line)[1] for line in lines]
            self.assertEqual(states, ["newpass", "user"])

    def test_net_process_that_does_not_answer(self):
        with harness.Daemon(Matrix({USER: OLD})) as daemon:
            pid = daemon.net_pid()
            os.kill(pid, signal.SIGSTOP)
            try:
                answers = in_parallel(
                    lambda words: daemon.ask(*words),
                    [("sessions",), ("unlock", "127.0.0.1"), ("status",)],
                )
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
            for status, text in answers[:2]:
                self.assertEqual(status, REFUSED, text)
                self.assertIn("does not answer", text)
            self.assertEqual(answers[2][0], 0)

    def test_request_after_a_stop_has_begun(self):
        """Who has connected before is told so; no reload outlives a stop."""
        hold = Fifo("password:*")
        self.addCleanup(hold.remove)
        line = f"password optional pam_exec.so quiet {hold.script}\n"
        daemon = harness.Daemon(Matrix({USER: OLD}, line))
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        daemon.start()
        changing = self.enterContext(Client(daemon.port(), "implicit"))
        self.assertEqual(log_in(changing, USER, OLD), ASK_NEW)
        changing.send(b"NEWPASS next-secret-1\r\n")
        hold.wait_reached()
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(15)
            peer.connect(daemon.control)
            daemon.ask("status")  # it comes later, so that one is accepted
            daemon.signal(signal.SIGTERM)
            daemon.log.wait_for("event=stop")
            answer = ask_through(peer, b"reload\n")
        hold.open_gate()
        changing.expect(CHANGED)
        daemon.finish()
        self.assertEqual(answer, b"error: poppassd is stopping\n")
        self.assertFalse(daemon.log.find("event=reload"))

    def test_stop_ends_the_socket(self):
        daemon = harness.Daemon(Matrix({USER: OLD}))
        self.addCleanup(daemon.remove)
        daemon.start()
        self.assertEqual(daemon.ask("status")[0], 0)
        daemon.stop()
        self.assertEqual(daemon.ask("status")[0], UNAVAILABLE)
        self.assertFalse(os.path.exists(daemon.control))


class Begun(harness.TestCase):
    """What the socket needs, and what becomes of a daemon without."""

    def setUp(self):
        self.daemon = harness.Daemon(Matrix({USER: OLD}))
        self.addCleanup(self.daemon.remove)
        self.addCleanup(self.daemon.stop_if_running)

    def test_folder_that_is_missing(self):
        self.daemon.control = self.daemon.path("none/control")
        self.daemon.write_config()
        done = self.daemon.run("--check-config")
        self.assertEqual(done.returncode, 78)
        self.assertRegex(
            done.stderr.decode(),
            r":\d+: control-socket /.*/none/control: No such file or "
            r"directory; the folder must be there",
        )

    def test_path_that_is_none(self):
        self.daemon.control = "control"
        self.daemon.write_config()
        done = self.daemon.run("--check-config")
        self.assertEqual(done.returncode, 78)
        self.assertIn(b"no absolute path", done.stderr)

    def test_socket_that_was_left(self):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(self.daemon.control)
        self.daemon.start()
        self.assertEqual(self.daemon.ask("status")[0], 0)

    def test_socket_of_another_daemon(self):
        """It is left to the other one, and password changes go on."""
        self.daemon.start()
        with harness.Daemon(Matrix({USER: OLD})) as second:
            control, second.control = second.control, self.daemon.control
            second.write_config()
            second.signal(signal.SIGHUP)
            second.log.wait_for(
                r"control-socket .*: another process serves it;"
                r".*; poppassctl cannot be used"
            )
            second.log.wait_for("event=reload_ok")
            self.assertTrue(client.check(second.port(), USER, OLD))
            self.assertFalse(os.path.exists(control))
        self.assertIn(
            f"pid: {self.daemon.process.pid},", self.daemon.ask("status")[1]
        )


class Unlocked(harness.TestCase):
    """One failure is remembered for longer than the test takes."""

    def serve(self, *directives):
        return self.start_daemon(
            Matrix({USER: OLD}),
            directives=("fail-delay 0s", *directives),
            listens=("implicit",),
        )

    def fail(self, daemon, times, source="127.0.0.1", user=USER):
        for _ in range(times):
            with Client(daemon.port(), "implicit", source=source) as one:
                self.assertEqual(log_in(one, user, "wrong-secret"), WRONG)

    def test_user(self):
        daemon = self.serve("user-failures 3 10m")
        self.fail(daemon, 3)
        daemon.log.wait_for("event=throttled")
        self.assertEqual(
            daemon.ask("unlock", USER), (0, "user: failures forgotten\n")
        )
        self.assertTrue(client.check(daemon.port(), USER, OLD))
        self.assertEqual(
            daemon.ask("unlock", USER),
            (0, "user: there were no failures\n"),
        )
        daemon.log.wait_for('event=unlocked reason="user"')

    def test_user_by_another_spelling(self):
        daemon = self.serve("username-domain strip", "username-case lower")
        self.fail(daemon, 1)
        self.assertEqual(
            daemon.ask("unlock", f"{USER.upper()}@example.org"),
            (0, "user: failures forgotten\n"),
        )

    def test_address(self):
        daemon = self.serve("client-failures 3 10m")
        self.fail(daemon, 3, "127.0.0.9")
        daemon.log.wait_for("event=throttled")
        for address, said in (
            ("127.0.0.8", "there were no failures"),
            ("127.0.0.9", "failures forgotten"),
            ("127.0.0.9", "there were no failures"),
        ):
            self.assertEqual(
                daemon.ask("unlock", address), (0, f"address: {said}\n")
            )
        with Client(daemon.port(), "implicit", source="127.0.0.9") as one:
            self.assertEqual(log_in(one, USER, OLD), ASK_NEW)

    def test_user_that_is_named_as_what_is_no_address(self):
        daemon = self.serve()
        self.assertEqual(
            daemon.ask("unlock", "unix"),
            (0, "user: there were no failures\n"),
        )


if __name__ == "__main__":
    harness.main()
