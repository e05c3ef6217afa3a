"""Outlook of a start: five figures of theory that decide how well it learns, in decades, and their sum.

``scale``        log10 E[z²] of the last layer above 3: a first loss to be unlearned; and what all hidden
                 layers are below the scale at which the activation bends (1 for tanh, 1/100 for
                 tanh(10 z)); and what all branches add less than the signal beside them, because the net
                 is a shallow one then
``gradient``     range of log10 E[δ²] over the layers: a step that suits one layer does nothing in another
``difference``   -log10 of what the last hidden layer keeps of the difference between the cosines of related
                 (0.6) and unrelated inputs: ordered nets make all inputs one, chaos, dropout and batches none
                 alike. Of one or two features chaos takes little if it keeps neighbours alike, as sines of
                 high frequency do (Sitzmann et al. 2020, 2006.09661)
``unevenness``   2 log10(1 + S/10), S the relative variance of the squared singular values of ∂z[L]/∂z[1]:
                 twice, for the way forward and the way back
``hidden``       what normalization takes from inputs of one or two features: N(W c x) = N(W x) hides their
                 length until biases have grown; a mean taken over the batch, with an odd f, makes the net
                 odd, f(-x) = -f(x), so that it never tells classes that look alike at x and -x

S adds up over the layers (free probability; Pennington, Schoenholz & Ganguli 2017, 1711.04735). A layer has

    k = E[f'⁴]/E[f'²]² - 1 (+ 1 if its weights are independent, 0 if they are orthogonal)

or beside a skip connection (2 χ + k χ²)/(1 + χ)², χ = the branch's factor of E[δ²]. Gaussian weights of ReLU
nets have S = 2 a layer, orthogonal linear ones 0. Mean squares are those of the layers, or the sums over
their units where these are steadier (He et al. 2015, arXiv 1502.01852, section 2.2).

That this sum ranks starts is measured, see ``datasets/ADVICE.md``. Steadiness alone does not: it shuts
residual branches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vgdash.activations import ACTIVATIONS, Activation
from vgdash.diagnosis.nets import middle, unshifted
from vgdash.diagnosis.thresholds import ADAM, ADAM_FAILS, ADAM_GRADIENT, FAILS, LEARNS, LENGTH, PARITY
from vgdash.initializers import INITIALIZERS
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import probe
from vgdash.quadrature import MASSES, NODES
from vgdash.theory.averages import correlation_series, map_correlation, mean
from vgdash.theory.layerwise import LARGEST, bias_moments, log_gradients, log_weights, propagate_moments

LN10 = math.log(10)
FORGIVEN = 0.5  # decades above 1 of the last layer: 1 nat above ln K, gone after few steps
RELATED = 0.6  # cosine of two related inputs, as in ``theory.trainable_depth``
UNEVEN = 10.0  # S from which nets of the table learn worse
MEASURED_WIDTH, MEASURED_BATCH = 128, 16  # of the net that is measured where there is no theory
SMALL_BATCH, LARGE_BATCH = 3, 64  # up to 3 inputs the gradient through batch normalization has no mean
FEW_FEATURES = 2  # of one or two, a length or what x and -x share is half of what there is to know
NEAR = 0.999  # cosine of neighbours among a thousand inputs of few features: 2.6 degrees
CHAOS = 2.5  # decades that chaos costs where neighbours stay alike: sines of high frequency learn
ODD_AT = np.linspace(0.1, 8.0, 80)
NO_SLOPE = 1e-12  # E[f'²] that counts as 0
NO_SPREAD = 1e-12  # Var f/E[f²] that does, and the least bend
LOG_Q = np.arange(-60.0, 60.5, 0.5)  # beyond them f is its own power law
BENDS = np.arange(-40.0, 41.0)  # ln q between which activations begin to bend


class Outlook(NamedTuple):
    """Figures of a start in decades of the mean square; ``difficulty`` is what they add up to."""

    forward: float  # log10 E[z²] at the last layer, from an input of mean square 1
    backward: float  # log10 E[δ²] at the first layer, from a last layer of 1
    scale: float  # the next five are described above; inf where nothing is learned
    gradient: float
    difference: float
    unevenness: float
    hidden: float

    @property
    def difficulty(self) -> float:
        """Sum of the last five: 0 is as easy as can be."""
        return sum(self[2:])

    @property
    def learns(self) -> bool | None:
        """True if SGD learns from nearly all such starts, False if from hardly any, None between."""
        return self._between(1.0, LEARNS, FAILS)

    @property
    def adam_learns(self) -> bool | None:
        """Return the same for Adam."""
        return self._between(ADAM_GRADIENT, ADAM, ADAM_FAILS)

    def _between(self, weight: float, learns: float, fails: float) -> bool | None:
        decades = weight * self.gradient + self.difference + self.unevenness + self.hidden
        return True if decades < learns else False if decades > fails else None


def only_neighbours(p: ProbeParams, seen: Outlook) -> bool:
    """Test if of inputs of few features only neighbours stay related, which counts as ``CHAOS``."""
    return p.widths[0] <= FEW_FEATURES and math.isclose(seen.difference, CHAOS)


def outlooks(candidates: Sequence[ProbeParams]) -> list[Outlook]:
    """Return the outlook of parameter sets that differ in initializer, gamma and biases only.

    Where there is no theory, one net is measured.
    """
    p = replace(candidates[0], last_scale=1.0)  # of a shut last layer the first step makes an open one
    if p.normalization == "batch" and p.batch <= SMALL_BATCH:
        p = replace(p, batch=LARGE_BATCH)
    predicted = [one for one in candidates if not INITIALIZERS[one.initializer].no_theory]
    found = {}
    if predicted:
        log_w = np.array([log_weights(replace(one, last_scale=1.0)) for one in predicted])
        biases = np.stack([bias_moments(one) for one in predicted], axis=1)
        orthogonal = np.array([one.initializer == "orthogonal" for one in predicted])
        figures = judge(p, log_w, orthogonal, biases, predicted[0].last_scale)
        found = dict(zip(predicted, figures, strict=True))
    return [Outlook(*found[one].tolist()) if one in found else _measure(one) for one in candidates]


def judge(p: ProbeParams, log_w: np.ndarray, orthogonal: np.ndarray | bool, biases: np.ndarray,
          last_scale: float = 1.0) -> np.ndarray:
    """Return the fields of ``Outlook`` of candidates, ``(candidates, 7)``.

    ``log_w`` ``(candidates, depth)`` and ``biases`` ``(2, candidates, depth)`` are those of ``layerwise``.
    """
    if unshifted(p) is not p:
        biases = biases.copy()
        biases[0, ..., -1] = 0.0
    few = p.widths[0] <= FEW_FEATURES
    cosines = p.input_cosine + np.array([0.0, RELATED, NEAR][:2 + few]) * (1 - p.input_cosine)
    forward = propagate_moments(p, log_w[:, None], cosines, biases[:, :, None])
    log_q, log_grad2 = forward.log_q[:, 0], log_gradients(p, forward)[:, 0]
    apart = forward.correlation[:, 1] - forward.correlation[:, 0]
    if p.normalization == "batch":
        apart = _kept_by_batches(p, log_q)
    elif few:
        apart = _kept_of_neighbours(apart, forward.correlation[:, 2], forward.correlation[:, 0], cosines[2])
    return _figures(p, log_q, log_grad2, apart, np.asarray(orthogonal), last_scale, biases)


def _kept_of_neighbours(apart: np.ndarray, near: np.ndarray, unrelated: np.ndarray,
                        cosine: float) -> np.ndarray:
    """Cosine of related inputs by layer above that of unrelated ones; of neighbours where those fall apart.

    Inputs of few features lie close together, so that neighbours, up to ``CHAOS``, are enough to learn from.
    """
    neighbours = RELATED * np.minimum((near - unrelated) / NEAR, 10**-CHAOS)
    return np.where(near < cosine, np.maximum(apart, neighbours), apart)


def _kept_by_batches(p: ProbeParams, log_q: np.ndarray) -> np.ndarray:
    """Cosine of related inputs by layer, above that of unrelated ones, which a batch's mean removes."""
    activation, apart, skips = ACTIVATIONS[p.activation], np.full(log_q.shape, RELATED), p.skips
    for layer in range(1, p.depth):
        series, before = correlation_series(activation, log_q[:, layer - 1]), apart[:, layer - 1]
        related, unrelated = (p.keep * map_correlation(series, c) for c in (before, np.zeros(len(log_q))))
        left = 1 - unrelated  # 0 where a layer gives all inputs the same
        branch = np.divide(related - unrelated, left, out=np.zeros_like(left), where=left > 0)
        with np.errstate(invalid="ignore"):  # both -inf where weights are 0
            grown = np.nan_to_num(log_q[:, layer] - log_q[:, layer - 1])
        share = 1 - np.exp(-grown) if skips[layer] is not None else 1.0
        apart[:, layer] = share * branch + (1 - share) * before
    return apart


