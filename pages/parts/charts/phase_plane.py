"""The plane of variances (sigma_w2, sigma_b2)."""

from __future__ import annotations

from collections.abc import Iterable

import altair as alt
import numpy as np
import pyarrow as pa

from pages.parts.charts.spec import (
    CORNER,
    FONT,
    INK,
    PHONE,
    ROW_KEY,
    TOOLTIP,
    Spec,
    cached_spec,
    compile_spec,
    power_of_ten,
    rows_of,
    x_channel,
)
from pages.parts.charts.tables import Rows, number_rows

RING = 620  # square pixels
BADGE = "min(330, 0.006 * height * height)"  # square pixels: badges that stand on each other do not overlap
OVERLAP = 0.2  # of a cell, a pixel on a phone, lies under the next: else there are hairlines between cells
INVISIBLE = 0.001  # Vega reserves no space for marks of opacity 0
PLANE = ("x", "y", "x2", "y2", "sigma_w2", "sigma_b2", "part", "text", "name")
SCALE = [-0.5, 2.5]  # log10 of xi_c at the ends of the colours, the same for every activation


def plane_rows(part: str, x, y, x2=np.nan, y2=np.nan, sigma_w2=np.nan, sigma_b2=np.nan, text: str = "",
               name: str = "") -> Rows:
    """Make rows of ``phase_plane``, at (x, y) or up to (x2, y2); a click opens (sigma_w2, sigma_b2)."""
    numbers = (x, y, x2, y2, sigma_w2, sigma_b2)
    places = np.broadcast_arrays(*(np.atleast_1d(np.asarray(values, float)) for values in numbers))
    words = (np.full(places[0].shape, word, dtype=object) for word in (part, text, name))
    return dict(zip(PLANE, (*places, *words), strict=True))


def plane_table(parts: Iterable[Rows]) -> pa.Table:
    """Join rows to the table ``marks`` of ``phase_plane``."""
    parts = list(parts)
    columns = {column: np.concatenate([part[column] for part in parts]) for column in PLANE}
    return pa.table({column: pa.array(values, from_pandas=True) for column, values in columns.items()}
                    | {"row_id": number_rows(parts)})


