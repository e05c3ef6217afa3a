"""Charts, drawers, tables and downloads, the same way on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import streamlit as st
from streamlit.components import v2

from pages.parts import charts, names, shell
from pages.parts.state import PageState, session
from pages.parts.walks import carried
from vgdash.codegen.notebook import notebook
from vgdash.params import Params

PARTS = Path(__file__).resolve().parent
CLICKS = 500  # places that one visitor picks on one chart, at most

# Streamlit's own button gives a PNG only, always of the same name.
_pictures = v2.component("vgdash_pictures", html='<div class="charts"></div>',
                         css=(PARTS / "pictures.css").read_text(), js=(PARTS / "pictures.js").read_text())


_film = v2.component("vgdash_spirals", css=(PARTS / "spirals.css").read_text(),
                     js=(PARTS / "spirals.js").read_text(), html="""<div class="film"><div class="nets"></div>
<div class="row"><label>How large do the weights start? <input type="range" min="0"></label>
<output></output><button type="button">Play again</button></div></div>""")

_file_field = v2.component("vgdash_file", css=(PARTS / "file_field.css").read_text(),
                           js=(PARTS / "file_field.js").read_text(), html="""<label><span>open your .json or
.safetensors</span><input type="file" accept=".json,.safetensors"></label><output role="status"></output>""")


def film(data: dict[str, Any]) -> None:
    """Play the film of ``views.spirals``: the browser draws it, the server does nothing more."""
    _film(data=data, key="film")


def file_field(limits: dict[str, int]) -> Any:
    """Draw a field for one file; return what the browser sends of it, once, and None in any other run.

    Its bytes are in the message alone: ``st.file_uploader`` would keep them as long as the session lives.
    ``limits``: bytes of a ``report`` and of ``weights``, which the browser tells; a client may send anything.
    """
    return _file_field(data=limits, key="file", on_file_change=lambda: None, width=300).file


def chart(table: pa.Table | dict[str, pa.Table], spec: dict[str, Any], key: str, alt: str,
          height: int | None = None, on_select: Callable[[], None] | Literal["ignore"] = "ignore") -> None:
    """Draw a chart. While its specification stays the same, a new table only moves the marks in the browser.

    ``table``: one, or several by the names that the specification gives them. ``alt`` is for screen readers:
    it describes the axes; the verdict above has the numbers. ``on_select`` is called when a mark is picked.
    """
    font = charts.LABEL_SIZE
    if session().present:
        spec, font = charts.enlarge(spec), font * charts.LARGE
    if isinstance(table, dict):
        spec, table = {**spec, "datasets": table}, None
    table = charts.avoid_label_overlap(table, spec["height"], font)
    st.vega_lite_chart(table, spec, key=key, alt=alt, width="stretch", height=height or spec["height"] + 60,
                       on_select=on_select)


def toggled(key: str, here: PageState, fields: tuple[str, ...]) -> tuple[Any, ...] | None:
    """Return the place that the last click on a chart added or took away; None for a forged message.

    A second click on a place takes it away from the selection ``picked``, and opens it all the same.
    """
    try:
        points = st.session_state[key]["selection"]["picked"]  # {} when nothing is picked any more
        picked = [tuple(point[field] for field in fields) for point in list(points)[:CLICKS]]
        before, here.picked[key] = here.picked.get(key, []), picked
        return next(one for one in (*reversed(picked), *before) if (one in picked) != (one in before))
    except (LookupError, TypeError, StopIteration):
        return None


def drawing(svg: str) -> None:
    """Draw a picture made of SVG and HTML, of our own text, escaped: ``st.html`` would take SVG out."""
    st.markdown(f"<div>{svg}</div>", unsafe_allow_html=True)  # inside a block Markdown reads nothing else


@contextmanager
def drawer(label: str, key: str, icon: str) -> Iterator[bool]:
    """Draw a drawer for details, closed at first. Yields True if open: draw the content then."""
    with st.expander(label, key=key, on_change="rerun", icon=icon) as opened:
        yield opened.open


def net_link(page: str, label: str, query: dict[str, str] | str) -> None:
    """Draw a link that opens another page with the same net, or the sentence that says why there is none."""
    if isinstance(query, str):
        st.caption(query)
    else:
        st.page_link(shell.path(page), label=label, icon=":material/arrow_forward:",
                     query_params={**query, **carried()})


def table_and_download(frame: Callable[[], pd.DataFrame], name: str, key: str,
                       p: Params | None = None) -> None:
    """Draw the drawer with the numbers as a table and as CSV, the charts as pictures, and a notebook.

    ``frame`` is called when the drawer is open. The notebook computes the same from ``p``.
    """
    with drawer("Table and download", f"{key}_keep", ":material/table:") as opened:
        if not opened:
            return
        with st.container(horizontal=True):
            st.download_button("CSV", lambda: frame().to_csv(index=False), f"{name}.csv", "text/csv",
                               key=f"{key}_csv", on_click="ignore", icon=":material/download:")
            if p is not None:
                st.download_button("Notebook", lambda: notebook(p), f"{name}.ipynb",
                                   "application/x-ipynb+json", key=f"{key}_notebook", on_click="ignore",
                                   icon=":material/download:")
        _pictures(data={"name": name}, key=f"{key}_pictures")
        table = names.readable(frame())
        short = {column: st.column_config.NumberColumn(format="%.5g")
                 for column in table.columns if table[column].dtype.kind == "f"}
        st.dataframe(table, hide_index=True, height=300, column_config=short,
                     alt="The numbers behind the charts")
