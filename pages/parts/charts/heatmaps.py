"""A value over two coordinates, as colour."""

from __future__ import annotations

from typing import Any

from pages.parts.charts.once import alt, once
from pages.parts.charts.spec import FONT, INK, compiled, decades_axis, only, power_of_ten


@once
def decision() -> dict[str, Any]:
    """What a net decides on a plane, as a field of shares of class 1, under the data."""
    base = alt.Chart()
    x = alt.X("x:Q", title=None, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    y = alt.Y("y:Q", title=None, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    field = only(base, "field").mark_rect().encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=alt.Color("value:Q", legend=None, scale=alt.Scale(
            domain=[0, 0.5, 1], range=["#0072B2", "#F2F2F2", "#D55E00"])))
    data = only(base, "data").mark_point(filled=True, size=26, stroke="white", strokeWidth=0.6, opacity=1).encode(
        x=x, y=y, fill=alt.Fill("label:Q", legend=None, scale=alt.Scale(domain=[0, 0.5, 1], range=["#004B78", "#4D4D4D", "#8F3F00"])),
        shape=alt.Shape("label:N", legend=None))
    return compiled(alt.layer(field, data).resolve_scale(color="independent"), 5, 240)


@once
def heat_map(x_title: str, y_title: str, value_title: str, height: int = 260) -> dict[str, Any]:
    """Rectangles from (x, y) to (x2, y2), coloured by ``value``, which is log10 of the quantity."""
    chart = alt.layer(alt.Chart().mark_rect().encode(
        x=alt.X("x:Q", title=x_title, scale=alt.Scale(nice=False), axis=alt.Axis(grid=False, **FONT)), x2="x2:Q",
        y=alt.Y("y:Q", title=y_title, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, tickMinStep=1, **FONT)), y2="y2:Q",
        color=alt.Color("value:Q", scale=alt.Scale(scheme="viridis"),
                        legend=alt.Legend(title=value_title, labelExpr=power_of_ten(), tickMinStep=1, labelFontSize=13, titleFontSize=13,
                                          **INK)),
        tooltip=alt.Tooltip("text:N", title=" ")))
    return compiled(chart, 5, height)


@once
def measured_map() -> dict[str, Any]:
    """Trained accuracy over sigma_w2 and depth, with the line that theory draws. Depths are logarithmic on y."""
    base = alt.Chart()
    x = alt.X("x:Q", title="σ_w²", scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    y = alt.Y("y:Q", axis=decades_axis("depth L", fine=True, grid=False), scale=alt.Scale(nice=False, zero=False))
    chart = alt.layer(
        only(base, "cell").mark_rect().encode(
            x=x, x2="x2:Q", y=y, y2="y2:Q", tooltip=alt.Tooltip("text:N", title=" "),
            color=alt.Color("value:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1]),
                            legend=alt.Legend(title="accuracy", format="%", labelFontSize=13, titleFontSize=13, **INK))),
        only(base, "line").mark_line(strokeWidth=5, color="white", clip=True).encode(x=x, y=y),
        only(base, "line").mark_line(strokeWidth=2.5, color="#B03A00", clip=True).encode(x=x, y=y),
    )
    return compiled(chart, 5, 280)
