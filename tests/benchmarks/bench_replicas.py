"""Replicas behind nginx: python -m tests.benchmarks.bench_replicas [students]

How many changes a second one, two and three replicas answer when the students do not wait between changes.
Then a replica is killed under its visitor: how long until the same address shows the same verdict again.
Everything shares this machine's cores, so that capacity ends where they do.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from websockets.exceptions import ConnectionClosed

from deploy.replicas import FIRST_PORT
from tests.pages.crowd import fill
from tests.pages.wire import Session
from tests.server import ROOT, free_port, wait_until_healthy

CHANGES = 60  # of each student
QUERY = "factor=0.5&depth=9"


@contextmanager
def replicas(count: int) -> Iterator[tuple[int, int]]:
    """Yield port and process of so many replicas behind nginx."""
    port = free_port()
    command = [sys.executable, "-m", "deploy.replicas", str(count), "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        for one in (*range(FIRST_PORT, FIRST_PORT + count), port):
            wait_until_healthy(one, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def verdict(visitor: Session) -> str:
    return next(text for text in visitor.open("linear_chain", QUERY).texts if text.startswith("##"))


def killed(port: int, process: int) -> float:
    """Seconds from the death of a visitor's replica to the same verdict from another."""
    cookie = "vgdash=the-visitor"
    with Session(port, cookie=cookie) as visitor:
        before = verdict(visitor)
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            if "streamlit" not in Path(f"/proc/{child}/cmdline").read_text():
                continue
            os.kill(int(child), signal.SIGKILL)
            start = time.monotonic()
            try:
                visitor.socket.recv(timeout=1)
            except TimeoutError:
                continue  # it was another's
            except ConnectionClosed:
                with Session(port, cookie=cookie) as again:
                    assert verdict(again) == before
                return time.monotonic() - start
    raise AssertionError("no replica was the visitor's")


def main() -> None:
    students = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    first = 0.0
    for count in (1, 2, 3):
        with replicas(count) as (port, process):
            asyncio.run(fill(port, "linear_chain", "factor", students, 3, 0.1, arrive=5))  # warm up all
            start = time.monotonic()
            hall = asyncio.run(fill(port, "linear_chain", "factor", students, CHANGES, 1e-3, arrive=1))
            rate = len(hall.changes) / (time.monotonic() - start)
            first = first or rate
            print(f"{count} replicas: {rate:.0f} changes a second, {rate / first:.2f} times one; "
                  f"errors {len(hall.errors)}", flush=True)
            if count == 3:
                print(f"a replica killed: the same verdict again after {killed(port, process):.1f} s")


if __name__ == "__main__":
    main()
