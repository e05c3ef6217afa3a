"""Lines over layers, steps or widths, and the chain that the browser computes itself."""

from __future__ import annotations

import altair as alt
import numpy as np

from pages.parts.charts.spec import (
    BOLD,
    HEADROOM,
    HEIGHT,
    MARKER,
    NEUTRAL,
    PHONE,
    ROW_COLOUR,
    ROW_KEY,
    TABLE_ORDER,
    TEXT,
    TOOLTIP,
    TOP,
    UPRIGHT,
    Spec,
    cached_spec,
    caption,
    compile_spec,
    decades_axis,
    extent_layer,
    label_layer,
    line_layer,
    linear_axis,
    power_of_ten,
    rows_of,
    series_colour,
    slider,
    x_channel,
)
from pages.parts.series_style import SERIES_STYLES

# of the depth profiles: from where to where, below a row for the names of upright rules
PANELS = {"correlation": ("18 * zoom", "0.58 * height"), "moment": ("0.58 * height + 30 * zoom", "height")}
PANELS_HEIGHT = 360
PANELS_WIDTH = {"expr": "width - 82 * zoom"}  # the rest is for names: none lies on what is drawn
BEHIND = alt.ExprRef("background")
RIM = {"stroke": BEHIND, "strokeWidth": 4, "strokeJoin": "round", "fill": BEHIND}  # of a name over lines
RULE = {"strokeDash": [2, 4], "opacity": 0.6}
HIGH = alt.Y2("high:Q")
FIRST = 4  # values that have room on a phone


@cached_spec
def curves(x_title: str, y_title: str, decades: bool = True, log_x: bool = False, height: int = HEIGHT,
           mirrored: bool = False, fine: bool = False,
           parts: str = "limit extent band line interval point label") -> Spec:
    """Draw theory as lines, measurement as points with intervals, limits as rules.

    ``mirrored``: the axis on the right and the names on the left, for what runs from the last layer to the
    first. ``parts``: those that the table may have; an empty one takes a browser as long as a full one.
    ``limit``: on a phone only those without a ``high`` have a name. ``value``: numbers beside points, above
    those with a ``high``; on a phone the first ones only. ``mark``: a ring, and an upright rule through it.
    ``name``: names with markers below each other, right of the plot, in the order of the rows.
    """
    base = alt.Chart()
    numbers = {"format": "~s"} if log_x else {"format": ",d", "tickMinStep": 1}
    scale = {"type": "log"} if log_x else {"type": "linear", "zero": False}
    x = x_channel(x_title, scale=scale, tickCount=8, **numbers)
    side = {"orient": "right" if mirrored else "left"}
    y_axis = decades_axis(y_title, fine, close=True, **side) if decades else linear_axis(y_title, **side)
    y, low = (alt.Y(f"{end}:Q", axis=y_axis, scale=alt.Scale(zero=False, nice=True)) for end in ("y", "low"))
    limit, line, point, mark = (rows_of(base, part) for part in ("limit", "line", "point", "mark"))
    named = limit.transform_filter(f"width > {PHONE} || !isValid(datum.high)")
    words = named.encode(x=x, y=y, text=TEXT, key=ROW_KEY)
    small = {"dy": alt.ExprRef(f"width < {PHONE} ? -21 : -7"), "fontSize": 13,  # two lines on a phone
             "lineBreak": alt.ExprRef(f"width < {PHONE} ? '\\n' : null")}
    names = {"align": "right", "dx": -8} if mirrored else {"align": "left", "dx": 8}
    value = rows_of(base, "value").transform_filter(f"width > {PHONE} || datum.row_id < {FIRST}")
    above = "isValid(datum.high) ? {} : {}".format
    beside = {"align": alt.ExprRef(above("'center'", "'left'")), "dx": alt.ExprRef(above(0, 7)),
              "dy": alt.ExprRef(above(-18, -9))}
    layers = {
        "limit": [limit.mark_rule(**RULE).encode(y=y, color=NEUTRAL, key=ROW_KEY)],
        "words": [words.mark_text(**RIM, **small),
                  words.mark_text(**small).encode(color=NEUTRAL)],
        "extent": [extent_layer(base, x, y)],
        "band": [line.mark_area(opacity=0.18).encode(
            x=x, y=low, y2=HIGH, color=ROW_COLOUR, detail=alt.Detail("series:N"), order=TABLE_ORDER)],
        "line": [line_layer(base, x, y)],
        "interval": [point.mark_rule(strokeWidth=1.5).encode(
            x=x, y=low, y2=HIGH, color=ROW_COLOUR, key=ROW_KEY)],
        "point": [point.mark_point(filled=True, size=55, opacity=1).encode(
            x=x, y=y, color=ROW_COLOUR, shape=MARKER, tooltip=TOOLTIP, key=ROW_KEY)],
        "mark": [mark.mark_rule(strokeDash=[2, 4]).encode(x=x, color=ROW_COLOUR, key=ROW_KEY),
                 mark.mark_point(size=320, strokeWidth=3, opacity=1).encode(
                     x=x, y=y, color=ROW_COLOUR, tooltip=TOOLTIP, key=ROW_KEY)],
        "value": [value.mark_text(fontSize=14, **beside).encode(
            x=x, y=y, color=ROW_COLOUR, text=TEXT, key=ROW_KEY)],
        "label": [label_layer(base, x, y, **names)],
        "name": _names(rows_of(base, "name")),
        "least": [_least_range(base, y_axis)],
    }
    order = [*parts.split(), *(["least"] if decades else [])]
    if "limit" in order:  # its words stand over the lines, and under their names
        order.insert(order.index("label") if "label" in order else len(order), "words")
    drawn = [layer for part in order for layer in layers[part]]
    return compile_spec(drawn, 10, height, mirrored, finite=True)


