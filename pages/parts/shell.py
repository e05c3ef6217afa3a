"""The shell around every page: title, navigation, style, keys, and the way in for a deep link.

On a fresh server Streamlit runs the bare page file of a deep link, without ``app.py`` (streamlit#9624). So
every page ends with ``shell.show(page)``: inside the shell it draws the page, outside it builds the shell,
which runs the page again.
"""

from __future__ import annotations

import ast
from base64 import b64encode
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

import streamlit as st

from pages.parts import prefetch
from pages.parts.concurrency import script_slot

PARTS = Path(__file__).resolve().parent
FIRST = ("home", "linear_chain", "neuron_variance", "initializers", "training", "trainable_depth",
         "your_network", "published")  # pages in the order of the navigation; others follow
STYLE = f"<style>{(PARTS / 'style.css').read_text()}</style>"
LARGE = f"<style media='(min-width: 641px)'>{(PARTS / 'projector.css').read_text()}</style>"  # not on a phone
KEYBOARD = f"<script>{(PARTS / 'keyboard.js').read_text()}</script>"
# Sent inside the message: Streamlit drops a stored file if a run is stopped before the browser loads it.
ICON = "data:image/png;base64," + b64encode((PARTS / "icon.png").read_bytes()).decode()


def _find_pages() -> tuple[tuple[str, str], ...]:
    """Return the name and title of each page, in the order of the navigation.

    A page's name is its file and its address, its title the first words of its docstring.
    """
    names = {file.stem: file.read_text(encoding="utf-8") for file in sorted(PARTS.parent.glob("*.py"))}
    order = [*FIRST, *(name for name in names if name not in FIRST)]
    return tuple((name, ast.get_docstring(ast.parse(names[name])).partition(".")[0]) for name in order)


PAGES = _find_pages()
_inside: ContextVar[bool] = ContextVar("inside the shell", default=False)


def path(page: str) -> Path:
    """Return the file of a page."""
    return PARTS.parent / f"{page}.py"


def main() -> None:
    """Draw the navigation and run the page that the address names. Home is the default and lives at ``/``."""
    prefetch.mark_busy()
    st.set_page_config(page_title="vgdash", page_icon=ICON, layout="wide")
    pages = [st.Page(path(stem), title=name, url_path=stem, default=stem == "home") for stem, name in PAGES]
    page = st.navigation(pages, position="top")
    st.html(STYLE)
    st.html(KEYBOARD, unsafe_allow_javascript=True)
    token = _inside.set(True)
    try:
        with script_slot():
            page.run()
    finally:
        _inside.reset(token)


def show(page: Callable[[], None]) -> None:
    """Draw ``page`` inside the shell."""
    if _inside.get():
        page()
    else:
        main()
