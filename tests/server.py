"""The app on a server of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def serving(*options: str, script: str = "app.py", folder: Path = ROOT, seen: list[subprocess.Popen] | None = None,
            port: int = 0, python: str = sys.executable, before: Sequence[str] = (), **more: Any) -> Iterator[str]:
    """The script on a fresh server; yields its address. ``seen`` receives the process; ``before`` and ``more`` say how it is started."""
    port = port or free_port()
    command = [*before, python, "-m", "streamlit", "run", script, "--server.port", str(port), "--server.address", "127.0.0.1",
               "--server.headless", "true", "--server.fileWatcherType", "none", *options]
    process = subprocess.Popen(command, cwd=folder, **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more})
    if seen is not None:
        seen.append(process)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=1).read()
                break
            assert process.poll() is None, "the server stopped while starting"
            time.sleep(0.1)
        else:
            raise AssertionError("the app did not become healthy in 60 s")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)
