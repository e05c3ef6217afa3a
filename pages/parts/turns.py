"""Scripts take turns: so many run at once, and of each visitor one; the others wait in line.

Threads that all want Python's lock get it for 5 ms each, and one of them is the loop that greets visitors and sends what scripts
say. Among a hundred scripts it would come to its turn twice a second: of 300 students who open one link some would not be greeted
within ten seconds. Whoever computes, or waits for what another computes, lets others pass meanwhile.

Streamlit begins a visitor's next run while the one before may still be at work, on the same widgets: what it sets would come after what
its successor was sent. So that run waits until the one before has ended, or has stepped aside and will find that it is to stop.

What a page's fragment asks for after its visitor has left the page is not done. All pages call theirs by one name, so Streamlit would
run that of the new page as one of the old: the browser clears all for it, finds no place for what comes, and gives up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps

from streamlit.runtime.scriptrunner.script_runner import ScriptRunner
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequestType

from pages.parts import bounds, session

_line = threading.BoundedSemaphore(bounds.SCRIPTS)
_here = threading.local()  # visitor: the lock of the visitor whose script runs on this thread, if one does


@contextmanager
def turn(visitor: threading.Lock) -> Iterator[None]:
    """One of the places, as soon as one is free and the visitor's own run before is over."""
    with visitor, _line:
        _here.visitor = visitor
        try:
            yield
        finally:
            _here.visitor = None


@contextmanager
def aside() -> Iterator[None]:
    """While this thread computes or waits, another may have its place, if it has one."""
    visitor = getattr(_here, "visitor", None)
    if visitor is None:
        yield
        return
    _here.visitor = None
    _line.release()
    visitor.release()
    try:
        yield
    finally:
        visitor.acquire()
        _line.acquire()
        _here.visitor = visitor


def _left(runner: ScriptRunner, data: RerunData) -> bool:
    """Whether a fragment asks whose page, if it says which, is no longer there."""
    return bool(data.fragment_id_queue) and data.page_script_hash not in ("", runner._pages_manager.current_page_script_hash)


def _leaving(runner: ScriptRunner, data: RerunData) -> bool:
    """Whether a fragment asks while the visitor is about to be shown another page; Streamlit would make one request of both."""
    asked = runner._requests
    with asked._lock:
        waiting = asked._state is ScriptRequestType.RERUN and not asked._rerun_data.fragment_id_queue
        return bool(data.fragment_id) and waiting and data.page_script_hash not in ("", asked._rerun_data.page_script_hash)


def install() -> None:
    """Have all scripts of this server take turns."""
    run, ask = ScriptRunner._run_script, ScriptRunner.request_rerun
    if hasattr(run, "__wrapped__"):
        return

    @wraps(run)
    def in_turn(self: ScriptRunner, data: RerunData) -> None:
        visitor = session.visitor(self._pages_manager)
        with turn(visitor.turn):
            # its successor may have begun: the widgets are the other's now
            if self._requests._state is ScriptRequestType.STOP or _left(self, data):
                return
            run(self, session.begin(visitor, data))
            if self._requests._state is not ScriptRequestType.STOP:
                visitor.address = self._get_script_run_ctx().query_string

    @wraps(ask)
    def heard(self: ScriptRunner, data: RerunData) -> bool:
        return _leaving(self, data) or ask(self, data)

    ScriptRunner._run_script, ScriptRunner.request_rerun = in_turn, heard
