"""What no browser sends counts as not sent.

Any client can send any value for any widget. Streamlit hands it to the widget, which raises: partly in the page's script, partly
before it, where no page can catch it. So the values are looked at where Streamlit takes them in: one of another type than the
widget declared, or one that the widget cannot read, is as good as none, and the widget keeps what it had.

Any client can also ask to have all caches cleared, which are everybody's: that is not done.
"""

from __future__ import annotations

from functools import wraps

from streamlit.proto.WidgetStates_pb2 import WidgetState
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.state.common import is_element_id
from streamlit.runtime.state.session_state import Serialized, WStates

NUMBERS = {"int_value", "double_value"}  # a browser sends a whole number as the one where the widget declares the other


def _fits(sent: str, declared: str) -> bool:
    return sent == declared or {sent, declared} <= NUMBERS


def install() -> None:
    """Put the guard in place, once for the whole server."""
    read, take = WStates.__getitem__, WStates.set_widget_from_proto
    if hasattr(read, "__wrapped__"):
        return

    @wraps(read)
    def guarded(self: WStates, key: str):
        sent, declared = self.states.get(key), self.widget_metadata.get(key)
        if isinstance(sent, Serialized) and declared is not None and not _fits(sent.value.WhichOneof("value"), declared.value_type):
            raise KeyError(key)
        try:
            return read(self, key)
        except (TypeError, ValueError, OverflowError) as unreadable:
            raise KeyError(key) from unreadable

    @wraps(take)
    def named(self: WStates, sent: WidgetState) -> None:
        if is_element_id(sent.id):  # any other name would be looked for in what the page keeps, and not found
            take(self, sent)

    def ignored(self: AppSession) -> None:
        return

    WStates.__getitem__, WStates.set_widget_from_proto = guarded, named
    AppSession._handle_clear_cache_request = ignored
