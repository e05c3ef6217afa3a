"""Histograms of z, a and the gradient by layer, over bins that are the same for every layer: small enough to be scrubbed in a browser."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from types import MappingProxyType

import numpy as np
import pandas as pd

from vgdash.layers import Net, Tape, backward, forward
from vgdash.parallel import single_threaded_blas
from vgdash.params import ParamError
from vgdash.probe.probe import ProbeParams
from vgdash.probe.propagation import build
from vgdash.theory.layerwise import predict

__all__ = ["QUANTITIES", "Histogram", "LayerHistograms", "activation_histograms"]

QUANTITIES = ("z", "a", "gradient")
MOST_LAYERS = 16
BINS = 41  # 3 quantities x 16 layers x 41 bins are 1,968 rows; an odd number puts a bin on 0
REACH = 4.0  # root mean squares of the widest layer; 6 in 100,000 Gaussian numbers lie beyond
TOGETHER = 10.0  # ratio of widest to narrowest layer up to which bins of one width show both
FINEST = 0.1  # root mean squares of the narrowest layer, where the logarithmic bins begin
DEEPEST = 60.0  # decades that logarithmic bins span at the most: what is smaller is in the bin on 0


@dataclass(frozen=True, eq=False)
class Histogram:
    """One quantity in all chosen layers; read-only float64."""

    edges: np.ndarray  # (bins + 1,), symmetric about 0, the same for every layer; in units of the quantity
    scale: str  # "linear", or "symlog": logarithmic on each side of one bin around 0
    share: np.ndarray  # (layers, bins) of all numbers of the layer; nan where float32 had overflowed
    outside: np.ndarray  # (layers,) share beyond the edges; nan likewise
    predicted: np.ndarray  # (layers, bins) for z ~ N(0, predicted q); nan for a and the gradient, which are not Gaussian
    rms: np.ndarray  # (layers,) root mean square; inf where float32 overflows, nan after


@dataclass(frozen=True, eq=False)
class LayerHistograms:
    """Histograms of the first net of ``probe(params)``, ``of[quantity]`` for each of ``QUANTITIES``."""

    params: ProbeParams
    layers: tuple[int, ...]  # counted from 1
    of: Mapping[str, Histogram]
    reason: str  # which numbers are missing, and why; empty if all is there

    def frame(self) -> pd.DataFrame:
        """One row a quantity, layer and bin, at most 1,968: quantity, layer, low, high, share, predicted."""
        parts = []
        for name, one in self.of.items():
            layers, bins = one.share.shape
            parts.append(pd.DataFrame({
                "quantity": name, "layer": np.repeat(self.layers, bins), "low": np.tile(one.edges[:-1], layers),
                "high": np.tile(one.edges[1:], layers), "share": one.share.ravel(), "predicted": one.predicted.ravel()}))
        return pd.concat(parts, ignore_index=True)


def activation_histograms(p: ProbeParams, layers: int | Sequence[int] = 8) -> LayerHistograms:
    """Where the numbers of each layer lie, in the first net that ``probe(p)`` measures: z, a after dropout, and ∂C/∂z.

    ``layers``: how many, at most 16, evenly spread from the first to the last, or which. Bins have one width if the layers'
    root mean squares are within a factor 10 of each other, else they are logarithmic on both sides of 0.

    Raises ``ParamError`` for layers that are not there, or more than 16.
    """
    chosen = _chosen(p, layers)
    found = _numbers(p, chosen)
    theory = predict(p).log10_q[np.array(chosen) - 1]
    histograms = {name: _histogram(found[name], theory if name == "z" else None) for name in QUANTITIES}
    return LayerHistograms(p, chosen, MappingProxyType(histograms), _reason(histograms, chosen))


def _chosen(p: ProbeParams, layers: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(layers, int):
        if not 1 <= layers <= MOST_LAYERS:
            raise ParamError("layers", f"from 1 to {MOST_LAYERS} layers", layers, "Eight show the course of any net.")
        if layers == 1:
            return (p.depth,)
        return tuple(int(x) for x in np.unique(np.round(np.linspace(1, p.depth, layers)).astype(int)))
    chosen = tuple(sorted(set(layers)))
    if not 1 <= len(chosen) <= MOST_LAYERS or not all(1 <= layer <= p.depth for layer in chosen):
        raise ParamError("layers", f"1 to {MOST_LAYERS} layers, each from 1 to {p.depth}", tuple(layers), "Layers count from 1.")
    return chosen


def _numbers(p: ProbeParams, chosen: Sequence[int]) -> dict[str, list[np.ndarray | None]]:
    """z, a and gradient of the chosen layers, None where float32 had overflowed before."""
    found: dict[str, dict[int, np.ndarray]] = {name: {} for name in QUANTITIES}
    net, x, cotangent = build(p, 0)
    tape = Tape(p.widths, p.batch)
    with np.errstate(all="ignore"), single_threaded_blas():
        finite = _forward(net, x, tape, chosen, found)
        for step in backward(net, cotangent, tape) if finite else ():
            if step.layer in chosen:
                found["gradient"][step.layer] = step.gradient.copy()
            if not np.isfinite(step.gradient).all():
                break
    return {name: [kept.get(layer) for layer in chosen] for name, kept in found.items()}


def _forward(net: Net, x: np.ndarray, tape: Tape, chosen: Sequence[int], found: dict[str, dict[int, np.ndarray]]) -> bool:
    """Whether all z are finite."""
    for step in forward(net, x, tape):
        if step.layer in chosen:
            found["z"][step.layer], found["a"][step.layer] = step.z.copy(), step.a.copy()
        if not np.isfinite(step.z).all():
            return False
    return True


def _histogram(numbers: list[np.ndarray | None], log10_q: np.ndarray | None) -> Histogram:
    rms = np.array([_rms(values) for values in numbers])
    edges, scale = _edges(rms)
    share, outside = np.full((len(numbers), BINS), np.nan), np.full(len(numbers), np.nan)
    for row, values in enumerate(numbers):
        if values is not None and math.isfinite(rms[row]):
            counts = np.histogram(values.astype(np.float64), edges)[0]
            share[row], outside[row] = counts / values.size, 1 - counts.sum() / values.size
    predicted = np.full(share.shape, np.nan) if log10_q is None else np.array([_gaussian(edges, q) for q in log10_q])
    for array in (edges, share, outside, predicted, rms):
        array.flags.writeable = False
    return Histogram(edges, scale, share, outside, predicted, rms)


def _rms(values: np.ndarray | None) -> float:
    if values is None:
        return math.nan
    return math.sqrt(float(np.square(values, dtype=np.float64).mean())) if np.isfinite(values).all() else math.inf


def _edges(rms: np.ndarray) -> tuple[np.ndarray, str]:
    there = rms[np.isfinite(rms) & (rms > 0)]
    widest, narrowest = (there.max(), there.min()) if there.size else (1.0, 1.0)
    if widest <= TOGETHER * narrowest:
        return np.linspace(-REACH * widest, REACH * widest, BINS + 1), "linear"
    high = math.log10(REACH * widest)
    side = np.logspace(max(math.log10(FINEST * narrowest), high - DEEPEST), high, BINS // 2 + 1)
    return np.concatenate([-side[::-1], side]), "symlog"


def _gaussian(edges: np.ndarray, log10_q: float) -> np.ndarray:
    """Probability of each bin under N(0, q); q = 0 puts all of it on 0, and nan or beyond float64 gives nan."""
    if math.isnan(log10_q) or log10_q > 300:
        return np.full(len(edges) - 1, np.nan)
    deviation = 10 ** (log10_q / 2) if log10_q > -600 else 0.0
    if deviation == 0:
        return ((edges[:-1] < 0) & (edges[1:] > 0)).astype(np.float64)
    return np.diff([NormalDist().cdf(edge / deviation) for edge in edges])


def _reason(histograms: Mapping[str, Histogram], chosen: Sequence[int]) -> str:
    if (bad := ~np.isfinite(histograms["z"].rms)).any():
        return f"float32 overflows by layer {chosen[int(np.argmax(bad))]}: z is not known from there on, and no gradient comes back"
    if (bad := ~np.isfinite(histograms["gradient"].rms)).any():
        layer = chosen[int(np.flatnonzero(bad)[-1])]
        return f"the gradient overflows float32 by layer {layer} on its way back: below it is not known"
    return ""
