"""The diagnosis of a net at initialization: one record, from which every page and notebook writes.

It joins measured nets with mean-field theory. Theory gives the word where it agrees with the nets, which
scatter; the nets give it where they do not do as theory says, or where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from vgdash.diagnosis.courses import gradient_course, signal_course
from vgdash.diagnosis.nets import (
    DeadNets,
    dead_nets,
    expected_dead,
    middle_curves,
    seen_by_softmax,
    share_off,
)
from vgdash.diagnosis.outlook import outlooks
from vgdash.diagnosis.record import Correlation, Diagnosis, Direction
from vgdash.diagnosis.thresholds import PARALLEL
from vgdash.initializers import INITIALIZERS
from vgdash.probe.params import ProbeParams
from vgdash.probe.probe import Probe, probe
from vgdash.theory.layerwise import Prediction, predict


def diagnose(p: ProbeParams, seen: Probe | None = None, theory: Prediction | None = None) -> Diagnosis:
    """Diagnose the nets of ``p``; ``seen`` and ``theory`` are its probe and prediction, if they are there."""
    nets, mean_field = seen or probe(p), theory or predict(p)
    seen, theory = seen_by_softmax(nets, mean_field)
    inner, forward, backward = _like_the_others(seen, theory)
    dead = DeadNets(int(dead_nets(seen).sum()), len(seen.q), expected_dead(p))
    shares = np.where(np.isnan(seen.saturated), 0.0, seen.saturated)
    flat = float(np.median(shares, axis=0)[:max(1, p.depth - 1)].max())  # no function after the last layer
    off = float(share_off(p, flat))
    signals = _direction(inner, "q", signal_course, forward, seen)
    gradients = _direction(inner, "grad2", gradient_course, backward, seen)
    if np.isinf(forward).any() and forward.max() > 0:  # no gradient was sent; without theory W is one number
        gradients = replace(gradients, measured=None if gradients.predicted else signals.measured)
    if inner is not theory and p.last_scale == 0 and gradients.predicted:
        gradients = replace(gradients, measured=None)  # theory's: no weight of 0 hands it back
    return Diagnosis(p, signals, gradients, _correlation(seen, theory), dead, flat - off, off,
                     nets, mean_field, outlooks([p])[0])


def judged_as_if_even(p: ProbeParams) -> bool:
    """Test if the last layer has a scale of its own that the diagnosis leaves out."""
    return p.last_scale != 1 and p.depth > 1 and not INITIALIZERS[p.initializer].no_theory


def _like_the_others(seen: Probe, theory: Prediction) -> tuple[Prediction, np.ndarray, np.ndarray]:
    """Return theory and curves of the middle net with a last layer like the others.

    Its own scale, even 0, is no trouble: the first step moves it. What it does shows in the first loss.
    """
    p, (forward, backward) = theory.params, middle_curves(seen)
    if not judged_as_if_even(p):
        return theory, forward, backward
    theory = predict(replace(p, last_scale=1.0))
    if p.last_scale == 0:  # nothing came back
        before, last = theory.log10_q[-2:]
        if np.isfinite([before, last]).all():
            last = forward[-2] + last - before  # theory's last step from what was measured
        return theory, np.append(forward[:-1], last), theory.log10_grad2
    forward[-1] -= 2 * math.log10(p.last_scale)
    backward[:-1] -= 2 * math.log10(p.last_scale)
    return theory, forward, backward


def _direction(theory: Prediction, name: str, classify: Callable, nets: np.ndarray, seen: Probe) -> Direction:
    widths, end = theory.params.widths, -1 if name == "q" else 0
    curve, band = getattr(theory, f"log10_{name}"), getattr(theory, f"band_{name}")
    predicted = None if np.isnan(curve).any() else classify(curve, widths)
    scatter = inner = math.nan
    if np.isfinite(band.variance[end]) and np.isfinite(curve[end]):
        scatter = max(abs(bound[end] - curve[end]) for bound in theory.interval(name))
        mean, variance = (_before_the_output(one, name) for one in (band.mean, band.variance))
        inner = (abs(mean) + NormalDist().inv_cdf(0.975) * math.sqrt(max(variance, 0.0))) / math.log(10)
    values = seen.log10(name)
    if math.isnan(scatter) and len(seen.q) > 1 and np.isfinite(values[:, end]).all():
        scatter = 2 * float(values[:, end].std(ddof=1))
        inner = 2 * float(np.std(_before_the_output(values, name), ddof=1))
    return Direction(predicted, classify(nets, widths), scatter, inner)


def _before_the_output(values: np.ndarray, name: str) -> np.ndarray:
    """Return what layers before the last one add up to, of ``values`` ``(…, depth)``; 0 if there are none.

    An output of few units scatters by itself, and so does the gradient that it sends: no width helps.
    """
    if values.shape[-1] == 1:
        return values[..., 0] * 0
    return values[..., -2] if name == "q" else values[..., 0] - values[..., -1]


def _correlation(seen: Probe, theory: Prediction) -> Correlation:
    curve = theory.correlation
    if np.isnan(curve).any():
        values, there = np.nan_to_num(seen.correlation), ~np.isnan(seen.correlation)
        curve = np.where(there.any(axis=0), values.sum(axis=0) / np.maximum(there.sum(axis=0), 1), np.nan)
    hidden = curve[:-1]  # a bias of the last layer makes its z parallel, and none of what it is made of
    there = np.flatnonzero(1 - hidden < PARALLEL)
    return Correlation(float(curve[max(0, len(curve) - 2)]), int(there[0]) + 1 if there.size else None)
