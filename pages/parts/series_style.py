"""The visual language: every series has one colour, dash and marker, on every page.

Colours are slots of the theme's palette; light and dark have seven each, so charts have one specification.
"""

from __future__ import annotations

from dataclasses import dataclass

SLOTS = 7


@dataclass(frozen=True)
class SeriesStyle:
    slot: int
    dash: tuple[int, ...] = (1, 0)
    marker: str = "circle"


GLYPHS = {"circle": "●", "triangle-up": "▲", "cross": "✚", "diamond": "◆"}  # markers, for sentences
SOLID, DASHED, DOTTED, DASHDOT = (1, 0), (8, 4), (2, 3), (10, 3, 2, 3)

SERIES_STYLES: dict[str, SeriesStyle] = {
    # initializers: the uniform twin of a normal one has its colour, dashed, and a marker of its own
    "zeros": SeriesStyle(6, DOTTED, "cross"),
    "small_normal": SeriesStyle(4, SOLID, "diamond"),
    "standard_normal": SeriesStyle(1, SOLID, "triangle-up"),
    "lecun_normal": SeriesStyle(2, SOLID, "square"),
    "lecun_uniform": SeriesStyle(2, DASHED, "cross"),
    "glorot_normal": SeriesStyle(3, SOLID, "triangle-down"),
    "glorot_uniform": SeriesStyle(3, DASHED, "triangle-up"),
    "he_normal": SeriesStyle(0, SOLID, "circle"),
    "he_uniform": SeriesStyle(0, DASHED, "diamond"),
    "orthogonal": SeriesStyle(5, SOLID, "triangle-right"),
    "identity": SeriesStyle(6, SOLID, "triangle-left"),
    "pytorch_default": SeriesStyle(5, DASHDOT, "stroke"),
    "playground_default": SeriesStyle(1, DASHDOT, "wedge"),
    # directions
    "activation": SeriesStyle(0, SOLID, "circle"),
    "gradient": SeriesStyle(1, DASHED, "square"),
    "root mean square": SeriesStyle(3, DOTTED, "diamond"),
    # how gradient descent on a chain ended, and its limit of small steps
    "reached": SeriesStyle(2, SOLID, "circle"),
    "capped": SeriesStyle(1, SOLID, "triangle-up"),
    "frozen": SeriesStyle(3, SOLID, "cross"),
    "diverged": SeriesStyle(5, SOLID, "diamond"),
    "small steps": SeriesStyle(6, SOLID, "circle"),
    # the neuron: a distribution, and the rules
    "sampled": SeriesStyle(0, SOLID, "circle"),
    "predicted": SeriesStyle(1, SOLID, "circle"),
    "Gaussian": SeriesStyle(2, DASHED, "circle"),
    "0.01^2": SeriesStyle(4, SOLID, "diamond"),
    "1": SeriesStyle(1, SOLID, "triangle-up"),
    "1/n": SeriesStyle(2, SOLID, "square"),
    "2/n": SeriesStyle(0, SOLID, "circle"),
    "2/(n_in+n_out)": SeriesStyle(3, SOLID, "triangle-down"),
    # pairs of inputs, by the correlation that they start with
    "uncorrelated": SeriesStyle(0, SOLID, "circle"),
    "related": SeriesStyle(2, DASHED, "square"),
    "nearly equal": SeriesStyle(1, DASHDOT, "diamond"),
    # a mistake that circulates, and what is right
    "mistaken": SeriesStyle(1, DASHED, "cross"),
    "right": SeriesStyle(0, SOLID, "circle"),
}