def _measure(p: ProbeParams) -> Outlook:
    """Outlook of the constant, or the identity: every unit goes its own way, so a narrow net has the same.

    The last layer is as wide as the one before where layers are normalized: of two outputs ±1 would be left.
    """
    alone = p.initializer == "identity" and not any(skip is not None for skip in p.skips)
    widths = tuple(min(n, MEASURED_WIDTH) for n in p.widths) if alone else p.widths
    if p.normalization == "layer":
        widths = (*widths[:-1], widths[-2])
    narrow = replace(unshifted(p), widths=widths, seeds=1, batch=min(p.batch, MEASURED_BATCH), last_scale=1.0)
    found = probe(narrow)
    with np.errstate(divide="ignore"):
        logs = [np.log(middle(found, name))[None] for name in ("q", "grad2")]  # inf from an overflow on
    figures = _figures(narrow, *logs, RELATED * (1 - found.correlation), np.array(True), p.last_scale,
                       bias_moments(narrow)[:, None])
    if p.initializer == "constant":
        variance = min(p.widths[1:]) - 1  # of a matrix of rank 1
    else:
        variance = _variance_along(p) if alone and p.normalization != "none" else 0.0
    return Outlook(*figures[0].tolist())._replace(unevenness=2 * math.log10(1 + variance / UNEVEN))


