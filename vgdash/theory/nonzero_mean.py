"""Gaussian averages about a mean other than 0: constant biases move all units of a layer to one side.

    E[g(m + s z)²]        E[f(m + s z)]        E[f(u) f(v)], u, v ~ N(m, s²) of correlation r >= 0
"""

from __future__ import annotations

import math

import numpy as np

from vgdash.activations import Activation
from vgdash.quadrature import MASSES, NODES

NEGLIGIBLE = 1e-9  # share of m² in E[z²] below which the averages about 0 hold
ROOT_2_PI = math.sqrt(2 * math.pi)
PEAKED = 0.15  # s/|m| below which 0, where f may have a kink, is 6.7 standard deviations away
COMMON = np.linspace(-6, 6, 41)  # nodes of what two inputs share: smooth, so this rule is exact to 1e-8


def mean_matters(mean: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Test where the mean of z counts."""
    return (mean != 0) & (log_q > -np.inf) & (mean**2 > NEGLIGIBLE * np.exp(np.minimum(log_q, 700.0)))


def _nodes(activation: Activation, mean: np.ndarray | float, s: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and masses of N(mean, s²), log-spaced about 0 unless that is far from all of z.

    ``mean`` ``(k, 1)``, or one number: all of them far from 0, or none.
    """
    if np.all(s < PEAKED * np.abs(mean)):
        return mean + s * NODES, MASSES
    if activation.tree:
        nodes = activation.resolved
        return nodes.rho, nodes.weight * np.exp(-(((nodes.rho - mean) / s) ** 2) / 2) / (s * ROOT_2_PI)
    root = np.hypot(mean, s)
    z = (root * NODES - mean) / s
    return root * NODES, MASSES * np.exp((NODES**2 - z**2) / 2) * root / s


def averages_about(activation: Activation, mean: float, log_q: float) -> tuple[float, float, float]:
    """Return E[f²], E[f'²] and E[f] for z ~ N(mean, q - mean²)."""
    z, masses = _nodes(activation, mean, math.sqrt(max(math.exp(log_q) - mean**2, 1e-30)))
    values, slopes = activation.f(z), activation.df(z)
    return float(masses @ values**2), float(masses @ slopes**2), float(masses @ values)


def pair_cosine_about(activation: Activation, mean: float, log_q: float, cosine: float) -> float:
    """Return E[f(u) f(v)]/E[f²] for u, v with E[u²] = E[v²] = q and E[u v] = cosine·q."""
    q = math.exp(log_q)
    s2 = max(q - mean**2, 1e-30)
    r = min(max((cosine * q - mean**2) / s2, 0.0), 1.0)
    common = mean + math.sqrt(r * s2) * COMMON
    weights = np.exp(-COMMON**2 / 2)
    own, s = np.empty(len(common)), math.sqrt(s2 * (1 - r)) + 1e-15
    far = s < PEAKED * np.abs(common)
    for some in (far, ~far):
        z, masses = _nodes(activation, common[some, None], s)
        own[some] = np.vecdot(masses, activation.f(z))
    square = averages_about(activation, mean, log_q)[0]
    return float(weights @ own**2 / weights.sum()) / square if square else 1.0
