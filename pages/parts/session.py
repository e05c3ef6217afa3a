"""How a session of Streamlit talks with its browser, changed in two places.

*What one rerun says is heard at once.* Streamlit sends what a script has drawn every 10 ms, and the browser renders what has arrived:
two or three pictures for a rerun of 15 ms, of which only the last is looked at, and each costs the browser as long as the script
took. So the messages of a run are held until it ends, for ``HOLD`` seconds at most, and leave as one: whatever takes longer shows its
beginning, as without this.

*A run knows whether it was asked for before the answer was heard.* A browser sends the values of all widgets and its address with
each tick of a timer, also when the server has just set others, which the browser has not heard of yet: the tick would put the old
ones back. So would what a fragment asks for while a run of the whole page goes on: a list that is closed as a key leads on to the next
scene. With this a page can tell such values from those that a visitor has set. And a tick enters no scene: a browser notes a click
before it sends it, and the click, coming after such a tick, would change nothing but bring the old values of all sliders.
"""

from __future__ import annotations

import time
from functools import wraps
from weakref import WeakValueDictionary

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime import Runtime, exists, get_instance
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.scriptrunner import get_script_run_ctx

HOLD = 0.04
_asked: WeakValueDictionary[str, AppSession] = WeakValueDictionary()
MOST = 200  # messages that leave as one; a browser's line holds 500


def _holds(session: AppSession) -> bool:
    """Whether the session's run is still going, and not for long."""
    if session._state is not AppSessionState.APP_IS_RUNNING:
        session._held_until = None
        return False
    if getattr(session, "_held_until", None) is None:
        session._held_until = time.monotonic() + HOLD
        loop = session._event_loop
        loop.call_soon_threadsafe(loop.call_later, HOLD + 0.001, session._message_enqueued_callback)
    return time.monotonic() < session._held_until


def serving() -> bool:
    """Whether this is a server: what tests a script alone has a stand-in for it."""
    return exists() and type(get_instance()) is Runtime


def ticked() -> set[str] | None:
    """The keys of the widgets that a browser knows of, if the run was asked for before the answer was heard, as by a timer; else None."""
    context = get_script_run_ctx()
    session = _asked.get(context.session_id) if context else None
    return session._ticked if session else None


def heard() -> int:
    """How many times the visitor whose run goes on has asked for one, having heard of the one before; timers do not count."""
    context = get_script_run_ctx()
    session = _asked.get(context.session_id) if context else None
    return getattr(session, "_heard", 0)


def install() -> None:
    """Put both in place, once for the whole server."""
    flush, enqueue, rerun = AppSession.flush_browser_queue, AppSession._enqueue_forward_msg, AppSession.request_rerun
    if hasattr(flush, "__wrapped__"):
        return

    @wraps(flush)
    def together(self: AppSession) -> list[ForwardMsg]:
        if _holds(self):
            return []
        messages, runtime = flush(self), get_instance()
        info = runtime._session_mgr.get_active_session_info(self.id)
        if info is None or len(messages) > MOST:
            return messages
        for message in messages:  # Streamlit lets others speak after each; so it would be as many packets
            runtime._send_message(info, message)
        return []

    @wraps(enqueue)
    def quietly(self: AppSession, message: ForwardMsg) -> None:
        if _holds(self):
            self._browser_queue.enqueue(message)
        else:
            enqueue(self, message)

    @wraps(rerun)
    def counted(self: AppSession, said: ClientState | None) -> None:
        busy = self._scriptrunner is not None
        if said is not None and said.is_auto_rerun and busy:  # what a visitor did goes first, and the next tick comes soon
            return
        early = said is not None and (said.is_auto_rerun or (bool(said.fragment_id) and busy and self._whole))
        if early:
            said.is_auto_rerun = True
            sent = {widget.id.split("-", 2)[-1]: widget for widget in said.widget_states.widgets}
            if "scene" in sent:
                said.widget_states.widgets.remove(sent["scene"])
        else:
            self._whole = said is None or not said.fragment_id
        self._ticked = set(sent) if early else None
        self._heard = getattr(self, "_heard", 0) + (not early)
        _asked[self.id] = self
        rerun(self, said)

    AppSession.flush_browser_queue, AppSession._enqueue_forward_msg, AppSession.request_rerun = together, quietly, counted
