"""Certificates of clients: who needs one, which are good, what the client and
the log are told, and that no resumed session does without."""

import os
import re
import shutil
import ssl
import subprocess

import certificates
import harness
from accounts import Matrix
from client import ASK_NEW, GREETING, Client, context, log_in

OLD = "old-secret-0"
USER = "virt.user"
VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
EX_CONFIG = 78


def expired(issuer):
    return certificates.issue(
        issuer, "/CN=old", lifetime=("20200101000000Z", "20200201000000Z")
    )


class Asked(harness.TestCase):
    """Three listeners: off, optional, required; two server names, each with a
    context of its own."""

    @classmethod
    def setUpClass(cls):
        cls.ca = certificates.authority()
        cls.good = certificates.issue(cls.ca, "/O=Example/CN=webmail")
        cls.daemon = harness.Daemon(
            Matrix({USER: OLD}),
            listens=(),
            pairs=[
                certificates.make(),
                certificates.make(names=("DNS:other.example.org",)),
            ],
        )
        cls.addClassCleanup(cls.daemon.remove)
        cls.addClassCleanup(cls.daemon.stop_if_running)
        shutil.copy(cls.ca.path, cls.daemon.path("client-ca.pem"))
        cls.ports = {}
        cls.daemon.more = [
            f'tls-client-ca "{cls.daemon.path("client-ca.pem")}"'
        ]
        for choice in ("off", "optional", "required"):
            cls.ports[choice] = harness.free_port()
            cls.daemon.more.append(
                f"listen 127.0.0.1:{cls.ports[choice]} client-cert={choice}"
            )
        cls.daemon.write_config()
        cls.daemon.start()

    def connect(self, choice, certificate, version=None, mode="implicit"):
        tls = context(version=version)
        if certificate is not None:
            tls.load_cert_chain(certificate.path, certificate.key)
        client = Client(self.ports[choice], mode, tls=tls, name=self.name)
        self.addCleanup(client.close)
        self.assertRegex(client.greeting, GREETING)
        return client

    name = "localhost"

    def log_in(self, client):
        mark = self.daemon.log.mark()
        self.assertEqual(log_in(client, USER, OLD), ASK_NEW)
        client.close()
        return self.daemon.log.wait_for("event=login_ok", since=mark).string

    def assert_refused(self, choice, certificate, alert, reason):
        """In both versions; the alert as Python names it."""
        for version in VERSIONS:
            mark = self.daemon.log.mark()
            with self.assertRaisesRegex(ssl.SSLError, alert):
                self.connect(choice, certificate, version)
            self.daemon.log.wait_for(
                rf'event=tls_failed peer=127\.0\.0\.1 .*reason="{reason}"',
                since=mark,
            )


