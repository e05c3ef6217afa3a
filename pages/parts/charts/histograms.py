"""Distributions as bars."""

from __future__ import annotations

import altair as alt

from pages.parts.charts.spec import (
    BOLD,
    HEADROOM,
    HEIGHT,
    ROW_COLOUR,
    ROW_KEY,
    TABLE_ORDER,
    TEXT,
    TOP,
    UPRIGHT,
    Spec,
    cached_spec,
    caption,
    compile_spec,
    extent_layer,
    label_layer,
    line_layer,
    power_of_ten,
    rows_of,
    series_colour,
    slider,
    x_channel,
)


def _bars(x_title: str, y_title: str, extent: bool, **axis) -> tuple[list[alt.Chart], alt.X, alt.Y]:
    """Make the layer of bars from ``low`` to ``high``, and with ``extent`` that of the rows of this part."""
    base = alt.Chart()
    x, low = (x_channel(x_title, column, {"zero": False}, **axis) for column in ("x", "low"))
    y = alt.Y("y:Q", axis=alt.Axis(title=y_title, **UPRIGHT))
    bars = rows_of(base, "bar").mark_rect(opacity=0.45).encode(
        x=low, x2=alt.X2("high:Q"), y=y, y2=alt.datum(0), color=ROW_COLOUR, key=ROW_KEY)
    return [extent_layer(base, x, y), bars] if extent else [bars], x, y


@cached_spec
def histogram(x_title: str, y_title: str, extent: bool = False, height: int = HEIGHT) -> Spec:
    """Draw measured density as bars, predicted as a line; with ``extent`` the axes reach that part."""
    base = alt.Chart()
    layers, x, y = _bars(x_title, y_title, extent)
    labels = label_layer(base, x, y, align="left", dx=6, dy=-6)
    return compile_spec([*layers, line_layer(base, x, y), labels], 20, height)


@cached_spec
def spectrum(extent: bool = False) -> Spec:
    """Draw the density of log10 of the singular values, and a rule at their predicted root mean square."""
    mark = rows_of(alt.Chart(), "mark")
    layers, x, _ = _bars("singular value of the input-output Jacobian", "share per power of ten", extent,
                         labelExpr=power_of_ten(), tickMinStep=1)
    rule = mark.mark_rule(strokeWidth=2.5).encode(x=x, color=ROW_COLOUR)
    name = mark.mark_text(align="left", **BOLD).encode(  # at a fixed place: no edge cuts it off
        x=alt.value(12), y=alt.value({"expr": f"{TOP} + 10"}), text=TEXT, color=ROW_COLOUR)
    return compile_spec([*layers, rule, name], 20)


@cached_spec
def scrubbed_histograms(last: int, x_title: str = "z", y_title: str = "density", predicted: bool = True,
                        extent: bool = False, base: int | None = None) -> Spec:
    """Draw the histogram of one of several layers, chosen by a slider inside the chart.

    Columns: k (the layer, from 0 to ``last``), x and x2 (ends of a bin), y, text; perhaps predicted, and
    extent, which the axis reaches. With ``base`` x counts decades from 10^base on both sides of 0.
    """
    chart = alt.Chart().transform_filter("datum.k == k")
    decades = {}
    if base is not None:
        power = power_of_ten(f"(abs(datum.value) + {base})")
        label = f"datum.value == 0 ? '0' : (datum.value < 0 ? '−' : '') + ({power})"
        decades = {"labelExpr": label, "tickMinStep": 1}
    x = x_channel(x_title, scale={"zero": False}, **decades)
    y_axis = alt.Axis(title=y_title, **UPRIGHT)
    y, reached, head = (alt.Y(f"{column}:Q", axis=y_axis) for column in ("y", "extent", "head"))
    highest = ["y", *(["predicted"] if predicted else []), *(["extent"] if extent else [])]
    top = ", ".join(f"datum.top_{column} || 0" for column in highest)
    tops = chart.transform_aggregate(**{f"top_{column}": f"max({column})" for column in highest})
    ceiling = tops.transform_calculate(head=f"{HEADROOM} * max({top})").mark_point(opacity=0).encode(y=head)
    bars = chart.mark_rect(opacity=0.45).encode(
        x=x, x2=alt.X2("x2:Q"), y=y, y2=alt.datum(0), color=series_colour("sampled"))
    line = chart.transform_calculate(middle="(datum.x + datum.x2) / 2").mark_line(strokeWidth=2.5).encode(
        x=alt.X("middle:Q"), y=alt.Y("predicted:Q"), color=series_colour("predicted"), order=TABLE_ORDER)
    widest = chart.mark_point(opacity=0).encode(x=x, y=reached)
    layers = [ceiling, bars]
    if predicted:
        layers.append(line)
    if extent:
        layers.append(widest)
    return compile_spec([*layers, caption(chart, 14)], 10, HEIGHT - 40,
                        params=[slider("k", last // 2, 0, last, 1, "drag through the layers ")])
