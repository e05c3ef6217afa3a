"""Moments of stacks of float32 arrays ``(nets, batch, units)`` whose squares need not fit into float32.

Each function looks at the sum of squares of every net first, and only where that leaves the safe range
divides by its largest magnitude. Arrays are C-contiguous; what comes back is float64 ``(nets,)``. The caller
turns floating-point warnings off.
"""

from __future__ import annotations

import numpy as np

# For mean squares in this range, squares and their products neither overflow nor go subnormal in float32.
SAFE_LOW, SAFE_HIGH = 1e-12, 1e12


def _sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sum x·y over the entries, net by net."""
    return np.array([np.vdot(one, other) for one, other in zip(x, y, strict=True)], dtype=np.float64)


def _are_safe(totals: np.ndarray, entries: int) -> bool:
    """Return True if the mean squares are in the safe range; a loop, because there are only a few nets."""
    return all(SAFE_LOW * entries < total < SAFE_HIGH * entries for total in totals.tolist())


def _units(x: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return the divisor of each net: 1 where its sum of squares is safe, else its largest magnitude."""
    means = totals / x[0].size
    units = np.ones(len(x))
    for net in np.flatnonzero(~((means > SAFE_LOW) & (means < SAFE_HIGH))):
        units[net] = np.abs(x[net]).max()
    return units


def _divided(x: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Divide each net by its unit, unless that is 0, inf or nan."""
    usable = np.where((units > 0) & np.isfinite(units), units, 1.0)
    return x / usable.astype(x.dtype)[:, None, None]


def _safe(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x/units, the sums of its squares, and units."""
    totals = _sums(x, x)
    if _are_safe(totals, x[0].size):
        return x, totals, np.ones(len(x))
    units = _units(x, totals)
    divided = _divided(x, units)
    return divided, _sums(divided, divided), units


def mean_square(x: np.ndarray) -> np.ndarray:
    """Return the mean of x²; inf or nan if an entry is not finite."""
    _, totals, units = _safe(x)
    return totals * units**2 / x[0].size


def mean(x: np.ndarray) -> np.ndarray:
    """Return the mean of x; inf or nan if an entry is not finite."""
    ones = np.ones(x.shape[1], x.dtype)
    totals = np.array([(ones @ one).sum(dtype=np.float64) for one in x])
    for net in np.flatnonzero(~np.isfinite(totals)):
        totals[net] = x[net].sum(dtype=np.float64)
    return totals / x[0].size


def mean_square_and_cosine(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``mean_square(x)`` and the mean of x[i]·x[i+1]/(|x[i]| |x[i+1]|) over the rows.

    Rows of zeros have no direction and are left out of the second; it is nan if none is left.
    """
    rows = np.vecdot(x, x)
    totals = rows.sum(axis=1, dtype=np.float64)
    units = np.ones(len(x))
    if not _are_safe(totals, x[0].size):
        units = _units(x, totals)
        x = _divided(x, units)
        rows = np.vecdot(x, x)
        totals = rows.sum(axis=1, dtype=np.float64)
    lengths = np.sqrt(rows, dtype=np.float64)
    lengths = lengths[:, :-1] * lengths[:, 1:]
    cosines = np.vecdot(x[:, :-1], x[:, 1:])
    defined = lengths > 0
    cosine = np.divide(cosines, lengths, out=np.zeros(lengths.shape), where=defined).sum(axis=1)
    cosine /= np.where(defined.any(axis=1), defined.sum(axis=1), np.nan)
    return totals * units**2 / x[0].size, np.where((units > 0) & np.isfinite(units), cosine, np.nan)


def mean_square_product(g: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Return the mean over entries of (gᵀ a)², for g ``(nets, batch, m)`` and a ``(nets, batch, n)``.

    In a small batch through Σ (g gᵀ) ∘ (a aᵀ), which is the same sum without the ``(m, n)`` matrix.
    """
    batch, m, n = g.shape[1], g.shape[2], a.shape[2]
    if batch * (m + n) < m * n:
        (g, _, g_units), (a, _, a_units) = _safe(g), _safe(a)
        return _sums(g @ g.mT, a @ a.mT) * (g_units * a_units) ** 2 / (m * n)
    product = g.mT @ a
    totals = _sums(product, product)
    if not _are_safe(totals, m * n):
        (g, _, g_units), (a, _, a_units) = _safe(g), _safe(a)
        product = g.mT @ a
        totals = _sums(product, product) * (g_units * a_units) ** 2
    return totals / (m * n)
