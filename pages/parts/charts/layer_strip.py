"""The layers of a model as a strip of cells, coloured by the fate of the signal and of the gradient."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import altair as alt
import pyarrow as pa

from pages.parts.charts.spec import (
    BOLD,
    CORNER,
    FONT,
    INK,
    NEUTRAL,
    PHONE,
    ROW_KEY,
    TEXT,
    TOOLTIP,
    Spec,
    cached_spec,
    compile_spec,
    rows_of,
    x_channel,
)
from pages.parts.series_style import SERIES_STYLES
from vgdash.models.fates import FATES

ROOM = 11  # pixels: a narrower cell has no room for its symbol
STRIP = {"part": pa.string(), "row_id": pa.int32(), **dict.fromkeys(("x", "x2", "y", "y2"), pa.float64()),
         "layer": pa.int32(), "fate": pa.string(), "text": pa.string(), "count": pa.int32()}


def strip_table(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Make the table of ``layer_strip`` of rows with its columns, ``row_id`` apart."""
    rows, counters = list(rows), dict[str, int]()
    for row in rows:
        row["row_id"] = counters[row["part"]] = counters.get(row["part"], -1) + 1
    return pa.table({column: pa.array([row.get(column) for row in rows], kind)
                     for column, kind in STRIP.items()})


@cached_spec
def layer_strip(height: int = 120) -> Spec:
    """Draw the layers in order of use: above the signal's way forward, below the gradient's way back.

    Parts: ``cell``, from (x, y) to (x2, y2), of ``count`` in a row, with the ``fate`` that is its colour and
    its symbol; ``fault``, a mark over a layer that a finding names; ``opened``, the frame around a layer. The
    selection ``picked`` holds the layers that were clicked an odd number of times.
    """
    base = alt.Chart()
    x = x_channel("layer, in order of use", scale={"zero": False}, format=",d", tickMinStep=1, tickCount=10)
    way = "datum.value > 1 ? 'signal →' : '← gradient'"
    y = alt.Y("y:Q", title=None, scale=alt.Scale(domain=[0, 2.4], nice=False), axis=alt.Axis(
        values=[0.5, 1.5], labelExpr=way, grid=False, ticks=False, domain=False, labelLimit=0, **FONT))
    domain = list(FATES)
    legend = alt.Legend(title=None, orient="top", direction="horizontal", labelFontSize=13, symbolSize=110,
                        columns={"expr": f"width < {PHONE} ? 3 : 7"}, symbolStrokeWidth=0, offset=4, **INK)
    fill = alt.Fill("fate:N", scale=alt.Scale(domain=domain), legend=legend)
    shape = alt.Shape("fate:N", legend=legend, scale=alt.Scale(
        domain=domain, range=[SERIES_STYLES[fate].marker for fate in domain]))
    cell, opened, fault = (rows_of(base, part) for part in ("cell", "opened", "fault"))
    middle = cell.transform_filter(f"width > {ROOM} * datum.count").transform_calculate(
        x="(datum.x + datum.x2) / 2", y="(datum.y + datum.y2) / 2")
    picked = {"name": "picked", "views": ["cells"], "select": {
        "type": "point", "fields": ["layer"], "on": "click", "toggle": "true", "clear": False}}
    behind = alt.ExprRef("background")
    return compile_spec([
        cell.mark_rect(stroke=behind, strokeWidth=0.5, cursor="pointer").encode(
            x=x, y=y, **CORNER, fill=fill, tooltip=TOOLTIP, key=ROW_KEY).properties(name="cells"),
        middle.mark_point(filled=True, size=55, opacity=1, fill=behind, cursor="pointer").encode(
            x=x, y=y, shape=shape, tooltip=TOOLTIP, key=ROW_KEY),
        fault.mark_text(cursor="pointer", **BOLD).encode(x=x, y=y, text=TEXT, color=NEUTRAL, key=ROW_KEY),
        opened.mark_rect(filled=False, strokeWidth=3).encode(x=x, y=y, **CORNER, color=NEUTRAL, key=ROW_KEY),
    ], 5, height, params=[picked])
