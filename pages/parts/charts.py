"""Charts as specifications: authored in Altair, compiled once, filled with a tidy table on every draw.

No Streamlit here. A specification never holds a number that changes, or the browser would rebuild the chart: numbers come
in the table, whose columns are

    part    which layer of the chart draws the row: line, band, point, label, limit, bar
    x, y    position; on a ``decades`` axis y is log10 of the quantity
    y2      the other end of a band or an interval
    series  name in ``looks.LOOKS``: dash and marker; ``slot`` its colour
    text    what a label or a tooltip says
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Any

import altair as alt
import numpy as np
import pyarrow as pa

from pages.parts.looks import LOOKS, SLOTS
from pages.parts.words import SUPERSCRIPT

HEIGHT = 310
# Streamlit's grey for axes has a contrast of 3.7 on white. The last slot of the palette is black on light and white on dark, and a
# specification reaches it, the same in both, through a scale of its own: see ``_compiled``.
INK = {"labelColor": {"expr": f"scale('stroke', {SLOTS - 1})"}, "titleColor": {"expr": f"scale('stroke', {SLOTS - 1})"}}
FONT = {"labelFontSize": 14, "titleFontSize": 15, "titleFontWeight": "normal", **INK}
COLUMNS = ("part", "x", "y", "y2", "series", "slot", "text")
LABEL_GAP = 0.075  # of the axis: line height of an end label at 330 px


# ---- tables

Rows = dict[str, np.ndarray]


def rows(part: str, series: str, x, y, y2=np.nan, text: str | Sequence[str] = "") -> Rows:
    """Rows of one part of one series; positions that are not finite are left out (a log axis would collapse)."""
    x, y, y2 = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float), np.asarray(y2, float))
    keep = np.isfinite(y)
    count = int(keep.sum())
    texts = [text or series] * count if isinstance(text, str) else list(itertools.compress(text, keep))
    return {"part": [part] * count, "x": x[keep], "y": y[keep], "y2": y2[keep], "series": [series] * count,
            "slot": [LOOKS[series].slot if series in LOOKS else 0] * count, "text": texts}


def table(parts: Iterable[Rows]) -> pa.Table:
    """One table for a chart, from its parts; an empty one keeps its columns and their types."""
    parts = list(parts)

    def joined(column: str) -> pa.Array:
        if column in ("x", "y", "y2"):
            return pa.array(np.concatenate([part[column] for part in parts]) if parts else [], pa.float64(), from_pandas=True)
        return pa.array([value for part in parts for value in part[column]], pa.int64() if column == "slot" else pa.string())

    return pa.table({column: joined(column) for column in COLUMNS})


def spread(count: int, at_most: int) -> np.ndarray:
    """At most so many indices of ``range(count)``, evenly spread, both ends included."""
    return np.unique(np.linspace(0, count - 1, min(count, at_most)).round().astype(int))


def end_labels(ends: Mapping[str, tuple[float, float]], low: float, high: float) -> list[Rows]:
    """Names at the ends of lines, pushed apart where they would overlap on an axis from low to high."""
    gap = LABEL_GAP * max(high - low, 1e-9)
    names = sorted((name for name in ends if np.isfinite(ends[name][1])), key=lambda name: ends[name][1])
    if not names:
        return []
    places = np.array([ends[name][1] for name in names])
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    if (over := places[-1] - max(high, max(ends[name][1] for name in names))) > 0:
        places -= over / 2
    return [rows("label", name, [ends[name][0]], [place]) for name, place in zip(names, places, strict=True)]


# ---- layers

_compiling = threading.RLock()


def _once(author: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """A specification is compiled once, by one thread: a hall that arrives at a cold server waits for it, and not each for its own."""
    compiled = lru_cache(maxsize=64)(author)

    @wraps(author)
    def specification(*arguments: Any, **more: Any) -> dict[str, Any]:
        with _compiling:
            return compiled(*arguments, **more)
    return specification


def power_of_ten(value: str = "datum.value") -> str:
    """Vega expression: 10 with a superscript exponent (2, 5 and the like in full), from log10 of the quantity."""
    text = f"format(round({value}), 'd')"
    for sign in "-0123456789":
        text = f"replace({text}, {'/' + sign + '/g'}, '{chr(SUPERSCRIPT[ord(sign)])}')"
    minus = f"replace({text}, /\u2212/g, '⁻')"  # d3 writes a true minus sign
    fraction = f"abs({value} - round({value})) > 0.001"
    return f"{fraction} ? format(pow(10, {value}), '.2~r') : abs({value}) < 0.5 ? '1' : {value} == 1 ? '10' : '10' + {minus}"


def decades_axis(title: str, fine: bool = False, **more) -> alt.Axis:
    """An axis of log10 values that reads as the quantity; ``fine``: with ticks at 2 and 5 too, for spans of a decade or two."""
    ticks = {"values": [np.log10(m) + k for k in range(-8, 4) for m in (1, 2, 5)]} if fine else {"tickMinStep": 1, "tickCount": 8}
    return alt.Axis(title=title, labelExpr=power_of_ten(), **ticks, **FONT, **more)


def _part(chart: alt.Chart, *parts: str) -> alt.Chart:
    return chart.transform_filter(alt.FieldOneOfPredicate(field="part", oneOf=list(parts)))


def _colour() -> alt.Color:
    return alt.Color("slot:N", scale=alt.Scale(domain=list(range(SLOTS))), legend=None)


def _neutral() -> alt.Color:
    """Black on light, white on dark: the palette's last slot."""
    return alt.Color(datum=SLOTS - 1, type="nominal", scale=alt.Scale(domain=list(range(SLOTS))), legend=None)


