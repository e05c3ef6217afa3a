"""The averages of ``maps`` from tables: for predictions of hundreds of layers, whose q differs from layer to layer.

In polar coordinates, with z = ρ/s and s = √q, whatever depends on the activation depends on ρ but not on s:

    E[g(s z)]     = √(1/2π) ∫ (g(ρ) + g(-ρ)) z e^(-z²/2) d ln ρ
    E[g(u) h(v)]  = ∫ t(ρ, ψ) z² e^(-z²/2) d ln ρ,    t(ρ, ψ) = 1/2π ∫ g(ρ cos θ) h(ρ cos(θ - ψ)) dθ,    cos ψ = correlation

So f is evaluated once, on a grid of ln ρ, and a layer is a weighted sum over that grid, for any q: the trapezoid rule of
``gaussian.NODES``. t is smooth in ψ from 0 to π even if f has a kink at 0, so a Chebyshev series in ψ holds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache, partial

import numpy as np

from vgdash import bounds
from vgdash.activations import Activation
from vgdash.quadrature import sector
from vgdash.theory.maps import LOG_RANGE, log_moment, rays_correlation, two_rays

__all__ = ["angle_table", "chebyshev", "cosine_map", "single_averages"]

_STEP = 0.12  # of ln ρ, that of gaussian.NODES
_BLOCK = 8  # grid points; layers whose s lies in one block share a window of the tables, from so many blocks below to above
_BELOW, _PAIR_BELOW, _ABOVE = 38, 11, 4  # z from e^-36 (pairs e^-10.6) to at least e^2.9
_SPAN = _BLOCK * _STEP
_SERIES = 48  # terms in ψ. Measured with the rules below, error relative to E[f²], all activations and correlations: 1e-8 for
# q from 1e-3 to 100. At larger q bounded activations turn within ψ = 1/√q: up to 1e-4.
_RULES = ((1.0, "legendre", 12), (6.0, "legendre", 32), (math.inf, "graded", 65))  # largest ρ, angle rule, angles a sector
_AT_ONCE = 20_000  # numbers: what a core's cache holds, half the time of larger pieces
_PAIR_RANGE = (-40.0, 40.0)  # ln q; outside, correlations are those at its ends to e^-20


def _grid(below: int) -> np.ndarray:
    """z at the grid points of a window, for s at the lower end of its block."""
    return np.exp(np.arange(-below * _BLOCK, _ABOVE * _BLOCK) * _STEP)


_SINGLE_Z, _PAIR_Z = _grid(_BELOW), _grid(_PAIR_BELOW)


def single_averages(activation: Activation, log_q: float) -> tuple[float, float, float]:
    """ln E[f(√q z)²], ln E[f'(√q z)²] and E[f(√q z)] for z ~ N(0, 1): relative error 1e-13, the last to 1e-13 of E|f|."""
    inside = min(max(log_q, LOG_RANGE[0]), LOG_RANGE[1])
    if rays := two_rays(activation):
        left, right = rays
        log_square = math.log((left**2 + right**2) / 2)
        return log_q + log_square, log_square, (right - left) / math.sqrt(2 * math.pi) * _exp(log_q / 2) if right != left else 0.0
    block = math.floor(inside / 2 / _SPAN)
    z = _SINGLE_Z * math.exp(block * _SPAN - inside / 2)
    moment, slope, mean = ((z * np.exp(z * z / -2)) @ _single_window(activation, block)).tolist()
    log_square = math.log(moment)
    if log_q != inside and _powers(activation)[int(log_q > 0)]:
        log_square += log_q - inside
        mean = mean * _exp((log_q - inside) / 2) if mean else 0.0
    return log_square, math.log(slope), mean


def _exp(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


@cache
def _powers(activation: Activation) -> tuple[float, float]:
    """d ln E[f²] / d ln q below and above ``LOG_RANGE``: 0 where f tends to a constant, else 1."""
    return tuple(float(np.round(abs(log_moment(activation, end + math.copysign(1, end)) - log_moment(activation, end))))
                 for end in LOG_RANGE)


@lru_cache(bounds.SINGLE_WINDOWS.entries)
def _single_window(activation: Activation, block: int) -> np.ndarray:
    """f², f'² and f at ρ and -ρ added, times the constants of the rule: ``(points, 3)``."""
    rho = _SINGLE_Z * math.exp(block * _SPAN)
    (f, g), (df, dg) = ((h(rho), h(-rho)) for h in (activation.f, activation.df))
    return np.stack([f**2 + g**2, df**2 + dg**2, f + g], axis=1) * (_STEP / math.sqrt(2 * math.pi))


def cosine_map(activation: Activation, log_q: float) -> Callable[[float], float]:
    """The function c → E[f(u) f(v)] / E[f(u)²] for u and v ~ N(0, q) of correlation c: ``correlation_map`` at one q."""
    if rays := two_rays(activation):
        return partial(rays_correlation, *rays)
    half = min(max(log_q, _PAIR_RANGE[0]), _PAIR_RANGE[1]) / 2
    block = math.floor(half / _SPAN)
    z = _PAIR_Z * math.exp(block * _SPAN - half)
    series = (z * z * np.exp(z * z / -2)) @ _pair_window(activation, block)
    series /= series.sum()  # the value at ψ = 0
    orders = np.arange(_SERIES)

    def cosine(c: float) -> float:
        y = 1 - math.acos(min(1.0, max(-1.0, c))) * 2 / math.pi
        return min(1.0, float(np.cos(orders * math.acos(y)) @ series))

    return cosine


@lru_cache(bounds.PAIR_WINDOWS.entries)
def _pair_window(activation: Activation, block: int) -> np.ndarray:
    """Chebyshev coefficients of t(ρ, ψ), times the constants of the rule: ``(points, terms)``."""
    return np.concatenate([_pair_block(activation, b) for b in range(block - _PAIR_BELOW, block + _ABOVE)]) * _STEP


@lru_cache(bounds.PAIR_BLOCKS.entries)
def _pair_block(activation: Activation, block: int) -> np.ndarray:
    rho = np.exp(np.arange(block * _BLOCK, (block + 1) * _BLOCK) * _STEP)
    rule, angles = next(rest for largest, *rest in _RULES if rho[-1] <= largest * math.exp(_STEP))
    return angle_table(lambda u, v: (activation.f(u) * activation.f(v),), rho, rule, angles, _SERIES)[0]


def angle_table(products: Callable, rho: np.ndarray, rule: str, angles: int, terms: int) -> np.ndarray:
    """Chebyshev coefficients in ψ of t(ρ, ψ), ``(n, points, terms)``, for the n ``products(u, v)``, symmetric in u and v."""
    cos_u, cos_v, weights, transform = _angles(rule, angles, terms)
    pieces = np.array_split(rho[:, None, None], math.ceil(rho.size * weights.size / _AT_ONCE))
    values = [[np.vecdot(product, weights) for product in products(piece * cos_u, piece * cos_v)] for piece in pieces]
    return np.concatenate(values, axis=1) @ transform


@cache
def _angles(rule: str, angles: int, terms: int) -> tuple[np.ndarray, ...]:
    """cos θ, cos(θ - ψ) and weights, ``(terms, 3 angles)`` with one ψ a row, and what makes coefficients of values at these ψ.

    The three sectors are those of ``gaussian.pair_nodes``: between them u or v is 0, or u and v change places.
    """
    order = np.arange(terms)
    psi = (math.pi / 2 * (1 - np.cos(math.pi * order / (terms - 1))))[:, None]
    x, w = sector(rule, angles)
    rest = (math.pi - psi) / 2
    theta = np.concatenate([psi / 2 + rest * x, math.pi / 2 + psi * x, math.pi / 2 + psi + rest * x], axis=1)
    weights = np.concatenate([rest * w, psi * w, rest * w], axis=1) / math.pi
    ends = np.where((order == 0) | (order == terms - 1), 0.5, 1.0)  # the discrete cosine transform of points that include the ends
    transform = np.cos(math.pi / (terms - 1) * np.multiply.outer(order, order)) * np.multiply.outer(ends, ends) * 2 / (terms - 1)
    return np.cos(theta), np.cos(theta - psi), weights, transform


def chebyshev(cosine: np.ndarray, terms: int) -> np.ndarray:
    """What the coefficients of ``angle_table`` are multiplied by at correlations ``cosine`` ``(…)``: ``(…, terms)``."""
    y = 1 - np.arccos(np.clip(cosine, -1.0, 1.0)) * 2 / math.pi
    return np.cos(np.multiply.outer(np.arccos(y), np.arange(terms)))
