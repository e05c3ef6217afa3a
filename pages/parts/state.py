"""Session state: all that the app keeps for one session, declared here with its type.

``st.session_state`` holds one ``Session`` under one key, beside the widgets' own values. The values of a
page's controls live here and not in the widgets: a widget's callback writes its value into
``PageState.values``, and when the server sets values (a scene, a link, Back) the widgets get new keys. So a
late message of the browser, sent before a new scene arrived there, names widgets that are gone: Streamlit
calls their callbacks, which ignore it, and old values do not come back.
"""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import streamlit as st

from pages.parts.training_runs import Watched

KEY = "vgdash"

_this = threading.local()  # .answering: the next full run of this thread answers a widget


@dataclass
class PageState:
    """State of one page."""

    values: dict[str, Any] = field(default_factory=dict)  # controls that are not at their default
    entered: dict[str, Any] = field(default_factory=dict)  # the same as set by a link, a scene or Back
    scene: str | None = None  # name of the scene that has these values
    kept: str = ""  # the state kept as A, as the text of a query
    refused: list[str] = field(default_factory=list)  # sentences about the address, until a value is changed
    misread: dict[str, str] = field(default_factory=dict)  # control: sentence about a text that is not valid
    moved: tuple[str, Any] | None = None  # the slider moved last, and its next value in that direction
    picked: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)  # chart: places picked on it


@dataclass
class Session:
    """State of one session."""

    page: str = ""  # name of the page shown last
    at: tuple[str, str] | None = None  # page and name of the scene entered last
    seen: set[tuple[str, str]] = field(default_factory=set)  # page and name of every scene entered
    generation: int = 0  # part of every control's key; one more whenever the server sets values
    sent_at: float = -math.inf  # time.monotonic() when an address was last sent to the browser
    present: bool = False  # large type, for a projector
    quiet: bool = False  # no more questions
    walk: tuple[Any, ...] = ()  # a ``walks.Walk`` of a lecturer's own; empty: through all scenes
    stop: int = -1  # index in it of the stop entered last
    draft: tuple[Any, ...] = ()  # the walk that is being made
    edition: int = 0  # part of the key of its choice of scenes; one more whenever their order is changed
    making: bool = False  # open the dialog for it in the next full run
    locked: dict[tuple[str, str], int | None] = field(default_factory=dict)  # (page, scene): answer or None
    report: Any = None  # of the file that this session has opened; no other session has it
    start: str | None = None  # kind of run to start with the settings of the page
    runs: dict[str, Watched] = field(default_factory=dict)  # kind of run: the one that this session watches
    visitor: str = field(default_factory=lambda: uuid.uuid4().hex)
    long_work: Any = field(default_factory=threading.Lock)  # held during a long computation: one at a time
    pages: dict[str, PageState] = field(default_factory=dict)

    def of(self, page: str) -> PageState:
        """Return the state of a page."""
        return self.pages.setdefault(page, PageState())

    def enter(self, page: str, scene: str) -> None:
        """Note that a scene is entered."""
        self.at = (page, scene)
        self.seen.add(self.at)
        self.stop = next((i for i, stop in enumerate(self.walk) if stop.place == self.at), self.stop)


def session() -> Session:
    """Return the state of the session whose script runs."""
    return st.session_state.setdefault(KEY, Session())


def answer_next() -> None:
    """Mark the next full run of this thread as one that answers a widget: its address may be an old one.

    Not a field of the session: a run that is stopped for the next message goes on for a moment beside it.
    """
    _this.answering = True


def take_answering() -> bool:
    """Return True if this full run answers a widget, and take the mark away."""
    answers, _this.answering = getattr(_this, "answering", False), False
    return answers


def answering(callback: Callable[..., None]) -> Callable[..., None]:
    """Mark the full run after a widget's callback as its answer."""
    @wraps(callback)
    def marked(*arguments: Any) -> None:
        answer_next()
        callback(*arguments)
    return marked
