"""Are the gradients of ``layers.backward`` right? Compared with finite differences, in float64, entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from vgdash.layers import Net, Tape, backward, forward
from vgdash.params import ParamError
from vgdash.probe.params import ProbeParams
from vgdash.probe.propagation import build

__all__ = ["GradientCheck", "check_gradients"]

MOST_PARAMETERS = 3_000  # each costs two forward passes
BIAS_VARIANCE = 0.01  # where sigma_b2 is 0: gradients are checked at a point in general position
# about the cube root of float64's precision; a smaller one where a kink is in between
STEPS = (1e-5, 1e-6, 1e-7)


@dataclass(frozen=True, eq=False)
class GradientCheck:
    """Relative errors by layer, read-only ``(depth,)``: |finite difference - gradient| / |gradient|, Euclidean norms.

    Where a bias has no effect (batch normalization removes it) its gradient is 0, and |∂C/∂u| of the layer is the yardstick.
    """

    params: ProbeParams
    weights: np.ndarray
    biases: np.ndarray

    @property
    def worst(self) -> float:
        """The largest of all relative errors."""
        return float(max(self.weights.max(), self.biases.max()))

    def frame(self) -> pd.DataFrame:
        """One row for each layer: layer, weights, biases."""
        return pd.DataFrame({"layer": np.arange(1, len(self.weights) + 1), "weights": self.weights,
                             "biases": self.biases})


def check_gradients(p: ProbeParams) -> GradientCheck:
    """The first net of ``p`` in float64: ∂C/∂W[l] and ∂C/∂b[l] against central differences of C = Σ cotangent·z[L].

    Biases are drawn with variance 0.01 if ``sigma_b2`` is 0.

    Raises ``ParamError`` for more than 3,000 weights and biases: every one of them costs two forward passes.
    """
    count = sum(m * (n + 1) for n, m in zip(p.widths[:-1], p.widths[1:], strict=True))
    if count > MOST_PARAMETERS:
        raise ParamError("widths", f"a net of at most {MOST_PARAMETERS:,} weights and biases", count,
                         "Take fewer or narrower layers.")
    net, x, cotangent = _in_float64(p)
    tape = Tape(p.widths, p.batch, np.float64)
    _outputs(net, x, tape)
    exact = [(step.inner.T @ step.a, step.inner.sum(axis=0), np.linalg.norm(step.inner))
             for step in backward(net, cotangent, tape)]
    errors = np.empty((2, p.depth))
    for index, (weights, biases, size) in enumerate(reversed(exact)):
        for row, (array, gradient, least) in enumerate(((net.weights[index], weights, 0.0),
                                                        (net.biases[index], biases, size))):
            estimate = _differences(net, x, cotangent, tape, array)
            errors[row, index] = _relative(np.linalg.norm(estimate - gradient),
                                           max(np.linalg.norm(gradient), least))
    errors.flags.writeable = False
    return GradientCheck(p, *errors)


def _in_float64(p: ProbeParams) -> tuple[Net, np.ndarray, np.ndarray]:
    """The net with its scales multiplied into its weights, and with biases: without any, a dead example sits on ReLU's kink."""
    net, x, cotangent = build(p if p.sigma_b2 else replace(p, sigma_b2=BIAS_VARIANCE), 0)
    if net.rescale:
        _outputs(net, x, Tape(p.widths, p.batch))
        net.rescale = False
    net.weights = [scale * weights.astype(np.float64)
                   for scale, weights in zip(net.scales, net.weights, strict=True)]
    net.scales = [1.0] * p.depth
    net.biases = [biases.astype(np.float64) for biases in net.biases]
    return net, x.astype(np.float64), cotangent.astype(np.float64)


def _outputs(net: Net, x: np.ndarray, tape: Tape) -> tuple[np.ndarray, list[np.ndarray]]:
    """The last z, and for each layer and kink the side of it that every z is on."""
    sides: list[np.ndarray] = []
    for step in forward(net, x, tape):
        sides += [step.z > kink for kink in net.activation.kinks]
        last = step.z
    return last.copy(), sides


def _differences(net: Net, x: np.ndarray, cotangent: np.ndarray, tape: Tape, array: np.ndarray) -> np.ndarray:
    """∂C/∂array by central differences; ``array`` belongs to the net and comes back as it was."""
    result = np.empty_like(array)
    for at in np.ndindex(array.shape):
        result[at] = _difference(net, x, cotangent, tape, array, at)
    return result


def _difference(net: Net, x: np.ndarray, cotangent: np.ndarray, tape: Tape, array: np.ndarray,
                at: Sequence[int]) -> float:
    value = array[at]
    for step in STEPS:
        array[at] = value + step
        above, sides_above = _outputs(net, x, tape)
        array[at] = value - step
        below, sides_below = _outputs(net, x, tape)
        array[at] = value
        if all(np.array_equal(one, other) for one, other in zip(sides_above, sides_below, strict=True)):
            break
    return float((cotangent * (above - below)).sum() / (2 * step))


def _relative(error: float, size: float) -> float:
    return 0.0 if error == 0 else float(error / size) if size else float("inf")
