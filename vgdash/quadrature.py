"""Averages over one standard normal variable or a correlated pair, for smooth and for kinked functions.

Every activation of this package has its kink at 0, if it has one, so both rules split the integral there.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

# A symmetric midpoint grid: exact 1/2 for ReLU's slope, 1e-14 for E[tanh^2] up to q = 10. Gauss-Hermite rules
# with an odd number of nodes sit on ReLU's kink, and 64 nodes are 0.4 % off for tanh at q = 10.
_REACH, _POINTS = 12.0, 4000
GRID = (np.arange(_POINTS) + 0.5) * (2 * _REACH / _POINTS) - _REACH
WEIGHTS = np.exp(-GRID**2 / 2) / np.exp(-GRID**2 / 2).sum()


def gaussian_mean(values: np.ndarray) -> float:
    """Return E[g(z)] for z ~ N(0, 1), from ``values = g(GRID)``."""
    return float(WEIGHTS @ values)


def _log_spaced() -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and masses for E[g(z)] without a scale: the trapezoid rule in ln|z|, on each side of 0.

    g(√q z) only shifts along ln|z|, so one rule is as good for q = 1e-30 as for q = 1e30. The trapezoid rule
    converges exponentially: measured against adaptive quadrature, 640 nodes leave 1e-14 (q from 1e-3 to 100,
    all activations).
    """
    step, smallest, largest = 0.12, -36.0, math.log(9.0)
    t = np.arange(math.floor(smallest / step), math.ceil(largest / step) + 1) * step
    half = np.exp(t)
    mass = step * half * np.exp(-half**2 / 2) / math.sqrt(2 * math.pi)
    return np.concatenate([-half[::-1], half]), np.concatenate([mass[::-1], mass])


NODES, MASSES = _log_spaced()  # (640,) each: E[g(z)] = MASSES @ g(NODES)

# Rules by accuracy: (largest scale s, angle rule, angles a sector, radii). Measured, the largest error of
# E[f(su) f(sv)] and E[f'(su) f'(sv)], relative to E[f(su)²] and E[f'(su)²], over all activations,
# correlations and scales:
Rules = tuple[tuple[float, str, int, int], ...]
FINE: Rules = ((1.0, "legendre", 20, 56), (2.0, "legendre", 28, 64), (6.0, "legendre", 48, 96),
               (math.inf, "graded", 65, 120))  # 1e-9
QUICK: Rules = ((1.2, "legendre", 8, 28), (2.5, "legendre", 12, 36), (6.0, "legendre", 24, 60),
                (math.inf, "graded", 25, 40))  # 1e-4


@cache
def sector(rule: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights on [0, 1]: Gauss-Legendre, or tanh-sinh ("graded") for saturated f."""
    if rule == "legendre":
        x, w = np.polynomial.legendre.leggauss(count)
        return (x + 1) / 2, w / 2
    t, step = np.linspace(-3.0, 3.0, count, retstep=True)
    x = 1 / (1 + np.exp(-math.pi * np.sinh(t)))
    w = step * math.pi * np.cosh(t) * x * (1 - x)
    return x, w / w.sum()


@cache
def _radii(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of ∫ r e^(-r²/2) g(r) dr, r > 0: trapezoid rule in t, r = exp(t - exp(-t))."""
    t, step = np.linspace(-3.2, 2.25, count, retstep=True)
    r = np.exp(t - np.exp(-t))
    return r, step * r * (1 + np.exp(-t)) * r * np.exp(-r**2 / 2)


def pair_nodes(correlation, scale, rules: Rules = FINE) -> tuple[np.ndarray, ...]:
    """Return nodes for E[g(u, v)], u and v ~ N(0, scale²) with a correlation, for g symmetric in u and v.

    Polar coordinates: u = scale·r·cos θ, v = scale·r·cos(θ - ψ), cos ψ = correlation. The kinks u = 0 and v =
    0 become two fixed angles, so Gauss-Legendre on the three sectors between them (one half of the circle,
    the other is its mirror image) meets smooth functions only, for every correlation from -1 to 1.

    ``correlation`` and ``scale`` are numbers or arrays of one shape ``(…)``. Returns u, v ``(…, angles,
    radii)`` and weights ``(…, angles)`` and ``(radii,)``, for ``pair_mean``. The largest scale picks one of
    the ``rules``.
    """
    scale = np.asarray(scale, dtype=np.float64)[..., None]
    kind, angles, radii = next(rule[1:] for rule in rules if scale.max() <= rule[0])
    x, wx = sector(kind, angles)
    r, wr = _radii(radii)
    psi = np.arccos(np.clip(correlation, -1.0, 1.0))[..., None]
    rest = (math.pi - psi) / 2
    theta = np.concatenate([psi / 2 + rest * x, math.pi / 2 + psi * x, math.pi / 2 + psi + rest * x], axis=-1)
    u = (scale * np.cos(theta))[..., None] * r
    v = (scale * np.cos(theta - psi))[..., None] * r
    return u, v, np.concatenate([rest * wx, psi * wx, rest * wx], axis=-1) / math.pi, wr


def pair_mean(values: np.ndarray, angle_weights: np.ndarray, radius_weights: np.ndarray) -> np.ndarray:
    """Return E[g(u, v)] from ``values = g(u, v)`` at the nodes of ``pair_nodes``, for each pair ``(…)``."""
    return np.vecdot(angle_weights, values @ radius_weights)
