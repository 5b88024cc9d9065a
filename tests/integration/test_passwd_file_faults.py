"""What can go wrong in a change of a passwd-file: killed at any instant, an
error from any system call, a full disk. The file is the old one or the new
one, PAM's word is true, and the next change goes through.

POPPASSD_TEST_KILLS: how many kills at random instants.
POPPASSD_TEST_ALL_ERRORS: every error at every call, not one of them each.
"""

import errno
import fcntl
import os
import random
import re
import signal
import statistics
import tempfile
import time

import accounts
import harness
import passwd_file
import processes
from accounts import needs_private_etc
from passwd_file import (
    NEW,
    OLD,
    SUCCESS,
    Ended,
    Folder,
    PamChange,
    line,
    verifies,
)
from waiting import in_parallel, wait_until

N_KILLS = int(os.environ.get("POPPASSD_TEST_KILLS", "300"))
ALL_ERRORS = "POPPASSD_TEST_ALL_ERRORS" in os.environ
#: the kernel never says an error, and the C library does not live with one
NO_ERRORS = ("brk", "getrandom")
#: that a sanitizer does not make, and whose numbers it does not change
FILE_CALLS = (
    "fchmod flistxattr flock fsync inotify_add_watch inotify_init1 pread64"
    " renameat unlinkat utimensat write"
).split()
ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EINTR")
MISSED = "missed"
N_TRACERS = 2
USER = b"alice@example.org"


