"""The plane of variances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from pages.parts.charts.once import alt, once
from pages.parts.charts.spec import FONT, INK, PHONE, compiled, kept, only, power_of_ten
from pages.parts.charts.tables import Rows, counted

RING = 520  # square pixels
OVERLAP = 0.2  # of a cell, a pixel on a phone: it reaches under the next, or the browser leaves a hairline between them
INVISIBLE = 0.001  # Vega leaves no room for what has the opacity 0
PLANE = ("x", "y", "x2", "y2", "sigma_w2", "sigma_b2", "part", "text", "name")
SCALE = [-0.5, 2.5]  # log10 of the xi_c at the ends of the colours; the same colour means the same depth for every activation


def plane_rows(part: str, x, y, x2=np.nan, y2=np.nan, sigma_w2=np.nan, sigma_b2=np.nan, text: str = "", name: str = "") -> Rows:
    """Rows of ``phase_plane``: drawn at (x, y), or from there to (x2, y2); a click opens (sigma_w2, sigma_b2)."""
    places = np.broadcast_arrays(*(np.atleast_1d(np.asarray(c, float)) for c in (x, y, x2, y2, sigma_w2, sigma_b2)))
    words = (np.full(places[0].shape, word, dtype=object) for word in (part, text, name))
    return dict(zip(PLANE, (*places, *words), strict=True))


def plane_table(parts: Iterable[Rows]) -> pa.Table:
    """One table for ``phase_plane`` from its parts."""
    parts = list(parts)
    places = {column: pa.array(np.concatenate([part[column] for part in parts]), from_pandas=True) for column in PLANE}
    return pa.table({**places, "nth": counted(parts)})


@once
def phase_plane(right: float, top: float, cell: tuple[float, float], height: int = 330) -> dict[str, Any]:
    """xi_c over (sigma_w2, sigma_b2) as colours, the edge of chaos as a line, initializers as points, the opened point as a ring.

    Two tables: ``cells``, which a browser draws once for all points of one activation, and ``marks``. A cell is its middle and
    ``value``, log10 of its xi_c, null if the variance grows without bound; all are ``cell`` wide and high. The plane ends at
    ``right`` and ``top``: an axis whose ends were found in the tables would draw every cell again. ``room`` is where the ring may
    go at most: marks that stand out make Vega draw the plane smaller. ``picked`` holds the places (sigma_w2, sigma_b2) that were
    clicked an odd number of times: so that every click is heard, also a second one on the same place. The colours of marks on the
    plane are the same in light and dark, as those of the plane are.
    """
    base = alt.Chart(alt.NamedData("marks"))
    x = alt.X("x:Q", title="σ_w² = fan_in · Var(w)", scale=alt.Scale(domain=[0, right], nice=False),
              axis=alt.Axis(grid=False, tickCount=8, **FONT))
    y = alt.Y("y:Q", title="σ_b² = Var(b)", scale=alt.Scale(domain=[0, top], nice=False), axis=alt.Axis(grid=False, tickCount=6, **FONT))
    picked = alt.selection_point(name="picked", fields=["sigma_w2", "sigma_b2"], on="click", toggle="true", clear=False)
    said, about = alt.Tooltip("said:N", title=" "), alt.Tooltip("text:N", title=" ")
    where = "'σ_w² ' + format(datum.sigma_w2, '.3~g') + ', σ_b² ' + format(datum.sigma_b2, '.3~g') + ': ' + "
    depth = ("datum.value > 8 ? 'on the edge of chaos' : 'ξ_c ' + format(pow(10, datum.value), '.3~r') + ', trains to about ' + "
             "format(6 * pow(10, datum.value), ',.2r') + ' layers'")
    wide, high = cell
    cells = alt.Chart(alt.NamedData("cells")).transform_calculate(
        x=f"datum.sigma_w2 < {1.2 * wide} ? 0 : datum.sigma_w2 - {wide / 2}", x2=f"min(datum.sigma_w2 + {(0.5 + OVERLAP) * wide}, {right})",
        y=f"max(datum.sigma_b2 - {high / 2}, 0)", y2=f"min(datum.sigma_b2 + {(0.5 + OVERLAP) * high}, {top})",
        said=f"{where}(isValid(datum.value) ? ({depth}) : 'the variance grows without bound')")
    settled, none = cells.transform_filter("isValid(datum.value)"), cells.transform_filter("!isValid(datum.value)")
    extent = {"x": x, "y": y, "x2": "x2:Q", "y2": "y2:Q"}
    colour = alt.Color("value:Q", scale=alt.Scale(domain=SCALE, clamp=True, scheme="viridis"), legend=alt.Legend(
        title="ξ_c, layers", orient="top", direction="horizontal", titleOrient="left", labelExpr=power_of_ten(), values=[0, 1, 2],
        gradientLength={"expr": "min(220, 0.6 * width)"}, gradientThickness=12, offset=4,
        **{"labelFontSize": 13, "titleFontSize": 14}, **INK))

    def named(part: str, **look) -> list[alt.Chart]:
        """Light letters with a dark rim, readable on every colour."""
        chart = only(base, part).encode(x=x, y=y, text=alt.Text("name:N"), key=kept(), **({} if part == "side" else {"tooltip": about}))
        return [chart.mark_text(stroke="black", strokeWidth=3.5, strokeJoin="round", **look), chart.mark_text(fill="white", **look)]

    rim = {"stroke": "black", "strokeWidth": 1.5, "fill": "white", "opacity": 1}
    label = {"dy": -8, "fontSize": 14, "limit": {"expr": "0.72 * width"}}
    ring = only(base, "opened").encode(x=x, y=y, key=kept())
    line = only(base, "line").encode(x=x, y=y, order="y:Q")
    chart = alt.layer(
        settled.mark_rect(strokeWidth=0).encode(**extent, color=colour, tooltip=said).add_params(picked).properties(name="cells"),
        none.mark_rect(fill="#8c8c8c", strokeWidth=0).encode(**extent, tooltip=said),
        line.mark_line(stroke="black", strokeWidth=6), line.mark_line(stroke="white", strokeWidth=3),
        only(base, "stem").mark_rule(stroke="white", strokeWidth=1.5).encode(**extent, key=kept()),
        *named("side", fontSize=17, fontWeight="bold", lineBreak="\n", dx={"expr": f"width < {PHONE} ? -0.09 * width : 0"}),
        *named("label to the right", align="left", dx=-6, **label), *named("label to the left", align="right", dx=6, **label),
        only(base, "room").mark_point(size=RING, strokeWidth=7, filled=False, opacity=INVISIBLE).encode(x=x, y=y),
        ring.mark_point(size=RING, stroke="black", strokeWidth=7, filled=False, opacity=1),
        ring.mark_point(size=RING, stroke="#ff5a36", strokeWidth=4, filled=False, opacity=1),
        only(base, "point").mark_point(shape="circle", size=110, **rim).encode(x=x, y=y, tooltip=about, key=kept()),
        only(base, "beyond").mark_point(shape="triangle-right", size=170, **rim).encode(x=x, y=y, tooltip=about, key=kept()),
    )
    return compiled(chart, 14, height)
