"""poppasswd --probe: what it tells a monitoring system about the real daemon
and about broken servers, and how it advises an administrator."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import accounts
import certificates
import harness
import poppasswd
from accounts import Matrix
from poppasswd import PROBE_REPLIES, Local, ProbeCase, Scripted

OK, WARNING, CRITICAL, UNKNOWN = range(4)
ROOT = certificates.authority("Root")
MIDDLE = certificates.issue(ROOT, "/CN=Middle", ca=True)


def served(names=("DNS:localhost",)):
    """A server's certificate and that of its issuer."""
    made = certificates.issue(
        MIDDLE, "/CN=server", usage="serverAuth", names=names
    )
    return certificates.chain(made, MIDDLE)


class Servers(ProbeCase):
    """Broken ones, and those that are no poppassd."""

    def expect(self, replies, status, *said, **named):
        """With more time, if the machine is too busy for little."""
        for timeout in ("1", "4", "16"):
            with Scripted(replies, **named) as server:
                got = self.probe(
                    *("--ca", server.certificate.path, "--timeout", timeout),
                    f"localhost:{server.port}",
                )
            self.assertNotIn(b"USER", b"".join(server.heard).upper())
            if got[0] == status and all(word in got[1] for word in said):
                break
        self.assertEqual(got[0], status, got[1])
        for word in said:
            self.assertIn(word, got[1])
        return got[1]

    def test_silence_in_tls(self):
        self.expect([b""], CRITICAL, "no answer: timed out after ")

    def test_silence_in_clear(self):
        self.expect([b""], CRITICAL, "no TLS: timed out", tls=False)

    def test_clear_text(self):
        self.expect(
            [b"200 old poppassd\r\n", b"500 unknown\r\n"],
            CRITICAL,
            "no TLS: the server says in clear: 200 old poppassd",
            tls=False,
        )

    def test_nonsense_in_clear(self):
        for noise in (b"\x00\xff\x1b[2J\r\n", os.urandom(4096), b"\xff"):
            noise = b"!" + noise
            self.expect([noise], CRITICAL, tls=False, closes=True)

    def test_another_protocol(self):
        said = "the server says: +OK POP3 ready"
        self.expect([b"+OK POP3 ready\r\n"], CRITICAL, said)

    def test_greeting_of_many_lines(self):
        self.expect([b"200-a\r\n200 b\r\n"], CRITICAL, "says: 200-a")

    def test_hang_up(self):
        self.expect([b""], CRITICAL, "connection lost", closes=True)
        self.expect([b""], CRITICAL, "connection lost", closes=True, tls=False)

    def test_quit_that_is_not_answered(self):
        self.expect([b"200 hello\r\n"], WARNING, "QUIT: no answer")
        replies = [b"200 hello\r\n", b"500 stay\r\n"]
        self.expect(replies, WARNING, "QUIT: the server says: 500 stay")

    def test_bar_in_a_greeting(self):
        line = self.expect([b"500 a|b=1 \xc3\xbc\r\n"], CRITICAL, "a?b=1 ??")
        self.assertNotIn("|", line)

    def test_line_without_end(self):
        self.expect([b"2" * 100000], CRITICAL, "an answer without end")

    def test_nobody_listens(self):
        got = self.probe(f"127.0.0.1:{harness.free_port()}")
        self.assertEqual(got[0], CRITICAL)
        self.assertIn("cannot connect: Connection refused", got[1])

    def test_unknown_host(self):
        got = self.probe("--timeout", "1", "host.invalid")
        self.assertEqual(got[0], CRITICAL)
        self.assertIn("unknown host", got[1])

    def test_trust_that_cannot_be_read(self):
        with Scripted(PROBE_REPLIES) as server:
            got = self.probe("--ca", "/nowhere", f"localhost:{server.port}")
        self.assertEqual(got[0], UNKNOWN)
        self.assertIn("/nowhere: ", got[1])


