"""Averages over one standard normal variable by the midpoint rule: a judge of those of ``vgdash``."""

import numpy as np

# A symmetric midpoint grid: exact 1/2 for ReLU's slope, 1e-14 for E[tanh^2] up to q = 10. Gauss-Hermite rules
# with an odd number of nodes sit on ReLU's kink, and 64 nodes are 0.4 % off for tanh at q = 10.
_REACH, _POINTS = 12.0, 4000
GRID = (np.arange(_POINTS) + 0.5) * (2 * _REACH / _POINTS) - _REACH
WEIGHTS = np.exp(-GRID**2 / 2) / np.exp(-GRID**2 / 2).sum()


def gaussian_mean(values: np.ndarray) -> float:
    """Return E[g(z)] for z ~ N(0, 1), from ``values = g(GRID)``."""
    return float(WEIGHTS @ values)