def _variance_along(p: ProbeParams) -> float:
    """S of the identity between normalizations: a unit's slopes multiply on its way z → N(f(z)).

    Without normalization nets of the table learned in spite of it.
    """
    activation, z, log_slope = ACTIVATIONS[p.activation], NODES, np.zeros(len(NODES))
    for _ in range(p.depth - 1):
        with np.errstate(divide="ignore"):
            log_slope = log_slope + np.log(np.abs(activation.df(z)))
        out = activation.f(z) - activation.f(z) @ MASSES
        size = math.sqrt(out**2 @ MASSES)
        if size < NO_SLOPE:
            return 0.0  # all units are alike
        z, log_slope = out / size, log_slope - math.log(size)
    if log_slope.max() == -math.inf:
        return math.inf  # all units are flat
    squares = np.exp(2 * (log_slope - log_slope.max()))
    return float(squares**2 @ MASSES / (squares @ MASSES) ** 2 - 1)


def _figures(p: ProbeParams, log_q: np.ndarray, log_grad2: np.ndarray, apart: np.ndarray,
             orthogonal: np.ndarray, last_scale: float, biases: np.ndarray) -> np.ndarray:
    there = np.isfinite(log_grad2).all(axis=-1) & (log_q < math.inf).all(axis=-1)
    grad2 = np.where(there[:, None], log_grad2, 0.0)
    spread = np.minimum(np.ptp(grad2, axis=-1), np.ptp(grad2 + np.log(p.widths[1:]), axis=-1)) / LN10
    apart = apart[:, -2] / RELATED if p.depth > 1 else np.ones(len(log_q))
    with np.errstate(divide="ignore"):
        forward = log_q[:, -1] / LN10 + 2 * np.log10(last_scale)
        difference = -np.log10(np.clip(np.nan_to_num(apart, nan=0.0), 0.0, 1.0))
    return np.stack([
        forward, (log_grad2[:, 0] - log_grad2[:, -1]) / LN10,
        np.maximum(forward - FORGIVEN, 0.0) + _straightness(p, log_q) + _silence(p, log_q),
        np.where(there, spread, math.inf), difference,
        2 * np.log10(1 + _variance(p, log_q, grad2, orthogonal) / UNEVEN),
        np.broadcast_to(_hidden(p, biases[..., 0].any(axis=0)), forward.shape)], axis=-1)


def _hidden(p: ProbeParams, biased: np.ndarray) -> np.ndarray:
    """Decades for what normalization hides of inputs of few features; ``biased``: by random biases or not."""
    few = p.widths[0] <= FEW_FEATURES and p.depth > 1
    if few and p.normalization == "layer":
        return np.where(biased, 0.0, LENGTH)
    f = ACTIVATIONS[p.activation].f
    even = f(ODD_AT) + f(-ODD_AT) - 2 * f(np.zeros(1))
    return np.array(PARITY if few and p.normalization == "batch" and np.abs(even).max() < 1e-9 else 0.0)


