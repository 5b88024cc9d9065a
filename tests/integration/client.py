"""A client of the protocol that expects every byte."""

import contextlib
import os
import re
import socket
import ssl
import struct
import time

TIMEOUT_SEC = 120  # later than any deadline that a test gives the server
#: after greeting-delay, at the soonest, a server takes a silent client for one
#: without TLS
LATE_SEC = 0.4

#: every password that was ever sent, so that logs can be searched for them
secrets_sent = set()

_SECRET = re.compile(rb"(?im)^(?:new)?pass (.{8,}?)\r?$")


def context(certificate=None, version=None):
    """A TLS context that trusts exactly this certificate, or anything."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if certificate is None:
        ctx.check_hostname = False
        ctx.verify_mode = ssl.CERT_NONE
    else:
        ctx.load_verify_locations(certificate.path)
    if version is not None:
        ctx.minimum_version = ctx.maximum_version = version
    return ctx


def _connect(port, source):
    if isinstance(port, str):
        local = socket.socket(socket.AF_UNIX)
        local.settimeout(TIMEOUT_SEC)
        try:
            local.connect(port)
        except BaseException:
            local.close()
            raise
        return local
    peer = socket.create_connection(
        ("127.0.0.1", port), timeout=TIMEOUT_SEC, source_address=(source, 0)
    )
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


class Client:
    """One connection. port: or the path of a unix: socket. mode: clear,
    local, implicit or starttls. But for the first, the greeting has been read
    when the constructor returns, and in the last two TLS is up. source: the
    address on loopback that the client has."""

    def __init__(
        self,
        port,
        mode="clear",
        *,
        tls=None,
        name="localhost",
        source="127.0.0.1",
    ):
        self.name = name
        self.tls = tls if tls is not None else context()
        self.buffer = b""
        self.greeting = None
        start = time.monotonic()
        self.socket = _connect(port, source)
        try:
            if mode == "local":
                self.greeting = self.line()
            elif mode == "implicit":
                self._handshake_in_time(start, port, source)
                self.greeting = self.line()
            elif mode == "starttls":
                self.starttls()
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def starttls(self):
        self.greeting = self.line()
        self.send(b"STARTTLS\r\n")
        self.expect(b"200 Begin TLS now.\r\n")
        self.handshake()

    def handshake(self):
        if self.buffer:
            raise AssertionError(f"clear text before TLS: {self.buffer!r}")
        self.socket = self.tls.wrap_socket(
            self.socket,
            server_hostname=self.name,
            suppress_ragged_eofs=False,
        )

    def _handshake_in_time(self, start, port, source):
        """Again, if the machine is so busy that the server had to think that
        we know no TLS."""
        for _ in range(5):
            try:
                return self.handshake()
            except ssl.SSLError as error:
                is_late = time.monotonic() - start > LATE_SEC
                if not is_late or error.reason != "WRONG_VERSION_NUMBER":
                    raise
            self.socket.close()
            start = time.monotonic()
            self.socket = _connect(port, source)
        return self.handshake()

    def send(self, data):
        secrets_sent.update(_SECRET.findall(data))
        self.socket.sendall(data)

    def send_each_byte(self, data):
        secrets_sent.update(_SECRET.findall(data))
        for i in range(len(data)):
            self.socket.sendall(data[i : i + 1])

    def line(self):
        """The next line with its end, or what came before the end."""
        while b"\n" not in self.buffer:
            data = self.socket.recv(4096)
            if not data:
                break
            self.buffer += data
        line, end, self.buffer = self.buffer.partition(b"\n")
        return line + end

    def expect(self, line):
        got = self.line()
        if got != line:
            raise AssertionError(f"expected {line!r}, got {got!r}")

    def expect_match(self, pattern):
        """One whole reply: a pattern between the code and CRLF."""
        got = self.line()
        match = re.fullmatch(pattern, got)
        if match is None:
            raise AssertionError(f"expected {pattern!r}, got {got!r}")
        return match

    def expect_close(self):
        """Nothing more comes but an orderly end: close_notify inside TLS,
        and never a reset."""
        rest = self.buffer + self.socket.recv(4096)
        if rest:
            raise AssertionError(f"expected the end, got {rest!r}")

    def drain(self):
        """All that comes until the end, whatever kind of end it is."""
        with contextlib.suppress(ConnectionResetError, ssl.SSLError):
            while True:
                data = self.socket.recv(65536)
                if not data:
                    break
                self.buffer += data
        data, self.buffer = self.buffer, b""
        return data

    def expect_open(self):
        """A command is still answered."""
        self.say(b"NOOP", b"200 OK.")

    def say(self, command, reply):
        self.send(command + b"\r\n")
        self.expect(reply + b"\r\n")

    def send_eof(self):
        """Ends our direction below TLS; what the server says can still be
        read. (SSLSocket.shutdown() would forget the TLS session.)"""
        with socket.socket(fileno=os.dup(self.socket.fileno())) as below:
            below.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends the connection as a crashed client does."""
        with socket.socket(fileno=os.dup(self.socket.fileno())) as below:
            below.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.socket.close()


GREETING = re.compile(rb"200 [!-~]+ poppassd v2 hello, who are you\?\r\n")
WRONG = b"500 Old password is incorrect.\r\n"
CHANGED = b"200 Password changed, thank-you.\r\n"
BUSY = b"500 Server busy, try again later.\r\n"
TEMPORARY = b"500 Temporary failure, try again later.\r\n"
UNKNOWN = (
    b"500 The result is unknown: either your old or your new password"
    b" works now.\r\n"
)
ASK_OLD = b"200 Your password please.\r\n"
ASK_NEW = b"200 Your new password please.\r\n"
BYE = b"200 Bye.\r\n"
TLS_REQUIRED = b"500 TLS required.\r\n"
TIMED_OUT = b"500 Timed out.\r\n"
STOPPING = b"500 Server is shutting down, try again later.\r\n"


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def log_in(client, user, old):
    """USER and PASS. Returns the reply to PASS."""
    client.send(b"USER " + as_bytes(user) + b"\r\n")
    client.expect(ASK_OLD)
    client.send(b"PASS " + as_bytes(old) + b"\r\n")
    return client.line()


def change(port, user, old, new, mode="implicit"):
    """A whole change. Returns the reply that decided it, and the seconds that
    the slower of PASS and NEWPASS took."""
    with Client(port, mode) as client:
        start = time.monotonic()
        reply = log_in(client, user, old)
        took = time.monotonic() - start
        if reply == ASK_NEW:
            start = time.monotonic()
            client.send(b"NEWPASS " + as_bytes(new) + b"\r\n")
            reply = client.line()
            took = max(took, time.monotonic() - start)
        if reply == CHANGED:
            client.say(b"QUIT", b"200 Bye.")
        client.expect_close()
        return reply, took


def check(port, user, password, mode="implicit", **named):
    """USER, PASS and away: is this the password?"""
    with Client(port, mode, **named) as client:
        reply = log_in(client, user, password)
        if reply not in (ASK_NEW, WRONG):
            raise AssertionError(f"PASS: got {reply!r}")
        return reply == ASK_NEW
