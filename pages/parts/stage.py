"""The skeleton of a page: question, verdict, controls, main chart; what follows is the page's own."""

from __future__ import annotations

import streamlit as st


class Stage:
    """Places in a fixed order that a page fills out of order: the verdict stands above the controls that it depends on."""

    def __init__(self, question: str):
        with st.container(gap="xsmall"):
            st.title(question, anchor=False)
            self._verdict = st.container(key="verdict")
            self._notice = st.container(gap="xsmall")
            self._controls = st.container(gap="xsmall")
            self._main = st.container(gap="xsmall")

    def controls(self):
        """Where the controls go, in one row."""
        return self._controls

    def main(self):
        """Where the main chart goes, above the fold of a projector."""
        return self._main

    def verdict(self, words: str) -> None:
        self._verdict.markdown(f"## {words}", anchors=False)

    def notice(self, sentences: list[str]) -> None:
        """One box for each value that was refused; nothing else is lost."""
        for sentence in sentences:
            self._notice.warning(sentence, icon=":material/info:")
