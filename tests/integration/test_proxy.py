"""Listeners behind a proxy: PROXY headers of both versions, from trusted
proxies only, in any pieces; raw, and from a real HAProxy."""

import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import unittest

import harness
from accounts import Matrix
from client import (
    ASK_NEW,
    CHANGED,
    GREETING,
    TLS_REQUIRED,
    Client,
    check,
    context,
    log_in,
)
from waiting import PATIENCE_SEC, Log, wait_until

OLD = "old-secret-0"
NEW = "new-secret-1"
USER = "virt.user"
MODES = ("implicit", "starttls", "auto")

V2_START = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 192.0.2.1 198.51.100.1 4313 106\r\n"
V1_IPV6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 4313 106\r\n"


def v2(command=0x21, family=0x11, rest=None):
    if rest is None:
        rest = socket.inet_aton("192.0.2.1") + socket.inet_aton("198.51.100.1")
        rest += struct.pack(">HH", 4313, 106)
    return V2_START + struct.pack(">BBH", command, family, len(rest)) + rest


V2 = v2()
V2_IPV6 = v2(
    family=0x21,
    rest=socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::2")
    + struct.pack(">HH", 4313, 106),
)
V2_TLVS = v2(rest=V2[16:] + b"\x04\x01\xf0" + b"x" * 496 + b"\x01\0\x02h2")
FROM = "peer=192.0.2.1 port=4313 proxy=127.0.0.1"
FROM_IPV6 = "peer=2001:db8::1 port=4313 proxy=127.0.0.1"
HEADERS = {
    "v1": (V1, FROM),
    "v1 IPv6": (V1_IPV6, FROM_IPV6),
    "v2": (V2, FROM),
    "v2 IPv6": (V2_IPV6, FROM_IPV6),
    "v2 with TLVs, the longest": (V2_TLVS, FROM),
}
OWN_HEADERS = {
    "v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
    "v1 UNKNOWN with addresses": b"PROXY UNKNOWN 192.0.2.1 ::1 1 2\r\n",
    "v2 LOCAL": v2(command=0x20, family=0, rest=b""),
    "v2 LOCAL with addresses": v2(command=0x20),
    "v2 unspecified": v2(family=0, rest=b"\x04\0\x01x"),
}
BAD_HEADERS = {
    "a command": (b"USER bob\r\n", "no PROXY header"),
    "TLS": (b"\x16\x03\x01\x02\0\x01\0", "no PROXY header"),
    "v1 too long": (b"PROXY UNKNOWN " + b"a" * 93, "within 107 bytes"),
    "v1 nonsense": (b"PROXY TCP4 bob bob 1 2\r\n", "makes no sense"),
    "v2 too long": (v2(rest=b"a" * 521)[:16], "longer than 536 bytes"),
    "v2 too short": (v2(rest=b"a" * 11), "too short for its addresses"),
    "v2 of UDP": (v2(family=0x12), "not TCP's"),
}


class Proxied(harness.TestCase):
    """Peers of 127.0.0.0/30 are the proxies that are trusted."""

    handshake_timeout = "60s"

    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.start_daemon(
            Matrix({USER: OLD}),
            listens=MODES,
            options="proxy=yes",
            directives=(
                "proxy-trust 127.0.0.0/30",
                "fail-delay 0s",
                f"handshake-timeout {cls.handshake_timeout}",
            ),
        )

    def connect(self, mode, source="127.0.0.1"):
        client = Client(self.daemon.port(mode), source=source)
        self.addCleanup(client.close)
        return client

    def start_tls(self, client, mode):
        if mode == "starttls":
            client.starttls()
        else:
            client.handshake()
            client.greeting = client.line()
        self.assertRegex(client.greeting, GREETING)

    def log_in(self, client, origin):
        mark = self.daemon.log.mark()
        self.assertEqual(log_in(client, USER, OLD), ASK_NEW)
        client.close()
        return self.daemon.log.wait_for(f"login_ok {origin}", since=mark)


