"""Drawing charts, tables and downloads in Streamlit, the same way on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import streamlit as st

from pages.parts import charts, presenter, results
from pages.parts.pictures import pictures
from vgdash.codegen.notebook import notebook
from vgdash.params import Params


def chart(table: pa.Table | dict[str, pa.Table], spec: dict[str, Any], key: str, alt: str, height: int | None = None,
          on_select: Callable[[], None] | Literal["ignore"] = "ignore") -> None:
    """A chart whose specification stays the same while the table changes, so that the browser only moves the marks.

    Several tables go by the names that the specification gives them; the browser passes over one that is as before.
    ``alt`` is read out by screen readers; it describes what the axes are, the verdict above says what the numbers are.
    ``on_select`` is called when a mark is picked, where the specification lets marks be picked.
    """
    font = charts.LABEL_SIZE
    if presenter.presenting():
        spec, font = charts.enlarge(spec), font * charts.ENLARGEMENT["fontSize"]
    if isinstance(table, dict):
        spec, table = {**spec, "datasets": table}, None
    table = charts.avoid_label_overlap(table, spec["height"], font)
    st.vega_lite_chart(table, spec, key=key, alt=alt, width="stretch", height=height or spec["height"] + 60,
                       on_select=on_select)


@contextmanager
def drawer(label: str, key: str, icon: str) -> Iterator[bool]:
    """What only some want to see: whether it is open, and only then is it drawn."""
    with st.expander(label, key=key, on_change="rerun", icon=icon) as opened:
        yield opened.open


def table_and_download(frame: Callable[[], pd.DataFrame], name: str, key: str, p: Params | None = None) -> None:
    """The numbers behind the charts, in a drawer, as a table and a CSV, and the charts as pictures; made when they are asked for.

    With ``p`` also the page as a notebook, which computes the same from these parameters.
    """
    frame = results.taking_turns(frame)
    with drawer("Table and download", f"{key}_keep", ":material/table:") as opened:
        if not opened:
            return
        with st.container(horizontal=True):
            st.download_button("CSV", lambda: frame().to_csv(index=False), f"{name}.csv", "text/csv", key=f"{key}_csv",
                               on_click="ignore", icon=":material/download:")
            if p is not None:
                st.download_button("Notebook", lambda: notebook(p), f"{name}.ipynb", "application/x-ipynb+json",
                                   key=f"{key}_notebook", on_click="ignore", icon=":material/download:")
        pictures(name, f"{key}_pictures")
        table = frame()
        short = {column: st.column_config.NumberColumn(format="%.5g") for column in table.columns if table[column].dtype.kind == "f"}
        st.dataframe(table, hide_index=True, height=300, column_config=short, alt=f"The numbers behind the chart: {name}")
