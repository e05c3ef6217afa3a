"""Styles of series: one colour, dash and marker for each, on every page.

Colours are slots of the theme's palette; light and dark have seven each, so charts have one specification.
"""

from __future__ import annotations

from dataclasses import dataclass

SLOTS = 7


@dataclass(frozen=True)
class SeriesStyle:
    """Colour (slot of the palette), dash (pixels on and off), marker (shape or path of Vega) of a series."""

    slot: int
    dash: tuple[int, ...]
    marker: str


GLYPHS = {"circle": "●", "triangle-up": "▲", "cross": "✚", "diamond": "◆"}  # markers, for sentences
STAR = "M0,-1.3L.38,-.53L1.24,-.4L.62,.2L.76,1.05L0,.65L-.76,1.05L-.62,.2L-1.24,-.4L-.38,-.53Z"
SALTIRE = "M-1.1,-.6L-.6,-1.1L0,-.5L.6,-1.1L1.1,-.6L.5,0L1.1,.6L.6,1.1L0,.5L-.6,1.1L-1.1,.6L-.5,0Z"
DOTS = "M-1.5,-.3H-.9V.3H-1.5ZM-.3,-.3H.3V.3H-.3ZM.9,-.3H1.5V.3H.9Z"
SOLID, DASHED, DOTTED, DASHDOT = (1, 0), (8, 4), (2, 3), (10, 3, 2, 3)

SERIES_STYLES = {name: SeriesStyle(*style) for name, style in {
    # initializers: the uniform twin of a normal one has another colour, is dashed, and has its own marker
    "zeros": (6, DOTTED, "cross"),
    "small_normal": (4, SOLID, "diamond"),
    "standard_normal": (1, SOLID, "triangle-up"),
    "lecun_normal": (2, SOLID, "square"),
    "lecun_uniform": (1, DASHED, "cross"),
    "glorot_normal": (3, SOLID, "triangle-down"),
    "glorot_uniform": (4, DASHED, "triangle-up"),
    "he_normal": (0, SOLID, "circle"),
    "he_uniform": (5, DASHED, "diamond"),
    "lecun_fan_out": (2, DOTTED, "triangle-left"),
    "he_fan_out": (0, DOTTED, "triangle-right"),
    "bert_normal": (4, DASHED, "circle"),
    "uniform": (1, DASHED, "diamond"),
    "constant": (6, DASHED, "square"),
    "orthogonal": (5, SOLID, "triangle-right"),
    "identity": (6, SOLID, "triangle-left"),
    "siren": (4, DOTTED, SALTIRE),
    "pytorch_default": (5, DASHDOT, STAR),
    "keras_default": (3, DASHDOT, STAR),
    "flax_default": (2, DASHDOT, STAR),
    "playground_default": (1, DASHDOT, SALTIRE),
    # directions
    "activation": (0, SOLID, "circle"),
    "gradient": (1, DASHED, "square"),
    "activation 1": (0, SOLID, "circle"),
    "activation 2": (2, SOLID, "diamond"),
    "gradient 1": (1, DASHED, "square"),
    "gradient 2": (3, DASHED, "triangle-up"),
    "root mean square": (3, DOTTED, "diamond"),
    # how gradient descent on a chain ended, and its limit of small steps
    "reached": (2, SOLID, "circle"),
    "capped": (1, SOLID, "triangle-up"),
    "frozen": (3, SOLID, "cross"),
    "diverged": (5, SOLID, "diamond"),
    "small steps": (6, SOLID, "circle"),
    # the fate of signal and gradient in a layer, in the order of the colours; a net with other weights
    "vanishing": (0, SOLID, "triangle-down"),
    "exploding": (1, SOLID, "triangle-up"),
    "healthy": (2, SOLID, "circle"),
    "saturated": (3, SOLID, "square"),
    "blocked": (4, SOLID, "M-1,-0.35H1V0.35H-1Z"),
    "identical": (5, SOLID, "diamond"),
    "dead": (6, SOLID, "cross"),
    "other weights": (2, DASHED, "diamond"),
    # the neuron: a distribution, and the rules
    "sampled": (0, SOLID, "circle"),
    "predicted": (1, SOLID, "circle"),
    "Gaussian": (2, DASHED, "circle"),
    "0.01^2": (4, SOLID, "diamond"),
    "1": (1, SOLID, "triangle-up"),
    "1/n": (2, SOLID, "square"),
    "2/n": (0, SOLID, "circle"),
    "2/(n_in+n_out)": (3, SOLID, "triangle-down"),
    "limit": (6, DOTTED, DOTS),
    # pairs of inputs, by the correlation that they start with
    "uncorrelated": (0, SOLID, "circle"),
    "related": (2, DASHED, "square"),
    "nearly equal": (1, DASHDOT, "diamond"),
    # a mistake that circulates, and what is right
    "mistaken": (1, DASHED, "cross"),
    "right": (0, SOLID, "circle"),
}.items()}
