"""N replicas of the app behind nginx on this machine: python -m deploy.replicas 3 --port 8080

Each replica is one process with one interpreter lock; all share one cookie secret. A replica that ends, or
serves no page any more, is started again, and its visitors go on with another meanwhile: what they see is in
the address. Needs nginx on the path (Debian: apt-get install nginx-light).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import signal
import string
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from deploy.probe import TIMEOUT, page_served

HERE = Path(__file__).resolve().parent
FIRST_PORT = 8601
# A replica is probed every PERIOD seconds. FAILURES probes without a page, one after the other, and it is
# killed: at the latest FAILURES x (PERIOD + TIMEOUT) = 45 s after its last page. One that starts has STARTING
# seconds until its failures count.
PERIOD, FAILURES, STARTING = 5.0, 3, 60.0


def start_command(port: int, script: str = "app.py", python: str = sys.executable) -> list[str]:
    """Return README's command for a port that only this machine reaches, without a browser.

    All else is in .streamlit/config.toml: replicas, tests and benchmarks run what people start.
    """
    return [python, "-m", "streamlit", "run", script, "--server.port", str(port),
            "--server.address", "127.0.0.1", "--server.headless", "true"]


def nginx_configuration(ports: Sequence[int], listen: str, folder: Path) -> str:
    """Return the text of nginx.conf for replicas on these ports of this machine."""
    servers = "\n        ".join(f"server 127.0.0.1:{port} max_fails=1 fail_timeout=2s;" for port in ports)
    text = (HERE / "nginx.conf").read_text()
    values = {"REPLICAS": servers, "LISTEN": listen, "CACHE": str(folder / "cache"), "RUN": str(folder)}
    return string.Template(text.replace("$", "$$").replace("$${", "${")).substitute(values)


@contextlib.asynccontextmanager
async def running(*command: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start a process, and stop it at the end: kill it if it has not ended five seconds after SIGTERM."""
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()


async def first_fault(process: asyncio.subprocess.Process, port: int, period: float = PERIOD,
                      timeout: float = TIMEOUT, failures: int = FAILURES, starting: float = STARTING) -> str:
    """Wait until the process has ended or served no page ``failures`` times in a row, then kill it.

    Returns what happened.
    """
    ended = asyncio.create_task(process.wait())
    failed, patient_until = 0, time.monotonic() + starting
    while failed < failures:
        await asyncio.wait([ended], timeout=period)
        if ended.done():
            return f"ended ({process.returncode})"
        if await page_served(port, timeout):
            failed, patient_until = 0, 0.0
        elif time.monotonic() >= patient_until:
            failed += 1
    with contextlib.suppress(ProcessLookupError):
        process.kill()  # a frozen process would not take SIGTERM
    await ended
    return f"served no page {failures} times in a row and was killed"


async def keep_serving(port: int, command: Sequence[str], environment: Mapping[str, str],
                       **limits: float) -> None:
    """Run a replica for ever, started again whenever it fails; ``limits`` are those of ``first_fault``."""
    options = {"cwd": HERE.parent, "env": environment, "stdout": asyncio.subprocess.DEVNULL}
    while True:
        async with running(*command, **options) as process:
            fault = await first_fault(process, port, **limits)
        print(f"the replica on port {port} {fault} and is started again", flush=True)
        await asyncio.sleep(1)


async def serve(count: int, listen: str) -> None:
    """Run the replicas and nginx in front of them, until nginx ends or this task is cancelled."""
    secret = os.environ.get("STREAMLIT_SERVER_COOKIE_SECRET") or secrets.token_hex(32)
    environment = {**os.environ, "STREAMLIT_SERVER_COOKIE_SECRET": secret}
    ports = range(FIRST_PORT, FIRST_PORT + count)
    with tempfile.TemporaryDirectory(prefix="vgdash-nginx-") as folder:
        Path(folder).chmod(0o755)
        (path := Path(folder) / "nginx.conf").write_text(nginx_configuration(ports, listen, Path(folder)))
        async with (running("nginx", "-p", folder, "-c", str(path), "-g", "daemon off;") as nginx,
                    asyncio.TaskGroup() as group):
            replicas = [group.create_task(keep_serving(port, start_command(port), environment))
                        for port in ports]
            await nginx.wait()
            for replica in replicas:
                replica.cancel()


def main() -> None:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("count", type=int, nargs="?", default=os.cpu_count() or 1, help="one a core is right")
    parser.add_argument("--port", default="8080", help="port that nginx listens on, or address:port")
    given = parser.parse_args()
    if given.count < 1:
        parser.error(f"count must be at least 1, received {given.count}. One replica a core is right.")

    async def until_told_to_stop() -> None:
        serving = asyncio.create_task(serve(given.count, given.port))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    asyncio.run(until_told_to_stop())


if __name__ == "__main__":
    main()
