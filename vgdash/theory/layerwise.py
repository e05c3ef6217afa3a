"""Mean field layer by layer: the statistics of ``probe``, predicted without drawing a single weight.

With w = gamma² Var(W[l]), second moments q of z[l] and covariances c·q between two inputs go forward,
gradients come back:

    U = fan_in w E[a²] + E[b²]           second moment of W a + b, the same for covariances
    E[a²] = E[f(√q z)²]/keep
    grad2[l-1] = fan_out w E[f'(√q z)²]/keep · grad2[l]

Normalization divides by √(U + EPSILON) (layer) or by the spread over the batch (batch); a skip connection
adds. Constant biases give z a mean (``offset``), which normalization takes away. Schoenholz et al. 2017
(arXiv 1611.01232); Yang et al. 2019 (1902.08129) for batch normalization; De & Smith 2020 (2002.10444) for
skips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pandas as pd

from vgdash.activations import ACTIVATIONS, Activation
from vgdash.initializers import INITIALIZERS
from vgdash.layers import EPSILON, plain_norm_scale
from vgdash.probe.params import ProbeParams
from vgdash.records import Record, freeze
from vgdash.spelling import listed
from vgdash.theory.averages import correlation_series, log_moment, log_slope, map_correlation, mean_value
from vgdash.theory.finite_width import Band, band
from vgdash.theory.fixed_points import LOWEST, bisect, safe_log
from vgdash.theory.nonzero_mean import averages_about, mean_matters, pair_cosine_about

PREDICTED = ("q", "a2", "a_mean", "saturated", "correlation", "grad2", "dw2")
LN10, LOG_EPSILON = math.log(10), math.log(EPSILON)
LARGEST = 1400.0  # ln q up to which √q is a float64


@dataclass(frozen=True, eq=False)
class Prediction(Record):
    """Mean field of one ``ProbeParams``; read-only arrays ``(depth,)`` without unit, entry l - 1 is layer l.

    ``q``, ``a2``, ``grad2`` and ``dw2`` are properties that become inf or 0 where float64 ends; their log10
    does not. Where there is no theory everything is nan and ``reason`` says why. The bands hold for what
    ``probe`` measures: the mean over ``params.batch`` independent Gaussian inputs, one cotangent each. Their
    formulas for one input are the published ones; how inputs share noise is ours. To second order in
    depth/width, and tested, up to about 5·depth/width = 0.5.
    """

    params: ProbeParams
    log10_q: np.ndarray  # log10 of E[z²]; -inf where it is 0
    log10_a2: np.ndarray  # log10 of E[a²], a after dropout
    log10_grad2: np.ndarray  # log10 of E[(∂C/∂z)²], 0 at the last layer
    log10_dw2: np.ndarray  # log10 of E[(∂C/∂W)²] for the mean over the batch
    a_mean: np.ndarray  # E[a]; ±inf where float64 overflows
    saturated: np.ndarray  # probability that |f'(z)| is below 5 % of the largest slope
    correlation: np.ndarray  # cosine of z between two uncorrelated inputs; nan where q is 0
    band_q: Band  # finite width: ln q of a seed ~ N(ln q + mean, variance)
    band_grad2: Band
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
        """Return log10 of the bounds that hold ``share`` of the seeds' ``q`` or ``grad2``, each ``(depth,)``.

        Raises ``ValueError`` for another name, or a share that is not between 0 and 1.
        """
        if name not in ("q", "grad2"):
            raise ValueError(f"name must be q or grad2, received {name!r}. "
                             "Only these two have a finite-width band.")
        if not 0 < share < 1:
            raise ValueError(f"share must be between 0 and 1, received {share!r}. "
                             "0.95 leaves out one seed in twenty.")
        centre, spread = getattr(self, f"log10_{name}"), getattr(self, f"band_{name}")
        reach = NormalDist().inv_cdf((1 + share) / 2) * np.sqrt(spread.variance)
        return centre + (spread.mean - reach) / LN10, centre + (spread.mean + reach) / LN10

    def frame(self) -> pd.DataFrame:
        """Tabulate by layer: ``PREDICTED``, their log10, and the 95 % bounds (log10) of q and grad2."""
        logs = ("log10_q", "log10_a2", "log10_grad2", "log10_dw2")
        bounds = {f"log10_{name}_{side}": bound for name in ("q", "grad2")
                  for side, bound in zip(("low", "high"), self.interval(name), strict=True)}
        return pd.DataFrame({"layer": np.arange(1, len(self.log10_q) + 1),
                             **{name: getattr(self, name) for name in (*PREDICTED, *logs)}, **bounds})


def _from_log10(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        return freeze(10.0**values)


def predict(p: ProbeParams) -> Prediction:
    """Predict the statistics that ``probe(p)`` measures for wide layers, and the scatter of seeds.

    Weights are taken as independent with mean 0; orthogonal ones follow the same maps to leading order in
    1/width. Batch normalization is exact for large batches, with an error of order 1/batch. Raises nothing:
    what has no theory says so.
    """
    no_band = Band(*[np.full(p.depth, np.nan)] * 3)
    if no_theory := INITIALIZERS[p.initializer].no_theory:
        return Prediction(p, *[no_band.mean] * 7, no_band, no_band, f"no theory is drawn: {no_theory}")
    activation = ACTIVATIONS[p.activation]
    forward = propagate_moments(p, log_weights(p), p.input_cosine)
    log_grad2 = log_gradients(p, forward)
    log_dw2 = log_grad2 + forward.log_branch + forward.log_into - math.log(p.batch)
    has_band, reasons = _limits(p)
    bands = (no_band, no_band)
    if has_band:
        bands = band(p, activation, forward.log_q, forward.correlation, forward.share)
    a_mean = mean_value(activation, forward.log_q)
    for layer in np.flatnonzero(mean_matters(forward.mean, forward.log_q)):
        a_mean[layer] = averages_about(activation, forward.mean[layer], forward.log_q[layer])[2]
    arrays = (*(x / LN10 for x in (forward.log_q, forward.log_a2, log_grad2, log_dw2)),
              a_mean, saturated_share(activation, forward.log_q, forward.mean), forward.correlation)
    return Prediction(p, *arrays, *bands, "; ".join(reasons))


def _limits(p: ProbeParams) -> tuple[bool, list[str]]:
    """Test if there is a finite-width band, and say what else theory lacks here."""
    reasons = []
    if p.normalization == "batch":
        reasons.append("the gradient through batch normalization is that of large batches: each layer may be "
                       f"off by about 1/{p.batch}" if p.batch > 3 else
                       "with batches of 2 or 3 the gradient through batch normalization has no mean")
    no_weights = p.initializer == "zeros" or not p.gamma or not p.last_scale
    beyond = [said for said, there in (
        ("normalization", p.normalization != "none"), ("skip connections", p.residual != "none"),
        ("rescaling", p.rescale != "none"), ("weights of 0", no_weights)) if there]
    if beyond:
        reasons.append("no shaded band is drawn, because the theory of narrow nets does not cover "
                       f"{listed(beyond)}")
    return not beyond, reasons


# ---- layer recursion

@dataclass(frozen=True, eq=False)
class ForwardMoments:
    """Moments of the forward pass by candidate and layer, each ``(…, depth)``."""

    log_q: np.ndarray  # ln E[z²]
    correlation: np.ndarray  # of z between two inputs; nan where q is 0, or if not computed
    log_a2: np.ndarray  # ln E[a²], after dropout
    share: np.ndarray  # of U that the weights give; the bias gives the rest
    log_into: np.ndarray  # ln E[a[l-1]²], without the batch's mean under batch normalization
    log_branch: np.ndarray  # ln of the factor of grad2 through normalization and the branch's scale
    log_back: np.ndarray  # ln of its factor through the weights, fan_out w
    mean: np.ndarray  # E[z], of constant biases


def log_weights(p: ProbeParams) -> np.ndarray:
    """Return ln Var(W[l]) by layer, gamma included, ``(depth,)``; -inf for weights of 0."""
    variance = cache(INITIALIZERS[p.initializer].base.variance)  # most layers repeat a shape
    return safe_log(np.square(p.scales) * [variance(*fans) for fans in pairwise(p.widths)])


def bias_moments(p: ProbeParams) -> np.ndarray:
    """Return mean and variance of the biases by layer, ``(2, depth)``."""
    layers = zip(p.biases, p.fans_in, strict=True)
    return np.array([(rule.mean, rule.variance(fan_in)) for rule, fan_in in layers]).T


def propagate_moments(p: ProbeParams, log_w: np.ndarray, cosine: float | np.ndarray | None = None,
                      biases: np.ndarray | None = None) -> ForwardMoments:
    """Propagate second moments, and the correlation of two inputs, forward through the layers of ``p``.

    ``log_w`` ``(…, depth)`` holds ``log_weights`` of any number of candidates for this one architecture.
    ``cosine`` ``(…)`` is the correlation of two inputs; None skips correlations.
    ``biases`` ``(2, …, depth)`` holds ``bias_moments`` of the candidates, if they are not all those of ``p``.
    """
    activation = ACTIVATIONS[p.activation]
    cosine = p.input_cosine if cosine is None and p.normalization == "batch" else cosine
    bias_mean, bias_variance = bias_moments(p) if biases is None else biases
    if p.normalization != "none":  # a mean of all units, or of all inputs, is taken away
        bias_mean = np.zeros_like(bias_mean)
    log_biases, log_widths = safe_log(bias_variance + bias_mean**2), np.log(p.widths)
    log_a2, a_cosine = math.log(p.input_square), np.nan if cosine is None else cosine
    log_q, c, mean, skips = -np.inf, np.nan, 0.0, p.skips
    plain = plain_norm_scale(skips, p.norm_scale)
    log_factors = 2 * safe_log([plain if skip is None else skip for skip in skips])
    has_mean = bias_mean.any()
    fields = np.empty((8, *np.broadcast_shapes(log_w.shape[:-1], np.shape(cosine)), p.depth))
    for layer, (skip, log_factor) in enumerate(zip(skips, log_factors.tolist(), strict=True)):
        log_weight = log_w[..., layer]
        log_signal = log_widths[layer] + log_weight + log_a2
        if p.rescale == "lsuv":
            excess = np.where(log_signal > -np.inf, log_signal, 0.0)
            log_weight, log_signal = log_weight - excess, log_signal - excess
        log_u = np.logaddexp(log_signal, log_biases[..., layer])
        share = np.exp(log_signal - np.maximum(log_u, LOWEST))
        log_branch, branch_cosine, log_divisor = _normalize(p, log_u, 1 + share * (a_cosine - 1))
        log_into = log_a2 + (safe_log(1 - a_cosine) if p.normalization == "batch" else 0.0)
        own_mean = bias_mean[..., layer]
        if skip is None:
            log_q, c, mean = log_branch + log_factor, branch_cosine, own_mean
        else:
            log_q, c = _add(log_q, c, log_branch + log_factor, branch_cosine, 2 * mean * skip * own_mean)
            mean = mean + skip * own_mean
        log_a2 = log_moment(activation, log_q)
        if cosine is not None:
            mapped = map_correlation(correlation_series(activation, log_q), c)
            a_cosine = p.keep * np.where(log_q > -np.inf, mapped, 1.0)  # where z is 0 all inputs become one
        if has_mean:
            log_a2, a_cosine = _about_the_mean(activation, mean, log_q, c, log_a2, a_cosine, p.keep)
        log_a2 = log_a2 - math.log(p.keep)
        values = (log_q, c, log_a2, share, log_into, log_factor - log_divisor,
                  log_widths[layer + 1] + log_weight, mean)
        for field, value in zip(fields, values, strict=True):
            field[..., layer] = value
    fields[1, fields[0] == -np.inf] = np.nan
    return ForwardMoments(*fields)


def _normalize(p: ProbeParams, log_u, cosine) -> tuple:
    """Return ln E[N(u)²], the cosine of N(u), and ln of the divisor of a squared gradient."""
    if p.normalization == "none":
        return log_u, cosine, 0.0
    if p.normalization == "layer":
        log_divisor = np.logaddexp(log_u, LOG_EPSILON)
        return log_u - log_divisor, cosine, log_divisor
    log_spread = log_u + safe_log((1 - cosine) * (1 - 1 / p.batch))
    log_divisor = np.logaddexp(log_spread, LOG_EPSILON)
    # The batch's gradient loses its mean and its part along N(u), 2 of batch directions; and the mean of
    # 1/spread over units is not 1/(mean of spread), but (batch - 1)/(batch - 3) times that.
    finite = (p.batch - 2) / p.batch * (p.batch - 1) / (p.batch - 3) if p.batch > 3 else math.nan
    return log_spread - log_divisor, -1 / (p.batch - 1), log_divisor - math.log(finite)


def _add(log_q, c, log_branch, branch_cosine, product) -> tuple:
    """Return ln q and the cosine of the sum of two independent parts; ``product`` is twice that of means."""
    log_sum = np.logaddexp(log_q, log_branch)
    log_sum = log_sum + np.log1p(product * np.exp(-np.maximum(log_sum, -LARGEST / 2)))
    whole = np.maximum(log_sum, LOWEST)
    return log_sum, (c * np.exp(log_q - whole) + branch_cosine * np.exp(log_branch - whole)
                     + product * np.exp(-np.maximum(log_sum, -LARGEST / 2)))


def _about_the_mean(activation, mean, log_q, c, log_a2, a_cosine, keep) -> tuple:
    """Return ln E[f²] and the cosine of the activations, where z has a mean that counts."""
    log_a2, a_cosine, mean, log_q, c = (np.array(x) for x in np.broadcast_arrays(
        log_a2, a_cosine, mean, log_q, c))
    for at in zip(*np.nonzero(np.atleast_1d(mean_matters(mean, log_q))), strict=True):
        at = at if log_q.ndim else ()
        log_a2[at] = safe_log(averages_about(activation, mean[at], log_q[at])[0])
        if not math.isnan(c[at]):
            a_cosine[at] = keep * pair_cosine_about(activation, mean[at], log_q[at], c[at])
    return log_a2, a_cosine


def log_gradients(p: ProbeParams, forward: ForwardMoments) -> np.ndarray:
    """Return ln grad2 ``(…, depth)``: a factor of the branch a layer, plus 1 with a skip connection."""
    slopes = log_slope(ACTIVATIONS[p.activation], forward.log_q[..., :-1])
    for at in zip(*np.nonzero(mean_matters(forward.mean, forward.log_q)[..., :-1]), strict=True):
        slopes[at] = safe_log(averages_about(ACTIVATIONS[p.activation], forward.mean[at],
                                              forward.log_q[at])[1])
    factors = forward.log_back[..., 1:] + forward.log_branch[..., 1:] + slopes - math.log(p.keep)
    if p.residual != "none":
        skips = [skip is not None for skip in p.skips[1:]]
        with np.errstate(invalid="ignore"):  # nan where batch normalization has no theory
            factors = np.where(skips, np.logaddexp(factors, 0.0), factors)
    log_grad2 = np.zeros(forward.log_q.shape)
    log_grad2[..., :-1] = np.cumsum(factors[..., ::-1], axis=-1)[..., ::-1]
    return log_grad2


# ---- saturated units

@lru_cache(maxsize=64)
def _saturated_zones(activation: Activation) -> tuple[tuple[float, float], ...]:
    """Find the intervals of z in which the activation is saturated, their ends by bisection."""
    def excess(z: np.ndarray) -> np.ndarray:
        return np.abs(activation.df(z)) - activation.saturation_slope

    z = np.linspace(-60, 60, 240_001 if activation.tree else 12_001)  # a formula may oscillate
    flat = activation.saturated(z)
    change = np.flatnonzero(flat[1:] != flat[:-1])
    ends = bisect(excess, np.where(flat[change], -1.0, 1.0), z[change], z[change + 1])
    ends = np.round(ends, 14).tolist()  # a kink at 0 is exact
    ends = [-math.inf] * int(flat[0]) + ends + [math.inf] * int(flat[-1])
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def saturated_share(activation: Activation, log_q: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return P(z in a saturated zone) for z ~ N(mean, q - mean²); at q = 0 that is 1 if 0 lies in one."""
    mean = np.where(mean_matters(mean, log_q), mean, 0.0)
    scale = np.exp(np.minimum(log_q, LARGEST) / 2)
    scale[mean != 0] = np.sqrt(np.maximum(scale[mean != 0] ** 2 - mean[mean != 0] ** 2, 0.0))
    zones, root = _saturated_zones(activation), math.sqrt(2)
    return np.array([
        sum(math.erfc((low - m) / root / s) - math.erfc((high - m) / root / s) for low, high in zones)
        if s > 0 else 2 * float(activation.saturated(m))
        for s, m in zip(scale.tolist(), mean.tolist(), strict=True)]) / 2