class Headers(Proxied):
    def test_client_is_the_one_that_the_header_tells(self):
        for mode in MODES:
            for name, (header, origin) in HEADERS.items():
                with self.subTest(name, mode=mode):
                    client = self.connect(mode)
                    client.send(header)
                    self.start_tls(client, mode)
                    self.log_in(client, f"{origin} listener=127.0.0.1:")

    def test_proxy_that_speaks_for_itself(self):
        for name, header in OWN_HEADERS.items():
            with self.subTest(name):
                client = self.connect("implicit")
                client.send(header)
                self.start_tls(client, "implicit")
                port = client.socket.getsockname()[1]
                self.log_in(client, f"peer=127.0.0.1 port={port} listener=")

    def test_every_byte_in_a_segment_of_its_own(self):
        for mode in MODES:
            for header in (V1, V2):
                with self.subTest(header=header, mode=mode):
                    client = self.connect(mode)
                    client.send_each_byte(header)
                    self.start_tls(client, mode)
                    self.log_in(client, FROM)

    def test_client_hello_in_the_same_segment(self):
        """Nothing of it is lost, and nothing is read in clear."""
        for header in (V1, V2_TLVS):
            client = self.connect("auto")
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context().wrap_bio(
                incoming, outgoing, server_hostname="localhost"
            )
            with self.assertRaises(ssl.SSLWantReadError):
                tls.do_handshake()
            client.send(header + outgoing.read())
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    incoming.write(client.socket.recv(65536))
            client.send(outgoing.read())
            reply = b""
            while not reply.endswith(b"\n"):
                try:
                    reply += tls.read(4096)
                except ssl.SSLWantReadError:
                    incoming.write(client.socket.recv(65536))
            self.assertRegex(reply, GREETING)

    def test_second_header_is_the_clients(self):
        client = self.connect("auto")
        client.send(V1 + V1)
        client.expect(TLS_REQUIRED)
        client.expect_close()

    def test_clear_text_behind_it_is_refused_as_ever(self):
        client = self.connect("starttls")
        client.send(V1)
        client.line()
        client.send(b"USER bob\r\n")
        client.expect(TLS_REQUIRED)
        self.daemon.log.wait_for(f"clear_refused {FROM} ")


class Refused(Proxied):
    def assert_refused(self, client, why, since, peer="127.0.0.1"):
        self.assertEqual(client.drain(), b"")
        self.daemon.log.wait_for(
            f'event=proxy_refused peer={peer} .*reason="[^"]*{why}"',
            since=since,
        )

    def test_bad_headers(self):
        for name, (header, why) in BAD_HEADERS.items():
            with self.subTest(name):
                mark = self.daemon.log.mark()
                client = self.connect("implicit")
                client.send(header)
                self.assert_refused(client, why, mark)

    def test_proxy_that_nobody_trusts(self):
        """Whatever it sends, good header or none; and as often as it likes:
        it does not fill the log."""
        mark = self.daemon.log.mark()
        for data in (V1, V2, b"USER bob\r\n", b""):
            client = self.connect("auto", source="127.0.0.4")
            try:
                client.send(data)
            except OSError:
                pass  # closed already
            self.assert_refused(client, "proxy-trust", mark, "127.0.0.4")
        self.assertEqual(len(self.daemon.log.find("proxy_refused", mark)), 1)

    def test_cut_off(self):
        mark = self.daemon.log.mark()
        client = self.connect("implicit")
        client.send(V1[:20])
        client.send_eof()
        self.assert_refused(client, "cut off", mark)

    def test_connecting_alone_is_no_news(self):
        mark = self.daemon.log.mark()
        for _ in range(3):
            self.connect("implicit").close()
        client = self.connect("implicit")
        client.send(V1)
        self.start_tls(client, "implicit")
        self.log_in(client, FROM)
        self.assertEqual(self.daemon.log.find("refused", mark), [])


class Slow(Proxied):
    handshake_timeout = "2s"

    def test_silence_and_trickle_have_an_end(self):
        """A byte every now and then does not make the time longer."""
        mark = self.daemon.log.mark()
        silent = self.connect("implicit")
        slow = self.connect("starttls")
        sent = 0
        with self.assertRaises(OSError):
            for sent in range(len(V2_TLVS) - 1):
                slow.send(V2_TLVS[sent : sent + 1])
                slow.socket.settimeout(0.05)
                try:
                    self.assertEqual(slow.socket.recv(1), b"")
                    raise ConnectionResetError
                except socket.timeout:
                    pass
        self.assertGreater(sent, 1)
        self.assertEqual(silent.drain(), b"")
        self.daemon.log.wait_for(
            'event=timeout peer=127.0.0.1 .*reason="PROXY header"',
            since=mark,
            count=2,
        )


