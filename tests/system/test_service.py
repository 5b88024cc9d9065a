"""The installed service on a booted machine: what systemd, the daemon, a real
pam_unix and the hardening of the unit do with each other."""

import json
import os
import re
import signal
import socket
import sys
import threading
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "tests", "integration"))

import certificates  # noqa: E402
import debs  # noqa: E402
import harness  # noqa: E402
import processes  # noqa: E402
from accounts import is_root  # noqa: E402
from client import ASK_NEW, CHANGED, WRONG  # noqa: E402
from client import Client, change, check, context, log_in  # noqa: E402
from machine import Machine  # noqa: E402
from waiting import wait_until  # noqa: E402

CONFIG = "/etc/poppassd/poppassd.conf"
PAM = "/etc/pam.d/poppassd"
DROP_INS = "/run/systemd/system/poppassd.service.d"
SNAKEOIL = "/etc/ssl/certs/ssl-cert-snakeoil.pem"
PORT = 106
FIRST = "first-secret"
SECOND = "Zw8-quite-new"
THIRD = "Kq3-newer-still"
UNIX_ONLY = """\
auth required pam_unix.so
account required pam_unix.so
password required pam_unix.so yescrypt
"""
#: a stack that stops in a change until it is let go
HOLD = """\
#!/bin/sh
[ "$PAM_USER" = held ] || exit 0
echo > /run/reached
read line < /run/gate
"""


def setUpModule():
    """One machine for all tests; each has users of its own."""
    if not is_root():
        raise unittest.SkipTest("takes root")
    machine = Service.machine = Machine()
    unittest.addModuleCleanup(machine.close)
    name = machine.run("hostname").stdout.strip()
    # As Debian's installer writes it for a machine with a domain.
    machine.write(
        "/etc/hosts",
        f"127.0.0.1 localhost\n127.0.1.1 {name}.example.com {name}\n",
    )
    machine.run("make-ssl-cert", "generate-default-snakeoil", "--force-overwrite")
    debs.copy_to(machine)
    debs.install(machine)
    Service.files = {name: machine.read(name) for name in (CONFIG, PAM)}


class Service(harness.TestCase):
    machine = None
    #: what tests may change, as it was installed
    files = {}

    def setUp(self):
        self.config = self.files[CONFIG]
        self.cursor = self.machine.cursor()
        self.addCleanup(self.restore)

    def restore(self):
        run = self.machine.run
        is_changed = run("rm", "-rfv", DROP_INS).stdout != ""
        for name, text in self.files.items():
            if self.machine.read(name) != text:
                self.machine.write(name, text)
                is_changed = True
        if is_changed or self.state() != "active":
            run("systemctl", "daemon-reload")
            run("systemctl", "reset-failed", "poppassd.service")
            run("systemctl", "restart", "poppassd.service")

    def state(self):
        return self.machine.property("poppassd.service", "ActiveState")

    def add_user(self, name):
        self.machine.add_user(name, FIRST)
        return name

    def drop_in(self, text):
        self.machine.write(f"{DROP_INS}/test.conf", text)
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "restart", "poppassd")

    def connect(self, mode="implicit", **named):
        with self.machine.network():
            return Client(PORT, mode, **named)

    def change(self, user, old, new, mode="implicit"):
        with self.machine.network():
            return change(PORT, user, old, new, mode)[0]

    def check(self, user, password, mode="implicit"):
        with self.machine.network():
            return check(PORT, user, password, mode)

    def journal(self):
        return self.machine.journal(f"--after-cursor={self.cursor}")

    def wait_journal(self, pattern):
        try:
            wait_until(lambda: re.search(pattern, self.journal()), pattern)
        except AssertionError as error:
            raise AssertionError(f"{error} in\n{self.journal()}") from None

    def main_pid(self):
        return self.machine.pid(
            int(self.machine.property("poppassd.service", "MainPID"))
        )

    def net_pid(self):
        """The one that is newest: others may be leaving. None if there is
        none."""
        return processes.newest(self.machine.processes("poppassd: net"))


