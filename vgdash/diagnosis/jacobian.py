"""Singular values of the input-output Jacobian: is a net at initialization a rotation, or does it crush most directions?

    J = ∂z[L]/∂x = M[L] ⋯ M[1],   M[1] = N'[1] W[1],   M[l] = N'[l] W[l] D[l-1]  (+ 1 with a skip connection),   D = diag f'(z)

A product of 256 matrices has singular values from 1e-300 to 1e+300, and multiplying it out in floats keeps the largest ones only.
So it is kept as Q·exp(d)·U, Q orthogonal, d logarithms, U with rows of length 1, and brought into that form again after every few
layers (Loh et al. 1989; Bai et al. 2011, Linear Algebra Appl. 435, stratification).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.layers import Net, Tape, forward, residual_factors
from vgdash.parallel import run_all
from vgdash.params import ParamError
from vgdash.probe.probe import ProbeParams
from vgdash.probe.propagation import build
from vgdash.quadrature import MASSES, NODES
from vgdash.theory.averages import log_slope
from vgdash.theory.layerwise import predict

__all__ = ["JacobianSpectrum", "jacobian_spectrum", "predicted_moments"]

BINS = 60
WORK = 5e9  # Σ fan_in·fan_out·min(fan_in, fan_out) over layers, seeds and inputs: 256 layers of 256 are 4.3e9, about a second
CANCELLED = 10.0  # decades that the singular values of the layers multiplied between two QR decompositions may span
ROUNDING = 1e-14  # times the largest entry and the size: what is left of an exact zero after a QR decomposition
MARGIN, REACH = 4.0 * math.log(10), 6.0 * math.log(10)  # ln: how far windows of singular values overlap, and what each gives


@dataclass(frozen=True, eq=False)
class JacobianSpectrum:
    """Singular values s of ∂z[L]/∂x, k = min(widths[0], widths[-1]) for each seed and input; read-only float64.

    ``log10_s`` is -inf for an exact zero (ReLU's dead units leave fewer directions than units) and nan for a seed whose z leaves
    float64, which ``reason`` tells. ``predicted_*`` hold for wide layers, over all k values with the zeros; nan without theory.
    """

    params: ProbeParams
    log10_s: np.ndarray  # (seeds, inputs, k), largest first
    edges: np.ndarray  # (bins + 1,) of log10 s, equally spaced
    share: np.ndarray  # (bins,) share of all singular values; the zeros are missing
    zeros: float  # share of all singular values that are exactly 0
    predicted_log10_mean: float  # log10 of the mean of s²
    predicted_variance: float  # variance of s² / (mean of s²)²
    predicted_log10_largest: float  # log10 s of the upper end of the spectrum of an infinitely wide net; nan where not known
    reason: str

    @property
    def seeds(self) -> int:
        """Nets looked at: the first of ``params.seeds``, as many as are affordable."""
        return len(self.log10_s)

    @property
    def rank(self) -> np.ndarray:
        """Singular values that are not 0, ``(seeds, inputs)``."""
        return np.isfinite(self.log10_s).sum(axis=2)

    @property
    def log10_condition(self) -> np.ndarray:
        """log10 of the largest over the smallest of all k singular values, ``(seeds, inputs)``; inf where one of them is 0."""
        largest, smallest = self.log10_s[..., 0], self.log10_s[..., -1]
        return np.where(np.isneginf(smallest), np.inf, largest - np.where(np.isneginf(smallest), 0, smallest))

    @property
    def log10_mean(self) -> np.ndarray:
        """log10 of the mean of s² over the k values, ``(seeds, inputs)``; -inf if all are 0."""
        return self._moments()[0]

    @property
    def variance(self) -> np.ndarray:
        """Variance of s² over the k values, relative to the square of its mean, ``(seeds, inputs)``; nan if all are 0."""
        return self._moments()[1]

    def share_below(self, s: float) -> float:
        """Share of all singular values that are below ``s``, the zeros too."""
        return float((self.log10_s < math.log10(s)).mean())

    def share_above(self, s: float) -> float:
        """Share of all singular values that are above ``s``."""
        return float((self.log10_s > math.log10(s)).mean())

    def frame(self) -> pd.DataFrame:
        """One row a bin: log10_s_low, log10_s_high, share, and density (share per decade)."""
        return pd.DataFrame({"log10_s_low": self.edges[:-1], "log10_s_high": self.edges[1:], "share": self.share,
                             "density": self.share / np.diff(self.edges)})

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        top = self.log10_s[..., :1]
        squares = 100.0 ** (self.log10_s - np.where(np.isneginf(top), 0, top))
        mean = squares.mean(axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log10(mean) + 2 * top[..., 0], (squares**2).mean(axis=2) / mean**2 - 1


def jacobian_spectrum(p: ProbeParams, inputs: int = 1) -> JacobianSpectrum:
    """Singular values of ∂z[L]/∂x at the first ``inputs`` inputs of the nets that ``probe(p)`` measures.

    In float64 on the same float32 weights, for each input by itself: batch normalization keeps the batch's mean and variance,
    as it does after training. Accurate to about 1e-6 of each singular value, however far apart they are. Takes as many of
    ``p.seeds`` as about a second of one core allows (256 layers of 256: one).

    Raises ``ParamError`` if already one seed is too much work, or if the batch has fewer than ``inputs``.
    """
    if not 1 <= inputs <= p.batch:
        raise ParamError("inputs", f"from 1 to the batch of {p.batch}", inputs, "Each is one example of the batch.")
    once = inputs * float(sum(n * m * min(n, m) for n, m in pairwise(p.widths)))
    if once > WORK:
        raise ParamError("widths", "256 layers of 256 or the like to see singular values", f"{p.depth} layers up to {max(p.widths)}",
                         "Take fewer or narrower layers, or one input.")
    seeds = min(p.seeds, int(WORK // once))
    log_s = np.array(run_all(lambda draw: _one_net(p, draw, inputs), range(seeds))) / math.log(10)
    reason = "z leaves float64: there is no Jacobian to look at" if np.isnan(log_s).any() else ""
    moments, largest, silent = predicted_moments(p)
    edges, share = _histogram(log_s)
    arrays = (log_s, edges, share)
    for array in arrays:
        array.flags.writeable = False
    return JacobianSpectrum(p, *arrays, float(np.isneginf(log_s).mean()), *moments, largest,
                            "; ".join(said for said in (reason, silent) if said))


def _histogram(log10_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = log10_s[np.isfinite(log10_s)]
    low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 0.0)
    room = max(0.02 * (high - low), 0.05)
    edges = np.linspace(low - room, high + room, BINS + 1)
    return edges, np.histogram(there, edges)[0] / log10_s.size


# ---- one net

def _one_net(p: ProbeParams, draw: int, inputs: int) -> np.ndarray:
    """ln s, ``(inputs, k)``, largest first."""
    net, x, _ = build(p, draw)
    whole = p.normalization == "batch" or net.rescale
    rows = p.batch if whole else inputs
    if net.mask and not whole:
        full = net.mask
        net.mask = lambda index: full(index)[:rows]
    tape = Tape(p.widths, rows, np.float64)
    for step in forward(net, x[:rows].astype(np.float64), tape):
        if not np.isfinite(step.z).all():
            return np.full((inputs, min(p.widths[0], p.widths[-1])), np.nan)
    return np.array([_log_singular_values(p, net, tape, row) for row in range(inputs)])


class _Stratified:
    """A product of matrices, applied from the right to the left, as Q·exp(d)·U; ``pending`` is what is not yet decomposed, times Q."""

    def __init__(self, size: int):
        self.pending = np.eye(size)
        self.d = np.zeros(size)
        self.rows = np.eye(size)

    def decompose(self, graded: bool = False) -> None:
        """Q of ``pending``, its R into d and U. ``graded``: rows of very different size, small ones keep their digits."""
        order = np.argsort(-(_log_lengths(self.pending.T) + self.d), kind="stable")
        a, d, u = self.pending[:, order], self.d[order], self.rows[order]
        down = np.argsort(-np.abs(a).max(axis=1, initial=0.0), kind="stable") if graded else slice(None)
        q, r = np.linalg.qr(a[down])
        least = 0.0 if graded else ROUNDING * len(a) * np.abs(r).max(initial=0.0)
        kept = np.abs(r).max(axis=1, initial=0.0) > least
        self.pending = np.empty_like(q[:, kept])
        self.pending[down] = q[:, kept]
        d, rows = _rescaled(r, d, u)
        self.d, self.rows = d[kept], rows[kept]


def _rescaled(r: np.ndarray, d: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """r·exp(d)·u, r upper triangular, as exp(new d)·(rows of length 1)."""
    top = np.maximum.accumulate(d[::-1])[::-1][:len(r)]  # the largest d that a row of r meets
    rows = (r * np.exp(np.minimum(d - top[:, None], 0.0))) @ u
    lengths = _log_lengths(rows)
    return top + lengths, rows / np.exp(lengths)[:, None]


def _log_lengths(rows: np.ndarray) -> np.ndarray:
    largest = np.abs(rows).max(axis=1, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    lengths = np.sqrt(((rows / unit[:, None]) ** 2).sum(axis=1))
    return np.log(lengths, out=np.full(len(rows), -np.inf), where=lengths > 0) + np.log(unit)


def _log_singular_values(p: ProbeParams, net: Net, tape: Tape, row: int) -> np.ndarray:
    """ln s, ``(k,)``, largest first, of the Jacobian at one input."""
    product, strain = _Stratified(p.widths[0]), 0.0
    typical = math.log10(2 * max(p.widths))  # a square Gaussian matrix of n rows has a condition number of about 2n
    for index, weights in enumerate(net.weights):
        skip, before = net.skips[index], product.pending
        if index:
            slope = tape.slope[index][row]
            spread = _decades(slope)
            if strain + spread > CANCELLED:
                product.decompose()
                before, strain = product.pending, 0.0
            before = slope[:, None] * before
            if skip is None and spread > CANCELLED / 2:
                product.pending = before
                product.decompose(graded=True)
                before = product.pending
            else:
                strain += spread
        live = np.flatnonzero(np.abs(before).max(axis=1, initial=0.0))
        branch = (weights[:, live] * float(net.scales[index])) @ before[live]
        if net.axis is not None:
            branch = _through_normalization(branch, net.axis, tape.normalized[index + 1], row)
        product.pending = branch if skip is None else product.pending + skip * branch
        per_layer = 0.0 if p.initializer == "orthogonal" and len(live) == len(before) else typical
        strain += per_layer
        # Layer normalization leaves EPSILON/variance of one direction: small, but not the zero that two of it would count as
        if strain + per_layer > CANCELLED or net.axis == -1:
            product.decompose()
            strain = 0.0
    product.decompose()
    return _graded_singular_values(product.d, product.rows, min(p.widths[0], p.widths[-1]))


def _decades(slope: np.ndarray) -> float:
    sizes = np.abs(slope[slope != 0])
    return math.log10(sizes.max() / sizes.min()) if sizes.size else 0.0


def _through_normalization(branch: np.ndarray, axis: int, normalized: tuple[np.ndarray, np.ndarray], row: int) -> np.ndarray:
    hat, factor = normalized
    if axis == -2:
        return factor[0][:, None] * branch
    centred, hat = branch - branch.mean(axis=0), hat[row][:, None]
    return factor[row] * (centred - hat * (hat * centred).mean(axis=0))


# ---- exp(d)·U to singular values

def _graded_singular_values(d: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """ln of the singular values of exp(d)·rows, largest first, with -inf for the zeros up to ``count``.

    Two steps of the QR algorithm take what couples rows of different size down by the fourth power of their ratio; then an SVD
    of the rows within a window of scales gives the singular values in its middle.
    """
    result = np.full(count, -np.inf)
    if not len(d):
        return result
    for _ in range(2):
        order = np.argsort(-d, kind="stable")
        d, rows = d[order], rows[order]
        lower = np.linalg.qr(rows.T, mode="r").T
        size = np.exp(np.minimum(d[:, None] - d, 0.0))  # d falls, so this is exp(d[i] - d[j]) below the diagonal
        upper = np.linalg.qr(lower * size, mode="r")  # exp(d)·lower·exp(-d), times exp(d) again
        rows = upper * size.T
        lengths = _log_lengths(rows)
        d, rows = d + lengths, rows / np.exp(lengths)[:, None]
    order = np.argsort(-d, kind="stable")
    d, rows = d[order], rows[order][:, order]
    result[:len(d)] = -np.sort(-_windows(d, rows))
    return result


def _windows(d: np.ndarray, rows: np.ndarray) -> np.ndarray:
    log_s = np.empty(len(d))
    first = 0
    while first < len(d):
        last = int(np.searchsorted(-d, -(d[first] - REACH), side="right"))
        low = int(np.searchsorted(-d, -(d[first] + MARGIN)))
        high = int(np.searchsorted(-d, -(d[last - 1] - MARGIN), side="right"))
        block = np.exp(d[low:high] - d[low])[:, None] * rows[low:high, low:high]
        values = np.linalg.svd(block, compute_uv=False)[first - low:last - low]
        log_s[first:last] = np.log(values) + d[low]
        first = last
    return log_s


# ---- theory

def predicted_moments(p: ProbeParams) -> tuple[tuple[float, float], float, str]:
    """(log10 mean of s², relative variance of s²), log10 of the largest s, and what is missing, for wide layers.

    The mean is that of the squared gradient. With μ_j = E[f'^2j] and κ = μ_2/μ_1² the
    participation ρ = tr((JJᵀ)²)/(tr JJᵀ)² grows by 1/n for a Gaussian matrix and by (κ - 1)/n for the slopes, hence for n units
    throughout the relative variance L + (L - 1)(κ - 1), without the L for orthogonal matrices (Pennington, Schoenholz & Ganguli
    2017, arXiv 1711.04735; 2018, arXiv 1802.09979: L (μ_2/μ_1² - 1 - s_1), there with one more factor of slopes). An orthogonal
    matrix from fan_in to fewer units adds 1/fan_out - 1/fan_in. With skip connections the slopes of different layers are
    correlated, and only the mean is given.
    """
    silent = (math.nan, math.nan), math.nan
    if p.initializer == "identity":
        return *silent, "no theory is drawn: the identity is not a random matrix"
    if p.normalization == "batch":
        return *silent, "no theory is drawn: with batch normalization the spread of the units joins the slopes"
    theory = predict(p)
    log_mean = theory.log10_grad2[0] + _log10_first(p) + math.log10(p.widths[1] * p.widths[0] / min(p.widths[0], p.widths[-1]))
    if not math.isfinite(log_mean):
        return (log_mean, math.nan), log_mean / 2, "all weights are 0, and so is the Jacobian"
    if any(skip is not None for skip in residual_factors(p.widths, p.residual)):
        return (log_mean, math.nan), math.nan, "no variance is predicted: skip connections correlate the slopes of different layers"
    rho = _participation(p, theory.log10_q)
    return (log_mean, min(p.widths[0], p.widths[-1]) * rho - 1), _largest(p, log_mean), ""


def _log10_first(p: ProbeParams) -> float:
    """log10 of what the first layer does to a squared gradient, for each unit of the layer and the input."""
    n, m = p.widths[:2]
    w = p.gamma**2 * INITIALIZERS[p.initializer].variance(n, m)
    if w == 0:
        return -math.inf
    if p.rescale == "lsuv":
        w = 1 / n
    divisor = n * w + p.sigma_b2 if p.normalization == "layer" else 1.0
    return math.log10(w / divisor)


def _participation(p: ProbeParams, log10_q: np.ndarray) -> float:
    """Σ (JJᵀ)_ij² / (Σ (JJᵀ)_ii)² at the last layer."""
    activation, widths = ACTIVATIONS[p.activation], np.array(p.widths, dtype=np.float64)
    log_q = np.clip(log10_q[:-1] * math.log(10), -60.0, 60.0)
    slopes = activation.df(np.multiply.outer(np.exp(log_q / 2), NODES))
    kappa = slopes**4 @ MASSES * np.exp(-2 * log_slope(activation, log_q)) / p.keep
    weights = 1 / widths[1:]
    if p.initializer == "orthogonal":
        weights = np.maximum(0.0, weights - 1 / widths[:-1])
    return float(1 / widths[0] + weights.sum() + ((kappa - 1) / widths[1:-1]).sum())


def _largest(p: ProbeParams, log_mean: float) -> float:
    """log10 of the largest s of a linear net of one width: 1 for orthogonal weights, √((L+1)^(L+1)/L^L) for Gaussian ones."""
    plain = replace(p, activation="linear", normalization="none", keep=1.0)
    if plain != p or len(set(p.widths)) > 1:
        return math.nan
    depth = p.depth
    growth = 0.0 if p.initializer == "orthogonal" else (depth + 1) * math.log10(depth + 1) - depth * math.log10(depth)
    return (log_mean + growth) / 2
