"""Mean field layer by layer: the statistics of ``probe``, predicted without drawing a single weight.

With w = gamma² Var(W[l]), second moments q of z[l] and covariances c·q between two inputs go forward, gradients come back:

    U = fan_in w E[a²] + sigma_b2        E[a²] = E[f(√q z)²]/keep         second moment of W a + b, the same for covariances
    grad2[l-1] = fan_out w E[f'(√q z)²]/keep · grad2[l]

Normalization divides by √(U + EPSILON) (layer) or by the spread over the batch (batch); a skip connection adds. Schoenholz et al.
2017 (arXiv 1611.01232); Yang et al. 2019 (1902.08129) for batch normalization; De & Smith 2020 (2002.10444) for skips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS, Activation
from vgdash.initializers import INITIALIZERS
from vgdash.layers import EPSILON, residual_factors
from vgdash.probe.probe import ProbeParams
from vgdash.theory.finite_width import Band, band
from vgdash.theory.tabulated import cosine_map, single_averages

__all__ = ["PREDICTED", "Prediction", "predict"]

PREDICTED = ("q", "a2", "a_mean", "saturated", "correlation", "grad2", "dw2")
STILL = 1e-14  # a layer whose ln q has moved less than this since the averages were taken uses them again
LN10, LOG_EPSILON = math.log(10), math.log(EPSILON)
LARGEST = 1400.0  # ln q up to which √q is a float64
Skips = tuple[float | None, ...]  # of ``residual_factors``


@dataclass(frozen=True, eq=False)
class Prediction:
    """Mean field of one ``ProbeParams``; read-only float64 arrays ``(depth,)``, entry l - 1 is layer l, without unit.

    ``q``, ``a2``, ``grad2`` and ``dw2`` are properties that become inf or 0 where float64 ends; their log10 does not.
    Where there is no theory everything is nan and ``reason`` says why. The bands hold for what ``probe`` measures: the mean over
    ``params.batch`` independent Gaussian inputs, one cotangent each. Their formulas for one input are the published ones; how
    inputs share noise is ours. To second order in depth/width, and tested, up to about 5·depth/width = 0.5.
    """

    params: ProbeParams
    log10_q: np.ndarray  # log10 of E[z²]; -inf where it is 0
    log10_a2: np.ndarray  # log10 of E[a²], a being what the next layer receives (after dropout)
    log10_grad2: np.ndarray  # log10 of E[(∂C/∂z)²], 0 at the last layer
    log10_dw2: np.ndarray  # log10 of E[(∂C/∂W)²] for the mean over the batch
    a_mean: np.ndarray  # E[a]; ±inf where float64 overflows
    saturated: np.ndarray  # probability that |f'(z)| is below 5 % of the largest slope
    correlation: np.ndarray  # cosine of z between two uncorrelated inputs; nan where q is 0
    band_q: Band  # finite width: ln q of a seed ~ N(ln q + mean, variance)
    band_grad2: Band
    band_kind: str  # "published" (Hanin & Nica), "approximate" (ours, to first order in 1/width) or "" (none: bands are nan)
    reason: str  # why something is missing, or where the theory is approximate; empty if all is well

    @property
    def q(self) -> np.ndarray:
        return _from_log10(self.log10_q)

    @property
    def a2(self) -> np.ndarray:
        return _from_log10(self.log10_a2)

    @property
    def grad2(self) -> np.ndarray:
        return _from_log10(self.log10_grad2)

    @property
    def dw2(self) -> np.ndarray:
        return _from_log10(self.log10_dw2)

    def interval(self, name: str, share: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
        """log10 of the bounds between which ``share`` of the seeds' ``q`` or ``grad2`` should lie, each ``(depth,)``.

        Raises ``ValueError`` for another name, or a share that is not between 0 and 1.
        """
        if name not in ("q", "grad2"):
            raise ValueError(f"name must be q or grad2, received {name!r}. Only these two have a finite-width band.")
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, received {share!r}. 0.95 leaves out one seed in twenty.")
        centre, spread = getattr(self, f"log10_{name}"), getattr(self, f"band_{name}")
        reach = NormalDist().inv_cdf((1 + share) / 2) * np.sqrt(spread.variance)
        return centre + (spread.mean - reach) / LN10, centre + (spread.mean + reach) / LN10

    def frame(self) -> pd.DataFrame:
        """One row a layer: layer, ``PREDICTED``, the log10 of what multiplies, and the 95 % bounds (log10) of q and grad2."""
        logs = ("log10_q", "log10_a2", "log10_grad2", "log10_dw2")
        bounds = {f"log10_{name}_{side}": bound for name in ("q", "grad2")
                  for side, bound in zip(("low", "high"), self.interval(name), strict=True)}
        return pd.DataFrame({"layer": np.arange(1, len(self.log10_q) + 1),
                             **{name: getattr(self, name) for name in (*PREDICTED, *logs)}, **bounds})


def _from_log10(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        result = 10.0**values
    result.flags.writeable = False
    return result


@dataclass(frozen=True, eq=False)
class Course:
    """What the forward pass leaves behind, all ``(depth,)``, entry l - 1 is layer l."""

    log_q: np.ndarray
    correlation: np.ndarray
    log_a2: np.ndarray
    log_slope: np.ndarray  # ln E[f'(z)²]
    a_mean: np.ndarray
    share: np.ndarray  # of U, what the weights give; the bias gives the rest
    log_into: np.ndarray  # ln of what of E[a[l-1]²] the gradient of the weights sees: batch normalization takes out the batch's mean
    log_divisor: np.ndarray  # ln of what normalization divides a squared gradient by
    log_back: np.ndarray  # ln of fan_out w: what the weights do to a squared gradient


def predict(p: ProbeParams) -> Prediction:
    """The statistics that ``probe(p)`` measures, in the limit of wide layers, and how far seeds scatter around them.

    Weights are taken as independent with mean 0; orthogonal ones follow the same maps to leading order in 1/width. Batch
    normalization is exact for large batches, with an error of order 1/batch. Raises nothing: what has no theory says so.
    """
    if p.initializer == "identity":
        return _nothing(p, "no theory is drawn: the identity is not a random matrix of mean 0, so z is not Gaussian")
    activation, skips = ACTIVATIONS[p.activation], residual_factors(p.widths, p.residual)
    course = _forward(p, activation, skips)
    log_branch = np.array([0.0 if skip is None else 2 * math.log(skip) for skip in skips]) - course.log_divisor
    log_grad2 = _backward(p, course, skips, log_branch)
    log_dw2 = log_grad2 + log_branch + course.log_into - math.log(p.batch)
    scale = np.exp(np.minimum(course.log_q, LARGEST) / 2)
    kind, reasons = _band_kind(p)
    bands = band(p, activation, course.log_q, course.correlation, course.share) if kind else (_no_band(p), _no_band(p))
    return Prediction(p, *(_frozen(x / LN10) for x in (course.log_q, course.log_a2, log_grad2, log_dw2)),
                      _frozen(course.a_mean), _frozen(_saturated(activation, scale)), _frozen(course.correlation),
                      *bands, kind, "; ".join(reasons))


def _nothing(p: ProbeParams, reason: str) -> Prediction:
    nothing = _frozen(np.full(p.depth, np.nan))
    return Prediction(p, *[nothing] * 7, _no_band(p), _no_band(p), "", reason)


def _no_band(p: ProbeParams) -> Band:
    nothing = _frozen(np.full(p.depth, np.nan))
    return Band(nothing, nothing)


def _frozen(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values


def _band_kind(p: ProbeParams) -> tuple[str, list[str]]:
    """How the band is known, and the reasons for what is missing."""
    reasons = []
    if p.normalization == "batch":
        reasons.append("batch normalization: the gradient of large batches, about 1/batch a layer is missing" if p.batch > 3 else
                       "batch normalization of 2 or 3 examples: the mean of the gradient does not exist")
    if p.normalization != "none" or p.residual != "none" or p.rescale != "none" or p.initializer == "zeros" or not p.gamma:
        return "", [*reasons, "no finite-width band with normalization, skip connections, rescaling or weights of 0"]
    independent = p.initializer != "orthogonal" and p.sigma_b2 == 0 and p.keep == 1
    return ("published" if independent and p.activation in ("relu", "linear") else "approximate"), reasons


def _ln(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _log_weights(p: ProbeParams, skips: Skips) -> list[float]:
    """ln(gamma² Var(W[l])) by layer; -inf for weights of 0."""
    variance = cache(INITIALIZERS[p.initializer].variance)  # most layers have the shape of the layer before
    return [-math.inf if p.residual == "zero" and skip is not None else _ln(p.gamma**2 * variance(n, m))
            for n, m, skip in zip(p.widths[:-1], p.widths[1:], skips, strict=True)]


def _log_sum(a: float, b: float) -> float:
    """ln(e^a + e^b): ``np.logaddexp`` of two numbers takes five times as long."""
    low, high = (a, b) if a < b else (b, a)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def _forward(p: ProbeParams, activation: Activation, skips: Skips) -> Course:
    rows = []
    log_a2, input_cosine = 0.0, 0.0  # independent N(0, 1) features
    log_q, c = -math.inf, 0.0
    averages, cosine_of_a, evaluated = (), _all_alike, math.nan
    log_bias, log_keep = _ln(p.sigma_b2), math.log(p.keep)
    log_widths = [math.log(width) for width in p.widths]
    for layer, (log_w, skip) in enumerate(zip(_log_weights(p, skips), skips, strict=True)):
        log_signal = log_widths[layer] + log_w + log_a2
        if p.rescale == "lsuv" and log_signal > -math.inf:
            log_w, log_signal = log_w - log_signal, 0.0
        log_u = _log_sum(log_signal, log_bias)
        share = math.exp(log_signal - log_u) if log_u > -math.inf else 0.0
        centred = _ln(1 - input_cosine) if p.normalization == "batch" else 0.0
        log_into = log_a2 + centred
        log_branch, branch_cosine, log_divisor = _normalized(p, log_u, share * input_cosine + 1 - share)
        if skip is None:
            log_q, c = log_branch, branch_cosine
        else:
            log_q, c = _added(log_q, c, log_branch + 2 * math.log(skip), branch_cosine)
        if not abs(log_q - evaluated) < STILL:
            averages, evaluated = single_averages(activation, log_q), log_q
            cosine_of_a = cosine_map(activation, log_q) if log_q > -math.inf else _all_alike
        log_a2 = averages[0] - log_keep
        input_cosine = cosine_of_a(c) * p.keep
        rows.append((log_q, c if log_q > -math.inf else math.nan, log_a2, *averages[1:], share, log_into, log_divisor,
                     log_widths[layer + 1] + log_w))
    return Course(*np.array(rows).T)


def _all_alike(cosine: float) -> float:
    """Where z is 0 all inputs become one."""
    return 1.0


def _normalized(p: ProbeParams, log_u: float, cosine: float) -> tuple[float, float, float]:
    """ln E[N(u)²], the cosine of N(u) between two inputs, and ln of what N divides a squared gradient by."""
    if p.normalization == "none":
        return log_u, cosine, 0.0
    if p.normalization == "layer":
        log_divisor = _log_sum(log_u, LOG_EPSILON)
        return log_u - log_divisor, cosine, log_divisor
    log_spread = log_u + _ln((1 - cosine) * (1 - 1 / p.batch))
    log_divisor = _log_sum(log_spread, LOG_EPSILON)
    # The batch's gradient loses its mean and its part along N(u), 2 of batch directions; and the mean of 1/spread over units is
    # not 1/(mean of spread), but (batch - 1)/(batch - 3) times that.
    finite = (p.batch - 2) / p.batch * (p.batch - 1) / (p.batch - 3) if p.batch > 3 else math.nan
    return log_spread - log_divisor, -1 / (p.batch - 1), log_divisor - math.log(finite)


def _added(log_q: float, c: float, log_branch: float, branch_cosine: float) -> tuple[float, float]:
    """ln q and the cosine of the sum of two independent parts."""
    log_sum = _log_sum(log_q, log_branch)
    if log_sum == -math.inf:
        return log_sum, c
    return log_sum, c * math.exp(log_q - log_sum) + branch_cosine * math.exp(log_branch - log_sum)


def _backward(p: ProbeParams, course: Course, skips: Skips, log_branch: np.ndarray) -> np.ndarray:
    """ln grad2 by layer: from layer l + 1 to l the branch's factor, plus 1 where there is a skip connection."""
    factors = course.log_back[1:] + log_branch[1:] + course.log_slope[:-1] - math.log(p.keep)
    if p.residual != "none":
        with np.errstate(invalid="ignore"):  # nan where batch normalization has no theory
            factors = np.where([skip is not None for skip in skips[1:]], np.logaddexp(factors, 0.0), factors)
    return np.append(np.cumsum(factors[::-1])[::-1], 0.0)


@cache
def _saturated_zones(activation: Activation) -> tuple[tuple[float, float], ...]:
    """The intervals of z in which the activation is saturated, their ends by bisection."""
    z = np.linspace(-60, 60, 12_001)
    flat = activation.saturated(z)
    ends = [-math.inf] if flat[0] else []
    for i in np.flatnonzero(flat[1:] != flat[:-1]):
        low, high = z[i], z[i + 1]
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if bool(activation.saturated(middle)) == flat[i] else (low, middle)
        ends.append(float(low + high) / 2)
    ends += [math.inf] if flat[-1] else []
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def _saturated(activation: Activation, scale: np.ndarray) -> np.ndarray:
    """P(z in a saturated zone) for z ~ N(0, scale²); at scale 0 that is whether 0 lies in one."""
    ends = [(low / math.sqrt(2), high / math.sqrt(2)) for low, high in _saturated_zones(activation)]
    at_zero = float(activation.saturated(0.0))
    return np.array([sum([math.erfc(low / s) - math.erfc(high / s) for low, high in ends]) / 2 if s > 0 else at_zero
                     for s in scale.tolist()])
