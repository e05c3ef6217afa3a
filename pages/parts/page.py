"""The skeleton of a page: question, tools, scenes; then, in one fragment, verdict, controls and charts.

Every element of the fragment costs a rerun a third of a millisecond on the server and a millisecond in the browser: what a slider
does not change stands outside.
"""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.parts import presenter, told
from pages.parts.controls import Controls
from vgdash.params import Params


def top(question: str, controls: Controls, then: Callable[[], None] | None = None) -> None:
    """Question, tools and scenes. ``then`` is called when a scene has been entered."""
    presenter.depart()
    scene = presenter.settle(controls)
    st.session_state["top"] = presenter.above(controls)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="top"):
        st.title(scene.say if scene else question, anchor=False)
        presenter.tools(controls, then)
    presenter.walk(controls, then)


class Stage:
    """What a fragment starts with. Only the verdict is drawn out of order: it stands above the controls that it depends on."""

    def __init__(self, controls: Controls):
        self._page, self._said, self._answer = controls.page, [], ""
        presenter.depart()
        told.insist(controls.page)
        presenter.settle(controls)
        if presenter.above(controls) != st.session_state["top"]:
            # The first change of a scene makes it the viewer's own. And what was pressed above in the same 20 ms as something in
            # this fragment, a browser sends as one request for the fragment alone.
            st.rerun()
        self._head = st.container(key="verdict", gap="xsmall")

    def controls(self, name: str = "controls"):
        """A row for controls."""
        return st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key=name)

    def ready(self, controls: Controls, p: Params) -> bool:
        """Say what was refused, and ask the scene's question. False while a question hides the chart."""
        controls.remember()
        self._said = controls.notices()
        if presenter.asks(self._page, p):
            self._say_notices()
            presenter.ask(self._page, self._head)
            return False
        self._answer = presenter.answer(self._page, p)
        return True

    def verdict(self, words: str) -> None:
        """The verdict, and below it what was refused and how the scene's question comes out."""
        self._head.markdown(f"## {words}", anchors=False)
        self._say_notices()
        if self._answer:
            self._head.info(self._answer, icon=":material/lightbulb:")

    def _say_notices(self) -> None:
        for sentence in self._said:
            self._head.warning(sentence, icon=":material/info:")

    def beside(self, draw: Callable[[Params, str, Params | None], None], controls: Controls, p: Params) -> None:
        """The main chart of ``p``, beside that of the state kept as A, if there is one: ``draw(params, side, the other's params)``."""
        kept = presenter.held(controls)
        if kept is None:
            draw(p, "", None)
            return
        for column, params, side, other in zip(st.columns(2), (kept, p), "AB", (p, kept), strict=True):
            with column:
                st.markdown(f"**{side}**: {presenter.difference(params, other)}")
                draw(params, side, other)
