"""What specifications are made of: axes, colours, parts of the table, and the compiling."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from pages.parts.charts.once import alt
from pages.parts.series_style import SERIES_STYLES, SLOTS
from pages.parts.text import SUPERSCRIPT

HEIGHT = 310
PHONE = 400  # pixels: a plot narrower than this is one on a phone
TOP = 11  # pixels above what is drawn, for half a label of the axis: one that stood out would push all down, and as numbers change up again
HEADROOM = 1.15  # times what is drawn, for what a chart says of itself
# Streamlit's grey for axes has a contrast of 3.7 on white. The last slot of the palette is black on light and white on dark, and a
# specification reaches it, the same in both, through a scale of its own: see ``compiled``.
INK = {"labelColor": {"expr": f"scale('stroke', {SLOTS - 1})"}, "titleColor": {"expr": f"scale('stroke', {SLOTS - 1})"}}
NEAR = 3  # decades from 1 within which an axis may have them
FINE = 2.3  # decades up to which an axis has room for labels at 2 and 5
FONT = {"labelFontSize": 14, "titleFontSize": 15, "titleFontWeight": "normal", **INK}
UPRIGHT = {"minExtent": 46.5, **FONT}  # room for 10⁻¹²: the plot stays as wide as it is while labels change


def power_of_ten(value: str = "datum.value") -> str:
    """Vega expression: 10 with a superscript exponent (2, 5 and the like in full), from log10 of the quantity."""
    size, digits = f"abs(round({value}))", "".join(chr(SUPERSCRIPT[ord(digit)]) for digit in "0123456789")
    exponent = f"({value} < 0 ? '⁻' : '')"
    for unit in (1000, 100, 10, 1):
        exponent += f" + ({size} < {unit} ? '' : substring('{digits}', {size} / {unit} % 10, {size} / {unit} % 10 + 1))"
    fraction = f"abs({value} - round({value})) > 0.001"
    return f"{fraction} ? format(pow(10, {value}), '.2~r') : abs({value}) < 0.5 ? '1' : {value} == 1 ? '10' : '10' + {exponent}"


def linear_axis(title: str, **more) -> alt.Axis:
    """An axis that says 80 and not 8e+1, and of what is beyond a million its power of ten."""
    label = "abs(datum.value) < 1e6 ? format(datum.value, ',.6~r') : replace(format(datum.value, '.1~e'), 'e+', '·10^')"
    return alt.Axis(title=title, labelExpr=label, **UPRIGHT, **more)


def decades_axis(title: str, fine: bool = False, close: bool = False, **more) -> alt.Axis:
    """An axis of log10 values that reads as the quantity.

    ``fine``: in full around 1, and with ticks at 2 and 5 too on ``FINE`` decades. ``close``: these ticks where all is within ``NEAR``
    decades of 1, as powers of ten alone would be one or two. Both for the scale y.
    """
    if fine:
        powers = [*range(-8, 5)]
        between = sorted(float(np.log10(m)) + k for k in powers for m in (1, 2, 5))
        ticks = alt.ExprRef(f"span(domain('y')) > {FINE} ? {powers} : {between}")
        return alt.Axis(title=title, labelExpr=f"abs(datum.value) < 3.5 ? format(pow(10, datum.value), ',.2~r') : {power_of_ten()}",
                        values=ticks, **UPRIGHT, **more)
    steps: dict[str, Any] = {"tickMinStep": 1}
    if close:
        far = f"span(domain('y')) > {FINE} || abs(domain('y')[0]) > {NEAR} || abs(domain('y')[1]) > {NEAR}"
        between = [round(k + part, 3) for k in range(-NEAR, NEAR) for part in (0, 0.301, 0.699)] + [NEAR]
        steps = {"tickMinStep": alt.ExprRef(f"{far} ? 1 : 0.1"), "values": alt.ExprRef(f"{far} ? null : {between}")}
    return alt.Axis(title=title, labelExpr=power_of_ten(), tickCount=8, **steps, **UPRIGHT, **more)


def only(chart: alt.Chart, *parts: str) -> alt.Chart:
    """The rows of these parts. Plain text: of a predicate Vega-Lite makes a call, after it has read every row's part as a text."""
    return chart.transform_filter(" || ".join(f"datum.part === '{part}'" for part in parts))


