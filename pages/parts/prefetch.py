"""Likely next requests, computed by one idle thread: the next step of a slider, then claims and scenes.

A new request of any session replaces the waiting steps, and delays the others until the server is quiet.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

PAUSE = 0.1  # seconds after a request before its next steps are computed: a slider may move on
QUIET = 3.0  # seconds without a request before claims and scenes are computed
MANY, WITHIN = 6, 2.0  # requests, seconds: more than that is a hall, which needs the processor itself

Task = tuple[Callable[..., Any], tuple]
_steps: list[Task] = []
_later: deque[Task] = deque()
_requests: deque[float] = deque([0.0], maxlen=MANY)  # when they came
_changed = threading.Event()
_computing = threading.Lock()  # held during each computation; ``stop`` keeps it


def mark_busy() -> None:
    """Note a request: nothing is computed ahead for a moment."""
    _requests.append(time.monotonic())


def schedule(compute: Callable[..., Any], arguments: Iterable[tuple]) -> None:
    """Call ``compute`` with each of ``arguments`` once the server is idle, instead of earlier schedules."""
    global _steps
    mark_busy()
    if len(_requests) == MANY and _requests[-1] - _requests[0] < WITHIN:
        return
    _steps = [(compute, these) for these in arguments]
    _changed.set()


def start(later: Iterable[Task]) -> None:
    """Start the thread, which computes ``later`` whenever the server is quiet."""
    _later.extend(later)
    threading.Thread(target=_work, name="prefetch", daemon=True).start()


@atexit.register
def stop() -> None:
    """Wait for the computation under way and begin no other.

    Python aborts if a thread is inside NumPy when the process ends.
    """
    _computing.acquire()


def _work() -> None:
    while True:
        if _changed.wait(1.0):
            _changed.clear()
            time.sleep(PAUSE)
            for task in _steps:
                if not _changed.is_set():
                    _compute(task)
        elif _later and time.monotonic() - _requests[-1] > QUIET:
            _compute(_later.popleft())


def _compute(task: Task) -> None:
    compute, arguments = task
    with _computing, suppress(Exception):  # the page that computes it reports the error
        compute(*arguments)
