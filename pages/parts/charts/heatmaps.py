"""Maps of a value over two coordinates, as colour."""

from __future__ import annotations

import altair as alt

from pages.parts.charts.spec import (
    CORNER,
    FONT,
    INK,
    TOOLTIP,
    Spec,
    cached_spec,
    compile_spec,
    decades_axis,
    power_of_ten,
    rows_of,
    x_channel,
)

LEGEND = {"labelFontSize": 13, "titleFontSize": 13, **INK}


@cached_spec
def decision() -> Spec:
    """Draw the share of class 1 that a net predicts on a plane, under the data."""
    base, x = alt.Chart(), x_channel(None, scale={"zero": False})
    y = alt.Y("y:Q", title=None, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    light, dark = (alt.Scale(domain=[0, 0.5, 1], range=colours) for colours in (
        ["#0072B2", "#F2F2F2", "#D55E00"], ["#004B78", "#4D4D4D", "#8F3F00"]))
    field = rows_of(base, "field").mark_rect().encode(
        x=x, y=y, **CORNER, color=alt.Color("value:Q", legend=None, scale=light))
    dots = {"filled": True, "size": 26, "stroke": "white", "strokeWidth": 0.6, "opacity": 1}
    data = rows_of(base, "data").mark_point(**dots).encode(
        x=x, y=y, fill=alt.Fill("label:Q", legend=None, scale=dark), shape=alt.Shape("label:N", legend=None))
    return compile_spec([field, data], 5, 240, resolve={"scale": {"color": "independent"}})


@cached_spec
def heat_map(x_title: str, y_title: str, value_title: str, height: int = 260) -> Spec:
    """Draw rectangles from (x, y) to (x2, y2), coloured by ``value``, which is log10 of the quantity."""
    legend = alt.Legend(title=value_title, labelExpr=power_of_ten(), tickMinStep=1, **LEGEND)
    cells = alt.Chart().mark_rect().encode(
        x=x_channel(x_title), **CORNER, tooltip=TOOLTIP,
        y=alt.Y("y:Q", title=y_title, scale=alt.Scale(nice=False, zero=False),
                axis=alt.Axis(grid=False, tickMinStep=1, **FONT)),
        color=alt.Color("value:Q", scale=alt.Scale(scheme="viridis"), legend=legend))
    return compile_spec([cells], 5, height)


@cached_spec
def measured_map() -> Spec:
    """Draw trained accuracy over sigma_w2 and log10 of the depth, with the line of theory."""
    base, x = alt.Chart(), x_channel("σw²", scale={"zero": False})
    y = alt.Y("y:Q", scale=alt.Scale(nice=False, zero=False),
              axis=decades_axis("depth L", fine=True, grid=False))
    accuracy = alt.Color("value:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1]),
                         legend=alt.Legend(title="accuracy", format="%", **LEGEND))
    cells = rows_of(base, "cell").mark_rect().encode(x=x, y=y, **CORNER, color=accuracy, tooltip=TOOLTIP)
    rim, line = (rows_of(base, "line").mark_line(strokeWidth=width, color=colour, clip=True).encode(x=x, y=y)
                 for width, colour in ((5, "white"), (2.5, "#B03A00")))
    return compile_spec([cells, rim, line], 5, 280)