class Choice(Asked):
    def test_good_certificate(self):
        for mode in ("implicit", "starttls"):
            for choice in ("optional", "required"):
                for version in VERSIONS:
                    with self.subTest(mode, choice=choice, version=version):
                        line = self.log_in(
                            self.connect(choice, self.good, version, mode)
                        )
                        self.assertRegex(
                            line,
                            r' tls=TLSv1\.[23] certificate="CN=webmail,'
                            r'O=Example" user="virt\.user"',
                        )

    def test_kinds_of_keys(self):
        for kind in ("rsa", "ed25519"):
            for version in VERSIONS:
                with self.subTest(kind, version=version):
                    certificate = certificates.issue(
                        self.ca, f"/CN={kind}", kind=kind
                    )
                    client = self.connect("required", certificate, version)
                    self.assertIn(
                        f'certificate="CN={kind}"', self.log_in(client)
                    )

    def test_none(self):
        for choice in ("off", "optional"):
            for version in VERSIONS:
                client = self.connect(choice, None, version)
                self.assertNotIn("certificate=", self.log_in(client))

    def test_one_that_was_not_asked_for_is_not_shown(self):
        client = self.connect("off", self.good)
        self.assertNotIn("certificate=", self.log_in(client))

    def test_none_where_it_is_required(self):
        self.assert_refused(
            "required",
            None,
            "(?i)certificate_required|handshake_failure",
            "peer did not return a certificate",
        )

    def test_bad_ones(self):
        """Whether required or not: what is shown must be good."""
        other = certificates.authority("Another CA")
        cases = {
            "another issuer": (
                certificates.issue(other, "/CN=webmail"),
                "(?i)unknown_ca",
                "unable to get local issuer certificate",
            ),
            "an issuer of the same name": (
                certificates.issue(
                    certificates.authority(serial=1),
                    "/CN=webmail",
                ),
                "(?i)decrypt_error|unknown_ca|bad_certificate",
                "[a-z -]+",
            ),
            "self-signed": (
                certificates.make(),
                "(?i)unknown_ca",
                "self[- ]signed certificate",
            ),
            "expired": (
                expired(self.ca),
                "(?i)certificate_expired",
                "certificate has expired",
            ),
            "for servers": (
                certificates.issue(self.ca, "/CN=server", usage="serverAuth"),
                "(?i)unsupported_certificate",
                "(un(suitable|supported) certificate purpose"
                "|certificate purpose)",
            ),
        }
        for name, (certificate, alert, reason) in cases.items():
            for choice in ("optional", "required"):
                with self.subTest(name, choice=choice):
                    self.assert_refused(
                        choice,
                        certificate,
                        alert,
                        f"certificate verify failed: {reason}",
                    )


class OtherName(Choice):
    """The same behind the second server name: SNI changes the context, not
    what is asked."""

    name = "other.example.org"


class Subjects(Asked):
    def subject(self, text):
        certificate = certificates.issue(self.ca, text)
        line = self.log_in(self.connect("required", certificate))
        return re.search(r' certificate="([^"]*)" user=', line)[1]

    def test_escaped(self):
        """One line, one field, whatever is in it."""
        self.assertEqual(
            self.subject('/CN=a" user="root'),
            r"CN=a\x5c\x22 user=\x5c\x22root",
        )
        self.assertEqual(
            self.subject("/CN=J\u00fcrgen\nevent=x"),
            r"CN=J\xc3\xbcrgen\x5c0Aevent=x",
        )

    def test_bounded(self):
        text = self.subject("/O=" + "o" * 60 + "/CN=" + "c" * 60)
        self.assertEqual(text, ("CN=" + "c" * 60 + ",O=" + "o" * 60)[:127])
        text = self.subject("/O=" + "\u00fc" * 60 + "/CN=" + "c" * 60)
        self.assertLessEqual(len(text), 4 * 127)


class Resumption(Asked):
    def s_client(self, choice, *arguments):
        done = subprocess.run(
            ("openssl", "s_client", "-ign_eof", "-connect")
            + (f"127.0.0.1:{self.ports[choice]}", *arguments),
            input=b"QUIT\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=120,
            check=False,
        )
        return done.stdout

    def test_does_not_do_without(self):
        """Neither from a listener that asks nobody, nor from a session that
        had one."""
        session = self.daemon.path("session")
        with_certificate = ("-cert", self.good.path, "-key", self.good.key)
        for version in ("-tls1_2", "-tls1_3"):
            for choice, more in (("off", ()), ("required", with_certificate)):
                with self.subTest(version, choice=choice):
                    self.assertIn(
                        b"200 Bye.",
                        self.s_client(
                            choice, version, "-sess_out", session, *more
                        ),
                    )
                    resume = ("-sess_in", session)
                    if not os.path.exists(session):  # none was ever given
                        resume = ()
                    output = self.s_client("required", version, *resume)
                    self.assertIn(b"alert", output)
                    self.assertNotIn(b"poppassd v2", output)
                    self.assertNotIn(b"Reused,", output)
                    if resume:
                        os.unlink(session)


