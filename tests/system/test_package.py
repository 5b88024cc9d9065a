"""The Debian packages: how they are built, and how they come and go on a
machine that has the old poppassd, or none."""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import unittest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "tests", "integration"))

import debs  # noqa: E402
import harness  # noqa: E402
from accounts import needs_root  # noqa: E402
from client import CHANGED, change, check  # noqa: E402
from machine import Machine  # noqa: E402

PAM = "/etc/pam.d/poppassd"
INETD = "/etc/inetd.conf"
CONFIG = "/etc/poppassd/poppassd.conf"


class Built(unittest.TestCase):
    def test_lintian_has_nothing_to_say(self):
        changes = debs.path(".changes")
        done = subprocess.run(
            ("lintian", "--display-info", "--fail-on=none", changes),
            capture_output=True,
            text=True,
            check=False,
        )
        # It does not like to be root; that is no tag.
        tags = [x for x in done.stdout.splitlines() if x and x[1] == ":"]
        self.assertEqual(tags, [])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_two_builds_are_identical(self):
        """In another folder, with another umask."""
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                (os.path.join(SOURCE, "packaging", "deb"), folder),
                check=True,
                stdout=subprocess.DEVNULL,
                umask=0o077,
            )
            self.assertEqual(_digests(folder), _digests(debs.FOLDER))

    def test_the_service_is_hardened(self):
        unit = debs.extract("poppassd", "lib/systemd/system/poppassd.service")
        done = subprocess.run(
            ("systemd-analyze", "security", "--offline=true")
            + ("--no-pager", "--threshold=20", unit),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("Overall exposure level", done.stdout)


def _digests(folder):
    found = {}
    for name in os.listdir(folder):
        if re.search(r"\.(deb|dsc|tar\.[gx]z)$", name):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = hashlib.sha256(file.read()).hexdigest()
    return found


@needs_root
class OnMachine(harness.TestCase):
    def boot(self):
        machine = Machine()
        self.addCleanup(machine.close)
        debs.copy_to(machine)
        machine.add_user("bob", "first-secret")
        return machine

    def assert_serves(self, machine):
        """With what the packages bring and nothing else."""
        with machine.network():
            reply, _ = change(106, "bob", "first-secret", "Zw8-quite-new")
            self.assertEqual(reply, CHANGED)
            self.assertTrue(check(106, "bob", "Zw8-quite-new", "starttls"))
        self.assertIn('event=self_signed', machine.journal())

    def listeners(self, machine):
        """{address: program} of port 106."""
        text = machine.run("ss", "-Hltnp", "sport = 106").stdout
        found = re.findall(r"(\S+):106 .*users:\(\((\"[^\"]+\")", text)
        return {address: name.strip('"') for address, name in found}


class Upgrade(OnMachine):
    def test_from_the_old_package(self):
        machine = self.boot()
        self.assertEqual(
            set(self.listeners(machine).values()), {"inetd"}, "no old package"
        )
        self.assertNotIn("common-account", machine.read(PAM))
        debs.install(machine)
        self.assertNotIn("poppassd", machine.read(INETD))
        self.assertIn("common-account", machine.read(PAM))
        self.assertEqual(
            set(self.listeners(machine)), {"127.0.0.1", "127.0.1.1", "[::1]"}
        )
        self.assertEqual(
            machine.property("poppassd.service", "ActiveState"), "active"
        )
        self.assert_serves(machine)

    def test_a_line_of_the_administrator_has_the_port(self):
        """The old package does not remove it. That is told, and what to do."""
        machine = self.boot()
        machine.run("sed", "-i", "s/^poppassd/127.0.0.1:&/", INETD)
        machine.run("systemctl", "restart", "inetd")
        done = debs.install(machine)
        self.assertIn("has port 106 still", done.stderr)
        self.assertIn(
            "poppassd.socket opens it (has that failed?)", machine.journal()
        )
        machine.run("sed", "-i", "/poppassd/d", INETD)
        machine.run("systemctl", "restart", "inetd")
        machine.run("systemctl", "start", "poppassd")
        self.assert_serves(machine)

    def test_local_changes_are_kept(self):
        machine = self.boot()
        machine.write(PAM, machine.read(PAM) + "# of this site\n")
        debs.install(machine, "--force-confold")
        self.assertTrue(machine.read(PAM).endswith("# of this site\n"))
        self.assertNotIn("common-account", machine.read(PAM))
        self.assert_serves(machine)


class Fresh(OnMachine):
    def test_comes_and_goes_without_a_trace(self):
        machine = self.boot()
        machine.run("dpkg", "--purge", "poppassd", "openbsd-inetd")
        before = self.files(machine)
        debs.install(machine)
        self.assert_serves(machine)
        done = machine.run("dpkg", "--purge", "poppassd", "libpam-passwd-file")
        self.assertNotIn("can still be activated", done.stdout + done.stderr)
        self.assertEqual(self.listeners(machine), {})
        self.assertEqual(self.files(machine) - before, set())
        # The account stays: files may belong to it.
        machine.run("id", "poppassd")

    def files(self, machine):
        """What a package could leave behind."""
        found = machine.run(
            *("find", "/etc", "/usr", "/var", "/run/poppassd", "-xdev"),
            check=False,
        )
        ours = (x for x in found.stdout.splitlines() if "poppassd" in x)
        return {x for x in ours if not x.startswith("/var/lib/dpkg/")}

    def test_a_removed_one_keeps_its_configuration(self):
        machine = self.boot()
        debs.install(machine)
        machine.write(CONFIG, machine.read(CONFIG) + "# of this site\n")
        machine.run("dpkg", "--remove", "poppassd")
        self.assertEqual(self.listeners(machine), {})
        self.assertTrue(machine.read(CONFIG).endswith("# of this site\n"))
        debs.install(machine)
        self.assertTrue(machine.read(CONFIG).endswith("# of this site\n"))
        self.assert_serves(machine)


if __name__ == "__main__":
    harness.main()
