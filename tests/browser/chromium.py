"""A Chromium to drive: the one on the machine, else Debian's package (as root), else Playwright's own.

The headless shell first: the same engine, which opens a page in three quarters of the time.
"""

from __future__ import annotations

import subprocess
import sys

from tests.debian import program

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             "--disable-dev-shm-usage", "--process-per-site"]


def executable() -> str | None:
    """Return the path of a Chromium; None means the one that Playwright has installed for itself."""
    found = program(NAMES, ("chromium", "chromium-headless-shell"))
    if not found:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)
    return found
