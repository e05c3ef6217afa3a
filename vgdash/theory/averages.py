"""Gaussian averages of an activation, tabulated once and then interpolated at any second moment q.

    E[f(√q z)²]    E[f'(√q z)²]    E[f(√q z)]    E[f(u) f(v)]/E[f(u)²]        z ~ N(0, 1); u, v ~ N(0, q)

In polar coordinates, with z = ρ/s and s = √q, the factor that depends on the activation depends on ρ but not
on s:

    E[g(s z)]     = √(1/2π) ∫ (g(ρ) + g(-ρ)) z e^(-z²/2) d ln ρ
    E[g(u) h(v)]  = ∫ t(ρ, ψ) z² e^(-z²/2) d ln ρ,    cos ψ = correlation of u and v
    t(ρ, ψ)       = 1/2π ∫ g(ρ cos θ) h(ρ cos(θ - ψ)) dθ

So f is evaluated once, on a grid of ln ρ (the trapezoid rule of ``quadrature.NODES``), and each average is
analytic in ln q. t is smooth in ψ from 0 to π even if f has a kink at 0, so a Chebyshev series in ψ
represents it. Second moments are carried as ln q, so that nothing overflows. Typed formulas, which may have
kinks elsewhere or oscillate, take their averages from ``formula_averages``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np

from vgdash.activations import ACTIVATIONS, Activation, ActivationRule
from vgdash.formula_shape import sine_frequency
from vgdash.quadrature import MASSES, NODES
from vgdash.theory.formula_averages import Averages, average_one, average_two, is_uneven

STEP = 0.12  # of ln ρ, as in quadrature.NODES
PIECE, TERMS = 4, 16  # grid steps and Chebyshev terms of a piece of ln s: error 1e-14 for all activations
ABOVE = 20  # grid points above s: z up to e^2.3, where e^(-z²/2) is 1e-20
BELOW, PAIR_BELOW = 304, 88  # the same below s: z from e^-36; z² of pairs from e^-21
REACH = 288  # largest |ln s| / STEP; beyond it f(s z) follows its power law at 0 or at infinity to 1e-15
LOG_RANGE = 2 * STEP * REACH  # the same for ln q
# Terms in ψ. Measured error relative to E[f²], for all activations and correlations: 1e-8 for q from 1e-3 to
# 100. At larger q bounded activations turn within ψ = 1/√q: up to 1e-4.
SERIES = 48
SINE_SERIES = 144  # the same of sin(ω z), which turns within ψ = 1/(ω√q): 1e-4 at 1/150
ANGLES = 65  # of a sector
UNEVEN_REACH = 72  # the same for pairs of a formula with kinks elsewhere than at 0, or that oscillates
TINY = 1e-140  # replaces an average of a formula that is smaller: its square is still a number
AT_ONCE = 20_000  # numbers that a core's cache holds: half the time of larger pieces


def activation_record(activation: str | Activation) -> Activation:
    """Return the record of a name or formula, or the record itself. Raises ``ParamError``."""
    if isinstance(activation, Activation):
        return activation
    return ACTIVATIONS[ActivationRule(tuple(ACTIVATIONS)).check("activation", activation)]


def mean(activation: Activation, g: Callable, scale: float | np.ndarray = 1.0) -> np.ndarray:
    """Return E[g(scale·z)] by quadrature, z ~ N(0, 1), for a ``g`` made of f and f'; one for each scale."""
    if activation.tree is None:
        return g(np.multiply.outer(scale, NODES)) @ MASSES
    values, masses = g(activation.resolved.rho), activation.resolved.masses
    return np.reshape([values @ masses(s) for s in np.ravel(scale)], np.shape(scale))


# ---- averages of one input

def log_moment(activation: str | Activation, log_q) -> np.ndarray:
    """Return ln E[f(√q z)²], z ~ N(0, 1), for any array of ln q (-inf for q = 0). Relative error 1e-13."""
    table, low, high = _single_table(activation_record(activation))
    log_q = np.asarray(log_q, dtype=np.float64)
    return np.minimum(np.maximum(log_q, low), high) + table(log_q, 0)


