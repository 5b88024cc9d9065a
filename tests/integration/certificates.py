"""Keys and certificates for the tests, made with the openssl command.

Made once a process: make() remembers what it was asked for.
"""

import functools
import os
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
