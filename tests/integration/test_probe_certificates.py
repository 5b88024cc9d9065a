"""poppasswd --probe before every bad certificate: what it says of each, so
that somebody can mend it."""

import datetime
import subprocess

import certificates
import harness
from poppasswd import PROBE_REPLIES, ProbeCase, Scripted

OK, WARNING, CRITICAL, UNKNOWN = range(4)
NAMES = ("DNS:localhost",)
PAST = ("20200101000000Z", "20200201000000Z")
FUTURE = ("20900101000000Z", "20900201000000Z")
ROOT = certificates.authority("Root")
MIDDLE = certificates.issue(ROOT, "/CN=Middle", ca=True)
SERVER = certificates.issue(
    MIDDLE, "/CN=server", usage="serverAuth", names=NAMES
)


def by(issuer, *behind, usage="serverAuth", names=NAMES, **named):
    """A server's certificate with those behind it."""
    made = certificates.issue(
        issuer, "/CN=server", usage=usage, names=names, **named
    )
    return certificates.chain(made, *behind)


def in_days(days):
    """A lifetime that ends then, and a bit."""
    end = datetime.datetime.utcnow() + datetime.timedelta(days, hours=1)
    return "20200101000000Z", end.strftime("%Y%m%d%H%M%SZ")


class Certificates(ProbeCase):
    """The daemon would not even start with most of these."""

    def expect(self, pair, ca, status, *said, host="localhost"):
        trust = ("--ca", ca.path) if ca is not None else ()
        with Scripted(PROBE_REPLIES, pair) as server:
            got = self.probe(*trust, f"{host}:{server.port}")
        for word in said:
            self.assertIn(word, got[1])
        self.assertEqual(got[0], status, got[1])
        self.assertIn(server.heard, ([b"QUIT\r\n"], []))
        return got[1]

    def test_good_chain(self):
        self.expect(
            certificates.chain(SERVER, MIDDLE),
            ROOT,
            OK,
            "TLSv1.3",
            "implicit TLS",
            'certificate for localhost by "CN = Middle"',
        )

    def test_missing_intermediate(self):
        line = self.expect(
            SERVER,
            ROOT,
            CRITICAL,
            'comes alone, without that of its issuer: "CN = Middle"',
            "append them to the file of tls-certificate",
        )
        self.assertEqual(line.count("its issuer"), 1)

    def test_unknown_authority(self):
        self.expect(
            certificates.chain(SERVER, MIDDLE),
            None,
            CRITICAL,
            'is issued by an authority that is unknown here: "CN = Root"',
        )

    def test_untrusted_root(self):
        self.expect(
            certificates.chain(SERVER, MIDDLE, ROOT),
            None,
            CRITICAL,
            'of the authority "CN = Root" is not trusted here',
            "--ca",
        )

    def test_self_signed(self):
        pair = certificates.make()
        self.expect(pair, None, CRITICAL, "is self-signed", "--ca")
        self.expect(
            pair, pair, OK, "certificate for localhost, 127.0.0.1, ::1"
        )

    def test_wrong_name(self):
        self.expect(
            by(MIDDLE, MIDDLE, names=("DNS:a.example", "IP:192.0.2.1")),
            ROOT,
            CRITICAL,
            "is for a.example, 192.0.2.1, not for localhost",
        )

    def test_wrong_address(self):
        self.expect(
            by(MIDDLE, MIDDLE),
            ROOT,
            CRITICAL,
            "is for localhost, not for 127.0.0.1",
            host="127.0.0.1",
        )

    def test_no_name(self):
        self.expect(
            by(MIDDLE, MIDDLE, names=()),
            ROOT,
            CRITICAL,
            "is for CN = server, without any subjectAltName, not for local",
        )

    def test_many_names(self):
        names = tuple(f"DNS:n{i}.example" for i in range(30))
        self.expect(
            by(MIDDLE, MIDDLE, names=names),
            ROOT,
            CRITICAL,
            "n19.example and others, not for localhost",
        )

    def test_expired(self):
        self.expect(
            by(MIDDLE, MIDDLE, lifetime=PAST),
            ROOT,
            CRITICAL,
            "the certificate expired on 2020-02-01",
            'issued by "CN = Middle"',
            "renew it",
            "days_left=-",
        )

    def test_expired_authority(self):
        middle = certificates.issue(ROOT, "/CN=Old", ca=True, lifetime=PAST)
        self.expect(
            by(middle, middle),
            ROOT,
            CRITICAL,
            'of the authority "CN = Old" expired on 2020-02-01',
        )

    def test_not_yet_valid(self):
        self.expect(
            by(MIDDLE, MIDDLE, lifetime=FUTURE),
            ROOT,
            CRITICAL,
            "is not valid before 2090-01-01",
            "clock",
        )

    def test_not_for_servers(self):
        self.expect(
            by(MIDDLE, MIDDLE, usage="clientAuth,emailProtection"),
            ROOT,
            CRITICAL,
            "extendedKeyUsage is clientAuth emailProtection",
            "serverAuth",
        )

    def test_issued_by_no_authority(self):
        self.expect(
            by(SERVER, SERVER, MIDDLE),
            ROOT,
            CRITICAL,
            'of the authority "CN = server" may not issue others',
        )

    def test_weak_key(self):
        pair = certificates.make(kind="short-rsa")
        self.expect(pair, pair, CRITICAL, "too weak", "the key has 1024 bits")

    def test_all_that_is_wrong(self):
        pair = certificates.make(names=("DNS:other.example",), lifetime=PAST)
        self.expect(
            pair, None, CRITICAL, "self-signed", "not for localhost", "expired"
        )

    def test_text_of_others_stays_text(self):
        """What ends the line, begins the performance data, or is for
        terminals."""
        hostile = certificates.issue(
            MIDDLE,
            "/CN=a|x=1;;\x1b[2J\u202e\u00fc",
            usage="serverAuth",
            names=("DNS:|\\x",),
        )
        pair = certificates.chain(hostile, MIDDLE)
        line = self.expect(pair, ROOT, CRITICAL, "not for localhost")
        self.assertEqual(line.count("|"), 1)

    def test_names_that_are_malformed(self):
        """Addresses of no known length, and a NUL behind a good name: what
        nothing can match is not told as a name."""
        for der in (
            b"\x87\x05\x01\x02\x03\x04\x05",
            b"\x87\x00",
            b"\x82\x0dlocalhost\0.eu",
        ):
            der = b"\x30" + bytes((len(der),)) + der
            names = (f"DER:{der.hex()}",)
            self.expect(
                by(MIDDLE, MIDDLE, names=names),
                ROOT,
                CRITICAL,
                "is for CN = server, without any subjectAltName, not for local",
            )

    def test_days(self):
        for days, status in ((22, OK), (20, WARNING), (6, CRITICAL)):
            pair = by(MIDDLE, MIDDLE, lifetime=in_days(days))
            said = f"expires in {days} days", f"days_left={days};21:;7:"
            self.expect(pair, ROOT, status, *said)

    def test_days_of_an_authority(self):
        middle = certificates.issue(
            ROOT, "/CN=Short", ca=True, lifetime=in_days(3)
        )
        said = '"CN = Short" expires in 3 days'
        self.expect(by(middle, middle), ROOT, CRITICAL, said)

    def test_limits(self):
        pair = by(MIDDLE, MIDDLE, lifetime=in_days(29))
        limits = ("--ca", ROOT.path, "--warning")
        with Scripted(PROBE_REPLIES, pair) as server:
            host = f"localhost:{server.port}"
            for more, status in (
                (("101",), CRITICAL),
                (("30", "--critical", "1"), WARNING),
                (("29", "--critical", "29"), OK),
                (("5", "--critical", "6"), None),
            ):
                if status is None:
                    self.assert_usage(*limits, *more, host)
                    continue
                critical = more[2] if len(more) > 1 else "100"
                arguments = (*limits, more[0], "--critical", critical, host)
                got = self.probe(*arguments)
                self.assertEqual(got[0], status, got[1])

    def assert_usage(self, *arguments):
        done = subprocess.run(
            (harness.program("bin/poppasswd"), "--probe", *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        self.assertEqual(done.returncode, UNKNOWN, done.stderr)

    def test_usage_is_unknown(self):
        for arguments in (
            (),
            ("a", "b"),
            ("--nonsense", "a"),
            ("--warning", "x", "a"),
            ("--critical", "4000", "a"),
            ("--timeout", "0", "a"),
        ):
            self.assert_usage(*arguments)


if __name__ == "__main__":
    harness.main()
