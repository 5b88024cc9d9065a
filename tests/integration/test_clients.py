"""The dialogues of the clients that exist, each with its own idea of what a
reply means. What they send and accept is written as data or as a few lines of
the client's logic; the table is that of the clients' own sources."""

import re
import socket
import time

import accounts
import harness
from accounts import Matrix
from client import ASK_NEW, BYE, WRONG, Client
from waiting import in_parallel

OLD = "old-secret-0"
NEW = "new-secret-1"
WEAK = "abc"


class Gone(Exception):
    """The client waits for a reply that never comes."""


class Caller:
    """What a client's code does: it writes and reads, it knows no bytes to
    expect."""

    def __init__(self, port):
        self.peer = Client(port, "clear")
        self.peer.handshake()
        self.seen = []

    def write(self, data):
        self.peer.send(data)

    def read(self):
        try:
            line = self.peer.line()
        except (socket.timeout, OSError) as error:
            raise Gone(str(error)) from error
        if not line:
            raise Gone("end of file")
        self.seen.append(line)
        return line

    def read_to_end(self):
        rest = b""
        while True:
            data = self.peer.socket.recv(4096)
            if not data:
                return rest
            rest += data


def plain(
    *,
    greeting,
    asked,
    changed,
    end=b"\r\n",
    verbs=(b"user", b"pass", b"newpass"),
    quit_=None,
    local_part=False,
):
    """A client that sends one line, reads one, and stops at the first that
    does not match. quit_: how the result depends on QUIT: None (not sent),
    "sent" (the reply is never read), or the pattern that it must match."""

    def run(port, user, old, new):
        caller = Caller(port)
        if local_part:
            user = user.partition("@")[0]
        try:
            good = re.match(greeting, caller.read())
            steps = zip(verbs, (user, old, new), (asked, asked, changed))
            for verb, value, pattern in steps:
                if not good:
                    return False, caller
                caller.write(verb + b" " + value.encode() + end)
                good = re.match(pattern, caller.read())
            if quit_ is not None:
                caller.write(b"quit" + end)
                if quit_ != "sent":
                    good = good and re.match(quit_, caller.read())
            return bool(good), caller
        finally:
            caller.peer.close()

    return run


def horde(port, user, old, new):
    """LF; QUIT only after an error, whose reply counts for nothing."""
    good = rb"(200|220|250|300)"
    caller = Caller(port)
    try:
        if not re.match(good, caller.read()):
            return False, caller
        verbs = (b"user", b"pass", b"newpass")
        for verb, value in zip(verbs, (user, old, new)):
            caller.write(verb + b" " + value.encode() + b"\n")
            if not re.match(good, caller.read()):
                try:
                    caller.write(b"quit\n")
                except OSError:
                    pass  # closed already: fwrite()'s warning, no more
                return False, caller
        return True, caller
    finally:
        caller.peer.close()


def aurora(port, user, old, new):
    """NEWPASS must answer exactly 200; after another answer it reads until
    the end of the connection."""
    caller = Caller(port)
    try:
        if not re.match(rb"2", caller.read()):
            return False, caller
        for verb, value in ((b"user", user), (b"pass", old)):
            caller.write(verb + b" " + value.encode() + b"\r\n")
            if not re.match(rb"[23]", caller.read()):
                return False, caller
        caller.write(b"newpass " + new.encode() + b"\r\n")
        if caller.read()[:3] == b"200":
            return True, caller
        caller.read_to_end()
        return False, caller
    finally:
        caller.peer.close()


def pop_pwd(port, user, old, new):
    """Mail::PopPwd: one command ahead, USER before the greeting."""
    caller = Caller(port)
    lines = [
        b"user " + user.encode(),
        b"pass " + old.encode(),
        b"newpass " + new.encode(),
        b"quit",
    ]
    try:
        for line in lines:
            caller.write(line + b"\r\n")
            if not caller.read().startswith(b"200"):
                return False, caller
        return True, caller
    finally:
        caller.peer.close()


TWO = rb"^2"
TWO_OR_THREE = rb"^[23]"
EXACTLY_200 = rb"^200"
EXACTLY_200_SPACE = rb"^200 "