@cached_spec
def phase_plane(right: float, top: float, cell: tuple[float, float], height: int = 330) -> Spec:
    """Draw xi_c over (sigma_w2, sigma_b2) as colours, the edge of chaos as a line, initializers as points.

    Two tables: ``marks``, and ``cells``, which a browser draws once for all points of one activation. A cell
    is its middle and ``value``, log10 of its xi_c, null if the variance grows without bound; all are ``cell``
    wide and high. ``right`` and ``top`` end the plane: an axis that depended on the tables would make the
    browser draw every cell again. The part ``extent`` is where the ring may be at most: marks that stand out
    make Vega draw the plane smaller. The selection ``picked`` holds the places (sigma_w2, sigma_b2) that were
    clicked an odd number of times, so a second click on a place changes it too. Marks have the same colours
    in light and dark, as the plane has.
    """
    base = alt.Chart(alt.NamedData("marks"))
    room = alt.ExprRef("19 * zoom")  # for the ring between the plane and the labels
    x = x_channel("σw² = n · Var(w)", scale={"domain": [0, right]}, tickCount=8, labelPadding=room)
    y = alt.Y("y:Q", title="σb² = Var(b)", scale=alt.Scale(domain=[0, top], nice=False),
              axis=alt.Axis(grid=False, tickCount=6, labelPadding=room, **FONT))
    ends, said = {"x": x, "y": y, **CORNER}, alt.Tooltip("said:N", title=" ")
    xi, trains = "format(pow(10, datum.value), '.3~r')", "format(6 * pow(10, datum.value), ',.2r')"
    depth = f"'ξc = ' + {xi} + ' layers, 6 ξc = ' + {trains}"
    depth = f"datum.value > 8 ? 'on the edge of chaos' : {depth}"
    where = "'σw² ' + format(datum.sigma_w2, '.3~g') + ', σb² ' + format(datum.sigma_b2, '.3~g') + ': '"
    wide, high = cell
    cells = alt.Chart(alt.NamedData("cells")).transform_calculate(
        x=f"datum.sigma_w2 < {1.2 * wide} ? 0 : datum.sigma_w2 - {wide / 2}",
        x2=f"min(datum.sigma_w2 + {(0.5 + OVERLAP) * wide}, {right})",
        y=f"max(datum.sigma_b2 - {high / 2}, 0)", y2=f"min(datum.sigma_b2 + {(0.5 + OVERLAP) * high}, {top})",
        said=f"{where} + (isValid(datum.value) ? ({depth}) : 'the variance grows without bound')")
    settled, none = (cells.transform_filter(f"{sign}isValid(datum.value)") for sign in ("", "!"))
    legend = alt.Legend(
        title="ξc, layers", titleOrient="left", orient="top", direction="horizontal", offset=4,
        labelExpr=power_of_ten(), values=[0, 1, 2], labelFontSize=13, titleFontSize=14, **INK,
        gradientLength={"expr": "min(220, 0.6 * width)"}, gradientThickness=12)
    colour = alt.Color("value:Q", scale=alt.Scale(domain=SCALE, clamp=True, scheme="viridis"), legend=legend)
    side = rows_of(base, "side").encode(x=x, y=y, text=alt.Text("name:N"), key=ROW_KEY)
    letters = {"fontSize": {"expr": f"width < {PHONE} ? 13 : 17"}, "fontWeight": "bold", "lineBreak": "\n",
               "dx": {"expr": f"width < {PHONE} ? -0.09 * width : 0"}}
    rim = {"stroke": "black", "strokeWidth": 1.5, "fill": "white", "opacity": 1}
    badge = rows_of(base, "badge").encode(x=x, y=y, tooltip=TOOLTIP, key=ROW_KEY)
    ring = {"size": RING, "filled": False}
    opened = rows_of(base, "opened").encode(x=x, y=y, key=ROW_KEY)
    line = rows_of(base, "line").encode(x=x, y=y, order=alt.Order("y:Q"))
    picked = {"name": "picked", "views": ["cells"], "select": {
        "type": "point", "fields": ["sigma_w2", "sigma_b2"], "on": "click", "toggle": "true", "clear": False}}
    return compile_spec([
        settled.mark_rect(strokeWidth=0).encode(**ends, color=colour, tooltip=said).properties(name="cells"),
        none.mark_rect(fill="#8c8c8c", strokeWidth=0).encode(**ends, tooltip=said),
        line.mark_line(stroke="black", strokeWidth=6), line.mark_line(stroke="white", strokeWidth=3),
        rows_of(base, "stem").mark_rule(stroke="white", strokeWidth=1.5).encode(**ends, key=ROW_KEY),
        side.mark_text(stroke="black", strokeWidth=3.5, strokeJoin="round", **letters),  # a dark rim,
        side.mark_text(fill="white", **letters),  # and light letters: readable on every colour
        rows_of(base, "extent").mark_point(strokeWidth=7, opacity=INVISIBLE, **ring).encode(x=x, y=y),
        opened.mark_point(stroke="black", strokeWidth=7, opacity=1, **ring),
        opened.mark_point(stroke="#ff5a36", strokeWidth=4, opacity=1, **ring),
        *(rows_of(base, part).mark_point(shape=shape, size=size, **rim).encode(
            x=x, y=y, tooltip=TOOLTIP, key=ROW_KEY)
          for part, shape, size in (("point", "circle", 50), ("beyond", "triangle-right", 170))),
        badge.mark_point(shape="circle", **{**rim, "size": alt.ExprRef(BADGE)}),
        badge.mark_text(fill="black", fontSize=13, fontWeight="bold", dy=1).encode(text=alt.Text("name:N")),
    ], 14, height, params=[picked])