def _names(names: alt.Chart, right: str = "width", top: str = TOP, line: float = 21) -> list[alt.Chart]:
    """Write names right of the plot, in pixels: no line moves them, and they move no axis."""
    places = names.encode(x=alt.value({"expr": right}), color=ROW_COLOUR, key=ROW_KEY,
                          y=alt.value({"expr": f"{top} + zoom * (8 + {line} * datum.row_id)"}))
    return [places.mark_point(filled=True, size=55, opacity=1, xOffset=14).encode(shape=MARKER),
            places.mark_text(align="left", dx=23, **BOLD).encode(text=TEXT)]


def _least_range(chart: alt.Chart, axis: alt.Axis) -> alt.Chart:
    """Make an axis of decades span one at least: so it has numbers, and what holds looks flat."""
    ends = chart.transform_aggregate(low="min(y)", high="max(y)").transform_calculate(
        least="(datum.low + datum.high - 1) / 2", most="(datum.low + datum.high + 1) / 2")
    return ends.mark_rule(opacity=0).encode(y=alt.Y("least:Q", axis=axis), y2="most:Q")


@cached_spec
def depth_profiles(decades: bool = False) -> Spec:
    """Draw two panels over the same layers, of the tables ``correlation`` and ``moment``.

    Theory as lines, measurement as points, depth scales as upright rules (the right one first), fixed points
    as level ones. With ``decades`` the moment is log10 of it.
    """
    moment = "q = E[z²]"
    left = {"tickCount": 5, "orient": "left"}
    axes = {"correlation": linear_axis("correlation c", **left),
            "moment": decades_axis(moment, orient="left") if decades else linear_axis(moment, **left)}
    panels = {name: _panel(axis, *PANELS[name]) for name, axis in axes.items()}
    return compile_spec(panels, 10, PANELS_HEIGHT, finite=True, resolve={"scale": {"y": "independent"}})


def _panel(axis: alt.Axis, top: str, bottom: str) -> list[alt.Chart]:
    """Make the layers of one panel, between these heights; its names stand above it and right of it."""
    base = alt.Chart()
    above, top, bottom = ({"expr": height} for height in (f"{top} - 9 * zoom", top, bottom))
    x = x_channel("layer", scale={"range": [0, PANELS_WIDTH]}, tickCount=8)
    scale = alt.Scale(zero=False, nice=True, range=[bottom, top])
    y, low = (alt.Y(f"{end}:Q", axis=axis, scale=scale) for end in ("y", "low"))
    limit, depth, point = (rows_of(base, part) for part in ("limit", "scale", "point"))
    words = {"baseline": "middle", "fontSize": 13, "opacity": 0.8}
    beside = limit.encode(y=y, x=alt.value(PANELS_WIDTH), text=TEXT, color=NEUTRAL, key=ROW_KEY)
    left = "datum.row_id ? {} : {}".format  # two names of upright rules stand back to back
    neutral = {"color": NEUTRAL, "key": ROW_KEY}
    return [
        limit.mark_rule(**RULE).encode(y=y, x=alt.value(0), x2=alt.value(PANELS_WIDTH), **neutral),
        beside.mark_text(align="left", dx=6, **words),
        depth.mark_rule(**RULE).encode(x=x, y=alt.value(top), y2=alt.value(bottom), **neutral),
        depth.mark_text(align=alt.ExprRef(left("'right'", "'left'")), dx=alt.ExprRef(left(-2, 2)), **words)
        .encode(x=x, y=alt.value(above), text=TEXT, **neutral),
        extent_layer(base, x, y),
        line_layer(base, x, y),
        point.mark_rule(strokeWidth=1.5).encode(x=x, y=low, y2=HIGH, color=ROW_COLOUR, key=ROW_KEY),
        point.mark_point(filled=True, size=45, opacity=1).encode(
            x=x, y=y, color=ROW_COLOUR, shape=MARKER, tooltip=TOOLTIP, key=ROW_KEY),
        _names(rows_of(base, "name"), PANELS_WIDTH["expr"], top["expr"], 17)[1],
    ]


