"""The app on a server of its own, on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from deploy.replicas import start_command

ROOT = Path(__file__).resolve().parents[1]
Result = TypeVar("Result")


def completed(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in a thread of its own: after tests in the browser a loop runs in that of the tests."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def serving(*options: str, script: str = "app.py", folder: Path = ROOT,
            seen: list[subprocess.Popen] | None = None, port: int = 0, python: str = sys.executable,
            before: Sequence[str] = (), **more: Any) -> Iterator[str]:
    """Start the script as README and the replicas do, on a free port; yield its address.

    ``seen`` receives the process; ``before`` and ``more`` say how it is started.
    """
    port = port or free_port()
    command = [*before, *start_command(port, script, python), *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=folder, **{**quiet, **more})
    if seen is not None:
        seen.append(process)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_until_healthy(port, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_until_healthy(port: int, process: subprocess.Popen, seconds: float = 60) -> None:
    """Return as soon as the server on this port says that it is healthy."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1).read()
            return
        assert process.poll() is None, "the server stopped while starting"
        assert time.monotonic() < end, f"the app on port {port} did not become healthy in {seconds:.0f} s"
        time.sleep(0.1)


def port_of(address: str) -> int:
    return int(address.rsplit(":", 1)[1])
