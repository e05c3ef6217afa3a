"""Histograms of the signal z or the gradient ∂C/∂z by layer, in the same bins, beside theory's Gaussian."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from vgdash.layers import Tape, backward, forward
from vgdash.parallel import single_threaded_blas
from vgdash.probe.params import ProbeParams
from vgdash.probe.propagation import build
from vgdash.records import Record
from vgdash.theory.layerwise import predict

BINS = 41  # an odd number puts a bin on 0
REACH = 4.0  # root mean squares of the widest layer; 6 in 100,000 Gaussian numbers lie beyond
LINEAR_RATIO = 10.0  # widest : narrowest layer, up to which bins of one width show both
FINEST = 0.1  # root mean squares of the narrowest layer, where the logarithmic bins begin
PREDICTED = {"signal": "log10_q", "gradient": "log10_grad2"}  # what is counted → its mean square in theory
MOST_DECADES = 60.0  # span of the logarithmic bins; smaller numbers are in the bin on 0


@dataclass(frozen=True, eq=False)
class LayerHistograms(Record):
    """Histograms of one quantity in the chosen layers of the first net of ``probe(params)``, float64."""

    params: ProbeParams
    layers: tuple[int, ...]  # counted from 1
    edges: np.ndarray  # (bins + 1,), symmetric about 0, the same for every layer
    scale: str  # "linear", or "symlog": logarithmic on each side of one bin around 0
    share: np.ndarray  # (layers, bins) of all entries of the layer; nan where float32 had overflowed
    outside: np.ndarray  # (layers,) share beyond the edges; nan likewise
    predicted: np.ndarray  # (layers, bins) for N(0, predicted mean square); nan without theory
    rms: np.ndarray  # (layers,) root mean square; inf where float32 overflows, nan after
    reason: str  # which numbers are missing, and why; empty if all is there


def layer_histograms(p: ProbeParams, layers: int, of: str = "signal") -> LayerHistograms:
    """Count the entries of each layer in bins, in the first net that ``probe(p)`` measures.

    ``of``: "signal" counts z, "gradient" ∂C/∂z for a Gaussian cotangent at the last layer. ``layers``: how
    many, evenly spread from the first to the last. Bins have one width if the layers' root mean squares are
    within a factor 10 of each other, else they are logarithmic on both sides of 0. Raises ``ValueError``.
    """
    if of not in PREDICTED:
        raise ValueError(f"of must be one of {', '.join(PREDICTED)}, received {of!r}. Take signal for z.")
    chosen = tuple(np.linspace(1, p.depth, min(layers, p.depth)).round().astype(int).tolist())
    found = _record(p, chosen, of)
    rms = np.array([_root_mean_square(z) for z in found])
    edges, scale = _place_edges(rms)
    share, outside = np.full((len(chosen), BINS), np.nan), np.full(len(chosen), np.nan)
    for row in np.flatnonzero(np.isfinite(rms)):
        counts = np.histogram(found[row].astype(np.float64), edges)[0]
        share[row], outside[row] = counts / found[row].size, 1 - counts.sum() / found[row].size
    theory = getattr(predict(p), PREDICTED[of])[np.array(chosen) - 1]
    predicted = np.array([_gaussian_shares(edges, log10_square) for log10_square in theory])
    reason, lost = "", np.flatnonzero(~np.isfinite(rms))
    if lost.size and of == "signal":
        reason = (f"float32 overflows by layer {chosen[lost[0]]}: z is not known from there on, "
                  "and no gradient comes back.")
    elif lost.size == len(chosen):
        reason = "float32 overflows on the way forward: no gradient comes back."
    elif lost.size:
        reason = f"The gradient overflows float32 by layer {chosen[lost[-1]]}, and is not known before it."
    return LayerHistograms(p, chosen, edges, scale, share, outside, predicted, rms, reason)


def _record(p: ProbeParams, chosen: Sequence[int], of: str) -> list[np.ndarray | None]:
    """Record z or ∂C/∂z of the chosen layers; None where float32 had overflowed before."""
    found: dict[int, np.ndarray] = {}
    net, x, cotangent = build(p, 0)
    tape = Tape(p.widths, p.batch)
    with np.errstate(all="ignore"), single_threaded_blas():
        for step in forward(net, x, tape):
            if of == "signal" and step.layer in chosen:
                found[step.layer] = step.z.copy()
            if not np.isfinite(step.z).all():
                break
        else:
            for step in backward(net, cotangent, tape) if of == "gradient" else ():
                if step.layer in chosen:
                    found[step.layer] = step.gradient.copy()
                if not np.isfinite(step.gradient).all():
                    break
    return [found.get(layer) for layer in chosen]


def _root_mean_square(z: np.ndarray | None) -> float:
    if z is None:
        return math.nan
    return math.sqrt(float(np.square(z, dtype=np.float64).mean())) if np.isfinite(z).all() else math.inf


def _place_edges(rms: np.ndarray) -> tuple[np.ndarray, str]:
    there = rms[np.isfinite(rms) & (rms > 0)]
    widest, narrowest = (there.max(), there.min()) if there.size else (1.0, 1.0)
    if widest <= LINEAR_RATIO * narrowest:
        return np.linspace(-REACH * widest, REACH * widest, BINS + 1), "linear"
    high = math.log10(REACH * widest)
    side = np.logspace(max(math.log10(FINEST * narrowest), high - MOST_DECADES), high, BINS // 2 + 1)
    return np.concatenate([-side[::-1], side]), "symlog"


def _gaussian_shares(edges: np.ndarray, log10_square: float) -> np.ndarray:
    """Probability of each bin under N(0, square): all on 0 for 0, nan for nan or beyond float64."""
    if math.isnan(log10_square) or log10_square > 300:
        return np.full(len(edges) - 1, np.nan)
    deviation = 10 ** (log10_square / 2) if log10_square > -600 else 0.0
    if deviation == 0:
        return ((edges[:-1] < 0) & (edges[1:] > 0)).astype(np.float64)
    return np.diff([NormalDist().cdf(edge / deviation) for edge in edges])