class Meaning(harness.TestCase):
    """What the client's address decides."""

    def start(self, backend, *directives, options="proxy=yes"):
        return self.start_daemon(
            backend,
            listens=("implicit",),
            options=options,
            directives=(
                "fail-delay 0s",
                "proxy-trust 127.0.0.1",
                *directives,
            ),
        )

    def check(self, daemon, header):
        with Client(daemon.port()) as client:
            client.send(header)
            client.handshake()
            client.line()
            return log_in(client, USER, OLD) == ASK_NEW

    def test_allow_from(self):
        daemon = self.start(Matrix({USER: OLD}), "allow-from 192.0.2.0/24")
        self.assertTrue(self.check(daemon, V1))
        self.assertFalse(self.check(daemon, V1_IPV6))
        daemon.log.wait_for(
            'policy_refused peer=2001:db8::1 .*reason="allow-from"'
        )
        self.assertFalse(self.check(daemon, b"PROXY UNKNOWN\r\n"))
        daemon.log.wait_for(
            'policy_refused peer=127.0.0.1 .*reason="allow-from"'
        )

    def test_deny_from_is_not_about_the_proxy(self):
        daemon = self.start(Matrix({USER: OLD}), "deny-from 127.0.0.1")
        self.assertTrue(self.check(daemon, V2))

    def test_pam_rhost(self):
        folder = tempfile.TemporaryDirectory(prefix="poppassd-proxy.")
        self.addCleanup(folder.cleanup)
        said = os.path.join(folder.name, "environment")
        daemon = self.start(
            Matrix(
                {USER: OLD},
                before="auth required pam_exec.so quiet seteuid"
                f" log={said} /usr/bin/env\n",
            )
        )
        self.assertTrue(self.check(daemon, V1))
        with open(said, encoding="ascii") as file:
            self.assertIn("PAM_RHOST=192.0.2.1\n", file.read())

    def test_header_means_nothing_where_it_is_not_expected(self):
        daemon = self.start(Matrix({USER: OLD}), options="")
        for header in (V1, V2):
            with Client(daemon.port()) as client:
                client.send(header)
                client.expect(b"500 This port requires TLS.\r\n")
        self.assertTrue(check(daemon.port(), USER, OLD))
        self.assertNotIn("192.0.2.1", daemon.log.text())


HAPROXY_CONFIG = """\
global
    stats socket {stats}
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    unique-id-format %[uuid()]
"""
HAPROXY_SECTION = """\
listen {name}
    bind 127.0.0.1:{port}
    server poppassd 127.0.0.1:{target} {options}
"""
HAPROXY_CHECK = """\
    option tcp-check
    tcp-check expect rstring ^200
"""
HAPROXY_SERVERS = {
    "v1": "send-proxy",
    "v2": "send-proxy-v2",
    "v2-options": "send-proxy-v2 proxy-v2-options crc32c,unique-id",
}


@unittest.skipUnless(shutil.which("haproxy"), "takes haproxy")
class HAProxy(Proxied):
    """In front, with clients of other addresses; TLS goes through it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.ports = {}
        cls.stats = cls.daemon.path("stats")
        text = HAPROXY_CONFIG.format(stats=cls.stats)
        for name, options in HAPROXY_SERVERS.items():
            for mode in MODES:
                cls.ports[name, mode] = harness.free_port()
                text += HAPROXY_SECTION.format(
                    name=f"{name}-{mode}",
                    port=cls.ports[name, mode],
                    target=cls.daemon.port(mode),
                    options=options,
                )
        text += HAPROXY_SECTION.format(
            name="checked",
            port=harness.free_port(),
            target=cls.daemon.port("starttls"),
            options="send-proxy-v2 check inter 100ms",
        )
        text += HAPROXY_CHECK
        path = cls.daemon.path("haproxy.cfg")
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        cls.haproxy = subprocess.Popen(
            ("haproxy", "-db", "-f", path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        cls.addClassCleanup(cls.haproxy.wait, PATIENCE_SEC)
        cls.addClassCleanup(cls.haproxy.terminate)
        cls.log = Log(cls.haproxy.stderr)
        for port in cls.ports.values():
            wait_until(lambda port=port: is_open(port), "haproxy serves")

    def test_change_through_it(self):
        old, new = OLD, NEW
        for (name, mode), port in self.ports.items():
            with self.subTest(name, mode=mode):
                mark = self.daemon.log.mark()
                client = Client(port, source="127.0.0.77")
                self.addCleanup(client.close)
                self.start_tls(client, mode)
                address, source_port = client.socket.getsockname()
                self.assertEqual(log_in(client, USER, old), ASK_NEW)
                client.say(b"NEWPASS " + new.encode(), CHANGED[:-2])
                client.say(b"QUIT", b"200 Bye.")
                client.expect_close()
                self.daemon.log.wait_for(
                    f"change_ok peer={address} port={source_port} "
                    "proxy=127.0.0.1 ",
                    since=mark,
                )
                old, new = new, old
        self.daemon.backend.set_passwords({USER: OLD})

    def ask(self, command):
        with socket.socket(socket.AF_UNIX) as stats:
            stats.connect(self.stats)
            stats.sendall(command + b"\n")
            with stats.makefile("rb") as answer:
                return answer.read()

    def test_health_checks_are_no_news(self):
        """HAProxy reads the greeting and leaves: LOCAL, and no log line."""
        wait_until(
            lambda: b",L7OK," in self.ask(b"show stat"), "a check succeeds"
        )
        self.assertEqual(self.daemon.log.find("event=proxy_refused"), [])
        self.assertEqual(self.daemon.log.find("event=timeout"), [])


def is_open(port):
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except ConnectionRefusedError:
        return False


if __name__ == "__main__":
    harness.main()
