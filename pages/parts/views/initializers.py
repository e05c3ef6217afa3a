"""Comparison of initializers: the verdict in words, and the tables of its charts."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from pages.parts import charts, names
from pages.parts.text import count, listed, markdown_table, measured, ten_to, times
from pages.parts.views.seed_points import seed_points
from vgdash.diagnosis.courses import Course
from vgdash.diagnosis.diagnosis import diagnose, judged_as_if_even
from vgdash.diagnosis.record import Diagnosis, Direction
from vgdash.diagnosis.words import describe, figure, in_all, mild
from vgdash.probe.probe import Probe
from vgdash.theory.layerwise import Prediction, predict

WHY = r"""
**Why.** Each layer multiplies the mean square of the signal $z$. On the way back it multiplies that of the
gradient $\delta = \partial C/\partial z$:

$$\frac{q_{l+1}}{q_l} = n_{in}\,\mathrm{Var}(w)\,\frac{E[f(z)^2]}{q_l}$$

$$\frac{E[\delta_{l}^2]}{E[\delta_{l+1}^2]} = n_{out}\,\mathrm{Var}(w)\,E[f'(z)^2]$$

Here $n_{in}$ counts the inputs of a neuron, and $n_{out}$ the neurons in its layer. Both factors must be 1.
For ReLU both averages are $\tfrac12$. So $\mathrm{Var}(w) = 2/n$ serves both where all widths are equal. A
linear net needs $1/n$ for both. For curved activations, such as tanh, no number fixes both. Where widths
differ, Glorot's $2/(n_{in}+n_{out})$ is a compromise.

Lines: theory. Shaded: where 19 of 20 random nets should lie. Points: nets that were drawn; bars show the
spread between them.
"""
LEFT_OVER = """
**What is left over.** A good start helps, but it does not solve everything. Three examples:

- [One net is not the mean](initializers?scene=finite%20width). The same formula draws nets 20 units wide and
  100 layers deep. Their signals differ a thousandfold.
- [Inputs become parallel](initializers?scene=parallel%20inputs). The sizes stay right, but different inputs
  end up pointing the same way. So late layers cannot tell them apart.
- [The signal holds, the gradient does not](initializers?scene=BatchNorm). Normalization fixes the way
  forward. On the way back it multiplies gradients.
"""
TWO_LINES = 245  # characters of a verdict at 1280 pixels; a longer one leaves out Adam
COURSE, SPECTRUM = "signal and gradient", "singular values"
WEIGHT_GRADIENT = "weight gradients"
STATISTICS = {WEIGHT_GRADIENT: "E[(∂C/∂W)²]", "correlation": "correlation of two inputs",
              "saturated": "saturated units", "dead": "dead units", "a_mean": "mean of a"}
MEANINGS = {  # of the statistics, below their charts
    WEIGHT_GRADIENT: "The mean square of the gradient that the weights of a layer get.",
    "correlation": "Two unrelated inputs go through the net. At 1 a layer cannot tell them apart.",
    "saturated": "A unit is saturated where the activation is so flat that hardly any gradient passes: its "
                 "slope is below 5 % of the steepest.",
    "dead": "A dead unit gives 0 for every input of the batch. So no gradient reaches its weights.",
    "a_mean": "Lines: theory for very wide nets. Deep in the net, single nets of this width stray from it.",
}
HISTOGRAMS = {"histograms": ("z", "signal"), "gradient histograms": ("∂C/∂z", "gradient")}
LOOKS_AT = (COURSE, *STATISTICS, *HISTOGRAMS, SPECTRUM)
CLOSER = (*HISTOGRAMS, SPECTRUM)  # looks at the nets of one initializer
NUMBERS_HEADER = (("| theory / measured | signal, E[z²] → | ← gradient, E[δ²] |", " besides |"),
                  ("|---|--:|--:|", "---|"))
FARTHEST = 400  # decades; beyond it a line only flattens the rest of the chart
POINTS, LINE = 11, 21  # layers of the measured points and of a line, at most
CLOSE = 0.002  # of the range of a chart's theory: half a pixel
NO_BREAK = "\u00a0"
A_LAYER, IN_ALL = " a layer", " in all"  # ends of a figure
BOTH = "Signal and gradient "

Pairs = Sequence[tuple[Probe, Prediction]]
cached_prediction = lru_cache(maxsize=64)(predict)  # 1 to 14 ms


@dataclass(frozen=True)
class ComparisonView:
    verdict: str
    forward: pa.Table
    backward: pa.Table
    numbers: str
    remarks: str


def comparison_view(probes: Sequence[Probe]) -> ComparisonView:
    """Show the fate of signal and gradient: measured on nets, predicted by mean-field theory."""
    pairs, found = _pairs(probes), [cached_diagnosis(probe) for probe in probes]
    return ComparisonView(_verdict(found), _course(pairs, "q"), _course(pairs, "grad2"),
                          _numbers(probes, found), _remarks(pairs))


@lru_cache(maxsize=64)
def cached_diagnosis(probe: Probe) -> Diagnosis:
    """Diagnose measured nets; both views of a comparison need it."""
    return diagnose(probe.params, probe, cached_prediction(probe.params))


def _pairs(probes: Sequence[Probe]) -> Pairs:
    return [(probe, cached_prediction(probe.params)) for probe in probes]


# ---- words

def _verdict(found: Sequence[Diagnosis]) -> str:
    """Say each diagnosis once, for all initializers that have it; those that learn first."""
    def order(one: Diagnosis) -> tuple[bool, ...]:
        return one.learns is False, one.learns is None, any(finding.trouble for finding in one.troubles)

    groups: dict[str, list[Diagnosis]] = {}
    for one in sorted(found, key=order):
        groups.setdefault(one.sentence, []).append(one)
    said = f"{count(found[0].params.depth, 'layer')}: {' '.join(_say(group) for group in groups.values())}"
    return said if len(said) < TWO_LINES else re.sub(r"; (Adam may|Adam can|nor can Adam)\.", ".", said)


def _say(group: Sequence[Diagnosis]) -> str:
    """Say the diagnosis that several initializers share: "LeCun vanishes, ×0.50 a layer."."""
    who = listed([names.short(one.params.initializer) for one in group])
    sentence = group[0].sentence.replace("this net", "it" if len(group) == 1 else "them")
    if not sentence.startswith(BOTH):
        return f"{who}: {sentence[0].lower()}{sentence[1:]}"
    rest = sentence.removeprefix(BOTH)
    if len(group) == 1:  # holds, vanishes; what is a power of the depth grows or falls
        rest = re.sub(r"^\w+", describe(group[0].signal, mild(group[0])).split(" ")[0].rstrip(","), rest)
    return f"{who} {rest}"


def _numbers(probes: Sequence[Probe], found: Sequence[Diagnosis]) -> str:
    """Markdown: the figures of each initializer, forward and backward, predicted and measured."""
    besides = [one.besides for one in found]
    header, below = (line + more * any(besides) for line, more in NUMBERS_HEADER)
    return markdown_table(f"{header}\n{below}", (
        [names.long(one.params.initializer), _figures(one.signals, probe, "q", 1),
         _figures(one.gradients, probe, "grad2", -1), *[beside or "–"] * any(besides)]
        for probe, one, beside in zip(probes, found, besides, strict=True)))


def _figures(way: Direction, probe: Probe, name: str, sign: int) -> str:
    """Write what theory and the nets do; a measured factor a layer with its standard error.

    What comes out in all has the range of the nets. Where they do as theory says the typical one is their
    geometric mean, else it is the middle one. Figures of unlike units are compared by what comes out in all.
    """
    predicted, nets, values = way.predicted, way.measured, probe.log10(name)[:, ::sign]
    even = len(set(probe.params.widths[1:])) == 1 < min(values.shape) and np.isfinite(values).all()
    theirs = figure(predicted) if predicted else "–"
    ours = figure(nets) if nets else "–"
    if even and nets and nets.factor and theirs.endswith(A_LAYER):
        slopes = (values[:, -1] - values[:, 0]) / (values.shape[1] - 1)
        factor, error = 10 ** slopes.mean(), math.log(10) * slopes.std(ddof=1) / math.sqrt(len(slopes))
        ours = f"×{measured(factor, factor * error)}".replace(" ", NO_BREAK)
        return f"{theirs} / {ours}"
    if predicted and nets and _unit(theirs) != _unit(ours) and math.isfinite(predicted.total + nets.total):
        theirs, ours = (_with_end(one, one is way.course) for one in (predicted, nets))
    if even and nets and ours.endswith(IN_ALL):
        start = 0.0 if sign > 0 else values[:, 0]  # inputs have a mean square of 1
        changes = values[:, -1] - start
        typical = changes.mean() if way.course is predicted else nets.total
        ends = f"{times(10**typical)}{IN_ALL} ({times(10 ** changes.min())} to {times(10 ** changes.max())})"
        ours = ours.removesuffix(in_all(nets)) + ends
    return f"{theirs} / {ours}"


def _unit(text: str) -> str:
    """Return what the number of a figure counts: a layer, all layers, one layer, the depth, a mean square."""
    return next((unit for unit in (A_LAYER, IN_ALL, " on its way", " in layer", "like") if unit in text), "")


def _with_end(course: Course, believed: bool) -> str:
    """Write what a course adds up to, after the figure that the verdict has of it."""
    text, end = figure(course), in_all(course)
    return f"{text}, {end}" if believed and not text.endswith(IN_ALL) else end


def _remarks(pairs: Pairs) -> str:
    """Explain where the theory gives nothing; the rule for unequal widths, and a last layer of its own."""
    reasons: dict[str, list[str]] = {}
    uneven = len(set(pairs[0][0].params.widths[1:])) > 1
    rule = ["Where widths differ, a direction holds if its mean over the units does, or its sum: "
            "either is enough (He et al. 2015). The charts draw means. The table takes the one that holds."]
    for probe, theory in pairs:
        p = probe.params
        said = theory.reason.split("; ")
        if judged_as_if_even(p):
            said.append("verdict and table count the last layer as one like the others. "
                        f"The charts draw it as it is, {times(p.last_scale) if p.last_scale else 'all 0'}")
        for reason in filter(None, said):
            reasons.setdefault(reason, []).append(names.short(p.initializer))
    return " ".join([*rule[:uneven], *(f"{listed(whose)}: {reason}." for reason, whose in reasons.items())])


# ---- tables

def _course(pairs: Pairs, name: str) -> pa.Table:
    """q or grad2 by layer, as log10: theory as lines with a band, measurement as points with a range."""
    predicted = np.array([(getattr(theory, f"log10_{name}"), *theory.interval(name)) for _, theory in pairs])
    predicted[~(np.abs(predicted) < FARTHEST)] = np.nan  # (nets, 3, depth)
    line, low, high = predicted.transpose(1, 0, 2)
    without = ~(np.isfinite(low) & np.isfinite(high))
    low[without] = high[without] = line[without]  # a band of no height: browsers draw a missing end at 0
    known = predicted[np.isfinite(predicted)]
    parts, ends = [], {}
    for (probe, _), curves in zip(pairs, predicted, strict=True):
        series, values, line = probe.params.initializer, probe.log10(name), curves[0]
        along = charts.simplify_polyline(curves, LINE, CLOSE * np.ptp(known) if known.size else 0.0)
        parts += [charts.rows("line", series, along + 1, *curves[:, along]),
                  seed_points(series, values, POINTS, ten_to, f"{names.short(series)}, ")]
        shown = line if np.isfinite(line).any() else values.mean(axis=0)
        if len(finite := np.flatnonzero(np.isfinite(shown))):
            at = finite[-1] if name == "q" else finite[0]
            ends[series] = (at + 1, shown[at])
    return charts.table([*parts, *charts.end_labels(ends)])


def shares_view(probes: Sequence[Probe], name: str) -> pa.Table:
    """Show one of ``STATISTICS`` by layer: theory as lines, measurement as points; a gradient as log10."""
    parts, ends, decades = [], {}, name == WEIGHT_GRADIENT
    spell = ten_to if decades else "{:z.3f}".format
    for probe, theory in _pairs(probes):
        series = probe.params.initializer
        values = probe.log10("dw2") if decades else getattr(probe, name)
        if name != "dead":
            line = theory.log10_dw2 if decades else getattr(theory, name)
            line = np.where(np.abs(line) < FARTHEST, line, np.nan)
            along = charts.simplify_polyline(line[None], LINE, CLOSE)
            parts.append(charts.rows("line", series, along + 1, line[along]))
        parts.append(seed_points(series, values, POINTS, spell, f"{names.short(series)}, "))
        middle = values.mean(axis=0)
        if len(finite := np.flatnonzero(np.isfinite(middle))):
            ends[series] = (finite[-1] + 1, middle[finite[-1]])
    return charts.table([*parts, *charts.end_labels(ends)])