def _slot(series: str) -> alt.Color:
    return alt.Color(datum=LOOKS[series].slot, type="nominal", scale=alt.Scale(domain=list(range(SLOTS))), legend=None)


def _dash() -> alt.StrokeDash:
    return alt.StrokeDash("series:N", legend=None,
                          scale=alt.Scale(domain=list(LOOKS), range=[list(look.dash) for look in LOOKS.values()]))


def _shape() -> alt.Shape:
    return alt.Shape("series:N", legend=None, scale=alt.Scale(domain=list(LOOKS), range=[look.marker for look in LOOKS.values()]))


def _compiled(chart: alt.LayerChart, right: int, height: int = HEIGHT, mirrored: bool = False) -> dict[str, Any]:
    """The specification, with room for the names at the ends of the lines."""
    left, right = (right, 5) if mirrored else (5, right)
    spec = chart.properties(height=height, padding={"left": left, "top": 8, "bottom": 5, "right": right}).to_dict(validate=False)
    palette = {"datum": SLOTS - 1, "type": "nominal", "scale": {"domain": list(range(SLOTS))}, "legend": None}
    _say_axes_once(spec["layer"])
    if spec.get("datasets", {}).pop("empty", None) is not None:  # what Altair calls a chart without data: it takes the table
        for layer in spec["layer"]:
            if layer.get("data") == {"name": "empty"}:
                del layer["data"]
    spec["layer"].append({"data": {"values": [{}]}, "mark": {"type": "point", "opacity": 0}, "encoding": {"stroke": palette}})
    spec.pop("$schema", None)
    spec["config"] = {"mark": {"aria": False}}  # the chart has one description; its marks are in the table
    return spec


def _say_axes_once(layers: list[dict[str, Any]]) -> None:
    """Leave an axis out where an earlier layer has the same one: half of the specification, which travels with every rerun."""
    said: list[tuple[str, dict[str, Any]]] = []
    for layer in layers:
        for channel in ("x", "y"):
            where = layer["encoding"].get(channel, {})
            if (axis := (channel, where.get("axis"))) in said:
                del where["axis"]
            elif axis[1]:
                said.append(axis)


