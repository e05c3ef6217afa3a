"""Limits on scripts and long computations that run at once.

Python threads share one interpreter lock, and one of them is Streamlit's event loop. With a hundred scripts
running, the loop gets the lock twice a second, and 300 students who arrive at once wait for their first
page. So few scripts run at a time and the others wait. A long computation uses all cores, so there is one at
a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

SCRIPTS = 2  # scripts that run at once; one in a long computation does not count

_scripts = threading.BoundedSemaphore(SCRIPTS)
_long = threading.RLock()  # a long computation may ask for another one that is not remembered
_this = threading.local()  # .slot: True while this thread holds a slot


@contextmanager
def script_slot() -> Iterator[None]:
    """Wait for a script slot and hold it. A fragment inside a full run uses the slot of that run."""
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
    """Return True if this thread runs a script and holds a slot for it."""
    return getattr(_this, "slot", False)


@contextmanager
def released_slot() -> Iterator[None]:
    """Release the script slot meanwhile: around waiting and long computations."""
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
    """Return the lock of long computations."""
    return _long
