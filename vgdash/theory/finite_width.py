"""Finite width: the scatter of second moments around the mean field, to first order in 1/width.

Given the layers before it, every unit of a layer is an independent draw, so each layer adds noise of order
1/width to ln q:

    ReLU: relative variance of the mean of f(z)² over n units is 5/n        (E[f⁴]/E[f²]² - 1 = 5)
    and backwards of f'(z)² g², g Gaussian, 5/n too                         (3 E[f'⁴]/E[f'²]² - 1 = 5)

which is ln ~ N(-β/2, β), β = 5 Σ 1/n of Hanin & Nica 2020 (arXiv 1812.05994), and 2 Σ 1/n for a linear net.
Another activation damps or amplifies the noise of the layers before it by d ln E[f²]/d ln q, and shifts the
gradient by d ln E[f'²]/d ln q. Inputs of one batch share the weights, so their noise is correlated: the mean
over a batch scatters less than one input.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from vgdash.activations import Activation
from vgdash.probe.params import ProbeParams
from vgdash.records import Record
from vgdash.theory.averages import (
    STEP,
    Interpolant,
    angle_series,
    chebyshev,
    radii,
    series_of_pairs,
    slide,
)
from vgdash.theory.formula_averages import average_one, is_uneven

# The tables of ``averages`` with fewer angles for pairs: 1e-3; where tanh and its like are saturated (√q
# beyond 6), the slopes' share of those is known to 1e-2 and less well.
_REACH = 40  # steps of |ln s|: |ln q| up to 9.6, beyond which f is its own power law to a percent
_BELOW, _PAIR_BELOW = 150, 88  # grid points below s: z from e^-18, of pairs z² from e^-21
_ANGLES, _TERMS = 25, 32  # of a sector; in ψ


@dataclass(frozen=True, eq=False)
class Band(Record):
    """ln of a seed's statistic minus ln of the mean field ~ N(mean, variance); read-only ``(depth,)``."""

    mean: np.ndarray
    variance: np.ndarray
    one: np.ndarray  # variance for one input; mean and variance are for the mean over the batch


@dataclass(frozen=True, eq=False)
class _OneInput:
    """Gaussian averages of one input by layer, each ``(depth,)``, z ~ N(0, q).

    The last three are relative variances and covariances.
    """

    power: np.ndarray  # J = d ln E[f²] / d ln q
    power_bend: np.ndarray  # dJ / d ln q
    slope: np.ndarray  # S = d ln E[f'²] / d ln q
    slope_bend: np.ndarray  # dS / d ln q
    overlap: np.ndarray  # E[z f f']² / (q E[f²] E[f'²])
    spread: np.ndarray  # E[z² f'²] / (q E[f'²])
    ratio: np.ndarray  # q E[f'²] / E[f²]
    forward: np.ndarray  # f² with itself
    backward: np.ndarray  # f'² g² with itself, g ~ N(0, 1)
    across: np.ndarray  # f² with f'² g²


@dataclass(frozen=True, eq=False)
class _TwoInputs:
    """Averages over two inputs u, v by layer, each ``(depth,)``, divided by those of one input."""

    value: np.ndarray  # E[f f] / E[f²]
    slope: np.ndarray  # E[f' f'] / E[f'²]
    cubes: np.ndarray  # E[f³ f] / E[f²]²
    forward: np.ndarray  # E[f² f²] / E[f²]²
    backward: np.ndarray  # E[f'² f'²] / E[f'²]²
    across: np.ndarray  # E[f² f'²] / (E[f²] E[f'²])


