"""Courses of signal and gradient through the layers: one word for each, by one test, for theory and nets.

A curve is log10 of a mean square. That of the signal runs from the input, layer 0, to layer L; that of the
gradient from layer L back to layer 1. Layers of unlike width keep the mean over their units or the sum:
either is enough (He et al. 2015, arXiv 1502.01852, section 2.2). So a signal holds if its sum does, and of a
gradient the steadier one is judged: its mean jumps at an output of few units.

    dies        0 from some layer on
    holds       never a factor 10 (MOVED) from its start, and no RATE in every layer
    settles     the second half of the layers is flat (FLAT), or changes fade (FADES)
    power_law   the change from layer L/4 to L/2 repeats from L/2 to L, and is not STEEP, in LONG nets
    vanishes, explodes    anything else that has a factor a layer, goes far (FAR), or would be a
                power law in a LONG net, by its end; or holds
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vgdash.diagnosis.thresholds import DOUBLES, FADES, FAR, FLAT, LONG, LOST, MOVED, RATE, STEEP, STRAIGHT

SHORT = 6  # numbers of units in a net that has no inner layers apart from its output


@dataclass(frozen=True)
class Course:
    """One direction's way through the layers, in its own direction; changes in decades of the mean square."""

    behaviour: str  # holds, settles, vanishes, explodes, power_law, dies
    total: float  # change from the first number to the last; -inf if it dies, inf if it overflows
    worst_step: float  # the largest change from one layer to the next
    worst_layer: int  # the layer that it leads to
    farthest: float  # the largest change from the first number
    factor: float | None = None  # of the mean square a layer, where an exponential describes the curve
    power: float | None = None  # mean square ~ depth^power
    limit: float | None = None  # mean square that it settles at
    first_layer: int | None = None  # first layer, on its way, that is 0 or a thousand times off


def signal_course(log10: np.ndarray, widths: tuple[int, ...]) -> Course:
    """Classify log10 E[z²] of layers 1 to L, ``(depth,)``, after inputs as they should be, E[x²] = 1."""
    curve = np.append(0.0, log10)
    sums = curve + np.log10(np.array(widths) / widths[0])
    with np.errstate(invalid="ignore"):
        means, totals = (np.abs(one - one[0]).max() <= MOVED for one in (curve, sums))
    judged = sums if totals and not means else curve
    return _classify(judged, np.arange(len(widths)), _inner(1, widths), log10[-1])


def gradient_course(log10: np.ndarray, widths: tuple[int, ...]) -> Course:
    """Classify log10 E[δ²] of layers 1 to L, ``(depth,)``, in which 0 stands at the last layer."""
    curve, layers = log10[::-1], np.arange(len(log10), 0, -1)
    sums = curve + np.log10(np.array(widths[:0:-1]) / widths[-1])
    judged = sums if np.isfinite(curve).all() and np.ptp(sums) < np.ptp(curve) else curve
    return _classify(judged, layers, _inner(1, widths)[::-1], log10[0])


def _inner(first: int, widths: tuple[int, ...]) -> np.ndarray:
    """Layers among their like: not the input, and not an output layer of another width."""
    end = len(widths) - (len(widths) > SHORT and widths[-1] != widths[-2])
    return np.arange(first, end)


def _classify(curve: np.ndarray, layers: np.ndarray, inner: np.ndarray, end: float) -> Course:
    """Find the word for a ``curve`` in the order of its way through the ``layers``."""
    lost = np.flatnonzero(~(np.abs(curve - curve[0]) <= LOST))
    first = int(layers[lost[0]]) if lost.size else None
    if (broken := np.flatnonzero(~np.isfinite(curve))).size:
        value = -math.inf if curve[broken[0]] == -math.inf else math.inf
        before = [layer for layer in inner if layer in layers[:broken[0]]]
        return Course("dies" if value < 0 else "explodes", value, value, int(layers[broken[0]]), value,
                      _factor(_at(curve, layers, before)), first_layer=first)
    steps = np.diff(curve)
    at = int(np.abs(steps).argmax()) if steps.size else 0
    worst, worst_layer = (float(steps[at]), int(layers[at + 1])) if steps.size else (0.0, int(layers[0]))
    farthest = float(curve[np.abs(curve - curve[0]).argmax()] - curve[0])
    word, power = _word(curve, layers, inner, farthest)
    changes = float(curve[-1] - curve[0]), worst, worst_layer, farthest
    if word in ("vanishes", "explodes"):
        factor = _power_of_ten(worst) if len(steps) == 1 else _factor(_at(curve, layers, inner))
        if power is not None or (factor and (factor < 1) != (word == "vanishes")):
            factor = None  # slower and slower; or that of the inner layers, and an end goes the other way
        if factor or power is not None or abs(farthest) > FAR:
            return Course(word, *changes, factor, first_layer=first)
        return Course("holds", *changes)
    return Course(word, *changes, None, power, 10 ** float(end) if word == "settles" else None)


def _word(curve: np.ndarray, layers: np.ndarray, inner: np.ndarray,
          farthest: float) -> tuple[str, float | None]:
    """Return the word, and the power of a power law, be the net long enough to call it one or not."""
    total, power = curve[-1] - curve[0], None
    if abs(farthest) <= MOVED:
        rates = np.diff(_at(curve, layers, inner))
        fast = len(rates) > 1 and np.ptp(np.sign(rates)) == 0 and np.abs(rates).min() > RATE
        return ("holds" if not fast else "vanishes" if rates[0] < 0 else "explodes"), None
    if len(inner) >= 4:
        deep, sign = inner.max(), 1 if layers[-1] > layers[0] else -1
        quarter, half, whole = sign * _at(curve, layers, np.array([deep / 4, deep / 2, deep]))
        before, after = half - quarter, whole - half
        ratio, slope = after / before if before else math.inf, float(after) / math.log10(2)
        if abs(after) <= FLAT or 0 <= ratio < FADES:
            return "settles", None
        if 0 < ratio < DOUBLES and abs(slope) <= STEEP:
            power = slope
            if len(inner) >= LONG:
                return "power_law", power
    return ("vanishes" if (total if abs(total) > MOVED else farthest) < 0 else "explodes"), power


def _at(curve: np.ndarray, layers: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Values of a curve at the ``wanted`` layers, interpolated between them."""
    order = slice(None) if layers[-1] > layers[0] else slice(None, None, -1)
    return np.interp(wanted, layers[order], curve[order])


def _factor(curve: np.ndarray) -> float | None:
    """Factor a layer, or None if no exponential describes the curve."""
    if len(curve) < 3 or abs(curve[-1] - curve[0]) < FLAT:
        return None
    slope = float(curve[-1] - curve[0]) / (len(curve) - 1)
    away = np.abs(curve - curve[0] - slope * np.arange(len(curve))).max()
    return _power_of_ten(slope) if away <= STRAIGHT * abs(curve[-1] - curve[0]) else None


def _power_of_ten(decades: float) -> float | None:
    """Return 10^decades, or None where float64 has no such number."""
    return 10**decades if abs(decades) < 300 else None
