"""Limits on what runs at once: scripts of visitors, and long computations.

Python threads share one interpreter lock, and one of them is the loop that greets visitors. With a hundred scripts at
work it gets the lock twice a second, and a hall that arrives at once waits for its pages. So few scripts run at a time
and the others wait in line. Long computations use all cores by themselves, so there is one of them at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

SCRIPTS = 2  # scripts of visitors at once; one that computes for long does not count

_scripts, _long = threading.BoundedSemaphore(SCRIPTS), threading.BoundedSemaphore(1)
_this = threading.local()  # .slot: this thread holds one of the places for scripts


@contextmanager
def script_slot() -> Iterator[None]:
    """Wait for one of the places for scripts, and hold it. A fragment inside of a full run uses the place of that run."""
    if in_script():
        yield
        return
    with _scripts:
        _this.slot = True
        try:
            yield
        finally:
            _this.slot = False


def in_script() -> bool:
    """Return True if this thread runs a visitor's script, and holds a place for it."""
    return getattr(_this, "slot", False)


@contextmanager
def released_slot() -> Iterator[None]:
    """Leave the place for scripts to another one meanwhile: for waiting, and for long computations."""
    if not in_script():
        yield
        return
    _this.slot = False
    _scripts.release()
    try:
        yield
    finally:
        _scripts.acquire()
        _this.slot = True


def long_work() -> AbstractContextManager[object]:
    """Return the place for long computations, to wait for and to hold."""
    return _long
