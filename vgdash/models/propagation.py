"""Propagate signal and gradient through layers by theory: of weights alone, and of other weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.models.expectation import expected_after, expected_read, expected_slope2, flat_ends
from vgdash.models.records import MULTIPLYING, NAN, Layer
from vgdash.theory.layerwise import saturated_share


def propagate(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers with the mean squares and gradients that theory predicts from their weights.

    Forward ``E[out²] = fan_in·E[w²]·E[in²] + E[b²]``, backward ``fan_in·E[w²]·E[f'(out)²]``. A layer that no
    other layer alone leads to, or that reads normalized numbers, keeps its E[in²]; so does each layer that is
    no matrix. What stands between two layers keeps its measured factors, such as those of pooling; behind a
    normalization the signal keeps its size, and the gradient is divided by what the layer gives.
    """
    found, before = list(layers), {a.next: i for i, a in enumerate(layers) if a.next > i}
    for i, a in enumerate(layers):
        if a.kind not in MULTIPLYING:
            continue
        source = before.get(i)
        in2 = a.in2
        if source is not None and not layers[source].normalized:
            in2 = found[source].after2 * _ratio(a.in2, layers[source].after2)
        moved = replace(a, in2=in2)
        out2, read2 = moved.predicted, expected_read(moved)
        found[i] = replace(moved, out2=out2, after2=expected_after(moved), read_ratio=_ratio(read2, out2),
                           kept_back=a.kept_back * (_ratio(a.out2, out2) if a.held else 1.0),
                           saturated=_saturated(a.activation, read2))
    for i in range(len(layers) - 1, -1, -1):
        a, given = found[i], layers[i]
        if a.kind not in MULTIPLYING:
            continue
        after = given.grad_after
        if i < a.next < len(layers):
            after = found[a.next].grad_in * _ratio(after, layers[a.next].grad_in)
        out = given.grad_out if math.isnan(after) else after * expected_slope2(a) * a.kept_back
        found[i] = replace(a, grad_after=after, grad_out=out, grad_in=out * a.gain, grad_weight2=NAN,
                           grad_out2=given.grad_out2 * _ratio(out, given.grad_out), update=NAN)
    return found


def expected_gradients(layers: Sequence[Layer]) -> list[float]:
    """Return the sum of squares of each output's gradient that theory expects from the layer after it."""
    found = []
    for i, a in enumerate(layers):
        after = a.grad_after
        if i < a.next < len(layers) and layers[a.next].kind in MULTIPLYING:
            after = layers[a.next].gain * layers[a.next].grad_out
        found.append(expected_slope2(a) * a.kept_back * after)
    return found


def with_initializer(layers: Sequence[Layer], initializer: str) -> list[Layer]:
    """Return the layers as theory predicts them with weights and biases of a named initializer.

    Layers keep their fans and activations; those without a bias get none.
    """
    rule = INITIALIZERS[initializer]
    changed = []
    for a in layers:
        if a.kind in MULTIPLYING and 1 <= a.fan_in < math.inf > a.fan_out:
            fan_in, fan_out = max(round(a.fan_in), 1), max(round(a.fan_out), 1)
            variance, bias2 = rule.variance(fan_in, fan_out), rule.bias.square(fan_in) if a.bias else 0.0
            a = replace(a, variance=variance, weight2=variance, weight_largest=NAN, bias2=bias2,
                        bias_mean=0.0, zero=False, identical=False, stuck=False, dead=0.0, off=NAN,
                        gradient="unknown")
        changed.append(a)
    return propagate(changed)


def _saturated(activation: str, out2: float) -> float:
    """Return the share of units at the flat ends that theory expects; 0 without two of them."""
    if flat_ends(activation) != (True, True):
        return 0.0
    log_q = math.log(out2) if 0 < out2 < math.inf else -math.inf
    return float(saturated_share(ACTIVATIONS[activation], np.array([log_q]), np.zeros(1))[0])


def _ratio(one: float, other: float) -> float:
    ratio = one / other if other > 0 else NAN
    return ratio if 0 < ratio < math.inf else 1.0
