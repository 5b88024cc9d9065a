"""What each process may do, as the kernel says it: /proc/PID/status."""

import os
import pwd
import shutil
import tempfile
import unittest.mock

import accounts
import harness
import processes
from accounts import Matrix, Unix
from client import ASK_NEW, ASK_OLD, CHANGED, Client, change, log_in
from waiting import Fifo

OLD = "old-secret-0"
NEW = "new-secret-1"
SERVICE = accounts.SERVICE_PLAIN

CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "SYS_CHROOT": 18,
    "AUDIT_WRITE": 29,
}
MONITOR_MAY = set(CAPABILITIES)
HELPER_MAY = {"CHOWN", "SETUID", "AUDIT_WRITE"}
NONE = f"{0:016x}"


def mask(names):
    return f"{sum(1 << CAPABILITIES[name] for name in names):016x}"


def ids(status, name):
    """Real, effective, saved and file-system id."""
    return [int(word) for word in status[name].split()]


class Net:
    """What is true of net however it was started."""

    def assert_filters(self, status, number):
        """The monitor's, which all inherit, and net's own."""
        self.assertEqual(status["Seccomp"], "2", "no filter")
        if "Seccomp_filters" in status:  # Linux 5.9
            self.assertEqual(status["Seccomp_filters"], str(number))

    def assert_sandbox(self, net):
        status = processes.status(net)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assert_filters(status, 2)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(status[name], NONE, name)
        owner = os.stat(f"/proc/{net}/status").st_uid
        self.assertEqual(owner, 0, "can be dumped and traced by its user")
        with open(f"/proc/{net}/limits", encoding="ascii") as file:
            limits = {line[:25].strip(): line[25:].split() for line in file}
        for name in ("Max processes", "Max file size", "Max core file size"):
            self.assertEqual(limits[name][:2], ["0", "0"], name)
        self.assertLess(int(limits["Max open files"][1]), 10000)

    def assert_no_files(self, net):
        """Sockets and what libevent needs; /dev/null and the log."""
        for descriptor in os.listdir(f"/proc/{net}/fd"):
            target = os.readlink(f"/proc/{net}/fd/{descriptor}")
            self.assertRegex(
                target, r"^(socket:|pipe:|anon_inode:|/dev/null$)", descriptor
            )


class InGroups(harness.Daemon):
    """Started with groups that nobody is to inherit."""

    popen_options = {"extra_groups": (0, 4)}