@_once
def curves(x_title: str, y_title: str, decades: bool = True, log_x: bool = False, height: int = HEIGHT, right: int = 10,
           mirrored: bool = False, fine: bool = False, parts: str = "limit room band line interval point label") -> dict[str, Any]:
    """Lines over layers (or steps, or widths): theory as lines, measurement as points with intervals, limits as rules.

    ``mirrored``: the axis on the right and the names on the left, for what runs from the last layer to the first. ``parts`` that a
    table never has are better left out: a browser spends as long on an empty layer as on a full one, and warns.
    """
    base = alt.Chart()
    x = alt.X("x:Q", title=x_title, scale=alt.Scale(type="log" if log_x else "linear", nice=False),
              axis=alt.Axis(grid=False, tickCount=8, **FONT, **({"format": "~s"} if log_x else {})))
    side = {"orient": "right" if mirrored else "left"}
    y_axis = decades_axis(y_title, fine, **side) if decades else alt.Axis(title=y_title, format="~g", **FONT, **side)
    y = alt.Y("y:Q", axis=y_axis, scale=alt.Scale(zero=False, nice=True))
    tooltip = alt.Tooltip("text:N", title=" ")
    limit = _part(base, "limit")
    layers = {
        "limit": [limit.mark_rule(strokeDash=[2, 4], opacity=0.6).encode(y=y, color=_neutral()),
                  limit.mark_text(align="left", dx=4, dy=-7, fontSize=13, opacity=0.8).encode(
                      y=y, x=alt.value(0), text="text:N", color=_neutral())],
        "room": [_part(base, "room").mark_point(opacity=0).encode(x=x, y=y)],
        "band": [_part(base, "band").mark_area(opacity=0.18).encode(x=x, y=y, y2="y2:Q", color=_colour(), detail="series:N")],
        "line": [_part(base, "line").mark_line(strokeWidth=2.5).encode(x=x, y=y, color=_colour(), strokeDash=_dash())],
        "interval": [_part(base, "interval").mark_rule(strokeWidth=1.5).encode(x=x, y=y, y2="y2:Q", color=_colour())],
        "point": [_part(base, "point").mark_point(filled=True, size=55, opacity=1).encode(
            x=x, y=y, color=_colour(), shape=_shape(), tooltip=tooltip)],
        "label": [_part(base, "label").mark_text(align="right" if mirrored else "left", dx=-8 if mirrored else 8, fontSize=14,
                                                 fontWeight="bold").encode(x=x, y=y, color=_colour(), text="text:N")],
    }
    return _compiled(alt.layer(*(layer for part in parts.split() for layer in layers[part])), right, height, mirrored)


@_once
def histogram(x_title: str, y_title: str) -> dict[str, Any]:
    """Measured density as bars, predicted density as a line over it."""
    base = alt.Chart()
    x = alt.X("x:Q", title=x_title, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    y = alt.Y("y:Q", axis=alt.Axis(title=y_title, **FONT))
    chart = alt.layer(
        _part(base, "bar").mark_rect(opacity=0.45).encode(x=x, x2="y2:Q", y=y, y2=alt.datum(0), color=_colour()),
        _part(base, "line").mark_line(strokeWidth=2.5).encode(x=x, y=y, color=_colour(), strokeDash=_dash()),
        _part(base, "label").mark_text(align="left", dx=6, dy=-6, fontSize=14, fontWeight="bold").encode(
            x=x, y=y, color=_colour(), text="text:N"),
    )
    return _compiled(chart, 20)


@_once
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
             f"' after {depth} layers'")
    x = alt.X("layer:Q", title="layer", scale=alt.Scale(domain=[0, depth], nice=False), axis=alt.Axis(grid=False, **FONT))
    domain = [depth * np.log10(0.5) - 2, depth * np.log10(1.5) + 4]
    colours = alt.Scale(domain=list(range(SLOTS)))

    def line(field: str, series: str) -> alt.Chart:
        look = LOOKS[series]
        return layers.mark_line(strokeWidth=3, strokeDash=list(look.dash)).encode(
            x=x, y=alt.Y(f"{field}:Q", axis=decades_axis("size"), scale=alt.Scale(domain=domain)),
            color=alt.Color(datum=look.slot, type="nominal", scale=colours, legend=None))

    def end(series: str, field: str, where: str) -> alt.Chart:
        return layers.transform_filter(where).mark_text(align="left", dx=8, dy=-12 if field == "backward" else 0, fontSize=14,
                                                        fontWeight="bold").encode(
            x=x, y=alt.Y(f"{field}:Q", scale=alt.Scale(domain=domain)), text=alt.value(series),
            color=alt.Color(datum=LOOKS[series].slot, type="nominal", scale=colours))

    marks = alt.Chart(alt.InlineData([{"y": level, "text": name} for name, level in limits]))
    level = alt.Y("y:Q", scale=alt.Scale(domain=domain))
    chart = alt.layer(
        marks.mark_rule(strokeDash=[2, 4], opacity=0.6).encode(y=level, color=_neutral()),
        marks.mark_text(align="center", dy=-7, fontSize=13, opacity=0.8).encode(
            y=level, x=alt.datum(depth / 2), text="text:N", color=_neutral()),
        line("forward", "activation"), line("backward", "gradient"),
        last.mark_text(align="center", fontSize=22, fontWeight="bold").encode(
            x=alt.datum(depth / 2), y=alt.value(16), text="said:N", color=_neutral()),
        end("activation", "forward", f"datum.layer == {depth}"),
        end("gradient", "backward", "datum.layer == 0"),
    ).add_params(factor)
    return _compiled(chart, right)


