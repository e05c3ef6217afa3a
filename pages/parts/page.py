"""The skeleton of a page: title and scenes, the verdict, a row of controls, and the results.

Controls, the controls behind ``More`` and results are fragments, so that a slider's step draws the results
again and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import streamlit as st

from pages.parts import presenter
from pages.parts.concurrency import script_slot
from pages.parts.controls import Controls, redraw_page
from vgdash.params import Params

CHECK_EVERY = 1.5  # seconds between two looks at the address of a page opened in a hurry, until a full run


class Results:
    """The part of a page that shows one parameter set ``p``.

    Its verdict stands above the controls. ``bar`` is a container beside the buttons.
    """

    def __init__(self, controls: Controls, head: Any, bar: Any):
        self.controls, self._head, self.bar = controls, head, bar
        self.p, self._notices = controls.params()
        self.value = controls.value

    def verdict(self, words: str) -> None:
        """Draw the verdict, the notices about refused values, and the answer to the scene's question."""
        self._head.markdown(f"## {words}", anchors=False)
        self.notify()
        if answer := presenter.answer(self.controls):
            self._head.info(answer, icon=":material/lightbulb:")

    def notify(self) -> None:
        """Draw the notices about refused values."""
        for sentence in self._notices:
            self._head.warning(sentence, icon=":material/info:")

    def beside(self, draw: Callable[[Params, str, Params | None], None]) -> None:
        """Draw the main chart, beside that of the state kept as A if there is one, and the scene's note.

        ``draw(params, side, other)``: ``side`` is "A", "B" or "", ``other`` the other side's parameter set.
        """
        kept = presenter.kept(self.controls)
        with stage():
            if kept is None:
                draw(self.p, "", None)
            else:
                both = ((kept, "A", self.p), (self.p, "B", kept))
                for column, (params, side, other) in zip(st.columns(2), both, strict=True):
                    with column:
                        st.markdown(f"**{side}**: {presenter.difference(params, other)}")
                        draw(params, side, other)
        if (scene := presenter.current(self.controls)) and scene.note:
            st.caption(scene.note)


def stage() -> Any:
    """Make the container of a page's main charts, which grow with the window."""
    return st.container(key="stage")


def show(controls: Controls, question: str, results: Callable[[Results], None],
         row: Callable[[], None] | None = None, more: Callable[[], None] | None = None,
         looks: Callable[[], None] | None = None, buttons: Callable[[], None] | None = None,
         every: Callable[[], float | None] = lambda: None) -> bool:
    """Draw a page: title, verdict, a row of controls, more behind a button, looks, buttons, results.

    ``every()``: seconds after which the results are drawn again by themselves, or None. Results that tick
    hold no widget, for a browser sends the values of all widgets at each tick; ``buttons`` may. Returns True
    if more may follow below: not for a projector, nor while a question is asked.
    """
    controls.read_address()
    presenter.top(controls, question)
    asked = presenter.asks(controls)
    if asked:
        fragment(controls.page, "question", lambda: presenter.ask(controls))
    head, bar = st.container(key="verdict", gap="xsmall"), None
    if row is not None:
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="control-row"):
            fragment(controls.page, "controls", row, in_row=True)
            if more is not None:
                with st.popover("More", key="more", width="content", help="All other settings of this page"):
                    fragment(controls.page, "more", more)
    if looks is not None:
        fragment(controls.page, "looks", looks, in_row=True)
    if buttons is not None:
        with st.container(horizontal=True, vertical_alignment="center", key="run-bar"):
            fragment(controls.page, "buttons", buttons, in_row=True)
            bar = st.container()

    def shown() -> None:
        controls.write_address()
        found = Results(controls, head, bar)
        if asked:
            head.empty()  # keeps the place of a notice: a fragment alone finds none
            found.notify()
        else:
            results(found)

    ticking(controls.page, "results", shown, (lambda: None) if asked else every)
    if controls.hurried:
        fragment(controls.page, "address", lambda: _check_address(controls), CHECK_EVERY)
    return not (asked or presenter.presenting())


def _check_address(controls: Controls) -> None:
    """Have a page opened in a hurry name its state again.

    Only where an earlier answer has changed the address: a full run while the browser goes Back or Forward
    would open this page again, and take the way forward out of the history.
    """
    if controls.is_misnamed():
        redraw_page()


def fragment(page: str, key: str, draw: Callable[[], None], every: float | None = None,
             in_row: bool = False) -> None:
    """Draw a fragment of a page, which ``st.rerun(key)`` draws again.

    ``every``: seconds after which it is drawn again by itself. ``in_row``: what it draws stands side by side.
    """
    def drawn() -> None:
        place = nullcontext()
        if in_row:
            place = st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=key)
        with script_slot(), place:
            draw()
    drawn.__qualname__ = f"{page}.{key}"  # Streamlit's identity of a fragment: another page has another one
    st.fragment(drawn, key=key, run_every=every)()


def ticking(page: str, key: str, draw: Callable[[], None], every: Callable[[], float | None]) -> None:
    """Draw a fragment that ticks while ``every()`` gives seconds. Only a full run starts or ends a timer."""
    seconds = every()

    def drawn() -> None:
        draw()
        if (every() is None) != (seconds is None):
            redraw_page()
    fragment(page, key, drawn, seconds)