@accounts.needs_private_etc
class AsRoot(Net, harness.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.fifo = Fifo()
        cls.addClassCleanup(cls.fifo.remove)
        service = SERVICE.replace(
            "account required",
            f"account optional pam_exec.so quiet {cls.fifo.script}\n"
            "account required",
            1,
        )
        cls.backend = Unix({"alice": OLD}, service)
        cls.daemon = InGroups(cls.backend)
        cls.addClassCleanup(cls.daemon.remove)
        cls.addClassCleanup(cls.daemon.stop_if_running)
        cls.daemon.start()
        accounts.run("groupadd", "staffers")
        accounts.run("usermod", "-a", "-G", "staffers", "alice")

    def test_monitor(self):
        status = processes.status(self.daemon.process.pid)
        self.assertEqual(ids(status, "Uid"), [0] * 4)
        self.assertEqual(status["CapPrm"], mask(MONITOR_MAY))
        self.assertEqual(status["CapEff"], mask(MONITOR_MAY))
        self.assertEqual(status["CapBnd"], mask(MONITOR_MAY))
        self.assertEqual(status["CapInh"], NONE)
        self.assertEqual(status["CapAmb"], NONE)
        self.assertEqual(status["NoNewPrivs"], "0")
        self.assert_filters(status, 1)

    def test_net(self):
        net = self.daemon.net_pid()
        status = processes.status(net)
        user = pwd.getpwnam(accounts.NET_USER)
        self.assertEqual(ids(status, "Uid"), [user.pw_uid] * 4)
        self.assertEqual(ids(status, "Gid"), [user.pw_gid] * 4)
        self.assertEqual(status["Groups"], "")
        self.assertEqual(status["CapBnd"], NONE)
        self.assert_sandbox(net)
        self.assert_no_files(net)

    def test_keeper(self):
        """As net."""
        keeper = self.daemon.keeper_pid()
        status = processes.status(keeper)
        user = pwd.getpwnam(accounts.NET_USER)
        self.assertEqual(ids(status, "Uid"), [user.pw_uid] * 4)
        self.assertEqual(ids(status, "Gid"), [user.pw_gid] * 4)
        self.assertEqual(status["Groups"], "")
        self.assertEqual(status["CapBnd"], NONE)
        self.assert_sandbox(keeper)
        self.assert_no_files(keeper)
        self.assertEqual(os.listdir(f"/proc/{keeper}/root/"), [])

    def test_each_has_its_name(self):
        """In ps, ss and top, too."""
        for pid, name in (
            (self.daemon.net_pid(), "poppassd: net"),
            (self.daemon.keeper_pid(), "poppassd: keys"),
        ):
            self.assertEqual(processes.status(pid)["Name"], name)

    def test_net_has_an_empty_root(self):
        net = self.daemon.net_pid()
        self.assertEqual(os.listdir(f"/proc/{net}/root/"), [])
        root = os.stat(f"/proc/{net}/root/")
        self.assertEqual((root.st_uid, root.st_mode & 0o022), (0, 0))
        self.assertEqual(root.st_nlink, 0, "the folder has a name")
        here = os.stat(f"/proc/{net}/cwd/")
        self.assertEqual(root.st_ino, here.st_ino)

    def test_net_keeps_its_sandbox_while_it_works(self):
        self.fifo.open_gate()
        reply, _ = change(self.daemon.port(), "alice", OLD, NEW)
        self.assertEqual(reply, CHANGED)
        self.backend.set_passwords({"alice": OLD})
        self.assert_sandbox(self.daemon.net_pid())

    def test_helper(self):
        """Looked at while pam_exec holds it in the account stack."""
        self.fifo.close_gate()
        with Client(self.daemon.port(), "implicit") as client:
            client.say(b"USER alice", ASK_OLD[:-2])
            client.send(b"PASS " + OLD.encode() + b"\r\n")
            self.fifo.wait_reached()
            helper, *below = self.daemon.helper_pids()
            self.assertEqual(below, [])
            status = processes.status(helper)
            self.fifo.open_gate()
            self.assertEqual(client.line(), ASK_NEW)
        user = pwd.getpwnam("alice")
        self.assertEqual(ids(status, "Uid"), [user.pw_uid, 0, 0, 0])
        self.assertEqual(ids(status, "Gid"), [user.pw_gid] * 4)
        groups = set(map(int, status["Groups"].split()))
        self.assertEqual(groups, set(os.getgrouplist("alice", user.pw_gid)))
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assert_filters(status, 1)
        may = set(HELPER_MAY)
        if os.path.exists("/run/faillock"):
            may.add("DAC_OVERRIDE")
        for name in ("CapPrm", "CapEff", "CapBnd"):
            self.assertEqual(status[name], mask(may), name)
        self.assertEqual(status["CapInh"], NONE)
        self.assertEqual(status["CapAmb"], NONE)

    def test_helper_has_nothing_of_ours(self):
        """No listener, no other session; a clean environment."""
        self.fifo.close_gate()
        with Client(self.daemon.port(), "implicit") as client:
            client.say(b"USER alice", ASK_OLD[:-2])
            client.send(b"PASS " + OLD.encode() + b"\r\n")
            self.fifo.wait_reached()
            (helper,) = self.daemon.helper_pids()
            descriptors = set(os.listdir(f"/proc/{helper}/fd"))
            with open(f"/proc/{helper}/cmdline", "rb") as file:
                command = file.read()
            self.fifo.open_gate()
            self.assertEqual(client.line(), ASK_NEW)
        self.assertLessEqual({int(d) for d in descriptors}, set(range(8)))
        self.assertNotIn(OLD.encode(), command)


class Modules(harness.TestCase):
    """What PAM's modules, and what they start, find."""

    SCRIPT = """\
#!/bin/sh
case $PAM_TYPE in {kind}) ;; *) exit 0 ;; esac
{{ env; grep SigIgn /proc/self/status; ulimit -Sn; pwd; umask; id -u; }} >{out}
"""

    def look(self, kind):
        """Lines that a script prints when a stack of this kind runs it."""
        folder = tempfile.mkdtemp(prefix="poppassd-modules.")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o777)
        script = os.path.join(folder, "script")
        out = os.path.join(folder, "out")
        with open(script, "w", encoding="ascii") as file:
            file.write(self.SCRIPT.format(kind=kind, out=out))
        os.chmod(script, 0o755)
        line = f"{kind} required pam_exec.so quiet {script}\n"
        daemon = self.start_daemon(
            Matrix({"virt.user": OLD}, line), listens=("implicit",)
        )
        reply, _ = change(daemon.port(), "virt.user", OLD, NEW)
        self.assertEqual(reply, CHANGED)
        with open(out, encoding="ascii") as file:
            return file.read().splitlines()

    @unittest.mock.patch.dict(
        os.environ, {"LANG": "de_DE.UTF-8", "LANGUAGE": "de", "IFS": "x"}
    )
    def test_what_they_find(self):
        for kind in ("auth", "account", "password"):
            with self.subTest(kind):
                found = self.look(kind)
                *lines, ignored, files, folder, mask, uid = found
                self.assertEqual(
                    sorted(line for line in lines if line[:4] != "PWD="),
                    [
                        "PAM_RHOST=127.0.0.1",
                        "PAM_SERVICE=poppassd",
                        "PAM_TTY=poppassd",
                        f"PAM_TYPE={kind}",
                        "PAM_USER=virt.user",
                    ],
                )
                self.assertEqual(ignored.split()[1], NONE)
                self.assertLessEqual(int(files), 1024)
                self.assertEqual((folder, mask), ("/", "0077"))
                # NSS does not know the user: the one of the configuration
                me = harness.NOBODY if accounts.is_root() else os.geteuid()
                self.assertEqual(int(uid), me)


