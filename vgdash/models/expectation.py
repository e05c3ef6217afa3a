"""Expect of a layer what theory says of it, from what it reads and from its weights."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.models.records import MULTIPLYING, NAN, Layer
from vgdash.theory.averages import log_moment, log_slope
from vgdash.theory.nonzero_mean import averages_about


@lru_cache(maxsize=256)
def wanted_gain(activation: str) -> float:
    """Return the gain that an activation wants of the layer before it: 2 for ReLU, 1 for tanh.

    1/E[f(z)²] at E[z²] = 1, or 1/f'(0)² where both ends are flat and only the middle passes gradients.
    """
    record = ACTIVATIONS.get(activation)
    if record is None:
        return 1.0
    if flat_ends(activation) == (True, True):
        return float(record.df(0.0)) ** -2
    return record.forward_gain**2


@lru_cache(maxsize=256)
def flat_ends(activation: str) -> tuple[bool, bool]:
    """Test if an activation is flat far below 0, and far above; it is not if it is not known."""
    record = ACTIVATIONS.get(activation)
    low, high = (False if record is None else abs(float(record.df(z))) < 0.01 for z in (-30.0, 30.0))
    return low, high


def slope2(layer: Layer) -> float:
    """Return E[f'²] of what follows: measured from the gradients, else by theory at the layer's E[out²]."""
    if layer.grad_after > 0 and math.isfinite(layer.grad_out / layer.grad_after):
        return layer.grad_out / layer.grad_after
    return expected_slope2(layer)


def expected_read(layer: Layer) -> float:
    """Return E[u²] of what the activation reads: by theory, or as measured after normalization."""
    return (layer.out2 if layer.held else layer.predicted) * layer.read_ratio


def expected_after(layer: Layer) -> float:
    """Return the mean square that the next layer reads, by theory from the layer's own input, or ``nan``."""
    if layer.kind not in MULTIPLYING:
        return NAN
    q = expected_read(layer)
    averages = _averages(layer, q)
    return (averages[0] if averages else q) * layer.kept


def spelled(activation: str) -> str:
    """Return the name of an activation as people say it; one that is not known keeps its own."""
    return ACTIVATIONS[activation].said if activation in ACTIVATIONS else activation


def expected_slope2(layer: Layer) -> float:
    """Return E[f'(u)²] of what the activation reads; 1 where it is not known, or nothing comes out."""
    averages = _averages(layer, layer.out2 * layer.read_ratio)
    return averages[1] if averages else 1.0


def _averages(layer: Layer, q: float) -> tuple[float, float] | None:
    """Return E[f(u)²] and E[f'(u)²] at E[u²] = q, about the bias's mean; None where they are not known."""
    if layer.activation not in ACTIVATIONS or not (q > 0 and math.isfinite(q)):
        return None
    if layer.bias_mean and layer.read_ratio == 1.0:
        return averages_about(ACTIVATIONS[layer.activation], layer.bias_mean, math.log(q))[:2]
    second, slopes = (np.exp(average(layer.activation, math.log(q))) for average in (log_moment, log_slope))
    return float(second), float(slopes)


def is_dead(a: Layer) -> bool:
    """Test if more units are off for every input than chance, which makes half of them so, explains.

    Only an activation that is flat on one side turns units off.
    """
    if a.activation in ACTIVATIONS and flat_ends(a.activation) != (True, False):
        return False
    return a.dead >= min(1.0, 0.5 + 2 / math.sqrt(max(a.units, 1)))  # 4 standard errors


def is_shifted(a: Layer) -> bool:
    """Test if the mean of weights and inputs makes more of the outputs than all their differences do.

    The mean is 5 standard errors from 0 or more.
    """
    return (a.kind in MULTIPLYING and a.common > a.variance * a.fan_in * a.in2
            and (a.weight2 - a.variance) * a.entries > 25 * a.variance)