class Change(Service):
    def test_by_the_command_inside(self):
        """As README.Debian has it."""
        user = self.add_user("carol")
        host = self.machine.run("hostname", "-f").stdout.strip()
        for options, old, new in (
            ((), FIRST, SECOND),
            (("--starttls",), SECOND, THIRD),
        ):
            done = self.machine.run(
                *("poppasswd", "-u", user, "--stdin", *options),
                *("--ca", SNAKEOIL, host),
                text=f"{old}\n{new}\n",
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(self.check(user, THIRD))
        self.assertFalse(self.check(user, FIRST))

    def test_the_policy_of_the_site_decides(self):
        user = self.add_user("dave")
        reply = self.change(user, FIRST, "abc")
        self.assertRegex(reply, rb"^500 BAD PASSWORD: ")
        self.assertTrue(self.check(user, FIRST))

    def test_a_locked_account_is_refused(self):
        user = self.add_user("erin")
        self.machine.run("chage", "--expiredate", "1", user)
        with self.connect() as client:
            self.assertEqual(log_in(client, user, FIRST), WRONG)
        self.wait_journal('event=account_refused .*user="erin"')

    def test_shadow_keeps_owner_and_mode(self):
        path = self.machine.path("/etc/shadow")
        before = os.stat(path)
        user = self.add_user("frank")
        self.assertEqual(self.change(user, FIRST, SECOND), CHANGED)
        after = os.stat(path)
        self.assertEqual(
            (before.st_uid, before.st_gid, before.st_mode),
            (after.st_uid, after.st_gid, after.st_mode),
        )

    def test_a_virtual_mailbox(self):
        """With libpam-passwd-file, under the same hardening."""
        module = "pam_passwd_file.so file=/etc/dovecot/users"
        self.machine.write(
            PAM,
            "".join(
                f"{kind} required {module}\n"
                for kind in ("auth", "account", "password")
            ),
        )
        done = self.machine.run("openssl", "passwd", "-6", FIRST)
        self.machine.write(
            "/etc/dovecot/users",
            f"g@example.org:{{SHA512-CRYPT}}{done.stdout.strip()}::::::\n",
            0o600,
        )
        self.machine.write(CONFIG, self.config + "virtual-users yes\n")
        self.machine.run("systemctl", "reload", "poppassd")
        self.wait_journal("event=reload_ok")
        reply = self.change("g@example.org", FIRST, SECOND)
        self.assertEqual(reply, CHANGED)
        self.assertTrue(self.check("g@example.org", SECOND))

    def test_a_user_of_a_directory(self):
        """By nslcd, which is reached over a Unix socket."""
        self.set_up_directory("olivia")
        self.machine.write(
            PAM,
            "".join(
                f"{kind} required pam_ldap.so minimum_uid=1000\n"
                for kind in ("auth", "account", "password")
            ),
        )
        self.machine.write(CONFIG, self.config + "virtual-users yes\n")
        self.machine.run("systemctl", "restart", "poppassd")
        self.assertEqual(self.change("olivia", FIRST, SECOND), CHANGED)
        self.assertTrue(self.check("olivia", SECOND))
        self.assertFalse(self.check("olivia", FIRST))

    def set_up_directory(self, user):
        """Debian's slapd comes with a base and an administrator whose
        password nobody knows."""
        run = self.machine.run
        run("systemctl", "start", "slapd")
        self.addCleanup(run, "systemctl", "stop", "nslcd", "slapd")
        run(
            *("ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", "ldapi:///"),
            text="dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\n"
            "replace: olcRootPW\nolcRootPW: admin-secret\n",
        )
        run(
            *("ldapadd", "-x", "-H", "ldapi:///", "-w", "admin-secret"),
            *("-D", "cn=admin,dc=nodomain"),
            text=f"dn: uid={user},dc=nodomain\nobjectClass: account\n"
            f"objectClass: posixAccount\ncn: {user}\nuid: {user}\n"
            "uidNumber: 5001\ngidNumber: 5001\nhomeDirectory: /nonexistent\n"
            f"userPassword: {FIRST}\n",
        )
        self.machine.write(
            "/etc/nslcd.conf",
            "uid nslcd\ngid nslcd\nuri ldapi:///\nbase dc=nodomain\n",
        )
        run("systemctl", "start", "nslcd")

    def test_a_unix_socket(self):
        user = self.add_user("heidi")
        self.machine.write(
            CONFIG,
            self.config + "listen unix:/run/poppassd/webmail.sock\n",
        )
        self.machine.run("systemctl", "reload", "poppassd")
        self.wait_journal("event=reload_ok")
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(self.machine.path("/run/poppassd/webmail.sock"))
            self.assertRegex(client.recv(512), b"^200 ")
        self.assertTrue(self.check(user, FIRST))


class Hardening(Service):
    def test_what_the_processes_may(self):
        status = processes.status(self.main_pid())
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(int(status["CapInh"], 16), 0)
        net = processes.status(self.net_pid())
        self.assertEqual(int(net["CapEff"], 16), 0)
        self.assertNotIn("0", net["Uid"].split())

    def test_it_has_no_network_of_its_own(self):
        own = os.readlink(f"/proc/{self.main_pid()}/ns/net")
        machine = os.readlink(f"/proc/{self.machine.leader}/ns/net")
        self.assertNotEqual(own, machine)

    def test_an_address_that_systemd_does_not_open_is_told(self):
        self.machine.write(CONFIG, self.config + "listen 127.0.0.1:1106\n")
        done = self.machine.run(
            "systemctl", "restart", "poppassd.service", check=False
        )
        self.assertNotEqual(done.returncode, 0)
        self.wait_journal("listen 127.0.0.1:1106: .*poppassd.socket")

    def test_the_network_can_be_had_back(self):
        """With the drop-in of poppassd(8)."""
        user = self.add_user("peggy")
        self.machine.write(CONFIG, self.config + "listen 127.0.0.1:1106\n")
        self.drop_in(
            "[Service]\nPrivateNetwork=no\nIPAddressDeny=\n"
            "RestrictAddressFamilies=AF_INET AF_INET6\n"
        )
        with self.machine.network():
            self.assertTrue(check(1106, user, FIRST))
            self.assertTrue(check(PORT, user, FIRST))

    def test_passwords_wait_in_locked_memory(self):
        """As much as the machine around this one allows."""
        self.machine.write(CONFIG, self.config + "max-sessions 100\n")
        self.machine.run("systemctl", "restart", "poppassd")
        locked = processes.status(self.net_pid())["VmLck"]
        self.assertGreater(int(locked.split()[0]), 0)
        self.assertNotIn("is not locked", self.journal())


class Reload(Service):
    def install_certificate(self, serial):
        pair = certificates.make(serial)
        for source, name in zip(pair[:2], ("tls.pem", "tls.key")):
            with open(source, encoding="ascii") as file:
                self.machine.write(
                    f"/etc/poppassd/{name}", file.read(), 0o600
                )
        return pair

    def use_own_certificate(self):
        text = re.sub(r"/etc/ssl/certs/\S+", "/etc/poppassd/tls.pem", self.config)
        text = re.sub(r"/etc/ssl/private/\S+", "/etc/poppassd/tls.key", text)
        self.machine.write(
            CONFIG, text + "max-sessions-per-client 500\nchange-timeout 1m\n"
        )

    def test_new_certificate_under_load(self):
        """Sessions that are open go on, and none is refused meanwhile."""
        self.use_own_certificate()
        self.install_certificate(1)
        self.machine.run("systemctl", "reload", "poppassd")
        users = [self.add_user(f"load{i}") for i in range(4)]
        self.wait_journal("event=reload_ok")
        still = [self.connect("starttls") for _ in range(20)]
        end = threading.Event()
        counts, errors = [0] * len(users), []

        def work(i):
            passwords = [FIRST, SECOND]
            try:
                while not end.is_set():
                    reply = self.change(users[i], *passwords)
                    if reply != CHANGED:
                        raise AssertionError(reply)
                    passwords.reverse()
                    counts[i] += 1
            except BaseException as error:  # reported below
                errors.append(error)

        # The policy would say something about old passwords.
        self.machine.write(PAM, UNIX_ONLY)
        workers = [
            threading.Thread(target=work, args=(i,)) for i in range(len(users))
        ]
        for worker in workers:
            worker.start()
        try:
            for serial in (2, 3):
                pair = self.install_certificate(serial)
                before = list(counts)
                self.machine.run("systemctl", "reload", "poppassd")
                wait_until(lambda: self.serves(pair), "the new certificate")
                wait_until(
                    lambda: errors
                    or all(n > b for n, b in zip(counts, before)),
                    "a change of each user after the reload",
                )
        finally:
            end.set()
            for worker in workers:
                worker.join()
        self.assertEqual(errors, [])
        for client in still:
            with client:
                client.expect_open()
        print(f"{sum(counts)} changes over 2 reloads")

    def serves(self, pair):
        try:
            with self.connect(tls=context(pair)):
                return True
        except OSError:
            return False

    def test_a_bad_configuration_is_told(self):
        user = self.add_user("ivan")
        self.machine.write(CONFIG, self.config + "max-sesions 5\n")
        done = self.machine.run(
            "systemctl", "reload", "poppassd", check=False
        )
        self.assertNotEqual(done.returncode, 0)
        self.wait_journal("did you mean.*max-sessions")
        self.assertNotIn("event=reload_", self.journal())
        self.assertEqual(self.state(), "active")
        self.assertTrue(self.check(user, FIRST))

    def test_it_is_over_when_the_command_returns(self):
        for serial in range(10, 20):
            self.use_own_certificate()
            pair = self.install_certificate(serial)
            self.machine.run("systemctl", "reload", "poppassd")
            status = self.machine.property("poppassd", "StatusText")
            self.assertEqual(status, "Serving")
            self.machine.run("journalctl", "--sync")
            self.assertEqual(
                self.journal().count("event=reload_ok"), serial - 9
            )
            # The old process may have taken a client along.
            wait_until(lambda: self.serves(pair), "the new certificate")


class Life(Service):
    def test_a_network_process_that_hangs_is_replaced(self):
        self.drop_in("[Service]\nWatchdogSec=9s\n")
        main, net = self.main_pid(), self.net_pid()
        os.kill(net, signal.SIGSTOP)
        self.wait_journal("does not answer, killed")
        wait_until(lambda: self.net_pid() not in (None, net), "another one")
        user = self.add_user("judy")
        self.assertTrue(self.check(user, FIRST))
        self.assertEqual(self.main_pid(), main)

    def test_a_monitor_that_hangs_is_started_anew(self):
        self.drop_in("[Service]\nWatchdogSec=3s\nRestartSec=100ms\n")
        main = self.main_pid()
        os.kill(main, signal.SIGSTOP)
        wait_until(lambda: self.is_new(main), "another monitor")
        user = self.add_user("kim")
        self.assertTrue(self.check(user, FIRST))

    def is_new(self, old):
        try:
            return self.main_pid() != old
        except ProcessLookupError:
            return False

    def test_a_client_waits_until_its_socket_has_started_it(self):
        user = self.add_user("leo")
        self.machine.run("systemctl", "stop", "poppassd.service")
        self.assertTrue(self.check(user, FIRST))
        self.assertEqual(self.state(), "active")

    def test_other_addresses_are_those_of_the_socket(self):
        """As README.Debian has it."""
        user = self.add_user("quentin")
        folder = "/run/systemd/system/poppassd.socket.d"
        steps = (
            ("daemon-reload",),
            ("stop", "poppassd.socket", "poppassd.service"),
            ("start", "poppassd.service"),
        )

        def restore():
            self.machine.run("rm", "-r", folder)
            for step in steps:
                self.machine.run("systemctl", *step)

        self.machine.write(
            f"{folder}/test.conf",
            "[Socket]\nListenStream=\nListenStream=127.0.0.1:1106\n",
        )
        self.addCleanup(restore)
        for step in steps:
            self.machine.run("systemctl", *step)
        with self.machine.network():
            self.assertTrue(check(1106, user, FIRST))
            with self.assertRaises(ConnectionRefusedError):
                check(PORT, user, FIRST)

    def test_a_stop_waits_for_a_change(self):
        user = self.add_user("held")
        self.machine.write("/usr/local/sbin/hold", HOLD, 0o755)
        self.machine.run("mkfifo", "-m", "666", "/run/gate", "/run/reached")
        self.addCleanup(
            self.machine.run, "rm", "-f", "/run/gate", "/run/reached"
        )
        # Before pam_unix: the change is under way, and not yet stored.
        self.machine.write(
            PAM,
            UNIX_ONLY.replace(
                "password",
                "password required pam_exec.so /usr/local/sbin/hold\npassword",
            ),
        )
        self.machine.write(CONFIG, self.config + "change-timeout 1m\n")
        self.machine.run("systemctl", "restart", "poppassd.service")
        with self.connect() as client:
            self.assertEqual(log_in(client, user, FIRST), ASK_NEW)
            client.send(b"NEWPASS " + SECOND.encode() + b"\r\n")
            self.machine.run("head", "-n", "1", "/run/reached")
            stop = self.machine.start("systemctl", "stop", "poppassd.service")
            self.wait_journal("event=stop")
            self.assertIsNone(stop.poll())
            self.machine.run("sh", "-c", "echo > /run/gate")
            client.expect(CHANGED)
            self.assertEqual(stop.wait(60), 0, stop.communicate())
            stop.communicate()
        self.assertEqual(
            self.machine.property("poppassd.service", "Result"), "success"
        )
        self.assertEqual(self.machine.processes("poppassd"), [])
        self.machine.write(PAM, self.files[PAM])
        self.assertTrue(self.check(user, SECOND))

    def test_a_configuration_that_is_bad_is_not_tried_again(self):
        self.machine.write(CONFIG, "nonsense\n")
        done = self.machine.run(
            "systemctl", "restart", "poppassd.service", check=False
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(
            self.machine.property("poppassd.service", "ExecMainStatus"), "78"
        )
        self.assertEqual(self.state(), "failed")


class Journal(Service):
    def entries(self):
        done = self.machine.run(
            *("journalctl", "--unit=poppassd.service", "--output=json"),
            *("--no-pager", f"--after-cursor={self.cursor}"),
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_lines_have_their_priority(self):
        user = self.add_user("mia")
        self.assertEqual(self.change(user, FIRST, SECOND), CHANGED)
        self.wait_journal('event=change_ok peer=127.0.0.1 .*user="mia"')
        (entry,) = [
            x for x in self.entries() if "event=change_ok" in x["MESSAGE"]
        ]
        self.assertEqual(entry["PRIORITY"], "6")
        self.assertEqual(entry["SYSLOG_IDENTIFIER"], "poppassd")
        self.assertTrue(entry["MESSAGE"].startswith("event="))

    def test_no_password_is_in_it(self):
        user = self.add_user("nina")
        self.assertEqual(self.change(user, FIRST, SECOND), CHANGED)
        text = self.machine.run("journalctl", "--no-pager").stdout
        self.assertIn("event=change_ok", text)
        for secret in (FIRST, SECOND, THIRD):
            self.assertNotIn(secret, text)


if __name__ == "__main__":
    harness.main()
