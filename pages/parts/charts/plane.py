"""The plane of variances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from pages.parts.charts.layers import FONT, INK, compiled, only, power_of_ten
from pages.parts.charts.once import alt, once
from pages.parts.charts.tables import Rows

RING = 520  # square pixels
INVISIBLE = 0.001  # Vega leaves no room for what has the opacity 0
PLANE = ("x", "y", "x2", "y2", "sigma_w2", "sigma_b2", "value", "part", "text", "name")
SCALE = [-0.5, 2.5]  # log10 of the xi_c at the ends of the colours; the same colour means the same depth for every activation


def plane_rows(part: str | np.ndarray, x, y, x2=np.nan, y2=np.nan, sigma_w2=np.nan, sigma_b2=np.nan, value=np.nan, text: str = "",
               name: str = "") -> Rows:
    """Rows of ``phase_plane``: drawn at (x, y), or from there to (x2, y2); a click opens (sigma_w2, sigma_b2)."""
    places = np.broadcast_arrays(*(np.atleast_1d(np.asarray(c, float)) for c in (x, y, x2, y2, sigma_w2, sigma_b2, value)))
    words = (np.full(places[0].shape, word, dtype=object) for word in (part, text, name))
    return dict(zip(PLANE, (*places, *words), strict=True))


def plane_table(parts: Iterable[Rows]) -> pa.Table:
    """One table for ``phase_plane`` from its parts."""
    parts = list(parts)
    return pa.table({column: pa.array(np.concatenate([part[column] for part in parts]), from_pandas=True) for column in PLANE})


@once
def phase_plane(right: float, top: float, height: int = 330) -> dict[str, Any]:
    """xi_c over (sigma_w2, sigma_b2) as colours, the edge of chaos as a line, initializers as points, the opened point as a ring.

    Two tables: ``cells`` (parts cell and none), which a browser draws once for all points of one activation, and ``marks`` (all
    other parts). The plane ends at ``right`` and ``top``: an axis whose ends were found in the tables would draw every cell again.
    ``room`` is where the ring may go at most: marks that stand out make Vega draw the plane smaller. ``picked`` holds the places
    (sigma_w2, sigma_b2) that were clicked an odd number of times: so that every click is heard, also a second one on the same
    place. ``value`` is log10 of xi_c. The colours of marks on the plane are the same in light and dark, as those of the plane are.
    """
    base = alt.Chart(alt.NamedData("marks"))
    x = alt.X("x:Q", title="σ_w² = fan_in · Var(w)", scale=alt.Scale(domain=[0, right], nice=False),
              axis=alt.Axis(grid=False, tickCount=8, **FONT))
    y = alt.Y("y:Q", title="σ_b² = Var(b)", scale=alt.Scale(domain=[0, top], nice=False), axis=alt.Axis(grid=False, tickCount=6, **FONT))
    picked = alt.selection_point(name="picked", fields=["sigma_w2", "sigma_b2"], on="click", toggle="true", clear=False)
    said, about = alt.Tooltip("said:N", title=" "), alt.Tooltip("text:N", title=" ")
    cells = alt.Chart(alt.NamedData("cells"))
    cell = only(cells, "cell").transform_calculate(
        said="'σ_w² ' + format(datum.sigma_w2, '.3~g') + ', σ_b² ' + format(datum.sigma_b2, '.3~g') + ': ' + (datum.value > 8 ? "
             "'on the edge of chaos' : 'ξ_c ' + format(pow(10, datum.value), '.3~r') + ', trains to about ' + "
             "format(6 * pow(10, datum.value), ',.2r') + ' layers')")
    none = only(cells, "none").transform_calculate(
        said="'σ_w² ' + format(datum.sigma_w2, '.3~g') + ', σ_b² ' + format(datum.sigma_b2, '.3~g') + ': the variance grows without bound'")
    extent = {"x": x, "y": y, "x2": "x2:Q", "y2": "y2:Q"}
    colour = alt.Color("value:Q", scale=alt.Scale(domain=SCALE, clamp=True, scheme="viridis"), legend=alt.Legend(
        title="ξ_c, layers", orient="top", direction="horizontal", titleOrient="left", labelExpr=power_of_ten(), values=[0, 1, 2],
        gradientLength={"expr": "min(220, 0.6 * width)"}, gradientThickness=12, offset=4,
        **{"labelFontSize": 13, "titleFontSize": 14}, **INK))

    def named(part: str, **look) -> list[alt.Chart]:
        """Light letters with a dark rim, readable on every colour."""
        chart = only(base, part).encode(x=x, y=y, text=alt.Text("name:N"), **({} if part == "side" else {"tooltip": about}))
        return [chart.mark_text(stroke="black", strokeWidth=3.5, strokeJoin="round", **look), chart.mark_text(fill="white", **look)]

    rim = {"stroke": "black", "strokeWidth": 1.5, "fill": "white", "opacity": 1}
    label = {"dy": -8, "fontSize": 14, "limit": {"expr": "0.72 * width"}}
    ring = only(base, "opened").encode(x=x, y=y)
    line = only(base, "line").encode(x=x, y=y, order="y:Q")
    chart = alt.layer(
        cell.mark_rect(strokeWidth=0).encode(**extent, color=colour, tooltip=said).add_params(picked).properties(name="cells"),
        none.mark_rect(fill="#8c8c8c", strokeWidth=0).encode(**extent, tooltip=said),
        line.mark_line(stroke="black", strokeWidth=6), line.mark_line(stroke="white", strokeWidth=3),
        only(base, "stem").mark_rule(stroke="white", strokeWidth=1.5).encode(**extent),
        *named("side", fontSize=17, fontWeight="bold", lineBreak="\n"),
        *named("label to the right", align="left", dx=-6, **label), *named("label to the left", align="right", dx=6, **label),
        only(base, "room").mark_point(size=RING, strokeWidth=7, filled=False, opacity=INVISIBLE).encode(x=x, y=y),
        ring.mark_point(size=RING, stroke="black", strokeWidth=7, filled=False, opacity=1),
        ring.mark_point(size=RING, stroke="#ff5a36", strokeWidth=4, filled=False, opacity=1),
        only(base, "point").mark_point(shape="circle", size=110, **rim).encode(x=x, y=y, tooltip=about),
        only(base, "beyond").mark_point(shape="triangle-right", size=170, **rim).encode(x=x, y=y, tooltip=about),
    )
    return compiled(chart, 14, height)
