"""An independent quadrature over two correlated Gaussians, the truth for ``vgdash.theory.averages``."""

import math
from functools import cache

import numpy as np

# (largest scale, angle rule, angles a sector, radii). With half as many nodes the largest error of
# E[f(u) f(v)] and E[f'(u) f'(v)], relative to equal inputs, over all activations and correlations, is 1e-9
RULES = ((6.0, "legendre", 96, 190), (math.inf, "graded", 181, 240))


@cache
def sector(rule: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1]: Gauss-Legendre, or tanh-sinh with dense ends for saturated f."""
    if rule == "legendre":
        x, w = np.polynomial.legendre.leggauss(count)
        return (x + 1) / 2, w / 2
    t, step = np.linspace(-3.0, 3.0, count, retstep=True)
    x = 1 / (1 + np.exp(-math.pi * np.sinh(t)))
    w = step * math.pi * np.cosh(t) * x * (1 - x)
    return x, w / w.sum()


@cache
def _radii(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of ∫ r e^(-r²/2) g(r) dr over r > 0: trapezoid rule in t, r = exp(t - exp(-t))."""
    t, step = np.linspace(-3.2, 2.25, count, retstep=True)
    r = np.exp(t - np.exp(-t))
    return r, step * r * (1 + np.exp(-t)) * r * np.exp(-r**2 / 2)


def pair_nodes(correlation, scale) -> tuple[np.ndarray, ...]:
    """Nodes for E[g(u, v)], u and v ~ N(0, scale²) with the given correlation, for g symmetric in u and v.

    Polar coordinates: u = scale·r·cos θ, v = scale·r·cos(θ - ψ), cos ψ = correlation. The kinks u = 0 and
    v = 0 become two angles; between them, on three sectors and their mirror images, functions are smooth.

    ``correlation`` and ``scale`` are numbers or arrays of one shape ``(…)``. Returns u, v ``(…, angles,
    radii)`` and weights ``(…, angles)`` and ``(radii,)``. The largest scale picks a rule.
    """
    scale = np.asarray(scale, dtype=np.float64)[..., None]
    kind, angles, radii = next(rule[1:] for rule in RULES if scale.max() <= rule[0])
    x, wx = sector(kind, angles)
    r, wr = _radii(radii)
    psi = np.arccos(np.clip(correlation, -1.0, 1.0))[..., None]
    rest = (math.pi - psi) / 2
    theta = np.concatenate([psi / 2 + rest * x, math.pi / 2 + psi * x, math.pi / 2 + psi + rest * x], axis=-1)
    u = (scale * np.cos(theta))[..., None] * r
    v = (scale * np.cos(theta - psi))[..., None] * r
    return u, v, np.concatenate([rest * wx, psi * wx, rest * wx], axis=-1) / math.pi, wr


def pair_mean(values: np.ndarray, angle_weights: np.ndarray, radius_weights: np.ndarray) -> np.ndarray:
    """E[g(u, v)] from ``values = g(u, v)`` at the nodes of ``pair_nodes``, for each pair ``(…)``."""
    return np.vecdot(angle_weights, values @ radius_weights)