class Issuers(harness.TestCase):
    """What the file may hold."""

    def start(self, text, mode=0o644):
        daemon = harness.Daemon(
            Matrix({USER: OLD}),
            listens=("implicit",),
            options="client-cert=required",
        )
        self.addCleanup(daemon.remove)
        self.addCleanup(daemon.stop_if_running)
        self.file = daemon.path("ca.pem")
        with open(self.file, "wb") as file:
            file.write(text)
        os.chmod(self.file, mode)
        daemon.more = [f'tls-client-ca "{self.file}"']
        daemon.write_config()
        return daemon

    def connects(self, daemon, *chain):
        """With the first one's key, and all of them as its chain."""
        path = daemon.path("chain.pem")
        with open(path, "wb") as file:
            for certificate in chain:
                file.write(read(certificate.path))
        tls = context()
        tls.load_cert_chain(path, chain[0].key)
        try:
            Client(daemon.port(), "implicit", tls=tls).close()
        except ssl.SSLError:
            return False
        return True

    def test_several(self):
        issuers = [certificates.authority(f"CA {n}") for n in range(3)]
        daemon = self.start(b"\n".join(read(x.path) for x in issuers))
        daemon.start()
        for issuer in issuers:
            certificate = certificates.issue(issuer, "/CN=webmail")
            self.assertTrue(self.connects(daemon, certificate))

    def test_intermediate(self):
        """Sent by the client under a root that is in the file; and in the
        file itself, where its root need not be."""
        root = certificates.authority()
        between = certificates.issue(root, "/CN=Intermediate CA", ca=True)
        leaf = certificates.issue(between, "/CN=webmail")
        daemon = self.start(read(root.path)).start()
        self.assertTrue(self.connects(daemon, leaf, between))
        self.assertFalse(self.connects(daemon, leaf))
        daemon = self.start(read(between.path)).start()
        self.assertTrue(self.connects(daemon, leaf))
        other = certificates.issue(root, "/CN=webmail")
        self.assertFalse(self.connects(daemon, other))

    def test_one_certificate_alone(self):
        """Self-signed, and trusted as itself."""
        own = certificates.make(serial=7)
        daemon = self.start(read(own.path)).start()
        self.assertTrue(self.connects(daemon, own))
        self.assertFalse(self.connects(daemon, certificates.make(serial=8)))

    def test_bad_files(self):
        good = read(certificates.authority().path)
        broken = good.replace(
            b"BEGIN CERTIFICATE-----\nM", b"BEGIN " b"CERTIFICATE-----\nX"
        )
        for text, mode, word in (
            (b"", 0o644, "no certificate in it"),
            (b"nothing\n", 0o644, "no certificate in it"),
            (read(certificates.make().key), 0o644, "no certificate in it"),
            (broken, 0o644, "a certificate in it is broken"),
            (good + broken, 0o644, "a certificate in it is broken"),
            (good, 0o664, "is writable by others"),
        ):
            with self.subTest(word):
                daemon = self.start(text, mode)
                done = daemon.run("--check-config")
                said = done.stderr.decode()
                self.assertEqual(done.returncode, EX_CONFIG, said)
                self.assertIn(f"tls-client-ca {self.file}: {word}; ", said)
                self.assertIn(f"{daemon.config}:", said)

    def test_missing_file(self):
        daemon = self.start(b"")
        os.unlink(self.file)
        done = daemon.run()
        self.assertEqual(done.returncode, EX_CONFIG)
        self.assertIn(b"No such file", done.stderr)

    def test_reload_changes_it(self):
        old, new = (certificates.authority(n) for n in ("old", "new"))
        certificate = certificates.issue(new, "/CN=webmail")
        daemon = self.start(read(old.path)).start()
        self.assertFalse(self.connects(daemon, certificate))
        shutil.copy(new.path, self.file)
        daemon.reload()
        self.assertTrue(self.connects(daemon, certificate))
        with open(self.file, "wb"):
            pass
        daemon.reload("reload_failed")
        self.assertTrue(self.connects(daemon, certificate))


def read(path):
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    harness.main()
