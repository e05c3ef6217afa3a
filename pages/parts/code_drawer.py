"""The drawer with code to paste: the start that is chosen, and the recommended one beside it."""

from __future__ import annotations

import streamlit as st

from pages.parts import elements, results
from pages.parts.controls import WIDE, Controls
from vgdash.probe.params import ProbeParams

AGAIN = ("The function draws the weights of your own model anew: dense layers and convolutions. "
         "The check sends one batch through it, and prints E[z²] of each layer beside what theory expects.")


def draw(controls: Controls, p: ProbeParams) -> None:
    """Draw the drawer for the start ``p``; its control ``framework`` is one of the page's."""
    with elements.drawer("Code to paste", "code", ":material/code:") as opened:
        if not opened:
            return
        controls.select("framework", "framework", width=WIDE)
        codes = results.code(p, controls.value("framework"))
        new, old = st.tabs(["A new net", "A model that you have, and a check"])
        with old:
            st.markdown(AGAIN)
        for tab, part in ((new, "build"), (old, "again")):
            for column, code in zip(tab.columns(len(codes)), codes, strict=True):
                with column:
                    st.markdown(f"**{code.title}**")
                    st.code(getattr(code, part), language="python", wrap_lines=True)
