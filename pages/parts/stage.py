"""The skeleton of a page: question, verdict, scenes and controls, main chart; what follows is the page's own."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.parts import lecture
from pages.parts.controls import Controls
from vgdash.params import Params


class Stage:
    """Places in a fixed order that a page fills out of order: the verdict stands above the controls that it depends on."""

    def __init__(self, question: str, controls: Controls, then: Callable[[], None] | None = None):
        self._page, self._then = controls.page, then
        with st.container(gap="xsmall"):
            scene = lecture.settle(controls)
            title, tools = st.columns([1, 1] if lecture.presenting() else [3, 2], vertical_alignment="center")
            with title:
                st.title(scene.say if scene else question, anchor=False)
            with tools:
                self._tools = st.container()
            self._verdict = st.container(key="verdict")
            self._notice = st.container(gap="xsmall")
            self._question = st.container()
            self._controls = st.container(gap="xsmall")
            self._main = st.container(gap="xsmall")
        with self._controls:
            lecture.walk(controls, then)

    def controls(self):
        """Where the controls go, in one row."""
        return self._controls

    def main(self):
        """Where the main chart goes, above the fold of a projector."""
        return self._main

    def verdict(self, words: str) -> None:
        self._verdict.markdown(f"## {words}", anchors=False)

    def ready(self, controls: Controls, p: Params) -> bool:
        """Draw what needs the parameters: share, present, what was refused. False while a question hides the chart."""
        with self._tools:
            lecture.tools(controls, self._then)
        for sentence in controls.notices():
            self._notice.warning(sentence, icon=":material/info:")
        return lecture.revealed(self._page, p, self._question)

    def beside(self, draw: Callable[[Params, str], None], controls: Controls, p: Params) -> None:
        """The main chart of ``p``, beside that of the state kept as A, if there is one. ``draw(params, side)``."""
        with self._main:
            kept = lecture.held(controls)
            if kept is None:
                draw(p, "")
                return
            for column, params, side in zip(st.columns(2), (kept, p), "AB", strict=True):
                with column:
                    st.markdown(f"**{side}**: {lecture.difference(params, kept if params is p else p)}")
                    draw(params, side)
