"""What a comparison of initializers says: the verdict in words, and the tables of its charts."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from pages.parts import charts
from pages.parts.text import count, listed, measured, ten_to, times
from vgdash.probe.probe import Probe
from vgdash.theory.layerwise import Prediction, predict

WHY = r"""
**Why.** Forward, each layer multiplies the mean square of the signal; backward, that of the gradient:

$$\frac{q_{l+1}}{q_l} = n_{in}\,\mathrm{Var}(w)\,\frac{E[f(z)^2]}{q_l}$$

$$\frac{E[\delta_{l}^2]}{E[\delta_{l+1}^2]} = n_{out}\,\mathrm{Var}(w)\,E[f'(z)^2]$$

Each must be 1. For ReLU both averages are $\tfrac12$, so $\mathrm{Var}(w) = 2/n$ serves both, if $n_{in} = n_{out}$.
For other activations one number cannot fix both at once, and Glorot's $2/(n_{in}+n_{out})$ is the compromise for unequal widths.

Lines are this theory, with the interval in which it expects 19 of 20 nets; points are measured, with the range of the seeds.
"""
LEFT_OVER = """
**What is left over.** A good start helps, and does not solve everything. Three ways to see it:
[one net is not the mean](initializers?scene=finite%20width): 20 units wide, 100 layers deep, the same formula gives signals that differ
by orders of magnitude from seed to seed; [norms stay, inputs become parallel](initializers?scene=parallel%20inputs): the last layers
cannot tell two inputs apart; [the signal holds, the gradient does not](initializers?scene=BatchNorm): normalization fixes the way
forward, and multiplies gradients on the way back.
"""
COURSE, HISTOGRAMS, SPECTRUM = "signal and gradient", "histograms", "singular values"
STATISTICS = {"correlation": "correlation of two inputs", "saturated": "saturated units", "dead": "dead units", "a_mean": "mean of a"}
LOOKS_AT = (COURSE, *STATISTICS, HISTOGRAMS, SPECTRUM)
STEADY = 1.0  # decades that q or the gradient may move over the whole depth and still count as steady
POINTS = 11
NO_BREAK = "\u00a0"
LINE = 21
CLOSE = 0.002  # of what the theory of a chart spans: half a pixel


@dataclass(frozen=True)
class ComparisonView:
    verdict: str
    forward: pa.Table
    backward: pa.Table
    numbers: str
    remarks: str


def comparison_view(probes: Sequence[Probe]) -> ComparisonView:
    """What the page shows first of a comparison: measured on nets, predicted by mean-field theory."""
    pairs = _pairs(probes)
    return ComparisonView(_verdict(pairs), _course(pairs, "q"), _course(pairs, "grad2"), _numbers(pairs), _remarks(pairs))


def shares_view(probes: Sequence[Probe], name: str) -> pa.Table:
    """One of ``STATISTICS`` by layer."""
    return _shares(_pairs(probes), name)


def _pairs(probes: Sequence[Probe]) -> list[tuple[Probe, Prediction]]:
    return [(probe, _predicted(probe.params)) for probe in probes]


_predicted = lru_cache(64)(predict)  # both looks at a comparison want the same


# ---- words

def _factor(values: np.ndarray) -> tuple[float, float]:
    """log10 of the factor a layer, mean over seeds, and its standard error; from ``(seeds, depth)`` log10 values."""
    there = np.isfinite(values).all(axis=0)
    if there.sum() < 2:
        return math.nan, math.nan
    columns = np.flatnonzero(there)
    slopes = (values[:, columns[-1]] - values[:, columns[0]]) / (columns[-1] - columns[0])
    return float(slopes.mean()), float(slopes.std(ddof=1) / math.sqrt(len(slopes))) if len(slopes) > 1 else math.nan


def _predicted_factor(values: np.ndarray) -> float:
    finite = np.flatnonzero(np.isfinite(values))
    return float((values[finite[-1]] - values[finite[0]]) / (finite[-1] - finite[0])) if len(finite) > 1 else math.nan


def _fate(probe: Probe, theory: Prediction) -> tuple[str, str]:
    """What becomes of the signal and of the gradient: a word for sorting, and what happens where, or to which statistic.

    Where the mean over all nets is steady, single nets of finite width still wander, most of them down. Of a verb and its subject
    there are two forms, {of one|of several}.
    """
    if at := probe.overflow:
        return "explodes", f"{{overflows|overflow}} float32 at layer {at}"
    if at := probe.underflow:
        return "vanishes", f"{{is|are}} zero from layer {at}" if _zero(probe.q, at) else f"float32 loses digits from layer {at}"
    if at := probe.overflow_backward:
        return "explodes", f"{{its gradient overflows|their gradients overflow}} float32 at layer {at}"
    if at := probe.underflow_backward:
        subject = "{its gradient is|their gradients are} zero" if _zero(probe.grad2, at) else "float32 loses digits of the gradient"
        return "vanishes", f"{subject} at layer {at}"
    wider = math.log10(probe.params.widths[-1] / probe.params.widths[1])  # a sum over the units may hold where the mean does not
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


def _zero(squares: np.ndarray, layer: int) -> bool:
    return bool((squares[:, layer - 1] == 0).any())


def _verdict(pairs: list[tuple[Probe, Prediction]]) -> str:
    depth = pairs[0][0].params.depth
    groups: dict[tuple[str, str, str], list[tuple[Probe, Prediction]]] = {}
    for probe, theory in pairs:
        word, where = _fate(probe, theory)
        predicted = _from_to([_foreseen(theory, where)]) if where in NAMES else ""
        groups.setdefault((word, where, predicted), []).append((probe, theory))
    said = []
    for (word, where, _), group in sorted(groups.items(), key=lambda item: item[0]):
        what = f" ({_a_layer(where, group) if where in NAMES else where})" if where else ""
        names = [probe.params.initializer for probe, _ in group]
        verb, form = (word, r"\1") if len(group) == 1 else (PLURAL[word], r"\2")
        said.append(f"{listed(names)} {verb}{FORMS.sub(form, what)}")
    return f"{count(depth, 'layer')}: {'; '.join(said)}."


def _a_layer(name: str, group: list[tuple[Probe, Prediction]]) -> str:
    """By which factors a statistic goes, predicted and measured."""
    predicted = [_foreseen(theory, name) for _, theory in group]
    seen = [_factor(probe.log10(name))[0] * SIGNS[name] for probe, _ in group]
    theirs = f"predicted {_from_to(predicted)}, " if np.isfinite(predicted).all() else ""
    return f"{NAMES[name]} {theirs}measured {_from_to(seen)} a layer"


def _foreseen(theory: Prediction, name: str) -> float:
    return _predicted_factor(getattr(theory, f"log10_{name}")) * SIGNS[name]


def _from_to(exponents: list[float]) -> str:
    return " to ".join(dict.fromkeys("–" if math.isnan(end) else times(10**end) for end in (min(exponents), max(exponents))))


NAMES, SIGNS = {"q": "E[z²]", "grad2": "the gradient"}, {"q": 1, "grad2": -1}  # the gradient runs from the last layer to the first
FORMS = re.compile(r"\{(.+?)\|(.+?)\}")
PLURAL = {"holds": "hold", "holds on average": "hold on average", "vanishes": "vanish", "explodes": "explode"}


def _numbers(pairs: list[tuple[Probe, Prediction]]) -> str:
    """Markdown: the factor a layer, forward and backward, predicted and measured, for each initializer."""
    lines = ["| a layer: predicted, measured | E[z²] → | ← E[δ²] |", "|---|--:|--:|"]
    for probe, theory in pairs:
        cells = [probe.params.initializer]
        for name, sign in (("q", 1), ("grad2", -1)):
            predicted = _foreseen(theory, name)
            value, error = _factor(probe.log10(name))
            cells.append(f"{'–' if math.isnan(predicted) else _exactly(10**predicted)}, "
                         f"{'–' if math.isnan(value) else _measured_factor(10 ** (sign * value), error)}")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _exactly(factor: float) -> str:
    return f"×{factor:.3f}" if 0.1 <= factor < 10 else times(factor)


def _measured_factor(factor: float, log10_error: float) -> str:
    if math.isnan(log10_error):
        return times(factor)
    return f"×{measured(factor, factor * math.log(10) * log10_error)}".replace(" ", NO_BREAK)


def _remarks(pairs: list[tuple[Probe, Prediction]]) -> str:
    """Where the theory is silent, and why; and what counts as holding."""
    reasons: dict[str, list[str]] = {}
    uneven = len(set(pairs[0][0].params.widths[1:])) > 1
    said = ["Where widths differ, a direction holds if its mean over the units does, or its sum: either is enough (He et al. 2015)."]
    for probe, theory in pairs:
        if theory.reason:
            reasons.setdefault(theory.reason, []).append(probe.params.initializer)
    return " ".join([*said[:uneven], *(f"{listed(names)}: {reason}." for reason, names in reasons.items())])


# ---- tables

def _course(pairs: list[tuple[Probe, Prediction]], name: str) -> pa.Table:
    """q or grad2 by layer, as log10: theory as lines with its band, measurement as points with the range of the seeds."""
    depth = pairs[0][0].params.depth
    dots = charts.evenly_spaced(depth, POINTS)
    foreseen = np.array([(getattr(theory, f"log10_{name}"), *theory.interval(name)) for _, theory in pairs])  # (nets, 3, depth)
    foreseen[~(np.abs(foreseen) < FARTHEST)] = np.nan
    line, low, high = foreseen.transpose(1, 0, 2)
    without = ~(np.isfinite(low) & np.isfinite(high))
    low[without] = high[without] = line[without]  # a band of no height: a browser takes an end that is missing for 0
    known = foreseen[np.isfinite(foreseen)]
    parts, ends = [], {}
    for (probe, _), (line, low, high) in zip(pairs, foreseen, strict=True):
        series, values = probe.params.initializer, probe.log10(name)
        along = charts.simplify_polyline(np.array([line, low, high]), LINE, CLOSE * np.ptp(known) if known.size else 0.0)
        middle = values.mean(axis=0)
        parts += [
            charts.rows("line", series, along + 1, line[along], low[along], high[along]),
            charts.rows("point", series, dots + 1, middle[dots], values[:, dots].min(axis=0), values[:, dots].max(axis=0), text=[
                f"{series}, layer {layer}: {ten_to(value)}" for layer, value in zip(dots + 1, middle[dots], strict=True)]),
        ]
        shown = line if np.isfinite(line).any() else middle
        finite = np.flatnonzero(np.isfinite(shown))
        if len(finite):
            at = finite[-1] if name == "q" else finite[0]
            ends[series] = (at + 1, shown[at])
    return charts.table([*parts, *charts.end_labels(ends)])


FARTHEST = 400  # decades; beyond it a line only flattens the rest of the chart


def _shares(pairs: list[tuple[Probe, Prediction]], name: str) -> pa.Table:
    depth = pairs[0][0].params.depth
    dots = charts.evenly_spaced(depth, POINTS)
    parts, ends = [], {}
    for probe, theory in pairs:
        series, values = probe.params.initializer, getattr(probe, name)
        if name != "dead":
            along = charts.simplify_polyline(getattr(theory, name)[None], LINE, CLOSE)
            parts.append(charts.rows("line", series, along + 1, getattr(theory, name)[along]))
        middle = values.mean(axis=0)
        parts.append(charts.rows(
            "point", series, dots + 1, middle[dots], values[:, dots].min(axis=0), values[:, dots].max(axis=0),
            text=[f"{series}, layer {layer}: {value:.3f}" for layer, value in zip(dots + 1, middle[dots], strict=True)]))
        if len(finite := np.flatnonzero(np.isfinite(middle))):
            ends[series] = (finite[-1] + 1, middle[finite[-1]])
    return charts.table([*parts, *charts.end_labels(ends)])
