"""Averages over one standard normal variable, on nodes that serve smooth and kinked functions alike.

Every named activation has its kink at 0, if it has one, so two rules split the integral there. ``resolve``
finds a rule for a function with kinks elsewhere, or one that oscillates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


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


# ---- a rule for one function

RATIO = 0.25  # of ln|z|: panels where f is smooth
PANELS = 2048  # at most; sin(30 z) is resolved up to |z| = 100
FEW = 32  # halvings that rounding explains
TAIL = 10.0  # standard deviations that count: e^(-z²/2) is 1e-22 there
STRAIGHT = 1e-4  # |z| below which f follows from f(0) and f', whatever its formula cancels
NOISY = 1e-7  # |z| below which f' is that at this |z|: sin(z)/z and its like cancel
SMOOTH, THINNEST = 1e-3, 1e-5  # |z|, and width over |z|, of panels that are not halved
ABSCISSAE, ABSCISSA_WEIGHTS = np.polynomial.legendre.leggauss(16)
_LAST_TERMS = np.linalg.inv(np.polynomial.legendre.legvander(ABSCISSAE, 15)).T[:, -2:]


@dataclass(frozen=True, eq=False)
class Resolved:
    """Nodes ρ on panels within which f and f' are smooth, ordered by |ρ|: E[g(s z)] = ``masses(s)`` @ g(ρ).

    ``value`` and ``slope`` are f(ρ) and f'(ρ), ``edges`` the ends of the panels, in order. ``refined``: some
    were halved. Beyond ``reach`` the function oscillates too often to be resolved.
    """

    rho: np.ndarray
    weight: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    edges: np.ndarray
    reach: float
    refined: bool

    def masses(self, scale, count: int | None = None) -> np.ndarray:
        """Return masses ``(…, nodes)`` for s = ``scale`` ``(…)``, or ``largest_scale`` if that is smaller.

        ``count`` nodes are enough if the others have |ρ| above ``TAIL`` times the scale.
        """
        s = np.minimum(scale, self.largest_scale)[..., None]
        with np.errstate(over="ignore", under="ignore"):
            bell = np.exp(-((self.rho[:count] / s) ** 2) / 2) / (math.sqrt(2 * math.pi) * s)
        return bell * self.weight[:count]

    @property
    def largest_scale(self) -> float:
        """Largest s of which all nodes are resolved."""
        return self.reach / TAIL


def resolve(f: Callable, df: Callable, breaks: tuple[float, ...]) -> Resolved:
    """Find panels on which the Legendre series of f and f' end, for |z| up to e^37, split at ``breaks``.

    Panels are halved until the last two of 16 coefficients are below 1e-10, small |z| first.
    """
    def slope_at(rho: np.ndarray) -> np.ndarray:
        return df(np.copysign(np.maximum(np.abs(rho), NOISY), rho))

    powers = np.exp(np.arange(-144, 149) * RATIO)
    edges = np.unique(np.concatenate([-powers, [0.0], powers, breaks]))
    low, high, done, reach = edges[:-1], edges[1:], [], float(powers[-1])
    tops = [float(np.abs(g(ABSCISSAE)).max()) for g in (f, slope_at)]
    for _ in range(24):
        rho = _nodes(low, high)
        rough = np.zeros(len(low), dtype=bool)
        rounding = tops[0] * 2e-15 / np.abs(low + high)  # of a slope in which terms of 1/z cancel
        for g, top in zip((f, slope_at), tops, strict=True):
            values = g(rho)
            rest = np.abs(values @ _LAST_TERMS).max(axis=1)
            rough |= rest > 1e-10 * np.abs(values).max(axis=1) + 1e-14 * top + rounding
        rough &= (high - low > THINNEST * np.abs(low + high)) & (np.abs(low + high) > SMOOTH)
        done.append(np.stack([low[~rough], high[~rough]]))
        low, high = low[rough], high[rough]
        if not low.size:
            break
        middle = (low + high) / 2
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        order = np.argsort(np.abs(low + high), kind="stable")
        room = max(0, PANELS - sum(ends.shape[1] for ends in done[1:]))
        for left in order[room:][:1]:
            reach = min(reach, abs(low[left]), abs(high[left]))
        low, high = low[order[:room]], high[order[:room]]
    low, high = np.concatenate([*done, np.stack([low, high])], axis=1)
    low, high = np.stack([low, high])[:, np.maximum(np.abs(low), np.abs(high)) <= reach]
    order = np.argsort(np.abs(low + high), kind="stable")
    low, high = low[order], high[order]
    rho = _nodes(low, high).ravel()
    weight = np.multiply.outer((high - low) / 2, ABSCISSA_WEIGHTS).ravel()
    value, slope = f(rho), slope_at(rho)
    near = np.abs(rho) < min([STRAIGHT, *(abs(b) for b in breaks if b)])
    z, zero = rho[near], np.copysign(NOISY, rho[near])
    value[near] = f(np.zeros(1)) + z / 6 * (slope_at(zero) + 4 * slope_at(z / 2) + slope_at(z))
    return Resolved(rho, weight, value, slope, np.unique([low, high]), reach, len(low) > len(edges) + FEW)


def _nodes(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * ABSCISSAE
