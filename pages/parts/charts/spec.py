"""Compile and cache chart specifications; define the axes, colours, keys and filters that they share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import altair as alt
import numpy as np
from altair.utils.schemapi import debug_mode

from pages.parts.series_style import SERIES_STYLES, SLOTS
from vgdash.spelling import SUPERSCRIPT

HEIGHT = 310
PHONE = 400  # pixels: a plot narrower than this is one on a phone
# Pixels above the vertical axis, for half of a label: one that stood out would move the whole chart.
TOP = "9 * zoom"
HEADROOM = 1.15  # times the highest value, for a text at the top of the chart
# Streamlit's grey for axes has a contrast of 3.7 on white. The last slot of the palette is black in the light
# theme and white in the dark one; the layer that ``compile_spec`` adds defines the scale that reaches it.
INK = {end: {"expr": f"scale('stroke', {SLOTS - 1})"} for end in ("labelColor", "titleColor")}
NEAR = 3  # decades from 1 within which an axis may have ticks at 2 and 5
FINE = 2.3  # decades up to which an axis has room for labels at 2 and 5
FONT = {"labelFontSize": 14, "titleFontSize": 15, "titleFontWeight": "normal", **INK}
UPRIGHT = {"minExtent": 46.5, **FONT}  # room for 10⁻¹²: the width of the plot does not depend on the labels
BOLD = {"fontSize": 14, "fontWeight": "bold"}
TEXT, TOOLTIP = alt.Text("text:N"), alt.Tooltip("text:N", title=" ")
CORNER = {"x2": alt.X2("x2:Q"), "y2": alt.Y2("y2:Q")}  # of a rectangle, opposite to (x, y)
PALETTE = alt.Scale(domain=list(range(SLOTS)))
# For a projector: how much of ``ZOOM`` what has a size in pixels takes.
ENLARGEMENT = {"fontSize": 1, "labelFontSize": 1, "minExtent": 1, "titleFontSize": 0.95, "strokeWidth": 1.3,
               "size": 1.6, "dx": 1, "dy": 1, "xOffset": 1}
LARGE = 1.4  # in a window of 1280x720
# It grows with the window, which is looked at when the chart gets another size.
ZOOM = (f"{LARGE} * clamp(min(windowSize()[0] / 1280, windowSize()[1] / 720), 0.8, 3) "
        "+ 0 * (width + height)")

Spec = dict[str, Any]
_compiling = threading.RLock()


def cached_spec(author: Callable[..., Spec]) -> Callable[..., Spec]:
    """Compile a specification once per argument set, in one thread at a time.

    So sessions that open a page of a cold server wait for the same result. Altair's validation takes nearly
    as long as all the rest; only a test does it.
    """
    cached = lru_cache(maxsize=128)(author)

    @wraps(author)
    def specification(*arguments: Any, **options: Any) -> Spec:
        with _compiling, debug_mode(False):
            return cached(*arguments, **options)
    return specification


def compile_spec(layers: list[alt.Chart] | dict[str, list[alt.Chart]], right: int, height: int = HEIGHT,
                 mirrored: bool = False, finite: bool = False, **properties: Any) -> Spec:
    """Compile layers, or layers by the name of their table, to a specification.

    ``right``: pixels for names at the ends of the lines, on the left if ``mirrored``. ``finite``: all numbers
    of the table are, so the browser need not filter them. ``properties`` of the whole chart: Vega-Lite's.
    """
    left, right = (right, 5) if mirrored else (5, right)
    seen: list[tuple] = []
    if isinstance(layers, dict):
        compiled = [{"data": {"name": table}, "layer": _compile_layers(panel, seen)}
                    for table, panel in layers.items()]
    else:
        compiled = _compile_layers(layers, seen)
    ink = {"data": {"values": [{}]}, "mark": {"type": "point", "opacity": 0},
           "encoding": {"stroke": NEUTRAL.to_dict(validate=False)}}
    properties["params"] = [{"name": "zoom", "value": 1}, *properties.get("params", [])]
    config = {"mark": {"aria": False, **({"invalid": None} if finite else {})},  # one description for all
              "axis": {"labelFlush": False}}  # Streamlit's theme moves the first and the last label inward
    return {"height": height, "padding": {"left": left, "top": 0, "bottom": 5, "right": right},
            "layer": [*compiled, ink], "config": config, **properties}


def _compile_layers(layers: list[alt.Chart], seen: list[tuple]) -> list[Spec]:
    """Compile layers one by one: ``alt.layer`` would copy all of them several times, most of the time.

    The vertical axis ends ``TOP`` below the upper edge, unless its domain is given. An axis or a scale that
    was ``seen`` in an earlier layer is left out, as Vega-Lite applies it to all: they are most of a
    specification, which is sent with every rerun.
    """
    compiled = [layer.to_dict(validate=False, context={"top_level": False, "data": None}) for layer in layers]
    for layer in compiled:
        y = layer["encoding"].get("y", {})
        if "field" in y and "domain" not in y.get("scale", {}):
            y["scale"] = {"range": [{"expr": "height"}, {"expr": TOP}], **y.get("scale", {})}
        for channel, encoding in layer["encoding"].items():
            for name in ("axis", "scale"):
                if (channel, name, encoding.get(name)) in seen:
                    del encoding[name]
                elif encoding.get(name):
                    seen.append((channel, name, encoding[name]))
    return compiled


def enlarge(spec: Any) -> Any:
    """Return the specification with larger type and thicker lines, for the back row of a lecture hall.

    They grow with the window.
    """
    if isinstance(spec, list):
        return [enlarge(part) for part in spec]
    if not isinstance(spec, dict):
        return spec
    if spec.get("name") == "zoom":
        return {"name": "zoom", "expr": ZOOM}
    return {key: _zoomed(value, ENLARGEMENT[key]) if key in ENLARGEMENT else enlarge(value)
            for key, value in spec.items()}


def _zoomed(value: Any, factor: float) -> Any:
    """Multiply a number, or an expression of Vega, by ``factor`` and by the zoom."""
    if not value:
        return value
    if isinstance(value, (int, float)):
        return {"expr": f"{round(value * factor, 1)} * zoom"}
    return {"expr": f"{factor} * zoom * ({value['expr']})"} if "expr" in value else enlarge(value)


# ---- axes

def power_of_ten(value: str = "datum.value") -> str:
    """Return a Vega expression: 10 with a superscript exponent (2, 5 and the like in full), from a log10."""
    size, digits = f"abs(round({value}))", "".join(chr(SUPERSCRIPT[ord(digit)]) for digit in "0123456789")
    exponent = f"({value} < 0 ? '⁻' : '')"
    for unit in (1000, 100, 10, 1):
        digit = f"{size} / {unit} % 10"
        exponent += f" + ({size} < {unit} ? '' : substring('{digits}', {digit}, {digit} + 1))"
    in_full = f"abs({value} - round({value})) > 0.001 ? format(pow(10, {value}), '.2~r')"
    return f"{in_full} : abs({value}) < 0.5 ? '1' : {value} == 1 ? '10' : '10' + {exponent}"


def x_channel(title: str | None, column: str = "x", scale: Spec | None = None, **axis: Any) -> alt.X:
    """Encode a column along x, on an axis that ends where the data or the domain of the scale end."""
    return alt.X(f"{column}:Q", title=title, scale=alt.Scale(nice=False, **(scale or {})),
                 axis=alt.Axis(grid=False, **axis, **FONT))


def linear_axis(title: str, **options) -> alt.Axis:
    """Make an axis that says 80 and not 8e+1, and a power of ten from a million on."""
    power = "replace(format(datum.value, '.1~e'), 'e+', '·10^')"
    label = f"abs(datum.value) < 1e6 ? format(datum.value, ',.6~r') : {power}"
    return alt.Axis(title=title, labelExpr=label, **UPRIGHT, **options)


def decades_axis(title: str, fine: bool = False, close: bool = False, **options) -> alt.Axis:
    """Make an axis of log10 values that reads as the quantity.

    ``fine``: in full around 1, with ticks at 2 and 5 on up to ``FINE`` decades. ``close``: with these ticks
    where all is within ``NEAR`` decades of 1, as there would be only one or two powers of ten. Both for the
    scale y.
    """
    label, steps = power_of_ten(), {"tickCount": 8, "tickMinStep": 1}
    if fine:
        between = sorted(float(np.log10(m)) + k for k in range(-8, 5) for m in (1, 2, 5))
        label = f"abs(datum.value) < 3.5 ? format(pow(10, datum.value), ',.2~r') : {label}"
        far = f"span(domain('y')) > {FINE} || domain('y')[0] < -8 || domain('y')[1] > 5"
        steps["tickMinStep"] = alt.ExprRef(f"{far} ? 1 : 0.1")
        steps["values"] = alt.ExprRef(f"{far} ? null : {between}")
    elif close:
        low, high = (f"abs(domain('y')[{end}]) > {NEAR}" for end in (0, 1))
        far = f"span(domain('y')) > {FINE} || {low} || {high}"
        between = [round(k + part, 3) for k in range(-NEAR, NEAR) for part in (0, 0.301, 0.699)] + [NEAR]
        steps["tickMinStep"] = alt.ExprRef(f"{far} ? 1 : 0.1")
        steps["values"] = alt.ExprRef(f"{far} ? null : {between}")
    return alt.Axis(title=title, labelExpr=label, **steps, **UPRIGHT, **options)


# ---- filters and channels

def rows_of(chart: alt.Chart, part: str) -> alt.Chart:
    """Filter the rows of a part. A text is fast: Vega-Lite turns a predicate into a call for every row."""
    return chart.transform_filter(f"datum.part === '{part}'")


def slider(name: str, value: float, low: float, high: float, step: float, label: str) -> Spec:
    """Make a parameter with a slider inside the chart, which needs no server."""
    bind = {"input": "range", "min": low, "max": high, "step": step, "name": label}
    return {"name": name, "value": value, "bind": bind}


def slot_colour(slot: int) -> alt.Color:
    """Encode one colour of the palette."""
    return alt.Color(datum=slot, type="nominal", scale=PALETTE, legend=None)


def series_colour(series: str) -> alt.Color:
    """Encode the colour of a series."""
    return slot_colour(SERIES_STYLES[series].slot)


ROW_COLOUR = alt.Color("slot:N", scale=PALETTE, legend=None)
NEUTRAL = slot_colour(SLOTS - 1)  # black in the light theme, white in the dark one
DASH = alt.StrokeDash("series:N", legend=None, scale=alt.Scale(
    domain=list(SERIES_STYLES), range=[list(style.dash) for style in SERIES_STYLES.values()]))
MARKER = alt.Shape("series:N", legend=None, scale=alt.Scale(
    domain=list(SERIES_STYLES), range=[style.marker for style in SERIES_STYLES.values()]))
TABLE_ORDER = alt.OrderValue(None)  # lines go through their rows as they come: they are sorted already
ROW_KEY = alt.Key("row_id:Q")  # the browser moves the marks of rows when numbers change; lines need no key


def caption(chart: alt.Chart, down: int) -> alt.Chart:
    """Write the ``text`` of the rows, the same in all, at the top left, ``down`` pixels below ``TOP``."""
    text = chart.transform_aggregate(said="min(text)").mark_text(align="left", fontSize=16, fontWeight="bold")
    return text.encode(x=alt.value(12), y=alt.value({"expr": f"{TOP} + {down}"}), color=NEUTRAL,
                       text=alt.Text("said:N"))


def label_layer(chart: alt.Chart, x: alt.X, y: alt.Y, **style: Any) -> alt.Chart:
    """Write the part ``label``."""
    return rows_of(chart, "label").mark_text(**{**BOLD, **style}).encode(
        x=x, y=y, color=ROW_COLOUR, text=TEXT, key=ROW_KEY)


def line_layer(chart: alt.Chart, x: alt.X, y: alt.Y) -> alt.Chart:
    """Draw the part ``line``."""
    return rows_of(chart, "line").mark_line(strokeWidth=2.5).encode(
        x=x, y=y, color=ROW_COLOUR, strokeDash=DASH, order=TABLE_ORDER)


def extent_layer(chart: alt.Chart, x: alt.X, y: alt.Y) -> alt.Chart:
    """Make the axes reach the part ``extent``."""
    return rows_of(chart, "extent").mark_point(opacity=0).encode(x=x, y=y)
