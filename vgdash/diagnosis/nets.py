"""Measured nets: the dead ones apart, the middle one of the others, and the share that should be dead."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from vgdash.activations import ACTIVATIONS, Activation
from vgdash.initializers import INITIALIZERS
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import TINY, Probe, probe
from vgdash.theory.layerwise import Prediction, log_weights, predict, propagate_moments

LEAST = TINY**2  # mean square that a signal passes in float32 on its way to 0, if it shrinks
DRAWN, INPUTS, WEIGHTS = 1000, 64, 4e6  # small nets, their inputs, and weights of all of them at most: 0.1 s
SELDOM = 0.002
INFINITE = 60.0  # |z| that stands for infinity: an exponential is 0 there
FAR_LEFT = np.array([-INFINITE, -6.0])  # a ramp may begin left of 0; GELU is 0 only left of both
UNSEEN = 1e-200  # a bias whose square is 0: one of 0 would stand for those of the initializer
QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 1000) for i in range(1000)])


@dataclass(frozen=True)
class DeadNets:
    """Nets in which a whole layer is off for every input, so that nothing passes."""

    count: int
    of: int  # nets that were measured
    expected: float  # share of all nets, in theory

    @property
    def share(self) -> float:
        """Share of the measured nets."""
        return self.count / self.of


def units_stay_equal(p: ProbeParams) -> bool:
    """Test if equal rows get equal gradients for ever; only random biases or dropout tell units apart."""
    random = any(rule.law in ("normal", "uniform") for rule in p.biases)
    return p.initializer == "constant" and p.depth > 1 and p.keep == 1 and not random


def leaves_signs(p: ProbeParams) -> bool:
    """Test if normalization over 2 inputs makes (u, v) of each unit (1, -1) or (-1, 1), whatever they are."""
    return p.normalization == "batch" and p.batch == 2


def unshifted(p: ProbeParams) -> ProbeParams:
    """Return the net without the bias that all its outputs share: it moves no probability of a softmax."""
    return replace(p, last_bias=UNSEEN) if p.last_bias and p.widths[-1] > 1 else p


def seen_by_softmax(seen: Probe, theory: Prediction) -> tuple[Probe, Prediction]:
    """Return the nets and their theory ``unshifted``: drawn again, for z·b would hide the z of few nets."""
    p = unshifted(theory.params)
    return (seen, theory) if p is theory.params else _drawn(p)


@lru_cache(maxsize=8)
def _drawn(p: ProbeParams) -> tuple[Probe, Prediction]:
    return probe(p), predict(p)


def dead_nets(found: Probe) -> np.ndarray:
    """Test which nets fall from ordinary numbers to 0 in one layer, ``(seeds,)``; not by weights of 0."""
    q = found.q if found.params.last_scale else found.q[:, :-1]
    return ((q[:, 1:] == 0) & (q[:, :-1] > LEAST)).any(axis=1)


def middle(found: Probe, name: str) -> np.ndarray:
    """Return one of ``STATISTICS`` in the middle net by layer; of those that are not dead, if there are any.

    It is inf from an overflow on, and 1 for a gradient that was never sent, for z overflowed.
    """
    dead = dead_nets(found)
    alive = ~dead if not dead.all() else dead
    values, after = getattr(found, name)[alive], np.inf
    if name in ("grad2", "largest_gradient"):
        after = np.where(np.isinf(values).any(axis=1, keepdims=True), np.inf, 1.0)
    return np.quantile(np.where(np.isnan(values), after, values), 0.5, axis=0, method="lower")


def middle_curves(found: Probe) -> tuple[np.ndarray, np.ndarray]:
    """Return log10 E[z²] and log10 E[δ²] of the middle net by layer, -inf where it is 0."""
    with np.errstate(divide="ignore"):
        return np.log10(middle(found, "q")), np.log10(middle(found, "grad2"))


def share_off(p: ProbeParams, flat: np.ndarray | float) -> np.ndarray | float:
    """Return the part of a share of ``flat`` units that is off, which is no saturation.

    All of it where the activation is flat on one side only. Of two flat sides one that begins at 0, as that
    of ReLU6, holds half of the units at any scale.
    """
    places = np.array([-INFINITE, -TINY, TINY, INFINITE])
    left, least, most, right = ACTIVATIONS[p.activation].saturated(places).tolist()
    if left != right:
        return flat
    return np.minimum(flat, 0.5) if left and least != most else 0.0 * flat


def expected_dead(p: ProbeParams) -> float:
    """Return the share of nets in which a layer is off for the whole batch, from ``DRAWN`` small nets.

    Only functions that are 0 far left of 0 die, without bias, normalization and skip connections. For one
    input it is 1 - Π (1 - off^width), off = P(f(z) = 0), ½ for ReLU, which is an upper bound: below
    ``SELDOM`` nothing is drawn.
    """
    activation = ACTIVATIONS[p.activation]
    plain = p.biases[0].law == "zeros" and p.gamma and p.normalization == p.residual == "none"
    random = p.initializer != "zeros" and not INITIALIZERS[p.initializer].no_theory
    if not plain or not random or activation.f(FAR_LEFT).any():
        return 0.0
    log_w, off = log_weights(p), 0.5
    if not activation.homogeneous:
        scales = np.exp(propagate_moments(p, log_w).log_q[:-1, None] / 2)
        off = (activation.f(scales * QUANTILES) == 0).mean(axis=1)
    bound = 1 - np.prod(1 - (1 - p.keep * (1 - off)) ** np.array(p.widths[1:-1]))
    if bound <= SELDOM:
        return 0.0
    deviations = () if activation.homogeneous else tuple(np.exp(log_w / 2).tolist())
    inputs = p.input_scale, p.input_mean
    return _draw_dead(activation, p.widths, min(p.batch, INPUTS), p.keep, inputs, deviations)


@lru_cache(maxsize=64)
def _draw_dead(activation: Activation, widths: tuple[int, ...], batch: int, keep: float,
               inputs: tuple[float, float], deviations: tuple[float, ...]) -> float:
    """Share of dead nets among random ones of these widths.

    ``inputs``: their scale and mean. ``deviations`` of the weights by layer; of ReLU these do not matter.
    """
    nets = int(np.clip(WEIGHTS / sum(n * m for n, m in pairwise(widths)), 20, DRAWN))
    rng = np.random.default_rng(0)
    a, dead = rng.standard_normal((nets, batch, widths[0]), dtype=np.float32), np.zeros(nets, bool)
    a = a * np.float32(inputs[0]) + np.float32(inputs[1])
    for layer, (n, m) in enumerate(pairwise(widths[:-1])):
        weights = rng.standard_normal((nets, n, m), dtype=np.float32)
        weights *= np.float32(deviations[layer] if deviations else math.sqrt(2 / n))
        a = activation.f(a @ weights)
        if keep < 1:
            a *= rng.random(a.shape, dtype=np.float32) < keep
        sizes = np.abs(a).max(axis=(1, 2), keepdims=True)
        dead |= sizes.ravel() == 0
        if not deviations:
            a /= np.where(sizes > 0, sizes, 1)
    return float(dead.mean())
