"""Keys and certificates for the tests, made with the openssl command.

Made once a process: make() remembers what it was asked for.
"""

import functools
import os
import re
import subprocess
import tempfile
from typing import NamedTuple

NAMES = ("DNS:localhost", "IP:127.0.0.1", "IP:::1")

_CA_CONFIG = """\
[ca]
default_ca = ca
[ca]
database = {folder}/index
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[san]
subjectAltName = {names}
"""


class Certificate(NamedTuple):
    """Paths of PEM files; names is what the certificate is for."""

    path: str
    key: str
    names: tuple


def _openssl(*arguments):
    subprocess.run(
        ("openssl", *arguments),
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


_KEY_OPTIONS = {
    "ecdsa": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
    "rsa": ("-newkey", "rsa:2048"),
    "ed25519": ("-newkey", "ed25519"),
    "short-rsa": ("-newkey", "rsa:1024"),
}


@functools.lru_cache(maxsize=None)
def _folder():
    """Lives as long as the process."""
    return tempfile.TemporaryDirectory(prefix="poppassd-certificates.")


@functools.lru_cache(maxsize=None)
def make(serial=0, kind="ecdsa", names=NAMES, lifetime=None):
    """A self-signed certificate. Another serial: another key of the same
    names. lifetime is (start, end) as YYYYMMDDHHMMSSZ, else from now on."""
    folder = tempfile.mkdtemp(dir=_folder().name)
    certificate = os.path.join(folder, "tls.pem")
    key = os.path.join(folder, "tls.key")
    request = (
        "req",
        *_KEY_OPTIONS[kind],
        "-nodes",
        "-keyout",
        key,
        "-subj",
        f"/CN={names[0].partition(':')[2]}",
    )
    if lifetime is None:
        _openssl(
            *request,
            "-x509",
            "-days",
            "30",
            "-out",
            certificate,
            "-addext",
            "subjectAltName=" + ",".join(names),
        )
        return Certificate(certificate, key, names)
    config = os.path.join(folder, "ca.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write(_CA_CONFIG.format(folder=folder, names=",".join(names)))
    with open(os.path.join(folder, "index"), "w", encoding="ascii"):
        pass
    _openssl(*request, "-out", os.path.join(folder, "tls.csr"))
    start, end = lifetime
    _openssl(
        *("ca", "-batch", "-notext", "-selfsign", "-config", config),
        *("-extensions", "san", "-startdate", start, "-enddate", end),
        *("-keyfile", key, "-in", os.path.join(folder, "tls.csr")),
        *("-outdir", folder, "-out", certificate),
    )
    return Certificate(certificate, key, names)


@functools.lru_cache(maxsize=None)
def authority(name="Test CA", serial=0):
    """A certificate that may issue others. Another serial: another key of the
    same name."""
    del serial  # to be remembered by
    folder = tempfile.mkdtemp(dir=_folder().name)
    path, key = (os.path.join(folder, name) for name in ("ca.pem", "ca.key"))
    _openssl(
        *("req", "-x509", *_KEY_OPTIONS["ecdsa"], "-nodes", "-days", "30"),
        *("-keyout", key, "-out", path, "-subj", f"/CN={name}"),
    )
    return Certificate(path, key, ())


@functools.lru_cache(maxsize=None)
def issue(
    issuer,
    subject,
    *,
    kind="ecdsa",
    usage="clientAuth",
    names=(),
    ca=False,
    lifetime=None,
):
    """A certificate for a usage, of a client unless there are names, or with
    ca, one that may issue others. subject is as openssl's -subj takes it, in
    UTF-8."""
    folder = tempfile.mkdtemp(dir=_folder().name)
    path, key, request, index, config = (
        os.path.join(folder, name)
        for name in ("c.pem", "c.key", "c.csr", "index", "ca.conf")
    )
    start, end = lifetime or ("20200101000000Z", "20991231235959Z")
    with open(index, "w", encoding="ascii"):
        pass
    with open(config, "w", encoding="ascii") as file:
        file.write(
            _CA_CONFIG.format(folder=folder, names="DNS:unused").replace(
                "commonName = supplied",
                "commonName = optional\norganizationName = optional",
            )
            + f"[leaf]\nextendedKeyUsage = {usage}\n"
            + (f"subjectAltName = {','.join(names)}\n" if names else "")
            + "[issuer]\nbasicConstraints = critical,CA:true\n"
        )
    _openssl(
        *("req", "-new", *_KEY_OPTIONS[kind], "-nodes", "-utf8"),
        *("-keyout", key, "-out", request, "-subj", subject),
    )
    _openssl(
        *("ca", "-batch", "-notext", "-config", config, "-utf8"),
        *("-preserveDN", "-extensions", "issuer" if ca else "leaf"),
        *("-startdate", start, "-enddate", end, "-in", request),
        *("-cert", issuer.path, "-keyfile", issuer.key),
        *("-outdir", folder, "-out", path),
    )
    return Certificate(path, key, names)


def chain(certificate, *issuers):
    """The certificate with those of its issuers behind it, as a server sends
    them."""
    folder = tempfile.mkdtemp(dir=_folder().name)
    path = os.path.join(folder, "chain.pem")
    with open(path, "wb") as file:
        for part in (certificate, *issuers):
            with open(part.path, "rb") as source:
                file.write(source.read())
    return certificate._replace(path=path)


def private_numbers(pair):
    """The secret numbers of a key, most significant byte first: d, and for
    RSA the primes."""
    text = subprocess.run(
        ("openssl", "pkey", "-noout", "-text", "-in", pair.key),
        check=True,
        capture_output=True,
    ).stdout.decode()
    found = re.findall(
        r"^(?:priv|privateExponent|prime[12]):\n((?: +[0-9a-f:]+\n)+)",
        text,
        re.M,
    )
    return [
        bytes.fromhex(re.sub(r"[\s:]", "", number)).lstrip(b"\0")
        for number in found
    ]
