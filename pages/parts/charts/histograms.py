"""Distributions as bars."""

from __future__ import annotations

from typing import Any

from pages.parts.charts.once import alt, once
from pages.parts.charts.spec import (
    FONT,
    HEADROOM,
    HEIGHT,
    TOP,
    UPRIGHT,
    as_given,
    colour,
    compiled,
    dash,
    kept,
    neutral,
    only,
    power_of_ten,
    slot,
)


@once
def histogram(x_title: str, y_title: str, room: bool = False) -> dict[str, Any]:
    """Measured density as bars, predicted density as a line over it; with ``room`` as wide and as high as such rows say."""
    base = alt.Chart()
    x, low = (alt.X(f"{end}:Q", title=x_title, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
              for end in ("x", "low"))
    y = alt.Y("y:Q", axis=alt.Axis(title=y_title, **UPRIGHT))
    chart = alt.layer(
        *([only(base, "room").mark_point(opacity=0).encode(x=x, y=y)] if room else []),
        only(base, "bar").mark_rect(opacity=0.45).encode(x=low, x2="high:Q", y=y, y2=alt.datum(0), color=colour(), key=kept()),
        only(base, "line").mark_line(strokeWidth=2.5).encode(x=x, y=y, color=colour(), strokeDash=dash(), order=as_given()),
        only(base, "label").mark_text(align="left", dx=6, dy=-6, fontSize=14, fontWeight="bold").encode(
            x=x, y=y, color=colour(), text="text:N", key=kept()),
    )
    return compiled(chart, 20)


@once
def scrubbed_histograms(last: int, x_title: str = "z", y_title: str = "density", predicted: bool = True, room: bool = False,
                        base: int | None = None) -> dict[str, Any]:
    """Histograms of several layers, one at a time, chosen by a slider inside the chart: the server is not asked.

    Columns: k (which layer, from 0 to ``last``), x and x2 (the bin), y, text, perhaps predicted, and with ``room`` as high as
    the axis must reach. With ``base`` x counts decades from 10^base on both sides of 0 (``tables.on_decades``).
    """
    which = alt.param(name="k", value=last // 2, bind=alt.binding_range(min=0, max=last, step=1, name="drag through the layers "))
    chart = alt.Chart().transform_filter("datum.k == k")
    ends = f"datum.value == 0 ? '0' : (datum.value < 0 ? '−' : '') + ({power_of_ten(f'(abs(datum.value) + {base})')})"
    decades = {} if base is None else {"labelExpr": ends, "tickMinStep": 1}
    x = alt.X("x:Q", title=x_title, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **decades, **FONT))
    y, high, head = (alt.Y(f"{end}:Q", axis=alt.Axis(title=y_title, **UPRIGHT)) for end in ("y", "room", "head"))
    tops = ["y", *(["predicted"] if predicted else []), *(["room"] if room else [])]
    bars = chart.mark_rect(opacity=0.45).encode(x=x, x2="x2:Q", y=y, y2=alt.datum(0), color=slot("sampled"))
    line = chart.transform_calculate(middle="(datum.x + datum.x2) / 2").mark_line(strokeWidth=2.5).encode(
        x="middle:Q", y="predicted:Q", color=slot("predicted"), order=as_given())
    layers = alt.layer(
        *([chart.mark_point(opacity=0).encode(x=x, y=high)] if room else []),
        chart.transform_aggregate(**{f"top_{top}": f"max({top})" for top in tops}).transform_calculate(
            head=f"{HEADROOM} * max({', '.join(f'datum.top_{top} || 0' for top in tops)})").mark_point(opacity=0).encode(y=head),
        *([bars, line] if predicted else [bars]),
        chart.transform_aggregate(said="min(text)").mark_text(align="left", fontSize=16, fontWeight="bold").encode(
            x=alt.value(12), y=alt.value(TOP + 14), text="said:N", color=neutral()),
    ).add_params(which)
    return compiled(layers, 10, HEIGHT - 40)


@once
def spectrum(room: bool = False) -> dict[str, Any]:
    """Density of log10 of the singular values, with a rule at what theory predicts for their root mean square; ``room`` as above."""
    base = alt.Chart()
    x, low = (alt.X(f"{end}:Q", title="singular value of the input-output Jacobian", scale=alt.Scale(nice=False, zero=False),
                    axis=alt.Axis(grid=False, labelExpr=power_of_ten(), tickMinStep=1, **FONT)) for end in ("x", "low"))
    y = alt.Y("y:Q", axis=alt.Axis(title="share per decade", **UPRIGHT))
    chart = alt.layer(
        *([only(base, "room").mark_point(opacity=0).encode(x=x, y=y)] if room else []),
        only(base, "bar").mark_rect(opacity=0.45).encode(x=low, x2="high:Q", y=y, y2=alt.datum(0), color=colour(), key=kept()),
        only(base, "mark").mark_rule(strokeWidth=2.5).encode(x=x, color=colour()),
        only(base, "mark").mark_text(align="left", fontSize=14, fontWeight="bold").encode(  # clear of the edge, wherever the rule is
            x=alt.value(12), y=alt.value(TOP + 10), text="text:N", color=colour()),
    )
    return compiled(chart, 20)