class NotAsRoot(Net, harness.TestCase):
    """What needs no privilege is done all the same."""

    @classmethod
    def setUpClass(cls):
        cls.backend = Matrix({"virt.user": OLD})
        cls.daemon = cls.start_daemon(
            cls.backend, listens=("implicit",), unprivileged=True
        )

    def test_warning_is_one_line(self):
        self.assertEqual(len(self.daemon.log.find("event=not_root")), 1)

    def test_net(self):
        net = self.daemon.net_pid()
        self.assertNotIn(0, ids(processes.status(net), "Uid"))
        if accounts.is_root():  # net is not dumpable: only root may look
            self.assert_sandbox(net)
            self.assert_no_files(net)
        else:
            status = processes.status(net)
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assert_filters(status, 2)

    def test_monitor(self):
        """Without privilege a filter takes no_new_privs."""
        status = processes.status(self.daemon.process.pid)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assert_filters(status, 1)

    def test_serves(self):
        self.backend.set_passwords({"virt.user": OLD})
        with Client(self.daemon.port(), "implicit") as client:
            self.assertEqual(log_in(client, "virt.user", OLD), ASK_NEW)
            client.say(b"NEWPASS " + NEW.encode(), CHANGED[:-2])


if __name__ == "__main__":
    if harness.is_sanitized():
        print(
            "AddressSanitizer: net's filter lets the runtime's own calls "
            "through, and leaks in net are not looked for; uids, groups, "
            "capabilities and limits are as without it",
            flush=True,
        )
    harness.main(private_etc=True)
