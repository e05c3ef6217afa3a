"""Averages over one standard normal variable, on nodes that serve smooth and kinked functions alike.

Every activation of this package has its kink at 0, if it has one, so both rules split the integral there.
"""

from __future__ import annotations

import math

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
