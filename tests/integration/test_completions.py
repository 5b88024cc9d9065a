"""conf/completions: what bash offers, asked as bash itself asks it."""

import os
import subprocess
import tempfile

import harness

FOLDER = os.path.join(os.path.dirname(__file__), "../../conf/completions/bash")
#: loads as bash-completion does; the words, the last of which is completed
ASK = r"""
. "$1"; shift
[[ $(complete -p "${1##*/}") == "complete -F "* ]] || exit 9
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"_${1##*/}" "$1"
printf '%s\n' "${COMPREPLY[@]}"
"""
PROGRAMS = {
    "poppasswd": "bin/poppasswd",
    "poppassd": "sbin/poppassd",
    "poppassctl": "sbin/poppassctl",
}


class Completions(harness.TestCase):
    def offered(self, name, *words, **named):
        done = subprocess.run(
            (
                *("bash", "--norc", "-uc", ASK, "bash"),
                *(os.path.join(FOLDER, name), harness.program(PROGRAMS[name])),
                *words,
            ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            **named,
        )
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        return done.stdout.decode().split("\n")[:-1]

    def test_every_option_of_poppasswd(self):
        self.assertEqual(
            sorted(self.offered("poppasswd", "--")),
            sorted(
                "--user --starttls --implicit --unix --ca --stdin --timeout"
                " --verbose --probe --warning --critical --version"
                " --help".split()
            ),
        )

    def test_options_of_poppassd(self):
        got = self.offered("poppassd", "--")
        for option in (
            "config check-config dump-config reload test-login version"
        ).split():
            self.assertEqual(got.count(f"--{option}"), 1, got)

    def test_words_of_poppassctl(self):
        self.assertEqual(
            sorted(self.offered("poppassctl", "")),
            ["reload", "sessions", "stats", "status", "unlock"],
        )
        self.assertEqual(
            sorted(set(self.offered("poppassctl", "--"))),
            ["--openmetrics", "--socket", "--version"],
        )
        self.assertIn("root", self.offered("poppassctl", "unlock", "ro"))

    def test_beginning_of_an_option(self):
        self.assertEqual(self.offered("poppasswd", "--pr"), ["--probe"])
        self.assertEqual(
            self.offered("poppassd", "--check"), ["--check-config"]
        )

    def test_files(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/the file"
            with open(path, "wb"):
                pass
            for words in (
                ("poppasswd", "--ca"),
                ("poppasswd", "--probe", "--unix"),
                ("poppassd", "-c"),
                ("poppassd", "--config"),
                ("poppassctl", "-s"),
            ):
                got = self.offered(*words, f"{folder}/th")
                self.assertEqual(got, [path], words)

    def test_users(self):
        for option in "-u", "--user":
            self.assertIn("root", self.offered("poppasswd", option, "ro"))

    def test_hosts(self):
        with tempfile.NamedTemporaryFile() as hosts:
            hosts.write(b"192.0.2.1 mail.example.com\n")
            hosts.flush()
            environment = {**os.environ, "HOSTFILE": hosts.name}
            got = self.offered("poppasswd", "mail.e", env=environment)
        self.assertEqual(got, ["mail.example.com"])

    def test_numbers_are_not_guessed(self):
        for option in "--timeout", "--warning", "--critical":
            self.assertEqual(self.offered("poppasswd", option, ""), [""])


if __name__ == "__main__":
    harness.main()
