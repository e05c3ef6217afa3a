"""What one wide random layer does, as Gaussian averages of the activation, for second moments of any size.

    E[f(√q z)²]    E[f'(√q z)²]    E[f(u) f(v)]/E[f(u)²]    E[f'(u) f'(v)]/E[f'(u)²]

Second moments are carried as ln q, so that nothing overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np

from vgdash.activations import ACTIVATIONS, Activation
from vgdash.params import Choice
from vgdash.quadrature import MASSES, NODES, pair_mean, pair_nodes

__all__ = ["LOG_RANGE", "activation_record", "correlation_map", "log_moment", "log_slope", "moment_exponent",
           "rays_correlation", "slope_correlation", "two_rays"]

# ln of the scales s = √q between which f is evaluated; outside, f(s z) follows its power law at 0 or at infinity to 1e-15
_LOG_SCALES = (-34.5, 34.5)
LOG_RANGE = (2 * _LOG_SCALES[0], 2 * _LOG_SCALES[1])  # the same for ln q


def activation_record(activation: str | Activation) -> Activation:
    """The record of a name; a record passes through. Raises ``ParamError`` for a name that is not in ``ACTIVATIONS``."""
    if isinstance(activation, Activation):
        return activation
    return ACTIVATIONS[Choice(tuple(ACTIVATIONS)).check("activation", activation)]


def _scales(log_q) -> tuple[np.ndarray, np.ndarray]:
    """s = √q inside the range where f is evaluated, and what of ln q is left outside."""
    log_q = np.asarray(log_q, dtype=np.float64)
    inside = np.clip(log_q, *LOG_RANGE)
    return np.exp(inside / 2), log_q - inside


def log_moment(activation: str | Activation, log_q) -> np.ndarray:
    """ln E[f(√q z)²], z ~ N(0, 1), for any array of ln q (-inf for q = 0). Relative error 1e-13."""
    activation = activation_record(activation)
    if rays := two_rays(activation):
        return np.asarray(log_q, dtype=np.float64) + _log_half_square(*rays)
    s, beyond = _scales(log_q)
    values = activation.f(np.multiply.outer(s, NODES)) / s[..., None]
    inside = np.log(values**2 @ MASSES) + 2 * np.log(s)
    if not beyond.any():
        return inside
    power = np.round(_exponent(activation, s))  # 0 where f tends to a constant, at 0 or at infinity, else 1
    return inside + np.where(power == 0, 0.0, np.where(power == 0, 1.0, power) * beyond)


def log_slope(activation: str | Activation, log_q) -> np.ndarray:
    """ln E[f'(√q z)²], z ~ N(0, 1), for any array of ln q. Relative error 1e-13."""
    activation = activation_record(activation)
    if rays := two_rays(activation):
        return np.full(np.shape(log_q), _log_half_square(*rays))
    s, _ = _scales(log_q)
    return np.log(activation.df(np.multiply.outer(s, NODES)) ** 2 @ MASSES)


def moment_exponent(activation: str | Activation, log_q) -> np.ndarray:
    """d ln E[f(√q z)²] / d ln q = E[u f(u) f'(u)] / E[f(u)²], u = √q z: 1 for ReLU, 0 for a saturated tanh."""
    return _exponent(activation_record(activation), _scales(log_q)[0])


def _exponent(activation: Activation, s: np.ndarray) -> np.ndarray:
    u = np.multiply.outer(s, NODES)
    values = activation.f(u) / s[..., None]
    return (values * activation.df(u) * NODES) @ MASSES / (values**2 @ MASSES)


def _log_half_square(left: float, right: float) -> float:
    """ln E[f²]/q of two rays, which is also ln E[f'²]: each half of the inputs meets one slope."""
    return math.log((left**2 + right**2) / 2)


@cache
def two_rays(activation: Activation) -> tuple[float, float] | None:
    """The two slopes of an activation that is a straight line on each side of 0 (linear, ReLU, leaky ReLU), else None."""
    left, right = float(-activation.f(-1.0)), float(activation.f(1.0))
    straight = np.where(NODES > 0, right, left) * NODES
    return (left, right) if np.allclose(activation.f(NODES), straight, rtol=1e-14, atol=0) else None


def correlation_map(activation: str | Activation, log_q: float, correlation: float) -> float:
    """E[f(u) f(v)] / E[f(u)²] for u and v ~ N(0, q) of the given correlation.

    f made of two rays is (m z + d |z|): E|u||v| = (2/π)(√(1 - c²) + c·arcsin c) (Cho & Saul 2009); any other f by quadrature.
    """
    activation = activation_record(activation)
    if rays := two_rays(activation):
        return rays_correlation(*rays, correlation)
    s = float(_scales(log_q)[0])
    return _pair_ratio(lambda z: activation.f(z) / s, s, correlation)


def slope_correlation(activation: str | Activation, log_q: float, correlation: float) -> float:
    """E[f'(u) f'(v)] / E[f'(u)²] for u and v ~ N(0, q) of the given correlation."""
    activation = activation_record(activation)
    if rays := two_rays(activation):
        return _rays_ratio(*rays, 1.0, math.asin(min(1.0, max(-1.0, correlation))) * 2 / math.pi)
    return _pair_ratio(activation.df, float(_scales(log_q)[0]), correlation)


def rays_correlation(left: float, right: float, correlation: float) -> float:
    """``correlation_map`` of an f with the slopes ``left`` and ``right`` of 0, at every q."""
    root = math.sqrt(max(0.0, 1 - correlation**2))
    return _rays_ratio(left, right, correlation, (root + correlation * math.asin(min(1.0, max(-1.0, correlation)))) * 2 / math.pi)


def _rays_ratio(left: float, right: float, even: float, odd: float) -> float:
    mean, half = (right + left) / 2, (right - left) / 2
    return (mean**2 * even + half**2 * odd) / (mean**2 + half**2)


def _pair_ratio(f: Callable[[np.ndarray], np.ndarray], s: float, correlation: float) -> float:
    u, v, *weights = pair_nodes(correlation, s)
    return float(pair_mean(f(u) * f(v), *weights) / (f(s * NODES) ** 2 @ MASSES))
