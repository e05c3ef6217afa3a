"""Lines over layers, steps or widths, and the chain that the browser computes itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from pages.parts.charts.once import alt, once
from pages.parts.charts.spec import (
    FONT,
    HEADROOM,
    HEIGHT,
    PHONE,
    TOP,
    UPRIGHT,
    as_given,
    colour,
    compiled,
    dash,
    decades_axis,
    kept,
    linear_axis,
    neutral,
    only,
    power_of_ten,
    shape,
)
from pages.parts.series_style import SERIES_STYLES, SLOTS

PANELS = {"correlation": (0.03, 0.6), "moment": (0.7, 1)}  # of the depth profiles, in shares of the height
PANELS_HEIGHT = 360
PANELS_WIDTH = {"expr": "width - 80"}  # the rest is for the names of level rules, whatever their numbers: nothing moves when they change


@once
def curves(x_title: str, y_title: str, decades: bool = True, log_x: bool = False, height: int = HEIGHT, right: int = 10,
           mirrored: bool = False, fine: bool = False, parts: str = "limit room band line interval point label") -> dict[str, Any]:
    """Lines over layers (or steps, or widths): theory as lines, measurement as points with intervals, limits as rules, their names at x.

    ``mirrored``: the axis on the right and the names on the left, for what runs from the last layer to the first. ``parts`` that a
    table never has are better left out: a browser spends as long on an empty layer as on a full one, and warns.
    """
    base = alt.Chart()
    x = alt.X("x:Q", title=x_title, scale=alt.Scale(type="log" if log_x else "linear", nice=False),
              axis=alt.Axis(grid=False, tickCount=8, **FONT, **({"format": "~s"} if log_x else {"format": ",d", "tickMinStep": 1})))
    side = {"orient": "right" if mirrored else "left"}
    y_axis = decades_axis(y_title, fine, close=True, **side) if decades else linear_axis(y_title, **side)
    y, low = (alt.Y(f"{end}:Q", axis=y_axis, scale=alt.Scale(zero=False, nice=True)) for end in ("y", "low"))
    tooltip = alt.Tooltip("text:N", title=" ")
    limit, words, rim = only(base, "limit"), {"dy": -7, "fontSize": 13}, alt.ExprRef("background")
    layers = {
        "limit": [limit.mark_rule(strokeDash=[2, 4], opacity=0.6).encode(y=y, color=neutral(), key=kept())],
        "words": [limit.mark_text(stroke=rim, strokeWidth=4, strokeJoin="round", fill=rim, **words).encode(
                      y=y, x=x, text="text:N", key=kept()),
                  limit.mark_text(**words).encode(y=y, x=x, text="text:N", color=neutral(), key=kept())],
        "room": [only(base, "room").mark_point(opacity=0).encode(x=x, y=y)],
        "band": [only(base, "line").mark_area(opacity=0.18).encode(x=x, y=low, y2="high:Q", color=colour(), detail="series:N",
                                                                   order=as_given())],
        "line": [only(base, "line").mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour(), strokeDash=dash(),
                                                                      order=as_given())],
        "interval": [only(base, "point").mark_rule(strokeWidth=1.5).encode(x=x, y=low, y2="high:Q", color=colour(), key=kept())],
        "point": [only(base, "point").mark_point(filled=True, size=55, opacity=1).encode(
            x=x, y=y, color=colour(), shape=shape(), tooltip=tooltip, key=kept())],
        "label": [only(base, "label").mark_text(align="right" if mirrored else "left", dx=-8 if mirrored else 8, fontSize=14,
                                                 fontWeight="bold").encode(x=x, y=y, color=colour(), text="text:N", key=kept())],
    }
    order = parts.split()
    if "limit" in order:  # its words stand over the lines, and under their names
        order.insert(order.index("label") if "label" in order else len(order), "words")
    return compiled(alt.layer(*(layer for part in order for layer in layers[part])), right, height, mirrored, finite=True)


@once
def depth_profiles(decades: bool = False) -> dict[str, Any]:
    """Two panels over the same layers, of the tables ``correlation`` and ``moment``: lines with measured points, depth scales as
    upright rules, where things settle as level ones. With ``decades`` the moment is log10 of it."""
    x = alt.X("x:Q", title="layer", scale=alt.Scale(nice=False, range=[0, PANELS_WIDTH]), axis=alt.Axis(grid=False, tickCount=8, **FONT))
    moment = "q = E[z²]"
    axes = {"correlation": linear_axis("correlation c", tickCount=5, orient="left"),
            "moment": decades_axis(moment, orient="left") if decades else linear_axis(moment, tickCount=5, orient="left")}
    return compiled(alt.layer(*(_panel(name, x, axis, *PANELS[name]) for name, axis in axes.items())).resolve_scale(y="independent"),
                    10, PANELS_HEIGHT, finite=True)


def _panel(table: str, x: alt.X, axis: alt.Axis, top: float, bottom: float) -> alt.LayerChart:
    """One table's lines and marks, drawn between these shares of the chart's height."""
    base, (top, bottom) = alt.Chart(alt.NamedData(table)), ({"expr": f"{share} * height"} for share in (top, bottom))
    scale = alt.Scale(zero=False, nice=True, range=[bottom, top])
    y, low = (alt.Y(f"{end}:Q", axis=axis, scale=scale) for end in ("y", "low"))
    rule, words = {"strokeDash": [2, 4], "opacity": 0.6}, {"fontSize": 13, "opacity": 0.8}
    return alt.layer(
        only(base, "limit").mark_rule(**rule).encode(y=y, x=alt.value(0), x2=alt.value(PANELS_WIDTH), color=neutral(), key=kept()),
        only(base, "limit").mark_text(align="left", dx=6, baseline="middle", **words).encode(
            y=y, x=alt.value(PANELS_WIDTH), text="text:N", color=neutral(), key=kept()),
        only(base, "scale").mark_rule(**rule).encode(x=x, y=alt.value(top), y2=alt.value(bottom), color=neutral(), key=kept()),
        only(base, "scale").mark_text(align="left", dx=4, baseline="middle", **words).encode(
            x=x, y=y, text="text:N", color=neutral(), key=kept()),
        only(base, "room").mark_point(opacity=0).encode(x=x, y=y),
        only(base, "line").mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour(), strokeDash=dash(), order=as_given()),
        only(base, "point").mark_rule(strokeWidth=1.5).encode(x=x, y=low, y2="high:Q", color=colour(), key=kept()),
        only(base, "point").mark_point(filled=True, size=45, opacity=1).encode(
            x=x, y=y, color=colour(), shape=shape(), tooltip=alt.Tooltip("text:N", title=" "), key=kept()),
        only(base, "label").mark_text(align="left", dx=6, dy=-8, fontSize=13, fontWeight="bold").encode(
            x=x, y=y, color=colour(), text="text:N", key=kept()),
    )


@once
def scrubbed_lines(y_title: str, decades: bool, last: int) -> dict[str, Any]:
    """Lines over layers at one of several moments, chosen by a slider inside the chart; with ``last`` 0 there is only one.

    Columns: part (line, label), k (which moment, from 0 to ``last``), x, y, series, slot, text.
    """
    base = alt.Chart().transform_filter("datum.k == k") if last else alt.Chart()
    lines = only(base, "line")
    x = alt.X("x:Q", title="layer", scale=alt.Scale(nice=False), axis=alt.Axis(grid=False, tickMinStep=1, **FONT))
    right = {"orient": "right"}  # the names stand at the first layer, where the lines are apart
    axis = decades_axis(y_title, **right) if decades else alt.Axis(title=y_title, format="%", **UPRIGHT, **right)
    y, head = (alt.Y(f"{end}:Q", axis=axis, scale=alt.Scale(zero=False, nice=False)) for end in ("y", "head"))
    chart = alt.layer(
        lines.mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour(), strokeDash=dash(), order=as_given()),
        lines.mark_point(filled=True, size=40, opacity=1).encode(x=x, y=y, color=colour(), shape=shape()),
        only(base, "label").mark_text(align="right", dx=-8, fontSize=14, fontWeight="bold").encode(
            x=x, y=y, color=colour(), text="series:N"),
        base.transform_aggregate(low="min(y)", high="max(y)").transform_calculate(
            head=f"datum.high + {HEADROOM - 1:.2f} * (datum.high - datum.low)").mark_point(opacity=0).encode(y=head),
        base.transform_aggregate(said="min(text)").mark_text(align="left", fontSize=16, fontWeight="bold").encode(
            x=alt.value(12), y=alt.value(TOP + 12), text="said:N", color=neutral()),
    )
    if last:
        chart = chart.add_params(alt.param(name="k", value=last, bind=alt.binding_range(
            min=0, max=last, step=1, name="drag through the run ")))
    return compiled(chart, 10, HEIGHT - 40)


@once
def draggable_chain(depth: int, limits: tuple[tuple[str, float], ...], right: int = 40) -> dict[str, Any]:
    """The linear chain computed by the browser: c^l over the layers, moving while its slider is dragged.

    ``limits`` are (what happens, log10 of the size at which it does).
    """
    factor = alt.param(name="c", value=0.9, bind=alt.binding_range(min=0.5, max=1.5, step=0.01, name="drag the factor c "))
    layers = alt.Chart(alt.sequence(0, depth + 1, as_="layer")).transform_calculate(
        forward="datum.layer * log(c) / LN10", backward=f"({depth} - datum.layer) * log(c) / LN10")
    last = layers.transform_filter(f"datum.layer == {depth}").transform_calculate(
        said="'c = ' + format(c, '.2f') + ': ×' + (abs(datum.forward) < 3 ? format(pow(10, datum.forward), '.3') : "
             "format(pow(10, datum.forward - floor(datum.forward)), '.1f') + '·' + (" + power_of_ten('floor(datum.forward)') + ")) + "
             f"(width < {PHONE} ? '' : ' after {depth} layers')")
    x = alt.X("layer:Q", title="layer", scale=alt.Scale(domain=[0, depth], nice=False), axis=alt.Axis(grid=False, **FONT))
    size = alt.Scale(domain=[depth * np.log10(0.5) - 6, depth * np.log10(1.5) + 4], nice=False)
    colours = alt.Scale(domain=list(range(SLOTS)))

    def line(field: str, series: str) -> alt.Chart:
        look = SERIES_STYLES[series]
        return layers.mark_line(strokeWidth=3, strokeDash=list(look.dash)).encode(
            x=x, y=alt.Y(f"{field}:Q", axis=decades_axis("size"), scale=size),
            color=alt.Color(datum=look.slot, type="nominal", scale=colours, legend=None))

    def end(series: str, field: str, where: str, dy: int = 0) -> alt.Chart:
        return layers.transform_filter(where).mark_text(
            align="left", dx=alt.expr(f"width < {PHONE} ? 2 : 8"), dy=dy, fontSize=14, fontWeight="bold").encode(
            x=x, y=alt.Y(f"{field}:Q", scale=size), text=alt.value(series),
            color=alt.Color(datum=SERIES_STYLES[series].slot, type="nominal", scale=colours))

    marks = alt.Chart(alt.InlineData([{"y": level, "text": name} for name, level in limits]))
    level = alt.Y("y:Q", scale=size)
    chart = alt.layer(
        marks.mark_rule(strokeDash=[2, 4], opacity=0.6).encode(y=level, color=neutral()),
        *(marks.transform_filter(f"datum.y {side} 0").mark_text(
            align="center", dx=alt.expr(f"width < {PHONE} ? 0.2 * width : 0"), dy=dy, fontSize=alt.expr(f"width < {PHONE} ? 11 : 13"),
            opacity=0.8).encode(y=level, x=alt.datum(depth / 2), text="text:N", color=neutral()) for side, dy in ((">", -7), ("<", 9))),
        line("forward", "activation"), line("backward", "gradient"),
        last.mark_text(align="center", fontSize=alt.expr(f"width < {PHONE} ? 15 : 22"), fontWeight="bold").encode(
            x=alt.datum(depth / 2), y=alt.value(16), text="said:N", color=neutral()),
        end("activation", "forward", f"datum.layer == {depth}"),
        end("gradient", "backward", "datum.layer == 0 && c < 1", 16), end("gradient", "backward", "datum.layer == 0 && c >= 1", -12),
    ).add_params(factor)
    return compiled(chart, right)
