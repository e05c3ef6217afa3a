"""Programs that tests drive: those on the machine, else Debian's packages (as root)."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


def program(names: Sequence[str], packages: Sequence[str]) -> str | None:
    """Return the path of the first program that is there; install the packages if none is.

    Of several workers on a new machine one installs and the others wait: the installer refuses to be two.
    """
    with (Path(tempfile.gettempdir()) / "vgdash-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _on_path(names) and os.geteuid() == 0 and shutil.which("apt-get"):
            quiet = {"env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, "stdout": subprocess.DEVNULL}
            subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
            for package in packages:  # one by one: not every release has all
                install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
                subprocess.run(install, check=False, **quiet)
        return _on_path(names)


def _on_path(names: Sequence[str]) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)
