"""What the next step of a slider will ask for, computed while nobody waits.

One thread for the whole server, which begins after a pause, takes what was wished last only, and does nothing while many visitors
ask: what it computes is remembered for everybody, and what it does not is computed when it is asked for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

PAUSE = 0.1  # seconds without another wish
MANY, WITHIN = 6, 2.0  # so many wishes within so many seconds are a hall, which needs the processor itself

_wishes: list[tuple[Callable[..., Any], tuple]] = []
_made: deque[float] = deque(maxlen=MANY)
_wished = threading.Event()
_starting = threading.Lock()
_thread: threading.Thread | None = None


def wish(compute: Callable[..., Any], arguments: Iterable[tuple]) -> None:
    """Have ``compute(*arguments)`` done for each of ``arguments`` when the server is idle."""
    global _thread, _wishes
    now = time.monotonic()
    _made.append(now)
    if len(_made) == MANY and now - _made[0] < WITHIN:
        return
    _wishes = [(compute, these) for these in arguments]
    _wished.set()
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_work, name="ahead", daemon=True)
            _thread.start()


def _work() -> None:
    while True:
        _wished.wait()
        _wished.clear()
        time.sleep(PAUSE)
        for compute, arguments in _wishes:
            if _wished.is_set():
                break
            try:
                compute(*arguments)
            except Exception:  # whoever asks for it will be told
                continue
