"""What one rerun says, a browser hears at once.

Streamlit sends what a script has drawn every 10 ms, and the browser renders what has arrived: two or three pictures for a rerun of
15 ms, of which only the last is looked at, and each costs the browser as long as the script took. So the messages of a run are held
until it ends, for ``HOLD`` seconds at most: whatever takes longer shows its beginning, as without this.
"""

from __future__ import annotations

import time
from functools import wraps

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.app_session import AppSession, AppSessionState

HOLD = 0.04


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


def install() -> None:
    """Hold the messages of every session's runs, once for the whole server."""
    flush, enqueue = AppSession.flush_browser_queue, AppSession._enqueue_forward_msg
    if hasattr(flush, "__wrapped__"):
        return

    @wraps(flush)
    def flush_together(self: AppSession) -> list[ForwardMsg]:
        if _holds(self):
            return []
        messages = flush(self)
        if len(messages) > 2:
            from streamlit.runtime import get_instance
            rt = get_instance()
            info = rt._session_mgr.get_active_session_info(self.id)
            if info is not None:
                for m in messages:
                    rt._send_message(info, m)
                return []
        return messages

    @wraps(enqueue)
    def enqueue_quietly(self: AppSession, message: ForwardMsg) -> None:
        if _holds(self):
            self._browser_queue.enqueue(message)
        else:
            enqueue(self, message)

    AppSession.flush_browser_queue, AppSession._enqueue_forward_msg = flush_together, enqueue_quietly
