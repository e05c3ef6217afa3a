"""Scripts take turns: so many run at once, the others wait in line.

Threads that all want Python's lock get it for 5 ms each, and one of them is the loop that greets visitors and sends what scripts
say. Among a hundred scripts it would come to its turn twice a second: of 300 students who open one link some would not be greeted
within ten seconds. Whoever computes, or waits for what another computes, lets others pass meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequestType

from pages.parts import bounds

_line = threading.BoundedSemaphore(bounds.SCRIPTS)
_here = threading.local()


@contextmanager
def turn() -> Iterator[None]:
    """One of the places, as soon as one is free."""
    _line.acquire()
    _here.has_place = True
    try:
        yield
    finally:
        _here.has_place = False
        _line.release()


@contextmanager
def aside() -> Iterator[None]:
    """While this thread computes or waits, another may have its place, if it has one."""
    if not getattr(_here, "has_place", False):
        yield
        return
    _here.has_place = False
    _line.release()
    try:
        yield
    finally:
        _line.acquire()
        _here.has_place = True


def install() -> None:
    """Have all scripts of this server take turns."""
    run = ScriptRunner._run_script
    if hasattr(run, "__wrapped__"):
        return

    @wraps(run)
    def in_turn(self: ScriptRunner, data: RerunData) -> None:
        with turn():
            if self._requests._state is not ScriptRequestType.STOP:  # its successor may have begun: the widgets are the other's now
                run(self, data)

    ScriptRunner._run_script = in_turn
