"""Largest entry of a layer in theory: the first that leaves a number format."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from vgdash.theory.finite_width import Band
from vgdash.theory.layerwise import Prediction

EULER = 0.5772156649015329
STEPS = 8  # of the fixed point, which each brings closer by 1/(1 + variance·maximum²/2) or more


def log10_largest(theory: Prediction, name: str) -> np.ndarray:
    """Return log10 of the largest |z| (``q``) or |∂C/∂z| (``grad2``) expected by layer, ``(depth,)``.

    Entries are Gaussian, with a mean square that differs from input to input by finite width.
    """
    p = theory.params
    band = getattr(theory, f"band_{name}")
    maxima = np.array([gaussian_maximum(p.batch * width) for width in p.widths[1:]])
    return getattr(theory, f"log10_{name}") / 2 + np.log10(_heavier(maxima, _among_inputs(band, p.batch)))


@lru_cache(maxsize=4096)
def gaussian_maximum(count: int) -> float:
    """Return E[max |z|] of ``count`` standard normal numbers: the quantile at 1 - e^-γ/count, to 2 %."""
    return NormalDist().inv_cdf(1 - math.exp(-EULER) / (2 * count))


def _among_inputs(band: Band, batch: int) -> np.ndarray:
    """Variance of ln q among the inputs of one net; 0 where there is no band."""
    return np.maximum(np.nan_to_num((band.one - band.variance) * batch / (batch - 1)), 0.0)


def _heavier(maximum: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Move the maximum of Gaussians to that of a mixture, ln q ~ N(-v/2, v) around the mean.

    A tail e^(-t²/2) averages, with a = t²/2 and to second order in ln q, to
    e^(-a + (a - ½)² v/(2 (1 + a v)) - ...)/√(1 + a v): t grows until the tail is as before.
    """
    square = maximum**2
    for _ in range(STEPS):
        a = square / 2
        gain = (a * a * variance - a * variance) / (2 * (1 + a * variance)) - np.log1p(a * variance) / 2
        square = maximum**2 + 2 * np.maximum(gain, 0.0)
    return np.sqrt(square)
