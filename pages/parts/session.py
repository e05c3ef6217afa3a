"""How a session of Streamlit talks with its browser, changed in three places.

*What one rerun says is heard at once.* Streamlit sends what a script has drawn every 10 ms, and the browser renders what has arrived:
two or three pictures for a rerun of 15 ms, of which only the last is looked at, and each costs the browser as long as the script
took. So the messages of a run are held until it ends, for ``HOLD`` seconds at most, and leave as one: whatever takes longer shows its
beginning, as without this. That a fragment runs is not said where it is over by then: the browser would render the page to mark what
is old, and once more to take the marks away. And of what a fragment has drawn it hears only what is ``news``.

*A run knows whether it was asked for before the answer was heard.* A browser sends the values of all widgets and its address with
each tick of a timer, also when the server has just set others, which the browser has not heard of yet: the tick would put the old
ones back. So would what a fragment asks for while a run of the whole page goes on, a list that is closed as a key leads on to the
next scene, or while the answer of that run is on its way: its address still names the scene before. With this a page can tell such
values from those that a visitor has set. And a tick enters no scene: a browser notes a click before it sends it, and the click,
coming after such a tick, would change nothing but bring the old values of all sliders.

*What a run has said is sent, whatever comes next.* Streamlit begins a fragment's run anew where the run before is over, and forgets
what that one said if it had not got round to sending it: of the next scene its controls would be seen, and not its title. So such a
request waits until all has been said.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from functools import wraps
from urllib.parse import parse_qs

from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates
from streamlit.runtime import Runtime, exists, get_instance
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequestType

from pages.parts import news

HOLD = 0.04
SOON = 0.002
LONGEST = 10_000  # characters of an address that is looked into
MOST = 200  # messages that leave as one; a browser's line holds 500


@dataclass
class Visitor:
    """What all runs of one visitor share."""

    turn: threading.Lock = field(default_factory=threading.Lock)  # one at a time
    asked: int = 0  # for so many runs, having heard of the one before
    whole: bool = True  # the run that goes on, or is about to, draws the whole page
    early: set[str] | None = None  # if it was asked for before the answer was heard: the keys of the widgets that the browser knew of
    address: str = ""  # where the last run ended
    before: str = ""  # the scene from which the last run of the whole page was asked for


def visitor(pages: PagesManager) -> Visitor:
    """The visitor to whom these pages belong."""
    return vars(pages).setdefault("visitor", Visitor())


def present() -> Visitor:
    """The visitor whose run goes on."""
    context = get_script_run_ctx()
    return visitor(context.pages_manager) if context else Visitor()


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


def _worth_saying(messages: list[ForwardMsg]) -> list[ForwardMsg]:
    """All but that a fragment runs, where it is said in the same breath that it does no more."""
    needless, begun, fragment = set(), None, False
    for k, message in enumerate(messages):
        match message.WhichOneof("type"):
            case "new_session":
                begun, fragment = None, bool(message.metadata.run.fragment_ids)
            case "session_status_changed" if message.session_status_changed.script_is_running:
                begun = k if fragment else None
            case "session_status_changed" if begun is not None:
                needless |= {begun, k}
                begun = None
    return [message for k, message in enumerate(messages) if k not in needless]


def serving() -> bool:
    """Whether this is a server: what tests a script alone has a stand-in for it."""
    return exists() and type(get_instance()) is Runtime


def _scene(address: str) -> str:
    """The scene that it names, if it is as short as every page's own address."""
    return parse_qs(address).get("scene", [""])[0] if len(address) <= LONGEST else ""


def _unheard(asks: Visitor, said: ClientState) -> bool:
    """Whether a fragment is asked for by a browser that still shows the scene that the last run of the whole page has left."""
    return asks.before == _scene(said.query_string) != _scene(asks.address)


def _key(widget: WidgetState) -> str:
    """What the page calls it."""
    return widget.id.split("-", 2)[-1]


def begin(visitor: Visitor, data: RerunData) -> RerunData:
    """Take note of the run that begins. What a fragment asked for early is run with the address of the answer, and enters no scene."""
    visitor.whole, visitor.early = not data.fragment_id_queue, None
    if visitor.whole:
        visitor.before = _scene(data.query_string)
    if visitor.whole or not data.is_auto_rerun:
        return data
    widgets = data.widget_states.widgets if data.widget_states else ()
    visitor.early = {_key(widget) for widget in widgets}
    return replace(data, query_string=visitor.address, widget_states=WidgetStates(widgets=[w for w in widgets if _key(w) != "scene"]))


def install() -> None:
    """Put all in place, once for the whole server."""
    flush, enqueue, rerun = AppSession.flush_browser_queue, AppSession._enqueue_forward_msg, AppSession.request_rerun
    if hasattr(flush, "__wrapped__"):
        return

    @wraps(flush)
    def together(self: AppSession) -> list[ForwardMsg]:
        if _holds(self):
            return []
        runtime = get_instance()
        info = runtime._session_mgr.get_active_session_info(self.id)
        screen = vars(self).setdefault("_screen", news.Screen())
        messages = screen.news(info and info.client, _worth_saying(flush(self)))
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
        asks, busy = visitor(self._pages_manager), self._scriptrunner is not None
        whole = said is None or not said.fragment_id
        if not whole and said.is_auto_rerun and busy:  # what a visitor did goes first, and the next tick comes soon
            return
        if not whole and ((busy and asks.whole) or _unheard(asks, said)):
            said.is_auto_rerun = True  # it is as old as a tick
        asks.asked += whole or not said.is_auto_rerun
        asks.whole = asks.whole or whole
        when_all_is_said(self, said)

    def when_all_is_said(self: AppSession, asked: ClientState | None) -> None:
        over = self._scriptrunner is not None and self._scriptrunner._requests._state is ScriptRequestType.STOP
        if over and asked is not None and asked.fragment_id:
            self._event_loop.call_later(SOON, when_all_is_said, self, asked)
        else:
            rerun(self, asked)

    AppSession.flush_browser_queue, AppSession._enqueue_forward_msg, AppSession.request_rerun = together, quietly, counted
