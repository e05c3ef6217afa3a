"""Session state: everything that the app keeps for one visitor, declared here with its type.

``st.session_state`` holds one ``Session`` under one key, beside the widgets' own values. The values of a page's
controls live here and not in the widgets: a widget's callback writes its value into ``PageState.values``, and when the
server sets values (a scene, a link, Back) the widgets get new keys. So a message that left the browser before it heard
of a new scene names widgets that are gone; their callbacks do nothing, and old values do not come back.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import streamlit as st

from pages.parts.training_runs import Watched

KEY = "vgdash"


@dataclass
class PageState:
    """State of one page."""

    values: dict[str, Any] = field(default_factory=dict)  # controls that are not at their default
    entered: dict[str, Any] = field(default_factory=dict)  # the same as a link, a scene or Back has set them
    scene: str | None = None  # name of the scene that these values are
    kept: str = ""  # the state kept as A, as the text of a query
    refused: list[str] = field(default_factory=list)  # sentences about the address, until something is changed
    misread: dict[str, str] = field(default_factory=dict)  # control: sentence about a text that cannot be read
    moved: tuple[str, bool] | None = None  # the control changed last, and if it went up
    picked: list[tuple[float, float]] = field(default_factory=list)  # places picked on the plane


@dataclass
class Session:
    """State of one visitor."""

    page: str = ""  # name of the page shown last
    at: tuple[str, str] | None = None  # page and name of the scene entered last
    generation: int = 0  # part of every control's key; one more whenever the server sets values
    answering: bool = False  # the full run to come answers a widget, so its address may be an old one
    present: bool = False  # large type, for a projector
    quiet: bool = False  # no more questions
    locked: dict[tuple[str, str], int | None] = field(default_factory=dict)  # (page, scene): answer, None if skipped
    start: str | None = None  # kind of run to start with the settings of the page
    runs: dict[str, Watched] = field(default_factory=dict)  # kind of run: the one that this visitor watches
    visitor: str = field(default_factory=lambda: uuid.uuid4().hex)
    long_work: Any = field(default_factory=threading.Lock)  # held during a long computation: one at a time
    pages: dict[str, PageState] = field(default_factory=dict)

    def of(self, page: str) -> PageState:
        """Return the state of a page."""
        return self.pages.setdefault(page, PageState())


def session() -> Session:
    """Return the state of the visitor whose script runs."""
    return st.session_state.setdefault(KEY, Session())


def answering(callback: Callable[..., None]) -> Callable[..., None]:
    """Mark the full run that follows a widget's callback: its address is not read, for the browser may not have heard
    of the last one yet."""
    @wraps(callback)
    def marked(*arguments: Any) -> None:
        session().answering = True
        callback(*arguments)
    return marked
