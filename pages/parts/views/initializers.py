"""Comparison of initializers: the verdict in words, and the tables of its charts."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from pages.parts import charts
from pages.parts.text import count, listed, markdown_table, measured, ten_to, times
from pages.parts.views.seed_points import seed_points
from vgdash.probe.probe import Probe
from vgdash.theory.layerwise import Prediction, predict

WHY = r"""
**Why.** Forward, each layer multiplies the mean square of the signal; backward, that of the gradient:

$$\frac{q_{l+1}}{q_l} = n_{in}\,\mathrm{Var}(w)\,\frac{E[f(z)^2]}{q_l}$$

$$\frac{E[\delta_{l}^2]}{E[\delta_{l+1}^2]} = n_{out}\,\mathrm{Var}(w)\,E[f'(z)^2]$$

Each must be 1. For ReLU both averages are $\tfrac12$, so $\mathrm{Var}(w) = 2/n$ serves both, if
$n_{in} = n_{out}$. For other activations one number cannot fix both at once, and Glorot's
$2/(n_{in}+n_{out})$ is the compromise for unequal widths.

Lines are this theory, with the interval in which it expects 19 of 20 nets; points are measured, with the
range of the seeds.
"""
LEFT_OVER = """
**What is left over.** A good start helps, and does not solve everything. Three ways to see it: [one net is
not the mean](initializers?scene=finite%20width): 20 units wide, 100 layers deep, the same formula gives
signals that differ by orders of magnitude from seed to seed; [norms stay, inputs become
parallel](initializers?scene=parallel%20inputs): the last layers cannot tell two inputs apart; [the signal
holds, the gradient does not](initializers?scene=BatchNorm): normalization fixes the way forward, and
multiplies gradients on the way back.
"""
COURSE, SPECTRUM = "signal and gradient", "singular values"
WEIGHT_GRADIENT = "weight gradients"
STATISTICS = {WEIGHT_GRADIENT: "E[(∂C/∂W)²]", "correlation": "correlation of two inputs",
              "saturated": "saturated units", "dead": "dead units", "a_mean": "mean of a"}
HISTOGRAMS = {"histograms": ("z", "signal"), "gradient histograms": ("∂C/∂z", "gradient")}
LOOKS_AT = (COURSE, *STATISTICS, *HISTOGRAMS, SPECTRUM)
NUMBERS_HEADER = "| a layer: predicted, measured | E[z²] → | ← E[δ²] |\n|---|--:|--:|"
STEADY = 1.0  # decades that q or the gradient may move over the whole depth and still count as steady
FARTHEST = 400  # decades; beyond it a line only flattens the rest of the chart
POINTS, LINE = 11, 21  # layers of the measured points and of a line, at most
CLOSE = 0.002  # of the range of a chart's theory: half a pixel
NO_BREAK = "\u00a0"
NAMES = {"q": "E[z²]", "grad2": "the gradient"}
SIGNS = {"q": 1, "grad2": -1}  # the gradient runs from the last layer to the first
FORMS = re.compile(r"\{(.+?)\|(.+?)\}")  # {singular|plural}
PLURAL = {"holds": "hold", "holds on average": "hold on average", "vanishes": "vanish", "explodes": "explode"}

Pairs = Sequence[tuple[Probe, Prediction]]
cached_prediction = lru_cache(maxsize=64)(predict)  # both views of a comparison need it; 1 to 14 ms


@dataclass(frozen=True)
class ComparisonView:
    verdict: str
    forward: pa.Table
    backward: pa.Table
    numbers: str
    remarks: str


def comparison_view(probes: Sequence[Probe]) -> ComparisonView:
    """Show the fate of signal and gradient: measured on nets, predicted by mean-field theory."""
    pairs = _pairs(probes)
    return ComparisonView(_verdict(pairs), _course(pairs, "q"), _course(pairs, "grad2"), _numbers(pairs),
                          _remarks(pairs))


def _pairs(probes: Sequence[Probe]) -> Pairs:
    return [(probe, cached_prediction(probe.params)) for probe in probes]


# ---- words

def _measured_factor(values: np.ndarray) -> tuple[float, float]:
    """log10 of the factor a layer and its standard error over seeds, from log10 values (seeds, depth)."""
    columns = np.flatnonzero(np.isfinite(values).all(axis=0))
    if len(columns) < 2:
        return math.nan, math.nan
    slopes = (values[:, columns[-1]] - values[:, columns[0]]) / (columns[-1] - columns[0])
    error = float(slopes.std(ddof=1) / math.sqrt(len(slopes))) if len(slopes) > 1 else math.nan
    return float(slopes.mean()), error


def _predicted_factor(theory: Prediction, name: str) -> float:
    """log10 of the factor a layer, in the direction of the signal or of the gradient."""
    values = getattr(theory, f"log10_{name}")
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite) < 2:
        return math.nan
    return float((values[finite[-1]] - values[finite[0]]) / (finite[-1] - finite[0])) * SIGNS[name]


def _fate(probe: Probe, theory: Prediction) -> tuple[str, str]:
    """Fate of signal and gradient: a word for sorting, and the event and its layer, or the statistic.

    Where the mean over all nets is steady, single nets of finite width still wander, most of them down. Verbs
    and subjects have two forms, {of one net|of several}.
    """
    if at := probe.overflow:
        return "explodes", f"{{overflows|overflow}} float32 at layer {at}"
    if at := probe.underflow:
        lost = f"float32 loses digits from layer {at}"
        return "vanishes", f"{{is|are}} zero from layer {at}" if _has_zero(probe.q, at) else lost
    if at := probe.overflow_backward:
        return "explodes", f"{{its gradient overflows|their gradients overflow}} float32 at layer {at}"
    if at := probe.underflow_backward:
        zero = "{its gradient is|their gradients are} zero"
        lost = "float32 loses digits of the gradient"
        return "vanishes", f"{zero if _has_zero(probe.grad2, at) else lost} at layer {at}"
    # a sum over the units may hold where the mean does not
    wider = math.log10(probe.params.widths[-1] / probe.params.widths[1])
    wandered = ""
    for name in NAMES:
        values = probe.log10(name)
        change = float(np.mean(values[:, -1] - values[:, 0]))
        change = min(change, change + wider, key=abs) * SIGNS[name]
        if abs(change) > STEADY:
            mean, end = getattr(theory, f"log10_{name}"), -1 if name == "q" else 0
            low, high = (bound[end] for bound in theory.interval(name))
            if not (abs(mean[-1] - mean[0]) < STEADY and low < values[:, end].mean() < high):
                return ("vanishes" if change < 0 else "explodes"), name
            wandered = wandered or name
    return ("holds on average", wandered) if wandered else ("holds", "")


def _has_zero(squares: np.ndarray, layer: int) -> bool:
    return bool((squares[:, layer - 1] == 0).any())


def _verdict(pairs: Pairs) -> str:
    """Group the initializers by their fate, and say it once for each group."""
    groups: dict[tuple[str, str, str], list[tuple[Probe, Prediction]]] = {}
    for probe, theory in pairs:
        word, where = _fate(probe, theory)
        predicted = _range([_predicted_factor(theory, where)]) if where in NAMES else ""
        groups.setdefault((word, where, predicted), []).append((probe, theory))
    said = []
    for (word, where, _), group in sorted(groups.items(), key=lambda item: item[0]):
        what = f" ({_factors(where, group) if where in NAMES else where})" if where else ""
        names = [probe.params.initializer for probe, _ in group]
        verb, form = (word, r"\1") if len(group) == 1 else (PLURAL[word], r"\2")
        said.append(f"{listed(names)} {verb}{FORMS.sub(form, what)}")
    return f"{count(pairs[0][0].params.depth, 'layer')}: {'; '.join(said)}."


def _factors(name: str, group: Pairs) -> str:
    """Factors a layer of a statistic, predicted and measured."""
    predicted = [_predicted_factor(theory, name) for _, theory in group]
    seen = [_measured_factor(probe.log10(name))[0] * SIGNS[name] for probe, _ in group]
    theirs = f"predicted {_range(predicted)}, " if np.isfinite(predicted).all() else ""
    return f"{NAMES[name]} {theirs}measured {_range(seen)} a layer"


def _range(exponents: list[float]) -> str:
    ends = (min(exponents), max(exponents))
    return " to ".join(dict.fromkeys("–" if math.isnan(end) else times(10**end) for end in ends))


def _numbers(pairs: Pairs) -> str:
    """Markdown: the factor a layer, forward and backward, predicted and measured, for each initializer."""
    return markdown_table(NUMBERS_HEADER, (
        [probe.params.initializer, *(_predicted_and_measured(probe, theory, name) for name in NAMES)]
        for probe, theory in pairs))


def _predicted_and_measured(probe: Probe, theory: Prediction, name: str) -> str:
    factor = 10 ** _predicted_factor(theory, name)
    predicted = "–" if math.isnan(factor) else f"×{factor:.3f}" if 0.1 <= factor < 10 else times(factor)
    value, error = _measured_factor(probe.log10(name))
    factor = 10 ** (SIGNS[name] * value)
    if math.isnan(value):
        seen = "–"
    elif math.isnan(error):
        seen = times(factor)
    else:
        seen = f"×{measured(factor, factor * math.log(10) * error)}".replace(" ", NO_BREAK)
    return f"{predicted}, {seen}"


def _remarks(pairs: Pairs) -> str:
    """Explain where the theory gives nothing; and the rule for unequal widths."""
    reasons: dict[str, list[str]] = {}
    uneven = len(set(pairs[0][0].params.widths[1:])) > 1
    rule = ["Where widths differ, a direction holds if its mean over the units does, or its sum: "
            "either is enough (He et al. 2015)."]
    for probe, theory in pairs:
        if theory.reason:
            reasons.setdefault(theory.reason, []).append(probe.params.initializer)
    return " ".join([*rule[:uneven], *(f"{listed(names)}: {reason}." for reason, names in reasons.items())])


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
                  seed_points(series, values, POINTS, ten_to, f"{series}, ")]
        shown = line if np.isfinite(line).any() else values.mean(axis=0)
        if len(finite := np.flatnonzero(np.isfinite(shown))):
            at = finite[-1] if name == "q" else finite[0]
            ends[series] = (at + 1, shown[at])
    return charts.table([*parts, *charts.end_labels(ends)])


def shares_view(probes: Sequence[Probe], name: str) -> pa.Table:
    """Show one of ``STATISTICS`` by layer: theory as lines, measurement as points; a gradient as log10."""
    parts, ends, decades = [], {}, name == WEIGHT_GRADIENT
    spell = ten_to if decades else "{:.3f}".format
    for probe, theory in _pairs(probes):
        series = probe.params.initializer
        values = probe.log10("dw2") if decades else getattr(probe, name)
        if name != "dead":
            line = theory.log10_dw2 if decades else getattr(theory, name)
            line = np.where(np.abs(line) < FARTHEST, line, np.nan)
            along = charts.simplify_polyline(line[None], LINE, CLOSE)
            parts.append(charts.rows("line", series, along + 1, line[along]))
        parts.append(seed_points(series, values, POINTS, spell, f"{series}, "))
        middle = values.mean(axis=0)
        if len(finite := np.flatnonzero(np.isfinite(middle))):
            ends[series] = (finite[-1] + 1, middle[finite[-1]])
    return charts.table([*parts, *charts.end_labels(ends)])
