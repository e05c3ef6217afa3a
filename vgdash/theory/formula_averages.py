"""Gaussian averages of a typed formula, which may have kinks anywhere and may oscillate.

One input is integrated over the nodes of ``quadrature.resolve``. For two, t(ρ, ψ) of ``averages`` is the
autocorrelation of the periodic function f(ρ cos θ), so with its Fourier coefficients c_n

    t(ρ, ψ) = Σ |c_n|² cos nψ

which one FFT gives for all ψ. Where a function oscillates more often than its nodes can resolve, averages
follow the power of q that they have reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from vgdash.activations import Activation
from vgdash.quadrature import TAIL, Resolved

CIRCLES = ((16.0, 2048), (np.inf, 8192))  # angles of a circle, by its largest radius
ABSCISSAE, WEIGHTS = np.polynomial.legendre.leggauss(6)  # of a panel of radii
BELOW, ABOVE = -10.5, 2.3  # ln z of the pairs that count: z² from e^-21, and e^(-z²/2) from 1e-20
AT_ONCE, MOST = 1 << 18, 1_000_000  # values of f in memory, and in all at the fewest angles

Averages = Callable[[np.ndarray], np.ndarray]  # ln q (…) → (columns, …)


def is_uneven(activation: Activation) -> bool:
    """Test if a formula has kinks elsewhere than at 0, or oscillates: then the rules of ``averages`` fail."""
    return activation.tree is not None and (
        any(activation.breaks) or activation.resolved.refined)


def average_one(nodes: Resolved, columns: Sequence[np.ndarray]) -> Averages:
    """Return E[g(√q z)] as a function of ln q ``(pieces, points)``, for g = ``columns`` at the nodes."""
    table = np.stack(columns)
    beyond = np.minimum.accumulate(np.abs(nodes.rho)[::-1])[::-1]  # the least |ρ| from here on

    def averages(log_q: np.ndarray) -> np.ndarray:
        scale, top = np.exp(log_q / 2), nodes.largest_scale
        found = np.empty((len(table), *log_q.shape))
        ends = table @ nodes.masses(np.array([top / 2, top])).T
        for piece, s in enumerate(scale):
            count = np.searchsorted(beyond, TAIL * s.max())
            found[:, piece] = (ends[:, 1:] if s.min() >= top else
                               table[:, :count] @ nodes.masses(s, count).T)
        return found * _continued(scale, top, ends)
    return averages


def average_two(activation: Activation, products: Callable, psi: np.ndarray, reach: float,
                fine: int) -> Averages:
    """Return E[g(u) h(v)] at the angles ``psi`` ``(angles,)`` as a function of ln q ``(pieces, points)``.

    ``products(f, df)`` lists the pairs (g, h) from the values of f and f'. The result has a column for each
    pair and angle: ``(pairs · angles, …)``. ``reach`` is the largest |ln √q|, ``fine`` multiplies the angles.
    """
    edges = np.unique(np.abs(activation.resolved.edges))
    edges = np.append(0.0, edges[(edges > np.exp(BELOW - reach)) & (edges < np.exp(ABOVE + reach))])
    half = np.diff(edges)[:, None] / 2
    rho, weight = ((edges[:-1, None] + half + half * ABSCISSAE).ravel(), (half * WEIGHTS).ravel())
    angles = fine * np.where(rho < CIRCLES[0][0], *(many for _, many in CIRCLES))
    count = int(np.searchsorted(np.cumsum(angles / 2), fine**2 * MOST))
    rho, weight, angles = rho[:count], weight[:count], angles[:count]
    table = np.concatenate([_correlate(activation, products, rho[angles == fine * many], fine * many, psi)
                            for _, many in CIRCLES], axis=1)  # (pairs, radii, angles)
    columns = np.moveaxis(table, 1, -1).reshape(-1, len(rho))

    def kernel(scale: np.ndarray) -> np.ndarray:
        z = rho / scale[..., None]
        return np.exp(-z * z / 2) * z * weight / scale[..., None]

    def averages(log_q: np.ndarray) -> np.ndarray:
        scale, top = np.exp(log_q / 2), rho[-1] / TAIL
        found = np.moveaxis(kernel(np.minimum(scale, top)) @ columns.T, -1, 0)
        return found * _continued(scale, top, columns @ kernel(np.array([top / 2, top])).T)
    return averages


def _correlate(activation: Activation, products: Callable, rho: np.ndarray, many: int,
               psi: np.ndarray) -> np.ndarray:
    """Return t(ρ, ψ) ``(pairs, radii, angles)`` from ``many`` points of each circle."""
    cosine = np.cos((np.arange(many // 2) + 0.5) * (2 * np.pi / many))
    order = np.arange(many // 2 + 1)
    share = np.where(order % (many // 2) == 0, 1, 2) / many**2
    waves = np.cos(np.multiply.outer(order, psi)) * share[:, None]
    found = []
    for part in np.array_split(rho, 1 + rho.size * many // AT_ONCE):
        u = np.multiply.outer(part, cosine)
        pairs = products(activation.f(u), activation.df(u))
        waved = {id(g): _fourier(g) for pair in pairs for g in pair}
        found.append(np.stack([sum(map(np.multiply, waved[id(g)], waved[id(h)])) @ waves for g, h in pairs]))
    return np.concatenate(found, axis=1)


def _fourier(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fourier coefficients of a function that is even in θ, real and imaginary, from half a circle."""
    found = np.fft.rfft(np.concatenate([values, values[:, ::-1]], axis=1), axis=1)
    return np.ascontiguousarray(found.real), np.ascontiguousarray(found.imag)


def _continued(scale: np.ndarray, top: float, ends: np.ndarray) -> np.ndarray:
    """Return factors ``(columns, …)`` from the average at ``top`` to those at a larger ``scale``.

    ``ends`` are the averages at top/2 and at top; they tell the whole power of √q.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.rint(np.log2(np.abs(ends[:, 1] / ends[:, 0])))
    power = np.where(np.isfinite(power), power, 0.0).reshape(-1, *[1] * scale.ndim)
    return np.maximum(scale / top, 1.0) ** power
