"""What a page's widgets have been set to by the server, and whether their browser has heard of it.

A request that left the browser before it heard (see ``session``) brings old values; without this they would count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.parts import session


def tell(page: str, key: str, value: Any) -> None:
    """Set a widget, whose browser has yet to hear of it."""
    st.session_state[key] = value
    st.session_state.setdefault(f"{page} told", {})[key] = session.present().asked
    if f"{page} set" in st.session_state:
        st.session_state[f"{page} set"][key] = value  # also where what a late request brings is the click that sets it


def forget(page: str) -> None:
    """Nothing is kept of what was set here: all is about to be set anew."""
    st.session_state.pop(f"{page} set", None)


def tell_again(page: str, key: str) -> None:
    """Have the browser take the value of a widget that the run before did not draw. Call it before the widget is drawn.

    A browser that asks for it may have known its value, and forget it as it hears of the run without it.
    """
    if key in st.session_state and key not in st.session_state.get(f"{page} drawn", (key,)):
        st.session_state[key] = st.session_state[key]


def insist(page: str) -> None:
    """Keep what has been set here when a request says otherwise that left the browser before the browser heard of it.

    Call it before any control is drawn; of several fragments that run in one, the first does it for all. What was set here before
    the visitor's last request the browser knows: there a timer brings what the visitor is about to say.
    """
    visitor = session.present()
    if visitor.early is not None and get_script_run_ctx().fragment_ids_this_run:
        told = st.session_state.get(f"{page} told", {})
        for key, value in st.session_state.get(f"{page} set", {}).items():
            if key not in visitor.early or (told.get(key) == visitor.asked and st.session_state.get(key, value) != value):
                st.session_state[key] = value
        visitor.early = None


def remember(page: str, drawn: Iterable[str], folded: Iterable[str]) -> dict[str, Any]:
    """Take note of what is drawn, and what all is set to, for ``insist``; what it was set to in the run before."""
    st.session_state[f"{page} drawn"] = set(drawn)
    before = st.session_state.get(f"{page} set", {})
    st.session_state[f"{page} set"] = {key: st.session_state[key] for key in (*drawn, *folded) if key in st.session_state}
    return before