def file_around(field, n_others):
    """USER's line in the middle of others."""
    other = line("x", OLD, rest=b"::::::" + b"y" * 40)[1:]
    lines = [b"user%d" % n + other for n in range(n_others)]
    lines.insert(n_others // 2, USER + b":" + field + b"::::::")
    return b"\n".join(lines) + b"\n"


class Changed:
    """A folder whose only changes are USER's."""

    def __init__(self, test, n_others, parent=None):
        self.test = test
        self.folder = Folder(parent)
        test.addCleanup(self.folder.close)
        stored = passwd_file.field(OLD)
        self.folder.write(file_around(stored, n_others))
        self.head, self.tail = self.folder.read().split(stored_line(stored))

    def password(self, *candidates):
        """The one that works, in a file with nothing else changed."""
        data = self.folder.read()
        self.test.assertTrue(data.startswith(self.head), data[-200:])
        self.test.assertTrue(data.endswith(self.tail), data[-200:])
        middle = data[len(self.head) : len(data) - len(self.tail)]
        match = re.fullmatch(USER + rb":([^:\n]*)::::::", middle)
        self.test.assertIsNotNone(match, middle)
        right = [p for p in candidates if verifies(match[1], p)]
        self.test.assertEqual(len(right), 1, middle)
        return right[0]

    def assert_next_change(self, pam, old, new):
        """It works at once, and takes away what was left."""
        self.test.assertEqual(pam.change(USER, old, new), (SUCCESS, ""))
        self.test.assertEqual(self.password(old, new), new)
        self.test.assertEqual(self.folder.left_over(), set())


def stored_line(stored):
    return USER + b":" + stored + b"::::::"


class Killed(harness.TestCase):
    """SIGKILL at a random instant of a change."""

    def test_random_instants(self):
        changed = Changed(self, 1000)
        tally = {"before": 0, "after": 0, "told": 0, "temporary file": 0}
        confdir = changed.folder.confdir
        with PamChange(confdir) as keeper:
            took = []
            for _ in range(5):
                start = time.monotonic()
                changed.assert_next_change(keeper, OLD, NEW)
                took.append(time.monotonic() - start)
                changed.assert_next_change(keeper, NEW, OLD)
            longest_sec = 1.2 * statistics.median(took)
            for n in range(N_KILLS):
                told = self.kill_one(confdir, random.uniform(0, longest_sec))
                left = changed.folder.left_over()
                current = changed.password(OLD, NEW)
                if told:
                    self.assertEqual(current, NEW)
                tally["temporary file"] += bool(left)
                tally[
                    "told"
                    if told
                    else "before"
                    if current == OLD
                    else "after"
                ] += 1
                other = OLD if current == NEW else NEW
                changed.assert_next_change(keeper, current, other)
                if other == NEW:
                    changed.assert_next_change(keeper, NEW, OLD)
        print(f"{N_KILLS} kills: {tally}", flush=True)

    def kill_one(self, confdir, after_sec):
        """Was success told?"""
        victim = PamChange(confdir)
        self.assertEqual(victim.order(("user", USER)), (SUCCESS, ""))
        victim.send(("change", OLD, NEW))
        time.sleep(after_sec)
        victim.process.kill()
        answer = victim.process.stdout.readline()
        victim.kill()
        return answer == b"0\t\n"


class Traced:
    """pam_change under strace, which counts the calls of each name."""

    def __init__(self, test):
        self.test = test
        self.changed = Changed(test, 20, passwd_file.memory_folder())
        self.trace = os.path.join(self.changed.folder.top, "trace")
        self.restore(OLD)  # from now on there is a lock file

    def start(self, *inject):
        """With the user named, which loads the modules."""
        prefix = ("strace", "-q", "-o", self.trace, *inject, "--")
        pam = PamChange(self.changed.folder.confdir, prefix=prefix)
        self.test.addCleanup(pam.kill)
        self.test.assertEqual(pam.order(("user", USER)), (SUCCESS, ""))
        return pam

    def run(self, *inject):
        """One change. PAM's answer, or None if it ended before it gave one."""
        pam = self.start(*inject)
        try:
            answer = pam.order(("change", OLD, NEW))
            pam.close()
        except Ended:
            pam.kill()
            return None
        return answer

    def text(self):
        with open(self.trace, encoding="latin-1") as file:
            return file.read()

    def calls(self):
        """The calls between order and answer: (name, its number)."""
        self.test.assertEqual(self.run(), (SUCCESS, ""))
        self.restore(NEW)
        counts, found, is_inside = {}, [], False
        for entry in self.text().splitlines():
            match = re.match(r"(\w+)\(", entry)
            if match is None:
                continue
            name = match[1]
            counts[name] = counts.get(name, 0) + 1
            # What follows the module is PAM's own note for auditing.
            if is_inside and "AF_NETLINK" in entry:
                return found
            if is_inside:
                found.append((name, counts[name]))
            is_inside |= entry.startswith('read(0, "change\\t')
        raise AssertionError(f"no change in\n{self.text()}")

    def was_hit(self):
        """How often a file is read that others fill, such as /proc/locks, is
        not always the same: the fault may come late, or not at all."""
        inside = self.text().partition("AF_NETLINK")[0]
        return re.search(r"\(INJECTED\)|killed by SIGKILL", inside)

    def attempt(self, call, fault):
        """One change with a fault at one call. Returns PAM's code, or MISSED,
        and what was wrong about it, or None. What is missed is tried again."""
        for _ in range(5):
            code, wrong = self.attempt_once(call, fault)
            if code != MISSED:
                break
        return code, wrong

    def attempt_once(self, call, fault):
        name, number = call
        inject = f"inject={name}:{fault}:when={number}"
        answer = self.run("-e", inject)
        current = self.changed.password(OLD, NEW)
        code, wrong = answer and answer[0], None
        if not self.was_hit():
            code = MISSED
        elif answer is None and "error" in fault:
            wrong = f"{inject}: ended by\n{self.text()[-1000:]}"
        elif answer is not None and not self.is_true(answer, current):
            wrong = f"{inject}: told {answer}, but {current} works"
        self.restore(current)
        return code, wrong

    def is_true(self, answer, current):
        """An error means that the old password works, but for the last step,
        of which only a power failure could make an old one."""
        code, text = answer
        if code == SUCCESS:
            return current == NEW
        if current == OLD:
            return True
        last = re.findall(r"fsync\(.*", self.text())[1:]
        return "INJECTED" in "".join(last) and "was changed, but" in text

    def restore(self, current):
        """The next change, without a fault, back to where it began."""
        with PamChange(self.changed.folder.confdir) as pam:
            if current == OLD:
                self.changed.assert_next_change(pam, OLD, NEW)
            self.changed.assert_next_change(pam, NEW, OLD)


class SystemCalls(harness.TestCase):
    """A kill, and errors, at each system call of a change."""

    def faults_at_each_call(self, faults_of):
        """faults_of: of a call's name and its place, a list."""
        tracers = [Traced(self) for _ in range(N_TRACERS)]
        calls = tracers[0].calls()
        work = [
            (call, fault)
            for n, call in enumerate(calls)
            if call[0] in FILE_CALLS or not harness.is_sanitized()
            for fault in faults_of(call[0], n)
        ]

        def attempt_share(i):
            return [tracers[i].attempt(*item) for item in work[i::N_TRACERS]]

        shares = in_parallel(attempt_share, range(N_TRACERS))
        results = [result for share in shares for result in share]
        self.assertEqual([w for _, w in results if w is not None], [])
        codes = [code for code, _ in results]
        self.assertLess(codes.count(MISSED), len(work) / 20)
        tally = {code: codes.count(code) for code in set(codes)}
        print(
            f"{len(calls)} calls, {len(work)} faults; PAM's codes, None if "
            f"it ended: {tally}",
            flush=True,
        )
        return tally

    def test_kill_at_each(self):
        tally = self.faults_at_each_call(lambda *_: ["signal=KILL"])
        self.assertLessEqual(set(tally), {None, MISSED})

    def test_errors_at_each(self):
        def errors(name, n):
            if name in NO_ERRORS:
                return []
            these = ERRORS if ALL_ERRORS else [ERRORS[n % len(ERRORS)]]
            return [f"error={error}" for error in these]

        self.faults_at_each_call(errors)


class Overtaken(harness.TestCase):
    """Webmail's driver, slow between its opening of the file and its lock."""

    def test_opened_before_the_rename(self):
        """After the last look of ours. It finds the new text in the file that
        has lost its name, and does not undo the change."""
        traced = Traced(self)
        folder = traced.changed.folder
        calls = traced.calls()
        names = [name for name, _ in calls[: calls.index(("renameat", 1))]]
        number = dict(calls[: len(names)])["flock"]
        pam = traced.start("-e", f"inject=flock:signal=STOP:when={number}")
        pam.send(("change", OLD, NEW))
        wait_until(lambda: "stopped by" in traced.text(), "the stop")
        with open(folder.path, "rb") as webmail:
            (pid,) = processes.descendants(pam.process.pid)
            os.kill(pid, signal.SIGCONT)
            self.assertEqual(pam.answer(), (SUCCESS, ""))
            fcntl.flock(webmail, fcntl.LOCK_EX)
            text = webmail.read()
        other = folder.stored("user0")
        folder.write(text.replace(b"user0:" + other, b"user0:{CRYPT}x"))
        self.assertTrue(folder.has_password(USER, NEW))
        self.assertEqual(folder.stored("user0"), b"{CRYPT}x")


def mount(test, options):
    """A file system of the test's own. Returns its place."""
    place = tempfile.mkdtemp(dir="/run")
    accounts.run("mount", "-t", "tmpfs", "-o", options, "poppassd", place)
    test.addCleanup(accounts.run, "umount", place)
    return place


@needs_private_etc
class LockedElsewhere(harness.TestCase):
    """A program that keeps a lock for good, on a file of another file system
    whose inode has the number of ours."""

    def open_with_inode(self, place, inode):
        """Inodes of a new file system are numbered one after the other."""
        for n in range(inode):
            path = os.path.join(place, f"f{n}")
            file = self.enterContext(open(path, "wb"))
            if os.fstat(file.fileno()).st_ino == inode:
                return file
        raise AssertionError(f"no inode {inode} in {place}")

    def test_change(self):
        changed = Changed(self, 10, mount(self, "size=1m"))
        inode = os.stat(changed.folder.path).st_ino
        other = self.open_with_inode(mount(self, "size=1m"), inode)
        fcntl.flock(other, fcntl.LOCK_EX)
        with PamChange(changed.folder.confdir) as pam:
            changed.assert_next_change(pam, OLD, NEW)


@needs_private_etc
class Disk(harness.TestCase):
    """Real file systems that cannot be written."""

    def mount(self, options):
        self.place = mount(self, options)
        self.changed = Changed(self, 500, self.place)

    def assert_refused(self, pam, pattern):
        before = self.changed.folder.read()
        code, text = pam.change(USER, OLD, NEW)
        self.assertNotEqual(code, SUCCESS)
        self.assertRegex(text, pattern)
        self.assertEqual(self.changed.folder.read(), before)
        self.assertEqual(self.changed.folder.left_over(), set())
        self.assertEqual(pam.login(USER, OLD), (SUCCESS, ""))

    def fill(self, keep_bytes):
        """A file that leaves so much room."""
        path = os.path.join(self.place, "filler")
        with open(path, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
            file.truncate(file.tell() - keep_bytes)
        return path

    def test_full(self):
        """No room at all, and too little for the whole new file."""
        self.mount("size=256k")
        self.assertGreater(len(self.changed.folder.read()), 40000)
        for room in (0, 16384):
            filler = self.fill(room)
            with PamChange(self.changed.folder.confdir) as pam:
                self.assert_refused(pam, "full")
                os.unlink(filler)
                self.changed.assert_next_change(pam, OLD, NEW)
                self.changed.assert_next_change(pam, NEW, OLD)

    def test_no_file_can_be_made(self):
        self.mount("nr_inodes=30")
        n = 0
        while True:
            try:
                os.mkdir(os.path.join(self.place, f"n{n}"))
            except OSError as error:
                self.assertEqual(error.errno, errno.ENOSPC)
                break
            n += 1
        with PamChange(self.changed.folder.confdir) as pam:
            self.assert_refused(pam, "full")
            for i in range(n):
                os.rmdir(os.path.join(self.place, f"n{i}"))
            self.changed.assert_next_change(pam, OLD, NEW)

    def test_read_only(self):
        self.mount("size=1m")
        folder = self.changed.folder.folder
        accounts.run("mount", "--bind", folder, folder)
        accounts.run("mount", "-o", "remount,ro,bind", folder)
        with PamChange(self.changed.folder.confdir) as pam:
            self.assert_refused(pam, "read-only")
            accounts.run("umount", folder)
            self.changed.assert_next_change(pam, OLD, NEW)


class FileSize(harness.TestCase):
    """The limit that a service manager may set."""

    def attempt(self, *prefix):
        changed = Changed(self, 500)
        limit = ("prlimit", "--fsize=16384", "--core=0", "--")
        pam = PamChange(changed.folder.confdir, prefix=(*prefix, *limit))
        try:
            return changed, pam.change(USER, OLD, NEW)
        finally:
            pam.kill()

    def test_error(self):
        changed, (code, text) = self.attempt("env", "--ignore-signal=XFSZ")
        self.assertNotEqual(code, SUCCESS)
        self.assertRegex(text, "full")
        self.assertEqual(changed.password(OLD, NEW), OLD)
        self.assertEqual(changed.folder.left_over(), set())


if __name__ == "__main__":
    harness.main(private_etc=True)
