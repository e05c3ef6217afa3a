"""The mean field of one architecture at many scales of its weights at once, without correlations: ln q and ln grad2 by layer."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from vgdash.initializers import INITIALIZERS
from vgdash.layers import EPSILON, residual_factors
from vgdash.probe.probe import ProbeParams
from vgdash.theory.fixed_points import log_moment, log_slope

__all__ = ["courses", "log_weights"]


@cache
def _table(activation: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ln q from -60 to 60, and ln E[f²], ln E[f'²] there. Linear in between: 3e-4 at the most, a percent over 50 layers."""
    x = np.linspace(-60.0, 60.0, 1_201)
    return x, log_moment(activation, x), log_slope(activation, x)


def _at(x: np.ndarray, y: np.ndarray, points: np.ndarray) -> np.ndarray:
    """y at any points, -inf too: linear between the x, and beyond them on the power law that y ends in."""
    if points.size and x[0] <= points.min() and points.max() <= x[-1]:
        return np.interp(points, x, y)
    inside = np.clip(points, x[0], x[-1])
    power = np.where(points < x[0], y[1] - y[0], y[-1] - y[-2]) / (x[1] - x[0])
    power = np.round(2 * power) / 2  # 0, ±1/2 or 1
    return np.interp(inside, x, y) + np.multiply(power, points - inside, out=np.zeros_like(inside), where=power != 0)


def log_weights(p: ProbeParams) -> np.ndarray:
    """ln(gamma² Var(W[l])), ``(depth,)``; -inf for weights of 0."""
    variance = np.array([p.gamma**2 * INITIALIZERS[p.initializer].variance(n, m)
                         for n, m in zip(p.widths[:-1], p.widths[1:], strict=True)])
    if p.residual == "zero":
        variance[[skip is not None for skip in residual_factors(p.widths, p.residual)]] = 0
    return np.log(variance, out=np.full(p.depth, -np.inf), where=variance > 0)


def courses(p: ProbeParams, log_w: np.ndarray, sigma_b2: float) -> tuple[np.ndarray, np.ndarray]:
    """ln q and ln grad2, each like ``log_w`` ``(candidates, depth)``: what ``predict`` says, for many weight variances at once."""
    x, moment, slope = _table(p.activation)
    log_bias = math.log(sigma_b2) if sigma_b2 else -math.inf
    skips = residual_factors(p.widths, p.residual)
    log_q, log_back = np.full(log_w.shape, -np.inf), np.empty(log_w.shape)
    log_a2 = np.zeros(len(log_w))
    for layer, skip in enumerate(skips):
        log_branch = 0.0 if skip is None else 2 * math.log(skip)
        weights = log_w[:, layer]
        signal = math.log(p.widths[layer]) + weights + log_a2
        if p.rescale == "lsuv":
            there = np.isfinite(signal)
            weights = np.where(there, weights - np.where(there, signal, 0), weights)
            signal = np.where(there, 0.0, signal)
        log_u = np.logaddexp(signal, log_bias)
        divisor = np.logaddexp(log_u, math.log(EPSILON)) if p.normalization == "layer" else 0.0
        log_back[:, layer] = math.log(p.widths[layer + 1]) + weights - divisor + log_branch
        branch = log_u - divisor + log_branch
        log_q[:, layer] = branch if skip is None else np.logaddexp(log_q[:, layer - 1], branch)
        log_a2 = _at(x, moment, log_q[:, layer]) - math.log(p.keep)
    factors = log_back[:, 1:] + _at(x, slope, log_q[:, :-1]) - math.log(p.keep)
    factors = np.where([skip is not None for skip in skips[1:]], np.logaddexp(factors, 0.0), factors)
    log_grad2 = np.zeros(log_w.shape)
    log_grad2[:, :-1] = np.cumsum(factors[:, ::-1], axis=1)[:, ::-1]
    return log_q, log_grad2
