"""A /dev/log of the test's own, so that syslog(3) of the daemon and of PAM
modules can be read. Root only, inside the namespace of accounts."""

import functools
import os
import socket

import accounts

_NODES = ("null", "zero", "full", "random", "urandom", "tty", "pts", "shm")


@functools.lru_cache(maxsize=None)
def _lay_over_dev():
    """A /dev that can be written to without the machine's being; once."""
    accounts.assert_private_etc()
    folder = "/run/dev"
    os.mkdir(folder)
    accounts.run("mount", "-t", "tmpfs", "-o", "mode=0755", "dev", folder)
    for name in _NODES:
        target = os.path.join(folder, name)
        if os.path.isdir(f"/dev/{name}"):
            os.mkdir(target)
        else:
            with open(target, "wb"):
                pass
        accounts.run("mount", "--bind", f"/dev/{name}", target)
    os.symlink("pts/ptmx", f"{folder}/ptmx")
    os.symlink("/proc/self/fd", f"{folder}/fd")
    accounts.run("mount", "--rbind", folder, "/dev")


def open_socket():
    """The socket that datagrams to /dev/log come from. Before the process that
    logs is started: it looks once."""
    _lay_over_dev()
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind("/dev/log")
    os.chmod("/dev/log", 0o666)
    return log


class Stream:
    """Lines as a syslog daemon would write them to a file, until the process
    has ended; then what it wrote to standard error."""

    def __init__(self, log, process):
        self.process = process
        self.socket = log
        self.socket.settimeout(0.2)

    def __iter__(self):
        while True:
            has_ended = self.process.poll() is not None
            try:
                datagram = self.socket.recv(65536)
            except TimeoutError:
                if has_ended:
                    break
                continue
            # "<pri>Mmm dd hh:mm:ss tag: text"; the host is the reader's part.
            text = datagram.partition(b">")[2].rstrip(b"\0\n")
            yield text[:16] + b"mailhost " + text[16:] + b"\n"
        yield from self.process.stderr

    def close(self):
        """Whoever logs from now on is told so, instead of waiting for a
        reader."""
        os.unlink("/dev/log")
        self.socket.close()
        self.process.stderr.close()