def colour() -> alt.Color:
    return alt.Color("slot:N", scale=alt.Scale(domain=list(range(SLOTS))), legend=None)


def neutral() -> alt.Color:
    """Black on light, white on dark: the palette's last slot."""
    return alt.Color(datum=SLOTS - 1, type="nominal", scale=alt.Scale(domain=list(range(SLOTS))), legend=None)


def slot(series: str) -> alt.Color:
    return alt.Color(datum=SERIES_STYLES[series].slot, type="nominal", scale=alt.Scale(domain=list(range(SLOTS))), legend=None)


def as_given() -> alt.OrderValue:
    """Lines go through their rows as they come: sorted ones need not be sorted again."""
    return alt.OrderValue(None)


def kept() -> alt.Key:
    """Marks stay and move as their rows come with other numbers: without it the browser draws all of them anew. Lines need none."""
    return alt.Key("nth:Q")


def dash() -> alt.StrokeDash:
    return alt.StrokeDash("series:N", legend=None,
                          scale=alt.Scale(domain=list(SERIES_STYLES), range=[list(look.dash) for look in SERIES_STYLES.values()]))


def shape() -> alt.Shape:
    return alt.Shape("series:N", legend=None, scale=alt.Scale(domain=list(SERIES_STYLES), range=[look.marker for look in SERIES_STYLES.values()]))


def compiled(chart: alt.LayerChart, right: int, height: int = HEIGHT, mirrored: bool = False, finite: bool = False) -> dict[str, Any]:
    """The specification, with room for the names at the ends of the lines; ``finite``: the browser need not look for other numbers."""
    left, right = (right, 5) if mirrored else (5, right)
    spec = chart.properties(height=height, padding={"left": left, "top": 0, "bottom": 5, "right": right}).to_dict(validate=False)
    palette = {"datum": SLOTS - 1, "type": "nominal", "scale": {"domain": list(range(SLOTS))}, "legend": None}
    _below_the_top(spec["layer"])
    _say_once(spec["layer"])
    if spec.get("datasets", {}).pop("empty", None) is not None:  # what Altair calls a chart without data: it takes the table
        for layer in spec["layer"]:
            if layer.get("data") == {"name": "empty"}:
                del layer["data"]
    spec["layer"].append({"data": {"values": [{}]}, "mark": {"type": "point", "opacity": 0}, "encoding": {"stroke": palette}})
    spec.pop("$schema", None)
    spec["config"] = {"mark": {"aria": False} | ({"invalid": None} if finite else {})}  # the chart has one description
    return spec


def _below_the_top(layers: list[dict[str, Any]]) -> None:
    """End the vertical axis ``TOP`` below the chart's upper edge, where the numbers say how far it goes."""
    for layer in itertools.chain.from_iterable(layer.get("layer", [layer]) for layer in layers):
        y = layer["encoding"].get("y", {})
        if "field" in y and "domain" not in y.get("scale", {}):
            y["scale"] = {"range": [{"expr": "height"}, TOP], **y.get("scale", {})}


def _say_once(layers: list[dict[str, Any]]) -> None:
    """Leave an axis or a scale out where an earlier layer has the same one: most of the specification, which travels with every
    rerun. Vega-Lite gives the channel of all layers what one of them says."""
    said: list[tuple[str, str, dict[str, Any]]] = []
    for layer in itertools.chain.from_iterable(layer.get("layer", [layer]) for layer in layers):
        for channel, where in layer["encoding"].items():
            for what in ("axis", "scale") if isinstance(where, dict) else ():
                if (one := (channel, what, where.get(what))) in said:
                    del where[what]
                elif one[2]:
                    said.append(one)


ENLARGED = {"fontSize": 1.4, "labelFontSize": 1.4, "minExtent": 1.4, "titleFontSize": 1.3, "strokeWidth": 1.8, "size": 2.2, "height": 1.05}


def enlarged(spec: Any) -> Any:
    """The same specification with larger type and thicker lines, for the back row."""
    if isinstance(spec, list):
        return [enlarged(part) for part in spec]
    if not isinstance(spec, dict):
        return spec
    return {key: round(value * ENLARGED[key]) if key in ENLARGED and isinstance(value, (int, float)) else enlarged(value)
            for key, value in spec.items()}
