"""The packages under test: POPPASSD_DEBS is the folder that packaging/deb has
built them into."""

import glob
import os
import shutil
import subprocess

FOLDER = os.environ.get("POPPASSD_DEBS", "")
NAMES = ("poppassd", "libpam-passwd-file")


def path(suffix, name="poppassd"):
    found = glob.glob(os.path.join(FOLDER, f"{name}_*{suffix}"))
    if not FOLDER or len(found) != 1:
        raise FileNotFoundError(
            f"{name}_*{suffix} in {FOLDER!r}: POPPASSD_DEBS names no folder"
            " that packaging/deb has filled"
        )
    return found[0]


def extract(package, name):
    """A file of a package, unpacked beside it."""
    folder = os.path.join(FOLDER, "unpacked", package)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    subprocess.run(
        ("dpkg-deb", "--extract", path(".deb", package), folder), check=True
    )
    return os.path.join(folder, name)


def copy_to(machine):
    """Into its /root."""
    for name in NAMES:
        shutil.copy(path(".deb", name), machine.path("/root"))


def install(machine, *options):
    """As an administrator who has downloaded them."""
    files = (os.path.basename(path(".deb", name)) for name in NAMES)
    return machine.run(
        "dpkg", *options, "--install", *(f"/root/{name}" for name in files)
    )
