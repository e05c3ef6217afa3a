"""Histograms of the pre-activations z by layer, in the same bins for all, beside the Gaussian of theory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from vgdash.layers import Tape, forward
from vgdash.parallel import single_threaded_blas
from vgdash.probe.params import ProbeParams
from vgdash.probe.propagation import build
from vgdash.records import Record
from vgdash.theory.layerwise import predict

BINS = 41  # an odd number puts a bin on 0
REACH = 4.0  # root mean squares of the widest layer; 6 in 100,000 Gaussian numbers lie beyond
LINEAR_RATIO = 10.0  # widest : narrowest layer, up to which bins of one width show both
FINEST = 0.1  # root mean squares of the narrowest layer, where the logarithmic bins begin
MOST_DECADES = 60.0  # span of the logarithmic bins; smaller numbers are in the bin on 0


@dataclass(frozen=True, eq=False)
class LayerHistograms(Record):
    """Histograms of z in the chosen layers of the first net of ``probe(params)``, float64."""

    params: ProbeParams
    layers: tuple[int, ...]  # counted from 1
    edges: np.ndarray  # (bins + 1,), symmetric about 0, the same for every layer
    scale: str  # "linear", or "symlog": logarithmic on each side of one bin around 0
    share: np.ndarray  # (layers, bins) of all z of the layer; nan where float32 had overflowed
    outside: np.ndarray  # (layers,) share beyond the edges; nan likewise
    predicted: np.ndarray  # (layers, bins) for z ~ N(0, predicted q); nan without theory
    rms: np.ndarray  # (layers,) root mean square; inf where float32 overflows, nan after
    reason: str  # which numbers are missing, and why; empty if all is there


def preactivation_histograms(p: ProbeParams, layers: int) -> LayerHistograms:
    """Count the pre-activations of each layer in bins, in the first net that ``probe(p)`` measures.

    ``layers``: how many, evenly spread from the first to the last. Bins have one width if the layers' root
    mean squares are within a factor 10 of each other, else they are logarithmic on both sides of 0.
    """
    chosen = tuple(np.linspace(1, p.depth, min(layers, p.depth)).round().astype(int).tolist())
    found = _record_preactivations(p, chosen)
    rms = np.array([_root_mean_square(z) for z in found])
    edges, scale = _place_edges(rms)
    share, outside = np.full((len(chosen), BINS), np.nan), np.full(len(chosen), np.nan)
    for row in np.flatnonzero(np.isfinite(rms)):
        counts = np.histogram(found[row].astype(np.float64), edges)[0]
        share[row], outside[row] = counts / found[row].size, 1 - counts.sum() / found[row].size
    theory = predict(p).log10_q[np.array(chosen) - 1]
    predicted = np.array([_gaussian_shares(edges, log10_q) for log10_q in theory])
    reason = ""
    if not np.isfinite(rms).all():
        layer = chosen[int(np.argmax(~np.isfinite(rms)))]
        reason = (f"float32 overflows by layer {layer}: z is not known from there on, "
                  "and no gradient comes back")
    return LayerHistograms(p, chosen, edges, scale, share, outside, predicted, rms, reason)


def _record_preactivations(p: ProbeParams, chosen: Sequence[int]) -> list[np.ndarray | None]:
    """Record z of the chosen layers; None where float32 had overflowed before."""
    found: dict[int, np.ndarray] = {}
    net, x, _ = build(p, 0)
    with np.errstate(all="ignore"), single_threaded_blas():
        for step in forward(net, x, Tape(p.widths, p.batch)):
            if step.layer in chosen:
                found[step.layer] = step.z.copy()
            if not np.isfinite(step.z).all():
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


def _gaussian_shares(edges: np.ndarray, log10_q: float) -> np.ndarray:
    """Probability of each bin under N(0, q): all of it on 0 for q = 0, nan for nan or beyond float64."""
    if math.isnan(log10_q) or log10_q > 300:
        return np.full(len(edges) - 1, np.nan)
    deviation = 10 ** (log10_q / 2) if log10_q > -600 else 0.0
    if deviation == 0:
        return ((edges[:-1] < 0) & (edges[1:] > 0)).astype(np.float64)
    return np.diff([NormalDist().cdf(edge / deviation) for edge in edges])
