"""Drawings of a net and of a neuron as SVG text: their numbers are those of the page.

They take the ink and the size of the page around them, and a description for screen readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

UNIT = 19  # radius of a unit, in pixels of a drawing that is 1000 wide
DECADES = 5  # from 1, over which the colour of a unit fades, or burns
INK = {"vanishing": "light-dark(#0072B2, #56B4E9)", "exploding": "light-dark(#C25400, #E69F00)"}
LATER = 0.5  # opacity of what has not been computed yet


@dataclass(frozen=True)
class Column:
    """Units of one layer: its name, values and log10 of their sizes, and the matrix that leads to it.

    ``gap``: layers before it are left out. ``note``: a number format that gives up here.
    """

    name: str
    values: tuple[str, ...]
    log10_sizes: tuple[float, ...]
    matrix: str = ""
    gap: bool = False
    note: str = ""


def chain_net(columns: Sequence[Column], reached: int, description: str) -> str:
    """Draw the layers of a linear chain from left to right; those after ``reached`` are faint."""
    step = 920 / max(len(columns) - 1, 1)
    places = [40 + step * i for i in range(len(columns))] if len(columns) > 1 else [500]
    parts = []
    for i, (x, column) in enumerate(zip(places, columns, strict=True)):
        inside = [_unit(x, y, value, size) for y, value, size in
                  zip(_heights(column), column.values, column.log10_sizes, strict=True)]
        inside.append(_text(x, 208, index(column.name), 17, "bold"))
        if i:
            inside.append(_arrows(places[i - 1], columns[i - 1], x, column))
        if column.note:
            ring = f'r="{UNIT + 5}" fill="none" stroke="{INK["exploding"]}" stroke-dasharray="5 4"'
            inside += [f'<circle cx="{x:.0f}" cy="{y}" {ring} stroke-width="2.5"/>' for y in _heights(column)]
            inside.append(_text(x, 15, escape(column.note), 16, "bold", INK["exploding"]))
        parts.append(f'<g opacity="{1 if i <= reached else LATER}">{"".join(inside)}</g>')
    return picture(1000, 218, description, "".join(parts))


def _heights(column: Column) -> tuple[float, ...]:
    return (68, 142) if len(column.values) == 2 else (105,)


def _unit(x: float, y: float, value: str, log10_size: float) -> str:
    """Draw a unit and its value: full at a size of 1, pale where it vanishes, burning where it explodes."""
    far = min(abs(log10_size) / DECADES, 1)
    colour, opacity = ((INK["vanishing"], 0.5 * (1 - far)) if log10_size <= 0 else
                       (INK["exploding"], 0.3 + 0.7 * far))
    dy = -UNIT - 11 if y < 105 else UNIT + 22
    return (f'<circle cx="{x:.0f}" cy="{y}" r="{UNIT}" fill="{colour}" fill-opacity="{opacity:.2f}" '
            f'stroke="currentColor" stroke-width="1.5"/>' + _text(x, y + dy, escape(value), 16))


def _arrows(start: float, before: Column, end: float, after: Column) -> str:
    """Draw the way from one column to the next: all weights, those on the diagonal strong."""
    middle = (start + end) / 2
    name = _text(middle, 178, index(after.matrix), 15)
    if after.gap:
        return name + _text(middle, 111, "⋯", 30)
    lines = [_line(start + UNIT, y1, end - UNIT, y2, 2 if y1 == y2 or len(after.values) == 1 else 0.6)
             for y1 in _heights(before) for y2 in _heights(after)]
    return "".join(lines) + name


def neuron(inputs: Sequence[tuple[str, str, str]], z: str, a: str, activation: str, gap: bool,
           description: str) -> str:
    """Draw a neuron: each input with its name, value and weight, their sum z, and a = g(z).

    ``gap``: inputs before the last one are left out.
    """
    height, middle = 146, 73
    step = 118 / max(len(inputs) - 1, 1)
    places = [middle] if len(inputs) == 1 else [14 + step * i for i in range(len(inputs))]
    parts = []
    for y, (name, x, w) in zip(places, inputs, strict=True):
        slope = (middle - y) / (330 - 125)
        ends = [(x, y + slope * (x - 125)) for x in (125, 206 - 4 * len(w), 206 + 4 * len(w), 330)]
        parts += [f'<circle cx="114" cy="{y:.0f}" r="11" fill="{INK["vanishing"]}" fill-opacity="0.35" '
                  'stroke="currentColor" stroke-width="1.5"/>',
                  _text(98, y + 5, escape(f"{name} = {x}"), 15, anchor="end"),
                  _line(*ends[0], *ends[1], 1.2), _line(*ends[2], *ends[3], 1.2),  # the weight between them
                  _text(206, y + 5 + slope * 81, escape(w), 14)]
    if gap:
        parts.append(_text(114, places[-1] - step / 2 + 8, "⋮", 22))
    for x, name, value in ((352, "Σ", f"z = {z}"), (482, "g", f"a = {a}")):
        parts += [f'<circle cx="{x}" cy="{middle}" r="24" fill="{INK["vanishing"]}" fill-opacity="0.35" '
                  'stroke="currentColor" stroke-width="1.5"/>', _text(x, middle + 7, name, 20, "bold"),
                  _text(x, middle + 48, escape(value), 17, "bold")]
    parts += [_line(376, middle, 458, middle, 2), _line(506, middle, 552, middle, 2),
              _text(482, middle - 34, escape(activation), 15), _text(352, middle - 34, "sum of w·x", 15)]
    return picture(560, height, description, "".join(parts))


# ---- pieces

def picture(width: int, height: int, description: str, inside: str) -> str:
    """Wrap a drawing as wide as its place, in the ink of the page."""
    return (f'<svg viewBox="0 0 {width} {height}" width="100%" role="img" aria-label="{escape(description)}" '
            f'fill="currentColor" font-family="inherit">{inside}</svg>')


def index(name: str) -> str:
    """Raise the layer of a name such as W[2], as the lecture writes it."""
    stem, bracket, rest = escape(name).partition("[")
    return f'{stem}<tspan font-size="75%" dy="-5">[{rest}</tspan>' if bracket else stem


def _text(x: float, y: float, said: str, size: int, weight: str = "normal", fill: str = "currentColor",
          anchor: str = "middle") -> str:
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" fill="{fill}" '
            f'text-anchor="{anchor}">{said}</text>')


def _line(x1: float, y1: float, x2: float, y2: float, width: float) -> str:
    return (f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="currentColor" '
            f'stroke-width="{width}" stroke-opacity="0.8"/>')