def _straightness(p: ProbeParams, log_q: np.ndarray) -> np.ndarray:
    """Decades of all hidden layers below the scale at which the activation bends."""
    hidden = log_q[:, :-1].max(axis=-1, initial=-math.inf)
    bends = log_bending(ACTIVATIONS[p.activation]) if p.depth > 1 else -math.inf
    return np.maximum(bends - hidden, 0.0) / LN10 if bends > -math.inf else np.zeros_like(hidden)


@lru_cache(maxsize=64)
def log_bending(activation: Activation) -> float:
    """Return ln q at which f bends as tanh does at 1, as a share of its most; -inf if it is never straighter.
    """
    if activation.homogeneous:
        return -math.inf
    bend = _bend(activation, BENDS)
    wanted = bend.max() * _share_of_tanh()
    below = np.flatnonzero(bend[:bend.argmax()] < wanted)
    if not below.size:
        return -math.inf
    between = np.linspace(*BENDS[below[-1]:below[-1] + 2], 33)
    return float(np.interp(math.log(wanted), np.log(_bend(activation, between)), between))


@lru_cache(maxsize=1)
def _share_of_tanh() -> float:
    bend = _bend(ACTIVATIONS["tanh"], BENDS)
    return float(bend[BENDS == 0][0] / bend.max())


def _bend(activation: Activation, log_q: np.ndarray) -> np.ndarray:
    """Share of Var f(√q z) that no straight line explains: 1 - E[z f]²/(E[z²] Var f)."""
    scale, f = np.exp(log_q / 2), activation.f
    product, square, one, two = (mean(activation, g, scale) for g in (
        lambda z: z * f(z), lambda z: z * z, f, lambda z: f(z) ** 2))
    variance = two - one**2
    there = (variance > NO_SPREAD * two) & (two > NO_SPREAD**8)  # else rounding is all that is left of it
    explained = np.divide(product**2, square * variance, out=np.ones_like(two), where=there)
    return np.clip(1 - explained, NO_SPREAD, 1.0)


def _silence(p: ProbeParams, log_q: np.ndarray) -> np.ndarray:
    """Decades by which all branches together add less than the signal that they are added to."""
    at = [i for i, skip in enumerate(p.skips[:-1]) if skip is not None]
    if not at or p.residual == "zero" or p.norm_scale == 0:  # branches of 0 open with the first step
        return np.zeros(len(log_q))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        added = np.expm1(np.diff(log_q, axis=-1, prepend=0.0)[..., at]).sum(axis=-1)
        return np.where(added > 0, np.maximum(-np.log10(added), 0.0), math.inf)


def _variance(p: ProbeParams, log_q: np.ndarray, log_grad2: np.ndarray, orthogonal: np.ndarray) -> np.ndarray:
    """S: relative variance of the squared singular values from layer 1 to the last."""
    spread = np.interp(log_q[:, :-1], LOG_Q, _slope_spread(ACTIVATIONS[p.activation]))
    k = (spread + 1) / p.keep - 1 + ~orthogonal[..., None]
    skips = [skip is not None for skip in p.skips[1:]]
    chi = np.maximum(np.exp(np.clip(-np.diff(log_grad2, axis=-1), -LARGEST / 2, LARGEST / 4)) - 1, 0.0)
    return np.where(skips, (2 * chi + k * chi**2) / (1 + chi) ** 2, k).sum(axis=-1)


@lru_cache(maxsize=64)
def _slope_spread(activation: Activation) -> np.ndarray:
    """E[f'⁴]/E[f'²]² - 1 at each of ``LOG_Q``."""
    if activation.tree:
        scale = np.exp(LOG_Q / 2)
        second, fourth = (mean(activation, lambda z, k=k: activation.df(z) ** k, scale) for k in (2, 4))
        return np.clip(fourth / np.maximum(second, NO_SLOPE) ** 2, 1, 1 / NO_SLOPE) - 1
    squares = activation.df(np.exp(LOG_Q / 2)[:, None] * NODES) ** 2
    squares = squares / squares.max(axis=1, keepdims=True)
    return (squares**2 @ MASSES) / (squares @ MASSES) ** 2 - 1