@_once
def scrubbed_histograms(last: int, x_title: str = "z, bins", predicted: bool = True) -> dict[str, Any]:
    """Histograms of several layers, one at a time, chosen by a slider inside the chart: the server is not asked.

    Columns: k (which layer, from 0 to ``last``), x and x2 (the bin), y (share), text, and perhaps predicted.
    """
    which = alt.param(name="k", value=last // 2, bind=alt.binding_range(min=0, max=last, step=1, name="drag through the layers "))
    base = alt.Chart().transform_filter("datum.k == k")
    x = alt.X("x:Q", title=x_title, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    y = alt.Y("y:Q", axis=alt.Axis(title="share of the units", format="%", **FONT))
    bars = base.mark_rect(opacity=0.45).encode(x=x, x2="x2:Q", y=y, y2=alt.datum(0), color=_slot("sampled"))
    line = base.transform_calculate(middle="(datum.x + datum.x2) / 2").mark_line(strokeWidth=2.5).encode(
        x="middle:Q", y="predicted:Q", color=_slot("predicted"))
    chart = alt.layer(
        *([bars, line] if predicted else [bars]),
        base.transform_aggregate(said="min(text)").mark_text(align="left", fontSize=16, fontWeight="bold").encode(
            x=alt.value(12), y=alt.value(14), text="said:N", color=_neutral()),
    ).add_params(which)
    return _compiled(chart, 10, HEIGHT - 40)


@_once
def spectrum() -> dict[str, Any]:
    """Density of log10 of the singular values, with a rule at what theory predicts for their root mean square."""
    base = alt.Chart()
    x = alt.X("x:Q", title="singular value of the input-output Jacobian", scale=alt.Scale(nice=False, zero=False),
              axis=alt.Axis(grid=False, labelExpr=power_of_ten(), tickMinStep=1, **FONT))
    chart = alt.layer(
        _part(base, "bar").mark_rect(opacity=0.45).encode(
            x=x, x2="y2:Q", y=alt.Y("y:Q", axis=alt.Axis(title="share per decade", **FONT)), y2=alt.datum(0), color=_colour()),
        _part(base, "mark").mark_rule(strokeWidth=2.5).encode(x=x, color=_colour()),
        _part(base, "mark").mark_text(align="left", dx=6, fontSize=14, fontWeight="bold").encode(
            x=x, y=alt.value(10), text="text:N", color=_colour()),
    )
    return _compiled(chart, 20)


@_once
def scrubbed_lines(y_title: str, decades: bool, last: int) -> dict[str, Any]:
    """Lines over layers at one of several moments, chosen by a slider inside the chart; with ``last`` 0 there is only one.

    Columns: k (which moment, from 0 to ``last``), x, y, series, slot, text.
    """
    base = alt.Chart().transform_filter("datum.k == k") if last else alt.Chart()
    x = alt.X("x:Q", title="layer", scale=alt.Scale(nice=False), axis=alt.Axis(grid=False, tickMinStep=1, **FONT))
    right = {"orient": "right"}  # the names stand at the first layer, where the lines are apart
    y = alt.Y("y:Q", axis=decades_axis(y_title, **right) if decades else alt.Axis(title=y_title, format="%", **FONT, **right),
              scale=alt.Scale(zero=False))
    end = base.transform_joinaggregate(end="min(x)", groupby=["series"]).transform_filter("datum.x == datum.end")
    chart = alt.layer(
        base.mark_line(strokeWidth=2.5).encode(x=x, y=y, color=_colour(), strokeDash=_dash()),
        base.mark_point(filled=True, size=40, opacity=1).encode(x=x, y=y, color=_colour(), shape=_shape()),
        end.mark_text(align="right", dx=-8, fontSize=14, fontWeight="bold").encode(x=x, y=y, color=_colour(), text="series:N"),
        base.transform_aggregate(said="min(text)").mark_text(align="left", fontSize=16, fontWeight="bold").encode(
            x=alt.value(12), y=alt.value(12), text="said:N", color=_neutral()),
    )
    if last:
        chart = chart.add_params(alt.param(name="k", value=last, bind=alt.binding_range(
            min=0, max=last, step=1, name="drag through the run ")))
    return _compiled(chart, 10, HEIGHT - 40)


@_once
def decision() -> dict[str, Any]:
    """What a net decides on a plane, as a field of shares of class 1, under the data."""
    base = alt.Chart()
    x = alt.X("x:Q", title=None, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    y = alt.Y("y:Q", title=None, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    field = _part(base, "field").mark_rect().encode(
        x=x, x2="x2:Q", y=y, y2="y2:Q", color=alt.Color("value:Q", legend=None, scale=alt.Scale(
            domain=[0, 0.5, 1], range=["#0072B2", "#F2F2F2", "#D55E00"])))
    data = _part(base, "data").mark_point(filled=True, size=26, stroke="white", strokeWidth=0.6, opacity=1).encode(
        x=x, y=y, fill=alt.Fill("label:Q", legend=None, scale=alt.Scale(domain=[0, 0.5, 1], range=["#004B78", "#4D4D4D", "#8F3F00"])),
        shape=alt.Shape("label:N", legend=None))
    return _compiled(alt.layer(field, data).resolve_scale(color="independent"), 5, 240)


@_once
def heat_map(x_title: str, y_title: str, value_title: str, height: int = 260) -> dict[str, Any]:
    """Rectangles from (x, y) to (x2, y2), coloured by ``value``, which is log10 of the quantity."""
    chart = alt.layer(alt.Chart().mark_rect().encode(
        x=alt.X("x:Q", title=x_title, scale=alt.Scale(nice=False), axis=alt.Axis(grid=False, **FONT)), x2="x2:Q",
        y=alt.Y("y:Q", title=y_title, scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, tickMinStep=1, **FONT)), y2="y2:Q",
        color=alt.Color("value:Q", scale=alt.Scale(scheme="viridis"),
                        legend=alt.Legend(title=value_title, labelExpr=power_of_ten(), tickMinStep=1, labelFontSize=13, titleFontSize=13,
                                          **INK)),
        tooltip=alt.Tooltip("text:N", title=" ")))
    return _compiled(chart, 5, height)


# ---- the plane of variances

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


@_once
def phase_plane(height: int = 330) -> dict[str, Any]:
    """xi_c over (sigma_w2, sigma_b2) as colours, the edge of chaos as a line, initializers as points, the opened point as a ring.

    ``room`` is where the ring may go at most: marks that stand out make Vega draw the plane smaller. ``picked`` is what was
    clicked: sigma_w2 and sigma_b2. ``value`` is log10 of xi_c. The colours of marks on the plane are the same in light and dark,
    as those of the plane are.
    """
    base = alt.Chart()
    flat = alt.Scale(nice=False, zero=False)
    x = alt.X("x:Q", title="σ_w² = fan_in · Var(w)", scale=flat, axis=alt.Axis(grid=False, tickCount=8, **FONT))
    y = alt.Y("y:Q", title="σ_b² = Var(b)", scale=flat, axis=alt.Axis(grid=False, tickCount=6, **FONT))
    picked = alt.selection_point(name="picked", fields=["sigma_w2", "sigma_b2", "since"], on="click", toggle=False)
    said, about = alt.Tooltip("said:N", title=" "), alt.Tooltip("text:N", title=" ")
    cell = _part(base, "cell").transform_calculate(
        said="'σ_w² ' + format(datum.sigma_w2, '.3~g') + ', σ_b² ' + format(datum.sigma_b2, '.3~g') + ': ' + (datum.value > 8 ? "
             "'on the edge of chaos' : 'ξ_c ' + format(pow(10, datum.value), '.3~r') + ', trains to about ' + "
             "format(6 * pow(10, datum.value), ',.2r') + ' layers')")
    none = _part(base, "none").transform_calculate(
        said="'σ_w² ' + format(datum.sigma_w2, '.3~g') + ', σ_b² ' + format(datum.sigma_b2, '.3~g') + ': the variance grows without bound'")
    extent = {"x": x, "y": y, "x2": "x2:Q", "y2": "y2:Q"}
    colour = alt.Color("value:Q", scale=alt.Scale(domain=SCALE, clamp=True, scheme="viridis"), legend=alt.Legend(
        title="ξ_c, layers", orient="top", direction="horizontal", titleOrient="left", labelExpr=power_of_ten(), values=[0, 1, 2],
        gradientLength=220, gradientThickness=12, offset=4, **{"labelFontSize": 13, "titleFontSize": 14}, **INK))

    def named(part: str, **look) -> list[alt.Chart]:
        """Light letters with a dark rim, readable on every colour."""
        chart = _part(base, part).encode(x=x, y=y, text=alt.Text("name:N"), **({} if part == "side" else {"tooltip": about}))
        return [chart.mark_text(stroke="black", strokeWidth=3.5, strokeJoin="round", **look), chart.mark_text(fill="white", **look)]

    rim = {"stroke": "black", "strokeWidth": 1.5, "fill": "white", "opacity": 1}
    label = {"dy": -8, "fontSize": 14, "limit": {"expr": "0.72 * width"}}
    ring = _part(base, "opened").encode(x=x, y=y)
    line = _part(base, "line").encode(x=x, y=y, order="y:Q")
    chart = alt.layer(
        cell.mark_rect(strokeWidth=0).encode(**extent, color=colour, tooltip=said).add_params(picked).properties(name="cells"),
        none.mark_rect(fill="#8c8c8c", strokeWidth=0).encode(**extent, tooltip=said),
        line.mark_line(stroke="black", strokeWidth=6), line.mark_line(stroke="white", strokeWidth=3),
        _part(base, "stem").mark_rule(stroke="white", strokeWidth=1.5).encode(**extent),
        *named("side", fontSize=17, fontWeight="bold", lineBreak="\n"),
        *named("label to the right", align="left", dx=-6, **label), *named("label to the left", align="right", dx=6, **label),
        _part(base, "room").mark_point(size=RING, strokeWidth=7, filled=False, opacity=INVISIBLE).encode(x=x, y=y),
        ring.mark_point(size=RING, stroke="black", strokeWidth=7, filled=False, opacity=1),
        ring.mark_point(size=RING, stroke="#ff5a36", strokeWidth=4, filled=False, opacity=1),
        _part(base, "point").mark_point(shape="circle", size=110, **rim).encode(x=x, y=y, tooltip=about),
        _part(base, "beyond").mark_point(shape="triangle-right", size=170, **rim).encode(x=x, y=y, tooltip=about),
    )
    return _compiled(chart, 14, height)


@_once
def depth_profile(x_title: str, y_title: str, height: int, decades: bool = False) -> dict[str, Any]:
    """Lines over the layers with measured points; depth scales as upright rules, where things settle as level ones."""
    base = alt.Chart()
    x = alt.X("x:Q", title=x_title or None, scale=alt.Scale(nice=False), axis=alt.Axis(grid=False, tickCount=8, **FONT))
    axis = decades_axis(y_title) if decades else alt.Axis(title=y_title, format="~g", tickCount=5, **FONT)
    y = alt.Y("y:Q", axis=axis, scale=alt.Scale(zero=False, nice=True))
    rule, words = {"strokeDash": [2, 4], "opacity": 0.6}, {"fontSize": 13, "opacity": 0.8}
    chart = alt.layer(
        _part(base, "limit").mark_rule(**rule).encode(y=y, color=_neutral()),
        _part(base, "limit").mark_text(align="right", dx=-4, dy=-7, **words).encode(
            y=y, x=alt.value("width"), text="text:N", color=_neutral()),
        _part(base, "scale").mark_rule(**rule).encode(x=x, color=_neutral()),
        _part(base, "scale").mark_text(align="left", dx=4, baseline="middle", **words).encode(x=x, y=y, text="text:N", color=_neutral()),
        _part(base, "room").mark_point(opacity=0).encode(x=x, y=y),
        _part(base, "line").mark_line(strokeWidth=2.5).encode(x=x, y=y, color=_colour(), strokeDash=_dash()),
        _part(base, "interval").mark_rule(strokeWidth=1.5).encode(x=x, y=y, y2="y2:Q", color=_colour()),
        _part(base, "point").mark_point(filled=True, size=45, opacity=1).encode(
            x=x, y=y, color=_colour(), shape=_shape(), tooltip=alt.Tooltip("text:N", title=" ")),
        _part(base, "label").mark_text(align="left", dx=6, dy=-8, fontSize=13, fontWeight="bold").encode(
            x=x, y=y, color=_colour(), text="text:N"),
    )
    return _compiled(chart, 10, height)


ENLARGED = {"fontSize": 1.4, "labelFontSize": 1.4, "titleFontSize": 1.3, "strokeWidth": 1.8, "size": 2.2, "height": 0.85}


def enlarged(spec: Any) -> Any:
    """The same specification with larger type and thicker lines, for the back row."""
    if isinstance(spec, list):
        return [enlarged(part) for part in spec]
    if not isinstance(spec, dict):
        return spec
    return {key: round(value * ENLARGED[key]) if key in ENLARGED and isinstance(value, (int, float)) else enlarged(value)
            for key, value in spec.items()}


@_once
def measured_map() -> dict[str, Any]:
    """Trained accuracy over sigma_w2 and depth, with the line that theory draws. Depths are logarithmic on y."""
    base = alt.Chart()
    x = alt.X("x:Q", title="σ_w²", scale=alt.Scale(nice=False, zero=False), axis=alt.Axis(grid=False, **FONT))
    y = alt.Y("y:Q", axis=decades_axis("depth L", fine=True, grid=False), scale=alt.Scale(nice=False, zero=False))
    chart = alt.layer(
        _part(base, "cell").mark_rect().encode(
            x=x, x2="x2:Q", y=y, y2="y2:Q", tooltip=alt.Tooltip("text:N", title=" "),
            color=alt.Color("value:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1]),
                            legend=alt.Legend(title="accuracy", format="%", labelFontSize=13, titleFontSize=13, **INK))),
        _part(base, "line").mark_line(strokeWidth=5, color="white", clip=True).encode(x=x, y=y),
        _part(base, "line").mark_line(strokeWidth=2.5, color="#B03A00", clip=True).encode(x=x, y=y),
    )
    return _compiled(chart, 5, 280)
