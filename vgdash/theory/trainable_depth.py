"""Trainable depth: layers over which gradients and differences of inputs survive, from the actual input on.

Two things end it. The squared gradient falls below 10^-5 or grows beyond 10^3.5, its factor in a layer being
chi_1(q): of 180 nets trained on digits, those within learned and those without did not. Or two inputs forget
how alike they were: |c - c_star|, from unrelated and related inputs, falls below e^-6, which is 6 xi_c layers
where q and c are near their limits (Schoenholz et al. 2017, arXiv 1611.01232, figure 5). Both are followed
through the layers from inputs of mean square 1, for E[z²] may need hundreds of layers to come near its limit:
with He's weights GELU tends to 0, where its slope is 1/2, but not within 20 layers.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from vgdash.activations import ACTIVATIONS
from vgdash.initializers import INITIALIZERS
from vgdash.probe.params import ProbeParams
from vgdash.theory.fixed_points import solve
from vgdash.theory.layerwise import bias_moments, log_gradients, log_weights, propagate_moments

FAINT, FIERCE = 5 * math.log(10), 3.5 * math.log(10)  # ln of a factor of the squared gradient
MEMORY = 6.0  # "trainable to about 6 xi_c"
STARTS = np.array([0.0, 0.6])  # correlations of two inputs
FOLLOWED = (32, 128, 256)  # layers, more if need be; from there on, octaves change as the last two did
ANY = 5e4  # layers that count as infinite
WIDTH = 64  # of a net that stands for all widths: only fan_in·Var(w) matters
SETTINGS = ("normalization", "residual", "keep", "norm_scale", "input_scale", "input_mean")  # of all layers
GONE = 60.0  # ln q beyond which a function is its own power law, and all inputs become parallel or stay


def trainable_depth(p: ProbeParams) -> float:
    """Return the number of layers like the middle one of ``p`` that train; inf where nothing ends it.

    nan for the identity and the constant, for which there is no theory.
    """
    if INITIALIZERS[p.initializer].no_theory:
        return math.nan
    middle = max(1, p.depth // 2)
    weight = math.exp(log_weights(replace(p, residual="none", last_scale=1.0))[middle - 1])
    mean, variance = bias_moments(p)[:, middle - 1]
    return _depth(p.activation, weight * p.widths[middle - 1], mean**2 + variance,
                  *((name, getattr(p, name)) for name in SETTINGS), ("batch", min(p.batch, WIDTH)))


@lru_cache(maxsize=1024)  # nets of any depth, and of any width by most initializers, share one
def _depth(activation: str, weight: float, bias: float, *settings: tuple) -> float:
    return float(trainable_depths(activation, np.array([weight]), np.array([bias]), **dict(settings))[0])


def trainable_depths(activation: str, sigma_w2: np.ndarray, sigma_b2: np.ndarray, **settings) -> np.ndarray:
    """Return ``trainable_depth`` at points of the plane of variances, ``(points,)``."""
    for followed in FOLLOWED:
        p = ProbeParams.uniform(followed, WIDTH, activation, "lecun_normal", seeds=1,
                                **{"batch": 2} | settings)
        found = _follow(p, sigma_w2, sigma_b2)
        if (found <= followed).all():
            break
    return found


def _follow(p: ProbeParams, sigma_w2: np.ndarray, sigma_b2: np.ndarray) -> np.ndarray:
    """Follow gradients and correlations over the layers of ``p`` with these variances."""
    biases = np.zeros((2, len(sigma_w2), 1, p.depth))
    biases[1] = sigma_b2[:, None, None]
    starts = p.input_cosine + (1 - p.input_cosine) * STARTS
    with np.errstate(divide="ignore", invalid="ignore"):
        log_w = np.log(sigma_w2 / WIDTH)[:, None, None] + np.zeros(p.depth)
        if p.residual == "zero":
            log_w[..., 1:] = -np.inf
        moments = propagate_moments(p, log_w, starts, biases)
        gradient = log_gradients(p, moments)[:, 0]
        gradient = gradient[:, :1] - gradient
        limit = np.ones(len(sigma_w2))
        chaotic = (gradient[:, -1] > gradient[:, -2]) & (moments.log_q[:, 0, -1] < GONE)
        if p.normalization == p.residual == "none" and p.keep == 1 and chaotic.any():
            c_star = solve(ACTIVATIONS[p.activation], sigma_w2[chaotic], sigma_b2[chaotic]).c_star
            limit[chaotic] = np.where(np.isfinite(c_star), c_star, 1.0)
        away = np.abs(moments.correlation - limit[:, None, None]).max(axis=1)
        memory = np.log(away / np.abs(starts - limit[:, None]).max(axis=1)[:, None])
    gradient[~np.isfinite(gradient)] = memory[np.isnan(memory)] = -np.inf  # weights of 0
    found = np.minimum(_reach(gradient, FIERCE), _reach(-gradient, FAINT))
    return np.minimum(found, _reach(-memory, MEMORY))


def _reach(curve: np.ndarray, limit: float) -> np.ndarray:
    """Return the layers after which each curve ``(points, depth)`` exceeds ``limit``; inf if it never does.

    Beyond the last layer each octave changes by R times the one before it: R is 2 for an exponential, 1 for a
    power law, and less where the curve settles.
    """
    return np.array([_reach_one(row, limit) for row in curve])


def _reach_one(curve: np.ndarray, limit: float) -> float:
    if (beyond := np.flatnonzero(curve > limit)).size:
        layer = int(beyond[0])
        before = curve[layer - 1] if layer else 0.0
        part = (limit - before) / (curve[layer] - before)
        return layer + (part if math.isfinite(part) else 0.0)
    last = len(curve)
    quarter, half, whole = curve[[last // 4 - 1, last // 2 - 1, last - 1]].tolist()
    if not -math.inf < quarter < half < whole:
        return math.inf
    before, after = half - quarter, whole - half
    ratio, wanted = min(after / before, 2.0), (limit - whole) / after  # octaves' sum, in units of the last
    if abs(ratio - 1) < 1e-6:
        octaves = wanted
    elif 1 + wanted * (ratio - 1) / ratio <= 0:
        return math.inf
    else:
        octaves = math.log(1 + wanted * (ratio - 1) / ratio) / math.log(ratio)
    found = last * 2.0 ** min(octaves, 60.0)
    return found if found < ANY else math.inf