def log_slope(activation: str | Activation, log_q) -> np.ndarray:
    """Return ln E[f'(√q z)²], z ~ N(0, 1), for any array of ln q. Relative error 1e-13."""
    return _single_table(activation_record(activation))[0](log_q, 1)


def moment_exponent(activation: str | Activation, log_q) -> np.ndarray:
    """Return d ln E[f(√q z)²] / d ln q = E[u f(u) f'(u)] / E[f(u)²], u = √q z; 1 for ReLU."""
    return _single_table(activation_record(activation))[0](log_q, 2)


def mean_value(activation: str | Activation, log_q) -> np.ndarray:
    """Return E[f(√q z)], ±inf where it overflows. Error 1e-13 of the root mean square."""
    ratio = _single_table(activation_record(activation))[0](log_q, 3)
    with np.errstate(over="ignore"):
        root = np.exp(log_moment(activation, log_q) / 2)
    return np.multiply(ratio, root, out=np.zeros_like(ratio), where=ratio != 0)


@lru_cache(maxsize=64)
def _single_table(activation: Activation) -> tuple[Interpolant, float, float]:
    """Tabulate ln(E[f²]/q), ln E[f'²], ``moment_exponent`` and E[f]/√E[f²].

    The two numbers are the ends of ln q beyond which E[f²] is constant, infinite if it is proportional to q
    there.
    """
    if activation.tree:
        nodes = activation.resolved
        squares = nodes.value**2
        averages = average_one(nodes, [squares, nodes.slope**2, nodes.rho**2 * squares, nodes.value])
        table = Interpolant(averages, REACH, _normalize_formula)
    else:
        rho = radii(REACH, BELOW)
        (f, g), (df, dg) = ((h(rho), h(-rho)) for h in (activation.f, activation.df))

        def normalize(averages: np.ndarray, log_q: np.ndarray) -> np.ndarray:
            moment, slope, product, mean = averages
            return np.stack([np.log(moment) - log_q, np.log(slope), product / moment, mean / np.sqrt(moment)])

        columns = np.stack([f**2 + g**2, df**2 + dg**2, rho * (f * df - g * dg), f + g])
        table = Interpolant(slide(columns / math.sqrt(2 * math.pi), REACH, BELOW, 1), REACH, normalize)
    ends = (math.copysign(math.inf if table(x, 2) > 0.5 else LOG_RANGE, x) for x in (-LOG_RANGE, LOG_RANGE))
    return table, *ends


def _normalize_formula(averages: np.ndarray, log_q: np.ndarray) -> np.ndarray:
    """Columns of ``_single_table`` from E[f²], E[f'²], E[u² f²] and E[f]: by parts, E[u f f'] needs no f'."""
    moment, slope, outer, mean = averages
    moment, slope = np.maximum(moment, TINY), np.maximum(slope, TINY)
    exponent = np.where(moment > TINY, (outer * np.exp(-log_q) / moment - 1) / 2, 1.0)
    return np.stack([np.log(moment) - log_q, np.log(slope), exponent, mean / np.sqrt(moment)])


# ---- averages of two inputs

def correlation_series(activation: Activation, log_q) -> np.ndarray:
    """Return the series in ψ of E[f(u) f(v)] / E[f(u)²] at ``log_q`` ``(…)``: ``(…, terms)``."""
    return _pair_table(activation)(log_q)


def map_correlation(series: np.ndarray, correlation) -> np.ndarray:
    """Return E[f(u) f(v)] / E[f(u)²] at a ``correlation`` ``(…)``, from its ``correlation_series``."""
    mapped = np.vecdot(series, chebyshev(correlation, series.shape[-1]))
    return np.minimum(mapped, 1.0)  # rounding could lift it above


