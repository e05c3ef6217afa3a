"""The shape of a formula's graph: where it bends, and why it cannot be an activation function.

Mean field, probes and training need a continuous f whose slope is bounded: then E[f²] and E[f'²] exist for
every Gaussian, and no layer makes 10³⁰ of 10. So f may grow like |z|, not faster.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vgdash.formula import Misread, compiled, switches

STEEPEST, FLATTEST, LARGEST = 1e3, 1e-6, 1e4  # slope, largest slope, |f(0)|
GROWTH = 1.02  # ratio of slopes far out and nearer by: saturating ones stay below, |z|^1.01 does not
FAR = 1e3  # |z| from which nothing new is expected
MOST, FEW = 2000, 20  # zeros of one switch that are taken, and beyond |z| = 60
NEAR = 60.0  # |z| up to which points are dense
_DENSE = np.arange(-NEAR, NEAR, 0.005) + 0.0025
_LOGS = 10 ** np.arange(-12, 6.01, 0.025)
POINTS = np.unique(np.concatenate([-_LOGS, _DENSE, _LOGS]))


def find_breaks(tree: tuple) -> tuple[float, ...]:
    """Return the z at which a branch of the formula ends, in order: zeros of ``switches``, to 1e-14."""
    found = []
    for switch in {repr(one): one for one in switches(tree)}.values():
        f = compiled(switch)[0]

        def positive(z: np.ndarray, f: Callable = f) -> np.ndarray:
            return f(z, np.empty_like(z)) > 0
        side = positive(POINTS)
        at = np.flatnonzero(side[1:] != side[:-1])
        near = np.maximum(-POINTS[at], POINTS[at + 1]) < NEAR
        at = at[near][:MOST] if np.sum(~near) > FEW else at  # many: an oscillation, which the far points miss
        low, high = POINTS[at], POINTS[at + 1]
        for _ in range(64):
            middle = (low + high) / 2
            same = positive(middle) == side[at]
            low, high = np.where(same, middle, low), np.where(same, high, middle)
        found.append(np.round(low, 14) + 0.0)
    return tuple(np.unique(np.concatenate(found)).tolist()) if found else ()


def find_kinks(df: Callable, breaks: tuple[float, ...]) -> tuple[float, ...]:
    """Return those of ``breaks`` at which f' or f'' jumps; ``df`` is f'."""
    b, top = np.array(breaks), float(np.abs(df(POINTS)).max())
    near, wide = 1e-7 * np.maximum(1, np.abs(b)), 1e-4 * np.maximum(1, np.abs(b))
    jump = np.abs(df(b + near) - df(b - near)) > 1e-5 * top
    right, left = ((df(b + side * 2 * wide) - df(b + side * wide)) / (side * wide) for side in (1, -1))
    return tuple(b[jump | (np.abs(right - left) > 0.02 * top)].tolist())


def refuse_unbounded(f: Callable, df: Callable, breaks: tuple[float, ...]) -> None:
    """Raise ``Misread`` for a function that jumps, that grows faster than |z|, or that is not finite."""
    b = np.array(breaks)
    z = np.unique(np.concatenate([POINTS, [0.0], b - 1e-9, b + 1e-9]))
    value, slope = f(z), np.abs(df(z))
    wrong = z[~np.isfinite(value)]
    if np.isnan(value).any() or np.abs(wrong).min(initial=FAR) < NEAR:
        at = wrong[np.abs(wrong).argmin()]
        raise Misread(f"At z = {at:.3g} it is not a finite number." + (
            " A part of it overflows: write it with tanh, sigmoid or softplus." if abs(at) > NEAR else ""))
    far = np.abs(z) > FAR
    if wrong.size or slope[far].max() > GROWTH * slope[~far].max():
        faster = wrong.size or np.abs(value[far] / z[far]).max() > GROWTH * np.abs(value[~far]).max() / FAR
        raise Misread(f"It {'grows faster than |z|' if faster else 'oscillates ever faster as |z| grows'}, "
                      "so signals or gradients would run away. Bound it, such as with tanh.")
    jumps = np.abs(f(b + 1e-9) - f(b - 1e-9)) > 1e-5 * np.maximum(1, np.abs(f(b + 1e-9)))
    if jumps.any():
        raise Misread(f"It jumps at z = {b[jumps][0]:.3g}. An activation function must be continuous.")
    if not slope.max() <= STEEPEST:
        raise Misread(f"Its slope is {np.nanmax(slope):.3g} at z = {z[np.nanargmax(slope)]:.3g}. "
                      f"The largest allowed is {STEEPEST:,.0f}.")
    if slope[np.abs(z) > 1e-3].max() < FLATTEST:
        raise Misread("Its slope is 0 everywhere, so no gradient passes.")
    if abs(value[z == 0][0]) > LARGEST:
        raise Misread(f"At z = 0 it is {value[z == 0][0]:.3g}. The largest allowed is {LARGEST:,.0f}.")


def sine_frequency(f: Callable, df: Callable) -> float | None:
    """Return ω > 0 of f(z) = ±sin(ω z); None of other functions."""
    slope, z = float(df(np.zeros(1))[0]), np.linspace(-10, 10, 501)
    return abs(slope) if slope and np.allclose(f(z), np.sin(slope * z)) else None
