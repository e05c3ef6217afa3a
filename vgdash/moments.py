"""Moments of float32 arrays ``(batch, units)`` whose squares need not fit into float32.

Each function looks at the sum of squares first, and only where that leaves the safe range divides by the largest magnitude.
Arrays are C-contiguous. The caller turns floating-point warnings off.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["mean", "mean_square", "mean_square_and_cosine", "mean_square_product"]

# While the mean square is in here, squares and products of squares neither overflow nor go subnormal in float32.
SAFE_LOW, SAFE_HIGH = 1e-12, 1e12


def _unit(x: np.ndarray, total: float) -> float:
    """What to divide ``x`` by before squaring: 1 if ``total``, the sum of its squares, is safe, else the largest magnitude."""
    return 1.0 if SAFE_LOW < total / x.size < SAFE_HIGH else float(np.abs(x).max())


def _safe(x: np.ndarray) -> tuple[np.ndarray, float, float]:
    """x/unit, the sum of its squares, and unit; where unit is 0, inf or nan nothing is divided."""
    total = float(np.vdot(x, x))
    unit = _unit(x, total)
    if unit != 1 and 0 < unit < math.inf:
        x = x / x.dtype.type(unit)
        total = float(np.vdot(x, x))
    return x, total, unit


def mean_square(x: np.ndarray) -> float:
    """Mean of x²; inf or nan if an entry is not finite."""
    _, total, unit = _safe(x)
    return total * unit**2 / x.size


def mean(x: np.ndarray) -> float:
    """Mean of x; inf or nan if an entry is not finite."""
    columns = np.ones(len(x), x.dtype) @ x
    total = float(columns.sum(dtype=np.float64))
    return (total if math.isfinite(total) else float(x.sum(dtype=np.float64))) / x.size


def mean_square_and_cosine(x: np.ndarray) -> tuple[float, float]:
    """``mean_square(x)``, and the mean of x[i]·x[i+1]/(|x[i]| |x[i+1]|) over the rows.

    Rows of zeros have no direction and are left out of the second; it is nan if none is left.
    """
    rows = np.vecdot(x, x)
    total = float(rows.sum(dtype=np.float64))
    unit = _unit(x, total)
    if unit != 1:
        if not 0 < unit < math.inf:
            return total * unit**2 / x.size, math.nan
        x = x / x.dtype.type(unit)
        rows = np.vecdot(x, x)
        total = float(rows.sum(dtype=np.float64))
    lengths = np.sqrt(rows, dtype=np.float64)
    products, lengths = np.vecdot(x[:-1], x[1:]), lengths[:-1] * lengths[1:]
    defined = lengths > 0
    cosine = float((products[defined] / lengths[defined]).mean()) if defined.any() else math.nan
    return total * unit**2 / x.size, cosine


def mean_square_product(g: np.ndarray, a: np.ndarray) -> float:
    """Mean over entries of (gᵀ a)², for g ``(batch, m)`` and a ``(batch, n)``.

    In a small batch through Σ (g gᵀ) ∘ (a aᵀ), which is the same sum without the ``(m, n)`` matrix.
    """
    (g, _, g_unit), (a, _, a_unit) = _safe(g), _safe(a)
    batch, m, n = len(g), g.shape[1], a.shape[1]
    if batch * (m + n) < m * n:
        total = np.vdot(g @ g.T, a @ a.T)
    else:
        product = g.T @ a
        total = np.vdot(product, product)
    return float(total) * (g_unit * a_unit) ** 2 / (m * n)