def correlation_slope(series: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Return the derivative of ``map_correlation``, for correlations below 1: q E[f'(u) f'(v)] / E[f(u)²]."""
    order, psi = np.arange(series.shape[-1]), np.arccos(correlation)
    phi = np.arccos(1 - psi * 2 / math.pi)
    by_phi = np.vecdot(series, order * np.sin(phi[..., None] * order))
    return by_phi * 2 / (math.pi * np.sin(phi) * np.sin(psi))


@lru_cache(maxsize=64)
def _pair_table(activation: Activation) -> Interpolant:
    def normalize(averages: np.ndarray, log_q: np.ndarray) -> np.ndarray:
        whole = averages.sum(axis=0)  # the value at ψ = 0
        one = np.eye(len(averages))[0][:, None, None]  # where f is 0 all inputs become one
        return np.where(whole > 0, averages / np.where(whole > 0, whole, 1.0), one)

    if omega := sine_frequency(activation.f, activation.df):
        return Interpolant(_pairs_of_sine(omega), REACH, normalize)
    if is_uneven(activation):
        pairs = series_of_pairs(activation, lambda f, df: [(f, f)], SERIES, UNEVEN_REACH, fine=2)
        return Interpolant(pairs, UNEVEN_REACH, normalize)
    rho = radii(REACH, PAIR_BELOW)
    series = angle_series(lambda u, v: [activation.f(u) * activation.f(v)], rho, ANGLES, SERIES)[0]
    return Interpolant(slide(series.T, REACH, PAIR_BELOW, 2), REACH, normalize)


def _pairs_of_sine(omega: float) -> Averages:
    """Return E[sin ωu sin ωv] = (e^(-k(1 - c)) - e^(-k(1 + c)))/2, k = ω²q, as a series in ψ."""
    c = np.cos(math.pi * _chebyshev_points(SINE_SERIES))[:, None, None]

    def averages(log_q: np.ndarray) -> np.ndarray:
        k = omega**2 * np.exp(log_q)
        values = np.sign(c) * np.exp(k * (np.abs(c) - 1)) * -np.expm1(-2 * k * np.abs(c)) / 2
        return np.einsum("a...,at->t...", values, _transform(SINE_SERIES))
    return averages


def series_of_pairs(activation: Activation, products: Callable, terms: int, reach: int,
                    fine: int) -> Averages:
    """Return averages of two inputs of a formula as series in ψ, like ``angle_series``, pair by pair."""
    averages = average_two(activation, products, math.pi * _chebyshev_points(terms), reach * STEP, fine)

    def series(log_q: np.ndarray) -> np.ndarray:
        at_angles = averages(log_q).reshape(-1, terms, *log_q.shape)
        return np.einsum("pa...,at->pt...", at_angles, _transform(terms)).reshape(-1, *log_q.shape)
    return series


def angle_series(products: Callable, rho: np.ndarray, angles: int, terms: int) -> np.ndarray:
    """Return series in ψ of t(ρ, ψ), ``(n, points, terms)``, for n symmetric ``products(u, v)``."""
    cos_u, cos_v, weights = _angles(angles, terms)
    pieces = np.array_split(rho[:, None, None], 1 + rho.size * weights.size // AT_ONCE)
    averages = [np.stack([np.vecdot(product, weights) for product in products(piece * cos_u, piece * cos_v)])
                for piece in pieces]
    return np.concatenate(averages, axis=1) @ _transform(terms)


@cache
def _angles(angles: int, terms: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return cos θ, cos(θ - ψ) and weights, ``(terms, 3 angles)`` with one ψ a row.

    One half of the circle (the other is its mirror image), in three sectors that end where u = 0, v = 0 or
    u = v. Tanh-sinh nodes are dense at the ends of a sector, as saturated f need.
    """
    psi = math.pi * _chebyshev_points(terms)[:, None]
    t, step = np.linspace(-3.0, 3.0, angles, retstep=True)
    x = 1 / (1 + np.exp(-math.pi * np.sinh(t)))
    w = step * math.pi * np.cosh(t) * x * (1 - x)
    rest = (math.pi - psi) / 2
    theta = np.concatenate([psi / 2 + rest * x, math.pi / 2 + psi * x, math.pi / 2 + psi + rest * x], axis=1)
    return np.cos(theta), np.cos(theta - psi), np.concatenate([rest * w, psi * w, rest * w], axis=1) / math.pi


# ---- Chebyshev series

def _chebyshev_points(terms: int) -> np.ndarray:
    """Return (1 - cos(kπ/(terms - 1)))/2, k = 0 … terms - 1: from 0 to 1."""
    return (1 - np.cos(math.pi * np.arange(terms) / (terms - 1))) / 2


@cache
def _transform(terms: int) -> np.ndarray:
    """Return the matrix that makes Chebyshev coefficients of values at ``_chebyshev_points``."""
    order = np.arange(terms)
    return np.linalg.inv(np.cos(np.outer(order, order) * (math.pi / (terms - 1))))


def chebyshev(correlation, terms: int) -> np.ndarray:
    """Return the polynomials of ``angle_series`` at a correlation ``(…)``: ``(…, terms)``."""
    y = 1 - np.arccos(np.minimum(np.maximum(correlation, -1.0), 1.0)) * (2 / math.pi)
    return np.cos(np.arccos(y)[..., None] * np.arange(terms))


def radii(reach: int, below: int) -> np.ndarray:
    """Return the grid of ρ for |ln s| up to ``reach`` steps, from ``below`` steps below the least s."""
    return np.exp(np.arange(-reach - below, reach + ABOVE) * STEP)


def slide(columns: np.ndarray, reach: int, below: int, power: int) -> Averages:
    """Return averages for an ``Interpolant``: ``columns`` ``(columns, points)`` are the factors of

    z^power e^(-z²/2) at ``radii(reach, below)``.
    """
    nodes = _chebyshev_points(TERMS)
    z = np.exp((np.arange(below + PIECE + ABOVE)[:, None] - below - PIECE * nodes) * STEP)
    windows = np.lib.stride_tricks.sliding_window_view(columns, len(z), axis=-1)[:, ::PIECE]
    return lambda log_q: windows @ (z**power * np.exp(z * z / -2) * STEP)


class Interpolant:
    """Averages as functions of ln q: Chebyshev series on pieces of equal length, constant beyond the ends.

    ``averages(log_q)`` gives them for |ln √q| up to ``reach`` steps, ``(columns, pieces, terms)``.
    ``normalize(averages, log_q)`` makes the functions to be stored.
    """

    def __init__(self, averages: Averages, reach: int, normalize: Callable):
        self.low, self.pieces = -reach / PIECE, 2 * reach // PIECE
        nodes = _chebyshev_points(TERMS)
        log_q = 2 * STEP * PIECE * (self.low + np.arange(self.pieces)[:, None] + nodes)
        values = normalize(averages(log_q), log_q)
        coefficients = values @ _transform(TERMS)
        self.coefficients = np.ascontiguousarray(np.moveaxis(coefficients, 0, 1))  # (pieces, columns, terms)
        self.constant = values[:, 0, 0] if np.ptp(values, axis=(1, 2)).max() < 1e-13 else None

    def __call__(self, log_q, column: int | slice = slice(None)) -> np.ndarray:
        """Return values at ``log_q`` ``(…)``: of one column ``(…)``, of all ``(…, columns)``."""
        if self.constant is not None:  # of a homogeneous activation
            values = self.constant[column]
            return np.full(np.shape(log_q) + values.shape, values)[()]
        place = np.asarray(log_q) * (0.5 / STEP / PIECE) - self.low
        place = np.minimum(np.maximum(place, 0.0), self.pieces)
        piece = np.minimum(place.astype(np.intp), self.pieces - 1)
        polynomials = np.cos(np.arccos(1 - 2 * (place - piece))[..., None] * np.arange(TERMS))
        if isinstance(column, int):
            return np.vecdot(self.coefficients[piece, column], polynomials)
        return np.vecdot(self.coefficients[piece], polynomials[..., None, :])