def band(p: ProbeParams, activation: Activation, log_q: np.ndarray, cosine: np.ndarray,
         share: np.ndarray) -> tuple[Band, Band]:
    """Compute the bands of ln q and of ln grad2, both means over the batch.

    ``log_q``, ``cosine`` (of two inputs) and ``share`` (of the weights in q, the bias gives the rest) are the
    mean field's, ``(depth,)``. Layer l's noise ε[l] in E[f²] reaches ln q of the layers after it,
    x[l+1] = share (J[l] x[l] + ε[l]), and through it E[f'²] there; noise η[l] in f'² g² reaches the gradient
    of all layers up to l.
    """
    one, series = _averages(activation, p.keep, log_q)
    cosine_variance, returned2 = _cosines(p, one, _two_inputs(series, cosine), cosine, share)
    aside = np.minimum(np.sqrt(cosine_variance), 1 - cosine)
    two = _two_inputs(series, cosine - aside, cosine + aside)  # their mean holds the part of the curvature
    forward, backward, across, measured = _noise(p, one, two, cosine**2 + aside**2, returned2, share)

    width = np.array(p.widths, dtype=np.float64)
    # (2, depth), column k: noise ε[k] in what layer k + 1 receives, first of the input itself
    of_input = 2 * (1 - p.input_cosine**2)  # relative variance of x²: 2 without a mean
    source = np.concatenate([[[of_input], [0.0]], forward[:, :-1]], axis=1) / width[:-1]
    path = _path(one.power, share)
    x_variance = path**2 @ source[0]
    x_mean = _mean_of_log(one, share, source[0], x_variance)
    variance = path**2 @ source.T + (measured / width[1:]).T
    band_q = _band(x_mean - measured[0] / width[1:] / 2, variance, p.batch)

    inner = slice(0, p.depth - 1)  # layers whose f' the gradient passes, l to L - 1
    reach = _from_the_top((one.slope[:, None] * path)[inner])  # (depth, depth): ε[k] → ln grad2[l]
    cotangent = np.array([2 / width[-1], 0.0])
    own = _from_the_top((backward / width[1:]).T[inner]) + cotangent
    met = np.triu(reach[:, 1:])  # noise ε[k], k ≥ l, comes from the same z as η[k]
    variance = reach**2 @ source.T + 2 * met @ (across / width[1:]).T[inner] + own
    shift = one.slope * x_mean + one.slope_bend * x_variance / 2 - backward[0] / width[1:] / 2
    shift[inner] += _coherence(one, share)[inner] / width[1:-1]
    return band_q, _band(_from_the_top(shift[inner, None])[:, 0] - 1 / width[-1], variance, p.batch)