@cached_spec
def scrubbed_lines(y_title: str, decades: bool, last: int) -> Spec:
    """Draw lines over layers at one of several moments, chosen by a slider in the chart if ``last`` is not 0.

    Columns: part (line, label), k (the moment, from 0 to ``last``), x, y, series, slot, text.
    """
    base = alt.Chart().transform_filter("datum.k == k") if last else alt.Chart()
    x = x_channel("layer", tickMinStep=1)
    right = {"title": y_title, "orient": "right"}  # the names are at the first layer, where lines are apart
    axis = decades_axis(**right) if decades else alt.Axis(format="%", **UPRIGHT, **right)
    y, head = (alt.Y(f"{end}:Q", axis=axis, scale=alt.Scale(zero=False, nice=False)) for end in ("y", "head"))
    layers = [
        line_layer(base, x, y),
        rows_of(base, "line").mark_point(filled=True, size=40, opacity=1).encode(
            x=x, y=y, color=ROW_COLOUR, shape=MARKER),
        rows_of(base, "label").mark_text(align="right", dx=-8, **BOLD).encode(
            x=x, y=y, color=ROW_COLOUR, text=TEXT),
        base.transform_aggregate(low="min(y)", high="max(y)").mark_point(opacity=0).encode(y=head)
            .transform_calculate(head=f"{HEADROOM} * datum.high - {HEADROOM - 1:.2f} * datum.low"),
        caption(rows_of(base, "line"), 12),
    ]
    moments = {"params": [slider("k", last, 0, last, 1, "drag through the run ")]} if last else {}
    return compile_spec(layers, 10, HEIGHT - 40, **moments)


@cached_spec
def draggable_chain(depth: int, limits: tuple[tuple[str, float], ...], height: int = HEIGHT) -> Spec:
    """Draw c^l over the layers l of a linear chain; the browser computes it while a slider is dragged.

    As in the lecture the last of ``depth`` matrices has another shape and is left out. ``limits``: rules, as
    (text, log10 of the size); a name stands in the widest gap between the lines that cross its rule.
    """
    end = depth - 1
    chain = alt.Chart(alt.sequence(0, depth, as_="layer")).transform_calculate(
        forward="datum.layer * log(c) / LN10", backward=f"({end} - datum.layer) * log(c) / LN10")
    power = power_of_ten("floor(datum.forward)")
    large = f"format(pow(10, datum.forward - floor(datum.forward)), '.1f') + '·' + ({power})"
    size = f"(abs(datum.forward) < 3 ? format(pow(10, datum.forward), '.3') : {large})"
    after = f"(width < {PHONE} ? '' : ' after {depth} layers')"
    last = chain.transform_filter(f"datum.layer == {end}").transform_calculate(
        said=f"'c = ' + format(c, '.2f') + ': ×' + {size} + {after}")
    x, place = (x_channel("layer", column, {"domain": [0, end]}) for column in ("layer", "place"))
    scale = alt.Scale(domain=[end * np.log10(0.5) - 6, end * np.log10(1.5) + 4], nice=False)
    limit = alt.Chart(alt.NamedData("limits")).transform_calculate(
        crossed=f"datum.y / ({end} * log(c) / LN10)", near="min(datum.crossed, 1 - datum.crossed)",
        place=f"{end} * (datum.near > 1 / 3 ? datum.near / 2 : 0.5)",
    ).encode(y=alt.Y("y:Q", scale=scale))

    def phone(there: str, elsewhere: str) -> alt.ExprRef:
        return alt.ExprRef(f"width < {PHONE} ? {there} : {elsewhere}")

    def line(field: str, series: str) -> alt.Chart:
        dash = list(SERIES_STYLES[series].dash)
        return chain.mark_line(strokeWidth=3, strokeDash=dash).encode(
            x=x, y=alt.Y(f"{field}:Q", axis=decades_axis("size"), scale=scale), color=series_colour(series))

    def name(series: str, field: str, where: str, dy: int = 0) -> alt.Chart:
        text = chain.transform_filter(where).mark_text(align="left", dx=phone("2", "8"), dy=dy, **BOLD)
        y = alt.Y(f"{field}:Q", scale=scale)
        return text.encode(x=x, y=y, text=alt.value(series), color=series_colour(series))

    words = limit.encode(x=place, text=TEXT)
    small = {"align": "center", "fontSize": phone("11", "13"),  # on the far side of where the lines cross
             "dy": alt.ExprRef(f"2 * datum.y > {end} * log(c) / LN10 ? -8 : 9")}
    layers = [
        limit.mark_rule(**RULE).encode(color=NEUTRAL),
        line("forward", "activation"), line("backward", "gradient"),
        words.mark_text(**RIM, **small), words.mark_text(**small).encode(color=NEUTRAL),
        last.mark_text(align="center", fontSize=phone("15", "22"), fontWeight="bold").encode(
            x=alt.datum(end / 2), y=alt.value({"expr": f"zoom * (width < {PHONE} ? 8 : 12)"}), color=NEUTRAL,
            text=alt.Text("said:N")),
        name("activation", "forward", f"datum.layer == {end}"),
        name("gradient", "backward", "datum.layer == 0 && c < 1", 16),
        name("gradient", "backward", "datum.layer == 0 && c >= 1", -12),
    ]
    return compile_spec(layers, 40, height, params=[slider("c", 0.7, 0.5, 1.5, 0.01, "drag the factor c ")],
                        datasets={"limits": [{"y": size, "text": text} for text, size in limits]})
