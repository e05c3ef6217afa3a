"""The frame around every page: title, navigation, and the way back in for a deep link.

On a fresh server Streamlit runs the bare page file of a deep link, without ``app.py``. So every page ends with
``frame.show(page)``: inside the frame it draws the page, outside it it builds the frame, which then runs the page again.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

import streamlit as st

from pages.parts import guard, packets, prefetch, session, startup, thrift, turns

# file stem (which is the address too), name in the navigation
PAGES = (
    ("home", "Home"),
    ("linear_chain", "Linear chain"),
    ("neuron_variance", "Single neuron"),
    ("initializers", "Initializers"),
    ("training", "Training"),
    ("trainable_depth", "Trainable depth"),
    ("published", "Published"),
)
# The fold of a projector is 720 px down: headings without the room that Streamlit leaves around them. On a phone the presets are one row
# to swipe, as is a table that is wider than its box, and controls stand close, so that the chart is not far. A slider inside a chart is
# as long as a hand wants it, and says no number where it only counts through k frames. Captions, and words on the primary colour, have a
# contrast of 4.5 in light and dark. The bar of a run is as high without a button as with one, so that nothing jumps. Twelve presets are
# one row. Who comes by Tab sees where: on the page itself, which the arrows then scroll, and on a chart's buttons, which Streamlit shows
# to a mouse only.
STYLE = """<style>
h1 {padding: 0 !important;}
h2 {padding: 0 0 0.4rem 0 !important;}
[data-testid=stCaptionContainer], [data-testid=stCaptionContainer] * {color: light-dark(#595959, #b9b9b9) !important; opacity: 1;}
[data-testid=stBaseButton-primary]:not(:disabled) *,
[data-testid=stMultiSelect] [data-baseweb=tag] *, [data-testid=stMultiSelect] span[title] {color: light-dark(#ffffff, #000000) !important;}
[data-testid=stElementContainer]:has(> [data-testid=stHtml] > script) {display: none;}
[data-testid=stElementToolbar]:focus-within {opacity: 1 !important;}
[data-testid=stMain]:focus-visible {outline: 2px solid light-dark(#0072B2, #56B4E9); outline-offset: -2px;}
.vega-bind label {width: 100%;}
.vega-bind input {width: min(55vw, 42rem, 100%) !important;}
.vega-bind input[name=k] + span {display: none;}
.st-key-run-bar {min-height: 2.5rem;}
.st-key-scene button {padding: 0 0.55rem !important;}
.st-key-scene button p {font-size: 0.82rem;}
@media (max-width: 1100px) {[data-testid=stMarkdownContainer] table {display: block; overflow-x: auto; max-width: 100%;}}
@media (max-width: 640px) {.st-key-scene [role=radiogroup] {flex-wrap: nowrap !important; overflow-x: auto;}
                           .st-key-scene [role=radiogroup] > * {flex: 0 0 auto !important;}
                           :is(.st-key-top, .st-key-controls, .st-key-looks) {gap: 0.5rem !important;}
                           .st-key-looks > :is(.st-key-of, .st-key-statistic) {flex: 0 0 calc(50% - 0.25rem) !important; min-width: 0;}
                           .st-key-top > :has(h1) {flex: 1 0 100% !important;}}
</style>"""
FOLDER = Path(__file__).resolve().parent.parent
# In the message itself: a file of Streamlit's store is gone as soon as a run is broken off before it asks for it again.
ICON = "data:image/png;base64," + b64encode((FOLDER / "parts" / "icon.png").read_bytes()).decode()

_inside: ContextVar[bool] = ContextVar("inside the frame", default=False)
for part in (guard, packets, session, thrift, turns):
    part.install()


def main() -> None:
    """Draw the navigation and run the page that the address names; Home is the default and lives at ``/``."""
    prefetch.put_off()
    st.set_page_config(page_title="vgdash", page_icon=ICON, layout="wide")
    pages = [st.Page(FOLDER / f"{stem}.py", title=name, url_path=stem, default=stem == "home") for stem, name in PAGES]
    page = st.navigation(pages, position="top")
    st.html(STYLE)
    token = _inside.set(True)
    try:
        page.run()
    finally:
        _inside.reset(token)
    if session.serving():
        startup.begin()


def show(page: Callable[[], None]) -> None:
    """Draw ``page`` inside the frame."""
    if _inside.get():
        page()
    else:
        main()