CLIENTS = {
    "Roundcube": plain(
        greeting=rb"^2\d\d", asked=rb"^[23]\d\d", changed=rb"^2\d\d"
    ),
    "Horde": horde,
    "SquirrelMail": plain(
        greeting=TWO, asked=TWO_OR_THREE, changed=TWO, quit_="sent"
    ),
    "SnappyMail": plain(
        greeting=TWO,
        asked=TWO_OR_THREE,
        changed=TWO,
        quit_=rb"^2\d\d",
    ),
    "Aurora": aurora,
    "poppass-cgi": plain(
        greeting=EXACTLY_200,
        asked=EXACTLY_200,
        changed=EXACTLY_200,
        end=b"\n",
        verbs=(b"USER", b"PASS", b"NEWPASS"),
        quit_="sent",
    ),
    "yppoppassd": plain(
        greeting=EXACTLY_200_SPACE,
        asked=EXACTLY_200_SPACE,
        changed=EXACTLY_200_SPACE,
        quit_="sent",
    ),
    "Mail::PopPwd": pop_pwd,
    "Open WebMail": plain(
        greeting=EXACTLY_200_SPACE,
        asked=EXACTLY_200_SPACE,
        changed=EXACTLY_200_SPACE,
    ),
    "Eudora": plain(
        greeting=rb"^[23]\d\d ",
        asked=rb"^[23]\d\d ",
        changed=rb"^[23]\d\d ",
        quit_="sent",
        local_part=True,
    ),
    "Mulberry": plain(
        greeting=EXACTLY_200,
        asked=EXACTLY_200,
        changed=EXACTLY_200,
        quit_=EXACTLY_200,
    ),
    "Mailwoman": plain(greeting=TWO, asked=TWO, changed=TWO, quit_="sent"),
    "Telenec": plain(
        greeting=rb"^2\d\d", asked=rb"^2\d\d", changed=rb"^2\d\d"
    ),
}

#: how long a whole session may take, or a reply
DEADLINE_SEC = {"Telenec": 5, "poppass-cgi": 60}


class Dialogues(harness.TestCase):
    """Each client's verdict is the truth."""

    @classmethod
    def setUpClass(cls):
        cls.names = {
            client: f"virt.{n}" for n, client in enumerate(sorted(CLIENTS))
        }
        cls.backend = Matrix(
            dict.fromkeys(cls.names.values(), OLD), accounts.QUALITY
        )
        cls.daemon = cls.start_daemon(
            cls.backend,
            listens=("auto",),
            directives=("greeting-delay 5s",),
        )

    def setUp(self):
        self.backend.set_passwords(self.backend.accounts)

    def run_client(self, client, old, new):
        port = self.daemon.port("auto")
        return CLIENTS[client](port, self.names[client], old, new)

    def test_right_password_is_a_success(self):
        for client, user in self.names.items():
            with self.subTest(client):
                start = time.monotonic()
                success, _ = self.run_client(client, OLD, NEW)
                took = time.monotonic() - start
                self.assertTrue(success)
                self.assertTrue(self.backend.has_password(user, NEW))
                print(
                    f"{client}: {took:.3f} s of"
                    f" {DEADLINE_SEC.get(client, 10)} s",
                    flush=True,
                )

    def test_wrong_password_is_a_failure_with_the_text(self):
        def run(client):
            return self.run_client(client, "wrong-secret", NEW)

        for client, (success, caller) in zip(
            self.names, in_parallel(run, list(self.names))
        ):
            with self.subTest(client):
                self.assertFalse(success)
                self.assertEqual(caller.seen[-1], WRONG)

    def test_refused_new_password_is_a_failure_with_the_reason(self):
        for client, user in self.names.items():
            with self.subTest(client):
                success, caller = self.run_client(client, OLD, WEAK)
                self.assertFalse(success)
                reply = [x for x in caller.seen if x != BYE][-1]
                self.assertRegex(reply, rb"^500 BAD PASSWORD: [ -~]+\r\n$")
                self.assertLess(len(reply), 512)
                self.assertTrue(self.backend.has_password(user, OLD))

    def test_greeting_fits_squirrelmail(self):
        """It reads 1023 bytes and takes them for one line."""
        client = Client(self.daemon.port("auto"), "implicit")
        self.addCleanup(client.close)
        self.assertLess(len(client.greeting), 512)
        self.assertEqual(client.greeting.count(b"\n"), 1)

    def test_aurora_extended_asks_for_the_name(self):
        """`getuser` at every login; the answer does not matter, the
        connection must live on or end, and nobody failed."""
        mark = self.daemon.log.mark()
        with Client(self.daemon.port("auto"), "implicit") as client:
            client.say(b"getuser virt.0", b"500 Unknown command.")
        with Client(self.daemon.port("auto"), "implicit") as client:
            client.say(b"user virt.0", b"200 Your password please.")
            client.say(b"pass " + OLD.encode(), ASK_NEW[:-2])
        self.daemon.log.wait_for(r"event=login_ok\b", since=mark)
        self.assertFalse(self.daemon.log.find("auth_failed", mark))

    def test_open_webmail_checks_a_login(self):
        """USER and PASS alone, then it closes."""
        for password, good in ((OLD, True), ("wrong-secret", False)):
            caller = Caller(self.daemon.port("auto"))
            self.assertRegex(caller.read(), EXACTLY_200_SPACE)
            caller.write(b"user virt.0\r\n")
            self.assertRegex(caller.read(), EXACTLY_200_SPACE)
            caller.write(b"pass " + password.encode() + b"\r\n")
            reply = caller.read()
            caller.peer.close()
            self.assertEqual(bool(re.match(EXACTLY_200_SPACE, reply)), good)


if __name__ == "__main__":
    harness.main()