def _cosines(p: ProbeParams, one: _OneInput, two: _TwoInputs, cosine: np.ndarray,
             share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variance of the cosine of two inputs' z, and mean squared cosine of their gradients from above.

    Finite width makes even unrelated vectors of n numbers share a squared cosine of 1/n, and the layers add
    to it. That is of second order in 1/width, yet most of the noise of a large batch of unrelated inputs.
    """
    kept, returned = _kept(p, share)
    value = p.keep * two.value
    slope = p.keep * one.ratio * two.slope
    noise = (two.forward - value**2 - 2 * value * (two.cubes - value)
             + value**2 * (one.forward + two.forward - 1) / 2 - kept * (slope * (1 - cosine**2)) ** 2)
    fresh = np.maximum(0.0, noise[:-1]) / p.widths[1:-1]
    c = p.input_cosine
    first = share[0] ** 2 / p.widths[0] * (
        2 * c * (1 - c) ** 3 + (1 - c) ** 2 * (1 + c**2))  # of x y - c (x² + y²)/2; 1 without a mean
    variance = _chain(first, share[1:] ** 2 * slope[:-1] ** 2, share[1:] ** 2 * fresh)
    passed = (p.keep * two.slope[1:-1]) ** 2
    fresh = np.maximum(0.0, two.backward[1:-1] - returned[1:-1] * passed) / p.widths[2:-1]
    last = 1 / p.widths[-1]
    back = [last, *_chain(last, passed[::-1], fresh[::-1])][:p.depth]
    return variance, np.minimum(1.0, back[::-1])


def _chain(first: float, factors: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """x[0] = ``first``, x[i + 1] = factors[i] x[i] + terms[i]."""
    values = [float(first)]  # plain numbers: the entries of an array one by one take ten times as long
    for factor, term in zip(factors.tolist(), terms.tolist(), strict=True):
        values.append(factor * values[-1] + term)
    return np.array(values)


def _kept(p: ProbeParams, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Part of lengths and angles that orthogonal weights keep, forward and backward; 0 for others."""
    if p.initializer != "orthogonal":
        return np.zeros(p.depth), np.zeros(p.depth)
    fan_in, fan_out = np.array(p.widths[:-1]), np.array(p.widths[1:])
    returned = np.append(np.minimum(1, fan_out[:-1] / fan_out[1:]), 1.0)
    return share**2 * np.minimum(1, fan_out / fan_in), returned


def _noise(p, one: _OneInput, two: _TwoInputs, cosine2, returned2, share) -> tuple[np.ndarray, ...]:
    """Relative covariances times the width, each ``(2, depth)``: of one input with itself, and of two inputs.

    Of f² with f², f'² g² with f'² g², f² with f'² g², z² with z². The part along z² and g² is no noise if
    lengths are kept.
    """
    kept, returned = _kept(p, share)
    lengths = 2 * np.stack([np.ones_like(cosine2), cosine2])
    gradients = 2 * np.stack([np.ones_like(returned2), returned2])
    forward = np.stack([one.forward, two.forward - 1])
    backward = np.stack([one.backward, two.backward * (1 + gradients[1]) - 1])
    across = np.stack([one.across, two.across - 1])
    return (forward - one.power**2 * kept * lengths,
            backward - one.slope**2 * kept * lengths - returned * gradients,
            across - one.power * one.slope * kept * lengths, lengths * (1 - kept))


def _band(mean: np.ndarray, variances: np.ndarray, batch: int) -> Band:
    """Average over the batch: ``variances`` has columns (one input, covariance of two inputs)."""
    one, two = variances.T.copy()
    variance = one / batch + (1 - 1 / batch) * two
    # ln of a mean lies above the mean of the ln by half of the variance that averaging removes
    mean = mean + (one - variance) / 2
    variance = np.maximum(variance, 0.0)  # below 0 to first order if orthogonal weights hardly scatter
    return Band(mean, variance, one)


def _path(power: np.ndarray, share: np.ndarray) -> np.ndarray:
    """``(depth, depth)``: the part of noise ε[k], k = 0 … L - 1, in ln q of layer l = 1 … L."""
    passed = np.append(1.0, power[:-1] * share[1:])[:, None]
    steps = np.where(np.tri(len(power), k=-1, dtype=bool), passed, 1.0)
    np.fill_diagonal(steps, share)
    return np.tril(np.cumprod(steps, axis=0))


def _mean_of_log(one: _OneInput, share: np.ndarray, source: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Mean of x[l], to second order in the noise: ln is curved, and so is ln E[f²] as a function of ln q."""
    power, above = one.power[:-1], one.power_bend[:-1] * variance[:-1] / 2
    spread = np.append(0.0, power**2 * variance[:-1]) + source
    terms = share * (np.append(0.0, above) - source / 2) + share * (1 - share) * spread / 2
    return _chain(terms[0], share[1:] * power, terms[1:])


def _from_the_top(rows: np.ndarray) -> np.ndarray:
    """Sums over layers l … L - 1 for l = 1 … L: the last one is empty."""
    return np.concatenate([np.cumsum(rows[::-1], axis=0)[::-1], np.zeros((1, rows.shape[1]))])


def _coherence(one: _OneInput, share: np.ndarray) -> np.ndarray:
    """Mean shift, times the width, because the W[l+1] of the backward pass is the one that made z[l+1].

    Given z = W a, Wᵀ δ has the part a (z·δ)/|a|² along a. With t = E[(z·δ)²]/(width q grad2) this is 1/width
    of the gradient if t = 1, as for piecewise linear f (z·δ is then the same in all layers), and a shift
    (t - 1)/width otherwise.
    """
    # t - 1; 0 at the last layer, where δ is drawn independently
    excess = _chain(0.0, (share[1:] * one.overlap[:-1])[::-1], (one.spread[:-1] - 1)[::-1])[::-1]
    return np.append((one.across[:-1] + 1) * share[1:] * excess[1:], 0.0)


def _averages(activation: Activation, keep: float, log_q: np.ndarray) -> tuple[_OneInput, np.ndarray]:
    """Return the averages of one input, and those of two as series in ψ, ``(depth, 6, terms)``.

    Dropout draws a mask for each input, so ``keep`` cancels in the second. Derivatives by ln q are by parts:
    f may have kinks.
    """
    log_q = np.clip(log_q, -2 * STEP * _REACH, 2 * STEP * _REACH)
    single, pairs = _tables(activation)
    f2, df2, f4, df4, f2_df2, z_f_df, z2_f2, z2_df2, z4_f2, z4_df2 = single(log_q).T
    power, slope = (z2_f2 / f2 - 1) / 2, (z2_df2 / df2 - 1) / 2
    one = _OneInput(power, (z4_f2 - 4 * z2_f2 + f2) / f2 / 4 - power**2,
                    slope, (z4_df2 - 4 * z2_df2 + df2) / df2 / 4 - slope**2,
                    z_f_df**2 / (f2 * df2), z2_df2 / df2, np.exp(log_q) * df2 / f2,
                    f4 / f2**2 / keep - 1, 3 * df4 / df2**2 / keep - 1, f2_df2 / (f2 * df2) / keep - 1)
    norms = np.stack([f2, df2, f2**2, f2**2, df2**2, f2 * df2], axis=-1)
    return one, pairs(log_q).reshape(-1, 6, _TERMS) / norms[..., None]


@lru_cache(maxsize=32)
def _tables(activation: Activation) -> tuple[Interpolant, Interpolant]:
    """Tabulate E[f²], E[f'²] … as ``columns`` name them, z ~ N(0, 1), and the products of ``_TwoInputs``."""
    def products(u, v):
        f_u, f_v, df_u, df_v = (g(x) for g in (activation.f, activation.df) for x in (u, v))
        values, slopes = f_u * f_v, df_u * df_v
        return (values, slopes, values * (f_u**2 + f_v**2) / 2, values**2, slopes**2,
                ((f_u * df_v) ** 2 + (f_v * df_u) ** 2) / 2)

    def columns(z, f, df):
        f2, df2 = f**2, df**2
        z_f_df = z * f * df
        return np.stack([f2, df2, f2**2, df2**2, f2 * df2, z_f_df,
                         z**2 * f2, z**2 * df2, z**4 * f2, z**4 * df2])

    def normalize(averages, log_q):
        return averages * np.exp(-powers * log_q / 2)

    powers = np.array([0, 0, 0, 0, 0, 1, 2, 2, 4, 4])[:, None, None]  # of z = ρ/√q
    if activation.tree:
        nodes, floors = activation.resolved, 10.0 ** np.array([-100, -100, -200, -200, -200, *[-100] * 5])

        def normalize_formula(averages, log_q):
            found, least = normalize(averages, log_q), floors[:, None, None]
            return np.where(np.abs(found) < least, least, found)
        single = Interpolant(average_one(nodes, columns(nodes.rho, nodes.value, nodes.slope)), _REACH,
                             normalize_formula)
    else:
        rho = radii(_REACH, _BELOW)
        both = 0.0
        for z in (rho, -rho):
            both = both + columns(z, activation.f(z), activation.df(z))
        single = Interpolant(slide(both / math.sqrt(2 * math.pi), _REACH, _BELOW, 1), _REACH, normalize)
    if is_uneven(activation):
        def pairs_of(f, df):
            f2, df2 = f * f, df * df
            return [(f, f), (df, df), (f * f2, f), (f2, f2), (df2, df2), (f2, df2)]
        pairs = series_of_pairs(activation, pairs_of, _TERMS, _REACH, fine=1)
    else:
        series = angle_series(products, radii(_REACH, _PAIR_BELOW), _ANGLES, _TERMS)  # (6, points, terms)
        pairs = slide(np.concatenate(series.transpose(0, 2, 1)), _REACH, _PAIR_BELOW, 2)
    return single, Interpolant(pairs, _REACH, lambda averages, log_q: averages)


def _two_inputs(series: np.ndarray, *cosines: np.ndarray) -> _TwoInputs:
    """Return the mean over the ``cosines``, each ``(depth,)``."""
    polynomials = np.mean([chebyshev(cosine, _TERMS) for cosine in cosines], axis=0)
    return _TwoInputs(*np.vecdot(series, polynomials[:, None]).T)