PHP = r"""
list(, $code, $host, $port) = $argv;
eval($code);
$stream = fsockopen(eval("return $host;"), eval("return $port;"),
    $errno, $error, 10);
if (!$stream) { fwrite(STDERR, "$errno $error\n"); exit(2); }
echo fgets($stream, 1024);
fwrite($stream, "quit\r\n");
echo fgets($stream, 1024);
"""
HELLO = re.compile(rb"200 \S+ poppassd v2 hello, who are you\?\r\n200 Bye")


class AgainstTheDaemon(ProbeCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="poppasswd-test.")
        cls.addClassCleanup(folder.cleanup)
        cls.path = f"{folder.name}/socket"
        cls.pair = served()
        cls.daemon = cls.start_daemon(
            Matrix({poppasswd.USER: poppasswd.OLD}),
            pairs=[cls.pair],
            directives=(f'listen "unix:{cls.path}" mode=0666',),
        )

    def at(self, mode, *arguments, host="localhost"):
        return self.probe(
            *("--ca", ROOT.path, *arguments),
            f"{host}:{self.daemon.port(mode)}",
        )

    def test_listeners(self):
        for mode, options, status, said in (
            ("implicit", (), OK, "implicit TLS; certificate"),
            ("implicit", ("--starttls",), CRITICAL, "it takes implicit TLS"),
            ("starttls", (), CRITICAL, "it takes STARTTLS"),
            ("starttls", ("--starttls",), OK, "STARTTLS; certificate"),
            ("auto", (), OK, "implicit TLS; certificate"),
            ("auto", ("--starttls",), OK, "STARTTLS; certificate"),
        ):
            got = self.at(mode, *options)
            self.assertEqual(got[0], status, got[1])
            self.assertIn(said, got[1])

    def test_what_is_offered(self):
        for mode, options, implicit, starttls in (
            ("implicit", (), "yes", "no"),
            ("starttls", (), "no", "yes"),
            ("auto", (), "yes", "yes"),
            ("auto", ("--starttls",), "yes", "yes"),
            ("starttls", ("--starttls",), "no", "yes"),
        ):
            more = self.at(mode, "--verbose", *options)[2]
            self.assertIn(
                f"implicit TLS: {implicit}\nSTARTTLS: {starttls}\n", more
            )
            if implicit == "no":
                self.assertIn("No webmail program can use STARTTLS", more)
                self.assertNotIn("$config", more)

    def test_leaves_no_trace(self):
        """A probe every minute is no news to the daemon."""
        mark = self.daemon.log.mark()
        for mode, options in (
            ("implicit", ()),
            ("auto", ()),
            ("auto", ("--starttls",)),
            ("auto", ("--verbose",)),
        ):
            self.assertEqual(self.at(mode, *options)[0], OK)
        # The log is in order: what is before this line is all there is.
        status, _ = poppasswd.run(
            *("--stdin", "--ca", ROOT.path),
            f"localhost:{self.daemon.port('implicit')}",
            stdin="wrong\nnew secret\n",
        )
        self.assertEqual(status, poppasswd.REFUSED)
        self.daemon.log.wait_for("event=auth_failed", since=mark)
        self.assertEqual(len(self.daemon.log.lines[mark:]), 1)

    def blocks(self, text):
        """The lines of each program, by the first word of its title."""
        found = re.findall(r"(?m)^(\w+), .*:\n((?:    .*\n)+)", text)
        return {name: re.sub("(?m)^    ", "", lines) for name, lines in found}

    def run_php(self, code, host, port):
        done = subprocess.run(
            (
                *("php", "-d", f"openssl.cafile={ROOT.path}", "-r", PHP),
                *(code, host, port),
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        self.assertRegex(done.stdout, HELLO, done.stderr)

    @unittest.skipUnless(shutil.which("php"), "takes php-cli")
    def test_advice_works_in_php(self):
        """Whatever name was asked for, PHP verifies what it is told."""
        for host in "localhost", "127.0.0.1":
            _, line, more = self.at("auto", "--verbose", host=host)
            self.assertEqual("not for 127" in line, host == "127.0.0.1")
            blocks = self.blocks(more)
            self.run_php(
                blocks["Roundcube"],
                "$config['password_pop_host']",
                "$config['password_pop_port']",
            )
            params = "$backends['poppassd']['params']"
            self.run_php(
                blocks["Horde"], f"{params}['host']", f"{params}['port']"
            )
            snappymail = json.loads("{" + blocks["SnappyMail"] + "}")
            self.run_php(
                "",
                json.dumps(snappymail["poppassd_host"]),
                json.dumps(snappymail["poppassd_port"]),
            )
            aurora = json.loads("{" + blocks["Aurora"] + "}")
            self.assertEqual(aurora["Host"][1], "string")
            self.assertEqual(aurora["Port"][1], "int")
            self.run_php(
                "", *(json.dumps(aurora[k][0]) for k in ("Host", "Port"))
            )
            self.assertIn("only use port 106", blocks["SquirrelMail"])
            self.assertIn("PHP must trust the authority", more)
            self.assertIn(f"its certificate {ROOT.path}", more)

    def test_socket(self):
        status, line, more = self.probe("--unix", self.path, "--verbose")
        self.assertEqual(status, OK, line)
        self.assertIn(f"{self.path}: reached", line)
        self.assertNotIn("days_left", line)
        blocks = self.blocks(more)
        self.assertEqual(sorted(blocks), ["Horde", "Roundcube"])
        if shutil.which("php"):
            self.run_php(
                blocks["Roundcube"],
                "$config['password_pop_host']",
                "$config['password_pop_port']",
            )

    def test_socket_without_a_server(self):
        got = self.probe("--unix", self.path + "x")
        self.assertEqual(got[0], CRITICAL)
        with tempfile.TemporaryDirectory() as folder:
            with Local(f"{folder}/socket", [b"500 no\r\n"]):
                got = self.probe("--unix", f"{folder}/socket")
        self.assertEqual(got[0], CRITICAL)
        self.assertIn("the server says: 500 no", got[1])


class Advice(ProbeCase):
    """Texts that somebody pastes between quotes."""

    def advice(self, pair, host="localhost"):
        with Scripted(PROBE_REPLIES, pair) as server:
            return self.probe(
                *("--verbose", "--timeout", "3", "--ca", ROOT.path),
                f"{host}:{server.port}",
            )[2]

    def test_hostile_names(self):
        hostile = ("DNS:a');system('x", "DNS:*.example", "DNS:good.example")
        more = self.advice(served(hostile[:2]))
        self.assertIn("No webmail program can use this name", more)
        more = self.advice(served(hostile))
        self.assertNotIn("system", more)
        self.assertIn("'ssl://good.example'", more)
        self.assertIn("None of this works before", more)


class Resolver(ProbeCase):
    """A name server that does not answer, in a network of its own."""

    @accounts.needs_private_etc
    def test_silence(self):
        with open("/etc/resolv.conf", "rb") as file:
            before = file.read()
        script = (
            "ip link set lo up && exec /usr/bin/python3 -c '"
            "import socket, subprocess, sys\n"
            "mute = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            'mute.bind(("127.0.0.1", 53))\n'
            'sys.exit(subprocess.call(sys.argv[1:]))\' "$@"'
        )
        try:
            with open("/etc/resolv.conf", "wb") as file:
                file.write(b"nameserver 127.0.0.1\n")
            done = subprocess.run(
                (
                    *("unshare", "--net", "sh", "-c", script, "sh"),
                    *(harness.program("bin/poppasswd"), "--probe"),
                    *("--timeout", "1", "mail.example.com"),
                ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=60,
                check=False,
            )
        finally:
            with open("/etc/resolv.conf", "wb") as file:
                file.write(before)
        self.assertEqual(done.returncode, CRITICAL, done)
        self.assertIn(b"name servers do not answer within 1 s", done.stdout)
        self.assertNotRegex(done.stderr.decode(), harness.SANITIZER)


if __name__ == "__main__":
    harness.main(private_etc=True)
