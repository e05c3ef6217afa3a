"""Singular values of the input-output Jacobian: is a new net a rotation, or does it lose most directions?

    J = ∂z[L]/∂x = M[L] ⋯ M[1],   M[1] = N'[1] W[1],   M[l] = N'[l] W[l] D[l-1] (+ 1 with a skip connection)

with D = diag f'(z) and N' the derivative of the normalization. A product of 256 matrices has singular values
from 1e-300 to 1e+300, and floats would keep only the largest of them. So the product is kept as Q·exp(d)·U, Q
orthogonal, d logarithms, U with rows of length 1, and decomposed again after every few layers (Loh et al.
1989; Bai et al. 2011, Linear Algebra Appl. 435, stratification).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.layers import Net, Tape, forward, plain_norm_scale
from vgdash.parallel import run_all
from vgdash.params import ParamError
from vgdash.probe.params import ProbeParams
from vgdash.probe.propagation import build
from vgdash.records import Record
from vgdash.theory.averages import log_slope, mean
from vgdash.theory.layerwise import log_weights, predict

BINS = 60
WORK = 5e9  # Σ fan_in·fan_out·min(fan_in, fan_out) over layers, seeds and inputs, about a second
CANCELLED = 10.0  # decades that singular values may span between two QR decompositions; float64 has 16
ROUNDING = 1e-14  # times the largest entry and the size: an exact zero after a QR decomposition
MARGIN, REACH = 4.0 * math.log(10), 6.0 * math.log(10)  # ln: overlap of windows of scales, and their width


@dataclass(frozen=True, eq=False)
class JacobianSpectrum(Record):
    """Singular values s of ∂z[L]/∂x, k = min(widths[0], widths[-1]) a seed and input; float64.

    ``log10_s`` is -inf for an exact zero (ReLU's dead units leave fewer directions than units) and nan for a
    seed whose z leaves float64 (see ``reason``). ``predicted_*`` hold for wide layers, over all k values with
    the zeros; nan without theory.
    """

    params: ProbeParams
    log10_s: np.ndarray  # (seeds, inputs, k), largest first
    edges: np.ndarray  # (bins + 1,) of log10 s, equally spaced
    share: np.ndarray  # (bins,) share of all singular values; the zeros are missing
    zeros: float  # share of all singular values that are exactly 0
    predicted_log10_mean: float  # log10 of the mean of s²
    predicted_variance: float  # variance of s² / (mean of s²)²
    predicted_log10_largest: float  # log10 of the largest s of an infinitely wide net; nan where not known
    reason: str

    @property
    def seeds(self) -> int:
        """Number of nets: the first of ``params.seeds``, as many as ``WORK`` allows."""
        return len(self.log10_s)

    @property
    def rank(self) -> np.ndarray:
        """Number of singular values that are not 0, ``(seeds, inputs)``."""
        return np.isfinite(self.log10_s).sum(axis=2)

    @property
    def log10_condition(self) -> np.ndarray:
        """log10 of the largest over the smallest singular value, ``(seeds, inputs)``; inf where one is 0."""
        largest, smallest = self.log10_s[..., 0], self.log10_s[..., -1]
        return np.where(np.isneginf(smallest), np.inf, largest - np.where(np.isneginf(smallest), 0, smallest))

    @property
    def log10_mean(self) -> np.ndarray:
        """log10 of the mean of s² over the k values, ``(seeds, inputs)``; -inf if all are 0."""
        return self._moments()[0]

    @property
    def variance(self) -> np.ndarray:
        """Variance of s² over the k values / (mean of s²)², ``(seeds, inputs)``; nan if all are 0."""
        return self._moments()[1]

    def frame(self) -> pd.DataFrame:
        """One row a bin: log10_s_low, log10_s_high, share, and density (share per decade)."""
        return pd.DataFrame({"log10_s_low": self.edges[:-1], "log10_s_high": self.edges[1:],
                             "share": self.share, "density": self.share / np.diff(self.edges)})

    def _moments(self) -> tuple[np.ndarray, np.ndarray]:
        top = self.log10_s[..., :1]
        squares = 100.0 ** (self.log10_s - np.where(np.isneginf(top), 0, top))
        mean = squares.mean(axis=2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.log10(mean) + 2 * top[..., 0], (squares**2).mean(axis=2) / mean**2 - 1


def jacobian_spectrum(p: ProbeParams, inputs: int = 1) -> JacobianSpectrum:
    """Compute the singular values of ∂z[L]/∂x at the first ``inputs`` inputs of the nets of ``probe(p)``.

    In float64 on the same float32 weights, for each input by itself: batch normalization keeps the batch's
    mean and variance fixed, as it does after training. Accurate to about 1e-6 of each singular value, however
    far apart they are. Takes as many of ``p.seeds`` as about a second of one core allows (256 layers of 256:
    one).

    Raises ``ParamError`` if already one seed is too much work, or if the batch has fewer than ``inputs``.
    """
    if not 1 <= inputs <= p.batch:
        raise ParamError("inputs", f"from 1 to the batch of {p.batch}", inputs,
                         "Each is one example of the batch.")
    work = inputs * float(sum(n * m * min(n, m) for n, m in pairwise(p.widths)))
    if work > WORK:
        raise ParamError("widths", "256 layers of 256 or the like to see singular values",
                         f"{p.depth} layers up to {max(p.widths)}",
                         "Take fewer or narrower layers, or one input.")
    seeds = min(p.seeds, int(WORK // work))
    log_s = np.array(run_all(lambda draw: _net_log_singular_values(p, draw, inputs), range(seeds)))
    log10_s = log_s / math.log(10)
    overflow = ["z leaves float64: there is no Jacobian to look at"] if np.isnan(log10_s).any() else []
    *moments, missing = _predict_moments(p)
    return JacobianSpectrum(p, log10_s, *_histogram(log10_s), float(np.isneginf(log10_s).mean()), *moments,
                            "; ".join([*overflow, *([missing] if missing else [])]))


def _histogram(log10_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    there = log10_s[np.isfinite(log10_s)]
    low, high = (float(there.min()), float(there.max())) if there.size else (0.0, 0.0)
    room = max(0.02 * (high - low), 0.05)
    edges = np.linspace(low - room, high + room, BINS + 1)
    return edges, np.histogram(there, edges)[0] / log10_s.size


# ---- one net

def _net_log_singular_values(p: ProbeParams, draw: int, inputs: int) -> np.ndarray:
    """ln s of one net, ``(inputs, k)``, largest first."""
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


class _StratifiedProduct:
    """Product of matrices as Q·exp(d)·U; ``pending`` holds the factors not yet decomposed, times Q."""

    def __init__(self, size: int):
        self.pending = np.eye(size)
        self.d = np.zeros(size)
        self.rows = np.eye(size)

    def decompose(self, graded: bool = False) -> None:
        """Keep Q of ``pending`` and move R into d and U. ``graded``: small rows keep their digits."""
        order = np.argsort(-(_log_lengths(self.pending.T) + self.d), kind="stable")
        a, d, u = self.pending[:, order], self.d[order], self.rows[order]
        falling = np.argsort(-np.abs(a).max(axis=1, initial=0.0), kind="stable") if graded else slice(None)
        q, r = np.linalg.qr(a[falling])
        least = 0.0 if graded else ROUNDING * len(a) * np.abs(r).max(initial=0.0)
        kept = np.abs(r).max(axis=1, initial=0.0) > least
        self.pending = np.empty_like(q[:, kept])
        self.pending[falling] = q[:, kept]
        d, rows = _absorb(r, d, u)
        self.d, self.rows = d[kept], rows[kept]


def _absorb(r: np.ndarray, d: np.ndarray, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write r·exp(d)·u, r upper triangular, as exp(new d)·(rows of length 1)."""
    top = np.maximum.accumulate(d[::-1])[::-1][:len(r)]  # the largest d that a row of r meets
    rows = (r * np.exp(np.minimum(d - top[:, None], 0.0))) @ u
    lengths = _log_lengths(rows)
    return top + lengths, rows / np.exp(lengths)[:, None]


def _log_lengths(rows: np.ndarray) -> np.ndarray:
    """ln of the Euclidean length of each row, without overflow; -inf for 0."""
    largest = np.abs(rows).max(axis=1, initial=0.0)
    unit = np.where(largest > 0, largest, 1.0)
    lengths = np.sqrt(((rows / unit[:, None]) ** 2).sum(axis=1))
    return np.log(lengths, out=np.full(len(rows), -np.inf), where=lengths > 0) + np.log(unit)


def _log_singular_values(p: ProbeParams, net: Net, tape: Tape, row: int) -> np.ndarray:
    """ln s of the Jacobian at one input, ``(k,)``, largest first."""
    product, cancelled = _StratifiedProduct(p.widths[0]), 0.0
    typical = math.log10(2 * max(p.widths))  # condition number of a square Gaussian matrix
    for index, weights in enumerate(net.weights):
        skip, before = net.skips[index], product.pending
        if index:
            slope = tape.slope[index][row]
            decades = _decades(slope)
            if cancelled + decades > CANCELLED:
                product.decompose()
                before, cancelled = product.pending, 0.0
            before = slope[:, None] * before
            if skip is None and decades > CANCELLED / 2:
                product.pending = before
                product.decompose(graded=True)
                before = product.pending
            else:
                cancelled += decades
        live = np.flatnonzero(np.abs(before).max(axis=1, initial=0.0))
        branch = (weights[:, live] * float(net.scales[index])) @ before[live]
        if net.axis is not None:
            branch = _differentiate_normalization(branch, net.axis, tape.normalized[index + 1], row)
        if skip is None and net.norm_scale != 1:
            branch = branch * net.norm_scale
        product.pending = branch if skip is None else product.pending + skip * branch
        per_layer = 0.0 if p.initializer == "orthogonal" and len(live) == len(before) else typical
        cancelled += per_layer
        # Layer normalization leaves EPSILON/variance of one direction: two layers of it would count as zero
        if cancelled + per_layer > CANCELLED or net.axis == -1:
            product.decompose()
            cancelled = 0.0
    product.decompose()
    return _graded_singular_values(product.d, product.rows, min(p.widths[0], p.widths[-1]))


def _decades(slope: np.ndarray) -> float:
    sizes = np.abs(slope[slope != 0])
    return math.log10(sizes.max() / sizes.min()) if sizes.size else 0.0


def _differentiate_normalization(branch: np.ndarray, axis: int, normalized: tuple[np.ndarray, np.ndarray],
                                 row: int) -> np.ndarray:
    hat, factor = normalized
    if axis == -2:
        return factor[0][:, None] * branch
    centred, hat = branch - branch.mean(axis=0), hat[row][:, None]
    return factor[row] * (centred - hat * (hat * centred).mean(axis=0))


# ---- exp(d)·U to singular values

def _graded_singular_values(d: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """ln of the ``count`` singular values of exp(d)·rows, largest first, with -inf for zeros.

    Two steps of the QR algorithm reduce the coupling of rows of different size by the fourth power of their
    ratio; then an SVD of the rows within a window of scales gives the singular values in its middle.
    """
    result = np.full(count, -np.inf)
    if not len(d):
        return result
    for _ in range(2):
        order = np.argsort(-d, kind="stable")
        d, rows = d[order], rows[order]
        lower = np.linalg.qr(rows.T, mode="r").T
        size = np.exp(np.minimum(d[:, None] - d, 0.0))  # d falls: this is exp(d[i] - d[j]) below the diagonal
        upper = np.linalg.qr(lower * size, mode="r")  # exp(d)·lower·exp(-d), times exp(d) again
        rows = upper * size.T
        lengths = _log_lengths(rows)
        d, rows = d + lengths, rows / np.exp(lengths)[:, None]
    order = np.argsort(-d, kind="stable")
    d, rows = d[order], rows[order][:, order]
    result[:len(d)] = -np.sort(-_windowed_svd(d, rows))
    return result


def _windowed_svd(d: np.ndarray, rows: np.ndarray) -> np.ndarray:
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

def _predict_moments(p: ProbeParams) -> tuple[float, float, float, str]:
    """log10 mean and relative variance of s², log10 of the largest s, and what is missing, for wide layers.

    The mean is that of the squared gradient. With μ_j = E[f'^2j] and κ = μ_2/μ_1² the participation ρ =
    tr((JJᵀ)²)/(tr JJᵀ)² grows by 1/n for a Gaussian matrix and by (κ - 1)/n for the slopes. For n units
    throughout, the relative variance is L + (L - 1)(κ - 1), without the L for orthogonal matrices
    (Pennington, Schoenholz & Ganguli 2017, arXiv 1711.04735; 2018, arXiv 1802.09979: L (μ_2/μ_1² - 1 - s_1),
    there with one more factor of slopes). An orthogonal matrix from fan_in to fewer units adds 1/fan_out -
    1/fan_in.
    """
    unknown = (math.nan,) * 3
    if no_theory := INITIALIZERS[p.initializer].no_theory:
        return *unknown, f"no theory is drawn: {no_theory}"
    if p.normalization == "batch":
        return *unknown, ("no theory is drawn: with batch normalization the spread of the units "
                          "joins the slopes")
    theory, count = predict(p), min(p.widths[0], p.widths[-1])
    log_mean = theory.log10_grad2[0] + _log10_first_layer(p) + math.log10(p.widths[1] * p.widths[0] / count)
    if not math.isfinite(log_mean):
        return log_mean, math.nan, log_mean / 2, "all weights are 0, and so is the Jacobian"
    if any(skip is not None for skip in p.skips):
        return (log_mean, math.nan, math.nan,
                "no variance is predicted: skip connections correlate the slopes of different layers")
    return log_mean, count * _participation(p, theory.log10_q) - 1, _log10_largest(p, log_mean), ""


def _log10_first_layer(p: ProbeParams) -> float:
    """log10 of the first layer's factor of a squared gradient, for each unit of the layer and the input."""
    n = p.widths[0]
    w = math.exp(log_weights(p)[0])
    if w == 0:
        return -math.inf
    if p.rescale == "lsuv":
        w = 1 / n / p.input_square
    if p.normalization == "layer":
        w *= plain_norm_scale(p.skips, p.norm_scale) ** 2 / (n * w * p.input_square + p.biases[0].variance(n))
    return math.log10(w) if w else -math.inf


def _participation(p: ProbeParams, log10_q: np.ndarray) -> float:
    """Σ (JJᵀ)_ij² / (Σ (JJᵀ)_ii)² at the last layer."""
    activation, widths = ACTIVATIONS[p.activation], np.array(p.widths, dtype=np.float64)
    log_q = np.clip(log10_q[:-1] * math.log(10), -60.0, 60.0)
    fourth = mean(activation, lambda z: activation.df(z) ** 4, np.exp(log_q / 2))
    kappa = fourth * np.exp(-2 * log_slope(activation, log_q)) / p.keep
    weights = 1 / widths[1:]
    if p.initializer == "orthogonal":
        weights = np.maximum(0.0, weights - 1 / widths[:-1])
    return float(1 / widths[0] + weights.sum() + ((kappa - 1) / widths[1:-1]).sum())


def _log10_largest(p: ProbeParams, log_mean: float) -> float:
    """log10 of the largest s of a linear net of one width; √((L+1)^(L+1)/L^L) if Gaussian of mean 1."""
    plain = p.activation == "linear" and p.normalization == "none" and p.keep == 1
    if not plain or len(set(p.widths)) > 1:
        return math.nan
    if p.initializer == "orthogonal":
        return log_mean / 2
    return (log_mean + (p.depth + 1) * math.log10(p.depth + 1) - p.depth * math.log10(p.depth)) / 2
