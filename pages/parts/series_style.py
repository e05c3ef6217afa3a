"""The visual language: every series has one colour, dash and marker, on every page.

Colours are slots of the theme's palette (light and dark have their own seven), so the specification of a chart is the same in both.
"""

from __future__ import annotations

from dataclasses import dataclass

SLOTS = 7


@dataclass(frozen=True)
class Look:
    slot: int
    dash: tuple[int, ...] = (1, 0)
    marker: str = "circle"


GLYPHS = {"circle": "●", "triangle-up": "▲", "cross": "✚", "diamond": "◆"}  # markers, as a sentence can show them
SOLID, DASHED, DOTTED, DASHDOT = (1, 0), (8, 4), (2, 3), (10, 3, 2, 3)

LOOKS: dict[str, Look] = {
    # initializers: the uniform twin of a normal one has its colour, dashed, and a marker of its own
    "zeros": Look(6, DOTTED, "cross"),
    "small_normal": Look(4, SOLID, "diamond"),
    "standard_normal": Look(1, SOLID, "triangle-up"),
    "lecun_normal": Look(2, SOLID, "square"),
    "lecun_uniform": Look(2, DASHED, "cross"),
    "glorot_normal": Look(3, SOLID, "triangle-down"),
    "glorot_uniform": Look(3, DASHED, "triangle-up"),
    "he_normal": Look(0, SOLID, "circle"),
    "he_uniform": Look(0, DASHED, "diamond"),
    "orthogonal": Look(5, SOLID, "triangle-right"),
    "identity": Look(6, SOLID, "triangle-left"),
    "pytorch_default": Look(5, DASHDOT, "stroke"),
    "playground_default": Look(1, DASHDOT, "wedge"),
    # directions
    "activation": Look(0, SOLID, "circle"),
    "gradient": Look(1, DASHED, "square"),
    "root mean square": Look(3, DOTTED, "diamond"),
    # how gradient descent on a chain ended, and its limit of small steps
    "reached": Look(2, SOLID, "circle"),
    "capped": Look(1, SOLID, "triangle-up"),
    "frozen": Look(3, SOLID, "cross"),
    "diverged": Look(5, SOLID, "diamond"),
    "small steps": Look(6, SOLID, "circle"),
    # the neuron: a distribution, and the rules
    "sampled": Look(0, SOLID, "circle"),
    "predicted": Look(1, SOLID, "circle"),
    "Gaussian": Look(2, DASHED, "circle"),
    "0.01^2": Look(4, SOLID, "diamond"),
    "1": Look(1, SOLID, "triangle-up"),
    "1/n": Look(2, SOLID, "square"),
    "2/n": Look(0, SOLID, "circle"),
    "2/(n_in+n_out)": Look(3, SOLID, "triangle-down"),
    # pairs of inputs, by the correlation that they start with
    "uncorrelated": Look(0, SOLID, "circle"),
    "related": Look(2, DASHED, "square"),
    "nearly equal": Look(1, DASHDOT, "diamond"),
    # a mistake that circulates, and what is right
    "mistaken": Look(1, DASHED, "cross"),
    "right": Look(0, SOLID, "circle"),
}
