"""Expect of a layer what theory says of it, and know the limits beyond which it is at fault."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.models.records import MULTIPLYING, NAN, Finding, Layer, Trace
from vgdash.quadrature import GRID, gaussian_mean
from vgdash.theory.averages import log_moment, log_slope

BY_WEIGHTS = {"weights_large", "weights_small", "wrong_fan"}  # causes
LIMITS = {
    "shrinks": 1e-6,  # of squares: a step of the first layer is a thousandth of the last one's
    "grows": 1e3,  # of squares: outputs 30 times too large, the first loss far above guessing
    "normalized": 1e4,  # of squares, where normalization holds the outputs: 24 layers of ×1.47 (Yang 2019)
    "one layer": 30.0,  # gain of one layer, of which 2 to 4 is what an activation wants
    "one layer small": 1e-3,
    "fades": 1e-4,  # of squares, along a stream: 52 of 53 architectures have 0.28 or more
    "apart": 1e-4,  # of 1 - the cosine of two inputs, from the first layer to the last hidden one
    "buried": 1e-4,  # of squares, left of the tokens after the sums with attention: Adam learns from 2e-3
    "stream": (100.0, 10.0),  # growth in all, and over the second half, where a linear one is ×2
    "flat": 0.6,  # share of units at flat ends; tanh with 1/n has 0.02
    "flat around": 0.99,  # where a skip leads around: such nets learn with 0.9
    "flat gain": 4.0,  # times what the activation wants: the weights are to blame for saturation
    "input": (1e-3, 100.0),  # mean square; pixels in [0, 1] have .1 to .3
    "small entry": 0.1,  # sparse inputs are small on average and have entries of 1
    "offset": (25.0, 9.0),  # squared mean beside the variance, and mean square
    "loss": 3.0,  # first loss beside that of guessing; He in the last layer gives 1.4
    "leap": 3.0,  # a layer's inputs beside the largest mean square before it
    "share": 0.1,  # of a mean square, below which nearly all of it comes from elsewhere
    "last layer": 4.0,  # its output's mean square beside its input's; He has 2
    "fan": 3.5,  # a layer beside what its activation wants, in a net whose variance fits another fan
    "recurrent": (16.0, 0.4),  # gain of a recurrent layer; PyTorch's default has 0.4
    "rounded": 0.5,  # share of the gradient that float16 rounds to 0
}
OTHER_FANS = {
    "the kernel's area is left out": lambda a: a.fan_in / a.area,
    "the groups are left out": lambda a: a.fan_in * a.groups,
    "fan_in and fan_out are swapped": lambda a: a.fan_out,
    "fan_out of all groups": lambda a: a.fan_out * a.groups,
    "the number of output channels": lambda a: a.fan_out * a.groups / a.area,
}


def number(x: float) -> str:
    """Write a number as 0.17, 30 or 3.1·10⁻²⁴."""
    if not math.isfinite(x):
        return "not a number" if math.isnan(x) else "infinite"
    if x == 0 or 1e-3 <= abs(x) < 9995:
        return f"{x:.3g}"
    exponent = math.floor(math.log10(abs(x)) - math.log10(0.995))  # 9.95 is 10
    raised = str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    mantissa = math.copysign(10 ** (math.log10(abs(x)) - exponent), x)  # 10.0**-324 is 0
    return f"{mantissa:.1f}·10{raised}"


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


def slope(layer: Layer) -> float:
    """Return E[f'²] of what follows: measured from the gradients, else by theory at the layer's E[out²]."""
    if layer.grad_after > 0 and math.isfinite(layer.grad_out / layer.grad_after):
        return layer.grad_out / layer.grad_after
    return slope2(layer)


def expected_read(layer: Layer) -> float:
    """Return E[u²] of what the activation reads: by theory, or as measured after normalization."""
    return (layer.out2 if layer.held else layer.predicted) * layer.read_ratio


def expected_after(layer: Layer) -> float:
    """Return the mean square that the next layer reads, by theory from the layer's own input, or ``nan``."""
    if layer.kind not in MULTIPLYING:
        return NAN
    q = expected_read(layer)
    if layer.activation not in ACTIVATIONS or not (q > 0 and math.isfinite(q)):
        return q * layer.kept
    if (shifted := _shifted(layer, q)) is not None:
        return gaussian_mean(ACTIVATIONS[layer.activation].f(shifted) ** 2) * layer.kept
    return float(np.exp(log_moment(layer.activation, math.log(q)))) * layer.kept


def spelled(activation: str) -> str:
    """Return the name of an activation as people say it; one that is not known keeps its own."""
    return ACTIVATIONS[activation].said if activation in ACTIVATIONS else activation


def slope2(a: Layer) -> float:
    """Return E[f'(u)²] of what the activation reads; 1 where it is not known, or nothing comes out."""
    q = a.out2 * a.read_ratio
    if a.activation not in ACTIVATIONS or not (q > 0 and math.isfinite(q)):
        return 1.0
    if (shifted := _shifted(a, q)) is not None:
        return gaussian_mean(ACTIVATIONS[a.activation].df(shifted) ** 2)
    return float(np.exp(log_slope(a.activation, math.log(q))))


def _shifted(a: Layer, q: float) -> np.ndarray | None:
    """Return values of u on ``GRID`` if the bias gives it a mean, else None."""
    mean = a.bias_mean if a.read_ratio == 1.0 else 0.0
    return mean + math.sqrt(max(q - mean**2, 0.0)) * GRID if mean else None


def plain(trace: Trace, kinds=MULTIPLYING) -> list[Layer]:
    """List the layers of given kinds that no shorter path leads around."""
    return [a for a in trace.layers if a.kind in kinds and not a.bypassed]


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


def other_fan(layers: list[Layer]) -> str:
    """Name the fan for which the variance of most layers is standard, or "" if fan_in is one."""
    def fits(fan_of) -> float:
        most = 0.0
        for standard in ("wanted", 1.0, 2.0, 1 / 3):
            hits = 0
            for a in layers:
                gain = wanted_gain(a.activation) if standard == "wanted" else standard
                error = min(max(5 * math.sqrt(2 / max(a.entries, 1)), 0.03), 0.4)
                hits += abs(math.log(max(a.weight2 * fan_of(a), 1e-300) / gain)) < error
            most = max(most, hits / len(layers))
        return most

    right = max(fits(lambda a: a.fan_in), fits(lambda a: (a.fan_in + a.fan_out) / 2))  # or Glorot's
    for name, fan_of in OTHER_FANS.items():
        differ = sum(abs(math.log(fan_of(a) / a.fan_in)) > 0.4 for a in layers)
        if differ > 0.5 * len(layers) and fits(fan_of) >= max(0.8, right + 0.1):
            return name
    return ""


def finding(cause: str, layers: list[Layer], evidence: str, fix: str, size: float = 0.0) -> list[Finding]:
    """Return the one finding as a list, empty if no layer is at fault."""
    paths = tuple(dict.fromkeys(a.path for a in layers))
    return [Finding(cause, paths, evidence, fix, size)] if paths else []
