"""What will be asked for next, computed while nobody waits: the next step of a slider, the scenes.

One thread for the whole server. It begins after a pause, takes what was wished last only, and does nothing while many visitors
ask: what it computes is remembered for everybody, and what it does not is computed when it is asked for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

PAUSE = 0.1  # seconds without another wish
QUIET = 3.0  # seconds in which nobody asks for anything, before what is for later is prepared
SHARE = 1  # times as long as it computed it rests: the processor is for those who are here
MANY, WITHIN = 6, 2.0  # so many wishes within so many seconds are a hall, which needs the processor itself

Task = tuple[Callable[..., Any], tuple]
_wishes: list[Task] = []
_later: deque[Task] = deque()
_made: deque[float] = deque(maxlen=MANY)  # when
_asked = time.monotonic()  # when anybody last asked for anything, a run's next look included
_wished = threading.Event()
_starting, _doing = threading.Lock(), threading.Lock()
_stopped = False
_thread: threading.Thread | None = None


def wish(compute: Callable[..., Any], arguments: Iterable[tuple]) -> None:
    """Have ``compute(*arguments)`` done for each of ``arguments`` when the server is idle."""
    global _wishes
    now = time.monotonic()
    put_off()
    _made.append(now)
    if len(_made) == MANY and now - _made[0] < WITHIN:
        return
    _wishes = [(compute, these) for these in arguments]
    _wished.set()
    _start()


def put_off() -> None:
    """Somebody is here: prepare nothing for a while."""
    global _asked
    _asked = time.monotonic()


def prepare(compute: Callable[..., Any], arguments: Iterable[tuple]) -> None:
    """Have the same done one after the other, whenever nobody asks for anything."""
    _later.extend((compute, these) for these in arguments)
    _start()


def stop() -> None:
    """Compute nothing more, as the server ends; what is being computed is finished: Python aborts where a thread is inside NumPy then."""
    global _stopped
    _stopped = True
    with _doing:
        pass


def _start() -> None:
    global _thread
    with _starting:
        if _thread is None or not _thread.is_alive():
            _thread = threading.Thread(target=_work, name="ahead", daemon=True)
            _thread.start()


def _work() -> None:
    while True:
        idle = time.monotonic() - _asked > QUIET
        if _wished.wait(0 if idle and _later else 10 * PAUSE):
            _wished.clear()
            time.sleep(PAUSE)
            for task in _wishes:
                if _wished.is_set():
                    break
                _do(*task)
        elif idle and _later:
            start = time.monotonic()
            _do(*_later.popleft())
            _wished.wait(SHARE * (time.monotonic() - start))


def _do(compute: Callable[..., Any], arguments: tuple) -> None:
    with _doing, suppress(Exception):  # whoever asks for it will be told
        if not _stopped:
            compute(*arguments)
